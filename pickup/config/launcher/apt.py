"""The distribution's packages without installing them: apt fetches and checks them, we only unpack.

No root is needed and nothing of the system is touched: apt's lists, cache and state lie in a folder of ours.
What the system has already is not fetched again.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .console import CannotGoOn, run, say

STATUS = Path("/var/lib/dpkg/status")
# Brought along by dependencies, large, and never used by a server that was not installed: the compiler for
# PostgreSQL's JIT (switched off), and what maintainer scripts run.
UNUSED = re.compile(
    r"(libc6$|libc-bin$|libllvm|libz3-|perl|libperl|locales$|libc-l10n$|openssl$|gnupg|gpg|dirmngr|fonts-dejavu)"
)
INST = re.compile(r"^Inst (?P<name>\S+) (?:\[\S+\] )?\((?P<version>\S+) .*?\[(?P<architecture>\S+)\]\)", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    architecture: str

    @property
    def pin(self) -> str:
        name = self.name.partition(":")[0]
        return f"{name}={self.version}" if self.architecture == "all" else f"{name}:{self.architecture}={self.version}"


@dataclass(frozen=True)
class Apt:
    """apt with its state in a folder of ours, to which the packages named by `forget` look not installed."""

    folder: Path
    forget: re.Pattern[str]
    sources: Path | None = None  # a sources.list instead of the system's
    status: Path = STATUS

    @staticmethod
    def is_here() -> bool:
        return all(shutil.which(program) for program in ("apt-get", "apt-cache", "dpkg-deb"))

    def prepare(self) -> None:
        """Read the package lists, unless that was done within the hour."""
        copy = self.folder / "status"
        if copy.exists() and time.time() - copy.stat().st_mtime < 3600:
            return
        for part in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        known = self.status.read_text(errors="replace") if self.status.exists() else ""
        fresh = without_packages(known, self.forget)
        copy.write_text(fresh)
        say("Reading the distribution's package lists …")
        # A source that does not answer need not be the one we want, so the verdict comes with the packages.
        update = self.command("apt-get", "update", "-qq")
        done = subprocess.run(update, capture_output=True, text=True, errors="replace", check=False)
        if not any((self.folder / "state" / "lists").glob("*_Packages*")):
            self.forget_lists()
            problems = "\n    ".join((done.stdout + done.stderr).strip().splitlines()[:5])
            raise CannotGoOn(f"the distribution's package lists cannot be read:\n    {problems}")

    def forget_lists(self) -> None:
        """They are a hundred megabytes, and out of date by the time they are wanted again."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, program: str, *arguments: str) -> list[str]:
        options = {
            "Dir::State": str(self.folder / "state"),
            "Dir::State::status": str(self.folder / "status"),
            "Dir::Cache": str(self.folder / "cache"),
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        if self.sources is not None:
            options |= {"Dir::Etc::sourcelist": str(self.sources), "Dir::Etc::sourceparts": "/dev/null"}
        return [program, *(part for pair in options.items() for part in ("-o", "=".join(pair))), *arguments]

    def names(self, pattern: str) -> list[str]:
        listed = run(self.command("apt-cache", "search", "--names-only", pattern), failure="apt cannot be asked")
        return [line.split()[0] for line in listed.splitlines() if line.strip()]

    def candidate(self, package: str) -> str:
        """Return the version that would be installed, or nothing where the package is unknown."""
        policy = run(self.command("apt-cache", "policy", package), failure="apt cannot be asked")
        found = re.search(r"Candidate: (\S+)", policy)
        return found[1] if found and found[1] != "(none)" else ""

    def missing(self, wanted: Sequence[str]) -> list[Package]:
        """Return what has to be fetched for the wanted packages to run here."""
        install = ["install", "--simulate", "--quiet", "--no-install-recommends", *wanted]
        planned = run(self.command("apt-get", *install), failure=f"apt finds no way to get {' '.join(wanted)}")
        return needed(parse_plan(planned), libc_here())

    def unpack(self, packages: Sequence[Package], into: Path) -> None:
        """Fetch the packages and lay them out under `into`, which appears only when it is complete."""
        debs = self.folder / "debs"
        shutil.rmtree(debs, ignore_errors=True)
        debs.mkdir()
        run(
            self.command("apt-get", "download", "-qq", *(package.pin for package in packages)),
            cwd=debs,
            failure="the packages could not be fetched",
        )
        say("Unpacking …")
        fresh = into.with_name(f"{into.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda deb: unpack_one(deb, fresh), sorted(debs.glob("*.deb"))))
        finish_alternatives(fresh)
        shutil.rmtree(into, ignore_errors=True)
        fresh.rename(into)
        shutil.rmtree(debs)


def without_packages(status: str, forget: re.Pattern[str]) -> str:
    """Return dpkg's status file without the stanzas of the packages to forget."""
    kept = [
        stanza
        for stanza in status.split("\n\n")
        if not ((name := re.search(r"^Package: (\S+)", stanza, re.MULTILINE)) and forget.match(name[1]))
    ]
    return "\n\n".join(kept)


def parse_plan(simulated: str) -> list[Package]:
    return [Package(**found.groupdict()) for found in INST.finditer(simulated)]


def needed(plan: Sequence[Package], libc: tuple[int, ...]) -> list[Package]:
    """Drop what never runs here, the C library among it, and refuse a plan made for a newer one than `libc`.

    Every program of ours starts with the system's loader, which does not go with another C library.
    """
    for package in plan:
        if package.name.partition(":")[0] == "libc6" and version_of(package.version) > libc:
            raise CannotGoOn(
                f"the packages need the C library {package.version}, which is newer than this system's. "
                "Upgrade the system, or install PostgreSQL with PostGIS, Redis and Chromium by hand."
            )
    return [package for package in plan if not UNUSED.match(package.name)]


def version_of(text: str) -> tuple[int, ...]:
    """Return the first two numbers: (2, 36) of 2.36-9+deb12u13 or of glibc 2.36."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def libc_here() -> tuple[int, ...]:
    return version_of(os.confstr("CS_GNU_LIBC_VERSION") or "")


def unpack_one(deb: Path, into: Path) -> None:
    run(["dpkg-deb", "-x", deb, into], failure=f"{deb.name} cannot be unpacked")


def finish_alternatives(root: Path) -> None:
    """Link `postgis-3.control` as `postgis.control`, as Debian's update-alternatives does on installing."""
    for control in root.glob("usr/share/postgresql/*/extension/postgis*-3.control"):
        link = control.with_name(control.name.replace("-3.control", ".control"))
        if not link.exists():
            link.symlink_to(control.name)


def folders_of_libraries(root: Path) -> list[Path]:
    """Return where an unpack keeps libraries, the folders beside the usual ones (blas, lapack) included."""
    triplet = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    usual = [root / "usr/lib" / triplet, root / "lib" / triplet, root / "usr/lib"]
    beside = {library.parent for folder in usual[:2] for library in folder.glob("*/lib*.so*")}
    return [*filter(Path.is_dir, usual), *sorted(beside)]
