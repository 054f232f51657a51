"""The servers' programs: the system's where they are complete, else the distribution's packages unpacked."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .apt import Apt, folders_of_libraries
from .console import CannotGoOn, run, say

OLDEST_POSTGRES = 15  # the first with NULLS NOT DISTINCT
BY_HAND = (
    "Install PostgreSQL 15 or newer with PostGIS 3, and Redis (macOS: brew install postgis redis; "
    "Fedora: dnf install postgresql-server postgresql-contrib postgis redis), or set DATABASE_URL and "
    "CELERY_BROKER_URL to servers you have."
)
SERVER_PACKAGES = re.compile(r"(postgresql|postgis|redis|valkey)")


@dataclass(frozen=True)
class Programs:
    """A folder of executables and the environment they need."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)


@dataclass(frozen=True)
class Layout:
    """Where a system keeps PostgreSQL's executables and its extensions' control files."""

    executables: str
    extensions: str


LAYOUTS = (
    Layout("usr/lib/postgresql/{major}/bin", "usr/share/postgresql/{major}/extension"),  # Debian, Ubuntu
    Layout("usr/pgsql-{major}/bin", "usr/pgsql-{major}/share/extension"),  # PostgreSQL's own rpm packages
    Layout("opt/homebrew/opt/postgresql@{major}/bin", "opt/homebrew/share/postgresql@{major}/extension"),
    Layout("usr/local/opt/postgresql@{major}/bin", "usr/local/share/postgresql@{major}/extension"),
)


def find_postgres(root: Path, major: int | None) -> Path | None:
    """Return the executables of the newest PostgreSQL under `root` that has PostGIS, or of that major."""
    found: dict[int, Path] = {}
    for layout in LAYOUTS:
        around = re.compile(re.escape(layout.executables).replace(re.escape("{major}"), r"(\d+)") + "$")
        for folder in root.glob(layout.executables.format(major="*")):
            version = around.search(str(folder))
            if version is None or not (folder / "postgres").exists() or not (folder / "initdb").exists():
                continue
            control = root / layout.extensions.format(major=version[1]) / "postgis.control"
            if control.exists():
                found.setdefault(int(version[1]), folder)
    usable = [version for version in found if version >= OLDEST_POSTGRES and major in {None, version}]
    return found[max(usable)] if usable else None


def find_redis() -> Path | None:
    folders = [*os.environ.get("PATH", "").split(":"), "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"]
    program = shutil.which("redis-server", path=":".join(folders))
    return Path(program).parent if program else None


@dataclass(frozen=True)
class Shelf:
    """The programs of one installation: looked for, and fetched where they are missing."""

    place: Path

    def postgres(self, major: int | None) -> Programs:
        """Return PostgreSQL with PostGIS; `major` is that of the data, which no other version can read."""
        unpacked = self.place / "servers" / "postgres"
        if not must_unpack() and (system := find_postgres(Path("/"), major)):
            return Programs(system)
        if programs := unpacked_postgres(unpacked, major):
            return programs
        apt = self.apt(f"PostgreSQL {major or ''} with PostGIS")
        wanted = choose_postgres(apt.names("^postgresql-[0-9]+-postgis-3$"), major)
        fetch(apt, wanted, unpacked)
        if programs := unpacked_postgres(unpacked, major):
            return programs
        raise CannotGoOn(f"the unpacked {wanted[0]} does not start here. {BY_HAND}")

    def redis(self) -> Programs:
        unpacked = self.place / "servers" / "redis"
        if not must_unpack() and (system := find_redis()):
            return Programs(system)
        if programs := unpacked_redis(unpacked):
            return programs
        fetch(self.apt("Redis"), ["redis-server"], unpacked)
        if programs := unpacked_redis(unpacked):
            return programs
        raise CannotGoOn(f"the unpacked Redis does not start here. {BY_HAND}")

    def forget_lists(self) -> None:
        Apt(self.place / "servers" / "apt", forget=SERVER_PACKAGES).forget_lists()

    def apt(self, missing: str) -> Apt:
        if not Apt.is_here():
            raise CannotGoOn(f"{missing} is not installed here, and there is no apt to fetch it. {BY_HAND}")
        apt = Apt(self.place / "servers" / "apt", forget=SERVER_PACKAGES)
        apt.prepare()
        return apt


def must_unpack() -> bool:
    """PICKUP_SERVERS=unpack leaves the system's programs alone, to try what a machine without them does."""
    return os.environ.get("PICKUP_SERVERS") == "unpack"


def choose_postgres(extensions: Iterable[str], major: int | None) -> list[str]:
    """From names like postgresql-17-postgis-3, choose the newest usable major's packages, or `major`'s."""
    majors = [int(found[1]) for name in extensions if (found := re.match(r"postgresql-(\d+)-postgis-3$", name))]
    usable = [version for version in majors if version >= OLDEST_POSTGRES and major in {None, version}]
    if not usable:
        wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST_POSTGRES} or newer"
        raise CannotGoOn(f"this distribution's packages have no {wanted} with PostGIS 3. {BY_HAND}")
    newest = max(usable)
    return [f"postgresql-{newest}", f"postgresql-{newest}-postgis-3"]


def fetch(apt: Apt, wanted: Sequence[str], into: Path) -> None:
    packages = apt.missing(wanted)
    say(f"Fetching {' and '.join(wanted)} for this project alone ({len(packages)} packages; a minute or so) …")
    apt.unpack(packages, into)


def unpacked_postgres(root: Path, major: int | None) -> Programs | None:
    folder = find_postgres(root, major)
    if folder is None:
        return None
    programs = of_unpack(root, folder)
    extension = folder.parent / "lib" / "postgis-3.so"
    return programs if starts(programs["postgres"], programs) and links(extension, programs) else None


def unpacked_redis(root: Path) -> Programs | None:
    programs = of_unpack(root, root / "usr" / "bin")
    return programs if starts(programs["redis-server"], programs) else None


def of_unpack(root: Path, folder: Path) -> Programs:
    """Programs taken out of their packages find their libraries and data only where they are told to."""
    return Programs(
        folder,
        {
            "LD_LIBRARY_PATH": ":".join(map(str, folders_of_libraries(root))),
            "PROJ_DATA": str(root / "usr/share/proj"),
            "GDAL_DATA": str(root / "usr/share/gdal"),
        },
    )


# An unpack outlives an upgrade of the system whose libraries it leans on, so it is tried before it is used.


def starts(program: str, programs: Programs) -> bool:
    return output_of([program, "--version"], programs) is not None


def links(library: Path, programs: Programs) -> bool:
    found = output_of(["ldd", str(library)], programs)
    return found is not None and "not found" not in found


def output_of(command: Sequence[str], programs: Programs) -> str | None:
    try:
        return run(command, env={"PATH": os.defpath, **programs.env}, failure=command[0])
    except CannotGoOn:
        return None
