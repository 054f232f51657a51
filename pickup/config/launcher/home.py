"""PICKUP_HOME: the git-ignored folder of one installation's secrets, private servers, logs and locks."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import secrets
import stat
import subprocess
import tempfile
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .console import CannotGoOn, say

PROJECT = Path(__file__).resolve().parents[3]
ROOM_FOR_SERVERS = Path("/var/lib/pickup-network")  # for root whose own folders the servers' user cannot enter
LONGEST_SOCKET_PATH = 103  # bytes; Linux allows 107, macOS 103
LONGEST_SOCKET_NAME = "/.s.PGSQL.5432.lock"


@dataclass(frozen=True)
class Owner:
    """The user that the servers run as, who owns their data; PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    @property
    def drop(self) -> tuple[int | None, int | None]:
        """The user and group to change to before a program starts; nothing where we are that user already."""
        return (None, None) if self.uid == os.geteuid() else (self.uid, self.gid)


@dataclass(frozen=True)
class Home:
    root: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Home:
        return cls(Path(environ.get("PICKUP_HOME") or PROJECT / ".local").absolute())

    def make(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            (self.root / "logs").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CannotGoOn(f"{self.root} cannot be made: {error}") from error

    def make_secrets(self) -> Path:
        """Write the keys of this installation once; whoever loses them loses what they encrypt and sign."""
        path = self.root / "secrets.json"
        if path.exists():
            return path
        fresh = self.root / f"secrets.{os.getpid()}.new"
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(new_secrets(), file, indent=2)
        try:
            os.link(fresh, path)  # unlike a rename, it never replaces what another process wrote meanwhile
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        return path

    def servers_root(self, owner: Owner) -> Path:
        """Where the servers' programs and data lie: here, unless their user cannot enter (root's home)."""
        if owner.drop == (None, None) or can_enter(self.root, owner):
            return self.root
        away = ROOM_FOR_SERVERS / hashlib.sha256(bytes(self.root)).hexdigest()[:12]
        if not away.exists():
            say(f"PostgreSQL cannot run as root, and its user cannot enter {self.root}: using {away}.")
            away.mkdir(parents=True)
        return away

    def socket_folder(self, owner: Owner) -> Path:
        """A folder for sockets that only the servers' user enters, with a short path, the same each time.

        Its name is random and remembered here: another user of the machine could take a predictable one.
        """
        remembered = self.root / "sockets"
        try:
            folder = Path(remembered.read_text())
        except OSError:
            folder = None
        if folder is None or not claim(folder, owner):
            folder = Path(tempfile.mkdtemp(prefix="pickup-", dir=short_temporary_folder()))
            os.chown(folder, owner.uid, owner.gid)
            remembered.write_text(str(folder))
        return folder


def new_secrets() -> dict[str, object]:
    """Return fresh keys. `field_keys` and `signing_keys` have room for more: keys are replaced in time."""
    return {
        "django_secret_key": secrets.token_urlsafe(50),
        "code_key": b64encode(secrets.token_bytes(32)).decode(),
        "field_keys": [urlsafe_b64encode(secrets.token_bytes(32)).decode()],
        "signing_keys": {"1": b64encode(secrets.token_bytes(32)).decode()},
    }


def owner_of(data: Path) -> Owner:
    """Return whom the servers run as: this user; for root, the owner of the data, else postgres or nobody."""
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid())
    if data.exists() and (found := data.stat()).st_uid != 0:
        return Owner(found.st_uid, found.st_gid)
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(user.pw_uid, user.pw_gid)
    raise CannotGoOn("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")


def can_enter(folder: Path, owner: Owner) -> bool:
    command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]
    uid, gid = owner.drop
    done = subprocess.run(command, user=uid, group=gid, extra_groups=[], cwd="/", capture_output=True, check=False)
    return done.returncode == 0


def short_temporary_folder() -> Path:
    folder = Path(tempfile.gettempdir())
    longest = f"{folder}/pickup-12345678{LONGEST_SOCKET_NAME}"
    return folder if len(os.fsencode(longest)) <= LONGEST_SOCKET_PATH else Path("/tmp")  # noqa: S108


def claim(folder: Path, owner: Owner) -> bool:
    """Make the folder if it is gone (a reboot empties /tmp); tell whether it is the owner's alone."""
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, owner.uid, owner.gid)
    except FileExistsError:
        pass
    except OSError:
        return False
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner.uid and stat.S_IMODE(found.st_mode) == 0o700


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """Hold a lock on the file, which need not exist; the kernel lets go of it however this process ends.

    Yields whether the lock was had, which without `wait` may be false.
    """
    writable = path.parent if not path.exists() else path
    if os.access(writable, os.W_OK):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    else:
        descriptor = os.open(path, os.O_RDONLY)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                yield False
                return
            say(f"Waiting for another command that works on {path.parent} …")
            fcntl.flock(descriptor, kind)
        yield True
    finally:
        os.close(descriptor)
