"""Opening hours: what the form writes, what it can read again, and how days look."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opening_hours import validate

from network import opening
from network.opening import NotHours, Span, Special, Week

ZONE = ZoneInfo("Asia/Shanghai")
NINE_TO_NINE = (Span(9 * 60, 21 * 60),)
BROKEN = (Span(9 * 60, 12 * 60), Span(14 * 60, 21 * 60))
MONDAY = date(2026, 11, 23)


def spans(most: int = 3) -> st.SearchStrategy[opening.Spans]:
    minutes = st.lists(st.integers(0, 1440), max_size=2 * most, unique=True).map(sorted)
    return minutes.map(lambda marks: tuple(Span(*pair) for pair in zip(marks[::2], marks[1::2], strict=False)))


@st.composite
def weeks(draw: st.DrawFn) -> Week:
    ordinals = sorted(
        draw(st.sets(st.integers(date(2026, 1, 1).toordinal(), date(2027, 12, 1).toordinal()), max_size=8))
    )
    pairs = zip(ordinals[::2], ordinals[1::2], strict=False)
    special = tuple(Special(date.fromordinal(first), date.fromordinal(last), draw(spans())) for first, last in pairs)
    return Week(tuple(draw(spans()) for _ in range(7)), draw(st.none() | spans()), special)


@given(weeks())
@settings(deadline=None)
def test_what_is_written_is_valid_and_read_again_as_it_was(week: Week) -> None:
    text = opening.write(week)
    assert validate(text)
    assert opening.read(text) == week


def test_days_with_the_same_hours_are_written_together() -> None:
    week = Week((BROKEN,) * 5 + (NINE_TO_NINE, NINE_TO_NINE), holidays=())
    assert opening.write(week) == "Mo-Fr 09:00-12:00,14:00-21:00; Sa,Su 09:00-21:00; PH off"


def test_a_shop_that_is_never_open_says_so() -> None:
    assert opening.write(Week(((),) * 7)) == "Mo-Su off"


def test_special_days_are_written_last_because_later_rules_win() -> None:
    golden = Special(date(2026, 10, 1), date(2026, 10, 7))
    text = opening.write(Week((NINE_TO_NINE,) * 7, holidays=NINE_TO_NINE, special=(golden,)))
    assert text == "Mo-Su 09:00-21:00; PH 09:00-21:00; 2026 Oct 01-2026 Oct 07 off"
    assert not opening.calendar(text, first=date(2026, 10, 1), days=1)[0].spans


@pytest.mark.parametrize(
    "text",
    [
        "sunrise-sunset",
        "Mo-Fr 22:00-02:00",
        'Mo 09:00-12:00 "by appointment"',
        "PH off; Mo-Su 09:00-21:00",
        "2026 Oct 01 off; Mo-Su 09:00-21:00",
        "week 1-20 Mo 09:00-12:00",
        "2026 Feb 30 off",
        "2026 Oct 07-2026 Oct 01 off",
    ],
)
def test_hours_that_say_more_than_the_form_are_left_to_the_text_field(text: str) -> None:
    assert opening.read(text) is None


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("24/7", "Mo-Su 00:00-24:00"),
        ("09:00-21:00", "Mo-Su 09:00-21:00"),
        ("Mo-Su,PH 8:00-20:00", "Mo-Su 08:00-20:00; PH 08:00-20:00"),
        ("Fr-Mo 09:00-21:00; Mo off", "Fr-Su 09:00-21:00"),
    ],
)
def test_other_ways_to_write_the_same_hours_are_understood(text: str, same: str) -> None:
    week = opening.read(text)
    assert week is not None
    assert opening.write(week) == same


@pytest.mark.parametrize(
    "pairs",
    [
        [(time(12), time(9))],
        [(time(9), time(9))],
        [(time(9), time(14)), (time(13), time(18))],
    ],
)
def test_spans_that_end_before_they_begin_or_overlap_are_refused(pairs: list[tuple[time, time]]) -> None:
    with pytest.raises(NotHours):
        opening.spans_of(pairs)


def test_midnight_at_the_end_is_the_end_of_the_day() -> None:
    assert opening.spans_of([(time(18), time(0))]) == (Span(18 * 60, 1440),)


def test_a_shop_without_hours_is_open_nobody_knows_when() -> None:
    assert opening.calendar("", first=MONDAY, days=1) == [opening.Day(MONDAY, None)]


def test_a_night_is_shown_on_both_its_days() -> None:
    days = opening.calendar("Mo 22:00-02:00", first=MONDAY, days=2)
    assert [day.spans for day in days] == [(Span(1320, 1440),), (Span(0, 120),)]


def test_a_festival_of_the_country_is_a_public_holiday() -> None:
    [day] = opening.calendar("Mo-Su 09:00-21:00; PH off", first=date(2026, 10, 1), days=1)
    assert day.spans == ()


def test_an_unknown_country_has_no_holidays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.conf.settings.COUNTRY", "XX")
    [day] = opening.calendar("Mo-Su 09:00-21:00; PH off", first=date(2026, 10, 1), days=1)
    assert day.spans == NINE_TO_NINE


@pytest.mark.parametrize(
    ("text", "after", "opens"),
    [
        ("Mo-Fr 09:00-21:00", datetime(2026, 11, 21, tzinfo=ZONE), datetime(2026, 11, 23, 9, tzinfo=ZONE)),
        ("Mo-Fr 09:00-21:00", datetime(2026, 11, 23, 10, tzinfo=ZONE), datetime(2026, 11, 23, 10, tzinfo=ZONE)),
        ("", datetime(2026, 11, 21, tzinfo=ZONE), datetime(2026, 11, 21, tzinfo=ZONE)),
        ("off", datetime(2026, 11, 21, tzinfo=ZONE), None),
    ],
)
def test_the_next_opening(text: str, after: datetime, opens: datetime | None) -> None:
    assert opening.next_opening(text, after=after) == opens
