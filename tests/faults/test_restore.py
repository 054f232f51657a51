"""Promise 32: a backup that is restored elsewhere has the same books, to the sealed head."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.timezone import now

from pickup import seals
from pickup.config.launcher.home import Home
from pickup.config.launcher.servers import Servers
from pickup.config.settings import PICKUP_HOME
from pickup.models import Posting, Statement
from tests import factories
from tests.benchmarks import scene
from tests.faults.test_settlement_races import Shop, close
from tests.roles import as_owner

pytestmark = pytest.mark.django_db(transaction=True)

RESTORED = "pickup_restored"


def program(name: str) -> str:
    """The system's, or the one beside the private server."""
    found = shutil.which(name)
    if found:
        return found
    places = [Path("/usr/lib/postgresql"), Servers(Home(PICKUP_HOME)).place[0] / "servers"]
    for place in places:
        for path in sorted(place.rglob(name), reverse=True):
            return str(path)
    pytest.fail(f"no {name}")


def address(database: str) -> str:
    parameters = connection.get_connection_params()
    told = {key: parameters[key] for key in ("host", "port", "user", "password") if parameters.get(key)}
    return psycopg.conninfo.make_conninfo(dbname=database, **told)


def play(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Back the database up and restore it under another name, as the owner of its tables.

    The owner has neither the extensions nor what they bring: no comments on them, and no data of PostGIS.
    """
    file = tmp_path / "backup.dump"
    dump = [program("pg_dump"), "--format=custom", "--exclude-table-data=spatial_ref_sys", f"--file={file}"]
    subprocess.run([*dump, address(connection.settings_dict["NAME"])], check=True, capture_output=True, timeout=120)
    with psycopg.connect(address("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {RESTORED}")
        admin.execute(f"CREATE DATABASE {RESTORED} TEMPLATE template1")
    restore = [program("pg_restore"), "--no-comments", "--single-transaction", "--exit-on-error"]
    restore += [f"--dbname={address(RESTORED)}", str(file)]
    return subprocess.run(restore, check=False, capture_output=True, timeout=120, text=True)


@pytest.fixture
def gone() -> Iterator[None]:
    """The restored database is dropped; not by force, which may not end an autovacuum that goes away for less."""
    yield
    with psycopg.connect(address("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {RESTORED}")


@pytest.fixture
def restored(gone: None, tmp_path: Path) -> Iterator[str]:
    """The database as it was when the backup was made, under another name; models read there. Yields the first name."""
    here = connection.settings_dict["NAME"]
    played = play(tmp_path)
    assert (played.returncode, played.stderr) == (0, "")
    scene.switch(RESTORED)
    try:
        yield here
    finally:
        scene.switch(here)


@pytest.fixture
def noted() -> str:
    """Books with a closed month and pickups after it, sealed; the head as somebody notes it."""
    shop = Shop(4)
    for parcel in shop.parcels[:3]:
        shop.collect(parcel)
    close(0)
    shop.collect(shop.parcels[3])
    factories.seal(now=now())
    head = seals.head()
    assert head is not None
    return bytes(head.head).hex()


def test_the_restored_books_have_the_head_that_was_noted(
    noted: str, restored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("verify_ledger", head=noted)
    assert f"head: {noted}" in capsys.readouterr().out
    assert Posting.objects.count() == 12
    assert Statement.objects.count() == 3


def test_control_a_backup_from_before_the_head_is_told_from_it(restored: str) -> None:
    with pytest.raises(CommandError, match="1 faults"):
        call_command("verify_ledger", head="ab" * 32)


def test_what_was_changed_in_the_backup_is_named(noted: str, restored: str) -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE pickup_posting DISABLE TRIGGER only_added")
        cursor.execute("UPDATE pickup_posting SET reason = 'x' WHERE id = (SELECT MIN(id) FROM pickup_posting)")
    assert [fault.rule for fault in seals.faults(now=now(), expected=noted)] == ["posting is not what was sealed"]


GUARDS = """
    SELECT tgrelid::regclass::text, tgname || ' ' || tgtype || ' ' || tgfoid::regproc, tgenabled::text
    FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT conrelid::regclass::text, conname, contype::text FROM pg_constraint WHERE conrelid <> 0
    UNION ALL SELECT c.relname, c.relacl::text, '' FROM pg_class c
              WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'pickup%'
    ORDER BY 1, 2, 3
"""


def test_no_guard_and_no_grant_is_lost_on_the_way(noted: str, restored: str) -> None:
    told = []
    for name in (restored, RESTORED):
        with psycopg.connect(address(name)) as asked:
            told.append(asked.execute(GUARDS).fetchall())
    assert len(told[0]) > 500
    assert told[0] == told[1]


def test_control_a_guard_that_compares_places_themselves_is_not_restored(gone: None, tmp_path: Path) -> None:
    """A backup is restored with an empty search path, where PostGIS's operators are not found."""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(
            """CREATE TRIGGER as_it_was BEFORE UPDATE ON network_servicepoint FOR EACH ROW
               WHEN (OLD.location IS DISTINCT FROM NEW.location) EXECUTE FUNCTION refuse_change()"""
        )
        try:
            played = play(tmp_path)
        finally:
            cursor.execute("DROP TRIGGER as_it_was ON network_servicepoint")
    assert "old.location IS DISTINCT FROM new.location" in played.stderr
