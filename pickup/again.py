"""Tried again, whole, when the database could not answer: a connection cut, a server coming back, a deadlock.

Only for work that does no harm twice: it has one effect however often it runs, as a scan with its id has.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, InterfaceError, OperationalError, connection
from psycopg.errors import LockNotAvailable, QueryCanceled

TRIES = 5
PATIENCE_S = 5.0  # no new try begins after that: whoever waits is told to ask again
PAUSE_S = 0.05

T = TypeVar("T")


def again(work: Callable[[], T]) -> T:
    """Return what the work returns; inside a transaction it is done once, for the transaction is what must be repeated.

    Waited too long for a lock or for an answer is not tried again: it would only wait as long once more.
    """
    began = time.monotonic()
    for left in reversed(range(TRIES)):
        try:
            return work()
        except (IntegrityError, OperationalError, InterfaceError) as error:
            slow = isinstance(error.__cause__, LockNotAvailable | QueryCanceled)
            if not left or slow or connection.in_atomic_block or time.monotonic() - began > PATIENCE_S:
                raise
            reconnect()
            time.sleep(PAUSE_S * random.random() * (TRIES - left))  # noqa: S311
    raise AssertionError("the last try returns or raises")


def reconnect() -> None:
    """Leave a connection that was cut, and those that were cut with it while they waited in the pool."""
    if connection.connection is None or connection.in_atomic_block or connection.is_usable():
        return
    connection.close()
    pool = getattr(connection, "pool", None)
    if pool is not None:
        pool.check()
