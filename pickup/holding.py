"""How long a parcel is kept: the deadline, the reminder before it, the end of it (R4)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from pickup import fees, notices, parcels
from pickup.models import Notice, Parcel

REMIND_BEFORE = timedelta(hours=24)


def deadline(parcel: Parcel, *, at: datetime) -> datetime:
    """The merchant's own storage time if it has one, else the tariff's."""
    days = parcel.order.merchant.hold_days or fees.tariff_at(at).hold_days
    return at + timedelta(days=days)


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
    """Queue one reminder for each parcel whose storage time ends within a day."""
    with transaction.atomic(durable=True):
        reminded = Notice.objects.filter(parcel=OuterRef("pk"), kind=Notice.Kind.REMINDER)
        due = list(
            Parcel.objects.select_for_update(skip_locked=True)
            .filter(
                ~Exists(reminded),
                status=Parcel.Status.READY,
                hold_until__gt=now,
                hold_until__lte=now + REMIND_BEFORE,
            )
            .order_by("id")[:limit]
        )
        notices.queue(due, kind=Notice.Kind.REMINDER)
    return len(due)
