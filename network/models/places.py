"""What reviewers decided about address texts, so that nobody has to decide it twice."""

from __future__ import annotations

from django.conf import settings
from django.contrib.gis.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from network.models.history import kept


@kept(hidden=("key", "location", "overruled", "used", "kept_until"))
class ConfirmedPlace(models.Model):
    """Where a text lies, as a reviewer said. The text itself is nowhere: `key` is a keyed hash that nobody can read.

    Its region is not kept: it is looked up at each use, so that new boundaries need no change here. `overruled` are
    the coordinates that came with the text and that the reviewer set aside.
    """

    key = models.BinaryField(_("keyed hash of the text"), max_length=32, unique=True, editable=False)
    location = models.PointField(_("location, WGS 84"), srid=4326, spatial_index=False)
    accuracy_m = models.FloatField(_("accuracy, m"))
    overruled = models.MultiPointField(
        _("coordinates set aside"), srid=4326, null=True, blank=True, spatial_index=False
    )
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("confirmed by")
    )
    confirmed_at = models.DateTimeField(_("confirmed"))
    used = models.PositiveIntegerField(_("orders located by it"), default=0)
    kept_until = models.DateTimeField(_("kept until"), db_index=True)

    class Meta:
        verbose_name = _("confirmed place")
        verbose_name_plural = _("confirmed places")
        constraints = [
            models.CheckConstraint(name="confirmed_place_accuracy", condition=Q(accuracy_m__gt=0)),
            models.CheckConstraint(name="confirmed_place_is_kept", condition=Q(kept_until__gt=F("confirmed_at"))),
        ]

    def __str__(self) -> str:
        return f"place {self.pk}"
