"""The form of opening hours: weekdays, public holidays, special days. Shops and those who apply for one fill it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time
from itertools import pairwise
from typing import Any

from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_time
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from network import opening

WEEKDAYS: tuple[Any, ...] = (
    pgettext_lazy("opening hours", "Mo"),
    pgettext_lazy("opening hours", "Tu"),
    pgettext_lazy("opening hours", "We"),
    pgettext_lazy("opening hours", "Th"),
    pgettext_lazy("opening hours", "Fr"),
    pgettext_lazy("opening hours", "Sa"),
    pgettext_lazy("opening hours", "Su"),
)
MOST_SPANS = 4  # of one day
MOST_SPECIAL = 30


@dataclass
class HoursForm:
    """The hours as they stand in the form: what was typed stays there, right or wrong."""

    days: list[dict[str, Any]]
    holidays: str = "as-usual"  # or "closed", or "hours"
    holiday_spans: list[dict[str, str]] = field(default_factory=list)
    special: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


SUGGESTED = opening.Week(days=((opening.Span(9 * 60, 21 * 60),),) * 7)


def form_of(week: opening.Week, *, today: date) -> HoursForm:
    """Fill the form with hours that are in force; special days that are over are left out, so they are forgotten."""
    form = HoursForm(days=[{"closed": not spans, "spans": _filled(spans)} for spans in week.days])
    if week.holidays is not None:
        form.holidays = "hours" if week.holidays else "closed"
    form.holiday_spans = _filled(week.holidays or ())
    form.special = [
        {
            "first": row.first.isoformat(),
            "last": row.last.isoformat() if row.last != row.first else "",
            "closed": not row.spans,
            "spans": _filled(row.spans),
        }
        for row in sorted(week.special)
        if row.last >= today
    ]
    return form


def _filled(spans: opening.Spans) -> list[dict[str, str]]:
    return [
        {"from": opening.clock(span.start_min), "to": opening.clock(span.end_min % opening.DAY_MIN)} for span in spans
    ]


def with_room(form: HoursForm, shown_spans: int) -> HoursForm:
    """Add the empty fields: so many spans for each day, and two more special days."""
    empty = {"from": "", "to": ""}
    lists = [day["spans"] for day in (*form.days, *form.special)] + [form.holiday_spans]
    for spans in lists:
        spans += [dict(empty) for _number in range(min(MOST_SPANS, shown_spans) - len(spans))]
    for number, day in enumerate(form.days):
        day["name"] = WEEKDAYS[number]
    for _number in range(min(2, MOST_SPECIAL - len(form.special))):
        form.special.append({"first": "", "last": "", "closed": True, "spans": [dict(empty), dict(empty)]})
    return form


def typed_form(post: QueryDict) -> HoursForm:
    def spans(prefix: str) -> list[dict[str, str]]:
        pairs = [
            {"from": post.get(f"{prefix}-from-{number}", ""), "to": post.get(f"{prefix}-to-{number}", "")}
            for number in range(MOST_SPANS)
        ]
        return [pair for pair in pairs if pair["from"] or pair["to"]]

    form = HoursForm(
        days=[{"closed": f"day-{number}-closed" in post, "spans": spans(f"day-{number}")} for number in range(7)],
        holidays=post.get("holidays", "as-usual"),
        holiday_spans=spans("holiday"),
    )
    for number in range(MOST_SPECIAL):
        row = {
            "first": post.get(f"special-{number}-first", ""),
            "last": post.get(f"special-{number}-last", ""),
            "closed": f"special-{number}-closed" in post,
            "spans": spans(f"special-{number}"),
        }
        if row["first"] or row["last"]:
            form.special.append(row)
    return form


def week_in(form: HoursForm) -> opening.Week:
    """Read the form; what is wrong is said in `form.errors`, with the name of the day."""
    days = tuple(
        _spans_in(form, str(WEEKDAYS[number]), day["spans"], closed=day["closed"])
        for number, day in enumerate(form.days)
    )
    holidays: opening.Spans | None = None
    if form.holidays != "as-usual":
        closed = form.holidays == "closed"
        holidays = _spans_in(form, _("Public holidays"), form.holiday_spans, closed=closed)
    special = []
    for row in form.special:
        first, last = day_from(row["first"]), day_from(row["last"] or row["first"])
        if first is None or last is None or last < first:
            form.errors.append(_("Special days: the last day does not come before the first."))
            continue
        special.append(opening.Special(first, last, _spans_in(form, f"{first}", row["spans"], closed=row["closed"])))
    special.sort()
    if any(before.last >= after.first for before, after in pairwise(special)):
        form.errors.append(_("Two special days fall on the same day."))
    return opening.Week(days, holidays, tuple(special))


def _spans_in(form: HoursForm, name: str, typed: list[dict[str, str]], *, closed: bool) -> opening.Spans:
    """Read the times of one day. A day that is not closed needs some, a closed one keeps none."""
    if closed:
        return ()
    pairs = []
    for pair in typed:
        start, end = _time(pair["from"]), _time(pair["to"])
        if start is None or end is None:
            form.errors.append(_("%(day)s: fill in from and until, as 09:00.") % {"day": name})
            return ()
        pairs.append((start, end))
    if not pairs:
        form.errors.append(_("%(day)s: fill in the hours, or tick closed.") % {"day": name})
        return ()
    try:
        return opening.spans_of(pairs)
    except opening.NotHours:
        form.errors.append(
            _("%(day)s: each span ends after it begins, and they do not overlap. After midnight is the next day.")
            % {"day": name}
        )
        return ()


def _time(text: str) -> time | None:
    try:
        return parse_time(text)
    except ValueError:
        return None


def day_from(text: str | None) -> date | None:
    """A day as a form sends it; None for what is none, or lies in a year that no ledger knows."""
    try:
        day = parse_date(text or "")
    except ValueError:
        return None
    return day if day is not None and 2000 <= day.year <= 2100 else None
