"""Reading a recipient's full data: only here, only for a reason, only so often, and never without a trace.

Shops, agents, pages and lists have the masked name and the last four digits. Whoever needs more asks here. The row
that tells of it is written in the transaction that opens the sealed box, so there is no reading without a row; the key
of the box is outside the database, and a test lists every place in the code that may use it.
See docs/decisions/0015-history.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from network import clock
from network.models import User
from pickup import recipients
from pickup.models import ManualRelease, Order, Parcel, PersonalDataRead, Recipient

HOUR = timedelta(hours=1)
RIGHT = "pickup.read_personal"
REASON_LETTERS = 200
SHORTEST_REASON = 3
DECIDING = "decides on a release without a proof"


class NotAllowed(Exception):
    """This person may not read personal data."""


class NoReason(ValueError):
    """A reason of at least three letters is needed."""


class TooManyReads(Exception):
    """This person read as often as one may in an hour; `wait` tells when the next one is allowed."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"again in {wait}")
        self.wait = wait


def may_read(user: Any) -> bool:
    """Staff with that right, and nobody else."""
    return bool(user.is_active and user.is_staff and user.has_perm(RIGHT))


def read(parcel: Parcel, *, by: User, reason: str) -> recipients.Contact:
    """Return name, phone and address of a parcel's recipient. Raises NotAllowed, NoReason, TooManyReads, Sealed."""
    if not may_read(by):
        raise NotAllowed
    reason = reason.strip()[:REASON_LETTERS]
    if len(reason) < SHORTEST_REASON:
        raise NoReason
    with transaction.atomic(durable=True):
        _note(by=by, order=parcel.order, parcel=parcel, fields=["name", "phone", "address"], reason=reason)
        return recipients.open_sealed(Recipient.objects.get(order=parcel.order_id))


def photo(release: ManualRelease, *, by: User) -> bytes:
    """Return the photo of a release, for somebody who decides on it. Raises TooManyReads, Sealed."""
    parcel = release.handover.parcel
    with transaction.atomic(durable=True):
        _note(by=by, order=parcel.order, parcel=parcel, fields=["photo"], reason=DECIDING)
        return recipients.open_photo(bytes(release.photo))


def reads_left(user: User) -> int:
    """How many readings this person still has this hour."""
    return max(0, settings.PERSONAL_READS_PER_HOUR - len(_newest(user)))


def _note(*, by: User, order: Order, parcel: Parcel, fields: list[str], reason: str) -> None:
    """Write the row, or refuse. One person's readings at once wait for each other, so that none is miscounted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('personal data'), hashtext(%s))", [str(by.pk)])
    newest = _newest(by)
    if len(newest) >= settings.PERSONAL_READS_PER_HOUR:
        raise TooManyReads(newest[-1] + HOUR - clock.now())
    PersonalDataRead.objects.create(order=order, parcel=parcel, by=by, fields=fields, reason=reason)


def _newest(user: User) -> list[datetime]:
    """The moments of this hour's readings, the newest first, as many as count."""
    reads = PersonalDataRead.objects.filter(by=user, at__gt=clock.now() - HOUR).order_by("-at")
    return list(reads.values_list("at", flat=True)[: settings.PERSONAL_READS_PER_HOUR])
