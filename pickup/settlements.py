"""Closing a month: each payable posting goes into exactly one line of one statement (R11)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from pickup.models import Settlement, Statement


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
    -- Each side of a posting that belongs to a payee, with the payee's sign. A fee that was given back counts with
    -- its reversal, whenever that came.
    SELECT p.id AS posting_id, a.id AS account_id,
           CASE WHEN p.credit_id = a.id THEN p.amount_minor ELSE -p.amount_minor END AS amount_minor
    FROM pickup_posting p
    JOIN pickup_account a ON a.id IN (p.credit_id, p.debit_id) AND a.kind IN ('point', 'agent')
    LEFT JOIN pickup_posting reversed ON reversed.id = p.reverses_id
    WHERE COALESCE(reversed.recorded_at, p.recorded_at) < %(end)s AND p.payable_at <= %(now)s
      AND p.kind <> 'payout' AND p.currency = %(currency)s
      AND NOT EXISTS (SELECT FROM pickup_statementline l WHERE l.posting_id = p.id)
      -- "I did not collect this": while that is open nothing of the pickup is settled, and nothing ever if it is
      -- upheld; only a fee that a statement has paid already comes back, with its reversal.
      AND NOT EXISTS (
          SELECT FROM pickup_contested d -- a dispute or a hold
          WHERE d.handover_id = p.handover_id
            AND (d.outcome = '' OR (d.outcome = 'upheld' AND NOT EXISTS (
                SELECT FROM pickup_statementline l WHERE l.posting_id = COALESCE(p.reverses_id, p.id)))))
), last AS (
    SELECT DISTINCT ON (s.account_id) s.account_id, s.total_minor FROM pickup_statement s
    JOIN pickup_account a ON a.id = s.account_id AND a.currency = %(currency)s
    ORDER BY s.account_id, s.id DESC
), made AS (
    INSERT INTO pickup_statement (settlement_id, account_id, carried_minor, total_minor)
    SELECT %(settlement)s, account_id, carried, carried + earned FROM (
        SELECT COALESCE(p.account_id, l.account_id) AS account_id, COALESCE(p.earned, 0) AS earned,
               LEAST(COALESCE(l.total_minor, 0), 0) AS carried
        FROM (SELECT account_id, SUM(amount_minor) AS earned FROM payable GROUP BY account_id) p
        FULL JOIN (SELECT * FROM last WHERE total_minor < 0) l ON l.account_id = p.account_id
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


def totals(settlement: Settlement) -> list[tuple[Statement, int]]:
    """Return each statement of a settlement with its total, largest first."""
    statements = Statement.objects.filter(settlement=settlement).select_related(
        "account__service_point", "account__agent"
    )
    return [(statement, statement.total_minor) for statement in statements.order_by("-total_minor", "id")]
