"""Where a delivery address lies: the place only. Its words belong to the order's recipient and can be erased."""

from __future__ import annotations

from django.contrib.gis.db import models
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GistIndex
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from network.models.regions import Region


class Address(models.Model):
    """A located address; `region` empty means nobody knows yet where it lies.

    `region_ids` is the chain of regions, deepest first, as it was when the address was located: it is stored and
    never recomputed, because fees follow it.
    """

    location = models.PointField(_("location, WGS 84"), srid=4326, null=True, blank=True, spatial_index=False)
    region = models.ForeignKey(Region, models.PROTECT, null=True, blank=True, related_name="+")
    region_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    source = models.CharField(_("found by"), max_length=20, blank=True, help_text=_("given, gazetteer, reviewer, …"))
    accuracy_m = models.FloatField(_("accuracy, m"), null=True, blank=True)
    given_lat = models.FloatField(_("latitude as given"), null=True, blank=True)
    given_lon = models.FloatField(_("longitude as given"), null=True, blank=True)
    given_datum = models.CharField(_("datum as given"), max_length=10, default="wgs84")
    located_at = models.DateTimeField(_("located"), null=True, blank=True)

    class Meta:
        verbose_name = _("address")
        verbose_name_plural = _("addresses")
        # What a moved border would change is found by place.
        indexes = [GistIndex(name="address_location", fields=["location"])]
        constraints = [
            models.CheckConstraint(
                name="address_region_starts_its_chain",
                condition=Q(region__isnull=True, region_ids__len=0)
                | Q(region__isnull=False, region_ids__len__gt=0, region=models.F("region_ids__0")),
            ),
            models.CheckConstraint(
                name="address_given_in_range",
                condition=Q(given_lat__isnull=True, given_lon__isnull=True)
                | Q(
                    given_lat__isnull=False,
                    given_lon__isnull=False,
                    given_lat__range=(-90, 90),
                    given_lon__range=(-180, 180),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"address {self.pk}"
