"""Closing, sealing and verifying a month, beside a bare INSERT … SELECT of the same rows. BENCH_POSTINGS: how many."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from django.core.management import call_command
from django.db import connection, transaction
from django.utils.timezone import localtime, now

from pickup import seals, settlements
from pickup.models import Posting, StatementLine
from tests.benchmarks import scene

POSTINGS = int(os.environ.get("BENCH_POSTINGS", "1000000"))
A_PICKUP = 6  # postings: the shop and five agents
CHARGED = 2_000  # pickups by the function that every hand-over calls
SHOPS = 500

TABLES = (
    *("pickup_scan", "pickup_arrival", "pickup_handover", "pickup_posting", "pickup_order", "pickup_parcel"),
    "network_address",
)
PARCELS = """
UPDATE pickup_parcel p SET status = 'collected', service_point_id = points.ids[1 + p.id %% %s], region_ids = %s,
       ready_at = now(), collected_at = now(), hold_until = now() + interval '7 days'
FROM (SELECT array_agg(id ORDER BY id) AS ids FROM network_servicepoint) points
"""
SCANS = """
INSERT INTO pickup_scan (scan_id, device_id, service_point_id, kind, verdict, parcel_id, barcode, proof, shelf, reason,
                         event_at, recorded_at, request_hash, answer)
SELECT gen_random_uuid(), d.id, p.service_point_id, %s, 'ok', p.id, p.barcode, %s, '', '', now(), p.collected_at,
       '\\x00', '{}'
FROM pickup_parcel p JOIN network_device d ON d.service_point_id = p.service_point_id
"""
# The limit: what a hand-over posts, written by one statement without any rule.
BARE_POSTINGS = """
INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                            handover_id, tariff_id, region_id, level, appointment_id, reason, payable_at)
SELECT fee.kind || ':' || h.id || COALESCE(':' || fee.appointment_id, ''), fee.kind, net.id, 'network', fee.account_id,
       fee.payee, fee.amount_minor, 'CNY', h.id, t.id, fee.region_id, fee.level, fee.appointment_id, '',
       now() + interval '72 hours'
FROM pickup_handover h CROSS JOIN pickup_tariff t JOIN pickup_account net ON net.kind = 'network'
CROSS JOIN LATERAL (
    SELECT 'point_fee' AS kind, a.id AS account_id, 'point' AS payee, t.point_fee_minor AS amount_minor,
           NULL::bigint AS region_id, NULL::smallint AS level, NULL::bigint AS appointment_id
    FROM pickup_account a WHERE a.service_point_id = h.service_point_id
    UNION ALL
    SELECT 'agent_fee', a.id, 'agent', part.amount_minor, part.region_id, part.level, part.appointment_id
    FROM bench_part part JOIN pickup_account a ON a.agent_id = part.agent_id
) fee WHERE h.id > %s
"""
BARE_LINES = "INSERT INTO bench_line SELECT id, %s, amount_minor FROM pickup_posting"


def main() -> list[tuple[str, float, float]]:
    with scene.fresh_database():
        return measure()


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure() -> list[tuple[str, float, float]]:
    pickups = fill()
    charged = timed(charge)
    done = Posting.objects.count()
    bare = timed(lambda: scene.run(BARE_POSTINGS, last_charged()))
    count = Posting.objects.count()
    scene.run("ANALYZE pickup_posting, pickup_handover, pickup_scan, pickup_parcel, pickup_arrival")
    postings = (count - done) / bare
    before = memory_mb()
    closing = timed(close)
    after = memory_mb()
    assert StatementLine.objects.count() == count
    lines = timed(bare_lines)
    sealing = timed(lambda: seals.seal(now=now()))
    verifying = timed(lambda: call_command("verify_ledger", stdout=sys.stderr))
    print(
        f"{count:,} postings of {pickups:,} pickups: closed in {closing:.1f} s (bare {lines:.1f} s) with "
        f"{after - before:.0f} MB more, sealed in {sealing:.1f} s, verified in {verifying:.1f} s "
        f"({verifying * 1_000_000 / count:.1f} s for a million)"
    )
    return [
        ("postings by one bare INSERT … SELECT", postings, 1.0),
        ("postings by charge_pickups, one call a pickup", done / charged, done / charged / postings),
        ("lines by one bare INSERT … SELECT", count / lines, 1.0),
        ("lines by close_period", count / closing, lines / closing),
        ("rows sealed", (2 * count) / sealing, lines * 2 / sealing),
        ("postings verified, with their lines", count / verifying, lines / verifying),
    ]


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill() -> int:
    """So many pickups, without their postings."""
    pickups = POSTINGS // A_PICKUP
    scene.make_points(SHOPS)
    with scene.without_keys(TABLES):
        scene.make_orders(pickups, status="assigned")
        chain = scene.appoint_a_chain()
        scene.run("INSERT INTO network_device (service_point_id, name, key_hash, created_at) "
                  "SELECT id, 'bench', decode(md5(id::text), 'hex'), now() FROM network_servicepoint")  # fmt: skip
        scene.run(PARCELS, SHOPS, chain)
        scene.run(SCANS, "arrival", "")
        scene.run("INSERT INTO pickup_arrival (parcel_id, service_point_id, scan_id) "
                  "SELECT parcel_id, service_point_id, id FROM pickup_scan")  # fmt: skip
        scene.run(SCANS, "pickup", "qr")
        scene.run("INSERT INTO pickup_handover (parcel_id, service_point_id, scan_id) "
                  "SELECT parcel_id, service_point_id, id FROM pickup_scan WHERE kind = 'pickup'")  # fmt: skip
    scene.run("SELECT account_of('network', NULL, 'CNY')")
    scene.run("SELECT account_of('point', id, 'CNY') FROM network_servicepoint")
    scene.run("SELECT account_of('agent', id, 'CNY') FROM network_agent")
    scene.run(
        """CREATE TABLE bench_part AS
           SELECT p.* FROM pickup_tariff t, fee_parts(%s, now(), t.id) p WHERE p.amount_minor > 0""",
        chain,
    )
    return pickups


def last_charged() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT MAX(handover_id) FROM pickup_posting")
        return int(cursor.fetchone()[0])


def charge() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """SELECT charge_pickups(ARRAY[id], clock_timestamp())
               FROM pickup_handover ORDER BY id LIMIT %s""",
            [min(CHARGED, POSTINGS // A_PICKUP // 2)],
        )


def close() -> None:
    period = f"{localtime():%Y-%m}"
    settlements.close_period(period=period, now=now() + timedelta(days=45), currency="CNY")


def bare_lines() -> None:
    """The same rows into a table with the same keys, and nothing asked."""
    scene.run("CREATE TABLE bench_line (LIKE pickup_statementline INCLUDING ALL)")
    scene.run(
        "ALTER TABLE bench_line ADD FOREIGN KEY (posting_id) REFERENCES pickup_posting DEFERRABLE INITIALLY DEFERRED"
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT MIN(id) FROM pickup_statement")
        statement = cursor.fetchone()[0]
    scene.run(BARE_LINES, statement)
