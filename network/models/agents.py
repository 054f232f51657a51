"""Regional agents and their appointments. An appointment is never sold: it has reasons, and an end."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.contrib.postgres.indexes import GistIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from network.models.history import kept
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
    """One agent, one region, one period that ends. At most one agent holds a region at a time."""

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="appointments", verbose_name=_("agent"))
    region = models.ForeignKey(Region, models.PROTECT, related_name="appointments", verbose_name=_("region"))
    valid = DateTimeRangeField(_("in force"))
    reason = models.TextField(_("reason"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

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
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} → {self.region_id}"
