"""Points located in their regions a second, beside a bare ST_Covers on the same polygons."""

from __future__ import annotations

import random
import time

from django.core.management import call_command
from django.db import connection
from django.utils.timezone import now

from network import regions
from network.models import Level, Region
from tests.benchmarks import scene

BARE = """
SELECT count(b.region_id) FROM unnest(%s::float8[], %s::float8[]) AS u(lat, lon)
JOIN network_boundary b ON b.level = 4 AND ST_Covers(b.geom, ST_SetSRID(ST_MakePoint(u.lon, u.lat), 4326))
"""


def main(*, count: int = 100_000) -> list[tuple[str, float, float]]:
    """Rows of (what, per second, ratio to the bare query). Real boundaries of Guangdong."""
    random_ = random.Random(1)
    places = [(random_.uniform(20.2, 25.5), random_.uniform(109.7, 117.2)) for _ in range(count)]
    with scene.fresh_database():
        call_command("load_regions", "china", within="44", verbosity=0)
        scene.run("ANALYZE")
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            begin = time.perf_counter()
            cursor.execute(BARE, [[lat for lat, _ in places], [lon for _, lon in places]])
            bare = count / (time.perf_counter() - begin)
            [(in_districts,)] = cursor.fetchall()
        begin = time.perf_counter()
        found = regions.covering(places, at=now())
        speed = count / (time.perf_counter() - begin)
        districts = set(Region.objects.filter(level=Level.DISTRICT).values_list("id", flat=True))
    # Every covering district counts in the bare query: as many as were found are exactly one for each place.
    assert sum(region in districts for region in found) == in_districts > 0
    return [("bare ST_Covers (the limit)", bare, 1.0), ("regions.covering, deepest of all levels", speed, speed / bare)]
