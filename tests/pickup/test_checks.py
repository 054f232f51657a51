"""Web server, worker and clock refuse to start where it is not safe, and say by name what to do."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from pickup.config import checks
from pickup.config.launcher.home import PROJECT, Home, new_secrets
from pickup.config.launcher.servers import Servers
from tests.leftovers import none_left
from tests.roles import as_owner, role

pytestmark = pytest.mark.django_db


def found(part: Any, **options: Any) -> dict[str, bool]:
    """The checks' words by their ids, and whether each is an error."""
    return {str(message.id): message.is_serious() for message in part(**options)}


@pytest.fixture
def public(settings: Any) -> None:
    settings.SECURE = True


# Settings


def test_this_machines_settings_are_safe() -> None:
    assert found(checks.settings_are_safe) == {}
    assert found(checks.database_is_safe, databases=["default"]).get("pickup.login") is False


@pytest.mark.parametrize("name", ["code_key", "signing_keys", "field_keys"])
@pytest.mark.parametrize("weak", [b"", b"short", b"\0" * 32, b"password" * 4])
def test_a_weak_key_is_refused_by_name(settings: Any, name: str, weak: bytes) -> None:
    key = base64.b64encode(weak).decode()
    value: Any = {"code_key": key, "signing_keys": {"1": key}, "field_keys": [key]}[name]
    settings.SECRETS = new_secrets() | {name: value}
    assert found(checks.settings_are_safe) == {f"pickup.{name}": True}


@pytest.mark.parametrize("name", ["code_key", "signing_keys", "field_keys"])
def test_a_missing_key_is_refused_by_name(settings: Any, name: str) -> None:
    settings.SECRETS = {key: value for key, value in new_secrets().items() if key != name}
    assert found(checks.settings_are_safe) == {f"pickup.{name}": True}


@pytest.mark.parametrize("weak", ["changeme", "a" * 60, "django-insecure-" + "abcdefghij" * 5])
def test_a_weak_secret_key_is_refused(settings: Any, weak: str) -> None:
    settings.SECRET_KEY = weak
    assert found(checks.settings_are_safe) == {"pickup.django_secret_key": True}


def test_fresh_secrets_are_strong(settings: Any) -> None:
    for _ in range(200):
        settings.SECRETS = new_secrets()
        assert found(checks.settings_are_safe) == {}


def test_debug_is_refused_in_public_and_told_at_home(settings: Any) -> None:
    settings.DEBUG = True
    assert found(checks.settings_are_safe) == {"pickup.debug": False}
    settings.SECURE = True
    assert found(checks.settings_are_safe) == {"pickup.debug": True}


# The database


def test_a_commit_that_is_not_waited_for_is_refused() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        assert found(checks.durability, cursor=cursor) == {"pickup.synchronous_commit": True}
        cursor.execute("SET LOCAL synchronous_commit = on")
        assert found(checks.durability, cursor=cursor) == {}


@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"])
def test_a_wait_without_an_end_is_refused(limit: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL {limit} = 0")
        assert found(checks.durability, cursor=cursor) == {f"pickup.{limit}": True}


def test_the_owner_is_refused_in_public_and_told_at_home(settings: Any) -> None:
    with as_owner(), connection.cursor() as cursor:
        assert found(checks.role, cursor=cursor) == {"pickup.owner": False}
        settings.SECURE = True
        assert found(checks.role, cursor=cursor) == {"pickup.owner": True}


def test_a_role_that_the_owner_took_is_refused_in_public(public: None) -> None:
    with role("pickup_web"), connection.cursor() as cursor:
        assert found(checks.role, cursor=cursor) == {"pickup.login": True}


def test_a_database_that_is_away_is_told_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(checks, "durability", away)
    assert found(checks.database_is_safe, databases=["default"]) == {"pickup.database": True}


# A server of its own, on which each switch is really turned


@pytest.fixture(scope="module")
def scratch() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory() as folder, none_left(Path(folder)):
        Path(folder).chmod(0o755)
        place = Home(Path(folder))
        place.make()
        place.make_secrets()
        fetched = Servers(Home.from_environment(os.environ)).place[0] / "servers"
        if fetched.exists():
            (place.root / "servers").symlink_to(fetched)
        own = Servers(place)
        with own.used():
            yield own
        own.sockets.rmdir()


def starts(servers: Servers, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start what the web server starts: the application, checks and all."""
    own = {**servers.urls(), "PICKUP_HOME": str(servers.home.root), "PICKUP_BASE_URL": "http://127.0.0.1:1"}
    own["DATABASE_URL"] = own["DATABASE_URL"].replace("//pickup@", "//pickup_web@")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("DATABASE_", "PICKUP_"))}
    return subprocess.run(
        [sys.executable, "-c", "import pickup.config.wsgi; print('serving')"],
        cwd=PROJECT,
        env=environ | own | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def url(servers: Servers, user: str) -> str:
    return servers.urls()["DATABASE_URL"].replace("//pickup@", f"//{user}@")


def switch(servers: Servers, name: str, value: str) -> None:
    server = servers.postgres()
    server.sql(f"ALTER SYSTEM SET {name} = {value}")
    server.sql("SELECT pg_reload_conf()")
    give_up_at = time.monotonic() + 10
    while server.sql(f"SHOW {name}").strip() != value and time.monotonic() < give_up_at:
        time.sleep(0.05)


def test_a_safe_server_is_served_from(scratch: Servers) -> None:
    done = starts(scratch)
    assert (done.stdout, done.returncode) == ("serving\n", 0), done.stderr


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_forgets_in_a_crash_is_refused_by_name(scratch: Servers, name: str) -> None:
    switch(scratch, name, "off")
    try:
        done = starts(scratch)
    finally:
        scratch.postgres().sql(f"ALTER SYSTEM RESET {name}")
        switch(scratch, name, "on")
    assert done.returncode != 0
    assert f"pickup.{name}: {name} is off" in done.stderr
    assert f"ALTER SYSTEM SET {name} = on" in done.stderr


def test_a_superuser_is_refused(scratch: Servers) -> None:
    done = starts(scratch, DATABASE_URL=url(scratch, "postgres"))
    assert done.returncode != 0
    assert "pickup.superuser: postgres is a superuser" in done.stderr


def test_a_role_that_no_row_is_hidden_from_is_refused(scratch: Servers) -> None:
    scratch.postgres().sql("ALTER ROLE pickup_web BYPASSRLS")
    try:
        done = starts(scratch)
    finally:
        scratch.postgres().sql("ALTER ROLE pickup_web NOBYPASSRLS")
    assert done.returncode != 0
    assert "pickup.bypassrls: pickup_web has BYPASSRLS" in done.stderr


def test_the_owner_of_the_tables_is_refused_in_public(scratch: Servers) -> None:
    scratch.postgres().sql("CREATE TABLE pickup_scan (); ALTER TABLE pickup_scan OWNER TO pickup", database="pickup")
    try:
        at_home = starts(scratch, DATABASE_URL=url(scratch, "pickup"))
        done = starts(scratch, DATABASE_URL=url(scratch, "pickup"), PICKUP_BASE_URL="https://example.org")
    finally:
        scratch.postgres().sql("DROP TABLE pickup_scan", database="pickup")
    assert at_home.returncode == 0, at_home.stderr
    assert done.returncode != 0
    assert "pickup.owner: pickup owns the tables" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "safe", "told"),
    [
        ("appendonly", "no", "yes", "pickup.redis_appendonly: Redis keeps nothing on disk"),
        ("maxmemory-policy", "allkeys-lru", "noeviction", "pickup.redis_eviction: Redis drops what it pleases"),
    ],
)
def test_a_forgetful_broker_is_refused_in_public(scratch: Servers, name: str, value: str, safe: str, told: str) -> None:
    scratch.redis().ask(f"CONFIG SET {name} {value}")
    try:
        at_home = starts(scratch)
        done = starts(scratch, PICKUP_BASE_URL="https://example.org")
    finally:
        scratch.redis().ask(f"CONFIG SET {name} {safe}")
    assert at_home.returncode == 0, at_home.stderr
    assert done.returncode != 0
    assert told in done.stderr


def test_a_broker_that_is_away_stops_nobody_from_starting(scratch: Servers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = starts(scratch, CELERY_BROKER_URL=f"redis://127.0.0.1:{port}/0", PICKUP_BASE_URL="https://example.org")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", ["worker", "beat"])
def test_worker_and_clock_refuse_as_the_web_server_does(scratch: Servers, part: str, tmp_path: Path) -> None:
    environ = {**os.environ, **scratch.urls(), "PICKUP_HOME": str(scratch.home.root), "DATABASE_ROLE": ""}
    environ["DATABASE_URL"] = url(scratch, "postgres")
    more = ["--pool", "solo"] if part == "worker" else ["--schedule", str(tmp_path / "schedule")]
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "pickup.config.celery", part, *more],
        cwd=PROJECT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "pickup.superuser" in done.stderr + done.stdout
