"""Orders that wait, taken up until none is left: for commands. The sweeps of `tasks` take one batch each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count

from pickup import orders
from pickup.models import Order

BATCH = 500
TOGETHER = 100_000  # assigned at once: the more are known, the fewer metres they walk
WAITING = (Order.Status.RECEIVED, Order.Status.LOCATED)
PATIENCE_S = 90.0  # longer than the rows of a sweep that was killed are left alone
PAUSE_S = 0.2


class StillWaiting(Exception):
    """Orders are left that nothing could be done with for a while: somebody else holds them locked."""


class Outcome(NamedTuple):
    status: str
    review_reason: str


def assign_all(*, clock: Callable[[], datetime], patience_s: float = PATIENCE_S) -> Counter[Outcome]:
    """Locate and assign until nothing waits; return how many orders came to each status and reason.

    A round may get nowhere although rows are left: another sweep holds them, or a point was filled between the
    choice and the lock. So it tries again for a while and raises StillWaiting when that does not help. What sweeps
    at the same time do is counted as well.
    """
    before = _outcomes()
    tired_at = time.monotonic() + patience_s
    while Order.objects.filter(status__in=WAITING).exists():
        moved = orders.locate_waiting(now=clock(), limit=BATCH)
        moved = moved or orders.assign_waiting(now=clock(), limit=TOGETHER)
        if moved:
            tired_at = time.monotonic() + patience_s
        elif time.monotonic() > tired_at:
            left = Order.objects.filter(status__in=WAITING).count()
            raise StillWaiting(f"{left} orders still wait and nothing moved for {patience_s:g} seconds")
        else:
            time.sleep(PAUSE_S)
    return _outcomes() - before


def _outcomes() -> Counter[Outcome]:
    rows = Order.objects.exclude(status__in=WAITING).values_list("status", "review_reason")
    return Counter({Outcome(*row): count for *row, count in rows.annotate(count=Count("id"))})
