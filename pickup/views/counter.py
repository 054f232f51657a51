"""The counter of a shop: one input for scanner and keyboard, one answer that tells what to do now."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.utils.timezone import localtime, now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from pydantic import ValidationError

from network import access
from network.models import ServicePoint, User
from network.views.sign_in import homes_of
from pickup import codes, fees, ledger, parcels, scanning, tasks
from pickup.forms import ScanForm
from pickup.models import Parcel, Scan, Verdict
from pickup.scans import Answer, ScanIdReused, Scanner

Kind = Scan.Kind
SHELF_ROWS = 200
NO_PROOF = "-"  # no code is a dash: it asks why a parcel that is not on this shelf cannot be handed over

MODES = {
    Kind.PICKUP: _("Hand over"),
    Kind.ARRIVAL: _("Scan in"),
    Kind.RETURN: _("Send back"),
    Kind.DAMAGED: _("Damaged"),
    Kind.UNDO: _("Undo"),
}
ASKS = {
    Kind.PICKUP: _("Scan the parcel's label, or the recipient's QR code"),
    Kind.ARRIVAL: _("Scan the label of the parcel that came in"),
    Kind.RETURN: _("Scan the label of the parcel that goes back"),
    Kind.DAMAGED: _("Scan the label of the damaged parcel"),
    Kind.UNDO: _("Scan the label of the parcel that was handed over by mistake"),
}
ASK_PROOF = _("Now scan the recipient's QR code, or type the eight digits")

NEXT: dict[str, Any] = {
    Verdict.OK_REPEAT: _("Nothing more to do."),
    Verdict.NOT_FOUND: _("Look at the label again and type its number by hand."),
    Verdict.ALREADY_COLLECTED: _("Hand nothing over."),
    Verdict.WRONG_POINT: _("Send the recipient there; keep the parcel, if it is here, for the driver."),
    Verdict.NOT_ARRIVED: _("If it is here, scan it in first."),
    Verdict.EXPIRED_BUT_HERE: _("Hand the parcel over."),
    Verdict.RETURNED: _("Keep it for the driver."),
    Verdict.CANCELLED: _("Keep it for the driver."),
    Verdict.WRONG_CODE: _("Try once more with the newest message, or scan the QR code."),
    Verdict.CODE_LOCKED: _("Ask the recipient to open the link in the message and to show the QR code."),
    Verdict.CODE_REVOKED: _("Ask the recipient to open the newest message."),
    Verdict.POINT_SUSPENDED: _("Hand nothing over and ask the network."),
    Verdict.CLERK_NOT_ALLOWED: _("Ask the owner of the shop to add you again."),
    Verdict.DEVICE_REVOKED: _("Ask the network to admit this browser again."),
    Verdict.UNKNOWN_PARCEL: _("Scan the next one."),
    Verdict.DUPLICATE: _("Nothing more to do. Scan the next one."),
    Verdict.OVER_CAPACITY: _("Put it where there is room."),
    Verdict.DAMAGED: _("Keep it apart for the driver."),
}
NEXT_IN_MODE = {
    (Kind.PICKUP, Verdict.OK): _("Hand the parcel over."),
    (Kind.ARRIVAL, Verdict.OK): _("Put it on the shelf. Scan the next one."),
    (Kind.RETURN, Verdict.OK): _("Give it to the driver."),
    (Kind.UNDO, Verdict.OK): _("Put it back on its shelf. The fee was taken back."),
    (Kind.UNDO, Verdict.NOT_FOUND): _("Only a parcel that was handed over here can be undone."),
    (Kind.UNDO, Verdict.ALREADY_COLLECTED): _("More than ten minutes ago: it stays so. Ask the network."),
    (Kind.RETURN, Verdict.CLERK_NOT_ALLOWED): _("Its storage time is not over. Leave it on the shelf."),
    (Kind.ARRIVAL, Verdict.WRONG_POINT): _("Keep it apart for the driver."),
}
TONES = {
    Verdict.OK: "ok",
    Verdict.OK_REPEAT: "ok",
    Verdict.EXPIRED_BUT_HERE: "caution",
    Verdict.OVER_CAPACITY: "caution",
    Verdict.DUPLICATE: "caution",
}
ICONS = {"ok": "✓", "caution": "!", "stop": "✕"}
ASKS_AGAIN = {Verdict.WRONG_CODE, Verdict.CODE_LOCKED, Verdict.CODE_REVOKED}

TOO_OLD = _("This page was open for too long. Scan once more.")
PROBLEMS = {
    "barcode": _("This is no barcode: letters without accents, digits and signs, at most 64."),
    "token": _("This QR code cannot be read. Scan it once more."),
    "code": _("The code has eight digits."),
    "shelf": _("At most 20 characters."),
    "reason": _("At most 200 characters."),
}
NOTHING_TYPED = _("Scan or type something first.")
LABEL_FIRST = _("Eight digits look like a recipient's code. Scan the parcel's label first.")
SAY_WHY = _("Say why in a few words.")


@dataclass
class Counter:
    """What one request to the counter is about, and what it found out for the page."""

    user: User
    point: ServicePoint
    kind: Kind
    allowed: bool  # a member today; somebody who was one before is answered and refused
    chosen: Parcel | None = None  # the parcel whose proof is asked for
    answer: Answer | None = None
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, Any] = field(default_factory=dict)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def counter(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    points = list(access.points_of(user))
    wanted = request.GET.get("point")
    if wanted is None and len(points) > 1 and request.method != "POST":
        return render(request, "pickup/points.html", {"points": points, "homes": homes_of(user)})
    at_counter = _counter(request, user, points, wanted)
    if request.method == "POST":
        _take(at_counter, request)
        if at_counter.answer is not None and at_counter.kind == Kind.ARRIVAL:
            tasks.ring(tasks.send_notices)
    elif not at_counter.allowed:
        raise Http404
    context = shown(at_counter) | {"several": len(points) > 1, "homes": homes_of(user)}
    return render(request, "pickup/counter.html", context)


def _counter(request: HttpRequest, user: User, points: list[ServicePoint], wanted: str | None) -> Counter:
    """Find the point that is meant; one where this person never worked does not exist for them."""
    kind = request.GET.get("mode", Kind.PICKUP)
    if kind not in Kind.values:
        raise Http404
    if wanted is None:
        if len(points) != 1:
            raise Http404
        return Counter(user, points[0], Kind(kind), allowed=True)
    for point in points:
        if str(point.pk) == wanted:
            return Counter(user, point, Kind(kind), allowed=True)
    left = ServicePoint.objects.filter(pk=int(wanted)).first() if _is_id(wanted) else None
    if left is None or not access.was_member(user, left):
        raise Http404
    return Counter(user, left, Kind(kind), allowed=False)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _take(at_counter: Counter, request: HttpRequest) -> None:
    """Read what was scanned or typed, and record it once it is complete."""
    typed = {name: request.POST.get(name, "").strip() for name in ("parcel", "shelf", "reason")}
    # An input method may write full-width letters and digits.
    entry = unicodedata.normalize("NFKC", request.POST.get("entry", "")).strip()
    at_counter.typed = typed | {"entry": entry}
    at_counter.chosen = _on_shelf(at_counter, typed["parcel"]) if typed["parcel"] else None
    named = _read(at_counter, entry)
    if at_counter.kind == Kind.UNDO and not typed["reason"]:
        at_counter.errors["reason"] = SAY_WHY
    if at_counter.errors:
        return
    if at_counter.kind == Kind.PICKUP and not named.get("token") and not named.get("code"):
        at_counter.chosen = _on_shelf(at_counter, named["barcode"])
        if at_counter.chosen is not None:
            return
        named["code"] = NO_PROOF
    scan_id, event_at = request.POST.get("scan_id"), request.POST.get("event_at")
    body = named | {"shelf": typed["shelf"], "reason": typed["reason"]}
    _record(at_counter, {name: value for name, value in body.items() if value}, scan_id, event_at)


def _read(at_counter: Counter, entry: str) -> dict[str, str]:
    """Tell what was scanned: a token, the code of the parcel that was scanned before, or the label of a parcel."""
    asked = at_counter.typed["parcel"]
    if not entry:
        at_counter.errors["entry"] = NOTHING_TYPED
        return {}
    if entry.startswith(codes.PREFIX):
        return {"token": entry} | ({"barcode": asked} if asked else {})
    digits = "".join(entry.split())
    is_number = digits.isascii() and digits.isdigit()
    if asked and is_number and _on_shelf(at_counter, entry) is None:
        if len(digits) != codes.CODE_DIGITS:
            at_counter.errors["entry"] = PROBLEMS["code"]
        return {"barcode": asked, "code": digits}
    if is_number and len(digits) == codes.CODE_DIGITS and not Parcel.objects.filter(barcode=entry).exists():
        # Surely a code: stored as an unknown barcode it would stand in the scans for everybody to read.
        at_counter.errors["entry"] = LABEL_FIRST
    return {"barcode": entry}


def _on_shelf(at_counter: Counter, barcode: str) -> Parcel | None:
    if not at_counter.allowed or "\x00" in barcode:
        return None
    return parcels.at_point(at_counter.point, statuses=parcels.HERE).filter(barcode=barcode).first()


def _record(at_counter: Counter, body: dict[str, str], scan_id: str | None, event_at: str | None) -> None:
    try:
        form = ScanForm.model_validate(body | {"kind": str(at_counter.kind), "scan_id": scan_id, "event_at": event_at})
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else ""
            place = name if name in ("shelf", "reason") else "entry"
            at_counter.errors[place] = PROBLEMS.get(name, TOO_OLD)
        return
    scanner = Scanner(
        device_id=access.browser_of(at_counter.user, at_counter.point).pk,
        clerk_id=at_counter.user.pk,
        refusal="" if at_counter.allowed else Verdict.CLERK_NOT_ALLOWED,
    )
    try:
        at_counter.answer = scanning.record(scanner, form.request())
    except ScanIdReused:
        at_counter.errors["entry"] = TOO_OLD
        return
    if at_counter.answer.verdict not in ASKS_AGAIN:
        at_counter.chosen = None


def shown(at_counter: Counter) -> dict[str, Any]:
    """What the page needs. Codes and tokens that were typed are not among it, nor is anything of a closed door."""
    point, currency = at_counter.point, ""
    with suppress(fees.NoTariff):
        currency = fees.tariff_at(now()).currency
    entry = at_counter.typed.get("entry", "")
    # Only a label is given back when its reason is missing, never what might be a proof.
    echoes = at_counter.errors.keys() == {"reason"} and not entry.startswith(codes.PREFIX)
    context = {
        "point": point,
        "kind": at_counter.kind,
        "modes": MODES.items(),
        "mode_name": MODES[at_counter.kind],
        "asks": ASKS[at_counter.kind] if at_counter.chosen is None else ASK_PROOF,
        "chosen": at_counter.chosen,
        "errors": at_counter.errors,
        "entry": entry if echoes else "",
        "shelf": at_counter.typed.get("shelf", ""),
        "reason": at_counter.typed.get("reason", "") if at_counter.errors else "",
        "scan_id": uuid4(),
        "event_at": now().isoformat(),
        "currency": currency,
        "outcome": _outcome(at_counter, currency),
        "allowed": at_counter.allowed,
    }
    return context | (_shop(point, at_counter.kind, currency) if at_counter.allowed else {})


def _outcome(at_counter: Counter, currency: str) -> dict[str, Any] | None:
    """The verdict as a person needs it: one word and sign, what to do now, the shelf, the money."""
    answer = at_counter.answer
    if answer is None:
        return None
    verdict, content = Verdict(answer.verdict), answer.content
    tone = TONES.get(verdict, "caution" if (at_counter.kind, verdict) == (Kind.DAMAGED, Verdict.DAMAGED) else "stop")
    do_now = NEXT[verdict] if verdict in NEXT else _("Nothing more to do.")
    if at_counter.allowed:
        do_now = NEXT_IN_MODE.get((at_counter.kind, verdict), do_now)
    detail = content.get("detail") or {}
    fee_minor, today_minor = content.get("fee_minor"), content.get("today_minor")
    return {
        "verdict": verdict,
        "tone": tone,
        "icon": ICONS[tone],
        "words": verdict.label,
        "next": do_now,
        "barcode": (content.get("parcel") or {}).get("barcode"),
        "shelf": content.get("shelf"),
        "waiting_here": content.get("waiting_here") or 0,
        "elsewhere": detail.get("point"),
        "at": _local(detail.get("at")),
        "by": detail.get("by"),
        "fee": ledger.written(fee_minor, currency) if fee_minor else "",
        "today": ledger.written(today_minor or 0, currency),
    }


def _local(moment: str | None) -> Any:
    parsed = parse_datetime(moment) if moment else None
    return localtime(parsed) if parsed else None


def _shop(point: ServicePoint, kind: Kind, currency: str) -> dict[str, Any]:
    """What stands below the scanner: the shelf, overdue first, and what was earned and scanned in today."""
    here = parcels.at_point(point, statuses=parcels.HERE)
    at = now()
    counts = here.order_by().aggregate(here=Count("id"), overdue=Count("id", filter=Q(hold_until__lt=at)))
    rows = list(here.annotate(overdue=Q(hold_until__lt=at))[:SHELF_ROWS])
    scanned_in = Scan.objects.filter(
        service_point=point,
        kind=Kind.ARRIVAL,
        verdict__in=[Verdict.OK, Verdict.OVER_CAPACITY],
        recorded_at__gte=localtime(at).replace(hour=0, minute=0, second=0, microsecond=0),
    )
    return {
        "rows": rows,
        "counts": counts,
        "hidden": counts["here"] - len(rows),
        "today": ledger.written(ledger.earned_today_minor(point.pk), currency),
        "scanned_in_today": scanned_in.count() if kind == Kind.ARRIVAL else None,
    }
