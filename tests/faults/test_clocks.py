"""Clocks may lie: a server an hour off, devices ten days off. Periods, expiry and pay follow the database's clock.

Python's clock is moved; the database's cannot be. Each control does the same with the time that Python would tell.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.timezone import localtime, now

from network import clock
from pickup import holding, scanning, tasks
from pickup.models import Notice, Order, Parcel, Posting, Scan
from pickup.scans import Scanner, device_of
from tests import factories
from tests.clock import everywhere_at
from tests.factories import make_parcel, make_point, make_ready_parcel, pick_up, scan, token_of
from tests.roles import as_worker

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
WRONG = [pytest.param(HOUR, id="server fast"), pytest.param(-HOUR, id="server slow")]
DEVICE = [timedelta(days=-10), timedelta(days=10)]


@pytest.fixture
def scanner() -> Scanner:
    return factories.scanner_of(make_point())


@pytest.fixture
def parcel(scanner: Scanner) -> Parcel:
    return make_ready_parcel(scanner, device_of(scanner).service_point)


def true_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        at: datetime = cursor.fetchone()[0]
    return at


def close(one: datetime | None, other: datetime) -> bool:
    return one is not None and abs(one - other) < timedelta(minutes=1)


@pytest.mark.parametrize("device_off", DEVICE)
@pytest.mark.parametrize("off", WRONG)
def test_a_pickup_is_recorded_paid_and_payable_by_the_databases_clock(
    scanner: Scanner, off: timedelta, device_off: timedelta
) -> None:
    at = true_time()
    point = device_of(scanner).service_point
    parcel = make_parcel(point)
    with time_machine.travel(at + off):
        told = at + device_off
        assert factories.arrive(scanner, parcel, event_at=told).verdict == "ok"
        parcel.refresh_from_db()
        assert pick_up(scanner, parcel, event_at=told).verdict == "ok"
    parcel.refresh_from_db()
    posting = Posting.objects.get()
    assert close(parcel.ready_at, at)
    assert close(parcel.collected_at, at)
    assert close(parcel.hold_until, at + timedelta(days=7))
    assert close(posting.recorded_at, at)
    assert close(posting.payable_at, at + timedelta(hours=72))
    for told_and_recorded in Scan.objects.all():
        assert close(told_and_recorded.recorded_at, at)
        assert told_and_recorded.event_at == told, "what a device tells is kept as it told it"


@pytest.mark.parametrize("off", WRONG)
def test_nothing_expires_before_its_time_or_stays_after_it(parcel: Parcel, off: timedelta) -> None:
    left = HOUR / 2 if off > timedelta(0) else -HOUR / 2
    factories.backdate(parcel, hold_until=true_time() + left)
    with time_machine.travel(true_time() + off):
        tasks.expire_held_parcels()
    parcel.refresh_from_db()
    assert parcel.status == ("ready" if left > timedelta(0) else "expired")


@pytest.mark.parametrize("off", WRONG)
def test_control_by_the_servers_own_clock_they_would(parcel: Parcel, off: timedelta) -> None:
    left = HOUR / 2 if off > timedelta(0) else -HOUR / 2
    factories.backdate(parcel, hold_until=true_time() + left)
    with time_machine.travel(true_time() + off):
        holding.expire_overdue(now=now(), limit=10)
    parcel.refresh_from_db()
    assert parcel.status == ("expired" if left > timedelta(0) else "ready")


@pytest.mark.parametrize("off", WRONG)
def test_reminders_come_a_day_before_the_true_end(parcel: Parcel, off: timedelta) -> None:
    due = off < timedelta(0)
    factories.backdate(parcel, hold_until=true_time() + timedelta(days=1) + (-HOUR / 2 if due else HOUR / 2))
    with time_machine.travel(true_time() + off):
        tasks.remind_recipients()
    assert Notice.objects.filter(kind=Notice.Kind.REMINDER).exists() is due


@pytest.mark.parametrize("off", WRONG)
def test_an_order_is_placed_and_assigned_at_the_true_time(off: timedelta, client: Any) -> None:
    _, key = factories.make_merchant()
    factories.make_chain()
    make_point()
    at = true_time()
    body = {
        "reference": "R1",
        "recipient": {"name": "王小明", "phone": "13800138000"},
        "address": {"text": "广东省深圳市南山区科苑路1号", "lat": 22.5401, "lon": 113.9401},
        "parcels": [{}],
        "consent": {"given": True, "at": at.isoformat()},
    }
    with time_machine.travel(at + off):
        answer = client.post(
            "/api/v1/orders", body, content_type="application/json", headers={"authorization": f"Bearer {key}"}
        )
        assert answer.status_code == 201, answer.content
        tasks.assign_waiting()
    order = Order.objects.get()
    assert order.status == "assigned"
    assert close(order.placed_at, at)
    assert close(order.assigned_at, at)


def test_a_month_is_closed_when_it_is_over_for_the_database(parcel: Parcel) -> None:
    month_end = localtime(true_time()).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    before = (month_end - HOUR).strftime("%Y-%m")
    with everywhere_at(month_end - HOUR / 2), pytest.raises(CommandError, match="not over yet"):
        call_command("close_period", before)
    half_past = month_end - HOUR / 2
    with (  # the server is an hour fast: its own clock says that the month is over
        time_machine.travel(half_past + HOUR),
        mock.patch.object(clock, "read", return_value=half_past),
        pytest.raises(CommandError, match="not over yet"),
    ):
        call_command("close_period", before)
    with as_worker():
        call_command("close_period", before)


def test_a_wrong_clock_does_not_end_the_rest_after_wrong_codes(scanner: Scanner, parcel: Parcel) -> None:
    for _ in range(3):
        pick_up(scanner, parcel, token="", code=factories.wrong_code_for(parcel))
    with time_machine.travel(true_time() + HOUR):
        assert scanning.record(scanner, scan("pickup", parcel, code=factories.code_of(parcel))).verdict == "code_locked"
        assert pick_up(scanner, parcel, token=token_of(parcel)).verdict == "ok"
