"""An agent's proposals of service points: a place in the own region, put on the map or typed, and why."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from network import agents, atlas, proposals
from network.clock import now
from network.models import Agent, PointProposal, User
from pickup import agency
from pickup.views.agent import for_agent, shown

MOST_ON_MAP = 2_000
MOST_SHOWN = 100


class ProposalForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name of the shop or the place"), max_length=200)
    address = forms.CharField(label=gettext_lazy("Address"), max_length=300, required=False)
    lat = forms.FloatField(label=gettext_lazy("Latitude"), min_value=-90, max_value=90)
    lon = forms.FloatField(label=gettext_lazy("Longitude"), min_value=-180, max_value=180)
    reasons = forms.CharField(
        label=gettext_lazy("Why a shop helps here"), max_length=2000, widget=forms.Textarea(attrs={"rows": 4})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("lat", "lon"):
            self.fields[name].widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})


@for_agent
@require_http_methods(["GET", "HEAD", "POST"])
def proposals_page(request: HttpRequest, agent: Agent) -> HttpResponse:
    if request.method != "POST":
        return _page(request, agent, ProposalForm())
    assert isinstance(request.user, User), "the door let nobody else in"
    form = ProposalForm(request.POST)
    if not form.is_valid():
        return _page(request, agent, form, status=400)
    try:
        made = proposals.propose(agent=agent, user=request.user, now=now(), **form.cleaned_data)
    except proposals.OutsideOwnRegions:
        form.add_error(None, _("This place lies in none of your regions."))
        return _page(request, agent, form, status=409)
    except proposals.TooMany:
        form.add_error(None, _("Too many of your proposals wait. Withdraw one, or wait for an answer."))
        return _page(request, agent, form, status=429)
    messages.success(request, _("%(name)s is proposed. You read here what becomes of it.") % {"name": made.name})
    return redirect("agent-proposals")


def _page(request: HttpRequest, agent: Agent, form: ProposalForm, *, status: int = 200) -> HttpResponse:
    at = now()
    own = [row.region for row in agents.in_force(agent, at=at)]
    rows = PointProposal.objects.filter(agent=agent).select_related("region", "service_point")
    context = {
        "form": form,
        "regions": own,
        "rows": rows.order_by("-id")[:MOST_SHOWN],
        "config": {
            "regions": atlas.outlines([region.pk for region in own], at=at),
            "points": [
                {"name": point.name, "lon": point.location.x, "lat": point.location.y}
                for point in agency.points(agent, at=at)[:MOST_ON_MAP]
            ],
            "words": {
                "map": _(
                    "Map of your regions. Arrow keys move it, plus and minus zoom, Enter sets the place in the middle."
                ),
                "zoomIn": _("Zoom in"),
                "zoomOut": _("Zoom out"),
                "placed": _("The place is set: %(lat)s, %(lon)s"),
                "failed": _("The map could not be loaded. Type latitude and longitude."),
            },
        },
    }
    return shown(request, agent, "pickup/agent_proposals.html", context, status=status)


@for_agent
@require_POST
def withdraw(request: HttpRequest, agent: Agent, proposal_id: int) -> HttpResponse:
    try:
        proposals.withdraw(proposal_id=proposal_id, agent=agent, now=now())
    except PointProposal.DoesNotExist as error:
        raise Http404 from error
    if PointProposal.objects.get(pk=proposal_id).status == PointProposal.Status.WITHDRAWN:
        messages.success(request, _("The proposal is withdrawn."))
    else:
        messages.error(request, _("It was decided before it could be withdrawn."))
    return redirect("agent-proposals")
