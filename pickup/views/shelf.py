"""The shelf of a shop: what is here and what is coming, searched by four digits, a barcode or a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from network import clock
from network.points import midnight
from pickup import notices, parcels, stock, tasks
from pickup.models import Parcel
from pickup.views.doors import Worker, at_counter, shown

ROWS = 50
SHOWS = ("here", "overdue", "expected")


@dataclass(frozen=True)
class Part:
    """One page of a long list; it is asked for one row more than it shows, so that nothing has to be counted."""

    rows: list[Any]
    number: int
    previous: str
    following: str

    @property
    def several(self) -> bool:
        return bool(self.previous or self.following)


def part_of(request: HttpRequest, rows: QuerySet[Any], *, size: int) -> Part:
    """Cut out the page that `?page=` names. What is no number, or lies beyond the end, is the first page."""
    asked = request.GET.get("page", "")
    number = int(asked) if asked.isascii() and asked.isdigit() and 0 < int(asked[:6]) <= 10_000 else 1
    found = list(rows[(number - 1) * size : number * size + 1])
    if not found and number > 1:
        number, found = 1, list(rows[: size + 1])
    query = {name: value for name, value in request.GET.items() if name != "page"}
    previous = "?" + urlencode(query | {"page": number - 1}) if number > 1 else ""
    following = "?" + urlencode(query | {"page": number + 1}) if len(found) > size else ""
    return Part(found[:size], number, previous, following)


def searched(request: HttpRequest) -> str:
    """What was typed into the search; PostgreSQL has no NUL in its texts."""
    return search_text(request.GET.get("q", ""))


def search_text(text: str) -> str:
    return text.replace("\x00", "").strip()[:64]


@at_counter()
@require_http_methods(["GET", "HEAD", "POST"])
def shelf(request: HttpRequest, worker: Worker) -> HttpResponse:
    if request.method == "POST":
        return _send_again(request, worker)
    show, text, at = request.GET.get("show", "here"), searched(request), now()
    if show not in SHOWS:
        raise Http404
    lead = stock.lead(worker.point, now=at)
    numbers = stock.shelf(worker.point, now=at, lead=lead)
    if text:
        rows = stock.search(parcels.at_point(worker.point, statuses=parcels.HELD), text)
    elif show == "expected":
        rows = stock.expected(worker.point)
    else:
        rows = parcels.at_point(worker.point, statuses=parcels.HERE)
        rows = rows.filter(stock.overdue(at)) if show == "overdue" else rows
    part = part_of(request, rows, size=ROWS)
    context = {
        "show": "" if text else show,
        "q": text,
        "numbers": numbers,
        "part": part,
        "rows": [row_of(parcel, worker, lead) for parcel in part.rows],
        "lead": lead,
        "half_h": round(lead.half.total_seconds() / 3600) if lead else None,
        "at": at,
    }
    return shown(request, worker, "pickup/shelf.html", context)


def row_of(parcel: Parcel, worker: Worker, lead: stock.Lead | None) -> dict[str, Any]:
    at = now()
    announced = parcel.order.assigned_at or parcel.order.placed_at
    is_expected = parcel.status == Parcel.Status.EXPECTED
    return {
        "parcel": parcel,
        "overdue": stock.is_overdue(parcel, now=at),
        "expected": is_expected,
        "announced": announced,
        "late": is_expected and lead is not None and announced < midnight(at) - lead.most,
        "label": reverse("labels", args=[worker.point.pk]) + "?" + urlencode({"barcode": parcel.barcode}),
    }


def _send_again(request: HttpRequest, worker: Worker) -> HttpResponse:
    """Send the notice of a parcel that waits here once more."""
    barcode = request.POST.get("barcode", "").replace("\x00", "")
    parcel = parcels.at_point(worker.point, statuses=parcels.HERE).filter(barcode=barcode).first()
    if parcel is None:
        messages.error(request, _("This parcel does not wait here any more."))
    else:
        try:
            notices.resend(parcel, now=clock.now())
        except notices.NotResent as refused:
            messages.error(request, refused.words)
        else:
            tasks.ring(tasks.send_notices)
            messages.success(request, _("The recipient of %(barcode)s gets the message again.") % {"barcode": barcode})
    back = {name: request.POST[name] for name in ("show", "q", "page") if request.POST.get(name)}
    return redirect(reverse("shelf", args=[worker.point.pk]) + ("?" + urlencode(back) if back else ""))
