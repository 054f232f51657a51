"""A recipient says "I did not collect this"; a person of the network decides. Until then nobody is paid for it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from django.db import connection, transaction

from network.models import User
from pickup import ledger, parcels
from pickup.models import Dispute, Handover, Parcel, Posting

NOTE_LETTERS = 500
REASON_LETTERS = 200


class Refusal(StrEnum):
    NOT_COLLECTED = "not_collected"
    RESOLVED = "resolved"
    NO_REASON = "no_reason"
    OWN_PICKUP = "own_pickup"
    TOO_SOON = "too_soon"


class Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def of(parcel: Parcel) -> Dispute | None:
    """The dispute of a parcel's hand-over that stands."""
    return Dispute.objects.filter(handover__parcel=parcel, handover__undone_by__isnull=True).first()


def open_dispute(parcel: Parcel, *, note: str = "") -> Dispute:
    """Contest a hand-over; again, it is the same dispute with its first words. Raises Refused.

    A hand-over that a clerk has undone needs none: its fees went back with it.
    """
    with transaction.atomic(durable=True):
        return contest(Parcel.objects.select_for_update().get(pk=parcel.pk), note=note)


def contest(locked: Parcel, *, note: str = "") -> Dispute:
    """The same for a parcel that the caller has locked. Raises Refused."""
    assert connection.in_atomic_block, "contest() is a building block: the use case opens the transaction"
    handover = Handover.objects.filter(parcel=locked, undone_by__isnull=True).first()
    if handover is None:
        raise Refused(Refusal.NOT_COLLECTED)
    dispute, _ = Dispute.objects.get_or_create(handover=handover, defaults={"note": note.strip()[:NOTE_LETTERS]})
    return dispute


def resolve(dispute: Dispute, *, outcome: str, reason: str, by: User, now: datetime) -> Dispute:
    """Decide a dispute, once and with a reason. Raises Refused.

    Dismissed, the pickup stands and its fees are settled. Upheld, every fee of it is given back; what a statement
    has paid already is set off in the payee's next one. Nobody decides on a hand-over of the own or of the own shop.
    """
    if not reason.strip():
        raise Refused(Refusal.NO_REASON)
    with transaction.atomic(durable=True):
        handover_id = dispute.handover_id
        parcel = Parcel.objects.select_for_update().get(handovers=handover_id)
        locked = Dispute.objects.select_for_update(of=("self",)).select_related("handover__scan").get(pk=dispute.pk)
        if locked.outcome:
            raise Refused(Refusal.RESOLVED)
        works_there = by.memberships.filter(service_point=locked.handover.service_point_id, ended_at__isnull=True)
        if locked.handover.scan.clerk_id == by.pk or works_there.exists():
            raise Refused(Refusal.OWN_PICKUP)
        if parcel.collected_at is not None and now - parcel.collected_at <= parcels.UNDO_WITHIN:
            raise Refused(Refusal.TOO_SOON)
        locked.outcome, locked.reason = outcome, reason.strip()[:REASON_LETTERS]
        locked.resolved_by, locked.resolved_at = by, now
        locked.save(update_fields=["outcome", "reason", "resolved_by", "resolved_at"])
        if outcome == Dispute.Outcome.UPHELD:
            standing = locked.handover.postings.exclude(kind=Posting.Kind.REVERSAL).filter(reversal__isnull=True)
            for posting in standing.order_by("id"):
                ledger.reverse(posting, reason=locked.reason)
    return locked
