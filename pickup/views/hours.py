"""The owner's form of opening hours: weekdays, public holidays, special days, and their effect on the next weeks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time
from itertools import pairwise
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.dateparse import parse_time
from django.utils.timezone import localdate, now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from network import opening, points
from network.models import User
from pickup.views.doors import Worker, at_counter, shown
from pickup.views.earnings import day_from
from pickup.views.shop import WEEKDAYS, days_of

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


def _form_of(week: opening.Week, *, today: date) -> HoursForm:
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


def _with_room(form: HoursForm, shown_spans: int) -> HoursForm:
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


def _typed_form(post: QueryDict) -> HoursForm:
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


def _week_in(form: HoursForm) -> opening.Week:
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


@at_counter(owner=True)
@require_http_methods(["GET", "HEAD", "POST"])
def hours(request: HttpRequest, worker: Worker) -> HttpResponse:
    """The owner's opening hours. Nothing is saved before its effect on the next two weeks was shown."""
    point, today = worker.point, localdate()
    text, raw, status = point.opening_hours, False, 200
    week = opening.read(text) if text else SUGGESTED
    form = _form_of(week or SUGGESTED, today=today)
    raw = week is None
    if request.method == "POST":
        raw = "hours" in request.POST
        if raw:
            form, text = HoursForm(days=[]), request.POST["hours"].strip()
        else:
            form = _typed_form(request.POST)
            week = _week_in(form)
            text = text if form.errors else opening.write(week)
        if not form.errors and not _valid(text):
            form.errors.append(_("These hours cannot be kept: too long, or not in OpenStreetMap's syntax."))
        if not form.errors and request.POST.get("action") == "save":
            assert isinstance(worker.user, User), "the door lets owners in only"
            points.set_hours(point_id=point.pk, hours=text, by=worker.user)
            messages.success(request, _("Saved. Assignment and recipients see the new hours at once."))
            return redirect("hours", point.pk)
        status = 400 if form.errors else 200
    shows = point.opening_hours if form.errors else text
    asked = request.POST.get("shown", "2")
    spans_shown = int(asked) if asked in ("2", "3", "4") else 2
    spans_shown += request.POST.get("action") == "more"
    context = {
        "form": form if raw else _with_room(form, spans_shown),
        "shown": spans_shown,
        "raw": raw,
        "text": text,
        "preview": request.method == "POST" and not form.errors,
        "days": days_of(shows, points.pauses(point, now=now()), first=today),
        "unset": not point.opening_hours,
        "today": today,
    }
    return shown(request, worker, "pickup/hours.html", context, status=status)


def _valid(text: str) -> bool:
    try:
        points.check_hours(text)
    except points.HoursRefused:
        return False
    return True
