"""The whole network as `manage.py up` runs it, on servers of its own that may be killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from django.db import connection
from redis import Redis

from pickup.config.launcher import postgres, processes
from pickup.config.launcher.home import PROJECT
from pickup.config.launcher.servers import Servers

PATIENCE_S = 300  # never waited for where all is well; only what happens is asserted
NAMES = ("web", "worker", "clock")


def until(what: Callable[[], Any], *, say: str, seconds: float = PATIENCE_S) -> Any:
    """Wait until something is so, and return it."""
    give_up_at = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < give_up_at, f"{say}: not within {seconds} s"
        time.sleep(0.05)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Live:
    def __init__(self, servers: Servers, environment: dict[str, str]) -> None:
        self.servers, self.environment = servers, environment
        self.root = servers.home.root
        self.port = free_port()
        self.log = self.root / "up.log"

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.up = subprocess.Popen(
                [sys.executable, PROJECT / "manage.py", "up", "--no-demo", "--bind", f"127.0.0.1:{self.port}"],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(self._is_ready, say="`up` is ready")

    def _is_ready(self) -> bool:
        assert self.up.poll() is None, self.log.read_text()
        return "Ready:" in self.log.read_text()

    def stop(self) -> None:
        self.up.send_signal(signal.SIGCONT)
        self.up.terminate()
        self.up.wait(120)

    # Its processes

    def child(self, name: str) -> int:
        """The process of the web server, the worker or the clock that is on record now."""
        pids = list(json.loads((self.root / "children.json").read_text()))
        return int(pids[NAMES.index(name)])

    def kill(self, name: str, *, group: bool = True) -> None:
        pid = self.child(name)
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)
        until(lambda: not processes.command_line(pid), say=f"{name} is dead")

    def kill_pool_child(self) -> None:
        for pid in children_of(self.child("worker"))[:1]:
            os.kill(pid, signal.SIGKILL)

    def postmaster(self) -> int:
        pid: int = until(lambda: postgres.pid_in(self.servers.postgres().pid_file), say="there is a database")
        return pid

    def kill_postmaster(self) -> None:
        pid = self.postmaster()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not processes.command_line(pid), say="the database is dead")

    def kill_backend(self) -> None:
        """Kill the process behind one of the web server's connections."""
        with self.sql() as database:
            row = database.execute(
                """SELECT pid FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY state = 'active' DESC"""
            ).fetchone()
        if row:
            os.kill(row[0], signal.SIGKILL)

    def kill_redis(self) -> None:
        pid = postgres.pid_in(self.servers.redis().folder / "redis.pid")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: not processes.command_line(pid), say="the broker is dead")

    def redis_pid(self) -> int:
        pid = postgres.pid_in(self.servers.redis().folder / "redis.pid")
        assert pid is not None
        return pid

    def redis(self) -> Redis:
        return Redis(unix_socket_path=str(self.servers.sockets / "redis.sock"))

    def broker_answers(self) -> bool:
        return self.servers.redis().answers()

    def sql(self) -> psycopg.Connection[Any]:
        """A connection of the database's owner of all, once it answers."""

        def connected() -> psycopg.Connection[Any] | None:
            try:
                return psycopg.connect(
                    host=str(self.servers.sockets), user="postgres", dbname="pickup", autocommit=True
                )
            except psycopg.OperationalError:
                return None

        found: psycopg.Connection[Any] = until(connected, say="the database answers")
        return found

    def meet_again(self) -> None:
        """Wait for the database, and leave the connection of the models that may have been killed with it."""
        self.sql().close()
        connection.close()

    def answers(self) -> bool:
        """Whether the web server does, with the database behind it."""
        try:
            return self.post("scans", "no key", a_scan("no token"))[0] in (200, 401)
        except (OSError, http.client.HTTPException):
            return False

    # Its doors

    def post(self, path: str, key: str, body: Any, *, port: int | None = None) -> tuple[int, bytes]:
        link = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=300)
        try:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            link.request("POST", f"/api/v1/{path}", json.dumps(body).encode(), headers)
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def insist(self, path: str, key: str, body: Any, *, port: int | None = None) -> bytes:
        """What a device does: the same call again until it is answered. Nothing but 503 may come in between."""

        def answered() -> bytes | None:
            try:
                status, content = self.post(path, key, body, port=port)
            except (OSError, http.client.HTTPException):
                return None
            assert status in (200, 201, 503), (status, content[:500])
            return content if status != 503 else None

        found: bytes = until(answered, say=f"POST {path} is answered")
        return found


def a_scan(token: str, **fields: str) -> dict[str, str]:
    return {
        "scan_id": str(uuid4()),
        "kind": "pickup",
        "token": token,
        "event_at": datetime.now(UTC).isoformat(),
    } | fields


def side_by_side(work: Sequence[Any], do: Callable[[Any], Any], *, clients: int = 8) -> Iterable[Any]:
    with ThreadPoolExecutor(clients) as pool:
        yield from pool.map(do, work)


def children_of(pid: int) -> list[int]:
    """The processes that a process started and that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Processes that stand still for a while, as on a machine that was suspended."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
