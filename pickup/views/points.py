"""Service points for staff: applications decided, one point changed after its effect was shown, suspended, closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache

from network import assignment, atlas, point_applications, points, tiles
from network.clock import now
from network.forms import PlaceForm, spaced
from network.models import Pause, PointApplication, ServicePoint, Size, User
from network.views.apply import map_config
from network.views.hours_form import day_from
from network.views.regions import allow_tiles, end_of, for_staff, tile_template
from network.views.sign_in import homes_of
from pickup import closings, point_edits, tasks
from pickup.point_edits import Loser, Values
from pickup.views.recipient_words import readable_hours
from pickup.views.shop import CLOSING_REFUSED, REASONS, shown_pause

FOUND = 50
NEIGHBOURS = 6
Lost = assignment.Lost

WHY: dict[str, Any] = {
    Lost.BEYOND_REACH: gettext_lazy("beyond the reach"),
    Lost.TOO_LARGE: gettext_lazy("too large"),
    Lost.OTHER_NETWORK: gettext_lazy("another network's region"),
    Lost.FULL: gettext_lazy("no room"),
    Lost.FARTHER: gettext_lazy("another point is nearer"),
}
DOUBTS: dict[str, Any] = {
    "text_location_differ": gettext_lazy("The text names another district than the place lies in."),
    "no_region_named": gettext_lazy("The text names no region."),
    "district_not_named": gettext_lazy("The text names no district."),
    "names_conflict": gettext_lazy("The names in the text contradict each other."),
    "outside_regions": gettext_lazy("The place lies in no region of the network."),
}
REFUSALS: dict[str, Any] = CLOSING_REFUSED | {
    "gone": gettext_lazy("Somebody has decided on this application already."),
    "own_application": gettext_lazy("Your own application is decided by somebody else."),
    "changed": gettext_lazy("It was changed meanwhile. Look at it once more."),
    "outside_regions": gettext_lazy("The place lies in no region of the network."),
    "ref_taken": gettext_lazy("Another service point has this reference."),
    "opening_too_late": gettext_lazy("The opening day lies at most 180 days ahead."),
    "own_request": gettext_lazy("Your own request is decided by somebody else."),
    "busy": gettext_lazy("Somebody works on these orders at the moment. Try again."),
}


def _say(request: HttpRequest, code: str) -> None:
    messages.error(request, str(REFUSALS[code]))


def _staff(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the door lets staff in only"
    return request.user


def _required(request: HttpRequest, *rights: str) -> User:
    """Who may see may not do everything: what changes something has its own right."""
    if not request.user.has_perms(rights):
        raise PermissionDenied
    return _staff(request)


def _shown(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    response = render(request, template, context | {"homes": homes_of(_staff(request))}, status=status)
    allow_tiles(response)
    return response


# ---------------------------------------------------------------- what waits


@for_staff("network.view_servicepoint")
@never_cache
def point_list(request: HttpRequest) -> HttpResponse:
    """Applications and closings that wait for somebody, and a search by name or reference."""
    text = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    found: Sequence[ServicePoint] = []
    if text:
        rows = ServicePoint.objects.filter(Q(ref=text) | Q(name__icontains=text)).order_by("name", "id")
        found = list(rows[: FOUND + 1])
    context = {
        "applications": point_applications.waiting() if _may_review(request) else None,
        "closings": closings.asked(),
        "stopped": list(
            ServicePoint.objects.filter(status__in=["suspended", "proposed"]).order_by("status", "name")[:FOUND]
        ),
        "text": text,
        "found": found[:FOUND],
        "more": len(found) > FOUND,
    }
    return _shown(request, "pickup/point_list.html", context)


def _may_review(request: HttpRequest) -> bool:
    return request.user.has_perm("network.view_pointapplication")


# ---------------------------------------------------------------- applications


class ApproveForm(forms.Form):
    ref = forms.SlugField(label=gettext_lazy("Reference"), max_length=64)
    reach_m = forms.IntegerField(label=gettext_lazy("Reach, m"), min_value=1, max_value=200_000, initial=10_000)
    largest_size = forms.TypedChoiceField(
        label=gettext_lazy("Largest size"), coerce=int, choices=Size.choices, initial=Size.LARGE
    )
    opens = forms.DateField(
        label=gettext_lazy("Opens on (empty: at once)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
    )


@for_staff("network.view_servicepoint", "network.view_pointapplication", posts=True)
@never_cache
def application_page(request: HttpRequest, application_id: int) -> HttpResponse:
    """One application beside what the network knows of its place; approved or refused by somebody else."""
    rows = PointApplication.objects.select_related("applicant", "decided_by").defer("photo")
    application = get_object_or_404(rows, pk=application_id)
    form = ApproveForm(initial={"ref": f"S{application.pk:06d}"})
    status = 200
    if request.method == "POST":
        act = {"approve": _approve, "refuse": _refuse}.get(request.POST.get("action", ""))
        if act is None:
            raise Http404
        form = ApproveForm(request.POST) if act is _approve else form
        if act(request, application, form):
            return redirect("point-list")
        status = 400
        application.refresh_from_db(fields=["status", "decided_by", "decided_at", "reason"])
    at = now()
    place = application.location
    lies = point_applications.lies(application, at=at)
    neighbours = point_edits.neighbours(lat=place.y, lon=place.x, limit=NEIGHBOURS, now=at)
    gained = None
    if lies.chain:
        region = lies.chain[0]
        gained = _unless_too_much(lambda: point_edits.gained(lat=place.y, lon=place.x, region_id=region.pk, now=at))
    context = {
        "application": application,
        "hours": readable_hours(application.opening_hours),
        "seen": (application.changed_at or application.made_at).isoformat(),
        "phone": spaced(application.applicant.phone),
        "lies": lies,
        "doubt": DOUBTS.get(lies.doubt, lies.doubt),
        "neighbours": neighbours,
        "gained": gained,
        "form": form,
        "place": PlaceForm(initial={"lat": round(place.y, 6), "lon": round(place.x, 6)}),
        "own": application.applicant_id == request.user.pk,
        "may_decide": request.user.has_perms(DECIDE),
        "typed_reason": request.POST.get("reason", ""),
        "map": _map(neighbours),
    }
    return _shown(request, "pickup/point_application.html", context, status=status)


DECIDE = ("network.change_pointapplication", "network.add_servicepoint")


def _approve(request: HttpRequest, application: PointApplication, form: ApproveForm) -> bool:
    by = _required(request, *DECIDE)
    if not form.is_valid():
        return False
    told = form.cleaned_data
    try:
        point_applications.approve(
            application_id=application.pk,
            ref=told["ref"],
            reach_m=told["reach_m"],
            largest_size=told["largest_size"],
            opens_at=_begin_of(told["opens"]),
            seen=_moment(request.POST.get("seen", "")),
            by=by,
            now=now(),
        )
    except point_applications.Refused as refused:
        _say(request, refused.code)
        return False
    _tell(application)
    messages.success(request, _("Approved. %(name)s is a service point now.") % {"name": application.name})
    return True


def _refuse(request: HttpRequest, application: PointApplication, form: ApproveForm) -> bool:
    by = _required(request, *DECIDE)
    try:
        point_applications.refuse(
            application_id=application.pk, reason=request.POST.get("reason", "")[:300], by=by, now=now()
        )
    except point_applications.Refused as refused:
        _say(request, refused.code)
        return False
    _tell(application)
    messages.success(request, _("Refused. The applicant reads the reason."))
    return True


def _tell(application: PointApplication) -> None:
    """After the commit, because a gateway may take seconds."""
    fresh = PointApplication.objects.select_related("applicant").defer("photo").get(pk=application.pk)
    point_applications.tell(fresh)


def _begin_of(day: date | None) -> datetime | None:
    if day is None or not 2000 <= day.year <= 2100:
        return None if day is None else datetime.max.replace(tzinfo=ZoneInfo("UTC"))
    return datetime.combine(day, time(), ZoneInfo(settings.TIME_ZONE))


def _moment(text: str) -> datetime:
    """When the application was last changed for whoever decides; what is no moment fits none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=ZoneInfo("UTC"))


@for_staff("network.view_servicepoint", "network.view_pointapplication")
@never_cache
def application_photo(request: HttpRequest, application_id: int) -> HttpResponse:
    application = get_object_or_404(PointApplication, pk=application_id)
    return HttpResponse(bytes(application.photo), content_type="image/jpeg")


def _unless_too_much(count: Callable[[], tuple[int, int]]) -> tuple[int, int] | None:
    try:
        return count()
    except tiles.TooMuch:
        return None


def _map(neighbours: Sequence[point_edits.Neighbour]) -> dict[str, Any]:
    near = [
        {
            "lat": one.point.location.y,
            "lon": one.point.location.x,
            "name": one.point.name,
            "state": "full" if one.held >= one.point.capacity else "free",
        }
        for one in neighbours
    ]
    return map_config(tile_template("region-tile"), box=atlas.box_of(None, at=end_of(None)), points=near)


# ---------------------------------------------------------------- one point


class PointForm(PlaceForm):
    name = forms.CharField(label=gettext_lazy("Name of the shop"), max_length=200)
    city = forms.CharField(label=gettext_lazy("City"), max_length=100, required=False)
    address = forms.CharField(label=gettext_lazy("Address"), max_length=300, required=False)
    phone = forms.CharField(label=gettext_lazy("Phone"), max_length=32, required=False)
    capacity = forms.IntegerField(label=gettext_lazy("Capacity, parcels"), min_value=0, max_value=100_000)
    reach_m = forms.IntegerField(label=gettext_lazy("Reach, m"), min_value=1, max_value=200_000)
    largest_size = forms.TypedChoiceField(label=gettext_lazy("Largest size"), coerce=int, choices=Size.choices)
    field_order = ("name", "city", "address", "phone", "lat", "lon", "capacity", "reach_m", "largest_size")

    def values(self) -> Values:
        return Values(**self.cleaned_data)


@for_staff("network.view_servicepoint", posts=True)
@never_cache
def point_page(request: HttpRequest, point_id: int) -> HttpResponse:
    """One point: what it is, and everything that staff do to it. Nothing is saved before its effect was shown."""
    point = get_object_or_404(ServicePoint, pk=point_id)
    at = now()
    context: dict[str, Any] = {"form": _form_of(point), "error": {}, "typed": {}}
    status = 200
    if request.method == "POST":
        _required(request, "network.change_servicepoint")
        action = request.POST.get("action", "")
        if action not in ACTS:
            raise Http404
        answer = ACTS[action](request, point, at)
        if answer is None:
            return redirect("point-page", point.pk)
        context |= answer
        status = 400 if "problem" in answer else 200
        point.refresh_from_db()
    context |= _about(request, point, at)
    return _shown(request, "pickup/point_page.html", context, status=status)


def _form_of(point: ServicePoint) -> PointForm:
    return PointForm(initial=vars(point_edits.values_of(point)))


def _about(request: HttpRequest, point: ServicePoint, at: datetime) -> dict[str, Any]:
    neighbours = point_edits.neighbours(
        lat=point.location.y, lon=point.location.x, limit=NEIGHBOURS, now=at, but=point.pk
    )
    rows = points.pauses(point, now=at)
    return {
        "point": point,
        "version": point_edits.version(point),
        "chain": atlas.chain_of(point.region) if point.region else [],
        "hours": readable_hours(point.opening_hours),
        "held": point_edits.load_of(point),
        "closing": closings.current(point),
        "left": closings.left_at(point),
        "pauses": [shown_pause(row) for row in rows],
        "reasons": [(reason, words[0]) for reason, words in REASONS.items() if reason != Pause.Reason.OPENING],
        "neighbours": neighbours,
        "may_change": request.user.has_perm("network.change_servicepoint"),
        "may_see_orders": request.user.has_perm("pickup.view_order"),
        "today": localdate(at),
        "map": _map(neighbours),
    }


def _change(request: HttpRequest, point: ServicePoint, at: datetime) -> dict[str, Any] | None:
    """Show what the change would do, or save what was shown."""
    form = PointForm(request.POST)
    if not form.is_valid():
        return {"form": form, "problem": "form"}
    values, seen = form.values(), request.POST.get("version", "")
    keep = request.POST.get("keep") == "1"
    previewed = point_edits.seal(point.pk, values, seen)
    saves = request.POST.get("previewed") == previewed and "save" in request.POST
    try:
        if saves and _why(request):
            moved = point_edits.save(
                point=point, values=values, seen=seen, keep_expected=keep, by=_staff(request), now=at
            )
            tasks.ring(tasks.assign_waiting)
            messages.success(request, _moved_words(_("Saved."), moved))
            return None
        if point_edits.version(point) != seen:
            raise point_edits.Refused("changed")
        impact = point_edits.impact(point, point_edits.changed(point, values, at=at), now=at)
    except point_edits.Refused as refused:
        _say(request, refused.code)
        return {"form": _form_of(point) if refused.code == "changed" else form, "problem": refused.code}
    past_why = [(WHY[why], count) for why, count in sorted(impact.past_why.items(), key=lambda one: -one[1])]
    return {
        "form": form,
        "impact": impact,
        "instead": _instead(impact.losers),
        "losers": [(loser, WHY[loser.why]) for loser in impact.losers[: point_edits.SHOWN]],
        "past_why": past_why,
        "previewed": previewed,
        "why": request.POST.get("because", ""),
        "keep": keep,
    }


def _why(request: HttpRequest) -> str:
    """The reason for the history (network.history.because); it is missed in a message."""
    why = request.POST.get("because", "").strip()
    if not why:
        messages.error(request, _("Say why: the reason stands in the history."))
    return why


def _instead(losers: Sequence[Loser]) -> list[tuple[ServicePoint | None, int, int]]:
    """Where orders would go: the point (None: review), how many orders and parcels, the most first."""
    counted: dict[int, tuple[ServicePoint | None, int, int]] = {}
    for loser in losers:
        key = loser.instead.pk if loser.instead else 0
        point, number, pieces = counted.get(key, (loser.instead, 0, 0))
        counted[key] = (point, number + 1, pieces + loser.parcels)
    return sorted(counted.values(), key=lambda one: -one[1])


def _moved_words(done: str, moved: int) -> str:
    if not moved:
        return done
    words = ngettext("%(count)d order on its way goes elsewhere.", "%(count)d orders on their way go elsewhere.", moved)
    return f"{done} {words % {'count': moved}}"


def _pause(request: HttpRequest, point: ServicePoint, at: datetime) -> dict[str, Any] | None:
    reason = request.POST.get("reason", "")
    first, last = day_from(request.POST.get("first")), day_from(request.POST.get("last"))
    if reason not in Pause.Reason.values or reason == Pause.Reason.OPENING:
        raise Http404
    if last is None or last < (first or localdate(at)):
        messages.error(request, _("Choose the last day of the pause."))
        return {"problem": "pause"}
    begins = at if first is None else points.end_of(first - timedelta(days=1))
    try:
        points.pause(
            point_id=point.pk, reason=reason, begins=begins, ends=points.end_of(last), now=at, by=_staff(request)
        )
    except points.PauseOverlaps:
        messages.error(request, _("The shop is paused during that time already."))
        return {"problem": "pause"}
    except points.PauseRefused:
        messages.error(request, _("A pause lasts at most one year."))
        return {"problem": "pause"}
    messages.success(request, _("Paused. No new parcels come; the ones here are still handed over."))
    return None


def _resume_pause(request: HttpRequest, point: ServicePoint, at: datetime) -> dict[str, Any] | None:
    number = request.POST.get("pause", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise Http404
    try:
        points.resume(point_id=point.pk, pause_id=int(number), now=at, by=_staff(request))
    except Pause.DoesNotExist:
        if Pause.objects.filter(pk=int(number)).exists():
            raise Http404 from None
    messages.success(request, _("The pause is over: new parcels may come."))
    return None


def _suspend(request: HttpRequest, point: ServicePoint, at: datetime) -> dict[str, Any] | None:
    try:
        moved = closings.suspend(
            point=point,
            reason=request.POST.get("reason", ""),
            elsewhere=request.POST.get("elsewhere") == "1",
            by=_staff(request),
            now=at,
        )
    except closings.Refused as refused:
        _say(request, refused.code)
        return {"problem": "suspend"}
    tasks.ring(tasks.assign_waiting)
    messages.success(request, _moved_words(_("Suspended. No scan of this shop counts."), moved))
    return None


def _activate(request: HttpRequest, point: ServicePoint, at: datetime) -> dict[str, Any] | None:
    if not _why(request):
        return {"problem": "activate"}
    try:
        closings.resume(point=point, by=_staff(request))
    except closings.Refused as refused:
        _say(request, refused.code)
        return {"problem": "activate"}
    messages.success(request, _("The shop works again."))
    return None


def plan_from(request: HttpRequest) -> closings.Plan | None:
    """The days and the reason of a closing as they were typed; None where a day is missing."""
    first, last = day_from(request.POST.get("first")), day_from(request.POST.get("last"))
    if first is None or last is None:
        return None
    return closings.Plan(first, last, request.POST.get("reason", "").replace("\x00", "")[:200])


def _close(request: HttpRequest, point: ServicePoint, at: datetime) -> dict[str, Any] | None:
    """Show what the closing does to the parcels, or plan what was shown."""
    plan = plan_from(request)
    typed = {name: request.POST.get(name, "") for name in ("first", "last", "reason")}
    try:
        if plan is None:
            raise closings.Refused("bad_days")
        closings.check(plan, now=at)
        if "save" in request.POST:
            closings.plan(point=point, plan=plan, by=_staff(request), now=at)
            tasks.ring(tasks.assign_waiting)
            messages.success(request, _("The closing is planned. What happens is shown below."))
            return None
    except closings.Refused as refused:
        _say(request, refused.code)
        return {"problem": "close", "typed": typed}
    losers = point_edits.without(point, now=at)
    return {
        "typed": typed,
        "effect": closings.effect(point, plan=plan, now=at),
        "effect_instead": _instead(losers),
    }


def _drop(request: HttpRequest, point: ServicePoint, at: datetime) -> dict[str, Any] | None:
    try:
        closings.drop(point=point, by=_staff(request), now=at)
    except closings.Refused as refused:
        _say(request, refused.code)
        return {"problem": "close"}
    messages.success(request, _("The closing is taken back."))
    return None


ACTS: dict[str, Callable[[HttpRequest, ServicePoint, datetime], dict[str, Any] | None]] = {
    "change": _change,
    "pause": _pause,
    "resume-pause": _resume_pause,
    "suspend": _suspend,
    "activate": _activate,
    "close": _close,
    "drop": _drop,
}
