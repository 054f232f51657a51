"""Rows that wait: taken before they are worked on, tried again, given to a person, never in each other's way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils.timezone import now
from kombu.exceptions import OperationalError as BrokerError

from network import geocoding
from network.messages import Message
from pickup import missing, notices, orders, periods, tasks
from pickup.models import JobRun, Notice, Order, Parcel, PickupCode
from tests import factories
from tests.factories import make_draft, make_merchant, make_point, make_ready_parcel, scanner_of
from tests.roles import as_owner, as_worker

pytestmark = pytest.mark.django_db
POISON = "毒"


@pytest.fixture
def placed(chain: dict[Any, Any]) -> list[Order]:
    """Three orders, the second of which breaks whoever reads its address."""
    make_point()
    merchant = make_merchant()[0]
    words = ["科苑路1号", POISON, "科苑路2号"]
    return [orders.place(merchant=merchant, draft=make_draft(address=text), now=now()).order for text in words]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    def locate(queries: Sequence[geocoding.Query], **options: Any) -> list[geocoding.Place]:
        if any(POISON in query.text for query in queries):
            raise ValueError(f"cannot read {POISON}")
        return found(queries, **options)

    found = geocoding.locate
    monkeypatch.setattr(geocoding, "locate", locate)


def statuses(rows: Sequence[Order]) -> list[str]:
    return [Order.objects.get(pk=order.pk).status for order in rows]


def test_an_order_that_breaks_its_sweep_does_not_keep_the_others_waiting(placed: list[Order], poison: None) -> None:
    assert orders.locate_waiting(now=now(), limit=500) == 2
    assert statuses(placed) == ["located", "received", "located"]


def test_a_sweep_takes_as_many_as_it_asked_for_whatever_the_plan(placed: list[Order]) -> None:
    """A subquery that locks its rows may be asked once for each row of the table, and finds others each time."""
    Order.objects.update(tries=1)
    with connection.cursor() as cursor:
        for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material", "memoize"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    for order in placed:
        assert orders._claim("received", now=now(), only=None) == [order.pk]


def test_an_order_that_breaks_every_sweep_goes_to_review_with_its_reason(
    placed: list[Order], poison: None, caplog: pytest.LogCaptureFixture
) -> None:
    at = now()
    for _ in range(orders.TRIES):
        orders.locate_waiting(now=at, limit=500)
        at += timedelta(hours=1)
    order = Order.objects.get(pk=placed[1].pk)
    assert (order.status, order.review_reason) == ("review", orders.FAILED)
    assert order.review_detail == {"step": "received", "error": "ValueError"}
    assert (order.tries, order.next_try_at) == (0, None)
    assert POISON not in caplog.text, "what the error says may quote an address"
    assert "could not be processed: ValueError" in caplog.text


def test_an_order_that_kills_its_sweep_is_known_by_its_tries(placed: list[Order], poison: None) -> None:
    """A killed process cannot note anything, so what it worked on was noted before."""
    at = now()
    assert orders._begin("received", now=at, limit=500, only=None)[1] == [order.pk for order in placed]
    assert orders.locate_waiting(now=at + orders.LEASE, limit=500) == 0, "another sweep leaves them alone for a while"
    assert orders.locate_waiting(now=at + 2 * orders.LEASE, limit=500) == 2, "then takes them one by one"


def test_a_database_that_does_not_answer_is_no_fault_of_the_orders(
    placed: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(geocoding, "locate", down)
    at = now()
    with pytest.raises(OperationalError):
        orders.locate_waiting(now=at, limit=500)
    monkeypatch.undo()
    # So many orders are left alone a little longer than one.
    assert orders.locate_waiting(now=at + 2 * orders.LEASE, limit=500) == 3
    assert statuses(placed) == ["located"] * 3


def test_an_order_that_cannot_be_assigned_does_not_keep_the_others_waiting(placed: list[Order]) -> None:
    at = now()
    orders.locate_waiting(now=at, limit=500)
    Order.objects.filter(pk=placed[1].pk).update(status="located")
    broken = Order.objects.get(pk=placed[1].pk).address
    broken.location = None
    broken.save(update_fields=["location"])
    for _ in range(orders.TRIES):
        orders.assign_waiting(now=at, limit=500)
        at += timedelta(hours=1)
    assert statuses(placed) == ["assigned", "review", "assigned"]
    assert Order.objects.get(pk=placed[1].pk).review_reason == orders.FAILED


def test_an_order_that_was_outrun_waits_for_the_next_sweep_only(placed: list[Order], monkeypatch: Any) -> None:
    orders.locate_waiting(now=now(), limit=500)
    monkeypatch.setattr(orders, "_locked_room", lambda point_ids: dict.fromkeys(point_ids, 1))
    assert orders.assign_waiting(now=now(), limit=500) == 1
    monkeypatch.undo()
    assert orders.assign_waiting(now=now(), limit=500) == 2


def test_what_was_taken_up_is_cleared_when_the_order_goes_on(placed: list[Order]) -> None:
    tasks.assign_waiting()
    assert set(Order.objects.values_list("status", "tries", "next_try_at")) == {("assigned", 0, None)}


# Messages


class Broken:
    def send(self, message: Message) -> None:
        raise RuntimeError(f"no route to {message.phone}")


def test_a_message_that_breaks_its_gateway_does_not_keep_the_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    point = make_point()
    scanner = scanner_of(point)
    for _ in range(3):
        make_ready_parcel(scanner, point)
    monkeypatch.setattr(notices, "gateway", Broken)
    assert notices.send_waiting(now=now(), limit=10) == 3
    assert set(Notice.objects.values_list("error", "tries")) == {("cannot be written or sent: RuntimeError", 1)}
    at = now()
    for _ in range(notices.TRIES):
        at += timedelta(hours=1)
        notices.send_waiting(now=at, limit=10)
    assert set(Notice.objects.values_list("gave_up", flat=True)) == {True}, (
        "and somebody sees them in the administration"
    )


# Periods


@pytest.fixture
def as_the_worker(db: None) -> Iterator[None]:
    with as_worker():
        yield


def take(job: str = "sweep", holder: str = "a", seconds: float = 0.0) -> bool:
    at = factories.LONG_AGO + timedelta(seconds=seconds)
    return periods.take(job=job, every=timedelta(seconds=10), holder=holder, now=at) is not None


@pytest.mark.usefixtures("as_the_worker")
def test_a_period_is_taken_once() -> None:
    assert [take(holder="a"), take(holder="b", seconds=9.9), take(holder="b", seconds=10)] == [True, False, True]
    assert take(job="another")


@pytest.mark.usefixtures("as_the_worker")
def test_a_task_that_comes_again_goes_on_with_its_period() -> None:
    assert take(holder="a")
    assert take(holder="a", seconds=1)


@pytest.mark.usefixtures("as_the_worker")
def test_a_period_that_is_done_is_not_taken_again() -> None:
    assert take(holder="a")
    periods.finish(job="sweep", period=JobRun.objects.get().period, now=now())
    assert not take(holder="a", seconds=1)


@pytest.mark.usefixtures("as_the_worker")
def test_a_period_that_was_left_is_taken_over() -> None:
    day = timedelta(days=1)
    first = periods.take(job="daily", every=day, holder="a", now=factories.LONG_AGO)
    assert periods.take(job="daily", every=day, holder="b", now=factories.LONG_AGO + periods.LEASE) is None
    later = factories.LONG_AGO + periods.LEASE + timedelta(seconds=1)
    assert periods.take(job="daily", every=day, holder="b", now=later) == first


@pytest.mark.usefixtures("as_the_worker")
def test_a_sweep_rung_twice_in_its_period_works_once() -> None:
    for _ in range(2):
        tasks.expire_held_parcels.apply(kwargs={"periodic": True})
    row = JobRun.objects.get()
    assert (row.job, row.done_at is not None) == ("expire_held_parcels", True)


@pytest.mark.usefixtures("as_the_worker")
def test_periods_that_are_long_past_are_forgotten() -> None:
    take()
    tasks.mend_missing()
    assert not JobRun.objects.exists()


def test_every_sweep_has_its_period(settings: Any) -> None:
    ours = {name.rpartition(".")[2] for name in tasks.assign_waiting.app.tasks if name.startswith("pickup.tasks.")}
    assert ours == settings.SWEEPS.keys()


# Effects that are missing


@pytest.fixture
def late(chain: dict[Any, Any]) -> Parcel:
    point = make_point()
    parcel = make_ready_parcel(scanner_of(point), point)
    factories.backdate(parcel, ready_at=now() - missing.LATE - timedelta(minutes=1))
    return parcel


def test_where_nothing_is_missing_nothing_is_done(late: Parcel) -> None:
    assert missing.mend(now=now(), limit=10) == 0


def test_a_lost_notice_is_written_again(late: Parcel) -> None:
    with as_owner():
        Notice.objects.all().delete()
    assert missing.mend(now=now(), limit=10) == 1
    assert Notice.objects.get().kind == "ready"


def test_a_lost_code_is_issued_again_and_is_the_same(late: Parcel) -> None:
    before = bytes(late.code.code_hash)
    with as_owner():
        PickupCode.objects.all().delete()
    assert missing.mend(now=now(), limit=10) == 1
    assert bytes(PickupCode.objects.get().code_hash) == before


def test_what_was_scanned_a_moment_ago_is_left_alone(late: Parcel) -> None:
    with as_owner():
        Notice.objects.all().delete()
    factories.backdate(late, ready_at=now())
    assert missing.mend(now=now(), limit=10) == 0


def test_an_assigned_order_without_a_point_waits_for_one_again(placed: list[Order]) -> None:
    tasks.assign_waiting()
    Parcel.objects.filter(order=placed[0]).update(service_point=None)
    assert missing.mend(now=now(), limit=10) == 1
    assert Order.objects.get(pk=placed[0].pk).status == "located"
    tasks.assign_waiting()
    assert Parcel.objects.get(order=placed[0]).service_point is not None


def test_what_waits_too_long_is_counted(placed: list[Order]) -> None:
    assert missing.overdue(now=now()) == {"orders": 0, "notices": 0}
    assert missing.overdue(now=now() + missing.LATE + timedelta(minutes=1))["orders"] == 3


# The bell


class Task:
    name = "pickup.tasks.fake"

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.rung, self.go_on = error, 0, Event()

    def apply_async(self, **_: object) -> None:
        self.rung += 1
        assert self.go_on.wait(30)
        if self.error is not None:
            raise self.error


def ring(bell: tasks.Bell, task: Task, times: int = 1) -> None:
    for _ in range(times):
        bell.ring(task)


def test_who_rings_does_not_wait_for_a_broker_that_hangs_nor_rings_again_meanwhile() -> None:
    bell, task = tasks.Bell(), Task()
    ring(bell, task, times=5)  # it returns, though nobody goes on
    task.go_on.set()
    bell.ringer.shutdown()
    assert task.rung == 1


def test_without_a_broker_the_bell_is_quiet_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    bell, task = tasks.Bell(), Task(BrokerError("no broker"))
    monkeypatch.setattr(bell, "PAUSE_S", 0.0)
    task.go_on.set()
    ring(bell, task)
    bell.ringer.submit(lambda: None).result(30)
    ring(bell, task)
    bell.ringer.shutdown()
    assert task.rung == 1
