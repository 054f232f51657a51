"""A payee objects to a line of a statement: a case with a thread, which ends once and says how."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from pickup.models.ledger import Posting
from pickup.models.parcels import DatabaseClock
from pickup.models.settlements import StatementLine


class LineCase(models.Model):
    """A statement line that its payee disputes. A line has one case in its life; more is said in the thread."""

    class Outcome(models.TextChoices):
        STANDS = "stands", _("the line stands")
        REVERSED = "reversed", _("the fee is given back")

    line = models.OneToOneField(StatementLine, models.PROTECT, related_name="case", verbose_name=_("line"))
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("opened by")
    )
    opened_at = models.DateTimeField(_("opened"), db_default=DatabaseClock())
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome.choices, blank=True)
    reversal = models.OneToOneField(
        Posting, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("reversal")
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        constraints = [
            models.CheckConstraint(
                name="case_outcome_is_whole",
                condition=Q(outcome="", decided_by__isnull=True, decided_at__isnull=True, reversal__isnull=True)
                | Q(outcome="stands", decided_by__isnull=False, decided_at__isnull=False, reversal__isnull=True)
                | Q(outcome="reversed", decided_by__isnull=False, decided_at__isnull=False, reversal__isnull=False),
            ),
            models.CheckConstraint(
                name="case_two_people", condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("opened_by"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line_id}"


class CaseNote(models.Model):
    """What somebody said in a case. Only ever added."""

    case = models.ForeignKey(LineCase, models.PROTECT, related_name="notes", verbose_name=_("case"))
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("author"))
    written_at = models.DateTimeField(_("written"), db_default=DatabaseClock())
    text = models.CharField(_("text"), max_length=1000)

    class Meta:
        verbose_name = _("note of a case")
        verbose_name_plural = _("notes of cases")
        constraints = [models.CheckConstraint(name="case_note_says_something", condition=~Q(text=""))]

    def __str__(self) -> str:
        return f"{self.case_id} {self.written_at}"
