"""What an attacker could try who runs SQL of their own through the web server or the worker: all of it is refused.

Each attack is made in a connection of its own, as the runtime role and, for the control, with what the role is denied:
as the owner, or after the owner has granted it. The control shows that the attack would work, and is rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg import errors

from pickup.config.roles import WEB, WORKER
from pickup.models import Parcel
from tests.factories import make_point, make_ready_parcel, pick_up, scanner_of

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Attack:
    """SQL in a collected parcel's books, and what the owner must take away before it works."""

    name: str
    sql: str
    guards: str = ""  # triggers to disable for the control, as "table trigger; …": the second line of defence
    as_superuser: bool = False  # the control is that the server knows the right and the role has it not


ATTACKS = [
    Attack("change a scan", "UPDATE pickup_scan SET verdict = 'not_found'", "pickup_scan"),
    Attack("delete a scan", "DELETE FROM pickup_scan WHERE parcel_id IS NULL", "pickup_scan"),
    Attack("empty the scans", "TRUNCATE pickup_scan CASCADE", "*"),
    Attack("raise a fee", "UPDATE pickup_posting SET amount_minor = amount_minor * 10", "pickup_posting"),
    Attack("delete a posting", "DELETE FROM pickup_posting", "pickup_posting"),
    Attack("empty the ledger", "TRUNCATE pickup_posting CASCADE", "*"),
    Attack(
        "forget a hand-over",
        "DELETE FROM pickup_posting; DELETE FROM pickup_handover",
        "pickup_posting pickup_handover",
    ),
    Attack("give a hand-over to another parcel", "UPDATE pickup_handover SET parcel_id = parcel_id", "pickup_handover"),
    Attack("forget an arrival", "UPDATE pickup_arrival SET service_point_id = service_point_id", "pickup_arrival"),
    Attack("rewrite the history", "UPDATE pickup_tariffevent SET pgh_context = NULL", "pickup_tariffevent"),
    Attack("delete from the history", "DELETE FROM pickup_tariffevent", "pickup_tariffevent"),
    Attack("empty the history", "TRUNCATE network_userevent", "network_userevent"),
    Attack("forget who read personal data", "TRUNCATE pickup_personaldataread", "pickup_personaldataread"),
    Attack("see the context of others", "SELECT FROM pghistory_context"),
    Attack("rename a parcel", "UPDATE pickup_parcel SET barcode = 'MINE'"),
    Attack("point an account elsewhere", "UPDATE pickup_account SET currency = currency", "pickup_account"),
    Attack("disable a guard", "ALTER TABLE pickup_posting DISABLE TRIGGER only_added"),
    Attack("disable all guards", "ALTER TABLE pickup_scan DISABLE TRIGGER USER"),
    Attack("drop a guard", "DROP TRIGGER only_added ON pickup_scan"),
    Attack(
        "replace a guard",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ),
    Attack("replace the fee rule", "DROP FUNCTION earned_since(bigint, timestamptz)"),
    Attack("drop a rule", "ALTER TABLE pickup_posting DROP CONSTRAINT posting_amount_positive"),
    Attack("loosen the states", "INSERT INTO parcel_step VALUES ('returned', 'collected')"),
    Attack(
        "give itself rights",
        "GRANT UPDATE ON pickup_posting TO pickup_web; UPDATE pickup_posting SET level = level",
        "pickup_posting",
    ),
    Attack("a temporary table in the way", "CREATE TEMP TABLE pickup_tariff (LIKE pickup_tariff)"),
    Attack("a table of its own", "CREATE TABLE notes (line text)"),
    Attack("a function of its own", "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    Attack("draw a border", "UPDATE network_outline SET zoom = zoom"),
    Attack("move a border", "UPDATE network_boundary SET level = level"),
    Attack(
        "invent a point on the map",
        "SELECT point_cells_add(ARRAY[1], ARRAY['active'], ARRAY[ST_SetSRID(ST_MakePoint(0, 0), 4326)])",
    ),
    Attack("number the scans anew", "SELECT setval('pickup_scan_id_seq', 1)"),
    Attack("switch triggers off for itself", "SET session_replication_role = replica", as_superuser=True),
    Attack("become the owner", "SET ROLE pickup", as_superuser=True),
    Attack("become somebody else", "SET SESSION AUTHORIZATION pickup", as_superuser=True),
    Attack("read the server's files", "SELECT pg_read_file('postgresql.conf')", as_superuser=True),
    Attack("run a program", "COPY pickup_tariff (name) FROM PROGRAM 'echo'", as_superuser=True),
]
DENIED = (errors.InsufficientPrivilege, errors.InvalidParameterValue)


@pytest.fixture
def books(chain: dict[Any, Any]) -> Parcel:
    """One parcel that was handed over, with its fee."""
    point = make_point()
    scanner = scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    assert pick_up(scanner, parcel).verdict == "ok"
    return parcel


def connected(role: str | None) -> psycopg.Connection[Any]:
    """A connection by the role's own login, so that there is nothing to go back to; None: the owner's."""
    settings = connection.settings_dict
    return psycopg.connect(
        dbname=settings["NAME"],
        user=role or settings["USER"],
        password=settings["PASSWORD"] or None,
        host=settings["HOST"] or None,
        port=settings["PORT"] or None,
    )


@pytest.mark.parametrize("role", [WEB, WORKER])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_runtime_role_is_refused(books: Parcel, attack: Attack, role: str) -> None:
    with connected(role) as attacker:
        assert attacker.execute("SELECT session_user").fetchone() == (role,)
        with pytest.raises(DENIED):
            attacker.execute(attack.sql.encode())
        attacker.rollback()


@pytest.mark.parametrize("attack", [one for one in ATTACKS if not one.as_superuser], ids=lambda attack: attack.name)
def test_the_same_works_for_the_owner_who_sets_the_guards_aside(books: Parcel, attack: Attack) -> None:
    with connected(None) as owner:
        for table in guarded(owner) if attack.guards == "*" else attack.guards.split():
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        owner.execute(attack.sql.encode())
        owner.rollback()


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.guards], ids=lambda attack: attack.name)
def test_with_the_right_granted_the_triggers_still_refuse(books: Parcel, attack: Attack) -> None:
    """The grants and the triggers are two defences: here the first one is taken away, in a transaction."""
    with connected(None) as owner:
        owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO pickup_web")
        owner.execute("SET LOCAL ROLE pickup_web")
        if "WHERE parcel_id IS NULL" in attack.sql:
            attack = Attack(attack.name, "DELETE FROM pickup_scan", attack.guards)
        with pytest.raises((errors.RestrictViolation, errors.RaiseException, errors.ForeignKeyViolation)):
            owner.execute(attack.sql.encode())
        owner.rollback()


def guarded(owner: psycopg.Connection[Any]) -> list[str]:
    rows = owner.execute(
        "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal"
    )
    return [name for (name,) in rows.fetchall()]


@pytest.mark.parametrize("role", [WEB, WORKER])
def test_what_only_a_superuser_may_is_known_to_the_server_and_not_to_the_role(books: Parcel, role: str) -> None:
    """The control of the attacks that not even the owner can make: the same words are no syntax error."""
    with connected(role) as attacker:
        assert attacker.execute(
            "SELECT rolsuper, pg_has_role(%s, 'pg_read_server_files', 'MEMBER'),"
            " pg_has_role(%s, 'pg_execute_server_program', 'MEMBER') FROM pg_roles WHERE rolname = %s",
            [role, role, role],
        ).fetchone() == (False, False, False)
        attacker.execute("SET ROLE NONE")
        assert attacker.execute("SELECT current_user").fetchone() == (role,), "there is no way back to an owner"
