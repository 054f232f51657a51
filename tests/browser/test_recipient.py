"""The recipient's page in a real browser: what a recipient and a delegate do, on a phone and at a desk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils.timezone import now
from playwright.sync_api import Browser, Page, expect

from network.models import ServicePoint
from pickup import codes, delegation, disputes, holding, notices, parcels
from pickup.models import Delegation, Notice, Parcel
from tests import factories
from tests.factories import code_of, make_parcel, make_point, make_ready_parcel

pytestmark = pytest.mark.django_db(transaction=True)
PHONE = "+8613800135678"
LOUD = ("error", "warning")
PHONE_SCREEN, DESK_SCREEN = (360, 800), (1440, 900)
on_both_screens = pytest.mark.parametrize("page", [PHONE_SCREEN, DESK_SCREEN], indirect=True, ids=["phone", "desk"])


@pytest.fixture
def page(browser: Browser, live_server: Any, settings: Any, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page whose console stays silent: an error there is a broken script or something the CSP refused."""
    settings.BASE_URL = live_server.url
    width, height = getattr(request, "param", PHONE_SCREEN)
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale="en-GB",
        base_url=live_server.url,
        permissions=["clipboard-read", "clipboard-write"],
    )
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if message.type in LOUD else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert [line for line in complaints if "410" not in line] == []  # a dead link is answered with that status


@pytest.fixture
def point() -> ServicePoint:
    return make_point(
        name="Corner Shop", address="1 Station Road", city="Shenzhen", opening_hours="Mo-Su 00:00-24:00", phone="0755-1"
    )


@pytest.fixture
def parcel(point: ServicePoint) -> Parcel:
    return make_ready_parcel(factories.scanner_of(point), point, phone=PHONE)


@pytest.fixture
def coming(point: ServicePoint) -> Parcel:
    parcel = make_parcel(point, phone=PHONE)
    parcels.issue_code(parcel)
    return parcel


def path_of(parcel: Parcel) -> str:
    return f"/t/{codes.link_of(parcel.uuid, 1)}"


def show(page: Page, parcel: Parcel, button: str = "Show the QR code") -> None:
    page.goto(path_of(parcel))
    page.get_by_label("Last four digits").fill("5678")
    with page.expect_navigation():
        page.get_by_role("button", name=button).click()


def press(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()


def open_part(page: Page, name: str) -> None:
    page.locator("summary", has_text=name).click()


def check(page: Page) -> None:
    """No serious finding of axe, nothing wider than the screen, nothing too small to touch, nothing without a name."""
    found = Axe().run(page).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    assert serious == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url
    small = page.evaluate(
        """[...document.querySelectorAll("a, button, summary, label.choice, input:not([type=hidden], [type=radio])")]
            .filter(element => {
                const box = element.getBoundingClientRect();
                return box.width && box.left >= 0 && (box.height < 43.9 || box.width < 43.9);
            }).map(element => element.outerHTML)"""
    )
    assert small == [], page.url


@on_both_screens
def test_the_page_is_for_everybody_before_and_after_the_digits(page: Page, parcel: Parcel, coming: Parcel) -> None:
    page.goto(path_of(parcel))
    check(page)
    press(page, "Show the QR code")
    expect(page.get_by_label("Last four digits")).to_be_focused()
    check(page)
    show(page, parcel)
    for name in ("Keep it", "Let somebody", "Copy", "on its way"):
        open_part(page, name)
    check(page)
    press(page, "Make a code for the other person")
    check(page)
    page.get_by_role("link", name="See that page").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    check(page)


@on_both_screens
def test_the_other_states_are_for_everybody(page: Page, parcel: Parcel, coming: Parcel, point: ServicePoint) -> None:
    make_point(lat=22.541, name="Near")
    page.goto(path_of(coming))
    check(page)
    show(page, coming, "Choose another service point")
    check(page)
    factories.pick_up(factories.scanner_of(point), parcel)
    page.goto(path_of(parcel))
    check(page)
    show(page, parcel, "Go on")
    check(page)
    disputes.open_dispute(parcel)
    page.reload()
    expect(page.get_by_text("You told us on")).to_be_visible()
    check(page)


def test_large_text_needs_no_scrolling_sideways(page: Page, parcel: Parcel) -> None:
    show(page, parcel)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    for name in ("Keep it", "Let somebody", "Copy"):
        open_part(page, name)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_qr_is_large_and_black_on_white(page: Page, parcel: Parcel) -> None:
    show(page, parcel)
    picture = page.get_by_role("img", name="QR code for the counter")
    assert picture.evaluate("image => image.naturalWidth") > 0  # the CSP let it through
    assert picture.evaluate("image => image.getBoundingClientRect().width") >= 240
    assert picture.evaluate("image => getComputedStyle(image).backgroundColor") == "rgb(255, 255, 255)"


def test_a_reload_asks_for_nothing_again(page: Page, parcel: Parcel) -> None:
    show(page, parcel)
    page.goto(path_of(parcel))
    expect(page.get_by_role("img", name="QR code for the counter")).to_be_visible()


def test_it_is_kept_longer_and_what_came_of_it_is_read_first(page: Page, parcel: Parcel) -> None:
    show(page, parcel)
    open_part(page, "Keep it three days longer")
    press(page, "Keep it three days longer")
    expect(page.get_by_role("status")).to_contain_text("is kept until")
    expect(page.get_by_role("status")).to_be_focused()
    assert Parcel.objects.get(pk=parcel.pk).extended_at is not None


def test_the_text_for_a_delegate_is_copied_with_one_press(page: Page, parcel: Parcel) -> None:
    show(page, parcel)
    open_part(page, "Let somebody else")
    press(page, "Make a code for the other person")
    page.get_by_role("button", name="Copy the text").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    proof = delegation.proof_of(Delegation.objects.get())
    assert f"{proof.code[:4]} {proof.code[4:]}" in copied
    assert proof.link in copied


def test_a_delegate_sees_the_code_until_it_is_withdrawn(browser: Browser, page: Page, parcel: Parcel) -> None:
    show(page, parcel)
    open_part(page, "Let somebody else")
    press(page, "Make a code for the other person")
    text = page.get_by_label("Text for the other person").input_value()
    link = re.search(r"/t/[A-Za-z0-9_-]{22}", text)
    assert link
    page.goto(link[0])
    expect(page.get_by_role("heading", level=1)).to_contain_text("Collect a parcel for somebody")
    expect(page.get_by_role("button", name="Send")).to_have_count(0)
    page.goto(path_of(parcel))
    open_part(page, "Let somebody else")
    press(page, "Withdraw it")
    page.goto(link[0])
    expect(page.get_by_role("heading", level=1)).to_have_text("This link does not work any more")
    check(page)


def test_all_my_codes_are_copied_with_one_press(page: Page, parcel: Parcel, point: ServicePoint) -> None:
    other = make_ready_parcel(factories.scanner_of(point), point, phone=PHONE)
    show(page, parcel)
    open_part(page, "Copy all my codes")
    page.get_by_role("button", name="Copy the text").click()
    copied = page.evaluate("navigator.clipboard.readText()").replace(" ", "")
    assert code_of(parcel) in copied
    assert code_of(other) in copied


def test_another_point_is_chosen(page: Page, coming: Parcel) -> None:
    near = make_point(lat=22.541, name="Near")
    show(page, coming, "Choose another service point")
    press(page, "Choose Near")
    expect(page.get_by_role("status")).to_contain_text("will come to Near")
    assert Parcel.objects.get(pk=coming.pk).service_point == near


def test_the_message_is_sent_again(page: Page, parcel: Parcel) -> None:
    Notice.objects.update(sent_at=now() - timedelta(days=3))
    page.goto(path_of(parcel))
    press(page, "Send the message again")
    expect(page.get_by_role("status")).to_contain_text("on its way to the recipient's phone")
    assert Notice.objects.filter(parcel=parcel).count() == 2


def test_a_refusal_is_announced_as_one(page: Page, parcel: Parcel) -> None:
    show(page, parcel)
    holding.extend(parcel, now=now())
    open_part(page, "Keep it three days longer")
    press(page, "Keep it three days longer")
    expect(page.get_by_role("alert")).to_contain_text("works once")


def test_everything_works_without_scripts_and_without_cookies(
    browser: Browser, live_server: Any, settings: Any, parcel: Parcel
) -> None:
    settings.BASE_URL = live_server.url
    context = browser.new_context(java_script_enabled=False, locale="en-GB", base_url=live_server.url)
    page = context.new_page()
    show(page, parcel)
    expect(page.locator(".code")).to_have_text(f"{code_of(parcel)[:4]} {code_of(parcel)[4:]}")
    context.clear_cookies()
    open_part(page, "Let somebody else")
    press(page, "Make a code for the other person")
    expect(page.get_by_label("Text for the other person")).to_be_visible()
    expect(page.get_by_role("button", name="Copy the text")).to_have_count(0)
    context.clear_cookies()
    page.goto(path_of(parcel))
    expect(page.get_by_label("Last four digits")).to_be_visible()
    context.close()


def test_the_page_speaks_chinese(browser: Browser, live_server: Any, parcel: Parcel) -> None:
    context = browser.new_context(locale="zh-CN", base_url=live_server.url)
    page = context.new_page()
    page.goto(path_of(parcel))
    page.get_by_label("收件人手机号后四位").fill("5678")
    page.get_by_role("button", name="显示二维码").click()
    expect(page.locator("summary", has_text="请人代取")).to_be_visible()
    text = (
        page.locator("main").inner_text().replace("Corner Shop", "").replace("Station Road", "").replace("Shenzhen", "")
    )
    assert re.findall(r"[A-Za-z]{3,}", text) == []
    context.close()


def test_a_stranger_sees_neither_code_nor_person(page: Page, parcel: Parcel) -> None:
    page.goto(path_of(parcel))
    page.get_by_label("Last four digits").fill("0000")
    press(page, "Show the QR code")
    expect(page.get_by_text("not the last four digits")).to_be_visible()
    content = page.content()
    for secret in (code_of(parcel), f"{code_of(parcel)[:4]} {code_of(parcel)[4:]}", "data:image", "王", "5678"):
        assert secret not in content
    assert notices.sent_times(parcel) == []
