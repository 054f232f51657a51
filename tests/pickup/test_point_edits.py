"""A point is changed: what is told before is what happens, the chooser itself says where orders would go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.gis.geos import Point
from django.utils.timezone import now

from network.models import ServicePoint, User
from pickup import orders, point_edits
from pickup.models import Assignment, Order, Parcel
from pickup.point_edits import Impact, Refused, Values
from tests import factories
from tests.factories import chain_ids, make_parcel, make_point, make_ready_parcel

pytestmark = pytest.mark.django_db
# Where make_parcel's addresses lie.
LAT, LON = 22.54, 113.94


@pytest.fixture
def ids(chain: dict[Any, Any]) -> list[int]:
    return chain_ids(chain)


@pytest.fixture
def point(ids: list[int]) -> ServicePoint:
    return make_point(LAT, LON, name="Near", region_id=ids[0], region_ids=ids, capacity=10)


@pytest.fixture
def other(ids: list[int]) -> ServicePoint:
    return make_point(LAT + 0.01, LON, name="Other", region_id=ids[0], region_ids=ids, capacity=10)


@pytest.fixture
def staff(db: None) -> User:
    return factories.make_user(is_staff=True)


def with_(point: ServicePoint, **fields: Any) -> Values:
    return replace(point_edits.values_of(point), **fields)


def impact(point: ServicePoint, **fields: Any) -> Impact:
    at = now()
    return point_edits.impact(point, point_edits.changed(point, with_(point, **fields), at=at), now=at)


def save(point: ServicePoint, by: User, *, keep: bool = False, **fields: Any) -> int:
    seen = point_edits.version(point)
    return point_edits.save(point=point, values=with_(point, **fields), seen=seen, keep_expected=keep, by=by, now=now())


def place_at(order: Order, lat: float) -> None:
    order.address.location = Point(LON, lat, srid=4326)
    order.address.save(update_fields=["location"])


def test_a_smaller_reach_loses_who_lives_beyond_it(point: ServicePoint, other: ServicePoint, ids: list[int]) -> None:
    near, far = make_parcel(point, region_ids=ids), make_parcel(point, region_ids=ids)
    place_at(far.order, LAT + 0.004)  # 443 m
    told = impact(point, reach_m=200)
    assert [(loser.order, loser.why, loser.instead) for loser in told.losers] == [(far.order, "beyond_reach", other)]
    assert told.expected == 2
    assert round(told.losers[0].distance_m) == 664
    assert near.order not in [loser.order for loser in told.losers]


def test_who_chose_the_point_comes_however_far_it_is(point: ServicePoint, ids: list[int]) -> None:
    far = make_parcel(point, region_ids=ids)
    place_at(far.order, LAT + 0.004)
    Order.objects.filter(pk=far.order_id).update(requested_point=point)
    assert not impact(point, reach_m=200).losers


def test_less_room_loses_those_who_came_last_and_never_what_is_there(
    point: ServicePoint, other: ServicePoint, ids: list[int]
) -> None:
    make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    coming = [make_parcel(point, region_ids=ids) for _ in range(3)]
    told = impact(point, capacity=2)
    assert [(loser.order, loser.why) for loser in told.losers] == [(parcel.order, "full") for parcel in coming[1:]]
    assert told.here == 1
    assert {loser.instead for loser in told.losers} == {other}
    assert {loser.why for loser in impact(point, capacity=0).losers} == {"full"}


def test_what_the_others_have_no_room_for_goes_to_review(
    point: ServicePoint, other: ServicePoint, ids: list[int]
) -> None:
    ServicePoint.objects.filter(pk=other.pk).update(capacity=1)
    for _ in range(3):
        make_parcel(point, region_ids=ids)
    told = impact(point, capacity=0)
    assert sorted(str(loser.instead and loser.instead.name) for loser in told.losers) == ["None", "None", "Other"]


def test_a_smaller_size_and_another_place_lose_too(point: ServicePoint, other: ServicePoint, ids: list[int]) -> None:
    large = make_parcel(point, region_ids=ids, size=3)
    assert [loser.order for loser in impact(point, largest_size=2).losers] == [large.order]
    told = impact(point, lat=LAT - 0.1)
    assert [(loser.order, loser.why) for loser in told.losers] == [(large.order, "beyond_reach")]
    assert not impact(point, lat=LAT + 0.001).losers


def test_the_preview_writes_nothing(point: ServicePoint, other: ServicePoint, ids: list[int]) -> None:
    coming = make_parcel(point, region_ids=ids)
    impact(point, lat=LAT - 0.1, capacity=0)
    coming.refresh_from_db()
    point.refresh_from_db()
    assert (coming.service_point, point.capacity, point.location.y) == (point, 10, LAT)


def test_saving_does_what_was_told(point: ServicePoint, other: ServicePoint, staff: User, ids: list[int]) -> None:
    here = make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    coming = [make_parcel(point, region_ids=ids) for _ in range(3)]
    told = impact(point, capacity=2)
    assert save(point, staff, capacity=2) == len(told.losers) == 2
    orders.assign_waiting(now=now(), limit=10)
    went = dict(Parcel.objects.values_list("order_id", "service_point_id"))
    assert {loser.order.pk: loser.instead.pk for loser in told.losers if loser.instead} == {
        parcel.order_id: went[parcel.order_id] for parcel in coming[1:]
    }
    here.refresh_from_db()
    assert here.service_point == point


def test_orders_on_their_way_may_come_nevertheless(
    point: ServicePoint, other: ServicePoint, staff: User, ids: list[int]
) -> None:
    coming = make_parcel(point, region_ids=ids)
    assert save(point, staff, keep=True, capacity=0) == 0
    coming.refresh_from_db()
    assert coming.service_point == point


def test_a_point_that_moves_gets_the_regions_of_its_place(
    point: ServicePoint, staff: User, chain: dict[Any, Any]
) -> None:
    save(point, staff, lat=22.45, lon=113.85)
    point.refresh_from_db()
    assert point.region_ids == factories.chain_ids(chain)[1:]
    with pytest.raises(Refused, match="outside_regions"):
        save(point, staff, lat=0.0, lon=0.0)


def test_nobody_saves_over_a_change_that_was_not_seen(point: ServicePoint, staff: User) -> None:
    seen = point_edits.version(point)
    save(point, staff, capacity=20)
    with pytest.raises(Refused, match="changed"):
        point_edits.save(
            point=point, values=with_(point, capacity=5), seen=seen, keep_expected=False, by=staff, now=now()
        )
    point.refresh_from_db()
    assert point.capacity == 20


def past_order(point: ServicePoint, ids: list[int], *, days: float, stays_h: float, lat: float = LAT) -> Order:
    at = now() - timedelta(days=days)
    parcel = make_parcel(point, region_ids=ids)
    place_at(parcel.order, lat)
    Assignment.objects.create(
        order=parcel.order,
        service_point=point,
        distance_m=abs(lat - LAT) * 110_600,
        candidates=[[point.pk, 1.0, ""], [point.pk + 1, 1100.0, "farther"]],
        region_ids=ids,
        assigned_at=at,
    )
    scanner = factories.scanner_of(point)
    factories.arrive(scanner, parcel)
    parcel.refresh_from_db()
    factories.pick_up(scanner, parcel)
    Parcel.objects.filter(pk=parcel.pk).update(collected_at=at + timedelta(hours=stays_h))
    return parcel.order


def test_the_last_month_is_replayed_with_the_room_that_there_was(point: ServicePoint, ids: list[int]) -> None:
    past_order(point, ids, days=40, stays_h=1000)  # too long ago to be counted as one of them
    past_order(point, ids, days=9, stays_h=24)
    past_order(point, ids, days=8.5, stays_h=24)  # both stood there at once
    past_order(point, ids, days=5, stays_h=24, lat=LAT + 0.004)
    told = impact(point, capacity=1)
    assert (told.past, told.elsewhere, told.past_why) == (3, 1, {"full": 1})
    assert impact(point, reach_m=300).past_why == {"beyond_reach": 1}
    assert impact(point, lat=LAT + 0.03).past_why == {"farther": 3}
    assert impact(point, name="Other name").elsewhere == 0


def test_neighbours_are_told_with_metres_and_load(point: ServicePoint, other: ServicePoint, ids: list[int]) -> None:
    make_parcel(other, region_ids=ids)
    [one] = point_edits.neighbours(lat=LAT, lon=LON, limit=5, now=now(), but=point.pk)
    assert (one.point, round(one.distance_m), one.held) == (other, 1107, 1)


def test_what_a_new_point_gains_is_counted_where_none_is_near(point: ServicePoint, ids: list[int]) -> None:
    make_parcel(point, region_ids=ids)
    assert point_edits.gained(lat=LAT, lon=LON, region_id=ids[0], now=now()) == (1, 0)
    ServicePoint.objects.filter(pk=point.pk).update(status="suspended")
    assert point_edits.gained(lat=LAT, lon=LON, region_id=ids[0], now=now()) == (1, 1)
    assert point_edits.gained(lat=LAT + 0.1, lon=LON, region_id=ids[0], now=now()) == (0, 0)
