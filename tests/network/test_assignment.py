"""The nearest available point: true metres, every loser's reason, and the exact search against brute force."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from geopy.distance import geodesic
from hypothesis import given
from hypothesis import strategies as st

from network import assignment
from network.assignment import Demand, Lost
from network.models import Level, Pause, Region, ServicePoint, Size
from tests import factories
from tests.factories import make_point

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 18, 4, tzinfo=UTC)  # a Wednesday, 12:00 in Shanghai


def nothing_held(_: Iterable[int]) -> Mapping[int, int]:
    return {}


def demand(lat: float = 22.54, lon: float = 113.94, **fields: Any) -> Demand:
    defaults: dict[str, Any] = {"key": 1, "size": Size.SMALL, "parcels": 1, "chain": []}
    return Demand(lat=lat, lon=lon, **(defaults | fields))


def assign(*demands: Demand, held: Mapping[int, int] | None = None, **options: Any) -> dict[int, assignment.Choice]:
    return assignment.assign(demands, at=NOON, held_at=lambda ids: held or {}, **options)


def reasons(choice: assignment.Choice) -> dict[int, str]:
    return {point_id: reason for point_id, _, reason in choice.tried}


def test_the_nearest_point_is_chosen_and_the_farther_one_says_so() -> None:
    near, far = make_point(lat=22.541), make_point(lat=22.55)
    choice = assign(demand())[1]
    assert choice.point_id == near.pk
    assert reasons(choice) == {near.pk: "", far.pk: Lost.FARTHER}


def test_distances_are_metres_on_the_ellipsoid() -> None:
    point = make_point(lat=22.6, lon=114.0)
    choice = assign(demand())[1]
    metres = geodesic((22.54, 113.94), (22.6, 114.0)).m
    assert choice.distance_m == pytest.approx(metres, abs=0.01)
    assert choice.point_id == point.pk


def test_metres_decide_and_not_degrees() -> None:
    """At 60° a degree of longitude is half as long as one of latitude."""
    east = make_point(lat=60.0, lon=30.015)
    make_point(lat=60.010, lon=30.0)
    assert assign(demand(lat=60.0, lon=30.0))[1].point_id == east.pk


def loser(**point: Any) -> ServicePoint:
    """A point next door that should lose, and a winner farther away."""
    make_point(lat=22.56, ref="winner")
    return make_point(lat=22.541, ref="loser", **point)


def test_a_point_out_of_its_reach_loses() -> None:
    point = loser(reach_m=50)
    assert reasons(assign(demand())[1])[point.pk] == Lost.BEYOND_REACH


def test_a_point_that_holds_only_small_parcels_loses_a_large_one() -> None:
    point = loser(largest_size=Size.SMALL)
    assert reasons(assign(demand(size=Size.LARGE))[1])[point.pk] == Lost.TOO_LARGE


def test_a_full_point_loses() -> None:
    point = loser(capacity=5)
    assert reasons(assign(demand(), held={point.pk: 5})[1])[point.pk] == Lost.FULL


def test_all_parcels_of_an_order_need_room() -> None:
    point = loser(capacity=5)
    assert reasons(assign(demand(parcels=2), held={point.pk: 4})[1])[point.pk] == Lost.FULL
    assert assign(demand(parcels=1), held={point.pk: 4})[1].point_id == point.pk


def test_a_paused_point_loses_until_the_pause_ends() -> None:
    point = loser()
    pause = Pause.objects.create(
        service_point=point,
        reason="vacation",
        period=DateTimeTZRange(NOON - timedelta(hours=1), NOON + timedelta(hours=1)),
    )
    assert reasons(assign(demand())[1])[point.pk] == Lost.PAUSED
    Pause.objects.filter(pk=pause.pk).update(period=DateTimeTZRange(NOON - timedelta(hours=1), NOON))
    assert assign(demand())[1].point_id == point.pk


@pytest.mark.parametrize(
    ("hours", "shut"),
    [
        ("", False),
        ("24/7", False),
        ("Mo-Su 09:00-21:00", False),
        ("Th 09:00-12:00", False),
        ("Mo 09:00-12:00", True),
        ("off", True),
    ],
)
def test_a_point_that_does_not_open_within_the_promised_days_loses(hours: str, shut: bool) -> None:
    point = loser(opening_hours=hours)
    assert (reasons(assign(demand())[1])[point.pk] == Lost.SHUT) is shut


@pytest.mark.parametrize("status", ["proposed", "suspended", "closed"])
def test_a_point_that_is_not_active_is_no_candidate(status: str) -> None:
    point = loser(status=status)
    assert point.pk not in reasons(assign(demand())[1])


def test_a_region_can_ask_to_be_served_from_within() -> None:
    chain = factories.make_chain()
    Region.objects.filter(pk=chain[Level.DISTRICT].pk).update(network_level=Level.DISTRICT)
    point = loser(region_ids=[chain[Level.CITY].pk])
    ServicePoint.objects.filter(ref="winner").update(region_ids=[chain[Level.DISTRICT].pk])
    choice = assign(demand(chain=factories.chain_ids(chain)))[1]
    assert reasons(choice)[point.pk] == Lost.OTHER_NETWORK
    assert choice.point_id == ServicePoint.objects.get(ref="winner").pk


def test_a_point_asked_for_is_taken_even_beyond_its_reach() -> None:
    make_point(lat=22.541)
    wanted = make_point(lat=24.0)
    assert assign(demand(wanted_point=wanted.pk))[1].point_id == wanted.pk


def test_a_point_asked_for_that_is_full_is_not_replaced_by_another() -> None:
    make_point(lat=22.541)
    wanted = make_point(lat=22.55, capacity=0)
    choice = assign(demand(wanted_point=wanted.pk))[1]
    assert (choice.point_id, reasons(choice)) == (None, {wanted.pk: Lost.FULL})


def test_orders_of_one_sweep_share_the_room() -> None:
    near, next_one = make_point(lat=22.541, capacity=2), make_point(lat=22.545, capacity=2)
    choices = assign(*(demand(key=key) for key in range(5)))
    assert [choices[key].point_id for key in range(5)] == [near.pk, near.pk, next_one.pk, next_one.pk, None]


def test_without_any_point_nothing_is_chosen() -> None:
    choice = assign(demand())[1]
    assert (choice.point_id, choice.tried) == (None, [])


def test_the_search_goes_on_past_many_full_points() -> None:
    for n in range(20):
        make_point(lat=22.541 + n / 10_000, capacity=0)
    free = make_point(lat=22.56)
    assert assign(demand(), look=4)[1].point_id == free.pk


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lat", [0.0, 22.5, 48.9, 67.0])
def test_the_choice_is_the_nearest_available_of_a_brute_force(seed: int, lat: float) -> None:
    random_ = random.Random(seed)
    points = [
        make_point(
            lat=lat + random_.gauss(0, 0.05),
            lon=20 + random_.gauss(0, 0.05),
            capacity=random_.choice([0, 1, 5]),
            reach_m=random_.choice([1000, 5000, 20_000]),
            largest_size=random_.choice([Size.SMALL, Size.LARGE]),
        )
        for _ in range(60)
    ]
    size = random_.choice([Size.SMALL, Size.LARGE])
    here = (lat, 20.0)
    metres = {p.pk: geodesic(here, (p.location.y, p.location.x)).m for p in points}
    available = [p.pk for p in points if p.capacity >= 1 and p.reach_m >= metres[p.pk] and p.largest_size >= size]
    best = min(available, key=lambda pk: metres[pk], default=None)
    choice = assign(demand(*here, size=size), look=4)[1]
    assert choice.point_id == best
    if best is not None:
        assert choice.distance_m == pytest.approx(metres[best], abs=0.01)


@given(st.text(max_size=20))
def test_hours_that_nobody_can_read_never_stop_a_sweep(hours: str) -> None:
    assert assignment.is_shut(hours, NOON) in (True, False)
