"""What should have followed and did not: a sweep over effects that are missing, whatever lost them.

Nothing here happens while all goes well, for what causes an effect writes it in the same transaction. It is for the
day when somebody restored half a table, or edited a row by hand.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from pickup import notices, parcels
from pickup.models import Notice, Order, Parcel, PickupCode

log = logging.getLogger(__name__)

LATE = timedelta(minutes=2)  # what is younger may still be on its way
NOTICE_OF = {Parcel.Status.READY: Notice.Kind.READY, Parcel.Status.EXPIRED: Notice.Kind.EXPIRED}


def mend(*, now: datetime, limit: int) -> int:
    """Write missing codes, notices and assignments; returns how many. What waits too long is told in the log."""
    mended = {
        "codes": _codes(now=now, limit=limit),
        "notices": sum(_notices(status, kind, now=now, limit=limit) for status, kind in NOTICE_OF.items()),
        "assignments": _assignments(limit=limit),
    }
    for what, count in mended.items():
        if count:
            log.error("%s missing %s were made up for", count, what)
    for what, count in overdue(now=now).items():
        if count:
            log.error("%s %s wait for more than %s", count, what, LATE)
    return sum(mended.values())


def overdue(*, now: datetime) -> dict[str, int]:
    """How many orders and messages should have gone on by now."""
    orders = Order.objects.filter(status__in=[Order.Status.RECEIVED, Order.Status.LOCATED], placed_at__lt=now - LATE)
    unsent = Notice.objects.filter(sent_at__isnull=True, gave_up=False, next_try_at__lt=now - LATE)
    return {"orders": orders.count(), "notices": unsent.count()}


def _here(*, now: datetime) -> QuerySet[Parcel]:
    arrived = Q(ready_at__isnull=True) | Q(ready_at__lt=now - LATE)
    return Parcel.objects.select_for_update(skip_locked=True).filter(arrived).order_by("id")


def _codes(*, now: datetime, limit: int) -> int:
    coded = PickupCode.objects.filter(parcel=OuterRef("pk"))
    with transaction.atomic(durable=True):
        uncoded = list(_here(now=now).filter(~Exists(coded), status__in=parcels.HERE)[:limit])
        for parcel in uncoded:
            parcels.issue_code(parcel)
    return len(uncoded)


def _notices(status: str, kind: str, *, now: datetime, limit: int) -> int:
    told = Notice.objects.filter(parcel=OuterRef("pk"), kind=kind)
    with transaction.atomic(durable=True):
        untold = list(_here(now=now).filter(~Exists(told), status=status)[:limit])
        notices.queue(untold, kind=kind)
    return len(untold)


def _assignments(*, limit: int) -> int:
    """An order that calls itself assigned while a parcel of it has no point goes back to those that wait for one."""
    nowhere = Parcel.objects.filter(
        status=Parcel.Status.EXPECTED, service_point__isnull=True, order__status=Order.Status.ASSIGNED
    )
    with transaction.atomic(durable=True):
        found = (
            Order.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(pk__in=nowhere.values("order")[:limit], address__location__isnull=False)
            .order_by("id")
        )
        ids = [order.pk for order in found]
        return Order.objects.filter(pk__in=ids).update(status=Order.Status.LOCATED, tries=0, next_try_at=None)
