"""The same pickups in small tables and in large ones: what a million parcels and ten million postings cost."""

from __future__ import annotations

import os

from tests.benchmarks import pickups, scene

SMALL, LARGE = 10_000, int(os.environ.get("BENCH_PARCELS", "1_000_000"))  # parcels that were collected long ago
POSTINGS_EACH = 10
TIMED, CLIENTS = 2_000, 8
# Tables that history lies in, and the order to fill them in.
HISTORY = ("pickup_parcel", "pickup_scan", "pickup_arrival", "pickup_handover", "pickup_posting")


def main() -> list[tuple[str, float, float]]:
    """Rows of (what, per second, time in the small tables by time in these)."""
    rows = []
    small = 0.0
    for parcels in (SMALL, LARGE):
        with scene.fresh_database():
            jobs, _ = scene.make_ready_parcels(TIMED + 400, shops=16)
            make_history(parcels)
            with pickups.Server() as server:
                pickups.over_http(server, jobs[:400], CLIENTS)
                speed = pickups.over_http(server, jobs[400:], CLIENTS)
        small = small or speed
        what = f"POST /scans, {parcels:,} parcels, {parcels * POSTINGS_EACH:,} postings"
        rows.append((what, speed, speed / small))
    return rows


def make_history(parcels: int) -> None:
    """Parcels of the last year, each collected, each with ten postings; keys and guards are set aside meanwhile."""
    scene.run("SELECT account_of('network', NULL, 'CNY')")
    scene.run("SELECT account_of('point', id, 'CNY') FROM network_servicepoint")
    scene.run("SELECT account_of('agent', id, 'CNY') FROM network_agent")
    with scene.without_keys(HISTORY):
        scene.run(
            """INSERT INTO pickup_parcel (uuid, order_id, barcode, size, status, region_ids, shelf, service_point_id,
                                          ready_at, hold_until, collected_at)
               SELECT gen_random_uuid(), o.id, 'H' || n, 1, 'collected', o.chain, '',
                      p.ids[1 + n %% cardinality(p.ids)], t.at - interval '1 day', t.at + interval '6 days', t.at
               FROM generate_series(1, %s) n
               CROSS JOIN (SELECT MIN(id) AS id, (SELECT array_agg(id ORDER BY level DESC) FROM network_region) AS chain
                           FROM pickup_order) o
               CROSS JOIN (SELECT array_agg(id) AS ids FROM network_servicepoint) p
               CROSS JOIN LATERAL (SELECT now() - interval '2 days' - n * interval '1 year' / %s AS at) t""",
            parcels,
            parcels,
        )
        for kind, proof in (("arrival", ""), ("pickup", "qr")):
            scene.run(
                """INSERT INTO pickup_scan (scan_id, device_id, service_point_id, kind, verdict, parcel_id, barcode,
                                            proof, shelf, reason, event_at, recorded_at, request_hash, answer)
                   SELECT gen_random_uuid(), d.id, p.service_point_id, %s, 'ok', p.id, p.barcode, %s, '', '',
                          p.collected_at, p.collected_at, '\\x00', '{}'
                   FROM pickup_parcel p JOIN network_device d ON d.service_point_id = p.service_point_id
                   WHERE p.status = 'collected'""",
                kind,
                proof,
            )
        scene.run(
            """INSERT INTO pickup_arrival (parcel_id, service_point_id, scan_id)
               SELECT parcel_id, service_point_id, id FROM pickup_scan s
               WHERE kind = 'arrival' AND NOT EXISTS (SELECT FROM pickup_arrival a WHERE a.parcel_id = s.parcel_id)"""
        )
        scene.run(
            """INSERT INTO pickup_handover (parcel_id, service_point_id, scan_id)
               SELECT parcel_id, service_point_id, id FROM pickup_scan WHERE kind = 'pickup'"""
        )
        scene.run(
            """INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor,
                                           currency, handover_id, tariff_id, reason, recorded_at, payable_at)
               SELECT 'history:' || h.id || ':' || n, 'adjustment', net.id, 'network', a.id, a.kind, 100, 'CNY',
                      h.id, t.id, 'history', s.recorded_at, s.recorded_at
               FROM pickup_handover h JOIN pickup_scan s ON s.id = h.scan_id
               CROSS JOIN generate_series(1, %s) n
               CROSS JOIN LATERAL (SELECT id, kind FROM pickup_account WHERE kind <> 'network'
                                   ORDER BY (id + h.id) %% 97 LIMIT 1) a
               CROSS JOIN (SELECT id FROM pickup_account WHERE kind = 'network') net
               CROSS JOIN (SELECT id FROM pickup_tariff) t""",
            POSTINGS_EACH,
        )
    scene.run("ANALYZE")
