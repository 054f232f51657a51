"""Which service point serves an address: the nearest available one by metres on the ellipsoid (R3).

What is known of load is handed in, because parcels live in another package.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from django.db import connection
from django.db.models import Max
from django.utils.timezone import localtime
from opening_hours import validate

from network import opening
from network.models import Region, ServicePoint

PROMISED_DAYS = 3  # a point that stays shut longer than this cannot keep the promise made to the recipient
FIRST_LOOK = 16
LAST_LOOK = 256  # so that a city without any room costs a bounded look and not the whole network
KEPT = 24  # of the losers' reasons, the nearest ones
METRES_PER_DEGREE = 110_574.0  # of latitude at the equator, where a degree is shortest (WGS 84)


class Lost(StrEnum):
    """Why a candidate was not chosen. They are tried in this order."""

    BEYOND_REACH = "beyond_reach"
    PAUSED = "paused"
    SHUT = "shut"
    TOO_LARGE = "too_large"
    OTHER_NETWORK = "other_network"
    FULL = "full"
    FARTHER = "farther"


@dataclass(frozen=True)
class Demand:
    """An address that needs a point, for `parcels` pieces of at most `size`. `chain` is deepest first."""

    key: int
    lat: float
    lon: float
    size: int
    parcels: int
    chain: Sequence[int]
    wanted_point: int | None = None


@dataclass(frozen=True)
class Candidate:
    point_id: int
    distance_m: float
    degrees: float
    reach_m: int
    largest_size: int
    capacity: int
    region_ids: Sequence[int]
    paused: bool
    shut: bool


@dataclass(frozen=True)
class Choice:
    """`tried` lists `(point id, metres, reason it lost by)`, nearest first; the chosen one's reason is empty."""

    point_id: int | None
    distance_m: float
    tried: list[tuple[int, float, str]]
    overflow: bool = False  # a neighbour helps out, because nobody of the region's own network could

    def told(self) -> str:
        """What is stored of `tried`: JSON, compact."""
        return "[" + ",".join(f'[{one},{metres},"{reason}"]' for one, metres, reason in self.tried) + "]"


@dataclass(frozen=True)
class Trial:
    """Choose as if one point were another one: `point` has the values to try, or is None if it were not there."""

    point_id: int
    point: ServicePoint | None = None


HeldAt = Callable[[Iterable[int]], Mapping[int, int]]

CANDIDATES = """
    SELECT d.key, p.id, ST_Distance(p.location::geography, d.place::geography),
           p.location <-> d.place, p.reach_m, p.largest_size,
           p.capacity, p.region_ids, p.opening_hours,
           EXISTS (SELECT FROM network_pause s WHERE s.service_point_id = p.id AND s.period @> %s)
    FROM (SELECT key, wanted, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS place
          FROM unnest(%s::bigint[], %s::float8[], %s::float8[], %s::bigint[]) AS u(key, lon, lat, wanted)) d
    CROSS JOIN LATERAL (
        {lateral}
    ) p
    ORDER BY 1, 3, 2
"""
NEAREST = CANDIDATES.format(
    lateral="""SELECT * FROM network_servicepoint c WHERE c.status = 'active'
               ORDER BY c.location <-> d.place LIMIT %s"""
)
WANTED = CANDIDATES.format(
    lateral="SELECT * FROM network_servicepoint c WHERE c.status = 'active' AND c.id = d.wanted LIMIT %s"
)


def candidates(
    demands: Sequence[Demand], *, at: datetime, look: int = FIRST_LOOK, trial: Trial | None = None
) -> dict[int, list[Candidate]]:
    """Return for each demand its nearest active points by true metres, or the one that was asked for."""
    found: dict[int, list[Candidate]] = {demand.key: [] for demand in demands}
    for statement, group in (
        (NEAREST, [demand for demand in demands if demand.wanted_point is None]),
        (WANTED, [demand for demand in demands if demand.wanted_point is not None]),
    ):
        if not group:
            continue
        with connection.cursor() as cursor:
            cursor.execute(
                statement,
                [
                    at,
                    [demand.key for demand in group],
                    [demand.lon for demand in group],
                    [demand.lat for demand in group],
                    [demand.wanted_point for demand in group],
                    look if trial is None else look + 1,
                ],
            )
            for key, point_id, metres, degrees, reach_m, size, capacity, region_ids, hours, paused in cursor:
                shut = is_shut(hours, at)
                found[key].append(
                    Candidate(point_id, metres, degrees, reach_m, size, capacity, region_ids, paused, shut)
                )
    return found if trial is None else _as_if(found, demands, trial, at=at)


_TRIED = """
    SELECT d.key, ST_Distance(ST_SetSRID(ST_MakePoint(%s, %s), 4326)::geography,
                              ST_SetSRID(ST_MakePoint(d.lon, d.lat), 4326)::geography),
           EXISTS (SELECT FROM network_pause s WHERE s.service_point_id = %s AND s.period @> %s)
    FROM unnest(%s::bigint[], %s::float8[], %s::float8[]) AS d(key, lon, lat)
"""


def _as_if(
    found: dict[int, list[Candidate]], demands: Sequence[Demand], trial: Trial, *, at: datetime
) -> dict[int, list[Candidate]]:
    """Take the point out of all lists, and put it in again as it would be. Nothing is written, so nobody waits."""
    without = {key: [one for one in ordered if one.point_id != trial.point_id] for key, ordered in found.items()}
    point = trial.point
    if point is None or point.status != ServicePoint.Status.ACTIVE:
        return without
    asking = [demand for demand in demands if demand.wanted_point in (None, trial.point_id)]
    shut = is_shut(point.opening_hours, at)
    with connection.cursor() as cursor:
        cursor.execute(
            _TRIED,
            [
                point.location.x,
                point.location.y,
                trial.point_id,
                at,
                [demand.key for demand in asking],
                [demand.lon for demand in asking],
                [demand.lat for demand in asking],
            ],
        )
        for key, metres, paused in cursor.fetchall():
            # No degrees, so that it says nothing about how far the others were looked at.
            tried = Candidate(
                trial.point_id,
                metres,
                0.0,
                point.reach_m,
                point.largest_size,
                point.capacity,
                point.region_ids,
                paused,
                shut,
            )
            without[key] = sorted([*without[key], tried], key=lambda one: (one.distance_m, one.point_id))
    return without


def is_shut(hours: str, at: datetime) -> bool:
    """Whether a shop with these opening hours (OpenStreetMap syntax) never opens within the promised days."""
    local = localtime(at)
    return bool(hours) and _is_shut(hours, local.replace(minute=0, second=0, microsecond=0, tzinfo=None))


@lru_cache(maxsize=50_000)
def _is_shut(hours: str, hour: datetime) -> bool:
    if not validate(hours):
        return False  # forms refuse such hours; if some came past them, nobody knows that the shop is shut
    parsed = opening.parsed(hours)
    if parsed.is_open(hour):
        return False
    opens = parsed.next_change(hour)
    return opens is None or opens > hour + timedelta(days=PROMISED_DAYS)


OWN, NEIGHBOUR, ELSEWHERE = range(3)  # what a point is to an address: of its network, one that may help out, neither


@dataclass(frozen=True)
class Rule:
    """Who serves a region: points within its own region of a level, and which others if none of these can."""

    level: int
    network_level: int | None
    overflow: str


@dataclass(frozen=True)
class Served:
    """The region that serves an address, and the one that may help out: 0 for anywhere in reach, None for nowhere."""

    network: int
    overflow: int | None


def rules_of(region_ids: Collection[int]) -> dict[int, Rule]:
    """Return the rules of these regions, or nothing if none of them restricts who serves it."""
    rows = Region.objects.filter(id__in=region_ids)
    if not rows.filter(network_level__isnull=False).exists():
        return {}
    return {row[0]: Rule(*row[1:]) for row in rows.values_list("id", "level", "network_level", "overflow")}


def served_by(chain: Sequence[int], rules: Mapping[int, Rule]) -> Served | None:
    """Return who serves an address of these regions, deepest first: the deepest one that restricts it decides."""
    for region in chain:
        rule = rules.get(region)
        if rule is None or rule.network_level is None:
            continue
        network = next((up for up in chain if up in rules and rules[up].level == rule.network_level), region)
        above = chain[chain.index(network) + 1 :]
        overflow = {Region.Overflow.REACH: 0, Region.Overflow.PARENT: above[0] if above else None}
        return Served(network, overflow.get(Region.Overflow(rule.overflow)))
    return None


def tier(served: Served | None, region_ids: Collection[int]) -> int:
    if served is None or served.network in region_ids:
        return OWN
    return NEIGHBOUR if served.overflow == 0 or served.overflow in region_ids else ELSEWHERE


def choose(
    demand: Demand, ordered: Sequence[Candidate], *, free: Mapping[int, int], rules: Mapping[int, Rule]
) -> Choice:
    """Take the nearest candidate that nothing speaks against, and note what every other one lost by.

    One that only helps out is taken if no other can: then it lost to nobody nearer.
    """
    served = served_by(demand.chain, rules)
    tiers = [tier(served, candidate.region_ids) for candidate in ordered]
    lost = [lost_by(demand, candidate, free=free, served=served) for candidate in ordered]
    open_ = [place for place, reason in enumerate(lost) if not reason]
    chosen = min(open_, key=lambda place: (tiers[place], place), default=None)
    tried: list[tuple[int, float, str]] = []
    for place, candidate in enumerate(ordered):
        reason = lost[place]
        if not reason and place != chosen:
            reason = Lost.FARTHER if chosen is not None and tiers[place] == tiers[chosen] else Lost.OTHER_NETWORK
        tried.append((candidate.point_id, round(candidate.distance_m, 1), str(reason)))
    kept = tried[:KEPT] + [one for one in tried[KEPT:] if not one[2]]
    if chosen is None:
        return Choice(None, 0.0, kept)
    return Choice(ordered[chosen].point_id, ordered[chosen].distance_m, kept, overflow=tiers[chosen] == NEIGHBOUR)


def lost_by(demand: Demand, candidate: Candidate, *, free: Mapping[int, int], served: Served | None) -> str:
    if candidate.distance_m > candidate.reach_m and demand.wanted_point is None:
        return Lost.BEYOND_REACH
    if candidate.paused:
        return Lost.PAUSED
    if candidate.shut:
        return Lost.SHUT
    if candidate.largest_size < demand.size:
        return Lost.TOO_LARGE
    where = tier(served, candidate.region_ids)
    if where == ELSEWHERE or (where == NEIGHBOUR and demand.wanted_point is not None):
        return Lost.OTHER_NETWORK  # nobody asks for a neighbour by name: whether it helps out depends on the others
    if free.get(candidate.point_id, 0) < demand.parcels:
        return Lost.FULL
    return ""


def assign(
    demands: Sequence[Demand],
    *,
    at: datetime,
    held_at: HeldAt,
    look: int = FIRST_LOOK,
    trial: Trial | None = None,
) -> dict[int, Choice]:
    """Choose a point for each demand, in the order given, never more parcels than a point has room for.

    It looks at more candidates until no unseen point could be nearer than the chosen one, so the choice is exact; it
    stops where no point reaches, and at the latest after the nearest 256 active points.
    """
    choices: dict[int, Choice] = {}
    open_demands = list(demands)
    active = ServicePoint.objects.filter(status=ServicePoint.Status.ACTIVE)
    farthest_reach_m = active.aggregate(most=Max("reach_m"))["most"] or 0
    if trial is not None and trial.point is not None:
        farthest_reach_m = max(farthest_reach_m, trial.point.reach_m)
    rules = rules_of({region for demand in demands for region in demand.chain})
    taken: dict[int, int] = defaultdict(int)
    while open_demands:
        lists = candidates(open_demands, at=at, look=look, trial=trial)
        free = room(lists, held_at=held_at, taken=taken)
        unsure: list[Demand] = []
        for demand in open_demands:
            choice = choose(demand, lists[demand.key], free=free, rules=rules)
            seen_m = _surely_seen_m(demand, lists[demand.key], look)
            sure = choice.point_id is not None and not choice.overflow
            needed_m = choice.distance_m if sure else farthest_reach_m
            if seen_m < needed_m and look < LAST_LOOK:
                unsure.append(demand)
                continue
            choices[demand.key] = choice
            if choice.point_id is not None:
                free[choice.point_id] -= demand.parcels
                taken[choice.point_id] += demand.parcels
        open_demands, look = unsure, look * 4
    return choices


def room(lists: Mapping[int, Sequence[Candidate]], *, held_at: HeldAt, taken: Mapping[int, int]) -> dict[int, int]:
    """Return how many more parcels each candidate point can take."""
    capacity = {candidate.point_id: candidate.capacity for ordered in lists.values() for candidate in ordered}
    held = held_at(sorted(capacity))
    return {point: most - held.get(point, 0) - taken.get(point, 0) for point, most in capacity.items()}


def _surely_seen_m(demand: Demand, ordered: Sequence[Candidate], look: int) -> float:
    """Return the metres within which every active point is surely among the candidates.

    The index orders by degrees. A point that was not returned is at least as many degrees away as the farthest one
    that was, and a degree is nowhere shorter than one of longitude at the latitude nearest to a pole in question.
    """
    if len(ordered) < look or demand.wanted_point is not None:
        return math.inf
    degrees = max(candidate.degrees for candidate in ordered)
    return degrees * METRES_PER_DEGREE * math.cos(math.radians(min(90.0, abs(demand.lat) + degrees)))
