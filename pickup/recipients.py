"""Personal data: sealed on the way in, masked for shops, opened only where a message must be written."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import asdict, dataclass
from functools import cache

import phonenumbers
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.db.models import F

from pickup.models import Parcel, PickupCode, Recipient

PAGE_TRIES = 10


class BadPhone(ValueError):
    """Not a phone number that could exist in its country."""


class PageLocked(Exception):
    """Too many wrong digits on the recipient's page: it shows this parcel's code to nobody any more."""


class Sealed(Exception):
    """A recipient's data cannot be opened any more."""


@dataclass(frozen=True)
class Contact:
    name: str
    phone: str  # E.164
    address: str


@cache
def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.SECRETS["field_keys"]])


@cache
def _phone_key() -> bytes:
    return hmac.digest(base64.b64decode(settings.SECRETS["code_key"]), b"phone", "sha256")


def read_phone(text: str) -> str:
    """Return the number in E.164; numbers without a country code are read as the network's own country's."""
    if not text.isascii():
        raise BadPhone("only ASCII digits, not full-width ones")
    try:
        number = phonenumbers.parse(text, settings.COUNTRY)
    except phonenumbers.NumberParseException as error:
        raise BadPhone("not a phone number") from error
    if not phonenumbers.is_possible_number(number):
        raise BadPhone("no such phone number can exist")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def hash_phone(phone: str) -> bytes:
    """Sixteen bytes by which equal numbers are found and none is read."""
    return hmac.digest(_phone_key(), phone.encode(), "sha256")[:16]


def mask_name(name: str) -> str:
    """王小明 → 王*, Anna Smith → A*."""
    return f"{name[:1]}*"


def seal(contact: Contact) -> bytes:
    return _box().encrypt(json.dumps(asdict(contact), ensure_ascii=False).encode())


def open_sealed(recipient: Recipient) -> Contact:
    """The full data. Callers answer for it: the notice being sent, the geocoder, a logged read by an admin.

    Raises Sealed when the box does not open: the data were erased, or sealed with a key that is gone.
    """
    try:
        return Contact(**json.loads(_box().decrypt(bytes(recipient.sealed))))
    except InvalidToken as error:
        raise Sealed(f"order {recipient.order_id}") from error


def seal_photo(jpeg: bytes) -> bytes:
    return _box().encrypt(jpeg)


def open_photo(sealed: bytes) -> bytes:
    """The picture. Callers answer for it: an admin who decides on a release, logged. Raises Sealed."""
    try:
        return _box().decrypt(sealed)
    except InvalidToken as error:
        raise Sealed("photo") from error


def knows_phone(parcel: Parcel, *, last4: str) -> bool:
    """Whether these are the last four digits of the recipient's phone. Raises PageLocked.

    The try is counted as wrong, and that count committed, before anything is compared; a right one takes its own
    count back. An erased recipient has no digits, and nothing fits.
    """
    code = PickupCode.objects.filter(parcel=parcel)
    with transaction.atomic(durable=True):
        if not code.filter(page_attempts__lt=PAGE_TRIES).update(page_attempts=F("page_attempts") + 1):
            raise PageLocked
    known = parcel.order.recipient.phone_last4
    if not known or not hmac.compare_digest(known.encode(), last4.encode()):
        return False
    code.filter(page_attempts__gt=0).update(page_attempts=F("page_attempts") - 1)
    return True
