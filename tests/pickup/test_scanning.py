"""Arrivals, undone hand-overs, returns and damage: what each scan does and what it is called when it may not."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils.timezone import now

from network.models import ServicePoint
from pickup import codes, ledger, scanning
from pickup.models import Account, Arrival, Handover, Notice, Parcel, PickupCode, Posting, Scan
from pickup.parcels import Status
from pickup.scans import ScanIdReused, Scanner, ScanRequest, UnknownScanner
from tests import factories
from tests.factories import arrive, make_parcel, make_point, make_ready_parcel, pick_up, scan, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


@pytest.fixture
def scanner(point: ServicePoint) -> Scanner:
    return factories.scanner_of(point)


def record(scanner: Scanner, kind: str, parcel: Parcel | str, **fields: object) -> str:
    return scanning.record(scanner, scan(kind, parcel, **fields)).verdict


def test_an_arrival_makes_the_parcel_ready_with_shelf_deadline_code_and_notice(
    scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_parcel(point)
    answer = arrive(scanner, parcel, shelf="A-3-12")
    parcel.refresh_from_db()
    assert (answer.verdict, parcel.status, parcel.shelf) == ("ok", Status.READY, "A-3-12")
    assert parcel.hold_until is not None
    assert parcel.hold_until - now() == pytest.approx(timedelta(days=7), abs=timedelta(minutes=1))
    assert PickupCode.objects.filter(parcel=parcel).exists()
    assert Notice.objects.get(parcel=parcel).kind == Notice.Kind.READY
    assert answer.as_json()["parcel"]["status"] == "ready"


def test_a_merchants_own_storage_time_counts(scanner: Scanner, point: ServicePoint) -> None:
    merchant, _ = factories.make_merchant(hold_days=3)
    parcel = make_ready_parcel(scanner, point, merchant=merchant)
    assert parcel.hold_until is not None
    assert parcel.hold_until - now() == pytest.approx(timedelta(days=3), abs=timedelta(minutes=1))


def test_an_arrival_earns_nothing(scanner: Scanner, point: ServicePoint) -> None:
    make_ready_parcel(scanner, point)
    assert not Posting.objects.exists()


def test_a_second_arrival_is_a_duplicate(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert record(scanner, "arrival", parcel) == "duplicate"
    assert Arrival.objects.count() == 1


def test_the_same_arrival_again_is_a_repeat(scanner: Scanner, point: ServicePoint) -> None:
    request = scan("arrival", make_parcel(point))
    assert scanning.record(scanner, request).verdict == "ok"
    assert scanning.record(scanner, request).verdict == "ok_repeat"
    assert Scan.objects.count() == 1


def test_an_unannounced_parcel_is_kept_as_an_orphan(scanner: Scanner) -> None:
    assert record(scanner, "arrival", "NEVER-SEEN") == "unknown_parcel"
    assert Scan.objects.get(verdict="unknown_parcel").barcode == "NEVER-SEEN"


def test_a_parcel_of_another_shop_is_not_taken_in(scanner: Scanner) -> None:
    parcel = make_parcel(make_point(name="Other shop"))
    answer = arrive(scanner, parcel)
    assert (answer.verdict, answer.content["detail"]) == ("wrong_point", {"point": "Other shop"})
    assert answer.content["parcel"] is None
    parcel.refresh_from_db()
    assert parcel.status == Status.EXPECTED


def test_a_full_shop_takes_the_parcel_and_is_warned() -> None:
    point = make_point(capacity=1)
    scanner = factories.scanner_of(point)
    assert arrive(scanner, make_parcel(point)).verdict == "ok"
    second = make_parcel(point)
    assert arrive(scanner, second).verdict == "over_capacity"
    second.refresh_from_db()
    assert second.status == Status.READY


@pytest.mark.parametrize(
    ("status", "verdict"), [("cancelled", "cancelled"), ("damaged", "damaged"), ("lost", "unknown_parcel")]
)
def test_a_parcel_that_must_not_come_is_refused_by_its_status(
    scanner: Scanner, point: ServicePoint, status: str, verdict: str
) -> None:
    parcel = make_parcel(point)
    Parcel.objects.filter(pk=parcel.pk).update(status=status)
    assert record(scanner, "arrival", parcel) == verdict


def test_an_undone_hand_over_gives_every_fee_back(scanner: Scanner, point: ServicePoint) -> None:
    chain = factories.make_chain()
    for region in chain.values():
        factories.make_appointment(region)
    parcel = make_ready_parcel(scanner, point, region_ids=factories.chain_ids(chain))
    pick_up(scanner, parcel)
    assert record(scanner, "undo", parcel, reason="wrong parcel") == "ok"
    parcel.refresh_from_db()
    assert (parcel.status, parcel.collected_at) == (Status.READY, None)
    assert all(ledger.balance_minor(account) == 0 for account in Account.objects.all())
    assert Posting.objects.filter(kind="reversal", reason="wrong parcel").count() == 6


def test_a_parcel_can_be_collected_again_after_an_undo_and_pays_once(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    record(scanner, "undo", parcel)
    assert pick_up(scanner, parcel).verdict == "ok"
    account = Account.objects.get(service_point=point)
    assert ledger.balance_minor(account) == 2000
    assert Handover.objects.filter(undone_by__isnull=True).count() == 1


def test_the_repeat_of_an_undo_reverses_nothing_twice(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    request = scan("undo", parcel)
    scanning.record(scanner, request)
    assert scanning.record(scanner, request).verdict == "ok_repeat"
    assert Posting.objects.filter(kind="reversal").count() == 1


def test_after_ten_minutes_nothing_is_undone(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    factories.backdate(parcel, collected_at=now() - timedelta(minutes=11))
    assert record(scanner, "undo", parcel) == "already_collected"
    assert not Posting.objects.filter(kind="reversal").exists()


def test_what_was_not_handed_over_is_not_undone(scanner: Scanner, point: ServicePoint) -> None:
    assert record(scanner, "undo", make_ready_parcel(scanner, point)) == "not_found"


def test_an_undo_that_came_too_early_never_undoes_a_later_pickup(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    early = scan("undo", parcel)
    assert scanning.record(scanner, early).verdict == "not_found"
    pick_up(scanner, parcel)
    assert scanning.record(scanner, early).verdict == "not_found"
    parcel.refresh_from_db()
    assert parcel.status == Status.COLLECTED


def test_another_shop_cannot_undo(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    assert record(factories.scanner_of(make_point()), "undo", parcel) == "wrong_point"


def test_an_expired_parcel_goes_back(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    factories.backdate(parcel, hold_until=now() - timedelta(hours=1))
    assert record(scanner, "return", parcel) == "ok"
    parcel.refresh_from_db()
    assert parcel.status == Status.RETURNED
    assert record(scanner, "pickup", parcel, token=token_of(parcel)) == "returned"


def test_a_parcel_within_its_storage_time_does_not_go_back(scanner: Scanner, point: ServicePoint) -> None:
    assert record(scanner, "return", make_ready_parcel(scanner, point)) == "clerk_not_allowed"


@pytest.mark.parametrize("arrived", [True, False])
def test_a_damaged_parcel_is_marked_and_never_handed_over(scanner: Scanner, point: ServicePoint, arrived: bool) -> None:
    parcel = make_ready_parcel(scanner, point) if arrived else make_parcel(point)
    assert record(scanner, "damaged", parcel) == "damaged"
    parcel.refresh_from_db()
    assert parcel.status == Status.DAMAGED
    assert record(scanner, "arrival", parcel) == "damaged"


def test_every_refused_scan_is_kept(scanner: Scanner, point: ServicePoint) -> None:
    for kind in ("arrival", "undo", "return", "damaged"):
        record(scanner, kind, "NEVER-SEEN")
    assert Scan.objects.exclude(verdict="ok").count() == 4


def test_a_key_that_no_device_has_records_nothing(point: ServicePoint) -> None:
    with pytest.raises(UnknownScanner):
        arrive(Scanner(key_hash=b"x" * 32), make_parcel(point))
    assert not Scan.objects.exists()


def test_a_pickup_uploaded_before_its_arrival_is_paid_when_it_is_uploaded_again(
    scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_parcel(point)
    token = codes.token_of(parcel=parcel.uuid, issue=1, point_id=point.pk, expires_at=now() + timedelta(days=7))
    pickup = scan("pickup", parcel, token=token)
    assert [scanning.record(scanner, pickup).verdict for _ in range(2)] == ["not_arrived"] * 2
    arrive(factories.scanner_of(point), parcel)
    assert [scanning.record(scanner, pickup).verdict for _ in range(2)] == ["ok", "ok_repeat"]
    assert Scan.objects.filter(scan_id=pickup.scan_id).count() == 2
    assert Posting.objects.count() == 1


def test_an_orphan_that_is_announced_later_arrives_when_its_scan_is_uploaded_again(
    scanner: Scanner, point: ServicePoint
) -> None:
    request = scan("arrival", "PN-LATE")
    assert [scanning.record(scanner, request).verdict for _ in range(2)] == ["unknown_parcel"] * 2
    make_parcel(point, barcode="PN-LATE")
    assert [scanning.record(scanner, request).verdict for _ in range(2)] == ["ok", "ok_repeat"]


def a_day(scanner: Scanner, point: ServicePoint) -> list[ScanRequest]:
    """Twenty parcels that come and go, one of them undone and taken again."""
    day, morning = [], now() - timedelta(hours=8)
    for nth in range(20):
        parcel = make_parcel(point)
        parcel.hold_until = now() + timedelta(days=7)
        token = codes.token_of(parcel=parcel.uuid, issue=1, point_id=point.pk, expires_at=parcel.hold_until)
        day.append(scan("arrival", parcel, event_at=morning))
        named = {} if nth % 2 else {"barcode": ""}  # by its token alone, while its arrival names the barcode
        day.append(scan("pickup", parcel, token=token, event_at=morning + timedelta(hours=1), **named))
        if nth == 0:
            day.append(scan("undo", parcel, event_at=morning + timedelta(hours=1, minutes=5)))
            day.append(scan("pickup", parcel, token=token, event_at=morning + timedelta(hours=2)))
    return day


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_in_any_order_and_three_times_has_one_effect(scanner: Scanner, point: ServicePoint, seed: int) -> None:
    day = a_day(scanner, point)
    for _ in range(3):
        random.Random(seed).shuffle(day)
        answers = scanning.record_batch(scanner, day)
        assert len(answers) == len(day)
    assert Parcel.objects.filter(status=Status.COLLECTED).count() == 20
    assert ledger.balance_minor(Account.objects.get(service_point=point)) == 20 * 2000
    assert Scan.objects.count() == len(day)
    assert ledger.faults() == []


def test_a_scan_id_used_twice_in_one_batch_is_told_so(scanner: Scanner, point: ServicePoint) -> None:
    scan_id = uuid4()
    first, second = (scan("arrival", make_parcel(point), scan_id=scan_id) for _ in range(2))
    answers = scanning.record_batch(scanner, [first, second])
    assert not isinstance(answers[0], ScanIdReused)
    assert isinstance(answers[1], ScanIdReused)
