"""Nothing outlives a test run, not even one that is killed: what it started in a folder is ended when it is gone.

A test run that gets SIGKILL tidies nothing up, and the servers, workers and `up` that it started would run on for
ever. So a process in a session of its own holds the other end of a pipe. When the pipe ends without a word, whoever
held it was killed; everything that belongs to the folder is ended then, and the folder deleted.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GIVE_UP_S = 30


@contextmanager
def none_left(folder: Path) -> Iterator[None]:
    """End what belongs to this folder as soon as this process is killed; a tidy end is left to the caller."""
    watcher = subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert watcher.stdin is not None
    try:
        yield
    finally:
        with suppress(BrokenPipeError):
            watcher.communicate(b"tidy")


def belonging_to(folder: Path) -> list[int]:
    """The processes that name the folder in their command or their PICKUP_HOME, or that work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) in (os.getpid(), os.getppid()):
            continue
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            variables = (process / "environ").read_bytes().split(b"\0")
            inside = (process / "cwd").resolve()
            named = any(is_inside(os.fsdecode(part), folder) for part in command)
            if named or b"PICKUP_HOME=" + os.fsencode(folder) in variables or inside.is_relative_to(folder):
                found.append(int(process.name))
    return found


def is_inside(argument: str, folder: Path) -> bool:
    return argument == str(folder) or argument.startswith(f"{folder}/")


def end(folder: Path) -> None:
    """Kill until nobody is left: a watched process is started again by another one that is still there."""
    give_up_at = time.monotonic() + GIVE_UP_S
    while (pids := belonging_to(folder)) and time.monotonic() < give_up_at:
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    with suppress(OSError):
        sockets = Path((folder / "sockets").read_text())
        if sockets.is_dir() and sockets.name.startswith("pickup-"):
            shutil.rmtree(sockets)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if not sys.stdin.buffer.read():
        end(Path(sys.argv[1]))
