"""Coverage: which addresses have an open point near by, and the places where one more helps most."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils.timezone import now
from hypothesis import given, settings
from hypothesis import strategies as st

from network import coverage
from network.coverage import Places, Points
from network.models import Pause
from tests.factories import make_point

MONDAY = datetime(2026, 11, 16)  # noqa: DTZ001  (the clock on the shop's wall)
ALWAYS = (1 << coverage.WEEK_H) - 1
STEP = 0.001  # degrees; about 111 m of latitude


def bits(*hours: str) -> np.ndarray:
    return np.array([coverage.hours_open(text, MONDAY) for text in hours], dtype=np.uint64).reshape(-1, coverage.WORDS)


def hours_of(mask: np.ndarray) -> set[int]:
    flat = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return set(np.flatnonzero(flat).tolist())


def places(*rows: tuple[float, float], weight: list[int] | None = None) -> Places:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return Places(columns[:, 0], columns[:, 1], np.array(weight or [1] * len(rows), dtype=np.int64))


def points(*rows: tuple[float, float], hours: str = "") -> Points:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return Points(columns[:, 0], columns[:, 1], bits(*[hours] * len(rows)), 0)


# Opening hours.


def test_a_shop_is_open_from_its_first_hour_until_before_its_last() -> None:
    assert hours_of(bits("Mo 09:00-21:00")) == set(range(9, 21))


def test_an_hour_that_begins_before_the_shop_opens_does_not_count() -> None:
    assert hours_of(bits("Mo 09:30-11:30")) == {10, 11}


def test_days_of_the_week_have_their_places() -> None:
    assert hours_of(bits("Su 10:00-12:00")) == {6 * 24 + 10, 6 * 24 + 11}
    assert len(hours_of(bits("24/7"))) == coverage.WEEK_H


def test_hours_that_nobody_told_or_can_read_count_as_open() -> None:
    assert hours_of(bits("")) == hours_of(bits("whenever I like")) == set(range(coverage.WEEK_H))


@pytest.mark.django_db
def test_only_active_points_that_are_not_paused_count() -> None:
    make_point(opening_hours="Mo-Su 08:00-20:00")
    make_point(status="suspended")
    paused = make_point()
    Pause.objects.create(
        service_point=paused,
        reason="full",
        period=DateTimeTZRange(now() - timedelta(days=1), now() + timedelta(days=1)),
    )
    make_point(22.6, 113.9)
    found = coverage.points_at(now())
    assert (len(found.lat), found.without_hours) == (2, 1)
    assert found.lat.tolist() == [22.535, 22.6]


@pytest.mark.django_db
def test_without_any_point_nothing_is_covered() -> None:
    found = coverage.points_at(now())
    assert not coverage.hours_covered(places((22.5, 113.9)), found, within_m=1000).any()
    assert np.isinf(coverage.nearest_m(places((22.5, 113.9)), found)).all()


# Metres.


@pytest.mark.django_db
def test_metres_agree_with_the_ellipsoid() -> None:
    random = np.random.default_rng(1)
    lat, lon = random.uniform(-60, 60, 500), random.uniform(-170, 170, 500)
    far = random.uniform(-0.5, 0.5, (2, 500))
    ours = coverage.distance_m(lat, lon, lat + far[0], lon + far[1])
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT ST_Distance(ST_MakePoint(a, b)::geography, ST_MakePoint(c, d)::geography)
               FROM unnest(%s::float8[], %s::float8[], %s::float8[], %s::float8[]) AS u(b, a, d, c)""",
            [lat.tolist(), lon.tolist(), (lat + far[0]).tolist(), (lon + far[1]).tolist()],
        )
        theirs = np.array([row[0] for row in cursor.fetchall()])
    assert np.abs(ours / theirs - 1).max() < 1e-4


near_degrees = st.tuples(st.floats(-0.03, 0.03), st.floats(-0.03, 0.03))


@settings(deadline=None)
@given(
    st.sampled_from([0.0, 22.5, 45.0, 68.0]),
    st.lists(near_degrees, min_size=1, max_size=25),
    st.lists(near_degrees, min_size=1, max_size=25),
    st.sampled_from([100.0, 900.0, 2500.0]),
)
def test_no_pair_within_reach_is_missed_and_none_beyond_is_told(
    around: float, froms: list[tuple[float, float]], tos: list[tuple[float, float]], within_m: float
) -> None:
    a = places(*[(around + y, 113.9 + x) for y, x in froms])
    b = places(*[(around + y, 113.9 + x) for y, x in tos])
    told = {
        (int(here), int(there))
        for batch in coverage.pairs_within(a.lat, a.lon, b.lat, b.lon, within_m=within_m)
        for here, there in zip(batch[0], batch[1], strict=True)
    }
    true = {
        (i, j)
        for i, j in itertools.product(range(len(a)), range(len(b)))
        if coverage.distance_m(a.lat[i : i + 1], a.lon[i : i + 1], b.lat[j : j + 1], b.lon[j : j + 1])[0] <= within_m
    }
    assert told == true


def test_batches_keep_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "TOGETHER", 2)
    some = places(*[(22.5 + 0.1 * n, 113.9) for n in range(5)])
    shops = points((22.5, 113.9), (22.7, 113.9), (22.9, 113.9))
    covered = coverage.hours_covered(some, shops, within_m=100)
    assert covered.any(axis=1).tolist() == [True, False, True, False, True]


def test_the_nearest_point_is_found_however_far() -> None:
    some = places((22.5, 113.9), (22.5, 115.9), (60.0, 20.0))
    nearest = coverage.nearest_m(some, points((22.5, 113.901), (22.51, 113.9)))
    assert nearest[0] == pytest.approx(102.8, abs=0.5)
    assert nearest[1] == pytest.approx(205_700, rel=0.01)
    assert np.isinf(nearest[2])


# Shares.


def test_shares_are_counted_by_group_and_hour() -> None:
    some = places((22.5, 113.9), (22.5, 113.9), (22.6, 113.9), weight=[2, 1, 5])
    shops = points((22.5, 113.9), hours="Mo 09:00-11:00")
    covered = coverage.hours_covered(some, shops, within_m=500)
    everybody, any_hour, by_hour = coverage.shares(covered, some.weight, np.array([0, 1, 1]), groups=3)
    assert (everybody.tolist(), any_hour.tolist()) == ([2, 6, 0], [2, 1, 0])
    assert by_hour[:, 8:12].tolist() == [[0, 2, 2, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_an_hour_is_covered_when_any_shop_within_reach_is_open() -> None:
    shops = Points(
        np.array([22.5, 22.501, 22.6]),
        np.array([113.9] * 3),
        bits("Mo 09:00-12:00", "Mo 11:00-14:00", "Mo 06:00-08:00"),
        0,
    )
    assert hours_of(coverage.hours_covered(places((22.5, 113.9)), shops, within_m=300)[0]) == set(range(9, 14))


# Where one more helps most.


def test_the_place_with_most_addresses_comes_first_and_tells_what_it_saves() -> None:
    crowd, few = [(22.5, 113.9)] * 5, [(22.7, 113.9)] * 2
    some = places(*crowd, *few)
    current = coverage.nearest_m(some, points((22.45, 113.9)))
    plan = coverage.best_sites(some, current_m=current, within_m=1000, count=2)
    assert [site.covers for site in plan.sites] == [5, 2]
    assert (plan.covered, plan.bound, plan.proven) == (7, 7, True)
    first = plan.sites[0]
    assert first.saved_m is not None
    assert first.saved_m / first.covers == pytest.approx(5_300, abs=400)
    assert first.example < 5


def test_a_place_to_look_at_is_never_an_address() -> None:
    plan = coverage.best_sites(places((22.50013, 113.90027)), current_m=np.array([9e9]), within_m=1000)
    [site] = plan.sites
    assert (round(site.lat, 5), round(site.lon, 5)) != (22.50013, 113.90027)


def test_no_address_is_counted_for_two_places() -> None:
    some = places(*[(22.5 + STEP * n, 113.9) for n in range(40)])
    plan = coverage.best_sites(some, current_m=np.full(40, 1e5), within_m=1000, count=3)
    assert sum(site.covers for site in plan.sites) == plan.covered <= 40


def test_without_addresses_there_is_nothing_to_plan() -> None:
    assert coverage.best_sites(places(), current_m=np.zeros(0), within_m=1000) == coverage.Plan([], 0, 0, 0, 0)


def test_where_no_shop_exists_the_metres_stay_unknown() -> None:
    plan = coverage.best_sites(places((22.5, 113.9)), current_m=np.array([np.inf]), within_m=1000)
    assert plan.sites[0].saved_m is None


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14), st.integers(1, 9)), min_size=1, max_size=14),
    st.integers(1, 3),
)
def test_the_plan_is_the_best_of_all_and_the_bound_is_true(rows: list[tuple[int, int, int]], count: int) -> None:
    """Against trying every choice of cells; and greedy alone keeps its promise of 1 − 1/e."""
    some = places(
        *[(22.5 + 4 * STEP * y, 113.9 + 4 * STEP * x) for y, x, _ in rows], weight=[many for *_, many in rows]
    )
    far = np.full(len(some), 1e5)
    best = best_of_all(some, within_m=1000, count=count)
    greedy = coverage.best_sites(some, current_m=far, within_m=1000, count=count, exact=False)
    exact = coverage.best_sites(some, current_m=far, within_m=1000, count=count, exact=True)
    assert greedy.covered <= best <= greedy.bound
    assert greedy.covered >= (1 - 1 / np.e) * best
    assert (exact.covered, exact.bound, exact.proven) == (best, best, True)


def best_of_all(some: Places, *, within_m: float, count: int) -> int:
    lat, lon = coverage._cells(some, side_m=within_m / 2)
    reach: dict[int, set[int]] = {}
    for here, there, _ in coverage.pairs_within(some.lat, some.lon, lat, lon, within_m=within_m):
        for place, site in zip(here.tolist(), there.tolist(), strict=True):
            reach.setdefault(site, set()).add(place)
    choices = itertools.combinations(reach, min(count, len(reach)))
    return max(
        (int(some.weight[sorted(set().union(*(reach[site] for site in sites)))].sum()) for sites in choices), default=0
    )


def test_greedy_is_not_the_best_where_it_is_led_astray() -> None:
    """A crowd in the middle is taken first, and then the two halves around it each need a place of their own."""
    left, right = [(22.5, 113.9 - 9 * STEP)] * 5, [(22.5, 113.9 + 9 * STEP)] * 5
    middle = [(22.5, 113.9 - 3 * STEP), (22.5, 113.9 + 3 * STEP)] * 2
    some = places(*left, *middle, *right)
    plan = coverage.best_sites(some, current_m=np.full(len(some), 1e5), within_m=1000, count=2)
    assert (plan.covered, plan.proven) == (14, True)
    assert plan.greedy_covered <= plan.covered


def test_the_solver_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    some = places(*[(22.5 + STEP * n, 113.9) for n in range(30)])
    plan = coverage.best_sites(some, current_m=np.full(30, 1e5), within_m=500, count=2, exact=False)
    assert plan.covered == plan.greedy_covered <= plan.bound
