"""Why this shop, why this fee: the rule told step by step, held against the ledger, and to each reader the own part."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from django.utils.timezone import localtime, now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from network.models import Agent, Appointment, Level, Membership, Region, User
from pickup import fees, ledger, recipients, releases, scanning, why
from pickup.fees import Wrong
from pickup.models import Assignment, Handover, ManualRelease, Parcel, Posting, Tariff
from tests import factories
from tests.factories import chain_ids, make_parcel, make_point, make_ready_parcel, pick_up, scan
from tests.roles import as_owner

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
LEVELS = sorted(Level, reverse=True)


# The rule, told step by step.

amounts = st.integers(min_value=0, max_value=2_000)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    custom, district, city, province, macro = sorted(draw(st.lists(amounts, min_size=5, max_size=5)))
    return Tariff(
        name="drawn",
        valid_from=factories.LONG_AGO,
        cap_minor=draw(amounts),
        point_fee_minor=draw(amounts),
        custom_minor=custom,
        district_minor=district,
        city_minor=city,
        province_minor=province,
        macro_minor=macro,
    )


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tariff=tariffs(), levels=st.lists(st.sampled_from(LEVELS), max_size=7), seats=st.sets(st.integers(0, 6)))
def test_the_explanation_says_what_the_databases_rule_says(
    db: None, tariff: Tariff, levels: list[Level], seats: set[int]
) -> None:
    """For any chain, in any order of levels, and any ceilings and cap; to the last fen."""
    with transaction.atomic():
        with as_owner():
            Tariff.objects.all().delete()
        tariff.pk = None
        tariff.save(force_insert=True)
        chain = [factories.make_region(f"R{factories.number()}", "某地", level) for level in levels]
        for place in sorted(seats & set(range(len(chain)))):
            factories.make_appointment(chain[place])
        ids, at = [region.pk for region in chain], now()
        parts = fees.agent_parts(region_ids=ids, at=at, tariff=tariff)
        told = fees.explain(region_ids=ids, at=at, tariff=tariff)
        transaction.set_rollback(True)
    explained = [
        fees.Part(step.appointment.pk, step.appointment.agent_id, step.region.pk, step.region.level, step.amount_minor)
        for step in told.steps
        if step.appointment is not None
    ]
    assert explained == parts
    assert told.agents_minor == sum(part.amount_minor for part in parts) <= tariff.cap_minor


@given(tariff=tariffs(), levels=st.lists(st.sampled_from(LEVELS), max_size=7), seats=st.sets(st.integers(0, 6)))
def test_no_part_of_a_vacant_region_is_lost(tariff: Tariff, levels: list[Level], seats: set[int]) -> None:
    """What a level adds to those below it is somebody's: its own agent's, one's above, or the network's."""
    chain = [Region(pk=place, name="某地", level=level) for place, level in enumerate(levels)]
    held = {place: Appointment(pk=place, region_id=place) for place in seats if place < len(chain)}
    steps = fees.steps(chain, held, tariff=tariff)
    highest = 0
    for step in steps:
        adds = max(0, step.up_to_minor - highest)
        highest = max(highest, step.up_to_minor)
        if step.appointment is None:
            assert sum(part for _, part in step.passed) + step.kept_minor == adds
            assert step.kept_minor >= 0
        else:
            got = sum(part for other in steps for receiver, part in other.passed if receiver == step.region.pk)
            assert step.amount_minor == adds + got
    assert sum(step.amount_minor + step.kept_minor for step in steps) == highest


# One parcel, and the people around it.


class Scene:
    """A parcel that a shop got, and everybody who may or may not ask why."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.point = make_point(name="Corner Shop", ref="P-CORNER")
        self.other = make_point(22.6, 113.9, name="Far Shop", ref="P-FAR", phone="+8675512345678")
        self.owner = factories.make_member(self.point, name="Owner Li")
        self.clerk = factories.make_member(self.point, Membership.Role.CLERK, name="Clerk Wu")
        self.neighbour = factories.make_member(self.other, name="Neighbour")
        self.staff = factories.make_user(is_staff=True, is_superuser=True, name="Admin")
        self.clerk_of_orders = factories.make_user(is_staff=True, name="Review only")
        self.stranger = factories.make_user(name="Stranger")
        self.agents = {
            level: factories.make_agent(f"agent-{level.name.lower()}", user=factories.make_user(name=level.name))
            for level in (Level.DISTRICT, Level.PROVINCE)
        }
        for level, agent in self.agents.items():
            factories.make_appointment(chain[level], agent)
        elsewhere = factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY])
        self.foreign_agent = factories.make_agent("agent-foreign", user=factories.make_user(name="Foreign"))
        factories.make_appointment(elsewhere, self.foreign_agent)
        self.scanner = factories.scanner_of(self.point)
        self.parcel = make_ready_parcel(
            self.scanner, self.point, region_ids=chain_ids(chain), phone="+8613800135678", barcode="PN/1 A"
        )
        self.assignment = Assignment.objects.create(
            order=self.parcel.order,
            service_point=self.point,
            distance_m=312.4,
            candidates=[[self.other.pk, 120.0, "full"], [self.point.pk, 312.4, ""]],
            region_ids=chain_ids(chain),
            assigned_at=now(),
        )

    def collect(self) -> Handover:
        assert pick_up(self.scanner, self.parcel).verdict == "ok"
        return Handover.objects.get(parcel=self.parcel, undone_by=None)


@pytest.fixture
def scene(chain: Chain) -> Scene:
    return Scene(chain)


def address(parcel: Parcel) -> str:
    return f"/parcels/{parcel.barcode}/why/"


def see(client: Client, person: User | None, parcel: Parcel, status: int = 200) -> str:
    assert person is not None
    client.force_login(person)
    response = client.get(address(parcel), headers={"accept-language": "en"})
    assert response.status_code == status
    return " ".join(response.content.decode().split())


def test_staff_see_the_whole_of_it(client: Client, scene: Scene) -> None:
    scene.collect()
    page = see(client, scene.staff, scene.parcel)
    for told in (
        *("Corner Shop", "Far Shop", "full", "312", "南山区", "广东省", "华南", "agent-district", "agent-province"),
        *("Default tariff", "20.00", "3.00", "5.00", "QR code", "the ledger agrees", "王* …5678"),
        "2.00 of it went up to 广东省",  # the vacant city
        "2.00 of it stays with the network: nobody is appointed above",  # the vacant macro-region
        "28.00",
    ):
        assert told in page, told


def test_a_shop_sees_why_it_and_its_fee(client: Client, scene: Scene) -> None:
    scene.collect()
    for person in (scene.owner, scene.clerk):
        page = see(client, person, scene.parcel)
        for told in ("Corner Shop", "Far Shop", "120", "not available", "chosen", "20.00 CNY", "Default tariff"):
            assert told in page, told
        for hidden in ("agent-", "南山区", "广东省", "3.00", "5.00", "8.00", "full<", "P-FAR", "+86755", "Difference"):
            assert hidden not in page, hidden


def test_an_agent_sees_the_chain_the_own_difference_and_no_other_payee(client: Client, scene: Scene) -> None:
    scene.collect()
    page = see(client, scene.agents[Level.PROVINCE].user, scene.parcel)
    for told in (
        "科技园",
        "南山区",
        "深圳市",
        "广东省",
        "5.00 CNY",
        "appointed",
        "vacant",
        "2.00 of it went up to 广东省",
    ):
        assert told in page, told
    for hidden in ("agent-district", "20.00", "28.00", "3.00 CNY", "Far Shop", "5678", "王*", "Owner Li", "device "):
        assert hidden not in page, hidden


def test_what_is_above_an_agent_stays_blank(client: Client, scene: Scene) -> None:
    scene.collect()
    page = see(client, scene.agents[Level.DISTRICT].user, scene.parcel)
    assert page.count("above yours: it does not change your difference") == 3
    assert "3.00 CNY" in page
    for hidden in ("agent-province", "5.00", "8.00", "10.00 </td>"):
        assert hidden not in page, hidden


def without_its_address(page: str) -> str:
    """The page but for what every page has of its own: its address and the token of its forms."""
    return re.sub(r'name="(next|csrfmiddlewaretoken)" value="[^"]*"', "", page)


def test_a_stranger_learns_nothing_not_even_that_it_exists(client: Client, scene: Scene) -> None:
    scene.collect()
    for stranger in (scene.stranger, scene.neighbour, scene.clerk_of_orders, scene.foreign_agent.user):
        real = see(client, stranger, scene.parcel, 404)
        absent = see(client, stranger, Parcel(barcode="NOT-THERE"), 404)
        assert without_its_address(real) == without_its_address(absent)
    client.logout()
    answer = client.get(address(scene.parcel))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?next=/parcels/PN/1%2520A/why/")


def test_nobody_writes_through_this_page(client: Client, scene: Scene) -> None:
    client.force_login(scene.staff)
    for method in (client.post, client.put, client.patch, client.delete):
        assert method(address(scene.parcel)).status_code == 405


@pytest.mark.parametrize("barcode", ["\x00", "é", "a" * 500, "../../x"])
def test_odd_barcodes_are_not_found(client: Client, scene: Scene, barcode: str) -> None:
    see(client, scene.staff, Parcel(barcode=barcode), 404)


def test_a_member_who_left_sees_the_parcel_no_more(client: Client, scene: Scene) -> None:
    Membership.objects.filter(user=scene.clerk).update(ended_at=now())
    see(client, scene.clerk, scene.parcel, 404)


# Promise 22: the own region as of the assignment, and what the own appointment was paid for.


def succeed(region: Region, successor: Agent, at: datetime) -> None:
    """End the appointment of a region and begin another agent's at that moment."""
    held = Appointment.objects.get(region=region)
    factories.rewrite_appointment(held, held.valid.lower, at)
    Appointment.objects.create(agent=successor, region=region, valid=DateTimeTZRange(at, at + timedelta(days=365)))


def test_who_came_after_the_pickup_does_not_see_it_and_who_went_still_does(client: Client, scene: Scene) -> None:
    scene.collect()
    succeed(scene.chain[Level.DISTRICT], scene.foreign_agent, now())
    see(client, scene.foreign_agent.user, scene.parcel, 404)
    assert "3.00 CNY" in see(client, scene.agents[Level.DISTRICT].user, scene.parcel)


def test_who_came_between_assignment_and_pickup_sees_what_it_was_paid_for(client: Client, scene: Scene) -> None:
    succeed(scene.chain[Level.DISTRICT], scene.foreign_agent, now())
    see(client, scene.foreign_agent.user, scene.parcel, 404)  # not assigned in that agent's time, not paid for yet
    scene.collect()
    assert "3.00 CNY" in see(client, scene.foreign_agent.user, scene.parcel)
    before = see(client, scene.agents[Level.DISTRICT].user, scene.parcel)
    assert "You were not appointed" in before
    assert "3.00" not in before


def test_the_frozen_chain_counts_and_not_where_the_address_would_lie_today(client: Client, scene: Scene) -> None:
    other = Region.objects.get(code="440306")
    address_row = scene.parcel.order.address
    address_row.region, address_row.region_ids = other, [other.pk, scene.chain[Level.CITY].pk]
    address_row.save(update_fields=["region", "region_ids"])
    see(client, scene.foreign_agent.user, scene.parcel, 404)
    assert "南山区" in see(client, scene.agents[Level.DISTRICT].user, scene.parcel)


# What the ledger says, and what it should.


def test_before_the_pickup_it_tells_what_it_would_earn_now(client: Client, scene: Scene) -> None:
    page = see(client, scene.staff, scene.parcel)
    assert "What it would earn now" in page
    assert "28.00" in page
    assert not Posting.objects.exists()


def test_a_parcel_that_never_will_be_collected_earns_nothing(client: Client, scene: Scene) -> None:
    scanning.record(scene.scanner, scan("damaged", scene.parcel))
    assert "nobody earned anything" in see(client, scene.staff, scene.parcel)


def test_an_unassigned_parcel_has_a_page_for_staff(client: Client, scene: Scene) -> None:
    parcel = make_parcel(scene.point)
    Parcel.objects.filter(pk=parcel.pk).update(service_point=None)
    assert "It waits to be assigned" in see(client, scene.staff, parcel)
    see(client, scene.owner, parcel, 404)


def test_an_undone_pickup_shows_its_reversals_and_the_second_one_its_fees(client: Client, scene: Scene) -> None:
    scene.collect()
    scanning.record(scene.scanner, scan("undo", scene.parcel, reason="wrong person"))
    scene.collect()
    page = see(client, scene.staff, scene.parcel)
    assert "This hand-over was undone" in page
    assert "wrong person" in page
    assert page.count("−20.00 CNY") == 1
    assert page.count('<td class="number">20.00 CNY') == 2
    assert "the ledger agrees" in page


def test_the_settlement_that_claimed_a_fee_is_named(client: Client, scene: Scene) -> None:
    scene.collect()
    month = f"{localtime(now()):%Y-%m}"
    factories.close_period(period=month, now=now() + timedelta(days=40), currency="CNY")
    assert f"{month}</a>" in see(client, scene.staff, scene.parcel)
    assert f"{month}</td>" in see(client, scene.owner, scene.parcel)


def release_of(scene: Scene) -> ManualRelease:
    with patch.object(recipients, "seal_photo", return_value=b"sealed"):
        releases.release(scene.scanner, scan("pickup", scene.parcel), reason="other", note="", photo=b"jpeg")
    return ManualRelease.objects.get()


def test_a_release_earns_nothing_until_it_is_approved(client: Client, scene: Scene) -> None:
    release = release_of(scene)
    page = see(client, scene.staff, scene.parcel)
    assert "it earns nothing until an administrator approves" in page
    assert "Nothing was posted" in page
    assert "the ledger agrees" in page
    releases.decide(release, decision=ManualRelease.Decision.APPROVED, by=scene.staff, now=now())
    page = see(client, scene.staff, scene.parcel)
    assert "approved" in page
    assert "the ledger agrees" in page


def tamper(statement: str) -> None:
    """Change the ledger as only the tables' owner can, with the guards set aside."""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE pickup_posting DISABLE TRIGGER USER")
        cursor.execute(statement)


def story_of(scene: Scene) -> why.Pickup:
    parcel = why.parcel_with(scene.parcel.barcode)
    assert parcel is not None
    return why.story(parcel, now=now()).pickups[0]


def test_a_tampered_amount_is_an_alarm_for_staff_only(client: Client, scene: Scene) -> None:
    scene.collect()
    tamper("UPDATE pickup_posting SET amount_minor = 999 WHERE kind = 'agent_fee' AND level = 4")
    page = see(client, scene.staff, scene.parcel)
    assert "The ledger differs from the rules" in page
    assert "南山区 district · The rules say 3.00 CNY, 9.99 CNY was posted." in page
    for person in (scene.owner, scene.agents[Level.DISTRICT].user):
        assert "differs from the rules" not in see(client, person, scene.parcel)


def test_an_appointment_cut_short_afterwards_is_an_alarm(client: Client, scene: Scene) -> None:
    """Its fee was right when it was posted; whoever sets the guard aside for it should be seen doing it."""
    scene.collect()
    held = Appointment.objects.get(region=scene.chain[Level.DISTRICT])
    factories.rewrite_appointment(held, held.valid.lower, held.valid.lower + timedelta(hours=1))
    assert {difference.wrong for difference in story_of(scene).differences} == {Wrong.UNEXPECTED, Wrong.AMOUNT}
    assert "3.00 CNY was posted, the rules say nothing" in see(client, scene.staff, scene.parcel)


@pytest.mark.parametrize(
    ("tampering", "wrong"),
    [
        ("UPDATE pickup_posting SET tariff_id = (SELECT max(id) FROM pickup_tariff) WHERE level = 4", Wrong.TARIFF),
        ("UPDATE pickup_posting SET level = 5 WHERE level = 4", Wrong.PLACE),
        (
            "UPDATE pickup_posting SET credit_id = (SELECT credit_id FROM pickup_posting WHERE level = 2)"
            " WHERE level = 4",
            Wrong.PAYEE,
        ),
        ("DELETE FROM pickup_posting WHERE level = 4", Wrong.MISSING),
    ],
)
def test_whatever_differs_is_found(scene: Scene, tampering: str, wrong: Wrong) -> None:
    Tariff.objects.create(name="later", valid_from=now() + timedelta(days=1))
    scene.collect()
    assert story_of(scene).differences == []
    tamper(tampering)
    assert [difference.wrong for difference in story_of(scene).differences] == [wrong]


def test_an_undone_pickup_that_kept_its_fees_is_found(scene: Scene) -> None:
    scene.collect()
    with patch.object(ledger, "reverse"):
        scanning.record(scene.scanner, scan("undo", scene.parcel, reason="wrong person"))
    assert {difference.wrong for difference in story_of(scene).differences} == {Wrong.NOT_REVERSED}


def test_a_later_tariff_and_appointment_change_nothing_of_an_old_fee(client: Client, scene: Scene) -> None:
    scene.collect()
    before = story_of(scene)
    Tariff.objects.create(name="new", valid_from=now() + timedelta(milliseconds=1), point_fee_minor=1, cap_minor=0)
    factories.make_appointment(scene.chain[Level.MACRO], since=now())
    after = story_of(scene)
    assert after.explanation == before.explanation
    assert after.differences == []


def test_without_a_tariff_then_the_page_says_so(client: Client, scene: Scene) -> None:
    scene.collect()
    with patch.object(fees, "tariff_at", side_effect=fees.NoTariff):
        assert "No tariff was in force" in see(client, scene.staff, scene.parcel)


@pytest.mark.parametrize(("who", "queries"), [("staff", 17), ("shop", 16), ("agent", 18)])
def test_the_page_takes_a_fixed_number_of_queries(
    client: Client, scene: Scene, django_assert_num_queries: Any, who: str, queries: int
) -> None:
    scene.collect()
    person = {"staff": scene.staff, "shop": scene.owner, "agent": scene.agents[Level.PROVINCE].user}[who]
    assert person is not None
    client.force_login(person)
    with django_assert_num_queries(queries):
        assert client.get(address(scene.parcel)).status_code == 200
