"""Orders and geocoders: lies go to review, honest answers do not, and an outage makes orders wait, not guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from network.models import Level, Region
from pickup import orders
from pickup.models import Order
from tests import factories
from tests.factories import make_draft, make_merchant, make_point
from tests.geocoder_server import Answer, GeocoderServer, Spot, serving

pytestmark = pytest.mark.django_db
AT = now()
HOME = Spot(22.535, 113.93)


@pytest.fixture
def city() -> Region:
    """Shenzhen with two districts, and another city that has the same street."""
    chain = factories.make_chain()
    factories.make_region("440304", "福田区", Level.DISTRICT, chain[Level.CITY], (114.0, 22.4, 114.2, 22.65))
    factories.make_region("441900", "东莞市", Level.CITY, chain[Level.PROVINCE], (113.5, 22.9, 114.3, 23.2))
    make_point(capacity=10_000)
    return chain[Level.CITY]


@pytest.fixture
def server(settings: Any, city: Region) -> Iterator[GeocoderServer]:
    with serving(lambda words: HOME) as running:
        settings.GEOCODERS = f"nominatim={running.url}/?rate=1000"
        yield running


def place(count: int, text: str = "广东省深圳市南山区科苑路{}号", *, at: datetime = AT) -> list[int]:
    drafts = [make_draft(address=text.format(number), lat=None, lon=None) for number in range(1, count + 1)]
    placed = orders.place_many(merchant=make_merchant()[0], drafts=drafts, now=at)
    assert not [one for one in placed if isinstance(one, orders.Refused)]
    return [one.order.pk for one in placed if isinstance(one, orders.Placed)]


def sweep(at: datetime) -> None:
    orders.locate_waiting(now=at, limit=500)
    orders.assign_waiting(now=at, limit=10_000)


def statuses() -> dict[str, int]:
    found: dict[str, int] = {}
    for status in Order.objects.values_list("status", flat=True):
        found[status] = found.get(status, 0) + 1
    return found


def reasons() -> set[str]:
    return set(Order.objects.values_list("review_reason", flat=True))


def test_an_honest_answer_places_the_order(server: GeocoderServer) -> None:
    [order_id] = place(1)
    sweep(AT)
    order = Order.objects.select_related("address").get(pk=order_id)
    assert (order.status, order.address.source) == ("assigned", "nominatim")
    assert order.address.location is not None
    assert order.address.location.coords == (HOME.lon, HOME.lat)


LIES: dict[str, tuple[Callable[[int], Answer], str]] = {
    "0/0": (lambda number: Spot(0, 0), "null_island"),
    "swapped": (lambda number: Spot(113.93, 22.5 + number / 1000), "implausible_answer"),
    "abroad": (lambda number: Spot(48.1, 11.5 + number / 1000), "outside_regions"),
    "swapped abroad": (lambda number: Spot(87.6, 43.8 + number / 1000), "outside_regions"),
    "same street in another town": (lambda number: Spot(23.0, 113.7 + number / 1000), "text_location_differ"),
    "same street in another district": (lambda number: Spot(22.5, 114.05 + number / 1000), "text_location_differ"),
    "middle of the city": (lambda number: Spot(22.65, 114.15), "text_location_differ"),
    "low rank": (lambda number: Spot(22.53 + number / 1000, 113.9, fine=False), "low_accuracy"),
    "not a number": (lambda number: Spot(float("nan"), 113.9), "implausible_answer"),
    "no words": (lambda number: Spot("", ""), "implausible_answer"),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_thirty_lies_of_each_kind_go_to_review(lie: str, server: GeocoderServer) -> None:
    answer, reason = LIES[lie]
    server.answer = lambda words: answer(int("".join(filter(str.isdigit, words))))
    place(30)
    sweep(AT)
    sweep(AT + timedelta(minutes=1))
    assert (statuses(), reasons()) == ({"review": 30}, {reason})


def test_an_answer_that_changes_goes_to_review(server: GeocoderServer) -> None:
    place(1)
    sweep(AT)
    server.answer = lambda words: Spot(22.545, 113.93)
    later = AT + timedelta(days=91)
    place(2, at=later)  # one of them has the same text
    sweep(later)
    assert statuses() == {"assigned": 2, "review": 1}
    assert reasons() == {"", "answer_changed"}


def test_a_text_whose_region_is_open_is_not_asked_for(server: GeocoderServer) -> None:
    place(1, "科苑路{}号")
    sweep(AT)
    assert server.texts == []
    assert reasons() == {"no_region_named"}


def test_an_answer_against_what_the_text_hints_at_goes_to_review(server: GeocoderServer) -> None:
    place(1, "深圳福田科技园{}栋")
    sweep(AT)
    assert reasons() == {"text_location_differ"}
    server.answer = lambda words: Spot(22.53, 114.01)
    [order_id] = place(1, "深圳福田科技园0{}栋")
    sweep(AT)
    assert Order.objects.get(pk=order_id).address.region == Region.objects.get(code="440304")
    assert reasons() == {"text_location_differ", ""}


def test_a_city_without_its_district_is_completed_by_the_answer(server: GeocoderServer) -> None:
    [order_id] = place(1, "广东省深圳市科苑路{}号")
    sweep(AT)
    order = Order.objects.select_related("address").get(pk=order_id)
    assert order.status == "assigned"
    assert order.address.region_id == Region.objects.get(code="440305-1").pk


def test_an_unknown_address_falls_back_to_its_words(server: GeocoderServer) -> None:
    server.answer = lambda words: None
    [order_id] = place(1)
    sweep(AT)
    assert Order.objects.select_related("address").get(pk=order_id).address.source == "gazetteer"


def test_coordinates_of_the_merchant_come_first(server: GeocoderServer) -> None:
    orders.place(merchant=make_merchant()[0], draft=make_draft(), now=AT)
    sweep(AT)
    assert server.texts == []


def test_an_outage_of_ten_minutes_loses_and_guesses_nothing(server: GeocoderServer, is_long: bool) -> None:
    """Orders come all the time; the clock is the caller's, so that the ten minutes take as long as the sweeps."""
    many, every = (2_000, 10) if is_long else (200, 30)
    server.answer = lambda words: (503, {}, b"")
    batches = 600 // every
    for number in range(batches):
        at = AT + timedelta(seconds=number * every)
        place(many // batches, f"广东省深圳市南山区科苑路{number}号{{}}栋", at=at)
        sweep(at)
        assert set(statuses()) == {"received"}
    asked = len(server.asked)
    assert asked < 200
    server.answer = lambda words: HOME
    back = at = AT + timedelta(minutes=10)
    while statuses().get("received"):
        sweep(at)
        at += timedelta(seconds=10)
        assert at - back <= timedelta(minutes=15)
    assert statuses() == {"assigned": many // batches * batches}
    assert set(Order.objects.values_list("address__source", flat=True)) == {"nominatim"}


def test_an_outage_without_an_end_leaves_it_to_the_words(server: GeocoderServer, settings: Any) -> None:
    server.answer = lambda words: (503, {}, b"")
    place(1)
    place(1, "广东省深圳市科苑路{}号")
    for minutes in range(0, 31, 5):
        assert statuses() == {"received": 2}
        sweep(AT + timedelta(minutes=minutes))
    assert statuses() == {"assigned": 1, "review": 1}
    assert reasons() == {"", "district_not_named"}


def test_waiting_for_a_geocoder_counts_as_no_try(server: GeocoderServer) -> None:
    server.answer = lambda words: (503, {}, b"")
    [order_id] = place(1)
    for number in range(2 * orders.TRIES):
        sweep(AT + timedelta(minutes=number))
    order = Order.objects.get(pk=order_id)
    assert (order.status, order.tries) == ("received", 0)


def test_orders_that_need_no_geocoder_pass_those_that_wait(server: GeocoderServer) -> None:
    server.answer = lambda words: (503, {}, b"")
    place(5)
    sweep(AT)
    orders.place(merchant=make_merchant()[0], draft=make_draft(), now=AT)
    sweep(AT + timedelta(seconds=1))
    assert statuses() == {"received": 5, "assigned": 1}


def test_a_broken_state_table_asks_nobody(server: GeocoderServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pace is in the database: while it cannot be read, no question leaves the network."""

    def broken(**_: Any) -> Any:
        raise RuntimeError("no pace")

    monkeypatch.setattr("network.pacing.take", broken)
    place(1)
    sweep(AT)
    assert server.texts == []
    assert statuses() == {"received": 1}
