"""The agent's page: own regions only, counted as they were when each parcel was assigned."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from django.utils.timezone import now

from network.models import Agent, Appointment, Level, Region, User
from pickup import scanning
from pickup.views.agent import parcels_of
from tests import factories
from tests.factories import chain_ids, make_parcel, make_point, make_ready_parcel, pick_up, scan

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]


@pytest.fixture
def person() -> User:
    return factories.make_user()


@pytest.fixture
def agent(person: User) -> Agent:
    return factories.make_agent(user=person)


@pytest.fixture
def district(chain: Chain, agent: Agent) -> Appointment:
    return factories.make_appointment(chain[Level.DISTRICT], agent)


def see(client: Client, person: User) -> str:
    client.force_login(person)
    response = client.get("/agent/", headers={"accept-language": "en"})
    assert response.status_code == 200
    return response.content.decode()


def counts(appointment: Appointment) -> dict[str, Any]:
    since = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return {**parcels_of(appointment, at=now(), since=since - timedelta(days=1)), "appointment": None}


def test_an_agent_sees_the_own_regions_and_this_months_earnings(
    client: Client, person: User, chain: Chain, district: Appointment
) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=chain_ids(chain)))
    page = see(client, person)
    assert "南山区" in page
    assert "<strong>3.00 CNY</strong> · 1 fee" in page


def test_an_undone_hand_over_takes_its_difference_back(
    client: Client, person: User, chain: Chain, district: Appointment
) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point, region_ids=chain_ids(chain))
    pick_up(scanner, parcel)
    scanning.record(scanner, scan("undo", parcel, reason="wrong person"))
    assert "<strong>0.00 CNY</strong>" in see(client, person)


def test_parcels_are_counted_by_what_they_wait_for(chain: Chain, district: Appointment) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    ids = chain_ids(chain)
    make_parcel(point, region_ids=ids)
    make_ready_parcel(scanner, point, region_ids=ids)
    overdue = make_ready_parcel(scanner, point, region_ids=ids)
    factories.backdate(overdue, hold_until=now() - timedelta(hours=1))
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=ids))
    assert counts(district) == {"appointment": None, "expected": 1, "here": 2, "overdue": 1, "collected": 1}


def test_the_region_frozen_at_assignment_counts_and_not_todays(chain: Chain, district: Appointment) -> None:
    """The parcel's address lies in the district today, but was assigned when that belonged to another one."""
    other = factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY])
    parcel = make_parcel(make_point(), region_ids=chain_ids(chain))
    type(parcel).objects.filter(pk=parcel.pk).update(region_ids=[other.pk, chain[Level.CITY].pk])
    assert counts(district)["expected"] == 0


def test_a_neighbours_parcels_and_people_are_not_shown(
    client: Client, person: User, chain: Chain, district: Appointment
) -> None:
    other = factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY])
    factories.make_appointment(other, factories.make_agent("neighbour"))
    make_parcel(make_point(), region_ids=[other.pk, chain[Level.CITY].pk], phone="+8613800135678")
    page = see(client, person)
    for foreign in ("宝安区", "neighbour", "深圳市", "王", "5678", "PN0"):
        assert foreign not in page
    assert counts(district)["expected"] == 0


def test_an_appointment_that_is_over_shows_no_parcels(client: Client, person: User, chain: Chain, agent: Agent) -> None:
    Appointment.objects.create(
        agent=agent,
        region=chain[Level.CITY],
        valid=DateTimeTZRange(now() - timedelta(days=60), now() - timedelta(days=1)),
    )
    page = see(client, person)
    assert "Earlier and later appointments" in page
    assert "On their way" not in page


def test_another_agents_earnings_stay_with_that_agent(
    client: Client, person: User, chain: Chain, district: Appointment
) -> None:
    factories.make_appointment(chain[Level.CITY])
    point = make_point()
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=chain_ids(chain)))
    assert "3.00 CNY" in see(client, person)
    assert "2.00 CNY" not in see(client, person)


def test_a_stranger_finds_no_such_page(client: Client, district: Appointment) -> None:
    for stranger in (factories.make_member(make_point()), factories.make_user(is_staff=True)):
        client.force_login(stranger)
        assert client.get("/agent/").status_code == 404


def test_who_is_not_signed_in_is_sent_to_the_front_door(client: Client) -> None:
    assert client.get("/agent/").headers["Location"] == "/?next=/agent/"


def test_the_page_only_reads(client: Client, person: User, district: Appointment) -> None:
    client.force_login(person)
    for method in (client.post, client.put, client.delete):
        assert method("/agent/").status_code == 405
