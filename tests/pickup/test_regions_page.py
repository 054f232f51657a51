"""The map's page, its panel, list and search: for staff who may view regions, and for nobody else at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from django.utils import translation
from django.utils.timezone import now

from network import tiles
from network.models import Appointment, Level, Region, RegionAlias, ServicePoint, User
from pickup import scanning, territory
from pickup.models import Order
from tests import factories, mvt
from tests.factories import chain_ids, make_parcel, make_point, make_ready_parcel, pick_up, scan

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
PAGES = ["/regions/", "/regions/440305/", "/regions/440305/?panel=1", "/regions/list/"]
DATA = [
    "/regions/search/?q=%E5%8D%97%E5%B1%B1",
    "/regions/tiles/regions/3/6/3.pbf",
    "/regions/tiles/points/3/6/3.pbf",
    "/regions/tiles/review/3/6/3.pbf",
]
RIGHTS = {
    "view_region", "view_servicepoint", "view_appointment", "view_boundary", "view_order", "view_parcel", "view_posting"
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nobody_remembers_who_was_full() -> None:
    territory._full_points.cache_clear()


def staff_with(*rights: str) -> User:
    user = factories.make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def signed_in(user: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def admin() -> Client:
    return signed_in(staff_with(*RIGHTS))


@pytest.fixture
def point(chain: Chain) -> ServicePoint:
    ids = chain_ids(chain)
    return make_point(name="Corner Shop", region_id=ids[0], region_ids=ids, capacity=10)


def read(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return response.content.decode()


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_the_front_door(chain: Chain, client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/?next=/regions/")


@pytest.mark.parametrize("path", DATA)
def test_a_strangers_script_learns_that_it_must_sign_in(chain: Chain, client: Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.content) == (401, b"")


@pytest.mark.parametrize("path", PAGES + DATA)
def test_shops_agents_and_staff_without_the_right_find_nothing(chain: Chain, path: str) -> None:
    agent = factories.make_user()
    factories.make_appointment(chain[Level.DISTRICT], factories.make_agent(user=agent))
    others = [
        factories.make_member(make_point()),
        agent,
        factories.make_user(is_staff=True),
        staff_with(*(RIGHTS - {"view_region"})),
        factories.make_user(is_superuser=True),  # may do everything, and is no staff
    ]
    for user in others:
        assert signed_in(user).get(path).status_code == 404


@pytest.mark.parametrize(
    ("right", "path"),
    [("view_servicepoint", "/regions/tiles/points/3/6/3.pbf"), ("view_order", "/regions/tiles/review/3/6/3.pbf")],
)
def test_a_layer_needs_the_right_to_what_it_shows(chain: Chain, right: str, path: str) -> None:
    assert signed_in(staff_with("view_region", right)).get(path).status_code == 200
    assert signed_in(staff_with(*(RIGHTS - {right}))).get(path).status_code == 404


def test_who_may_see_regions_only_is_told_of_nothing_else(chain: Chain, point: ServicePoint) -> None:
    factories.make_appointment(chain[Level.DISTRICT], factories.make_agent("secret-agent"))
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=chain_ids(chain)))
    client = signed_in(staff_with("view_region"))
    told = read(client, "/regions/440305/") + read(client, "/regions/list/?level=4")
    assert "南山区" in told
    for foreign in ("secret-agent", "Corner Shop", "CNY", "On their way", "Review queue", "tiles/points", "Vacant:"):
        assert foreign not in told


@pytest.mark.parametrize("path", PAGES + DATA)
def test_the_pages_only_read(admin: Client, chain: Chain, path: str) -> None:
    for method in (admin.post, admin.put, admin.delete):
        assert method(path).status_code == 405


# ---------------------------------------------------------------- the panel


def test_the_panel_tells_of_the_chain_the_children_and_the_boundary(admin: Client, chain: Chain) -> None:
    RegionAlias.objects.create(region=chain[Level.DISTRICT], name="前海")
    page = read(admin, "/regions/440305/?panel=1")
    for words in ("华南", "广东省", "深圳市", "科技园", "also:", "前海", "2020-01-01", 'data-code="440305"'):
        assert words in page
    assert 'data-box="113.8' in page
    assert "<html" not in page


def test_the_panel_works_without_a_script_as_a_page_of_its_own(admin: Client, chain: Chain) -> None:
    page = read(admin, "/regions/440305/")
    assert "<title>南山区 · Regions" in page
    assert '<h2 id="region-name" tabindex="-1">南山区</h2>' in page


def test_a_macro_region_reaches_as_far_as_its_children(admin: Client, chain: Chain) -> None:
    page = read(admin, "/regions/CN-S/?panel=1")
    assert 'data-box="109' in page
    assert "the map shows the regions within" in page


def test_agents_now_before_and_later_are_told_apart(admin: Client, chain: Chain) -> None:
    for name, start, end in (("former", -60, -30), ("present", -30, 30), ("future", 30, 60)):
        Appointment.objects.create(
            agent=factories.make_agent(name),
            region=chain[Level.DISTRICT],
            valid=DateTimeTZRange(now() + timedelta(days=start), now() + timedelta(days=end)),
        )
    page = read(admin, "/regions/440305/?panel=1")
    now_, later, before = page.index("<strong>present"), page.index(">Later<"), page.index(">Before<")
    assert now_ < later < page.index("future") < before < page.index("former")
    assert "Vacant" not in page


def test_a_region_without_an_agent_is_vacant(admin: Client, chain: Chain) -> None:
    assert "Vacant: nobody is appointed." in read(admin, "/regions/440305/?panel=1")


def test_parcels_fees_and_points_of_a_region(admin: Client, chain: Chain, point: ServicePoint) -> None:
    factories.make_appointment(chain[Level.DISTRICT])
    factories.make_appointment(chain[Level.CITY])
    scanner, ids = factories.scanner_of(point), chain_ids(chain)
    make_parcel(point, region_ids=ids)
    late = make_ready_parcel(scanner, point, region_ids=ids)
    factories.backdate(late, hold_until=now() - timedelta(hours=1))
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=ids))
    undone = make_ready_parcel(scanner, point, region_ids=ids)
    pick_up(scanner, undone)
    scanning.record(scanner, scan("undo", undone, reason="wrong person"))
    since = now() - timedelta(days=1)  # the month may have begun a minute ago
    district = chain[Level.DISTRICT]
    assert territory.parcels_of(district, at=now(), since=since) == territory.Parcels(1, 2, 1, 1)
    with translation.override("en"):
        fees = territory.fees_of(district, since=since, until=now() + timedelta(minutes=1))
    assert [(fee.payee, fee.level, fee.number, fee.amount) for fee in fees] == [
        ("service point", None, 1, "20.00"),
        ("agent", 4, 1, "3.00"),
        ("agent", 3, 1, "2.00"),
    ]
    assert territory.load_of(chain[Level.MACRO]) == 3
    page = read(admin, "/regions/440300/?panel=1")
    assert "3 of 10 parcels" in page
    assert "Corner Shop" in page


def test_a_neighbours_parcels_and_points_are_not_counted(admin: Client, chain: Chain, point: ServicePoint) -> None:
    other = factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY])
    make_parcel(point, region_ids=chain_ids(chain))
    page = read(admin, "/regions/440306/?panel=1")
    assert territory.parcels_of(other, at=now(), since=now()) == territory.Parcels(0, 0, 0, 0)
    assert territory.load_of(other) == 0
    assert "Corner Shop" not in page


def test_what_takes_too_long_to_count_is_said(
    admin: Client, chain: Chain, monkeypatch: pytest.MonkeyPatch, point: ServicePoint
) -> None:
    def give_up(*_: Any, **__: Any) -> Any:
        raise tiles.TooMuch

    for name in ("parcels_of", "load_of", "fees_of", "review_of"):
        monkeypatch.setattr(territory, name, give_up)
    assert read(admin, "/regions/440305/?panel=1").count("Too much to count just now.") == 3
    assert "Too much to count just now." in read(admin, "/regions/")


def test_the_first_page_counts_what_is_vacant_and_what_waits(admin: Client, chain: Chain) -> None:
    factories.make_appointment(chain[Level.DISTRICT])
    review(chain)
    page = read(admin, "/regions/")
    assert "1 order waits for a person." in page
    assert 'href="/regions/list/?level=3&amp;vacant=1"' in page
    assert 'href="/regions/list/?level=4&amp;vacant=1"' not in page


@pytest.mark.parametrize("code", ["999999", "x" * 300, "440305-2"])
def test_an_unknown_region_is_not_found(admin: Client, chain: Chain, code: str) -> None:
    assert admin.get(f"/regions/{code}/").status_code == 404


def test_filters_that_make_no_sense_are_left_out(admin: Client, chain: Chain) -> None:
    read(admin, "/regions/?level=99&at=soon&points=gold&vacant=maybe&review=%00")


def test_links_of_the_panel_keep_the_filters(admin: Client, chain: Chain) -> None:
    page = read(admin, "/regions/440305/?panel=1&level=4&vacant=1&points=none&at=2026-01-02")
    assert 'href="/regions/440300/?level=4&amp;vacant=1&amp;points=none&amp;at=2026-01-02"' in page


def test_names_are_escaped(admin: Client, chain: Chain) -> None:
    Region.objects.filter(pk=chain[Level.DISTRICT].pk).update(name='</script><script>alert("x")')
    for path in ("/regions/440305/", "/regions/440305/?panel=1", "/regions/list/?level=4", "/regions/"):
        assert "<script>alert" not in read(admin, path)


# ---------------------------------------------------------------- the list and the search


def test_the_list_begins_with_the_provinces(admin: Client, chain: Chain) -> None:
    page = read(admin, "/regions/list/")
    assert "1 region<" in page
    assert 'href="/regions/440000/"' in page


def test_the_list_counts_points_agents_and_children(admin: Client, chain: Chain, point: ServicePoint) -> None:
    make_point(status="closed", region_id=chain[Level.CITY].pk, region_ids=chain_ids(chain)[2:])
    factories.make_appointment(chain[Level.CITY], factories.make_agent("city-agent"))
    page = read(admin, "/regions/list/?level=3")
    assert "city-agent" in page
    assert "(1 active)" in page
    assert "vacant</span>" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("level=4", {"440305"}),
        ("vacant=1", {"CN-S", "440000", "440300", "440305-1"}),
        ("parent=440300", {"440300", "440305", "440305-1"}),
        ("q=%E5%8D%97%E5%B1%B1", {"440305"}),
        ("q=4403", {"440300", "440305", "440305-1"}),
        ("level=4&vacant=1", set()),
        ("level=x", {"440000"}),
        ("q=%00", {"440000"}),
    ],
)
def test_the_list_is_filtered(admin: Client, chain: Chain, query: str, found: set[str]) -> None:
    factories.make_appointment(chain[Level.DISTRICT])
    page = read(admin, f"/regions/list/?{query}")
    codes = {region.code for region in chain.values()}
    assert {code for code in codes if f'<a class="tall" href="/regions/{code}/"' in page} == found


def test_the_list_has_pages(admin: Client, chain: Chain) -> None:
    for number in range(60):
        factories.make_region(f"D{number:02d}", f"区 {number}", Level.DISTRICT, chain[Level.CITY])
    first, last = read(admin, "/regions/list/?level=4"), read(admin, "/regions/list/?level=4&page=99")
    assert "1 / 2" in first
    assert 'href="?level=4&amp;page=2"' in first
    assert "2 / 2" in last


def suggested(client: Client, text: str) -> list[str]:
    response = client.get("/regions/search/", {"q": text})
    assert response.status_code == 200
    return [one["code"] for one in response.json()["results"]]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("南山区", "440305"), ("南山", "440305"), ("山区", "440305"), ("440305", "440305"), ("4403", "440300"),
        ("前海", "440305"), ("科技园区", "440305-1"), ("Nanshan, Shenzhen", "440305"), (" 南山 ", "440305"),
        ("广东省深圳市南山区科苑路1号", "440305"),
    ],
)  # fmt: skip
def test_a_region_is_found_by_name_alias_code_or_address(admin: Client, chain: Chain, text: str, code: str) -> None:
    RegionAlias.objects.create(region=chain[Level.DISTRICT], name="前海")
    assert suggested(admin, text)[0] == code


@pytest.mark.parametrize("text", ["", "   ", "%", "_", "'; DROP TABLE x; --", "\x00", "𝒳" * 500, "火星"])
def test_a_search_for_nothing_finds_nothing(admin: Client, chain: Chain, text: str) -> None:
    assert suggested(admin, text) == []


def test_a_suggestion_says_where_it_lies_and_by_what_it_was_found(admin: Client, chain: Chain) -> None:
    RegionAlias.objects.create(region=chain[Level.DISTRICT], name="前海")
    (found,) = admin.get("/regions/search/", {"q": "前海"}).json()["results"]
    assert found == {
        "code": "440305",
        "name": "南山区",
        "level": "district",
        "above": "华南 › 广东省 › 深圳市",
        "alias": "前海",
        "url": "/regions/440305/",
    }


# ---------------------------------------------------------------- the review queue on the map


def review(chain: Chain) -> Order:
    order = make_parcel(make_point(), region_ids=chain_ids(chain)).order
    order.status, order.review_reason = Order.Status.REVIEW, "low_accuracy"
    order.save(update_fields=["status", "review_reason"])
    return order


def test_an_order_in_review_is_near_its_place_and_never_at_it(admin: Client, chain: Chain) -> None:
    order = review(chain)
    street = "/regions/tiles/review/16/53510/28554.pbf"  # half a kilometre around 113.94 E, 22.54 N
    found = mvt.features(admin.get(street).content)["review"]
    assert [(one["count"], one["order"], one["reference"]) for one in found] == [(1, order.pk, order.reference)]
    type(order.address).objects.filter(pk=order.address_id).update(location="SRID=4326;POINT(113.9449 22.5449)")
    moved = mvt.features(admin.get(street).content)["review"]
    assert moved[0]["at"] == found[0]["at"]


def test_an_order_that_was_assigned_is_not_on_the_map(admin: Client, chain: Chain, point: ServicePoint) -> None:
    make_parcel(point, region_ids=chain_ids(chain))
    assert admin.get("/regions/tiles/review/3/6/3.pbf").content == b""


def test_full_points_are_found_by_their_parcels(admin: Client, chain: Chain) -> None:
    full, roomy = make_point(capacity=1), make_point(capacity=2)
    for point in (full, roomy):
        make_parcel(point, region_ids=chain_ids(chain))
    layer = mvt.features(admin.get("/regions/tiles/points/3/6/3.pbf?points=full").content)["points"]
    assert [cell["count"] for cell in layer] == [1]


# ---------------------------------------------------------------- the door around it


def test_the_policy_is_widened_for_the_host_that_was_set_and_no_other(
    admin: Client, chain: Chain, settings: Any
) -> None:
    plain = admin.get("/regions/").headers["Content-Security-Policy"]
    assert "http" not in plain
    settings.MAP_TILES = "https://tiles.example.org/{z}/{x}/{y}.png"
    widened = admin.get("/regions/").headers["Content-Security-Policy"]
    assert "connect-src 'self' https://tiles.example.org;" in widened + ";"
    assert "img-src 'self' data: https://tiles.example.org" in widened
    assert "example.org" not in admin.get("/regions/list/").headers["Content-Security-Policy"]


def test_the_map_stands_in_the_navigation_of_those_who_may_see_it(admin: Client, chain: Chain) -> None:
    assert '<a href="/regions/" aria-current="page">Map</a>' in read(admin, "/regions/")


@pytest.mark.parametrize(
    ("path", "number"),
    [("/regions/", 13), ("/regions/440305/", 34), ("/regions/440305/?panel=1", 30), ("/regions/list/?level=4", 10)],
)
def test_a_page_asks_the_database_a_fixed_number_of_times(
    admin: Client, chain: Chain, point: ServicePoint, path: str, number: int, django_assert_num_queries: Any
) -> None:
    for n in range(5):
        factories.make_region(f"S{n}", f"街道 {n}", Level.CUSTOM, chain[Level.DISTRICT])
        ids = chain_ids(chain)
        make_parcel(make_point(region_id=ids[1], region_ids=ids[1:]), region_ids=ids)
    # Each question that may take long is four here: a savepoint, its patience, itself, and the end of the savepoint.
    with django_assert_num_queries(number):
        admin.get(path)
