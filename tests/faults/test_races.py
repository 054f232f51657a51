"""Many at once, really committing: one parcel, one hand-over; one place on the shelf, one parcel.

Each has a control in which the guard is taken away and the same run goes wrong: a test that cannot fail proves nothing.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Event, local
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.contrib.gis.geos import Point
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils.timezone import now

import pickup.models
from network.models import Address, Level
from pickup import ledger, orders
from pickup.models import Account, Handover, Order, Parcel, Posting, Scan
from tests import factories
from tests.factories import make_appointment, make_device, make_merchant, make_point, make_ready_parcel, token_of
from tests.roles import as_owner

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 16
HAND_OVER_SQL = (Path(pickup.models.__file__).parent / "sql" / "handover.sql").read_text()


def at_once(work: Sequence[Any], do: Callable[[Any], Any], *, clients: int = CLIENTS) -> list[Any]:
    """Do all of it with so many threads, each with a database connection of its own."""

    def run(share: Sequence[Any]) -> list[Any]:
        try:
            return [do(item) for item in share]
        finally:
            connection.close()

    with ThreadPoolExecutor(clients) as pool:
        return [answer for answers in pool.map(run, [work[n::clients] for n in range(clients)]) for answer in answers]


_own = local()


def post(path: str, key: str, body: dict[str, Any]) -> Any:
    """Post with the thread's own client: making one reads all of the middleware again."""
    if not hasattr(_own, "client"):
        _own.client = Client(raise_request_exception=False)
    headers = {"Authorization": f"Bearer {key}"}
    return _own.client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers)


def post_scan(job: tuple[str, dict[str, Any]]) -> tuple[int, str]:
    answer = post("scans", *job)
    return answer.status_code, answer.json()["verdict"] if answer.status_code == 200 else ""


def scans_of(parcels: Sequence[Parcel], keys: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Two scans of each parcel by each device, which uploads its scan twice."""
    jobs = []
    for parcel in parcels:
        for key in keys:
            body = {"scan_id": str(uuid4()), "kind": "pickup", "event_at": now().isoformat(), "token": token_of(parcel)}
            jobs += [(key, body), (key, body)]
    random.Random(7).shuffle(jobs)
    return jobs


def a_shop(parcels: int, devices: int = 2) -> tuple[list[Parcel], list[str]]:
    chain = factories.make_chain()
    for level in (Level.DISTRICT, Level.CITY, Level.PROVINCE, Level.MACRO):
        make_appointment(chain[level])
    point = make_point(capacity=10_000)
    keys = [make_device(point)[1] for _ in range(devices)]
    scanner = factories.scanner_of(point)
    region_ids = factories.chain_ids(chain)
    return [make_ready_parcel(scanner, point, region_ids=region_ids) for _ in range(parcels)], keys


def test_parcels_scanned_at_once_by_16_clients_are_each_handed_over_and_paid_once(is_long: bool) -> None:
    """Promise 1. In the long form 10,000 scans of 500 parcels, else 1,000 of 250."""
    count, devices = (500, 10) if is_long else (250, 2)
    parcels, keys = a_shop(count, devices)
    answers = Counter(at_once(scans_of(parcels, keys), post_scan))
    assert answers == {
        (200, "ok"): count,
        (200, "ok_repeat"): count,
        (200, "already_collected"): 2 * count * (devices - 1),
    }
    assert Handover.objects.count() == count
    assert Scan.objects.filter(kind="pickup").count() == count * devices
    per_kind = Counter(Posting.objects.values_list("kind", flat=True))
    assert per_kind == {"point_fee": count, "agent_fee": 4 * count}
    assert ledger.balance_minor(Account.objects.get(kind="point")) == count * 2000
    assert ledger.faults() == []


# Whoever has read a parcel waits here until somebody else has read it too, and both go on with what they read.
READ = "-- Looked for under the lock"
MEET_AT_THE_PARCEL = """
    PERFORM pg_advisory_xact_lock_shared(4711, parcel.id::int);
    FOR i IN 1..1000 LOOP
        EXIT WHEN (SELECT count(*) FROM pg_locks
                   WHERE locktype = 'advisory' AND classid = 4711 AND objid = parcel.id::int) > 1;
        PERFORM pg_sleep(0.01);
    END LOOP;
    PERFORM pg_sleep(0.03); --"""


@contextmanager
def hand_over_without_its_guards() -> Iterator[None]:
    """The same function without the row lock, in a database without the constraints that would stop it anyway."""
    unguarded = HAND_OVER_SQL.replace("FOR UPDATE", "").replace(READ, MEET_AT_THE_PARCEL)
    assert MEET_AT_THE_PARCEL in unguarded
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("DROP INDEX handover_once")
        cursor.execute("ALTER TABLE pickup_parcel DISABLE TRIGGER moves_by_the_table")
        cursor.execute(unguarded)
    try:
        yield
    finally:
        with as_owner(), connection.cursor() as cursor:
            cursor.execute(HAND_OVER_SQL)
            call_command("flush", verbosity=0, interactive=False)
            cursor.execute(
                "CREATE UNIQUE INDEX handover_once ON pickup_handover (parcel_id) WHERE undone_by_id IS NULL"
            )
            cursor.execute("ALTER TABLE pickup_parcel ENABLE TRIGGER moves_by_the_table")


def test_control_without_the_lock_parcels_are_handed_over_twice() -> None:
    parcels, keys = a_shop(12)
    side_by_side = [
        (key, {"scan_id": str(uuid4()), "kind": "pickup", "event_at": now().isoformat(), "token": token_of(parcel)})
        for parcel in parcels
        for key in keys
    ]
    with hand_over_without_its_guards():
        at_once(side_by_side, post_scan, clients=2)
        handed_over = Handover.objects.count()
    assert handed_over == 24


def orders_for(count: int, region_ids: list[int]) -> None:
    merchant, _ = make_merchant()
    for _ in range(count):
        address = Address.objects.create(
            location=Point(113.94, 22.54, srid=4326), region_id=region_ids[0], region_ids=region_ids, accuracy_m=10
        )
        order = Order.objects.create(
            merchant=merchant,
            reference=str(uuid4()),
            body_hash=b"x",
            status="located",
            address=address,
            placed_at=now(),
        )
        Parcel.objects.create(order=order, barcode=uuid4().hex)


def sweep(_: Any) -> int:
    return sum(orders.assign_waiting(now=now(), limit=7) for _ in range(6))


def test_sweeps_side_by_side_never_oversell_a_point() -> None:
    region_ids = factories.chain_ids(factories.make_chain())
    points = [make_point(lat=22.54 + n / 1000, capacity=10) for n in range(3)]
    orders_for(60, region_ids)
    at_once(range(8), sweep, clients=8)
    orders.assign_waiting(now=now(), limit=100)
    held = orders.held_at([point.pk for point in points])
    assert held == {point.pk: 10 for point in points}
    assert Counter(Order.objects.values_list("status", "review_reason")) == {
        ("assigned", ""): 30,
        ("review", "no_point_available"): 30,
    }


def test_control_without_the_second_count_points_are_oversold() -> None:
    region_ids = factories.chain_ids(factories.make_chain())
    point = make_point(capacity=10)
    orders_for(14, region_ids)
    one_has_chosen, both_have_chosen = Event(), Barrier(2, timeout=120)

    def uncounted(point_ids: set[int]) -> dict[int, int]:
        one_has_chosen.set()  # its orders are locked: the other sweep takes the rest
        both_have_chosen.wait()
        return dict.fromkeys(point_ids, 10**6)

    def sweep_seven(first: bool) -> None:
        assert first or one_has_chosen.wait(30)
        orders.assign_waiting(now=now(), limit=7)

    with mock.patch.object(orders, "_locked_room", uncounted):
        at_once([True, False], sweep_seven, clients=2)
    assert orders.held_at([point.pk])[point.pk] == 14


def test_two_orders_for_one_reference_at_once_are_one_order() -> None:
    _, key = make_merchant()
    body = {
        "reference": "R-1",
        "recipient": {"name": "王小明", "phone": "13800138000"},
        "address": {"text": "广东省深圳市南山区科苑路1号"},
        "parcels": [{"barcode": "PN-ONE"}],
    }

    codes = Counter(at_once(range(CLIENTS * 4), lambda _: post("orders", key, body).status_code))
    assert codes == {201: 1, 200: CLIENTS * 4 - 1}
    assert (Order.objects.count(), Parcel.objects.count()) == (1, 1)


def test_one_scan_id_for_two_parcels_at_once_is_one_hand_over_and_one_refusal() -> None:
    parcels, keys = a_shop(20)
    for first, second in zip(parcels[::2], parcels[1::2], strict=True):
        scan_id = str(uuid4())
        bodies = [
            {"scan_id": scan_id, "kind": "pickup", "event_at": now().isoformat(), "token": token_of(parcel)}
            for parcel in (first, second)
        ]
        answers = sorted(status for status, _ in at_once([(keys[0], body) for body in bodies], post_scan, clients=2))
        assert answers == [200, 422]
    assert Handover.objects.count() == 10


def test_batches_that_name_the_same_parcels_differently_do_not_lock_each_other_out() -> None:
    parcels, keys = a_shop(60)

    def batch(named: str, key: str) -> tuple[str, list[dict[str, Any]]]:
        shown = [{"token": token_of(parcel)} | ({"barcode": parcel.barcode} if named else {}) for parcel in parcels]
        event_at = now().isoformat()
        return key, [{"scan_id": str(uuid4()), "kind": "pickup", "event_at": event_at} | one for one in shown]

    jobs = [batch(named, key) for named in ("barcode", "") for key in keys] * 2
    statuses = at_once(jobs, lambda job: post("scans/batch", job[0], {"scans": job[1]}).status_code, clients=8)
    assert set(statuses) == {200}
    assert Handover.objects.count() == 60
