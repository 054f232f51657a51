"""Proofs that only the recipient has: the QR token, the typed code and the link of the recipient's page.

A delegate's proofs are derived the same way, under another purpose, by the number of the delegation.

All are derived from a key that is never in the database and from the parcel's public id and issue number, so they
can be written into a message or shown on the recipient's page at any time, while the database holds keyed hashes
only. A new issue changes all of them at once.

Token: "P1." + base45 of ver(1) kid(1) parcel(16) point(4) expires(4) secret(16) ed25519(64), 106 bytes, big-endian
(PROMISES, "Pickup proof"). The point is its audience; `expires` is for devices without a network, online the parcel
decides.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

import base45
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

PREFIX = "P1."
VERSION = 1
BODY = struct.Struct(">BB16sII16s")
SIGNATURE_BYTES = 64
CODE_DIGITS = 8
RECIPIENT, DELEGATE = "", "delegate "  # whose proofs: `issue` is the code's issue, or the delegation's number


class ForgedToken(Exception):
    """Not a token of ours: malformed, unknown key, or a signature that does not fit."""


@dataclass(frozen=True)
class Token:
    parcel: UUID
    point_id: int
    secret: bytes


@cache
def _code_key() -> bytes:
    return base64.b64decode(settings.SECRETS["code_key"])


@cache
def _signing_keys() -> dict[int, Ed25519PrivateKey]:
    return {
        int(kid): Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed))
        for kid, seed in settings.SECRETS["signing_keys"].items()
    }


@cache
def _public_key(kid: int) -> Ed25519PublicKey:
    return _signing_keys()[kid].public_key()


def _derive(purpose: str, parcel: UUID, issue: int) -> bytes:
    message = purpose.encode() + b"|" + parcel.bytes + struct.pack(">I", issue)
    return hmac.digest(_code_key(), message, "sha256")


def secret_of(parcel: UUID, issue: int, holder: str = RECIPIENT) -> bytes:
    return _derive(f"{holder}secret", parcel, issue)[:16]


def code_of(parcel: UUID, issue: int, holder: str = RECIPIENT) -> str:
    """Eight digits. The bias of the modulo over 256 bits is below 10⁻⁶⁹."""
    return f"{int.from_bytes(_derive(f'{holder}code', parcel, issue)) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def link_of(parcel: UUID, issue: int, holder: str = RECIPIENT) -> str:
    """The last part of the page's address: 128 bits, URL-safe."""
    return base64.urlsafe_b64encode(_derive(f"{holder}link", parcel, issue)[:16]).decode().rstrip("=")


def hash_secret(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def hash_code(barcode: str, code: str) -> bytes:
    """Keyed and bound to its parcel's barcode: eight digits alone could be searched in a stolen table."""
    return hmac.digest(_code_key(), f"typed|{barcode}|{code}".encode(), "sha256")


def hash_link(link: str) -> bytes:
    return hashlib.sha256(link.encode()).digest()


def token_of(*, parcel: UUID, issue: int, point_id: int, expires_at: datetime, holder: str = RECIPIENT) -> str:
    kid = max(_signing_keys())
    secret = secret_of(parcel, issue, holder)
    body = BODY.pack(VERSION, kid, parcel.bytes, point_id, int(expires_at.timestamp()), secret)
    signed: bytes = base45.b45encode(body + _signing_keys()[kid].sign(body))
    return PREFIX + signed.decode()


def public_keys() -> dict[int, bytes]:
    """The keys that devices without a network check signatures with, raw 32 bytes by key id."""
    return {kid: _public_key(kid).public_bytes_raw() for kid in _signing_keys()}


def is_code(text: str) -> bool:
    return len(text) == CODE_DIGITS and text.isascii() and text.isdigit()


def parcel_named(text: str) -> UUID | None:
    """Return the parcel that a token names, its signature unchecked: to sort scans by, never to trust."""
    try:
        return UUID(bytes=base45.b45decode(text.removeprefix(PREFIX))[2:18])
    except ValueError:
        return None


def read_token(text: str) -> Token:
    """Return what a token says if its signature is ours; whether it is still the current one, the database tells."""
    if not text.startswith(PREFIX):
        raise ForgedToken("prefix")
    try:
        raw = base45.b45decode(text[len(PREFIX) :])
    except ValueError as error:
        raise ForgedToken("base45") from error
    if len(raw) != BODY.size + SIGNATURE_BYTES or base45.b45encode(raw).decode() != text[len(PREFIX) :]:
        raise ForgedToken("length")
    body, signature = raw[: BODY.size], raw[BODY.size :]
    version, kid, parcel, point_id, _expires, secret = BODY.unpack(body)
    if version != VERSION or kid not in _signing_keys():
        raise ForgedToken("version or key")
    try:
        _public_key(kid).verify(signature, body)
    except InvalidSignature as error:
        raise ForgedToken("signature") from error
    return Token(parcel=UUID(bytes=parcel), point_id=point_id, secret=secret)
