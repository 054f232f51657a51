"""Many at once: as many as possible are served, with the fewest metres, and every loser's reason is true."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.contrib.gis.geos import Point
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from geopy.distance import geodesic
from scipy.optimize import linear_sum_assignment

from network import assignment, matching
from network.assignment import Choice, Demand, Lost
from network.models import Level, Pause, Region, ServicePoint, Size
from tests import factories
from tests.factories import make_point

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 18, 4, tzinfo=UTC)  # a Wednesday, 12:00 in Shanghai


@pytest.fixture(autouse=True)
def even_a_few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "FEW", 1)


def demand(key: int, lat: float = 22.54, lon: float = 113.94, **fields: Any) -> Demand:
    defaults: dict[str, Any] = {"size": Size.SMALL, "parcels": 1, "chain": []}
    return Demand(key=key, lat=lat, lon=lon, **(defaults | fields))


def assign(demands: Sequence[Demand], held: Mapping[int, int] | None = None) -> dict[int, Choice]:
    return matching.assign(demands, at=NOON, held_at=lambda ids: held or {})


def scattered(dice: random.Random, count: int, **fields: Any) -> list[Demand]:
    return [demand(key, 22.5 + dice.random() / 10, 113.9 + dice.random() / 10, **fields) for key in range(1, count + 1)]


def make_points(dice: random.Random, count: int, capacity: Iterable[int], **fields: Any) -> list[ServicePoint]:
    return ServicePoint.objects.bulk_create(
        ServicePoint(
            ref=f"M{number}",
            name=f"Shop {number}",
            status="active",
            location=Point(113.9 + dice.random() / 10, 22.5 + dice.random() / 10, srid=4326),
            capacity=room,
            **({"reach_m": 50_000, "largest_size": Size.LARGE} | fields),
        )
        for number, room in zip(range(count), capacity, strict=False)
    )


def metres(one: Demand, point: ServicePoint) -> float:
    return float(geodesic((one.lat, one.lon), (point.location.y, point.location.x)).m)


def check_reasons(demands: Sequence[Demand], points: Sequence[ServicePoint], choices: Mapping[int, Choice]) -> None:
    """Nobody is over capacity; who lost as full is full; nobody passed a nearer point that has room."""
    held: Counter[int] = Counter()
    for one in demands:
        if (point_id := choices[one.key].point_id) is not None:
            held[point_id] += one.parcels
    by_id = {point.pk: point for point in points}
    for one in demands:
        choice = choices[one.key]
        own_m = choice.distance_m if choice.point_id is not None else float("inf")
        for point_id, told_m, reason in choice.tried:
            point = by_id[point_id]
            assert told_m == pytest.approx(metres(one, point), abs=0.06)
            if reason == Lost.FULL:
                assert held[point_id] + one.parcels > point.capacity
            elif reason == Lost.BEYOND_REACH:
                assert told_m > point.reach_m
            elif reason == Lost.FARTHER:
                assert told_m >= round(own_m, 1)
        nearer = [point for point in points if metres(one, point) < min(own_m - 0.001, point.reach_m)]
        assert all(held[point.pk] + one.parcels > point.capacity for point in nearer)
    assert all(held[point.pk] <= point.capacity for point in points)


@pytest.mark.parametrize("seed", range(3))
def test_with_room_for_all_everybody_gets_the_nearest_and_is_told_the_same_as_alone(seed: int) -> None:
    dice = random.Random(seed)
    points = make_points(dice, 30, [1000] * 30, reach_m=3_000)
    demands = scattered(dice, 60)
    choices = assign(demands)
    alone = assignment.assign(demands, at=NOON, held_at=lambda ids: {})
    for one in demands:
        assert choices[one.key].point_id == alone[one.key].point_id
        assert choices[one.key].distance_m == pytest.approx(alone[one.key].distance_m, abs=0.001)
        told = choices[one.key].tried
        assert told == [pytest.approx(row) for row in alone[one.key].tried[: len(told)]]
    check_reasons(demands, points, choices)


@pytest.mark.parametrize("seed", range(6))
def test_when_room_is_tight_the_total_is_that_of_an_independent_solver(seed: int) -> None:
    dice = random.Random(seed)
    points = make_points(dice, 12, [dice.randint(3, 7) for _ in range(12)])
    room = sum(point.capacity for point in points)
    demands = scattered(dice, room - dice.randint(0, 4))
    choices = assign(demands)
    places = [point for point in points for _ in range(point.capacity)]
    costs = np.array([[metres(one, place) for place in places] for one in demands])
    best = costs[linear_sum_assignment(costs)].sum()
    assert all(choice.point_id is not None for choice in choices.values())
    assert sum(choice.distance_m for choice in choices.values()) == pytest.approx(best, abs=0.1)
    check_reasons(demands, points, choices)


def test_as_many_as_possible_are_served_though_it_costs_the_others_metres() -> None:
    """The one in the south reaches only the southern point; who lives between has to leave it to them."""
    south = make_point(lat=22.50, capacity=1, reach_m=5_000)
    north = make_point(lat=22.56, capacity=1, reach_m=9_000)
    choices = assign([demand(1, 22.51), demand(2, 22.48)])
    assert (choices[1].point_id, choices[2].point_id) == (north.pk, south.pk)
    assert choices[1].tried[0][2] == Lost.FULL


def test_who_cannot_be_served_is_told_that_all_in_reach_are_full() -> None:
    point = make_point(lat=22.541, capacity=2)
    choices = assign([demand(key) for key in range(5)], held={point.pk: 1})
    served = [key for key, choice in choices.items() if choice.point_id == point.pk]
    assert len(served) == 1
    assert {choices[key].tried[0][2] for key in range(5) if key not in served} == {Lost.FULL}


@pytest.mark.parametrize("seed", range(4))
def test_orders_of_several_parcels_are_never_split_and_never_too_many(seed: int) -> None:
    dice = random.Random(seed)
    points = make_points(dice, 10, [dice.randint(2, 9) for _ in range(10)])
    demands = [demand(key, 22.5 + dice.random() / 10, parcels=dice.randint(1, 4)) for key in range(30)]
    check_reasons(demands, points, assign(demands))


def test_whatever_else_speaks_against_a_point_is_told_in_the_same_words() -> None:
    chain = factories.make_chain()
    district, macro = chain[Level.DISTRICT], chain[Level.MACRO]
    Region.objects.filter(pk=district.pk).update(network_level=Level.MACRO)
    ids = factories.chain_ids(chain)
    paused = make_point(lat=22.5401, region_ids=ids)
    Pause.objects.create(
        service_point=paused, reason="full", period=DateTimeTZRange(NOON - timedelta(hours=1), None, "[)")
    )
    make_point(lat=22.5402, region_ids=ids, opening_hours="Dec 01-10 08:00-20:00")
    make_point(lat=22.5403, region_ids=ids, largest_size=Size.SMALL)
    make_point(lat=22.5404, largest_size=Size.LARGE)
    make_point(lat=22.5405, region_ids=ids, largest_size=Size.LARGE, reach_m=1)
    make_point(lat=22.5406, region_ids=[macro.pk], largest_size=Size.LARGE, capacity=1)
    winner = make_point(lat=22.5407, region_ids=[macro.pk], largest_size=Size.LARGE)
    one = demand(1, size=Size.LARGE, parcels=2, chain=ids)
    choice = assign([one])[1]
    assert choice.point_id == winner.pk
    assert [reason for _, _, reason in choice.tried] == [
        Lost.PAUSED, Lost.SHUT, Lost.TOO_LARGE, Lost.OTHER_NETWORK, Lost.BEYOND_REACH, Lost.FULL, "",
    ]  # fmt: skip
    assert choice.tried == assignment.assign([one], at=NOON, held_at=lambda ids: {})[1].tried


@pytest.mark.parametrize(("in_the_way", "served"), [(20, True), (100, True), (300, False)])
def test_it_looks_farther_when_the_nearest_points_have_no_room(in_the_way: int, served: bool) -> None:
    make_points(random.Random(1), in_the_way, [0] * in_the_way)
    free = make_point(lat=22.8, reach_m=100_000)
    assert (assign([demand(1)])[1].point_id == free.pk) is served


def test_who_has_a_place_makes_room_with_a_point_that_it_had_not_seen() -> None:
    """Sixteen full points hide the free one from the person whose place somebody else needs."""
    make_points(random.Random(2), 40, [0] * 40)
    shared = make_point(lat=22.545, lon=113.95, capacity=1, reach_m=9_000)
    free = make_point(lat=22.8, lon=113.95, reach_m=100_000)
    choices = assign([demand(1, 22.5451, 113.95), demand(2, 22.546, 113.95, chain=[])])
    assert {choices[1].point_id, choices[2].point_id} == {shared.pk, free.pk}


def test_who_asked_for_a_point_by_name_gets_it_before_all_others() -> None:
    point, other = make_point(lat=22.541, capacity=1), make_point(lat=22.55)
    choices = assign([demand(1), demand(2, wanted_point=point.pk)])
    assert (choices[1].point_id, choices[2].point_id) == (other.pk, point.pk)


def test_without_points_nobody_is_served_and_nobody_fails() -> None:
    assert assign([demand(1), demand(2)]) == {1: Choice(None, 0.0, []), 2: Choice(None, 0.0, [])}
    assert assign([]) == {}


def test_a_part_too_large_for_one_flow_is_served_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MOST_ARCS", 10)
    dice = random.Random(3)
    points = make_points(dice, 6, [3] * 6)
    demands = scattered(dice, 18)
    choices = assign(demands)
    check_reasons(demands, points, choices)
    assert all(choice.point_id is not None for choice in choices.values())
