"""Sweeps over rows that wait. Late, twice or in parallel, they do no harm; the table is the queue, Celery the bell."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils.timezone import now
from kombu.exceptions import OperationalError as BrokerError

from network import exports, memory
from pickup import closings, holding, notices, orders

log = logging.getLogger(__name__)

ROWS_PER_SWEEP = 500
ASSIGNED_PER_SWEEP = 100_000  # planned together: the more are known, the fewer metres they walk
FILES_PER_SWEEP = 3


def sweep(work: Callable[[], int]) -> Any:
    """A task that is tried again when the database stumbles."""
    return shared_task(autoretry_for=(OperationalError, InterfaceError), retry_backoff=2, max_retries=8)(work)


@sweep
def assign_waiting() -> int:
    """Locate received orders, then assign located ones."""
    located = orders.locate_waiting(now=now(), limit=ROWS_PER_SWEEP)
    return located + orders.assign_waiting(now=now(), limit=ASSIGNED_PER_SWEEP)


@sweep
def send_notices() -> int:
    return notices.send_waiting(now=now(), limit=ROWS_PER_SWEEP)


@sweep
def expire_held_parcels() -> int:
    return holding.expire_overdue(now=now(), limit=ROWS_PER_SWEEP)


@sweep
def remind_recipients() -> int:
    return holding.remind(now=now(), limit=ROWS_PER_SWEEP)


@sweep
def forget_places() -> int:
    """What reviewers confirmed about texts that nobody sends any more."""
    return memory.forget_unused(now=now())


@sweep
def close_points() -> int:
    """Begin the closings whose day has come, and end those whose shelves are empty."""
    begun = closings.begin_due(now=now(), limit=ROWS_PER_SWEEP)
    return begun + closings.finish_emptied(now=now(), limit=ROWS_PER_SWEEP)


@sweep
def write_exports() -> int:
    return exports.work(now=now(), limit=FILES_PER_SWEEP)


_bell = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bell")
_quiet_until: dict[str, float] = {}


def ring(task: Any) -> None:
    """Ask for a sweep soon, at most once a second and process; the request does not wait for the broker.

    Without a broker the schedule comes by anyway, and the bell stays quiet for a minute.
    """
    if monotonic() < _quiet_until.get(task.name, 0.0):
        return
    _quiet_until[task.name] = monotonic() + 1
    _bell.submit(_ring, task)


def _ring(task: Any) -> None:
    try:
        task.apply_async(retry=False, expires=60)
    except BrokerError:
        _quiet_until[task.name] = monotonic() + 60
        log.warning("no broker: %s waits for its schedule", task.name)
