"""Tariffs: dated rules of what a verified pickup earns. Its amounts never change once a posting used it.

A tariff is in force from its date until the next one's: there is no gap and no overlap that anybody could make.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from network.models.history import kept

CEILINGS = ("macro_minor", "province_minor", "city_minor", "district_minor", "custom_minor")


@kept()
class Tariff(models.Model):
    """Amounts are integer minor units of `currency` (fen for CNY).

    `*_minor` of a level is the ceiling up to which an agent of that level is paid (R8), `cap_minor` the most
    that all agents of one pickup get together.
    """

    name = models.CharField(_("name"), max_length=100)
    currency = models.CharField(_("currency"), max_length=3, default="CNY")
    valid_from = models.DateTimeField(_("in force from"), unique=True)
    point_fee_minor = models.BigIntegerField(_("flat handling fee"), default=2000)
    cap_minor = models.BigIntegerField(_("cap of the agents' sum"), default=1000)
    macro_minor = models.BigIntegerField(_("ceiling macro-region"), default=1000)
    province_minor = models.BigIntegerField(_("ceiling province"), default=800)
    city_minor = models.BigIntegerField(_("ceiling city"), default=500)
    district_minor = models.BigIntegerField(_("ceiling district"), default=300)
    custom_minor = models.BigIntegerField(_("ceiling custom"), default=100)
    hold_days = models.SmallIntegerField(_("storage, days"), default=7)
    payable_after_hours = models.SmallIntegerField(_("fees payable after, hours"), default=72)

    class Meta:
        verbose_name = _("tariff")
        verbose_name_plural = _("tariffs")
        constraints = [
            models.CheckConstraint(
                name="tariff_amounts_not_negative",
                condition=Q(point_fee_minor__gte=0, cap_minor__gte=0, **{f"{name}__gte": 0 for name in CEILINGS}),
            ),
            models.CheckConstraint(
                name="tariff_ceilings_grow_with_the_region",
                condition=Q(
                    macro_minor__gte=F("province_minor"),
                    province_minor__gte=F("city_minor"),
                    city_minor__gte=F("district_minor"),
                    district_minor__gte=F("custom_minor"),
                ),
            ),
            models.CheckConstraint(name="tariff_hold_days", condition=Q(hold_days__range=(1, 60))),
            models.CheckConstraint(name="tariff_payable_after", condition=Q(payable_after_hours__range=(0, 2160))),
            models.CheckConstraint(name="tariff_currency", condition=Q(currency__regex="^[A-Z]{3}$")),
        ]

    def __str__(self) -> str:
        return self.name
