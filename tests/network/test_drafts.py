"""Drafts of borders: what an edit does to them, whose version counts, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import shapely
from django.contrib.gis.geos import Point
from django.db import DatabaseError, connection, transaction
from django.utils.timezone import now
from shapely import box

from network import drafts, polygons, problems, publishing, regions
from network.models import (
    Boundary,
    DraftAcceptance,
    DraftEdit,
    DraftShape,
    Level,
    Region,
    RegionAlias,
    RegionDraft,
    ServicePoint,
)
from network.prospects import Prospect
from tests.factories import LONG_AGO, make_chain, make_point, make_region, make_user
from tests.roles import as_owner

pytestmark = pytest.mark.django_db
WHOLE = (113.8, 22.4, 114.0, 22.65)  # 南山区 of the chain


@pytest.fixture
def user(db: None) -> Any:
    return make_user(is_staff=True, name="王")


@pytest.fixture
def pair(db: None) -> tuple[Region, Region]:
    """Two districts that touch at 114.0 E, in a city that they fill."""
    province = make_region("440000", "广东省", Level.PROVINCE, None, (109, 20, 117, 25.5))
    city = make_region("440300", "深圳市", Level.CITY, province, (113.8, 22.4, 114.2, 22.6))
    west = make_region("440305", "南山区", Level.DISTRICT, city, (113.8, 22.4, 114.0, 22.6))
    east = make_region("440304", "福田区", Level.DISTRICT, city, (114.0, 22.4, 114.2, 22.6))
    return west, east


def made(user: Any) -> RegionDraft:
    return drafts.make(name="moves", author=user, now=now())


def edit(draft: RegionDraft, user: Any, op: str, **values: Any) -> drafts.Change:
    version = RegionDraft.objects.get(pk=draft.pk).version
    return drafts.edit(draft.pk, version=version, op=op, values=values, by=user, now=now())[1]


def publish(draft: RegionDraft, user: Any, since: Any = None) -> publishing.Done:
    version = RegionDraft.objects.get(pk=draft.pk).version
    return publishing.publish(draft.pk, version=version, since=since, by=user, now=now())


def shape_of(draft: RegionDraft, code: str) -> Any:
    return shapely.from_wkb(bytes(DraftShape.objects.get(draft=draft, code=code).geom.wkb))  # type: ignore[union-attr]


def kinds(draft: RegionDraft) -> list[tuple[str, tuple[str, ...], bool]]:
    found = problems.of(RegionDraft.objects.get(pk=draft.pk), since=now()).found
    return sorted((str(one.kind), one.codes, one.must_solve) for one in found if not one.listed_only)


def accept_all(draft: RegionDraft, user: Any) -> None:
    draft.refresh_from_db()
    ids = [one.id for one in problems.of(draft, since=now()).open]
    problems.accept(draft.pk, version=draft.version, ids=ids, reason="a lake", since=now(), by=user, now=now())


def region_at(lat: float, lon: float, at: Any = None) -> str:
    (found,) = regions.covering([(lat, lon)], at=at or now() + timedelta(seconds=1))
    return "" if found is None else Region.objects.get(pk=found).code


# Edits.


def test_a_new_draft_has_a_name_an_author_and_its_first_version(user: Any) -> None:
    draft = made(user)
    assert (draft.name, draft.author, draft.version, draft.status) == ("moves", user, 1, "draft")
    assert [row.op for row in draft.edits.all()] == ["make"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\x00b"])
def test_a_draft_needs_a_proper_name(user: Any, name: str) -> None:
    with pytest.raises(drafts.EditRefused):
        drafts.make(name=name, author=user, now=now())


def test_every_edit_raises_the_version_and_leaves_a_row(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "retire", code="440305")
    edit(draft, user, "undo", code="440305")
    draft.refresh_from_db()
    assert draft.version == 3
    assert [(row.version, row.op, row.codes) for row in draft.edits.order_by("version")] == [
        (1, "make", []),
        (2, "retire", ["440305"]),
        (3, "undo", ["440305"]),
    ]
    assert not draft.shapes.exists()


def test_an_edit_of_an_old_version_is_refused_and_told_what_changed(user: Any, pair: Any) -> None:
    draft, other = made(user), make_user(name="李")
    edit(draft, other, "retire", code="440305")
    with pytest.raises(drafts.VersionConflict) as refused:
        drafts.edit(draft.pk, version=1, op="retire", values={"code": "440304"}, by=user, now=now())
    assert refused.value.version == 2
    assert [(row.by, row.op, row.codes) for row in refused.value.changes] == [(other, "retire", ["440305"])]
    assert [row.code for row in draft.shapes.all()] == ["440305"]


def test_a_closed_draft_is_not_edited(user: Any, pair: Any) -> None:
    draft = made(user)
    drafts.abandon(draft.pk, version=1, by=user, now=now())
    with pytest.raises(drafts.NotOpen):
        edit(draft, user, "retire", code="440305")


@pytest.mark.parametrize("change", ["shape", "reopened", "edit"])
def test_the_database_keeps_closed_drafts_and_edits(user: Any, pair: Any, change: str) -> None:
    draft = made(user)
    edit(draft, user, "retire", code="440305")
    drafts.abandon(draft.pk, version=2, by=user, now=now())
    changes: dict[str, Callable[[], object]] = {
        "shape": draft.shapes.all().delete,
        "reopened": partial(RegionDraft.objects.update, status="draft"),
        "edit": partial(DraftEdit.objects.update, op="none"),
    }
    refused = pytest.raises(DatabaseError, match=r"nothing of it changes|only added")
    with as_owner(), refused, transaction.atomic():
        changes[change]()


def test_a_new_region_is_drawn(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(
        draft,
        user,
        "draw",
        code="440305-1",
        name="科技园",
        level=5,
        parent="440305",
        geometry=box(113.9, 22.5, 113.95, 22.55),
    )
    shape = Prospect.of(draft, since=now()).shapes["440305-1"]
    assert (shape.kind, shape.row.parent, shape.level) == ("new", "440305", Level.CUSTOM)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"code": "440305"}, "code"),
        ({"code": "no code"}, "code"),
        ({"name": ""}, "code"),
        ({"parent": "nowhere"}, "parent"),
        ({"parent": "440305", "level": 4}, "parent"),
        ({"geometry": shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])}, "geometry"),
        ({"geometry": box(-179, 10, 179, 20)}, "geometry"),
        ({"geometry": shapely.Polygon()}, "geometry"),
    ],
)
def test_what_is_no_region_is_not_drawn(user: Any, pair: Any, values: dict[str, Any], field: str) -> None:
    draft = made(user)
    good = {
        "code": "440305-1",
        "name": "科技园",
        "level": 5,
        "parent": "440305",
        "geometry": box(113.9, 22.5, 113.95, 22.55),
    }
    with pytest.raises(drafts.EditRefused) as refused:
        edit(draft, user, "draw", **(good | values))
    assert refused.value.field == field
    assert not draft.shapes.exists()
    assert RegionDraft.objects.get(pk=draft.pk).version == 1


def test_a_split_leaves_two_regions_and_the_chosen_one_keeps_the_code(user: Any, pair: Any) -> None:
    draft = made(user)
    line = shapely.LineString([(113.85, 22.3), (113.85, 22.7)])
    edit(draft, user, "split", code="440305", line=line, keep=(113.81, 22.5), new={"code": "440399", "name": "新区"})
    kept, new = shape_of(draft, "440305"), shape_of(draft, "440399")
    assert kept.bounds == pytest.approx((113.8, 22.4, 113.85, 22.6))
    assert new.bounds == pytest.approx((113.85, 22.4, 114.0, 22.6))
    assert kinds(draft) == []


def test_without_a_choice_the_larger_part_keeps_the_code(user: Any, pair: Any) -> None:
    draft = made(user)
    line = shapely.LineString([(113.85, 22.3), (113.85, 22.7)])
    edit(draft, user, "split", code="440305", line=line, new={"code": "440399", "name": "新区"})
    assert shape_of(draft, "440305").bounds == pytest.approx((113.85, 22.4, 114.0, 22.6))


@pytest.mark.parametrize(
    "line", [[(113.85, 22.5), (113.85, 22.7)], [(1, 1), (2, 2)], [(113, 22.5), (115, 22.5), (114, 23), (114, 22)]]
)
def test_a_line_that_does_not_cut_in_two_is_refused(user: Any, pair: Any, line: Any) -> None:
    draft = made(user)
    with pytest.raises(drafts.EditRefused) as refused:
        edit(draft, user, "split", code="440305", line=shapely.LineString(line), new={"code": "440399", "name": "新区"})
    assert refused.value.field == "line"


def test_merged_neighbours_become_one_and_the_others_retire(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "merge", codes=["440305", "440304"], keep="440304")
    shapes = Prospect.of(draft, since=now()).shapes
    assert {code: shape.kind for code, shape in shapes.items()} == {"440304": "changed", "440305": "retired"}
    assert shape_of(draft, "440304").bounds == pytest.approx((113.8, 22.4, 114.2, 22.6))
    assert kinds(draft) == []


def test_regions_that_do_not_touch_are_not_merged(user: Any, pair: Any) -> None:
    city = Region.objects.get(code="440300")
    make_region("440399", "远区", Level.DISTRICT, city, (114.3, 22.4, 114.4, 22.6))
    with pytest.raises(drafts.EditRefused, match="440399"):
        edit(made(user), user, "merge", codes=["440305", "440399"], keep="440305")


def test_a_region_retires_with_all_below_it(user: Any, chain: dict[Level, Region]) -> None:
    draft = made(user)
    edit(draft, user, "retire", code="440300", below=True)
    assert set(draft.shapes.values_list("code", "retired")) == {("440300", True), ("440305", True), ("440305-1", True)}


def test_known_regions_are_renamed_and_keep_code_and_place(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "describe", code="440305", name="南山新区")
    with pytest.raises(drafts.EditRefused):
        edit(draft, user, "describe", code="440305", new_code="440306")
    with pytest.raises(drafts.EditRefused):
        edit(draft, user, "describe", code="440305", parent="440000")
    done = publish(draft, user)
    assert done.published.changed == ["440305"]
    assert Region.objects.get(code="440305").name == "南山新区"
    assert RegionAlias.objects.get().name == "南山区"
    assert Boundary.objects.filter(region__code="440305").count() == 1


def test_a_new_region_takes_another_code_and_its_children_follow(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "draw", code="C1", name="新市", level=3, parent="440000", geometry=box(115, 23, 116, 24))
    edit(draft, user, "draw", code="D1", name="新区", level=4, parent="C1", geometry=box(115, 23, 116, 24))
    edit(draft, user, "describe", code="C1", new_code="C2", name="大市")
    assert set(draft.shapes.values_list("code", "name", "parent")) == {("C2", "大市", "440000"), ("D1", "新区", "C2")}
    assert publish(draft, user).published.created == ["C2", "D1"]


def test_a_snap_closes_the_strip_between_neighbours(user: Any, pair: Any) -> None:
    draft = made(user)
    crooked = shapely.Polygon([(113.8, 22.4), (113.9999, 22.4001), (114.0001, 22.5), (113.9999, 22.6), (113.8, 22.6)])
    edit(draft, user, "reshape", code="440305", geometry=crooked)
    assert ("gap", ("440305",), False) in kinds(draft)
    assert ("overlap", ("440304", "440305"), True) in kinds(draft)
    edit(draft, user, "snap", code="440305", metres=30.0)
    assert kinds(draft) == []
    assert polygons.area_m2(shape_of(draft, "440305")) == pytest.approx(
        polygons.area_m2(box(113.8, 22.4, 114, 22.6)), rel=1e-9
    )


def test_a_new_region_without_a_base_goes_when_it_is_retired(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "draw", code="C1", name="新市", level=3, parent="440000", geometry=box(115, 23, 116, 24))
    edit(draft, user, "retire", code="C1")
    assert not draft.shapes.exists()


# Problems.


def test_overlaps_must_be_solved_and_gaps_may_be_accepted_by_name(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, 114.01, 22.6))
    assert kinds(draft) == [("overlap", ("440304", "440305"), True)]
    edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, 113.99, 22.6))
    assert kinds(draft) == [("gap", ("440305",), False)]
    with pytest.raises(publishing.ProblemsOpen):
        publish(draft, user)
    accept_all(draft, user)
    row = DraftAcceptance.objects.get()
    assert (row.by, row.reason, row.codes) == (user, "a lake", ["440305"])
    assert publish(draft, user).published.changed == ["440305"]


def test_an_overlap_is_not_accepted(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, 114.01, 22.6))
    with pytest.raises(drafts.EditRefused, match="必须解决"):
        accept_all(draft, user)


def test_an_accepted_problem_that_looks_otherwise_is_open_again(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, 113.99, 22.6))
    accept_all(draft, user)
    edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, 113.98, 22.6))
    draft.refresh_from_db()
    assert len(problems.of(draft, since=now()).open) == 1


def test_a_sliver_is_listed_and_holds_nothing_up(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, 114.0000002, 22.6))
    draft.refresh_from_db()
    found = problems.of(draft, since=now())
    assert [(one.kind, one.listed_only) for one in found.found if one.kind == "overlap"] == [("overlap", True)]
    assert found.open == []
    assert publish(draft, user).published.slivers == 1


def test_a_child_outside_its_parent_is_a_problem(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "reshape", code="440300", geometry=box(113.8, 22.4, 114.19, 22.6))
    assert ("outside", ("440304",), False) in kinds(draft)
    edit(draft, user, "reshape", code="440300", geometry=box(113.8, 22.4, 114.1, 22.6))
    assert ("outside", ("440304",), True) in kinds(draft)


def test_a_parent_that_gains_what_no_child_covers_has_a_gap(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "reshape", code="440300", geometry=box(113.8, 22.4, 114.3, 22.6))
    assert kinds(draft) == [("gap", ("440300",), False)]


def test_nothing_may_hang_under_a_region_that_ends(user: Any, chain: dict[Level, Region]) -> None:
    draft = made(user)
    edit(draft, user, "retire", code="440305")
    assert ("below", ("440305-1",), True) in kinds(draft)


def test_what_publishing_refuses_is_a_problem_before(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "draw", code="C1", name="新市", level=3, parent="440000", geometry=box(115, 23, 116, 24))
    edit(draft, user, "draw", code="D1", name="新区", level=4, parent="C1", geometry=box(115, 23, 116, 24))
    edit(draft, user, "undo", code="C1")
    assert kinds(draft) == [("code", ("D1",), True)]


# Publishing.


def test_a_moved_border_comes_into_force_and_points_move_with_it(user: Any, pair: Any) -> None:
    west, east = pair
    point = make_point(22.5, 114.01, region=east, region_ids=[east.pk])
    draft = made(user)
    edit(draft, user, "reshape", code="440304", geometry=box(114.02, 22.4, 114.2, 22.6))
    edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, 114.02, 22.6))
    before = now()
    done = publish(draft, user)
    assert (sorted(done.published.changed), done.moved_points) == (["440304", "440305"], 1)
    point.refresh_from_db()
    assert point.region == west
    assert point.region_ids[:2] == [west.pk, west.parent_id]
    assert region_at(22.5, 114.01) == "440305"
    assert region_at(22.5, 114.01, at=before) == "440304"
    draft.refresh_from_db()
    assert (draft.status, draft.published_by, draft.boundary_set) == ("published", user, done.published.boundary_set)


def test_a_published_draft_still_tells_what_was_new(user: Any, pair: Any) -> None:
    draft = made(user)
    line = shapely.LineString([(113.85, 22.3), (113.85, 22.7)])
    edit(draft, user, "split", code="440305", line=line, new={"code": "440399", "name": "新区"})
    publish(draft, user)
    draft.refresh_from_db()
    shapes = Prospect.of(draft, since=now()).shapes
    assert {code: shape.kind for code, shape in shapes.items()} == {"440305": "changed", "440399": "new"}


def test_a_point_that_was_moved_by_hand_meanwhile_keeps_its_region(user: Any, pair: Any, monkeypatch: Any) -> None:
    _west, east = pair
    point = make_point(22.5, 114.01, region=east, region_ids=[east.pk])
    covering = regions.covering

    def moved_meanwhile(*args: Any, **kwargs: Any) -> Any:
        ServicePoint.objects.update(location=Point(114.1, 22.5, srid=4326))
        return covering(*args, **kwargs)

    draft = made(user)
    edit(draft, user, "reshape", code="440304", geometry=box(114.02, 22.4, 114.2, 22.6))
    edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, 114.02, 22.6))
    monkeypatch.setattr("network.points.regions.covering", moved_meanwhile)
    assert publish(draft, user).moved_points == 0
    point.refresh_from_db()
    assert point.region == east


def test_a_set_of_later_moves_its_points_when_it_is_in_force(user: Any, pair: Any) -> None:
    west, east = pair
    point = make_point(22.5, 114.01, region=east, region_ids=[east.pk])
    draft, later = made(user), now() + timedelta(days=3)
    edit(draft, user, "reshape", code="440304", geometry=box(114.02, 22.4, 114.2, 22.6))
    edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, 114.02, 22.6))
    assert publish(draft, user, since=later).moved_points is None
    publishing.place_waiting(now=later - timedelta(seconds=1), limit=10)
    point.refresh_from_db()
    assert point.region == east
    assert publishing.place_waiting(now=later, limit=10) == 1
    point.refresh_from_db()
    assert point.region == west
    assert publishing.place_waiting(now=later, limit=10) == 0


def test_a_border_never_moves_in_the_past(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "describe", code="440305", name="南山新区")
    with pytest.raises(publishing.InThePast):
        publish(draft, user, since=now() - timedelta(days=1))


def test_an_empty_draft_is_not_published(user: Any) -> None:
    with pytest.raises(publishing.NothingDrawn):
        publish(made(user), user)


def test_what_somebody_else_published_meanwhile_is_told(user: Any, pair: Any) -> None:
    mine, theirs = made(user), made(user)
    for draft, lon in ((mine, 114.02), (theirs, 113.98)):
        edit(draft, user, "reshape", code="440304", geometry=box(lon, 22.4, 114.2, 22.6))
        edit(draft, user, "reshape", code="440305", geometry=box(113.8, 22.4, lon, 22.6))
    publish(theirs, user)
    with pytest.raises(publishing.BaseChanged) as refused:
        publish(mine, user)
    assert [shape.code for shape in refused.value.shapes] == ["440304", "440305"]
    assert region_at(22.5, 113.99) == "440304"
    assert ("stale", ("440304",), True) in kinds(mine)
    for code in ("440304", "440305"):
        edit(mine, user, "rebase", code=code)
    publish(mine, user)
    assert region_at(22.5, 114.01) == "440305"


def test_a_retired_region_ends_and_comes_back_as_a_new_draft(user: Any, pair: Any) -> None:
    draft = made(user)
    edit(draft, user, "merge", codes=["440305", "440304"], keep="440304")
    publish(draft, user)
    assert region_at(22.5, 113.9) == "440304"
    back = publishing.bring_back(name="back", at=LONG_AGO + timedelta(days=1), codes=[], author=user, now=now())
    kinds_of = {code: shape.kind for code, shape in Prospect.of(back, since=now()).shapes.items()}
    assert kinds_of == {"440304": "changed", "440305": "returned"}
    publish(back, user)
    assert region_at(22.5, 113.9) == "440305"


def test_where_nothing_differs_nothing_is_brought_back(user: Any, pair: Any) -> None:
    with pytest.raises(drafts.EditRefused):
        publishing.bring_back(name="back", at=now(), codes=[], author=user, now=now())
    assert not RegionDraft.objects.exists()


def test_the_statement_count_of_a_small_publication_is_bounded(user: Any, django_assert_max_num_queries: Any) -> None:
    make_chain()
    draft = made(user)
    edit(draft, user, "describe", code="440305", name="南山新区")
    with django_assert_max_num_queries(60):
        publish(draft, user)
    assert connection.connection is not None
