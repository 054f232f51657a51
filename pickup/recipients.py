"""Personal data: sealed on the way in, masked for shops, opened only where a message must be written."""

from __future__ import annotations

import base64
import hmac
import json
import re
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


# 1号楼, 3栋, 二单元, A座, 12层, 1502室, #1502; and in letters: Apt 4B, Unit 3, Room 1502, 12/F, Floor 12.
_NUMBER = r"[0-9０-９A-Za-z一二三四五六七八九十百零〇甲乙丙丁]+"
_UNIT = re.compile(
    rf"{_NUMBER}(?=\s*(?:号楼|号房|号门|栋|幢|座|单元|楼|层|室|房|户|门(?!口)))"
    r"|(?i:(?<![a-z])(?:apt|apartment|unit|room|rm|flat|floor|fl|suite|ste|building|bldg|block|tower)\b[.\s#]*)"
    r"(?P<latin>[0-9A-Za-z-]+)"
    r"|#\s*(?P<hash>[0-9A-Za-z-]+)|\b(?P<floor>\d+(?=/F\b))"
)
# 1号, 1-3号, 12号院, 1266弄8号; 88 Queen's Road, No. 5 Keyuan Road.
_HOUSE = re.compile(
    r"(?:[0-9０-９]+\s*弄\s*)?[0-9０-９]+(?:[-－之][0-9０-９]+)?\s*号(?!楼|房|门|线)|[0-9０-９]+\s*弄"
    r"|(?i:\b\d+[a-z]?(?:-\d+)?,?\s+(?=(?:[a-z'.]+\s+){1,3}(?:road|rd|street|st|avenue|ave|lane|ln|lu|jie|dao)\b))"
)
_DIGITS = re.compile(r"[0-9０-９]+")
_LONG_NUMBER = re.compile(r"(?:[0-9０-９][ -]?){7,}")
_WHO = re.compile(r"[\u4e00-\u9fff]{1,4}(?=先生|女士|小姐|老师|收(?:$|[^\u4e00-\u9fff]))")


def mask_unit(address: str) -> str:
    """An address as reviewers and agents read it: the street, the house and the estate, not the door.

    Building, unit, floor and room are hidden, and every number after the house number, phone numbers, and a name
    before 先生, 女士 or 收. It keeps the length, so that spans of the text fit both: 科苑路1号阳光花园3栋1502室 →
    科苑路1号阳光花园＊栋＊＊＊＊室. A pin for the nearest shop needs no more; the whole text is behind a logged door.
    """
    hidden = [match.span() for match in _LONG_NUMBER.finditer(address)] + [one.span() for one in _WHO.finditer(address)]
    house = _HOUSE.search(address)
    after = house.end() if house else None
    for match in _UNIT.finditer(address):
        if house is None or not (house.start() <= match.start() < house.end()):
            group = match.lastgroup
            hidden.append(match.span(group) if group else match.span())
            after = match.start() if after is None else after
    if after is not None:
        numbers = (match.span() for match in _DIGITS.finditer(address, after))
        hidden += [(start, end) for start, end in numbers if house is None or not house.start() <= start < house.end()]
    shown = list(address)
    for start, end in hidden:
        shown[start:end] = ["＊" if one.isalnum() else one for one in address[start:end]]
    return "".join(shown)


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
