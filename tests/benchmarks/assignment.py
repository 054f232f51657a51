"""Orders assigned a second, stored, beside a bare INSERT … SELECT … LATERAL nearest-neighbour query."""

from __future__ import annotations

import time

from django.utils.timezone import now

from pickup import orders
from pickup.models import Order
from tests.benchmarks import scene

BARE = """
INSERT INTO bench_nearest (order_id, service_point_id)
SELECT o.id, p.id FROM pickup_order o JOIN network_address a ON a.id = o.address_id
CROSS JOIN LATERAL (SELECT id FROM network_servicepoint c WHERE c.status = 'active'
                    ORDER BY c.location <-> a.location LIMIT 1) p
WHERE o.status = 'located'
"""


def main(*, count: int = 5_000, points: tuple[int, ...] = (10_000, 100_000)) -> list[tuple[str, float, float]]:
    """Rows of (what, per second, ratio to the bare query with as many points)."""
    rows = []
    for number in points:
        with scene.fresh_database():
            scene.make_points(number)
            scene.make_orders(count, status="located")
            scene.run("CREATE TABLE bench_nearest (order_id bigint, service_point_id bigint)")
            begin = time.perf_counter()
            scene.run(BARE)
            bare = count / (time.perf_counter() - begin)
            begin = time.perf_counter()
            while orders.assign_waiting(now=now(), limit=1000):
                pass
            speed = count / (time.perf_counter() - begin)
            assert Order.objects.filter(status="assigned").count() == count
        rows.append((f"bare LATERAL, {number:,} points (the limit)", bare, 1.0))
        rows.append((f"assign_waiting, {number:,} points", speed, speed / bare))
    return rows
