"""Regions that want an agent: a list that everybody may read, the form to apply, and the own applications.

The list names regions and nothing of who holds or held them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from network import applications, atlas
from network.clock import now
from network.forms import AppointmentApplicationForm
from network.models import AppointmentApplication, Level, Region, User
from network.views.regions import PER_PAGE, asked_level
from network.views.sign_in import homes_of


@never_cache
@require_safe
def vacancies(request: HttpRequest) -> HttpResponse:
    try:
        chosen = asked_level(request)
    except ValueError:
        chosen = None
    text = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    at = now()
    # Thousands of districts are nobody's beginning: the list opens with the coarsest level that has a vacancy.
    level = chosen if "level" in request.GET or text else applications.coarsest_open(at=at)
    rows = applications.open_regions(at=at, level=level, text=text)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    user = request.user if isinstance(request.user, User) else None
    waiting = _waiting_of(user) if user else set()
    context = {
        "rows": [(region, region.pk in waiting) for region in page.object_list],
        "page": page,
        "levels": Level.choices,
        "level": level,
        "text": text,
        "query": urlencode({name: value for name, value in {"q": text, "level": level or ""}.items() if value}),
        "homes": homes_of(user) if user else [],
    }
    return render(request, "network/vacancies.html", context)


def _waiting_of(user: User) -> set[int]:
    waiting = AppointmentApplication.objects.filter(user=user, status=applications.Status.WAITING)
    return set(waiting.values_list("region_id", flat=True))


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def apply_for(request: HttpRequest, code: str) -> HttpResponse:
    assert isinstance(request.user, User), "login_required let nobody else in"
    user, region = request.user, get_object_or_404(Region, code=code)
    until = applications.held_until(region, at=now())
    if request.method != "POST":
        return _form_page(request, user, region, until, AppointmentApplicationForm(named=bool(user.name)))
    form = AppointmentApplicationForm(request.POST, named=bool(user.name))
    if not form.is_valid():
        return _form_page(request, user, region, until, form, status=400)
    try:
        applications.submit(
            user=user,
            region=region,
            reasons=form.cleaned_data["reasons"],
            contact=form.cleaned_data["contact"],
            now=now(),
        )
    except applications.NotVacant as refused:
        day = f"{localtime(refused.until):%Y-%m-%d}"
        form.add_error(None, _("Somebody is appointed to this region until %(day)s.") % {"day": day})
        return _form_page(request, user, region, until, form, status=409)
    except applications.AlreadyWaiting:
        form.add_error(None, _("You have applied for this region already. It waits for a decision."))
        return _form_page(request, user, region, until, form, status=409)
    except applications.TooMany:
        form.add_error(None, _("Too many of your applications wait. Withdraw one, or wait for an answer."))
        return _form_page(request, user, region, until, form, status=429)
    if not user.name:
        user.name = form.cleaned_data["name"]
        user.save(update_fields=["name"])
    messages.success(
        request, _("Your application for %(region)s is in. You are told what is decided.") % {"region": region.name}
    )
    return redirect("applications-mine")


def _form_page(
    request: HttpRequest, user: User, region: Region, until: Any, form: AppointmentApplicationForm, *, status: int = 200
) -> HttpResponse:
    at = now()
    context = {
        "region": region,
        "chain": atlas.chain_of(region),
        "held_until": until,
        "open": until is None or applications.is_soon(until, at=at),
        "waiting": region.pk in _waiting_of(user),
        "form": form,
        "homes": homes_of(user),
    }
    return render(request, "network/vacancy_apply.html", context, status=status)


@login_required
@never_cache
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User), "login_required let nobody else in"
    rows = AppointmentApplication.objects.filter(user=request.user).select_related("region__parent", "appointment")
    context = {"rows": rows.order_by("-id")[:100], "homes": homes_of(request.user)}
    return render(request, "network/applications_mine.html", context)


@login_required
@never_cache
@require_POST
def withdraw(request: HttpRequest, application_id: int) -> HttpResponse:
    assert isinstance(request.user, User), "login_required let nobody else in"
    try:
        applications.withdraw(application_id=application_id, user=request.user, now=now())
    except AppointmentApplication.DoesNotExist as error:
        raise Http404 from error
    row = AppointmentApplication.objects.get(pk=application_id)
    if row.status == applications.Status.WITHDRAWN:
        messages.success(request, _("The application is withdrawn."))
    else:
        messages.error(request, _("It was decided before it could be withdrawn."))
    return redirect("applications-mine")
