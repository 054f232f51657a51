"""The review queue of addresses: what is in doubt, the candidates on a map, a pin, and the order goes on (R2, R3).

Staff who may view regions and change orders see it, all of it; for everybody else it does not exist. Texts are masked
(`recipients.mask_unit`), names and phones are not shown at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from network import atlas
from network.clock import now
from network.models import Region, ServicePoint, User
from network.views.regions import allow_tiles, for_staff, tile_template
from network.views.sign_in import homes_of
from pickup import orders, recipients, review, tasks
from pickup.models import Merchant, Order, ReviewDecision
from pickup.review import ADDRESS_DOUBTS, REASONS, Filter, Outcome
from pickup.views.review_words import (
    EXPLAINED,
    REFUSED,
    candidate_words,
    chain_words,
    decided_words,
    marked,
    outcome_words,
)
from pickup.why import LOST_BY

RIGHTS = ("pickup.view_order", "pickup.change_order")
PER_PAGE = 50
LONGEST_LOOK = 1_000  # bytes of a question about a pin


class PlaceField(forms.FloatField):
    """Degrees; NaN and infinity are no numbers here."""

    def __init__(self, label: Any, most: float) -> None:
        super().__init__(label=label, min_value=-most, max_value=most)


class PointField(forms.CharField):
    """A service point by its reference."""

    def clean(self, value: Any) -> Any:
        ref = super().clean(value)
        if not ref:
            return None
        point = ServicePoint.objects.filter(ref=ref).first()
        if point is None:
            raise ValidationError(_("No service point has this reference."))
        return point


class PinForm(forms.Form):
    lat = PlaceField(gettext_lazy("Latitude"), 90)
    lon = PlaceField(gettext_lazy("Longitude"), 180)
    keep = forms.BooleanField(required=False)
    point = PointField(label=gettext_lazy("Service point"), max_length=64, required=False)


class PointForm(forms.Form):
    point = PointField(label=gettext_lazy("Service point"), max_length=64)


class BackForm(forms.Form):
    why = forms.ChoiceField(label=gettext_lazy("Reason"), choices=ReviewDecision.Why.choices)
    note = forms.CharField(label=gettext_lazy("Note for the merchant"), max_length=200, required=False)


class ConsentForm(forms.Form):
    how = forms.CharField(label=gettext_lazy("How the recipient agreed"), max_length=80)


class NoForm(forms.Form):
    """A button alone."""


FORMS: dict[str, type[forms.Form]] = {
    "confirm": PinForm,
    "point": PointForm,
    "back": BackForm,
    "consent": ConsentForm,
    "retry": NoForm,
    "anywhere": NoForm,
    "later": NoForm,
    "forget": NoForm,
}


@for_staff(*RIGHTS)
@never_cache
def review_queue(request: HttpRequest) -> HttpResponse:
    wanted = _wanted(request.GET)
    rows = review.queue(wanted).select_related("address__region", "merchant", "recipient", "desk")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "homes": homes_of(cast(User, request.user)),
        "counts": review.counts(),
        "wanted": wanted,
        "query": _query(wanted),
        "page": page,
        "rows": [(order, REASONS.get(order.review_reason, order.review_reason), _masked(order)) for order in page],
        "reasons": REASONS,
    }
    return render(request, "pickup/review_queue.html", context)


def _masked(order: Order) -> str:
    try:
        query = orders.query_of(order)
    except recipients.Sealed:
        return ""
    return " ".join(filter(None, [query.city, recipients.mask_unit(query.text)]))


def _wanted(values: QueryDict) -> Filter:
    """What makes no sense is left out, so that an old link still opens."""
    doubt, merchant = values.get("doubt", ""), values.get("merchant", "")
    return Filter(
        doubt=doubt if doubt in REASONS else "",
        region=Region.objects.filter(code=values.get("region", "")[:32].replace("\x00", "")).first()
        if values.get("region")
        else None,
        merchant=Merchant.objects.filter(pk=int(merchant)).values_list("pk", flat=True).first()
        if merchant.isascii() and merchant.isdigit() and len(merchant) < 10
        else None,
    )


def _query(wanted: Filter) -> str:
    values = {
        "doubt": wanted.doubt,
        "region": wanted.region.code if wanted.region else "",
        "merchant": wanted.merchant or "",
    }
    return urlencode({name: value for name, value in values.items() if value})


@for_staff(*RIGHTS, posts=True)
@never_cache
def review_order(request: HttpRequest, order_id: int) -> HttpResponse:
    wanted = _wanted(request.GET)
    if request.method == "POST":
        return _decide(request, order_id, wanted)
    return _item_page(request, order_id, wanted, {})


def _item_page(
    request: HttpRequest, order_id: int, wanted: Filter, failed: dict[str, forms.Form], status: int = 200
) -> HttpResponse:
    at, user = now(), cast(User, request.user)
    try:
        item = review.item(order_id, now=at)
    except Order.DoesNotExist as error:
        raise Http404 from error
    order = item.order
    place = review.place_in(wanted, order_id)
    context: dict[str, Any] = {
        "homes": homes_of(user),
        "item": item,
        "order": order,
        "place": place,
        "query": _query(wanted),
        "waits": order.status == Order.Status.REVIEW,
    }
    if order.status != Order.Status.REVIEW:
        context |= {"decided": decided_words(order, review.last_decision(order)), "outcome": review.outcome_of(order)}
        return render(request, "pickup/review_order.html", context, status=status)
    certain = order.review_reason not in ADDRESS_DOUBTS and order.address.location is not None
    context |= {
        "reason": REASONS.get(order.review_reason, order.review_reason),
        "explained": EXPLAINED.get(order.review_reason, ""),
        "text": marked(item),
        "barcode": order.parcels.order_by("id").values_list("barcode", flat=True).first(),
        "candidates": [(one, candidate_words(one), " › ".join(one.chain)) for one in item.candidates],
        "tried": [(point, metres, LOST_BY.get(lost, lost)) for point, metres, lost in item.tried],
        "desk": review.look(order, by=user, now=at),
        "certain": certain,
        "pin": failed.get("confirm") or PinForm(initial=_pin_of(order)),
        "back": failed.get("back") or BackForm(auto_id="back_%s"),
        "consent": failed.get("consent") or ConsentForm(auto_id="consent_%s"),
        "named": failed.get("point") or PointForm(auto_id="point_%s"),
        "config": _config(item, at),
    }
    response = render(request, "pickup/review_order.html", context, status=status)
    allow_tiles(response)
    return response


def _pin_of(order: Order) -> dict[str, float]:
    """Where the pin stands first. The middle of a region that the words name would only be confirmed by mistake."""
    place = order.address.location
    return (
        {}
        if place is None or order.address.source == "gazetteer"
        else {"lat": round(place.y, 6), "lon": round(place.x, 6)}
    )


def _config(item: review.Item, at: Any) -> dict[str, Any]:
    """What the script needs to know; it has no words of its own."""
    return {
        "look": reverse("review-look", args=[item.order.pk]),
        "candidates": [{"lat": one.lat, "lon": one.lon, "inside": bool(one.chain)} for one in item.candidates],
        "outlines": atlas.outlines(item.region_ids, at=at),
        "box": atlas.box_of(None, at=at),
        "tiles": tile_template("region-tile"),
        "external": settings.MAP_TILES,
        "credit": settings.MAP_CREDIT,
        "words": {
            "map": _("Map of the candidates. A click sets the pin."),
            "pin": _("Pin. Arrow keys move it, with Shift farther."),
            "candidate": _("Candidate %(number)s: set the pin here"),
            "nowhere": _("This place lies in no region."),
            "goes": _("It would go to %(point)s, %(metres)s m away."),
            "noPoint": _("No service point there takes it."),
            "failed": _("The map could not be loaded. Write the coordinates or choose a candidate."),
            "gone": _("Somebody else decided about this order. Reload the page."),
            "signedOut": _("You are signed out. Reload the page and sign in again."),
            "zoomIn": _("Zoom in"),
            "zoomOut": _("Zoom out"),
            "attribution": _("Sources of the map"),
        },
    }


@for_staff(*RIGHTS, data=True, posts=True)
@never_cache
def review_look(request: HttpRequest, order_id: int) -> HttpResponse:
    """What would follow from a pin. It is posted: an address with somebody's home in it would stand in every log."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    order = Order.objects.select_related("address").filter(pk=order_id).first()
    if order is None:
        raise Http404
    if order.status != Order.Status.REVIEW:
        return JsonResponse({"error": "decided_meanwhile"}, status=409)
    form = PinForm(_json(request))
    if not form.is_valid():
        return JsonResponse({"error": "malformed", "fields": list(form.errors)}, status=400)
    found = review.preview(order, lat=form.cleaned_data["lat"], lon=form.cleaned_data["lon"], now=now())
    return JsonResponse(
        {
            "chain": chain_words(found.chain),
            "point": found.point.name if found.point else "",
            "metres": f"{found.distance_m:,.0f}",
            "near": [
                {
                    "ref": point.ref,
                    "name": point.name,
                    "lat": point.location.y,
                    "lon": point.location.x,
                    "metres": f"{metres:,.0f}",
                    "lost": str(LOST_BY.get(lost, lost)),
                    "chosen": not lost,
                }
                for point, metres, lost in found.near
            ],
        }
    )


def _json(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body[:LONGEST_LOOK])
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _decide(request: HttpRequest, order_id: int, wanted: Filter) -> HttpResponse:
    action = request.POST.get("action", "")
    if action not in FORMS or not Order.objects.filter(pk=order_id).exists():
        raise Http404
    form = FORMS[action](request.POST, auto_id="id_%s" if action == "confirm" else f"{action}_%s")
    if not form.is_valid():
        return _item_page(request, order_id, wanted, {action: form}, status=400)
    before = list(review.queue(wanted).values_list("pk", flat=True)[: review.MOST_IN_QUEUE])
    here = _address(order_id, wanted)
    user = cast(User, request.user)
    if action == "forget":
        forgot = review.forget(order_id=order_id)
        messages.success(request, _("Forgotten.") if forgot else _("Nothing was remembered for this text."))
        return redirect(here)
    if action == "later":
        review.put_off(order_id=order_id, by=user, now=now())
        return _next(order_id, before, wanted)
    try:
        outcome = DECISIONS[action](request, order_id, form.cleaned_data)
    except orders.Refused as refused:
        if refused.code in REFUSED:
            form.add_error(None, str(REFUSED[refused.code]))
            return _item_page(request, order_id, wanted, {action: form}, status=400)
        messages.error(request, _("Somebody else was first."))
        return redirect(here)
    if outcome.others > review.AT_ONCE or outcome.order.status in (Order.Status.RECEIVED, Order.Status.LOCATED):
        tasks.ring(tasks.assign_waiting)
    stays = outcome.order.status == Order.Status.REVIEW
    (messages.warning if stays else messages.success)(request, outcome_words(outcome))
    return redirect(here) if stays else _next(order_id, before, wanted)


Decision = Callable[[HttpRequest, int, dict[str, Any]], Outcome]


def _confirm(request: HttpRequest, order_id: int, told: dict[str, Any]) -> Outcome:
    point = told["point"]
    return review.confirm(
        **_who(request, order_id),
        lat=told["lat"],
        lon=told["lon"],
        keep=told["keep"],
        point_id=point.pk if point else None,
    )


def _send_back(request: HttpRequest, order_id: int, told: dict[str, Any]) -> Outcome:
    return review.send_back(**_who(request, order_id), why=told["why"], note=told["note"])


def _who(request: HttpRequest, order_id: int) -> dict[str, Any]:
    doubt = request.POST.get("doubt", "")[:60]
    return {"order_id": order_id, "doubt": doubt, "by": cast(User, request.user), "now": now()}


DECISIONS: dict[str, Decision] = {
    "confirm": _confirm,
    "back": _send_back,
    "point": lambda request, pk, told: review.send_to_point(**_who(request, pk), point_id=told["point"].pk),
    "consent": lambda request, pk, told: review.record_consent(**_who(request, pk), how=told["how"]),
    "retry": lambda request, pk, _told: review.go_on(**_who(request, pk)),
    "anywhere": lambda request, pk, _told: review.go_on(**_who(request, pk), anywhere=True),
}


def _address(order_id: int, wanted: Filter) -> str:
    query = _query(wanted)
    return reverse("review-order", args=[order_id]) + (f"?{query}" if query else "")


def _next(order_id: int, before: list[int], wanted: Filter) -> HttpResponse:
    """Open what stood behind it in the queue and still waits, or the queue if nothing does."""
    waiting = set(review.queue(wanted).values_list("pk", flat=True)[: review.MOST_IN_QUEUE])
    at = before.index(order_id) if order_id in before else -1
    rest = [pk for pk in [*before[at + 1 :], *before[: max(at, 0)]] if pk in waiting and pk != order_id]
    if rest:
        return redirect(_address(rest[0], wanted))
    query = _query(wanted)
    return redirect(reverse("review") + (f"?{query}" if query else ""))
