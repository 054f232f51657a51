"""What the map draws from: copies that the database keeps by itself, so that a tile costs little at any size.

Both tables follow from others by triggers (migration 0004) and hold nothing of their own. Nobody else writes them.
"""

from __future__ import annotations

from django.contrib.gis.db import models
from django.contrib.postgres.indexes import GistIndex
from django.utils.translation import gettext_lazy as _

from network.models.regions import Boundary, Level


class Outline(models.Model):
    """A boundary as it is drawn up to a zoom, in Web Mercator: what differs by less than half a pixel is left out."""

    boundary = models.ForeignKey(
        Boundary, models.CASCADE, related_name="outlines", verbose_name=_("boundary"), db_index=False
    )
    level = models.SmallIntegerField(_("level"), choices=Level.choices)  # copied, for the tile's one index scan
    zoom = models.SmallIntegerField(_("up to zoom"))
    geom = models.MultiPolygonField(_("polygon"), srid=3857, spatial_index=False)

    class Meta:
        verbose_name = _("outline on the map")
        verbose_name_plural = _("outlines on the map")
        indexes = [GistIndex(name="outline_zoom_level_geom", fields=["zoom", "level", "geom"])]
        constraints = [models.UniqueConstraint(name="outline_once", fields=["boundary", "zoom"])]

    def __str__(self) -> str:
        return f"{self.boundary_id} ≤ {self.zoom}"


class PointCell(models.Model):
    """How many service points lie in one of the 16 × 16 cells of a tile, by status.

    `x_sum` and `y_sum` add up the places of all of them, in 2⁻³⁰ of the world's width in Web Mercator from its
    north-west corner: whole numbers, so that what is taken away leaves nothing behind.
    """

    zoom = models.SmallIntegerField(_("zoom"))
    tile_x = models.IntegerField(_("tile, column"))
    tile_y = models.IntegerField(_("tile, row"))
    cell = models.SmallIntegerField(_("cell in the tile"))  # 16 × row + column, from its north-west corner
    proposed = models.IntegerField(_("proposed"))
    active = models.IntegerField(_("active"))
    suspended = models.IntegerField(_("suspended"))
    closed = models.IntegerField(_("closed"))
    x_sum = models.BigIntegerField(_("sum of places, x"))
    y_sum = models.BigIntegerField(_("sum of places, y"))

    class Meta:
        verbose_name = _("cell of the map")
        verbose_name_plural = _("cells of the map")
        constraints = [
            models.UniqueConstraint(name="point_cell_once", fields=["zoom", "tile_x", "tile_y", "cell"]),
        ]

    def __str__(self) -> str:
        return f"{self.zoom}/{self.tile_x}/{self.tile_y} {self.cell}"
