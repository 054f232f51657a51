"""Counting a shelf: four lists, one moment, stored once; a loss only by an owner; what is expected when."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from network.models import Device, ServicePoint
from pickup import parcels, scanning, stock
from pickup.models import Order, Parcel, StockCount, StockCountLine
from pickup.scans import Scanner
from tests import factories
from tests.factories import make_parcel, make_point, make_ready_parcel, pick_up

pytestmark = pytest.mark.django_db
LONG_PAST = datetime(2020, 1, 5, tzinfo=UTC)


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop")


@pytest.fixture
def device(point: ServicePoint) -> Device:
    return factories.make_device(point)[0]


@pytest.fixture
def scanner(device: Device) -> Scanner:
    return Scanner(device_id=device.pk)


def count(point: ServicePoint, device: Device, *scanned: Parcel | str, count_id: UUID | None = None) -> StockCount:
    barcodes = {one if isinstance(one, str) else one.barcode for one in scanned}
    return stock.take_count(point=point, device=device, count_id=count_id or uuid4(), scanned=barcodes)


def lists(taken: StockCount) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in taken.lines.all():
        found.setdefault(line.found, set()).add(line.barcode)
    return found


def overdue_parcel(scanner: Scanner, point: ServicePoint) -> Parcel:
    parcel = make_ready_parcel(scanner, point)
    factories.backdate(parcel, hold_until=LONG_PAST)
    return parcel


def test_each_parcel_comes_into_its_list(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    here, missing = (make_ready_parcel(scanner, point) for _ in range(2))
    overdue = overdue_parcel(scanner, point)
    taken = count(point, device, here, overdue, "UNKNOWN-1")
    assert lists(taken) == {
        "here": {here.barcode},
        "overdue": {overdue.barcode},
        "missing": {missing.barcode},
        "orphan": {"UNKNOWN-1"},
    }


def test_an_expired_parcel_that_is_found_is_overdue(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    parcel = make_ready_parcel(scanner, point)
    Parcel.objects.filter(pk=parcel.pk).update(status="expired")
    assert lists(count(point, device, parcel)) == {"overdue": {parcel.barcode}}


def test_an_overdue_parcel_that_is_not_found_is_missing(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    parcel = overdue_parcel(scanner, point)
    assert lists(count(point, device)) == {"missing": {parcel.barcode}}


@pytest.mark.parametrize("state", ["expected", "collected", "returned", "elsewhere"])
def test_what_stands_here_and_should_not_is_an_orphan(
    point: ServicePoint, device: Device, scanner: Scanner, state: str
) -> None:
    if state == "elsewhere":
        other = make_point()
        parcel = make_ready_parcel(factories.scanner_of(other), other)
    elif state == "expected":
        parcel = make_parcel(point)
    else:
        parcel = make_ready_parcel(scanner, point)
        if state == "collected":
            pick_up(scanner, parcel)
        else:
            factories.backdate(parcel, hold_until=LONG_PAST)
            scanning.record(scanner, factories.scan("return", parcel))
    taken = count(point, device, parcel)
    assert lists(taken) == {"orphan": {parcel.barcode}}
    assert taken.lines.get().parcel == parcel


def test_the_shelf_of_another_shop_is_not_missed_here(point: ServicePoint, device: Device) -> None:
    other = make_point()
    make_ready_parcel(factories.scanner_of(other), other)
    assert lists(count(point, device)) == {}


def test_the_same_count_again_is_the_same_count(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    parcel, count_id = make_ready_parcel(scanner, point), uuid4()
    first = count(point, device, parcel, count_id=count_id)
    pick_up(scanner, parcel)  # what happened since does not change it
    assert count(point, device, parcel, count_id=count_id) == first
    assert lists(first) == {"here": {parcel.barcode}}
    assert StockCount.objects.count() == 1


def test_the_same_count_id_with_other_barcodes_is_refused(point: ServicePoint, device: Device) -> None:
    count_id = uuid4()
    count(point, device, "A", count_id=count_id)
    with pytest.raises(stock.CountIdReused):
        count(point, device, "A", "B", count_id=count_id)
    assert StockCountLine.objects.count() == 1


def test_two_devices_may_use_the_same_count_id(point: ServicePoint, device: Device) -> None:
    count_id = uuid4()
    count(point, device, "A", count_id=count_id)
    count(point, factories.make_device(point)[0], "B", count_id=count_id)
    assert StockCount.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_count_sent_twice_at_once_is_stored_once(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    parcel, count_id = make_ready_parcel(scanner, point), uuid4()
    taken: list[int] = []

    def send() -> None:
        try:
            taken.append(count(point, device, parcel, count_id=count_id).pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 4
    assert len(set(taken)) == 1
    assert StockCountLine.objects.count() == 1


def test_the_whole_comparison_is_one_look(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    """One statement has one snapshot: nothing can move between two looks."""
    make_ready_parcel(scanner, point)
    with CaptureQueriesContext(connection) as captured:
        count(point, device, "A", "B")
    assert sum('FROM "pickup_parcel"' in query["sql"] for query in captured) == 1


def test_counts_are_never_changed(point: ServicePoint, device: Device) -> None:
    taken = count(point, device, "A")
    with pytest.raises(DatabaseError):
        taken.lines.update(found="here")


def test_more_barcodes_than_any_shelf_holds_are_refused(
    point: ServicePoint, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "MOST_SCANNED", 2)
    with pytest.raises(stock.TooManyScanned):
        count(point, device, "A", "B", "C")
    assert not StockCount.objects.exists()


def test_proofs_are_left_out_and_never_stored(point: ServicePoint, scanner: Scanner) -> None:
    parcel = make_ready_parcel(scanner, point)
    texts = [parcel.barcode, factories.token_of(parcel), factories.code_of(parcel), "é", "x" * 65, " ", ""]
    assert stock.barcodes_among(texts) == ({parcel.barcode}, 4)


def test_eight_digits_that_are_a_barcode_are_kept(point: ServicePoint) -> None:
    make_parcel(point, barcode="12345678")
    assert stock.barcodes_among(["12345678", "87654321"]) == ({"12345678"}, 1)


# A loss


def missing_line(point: ServicePoint, device: Device) -> StockCountLine:
    return count(point, device).lines.get(found="missing")


def test_an_owner_reports_a_missing_parcel_as_lost(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    parcel, owner = make_ready_parcel(scanner, point), factories.make_member(point)
    stock.report_lost(line=missing_line(point, device), by=owner, reason="looked everywhere")
    parcel.refresh_from_db()
    assert parcel.status == "lost"
    note = LogEntry.objects.get(user=owner)
    assert note.object_id == str(parcel.pk)
    assert "looked everywhere" in note.change_message


def test_an_expired_parcel_may_be_lost_too(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    parcel = make_ready_parcel(scanner, point)
    Parcel.objects.filter(pk=parcel.pk).update(status="expired")
    stock.report_lost(line=missing_line(point, device), by=factories.make_member(point), reason="x")
    parcel.refresh_from_db()
    assert parcel.status == "lost"


@pytest.mark.parametrize("who", ["clerk", "owner of another shop", "removed owner"])
def test_nobody_but_an_owner_reports_a_loss(point: ServicePoint, device: Device, scanner: Scanner, who: str) -> None:
    parcel = make_ready_parcel(scanner, point)
    line = missing_line(point, device)
    person = factories.make_member(make_point() if who == "owner of another shop" else point, "clerk")
    if who == "removed owner":
        person = factories.make_member(point)
        person.memberships.update(ended_at=now())
    with pytest.raises(stock.NotOwner):
        stock.report_lost(line=line, by=person, reason="x")
    parcel.refresh_from_db()
    assert parcel.status == "ready"


def test_a_parcel_that_was_handed_over_since_is_not_lost(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    parcel, owner = make_ready_parcel(scanner, point), factories.make_member(point)
    line = missing_line(point, device)
    pick_up(scanner, parcel)
    with pytest.raises(parcels.WrongStatus):
        stock.report_lost(line=line, by=owner, reason="x")
    parcel.refresh_from_db()
    assert parcel.status == "collected"
    assert not LogEntry.objects.exists()


def test_a_loss_needs_a_reason(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    make_ready_parcel(scanner, point)
    with pytest.raises(stock.NoReason):
        stock.report_lost(line=missing_line(point, device), by=factories.make_member(point), reason="  ")


def test_a_lost_parcel_is_not_missed_again(point: ServicePoint, device: Device, scanner: Scanner) -> None:
    make_ready_parcel(scanner, point)
    stock.report_lost(line=missing_line(point, device), by=factories.make_member(point), reason="x")
    assert lists(count(point, device)) == {}


# What is expected


NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)  # 12:00 in Shanghai
DAY = timedelta(days=1)


def announced(point: ServicePoint, at: datetime) -> Parcel:
    parcel = make_parcel(point)
    Order.objects.filter(pk=parcel.order_id).update(assigned_at=at)
    return parcel


def test_the_numbers_count_every_state_once(point: ServicePoint, scanner: Scanner) -> None:
    at = now()
    make_ready_parcel(scanner, point)
    overdue_parcel(scanner, point)
    make_parcel(point)
    pick_up(scanner, make_ready_parcel(scanner, point))
    make_parcel(make_point())
    assert stock.shelf(point, now=at, lead=None) == stock.Shelf(here=2, overdue=1, expected=1)


def test_parcels_come_on_the_day_on_which_half_had_come(point: ServicePoint) -> None:
    lead = stock.Lead(arrivals=20, half=DAY, most=3 * DAY)
    announced(point, NOON - 9 * DAY)  # late, and still counted for today
    announced(point, NOON - DAY)
    announced(point, NOON)
    announced(point, NOON + timedelta(hours=11, minutes=59))  # 23:59 in Shanghai
    announced(point, NOON + timedelta(hours=12))  # midnight: the day after tomorrow
    numbers = stock.shelf(point, now=NOON, lead=lead)
    assert (numbers.expected, numbers.today, numbers.tomorrow, numbers.late) == (5, 2, 2, 1)


def test_the_lead_is_what_the_shops_own_arrivals_took(point: ServicePoint, scanner: Scanner) -> None:
    for hours in range(1, stock.LEAD_LEAST + 1):
        parcel = make_parcel(point)
        Order.objects.filter(pk=parcel.order_id).update(assigned_at=now() - timedelta(hours=hours))
        factories.arrive(scanner, parcel)
    lead = stock.lead(point, now=now() + timedelta(minutes=1))
    assert lead is not None
    assert lead.arrivals == stock.LEAD_LEAST
    assert abs(lead.half - timedelta(hours=10.5)) < timedelta(minutes=5)
    assert lead.half < lead.most < timedelta(hours=20)


def test_too_few_arrivals_estimate_nothing(point: ServicePoint, scanner: Scanner) -> None:
    for _ in range(3):
        make_ready_parcel(scanner, point)
    assert stock.lead(point, now=now() + timedelta(minutes=1)) is None


def test_a_search_finds_four_digits_a_part_of_the_barcode_and_a_place(point: ServicePoint, scanner: Scanner) -> None:
    by_phone = make_ready_parcel(scanner, point, phone="+8613800135678")
    by_barcode = make_ready_parcel(scanner, point, barcode="AB-xy-77")
    by_place = make_ready_parcel(scanner, point)
    Parcel.objects.filter(pk=by_place.pk).update(shelf="C-2-9")
    rows = parcels.at_point(point, statuses=parcels.HERE)
    assert [list(stock.search(rows, text)) for text in ("5678", "XY-7", "c-2", "zzz")] == [
        [by_phone],
        [by_barcode],
        [by_place],
        [],
    ]
