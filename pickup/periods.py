"""One effect for each period, however many clocks ring: who writes the row first has the period.

Periods are counted from a fixed moment on, by the database's clock, so that every clock and every worker means the
same one. A row that was taken and not finished is taken over by the same task when it comes again, or by anybody after
LEASE.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from pickup.models import JobRun

LEASE = timedelta(minutes=5)  # longer than a task may run
KEPT = timedelta(days=1)

TAKE = """
    INSERT INTO pickup_jobrun AS run (job, period, holder, taken_at)
    VALUES (%(job)s, date_bin(%(every)s, %(now)s, TIMESTAMPTZ '2001-01-01 00:00:00+00'), %(holder)s, %(now)s)
    ON CONFLICT (job, period) DO UPDATE SET holder = EXCLUDED.holder, taken_at = EXCLUDED.taken_at
    WHERE run.done_at IS NULL AND (run.holder = EXCLUDED.holder OR run.taken_at < %(now)s - %(lease)s)
    RETURNING period
"""


def take(*, job: str, every: timedelta, holder: str, now: datetime) -> datetime | None:
    """Take the current period of a job, in a statement of its own; None if it is somebody else's or done."""
    with connection.cursor() as cursor:
        named: dict[str, Any] = {"job": job, "every": every, "holder": holder, "now": now, "lease": LEASE}
        cursor.execute(TAKE, named)
        row = cursor.fetchone()
    return row[0] if row else None


def finish(*, job: str, period: datetime, now: datetime) -> None:
    JobRun.objects.filter(job=job, period=period).update(done_at=now)


def forget(*, now: datetime) -> int:
    """Delete what is older than a day: nobody asks for those periods any more."""
    return JobRun.objects.filter(period__lt=now - KEPT).delete()[0]
