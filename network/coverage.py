"""Coverage: which addresses have a service point near by, at which hour, and where one more would help most.

It is geometry over arrays: addresses are handed in, because orders live in another package. Distances are metres on the
ellipsoid. Nothing here returns where a single address lies: places to look at are centres of grid cells.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from django.db import connection
from django.utils.timezone import localtime
from opening_hours import OpeningHours, State, validate

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Masks = npt.NDArray[np.uint64]  # three words a row: 168 bits, one for each hour of the week

WEEK_H = 168
WORDS = 3
TOGETHER = 1_000  # addresses at a time, so that a dense city fits into memory
METRES_PER_DEGREE = 110_574.0  # of latitude at the equator, where a degree is shortest (WGS 84)
SEMI_MAJOR_M, ECCENTRICITY_2 = 6_378_137.0, 0.006_694_379_990_141  # WGS 84
MOST_SITES = 2_000  # cells that are tried as a place for a point
SEARCH_NODES = 200  # of the solver's search tree: the same work, and so the same answer, on any machine


@dataclass(frozen=True)
class Places:
    """Addresses as columns: degrees in WGS 84, and how many there are of each."""

    lat: Floats
    lon: Floats
    weight: Integers

    def __len__(self) -> int:
        return len(self.lat)

    def some(self, chosen: npt.NDArray[Any]) -> Places:
        return Places(self.lat[chosen], self.lon[chosen], self.weight[chosen])


@dataclass(frozen=True)
class Points:
    """Service points that may hold parcels now, with the hours of the week at which each is open."""

    lat: Floats
    lon: Floats
    open: Masks
    without_hours: int  # so many tell no opening hours and are taken as always open


@dataclass(frozen=True)
class Site:
    """A grid cell where a new point would help: its centre, whom it newly covers and the metres that saves them.

    `saved_m` is None where there is no point at all yet, so that nothing can be compared.
    """

    lat: float
    lon: float
    covers: int
    saved_m: float | None
    example: int  # the place, by its index, that lies nearest: to name the region


@dataclass(frozen=True)
class Plan:
    """So many sites and what they cover together. No choice of as many cells covers more than `bound`.

    `proven` says that the sites are a best choice; `covered` is then equal to `bound`.
    """

    sites: Sequence[Site]
    covered: int
    bound: int
    greedy_covered: int
    tried: int

    @property
    def proven(self) -> bool:
        return self.covered >= self.bound


def points_at(at: datetime) -> Points:
    """The active points that are not paused at that moment, open by the hours of the week that it lies in."""
    monday = localtime(at).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    monday -= timedelta(days=monday.weekday())
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT ST_Y(p.location), ST_X(p.location), p.opening_hours FROM network_servicepoint p
               WHERE p.status = 'active'
                 AND NOT EXISTS (SELECT FROM network_pause s WHERE s.service_point_id = p.id AND s.period @> %s)
               ORDER BY p.id""",
            [at],
        )
        rows = cursor.fetchall()
    masks = np.array([hours_open(hours, monday) for *_, hours in rows], dtype=np.uint64).reshape(-1, WORDS)
    return Points(
        np.array([row[0] for row in rows], dtype=np.float64),
        np.array([row[1] for row in rows], dtype=np.float64),
        masks,
        sum(not row[2] for row in rows),
    )


@lru_cache(maxsize=20_000)
def hours_open(hours: str, monday: datetime) -> tuple[int, ...]:
    """Three words of 64 bits: bit h is set if the shop is open at the full hour h after that Monday's midnight.

    Hours that nobody told, or that nobody can read, are taken as always open; how many is told beside the result.
    """
    mask = 0
    if not hours or not validate(hours):
        mask = (1 << WEEK_H) - 1
    else:
        for begin, end, state, _comment in OpeningHours(hours).intervals(monday, monday + timedelta(hours=WEEK_H)):
            if state == State.OPEN:
                first = max(0, math.ceil((begin - monday).total_seconds() / 3600))
                last = min(WEEK_H, math.ceil((end - monday).total_seconds() / 3600))
                mask |= (1 << last) - (1 << first) if last > first else 0
    return tuple(mask >> (64 * word) & (1 << 64) - 1 for word in range(WORDS))


def distance_m(lat_a: Floats, lon_a: Floats, lat_b: Floats, lon_b: Floats) -> Floats:
    """Metres between near places: the ellipsoid's two radii of curvature at the middle latitude.

    Within a part in 10,000 of the geodesic up to 100 km away from the poles.
    """
    middle = np.radians((lat_a + lat_b) / 2)
    bulge = 1 - ECCENTRICITY_2 * np.sin(middle) ** 2
    north = SEMI_MAJOR_M * (1 - ECCENTRICITY_2) / bulge**1.5 * np.radians(lat_b - lat_a)
    east = SEMI_MAJOR_M / np.sqrt(bulge) * np.cos(middle) * np.radians(lon_b - lon_a)
    return np.hypot(north, east)


def pairs_within(
    lat: Floats, lon: Floats, to_lat: Floats, to_lon: Floats, *, within_m: float
) -> Iterator[tuple[Integers, Integers, Floats]]:
    """Yield (from, to, metres) of all pairs not farther apart, in batches, in the order of the first index.

    A box in degrees that surely holds the circle is asked of a tree, then the true metres decide. Circles that cross
    the 180th meridian are cut there.
    """
    if not len(to_lat):
        return
    tree = shapely.STRtree(shapely.points(to_lon, to_lat))
    half = within_m / METRES_PER_DEGREE
    for start in range(0, len(lat), TOGETHER):
        a, b = lat[start : start + TOGETHER], lon[start : start + TOGETHER]
        wide = half / np.maximum(0.001, np.cos(np.radians(np.minimum(90.0, np.abs(a) + half))))
        here, there = tree.query(shapely.box(b - wide, a - half, b + wide, a + half))
        metres = distance_m(a[here], b[here], to_lat[there], to_lon[there])
        near = metres <= within_m
        yield here[near] + start, there[near], metres[near]


def hours_covered(places: Places, points: Points, *, within_m: float) -> Masks:
    """For each place the hours of the week at which some point within reach is open."""
    covered = np.zeros((len(places), WORDS), dtype=np.uint64)
    for here, there, _ in pairs_within(places.lat, places.lon, points.lat, points.lon, within_m=within_m):
        if len(here):
            which, first = np.unique(here, return_index=True)
            covered[which] = np.bitwise_or.reduceat(points.open[there], first, axis=0)
    return covered


def shares(covered: Masks, weight: Integers, group: Integers, *, groups: int) -> tuple[Integers, Integers, Integers]:
    """For each group: all its addresses, those covered at any hour, and those covered at each hour of the week."""
    bits = np.unpackbits(covered.view(np.uint8), axis=1, bitorder="little")[:, :WEEK_H]
    everybody = np.bincount(group, weights=weight, minlength=groups).astype(np.int64)
    any_hour = np.bincount(group, weights=weight * bits.any(axis=1), minlength=groups).astype(np.int64)
    by_hour = np.zeros((groups, WEEK_H), dtype=np.int64)
    order = np.argsort(group, kind="stable")
    edges = np.flatnonzero(np.diff(group[order])) + 1
    for members in np.split(order, edges) if len(order) else []:
        by_hour[group[members[0]]] = weight[members] @ bits[members].astype(np.int64)
    return everybody, any_hour, by_hour


def nearest_m(places: Places, points: Points, *, first_m: float = 2_000.0, last_m: float = 512_000.0) -> Floats:
    """Metres from each place to the nearest point; infinite where there is none within `last_m`."""
    nearest = np.full(len(places), np.inf)
    radius = first_m
    left = np.arange(len(places))
    while len(left) and radius <= last_m and len(points.lat):
        some = places.some(left)
        for here, _, metres in pairs_within(some.lat, some.lon, points.lat, points.lon, within_m=radius):
            np.minimum.at(nearest, left[here], metres)
        left = left[np.isinf(nearest[left])]
        radius *= 4
    return nearest


def best_sites(places: Places, *, current_m: Floats, within_m: float, count: int = 10, exact: bool = True) -> Plan:
    """Choose the cells where `count` more points cover most of these places (maximal covering location problem).

    Candidates are the centres of grid cells, half the radius wide, in which some of the places lie: at most the 2,000
    that would cover most. Taking the best cell again and again covers at least 1 − 1/e = 63 % of the optimum
    (Nemhauser, Wolsey and Fisher 1978), and mostly far more. After each step, what is covered and the `count` largest
    gains that are left bound the optimum from above, because gains never grow; the least of these bounds is told.
    Then OR-tools chooses exactly, as far as a bounded number of its steps goes.
    """
    sites_lat, sites_lon = _cells(places, side_m=within_m / 2)
    batches = list(pairs_within(places.lat, places.lon, sites_lat, sites_lon, within_m=within_m))
    here = np.concatenate([batch[0] for batch in batches]) if batches else np.zeros(0, dtype=np.int64)
    there = np.concatenate([batch[1] for batch in batches]) if batches else np.zeros(0, dtype=np.int64)
    metres = np.concatenate([batch[2] for batch in batches]) if batches else np.zeros(0)
    reach = np.bincount(there, weights=places.weight[here], minlength=len(sites_lat))
    kept = np.sort(np.argsort(-reach, kind="stable")[:MOST_SITES])
    known = np.isin(there, kept)
    here, there, metres = here[known], there[known], metres[known]
    chosen, greedy_covered, bound = _greedy(here, there, places.weight, sites=len(sites_lat), count=count)
    covered = greedy_covered
    if exact and covered < bound:
        chosen, covered, least = _exact(here, there, places.weight, start=chosen, count=count)
        bound = min(bound, least)
    told = _told(chosen, here, there, metres, places, current_m, sites_lat, sites_lon)
    return Plan(told, covered, bound, greedy_covered, len(kept))


def _cells(places: Places, *, side_m: float) -> tuple[Floats, Floats]:
    """The centres of the grid cells that hold places, in a grid of squares whose rows each have their own columns."""
    if not len(places):
        return np.zeros(0), np.zeros(0)
    high = side_m / METRES_PER_DEGREE
    row = np.floor(places.lat / high)
    wide = high / np.maximum(0.001, np.cos(np.radians((row + 0.5) * high)))
    column = np.floor(places.lon / wide)
    cells = np.unique(np.stack([row, column], axis=1), axis=0)
    lat = (cells[:, 0] + 0.5) * high
    return lat, (cells[:, 1] + 0.5) * (high / np.maximum(0.001, np.cos(np.radians(lat))))


def _greedy(here: Integers, there: Integers, weight: Integers, *, sites: int, count: int) -> tuple[list[int], int, int]:
    """The sites taken, what they cover, and the bound that holds for any choice of as many."""
    free = np.ones(len(weight), dtype=bool)
    chosen: list[int] = []
    covered = 0
    bound = int(weight[np.unique(here)].sum()) if len(here) else 0
    while len(chosen) < count:
        gains = np.bincount(there, weights=weight[here] * free[here], minlength=sites)
        bound = min(bound, covered + int(np.sort(gains)[::-1][:count].sum()))
        if not len(gains) or gains.max() <= 0:
            break
        best = int(np.argmax(gains))
        chosen.append(best)
        covered += int(gains[best])
        free[here[there == best]] = False
    return chosen, covered, bound


def _exact(
    here: Integers, there: Integers, weight: Integers, *, start: Sequence[int], count: int
) -> tuple[list[int], int, int]:
    """SCIP's choice, what it covers, and the bound it proved. Places that the same sites reach are one variable.

    A mixed-integer program, because the relaxation of this problem is nearly whole: on a province with 2,000 cells it
    took 0.3 s to a proof, where CP-SAT had none after 27 s.
    """
    from ortools.linear_solver import pywraplp  # takes a second, which only this page pays

    reached: dict[int, list[int]] = defaultdict(list)
    for place, site in zip(here.tolist(), there.tolist(), strict=True):
        reached[place].append(site)
    alike: dict[tuple[int, ...], int] = defaultdict(int)
    for place, by in reached.items():
        alike[tuple(sorted(by))] += int(weight[place])
    solver = pywraplp.Solver.CreateSolver("SCIP")
    taken = {site: solver.BoolVar(f"site {site}") for site in np.unique(there).tolist()}
    solver.Add(solver.Sum(list(taken.values())) <= count)
    covered = []
    for reaching, many in alike.items():
        share = solver.NumVar(0, 1, "")
        solver.Add(solver.Sum([taken[site] for site in reaching]) >= share)
        covered.append(many * share)
    solver.Maximize(solver.Sum(covered))
    solver.SetHint(list(taken.values()), [float(site in start) for site in taken])
    solver.SetSolverSpecificParametersAsString(f"limits/nodes = {SEARCH_NODES}\n")
    status = solver.Solve()
    before = _covers(start, here, there, weight)
    if status not in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.FEASIBLE):
        return list(start), before, int(weight.sum())
    chosen = [site for site, variable in taken.items() if variable.solution_value() > 0.5]
    found = _covers(chosen, here, there, weight)
    # The proof is in floating point; what it covers is a whole number, so that a millionth is no doubt.
    bound = math.floor(solver.Objective().BestBound() + 1e-6 * max(1, found))
    return (chosen, found, bound) if found > before else (list(start), before, bound)


def _covers(sites: Sequence[int], here: Integers, there: Integers, weight: Integers) -> int:
    return int(weight[np.unique(here[np.isin(there, list(sites))])].sum())


def _told(
    chosen: Sequence[int],
    here: Integers,
    there: Integers,
    metres: Floats,
    places: Places,
    current_m: Floats,
    lat: Floats,
    lon: Floats,
) -> list[Site]:
    """Each site with the places that are nearer to it than to the others, those that help most first."""
    own = np.isin(there, list(chosen))
    here, there, metres = here[own], there[own], metres[own]
    order = np.lexsort((there, metres, here))
    here, there, metres = here[order], there[order], metres[order]
    _, first = np.unique(here, return_index=True)
    here, there, metres = here[first], there[first], metres[first]
    told = []
    for site in chosen:
        mine = there == site
        if not mine.any():
            continue
        saved = ((current_m[here[mine]] - metres[mine]) * places.weight[here[mine]]).sum()
        example = int(here[mine][np.argmin(metres[mine])])
        covers = int(places.weight[here[mine]].sum())
        saved_m = float(saved) if np.isfinite(saved) else None
        told.append(Site(float(lat[site]), float(lon[site]), covers, saved_m, example))
    return sorted(told, key=lambda site: -site.covers)
