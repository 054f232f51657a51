"""The recipient's page, found by an unguessable link: where the parcel is, until when, and the proof to show.

The link alone shows the shop and the status. Whatever reveals or changes something needs the last four digits of the
phone; who gave them gets a grant for half an hour, in a cookie and in the forms, because browsers inside messengers
often keep no cookies. A delegate's link shows that delegate's own proof, and can do nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import segno
from django.conf import settings
from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from network import access
from network.clock import now
from network.models import ServicePoint, User
from pickup import asking, codes, delegation, disputes, holding, notices, orders, parcels, recipients, tasks
from pickup.models import Delegation, Dispute, Notice, Parcel, PickupCode
from pickup.parcels import HERE
from pickup.views import recipient_words as words
from pickup.views.recipient_words import readable_hours

__all__ = ["qr_image", "readable_hours", "recipient_page"]

Status = Parcel.Status
GRANT_S = 30 * 60
GRANT = "recipient-page"
OFFERS = 6
PROVABLE = (*HERE, Status.EXPECTED, Status.COLLECTED)  # where the four digits open something


SHOWN = Parcel.objects.select_related("code", "service_point__visitor_notice", "order__recipient")


@dataclass(frozen=True)
class Said:
    """What came of an action: words for the reader, and the part of the page they are about."""

    text: str
    about: str
    done: bool = True


# Whoever has the link may post to it anyway, and browsers inside messengers often keep no cookies.
@csrf_exempt
@never_cache
def recipient_page(request: HttpRequest, link: str) -> HttpResponse:
    """Any method but POST reads. An unknown link and one that was replaced get the same answer."""
    parcel = _found_by(link)
    if parcel is not None and parcel.service_point is not None:
        response = _page(request, parcel, parcel.service_point)
    elif parcel is not None:
        response = render(request, "pickup/recipient_between.html", {"parcel": parcel})
    elif (made := delegation.found_by(link)) is not None:
        response = _delegate_page(request, made)
    else:
        response = render(request, "404.html", status=404)
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Referrer-Policy"] = "same-origin"
    return response


def _found_by(link: str) -> Parcel | None:
    return SHOWN.filter(code__link_hash=codes.hash_link(link)).first()


def _page(request: HttpRequest, parcel: Parcel, point: ServicePoint) -> HttpResponse:
    at = now()
    granted = _is_granted(request, parcel)
    asked: dict[str, Any] = {}
    said: Said | None = None
    action = request.POST.get("action", "") if request.method == "POST" else ""
    by_shop = isinstance(request.user, User) and access.role_at(request.user, point) is not None
    asking.note_opening(parcel, by_shop=by_shop)
    if action == "resend":
        said = _resend(parcel, at)
    elif action in ANSWERS:
        said = _answer(parcel, action, at)
    elif request.method == "POST" and parcel.status in PROVABLE:
        if not granted:
            asked = _ask(request, parcel)
            granted = not asked
        if granted and action in ACTIONS:
            said = ACTIONS[action](request, parcel, at)
            parcel = Parcel.objects.select_related("code", "service_point__visitor_notice", "order__recipient").get(
                pk=parcel.pk
            )
            point = parcel.service_point or point
    if not granted and parcel.code.page_attempts >= recipients.PAGE_TRIES:
        asked = {"locked": True}
    granted = granted and parcel.status in PROVABLE
    context = _seen_by_anyone(parcel, point, at) | asked | {"said": said, "about": said.about if said else action}
    if granted:
        context |= {"granted": True, "grant": _new_grant(parcel)} | _seen_by_recipient(parcel, point, at)
    response = render(request, "pickup/recipient.html", context)
    if granted:
        response.set_cookie(
            GRANT,
            context["grant"],
            max_age=GRANT_S,
            path=f"/t/{codes.link_of(parcel.uuid, parcel.code.issue)}",
            secure=settings.SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


def _new_grant(parcel: Parcel) -> str:
    return signing.dumps([str(parcel.uuid), parcel.code.issue], salt=GRANT)


def _is_granted(request: HttpRequest, parcel: Parcel) -> bool:
    """Whether the digits were given for this very link within the last half hour."""
    if not parcel.order.recipient.phone_last4:
        return False  # the recipient's data were erased
    for text in (request.POST.get("grant", ""), request.COOKIES.get(GRANT, "")):
        try:
            if signing.loads(text, salt=GRANT, max_age=GRANT_S) == [str(parcel.uuid), parcel.code.issue]:
                return True
        except signing.BadSignature:
            continue
    return False


def _ask(request: HttpRequest, parcel: Parcel) -> dict[str, Any]:
    """Check the digits that were typed; what is returned tells what is wrong with them, nothing if they are right."""
    if "last4" not in request.POST:
        return {"error": _("For your safety, please type the four digits again.")}
    last4 = unicodedata.normalize("NFKC", request.POST["last4"]).strip()
    if not re.fullmatch(r"[0-9]{4}", last4):
        return {"error": _("Type four digits.")}
    try:
        if not recipients.knows_phone(parcel, last4=last4):
            return {"error": _("These are not the last four digits of the recipient's phone.")}
    except recipients.PageLocked:
        return {"locked": True}
    return {}


def _resend(parcel: Parcel, at: datetime) -> Said:
    try:
        notices.resend(parcel, now=at)
    except notices.NotResent as refused:
        return Said(refused.words, "messages", done=False)
    tasks.ring(tasks.send_notices)
    return Said(_("The message is on its way to the recipient's phone."), "messages")


def _answer(parcel: Parcel, action: str, at: datetime) -> Said:
    """One tap is enough: the link came to the recipient's own phone, and an answer reveals nothing."""
    try:
        asking.answer(parcel, collected=ANSWERS[action], now=at)
    except asking.Refused as refused:
        return Said(str(words.NOT_ANSWERED[refused.refusal]), "question", done=False)
    return Said(_("Thank you for telling us."), "question")


def _extend(request: HttpRequest, parcel: Parcel, at: datetime) -> Said:
    try:
        longer = holding.extend(parcel, now=at)
    except holding.NotExtended as refused:
        return Said(str(words.NOT_EXTENDED[refused.refusal]), "extend", done=False)
    assert longer.hold_until is not None, "an extended parcel has its deadline"
    return Said(_("Your parcel is kept until %(until)s.") % {"until": words.moment(longer.hold_until)}, "extend")


def _delegate(request: HttpRequest, parcel: Parcel, at: datetime) -> Said:
    until = delegation.ends(parcel, now=at).get(request.POST.get("end", ""))
    number = request.POST.get("number", "")
    if until is None:
        return Said(str(words.NOT_DELEGATED[delegation.Refusal.BAD_END]), "delegate", done=False)
    try:
        chosen = int(number) if re.fullmatch(r"[0-9]{1,3}", number) else 0
        delegation.make(parcel, number=chosen, until=until, now=at)
    except delegation.NotDelegated as refused:
        return Said(str(words.NOT_DELEGATED[refused.refusal]), "delegate", done=False)
    return Said(_("Done. Send the text below to the person who collects the parcel."), "delegate")


def _withdraw(request: HttpRequest, parcel: Parcel, at: datetime) -> Said:
    delegation.withdraw(parcel, now=at)
    return Said(_("The other person's code and link do not work any more."), "delegate")


def _choose(request: HttpRequest, parcel: Parcel, at: datetime) -> Said:
    chosen = request.POST.get("point", "")
    point_id = int(chosen) if re.fullmatch(r"[0-9]{1,18}", chosen) else 0
    try:
        orders.choose_point(parcel, point_id=point_id, by="recipient, own page", now=at)
    except orders.Refused as refused:
        return Said(str(words.NOT_CHOSEN[refused.code]), "choose", done=False)
    point = ServicePoint.objects.get(pk=point_id)
    return Said(_("Your parcel will come to %(point)s.") % {"point": point.name}, "choose")


def _dispute(request: HttpRequest, parcel: Parcel, at: datetime) -> Said:
    try:
        disputes.open_dispute(parcel, note=request.POST.get("note", "").replace("\x00", ""))
    except disputes.Refused as refused:
        return Said(str(words.NOT_DISPUTED[refused.refusal]), "dispute", done=False)
    return Said(_("Thank you for telling us. We look into it."), "dispute")


ANSWERS = {"did_collect": True, "did_not_collect": False}
ACTIONS: dict[str, Callable[[HttpRequest, Parcel, datetime], Said]] = {
    "extend": _extend,
    "delegate": _delegate,
    "withdraw": _withdraw,
    "choose": _choose,
    "dispute": _dispute,
}


def _seen_by_anyone(parcel: Parcel, point: ServicePoint, at: datetime) -> dict[str, Any]:
    """What the link alone shows: the shop and the status, nothing of the person."""
    status = Status(parcel.status)
    here = status in HERE
    return _shop(point, at) | {
        "parcel": parcel,
        "words": words.WORDS[status],
        "tone": "ok" if status in words.FINE else "caution",
        "here": here,
        "expected": status == Status.EXPECTED,
        "collected": status == Status.COLLECTED,
        "question": asking.question_of(parcel) if status == Status.COLLECTED else None,
        "left": words.left(parcel.hold_until, now=at) if here and parcel.hold_until else "",
        "sent": [(words.SENT[Notice.Kind(one.kind)], one.sent_at) for one in notices.sent_times(parcel)],
        "resendable": status in notices.SAYS,
    }


def _shop(point: ServicePoint, at: datetime) -> dict[str, Any]:
    return words.map_links(point) | {
        "point": point,
        "address": words.full_address(point),
        "hours": words.hours_of(point, now=at),
        "pause": words.pause_of(point, now=at),
        "notice": words.notice_of(point, now=at),
    }


def _seen_by_recipient(parcel: Parcel, point: ServicePoint, at: datetime) -> dict[str, Any]:
    """What the four digits open, by status. A code that is locked away after too many wrong digits stays so."""
    if parcel.status == Status.EXPECTED:
        return {"offers": _offers(parcel, at), "siblings": _siblings(parcel)}
    if parcel.status == Status.COLLECTED:
        dispute = disputes.of(parcel)
        outcome = Dispute.Outcome(dispute.outcome) if dispute and dispute.outcome else None
        return {"dispute": dispute, "upheld": outcome == Dispute.Outcome.UPHELD, "resolved": outcome is not None}
    assert parcel.hold_until is not None, "a constraint gives every parcel on a shelf its deadline"
    issue = parcel.code.issue
    token = codes.token_of(parcel=parcel.uuid, issue=issue, point_id=point.pk, expires_at=parcel.hold_until)
    waiting = delegation.all_waiting(parcel)
    return {
        "qr": qr_image(token),
        "code": words.spaced(codes.code_of(parcel.uuid, issue)),
        "extendable": parcel.status == Status.READY and parcel.extended_at is None and parcel.hold_until > at,
        "all_codes": words.all_codes_text(waiting, now=at),
        "waiting_count": len(waiting),
        "coming": _coming(parcel),
    } | _delegation(parcel, at)


def _delegation(parcel: Parcel, at: datetime) -> dict[str, Any]:
    made = delegation.current(parcel, now=at)
    number = delegation.next_number(parcel)
    ends = [(name, words.ENDS[name], words.moment(end)) for name, end in delegation.ends(parcel, now=at).items()]
    context: dict[str, Any] = {"ends": ends, "next_number": number, "can_delegate": number <= delegation.MOST}
    if made is None:
        return context
    proof = delegation.proof_of(made)
    return context | {
        "delegate": made,
        "delegate_text": words.delegate_text(made, proof),
        "delegate_url": f"{settings.BASE_URL}/t/{proof.link}",
    }


def _coming(parcel: Parcel) -> list[dict[str, Any]]:
    """The person's parcels that are on their way, with their links: those are made when they are first shown."""
    coming = delegation.all_coming(parcel)
    have = set(PickupCode.objects.filter(parcel__in=coming).values_list("parcel_id", flat=True))
    with transaction.atomic():
        for other in coming:
            if other.pk not in have:
                parcels.issue_code(other)
    issues = dict(PickupCode.objects.filter(parcel__in=coming).values_list("parcel_id", "issue"))
    return [{"parcel": one, "url": f"/t/{codes.link_of(one.uuid, issues[one.pk])}"} for one in coming]


def _offers(parcel: Parcel, at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "point": offer.point,
            "address": words.full_address(offer.point),
            "distance": words.distance(offer.distance_m),
            "hours": words.hours_of(offer.point, now=at),
            "free": offer.free,
        }
        for offer in orders.other_points(parcel, limit=OFFERS, now=at)
    ]


def _siblings(parcel: Parcel) -> int:
    return Parcel.objects.filter(order_id=parcel.order_id, status=Status.EXPECTED).count()


def _delegate_page(request: HttpRequest, made: Delegation) -> HttpResponse:
    """Shop, QR and code for the person this link was made for; nothing at all once it has ended."""
    at, parcel = now(), made.parcel
    point = parcel.service_point
    if point is None or parcel.status not in HERE or made.revoked_at is not None or made.expires_at <= at:
        return render(request, "pickup/recipient_delegate.html", {"over": True}, status=410)
    proof = delegation.proof_of(made)
    context = _shop(point, at) | {
        "parcel": parcel,
        "qr": qr_image(proof.token),
        "code": words.spaced(proof.code),
        "until": made.expires_at,
        "left": words.left(made.expires_at, now=at),
    }
    return render(request, "pickup/recipient_delegate.html", context)


def qr_image(text: str) -> str:
    """`make_qr`, because `make` would choose a Micro QR for short texts, which scanners do not read."""
    return segno.make_qr(text, error="m").svg_data_uri(border=4, dark="#000", light="#fff")
