"""The counter's app in a real browser: scanner, camera, photo and keyboard, with a network and without one."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, Playwright, Route, ViewportSize, expect

from network.models import Device, ServicePoint, User
from pickup import codes, ledger
from pickup.models import Handover, ManualRelease, Parcel, Posting, Scan
from pickup.scans import Scanner
from tests import factories
from tests.browser import camera
from tests.browser.conftest import PATIENCE_MS, Opener, enter_as, fits, launch
from tests.factories import code_of, make_parcel, make_point, make_ready_parcel, pick_up, token_of, wrong_code_for

pytestmark = pytest.mark.django_db(transaction=True)
PHONE, DESK = ViewportSize(width=360, height=800), ViewportSize(width=1440, height=900)
on_both_screens = pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
PERSON, SOMEBODY = "+8613800135678", "+8613800139999"


@pytest.fixture(autouse=True)
def patience(settings: Any) -> Any:
    """The network counts as slow only where a test is about that: this machine may be slow, too."""
    settings.COUNTER_PATIENCE_MS = PATIENCE_MS
    return settings


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop")


@pytest.fixture
def clerk(point: ServicePoint) -> User:
    return factories.make_member(point, role="clerk", name="Li")


@pytest.fixture
def scanner(point: ServicePoint) -> Scanner:
    return factories.scanner_of(point)


@pytest.fixture
def open_counter(open_as: Opener, clerk: User, point: ServicePoint) -> Callable[..., Page]:
    def opened(**options: Any) -> Page:
        page = open_as(clerk, f"/counter/{point.pk}/", **options)
        until_ready(page)
        return page

    return opened


def until_ready(page: Page) -> None:
    """Wait for the shop's stock. Scans are taken before that, too, but answered without it."""
    expect(page.locator("body[data-ready]")).to_be_visible()
    expect(page.locator("#net")).to_have_text("Online")


def wedge(page: Page, text: str) -> None:
    """What a scanner does: it types wherever the focus happens to be, and ends with Enter."""
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def enter(page: Page, text: str) -> None:
    """The same without a key press for each of the many characters of a QR."""
    page.locator("#entry").fill(text)
    page.locator("#entry").press("Enter")


def mode(page: Page, name: str) -> None:
    page.get_by_role("group", name="What to do").get_by_role("button", name=name, exact=True).click()


def answer(page: Page, verdict: str) -> Locator:
    return page.locator(f'#verdict [data-verdict="{verdict}"]')


def until_kept(page: Page) -> None:
    """Wait until the service worker holds this page, so that it opens without a network."""
    expect(page.locator("body[data-kept]")).to_have_count(1)
    holds = "async () => Boolean(await caches.match(location.pathname))"
    for _ in range(PATIENCE_MS // 100):
        if page.evaluate(holds):
            return
        page.wait_for_timeout(100)
    raise AssertionError("the shell was not kept")


CALLS = re.compile(r"/counter/\d+/(state|scans|releases)$")


def cut(context: BrowserContext, *, off: bool = True) -> None:
    """Take the network away. A page that opens in that moment may still slip through, so its calls are cut as well."""
    if off:
        context.route(CALLS, lambda route: route.abort())
    context.set_offline(off)
    if not off:
        context.unroute(CALLS)
        for page in context.pages:
            page.evaluate("dispatchEvent(new Event('online'))")  # the first one may have come while calls were cut


def handed_over(parcels: list[Parcel]) -> int:
    return Handover.objects.filter(parcel__in=parcels, undone_by__isnull=True).count()


@on_both_screens
def test_a_delivery_comes_in_and_a_parcel_goes_out_by_code(
    open_counter: Callable[..., Page], point: ServicePoint, screen: Any
) -> None:
    parcels = [make_parcel(point) for _ in range(3)]
    page = open_counter(viewport=screen)
    mode(page, "Scan in")
    page.get_by_role("textbox", name="Shelf").fill("A-3-12")
    page.get_by_role("textbox", name="Shelf").press("Enter")
    for number, parcel in enumerate(parcels, start=1):
        wedge(page, parcel.barcode)
        expect(page.locator("#row-count")).to_contain_text(f"{number} in this row")
    expect(page.get_by_role("status")).to_contain_text("Shelf A-3-12")
    expect(page.locator("#row-count")).to_contain_text("3 parcels scanned in today")
    expect(page.get_by_role("textbox", name="Shelf")).to_have_value("A-3-12")
    assert Parcel.objects.filter(status="ready", shelf="A-3-12").count() == 3

    mode(page, "Hand over")
    wedge(page, parcels[0].barcode)
    expect(page.get_by_role("status")).to_contain_text("eight digits")
    wedge(page, code_of(Parcel.objects.get(pk=parcels[0].pk)))
    expect(page.get_by_role("status")).to_contain_text("Hand the parcel over.")
    expect(page.get_by_role("status")).to_contain_text("+20.00, today 20.00")
    expect(page.get_by_role("status")).to_contain_text("2 more parcels of this person are here")
    expect(page.locator("#earned")).to_have_text("20.00 CNY")
    assert fits(page)


def test_several_parcels_of_one_person_go_out_in_one_go_each_scanned(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    mine = [make_ready_parcel(scanner, point, phone=PERSON) for _ in range(3)]
    other = make_ready_parcel(scanner, point, phone=SOMEBODY)
    page = open_counter()
    for left, parcel in zip((2, 1, 0), mine, strict=True):
        enter(page, token_of(parcel))
        expect(answer(page, "ok")).to_contain_text(parcel.barcode)
        expect(page.locator("#after li")).to_have_count(left)
    expect(page.get_by_text(other.barcode)).to_have_count(0)
    assert handed_over(mine) == 3


def test_fast_scans_in_a_row_are_none_lost(open_counter: Callable[..., Page], point: ServicePoint) -> None:
    parcels = [make_parcel(point) for _ in range(15)]
    page = open_counter()
    mode(page, "Scan in")
    for parcel in parcels:
        wedge(page, parcel.barcode)  # the next one comes while the network is still asked
    expect(page.locator("#row-count")).to_contain_text("15 in this row")
    assert Parcel.objects.filter(status="ready").count() == 15
    assert Scan.objects.filter(kind="arrival").count() == 15


def test_what_a_scanner_types_arrives_wherever_the_focus_is(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    first, second, third = (make_ready_parcel(scanner, point) for _ in range(3))
    page = open_counter()
    page.locator("#figures").click()
    expect(page.locator("#entry")).to_be_focused()
    wedge(page, first.barcode)
    expect(page.locator(f'[data-chosen="{first.barcode}"]')).to_be_visible()
    page.get_by_role("link", name="Shelf").focus()
    wedge(page, second.barcode)
    expect(page.locator(f'[data-chosen="{second.barcode}"]')).to_be_visible()
    page.locator("#state").click()
    expect(page.get_by_role("heading", name="More", exact=True)).to_be_focused()
    wedge(page, third.barcode)
    expect(page.locator(f'[data-chosen="{third.barcode}"]')).to_be_visible()


BURST = """(text) => {
    const field = document.getElementById("shelf");
    field.focus();
    for (const key of text) {
        field.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        field.value += key;
    }
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
}"""


def test_a_scanner_that_types_into_the_shelf_is_told_from_a_person(
    open_counter: Callable[..., Page], point: ServicePoint
) -> None:
    parcel = make_parcel(point)
    page = open_counter()
    mode(page, "Scan in")
    page.get_by_role("textbox", name="Shelf").fill("B-2")
    page.evaluate(BURST, parcel.barcode)
    expect(answer(page, "ok")).to_contain_text("Shelf B-2")
    expect(page.get_by_role("textbox", name="Shelf")).to_have_value("B-2")
    expect(page.locator("#entry")).to_be_focused()


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        ("expected", "not_arrived", "If it is here, scan it in first."),
        ("cancelled", "cancelled", "Keep it for the driver."),
    ],
)
def test_a_label_that_cannot_go_out_says_why(
    open_counter: Callable[..., Page], point: ServicePoint, status: str, verdict: str, words: str
) -> None:
    parcel = make_parcel(point)
    if status != "expected":
        Parcel.objects.filter(pk=parcel.pk).update(status=status)
    page = open_counter()
    wedge(page, parcel.barcode)
    expect(answer(page, verdict)).to_contain_text(words)


def test_a_parcel_of_another_shop_is_told_by_its_name_only(open_counter: Callable[..., Page]) -> None:
    other = make_point(name="Far Away Books")
    parcel = make_ready_parcel(factories.scanner_of(other), other, phone="+8613800134321")
    page = open_counter()
    wedge(page, parcel.barcode)
    expect(answer(page, "wrong_point")).to_contain_text("Far Away Books")
    expect(page.get_by_text("4321")).to_have_count(0)


def test_a_second_hand_over_tells_when_and_by_whom(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    enter(page, token_of(parcel))
    expect(answer(page, "ok")).to_be_visible()
    enter(page, token_of(parcel))
    expect(answer(page, "already_collected")).to_contain_text("by Li")
    assert ledger.earned_today_minor(point.pk) == 2000


def test_eight_digits_without_a_parcel_are_never_sent(open_counter: Callable[..., Page], point: ServicePoint) -> None:
    page = open_counter()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    for name in ("Hand over", "Scan in", "Send back", "Damaged", "Undo"):
        mode(page, name)
        wedge(page, "12345678")
        expect(page.locator("#problem")).to_contain_text("Scan the parcel's label first.")
    assert asked == []
    assert not Scan.objects.exists()


def test_what_was_wrong_is_said_at_the_field(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    wedge(page, parcel.barcode)
    expect(page.locator("[data-chosen]")).to_be_visible()
    wedge(page, "123")
    field = page.locator("#entry")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("The code has eight digits.")
    expect(field).to_be_focused()
    expect(page.locator("[data-chosen]")).to_be_visible()
    parcel.code.refresh_from_db()
    assert parcel.code.attempts == 0


def test_typed_codes_rest_after_three_wrong_ones_and_after_five_only_the_qr_works(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    wedge(page, parcel.barcode)
    expect(page.locator("[data-chosen]")).to_be_visible()
    rows = page.locator("#done-rows li")
    for number in range(1, 4):
        wedge(page, wrong_code_for(parcel))
        expect(rows).to_have_count(number)
    expect(answer(page, "wrong_code")).to_be_visible()
    wedge(page, code_of(parcel))
    expect(answer(page, "code_locked")).to_contain_text("Too many wrong codes: no typed code until")
    for number in range(5, 7):
        factories.let_rest_end(parcel)
        wedge(page, wrong_code_for(parcel))
        expect(rows).to_have_count(number)
    factories.let_rest_end(parcel)
    wedge(page, code_of(parcel))
    expect(answer(page, "code_locked")).to_contain_text("Only the QR code works now.")
    enter(page, token_of(parcel))
    expect(answer(page, "ok")).to_be_visible()


def test_send_back_and_damaged(open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint) -> None:
    early, broken = (make_ready_parcel(scanner, point) for _ in range(2))
    page = open_counter()
    mode(page, "Send back")
    wedge(page, early.barcode)
    expect(answer(page, "clerk_not_allowed")).to_contain_text("Leave it on the shelf.")
    mode(page, "Damaged")
    page.get_by_role("textbox", name="What is damaged").fill("wet")
    page.get_by_role("textbox", name="What is damaged").press("Enter")
    wedge(page, broken.barcode)
    expect(answer(page, "damaged")).to_contain_text("Keep it apart")
    assert Scan.objects.get(kind="damaged").reason == "wet"


def test_another_page_of_the_shop_leads_to_a_mode(open_counter: Callable[..., Page], point: ServicePoint) -> None:
    page = open_counter()
    page.goto(f"/counter/{point.pk}/?mode=return")
    expect(page.get_by_role("button", name="Send back")).to_have_attribute("aria-pressed", "true")


def test_a_hand_over_is_undone_with_one_tap_and_a_reason(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    enter(page, token_of(parcel))
    expect(answer(page, "ok")).to_be_visible()
    mode(page, "Undo")
    page.get_by_role("button", name=f"Undo {parcel.barcode}").click()
    page.get_by_role("button", name="Wrong person").click()
    expect(answer(page, "ok")).to_contain_text("The fee was taken back.")
    expect(page.locator("#undo-rows")).to_contain_text("Nothing was handed over")
    assert Scan.objects.get(kind="undo").reason == "Wrong person"
    assert Parcel.objects.get(pk=parcel.pk).status == "ready"
    assert ledger.earned_today_minor(point.pk) == 0


def photo_file(picture: Image.Image, size: tuple[int, int] = (1600, 1200)) -> Any:
    page = Image.new("RGB", size, (150, 140, 130))
    page.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    written = io.BytesIO()
    page.save(written, "JPEG", quality=85)
    return {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": written.getvalue()}


def test_a_release_without_proof_needs_a_photo_and_goes_to_review(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    wedge(page, parcel.barcode)
    page.get_by_role("button", name="No code?").click()
    hand_over = page.locator("#release").get_by_role("button", name="Hand over without proof")
    hand_over.click()
    expect(page.get_by_text("Take a photo first")).to_be_visible()
    page.locator("#evidence").set_input_files(photo_file(camera.qr("x"), (3000, 2000)))
    expect(page.get_by_role("img", name="The photo that is sent")).to_be_visible()
    hand_over.click()
    expect(answer(page, "ok")).to_contain_text("Released without proof.")
    expect(answer(page, "ok")).not_to_contain_text("+20.00")
    assert ManualRelease.objects.get().reason == "no_phone"
    assert not Posting.objects.exists()


CODES: list[tuple[str, Callable[[], Image.Image]]] = [
    ("PN-QR-42", lambda: camera.qr("PN-QR-42")),
    ("PN000000000042", lambda: camera.bars("PN000000000042")),
    ("6901234567892", lambda: camera.ean("690123456789")),
    ("DM00000042", camera.data_matrix),
]


@pytest.mark.parametrize(("barcode", "draw"), CODES, ids=["qr", "code 128", "ean", "data matrix"])
def test_a_photo_is_read(
    open_counter: Callable[..., Page], point: ServicePoint, barcode: str, draw: Callable[[], Image.Image]
) -> None:
    make_parcel(point, barcode=barcode)
    page = open_counter()
    mode(page, "Scan in")
    page.locator("#photo").set_input_files(photo_file(Image.new("RGB", (50, 50))))
    expect(page.locator("#problem")).to_contain_text("No code found in the photo.")
    page.locator("#photo").set_input_files(photo_file(draw()))
    expect(answer(page, "ok")).to_contain_text(barcode)


# ---- the camera


@contextmanager
def before_camera(
    playwright: Playwright, url: str, user: User, path: str, film: Path, name: str = "Hand over"
) -> Iterator[Page]:
    """The counter in a browser whose camera plays a film."""
    launched = launch(
        playwright,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )
    context = launched.new_context(viewport=PHONE, locale="en-GB", base_url=url, permissions=["camera"])
    context.set_default_timeout(PATIENCE_MS)
    enter_as(context, user, url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(path)
    until_ready(page)
    mode(page, name)
    page.get_by_role("button", name="Camera").click()
    expect(page.locator("#camera-words")).to_contain_text("Camera on")
    yield page
    launched.close()
    assert complaints == []


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    return lambda *pictures: camera.video(tmp_path / "film.mjpeg", *pictures)


def test_the_camera_reads_a_label_that_comes_in_once(
    playwright: Playwright, live_server: Any, clerk: User, point: ServicePoint, film: Callable[..., Path]
) -> None:
    parcel = make_parcel(point, barcode="PN700000000001")
    path = f"/counter/{point.pk}/"
    with before_camera(playwright, live_server.url, clerk, path, film(camera.bars(parcel.barcode)), "Scan in") as page:
        expect(answer(page, "ok")).to_contain_text(parcel.barcode)
        wedge(page, "PN-TYPED-1")  # typing goes on beside the camera
        expect(answer(page, "unknown_parcel")).to_be_visible()
        assert Scan.objects.filter(barcode=parcel.barcode).count() == 1  # it stayed in view all the time


def test_the_camera_reads_the_recipients_qr_and_tells_a_repeat(
    playwright: Playwright,
    live_server: Any,
    clerk: User,
    scanner: Scanner,
    point: ServicePoint,
    film: Callable[..., Path],
) -> None:
    parcel = make_ready_parcel(scanner, point)
    shown = [camera.qr(token_of(parcel)), *[None] * 9]  # shown, taken away for some seconds, shown again
    with before_camera(playwright, live_server.url, clerk, f"/counter/{point.pk}/", film(*shown)) as page:
        expect(page.locator("#done-rows")).to_contain_text("Done.")
        expect(answer(page, "already_collected")).to_be_visible()
    assert handed_over([parcel]) == 1


def test_the_camera_tells_the_wrong_point(
    playwright: Playwright, live_server: Any, clerk: User, point: ServicePoint, film: Callable[..., Path]
) -> None:
    other = make_point(name="Far Away Books")
    parcel = make_ready_parcel(factories.scanner_of(other), other)
    picture = camera.qr(token_of(parcel))
    with before_camera(playwright, live_server.url, clerk, f"/counter/{point.pk}/", film(picture)) as page:
        expect(answer(page, "wrong_point")).to_contain_text("Far Away Books")


def test_the_camera_reads_a_label_whose_code_is_locked(
    playwright: Playwright,
    live_server: Any,
    clerk: User,
    scanner: Scanner,
    point: ServicePoint,
    film: Callable[..., Path],
) -> None:
    parcel = make_ready_parcel(scanner, point, barcode="PN700000000002")
    for _ in range(5):
        pick_up(scanner, parcel, token="", code=wrong_code_for(parcel))
    picture = camera.bars(parcel.barcode)
    with before_camera(playwright, live_server.url, clerk, f"/counter/{point.pk}/", film(picture)) as page:
        expect(page.locator(f'[data-chosen="{parcel.barcode}"]')).to_be_visible()
        wedge(page, code_of(parcel))
        expect(answer(page, "code_locked")).to_be_visible()
    assert handed_over([parcel]) == 0


def test_a_camera_that_sees_nothing_scans_nothing(
    playwright: Playwright,
    live_server: Any,
    clerk: User,
    scanner: Scanner,
    point: ServicePoint,
    film: Callable[..., Path],
) -> None:
    parcel = make_ready_parcel(scanner, point)
    with before_camera(playwright, live_server.url, clerk, f"/counter/{point.pk}/", film(None)) as page:
        page.locator("#photo").set_input_files(photo_file(camera.qr(token_of(parcel))))
        expect(answer(page, "ok")).to_be_visible()  # the reader was there all the time
    assert Scan.objects.filter(kind="pickup").count() == 1


# ---- without a network


def test_without_network_the_page_opens_and_everything_scanned_arrives_once(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    coming = [make_parcel(point) for _ in range(25)]
    here = [make_ready_parcel(scanner, point) for _ in range(25)]
    page = open_counter()
    until_kept(page)
    cut(page.context)
    expect(page.locator("#net")).to_have_text("No network")
    mode(page, "Scan in")
    for parcel in coming:
        enter(page, parcel.barcode)
    expect(page.locator("#waiting")).to_have_text("25 scans wait")
    page.reload()
    expect(page.locator("#waiting")).to_have_text("25 scans wait")
    for number, parcel in enumerate(here, start=1):
        enter(page, token_of(parcel))
        expect(page.locator("#waiting")).to_have_text(f"{25 + number} scans wait")
    expect(answer(page, "ok")).to_contain_text("It is sent when the network is back.")
    page.goto("/counter/")
    expect(page.locator("#waiting")).to_have_text("50 scans wait")
    assert not Scan.objects.filter(kind="pickup").exists()
    cut(page.context, off=False)
    expect(page.locator("#waiting")).to_have_text("all sent")
    expect(page.locator("#net")).to_have_text("Online")
    assert Parcel.objects.filter(pk__in=[parcel.pk for parcel in coming], status="ready").count() == 25
    assert handed_over(here) == 25
    assert Scan.objects.exclude(told="").count() == 50
    assert ledger.earned_today_minor(point.pk) == 25 * 2000
    expect(page.locator("#earned")).to_have_text("500.00 CNY")


def test_another_page_of_the_shop_leads_back_to_the_scanner_without_network(open_counter: Callable[..., Page]) -> None:
    page = open_counter()
    until_kept(page)
    cut(page.context)
    page.get_by_role("link", name="Earnings").click()
    expect(page.get_by_text("That page needs the network.")).to_be_visible()
    expect(page.locator("#entry")).to_be_visible()


def test_two_devices_without_network_pay_each_parcel_once_and_both_see_the_conflicts(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcels = [make_ready_parcel(scanner, point) for _ in range(20)]
    tokens = [token_of(parcel) for parcel in parcels]
    pages = [open_counter(), open_counter()]
    for page in pages:
        cut(page.context)
        expect(page.locator("#net")).to_have_text("No network")
        for number, token in enumerate(tokens, start=1):
            enter(page, token)
            expect(page.locator("#state")).to_have_attribute("data-waiting", str(number))
    for page in pages:
        cut(page.context, off=False)
        expect(page.locator("#waiting")).to_have_text("all sent")
    assert handed_over(parcels) == 20
    assert ledger.earned_today_minor(point.pk) == 20 * 2000
    for page in pages:
        page.locator("#state").click()
        page.get_by_role("button", name="Send now").click()
        expect(page.locator("#looks-rows li")).to_have_count(20)
        expect(page.locator("#looks-rows li").first).to_contain_text("already handed over")
        expect(page.locator("#looks-rows li").first).to_contain_text("by Li")


def test_what_this_device_says_alone(open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint) -> None:
    good, renewed, late = (make_ready_parcel(scanner, point) for _ in range(3))
    gone = make_ready_parcel(scanner, point)
    pick_up(scanner, gone)
    other = make_point()
    foreign = make_ready_parcel(factories.scanner_of(other), other)
    page = open_counter()
    unknown = make_ready_parcel(scanner, point)
    Parcel.objects.filter(pk=late.pk).update(status="expired")
    page.reload()
    until_ready(page)
    newest = make_ready_parcel(scanner, point)
    cut(page.context)
    expect(page.locator("#net")).to_have_text("No network")
    del unknown
    forged = token_of(good)[:-4] + ("AAA0" if not token_of(good).endswith("AAA0") else "BBB0")
    for token, verdict in (
        (forged, "wrong_code"),
        (token_of(foreign), "wrong_point"),
        (token_of(gone), "already_collected"),
        (token_of(renewed, issue=2), "code_revoked"),
        (token_of(newest), "offline_unknown"),
        (token_of(late), "expired_but_here"),
        (token_of(good), "ok"),
        (token_of(good), "already_collected"),
    ):
        enter(page, token)
        expect(answer(page, verdict)).to_be_visible()
        expect(answer(page, verdict)).to_have_attribute("data-from", "device")
    wedge(page, renewed.barcode)
    expect(page.locator("[data-chosen]")).to_be_visible()
    wedge(page, code_of(renewed))
    expect(page.locator("#problem")).to_contain_text("Ask for the QR code.")
    expect(page.locator("#waiting")).to_have_text("2 scans wait")
    expect(page.locator("#looks")).to_have_text("1 scan needs a look")  # the one that is not known here
    cut(page.context, off=False)
    expect(page.locator("#waiting")).to_have_text("all sent")
    assert handed_over([good, late]) == 2
    assert handed_over([renewed, newest]) == 0  # nobody handed them over, so nobody is paid

    page.locator("#state").click()
    page.get_by_role("button", name="Yes, send it").click()
    expect(page.locator("#looks-rows li")).to_have_count(0)
    expect(page.locator("#waiting")).to_have_text("all sent")
    assert handed_over([newest]) == 1


def test_a_browser_without_ed25519_checks_signatures_too(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    page.add_init_script(
        """const importKey = SubtleCrypto.prototype.importKey;
        SubtleCrypto.prototype.importKey = function (format, key, algorithm, ...rest) {
            return algorithm.name === "Ed25519"
                ? Promise.reject(new DOMException("none", "NotSupportedError"))
                : importKey.call(this, format, key, algorithm, ...rest);
        };"""
    )
    until_kept(page)
    page.reload()
    until_ready(page)
    cut(page.context)
    expect(page.locator("#net")).to_have_text("No network")
    enter(page, token_of(parcel)[:-4] + "AAA0")
    expect(answer(page, "wrong_code")).to_be_visible()
    enter(page, token_of(parcel))
    expect(answer(page, "ok")).to_be_visible()


def test_a_slow_network_is_not_waited_for_and_has_its_one_effect(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint, patience: Any
) -> None:
    patience.COUNTER_PATIENCE_MS = 1500
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    held: list[Route] = []
    page.route("**/scans", lambda route: held.append(route))
    enter(page, token_of(parcel))
    expect(answer(page, "ok")).to_have_attribute("data-from", "device")
    expect(page.locator("#net")).to_have_text("Network slow")
    for route in held:
        route.continue_()
    page.unroute("**/scans")
    expect(page.locator("#waiting")).to_have_text("all sent")
    expect(page.locator("#net")).to_have_text("Online")
    assert handed_over([parcel]) == 1
    assert Scan.objects.filter(kind="pickup").count() == 1


def test_an_answer_that_got_lost_is_asked_for_again(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    lost: list[int] = []

    def lose(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch().status)
            route.abort()

    page.route("**/scans", lose)
    enter(page, token_of(parcel))
    expect(answer(page, "ok")).to_have_attribute("data-from", "device")
    expect(page.locator("#waiting")).to_have_text("all sent")
    assert lost == [200]
    assert Scan.objects.filter(kind="pickup").count() == 1
    expect(page.locator("#looks")).to_be_hidden()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_keeps_the_scan_waiting(
    open_counter: Callable[..., Page], point: ServicePoint, status: int
) -> None:
    parcel = make_parcel(point)
    page = open_counter()
    page.route("**/scans", lambda route: route.fulfill(status=status, body=""))
    mode(page, "Scan in")
    wedge(page, parcel.barcode)
    expect(page.locator("#waiting")).to_have_text("1 scan waits")
    page.unroute("**/scans")
    expect(page.locator("#waiting")).to_have_text("all sent")
    assert Parcel.objects.get(pk=parcel.pk).status == "ready"


def scan_what_the_network_cannot_read(page: Page, point: ServicePoint) -> None:
    """An arrival on a shelf whose name is too long."""
    page.evaluate("document.getElementById('shelf').removeAttribute('maxlength')")
    mode(page, "Scan in")
    page.get_by_role("textbox", name="Shelf").fill("S" * 21)
    page.get_by_role("textbox", name="Shelf").press("Enter")
    wedge(page, make_parcel(point).barcode)


def test_a_scan_that_the_network_cannot_read_is_kept_to_look_at(
    open_counter: Callable[..., Page], point: ServicePoint
) -> None:
    page = open_counter()
    scan_what_the_network_cannot_read(page, point)
    expect(page.get_by_role("status")).to_contain_text("could not take this scan")
    expect(page.locator("#looks")).to_have_text("1 scan needs a look")
    page.reload()
    expect(page.locator("#looks")).to_have_text("1 scan needs a look")
    page.locator("#state").click()
    page.get_by_role("button", name="Seen").click()
    expect(page.locator("#looks")).to_be_hidden()


def test_a_button_that_is_drawn_anew_under_a_finger_is_pressed(
    open_counter: Callable[..., Page], point: ServicePoint
) -> None:
    page = open_counter()
    scan_what_the_network_cannot_read(page, point)
    expect(page.locator("#looks")).to_have_text("1 scan needs a look")
    page.locator("#state").click()
    page.get_by_role("button", name="Seen").hover()
    page.mouse.down()
    page.evaluate("document.getElementById('who').textContent = 'not drawn anew'")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#who")).not_to_have_text("not drawn anew")
    page.mouse.up()
    expect(page.locator("#looks")).to_be_hidden()


FULL_DISK = """
const add = IDBObjectStore.prototype.put;
IDBObjectStore.prototype.put = function (...values) {
    if (["queue", "deeds"].includes(this.name)) {
        throw new DOMException("full", "QuotaExceededError");
    }
    return add.apply(this, values);
};
null;
"""


def test_a_full_disk_refuses_aloud_what_it_could_lose(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    first, second = (make_ready_parcel(scanner, point) for _ in range(2))
    page = open_counter()
    page.evaluate(FULL_DISK)
    enter(page, token_of(first))
    expect(answer(page, "ok")).to_have_attribute("data-from", "network")
    expect(page.get_by_role("alert").filter(has_text="no room left")).to_be_visible()
    cut(page.context)
    expect(page.locator("#net")).to_have_text("No network")
    enter(page, token_of(second))
    expect(page.get_by_role("status")).to_contain_text("Nothing was recorded")
    expect(page.locator("#waiting")).to_have_text("all sent")
    assert handed_over([first, second]) == 1


def test_signing_out_loses_no_scan(
    open_counter: Callable[..., Page], live_server: Any, clerk: User, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    until_kept(page)
    cut(page.context)
    expect(page.locator("#net")).to_have_text("No network")
    enter(page, token_of(parcel))
    expect(page.locator("#waiting")).to_have_text("1 scan waits")
    page.locator("#state").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_text("1 scan is not sent yet.")).to_be_visible()
    page.route("**/scans", lambda route: route.fulfill(status=503, body=""))
    cut(page.context, off=False)
    page.get_by_role("button", name="Sign out all the same").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.unroute("**/scans")
    enter_as(page.context, clerk, live_server.url)
    page.goto(f"/counter/{point.pk}/")
    expect(page.locator("#waiting")).to_have_text("all sent")
    assert handed_over([parcel]) == 1


def test_what_waits_is_sent_when_nobody_is_signed_in_any_more(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    until_kept(page)
    cut(page.context)
    expect(page.locator("#net")).to_have_text("No network")
    enter(page, token_of(parcel))
    expect(page.locator("#waiting")).to_have_text("1 scan waits")
    page.context.clear_cookies(name="sessionid")
    cut(page.context, off=False)
    page.goto(f"/counter/{point.pk}/")
    expect(page.get_by_role("alert").filter(has_text="Sign in again")).to_be_visible()
    expect(page.locator("#waiting")).to_have_text("all sent")
    assert handed_over([parcel]) == 1
    page.reload()  # with nothing left to send, the page is the sign-in page
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_clerk_who_left_sends_what_waits_and_keeps_no_names(
    open_counter: Callable[..., Page], clerk: User, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    until_kept(page)
    cut(page.context)
    expect(page.locator("#net")).to_have_text("No network")
    enter(page, token_of(parcel))
    expect(page.locator("#waiting")).to_have_text("1 scan waits")
    Device.objects.filter(user=clerk).update(revoked_at="2026-01-01T00:00Z")
    cut(page.context, off=False)
    expect(page.get_by_role("alert").filter(has_text="Sign in again")).to_be_visible()
    expect(page.locator("#waiting")).to_have_text("all sent")
    expect(page.locator("#figures")).to_contain_text("0 parcels on the shelf")
    assert Scan.objects.get(kind="pickup").verdict == "device_revoked"
    assert handed_over([parcel]) == 0


# ---- how it looks and feels


def check_page(page: Page) -> None:
    """Nothing serious by axe, nothing cut off, nothing too small to touch."""
    found = Axe().run(page).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    serious = [(one["id"], [node["html"] for node in one["nodes"]]) for one in grave]
    small = page.evaluate(
        """[...document.querySelectorAll(
            "a, button, label.button, label.choice, input:not([type=radio], [type=checkbox])"
        )].filter(element => {
            const box = element.getBoundingClientRect();
            return box.width > 1 && box.left >= 0 && (box.height < 43.9 || box.width < 43.9);
        }).map(element => element.outerHTML)"""
    )
    assert (serious, small, fits(page)) == ([], [], True)


LOOKS = {"light": {}, "dark shop": {"color_scheme": "dark"}, "bright sun": {"contrast": "more"}}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@on_both_screens
def test_every_state_of_the_page_is_accessible(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint, screen: Any, look: Any
) -> None:
    parcel, other = (make_ready_parcel(scanner, point, phone=PERSON) for _ in range(2))
    page = open_counter(viewport=screen, reduced_motion="reduce", **look)
    check_page(page)
    wedge(page, parcel.barcode)
    expect(page.locator("[data-chosen]")).to_be_visible()
    check_page(page)
    page.get_by_role("button", name="No code?").click()
    check_page(page)
    page.get_by_role("button", name="Back", exact=True).click()
    enter(page, token_of(parcel))
    expect(answer(page, "ok")).to_be_visible()
    check_page(page)
    mode(page, "Undo")
    page.get_by_role("button", name=f"Undo {parcel.barcode}").click()
    check_page(page)
    page.get_by_role("button", name="Back", exact=True).click()
    mode(page, "Scan in")
    wedge(page, other.barcode)
    expect(answer(page, "duplicate")).to_be_visible()
    check_page(page)
    mode(page, "Hand over")
    wedge(page, "NOBODY-KNOWS-1")
    expect(answer(page, "not_found")).to_be_visible()
    check_page(page)
    cut(page.context)
    expect(page.locator("#net")).to_have_text("No network")
    wedge(page, "NOBODY-KNOWS-2")
    expect(answer(page, "offline_unknown")).to_be_visible()
    check_page(page)
    page.locator("#state").click()
    check_page(page)


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
def test_twice_as_large_a_text_fits(
    open_as: Opener, clerk: User, scanner: Scanner, point: ServicePoint, language: str
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_as(clerk, f"/counter/{point.pk}/", locale=language)
    expect(page.locator("body[data-ready]")).to_be_visible()
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert fits(page)
    enter(page, token_of(parcel))
    expect(answer(page, "ok")).to_be_visible()
    assert fits(page)
    page.locator("#state").click()
    assert fits(page)


def test_the_keyboard_alone_is_enough(open_counter: Callable[..., Page], point: ServicePoint) -> None:
    page = open_counter(viewport=DESK)
    reached: list[str] = []
    page.locator("body").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    for name in ("Scan in", "Undo", "entry", "camera-switch", "photo", "state", "Enter"):
        assert name in reached
    page.locator("#state").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="More", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#entry")).to_be_focused()


def test_the_verdict_is_said_in_chinese_and_the_language_is_switched(
    open_as: Opener, clerk: User, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_as(clerk, f"/counter/{point.pk}/", locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    enter(page, token_of(parcel))
    expect(page.get_by_role("status")).to_contain_text("请把包裹交给收件人。")
    page.locator("#state").click()
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_verdict_sounds_shakes_and_speaks_as_it_is_switched_on(
    open_counter: Callable[..., Page], scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = open_counter()
    page.evaluate(
        """window.heard = {tones: 0, shakes: [], said: []};
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (...at) { heard.tones += 1; return start.apply(this, at); };
        navigator.vibrate = (pattern) => heard.shakes.push(pattern);
        speechSynthesis.speak = (utterance) => heard.said.push([utterance.lang, utterance.text]);
        null;"""
    )
    enter(page, token_of(parcel))
    expect(answer(page, "ok")).to_be_visible()
    assert page.evaluate("heard.said") == []
    page.locator("#state").click()
    page.get_by_label("Read verdicts aloud").check()
    page.get_by_role("button", name="Back to scanning").click()
    enter(page, token_of(parcel))
    expect(answer(page, "already_collected")).to_be_visible()
    heard = page.evaluate("heard")
    assert heard["shakes"] == [[60], [200, 80, 200]]
    assert heard["said"][0][0] == "en"
    assert "already handed over" in heard["said"][0][1]


def test_a_stranger_is_asked_to_sign_in(open_as: Opener, point: ServicePoint) -> None:
    page = open_as(factories.make_user(), f"/counter/{point.pk}/")
    expect(page.locator("#entry")).to_have_count(0)
    page.context.clear_cookies()
    page.goto(f"/counter/{point.pk}/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_nothing_is_said_in_the_console(page: Page, live_server: Any, clerk: User, point: ServicePoint) -> None:
    enter_as(page.context, clerk, live_server.url)
    page.goto(f"/counter/{point.pk}/")
    until_ready(page)
    until_kept(page)
    page.reload()
    until_ready(page)
    assert codes.PREFIX not in page.content()
    assert Client().get(f"/counter/{point.pk}/state").status_code == 401
