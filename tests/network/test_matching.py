"""Many at once: as many as possible are served, with the fewest metres, and every loser's reason is true."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.contrib.gis.geos import Point
from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from geopy.distance import geodesic
from scipy.optimize import linear_sum_assignment

from network import assignment, matching
from network.assignment import Choice, Demand, Lost
from network.matching import Asked
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
    """What was planned, read again from what is stored of it."""
    plan = matching.plan(Asked.of(demands), at=NOON, held_at=lambda ids: held or {})
    columns = (plan.point.tolist(), plan.metres.tolist(), plan.overflow.tolist(), plan.told(np.arange(len(demands))))
    return {
        one.key: Choice(point or None, metres, [tuple(row) for row in json.loads(told)], overflow)
        for one, point, metres, overflow, told in zip(demands, *columns, strict=True)
    }


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


def in_two_districts(
    overflow: str, network_level: int = Level.DISTRICT
) -> tuple[list[int], ServicePoint, ServicePoint]:
    """A full point in the district of the addresses, and a free one nearer to them in the district next to it."""
    chain = factories.make_chain()
    Region.objects.filter(pk=chain[Level.DISTRICT].pk).update(network_level=network_level, overflow=overflow)
    ids = factories.chain_ids(chain)
    above = ids[ids.index(chain[Level.DISTRICT].pk) + 1 :]
    own = make_point(lat=22.55, ref="own", region_ids=ids, capacity=1)
    neighbour = make_point(lat=22.541, ref="neighbour", region_ids=above, capacity=1)
    return ids, own, neighbour


def alone(demands: Sequence[Demand]) -> dict[int, Choice]:
    return assignment.assign(demands, at=NOON, held_at=lambda ids: {})


@pytest.mark.parametrize("way", [alone, assign])
@pytest.mark.parametrize(("overflow", "helps"), [("never", False), ("parent", True), ("reach", True)])
def test_a_neighbour_helps_out_only_as_the_region_says_and_only_when_all_are_full(
    way: Any, overflow: str, helps: bool
) -> None:
    ids, own, neighbour = in_two_districts(overflow)
    choices = way([demand(1, chain=ids), demand(2, chain=ids)])
    first = next(choice for choice in choices.values() if choice.point_id == own.pk)
    assert (first.overflow, first.tried[0]) == (False, (neighbour.pk, first.tried[0][1], Lost.OTHER_NETWORK))
    [second] = [choice for choice in choices.values() if choice.point_id != own.pk]
    assert (second.point_id, second.overflow) == ((neighbour.pk, True) if helps else (None, False))
    assert [reason for _, _, reason in second.tried] == ["" if helps else Lost.OTHER_NETWORK, Lost.FULL]


@pytest.mark.parametrize("way", [alone, assign])
@pytest.mark.parametrize(("overflow", "helps"), [("parent", False), ("reach", True)])
def test_the_region_above_is_as_far_as_a_neighbour_may_lie(way: Any, overflow: str, helps: bool) -> None:
    ids, own, neighbour = in_two_districts(overflow)
    ServicePoint.objects.filter(pk=own.pk).update(capacity=0)
    ServicePoint.objects.filter(pk=neighbour.pk).update(region_ids=[])
    assert way([demand(1, chain=ids)])[1].point_id == (neighbour.pk if helps else None)


@pytest.mark.parametrize("way", [alone, assign])
def test_nobody_asks_for_a_neighbour_by_name(way: Any) -> None:
    ids, _, neighbour = in_two_districts("reach")
    assert way([demand(1, chain=ids, wanted_point=neighbour.pk)])[1].point_id is None


def test_who_can_be_served_at_home_makes_room_for_nobody_from_outside() -> None:
    """The one in the west has the free point of the own district in reach, the one in the east the neighbour only."""
    ids, own, neighbour = in_two_districts("reach")
    ServicePoint.objects.filter(pk=own.pk).update(capacity=2)
    choices = assign([demand(1, chain=ids), demand(2, chain=ids)])
    assert {choice.point_id for choice in choices.values()} == {own.pk}
    assert not any(choice.overflow for choice in choices.values()), neighbour.ref


def test_who_goes_to_a_neighbour_is_told_of_farther_ones_that_they_are_farther() -> None:
    ids, own, neighbour = in_two_districts("reach")
    ServicePoint.objects.filter(pk=own.pk).update(capacity=0)
    farther = make_point(lat=22.6, region_ids=[])
    for way in (alone, assign):
        told = {point_id: reason for point_id, _, reason in way([demand(1, chain=ids)])[1].tried}
        assert told == {own.pk: Lost.FULL, neighbour.pk: "", farther.pk: Lost.FARTHER}


@pytest.mark.parametrize("overflow", ["parent", "reach"])
def test_a_region_that_anybody_may_serve_has_nobody_to_help_out(overflow: str) -> None:
    region = factories.make_chain()[Level.DISTRICT]
    with pytest.raises(IntegrityError, match="region_overflow_goes_beyond_a_network"), transaction.atomic():
        Region.objects.filter(pk=region.pk).update(overflow=overflow)
