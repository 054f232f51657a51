"""What a regional agent looks after today, as rows: own regions, the shops there, and the parcels for addresses there.

A parcel is an agent's if its address lay in the region when it was assigned, and the agent held the region at that
moment and holds it today (promise 22). Where a border runs now, or who was appointed since, changes nothing of a parcel
that was assigned before: a successor begins with the next one. What was paid for follows the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from network import agents
from network.models import Agent, Appointment, Pause, Region, ServicePoint
from pickup import parcels
from pickup.models import Parcel

Status = Parcel.Status


@dataclass(frozen=True)
class Counts:
    """Parcels of one region; `collected` are those since a moment."""

    expected: int
    here: int
    overdue: int
    collected: int


def own_parcels(agent: Agent, *, at: datetime, regions: Sequence[int] | None = None) -> QuerySet[Parcel]:
    """The agent's parcels in all own regions or in some of them; regions of others are as if they did not exist."""
    held = set(agents.in_force(agent, at=at).values_list("region_id", flat=True))
    if regions is not None:
        held &= set(regions)
    own = Q(pk__in=[])
    for row in Appointment.objects.filter(agent=agent, region__in=held):
        own |= Q(
            region_ids__contains=[row.region_id],
            order__assigned_at__gte=row.valid.lower,
            order__assigned_at__lt=row.valid.upper,
        )
    return Parcel.objects.filter(own)


def counts(agent: Agent, region: Region, *, at: datetime, since: datetime) -> Counts:
    here = Q(status__in=parcels.HERE)
    rows = own_parcels(agent, at=at, regions=[region.pk]).aggregate(
        expected=Count("id", filter=Q(status=Status.EXPECTED)),
        here=Count("id", filter=here),
        overdue=Count("id", filter=here & Q(hold_until__lt=at)),
        collected=Count("id", filter=Q(status=Status.COLLECTED, collected_at__gte=since)),
    )
    return Counts(**rows)


def overdue(agent: Agent, *, at: datetime, regions: Sequence[int] | None = None) -> QuerySet[Parcel]:
    """Parcels that lie longer than they should, the oldest first; with nothing of whose they are."""
    rows = own_parcels(agent, at=at, regions=regions).filter(status__in=parcels.HERE, hold_until__lt=at)
    return rows.select_related("service_point").order_by("hold_until", "id")


def search(rows: QuerySet[Parcel], text: str) -> QuerySet[Parcel]:
    """Those whose barcode or shop goes by the text. People are not searched for."""
    return rows.filter(Q(barcode__icontains=text) | Q(service_point__name__icontains=text))


def points(agent: Agent, *, at: datetime, regions: Sequence[int] | None = None) -> QuerySet[ServicePoint]:
    """The shops that stand in the own regions today, in whatever status, by name."""
    held = set(agents.in_force(agent, at=at).values_list("region_id", flat=True))
    if regions is not None:
        held &= set(regions)
    rows = ServicePoint.objects.filter(region_ids__overlap=sorted(held)) if held else ServicePoint.objects.none()
    return rows.select_related("region").order_by("name", "id")


def paused(point_ids: Sequence[int], *, at: datetime) -> dict[int, Pause]:
    rows = Pause.objects.filter(service_point__in=point_ids, period__contains=at)
    return {row.service_point_id: row for row in rows}
