"""Scans as they come from a device, some of them malformed: each row gets its own answer and hurts no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from pickup import scanning
from pickup.forms import ScanForm, first_error
from pickup.models import MENDABLE, Scan
from pickup.scans import Answer, ScanIdReused, Scanner, ScanRequest

ROWS = 500  # in one upload, at most


def record(scanner: Scanner, raw: Sequence[Any]) -> list[dict[str, Any]]:
    """Record what can be read of an upload and return a row for each, in its order.

    A row: `row` counted from 0, `scan_id`, `status` as the single call would have had it, and the answer's fields, or
    `error`. `final` tells whether the answer stands for ever; otherwise time may mend the refusal, and the same scan
    may be uploaded again. Raises UnknownScanner.
    """
    rows: list[dict[str, Any]] = []
    good: list[tuple[dict[str, Any], ScanRequest]] = []
    for number, one in enumerate(raw):
        row: dict[str, Any] = {"row": number, "scan_id": None, "status": 400, "final": True}
        rows.append(row)
        try:
            form = ScanForm.model_validate(one)
        except ValidationError as error:
            field, reason = first_error(list(error.errors()))
            row["error"] = {"code": "malformed", "message": reason, "field": field}
            continue
        row["scan_id"] = form.scan_id
        good.append((row, form.request()))
    answers = scanning.record_batch(scanner, [request for _, request in good])
    for (row, request), answer in zip(good, answers, strict=True):
        if isinstance(answer, ScanIdReused):
            row |= {"status": 422, "error": {"code": "scan_id_reused", "message": str(answer), "field": "scan_id"}}
        else:
            row |= {"status": 200, "final": is_final(request.kind, answer), **answer.as_json()}
    return rows


def is_final(kind: str, answer: Answer) -> bool:
    """Whether uploading the scan again could never change its answer."""
    return kind not in (Scan.Kind.ARRIVAL, Scan.Kind.PICKUP) or answer.verdict not in MENDABLE
