"""Lists that are written to a file while nobody waits. The row is the queue."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Export(models.Model):
    """One list that somebody asked for, too long to be written while they wait.

    Whoever works on it holds its `claim` and shows signs of life in `beat_at`; when they stop, another one claims it
    and begins again. The file belongs to the person who asked, and is deleted after some days.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("being written")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        DELETED = "deleted", _("deleted")

    class Form(models.TextChoices):
        CSV = "csv", "CSV"
        XLSX = "xlsx", "XLSX"

    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="exports", verbose_name=_("asked for by")
    )
    name = models.CharField(_("list"), max_length=60)
    asked = models.JSONField(_("filters"), default=dict)
    form = models.CharField(_("kind of file"), max_length=4, choices=Form.choices)
    language = models.CharField(_("language"), max_length=10)
    made_at = models.DateTimeField(_("asked for"), auto_now_add=True)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    claim = models.UUIDField(_("who writes it"), default=uuid4, editable=False)
    beat_at = models.DateTimeField(_("last sign of life"), null=True, blank=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    rows_done = models.PositiveBigIntegerField(_("rows written"), default=0)
    rows_all = models.PositiveBigIntegerField(_("rows in all"), default=0)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        indexes = [
            models.Index(name="export_waiting", fields=["id"], condition=Q(state__in=["waiting", "running"])),
            models.Index(name="export_done", fields=["ended_at"], condition=Q(state="done")),
        ]
        constraints = [
            models.CheckConstraint(name="export_form_known", condition=Q(form__in=["csv", "xlsx"])),
            models.CheckConstraint(
                name="export_state_known", condition=Q(state__in=["waiting", "running", "done", "failed", "deleted"])
            ),
            models.CheckConstraint(
                name="export_end_has_time",
                condition=Q(state__in=["waiting", "running"], ended_at__isnull=True)
                | Q(state__in=["done", "failed", "deleted"], ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.made_at:%Y-%m-%d %H:%M}"
