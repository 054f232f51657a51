"""One network for all tests that kill something; each test begins with an empty database."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from pickup.config import roles
from pickup.config.launcher.home import Home
from pickup.config.launcher.servers import Servers
from pickup.config.settings import PICKUP_HOME
from tests.faults.live import Live, until
from tests.leftovers import none_left


@pytest.fixture(scope="session")
def one_network() -> Iterator[Live]:
    with tempfile.TemporaryDirectory() as folder, none_left(Path(folder)):
        Path(folder).chmod(0o755)  # the servers' user must be able to enter
        home = Home(Path(folder))
        home.make()
        fetched = Servers(Home.from_environment(os.environ)).place[0] / "servers"
        if fetched.exists():  # where the system has no servers, those of this very run serve again
            (home.root / "servers").symlink_to(fetched)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "CELERY"))}
        secrets = os.environ.get("PICKUP_SECRETS_FILE", str(PICKUP_HOME / "secrets.json"))
        network = Live(
            Servers(home),
            environment
            | {
                "PICKUP_HOME": folder,
                "PICKUP_ENV": "current",
                "PICKUP_SECRETS_FILE": secrets,  # tokens that are made here must be good there
                "PICKUP_LOG_LEVEL": "WARNING",
                "PICKUP_ORDER_LEASE_S": "5",
                "NOTICES_FILE": str(home.root / "notices.jsonl"),
            },
        )
        try:
            network.start()
            yield network
        finally:
            network.stop()
            network.servers.stop()
            network.servers.sockets.rmdir()


def is_emptied() -> bool:
    """Sweeps of the running network may hold what the flush wants, and the other way round."""
    try:
        call_command("flush", verbosity=0, interactive=False)
    except CommandError:
        return False
    return True


@pytest.fixture
def live(one_network: Live, django_db_blocker: DjangoDbBlocker) -> Iterator[Live]:
    """The running network, its database empty; models in this process read and write there, whoever they run as."""
    before = dict(connection.settings_dict)
    with django_db_blocker.unblock():
        connection.close()
        options = before["OPTIONS"]
        as_login = options | {"options": options["options"].replace(f"-c role={roles.WEB}", "")}
        there = {"HOST": str(one_network.servers.sockets), "USER": "postgres", "NAME": "pickup", "OPTIONS": as_login}
        connection.settings_dict |= there
        one_network.meet_again()
        until(is_emptied, say="the database is empty")
        try:
            yield one_network
        finally:
            connection.close()
            connection.settings_dict |= {name: before[name] for name in there}
