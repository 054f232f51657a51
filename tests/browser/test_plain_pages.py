"""The plain pages in a real browser: what a clerk with a wedge scanner and a recipient do, under the strict CSP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from network.models import ServicePoint
from pickup import codes
from pickup.models import Parcel
from tests import factories
from tests.factories import code_of, make_parcel, make_point, make_ready_parcel, token_of

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"
PHONE = "+8613900001111"
LOUD = ("error", "warning")
PHONE_SCREEN, DESK_SCREEN = (360, 800), (1440, 900)
on_both_screens = pytest.mark.parametrize("page", [PHONE_SCREEN, DESK_SCREEN], indirect=True, ids=["phone", "desk"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright runs an event loop in this thread, which Django would take for an asynchronous context.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            yield playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
                args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
            )
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page(browser: Browser, live_server: Any, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page whose console stays silent: an error there is a broken script or something the CSP refused."""
    width, height = getattr(request, "param", PHONE_SCREEN)
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", base_url=live_server.url)
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if message.type in LOUD else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture
def point() -> ServicePoint:
    point = make_point(name="Corner Shop")
    factories.make_member(point, phone=PHONE, password=PASSWORD, name="Li")
    return point


@pytest.fixture
def parcel(point: ServicePoint) -> Parcel:
    return make_ready_parcel(factories.scanner_of(point), point, phone="+8613800135678")


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Phone").fill("139 0000 1111")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Corner Shop")


def choose(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("link", name=name).click()


def wedge(page: Page, text: str) -> None:
    """What a scanner does: it types wherever the focus happens to be, and ends with Enter."""
    page.wait_for_load_state()
    with page.expect_navigation():
        page.keyboard.type(text)
        page.keyboard.press("Enter")


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@on_both_screens
def test_sign_in_scan_in_and_hand_over_by_code(page: Page, point: ServicePoint) -> None:
    parcel = make_parcel(point)
    sign_in(page)
    choose(page, "Scan in")
    page.get_by_role("textbox", name="Shelf").fill("A-3-12")
    page.get_by_role("heading", level=1).click()  # the focus is nowhere now, and comes back by itself
    wedge(page, parcel.barcode)
    expect(page.get_by_role("status")).to_contain_text("Done.")
    expect(page.get_by_role("status")).to_contain_text("Shelf A-3-12")
    expect(page.get_by_role("textbox", name="Shelf")).to_have_value("A-3-12")
    expect(page.get_by_text("1 parcel scanned in today")).to_be_visible()

    choose(page, "Hand over")
    wedge(page, parcel.barcode)
    expect(page.get_by_label("eight digits")).to_be_focused()
    wedge(page, code_of(Parcel.objects.get(pk=parcel.pk)))
    expect(page.get_by_role("status")).to_contain_text("Hand the parcel over.")
    expect(page.get_by_role("status")).to_contain_text("+20.00, today 20.00")
    expect(page.locator("#entry")).to_be_focused()
    assert fits(page)
    assert Parcel.objects.get(pk=parcel.pk).status == "collected"


def test_the_qr_alone_hands_over(page: Page, parcel: Parcel) -> None:
    sign_in(page)
    wedge(page, token_of(parcel))
    expect(page.get_by_role("status")).to_contain_text("Hand the parcel over.")


def test_a_reloaded_answer_repeats_and_does_not_double(page: Page, parcel: Parcel) -> None:
    sign_in(page)
    wedge(page, parcel.barcode)
    wedge(page, code_of(parcel))
    page.reload()
    expect(page.get_by_role("status")).to_contain_text("Done already")
    expect(page.get_by_role("region", name="Earned today")).to_contain_text("20.00")


def test_what_was_wrong_is_said_at_the_field(page: Page, parcel: Parcel) -> None:
    sign_in(page)
    wedge(page, parcel.barcode)
    wedge(page, "123")
    field = page.locator("#entry")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(f"The code has eight digits. {parcel.barcode} 王* …5678")
    expect(field).to_be_focused()


def test_the_counter_works_without_scripts(browser: Browser, live_server: Any, parcel: Parcel) -> None:
    context = browser.new_context(java_script_enabled=False, locale="en-GB", base_url=live_server.url)
    page = context.new_page()
    sign_in(page)
    page.locator("#entry").fill(parcel.barcode)
    page.get_by_role("button", name="Enter").click()
    page.locator("#entry").fill(code_of(parcel))
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("status")).to_contain_text("Hand the parcel over.")
    context.close()


def test_the_language_is_switched_and_stays(page: Page, point: ServicePoint) -> None:
    sign_in(page)
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.get_by_role("link", name="入库")).to_be_visible()
    page.goto("/counter/?mode=arrival")
    expect(page.get_by_role("textbox", name="货架")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("textbox", name="Shelf")).to_be_visible()


@on_both_screens
def test_a_recipient_gets_a_qr_that_opens_the_parcel(page: Page, parcel: Parcel) -> None:
    page.goto(f"/t/{codes.link_of(parcel.uuid, 1)}")
    page.get_by_label("Last four digits").fill("5678")
    page.get_by_role("button", name="Show the QR code").click()
    picture = page.get_by_role("img", name="QR code for the counter")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 0  # the CSP let it through
    assert fits(page)


def test_a_stranger_sees_neither_counter_nor_parcels(page: Page, parcel: Parcel) -> None:
    page.goto("/counter/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text(parcel.barcode)).to_have_count(0)


@on_both_screens
def test_nothing_is_too_small_to_touch_or_without_a_name(page: Page, parcel: Parcel) -> None:
    paths = ["/", f"/t/{codes.link_of(parcel.uuid, 1)}"]
    for path in paths:
        page.goto(path)
        check_touch(page)
    sign_in(page)
    for mode in ("pickup", "arrival", "return", "damaged", "undo"):
        page.goto(f"/counter/?mode={mode}")
        check_touch(page)


def check_touch(page: Page) -> None:
    assert fits(page), page.url
    small = page.evaluate(
        """[...document.querySelectorAll("a, button, input:not([type=hidden])")].filter(element => {
            const box = element.getBoundingClientRect();
            return box.left >= 0 && (box.height < 44 || box.width < 44);
        }).map(element => element.outerHTML)"""
    )
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input:not([type=hidden])")].filter(input => !input.labels.length)
            .map(input => input.outerHTML)"""
    )
    assert (small, unnamed) == ([], []), page.url
