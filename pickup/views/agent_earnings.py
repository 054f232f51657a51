"""What an agent earned: by period, day and region, each line with the way to its why; and the statements."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from network import exports
from network.models import Agent, Region, User
from pickup import ledger
from pickup.models import Posting
from pickup.views.agent import agent_of, for_agent, shown
from pickup.views.earnings import (
    LINES,
    chosen_days,
    export_of,
    in_days,
    line_of,
    lines_sheet,
    money,
    number_of,
    periods_at,
    statement_postings,
    statement_sheet,
    statement_shown,
    sums_of,
)
from pickup.views.shelf import part_of


@for_agent
@require_safe
def earnings(request: HttpRequest, agent: Agent) -> HttpResponse:
    lines_page = reverse("agent-lines")
    context = sums_of(
        request,
        agent,
        day_address=lambda day: in_days(lines_page, day, day),
        statement_address=lambda row: reverse("agent-statement", args=[row.pk]),
        list_name="agent-earnings",
    )
    first, last = context["first"], context["last"]
    context["by_region"] = by_region(agent, first, last)
    context["all_lines"] = in_days(lines_page, first, last)
    return shown(request, agent, "pickup/agent_earnings.html", context, status=400 if context["error"] else 200)


def by_region(agent: Agent, first: date, last: date) -> list[dict[str, Any]]:
    rows = ledger.earned_by_region(agent, first=first, last=last)
    names = dict(Region.objects.filter(pk__in={row.region_id for row in rows}).values_list("pk", "name"))
    return [
        money([row])[0]
        | {
            "name": names.get(row.region_id or 0, ""),
            "level": row.level.label if row.level else "",
            "address": in_days(reverse("agent-lines"), first, last, region=row.region_id) if row.region_id else "",
        }
        for row in rows
    ]


def own_region(agent: Agent, asked: dict[str, str]) -> tuple[bool, Region | None]:
    """Whether a region was asked for, and which; None for a stranger's and for what is none."""
    if not asked.get("region"):
        return False, None
    return True, Region.objects.filter(appointments__agent=agent, pk=number_of(asked, "region")).first()


@for_agent
@require_safe
def lines(request: HttpRequest, agent: Agent) -> HttpResponse:
    _name, first, last, error = chosen_days(request, periods_at(localdate()))
    asked, region = own_region(agent, request.GET.dict())
    if asked and region is None:
        raise Http404
    rows = ledger.with_causes(ledger.between(earned_in(agent, region), first=first, last=last))
    part = part_of(request, rows.order_by("-id"), size=LINES)
    more = {"region": region.pk} if region else {}
    context = {
        "first": first,
        "last": last,
        "error": error,
        "region": region,
        "part": part,
        "lines": [line_of(posting, why_of(posting)) for posting in part.rows],
        "export": export_of("agent-earnings", first, last, **more),
    }
    return shown(request, agent, "pickup/agent_lines.html", context, status=400 if error else 200)


def why_of(posting: Posting) -> str:
    """The page of its parcel, which shows an agent the own part of it; an adjustment has none."""
    return reverse("why", args=[posting.handover.parcel.barcode]) if posting.handover else ""


def earned_in(agent: Agent, region: Region | None) -> QuerySet[Posting]:
    rows = ledger.earned_by(agent)
    return rows.filter(region=region) if region else rows


@exports.listing("agent-earnings", gettext_lazy("Earnings"))
def earnings_list(user: User, filters: exports.Filters) -> exports.Sheet:
    agent = agent_of(user)
    asked, region = own_region(agent, filters)
    if asked and region is None:
        raise exports.NotYours
    return lines_sheet(earned_in(agent, region), filters)


@for_agent
@require_safe
def statement(request: HttpRequest, agent: Agent, statement_id: int) -> HttpResponse:
    row = get_object_or_404(ledger.statements_of(agent), pk=statement_id)
    part = part_of(request, ledger.with_causes(statement_postings(row)).order_by("id"), size=LINES)
    context = {
        "statement": statement_shown(row),
        "part": part,
        "lines": [line_of(posting, why_of(posting)) for posting in part.rows],
        "export": {"name": "agent-statement", "query": urlencode({"statement": row.pk})},
    }
    return shown(request, agent, "pickup/agent_statement.html", context)


@exports.listing("agent-statement", gettext_lazy("Statement"))
def statement_list(user: User, filters: exports.Filters) -> exports.Sheet:
    return statement_sheet(agent_of(user), filters)
