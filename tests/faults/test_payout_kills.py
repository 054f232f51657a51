"""Promise 11: the process that sends money is killed at each step; the bank hears each transfer once at most.

The child is a fork that kills itself with SIGKILL at the marked point; the bank keeps every byte. Afterwards two more
sweeps run, as they would: what is not surely unsent waits for a person.
"""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.utils.timezone import now

from pickup import bank_door, ledger, payouts
from pickup.models import Account, Payout, PayoutBatch, Posting
from tests import factories
from tests.factories import make_bank_details, make_point, make_ready_parcel, make_template, make_user, pick_up
from tests.faults.bank import Bank, a_bank
from tests.pickup.test_settlements import close, this_month

pytestmark = pytest.mark.django_db(transaction=True)

PAYEES = 3


@pytest.fixture
def bank(settings: Any) -> Iterator[Bank]:
    with a_bank() as found:
        settings.BANK_URL = found.url
        yield found


@pytest.fixture
def run(bank: Bank) -> PayoutBatch:
    """An approved run of three payouts that goes to the bank's address."""
    for _ in range(PAYEES):
        point = make_point()
        scanner = factories.scanner_of(point)
        pick_up(scanner, make_ready_parcel(scanner, point))
    close(this_month())
    for account in Account.objects.filter(kind="point"):
        make_bank_details(account)
    batch = payouts.draft(
        currency="CNY",
        template=make_template("pain.001"),
        channel=PayoutBatch.Channel.DOOR,
        by=make_user(is_staff=True),
        now=now(),
    )
    return payouts.approve(batch=batch, by=make_user(is_staff=True), now=now())


def die(*args: Any, **options: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, *, time: int = 1) -> AbstractContextManager[Any]:
    """Die when it is called for the n-th time."""
    return _counted(owner, name, time, after=False)


def after(owner: Any, name: str, *, time: int = 1) -> AbstractContextManager[Any]:
    """Die when it has returned for the n-th time."""
    return _counted(owner, name, time, after=True)


def _counted(owner: Any, name: str, time: int, *, after: bool) -> AbstractContextManager[Any]:
    real, calls = getattr(owner, name), [0]

    def counted(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == time and not after:
            die()
        answer = real(*args, **options)
        if calls[0] == time:
            die()
        return answer

    return mock.patch.object(owner, name, counted)


def half_of_it(self: http.client.HTTPConnection, data: Any) -> None:
    """Send the first half of what should go, and die."""
    assert self.sock is not None
    whole = bytes(data)
    self.sock.sendall(whole[: len(whole) // 2])
    die()


MARKS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "before anything": lambda: before(payouts, "make_file"),
    "under the lock": lambda: after(payouts, "_alone"),
    "the file is written": lambda: before(payouts, "_note"),
    "all are sending, not committed": lambda: after(payouts, "_note"),
    "committed": lambda: after(payouts, "make_file"),
    "before the connection": lambda: before(http.client.HTTPConnection, "connect"),
    "connected": lambda: after(http.client.HTTPConnection, "connect"),
    "half of the head sent": lambda: mock.patch.object(http.client.HTTPConnection, "send", half_after_connecting),
    "the head sent, the file not": lambda: before(http.client.HTTPConnection, "send", time=2),
    "all of it sent": lambda: before(http.client.HTTPConnection, "getresponse"),
    "answered, not read": lambda: after(http.client.HTTPConnection, "getresponse"),
    "answered yes": lambda: after(bank_door, "deliver"),
    "before it is written down": lambda: before(payouts, "_answered"),
    "the first is posted": lambda: after(Posting.objects, "create"),
    "written down, not committed": lambda: after(payouts, "_note", time=2),
    "written down": lambda: after(payouts, "_answered"),
}


def half_after_connecting(self: http.client.HTTPConnection, data: Any) -> None:
    if self.sock is None:
        self.connect()
    half_of_it(self, data)


def sends_and_dies(mark: Callable[[], AbstractContextManager[Any]]) -> int:
    """Send in a fork that dies at the mark; returns by which signal."""
    connection.close()
    child = os.fork()
    if child == 0:
        try:
            with ExitStack() as stack:
                stack.enter_context(mark())
                payouts.send_waiting(now=now())
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status)


def the_others_come_by() -> None:
    """Sweeps of other workers: at once, when five minutes are over, and after that."""
    payouts.send_waiting(now=now())
    payouts.flag_silent(now=now() + timedelta(minutes=6))
    payouts.send_waiting(now=now() + timedelta(minutes=7))


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS.keys())
def test_the_bank_hears_each_transfer_once_at_most(
    run: PayoutBatch, bank: Bank, mark: Callable[[], AbstractContextManager[Any]]
) -> None:
    assert sends_and_dies(mark) == signal.SIGKILL
    the_others_come_by()
    assert max(bank.orders().values(), default=0) <= 1
    states = set(Payout.objects.values_list("state", flat=True))
    if states == {"sent"}:  # it was not sent before the kill, or all was written down
        assert bank.orders().total() == PAYEES
        assert Posting.objects.filter(kind="payout").count() == PAYEES
    else:
        assert states == {"needs_check"}
        assert not Posting.objects.filter(kind="payout").exists()
    assert ledger.faults() == []


def test_a_run_that_nobody_kills_is_paid_once(run: PayoutBatch, bank: Bank) -> None:
    the_others_come_by()
    assert set(bank.orders().values()) == {1}
    assert bank.orders().total() == PAYEES


def test_control_whoever_sends_again_what_is_on_its_way_pays_twice(run: PayoutBatch, bank: Bank) -> None:
    """The guard away: the process that finds the file thinks that it made it."""
    real = payouts.make_file

    def hasty(**options: Any) -> Any:
        file, _ = real(**options)
        return file, True

    assert sends_and_dies(lambda: before(http.client.HTTPConnection, "getresponse")) == signal.SIGKILL
    with mock.patch.object(payouts, "make_file", hasty):
        payouts.send(batch=run, now=now())
    assert set(bank.orders().values()) == {2}


@pytest.mark.parametrize(
    ("answer", "state"),
    [(b"200 OK", "sent"), (b"422 No", "failed"), (b"500 Oops", "needs_check"), (b"302 There", "needs_check"),
     (b"409 Twice", "needs_check"), (b"rubbish", "needs_check")],
)  # fmt: skip
def test_what_the_bank_answers_decides(run: PayoutBatch, bank: Bank, answer: bytes, state: str) -> None:
    bank.answer = answer
    the_others_come_by()
    assert set(Payout.objects.values_list("state", flat=True)) == {state}
    assert len(bank.heard) == 1


def test_a_bank_that_cannot_be_reached_waits_for_a_person(run: PayoutBatch, bank: Bank, settings: Any) -> None:
    settings.BANK_URL = "http://127.0.0.1:9/"
    the_others_come_by()
    assert set(Payout.objects.values_list("state", flat=True)) == {"needs_check"}


def test_no_file_goes_anywhere_over_plain_http(run: PayoutBatch, settings: Any) -> None:
    settings.BANK_URL = "http://bank.example/"
    payouts.send_waiting(now=now())
    assert set(Payout.objects.values_list("state", flat=True)) == {"failed"}
