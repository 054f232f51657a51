"""Short messages to people's phones. Whoever sends one asks `gateway()`; what carries it is one setting."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from django.conf import settings


class NotSent(Exception):
    """The gateway did not take the message; it may be tried again later."""


@dataclass(frozen=True)
class Message:
    """What leaves the network for one phone (E.164). `text` holds all that a person needs; the other fields are for
    gateways that fill in a template of their own, and for tests: `token` is a QR's text, `code` digits to type.
    """

    kind: str
    phone: str
    text: str
    reference: str = ""
    barcode: str = ""
    url: str = ""
    token: str = ""
    code: str = ""


class Gateway(Protocol):
    def send(self, message: Message) -> None: ...


class FileGateway:
    """Appends each message as one JSON line, in one write, so that several workers may share the file."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def send(self, message: Message) -> None:
        line = json.dumps(asdict(message), ensure_ascii=False) + "\n"
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise NotSent(str(error)) from error


def gateway() -> Gateway | None:
    """The configured gateway; without one notices wait as rows, and nothing of them is lost or logged."""
    return FileGateway(settings.NOTICES_FILE) if settings.NOTICES_FILE else None
