"""What a day's scoring costs beside a bare count of the same pickups, in small tables and in large ones."""

from __future__ import annotations

import os
from datetime import timedelta
from time import perf_counter

from django.db import connection
from django.utils.timezone import localdate, now

from pickup import scoring, signs
from tests.benchmarks import scale, scene

SMALL, LARGE = 100_000, int(os.environ.get("BENCH_PARCELS", "1_000_000"))  # parcels collected in the last year
COUNT = """
    SELECT h.service_point_id, COUNT(*) FROM pickup_scan s JOIN pickup_handover h ON h.scan_id = s.id
    WHERE s.kind = 'pickup' AND s.recorded_at >= %s GROUP BY 1
"""


def main() -> list[tuple[str, float, float]]:
    """Rows of (what, pickups that were looked at a second, time beside the bare count)."""
    rows = []
    postings, scale.POSTINGS_EACH = scale.POSTINGS_EACH, 1
    try:
        for parcels in (SMALL, LARGE):
            with scene.fresh_database():
                scene.make_ready_parcels(400, shops=200)
                scale.make_history(parcels)
                rows.append(_timed(parcels))
    finally:
        scale.POSTINGS_EACH = postings
    return rows


def _timed(parcels: int) -> tuple[str, float, float]:
    since = now() - timedelta(days=max(signs.WINDOWS))
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        began = perf_counter()
        cursor.execute(COUNT, [since])
        pickups = sum(number for _point, number in cursor.fetchall())
        bare = perf_counter() - began
        cursor.execute("RESET statement_timeout")
    began = perf_counter()
    scoring.score(localdate(now()), now=now())
    took = perf_counter() - began
    what = f"score a day, {parcels:,} parcels, {pickups:,} in {max(signs.WINDOWS)} days"
    return what, pickups / took, took / bare
