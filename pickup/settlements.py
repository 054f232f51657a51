"""Closing a month: each payable posting goes into exactly one line of one statement (R11)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from pickup.models import Settlement, Statement

MONTHS_AT_ONCE = 24


class BadPeriod(ValueError):
    """Not YYYY-MM, or a month that is not over yet."""


def end_of(period: str) -> datetime:
    """Return the first moment after a month in the network's time zone."""
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", period, re.ASCII):
        raise BadPeriod(f"{period}: a period is YYYY-MM")
    year, month = int(period[:4]), int(period[5:])
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=ZoneInfo(settings.TIME_ZONE))


CLAIM = """
WITH payable AS (
    -- A posting has the network on one side and a payee on the other; the amount gets the payee's sign. A fee that was
    -- given back counts with its reversal, whenever that came.
    SELECT p.id AS posting_id,
           CASE WHEN p.credit_kind = 'network' THEN p.debit_id ELSE p.credit_id END AS account_id,
           CASE WHEN p.credit_kind = 'network' THEN -p.amount_minor ELSE p.amount_minor END AS amount_minor
    FROM payable_postings(%(now)s) p
    WHERE p.currency = %(currency)s
      AND CASE WHEN p.reverses_id IS NULL THEN p.recorded_at
               ELSE (SELECT f.recorded_at FROM pickup_posting f WHERE f.id = p.reverses_id) END < %(end)s
      AND NOT EXISTS (SELECT FROM pickup_statementline l WHERE l.posting_id = p.id)
), before AS (
    -- What each payee's earlier statements come to, what was paid of them, and whether the last one was a debt.
    SELECT s.account_id, SUM(s.total_minor - s.carried_minor)::bigint AS settled,
           (array_agg(s.total_minor ORDER BY s.id DESC))[1] AS last_total,
           (SELECT COALESCE(SUM(CASE WHEN o.kind = 'payout' THEN o.amount_minor ELSE -o.amount_minor END), 0)::bigint
            FROM pickup_posting o
            WHERE o.kind = 'payout' AND o.debit_id = s.account_id
               OR o.debit_kind = 'bank' AND o.credit_id = s.account_id) AS paid
    FROM pickup_statement s JOIN pickup_account a ON a.id = s.account_id AND a.currency = %(currency)s
    GROUP BY s.account_id
), made AS (
    INSERT INTO pickup_statement (settlement_id, account_id, opening_minor, carried_minor, total_minor)
    SELECT %(settlement)s, account_id, opening, carried, carried + earned FROM (
        SELECT COALESCE(p.account_id, b.account_id) AS account_id, COALESCE(p.earned, 0) AS earned,
               COALESCE(b.settled - b.paid, 0) AS opening, LEAST(COALESCE(b.last_total, 0), 0) AS carried
        FROM (SELECT account_id, SUM(amount_minor)::bigint AS earned FROM payable GROUP BY account_id) p
        FULL JOIN before b ON b.account_id = p.account_id
        WHERE p.account_id IS NOT NULL OR b.last_total < 0
    ) due
    RETURNING id, account_id
)
INSERT INTO pickup_statementline (posting_id, statement_id, amount_minor)
SELECT p.posting_id, m.id, p.amount_minor FROM payable p JOIN made m ON m.account_id = p.account_id
"""


def close_period(*, period: str, now: datetime, currency: str) -> Settlement:
    """Close a month once: twice, at the same time or after a crash it changes nothing.

    A posting is claimed by its key, not by a time window: what was recorded before the month's end and is payable
    by now goes in, what commits later goes into the next one. A negative total is carried over. Raises BadPeriod.
    """
    end = end_of(period)
    if end > now:
        raise BadPeriod(f"{period} is not over yet")
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('settlement'))")
        settlement, created = Settlement.objects.get_or_create(
            period=period, currency=currency, defaults={"closed_at": now}
        )
        if created:
            cursor.execute("SET LOCAL statement_timeout = 0")
            parameters: dict[str, Any] = {"settlement": settlement.pk, "end": end, "now": now, "currency": currency}
            cursor.execute(CLAIM, parameters)
    return settlement


def close_due(*, now: datetime) -> int:
    """Close each month that is over, long enough for its last fee to have become payable, and that has postings.

    Returns how many were closed. Whoever wants a month earlier says `close_period`.
    """
    closed = 0
    for currency, last_payable, period in _unclosed():
        if end_of(period) <= now and last_payable <= now:
            closed += _is_new(period, currency)
            close_period(period=period, now=now, currency=currency)
    return closed


def _is_new(period: str, currency: str) -> bool:
    return not Settlement.objects.filter(period=period, currency=currency).exists()


def _unclosed() -> list[tuple[str, datetime, str]]:
    """The months that have postings and no settlement, oldest first: currency, when the last fee is payable, period."""
    with connection.cursor() as cursor:
        cursor.execute(MONTHS, {"zone": settings.TIME_ZONE, "months": MONTHS_AT_ONCE})
        return [(currency, last, period) for currency, last, period in cursor.fetchall()]


# The months from the last closed one on, or from the first posting; no scan over all that was ever posted.
MONTHS = """
SELECT c.currency, (m.month + interval '1 month') AT TIME ZONE %(zone)s + make_interval(hours => c.hours),
       to_char(m.month, 'YYYY-MM')
FROM (
    SELECT a.currency, (SELECT MAX(s.period) FROM pickup_settlement s WHERE s.currency = a.currency) AS closed,
           (SELECT p.recorded_at FROM pickup_posting p WHERE p.currency = a.currency ORDER BY p.id LIMIT 1) AS first_at,
           (SELECT MAX(t.payable_after_hours)::int FROM pickup_tariff t WHERE t.currency = a.currency) AS hours
    FROM (SELECT DISTINCT currency FROM pickup_account WHERE kind = 'network') a
) c
CROSS JOIN LATERAL generate_series(
    COALESCE(to_date(c.closed, 'YYYY-MM') + interval '1 month', date_trunc('month', c.first_at AT TIME ZONE %(zone)s)),
    (clock_timestamp() AT TIME ZONE %(zone)s), interval '1 month') AS m(month)
WHERE c.first_at IS NOT NULL
ORDER BY m.month, c.currency LIMIT %(months)s
"""


def totals(settlement: Settlement) -> list[tuple[Statement, int]]:
    """Return each statement of a settlement with its total, largest first."""
    statements = Statement.objects.filter(settlement=settlement).select_related(
        "account__service_point", "account__agent"
    )
    return [(statement, statement.total_minor) for statement in statements.order_by("-total_minor", "id")]
