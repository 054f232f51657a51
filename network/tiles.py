"""Vector tiles of regions and service points, made by PostGIS (Mapbox Vector Tile 2.1, extent 4096).

Zoomed out, both come from copies that the database keeps (`network.models.maps`): simplified outlines, and points
counted by cell. How full a point is depends on parcels, of which this package knows nothing, so it is handed in.
No tile takes longer than `PATIENCE_MS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import OperationalError, connection, transaction

from network.models import Level

MAX_ZOOM = 20
PATIENCE_MS = 3_000
CELL_ZOOM = 10  # up to here points are counted by cell; nearer they are drawn one by one,
FILLING = 0.7  # of the capacity
MOST_SINGLES = 2_000  # unless one tile has more of them
OUTLINE_ZOOMS = (4, 6, 8, 10)  # as in migration 0004; nearer, the boundary itself is drawn

# The coarsest zoom at which each level is what the map shows.
SHOWN_FROM = {Level.MACRO: 0, Level.PROVINCE: 4, Level.CITY: 6, Level.DISTRICT: 8, Level.CUSTOM: 12}

HeldAt = Callable[[Iterable[int]], Mapping[int, int]]
FullPoints = Callable[[], Iterable[int]]


class NoSuchTile(Exception):
    """There is no such zoom, or no such place in it."""


class TooMuch(Exception):
    """The tile has so much in it that the database gave up; nearer ones have less."""


class Show(StrEnum):
    """Which points are asked for. Paused and full are active ones that take no parcels now."""

    ALL = "all"
    ACTIVE = "active"
    PAUSED = "paused"
    FULL = "full"
    SUSPENDED = "suspended"
    PROPOSED = "proposed"
    CLOSED = "closed"


@dataclass(frozen=True)
class Tile:
    zoom: int
    x: int
    y: int

    def __post_init__(self) -> None:
        if not (0 <= self.zoom <= MAX_ZOOM and 0 <= self.x < 2**self.zoom and 0 <= self.y < 2**self.zoom):
            raise NoSuchTile


def level_at(zoom: int) -> Level:
    """Return the level that the map shows at a zoom where nobody asked for another."""
    return max(level for level, first in SHOWN_FROM.items() if zoom >= first)


@contextmanager
def _patience() -> Iterator[None]:
    """A transaction whose statements end after the patience of somebody who moves a map. Raises TooMuch."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                # One round trip for both. Compiling a plan would take longer than most tiles do.
                cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS:d}; SET LOCAL jit = off")
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == "57014":
            raise TooMuch from error
        raise


def _ask(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, dict(values))
        return list(cursor.fetchall())


def run(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run one statement that never takes longer than somebody waits. Raises TooMuch."""
    with _patience():
        return _ask(statement, values)


def _mvt(statement: str, values: Mapping[str, Any]) -> bytes:
    return b"".join(bytes(layer) for layer in _ask(statement, values)[0] if layer)


# What is drawn of a tile is a little wider than the tile itself, so that no border shows where two tiles meet.
_BOX = """
    box AS MATERIALIZED (
        SELECT ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s) AS own,
               ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s, margin => 64.0 / 4096) AS wide,
               ST_Transform(ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s, margin => 64.0 / 4096), 4326) AS degrees
    )"""

_LEAF = "NOT EXISTS (SELECT FROM network_region child WHERE child.parent_id = {0})"

# Written so that the planner, which knows nothing of what was loaded a moment ago, can only go the good way: OFFSET 0
# keeps each step where it stands. GiST wants the very type of its column, and one level at a time.
_OUTLINES = """
    shape AS MATERIALIZED (
        SELECT b.region_id, o.level = ANY (%(mains)s) OR {leaf} AS main, o.geom, b.inside, b.radius_m
        FROM unnest(%(levels)s::smallint[]) AS wanted(level)
        CROSS JOIN LATERAL (
            SELECT * FROM network_outline o WHERE o.zoom = %(outline)s::smallint AND o.level = wanted.level
            AND o.geom && (SELECT wide FROM box) OFFSET 0
        ) o
        JOIN network_boundary b ON b.id = o.boundary_id AND b.valid @> %(at)s::timestamptz
        WHERE o.level >= %(near)s OR {leaf}
    )"""

# Cut to the tile before it is transformed: a boundary may have 100,000 vertices and a tile a handful of them.
_BOUNDARIES = """
    shape AS MATERIALIZED (
        SELECT b.region_id, b.level = ANY (%(mains)s) OR {leaf} AS main, b.inside, b.radius_m,
               ST_Transform(ST_ClipByBox2D(b.geom, (SELECT degrees FROM box)::box2d), 3857) AS geom
        FROM network_boundary b
        WHERE b.geom && (SELECT degrees FROM box) AND b.valid @> %(at)s::timestamptz AND b.level = ANY (%(levels)s)
          AND (b.level >= %(near)s OR {leaf})
    )"""

# A region without a boundary of its own, such as a macro-region, is drawn as its children together. Its name
# stands in the largest of them.
_BARE = """
    bare AS MATERIALIZED (
        SELECT r.id, r.code, r.name, r.level, b.id AS boundary_id, b.inside, b.radius_m
        FROM (SELECT * FROM network_region r WHERE r.level = ANY (%(bare)s) AND NOT EXISTS (
                  SELECT FROM network_boundary own
                  WHERE own.region_id = r.id AND own.valid @> %(at)s::timestamptz) OFFSET 0) r
        JOIN network_region child ON child.parent_id = r.id
        CROSS JOIN LATERAL (SELECT * FROM network_boundary b
                            WHERE b.region_id = child.id AND b.valid @> %(at)s::timestamptz OFFSET 0) b
    )"""

_VACANT = """%(vacancies)s AND NOT EXISTS (SELECT FROM network_appointment a
                         WHERE a.region_id = {0}.id AND a.valid @> %(at)s::timestamptz)"""

_REGIONS = f"""
    WITH {_BOX}, {{shape}}, {_BARE},
    drawn AS (
        SELECT r.id, r.code, r.name, r.level, false AS part, shape.main, shape.geom
        FROM shape JOIN network_region r ON r.id = shape.region_id
        UNION ALL
        SELECT bare.id, bare.code, bare.name, bare.level, true, bare.level = ANY (%(mains)s), o.geom
        FROM bare CROSS JOIN LATERAL (
            SELECT * FROM network_outline o
            WHERE o.boundary_id = bare.boundary_id AND o.zoom = %(bare_outline)s OFFSET 0
        ) o WHERE o.geom && (SELECT wide FROM box)
    ), named AS (
        SELECT r.id, r.code, r.name, r.level, shape.inside, shape.radius_m
        FROM shape JOIN network_region r ON r.id = shape.region_id WHERE shape.main
        UNION ALL
        (SELECT DISTINCT ON (id) id, code, name, level, inside, radius_m FROM bare WHERE level = ANY (%(mains)s)
         ORDER BY id, radius_m DESC)
    ), shown AS (
        SELECT *, {_VACANT.format("drawn")} AS vacant FROM drawn
    ), told AS (
        SELECT *, {_VACANT.format("named")} AS vacant, ST_Transform(inside, 3857) AS place FROM named
    )
    SELECT (SELECT ST_AsMVT(row, 'regions', 4096, 'geom', 'id') FROM (
                SELECT id, code, name, level, part, main, vacant,
                       ST_AsMVTGeom(geom, (SELECT own FROM box), 4096, 64) AS geom
                FROM shown WHERE vacant OR NOT main OR NOT %(vacant_only)s) row),
           (SELECT ST_AsMVT(row, 'names', 4096, 'geom', 'id') FROM (
                SELECT id, code, name, level, vacant, round(radius_m)::int AS radius_m,
                       ST_AsMVTGeom(place, (SELECT own FROM box), 4096, 0) AS geom
                FROM told WHERE place && (SELECT own FROM box) AND (vacant OR NOT %(vacant_only)s)) row)
"""  # noqa: S608 (only constants of this module)


def regions(
    tile: Tile, *, at: datetime, level: Level | None = None, vacant_only: bool = False, vacancies: bool = True
) -> bytes:
    """Return the layers `regions` (polygons) and `names` (points) with the boundaries in force at that time.

    The level asked for, or the one that fits the zoom, is `main`; the next coarser is there for its borders. A
    region that is not divided any further stays main, and with custom regions, which cover little, their districts
    do. `vacant`: nobody is appointed at that time; never, where the reader shall not see `vacancies`.
    """
    main = level or level_at(tile.zoom)
    levels = [main] if main == Level.MACRO else [main - 1, main]
    outline = next((zoom for zoom in OUTLINE_ZOOMS if tile.zoom <= zoom), None)
    values = {
        **_where(tile),
        "at": at,
        "vacant_only": vacant_only,
        "vacancies": vacancies,
        "levels": list(range(Level.MACRO, main + 1)),
        "near": min(levels),
        "mains": levels if main == Level.CUSTOM else [main],
        # Only the coarse levels go without boundaries, and finer regions are too many to ask each of them.
        "bare": [each for each in levels if each <= Level.CITY],
        "outline": outline,
        "bare_outline": outline or OUTLINE_ZOOMS[-1],
    }
    shape = (_BOUNDARIES if outline is None else _OUTLINES).format(leaf=_LEAF.format("b.region_id"))
    with _patience():
        return _mvt(_REGIONS.format(shape=shape), values)


def _where(tile: Tile) -> dict[str, Any]:
    return {"zoom": tile.zoom, "x": tile.x, "y": tile.y}


# The means of the counted places, straight in the tile's own units, so that nothing is transformed at all.
_CELLS = """
    SELECT ST_AsMVT(row, 'points', 4096, 'geom') FROM (
        SELECT {count} AS count, active, suspended, proposed, closed,
               ST_MakePoint(floor((x_sum / total * 2 ^ (%(zoom)s - 30) - %(x)s) * 4096),
                            floor((y_sum / total * 2 ^ (%(zoom)s - 30) - %(y)s) * 4096)) AS geom
        FROM (SELECT *, (proposed + active + suspended + closed)::float8 AS total FROM network_pointcell
              WHERE zoom = %(zoom)s AND tile_x = %(x)s AND tile_y = %(y)s) c
        WHERE total > 0 AND {count} > 0
    ) row
"""

# The planner would not see that the two halves are the two partial indexes if they were one condition.
_IN_BOX = f"""
    WITH {_BOX}, place AS (
        SELECT ST_Transform(own, 4326) AS own FROM box
    ), here AS (
        SELECT id, ref, name, status, capacity, location FROM network_servicepoint
        WHERE status = 'active' AND location && (SELECT own FROM place)
        UNION ALL
        SELECT id, ref, name, status, capacity, location FROM network_servicepoint
        WHERE NOT status = 'active' AND location && (SELECT own FROM place)
    ), asked AS (
        SELECT here.*, pause.reason FROM here LEFT JOIN network_pause pause
        ON here.status = 'active' AND pause.service_point_id = here.id AND pause.period @> %(at)s::timestamptz
        WHERE {{condition}}
    )"""  # noqa: S608

# The few that were picked out beforehand, wherever they are: the box is compared with each of them.
_PICKED = """
    WITH asked AS (
        SELECT p.id, p.ref, p.name, p.status, p.capacity, p.location, pause.reason
        FROM network_servicepoint p LEFT JOIN network_pause pause
        ON pause.service_point_id = p.id AND pause.period @> %(at)s::timestamptz
        WHERE p.status = 'active' AND (p.id = ANY (%(picked)s) OR pause.reason = ANY (%(reasons)s))
          AND ST_Intersects(p.location, ST_Transform(ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s), 4326))
    )"""

_COUNTED = """
    SELECT ST_AsMVT(row, 'points', 4096, 'geom') FROM (
        SELECT count(*)::int AS count,
               count(*) FILTER (WHERE status = 'active')::int AS active,
               count(*) FILTER (WHERE status = 'suspended')::int AS suspended,
               count(*) FILTER (WHERE status = 'proposed')::int AS proposed,
               count(*) FILTER (WHERE status IN ('closing', 'closed'))::int AS closed,
               ST_MakePoint(floor(avg(px)), floor(avg(py))) AS geom
        FROM (SELECT status, (map_x(location) * 2 ^ (%(zoom)s - 30) - %(x)s) * 4096 AS px,
                     (map_y(location) * 2 ^ (%(zoom)s - 30) - %(y)s) * 4096 AS py FROM asked) place
        GROUP BY floor(px / 256), floor(py / 256)
    ) row
"""

_LISTED = """
    SELECT id, ref, name, status, reason, capacity, floor((map_x(location) * 2 ^ (%(zoom)s - 30) - %(x)s) * 4096)::int,
           floor((map_y(location) * 2 ^ (%(zoom)s - 30) - %(y)s) * 4096)::int
    FROM asked LIMIT %(most)s
"""

# Everything was read before and comes along, so that nothing is looked up twice.
_SINGLES = """
    SELECT ST_AsMVT(row, 'points', 4096, 'geom', 'id') FROM (
        SELECT id, ref, name, state, held, capacity, 1 AS count, ST_MakePoint(px, py) AS geom
        FROM unnest(%(id)s::bigint[], %(ref)s::text[], %(name)s::text[], %(state)s::text[], %(held)s::int[],
                    %(capacity)s::int[], %(px)s::int[], %(py)s::int[])
            AS told(id, ref, name, state, held, capacity, px, py)
    ) row
"""

_COUNTS = {
    Show.ALL: "active + suspended + proposed + closed",
    Show.ACTIVE: "active",
    Show.SUSPENDED: "suspended",
    Show.PROPOSED: "proposed",
    Show.CLOSED: "closed",
}


def points(tile: Tile, *, at: datetime, held_at: HeldAt, full_points: FullPoints, show: Show = Show.ALL) -> bytes:
    """Return the layer `points`: cells with a `count` for each status, or single ones with their `state` and load.

    `state` is free, filling (from 70 % of the capacity), full, paused, suspended, proposed or closed, as a point that
    is closing counts too. `held_at` is
    told the points of the tile and returns how many parcels each holds; `full_points` returns those that are full.
    """
    values = {**_where(tile), "at": at, "most": MOST_SINGLES + 1}
    if show in (Show.PAUSED, Show.FULL):
        chosen = _PICKED
        values["picked"] = list(full_points()) if show == Show.FULL else []
        values["reasons"] = ["full"] if show == Show.FULL else ["vacation", "closing", "technical", "opening"]
    else:
        chosen = _IN_BOX.format(condition="true" if show == Show.ALL else "here.status = ANY (%(statuses)s)")
        values["statuses"] = ["closing", "closed"] if show == Show.CLOSED else [str(show)]
    with _patience():
        if tile.zoom > CELL_ZOOM:
            listed = _ask(chosen + _LISTED, values)
            if len(listed) <= MOST_SINGLES:
                return _singles(listed, held_at=held_at)
        elif chosen != _PICKED:
            return _mvt(_CELLS.format(count=_COUNTS[show]), values)
        return _mvt(chosen + _COUNTED, values)


def _singles(listed: list[tuple[Any, ...]], *, held_at: HeldAt) -> bytes:
    if not listed:
        return b""
    ids, refs, names, statuses, reasons, capacities, px, py = (list(column) for column in zip(*listed, strict=True))
    counted = held_at(ids)
    held = [counted.get(point_id, 0) for point_id in ids]
    states = list(map(_state, statuses, reasons, held, capacities))
    columns = {"id": ids, "ref": refs, "name": names, "state": states, "held": held, "capacity": capacities}
    return _mvt(_SINGLES, columns | {"px": px, "py": py})


def _state(status: str, reason: str | None, held: int, capacity: int) -> str:
    """What a point is on the map: its status, and where it is active whether there is room."""
    if status != "active":
        return "closed" if status == "closing" else status
    if held >= capacity or reason == "full":
        return "full"
    if reason is not None:
        return "paused"
    return "filling" if held >= FILLING * capacity else "free"
