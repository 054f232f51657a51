"""The pages of a regional agent: own regions, the shops in them, and the parcels that lie too long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import localdate, localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from network import agents, exports
from network.models import Agent, AppointmentApplication, PointProposal, Region, ServicePoint, User
from network.tables import Cell, Column
from network.views.sign_in import homes_of
from pickup import agency, ledger, orders
from pickup.models import Parcel
from pickup.views.earnings import money, periods_at
from pickup.views.shelf import Part, part_of, search_text, searched

ROWS = 50

# The pages of an agent in the order of the tabs: the name of the address, the words.
TABS = (
    ("agent", gettext_lazy("Overview")),
    ("agent-points", gettext_lazy("Shops")),
    ("agent-parcels", gettext_lazy("Overdue parcels")),
    ("coverage", gettext_lazy("Coverage")),
    ("agent-earnings", gettext_lazy("Earnings")),
    ("agent-proposals", gettext_lazy("Proposals")),
)

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, Agent, P], HttpResponse]


def for_agent(page: Page[P]) -> Callable[..., HttpResponseBase]:
    """A page of an agent, who is handed to it. Somebody who holds no region any more still reads the own earnings; for
    who never was an agent there is no such page.
    """

    @wraps(page)
    def entered(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        agent = Agent.objects.filter(user=cast(User, request.user)).select_related("user").first()
        if agent is None:
            raise Http404
        return page(request, agent, *args, **kwargs)

    return never_cache(login_required(entered))


def agent_of(user: User) -> Agent:
    """The agent who asks for a list. Raises NotYours."""
    agent = Agent.objects.filter(user=user).first()
    if agent is None:
        raise exports.NotYours
    return agent


def tabs() -> list[tuple[str, Any]]:
    return [(reverse(name), words) for name, words in TABS]


def shown(
    request: HttpRequest, agent: Agent, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page of an agent, with its tabs."""
    assert isinstance(request.user, User), "the door let nobody else in"
    common = {"agent": agent, "tabs": tabs(), "homes": homes_of(request.user)}
    return render(request, template, context | common, status=status)


@for_agent
@require_safe
def agent_page(request: HttpRequest, agent: Agent) -> HttpResponse:
    at = now()
    month = localtime(at).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    held = list(agent.appointments.select_related("region").order_by("region__path", "valid"))
    in_force = [row for row in held if row.valid.lower <= at < row.valid.upper]
    periods = periods_at(localdate(at))
    sums = ledger.earned_in(agent, {name: periods[name] for name in ("today", "month")})
    waiting = AppointmentApplication.Status.WAITING
    context = {
        "month": month,
        "today": money(sums["today"]),
        "this_month": money(sums["month"]),
        "regions": [
            {
                "appointment": row,
                "counts": agency.counts(agent, row.region, at=at, since=month),
                "soon": row.valid.upper <= at + agents.SOON,
            }
            for row in in_force
        ],
        "later": [row for row in held if row.valid.lower > at],
        "earlier": [row for row in held if row.valid.upper <= at],
        "applications": AppointmentApplication.objects.filter(user=agent.user, status=waiting).count(),
        "proposals": PointProposal.objects.filter(agent=agent, status=PointProposal.Status.WAITING).count(),
    }
    return shown(request, agent, "pickup/agent.html", context)


def chosen_regions(request: HttpRequest, agent: Agent) -> tuple[list[Region], Region | None]:
    """The agent's regions of today, and the one of them that was asked for; another one is as if it did not exist."""
    own = own_regions(agent, at=now())
    code = request.GET.get("region", "")
    chosen = next((region for region in own if region.code == code), None)
    if code and chosen is None:
        raise Http404
    return own, chosen


def own_regions(agent: Agent, *, at: datetime) -> list[Region]:
    return [row.region for row in agents.in_force(agent, at=at)]


@for_agent
@require_safe
def points_page(request: HttpRequest, agent: Agent) -> HttpResponse:
    at, text = now(), searched(request)
    own, region = chosen_regions(request, agent)
    rows = agency.points(agent, at=at, regions=[region.pk] if region else None)
    if text:
        rows = rows.filter(name__icontains=text) | rows.filter(ref=text) | rows.filter(address__icontains=text)
    part = part_of(request, rows, size=ROWS)
    held = orders.held_at([point.pk for point in part.rows])
    paused = agency.paused([point.pk for point in part.rows], at=at)
    context = {
        "part": part,
        "rows": [point_row(point, held.get(point.pk, 0), paused.get(point.pk)) for point in part.rows],
        "regions": own,
        "region": region,
        "q": text,
    }
    return shown(request, agent, "pickup/agent_points.html", context)


def point_row(point: ServicePoint, held: int, pause: Any) -> dict[str, Any]:
    active = point.status == ServicePoint.Status.ACTIVE
    return {
        "point": point,
        "held": held,
        "full": active and held >= point.capacity,
        "percent": min(100, round(100 * held / point.capacity)) if point.capacity else 100,
        "pause": pause,
        "until": pause.period.upper if pause else None,
    }


@for_agent
@require_safe
def parcels_page(request: HttpRequest, agent: Agent) -> HttpResponse:
    at, text = now(), searched(request)
    own, region = chosen_regions(request, agent)
    part: Part = part_of(request, asked_parcels(agent, region, text, at=at), size=ROWS)
    asked = {"region": region.code if region else "", "q": text}
    context = {
        "part": part,
        "rows": list(parcel_rows(part.rows, own, at=at)),
        "regions": own,
        "region": region,
        "q": text,
        "at": at,
        "export": {"name": "agent-parcels", "query": urlencode(asked)},
    }
    return shown(request, agent, "pickup/agent_parcels.html", context)


@exports.listing("agent-parcels", gettext_lazy("Overdue parcels"))
def parcels_list(user: User, filters: exports.Filters) -> exports.Sheet:
    """Without names, phones and addresses, like the page (R12)."""
    agent, at = agent_of(user), now()
    own = own_regions(agent, at=at)
    code = filters.get("region", "")
    region = next((region for region in own if region.code == code), None)
    if code and region is None:
        raise exports.NotYours
    rows = asked_parcels(agent, region, search_text(filters.get("q", "")), at=at)
    titles = [(_("Barcode"), False), (_("Shop"), False), (_("Region"), False), (_("Ready since"), True)]
    titles += [(_("Held until"), True), (_("Days overdue"), False)]
    told = parcel_rows(exports.in_parts(rows, key="id"), own, at=at)
    return exports.Sheet([Column(title, moment=moment) for title, moment in titles], _cells(told), rows.count())


def _cells(rows: Iterable[dict[str, Any]]) -> Iterator[list[Cell]]:
    for row in rows:
        parcel = row["parcel"]
        yield [
            parcel.barcode,
            parcel.service_point.name,
            row["region"],
            parcel.ready_at,
            parcel.hold_until,
            row["days"],
        ]


def asked_parcels(agent: Agent, region: Region | None, text: str, *, at: datetime) -> QuerySet[Parcel]:
    rows = agency.overdue(agent, at=at, regions=[region.pk] if region else None)
    return agency.search(rows, text) if text else rows


def parcel_rows(rows: Iterable[Parcel], own: list[Region], *, at: datetime) -> Iterator[dict[str, Any]]:
    """What an agent needs to ask a shop: which parcel, where, since when. Nobody's name, phone or address (R12)."""
    names = {region.pk: region.name for region in own}
    for parcel in rows:
        yield {
            "parcel": parcel,
            "region": next((names[pk] for pk in parcel.region_ids if pk in names), ""),
            "days": (at - parcel.hold_until).days if parcel.hold_until else 0,
        }
