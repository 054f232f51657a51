"""What geocoders outside answered, and how they do."""

from __future__ import annotations

from django.contrib.gis.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class GeocodedPlace(models.Model):
    """What one geocoder said about a text. The text itself is nowhere: `key` is a keyed hash that nobody can read.

    Without a location the geocoder does not know the address. After `valid_until` it is asked again; the row stays
    until `kept_until`, so that an answer that moves is noticed. `moved_from` is the place that it named before, if that
    was somewhere else: until somebody decides, neither is believed.
    """

    geocoder = models.CharField(_("geocoder"), max_length=30)
    key = models.BinaryField(_("keyed hash of the text"), max_length=32, editable=False)
    location = models.PointField(_("location, WGS 84"), srid=4326, null=True, blank=True, spatial_index=False)
    accuracy_m = models.FloatField(_("accuracy, m"), null=True, blank=True)
    moved_from = models.PointField(_("said before, WGS 84"), srid=4326, null=True, blank=True, spatial_index=False)
    answered_at = models.DateTimeField(_("answered"))
    valid_until = models.DateTimeField(_("valid until"))
    kept_until = models.DateTimeField(_("kept until"), db_index=True)

    class Meta:
        verbose_name = _("geocoded place")
        verbose_name_plural = _("geocoded places")
        constraints = [
            models.UniqueConstraint(name="geocoded_place_once", fields=["key", "geocoder"]),
            models.CheckConstraint(
                name="geocoded_place_accuracy",
                condition=Q(location__isnull=True, accuracy_m__isnull=True)
                | Q(location__isnull=False, accuracy_m__gt=0, accuracy_m__isnull=False),
            ),
            models.CheckConstraint(
                name="geocoded_place_is_kept",
                condition=Q(valid_until__gt=F("answered_at")) & Q(kept_until__gte=F("valid_until")),
            ),
            models.CheckConstraint(
                name="geocoded_place_moved_from_a_place",
                condition=Q(moved_from__isnull=True) | Q(location__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.geocoder} {self.pk}"


class GeocoderState(models.Model):
    """How one geocoder does, shared by all processes: its pace, and whether it is left alone for a while."""

    name = models.CharField(_("name"), max_length=30, primary_key=True)
    free_at = models.DateTimeField(_("next question"), help_text=_("questions before that moment are given away"))
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    pauses = models.PositiveIntegerField(_("pauses in a row"), default=0)
    paused_until = models.DateTimeField(_("left alone until"), null=True, blank=True)
    trial_until = models.DateTimeField(_("one process tries it until"), null=True, blank=True)
    last_outcome = models.CharField(_("last answer"), max_length=20, blank=True)
    answered_at = models.DateTimeField(_("last good answer"), null=True, blank=True)

    class Meta:
        verbose_name = _("geocoder")
        verbose_name_plural = _("geocoders")

    def __str__(self) -> str:
        return self.name
