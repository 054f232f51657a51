"""Orders assigned a second, stored, beside a bare INSERT … SELECT … LATERAL nearest-neighbour query; and one alone."""

from __future__ import annotations

import random
import time
from unittest import mock

from django.utils.timezone import now

from network import matching
from network.models import Level
from pickup import orders
from pickup.models import Merchant, Order
from tests import factories
from tests.benchmarks import scene

INSERT = """
INSERT INTO {table} (order_id, service_point_id)
SELECT o.id, p.id FROM pickup_order o JOIN network_address a ON a.id = o.address_id
CROSS JOIN LATERAL ({nearest}) p
WHERE o.status = 'located'
"""
# As the index orders, by degrees, the nearest is another point for one address in fourteen. R3 asks for true metres.
BY_DEGREES = """SELECT id FROM network_servicepoint c WHERE c.status = 'active'
                ORDER BY c.location <-> a.location LIMIT 1"""
BY_METRES = """SELECT id FROM (SELECT id, location FROM network_servicepoint c WHERE c.status = 'active'
                               ORDER BY c.location <-> a.location LIMIT 16) c
               ORDER BY c.location::geography <-> a.location::geography LIMIT 1"""
# A table that keeps what an assignment promises: its orders and points exist, and it is found by either.
KEYED = """CREATE TABLE bench_keyed (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id bigint NOT NULL REFERENCES pickup_order,
    service_point_id bigint NOT NULL REFERENCES network_servicepoint);
CREATE INDEX ON bench_keyed (order_id); CREATE INDEX ON bench_keyed (service_point_id)"""
ALONE = 300


def main(
    *, count: int = 100_000, points: tuple[int, ...] = (10_000, 100_000, 1_000_000)
) -> list[tuple[str, float, float]]:
    """Rows of (what, per second, ratio to the bare query with as many points)."""
    # What a worker loads once for its first batch.
    import pyproj  # noqa: F401
    import scipy.sparse.csgraph
    import scipy.spatial  # noqa: F401

    rows: list[tuple[str, float, float]] = []
    first_s = 0.0
    for number in points:
        with scene.fresh_database():
            scene.make_points(number)
            scene.make_orders(count, status="located")
            scene.run("CREATE TABLE bench_nearest (order_id bigint, service_point_id bigint)")
            scene.run(KEYED)
            degrees_s = _timed(INSERT.format(table="bench_nearest", nearest=BY_DEGREES))
            bare_s = _timed(INSERT.format(table="bench_nearest", nearest=BY_METRES))
            keyed_s = _timed(INSERT.format(table="bench_keyed", nearest=BY_METRES))
            scene.run("DROP TABLE bench_nearest, bench_keyed")
            plan_s = _planned()
            begin = time.perf_counter()
            assert orders.assign_waiting(now=now(), limit=count) == count
            own_s = time.perf_counter() - begin
            assert Order.objects.filter(status="assigned").count() == count
            alone = one_by_one()
        first_s = first_s or own_s
        rows += [
            (f"bare LATERAL by true metres, {number:,} points (the limit)", count / bare_s, 1.0),
            ("  the same with keys", count / keyed_s, bare_s / keyed_s),
            ("  the same by degrees, one in fourteen wrong", count / degrees_s, bare_s / degrees_s),
            ("  chosen in memory, points read and tree built", count / plan_s, bare_s / plan_s),
            ("  assign_waiting", count / own_s, bare_s / own_s),
            ("    beside the one with keys", count / own_s, keyed_s / own_s),
            ("    beside the one by degrees", count / own_s, degrees_s / own_s),
            ("    its time by that with the fewest points", count / own_s, own_s / first_s),
            *alone,
        ]
    return rows + tight(count=count, points=count // 10)


def _timed(statement: str) -> float:
    begin = time.perf_counter()
    scene.run(statement)
    return time.perf_counter() - begin


def _planned() -> float:
    """Seconds to find and choose the points of all orders, nothing written."""
    asked = matching.Asked.of(orders.demands_of(list(Order.objects.order_by("id"))))
    begin = time.perf_counter()
    matching.plan(asked, at=now(), held_at=orders.held_at)
    return time.perf_counter() - begin


def one_by_one() -> list[tuple[str, float, float]]:
    """An order with coordinates, located and assigned by itself: the ratio is of the median to the slowest 5 %."""
    random_, merchant = random.Random(1), Merchant.objects.get()
    factories.make_region("44", "bench", Level.PROVINCE, None, (109.0, 20.0, 117.0, 26.0))
    took: list[float] = []
    for _ in range(ALONE):
        place = {"lat": random_.uniform(21, 25), "lon": random_.uniform(110, 116)}
        order = orders.place(merchant=merchant, draft=factories.make_draft(**place), now=now()).order
        begin = time.perf_counter()
        orders.locate_waiting(now=now(), limit=1, only=[order.pk])
        orders.assign_waiting(now=now(), limit=1, only=[order.pk])
        took.append(time.perf_counter() - begin)
    took.sort()
    half, most = took[ALONE // 2], took[ALONE * 95 // 100]
    return [(f"  one alone, p50 {half * 1000:.0f} ms, p95 {most * 1000:.0f} ms", 1 / half, half / most)]


def tight(*, count: int, points: int) -> list[tuple[str, float, float]]:
    """Orders planned a second where a tenth of all room stays free; the ratio is of the metres to those in turn."""
    with scene.fresh_database():
        scene.make_points(points)
        scene.make_orders(count, status="located")
        scene.run("UPDATE network_servicepoint SET capacity = %s", count // points + 1)
        asked = matching.Asked.of(orders.demands_of(list(Order.objects.order_by("id"))))

        def plan() -> tuple[float, float, int]:
            begin = time.perf_counter()
            planned = matching.plan(asked, at=now(), held_at=orders.held_at)
            served = planned.point != 0
            return time.perf_counter() - begin, float(planned.metres[served].mean()), int(served.sum())

        with mock.patch.object(matching, "MOST_ARCS", 0):
            in_turn_s, in_turn_m, _ = plan()
        best_s, best_m, served = plan()
        assert served == count
    return [
        (f"planned in turn, {points:,} points, little room", count / in_turn_s, 1.0),
        (f"planned together, {points:,} points, little room", count / best_s, best_m / in_turn_m),
    ]
