"""Promise 10: months are closed by eight at once while pickups go on, commits lag and closers are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Event
from typing import Any
from unittest import mock

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError, IntegrityError
from django.utils.timezone import localtime, now

from network.models import Level, ServicePoint
from pickup import ledger, seals, settlements, tasks
from pickup.models import JobRun, Parcel, Posting, Settlement, Statement, StatementLine, Tariff
from pickup.scans import Scanner
from tests import factories
from tests.factories import make_appointment, make_point, make_ready_parcel, pick_up
from tests.faults.test_races import at_once
from tests.roles import as_owner, as_worker

pytestmark = pytest.mark.django_db(transaction=True)

CLOSERS = 8
PATIENCE_S = 60


def month_after(months: int) -> str:
    today = localtime()
    index = today.year * 12 + today.month - 1 + months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def close(period: int) -> Settlement:
    at = now() + timedelta(days=40 + 31 * period)
    return factories.close_period(period=month_after(period), now=at, currency="CNY")


class Shop:
    """A shop with parcels that are ready, in a district with an agent."""

    def __init__(self, parcels: int) -> None:
        chain = factories.make_chain()
        make_appointment(chain[Level.DISTRICT])
        make_appointment(chain[Level.PROVINCE])
        self.point: ServicePoint = make_point(capacity=10_000)
        self.scanner: Scanner = factories.scanner_of(self.point)
        ids = factories.chain_ids(chain)
        self.parcels: list[Parcel] = [
            make_ready_parcel(self.scanner, self.point, region_ids=ids) for _ in range(parcels)
        ]

    def collect(self, parcel: Parcel) -> None:
        assert pick_up(self.scanner, parcel).verdict == "ok"


def each_line_once() -> None:
    """Every payable posting is in one statement, and the statements come to what the ledger says."""
    close(30)  # whatever was late
    assert StatementLine.objects.count() == Posting.objects.count()
    settled = sum(Statement.objects.values_list("total_minor", flat=True)) - sum(
        Statement.objects.values_list("carried_minor", flat=True)
    )
    assert settled == sum(Posting.objects.values_list("amount_minor", flat=True))
    assert ledger.faults() == []


def test_periods_closed_by_eight_at_once_while_pickups_go_on(is_long: bool) -> None:
    periods = 10 if is_long else 3
    shop = Shop(20 * periods)
    meeting = Barrier(CLOSERS, timeout=PATIENCE_S)

    def closer(_number: int) -> set[int]:
        made = set()
        for period in range(periods):
            meeting.wait()
            made.add(close(period).pk)
        return made

    with ThreadPoolExecutor(1) as collector:
        collecting = collector.submit(collect_all, shop)
        made = at_once(range(CLOSERS), closer, clients=CLOSERS)
        collecting.result(PATIENCE_S)
    assert len(set.union(*made)) == Settlement.objects.count() == periods
    each_line_once()


def collect_all(shop: Shop) -> None:
    try:
        for parcel in shop.parcels:
            shop.collect(parcel)
    finally:
        connection.close()


def held_open() -> transaction.Atomic:
    """A transaction around one that may not be nested, so that it commits later than it thinks."""
    around = transaction.atomic()
    around._from_testcase = True  # type: ignore[attr-defined]
    return around


@contextmanager
def a_pickup_that_does_not_commit(shop: Shop, parcel: Parcel) -> Iterator[None]:
    """Its postings have numbers and a time before the closing, and are seen by nobody yet."""
    posted, go_on = Event(), Event()

    def collect() -> None:
        try:
            with held_open():
                shop.collect(parcel)
                posted.set()
                assert go_on.wait(PATIENCE_S)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        collecting = pool.submit(collect)
        assert posted.wait(PATIENCE_S)
        try:
            yield
        finally:
            go_on.set()
            collecting.result(PATIENCE_S)


def test_a_commit_that_lags_behind_the_closing_falls_into_the_next_month() -> None:
    shop = Shop(3)
    shop.collect(shop.parcels[0])
    with a_pickup_that_does_not_commit(shop, shop.parcels[1]):
        shop.collect(shop.parcels[2])  # a higher number, committed before
        close(0)
        factories.seal(now=now())
        assert StatementLine.objects.count() == 6
    assert Posting.objects.count() == 9
    close(1)
    assert StatementLine.objects.filter(statement__settlement__period=month_after(1)).count() == 3
    factories.seal(now=now())
    assert seals.faults(now=now()) == []
    each_line_once()


def test_control_a_window_of_numbers_loses_the_commit_that_lagged() -> None:
    """What most would write: remember the highest number and go on from there."""
    shop = Shop(3)
    claim = settlements.CLAIM.replace(
        "AND NOT EXISTS (SELECT FROM pickup_statementline l WHERE l.posting_id = p.id)",
        "AND p.id > COALESCE((SELECT MAX(l.posting_id) FROM pickup_statementline l), 0)",
    )
    assert claim != settlements.CLAIM
    with mock.patch.object(settlements, "CLAIM", claim):
        shop.collect(shop.parcels[0])
        with a_pickup_that_does_not_commit(shop, shop.parcels[1]):
            shop.collect(shop.parcels[2])
            close(0)
        close(1)
    assert StatementLine.objects.count() == 6
    assert Posting.objects.count() == 9


def test_a_line_is_claimed_by_its_key_even_where_nobody_waits() -> None:
    """Two closings of different months at the same moment, without the lock: the second one is refused as a whole."""
    shop = Shop(1)
    shop.collect(shop.parcels[0])
    assert closings_without_the_lock() == {"closed": 1, "refused": 1}
    assert StatementLine.objects.count() == 3


def test_control_without_the_key_both_claim_the_line() -> None:
    shop = Shop(1)
    shop.collect(shop.parcels[0])
    with without_the_key():
        assert closings_without_the_lock() == {"closed": 2, "refused": 0}
        assert StatementLine.objects.count() == 6
        execute("TRUNCATE pickup_statementline")


@contextmanager
def without_the_key() -> Iterator[None]:
    """Take away the primary key of the lines, and what stands on it."""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(
            """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
               WHERE (contype = 'f' AND confrelid = 'pickup_statementline'::regclass)
                  OR (contype = 'p' AND conrelid = 'pickup_statementline'::regclass) ORDER BY contype"""
        )
        keys = cursor.fetchall()
        for table, name, _ in keys:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        cursor.execute("ALTER TABLE pickup_statementline DISABLE TRIGGER never_emptied")
        try:
            yield
        finally:
            for table, name, definition in reversed(keys):
                cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
            cursor.execute("ALTER TABLE pickup_statementline ENABLE TRIGGER never_emptied")


def closings_without_the_lock() -> dict[str, int]:
    """Two closings that hold no lock: each has begun to write, and neither sees what the other one wrote."""
    begun = Barrier(2, timeout=PATIENCE_S)
    told = {"closed": 0, "refused": 0}

    def closes(period: int) -> str:
        try:
            with as_worker(), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                settlement = Settlement.objects.create(period=month_after(period), currency="CNY", closed_at=now())
                begun.wait()
                at = now() + timedelta(days=80)
                named: dict[str, Any] = {"settlement": settlement.pk, "end": at, "now": at, "currency": "CNY"}
                cursor.execute(settlements.CLAIM, named)
        except DatabaseError:
            return "refused"
        return "closed"

    for word in at_once([0, 1], closes, clients=2):
        told[word] += 1
    return told


def execute(statement: str) -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("when", ["before the claim", "after the claim"])
def test_a_closer_that_is_killed_half_way_leaves_nothing(when: str) -> None:
    shop = Shop(2)
    shop.collect(shop.parcels[0])
    connection.close()
    child = os.fork()
    if child == 0:
        claim = settlements.CLAIM
        sql = "SELECT pg_terminate_backend(pg_backend_pid())" if when == "before the claim" else claim
        try:
            with mock.patch.object(settlements, "CLAIM", sql), held_open():
                close(0)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert not Settlement.objects.exists()
    assert not StatementLine.objects.exists()
    shop.collect(shop.parcels[1])
    close(0)
    assert StatementLine.objects.count() == 6
    each_line_once()


def test_three_clocks_close_a_month_once(settings: Any) -> None:
    """Promise 15, for the schedule: three beats ring, one works, and whoever comes again finds it done."""
    shop = Shop(2)
    shop.collect(shop.parcels[0])
    later = now() + timedelta(days=80)

    def rings(_number: int) -> None:
        with as_worker():
            tasks.close_periods(periodic=True)

    with mock.patch.object(tasks, "now", return_value=later):
        at_once(range(3), rings, clients=3)
    assert JobRun.objects.filter(job="close_periods").count() == 1
    assert Settlement.objects.filter(period=month_after(0)).count() == 1
    assert StatementLine.objects.count() == 3


def test_a_month_closes_by_itself_when_its_last_fee_is_payable() -> None:
    shop = Shop(1)
    shop.collect(shop.parcels[0])
    end = settlements.end_of(month_after(0))
    hours = Tariff.objects.get().payable_after_hours
    assert factories.close_due(now=end + timedelta(hours=hours - 1)) == 0
    assert factories.close_due(now=end + timedelta(hours=hours + 1)) == 1
    assert factories.close_due(now=end + timedelta(hours=hours + 2)) == 0
    assert StatementLine.objects.count() == 3


def test_a_closed_statement_takes_nothing_more() -> None:
    shop = Shop(2)
    shop.collect(shop.parcels[0])
    close(0)
    shop.collect(shop.parcels[1])
    statement = Statement.objects.get(account__service_point=shop.point)
    late = Posting.objects.filter(line__isnull=True, kind="point_fee").get()
    with as_worker(), pytest.raises(DatabaseError, match="takes no more lines"):
        StatementLine.objects.create(posting=late, statement=statement, amount_minor=late.amount_minor)
    with as_worker(), pytest.raises(DatabaseError, match="takes no more statements"):
        Statement.objects.create(settlement_id=statement.settlement_id, account_id=late.debit_id, total_minor=1)
    for change in (
        lambda: Statement.objects.update(total_minor=1),
        lambda: StatementLine.objects.update(amount_minor=1),
        lambda: Settlement.objects.update(period="2020-01"),
        StatementLine.objects.all().delete,
    ):
        with as_owner(), pytest.raises(DatabaseError, match="only ever added"):
            change()


def test_a_fee_is_reversed_once_whoever_tries_at_once() -> None:
    shop = Shop(1)
    shop.collect(shop.parcels[0])
    fee = Posting.objects.get(kind="point_fee")
    meeting = Barrier(32, timeout=PATIENCE_S)

    def gives_back(_number: int) -> bool:
        meeting.wait()
        try:
            with transaction.atomic():
                ledger.reverse(fee, reason="mistake")
        except IntegrityError:
            return False
        return True

    assert sum(at_once(range(32), gives_back, clients=32)) == 1
    assert Posting.objects.filter(kind="reversal").count() == 1
