"""Why this shop and why this fee: what is known of one parcel, and how much of it somebody may see (R3, R8, R10, R11).

Everything is read from rows that were frozen when they were written (the region chain of the assignment, the moment of
the hand-over, the tariff and the appointments of that moment), the fees are worked out from them again, and the result
is held against the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from network import access
from network.assignment import Lost
from network.models import Agent, Appointment, Region, ServicePoint, User
from pickup import fees
from pickup.models import Arrival, Assignment, Handover, Parcel, Posting, Tariff

Status = Parcel.Status

# What a candidate lost by (R3), in the order in which it is tried.
LOST_BY: dict[str, Any] = {
    "": _("chosen"),
    Lost.BEYOND_REACH.value: _("beyond its reach"),
    Lost.PAUSED.value: _("paused"),
    Lost.SHUT.value: _("shut too long"),
    Lost.TOO_LARGE.value: _("parcel too large"),
    Lost.OTHER_NETWORK.value: _("serves another network"),
    Lost.FULL.value: _("full"),
    Lost.FARTHER.value: _("farther"),
}
MAY_EARN = (Status.EXPECTED, Status.READY, Status.EXPIRED)  # it may still be collected


@dataclass(frozen=True)
class Sight:
    """What of a parcel somebody may see; one person may be all three."""

    staff: bool
    shop: bool
    agent: Agent | None

    def __bool__(self) -> bool:
        return self.staff or self.shop or self.agent is not None


@dataclass(frozen=True)
class Candidate:
    point: ServicePoint | None
    distance_m: float
    lost_by: str  # of `network.assignment.Lost`; empty: the chosen one


@dataclass(frozen=True)
class Pickup:
    """One hand-over with its fees. `explanation` is None when no tariff was in force then."""

    handover: Handover
    at: datetime
    explanation: fees.Explanation | None
    postings: Sequence[Posting]
    differences: Sequence[fees.Difference]


@dataclass(frozen=True)
class Story:
    """All of a parcel. `pickups` is newest first; `now` is what it would earn if it were collected this moment."""

    parcel: Parcel
    assigned_at: datetime | None
    assignments: Sequence[Assignment]  # newest first
    candidates: Sequence[Candidate]  # of the newest assignment, nearest first
    chain: Sequence[Region]  # deepest first, as of the assignment
    arrival: Arrival | None
    pickups: Sequence[Pickup]
    now: fees.Explanation | None


def parcel_with(barcode: str) -> Parcel | None:
    if not barcode.isprintable():  # PostgreSQL refuses to look for some of those
        return None
    return (
        Parcel.objects.filter(barcode=barcode)
        .select_related("order__address", "order__merchant", "order__recipient", "service_point")
        .first()
    )


def sight(user: User, parcel: Parcel) -> Sight:
    """Who may look at a parcel: staff who may see parcels and postings in the administration too, who works today at
    its shop, and the agents whom it concerned.

    An agent reads a parcel if an appointment of theirs to a region of its frozen chain was in force when it was
    assigned (promise 22: the own region as of the assignment, wherever its border and whoever its agent are today), or
    when it was handed over, because that appointment is paid for it and whoever is paid must be able to check (R11).
    An agent appointed later to a region of the chain has no part in the parcel and does not see it.
    """
    point = parcel.service_point
    return Sight(
        staff=user.is_staff and user.has_perms(["pickup.view_parcel", "pickup.view_posting"]),
        shop=point is not None and access.role_at(user, point) is not None,
        agent=_agent_of(user, parcel),
    )


def _agent_of(user: User, parcel: Parcel) -> Agent | None:
    held = Appointment.objects.filter(agent__user=user, region_id__in=parcel.region_ids).select_related("agent")
    appointments = list(held)
    if not appointments:
        return None
    moments = [fees.charged_at(handover) for handover in _handovers(parcel)]
    newest = Assignment.objects.filter(order_id=parcel.order_id).order_by("-id").first()
    assigned_at = newest.assigned_at if newest else parcel.order.assigned_at
    if assigned_at is not None:
        moments.append(assigned_at)
    for appointment in appointments:
        if any(moment in appointment.valid for moment in moments):
            return appointment.agent
    return None


def story(parcel: Parcel, *, now: datetime) -> Story:
    """Read all there is to tell of a parcel, in a fixed number of queries for each hand-over it had."""
    assignments = list(parcel.order.assignments.select_related("service_point").order_by("-id"))
    newest = assignments[0] if assignments else None
    known = Region.objects.in_bulk(parcel.region_ids)
    postings = _postings(parcel)
    return Story(
        parcel=parcel,
        assigned_at=newest.assigned_at if newest else parcel.order.assigned_at,
        assignments=assignments,
        candidates=_candidates(newest),
        chain=[known[region_id] for region_id in parcel.region_ids if region_id in known],
        arrival=_arrival(parcel),
        pickups=[_pickup(handover, postings) for handover in _handovers(parcel)],
        now=_explained(parcel, now) if parcel.status in MAY_EARN else None,
    )


def _candidates(assignment: Assignment | None) -> list[Candidate]:
    if assignment is None:
        return []
    points = ServicePoint.objects.only("id", "ref", "name").in_bulk([row[0] for row in assignment.candidates])
    return [Candidate(points.get(pk), metres, reason) for pk, metres, reason in assignment.candidates]


def _arrival(parcel: Parcel) -> Arrival | None:
    arrivals = Arrival.objects.filter(parcel=parcel, service_point_id=parcel.service_point_id)
    return arrivals.select_related("scan__clerk", "scan__device").first()


def _handovers(parcel: Parcel) -> list[Handover]:
    """Newest first, without the sealed photo of a release."""
    rows = (
        Handover.objects.filter(parcel=parcel)
        .select_related("parcel", "scan__clerk", "scan__device", "undone_by__clerk", "undone_by__device", "release")
        .select_related("dispute", "hold", "service_point")
        .defer("release__photo")
    )
    return list(rows.order_by("-id"))


def _postings(parcel: Parcel) -> list[Posting]:
    rows = Posting.objects.filter(handover__parcel=parcel).select_related(
        *("tariff", "region", "appointment__agent", "debit", "credit", "line__statement__settlement")
    )
    return list(rows.order_by("id"))


def _pickup(handover: Handover, postings: Sequence[Posting]) -> Pickup:
    own = [posting for posting in postings if posting.handover_id == handover.pk]
    at = fees.charged_at(handover)
    explanation = _explained(handover.parcel, at)
    wrong = [] if explanation is None else fees.differences(handover, explanation, own)
    return Pickup(handover, at, explanation, own, wrong)


def _explained(parcel: Parcel, at: datetime) -> fees.Explanation | None:
    try:
        tariff: Tariff = fees.tariff_at(at)
    except fees.NoTariff:
        return None
    return fees.explain(region_ids=parcel.region_ids, at=at, tariff=tariff)
