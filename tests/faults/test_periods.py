"""Three clocks ring at once for a day of hours: each hour has its effect once (promise 15)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from threading import Barrier, Lock
from typing import Any
from unittest import mock

import pytest
from django.db import connection

from pickup import periods
from pickup.models import JobRun
from tests import factories
from tests.faults.test_races import at_once
from tests.roles import as_owner, as_worker

pytestmark = pytest.mark.django_db(transaction=True)

CLOCKS, PERIODS = 3, 24
HOUR = timedelta(hours=1)


def day_of_three_clocks() -> Counter[datetime]:
    """Ring with all clocks at once in each period; count how often each period had its effect."""
    meeting, counting = Barrier(CLOCKS, timeout=120), Lock()
    effects: Counter[datetime] = Counter()

    def clock(number: int) -> None:
        for period in range(PERIODS):
            at = factories.LONG_AGO + period * HOUR + timedelta(seconds=7 * number)
            meeting.wait()
            with as_worker():
                taken = periods.take(job="hourly", every=HOUR, holder=f"clock {number}", now=at)
            if taken is not None:
                with counting:
                    effects[factories.LONG_AGO + period * HOUR] += 1

    at_once(range(CLOCKS), clock, clients=CLOCKS)
    return effects


def test_three_clocks_have_one_effect_in_each_period() -> None:
    assert day_of_three_clocks() == {factories.LONG_AGO + period * HOUR: 1 for period in range(PERIODS)}
    assert JobRun.objects.count() == PERIODS


def test_control_without_the_unique_row_each_clock_has_its_own_effect() -> None:
    start, end = periods.TAKE.index("ON CONFLICT"), periods.TAKE.index("RETURNING")
    unguarded = periods.TAKE[:start] + periods.TAKE[end:]
    execute("ALTER TABLE pickup_jobrun DROP CONSTRAINT job_once_per_period")
    try:
        with mock.patch.object(periods, "TAKE", unguarded):
            assert set(day_of_three_clocks().values()) == {CLOCKS}
    finally:
        execute("DELETE FROM pickup_jobrun")
        execute("ALTER TABLE pickup_jobrun ADD CONSTRAINT job_once_per_period UNIQUE (job, period)")


def execute(statement: str) -> Any:
    with as_owner(), connection.cursor() as cursor:
        return cursor.execute(statement)
