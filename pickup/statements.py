"""A payee's statement: who may read it, what stands in it, and whether each pickup has its fee."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection
from django.db.models import Case, F, Q, QuerySet, When

from network import access
from network.models import Agent, ServicePoint, User
from pickup import ledger
from pickup.models import Account, Payout, Posting, Settlement, Statement

RIGHT = "pickup.view_statement"


def is_admin(user: User) -> bool:
    """Whether somebody may read everybody's statements."""
    return user.is_active and user.is_staff and user.has_perm(RIGHT)


def accounts_of(user: User) -> QuerySet[Account]:
    """The accounts of the shops where this person works today, and of the agent that this person is."""
    return Account.objects.filter(Q(service_point__in=access.points_of(user)) | Q(agent__user=user))


def owned_by(user: User) -> QuerySet[Account]:
    """Those of them that are the person's own, as a shop's owner or as agent: who speaks for the money there."""
    shops = ServicePoint.objects.filter(
        memberships__user=user, memberships__role="owner", memberships__ended_at__isnull=True
    )
    return Account.objects.filter(Q(service_point__in=shops) | Q(agent__user=user))


def visible_to(user: User) -> QuerySet[Statement]:
    rows = Statement.objects.select_related("settlement", "account__service_point", "account__agent")
    return rows if is_admin(user) else rows.filter(account__in=accounts_of(user))


def payee_of(account: Account) -> ServicePoint | Agent:
    payee = account.service_point or account.agent
    assert payee is not None, "statements are made for service points and agents"
    return payee


@dataclass(frozen=True)
class Sums:
    """What a statement's lines come to, in minor units; reversals are zero or less."""

    fees: int
    adjustments: int
    reversals: int
    lines: int


def postings(statement: Statement) -> QuerySet[Posting]:
    """The postings of its lines, with the payee's sign in `signed_minor`."""
    signed = Case(When(credit=statement.account_id, then=F("amount_minor")), default=-F("amount_minor"))
    return Posting.objects.filter(line__statement=statement).annotate(signed_minor=signed)


def sums(statement: Statement) -> Sums:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT COALESCE(SUM(l.amount_minor) FILTER (WHERE p.kind IN ('point_fee', 'agent_fee')), 0),
                      COALESCE(SUM(l.amount_minor) FILTER (WHERE p.kind = 'adjustment'), 0),
                      COALESCE(SUM(l.amount_minor) FILTER (WHERE p.kind = 'reversal'), 0), COUNT(*)
               FROM pickup_statementline l JOIN pickup_posting p ON p.id = l.posting_id WHERE l.statement_id = %s""",
            [statement.pk],
        )
        return Sums(*map(int, cursor.fetchone()))


@dataclass(frozen=True)
class Day:
    day: date
    lines: int
    amount_minor: int


def days(statement: Statement, *, zone: str) -> Sequence[Day]:
    """Its lines by the day on which they were recorded, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT (p.recorded_at AT TIME ZONE %s)::date, COUNT(*), SUM(l.amount_minor)::bigint
               FROM pickup_statementline l JOIN pickup_posting p ON p.id = l.posting_id
               WHERE l.statement_id = %s GROUP BY 1 ORDER BY 1""",
            [zone, statement.pk],
        )
        return [Day(*row) for row in cursor.fetchall()]


def payouts_of(statement: Statement) -> Iterator[Payout]:
    yield from Payout.objects.filter(statement=statement).exclude(state="cancelled").order_by("id")


@dataclass(frozen=True)
class Match:
    """Pickups that should have a flat fee and have none, and live fees of no pickup that stands: both are zero."""

    pickups_without_fee: int
    fees_without_pickup: int

    @property
    def agrees(self) -> bool:
        return self.pickups_without_fee == self.fees_without_pickup == 0


def match(settlement: Settlement | None = None, *, since: datetime | None = None) -> Match:
    """Hold pickups and fees against each other: all, those since a moment, or those of a settlement's lines."""
    with connection.cursor() as cursor:
        cursor.execute(MATCH, {"since": since, "settlement": settlement.pk if settlement else None})
        return Match(*map(int, cursor.fetchone()))


MATCH = """
SELECT
    (SELECT COUNT(*) FROM pickup_handover h JOIN pickup_scan s ON s.id = h.scan_id
     LEFT JOIN pickup_manualrelease m ON m.handover_id = h.id
     WHERE (%(since)s::timestamptz IS NULL OR s.recorded_at >= %(since)s)
       AND (%(settlement)s::bigint IS NULL OR EXISTS (
            SELECT FROM pickup_posting f JOIN pickup_statementline l ON l.posting_id = f.id
            JOIN pickup_statement t ON t.id = l.statement_id
            WHERE f.handover_id = h.id AND t.settlement_id = %(settlement)s))
       AND h.undone_by_id IS NULL AND (s.proof <> 'manual' OR m.decision = 'approved')
       AND (SELECT v.point_fee_minor FROM pickup_tariff v WHERE v.valid_from <= s.recorded_at
            ORDER BY v.valid_from DESC LIMIT 1) > 0
       AND NOT EXISTS (SELECT FROM pickup_posting p WHERE p.handover_id = h.id AND p.kind = 'point_fee')),
    (SELECT COUNT(*) FROM pickup_posting p
     LEFT JOIN pickup_handover h ON h.id = p.handover_id AND h.undone_by_id IS NULL
     WHERE p.kind IN ('point_fee', 'agent_fee') AND (%(since)s::timestamptz IS NULL OR p.recorded_at >= %(since)s)
       AND (%(settlement)s::bigint IS NULL OR EXISTS (
            SELECT FROM pickup_statementline l JOIN pickup_statement t ON t.id = l.statement_id
            WHERE l.posting_id = p.id AND t.settlement_id = %(settlement)s))
       AND (h.id IS NULL OR NOT EXISTS (
            SELECT FROM pickup_arrival a
            WHERE (a.parcel_id, a.service_point_id) = (h.parcel_id, h.service_point_id)))
       AND NOT EXISTS (SELECT FROM pickup_posting r WHERE r.reverses_id = p.id))
"""


def name_of(account: Account) -> str:
    payee = payee_of(account)
    return f"{payee.name} ({payee.ref})"


def written(amount_minor: int, currency: str) -> str:
    return f"{ledger.written(amount_minor, currency)} {currency}"
