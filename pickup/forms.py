"""What may come in from outside, as typed shapes: for HTTP bodies and file rows alike.

Strings are checked to be storable text: no control characters, no lone surrogates, which PostgreSQL refuses.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from network.models import Size
from network.rows import Latitude, Longitude
from pickup import recipients
from pickup.orders import OrderDraft, ParcelDraft
from pickup.scans import ScanRequest

UNSTORABLE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff]")
SIZES = {size.label: size for size in Size}


def storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError("control characters and lone surrogates are not text")
    return text


def printable(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError("only printable ASCII characters")
    return text


def addressable(reference: str) -> str:
    """A reference is the last part of an address: `orders/bulk` is taken, and dots would climb."""
    if reference == "bulk" or {".", ".."} & set(reference.split("/")) or reference.endswith("/cancel"):
        raise ValueError("not bulk, no . or .. between slashes, and no /cancel at the end")
    return reference


def possible_phone(text: str) -> str:
    try:
        return recipients.read_phone(text)
    except recipients.BadPhone as error:
        raise ValueError(str(error)) from error


def storable_time(at: datetime) -> datetime:
    """A time without an offset is UTC. Years that no clock shows are refused, so that no sum of days overflows."""
    if not 2000 <= at.year <= 2100:
        raise ValueError("a year between 2000 and 2100")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


Strip = StringConstraints(strip_whitespace=True)
Text = Annotated[str, Strip, AfterValidator(storable)]
Barcode = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), AfterValidator(printable)
]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, max_length=32), AfterValidator(possible_phone)]
Moment = Annotated[datetime, AfterValidator(storable_time)]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RecipientForm(Form):
    name: Annotated[Text, Field(min_length=1, max_length=100)]
    phone: Phone


class AddressForm(Form):
    text: Annotated[Text, Field(min_length=1, max_length=500)]
    city: Annotated[Text, Field(max_length=100)] = ""
    lat: Latitude | None = None
    lon: Longitude | None = None
    datum: Literal["wgs84", "gcj02", "bd09"] = "wgs84"

    @model_validator(mode="after")
    def both_or_neither(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon come together")
        return self


class ParcelForm(Form):
    barcode: Barcode | None = None
    size: Literal["S", "M", "L"] = "S"
    weight_g: Annotated[int, Field(gt=0, le=1_000_000)] | None = None


class ConsentForm(Form):
    given: bool
    at: Moment


class OrderForm(Form):
    reference: Annotated[Text, Field(min_length=1, max_length=100), AfterValidator(addressable)]
    recipient: RecipientForm
    address: AddressForm
    parcels: Annotated[list[ParcelForm], Field(min_length=1, max_length=20)] = Field(
        default_factory=lambda: [ParcelForm()]
    )
    service_point: Annotated[Text, Field(max_length=64)] | None = None
    consent: ConsentForm | None = None

    def draft(self) -> OrderDraft:
        return OrderDraft(
            reference=self.reference,
            name=self.recipient.name,
            phone=self.recipient.phone,
            address=self.address.text,
            city=self.address.city,
            lat=self.address.lat,
            lon=self.address.lon,
            datum=self.address.datum,
            parcels=tuple(
                ParcelDraft(barcode=parcel.barcode or "", size=SIZES[parcel.size], weight_g=parcel.weight_g)
                for parcel in self.parcels
            ),
            service_point=self.service_point or "",
            consent_at=self.consent.at if self.consent and self.consent.given else None,
        )


class OrderRow(Form):
    """A row of `load_orders`: `reference,name,phone,address,city?,lat?,lon?,size?,service_point?,barcode?`."""

    reference: str
    name: str
    phone: str
    address: str
    city: str = ""
    lat: str | float | None = None
    lon: str | float | None = None
    size: str | None = None
    service_point: str | None = None
    barcode: str | None = None

    def form(self) -> OrderForm:
        parcel: dict[str, Any] = {"barcode": self.barcode or None, "size": self.size or "S"}
        return OrderForm.model_validate(
            {
                "reference": self.reference,
                "recipient": {"name": self.name, "phone": self.phone},
                "address": {
                    "text": self.address,
                    "city": self.city or "",
                    "lat": None if self.lat == "" else self.lat,
                    "lon": None if self.lon == "" else self.lon,
                },
                "parcels": [parcel],
                "service_point": self.service_point or None,
            }
        )


class ScanForm(Form):
    """One scan. A parcel is named by its barcode or its QR token; a pickup needs a proof, token or code."""

    scan_id: UUID
    kind: Literal["arrival", "pickup", "undo", "return", "damaged"]
    event_at: Moment
    barcode: Barcode | None = None
    token: (
        Annotated[
            str,
            StringConstraints(strip_whitespace=True, min_length=1, max_length=400),
            AfterValidator(storable),
        ]
        | None
    ) = None
    code: (
        Annotated[
            str,
            StringConstraints(strip_whitespace=True, min_length=1, max_length=32),
            AfterValidator(storable),
        ]
        | None
    ) = None
    shelf: Annotated[Text, Field(max_length=20)] | None = None
    reason: Annotated[Text, Field(max_length=200)] | None = None
    told: Literal["ok", "expired_but_here", "offline_unknown"] | None = Field(
        default=None, description="What the device showed while it had no network; absent for a scan made online."
    )

    @model_validator(mode="after")
    def names_a_parcel(self) -> Self:
        if not self.barcode and not self.token:
            raise ValueError("barcode: a parcel is named by its barcode or its token, never by a code alone")
        if self.kind == "pickup" and not self.token and not self.code:
            raise ValueError("token: a pickup needs the recipient's token or code")
        return self

    def request(self) -> ScanRequest:
        return ScanRequest(
            scan_id=self.scan_id,
            kind=self.kind,
            event_at=self.event_at,
            barcode=self.barcode or "",
            token=self.token or "",
            code=self.code or "",
            shelf=self.shelf or "",
            reason=self.reason or "",
            told=self.told or "",
        )


class ReleaseForm(Form):
    """A hand-over without a proof: which parcel, why, in whose words. The photo comes beside it."""

    scan_id: UUID
    barcode: Barcode
    event_at: Moment
    reason: Literal["no_phone", "unreadable", "not_received", "other"]
    note: Annotated[Text, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def says_why(self) -> Self:
        if self.reason == "other" and not self.note:
            raise ValueError("note: say why in a few words")
        return self

    def request(self) -> ScanRequest:
        reason = f"{self.reason} {self.note}".strip()
        return ScanRequest(self.scan_id, "pickup", self.event_at, barcode=self.barcode, reason=reason[:200])


FIELD_IN_MESSAGE = re.compile(r"(?:Value error, )?(?:(barcode|token|note): )?(.*)", re.DOTALL)


def first_error(errors: list[Any]) -> tuple[str, str]:
    """Return the field, as a dotted path, and the reason of the first of pydantic's errors."""
    error = errors[0]
    path = [str(part) for part in error["loc"] if part not in ("body", "form", "payload")]
    found = FIELD_IN_MESSAGE.fullmatch(error["msg"])
    assert found is not None, "the pattern matches every text"
    return ".".join([*path, *([found[1]] if found[1] else [])]), found[2]
