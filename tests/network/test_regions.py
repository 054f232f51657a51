"""Where places lie, how near they are to a region, and the tree that the database keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shapely
from django.db import IntegrityError, connection
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test.utils import CaptureQueriesContext

from network import boundaries, regions
from network.models import Boundary, Level, Region
from tests.factories import make_region
from tests.roles import as_owner

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def city() -> Region:
    return make_region("1", "one", Level.CITY, None, (10, 10, 12, 12))


@pytest.fixture
def west(city: Region) -> Region:
    return make_region("1-1", "west", Level.DISTRICT, city, (10, 10, 11, 12))


@pytest.fixture
def east(city: Region, west: Region) -> Region:
    return make_region("1-2", "east", Level.DISTRICT, city, (11, 10, 12, 11))


def test_the_deepest_region_that_covers_a_place_is_found(city: Region, west: Region, east: Region) -> None:
    places = [(10.5, 10.5), (10.5, 11.5), (11.5, 11.5), (0.0, 0.0)]
    assert regions.covering(places, at=NOW) == [west.id, east.id, city.id, None]


def test_a_place_on_a_border_lies_in_the_region_with_the_lowest_id(west: Region, east: Region) -> None:
    assert west.id < east.id
    assert regions.covering([(10.5, 11.0)], at=NOW) == [west.id]


def test_a_place_on_the_outer_border_is_covered(west: Region) -> None:
    assert regions.covering([(10.0, 10.0)], at=NOW) == [west.id]


def test_latitude_comes_first(city: Region) -> None:
    make_region("2", "two", Level.CITY, None, (10, 50, 12, 52))
    assert regions.covering([(51.0, 11.0), (11.0, 51.0)], at=NOW)[1] is None


def test_only_boundaries_in_force_count(city: Region) -> None:
    end = datetime(2026, 1, 1, tzinfo=UTC)
    boundary = Boundary.objects.get(region=city)
    boundary.valid = DateTimeTZRange(boundary.valid.lower, end)
    boundary.save(update_fields=["valid"])
    assert regions.covering([(11.0, 11.0)], at=end - timedelta(seconds=1)) == [city.id]
    assert regions.covering([(11.0, 11.0)], at=end) == [None]


@pytest.mark.parametrize("place", [(float("nan"), 11.0), (float("inf"), 11.0), (91.0, 181.0), (1e300, -1e300)])
def test_what_is_no_place_lies_nowhere(city: Region, place: tuple[float, float]) -> None:
    assert regions.covering([place], at=NOW) == [None]


def test_no_places_need_no_query() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert regions.covering([], at=NOW) == []
        assert regions.within_m([], at=NOW) == []
    assert not queries.captured_queries


def test_many_places_are_answered_in_their_order(west: Region, east: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "PLACES_PER_QUERY", 3)
    places = [(10.5, 10.5), (10.5, 11.5)] * 4
    with CaptureQueriesContext(connection) as queries:
        assert regions.covering(places, at=NOW) == [west.id, east.id] * 4
    assert len(queries) == 3


def test_of_many_boundaries_only_those_around_the_place_are_read() -> None:
    drafts = [
        boundaries.Draft(number, f"X{number}", "x", "district", "", shapely.box(number / 10, 0, number / 10 + 0.1, 1))
        for number in range(300)
    ]
    boundaries.publish(drafts, name="test", source="test", since=NOW)
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("ANALYZE network_boundary")  # by its owner alone: of anybody else it is refused with a warning
        cursor.execute("EXPLAIN " + regions.COVERING, [[0.5], [15.05], NOW, [4, 5]])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "using boundary_geom_valid" in plan
    assert "geom &&" in plan


def test_a_chain_goes_from_the_region_to_the_root(chain: dict[Any, Any]) -> None:
    ids = [chain[level].id for level in sorted(chain, reverse=True)]
    with CaptureQueriesContext(connection) as queries:
        assert regions.chain_ids([ids[0], ids[3]]) == {ids[0]: ids, ids[3]: ids[3:]}
    assert len(queries) == 1


def test_an_unknown_region_has_no_chain() -> None:
    assert regions.chain_ids([987654321]) == {}


def test_a_region_without_a_boundary_has_no_inside(chain: dict[Any, Any]) -> None:
    found = regions.inside([chain[Level.MACRO].id, chain[Level.CITY].id], at=NOW)
    assert set(found) == {chain[Level.CITY].id}
    assert found[chain[Level.CITY].id].radius_m == 3000


def test_nearness_is_measured_in_metres(west: Region, east: Region) -> None:
    hundredth_of_longitude_m = 1093.3  # at 10.5 degrees north on WGS 84
    asked = [
        (west.id, 10.5, 11.01, hundredth_of_longitude_m + 2),
        (west.id, 10.5, 11.01, hundredth_of_longitude_m - 5),
        (west.id, 10.5, 10.5, 0.0),
        (east.id, 10.5, 11.01, 0.0),
        (east.id, 12.5, 10.5, 1000.0),
    ]
    assert regions.within_m(asked, at=NOW) == [True, False, True, True, False]


def test_nearness_holds_far_in_the_north() -> None:
    region = make_region("N", "north", Level.CITY, None, (10, 80, 12, 81))
    a_degree_of_longitude_m = 19_394.0  # at 80 degrees
    asked = [(region.id, 80.0, 13.0, a_degree_of_longitude_m + 10), (region.id, 80.0, 13.0, 19_000.0)]
    assert regions.within_m(asked, at=NOW) == [True, False]


def test_a_region_without_a_boundary_is_near_to_nothing(chain: dict[Any, Any]) -> None:
    assert regions.within_m([(chain[Level.MACRO].id, 22.5, 113.9, 1e6)], at=NOW) == [False]


# The tree.


def test_the_path_is_filled_in() -> None:
    province = Region.objects.create(code="P", name="p", level=Level.PROVINCE, path="")
    city = Region.objects.create(code="C", name="c", level=Level.CITY, parent=province, path="")
    city.refresh_from_db()
    assert city.path == "P.C"


def test_a_wrong_path_is_refused() -> None:
    with pytest.raises(IntegrityError, match=r"region C: its path is C, not X\.C"):
        Region.objects.create(code="C", name="c", level=Level.CITY, path="X.C")


def test_a_path_cannot_be_bent_later() -> None:
    region = Region.objects.create(code="C", name="c", level=Level.CITY, path="C")
    with pytest.raises(IntegrityError, match="its path is C, not X"):
        Region.objects.filter(id=region.id).update(path="X")


@pytest.mark.parametrize("level", [Level.PROVINCE, Level.CITY])
def test_a_parent_must_be_of_a_coarser_level(level: Level) -> None:
    city = Region.objects.create(code="C", name="c", level=Level.CITY, path="C")
    with pytest.raises(IntegrityError, match="its parent C is not of a coarser level"):
        Region.objects.create(code="D", name="d", level=level, parent=city, path="C.D")


def test_a_region_cannot_sink_below_its_children() -> None:
    city = Region.objects.create(code="C", name="c", level=Level.CITY, path="C")
    Region.objects.create(code="D", name="d", level=Level.DISTRICT, parent=city, path="C.D")
    with pytest.raises(IntegrityError, match="a child of it is not of a finer level"):
        Region.objects.filter(id=city.id).update(level=Level.DISTRICT)


def test_a_region_that_moves_takes_its_descendants_along() -> None:
    old, new = (Region.objects.create(code=code, name=code, level=Level.PROVINCE, path="") for code in ("A", "B"))
    city = Region.objects.create(code="C", name="c", level=Level.CITY, parent=old, path="")
    district = Region.objects.create(code="D", name="d", level=Level.DISTRICT, parent=city, path="")
    custom = Region.objects.create(code="E", name="e", level=Level.CUSTOM, parent=district, path="")
    Region.objects.filter(id=city.id).update(parent=new)
    assert list(
        Region.objects.filter(id__in=[city.id, district.id, custom.id]).order_by("level").values_list("path", flat=True)
    ) == ["B.C", "B.C.D", "B.C.D.E"]


def test_a_region_with_boundaries_keeps_its_level(city: Region) -> None:
    with pytest.raises(IntegrityError, match="boundary_level_is_the_regions"):
        Region.objects.filter(id=city.id).update(level=Level.PROVINCE)


def test_a_boundary_has_the_level_of_its_region(city: Region) -> None:
    boundary = Boundary.objects.get(region=city)
    with as_owner():
        boundary.delete()
    boundary.pk, boundary.level = None, Level.DISTRICT
    with pytest.raises(IntegrityError, match="boundary_level_is_the_regions"):
        boundary.save(force_insert=True)
