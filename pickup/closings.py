"""A service point is closed or suspended: what happens to the parcels that come there, and to those that are there.

Decision 0013. Parcels on their way are assigned anew. Those on the shelf stay, because a parcel that arrived keeps its
point (R4, and fees follow it): they are handed over until the last day and go back after it. A closing ends by itself
when the shelf is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import OperationalError, transaction
from django.db.models import Exists, OuterRef

from network import points
from network.models import Closing, Membership, ServicePoint, User
from pickup import holding, orders, parcels
from pickup.models import Parcel

State = Closing.State
Status = ServicePoint.Status
OPEN = (State.ASKED, State.PLANNED, State.BEGUN)
STANDS_THERE = (Parcel.Status.READY, Parcel.Status.EXPIRED, Parcel.Status.REFUSED)
LEAST_NOTICE = timedelta(hours=48)  # nobody's storage time ends sooner than that after it was made shorter
FARTHEST = timedelta(days=180)  # so far ahead a closing may be planned,
LONGEST = timedelta(days=60)  # and so long a shop may hand over after its last parcel came


class Refused(Exception):
    """What is not done; `code` is no_reason, bad_days, open_already, not_open, own_request, wrong_status or busy."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Plan:
    """From the beginning of `first_day` no new parcels, until the end of `last_day` those there are handed over."""

    first_day: date
    last_day: date
    reason: str


@dataclass(frozen=True)
class Effect:
    """What a closing does to the parcels: sent elsewhere, staying, of these told of an earlier end, overdue already."""

    expected: int
    ready: int
    shortened: int
    overdue: int


def current(point: ServicePoint) -> Closing | None:
    """The closing that is asked for, planned or under way."""
    rows = Closing.objects.filter(service_point=point, state__in=OPEN).select_related("asked_by", "planned_by")
    return rows.first()


def asked() -> list[Closing]:
    """What owners ask for and nobody has decided yet, the oldest first; then what is under way."""
    rows = Closing.objects.filter(state__in=OPEN).select_related("service_point", "asked_by")
    return list(rows.order_by("made_at", "id")[:200])


def effect(point: ServicePoint, *, plan: Plan, now: datetime) -> Effect:
    """What would happen if the closing began now."""
    at_point = Parcel.objects.filter(service_point=point)
    until = _until(plan.last_day, now)
    ready = at_point.filter(status=Parcel.Status.READY)
    return Effect(
        expected=at_point.filter(status=Parcel.Status.EXPECTED).count(),
        ready=ready.count(),
        shortened=ready.filter(hold_until__gt=until).count(),
        overdue=at_point.filter(status=Parcel.Status.EXPIRED).count(),
    )


def check(plan: Plan, *, now: datetime) -> None:
    """Raises Refused: no_reason or bad_days."""
    if not plan.reason.strip():
        raise Refused("no_reason")
    begins = _begins(plan, now)
    in_order = plan.first_day <= plan.last_day and points.end_of(plan.last_day) > now
    if not in_order or begins > now + FARTHEST or points.end_of(plan.last_day) > begins + LONGEST:
        raise Refused("bad_days")


def ask(*, point: ServicePoint, plan: Plan, by: User, now: datetime) -> Closing:
    """An owner asks for it; nothing happens before somebody of the network plans it. Raises Refused."""
    check(plan, now=now)
    with transaction.atomic(durable=True):
        locked = _locked(point)
        owns = Membership.objects.filter(
            user=by, service_point=locked, role=Membership.Role.OWNER, ended_at__isnull=True
        ).exists()
        if not owns or locked.status in (Status.CLOSING, Status.CLOSED):
            raise Refused("wrong_status")
        if Closing.objects.filter(service_point=locked, state__in=OPEN).exists():
            raise Refused("open_already")
        made = Closing.objects.create(
            service_point=locked, state=State.ASKED, asked_by=by, made_at=now, **_words(plan, now)
        )
        points.note(locked, f"closing asked for: {plan.reason}, {plan.first_day} to {plan.last_day}", by)
        return made


def plan(*, point: ServicePoint, plan: Plan, by: User, now: datetime) -> Closing:
    """Plan a closing, or the one that an owner asked for, with these days; one that is due begins at once.

    Raises Refused: own_request if `by` asked for it, open_already if one is planned.
    """
    check(plan, now=now)
    try:
        with transaction.atomic(durable=True):
            locked = _locked(point)
            if locked.status in (Status.CLOSING, Status.CLOSED):
                raise Refused("wrong_status")
            row = Closing.objects.select_for_update().filter(service_point=locked, state__in=OPEN).first()
            if row is not None and row.state != State.ASKED:
                raise Refused("open_already")
            if row is not None and row.asked_by_id == by.pk:
                raise Refused("own_request")
            words = {"state": State.PLANNED, "planned_by": by} | _words(plan, now)
            row = row or Closing(service_point=locked, made_at=now)
            for name, value in words.items():
                setattr(row, name, value)
            row.save(update_fields=list(words) if row.pk else None)
            points.note(locked, f"closing planned: {plan.reason}, {plan.first_day} to {plan.last_day}", by)
            if row.begins_at <= now:
                _begin(locked, row, now=now)
            return row
    except OperationalError as error:
        raise Refused("busy") from error


def drop(*, point: ServicePoint, by: User, now: datetime, asked_only: bool = False) -> None:
    """Take a closing back that has not ended: one that is under way lets new parcels come again. Raises Refused.

    What was sent elsewhere stays there, and a storage time that was shortened stays short. `asked_only`: an owner
    takes back the own request, and nothing that the network has planned meanwhile.
    """
    with transaction.atomic(durable=True):
        locked = _locked(point)
        row = Closing.objects.select_for_update().filter(service_point=locked, state__in=OPEN).first()
        if row is None or (asked_only and row.state != State.ASKED):
            raise Refused("not_open")
        if row.state == State.BEGUN:
            locked.status = Status.ACTIVE
            locked.save(update_fields=["status"])
        row.state, row.ended_at = State.DROPPED, now
        row.save(update_fields=["state", "ended_at"])
        points.note(locked, "closing taken back", by)


def suspend(*, point: ServicePoint, reason: str, elsewhere: bool, by: User, now: datetime) -> int:
    """Stop a shop: no scan of it counts until it is resumed. `elsewhere`: what is on its way goes to other points.

    Returns how many orders were sent elsewhere. Raises Refused.
    """
    if not reason.strip():
        raise Refused("no_reason")
    try:
        with transaction.atomic(durable=True):
            locked = _locked(point)
            if locked.status != Status.ACTIVE:
                raise Refused("wrong_status")
            locked.status = Status.SUSPENDED
            locked.save(update_fields=["status"])
            points.note(locked, f"suspended: {reason.strip()[:200]}", by)
            return orders.send_elsewhere(point_id=locked.pk) if elsewhere else 0
    except OperationalError as error:
        raise Refused("busy") from error


def resume(*, point: ServicePoint, by: User) -> None:
    """Let a suspended or a proposed shop work. Raises Refused."""
    with transaction.atomic(durable=True):
        locked = _locked(point)
        if locked.status not in (Status.SUSPENDED, Status.PROPOSED):
            raise Refused("wrong_status")
        before, locked.status = locked.status, Status.ACTIVE
        locked.save(update_fields=["status"])
        points.note(locked, f"active, was {before}", by)


def begin_due(*, now: datetime, limit: int) -> int:
    """Begin the closings whose day has come. Returns how many.

    A shop that was suspended since is left as it is: a sweep must not let it hand over again.
    """
    planned = Closing.objects.filter(state=State.PLANNED, begins_at__lte=now).order_by("begins_at", "id")
    due = planned.exclude(service_point__status=Status.SUSPENDED)
    begun = 0
    for point in ServicePoint.objects.filter(pk__in=list(due.values_list("service_point_id", flat=True)[:limit])):
        with transaction.atomic(durable=True):
            locked = _locked(point)
            row = planned.select_for_update().filter(service_point=locked).first()
            if row is not None and locked.status != Status.SUSPENDED:
                _begin(locked, row, now=now)
                begun += 1
    return begun


def finish_emptied(*, now: datetime, limit: int) -> int:
    """Close for good the shops whose shelves are empty. Returns how many.

    A hand-over may be undone for a while, which brings its parcel back to the shelf, so that is waited for.
    """
    there = Parcel.objects.filter(service_point=OuterRef("service_point"), status__in=STANDS_THERE)
    emptied = Closing.objects.filter(~Exists(there), state=State.BEGUN).order_by("begun_at", "id")
    ids = list(emptied.values_list("service_point_id", flat=True)[:limit])
    finished = 0
    for point in ServicePoint.objects.filter(pk__in=ids):
        with transaction.atomic(durable=True):
            locked = _locked(point)
            row = Closing.objects.select_for_update().filter(service_point=locked, state=State.BEGUN).first()
            if row is None or left_at(locked) or _may_be_undone(locked, now):
                continue
            locked.status = Status.CLOSED
            locked.save(update_fields=["status"])
            row.state, row.ended_at = State.FINISHED, now
            row.save(update_fields=["state", "ended_at"])
            points.note(locked, "closed: the shelf is empty", row.planned_by)
            finished += 1
    return finished


def left_at(point: ServicePoint) -> int:
    """How many parcels still stand in the shop."""
    return Parcel.objects.filter(service_point=point, status__in=STANDS_THERE).count()


def _may_be_undone(point: ServicePoint, now: datetime) -> bool:
    collected = Parcel.objects.filter(service_point=point, status=Parcel.Status.COLLECTED)
    return collected.filter(collected_at__gt=now - parcels.UNDO_WITHIN).exists()


def _begin(point: ServicePoint, row: Closing, *, now: datetime) -> None:
    """From here on the point is never chosen: assignments count its room under the lock that is held here."""
    point.status = Status.CLOSING
    point.save(update_fields=["status"])
    row.state, row.begun_at = State.BEGUN, now
    row.save(update_fields=["state", "begun_at"])
    moved = orders.send_elsewhere(point_id=point.pk)
    shortened = holding.end_with_the_shop(point_id=point.pk, until=_until(row.last_day, now))
    points.note(point, f"closing: {moved} orders sent elsewhere, {len(shortened)} told to come sooner", row.planned_by)


def _until(last_day: date, now: datetime) -> datetime:
    return max(points.end_of(last_day), now + LEAST_NOTICE)


def _begins(plan: Plan, now: datetime) -> datetime:
    """The beginning of the first day, or now if that is over."""
    return max(points.end_of(plan.first_day - timedelta(days=1)), now)


def _words(plan: Plan, now: datetime) -> dict[str, object]:
    return {"begins_at": _begins(plan, now), "last_day": plan.last_day, "reason": plan.reason.strip()[:200]}


def _locked(point: ServicePoint) -> ServicePoint:
    """The same lock as every assignment to the point takes."""
    return ServicePoint.objects.select_for_update(no_key=True).get(pk=point.pk)
