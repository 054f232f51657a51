"""Every scan of every kind: recorded with its verdict, answered once, repeated with the same words (R4, R6)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction

from network.models import Device, ServicePoint
from pickup import codes, fees, holding, ledger, notices, parcels, verification
from pickup.again import again, reconnect
from pickup.models import MENDABLE, Arrival, Handover, Notice, Parcel, Scan, Verdict
from pickup.parcels import Status
from pickup.scans import Answer, ScanIdReused, Scanner, ScanRequest, device_of

TOGETHER = 100  # scans in one transaction: enough to share a commit, few enough to hold locks only briefly


def record(scanner: Scanner, request: ScanRequest) -> Answer:
    """Record one scan. Raises UnknownScanner and ScanIdReused."""
    answer = record_batch(scanner, [request])[0]
    if isinstance(answer, ScanIdReused):
        raise answer
    return answer


def record_batch(scanner: Scanner, requests: Sequence[ScanRequest]) -> list[Answer | ScanIdReused]:
    """Record many scans that come in any order and any number of times; each parcel's own in the order they happened.

    Scans of parcels that have no other one in the batch go to the database together; the rest one by one. The answers
    are in the order of the requests. Raises UnknownScanner.
    """
    distinct: dict[UUID, ScanRequest] = {}
    for request in requests:
        distinct.setdefault(request.scan_id, request)
    parcel_of = _parcels_named(list(distinct.values()))
    scans_of = Counter(parcel_of.values())
    alone = [request for request in distinct.values() if scans_of[parcel_of[request.scan_id]] == 1]
    pickups = [request for request in alone if request.kind == Scan.Kind.PICKUP]
    answers = verification.hand_over(scanner, pickups) if pickups else {}
    others = [request for request in alone if request.kind != Scan.Kind.PICKUP]
    for start in range(0, len(others), TOGETHER):
        answers |= _record_together(scanner, others[start : start + TOGETHER])
    in_order = {kind: place for place, kind in enumerate(Scan.Kind.values)}
    for request in sorted(distinct.values(), key=lambda scan: (scan.event_at, in_order[scan.kind], scan.scan_id)):
        if request.scan_id in answers:
            continue
        if request.kind == Scan.Kind.PICKUP:
            answers |= verification.hand_over(scanner, [request])
        else:
            answers[request.scan_id] = _record(scanner, request)
    return [
        answers[request.scan_id] if request == distinct[request.scan_id] else ScanIdReused(request.scan_id)
        for request in requests
    ]


def _parcels_named(requests: Sequence[ScanRequest]) -> dict[UUID, UUID | str]:
    """Return for each scan id what names its parcel, the same name whether by barcode or by token."""
    if len(requests) == 1:
        return {requests[0].scan_id: ""}
    barcodes = [request.barcode for request in requests if request.barcode]
    known = dict(Parcel.objects.filter(barcode__in=barcodes).values_list("barcode", "uuid"))
    return {
        request.scan_id: known.get(request.barcode, request.barcode)
        if request.barcode
        else codes.parcel_named(request.token) or request.token
        for request in requests
    }


def _record(scanner: Scanner, request: ScanRequest) -> Answer | ScanIdReused:
    def once() -> Answer | ScanIdReused:
        with transaction.atomic(durable=True):
            return _decide(scanner, device_of(scanner), request)

    # The same scan id for two parcels at once has no row to wait on: the second time the first one is visible.
    return again(once)


def _record_together(scanner: Scanner, requests: Sequence[ScanRequest]) -> dict[UUID, Answer | ScanIdReused]:
    """Record scans of different parcels in one transaction, or one by one when they clash with somebody else's."""
    try:
        with transaction.atomic(durable=True):
            barcodes = [request.barcode for request in requests]
            list(Parcel.objects.select_for_update().filter(barcode__in=barcodes).order_by("id").values_list("id"))
            device = device_of(scanner)
            return {request.scan_id: _decide(scanner, device, request) for request in requests}
    except (IntegrityError, OperationalError, InterfaceError):
        reconnect()
        return {request.scan_id: _record(scanner, request) for request in requests}


def _decide(scanner: Scanner, device: Device, request: ScanRequest) -> Answer | ScanIdReused:
    parcel = _locked_parcel(request)
    earlier = Scan.objects.filter(device=device, scan_id=request.scan_id).order_by("-id").first()
    if earlier is not None and bytes(earlier.request_hash) != request.hash():
        return ScanIdReused(request.scan_id)
    if earlier is not None and (earlier.verdict not in MENDABLE or request.kind != Scan.Kind.ARRIVAL):
        return Answer(json.loads(earlier.answer), repeated=True)
    scan_pk, now = _number_and_time()
    scan = Scan(
        id=scan_pk,
        scan_id=request.scan_id,
        device=device,
        clerk_id=scanner.clerk_id,
        service_point=device.service_point,
        kind=request.kind,
        parcel=parcel,
        barcode=request.barcode,
        shelf=request.shelf,
        reason=request.reason,
        told=request.told,
        event_at=request.event_at,
        request_hash=request.hash(),
    )
    refusal = _refusal(scanner, device)
    scan.verdict = refusal or _verdict(scan, now=now)
    if earlier is not None and scan.verdict == earlier.verdict:
        return Answer(json.loads(earlier.answer), repeated=True)
    scan.answer = json.dumps(_content(scan, told=not refusal), default=_iso, ensure_ascii=False)
    scan.save(force_insert=True)
    return Answer(json.loads(scan.answer))


def _verdict(scan: Scan, *, now: datetime) -> str:
    """Decide, and do what was decided. Foreign keys to the scan are checked at commit, so it may come after."""
    parcel = scan.parcel
    if parcel is None or parcel.service_point_id is None:
        return Verdict.UNKNOWN_PARCEL if scan.kind == Scan.Kind.ARRIVAL else Verdict.NOT_FOUND
    if parcel.service_point_id != scan.service_point_id:
        return Verdict.WRONG_POINT
    return ACTS[scan.kind](scan, parcel, now)


def _content(scan: Scan, *, told: bool) -> dict[str, Any]:
    """The answer, as `Answer` describes it. A foreign parcel is told by the name of its point and nothing else."""
    parcel = scan.parcel
    detail: dict[str, Any] | None = None
    money = scan.kind == Scan.Kind.UNDO
    own = told and parcel is not None and parcel.service_point_id == scan.service_point_id
    if scan.verdict == Verdict.WRONG_POINT and parcel is not None and parcel.service_point is not None:
        detail = {"point": parcel.service_point.name}
    if scan.verdict == Verdict.ALREADY_COLLECTED and parcel is not None:
        detail = {"at": parcel.collected_at}
    return {
        "verdict": scan.verdict,
        "parcel": {"barcode": parcel.barcode, "status": parcel.status, "hold_until": parcel.hold_until}
        if own and parcel
        else None,
        "shelf": parcel.shelf if own and parcel else None,
        "waiting_here": parcels.waiting_beside(parcel) if own and parcel else 0,
        "fee_minor": None,
        "today_minor": ledger.earned_today_minor(scan.service_point_id) if told and money else None,
        "detail": detail,
    }


def _locked_parcel(request: ScanRequest) -> Parcel | None:
    rows = Parcel.objects.select_for_update(of=("self",)).select_related("order__merchant", "service_point")
    if request.barcode:
        return rows.filter(barcode=request.barcode).first()
    try:
        return rows.filter(uuid=codes.read_token(request.token).parcel).first()
    except codes.ForgedToken:
        return None


def _number_and_time() -> tuple[int, datetime]:
    """Return the next id of a scan and the time by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('pickup_scan', 'id')), clock_timestamp()")
        row: tuple[int, datetime] = cursor.fetchone()
    return row


def _iso(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def _refusal(scanner: Scanner, device: Device) -> str:
    if device.revoked_at is not None:
        return Verdict.DEVICE_REVOKED
    if device.service_point.status == ServicePoint.Status.SUSPENDED:
        return Verdict.POINT_SUSPENDED
    return scanner.refusal


def _arrive(scan: Scan, parcel: Parcel, now: datetime) -> str:
    if parcel.status != Status.EXPECTED:
        return ARRIVAL_REFUSED[Status(parcel.status)]
    here = Parcel.objects.filter(service_point_id=scan.service_point_id, status__in=parcels.HERE).count()
    Arrival.objects.create(parcel=parcel, service_point=scan.service_point, scan=scan)
    parcels.move(
        parcel,
        to=Status.READY,
        shelf=scan.shelf,
        ready_at=now,
        hold_until=holding.deadline(parcel, at=now),
    )
    parcels.issue_code(parcel)
    notices.queue([parcel], kind=Notice.Kind.READY)
    return Verdict.OVER_CAPACITY if here >= scan.service_point.capacity else Verdict.OK


def _undo(scan: Scan, parcel: Parcel, now: datetime) -> str:
    if parcel.status != Status.COLLECTED:
        return Verdict.NOT_FOUND
    assert parcel.collected_at is not None, "a constraint gives every collected parcel its time"
    if now - parcel.collected_at > parcels.UNDO_WITHIN:
        return Verdict.ALREADY_COLLECTED
    handover = Handover.objects.get(parcel=parcel, undone_by__isnull=True)
    fees.reverse_pickup(handover, undone_by=scan, reason=scan.reason)
    parcels.move(parcel, to=Status.READY, collected_at=None)
    return Verdict.OK


def _return(scan: Scan, parcel: Parcel, now: datetime) -> str:
    if parcel.status == Status.READY and parcel.hold_until is not None and parcel.hold_until < now:
        parcels.move(parcel, to=Status.EXPIRED)  # overdue, and no sweep has come by yet
    if parcel.status not in (Status.EXPIRED, Status.REFUSED):
        return RETURN_REFUSED[Status(parcel.status)]
    parcels.move(parcel, to=Status.RETURNED)
    return Verdict.OK


def _mark_damaged(scan: Scan, parcel: Parcel, now: datetime) -> str:
    if parcel.status not in parcels.HELD:
        return ARRIVAL_REFUSED[Status(parcel.status)]
    parcels.move(parcel, to=Status.DAMAGED)
    return Verdict.DAMAGED


ACTS: dict[str, Callable[[Scan, Parcel, datetime], str]] = {
    Scan.Kind.ARRIVAL: _arrive,
    Scan.Kind.UNDO: _undo,
    Scan.Kind.RETURN: _return,
    Scan.Kind.DAMAGED: _mark_damaged,
}
ARRIVAL_REFUSED: dict[str, str] = {
    Status.READY: Verdict.DUPLICATE,
    Status.EXPIRED: Verdict.DUPLICATE,
    Status.COLLECTED: Verdict.ALREADY_COLLECTED,
    Status.REFUSED: Verdict.RETURNED,
    Status.RETURNED: Verdict.RETURNED,
    Status.CANCELLED: Verdict.CANCELLED,
    Status.DAMAGED: Verdict.DAMAGED,
    Status.LOST: Verdict.UNKNOWN_PARCEL,
}
RETURN_REFUSED: dict[str, str] = ARRIVAL_REFUSED | {
    Status.EXPECTED: Verdict.NOT_ARRIVED,
    Status.READY: Verdict.CLERK_NOT_ALLOWED,  # still within its storage time
    Status.LOST: Verdict.NOT_FOUND,
}
