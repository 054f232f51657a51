"""Reviewers and merchants who decide about one order at the same moment, really committing.

Everybody meets right before the lock, so that each run is a race; in the controls the lock is taken away, everybody
meets after reading, and the same run goes wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from network import memory
from network.models import ConfirmedPlace, User
from pickup import orders, review
from pickup.models import Order, ReviewDecision
from tests import factories
from tests.factories import make_draft, make_merchant, make_point

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 60
HOME = (22.5401, 113.9401)


def reviewer(name: str) -> User:
    user = factories.make_user(is_staff=True, name=name)
    rights = ("view_region", "view_order", "change_order")
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def doubtful(**fields: Any) -> tuple[Order, str]:
    """An order in review, and its merchant's key."""
    merchant, key = make_merchant()
    draft = make_draft(**({"lat": 48.1, "lon": 11.5} | fields))
    order = orders.place(merchant=merchant, draft=draft, now=now()).order
    orders.locate_waiting(now=now(), limit=10)
    order.refresh_from_db()
    return order, key


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    def run(job: Callable[[], Any]) -> Any:
        try:
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [answer.result(timeout=PATIENCE_S) for answer in [pool.submit(run, job) for job in jobs]]


def confirming(order: Order, user: User, lat: float = HOME[0]) -> Callable[[], int]:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    body = {"action": "confirm", "doubt": review.doubt_of(order), "lat": str(lat), "lon": str(HOME[1]), "keep": "1"}
    return lambda: client.post(f"/regions/review/{order.pk}/", body).status_code


def cancelling(order: Order, key: str) -> Callable[[], int]:
    client = Client(raise_request_exception=False, headers={"authorization": f"Bearer {key}"})
    path = f"/api/v1/orders/{order.reference}/cancel"
    return lambda: client.post(path, json.dumps({}), content_type="application/json").status_code


def unlocked(order_id: int) -> Order:
    order = Order.objects.select_related("address", "merchant").get(pk=order_id)
    if order.status != Order.Status.REVIEW:
        raise orders.Refused("not_in_review", "status", "")
    return order


def test_of_two_reviewers_at_once_one_decides() -> None:
    factories.make_chain()
    make_point()
    order, _ = doubtful()
    meet, lock = Barrier(2), orders.lock_in_review

    def met(order_id: int) -> Order:
        meet.wait(PATIENCE_S)
        return lock(order_id)

    with mock.patch.object(orders, "lock_in_review", met):
        answers = at_once(confirming(order, reviewer("Li")), confirming(order, reviewer("Wang"), lat=22.5501))
    assert answers == [302, 302]
    order.refresh_from_db()
    assert (order.status, ReviewDecision.objects.count(), order.assignments.count()) == ("assigned", 1, 1)


def test_control_without_the_lock_both_decide() -> None:
    factories.make_chain()
    make_point()
    order, _ = doubtful()
    meet, doubt_of = Barrier(2), review.doubt_of

    def met(found: Order) -> str:
        doubt = doubt_of(found)
        meet.wait(PATIENCE_S)
        return doubt

    first, second = confirming(order, reviewer("Li")), confirming(order, reviewer("Wang"), lat=22.5501)
    with mock.patch.object(orders, "lock_in_review", unlocked), mock.patch.object(review, "doubt_of", met):
        at_once(first, second)
    assert ReviewDecision.objects.filter(kind="placed").count() == 2


def test_a_merchant_who_cancels_at_that_moment_is_obeyed() -> None:
    factories.make_chain()
    make_point()
    order, key = doubtful()
    meet, lock, end = Barrier(2), orders.lock_in_review, orders.cancel

    def met(order_id: int) -> Order:
        meet.wait(PATIENCE_S)
        return lock(order_id)

    def met_too(*, order: Order) -> Order:
        meet.wait(PATIENCE_S)
        return end(order=order)

    with mock.patch.object(orders, "lock_in_review", met), mock.patch.object(orders, "cancel", met_too):
        assert at_once(confirming(order, reviewer("Li")), cancelling(order, key)) == [302, 200]
    order.refresh_from_db()
    assert (order.status, order.parcels.get().status) == ("cancelled", "cancelled")


def test_control_without_the_lock_a_cancelled_order_goes_on() -> None:
    factories.make_chain()
    make_point()
    order, key = doubtful()
    read, cancelled = Event(), Event()

    def late(order_id: int) -> Order:
        found = unlocked(order_id)
        read.set()
        assert cancelled.wait(PATIENCE_S)
        return found

    cancel = cancelling(order, key)

    def cancel_then() -> int:
        assert read.wait(PATIENCE_S)
        try:
            return cancel()
        finally:
            cancelled.set()

    with mock.patch.object(orders, "lock_in_review", late):
        at_once(confirming(order, reviewer("Li")), cancel_then)
    order.refresh_from_db()
    assert order.status == "assigned"
    assert order.parcels.get().status == "cancelled"


def test_two_orders_with_one_text_are_confirmed_at_once_without_a_deadlock() -> None:
    factories.make_chain()
    make_point()
    first, second, third = doubtful()[0], doubtful()[0], doubtful()[0]
    meet, remember = Barrier(2), memory.remember

    def met(*arguments: Any, **fields: Any) -> ConfirmedPlace:
        meet.wait(PATIENCE_S)  # both have locked their own order, and now want the same row
        return remember(*arguments, **fields)

    with mock.patch.object(memory, "remember", met):
        assert at_once(confirming(first, reviewer("Li")), confirming(second, reviewer("Wang"))) == [302, 302]
    assert {Order.objects.get(pk=one.pk).status for one in (first, second, third)} == {"assigned"}
    assert ConfirmedPlace.objects.count() == 1
    assert ReviewDecision.objects.count() == 2
