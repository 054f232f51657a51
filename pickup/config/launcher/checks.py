"""All that must hold before a change is done, in one list: `manage.py test`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .console import say
from .home import PROJECT


@dataclass(frozen=True)
class Check:
    name: str
    command: tuple[str, ...]


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """Run a tool as a module: the scripts beside the interpreter break when the environment is moved."""
    return (sys.executable, "-m", name, *arguments)


LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
# As many workers as cores, each with a database of its own. Each has tests that follow each other, for what a file's
# tests share; whoever is done takes half of what another one has left.
PARALLEL = ("--numprocesses=auto", "--dist=worksteal")
PYTEST = Check("pytest", module("pytest"))
CHECKS = (
    Check("ruff format --check .", module("ruff", "format", "--check", ".")),
    Check("ruff check .", module("ruff", "check", ".")),
    Check("mypy", module("mypy")),
    Check("lint-imports", (sys.executable, "-c", LINT_IMPORTS)),
    Check("makemigrations --check", module("django", "makemigrations", "--check", "--dry-run")),
    Check("check --deploy", module("django", "check", "--deploy", "--fail-level", "WARNING")),
    Check("pytest, with coverage", module("pytest", *PARALLEL, "--cov", "--cov-branch", "--cov-report=term")),
)


def run_all(pytest_arguments: Sequence[str]) -> int:
    """Run every check whatever the others say, or only pytest if it has arguments; return the exit code."""
    if pytest_arguments:
        return run(Check(PYTEST.name, (*PYTEST.command, *pytest_arguments)))
    results = []
    for check in CHECKS:
        say(f"\n── {check.name}")
        began = time.monotonic()
        results.append((check, run(check), time.monotonic() - began))
    say("\n── Summary")
    for check, code, seconds in results:
        say(f"{'passed' if code == 0 else 'FAILED'}  {seconds:6.1f} s  {check.name}")
    return int(any(code for _, code, _ in results))


def run(check: Check) -> int:
    return subprocess.run(check.command, cwd=PROJECT, check=False).returncode
