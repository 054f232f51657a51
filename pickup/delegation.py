"""Somebody else fetches it (代取): proofs of their own with an end, and everything of one person in one text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction

from network.points import midnight
from pickup import codes, recipients
from pickup.models import Delegation, Parcel
from pickup.parcels import HERE

MOST = 10  # per parcel; the database holds it too


class Refusal(StrEnum):
    NOT_HERE = "not_here"
    BAD_END = "bad_end"
    TOO_MANY = "too_many"
    STALE = "stale"


class NotDelegated(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


@dataclass(frozen=True)
class Proof:
    """What a delegate needs, derived and never stored: `link` is the last part of the page's address."""

    token: str
    code: str
    link: str


def ends(parcel: Parcel, *, now: datetime) -> dict[str, datetime]:
    """The ends that a recipient may choose from, by name, soonest first: today, tomorrow, and the deadline.

    None lies beyond the deadline; for a parcel that is overdue and still there, tomorrow is the last.
    """
    today, tomorrow = (midnight(now) + timedelta(days=days) - timedelta(seconds=1) for days in (1, 2))
    to_come = {name: end for name, end in (("today", today), ("tomorrow", tomorrow)) if end > now}
    deadline = parcel.hold_until
    if deadline is None or deadline <= now:
        return to_come
    return {name: end for name, end in to_come.items() if end < deadline} | {"deadline": deadline}


def make(parcel: Parcel, *, number: int, until: datetime, now: datetime) -> Delegation:
    """Make proofs for a delegate; the ones before are dead at once. Raises NotDelegated.

    `number` is the one that follows the parcel's last, so a form that is sent twice makes one delegation.
    """
    with transaction.atomic(durable=True):
        locked = Parcel.objects.select_for_update().get(pk=parcel.pk)
        if locked.status not in HERE:
            raise NotDelegated(Refusal.NOT_HERE)
        last = Delegation.objects.filter(parcel=locked).order_by("-number").first()
        if last is not None and last.number == number and last.revoked_at is None:
            return last
        if number > MOST:
            raise NotDelegated(Refusal.TOO_MANY)
        if number != (last.number if last else 0) + 1:
            raise NotDelegated(Refusal.STALE)
        if not now < until <= max(ends(locked, now=now).values()):
            raise NotDelegated(Refusal.BAD_END)
        Delegation.objects.filter(parcel=locked, revoked_at__isnull=True).update(revoked_at=now)
        uuid = locked.uuid
        return Delegation.objects.create(
            parcel=locked,
            number=number,
            token_hash=codes.hash_secret(codes.secret_of(uuid, number, codes.DELEGATE)),
            code_hash=codes.hash_code(locked.barcode, codes.code_of(uuid, number, codes.DELEGATE)),
            link_hash=codes.hash_link(codes.link_of(uuid, number, codes.DELEGATE)),
            expires_at=until,
        )


def withdraw(parcel: Parcel, *, now: datetime) -> bool:
    """Kill a delegate's proofs. Under the parcel's lock, so a hand-over was before it or is refused after it."""
    with transaction.atomic(durable=True):
        locked = Parcel.objects.select_for_update().get(pk=parcel.pk)
        return bool(Delegation.objects.filter(parcel=locked, revoked_at__isnull=True).update(revoked_at=now))


def current(parcel: Parcel, *, now: datetime) -> Delegation | None:
    """The delegation whose proofs work now."""
    return Delegation.objects.filter(parcel=parcel, revoked_at__isnull=True, expires_at__gt=now).first()


def next_number(parcel: Parcel) -> int:
    last = Delegation.objects.filter(parcel=parcel).order_by("-number").values_list("number", flat=True).first()
    return (last or 0) + 1


def found_by(link: str) -> Delegation | None:
    """The delegation that a link belongs to, dead ones included."""
    rows = Delegation.objects.select_related("parcel__service_point")
    return rows.filter(link_hash=codes.hash_link(link)).first()


def proof_of(delegation: Delegation) -> Proof:
    uuid, number = delegation.parcel.uuid, delegation.number
    return Proof(
        token=codes.token_of(
            parcel=uuid,
            issue=number,
            point_id=delegation.parcel.service_point_id or 0,
            expires_at=delegation.expires_at,
            holder=codes.DELEGATE,
        ),
        code=codes.code_of(uuid, number, codes.DELEGATE),
        link=codes.link_of(uuid, number, codes.DELEGATE),
    )


def all_waiting(parcel: Parcel) -> list[Parcel]:
    """All parcels of this one's recipient that wait at any point, those that go back first on top.

    Found by the keyed hash of the phone. A parcel whose page was locked by wrong digits keeps its code to itself.
    """
    if parcel.person is None:
        return []
    rows = Parcel.objects.filter(
        order__recipient__phone_hash=parcel.person,
        person=parcel.person,
        status__in=HERE,
        code__page_attempts__lt=recipients.PAGE_TRIES,
    )
    return list(rows.select_related("code", "service_point").order_by("hold_until", "id"))


def all_coming(parcel: Parcel) -> list[Parcel]:
    """All other parcels of this one's recipient that are on their way to a point."""
    if parcel.person is None:
        return []
    rows = Parcel.objects.filter(
        order__recipient__phone_hash=parcel.person,
        person=parcel.person,
        status=Parcel.Status.EXPECTED,
        service_point__isnull=False,
    )
    return list(rows.exclude(pk=parcel.pk).select_related("service_point").order_by("id"))
