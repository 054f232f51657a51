"""Regional agents, what they are appointed to, who applied for it, and where they would like another shop.

An appointment is never sold: it is won by an application with reasons, and it has an end (R9).
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.gis.db.models import PointField
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.contrib.postgres.indexes import GistIndex
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from network.models.history import kept
from network.models.points import ServicePoint
from network.models.regions import Region


@kept()
class Agent(models.Model):
    ref = models.CharField(_("reference"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=100)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="agent",
        verbose_name=_("person"),
    )

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")

    def __str__(self) -> str:
        return f"{self.name} {self.ref}"


@kept(about="region")
class Appointment(models.Model):
    """One agent, one region, one period that ends. At most one agent holds a region at a time.

    A trigger keeps it: the period can only end earlier, and not before now, so that what is over stays as it was; a
    longer one is another appointment. `ended_*` tell who let it end early, when that was decided and why.
    """

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="appointments", verbose_name=_("agent"))
    region = models.ForeignKey(Region, models.PROTECT, related_name="appointments", verbose_name=_("region"))
    valid = DateTimeRangeField(_("in force"))
    reason = models.TextField(_("reason"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    appointed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("appointed by"),
        db_index=False,
    )
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("ended early by"),
        db_index=False,
    )
    ended_at = models.DateTimeField(_("ended early on"), null=True, blank=True)
    end_reason = models.TextField(_("why it ended early"), blank=True)

    class Meta:
        verbose_name = _("appointment")
        verbose_name_plural = _("appointments")
        indexes = [GistIndex(name="appointment_region_valid", fields=["region", "valid"])]
        constraints = [
            ExclusionConstraint(
                name="appointment_one_agent_at_a_time",
                expressions=[("region", RangeOperators.EQUAL), ("valid", RangeOperators.OVERLAPS)],
            ),
            models.CheckConstraint(
                name="appointment_period_ends",
                condition=Q(valid__isempty=False)
                & Q(valid__lower_inc=True)
                & Q(valid__upper_inc=False)
                & Q(valid__lower_inf=False)
                & Q(valid__upper_inf=False),
            ),
            models.CheckConstraint(
                name="appointment_early_end_has_reason",
                condition=Q(ended_by__isnull=True, ended_at__isnull=True, end_reason="")
                | (Q(ended_by__isnull=False, ended_at__isnull=False) & ~Q(end_reason="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} → {self.region_id}"


@kept(hidden=("reasons", "contact"), about="region")
class AppointmentApplication(models.Model):
    """Somebody wants to be the agent of a region, and says why. There is nothing to pay, and no field for it.

    It is decided once, by somebody else; a trigger keeps the rest as it was written. `answer` is what the applicant
    is told, `appointment` what came of it.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        APPROVED = "approved", _("approved")
        REFUSED = "refused", pgettext_lazy("application", "refused")
        WITHDRAWN = "withdrawn", _("withdrawn")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="applications", verbose_name=_("applicant")
    )
    region = models.ForeignKey(Region, models.PROTECT, related_name="applications", verbose_name=_("region"))
    reasons = models.TextField(_("reasons"), max_length=2000)
    contact = models.CharField(_("how to reach"), max_length=200, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.WAITING)
    made_at = models.DateTimeField(_("made"), auto_now_add=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
        db_index=False,
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    answer = models.TextField(_("answer"), max_length=2000, blank=True)
    appointment = models.OneToOneField(
        Appointment, models.PROTECT, null=True, blank=True, related_name="application", verbose_name=_("appointment")
    )

    class Meta:
        verbose_name = _("application for a region")
        verbose_name_plural = _("applications for regions")
        indexes = [models.Index(name="application_waiting", fields=["made_at"], condition=Q(status="waiting"))]
        constraints = [
            models.UniqueConstraint(
                name="application_waits_once", fields=["user", "region"], condition=Q(status="waiting")
            ),
            models.CheckConstraint(name="application_has_reasons", condition=~Q(reasons="")),
            models.CheckConstraint(
                name="application_is_decided_by_another",
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("user")),
            ),
            models.CheckConstraint(
                name="application_decided_whole",
                condition=Q(status="waiting", decided_by=None, decided_at=None, answer="", appointment=None)
                | Q(status="withdrawn", decided_by=None, decided_at__isnull=False, answer="", appointment=None)
                | Q(
                    status="approved",
                    decided_by__isnull=False,
                    decided_at__isnull=False,
                    appointment__isnull=False,
                )
                | (
                    Q(status="refused", decided_by__isnull=False, decided_at__isnull=False, appointment=None)
                    & ~Q(answer="")
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} → {self.region_id}"


@kept(about="region")
class PointProposal(models.Model):
    """An agent's tip: here, in the own region, a service point would help. Somebody else takes it up or tells why not.

    `region` is the deepest one that covered the place when it was proposed.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        TAKEN = "taken", _("taken up")
        REFUSED = "refused", pgettext_lazy("application", "refused")
        WITHDRAWN = "withdrawn", _("withdrawn")

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="proposals", verbose_name=_("agent"))
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("made by"), db_index=False
    )
    region = models.ForeignKey(Region, models.PROTECT, related_name="+", verbose_name=_("region"))
    location = PointField(_("location, WGS 84"), srid=4326, spatial_index=False)
    name = models.CharField(_("name"), max_length=200)
    address = models.CharField(_("address"), max_length=300, blank=True)
    reasons = models.TextField(_("reasons"), max_length=2000)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.WAITING)
    made_at = models.DateTimeField(_("made"), auto_now_add=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
        db_index=False,
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    answer = models.TextField(_("answer"), max_length=2000, blank=True)
    service_point = models.OneToOneField(
        ServicePoint, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("service point")
    )

    class Meta:
        verbose_name = _("proposal of a service point")
        verbose_name_plural = _("proposals of service points")
        indexes = [models.Index(name="proposal_waiting", fields=["made_at"], condition=Q(status="waiting"))]
        constraints = [
            models.CheckConstraint(name="proposal_has_reasons", condition=~Q(reasons="") & ~Q(name="")),
            models.CheckConstraint(
                name="proposal_is_decided_by_another",
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("made_by")),
            ),
            models.CheckConstraint(
                name="proposal_decided_whole",
                condition=Q(status="waiting", decided_by=None, decided_at=None, answer="", service_point=None)
                | Q(status="withdrawn", decided_by=None, decided_at__isnull=False, answer="", service_point=None)
                | Q(
                    status="taken",
                    decided_by__isnull=False,
                    decided_at__isnull=False,
                    service_point__isnull=False,
                )
                | (
                    Q(status="refused", decided_by__isnull=False, decided_at__isnull=False, service_point=None)
                    & ~Q(answer="")
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name
