"""Applications, vacancies, appointments and proposals, for staff: who may see, who may decide, and what came of it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import localdate, now

from network import proposals
from network.models import Agent, Appointment, AppointmentApplication, Level, PointProposal, Region, ServicePoint, User
from pickup import fees, scanning, territory
from pickup.models import Tariff
from tests import factories
from tests.factories import (
    chain_ids,
    make_application,
    make_appointment,
    make_point,
    make_ready_parcel,
    make_user,
    pick_up,
    scan,
)

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
VIEW = {
    *("view_region", "view_appointmentapplication", "view_appointment", "view_pointproposal", "view_posting"),
}
DECIDE = {
    *("change_appointmentapplication", "add_appointment", "change_appointment", "change_pointproposal"),
    "add_servicepoint",
}
TODAY = localdate()  # each moment of its test lies days away


def staff_with(*rights: str) -> User:
    user = make_user(is_staff=True, name="Boss")
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def signed_in(user: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


class Scene:
    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.agent = factories.make_agent("zhang", user=make_user(name="Zhang"))
        self.held = make_appointment(chain[Level.CITY], self.agent)
        self.application = make_application(chain[Level.DISTRICT], make_user(name="Li Lei"))
        assert self.agent.user is not None
        self.proposal = proposals.propose(
            agent=self.agent,
            user=self.agent.user,
            lat=22.53,
            lon=113.94,
            name="Tea shop",
            address="",
            reasons="none near",
            now=now(),
        )
        self.boss = staff_with(*VIEW, *DECIDE)
        self.client = signed_in(self.boss)

    @property
    def pages(self) -> list[str]:
        return [
            "/regions/applications/",
            f"/regions/applications/{self.application.pk}/",
            "/regions/vacancies/",
            "/regions/appointments/",
            f"/regions/appointments/{self.held.pk}/",
            "/regions/proposals/",
        ]


@pytest.fixture
def scene(chain: Chain) -> Scene:
    return Scene(chain)


def read(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(response.content.decode().split())


def decide(scene: Scene, client: Client | None = None, **fields: Any) -> Any:
    given_: dict[str, Any] = {"approve": "", "since": TODAY, "until": TODAY + timedelta(days=365), "answer": ""}
    path = f"/regions/applications/{scene.application.pk}/"
    return (client or scene.client).post(path, given_ | fields)


# ---------------------------------------------------------------- who may


def test_the_pages_are_for_staff_with_the_right_and_do_not_exist_for_others(scene: Scene, client: Client) -> None:
    assert scene.agent.user is not None
    others = [
        make_user(),
        factories.make_member(make_point()),
        scene.agent.user,
        scene.application.user,
        make_user(is_staff=True),
        staff_with("view_region"),
        staff_with(*(VIEW - {"view_region"})),
    ]
    for path in scene.pages:
        assert client.get(path).headers["Location"] == f"/?next={path}"
        assert client.post(path).status_code in (302, 405)
        assert scene.client.get(path).status_code == 200
        for person in others:
            assert signed_in(person).get(path).status_code == 404, (path, person)
            assert signed_in(person).post(path, {"approve": ""}).status_code in (404, 405), (path, person)
    assert AppointmentApplication.objects.get().status == "waiting"


def test_who_may_only_look_decides_nothing(scene: Scene) -> None:
    looker = signed_in(staff_with(*VIEW))
    for path in scene.pages:
        page = read(looker, path)
        assert "Approve" not in page
        assert "End it" not in page
        assert "Make it a proposed point" not in page
    assert decide(scene, looker).status_code == 403
    assert decide(scene, looker, refuse="", answer="no").status_code == 403
    path = f"/regions/appointments/{scene.held.pk}/"
    for form in ({"end": "", "reason": "x"}, {"renew": "", "until": "2030-01-01"}):
        assert looker.post(path, form).status_code == 403
    for form in ({"take": ""}, {"refuse": "", "answer": "no"}):
        assert looker.post("/regions/proposals/", form | {"proposal": str(scene.proposal.pk)}).status_code == 403
    assert AppointmentApplication.objects.get().status == PointProposal.objects.get().status == "waiting"


def test_who_may_not_see_fees_sees_none(scene: Scene) -> None:
    clerk = signed_in(staff_with(*(VIEW - {"view_posting"})))
    assert "Went to agents above" not in read(clerk, "/regions/vacancies/")
    assert "Went to agents above" not in read(clerk, f"/regions/applications/{scene.application.pk}/")


# ---------------------------------------------------------------- applications


def test_waiting_ones_come_first_with_region_chain_and_rivals(scene: Scene) -> None:
    make_application(scene.chain[Level.DISTRICT], make_user(name="Han Meimei"))
    page = read(scene.client, "/regions/applications/")
    for told in ("2 applications", "南山区", "华南 › 广东省 › 深圳市", "Li Lei", "Han Meimei", "vacant"):
        assert told in page, told
    assert page.index("Li Lei") < page.index("Han Meimei")
    assert "1 application" in read(scene.client, "/regions/applications/?q=Meimei")
    assert "0 applications" in read(scene.client, "/regions/applications/?status=refused")
    assert scene.client.get("/regions/applications/?status=nonsense").status_code == 404


def test_the_page_of_one_shows_reasons_rivals_and_what_the_vacancy_costs(scene: Scene) -> None:
    make_application(scene.chain[Level.DISTRICT], make_user(name="Han Meimei"))
    point = make_point()
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=chain_ids(scene.chain)[1:]))
    page = read(scene.client, f"/regions/applications/{scene.application.pk}/")
    for told in (scene.application.reasons, "Han Meimei", "Went to agents above", "3.00 CNY", "广东省"):
        assert told in page, told


def test_approved_the_applicant_is_appointed_told_and_opens_the_agents_page(
    scene: Scene, settings: Any, tmp_path: Path
) -> None:
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    response = decide(scene, answer="Welcome")
    assert response.headers["Location"] == f"/regions/applications/{scene.application.pk}/"
    made = Appointment.objects.get(region=scene.chain[Level.DISTRICT])
    assert (made.agent.user, made.appointed_by) == (scene.application.user, scene.boss)
    assert localdate(made.valid.upper) == TODAY + timedelta(days=365)
    [line] = map(json.loads, (tmp_path / "notices.jsonl").read_text().splitlines())
    assert (line["kind"], line["phone"]) == ("appointed", scene.application.user.phone)
    assert signed_in(scene.application.user).get("/agent/").status_code == 200
    assert "appointed to" in read(scene.client, f"/regions/applications/{scene.application.pk}/")


def test_without_a_gateway_it_is_approved_all_the_same(scene: Scene) -> None:
    decide(scene)
    assert "No message could be sent" in read(scene.client, f"/regions/applications/{scene.application.pk}/")
    assert AppointmentApplication.objects.get().status == "approved"


@pytest.mark.parametrize(
    "wrong",
    [
        {"until": TODAY - timedelta(days=1)},
        {"until": TODAY + timedelta(days=3000)},
        {"until": ""},
        {"since": "0001-01-01"},
        {"since": "9999-12-31"},
        {"since": "someday"},
        {"answer": "x" * 2001},
    ],
)
def test_a_period_that_is_none_is_refused_on_the_page(scene: Scene, wrong: dict[str, Any]) -> None:
    assert decide(scene, **wrong).status_code == 400
    assert AppointmentApplication.objects.get().status == "waiting"


def test_the_second_approval_for_a_region_says_who_holds_it(scene: Scene) -> None:
    rival = make_application(scene.chain[Level.DISTRICT])
    decide(scene)
    form = {"approve": "", "since": TODAY, "until": TODAY + timedelta(days=30)}
    response = scene.client.post(f"/regions/applications/{rival.pk}/", form)
    assert response.status_code == 409
    assert "Li Lei is appointed to 南山区" in response.content.decode()
    rival.refresh_from_db()
    assert rival.status == "waiting"


def test_a_refusal_needs_a_reason(scene: Scene) -> None:
    path = f"/regions/applications/{scene.application.pk}/"
    assert scene.client.post(path, {"refuse": "", "answer": " "}).status_code == 400
    assert scene.client.post(path, {"refuse": "", "answer": "Too far"}).status_code == 302
    assert "Too far" in read(scene.client, path)
    assert (
        "decided or withdrawn meanwhile"
        in scene.client.post(path, {"refuse": "", "answer": "again"}, follow=True).content.decode()
    )


def test_who_applied_does_not_decide_even_with_every_right(scene: Scene) -> None:
    row = make_application(scene.chain[Level.DISTRICT], scene.boss)
    path = f"/regions/applications/{row.pk}/"
    assert "You applied yourself" in read(scene.client, path)
    for form in ({"refuse": "", "answer": "x"}, {"approve": "", "since": TODAY, "until": TODAY + timedelta(days=9)}):
        assert "You applied yourself" in scene.client.post(path, form, follow=True).content.decode()
    row.refresh_from_db()
    assert row.status == "waiting"


# ---------------------------------------------------------------- appointments


def test_an_appointment_ends_early_with_a_reason_that_stays(scene: Scene) -> None:
    path = f"/regions/appointments/{scene.held.pk}/"
    assert scene.client.post(path, {"end": "", "reason": ""}).status_code == 400
    assert scene.client.post(path, {"end": "", "reason": "Never visits", "at": ""}).status_code == 302
    page = read(scene.client, path)
    for told in ("Ended early", "Never visits", "Boss"):
        assert told in page, told
    scene.held.refresh_from_db()
    assert scene.held.ended_by == scene.boss
    later = {"end": "", "reason": "x", "at": (TODAY + timedelta(days=300)).isoformat()}
    assert scene.client.post(path, later).status_code == 409


def test_a_renewal_is_an_appointment_of_its_own(scene: Scene) -> None:
    path = f"/regions/appointments/{scene.held.pk}/"
    until = (localdate(scene.held.valid.upper) + timedelta(days=365)).isoformat()
    made = scene.client.post(path, {"renew": "", "until": until, "reason": "good"}).headers["Location"]
    assert made != path
    assert "later" in read(scene.client, made)
    assert scene.client.post(path, {"renew": "", "until": TODAY.isoformat()}).status_code == 400
    assert Appointment.objects.filter(region=scene.chain[Level.CITY]).count() == 2


def test_the_lists_tell_in_force_ending_soon_later_and_over(scene: Scene) -> None:
    make_appointment(scene.chain[Level.MACRO], until=now() + timedelta(days=9))
    make_appointment(scene.chain[Level.PROVINCE], since=now() - timedelta(days=9), until=now() - timedelta(days=1))
    make_appointment(scene.chain[Level.PROVINCE], since=now() + timedelta(days=9))
    for show, number, name in (
        ("force", 2, "深圳市"), ("soon", 1, "华南"), ("later", 1, "广东省"), ("over", 1, "广东省"),
    ):  # fmt: skip
        page = read(scene.client, f"/regions/appointments/?show={show}")
        assert f"{number} appointment" in page
        assert name in page
    assert scene.client.get("/regions/appointments/?show=x").status_code == 404
    assert "1 appointment" in read(scene.client, "/regions/appointments/?q=zhang")


# ---------------------------------------------------------------- vacancies


def test_vacancies_tell_what_went_upward_and_what_stayed(scene: Scene) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    for _ in range(2):
        pick_up(scanner, make_ready_parcel(scanner, point, region_ids=chain_ids(scene.chain)[1:]))
    undone = make_ready_parcel(scanner, point, region_ids=chain_ids(scene.chain)[1:])
    pick_up(scanner, undone)
    scanning.record(scanner, scan("undo", undone, reason="wrong person"))
    page = read(scene.client, "/regions/vacancies/?level=4")
    row = page[page.index("南山区") :]
    assert row.index(">2<") < row.index("6.00 CNY") < row.index("0.00 CNY")
    top = read(scene.client, "/regions/vacancies/?level=2")  # nobody above the city: 8 − 5 for each
    assert top[top.index("广东省") :].index("0.00 CNY") < top[top.index("广东省") :].index("6.00 CNY")
    assert "深圳市" not in read(scene.client, "/regions/vacancies/?level=3").split("<table", 1)[-1]


SEATS = [
    set(some)
    for some in (
        *([], [Level.MACRO], [Level.CUSTOM], [Level.CITY], [Level.DISTRICT, Level.PROVINCE]),
        *([Level.CUSTOM, Level.MACRO], [Level.CITY, Level.PROVINCE, Level.MACRO], list(Level)),
    )
]


@pytest.mark.parametrize("cap_minor", [1000, 600, 200, 0])
@pytest.mark.parametrize("seats", SEATS, ids=lambda seats: "-".join(sorted(level.name for level in seats)) or "none")
def test_what_a_vacancy_came_to_is_what_the_explanation_of_the_pickup_says(
    chain: Chain, seats: set[Level], cap_minor: int
) -> None:
    if cap_minor != 1000:
        Tariff.objects.create(name="capped", valid_from=now() + timedelta(milliseconds=1), cap_minor=cap_minor)
    for level in seats:
        make_appointment(chain[level])
    point = make_point()
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point, region_ids=chain_ids(chain))
    pick_up(scanner, parcel)
    parcel.refresh_from_db()
    assert parcel.collected_at is not None
    tariff = fees.tariff_at(parcel.collected_at)
    assert tariff.cap_minor == cap_minor
    told = fees.explain(region_ids=parcel.region_ids, at=parcel.collected_at, tariff=tariff)
    at = now() + timedelta(seconds=5)
    found = territory.unclaimed(chain_ids(chain), since=at - timedelta(days=30), until=at)
    for step in told.steps:
        if step.appointment is not None:
            assert step.region.pk not in found
            continue
        [sum_] = found[step.region.pk]
        passed = sum(amount for _, amount in step.passed)
        assert (sum_.pickups, sum_.upward_minor, sum_.kept_minor) == (1, passed, step.kept_minor)


# ---------------------------------------------------------------- proposals


def test_a_proposal_becomes_a_proposed_point_once(scene: Scene) -> None:
    make_point(22.5309, 113.94, name="Near Shop")
    page = read(scene.client, "/regions/proposals/")
    for told in ("Tea shop", "none near", "科技园", "Near Shop", "100 m"):
        assert told in page, told
    form = {"take": "", "proposal": str(scene.proposal.pk), "answer": "Good"}
    for _ in range(2):
        assert scene.client.post("/regions/proposals/", form).status_code == 302
    point = ServicePoint.objects.get(name="Tea shop")
    assert point.status == "proposed"
    assert point.ref in read(scene.client, "/regions/proposals/?status=taken")
    assert scene.agent.user is not None
    assert "Good" in read(signed_in(scene.agent.user), "/agent/proposals/")


@pytest.mark.parametrize("number", ["", "x", "0", "9" * 30, "１"])
def test_a_proposal_that_is_none_is_refused(scene: Scene, number: str) -> None:
    status = scene.client.post("/regions/proposals/", {"take": "", "proposal": number}).status_code
    assert status in (302, 404)
    assert not ServicePoint.objects.exists()


def test_a_refused_proposal_has_an_answer(scene: Scene) -> None:
    form = {"refuse": "", "proposal": str(scene.proposal.pk)}
    assert "needs a reason" in scene.client.post("/regions/proposals/", form, follow=True).content.decode()
    scene.client.post("/regions/proposals/", form | {"answer": "One is next door"})
    assert PointProposal.objects.get().answer == "One is next door"


# ---------------------------------------------------------------- how much it asks


def test_the_lists_ask_a_fixed_number_of_times(scene: Scene) -> None:
    counted: dict[str, int] = {}
    for more in (1, 12):
        for _ in range(more):
            make_application(scene.chain[Level.DISTRICT])
            region = factories.make_region(f"Y{factories.number()}", "某区", Level.DISTRICT, scene.chain[Level.CITY])
            make_appointment(region, Agent.objects.create(ref=f"z{factories.number()}", name="z"))
            vacant = factories.make_region(f"Y{factories.number()}", "某区", Level.DISTRICT, scene.chain[Level.CITY])
            make_application(vacant)
        for path in scene.pages:
            with CaptureQueriesContext(connection) as queries:
                read(scene.client, path)
            assert counted.setdefault(path, len(queries)) == len(queries), path
    assert list(counted.values()) == QUERIES


QUERIES = [12, 18, 14, 9, 11, 9]  # of `Scene.pages`, in their order
