"""The pages of a shop in a real browser: counting with a wedge scanner, no network, printed codes read, no barrier."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as configured
from django.test import Client
from django.utils.timezone import localdate
from playwright.sync_api import Browser, Page, expect

from network.models import ServicePoint, User
from pickup.models import Parcel, Posting, StockCount
from tests import factories
from tests.factories import make_parcel, make_point, make_ready_parcel

pytestmark = pytest.mark.django_db(transaction=True)
LOUD = ("error", "warning")
PRINTER_DPI = 203  # the coarsest that label and receipt printers have
PHONE_SCREEN, DESK_SCREEN = (360, 800), (1440, 900)
on_both_screens = pytest.mark.parametrize("page", [PHONE_SCREEN, DESK_SCREEN], indirect=True, ids=["phone", "desk"])


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def page(
    browser: Browser, live_server: Any, request: pytest.FixtureRequest, owner: User, complaints: list[str]
) -> Iterator[Page]:
    """A signed-in page whose console stays silent: an error there is something broken or refused by the CSP."""
    width, height = getattr(request, "param", PHONE_SCREEN)
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", base_url=live_server.url)
    client = Client()
    client.force_login(owner)
    session = client.cookies[configured.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": configured.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if message.type in LOUD else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop", opening_hours="Mo-Fr 09:00-12:00,14:00-21:00; Sa 10:00-18:00; PH off")


@pytest.fixture
def owner(point: ServicePoint) -> User:
    return factories.make_member(point, name="Li")


@pytest.fixture
def parcels(point: ServicePoint) -> list[Parcel]:
    scanner = factories.scanner_of(point)
    made = [make_ready_parcel(scanner, point) for _ in range(3)]
    Parcel.objects.filter(pk=made[0].pk).update(shelf="A-3-12")
    factories.backdate(made[2], hold_until=datetime(2020, 1, 5, tzinfo=UTC))
    return made


def scan(page: Page, text: str) -> None:
    """What a wedge scanner does: it types wherever the focus is, and ends with Enter."""
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def open_count(page: Page, point: ServicePoint) -> None:
    page.goto(f"/counter/{point.pk}/count/")
    expect(page.get_by_label("Scan or type a label")).to_be_focused()


@on_both_screens
def test_a_shelf_is_counted_by_scanner_alone(page: Page, point: ServicePoint, parcels: list[Parcel]) -> None:
    open_count(page, point)
    scan(page, parcels[0].barcode)
    scan(page, parcels[0].barcode)
    expect(page.get_by_role("status").first).to_contain_text("scanned before")
    page.get_by_role("heading", level=1).click()  # the focus is nowhere now, and comes back by itself
    scan(page, "STRAY-1")
    expect(page.locator("[data-number]")).to_have_text("2")
    page.get_by_role("button", name="Finish and compare").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Count of")
    for name, number in (("missing", 2), ("not expected", 1), ("overdue", 0), ("here and expected", 1)):
        expect(page.locator(".numbers").get_by_role("link", name=f"{number} {name}")).to_be_visible()
    page.goto(f"/counter/{point.pk}/count/")
    expect(page.locator("[data-number]")).to_have_text("0")  # the device kept nothing that the server has


def test_a_reload_loses_nothing(page: Page, point: ServicePoint, parcels: list[Parcel]) -> None:
    open_count(page, point)
    scan(page, parcels[0].barcode)
    scan(page, parcels[1].barcode)
    page.reload()
    expect(page.locator("[data-number]")).to_have_text("2")
    expect(page.get_by_role("status").first).to_contain_text("Kept on this device")


def test_without_a_network_the_count_waits_and_is_stored_once(
    page: Page, point: ServicePoint, parcels: list[Parcel], complaints: list[str]
) -> None:
    open_count(page, point)
    scan(page, parcels[0].barcode)
    page.route("**/count/", lambda route: route.abort())
    page.get_by_role("button", name="Finish and compare").click()
    expect(page.get_by_role("alert")).to_contain_text("no network")
    assert [words for words in complaints if "ERR_FAILED" not in words] == []
    complaints.clear()
    page.unroute("**/count/")
    page.get_by_role("button", name="Finish and compare").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Count of")
    assert StockCount.objects.count() == 1


def test_what_is_scanned_after_a_lost_answer_is_another_count(
    page: Page, point: ServicePoint, parcels: list[Parcel], complaints: list[str]
) -> None:
    """The server has the first count, but the device never heard of it; nothing scanned since may be lost."""
    open_count(page, point)
    scan(page, parcels[0].barcode)

    def lose_answer(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/count/", lose_answer)
    page.get_by_role("button", name="Finish and compare").click()
    expect(page.get_by_role("alert")).to_contain_text("no network")
    complaints.clear()
    page.unroute("**/count/")
    page.get_by_label("Scan or type a label").focus()
    scan(page, parcels[1].barcode)
    page.get_by_role("button", name="Finish and compare").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Count of")
    assert sorted(taken.lines.filter(found="here").count() for taken in StockCount.objects.all()) == [1, 2]


def test_a_recipients_qr_is_neither_kept_nor_sent(page: Page, point: ServicePoint, parcels: list[Parcel]) -> None:
    open_count(page, point)
    scan(page, factories.token_of(parcels[0]))
    expect(page.get_by_role("alert")).to_contain_text("recipient's code")
    expect(page.locator("[data-number]")).to_have_text("0")
    assert "P1." not in (page.evaluate("JSON.stringify(localStorage)") or "")


def test_a_scan_by_mistake_is_taken_out(page: Page, point: ServicePoint) -> None:
    open_count(page, point)
    scan(page, "STRAY-1")
    page.get_by_text("What was scanned").click()
    page.get_by_role("button", name="Take out STRAY-1").click()
    expect(page.locator("[data-number]")).to_have_text("0")
    page.reload()
    expect(page.locator("[data-number]")).to_have_text("0")


def test_what_was_missing_is_searched_again(page: Page, point: ServicePoint, parcels: list[Parcel]) -> None:
    open_count(page, point)
    scan(page, parcels[0].barcode)
    page.get_by_role("button", name="Finish and compare").click()
    page.get_by_role("link", name="Search again").click()
    expect(page.locator("[data-number]")).to_have_text("1")
    scan(page, parcels[1].barcode)
    page.get_by_role("button", name="Finish and compare").click()
    expect(page.locator(".numbers").get_by_role("link", name="1 missing")).to_be_visible()


def test_a_shelf_is_counted_without_scripts(
    browser: Browser, live_server: Any, point: ServicePoint, owner: User, parcels: list[Parcel]
) -> None:
    context = browser.new_context(java_script_enabled=False, locale="en-GB", base_url=live_server.url)
    client = Client()
    client.force_login(owner)
    session = client.cookies[configured.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": configured.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page = context.new_page()
    page.goto(f"/counter/{point.pk}/count/")
    page.get_by_label("One barcode a line").fill(f"{parcels[0].barcode}\n{parcels[1].barcode}\n")
    page.get_by_role("button", name="Finish and compare").click()
    expect(page.locator(".numbers").get_by_role("link", name="2 here and expected")).to_be_visible()
    context.close()


@on_both_screens
def test_one_tap_pauses_and_one_resumes(page: Page, point: ServicePoint) -> None:
    page.goto(f"/counter/{point.pk}/shop/")
    page.get_by_role("button", name="Technical fault").click()
    expect(page.get_by_role("heading", name="Paused: Technical fault")).to_be_visible()
    page.get_by_role("button", name="Resume now").click()
    expect(page.get_by_text("Open for new parcels")).to_be_visible()


def test_the_hours_are_filled_in_and_shown_before_they_are_saved(page: Page, point: ServicePoint) -> None:
    page.goto(f"/counter/{point.pk}/shop/hours/")
    page.get_by_role("group", name="Su", exact=True).get_by_role("checkbox").uncheck()
    page.get_by_label("Su 1 from").fill("08:30")
    page.get_by_label("Su 1 until").fill("11:00")
    page.get_by_role("button", name="Show the two weeks").click()
    expect(page.get_by_role("heading", name="So the next two weeks would be")).to_be_visible()
    expect(page.get_by_text("08:30-11:00").first).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").get_by_text("Saved.")).to_be_visible()
    point.refresh_from_db()
    assert "Su 08:30-11:00" in point.opening_hours


READ = """async ([engine, picture]) => {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const { BarcodeDetector, prepareZXingModule } = BarcodeDetectionAPI;
    prepareZXingModule({ overrides: { wasmBinary: bytes(engine) } });
    const image = await createImageBitmap(new Blob([bytes(picture)], { type: "image/png" }));
    const found = await new BarcodeDetector({ formats: ["qr_code", "code_128"] }).detect(image);
    return found.map((code) => [code.format, code.rawValue]);
}"""


def vendored(name: str) -> Path:
    [found] = (configured.BASE_DIR / "pickup/static/vendor").glob(name)
    return Path(found)


@pytest.mark.parametrize("width", ["100", "58"])
@pytest.mark.parametrize("barcode", ["PN000000000012", "SF1234567890123"])
def test_a_reader_reads_both_codes_of_a_printed_label(
    page: Page, browser: Browser, live_server: Any, point: ServicePoint, width: str, barcode: str
) -> None:
    """The label in a printer's dots as a browser paints it, read by the decoder that the counter's camera uses."""
    make_ready_parcel(factories.scanner_of(point), point, barcode=barcode)
    context = browser.new_context(
        storage_state=page.context.storage_state(), device_scale_factor=PRINTER_DPI / 96, base_url=live_server.url
    )
    printer = context.new_page()
    printer.goto(f"/counter/{point.pk}/labels/?barcode={quote(barcode)}&width={width}")
    picture = printer.locator(".label").first.screenshot()
    context.close()
    reader = browser.new_page()
    reader.add_script_tag(path=vendored("barcode-detector-*/ponyfill.js"))
    engine = vendored("zxing-wasm-*/zxing_reader.wasm").read_bytes()
    found = reader.evaluate(READ, [base64.b64encode(data).decode() for data in (engine, picture)])
    reader.close()
    assert sorted(found) == [["code_128", barcode], ["qr_code", barcode]]


@on_both_screens
def test_a_printed_label_is_as_large_as_its_paper(page: Page, point: ServicePoint, parcels: list[Parcel]) -> None:
    page.emulate_media(media="print")
    for width, size in (("100", (100, 60)), ("58", (58, 56))):
        page.goto(f"/counter/{point.pk}/labels/?barcode={parcels[0].barcode}&width={width}")
        box = page.locator(".label").first.bounding_box()
        assert box is not None
        assert (round(box["width"] / 96 * 25.4), round(box["height"] / 96 * 25.4)) == size
        parts = page.locator(".label, .label-words").all()
        assert not any(part.evaluate("e => e.scrollHeight > e.clientHeight + 1") for part in parts)
        expect(page.locator(".shop-head")).to_be_hidden()


@on_both_screens
def test_every_page_fits_names_its_parts_and_is_large_enough_to_touch(
    page: Page, point: ServicePoint, parcels: list[Parcel]
) -> None:
    make_parcel(point)
    factories.pick_up(factories.scanner_of(point), parcels[1])
    open_count(page, point)
    scan(page, "STRAY-1")
    page.get_by_role("button", name="Finish and compare").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Count of")
    shop = f"/counter/{point.pk}"
    lost = page.get_by_role("link", name="Report as lost").first.get_attribute("href") or ""
    result = page.url
    posting = Posting.objects.get(kind="point_fee")
    day, fee = f"{shop}/earnings/day/{localdate(posting.recorded_at)}/", f"{shop}/earnings/{posting.pk}/"
    paths = [
        "shelf/",
        "shelf/?show=expected",
        "shelf/?q=8000",
        "count/",
        "earnings/",
        "shop/",
        "shop/hours/",
        "labels/",
    ]
    paths += ["labels/?all=shelf", "labels/?list=1", "people/"]
    for address in [*(f"{shop}/{path}" for path in paths), result, lost, day, fee]:
        page.goto(address)
        look_over(page)


def look_over(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url
    small = page.evaluate(
        """[...document.querySelectorAll("main a, main button, main summary, main input:not([type=hidden])")]
            .filter(element => element.checkVisibility()).filter(element => {
                const touched = /checkbox|radio/.test(element.type) ? element.labels[0] : element;
                const box = touched.getBoundingClientRect();
                return box.left >= 0 && (box.height < 43.5 || box.width < 43.5);
            }).map(element => element.outerHTML)"""
    )
    assert small == [], page.url
    for light in ("dark", "light"):  # a shop at night, and one in the sun
        page.emulate_media(color_scheme=light)
        serious = [
            (finding["id"], [node["html"] for node in finding["nodes"]][:3])
            for finding in Axe().run(page).response["violations"]
            if finding["impact"] in ("serious", "critical")
        ]
        assert serious == [], (page.url, light)


def test_text_twice_as_large_still_fits(page: Page, point: ServicePoint, parcels: list[Parcel]) -> None:
    for path in ("shelf/", "count/", "earnings/", "shop/", "shop/hours/"):
        page.goto(f"/counter/{point.pk}/{path}")
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_a_stranger_sees_no_page_of_the_shop(
    browser: Browser, live_server: Any, point: ServicePoint, parcels: list[Parcel]
) -> None:
    context = browser.new_context(locale="en-GB", base_url=live_server.url)
    page = context.new_page()
    for path in ("shelf/", "count/", "earnings/", "shop/", "labels/?all=shelf"):
        page.goto(f"/counter/{point.pk}/{path}")
        expect(page.get_by_text(parcels[0].barcode)).to_have_count(0)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()
