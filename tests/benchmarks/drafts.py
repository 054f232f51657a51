"""A moved border previewed over a million parcels, beside one plain query that only counts what the strip holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from statistics import median

import shapely
from django.db import connection
from django.utils.timezone import now
from shapely import box

from network import boundaries, drafts, publishing
from network.models import RegionDraft, User
from network.prospects import Prospect
from pickup import preview
from tests.benchmarks import scene

# The scene's addresses fill 110–116 E, 21–25 N. 24 cities of a degree each, 96 districts of half a degree.
WEST, SOUTH, EAST, NORTH = 110, 21, 116, 25
STRIPS = (0.02, 0.4)  # degrees by which a border of half a degree moves: about 2 and 40 km

# The limit: the parcels of a strip by the region that they have, with no question of where they would lie.
PLAIN = """
    SELECT p.region_ids[1], count(*) FROM network_address a
    JOIN pickup_order o ON o.address_id = a.id JOIN pickup_parcel p ON p.order_id = o.id
    WHERE a.location && ST_GeomFromWKB(%s, 4326) AND ST_Covers(ST_GeomFromWKB(%s, 4326), a.location)
      AND o.placed_at >= now() - interval '30 days' GROUP BY 1
"""
CHAINS = """
    CREATE TABLE bench_chain AS
    SELECT r.id, split_part(substr(r.code, 2), '-', 1)::int AS x, split_part(r.code, '-', 2)::int AS y,
           (SELECT array_agg(up.id ORDER BY up.level DESC) FROM network_region up
            WHERE up.code = ANY (string_to_array(r.path, '.'))) AS chain
    FROM network_region r WHERE r.level = 4
"""
LOCATED = """
    UPDATE network_address a SET region_id = d.id, region_ids = d.chain FROM bench_chain d
    WHERE d.x = floor(ST_X(a.location) * 2)::int AND d.y = floor(ST_Y(a.location) * 2)::int
"""
COLLECTED = """
    UPDATE pickup_parcel p SET status = 'collected', hold_until = now() + interval '7 days', collected_at = now(),
           service_point_id = (SELECT min(id) FROM network_servicepoint), region_ids = a.region_ids
    FROM pickup_order o JOIN network_address a ON a.id = o.address_id WHERE p.order_id = o.id
"""
SEATS = """
    INSERT INTO network_agent (ref, name) SELECT code, code FROM network_region;
    INSERT INTO network_appointment (agent_id, region_id, valid, reason, created_at)
    SELECT a.id, r.id, tstzrange(now() - interval '1 year', now() + interval '1 year'), '', now()
    FROM network_region r JOIN network_agent a ON a.ref = r.code;
    INSERT INTO pickup_scan (scan_id, device_id, service_point_id, kind, verdict, parcel_id, barcode, proof, told,
                             shelf, reason, event_at, recorded_at, request_hash, answer)
    SELECT gen_random_uuid(), 1, service_point_id, 'pickup', 'ok', id, barcode, 'qr', '', '', '', collected_at,
           collected_at, '\\x00', '{}' FROM pickup_parcel;
    INSERT INTO pickup_handover (parcel_id, service_point_id, scan_id)
    SELECT parcel_id, service_point_id, id FROM pickup_scan;
    INSERT INTO pickup_account (kind, currency, agent_id) SELECT 'agent', 'CNY', id FROM network_agent;
    INSERT INTO pickup_account (kind, currency) VALUES ('network', 'CNY');
    INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                                handover_id, tariff_id, region_id, level, appointment_id, reason, recorded_at,
                                payable_at)
    SELECT 'bench:' || h.id || ':' || part.appointment_id, 'agent_fee', network.id, 'network', payee.id, 'agent',
           part.amount_minor, 'CNY', h.id, t.id, part.region_id, part.level, part.appointment_id, '', p.collected_at,
           p.collected_at
    FROM pickup_handover h JOIN pickup_parcel p ON p.id = h.parcel_id CROSS JOIN pickup_tariff t
    JOIN bench_part part ON part.region_ids = p.region_ids
    JOIN pickup_account network ON network.kind = 'network' JOIN pickup_account payee ON payee.agent_id = part.agent_id;
"""
PARTS = """
    CREATE TABLE bench_part AS SELECT c.region_ids, part.* FROM (SELECT DISTINCT region_ids FROM pickup_parcel) c
    CROSS JOIN pickup_tariff t CROSS JOIN LATERAL fee_parts(c.region_ids, now(), t.id) part WHERE amount_minor > 0
"""
# The rows are consistent by the way they are made; checking each of millions would take longer than all the rest.
UNGUARDED = """
    DO $$ DECLARE c record; BEGIN
        FOR c IN SELECT conrelid::regclass AS of, conname FROM pg_constraint WHERE contype = 'f'
                 AND conrelid::regclass::text ~ '^(pickup_|network_address)' LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.of, c.conname);
        END LOOP;
        ALTER TABLE pickup_parcel DISABLE TRIGGER USER;
    END $$
"""


def make_country() -> None:
    """One province, 24 cities and 96 districts, all squares."""
    rows = [boundaries.Draft(1, "P", "P", "province", "", box(WEST, SOUTH, EAST, NORTH))]
    for lon in range(WEST, EAST):
        for lat in range(SOUTH, NORTH):
            city = f"C{lon}-{lat}"
            rows.append(boundaries.Draft(len(rows) + 1, city, city, "city", "P", box(lon, lat, lon + 1, lat + 1)))
            for x in (2 * lon, 2 * lon + 1):
                for y in (2 * lat, 2 * lat + 1):
                    code, sides = f"D{x}-{y}", box(x / 2, y / 2, (x + 1) / 2, (y + 1) / 2)
                    rows.append(boundaries.Draft(len(rows) + 1, code, code, "district", city, sides))
    done = boundaries.publish(rows, name="bench", source="bench", since=now() - timedelta(days=100))
    assert not done.refused


def make_parcels(count: int) -> None:
    scene.make_points(100)
    scene.make_orders(count, status="assigned")
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(UNGUARDED)
        for statement in (CHAINS, "ANALYZE bench_chain", LOCATED, COLLECTED):
            cursor.execute(statement)
        first, *rest = SEATS.split(";")
        seats, *others = rest
        cursor.execute(first)
        cursor.execute(seats)
        cursor.execute(PARTS)
        for statement in others:
            if statement.strip():
                cursor.execute(statement)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("RESET statement_timeout")


def draft_of(user: User, strip: float) -> RegionDraft:
    """The border between two districts of one city moves east by so much."""
    draft = drafts.make(name=f"{strip}", author=user, now=now())
    lon = 113.5 + strip
    shapes = {"D226-46": box(113.0, 23.0, lon, 23.5), "D227-46": box(lon, 23.0, 114.0, 23.5)}
    for version, (code, geometry) in enumerate(shapes.items(), 1):
        values = {"code": code, "geometry": geometry}
        drafts.edit(draft.pk, version=version, op="reshape", values=values, by=user, now=now())
    draft.refresh_from_db()
    return draft


def seconds(work: Callable[[], object], *, times: int = 5) -> float:
    work()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return median(taken)


def main(*, count: int = 1_000_000) -> list[tuple[str, float, float]]:
    """Rows of (what, previews per second, ratio to the plain count of the same strip)."""
    rows = []
    with scene.fresh_database():
        make_country()
        make_parcels(count)
        user = User.objects.create_user("+8613800138000", is_staff=True)
        for strip in STRIPS:
            draft = draft_of(user, strip)
            (piece,) = shapely.get_parts(shapely.union_all(Prospect.of(draft, since=now()).moved))
            wkb = shapely.to_wkb(piece)

            def plain(wkb: bytes = wkb) -> None:
                with connection.cursor() as cursor:
                    cursor.execute(PLAIN, [wkb, wkb])
                    cursor.fetchall()

            def previewed(draft: RegionDraft = draft) -> dict[str, object]:
                at = now()
                return preview.work_out(draft, since=at, now=at)

            moved = previewed()["parcels"]["moved"]  # type: ignore[index]
            bare, whole = seconds(plain), seconds(previewed)
            rows.append((f"plain count of a strip with {moved:,} of {count:,} parcels (limit)", 1 / bare, 1.0))
            rows.append((f"impact preview of {moved:,} moved parcels", 1 / whole, bare / whole))
        begin = time.perf_counter()
        publishing.publish(draft.pk, version=draft.version, since=None, by=user, now=now())
        taken = time.perf_counter() - begin
        rows.append(("publishing it", 1 / taken, bare / taken))
    return rows
