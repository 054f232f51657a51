"""What reviewers confirmed is used for the same text, for nothing else, and nobody but a reviewer can change it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from network import geocoding, memory
from network.geocoding import Query, locate
from network.models import ConfirmedPlace, Level, Region
from tests import factories
from tests.factories import chain_ids

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
TEXT = "广东省深圳市南山区科苑路1号"
HOME = (22.5401, 113.9401)  # in the custom region
ELSEWHERE = (22.45, 113.85)  # in the same district, 13 km away


def remember(
    text: str = TEXT, city: str = "", *, told: tuple[float, float] | None = None, **fields: Any
) -> ConfirmedPlace:
    lat, lon = fields.pop("place", HOME)
    key = geocoding.read(Query(text, city, sender=fields.pop("sender", ""))).key
    by = fields.pop("by", None) or factories.make_user(is_staff=True)
    return memory.remember(key, lat=lat, lon=lon, accuracy_m=10, told=told, by=by, at=fields.pop("at", now()))


def one(query: Query) -> geocoding.Place:
    return locate([query], at=now())[0]


def test_a_confirmed_text_is_located_by_memory(chain: Chain) -> None:
    place = remember()
    found = one(Query(TEXT))
    assert (found.source, found.review, found.accuracy_m) == ("remembered", "", 10)
    assert list(found.region_ids) == chain_ids(chain)
    assert found.remembered == place.pk


@pytest.mark.parametrize(
    "text",
    [
        "广东省深圳市南山区科苑路１号",  # full-width
        " 广东省 深圳市 南山区，科苑路1号 ",
        "廣東省深圳市南山區科苑路1号",
    ],
)
def test_the_same_text_is_the_same_however_it_is_typed(chain: Chain, text: str) -> None:
    assert memory.key(TEXT) == memory.key(text)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("科苑路1-23号", "科苑路12-3号"),
        ("科苑路1号", "科苑路11号"),
        ("科苑路1 2号", "科苑路12号"),
        ("1 Keyuan Rd 2", "12 Keyuan Rd"),
    ],
)
def test_other_numbers_are_another_text(text: str, other: str) -> None:
    assert memory.key(text) != memory.key(other)


def test_the_city_column_belongs_to_the_text() -> None:
    assert memory.key("人民路1号", "深圳市") != memory.key("人民路1号", "广州市")
    assert memory.key("b", "a") != memory.key("ab", "")


def test_the_text_is_not_kept(chain: Chain) -> None:
    remember()
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(p)::text FROM network_confirmedplace p")
        kept = cursor.fetchone()[0]
    assert "科苑" not in kept
    assert TEXT.encode().hex() not in kept


def test_coordinates_that_agree_go_on_by_memory(chain: Chain) -> None:
    remember()
    assert one(Query(TEXT, lat=HOME[0] + 0.001, lon=HOME[1])).source == "remembered"


def test_coordinates_that_contradict_go_to_review(chain: Chain) -> None:
    place = remember()
    found = one(Query(TEXT, lat=ELSEWHERE[0], lon=ELSEWHERE[1]))
    assert (found.review, found.detail) == ("remembered_elsewhere", {"remembered": place.pk})
    assert (found.lat, found.lon) == ELSEWHERE


def test_coordinates_that_a_reviewer_set_aside_say_nothing_new(chain: Chain) -> None:
    remember(told=ELSEWHERE)
    assert one(Query(TEXT, lat=ELSEWHERE[0], lon=ELSEWHERE[1])).source == "remembered"


def test_what_was_set_aside_is_kept_while_the_place_stays_and_not_beyond(chain: Chain) -> None:
    remember(told=ELSEWHERE)
    remember(told=(22.6, 113.9))
    assert one(Query(TEXT, lat=ELSEWHERE[0], lon=ELSEWHERE[1])).source == "remembered"
    remember(place=(22.62, 113.82))
    assert one(Query(TEXT, lat=ELSEWHERE[0], lon=ELSEWHERE[1])).review == "remembered_elsewhere"


def test_a_reviewer_may_overrule_the_words(chain: Chain) -> None:
    factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY], (113.7, 22.66, 114.0, 22.85))
    remember(place=(22.7, 113.9))
    found = one(Query(TEXT))
    assert (found.review, Region.objects.get(pk=found.region_ids[0]).name) == ("", "宝安区")


def test_a_region_that_moved_away_puts_the_text_in_review(chain: Chain) -> None:
    remember(place=(45.0, 100.0))
    assert one(Query(TEXT)).review == "outside_regions"


def test_words_that_name_no_region_are_their_senders_own(chain: Chain) -> None:
    remember("科苑路科兴科学园1号", sender="merchant 1")
    assert one(Query("科苑路科兴科学园1号", sender="merchant 1")).source == "remembered"
    assert one(Query("科苑路科兴科学园1号", sender="merchant 2")).review == "no_region_named"
    assert one(Query("科苑路科兴科学园1号")).review == "no_region_named"


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        (TEXT, True),
        ("广东省深圳市南山区", False),
        ("广东省深圳市南山区南山街道", False),
        ("深圳市南山区科苑路", False),
        ("深圳市南山区科苑路科兴科学园", True),
        ("Room 5, 1 Keyuan Road, Nanshan District, Shenzhen", True),
        ("Nanshan District, Shenzhen", False),
        ("Shenzhen, Guangdong, People's Republic of China", False),
        ("518000 广东省深圳市", False),
    ],
)
def test_only_a_text_that_says_more_than_regions_is_exact(chain: Chain, text: str, exact: bool) -> None:
    assert geocoding.read(Query(text)).exact is exact


def test_the_names_of_regions_are_found_in_the_text(chain: Chain) -> None:
    reading = geocoding.read(Query("中国廣東省深圳市 南山区科苑路1号"))
    assert ["中国廣東省深圳市 南山区科苑路1号"[start:end] for start, end in reading.spans] == [
        "廣東省",
        "深圳市",
        "南山区",
    ]
    latin = "1 Keyuan Road, Nanshan District, Shen Zhen"
    assert [latin[start:end] for start, end in geocoding.read(Query(latin)).spans] == ["Nanshan District", "Shen Zhen"]


def test_what_nobody_uses_is_forgotten_and_what_is_used_stays(chain: Chain) -> None:
    old = remember(at=now() - memory.KEPT + timedelta(days=1))
    memory.count_uses([old.pk, old.pk], at=now())
    old.refresh_from_db()
    assert old.used == 2
    assert old.kept_until > now() + timedelta(days=100)
    remember("广东省深圳市南山区科苑路2号", at=now() - memory.KEPT)
    assert one(Query("广东省深圳市南山区科苑路2号")).source == "gazetteer"
    assert memory.forget_unused(now=now()) == 1
    assert ConfirmedPlace.objects.get() == old


def test_a_forgotten_text_is_asked_about_again(chain: Chain) -> None:
    place = remember()
    assert memory.forget(bytes(place.key))
    assert not memory.forget(bytes(place.key))
    assert one(Query(TEXT)).source == "gazetteer"


def test_no_order_adds_or_changes_what_is_remembered(chain: Chain) -> None:
    """However often a merchant repeats it: only `remember` writes, and nothing that locates calls it."""
    place = remember()
    locate(
        [Query(TEXT, lat=ELSEWHERE[0], lon=ELSEWHERE[1])] * 50 + [Query("广东省深圳市南山区科苑路3号")] * 50, at=now()
    )
    assert ConfirmedPlace.objects.values_list("pk", "location").get() == (place.pk, place.location)


def test_locating_many_looks_the_memory_up_once(chain: Chain) -> None:
    remember()
    queries = [Query(TEXT), *(Query(f"广东省深圳市南山区科苑路{n}号") for n in range(300))]
    locate(queries[:2], at=now())  # the tree of names is read once for good
    with CaptureQueriesContext(
        connection,
    ) as few:
        locate(queries[:2], at=now())
    with CaptureQueriesContext(connection) as many:
        locate(queries, at=now())
    assert len(few) == len(many)
    assert sum("network_confirmedplace" in query["sql"] for query in many.captured_queries) == 1


@pytest.mark.parametrize(
    "fields", [{"accuracy_m": 0}, {"kept_until": now() - timedelta(days=999)}, {"confirmed_by_id": None}]
)
def test_a_place_without_sense_cannot_be_written(chain: Chain, fields: dict[str, Any]) -> None:
    place = remember()
    with pytest.raises(IntegrityError), transaction.atomic():
        ConfirmedPlace.objects.filter(pk=place.pk).update(**fields)
