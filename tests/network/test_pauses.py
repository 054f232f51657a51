"""Pausing a shop: typed, with an end, seen by assignment at once, one at a time, and never forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin.models import LogEntry
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from network import assignment, points
from network.assignment import Demand
from network.models import Pause, ServicePoint
from tests import factories

pytestmark = pytest.mark.django_db
ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 20, 12, tzinfo=ZONE)  # a Friday
HOUR = timedelta(hours=1)


@pytest.fixture
def point() -> ServicePoint:
    return factories.make_point(opening_hours="Mo-Fr 09:00-21:00; Sa 10:00-18:00")


def pause(point: ServicePoint, begins: datetime, ends: datetime, now: datetime = NOON) -> Pause:
    return points.pause(point_id=point.pk, reason="full", begins=begins, ends=ends, now=now)


def chosen(point: ServicePoint, at: datetime) -> int | None:
    demand = Demand(key=1, lat=point.location.y, lon=point.location.x, size=1, parcels=1, chain=[])
    return assignment.assign([demand], at=at, held_at=lambda _: {})[1].point_id


def test_assignment_sees_a_pause_at_once_and_the_shop_reopens_by_itself(point: ServicePoint) -> None:
    assert chosen(point, NOON) == point.pk
    pause(point, NOON, NOON + 2 * HOUR)
    assert chosen(point, NOON) is None
    assert chosen(point, NOON + 2 * HOUR) == point.pk


def test_a_resumed_pause_ends_now_and_stays_in_the_history(point: ServicePoint) -> None:
    row = pause(point, NOON, NOON + 5 * HOUR)
    points.resume(point_id=point.pk, pause_id=row.pk, now=NOON + HOUR)
    row.refresh_from_db()
    assert row.period == DateTimeTZRange(NOON, NOON + HOUR)
    assert chosen(point, NOON + HOUR) == point.pk
    assert points.past_pauses(point, now=NOON + HOUR, limit=5) == [row]


def test_a_pause_resumed_in_its_first_instant_is_over(point: ServicePoint) -> None:
    row = pause(point, NOON, NOON + HOUR)
    points.resume(point_id=point.pk, pause_id=row.pk, now=NOON)
    assert points.pauses(point, now=NOON + timedelta(seconds=1)) == []


def test_resuming_twice_changes_nothing_more(point: ServicePoint) -> None:
    row = pause(point, NOON, NOON + 5 * HOUR)
    for hours in (1, 2):
        points.resume(point_id=point.pk, pause_id=row.pk, now=NOON + hours * HOUR)
    row.refresh_from_db()
    assert row.period.upper == NOON + HOUR


def test_a_planned_pause_is_taken_back_whole(point: ServicePoint) -> None:
    row = pause(point, NOON + 24 * HOUR, NOON + 48 * HOUR)
    points.resume(point_id=point.pk, pause_id=row.pk, now=NOON)
    assert not Pause.objects.exists()


def test_the_pause_of_another_shop_is_not_resumed(point: ServicePoint) -> None:
    row = pause(point, NOON, NOON + HOUR)
    with pytest.raises(Pause.DoesNotExist):
        points.resume(point_id=factories.make_point().pk, pause_id=row.pk, now=NOON)


def test_overlapping_pauses_are_refused_and_the_standing_one_is_named(point: ServicePoint) -> None:
    row = pause(point, NOON, NOON + 5 * HOUR)
    with pytest.raises(points.PauseOverlaps) as refused:
        pause(point, NOON + HOUR, NOON + 6 * HOUR)
    assert refused.value.pause == row
    assert Pause.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_exclusion_constraint_speaks_as_kindly_as_the_look_before_it(
    point: ServicePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = pause(point, NOON, NOON + 5 * HOUR)
    looks = iter([None, row])
    monkeypatch.setattr(points, "_overlapping", lambda *_: next(looks))
    with pytest.raises(points.PauseOverlaps):
        pause(point, NOON + HOUR, NOON + 6 * HOUR)


def test_one_pause_may_begin_where_another_ends(point: ServicePoint) -> None:
    pause(point, NOON, NOON + HOUR)
    pause(point, NOON + HOUR, NOON + 2 * HOUR)
    assert Pause.objects.count() == 2


def test_another_shop_may_pause_at_the_same_time(point: ServicePoint) -> None:
    pause(point, NOON, NOON + HOUR)
    pause(factories.make_point(), NOON, NOON + HOUR)
    assert Pause.objects.count() == 2


@pytest.mark.parametrize("lasts", [timedelta(0), -HOUR, timedelta(days=367)])
def test_a_pause_ends_after_it_begins_and_within_a_year(point: ServicePoint, lasts: timedelta) -> None:
    with pytest.raises(points.PauseRefused):
        pause(point, NOON, NOON + lasts)
    assert not Pause.objects.exists()


def test_a_pause_never_begins_in_the_past(point: ServicePoint) -> None:
    assert pause(point, NOON - 9 * HOUR, NOON + HOUR).period.lower == NOON


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (NOON, datetime(2026, 11, 21, 10, tzinfo=ZONE)),  # tomorrow is a Saturday
        (NOON + timedelta(days=1), datetime(2026, 11, 23, 9, tzinfo=ZONE)),  # tomorrow the shop is shut
        (datetime(2026, 11, 19, 23, 59, 59, tzinfo=ZONE), datetime(2026, 11, 20, 9, tzinfo=ZONE)),
        (datetime(2026, 11, 20, 0, 0, tzinfo=ZONE), datetime(2026, 11, 21, 10, tzinfo=ZONE)),
    ],
)
def test_full_lasts_until_the_opening_of_tomorrow(point: ServicePoint, now: datetime, opens: datetime) -> None:
    assert points.one_tap_end(point, reason="full", now=now) == opens


def test_full_in_a_shop_that_tells_no_hours_lasts_until_midnight() -> None:
    point = factories.make_point()
    assert points.one_tap_end(point, reason="full", now=NOON) == datetime(2026, 11, 21, tzinfo=ZONE)


def test_a_technical_pause_lasts_four_hours(point: ServicePoint) -> None:
    assert points.one_tap_end(point, reason="technical", now=NOON) == NOON + 4 * HOUR


def test_a_pause_of_one_tap_ends_where_a_planned_one_begins(point: ServicePoint) -> None:
    planned = pause(point, NOON + HOUR, NOON + 48 * HOUR)
    end = points.one_tap_end(point, reason="technical", now=NOON, planned=[planned])
    assert end == NOON + HOUR
    pause(point, NOON, end)


def test_who_paused_and_resumed_stands_in_the_history(point: ServicePoint) -> None:
    clerk = factories.make_member(point, "clerk")
    row = points.pause(point_id=point.pk, reason="full", begins=NOON, ends=NOON + HOUR, now=NOON, by=clerk)
    points.resume(point_id=point.pk, pause_id=row.pk, now=NOON, by=clerk)
    notes = LogEntry.objects.filter(user=clerk, object_id=str(point.pk)).order_by("id")
    assert [note.change_message for note in notes] == [
        "paused: full, 2026-11-20 12:00 to 2026-11-20 13:00",
        "resumed: full",
    ]


def test_pauses_in_force_and_to_come_are_listed_the_next_one_first(point: ServicePoint) -> None:
    later = pause(point, NOON + 48 * HOUR, NOON + 50 * HOUR)
    current = pause(point, NOON, NOON + HOUR)
    endless = Pause.objects.create(
        service_point=point, reason="closing", period=DateTimeTZRange(NOON + 99 * HOUR, None)
    )
    assert points.pauses(point, now=NOON) == [current, later, endless]
    assert points.pauses(point, now=NOON + HOUR) == [later, endless]


def test_hours_are_kept_with_who_wrote_them(point: ServicePoint) -> None:
    owner = factories.make_member(point)
    points.set_hours(point_id=point.pk, hours="24/7", by=owner)
    point.refresh_from_db()
    assert point.opening_hours == "24/7"
    assert "24/7" in LogEntry.objects.get(user=owner).change_message


@pytest.mark.parametrize("hours", ["nonsense", "Mo 25:00-26:00 x", "; ".join(["Mo 09:00-10:00"] * 60)])
def test_what_are_no_hours_is_refused(point: ServicePoint, hours: str) -> None:
    with pytest.raises(points.HoursRefused):
        points.set_hours(point_id=point.pk, hours=hours, by=factories.make_member(point))
    point.refresh_from_db()
    assert point.opening_hours.startswith("Mo-Fr")
