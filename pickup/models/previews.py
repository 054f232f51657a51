"""What a draft of borders would change for parcels and money: asked for here, worked out by a sweep or at once."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from network.models import RegionDraft


class ImpactPreview(models.Model):
    """One preview of a draft as it was drawn. The row is the queue, its progress and its result."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    draft = models.ForeignKey(RegionDraft, models.CASCADE, related_name="+", verbose_name=_("draft"))
    drawn = models.IntegerField(_("version of its shapes"))
    version = models.IntegerField(_("version"))
    since = models.DateTimeField(_("in force from"))
    is_now = models.BooleanField(_("in force at once"))
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("asked by"), db_index=False
    )
    asked_at = models.DateTimeField(_("asked"))
    status = models.CharField(_("status"), max_length=7, choices=Status.choices, default=Status.WAITING)
    done = models.IntegerField(_("addresses looked at"), default=0)
    total = models.IntegerField(_("addresses to look at"), default=0)
    seen_at = models.DateTimeField(_("last sign of work"), null=True, blank=True)
    message = models.CharField(_("why it failed"), max_length=200, blank=True)
    result = models.JSONField(_("result"), null=True, blank=True)

    class Meta:
        verbose_name = _("impact preview")
        verbose_name_plural = _("impact previews")
        indexes = [
            models.Index(name="impact_preview_waiting", fields=["id"], condition=Q(status__in=["waiting", "running"]))
        ]
        constraints = [
            models.CheckConstraint(
                name="impact_preview_status_known", condition=Q(status__in=["waiting", "running", "done", "failed"])
            ),
            models.CheckConstraint(
                name="impact_preview_done_has_a_result",
                condition=Q(status="done", result__isnull=False) | (~Q(status="done") & Q(result__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.draft_id} v{self.version} {self.status}"
