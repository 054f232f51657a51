"""How parcels move: one table that a person can read aloud, and one function that follows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet

from network.models import ServicePoint
from pickup import codes
from pickup.models import Parcel, PickupCode

Status = Parcel.Status

FOLLOWS: dict[str, set[str]] = {
    Status.EXPECTED: {Status.READY, Status.CANCELLED, Status.LOST, Status.DAMAGED},
    Status.READY: {
        Status.COLLECTED,
        Status.EXPIRED,
        Status.REFUSED,
        Status.CANCELLED,
        Status.LOST,
        Status.DAMAGED,
    },
    Status.COLLECTED: {Status.READY},  # undone by a clerk within ten minutes
    Status.EXPIRED: {Status.COLLECTED, Status.RETURNED, Status.CANCELLED, Status.LOST, Status.DAMAGED},
    Status.REFUSED: {Status.RETURNED},
    Status.RETURNED: set(),
    Status.CANCELLED: set(),
    Status.LOST: set(),
    Status.DAMAGED: set(),
}
HELD = (Status.EXPECTED, Status.READY, Status.EXPIRED)  # what fills a shop's capacity
HERE = (Status.READY, Status.EXPIRED)  # what stands on its shelf

UNDO_WITHIN = timedelta(minutes=10)  # so long a clerk may take a hand-over back (R4)


class WrongStatus(Exception):
    """The parcel may not take this step from where it is."""


def move(parcel: Parcel, *, to: str, **changes: Any) -> None:
    """Move a parcel that the caller has locked, together with the fields that change with it."""
    assert connection.in_atomic_block, "move() is a building block: the use case opens the transaction"
    if to not in FOLLOWS[parcel.status]:
        raise WrongStatus(f"{parcel.barcode}: {parcel.status} → {to}")
    parcel.status = to
    for name, value in changes.items():
        setattr(parcel, name, value)
    parcel.save(update_fields=["status", *changes])


def at_point(point: ServicePoint, *, statuses: Sequence[str]) -> QuerySet[Parcel]:
    """A shop's parcels with their recipients' masked data, the ones that must go back first on top."""
    rows = Parcel.objects.filter(service_point=point, status__in=statuses)
    return rows.select_related("order__recipient").order_by(F("hold_until").asc(nulls_last=True), "id")


def waiting_beside(parcel: Parcel) -> int:
    """How many more parcels this person has at the same point."""
    if parcel.person is None:
        return 0
    same_person = Parcel.objects.filter(service_point_id=parcel.service_point_id, status__in=HERE, person=parcel.person)
    return same_person.exclude(pk=parcel.pk).count()


def issue_code(parcel: Parcel, *, issue: int = 1) -> None:
    """Store the keyed hashes of a parcel's proofs, in one statement. A higher issue kills the proofs before it."""
    code = PickupCode(
        parcel=parcel,
        issue=issue,
        token_hash=codes.hash_secret(codes.secret_of(parcel.uuid, issue)),
        code_hash=codes.hash_code(parcel.barcode, codes.code_of(parcel.uuid, issue)),
        link_hash=codes.hash_link(codes.link_of(parcel.uuid, issue)),
    )
    PickupCode.objects.bulk_create(
        [code],
        update_conflicts=True,
        unique_fields=["parcel"],
        update_fields=["issue", "token_hash", "code_hash", "link_hash"],
    )
