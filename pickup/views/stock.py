"""Counting a shelf (盘点): scan all, then four lists with one action each."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from network.clock import now
from network.models import User
from pickup import parcels, stock
from pickup.models import Parcel, StockCount, StockCountLine
from pickup.views.doors import Worker, at_counter, shown

Found = StockCountLine.Found
LISTED = 300  # rows of one list; a count that goes so wrong is taken once more
RECENT = 10  # counts on the page
# What a parcel is that stands here although it should not, and what to do with it.
ORPHAN_WORDS: dict[str, Any] = {
    Parcel.Status.READY: gettext_lazy("Scanned in since the count."),
    Parcel.Status.EXPIRED: gettext_lazy("Scanned in since the count."),
    Parcel.Status.COLLECTED: gettext_lazy("Recorded as handed over."),
    Parcel.Status.REFUSED: gettext_lazy("Refused by its recipient: it goes back."),
    Parcel.Status.RETURNED: gettext_lazy("Recorded as given to the driver."),
    Parcel.Status.CANCELLED: gettext_lazy("The order was cancelled: it goes back."),
    Parcel.Status.DAMAGED: gettext_lazy("Recorded as damaged."),
    Parcel.Status.LOST: gettext_lazy("Recorded as lost, and found: tell the network."),
}
# What became of a parcel that was missing.
SINCE_WORDS: dict[str, Any] = {
    Parcel.Status.COLLECTED: gettext_lazy("Handed over since."),
    Parcel.Status.RETURNED: gettext_lazy("Given to the driver since."),
    Parcel.Status.LOST: gettext_lazy("Reported as lost."),
    Parcel.Status.DAMAGED: gettext_lazy("Recorded as damaged."),
    Parcel.Status.CANCELLED: gettext_lazy("The order was cancelled since."),
    Parcel.Status.REFUSED: gettext_lazy("Refused by its recipient since."),
}


@at_counter()
@require_http_methods(["GET", "HEAD", "POST"])
def stock_count(request: HttpRequest, worker: Worker) -> HttpResponse:
    """The page where a shelf is counted. With `?again=` a count goes on: what it found needs no second scan."""
    typed, error = "", ""
    if request.method == "POST":
        typed = request.POST.get("barcodes", "")
        answer = _take(request, worker, typed)
        is_script = request.headers.get("Accept") == "application/json"
        if isinstance(answer, StockCount):
            address = reverse("stock-result", args=[worker.point.pk, answer.pk])
            return JsonResponse({"address": address}) if is_script else redirect(address)
        if is_script:
            return JsonResponse({"error": answer}, status=400)
        error = answer
    again = _again(request, worker)
    at = now()
    numbers = stock.shelf(worker.point, now=at, lead=None)
    context = {
        "count_id": uuid4(),
        "typed": typed or "\n".join(again),
        "again": bool(again),
        "error": error,
        "should_be": numbers.here,
        "most": stock.MOST_SCANNED,
        "counts": stock.counts(worker.point)[:RECENT],
    }
    return shown(request, worker, "pickup/stock.html", context, status=400 if error else 200)


def _take(request: HttpRequest, worker: Worker, typed: str) -> StockCount | str:
    """Store the count, or return in words why not."""
    try:
        count_id = UUID(request.POST.get("count_id", ""))
    except ValueError:
        return _("This page was open for too long. Count once more.")
    scanned, left_out = stock.barcodes_among(typed.splitlines())
    if not scanned and "empty" not in request.POST:
        return _("Nothing was scanned. If the shelf is empty, say so below.")
    try:
        count = stock.take_count(point=worker.point, device=worker.device, count_id=count_id, scanned=scanned)
    except stock.TooManyScanned:
        return _("More than %(most)s barcodes in one count.") % {"most": stock.MOST_SCANNED}
    except stock.CountIdReused:
        return _("This count was sent before with other barcodes. Finish once more.")
    if left_out:
        words = ngettext(
            "%(number)s entry was left out: it is no barcode, or a recipient's code.",
            "%(number)s entries were left out: they are no barcodes, or recipients' codes.",
            left_out,
        )
        messages.error(request, words % {"number": left_out})
    return count


def _again(request: HttpRequest, worker: Worker) -> list[str]:
    number = request.GET.get("again", "")
    if not number:
        return []
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise Http404
    count = get_object_or_404(StockCount, pk=int(number), service_point=worker.point)
    found = StockCountLine.objects.filter(count=count).exclude(found=Found.MISSING).order_by("barcode")
    return list(found.values_list("barcode", flat=True))


@at_counter()
@require_safe
def stock_result(request: HttpRequest, worker: Worker, count_pk: int) -> HttpResponse:
    count = get_object_or_404(stock.counts(worker.point), pk=count_pk)
    at = now()
    lists = {str(found): _list(count, found, worker, at) for found in Found}
    context = {"count": count, **lists, "listed": LISTED, "fine": not (count.missing or count.orphan)}  # type: ignore[attr-defined]
    return shown(request, worker, "pickup/stock_result.html", context)


def _list(count: StockCount, found: str, worker: Worker, at: datetime) -> dict[str, Any]:
    rows = [_row(line, worker, at) for line in stock.lines_of(count, found)[:LISTED]]
    total = getattr(count, found)
    return {"rows": rows, "total": total, "hidden": total - len(rows)}


def _row(line: StockCountLine, worker: Worker, at: datetime) -> dict[str, Any]:
    """A line as a shop may see it: of a parcel of another shop no more than that shop's name."""
    parcel = line.parcel
    row: dict[str, Any] = {"line": line, "barcode": line.barcode, "own": None}
    if parcel is None:
        return row | {"words": _("Not announced to the network."), "action": "apart"}
    if parcel.service_point_id != worker.point.pk:
        elsewhere = parcel.service_point.name if parcel.service_point else ""
        words = _("Belongs to %(point)s.") % {"point": elsewhere} if elsewhere else _("Not assigned to a shop yet.")
        return row | {"words": words, "action": "apart"}
    row["own"] = parcel
    row["since"] = parcel.arrivals_here[0].scan.recorded_at if parcel.arrivals_here else None  # type: ignore[attr-defined]
    if line.found == Found.ORPHAN:
        if parcel.status == Parcel.Status.EXPECTED:
            return row | {"words": _("Announced here, never scanned in."), "action": "scan-in"}
        here = parcel.status in parcels.HERE
        return row | {"words": ORPHAN_WORDS[parcel.status], "action": "" if here else "apart"}
    waits = parcel.status in parcels.HERE
    row |= {"words": "" if waits else SINCE_WORDS.get(parcel.status, parcel.get_status_display()), "waits": waits}
    row["overdue"] = waits and stock.is_overdue(parcel, now=at)
    return row


@at_counter(owner=True)
@require_http_methods(["GET", "HEAD", "POST"])
def stock_lost(request: HttpRequest, worker: Worker, count_pk: int, line_pk: int) -> HttpResponse:
    """Ask once more, and for the reason, before an owner says that a parcel is lost."""
    line = get_object_or_404(
        StockCountLine.objects.select_related("count__service_point", "parcel__order__recipient"),
        pk=line_pk,
        count=count_pk,
        count__service_point=worker.point,
        found=Found.MISSING,
        parcel__service_point=worker.point,
    )
    parcel, error = line.parcel, ""
    assert parcel is not None, "asked for above"
    reason = request.POST.get("reason", "").replace("\x00", "").strip()[:200]
    if request.method == "POST":
        assert isinstance(worker.user, User), "the door lets owners in only"
        try:
            stock.report_lost(line=line, by=worker.user, reason=reason)
        except stock.NoReason:
            error = _("Say why in a few words.")
        except parcels.WrongStatus:
            messages.error(request, _("This parcel does not wait here any more. Nothing was changed."))
            return redirect("stock-result", worker.point.pk, count_pk)
        else:
            messages.success(request, _("Reported as lost: %(barcode)s.") % {"barcode": parcel.barcode})
            return redirect("stock-result", worker.point.pk, count_pk)
    elif parcel.status not in parcels.HERE:
        messages.error(request, _("This parcel does not wait here any more. Nothing was changed."))
        return redirect("stock-result", worker.point.pk, count_pk)
    context = {"line": line, "parcel": parcel, "last": stock.last_scan(parcel), "error": error, "reason": reason}
    return shown(request, worker, "pickup/stock_lost.html", context, status=400 if error else 200)
