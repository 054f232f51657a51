"""The agent's pages, the vacancies and the decisions about them, in a real browser: fitting, touchable, read aloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.utils.timezone import localtime, now
from playwright.sync_api import Browser, Page, Playwright, expect

from network import proposals
from network.models import Appointment, AppointmentApplication, Level, PointProposal, Region, User
from tests import factories
from tests.browser.conftest import WEBGL, enter_as, fits, launch
from tests.factories import chain_ids, make_point, make_ready_parcel, pick_up

pytestmark = pytest.mark.django_db(transaction=True)
PHONE, DESK = (360, 800), (1440, 900)
on_both_screens = pytest.mark.parametrize("page", [PHONE, DESK], indirect=True, ids=["phone", "desk"])
SMALL = """[...document.querySelectorAll(
    "main a, main button, main select, main summary, main textarea, main input:not([type=hidden])")]
    .filter((element) => element.offsetParent !== null && !element.closest(".maplibregl-control-container"))
    .filter((element) => {
        const box = element.getBoundingClientRect();
        return box.height < 44 || box.width < 44;
    }).map((element) => element.outerHTML)"""


class Scene:
    """An agent with shops, parcels and money; somebody who waits for a region; an administrator."""

    def __init__(self) -> None:
        cache.clear()
        self.chain: dict[Level, Region] = factories.make_chain()
        self.admin = User.objects.create_superuser("+8613900008888", name="Root")
        self.person = factories.make_user(name="Zhang San")
        self.agent = factories.make_agent("zhang", user=self.person)
        self.held = factories.make_appointment(self.chain[Level.DISTRICT], self.agent)
        factories.make_appointment(
            self.chain[Level.CITY], self.agent, since=now() - timedelta(days=90), until=now() - timedelta(days=30)
        )
        self.point = make_point(name="科苑便利店", region_ids=chain_ids(self.chain), capacity=2)
        scanner = factories.scanner_of(self.point)
        self.parcel = make_ready_parcel(scanner, self.point, region_ids=chain_ids(self.chain))
        factories.backdate(self.parcel, hold_until=now() - timedelta(days=2))
        pick_up(scanner, make_ready_parcel(scanner, self.point, region_ids=chain_ids(self.chain)))
        self.applicant = factories.make_user(name="Li Lei")
        self.application = factories.make_application(self.chain[Level.CITY], self.applicant)
        self.proposal = proposals.propose(
            agent=self.agent,
            user=self.person,
            lat=22.54,
            lon=113.95,
            name="地铁口茶店",
            address="科苑路1号",
            reasons="附近没有服务点",
            now=now(),
        )


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    launched = launch(playwright, *WEBGL)
    yield launched
    launched.close()


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return Scene()


def as_person(page: Page, user: User, live_server: Any) -> None:
    page.context.clear_cookies()
    enter_as(page.context, user, live_server.url)


def settled(page: Page) -> None:
    box = page.locator("#place-map")
    if box.count():
        expect(box).to_have_attribute("data-state", re.compile("idle|failed"))


@on_both_screens
def test_every_page_fits_can_be_touched_and_read_aloud(page: Page, scene: Scene, live_server: Any) -> None:
    day = f"{localtime(now()):%Y-%m-%d}"
    pages = [
        (None, ["/vacancies/?level="]),
        (scene.applicant, ["/vacancies/CN-S/", "/vacancies/440300/", "/vacancies/mine/"]),
        (
            scene.person,
            [
                *("/agent/", "/agent/points/", "/agent/parcels/", "/agent/earnings/", "/agent/proposals/"),
                *(f"/agent/earnings/lines/?from={day}&to={day}", "/regions/coverage/"),
            ],
        ),
        (
            scene.admin,
            [
                *("/regions/applications/", f"/regions/applications/{scene.application.pk}/", "/regions/vacancies/"),
                *("/regions/appointments/", f"/regions/appointments/{scene.held.pk}/", "/regions/proposals/"),
            ],
        ),
    ]
    for user, addresses in pages:
        if user is not None:
            as_person(page, user, live_server)
        for address in addresses:
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == 200, address
            settled(page)
            assert fits(page), address
            assert page.evaluate(SMALL) == [], address
            found = Axe().run(page).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], address


@on_both_screens
def test_from_the_application_to_the_agents_page(page: Page, scene: Scene, live_server: Any) -> None:
    """Somebody applies, somebody else approves, and the one works as an agent."""
    as_person(page, scene.applicant, live_server)
    page.goto("/vacancies/?level=2")
    page.get_by_role("link", name="Apply 广东省").click()
    page.get_by_label("Why you").fill("I know all shops between here and the sea.")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("status")).to_contain_text("Your application for 广东省 is in")
    as_person(page, scene.admin, live_server)
    page.goto("/regions/applications/")
    page.get_by_role("link", name="广东省", exact=True).click()
    expect(page.get_by_text("I know all shops between here and the sea.")).to_be_visible()
    page.get_by_label("A word to the applicant").fill("Welcome")
    page.get_by_role("button", name="Approve and appoint").click()
    expect(page.get_by_role("status")).to_contain_text("Li Lei is appointed to 广东省.")
    made = Appointment.objects.get(region=scene.chain[Level.PROVINCE])
    assert made.appointed_by == scene.admin
    as_person(page, scene.applicant, live_server)
    page.goto("/vacancies/mine/")
    expect(page.get_by_text("Welcome")).to_be_visible()
    page.goto("/agent/")
    expect(page.get_by_role("heading", name="My regions")).to_be_visible()


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_an_appointment_is_ended_with_a_reason_that_the_agent_reads(page: Page, scene: Scene, live_server: Any) -> None:
    as_person(page, scene.admin, live_server)
    page.goto("/regions/appointments/")
    page.get_by_role("link", name="南山区").click()
    page.get_by_label("The reason, which the agent reads").fill("Moves to another city")
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_role("status")).to_contain_text("It ends on")
    as_person(page, scene.person, live_server)
    page.goto("/agent/")
    expect(page.get_by_text("Moves to another city")).to_be_visible()


@on_both_screens
def test_a_place_is_put_on_the_map_with_finger_and_keyboard(page: Page, scene: Scene, live_server: Any) -> None:
    as_person(page, scene.person, live_server)
    page.goto("/agent/proposals/")
    settled(page)
    box = page.locator("#place-map")
    expect(box).to_have_attribute("data-state", "idle")
    box.click(position={"x": 120, "y": 120})
    latitude = page.get_by_label("Latitude")
    expect(latitude).not_to_have_value("")
    touched = latitude.input_value()
    page.locator("#place-map canvas").focus()
    page.keyboard.press("Enter")
    expect(latitude).not_to_have_value(touched)
    page.get_by_label("Name of the shop or the place").fill("桥头水果店")
    page.get_by_label("Why a shop helps here").fill("Everybody passes here.")
    page.get_by_role("button", name="Propose").click()
    expect(page.get_by_role("status").first).to_contain_text("桥头水果店 is proposed")
    made = PointProposal.objects.get(name="桥头水果店")
    assert 22.4 < made.location.y < 22.65
    assert 113.8 < made.location.x < 114.0
    as_person(page, scene.admin, live_server)
    page.goto("/regions/proposals/")
    page.get_by_role("button", name="Make it a proposed point 桥头水果店").click()
    expect(page.get_by_role("status")).to_contain_text("桥头水果店 is a proposed service point now.")


@pytest.mark.parametrize("page", [DESK], indirect=True)
def test_from_the_overview_to_the_why_of_a_fee(page: Page, scene: Scene, live_server: Any) -> None:
    as_person(page, scene.person, live_server)
    page.goto("/agent/")
    page.get_by_role("link", name="Earned today").click()
    page.get_by_role("link", name="南山区").click()
    page.get_by_role("link", name="Why this fee?").click()
    expect(page.get_by_text("3.00 CNY").first).to_be_visible()
    page.goto("/agent/")
    page.get_by_role("link", name="1 in 南山区").click()
    page.get_by_role("link", name=scene.parcel.barcode).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(scene.parcel.barcode)
    assert AppointmentApplication.objects.get().status == "waiting"
