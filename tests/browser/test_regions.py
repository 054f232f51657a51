"""The map of regions in a real browser: drawn by WebGL in software, under the strict CSP, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, expect

from network.models import Level, Region
from tests import factories
from tests.browser.conftest import DRIVER_NOISE, WEBGL, launch
from tests.factories import chain_ids, make_parcel, make_point

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"
LOUD = ("error", "warning")
PHONE_SCREEN, DESK_SCREEN = (360, 800), (1440, 900)
on_both_screens = pytest.mark.parametrize("page", [PHONE_SCREEN, DESK_SCREEN], indirect=True, ids=["phone", "desk"])


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    launched = launch(playwright, *WEBGL)
    yield launched
    launched.close()


@pytest.fixture
def regions() -> dict[Level, Region]:
    chain = factories.make_chain()
    factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY], (113.7, 22.66, 114.0, 22.85))
    factories.make_appointment(chain[Level.DISTRICT], factories.make_agent("Lin"))
    ids = chain_ids(chain)
    point = make_point(name="Corner Shop", region_id=ids[0], region_ids=ids, capacity=10)
    order = make_parcel(point, region_ids=ids).order
    order.status, order.review_reason = "review", "low_accuracy"
    order.save(update_fields=["status", "review_reason"])
    return chain


@pytest.fixture
def page(
    browser: Browser, live_server: Any, regions: dict[Level, Region], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """An administrator's page whose console stays silent: an error there is something that the CSP refused."""
    factories.make_user(phone="+8613900001111", password=PASSWORD, name="Li", is_staff=True, is_superuser=True)
    width, height = getattr(request, "param", DESK_SCREEN)
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale="en-GB", base_url=live_server.url, reduced_motion="reduce"
    )
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if message.type in LOUD else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto("/")
    opened.get_by_label("Phone").fill("139 0000 1111")
    opened.get_by_label("Password").fill(PASSWORD)
    with opened.expect_navigation():
        opened.get_by_role("button", name="Sign in").click()
    yield opened
    context.close()
    assert [words for words in complaints if DRIVER_NOISE not in words] == []


def settled(page: Page) -> dict[str, str]:
    """Wait until everything is drawn and return what the map says of it."""
    expect(page.locator("#map")).to_have_attribute("data-state", "idle")
    told: dict[str, str] = page.locator("#map").evaluate("map => ({...map.dataset})")
    return told


def drawn_within(page: Page, name: str, number: str) -> None:
    expect(page.locator("#map")).to_have_attribute(f"data-{name}", number)


@on_both_screens
def test_the_map_is_drawn_with_names_points_and_the_review_queue(page: Page) -> None:
    page.goto("/regions/?review=1#11/22.53/113.9")
    told = settled(page)
    assert int(told["regions"]) >= 1
    assert int(told["names"]) >= 1  # Chinese ones, without any server of glyphs
    assert (told["points"], told["review"]) == ("1", "1")
    expect(page.locator("#map-status")).to_have_text("The map shows: district")


def test_a_click_on_a_region_opens_its_panel_and_its_address(page: Page) -> None:
    page.goto("/regions/#11/22.6/113.9")
    settled(page)
    box = page.locator("#map canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("heading", name="南山区")).to_be_visible()
    expect(page.locator("#panel")).to_contain_text("Lin")
    assert page.url.split("#")[0].endswith("/regions/440305/")
    assert "#11/22.6/113.9" in page.url
    page.go_back()
    expect(page.get_by_role("heading", name="All regions")).to_be_visible()


def test_a_deep_link_opens_the_region_and_shows_it(page: Page) -> None:
    page.goto("/regions/440306/")
    settled(page)
    expect(page.get_by_role("heading", name="宝安区")).to_be_visible()
    west, south = page.evaluate("location.hash").split("/")[2], page.evaluate("location.hash").split("/")[1]
    assert 113.7 < float(west) < 114.0
    assert 22.66 < float(south) < 22.85


@on_both_screens
def test_the_search_suggests_and_enter_goes_there(page: Page) -> None:
    page.goto("/regions/?level=4")
    settled(page)
    search = page.get_by_role("combobox", name="Find a region by name or code")
    search.fill("南山")
    option = page.get_by_role("option", name="南山区")
    expect(option).to_be_visible()
    search.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    search.press("Enter")
    expect(page.locator("#region-name")).to_have_text("南山区")
    expect(page.locator("#region-name")).to_be_focused()
    expect(page.get_by_role("listbox")).to_be_hidden()
    assert "/regions/440305/?level=4" in page.url
    search.fill("Mars")
    search.press("Enter")
    expect(page.locator("#search-status")).to_have_text("No region by this name or code.")


def test_enter_opens_the_region_in_the_middle_of_the_map(page: Page) -> None:
    page.goto("/regions/#11/22.75/113.85")
    settled(page)
    page.locator("#map canvas").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="宝安区")).to_be_visible()


def test_filters_change_the_map_and_the_address(page: Page) -> None:
    page.goto("/regions/#10/22.6/113.9")
    before = settled(page)
    page.get_by_text("Filters and legend").click()
    page.get_by_label("Vacant regions only").check()
    drawn_within(page, "regions", str(int(before["regions"]) - 1))
    page.get_by_label("Service points").select_option("none")
    drawn_within(page, "points", "0")
    assert "?points=none&vacant=1#" in page.url
    page.reload()
    expect(page.get_by_label("Vacant regions only")).to_be_checked()
    drawn_within(page, "points", "0")


def test_a_point_tells_its_load(page: Page) -> None:
    page.goto("/regions/#15/22.535/113.935")
    settled(page)
    box = page.locator("#map canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    popup = page.locator(".maplibregl-popup")
    expect(popup).to_contain_text("Corner Shop")
    expect(popup).to_contain_text("1 of 10 parcels")
    assert "/regions/points/" in (popup.get_by_role("link", name="Open").get_attribute("href") or "")


@on_both_screens
def test_the_list_is_used_by_keyboard_alone(page: Page) -> None:
    page.goto("/regions/list/")
    page.get_by_label("Name or code").focus()
    page.keyboard.type("宝安")
    page.keyboard.press("Enter")
    page.wait_for_url("**/regions/list/?q=*")
    link = page.get_by_role("link", name="宝安区")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#region-name")).to_have_text("宝安区")


def test_the_page_works_without_scripts(browser: Browser, live_server: Any, page: Page) -> None:
    context = browser.new_context(
        java_script_enabled=False, locale="en-GB", base_url=live_server.url, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    plain.goto("/regions/")
    expect(plain.get_by_text("The map needs a script.")).to_be_visible()
    plain.get_by_label("Find a region by name or code").fill("440305")
    plain.get_by_role("button", name="Find").click()
    plain.get_by_role("link", name="南山区", exact=True).click()
    expect(plain.get_by_role("heading", name="南山区")).to_be_visible()
    plain.get_by_role("link", name="深圳市", exact=True).click()
    expect(plain.get_by_role("heading", name="深圳市")).to_be_visible()
    context.close()


@on_both_screens
def test_nothing_serious_is_found_by_axe_and_everything_fits(page: Page) -> None:
    for path in ("/regions/?review=1&vacant=1", "/regions/440305/", "/regions/list/?level=4"):
        page.goto(path)
        if "list" not in path:
            settled(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        found = Axe().run(page).response["violations"]
        serious = [
            (rule["id"], [node["target"] for node in rule["nodes"]])
            for rule in found
            if rule["impact"] in ("serious", "critical")
        ]
        assert serious == [], path
        small = page.evaluate(
            """[..."a button input:not([type=hidden]) select summary".split(" ")]
                .flatMap(name => [...document.querySelectorAll(`main ${name}`)]).filter(element => {
                    const target = element.closest("label") ?? element, box = target.getBoundingClientRect();
                    return box.width && (box.height < 43.9 || box.width < 43.9);
                }).map(element => element.outerHTML.slice(0, 120))"""
        )
        assert small == [], path
