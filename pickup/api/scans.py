"""Doors for devices: scans one by one and in batches, the shelf, the earnings."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils.timezone import localdate
from ninja import Query, Router, Schema
from pydantic import Field

from pickup import forms, ledger, parcels, scanning, tasks, uploads
from pickup.api.errors import ErrorBody, Problem
from pickup.api.keys import DeviceKeyAuth, ScannerKeyAuth, UploaderKeyAuth, device_of
from pickup.scans import ScanIdReused, Scanner, UnknownScanner

router = Router(tags=["scans"])
ERRORS = dict.fromkeys((400, 401, 413, 422, 503), ErrorBody)


class ParcelOut(Schema):
    barcode: str
    status: str
    hold_until: datetime | None


class AnswerOut(Schema):
    verdict: str
    parcel: ParcelOut | None = None
    shelf: str | None = None
    waiting_here: int
    fee_minor: int | None = None
    today_minor: int | None = None
    detail: dict[str, Any] | None = None
    message: str


Rows = Annotated[list[dict[str, Any]], Field(max_length=uploads.ROWS)]


class BatchIn(forms.Form):
    scans: Rows


class BatchRow(Schema):
    """The answer to one scan, as the single call gives it, or the error that it would have got."""

    row: int
    scan_id: UUID | None = None
    status: int
    final: bool
    error: dict[str, Any] | None = None
    verdict: str | None = None
    parcel: ParcelOut | None = None
    shelf: str | None = None
    waiting_here: int | None = None
    fee_minor: int | None = None
    today_minor: int | None = None
    detail: dict[str, Any] | None = None
    message: str | None = None


class BatchOut(Schema):
    results: list[BatchRow]


def scanner_of(request: HttpRequest) -> Scanner:
    key_hash: Any = request.auth  # type: ignore[attr-defined]
    return Scanner(key_hash=key_hash)


@router.post("/scans", auth=ScannerKeyAuth(), response={200: AnswerOut, **ERRORS}, summary="Record a scan")
def scan(request: HttpRequest, payload: forms.ScanForm) -> Any:
    """A well-formed scan is answered 200 with a verdict. The same `scan_id` again has one effect and one answer."""
    try:
        answer = scanning.record(scanner_of(request), payload.request())
    except UnknownScanner as error:
        raise Problem(401, "unauthorized", "no valid key") from error
    except ScanIdReused as error:
        raise Problem(422, "scan_id_reused", str(error), "scan_id") from error
    if payload.kind == "arrival":
        tasks.ring(tasks.send_notices)
    return answer.as_json()


@router.post(
    "/scans/batch",
    auth=UploaderKeyAuth(),
    response={200: BatchOut | list[BatchRow], **ERRORS},
    summary="Upload up to 500 scans",
)
def batch(request: HttpRequest, payload: BatchIn | Rows) -> Any:
    """Scans in any order and any number of times; each row has its own answer, `row` counts from 0.

    A row that is not `final` was refused for a reason that time may mend: upload the same scan again later.

    The body is `{"scans": [...]}`, answered `{"results": [...]}`, or a bare list, answered with one.
    """
    rows = uploads.record(scanner_of(request), payload.scans if isinstance(payload, BatchIn) else payload)
    tasks.ring(tasks.send_notices)
    return {"results": rows} if isinstance(payload, BatchIn) else rows


class ShelfRow(Schema):
    barcode: str
    status: str
    shelf: str
    size: str
    recipient: str
    phone_last4: str
    ready_at: datetime | None
    hold_until: datetime | None


class ShelfQuery(forms.Form):
    status: Literal["expected", "ready", "expired", "collected", "refused", "returned", "damaged"] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 500


@router.get("/shelf", auth=DeviceKeyAuth(), response={200: list[ShelfRow], **ERRORS}, summary="What is here")
def shelf(request: HttpRequest, query: Query[ShelfQuery]) -> Any:
    """Without a status: what stands on the shelf, `ready` and `expired`, overdue first. Names are masked."""
    point = device_of(request).service_point
    found = parcels.at_point(point, statuses=[query.status] if query.status else list(parcels.HERE))
    return [
        {
            "barcode": parcel.barcode,
            "status": parcel.status,
            "shelf": parcel.shelf,
            "size": parcel.get_size_display(),
            "recipient": parcel.order.recipient.masked_name,
            "phone_last4": parcel.order.recipient.phone_last4,
            "ready_at": parcel.ready_at,
            "hold_until": parcel.hold_until,
        }
        for parcel in found[: query.limit]
    ]


class EarningRow(Schema):
    day: date
    barcode: str
    kind: str
    amount_minor: int
    currency: str
    recorded_at: datetime


class EarningsOut(Schema):
    total_minor: int
    lines: list[EarningRow]


class EarningsQuery(forms.Form):
    from_: Annotated[date | None, Field(alias="from")] = None
    to: date | None = None


@router.get("/earnings", auth=DeviceKeyAuth(), response={200: EarningsOut, **ERRORS}, summary="What was earned")
def earnings(request: HttpRequest, query: Query[EarningsQuery]) -> Any:
    """Postings of this point from the first to the last day, both included; today where none is given."""
    today = localdate()
    first, last = query.from_ or query.to or today, query.to or query.from_ or today
    if first > last or not (first.year >= 2000 and last.year <= 2100):
        raise Problem(400, "malformed", "from is not after to, years between 2000 and 2100", "from")
    lines = ledger.earnings(device_of(request).service_point, first=first, last=last)
    return {"total_minor": sum(line["amount_minor"] for line in lines), "lines": lines}
