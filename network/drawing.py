"""What an editor does to polygons: split, merge, snap to neighbours, and what one has that another lacks.

Pure geometry in WGS 84 degrees, longitude first; metres are those of the plane that touches the Earth in the middle
of the shape. Shapes come in valid (`network.polygons.fault`), and what comes out is tested again by whoever stores it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from django.utils.translation import gettext as _
from shapely.ops import split as cut

from network import polygons
from network.polygons import Geometry

NOISE_M2 = 1.0  # of what two drawings of one line differ by
MAX_LINE = 10_000  # vertices of a line that splits
MAX_SNAPS = 200_000_000  # pairs of vertices that a snap may look at: about a second
SAME_M = 1e-6


class CannotDraw(Exception):
    """The shape cannot be made; `field` says by which of the values given."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(reason)
        self.field = field


def areas_of(geom: Geometry) -> list[Geometry]:
    """The polygons of whatever a difference or an intersection left, without its lines and points."""
    return [part for part in _flat(geom) if part.geom_type == "Polygon" and not part.is_empty]


def _flat(geom: Geometry) -> list[Geometry]:
    parts = list(shapely.get_parts(geom))
    return [one for part in parts for one in (_flat(part) if part.geom_type == "GeometryCollection" else _parts(part))]


def _parts(geom: Geometry) -> list[Geometry]:
    return list(shapely.get_parts(geom))


def whole(parts: Sequence[Geometry]) -> Geometry:
    """Polygons that share no area as one MultiPolygon, with borders in common dissolved."""
    return polygons.as_stored(shapely.union_all(list(parts)))


def is_noise(part: Geometry) -> bool:
    """Whether a polygon is no more than what two drawings of one line differ by.

    Measured in the plane of degrees, in which edges are straight: a vertex on a long edge makes a triangle without
    width, to which a measure on the globe gives a width.
    """
    _west, south, _east, north = shapely.bounds(part).tolist()
    across_m = 111_320.0 * np.cos(np.radians((south + north) / 2))
    return bool(shapely.area(part) * across_m * 110_574.0 < NOISE_M2)


def lacking(geom: Geometry, others: Sequence[Geometry]) -> list[Geometry]:
    """Return the parts of a polygon that no other covers, without the noise of two drawings of one line."""
    near = [other for other in others if shapely.intersects(geom, other)]
    rest = shapely.difference(geom, shapely.union_all(near)) if near else geom
    return [part for part in areas_of(rest) if not is_noise(part)]


def split(geom: Geometry, line: Geometry, keep: tuple[float, float] | None) -> tuple[Geometry, Geometry]:
    """Cut a region along a line into what keeps its name and what becomes another.

    What lies left of the line is one, what lies right of it the other, in however many parts a winding border leaves
    them. Islands that the line does not touch stay with the part that keeps the name: the one with the place
    `keep`, else the larger.
    """
    if shapely.get_num_coordinates(line) > MAX_LINE or not shapely.is_simple(line) or shapely.is_closed(line):
        raise CannotDraw(_("a line that neither crosses itself nor closes, of at most %s vertices") % MAX_LINE, "line")
    sides: dict[bool, list[Geometry]] = {True: [], False: []}
    untouched = []
    for part in shapely.get_parts(geom):
        pieces = areas_of(cut(part, line)) if shapely.intersects(part, line) else []
        if len(pieces) < 2:
            untouched.append(part)
            continue
        for piece in pieces:
            sides[_is_left(piece, line)].append(piece)
    if not sides[True] or not sides[False]:
        raise CannotDraw(_("the line does not cut the region in two: draw it from outside to outside"), "line")
    left, right = whole(sides[True]), whole(sides[False])
    if keep is None:
        stays_left = polygons.area_m2(left) >= polygons.area_m2(right)
    else:
        place = shapely.Point(keep)
        stays_left = shapely.distance(left, place) <= shapely.distance(right, place)
    kept, new = (left, right) if stays_left else (right, left)
    return (polygons.as_stored(shapely.union_all([kept, *untouched])) if untouched else kept), new


def _is_left(piece: Geometry, line: Geometry) -> bool:
    """A ring that runs anticlockwise has its inside on the left, so an edge along the line tells the side."""
    corners = shapely.get_coordinates(shapely.get_exterior_ring(shapely.orient_polygons(piece)))
    middles = shapely.points((corners[:-1] + corners[1:]) / 2)
    on_it = int(np.argmin(shapely.distance(middles, line)))
    start, end = shapely.line_locate_point(line, shapely.points(corners[on_it : on_it + 2]))
    return bool(end > start)


def merge(geoms: Sequence[Geometry], names: Sequence[str]) -> Geometry:
    """Make one region of neighbours. Raises CannotDraw where one of them has no border in common with the others."""
    reached, waiting = {0}, [0]
    while waiting:
        here = waiting.pop()
        for other in set(range(len(geoms))) - reached:
            if shapely.relate_pattern(geoms[here], geoms[other], "****1****") or shapely.relate_pattern(
                geoms[here], geoms[other], "2********"
            ):
                reached.add(other)
                waiting.append(other)
    apart = [names[number] for number in range(len(geoms)) if number not in reached]
    if apart:
        raise CannotDraw(_("no border in common: %s. Snap one to the other first") % ", ".join(apart), "codes")
    return whole(geoms)


def snap(geom: Geometry, neighbours: Sequence[Geometry], metres: float) -> Geometry:
    """Move the border onto the neighbours' where it is no farther from it than so many metres.

    Vertices move to the neighbours' vertices or else onto their edges, and the neighbours' vertices are taken into
    the edges that pass them; area still shared after that goes to the neighbours.
    """
    plane = _Plane(geom)
    mine = plane.flat(geom)
    near = [flat for flat in map(plane.flat, neighbours) if shapely.dwithin(flat, mine, metres)]
    if not near:
        return geom
    borders = shapely.union_all(shapely.boundary(near))
    corners = np.unique(shapely.get_coordinates(near), axis=0)
    ring = shapely.boundary(mine)
    shapely.prepare(ring)
    corners = corners[shapely.dwithin(ring, shapely.points(corners), metres)]
    if len(corners) * shapely.get_num_coordinates(mine) > MAX_SNAPS:
        raise CannotDraw(_("too many vertices to snap at once: snap by fewer metres"), "metres")
    moved = shapely.transform(mine, lambda places: _onto(places, borders, corners, metres))
    if len(corners):
        moved = shapely.snap(moved, shapely.multipoints(corners), metres)
    if not shapely.is_valid(moved):
        raise CannotDraw(_("snapped by so much it crosses itself: snap by fewer metres"), "metres")
    back = _exact(plane, moved, neighbours)
    shared = [other for other in neighbours if shapely.relate_pattern(back, other, "2********")]
    if shared:
        back = shapely.difference(back, shapely.union_all(shared))
    parts = [part for part in areas_of(back) if not is_noise(part)]
    if not parts:
        raise CannotDraw(_("nothing of it is left: snap by fewer metres"), "metres")
    return shapely.multipolygons(parts)


def _onto(places: Any, borders: Geometry, corners: Any, metres: float) -> Any:
    """Move what is near a border onto it: to a corner of it within reach, else to the nearest place of an edge."""
    points = shapely.points(places)
    near = shapely.dwithin(points, borders, metres)
    if not near.any():
        return places
    moved = places.copy()
    ways = shapely.shortest_line(points[near], borders)
    moved[near] = shapely.get_coordinates(shapely.get_point(ways, 1))
    if len(corners):
        tree = shapely.STRtree(shapely.points(corners))
        who, which = tree.query_nearest(points[near], max_distance=metres, all_matches=False)
        numbers = np.flatnonzero(near)[who]
        moved[numbers] = corners[which]
    return moved


def _exact(plane: _Plane, moved: Geometry, neighbours: Sequence[Geometry]) -> Geometry:
    """Back in degrees, with the very coordinates of the neighbours where it took theirs."""
    theirs = np.unique(shapely.get_coordinates(neighbours), axis=0)
    tree = shapely.STRtree(shapely.points(plane.onto(theirs)))
    places = shapely.get_coordinates(moved)
    who, which = tree.query_nearest(shapely.points(places), max_distance=SAME_M, all_matches=False)
    degrees = plane.back(places)
    degrees[who] = theirs[which]
    return shapely.set_coordinates(moved, degrees)


class _Plane:
    """Metres around the middle of a shape; good to a thousandth for shapes of a few hundred kilometres."""

    def __init__(self, geom: Geometry) -> None:
        west, south, east, north = shapely.bounds(geom)
        self.middle = np.array([(west + east) / 2, (south + north) / 2])
        across = max(0.01, float(np.cos(np.radians(self.middle[1]))))
        self.metres = np.array([111_320.0 * across, 110_574.0])

    def onto(self, degrees: Any) -> Any:
        return (degrees - self.middle) * self.metres

    def back(self, places: Any) -> Any:
        return places / self.metres + self.middle

    def flat(self, geom: Geometry) -> Geometry:
        return shapely.transform(geom, self.onto)
