"""What the launcher says, and how it gives up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

LINES_OF_A_FAILURE = 25


class CannotGoOn(Exception):
    """The reason, in words for the person at the terminal, who is shown no traceback."""


def say(text: str) -> None:
    """Tell what happens, on stderr: the stdout of a command may be read by a program.

    A terminal that was closed must not keep us from stopping in order, so nobody need be listening.
    """
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    failure: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str = "",
    uid: int | None = None,
    gid: int | None = None,
) -> str:
    """Run a program to its end and return its stdout; if it fails, its last lines become the reason."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=env,
            cwd=cwd,
            input=stdin,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise CannotGoOn(f"{failure}: {error}") from error
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()[-LINES_OF_A_FAILURE:]
        raise CannotGoOn("\n    ".join([f"{failure} (exit code {done.returncode}):", *lines]))
    return done.stdout


def last_lines(log: Path, count: int = LINES_OF_A_FAILURE) -> str:
    """Return the end of a log, indented, or nothing where there is no log."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in lines)
