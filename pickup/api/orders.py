"""Doors for merchants: orders in, orders followed, points near an address."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field, ValidationError

from network import geocoding, points
from network.clock import now
from network.models import ServicePoint
from network.rows import Latitude, Longitude
from pickup import forms, orders, tasks
from pickup.api.errors import ErrorBody, Problem, body
from pickup.api.keys import MerchantKeyAuth, merchant_of
from pickup.models import Order, ReviewDecision

router = Router(auth=MerchantKeyAuth(), tags=["orders"])
ERRORS = dict.fromkeys((400, 401, 404, 409, 413, 422, 503), ErrorBody)
PARCELS_PER_CALL = 3_000
STATUS_OF = {"reference_conflict": 409, "barcode_taken": 409, "unknown_service_point": 422}


class NoticeOut(Schema):
    """What a shop tells its visitors until the end of a day, in one language or both; plain text."""

    zh: str
    en: str
    until: date


class PointOut(Schema):
    ref: str
    name: str
    address: str
    city: str
    lat: float
    lon: float
    opening_hours: str
    notice: NoticeOut | None


class ParcelOut(Schema):
    barcode: str
    status: str
    size: str
    service_point: str | None
    ready_at: datetime | None
    hold_until: datetime | None
    collected_at: datetime | None


class SentBackOut(Schema):
    """Why a reviewer sent an order back: no_such_address, address_incomplete, no_service, no_consent or other."""

    reason: str
    note: str


class OrderOut(Schema):
    reference: str
    status: str
    review_reason: str | None
    sent_back: SentBackOut | None = None
    region_code: str | None
    service_point: PointOut | None
    placed_at: datetime
    assigned_at: datetime | None
    parcels: list[ParcelOut]


Rows = Annotated[list[dict[str, Any]], Field(max_length=1000)]


class BulkIn(forms.Form):
    orders: Rows


class BulkRow(Schema):
    """The answer to one row: `status` as the single call would have had it."""

    row: int
    reference: str | None = None
    status: int
    error: dict[str, Any] | None = None


class BulkOut(Schema):
    results: list[BulkRow]


class NearPointOut(PointOut):
    distance_m: float


def shown(order: Order) -> dict[str, Any]:
    own = list(order.parcels.select_related("service_point__visitor_notice").order_by("id"))
    point = next((parcel.service_point for parcel in own if parcel.service_point), None)
    region = order.address.region
    sent_back = ReviewDecision.objects.filter(order=order, kind="sent_back") if order.status == "cancelled" else None
    told = sent_back.values_list("why", "note").first() if sent_back is not None else None
    return {
        "reference": order.reference,
        "status": order.status,
        "review_reason": order.review_reason or None,
        "sent_back": {"reason": told[0], "note": told[1]} if told else None,
        "region_code": region.code if region else None,
        "service_point": point_shown(point) if point else None,
        "placed_at": order.placed_at,
        "assigned_at": order.assigned_at,
        "parcels": [
            {
                "barcode": parcel.barcode,
                "status": parcel.status,
                "size": parcel.get_size_display(),
                "service_point": parcel.service_point.ref if parcel.service_point else None,
                "ready_at": parcel.ready_at,
                "hold_until": parcel.hold_until,
                "collected_at": parcel.collected_at,
            }
            for parcel in own
        ],
    }


def point_shown(point: ServicePoint) -> dict[str, Any]:
    notice = points.notice_on(point, now=now())
    return {
        "ref": point.ref,
        "name": point.name,
        "address": point.address,
        "city": point.city,
        "lat": point.location.y,
        "lon": point.location.x,
        "opening_hours": point.opening_hours,
        "notice": {"zh": notice.text_zh, "en": notice.text_en, "until": notice.last_day} if notice else None,
    }


def find(request: HttpRequest, reference: str) -> Order:
    order = (
        Order.objects.filter(merchant=merchant_of(request), reference=reference)
        .select_related("address__region")
        .first()
        if "\x00" not in reference
        else None
    )
    if order is None:
        raise Problem(404, "not_found", "no such order")
    return order


@router.post("/orders", response={200: OrderOut, 201: OrderOut, **ERRORS}, summary="Place an order")
def place(request: HttpRequest, payload: forms.OrderForm) -> Any:
    """The same body again answers 200 with the same order; another body under the reference answers 409."""
    try:
        placed = orders.place(merchant=merchant_of(request), draft=payload.draft(), now=now())
    except orders.Refused as refused:
        raise Problem(STATUS_OF[refused.code], refused.code, refused.reason, refused.field) from refused
    tasks.ring(tasks.assign_waiting)
    return Status(201 if placed.created else 200, shown(placed.order))


@router.post("/orders/bulk", response={200: BulkOut | list[BulkRow], **ERRORS}, summary="Place up to 1,000 orders")
def place_bulk(request: HttpRequest, payload: BulkIn | Rows) -> Any:
    """Each row is taken or refused by itself and has its own answer; `row` counts from 0.

    The body is `{"orders": [...]}`, answered `{"results": [...]}`, or a bare list, answered with one.
    """
    raws = payload.orders if isinstance(payload, BulkIn) else payload
    rows: list[dict[str, Any]] = []
    good: list[tuple[dict[str, Any], orders.OrderDraft]] = []
    for number, raw in enumerate(raws):
        answer: dict[str, Any] = {"row": number, "reference": None, "status": 400, "error": None}
        rows.append(answer)
        try:
            form = forms.OrderForm.model_validate(raw)
        except ValidationError as error:
            field, reason = forms.first_error(list(error.errors()))
            answer["error"] = body("malformed", reason, field)["error"]
            continue
        answer["reference"] = form.reference
        good.append((answer, form.draft()))
    if sum(len(draft.parcels) for _, draft in good) > PARCELS_PER_CALL:
        raise Problem(413, "too_large", f"at most {PARCELS_PER_CALL} parcels in one call", "orders")
    placed = orders.place_many(merchant=merchant_of(request), drafts=[draft for _, draft in good], now=now())
    for (answer, _), outcome in zip(good, placed, strict=True):
        if isinstance(outcome, orders.Refused):
            answer["status"] = STATUS_OF[outcome.code]
            answer["error"] = body(outcome.code, outcome.reason, outcome.field)["error"]
        else:
            answer["status"] = 201 if outcome.created else 200
    tasks.ring(tasks.assign_waiting)
    return {"results": rows} if isinstance(payload, BulkIn) else rows


@router.post("/orders/{path:reference}/cancel", response={200: OrderOut, **ERRORS}, summary="Cancel an order")
def cancel(request: HttpRequest, reference: str) -> Any:
    """Possible until a parcel was handed over or goes back; cancelling again answers the same."""
    try:
        orders.cancel(order=find(request, reference))
    except orders.NotCancellable as error:
        raise Problem(409, "not_cancellable", str(error)) from error
    return shown(find(request, reference))


@router.get("/orders/{path:reference}", response={200: OrderOut, **ERRORS}, summary="Follow an order")
def show(request: HttpRequest, reference: str) -> Any:
    return shown(find(request, reference))


class Near(forms.Form):
    lat: Latitude | None = None
    lon: Longitude | None = None
    address: Annotated[forms.Text, Field(min_length=1, max_length=500)] | None = None
    limit: Annotated[int, Field(ge=1, le=50)] = 10


@router.get("/service-points", response={200: list[NearPointOut], **ERRORS}, summary="Points near an address")
def near(request: HttpRequest, place: Query[Near]) -> Any:
    """The nearest points that would take a small parcel now, by metres; by coordinates or by an address text."""
    lat, lon = place.lat, place.lon
    if place.address is not None:
        found = geocoding.locate([geocoding.Query(text=place.address, lat=lat, lon=lon)], at=now())[0]
        if found.lat is None or found.lon is None:
            raise Problem(422, "not_located", f"the address is not certain: {found.review}", "address")
        lat, lon = found.lat, found.lon
    if lat is None or lon is None:
        raise Problem(400, "malformed", "lat and lon, or address", "lat")
    return [
        {**point_shown(point), "distance_m": round(metres, 1)}
        for point, metres in orders.points_near(lat=lat, lon=lon, limit=place.limit, now=now())
    ]
