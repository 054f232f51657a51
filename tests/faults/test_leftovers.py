"""A test run that is killed leaves nothing behind that runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pickup.config.launcher import processes
from pickup.config.launcher.home import PROJECT
from tests.faults.live import until
from tests.leftovers import belonging_to, none_left

# What a test run does: it starts servers in sessions of their own, and is there until somebody kills it.
RUN = """
import os, subprocess, sys, time
from contextlib import nullcontext
from pathlib import Path
from tests.leftovers import none_left

folder = Path(sys.argv[1])
with none_left(folder) if sys.argv[2] == "watched" else nullcontext():
    wait = [sys.executable, "-c", "import time; time.sleep(600)"]
    own = {"start_new_session": True, "stdout": subprocess.DEVNULL}
    started = [
        subprocess.Popen([*wait, f"{folder}/data"], **own),
        subprocess.Popen(wait, env={**os.environ, "PICKUP_HOME": str(folder)}, **own),
        subprocess.Popen(wait, cwd=folder, **own),
        subprocess.Popen([*wait, f"{folder}-of-somebody-else"], **own),
    ]
    print(*(one.pid for one in started), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def started() -> Iterator[list[int]]:
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def killed_run(folder: Path, how: str) -> list[int]:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), how], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        pids = [int(pid) for pid in run.stdout.readline().split()]
        run.kill()
    return pids


def test_what_a_killed_run_started_in_its_folder_is_ended_and_nothing_else(tmp_path: Path, started: list[int]) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    started += killed_run(folder, "watched")
    *ours, theirs = started
    until(lambda: not any(map(processes.command_line, ours)), say="what was started is ended")
    until(lambda: not folder.exists(), say="its folder is deleted")
    assert processes.command_line(theirs)


def test_control_without_the_watcher_it_runs_on(tmp_path: Path, started: list[int]) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    started += killed_run(folder, "alone")
    assert sorted(belonging_to(folder)) == sorted(started[:3])
    assert folder.exists()


def test_a_run_that_ends_tidily_tidies_up_itself(tmp_path: Path, started: list[int]) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    with none_left(folder):
        started.append(subprocess.Popen(["sleep", "600"], cwd=folder).pid)
    assert folder.exists()
    assert processes.command_line(started[0])
