"""The Python environment: `.venv` in the project's folder, holding exactly what the lock names."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

from . import pip_wheel
from .apt import Apt
from .console import CannotGoOn, run, say
from .home import PROJECT, locked

VENV = PROJECT / ".venv"
PYTHON = VENV / "bin" / "python"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
STAMP = VENV / "installed.json"  # {requirements file: SHA-256 of what was installed from it}
RUN_TIME = PROJECT / "requirements.txt"
WITH_TESTS = PROJECT / "requirements-dev.txt"  # holds everything that RUN_TIME holds, at the same versions


def enter(*, with_tests: bool) -> None:
    """Go on inside the environment: this process is replaced by one that runs there, unless it does already.

    PICKUP_ENV=current keeps the interpreter as it is, for a packager who brings the libraries.
    """
    if os.environ.get("PICKUP_ENV") == "current":
        return
    # Nothing is compiled beforehand (see `install`): without its result kept, each process would compile all libraries.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    wanted = WITH_TESTS if with_tests else RUN_TIME
    with locked(RUN_TIME):  # two first commands at once would install over each other
        if not PYTHON.exists():
            make()
        if not is_installed(wanted, read_stamp()):
            install(wanted)
    if Path(sys.prefix).resolve() != VENV.resolve():
        sys.stdout.flush()
        os.execv(PYTHON, [str(PYTHON), *sys.orig_argv[1:]])  # noqa: S606


def make() -> None:
    say(f"Making the Python environment {VENV} ({sys.version.split()[0]}) …")
    try:
        # Debian packages ensurepip apart from venv, so pip comes in a step of its own.
        venv.EnvBuilder(with_pip=False, symlinks=True, clear=True).create(VENV)
    except OSError as error:
        raise CannotGoOn(f"the Python environment cannot be made: {error}") from error


def install(requirements: Path) -> None:
    ensure_pip()
    count = sum("==" in line for line in requirements.read_text().splitlines())
    say(f"Installing {count} packages from {requirements.name} (half a minute or more the first time) …")
    STAMP.unlink(missing_ok=True)
    # The lock is complete, so pip need not resolve anything. Its output goes to stderr like all we say.
    command = [str(PYTHON), "-m", "pip", "install", "-qq", "--no-deps", "--require-hashes", "--no-input"]
    # Compiling every module here takes longer than fetching them; Python compiles those that it imports, once.
    options = [
        "--no-compile",
        "--disable-pip-version-check",
        "--no-warn-script-location",
        "-r",
        str(requirements),
    ]
    done = subprocess.run([*command, *options], stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise CannotGoOn("the Python packages could not be installed: see the lines above")
    STAMP.write_text(json.dumps(stamp_after(requirements)))


def ensure_pip() -> None:
    if subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return
    if find_spec("ensurepip"):
        run([PYTHON, "-m", "ensurepip"], failure="pip could not be installed")
        return
    settings = pip_wheel.IndexSettings.of_this_machine()
    say(f"This Python comes without pip: fetching {pip_wheel.NAME} …")
    try:
        content = pip_wheel.fetch(settings)
    except CannotGoOn:
        if not Apt.is_here():
            raise
        wheel = wheel_of_the_distribution()
    else:
        wheel = VENV / pip_wheel.NAME
        wheel.write_bytes(content)
    # A wheel is a zip file, which Python runs as it is: pip installs itself.
    run([PYTHON, wheel / "pip", "install", "--no-index", wheel], failure="pip could not be installed")
    wheel.unlink()


def wheel_of_the_distribution() -> Path:
    """Take pip out of the distribution's package, whose signature apt checks; pip knows its index by itself.

    That pip trusts the machine's certificate authorities. A bare machine has none, so they come along.
    """
    say("No index has it, or none is configured: taking pip from the distribution's packages …")
    apt = Apt(VENV / "apt", forget=re.compile("python3-pip-whl"))
    apt.prepare()
    wanted = {"python3-pip-whl"} | (set() if AUTHORITIES.exists() else {"ca-certificates"})
    packages = [package for package in apt.missing(sorted(wanted)) if package.name.partition(":")[0] in wanted]
    root = VENV / "pip"
    apt.unpack(packages, root)
    apt.forget_lists()
    if not AUTHORITIES.exists():
        own = VENV / "authorities.pem"
        own.write_text("".join(path.read_text() for path in sorted(root.glob("usr/share/ca-certificates/**/*.crt"))))
        (VENV / "pip.conf").write_text(f"[global]\ncert = {own}\n")
    wheel = next(root.glob("usr/share/python-wheels/pip-*.whl"), None)
    if wheel is None:
        raise CannotGoOn("the distribution's package has no pip: apt install python3-venv, or set PIP_INDEX_URL")
    return wheel


def digest(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes()).hexdigest()


def read_stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp


def is_installed(requirements: Path, stamp: dict[str, str]) -> bool:
    return stamp.get(requirements.name) == digest(requirements)


def stamp_after(requirements: Path) -> dict[str, str]:
    """What is installed once `requirements` is; the tests' file brings all that the other one has."""
    covered = [WITH_TESTS, RUN_TIME] if requirements == WITH_TESTS else [requirements]
    return {path.name: digest(path) for path in covered}
