"""Many addresses at once: the service points that serve them with the fewest metres in all (R3).

Where no point is wanted by more parcels than it has room for, everybody gets the nearest one. Where they compete, the
total distance is made as small as it can be by a minimum-cost flow, each connected part of the network apart. Whoever
comes alone, or asks for a point by name, takes the nearest available one at once (`network.assignment`).

Rows are demands, columns their candidates, nearest first. All arrays of one length belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction
from django.db.models import Max
from psycopg import sql

from network import assignment
from network.assignment import Choice, Demand, HeldAt, Lost
from network.models import ServicePoint

FEW = 200  # below this, asking the index for each address is faster than reading the points
LOOKS = (16, 64, 256)
MOST_ARCS = 8_000_000  # of one flow, about a gigabyte
KEPT_FARTHER = 3  # of the candidates behind the chosen one
EARTH_M = 6_371_008.8  # mean radius (IUGG)
# A sphere of that radius measures a distance on the WGS 84 ellipsoid at most 0.56 % too long or too short.
OBLATENESS = 0.0057

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

# The reasons of `Lost` in the order in which they are tried, by number; 0 speaks for the candidate.
REASONS = ("", *map(str, Lost))
BEYOND_REACH, PAUSED, SHUT, TOO_LARGE, OTHER_NETWORK, FULL, FARTHER = range(1, len(REASONS))


def assign(demands: Sequence[Demand], *, at: datetime, held_at: HeldAt) -> dict[int, Choice]:
    """Choose a point for each demand, never more parcels than a point has room for.

    As many demands as possible get a point; among all ways to do that, the total distance is within a rounding of the
    smallest. No demand could move to a nearer available point. A demand sees its nearest 256 active points at most.
    """
    many = [demand for demand in demands if demand.wanted_point is None]
    if len(many) < FEW:
        return assignment.assign(demands, at=at, held_at=held_at)
    # Who asks for a point by name comes first: nobody else may take the place they asked for.
    named = assignment.assign([one for one in demands if one.wanted_point is not None], at=at, held_at=held_at)
    taken: dict[int, int] = {}
    for demand in demands:
        choice = named.get(demand.key)
        if choice is not None and choice.point_id is not None:
            taken[choice.point_id] = taken.get(choice.point_id, 0) + demand.parcels
    asked = _Asked.of(many, assignment.networks([demand.chain for demand in many]))
    points = _Points.around(asked, at=at)
    return named | _Match(asked, points, held_at=held_at, taken=taken).run()


@dataclass(frozen=True)
class _Asked:
    keys: Ints
    lat: Floats
    lon: Floats
    size: Ints
    parcels: Ints
    network: Ints  # the region within which the point must lie; 0: anywhere

    @classmethod
    def of(cls, demands: Sequence[Demand], within: Mapping[int, int]) -> _Asked:
        return cls(
            np.array([one.key for one in demands], np.int64),
            np.array([one.lat for one in demands], np.float64),
            np.array([one.lon for one in demands], np.float64),
            np.array([one.size for one in demands], np.int64),
            np.array([one.parcels for one in demands], np.int64),
            np.array([assignment.network_of(one, within) or 0 for one in demands], np.int64),
        )


# All columns are eight bytes wide, so that the answer is one array. A point lies in at most five regions, root last.
POINTS = """
    COPY (
        SELECT p.id::float8, ST_Y(p.location), ST_X(p.location), p.reach_m::float8, p.largest_size::float8,
               p.capacity::float8,
               (CASE WHEN p.id IN (SELECT service_point_id FROM network_pause WHERE period @> {at}) THEN {paused}
                     WHEN p.opening_hours = ANY ({shut}) THEN {closed} ELSE 0 END)::float8,
               COALESCE(p.region_ids[1], 0)::float8, COALESCE(p.region_ids[2], 0)::float8,
               COALESCE(p.region_ids[3], 0)::float8, COALESCE(p.region_ids[4], 0)::float8,
               COALESCE(p.region_ids[5], 0)::float8
        FROM network_servicepoint p
        WHERE p.status = 'active' AND p.location && ST_MakeEnvelope({west}, {south}, {east}, {north}, 4326)
    ) TO STDOUT (FORMAT BINARY)
"""
COLUMNS = 12
COPY_HEADER, COPY_TRAILER = 19, 2  # bytes around the rows (PostgreSQL, COPY, binary format)
ROW = np.dtype(
    [("columns", ">i2"), *((f"{n}{part}", kind) for n in range(COLUMNS) for part, kind in (("l", ">i4"), ("", ">f8")))]
)


@dataclass(frozen=True)
class _Points:
    ids: Ints
    lat: Floats
    lon: Floats
    reach_m: Floats
    largest: Ints
    capacity: Ints
    closed: Ints  # the number of a reason, 0 if open
    region_ids: Ints  # 5 columns

    @classmethod
    def around(cls, asked: _Asked, *, at: datetime) -> _Points:
        """Read the active points that may reach one of the places."""
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
        )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '60s'")  # a million points are read in one
            with cursor.copy(statement) as copy:
                answer = b"".join(copy)
        rows = np.frombuffer(memoryview(answer)[COPY_HEADER : len(answer) - COPY_TRAILER], ROW)
        rows = rows[np.argsort(rows["0"], kind="stable")]
        column = [rows[str(number)].astype(np.float64) for number in range(COLUMNS)]
        whole = [one.astype(np.int64) for one in column]
        return cls(whole[0], column[1], column[2], column[3], whole[4], whole[5], whole[6], np.stack(whole[7:], axis=1))


@dataclass(frozen=True)
class _Edges:
    """Who sees which point at how many metres, ordered by demand and distance; `reason` is what the point lost by."""

    row: Ints
    point: Ints
    metres: Floats
    reason: Ints

    def only(self, chosen: Bools | Ints) -> _Edges:
        return _Edges(self.row[chosen], self.point[chosen], self.metres[chosen], self.reason[chosen])


class _Match:
    """One batch. `chosen` is the number of the edge that each row took, -1 for none; `room` is what is left then."""

    def __init__(self, asked: _Asked, points: _Points, *, held_at: HeldAt, taken: Mapping[int, int]) -> None:
        from scipy.spatial import cKDTree  # a third of a second that only a batch pays

        self.asked, self.points = asked, points
        self.held_at, self.taken = held_at, taken
        self.tree = cKDTree(_on_the_sphere(points.lat, points.lon))
        self.places = _on_the_sphere(asked.lat, asked.lon)
        self.farthest_m = float(points.reach_m.max(initial=0.0))
        self.look = np.zeros(len(asked.keys), np.int64)
        self.seen_m = np.zeros(len(asked.keys))
        nothing = np.zeros(0, np.int64)
        self.edges = _Edges(nothing, nothing, np.zeros(0), nothing)
        self.counted = np.zeros(len(points.ids), np.bool_)
        self.free = points.capacity.copy()
        self.room, self.chosen = self.free, np.full(len(asked.keys), -1, np.int64)

    def run(self) -> dict[int, Choice]:
        if len(self.points.ids):
            self._look_around(np.arange(len(self.asked.keys)), LOOKS[0])
            self._share_out()
            for look in LOOKS[1:]:
                unsure = self._unsure(look)
                if not len(unsure):
                    break
                self._look_around(unsure, look)
                self._share_out()
        return self._told()

    def _look_around(self, rows: Ints, look: int) -> None:
        """See the nearest active points of these rows, as many as asked for, whatever speaks against them."""
        from pyproj import Geod

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
        metres = Geod(ellps="WGS84").inv(asked.lon[row], asked.lat[row], points.lon[point], points.lat[point])[2]
        self._count(np.unique(point))
        elsewhere = (asked.network[row] != 0) & (points.region_ids[point] != asked.network[row][:, None]).all(axis=1)
        reason = np.select(
            [
                metres > points.reach_m[point],
                points.closed[point] != 0,
                points.largest[point] < asked.size[row],
                elsewhere,
                self.free[point] < asked.parcels[row],
            ],
            [BEYOND_REACH, points.closed[point], TOO_LARGE, OTHER_NETWORK, FULL],
            0,
        )
        kept = self.edges.only(~np.isin(self.edges.row, rows))
        row, point, metres, reason = (
            np.concatenate(pair)
            for pair in zip((kept.row, kept.point, kept.metres, kept.reason), (row, point, metres, reason), strict=True)
        )
        order = np.lexsort((point, metres, row))  # of two at the same distance the one with the lower id
        self.edges = _Edges(row[order], point[order], metres[order], reason[order])

    def _count(self, points: Ints) -> None:
        """Learn how much room the points have that were not asked before."""
        new = points[~self.counted[points]]
        held = self.held_at(self.points.ids[new].tolist())
        ids = self.points.ids[new].tolist()
        self.free[new] -= np.array([held.get(one, 0) + self.taken.get(one, 0) for one in ids], np.int64)
        self.counted[new] = True

    def _unsure(self, look: int) -> Ints:
        """Return the rows for which a point not seen yet might be nearer, or might be the only one with room."""
        lost = self.chosen < 0
        unsure = (self.seen_m < self._own_m(lost_m=self.farthest_m)) & (self.look < look)
        if look < LOOKS[-1] and (lost & unsure).any():
            # Somebody who has a place may have to make room for them, and needs to see where to go.
            part = self._parts(self.edges.only(self.edges.reason == 0))
            crowded = np.isin(part, part[lost & unsure & (part >= 0)]) & np.isfinite(self.seen_m)
            if (crowded | unsure).sum() * look + len(self.edges.row) <= MOST_ARCS:
                unsure |= crowded & (self.look < look)
        return np.flatnonzero(unsure)

    def _own_m(self, *, lost_m: float) -> Floats:
        """Return how far each row has to its point, and so many metres where it has none."""
        own = np.full(len(self.chosen), lost_m)
        served = self.chosen >= 0
        own[served] = self.edges.metres[self.chosen[served]]
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

    def _share_out(self) -> None:
        """Give every row its point: the nearest one, but where more want a point than it has room for, the optimum."""
        self.room = self.free.copy()
        self.chosen = np.full(len(self.asked.keys), -1, np.int64)
        number = np.flatnonzero(self.edges.reason == 0)
        edges = self.edges.only(self.edges.reason == 0)
        while len(number):
            first = np.unique(edges.row, return_index=True)[1]
            load = self._load(edges.point[first], edges.row[first])
            if (load <= self.room).all():
                self._take(number[first])
                return
            # A point that has room for everybody who may take it is a certain one for whom it is nearest.
            potential = self._load(edges.point, edges.row)
            certain = first[(potential <= self.room)[edges.point[first]]]
            if not len(certain):
                break
            self._take(number[certain])
            rest = ~np.isin(edges.row, edges.row[certain])
            number, edges = number[rest], edges.only(rest)
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
            row, len(rows) + point, parcels[row], (edges.metres * 1000 / parcels[row]).astype(np.int64)
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
            better = (edges.reason == 0) & (edges.metres < self._own_m(lost_m=np.inf)[edges.row])
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

    def _told(self) -> dict[int, Choice]:
        """What became of each row, and what its candidates lost by: the nearer ones and the next few."""
        edges, served = self.edges, self.chosen >= 0
        place = np.arange(len(edges.row))
        own = self.chosen[edges.row]
        reason = np.where(edges.reason != 0, edges.reason, np.where((own < 0) | (place < own), FULL, FARTHER))
        reason[self.chosen[served]] = 0
        begin = np.searchsorted(edges.row, np.arange(len(self.asked.keys) + 1))
        told = list(
            zip(
                self.points.ids[edges.point].tolist(),
                np.round(edges.metres, 1).tolist(),
                [REASONS[one] for one in reason.tolist()],
                strict=True,
            )
        )
        choices: dict[int, Choice] = {}
        for key, mine, start, end in zip(
            self.asked.keys.tolist(), self.chosen.tolist(), begin[:-1].tolist(), begin[1:].tolist(), strict=True
        ):
            if mine < 0:
                choices[key] = Choice(None, 0.0, told[start : min(end, start + assignment.KEPT)])
                continue
            tried = told[start : min(end, mine + 1 + KEPT_FARTHER)]
            if len(tried) > assignment.KEPT:
                tried = [one for place, one in enumerate(tried) if place < assignment.KEPT or not one[2]]
            choices[key] = Choice(told[mine][0], float(edges.metres[mine]), tried)
        return choices


def _on_the_sphere(lat: Floats, lon: Floats) -> Floats:
    """Return the places as points on the unit sphere, one row each: chords order them as great circles do."""
    phi, lam = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)
