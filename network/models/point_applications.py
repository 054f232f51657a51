"""Applications for new service points. Nobody pays for one: there is no price, deposit or fee in it (R9)."""

from __future__ import annotations

from django.conf import settings
from django.contrib.gis.db import models
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db.models import F, Func, Q, Value
from django.utils.translation import gettext_lazy as _

from network.models.history import kept
from network.models.points import ServicePoint, validate_opening_hours

SAME_PLACE_DEGREES = 0.00025  # boxes of this half width meet where two places are less than about 50 metres apart


@kept(hidden=("phone", "photo"), about="applicant")
class PointApplication(models.Model):
    """A person would like to hold parcels in a shop, at a place on the map; staff look at it and decide once.

    The photo is a JPEG as `network.photos.kept` returns it, so without the place and time that a camera writes.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("refused")
        WITHDRAWN = "withdrawn", _("withdrawn")

    applicant = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="point_applications", verbose_name=_("applicant")
    )
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.WAITING)
    name = models.CharField(_("name of the shop"), max_length=100)
    address = models.CharField(_("address"), max_length=300)
    phone = models.CharField(_("phone of the shop"), max_length=16, help_text="E.164, +8613800138000")
    location = models.PointField(_("location, WGS 84"), srid=4326, spatial_index=False)
    opening_hours = models.CharField(
        _("opening hours"), max_length=500, blank=True, validators=[validate_opening_hours]
    )
    capacity = models.IntegerField(_("capacity, parcels"))
    photo = models.BinaryField(_("photo of the shop"), editable=False)
    made_at = models.DateTimeField(_("made"))
    changed_at = models.DateTimeField(_("corrected"), null=True, blank=True)
    changes = models.SmallIntegerField(_("corrections"), default=0)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    reason = models.CharField(_("reason of the decision"), max_length=300, blank=True)
    service_point = models.OneToOneField(
        ServicePoint, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("service point")
    )

    class Meta:
        verbose_name = _("application for a service point")
        verbose_name_plural = _("applications for service points")
        indexes = [
            models.Index(name="point_application_waiting", fields=["made_at", "id"], condition=Q(status="waiting")),
            models.Index(name="point_application_made", fields=["applicant", "made_at"]),
        ]
        constraints = [
            ExclusionConstraint(
                name="point_application_once_per_place",
                expressions=[
                    ("applicant", RangeOperators.EQUAL),
                    (Func(F("location"), Value(SAME_PLACE_DEGREES), function="ST_Expand"), RangeOperators.OVERLAPS),
                ],
                condition=Q(status="waiting"),
            ),
            models.CheckConstraint(
                name="point_application_status_known",
                condition=Q(status__in=["waiting", "approved", "refused", "withdrawn"]),
            ),
            models.CheckConstraint(
                name="point_application_decision_is_whole",
                condition=Q(status__in=["waiting", "withdrawn"], decided_by__isnull=True, decided_at__isnull=True)
                | Q(status__in=["approved", "refused"], decided_by__isnull=False, decided_at__isnull=False),
            ),
            models.CheckConstraint(
                name="point_application_decided_by_another",
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("applicant")),
            ),
            models.CheckConstraint(
                name="point_application_refused_with_a_reason", condition=~Q(status="refused") | ~Q(reason="")
            ),
            models.CheckConstraint(
                name="point_application_approved_has_a_point",
                condition=Q(status="approved", service_point__isnull=False)
                | (~Q(status="approved") & Q(service_point__isnull=True)),
            ),
            models.CheckConstraint(name="point_application_capacity", condition=Q(capacity__range=(1, 10_000))),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.made_at:%Y-%m-%d}"
