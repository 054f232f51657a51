"""How fast each geocoder is asked, and when it is left alone: one row for each, shared by all processes.

The pace is a queue of moments: whoever wants to ask takes the next ones, so that no two processes together ask faster
than the rate. What a process took and did not use is lost, never made up for. Several failures in a row, or a refusal,
make a pause, and a longer one each time; after it one process tries once for all. Every moment is the caller's, from
the database's clock, and without the database nothing is given away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from network.geocoders import DOWN, Outcome, Said

FAILURES_BEFORE_PAUSE = 5
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=2)  # an outage ends unnoticed so long at most
# What says itself that asking again at once is no use; a rate limit may say how long.
PAUSES = {
    Outcome.RATE_LIMITED: timedelta(minutes=1),
    Outcome.QUOTA: timedelta(minutes=15),
    Outcome.REFUSED: timedelta(minutes=5),
}
LONGEST_WISH = timedelta(hours=1)


@dataclass(frozen=True)
class Turn:
    """So many questions are allowed: the first one after `wait_s` seconds, each next one `every_s` later."""

    questions: int
    wait_s: float
    every_s: float


TAKE = """
    WITH known AS (
        INSERT INTO network_geocoderstate (name, free_at, failures, pauses, last_outcome)
        VALUES (%(name)s, %(at)s, 0, 0, '') ON CONFLICT DO NOTHING
    ), locked AS (
        SELECT name, greatest(free_at, %(at)s) AS first,
               CASE WHEN paused_until IS NULL THEN least(
                        %(wanted)s, greatest(0, ceil((%(budget_s)s - extract(epoch FROM
                            greatest(free_at, %(at)s) - %(at)s)) * %(rate)s)))
                    WHEN paused_until > %(at)s OR trial_until > %(at)s THEN 0
                    ELSE 1 END AS questions
        FROM network_geocoderstate WHERE name = %(name)s FOR UPDATE
    )
    UPDATE network_geocoderstate s
    SET free_at = l.first + l.questions * make_interval(secs => 1 / %(rate)s::float8),
        trial_until = CASE WHEN s.paused_until IS NOT NULL AND l.questions > 0 THEN %(trial_until)s
                           ELSE s.trial_until END
    FROM locked l WHERE s.name = l.name
    RETURNING l.questions, extract(epoch FROM l.first - %(at)s)
"""


def take(*, name: str, wanted: int, rate: float, budget_s: float, timeout_s: float, at: datetime) -> Turn:
    """Take up to `wanted` moments in which to ask, those that come within `budget_s`; none while it is left alone."""
    asked: dict[str, Any] = {
        "name": name,
        "wanted": wanted,
        "rate": rate,
        "budget_s": budget_s,
        "at": at,
        "trial_until": at + timedelta(seconds=budget_s + timeout_s),
    }
    with connection.cursor() as cursor:
        cursor.execute(TAKE, asked)
        row = cursor.fetchone()
        if row is None:  # the row was made by this very statement, which does not see it yet
            cursor.execute(TAKE, asked)
            row = cursor.fetchone()
    return Turn(int(row[0]), float(row[1]), 1 / rate)


NOTE = """
    UPDATE network_geocoderstate
    SET failures = CASE WHEN %(good)s THEN 0 ELSE failures END + %(failures)s,
        last_outcome = %(outcome)s,
        answered_at = CASE WHEN %(good)s THEN %(at)s ELSE answered_at END,
        trial_until = NULL,
        pauses = CASE WHEN NOT %(ends_badly)s THEN 0
                      WHEN %(wish)s::interval IS NOT NULL OR paused_until IS NOT NULL
                           OR CASE WHEN %(good)s THEN 0 ELSE failures END + %(failures)s >= %(most)s
                      THEN CASE WHEN %(good)s THEN 0 ELSE pauses END + 1
                      ELSE pauses END,
        paused_until = CASE WHEN NOT %(ends_badly)s THEN NULL
                            WHEN %(wish)s::interval IS NOT NULL THEN %(at)s + %(wish)s::interval
                            WHEN paused_until IS NOT NULL
                                 OR CASE WHEN %(good)s THEN 0 ELSE failures END + %(failures)s >= %(most)s
                            THEN %(at)s + least(%(longest)s, %(first)s * 2 ^ least(10,
                                 CASE WHEN %(good)s THEN 0 ELSE pauses END))
                            ELSE NULL END
    WHERE name = %(name)s
"""


def note(*, name: str, said: Sequence[Said], at: datetime) -> None:
    """Remember how the questions of one turn went, in the order in which they were asked."""
    if not said:
        return
    down = [one.outcome in DOWN for one in said]
    failures = next((number for number, failed in enumerate(reversed(down)) if not failed), len(down))
    last = said[-1]
    noted: dict[str, Any] = {
        "name": name,
        "at": at,
        "good": not all(down),
        "failures": failures,
        "ends_badly": down[-1],
        "outcome": str(last.outcome),
        "wish": _wish(last),
        "most": FAILURES_BEFORE_PAUSE,
        "first": FIRST_PAUSE,
        "longest": LONGEST_PAUSE,
    }
    with connection.cursor() as cursor:
        cursor.execute(NOTE, noted)


def _wish(said: Said) -> timedelta | None:
    if said.outcome not in PAUSES:
        return None
    if said.outcome is Outcome.RATE_LIMITED and said.retry_after_s is not None:
        return min(max(timedelta(seconds=said.retry_after_s), timedelta(seconds=1)), LONGEST_WISH)
    return PAUSES[said.outcome]
