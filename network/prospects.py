"""What would be in force if a draft were published from a moment on: its shapes over the boundaries that stay.

Everything is asked for where the draft changes something, never for the whole country.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from django.db import connection
from numpy.typing import NDArray

from network import drawing, polygons
from network.models import DraftShape, Level, Region, RegionDraft
from network.polygons import Geometry

Box = tuple[float, float, float, float]  # west, south, east, north in degrees
NEW_ID = 2**62  # a region that has no number yet counts after all that have one


@dataclass(frozen=True)
class Place:
    """One region with its boundary, as it is or would be. `region_id` is None for one that is yet to be made."""

    code: str
    name: str
    level: Level
    parent: str  # a code, or empty
    path: str  # codes from the root down, joined by dots
    region_id: int | None
    geom: Geometry
    drafted: bool = False
    at_once: bool = True  # in force at the moment itself, and not only later


@dataclass(frozen=True)
class Shape:
    """One shape of a draft beside what the region is today. `old` is the boundary that it was drawn over."""

    row: DraftShape
    region: Region | None
    known_parent: str
    geom: Geometry | None
    old: Geometry | None
    latest_id: int | None  # of the region's newest boundary that has not ended
    began_here: bool = False  # the region was made by this draft, which is published

    @property
    def code(self) -> str:
        return self.row.code

    @property
    def level(self) -> Level:
        return Level(self.row.level)

    @property
    def is_stale(self) -> bool:
        """Somebody published this region since it was taken into the draft."""
        return self.row.base_id != self.latest_id

    @property
    def kind(self) -> str:
        if self.row.retired:
            return "retired"
        if self.region is None or self.began_here:
            return "new"
        if self.geom is None:
            return "renamed"
        return "changed" if self.row.base_id is not None else "returned"

    @cached_property
    def moved(self) -> list[Geometry]:
        """The area in which this shape changes what is in force."""
        if self.geom is None:
            return [] if not self.row.retired or self.old is None else list(shapely.get_parts(self.old))
        if self.old is None:
            return list(shapely.get_parts(self.geom))
        return drawing.areas_of(shapely.symmetric_difference(self.geom, self.old))


_LATEST = """
    SELECT DISTINCT ON (r.code) r.code, b.id FROM network_region r
    JOIN network_boundary b ON b.region_id = r.id AND upper_inf(b.valid)
    WHERE r.code = ANY (%s) ORDER BY r.code, lower(b.valid) DESC
"""
OLD = "SELECT id, ST_AsBinary(geom) FROM network_boundary WHERE id = ANY (%s)"
_DRAWN = "SELECT id, ST_AsBinary(geom) FROM network_draftshape WHERE draft_id = %s AND geom IS NOT NULL"
_MADE = """
    SELECT b.region_id FROM network_boundary b WHERE b.boundary_set_id = %s AND NOT EXISTS (
        SELECT FROM network_boundary older WHERE older.region_id = b.region_id AND lower(older.valid) < lower(b.valid))
"""
_IN_FORCE = """
    SELECT DISTINCT ON (b.id) r.code, r.name, b.level, coalesce(p.code, ''), r.path, r.id,
           b.valid @> %(since)s::timestamptz, ST_AsBinary(b.geom)
    FROM unnest(%(west)s::float8[], %(south)s::float8[], %(east)s::float8[], %(north)s::float8[])
        AS box(west, south, east, north)
    JOIN network_boundary b ON b.geom && ST_MakeEnvelope(box.west, box.south, box.east, box.north, 4326)
    JOIN network_region r ON r.id = b.region_id LEFT JOIN network_region p ON p.id = r.parent_id
    WHERE b.level = ANY (%(levels)s) AND b.valid && tstzrange(%(since)s, NULL)
"""
_BELOW = """
    SELECT DISTINCT ON (b.id) r.code, r.name, b.level, p.code, r.path, r.id, b.valid @> %(since)s::timestamptz,
           ST_AsBinary(b.geom)
    FROM network_region p JOIN network_region r ON r.parent_id = p.id JOIN network_boundary b ON b.region_id = r.id
    WHERE p.code = ANY (%(codes)s) AND b.valid && tstzrange(%(since)s, NULL)
"""
_BY_CODE = """
    SELECT DISTINCT ON (r.code) r.code, r.name, b.level, coalesce(p.code, ''), r.path, r.id,
           b.valid @> %(since)s::timestamptz, ST_AsBinary(b.geom)
    FROM network_region r JOIN network_boundary b ON b.region_id = r.id
    LEFT JOIN network_region p ON p.id = r.parent_id
    WHERE r.code = ANY (%(codes)s) AND b.valid && tstzrange(%(since)s, NULL) ORDER BY r.code, lower(b.valid) DESC
"""


def ask(statement: str, values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _place(row: tuple[Any, ...]) -> Place:
    code, name, level, parent, path, region_id, at_once, wkb = row
    return Place(code, name, Level(level), parent, path, region_id, shapely.from_wkb(bytes(wkb)), at_once=at_once)


def latest_of(codes: Iterable[str]) -> dict[str, int]:
    """Return for each region with a boundary that has not ended the id of it."""
    return dict(ask(_LATEST, [sorted(codes)]))


def in_force(boxes: Sequence[Box], levels: Iterable[int], *, since: datetime) -> list[Place]:
    """Return the boundaries whose boxes meet one of these, in force at that moment or later."""
    if not boxes:
        return []
    west, south, east, north = (list(side) for side in zip(*boxes, strict=True))
    sides = {"west": west, "south": south, "east": east, "north": north}
    return list(map(_place, ask(_IN_FORCE, {**sides, "levels": sorted(levels), "since": since})))


def by_code(codes: Iterable[str], *, since: datetime) -> dict[str, Place]:
    return {row[0]: _place(row) for row in ask(_BY_CODE, {"codes": sorted(codes), "since": since})}


@dataclass
class Prospect:
    """A draft read whole, and the state that it would make from `since` on."""

    draft: RegionDraft
    since: datetime
    shapes: dict[str, Shape] = field(default_factory=dict)

    @classmethod
    def of(cls, draft: RegionDraft, *, since: datetime) -> Prospect:
        rows = list(draft.shapes.defer("geom").order_by("level", "code"))
        drawn = {pk: shapely.from_wkb(bytes(wkb)) for pk, wkb in ask(_DRAWN, [draft.pk])}
        olds = {pk: shapely.from_wkb(bytes(wkb)) for pk, wkb in ask(OLD, [[row.base_id for row in rows]])}
        known = {
            region.code: region
            for region in Region.objects.filter(code__in=[row.code for row in rows]).select_related("parent")
        }
        latest = latest_of(row.code for row in rows)
        made = {pk for (pk,) in ask(_MADE, [draft.boundary_set_id])} if draft.boundary_set_id else set()
        prospect = cls(draft, since)
        for row in rows:
            region = known.get(row.code)
            parent = region.parent.code if region is not None and region.parent is not None else ""
            old = None if row.base_id is None else olds[row.base_id]
            is_first = region is not None and region.pk in made
            shape = Shape(row, region, parent, drawn.get(row.pk), old, latest.get(row.code), is_first)
            prospect.shapes[row.code] = shape
        return prospect

    @cached_property
    def replaced(self) -> set[str]:
        """Codes of regions whose boundary would end."""
        return {code for code, shape in self.shapes.items() if shape.geom is not None or shape.row.retired}

    @cached_property
    def drawn(self) -> list[Place]:
        """The regions that the draft draws, coarse ones first."""
        paths = self._paths
        return [
            Place(
                shape.code,
                shape.row.name,
                shape.level,
                shape.row.parent,
                paths[shape.code],
                shape.region.pk if shape.region else None,
                shape.geom,
                drafted=True,
            )
            for shape in self.shapes.values()
            if shape.geom is not None
        ]

    @cached_property
    def _paths(self) -> dict[str, str]:
        parents = {shape.row.parent for shape in self.shapes.values()}
        paths = dict(Region.objects.filter(code__in=parents - {""}).values_list("code", "path"))
        for shape in self.shapes.values():  # parents before their children
            above = f"{paths.get(shape.row.parent, shape.row.parent)}." if shape.row.parent else ""
            paths[shape.code] = shape.region.path if shape.region is not None else above + shape.code
        return paths

    @cached_property
    def moved(self) -> list[Geometry]:
        """The area in which an address may come to lie in another region, in polygons."""
        return [part for shape in self.shapes.values() for part in shape.moved]

    def boxes(self) -> list[Box]:
        """Boxes around what moves, one for each shape."""
        found = []
        for shape in self.shapes.values():
            if shape.moved:
                west, south, east, north = shapely.total_bounds(shape.moved).tolist()
                found.append((west, south, east, north))
        return found

    def staying(self, boxes: Sequence[Box], levels: Iterable[int]) -> list[Place]:
        """Boundaries near these boxes that the draft leaves as they are."""
        return [place for place in in_force(boxes, levels, since=self.since) if place.code not in self.replaced]

    def below(self, codes: Collection[str]) -> list[Place]:
        """What would hang directly under these regions: what stays, and what is drawn."""
        found = map(_place, ask(_BELOW, {"codes": sorted(codes), "since": self.since}))
        staying = [place for place in found if place.code not in self.replaced]
        return staying + [place for place in self.drawn if place.parent in codes]

    def would_be(self, codes: Iterable[str]) -> dict[str, Place]:
        """The would-be boundaries of these regions; one that has none is left out."""
        asked = set(codes)
        found = by_code(asked - self.replaced, since=self.since)
        return found | {place.code: place for place in self.drawn if place.code in asked}

    @cached_property
    def before(self) -> list[Place]:
        """All boundaries around what moves as they are in force at the moment without the draft."""
        return [place for place in in_force(self.boxes(), Level.values, since=self.since) if place.at_once]

    @cached_property
    def after(self) -> list[Place]:
        """The same with the draft."""
        return [place for place in self.before if place.code not in self.replaced] + self.drawn


def deepest(places: Sequence[Place], lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return for each location the number of the deepest place that covers it, ties by lowest id (R2); -1 for none.

    As `network.regions.covering`, of boundaries that are not in force yet.
    """
    best = np.full(len(lon), -1, dtype=np.intp)
    if not len(places) or not len(lon):
        return best
    tree = shapely.STRtree(shapely.points(lon, lat))
    geoms = [place.geom for place in places]
    rank = sorted(range(len(places)), key=lambda n: (-places[n].level, places[n].region_id or NEW_ID, n))
    # From the deepest on, so that a location that has been found is never looked at again.
    for number in rank:
        inside = tree.query(geoms[number], predicate="covers")
        free = inside[best[inside] < 0]
        best[free] = number
    return best


def area_m2(parts: Iterable[Geometry]) -> float:
    return sum(polygons.area_m2(part) for part in parts)
