"""From a pin on the map to a service point, and a point changed after its preview: on a phone and on a desk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect

from network.models import Closing, Level, PointApplication, Region, ServicePoint, User
from pickup.models import Parcel
from tests import factories
from tests.browser.conftest import DRIVER_NOISE, LOUD, PATIENCE_MS, WEBGL, enter_as, fits, launch
from tests.factories import chain_ids, make_parcel, make_point

pytestmark = pytest.mark.django_db(transaction=True)
PHONE_SCREEN, DESK_SCREEN = (360, 800), (1440, 900)
SCREENS = pytest.mark.parametrize("screen", [PHONE_SCREEN, DESK_SCREEN], ids=["phone", "desk"])


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    launched = launch(playwright, *WEBGL)
    yield launched
    launched.close()


@pytest.fixture
def regions() -> dict[Level, Region]:
    return factories.make_chain()


@pytest.fixture
def opened(browser: Browser, live_server: Any) -> Iterator[Any]:
    """Pages of people who are signed in, whose consoles stay silent."""
    contexts, complaints = [], []

    def as_(user: User, screen: tuple[int, int] = DESK_SCREEN, **options: Any) -> Page:
        context = browser.new_context(
            **(
                {
                    "viewport": {"width": screen[0], "height": screen[1]},
                    "locale": "en-GB",
                    "base_url": live_server.url,
                    "reduced_motion": "reduce",
                }
                | options
            )
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        enter_as(context, user, live_server.url)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in LOUD else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield as_
    for context in contexts:
        context.close()
    assert [words for words in complaints if DRIVER_NOISE not in words and "400 (Bad" not in words] == []


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    written = io.BytesIO()
    Image.new("RGB", (2400, 1600), "teal").save(written, "JPEG")
    path = tmp_path / "shop.jpg"
    path.write_bytes(written.getvalue())
    return path


def settled(page: Page) -> None:
    expect(page.locator("#place-map")).to_have_attribute("data-state", "idle")


def place_of(page: Page) -> tuple[float, float]:
    lat, lon = (page.locator(f"#id_{name}").input_value() for name in ("lat", "lon"))
    return float(lat), float(lon)


def drag_pin(page: Page, dx: float, dy: float) -> None:
    page.locator("#place-map").scroll_into_view_if_needed()
    box = page.locator(".place-pin").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y + dy / 2, steps=4)
    page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()


def healthy(page: Page) -> None:
    assert fits(page)
    serious = [
        (rule["id"], [node["target"] for node in rule["nodes"]])
        for rule in Axe().run(page).response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []
    small = page.evaluate(
        """[..."a button input:not([type=hidden]) select summary".split(" ")]
            .flatMap(name => [...document.querySelectorAll(`main ${name}`)]).filter(element => {
                const target = element.closest("label") ?? element, box = target.getBoundingClientRect();
                return box.width && (box.height < 43.9 || box.width < 43.9);
            }).map(element => element.outerHTML.slice(0, 120))"""
    )
    assert small == []


@SCREENS
def test_a_shop_applies_and_is_approved(
    opened: Any, regions: dict[Level, Region], photo: Path, screen: tuple[int, int]
) -> None:
    applicant = factories.make_user(name="Wang")
    page = opened(applicant, screen)
    page.goto("/apply/")
    settled(page)
    page.get_by_label("Name of the shop").fill("Corner Shop")
    page.get_by_label("Address", exact=True).fill("广东省深圳市南山区科苑路1号")
    page.get_by_label("latitude").fill("22.54")
    page.get_by_label("longitude").fill("113.94")
    page.get_by_label("longitude").blur()
    settled(page)
    drag_pin(page, 40, 25)
    lat, lon = place_of(page)
    assert lat < 22.54
    assert lon > 113.94
    expect(page.locator("#place-status")).to_contain_text("The pin is at")
    page.get_by_label("Photo of the shop from the street").set_input_files(photo)
    healthy(page)
    page.get_by_role("button", name="Send the application").click()
    expect(page.get_by_text("Sent. You get a message")).to_be_visible()
    made = PointApplication.objects.defer("photo").get()
    assert (round(made.location.y, 6), round(made.location.x, 6)) == (lat, lon)

    staff = opened(factories.make_user(is_staff=True, is_superuser=True, name="Li"), screen)
    staff.goto("/regions/points/")
    healthy(staff)
    staff.get_by_role("link", name="Corner Shop").click()
    settled(staff)
    expect(staff.locator("main")).to_contain_text("科技园")
    assert staff.locator("img.sent-photo").evaluate("image => image.naturalWidth") == 1280
    healthy(staff)
    staff.get_by_role("button", name="Approve").click()
    expect(staff.get_by_text("is a service point now")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="Open the counter")).to_be_visible()
    page.get_by_role("link", name="Open the counter").click()
    expect(page).to_have_url(f"{page.url.split('/counter')[0]}/counter/{ServicePoint.objects.get().pk}/")


def test_the_pin_is_moved_by_keys_and_by_the_browsers_own_location(opened: Any, regions: dict[Level, Region]) -> None:
    user = factories.make_user()
    page = opened(user, geolocation={"latitude": 22.55, "longitude": 113.95}, permissions=["geolocation"])
    page.goto("/apply/")
    settled(page)
    assert page.locator("#id_lat").input_value() == ""  # it stands in the middle and says nothing yet
    page.get_by_role("button", name="Use my location").click()
    expect(page.locator("#id_lat")).to_have_value("22.550000")
    settled(page)
    pin = page.get_by_role("button", name="The place of the shop")
    pin.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    lat, lon = place_of(page)
    assert lat > 22.55
    assert lon > 113.95


def test_a_shop_applies_without_scripts_and_is_told_what_is_wrong(
    opened: Any, regions: dict[Level, Region], photo: Path
) -> None:
    page = opened(factories.make_user(), java_script_enabled=False)
    page.goto("/apply/")
    expect(page.get_by_text("The map needs a script.")).to_be_visible()
    page.get_by_label("Name of the shop").fill("Corner Shop")
    page.get_by_label("Address", exact=True).fill("广东省深圳市南山区科苑路1号")
    page.get_by_label("latitude").fill("nowhere")
    page.get_by_label("longitude").fill("113.94")
    page.get_by_label("Photo of the shop from the street").set_input_files(photo)
    page.get_by_role("button", name="Send the application").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing is sent yet")
    expect(page.get_by_text("Enter a number.")).to_be_visible()
    page.get_by_label("latitude").fill("22.54")
    page.get_by_label("Photo of the shop from the street").set_input_files(photo)
    page.get_by_role("button", name="Send the application").click()
    expect(page.get_by_text("Sent. You get a message")).to_be_visible()


@SCREENS
def test_a_point_is_changed_after_its_preview_and_then_closed(
    opened: Any, regions: dict[Level, Region], screen: tuple[int, int]
) -> None:
    ids = chain_ids(regions)
    point = make_point(22.54, 113.94, name="Corner Shop", region_id=ids[0], region_ids=ids, capacity=10)
    make_point(22.55, 113.94, name="Next Shop", region_id=ids[0], region_ids=ids)
    for _ in range(3):
        make_parcel(point, region_ids=ids)
    page = opened(factories.make_user(is_staff=True, is_superuser=True), screen)
    page.goto(f"/regions/points/{point.pk}/")
    settled(page)
    page.get_by_label("Capacity, parcels").fill("1")
    page.get_by_role("button", name="Show what it does").first.click()
    preview = page.locator("#preview")
    expect(preview).to_contain_text("2 orders on their way would lose this point.")
    expect(preview).to_contain_text("Next Shop")
    settled(page)
    healthy(page)
    assert ServicePoint.objects.get(pk=point.pk).capacity == 10
    page.get_by_label("Why (it stands in the history)").first.fill("the shelf broke")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("2 orders on their way go elsewhere.")).to_be_visible()
    assert Parcel.objects.filter(service_point=point).count() == 1

    page.get_by_label("No new parcels from").fill(page.locator("#close-first").get_attribute("min") or "")
    page.get_by_label("Hands over until").fill(page.locator("#close-last").get_attribute("min") or "")
    page.locator("#close-reason").fill("the lease ends")
    page.locator("#close-reason").press("Enter")
    expect(page.locator("#effect")).to_contain_text("1 parcel on its way goes elsewhere.")
    assert not Closing.objects.exists()
    page.get_by_role("button", name="Plan the closing").click()
    expect(page.get_by_role("heading", name="Closing: begun")).to_be_visible()
    assert not Parcel.objects.filter(service_point=point).exists()
    settled(page)
    healthy(page)


@SCREENS
def test_an_owner_writes_a_notice_and_asks_for_closing(
    opened: Any, regions: dict[Level, Region], screen: tuple[int, int]
) -> None:
    point = make_point(name="Corner Shop")
    page = opened(factories.make_member(point), screen, locale="zh-CN")
    page.goto(f"/counter/{point.pk}/shop/")
    page.get_by_text("编辑公告").click()
    page.get_by_label("中文").fill("请走东门")
    page.locator("#last_day").fill(page.locator("#last_day").get_attribute("min") or "")
    healthy(page)
    page.locator("button[value=notice]").click()
    expect(page.get_by_text("请走东门")).to_be_visible()
    page.get_by_text("申请关店").click()
    page.locator("#close-first").fill(page.locator("#close-first").get_attribute("min") or "")
    page.locator("#close-last").fill(page.locator("#close-last").get_attribute("min") or "")
    page.locator("#close-reason").fill("租约到期")
    page.locator("button[value=ask-closing]").click()
    expect(page.get_by_text("已申请")).to_be_visible()
    healthy(page)
