"""Somebody else fetches it: proofs of their own that work until their end, and nothing more."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils.timezone import localtime, now

from network.models import ServicePoint
from pickup import codes, delegation, holding
from pickup.models import Delegation, Parcel
from pickup.scans import Scanner
from tests import factories
from tests.factories import make_parcel, make_point, make_ready_parcel, pick_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


@pytest.fixture
def scanner(point: ServicePoint) -> Scanner:
    return factories.scanner_of(point)


@pytest.fixture
def parcel(scanner: Scanner, point: ServicePoint) -> Parcel:
    return make_ready_parcel(scanner, point)


def make(parcel: Parcel, *, number: int | None = None, until: datetime | None = None) -> Delegation:
    at = now()
    return delegation.make(
        parcel,
        number=number or delegation.next_number(parcel),
        until=until or delegation.ends(parcel, now=at)["deadline"],
        now=at,
    )


def refusal_of(parcel: Parcel, *, number: int | None = None, until: datetime | None = None) -> str:
    with pytest.raises(delegation.NotDelegated) as refused:
        make(parcel, number=number, until=until)
    return str(refused.value.refusal)


def test_a_delegates_qr_hands_the_parcel_over(parcel: Parcel, scanner: Scanner) -> None:
    proof = delegation.proof_of(make(parcel))
    assert pick_up(scanner, parcel, token=proof.token).verdict == "ok"


def test_a_delegates_code_hands_the_parcel_over(parcel: Parcel, scanner: Scanner) -> None:
    proof = delegation.proof_of(make(parcel))
    assert pick_up(scanner, parcel, token="", code=proof.code).verdict == "ok"


def test_the_recipients_own_proofs_go_on_working(parcel: Parcel, scanner: Scanner) -> None:
    make(parcel)
    assert pick_up(scanner, parcel).verdict == "ok"


def test_nothing_of_the_delegates_is_the_recipients(parcel: Parcel) -> None:
    proof = delegation.proof_of(make(parcel))
    assert proof.token != factories.token_of(parcel)
    assert proof.code != factories.code_of(parcel)
    assert proof.link != codes.link_of(parcel.uuid, parcel.code.issue)


def test_a_withdrawn_qr_is_dead_at_once(parcel: Parcel, scanner: Scanner) -> None:
    proof = delegation.proof_of(make(parcel))
    assert delegation.withdraw(parcel, now=now())
    assert pick_up(scanner, parcel, token=proof.token).verdict == "code_revoked"
    assert pick_up(scanner, parcel, token="", code=proof.code).verdict == "wrong_code"


def test_withdrawing_what_is_not_there_changes_nothing(parcel: Parcel) -> None:
    assert not delegation.withdraw(parcel, now=now())


def test_a_new_delegation_kills_the_one_before(parcel: Parcel, scanner: Scanner) -> None:
    first, second = delegation.proof_of(make(parcel)), delegation.proof_of(make(parcel))
    assert pick_up(scanner, parcel, token=first.token).verdict == "code_revoked"
    assert pick_up(scanner, parcel, token=second.token).verdict == "ok"


def test_a_qr_is_dead_after_its_end(parcel: Parcel, scanner: Scanner) -> None:
    # Made an hour ago for half an hour: the function looks at the database's clock, which no test turns.
    ago = now() - timedelta(hours=1)
    proof = delegation.proof_of(delegation.make(parcel, number=1, until=ago + timedelta(minutes=30), now=ago))
    assert pick_up(scanner, parcel, token=proof.token).verdict == "code_revoked"
    assert delegation.current(parcel, now=now()) is None


def test_a_qr_opens_one_parcel_once(parcel: Parcel, scanner: Scanner, point: ServicePoint) -> None:
    proof = delegation.proof_of(make(parcel))
    other = make_ready_parcel(scanner, point)
    assert pick_up(scanner, other, token=proof.token).verdict == "wrong_code"
    assert pick_up(scanner, parcel, token=proof.token).verdict == "ok"
    assert pick_up(scanner, parcel, token=proof.token).verdict == "already_collected"


def test_another_shops_scanner_cannot_use_it(parcel: Parcel) -> None:
    proof = delegation.proof_of(make(parcel))
    stranger = factories.scanner_of(make_point())
    assert pick_up(stranger, parcel, token=proof.token).verdict == "wrong_point"


def test_the_same_form_twice_makes_one_delegation(parcel: Parcel) -> None:
    assert make(parcel, number=1) == make(parcel, number=1)
    assert Delegation.objects.count() == 1


def test_a_form_that_was_overtaken_is_refused(parcel: Parcel) -> None:
    make(parcel, number=1)
    make(parcel, number=2)
    assert refusal_of(parcel, number=1) == "stale"
    assert refusal_of(parcel, number=4) == "stale"


def test_a_withdrawn_one_does_not_come_back_with_its_form(parcel: Parcel) -> None:
    make(parcel, number=1)
    delegation.withdraw(parcel, now=now())
    assert refusal_of(parcel, number=1) == "stale"


def test_a_parcel_has_ten_delegations_at_most(parcel: Parcel) -> None:
    for _ in range(delegation.MOST):
        make(parcel)
    assert refusal_of(parcel) == "too_many"
    delegation.withdraw(parcel, now=now())
    last = Delegation.objects.get(number=10)
    last.pk, last.number, last.link_hash, last.revoked_at = None, 11, b"another", None
    with pytest.raises(IntegrityError, match="delegation_number"), transaction.atomic():
        last.save(force_insert=True)


def test_no_delegation_outlives_the_deadline(parcel: Parcel) -> None:
    assert parcel.hold_until is not None
    assert refusal_of(parcel, until=parcel.hold_until + timedelta(seconds=1)) == "bad_end"
    assert refusal_of(parcel, until=now() - timedelta(seconds=1)) == "bad_end"
    assert make(parcel, until=parcel.hold_until).expires_at == parcel.hold_until


@pytest.mark.parametrize("status", ["expected", "collected"])
def test_only_a_parcel_that_waits_is_delegated(scanner: Scanner, point: ServicePoint, status: str) -> None:
    parcel = make_parcel(point) if status == "expected" else make_ready_parcel(scanner, point)
    if status == "collected":
        pick_up(scanner, parcel)
    assert refusal_of(parcel, number=1, until=now() + timedelta(hours=1)) == "not_here"


def at(hour: int, minute: int = 0) -> datetime:
    return localtime(now()).replace(hour=hour, minute=minute, second=0, microsecond=0)


def test_the_ends_to_choose_from_come_soonest_first_and_none_is_past_the_deadline(parcel: Parcel) -> None:
    noon = at(12)
    parcel.hold_until = noon + timedelta(days=5)
    assert list(delegation.ends(parcel, now=noon)) == ["today", "tomorrow", "deadline"]
    parcel.hold_until = noon + timedelta(hours=20)
    assert list(delegation.ends(parcel, now=noon)) == ["today", "deadline"]
    parcel.hold_until = noon + timedelta(hours=2)
    assert delegation.ends(parcel, now=noon) == {"deadline": parcel.hold_until}


def test_an_overdue_parcel_is_delegated_until_tomorrow_at_most(parcel: Parcel) -> None:
    noon = at(12)
    parcel.hold_until = noon - timedelta(days=1)
    ends = delegation.ends(parcel, now=noon)
    assert {name: f"{localtime(end):%H:%M:%S}" for name, end in ends.items()} == dict.fromkeys(
        ("today", "tomorrow"), "23:59:59"
    )


def test_an_overdue_parcel_is_still_handed_to_a_delegate(parcel: Parcel, scanner: Scanner) -> None:
    factories.backdate(parcel, hold_until=now() - timedelta(days=1))
    holding.expire_overdue(now=now(), limit=1)
    proof = delegation.proof_of(make(parcel, until=delegation.ends(parcel, now=now())["tomorrow"]))
    assert pick_up(scanner, parcel, token=proof.token).verdict == "expired_but_here"


def test_a_wrong_delegates_code_counts_against_the_parcels_five(parcel: Parcel, scanner: Scanner) -> None:
    proof = delegation.proof_of(make(parcel))
    wrong = f"{(int(proof.code) + 1) % 10**8:08d}"
    for _ in range(5):
        assert pick_up(scanner, parcel, token="", code=wrong).verdict == "wrong_code"
        factories.let_rest_end(parcel)
    assert pick_up(scanner, parcel, token="", code=proof.code).verdict == "code_locked"


def test_only_hashes_are_stored(parcel: Parcel) -> None:
    proof = delegation.proof_of(make(parcel))
    stored = " ".join(
        repr(bytes(v) if isinstance(v, memoryview) else v) for v in Delegation.objects.values()[0].values()
    )
    for secret in (proof.code, proof.link, proof.token):
        assert secret not in stored


def test_all_parcels_of_one_person_are_found_at_every_point_and_nobody_elses(
    parcel: Parcel, scanner: Scanner, point: ServicePoint
) -> None:
    far = make_point()
    own = make_ready_parcel(factories.scanner_of(far), far)
    make_ready_parcel(scanner, point, phone="+8613900001111")
    pick_up(scanner, make_ready_parcel(scanner, point))
    assert set(delegation.all_waiting(parcel)) == {parcel, own}


def test_all_coming_parcels_of_one_person_are_found_and_nobody_elses(parcel: Parcel, point: ServicePoint) -> None:
    own = make_parcel(point)
    make_parcel(point, phone="+8613900001111")
    assert delegation.all_coming(parcel) == [own]
