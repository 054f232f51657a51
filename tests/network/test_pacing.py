"""The shared pace and pauses of geocoders: never too fast together, left alone when they fail, tried again by one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now

from network import pacing
from network.geocoders import Outcome, Said
from network.models import GeocoderState
from network.pacing import Turn

AT = now()
DOWN, GOOD = Said(Outcome.TIMED_OUT), Said(Outcome.UNKNOWN)


def take(wanted: int = 1, *, at: datetime = AT, **fields: Any) -> Turn:
    asked: dict[str, Any] = {"name": "amap", "rate": 2.0, "budget_s": 10.0, "timeout_s": 5.0}
    return pacing.take(wanted=wanted, at=at, **asked | fields)


def note(*said: Said, at: datetime = AT) -> GeocoderState:
    pacing.note(name="amap", said=said, at=at)
    return GeocoderState.objects.get()


def fail_until_paused() -> GeocoderState:
    take()
    return note(*[DOWN] * pacing.FAILURES_BEFORE_PAUSE)


@pytest.mark.django_db
def test_turns_follow_each_other_at_the_rate() -> None:
    assert take(3) == Turn(3, 0.0, 0.5)
    assert take(3) == Turn(3, 1.5, 0.5)
    assert take(1, at=AT + timedelta(seconds=2)) == Turn(1, 1.0, 0.5)
    assert take(1, at=AT + timedelta(hours=1)).wait_s == 0


@pytest.mark.django_db
def test_no_turn_is_given_that_comes_too_late() -> None:
    assert take(100, budget_s=3.0) == Turn(6, 0.0, 0.5)
    assert take(100, budget_s=3.0).questions == 0
    assert take(100, budget_s=3.0, at=AT + timedelta(seconds=1)).questions == 2


@pytest.mark.django_db
def test_an_idle_hour_is_no_stock_of_turns() -> None:
    take(1)
    turn = take(100, budget_s=3.0, at=AT + timedelta(hours=1))
    assert (turn.questions, turn.wait_s) == (6, 0)


@pytest.mark.django_db
def test_each_geocoder_has_its_own_pace() -> None:
    take(5)
    assert take(1, name="tencent").wait_s == 0


@pytest.mark.django_db(transaction=True)
def test_processes_side_by_side_share_one_pace() -> None:
    take(0)
    together = Barrier(4)

    def worker(_: int) -> Turn:
        try:
            together.wait()
            return take(5, budget_s=60.0)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        turns = list(pool.map(worker, range(4)))
    moments = sorted(turn.wait_s + number * turn.every_s for turn in turns for number in range(turn.questions))
    assert moments == [number * 0.5 for number in range(20)]


@pytest.mark.django_db
def test_some_failures_are_no_outage_and_a_good_answer_forgets_them() -> None:
    take()
    assert note(*[DOWN] * (pacing.FAILURES_BEFORE_PAUSE - 1)).paused_until is None
    assert note(GOOD).failures == 0
    assert note(GOOD, *[DOWN] * (pacing.FAILURES_BEFORE_PAUSE - 1)).paused_until is None
    assert take().questions == 1


@pytest.mark.django_db
def test_after_failures_in_a_row_nobody_asks_and_then_one_tries() -> None:
    until = fail_until_paused().paused_until
    assert until == AT + pacing.FIRST_PAUSE
    assert take(100, at=until - timedelta(milliseconds=1)).questions == 0
    assert take(100, at=until).questions == 1
    assert take(100, at=until).questions == 0  # somebody tries it already


@pytest.mark.django_db
def test_a_trial_that_succeeds_opens_the_door_and_one_that_fails_makes_a_longer_pause() -> None:
    until = fail_until_paused().paused_until
    assert until is not None
    take(at=until)
    longer = note(DOWN, at=until)
    assert longer.paused_until == until + 2 * pacing.FIRST_PAUSE
    take(at=longer.paused_until)
    well = note(GOOD, at=longer.paused_until)
    assert (well.paused_until, well.failures, well.pauses) == (None, 0, 0)
    assert take(3, at=longer.paused_until + timedelta(minutes=1)).questions == 3


@pytest.mark.django_db
def test_a_trial_whose_process_died_is_given_to_another_one() -> None:
    until = fail_until_paused().paused_until
    assert until is not None
    take(at=until)
    assert take(at=until + timedelta(seconds=14)).questions == 0
    assert take(at=until + timedelta(seconds=16)).questions == 1


@pytest.mark.django_db
def test_pauses_grow_only_so_far() -> None:
    state = fail_until_paused()
    for _ in range(20):
        assert state.paused_until is not None
        at = state.paused_until
        take(at=at)
        state = note(DOWN, at=at)
        assert state.paused_until is not None
        assert state.paused_until - at <= pacing.LONGEST_PAUSE
    assert state.paused_until == at + pacing.LONGEST_PAUSE


@pytest.mark.parametrize(
    ("said", "pause"),
    [
        (Said(Outcome.RATE_LIMITED), timedelta(minutes=1)),
        (Said(Outcome.RATE_LIMITED, retry_after_s=7), timedelta(seconds=7)),
        (Said(Outcome.RATE_LIMITED, retry_after_s=0), timedelta(seconds=1)),
        (Said(Outcome.RATE_LIMITED, retry_after_s=10**9), timedelta(hours=1)),
        (Said(Outcome.QUOTA), timedelta(minutes=15)),
        (Said(Outcome.REFUSED), timedelta(minutes=5)),
    ],
)
@pytest.mark.django_db
def test_a_geocoder_that_says_no_is_left_alone_at_once(said: Said, pause: timedelta) -> None:
    take()
    assert note(said).paused_until == AT + pause
    assert take().questions == 0
