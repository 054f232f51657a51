"""History, personal data and exports in a real browser: on a phone and a desk, aloud, and in both languages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from network.models import ServicePoint, User
from pickup import tasks
from pickup.models import Parcel, PersonalDataRead
from tests import factories
from tests.browser.conftest import PATIENCE_MS, enter_as, fits, listen
from tests.factories import chain_ids, make_parcel, make_point
from tests.roles import as_worker

pytestmark = pytest.mark.django_db(transaction=True)
SCREENS = [(360, 800, "en-GB"), (1440, 900, "en-GB"), (360, 800, "zh-CN")]
on_all_screens = pytest.mark.parametrize("page", SCREENS, indirect=True, ids=["phone", "desk", "phone-zh"])
on_a_phone = pytest.mark.parametrize("page", SCREENS[:1], indirect=True, ids=["phone"])


@pytest.fixture
def parcel(settings: Any, tmp_path: Path) -> Parcel:
    settings.EXPORTS_DIR = tmp_path / "exports"
    chain = factories.make_chain()
    return make_parcel(make_point(name="Corner Shop", capacity=40), region_ids=chain_ids(chain), barcode="PN-1")


@pytest.fixture
def page(browser: Browser, live_server: Any, parcel: Parcel, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Signed in as an administrator; the console stays silent."""
    width, height, locale = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale=locale, base_url=live_server.url, accept_downloads=True
    )
    context.set_default_timeout(PATIENCE_MS)
    enter_as(context, User.objects.create_superuser("+8613900008888", name="Root"), live_server.url)
    complaints: list[str] = []
    opened = context.new_page()
    listen(opened, complaints)
    yield opened
    context.close()
    assert complaints == []


def change_a_shop(page: Page) -> None:
    page.goto(f"/admin/network/servicepoint/{ServicePoint.objects.get().pk}/change/")
    page.locator("#id_capacity").fill("41")
    page.locator("#id_because").fill("a second shelf")
    page.locator("input[name=_save]").click()
    page.wait_for_url("**/admin/network/servicepoint/")


@on_all_screens
def test_the_pages_fit_can_be_touched_and_read_aloud(page: Page, parcel: Parcel) -> None:
    change_a_shop(page)
    point = parcel.service_point
    assert point is not None
    addresses = [
        "/history/",
        f"/history/network.servicepoint/{point.pk}/",
        f"/parcels/{parcel.barcode}/personal/",
        "/exports/",
        "/regions/list/",
    ]
    for address in addresses:
        page.goto(address)
        assert fits(page), address
        small = page.evaluate(
            """[...document.querySelectorAll(
                    "main button, main select, main a.button, main input:not([type=hidden], [type=checkbox])")]
                .filter(element => element.getBoundingClientRect().height < 44).map(element => element.outerHTML)"""
        )
        assert small == [], address
        found = Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], address


@on_a_phone
def test_a_change_made_with_a_reason_is_found_in_the_history(page: Page, parcel: Parcel) -> None:
    change_a_shop(page)
    page.goto("/history/")
    page.get_by_label("What").select_option("network.servicepoint")
    page.get_by_role("button", name="Show").click()
    first = page.locator(".changes > li").first
    expect(first).to_contain_text("Root")
    expect(first).to_contain_text("a second shelf")
    expect(first.locator(".diff")).to_contain_text("40")
    expect(first.locator(".diff")).to_contain_text("41")
    first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Corner Shop")


@on_a_phone
def test_a_recipient_is_read_for_a_reason_and_once(page: Page, parcel: Parcel) -> None:
    page.goto(f"/parcels/{parcel.barcode}/personal/")
    expect(page.locator("main")).not_to_contain_text("王小明")
    page.get_by_label("Why do you need it?").fill("the recipient called")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("王小明")
    page.goto(f"/parcels/{parcel.barcode}/personal/")
    expect(page.locator("main")).not_to_contain_text("王小明")
    assert [row.reason for row in PersonalDataRead.objects.all()] == ["the recipient called"]


@on_a_phone
def test_a_short_list_is_downloaded_at_once(page: Page, parcel: Parcel) -> None:
    page.goto("/regions/list/?level=3")
    with page.expect_download() as download:
        page.get_by_role("button", name="Excel (XLSX)").click()
    sheet = openpyxl.load_workbook(io.BytesIO(Path(download.value.path()).read_bytes())).active
    assert sheet is not None
    assert [row[1] for row in sheet.iter_rows(values_only=True)][1:] == ["深圳市"]


@on_a_phone
def test_a_long_list_shows_how_far_it_is_and_is_downloaded_when_done(page: Page, parcel: Parcel, settings: Any) -> None:
    settings.EXPORT_AT_ONCE = 0
    page.goto("/history/")
    page.get_by_role("button", name="CSV").click()
    expect(page.get_by_role("status")).to_contain_text("Waiting")
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert [(one["id"]) for one in Axe().run(page).response["violations"]] == []
    with as_worker():
        tasks.write_exports()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert "Corner Shop" in {row[3].rsplit(" ", 1)[0] for row in csv.reader(io.StringIO(text))}
