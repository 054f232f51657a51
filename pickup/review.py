"""Orders in doubt and the people who decide about them: where it lies, where it goes, or back to the merchant (R2, R3).

Whoever decides says which doubt they saw. The first decision counts; whoever comes second is refused with
`decided_meanwhile` and told what became of it. A decision is written with the order's new state in one transaction;
assigning follows in the next one, in the same request, and if that one fails the sweep does it within a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.gis.geos import Point
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_lazy as _

from network import assignment, geocoding, memory, regions
from network.datum import Datum, to_wgs84
from network.geocoding import Reading
from network.models import ConfirmedPlace, Level, Region, ServicePoint, User
from pickup import orders, recipients
from pickup.models import Order, ReviewDecision, ReviewDesk
from pickup.orders import Refused

Status = Order.Status
Kind = ReviewDecision.Kind

# What a person decides by setting the pin. Everything else is not about where the address lies.
ADDRESS_DOUBTS = frozenset([*map(str, geocoding.Review), "low_accuracy", "unreadable_address"])
# Given coordinates may be of another datum or swapped: then each reading of them is a candidate.
LOCATION_DOUBTS = frozenset(
    ["null_island", "outside_regions", "text_location_differ", "names_conflict", "remembered_elsewhere"]
)
AT_ONCE = 50  # of the orders with the same text, while somebody waits; the sweep takes the rest
LOOKS_FOR = timedelta(minutes=10)
MOST_IN_QUEUE = 5_000  # whose ids are looked through for the next one
NEAR_POINTS = 8


REASONS: dict[str, Any] = {
    "null_island": _("coordinates 0/0"),
    "outside_regions": _("outside every region"),
    "text_location_differ": _("text and location differ"),
    "remembered_elsewhere": _("confirmed elsewhere before"),
    "implausible_answer": _("the geocoder's answer is no place"),
    "answer_changed": _("the geocoder changed its answer"),
    "no_region_named": _("no region named"),
    "ambiguous_name": _("ambiguous name"),
    "names_conflict": _("names contradict each other"),
    "unsure_name": _("unsure name"),
    "district_not_named": _("district not named"),
    "low_accuracy": _("low accuracy"),
    "unreadable_address": _("address cannot be read"),
    "consent_missing": _("consent missing"),
    "merchant_policy": _("the merchant wants a review"),
    "requested_point_unavailable": _("requested point not available"),
    "no_point_available": _("no point available"),
    orders.FAILED: _("could not be processed"),
}


@dataclass(frozen=True)
class Filter:
    """What somebody wants to see of the queue; empty is everything."""

    doubt: str = ""
    region: Region | None = None
    merchant: int | None = None


def queue(wanted: Filter) -> QuerySet[Order]:
    """The orders in review, the oldest first; those that somebody left for later come last."""
    waiting = Order.objects.filter(status=Status.REVIEW)
    if wanted.doubt:
        waiting = waiting.filter(review_reason=wanted.doubt)
    if wanted.region is not None:
        waiting = waiting.filter(address__region_ids__contains=[wanted.region.pk])
    if wanted.merchant is not None:
        waiting = waiting.filter(merchant_id=wanted.merchant)
    return waiting.order_by(F("desk__put_off_at").asc(nulls_first=True), "id")


@dataclass(frozen=True)
class Counts:
    """How many orders wait, by what the queue can be filtered by; the largest first."""

    total: int
    doubts: list[tuple[str, int]]
    merchants: list[tuple[int, str, int]]
    regions: list[tuple[str, str, int]]


_COUNTS = """
    WITH waiting AS MATERIALIZED (
        SELECT o.review_reason, o.merchant_id, a.region_ids
        FROM pickup_order o JOIN network_address a ON a.id = o.address_id WHERE o.status = 'review'
    )
    SELECT 'doubt', review_reason, '', count(*) FROM waiting GROUP BY review_reason
    UNION ALL
    SELECT 'merchant', m.id::text, m.name, count(*) FROM waiting w JOIN pickup_merchant m ON m.id = w.merchant_id
    GROUP BY m.id
    UNION ALL
    (SELECT 'region', r.code, r.name, count(*) FROM waiting w
     CROSS JOIN LATERAL unnest(w.region_ids) AS region_id JOIN network_region r ON r.id = region_id
     WHERE r.level = %(level)s GROUP BY r.id ORDER BY count(*) DESC LIMIT 100)
    ORDER BY 1, 4 DESC, 2
"""


def counts() -> Counts:
    """Count the whole queue by doubt, merchant and city."""
    found: dict[str, list[tuple[str, str, int]]] = {"doubt": [], "merchant": [], "region": []}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, {"level": Level.CITY})
        for by, value, name, number in cursor.fetchall():
            found[by].append((value, name, number))
    doubts = [(value, number) for value, _name, number in found["doubt"]]
    merchants = [(int(value), name, number) for value, name, number in found["merchant"]]
    return Counts(sum(number for _, number in doubts), doubts, merchants, found["region"])


@dataclass(frozen=True)
class Place:
    """Where the order stands in the queue, counted from 1, and what comes before and after it."""

    number: int
    of: int
    before: int | None
    after: int | None


def place_in(wanted: Filter, order_id: int) -> Place:
    """Of an order that left the queue, `after` is the first of the rest."""
    ids = list(queue(wanted).values_list("pk", flat=True)[:MOST_IN_QUEUE])
    if order_id not in ids:
        return Place(0, len(ids), None, ids[0] if ids else None)
    at = ids.index(order_id)
    return Place(at + 1, len(ids), ids[at - 1] if at else None, ids[at + 1] if at + 1 < len(ids) else None)


# --- What a reviewer sees -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """A place that the pin may be set to. `kind` tells where it comes from, `value` what of it."""

    kind: str  # given, datum, swapped, named, remembered, found
    value: str
    lat: float
    lon: float
    chain: tuple[str, ...] = ()  # names, coarsest first; empty: in no region


@dataclass(frozen=True)
class Item:
    """One order in doubt. `text` is masked; `marks` are the spans in it that name regions. None: it does not open."""

    order: Order
    doubt: str
    text: str | None
    city: str
    marks: Sequence[tuple[int, int]]
    exact: bool
    alike: int  # others in review with the same text
    candidates: list[Candidate]
    region_ids: list[int]  # whose outlines help: named, covered, candidates
    tried: list[tuple[ServicePoint, float, str]]  # service points and what each lost by, where that is the doubt


def item(order_id: int, *, now: datetime) -> Item:
    """Everything about one order in review, or one that was. Raises Order.DoesNotExist."""
    order = Order.objects.select_related("address", "merchant", "recipient", "requested_point").get(pk=order_id)
    reading, text, city = _read(order)
    named = (
        [*reading.match.candidates, *([reading.match.place_id] if reading.match.place_id else [])] if reading else []
    )
    return Item(
        order=order,
        doubt=doubt_of(order),
        text=recipients.mask_unit(text) if reading else None,
        city=city,
        marks=reading.spans if reading else (),
        exact=reading.exact if reading else False,
        alike=_alike(order).count() if order.review_reason in ADDRESS_DOUBTS else 0,
        candidates=_candidates(order, named, now),
        region_ids=list(dict.fromkeys([*named, *order.address.region_ids[:1]])),
        tried=_tried(order),
    )


def doubt_of(order: Order) -> str:
    """Names what a reviewer sees: the same reason after another decision is another doubt."""
    last = ReviewDecision.objects.filter(order=order).order_by("-id").values_list("pk", flat=True).first()
    return f"{order.review_reason}.{last or 0}"


def _read(order: Order) -> tuple[Reading | None, str, str]:
    try:
        query = orders.query_of(order)
    except recipients.Sealed:
        return None, "", ""
    return geocoding.read(query), query.text, query.city


def _alike(order: Order) -> QuerySet[Order]:
    """The other orders in review with the same text, that wait for somebody to say where it is."""
    key = order.review_detail.get("key")
    if not key:
        return Order.objects.none()
    waiting = Order.objects.filter(status=Status.REVIEW, review_reason__in=ADDRESS_DOUBTS, review_detail__key=key)
    return waiting.exclude(pk=order.pk)


def _candidates(order: Order, named: Sequence[int], now: datetime) -> list[Candidate]:
    found = [*_given(order), *_named(named, now), *_remembered(order)]
    address = order.address
    if address.location is not None and address.source not in ("given", "gazetteer", "remembered"):
        found.append(Candidate("found", address.source, address.location.y, address.location.x))
    covered = regions.covering([(one.lat, one.lon) for one in found], at=now)
    chains = _names([region for region in covered if region is not None])
    placed = [
        replace(one, chain=chains.get(region, ()) if region is not None else ())
        for one, region in zip(found, covered, strict=True)
    ]
    # Coordinates that were swapped to somewhere in no region explain nothing.
    return [one for one in placed if one.chain or one.kind == "given"]


def _given(order: Order) -> Iterator[Candidate]:
    lat, lon, datum = order.address.given_lat, order.address.given_lon, order.address.given_datum
    if lat is None or lon is None:
        return
    yield Candidate("given", datum, *to_wgs84(lat, lon, Datum(datum)))
    if order.review_reason not in LOCATION_DOUBTS or (abs(lat) < 0.01 and abs(lon) < 0.01):
        return
    for other in Datum:
        if other != datum:
            yield Candidate("datum", str(other), *to_wgs84(lat, lon, other))
    if abs(lon) <= 90 and lat != lon:
        yield Candidate("swapped", datum, *to_wgs84(lon, lat, Datum(datum)))


def _named(named: Sequence[int], now: datetime) -> Iterator[Candidate]:
    inside = regions.inside(named, at=now)
    names = Region.objects.in_bulk(list(inside))
    for region_id in dict.fromkeys(named):
        if region_id in inside:
            yield Candidate("named", names[region_id].name, inside[region_id].lat, inside[region_id].lon)


def _remembered(order: Order) -> Iterator[Candidate]:
    known = order.review_detail.get("remembered")
    place = ConfirmedPlace.objects.filter(pk=known).first() if known else None
    if place is not None:
        yield Candidate("remembered", f"{place.confirmed_at:%Y-%m-%d}", place.location.y, place.location.x)


def _names(region_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return for each region the names of its chain, the coarsest first."""
    chains = regions.chain_ids(region_ids)
    names = dict(
        Region.objects.filter(pk__in={pk for chain in chains.values() for pk in chain}).values_list("pk", "name")
    )
    return {region: tuple(names[pk] for pk in reversed(chain)) for region, chain in chains.items()}


def _tried(order: Order) -> list[tuple[ServicePoint, float, str]]:
    rows = order.review_detail.get("candidates") or []
    if not rows or not isinstance(rows[0], list):
        return []
    points = ServicePoint.objects.in_bulk([row[0] for row in rows])
    return [(points[pk], metres, reason) for pk, metres, reason in rows if pk in points]


@dataclass(frozen=True)
class Preview:
    """What would follow from the pin: the region chain, and the point that the order would be assigned to."""

    chain: list[Region]  # coarsest first; empty: in no region
    point: ServicePoint | None = None
    distance_m: float = 0.0
    near: tuple[tuple[ServicePoint, float, str], ...] = ()  # and what each lost by, nearest first


def preview(order: Order, *, lat: float, lon: float, now: datetime) -> Preview:
    [region_id] = regions.covering([(lat, lon)], at=now)
    if region_id is None:
        return Preview([])
    ids = regions.chain_ids({region_id})[region_id]
    found = Region.objects.in_bulk(ids)
    demand = orders.demand_of(order, lat=lat, lon=lon, chain=ids)
    choice = assignment.assign([demand], at=now, held_at=orders.held_at)[order.pk]
    near = [*choice.tried[:NEAR_POINTS], *(one for one in choice.tried[NEAR_POINTS:] if not one[2])]
    points = ServicePoint.objects.in_bulk([point_id for point_id, _, _ in near])
    rows = tuple((points[point_id], metres, reason) for point_id, metres, reason in near if point_id in points)
    point = points.get(choice.point_id) if choice.point_id is not None else None
    return Preview([found[pk] for pk in reversed(ids)], point, choice.distance_m, rows)


def look(order: Order, *, by: User, now: datetime) -> ReviewDesk | None:
    """Note that somebody opened an order in review; return who else has it open, as far as is known."""
    desk = ReviewDesk.objects.select_related("looked_by").filter(order=order).first()
    ReviewDesk.objects.update_or_create(order=order, defaults={"looked_by": by, "looked_at": now})
    fresh = desk is not None and desk.looked_by_id != by.pk and desk.looked_at > now - LOOKS_FOR
    return desk if fresh else None


# --- What a reviewer decides ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of an order. `others` with the same text went on with it."""

    order: Order
    point: ServicePoint | None
    distance_m: float = 0.0
    others: int = 0


def confirm(
    *,
    order_id: int,
    doubt: str,
    lat: float,
    lon: float,
    keep: bool,
    point_id: int | None = None,
    by: User,
    now: datetime,
) -> Outcome:
    """The address lies there (degrees in WGS 84): the order goes on at once, to that point if one is named.

    With `keep` the place is remembered for the same text, and the other orders in review with it go on as well. What
    still lacks its recipient's consent stays in review for that. The very middle of a region is no more exact than the
    region is wide. Raises Refused: not_in_review, decided_meanwhile, outside_regions, too_coarse.
    """
    reading, _text, _city = _read(Order.objects.select_related("address", "recipient").get(pk=order_id))
    [region_id] = regions.covering([(lat, lon)], at=now)
    if region_id is None:
        raise Refused("outside_regions", "address", "the place lies in no region")
    chain = regions.chain_ids({region_id})[region_id]
    accuracy_m = _accuracy_m(lat, lon, chain, now)
    keep = keep and accuracy_m == geocoding.LEAST_ACCURACY_M
    with transaction.atomic(durable=True):
        order = _locked(order_id, doubt)
        others = _remember(order, reading, lat, lon, by, now) if keep and reading and reading.exact else []
        _write(order, Kind.PLACED, by, now, region_id=region_id, service_point_id=point_id)
        address = order.address
        address.location, address.region_id, address.region_ids = Point(lon, lat, srid=4326), region_id, chain
        address.source, address.accuracy_m, address.located_at = "reviewer", accuracy_m, now
        address.save(update_fields=["location", "region", "region_ids", "source", "accuracy_m", "located_at"])
        if point_id is not None:
            order.requested_point_id = point_id
        lacks = orders.lacks_consent(order)
        _move(order, Status.REVIEW if lacks else Status.LOCATED, "consent_missing" if lacks else "")
    return _followed(order_id, others, now)


def _accuracy_m(lat: float, lon: float, chain: Sequence[int], now: datetime) -> float:
    """A pin in the very middle of a region is the region's own, and says no more than its name does."""
    middles = regions.inside(chain, at=now).values()
    radii = [one.radius_m for one in middles if abs(one.lat - lat) < 1e-5 and abs(one.lon - lon) < 1e-5]
    accuracy_m = min(radii, default=geocoding.LEAST_ACCURACY_M)
    if accuracy_m > settings.MAX_ACCURACY_M:
        raise Refused("too_coarse", "address", "the middle of a region is not where the address lies")
    return accuracy_m


def _remember(order: Order, reading: Reading, lat: float, lon: float, by: User, now: datetime) -> list[int]:
    given = order.address
    told = None
    if given.given_lat is not None and given.given_lon is not None:
        told = to_wgs84(given.given_lat, given.given_lon, Datum(given.given_datum))
    memory.remember(
        reading.key, lat=lat, lon=lon, accuracy_m=geocoding.LEAST_ACCURACY_M, told=told, by=by, at=now
    )  # fmt: skip
    # Whoever decides about one of them at this moment has it locked, and decides.
    alike = list(_alike(order).select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True))
    Order.objects.filter(pk__in=alike).update(status=Status.RECEIVED, review_reason="", review_detail={})
    return alike


def send_to_point(*, order_id: int, doubt: str, point_id: int, by: User, now: datetime) -> Outcome:
    """Send an order whose place is certain to this point, if it takes it, however far away.

    Raises Refused: not_in_review, decided_meanwhile, not_located, consent_missing, point_unavailable.
    """
    with transaction.atomic(durable=True):
        order = _locked(order_id, doubt)
        _must_be_certain(order)
        if orders.lacks_consent(order):
            raise Refused("consent_missing", "consent", "the recipient has not agreed yet")
        _write(order, Kind.POINT, by, now, service_point_id=point_id)
        orders.send_to(order, point_id=point_id, now=now)
        _clear_desk(order)
    return _outcome(order_id, 0)


def go_on(*, order_id: int, doubt: str, anywhere: bool = False, by: User, now: datetime) -> Outcome:
    """Try to assign it (again) as it is; `anywhere` gives up the point that was asked for.

    Raises Refused: not_in_review, decided_meanwhile, not_located, consent_missing.
    """
    with transaction.atomic(durable=True):
        order = _locked(order_id, doubt)
        _must_be_certain(order)
        if orders.lacks_consent(order):
            raise Refused("consent_missing", "consent", "the recipient has not agreed yet")
        _write(order, Kind.RELEASED, by, now)
        if anywhere:
            order.requested_point = None
        _go_on(order)
    return _followed(order_id, [], now)


def record_consent(*, order_id: int, doubt: str, how: str, by: User, now: datetime) -> Outcome:
    """The recipient agreed to be served at a point, as the reviewer learned (R3: who, when, how).

    Raises Refused: not_in_review, decided_meanwhile, not_asked.
    """
    with transaction.atomic(durable=True):
        order = _locked(order_id, doubt)
        if order.review_reason != "consent_missing":
            raise Refused("not_asked", "consent", "no consent is missing")
        _write(order, Kind.CONSENT, by, now, note=how)
        order.consent_at, order.consent_by = now, f"{by.name or by.pk}: {how}"[:100]
        order.save(update_fields=["consent_at", "consent_by"])
        _go_on(order)
    return _followed(order_id, [], now)


def send_back(*, order_id: int, doubt: str, why: str, note: str, by: User, now: datetime) -> Outcome:
    """Cancel it with a reason that its merchant reads. Raises Refused: not_in_review, decided_meanwhile."""
    with transaction.atomic(durable=True):
        order = _locked(order_id, doubt)
        _write(order, Kind.SENT_BACK, by, now, why=why, note=note)
        try:
            orders.end(order)
        except orders.NotCancellable as error:
            raise Refused("not_in_review", "status", str(error)) from error
        _clear_desk(order)
    return _outcome(order_id, 0)


def put_off(*, order_id: int, by: User, now: datetime) -> None:
    """Leave an order for later: it comes last in the queue."""
    if not Order.objects.filter(pk=order_id, status=Status.REVIEW).exists():
        return
    ReviewDesk.objects.update_or_create(
        order_id=order_id, defaults={"looked_by": by, "looked_at": now - LOOKS_FOR, "put_off_at": now}
    )


def forget(*, order_id: int) -> bool:
    """Forget what was remembered for the text of this order. Tells whether there was anything."""
    reading, _text, _city = _read(Order.objects.select_related("address", "recipient").get(pk=order_id))
    return reading is not None and memory.forget(reading.key)


def last_decision(order: Order) -> ReviewDecision | None:
    decided = ReviewDecision.objects.filter(order=order).select_related("decided_by", "service_point", "region")
    return decided.order_by("-id").first()


def _locked(order_id: int, doubt: str) -> Order:
    order = orders.lock_in_review(order_id)
    if doubt_of(order) != doubt:
        raise Refused("decided_meanwhile", "status", "somebody decided about this order meanwhile")
    return order


def _must_be_certain(order: Order) -> None:
    """The agents' fees follow the region: while it is in doubt, no point and no second try makes it certain."""
    if order.review_reason in ADDRESS_DOUBTS or order.address.location is None or not order.address.region_ids:
        raise Refused("not_located", "address", "the address has no certain place yet")


def _write(order: Order, kind: Kind, by: User, now: datetime, **fields: Any) -> None:
    ReviewDecision.objects.create(
        order=order, doubt=order.review_reason, kind=kind, decided_by=by, decided_at=now, **fields
    )


def _go_on(order: Order) -> None:
    """What was found and never doubted is located again: other doubts may stand behind the one that was answered."""
    if order.address.source == "reviewer" or order.assigned_at is not None:
        return _move(order, Status.LOCATED, "")
    if order.review_reason == "consent_missing":
        return _move(order, Status.RECEIVED, "")
    vague = order.address.accuracy_m is None or order.address.accuracy_m > settings.MAX_ACCURACY_M
    if vague and order.requested_point_id is None:
        return _move(order, Status.REVIEW, "low_accuracy")
    return _move(order, Status.LOCATED, "")


def _move(order: Order, status: Order.Status, reason: str) -> None:
    order.status, order.review_reason, order.review_detail = status, reason, {}
    order.save(update_fields=["status", "review_reason", "review_detail", "requested_point"])
    _clear_desk(order)


def _clear_desk(order: Order) -> None:
    ReviewDesk.objects.filter(order=order).delete()


def _followed(order_id: int, others: Sequence[int], now: datetime) -> Outcome:
    """Locate and assign what goes on, now; what another sweep has locked at this moment is taken by that one."""
    at_once = [order_id, *others[:AT_ONCE]]
    orders.locate_waiting(now=now, limit=len(at_once), only=at_once)
    orders.assign_waiting(now=now, limit=len(at_once), only=at_once)
    return _outcome(order_id, len(others))


def _outcome(order_id: int, others: int) -> Outcome:
    return outcome_of(Order.objects.get(pk=order_id), others=others)


def outcome_of(order: Order, *, others: int = 0) -> Outcome:
    """Where an order is now."""
    last = order.assignments.select_related("service_point").order_by("-id").first()
    if order.status != Status.ASSIGNED or last is None:
        return Outcome(order, None, others=others)
    return Outcome(order, last.service_point, last.distance_m, others)
