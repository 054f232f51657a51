"""A shop's own page: pause and resume, its load, and its next two weeks."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import localdate, localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from network import opening, points
from network.models import Pause, ServicePoint
from network.views.hours_form import WEEKDAYS, day_from
from pickup import stock
from pickup.views.doors import Worker, at_counter, shown

Reason = Pause.Reason
ONE_TAP = (Reason.FULL, Reason.TECHNICAL)
WITH_DAYS = (Reason.VACATION, Reason.CLOSING)
REASONS: dict[str, tuple[Any, Any]] = {
    Reason.FULL: (gettext_lazy("Full"), gettext_lazy("no more room on the shelves")),
    Reason.TECHNICAL: (gettext_lazy("Technical fault"), gettext_lazy("no power, no network, no scanner")),
    Reason.VACATION: (gettext_lazy("Vacation"), gettext_lazy("the shop is shut for some days")),
    Reason.CLOSING: (gettext_lazy("Closing"), gettext_lazy("rebuilding, moving or giving up")),
    Reason.OPENING: (gettext_lazy("Not open yet"), gettext_lazy("until the first day, which the network agreed to")),
}
DAYS_SHOWN = 14
PAST_PAUSES = 5


@at_counter(person=True)
@require_http_methods(["GET", "HEAD", "POST"])
def shop(request: HttpRequest, worker: Worker) -> HttpResponse:
    """Pause and resume are for everybody who works here; the hours are the owner's."""
    at = now()
    error: dict[str, str] = {}
    if request.method == "POST":
        acts = {"pause": _pause, "resume": _resume}
        act = acts.get(request.POST.get("action", ""))
        if act is None:
            raise Http404
        error = act(request, worker, at)
        if not error:
            return redirect("shop", worker.point.pk)
    rows = points.pauses(worker.point, now=at)
    current = next((row for row in rows if row.period.lower is None or row.period.lower <= at), None)
    planned = [row for row in rows if row is not current]
    numbers = stock.shelf(worker.point, now=at, lead=None)
    held = numbers.here + numbers.expected
    context = {
        "problem": next((words for reason, words in error.items() if reason in ONE_TAP), ""),
        "current": shown_pause(current) if current else None,
        "planned": [shown_pause(row) for row in planned],
        "past": [shown_pause(row) for row in points.past_pauses(worker.point, now=at, limit=PAST_PAUSES)],
        "taps": [_tap(worker.point, reason, at, planned) for reason in ONE_TAP],
        "with_days": [
            {
                "reason": reason,
                "name": REASONS[reason][0],
                "hint": REASONS[reason][1],
                "typed": _typed(request, reason),
                "error": error.get(reason, ""),
            }
            for reason in WITH_DAYS
        ],
        "today": localdate(at),
        "numbers": numbers,
        "held": held,
        "room": max(0, worker.point.capacity - held),
        "days": days_of(worker.point.opening_hours, rows, first=localdate(at)),
        "active": worker.point.status == ServicePoint.Status.ACTIVE,
    }
    return shown(request, worker, "pickup/shop.html", context, status=400 if error else 200)


def _typed(request: HttpRequest, reason: str) -> dict[str, str]:
    if request.POST.get("reason") != reason:
        return {}
    return {name: request.POST.get(name, "") for name in ("first", "last")}


def _tap(point: ServicePoint, reason: Pause.Reason, at: datetime, planned: list[Pause]) -> dict[str, Any]:
    end = points.one_tap_end(point, reason=reason, now=at, planned=planned)
    return {"reason": reason, "name": REASONS[reason][0], "hint": REASONS[reason][1], "until": end}


def shown_pause(row: Pause) -> dict[str, Any]:
    """A pause in words. Where it begins or ends with a day, the page tells the day and not midnight."""
    begins, ends = row.period.lower, row.period.upper
    whole = ends is not None and localtime(ends).time() == time()
    return {
        "row": row,
        "name": REASONS[row.reason][0],
        "begins": begins,
        "ends": ends,
        "last_day": localdate(ends - timedelta(microseconds=1)) if whole else None,
    }


def _pause(request: HttpRequest, worker: Worker, at: datetime) -> dict[str, str]:
    """Pause the shop; return in words what was wrong, and at which reason."""
    reason = request.POST.get("reason", "")
    if reason not in Reason.values:
        raise Http404
    begins = at
    if reason in ONE_TAP:
        ends = points.one_tap_end(worker.point, reason=reason, now=at, planned=points.pauses(worker.point, now=at))
    else:
        first, last = day_from(request.POST.get("first")), day_from(request.POST.get("last"))
        if last is None or (first is None and request.POST.get("first")):
            return {reason: _("Choose the last day of the pause.")}
        if last < localdate(at) or (first is not None and last < first):
            return {reason: _("The last day lies before the first, or is over already.")}
        zone = ZoneInfo(settings.TIME_ZONE)
        begins = datetime.combine(first, time(), zone) if first is not None else at
        ends = datetime.combine(last + timedelta(days=1), time(), zone)
    try:
        points.pause(point_id=worker.point.pk, reason=reason, begins=begins, ends=ends, now=at, by=worker.user)
    except points.PauseOverlaps as overlap:
        return {reason: _overlap_words(overlap.pause)}
    except points.PauseRefused:
        return {reason: _("A pause lasts at most one year.")}
    if begins > at:
        messages.success(request, _("The pause is planned."))
    else:
        messages.success(request, _("Paused. No new parcels come; the ones here are still handed over."))
    return {}


def _overlap_words(standing: Pause) -> str:
    shown_as = shown_pause(standing)
    return _("There is a pause already: %(name)s, from %(begins)s to %(ends)s. End that one first.") % {
        "name": shown_as["name"],
        "begins": f"{localtime(standing.period.lower):%m-%d %H:%M}" if standing.period.lower else "…",
        "ends": f"{localtime(standing.period.upper):%m-%d %H:%M}" if standing.period.upper else "…",
    }


def _resume(request: HttpRequest, worker: Worker, at: datetime) -> dict[str, str]:
    number = request.POST.get("pause", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise Http404
    try:
        points.resume(point_id=worker.point.pk, pause_id=int(number), now=at, by=worker.user)
    except Pause.DoesNotExist:
        # Somebody else took it back a moment ago: what was wanted is so.
        if not Pause.objects.filter(pk=int(number)).exists():
            return {}
        raise Http404 from None
    messages.success(request, _("The pause is over: new parcels may come."))
    return {}


def days_of(hours: str, pauses: list[Pause], *, first: date) -> list[dict[str, Any]]:
    """The next two weeks as the network sees them: the hours of each day, and whether a pause covers a part of it.

    Bars are drawn in a picture 1440 wide, a minute each.
    """
    zone = ZoneInfo(settings.TIME_ZONE)
    rows = []
    for day in opening.calendar(hours, first=first, days=DAYS_SHOWN):
        begins = datetime.combine(day.day, time(), zone)
        ends = begins + timedelta(days=1)
        paused = [
            row
            for row in pauses
            if (row.period.lower is None or row.period.lower < ends)
            and (row.period.upper is None or row.period.upper > begins)
        ]
        rows.append(
            {
                "day": day.day,
                "weekday": WEEKDAYS[day.day.weekday()],
                "told": day.spans is not None,
                "spans": [str(span) for span in day.spans or ()],
                "bars": [{"x": span.start_min, "width": span.end_min - span.start_min} for span in day.spans or ()],
                "paused": [REASONS[row.reason][0] for row in paused],
            }
        )
    return rows
