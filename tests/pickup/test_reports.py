"""Reports: the same money by region, level, payee and period, and only the own for a payee; the split of a price."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils.timezone import localdate

from network.models import Agent, Level, ServicePoint
from pickup import flags, ledger, reports
from pickup.models import Parcel, Posting
from pickup.reports import Asked, By, Scope
from tests import factories
from tests.factories import chain_ids, make_agent, make_appointment, make_chain, make_point, make_ready_parcel, pick_up

pytestmark = pytest.mark.django_db
ALL = Scope(everything=True)


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop")


@pytest.fixture
def agent() -> Agent:
    return make_agent("city-agent", user=factories.make_user())


@pytest.fixture
def parcels(point: ServicePoint, agent: Agent) -> list[Parcel]:
    """Three pickups for addresses in Nanshan; its city's agent gets five each, nobody else is appointed."""
    chain = make_chain()
    make_appointment(chain[Level.CITY], agent)
    scanner = factories.scanner_of(point)
    made = [make_ready_parcel(scanner, point, region_ids=chain_ids(chain)) for _number in range(3)]
    for parcel in made:
        pick_up(scanner, parcel)
    return made


def asked(by: By, **more: object) -> Asked:
    return Asked(by, localdate() - timedelta(days=1), localdate(), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("by", list(By))
def test_every_report_has_the_same_money(parcels: list[Parcel], by: By) -> None:
    rows = reports.lines(asked(by), ALL)
    assert sum(row.total_minor for row in rows) == 3 * 2000 + 3 * 500
    assert [row.total_minor for row in reports.sums(asked(by), ALL)] == [7500]
    assert reports.count(asked(by), ALL) == len(rows)


def test_by_region_and_by_level(parcels: list[Parcel]) -> None:
    [row] = reports.lines(asked(By.REGION, level=Level.DISTRICT), ALL)
    known = reports.names(asked(By.REGION), [row])
    assert (known[row.key].name, row.pickups, row.point_minor, row.agents_minor) == ("南山区", 3, 6000, 1500)
    levels = {row.key: row.total_minor for row in reports.lines(asked(By.LEVEL), ALL)}
    assert levels == {None: 6000, Level.CITY: 1500}


def test_what_was_taken_back_counts_against_it(parcels: list[Parcel], point: ServicePoint) -> None:
    with transaction.atomic():
        ledger.reverse(Posting.objects.filter(kind="point_fee")[0], reason="a mistake")
    [row] = [row for row in reports.lines(asked(By.PAYEE), ALL) if row.point_minor]
    assert (row.point_minor, row.taken_back_minor, row.total_minor) == (6000, 2000, 4000)


def test_a_payee_sees_only_what_is_the_own(parcels: list[Parcel], point: ServicePoint, agent: Agent) -> None:
    assert agent.user is not None
    owner, agents = reports.scope_of(factories.make_member(point)), reports.scope_of(agent.user)
    assert owner is not None
    assert agents is not None
    assert [row.total_minor for row in reports.sums(asked(By.PERIOD), owner)] == [6000]
    assert [row.total_minor for row in reports.sums(asked(By.PERIOD), agents)] == [1500]
    assert reports.scope_of(factories.make_user()) is None
    stranger = reports.scope_of(factories.make_member(make_point()))
    assert stranger is not None
    assert reports.sums(asked(By.PERIOD), stranger) == []


def test_the_price_of_an_order_is_split_into_point_agents_and_network(parcels: list[Parcel]) -> None:
    [split] = reports.splits(parcels[0].order)
    assert (split.price_minor, split.point_minor, split.agents_minor, split.network_minor) == (3000, 2000, 500, 500)


def test_the_page_and_its_file(client: Client, parcels: list[Parcel], point: ServicePoint) -> None:
    client.force_login(factories.make_member(point))
    client.cookies["django_language"] = "en"
    days = f"from={localdate()}&to={localdate()}"
    page = client.get(f"{reverse('reports')}?by=payee&{days}").content.decode()
    assert "Corner Shop" in page
    assert "60.00" in page
    assert "<rect" in page
    assert "city-agent" not in page
    answer = client.post(reverse("export-new"), {"name": "reports", "form": "csv", "query": f"by=payee&{days}"})
    rows = list(csv.reader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))
    assert rows[1] == ["Corner Shop", "3", "60.00", "0.00", "0.00", "60.00", "CNY"]


@pytest.mark.parametrize("query", ["by=moon", "level=9&by=region", "within=%00", "within=NOWHERE", "period=never"])
def test_what_makes_no_sense_does_not_exist(client: Client, point: ServicePoint, query: str) -> None:
    client.force_login(factories.make_member(point))
    assert client.get(f"{reverse('reports')}?{query}").status_code == 404


def test_days_in_the_wrong_order_are_told(client: Client, point: ServicePoint) -> None:
    client.force_login(factories.make_member(point))
    assert client.get(f"{reverse('reports')}?from=2026-02-02&to=2026-01-01").status_code == 400


def test_a_stranger_has_no_reports(client: Client) -> None:
    assert client.get(reverse("reports")).status_code == 302
    client.force_login(factories.make_user())
    assert client.get(reverse("reports")).status_code == 404
    client.force_login(factories.make_user(is_staff=True))
    assert client.get(reverse("reports")).status_code == 404


def test_the_map_of_a_shop_in_question_has_no_coordinates(parcels: list[Parcel], point: ServicePoint) -> None:
    [first, *_rest] = flags.seen(point, until=Posting.objects.latest("recorded_at").recorded_at + timedelta(hours=1))
    assert first.distance_m is not None
    assert not hasattr(first, "location")
