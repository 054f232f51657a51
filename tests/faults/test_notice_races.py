"""Many at once, really committing: the limits of messages hold, and the last place on a shelf is given once.

Each has a control in which the guard is taken away and the same run goes wrong: a test that cannot fail proves nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any
from unittest import mock

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import localtime, now

from network.models import ServicePoint
from pickup import codes, delegation, holding, notices, orders, parcels
from pickup.models import Delegation, MessageDay, Notice, Parcel
from pickup.scans import Scanner
from tests import factories
from tests.factories import make_parcel, make_point, make_ready_parcel

pytestmark = pytest.mark.django_db(transaction=True)
CLIENTS = 16


def noon() -> datetime:
    """Tomorrow at noon: no day ends while a test runs."""
    return localtime(now()).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)


def at_once(work: Sequence[Any], do: Any, *, clients: int = CLIENTS) -> Counter[str]:
    """Do all of it with so many threads, each with its own connection; count what came of each."""

    def run(share: Sequence[Any]) -> list[str]:
        try:
            return [do(item) for item in share]
        finally:
            connection.close()

    with ThreadPoolExecutor(clients) as pool:
        shares = pool.map(run, [work[n::clients] for n in range(clients)])
        return Counter(answer for answers in shares for answer in answers)


@pytest.fixture
def shop() -> Scanner:
    return factories.scanner_of(make_point())


def quiet_parcels(scanner: Scanner, count: int) -> list[Parcel]:
    """Parcels of one number whose first messages were sent on another day."""
    point = ServicePoint.objects.get()
    made = [make_ready_parcel(scanner, point) for _ in range(count)]
    Notice.objects.update(sent_at=noon() - timedelta(days=2))
    return made


def resend(parcel: Parcel) -> str:
    try:
        notices.resend(parcel, now=noon())
    except notices.NotResent as refused:
        return str(refused.refusal)
    except IntegrityError:
        return "clash"
    return "queued"


def test_64_clicks_at_once_for_one_parcel_queue_three_messages(shop: Scanner) -> None:
    (parcel,) = quiet_parcels(shop, 1)
    assert at_once([parcel] * 64, resend) == {"queued": 3, "parcel_limit": 61}
    assert Notice.objects.filter(round__gt=0).count() == 3


def test_64_clicks_at_once_for_eight_parcels_of_one_number_queue_five_messages(shop: Scanner) -> None:
    own = quiet_parcels(shop, 8)
    assert at_once(own * 8, resend)["queued"] == 5
    assert Notice.objects.filter(round__gt=0).count() == 5


def test_control_without_the_lock_a_number_gets_more_than_five(shop: Scanner) -> None:
    own = quiet_parcels(shop, 16)
    together = Barrier(16, timeout=120)
    check = notices._check_limits

    def check_with_all_others(*args: Any, **fields: Any) -> None:
        check(*args, **fields)
        together.wait()  # everybody has counted before the first one writes

    with (
        mock.patch.object(notices, "_lock_number"),
        mock.patch.object(notices, "_check_limits", check_with_all_others),
    ):
        assert at_once(own, resend)["queued"] == 16


def test_who_waits_too_long_for_the_lock_is_told_to_come_back(shop: Scanner) -> None:
    (parcel,) = quiet_parcels(shop, 1)
    asked = Event()

    def hold_the_lock() -> None:
        try:
            with transaction.atomic():
                notices._lock_number(bytes(parcel.order.recipient.phone_hash))
                held.set()
                assert asked.wait(30)
        finally:
            connection.close()

    held = Event()
    with ThreadPoolExecutor(1) as pool, connection.cursor() as cursor:
        holder = pool.submit(hold_the_lock)
        assert held.wait(30)
        cursor.execute("SET lock_timeout = '50ms'")
        try:
            assert resend(parcel) == "busy"
        finally:
            asked.set()
            cursor.execute("SET lock_timeout = '3s'")
        holder.result()
    assert resend(parcel) == "queued"


def messages_in(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def send(_: int) -> str:
    return str(notices.send_waiting(now=noon(), limit=100))


def test_senders_side_by_side_send_each_message_once_and_no_more_than_the_days_number(
    shop: Scanner, settings: Any, tmp_path: Path
) -> None:
    settings.NOTICES_FILE, settings.SMS_PER_DAY = str(tmp_path / "sms"), 20
    point = ServicePoint.objects.get()
    for _ in range(30):
        make_ready_parcel(shop, point)
    at_once(range(8), send, clients=8)
    sent = messages_in(tmp_path / "sms")
    assert len(sent) == len({message["barcode"] for message in sent}) == 20
    assert MessageDay.objects.get().sent == 20


def test_control_without_the_days_count_more_are_sent(shop: Scanner, settings: Any, tmp_path: Path) -> None:
    settings.NOTICES_FILE, settings.SMS_PER_DAY = str(tmp_path / "sms"), 20
    point = ServicePoint.objects.get()
    for _ in range(30):
        make_ready_parcel(shop, point)
    with mock.patch.object(notices, "_take_one_of", return_value=True):
        at_once(range(8), send, clients=8)
    assert len(messages_in(tmp_path / "sms")) == 30


def choose(parcel: Parcel, point_id: int) -> str:
    try:
        orders.choose_point(parcel, point_id=point_id, by="recipient", now=now())
    except orders.Refused as refused:
        return refused.code
    return "chosen"


def coming_parcels(count: int) -> list[Parcel]:
    home = make_point()
    made = [make_parcel(home) for _ in range(count)]
    for parcel in made:
        parcels.issue_code(parcel)
    return made


def test_the_last_places_of_a_point_are_chosen_once(chain: object) -> None:
    coming = coming_parcels(32)
    small = make_point(lat=22.541, capacity=3)
    answers = at_once(coming, lambda parcel: choose(parcel, small.pk))
    assert answers == {"chosen": 3, "point_unavailable": 29}
    assert orders.held_at([small.pk]) == {small.pk: 3}


def test_control_without_the_second_count_a_point_is_oversold(chain: object) -> None:
    coming = coming_parcels(16)
    small = make_point(lat=22.541, capacity=3)
    together = Barrier(16, timeout=120)

    def uncounted(ids: set[int]) -> dict[int, int]:
        together.wait()
        return dict.fromkeys(ids, 10**6)

    with mock.patch.object(orders, "_locked_room", uncounted):
        at_once(coming, lambda parcel: choose(parcel, small.pk))
    assert orders.held_at([small.pk])[small.pk] > 3


def test_a_parcel_is_extended_once_however_many_ask(shop: Scanner) -> None:
    (parcel,) = quiet_parcels(shop, 1)

    def extend(_: int) -> str:
        try:
            holding.extend(parcel, now=now())
        except holding.NotExtended as refused:
            return str(refused.refusal)
        return "extended"

    assert at_once(range(32), extend) == {"extended": 1, "already": 31}
    assert parcel.hold_until is not None
    assert Parcel.objects.get().hold_until == parcel.hold_until + holding.EXTENSION


def test_a_delegation_asked_for_at_once_is_made_once(shop: Scanner) -> None:
    (parcel,) = quiet_parcels(shop, 1)
    assert parcel.hold_until is not None
    until = parcel.hold_until

    def delegate(_: int) -> str:
        return str(delegation.make(parcel, number=1, until=until, now=now()).pk)

    assert len(at_once(range(32), delegate)) == 1
    assert Delegation.objects.count() == 1


def test_a_withdrawal_and_a_hand_over_at_once_end_in_one_of_two_ways(shop: Scanner) -> None:
    for parcel in quiet_parcels(shop, 12):
        assert parcel.hold_until is not None
        made = delegation.make(parcel, number=1, until=parcel.hold_until, now=now())
        proof = delegation.proof_of(made)

        def act(action: str, parcel: Parcel = parcel, token: str = proof.token) -> str:
            if action == "withdraw":
                return f"withdrawn {delegation.withdraw(parcel, now=now())}"
            return factories.pick_up(shop, parcel, token=token).verdict

        answers = at_once(["withdraw", "collect"], act, clients=2)
        assert answers["withdrawn True"] == 1
        assert answers["ok"] + answers["code_revoked"] == 1
        assert factories.pick_up(shop, parcel, token=proof.token).verdict in ("already_collected", "code_revoked")
        assert codes.link_of(parcel.uuid, 1, codes.DELEGATE) == proof.link
