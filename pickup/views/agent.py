"""The page of a regional agent: own appointments, what they brought this month, and the parcels of the own regions."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.db.models import Case, Count, F, Q, Sum, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import localdate, localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from network import exports
from network.models import Agent, Appointment, User
from network.views.sign_in import homes_of
from pickup import ledger
from pickup.models import Account, Parcel, Posting
from pickup.views.earnings import line_columns, lines_of

Status = Parcel.Status


@login_required
@never_cache
@require_safe
def agent_page(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    agent = Agent.objects.filter(user=user).first()
    if agent is None:
        raise Http404
    at = now()
    month = localtime(at).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    held = agent.appointments.select_related("region").order_by("region__path", "valid")
    in_force = [appointment for appointment in held if appointment.valid.lower <= at < appointment.valid.upper]
    context = {
        "agent": agent,
        "month": month,
        "earnings": earned_since(agent, month),
        "regions": [parcels_of(appointment, at=at, since=month) for appointment in in_force],
        "others": [appointment for appointment in held if appointment not in in_force],
        "homes": homes_of(user),
        "export": {"name": "agent-earnings", "query": urlencode({"from": f"{month:%Y-%m-%d}"})},
    }
    return render(request, "pickup/agent.html", context)


@exports.listing("agent-earnings", gettext_lazy("Earnings"))
def earnings_list(user: User, filters: exports.Filters) -> exports.Sheet:
    """The agent's own fees since a day, the barcodes among them: whoever is paid must be able to check (R11)."""
    agent = Agent.objects.filter(user=user).first()
    if agent is None:
        raise exports.NotYours
    try:
        since = date.fromisoformat(filters.get("from", ""))
    except ValueError as error:
        raise exports.BadFilter(_("Choose the first and the last day.")) from error
    own = list(Account.objects.filter(agent=agent).values_list("pk", flat=True))
    signed = Case(When(credit__in=own, then=F("amount_minor")), default=-F("amount_minor"))
    rows = Posting.objects.filter(Q(credit__in=own) | Q(debit__in=own)).exclude(kind=Posting.Kind.PAYOUT)
    rows = ledger.between(rows.annotate(signed_minor=signed), first=since, last=localdate())
    return exports.Sheet(line_columns(), lines_of(rows), rows.count())


def earned_since(agent: Agent, since: datetime) -> list[dict[str, Any]]:
    """What the agent's fees came to, those given back taken off, for each currency."""
    totals = []
    for account in Account.objects.filter(agent=agent).order_by("currency"):
        sums = (
            Posting.objects.filter(Q(credit=account) | Q(debit=account), recorded_at__gte=since)
            .exclude(kind=Posting.Kind.PAYOUT)
            .aggregate(
                credited=Sum("amount_minor", filter=Q(credit=account), default=0),
                debited=Sum("amount_minor", filter=Q(debit=account), default=0),
                fees=Count("id", filter=Q(credit=account, kind=Posting.Kind.AGENT_FEE)),
            )
        )
        amount = ledger.written(sums["credited"] - sums["debited"], account.currency)
        totals.append({"amount": amount, "currency": account.currency, "fees": sums["fees"]})
    return totals


def parcels_of(appointment: Appointment, *, at: datetime, since: datetime) -> dict[str, Any]:
    """Count the parcels that lay in the region when they were assigned, wherever its border runs today."""
    own = Parcel.objects.filter(region_ids__contains=[appointment.region_id])
    return {
        "appointment": appointment,
        **own.aggregate(
            expected=Count("id", filter=Q(status=Status.EXPECTED)),
            here=Count("id", filter=Q(status__in=[Status.READY, Status.EXPIRED])),
            overdue=Count("id", filter=Q(status__in=[Status.READY, Status.EXPIRED], hold_until__lt=at)),
            collected=Count("id", filter=Q(status=Status.COLLECTED, collected_at__gte=since)),
        ),
    }
