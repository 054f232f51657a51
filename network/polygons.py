"""Polygons before they become boundaries: what is no polygon, what area is shared, what lies outside.

Pure geometry in WGS 84 degrees, longitude first, by GEOS and numpy. Nothing is ever repaired. The limits were
measured; see docs/decisions/0003-boundaries-and-slivers.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import shapely
from django.utils.translation import gettext as _
from numpy.typing import NDArray

MAX_VERTICES = 100_000  # of one boundary; Inner Mongolia, the longest of China, has 50,413
MAX_TANGLE = 10_000_000  # pairs of edges; see `tangle`. China's most tangled, Zhejiang, has 619,010
SLIVER_M2, SLIVER_SHARE = 1_000.0, 0.01  # as in boundary_sliver_limit_m2 of the database

EQUATOR_M, ECCENTRICITY_SQUARED = 6_378_137.0, 0.006_694_379_990_14  # WGS 84
MEAN_RADIUS_M = 6_371_008.8

Geometry = Any  # shapely brings no types
Degrees = NDArray[np.float64]  # a row of longitude and latitude for each vertex
Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much (0: unknown)
Item = TypeVar("Item")
Result = TypeVar("Result")


def fault(geom: Geometry | None) -> str:
    """Say why a geometry is no boundary; nothing if it is one. The cheap tests come first and bound the dear ones."""
    if geom is None or geom.is_empty:
        return _("no geometry")
    if geom.geom_type not in ("Polygon", "MultiPolygon"):
        return _("a %s, not a polygon") % str(geom.geom_type)
    vertices = int(shapely.get_num_coordinates(geom))
    if vertices > MAX_VERTICES:
        return _("%(count)s vertices, more than %(most)s") % {"count": vertices, "most": MAX_VERTICES}
    if shapely.is_empty(shapely.get_parts(geom)).any():
        return _("one of its polygons is empty")
    degrees = shapely.get_coordinates(geom)
    if not np.isfinite(degrees).all():
        return _("a coordinate is not a finite number")
    beyond = (np.abs(degrees) > (180.0, 90.0)).any(axis=1)
    if beyond.any():
        longitude, latitude = degrees[beyond][0]
        return _("longitude %(lon)s, latitude %(lat)s is not on the globe") % {
            "lon": longitude,
            "lat": latitude,
        }
    if tangle(degrees) > MAX_TANGLE:
        return _("too tangled to be tested: its edges lie across each other")
    if not shapely.is_valid(geom):
        return _invalid(shapely.is_valid_reason(geom))
    return ""


def _invalid(reason: str) -> str:
    """GEOS says `Self-intersection[113.9 22.5]`; the place is longitude and latitude."""
    what, _bracket, place = reason.partition("[")
    if not place:
        return _("not a valid polygon: %s") % what
    return _("not a valid polygon: %(what)s at %(place)s") % {
        "what": what.strip(),
        "place": place.rstrip("]"),
    }


def tangle(degrees: Degrees) -> int:
    """Return at most how many pairs of edges have boxes that meet: what a test of validity may have to look at.

    Counted along each axis alone, where two sorted lists are enough, and the smaller count taken. Real borders wind
    in small steps; a comb of long diagonal teeth has all pairs, and a test of it takes minutes.
    """
    start, end = degrees[:-1], degrees[1:]
    edges = len(start)
    low, high = np.sort(np.minimum(start, end), axis=0), np.sort(np.maximum(start, end), axis=0)
    begun_by_the_end = [int(np.searchsorted(low[:, axis], high[:, axis], side="right").sum()) for axis in (0, 1)]
    return min(begun_by_the_end) - edges * (edges + 1) // 2


def as_stored(geom: Geometry) -> Geometry:
    """A MultiPolygon without heights, which are not borders."""
    flat = shapely.force_2d(geom)
    return shapely.multipolygons([flat]) if flat.geom_type == "Polygon" else flat


def area_m2(geom: Geometry) -> float:
    """Return the area on the WGS 84 ellipsoid, by the equal-area cylinder (Snyder 1987, formula 3-12)."""
    return float(shapely.area(shapely.transform(geom, _on_cylinder)))


def _on_cylinder(degrees: Degrees) -> Degrees:
    e = np.sqrt(ECCENTRICITY_SQUARED)
    sine = np.sin(np.radians(degrees[:, 1]))
    q = (1 - e**2) * (sine / (1 - e**2 * sine**2) + np.arctanh(e * sine) / e)
    return np.column_stack([EQUATOR_M * np.radians(degrees[:, 0]), EQUATOR_M * q / 2])


def point_inside(geom: Geometry) -> tuple[Geometry, float]:
    """Return a point surely inside and the metres from it to the farthest vertex (within a thousandth)."""
    point = shapely.point_on_surface(geom)
    here = _in_space(shapely.get_coordinates(point))
    chord_m = np.linalg.norm(_in_space(shapely.get_coordinates(geom)) - here, axis=1).max()
    return point, float(2 * MEAN_RADIUS_M * np.arcsin(min(1.0, chord_m / (2 * MEAN_RADIUS_M))))


def _in_space(degrees: Degrees) -> NDArray[np.float64]:
    """Metres from the Earth's centre along three axes."""
    longitude, latitude = np.radians(degrees).T
    normal = EQUATOR_M / np.sqrt(1 - ECCENTRICITY_SQUARED * np.sin(latitude) ** 2)
    across = normal * np.cos(latitude)
    up = normal * (1 - ECCENTRICITY_SQUARED) * np.sin(latitude)
    return np.column_stack([across * np.cos(longitude), across * np.sin(longitude), up])


def shares_outside(families: Sequence[tuple[Geometry, list[Geometry]]], progress: Progress) -> list[list[float]]:
    """Return for each (parent, children) the share of each child's area that lies outside the parent."""
    # One thread per parent: a prepared geometry must not be asked from two.
    return _in_threads(_shares_outside, families, 1, progress, _("comparing with parents"))


def _shares_outside(families: Sequence[tuple[Geometry, list[Geometry]]]) -> list[list[float]]:
    shares = []
    for parent, children in families:
        shapely.prepare(parent)
        covered = shapely.covers(parent, children)
        shapely.destroy_prepared(parent)
        shares.append(
            [
                0.0 if inside else area_m2(shapely.difference(child, parent)) / area_m2(child)
                for child, inside in zip(children, covered, strict=True)
            ]
        )
    return shares


def overlaps(geoms: Sequence[Geometry], asked: int, progress: Progress) -> list[tuple[int, int, float]]:
    """Return (first, second, m²) for each pair that shares more than a sliver; the first is one of the first `asked`.

    Touching is not sharing. What counts as a sliver also depends on the smaller of the two.
    """
    if not asked:
        return []
    array = np.array(geoms, dtype=object)
    first, second = shapely.STRtree(array).query(array[:asked])
    once = first < second
    pairs = np.column_stack([first[once], second[once]])
    areas = _in_threads(
        lambda some: _shared_m2(array[some[:, 0]], array[some[:, 1]]),
        pairs,
        32,
        progress,
        _("comparing with neighbours"),
    )
    return sorted((int(i), int(j), area) for (i, j), area in zip(pairs, areas, strict=True) if area > 0)


def _shared_m2(left: NDArray[Any], right: NDArray[Any]) -> list[float]:
    """Return the area that two geometries share, or 0 if it is a sliver."""
    areas = []
    for one, other, sharing in zip(left, right, shapely.relate_pattern(left, right, "2********"), strict=True):
        shared_m2 = area_m2(shapely.intersection(one, other)) if sharing else 0.0
        limit_m2 = min(SLIVER_M2, SLIVER_SHARE * min(area_m2(one), area_m2(other))) if sharing else 0.0
        areas.append(shared_m2 if shared_m2 > limit_m2 else 0.0)
    return areas


def _in_threads(
    work: Callable[[Any], list[Result]],
    items: Sequence[Item] | NDArray[Any],
    size: int,
    progress: Progress,
    step: str,
) -> list[Result]:
    """Work on slices of the items in as many threads as there are processors: GEOS lets go of Python's lock."""
    results: list[Result] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for some in pool.map(work, (items[start : start + size] for start in range(0, len(items), size))):
            results.extend(some)
            progress(step, len(results), len(items))
    return results
