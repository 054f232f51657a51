"""Who read a recipient's full data, and why. Rows are only ever added."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from pickup.models.orders import Order
from pickup.models.parcels import DatabaseClock, Parcel


class PersonalDataRead(models.Model):
    """One reading of `fields` by a person. Written in the transaction that opens the sealed box."""

    order = models.ForeignKey(
        Order, models.PROTECT, related_name="personal_reads", verbose_name=_("order"), db_index=False
    )
    parcel = models.ForeignKey(
        Parcel, models.PROTECT, null=True, related_name="+", verbose_name=_("parcel"), db_index=False
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("person"), db_index=False
    )
    fields = ArrayField(models.CharField(max_length=20), verbose_name=_("what was read"))
    reason = models.CharField(_("reason"), max_length=200)
    at = models.DateTimeField(_("read"), db_default=DatabaseClock())

    class Meta:
        verbose_name = _("reading of personal data")
        verbose_name_plural = _("readings of personal data")
        default_permissions = ("view",)
        permissions = [("read_personal", "Can read a recipient's full data, with a reason")]
        indexes = [
            models.Index(name="personal_read_by", fields=["by", "at"]),
            models.Index(name="personal_read_order", fields=["order"]),
        ]
        constraints = [
            models.CheckConstraint(name="personal_read_has_reason", condition=Q(reason__regex=r"\S.{2,}")),
            models.CheckConstraint(name="personal_read_has_fields", condition=Q(fields__len__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.by_id}: {self.order_id} {self.at:%Y-%m-%d %H:%M}"
