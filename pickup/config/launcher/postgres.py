"""The private PostgreSQL: one cluster that listens on a unix socket only."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from .console import CannotGoOn, last_lines, run, say
from .home import Owner
from .processes import command_line, exists
from .programs import Programs

EXTENSIONS = ("postgis", "btree_gist", "pg_trgm")
MEBIBYTE = 2**20
RECOVERY_S = 600  # after a crash PostgreSQL replays its log before it answers
NO_PROCESS = 2**31 - 1  # more than any system gives out
STOP_S = 60
LEFTOVERS_S = 15  # backends of a killed postmaster notice within seconds and leave

OWNER = "pickup"  # whose the tables are; migrations and commands run as it
ROLES = ("pickup_web", "pickup_worker", "pickup_audit")  # who else there is: pickup/config/roles.py says what they may
PREPARED = "prepared-2"  # the number goes up when more must be prepared

# The extensions go into template1 too, so that test databases, which the tests make themselves, have them:
# only a superuser may create PostGIS. CREATE DATABASE copies template1, so it comes after.
PREPARE = r"""
\set ON_ERROR_STOP on
SET client_min_messages = warning;
{extensions}
SELECT 'CREATE ROLE pickup LOGIN CREATEDB'
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pickup') \gexec
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest('{{{roles}}}'::text[]) AS name
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
GRANT {roles} TO pickup;
SELECT 'CREATE DATABASE pickup OWNER pickup'
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'pickup') \gexec
"""


def url(sockets: Path, user: str = OWNER) -> str:
    return f"postgresql://{user}@/pickup?host={quote(str(sockets))}"


def may_become(url: str, role: str) -> bool:
    """Tell whether the login of a database that somebody else runs may take the role."""
    import psycopg  # there by now: only a running network asks

    question = "SELECT pg_has_role(rolname, 'MEMBER') FROM pg_roles WHERE rolname = %s"
    try:
        with psycopg.connect(url) as connection:
            return connection.execute(question, [role]).fetchone() == (True,)
    except psycopg.Error as error:
        raise CannotGoOn(f"the database of DATABASE_URL does not answer: {error}") from error


@dataclass(frozen=True)
class Postgres:
    folder: Path  # holds `data` and `log`; belongs to the owner
    sockets: Path
    owner: Owner
    find_programs: Callable[[], Programs]  # may fetch them, so they are looked for only when they are needed

    @cached_property
    def programs(self) -> Programs:
        return self.find_programs()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> bool:
        """Bring the server to where it answers; return whether it had to be started."""
        if self.answers():
            if not self.is_prepared():
                self.prepare()
            return False
        if not self.data.exists():
            self.initialise()
        self.configure()
        if not self.is_coming_up():
            self.void_stale_pid_files()
            say("Starting PostgreSQL …")
            self.launch()
        if not self.is_prepared():
            self.prepare()
        return True

    def stop(self) -> None:
        """Have running transactions rolled back and the rest written down: what PostgreSQL calls a fast shutdown."""
        pid = pid_in(self.pid_file)
        if pid is None or not self.is_ours(pid):
            return
        say("Stopping PostgreSQL …")
        os.kill(pid, signal.SIGINT)
        give_up_at = time.monotonic() + STOP_S
        while self.is_ours(pid):
            if time.monotonic() > give_up_at:
                raise CannotGoOn(f"PostgreSQL (process {pid}) does not stop; see {self.folder}/log")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Tell whether this cluster, and no other, answers on the socket."""
        _ = self.programs  # looked for outside the `try`: having none to ask with is not the same as no answer
        try:
            return self.sql("SHOW data_directory").strip() == str(self.data)
        except CannotGoOn:
            return False

    def initialise(self) -> None:
        say("Making the database cluster …")
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        # With the C locale pg_trgm finds nothing in Chinese. Only the owner and root reach the socket: trust.
        options = ["-U", "postgres", "--auth=trust", "--locale=C.UTF-8", "-E", "UTF8"]
        self.run("initdb", "-D", fresh, *options, failure="the database cluster could not be made")
        fresh.rename(self.data)

    def configure(self) -> None:
        """Write our settings at each start: the socket's folder and the machine's memory may have changed."""
        lines = [f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'" for name, value in self.settings().items()]
        path = self.data / "pickup.conf"
        path.write_text("\n".join(lines) + "\n")
        os.chown(path, self.owner.uid, self.owner.gid)
        main = self.data / "postgresql.conf"
        include = "include = 'pickup.conf'"
        if include not in main.read_text():
            with main.open("a") as file:
                file.write(f"\n{include}\n")

    def settings(self) -> dict[str, object]:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return {
            "listen_addresses": "",
            "unix_socket_directories": self.sockets,
            "max_connections": 100,
            "shared_buffers": f"{shared_buffers_mib(memory)}MB",
            "effective_cache_size": f"{memory // MEBIBYTE // 2}MB",
            "fsync": "on",
            "synchronous_commit": "on",
            "jit": "off",  # our queries are short, and the unpacked packages leave the compiler out
            "timezone": "UTC",
            "log_timezone": "UTC",
            "logging_collector": "on",
            "log_directory": self.folder / "log",
            "log_filename": "postgresql-%a.log",  # a week of days, each overwritten in its turn
            "log_truncate_on_rotation": "on",
            "log_rotation_size": 0,
            "log_error_verbosity": "terse",  # an error's detail shows the row: personal data
        }

    def launch(self) -> None:
        log = self.folder / "start.log"
        start = ("start", "-D", self.data, "-l", log, "-w", "-t", RECOVERY_S, "-s")
        give_up_at = time.monotonic() + LEFTOVERS_S
        while True:
            log.unlink(missing_ok=True)
            try:
                self.run("pg_ctl", *start, failure="PostgreSQL does not start")
            except CannotGoOn as error:
                # A postmaster that was killed leaves backends which hold the shared memory for a moment.
                if "shared memory block" in last_lines(log) and time.monotonic() < give_up_at:
                    time.sleep(0.5)
                    continue
                raise CannotGoOn(f"{error}\n{last_lines(log)}") from error
            return

    def is_prepared(self) -> bool:
        return (self.folder / PREPARED).exists()

    def prepare(self) -> None:
        say("Making the database, its roles and its extensions …")
        extensions = "\n".join(f"CREATE EXTENSION IF NOT EXISTS {name};" for name in EXTENSIONS)
        self.sql(PREPARE.format(extensions=extensions, roles=", ".join(ROLES)), database="template1")
        done = self.folder / PREPARED
        done.touch()
        os.chown(done, self.owner.uid, self.owner.gid)

    def is_coming_up(self) -> bool:
        """Wait for a server that somebody has started already, as one does that recovers from a crash."""
        give_up_at = time.monotonic() + RECOVERY_S
        while self.is_running():
            if self.answers():
                return True
            if time.monotonic() > give_up_at:
                raise CannotGoOn(
                    f"PostgreSQL runs (process {pid_in(self.pid_file)}) but does not answer; see {self.folder}/log"
                )
            time.sleep(0.2)
        return False

    def void_stale_pid_files(self) -> None:
        """Make PostgreSQL's pid files name no process, where the number in them is another program's by now.

        After a reboot PostgreSQL would take that program for itself and refuse to start; so it does with its own
        zombie in a container where nobody buries them. Only the number is replaced: by the rest of the file it
        looks for backends that still hold the shared memory.
        """
        for file in (self.pid_file, self.sockets / ".s.PGSQL.5432.lock"):
            pid = pid_in(file)
            if pid is not None and exists(pid) and not self.is_ours(pid):
                file.write_text("\n".join([str(NO_PROCESS), *file.read_text().split("\n")[1:]]))

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def is_running(self) -> bool:
        return self.is_ours(pid_in(self.pid_file))

    def is_ours(self, pid: int | None) -> bool:
        return pid is not None and str(self.data) in command_line(pid)

    def sql(self, script: str, *, database: str = "postgres") -> str:
        options = ("-X", "-q", "-A", "-t", "-h", self.sockets, "-U", "postgres", "-d", database)
        return self.run("psql", *options, failure="the database refused", stdin=script)

    def run(self, program: str, *arguments: object, failure: str, stdin: str = "") -> str:
        uid, gid = self.owner.drop
        return run(
            [self.programs[program], *map(str, arguments)],
            env=self.environment(),
            cwd=Path("/"),  # a user that may not enter our working directory would complain at every command
            failure=failure,
            stdin=stdin,
            uid=uid,
            gid=gid,
        )

    def environment(self) -> dict[str, str]:
        """Return a clean environment: an inherited PGOPTIONS or PGDATA would reach the private server."""
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": str(self.folder), **self.programs.env}


def shared_buffers_mib(memory: int) -> int:
    """A quarter of the machine's memory (bytes), from 128 to 1024 MiB."""
    return max(128, min(1024, memory // 4 // MEBIBYTE))


def major_of(data: Path) -> int | None:
    """Return the version that wrote the data, or `None` where there are none."""
    try:
        return int((data / "PG_VERSION").read_text())
    except OSError:
        return None


def pid_in(file: Path) -> int | None:
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
