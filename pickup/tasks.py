"""Sweeps over rows that wait. Late, twice or in parallel, they do no harm; the table is the queue, Celery the bell.

Clocks ring with `periodic=True`: of all that ring for one period of a sweep, one has it (`pickup.periods`). A nudge
after a commit is a sweep of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Lock
from time import monotonic
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError
from kombu.exceptions import OperationalError as BrokerError

from network import answers, exports, memory, publishing
from network.clock import now
from pickup import (
    asking,
    closings,
    holding,
    missing,
    notices,
    orders,
    payouts,
    periods,
    preview,
    scoring,
    seals,
    settlements,
)

log = logging.getLogger(__name__)

ROWS_PER_SWEEP = 500
ASSIGNED_PER_SWEEP = 100_000  # planned together: the more are known, the fewer metres they walk
SCORING_S = 200
SENDING_S = 20  # a gateway may be slow, and other sweeps want the worker too
FILES_PER_SWEEP = 3


def sweep(work: Callable[[], int]) -> Any:
    """A task that is tried again when the database stumbles; its next period comes anyway, so not for long."""

    def run(task: Any, *, periodic: bool = False) -> int:
        if not periodic:
            return work()
        every = timedelta(seconds=settings.SWEEPS[work.__name__])
        period = periods.take(job=work.__name__, every=every, holder=task.request.id or "", now=now())
        if period is None:
            return 0
        done = work()
        periods.finish(job=work.__name__, period=period, now=now())
        return done

    run.__doc__ = work.__doc__
    return shared_task(
        bind=True,
        name=f"{__name__}.{work.__name__}",
        autoretry_for=(OperationalError, InterfaceError),
        retry_backoff=2,
        max_retries=3,
    )(run)


@sweep
def assign_waiting() -> int:
    """Locate received orders, then assign located ones."""
    located = orders.locate_waiting(now=now(), limit=ROWS_PER_SWEEP)
    return located + orders.assign_waiting(now=now(), limit=ASSIGNED_PER_SWEEP)


@sweep
def send_notices() -> int:
    """Send messages one by one, each claimed at the time it is sent: a claim must outlast the sending."""
    began, sent = monotonic(), 0
    while sent < ROWS_PER_SWEEP and monotonic() - began < SENDING_S:
        if not notices.send_waiting(now=now(), limit=1):
            break
        sent += 1
    return sent


@sweep
def expire_held_parcels() -> int:
    return holding.expire_overdue(now=now(), limit=ROWS_PER_SWEEP)


@sweep
def remind_recipients() -> int:
    return holding.remind(now=now(), limit=ROWS_PER_SWEEP)


@sweep
def forget_places() -> int:
    """What reviewers confirmed about texts that nobody sends any more, and what geocoders said long ago."""
    return memory.forget_unused(now=now()) + answers.forget_old(now=now())


@sweep
def close_points() -> int:
    """Begin the closings whose day has come, end those whose shelves are empty, and empty the way to paused shops."""
    begun = closings.begin_due(now=now(), limit=ROWS_PER_SWEEP)
    begun += closings.give_away(now=now(), limit=ROWS_PER_SWEEP)
    return begun + closings.finish_emptied(now=now(), limit=ROWS_PER_SWEEP)


@sweep
def mend_missing() -> int:
    """Make up for effects that got lost, and forget periods that are long past."""
    periods.forget(now=now())
    return missing.mend(now=now(), limit=ROWS_PER_SWEEP)


@sweep
def place_points() -> int:
    """Move service points to the regions of boundary sets that came into force."""
    return publishing.place_waiting(now=now(), limit=10)


@sweep
def preview_drafts() -> int:
    """Work out what large drafts of borders would change."""
    return preview.work_out_waiting(now=now(), limit=5)


@sweep
def ask_recipients() -> int:
    return asking.ask(now=now())


@sweep
def score_pickups() -> int:
    """Score yesterday and today, and then the days that were missed, as many as a task has time for."""
    began, at = monotonic(), now()
    placed = 0
    for day in reversed(scoring.unscored(now=at)):
        if monotonic() - began > SCORING_S:
            break
        placed += len(scoring.score(day, now=at))
    return placed


@sweep
def write_exports() -> int:
    return exports.work(now=now(), limit=FILES_PER_SWEEP)


@sweep
def close_periods() -> int:
    """Close each month that is over as soon as its last fee is payable; `close_period` does it earlier."""
    return settlements.close_due(now=now())


@sweep
def seal_books() -> int:
    return seals.seal(now=now())


@sweep
def check_payouts() -> int:
    """Send what was approved to the bank's own address, and give what was not answered to a person."""
    return payouts.flag_silent(now=now()) + payouts.send_waiting(now=now())


class Bell:
    """Asks for sweeps soon, from a thread of its own: a request waits neither for the broker nor for its time-outs.

    At most once a second and process for each task, and one at a time: while a broker that hangs is waited for, others
    are not queued up behind it. Without a broker the schedule comes by anyway, and the bell stays quiet for a minute.
    """

    PAUSE_S, QUIET_S = 1.0, 60.0

    def __init__(self) -> None:
        self.ringer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bell")
        self.lock = Lock()
        self.quiet_until: dict[str, float] = {}
        self.ringing: set[str] = set()

    def ring(self, task: Any) -> None:
        with self.lock:
            if task.name in self.ringing or monotonic() < self.quiet_until.get(task.name, 0.0):
                return
            self.ringing.add(task.name)
        self.ringer.submit(self._ring, task)

    def _ring(self, task: Any) -> None:
        pause = self.PAUSE_S
        try:
            task.apply_async(retry=False, expires=60)
        except (BrokerError, OSError):
            pause = self.QUIET_S
            log.warning("no broker: %s waits for its schedule", task.name)
        finally:
            with self.lock:
                self.ringing.discard(task.name)
                self.quiet_until[task.name] = monotonic() + pause


bell = Bell()


def ring(task: Any) -> None:
    """Ask for a sweep soon, after the commit of what it shall find; the request does not wait for the broker."""
    bell.ring(task)
