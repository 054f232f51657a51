"""A shop closes while orders are given to it: whoever comes first, none is left on its way to a closed shop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.utils.timezone import localdate, now

from network.models import ServicePoint, User
from pickup import closings, orders, point_edits
from pickup.models import Order, Parcel
from tests import factories
from tests.factories import make_point
from tests.faults.test_races import orders_for
from tests.roles import as_owner

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 30


def close(point: ServicePoint, staff: User) -> None:
    today = localdate()
    closings.plan(point=point, plan=closings.Plan(today, today, "the lease ends"), by=staff, now=now())


def sweep() -> None:
    try:
        orders.assign_waiting(now=now(), limit=10)
    finally:
        connection.close()


def coming_to(point: ServicePoint) -> int:
    return Parcel.objects.filter(service_point=point, status="expected").count()


@pytest.fixture
def scene() -> tuple[ServicePoint, User]:
    ids = factories.chain_ids(factories.make_chain())
    point = make_point(region_id=ids[0], region_ids=ids)
    orders_for(3, ids)
    return point, factories.make_user(is_staff=True)


def close_after_the_choice(point: ServicePoint, staff: User, locked_room: Any) -> None:
    """The sweep has chosen the point and has not locked it yet; then the shop closes; then the sweep goes on."""
    chosen, closed = Event(), Event()

    def waits(point_ids: set[int]) -> dict[int, int]:
        chosen.set()
        assert closed.wait(PATIENCE_S)
        answer: dict[int, int] = locked_room(point_ids)
        return answer

    with ThreadPoolExecutor(1) as pool, mock.patch.object(orders, "_locked_room", waits):
        sweeping = pool.submit(sweep)
        assert chosen.wait(PATIENCE_S)
        close(point, staff)
        closed.set()
        sweeping.result(PATIENCE_S)


def test_an_order_whose_point_closes_after_the_choice_waits_for_another(scene: tuple[ServicePoint, User]) -> None:
    point, staff = scene
    close_after_the_choice(point, staff, orders._locked_room)
    assert coming_to(point) == 0
    assert set(Order.objects.values_list("status", flat=True)) == {"located"}
    orders.assign_waiting(now=now(), limit=10)
    assert set(Order.objects.values_list("review_reason", flat=True)) == {"no_point_available"}


def test_control_who_does_not_look_at_the_point_again_sends_orders_to_a_closed_shop(
    scene: tuple[ServicePoint, User],
) -> None:
    point, staff = scene
    close_after_the_choice(point, staff, lambda ids: dict.fromkeys(ids, 100))
    assert coming_to(point) == 3


def while_a_sweep_has_not_committed(point: ServicePoint, act: Any) -> None:
    """The sweep has written its assignments and holds the point; `act` must wait for it."""
    written, waiting = Event(), Event()

    def holds(won: Any) -> None:
        written.set()
        assert waiting.wait(PATIENCE_S)

    def acts() -> None:
        try:
            act()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool, mock.patch.object(orders, "_announce", holds):
        sweeping = pool.submit(sweep)
        assert written.wait(PATIENCE_S)
        acting = pool.submit(acts)
        until_somebody_waits_for_a_lock()
        waiting.set()
        sweeping.result(PATIENCE_S)
        acting.result(PATIENCE_S)


def until_somebody_waits_for_a_lock() -> None:
    with as_owner(), connection.cursor() as cursor:  # others do not see what whose session waits for
        for _ in range(600):
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("nobody waits")


def test_a_closing_waits_for_a_sweep_and_takes_its_orders_back(scene: tuple[ServicePoint, User]) -> None:
    point, staff = scene
    while_a_sweep_has_not_committed(point, lambda: close(point, staff))
    assert coming_to(point) == 0
    assert set(Order.objects.values_list("status", flat=True)) == {"located"}


def test_a_change_waits_for_a_sweep_and_counts_its_orders(scene: tuple[ServicePoint, User]) -> None:
    point, staff = scene
    values = point_edits.values_of(point)
    seen = point_edits.version(point)

    def shrink() -> None:
        less = point_edits.Values(**(vars(values) | {"capacity": 1}))
        point_edits.save(point=point, values=less, seen=seen, keep_expected=False, by=staff, now=now())

    while_a_sweep_has_not_committed(point, shrink)
    assert coming_to(point) == 1
