"""A Chromium and a Chinese font for the browser tests: the system's, else unpacked like the servers.

Nothing is installed, for root neither: an unpack touches nothing of the system and takes a third of the time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shlex import quote

from .apt import Apt, folders_of_libraries
from .console import CannotGoOn, say

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
)
CHINESE_FONT = re.compile(r"cjk|wqy|sourcehan|droidsansfallback|pingfang", re.IGNORECASE)
BROWSER, FONT, DRIVER_LIBRARY = "chromium", "fonts-noto-cjk", "libatomic1"
KEYRING = "debian-archive-keyring"
# Ubuntu's chromium is a script that asks for a snap; the real one is Debian's, whose keys Ubuntu ships. Which mirror
# of Debian to ask is the machine's to say.
DEBIAN = "deb [signed-by={keyring}] {mirror} {suite} main\n"
DEBIAN_MIRROR = "PICKUP_DEBIAN_MIRROR"
DEBIAN_SUITE = "bookworm"
BY_HAND = "Install Chromium and the font Noto Sans CJK, or set CHROMIUM to a browser's path."
ON_THE_MACHINE = "CHROMIUM"
PLAYWRIGHT_NODE = "PLAYWRIGHT_NODEJS_PATH"


@dataclass(frozen=True)
class Unpacked:
    """What was taken out of packages, and the scripts that start programs with it."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def browser(self) -> Path:
        return self.folder / "chromium"

    @property
    def node(self) -> Path:
        return self.folder / "node"

    def serves(self, packages: Sequence[str]) -> bool:
        return ((BROWSER not in packages and FONT not in packages) or works(self.browser)) and (
            DRIVER_LIBRARY not in packages or works(self.node)
        )

    def variables(self, packages: Sequence[str]) -> dict[str, str]:
        found = {ON_THE_MACHINE: str(self.browser)} if {BROWSER, FONT} & set(packages) else {}
        return found | ({PLAYWRIGHT_NODE: str(self.node)} if DRIVER_LIBRARY in packages else {})


def variables(place: Path) -> dict[str, str]:
    """Return what the tests need in their environment, after getting what is missing.

    CHROMIUM is the browser's path; if it is set already, that browser is taken with the fonts there are.
    """
    packages = missing()
    found = {} if BROWSER in packages else {ON_THE_MACHINE: str(installed_browser())}
    if not packages:
        return found
    unpacked = Unpacked(place / "browser")
    if not unpacked.serves(packages):
        if not Apt.is_here():
            raise CannotGoOn(f"{' and '.join(packages)}: not here, and there is no apt to fetch it. {BY_HAND}")
        fetch(packages, unpacked)
    return found | unpacked.variables(packages)


def missing() -> list[str]:
    """Return the packages that the system does not have; PICKUP_BROWSER=unpack tries what a bare one does."""
    if os.environ.get("PICKUP_BROWSER") == "unpack":
        return [BROWSER, FONT, DRIVER_LIBRARY]
    here = {
        BROWSER: installed_browser() is not None,
        FONT: ON_THE_MACHINE in os.environ or has_chinese_font(),
        DRIVER_LIBRARY: (node := driver()) is None or works(node),
    }
    return [package for package, is_here in here.items() if not is_here]


def installed_browser() -> Path | None:
    if chosen := os.environ.get(ON_THE_MACHINE):
        return Path(chosen)
    found = (shutil.which(name) for name in NAMES)
    return next((Path(path) for path in found if path and works(Path(path))), None)


def driver() -> Path | None:
    """Return the Node.js that Playwright brings along, which needs a library that a bare system lacks."""
    spec = find_spec("playwright")
    return Path(spec.origin).parent / "driver" / "node" if spec and spec.origin else None


def works(program: Path) -> bool:
    """Tell whether it names its version: Ubuntu has a `chromium-browser` that only asks for a snap."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and re.search(r"(Chrom\S* |v)\d+", done.stdout) is not None


def has_chinese_font() -> bool:
    folders = [Path(folder).expanduser() for folder in FONT_FOLDERS]
    return any(CHINESE_FONT.search(file) for folder in folders for _, _, files in os.walk(folder) for file in files)


def fetch(packages: Sequence[str], unpacked: Unpacked) -> None:
    """Lay the packages out in a folder of ours and write the scripts that start programs with them."""
    unpacked.folder.mkdir(parents=True, exist_ok=True)
    apt = Apt(unpacked.folder / "apt", forget=re.compile("chromium|fonts-noto-cjk|libatomic1"))
    apt.prepare()
    if BROWSER in packages and is_stub(apt.candidate(BROWSER)):
        apt = debian(apt, unpacked.folder)
    say(f"Fetching {', '.join(packages)} for the browser tests (nothing is installed; a minute or so) …")
    apt.unpack(apt.missing(packages), unpacked.root)
    apt.forget_lists()
    write_scripts(unpacked)
    if not unpacked.serves(packages):
        raise CannotGoOn(f"the unpacked Chromium does not start. {BY_HAND}")


def is_stub(version: str) -> bool:
    return not version or "snap" in version


def debian(apt: Apt, folder: Path) -> Apt:
    """Return an apt that asks Debian instead, checking with the keys that this distribution vouches for.

    Everything comes from there but the C library: libraries of two distributions are not mixed.
    """
    mirror = os.environ.get(DEBIAN_MIRROR)
    if not mirror:
        raise CannotGoOn(
            f"this distribution has no Chromium but a snap. {BY_HAND} Or set {DEBIAN_MIRROR} to a mirror of Debian."
        )
    keys = folder / "keys"
    apt.unpack(apt.missing([KEYRING]), keys)
    apt.forget_lists()
    sources = folder / "sources.list"
    keyring = keys / "usr/share/keyrings" / f"{KEYRING}.gpg"
    sources.write_text(DEBIAN.format(keyring=keyring, mirror=mirror, suite=DEBIAN_SUITE))
    other = Apt(folder / "apt", forget=re.compile(""), sources=sources)
    other.prepare()
    return other


def write_scripts(unpacked: Unpacked) -> None:
    folder, root = unpacked.folder, unpacked.root
    fonts = folder / "fonts.conf"
    fonts.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>\n'
        '<include ignore_missing="yes">/etc/fonts/fonts.conf</include>\n'
        f"<dir>/usr/share/fonts</dir><dir>{root}/usr/share/fonts</dir>\n"
        f"<cachedir>{folder}/fonts-cache</cachedir></fontconfig>\n"
    )
    own = root / "usr/lib/chromium/chromium"
    # Its sandbox needs a setuid program, or rights that many systems deny; our tests visit only us.
    browser, options = (own, ["--no-sandbox"]) if own.exists() else (installed_browser(), [])
    libraries = {"LD_LIBRARY_PATH": ":".join(map(str, folders_of_libraries(root)))}
    if browser:
        alone = {} if browser != own else libraries
        write_script(unpacked.browser, [browser, *options], {"FONTCONFIG_FILE": str(fonts), **alone})
    if node := driver():
        write_script(unpacked.node, [node], libraries)


def write_script(script: Path, command: Sequence[object], variables: dict[str, str]) -> None:
    exports = "".join(f"export {name}={quote(value)}\n" for name, value in variables.items())
    script.write_text(f'#!/bin/sh\n{exports}exec {" ".join(quote(str(part)) for part in command)} "$@"\n')
    script.chmod(0o755)
