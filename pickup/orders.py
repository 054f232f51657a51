"""Orders: taken in once, located, assigned to a point, cancelled (R2, R3, walk 1 and 2)."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.gis.geos import Point
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Count

from network import assignment, geocoding, regions
from network.models import Address, ServicePoint, Size
from pickup import notices, parcels, recipients
from pickup.models import Assignment, Merchant, Notice, Order, Parcel, Recipient

log = logging.getLogger(__name__)

Status = Order.Status


class Refused(Exception):
    """An order that is not taken; `code`, `field` and `reason` go to the merchant as they are."""

    def __init__(self, code: str, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.code, self.field, self.reason = code, field, reason


class NotCancellable(Exception):
    """A parcel of the order was handed over or is on its way back."""


@dataclass(frozen=True)
class ParcelDraft:
    barcode: str = ""
    size: int = Size.SMALL
    weight_g: int | None = None


@dataclass(frozen=True)
class OrderDraft:
    """An order as its merchant sent it, its form already checked. `lat`, `lon` are degrees in `datum`."""

    reference: str
    name: str
    phone: str  # E.164
    address: str
    city: str = ""
    lat: float | None = None
    lon: float | None = None
    datum: str = "wgs84"
    parcels: tuple[ParcelDraft, ...] = (ParcelDraft(),)
    service_point: str = ""
    consent_at: datetime | None = None

    def hash(self) -> bytes:
        """Keyed, because a name and a phone could be guessed from a bare hash."""
        body = json.dumps(asdict(self), sort_keys=True, default=str, ensure_ascii=False)
        return hmac.digest(settings.SECRET_KEY.encode(), body.encode(), "sha256")


@dataclass(frozen=True)
class Placed:
    order: Order
    created: bool


def place(*, merchant: Merchant, draft: OrderDraft, now: datetime) -> Placed:
    """Take an order in; the same draft again returns the same order. Raises Refused."""
    outcome = place_many(merchant=merchant, drafts=[draft], now=now)[0]
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


def place_many(*, merchant: Merchant, drafts: Sequence[OrderDraft], now: datetime) -> list[Placed | Refused]:
    """Take many orders in, each whole or not at all; the answers are in the order of the drafts.

    Codes of refusals: reference_conflict, barcode_taken, unknown_service_point.
    """
    try:
        with transaction.atomic(durable=True):
            return _place(merchant, drafts, now)
    except IntegrityError:
        # Somebody else took a reference or a barcode between the look and the write: once more, one by one.
        return [_place_alone(merchant, draft, now) for draft in drafts]


def _place_alone(merchant: Merchant, draft: OrderDraft, now: datetime) -> Placed | Refused:
    try:
        with transaction.atomic(durable=True):
            return _place(merchant, [draft], now)[0]
    except IntegrityError:
        with transaction.atomic(durable=True):
            return _place(merchant, [draft], now)[0]


def _place(merchant: Merchant, drafts: Sequence[OrderDraft], now: datetime) -> list[Placed | Refused]:
    wanted = [parcel.barcode for draft in drafts for parcel in draft.parcels if parcel.barcode]
    taken = set(Parcel.objects.filter(barcode__in=wanted).values_list("barcode", flat=True))
    # Looked for after the barcodes: an order that commits in between is then found as the same order, not as a thief.
    known = {
        order.reference: order
        for order in Order.objects.filter(merchant=merchant, reference__in=[d.reference for d in drafts])
    }
    points = dict(
        ServicePoint.objects.filter(ref__in={d.service_point for d in drafts if d.service_point}).values_list(
            "ref", "pk"
        )
    )
    outcomes: list[Placed | Refused] = []
    fresh: list[tuple[OrderDraft, Order]] = []
    for draft in drafts:
        earlier = known.get(draft.reference)
        if earlier is not None:
            same = bytes(earlier.body_hash) == draft.hash()
            outcomes.append(Placed(earlier, created=False) if same else CONFLICT)
            continue
        refusal = _refusal(draft, taken, points)
        if refusal is not None:
            outcomes.append(refusal)
            continue
        order = _new_order(merchant, draft, points, now)
        known[draft.reference] = order
        taken.update(parcel.barcode for parcel in draft.parcels)
        fresh.append((draft, order))
        outcomes.append(Placed(order, created=True))
    _write(fresh)
    return outcomes


CONFLICT = Refused("reference_conflict", "reference", "another order was placed under this reference")


def _refusal(draft: OrderDraft, taken: set[str], points: Mapping[str, int]) -> Refused | None:
    own = [parcel.barcode for parcel in draft.parcels if parcel.barcode]
    for barcode in own:
        if barcode in taken or own.count(barcode) > 1:
            return Refused("barcode_taken", "parcels.barcode", f"barcode {barcode} is already in the network")
    if draft.service_point and draft.service_point not in points:
        return Refused(
            "unknown_service_point",
            "service_point",
            f"no service point has the reference {draft.service_point}",
        )
    return None


def _new_order(merchant: Merchant, draft: OrderDraft, points: Mapping[str, int], now: datetime) -> Order:
    return Order(
        merchant=merchant,
        reference=draft.reference,
        body_hash=draft.hash(),
        address=Address(given_lat=draft.lat, given_lon=draft.lon, given_datum=draft.datum),
        requested_point_id=points.get(draft.service_point),
        consent_at=draft.consent_at,
        consent_by=merchant.name if draft.consent_at else "",
        placed_at=now,
    )


def _write(fresh: Sequence[tuple[OrderDraft, Order]]) -> None:
    Address.objects.bulk_create([order.address for _, order in fresh])
    Order.objects.bulk_create([order for _, order in fresh])
    Recipient.objects.bulk_create(
        Recipient(
            order=order,
            sealed=recipients.seal(recipients.Contact(draft.name, draft.phone, _words(draft))),
            masked_name=recipients.mask_name(draft.name),
            phone_last4=draft.phone[-4:],
            phone_hash=recipients.hash_phone(draft.phone),
        )
        for draft, order in fresh
    )
    Parcel.objects.bulk_create(
        Parcel(
            order=order,
            barcode=parcel.barcode or new_barcode(),
            size=parcel.size,
            weight_g=parcel.weight_g,
            person=recipients.hash_phone(draft.phone),
        )
        for draft, order in fresh
        for parcel in draft.parcels
    )


def _words(draft: OrderDraft) -> str:
    """The address as one text: the city's own column, a line break, and the rest in one line."""
    return f"{draft.city}\n{' '.join(draft.address.splitlines())}"


def new_barcode() -> str:
    """PN and twelve random digits: short in Code 128, and the next one cannot be guessed from the last."""
    return f"PN{secrets.randbelow(10**12):012d}"


TRIES = 5
# So long a row that was taken is left alone: whoever took it may have been killed.
LEASE = timedelta(seconds=settings.ORDER_LEASE_S)
FAILED = "processing_failed"

CLAIM = """
    UPDATE pickup_order SET tries = tries + 1, next_try_at = %(until)s
    WHERE id IN (
        SELECT id FROM pickup_order
        WHERE status = %(status)s AND (tries > 0) = %(tried)s AND (next_try_at IS NULL OR next_try_at <= %(now)s)
        ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING id
"""


def locate_waiting(*, now: datetime, limit: int) -> int:
    """Find where received orders lie; what is doubtful goes to review with its reason. Returns how many were taken."""
    return _take_up(Status.RECEIVED, _locate, now=now, limit=limit)


def assign_waiting(*, now: datetime, limit: int) -> int:
    """Give located orders their service points. Returns how many left the queue, to a point or to review."""
    return _take_up(Status.LOCATED, _assign, now=now, limit=limit)


def _take_up(status: str, work: Callable[[list[int], datetime], int], *, now: datetime, limit: int) -> int:
    """Work on orders that wait in a status; several sweeps at once take different ones.

    Those that nobody tried before are worked on together. If that fails, or the sweep is killed in the middle, they are
    tried one by one, each a bit later than the time before, and after TRIES times a person must look: one order that
    breaks whatever touches it does not keep the others waiting. A database that does not answer is nobody's fault.
    """
    done = 0
    if fresh := _claim(status, tried=False, now=now, limit=limit):
        try:
            done = work(fresh, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one order must not stop the others
            _tell(f"{len(fresh)} orders together", error)
            Order.objects.filter(pk__in=fresh, status=status).update(next_try_at=now)
    for _ in range(limit):
        alone = _claim(status, tried=True, now=now, limit=1)
        if not alone:
            break
        try:
            done += work(alone, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            _tell(f"order {alone[0]}", error)
            _put_off(alone[0], status, error, now=now)
    return done


def _claim(status: str, *, tried: bool, now: datetime, limit: int) -> list[int]:
    until = now + LEASE
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"status": status, "tried": tried, "now": now, "limit": limit, "until": until})
        return sorted(row[0] for row in cursor.fetchall())


def _put_off(order_id: int, status: str, error: Exception, *, now: datetime) -> None:
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.status != status:
            return
        order.next_try_at = now + LEASE * 2**order.tries
        if order.tries >= TRIES:
            order.status, order.review_reason = Status.REVIEW, FAILED
            order.review_detail = {"step": status, "error": type(error).__name__}
            order.tries, order.next_try_at = 0, None
        order.save(update_fields=["status", "review_reason", "review_detail", "tries", "next_try_at"])


def _tell(what: str, error: Exception) -> None:
    """Log where it went wrong, and not the error's own words: they may quote an address."""
    lines = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s could not be processed: %s\n%s", what, type(error).__name__, lines)


def _locate(ids: list[int], now: datetime) -> int:
    """Locate orders that were claimed. The search may ask the network, so it runs outside any transaction."""
    claimed = Order.objects.filter(pk__in=ids, status=Status.RECEIVED)
    orders = list(claimed.select_related("address", "recipient", "merchant").order_by("id"))
    queries = [_query(order) for order in orders]
    places = iter(geocoding.locate([query for query in queries if query], at=now))
    found = [next(places) if query else UNREADABLE for query in queries]
    with transaction.atomic(durable=True):
        still = set(
            Order.objects.select_for_update(skip_locked=True)
            .filter(pk__in=ids, status=Status.RECEIVED)
            .values_list("pk", flat=True)
        )
        pairs = [(order, place) for order, place in zip(orders, found, strict=True) if order.pk in still]
        for order, place in pairs:
            _note_place(order, place, now)
        _save_places([order.address for order, _ in pairs])
        _save_states([order for order, _ in pairs])
    return len(pairs)


ADDRESS_FIELDS = ["location", "region", "region_ids", "source", "accuracy_m", "located_at"]


def _save_places(addresses: Sequence[Address]) -> None:
    """Write where addresses lie, all in one statement: `bulk_update` takes as long as locating them ten times."""
    rows = [
        {
            "id": address.pk,
            "lat": address.location.y if address.location else None,
            "lon": address.location.x if address.location else None,
            "region_ids": address.region_ids,
            "source": address.source,
            "accuracy_m": address.accuracy_m,
            "located_at": str(address.located_at),
        }
        for address in addresses
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE network_address a
               SET location = ST_SetSRID(ST_MakePoint(u.lon, u.lat), 4326), region_id = u.region_ids[1],
                   region_ids = u.region_ids, source = u.source, accuracy_m = u.accuracy_m, located_at = u.located_at
               FROM jsonb_to_recordset(%s) AS u(id bigint, lat float8, lon float8, region_ids bigint[],
                                                source text, accuracy_m float8, located_at timestamptz)
               WHERE a.id = u.id""",
            [json.dumps(rows)],
        )


def _save_states(orders: Sequence[Order]) -> None:
    """Write what became of orders that were claimed, all in one statement."""
    rows = [
        {
            "id": order.pk,
            "status": order.status,
            "review_reason": order.review_reason,
            "review_detail": order.review_detail,
            "assigned_at": str(order.assigned_at) if order.assigned_at else None,
        }
        for order in orders
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE pickup_order o
               SET status = u.status, review_reason = u.review_reason, review_detail = u.review_detail,
                   assigned_at = u.assigned_at, tries = 0, next_try_at = NULL
               FROM jsonb_to_recordset(%s) AS u(id bigint, status text, review_reason text, review_detail jsonb,
                                                assigned_at timestamptz)
               WHERE o.id = u.id""",
            [json.dumps(rows)],
        )


UNREADABLE = geocoding.Place(review="unreadable_address")


def _query(order: Order) -> geocoding.Query | None:
    """Return what to look for, or None if the recipient's box does not open: one such order must not stop the rest."""
    try:
        contact = recipients.open_sealed(order.recipient)
    except recipients.Sealed:
        return None
    city, _, text = contact.address.rpartition("\n")
    address = order.address
    return geocoding.Query(
        text=text, city=city, lat=address.given_lat, lon=address.given_lon, datum=address.given_datum
    )


def _note_place(order: Order, place: geocoding.Place, now: datetime) -> None:
    address = order.address
    if place.lat is not None and place.lon is not None:
        address.location = Point(place.lon, place.lat, srid=4326)
    address.region_id = place.region_ids[0] if place.region_ids else None
    address.region_ids = list(place.region_ids)
    address.source, address.accuracy_m, address.located_at = place.source, place.accuracy_m, now
    order.review_reason, order.review_detail = _doubt(order, place), place.detail
    order.status = Status.REVIEW if order.review_reason else Status.LOCATED


def _doubt(order: Order, place: geocoding.Place) -> str:
    if place.review:
        return place.review
    if order.merchant.consent_required and order.consent_at is None:
        return "consent_missing"
    if order.merchant.review_first:
        return "merchant_policy"
    vague = place.accuracy_m is None or place.accuracy_m > settings.MAX_ACCURACY_M
    # A point that was asked for needs no exact place, but the agents' fees need a certain region.
    return "low_accuracy" if vague and not (order.requested_point_id and place.named) else ""


def _assign(ids: list[int], now: datetime) -> int:
    """Assign orders that were claimed.

    Points are chosen without a lock; then the chosen ones are locked in the order of their ids and their room is
    counted again, so that sweeps side by side never oversell a point. Who lost that race stays located and is
    taken up by the next sweep.
    """
    with transaction.atomic(durable=True):
        orders = list(
            Order.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(pk__in=ids, status=Status.LOCATED)
            .select_related("address")
            .order_by("id")
        )
        choices = assignment.assign(_demands(orders), at=now, held_at=held_at)
        room = _locked_room({choice.point_id for choice in choices.values() if choice.point_id is not None})
        won: list[Order] = []
        lost: list[Order] = []
        pieces = _pieces(orders)
        for order in orders:
            choice = choices[order.pk]
            if choice.point_id is None:
                order.status = Status.REVIEW
                order.review_reason = (
                    "requested_point_unavailable" if order.requested_point_id else "no_point_available"
                )
                order.review_detail = {"candidates": choice.tried}
                lost.append(order)
            elif room[choice.point_id] >= pieces[order.pk][0]:
                room[choice.point_id] -= pieces[order.pk][0]
                order.status, order.assigned_at = Status.ASSIGNED, now
                order.review_reason, order.review_detail = "", {}
                won.append(order)
        _write_assignments(won, choices, now)
        _save_states(won + lost)
        _announce(won)
        outrun = {order.pk for order in orders} - {order.pk for order in won + lost}
        Order.objects.filter(pk__in=outrun).update(tries=0, next_try_at=None)
    return len(won) + len(lost)


def _announce(won: Sequence[Order]) -> None:
    """Tell recipients where their parcels will come, for merchants that want it: they may choose another point."""
    coming = Parcel.objects.filter(order__in=won, order__merchant__announces=True, status=Parcel.Status.EXPECTED)
    told = list(coming.order_by("id"))
    for parcel in told:
        parcels.issue_code(parcel)
    notices.queue(told, kind=Notice.Kind.EXPECTED)


def _pieces(orders: Sequence[Order]) -> dict[int, tuple[int, int]]:
    """Return for each order how many parcels it has and the largest size among them."""
    pieces: dict[int, tuple[int, int]] = {order.pk: (0, Size.SMALL) for order in orders}
    waiting = Parcel.objects.filter(order__in=orders, status=Parcel.Status.EXPECTED)
    for order_id, size in waiting.values_list("order_id", "size"):
        count, largest = pieces[order_id]
        pieces[order_id] = (count + 1, max(largest, size))
    return pieces


def _demands(orders: Sequence[Order]) -> list[assignment.Demand]:
    pieces = _pieces(orders)
    demands = []
    for order in orders:
        assert order.address.location is not None, "a located order has its location"
        count, size = pieces[order.pk]
        demands.append(
            assignment.Demand(
                key=order.pk,
                lat=order.address.location.y,
                lon=order.address.location.x,
                size=size,
                parcels=count,
                chain=order.address.region_ids,
                wanted_point=order.requested_point_id,
            )
        )
    return demands


def held_at(point_ids: Iterable[int]) -> dict[int, int]:
    """Return how many parcels each point holds or expects: always counted, never kept in a counter."""
    rows = (
        Parcel.objects.filter(service_point_id__in=list(point_ids), status__in=parcels.HELD)
        .values_list("service_point_id")
        .annotate(held=Count("id"))
    )
    return {point_id: held for point_id, held in rows if point_id is not None}


def _locked_room(point_ids: set[int]) -> dict[int, int]:
    locked = ServicePoint.objects.select_for_update(no_key=True).filter(pk__in=point_ids).order_by("pk")
    capacity = {point.pk: point.capacity if point.status == "active" else 0 for point in locked}
    held = held_at(capacity)
    return {point_id: most - held.get(point_id, 0) for point_id, most in capacity.items()}


def _write_assignments(orders: Sequence[Order], choices: Mapping[int, assignment.Choice], now: datetime) -> None:
    points = {order.pk: choices[order.pk].point_id or 0 for order in orders}
    Assignment.objects.bulk_create(
        Assignment(
            order=order,
            service_point_id=points[order.pk],
            distance_m=choices[order.pk].distance_m,
            candidates=choices[order.pk].tried,
            region_ids=order.address.region_ids,
            assigned_at=now,
        )
        for order in orders
    )
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE pickup_parcel p SET service_point_id = u.point_id, region_ids = a.region_ids
               FROM unnest(%s::bigint[], %s::bigint[]) AS u(order_id, point_id)
               JOIN pickup_order o ON o.id = u.order_id JOIN network_address a ON a.id = o.address_id
               WHERE p.order_id = u.order_id AND p.status = 'expected'""",
            [list(points), list(points.values())],
        )


def release(order: Order) -> None:
    """An admin looked at it: the order goes on, if it is known where it lies. Raises Refused."""
    with transaction.atomic(durable=True):
        locked = _in_review(order)
        if locked.address.location is None or not locked.address.region_ids:
            raise Refused("not_located", "address", "the address has no place yet")
        locked.status, locked.review_reason = Status.LOCATED, ""
        locked.save(update_fields=["status", "review_reason"])


def place_by_hand(order: Order, *, lat: float, lon: float, now: datetime) -> None:
    """A reviewer found where the address lies (degrees in WGS 84); the order stays in review. Raises Refused."""
    [region_id] = regions.covering([(lat, lon)], at=now)
    if region_id is None:
        raise Refused("outside_regions", "address", "the place lies in no region")
    with transaction.atomic(durable=True):
        address = _in_review(order).address
        address.location, address.region_id = Point(lon, lat, srid=4326), region_id
        address.region_ids = list(regions.chain_ids({region_id})[region_id])
        address.source, address.accuracy_m, address.located_at = "reviewer", geocoding.LEAST_ACCURACY_M, now
        address.save(update_fields=ADDRESS_FIELDS)


def _in_review(order: Order) -> Order:
    locked = Order.objects.select_for_update(of=("self",)).select_related("address").get(pk=order.pk)
    if locked.status != Status.REVIEW:
        raise Refused("not_in_review", "status", f"the order is {locked.status}, not in review")
    return locked


def cancel(*, order: Order) -> Order:
    """Cancel an order none of whose parcels has left the shop. Again is the same. Raises NotCancellable."""
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update().get(pk=order.pk)
        own = list(Parcel.objects.select_for_update().filter(order=order).order_by("id"))
        for parcel in own:
            if parcel.status == Parcel.Status.CANCELLED:
                continue
            try:
                parcels.move(parcel, to=Parcel.Status.CANCELLED)
            except parcels.WrongStatus as error:
                raise NotCancellable(str(error)) from error
        order.status, order.review_reason = Status.CANCELLED, ""
        order.save(update_fields=["status", "review_reason"])
    return order


@dataclass(frozen=True)
class Offer:
    """A point that would take some parcels now: its metres from the address, and how many more it has room for."""

    point: ServicePoint
    distance_m: float
    free: int


def points_near(*, lat: float, lon: float, limit: int, now: datetime) -> list[tuple[ServicePoint, float]]:
    """Return the nearest points that would take one small parcel now, with their metres."""
    demand = assignment.Demand(key=0, lat=lat, lon=lon, size=Size.SMALL, parcels=1, chain=[])
    return [(offer.point, offer.distance_m) for offer in _offers(demand, limit=limit, now=now)]


def _offers(demand: assignment.Demand, *, limit: int, now: datetime) -> list[Offer]:
    ordered = assignment.candidates([demand], at=now, look=max(limit * 4, assignment.FIRST_LOOK))[demand.key]
    free = assignment.room({demand.key: ordered}, held_at=held_at, taken={})
    within = assignment.networks([demand.chain])
    near = {
        candidate.point_id: candidate.distance_m
        for candidate in ordered
        if not assignment.lost_by(demand, candidate, free=free, within=within)
    }
    points = ServicePoint.objects.in_bulk(list(near)[:limit])
    return [Offer(points[point_id], metres, free[point_id]) for point_id, metres in near.items() if point_id in points]


MOST_ASSIGNMENTS = 10  # of one order: its history is kept for ever, and nobody needs to change more often


def other_points(parcel: Parcel, *, limit: int, now: datetime) -> list[Offer]:
    """Return the nearest other points that would take the coming parcels of this one's order, nearest first."""
    order = Order.objects.select_related("address").get(pk=parcel.order_id)
    if parcel.status != Parcel.Status.EXPECTED or order.address.location is None:
        return []
    demand = replace(_demands([order])[0], wanted_point=None)
    offers = _offers(demand, limit=limit + 1, now=now)
    return [offer for offer in offers if offer.point.pk != parcel.service_point_id][:limit]


def choose_point(parcel: Parcel, *, point_id: int, by: str, now: datetime) -> Order:
    """Send all parcels of an order that have not arrived to another available point, as their recipient asks (R3).

    The choice is the recipient's consent to be served there, and recorded as that. Raises Refused: not_expected,
    same_point, point_unavailable, too_many_changes.
    """
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update(of=("self",)).select_related("address").get(pk=parcel.order_id)
        coming = Parcel.objects.select_for_update().filter(order=order, status=Parcel.Status.EXPECTED).order_by("id")
        points = {one.pk: one.service_point_id for one in coming}
        if order.status != Status.ASSIGNED or parcel.pk not in points or order.address.location is None:
            raise Refused("not_expected", "parcel", "the parcel arrived or was cancelled")
        if points[parcel.pk] == point_id:
            raise Refused("same_point", "service_point", "it comes to this point already")
        if Assignment.objects.filter(order=order).count() >= MOST_ASSIGNMENTS:
            raise Refused("too_many_changes", "service_point", "the point was changed too often")
        demand = replace(_demands([order])[0], wanted_point=point_id)
        choice = assignment.assign([demand], at=now, held_at=held_at)[order.pk]
        # Counted again under the point's lock, the same way as every assignment: it is never oversold.
        if choice.point_id is None or _locked_room({point_id})[point_id] < demand.parcels:
            raise Refused("point_unavailable", "service_point", "the point takes no parcels of this order now")
        order.requested_point_id, order.assigned_at = point_id, now
        order.consent_at, order.consent_by = now, by
        order.save(update_fields=["requested_point", "assigned_at", "consent_at", "consent_by"])
        _write_assignments([order], {order.pk: choice}, now)
    return order
