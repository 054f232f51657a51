"""Verified pickup: a proof that only the recipient has, checked, and the parcel handed over (R5, R6)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from psycopg import Cursor

from pickup import codes
from pickup.again import again
from pickup.scans import Answer, ScanIdReused, Scanner, ScanRequest, UnknownScanner

HAND_OVER = "SELECT * FROM hand_over(%s, %s, %s, %s, %s, %s)"
COUNT_ATTEMPT = """
    SELECT count_code_attempt(d.service_point_id, d.id, %s, %s, (now() AT TIME ZONE %s)::date)
    FROM network_device d WHERE d.revoked_at IS NULL
    AND d.id = COALESCE(%s, (SELECT k.id FROM network_device k WHERE k.key_hash = %s))
"""
TOGETHER = 100  # enough to share a commit; all 500 of an upload could outlast a busy database's statement time-out


def hand_over(scanner: Scanner, requests: Sequence[ScanRequest]) -> dict[UUID, Answer | ScanIdReused]:
    """Hand parcels over, each at most once; every scan is stored with its verdict, refused or not.

    Each is of another parcel. Those with a QR run TOGETHER in one statement, their parcels locked in one order. Typed
    codes go one by one: each is counted and that count committed before it is compared, so that a refusal, an error or
    a crash never gives an attempt back, and a right one is taken off the shop's day before the next is counted.

    A scan id that was used for another scan is answered with ScanIdReused, in its place. Raises UnknownScanner.
    """
    shown = [(request, *_shown(request)) for request in requests if request.token]
    answers: dict[UUID, Answer | ScanIdReused] = {}
    for start in range(0, len(shown), TOGETHER):
        answers |= _redeem(scanner, shown[start : start + TOGETHER])
    for request in requests:
        if not request.token:
            answers |= _redeem(scanner, [(request, None, None, *_typed(scanner, request))])
    return answers


def release(scanner: Scanner, request: ScanRequest) -> Answer | ScanIdReused:
    """Hand a parcel over without a proof; the caller records why, in the same transaction. It earns nothing (R5)."""
    assert connection.in_atomic_block, "release() is a building block: the use case opens the transaction"
    return _run(scanner, [(request, None, None, "manual", None)])[request.scan_id]


Proven = tuple[ScanRequest, UUID | None, int | None, str, bytes | None]


def _redeem(scanner: Scanner, proven: Sequence[Proven]) -> dict[UUID, Answer | ScanIdReused]:
    """Run the database function; a clash with another request or a cut connection is tried again, whole."""
    return again(lambda: _run(scanner, proven)) if proven else {}


def _run(scanner: Scanner, proven: Sequence[Proven]) -> dict[UUID, Answer | ScanIdReused]:
    scans = [
        {
            "scan_id": str(request.scan_id),
            "request_hash": _hex(request.hash()),
            "event_at": request.event_at.isoformat(),
            "barcode": request.barcode,
            "told": request.told,
            "parcel_uuid": parcel and str(parcel),
            "audience": audience,
            "proof": proof,
            "proof_hash": proof_hash and _hex(proof_hash),
        }
        for request, parcel, audience, proof, proof_hash in proven
    ]
    who = (scanner.device_id, scanner.key_hash, scanner.refusal, scanner.clerk_id)
    rows = _rows(HAND_OVER, *who, settings.TIME_ZONE, json.dumps(scans))
    if not rows:
        raise UnknownScanner
    return {
        scan_id: Answer(json.loads(answer), repeated=repeated) if same_request else ScanIdReused(scan_id)
        for scan_id, answer, repeated, same_request in rows
    }


def _hex(value: bytes) -> str:
    """Bytes as PostgreSQL reads them from a text."""
    return f"\\x{value.hex()}"


def _rows(statement: str, *parameters: Any) -> list[Any]:
    """Run a statement that the database has planned before: planning this one takes as long as running it.

    Django's cursors write parameters into the text, so that each text is new; psycopg's own cursor sends them apart.
    """
    connection.ensure_connection()
    assert connection.connection is not None
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall()


def _shown(request: ScanRequest) -> tuple[UUID | None, int | None, str, bytes | None]:
    """Return the parcel and the point that a token names, the kind of proof, and the hash to compare."""
    try:
        token = codes.read_token(request.token)
    except codes.ForgedToken:
        return None, None, "bad", None
    return token.parcel, token.point_id, "qr", codes.hash_secret(token.secret)


def _typed(scanner: Scanner, request: ScanRequest) -> tuple[str, bytes | None]:
    """Count a typed code against its parcel and its shop, commit, and say whether it may be compared."""
    if not codes.is_code(request.code):
        return "bad", None  # it cannot be right, so it costs nothing
    if scanner.refusal:
        return "uncounted", None
    with transaction.atomic(durable=True):
        asked = (request.scan_id, request.barcode, settings.TIME_ZONE, scanner.device_id, scanner.key_hash)
        rows = _rows(COUNT_ATTEMPT, *asked)
    outcome = rows[0][0] if rows else "none"
    if outcome == "counted":
        return "code", codes.hash_code(request.barcode, request.code)
    return (outcome if outcome in ("locked", "paused") else "uncounted"), None
