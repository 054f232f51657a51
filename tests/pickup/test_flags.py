"""Held pickups: placed once, decided once by a stranger, left out of settlement; told to a shop without the rules."""

from __future__ import annotations

import json
import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils.timezone import localdate, now

from network.models import ServicePoint, User
from pickup import disputes, fees, flags, ledger, scoring, settlements, tasks
from pickup.flags import Refusal
from pickup.models import Handover, Hold, JobRun, Posting, ScoredDay, StatementLine
from tests import cheats, factories
from tests.clock import everywhere_at
from tests.factories import make_point, make_ready_parcel, pick_up
from tests.roles import as_owner, as_worker

pytestmark = pytest.mark.django_db
EVIDENCE = [{"sign": "fast", "points": 100, "found": 9, "pickups": 12, "days": 3, "expected": 0.4, "here": True}]


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop")


@pytest.fixture
def handover(point: ServicePoint) -> Handover:
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    return Handover.objects.get(parcel=parcel)


@pytest.fixture
def hold(handover: Handover) -> Hold:
    return make_hold(handover)


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("+8613900009999", name="Root")


def make_hold(handover: Handover) -> Hold:
    with as_worker():
        return Hold.objects.create(
            handover=handover, service_point=handover.service_point, points=100, evidence=EVIDENCE, day=localdate()
        )


def decide(hold: Hold, decision: str, by: User, **fields: Any) -> tuple[int, int]:
    given: dict[str, Any] = {"reason": "looked at the camera", "now": now() + timedelta(hours=1)}
    return flags.decide(
        point=hold.service_point, hold_ids=[hold.pk], decision=decision, by=by, **(given | fields)
    )  # fmt: skip


def close() -> None:
    later = now() + timedelta(days=40)
    with as_worker():
        settlements.close_period(period=f"{now():%Y-%m}", now=later, currency="CNY")


# Money


def test_a_held_fee_is_in_no_statement_and_a_cleared_one_is(hold: Hold, admin: User) -> None:
    close()
    assert not StatementLine.objects.exists()
    decide(hold, "cleared", admin)
    with as_worker():
        settlements.close_period(
            period=f"{now() + timedelta(days=31):%Y-%m}", now=now() + timedelta(80), currency="CNY"
        )
    assert StatementLine.objects.get().posting.handover == hold.handover


def test_a_reversed_pickup_gives_every_fee_back_and_is_in_no_statement(hold: Hold, admin: User) -> None:
    decide(hold, "reversed", admin)
    fee, reversal = Posting.objects.order_by("id")
    assert (reversal.reverses, reversal.reason) == (fee, "looked at the camera")
    close()
    assert not StatementLine.objects.exists()
    assert ledger.faults() == []
    handover = Handover.objects.select_related("hold").get()
    assert fees.is_taken_back(handover)


def test_a_fee_that_was_reversed_and_still_stands_is_a_fault(hold: Hold, admin: User) -> None:
    Hold.objects.filter(pk=hold.pk).update(decision="reversed", decided_by=admin, decided_at=now(), reason="by hand")
    assert [fault.rule for fault in ledger.faults()] == ["live fee of a pickup that was held and reversed"]


def test_the_database_says_in_one_place_what_is_held(handover: Handover, admin: User) -> None:
    def held() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pickup_is_held(%s)", [handover.pk])
            answer: bool = cursor.fetchone()[0]
        return answer

    assert not held()
    dispute = disputes.open_dispute(handover.parcel)
    assert held()
    disputes.resolve(dispute, outcome="dismissed", reason="signed", by=admin, now=now() + timedelta(hours=1))
    assert not held()
    hold = make_hold(handover)
    assert held()
    decide(hold, "cleared", admin)
    assert not held()


def test_two_who_say_no_freeze_the_payouts_of_a_shop_until_one_is_dismissed(point: ServicePoint, admin: User) -> None:
    scanner = factories.scanner_of(point)
    opened = []
    for number in range(2):
        assert not flags.is_frozen(point, at=now()), number
        parcel = make_ready_parcel(scanner, point)
        pick_up(scanner, parcel)
        opened.append(disputes.open_dispute(parcel))
    assert flags.is_frozen(point, at=now())
    assert not flags.is_frozen(point, at=now() + timedelta(days=31))
    disputes.resolve(opened[0], outcome="dismissed", reason="signed", by=admin, now=now() + timedelta(hours=1))
    assert not flags.is_frozen(point, at=now())


# Who decides


def test_a_hold_is_decided_once_and_who_comes_later_changes_nothing(hold: Hold, admin: User) -> None:
    assert decide(hold, "cleared", admin) == (1, 0)
    assert decide(hold, "reversed", admin) == (0, 1)
    hold.refresh_from_db()
    assert (hold.decision, Posting.objects.count()) == ("cleared", 1)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [({"reason": " x "}, Refusal.NO_REASON), ({"now": None}, Refusal.TOO_SOON)],
)
def test_what_cannot_be_decided_is_refused_and_leaves_no_trace(
    hold: Hold, admin: User, fields: dict[str, Any], refusal: Refusal
) -> None:
    with pytest.raises(flags.Refused) as refused:
        decide(hold, "reversed", admin, **({name: value or now() for name, value in fields.items()}))
    assert refused.value.refusal == refusal
    hold.refresh_from_db()
    assert (hold.decision, Posting.objects.count()) == ("", 1)


def test_nobody_decides_on_the_own_shop(hold: Hold, point: ServicePoint) -> None:
    owner = factories.make_member(point, is_staff=True, is_superuser=True)
    with pytest.raises(flags.Refused) as refused:
        decide(hold, "cleared", owner)
    assert refused.value.refusal == Refusal.OWN_SHOP
    with pytest.raises(DatabaseError, match="own shop"), transaction.atomic():
        Hold.objects.filter(pk=hold.pk).update(decision="cleared", decided_by=owner, decided_at=now(), reason="mine")


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM pickup_hold",
        "TRUNCATE pickup_hold CASCADE",
        "UPDATE pickup_hold SET points = 1",
        "UPDATE pickup_hold SET evidence = '[{}]'",
        "UPDATE pickup_hold SET decision = 'cleared', decided_at = now(), reason = 'nobody did'",
        "INSERT INTO pickup_hold (handover_id, service_point_id, points, evidence, day, decision, decided_by_id,"
        " decided_at, reason) SELECT handover_id, service_point_id, 1, '[1]', day, 'cleared', 1, now(), 'born so'"
        " FROM pickup_hold",
    ],
)
def test_the_database_refuses_to_change_a_hold(hold: Hold, attack: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attack)


# Scoring


@pytest.fixture
def town() -> cheats.Town:
    """Twenty shops until yesterday; the last one scans parcels in and out at once for the last four days."""
    town = cheats.make_town(5, shops=20, days=8, cheats=0)
    cheat = town.shops[-1]
    for day in range(4, 8):
        town.rows.extend(cheats.instant(random.Random(day), cheat, day, 12))
    with as_owner():
        cheats.write(town, first=localdate() - timedelta(days=8))
    return town


def score(days_ago: int = 1) -> list[scoring.Placed]:
    with as_worker():
        return scoring.score(localdate() - timedelta(days=days_ago), now=now())


def test_a_day_is_scored_twice_and_held_once(town: cheats.Town) -> None:
    first = score()
    assert {hold.point_ref for hold in first} == {ServicePoint.objects.get(pk=town.shops[-1].point_id).ref}
    assert {found.sign for hold in first for found in hold.findings} == {"fast", "soon"}
    assert score() == []
    assert Hold.objects.count() == len(first) >= 20


def test_a_few_pickups_at_once_prove_nothing(town: cheats.Town) -> None:
    assert score(days_ago=5) == []


def test_a_network_of_one_shop_has_nobody_to_be_compared_with(point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    for person in range(12):
        pick_up(scanner, make_ready_parcel(scanner, point, phone=f"+861390000{person:04d}"))
    assert score(days_ago=0) == []


def test_parcels_to_the_phone_of_the_shop_need_no_comparison(point: ServicePoint) -> None:
    factories.make_member(point, phone="+8613912345678")
    scanner = factories.scanner_of(point)
    for _number in range(12):
        pick_up(scanner, make_ready_parcel(scanner, point, phone="+8613912345678"))
    assert {found.sign for hold in score(days_ago=0) for found in hold.findings} >= {"staff"}


def test_what_an_administrator_cleared_is_usual_at_that_shop(town: cheats.Town, admin: User) -> None:
    score(days_ago=2)
    point = ServicePoint.objects.get(pk=town.shops[-1].point_id)
    ids = list(Hold.objects.values_list("pk", flat=True))
    assert ids
    flags.decide(point=point, hold_ids=ids, decision="cleared", reason="a wedding", by=admin, now=now())
    assert score() == []


def test_a_fee_in_a_statement_is_not_held_any_more(town: cheats.Town) -> None:
    close()
    assert score() == []


def test_the_command_prints_a_line_of_json_for_each_new_hold(
    town: cheats.Town, capsys: pytest.CaptureFixture[str]
) -> None:
    day = (localdate() - timedelta(days=1)).isoformat()
    with as_worker():
        call_command("score_pickups", day=day)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(told) == Hold.objects.count()
    assert told[0]["signs"] == ["fast", "soon"]
    assert told[0]["evidence"][0].startswith("Collected within 10 minutes of its arrival: ")


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "9999-01-01"])
def test_the_command_refuses_what_is_no_day_that_has_begun(day: str) -> None:
    with pytest.raises(CommandError):
        call_command("score_pickups", day=day)


def test_days_that_were_missed_are_made_up_for(point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    make_ready_parcel(scanner, point)
    today = localdate()
    with everywhere_at(now() + timedelta(days=3)), as_worker():
        assert scoring.unscored(now=now()) == [today + timedelta(days=number) for number in range(4)]
        for day in scoring.unscored(now=now()):
            scoring.score(day, now=now())
        assert scoring.unscored(now=now()) == [today + timedelta(days=3)]
    assert ScoredDay.objects.count() == 3


def test_three_clocks_ring_and_the_day_is_scored_once(point: ServicePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[date] = []

    def score_once(day: date, *, now: datetime) -> list[scoring.Placed]:
        scored.append(day)
        return []

    monkeypatch.setattr(scoring, "score", score_once)
    with as_worker():
        for _clock in range(3):
            tasks.score_pickups.apply(kwargs={"periodic": True})
    assert scored == [localdate()]
    assert JobRun.objects.filter(job="score_pickups", done_at__isnull=False).count() == 1


# Pages


@pytest.fixture
def staff_client(client: Client, admin: User) -> Client:
    client.force_login(admin)
    client.cookies["django_language"] = "en"
    return client


def test_the_queue_and_the_shop_tell_what_was_found(staff_client: Client, hold: Hold) -> None:
    queue = staff_client.get(reverse("flags")).content.decode()
    assert "Corner Shop" in queue
    assert "9 of 12 pickups in 3 days, where up to 0.4 would be usual" in queue
    page = staff_client.get(reverse("flag", args=[hold.service_point_id])).content.decode()
    assert hold.handover.parcel.barcode in page
    assert "<path" in page


def test_a_decision_on_the_page(staff_client: Client, hold: Hold) -> None:
    address = reverse("flag", args=[hold.service_point_id])
    wrong = staff_client.post(address, {"decision": "cleared", "reason": "", "hold": [hold.pk]})
    assert wrong.status_code == 400
    foreign = staff_client.post(address, {"decision": "cleared", "reason": "was there", "hold": [hold.pk + 1]})
    assert foreign.status_code == 400
    right = staff_client.post(
        address, {"decision": "cleared", "reason": "was there", "hold": [hold.pk]}, follow=True
    ).content.decode()
    assert "1 pickup is decided." in right
    assert "was there" in right
    again = staff_client.post(address, {"decision": "reversed", "reason": "no, no", "hold": [hold.pk]}, follow=True)
    assert "had decided about 1 of them before" in again.content.decode()


def test_who_may_only_look_decides_nothing(client: Client, hold: Hold) -> None:
    user = factories.make_user(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_hold"))
    client.force_login(user)
    address = reverse("flag", args=[hold.service_point_id])
    assert client.get(address).status_code == 200
    assert client.post(address, {"decision": "cleared", "reason": "mine now", "hold": [hold.pk]}).status_code == 403


def test_a_stranger_and_the_shop_itself_find_no_such_page(client: Client, hold: Hold, point: ServicePoint) -> None:
    assert client.get(reverse("flags")).status_code == 302
    for user in (factories.make_user(), factories.make_member(point), factories.make_user(is_staff=True)):
        client.force_login(user)
        assert client.get(reverse("flags")).status_code == 404
        assert client.get(reverse("flag", args=[point.pk])).status_code == 404


def test_the_shop_is_told_that_a_fee_is_under_review_and_not_why(
    client: Client, hold: Hold, point: ServicePoint
) -> None:
    client.force_login(factories.make_member(point))
    client.cookies["django_language"] = "en"
    posting = Posting.objects.get()
    page = client.get(reverse("fee", args=[point.pk, posting.pk])).content.decode()
    day = client.get(reverse("earnings-day", args=[point.pk, localdate().isoformat()])).content.decode()
    story = client.get(reverse("why", args=[hold.handover.parcel.barcode])).content.decode()
    assert "Under review" in page
    assert "under review" in day
    assert "Under review" in story
    for text in (page, day, story):
        assert "10 minutes" not in text
        assert "/money/flags/" not in text
