"""Service points, taken in from a file: made or changed by their reference, each in the region it lies in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.gis.geos import Point
from django.db import transaction

from network import regions
from network.models import ServicePoint


@dataclass(frozen=True)
class PointDraft:
    """A service point as a file tells it. What is None stays as it is, or gets the model's default when new."""

    ref: str
    name: str
    lat: float  # WGS 84
    lon: float
    city: str | None = None
    address: str | None = None
    capacity: int | None = None
    phone: str | None = None


@dataclass
class Loaded:
    """How many points each outcome had; `outside` counts those that lie in no region, whatever their outcome."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    outside: int = 0

    def add(self, other: Loaded) -> None:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.outside += other.outside


TOLD = ("city", "address", "capacity", "phone")
WRITTEN = ["name", "location", "region", "region_ids", *TOLD]


def load(drafts: Sequence[PointDraft], *, at: datetime) -> Loaded:
    """Make or change one batch of points, all or none; no reference may come twice in it.

    The regions are those whose boundaries are in force at `at`, so the same file after a change of the boundaries
    moves the points to their new regions. Status, reach and opening hours are never touched.
    """
    chains = _chains(drafts, at=at)
    with transaction.atomic(durable=True):
        known = {
            point.ref: point
            for point in ServicePoint.objects.select_for_update(no_key=True)
            .filter(ref__in=[draft.ref for draft in drafts])
            .order_by("id")
        }
        merged = [_merged(draft, chain, known.get(draft.ref)) for draft, chain in zip(drafts, chains, strict=True)]
        changed = [point for point in merged if _facts(point) != _facts(known.get(point.ref))]
        ServicePoint.objects.bulk_create(
            # In one order, so that two files with the same points wait for each other and do not lock each other out.
            sorted(changed, key=lambda point: point.ref),
            update_conflicts=True,
            unique_fields=["ref"],
            update_fields=WRITTEN,
        )
    created = sum(point.ref not in known for point in changed)
    return Loaded(
        created=created,
        updated=len(changed) - created,
        unchanged=len(drafts) - len(changed),
        outside=sum(not chain for chain in chains),
    )


def _chains(drafts: Sequence[PointDraft], *, at: datetime) -> list[list[int]]:
    """Return for each point the regions it lies in, deepest first; none where it lies in no region."""
    covering = list(regions.covering([(draft.lat, draft.lon) for draft in drafts], at=at))
    chains = regions.chain_ids({region for region in covering if region is not None})
    return [[] if region is None else list(chains[region]) for region in covering]


def _merged(draft: PointDraft, chain: list[int], known: ServicePoint | None) -> ServicePoint:
    """Return the row to write. It carries no id: the reference decides whether it is a new one."""
    point = ServicePoint(
        ref=draft.ref,
        name=draft.name,
        location=Point(draft.lon, draft.lat, srid=4326),
        region_id=chain[0] if chain else None,
        region_ids=chain,
    )
    for field in TOLD:
        told = getattr(draft, field)
        if told is not None:
            setattr(point, field, told)
        elif known is not None:
            setattr(point, field, getattr(known, field))
    return point


def _facts(point: ServicePoint | None) -> object:
    if point is None:
        return None
    told = tuple(getattr(point, field) for field in TOLD)
    return point.name, point.location.coords, point.region_id, point.region_ids, told
