"""Pickups previewed a second under a draft tariff, beside one plain sum of what the same pickups were paid."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from statistics import median

from django.db import connection

from network.models import Level
from pickup import tariffs
from pickup.models import Tariff
from tests.benchmarks import scene

FIRST = datetime(2026, 5, 1, tzinfo=UTC)
END = FIRST + timedelta(days=31)

# The limit: what anybody would write to learn what a month paid, by kind and region.
PLAIN = """
SELECT f.level, p.region_ids[1], SUM(f.amount_minor), COUNT(*)
FROM pickup_posting f JOIN pickup_handover h ON h.id = f.handover_id AND h.undone_by_id IS NULL
JOIN pickup_parcel p ON p.id = h.parcel_id AND p.collected_at >= %s AND p.collected_at < %s
GROUP BY 1, 2
"""

# 1 macro-region, 10 provinces, 100 cities and 1,000 districts; most are held, and some change hands in the month.
REGIONS = """
WITH made AS (
    SELECT 1 AS level, 'M' AS code, NULL AS parent, 'M' AS path
    UNION ALL SELECT 2, 'P' || n, 'M', 'M.P' || n FROM generate_series(0, 9) n
    UNION ALL SELECT 3, 'C' || n, 'P' || n / 10, 'M.P' || n / 10 || '.C' || n FROM generate_series(0, 99) n
    UNION ALL SELECT 4, 'D' || n, 'C' || n / 10, 'M.P' || n / 100 || '.C' || n / 10 || '.D' || n
    FROM generate_series(0, 999) n
)
INSERT INTO network_region (code, name, level, path, parent_id)
SELECT code, code, level, path, (SELECT id FROM network_region WHERE code = parent) FROM made WHERE level = %s
"""
AGENTS = "INSERT INTO network_agent (ref, name) SELECT code, code FROM network_region"
APPOINTMENTS = """
INSERT INTO network_appointment (agent_id, region_id, valid, reason, created_at, end_reason)
SELECT a.id, r.id, period, '', now(), ''
FROM network_region r JOIN network_agent a ON a.ref = r.code
CROSS JOIN LATERAL (SELECT timestamptz '2026-05-01Z' + (r.id %% 30) * interval '1 day' AS change) c
CROSS JOIN LATERAL (VALUES (tstzrange('2026-01-01Z', change)), (tstzrange(change, '2027-01-01Z'))) v(period)
WHERE r.id %% 4 <> 0 AND NOT isempty(period) AND (r.id %% 7 <> 0 OR lower(period) < '2026-05-01Z')
"""
CHAINS = """
CREATE TABLE bench_chain AS
SELECT row_number() OVER () - 1 AS n,
       (SELECT array_agg(up.id ORDER BY up.level DESC) FROM network_region up
        WHERE up.code = ANY (string_to_array(r.path, '.'))) AS region_ids
FROM network_region r WHERE r.level = 4
"""
PARCELS = """
UPDATE pickup_parcel p
SET status = 'collected', hold_until = '2026-06-30Z', service_point_id = points.ids[1 + p.id %% 100],
    collected_at = %s + random() * interval '31 days', region_ids = c.region_ids
FROM bench_chain c, (SELECT array_agg(id) AS ids FROM network_servicepoint) points WHERE c.n = p.id %% 1000
"""
SCANS = """
INSERT INTO pickup_scan (scan_id, device_id, service_point_id, kind, verdict, parcel_id, barcode, proof, told, shelf,
                         reason, event_at, recorded_at, request_hash, answer)
SELECT gen_random_uuid(), 1, service_point_id, 'pickup', 'ok', id, barcode, 'qr', '', '',
       '', collected_at, collected_at, '\\x00', '{}' FROM pickup_parcel
"""
HANDOVERS = """
INSERT INTO pickup_handover (parcel_id, service_point_id, scan_id)
SELECT parcel_id, service_point_id, id FROM pickup_scan
"""
ACCOUNTS = """
INSERT INTO pickup_account (kind, currency, service_point_id, agent_id)
SELECT 'network', 'CNY', NULL::bigint, NULL::bigint UNION ALL SELECT 'point', 'CNY', id, NULL FROM network_servicepoint
UNION ALL SELECT 'agent', 'CNY', NULL, id FROM network_agent
"""
# Appointments change hands at midnight only, so that the rule is asked once for each chain and day.
PARTS = """
CREATE TABLE bench_part AS
SELECT c.region_ids, d.day, part.*
FROM bench_chain c CROSS JOIN generate_series(0, 30) AS d(day) CROSS JOIN pickup_tariff t
CROSS JOIN LATERAL fee_parts(c.region_ids, %s + d.day * interval '1 day', t.id) part WHERE part.amount_minor > 0
"""
POSTINGS = """
INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                            handover_id, tariff_id, region_id, level, appointment_id, reason, recorded_at, payable_at)
SELECT 'bench:' || row_number() OVER (), fee.kind, network.id, 'network', payee.id, payee.kind, fee.amount_minor,
       'CNY', fee.handover_id, t.id, fee.region_id, fee.level, fee.appointment_id, '', fee.at, fee.at
FROM (
    SELECT h.id AS handover_id, p.collected_at AS at, 'point_fee' AS kind, 'point' AS payee,
           p.service_point_id AS owner,
           2000 AS amount_minor, NULL::bigint AS region_id, NULL::smallint AS level, NULL::bigint AS appointment_id
    FROM pickup_handover h JOIN pickup_parcel p ON p.id = h.parcel_id
    UNION ALL
    SELECT h.id, p.collected_at, 'agent_fee', 'agent', b.agent_id, b.amount_minor, b.region_id, b.level,
           b.appointment_id
    FROM pickup_handover h JOIN pickup_parcel p ON p.id = h.parcel_id
    JOIN bench_part b ON b.region_ids = p.region_ids AND b.day = extract(day FROM p.collected_at AT TIME ZONE 'UTC') - 1
) fee
JOIN pickup_account network ON network.kind = 'network' CROSS JOIN pickup_tariff t
JOIN pickup_account payee ON payee.kind = fee.payee AND COALESCE(payee.agent_id, payee.service_point_id) = fee.owner
"""
# The rows are consistent by the way they are made; checking each of millions would take longer than all the rest.
UNGUARDED = """
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT conrelid::regclass AS of, conname FROM pg_constraint WHERE contype = 'f' LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.of, c.conname);
    END LOOP;
    FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = 'pickup_posting'::regclass AND contype = 'u' LOOP
        EXECUTE format('ALTER TABLE pickup_posting DROP CONSTRAINT %I', c.conname);
    END LOOP;
    FOR c IN SELECT indexrelid::regclass AS of FROM pg_index
             WHERE indrelid = 'pickup_posting'::regclass AND NOT indisprimary LOOP
        EXECUTE format('DROP INDEX %s', c.of);
    END LOOP;
    ALTER TABLE pickup_parcel DISABLE TRIGGER USER;
END $$
"""


def make_month(count: int) -> None:
    """A month of pickups with their true fees, straight into the tables: the guards and keys are set aside."""
    scene.make_points(100)
    scene.make_orders(count, status="assigned")
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(UNGUARDED)
        cursor.execute("UPDATE pickup_tariff SET valid_from = '2026-01-01Z'")
        for level in (Level.MACRO, Level.PROVINCE, Level.CITY, Level.DISTRICT):
            cursor.execute(REGIONS, [level])
        for statement in (AGENTS, APPOINTMENTS, CHAINS):
            cursor.execute(statement, ())
        cursor.execute(PARCELS, [FIRST])
        cursor.execute(PARTS, [FIRST])
        for statement in (SCANS, HANDOVERS, ACCOUNTS, POSTINGS):
            cursor.execute(statement)
        cursor.execute("CREATE INDEX ON pickup_posting (handover_id)")
        cursor.execute("VACUUM ANALYZE")


def seconds_of_the_plain_sum() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        begin = time.perf_counter()
        cursor.execute(PLAIN, [FIRST, END])
        cursor.fetchall()
        return time.perf_counter() - begin


def main(*, count: int = 1_000_000) -> list[tuple[str, float, float]]:
    """Rows of (what, pickups per second, ratio to the plain sum)."""
    with scene.fresh_database():
        make_month(count)
        draft = Tariff(name="draft", valid_from=END, point_fee_minor=1800, cap_minor=900)
        plain, previewed = [], []
        for _ in range(3):
            plain.append(seconds_of_the_plain_sum())
            begin = time.perf_counter()
            told = tariffs.preview(draft, first=FIRST, end=END, level=Level.CITY)
            previewed.append(time.perf_counter() - begin)
            assert told.pickups == count
    bare, speed = count / median(plain), count / median(previewed)
    return [
        (f"plain sum of what {count:,} pickups paid (the limit)", bare, 1.0),
        (f"tariffs.preview of {count:,} pickups", speed, speed / bare),
    ]
