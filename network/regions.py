"""Regions: what covers a place, how far a place is from a region, and the chain a region hangs in.

Everything is asked for many places or regions at once and answered in one query, from the boundaries in force at
the time that is given. How boundaries come in is `network.boundaries`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from network.models import Boundary, Level

# The queries end long before the statement timeout of ten seconds, however many places are asked for.
PLACES_PER_QUERY = 10_000


@dataclass(frozen=True)
class Inside:
    """A point surely inside a region, in degrees, and the metres from it to the farthest corner of the region."""

    lat: float
    lon: float
    radius_m: float


# The index gives the boundaries whose box holds a place. They are then taken boundary by boundary, so that each polygon
# is read and prepared once for all places in its box, which is what testing a place costs.
COVERING = """
    WITH asked AS MATERIALIZED (
        SELECT number, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS place
        FROM unnest(%s::float8[], %s::float8[]) WITH ORDINALITY AS given(lat, lon, number)
    ), pairs AS MATERIALIZED (
        SELECT a.number, a.place, b.id FROM asked a
        JOIN network_boundary b ON b.geom && a.place AND b.valid @> %s AND b.level = ANY (%s)
        ORDER BY b.id
    )
    SELECT DISTINCT ON (p.number) p.number - 1, b.region_id
    FROM pairs p JOIN network_boundary b ON b.id = p.id
    WHERE ST_Covers(b.geom, p.place)
    ORDER BY p.number, b.level DESC, b.region_id
"""
# Nearly every place lies in a district: the large polygons above are asked only for the others.
DEEP, HIGH = [Level.DISTRICT, Level.CUSTOM], [Level.MACRO, Level.PROVINCE, Level.CITY]


def covering(places: Sequence[tuple[float, float]], *, at: datetime) -> list[int | None]:
    """Return for each (latitude, longitude) the id of the deepest region that covers it, ties by lowest id (R2)."""
    found: list[int | None] = [None] * len(places)
    with connection.cursor() as cursor:
        for levels in (DEEP, HIGH):
            left = [number for number, region_id in enumerate(found) if region_id is None]
            for start in range(0, len(left), PLACES_PER_QUERY):
                some = left[start : start + PLACES_PER_QUERY]
                latitudes, longitudes = zip(*(places[number] for number in some), strict=True)
                cursor.execute(COVERING, [list(latitudes), list(longitudes), at, list(map(int, levels))])
                for number, region_id in cursor:
                    found[some[number]] = region_id
    return found


# A path is the codes from the root down to the region itself.
CHAINS = """
    SELECT r.id, (SELECT array_agg(up.id ORDER BY up.level DESC) FROM network_region up
                  WHERE up.code = ANY (string_to_array(r.path, '.')))
    FROM network_region r WHERE r.id = ANY (%s)
"""


def chain_ids(region_ids: Iterable[int]) -> dict[int, list[int]]:
    """Return for each region its chain of ids, itself first, the root last. Unknown ids are left out."""
    with connection.cursor() as cursor:
        cursor.execute(CHAINS, [sorted(set(region_ids))])
        return dict(cursor.fetchall())


def inside(region_ids: Iterable[int], *, at: datetime) -> Mapping[int, Inside]:
    """Return for each region that has a boundary at that time a point inside it and its radius."""
    rows = Boundary.objects.filter(region_id__in=set(region_ids), valid__contains=at)
    return {
        region_id: Inside(point.y, point.x, radius_m)
        for region_id, point, radius_m in rows.values_list("region_id", "inside", "radius_m")
    }


CENTRES = """
    SELECT region_id, ST_Y(inside), ST_X(inside), ST_Y(middle), ST_X(middle), radius_m
    FROM (SELECT *, ST_Centroid(geom) AS middle FROM network_boundary
          WHERE region_id = ANY (%s) AND valid @> %s AND level > %s) b
"""


def centres(region_ids: Iterable[int], *, at: datetime) -> dict[int, list[Inside]]:
    """Return for each region the points that stand for it where nothing else is known, such as its middle."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(CENTRES, [sorted(set(region_ids)), at, int(Level.MACRO)])
        for region_id, lat, lon, middle_lat, middle_lon, radius_m in cursor:
            found[region_id] = [Inside(lat, lon, radius_m), Inside(middle_lat, middle_lon, radius_m)]
    return found


# A degree of latitude is nowhere shorter than 110,574 m, and one of longitude shrinks with the cosine of the
# latitude: what lies outside that box is surely farther, so that the exact test on the ellipsoid is rarely needed.
WITHIN = """
    SELECT EXISTS (
        SELECT FROM network_boundary b
        WHERE b.region_id = asked.region_id AND b.valid @> %s
          AND b.geom && ST_Expand(asked.place,
                                  asked.metres / (110574.0 * greatest(0.001, cosd(least(
                                      90.0, abs(asked.lat) + asked.metres / 110574.0)))),
                                  asked.metres / 110574.0)
          AND (ST_Covers(b.geom, asked.place)
               OR ST_DWithin(b.geom::geography, asked.place::geography, asked.metres))
    )
    FROM (SELECT *, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS place
          FROM unnest(%s::bigint[], %s::float8[], %s::float8[], %s::float8[]) WITH ORDINALITY
            AS given(region_id, lat, lon, metres, number) OFFSET 0) asked
    ORDER BY asked.number
"""


def within_m(asked: Sequence[tuple[int, float, float, float]], *, at: datetime) -> list[bool]:
    """Return for each (region, latitude, longitude, metres) whether the place lies in the region or so near to it.

    Metres are measured on the ellipsoid. A region without a boundary at that time is near to nothing.
    """
    near: list[bool] = []
    with connection.cursor() as cursor:
        for start in range(0, len(asked), PLACES_PER_QUERY):
            columns = zip(*asked[start : start + PLACES_PER_QUERY], strict=True)
            cursor.execute(WITHIN, [at, *(list(column) for column in columns)])
            near.extend(answer for (answer,) in cursor.fetchall())
    return near
