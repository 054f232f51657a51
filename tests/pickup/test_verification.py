"""Verified pickup: who may collect, exactly once, and what every refusal is called."""

from __future__ import annotations

from datetime import datetime, timedelta
from unittest import mock
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.utils.timezone import localtime, now

from network.models import Device, ServicePoint
from pickup import scanning, verification
from pickup.models import Handover, Parcel, PickupCode, Posting, Scan, WrongCodeDay
from pickup.parcels import Status, issue_code
from pickup.scans import Answer, ScanIdReused, Scanner, UnknownScanner
from tests import factories
from tests.factories import code_of, make_parcel, make_point, make_ready_parcel, scan, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


@pytest.fixture
def scanner(point: ServicePoint) -> Scanner:
    return factories.scanner_of(point)


@pytest.fixture
def parcel(scanner: Scanner, point: ServicePoint) -> Parcel:
    return make_ready_parcel(scanner, point, shelf="A-3-12")


def pick_up(scanner: Scanner, parcel: Parcel, **proof: str) -> str:
    return scanning.record(scanner, scan("pickup", parcel, **proof)).verdict


def nothing_happened(parcel: Parcel) -> bool:
    before = parcel.status
    parcel.refresh_from_db()
    return parcel.status == before and not Posting.objects.exists() and not Handover.objects.exists()


def test_the_qr_hands_the_parcel_over(scanner: Scanner, parcel: Parcel) -> None:
    answer = scanning.record(scanner, scan("pickup", parcel, token=token_of(parcel)))
    parcel.refresh_from_db()
    assert (answer.verdict, parcel.status) == ("ok", Status.COLLECTED)
    assert parcel.collected_at is not None


def test_the_qr_alone_names_its_parcel(scanner: Scanner, parcel: Parcel) -> None:
    assert pick_up(scanner, parcel, token=token_of(parcel), barcode="") == "ok"


def test_the_typed_code_hands_the_parcel_over(scanner: Scanner, parcel: Parcel) -> None:
    assert pick_up(scanner, parcel, code=code_of(parcel)) == "ok"


def test_the_answer_tells_fee_day_and_what_else_waits(scanner: Scanner, point: ServicePoint, parcel: Parcel) -> None:
    make_ready_parcel(scanner, point)
    make_ready_parcel(scanner, point, phone="+8613900000000")
    content = scanning.record(scanner, scan("pickup", parcel, token=token_of(parcel))).as_json()
    assert content["fee_minor"] == 2000
    assert content["today_minor"] == 2000
    assert content["waiting_here"] == 1
    assert content["parcel"]["barcode"] == parcel.barcode
    assert content["parcel"]["status"] == "collected"


def test_pickups_of_one_call_are_answered_as_if_one_came_after_the_other(scanner: Scanner, point: ServicePoint) -> None:
    mine, of_somebody_else, mine_too, _left = (
        make_ready_parcel(scanner, point, phone=phone)
        for phone in ("+8613800000000", "+8613900000000", "+8613800000000", "+8613800000000")
    )
    requests = [scan("pickup", parcel, token=token_of(parcel)) for parcel in (mine, of_somebody_else, mine_too)]
    answers = [answer.as_json() for answer in scanning.record_batch(scanner, requests) if isinstance(answer, Answer)]
    assert [answer["fee_minor"] for answer in answers] == [2000] * 3
    assert [answer["today_minor"] for answer in answers] == [2000, 4000, 6000]
    assert [answer["waiting_here"] for answer in answers] == [2, 0, 1]


def test_one_parcel_twice_in_one_call_is_a_conflict_and_changes_nothing(scanner: Scanner, parcel: Parcel) -> None:
    """The batch never does that, unless the parcel was made while it was sorted: the call is to be made again."""
    requests = [scan("pickup", parcel, token=token_of(parcel)) for _ in range(2)]
    with pytest.raises(OperationalError, match="twice"), transaction.atomic():
        verification.hand_over(scanner, requests)
    assert nothing_happened(parcel)


def test_the_same_scan_again_is_a_repeat_with_one_effect(scanner: Scanner, parcel: Parcel) -> None:
    request = scan("pickup", parcel, token=token_of(parcel))
    first = scanning.record(scanner, request).as_json()
    again = scanning.record(scanner, request).as_json()
    assert first["verdict"] == "ok"
    assert again["verdict"] == "ok_repeat"
    del first["verdict"], again["verdict"], first["message"], again["message"]
    assert first == again
    assert Posting.objects.count() == 1


def test_a_refused_scan_repeats_its_refusal(scanner: Scanner, parcel: Parcel) -> None:
    request = scan("pickup", parcel, code=factories.wrong_code_for(parcel))
    assert scanning.record(scanner, request).as_json() == scanning.record(scanner, request).as_json()
    assert Scan.objects.filter(verdict="wrong_code").count() == 1


def test_a_repeat_does_not_burn_an_attempt(scanner: Scanner, parcel: Parcel) -> None:
    request = scan("pickup", parcel, code=factories.wrong_code_for(parcel))
    for _ in range(7):
        scanning.record(scanner, request)
    parcel.code.refresh_from_db()
    assert parcel.code.attempts == 1


def test_a_scan_id_with_another_content_is_refused(scanner: Scanner, point: ServicePoint, parcel: Parcel) -> None:
    other = make_ready_parcel(scanner, point)
    scan_id = uuid4()
    scanning.record(scanner, scan("pickup", parcel, token=token_of(parcel), scan_id=scan_id))
    with pytest.raises(ScanIdReused):
        scanning.record(scanner, scan("pickup", other, token=token_of(other), scan_id=scan_id))
    other.refresh_from_db()
    assert other.status == Status.READY


def test_another_devices_scan_id_gives_no_answer_away(point: ServicePoint, parcel: Parcel) -> None:
    request = scan("pickup", parcel, token=token_of(parcel))
    assert scanning.record(factories.scanner_of(point), request).verdict == "ok"
    assert scanning.record(factories.scanner_of(point), request).verdict == "already_collected"


def test_a_second_device_is_told_when_and_by_whom(scanner: Scanner, point: ServicePoint, parcel: Parcel) -> None:
    pick_up(scanner, parcel, token=token_of(parcel))
    answer = scanning.record(factories.scanner_of(point), scan("pickup", parcel, token=token_of(parcel)))
    assert answer.verdict == "already_collected"
    assert set(answer.content["detail"]) == {"at", "by"}
    assert Handover.objects.count() == 1


def test_a_wrong_code_changes_nothing(scanner: Scanner, parcel: Parcel) -> None:
    assert pick_up(scanner, parcel, code=factories.wrong_code_for(parcel)) == "wrong_code"
    assert nothing_happened(parcel)


def test_five_wrong_codes_lock_the_code_for_life(scanner: Scanner, parcel: Parcel) -> None:
    for _ in range(5):
        assert pick_up(scanner, parcel, code=factories.wrong_code_for(parcel)) == "wrong_code"
        factories.let_rest_end(parcel)
    assert pick_up(scanner, parcel, code=code_of(parcel)) == "code_locked"
    assert nothing_happened(parcel)


def test_after_three_wrong_codes_none_is_compared_for_five_minutes_and_the_answer_says_until_when(
    scanner: Scanner, parcel: Parcel
) -> None:
    for _ in range(3):
        assert pick_up(scanner, parcel, code=factories.wrong_code_for(parcel)) == "wrong_code"
    resting = scanning.record(scanner, scan("pickup", parcel, code=code_of(parcel)))
    parcel.code.refresh_from_db()
    assert parcel.code.paused_until is not None
    assert resting.verdict == "code_locked"
    assert resting.content["detail"].keys() == {"until"}
    assert datetime.fromisoformat(resting.content["detail"]["until"]) == parcel.code.paused_until
    assert f"{localtime(parcel.code.paused_until):%H:%M}" in resting.message
    assert timedelta(minutes=4) < parcel.code.paused_until - now() <= timedelta(minutes=5)
    assert nothing_happened(parcel)
    assert (parcel.code.attempts, WrongCodeDay.objects.get().wrong) == (3, 3), "what rests is not counted"
    factories.let_rest_end(parcel)
    assert pick_up(scanner, parcel, code=factories.wrong_code_for(parcel)) == "wrong_code"
    assert pick_up(scanner, parcel, code=code_of(parcel)) == "code_locked", "each further wrong one rests again"
    factories.let_rest_end(parcel)
    assert pick_up(scanner, parcel, code=code_of(parcel)) == "ok"


def test_the_same_scan_is_compared_after_the_rest(scanner: Scanner, parcel: Parcel) -> None:
    for _ in range(3):
        pick_up(scanner, parcel, code=factories.wrong_code_for(parcel))
    same = scan("pickup", parcel, code=code_of(parcel))
    assert scanning.record(scanner, same).verdict == "code_locked"
    factories.let_rest_end(parcel)
    assert scanning.record(scanner, same).verdict == "ok"


def test_a_counted_attempt_is_never_given_back(scanner: Scanner, parcel: Parcel) -> None:
    pick_up(scanner, parcel, code=factories.wrong_code_for(parcel))
    with pytest.raises(IntegrityError, match="counts for the life of the code"), transaction.atomic():
        PickupCode.objects.filter(parcel=parcel).update(attempts=0)


def test_the_qr_still_works_when_the_code_is_locked(scanner: Scanner, parcel: Parcel) -> None:
    for _ in range(5):
        pick_up(scanner, parcel, code=factories.wrong_code_for(parcel))
        factories.let_rest_end(parcel)
    assert pick_up(scanner, parcel, token=token_of(parcel)) == "ok"


def test_twenty_wrong_codes_close_typing_at_the_shop_for_the_day(scanner: Scanner, point: ServicePoint) -> None:
    for _ in range(4):
        parcel = make_ready_parcel(scanner, point)
        for _ in range(5):
            assert pick_up(scanner, parcel, code=factories.wrong_code_for(parcel)) == "wrong_code"
            factories.let_rest_end(parcel)
    fresh = make_ready_parcel(scanner, point)
    assert pick_up(scanner, fresh, code=code_of(fresh)) == "code_locked"
    fresh.code.refresh_from_db()
    assert fresh.code.attempts == 0, "a shop's lock does not burn a recipient's attempts"


def test_right_codes_do_not_use_up_the_shops_day(scanner: Scanner, point: ServicePoint) -> None:
    for _ in range(21):
        parcel = make_ready_parcel(scanner, point)
        assert pick_up(scanner, parcel, code=code_of(parcel)) == "ok"
    assert WrongCodeDay.objects.get(service_point=point).wrong == 0


@pytest.mark.parametrize("code", ["", "1", "१२३४५६७८", "１２３４５６７８", "0" * 32, "12345678\n", "abcdefgh"])
def test_what_cannot_be_a_code_costs_no_attempt(scanner: Scanner, parcel: Parcel, code: str) -> None:
    assert pick_up(scanner, parcel, code=code or "x") == "wrong_code"
    parcel.code.refresh_from_db()
    assert parcel.code.attempts == 0


def test_a_batch_of_more_right_codes_than_a_day_has_wrong_ones_is_handed_over(
    scanner: Scanner, point: ServicePoint
) -> None:
    parcels = [make_ready_parcel(scanner, point) for _ in range(25)]
    requests = [scan("pickup", parcel, code=code_of(parcel)) for parcel in parcels]
    answers = scanning.record_batch(scanner, requests)
    assert {answer.verdict for answer in answers if not isinstance(answer, ScanIdReused)} == {"ok"}
    assert Handover.objects.count() == 25


def test_a_batch_of_guesses_stops_at_the_rest_after_three(scanner: Scanner, parcel: Parcel) -> None:
    guesses = [scan("pickup", parcel, code=f"{n:08d}") for n in range(50)]
    answers = scanning.record_batch(scanner, guesses)
    verdicts = [answer.verdict for answer in answers if not isinstance(answer, ScanIdReused)]
    assert (verdicts.count("wrong_code"), verdicts.count("code_locked")) == (3, 47)


def test_a_code_that_was_not_counted_is_not_compared(scanner: Scanner, parcel: Parcel) -> None:
    """The parcel arrives between the count, which found nothing to try, and the hand-over."""
    with mock.patch.object(verification, "_typed", return_value=("uncounted", None)):
        assert pick_up(scanner, parcel, code=code_of(parcel)) == "not_arrived"
    assert pick_up(scanner, parcel, code=code_of(parcel)) == "ok"


def test_a_token_for_another_point_is_an_old_one(scanner: Scanner, parcel: Parcel) -> None:
    assert pick_up(scanner, parcel, token=token_of(parcel, point_id=999_999)) == "code_revoked"


def test_another_parcels_token_is_a_wrong_code(scanner: Scanner, point: ServicePoint, parcel: Parcel) -> None:
    other = make_ready_parcel(scanner, point)
    assert pick_up(scanner, parcel, token=token_of(other)) == "wrong_code"
    assert nothing_happened(other)


def test_a_forged_token_is_a_wrong_code(scanner: Scanner, parcel: Parcel) -> None:
    token = token_of(parcel)
    flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert pick_up(scanner, parcel, token=flipped) == "wrong_code"
    assert pick_up(scanner, parcel, token=flipped, barcode="") == "wrong_code"
    assert nothing_happened(parcel)


def test_a_reissue_kills_the_old_proofs(scanner: Scanner, parcel: Parcel) -> None:
    old_token, old_code = token_of(parcel), code_of(parcel)
    issue_code(parcel, issue=2)
    assert pick_up(scanner, parcel, token=old_token) == "code_revoked"
    assert pick_up(scanner, parcel, code=old_code) == "wrong_code"
    parcel.refresh_from_db()
    parcel.code.refresh_from_db()
    assert pick_up(scanner, parcel, token=token_of(parcel)) == "ok"


def test_a_parcel_that_never_arrived_is_not_handed_over(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_parcel(point)
    issue_code(parcel)
    parcel.hold_until = now() + timedelta(days=1)
    assert pick_up(scanner, parcel, token=token_of(parcel)) == "not_arrived"
    assert nothing_happened(parcel)


def test_the_wrong_shop_is_told_the_right_one_and_nothing_personal(parcel: Parcel) -> None:
    other = factories.scanner_of(make_point(name="Other shop"))
    content = scanning.record(other, scan("pickup", parcel, token=token_of(parcel))).as_json()
    assert content["verdict"] == "wrong_point"
    assert content["detail"] == {"point": parcel.service_point.name} if parcel.service_point else None
    assert content["parcel"] is None
    assert nothing_happened(parcel)


def test_an_unknown_barcode_is_not_found_and_kept(scanner: Scanner) -> None:
    assert scanning.record(scanner, scan("pickup", "NOPE", code="12345678")).verdict == "not_found"
    assert Scan.objects.get().barcode == "NOPE"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (Status.CANCELLED, "cancelled"),
        (Status.DAMAGED, "damaged"),
        (Status.LOST, "not_arrived"),
        (Status.REFUSED, "returned"),
    ],
)
def test_a_parcel_that_left_the_shelf_is_refused_by_its_status(
    scanner: Scanner, parcel: Parcel, status: str, verdict: str
) -> None:
    token = token_of(parcel)
    Parcel.objects.filter(pk=parcel.pk).update(status=status)
    assert pick_up(scanner, parcel, token=token) == verdict


def test_an_expired_parcel_that_is_still_here_is_handed_over_with_a_warning(scanner: Scanner, parcel: Parcel) -> None:
    token = token_of(parcel)
    factories.backdate(parcel, hold_until=now() - timedelta(hours=1))
    assert pick_up(scanner, parcel, token=token) == "expired_but_here"
    assert Posting.objects.count() == 1


def test_a_suspended_point_hands_nothing_over(scanner: Scanner, point: ServicePoint, parcel: Parcel) -> None:
    ServicePoint.objects.filter(pk=point.pk).update(status="suspended")
    assert pick_up(scanner, parcel, token=token_of(parcel)) == "point_suspended"
    assert nothing_happened(parcel)


def test_a_revoked_device_hands_nothing_over(scanner: Scanner, parcel: Parcel) -> None:
    Device.objects.update(revoked_at=now())
    assert pick_up(scanner, parcel, token=token_of(parcel)) == "device_revoked"
    assert pick_up(scanner, parcel, code=code_of(parcel)) == "device_revoked"
    parcel.code.refresh_from_db()
    assert parcel.code.attempts == 0
    assert nothing_happened(parcel)


def test_a_clerk_who_may_not_is_refused_and_the_scan_is_kept(scanner: Scanner, parcel: Parcel) -> None:
    stranger = Scanner(device_id=scanner.device_id, refusal="clerk_not_allowed")
    assert pick_up(stranger, parcel, token=token_of(parcel)) == "clerk_not_allowed"
    assert Scan.objects.filter(verdict="clerk_not_allowed").exists()
    assert nothing_happened(parcel)


def test_a_key_that_no_device_has_is_no_scanner(parcel: Parcel) -> None:
    with pytest.raises(UnknownScanner):
        pick_up(Scanner(key_hash=b"x" * 32), parcel, token=token_of(parcel))
    assert nothing_happened(parcel)


def test_no_code_is_stored_in_any_scan(scanner: Scanner, parcel: Parcel) -> None:
    code = code_of(parcel)
    pick_up(scanner, parcel, code=code)
    stored = " ".join(str(value) for row in Scan.objects.values() for value in row.values())
    assert code not in stored
