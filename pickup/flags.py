"""Held pickups: the queue of shops, what is known of one of them, and the decision of a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Max, Min, Q, QuerySet

from network.models import ServicePoint, User
from pickup import ledger, parcels, signs
from pickup.models import Dispute, Hold, Parcel, PickupQuestion, Posting
from pickup.signs import Finding

Decision = Hold.Decision
REASON_LETTERS = 200
AT_ONCE = 200  # holds that one decision takes
PICTURE_DAYS = 30


class Refusal(StrEnum):
    NO_REASON = "no_reason"
    NOTHING = "nothing"
    TOO_MANY = "too_many"
    OWN_SHOP = "own_shop"
    TOO_SOON = "too_soon"


class Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


@dataclass(frozen=True)
class Suspect:
    """A shop with held pickups that wait for a person."""

    point: ServicePoint
    held: int
    points: int  # of the worst pickup
    oldest_at: datetime
    amount_minor: int
    currency: str
    findings: Sequence[Finding]


@dataclass(frozen=True)
class Seen:
    """A pickup for the pictures: when it was, how far away its address is, and whether it is held."""

    at: datetime
    distance_m: float | None
    bearing: float | None  # from the shop to the address, radians clockwise from north
    held: bool


def queue(*, decided: bool = False) -> QuerySet[Any, Any]:
    """One row for each shop: its number of holds, the points of the worst, and since when; the worst first."""
    rows = Hold.objects.exclude(decision="") if decided else Hold.objects.filter(decision="")
    return (
        rows.values("service_point")
        .annotate(held=Count("id"), points=Max("points"), oldest_at=Min("placed_at"))
        .order_by("-points", "-held", "service_point")
    )


def suspects(rows: Sequence[dict[str, Any]]) -> list[Suspect]:
    """Fill rows of the queue with the shop, the money that waits, and what was found, each sign once."""
    ids = [row["service_point"] for row in rows]
    points = ServicePoint.objects.select_related("region").in_bulk(ids)
    found = _findings(ids)
    money = _money(ids)
    return [
        Suspect(
            point=points[row["service_point"]],
            held=row["held"],
            points=row["points"],
            oldest_at=row["oldest_at"],
            amount_minor=money.get(row["service_point"], (0, ""))[0],
            currency=money.get(row["service_point"], (0, ""))[1],
            findings=found.get(row["service_point"], []),
        )
        for row in rows
    ]


def _findings(point_ids: Sequence[int]) -> dict[int, list[Finding]]:
    """What open holds of these shops rest on: of each sign the newest finding."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT DISTINCT ON (h.service_point_id, e ->> 'sign') h.service_point_id, e
               FROM pickup_hold h CROSS JOIN LATERAL jsonb_array_elements(h.evidence) e
               WHERE h.service_point_id = ANY (%s) AND h.decision = ''
               ORDER BY h.service_point_id, e ->> 'sign', h.id DESC""",
            [list(point_ids)],
        )
        raw: dict[int, list[dict[str, Any]]] = {}
        for point_id, evidence in cursor.fetchall():
            raw.setdefault(point_id, []).append(signs.read(evidence))
    return {point_id: signs.findings(evidence) for point_id, evidence in raw.items()}


def _money(point_ids: Sequence[int]) -> dict[int, tuple[int, str]]:
    """What the open holds of these shops hold back of their own fees, those already taken back left aside."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT h.service_point_id, SUM(f.amount_minor), MIN(f.currency)
               FROM pickup_hold h JOIN pickup_posting f ON f.handover_id = h.handover_id AND f.kind = 'point_fee'
               WHERE h.service_point_id = ANY (%s) AND h.decision = ''
                 AND NOT EXISTS (SELECT FROM pickup_posting r WHERE r.reverses_id = f.id)
               GROUP BY h.service_point_id""",
            [list(point_ids)],
        )
        return {point_id: (int(amount), currency) for point_id, amount, currency in cursor.fetchall()}


def holds_of(point: ServicePoint) -> QuerySet[Hold]:
    """A shop's holds, the open ones and the worst first."""
    return (
        Hold.objects.filter(service_point=point)
        .select_related("handover__parcel__order__recipient", "handover__scan__clerk", "handover__scan__device")
        .select_related("decided_by")
        .order_by("decision", "-points", "-id")
    )


def answers_of(point: ServicePoint) -> dict[str, int]:
    """What recipients said who were asked about this shop's pickups, and how many contested one by themselves."""
    asked = PickupQuestion.objects.filter(handover__service_point=point).aggregate(
        yes=Count("id", filter=Q(answer="yes")),
        no=Count("id", filter=Q(answer="no")),
        silent=Count("id", filter=Q(answer="")),
    )
    contested = Dispute.objects.filter(handover__service_point=point)
    return {**asked, "disputes": contested.count(), "open": contested.filter(outcome="").count()}


def is_frozen(point: ServicePoint, *, at: datetime) -> bool:
    """Whether two recipients within 30 days said no, so that nothing is paid out to this shop."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT point_is_frozen(%s, %s)", [point.pk, at])
        frozen: bool = cursor.fetchone()[0]
    return frozen


def seen(point: ServicePoint, *, until: datetime, limit: int = 3000) -> list[Seen]:
    """The pickups of the last weeks for the pictures, the newest ones if there are too many; nothing personal."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT CASE WHEN s.told <> '' THEN LEAST(s.event_at, s.recorded_at) ELSE s.recorded_at END,
                      ST_DistanceSphere(a.location, p.location), ST_Azimuth(p.location, a.location),
                      COALESCE(d.decision = '', false)
               FROM pickup_scan s JOIN pickup_handover h ON h.scan_id = s.id
               JOIN network_servicepoint p ON p.id = s.service_point_id
               JOIN pickup_parcel c ON c.id = h.parcel_id JOIN pickup_order o ON o.id = c.order_id
               JOIN network_address a ON a.id = o.address_id
               LEFT JOIN pickup_hold d ON d.handover_id = h.id
               WHERE s.service_point_id = %s AND s.kind = 'pickup' AND s.recorded_at > %s AND s.recorded_at <= %s
               ORDER BY s.recorded_at DESC LIMIT %s""",
            [point.pk, until - timedelta(days=PICTURE_DAYS), until, limit],
        )
        return [Seen(*row) for row in cursor.fetchall()]


def decide(
    *, point: ServicePoint, hold_ids: Sequence[int], decision: str, reason: str, by: User, now: datetime
) -> tuple[int, int]:
    """Clear or reverse holds of one shop, with a reason. Returns how many, and how many somebody had decided before.

    Cleared fees are settled as if nothing had been; of reversed ones every fee is given back. Nobody decides on the
    own shop or on a hand-over of the own. Raises Refused.
    """
    if len(reason.strip()) < 3:
        raise Refused(Refusal.NO_REASON)
    if not hold_ids:
        raise Refused(Refusal.NOTHING)
    if len(hold_ids) > AT_ONCE:
        raise Refused(Refusal.TOO_MANY)
    with transaction.atomic(durable=True):
        # In the order in which a dispute takes them, so that neither waits for the other's.
        chosen = Hold.objects.filter(pk__in=hold_ids, service_point=point)
        list(Parcel.objects.select_for_update().filter(handovers__hold__in=chosen).order_by("id").values_list("id"))
        rows = list(chosen.select_for_update(of=("self",)).select_related("handover__scan").order_by("handover_id"))
        waiting = [hold for hold in rows if not hold.decision]
        if any(hold.handover.scan.clerk_id == by.pk for hold in waiting) or _works_at(by, point):
            raise Refused(Refusal.OWN_SHOP)
        newest = max((hold.handover.scan.recorded_at for hold in waiting), default=None)
        if decision == Decision.REVERSED and newest is not None and now - newest <= parcels.UNDO_WITHIN:
            raise Refused(Refusal.TOO_SOON)
        words = reason.strip()[:REASON_LETTERS]
        Hold.objects.filter(pk__in=[hold.pk for hold in waiting]).update(
            decision=decision, decided_by=by, decided_at=now, reason=words
        )
        if decision == Decision.REVERSED:
            standing = Posting.objects.filter(
                handover__hold__in=waiting, kind__in=ledger.FEES, reversal__isnull=True
            ).order_by("id")
            for posting in standing:
                ledger.reverse(posting, reason=words)
    return len(waiting), len(rows) - len(waiting)


def _works_at(user: User, point: ServicePoint) -> bool:
    return user.memberships.filter(service_point=point, ended_at__isnull=True).exists()
