"""Opening hours: the part of OpenStreetMap's syntax that a shop owner can fill in, read, written and laid out by day.

A shop without hours counts as open every day. All times are those of the network's time zone. "24:00" is the end of
a day; a night that goes on after midnight is two spans, one on each day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

from django.conf import settings
from opening_hours import OpeningHours, State, UnknownCountryError  # type: ignore[attr-defined] # its stubs lack it

WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAY_MIN = 24 * 60
LOOK_AHEAD = timedelta(days=60)  # a shop that does not open within these is not waited for

Spans = tuple["Span", ...]


@dataclass(frozen=True, order=True)
class Span:
    """From and until, in minutes after midnight."""

    start_min: int
    end_min: int

    def __str__(self) -> str:
        return f"{clock(self.start_min)}-{clock(self.end_min)}"


@dataclass(frozen=True, order=True)
class Special:
    """Days, both included, with hours of their own; without spans the shop is closed on them."""

    first: date
    last: date
    spans: Spans = ()


@dataclass(frozen=True)
class Week:
    """The hours of each weekday from Monday on. `holidays` is None where public holidays are days like any other."""

    days: tuple[Spans, ...]
    holidays: Spans | None = None
    special: tuple[Special, ...] = ()


@dataclass(frozen=True)
class Day:
    """What one day of the calendar looks like; `spans` is None where nobody told the hours."""

    day: date
    spans: Spans | None = field(default=())


class NotHours(ValueError):
    """Spans that end before they begin or overlap, or days in the wrong order."""


def clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def spans_of(pairs: Sequence[tuple[time, time]]) -> Spans:
    """Return the spans in order; midnight at the end of one is the end of its day. Raises NotHours."""
    spans = sorted(Span(_minutes(start), _minutes(end) or DAY_MIN) for start, end in pairs)
    if any(span.start_min >= span.end_min for span in spans):
        raise NotHours("a span ends before it begins")
    if any(before.end_min > after.start_min for before, after in pairwise(spans)):
        raise NotHours("spans overlap")
    return tuple(spans)


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute


def write(week: Week) -> str:
    """Return the hours in OpenStreetMap's syntax. A later rule there replaces an earlier one for its days."""
    days_with = {
        spans: [number for number, day in enumerate(week.days) if day == spans] for spans in week.days if spans
    }
    rules = [f"{_weekdays(numbers)} {_times(spans)}" for spans, numbers in days_with.items()] or ["Mo-Su off"]
    if week.holidays is not None:
        rules.append(f"PH {_times(week.holidays)}")
    for special in sorted(week.special):
        days = _date(special.first)
        if special.last > special.first:
            days += f"-{_date(special.last)}"
        rules.append(f"{days} {_times(special.spans)}")
    return "; ".join(rules)


def _weekdays(numbers: Sequence[int]) -> str:
    parts = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        days = [WEEKDAYS[number] for _, number in run]
        parts += [f"{days[0]}-{days[-1]}"] if len(days) > 2 else days
    return ",".join(parts)


def _times(spans: Spans) -> str:
    return ",".join(map(str, spans)) or "off"


def _date(day: date) -> str:
    return f"{day.year} {MONTHS[day.month - 1]} {day.day:02d}"


_TIMES = r"(?P<times>off|closed|\d\d?:\d\d ?- ?\d\d?:\d\d(?: ?, ?\d\d?:\d\d ?- ?\d\d?:\d\d)*)"
_WEEKDAY_RULE = re.compile(rf"(?P<days>(?:(?:Mo|Tu|We|Th|Fr|Sa|Su|PH)(?:-(?:Mo|Tu|We|Th|Fr|Sa|Su))?,? ?)*){_TIMES}")
_ONE_DATE = r"(\d{{4}}) ({months}) (\d\d?)".format(months="|".join(MONTHS))
_DATE_RULE = re.compile(rf"{_ONE_DATE}(?: ?- ?{_ONE_DATE})? {_TIMES}")


def read(text: str) -> Week | None:
    """Return what a form can show of these hours, or None where they say more than its fields can hold."""
    days: list[Spans] = [()] * 7
    holidays: Spans | None = None
    special: list[Special] = []
    for rule in filter(None, (part.strip() for part in text.split(";"))):
        try:
            dated = _DATE_RULE.fullmatch(rule)
            if dated is not None:
                special.append(_special(dated))
                continue
            weekly = _WEEKDAY_RULE.fullmatch("Mo-Su 00:00-24:00" if rule == "24/7" else rule)
            if weekly is None or special:
                return None  # rules after special days would take their place
            numbers, on_holidays = _numbers(weekly["days"])
            spans = _read_times(weekly["times"])
        except (NotHours, ValueError):
            return None
        if holidays is not None and numbers:
            return None  # so would rules after the holidays'
        for number in numbers:
            days[number] = spans
        if on_holidays:
            holidays = spans
    return Week(tuple(days), holidays, tuple(special))


def _special(rule: re.Match[str]) -> Special:
    parts = rule.groups()
    first = date(int(parts[0]), MONTHS.index(parts[1]) + 1, int(parts[2]))
    last = date(int(parts[3]), MONTHS.index(parts[4]) + 1, int(parts[5])) if parts[3] else first
    if last < first:
        raise NotHours("the last day comes before the first")
    return Special(first, last, _read_times(rule["times"]))


def _numbers(text: str) -> tuple[list[int], bool]:
    if not text.strip():
        return list(range(7)), False
    numbers: list[int] = []
    named = [part.strip() for part in text.split(",")]
    for part in named:
        if part in ("", "PH"):
            continue
        first, _, last = part.partition("-")
        start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        numbers += [number % 7 for number in range(start, end + 1 if end >= start else end + 8)]
    return numbers, "PH" in named


def _read_times(text: str) -> Spans:
    if text in ("off", "closed"):
        return ()
    pairs = []
    for part in text.split(","):
        start, end = (f"{piece.strip():0>5}" for piece in part.split("-"))
        pairs.append((time.fromisoformat(start), time.fromisoformat("00:00" if end == "24:00" else end)))
    return spans_of(pairs)


def parsed(text: str) -> OpeningHours:
    """Read valid hours, with the public holidays of the network's country where the library knows them."""
    return _parsed(text, settings.COUNTRY)


@lru_cache(maxsize=10_000)
def _parsed(text: str, country: str) -> OpeningHours:
    try:
        return OpeningHours(text, country=country)
    except UnknownCountryError:
        return OpeningHours(text)


def calendar(text: str, *, first: date, days: int) -> list[Day]:
    """Lay hours out over the days from `first` on, public holidays of the network's country among them."""
    dates = [first + timedelta(days=number) for number in range(days)]
    if not text:
        return [Day(day, None) for day in dates]
    begins, ends = (datetime.combine(day, time()) for day in (first, first + timedelta(days=days)))
    open_spans: dict[date, list[Span]] = {day: [] for day in dates}
    for start, end, state, _ in parsed(text).intervals(begins, ends):
        if state != State.OPEN:
            continue
        for day in dates:
            midnight = datetime.combine(day, time())
            lower, upper = max(start, midnight), min(end, midnight + timedelta(days=1))
            if lower < upper:
                open_spans[day].append(Span(*(int((at - midnight).total_seconds()) // 60 for at in (lower, upper))))
    return [Day(day, tuple(spans)) for day, spans in open_spans.items()]


def next_opening(text: str, *, after: datetime) -> datetime | None:
    """Return when the shop is open for the first time from `after` on; None if that is not within two months."""
    zone = ZoneInfo(settings.TIME_ZONE)
    begins = after.astimezone(zone).replace(tzinfo=None)
    if not text:
        return after
    for start, _, state, _ in parsed(text).intervals(begins, begins + LOOK_AHEAD):
        if state == State.OPEN:
            return max(start, begins).replace(tzinfo=zone)
    return None
