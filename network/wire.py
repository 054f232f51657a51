"""One HTTP exchange with a service outside: bounded in time and size, without redirects, to the address looked up."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Timer
from urllib.parse import urlsplit


class NotAllowed(Exception):
    """The address is none that may be asked. Nothing left the machine."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


def exchange(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    step_s: float,
    total_s: float,
    most_bytes: int,
    allow_local: bool,
) -> Answer:
    """Ask once, follow nothing, and read at most so many bytes.

    Each step may take `step_s` and the whole `total_s`, however slowly an answer drips. Only https to a global address,
    unless local ones are allowed: the name is looked up once and the connection made to that very address, so that a
    name cannot point inside our own network. Raises NotAllowed, TimeoutError, another OSError, or HTTPException.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    if not parts.hostname or not (secure or (allow_local and parts.scheme == "http")):
        raise NotAllowed("only https")
    port = parts.port or (443 if secure else 80)
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=step_s)
    over: Timer | None = None
    cut_off = Event()
    try:
        connection.sock = _socket(parts.hostname, port, secure=secure, step_s=step_s, allow_local=allow_local)
        over = Timer(total_s, _hang_up, [connection.sock, cut_off])
        over.daemon = True
        over.start()
        target = parts.path or "/"
        target = f"{target}?{parts.query}" if parts.query else target
        connection.request(method, target, body, {"host": parts.netloc, **headers})
        answer = connection.getresponse()
        content = answer.read(most_bytes)
    except (OSError, http.client.HTTPException) as error:
        if cut_off.is_set():
            raise TimeoutError("no answer in time") from error
        raise
    finally:
        if over is not None:
            over.cancel()
        connection.close()
    if cut_off.is_set():  # what was cut off looks like an answer that has ended
        raise TimeoutError("no answer in time")
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)


def _hang_up(connected: socket.socket, cut_off: Event) -> None:
    """End a connection that another thread reads from; the plain way, because TLS would want a polite goodbye.

    It is said before it is done: the reader wakes at once, sooner than the timer itself tells that it has finished.
    """
    cut_off.set()
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _socket(host: str, port: int, *, secure: bool, step_s: float, allow_local: bool) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(address[4][0]) for address in found]
    if not allow_local and not all(ipaddress.ip_address(address).is_global for address in addresses):
        raise NotAllowed("not a global address")
    plain = socket.create_connection((addresses[0], port), timeout=step_s)
    if not secure:
        return plain
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise
