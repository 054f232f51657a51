"""Coverage as this network's own orders show it: who has a point near by, where one is missing, how full shops get.

An agent's sight is a set of regions: addresses count by the chain that was frozen at their assignment, shops by the
region they stand in. Points of the neighbourhood count for coverage wherever they are, because they serve it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection
from django.utils.timezone import localtime

from network import coverage
from network.coverage import Floats, Integers, Masks, Places, Plan, Points
from network.models import Level, Region, ServicePoint
from pickup import parcels

MOST_ADDRESSES = 100_000  # the newest ones; more would say the same and take longer
LEARN_FROM = timedelta(days=60)
LONGEST_H = 24 * 60  # dwell times beyond that are counted as that
FEWEST = 30  # parcels that must have been seen before their times are called a statistic
REACHED = 5  # parcels that must have lasted as long as one of which something is foretold
SIGMAS = 2  # of the range that is told


@dataclass(frozen=True)
class Share:
    """Addresses of one region: all, those with an open point near at some hour, and at each hour of the week."""

    region_id: int | None
    addresses: int
    covered: int
    by_hour: Sequence[int]


@dataclass(frozen=True)
class Cell:
    """A square of the picture: how many addresses, and how many of them covered. Degrees of its centre."""

    lat: float
    lon: float
    side_lat: float
    side_lon: float
    addresses: int
    covered: int


@dataclass(frozen=True)
class Report:
    """`regions` is largest first; `region_of_site` names the region of each site of the plan."""

    at: datetime
    addresses: int
    points: int
    without_hours: int
    cut: bool  # there were more addresses than are looked at
    total: Share
    regions: Sequence[Share]
    plan: Plan
    region_of_site: Sequence[int | None]
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Load:
    """What stands on a shop's shelf at the end of tomorrow.

    `expected` is the mean, `low` and `high` the honest range, `most` what it is if all arrive and nobody comes.
    `expected` is None while too few parcels were seen; the range is then all that is possible.
    """

    point: ServicePoint
    here: int
    coming: int
    expected: int | None
    low: int
    high: int

    @property
    def most(self) -> int:
        return self.here + self.coming

    @property
    def is_tight(self) -> bool:
        return self.high > self.point.capacity


# The newest orders first, so that a limit keeps what is nearest to today.
ADDRESSES = """
    SELECT ST_Y(a.location), ST_X(a.location), a.region_ids::text
    FROM pickup_order o JOIN network_address a ON a.id = o.address_id
    WHERE o.status = 'assigned' AND o.assigned_at > %(since)s AND o.assigned_at <= %(at)s AND a.location IS NOT NULL
      AND EXISTS (SELECT FROM pickup_parcel p WHERE p.order_id = o.id
                  AND (%(regions)s::bigint[] IS NULL OR p.region_ids && %(regions)s::bigint[]))
    ORDER BY o.id DESC LIMIT %(limit)s
"""


def report(*, at: datetime, days: int, within_m: float, level: Level, regions: Collection[int] | None) -> Report:
    """Look at the addresses of the orders assigned in the last `days`, in all regions or those given."""
    parameters = {
        "since": at - timedelta(days=days),
        "at": at,
        "regions": None if regions is None else sorted(regions),
        "limit": MOST_ADDRESSES + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(ADDRESSES, parameters)
        rows = cursor.fetchall()
    cut, rows = len(rows) > MOST_ADDRESSES, rows[:MOST_ADDRESSES]
    places = Places(
        np.array([row[0] for row in rows], dtype=np.float64),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.ones(len(rows), dtype=np.int64),
    )
    group, region_ids = _groups([row[2] for row in rows], level=level)
    points = coverage.points_at(at)
    covered = coverage.hours_covered(places, points, within_m=within_m)
    plan, example_of = _plan(places, points, covered, within_m=within_m)
    told = _shares(covered, places, group, region_ids)
    return Report(
        at=at,
        addresses=len(rows),
        points=len(points.lat),
        without_hours=points.without_hours,
        cut=cut,
        total=_sum(told),
        regions=sorted(told, key=lambda share: (-share.addresses, share.region_id or 0)),
        plan=plan,
        region_of_site=[region_ids[group[place]] for place in example_of],
        cells=_cells(places, np.asarray(covered.any(axis=1))),
    )


def _groups(chains: Sequence[str], *, level: Level) -> tuple[Integers, list[int | None]]:
    """A number for each address, and the region of the level that each number stands for (None: none of it)."""
    number_of: dict[str, int] = {}
    each = np.array([number_of.setdefault(chain, len(number_of)) for chain in chains], dtype=np.int64)
    ids = [[int(part) for part in chain.strip("{}").split(",") if part] for chain in number_of]
    wanted = {region for chain in ids for region in chain}
    of_level = set(Region.objects.filter(pk__in=wanted, level=level).values_list("pk", flat=True))
    region_of_chain = [next((region for region in chain if region in of_level), None) for chain in ids]
    regions: list[int | None] = list(dict.fromkeys(region_of_chain))
    place_of = {region: place for place, region in enumerate(regions)}
    by_chain = np.array([place_of[region] for region in region_of_chain], dtype=np.int64)
    return (by_chain[each] if len(each) else each), regions


def _shares(covered: Masks, places: Places, group: Integers, region_ids: Sequence[int | None]) -> list[Share]:
    everybody, any_hour, by_hour = coverage.shares(covered, places.weight, group, groups=len(region_ids))
    return [
        Share(region, int(everybody[place]), int(any_hour[place]), by_hour[place].tolist())
        for place, region in enumerate(region_ids)
    ]


def _sum(told: Sequence[Share]) -> Share:
    by_hour = [sum(hours) for hours in zip(*(share.by_hour for share in told), strict=True)]
    addresses, covered = sum(share.addresses for share in told), sum(share.covered for share in told)
    return Share(None, addresses, covered, by_hour or [0] * coverage.WEEK_H)


def _plan(places: Places, points: Points, covered: Masks, *, within_m: float) -> tuple[Plan, list[int]]:
    """The ten places for a new point, and for each the index of an address that it would serve."""
    without = np.flatnonzero(~covered.any(axis=1))
    some = places.some(without)
    current = coverage.nearest_m(some, points, first_m=within_m)
    plan = coverage.best_sites(some, current_m=current, within_m=within_m)
    return plan, [int(without[site.example]) for site in plan.sites]


PICTURE = 60  # squares along the longer side


def _cells(places: Places, is_covered: npt.NDArray[np.bool_]) -> list[Cell]:
    """The addresses in a coarse grid, for a picture in which no single one can be found."""
    if not len(places):
        return []
    south, north = float(places.lat.min()), float(places.lat.max())
    west, east = float(places.lon.min()), float(places.lon.max())
    shrink = max(0.001, math.cos(math.radians((south + north) / 2)))
    side = max((north - south) / PICTURE, (east - west) * shrink / PICTURE, 0.005)
    row = ((places.lat - south) // side).astype(np.int64)
    column = ((places.lon - west) * shrink // side).astype(np.int64)
    keys, which = np.unique(row * 10_000 + column, return_inverse=True)
    everybody = np.bincount(which, weights=places.weight)
    good = np.bincount(which, weights=places.weight * is_covered)
    return [
        Cell(
            south + (key // 10_000 + 0.5) * side,
            west + (key % 10_000 + 0.5) * side / shrink,
            side,
            side / shrink,
            int(many),
            int(fine),
        )
        for key, many, fine in zip(keys.tolist(), everybody, good, strict=True)
    ]


# How long parcels took in hours, and how long those that still wait have been waiting.
TOOK = """
    SELECT LEAST(%(longest)s, GREATEST(0, floor(extract(epoch FROM p.collected_at - p.ready_at) / 3600)))::int, count(*)
    FROM pickup_parcel p WHERE p.status = 'collected' AND p.collected_at > %(since)s AND p.ready_at IS NOT NULL
    GROUP BY 1
"""
CAME = """
    SELECT LEAST(%(longest)s, GREATEST(0, floor(extract(epoch FROM p.ready_at - o.assigned_at) / 3600)))::int, count(*)
    FROM pickup_parcel p JOIN pickup_order o ON o.id = p.order_id
    WHERE p.ready_at > %(since)s AND o.assigned_at IS NOT NULL GROUP BY 1
"""
WAITS = """
    SELECT p.service_point_id, p.status <> 'expected',
           LEAST(%(longest)s, GREATEST(0, floor(extract(epoch FROM %(at)s - CASE p.status
               WHEN 'expected' THEN COALESCE(o.assigned_at, o.placed_at) ELSE p.ready_at END) / 3600)))::int, count(*)
    FROM pickup_parcel p JOIN pickup_order o ON o.id = p.order_id
    WHERE p.status = ANY (%(held)s) AND p.service_point_id IS NOT NULL
    GROUP BY 1, 2, 3
"""


def tomorrow(*, at: datetime, regions: Collection[int] | None, limit: int) -> list[Load]:
    """The shelves at the end of tomorrow, those with the least room left first.

    Rule. A parcel that has been on a shelf for `a` hours leaves within the `h` hours until then with the chance
    1 − S(a + h) / S(a), where S is the share of the network's parcels that stay longer (Kaplan and Meier 1958, over the
    collections of the last 60 days, those still waiting counted as not yet over). One that is expected arrives with the
    chance worked out in the same way from the time between assignment and arrival, and then stays: collections of
    parcels that arrive in between are left out, which rather tells too many. Orders that are not placed yet are not
    counted, which tells too few; neither is returned parcels leaving. The range is two standard deviations of parcels
    that come and go independently of each other, never beyond what is possible. A parcel that has waited longer than
    nearly all that were seen is counted as standing there, and the range leaves open whether it does.
    """
    now_h = localtime(at)
    end = now_h.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
    hours = math.ceil((end - now_h).total_seconds() / 3600)
    parameters: dict[str, Any] = {
        "at": at,
        "since": at - LEARN_FROM,
        "longest": LONGEST_H,
        "held": [str(status) for status in parcels.HELD],
    }
    with connection.cursor() as cursor:
        cursor.execute(WAITS, parameters)
        waits = cursor.fetchall()
        cursor.execute(TOOK, parameters)
        took = cursor.fetchall()
        cursor.execute(CAME, parameters)
        came = cursor.fetchall()
    leaves = chance_within(took, [(age, many) for _, here, age, many in waits if here], hours=hours)
    arrives = chance_within(came, [(age, many) for _, here, age, many in waits if not here], hours=hours)
    points = ServicePoint.objects.filter(pk__in={row[0] for row in waits})
    if regions is not None:
        points = points.filter(region_ids__overlap=sorted(regions))
    loads = _loads(points.in_bulk(), waits, leaves, arrives)
    return sorted(loads, key=lambda load: (load.point.capacity - load.high, load.point.ref))[:limit]


def _loads(
    points: dict[int, ServicePoint],
    waits: Sequence[tuple[int, bool, int, int]],
    leaves: Floats | None,
    arrives: Floats | None,
) -> list[Load]:
    here: dict[int, int] = dict.fromkeys(points, 0)
    coming: dict[int, int] = dict.fromkeys(points, 0)
    mean: dict[int, float] = dict.fromkeys(points, 0.0)
    variance: dict[int, float] = dict.fromkeys(points, 0.0)
    unsure: dict[int, int] = dict.fromkeys(points, 0)
    known: dict[int, bool] = dict.fromkeys(points, True)
    for point, is_here, age, many in waits:
        if point not in points:
            continue
        (here if is_here else coming)[point] += many
        chances = leaves if is_here else arrives
        if chances is None:
            known[point] = False
            continue
        stands = 1 - float(chances[age]) if is_here else float(chances[age])
        if math.isnan(stands):
            unsure[point] += many
            continue
        mean[point] += many * stands
        variance[point] += many * stands * (1 - stands)
    loads = []
    for point, row in points.items():
        most = here[point] + coming[point]
        spread = SIGMAS * math.sqrt(variance[point])
        low = max(0, math.floor(mean[point] - spread))
        high = min(most, math.ceil(mean[point] + spread) + unsure[point])
        if not known[point]:
            low, high = 0, most
        expected = round(mean[point]) + unsure[point] if known[point] else None
        loads.append(Load(row, here[point], coming[point], expected, low, high))
    return loads


def chance_within(ended: Sequence[tuple[int, int]], waiting: Sequence[tuple[int, int]], *, hours: int) -> Floats | None:
    """For each age in hours the chance that what has lasted so long ends within `hours`; None if too few are known.

    `ended` and `waiting` are (hours, how many). It is not a number at an age that fewer than five reached who have
    ended since: nobody knows when such ones end.
    """
    if sum(many for _, many in ended) < FEWEST:
        return None
    over, still = np.zeros(LONGEST_H + 1), np.zeros(LONGEST_H + 1)
    for age, many in ended:
        over[age] += many
    for age, many in waiting:
        still[age] += many
    at_risk = np.cumsum((over + still)[::-1])[::-1]
    hazard = np.divide(over, at_risk, out=np.zeros_like(over), where=at_risk > 0)
    stays = np.concatenate([[1.0], np.cumprod(1 - hazard)])  # longer than that many full hours
    later = stays[np.minimum(np.arange(LONGEST_H + 1) + hours, LONGEST_H + 1)]
    now_here = stays[: LONGEST_H + 1]
    goes_on: Floats = np.divide(later, now_here, out=np.ones_like(later), where=now_here > 0)
    reached = np.cumsum(over[::-1])[::-1]
    return np.where(reached >= REACHED, 1 - goes_on, np.nan)
