"""Orders assigned a second, stored, beside a bare INSERT … SELECT … LATERAL nearest-neighbour query."""

from __future__ import annotations

import time
from unittest import mock

from django.utils.timezone import now

from network import matching
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


def main(
    *, count: int = 100_000, points: tuple[int, ...] = (10_000, 100_000, 1_000_000)
) -> list[tuple[str, float, float]]:
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
            while orders.assign_waiting(now=now(), limit=count):
                pass
            speed = count / (time.perf_counter() - begin)
            assert Order.objects.filter(status="assigned").count() == count
        rows.append((f"bare LATERAL, {number:,} points (the limit)", bare, 1.0))
        rows.append((f"assign_waiting, {number:,} points", speed, speed / bare))
    return rows + tight(count=count, points=count // 10)


def tight(*, count: int, points: int) -> list[tuple[str, float, float]]:
    """Orders planned a second where a tenth of all room stays free; the ratio is of the metres to those in turn."""
    with scene.fresh_database():
        scene.make_points(points)
        scene.make_orders(count, status="located")
        scene.run("UPDATE network_servicepoint SET capacity = %s", count // points + 1)
        asked = matching.Asked.of(orders.demands_of(list(Order.objects.order_by("id"))))

        def plan() -> tuple[float, float]:
            begin = time.perf_counter()
            planned = matching.plan(asked, at=now(), held_at=orders.held_at)
            assert planned.point.all()
            return time.perf_counter() - begin, float(planned.metres.sum())

        with mock.patch.object(matching, "MOST_ARCS", 0):
            in_turn_s, in_turn_m = plan()
        best_s, best_m = plan()
    return [
        (f"planned in turn, {points:,} points, little room", count / in_turn_s, 1.0),
        (f"planned together, {points:,} points, little room", count / best_s, best_m / in_turn_m),
    ]
