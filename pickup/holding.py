"""How long a parcel is kept: the deadline, the reminder before it, the end of it (R4)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from network import points
from network.models import Closing
from pickup import fees, notices, parcels
from pickup.models import Notice, Parcel

REMIND_BEFORE = timedelta(hours=24)
EXTENSION = timedelta(days=3)


class Refusal(StrEnum):
    NOT_READY = "not_ready"
    OVER = "over"
    ALREADY = "already"
    CLOSING = "closing"


class NotExtended(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def deadline(parcel: Parcel, *, at: datetime) -> datetime:
    """The merchant's own storage time if it has one, else the tariff's."""
    days = parcel.order.merchant.hold_days or fees.tariff_at(at).hold_days
    return at + timedelta(days=days)


def extend(parcel: Parcel, *, now: datetime) -> Parcel:
    """Keep a parcel three days longer, once, while its storage time runs (R4). Raises NotExtended.

    The code stays the same; a QR made from now on carries the new end. Its recipient is reminded once more.
    """
    with transaction.atomic(durable=True):
        locked = Parcel.objects.select_for_update().get(pk=parcel.pk)
        if locked.status != Parcel.Status.READY or locked.hold_until is None:
            raise NotExtended(Refusal.NOT_READY)
        if locked.extended_at is not None:
            raise NotExtended(Refusal.ALREADY)
        if locked.hold_until <= now:
            raise NotExtended(Refusal.OVER)
        if _closes_before(locked, until=locked.hold_until + EXTENSION):
            raise NotExtended(Refusal.CLOSING)
        locked.hold_until, locked.extended_at = locked.hold_until + EXTENSION, now
        locked.save(update_fields=["hold_until", "extended_at"])
    return locked


def _closes_before(parcel: Parcel, *, until: datetime) -> bool:
    closings = Closing.objects.filter(service_point=parcel.service_point_id, state__in=points.CLOSES)
    return any(points.end_of(closing.last_day) < until for closing in closings)


def end_with_the_shop(*, point_id: int, until: datetime) -> list[Parcel]:
    """Shorten the storage time of what is on a shelf to the end of a shop that closes, and queue a message about it.

    A building block: the caller has locked the point. Returns the parcels that were shortened.
    """
    assert connection.in_atomic_block, "a building block: the use case opens the transaction"
    rows = Parcel.objects.select_for_update().filter(service_point_id=point_id, status=Parcel.Status.READY)
    late = list(rows.filter(hold_until__gt=until).order_by("id"))
    Parcel.objects.filter(pk__in=[parcel.pk for parcel in late]).update(hold_until=until)
    notices.queue_again(late, kind=Notice.Kind.CLOSING)
    return late


def expire_overdue(*, now: datetime, limit: int) -> int:
    """Expire parcels whose storage time is over; parcels that others hold locked are left for the next sweep."""
    with transaction.atomic(durable=True):
        overdue = list(
            Parcel.objects.select_for_update(skip_locked=True)
            .filter(status=Parcel.Status.READY, hold_until__lt=now)
            .order_by("id")[:limit]
        )
        for parcel in overdue:
            parcels.move(parcel, to=Parcel.Status.EXPIRED)
        notices.queue(overdue, kind=Notice.Kind.EXPIRED)
    return len(overdue)


def remind(*, now: datetime, limit: int) -> int:
    """Queue one reminder for each parcel whose storage time ends within a day, and a second one if it was extended."""
    with transaction.atomic(durable=True):
        reminded = Notice.objects.filter(parcel=OuterRef("pk"), kind=Notice.Kind.REMINDER)
        reminded_since = reminded.filter(Q(round__gt=0) | Q(parcel__extended_at__isnull=True))
        due = list(
            Parcel.objects.select_for_update(skip_locked=True)
            .filter(
                ~Exists(reminded_since),
                status=Parcel.Status.READY,
                hold_until__gt=now,
                hold_until__lte=now + REMIND_BEFORE,
            )
            .order_by("id")[:limit]
        )
        notices.queue([parcel for parcel in due if parcel.extended_at is None], kind=Notice.Kind.REMINDER)
        notices.queue([parcel for parcel in due if parcel.extended_at], kind=Notice.Kind.REMINDER, turn=1)
    return len(due)
