"""What a scanner tells and what it is told: the shapes that all kinds of scan share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from network.models import Device
from pickup.models import Verdict


class UnknownScanner(Exception):
    """No device has this key."""


class ScanIdReused(Exception):
    """The same scan id came with another content: an error of the device, not a repeat."""

    def __init__(self, scan_id: UUID) -> None:
        super().__init__(f"scan_id {scan_id} was used for another scan")
        self.scan_id = scan_id


@dataclass(frozen=True)
class Scanner:
    """Who scans: a device by the hash of its key, or by its id for a browser whose session was checked.

    `refusal` is a verdict that the door already knows, such as `clerk_not_allowed`, so that the scan is stored.
    """

    key_hash: bytes | None = None
    device_id: int | None = None
    clerk_id: int | None = None
    refusal: str = ""


def device_of(scanner: Scanner) -> Device:
    """The device that scans, revoked or not, with its point. Raises UnknownScanner."""
    devices = Device.objects.select_related("service_point")
    found = devices.filter(**({"key_hash": scanner.key_hash} if scanner.key_hash else {"id": scanner.device_id}))
    device = found.first()
    if device is None:
        raise UnknownScanner
    return device


@dataclass(frozen=True)
class ScanRequest:
    """One scan as the device told it. A parcel is named by its barcode or by the QR token, never by a code alone."""

    scan_id: UUID
    kind: str
    event_at: datetime
    barcode: str = ""
    token: str = ""
    code: str = ""
    shelf: str = ""
    reason: str = ""
    told: str = ""  # the verdict that the device showed while it had no network

    def hash(self) -> bytes:
        """The same for the same scan however often it is uploaded; codes cannot be read back from it.

        A scan that was sent and whose answer got lost is sent again with what the device told meanwhile.
        """
        body = {name: str(getattr(self, name)) for name in HASHED}
        return hashlib.sha256(json.dumps(body).encode()).digest()


HASHED = sorted({field.name for field in fields(ScanRequest)} - {"code", "told"})


@dataclass(frozen=True)
class Answer:
    """What is told to the device; `content` is the stored JSON of the first answer.

    Keys: verdict, parcel {barcode, status, hold_until} or null, shelf, waiting_here, fee_minor, today_minor,
    detail: `{point}` for wrong_point, `{at, by}` for already_collected, `{until}` for code_locked that will end.
    """

    content: Mapping[str, Any]
    repeated: bool = False

    @property
    def verdict(self) -> str:
        first: str = self.content["verdict"]
        return Verdict.OK_REPEAT if self.repeated and first == Verdict.OK else first

    @property
    def message(self) -> str:
        words = str(Verdict(self.verdict).label)
        detail = self.content.get("detail") or {}
        if "until" in detail:
            until = localtime(datetime.fromisoformat(detail["until"]))
            return _("Too many wrong codes: no typed code until %(time)s. The QR code works.") % {
                "time": f"{until:%H:%M}"
            }
        extra = " · ".join(str(value) for value in detail.values() if value)
        return f"{words} {extra}".strip()

    def as_json(self) -> dict[str, Any]:
        return {**self.content, "verdict": str(self.verdict), "message": self.message}
