"""Proposals of service points by agents, for staff: what is proposed and why, and what comes of it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from network import proposals
from network.clock import now
from network.models import PointProposal, User
from network.views.regions import PER_PAGE, for_staff
from network.views.sign_in import homes_of
from pickup import territory

Status = PointProposal.Status


class AnswerForm(forms.Form):
    answer = forms.CharField(
        label=gettext_lazy("Answer to the agent"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


@for_staff("network.view_pointproposal", posts=True)
@never_cache
def proposal_list(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _decide(request)
    status = request.GET.get("status", Status.WAITING)
    if status not in Status.values and status != "all":
        raise Http404
    rows = PointProposal.objects.select_related("agent", "region", "service_point", "decided_by")
    if status != "all":
        rows = rows.filter(status=status)
    rows = rows.order_by("made_at", "id") if status == Status.WAITING else rows.order_by("-id")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    found = list(page.object_list)
    near = territory.nearest_points([row.pk for row in found])
    context: dict[str, Any] = {
        "rows": [(row, near.get(row.pk)) for row in found],
        "page": page,
        "status": status,
        "statuses": Status.choices,
        "query": f"status={status}",
        "form": AnswerForm(),
        "may_decide": request.user.has_perm("network.change_pointproposal"),
        "may_open": request.user.has_perm("network.add_servicepoint"),
        "homes": homes_of(request.user) if isinstance(request.user, User) else [],
    }
    return render(request, "pickup/proposals.html", context)


def _decide(request: HttpRequest) -> HttpResponse:
    takes = "take" in request.POST
    if not request.user.has_perms(["network.change_pointproposal", *(["network.add_servicepoint"] if takes else [])]):
        raise PermissionDenied
    assert isinstance(request.user, User), "the door let nobody else in"
    number = request.POST.get("proposal", "")
    form = AnswerForm(request.POST)
    if not (number.isascii() and number.isdigit() and len(number) < 18) or not form.is_valid():
        messages.error(request, _("The answer is too long or not a text."))
        return redirect("proposals")
    given: dict[str, Any] = {"answer": form.cleaned_data["answer"], "by": request.user, "now": now()}
    try:
        if takes:
            point = proposals.take_up(proposal_id=int(number), **given)
            messages.success(request, _("%(name)s is a proposed service point now.") % {"name": point.name})
        else:
            proposals.refuse(proposal_id=int(number), **given)
            messages.success(request, _("The proposal is refused; the agent reads why."))
    except PointProposal.DoesNotExist as error:
        raise Http404 from error
    except proposals.NoAnswer:
        messages.error(request, _("A refusal needs a reason, which the agent reads."))
    except proposals.NotWaiting:
        messages.error(request, _("It was decided or withdrawn meanwhile. Nothing was changed."))
    except proposals.OwnProposal:
        messages.error(request, _("You proposed it yourself: somebody else decides."))
    return redirect("proposals")
