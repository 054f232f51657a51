"""Many addresses at once: the service points that serve them with the fewest metres in all (R3).

Where no point is wanted by more parcels than it has room for, everybody gets the nearest one. Where they compete, the
total distance is made as small as it can be by a minimum-cost flow, each connected part of the network apart. Whoever
comes alone, or asks for a point by name, takes the nearest available one at once (`network.assignment`).

Rows are demands, columns their candidates, nearest first. All arrays of one length belong together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import psycopg
from django.db import connection, transaction
from django.db.models import Max
from psycopg import sql

from network import assignment
from network.assignment import ELSEWHERE, NEIGHBOUR, OWN, Demand, HeldAt, Lost
from network.models import Level, ServicePoint

FEW = 200  # below this, asking the index for each address is faster than reading the points
LOOKS = (6, 16, 64, 256)
SHARED = LOOKS[1]  # so many candidates at least has everybody in a flow: with fewer it ends above the optimum
MOST_ARCS = 8_000_000  # of one flow, about a gigabyte
OVERFLOW_M = 1_000_000.0  # more than any reach: first as few as possible go to a neighbour, then the metres count
KEPT_FARTHER = 3  # of the candidates behind the chosen one
EARTH_M = 6_371_008.8  # mean radius (IUGG)
# A sphere of that radius measures a distance on the WGS 84 ellipsoid at most 0.56 % too long or too short.
OBLATENESS = 0.0057

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

DEEPEST = len(Level)  # regions in a chain at the most

NOWHERE = -1  # the id of no region
# The reasons of `Lost` in the order in which they are tried, by number; 0 speaks for the candidate.
REASONS = ("", *map(str, Lost))
QUOTED = [f'"{one}"' for one in REASONS]
BEYOND_REACH, PAUSED, SHUT, TOO_LARGE, OTHER_NETWORK, FULL, FARTHER = range(1, len(REASONS))


@dataclass(frozen=True)
class Asked:
    """Demands as columns. `chain` has five, deepest region first, filled up with 0; `wanted` is 0 for none."""

    keys: Ints
    lat: Floats
    lon: Floats
    size: Ints
    parcels: Ints
    chain: Ints
    wanted: Ints

    @classmethod
    def of(cls, demands: Sequence[Demand]) -> Asked:
        chain = np.zeros((len(demands), DEEPEST), np.int64)
        for row, demand in enumerate(demands):
            chain[row, : len(demand.chain)] = demand.chain
        return cls(
            np.array([one.key for one in demands], np.int64),
            np.array([one.lat for one in demands], np.float64),
            np.array([one.lon for one in demands], np.float64),
            np.array([one.size for one in demands], np.int64),
            np.array([one.parcels for one in demands], np.int64),
            chain,
            np.array([one.wanted_point or 0 for one in demands], np.int64),
        )

    def only(self, rows: Bools | Ints) -> Asked:
        return Asked(*(getattr(self, field.name)[rows] for field in fields(self)))

    def demands(self) -> list[Demand]:
        columns = (self.keys, self.lat, self.lon, self.size, self.parcels, self.chain, self.wanted)
        return [
            Demand(key, lat, lon, size, parcels, [region for region in chain if region], wanted or None)
            for key, lat, lon, size, parcels, chain, wanted in zip(*(one.tolist() for one in columns), strict=True)
        ]


@dataclass(frozen=True)
class Plan:
    """What was chosen for each demand: the point, 0 for none, its metres, whether it only helps out, and the reasons
    as they are stored, for the rows asked for.
    """

    point: Ints
    metres: Floats
    overflow: Bools
    told: Callable[[Ints], list[str]]


def plan(asked: Asked, *, at: datetime, held_at: HeldAt) -> Plan:
    """Choose a point for each demand, never more parcels than a point has room for.

    As many demands as possible get a point; among all ways to do that, the total distance is within a rounding of the
    smallest. No demand could move to a nearer available point. A demand sees its nearest 256 active points at most.
    """
    many = asked.wanted == 0
    if many.sum() < FEW:
        return _one_by_one(asked, at=at, held_at=held_at)
    # Who asks for a point by name comes first: nobody else may take the place they asked for.
    named = _one_by_one(asked.only(~many), at=at, held_at=held_at)
    taken = np.bincount(named.point, asked.parcels[~many]) if len(named.point) else np.zeros(1)
    rest = asked.only(many)
    matched = _Match(rest, at=at, held_at=held_at, taken=taken.astype(np.int64)).run()
    return _woven(many, matched, named)


def _woven(many: Bools, matched: Plan, named: Plan) -> Plan:
    if many.all():
        return matched
    point, metres, overflow = np.zeros(len(many), np.int64), np.zeros(len(many)), np.zeros(len(many), np.bool_)
    for rows, part in ((many, matched), (~many, named)):
        point[rows], metres[rows], overflow[rows] = part.point, part.metres, part.overflow
    number = np.where(many, np.cumsum(many), np.cumsum(~many)) - 1  # of each row in its own part

    def told(rows: Ints) -> list[str]:
        words = {False: iter(named.told(number[rows[~many[rows]]])), True: iter(matched.told(number[rows[many[rows]]]))}
        return [next(words[one]) for one in many[rows].tolist()]

    return Plan(point, metres, overflow, told)


def _one_by_one(asked: Asked, *, at: datetime, held_at: HeldAt) -> Plan:
    choices = assignment.assign(asked.demands(), at=at, held_at=held_at)
    chosen = [choices[key] for key in asked.keys.tolist()]
    return Plan(
        np.array([one.point_id or 0 for one in chosen], np.int64),
        np.array([one.distance_m for one in chosen], np.float64),
        np.array([one.overflow for one in chosen], np.bool_),
        lambda rows: [chosen[row].told() for row in rows.tolist()],
    )


ARRAY_HEADER = 20  # bytes before the elements of an array on the wire; each has its length before it


def columns(select: sql.Composed, count: int) -> list[Floats]:
    """Return the columns of a query whose rows are an array of float8, `cells`, without nulls, by the first of them.

    All rows come in one value, because each one by itself takes fifty times as long. They are ordered here, because
    ordering whole rows there takes as long as reading them.
    """
    statement = sql.SQL("SELECT string_agg(array_send(cells), '') FROM ({}) rows").format(select)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '60s'")  # a million points are read in one
        whole = psycopg.Cursor(connection.connection)  # Django's own speaks text only
        [answer] = whole.execute(statement, binary=True).fetchone() or [None]
    cells = [(f"{number}{part}", kind) for number in range(count) for part, kind in ((" length", ">i4"), ("", ">f8"))]
    rows = np.frombuffer(answer or b"", np.dtype([("header", f"V{ARRAY_HEADER}"), *cells]))
    order = np.argsort(rows["0"])
    return [rows[str(number)].astype(np.float64)[order] for number in range(count)]


POINTS = """
    SELECT ARRAY[p.id, ST_Y(p.location), ST_X(p.location), p.reach_m, p.largest_size, p.capacity,
                 CASE WHEN p.id IN (SELECT service_point_id FROM network_pause WHERE period @> {at}) THEN {paused}
                      WHEN p.opening_hours = ANY ({shut}) THEN {closed} ELSE 0 END {chain}]::float8[] AS cells
    FROM network_servicepoint p
    WHERE p.status = 'active' AND p.location && ST_MakeEnvelope({west}, {south}, {east}, {north}, 4326)
"""


def chain_cells(of: str) -> sql.SQL:
    """The regions of an array as cells, deepest first, 0 for none."""
    return sql.SQL("".join(f", COALESCE({of}[{place}], 0)" for place in range(1, DEEPEST + 1)))


@dataclass(frozen=True)
class _Points:
    ids: Ints
    lat: Floats
    lon: Floats
    reach_m: Floats
    largest: Ints
    capacity: Ints
    closed: Ints  # the number of a reason, 0 if open
    chain: Ints  # as that of a demand; no columns if nobody asks for a region

    @classmethod
    def around(cls, asked: Asked, *, at: datetime, chains: bool) -> _Points:
        """Read the active points that may reach one of the places, with their regions if these matter."""
        reach_m = ServicePoint.objects.filter(status="active").aggregate(most=Max("reach_m"))["most"] or 0
        north = reach_m / assignment.METRES_PER_DEGREE
        nearest_to_a_pole = min(89.9, float(np.abs(asked.lat).max()) + north)
        east = min(360.0, north / np.cos(np.radians(nearest_to_a_pole)))
        hours = ServicePoint.objects.filter(status="active").exclude(opening_hours="")
        shut = [one for one in hours.values_list("opening_hours", flat=True).distinct() if assignment.is_shut(one, at)]
        statement = sql.SQL(POINTS).format(
            at=sql.Literal(at),
            shut=sql.Literal(shut),
            paused=sql.Literal(PAUSED),
            closed=sql.Literal(SHUT),
            west=sql.Literal(float(asked.lon.min() - east)),
            east=sql.Literal(float(asked.lon.max() + east)),
            south=sql.Literal(float(max(-90.0, asked.lat.min() - north))),
            north=sql.Literal(float(min(90.0, asked.lat.max() + north))),
            chain=chain_cells("p.region_ids") if chains else sql.SQL(""),
        )
        column = columns(statement, 7 + (DEEPEST if chains else 0))
        whole = [one.astype(np.int64) for one in column]
        chain = np.stack(whole[7:], axis=1) if chains else np.zeros((len(whole[0]), 0), np.int64)
        return cls(whole[0], column[1], column[2], column[3], whole[4], whole[5], whole[6], chain)


@dataclass(frozen=True)
class _Edges:
    """Who sees which point, ordered by demand and cost; `reason` is what the point lost by.

    The cost is metres; OVERFLOW_M are added where the demand's region sends its addresses in need only.
    """

    row: Ints
    point: Ints
    metres: Floats
    cost: Floats
    reason: Ints

    @classmethod
    def none(cls) -> _Edges:
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, np.zeros(0), np.zeros(0), nothing)

    def only(self, chosen: Bools | Ints) -> _Edges:
        return _Edges(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def merged(self, others: _Edges) -> _Edges:
        both = _Edges(
            *(np.concatenate([getattr(self, field.name), getattr(others, field.name)]) for field in fields(self))
        )
        return both.in_order()

    def in_order(self) -> _Edges:
        """By demand, then cost, at the same cost the lower id. Few are not when they come from the tree: those move."""
        row, cost = self.row, self.cost
        step = np.diff(row)
        if (step < 0).any():
            return self.only(np.lexsort((self.point, cost, row)))
        mixed = np.zeros(row.max(initial=-1) + 1, np.bool_)
        mixed[row[1:][(step == 0) & (np.diff(cost) <= 0)]] = True
        some, order = np.flatnonzero(mixed[row]), np.arange(len(row))
        order[some] = some[np.lexsort((self.point[some], cost[some], row[some]))]
        return self.only(order) if len(some) else self


class _Match:
    """One batch. `chosen` is the number of the edge that each row took, -1 for none; `room` is what is left then."""

    def __init__(self, asked: Asked, *, at: datetime, held_at: HeldAt, taken: Ints) -> None:
        from scipy.spatial import cKDTree  # a third of a second that only a batch pays

        self.network, self.overflow = _rules(asked)
        points = _Points.around(asked, at=at, chains=bool(self.network.any()))
        self.asked, self.points = asked, points
        self.held_at, self.taken = held_at, taken
        self.tree = cKDTree(_on_the_sphere(points.lat, points.lon))
        self.places = _on_the_sphere(asked.lat, asked.lon)
        self.farthest_m = float(points.reach_m.max(initial=0.0))
        self.look = np.zeros(len(asked.keys), np.int64)
        self.seen_m = np.zeros(len(asked.keys))
        self.edges = _Edges.none()
        self.counted = np.zeros(len(points.ids), np.bool_)
        self.free = points.capacity.copy()
        self.room, self.chosen = self.free, np.full(len(asked.keys), -1, np.int64)

    def run(self) -> Plan:
        if len(self.points.ids):
            self._look_around(np.arange(len(self.asked.keys)), LOOKS[0])
            while len(rows := self._contested()):
                self._look_around(rows, SHARED)
            self._share_out()
            for look in LOOKS[1:]:
                if len(unsure := self._unsure(look)):
                    self._look_around(unsure, look)
                    self._share_out()
        return self._told()

    def _look_around(self, rows: Ints, look: int) -> None:
        """See the nearest active points of these rows, as many as asked for, whatever speaks against them."""
        bound = float(2 * np.sin(min(np.pi, self.farthest_m * (1 + OBLATENESS) / EARTH_M) / 2))
        look = min(look, len(self.points.ids))
        chords, found = self.tree.query(
            self.places[rows], k=np.arange(1, look + 1), distance_upper_bound=bound, workers=-1
        )
        last = chords[:, -1]
        self.look[rows] = look
        self.seen_m[rows] = np.inf
        cut = np.isfinite(last) & (look < len(self.points.ids))
        self.seen_m[rows[cut]] = 2 * EARTH_M * np.arcsin(last[cut] / 2) * (1 - OBLATENESS)

        seen = np.isfinite(chords)
        row, point = rows[np.nonzero(seen)[0]], found[seen].astype(np.int64)
        asked, points = self.asked, self.points
        metres = _metres(asked.lon[row], asked.lat[row], points.lon[point], points.lat[point])
        self._count(np.unique(point))
        tier = self._tier(row, point)
        reason = np.select(
            [
                metres > points.reach_m[point],
                points.closed[point] != 0,
                points.largest[point] < asked.size[row],
                tier == ELSEWHERE,
                self.free[point] < asked.parcels[row],
            ],
            [BEYOND_REACH, points.closed[point], TOO_LARGE, OTHER_NETWORK, FULL],
            0,
        )
        seen_now = _Edges(row, point, metres, metres + np.where(tier == NEIGHBOUR, OVERFLOW_M, 0.0), reason)
        if len(rows) == len(asked.keys):
            self.edges = seen_now.in_order()
        else:
            self.edges = self.edges.only(~np.isin(self.edges.row, rows)).merged(seen_now)

    def _tier(self, row: Ints, point: Ints) -> Ints:
        """Whether a point is of the network that serves the demand, or of its neighbours."""
        network, overflow, chain = self.network[row], self.overflow[row], self.points.chain[point]
        own = (network == 0) | (chain == network[:, None]).any(axis=1)
        neighbour = (overflow == 0) | (chain == overflow[:, None]).any(axis=1)
        return np.where(own, OWN, np.where(neighbour, NEIGHBOUR, ELSEWHERE))

    def _count(self, points: Ints) -> None:
        """Learn how much room the points have that were not asked before."""
        new = points[~self.counted[points]]
        ids = self.points.ids[new].tolist()
        held = self.held_at(ids)
        self.free[new] -= np.array([held.get(one, 0) for one in ids], np.int64)
        known = new[self.points.ids[new] < len(self.taken)]
        self.free[known] -= self.taken[self.points.ids[known]]
        self.counted[new] = True

    def _unsure(self, look: int) -> Ints:
        """Return the rows for which a point not seen yet might be nearer, or might be the only one with room."""
        own = self._own_cost(OVERFLOW_M)
        lost = own >= OVERFLOW_M
        unsure = (self.seen_m < np.minimum(own, self.farthest_m)) & (self.look < look)
        if look < LOOKS[-1] and (lost & unsure).any():
            # Somebody who has a place may have to make room for them, and needs to see where to go.
            part = self._parts(self.edges.only(self.edges.reason == 0))
            crowded = np.isin(part, part[lost & unsure & (part >= 0)]) & np.isfinite(self.seen_m)
            if (crowded | unsure).sum() * look + len(self.edges.row) <= MOST_ARCS:
                unsure |= crowded & (self.look < look)
        return np.flatnonzero(unsure)

    def _own_cost(self, lost: float) -> Floats:
        """Return what each row's point costs, and so much where it has none."""
        own = np.full(len(self.chosen), lost)
        served = self.chosen >= 0
        own[served] = self.edges.cost[self.chosen[served]]
        return own

    def _parts(self, edges: _Edges) -> Ints:
        """Return for each row the number of the part that it is connected to by points it may take, -1 for none."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        rows = len(self.asked.keys)
        size = rows + len(self.points.ids)
        graph = coo_array((np.ones(len(edges.row), np.int8), (edges.row, rows + edges.point)), shape=(size, size))
        part = connected_components(graph, directed=False)[1][:rows].astype(np.int64)
        alone = np.ones(rows, np.bool_)
        alone[edges.row] = False
        part[alone] = -1
        numbered: Ints = part
        return numbered

    def _contested(self) -> Ints:
        """Return who may have to share a point and has not seen enough others yet."""
        rows = np.unique(self._take_certain()[1].row)
        return rows[(self.look[rows] < SHARED) & np.isfinite(self.seen_m[rows])]

    def _take_certain(self) -> tuple[Ints, _Edges]:
        """Begin anew: who is in nobody's way takes the nearest point. Returns the edges of all others."""
        self.room = self.free.copy()
        self.chosen = np.full(len(self.asked.keys), -1, np.int64)
        number = np.flatnonzero(self.edges.reason == 0)
        edges = self.edges.only(number)
        while len(number):
            first = np.unique(edges.row, return_index=True)[1]
            load = self._load(edges.point[first], edges.row[first])
            if (load <= self.room).all():
                self._take(number[first])
                return number[:0], edges.only(number[:0])
            # A point that has room for everybody who may take it is a certain one for whom it is nearest.
            potential = self._load(edges.point, edges.row)
            certain = first[(potential <= self.room)[edges.point[first]]]
            if not len(certain):
                break
            self._take(number[certain])
            rest = ~np.isin(edges.row, edges.row[certain])
            number, edges = number[rest], edges.only(rest)
        return number, edges

    def _share_out(self) -> None:
        """Give every row its point: the nearest one, but where more want a point than it has room for, the optimum."""
        number, edges = self._take_certain()
        if len(number):
            self._share_out_parts(number, edges)
        self._come_nearer()

    def _load(self, point: Ints, row: Ints) -> Ints:
        return np.bincount(point, self.asked.parcels[row], len(self.points.ids)).astype(np.int64)

    def _take(self, number: Ints) -> None:
        row, point = self.edges.row[number], self.edges.point[number]
        self.chosen[row] = number
        np.subtract.at(self.room, point, self.asked.parcels[row])

    def _share_out_parts(self, number: Ints, edges: _Edges) -> None:
        part = self._parts(edges)[edges.row]
        order = np.argsort(part, kind="stable")
        cuts = np.flatnonzero(np.diff(part[order])) + 1
        for some in np.split(order, cuts):
            own = edges.only(some)
            first = np.unique(own.row, return_index=True)[1]
            if len(some) > MOST_ARCS:
                self._take_in_turn(number[some], own)
            elif self._fits(own.point[first], own.row[first]):
                self._take(number[some][first])
            else:
                self._take(number[some][self._flow(own)])

    def _fits(self, point: Ints, row: Ints) -> bool:
        wanted, inverse = np.unique(point, return_inverse=True)
        return bool((np.bincount(inverse, self.asked.parcels[row]) <= self.room[wanted]).all())

    def _take_in_turn(self, number: Ints, edges: _Edges) -> None:
        """A part too large for one flow: each row in its turn takes the nearest point that still has room."""
        served: set[int] = set()
        for one, row, point in zip(number.tolist(), edges.row.tolist(), edges.point.tolist(), strict=True):
            if row not in served and self.room[point] >= self.asked.parcels[row]:
                served.add(row)
                self.chosen[row] = one
                self.room[point] -= self.asked.parcels[row]

    def _flow(self, edges: _Edges) -> Ints:
        """Return the edges of the cheapest way to serve as many as possible. Who was split between points has none."""
        from ortools.graph.python import min_cost_flow

        rows, row = np.unique(edges.row, return_inverse=True)
        points, point = np.unique(edges.point, return_inverse=True)
        parcels, most = self.asked.parcels[rows], self.room[points]
        # Nodes: the rows, then the points, then the place where everything ends. Costs are millimetres a parcel.
        source, at, end = np.arange(len(rows)), len(rows) + np.arange(len(points)), len(rows) + len(points)
        solver = min_cost_flow.SimpleMinCostFlow()
        arcs = solver.add_arcs_with_capacity_and_unit_cost(
            row, len(rows) + point, parcels[row], (edges.cost * 1000 / parcels[row]).astype(np.int64)
        )
        solver.add_arcs_with_capacity_and_unit_cost(
            at, np.full(len(points), end), most, np.zeros(len(points), np.int64)
        )
        solver.set_nodes_supplies(source, parcels)
        solver.set_nodes_supplies(np.array([end]), np.array([-parcels.sum()]))
        if solver.solve_max_flow_with_min_cost() != solver.OPTIMAL:
            raise RuntimeError("the flow has a solution by construction: nothing moves")
        return np.flatnonzero(solver.flows(arcs) == parcels[row])

    def _come_nearer(self) -> None:
        """Serve who is left over and move who could be nearer while there is room: a flow splits orders, we do not."""
        edges = self.edges
        while True:
            better = (edges.reason == 0) & (edges.cost < self._own_cost(np.inf)[edges.row])
            better &= self.room[edges.point] >= self.asked.parcels[edges.row]
            if not better.any():
                return
            moved: set[int] = set()
            for number in np.flatnonzero(better).tolist():
                row, point = int(edges.row[number]), int(edges.point[number])
                parcels = int(self.asked.parcels[row])
                if row in moved or self.room[point] < parcels:
                    continue
                moved.add(row)
                if self.chosen[row] >= 0:
                    self.room[edges.point[self.chosen[row]]] += parcels
                self.chosen[row] = number
                self.room[point] -= parcels

    def _told(self) -> Plan:
        """What became of each row, and what its candidates lost by: the nearer ones and the next few."""
        edges, served = self.edges, self.chosen >= 0
        place, own = np.arange(len(edges.row)), self.chosen[edges.row]
        needless = (edges.cost >= OVERFLOW_M) & (own >= 0) & (edges.cost[own] < OVERFLOW_M)
        later = np.where(needless, OTHER_NETWORK, FARTHER)
        reason = np.where(edges.reason != 0, edges.reason, np.where((own < 0) | (place < own), FULL, later))
        reason[self.chosen[served]] = 0
        point, cost, metres = np.zeros(len(served), np.int64), np.zeros(len(served)), np.zeros(len(served))
        taken = self.chosen[served]
        point[served], cost[served] = self.points.ids[edges.point[taken]], edges.cost[taken]
        metres[served] = edges.metres[taken]
        return Plan(point, metres, cost >= OVERFLOW_M, self._words(reason, own == place))

    def _words(self, reason: Ints, chosen: Bools) -> Callable[[Ints], list[str]]:
        edges = self.edges
        order = np.lexsort((edges.point, edges.metres, edges.row)) if (edges.cost >= OVERFLOW_M).any() else slice(None)
        row, metres, reason, chosen = edges.row[order], np.round(edges.metres[order], 1), reason[order], chosen[order]
        point = self.points.ids[edges.point[order]]
        begin = np.searchsorted(row, np.arange(len(self.asked.keys) + 1))
        place = np.arange(len(row)) - begin[row]
        last = np.full(len(self.asked.keys), assignment.KEPT)
        last[row[chosen]] = place[chosen] + KEPT_FARTHER
        kept = chosen | ((place <= last[row]) & (place < assignment.KEPT))

        def told(rows: Ints) -> list[str]:
            number = begin[rows + 1] - begin[rows]
            ends = np.cumsum(number)
            some = np.repeat(begin[rows] + number - ends, number) + np.arange(ends[-1] if len(ends) else 0)
            ends = np.cumsum(kept[some])[ends - 1] if len(some) else ends
            some = some[kept[some]]
            columns = (point[some].tolist(), metres[some].tolist(), reason[some].tolist())
            words = [f"[{one},{far},{QUOTED[why]}]" for one, far, why in zip(*columns, strict=True)]
            return [f"[{','.join(words[start:end])}]" for start, end in pairwise([0, *ends.tolist()])]

        return told


def _rules(asked: Asked) -> tuple[Ints, Ints]:
    """Return the region within which each demand must be served, 0 for anywhere, and the one that may help out."""
    network = np.zeros(len(asked.keys), np.int64)
    overflow = np.full(len(asked.keys), NOWHERE)
    rules = assignment.rules_of(np.unique(asked.chain).tolist())
    if rules:
        concerned = np.flatnonzero(np.isin(asked.chain, list(rules)).any(axis=1))
        for row, chain in zip(concerned.tolist(), asked.chain[concerned].tolist(), strict=True):
            served = assignment.served_by([region for region in chain if region], rules)
            if served is not None:
                network[row] = served.network
                overflow[row] = NOWHERE if served.overflow is None else served.overflow
    return network, overflow


def _on_the_sphere(lat: Floats, lon: Floats) -> Floats:
    """Return the places as points on the unit sphere, one row each: chords order them as great circles do."""
    phi, lam = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)


def _metres(*ends: Floats) -> Floats:
    """Return the metres on the ellipsoid from (lon, lat) to (lon, lat); on all cores, as the tree is searched."""
    from pyproj import Geod

    cores = os.cpu_count() or 1
    parts = zip(*(np.array_split(end, cores) for end in ends), strict=True)
    with ThreadPoolExecutor(cores) as pool:
        return np.concatenate(list(pool.map(lambda part: Geod(ellps="WGS84").inv(*part)[2], parts)))
