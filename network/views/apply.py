"""The page on which somebody applies to be a service point, and sees what became of it. For anybody who is signed in.

A person sees and changes only their own; to everybody else an application does not exist.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from network import atlas, opening, point_applications, points, tiles
from network.clock import now
from network.forms import PointApplicationForm
from network.models import PointApplication, User
from network.point_applications import Draft, Refused
from network.views.account import own_page
from network.views.hours_form import SUGGESTED, HoursForm, form_of, typed_form, week_in, with_room
from network.views.regions import allow_tiles, drawn, end_of, tile_template
from network.views.sign_in import homes_of

Status = PointApplication.Status
REFUSALS: dict[str, Any] = {
    "too_many_waiting": gettext_lazy("Three of your applications wait already. Withdraw one, or wait for an answer."),
    "too_many_today": gettext_lazy("You have sent enough applications for today. Try again tomorrow."),
    "too_many_changes": gettext_lazy("This application was corrected often enough. Withdraw it and send a new one."),
    "same_place": gettext_lazy("You have applied for this place already. Correct that application."),
    "outside_regions": gettext_lazy("The place lies in no region of the network. Put the pin where your shop is."),
    "gone": gettext_lazy("This application is not waiting any more."),
}


@own_page
def apply(request: HttpRequest, user: User) -> HttpResponse:
    """The person's applications, and the form of a new one."""
    if request.method != "POST":
        start = {"phone": user.phone, "capacity": 200}
        return _page(request, user, PointApplicationForm(initial=start), form_of(SUGGESTED, today=localdate()))
    form = PointApplicationForm(request.POST, request.FILES)
    hours = typed_form(request.POST)
    draft = _draft(form, hours)
    if draft is None:
        return _page(request, user, form, hours, status=400)
    try:
        point_applications.apply(draft=draft, applicant=user, now=now())
    except Refused as refused:
        form.add_error(None, REFUSALS[refused.code])
        return _page(request, user, form, hours, status=409)
    messages.success(request, _("Sent. You get a message when somebody has looked at it."))
    return redirect("apply")


@own_page
def application(request: HttpRequest, user: User, application_id: int) -> HttpResponse:
    """Correct an application that waits."""
    found = PointApplication.objects.filter(pk=application_id, applicant=user).defer("photo").first()
    if found is None:
        raise Http404
    if found.status != Status.WAITING:
        return redirect("apply")
    if request.method != "POST":
        start = {name: getattr(found, name) for name in ("name", "address", "phone", "capacity")}
        start |= {"lat": round(found.location.y, 6), "lon": round(found.location.x, 6)}
        week = opening.read(found.opening_hours) if found.opening_hours else None
        hours = form_of(week or SUGGESTED, today=localdate())
        return _page(request, user, PointApplicationForm(initial=start, has_photo=True), hours, corrected=found)
    form = PointApplicationForm(request.POST, request.FILES, has_photo=True)
    hours = typed_form(request.POST)
    draft = _draft(form, hours)
    if draft is None:
        return _page(request, user, form, hours, corrected=found, status=400)
    try:
        point_applications.correct(application_id=found.pk, draft=draft, applicant=user, now=now())
    except Refused as refused:
        form.add_error(None, REFUSALS[refused.code])
        return _page(request, user, form, hours, corrected=found, status=409)
    messages.success(request, _("The application is corrected."))
    return redirect("apply")


@own_page
def withdraw(request: HttpRequest, user: User, application_id: int) -> HttpResponse:
    if not PointApplication.objects.filter(pk=application_id, applicant=user).exists():
        raise Http404
    if request.method == "POST":
        try:
            point_applications.withdraw(application_id=application_id, applicant=user)
        except Refused as refused:
            messages.error(request, str(REFUSALS[refused.code]))
        else:
            messages.success(request, _("The application is withdrawn."))
    return redirect("apply")


@own_page
@require_safe
def photo(request: HttpRequest, user: User, application_id: int) -> HttpResponse:
    found = PointApplication.objects.filter(pk=application_id, applicant=user).first()
    if found is None:
        raise Http404
    return HttpResponse(bytes(found.photo), content_type="image/jpeg")


@own_page
@require_safe
def tile(request: HttpRequest, user: User, zoom: int, x: int, y: int) -> HttpResponse:
    """The regions' borders and names, without who is appointed where."""
    return drawn(request, lambda asked: tiles.regions(asked, at=end_of(None), vacancies=False), zoom=zoom, x=x, y=y)


def _draft(form: PointApplicationForm, hours: HoursForm) -> Draft | None:
    """Read both forms, so that everything that is wrong is said at once."""
    week = week_in(hours)
    text = "" if hours.errors else opening.write(week)
    try:
        points.check_hours(text)
    except points.HoursRefused:
        hours.errors.append(_("These hours are too long to be kept."))
    if not form.is_valid() or hours.errors:
        return None
    return Draft(opening_hours=text, **form.cleaned_data)


def _page(
    request: HttpRequest,
    user: User,
    form: PointApplicationForm,
    hours: HoursForm,
    *,
    corrected: PointApplication | None = None,
    status: int = 200,
) -> HttpResponse:
    for name in form.errors:
        if name in form.fields:
            form.fields[name].widget.attrs |= {"aria-invalid": "true", "aria-describedby": f"id_{name}_error"}
    context: dict[str, Any] = {
        "form": form,
        "hours": with_room(hours, 2),
        "own": point_applications.own(user),
        "corrected": corrected,
        "homes": homes_of(user),
        "map": map_config(tile_template("apply-tile"), box=atlas.box_of(None, at=end_of(None))),
    }
    response = render(request, "network/apply.html", context, status=status)
    allow_tiles(response)
    return response


def map_config(template: str, *, box: Any = None, points: Any = ()) -> dict[str, Any]:
    """What the script of a small map with a pin needs to know; it has no words of its own."""
    return {
        "tiles": template,
        "box": box,
        "points": list(points),
        "external": settings.MAP_TILES,
        "credit": settings.MAP_CREDIT,
        "words": {
            "map": _("Map. Arrow keys move it, plus and minus zoom."),
            "pin": _("The place of the shop. Arrow keys move the pin, with Shift farther."),
            "moved": _("The pin is at %(lat)s, %(lon)s."),
            "noLocation": _("Your browser does not tell where you are. Drag the pin, or type the coordinates."),
            "failed": _("The map could not be loaded. Type the coordinates instead."),
            "zoomIn": _("Zoom in"),
            "zoomOut": _("Zoom out"),
            "attribution": _("Where the map comes from"),
        },
    }
