"""The review queue in a real browser: the pin dragged by hand, all by keys alone, both screens, both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils.timezone import now
from playwright.sync_api import Browser, Page, Playwright, expect

from network.models import Level, Region
from pickup import orders
from pickup.models import Order, ReviewDecision
from tests import factories
from tests.browser.conftest import DRIVER_NOISE, WEBGL, enter_as, fits, launch
from tests.factories import chain_ids, make_draft, make_merchant, make_point

pytestmark = pytest.mark.django_db(transaction=True)
PHONE_SCREEN, DESK_SCREEN = (360, 800), (1440, 900)
on_both_screens = pytest.mark.parametrize("page", [PHONE_SCREEN, DESK_SCREEN], indirect=True, ids=["phone", "desk"])
# Once the page answers 400 in words, the console says so too.
REFUSED = "status of 400"


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    launched = launch(playwright, *WEBGL)
    yield launched
    launched.close()


@pytest.fixture
def queue() -> list[Order]:
    """Three orders whose words name 南山区 and whose coordinates lie in 宝安区."""
    chain: dict[Level, Region] = factories.make_chain()
    factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY], (113.7, 22.66, 114.0, 22.85))
    ids = chain_ids(chain)
    make_point(ref="P1", name="Corner Shop", region_id=ids[0], region_ids=ids)
    make_point(ref="P2", name="Far Shop", lat=22.75, lon=113.85, reach_m=500)
    merchant, _ = make_merchant(name="Shop A")
    for number in range(1, 4):
        draft = make_draft(
            reference=f"D{number}", address=f"广东省深圳市南山区科苑路{number}号3栋1502室", lat=22.7501, lon=113.9001
        )
        orders.place(merchant=merchant, draft=draft, now=now())
    orders.locate_waiting(now=now(), limit=10)
    found = list(Order.objects.order_by("id"))
    assert [order.review_reason for order in found] == ["text_location_differ"] * 3
    return found


@pytest.fixture
def page(browser: Browser, live_server: Any, queue: list[Order], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A reviewer's page whose console stays silent: an error there is something that the CSP refused."""
    user = factories.make_user(name="Li", is_staff=True, is_superuser=True)
    width, height = getattr(request, "param", DESK_SCREEN)
    language = "zh-CN" if "chinese" in request.node.name else "en-GB"
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale=language, base_url=live_server.url, reduced_motion="reduce"
    )
    enter_as(context, user, live_server.url)
    complaints: list[str] = []
    opened = context.new_page()
    opened.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert [words for words in complaints if DRIVER_NOISE not in words and REFUSED not in words] == []


def opened(page: Page, order: Order) -> None:
    page.goto(f"/regions/review/{order.pk}/")
    settled(page)


def settled(page: Page) -> None:
    expect(page.locator("#map")).to_have_attribute("data-state", "idle")
    expect(page.locator("#review")).to_have_attribute("data-state", "idle")


def place_of(page: Page) -> tuple[float, float]:
    return float(page.locator("#id_lat").input_value()), float(page.locator("#id_lon").input_value())


@on_both_screens
def test_the_pin_is_dragged_the_place_confirmed_and_the_next_order_opens(page: Page, queue: list[Order]) -> None:
    opened(page, queue[0])
    expect(page.locator("#told")).to_contain_text("宝安区")
    expect(page.locator("mark")).to_have_text(["广东省", "深圳市", "南山区"])
    page.locator("#candidates button").last.click()  # in the middle of 南山区: the map goes there
    expect(page.locator("#told")).to_contain_text("南山区")
    settled(page)
    before = place_of(page)
    pin = page.locator(".pin")
    pin.scroll_into_view_if_needed()
    box = pin.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y - 20, steps=6)
    page.mouse.up()
    settled(page)
    lat, lon = place_of(page)
    assert lat > before[0]
    assert lon > before[1]
    expect(page.locator("#told")).to_contain_text("It would go to Corner Shop")
    page.get_by_role("button", name="Confirm the place").click()
    page.wait_for_url(f"**/regions/review/{queue[1].pk}/")
    expect(page.locator(".notes")).to_contain_text("D1 goes to Corner Shop")
    order = Order.objects.select_related("address").get(pk=queue[0].pk)
    assert order.status == "assigned"
    assert order.address.location is not None
    assert (round(order.address.location.y, 6), round(order.address.location.x, 6)) == (lat, lon)


def test_everything_is_done_by_keys_alone(page: Page, queue: list[Order]) -> None:
    page.goto("/regions/review/")
    page.get_by_role("link", name="Begin with the first").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/regions/review/{queue[0].pk}/")
    settled(page)
    page.keyboard.press("n")
    page.wait_for_url(f"**/regions/review/{queue[1].pk}/")
    settled(page)
    page.keyboard.press("p")
    page.wait_for_url(f"**/regions/review/{queue[0].pk}/")
    settled(page)
    last = page.locator("#candidates button").count()
    page.keyboard.press(str(last))
    expect(page.locator("#told")).to_contain_text("南山区")
    settled(page)
    before = place_of(page)
    page.keyboard.press("m")
    expect(page.locator(".pin")).to_be_focused()
    for key in ("ArrowUp", "ArrowRight", "Shift+ArrowRight"):
        page.keyboard.press(key)
    settled(page)
    lat, lon = place_of(page)
    assert before[0] < lat < before[0] + 0.05
    assert before[1] < lon < before[1] + 0.2
    page.locator("#id_lat").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("22.5401")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("113.9401")  # digits in a field are digits
    expect(page.locator("#told")).to_contain_text("Corner Shop")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(f"**/regions/review/{queue[1].pk}/")
    assert ReviewDecision.objects.get().kind == "placed"


def test_single_keys_can_be_switched_off(page: Page, queue: list[Order]) -> None:
    opened(page, queue[0])
    page.locator(".keys summary").click()
    page.get_by_label("Single keys").uncheck()
    page.locator("h1").click()
    page.keyboard.press("n")
    page.keyboard.press("1")
    page.reload()
    settled(page)
    expect(page).to_have_url(re.compile(f"/regions/review/{queue[0].pk}/$"))
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile(f"/regions/review/{queue[0].pk}/$"))


def test_a_click_on_the_map_sets_the_pin_and_outside_is_said(page: Page, queue: list[Order]) -> None:
    opened(page, queue[0])
    page.locator("#id_lat").fill("10")
    expect(page.locator("#told")).to_have_text("This place lies in no region.")
    page.get_by_role("button", name="Confirm the place").click()
    expect(page.get_by_role("alert")).to_have_text("This place lies in no region.")
    expect(page.locator("#told")).to_have_text("This place lies in no region.")
    settled(page)
    page.locator("#candidates button").first.click()
    settled(page)
    before = place_of(page)
    box = page.locator("#map canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2 + 90, box["y"] + box["height"] / 2 + 40)
    settled(page)
    assert place_of(page) != before


def test_both_numbers_are_pasted_at_once(page: Page, queue: list[Order]) -> None:
    opened(page, queue[0])
    page.locator("#id_lat").evaluate(
        """field => { const data = new DataTransfer(); data.setData("text", "22.5401, 113.9401");
           const all = {clipboardData: data, bubbles: true, cancelable: true};
           field.dispatchEvent(new ClipboardEvent("paste", all)); }"""
    )
    expect(page.locator("#told")).to_contain_text("Corner Shop")
    assert place_of(page) == (22.5401, 113.9401)


def test_who_comes_second_reads_what_was_decided(page: Page, queue: list[Order], live_server: Any) -> None:
    opened(page, queue[0])
    orders.cancel(order=queue[0])
    page.get_by_role("button", name="Confirm the place").click()
    expect(page.locator("#decided")).to_contain_text("The merchant cancelled it.")
    page.get_by_role("link", name="Next order").click()
    page.wait_for_url(f"**/regions/review/{queue[1].pk}/")


def test_the_page_works_without_scripts(browser: Browser, live_server: Any, page: Page, queue: list[Order]) -> None:
    context = browser.new_context(
        java_script_enabled=False, locale="en-GB", base_url=live_server.url, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    plain.goto(f"/regions/review/{queue[0].pk}/")
    expect(plain.get_by_text("The map needs a script.")).to_be_visible()
    plain.get_by_label("Latitude").fill("22.5401")
    plain.get_by_label("Longitude").fill("113.9401")
    plain.get_by_role("button", name="Confirm the place").click()
    expect(plain.locator(".notes")).to_contain_text("D1 goes to Corner Shop")
    context.close()


@on_both_screens
@pytest.mark.parametrize("language", ["english", "chinese"])
def test_nothing_serious_is_found_by_axe_and_everything_fits(page: Page, queue: list[Order], language: str) -> None:
    queue[1].review_reason, queue[1].review_detail = "no_point_available", {"candidates": [[1, 900.0, "full"]]}
    queue[1].save(update_fields=["review_reason", "review_detail"])
    for path in ("/regions/review/", *(f"/regions/review/{order.pk}/" for order in queue[:2])):
        page.goto(path)
        if not path.endswith("review/"):
            settled(page)
            for summary in page.locator("#review summary").all():
                summary.click()
        assert fits(page), path
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
