"""Earnings: sums that a shop can check itself, line by line, each telling why; in the currency that was posted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from network.models import Appointment, ServicePoint, User
from network.tables import no_formula
from pickup import ledger, scanning
from pickup.models import Account, Dispute, Handover, Parcel, Posting, Scan, Statement, Tariff
from pickup.views.earnings import charts
from tests import factories
from tests.factories import make_parcel, make_point, make_ready_parcel, pick_up

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("any_time")]
ZONE = ZoneInfo("Asia/Shanghai")
FRIDAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=ZONE)
DAY = timedelta(days=1)
ENGLISH = {"accept-language": "en"}


@pytest.fixture
def any_time(db: None) -> Iterator[None]:
    """Postings of any day, and payouts without their papers."""
    with factories.guard_off("pickup_posting", "by_the_clock"), factories.guard_off("pickup_posting", "has_its_paper"):
        yield


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop")


@pytest.fixture
def at_noon() -> Iterator[None]:
    """The pages ask the clock which day it is; the rows of these tests carry times of their own."""
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def owner(point: ServicePoint) -> User:
    return factories.make_member(point, name="Li")


@pytest.fixture
def page(client: Client, owner: User, at_noon: None, point: ServicePoint) -> Page:
    client.force_login(owner)
    return Page(client, point)


class Page:
    def __init__(self, client: Client, point: ServicePoint) -> None:
        self.client, self.point = client, point

    def __call__(self, path: str = "", status: int = 200) -> str:
        response = self.client.get(f"/counter/{self.point.pk}/earnings/{path}", headers=ENGLISH)
        assert response.status_code == status
        return response.content.decode()

    def file(self, name: str, status: Any = 200, **filters: Any) -> str:
        body = {"name": name, "form": "csv", "query": urlencode(filters)}
        response: Any = self.client.post("/exports/new/", body, headers=ENGLISH)
        assert response.status_code == status
        return b"".join(response).decode()


def account(kind: str, currency: str, point: ServicePoint | None = None) -> Account:
    return Account.objects.get_or_create(kind=kind, currency=currency, service_point=point)[0]


def fee(
    point: ServicePoint, at: datetime = NOON, *, minor: int = 2000, currency: str = "CNY", **parcel: Any
) -> Posting:
    """The fee of a parcel that was handed over at a given time."""
    row = make_parcel(point, **parcel)
    factories.arrive(factories.scanner_of(point), row)
    scan = Scan.objects.create(
        scan_id=uuid4(),
        device=factories.make_device(point)[0],
        service_point=point,
        kind="pickup",
        verdict="ok",
        parcel=row,
        barcode=row.barcode,
        proof="qr",
        event_at=at,
        recorded_at=at,
        request_hash=b"",
        answer="{}",
    )
    handover = Handover.objects.create(parcel=row, service_point=point, scan=scan)
    Parcel.objects.filter(pk=row.pk).update(status="collected", collected_at=at)
    return Posting.objects.create(
        key=f"point_fee:{handover.pk}",
        kind="point_fee",
        debit=account("network", currency),
        debit_kind="network",
        credit=account("point", currency, point),
        credit_kind="point",
        amount_minor=minor,
        currency=currency,
        handover=handover,
        tariff=Tariff.objects.get(name="Default tariff"),
        recorded_at=at,
        payable_at=at + 3 * DAY,
    )


def give_back(posting: Posting, at: datetime, reason: str = "wrong person") -> Posting:
    return Posting.objects.create(
        key=f"reversal:{posting.key}",
        kind="reversal",
        debit_id=posting.credit_id,
        debit_kind=posting.credit_kind,
        credit_id=posting.debit_id,
        credit_kind=posting.debit_kind,
        amount_minor=posting.amount_minor,
        currency=posting.currency,
        handover_id=posting.handover_id,
        tariff_id=posting.tariff_id,
        reverses=posting,
        reason=reason,
        recorded_at=at,
        payable_at=posting.payable_at,
    )


def pay_out(point: ServicePoint, minor: int, at: datetime) -> Posting:
    return Posting.objects.create(
        key=f"payout:{uuid4()}",
        kind="payout",
        debit=account("point", "CNY", point),
        debit_kind="point",
        credit=account("bank", "CNY"),
        credit_kind="bank",
        amount_minor=minor,
        currency="CNY",
        recorded_at=at,
        payable_at=at,
    )


# The sums


def test_each_day_is_summed_in_the_networks_time_zone(point: ServicePoint) -> None:
    fee(point, datetime(2026, 11, 19, 23, 59, 59, tzinfo=ZONE))
    fee(point, datetime(2026, 11, 20, 0, 0, tzinfo=ZONE))
    fee(point, datetime(2026, 11, 20, 15, 59, 59, tzinfo=UTC))
    rows = ledger.earned_by_day(point, first=FRIDAY - DAY, last=FRIDAY)
    assert [(row.day, row.amount_minor, row.pickups) for row in rows] == [(FRIDAY, 4000, 2), (FRIDAY - DAY, 2000, 1)]


def test_a_reversal_counts_on_the_day_it_was_posted(point: ServicePoint) -> None:
    give_back(fee(point, NOON - DAY), NOON)
    rows = ledger.earned_by_day(point, first=FRIDAY - DAY, last=FRIDAY)
    assert [(row.amount_minor, row.pickups, row.taken_back) for row in rows] == [(-2000, 0, 1), (2000, 1, 0)]


def test_a_payout_is_no_earning_and_its_return_neither(point: ServicePoint) -> None:
    fee(point)
    give_back(pay_out(point, 500, NOON), NOON)
    [row] = ledger.earned_by_day(point, first=FRIDAY, last=FRIDAY)
    assert (row.amount_minor, row.pickups, row.taken_back) == (2000, 1, 0)


def test_currencies_are_never_added_together(point: ServicePoint) -> None:
    fee(point)
    fee(point, minor=300, currency="JPY")
    rows = ledger.earned_in(point, {"day": (FRIDAY, FRIDAY)})["day"]
    assert [(row.currency, row.amount_minor) for row in rows] == [("CNY", 2000), ("JPY", 300)]


def test_the_sums_of_another_shop_are_not_among_them(point: ServicePoint) -> None:
    fee(make_point())
    assert ledger.earned_in(point, {"day": (FRIDAY, FRIDAY)}) == {"day": []}
    assert ledger.earned_by_day(point, first=FRIDAY, last=FRIDAY) == []


def test_every_sum_is_what_its_lines_add_up_to(point: ServicePoint) -> None:
    for number in range(5):
        posting = fee(point, NOON - number * DAY, minor=100 + number)
    give_back(posting, NOON)
    first = FRIDAY - 9 * DAY
    lines = sum(row.signed_minor for row in ledger.between(ledger.earned_by(point), first=first, last=FRIDAY))  # type: ignore[attr-defined]
    days = sum(row.amount_minor for row in ledger.earned_by_day(point, first=first, last=FRIDAY))
    [total] = ledger.earned_in(point, {"all": (first, FRIDAY)})["all"]
    assert lines == days == total.amount_minor == 100 + 101 + 102 + 103


def test_a_real_pickup_earns_what_the_scan_told(point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    told = pick_up(scanner, parcel).content["fee_minor"]
    posting = Posting.objects.get(kind="point_fee", handover__parcel=parcel)
    day = posting.recorded_at.astimezone(ZONE).date()
    assert ledger.earned_in(point, {"day": (day, day)})["day"] == [ledger.Earned("CNY", told, 1, 0)]


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(123456, "CNY", "1234.56"), (-5, "CNY", "-0.05"), (300, "JPY", "300"), (1500, "KWD", "1.500"), (0, "CNY", "0.00")],
)
def test_an_amount_for_a_spreadsheet_has_neither_commas_nor_a_name(minor: int, currency: str, text: str) -> None:
    assert ledger.plain(minor, currency) == text


# The page


def test_the_page_shows_today_yesterday_the_week_and_the_month(page: Page, point: ServicePoint) -> None:
    for at, minor in (
        (NOON, 1),
        (NOON - DAY, 10),
        (NOON - 4 * DAY, 100),  # Monday
        (NOON - 5 * DAY, 1000),  # Sunday: of the month, not of the week
        (NOON - 20 * DAY, 100_00),  # October
    ):
        fee(point, at, minor=minor)
    text = " ".join(page().split())
    for name, amount in (("Today", "0.01"), ("Yesterday", "0.10"), ("This week", "1.11"), ("This month", "11.11")):
        assert f'<span class="tile-name">{name}</span> <strong class="number">{amount}' in text


def test_a_chosen_period_includes_both_its_days(page: Page, point: ServicePoint) -> None:
    for days in range(4):
        fee(point, NOON - days * DAY)
    text = page("?from=2026-11-18&to=2026-11-19")
    assert ">40.00</strong>" in text
    assert "/earnings/day/2026-11-18/" in text
    assert "/earnings/day/2026-11-17/" not in text


@pytest.mark.parametrize(
    "query",
    ["?from=&to=", "?from=2026-11-20", "?from=2026-02-30&to=2026-03-01", "?from=2026-11-20&to=2026-11-19",
     "?from=2020-01-01&to=2026-01-01", "?from=9999-12-31&to=9999-12-31", "?from=%00&to=x"],
)  # fmt: skip
def test_days_that_make_no_period_are_said_and_nothing_breaks(page: Page, query: str) -> None:
    assert 'class="error"' in page(query, status=400)
    filters = dict(parse_qsl(query[1:])) | {"point": str(page.point.pk)}
    page.file("earnings", status=400, **filters)


def test_an_unknown_period_or_day_does_not_exist(page: Page) -> None:
    page("?period=year", status=404)
    for day in ("2026-02-30", "x", "1999-12-31"):
        page(f"day/{day}/", status=404)


def test_each_currency_has_its_own_sum_and_picture(page: Page, point: ServicePoint) -> None:
    fee(point)
    fee(point, minor=300, currency="JPY")
    text = page()
    assert "20.00" in text
    assert ">300</strong> JPY" in text
    assert text.count('<figure class="chart">') == 2


def test_the_number_of_queries_does_not_grow_with_the_lines(
    page: Page, point: ServicePoint, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(4):
        fee(point)
    page()
    for path in ("", "day/2026-11-20/"):
        with django_assert_max_num_queries(12):
            page(path)


def test_a_day_lists_its_lines_and_each_opens_its_reason(page: Page, point: ServicePoint) -> None:
    posting, other = fee(point), fee(point, NOON - DAY)
    text = page("day/2026-11-20/")
    assert posting.handover is not None
    assert posting.handover.parcel.barcode in text
    assert f"/earnings/{posting.pk}/" in text
    assert f"/earnings/{other.pk}/" not in text


def test_a_long_day_comes_in_parts(page: Page, point: ServicePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pickup.views.earnings.LINES", 2)
    rows = [fee(point) for _ in range(3)]
    first, second = page("day/2026-11-20/"), page("day/2026-11-20/?page=2")
    assert [f"/earnings/{row.pk}/" in first for row in rows] == [False, True, True]
    assert [f"/earnings/{row.pk}/" in second for row in rows] == [True, False, False]
    assert "page=2" in first


def test_a_picture_has_one_bar_for_each_day_with_earnings() -> None:
    days = [ledger.Earned("CNY", 50, 1, 0, FRIDAY), ledger.Earned("CNY", 100, 1, 0, FRIDAY - 2 * DAY)]
    [picture] = charts(days, first=FRIDAY - 2 * DAY, last=FRIDAY)
    assert picture["bars"] == [{"x": 1, "y": 0, "height": 100}, {"x": 21, "y": 50, "height": 50}]
    assert picture["most"] == "1.00"


def test_a_day_that_gave_back_more_than_it_earned_has_no_bar() -> None:
    days = [ledger.Earned("CNY", -2000, 0, 1, FRIDAY)]
    assert charts(days, first=FRIDAY - DAY, last=FRIDAY) == []


# Why this fee?


def test_a_fee_tells_its_scans_rule_and_when_it_is_payable(page: Page, point: ServicePoint) -> None:
    posting = fee(point, phone="+8613800135678")
    text = page(f"{posting.pk}/")
    assert posting.handover is not None
    for words in (
        posting.handover.parcel.barcode,
        "王*",
        "…5678",
        "Scanned in",
        "Handed over",
        posting.handover.scan.device.name,
        "QR code",
        "Default tariff",
        "2020-01-01",
        "20.00 CNY",
        "Payable from 2026-11-23 12:00",
        "paid by the network",
    ):
        assert words in text
    assert "王小明" not in text
    assert "13800135678" not in text


def test_the_clerk_who_handed_over_is_named_and_no_phone_is(page: Page, point: ServicePoint) -> None:
    clerk = factories.make_member(point, "clerk", name="Han Meimei", phone="+8613900007777")
    posting = fee(point)
    assert posting.handover is not None
    parcel = make_ready_parcel(factories.scanner_of(point), point)
    scanner = factories.scanner_of(point)
    pick_up(type(scanner)(device_id=scanner.device_id, clerk_id=clerk.pk), parcel)
    text = page(f"{Posting.objects.get(handover__parcel=parcel, kind='point_fee').pk}/")
    assert "Han Meimei" in text
    assert "13900007777" not in text


def test_an_undone_hand_over_shows_the_reversal_and_the_reversal_the_fee(page: Page, point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    scanning.record(scanner, factories.scan("undo", parcel, reason="wrong person"))
    posting = Posting.objects.get(handover__parcel=parcel, kind="point_fee")
    back = Posting.objects.get(reverses=posting)
    text = page(f"{posting.pk}/")
    assert "Hand-over undone" in text
    assert "wrong person" in text
    assert f"/earnings/{back.pk}/" in text
    text = page(f"{back.pk}/")
    assert "−20.00" in text
    assert f"/earnings/{posting.pk}/" in text


def test_a_disputed_fee_says_that_it_waits(page: Page, point: ServicePoint) -> None:
    posting = fee(point)
    assert posting.handover is not None
    Dispute.objects.create(handover=posting.handover)
    assert "until then the fee waits" in page(f"{posting.pk}/")


def test_a_fee_that_is_payable_says_since_when(page: Page, point: ServicePoint) -> None:
    assert "Payable since 2026-11-13 12:00" in page(f"{fee(point, NOON - 10 * DAY).pk}/")


def test_payouts_and_adjustments_have_their_own_rule(page: Page, point: ServicePoint) -> None:
    payout = pay_out(point, 500, NOON)
    adjustment = Posting.objects.create(
        key="adjustment:1",
        kind="adjustment",
        debit=account("network", "CNY"),
        debit_kind="network",
        credit=account("point", "CNY", point),
        credit_kind="point",
        amount_minor=700,
        currency="CNY",
        reason="a broken scanner",
        recorded_at=NOON,
        payable_at=NOON,
    )
    assert "paid out to the shop" in page(f"{payout.pk}/")
    assert "−5.00" in page(f"{payout.pk}/")
    assert "a broken scanner" in page(f"{adjustment.pk}/")


def test_the_fees_of_others_do_not_exist_here(page: Page, point: ServicePoint, chain: dict[Any, Any]) -> None:
    elsewhere = fee(make_point())
    for region in chain.values():
        # In force whatever the database's clock says, which no test can stop.
        valid = DateTimeTZRange(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
        Appointment.objects.create(agent=factories.make_agent(), region=region, valid=valid)
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point, region_ids=factories.chain_ids(chain))
    pick_up(scanner, parcel)
    agents = Posting.objects.filter(kind="agent_fee", handover__parcel=parcel)
    assert agents
    for posting in (elsewhere, *agents):
        page(f"{posting.pk}/", status=404)
    page("999999999999999999999/", status=404)


# Statements


def close(period: str = "2026-10", now: datetime = NOON) -> None:
    factories.close_period(period=period, now=now, currency="CNY")


def test_a_statement_shows_its_lines_and_each_line_its_statement(page: Page, point: ServicePoint) -> None:
    posting = fee(point, NOON - 25 * DAY)
    close()
    row = Statement.objects.get(account__service_point=point)
    assert f"/earnings/statements/{row.pk}/" in page()
    text = page(f"statements/{row.pk}/")
    assert "Statement 2026-10" in text
    assert f"/earnings/{posting.pk}/" in text
    assert "In the statement of 2026-10." in page(f"{posting.pk}/")


def test_a_debt_is_carried_into_the_next_statement_and_shown_there(page: Page, point: ServicePoint) -> None:
    october = NOON - 25 * DAY
    first = fee(point, october - 31 * DAY)
    close("2026-09", now=NOON - 40 * DAY)
    give_back(first, october)
    close("2026-10", now=NOON)
    late = fee(point, NOON - 5 * DAY, minor=5000)
    close("2026-11", now=NOON + 20 * DAY)
    owed, paid = Statement.objects.filter(account__service_point=point).order_by("-id")[:2][::-1]
    assert (owed.total_minor, paid.carried_minor, paid.total_minor) == (-2000, -2000, 3000)
    assert "never asked back" in page(f"statements/{owed.pk}/")
    text = page(f"statements/{paid.pk}/")
    assert "−20.00 CNY" in text
    assert "30.00 CNY" in text
    assert f"/earnings/{late.pk}/" in text


def test_the_statement_of_another_shop_does_not_exist(page: Page) -> None:
    other = make_point()
    fee(other, NOON - 25 * DAY)
    close()
    row = Statement.objects.get(account__service_point=other)
    page(f"statements/{row.pk}/", status=404)
    page.file("statement", status=404, point=page.point.pk, statement=row.pk)
    page.file("statement", status=404, point=other.pk, statement=row.pk)


# Files


def rows_of(text: str) -> list[list[str]]:
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


def test_the_file_of_a_period_has_one_row_for_each_line(page: Page, point: ServicePoint) -> None:
    posting = fee(point)
    give_back(posting, NOON)
    fee(point, NOON - 30 * DAY)
    head, *rows = rows_of(page.file("earnings", point=point.pk, **{"from": "2026-11-20", "to": "2026-11-20"}))
    assert head[0] == "Recorded (Asia/Shanghai)"
    assert [row[3:5] for row in rows] == [["20.00", "CNY"], ["-20.00", "CNY"]]
    assert rows[0][0] == "2026-11-20 12:00:00"
    assert rows[0][5] == str(posting.pk)


def test_no_cell_is_a_formula(page: Page, point: ServicePoint) -> None:
    fee(point, barcode="=HYPERLINK(1)")
    back = fee(point, barcode="@SUM")
    give_back(back, NOON, reason="-1+1")
    [_head, *rows] = rows_of(page.file("earnings", point=point.pk, **{"from": "2026-11-20", "to": "2026-11-20"}))
    assert [row[1] for row in rows] == ["'=HYPERLINK(1)", "'@SUM", "'@SUM"]
    assert all(no_formula(cell) == cell for row in rows for cell in (row[1], row[2]))


def test_the_file_of_a_statement_adds_up_to_its_total(page: Page, point: ServicePoint) -> None:
    fee(point, NOON - 25 * DAY)
    fee(point, NOON - 26 * DAY, minor=123)
    close()
    row = Statement.objects.get(account__service_point=point)
    [_head, *rows] = rows_of(page.file("statement", point=point.pk, statement=row.pk))
    assert sum(round(float(cells[3]) * 100) for cells in rows) == row.total_minor
    assert {cells[7] for cells in rows} == {"2026-10"}


# Strangers


PATHS = ("", "day/2026-11-20/", "{fee}/", "statements/{statement}/")


@pytest.fixture
def paths(point: ServicePoint, at_noon: None) -> list[str]:
    posting = fee(point, NOON - 25 * DAY)
    close()
    row = Statement.objects.get(account__service_point=point)
    return [f"/counter/{point.pk}/earnings/{path.format(fee=posting.pk, statement=row.pk)}" for path in PATHS]


def test_whoever_is_not_signed_in_is_asked_to(client: Client, paths: list[str]) -> None:
    for path in paths:
        assert client.get(path).headers["Location"].startswith("/?next=")


def test_the_shops_own_phone_sees_no_money(client: Client, point: ServicePoint, paths: list[str]) -> None:
    with transaction.atomic():
        client.cookies["counter_device"] = factories.make_device(point)[1]
    for path in paths:
        assert client.get(path).headers["Location"].startswith("/?next=")


@pytest.mark.parametrize("who", ["owner of another shop", "removed clerk", "agent", "admin"])
def test_to_anybody_else_the_money_does_not_exist(
    client: Client, point: ServicePoint, paths: list[str], who: str
) -> None:
    client.force_login(stranger(who, point))
    for path in paths:
        assert client.get(path).status_code == 404


def stranger(who: str, point: ServicePoint) -> User:
    if who == "owner of another shop":
        return factories.make_member(make_point())
    if who == "removed clerk":
        person = factories.make_member(point, "clerk")
        person.memberships.update(ended_at=NOON)
        return person
    person = factories.make_user(is_staff=who == "admin", is_superuser=who == "admin")
    if who == "agent":
        factories.make_agent(user=person)
    return person
