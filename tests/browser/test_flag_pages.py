"""Held pickups, reports and the question to a recipient in a real browser: on a phone and a desk, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.utils.timezone import localdate, now
from playwright.sync_api import Browser, Page, expect

from network.models import Level, User
from pickup import asking, codes
from pickup.models import Handover, Hold, Parcel
from tests import factories
from tests.browser.conftest import enter_as, fits, listen
from tests.factories import chain_ids, make_point, make_ready_parcel, pick_up
from tests.roles import as_worker

pytestmark = pytest.mark.django_db(transaction=True)
EVIDENCE = [
    {"sign": "fast", "points": 200, "found": 9, "pickups": 12, "days": 3, "expected": 0.4, "here": True},
    {"sign": "denied", "points": 100, "found": 2, "pickups": 12, "days": 30, "expected": 0.0, "here": False},
]
SCREENS = [(360, 800, "zh-CN"), (1440, 900, "en-GB"), (360, 800, "en-GB"), (1440, 900, "zh-CN")]
everywhere = pytest.mark.parametrize("page", SCREENS, indirect=True, ids=["phone-zh", "desk-en", "phone-en", "desk-zh"])


@pytest.fixture
def parcels() -> list[Parcel]:
    cache.clear()
    chain = factories.make_chain()
    factories.make_appointment(chain[Level.DISTRICT])
    factories.make_appointment(chain[Level.PROVINCE])
    point = make_point(name="科苑路便利店 Corner Shop", opening_hours="Mo-Sa 09:00-21:00", region_ids=chain_ids(chain))
    scanner = factories.scanner_of(point)
    made = [
        make_ready_parcel(scanner, point, region_ids=chain_ids(chain), phone=f"+86138000{number:05d}")
        for number in range(12)
    ]
    for parcel in made:
        pick_up(scanner, parcel)
        parcel.refresh_from_db()
    with as_worker():
        for handover in Handover.objects.order_by("id")[:9]:
            Hold.objects.create(handover=handover, service_point=point, points=300, evidence=EVIDENCE, day=localdate())
    return made


@pytest.fixture
def page(browser: Browser, live_server: Any, parcels: list[Parcel], request: pytest.FixtureRequest) -> Iterator[Page]:
    """Signed in as an administrator; the console stays silent."""
    width, height, language = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale=language, base_url=live_server.url
    )
    enter_as(context, User.objects.create_superuser("+8613900008888", name="Root"), live_server.url)
    complaints: list[str] = []
    opened = context.new_page()
    listen(opened, complaints)
    yield opened
    context.close()
    assert complaints == []


def examine(page: Page, address: str) -> None:
    page.goto(address)
    assert fits(page), address
    small = page.evaluate(
        """[...document.querySelectorAll(
                "main a, main button, main select, main summary, main textarea, main input:not([type=hidden])")]
            .map(element => element.type === "checkbox" ? element.closest("label") || element : element)
            .filter(element => {
                const box = element.getBoundingClientRect();
                return box.height > 0 && (box.height < 44 || box.width < 44);
            }).map(element => element.outerHTML)"""
    )
    assert small == [], address
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], address


@everywhere
def test_flags_and_reports_fit_can_be_touched_and_read_aloud(page: Page, parcels: list[Parcel]) -> None:
    for address in (
        "/money/flags/",
        f"/money/flags/{parcels[0].service_point_id}/",
        "/money/reports/",
        "/money/reports/?by=region&level=4",
        "/money/reports/?by=payee",
    ):
        examine(page, address)


@pytest.mark.parametrize("page", [(360, 800, "en-GB")], indirect=True)
def test_a_decision_is_made_with_a_reason_and_shown_with_it(page: Page, parcels: list[Parcel]) -> None:
    page.goto(f"/money/flags/{parcels[0].service_point_id}/")
    expect(page.get_by_text("9 of 12 pickups in 3 days").first).to_be_visible()
    page.locator("input[name=hold]").first.check()
    page.locator("[name=reason]").fill("saw it on the camera")
    page.locator("button[value=cleared], input[value=cleared]").first.click()
    if page.locator("input[value=cleared]").count():
        page.locator("main button.main").last.click()
    expect(page.get_by_text("saw it on the camera").first).to_be_visible()


@everywhere
def test_the_question_is_asked_and_answered_with_one_tap(page: Page, parcels: list[Parcel], settings: Any) -> None:
    settings.ASK_SHARE = settings.ASK_SHARE_DOUBTFUL = 1.0
    with as_worker():
        assert asking.ask(now=now() + timedelta(hours=2)) == len(parcels)
    address = f"/t/{codes.link_of(parcels[0].uuid, parcels[0].code.issue)}"
    page.context.clear_cookies()
    examine(page, address)
    page.locator("button[value=did_collect]").click()
    expect(page.locator("button[value=did_collect]")).to_have_count(0)
    assert fits(page)
