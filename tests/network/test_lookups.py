"""The chain over real sockets: remembered answers, one question a text, outages that read as outages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from network import answers, geocoders, lookups
from network.geocoders import Outcome
from network.lookups import Lookup, words_for
from network.models import GeocodedPlace, GeocoderState
from tests.geocoder_server import GeocoderServer, Spot, serving

pytestmark = pytest.mark.django_db
AT = now()
HOME = Spot(22.5401, 113.9401)
TEXT = "深圳市南山区科苑路1号"


@pytest.fixture
def first(settings: Any) -> Iterator[GeocoderServer]:
    with serving(lambda words: HOME) as running:
        settings.GEOCODERS = f"nominatim={running.url}/?rate=1000&timeout=5"
        yield running


@pytest.fixture
def second(first: GeocoderServer, settings: Any) -> Iterator[GeocoderServer]:
    with serving(lambda words: HOME) as running:
        settings.GEOCODERS += f" photon={running.url}/?rate=1000&timeout=5"
        yield running


def look_up(*texts: str, at: datetime = AT, budget_s: float = 10.0) -> list[Lookup]:
    return lookups.look_up(texts, at=at, budget_s=budget_s)


def one(text: str = TEXT, **fields: Any) -> Lookup:
    return look_up(text, **fields)[0]


def down(words: str) -> Any:
    return 500, {}, b""


def test_an_answer_is_asked_for_once(first: GeocoderServer) -> None:
    assert one().said == one().said
    assert one("深圳市  南山区科苑路１号").source == "nominatim"
    assert first.texts == [TEXT]


def test_equal_texts_of_one_batch_are_asked_for_once(first: GeocoderServer) -> None:
    found = look_up(*[TEXT] * 20, "深圳市南山区科苑路2号")
    assert len(first.asked) == 2
    assert all(lookup.said is not None for lookup in found)


def test_the_texts_are_nowhere_in_the_database(first: GeocoderServer) -> None:
    one()
    row = GeocodedPlace.objects.get()
    assert bytes(row.key) == answers.key(TEXT)
    assert "科苑" not in repr(vars(row))


def test_an_unknown_address_is_remembered_for_a_week(first: GeocoderServer) -> None:
    first.answer = lambda words: None
    assert one() == one() == lookups.NOTHING
    assert len(first.asked) == 1
    first.answer = lambda words: HOME
    assert one(at=AT + timedelta(days=6)) == lookups.NOTHING
    assert one(at=AT + timedelta(days=8)).said is not None


def test_an_answer_is_asked_for_again_when_it_is_old(first: GeocoderServer) -> None:
    one()
    assert one(at=AT + timedelta(days=89)).said is not None
    assert len(first.asked) == 1
    assert one(at=AT + timedelta(days=91)).moved is False
    assert len(first.asked) == 2


def test_an_outage_is_not_remembered_and_does_not_read_as_unknown(first: GeocoderServer) -> None:
    first.answer = down
    assert one() == Lookup(waits=True)
    assert not GeocodedPlace.objects.exists()
    first.answer = lambda words: HOME
    assert one().said is not None


def test_an_answer_that_moved_is_told_until_it_is_forgotten(first: GeocoderServer) -> None:
    one()
    first.answer = lambda words: Spot(22.5901, 113.9401)
    later = AT + timedelta(days=91)
    assert one(at=later).moved is True
    assert one(at=later).moved is True  # as remembered
    first.answer = lambda words: HOME
    assert one(at=later + timedelta(days=91)).moved is True  # and back: who knows which
    answers.forget_old(now=AT + timedelta(days=1000))
    assert one(at=AT + timedelta(days=1001)).moved is False


def test_an_answer_that_moved_by_a_house_did_not_move(first: GeocoderServer) -> None:
    one()
    first.answer = lambda words: Spot(22.5421, 113.9401)
    assert one(at=AT + timedelta(days=91)).moved is False


def test_implausible_answers_are_told_and_not_remembered(first: GeocoderServer, second: GeocoderServer) -> None:
    first.answer = lambda words: Spot(113.94, 22.54)
    found = one()
    assert found.said is not None
    assert (found.said.outcome, found.source) == (Outcome.IMPLAUSIBLE, "nominatim")
    assert not second.asked
    assert not GeocodedPlace.objects.exists()


def test_the_second_is_asked_where_the_first_is_down_or_does_not_know(
    first: GeocoderServer, second: GeocoderServer
) -> None:
    assert one().source == "nominatim"
    first.answer = down
    assert one("深圳市南山区科苑路2号").source == "photon"
    first.answer = lambda words: None
    assert one("深圳市南山区科苑路3号").source == "photon"
    assert len(second.asked) == 2


def test_it_waits_where_one_does_not_know_and_the_other_is_down(first: GeocoderServer, second: GeocoderServer) -> None:
    first.answer, second.answer = down, lambda words: None
    assert one().waits
    first.answer, second.answer = (lambda words: None), down
    assert one("深圳市南山区科苑路2号").waits
    first.answer = second.answer = lambda words: None
    assert not one("深圳市南山区科苑路3号").waits


def test_a_question_that_is_not_accepted_does_not_wait(first: GeocoderServer) -> None:
    first.answer = lambda words: (400, {}, b"")
    assert one() == lookups.NOTHING
    assert not GeocodedPlace.objects.exists()


def test_an_outage_costs_few_questions(first: GeocoderServer) -> None:
    first.answer = down
    found = look_up(*[f"深圳市南山区科苑路{number}号" for number in range(200)])
    assert all(lookup.waits for lookup in found)
    assert len(first.asked) <= lookups.GIVE_UP_AFTER + lookups.AT_ONCE
    asked = len(first.asked)
    one()
    assert len(first.asked) == asked


def test_who_says_that_it_is_too_much_is_left_alone(first: GeocoderServer) -> None:
    first.answer = lambda words: (429, {"retry-after": "120"}, b"")
    look_up(*[f"深圳市南山区科苑路{number}号" for number in range(100)])
    assert len(first.asked) <= lookups.AT_ONCE
    first.answer = lambda words: HOME
    assert one(at=AT + timedelta(seconds=119)).waits
    assert one(at=AT + timedelta(seconds=121)).said is not None


def test_with_no_time_nobody_is_asked(first: GeocoderServer) -> None:
    assert one(budget_s=0) == Lookup(waits=True)
    one()
    assert one(budget_s=0).said is not None
    assert len(first.asked) == 1


def test_what_does_not_fit_into_the_time_waits_for_the_next_turn(first: GeocoderServer, settings: Any) -> None:
    settings.GEOCODERS = settings.GEOCODERS.replace("rate=1000", "rate=2")
    slept: list[float] = []
    found = lookups.look_up(
        [f"深圳市南山区科苑路{number}号" for number in range(50)], at=AT, budget_s=3.0, sleep=slept.append
    )
    assert sum(lookup.said is not None for lookup in found) == 6
    assert sum(lookup.waits for lookup in found) == 44
    assert max(slept) == pytest.approx(2.5, abs=0.2)


def test_a_service_whose_answers_may_not_be_kept_is_asked_each_time(first: GeocoderServer, settings: Any) -> None:
    settings.GEOCODERS += "&cache_days=0"
    assert one().said is not None
    assert one().said is not None
    assert len(first.asked) == 2
    assert not GeocodedPlace.objects.exists()


def test_without_geocoders_nothing_is_looked_up(settings: Any, django_assert_num_queries: Any) -> None:
    settings.GEOCODERS = ""
    with django_assert_num_queries(0):
        assert look_up(TEXT) == [lookups.NOTHING]


def test_a_batch_costs_few_queries(first: GeocoderServer, django_assert_max_num_queries: Any) -> None:
    GeocoderState.objects.create(name="nominatim", free_at=AT)
    with django_assert_max_num_queries(6):
        look_up(*[f"深圳市南山区科苑路{number}号" for number in range(100)])
    with django_assert_max_num_queries(1):
        look_up(*[f"深圳市南山区科苑路{number}号" for number in range(100)])


@pytest.mark.parametrize(
    ("text", "city", "words"),
    [
        ("南山区科苑路1号", "深圳市", "深圳市南山区科苑路1号"),
        ("深圳市南山区科苑路1号", "深圳市", "深圳市南山区科苑路1号"),
        ("广东省深圳市南山区科苑路1号 王五收 13911112222", "", "广东省深圳市南山区科苑路1号"),
        ("收件人：张三，电话：138 0013 8000，深圳市南山区科苑路1号", "", "深圳市南山区科苑路1号"),
        ("深圳市南山区科苑路1号阳光花园3栋1502室 李女士", "", "深圳市南山区科苑路1号阳光花园3栋"),
        ("深圳市南山区科苑路１号", "", "深圳市南山区科苑路1号"),
    ],
)
def test_only_what_is_needed_leaves_our_network(text: str, city: str, words: str) -> None:
    assert words_for(text, city) == words


def test_geocoders_are_read_from_the_settings_each_time(first: GeocoderServer, settings: Any) -> None:
    assert len(geocoders.configured()) == 1
    settings.GEOCODERS = ""
    assert geocoders.configured() == ()
