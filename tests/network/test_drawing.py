"""Polygons drawn by an editor, held against properties: no area is made or lost, every place lies in one region."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import shapely
from django.db import transaction
from django.utils.timezone import now
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from shapely import box

from network import drafts, drawing, polygons, problems, prospects, publishing, regions
from network.models import Level, Region
from network.prospects import Place, Prospect
from tests.factories import make_region, make_user

degrees = st.floats(0.0, 1.0, allow_nan=False)
STARS = st.lists(st.floats(0.2, 1.0), min_size=5, max_size=24)


def star(radii: list[float]) -> Any:
    """A valid polygon that winds in and out around 114 E, 22.5 N."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    places = np.column_stack([114 + 0.1 * np.cos(angles) * radii, 22.5 + 0.1 * np.sin(angles) * radii])
    return shapely.multipolygons([shapely.Polygon(places)])


def across(angle: float, away: float) -> Any:
    """A line from outside to outside that passes the middle at some distance."""
    along, aside = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    middle = np.array([114, 22.5]) + away * aside
    return shapely.LineString([middle - along, middle + along])


@given(STARS, st.floats(0, 6.28), st.floats(-0.05, 0.05))
@settings(max_examples=200, deadline=None)
def test_what_is_split_and_merged_again_is_what_it_was(radii: list[float], angle: float, away: float) -> None:
    whole = star(radii)
    try:
        kept, new = drawing.split(whole, across(angle, away), None)
    except drawing.CannotDraw:
        assume(False)
    assert polygons.fault(kept) == polygons.fault(new) == ""
    # In degrees, where a vertex on a straight edge changes nothing.
    assert shapely.area(kept) + shapely.area(new) == pytest.approx(shapely.area(whole), rel=1e-9)
    assert drawing.lacking(whole, [kept, new]) == []
    assert all(map(drawing.is_noise, drawing.areas_of(shapely.intersection(kept, new))))
    merged = drawing.merge([kept, new], ["a", "b"])
    assert shapely.area(merged) == pytest.approx(shapely.area(whole), rel=1e-9)
    assert drawing.lacking(merged, [whole]) == drawing.lacking(whole, [merged]) == []


@given(STARS, st.floats(0, 6.28), st.floats(-0.05, 0.05), st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_place_that_is_named_stays(radii: list[float], angle: float, away: float, first: bool) -> None:
    whole = star(radii)
    try:
        parts = drawing.split(whole, across(angle, away), None)
    except drawing.CannotDraw:
        assume(False)
    place = shapely.point_on_surface(parts[0 if first else 1])
    kept, _new = drawing.split(whole, across(angle, away), (place.x, place.y))
    assert shapely.covers(kept, place)


@given(STARS, st.floats(1.0, 100.0), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_a_border_drawn_nearby_is_snapped_onto_its_neighbour(radii: list[float], metres: float, seed: int) -> None:
    """A hole cut into a square by one hand and filled by another is full after a snap, but for what is narrower."""
    hole = star(radii)
    around = shapely.difference(box(113.5, 22, 114.5, 23), hole)
    chance = np.random.default_rng(seed)
    shaken = shapely.transform(hole, lambda places: _shake(places, chance, metres / 3))
    assume(shapely.is_valid(shaken))
    try:
        snapped = drawing.snap(shaken, [around], metres)
    except drawing.CannotDraw:
        assume(False)
    assert polygons.fault(snapped) == ""
    assert all(map(drawing.is_noise, drawing.areas_of(shapely.intersection(snapped, around))))


def _shake(places: Any, chance: Any, metres: float) -> Any:
    moved = places + chance.uniform(-1, 1, places.shape) * metres / 111_320 / 1.5
    moved[-1] = moved[0]  # a ring stays closed
    return moved


@given(st.lists(st.tuples(degrees, degrees), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_the_deepest_place_is_found_as_one_by_one(places: list[tuple[float, float]]) -> None:
    boxes = [
        (1, 0, 0, 1, 1),
        (2, 0, 0, 0.5, 1),
        (2, 0.5, 0, 1, 1),
        (4, 0.25, 0.25, 0.75, 0.75),
        (4, 0.1, 0.1, 0.2, 0.2),
    ]
    known = [
        Place(str(n), str(n), Level(level), "", str(n), n + 1, box(*sides)) for n, (level, *sides) in enumerate(boxes)
    ]
    lon, lat = (np.array(axis) for axis in zip(*places, strict=True))
    for number, (x, y) in zip(prospects.deepest(known, lon, lat), places, strict=True):
        covering = [place for place in known if shapely.covers(place.geom, shapely.Point(x, y))]
        best = max(covering, key=lambda place: (place.level, -(place.region_id or 0)), default=None)
        assert (known[number] if number >= 0 else None) is best


@pytest.mark.django_db
@given(
    st.lists(st.tuples(st.floats(0, 6.28), st.floats(-0.08, 0.08)), min_size=1, max_size=3), st.integers(0, 2**32 - 1)
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_a_publication_every_place_lies_in_exactly_one_district(
    lines: list[tuple[float, float]], seed: int
) -> None:
    """A city is split again and again along random lines and published; no place is lost or lies in two."""
    before = transaction.savepoint()
    try:
        _split_and_look(lines, seed)
    finally:
        transaction.savepoint_rollback(before)


def _split_and_look(lines: list[tuple[float, float]], seed: int) -> None:
    user = make_user(is_staff=True)
    city = make_region("440300", "深圳市", Level.CITY, None, (113.9, 22.4, 114.1, 22.6))
    make_region("440305", "南山区", Level.DISTRICT, city, (113.9, 22.4, 114.1, 22.6))
    for number, (angle, away) in enumerate(lines):
        draft = drafts.make(name="split", author=user, now=now())
        values = {"code": "440305", "line": across(angle, away), "new": {"code": f"44039{number}", "name": "新"}}
        try:
            drafts.edit(draft.pk, version=1, op="split", values=values, by=user, now=now())
        except drafts.EditRefused:
            continue
        draft.refresh_from_db()
        assert problems.of(draft, since=now()).open == []
        assert not Prospect.of(draft, since=now()).shapes["440305"].is_stale
        publishing.publish(draft.pk, version=draft.version, since=None, by=user, now=now())
    chance = np.random.default_rng(seed)
    places = [(float(y), float(x)) for x, y in chance.uniform((113.9, 22.4), (114.1, 22.6), (500, 2))]
    at = now() + timedelta(seconds=1)
    districts = dict(Region.objects.filter(level=Level.DISTRICT).values_list("pk", "code"))
    found = regions.covering(places, at=at)
    assert set(found) <= districts.keys()
    held = prospects.in_force([(113.9, 22.4, 114.1, 22.6)], [Level.DISTRICT], since=at)
    points = shapely.points([(lon, lat) for lat, lon in places])
    assert (sum(shapely.covers(place.geom, points).astype(int) for place in held) == 1).all()
