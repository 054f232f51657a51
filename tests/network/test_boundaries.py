"""Publishing boundary sets: what is taken, what is refused, and what the database refuses whoever writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely
from django.contrib.gis.geos import GEOSGeometry, MultiPolygon, Point
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils import translation
from shapely.geometry.base import BaseGeometry

from network import boundaries, polygons
from network.boundaries import Draft, Published, publish
from network.models import Boundary, BoundaryOverlap, BoundarySet, Level, Region, RegionAlias
from tests.factories import LONG_AGO, make_region
from tests.roles import as_owner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english")]
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
METRE = 1 / 111_320  # of latitude, in degrees


@pytest.fixture
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


def box(west: float, south: float, east: float, north: float) -> BaseGeometry:
    return shapely.box(west, south, east, north)


def draft(code: str, geom: BaseGeometry | None, level: str = "district", parent: str = "", number: int = 0) -> Draft:
    return Draft(number or len(code), code, code, level, parent, geom)


def published(*drafts: Draft | boundaries.BadRow, since: datetime = MONDAY, **how: Any) -> Published:
    return publish(drafts, name="test", source="test", since=since, **how)


def refused(*drafts: Draft | boundaries.BadRow, **how: Any) -> dict[str, str]:
    return {bad.code: bad.reason for bad in published(*drafts, **how).refused}


def wiggly(count: int) -> BaseGeometry:
    """A polygon of that many vertices, the last one being the first again."""
    angle = np.linspace(0, 2 * math.pi, count)
    ring = np.column_stack([10 + np.cos(angle), 10 + np.sin(angle)])
    ring[-1] = ring[0]
    return shapely.Polygon(ring)


def comb(teeth: int) -> BaseGeometry:
    """A valid polygon of long diagonal teeth: the box of each edge meets those of all others."""
    foot = np.column_stack([np.arange(teeth) * 1e-4, -np.arange(teeth) * 1e-4])
    ring = np.empty((2 * teeth, 2))
    ring[0::2], ring[1::2] = foot, foot + np.array([4.99995, 5.00005])
    far = teeth * 1e-4 + 6
    return shapely.Polygon([*ring, [far, 5], [far, -far], [-6, -far]])


# What a set brings.


def test_a_set_brings_regions_and_their_boundaries_into_force() -> None:
    result = published(
        draft("M", None, "macro"),
        draft("P", box(0, 0, 4, 4), "province", "M"),
        draft("D", box(1, 1, 2, 2), "district", "P"),
    )
    assert (result.created, result.refused) == (["M", "P", "D"], [])
    region = Region.objects.get(code="D")
    assert (region.path, region.level) == ("M.P.D", Level.DISTRICT)
    boundary = Boundary.objects.get(region=region)
    assert (boundary.level, boundary.valid) == (Level.DISTRICT, DateTimeTZRange(MONDAY, None))
    assert boundary.geom.contains(boundary.inside)
    assert boundary.boundary_set == result.boundary_set
    assert not Boundary.objects.filter(region__code="M").exists()


def test_the_radius_reaches_the_farthest_corner() -> None:
    published(draft("D", box(10, 50, 10.2, 50.1)))
    boundary = Boundary.objects.get()
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT max(ST_Distance(inside::geography, corner.geom::geography))
               FROM network_boundary, LATERAL ST_DumpPoints(geom) corner"""
        )
        assert boundary.radius_m == pytest.approx(cursor.fetchone()[0], rel=1e-3)


def test_rows_may_come_in_any_order() -> None:
    result = published(draft("D", box(1, 1, 2, 2), "district", "P"), draft("P", box(0, 0, 4, 4), "province"))
    assert not result.refused
    assert Region.objects.get(code="D").path == "P.D"


def test_the_parent_may_be_there_already() -> None:
    published(draft("P", box(0, 0, 4, 4), "province"))
    assert published(draft("D", box(1, 1, 2, 2), "district", "P"), since=TUESDAY).created == ["D"]


def test_the_same_again_changes_nothing() -> None:
    drafts = [draft("M", None, "macro"), draft("D", box(1, 1, 2, 2), "district", "M")]
    published(*drafts)
    again = published(*drafts, since=TUESDAY)
    assert (again.unchanged, again.created, again.changed, again.boundary_set) == (["M", "D"], [], [], None)
    assert BoundarySet.objects.count() == Boundary.objects.count() == 1


def test_the_same_polygon_begun_at_another_corner_is_unchanged() -> None:
    published(draft("D", shapely.Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])))
    assert published(draft("D", shapely.Polygon([(1, 1), (0, 1), (0, 0), (1, 0)])), since=TUESDAY).unchanged == ["D"]


def test_a_tenth_of_a_millimetre_is_no_change() -> None:
    published(draft("D", box(0, 0, 1, 1)))
    assert published(draft("D", box(0, 0, 1 + 1e-9, 1)), since=TUESDAY).unchanged == ["D"]


def test_a_changed_polygon_ends_the_old_boundary_and_begins_a_new_one() -> None:
    published(draft("D", box(0, 0, 1, 1)))
    assert published(draft("D", box(0, 0, 2, 1)), since=TUESDAY).changed == ["D"]
    old, new = Boundary.objects.order_by("id")
    assert (old.valid, new.valid) == (DateTimeTZRange(MONDAY, TUESDAY), DateTimeTZRange(TUESDAY, None))
    assert old.region == new.region


def test_neighbours_may_move_their_common_border_at_once() -> None:
    published(draft("A", box(0, 0, 1, 1)), draft("B", box(1, 0, 2, 1)))
    result = published(draft("A", box(0, 0, 1.5, 1)), draft("B", box(1.5, 0, 2, 1)), since=TUESDAY)
    assert (result.changed, result.refused) == (["A", "B"], [])


def test_a_new_name_is_taken_and_the_old_one_kept_as_an_alias() -> None:
    published(draft("D", box(0, 0, 1, 1)))
    result = published(Draft(1, "D", "new", "district", "", box(0, 0, 1, 1)), since=TUESDAY)
    assert (result.changed, result.boundary_set) == (["D"], None)
    assert Region.objects.get(code="D").name == "new"
    assert RegionAlias.objects.get().name == "D"


def test_two_regions_can_become_one() -> None:
    published(draft("A", box(0, 0, 1, 1)), draft("B", box(1, 0, 2, 1)))
    result = published(draft("C", box(0, 0, 2, 1)), since=TUESDAY, ending=["A", "B"])
    assert (result.created, result.ended, result.refused) == (["C"], ["A", "B"], [])
    assert Boundary.objects.filter(valid__contains=TUESDAY).count() == 1


def test_what_is_to_end_must_be_known() -> None:
    with pytest.raises(boundaries.PublishRefused, match="unknown regions: X"):
        published(ending=["X"])


def test_what_is_drawn_cannot_end() -> None:
    published(draft("A", box(0, 0, 1, 1)))
    with pytest.raises(boundaries.PublishRefused, match="both drawn and to end: A"):
        published(draft("A", box(0, 0, 1, 1)), since=TUESDAY, ending=["A"])


def test_heights_are_left_out() -> None:
    published(draft("D", shapely.Polygon([(0, 0, 9), (1, 0, 9), (1, 1, 9)])))
    assert not Boundary.objects.get().geom.hasz


def test_bad_rows_are_named_and_the_good_ones_kept() -> None:
    result = published(
        boundaries.BadRow(1, "", "not JSON"), draft("A", None, number=2), draft("B", box(0, 0, 1, 1), number=3)
    )
    assert [str(bad) for bad in result.refused] == ["row 1: not JSON", "row 2, A: no geometry"]
    assert result.created == ["B"]


def test_a_set_that_counts_as_a_whole_comes_whole_or_not_at_all() -> None:
    result = published(draft("A", None), draft("B", box(0, 0, 1, 1)), whole=True)
    assert (result.created, len(result.refused)) == ([], 1)
    assert not Region.objects.exists()


# What is refused: the words.


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Draft(1, "", "x", "city", "", None), "no code"),
        (Draft(1, "a.b", "x", "city", "", None), "a code is"),
        (Draft(1, "a" * 33, "x", "city", "", None), "a code is"),
        (Draft(1, "４４", "x", "city", "", None), "a code is"),
        (Draft(1, "A", "  ", "city", "", None), "a name is"),
        (Draft(1, "A", "x" * 101, "city", "", None), "a name is"),
        (Draft(1, "A", "a\x00b", "city", "", None), "a name is"),
        (Draft(1, "A", "a\ud800b", "city", "", None), "a name is"),
        (Draft(1, "A", "x", "", "", None), "no level"),
        (Draft(1, "A", "x", "county", "", None), "the level is “county”, not one of macro, province"),
        (Draft(1, "A", "x", "city", "a b", None), "the parent is not a code"),
    ],
)
def test_rows_without_proper_words_are_refused(bad: Draft, reason: str) -> None:
    assert reason in boundaries.fault_of_words(bad)


def test_a_code_counts_once() -> None:
    assert refused(draft("A", box(0, 0, 1, 1), number=1), draft("A", box(2, 0, 3, 1), number=2)) == {
        "A": "row 1 has this code already"
    }
    assert Boundary.objects.count() == 1


def test_a_second_row_of_a_code_does_not_pull_down_the_first_one_s_children() -> None:
    parent = draft("P", box(0, 0, 4, 4), "city")
    assert set(refused(parent, parent, draft("D", box(0, 0, 1, 1), parent="P"))) == {"P"}
    assert Region.objects.filter(code="D").exists()


# What is refused: the polygon by itself.


@pytest.mark.parametrize(
    ("geom", "reason"),
    [
        (None, "no geometry"),
        (shapely.Polygon(), "no geometry"),
        (shapely.MultiPolygon([shapely.Polygon()]), "no geometry"),
        (shapely.from_wkt("MULTIPOLYGON (((1 0, 1 1, 0 1, 1 0)), EMPTY)"), "one of its polygons is empty"),
        (shapely.Point(1, 1), "a Point, not a polygon"),
        (shapely.LineString([(0, 0), (1, 1)]), "a LineString, not a polygon"),
        (shapely.GeometryCollection([box(0, 0, 1, 1)]), "a GeometryCollection, not a polygon"),
        (shapely.Polygon([(0, 0), (1, math.nan), (1, 1)]), "a coordinate is not a finite number"),
        (shapely.Polygon([(0, 0), (math.inf, 0), (1, 1)]), "a coordinate is not a finite number"),
        (box(179, 0, 181, 1), "longitude 181.0, latitude 0.0 is not on the globe"),
        (box(0, 89, 1, 91), "is not on the globe"),
        (box(12_700_000, 2_500_000, 12_800_000, 2_600_000), "is not on the globe"),
        (shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]), "not a valid polygon: Self-intersection at 1 1"),
        (shapely.Polygon([(0, 0), (1, 0), (0, 0)]), "not a valid polygon"),
        (shapely.MultiPolygon([box(0, 0, 2, 2), box(1, 1, 3, 3)]), "not a valid polygon: Self-intersection"),
        (
            shapely.Polygon(box(0, 0, 1, 1).exterior, [box(2, 2, 3, 3).exterior]),
            "not a valid polygon: Hole lies outside",
        ),
        (wiggly(100_001), "100001 vertices, more than 100000"),
        (comb(4_000), "too tangled to be tested"),
    ],
)
def test_what_is_no_boundary_is_refused(geom: BaseGeometry | None, reason: str) -> None:
    assert reason in polygons.fault(geom)


@pytest.mark.parametrize("geom", [box(-180, -90, 180, 90), wiggly(100_000), comb(500)])
def test_the_largest_polygons_are_taken(geom: BaseGeometry) -> None:
    assert polygons.fault(geom) == ""


def test_nothing_is_mended() -> None:
    assert "Self-intersection" in refused(draft("A", shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])))["A"]
    assert not Boundary.objects.exists()


def test_an_area_is_measured_on_the_ellipsoid() -> None:
    geom = box(113.8, 22.4, 114.0, 22.65)
    with connection.cursor() as cursor:
        cursor.execute("SELECT ST_Area(ST_GeomFromText(%s, 4326)::geography)", [geom.wkt])
        assert polygons.area_m2(geom) == pytest.approx(cursor.fetchone()[0], rel=1e-5)


# What is refused: the place in the tree and on the map.


def test_an_unknown_parent_is_refused() -> None:
    assert refused(draft("D", box(0, 0, 1, 1), parent="P")) == {"D": "unknown parent P"}


@pytest.mark.parametrize("level", ["city", "province"])
def test_a_parent_of_the_same_or_a_finer_level_is_refused(level: str) -> None:
    parent = draft("P", box(0, 0, 4, 4), "city")
    assert refused(parent, draft("D", box(5, 0, 6, 1), level, "P")) == {"D": "its parent P is not of a coarser level"}


def test_a_row_falls_with_its_parent() -> None:
    assert refused(draft("P", None, "city"), draft("D", box(0, 0, 1, 1), parent="P"))["D"] == "its parent P was refused"


def test_a_known_region_keeps_its_level_and_its_place() -> None:
    published(draft("P", box(0, 0, 4, 4), "city"), draft("D", box(0, 0, 1, 1), parent="P"))
    assert "known as a city already" in refused(draft("P", box(0, 0, 4, 4), "province"), since=TUESDAY)["P"]
    assert "known to hang under P" in refused(draft("D", box(0, 0, 1, 1)), since=TUESDAY)["D"]


def test_a_region_outside_its_parent_is_refused() -> None:
    parent = draft("P", box(0, 0, 4, 4), "city")
    assert refused(parent, draft("D", box(5, 0, 6, 1), parent="P")) == {"D": "100 % of it lies outside its parent P"}


def test_a_region_outside_a_parent_of_the_database_is_refused() -> None:
    published(draft("P", box(0, 0, 4, 4), "city"))
    assert "50 % of it lies outside" in refused(draft("D", box(3, 0, 5, 1), parent="P"), since=TUESDAY)["D"]


def test_another_drawing_of_the_same_border_is_not_misplaced() -> None:
    parent = draft("P", box(0, 0, 4, 4), "city")
    assert not refused(parent, draft("D", box(3, 0, 4.05, 1), parent="P"))


def test_a_parent_without_a_polygon_refuses_nothing() -> None:
    assert not refused(draft("M", None, "macro"), draft("D", box(50, 0, 51, 1), parent="M"))


def test_neighbours_may_touch() -> None:
    assert not refused(
        draft("A", box(0, 0, 1, 1)),
        draft("B", box(1, 0, 2, 1)),
        draft("C", box(1, 1, 2, 2)),
        draft("D", box(0, 2, 1, 3)),
    )
    assert not BoundaryOverlap.objects.exists()


def test_of_two_rows_that_overlap_the_later_one_is_refused() -> None:
    result = refused(draft("A", box(0, 0, 1, 1), number=2), draft("B", box(0.5, 0, 1.5, 1), number=1))
    assert set(result) == {"A"}
    assert result["A"].startswith("overlaps B by 6,15")
    assert result["A"].endswith(" m²")


def test_an_overlap_with_a_region_in_force_is_refused() -> None:
    published(draft("A", box(0, 0, 1, 1)))
    assert "overlaps A by" in refused(draft("B", box(0.5, 0, 1.5, 1)), since=TUESDAY)["B"]


def test_a_refused_change_leaves_the_old_boundary_in_the_way() -> None:
    published(draft("A", box(0, 0, 1, 1)), draft("B", box(1, 0, 2, 1)))
    result = refused(
        draft("A", shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), number=1),
        draft("B", box(0.5, 0, 2, 1), number=2),
        since=TUESDAY,
    )
    assert set(result) == {"A", "B"}
    assert "overlaps A" in result["B"]


def test_levels_may_overlap_each_other() -> None:
    assert not refused(
        draft("P", box(0, 0, 4, 4), "city"),
        draft("D", box(0, 0, 4, 4), "district", "P"),
        draft("C", box(0, 0, 4, 4), "custom", "D"),
    )


def test_custom_regions_do_not_overlap_each_other() -> None:
    assert "overlaps" in refused(draft("C1", box(0, 0, 1, 1), "custom"), draft("C22", box(0, 0, 1, 1), "custom"))["C22"]


def test_a_sliver_is_accepted_and_listed() -> None:
    result = published(draft("A", box(0, 0, 0.1, 0.1)), draft("B", box(0.1 - 0.05 * METRE, 0, 0.2, 0.1)))
    assert (result.refused, result.slivers) == ([], 1)
    sliver = BoundaryOverlap.objects.get()
    assert sliver.area_m2 == pytest.approx(0.05 * 11_057, rel=0.01)
    assert sliver.first.region.code == "A"


def test_an_overlap_of_more_than_a_thousand_square_metres_is_no_sliver() -> None:
    assert (
        "overlaps A by 1,1"
        in refused(
            draft("A", box(0, 0, 0.1, 0.1), number=1), draft("B", box(0.1 - 0.1 * METRE, 0, 0.2, 0.1), number=2)
        )["B"]
    )


def test_a_hundredth_of_a_small_region_is_no_sliver() -> None:
    small = 100 * METRE
    assert (
        "overlaps A by"
        in refused(
            draft("A", box(0, 0, small, small), number=1), draft("B", box(0.98 * small, 0, 2 * small, small), number=2)
        )["B"]
    )


def test_a_boundary_cannot_be_replaced_from_before_its_time() -> None:
    published(draft("A", box(0, 0, 1, 1)), since=TUESDAY)
    assert "in force from 2026-11-17 08:00 on" in refused(draft("A", box(0, 0, 2, 1)), since=MONDAY)["A"]


def test_a_region_may_be_drawn_for_later() -> None:
    published(draft("A", box(0, 0, 1, 1)), since=MONDAY)
    published(draft("A", box(0, 0, 2, 1)), since=TUESDAY)
    assert Boundary.objects.get(valid__contains=TUESDAY - timedelta(seconds=1)).geom.extent == (0, 0, 1, 1)


# What the database refuses, whoever writes.


def insert(
    region: Region, geom: MultiPolygon | str, *, since: datetime = LONG_AGO, until: datetime | None = None
) -> Boundary:
    polygon = multipolygon(geom) if isinstance(geom, str) else geom
    return Boundary.objects.create(
        region=region,
        boundary_set=BoundarySet.objects.get_or_create(name="test", source="test", valid_from=LONG_AGO)[0],
        level=region.level,
        valid=DateTimeTZRange(since, until),
        geom=polygon,
        inside=Point(0.25, 0.5, srid=4326),
        radius_m=1000,
    )


def multipolygon(text: str) -> MultiPolygon:
    geom = GEOSGeometry(text, srid=4326)
    assert isinstance(geom, MultiPolygon)
    return geom


def square(west: float, east: float) -> str:
    return f"MULTIPOLYGON((({west} 0,{east} 0,{east} 1,{west} 1,{west} 0)))"


@pytest.fixture
def region() -> Region:
    return make_region("R", "region", Level.DISTRICT)


@pytest.fixture
def other() -> Region:
    return make_region("S", "other", Level.DISTRICT)


@pytest.mark.parametrize(
    ("geom", "constraint"),
    [
        ("MULTIPOLYGON EMPTY", "boundary_geom_valid_polygon"),
        ("MULTIPOLYGON(((0 0,2 2,2 0,0 2,0 0)))", "boundary_geom_valid_polygon"),
        ("MULTIPOLYGON(((0 0,NaN 1,1 1,0 0)))", "boundary_geom_"),
        (square(-181, 1), "boundary_geom_on_the_globe"),
        (square(5, 6), "boundary_inside_is_inside"),
    ],
)
def test_the_database_refuses_bad_polygons(region: Region, geom: str, constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint):
        insert(region, geom)


def test_the_database_refuses_too_many_vertices(region: Region) -> None:
    with pytest.raises(IntegrityError, match="boundary_geom_of_bounded_size"):
        insert(region, multipolygon(shapely.MultiPolygon([wiggly(100_001)]).wkt))


def test_the_edges_of_the_globe_are_on_it(region: Region) -> None:
    assert insert(region, "MULTIPOLYGON(((-180 -90,180 -90,180 90,-180 90,-180 -90)))").pk


def test_the_database_refuses_an_overlap(region: Region, other: Region) -> None:
    insert(region, square(0, 1))
    with pytest.raises(IntegrityError, match=r"the boundaries of R and S overlap by 98\d+\.\d m²"):
        insert(other, square(0.2, 2))


def test_the_database_takes_neighbours_that_touch(region: Region, other: Region) -> None:
    insert(region, square(0, 0.25))
    insert(other, square(0.25, 2))
    assert not BoundaryOverlap.objects.exists()


def test_the_database_lists_slivers(region: Region, other: Region) -> None:
    insert(region, square(0, 0.25))
    insert(other, square(0.25 - 0.001 * METRE, 2))
    assert BoundaryOverlap.objects.get().area_m2 == pytest.approx(110.6, rel=0.01)


def test_boundaries_of_different_times_do_not_meet(region: Region, other: Region) -> None:
    insert(region, square(0, 1), until=MONDAY)
    assert insert(other, square(0, 1), since=MONDAY).pk


def test_overlaps_within_one_statement_are_refused(region: Region, other: Region) -> None:
    rows = [insert(region, square(0, 0.25)), insert(other, square(0.25, 2))]
    with as_owner():
        Boundary.objects.all().delete()
    rows[0].geom = rows[1].geom
    for row in rows:
        row.pk = None
    with pytest.raises(IntegrityError, match="overlap"):
        Boundary.objects.bulk_create(rows)


def test_python_and_the_database_draw_the_line_at_the_same_place() -> None:
    large, small = box(0, 0, 1, 1), box(0, 0, 0.0002, 0.0002)
    with connection.cursor() as cursor:
        for one, other in ((large, large), (large, small)):
            cursor.execute(
                "SELECT boundary_sliver_limit_m2(ST_GeomFromText(%s, 4326), ST_GeomFromText(%s, 4326))",
                [one.wkt, other.wkt],
            )
            mine = min(polygons.SLIVER_M2, polygons.SLIVER_SHARE * min(polygons.area_m2(one), polygons.area_m2(other)))
            assert cursor.fetchone()[0] == pytest.approx(mine, rel=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        "geom = ST_Translate(geom, 0.1, 0)",
        "geom = ST_Reverse(geom)",
        "valid = tstzrange(lower(valid) - interval '1 day', NULL)",
        "valid = tstzrange(lower(valid) + interval '1 day', NULL)",
        "radius_m = 2",
        "inside = ST_Translate(inside, 0.1, 0)",
    ],
)
def test_a_boundary_is_never_redrawn(region: Region, change: str) -> None:
    insert(region, square(0, 1))
    with (
        pytest.raises(IntegrityError, match="a boundary is never changed"),
        as_owner(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE network_boundary SET {change}")


def test_an_ended_boundary_does_not_come_back(region: Region) -> None:
    insert(region, square(0, 1), until=MONDAY)
    with pytest.raises(IntegrityError, match="can only end earlier"), connection.cursor() as cursor:
        cursor.execute("UPDATE network_boundary SET valid = tstzrange(lower(valid), NULL)")


# Two publications at once, really committed.


@contextmanager
def another_connection() -> Iterator[psycopg.Connection[Any]]:
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)}
    with psycopg.connect(**wanted) as opened:
        yield opened


def meet(between: Callable[[Thread], None]) -> str:
    """Publish two overlapping regions from two connections, the second before the first commits.

    Return what the second one was refused with, or nothing.
    """
    refusal: list[str] = []
    insertion = """
        INSERT INTO network_boundary (region_id, boundary_set_id, level, valid, geom, inside, radius_m)
        SELECT r.id, s.id, r.level, tstzrange(now(), NULL), ST_GeomFromText(%s, 4326),
               ST_GeomFromText('POINT(0.5 0.5)', 4326), 1
        FROM network_region r, network_boundaryset s WHERE r.code = %s
    """
    BoundarySet.objects.create(name="test", source="test", valid_from=LONG_AGO)
    for code in ("R", "S"):
        Region.objects.create(code=code, name=code, level=Level.DISTRICT, path="")

    def second() -> None:
        try:
            with another_connection() as later:
                later.execute(insertion, [square(0.25, 1.5), "S"])
        except psycopg.Error as error:
            refusal.append(str(error))

    with another_connection() as first:
        first.execute(insertion, [square(0, 1), "R"])
        thread = Thread(target=second)
        thread.start()
        between(thread)
        first.commit()
        thread.join(10)
    assert not thread.is_alive()
    return "".join(refusal)


@pytest.mark.django_db(transaction=True)
def test_of_two_overlapping_publications_at_once_one_is_refused() -> None:
    def waits(thread: Thread) -> None:
        thread.join(0.5)
        assert thread.is_alive(), "the second waits for the first"

    assert "overlap" in meet(waits)
    assert Boundary.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_both_would_pass() -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE network_boundary DISABLE TRIGGER boundary_publications_queue")
    try:
        assert meet(lambda thread: thread.join(10)) == ""
        assert Boundary.objects.count() == 2
    finally:
        with as_owner(), connection.cursor() as cursor:
            cursor.execute("ALTER TABLE network_boundary ENABLE TRIGGER boundary_publications_queue")


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_too_old_to_see_the_other_is_refused(region: Region) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(DatabaseError, match="published under READ COMMITTED"), transaction.atomic():
            insert(region, square(0, 1))


@pytest.mark.django_db(transaction=True)
def test_what_somebody_else_publishes_meanwhile_refuses_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    publishing = boundaries.publishing

    def late() -> Any:
        monkeypatch.setattr(boundaries, "publishing", publishing)
        published(draft("A", box(0, 0, 1, 1)))
        return publishing()

    monkeypatch.setattr(boundaries, "publishing", late)
    with pytest.raises(boundaries.PublishRefused, match="overlap by"):
        published(draft("B", box(0.5, 0, 1.5, 1)))
    assert list(Region.objects.values_list("code", flat=True)) == ["A"]
