"""The recipient's page, found by an unguessable link: where the parcel is, until when, and the proof to show."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Any

import opening_hours
import segno
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from network.models import ServicePoint
from pickup import codes, recipients
from pickup.models import Parcel
from pickup.parcels import HERE

Status = Parcel.Status
WORDS = {
    Status.EXPECTED: gettext_lazy("Your parcel is on its way."),
    Status.READY: gettext_lazy("Your parcel is ready. Bring this page."),
    Status.COLLECTED: gettext_lazy("Your parcel was handed over."),
    Status.EXPIRED: gettext_lazy("The storage time is over. Come soon: it may go back any day."),
    Status.REFUSED: gettext_lazy("You refused the parcel. It goes back to its sender."),
    Status.RETURNED: gettext_lazy("Your parcel went back to its sender."),
    Status.CANCELLED: gettext_lazy("The order was cancelled."),
    Status.LOST: gettext_lazy("Your parcel is lost. Please ask the shop you bought from."),
    Status.DAMAGED: gettext_lazy("Your parcel is damaged. Please ask the shop you bought from."),
}
DAYS = {
    "Mo": pgettext_lazy("opening hours", "Mo"),
    "Tu": pgettext_lazy("opening hours", "Tu"),
    "We": pgettext_lazy("opening hours", "We"),
    "Th": pgettext_lazy("opening hours", "Th"),
    "Fr": pgettext_lazy("opening hours", "Fr"),
    "Sa": pgettext_lazy("opening hours", "Sa"),
    "Su": pgettext_lazy("opening hours", "Su"),
    "PH": pgettext_lazy("opening hours", "public holidays"),
    "off": pgettext_lazy("opening hours", "closed"),
    "closed": pgettext_lazy("opening hours", "closed"),
}


# Whoever has the link may post to it anyway, and browsers inside messengers often keep no cookies.
@csrf_exempt
@never_cache
def recipient_page(request: HttpRequest, link: str) -> HttpResponse:
    """Any method but POST reads. An unknown link and one that was replaced get the same answer."""
    parcel = (
        Parcel.objects.filter(code__link_hash=codes.hash_link(link))
        .select_related("code", "service_point", "order__recipient")
        .first()
    )
    if parcel is None or parcel.service_point is None:
        response = render(request, "404.html", status=404)
    else:
        context = _seen_by_anyone(parcel, parcel.service_point)
        if request.method == "POST" and parcel.status in HERE:
            context |= _proof(parcel, parcel.service_point, request.POST.get("last4", ""))
        elif parcel.code.page_attempts >= recipients.PAGE_TRIES:
            context["locked"] = True
        response = render(request, "pickup/recipient.html", context)
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Referrer-Policy"] = "same-origin"
    return response


def _seen_by_anyone(parcel: Parcel, point: ServicePoint) -> dict[str, Any]:
    """What the link alone shows: the shop and the status, nothing of the person."""
    return {
        "parcel": parcel,
        "point": point,
        "lat": f"{point.location.y:.6f}",
        "lon": f"{point.location.x:.6f}",
        "hours": readable_hours(point.opening_hours),
        "open_now": _open_now(point.opening_hours, now()),
        "words": WORDS[Status(parcel.status)],
        "tone": {Status.READY: "ok", Status.COLLECTED: "ok", Status.EXPECTED: "ok"}.get(
            Status(parcel.status), "caution"
        ),
        "here": parcel.status in HERE,
    }


def _proof(parcel: Parcel, point: ServicePoint, typed: str) -> dict[str, Any]:
    last4 = unicodedata.normalize("NFKC", typed).strip()
    if not re.fullmatch(r"[0-9]{4}", last4):
        return {"error": _("Type four digits.")}
    try:
        if not recipients.knows_phone(parcel, last4=last4):
            return {"error": _("These are not the last four digits of the recipient's phone.")}
    except recipients.PageLocked:
        return {"locked": True}
    assert parcel.hold_until is not None, "a constraint gives every parcel on a shelf its deadline"
    issue = parcel.code.issue
    token = codes.token_of(parcel=parcel.uuid, issue=issue, point_id=point.pk, expires_at=parcel.hold_until)
    code = codes.code_of(parcel.uuid, issue)
    return {
        # `make_qr`, because `make` would choose a Micro QR for short texts, which scanners do not read.
        "qr": segno.make_qr(token, error="m").svg_data_uri(border=4, dark="#000", light="#fff"),
        "code": f"{code[:4]} {code[4:]}",
    }


def readable_hours(hours: str) -> str:
    """OpenStreetMap's opening hours with the days in the reader's language."""
    return re.sub(r"\b(Mo|Tu|We|Th|Fr|Sa|Su|PH|off|closed)\b", lambda found: str(DAYS[found[0]]), hours)


def _open_now(hours: str, at: datetime) -> bool | None:
    """Whether the shop is open; None where nothing is known."""
    if not hours or not opening_hours.validate(hours):
        return None
    return bool(opening_hours.OpeningHours(hours).is_open(localtime(at).replace(tzinfo=None)))
