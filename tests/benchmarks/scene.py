"""A database of its own for the benchmarks, filled by set-based SQL and dropped at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.utils.timezone import now

from network import access
from pickup import codes
from pickup.models import Merchant

BENCH_DATABASE = f"{settings.DATABASES['default']['NAME']}_bench"
AT_ONCE = 10_000  # points: the trigger that keeps their history takes longer for each row of a longer statement


@contextmanager
def fresh_database() -> Iterator[None]:
    """Switch Django to an empty, migrated database beside its own one."""
    configured = connections["default"].settings_dict["NAME"]
    owner = {key: value for key, value in connection.get_connection_params().items() if key in ("host", "port", "user")}
    with psycopg.connect(dbname=configured, autocommit=True, **owner) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {BENCH_DATABASE}")
        admin.execute(f"CREATE DATABASE {BENCH_DATABASE} TEMPLATE template1")
    switch(BENCH_DATABASE)
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        switch(configured)
        with psycopg.connect(dbname=configured, autocommit=True, **owner) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {BENCH_DATABASE}")


def switch(name: str) -> None:
    connection.close()
    if "pool" in connection.settings_dict["OPTIONS"]:
        connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["NAME"] = name


def url() -> str:
    """The benchmark database as a libpq URL for other processes."""
    parameters = connection.get_connection_params()
    return psycopg.conninfo.make_conninfo(
        dbname=BENCH_DATABASE, **{key: parameters[key] for key in ("host", "port", "user") if key in parameters}
    )


def run(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(statement, parameters)
        cursor.execute("RESET statement_timeout")


@contextmanager
def without_keys(tables: Sequence[str]) -> Iterator[None]:
    """Fill tables without looking each foreign key up, row by row: all are checked together at the end."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
               WHERE contype = 'f' AND conrelid::regclass::text = ANY (%s)""",
            [list(tables)],
        )
        keys = cursor.fetchall()
        for table, name, _ in keys:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        cursor.execute("SET statement_timeout = 0")
        for table, name, definition in keys:
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        cursor.execute("RESET statement_timeout")


def make_points(count: int) -> None:
    """Points spread evenly over a box the size of a province, all with room."""
    for first in range(1, count + 1, AT_ONCE):
        run(
            """INSERT INTO network_servicepoint (ref, name, status, location, region_ids, city, address, phone,
                                                 capacity, reach_m, largest_size, opening_hours)
               SELECT 'B' || n, 'Shop ' || n, 'active',
                      ST_SetSRID(ST_MakePoint(110 + random() * 6, 21 + random() * 4), 4326),
                      '{}', '', '', '', 100000, 200000, 3, '' FROM generate_series(%s, %s) n""",
            first,
            min(count, first + AT_ONCE - 1),
        )
    run("ANALYZE network_servicepoint")


def make_orders(count: int, *, status: str) -> None:
    """Orders with located addresses and one parcel each."""
    Merchant.objects.create(name="bench")
    run(
        """INSERT INTO network_address (location, region_ids, source, accuracy_m, given_datum, located_at)
           SELECT ST_SetSRID(ST_MakePoint(110 + random() * 6, 21 + random() * 4), 4326), '{}', 'given', 10, 'wgs84',
                  now()
           FROM generate_series(1, %s)""",
        count,
    )
    run(
        """INSERT INTO pickup_order (merchant_id, reference, body_hash, status, review_reason, review_detail,
                                     address_id, consent_by, placed_at)
           SELECT m.id, 'B' || a.id, '\\x00', %s, '', '{}', a.id, '', now()
           FROM network_address a CROSS JOIN pickup_merchant m""",
        status,
    )
    run(
        """INSERT INTO pickup_parcel (uuid, order_id, barcode, size, status, region_ids, shelf)
           SELECT gen_random_uuid(), id, 'B' || id, 1, 'expected', '{}', '' FROM pickup_order"""
    )
    run("ANALYZE network_address, pickup_order, pickup_parcel")


def appoint_a_chain() -> list[int]:
    """Five regions under each other, an agent appointed to each; the chain's ids, deepest first."""
    ids: list[int] = []
    with connection.cursor() as cursor:
        path, parent = "", None
        for level in range(1, 6):
            path = f"{path}.L{level}" if path else f"L{level}"
            cursor.execute(
                """INSERT INTO network_region (code, name, level, path, parent_id) VALUES (%s, %s, %s, %s, %s)
                   RETURNING id""",
                [f"L{level}", f"Level {level}", level, path, parent],
            )
            parent = cursor.fetchone()[0]
            ids.insert(0, parent)
            cursor.execute("INSERT INTO network_agent (ref, name) VALUES (%s, %s) RETURNING id", [f"A{level}"] * 2)
            cursor.execute(
                """INSERT INTO network_appointment (agent_id, region_id, valid, reason, created_at, end_reason)
                   VALUES (%s, %s, tstzrange(now() - interval '1 day', now() + interval '1 year'), '', now(), '')""",
                [cursor.fetchone()[0], parent],
            )
    return ids


def make_ready_parcels(count: int, *, shops: int) -> tuple[list[tuple[str, str]], list[str]]:
    """Parcels ready at so many shops; returns (key of the shop's device, token) for each, and all keys."""
    make_points(shops)
    make_orders(count, status="assigned")
    chain = appoint_a_chain()
    keys = [access.new_key() for _ in range(shops)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM network_servicepoint ORDER BY id")
        points = [row[0] for row in cursor.fetchall()]
        for point, (_, key_hash) in zip(points, keys, strict=True):
            cursor.execute(
                """INSERT INTO network_device (service_point_id, name, key_hash, created_at)
                   VALUES (%s, 'bench', %s, now())""",
                [point, key_hash],
            )
    run(
        """UPDATE pickup_parcel SET status = 'ready', hold_until = now() + interval '7 days', ready_at = now(),
                  region_ids = %s, service_point_id = (%s::bigint[])[1 + id %% %s]""",
        chain,
        points,
        shops,
    )
    run(
        """INSERT INTO pickup_scan (scan_id, device_id, service_point_id, kind, verdict, parcel_id, barcode, proof,
                                    shelf, reason, event_at, request_hash, answer)
           SELECT gen_random_uuid(), d.id, p.service_point_id, 'arrival', 'ok', p.id, p.barcode, '', '', '', now(),
                  '\\x00', '{}'
           FROM pickup_parcel p JOIN network_device d ON d.service_point_id = p.service_point_id"""
    )
    run(
        """INSERT INTO pickup_arrival (parcel_id, service_point_id, scan_id)
           SELECT parcel_id, service_point_id, id FROM pickup_scan"""
    )
    expires_at = now() + timedelta(days=7)
    jobs: list[tuple[str, str]] = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, uuid, service_point_id FROM pickup_parcel ORDER BY id")
        parcels: list[tuple[int, UUID, int]] = cursor.fetchall()
        key_of = {point: key for point, (key, _) in zip(points, keys, strict=True)}
        rows = []
        for parcel_id, uuid, point in parcels:
            rows.append((parcel_id, codes.hash_secret(codes.secret_of(uuid, 1)), uuid4().bytes * 2))
            token = codes.token_of(parcel=uuid, issue=1, point_id=point, expires_at=expires_at)
            jobs.append((key_of[point], token))
        cursor.execute(
            """INSERT INTO pickup_pickupcode (parcel_id, issue, token_hash, code_hash, link_hash, attempts,
                                              page_attempts)
               SELECT id, 1, token_hash, '\\x00', link_hash, 0, 0
               FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[]) AS u(id, token_hash, link_hash)""",
            [list(column) for column in zip(*rows, strict=True)],
        )
    # Not the tables that are empty yet: known to be so, they are planned to be read whole, and that plan is kept.
    run(
        """ANALYZE network_address, network_agent, network_appointment, network_device, network_region,
                   network_servicepoint, pickup_arrival, pickup_order, pickup_parcel, pickup_pickupcode"""
    )
    return jobs, [key for key, _ in keys]


def durable() -> str:
    """How the server is set, so that nobody compares a fast lie with a slow truth."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
        fsync, commit = cursor.fetchone()
    return (
        f"fsync={fsync} synchronous_commit={commit} database={settings.DATABASES['default']['ENGINE'].split('.')[-1]}"
    )
