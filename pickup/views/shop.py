"""A shop's own page: pause and resume, its load, and its next two weeks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import localdate, localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from network import opening, points
from network.clock import now
from network.models import NOTICE_LETTERS, Closing, Pause, ServicePoint, User, VisitorNotice
from network.views.hours_form import WEEKDAYS, day_from
from pickup import closings, stock
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
NOTICE_FIELDS = ("text_zh", "text_en", "first_day", "last_day")
NOTICE_REFUSED: dict[str, Any] = {
    "empty": gettext_lazy("Write something, in one language at least."),
    "too_long": gettext_lazy("At most 120 letters in each language."),
    "bad_days": gettext_lazy("Choose the last day, today or later and within a year."),
    "link": gettext_lazy("A notice has no links in it."),
}
CLOSING_REFUSED: dict[str, Any] = {
    "no_reason": gettext_lazy("Say why."),
    "bad_days": gettext_lazy(
        "The last day does not come before the first; a closing begins within 180 days and lasts at most 60."
    ),
    "open_already": gettext_lazy("A closing is asked for or planned already."),
    "not_open": gettext_lazy("No closing is asked for or planned."),
    "wrong_status": gettext_lazy("The service point is not in the state for this any more."),
}
DAYS_SHOWN = 14
PAST_PAUSES = 5


@at_counter(person=True)
@require_http_methods(["GET", "HEAD", "POST"])
def shop(request: HttpRequest, worker: Worker) -> HttpResponse:
    """Pause and resume are for everybody who works here; hours, notice and closing are the owner's."""
    at = now()
    error: dict[str, str] = {}
    if request.method == "POST":
        act = ACTS.get(request.POST.get("action", ""))
        if act is None or (request.POST["action"] in OF_OWNERS and not worker.is_owner):
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
    } | _of_owner(request, worker, error)
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


def _of_owner(request: HttpRequest, worker: Worker, error: dict[str, str]) -> dict[str, Any]:
    """The notice to visitors and the closing: an owner's, but everybody who works here reads them."""
    kept: VisitorNotice | None = getattr(worker.point, "visitor_notice", None)
    notice = {name: getattr(kept, name, "") for name in NOTICE_FIELDS}
    if "notice" in error:
        notice = {name: request.POST.get(name, "") for name in NOTICE_FIELDS}
    names = ("first", "last", "reason") if "closing" in error else ()
    return {
        "notice": notice | {"kept": kept},
        "notice_letters": NOTICE_LETTERS,
        "closing": closings.current(worker.point),
        "left": closings.left_at(worker.point),
        "typed": {name: request.POST.get(name, "") for name in names},
        "owner_error": {name: error.get(name, "") for name in ("notice", "closing")},
    }


def _owner(worker: Worker) -> User:
    assert worker.user is not None, "only an owner who is signed in comes here"
    return worker.user


def _notice(request: HttpRequest, worker: Worker, at: datetime) -> dict[str, str]:
    first, last = day_from(request.POST.get("first_day")), day_from(request.POST.get("last_day"))
    try:
        if last is None:
            raise points.NoticeRefused("bad_days")
        points.set_notice(
            point_id=worker.point.pk,
            text_zh=request.POST.get("text_zh", ""),
            text_en=request.POST.get("text_en", ""),
            first_day=first or localdate(at),
            last_day=last,
            by=_owner(worker),
            now=at,
        )
    except points.NoticeRefused as refused:
        return {"notice": str(NOTICE_REFUSED[refused.code])}
    messages.success(request, _("Visitors read it on the days you chose."))
    return {}


def _no_notice(request: HttpRequest, worker: Worker, at: datetime) -> dict[str, str]:
    points.remove_notice(point_id=worker.point.pk, by=_owner(worker))
    messages.success(request, _("The notice is taken away."))
    return {}


def _ask_closing(request: HttpRequest, worker: Worker, at: datetime) -> dict[str, str]:
    first, last = day_from(request.POST.get("first")), day_from(request.POST.get("last"))
    try:
        if first is None or last is None:
            raise closings.Refused("bad_days")
        plan = closings.Plan(first, last, request.POST.get("reason", "").replace("\x00", "")[:200])
        closings.ask(point=worker.point, plan=plan, by=_owner(worker), now=at)
    except closings.Refused as refused:
        return {"closing": str(CLOSING_REFUSED[refused.code])}
    messages.success(request, _("The network is asked. Until it agrees, everything goes on as usual."))
    return {}


def _withdraw_closing(request: HttpRequest, worker: Worker, at: datetime) -> dict[str, str]:
    """An owner takes back what was asked for; what the network has planned, the network takes back."""
    row = closings.current(worker.point)
    if row is None or row.state != Closing.State.ASKED:
        return {"closing": str(CLOSING_REFUSED["not_open"])}
    try:
        closings.drop(point=worker.point, by=_owner(worker), now=at, asked_only=True)
    except closings.Refused as refused:
        return {"closing": str(CLOSING_REFUSED[refused.code])}
    messages.success(request, _("The request is taken back."))
    return {}


ACTS: dict[str, Callable[[HttpRequest, Worker, datetime], dict[str, str]]] = {
    "pause": _pause,
    "resume": _resume,
    "notice": _notice,
    "no-notice": _no_notice,
    "ask-closing": _ask_closing,
    "withdraw-closing": _withdraw_closing,
}
OF_OWNERS = ("notice", "no-notice", "ask-closing", "withdraw-closing")


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
