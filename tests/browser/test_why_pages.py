"""The pages that explain, in a real browser: readable on a phone, by keyboard and aloud, under the strict CSP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser, Page

from network.models import Level, User
from pickup.models import Parcel
from tests import factories
from tests.factories import chain_ids, make_point, make_ready_parcel, pick_up

pytestmark = pytest.mark.django_db(transaction=True)
LOUD = ("error", "warning")
on_both_screens = pytest.mark.parametrize("page", [(360, 800), (1440, 900)], indirect=True, ids=["phone", "desk"])
AMOUNTS = {"point_fee": 18, "cap": 9, "custom": 1, "district": 3, "city": 5, "province": 8, "macro": 10}
DRAFT = "&".join(f"{name}_minor={amount}" for name, amount in AMOUNTS.items()) + "&level=2"


@pytest.fixture
def parcel() -> Parcel:
    cache.clear()
    chain = factories.make_chain()
    factories.make_appointment(chain[Level.DISTRICT])
    factories.make_appointment(chain[Level.PROVINCE])
    point = make_point(opening_hours="Mo-Sa 09:00-21:00", region_ids=chain_ids(chain))
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point, region_ids=chain_ids(chain))
    pick_up(scanner, parcel)
    return parcel


@pytest.fixture
def page(browser: Browser, live_server: Any, parcel: Parcel, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Signed in as an administrator; the console stays silent."""
    client = Client()
    client.force_login(User.objects.create_superuser("+8613900008888", name="Root"))
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", base_url=live_server.url)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if message.type in LOUD else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@on_both_screens
def test_the_pages_fit_can_be_touched_and_read_aloud(page: Page, parcel: Parcel) -> None:
    assert parcel.pk
    month = f"{Parcel.objects.get().collected_at:%Y-%m}"
    for address in (
        f"/parcels/{parcel.barcode}/why/",
        "/regions/coverage/",
        "/money/tariffs/",
        f"/money/tariffs/?{DRAFT}&month={month}",
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), address
        small = page.evaluate(
            """[...document.querySelectorAll("main a, main button, main select, main input:not([type=hidden])")]
                .filter(element => {
                    const box = element.getBoundingClientRect();
                    return box.height < 44 || box.width < 44;
                }).map(element => element.outerHTML)"""
        )
        assert small == [], address
        found = Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], address


@pytest.mark.parametrize("page", [(360, 800)], indirect=True)
def test_what_does_not_fit_is_reached_by_keyboard(page: Page, parcel: Parcel) -> None:
    page.goto(f"/parcels/{parcel.barcode}/why/")
    table = page.locator(".scroll").last
    table.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert table.evaluate("element => element.scrollLeft") > 0
