"""Held pickups for those who watch the money: the shops in question, what was found, and a decision with a reason.

Staff who may view holds see all of it, and who may change them decides; for everybody else it does not exist. A shop
is told only that a fee is under review: the rules are not for those whom they are about.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import localdate, localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from network import history
from network.clock import now
from network.models import ServicePoint, User
from network.views.sign_in import homes_of
from pickup import flags, ledger, signs
from pickup.flags import PICTURE_DAYS, Refusal, Seen
from pickup.models import Hold
from pickup.views.why import PROOFS

PER_PAGE = 50
DAY_W, HOUR_H = 20, 10  # of the picture of times
RINGS_KM = (1, 10, 100, 1000)
RING_W = 60  # from one ring of the map to the next
REFUSED: dict[Refusal, Any] = {
    Refusal.NO_REASON: _("Give a reason of three letters or more."),
    Refusal.NOTHING: _("Choose at least one pickup."),
    Refusal.TOO_MANY: _("At most 200 pickups at once."),
    Refusal.OWN_SHOP: _("Somebody else must decide: it is about your own shop or hand-over."),
    Refusal.TOO_SOON: _("One of them is so new that a clerk may still undo it. Wait ten minutes."),
}


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(label=_("Decision"), choices=Hold.Decision.choices)
    reason = forms.CharField(label=_("Reason"), min_length=3, max_length=flags.REASON_LETTERS)
    hold = forms.TypedMultipleChoiceField(label=_("Pickups"), coerce=int)

    def __init__(self, data: Any, open_ids: Sequence[int]) -> None:
        super().__init__(data)
        self.fields["hold"].choices = [(pk, pk) for pk in open_ids]  # type: ignore[attr-defined]


def may_see(user: User) -> bool:
    return user.is_staff and user.has_perm("pickup.view_hold")


@login_required
@never_cache
@require_safe
def flags_page(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    if not may_see(user):
        raise Http404
    decided = request.GET.get("decided") == "1"
    page = Paginator(flags.queue(decided=decided), PER_PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "homes": homes_of(user),
        "page": page,
        "query": "decided=1" if decided else "",
        "decided": decided,
        "rows": [
            {"suspect": one, "amount": ledger.written(one.amount_minor, one.currency)}
            for one in flags.suspects(list(page.object_list))
        ],
        "rules": [
            {"title": sign.title, "weight": sign.weight, "source": sign.source, "share": f"{sign.share:.0%}"}
            for sign in signs.SIGNS.values()
        ],
        "limit": signs.LIMIT,
    }
    return render(request, "pickup/flags.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def flag_page(request: HttpRequest, point_id: int) -> HttpResponse:
    """One shop: what was found in words, its pictures, its held pickups, and the decision."""
    user = cast(User, request.user)
    if not may_see(user):
        raise Http404
    point = get_object_or_404(ServicePoint.objects.select_related("region"), pk=point_id)
    rows = flags.holds_of(point)
    if not rows.exists():
        raise Http404
    form = None
    if request.method == "POST":
        if not user.has_perm("pickup.change_hold"):
            raise PermissionDenied
        form = DecisionForm(request.POST, list(rows.values_list("pk", flat=True)))
        if form.is_valid() and _decided(request, point, form):
            return redirect("flag", point_id=point.pk)
    at = now()
    page = Paginator(rows, flags.AT_ONCE).get_page(request.GET.get("page"))
    seen = flags.seen(point, until=at)
    suspects = flags.suspects(list(flags.queue().filter(service_point=point)))
    suspect = suspects[0] if suspects else None
    context: dict[str, Any] = {
        "homes": homes_of(user),
        "point": point,
        "suspect": suspect,
        "amount": ledger.written(suspect.amount_minor, suspect.currency) if suspect is not None else "",
        "answers": flags.answers_of(point),
        "frozen": flags.is_frozen(point, at=at),
        "page": page,
        "query": "",
        "holds": [hold_shown(hold) for hold in page],
        "times": times_picture(seen, at),
        "places": places_picture(seen),
        "form": form,
        "may_decide": user.has_perm("pickup.change_hold"),
    }
    return render(request, "pickup/flag.html", context, status=400 if form is not None else 200)


def _decided(request: HttpRequest, point: ServicePoint, form: DecisionForm) -> bool:
    told = form.cleaned_data
    history.because(told["reason"])
    try:
        done, late = flags.decide(
            point=point,
            hold_ids=told["hold"],
            decision=told["decision"],
            reason=told["reason"],
            by=cast(User, request.user),
            now=now(),
        )
    except flags.Refused as refused:
        form.add_error(None, str(REFUSED[refused.refusal]))
        return False
    if done:
        words = ngettext("%(done)s pickup is decided.", "%(done)s pickups are decided.", done)
        messages.success(request, words % {"done": done})
    if late:
        words = ngettext(
            "Somebody else had decided about %(late)s of them before.",
            "Somebody else had decided about %(late)s of them before.",
            late,
        )
        messages.warning(request, words % {"late": late})
    return True


def hold_shown(hold: Hold) -> dict[str, Any]:
    scan, parcel = hold.handover.scan, hold.handover.parcel
    return {
        "hold": hold,
        "barcode": parcel.barcode,
        "at": scan.recorded_at,
        "said_at": scan.event_at if scan.told else None,
        "stayed": stayed(parcel.ready_at, scan.recorded_at),
        "proof": PROOFS.get(scan.proof, scan.proof),
        "who": str(scan.clerk or scan.device),
        "recipient": parcel.order.recipient,
        "signs": [found.title for found in signs.findings(hold.evidence)],
        "decision": hold.get_decision_display() if hold.decision else "",
    }


def stayed(came_at: datetime | None, went_at: datetime) -> str:
    """How long a parcel stood on the shelf, in the largest unit that tells it."""
    if came_at is None or went_at < came_at:
        return ""
    minutes = int((went_at - came_at).total_seconds() // 60)
    if minutes < 120:
        return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}
    hours = minutes // 60
    if hours < 48:
        return ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
    days = hours // 24
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": days}


def times_picture(seen: Iterable[Seen], until: datetime) -> dict[str, Any]:
    """A dot for each pickup: the days from left to right, the hours from top to bottom."""
    first = localdate(until) - timedelta(days=PICTURE_DAYS)
    dots = []
    for one in seen:
        local = localtime(one.at)
        day = (local.date() - first).days
        if 0 <= day <= PICTURE_DAYS:
            hour = local.hour + local.minute / 60 + local.second / 3600
            # Beside each other by the minute, so that a series of seconds is a column and not one dot.
            across = day * DAY_W + 3 + (local.second % 15)
            dots.append({"x": round(across, 1), "y": round(hour * HOUR_H, 1), "held": one.held})
    return {
        "dots": sorted(dots, key=lambda dot: dot["held"]),
        "width": (PICTURE_DAYS + 1) * DAY_W,
        "height": 24 * HOUR_H,
        "hours": [{"y": hour * HOUR_H, "text": f"{hour:02d}:00"} for hour in (0, 6, 12, 18)],
        "days": [
            {"x": number * DAY_W, "text": f"{first + timedelta(days=number):%m-%d}"}
            for number in range(0, PICTURE_DAYS + 1, 7)
        ],
    }


def places_picture(seen: Sequence[Seen]) -> dict[str, Any]:
    """Where the addresses lie around the shop: rings of 1, 10, 100 and 1000 km, the direction as on a map."""
    middle = RING_W * len(RINGS_KM)
    dots = []
    for one in seen:
        if one.distance_m is None:
            continue
        away = RING_W * min(len(RINGS_KM), max(0.0, math.log10(max(one.distance_m, 1) / 1000) + 1))
        bearing = one.bearing or 0.0
        dots.append(
            {
                "x": round(middle + away * math.sin(bearing), 1),
                "y": round(middle - away * math.cos(bearing), 1),
                "held": one.held,
            }
        )
    return {
        "dots": sorted(dots, key=lambda dot: dot["held"]),
        "size": 2 * middle,
        "middle": middle,
        "rings": [{"r": RING_W * (number + 1), "km": km} for number, km in enumerate(RINGS_KM)],
        "far": sum(one.distance_m is not None and one.distance_m > signs.FAR_M for one in seen),
        "all": len(seen),
    }
