"""Who gets which region: applications, vacancies and appointments, for staff who may see them; some may decide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import get_current_timezone, localdate, localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from network import agents, applications, atlas, tiles
from network.clock import now
from network.models import Appointment, AppointmentApplication, Level, Region, User
from network.views.regions import PER_PAGE, asked_level, for_staff
from network.views.sign_in import homes_of
from pickup import ledger, territory

Status = AppointmentApplication.Status
LOOKED_BACK = timedelta(days=30)
SHOWS = {
    "force": gettext_lazy("in force now"),
    "soon": gettext_lazy("ending soon"),
    "later": gettext_lazy("later"),
    "over": gettext_lazy("over"),
}
SEE_APPLICATIONS, DECIDE = "network.view_appointmentapplication", "network.change_appointmentapplication"
SEE_APPOINTMENTS, END, RENEW = "network.view_appointment", "network.change_appointment", "network.add_appointment"
DAY_INPUT = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "min": "2000-01-01", "max": "2100-12-31"})


class DayField(forms.DateField):
    """A day of the network's time zone, cleaned to its first moment."""

    widget = DAY_INPUT

    def clean(self, value: Any) -> datetime | None:
        day: date | None = super().clean(value)
        if day is None:
            return None
        if not 2000 <= day.year <= 2100:
            raise forms.ValidationError(_("A year between 2000 and 2100."))
        return datetime.combine(day, time(), get_current_timezone())


class ApproveForm(forms.Form):
    since = DayField(label=gettext_lazy("From the start of"))
    until = DayField(label=gettext_lazy("Until the start of"))
    answer = forms.CharField(
        label=gettext_lazy("A word to the applicant"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class RefuseForm(forms.Form):
    answer = forms.CharField(
        label=gettext_lazy("The reason, which the applicant reads"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class EndForm(forms.Form):
    at = DayField(label=gettext_lazy("Ends at the start of; empty: now"), required=False)
    reason = forms.CharField(
        label=gettext_lazy("The reason, which the agent reads"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class RenewForm(forms.Form):
    until = DayField(label=gettext_lazy("Until the start of"))
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


def _shown(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    assert isinstance(request.user, User), "the door let nobody else in"
    return render(request, template, context | {"homes": homes_of(request.user)}, status=status)


def _text(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\x00", "").strip()[:100]


def _chains(regions: Sequence[Region]) -> dict[int, list[str]]:
    """The names above each region, the coarsest first, in one query for all of them."""
    codes = {code for region in regions for code in region.path.split(".")}
    names = dict(Region.objects.filter(code__in=codes).values_list("code", "name"))
    return {region.pk: [names[code] for code in region.path.split(".")[:-1] if code in names] for region in regions}


def _may(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


# ---------------------------------------------------------------- applications


@for_staff(SEE_APPLICATIONS)
@never_cache
def application_list(request: HttpRequest) -> HttpResponse:
    status = request.GET.get("status", Status.WAITING)
    rows = AppointmentApplication.objects.select_related("region", "user", "decided_by")
    if status != "all":
        if status not in Status.values:
            raise Http404
        rows = rows.filter(status=status)
    region = Region.objects.filter(code=request.GET.get("region", "")[:32]).first()
    if region is not None:
        rows = rows.filter(region=region)
    text = _text(request)
    if text:
        rows = rows.filter(Q(region__name__icontains=text) | Q(region__code=text) | Q(user__name__icontains=text))
    rivals = AppointmentApplication.objects.filter(region=OuterRef("region"), status=Status.WAITING).order_by()
    rows = rows.annotate(rivals=Subquery(rivals.values("region").annotate(n=Count("pk")).values("n")))
    rows = rows.order_by("made_at", "id") if status == Status.WAITING else rows.order_by("-id")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    found = list(page.object_list)
    at = now()
    held = _held([row.region for row in found], at=at)
    chains = _chains([row.region for row in found])
    asked = {"status": status, "q": text, "region": region.code if region else ""}
    context = {
        "rows": [(row, " › ".join(chains[row.region_id]), held.get(row.region_id)) for row in found],
        "page": page,
        "status": status,
        "statuses": Status.choices,
        "region": region,
        "text": text,
        "query": urlencode({name: value for name, value in asked.items() if value}),
    }
    return _shown(request, "pickup/applications.html", context)


def _held(regions: Sequence[Region], *, at: datetime) -> dict[int, Appointment]:
    rows = Appointment.objects.filter(region__in=regions, valid__contains=at).select_related("agent")
    return {row.region_id: row for row in rows}


@for_staff(SEE_APPLICATIONS, posts=True)
@never_cache
def application_page(request: HttpRequest, application_id: int) -> HttpResponse:
    row = get_object_or_404(
        AppointmentApplication.objects.select_related("region", "user", "decided_by", "appointment"), pk=application_id
    )
    if request.method != "POST":
        return _application(request, row)
    _may(request, DECIDE)
    if "approve" in request.POST:
        return _approve(request, row)
    return _refuse(request, row)


def _approve(request: HttpRequest, row: AppointmentApplication) -> HttpResponse:
    _may(request, RENEW)
    assert isinstance(request.user, User), "the door let nobody else in"
    form = ApproveForm(request.POST)
    if not form.is_valid():
        return _application(request, row, approve=form, status=400)
    try:
        decided = applications.approve(application_id=row.pk, by=request.user, now=now(), **form.cleaned_data)
    except agents.BadPeriod:
        form.add_error("until", _("It ends after it begins, after now, and at most five years later."))
        return _application(request, row, approve=form, status=400)
    except agents.RegionTaken as taken:
        form.add_error(None, _taken(taken.holder))
        return _application(request, row, approve=form, status=409)
    except (applications.NotWaiting, applications.OwnApplication) as refused:
        return _too_late(request, row, refused)
    told = applications.tell(decided)
    messages.success(
        request,
        _("%(name)s is appointed to %(region)s.") % {"name": decided.user, "region": decided.region.name}
        + " "
        + _message_words(told),
    )
    return redirect("application", row.pk)


def _refuse(request: HttpRequest, row: AppointmentApplication) -> HttpResponse:
    assert isinstance(request.user, User), "the door let nobody else in"
    form = RefuseForm(request.POST)
    if not form.is_valid():
        return _application(request, row, refuse=form, status=400)
    try:
        decided = applications.refuse(
            application_id=row.pk, by=request.user, now=now(), answer=form.cleaned_data["answer"]
        )
    except (applications.NotWaiting, applications.OwnApplication) as refused:
        return _too_late(request, row, refused)
    messages.success(request, _("The application is refused.") + " " + _message_words(applications.tell(decided)))
    return redirect("application", row.pk)


def _message_words(told: bool) -> str:
    return _("A message is sent.") if told else _("No message could be sent; the person's own page tells it.")


def _taken(holder: Appointment) -> str:
    return _("%(agent)s is appointed to %(region)s from %(since)s until %(until)s. Choose a time beside that.") % {
        "agent": holder.agent.name,
        "region": holder.region.name,
        "since": f"{localtime(holder.valid.lower):%Y-%m-%d %H:%M}",
        "until": f"{localtime(holder.valid.upper):%Y-%m-%d %H:%M}",
    }


def _too_late(request: HttpRequest, row: AppointmentApplication, refused: Exception) -> HttpResponse:
    if isinstance(refused, applications.OwnApplication):
        messages.error(request, _("You applied yourself: somebody else decides."))
    else:
        messages.error(request, _("It was decided or withdrawn meanwhile. Nothing was changed."))
    return redirect("application", row.pk)


def _application(
    request: HttpRequest,
    row: AppointmentApplication,
    *,
    approve: ApproveForm | None = None,
    refuse: RefuseForm | None = None,
    status: int = 200,
) -> HttpResponse:
    at = now()
    until = applications.held_until(row.region, at=at)
    begins = localdate(until or at)
    same = AppointmentApplication.objects.filter(region=row.region).exclude(pk=row.pk)
    own = AppointmentApplication.objects.filter(user=row.user).exclude(pk=row.pk)
    context = {
        "row": row,
        "chain": atlas.chain_of(row.region),
        "holder": _held([row.region], at=at).get(row.region_id),
        "rivals": same.filter(status=Status.WAITING).select_related("user").order_by("made_at", "id"),
        "others": own.select_related("region").order_by("-id")[:20],
        "holds": Appointment.objects.filter(agent__user=row.user).select_related("region").order_by("-valid")[:20],
        "unclaimed": _unclaimed([row.region], at=at) if request.user.has_perm("pickup.view_posting") else None,
        "approve": approve or ApproveForm(initial={"since": begins, "until": _a_year_after(begins)}),
        "refuse": refuse or RefuseForm(),
        "may_decide": request.user.has_perm(DECIDE) and request.user != row.user,
        "may_appoint": request.user.has_perm(RENEW),
        "is_own": request.user == row.user,
    }
    return _shown(request, "pickup/application.html", context, status=status)


def _a_year_after(day: date) -> date:
    try:
        return day.replace(year=day.year + 1)
    except ValueError:  # 29 February
        return day.replace(year=day.year + 1, day=28)


# ---------------------------------------------------------------- vacancies


@for_staff(SEE_APPOINTMENTS)
@never_cache
def vacancy_list(request: HttpRequest) -> HttpResponse:
    try:
        chosen = asked_level(request)
    except ValueError:
        chosen = None
    text, at = _text(request), now()
    rows = applications.open_regions(at=at, level=chosen, text=text)
    waiting = AppointmentApplication.objects.filter(region=OuterRef("pk"), status=Status.WAITING).order_by()
    rows = rows.annotate(waiting=Subquery(waiting.values("region").annotate(n=Count("pk")).values("n")))
    page = Paginator(rows.order_by("level", "path"), PER_PAGE).get_page(request.GET.get("page"))
    found = list(page.object_list)
    may_see_fees = request.user.has_perm("pickup.view_posting")
    unclaimed = _unclaimed(found, at=at) if may_see_fees else {}
    context = {
        "rows": [(region, (unclaimed or {}).get(region.pk, [])) for region in found],
        "page": page,
        "by_level": atlas.vacancies(at=at),
        "levels": Level.choices,
        "level": chosen,
        "text": text,
        "too_much": unclaimed is None,
        "may_see_fees": may_see_fees,
        "may_see_applications": request.user.has_perm(SEE_APPLICATIONS),
        "query": urlencode({name: value for name, value in {"q": text, "level": chosen or ""}.items() if value}),
    }
    return _shown(request, "pickup/vacancies.html", context)


def _unclaimed(regions: Sequence[Region], *, at: datetime) -> dict[int, list[dict[str, Any]]] | None:
    """What the vacancies came to in the last 30 days; None where there is too much to count."""
    try:
        found = territory.unclaimed([region.pk for region in regions], since=at - LOOKED_BACK, until=at)
    except tiles.TooMuch:
        return None
    return {
        region_id: [
            {
                "pickups": row.pickups,
                "upward": ledger.written(row.upward_minor, row.currency),
                "kept": ledger.written(row.kept_minor, row.currency),
                "currency": row.currency,
            }
            for row in rows
        ]
        for region_id, rows in found.items()
    }


# ---------------------------------------------------------------- appointments


@for_staff(SEE_APPOINTMENTS)
@never_cache
def appointment_list(request: HttpRequest) -> HttpResponse:
    show, text, at = request.GET.get("show", "force"), _text(request), now()
    if show not in SHOWS:
        raise Http404
    rows = Appointment.objects.select_related("agent", "region").filter(_when(show, at=at))
    if text:
        rows = rows.filter(
            Q(agent__name__icontains=text) | Q(agent__ref=text) | Q(region__name__icontains=text) | Q(region__code=text)
        )
    page = Paginator(_ordered(rows, show), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "rows": page.object_list,
        "page": page,
        "shows": SHOWS.items(),
        "show": show,
        "text": text,
        "query": urlencode({name: value for name, value in {"show": show, "q": text}.items() if value}),
    }
    return _shown(request, "pickup/appointments.html", context)


def _when(show: str, *, at: datetime) -> Q:
    if show == "over":
        return Q(valid__endswith__lte=at)
    if show == "later":
        return Q(valid__startswith__gt=at)
    return Q(valid__contains=at) & (Q(valid__endswith__lte=at + agents.SOON) if show == "soon" else Q())


def _ordered(rows: QuerySet[Appointment], show: str) -> QuerySet[Appointment]:
    if show == "force":
        return rows.order_by("region__path", "id")
    return rows.order_by("valid__endswith" if show == "soon" else "-valid", "id")


@for_staff(SEE_APPOINTMENTS, posts=True)
@never_cache
def appointment_page(request: HttpRequest, appointment_id: int) -> HttpResponse:
    rows = Appointment.objects.select_related("agent__user", "region", "appointed_by", "ended_by")
    row = get_object_or_404(rows, pk=appointment_id)
    if request.method != "POST":
        return _appointment(request, row)
    if "renew" in request.POST:
        return _renew(request, row)
    return _end(request, row)


def _end(request: HttpRequest, row: Appointment) -> HttpResponse:
    _may(request, END)
    assert isinstance(request.user, User), "the door let nobody else in"
    form = EndForm(request.POST)
    if not form.is_valid():
        return _appointment(request, row, end=form, status=400)
    try:
        ended = agents.end(appointment_id=row.pk, by=request.user, now=now(), **form.cleaned_data)
    except agents.NoReason:
        form.add_error("reason", _("Give a reason."))
        return _appointment(request, row, end=form, status=400)
    except agents.Over:
        form.add_error("at", _("It ends no later than that already."))
        return _appointment(request, row, end=form, status=409)
    words = _("It ends on %(until)s.") % {"until": f"{localtime(ended.valid.upper):%Y-%m-%d %H:%M}"}
    messages.success(request, f"{words} {_message_words(agents.tell(ended, kind='ended'))}")
    return redirect("appointment", row.pk)


def _renew(request: HttpRequest, row: Appointment) -> HttpResponse:
    _may(request, RENEW)
    assert isinstance(request.user, User), "the door let nobody else in"
    form = RenewForm(request.POST)
    if not form.is_valid():
        return _appointment(request, row, renew=form, status=400)
    status = 409
    try:
        made = agents.renew(appointment_id=row.pk, by=request.user, **form.cleaned_data)
    except agents.BadPeriod:
        status = 400
        form.add_error("until", _("It ends after the one before it, and at most five years later."))
    except agents.Over:
        form.add_error(None, _("This appointment is over. Whoever wants the region applies for it."))
    except agents.RegionTaken as taken:
        form.add_error(None, _taken(taken.holder))
    except agents.OwnAppointment:
        form.add_error(None, _("Nobody appoints themselves."))
    else:
        until = f"{localtime(made.valid.upper):%Y-%m-%d}"
        words = _("Renewed until %(until)s.") % {"until": until}
        messages.success(request, f"{words} {_message_words(agents.tell(made, kind='renewed'))}")
        return redirect("appointment", made.pk)
    return _appointment(request, row, renew=form, status=status)


def _appointment(
    request: HttpRequest,
    row: Appointment,
    *,
    end: EndForm | None = None,
    renew: RenewForm | None = None,
    status: int = 200,
) -> HttpResponse:
    at = now()
    history = Appointment.objects.filter(region=row.region).exclude(pk=row.pk).select_related("agent")
    application = AppointmentApplication.objects.filter(appointment=row).first()
    context = {
        "row": row,
        "chain": atlas.chain_of(row.region),
        "state": "over" if row.valid.upper <= at else "later" if row.valid.lower > at else "force",
        "history": history.order_by("-valid")[:20],
        "application": application if request.user.has_perm(SEE_APPLICATIONS) else None,
        "end": end or EndForm(),
        "renew": renew or RenewForm(initial={"until": _a_year_after(localdate(row.valid.upper))}),
        "may_end": request.user.has_perm(END),
        "may_renew": request.user.has_perm(RENEW) and row.agent.user_id != request.user.pk,
    }
    return _shown(request, "pickup/appointment.html", context, status=status)
