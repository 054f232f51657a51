"""What was earned, by region, level, payee and period; and how the price of one order was split: from the postings.

Fees count on the day they were posted and what was taken back on the day it was reversed, so that a report of a past
period never changes. Payouts are no earnings and are left aside.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Q

from network.models import Agent, Level, Membership, Region, ServicePoint, User
from pickup.models import Account, Order, Posting


class By(StrEnum):
    REGION = "region"
    LEVEL = "level"
    PAYEE = "payee"
    PERIOD = "period"


@dataclass(frozen=True)
class Scope:
    """Whose postings a report is made of: everybody's, or those of own shops and of the own agent only."""

    everything: bool
    accounts: Collection[int] = ()


@dataclass(frozen=True)
class Asked:
    """`level`: of the regions in a report by region. `within`: only parcels for addresses there."""

    by: By
    first: date
    last: date
    level: Level = Level.CITY
    within: Region | None = None


@dataclass(frozen=True)
class Line:
    """One row of a report. `key` is a region's, account's or level's number, or a day; None where there is none.

    `point_minor` and `agents_minor` are fees and adjustments, `taken_back_minor` what was reversed of either.
    """

    key: Any
    currency: str
    pickups: int
    point_minor: int
    agents_minor: int
    taken_back_minor: int

    @property
    def total_minor(self) -> int:
        return self.point_minor + self.agents_minor - self.taken_back_minor


def scope_of(user: User) -> Scope | None:
    """What a person may have reports of; None for whom nobody pays and who may not see postings."""
    if user.is_staff and user.has_perm("pickup.view_posting"):
        return Scope(everything=True)
    points = Membership.objects.filter(user=user, ended_at__isnull=True).values("service_point")
    agents = Agent.objects.filter(user=user).values("pk")
    if not points.exists() and not agents.exists():
        return None
    own = Account.objects.filter(Q(service_point__in=points) | Q(agent__in=agents)).values_list("pk", flat=True)
    return Scope(everything=False, accounts=list(own))


# The payee's side of each posting. One of a payee's own accounts is found by the indexes of accounts and time.
EARNED = """
    SELECT f.id, f.kind, f.handover_id, f.region_id, f.level, f.currency, f.recorded_at, f.amount_minor,
           CASE WHEN f.kind = 'reversal' THEN f.debit_id ELSE f.credit_id END AS account_id,
           CASE WHEN f.kind = 'reversal' THEN f.debit_kind ELSE f.credit_kind END AS payee
    FROM pickup_posting f
    WHERE f.recorded_at >= %(begins)s AND f.recorded_at < %(ends)s
      AND f.kind IN ('point_fee', 'agent_fee', 'adjustment', 'reversal')
      AND (f.kind <> 'reversal' OR f.debit_kind IN ('point', 'agent'))
      AND (%(everything)s OR f.credit_id = ANY (%(accounts)s) OR f.debit_id = ANY (%(accounts)s))
"""
# What a report groups by, and the tables that tell it.
KEYS = {
    By.REGION: ("r.id", "LEFT JOIN network_region r ON r.id = ANY (p.region_ids) AND r.level = %(level)s"),
    By.LEVEL: ("e.level", ""),
    By.PAYEE: ("e.account_id", ""),
    By.PERIOD: ("date_trunc(%(step)s, e.recorded_at AT TIME ZONE %(zone)s)::date", ""),
}


def lines(asked: Asked, scope: Scope, *, limit: int | None = None, offset: int = 0) -> list[Line]:
    """The rows of a report: periods oldest first, everything else the largest sum first."""
    key, joined = KEYS[asked.by]
    order = "1" if asked.by == By.PERIOD else "7 DESC, 1"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {key}, e.currency, COUNT(DISTINCT e.handover_id) FILTER (WHERE e.kind <> 'reversal'),
                   COALESCE(SUM(e.amount_minor) FILTER (WHERE e.payee = 'point' AND e.kind <> 'reversal'), 0),
                   COALESCE(SUM(e.amount_minor) FILTER (WHERE e.payee = 'agent' AND e.kind <> 'reversal'), 0),
                   COALESCE(SUM(e.amount_minor) FILTER (WHERE e.kind = 'reversal'), 0),
                   SUM(CASE e.kind WHEN 'reversal' THEN -e.amount_minor ELSE e.amount_minor END)
            {_source(joined, asked)} GROUP BY 1, 2 ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s""",
            _values(asked, scope) | {"limit": limit, "offset": offset},
        )
        return [Line(row[0], row[1], *map(int, row[2:6])) for row in cursor.fetchall()]


def count(asked: Asked, scope: Scope) -> int:
    key, joined = KEYS[asked.by]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT COUNT(*) FROM (SELECT {key}, e.currency {_source(joined, asked)} GROUP BY 1, 2) g",  # noqa: S608 (only constants of this module)
            _values(asked, scope),
        )
        number: int = cursor.fetchone()[0]
    return number


def sums(asked: Asked, scope: Scope) -> list[Line]:
    """All of a report together, a row for each currency."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT e.currency, COUNT(DISTINCT e.handover_id) FILTER (WHERE e.kind <> 'reversal'),
                   COALESCE(SUM(e.amount_minor) FILTER (WHERE e.payee = 'point' AND e.kind <> 'reversal'), 0),
                   COALESCE(SUM(e.amount_minor) FILTER (WHERE e.payee = 'agent' AND e.kind <> 'reversal'), 0),
                   COALESCE(SUM(e.amount_minor) FILTER (WHERE e.kind = 'reversal'), 0)
            {_source("", asked)} GROUP BY 1 ORDER BY 1""",
            _values(asked, scope),
        )
        return [Line(None, row[0], *map(int, row[1:])) for row in cursor.fetchall()]


def _source(joined: str, asked: Asked) -> str:
    parcels = (
        "LEFT JOIN pickup_handover h ON h.id = e.handover_id LEFT JOIN pickup_parcel p ON p.id = h.parcel_id "
        if joined or asked.within
        else ""
    )
    where = "WHERE p.region_ids @> ARRAY[%(within)s]::bigint[] " if asked.within else ""
    return f"FROM ({EARNED}) e {parcels}{joined} {where}"


def _values(asked: Asked, scope: Scope) -> dict[str, Any]:
    zone = ZoneInfo(settings.TIME_ZONE)
    return {
        "begins": datetime.combine(asked.first, time(), zone),
        "ends": datetime.combine(asked.last + timedelta(days=1), time(), zone),
        "everything": scope.everything,
        "accounts": list(scope.accounts),
        "level": int(asked.level),
        "within": asked.within.pk if asked.within else None,
        "step": step(asked),
        "zone": settings.TIME_ZONE,
    }


def step(asked: Asked) -> str:
    """Short periods by the day, long ones by the month."""
    return "day" if (asked.last - asked.first).days < 62 else "month"


def names(asked: Asked, rows: Sequence[Line]) -> dict[Any, Any]:
    """What the keys of rows are: regions, accounts with their owners, levels or days."""
    keys = [row.key for row in rows if row.key is not None]
    if asked.by == By.REGION:
        return dict(Region.objects.in_bulk(keys))
    if asked.by == By.PAYEE:
        return dict(Account.objects.select_related("service_point", "agent").in_bulk(keys))
    if asked.by == By.LEVEL:
        return {key: Level(key) for key in keys}
    return {key: key for key in keys}


def all_lines(asked: Asked, scope: Scope, *, size: int = 2_000) -> Iterator[tuple[Line, Any]]:
    """Every row with what it is, for a file."""
    rows = lines(asked, scope)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        known = names(asked, part)
        for row in part:
            yield row, known.get(row.key)


# One order


@dataclass(frozen=True)
class Split:
    """How the price of handling one parcel was split. `network_minor` is what no agent was there to get of the cap."""

    barcode: str
    status: str
    currency: str
    point_minor: int
    agents_minor: int
    network_minor: int

    @property
    def price_minor(self) -> int:
        return self.point_minor + self.agents_minor + self.network_minor


def splits(order: Order) -> list[Split]:
    """A row for each parcel of an order whose pickup stands and earned: the flat fee and the cap of the agents are its
    price by the tariff, whatever the goods are worth (R7, R8)."""
    rows = Posting.objects.filter(
        handover__parcel__order=order, handover__undone_by__isnull=True, kind__in=["point_fee", "agent_fee"]
    ).filter(reversal__isnull=True)
    found: dict[int, Split] = {}
    for row in rows.select_related("tariff", "handover__parcel").order_by("id"):
        assert row.handover is not None, "a constraint gives every fee its hand-over"
        assert row.tariff is not None, "and its tariff"
        parcel = row.handover.parcel
        one = found.get(parcel.pk) or Split(
            parcel.barcode, parcel.get_status_display(), row.currency, 0, 0, row.tariff.cap_minor
        )
        is_point = row.kind == Posting.Kind.POINT_FEE
        found[parcel.pk] = Split(
            one.barcode,
            one.status,
            one.currency,
            one.point_minor + (row.amount_minor if is_point else 0),
            one.agents_minor + (0 if is_point else row.amount_minor),
            one.network_minor - (0 if is_point else row.amount_minor),
        )
    return list(found.values())


def owner_of(account: Account) -> ServicePoint | Agent | None:
    return account.service_point or account.agent
