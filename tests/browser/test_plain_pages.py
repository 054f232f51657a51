"""The plain pages in a real browser, under the strict CSP: signing in, choosing a shop, what a recipient sees."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from network.models import Membership, ServicePoint, User
from pickup import codes
from pickup.models import Parcel
from tests import factories
from tests.browser.conftest import fits
from tests.factories import make_point, make_ready_parcel

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"
PHONE = "+8613900001111"
PHONE_SCREEN, DESK_SCREEN = (360, 800), (1440, 900)
on_both_screens = pytest.mark.parametrize("page", [PHONE_SCREEN, DESK_SCREEN], indirect=True, ids=["phone", "desk"])


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


def test_signing_in_leads_to_the_counter_of_the_own_shop(page: Page, point: ServicePoint) -> None:
    sign_in(page)
    expect(page).to_have_url(re.compile(rf"/counter/{point.pk}/$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Corner Shop")


def test_somebody_of_several_shops_chooses_one(page: Page, point: ServicePoint) -> None:
    Membership.objects.create(user=User.objects.get(phone=PHONE), service_point=make_point(name="Second"), role="clerk")
    sign_in(page)
    check_touch(page)
    page.get_by_role("link", name="Second").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Second")


def test_the_language_is_switched_and_stays(page: Page, point: ServicePoint) -> None:
    page.goto("/")
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    page.goto("/counter/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


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
    expect(page.locator("body[data-ready]")).to_be_visible()
    check_touch(page)


def check_touch(page: Page) -> None:
    assert fits(page), page.url
    small = page.evaluate(
        """[...document.querySelectorAll("a, button, input:not([type=hidden])")].filter(element => {
            const box = element.getBoundingClientRect();
            return box.left >= 0 && box.width > 1 && (box.height < 44 || box.width < 44);
        }).map(element => element.outerHTML)"""
    )
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input:not([type=hidden])")].filter(input => !input.labels.length)
            .map(input => input.outerHTML)"""
    )
    assert (small, unnamed) == ([], []), page.url
