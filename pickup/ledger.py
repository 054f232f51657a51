"""The ledger: post, reverse, balance. Fees of a hand-over are posted by the database function `charge_pickups`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Case, Count, F, Q, QuerySet, Sum, When
from django.db.models.functions import TruncDate

from network.models import Agent, Level, ServicePoint
from pickup.models import Account, Arrival, Dispute, Handover, Hold, Parcel, Posting, Scan, Statement

FEES = (Posting.Kind.POINT_FEE, Posting.Kind.AGENT_FEE)


@dataclass(frozen=True)
class Fault:
    """Something in the books that must not be; `where` names the row."""

    rule: str
    where: str


def reverse(posting: Posting, *, reason: str) -> Posting:
    """Give back one posting, whole. The database refuses a second reversal of the same one (IntegrityError)."""
    assert connection.in_atomic_block, "reverse() is a building block: the use case opens the transaction"
    return Posting.objects.create(
        key=f"reversal:{posting.key}",
        kind=Posting.Kind.REVERSAL,
        debit_id=posting.credit_id,
        debit_kind=posting.credit_kind,
        credit_id=posting.debit_id,
        credit_kind=posting.debit_kind,
        amount_minor=posting.amount_minor,
        currency=posting.currency,
        handover_id=posting.handover_id,
        tariff_id=posting.tariff_id,
        region_id=posting.region_id,
        level=posting.level,
        appointment_id=posting.appointment_id,
        reverses=posting,
        reason=reason,
        payable_at=posting.payable_at,
    )


def account_of(kind: Account.Kind, *, currency: str, owner_id: int | None = None) -> Account:
    """The account of the network, of the bank, or of a payee by its number; made when it is first needed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT account_of(%s, %s, %s)", [kind.value, owner_id, currency])
        [number] = cursor.fetchone()
    return Account.objects.get(pk=number)


def balance_minor(account: Account) -> int:
    """What the account has been credited less what it has been debited, in minor units: always a sum, never stored."""
    sums = Posting.objects.filter(Q(credit=account) | Q(debit=account)).aggregate(
        credited=Sum("amount_minor", filter=Q(credit=account), default=0),
        debited=Sum("amount_minor", filter=Q(debit=account), default=0),
    )
    return int(sums["credited"] - sums["debited"])


def postings_of(parcel: Parcel) -> Iterable[Posting]:
    """All postings that this parcel caused, oldest first, with what a reader wants to know of them."""
    return (
        Posting.objects.filter(handover__parcel=parcel)
        .select_related("tariff", "region", "appointment__agent", "handover__service_point", "reverses")
        .order_by("id")
    )


def earned_today_minor(service_point_id: int) -> int:
    """What a point earned since midnight in the network's time zone, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT earned_since(%s, date_trunc('day', clock_timestamp(), %s))",
            [service_point_id, settings.TIME_ZONE],
        )
        total: int = cursor.fetchone()[0]
    return int(total)


def earnings(point: ServicePoint, *, first: date, last: date) -> list[dict[str, Any]]:
    """A point's postings from the first to the last day, both included, in the network's time zone.

    Each line: day, barcode, kind, amount_minor with the point's sign, currency, recorded_at.
    """
    zone = ZoneInfo(settings.TIME_ZONE)
    own = list(Account.objects.filter(service_point=point).values_list("pk", flat=True))
    rows = (
        Posting.objects.filter(
            Q(credit__in=own) | Q(debit__in=own),
            recorded_at__gte=datetime.combine(first, time(), zone),
            recorded_at__lt=datetime.combine(last + timedelta(days=1), time(), zone),
        )
        .select_related("handover__parcel")
        .order_by("id")
    )
    return [
        {
            "day": row.recorded_at.astimezone(zone).date(),
            "barcode": row.handover.parcel.barcode if row.handover else "",
            "kind": row.kind,
            "amount_minor": row.amount_minor if row.credit_kind == Account.Kind.POINT else -row.amount_minor,
            "currency": row.currency,
            "recorded_at": row.recorded_at,
        }
        for row in rows
    ]


Payee = ServicePoint | Agent


@dataclass(frozen=True)
class Earned:
    """What came to a payee in one currency: the fees and adjustments less what was taken back, payouts left aside.

    `pickups` counts the fees, `taken_back` those of them or of earlier days that were reversed. `region_id` and
    `level` are those an agent's fees were for, None where adjustments stand.
    """

    currency: str
    amount_minor: int
    pickups: int
    taken_back: int
    day: date | None = None
    region_id: int | None = None
    level: Level | None = None


def _owned_by(payee: Payee) -> Q:
    return Q(service_point=payee) if isinstance(payee, ServicePoint) else Q(agent=payee)


def earned_by(payee: Payee) -> QuerySet[Posting]:
    """A payee's earnings, one posting each, with `signed_minor` as the payee sees it."""
    own = list(Account.objects.filter(_owned_by(payee)).values_list("pk", flat=True))
    came = Q(credit__in=own, kind__in=[*FEES, Posting.Kind.ADJUSTMENT])
    went = Q(debit__in=own, kind=Posting.Kind.REVERSAL)
    return Posting.objects.filter(came | went).annotate(
        signed_minor=Case(When(credit__in=own, then=F("amount_minor")), default=-F("amount_minor"))
    )


def between(rows: QuerySet[Posting], *, first: date, last: date) -> QuerySet[Posting]:
    """Postings from the first to the last day, both included, in the network's time zone."""
    zone = ZoneInfo(settings.TIME_ZONE)
    return rows.filter(
        recorded_at__gte=datetime.combine(first, time(), zone),
        recorded_at__lt=datetime.combine(last + timedelta(days=1), time(), zone),
    )


def _numbers(within: Q | None = None) -> dict[str, Any]:
    """The sums of a group of postings that `earned_by` gave, of all or of those within a time."""
    kinds = {"pickups": FEES, "taken_back": (Posting.Kind.REVERSAL,)}
    counts = {name: Count("id", filter=Q(kind__in=some) & (within or Q())) for name, some in kinds.items()}
    return {"total_minor": Sum("signed_minor", filter=within, default=0), **counts}


def earned_in(payee: Payee, periods: Mapping[str, tuple[date, date]]) -> dict[str, list[Earned]]:
    """What a payee earned in each of the named periods, by currency, in one statement. Empty where nothing came."""
    zone = ZoneInfo(settings.TIME_ZONE)
    numbers: dict[str, Any] = {}
    for name, (first, last) in periods.items():
        within = Q(
            recorded_at__gte=datetime.combine(first, time(), zone),
            recorded_at__lt=datetime.combine(last + timedelta(days=1), time(), zone),
        )
        numbers |= {f"{name}_{key}": number for key, number in _numbers(within).items()}
    first, last = min(first for first, _ in periods.values()), max(last for _, last in periods.values())
    rows: Any = between(earned_by(payee), first=first, last=last).values("currency")
    rows = list(rows.annotate(**numbers).order_by("currency"))
    return {
        name: [
            Earned(row["currency"], row[f"{name}_total_minor"], row[f"{name}_pickups"], row[f"{name}_taken_back"])
            for row in rows
            if row[f"{name}_pickups"] or row[f"{name}_taken_back"] or row[f"{name}_total_minor"]
        ]
        for name in periods
    }


def earned_by_day(payee: Payee, *, first: date, last: date) -> list[Earned]:
    """What a payee earned on each day that something was posted, newest first, a row for each currency."""
    day = TruncDate("recorded_at", tzinfo=ZoneInfo(settings.TIME_ZONE))
    rows: Any = between(earned_by(payee), first=first, last=last).annotate(day=day).values("day", "currency")
    rows = rows.annotate(**_numbers()).order_by("-day", "currency")
    return [Earned(row["currency"], row["total_minor"], row["pickups"], row["taken_back"], row["day"]) for row in rows]


def earned_by_region(agent: Agent, *, first: date, last: date) -> list[Earned]:
    """What an agent earned for each region, as it was paid then, the deepest level first."""
    rows: Any = between(earned_by(agent), first=first, last=last).values("region_id", "level", "currency")
    rows = rows.annotate(**_numbers()).order_by(F("level").desc(nulls_last=True), "region_id", "currency")
    return [
        Earned(
            row["currency"],
            row["total_minor"],
            row["pickups"],
            row["taken_back"],
            region_id=row["region_id"],
            level=None if row["level"] is None else Level(row["level"]),
        )
        for row in rows
    ]


def with_causes(rows: QuerySet[Posting]) -> QuerySet[Posting]:
    """Postings with what a line shows of each: the parcel, what took it back, and its statement if it has one."""
    return rows.select_related(
        "handover__parcel", "handover__hold", "reversal", "region", "line__statement__settlement"
    ).defer("handover__hold__evidence")


def statements_of(payee: Payee) -> QuerySet[Statement]:
    """A payee's statements of closed periods, newest first, with how many lines each has."""
    return (
        Statement.objects.filter(account__in=Account.objects.filter(_owned_by(payee)))
        .select_related("settlement", "account")
        .annotate(line_count=Count("lines"))
        .order_by("-settlement__period", "settlement__currency")
    )


def is_held(handover: Handover) -> bool:
    """Whether its fees wait for a person who looks into it."""
    hold: Hold | None = getattr(handover, "hold", None)
    return hold is not None and not hold.decision


@dataclass(frozen=True)
class Why:
    """One posting of a point and all that made it: "why this fee?". The postings of others are not in it."""

    posting: Posting
    amount_minor: int  # with the point's sign
    parcel: Parcel | None
    arrival: Scan | None
    pickup: Scan | None
    undo: Scan | None
    reversal: Posting | None  # what took it back
    dispute: Dispute | None
    is_held: bool  # it is under review; the shop is not told by which rules
    statement: Statement | None


def why(point: ServicePoint, posting_id: int) -> Why | None:
    """Tell why a point has a posting; None where it is not the point's."""
    posting = (
        Posting.objects.filter(Q(credit__service_point=point) | Q(debit__service_point=point), pk=posting_id)
        .select_related(
            "credit",
            "tariff",
            "reverses",
            "reversal",
            "line__statement__settlement",
            "handover__parcel__order__recipient",
            "handover__scan__clerk",
            "handover__scan__device",
            "handover__undone_by__clerk",
            "handover__undone_by__device",
            "handover__dispute",
            "handover__hold",
            "handover__release",
        )
        .first()
    )
    if posting is None:
        return None
    handover = posting.handover
    arrival = (
        Arrival.objects.filter(parcel=handover.parcel_id, service_point=handover.service_point_id)
        .select_related("scan__clerk", "scan__device")
        .first()
        if handover
        else None
    )
    line = getattr(posting, "line", None)
    return Why(
        posting=posting,
        amount_minor=posting.amount_minor if posting.credit.service_point_id == point.pk else -posting.amount_minor,
        parcel=handover.parcel if handover else None,
        arrival=arrival.scan if arrival else None,
        pickup=handover.scan if handover else None,
        undo=handover.undone_by if handover else None,
        reversal=getattr(posting, "reversal", None),
        dispute=getattr(handover, "dispute", None),
        is_held=handover is not None and is_held(handover),
        statement=line.statement if line else None,
    )


def faults() -> list[Fault]:
    """Look for what the constraints should have made impossible: an audit that does not trust them.

    I3, I4 and I6 of PROMISES: every live hand-over has its collected parcel, its arrival and exactly one flat fee
    of the tariff in force, agents stay under the cap, reversals mirror, statements add up. (I15, the zero sum, needs
    no look: one posting is one amount from one account to another.)
    """
    with connection.cursor() as cursor:
        cursor.execute(AUDIT)
        return [Fault(rule, where) for rule, where in cursor.fetchall()]


AUDIT = """
    SELECT 'parcel is collected without a live hand-over', p.barcode FROM pickup_parcel p
    WHERE p.status = 'collected'
      AND NOT EXISTS (SELECT FROM pickup_handover h WHERE h.parcel_id = p.id AND h.undone_by_id IS NULL)
  UNION ALL
    SELECT 'live hand-over of a parcel that is not collected', p.barcode
    FROM pickup_handover h JOIN pickup_parcel p ON p.id = h.parcel_id
    WHERE h.undone_by_id IS NULL AND p.status <> 'collected'
  UNION ALL
    SELECT 'hand-over without arrival at its point', h.id::text FROM pickup_handover h
    WHERE NOT EXISTS (SELECT FROM pickup_arrival a
                      WHERE (a.parcel_id, a.service_point_id) = (h.parcel_id, h.service_point_id))
  UNION ALL
    SELECT 'hand-over without exactly one flat fee of its tariff', h.id::text
    FROM pickup_handover h JOIN pickup_scan s ON s.id = h.scan_id JOIN pickup_parcel p ON p.id = h.parcel_id
    LEFT JOIN pickup_posting f ON f.handover_id = h.id AND f.kind = 'point_fee'
    LEFT JOIN pickup_manualrelease m ON m.handover_id = h.id
    -- Charged at the moment that the parcel keeps while the pickup stands. Of another one only the scan is left, which
    -- was recorded later in the same transaction: a tariff may have begun in between.
    CROSS JOIN LATERAL (SELECT COALESCE(p.collected_at, s.recorded_at) AS at, interval '0' AS doubt
                        WHERE h.undone_by_id IS NULL AND s.proof <> 'manual'
                        UNION ALL SELECT s.recorded_at, interval '10 s'
                        WHERE h.undone_by_id IS NOT NULL OR s.proof = 'manual') c
    LEFT JOIN LATERAL (
        SELECT * FROM pickup_tariff v
        WHERE v.valid_from <= c.at AND NOT EXISTS (
            SELECT FROM pickup_tariff n WHERE n.valid_from > v.valid_from AND n.valid_from <= c.at - c.doubt)
        ORDER BY (v.id = f.tariff_id) IS TRUE DESC, v.valid_from DESC LIMIT 1) t ON true
    GROUP BY h.id, t.id, t.point_fee_minor, s.proof, m.decision
    HAVING t.id IS NULL OR MAX(f.amount_minor) <> t.point_fee_minor
        OR (s.proof = 'manual') <> (m.decision IS NOT NULL)
        -- A release without a proof earns nothing until it is approved; one that was undone before never does.
        OR COUNT(f.id) NOT BETWEEN CASE WHEN t.point_fee_minor > 0 AND s.proof <> 'manual' THEN 1 ELSE 0 END
            AND CASE WHEN t.point_fee_minor > 0 AND COALESCE(m.decision, 'approved') = 'approved' THEN 1 ELSE 0 END
  UNION ALL
    SELECT 'approved release that stands and was not paid', h.id::text
    FROM pickup_manualrelease m JOIN pickup_handover h ON h.id = m.handover_id JOIN pickup_scan s ON s.id = h.scan_id
    WHERE m.decision = 'approved' AND h.undone_by_id IS NULL
      AND NOT EXISTS (SELECT FROM pickup_posting f WHERE f.handover_id = h.id)
      AND (SELECT t.point_fee_minor FROM pickup_tariff t WHERE t.valid_from <= s.recorded_at
           ORDER BY t.valid_from DESC LIMIT 1) > 0
  UNION ALL
    SELECT 'flat fee of another shop', f.key
    FROM pickup_posting f JOIN pickup_handover h ON h.id = f.handover_id JOIN pickup_account a ON a.id = f.credit_id
    WHERE f.kind = 'point_fee' AND a.service_point_id <> h.service_point_id
  UNION ALL
    SELECT 'agents of one hand-over got more than the cap', f.handover_id::text
    FROM pickup_posting f JOIN pickup_tariff t ON t.id = f.tariff_id
    WHERE f.kind = 'agent_fee' GROUP BY f.handover_id, t.id HAVING SUM(f.amount_minor) > t.cap_minor
  UNION ALL
    SELECT 'live fee of an undone hand-over', f.key
    FROM pickup_posting f JOIN pickup_handover h ON h.id = f.handover_id
    WHERE f.kind IN ('point_fee', 'agent_fee') AND h.undone_by_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM pickup_posting r WHERE r.reverses_id = f.id)
  UNION ALL
    SELECT 'live fee of a pickup that was rightly contested', f.key
    FROM pickup_posting f JOIN pickup_dispute d ON d.handover_id = f.handover_id AND d.outcome = 'upheld'
    WHERE f.kind IN ('point_fee', 'agent_fee')
      AND NOT EXISTS (SELECT FROM pickup_posting r WHERE r.reverses_id = f.id)
  UNION ALL
    SELECT 'live fee of a pickup that was held and reversed', f.key
    FROM pickup_posting f JOIN pickup_hold d ON d.handover_id = f.handover_id AND d.decision = 'reversed'
    WHERE f.kind IN ('point_fee', 'agent_fee')
      AND NOT EXISTS (SELECT FROM pickup_posting r WHERE r.reverses_id = f.id)
  UNION ALL
    SELECT 'reversal that does not mirror its posting', r.key
    FROM pickup_posting r JOIN pickup_posting f ON f.id = r.reverses_id
    WHERE (r.debit_id, r.credit_id, r.amount_minor, r.currency)
       <> (f.credit_id, f.debit_id, f.amount_minor, f.currency)
  UNION ALL
    SELECT 'posting outside its account''s currency or kind', p.key
    FROM pickup_posting p JOIN pickup_account d ON d.id = p.debit_id JOIN pickup_account c ON c.id = p.credit_id
    WHERE (p.currency, p.currency, p.debit_kind, p.credit_kind) <> (d.currency, c.currency, d.kind, c.kind)
  UNION ALL
    SELECT 'posting without a paper that two people signed', p.key FROM pickup_posting p
    WHERE p.kind = 'adjustment' AND NOT EXISTS (
            SELECT FROM pickup_adjustment a
            WHERE p.key = 'adjustment:' || a.id AND a.decision = 'approved' AND a.decided_by_id <> a.made_by_id
              AND (a.account_id, a.amount_minor, a.reason) = (p.credit_id, p.amount_minor, p.reason))
       OR p.kind = 'payout' AND NOT EXISTS (
            SELECT FROM pickup_payout o JOIN pickup_payoutbatch b ON b.id = o.batch_id
            WHERE o.posting_id = p.id AND b.decision = 'approved' AND b.decided_by_id <> b.made_by_id
              AND (o.account_id, o.amount_minor) = (p.debit_id, p.amount_minor))
  UNION ALL
    SELECT 'payout that came back and does not say so', p.key
    FROM pickup_posting p JOIN pickup_posting f ON f.id = p.reverses_id AND f.kind = 'payout'
    LEFT JOIN pickup_payout o ON o.posting_id = f.id AND o.state = 'failed' WHERE o.id IS NULL
  UNION ALL
    SELECT 'payout in another state than the last of its steps', o.end_to_end_id FROM pickup_payout o
    WHERE o.state IS DISTINCT FROM (
        SELECT s.after FROM pickup_payoutstep s WHERE s.payout_id = o.id ORDER BY s.id DESC LIMIT 1)
  UNION ALL
    SELECT 'payout of something else than its statement owes', o.end_to_end_id
    FROM pickup_payout o JOIN pickup_statement s ON s.id = o.statement_id
    WHERE (o.account_id, o.amount_minor) <> (s.account_id, s.total_minor)
  UNION ALL
    SELECT 'statement line that is not its posting', l.posting_id::text
    FROM pickup_statementline l JOIN pickup_posting p ON p.id = l.posting_id
    JOIN pickup_statement s ON s.id = l.statement_id
    WHERE l.amount_minor <> CASE s.account_id WHEN p.credit_id THEN p.amount_minor
                                              WHEN p.debit_id THEN -p.amount_minor ELSE 0 END
  UNION ALL
    SELECT 'statement whose lines do not add up', s.id::text
    FROM pickup_statement s LEFT JOIN pickup_statementline l ON l.statement_id = s.id
    GROUP BY s.id HAVING s.total_minor <> s.carried_minor + COALESCE(SUM(l.amount_minor), 0)
"""


# Digits after the point by ISO 4217, where they are not two.
MINOR_DIGITS = dict.fromkeys(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)


def minor_digits(currency: str) -> int:
    return MINOR_DIGITS.get(currency, 2)


def written(amount_minor: int, currency: str) -> str:
    """An amount as people write it, without the currency's name: 123456 fen are 1,234.56."""
    digits = minor_digits(currency)
    whole, part = divmod(abs(amount_minor), 10**digits)
    sign = "−" if amount_minor < 0 else ""
    return f"{sign}{whole:,}" + (f".{part:0{digits}d}" if digits else "")


def exact(amount_minor: int, currency: str) -> Decimal:
    """An amount as a number for a spreadsheet's cell."""
    return Decimal(plain(amount_minor, currency))


def plain(amount_minor: int, currency: str) -> str:
    """An amount for a spreadsheet: 123456 fen are 1234.56, less than nothing is -1.00."""
    digits = MINOR_DIGITS.get(currency, 2)
    whole, part = divmod(abs(amount_minor), 10**digits)
    return f"{'-' if amount_minor < 0 else ''}{whole}" + (f".{part:0{digits}d}" if digits else "")
