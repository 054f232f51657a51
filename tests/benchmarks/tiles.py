"""Tiles a second, beside bare SQL that makes the same picture from the tables themselves, one query each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from io import StringIO

from django.core.management import call_command
from django.db import connection
from django.utils.timezone import now

from network import tiles
from network.tiles import Tile
from pickup import orders
from tests.benchmarks import scene

LAT, LON = 23.0, 113.0  # the middle of the scene's points, and of Guangdong
ZOOMS = (5, 8, 11, 14)

# Counted by cell where the map counts, else one by one: what somebody would write who has only the points.
BARE_COUNTED = """
    WITH box AS (SELECT ST_TileEnvelope(%(z)s, %(x)s, %(y)s) AS own)
    SELECT ST_AsMVT(row, 'points') FROM (
        SELECT count(*) AS count, ST_AsMVTGeom(ST_Centroid(ST_Collect(place)), (SELECT own FROM box)) AS geom
        FROM (SELECT ST_Transform(location, 3857) AS place FROM network_servicepoint
              WHERE status = 'active' AND location && (SELECT ST_Transform(own, 4326) FROM box)) p
        GROUP BY ST_SnapToGrid(place, 40075016.68 / 2 ^ (%(z)s + 4))
    ) row
"""
BARE_SINGLES = """
    WITH box AS (SELECT ST_TileEnvelope(%(z)s, %(x)s, %(y)s) AS own)
    SELECT ST_AsMVT(row, 'points') FROM (
        SELECT id, name, ST_AsMVTGeom(ST_Transform(location, 3857), (SELECT own FROM box)) AS geom
        FROM network_servicepoint
        WHERE status = 'active' AND location && (SELECT ST_Transform(own, 4326) FROM box)
    ) row
"""
BARE_REGIONS = """
    WITH box AS (SELECT ST_TileEnvelope(%(z)s, %(x)s, %(y)s) AS own)
    SELECT ST_AsMVT(row, 'regions') FROM (
        SELECT r.code, r.name, ST_AsMVTGeom(ST_Transform(b.geom, 3857), (SELECT own FROM box)) AS geom
        FROM network_boundary b JOIN network_region r ON r.id = b.region_id
        WHERE b.level = %(level)s AND b.geom && (SELECT ST_Transform(own, 4326) FROM box) AND b.valid @> now()
    ) row
"""


def tile_at(zoom: int) -> Tile:
    y = (1 - math.asinh(math.tan(math.radians(LAT))) / math.pi) / 2
    return Tile(zoom, int((LON + 180) / 360 * 2**zoom), int(y * 2**zoom))


def rate(work: Callable[[], object], *, seconds: float = 1.0) -> float:
    """How often a second, after one time that does not count."""
    work()
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        work()
        done += 1
    return done / (time.perf_counter() - begin)


def bare(statement: str, tile: Tile, **values: int) -> Callable[[], object]:
    def work() -> object:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"z": tile.zoom, "x": tile.x, "y": tile.y, **values})
            return cursor.fetchone()

    return work


def main(*, points: tuple[int, ...] = (10_000, 100_000, 1_000_000)) -> list[tuple[str, float, float]]:
    """Rows of (what, tiles a second, ratio to bare SQL for the same tile)."""
    rows: list[tuple[str, float, float]] = []
    for number in points:
        with scene.fresh_database():
            scene.make_points(number)
            scene.run("ANALYZE")
            for zoom in ZOOMS:
                tile = tile_at(zoom)
                limit = rate(bare(BARE_COUNTED if zoom <= tiles.CELL_ZOOM else BARE_SINGLES, tile))
                ours = rate(lambda tile=tile: draw_points(tile))  # type: ignore[misc]
                rows.append((f"bare SQL, {number:,} points, zoom {zoom}", limit, 1.0))
                rows.append((f"points tile, {number:,} points, zoom {zoom}", ours, ours / limit))
    with scene.fresh_database():
        call_command("load_regions", "china", verbosity=0, stdout=StringIO(), stderr=StringIO())
        scene.run("ANALYZE")
        for zoom in ZOOMS:
            tile = tile_at(zoom)
            limit = rate(bare(BARE_REGIONS, tile, level=min(4, int(tiles.level_at(zoom)))))
            ours = rate(lambda tile=tile: tiles.regions(tile, at=now()))  # type: ignore[misc]
            rows.append((f"bare SQL, boundaries of China, zoom {zoom}", limit, 1.0))
            rows.append((f"regions tile with names and vacancies, zoom {zoom}", ours, ours / limit))
    return rows


def draw_points(tile: Tile) -> bytes:
    return tiles.points(tile, at=now(), held_at=orders.held_at, full_points=list)
