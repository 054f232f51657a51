"""The private Redis: Celery's broker, on a unix socket only, with everything it accepted on disk."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .console import CannotGoOn, last_lines, say
from .home import Owner
from .postgres import pid_in
from .processes import command_line
from .programs import Programs

START_S = 60  # replaying a long append-only file takes a while
STOP_S = 30


def socket_path(sockets: Path) -> Path:
    return sockets / "redis.sock"


def url(sockets: Path) -> str:
    return f"redis+socket://{quote(str(socket_path(sockets)))}?virtual_host=0"


@dataclass(frozen=True)
class Redis:
    folder: Path  # belongs to the owner
    sockets: Path
    owner: Owner
    find_programs: Callable[[], Programs]

    def start(self) -> bool:
        """Bring the server to where it answers; return whether it had to be started."""
        if self.answers():
            return False
        programs = self.find_programs()
        say("Starting Redis …")
        config = self.folder / "redis.conf"
        config.write_text(self.config())
        os.chown(config, self.owner.uid, self.owner.gid)
        uid, gid = self.owner.drop
        subprocess.run(
            [programs["redis-server"], str(config)],
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", **programs.env},
            cwd="/",
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if not self.wait(answering=True, seconds=START_S):
            raise CannotGoOn(f"Redis does not start:\n{last_lines(self.log)}")
        return True

    def stop(self) -> None:
        if self.ask("PING") is None:
            return
        say("Stopping Redis …")
        self.ask("SHUTDOWN")
        if not self.wait(answering=False, seconds=STOP_S):
            raise CannotGoOn(f"Redis does not stop:\n{last_lines(self.log)}")

    def answers(self) -> bool:
        """Tell whether it takes commands. While it loads its data it answers, but not with PONG."""
        return self.ask("PING") == "+PONG"

    def is_running(self) -> bool:
        """Tell whether there is a process of ours, even one that is busy or stopped and does not answer."""
        pid = pid_in(self.folder / "redis.pid")
        return pid is not None and str(socket_path(self.sockets)) in command_line(pid)

    @property
    def log(self) -> Path:
        return self.folder / "redis.log"

    def config(self) -> str:
        """Return the configuration; `noeviction`: a full broker refuses a task rather than dropping one."""
        lines = {
            "port": "0",
            "unixsocket": socket_path(self.sockets),
            "unixsocketperm": "700",
            "dir": self.folder,
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "yes",
            "pidfile": self.folder / "redis.pid",
            "logfile": self.log,
        }
        return "".join(f'{name} "{value}"\n' for name, value in lines.items())

    def wait(self, *, answering: bool, seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            if (self.answers() if answering else self.ask("PING") is None) is True:
                return True
            time.sleep(0.05)
        return False

    def ask(self, command: str) -> str | None:
        """Return the first line of the answer, or `None` where nobody listens."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, suppress(OSError):
            connection.settimeout(5)
            connection.connect(str(socket_path(self.sockets)))
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(1024).decode(errors="replace").partition("\r\n")[0]
        return None
