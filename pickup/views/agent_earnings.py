"""What an agent earned: by period, day and region, each line with the way to its why; and the statements."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.timezone import localdate
from django.views.decorators.http import require_safe

from network.models import Agent, Region
from pickup import ledger
from pickup.models import Posting
from pickup.views.agent import for_agent, shown
from pickup.views.earnings import (
    LINES,
    chosen_days,
    csv_of,
    in_days,
    line_of,
    money,
    periods_at,
    statement_as_csv,
    statement_postings,
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
        csv_address=reverse("agent-earnings-csv"),
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


def _asked(request: HttpRequest, agent: Agent) -> tuple[date, date, str, Region | None, Any]:
    """The days, what is wrong with them, the region, and the postings of them; with a stranger's region, none."""
    _name, first, last, error = chosen_days(request, periods_at(localdate()))
    rows = ledger.between(ledger.earned_by(agent), first=first, last=last)
    region = None
    number = request.GET.get("region", "")
    if number:
        known = number.isascii() and number.isdigit() and len(number) < 18
        region = Region.objects.filter(appointments__agent=agent, pk=int(number)).first() if known else None
        if region is None:
            raise Http404
        rows = rows.filter(region=region)
    return first, last, error, region, ledger.with_causes(rows)


@for_agent
@require_safe
def lines(request: HttpRequest, agent: Agent) -> HttpResponse:
    first, last, error, region, rows = _asked(request, agent)
    part = part_of(request, rows.order_by("-id"), size=LINES)
    more = {"region": region.pk} if region else {}
    context = {
        "first": first,
        "last": last,
        "error": error,
        "region": region,
        "part": part,
        "lines": [line_of(posting, why_of(posting)) for posting in part.rows],
        "csv": in_days(reverse("agent-earnings-csv"), first, last, **more),
    }
    return shown(request, agent, "pickup/agent_lines.html", context, status=400 if error else 200)


def why_of(posting: Posting) -> str:
    """The page of its parcel, which shows an agent the own part of it; an adjustment has none."""
    return reverse("why", args=[posting.handover.parcel.barcode]) if posting.handover else ""


@for_agent
@require_safe
def earnings_csv(request: HttpRequest, agent: Agent) -> HttpResponse:
    first, last, error, _region, rows = _asked(request, agent)
    if error:
        return HttpResponse(error, status=400, content_type="text/plain; charset=utf-8")
    return csv_of(rows.order_by("id"), name=f"earnings-{first}-{last}.csv")


@for_agent
@require_safe
def statement(request: HttpRequest, agent: Agent, statement_id: int) -> HttpResponse:
    row = get_object_or_404(ledger.statements_of(agent), pk=statement_id)
    part = part_of(request, statement_postings(row).order_by("id"), size=LINES)
    context = {
        "statement": statement_shown(row),
        "part": part,
        "lines": [line_of(posting, why_of(posting)) for posting in part.rows],
    }
    return shown(request, agent, "pickup/agent_statement.html", context)


@for_agent
@require_safe
def statement_csv(request: HttpRequest, agent: Agent, statement_id: int) -> HttpResponse:
    return statement_as_csv(get_object_or_404(ledger.statements_of(agent), pk=statement_id))
