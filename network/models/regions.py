"""Regions and their dated boundaries.

A region is what it is called and where it hangs in the tree; it keeps its id for life. Its boundary is a row of
its own with a period, brought by a boundary set, so that a border may move without touching what was appointed,
assigned or paid under the old one.
"""

from __future__ import annotations

from django.contrib.gis.db import models
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.contrib.postgres.indexes import GistIndex
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from network.models.history import kept


class Level(models.IntegerChoices):
    """From coarse to fine; a larger number is deeper."""

    MACRO = 1, _("macro-region")
    PROVINCE = 2, _("province")
    CITY = 3, _("city")
    DISTRICT = 4, _("district")
    CUSTOM = 5, _("custom")


@kept()
class Region(models.Model):
    class Overflow(models.TextChoices):
        """Who helps out when no point can take a parcel within the region that must serve it."""

        NEVER = "never", _("nobody: a person decides")
        PARENT = "parent", _("points of the region above")
        REACH = "reach", _("any point in reach")

    code = models.CharField(_("code"), max_length=32, unique=True, help_text=_("GB/T 2260 where there is one"))
    name = models.CharField(_("name"), max_length=100)
    level = models.SmallIntegerField(_("level"), choices=Level.choices)
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children", verbose_name=_("parent")
    )
    path = models.CharField(_("path"), max_length=200, unique=True, help_text=_("codes from the root, joined by dots"))
    network_level = models.SmallIntegerField(
        _("served within"),
        choices=Level.choices,
        null=True,
        blank=True,
        help_text=_("addresses here are served only by points in the same region of this level; empty: by any"),
    )

    overflow = models.CharField(
        _("when all are full"),
        max_length=6,
        choices=Overflow.choices,
        default=Overflow.NEVER,
        db_default=Overflow.NEVER,
        help_text=_("who takes parcels for addresses here when no point of “served within” can"),
    )

    class Meta:
        verbose_name = _("region")
        verbose_name_plural = _("regions")
        indexes = [
            models.Index(name="region_path_prefix", fields=["path"], opclasses=["varchar_pattern_ops"]),
            models.Index(name="region_name", fields=["name"]),
        ]
        constraints = [
            models.CheckConstraint(name="region_level_known", condition=Q(level__in=Level.values)),
            models.CheckConstraint(
                name="region_overflow_goes_beyond_a_network",
                condition=Q(overflow="never") | Q(overflow__in=["parent", "reach"], network_level__isnull=False),
            ),
            models.CheckConstraint(name="region_code_plain", condition=Q(code__regex=r"^[0-9A-Za-z_-]+$")),
            models.CheckConstraint(
                name="region_not_its_own_parent", condition=Q(parent__isnull=True) | ~Q(parent=F("id"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.code}"


@kept(about="region")
class RegionAlias(models.Model):
    """Another name by which people write a region: an old name, a development zone, a merged district.

    The gazetteer reads this table and nothing else beside the official names. China's well-known ones are put in when
    its regions are loaded (`network.placenames.known_aliases`); from then on they are the administrators'.
    """

    class Kind(models.TextChoices):
        FORMER = "former", _("former name, or of a region merged into it")
        ZONE = "zone", _("development zone inside it")
        USUAL = "usual", _("usual or short name")
        FOREIGN = "foreign", _("name in another language")

    region = models.ForeignKey(Region, models.CASCADE, related_name="aliases", verbose_name=_("region"))
    name = models.CharField(
        _("name"),
        max_length=100,
        help_text=_(
            "as people write it; a zone begins with its city: 苏州高新区, "
            "so that 高新区 is understood where the city is known"
        ),
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.USUAL)

    class Meta:
        verbose_name = _("alias of a region")
        verbose_name_plural = _("aliases of regions")
        constraints = [
            models.UniqueConstraint(name="region_alias_once", fields=["region", "name"]),
            models.CheckConstraint(
                name="region_alias_kind_known", condition=Q(kind__in=["former", "zone", "usual", "foreign"])
            ),
            models.CheckConstraint(
                name="region_alias_is_a_name",
                condition=Q(name__regex=r"^\S(.*\S)?$"),
                violation_error_message=_("A name begins and ends with something else than a space."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


@kept()
class BoundarySet(models.Model):
    """A dated generation of polygons: what one file or one drawing session brought."""

    name = models.CharField(_("name"), max_length=200)
    source = models.CharField(_("source"), max_length=200, help_text=_("file or package and its version"))
    datum = models.CharField(_("datum of the source"), max_length=10, default="wgs84")
    valid_from = models.DateTimeField(_("in force from"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    points_placed_at = models.DateTimeField(
        _("service points moved"), null=True, blank=True, help_text=_("to the regions in which they lie since this set")
    )

    class Meta:
        verbose_name = _("boundary set")
        verbose_name_plural = _("boundary sets")
        indexes = [
            # The row is the queue: what waits to come into force, or for its points to be moved.
            models.Index(name="boundary_set_waiting", fields=["valid_from"], condition=Q(points_placed_at=None))
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.valid_from:%Y-%m-%d})"


class Boundary(models.Model):
    """One region's polygon in WGS 84 during a period. Valid polygons only; see `network.regions` for what is refused.

    `inside` is a point surely inside; `radius_m` the distance from it to the farthest vertex: the accuracy of an
    address of which only this region is known.
    """

    region = models.ForeignKey(Region, models.PROTECT, related_name="boundaries", verbose_name=_("region"))
    boundary_set = models.ForeignKey(
        BoundarySet, models.PROTECT, related_name="boundaries", verbose_name=_("boundary set")
    )
    level = models.SmallIntegerField(_("level"), choices=Level.choices)  # copied, for the lookup's one index scan
    valid = DateTimeRangeField(_("in force"))
    geom = models.MultiPolygonField(_("polygon"), srid=4326, spatial_index=False)
    inside = models.PointField(_("a point inside"), srid=4326, spatial_index=False)
    radius_m = models.FloatField(_("radius, m"))

    class Meta:
        verbose_name = _("boundary")
        verbose_name_plural = _("boundaries")
        indexes = [GistIndex(name="boundary_geom_valid", fields=["geom", "valid"])]
        constraints = [
            ExclusionConstraint(
                name="boundary_one_at_a_time",
                expressions=[("region", RangeOperators.EQUAL), ("valid", RangeOperators.OVERLAPS)],
            ),
            models.CheckConstraint(
                name="boundary_valid_half_open",
                condition=Q(valid__isempty=False) & Q(valid__lower_inc=True) & Q(valid__upper_inc=False),
            ),
            models.CheckConstraint(name="boundary_radius_positive", condition=Q(radius_m__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.region_id} {self.valid}"


class BoundaryOverlap(models.Model):
    """A sliver that two neighbours of one level share and that was small enough to be accepted."""

    first = models.ForeignKey(Boundary, models.CASCADE, related_name="+", verbose_name=_("first"))
    second = models.ForeignKey(Boundary, models.CASCADE, related_name="+", verbose_name=_("second"))
    area_m2 = models.FloatField(_("area, m²"))

    class Meta:
        verbose_name = _("accepted overlap")
        verbose_name_plural = _("accepted overlaps")
        constraints = [
            models.UniqueConstraint(name="boundary_overlap_once", fields=["first", "second"]),
            models.CheckConstraint(name="boundary_overlap_ordered", condition=Q(first__lt=F("second"))),
        ]

    def __str__(self) -> str:
        return f"{self.first_id} × {self.second_id}: {self.area_m2:.1f} m²"
