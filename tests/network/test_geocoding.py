"""Names and coordinates held against each other: what several places share, what lies off the coast, what is vague."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils.timezone import now

from network import geocoding
from network.geocoding import Place, Query
from network.models import Level, Region, RegionAlias
from tests import factories
from tests.geocoder_server import GeocoderServer, Spot, serving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _tree() -> None:
    """Two cities that each have a 南山区, and a sea to the west."""
    shenzhen = factories.make_chain()[Level.CITY]
    factories.make_region("440304", "福田区", Level.DISTRICT, shenzhen, (114.0, 22.4, 114.2, 22.65))
    province = factories.make_region("230000", "黑龙江省", Level.PROVINCE, None, (125, 45, 135, 50))
    hegang = factories.make_region("230400", "鹤岗市", Level.CITY, province, (130, 47, 131, 48))
    factories.make_region("230404", "南山区", Level.DISTRICT, hegang, (130.2, 47.2, 130.4, 47.4))


def locate(text: str, lat: float | None = None, lon: float | None = None, **fields: Any) -> Place:
    return geocoding.locate([Query(text, fields.pop("city", ""), lat, lon)], at=now(), **fields)[0]


def code(place: Place) -> str:
    return Region.objects.get(pk=place.region_ids[0]).code


def test_coordinates_tell_which_of_two_places_is_meant() -> None:
    assert code(locate("南山区科苑路1号", 22.45, 113.85)) == "440305"
    assert code(locate("南山区红旗路1号", 47.3, 130.3)) == "230404"
    assert locate("南山区科苑路1号").review == "ambiguous_name"


def test_near_a_border_the_name_that_several_share_still_counts() -> None:
    place = locate("南山区科苑路1号", 22.45, 114.003)  # 300 m into the next district, to three digits
    assert place.review == "text_location_differ"
    place = locate("南山区科苑路1号", 22.45, 114.001)
    assert (code(place), place.review) == ("440305", "")


def test_coordinates_in_none_of_them_differ_from_the_text() -> None:
    place = locate("南山区科苑路1号", 22.5, 114.1)
    assert place.review == "text_location_differ"


def test_rounded_coordinates_off_the_coast_lie_in_the_district_that_is_named() -> None:
    place = locate("黑龙江省鹤岗市南山区", 49.999, 135.001)
    assert place.review == "outside_regions"
    factories.make_region("460000", "海南省", Level.PROVINCE, None, (108, 18, 111, 20))
    place = locate("海南省海边路1号", 19.0, 107.999)
    assert (code(place), place.review) == ("460000", "")
    assert locate("海边路1号", 19.0, 107.999).review == "outside_regions"
    assert locate("海南省海边路1号", 19.0, 107.9).review == "outside_regions"


def test_an_alias_that_an_administrator_writes_counts_at_once() -> None:
    region = Region.objects.get(code="440305")
    assert locate("深圳市大新区科苑路1号").review == "district_not_named"
    alias = RegionAlias.objects.create(region=region, name="大新区", kind="former")
    assert code(locate("深圳市大新区科苑路1号")) == "440305"
    alias.delete()
    assert locate("深圳市大新区科苑路1号").review == "district_not_named"


@pytest.fixture
def server(settings: Any) -> Iterator[GeocoderServer]:
    with serving(lambda words: Spot(22.45, 113.85)) as running:
        settings.GEOCODERS = f"amap={running.url}/?rate=1000&datum=wgs84"
        settings.GEOCODER_KEYS = {"amap": "k"}
        yield running


def test_the_middle_of_a_region_is_as_vague_as_the_region_is_wide(server: GeocoderServer) -> None:
    server.answer = lambda words: Spot(22.525, 113.9)
    assert locate("深圳市南山区科苑路1号", ask_s=5).accuracy_m == 3000
    server.answer = lambda words: Spot(22.525, 113.905)
    assert locate("深圳市南山区科苑路2号", ask_s=5).accuracy_m == 50


def test_the_middle_of_a_city_tells_no_district(server: GeocoderServer) -> None:
    server.answer = lambda words: Spot(22.5, 113.9, fine=False)
    place = locate("深圳市科苑路1号", ask_s=5)
    assert (place.review, code(place)) == ("district_not_named", "440300")


def test_a_vague_answer_far_outside_the_named_district_differs(server: GeocoderServer) -> None:
    server.answer = lambda words: Spot(22.5, 114.05, fine=False)
    assert locate("深圳市南山区科苑路1号", ask_s=5).review == "text_location_differ"


def test_who_gives_no_time_gets_what_was_answered_before(server: GeocoderServer) -> None:
    assert locate("深圳市南山区科苑路1号").source == "gazetteer"
    locate("深圳市南山区科苑路1号", ask_s=5)
    assert locate("深圳市南山区科苑路1号").source == "amap"
    assert len(server.asked) == 1


def test_honest_answers_are_rarely_doubted(server: GeocoderServer) -> None:
    """Where people live, a map service's error of some ten metres, and now and then the far side of a street."""
    chance = random.Random(6)
    homes = {
        f"深圳市南山区科苑路{n}号": (chance.uniform(22.4, 22.65), chance.uniform(113.8, 114.0)) for n in range(500)
    }

    def near_home(words: str) -> Spot:
        lat, lon = homes[words]
        return Spot(lat + chance.gauss(0, 0.0005), lon + chance.gauss(0, 0.0005))

    server.answer = near_home
    places = geocoding.locate([Query(text) for text in homes], at=now(), ask_s=60)
    doubted = [place for place in places if place.review]
    assert all(place.source == "amap" for place in places)
    assert len(doubted) <= 0.02 * len(homes)
