"""Drafts of borders: what somebody draws before it is published as a boundary set.

A draft names only the regions that it changes. Every edit raises its version and leaves a row, so that whoever edits
an older version is refused and told what happened since.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.gis.db import models
from django.contrib.postgres.fields import ArrayField
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from network.models.regions import Boundary, BoundarySet, Level


class RegionDraft(models.Model):
    """One change of borders in the making. Triggers let its rows change only while it is open."""

    class Status(models.TextChoices):
        OPEN = "draft", _("draft")
        PUBLISHED = "published", _("published")
        ABANDONED = "abandoned", _("abandoned")

    name = models.CharField(_("name"), max_length=200)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("author"), db_index=False
    )
    version = models.IntegerField(_("version"), default=1)
    drawn = models.IntegerField(_("version of its shapes"), default=1)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.OPEN)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    changed_at = models.DateTimeField(_("changed"), auto_now_add=True)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("published by"),
        db_index=False,
    )
    boundary_set = models.OneToOneField(
        BoundarySet, models.PROTECT, null=True, blank=True, related_name="draft", verbose_name=_("boundary set")
    )

    class Meta:
        verbose_name = _("draft of borders")
        verbose_name_plural = _("drafts of borders")
        permissions = [("publish_regiondraft", "Can publish draft of borders")]
        indexes = [models.Index(name="region_draft_newest", fields=["status", "-changed_at"])]
        constraints = [
            models.CheckConstraint(
                name="region_draft_status_known", condition=Q(status__in=["draft", "published", "abandoned"])
            ),
            models.CheckConstraint(
                name="region_draft_published_has_its_set",
                condition=Q(
                    status="published",
                    boundary_set__isnull=False,
                    published_at__isnull=False,
                    published_by__isnull=False,
                )
                | (
                    ~Q(status="published")
                    & Q(boundary_set__isnull=True, published_at__isnull=True, published_by__isnull=True)
                ),
            ),
            models.CheckConstraint(name="region_draft_drawn_before", condition=Q(drawn__lte=models.F("version"))),
        ]

    def __str__(self) -> str:
        return self.name


class DraftShape(models.Model):
    """What becomes of one region. Without a polygon it is retired or only renamed.

    `base` is the latest boundary of the region when it was taken into the draft: another one since then is somebody
    else's work, which nobody overwrites unasked. `parent` is a code, since the parent may be new as well.
    """

    draft = models.ForeignKey(RegionDraft, models.CASCADE, related_name="shapes", verbose_name=_("draft"))
    code = models.CharField(_("code"), max_length=32)
    name = models.CharField(_("name"), max_length=100)
    level = models.SmallIntegerField(_("level"), choices=Level.choices)
    parent = models.CharField(_("code of the parent"), max_length=32, blank=True)
    retired = models.BooleanField(_("retired"), default=False)
    geom = models.MultiPolygonField(_("polygon"), srid=4326, null=True, blank=True, spatial_index=False)
    base = models.ForeignKey(
        Boundary, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("drawn over"), db_index=False
    )

    class Meta:
        verbose_name = _("shape of a draft")
        verbose_name_plural = _("shapes of drafts")
        constraints = [
            models.UniqueConstraint(name="draft_shape_once", fields=["draft", "code"]),
            models.CheckConstraint(name="draft_shape_level_known", condition=Q(level__in=Level.values)),
            models.CheckConstraint(
                name="draft_shape_retired_has_a_base", condition=Q(retired=False) | Q(geom=None, base__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class DraftAcceptance(models.Model):
    """Somebody takes a problem upon themselves, by name and with a reason. `problem` is made of what it looks like,
    so that one that looks otherwise afterwards is open again.
    """

    draft = models.ForeignKey(RegionDraft, models.CASCADE, related_name="acceptances", verbose_name=_("draft"))
    problem = models.CharField(_("problem"), max_length=32)
    kind = models.CharField(_("kind"), max_length=10)
    codes = ArrayField(models.CharField(max_length=32), verbose_name=_("codes"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("accepted by"), db_index=False
    )
    at = models.DateTimeField(_("accepted"))
    reason = models.CharField(_("reason"), max_length=500)

    class Meta:
        verbose_name = _("accepted problem")
        verbose_name_plural = _("accepted problems")
        constraints = [
            models.UniqueConstraint(name="draft_acceptance_once", fields=["draft", "problem"]),
            models.CheckConstraint(name="draft_acceptance_has_reason", condition=~Q(reason="")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {', '.join(self.codes)}"


class DraftEdit(models.Model):
    """One step from a version to the next. Rows are only ever added."""

    draft = models.ForeignKey(RegionDraft, models.CASCADE, related_name="edits", verbose_name=_("draft"))
    version = models.IntegerField(_("version"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"), db_index=False
    )
    at = models.DateTimeField(_("at"))
    op = models.CharField(_("what"), max_length=12)
    codes = ArrayField(models.CharField(max_length=32), verbose_name=_("codes"), default=list)
    detail = models.JSONField(_("details"), default=dict)

    class Meta:
        verbose_name = _("edit of a draft")
        verbose_name_plural = _("edits of drafts")
        constraints = [models.UniqueConstraint(name="draft_edit_once", fields=["draft", "version"])]

    def __str__(self) -> str:
        return f"{self.version} {self.op}"
