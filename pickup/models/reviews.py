"""What reviewers did with orders in doubt, and which of them lie on whose desk."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from network.models import Region, ServicePoint
from pickup.models.orders import Order


class ReviewDecision(models.Model):
    """One decision about one doubt: who, when, what and why. Rows are only ever added."""

    class Kind(models.TextChoices):
        PLACED = "placed", _("place confirmed")
        RELEASED = "released", _("went on as it was")
        POINT = "point", _("sent to a service point")
        CONSENT = "consent", _("consent recorded")
        SENT_BACK = "sent_back", _("sent back to the merchant")

    class Why(models.TextChoices):
        """Why an order goes back; the merchant reads it."""

        NO_SUCH_ADDRESS = "no_such_address", _("there is no such address")
        ADDRESS_INCOMPLETE = "address_incomplete", _("the address is not complete")
        NO_SERVICE = "no_service", _("no service point serves the address")
        NO_CONSENT = "no_consent", _("the recipient does not agree")
        OTHER = "other", _("another reason")

    order = models.ForeignKey(Order, models.PROTECT, related_name="+", verbose_name=_("order"))
    doubt = models.CharField(_("reason for review"), max_length=40)
    kind = models.CharField(_("decision"), max_length=10, choices=Kind.choices)
    why = models.CharField(_("reason told to the merchant"), max_length=20, choices=Why.choices, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    region = models.ForeignKey(
        Region, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("region")
    )
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("service point")
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"))

    class Meta:
        verbose_name = _("decision of a review")
        verbose_name_plural = _("decisions of reviews")
        constraints = [
            models.CheckConstraint(
                name="review_decision_kind_known",
                condition=Q(kind__in=["placed", "released", "point", "consent", "sent_back"]),
            ),
            models.CheckConstraint(name="review_sent_back_has_a_reason", condition=~Q(kind="sent_back") ^ ~Q(why="")),
            models.CheckConstraint(
                name="review_placed_has_a_region", condition=~Q(kind="placed") | Q(region__isnull=False)
            ),
            models.CheckConstraint(
                name="review_point_is_named", condition=~Q(kind="point") | Q(service_point__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order_id} {self.kind}"


class ReviewDesk(models.Model):
    """Who opened an order in review last, and whether somebody left it for later. It hinders nobody."""

    order = models.OneToOneField(Order, models.CASCADE, primary_key=True, related_name="desk", verbose_name=_("order"))
    looked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("opened by")
    )
    looked_at = models.DateTimeField(_("opened"))
    put_off_at = models.DateTimeField(_("left for later"), null=True, blank=True)

    class Meta:
        verbose_name = _("order on a desk")
        verbose_name_plural = _("orders on desks")

    def __str__(self) -> str:
        return f"{self.order_id}"
