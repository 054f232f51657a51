"""The private database and broker together: who starts them, who uses them, who stops them.

Every command that uses them holds a shared lock, so that whoever leaves last can tell and stops them. After
`up --services` they stay until `down`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import postgres, redis
from .console import CannotGoOn, say
from .home import Home, Owner, locked, owner_of
from .postgres import Postgres
from .programs import Shelf
from .redis import Redis

DATABASE = "DATABASE_URL"
BROKER = "CELERY_BROKER_URL"
ROLE = "DATABASE_ROLE"
TEND_PAUSE_S = 5


@dataclass(frozen=True)
class Servers:
    home: Home
    database: bool = True  # false: DATABASE_URL names one that somebody else runs
    broker: bool = True

    @classmethod
    def from_environment(cls, home: Home) -> Servers:
        return cls(home, database=not os.environ.get(DATABASE), broker=not os.environ.get(BROKER))

    def __bool__(self) -> bool:
        """Whether there is any server of ours."""
        return self.database or self.broker

    @cached_property
    def place(self) -> tuple[Path, Owner]:
        """Where programs and data lie, and whom they belong to."""
        root = self.home.servers_root(owner_of(self.home.root / "postgres"))
        return root, owner_of(root / "postgres")

    @cached_property
    def sockets(self) -> Path:
        return self.home.socket_folder(self.place[1])

    def urls(self) -> dict[str, str]:
        own = {DATABASE: postgres.url(self.sockets)} if self.database else {}
        return own | ({BROKER: redis.url(self.sockets)} if self.broker else {})

    def runtime(self, part: str) -> dict[str, str]:
        """Return the variables with which `web` or `worker` reaches the database: not as the owner of its tables.

        DATABASE_WEB_URL and DATABASE_WORKER_URL win; our own server has a login for each; elsewhere the login of
        DATABASE_URL takes the role, if it may. See docs/decisions/0016-roles.md.
        """
        role, owner = f"pickup_{part}", os.environ[DATABASE]
        if given := os.environ.get(f"DATABASE_{part.upper()}_URL"):
            return {DATABASE: given}
        if owner == self.remembered_url():
            return {DATABASE: owner.replace(f"//{postgres.OWNER}@", f"//{role}@", 1)}
        if postgres.may_become(owner, role):
            return {ROLE: role}
        say(f"The {part} runs as the login of DATABASE_URL, which may not become {role}: see the README, Roles.")
        return {}

    def remembered_url(self) -> str | None:
        """The address of our own server as `up --services` told it, for those who hand it back as DATABASE_URL."""
        try:
            return postgres.url(Path((self.home.root / "sockets").read_text()))
        except OSError:
            return None

    @contextmanager
    def used(self) -> Iterator[bool]:
        """Start what does not run, hold it while in use, stop it after its last user unless it was kept.

        Yields whether anything had to be started.
        """
        if not self:
            yield False
            return
        with ExitStack() as use:
            with locked(self.guard):
                # Taken inside the guard, so that nobody stops between our start and our use.
                use.enter_context(locked(self.users, shared=True))
                try:
                    started = self.start()
                except BaseException:
                    self.kept.unlink(missing_ok=True)
                    use.close()
                    self.stop_if_unused()
                    raise
                if started:
                    self.kept.unlink(missing_ok=True)
            try:
                yield started
            finally:
                with locked(self.guard):
                    use.close()
                    self.stop_if_unused()

    def keep(self) -> None:
        """Let the servers in use go on running until `down`."""
        if self:
            self.kept.touch()

    def start(self) -> bool:
        root, _ = self.place
        started = False
        if self.database:
            started = self.postgres().start()
        if self.broker:
            started = self.redis().start() or started
        Shelf(root).forget_lists()
        return started

    def stop_if_unused(self) -> bool:
        """Stop the servers that nobody uses or keeps. The caller holds the guard."""
        if self.kept.exists():
            return True
        with locked(self.users, wait=False) as unused:
            if unused:
                self.stop()
            return unused

    def stop(self) -> None:
        root, _ = self.place
        if self.broker and (root / "redis").exists():
            self.redis().stop()
        if self.database and (root / "postgres").exists():
            self.postgres().stop()

    def down(self) -> None:
        """Stop what `up --services` or a crashed command left running."""
        if not self.guard.exists():
            return
        with locked(self.guard):
            self.kept.unlink(missing_ok=True)
            if not self.stop_if_unused():
                say("Another command still uses the database and broker; they stop when it ends.")

    def postgres(self) -> Postgres:
        root, owner = self.place
        folder = owned(root / "postgres", owner)
        return Postgres(folder, self.sockets, owner, lambda: Shelf(root).postgres(postgres.major_of(folder / "data")))

    def redis(self) -> Redis:
        root, owner = self.place
        return Redis(owned(root / "redis", owner), self.sockets, owner, Shelf(root).redis)

    @property
    def guard(self) -> Path:
        return self.home.root / "servers.lock"

    @property
    def users(self) -> Path:
        return self.home.root / "users.lock"

    @property
    def kept(self) -> Path:
        return self.home.root / "kept"


@dataclass
class Keeper:
    """Starts servers again that ended by themselves. Whoever uses them calls `tend` again and again."""

    servers: Servers
    pause_until: float = 0.0

    def tend(self) -> None:
        if time.monotonic() < self.pause_until:
            return
        try:
            for server in self.ended():
                say(f"{type(server).__name__} ended by itself; starting it again.")
                with locked(self.servers.guard):
                    server.start()
        except CannotGoOn as reason:  # a full disk, say: it may be emptied
            say(f"{reason}\nTrying again in {TEND_PAUSE_S} s.")
            self.pause_until = time.monotonic() + TEND_PAUSE_S

    def ended(self) -> list[Postgres | Redis]:
        ours: list[Postgres | Redis] = []
        if self.servers.database:
            ours.append(self.servers.postgres())
        if self.servers.broker:
            ours.append(self.servers.redis())
        return [server for server in ours if not server.is_running()]


def owned(folder: Path, owner: Owner) -> Path:
    """Make the folder, or give it to the servers' user: a copy or a backup put back may be root's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if any(path.stat().st_uid != owner.uid for path in (folder, *folder.iterdir())):
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    return folder
