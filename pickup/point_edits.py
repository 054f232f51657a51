"""A service point is changed by staff: what that would do is worked out first, by the chooser itself, then it is saved.

Nothing that has arrived at a shop is moved. Orders on their way that the changed point would not take any more are
assigned anew when it is saved, unless staff let them come.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.gis.geos import Point
from django.db import OperationalError, connection, transaction

from network import assignment, points, regions, tiles
from network.models import ServicePoint, User
from pickup import orders, parcels
from pickup.models import Order, Parcel

PAST = timedelta(days=30)
MOST_PAST = 5_000  # the newest; a shop that had more in a month is told about these
SHOWN = 50
DIGITS = 6  # of degrees, which is a tenth of a metre: what a form shows


class Refused(Exception):
    """What is not saved; `code` is changed, outside_regions or busy."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Values:
    """What staff may change. Degrees are WGS 84."""

    name: str
    address: str
    city: str
    phone: str
    lat: float
    lon: float
    capacity: int
    reach_m: int
    largest_size: int


@dataclass(frozen=True)
class Loser:
    """An order on its way that would lose the point: why, and which point would take it instead (None: review)."""

    order: Order
    parcels: int
    why: str
    instead: ServicePoint | None
    distance_m: float


@dataclass(frozen=True)
class Impact:
    """What a change would do now, and what it would have done in the last 30 days. Counts are of orders.

    `elsewhere` of `past` orders would have gone to another point or to review, by reason in `past_why`.
    """

    expected: int
    losers: Sequence[Loser]
    here: int
    past: int
    elsewhere: int
    past_why: dict[str, int]
    cut: bool


def version(point: ServicePoint) -> str:
    """Changes whenever one of the values does, so that nobody saves over a change that was not seen."""
    told = json.dumps(vars(values_of(point)) | {"status": point.status}, default=str, sort_keys=True)
    return hashlib.blake2b(told.encode(), digest_size=12).hexdigest()


def seal(point_id: int, values: Values, version: str) -> str:
    """A mark that only the preview of these very values gives, so that nobody saves what was not shown."""
    told = json.dumps([point_id, vars(values), version], sort_keys=True)
    return hmac.new(settings.SECRET_KEY.encode(), told.encode(), "sha256").hexdigest()


def load_of(point: ServicePoint) -> int:
    """How many parcels the point holds or expects."""
    return orders.held_at([point.pk]).get(point.pk, 0)


def values_of(point: ServicePoint) -> Values:
    return Values(
        name=point.name,
        address=point.address,
        city=point.city,
        phone=point.phone,
        lat=round(point.location.y, DIGITS),
        lon=round(point.location.x, DIGITS),
        capacity=point.capacity,
        reach_m=point.reach_m,
        largest_size=point.largest_size,
    )


def changed(point: ServicePoint, values: Values, *, at: datetime) -> ServicePoint:
    """The point as it would be, not saved. Raises Refused for a place outside all regions."""
    before = values_of(point)
    moved = (round(values.lat, DIGITS), round(values.lon, DIGITS)) != (before.lat, before.lon)
    chain = list(point.region_ids)
    if moved:
        [region_id] = regions.covering([(values.lat, values.lon)], at=at)
        if region_id is None:
            raise Refused("outside_regions")
        chain = list(regions.chain_ids({region_id})[region_id])
    return ServicePoint(
        pk=point.pk,
        ref=point.ref,
        status=point.status,
        opening_hours=point.opening_hours,
        name=values.name,
        address=values.address,
        city=values.city,
        phone=values.phone,
        location=Point(values.lon, values.lat, srid=4326) if moved else point.location,
        region_id=chain[0] if chain else None,
        region_ids=chain,
        capacity=values.capacity,
        reach_m=values.reach_m,
        largest_size=values.largest_size,
    )


def impact(point: ServicePoint, after: ServicePoint, *, now: datetime) -> Impact:
    """Work out what a change would do. Nothing is written and nothing locked."""
    coming = orders.expected_at(point.pk)
    why = _lost(point, after, coming, now=now)
    losing = [order for order in coming if order.pk in why]
    choices = _instead(losing, after, now=now)
    named = ServicePoint.objects.in_bulk({choice.point_id for choice in choices.values() if choice.point_id})
    pieces = {demand.key: demand.parcels for demand in orders.demands_of(losing)}
    losers = [
        Loser(order, pieces[order.pk], why[order.pk], named.get(choice.point_id or 0), choice.distance_m)
        for order in losing
        for choice in [choices[order.pk]]
    ]
    past, cut = _past(point, now=now)
    lost = _past_lost(past, after)
    return Impact(
        expected=len(coming),
        losers=losers,
        here=Parcel.objects.filter(service_point=point, status__in=parcels.HERE).count(),
        past=len(past),
        elsewhere=sum(lost.values()),
        past_why=lost,
        cut=cut,
    )


def without(point: ServicePoint, *, now: datetime) -> Sequence[Loser]:
    """Where the orders on their way would go if the point took no parcels any more."""
    coming = orders.expected_at(point.pk)
    choices = _instead(coming, None, now=now, point_id=point.pk)
    named = ServicePoint.objects.in_bulk({choice.point_id for choice in choices.values() if choice.point_id})
    pieces = {demand.key: demand.parcels for demand in orders.demands_of(coming)}
    return [
        Loser(order, pieces[order.pk], "", named.get(choices[order.pk].point_id or 0), choices[order.pk].distance_m)
        for order in coming
    ]


def save(*, point: ServicePoint, values: Values, seen: str, keep_expected: bool, by: User, now: datetime) -> int:
    """Save a change, and let the orders that lose the point be assigned anew. Returns how many. Raises Refused.

    `seen` is the version that the change was made of. Who loses is worked out again under the lock of the point, so
    that what is assigned at the same moment is either counted here or sees the new values.
    """
    try:
        with transaction.atomic(durable=True):
            locked = ServicePoint.objects.select_for_update(no_key=True).get(pk=point.pk)
            if version(locked) != seen:
                raise Refused("changed")
            after = changed(locked, values, at=now)
            words = _words(locked, after)
            if not words:
                return 0
            lost = {} if keep_expected else _lost(locked, after, orders.expected_at(locked.pk), now=now)
            after.save(
                update_fields=[
                    "name", "address", "city", "phone", "location", "region", "region_ids", "capacity", "reach_m",
                    "largest_size",
                ]
            )  # fmt: skip
            points.note(locked, words, by)
            return orders.send_elsewhere(point_id=locked.pk, order_ids=lost) if lost else 0
    except OperationalError as error:
        raise Refused("busy") from error


def _lost(point: ServicePoint, after: ServicePoint, coming: Sequence[Order], *, now: datetime) -> dict[int, str]:
    """Which of the orders on their way the changed point would not take, and why; the last assigned go first.

    A point that only opens later or is paused does not lose what it was given before, so only what changes counts.
    """
    demands = [replace(demand, wanted_point=point.pk) for demand in orders.demands_of(coming)]
    wished = {order.pk for order in coming if order.requested_point_id == point.pk}
    lists = assignment.candidates(demands, at=now, trial=assignment.Trial(point.pk, _open(after)))
    rules = assignment.rules_of({region for demand in demands for region in demand.chain})
    free = {after.pk: after.capacity - Parcel.objects.filter(service_point=point, status__in=parcels.HERE).count()}
    lost: dict[int, str] = {}
    for demand in demands:
        [candidate] = lists[demand.key]
        # Who chose this point comes however far it is.
        asked = replace(demand, wanted_point=point.pk if demand.key in wished else None)
        usual = replace(candidate, paused=False, shut=False)
        why = assignment.lost_by(asked, usual, free=free, served=assignment.served_by(demand.chain, rules))
        if why:
            lost[demand.key] = str(why)
        else:
            free[after.pk] -= demand.parcels
    return lost


def _open(point: ServicePoint) -> ServicePoint:
    """The point as one that takes parcels, because what it was given stays its own while it is suspended."""
    shown = ServicePoint(**{field.attname: getattr(point, field.attname) for field in ServicePoint._meta.fields})
    shown.status = ServicePoint.Status.ACTIVE
    return shown


def _instead(
    losing: Sequence[Order], after: ServicePoint | None, *, now: datetime, point_id: int = 0
) -> dict[int, assignment.Choice]:
    """Where the chooser would send these orders, the parcels that leave the point taken off it."""
    number = after.pk if after is not None else point_id
    demands = [
        replace(demand, wanted_point=None if demand.wanted_point == number else demand.wanted_point)
        for demand in orders.demands_of(losing)
    ]
    leaving = sum(demand.parcels for demand in demands)

    def held_at(ids: Iterable[int]) -> dict[int, int]:
        held = orders.held_at(ids)
        if number in held:
            held[number] -= leaving
        return held

    return assignment.assign(demands, at=now, held_at=held_at, trial=assignment.Trial(number, after))


@dataclass(frozen=True)
class _Past:
    order_id: int
    lat: float
    lon: float
    size: int
    parcels: int
    wished: bool
    others_m: float | None  # to the nearest point that would have taken it as well
    begins: datetime
    ends: datetime | None


# What each order took of the shelf: from its assignment until it was collected, or until a scan took it away.
_PAST = """
    SELECT o.id, ST_Y(a.location), ST_X(a.location), max(p.size), count(*), bool_or(o.requested_point_id = %(point)s),
           min(s.candidates::text), s.assigned_at,
           CASE WHEN bool_and(p.status NOT IN ('expected', 'ready', 'expired', 'refused')) THEN
               max(coalesce(p.collected_at, (SELECT max(c.recorded_at) FROM pickup_scan c WHERE c.parcel_id = p.id),
                            s.assigned_at)) END
    FROM pickup_assignment s JOIN pickup_order o ON o.id = s.order_id JOIN network_address a ON a.id = o.address_id
    JOIN pickup_parcel p ON p.order_id = o.id AND p.service_point_id = s.service_point_id
    WHERE s.service_point_id = %(point)s AND s.assigned_at >= %(since)s AND a.location IS NOT NULL
    GROUP BY o.id, a.location, s.id ORDER BY s.assigned_at DESC LIMIT %(most)s
"""


def _past(point: ServicePoint, *, now: datetime) -> tuple[list[_Past], bool]:
    """The orders of the last 30 days that came to the point, in the order in which they were assigned."""
    with connection.cursor() as cursor:
        cursor.execute(_PAST, {"point": point.pk, "since": now - PAST, "most": MOST_PAST + 1})
        rows = cursor.fetchall()
    found = [
        _Past(number, lat, lon, size, count, bool(wished), _other_m(candidates, point.pk), begins, ends)
        for number, lat, lon, size, count, wished, candidates, begins, ends in rows[:MOST_PAST]
    ]
    return found[::-1], len(rows) > MOST_PAST


def _other_m(candidates: str, point_id: int) -> float | None:
    rows: list[Any] = json.loads(candidates)
    return min((row[1] for row in rows if row[0] != point_id and row[2] == assignment.Lost.FARTHER), default=None)


def _past_lost(past: Sequence[_Past], after: ServicePoint) -> dict[str, int]:
    """How many would have gone elsewhere, by reason: replayed in their order, with the room that there was then.

    A parcel of which no scan tells when it left counts until its order was assigned. The room of other points is not
    replayed, so a change that makes the point more attractive is not told here.
    """
    metres = _metres(past, after)
    counted: dict[str, int] = {}
    on_shelf: list[tuple[datetime | None, int]] = []
    for one, distance in zip(past, metres, strict=True):
        on_shelf = [(ends, number) for ends, number in on_shelf if ends is None or ends > one.begins]
        held = sum(number for _, number in on_shelf)
        why = ""
        if distance > after.reach_m and not one.wished:
            why = assignment.Lost.BEYOND_REACH
        elif one.size > after.largest_size:
            why = assignment.Lost.TOO_LARGE
        elif held + one.parcels > after.capacity:
            why = assignment.Lost.FULL
        elif one.others_m is not None and one.others_m < distance and not one.wished:
            why = assignment.Lost.FARTHER
        if why:
            counted[str(why)] = counted.get(str(why), 0) + 1
        else:
            on_shelf.append((one.ends, one.parcels))
    return counted


def _metres(past: Sequence[_Past], after: ServicePoint) -> list[float]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT ST_Distance(ST_SetSRID(ST_MakePoint(%s, %s), 4326)::geography,
                                  ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography)
               FROM unnest(%s::float8[], %s::float8[]) WITH ORDINALITY AS u(lon, lat, number) ORDER BY number""",
            [after.location.x, after.location.y, [one.lon for one in past], [one.lat for one in past]],
        )
        return [float(metres) for (metres,) in cursor.fetchall()]


def _words(before: ServicePoint, after: ServicePoint) -> str:
    """What changed, for the history that the administration shows."""
    old, new = vars(values_of(before)), vars(values_of(after))
    return "; ".join(f"{name}: {old[name]} → {new[name]}" for name in old if old[name] != new[name])


@dataclass(frozen=True)
class Neighbour:
    point: ServicePoint
    distance_m: float
    held: int


def neighbours(*, lat: float, lon: float, limit: int, now: datetime, but: int = 0) -> list[Neighbour]:
    """The nearest active points with their metres and their load, `but` one of them."""
    demand = assignment.Demand(key=0, lat=lat, lon=lon, size=0, parcels=0, chain=[])
    ordered = assignment.candidates([demand], at=now, look=limit + 1)[0]
    near = {one.point_id: one.distance_m for one in ordered if one.point_id != but}
    ids = list(near)[:limit]
    found, held = ServicePoint.objects.in_bulk(ids), orders.held_at(ids)
    return [Neighbour(found[one], near[one], held.get(one, 0)) for one in ids if one in found]


NEAR_M = 1_000  # a quarter of an hour on foot
# The box first, in degrees that are surely as wide; then metres on the ellipsoid.
_GAINED = """
    WITH near AS (
        SELECT a.location FROM pickup_order o JOIN network_address a ON a.id = o.address_id
        WHERE o.id IN (SELECT p.order_id FROM pickup_parcel p WHERE p.region_ids @> ARRAY[%(region)s]::bigint[])
          AND o.placed_at >= %(since)s
          AND a.location && ST_Expand(ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326), %(dx)s, %(dy)s)
          AND ST_DWithin(a.location::geography, ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326)::geography, %(m)s)
    )
    SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (
        SELECT FROM network_servicepoint s
        WHERE s.status = 'active' AND s.location && ST_Expand(near.location, %(dx)s, %(dy)s)
          AND ST_DWithin(s.location::geography, near.location::geography, %(m)s))) FROM near
"""


def gained(*, lat: float, lon: float, region_id: int, now: datetime) -> tuple[int, int]:
    """Return how many of the region's orders of the last 30 days lie within a kilometre, and for how many of them no
    active point does today. Raises tiles.TooMuch.
    """
    shrink = max(0.001, math.cos(math.radians(min(89.0, abs(lat) + 0.1))))
    dy = NEAR_M / assignment.METRES_PER_DEGREE
    values = {
        "region": region_id,
        "since": now - PAST,
        "lat": lat,
        "lon": lon,
        "m": NEAR_M,
        "dx": dy / shrink,
        "dy": dy,
    }
    near, alone = tiles.run(_GAINED, values)[0]
    return int(near), int(alone)
