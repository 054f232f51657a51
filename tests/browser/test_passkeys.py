"""Passkeys and the other ways in, in a real browser whose authenticator is a virtual one, under the strict CSP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from pytest_django import Settings

from network.models import Device, ServicePoint, User
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"
PHONE = "+8613900001111"
LOUD = ("error", "warning")
PHONE_SCREEN, DESK_SCREEN = (360, 800), (1440, 900)
on_both_screens = pytest.mark.parametrize("page", [PHONE_SCREEN, DESK_SCREEN], indirect=True, ids=["phone", "desk"])


@pytest.fixture(autouse=True)
def outbox(settings: Settings, tmp_path: Path) -> Path:
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    return tmp_path / "notices.jsonl"


@pytest.fixture
def page(browser: Browser, live_server: Any, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page at a name, as passkeys need it, whose console stays silent."""
    width, height = getattr(request, "param", PHONE_SCREEN)
    named = live_server.url.replace("127.0.0.1", "localhost")
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", base_url=named)
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if message.type in LOUD else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture
def person() -> User:
    return factories.make_user(phone=PHONE, password=PASSWORD, name="Li")


@pytest.fixture
def point(person: User) -> ServicePoint:
    point = factories.make_point(name="Corner Shop")
    point.memberships.create(user=person, role="owner")
    return point


def give_authenticator(page: Page, *, verifies: bool = True) -> Any:
    """What a phone's fingerprint reader is; with `verifies` false it does not know the finger."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": verifies,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return session


def sign_in(page: Page, path: str = "/") -> None:
    page.goto(f"/?next={path}" if path != "/" else "/")
    page.get_by_label("Phone").fill("139 0000 1111")
    page.get_by_label("Password").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()


def add_passkey(page: Page) -> None:
    page.get_by_label("Name of the new passkey").fill("My phone")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status")).to_contain_text("The passkey is added")


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@on_both_screens
def test_a_passkey_is_added_signs_in_is_renamed_and_removed(page: Page, person: User) -> None:
    give_authenticator(page)
    sign_in(page, "/account/")
    add_passkey(page)
    expect(page.get_by_role("strong").filter(has_text="My phone")).to_be_visible()
    sign_out(page)

    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert Authenticator.objects.get().last_used_at is not None

    page.goto("/account/")
    page.locator("summary", has_text="Change").click()
    page.get_by_label("Name of the passkey").fill("Old phone")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("strong").filter(has_text="Old phone")).to_be_visible()
    page.locator("summary", has_text="Change").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("The passkey is removed")
    sign_out(page)

    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("status")).to_contain_text("This passkey does not work here")


def test_a_passkey_leads_to_the_page_that_was_asked_for(page: Page, person: User) -> None:
    give_authenticator(page)
    sign_in(page, "/account/")
    add_passkey(page)
    sign_out(page)
    page.goto("/?next=/account/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible()


def test_a_finger_that_the_device_does_not_know_adds_nothing(page: Page, person: User) -> None:
    give_authenticator(page, verifies=False)
    sign_in(page, "/account/")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("was not added")
    assert not Authenticator.objects.exists()


def test_somebody_who_was_let_go_has_no_use_of_a_passkey(page: Page, person: User) -> None:
    give_authenticator(page)
    sign_in(page, "/account/")
    add_passkey(page)
    sign_out(page)
    User.objects.update(is_active=False)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("status")).to_contain_text("This passkey does not work here")


def test_an_answer_cannot_be_sent_twice(page: Page, person: User) -> None:
    give_authenticator(page)
    sign_in(page, "/account/")
    add_passkey(page)
    sign_out(page)
    answers: list[str] = []
    page.on("request", lambda sent: answers.append(sent.post_data or "") if sent.url.endswith("/passkey/") else None)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    sign_out(page)
    token = page.locator("input[name=csrfmiddlewaretoken]").first.input_value()
    page.request.post("/passkey/options/", headers={"X-CSRFToken": token})
    page.request.post(
        "/passkey/",
        data=answers[0],
        headers={"X-CSRFToken": token, "Content-Type": "application/x-www-form-urlencoded"},
    )
    page.goto("/account/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_at_an_address_of_digits_no_passkey_is_offered(page: Page, live_server: Any, person: User) -> None:
    page.goto(live_server.url.replace("localhost", "127.0.0.1") + "/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()


@on_both_screens
def test_a_code_signs_in_by_the_enter_key_alone(page: Page, person: User, outbox: Path) -> None:
    page.goto("/?next=/account/")
    page.get_by_label("Phone").fill("139 0000 1111")
    page.get_by_label("Phone").press("Enter")
    code = page.get_by_label("Code from the message")
    expect(code).to_be_focused()
    code.fill(json.loads(outbox.read_text())["code"])
    assert fits(page)
    code.press("Enter")
    expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible()
    assert fits(page)


def test_the_enter_key_in_the_password_signs_in_and_sends_nothing(page: Page, person: User, outbox: Path) -> None:
    page.goto("/?next=/account/")
    page.get_by_label("Phone").fill("139 0000 1111")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible()
    assert not outbox.exists()


@on_both_screens
def test_an_owner_pairs_a_phone_and_sees_that_it_has_come(page: Page, browser: Browser, point: ServicePoint) -> None:
    sign_in(page, f"/counter/{point.pk}/people/")
    page.get_by_role("textbox", name="Name", exact=True).fill("Till phone")
    page.get_by_role("button", name="Show the QR code").click()
    picture = page.get_by_role("img", name="QR code that pairs the device")
    assert picture.evaluate("image => image.naturalWidth") > 0  # the CSP let it through
    assert fits(page)
    page.get_by_text("The camera cannot read it").click()
    link = page.locator(".address").inner_text()

    new_phone = browser.new_context(viewport={"width": 360, "height": 800}, locale="en-GB").new_page()
    new_phone.goto(link)
    new_phone.get_by_role("button", name="Yes, pair this device").click()
    new_phone.wait_for_url(f"**/counter/{point.pk}/")
    new_phone.context.close()
    expect(page.get_by_role("strong").filter(has_text="Till phone")).to_be_visible()
    assert Device.objects.get(user=None).name == "Till phone"
    assert fits(page)


@on_both_screens
def test_nothing_is_too_small_to_touch_without_a_name_or_hard_to_read(page: Page, point: ServicePoint) -> None:
    for path in ("/", "/reset/"):
        page.goto(path)
        check_page(page)
    page.get_by_label("Phone").fill("139 0000 1111")
    page.get_by_role("button", name="Send a code").click()
    check_page(page)
    sign_in(page, "/account/")
    check_page(page)
    page.goto(f"/counter/{point.pk}/people/")
    check_page(page)
    page.get_by_role("textbox", name="Name", exact=True).fill("Till phone")
    page.get_by_role("button", name="Show the QR code").click()
    check_page(page)
    page.goto(page.locator(".address").inner_text())
    check_page(page)


def check_page(page: Page) -> None:
    page.wait_for_load_state()
    assert fits(page), page.url
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    small = page.evaluate(
        """[...document.querySelectorAll("a, button, summary, select, input:not([type=hidden])")].filter(element => {
            const box = element.getBoundingClientRect();
            return box.left >= 0 && box.width > 0 && (box.height < 44 || box.width < 44);
        }).map(element => element.outerHTML)"""
    )
    found = Axe().run(page).response["violations"]
    assert (small, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]) == ([], []), page.url
