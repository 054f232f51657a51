"""Which region an address text names: by a small tree of real names, the tricky ones among them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network.gazetteer import MAX_CANDIDATES, MAX_TEXT, Gazetteer, Match, Place, Reason
from network.placenames import known_aliases

# Code, name, and the level where the code does not tell it. A line's parent is the last one that is indented less.
TREE = """
SOUTH 华南大区 1
  440000 广东省
    440100 广州市
      440106 天河区
      440111 白云区
    440300 深圳市
      440303 罗湖区
      440304 福田区
        futian-central 中央街道 5
      440305 南山区
        nanshan-yuehai 粤海街道 5
        nanshan-park 中心公园 5
        nanshan-central 中央街道 5
    441900 东莞市
    442000 中山市
110000 北京市
  110100 北京市
    110101 东城区
    110105 朝阳区
310000 上海市
  310100 上海市
    310101 黄浦区
    310115 浦东新区
500000 重庆市
  500105 江北区
  500243 彭水苗族土家族自治县
130000 河北省
  130200 唐山市
    130203 路北区
150000 内蒙古自治区
  150100 呼和浩特市
    150102 新城区
210000 辽宁省
  210200 大连市
    210202 中山区
  211300 朝阳市
    211381 北票市
220000 吉林省
  220100 长春市
    220104 朝阳区
    220105 二道区
  220200 吉林市
    220204 船营区
230000 黑龙江省
  230100 哈尔滨市
    230102 道里区
  230400 鹤岗市
    230404 南山区
320000 江苏省
  320100 南京市
    320106 鼓楼区
  320200 无锡市
    320281 江阴市
  320300 徐州市
    320302 鼓楼区
  320500 苏州市
    320505 虎丘区
    320583 昆山市
330000 浙江省
  330100 杭州市
    330106 西湖区
  330300 温州市
    330302 鹿城区
  330700 金华市
    330782 义乌市
340000 安徽省
  341300 宿州市
    341302 埇桥区
370000 山东省
  370200 青岛市
    370202 市南区
410000 河南省
  419001 济源市 3
420000 湖北省
  422800 恩施土家族苗族自治州
    422801 恩施市
    422802 利川市
430000 湖南省
  430100 长沙市
    430181 浏阳市
460000 海南省
  460200 三亚市
  469007 东方市 3
510000 四川省
  510100 成都市
    510116 双流区
  511100 乐山市
    511102 市中区
540000 西藏自治区
  540100 拉萨市
    540102 城关区
610000 陕西省
  610100 西安市
    610116 长安区
620000 甘肃省
  620100 兰州市
    620102 城关区
630000 青海省
  632500 海南藏族自治州
    632521 共和县
650000 新疆维吾尔自治区
  659001 石河子市 3
810000 香港特别行政区
  810005 油尖旺区
DE-BY Bayern 2
  DE-M München 3
DE-BE Berlin 2
"""


def read_tree() -> list[Place]:
    places: list[Place] = []
    line: list[Place] = []
    for number, row in enumerate(TREE.strip("\n").splitlines(), start=1):
        code, name, *level = row.split()
        line = line[: (len(row) - len(row.lstrip())) // 2]
        parent_id = line[-1].id if line else None
        aliases = tuple(alias.name for alias in known_aliases().get(code, ()))
        line.append(Place(number, code, name, int(level[0]) if level else level_of(code), parent_id, aliases))
        places.append(line[-1])
    return places


def level_of(code: str) -> int:
    """By GB/T 2260: 440000 is a province, 440300 a city, 440305 a district."""
    return 4 - (code.endswith("00")) - (code.endswith("0000"))


PLACES = read_tree()
GAZETTEER = Gazetteer(PLACES)
CODES = {place.id: place.code for place in PLACES}
IDS = {place.code: place.id for place in PLACES}


def certain(text: str, city: str = "") -> str | None:
    """Return the code of the place if the gazetteer is certain, else None."""
    match = GAZETTEER.find(text, city)
    return CODES[match.place_id] if match.reason is None and match.place_id is not None else None


def candidates(match: Match) -> set[str]:
    return {CODES[place] for place in match.candidates}


@pytest.mark.parametrize(
    "text",
    [
        "广东省深圳市南山区科技园科苑路15号",
        "广东深圳南山区科技园",
        "深圳市南山区",
        "深圳南山区科技园",
        "广东省南山区粤兴三道",
        "广东省 深圳市 南山区 科技园",
        "广东省，深圳市，南山区，科技园",
        "广东·深圳·南山·科技园",
        "518057 广东省深圳市南山区",
        "中国广东省深圳市南山区",
        "广东省广东省深圳市南山区",
        "广东省(深圳市)南山区【科技园】",
        "收货地址：广东省深圳市南山区科技园",
        "廣東省深圳市南山區科技園",
        "深圳 南山 科技园",
    ],
)
def test_region_names_are_read_however_they_are_written(text: str) -> None:
    assert certain(text) == "440305"


def test_chain_runs_from_the_root_to_the_place() -> None:
    match = GAZETTEER.find("深圳市南山区")
    assert [CODES[place] for place in match.chain] == ["SOUTH", "440000", "440300", "440305"]


@pytest.mark.parametrize("city", ["深圳市", "深圳", "广东省深圳市", "Shenzhen", "广东", " 深圳市 "])
def test_city_column_tells_which_of_two_districts_is_meant(city: str) -> None:
    assert certain("南山区科技园", city) == "440305"


def test_name_that_several_cities_share_is_ambiguous_without_the_city() -> None:
    match = GAZETTEER.find("南山区科技园")
    assert (match.place_id, match.reason) == (None, Reason.AMBIGUOUS_NAME)
    assert candidates(match) == {"440305", "230404"}


def test_ambiguous_districts_of_one_province_leave_the_province_certain() -> None:
    match = GAZETTEER.find("江苏省鼓楼区湖南路")
    assert match.reason is Reason.AMBIGUOUS_NAME
    assert match.place_id == IDS["320000"]
    assert candidates(match) == {"320106", "320302"}


def test_city_column_that_contradicts_the_text_is_a_conflict() -> None:
    match = GAZETTEER.find("深圳市南山区科技园", "广州市")
    assert match.reason is Reason.NAMES_CONFLICT
    assert candidates(match) == {"440100", "440305"}
    assert match.place_id == IDS["440000"]  # what both have in common


def test_district_outside_the_named_city_is_a_conflict() -> None:
    match = GAZETTEER.find("广州市南山区")
    assert match.reason is Reason.NAMES_CONFLICT
    assert candidates(match) == {"440100", "440305", "230404"}


def test_two_districts_side_by_side_are_a_conflict() -> None:
    match = GAZETTEER.find("福田区，罗湖区深南东路", "深圳市")
    assert (match.reason, match.place_id) == (Reason.NAMES_CONFLICT, IDS["440300"])


def test_text_without_a_region_is_what_the_city_column_says() -> None:
    assert certain("科技园科苑路15号", "深圳市") == "440300"


@pytest.mark.parametrize("text", ["", "   ", "科苑路15号", "12345", "Keyuan Road 15", "，，，"])
def test_text_without_a_region_or_a_city_names_none(text: str) -> None:
    assert GAZETTEER.find(text) == Match(None, (), Reason.NO_REGION_NAMED, ())


def test_city_column_without_a_known_region_is_ignored() -> None:
    assert certain("深圳市南山区", "桃花岛") == "440305"


def test_placeholder_of_a_list_in_the_city_column_is_ignored() -> None:
    assert certain("重庆市江北区", "市辖区") == "500105"


@pytest.mark.parametrize(
    ("text", "city", "code"),
    [
        ("昆山市前进西路", "苏州市", "320583"),
        ("前进西路", "昆山市", "320583"),
        ("江苏省苏州市昆山市前进西路", "昆山市", "320583"),
        ("苏州市人民路", "昆山市", "320583"),
        ("国际商贸城", "义乌", "330782"),
        ("江苏昆山玉山镇", "", "320583"),
        ("义乌，国际商贸城", "", "330782"),
    ],
)
def test_county_level_city_is_found_in_the_column_and_in_the_text(text: str, city: str, code: str) -> None:
    assert certain(text, city) == code


@pytest.mark.parametrize("text", ["北京市朝阳区建国路", "北京市北京市朝阳区建国路", "北京朝阳区", "北京市市辖区朝阳区"])
def test_municipality_is_province_and_city_at_once(text: str) -> None:
    assert certain(text) == "110105"


def test_municipality_named_alone_is_the_city() -> None:
    assert certain("北京市") == certain("北京 1号院") == "110100"


def test_district_right_below_a_municipality_needs_no_city_node() -> None:
    assert certain("重庆市重庆市江北区观音桥") == certain("重庆江北区观音桥") == "500105"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("内蒙古呼和浩特新城区", "150102"),
        ("内蒙呼和浩特市新城区", "150102"),
        ("新疆石河子市北二路", "659001"),
        ("西藏拉萨市城关区", "540102"),
        ("恩施州利川市", "422802"),
        ("湖北恩施土家族苗族自治州恩施市", "422801"),
        ("彭水县汉葭街道", "500243"),
        ("重庆市县彭水苗族土家族自治县汉葭街道", "500243"),
        ("重庆 重庆市 县 彭水县", "500243"),
        ("河南省省直辖县级行政区划济源市", "419001"),
        ("东莞长安镇长青路", "441900"),
        ("东莞市南城区", "441900"),
    ],
)
def test_unusual_units_and_their_usual_names_are_known(text: str, code: str) -> None:
    assert certain(text) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [("乐山市中区", "511102"), ("乐山市市中区", "511102"), ("青岛市南区", "370202"), ("青岛市市南区", "370202")],
)
def test_city_and_district_may_share_a_character(text: str, code: str) -> None:
    assert certain(text) == code


@pytest.mark.parametrize(
    "street",
    [
        "北京路1号",
        "南京东路1号",
        "广州大道1号",
        "天河路1号",
        "中山三路1号",
        "中山3路1号",
        "朝阳门外大街1号",
        "长安街1号",
    ],
)
def test_street_named_after_a_region_is_not_the_region(street: str) -> None:
    assert GAZETTEER.find(street).reason is Reason.NO_REGION_NAMED
    assert certain(street, "杭州市") == "330100"
    assert certain("杭州市" + street) == "330100"


def test_street_named_after_the_districts_of_its_city_is_not_the_district() -> None:
    assert certain("天河路208号", "广州市") == "440100"
    assert GAZETTEER.find("天河路208号", "广州市").candidates == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [("唐山市路北区", "130203"), ("哈尔滨道里区", "230102"), ("唐山路北区新华道", "130203")],
)
def test_district_that_begins_like_a_street_is_a_district(text: str, code: str) -> None:
    assert certain(text) == code


@pytest.mark.parametrize(
    ("text", "city", "district"),
    [
        ("广州白云机场", "广州市", "440111"),
        ("西安长安大学", "西安市", "610116"),
        ("长沙浏阳河公园", "长沙市", "430181"),
    ],
)
def test_landmark_named_after_a_district_is_only_a_hint(text: str, city: str, district: str) -> None:
    match = GAZETTEER.find(text)
    assert match.place_id == GAZETTEER.find("", city).place_id
    assert match.reason is None
    assert candidates(match) == {district}


@pytest.mark.parametrize("text", ["北京大学深圳研究院", "海南大厦", "兰州拉面", "西湖醋鱼店"])
def test_name_of_a_firm_or_a_dish_is_not_certain(text: str) -> None:
    assert certain(text) is None


def test_short_name_of_a_city_before_a_street_is_the_city() -> None:
    assert certain("杭州文三路100号") == "330100"


def test_shop_named_after_another_city_does_not_disturb() -> None:
    assert certain("深圳市南山区北京大厦12层") == "440305"
    assert certain("科技园北京大厦12层", "深圳市") == "440300"


def test_market_is_not_the_city_of_the_east() -> None:
    assert certain("三亚市东方市场") == "460200"


def test_later_lines_of_an_address_do_not_change_its_head() -> None:
    assert certain("福田区, 嘉里建设广场1座, 南山区海德一道", "深圳市") == "440304"
    assert certain("深圳市福田区福华三路, 广州市天河区天河路") == "440304"


def test_district_named_only_late_is_a_hint() -> None:
    match = GAZETTEER.find("1层103单元, 南山区海德一道", "深圳市")
    assert (match.place_id, match.reason, candidates(match)) == (IDS["440300"], None, {"440305"})


def test_district_named_only_late_and_without_a_city_is_unsure() -> None:
    match = GAZETTEER.find("1层103单元, 福田区福华路")
    assert (match.place_id, match.reason, candidates(match)) == (None, Reason.UNSURE_NAME, {"440304"})


def test_address_in_short_may_follow_a_name() -> None:
    assert certain("李四，广东深圳南山区科苑路15号") == "440305"
    assert certain("和平路1号，广东深圳南山区") == "440305"
    assert certain("科苑路15号楼，广东深圳南山区科苑路") is None


def test_name_of_a_shop_that_begins_with_the_city_supports_the_district() -> None:
    assert certain("深圳中心书城店 南山区, 科苑路15号") == "440305"
    assert certain("长安大学城店 长安区, 长安商贸中心") == "610116"
    assert GAZETTEER.find("杭州中心书城店 南山区, 科苑路15号").reason is not None
    assert GAZETTEER.find("1层103单元, 福田区福华路").reason is Reason.UNSURE_NAME


def test_name_of_a_shop_in_the_city_of_the_column_supports_the_district() -> None:
    assert certain("深圳万象城店 南山区, 1层101单元", "深圳市") == "440305"
    assert certain("深圳酒店 南山区, 1层101单元", "深圳市") == "440300"  # may be the next line of another address
    assert certain("深圳1层101单元, 南山区海德一道", "深圳市") == "440300"


def test_housing_estate_named_after_a_town_is_not_the_town() -> None:
    assert GAZETTEER.find("昆山新村8号").reason is Reason.UNSURE_NAME
    assert certain("义乌新村, 鹿城区8号", "温州市") != "330782"
    assert certain("杭州文三路100号") == "330100"


def test_second_address_does_not_disturb_a_city_without_districts() -> None:
    assert certain("东莞市, 星河城1层, 深圳市南山区海德一道", "东莞市") == "441900"
    assert GAZETTEER.find("深圳市, 星河城1层, 广州市天河区天河路", "深圳市").reason is Reason.NAMES_CONFLICT


VAGUE = Gazetteer(
    [
        Place(1, "510000", "四川省", 2, None),
        Place(2, "510400", "攀枝花市", 3, 1),
        Place(3, "510403", "西区", 4, 2),
        Place(4, "440000", "广东省", 2, None),
        Place(5, "442000", "中山市", 3, 4, ("中山西区",)),
        Place(6, "320200", "无锡市", 3, None),
        Place(7, "320214", "新吴区", 4, 6, ("无锡新区",)),
    ]
)


@pytest.mark.parametrize(("text", "city"), [("西区人民路8号", ""), ("人民路8号", "西区"), ("西区，西区人民路", "西区")])
def test_the_western_district_is_certain_only_with_its_city(text: str, city: str) -> None:
    match = VAGUE.find(text, city)
    assert (match.place_id, match.reason) == (None, Reason.UNSURE_NAME)


@pytest.mark.parametrize(
    ("text", "city", "place"),
    [
        ("攀枝花市西区人民路8号", "", 3),
        ("西区人民路8号", "攀枝花", 3),
        ("四川省攀枝花市，人民路8号", "西区", 3),
        ("人民路8号，西区，攀枝花市，四川省", "", 3),
        ("中山市西区人民路8号", "", 5),
        ("西区人民路8号", "中山市", 5),
        ("新区，湖滨街15号", "无锡市", 7),
        ("无锡市新区湖滨街15号", "", 7),
    ],
)
def test_the_western_district_is_read_where_its_city_is_known(text: str, city: str, place: int) -> None:
    match = VAGUE.find(text, city)
    assert (match.place_id, match.reason) == (place, None)


def test_characters_that_nobody_sees_do_not_break_a_name() -> None:
    assert certain("广东省深\u200b圳市\ufeff南山区科苑路") == "440305"


def test_district_in_the_column_is_no_city_of_that_alias() -> None:
    match = GAZETTEER.find("星河城", "东城区")
    assert candidates(match) == {"110101", "441900"}


def test_name_tried_in_vain_gives_way_to_a_shorter_one() -> None:
    assert certain("吉林长春二道区远达大街") == "220105"


def test_name_and_telephone_may_stand_before_the_address() -> None:
    assert certain("张三 13800138000 广东省深圳市南山区科苑路") == "440305"


def test_second_address_that_contradicts_the_city_column_is_a_conflict() -> None:
    assert GAZETTEER.find("张三 13800138000 广东省深圳市南山区", "昆山市").reason is Reason.NAMES_CONFLICT


def test_regions_may_stand_at_the_end_from_small_to_large() -> None:
    assert certain("科苑路15号科技园，南山区，深圳市") == "440305"


def test_region_in_brackets_as_the_former_one_is_skipped() -> None:
    assert certain("深圳市(原罗湖区)福田区") == "440304"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("海南三亚吉阳大道", "460200"),
        ("海南共和县", "632521"),
        ("海南州共和县", "632521"),
        ("海南 大英路1号", "460000"),
    ],
)
def test_name_of_a_province_and_a_prefecture_is_told_by_what_follows(text: str, code: str) -> None:
    assert certain(text) == code


def test_province_with_the_name_of_its_city_is_told_by_what_follows() -> None:
    assert certain("吉林 船营区") == certain("吉林省吉林市船营区") == "220204"
    assert certain("吉林长春朝阳区") == "220104"
    assert certain("吉林") == "220000"


def test_short_name_of_a_city_and_of_a_district_elsewhere_is_ambiguous() -> None:
    match = GAZETTEER.find("中山，解放路19号")
    assert match.reason is Reason.AMBIGUOUS_NAME
    assert candidates(match) == {"442000", "210202"}


def test_city_column_means_a_city_before_a_district_of_that_name() -> None:
    assert certain("建设路1号", "朝阳") == "211300"
    assert certain("南关街道", "吉林") == "220200"


def test_former_name_leads_to_the_region_of_today() -> None:
    assert certain("双流县东升街道", "成都市") == "510116"
    assert certain("上海市南汇区惠南镇") == "310115"
    assert certain("上海卢湾区淮海中路") == "310101"


def test_former_name_that_is_an_official_one_elsewhere_is_ambiguous() -> None:
    match = GAZETTEER.find("东城区星河城")
    assert match.reason is Reason.AMBIGUOUS_NAME
    assert candidates(match) == {"110101", "441900"}
    assert certain("东城区星河城", "东莞市") == "441900"


def test_development_zone_is_understood_with_its_city() -> None:
    assert certain("苏州高新区狮山路") == "320505"
    assert certain("苏州市高新区狮山路") == "320505"
    assert certain("高新区狮山路", "苏州市") == "320505"


def test_development_zone_without_its_city_is_nothing() -> None:
    assert GAZETTEER.find("高新区狮山路").reason is Reason.NO_REGION_NAMED
    assert certain("高新区科技路", "西安市") == "610100"


def test_custom_region_is_read_inside_its_parent() -> None:
    assert certain("深圳市南山区粤海街道科苑路") == "nanshan-yuehai"
    assert GAZETTEER.find("粤海街道科苑路").reason is Reason.NO_REGION_NAMED


def test_street_tells_its_district_where_the_city_is_known() -> None:
    assert certain("深圳市粤海街道科苑路") == certain("粤海街道科苑路", "深圳") == "nanshan-yuehai"
    assert candidates(GAZETTEER.find("深圳市中央街道1号")) == {"nanshan-central", "futian-central"}
    assert certain("深圳市中心公园") == "440300"


def test_macro_region_is_in_the_chain_but_its_name_is_never_read() -> None:
    assert GAZETTEER.find("华南大区").reason is Reason.NO_REGION_NAMED
    assert GAZETTEER.find("广东省").chain == (IDS["SOUTH"], IDS["440000"])


@pytest.mark.parametrize(
    "text",
    [
        "Nanshan District, Shenzhen, Guangdong",
        "No. 15 Keyuan Road, Nanshan District, Shenzhen, Guangdong 518057, China",
        "15 Keyuan Lu, Nanshan Qu, Shenzhen Shi, Guangdong Sheng, P.R. China",
        "Guangdong Shenzhen Nanshan District Keyuan Road 15",
        "Nan Shan, Shenzhen",
        "NANSHAN, SHENZHEN",
    ],
)
def test_english_and_pinyin_addresses_are_read(text: str) -> None:
    assert certain(text) == "440305"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("88 Nanjing East Road, Huangpu District, Shanghai", "310101"),
        ("Xi'an, Shaanxi", "610100"),
        ("Hohhot, Inner Mongolia", "150100"),
        ("Yau Tsim Mong, Hong Kong", "810005"),
    ],
)
def test_english_names_and_apostrophes_are_known(text: str, code: str) -> None:
    assert certain(text) == code


def test_pinyin_that_two_cities_share_is_ambiguous_without_the_province() -> None:
    assert candidates(GAZETTEER.find("Suzhou")) == {"320500", "341300"}
    assert certain("Suzhou, Anhui") == "341300"


def test_hotel_or_street_with_the_name_of_a_city_is_not_the_city() -> None:
    assert GAZETTEER.find("Beijing Hotel, 5 Nanjing Road").reason is Reason.NO_REGION_NAMED


def test_english_names_that_contradict_each_other_are_a_conflict() -> None:
    assert GAZETTEER.find("Nanshan District, Guangzhou").reason is Reason.NAMES_CONFLICT


@pytest.mark.parametrize("text", ["Marienplatz 8, 80331 München, Bayern", "MUNCHEN", "Marienplatz 8, München"])
def test_regions_of_another_country_are_found_by_their_names(text: str) -> None:
    assert certain(text) == "DE-M"


def test_parent_that_was_not_handed_in_is_no_parent() -> None:
    alone = Gazetteer([Place(1, "440305", "南山区", 4, 999)])
    assert alone.find("南山区") == Match(1, (1,))


def test_parents_that_go_in_a_circle_do_not_hang() -> None:
    circle = Gazetteer([Place(1, "a", "甲市", 3, 2), Place(2, "b", "乙区", 4, 1)])
    assert circle.find("乙区").place_id == 2


def test_candidates_are_bounded() -> None:
    many = Gazetteer([Place(number, str(number), "城关区", 4, None) for number in range(100)])
    assert len(many.find("城关区").candidates) == MAX_CANDIDATES


ADDRESS_LIKE = st.lists(
    st.sampled_from([place.name for place in PLACES])
    | st.sampled_from(["深圳", "南山", "路", "大道", "市", "区", " ", "，", "(原", ")", "1号", "Shenzhen", "Road"])
    | st.text(max_size=3),
    max_size=30,
).map("".join)


@given(text=ADDRESS_LIKE | st.text(), city=ADDRESS_LIKE | st.just(""))
def test_any_text_is_answered_consistently(text: str, city: str) -> None:
    match = GAZETTEER.find(text, city)
    assert match.place_id == (match.chain[-1] if match.chain else None)
    if match.reason is None:
        assert match.place_id is not None
    elif match.reason is Reason.NO_REGION_NAMED:
        assert (match.place_id, match.candidates) == (None, ())
    else:
        assert match.candidates


@pytest.mark.parametrize("district", [place for place in PLACES if place.level == 4], ids=lambda place: place.code)
@pytest.mark.parametrize("street", ["", "北京路1号", " 南京东路1号", "长安大学", "1号楼, 昆山市前进西路1号"])
def test_full_official_names_are_always_certain(district: Place, street: str) -> None:
    parents = {place.id: place for place in PLACES}
    line = [district]
    while line[-1].parent_id is not None:
        line.append(parents[line[-1].parent_id])
    text = "".join(place.name for place in reversed(line) if place.level > 1)
    assert certain(text + street) == district.code


@settings(deadline=None)
@given(piece=st.sampled_from(["朝阳区", "深圳", "北京路", "(原", "原", "Xi an ", "Nanshan, ", "\ufdfa", "城关区,"]))
def test_hostile_text_costs_no_more_than_its_first_characters(piece: str) -> None:
    text = piece * 100_000
    assert GAZETTEER.find(text) == GAZETTEER.find(text[:MAX_TEXT])
    assert calls_of(lambda: GAZETTEER.find(text)) < 50_000


def calls_of(work: Callable[[], object]) -> int:
    """Count the calls that a piece of work makes: unlike its time, the same on every machine."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls
