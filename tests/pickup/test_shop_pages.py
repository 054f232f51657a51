"""The pages of a shop beside the scanner: shelf, count, pause, hours; what each shows, does, and refuses to whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from django.utils.timezone import now
from pytest_django.fixtures import DjangoAssertNumQueries

from network.models import Device, Pause, ServicePoint, User
from pickup.models import Notice, Order, Parcel, StockCount
from pickup.scans import Scanner
from tests import factories
from tests.clock import everywhere_at
from tests.factories import make_parcel, make_point, make_ready_parcel

pytestmark = pytest.mark.django_db
ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 20, 12, tzinfo=ZONE)  # a Friday
HOUR = timedelta(hours=1)
LONG_PAST = datetime(2020, 1, 5, tzinfo=ZONE)
STRANGERS = ("owner of another shop", "removed clerk", "agent", "admin")


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop", capacity=10, opening_hours="Mo-Fr 09:00-21:00; Sa 10:00-18:00")


@pytest.fixture
def owner(client: Client, point: ServicePoint) -> User:
    return factories.make_member(point, name="Li")


@pytest.fixture
def clerk(point: ServicePoint) -> User:
    return factories.make_member(point, "clerk", name="Han")


@pytest.fixture
def device(point: ServicePoint) -> Device:
    return factories.make_device(point)[0]


@pytest.fixture
def scanner(device: Device) -> Scanner:
    return Scanner(device_id=device.pk)


@pytest.fixture
def at_noon() -> Iterator[None]:
    with everywhere_at(NOON):
        yield


@pytest.fixture
def shop(client: Client, point: ServicePoint, owner: User) -> Shop:
    client.force_login(owner)
    return Shop(client, point)


class Shop:
    """A browser on a shop's pages."""

    def __init__(self, client: Client, point: ServicePoint) -> None:
        self.client, self.point = client, point

    def get(self, path: str, status: int = 200) -> str:
        response = self.client.get(f"/counter/{self.point.pk}/{path}", headers={"accept-language": "en"})
        assert response.status_code == status
        return response.content.decode()

    def post(self, path: str, status: int = 200, **body: Any) -> str:
        """Send a form and go where it leads."""
        response = self.client.post(
            f"/counter/{self.point.pk}/{path}", body, headers={"accept-language": "en"}, follow=True
        )
        assert response.status_code == status
        return response.content.decode()


def stranger(who: str, point: ServicePoint) -> User:
    if who == "owner of another shop":
        return factories.make_member(make_point())
    if who == "removed clerk":
        person = factories.make_member(point, "clerk")
        person.memberships.update(ended_at=LONG_PAST)
        return person
    person = factories.make_user(is_staff=who == "admin", is_superuser=who == "admin")
    if who == "agent":
        factories.make_agent(user=person)
    return person


def rows_in(page: str) -> list[str]:
    return re.findall(r'<p class="code">([^\s<]+)', page)


# The shelf


def test_the_shelf_shows_overdue_parcels_first_and_recipients_masked(
    shop: Shop, scanner: Scanner, point: ServicePoint
) -> None:
    fresh = make_ready_parcel(scanner, point, phone="+8613800135678")
    overdue = make_ready_parcel(scanner, point)
    factories.backdate(overdue, hold_until=LONG_PAST)
    page = shop.get("shelf/")
    assert rows_in(page) == [overdue.barcode, fresh.barcode]
    assert "1 parcel is overdue" in page
    assert "…5678" in page
    for secret in ("王小明", "13800135678", "科苑路"):
        assert secret not in page


def test_the_shelf_of_another_shop_is_not_shown(shop: Shop) -> None:
    other = make_point()
    parcel = make_ready_parcel(factories.scanner_of(other), other)
    for query in ("", "?show=expected", "?q=8000", f"?q={parcel.barcode}"):
        page = shop.get(f"shelf/{query}")
        assert rows_in(page) == []


def test_each_tab_shows_its_parcels(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    ready, overdue, expected = (
        make_ready_parcel(scanner, point),
        make_ready_parcel(scanner, point),
        make_parcel(point),
    )
    factories.backdate(overdue, hold_until=LONG_PAST)
    assert rows_in(shop.get("shelf/?show=here")) == [overdue.barcode, ready.barcode]
    assert rows_in(shop.get("shelf/?show=overdue")) == [overdue.barcode]
    assert rows_in(shop.get("shelf/?show=expected")) == [expected.barcode]
    shop.get("shelf/?show=lost", status=404)


def test_a_parcel_is_found_by_the_last_four_digits_wherever_it_is(
    shop: Shop, scanner: Scanner, point: ServicePoint
) -> None:
    here = make_ready_parcel(scanner, point, phone="+8613800135678")
    expected = make_parcel(point, phone="+8613900015678")
    make_ready_parcel(scanner, point)
    assert set(rows_in(shop.get("shelf/?q=5678"))) == {here.barcode, expected.barcode}
    digits = next(f"{n:04d}" for n in range(10_000) if not Parcel.objects.filter(barcode__contains=f"{n:04d}").exists())
    assert "Nothing here or expected fits" in shop.get(f"shelf/?q={digits}")


@pytest.mark.parametrize(
    "query", ["q=%00", "q=%25_%5C", "page=0", "page=-1", "page=99999999999999", "page=x", "q=" + "9" * 500]
)
def test_odd_addresses_show_the_first_page(shop: Shop, scanner: Scanner, point: ServicePoint, query: str) -> None:
    make_ready_parcel(scanner, point)
    shop.get(f"shelf/?{query}")


def test_a_long_shelf_comes_in_parts(
    shop: Shop, scanner: Scanner, point: ServicePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pickup.views.shelf.ROWS", 2)
    parcels = [make_ready_parcel(scanner, point) for _ in range(3)]
    for number, parcel in enumerate(parcels):
        factories.backdate(parcel, hold_until=LONG_PAST + number * HOUR)
    first, second = shop.get("shelf/"), shop.get("shelf/?page=2")
    assert rows_in(first) == [parcels[0].barcode, parcels[1].barcode]
    assert rows_in(second) == [parcels[2].barcode]
    assert 'rel="next"' in first
    assert 'rel="next"' not in second


def test_the_number_of_queries_does_not_grow_with_the_shelf(
    shop: Shop, scanner: Scanner, point: ServicePoint, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(4):
        make_ready_parcel(scanner, point)
        make_parcel(point)
    shop.get("shelf/")
    for query in ("", "?show=expected", "?q=8000"):
        with django_assert_max_num_queries(8):
            shop.get(f"shelf/{query}")


def test_expected_parcels_without_arrivals_to_go_by_are_not_estimated(
    shop: Shop, point: ServicePoint, at_noon: None
) -> None:
    parcel = make_parcel(point)
    Order.objects.filter(pk=parcel.order_id).update(assigned_at=NOON - 3 * HOUR)
    page = shop.get("shelf/?show=expected")
    assert "too few arrivals" in page
    assert "announced 3\xa0hours ago" in page


def test_the_message_is_sent_again(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = shop.post("shelf/", barcode=parcel.barcode, show="here")
    assert "gets the message again" in page
    assert Notice.objects.filter(parcel=parcel).count() == 2


def test_a_message_that_may_not_be_sent_again_says_why(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    pages = [shop.post("shelf/", barcode=parcel.barcode) for _ in range(5)]
    assert "Enough messages were sent for this parcel today" in pages[-1]


def test_no_message_is_sent_for_a_parcel_of_another_shop(shop: Shop) -> None:
    other = make_point()
    parcel = make_ready_parcel(factories.scanner_of(other), other)
    assert "does not wait here any more" in shop.post("shelf/", barcode=parcel.barcode)
    assert Notice.objects.filter(parcel=parcel).count() == 1


# The count


def count(shop: Shop, *barcodes: str, **body: Any) -> str:
    typed: dict[str, Any] = {"count_id": uuid4(), "barcodes": "\n".join(barcodes)}
    return shop.post("count/", **(typed | body))


def test_a_count_leads_to_its_four_lists(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    here, missing, overdue = (make_ready_parcel(scanner, point) for _ in range(3))
    factories.backdate(overdue, hold_until=LONG_PAST)
    page = count(shop, here.barcode, overdue.barcode, "STRAY-1")
    lists = {
        name: set(rows_in(part))
        for name, part in zip(
            ("missing", "orphan", "overdue", "here"), re.split(r'<section class="card', page)[1:], strict=True
        )
    }
    assert lists == {
        "missing": {missing.barcode},
        "orphan": {"STRAY-1"},
        "overdue": {overdue.barcode},
        "here": {here.barcode},
    }


def test_an_orphan_of_another_shop_tells_that_shops_name_and_nothing_else(shop: Shop) -> None:
    other = make_point(name="River Shop")
    parcel = make_ready_parcel(factories.scanner_of(other), other, phone="+8613800135678")
    page = count(shop, parcel.barcode)
    assert "Belongs to River Shop." in page
    assert "5678" not in page.replace(parcel.barcode, "")
    assert "王*" not in page


def test_an_announced_orphan_is_scanned_in_and_a_collected_one_kept_apart(
    shop: Shop, scanner: Scanner, point: ServicePoint
) -> None:
    announced, collected = make_parcel(point), make_ready_parcel(scanner, point)
    factories.pick_up(scanner, collected)
    page = count(shop, announced.barcode, collected.barcode, "STRAY-1")
    assert "Announced here, never scanned in." in page
    assert "?mode=arrival" in page
    assert "Recorded as handed over." in page
    assert "Not announced to the network." in page
    assert page.count("Keep it apart for the driver.") == 2


def test_a_script_gets_the_address_of_the_result(shop: Shop, point: ServicePoint) -> None:
    count_id = uuid4()
    body = {"count_id": count_id, "barcodes": "A\nB\nA"}
    answers = [
        shop.client.post(f"/counter/{point.pk}/count/", body, headers={"accept": "application/json"}) for _ in range(2)
    ]
    taken = StockCount.objects.get()
    assert {answer.json()["address"] for answer in answers} == {f"/counter/{point.pk}/count/{taken.pk}/"}
    assert taken.lines.count() == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"count_id": "x", "barcodes": "A"}, "open for too long"),
        ({"count_id": str(uuid4()), "barcodes": " \n"}, "Nothing was scanned"),
    ],
)
def test_what_is_wrong_with_a_count_is_said_and_nothing_is_lost(shop: Shop, body: dict[str, str], words: str) -> None:
    page = shop.post("count/", status=400, **body)
    assert words in page
    assert body["barcodes"].strip() in page
    assert not StockCount.objects.exists()


def test_an_empty_shelf_may_be_counted(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    missing = make_ready_parcel(scanner, point)
    assert missing.barcode in count(shop, empty="1")


def test_a_proof_among_the_scans_is_left_out_and_said(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    token = factories.token_of(parcel)
    page = count(shop, parcel.barcode, token)
    assert "1 entry was left out" in page
    assert token not in page
    assert StockCount.objects.get().lines.count() == 1


def test_a_search_goes_on_with_what_was_found(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    here, missing = (make_ready_parcel(scanner, point) for _ in range(2))
    count(shop, here.barcode)
    page = shop.get(f"count/?again={StockCount.objects.get().pk}")
    typed = re.search(r"<textarea.*?>(.*?)</textarea>", page, re.DOTALL)
    assert typed is not None
    assert typed[1].strip() == here.barcode
    assert missing.barcode not in page


def test_counts_before_are_listed_with_their_differences(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    make_ready_parcel(scanner, point)
    count(shop, "STRAY-1")
    assert "1 missing, 1 not expected" in shop.get("count/")


def test_the_number_of_queries_does_not_grow_with_the_lists(
    shop: Shop, scanner: Scanner, point: ServicePoint, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    parcels = [make_ready_parcel(scanner, point) for _ in range(6)]
    count(shop, *(parcel.barcode for parcel in parcels[:3]), "A", "B", "C")
    path = f"count/{StockCount.objects.get().pk}/"
    for asked in (path, "count/"):
        with django_assert_max_num_queries(16):
            shop.get(asked)


def lost_path(shop: Shop) -> str:
    taken = StockCount.objects.get()
    return f"count/{taken.pk}/lost/{taken.lines.get(found='missing').pk}/"


def test_an_owner_is_asked_before_a_parcel_is_lost(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = count(shop, empty="1")
    assert lost_path(shop) in page
    assert "cannot be undone" in shop.get(lost_path(shop))
    shop.post(lost_path(shop), status=400, reason=" ")
    parcel.refresh_from_db()
    assert parcel.status == "ready"
    assert "Reported as lost" in shop.post(lost_path(shop), reason="looked everywhere")
    parcel.refresh_from_db()
    assert parcel.status == "lost"


def test_a_parcel_that_turned_up_is_not_reported(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    count(shop, empty="1")
    factories.pick_up(scanner, parcel)
    assert "Nothing was changed" in shop.post(lost_path(shop), reason="x")
    assert "Handed over since." in shop.get(f"count/{StockCount.objects.get().pk}/")


def test_a_clerk_cannot_report_a_loss(
    client: Client, shop: Shop, scanner: Scanner, point: ServicePoint, clerk: User
) -> None:
    make_ready_parcel(scanner, point)
    count(shop, empty="1")
    client.force_login(clerk)
    page = shop.get(f"count/{StockCount.objects.get().pk}/")
    assert "tell the owner" in page
    assert lost_path(shop) not in page
    shop.get(lost_path(shop), status=404)
    shop.post(lost_path(shop), status=404, reason="x")


def test_the_count_of_another_shop_does_not_exist(shop: Shop, client: Client) -> None:
    other = make_point()
    client.force_login(factories.make_member(other))
    count(Shop(client, other), "A")
    taken = StockCount.objects.get()
    client.force_login(factories.make_member(shop.point))
    for path in (f"count/{taken.pk}/", f"count/?again={taken.pk}", "count/?again=x", f"count/{taken.pk}/lost/1/"):
        shop.get(path, status=404)


# The pause


@pytest.mark.parametrize(
    ("reason", "ends"),
    [("full", datetime(2026, 11, 21, 10, tzinfo=ZONE)), ("technical", datetime(2026, 11, 20, 16, tzinfo=ZONE))],
)
def test_one_tap_pauses_and_tells_until_when(shop: Shop, at_noon: None, reason: str, ends: datetime) -> None:
    assert f"{ends:%m-%d %H:%M}" in shop.get("shop/")
    page = shop.post("shop/", action="pause", reason=reason)
    assert "the ones here are still handed over" in page
    assert Pause.objects.get().period == DateTimeTZRange(NOON, ends)
    assert Pause.objects.get().reason == reason


@pytest.mark.parametrize("reason", ["vacation", "closing"])
def test_a_longer_pause_lasts_through_its_last_day(shop: Shop, at_noon: None, reason: str) -> None:
    page = shop.post("shop/", action="pause", reason=reason, first="", last="2026-11-25")
    assert Pause.objects.get().period == DateTimeTZRange(NOON, datetime(2026, 11, 26, tzinfo=ZONE))
    assert "until 2026-11-25 inclusive" in page


def test_a_pause_is_planned_and_taken_back(shop: Shop, at_noon: None) -> None:
    page = shop.post("shop/", action="pause", reason="vacation", first="2026-12-01", last="2026-12-05")
    assert "The pause is planned." in page
    assert "Open for new parcels" in page
    shop.post("shop/", action="resume", pause=Pause.objects.get().pk)
    assert not Pause.objects.exists()


def test_the_shop_resumes_at_a_tap_and_remembers_the_pause(shop: Shop, point: ServicePoint, at_noon: None) -> None:
    row = Pause.objects.create(service_point=point, reason="full", period=DateTimeTZRange(NOON - HOUR, NOON + HOUR))
    page = shop.post("shop/", action="resume", pause=row.pk)
    row.refresh_from_db()
    assert row.period.upper == NOON
    assert "Open for new parcels" in page
    assert "2026-11-20 11:00 – 2026-11-20 12:00" in page


@pytest.mark.parametrize(
    ("first", "last"),
    [("", ""), ("", "2026-11-19"), ("2026-12-05", "2026-12-01"), ("x", "2026-12-01"), ("", "9999-12-31"),
     ("", "2028-01-01"), ("2026-02-30", "2026-12-01")],
)  # fmt: skip
def test_days_that_make_no_pause_are_said_at_the_field(shop: Shop, at_noon: None, first: str, last: str) -> None:
    page = shop.post("shop/", status=400, action="pause", reason="vacation", first=first, last=last)
    assert 'id="error-vacation"' in page
    assert not Pause.objects.exists()


def test_an_overlap_names_the_pause_that_stands(shop: Shop, point: ServicePoint, at_noon: None) -> None:
    Pause.objects.create(
        service_point=point, reason="closing", period=DateTimeTZRange(NOON + 24 * HOUR, NOON + 48 * HOUR)
    )
    page = shop.post("shop/", status=400, action="pause", reason="vacation", first="", last="2026-11-25")
    assert "There is a pause already: Closing, from 11-21 12:00 to 11-22 12:00." in page


def test_a_second_tap_says_that_the_shop_is_paused_already(shop: Shop, at_noon: None) -> None:
    shop.post("shop/", action="pause", reason="full")
    page = shop.post("shop/", status=400, action="pause", reason="technical")
    assert "There is a pause already: Full, from 11-20 12:00 to 11-21 10:00." in page
    assert Pause.objects.count() == 1


def test_a_clerk_pauses_and_resumes(client: Client, shop: Shop, clerk: User, at_noon: None) -> None:
    client.force_login(clerk)
    shop.post("shop/", action="pause", reason="full")
    shop.post("shop/", action="resume", pause=Pause.objects.get().pk)
    assert Pause.objects.get().period.upper - NOON <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    "body", [{"action": "x"}, {"action": "pause", "reason": "x"}, {"action": "resume", "pause": "x"}]
)
def test_what_the_page_never_sends_does_not_exist(shop: Shop, body: dict[str, str]) -> None:
    shop.post("shop/", status=404, **body)


def test_the_pause_of_another_shop_is_not_resumed(shop: Shop, at_noon: None) -> None:
    row = Pause.objects.create(
        service_point=make_point(), reason="full", period=DateTimeTZRange(NOON - HOUR, NOON + HOUR)
    )
    shop.post("shop/", status=404, action="resume", pause=row.pk)
    row.refresh_from_db()
    assert row.period.upper == NOON + HOUR


def test_a_pause_that_somebody_took_back_a_moment_ago_is_no_error(shop: Shop) -> None:
    assert "Open for new parcels" in shop.post("shop/", action="resume", pause=10**9)


def test_the_load_stands_beside_the_capacity(shop: Shop, scanner: Scanner, point: ServicePoint) -> None:
    make_ready_parcel(scanner, point)
    make_parcel(point)
    page = " ".join(shop.get("shop/").split())
    assert '<strong class="number">2</strong> / <span class="number">10</span>' in page
    assert "room for 8 more" in page


@pytest.mark.parametrize("status", ["suspended", "closed", "proposed"])
def test_a_shop_that_is_not_active_is_told_so(shop: Shop, point: ServicePoint, status: str) -> None:
    ServicePoint.objects.filter(pk=point.pk).update(status=status)
    page = shop.get("shop/")
    assert f"The network has this shop as: {status}" in " ".join(re.sub(r"<.*?>", "", page).split())
    assert "Open for new parcels" not in page


def test_a_shop_without_capacity_has_a_page(shop: Shop, point: ServicePoint) -> None:
    ServicePoint.objects.filter(pk=point.pk).update(capacity=0)
    assert "room for 0 more" in shop.get("shop/")


# The hours


def hours(**changes: str) -> dict[str, Any]:
    """What the form sends for a shop that is open from nine to nine, Sundays closed."""
    body = {f"day-{day}-{side}-0": at for day in range(6) for side, at in (("from", "09:00"), ("to", "21:00"))}
    return body | {"day-6-closed": "1", "holidays": "as-usual", "action": "save"} | changes


def saved(point: ServicePoint) -> str:
    point.refresh_from_db()
    return point.opening_hours


def test_the_owner_writes_hours_that_everybody_understands(shop: Shop, point: ServicePoint, at_noon: None) -> None:
    page = shop.post("shop/hours/", **hours(**{"day-0-from-1": "22:00", "day-0-to-1": "00:00", "holidays": "closed"}))
    assert saved(point) == "Mo 09:00-21:00,22:00-24:00; Tu-Sa 09:00-21:00; PH off"
    assert "Saved." in page


def test_a_preview_shows_the_two_weeks_and_saves_nothing(shop: Shop, point: ServicePoint, at_noon: None) -> None:
    before = saved(point)
    page = shop.post("shop/hours/", **hours(**{"action": "preview", "day-0-from-0": "06:30"}))
    assert "Not saved yet" in page
    assert '<span class="whole">06:30-21:00</span>' in page
    assert saved(point) == before


def test_special_days_are_kept_and_forgotten_when_they_are_over(shop: Shop, point: ServicePoint, at_noon: None) -> None:
    shop.post(
        "shop/hours/",
        **hours(
            **{
                "special-0-first": "2026-11-24",
                "special-0-last": "2026-11-25",
                "special-0-closed": "1",
                "special-1-first": "2026-11-28",
                "special-1-from-0": "10:00",
                "special-1-to-0": "12:00",
            }
        ),
    )
    assert saved(point).endswith("; 2026 Nov 24-2026 Nov 25 off; 2026 Nov 28 10:00-12:00")
    with everywhere_at(datetime(2026, 11, 26, 12, tzinfo=ZONE)):
        page = shop.get("shop/hours/")
    assert 'value="2026-11-24"' not in page
    assert 'value="2026-11-28"' in page


def test_more_times_are_offered_on_request_and_typed_ones_stay(shop: Shop, at_noon: None) -> None:
    page = shop.post("shop/hours/", **hours(**{"action": "more", "shown": "2", "day-1-from-0": "08:08"}))
    assert 'name="day-1-from-2"' in page
    assert 'value="08:08"' in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"day-2-to-0": "08:00"}, "We: each span ends after it begins"),
        ({"day-2-from-1": "20:00", "day-2-to-1": "22:00"}, "We: each span ends after it begins"),
        ({"day-2-from-0": ""}, "We: fill in from and until"),
        ({"day-2-from-0": "25:00"}, "We: fill in from and until"),
        ({"day-2-from-0": "", "day-2-to-0": ""}, "We: fill in the hours, or tick closed"),
        ({"holidays": "hours"}, "Public holidays: fill in the hours"),
        ({"special-0-first": "2026-11-25", "special-0-last": "2026-11-24", "special-0-closed": "1"}, "Special days"),
        ({"special-0-last": "2026-11-24", "special-0-closed": "1"}, "Special days"),
        (
            {"special-0-first": "2026-11-25", "special-0-closed": "1", "special-1-first": "2026-11-25",
             "special-1-closed": "1"},
            "Two special days fall on the same day",
        ),
        ({"hours": "nonsense"}, "cannot be kept"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_hours_is_said_and_nothing_is_saved(
    shop: Shop, point: ServicePoint, at_noon: None, changes: dict[str, Any], words: str
) -> None:
    before = saved(point)
    assert words in shop.post("shop/hours/", status=400, **hours(**changes))
    assert saved(point) == before


def test_hours_that_the_form_cannot_show_stay_as_text(shop: Shop, point: ServicePoint, at_noon: None) -> None:
    ServicePoint.objects.filter(pk=point.pk).update(opening_hours="Mo-Fr sunrise-sunset")
    assert "Mo-Fr sunrise-sunset</textarea>" in shop.get("shop/hours/")
    shop.post("shop/hours/", hours="Mo-Fr 22:00-02:00", action="save")
    assert saved(point) == "Mo-Fr 22:00-02:00"


def test_a_shop_without_hours_gets_a_suggestion(shop: Shop, point: ServicePoint, at_noon: None) -> None:
    ServicePoint.objects.filter(pk=point.pk).update(opening_hours="")
    page = shop.get("shop/hours/")
    assert "every day as open" in page
    assert 'value="09:00"' in page


def test_a_pause_shows_in_the_two_weeks(shop: Shop, point: ServicePoint, at_noon: None) -> None:
    Pause.objects.create(
        service_point=point, reason="vacation", period=DateTimeTZRange(NOON + 24 * HOUR, NOON + 48 * HOUR)
    )
    assert shop.get("shop/").count('<li class="paused">') == 2


def test_the_hours_are_the_owners(client: Client, shop: Shop, clerk: User, point: ServicePoint) -> None:
    before = saved(point)
    client.force_login(clerk)
    shop.get("shop/hours/", status=404)
    shop.post("shop/hours/", status=404, **hours())
    assert "Change the hours" not in shop.get("shop/")
    assert saved(point) == before


# Strangers


PATHS = ("shelf/", "shelf/?show=expected", "shelf/?q=8000", "count/", "count/{count}/", "shop/", "shop/hours/")
FOR_DEVICES = PATHS[:5]


@pytest.fixture
def paths(point: ServicePoint, device: Device, scanner: Scanner) -> list[str]:
    make_ready_parcel(scanner, point)
    taken = StockCount.objects.create(service_point=point, device=device, count_id=uuid4())
    return [f"/counter/{point.pk}/{path.format(count=taken.pk)}" for path in PATHS]


def test_whoever_is_not_signed_in_is_asked_to(client: Client, paths: list[str]) -> None:
    for path in paths:
        assert client.get(path).headers["Location"].startswith("/?next=")
        assert client.post(path).headers["Location"].startswith("/?next=")


def test_the_shops_own_phone_sees_the_shelf_and_counts_it(
    client: Client, point: ServicePoint, paths: list[str]
) -> None:
    client.cookies["counter_device"] = factories.make_device(point)[1]
    answers = [client.get(path).status_code for path in paths]
    assert answers == [200] * len(FOR_DEVICES) + [302] * (len(PATHS) - len(FOR_DEVICES))
    assert count(Shop(client, point), "A")


def test_a_revoked_phone_sees_nothing(client: Client, point: ServicePoint, paths: list[str]) -> None:
    phone, key = factories.make_device(point)
    Device.objects.filter(pk=phone.pk).update(revoked_at=now())
    client.cookies["counter_device"] = key
    for path in paths:
        assert client.get(path).headers["Location"].startswith("/?next=")


@pytest.mark.parametrize("who", STRANGERS)
def test_to_anybody_else_the_pages_do_not_exist(
    client: Client, point: ServicePoint, paths: list[str], who: str
) -> None:
    client.force_login(stranger(who, point))
    for path in paths:
        assert client.get(path).status_code == 404
        assert client.post(path).status_code == 404


def test_no_stranger_reports_a_loss(client: Client, point: ServicePoint, scanner: Scanner) -> None:
    parcel = make_ready_parcel(scanner, point)
    client.force_login(factories.make_member(point))
    shop = Shop(client, point)
    count(shop, empty="1")
    path = lost_path(shop)
    for who in STRANGERS:
        client.force_login(stranger(who, point))
        shop.post(path, status=404, reason="x")
    assert Parcel.objects.get(pk=parcel.pk).status == "ready"
