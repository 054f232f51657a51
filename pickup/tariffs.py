"""Tariffs to come: what past pickups would have earned under a draft, and the draft made a version (R7, R8).

A draft is a `Tariff` that is not saved. Nothing of a preview is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from network.models import Level
from pickup.models import Posting, Tariff
from pickup.models.tariffs import CEILINGS

POINT = 0  # the level of a line that belongs to service points and not to agents


@dataclass(frozen=True)
class Line:
    """One kind of payee in one region: what its pickups paid and what they would pay, in minor units.

    `region_id` is None for addresses in no region of the level asked for. `level` is the agents' `Level`, or POINT.
    """

    region_id: int | None
    level: int
    paid_minor: int
    would_minor: int

    @property
    def difference_minor(self) -> int:
        return self.would_minor - self.paid_minor


@dataclass(frozen=True)
class Preview:
    """`pickups` are those that stand and earn; what was undone, rejected or upheld in a dispute is left out."""

    pickups: int
    lines: Sequence[Line]


class BeginsInThePast(Exception):
    """A new version begins later than now: no pickup that happened may change its price."""


# Pickups are counted for each region chain and each stretch of time in which neither an appointment nor a tariff
# changed: within one, all pickups of a chain earn the same, so the rule is worked out once for each and not for each
# pickup. What was paid comes from the ledger, fees less reversals.
PREVIEW = """
WITH chosen AS MATERIALIZED (
    SELECT id FROM network_region WHERE level = %(level)s
), moments AS MATERIALIZED (
    SELECT COALESCE(array_agg(DISTINCT moment), '{}') AS sorted FROM (
        SELECT lower(valid) AS moment FROM network_appointment
        UNION ALL SELECT upper(valid) FROM network_appointment
        UNION ALL SELECT valid_from FROM pickup_tariff
    ) m WHERE moment > %(first)s AND moment < %(end)s
), void AS MATERIALIZED (
    SELECT h.parcel_id FROM pickup_manualrelease m JOIN pickup_handover h ON h.id = m.handover_id
    WHERE h.undone_by_id IS NULL AND m.decision <> 'approved'
    UNION ALL
    SELECT h.parcel_id FROM pickup_dispute d JOIN pickup_handover h ON h.id = d.handover_id
    WHERE h.undone_by_id IS NULL AND d.outcome = 'upheld'
), counted AS MATERIALIZED (
    SELECT p.region_ids, width_bucket(p.collected_at, (SELECT sorted FROM moments)) AS stretch,
           min(p.collected_at) AS at, count(*) AS pickups
    FROM pickup_parcel p
    WHERE p.status = 'collected' AND p.collected_at >= %(first)s AND p.collected_at < %(end)s
      AND p.id NOT IN (SELECT parcel_id FROM void)
    GROUP BY 1, 2
), groups AS MATERIALIZED (
    SELECT row_number() OVER () AS id, c.* FROM counted c
    WHERE (SELECT t.currency FROM pickup_tariff t WHERE t.valid_from <= c.at ORDER BY t.valid_from DESC LIMIT 1)
        = %(currency)s
), chains AS MATERIALIZED (
    SELECT DISTINCT region_ids FROM groups
), seats AS MATERIALIZED (
    SELECT c.region_ids, a.valid, r.level, chain.place,
           LEAST(%(cap)s, CASE r.level WHEN 1 THEN %(macro)s WHEN 2 THEN %(province)s WHEN 3 THEN %(city)s
                                       WHEN 4 THEN %(district)s WHEN 5 THEN %(custom)s END) AS up_to
    FROM chains c CROSS JOIN LATERAL unnest(c.region_ids) WITH ORDINALITY AS chain(region_id, place)
    JOIN network_region r ON r.id = chain.region_id
    JOIN network_appointment a ON a.region_id = r.id AND a.valid && tstzrange(%(first)s, %(end)s)
), parts AS (
    SELECT g.region_ids, s.level, g.pickups * GREATEST(0, s.up_to - COALESCE(MAX(s.up_to) OVER (
               PARTITION BY g.id ORDER BY s.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)) AS amount
    FROM groups g JOIN seats s ON s.region_ids = g.region_ids AND s.valid @> g.at
), would AS (
    SELECT region_ids, level::int, SUM(amount) AS amount FROM parts GROUP BY 1, 2
    UNION ALL
    SELECT region_ids, 0, SUM(pickups) * %(point_fee)s FROM groups GROUP BY 1
), paid AS (
    SELECT p.region_ids, COALESCE(f.level, 0)::int AS level,
           SUM(CASE f.kind WHEN 'reversal' THEN -f.amount_minor ELSE f.amount_minor END) AS amount
    FROM pickup_posting f
    JOIN pickup_handover h ON h.id = f.handover_id AND h.undone_by_id IS NULL
    JOIN pickup_parcel p ON p.id = h.parcel_id
    WHERE f.kind IN ('point_fee', 'agent_fee', 'reversal') AND f.currency = %(currency)s
      AND p.status = 'collected' AND p.collected_at >= %(first)s AND p.collected_at < %(end)s
    GROUP BY 1, 2
), told AS (
    SELECT region_ids, level, 0::numeric AS paid, amount AS would FROM would
    UNION ALL SELECT region_ids, level, amount, 0 FROM paid
), placed AS MATERIALIZED (
    SELECT region_ids, (SELECT r FROM unnest(region_ids) WITH ORDINALITY AS u(r, place)
                        WHERE r IN (SELECT id FROM chosen) ORDER BY place LIMIT 1) AS region_id
    FROM (SELECT DISTINCT region_ids FROM told) chain
)
SELECT placed.region_id, told.level, SUM(told.paid)::bigint, SUM(told.would)::bigint,
       (SELECT COALESCE(SUM(pickups), 0) FROM groups)::bigint
FROM told JOIN placed ON placed.region_ids = told.region_ids
GROUP BY 1, 2 HAVING SUM(told.paid) <> 0 OR SUM(told.would) <> 0
ORDER BY 1, 2
"""


def preview(draft: Tariff, *, first: datetime, end: datetime, level: Level) -> Preview:
    """Tell what the pickups from `first` until before `end` paid, and would have paid under the draft.

    By the region of the delivery address at a level and by kind of payee; the appointments are those of each pickup's
    moment. Pickups that were paid in another currency are left out.
    """
    parameters = {
        "first": first,
        "end": end,
        "level": level,
        "currency": draft.currency,
        "point_fee": draft.point_fee_minor,
        "cap": draft.cap_minor,
        **{name.removesuffix("_minor"): getattr(draft, name) for name in CEILINGS},
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '60s'")
        cursor.execute("SET LOCAL work_mem = '64MB'")  # a month's pickups are joined without going to the disk
        cursor.execute(PREVIEW, parameters)
        rows = cursor.fetchall()
    lines = [Line(region_id, line_level, paid, would) for region_id, line_level, paid, would, _ in rows]
    return Preview(rows[0][4] if rows else 0, lines)


def versions() -> list[Tariff]:
    """All tariffs, newest first; `used` tells whether one has paid anybody and is frozen."""
    used = Posting.objects.filter(tariff=OuterRef("pk"))
    return list(Tariff.objects.annotate(used=Exists(used)).order_by("-valid_from"))


def add(draft: Tariff, *, now: datetime) -> Tariff:
    """Make the draft a version from its date on. Raises BeginsInThePast and what the constraints refuse."""
    if draft.valid_from <= now:
        raise BeginsInThePast(draft.valid_from.isoformat())
    with transaction.atomic():
        draft.save(force_insert=True)
    return draft
