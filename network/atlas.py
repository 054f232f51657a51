"""What an administrator looks up about regions: by name, by level, and everything that hangs on one of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from network import geocoding
from network.models import Appointment, Boundary, Level, Region, ServicePoint

MOST_FOUND = 8
MOST_SHOWN = 50  # children and points of a region on its page; the list has them all

Box = tuple[float, float, float, float]  # west, south, east, north in degrees


@dataclass(frozen=True)
class Found:
    """A region that a search came upon, with the names of those above it, coarsest first."""

    region: Region
    above: tuple[str, ...]
    alias: str  # by which it was found, or ""


# From the surest to the least sure: the code, the whole name, its beginning, a part of it, something like it. Two
# characters of Chinese make no trigram of their own, so that the parts are compared as they are.
_SEARCH = """
    SELECT id, alias FROM (
        SELECT DISTINCT ON (id) id, level, alias, code, CASE
                   WHEN code = %(text)s THEN 0 WHEN name = %(text)s THEN 1
                   WHEN starts_with(name, %(text)s) THEN 2 WHEN starts_with(code, %(text)s) THEN 3
                   WHEN strpos(lower(name), lower(%(text)s)) > 0 THEN 4
                   ELSE 6 - similarity(name, %(text)s) END AS doubt
        FROM (SELECT id, level, code, name, '' AS alias FROM network_region
              UNION ALL
              SELECT r.id, r.level, r.code, a.name, a.name FROM network_regionalias a
              JOIN network_region r ON r.id = a.region_id) known
        WHERE starts_with(code, %(text)s) OR strpos(lower(name), lower(%(text)s)) > 0
           OR similarity(name, %(text)s) > 0.3
        ORDER BY id, doubt
    ) best ORDER BY doubt, level, code LIMIT %(most)s
"""


def search(text: str, *, at: datetime, most: int = MOST_FOUND) -> list[Found]:
    """Return the regions that go by this name, alias or code, the surest first.

    Where none does, the text is read as an address, so that names in pinyin and whole addresses find theirs too.
    """
    text = text.strip()[:100].replace("\x00", "")
    if not text:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_SEARCH, {"text": text, "most": most})
        aliases = dict(cursor.fetchall())
    if not aliases:
        chain = geocoding.locate([geocoding.Query(text)], at=at)[0].region_ids
        aliases = dict.fromkeys(chain[:1], "")
    return [Found(region, above, aliases[region.pk]) for region, above in _with_names_above(list(aliases))]


def _with_names_above(ids: list[int]) -> list[tuple[Region, tuple[str, ...]]]:
    found = Region.objects.in_bulk(ids)
    codes = {code for region in found.values() for code in region.path.split(".")}
    names = dict(Region.objects.filter(code__in=codes).values_list("code", "name"))
    return [
        (found[pk], tuple(names[code] for code in found[pk].path.split(".")[:-1] if code in names))
        for pk in ids
        if pk in found
    ]


def chain_of(region: Region) -> list[Region]:
    """Return the regions above this one and itself, the coarsest first."""
    return list(Region.objects.filter(code__in=region.path.split(".")).order_by("level"))


def with_holder(rows: QuerySet[Region], *, at: datetime) -> QuerySet[Region]:
    """Add to each region who is appointed to it at that time (`holder`, empty if vacant) and how many children."""
    held = Appointment.objects.filter(region=OuterRef("pk"), valid__contains=at)
    below = Region.objects.filter(parent=OuterRef("pk")).order_by().values("parent").annotate(n=Count("pk"))
    return rows.annotate(
        holder=Subquery(held.values("agent__name")[:1]), below=Subquery(below.values("n")), held=Exists(held)
    )


def listed(
    *, at: datetime, level: Level | None = None, parent: Region | None = None, vacant: bool = False, text: str = ""
) -> QuerySet[Region]:
    """Return the regions of the list, in the order of the tree."""
    rows = Region.objects.select_related("parent")
    if level is not None:
        rows = rows.filter(level=level)
    if parent is not None:
        rows = rows.filter(Q(path=parent.path) | Q(path__startswith=f"{parent.path}."))
    if vacant:
        rows = rows.exclude(pk__in=Appointment.objects.filter(valid__contains=at).values("region"))
    if text:
        rows = rows.filter(pk__in=[found.region.pk for found in search(text, at=at, most=200)])
    return with_holder(rows, at=at).order_by("path")


# Everything below a region has a path that begins with its own and a dot; the slash is the next character.
_POINT_COUNTS = """
    SELECT r.id, count(p.id), count(p.id) FILTER (WHERE p.status = 'active')
    FROM network_region r
    JOIN network_region below ON below.id = r.id
                              OR below.path ~>=~ (r.path || '.') AND below.path ~<~ (r.path || '/')
    JOIN network_servicepoint p ON p.region_id = below.id
    WHERE r.id = ANY (%s) GROUP BY r.id
"""


def point_counts(region_ids: list[int]) -> dict[int, tuple[int, int]]:
    """Return how many points lie in each region, and how many of them are active. Those without any are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_POINT_COUNTS, [region_ids])
        return {region_id: (points, active) for region_id, points, active in cursor.fetchall()}


def points_in(region: Region) -> QuerySet[ServicePoint]:
    """The service points whose place lies in the region or below it."""
    inside = Region.objects.filter(Q(pk=region.pk) | Q(path__startswith=f"{region.path}."))
    return ServicePoint.objects.filter(region__in=inside.values("pk"))


@dataclass(frozen=True)
class Points:
    """The service points of a region: how many by status, how many paused, and the room of the active ones."""

    by_status: dict[str, int]
    paused: int
    capacity: int

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


_POINTS = """
    SELECT p.status, count(*), count(pause.id), coalesce(sum(p.capacity), 0)
    FROM network_servicepoint p
    LEFT JOIN network_pause pause ON p.status = 'active' AND pause.service_point_id = p.id AND pause.period @> %(at)s
    WHERE p.region_id IN (SELECT id FROM network_region
                          WHERE id = %(id)s OR path ~>=~ (%(path)s || '.') AND path ~<~ (%(path)s || '/'))
    GROUP BY p.status
"""


def points_of(region: Region, *, at: datetime) -> Points:
    with connection.cursor() as cursor:
        cursor.execute(_POINTS, {"at": at, "id": region.pk, "path": region.path})
        rows = {status: (number, paused, capacity) for status, number, paused, capacity in cursor.fetchall()}
    _number, paused, capacity = rows.get(ServicePoint.Status.ACTIVE, (0, 0, 0))
    return Points({status: row[0] for status, row in rows.items()}, paused, capacity)


def boundary_of(region: Region, *, at: datetime) -> Boundary | None:
    """The boundary in force at that time, without its polygon, or None."""
    rows = Boundary.objects.filter(region=region, valid__contains=at)
    return rows.select_related("boundary_set").defer("geom", "inside").first()


# A region without a boundary of its own reaches as far as its children. The coarse outlines are near enough.
_BOX = """
    SELECT ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box) FROM (
        SELECT ST_Transform(ST_SetSRID(ST_Extent(o.geom)::geometry, 3857), 4326) AS box
        FROM network_region r JOIN network_boundary b ON b.region_id = r.id AND b.valid @> %(at)s
        JOIN network_outline o ON o.boundary_id = b.id AND o.zoom = 4
        WHERE {condition}
    ) extent WHERE box IS NOT NULL
"""


def box_of(region: Region | None, *, at: datetime) -> Box | None:
    """Return the box around a region, or around all of them; None where nothing has a boundary at that time."""
    conditions = ["r.id = %(id)s", "r.parent_id = %(id)s"] if region else ["true"]
    with connection.cursor() as cursor:
        for condition in conditions:
            cursor.execute(_BOX.format(condition=condition), {"at": at, "id": region.pk if region else None})
            found = cursor.fetchone()
            if found:
                west, south, east, north = (round(degrees, 6) for degrees in found)
                return (west, south, east, north)
    return None


def facts_of(region: Region, *, at: datetime) -> dict[str, Any]:
    """Everything of a region that this package knows, for its page. `at` decides who is appointed and what is drawn."""
    appointments = list(region.appointments.select_related("agent").order_by("-valid"))
    return {
        "region": region,
        "chain": chain_of(region),
        "children": list(with_holder(region.children.all(), at=at).order_by("code")[: MOST_SHOWN + 1]),
        "holders": [row for row in appointments if row.valid.lower <= at < row.valid.upper],
        "later": [row for row in appointments if row.valid.lower > at],
        "earlier": [row for row in appointments if row.valid.upper <= at],
        "aliases": list(region.aliases.order_by("name")),
        "boundary": boundary_of(region, at=at),
        "box": box_of(region, at=at),
    }


def levels() -> list[Level]:
    """Return the levels that have regions, the coarsest first."""
    return [Level(level) for level in Region.objects.order_by("level").values_list("level", flat=True).distinct()]


def vacancies(*, at: datetime) -> list[tuple[Level, int, int]]:
    """Return for each level that has regions how many there are and how many of them nobody is appointed to."""
    held = Count("appointments", filter=Q(appointments__valid__contains=at))
    rows = Region.objects.values_list("level").annotate(number=Count("pk", distinct=True), held=held).order_by("level")
    return [(Level(level), number, number - held) for level, number, held in rows]


# Small enough for a page: the coarsest outline that is not much coarser than the region is wide.
_OUTLINES = """
    SELECT r.id, r.name, ST_AsGeoJSON(ST_Transform(o.geom, 4326), 5)
    FROM network_region r JOIN network_boundary b ON b.region_id = r.id AND b.valid @> %s
    JOIN network_outline o ON o.boundary_id = b.id
         AND o.zoom = CASE WHEN b.radius_m > 300000 THEN 6 WHEN b.radius_m > 30000 THEN 8 ELSE 10 END
    WHERE r.id = ANY (%s) ORDER BY r.level, r.id
"""


def outlines(region_ids: list[int], *, at: datetime) -> dict[str, Any]:
    """Return the simplified boundaries in force of a few regions, as a GeoJSON collection in degrees."""
    with connection.cursor() as cursor:
        cursor.execute(_OUTLINES, [at, region_ids])
        features = [
            {"type": "Feature", "id": pk, "properties": {"name": name}, "geometry": json.loads(geometry)}
            for pk, name, geometry in cursor.fetchall()
        ]
    return {"type": "FeatureCollection", "features": features}
