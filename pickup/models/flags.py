"""Holds on pickups that look invented, the days that were scored, and what recipients are asked and have opened."""

from __future__ import annotations

import pghistory
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from network.models import ServicePoint
from network.models.history import CHANGED, kept
from pickup.models.parcels import DatabaseClock, Handover, Parcel


# Holds are placed by the machine, with all that they rest on; only what a person makes of one is remembered beside it.
@kept(pghistory.UpdateEvent(CHANGED), hidden=("evidence",))
class Hold(models.Model):
    """A pickup whose fees wait for a person, because by the rules of `pickup.scoring` it may not have happened.

    `evidence` is a list of what was found, with its numbers as they were then: see `pickup.scoring.Finding`. A hold
    is decided once, by somebody who neither made the pickup nor works at its shop; triggers keep that.
    """

    class Decision(models.TextChoices):
        CLEARED = "cleared", _("cleared: the fees are paid")
        REVERSED = "reversed", _("reversed: the fees are taken back")

    handover = models.OneToOneField(Handover, models.PROTECT, related_name="hold", verbose_name=_("verified pickup"))
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="+", verbose_name=_("service point"), db_index=False
    )
    points = models.SmallIntegerField(_("points"))
    evidence = models.JSONField(_("evidence"))
    day = models.DateField(_("day that was scored"))
    placed_at = models.DateTimeField(_("held since"), db_default=DatabaseClock())
    decision = models.CharField(_("decision"), max_length=10, choices=Decision.choices, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("held pickup")
        verbose_name_plural = _("held pickups")
        indexes = [models.Index(name="hold_of_point", fields=["service_point", "decision"])]
        constraints = [
            models.CheckConstraint(name="hold_decision_known", condition=Q(decision__in=["", "cleared", "reversed"])),
            models.CheckConstraint(
                name="hold_decision_is_whole",
                condition=Q(decision="", decided_by__isnull=True, decided_at__isnull=True, reason="")
                | (~Q(decision="") & Q(decided_by__isnull=False, decided_at__isnull=False, reason__regex=r"\S.{2,}")),
            ),
            models.CheckConstraint(name="hold_has_evidence", condition=Q(points__gt=0) & ~Q(evidence=[])),
        ]

    def __str__(self) -> str:
        return f"hold of {self.handover_id}"


class ScoredDay(models.Model):
    """A day whose pickups were scored after it was over. A day without a row is made up for."""

    day = models.DateField(_("day"), unique=True)
    scored_at = models.DateTimeField(_("scored"))
    pickups = models.IntegerField(_("pickups"))
    held = models.IntegerField(_("held"))

    class Meta:
        verbose_name = _("scored day")
        verbose_name_plural = _("scored days")

    def __str__(self) -> str:
        return f"{self.day}"


class PickupQuestion(models.Model):
    """A recipient is asked whether the parcel was collected. Whom it meets nobody can foresee without a key."""

    class Answer(models.TextChoices):
        YES = "yes", _("yes, collected")
        NO = "no", _("no, not collected")

    handover = models.OneToOneField(
        Handover, models.PROTECT, related_name="question", verbose_name=_("verified pickup")
    )
    asked_at = models.DateTimeField(_("asked"), db_default=DatabaseClock())
    answer = models.CharField(_("answer"), max_length=3, choices=Answer.choices, blank=True)
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)

    class Meta:
        verbose_name = _("question to a recipient")
        verbose_name_plural = _("questions to recipients")
        constraints = [
            models.CheckConstraint(name="question_answer_known", condition=Q(answer__in=["", "yes", "no"])),
            models.CheckConstraint(
                name="question_answer_has_time",
                condition=Q(answer="", answered_at__isnull=True) | (~Q(answer="") & Q(answered_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"question about {self.handover_id}"


class PageOpening(models.Model):
    """The first time that a recipient's page was opened, once by anybody and once by somebody of the parcel's shop.

    Nothing is kept of who or whence: only that a person signed in as a member of that shop had the link.
    """

    parcel = models.ForeignKey(Parcel, models.PROTECT, related_name="+", verbose_name=_("parcel"), db_index=False)
    by_shop = models.BooleanField(_("by somebody of the shop"))
    opened_at = models.DateTimeField(_("opened"), db_default=DatabaseClock())

    class Meta:
        verbose_name = _("opening of a recipient's page")
        verbose_name_plural = _("openings of recipients' pages")
        constraints = [models.UniqueConstraint(name="page_opening_once", fields=["parcel", "by_shop"])]

    def __str__(self) -> str:
        return f"{self.parcel_id} {self.opened_at:%Y-%m-%d %H:%M}"
