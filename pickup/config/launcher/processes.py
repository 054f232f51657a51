"""The processes of `up`: started together, restarted when they die or fall silent, stopped together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .console import CannotGoOn, last_lines, say
from .home import PROJECT

DEATHS_AT_MOST = 5  # within the window; while everything is being started the sixth ends it
DEATHS_WINDOW_S = 120
LONGEST_PAUSE_S = 16
SILENCE_S = 60  # a worker finishes a sweep every ten seconds
FIRST_SIGN_S = 120  # so much longer it may take to come up on a busy machine
STOP_S = 20  # a Celery worker finishes what it has begun
LOG_BYTES = 10_000_000


@dataclass
class Child:
    name: str
    command: list[str]
    log: Path
    variables: Mapping[str, str] = field(default_factory=dict)  # beside those of this process
    alive: Path | None = None  # touched by the process itself, by way of PICKUP_ALIVE; silence means that it is stuck
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)
    restart_at: float | None = None

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C is for the launcher alone, which stops all in order."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".1.log"))
        self.restart_at = None
        watched = {}
        if self.alive is not None:
            self.alive.touch()
            first_sign_at = time.time() + FIRST_SIGN_S
            os.utime(self.alive, (first_sign_at, first_sign_at))
            watched = {"PICKUP_ALIVE": str(self.alive)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=PROJECT,
                env={**os.environ, **self.variables, **watched},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def end_if_silent(self) -> None:
        """End a process that runs and does nothing; it is then started again like one that died."""
        if self.process is None or self.alive is None or self.has_died():
            return
        silence = time.time() - self.alive.stat().st_mtime
        if silence > SILENCE_S:
            say(f"{self.name} runs, but has finished nothing for {silence:.0f} s: ending it.")
            end_group(self.process.pid)
            self.process.wait()

    def plan_restart(self, now: float, *, forever: bool = False) -> None:
        """Leave a pause that doubles with each recent death; unless `forever`, too many of them end everything."""
        assert self.process is not None
        code = self.process.returncode
        end_group(self.process.pid)  # workers of a killed master would keep its port
        self.process = None
        self.deaths = [at for at in self.deaths if now - at < DEATHS_WINDOW_S] + [now]
        if len(self.deaths) > DEATHS_AT_MOST and not forever:
            raise CannotGoOn(f"{self.name} keeps ending (code {code}); the end of {self.log}:\n{last_lines(self.log)}")
        pause = min(2 ** (len(self.deaths) - 1), LONGEST_PAUSE_S)
        self.restart_at = now + pause
        say(f"{self.name} ended by itself (code {code}); starting it again in {pause} s. Its log: {self.log}")


class Children:
    """Children whose numbers are on record, so that the next command ends them if this process cannot."""

    def __init__(self, record: Path) -> None:
        self.record = record
        self.children: list[Child] = []

    def start(self, children: Iterable[Child]) -> None:
        for child in children:
            self.children.append(child)
            child.start()
            self.write()

    def tend(self, *, forever: bool = False) -> None:
        """Start again what has died or fell silent, once it has paused long enough."""
        now = time.monotonic()
        for child in self.children:
            child.end_if_silent()
            if child.has_died():
                child.plan_restart(now, forever=forever)
            if child.restart_at is not None and now >= child.restart_at:
                child.start()
                self.write()

    def stop(self) -> None:
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        give_up_at = time.monotonic() + STOP_S
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, give_up_at - time.monotonic()))
            end_group(process.pid)
            process.wait()
        self.record.unlink(missing_ok=True)

    def write(self) -> None:
        pids = [child.process.pid for child in self.children if child.process is not None]
        new = self.record.with_suffix(".new")
        new.write_text(json.dumps({str(pid): birth(pid) for pid in pids}))
        new.replace(self.record)  # whoever reads meanwhile, or comes after a crash, reads the whole of one of both


def end_orphans(record: Path) -> None:
    """End the children of an `up` that was killed before it could do so itself."""
    try:
        recorded: dict[str, str] = json.loads(record.read_text())
    except (OSError, ValueError):
        return
    # A number alone may be another program's by now; its number and time of birth together are not.
    orphans = [int(pid) for pid, born in recorded.items() if born and birth(int(pid)) == born]
    if orphans:
        say("Ending what an earlier run left behind …")
    for pid in orphans:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    give_up_at = time.monotonic() + STOP_S
    while any(command_line(pid) for pid in orphans) and time.monotonic() < give_up_at:
        time.sleep(0.1)
    for pid in orphans:
        end_group(pid)
    record.unlink()


def end_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def command_line(pid: int) -> str:
    """Return how the process was started, or nothing if it is gone or a zombie."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return ps(pid, "command=")


def birth(pid: int) -> str:
    """Return when the process was started, in whatever unit the system counts; nothing if it is gone."""
    if Path("/proc/self").exists():
        try:
            # Field 22; the second field, the name in parentheses, may hold anything.
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        except OSError:
            return ""
    return ps(pid, "lstart=")


def ps(pid: int, column: str) -> str:
    done = subprocess.run(["ps", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()
