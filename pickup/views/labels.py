"""Labels and shelf lists for the printer: a QR beside each Code 128, because a tilted Code 128 is hard to read."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from typing import Any

import segno
from barcode.codex import Code128
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.timezone import now
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from pickup import parcels, stock
from pickup.models import Parcel
from pickup.views.doors import Worker, at_counter, shown
from pickup.views.shelf import part_of

AT_ONCE = 100  # labels on one page: as many as a browser lays out for a printer without a long wait
LISTED = 2_000
MOST_NAMED = 100  # barcodes in one address
# The width of the paper and how much of it carries the Code 128, in mm.
PAPERS: dict[str, Any] = {"100": gettext_lazy("Label 100 × 60 mm"), "58": gettext_lazy("Receipt 58 mm")}
BAR_ROOM_MM = {"100": 92.0, "58": 48.0}
BAR_HEIGHT_MM = 14
DOT_MM = 0.125  # of a thermal printer with 203 dots an inch: a bar of whole dots stays sharp
DOTS = (4, 3, 2)  # for the narrowest bar, the widest that fits; under two dots scanners fail
QUIET_MODULES = 10  # on each side (ISO/IEC 15417)
GROUPS = ("shelf", "expected")


class Bars(Code128):  # type: ignore[misc] # the library has no types
    """Code 128 that keeps the digits 99 at its beginning.

    python-barcode 0.16 takes their value for a change of the character set, which has the same number, and drops them.
    """

    def _try_to_optimize(self, encoded: list[int]) -> list[int]:
        optimized: list[int] = encoded if encoded[1] == 99 else super()._try_to_optimize(encoded)
        return optimized


@at_counter()
@require_safe
def labels(request: HttpRequest, worker: Worker) -> HttpResponse:
    """`?barcode=`, one or more, or `?all=shelf|expected`; `width=58` for receipt printers, `list=1` for a list."""
    paper, group = request.GET.get("width", "100"), request.GET.get("all", "")
    named = [barcode.replace("\x00", "") for barcode in request.GET.getlist("barcode")][:MOST_NAMED]
    if paper not in PAPERS or group not in ("", *GROUPS):
        raise Http404
    if "list" in request.GET:
        return _list(request, worker, group or "shelf")
    if not named and not group:
        return _choose(request, worker)
    rows = _wanted(worker, group, named)
    part = part_of(request, rows, size=AT_ONCE)
    if named and not part.rows:
        raise Http404
    found = {parcel.barcode for parcel in part.rows}
    context = {
        "paper": paper,
        "papers": [(width, words, _with(request, width)) for width, words in PAPERS.items()],
        "labels": [label_of(parcel, paper) for parcel in part.rows],
        "part": part,
        "not_here": [] if group else [barcode for barcode in named if barcode not in found],
    }
    return shown(request, worker, "pickup/labels.html", context)


def _choose(request: HttpRequest, worker: Worker) -> HttpResponse:
    numbers = stock.shelf(worker.point, now=now(), lead=None)
    return shown(request, worker, "pickup/labels_choose.html", {"numbers": numbers, "papers": PAPERS.items()})


def _wanted(worker: Worker, group: str, named: list[str]) -> QuerySet[Parcel]:
    """The parcels to print, in the order in which somebody walks along the shelves."""
    if group == "expected":
        return stock.expected(worker.point)
    rows = parcels.at_point(worker.point, statuses=parcels.HERE if group else parcels.HELD)
    rows = rows if group else rows.filter(barcode__in=named)
    return rows.order_by("shelf", F("hold_until").asc(nulls_last=True), "id")


def _list(request: HttpRequest, worker: Worker, group: str) -> HttpResponse:
    at = now()
    rows = list(_wanted(worker, group, [])[:LISTED])
    context = {
        "rows": [{"parcel": parcel, "overdue": stock.is_overdue(parcel, now=at)} for parcel in rows],
        "group": group,
        "at": at,
    }
    return shown(request, worker, "pickup/labels_list.html", context)


def _with(request: HttpRequest, width: str) -> str:
    query = request.GET.copy()
    query["width"] = width
    query.pop("page", None)
    return f"?{query.urlencode()}"


def label_of(parcel: Parcel, paper: str) -> dict[str, Any]:
    """What stands on a label. Both codes hold the barcode and nothing else: a label never proves anything."""
    return {
        "parcel": parcel,
        "recipient": parcel.order.recipient,
        "qr": qr(parcel.barcode),
        "bars": code128(parcel.barcode, BAR_ROOM_MM[paper]),
    }


@lru_cache(maxsize=1_000)
def qr(text: str) -> str:
    """A QR code as a picture for `src`. `make_qr`, because `make` would choose a Micro QR that few readers know."""
    return str(segno.make_qr(text, error="m", boost_error=False).svg_data_uri(border=4, omitsize=True))


@lru_cache(maxsize=1_000)
def code128(text: str, room_mm: float) -> dict[str, Any] | None:
    """A Code 128 as a picture for `src`, its quiet zones included, with its width in mm.

    None where it would be too narrow to be read: then the QR stands alone.
    """
    modules = "".join(Bars(text).build())
    total = len(modules) + 2 * QUIET_MODULES
    dots = next((dots for dots in DOTS if total * dots * DOT_MM <= room_mm), None)
    if dots is None:
        return None
    bars = "".join(f"M{start + QUIET_MODULES} 0h{width}v1h-{width}z" for start, width in _runs(modules))
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total * dots * DOT_MM}mm" height="{BAR_HEIGHT_MM}mm"'
        f' viewBox="0 0 {total} 1" preserveAspectRatio="none"'
        f' shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{total}v1H0z"/><path d="{bars}"/></svg>'
    )
    data = "data:image/svg+xml;base64," + b64encode(picture.encode()).decode()
    return {"src": data, "width_mm": total * dots * DOT_MM, "modules": modules}


def _runs(modules: str) -> list[tuple[int, int]]:
    """Where each bar begins and how wide it is, in modules."""
    runs, place = [], 0
    for piece in modules.replace("01", "0|1").replace("10", "1|0").split("|"):
        if piece[0] == "1":
            runs.append((place, len(piece)))
        place += len(piece)
    return runs
