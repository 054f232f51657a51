"""The owner's form of opening hours, and the effect of what was typed on the next two weeks."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import localdate, now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from network import opening, points
from network.models import User
from network.views.hours_form import SUGGESTED, HoursForm, form_of, typed_form, week_in, with_room
from pickup.views.doors import Worker, at_counter, shown
from pickup.views.shop import days_of


@at_counter(owner=True)
@require_http_methods(["GET", "HEAD", "POST"])
def hours(request: HttpRequest, worker: Worker) -> HttpResponse:
    """The owner's opening hours. Nothing is saved before its effect on the next two weeks was shown."""
    point, today = worker.point, localdate()
    text, raw, status = point.opening_hours, False, 200
    week = opening.read(text) if text else SUGGESTED
    form = form_of(week or SUGGESTED, today=today)
    raw = week is None
    if request.method == "POST":
        raw = "hours" in request.POST
        if raw:
            form, text = HoursForm(days=[]), request.POST["hours"].strip()
        else:
            form = typed_form(request.POST)
            week = week_in(form)
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
        "form": form if raw else with_room(form, spans_shown),
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
