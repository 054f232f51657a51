"""pip for a Python that comes without it: its wheel from the index that pip itself would ask."""

from __future__ import annotations

import configparser
import hashlib
import html
import os
import re
import ssl
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from .console import CannotGoOn, say

NAME = "pip-25.3-py3-none-any.whl"
SHA256 = "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"
TIMEOUT_S = 60


@dataclass(frozen=True)
class IndexSettings:
    """Where pip was told to look, and the certificate authorities to trust there (`None`: the machine's).

    Without any word of that there are no urls: where pip looks by itself only pip knows.
    """

    urls: tuple[str, ...]
    authorities: str | None = None

    @classmethod
    def of_this_machine(cls) -> IndexSettings:
        return cls.read(os.environ, config_files(os.environ))

    @classmethod
    def read(cls, environ: Mapping[str, str], files: Iterable[Path]) -> IndexSettings:
        """Merge pip's configuration files, the later over the earlier, and the environment over them all."""
        options: dict[str, str] = {}
        for path in files:
            config = configparser.RawConfigParser()
            try:
                config.read(path, encoding="utf-8")
            except configparser.Error as error:
                raise CannotGoOn(f"pip's configuration cannot be read: {error}") from error
            for section in ("global", "install"):
                if config.has_section(section):
                    options |= dict(config.items(section))
        for name in ("index-url", "extra-index-url", "cert"):
            options[name] = environ.get(f"PIP_{name.upper().replace('-', '_')}") or options.get(name, "")
        urls = (*options["index-url"].split(), *options["extra-index-url"].split())
        return cls(urls=tuple(url.rstrip("/") for url in urls), authorities=options["cert"] or None)


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """pip's own configuration files, weakest first; PIP_CONFIG_FILE=/dev/null switches them off."""
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    user = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    shared = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf")]
    own = [Path.home() / ".pip" / "pip.conf", user / "pip" / "pip.conf"]
    return [*shared, *own, *([Path(chosen)] if chosen else [])]


def fetch(settings: IndexSettings) -> bytes:
    """Return the wheel from the first index that has it; with a known hash, no index can pass off another."""
    problems = []
    for index in settings.urls:
        page = f"{index}/pip/"
        try:
            link = find_link(read(page, settings).decode(errors="replace"), page)
            if link is None:
                problems.append(f"{without_password(page)} does not list {NAME}")
                continue
            return checked(read(link, settings))
        except (OSError, ValueError) as error:
            problems.append(f"{without_password(page)}: {error}")
    hint = "Install pip for this Python (Debian and Ubuntu: apt install python3-venv), or set PIP_INDEX_URL."
    raise CannotGoOn("\n    ".join(["pip could not be fetched:", *problems, hint]))


def find_link(page: str, address: str) -> str | None:
    """Return the wheel's address as an index page (PEP 503) gives it; it may be relative to the page's."""
    for href in re.findall(r"""<a\s[^>]*href=["']([^"']+)["']""", page, re.IGNORECASE):
        link = urldefrag(urljoin(address, html.unescape(href))).url
        if unquote(urlsplit(link).path).endswith(f"/{NAME}"):
            return link
    return None


def checked(wheel: bytes) -> bytes:
    if hashlib.sha256(wheel).hexdigest() != SHA256:
        raise CannotGoOn(f"the index gave a {NAME} with another content than was published: not using it")
    return wheel


def read(url: str, settings: IndexSettings) -> bytes:
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        return (path / "index.html" if path.is_dir() else path).read_bytes()
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"unknown kind of address: {parts.scheme}")
    request = Request(without_password(url))  # noqa: S310 - the scheme is checked above
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", f"Basic {b64encode(pair.encode()).decode()}")
    try:
        return open_with(request, ssl.create_default_context(cafile=settings.authorities))
    except URLError as error:
        if not isinstance(error.reason, ssl.SSLCertVerificationError) or parts.username:
            raise
        # A bare Debian has no certificate authorities at all. The hash we know proves the wheel just as well,
        # and nothing secret is sent; pip then brings authorities of its own and checks everything after it.
        tell_unverified()
        unverified = ssl._create_unverified_context()  # noqa: S323
        return open_with(request, unverified)


@cache
def tell_unverified() -> None:
    say("No certificate authority here vouches for the index: relying on the wheel's known hash.")


def open_with(request: Request, context: ssl.SSLContext) -> bytes:
    with urlopen(request, timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
