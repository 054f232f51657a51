"""The agent's page: own regions only, counted as they were when each parcel was assigned."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import localdate, now

from network import agents, regions
from network.models import Agent, Appointment, Boundary, Level, Pause, PointProposal, Region, User
from pickup import agency, scanning
from pickup.models import Order, Parcel, Statement
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


def counts(appointment: Appointment) -> agency.Counts:
    at = now()
    return agency.counts(appointment.agent, appointment.region, at=at, since=at - timedelta(days=31))


def test_an_agent_sees_the_own_regions_and_this_months_earnings(
    client: Client, person: User, chain: Chain, district: Appointment
) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=chain_ids(chain)))
    page = see(client, person)
    assert "南山区" in page
    assert page.count("3.00 <span") == 2  # today and this month
    assert "1 fee" in page


def test_an_undone_hand_over_takes_its_difference_back(
    client: Client, person: User, chain: Chain, district: Appointment
) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point, region_ids=chain_ids(chain))
    pick_up(scanner, parcel)
    scanning.record(scanner, scan("undo", parcel, reason="wrong person"))
    assert "0.00 <span" in see(client, person)


def test_parcels_are_counted_by_what_they_wait_for(chain: Chain, district: Appointment) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    ids = chain_ids(chain)
    make_parcel(point, region_ids=ids)
    make_ready_parcel(scanner, point, region_ids=ids)
    overdue = make_ready_parcel(scanner, point, region_ids=ids)
    factories.backdate(overdue, hold_until=now() - timedelta(hours=1))
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=ids))
    assert counts(district) == agency.Counts(expected=1, here=2, overdue=1, collected=1)


def test_the_region_frozen_at_assignment_counts_and_not_todays(chain: Chain, district: Appointment) -> None:
    """The parcel's address lies in the district today, but was assigned when that belonged to another one."""
    other = factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY])
    parcel = make_parcel(make_point(), region_ids=chain_ids(chain))
    type(parcel).objects.filter(pk=parcel.pk).update(region_ids=[other.pk, chain[Level.CITY].pk])
    assert counts(district).expected == 0


def test_a_neighbours_parcels_and_people_are_not_shown(
    client: Client, person: User, chain: Chain, district: Appointment
) -> None:
    other = factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY])
    factories.make_appointment(other, factories.make_agent("neighbour"))
    make_parcel(make_point(), region_ids=[other.pk, chain[Level.CITY].pk], phone="+8613800135678")
    page = see(client, person)
    for foreign in ("宝安区", "neighbour", "深圳市", "王", "5678", "PN0"):
        assert foreign not in page
    assert counts(district).expected == 0


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
    assert "3.00 <span" in see(client, person)
    assert "2.00 <span" not in see(client, person)


# ---------------------------------------------------------------- who may

PAGES = [
    *("/agent/", "/agent/points/", "/agent/parcels/", "/agent/earnings/"),
    *("/agent/earnings/lines/", "/agent/proposals/", "/regions/coverage/"),
]


@pytest.mark.parametrize("path", PAGES)
def test_who_is_not_signed_in_is_sent_to_the_front_door(client: Client, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/?next={path}"


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_finds_no_such_page(client: Client, district: Appointment, path: str) -> None:
    for stranger in (factories.make_user(), factories.make_member(make_point()), factories.make_user(is_staff=True)):
        client.force_login(stranger)
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", PAGES)
def test_an_agent_opens_every_page(client: Client, person: User, district: Appointment, path: str) -> None:
    client.force_login(person)
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", [path for path in PAGES if "proposals" not in path])
def test_the_pages_only_read(client: Client, person: User, district: Appointment, path: str) -> None:
    client.force_login(person)
    for method in (client.post, client.put, client.delete):
        assert method(path).status_code == 405


# ---------------------------------------------------------------- promise 22


class Border:
    """Two districts that touch at 114.0 east, an agent in each, and the shops and parcels near the border."""

    def __init__(self, chain: Chain, person: User) -> None:
        self.own = chain[Level.DISTRICT]
        self.other = factories.make_region(
            "440304", "福田区", Level.DISTRICT, chain[Level.CITY], (114.0, 22.4, 114.2, 22.65)
        )
        self.city = chain[Level.CITY]
        self.agent = factories.make_agent("near", user=person)
        self.neighbour = factories.make_agent("neighbour", user=factories.make_user())
        factories.make_appointment(self.own, self.agent)
        factories.make_appointment(self.other, self.neighbour)
        self.point = make_point(22.5, 113.9999, name="Border Shop", region_ids=[self.own.pk, self.city.pk])
        self.far = make_point(22.5, 114.0001, name="Futian Shop", region_ids=[self.other.pk, self.city.pk])
        self.scanner = factories.scanner_of(self.point)

    def parcel(self, lon: float, **fields: Any) -> Parcel:
        """Overdue on the shelf, with the chain that its coordinates have at this moment."""
        [region_id] = regions.covering([(22.5, lon)], at=now())
        assert region_id is not None
        parcel = make_ready_parcel(
            self.scanner, self.point, region_ids=regions.chain_ids({region_id})[region_id], **fields
        )
        factories.backdate(parcel, hold_until=now() - timedelta(hours=1))
        return parcel


@pytest.fixture
def border(chain: Chain, person: User) -> Border:
    return Border(chain, person)


METRE = 1 / 102_900  # degrees of longitude at 22.5 north


def test_within_a_metre_of_the_border_each_sees_the_own_side_and_counts_nothing_else(
    client: Client, border: Border, person: User
) -> None:
    own, foreign = set(), set()
    for number in range(1, 101):
        own.add(border.parcel(114.0 - number * METRE / 100).barcode)
        foreign.add(border.parcel(114.0 + number * METRE / 100).barcode)
    at = now()
    for agent, seen in ((border.agent, own), (border.neighbour, foreign)):
        assert set(agency.overdue(agent, at=at).values_list("barcode", flat=True)) == seen
        [held] = agents.in_force(agent, at=at)
        assert agency.counts(agent, held.region, at=at, since=at) == agency.Counts(0, 100, 100, 0)
    client.force_login(person)
    table = taken(client, "agent-parcels")
    assert {line.split(",")[0] for line in table.splitlines()[1:]} == own
    assert foreign.isdisjoint(re.findall(r"PN\d+", client.get("/agent/parcels/").content.decode()))
    for barcode in list(foreign)[:20]:
        assert "No parcel is overdue." in read(client, f"/agent/parcels/?q={barcode}")


def test_reassigned_regions_show_nothing_of_before_and_keep_nothing_of_after(border: Border) -> None:
    """Fifty times another agent takes over: each sees what was assigned in the own time, of regions held today."""
    held = border.neighbour.appointments.get()
    before = border.parcel(114.05)
    agents_seen = [border.neighbour]
    start = now() - timedelta(days=60)
    factories.rewrite_appointment(held, start - timedelta(days=10), start)
    for number in range(50):
        successor = factories.make_agent()
        begins = start + timedelta(hours=number)
        ends = begins + timedelta(hours=1) if number < 49 else now() + timedelta(days=9)
        factories.make_appointment(border.other, successor, since=begins, until=ends)
        agents_seen.append(successor)
    last = agents_seen[-1]
    Order.objects.filter(parcels=before).update(assigned_at=start - timedelta(days=1))  # in the first one's time
    after = border.parcel(114.05)
    at = now()
    for agent in agents_seen[:-1]:
        assert not agency.own_parcels(agent, at=at).exists()
        assert not agency.points(agent, at=at).exists()
    assert [parcel.pk for parcel in agency.own_parcels(last, at=at)] == [after.pk]


def test_a_renewed_agent_keeps_what_was_assigned_before_the_renewal(border: Border, person: User) -> None:
    parcel = border.parcel(113.95)
    held = border.agent.appointments.get()
    at = now()
    factories.rewrite_appointment(held, at - timedelta(days=90), at - timedelta(days=5))
    factories.make_appointment(border.own, border.agent, since=at - timedelta(days=5))
    Order.objects.filter(parcels=parcel).update(assigned_at=at - timedelta(days=30))
    assert [one.pk for one in agency.own_parcels(border.agent, at=at)] == [parcel.pk]


def test_a_moved_border_moves_no_parcel_that_was_assigned(border: Border) -> None:
    parcel = border.parcel(113.9995)
    for boundary in Boundary.objects.filter(region=border.own):
        boundary.valid = DateTimeTZRange(boundary.valid.lower, now())
        boundary.save(update_fields=["valid"])
    at = now()
    assert [one.pk for one in agency.own_parcels(border.agent, at=at)] == [parcel.pk]
    assert not agency.own_parcels(border.neighbour, at=at).exists()


def test_what_the_list_shows_its_why_opens_and_what_it_does_not_its_why_hides(
    client: Client, border: Border, person: User
) -> None:
    own, foreign = border.parcel(113.9999), border.parcel(114.0001)
    client.force_login(person)
    assert client.get(f"/parcels/{own.barcode}/why/").status_code == 200
    assert client.get(f"/parcels/{foreign.barcode}/why/").status_code == 404


def test_a_foreign_region_is_no_filter(client: Client, border: Border, person: User) -> None:
    client.force_login(person)
    for page in ("points", "parcels"):
        assert client.get(f"/agent/{page}/?region={border.own.code}").status_code == 200
        for code in (border.other.code, border.city.code, "nonsense"):
            assert client.get(f"/agent/{page}/?region={code}").status_code == 404
    for code in (border.other.code, border.city.code, "nonsense"):
        taken(client, "agent-parcels", status=404, region=code)
    for number in (border.other.pk, border.city.pk, "9" * 30, "x"):
        assert client.get(f"/agent/earnings/lines/?region={number}").status_code == 404
        taken(client, "agent-earnings", status=404, region=number, **today())


# ---------------------------------------------------------------- shops and parcels


def today() -> dict[str, Any]:
    return {"from": localdate(), "to": localdate()}


def taken(client: Client, name: str, *, status: int = 200, **filters: Any) -> str:
    """A list as a file."""
    body = {"name": name, "form": "csv", "query": urlencode(filters)}
    response: Any = client.post("/exports/new/", body, headers={"accept-language": "en"})
    assert response.status_code == status, name
    return b"".join(response).decode()


def read(client: Client, path: str) -> str:
    response = client.get(path, headers={"accept-language": "en"})
    assert response.status_code == 200, path
    return response.content.decode()


def test_shops_of_the_own_region_with_their_load_and_state(client: Client, border: Border, person: User) -> None:
    border.parcel(113.95)
    make_point(name="Full Shop", region_ids=[border.own.pk], capacity=0)
    resting = make_point(name="Resting Shop", region_ids=[border.own.pk])
    Pause.objects.create(
        service_point=resting, reason="vacation", period=DateTimeTZRange(now() - timedelta(hours=1), None)
    )
    client.force_login(person)
    page = read(client, "/agent/points/")
    for told in ("Border Shop", "1 / 1000", "Full Shop", "full", "Resting Shop", "vacation"):
        assert told in page, told
    assert "Futian Shop" not in page
    assert "Border Shop" not in read(client, "/agent/points/?q=Resting")
    assert "No shop here." in read(client, "/agent/points/?q=Futian")


def test_overdue_parcels_tell_what_and_where_and_nothing_of_whose(client: Client, border: Border, person: User) -> None:
    parcel = border.parcel(113.95, phone="+8613800135678")
    on_time = make_ready_parcel(border.scanner, border.point, region_ids=parcel.region_ids)
    client.force_login(person)
    for page in (read(client, "/agent/parcels/"), taken(client, "agent-parcels")):
        assert parcel.barcode in page
        assert "Border Shop" in page
        assert on_time.barcode not in page
        for personal in ("王", "5678", "科苑路"):
            assert personal not in page
    assert parcel.barcode in read(client, f"/agent/parcels/?q={parcel.barcode[-6:]}")
    assert parcel.barcode not in read(client, "/agent/parcels/?q=5678")


def test_a_barcode_that_looks_like_a_formula_is_none_in_the_table(client: Client, border: Border, person: User) -> None:
    border.parcel(113.95, barcode="=1+1")
    client.force_login(person)
    assert "\n'=1+1," in taken(client, "agent-parcels").replace("\r", "")


# ---------------------------------------------------------------- earnings


def test_each_line_opens_its_why_and_the_table_is_the_same(client: Client, border: Border, person: User) -> None:
    parcel = border.parcel(113.95)
    pick_up(border.scanner, parcel)
    client.force_login(person)
    page = read(client, "/agent/earnings/")
    assert "By region" in page
    assert "南山区" in page
    assert "3.00" in page
    lines = read(client, f"/agent/earnings/lines/?region={border.own.pk}&from={localdate()}&to={localdate()}")
    assert f'href="/parcels/{parcel.barcode}/why/"' in lines
    assert "3.00 CNY" in read(client, f"/parcels/{parcel.barcode}/why/")
    table = taken(client, "agent-earnings", **today())
    assert f"{parcel.barcode},agent's difference,3.00,CNY" in table
    assert "南山区" in table


def test_what_was_earned_in_a_region_held_before_is_still_read(client: Client, border: Border, person: User) -> None:
    pick_up(border.scanner, border.parcel(113.95))
    held = border.agent.appointments.get()
    factories.rewrite_appointment(held, held.valid.lower, now())
    client.force_login(person)
    assert "3.00" in read(client, f"/agent/earnings/lines/?region={border.own.pk}")
    assert "No shop here." in read(client, "/agent/points/")


def test_a_statement_is_the_own_one_and_nobody_elses(client: Client, border: Border, person: User) -> None:
    pick_up(border.scanner, border.parcel(113.95))
    pick_up(border.scanner, border.parcel(114.05))
    month, later = f"{localdate():%Y-%m}", now() + timedelta(days=40)
    factories.close_period(period=month, now=later, currency="CNY")
    own = Statement.objects.get(account__agent=border.agent)
    foreign = Statement.objects.get(account__agent=border.neighbour)
    shops = Statement.objects.get(account__service_point=border.point)
    client.force_login(person)
    assert f"/agent/earnings/statements/{own.pk}/" in read(client, "/agent/earnings/")
    assert "3.00 CNY" in read(client, f"/agent/earnings/statements/{own.pk}/")
    assert "3.00,CNY" in taken(client, "agent-statement", statement=own.pk)
    for other in (foreign, shops):
        assert client.get(f"/agent/earnings/statements/{other.pk}/").status_code == 404
        taken(client, "agent-statement", status=404, statement=other.pk)


@pytest.mark.parametrize("days", ["from=x&to=y", "from=2026-02-02&to=2026-02-01", "from=2020-01-01&to=2026-01-01"])
def test_days_that_make_no_sense_are_told_so(client: Client, border: Border, person: User, days: str) -> None:
    client.force_login(person)
    for page in ("", "lines/"):
        assert client.get(f"/agent/earnings/{page}?{days}").status_code == 400
    taken(client, "agent-earnings", status=400, **dict(parse_qsl(days)))


# ---------------------------------------------------------------- proposals


FORM = {"name": "Tea shop", "address": "", "lat": "22.53", "lon": "113.94", "reasons": "none near"}


def test_a_proposal_is_made_shown_and_withdrawn(client: Client, border: Border, person: User) -> None:
    client.force_login(person)
    assert client.post("/agent/proposals/", FORM).headers["Location"] == "/agent/proposals/"
    made = PointProposal.objects.get()
    assert (made.agent, made.made_by) == (border.agent, person)
    assert "Tea shop" in read(client, "/agent/proposals/")
    client.post(f"/agent/proposals/{made.pk}/withdraw/")
    made.refresh_from_db()
    assert made.status == PointProposal.Status.WITHDRAWN


def test_a_neighbour_neither_sees_nor_withdraws_it(client: Client, border: Border, person: User) -> None:
    client.force_login(person)
    client.post("/agent/proposals/", FORM)
    made = PointProposal.objects.get()
    assert border.neighbour.user is not None
    client = Client()
    client.force_login(border.neighbour.user)
    assert "Tea shop" not in read(client, "/agent/proposals/")
    assert client.post(f"/agent/proposals/{made.pk}/withdraw/").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"lon": "114.05"}, 409),
        ({"lat": "nan"}, 400),
        ({"lat": "91"}, 400),
        ({"lon": "1e999"}, 400),
        ({"name": ""}, 400),
        ({"reasons": "x" * 2001}, 400),
        ({"reasons": "a\x00b"}, 400),
    ],
)
def test_a_proposal_that_cannot_be_one_is_refused(
    client: Client, border: Border, person: User, wrong: dict[str, str], status: int
) -> None:
    client.force_login(person)
    assert client.post("/agent/proposals/", FORM | wrong).status_code == status
    assert not PointProposal.objects.exists()


# ---------------------------------------------------------------- how much it asks


def test_the_pages_ask_the_database_a_fixed_number_of_times(client: Client, border: Border, person: User) -> None:
    client.force_login(person)
    counted: dict[str, int] = {}
    for more in (1, 5):
        for _ in range(more):
            pick_up(border.scanner, border.parcel(113.95))
            border.parcel(113.95)
            make_point(region_ids=[border.own.pk])
        for path in PAGES[:6]:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(path).status_code == 200
            assert counted.setdefault(path, len(queries)) == len(queries), path
    assert list(counted.values()) == QUERIES


QUERIES = [13, 10, 9, 13, 7, 10]  # of `PAGES`, in their order
