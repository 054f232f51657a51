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


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[None]:
    """The database as it was when the backup was made, under another name; models read there."""
    here = connection.settings_dict["NAME"]
    file = tmp_path / "backup.dump"
    dump = [
        program("pg_dump"),
        "--format=custom",
        "--exclude-table-data=spatial_ref_sys",
        f"--file={file}",
        address(here),
    ]
    subprocess.run(dump, check=True, capture_output=True, timeout=120)
    with psycopg.connect(address("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {RESTORED} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {RESTORED} TEMPLATE template1")
    # Triggers on places compare PostGIS values, whose operators the empty search path of a backup hides.
    unpack = [program("pg_restore"), "--no-owner", "--no-comments", "--file=-", str(file)]
    script = subprocess.run(unpack, check=True, capture_output=True, timeout=120, text=True).stdout
    told = script.replace("set_config('search_path', '', false)", "set_config('search_path', 'public', false)")
    play = [program("psql"), "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", address(RESTORED)]
    subprocess.run(play, check=True, capture_output=True, timeout=120, text=True, input=told)
    scene.switch(RESTORED)
    try:
        yield
    finally:
        scene.switch(here)
        with psycopg.connect(address("postgres"), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {RESTORED} WITH (FORCE)")


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
    noted: str, restored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("verify_ledger", head=noted)
    assert f"head: {noted}" in capsys.readouterr().out
    assert Posting.objects.count() == 12
    assert Statement.objects.count() == 3


def test_control_a_backup_from_before_the_head_is_told_from_it(restored: None) -> None:
    with pytest.raises(CommandError, match="1 faults"):
        call_command("verify_ledger", head="ab" * 32)


def test_what_was_changed_in_the_backup_is_named(noted: str, restored: None) -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE pickup_posting DISABLE TRIGGER only_added")
        cursor.execute("UPDATE pickup_posting SET reason = 'x' WHERE id = (SELECT MIN(id) FROM pickup_posting)")
    assert [fault.rule for fault in seals.faults(now=now(), expected=noted)] == ["posting is not what was sealed"]
