"""What the counter's app asks for and tells: the shop's stock to work with offline, scans, releases without a proof."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST
from pydantic import ValidationError

from network import access, photos
from network.clock import now
from network.models import Pause, ServicePoint, User
from network.points import midnight
from pickup import codes, fees, ledger, parcels, releases, tasks, uploads
from pickup.forms import ReleaseForm, first_error
from pickup.models import Parcel, Scan, Verdict
from pickup.scans import ScanIdReused, Scanner
from pickup.views.doors import COOKIE, NobodyHere, Worker, at_counter, browser_name, remember

GONE_FOR = timedelta(days=7)
GONE_ROWS = 2000
CONFLICT_ROWS = 200

STOCK = """
    SELECT p.barcode, p.uuid, p.status, p.shelf, r.masked_name AS name, r.phone_last4 AS last4, p.person, p.size,
           p.ready_at, p.hold_until, c.token_hash,
           (SELECT array_agg(d.token_hash) FROM pickup_delegation d
            WHERE d.parcel_id = p.id AND d.revoked_at IS NULL AND d.expires_at > %(now)s) AS delegated
    FROM pickup_parcel p
    JOIN pickup_recipient r ON r.order_id = p.order_id
    LEFT JOIN pickup_pickupcode c ON c.parcel_id = p.id
    WHERE p.service_point_id = %(point)s AND p.status IN ('expected', 'ready', 'expired')
    ORDER BY p.hold_until NULLS LAST, p.id
"""

# Of each offline scan the answer that stands now, where the device had told its user something else.
CONFLICTS = """
    SELECT * FROM (
        SELECT DISTINCT ON (s.device_id, s.scan_id) s.scan_id, COALESCE(p.barcode, s.barcode) AS barcode, s.kind,
               s.told, s.verdict, s.event_at, s.recorded_at, d.name AS device, COALESCE(u.name, '') AS by,
               s.answer::json -> 'detail' AS detail
        FROM pickup_scan s JOIN network_device d ON d.id = s.device_id
        LEFT JOIN network_user u ON u.id = s.clerk_id LEFT JOIN pickup_parcel p ON p.id = s.parcel_id
        WHERE s.service_point_id = %(point)s AND s.recorded_at > %(since)s AND s.told <> ''
        ORDER BY s.device_id, s.scan_id, s.id DESC
    ) latest
    WHERE verdict NOT IN ('ok', 'expired_but_here', 'over_capacity', 'duplicate')
      AND NOT (kind = 'damaged' AND verdict = 'damaged')
    ORDER BY recorded_at DESC LIMIT %(limit)s
"""


@require_GET
@ensure_csrf_cookie
@at_counter(data=True)
def state(request: HttpRequest, worker: Worker) -> HttpResponse:
    """All that the app needs to work without a network, as JSON; 304 where nothing changed since its `ETag`."""
    at = now()
    body = _json(_state(worker, at))
    etag = '"' + hashlib.sha256(body).hexdigest()[:32] + '"'
    if request.headers.get("If-None-Match", "").removeprefix("W/") == etag:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(b'{"now": %b, %b' % (_json(at), body[1:]), content_type="application/json")
    response["ETag"] = etag
    return response


@require_POST
@never_cache
def scans(request: HttpRequest, point_id: int) -> HttpResponse:
    """Record what a device tells, up to 500 scans in any order and any number of times. A scan is a fact: one from a
    phone that was signed out, revoked, or whose clerk left is taken in too, and stored with that verdict.
    """
    try:
        scanner, point, key = _uploader(request, point_id)
    except NobodyHere:
        return JsonResponse(_error("unauthorized", "sign in first"), status=401)
    try:
        told = json.loads(request.body)
        raw = told["scans"]
    except (ValueError, KeyError, TypeError):
        return JsonResponse(_error("malformed", "an object with a list of scans", "scans"), status=400)
    if not isinstance(raw, list) or len(raw) > uploads.ROWS:
        return JsonResponse(_error("malformed", f"a list of at most {uploads.ROWS} scans", "scans"), status=400)
    rows = uploads.record(scanner, raw)
    tasks.ring(tasks.send_notices)
    at = now()
    answer = {"now": at, "results": rows, **(_today(point, at) if not scanner.refusal else {})}
    response = JsonResponse(answer, encoder=DjangoJSONEncoder, json_dumps_params={"ensure_ascii": False})
    if key:
        remember(request, response, point_id=point_id, key=key)
    return response


@require_POST
@at_counter(data=True)
def release(request: HttpRequest, worker: Worker) -> HttpResponse:
    """Hand over without a proof: reason and photo now, a fee only when an admin approves it."""
    try:
        form = ReleaseForm.model_validate(request.POST.dict())
        photo = photos.kept(_uploaded(request, "photo"))
    except ValidationError as error:
        field, reason = first_error(list(error.errors()))
        return JsonResponse(_error("malformed", reason, field), status=400)
    except photos.BadPhoto as error:
        status = 413 if error.code == "too_large" else 400
        return JsonResponse(_error("photo_" + error.code, f"photo: {error.code}", "photo"), status=status)
    scanner = Scanner(device_id=worker.device.pk, clerk_id=worker.user.pk if worker.user else None)
    try:
        answer = releases.release(scanner, form.request(), reason=form.reason, note=form.note, photo=photo)
    except ScanIdReused as error:
        return JsonResponse(_error("scan_id_reused", str(error), "scan_id"), status=422)
    done = answer.verdict in (Verdict.OK, Verdict.OK_REPEAT, Verdict.EXPIRED_BUT_HERE)
    body = {"scan_id": form.scan_id, "status": 200, "final": True, **answer.as_json(), "review": done}
    return JsonResponse(body, encoder=DjangoJSONEncoder, json_dumps_params={"ensure_ascii": False})


def _uploader(request: HttpRequest, point_id: int) -> tuple[Scanner, ServicePoint, str]:
    """Return whose scans these are, by the device's key alone, else by who is signed in, and a new device's key.

    Raises NobodyHere for a stranger, Http404 for somebody who never worked at the point.
    """
    point = ServicePoint.objects.filter(pk=point_id).first()
    user = request.user if isinstance(request.user, User) else None
    if point is None:
        raise Http404 if user is not None else NobodyHere
    device, key = access.device_with(request.COOKIES.get(COOKIE, ""), point=point), ""
    if device is not None and user is not None and device.user_id not in (None, user.pk):
        device = None  # somebody else signed in on this phone since: what it tells now is theirs
    if device is None:
        if user is None:
            raise NobodyHere
        if not access.was_member(user, point):
            raise Http404
        device, key = access.enrol(point=point, user=user, name=browser_name(request))
    clerk = device.user or (user if access.role_at(user, point) else None)
    left = device.user is not None and access.role_at(device.user, point) is None
    refusal = Verdict.CLERK_NOT_ALLOWED if left else ""
    return Scanner(device_id=device.pk, clerk_id=clerk.pk if clerk else None, refusal=refusal), point, key


def _uploaded(request: HttpRequest, name: str) -> bytes:
    uploaded = request.FILES.get(name)
    return uploaded.read() if isinstance(uploaded, UploadedFile) else b""


def _state(worker: Worker, at: datetime) -> dict[str, Any]:
    point, currency = worker.point, ""
    with suppress(fees.NoTariff):
        currency = fees.tariff_at(at).currency
    pause = Pause.objects.filter(service_point=point, period__contains=at).first()
    return {
        "point": {
            "id": point.pk,
            "ref": point.ref,
            "name": point.name,
            "capacity": point.capacity,
            "status": point.status,
            "paused_until": pause.period.upper if pause else None,
            "pause_reason": pause.reason if pause else None,
        },
        "worker": {
            "name": str(worker.user) if worker.user else worker.device.name,
            "role": worker.role or "device",
            "device_id": worker.device.pk,
        },
        "currency": currency,
        "minor_digits": ledger.minor_digits(currency),
        "keys": {str(kid): _base64(raw) for kid, raw in codes.public_keys().items()},
        "stock": _stock(point, at),
        "gone": _gone(point, at),
        **_today(point, at),
        **_counts(point, at),
        "conflicts": _conflicts(point, at),
    }


def _stock(point: ServicePoint, at: datetime) -> list[dict[str, Any]]:
    """What is here or on its way. `proofs` are the hashes of the secrets that open it today, the recipient's and a
    delegate's: whatever else is signed by us was revoked. `person` is equal for parcels of one person at this shop.
    """
    stock = []
    for row in _rows(STOCK, point=point.pk, now=at):
        proofs, person = (row.pop("token_hash"), *(row.pop("delegated") or ())), row.pop("person")
        stock.append(
            {
                **row,
                "person": _base64(hashlib.sha256(f"{point.pk}|".encode() + person).digest()[:9]) if person else "",
                "proofs": [_base64(proof) for proof in proofs if proof is not None],
            }
        )
    return stock


def _gone(point: ServicePoint, at: datetime) -> list[dict[str, Any]]:
    """What left the shelf or will not come, lately, so that a phone without a network can say what happened."""
    since = at - GONE_FOR
    rows = (
        Parcel.objects.filter(service_point=point)
        .filter(
            Q(status=Parcel.Status.COLLECTED, collected_at__gt=since)
            | Q(status__in=["refused", "returned", "cancelled", "lost", "damaged"])
            & (Q(hold_until__gt=since) | Q(hold_until__isnull=True, order__placed_at__gt=since - GONE_FOR))
        )
        .order_by("-id")
        .values("barcode", "uuid", "status", "collected_at")[:GONE_ROWS]
    )
    return [
        {"barcode": row["barcode"], "uuid": row["uuid"], "status": row["status"], "at": row["collected_at"]}
        for row in rows
    ]


def _today(point: ServicePoint, at: datetime) -> dict[str, int]:
    scanned_in = Scan.objects.filter(
        service_point=point,
        kind=Scan.Kind.ARRIVAL,
        verdict__in=[Verdict.OK, Verdict.OVER_CAPACITY],
        recorded_at__gte=midnight(at),
    )
    return {"today_minor": ledger.earned_today_minor(point.pk), "scanned_in_today": scanned_in.count()}


def _counts(point: ServicePoint, at: datetime) -> dict[str, int]:
    return Parcel.objects.filter(service_point=point, status__in=parcels.HERE).aggregate(
        here=Count("id"), overdue=Count("id", filter=Q(hold_until__lt=at))
    )


def _conflicts(point: ServicePoint, at: datetime) -> list[dict[str, Any]]:
    """Offline scans of this shop, by whichever device, whose answer is not what the device had told. Both devices of
    a parcel that went out twice, and the owner, see the same list.
    """
    rows = _rows(CONFLICTS, point=point.pk, since=at - GONE_FOR, limit=CONFLICT_ROWS)
    return [{**row, "words": str(Verdict(row["verdict"]).label)} for row in rows]


def _rows(statement: str, **parameters: Any) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _json(body: Any) -> bytes:
    return json.dumps(body, cls=DjangoJSONEncoder, ensure_ascii=False).encode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _error(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message} | ({"field": field} if field else {})}
