"""Changing borders in a real browser: drawn, split, merged, solved, previewed, published, and all without a hand."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
import shapely
from axe_playwright_python.sync_playwright import Axe
from django.utils.timezone import now
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from network import boundaries
from network.models import Boundary, DraftShape, Level, Region, RegionDraft, User
from tests import factories
from tests.browser.conftest import DRIVER_NOISE, PATIENCE_MS, WEBGL, enter_as, launch, listen
from tests.factories import chain_ids, make_point

pytestmark = pytest.mark.django_db(transaction=True)
PHONE_SCREEN, DESK_SCREEN = (360, 800), (1440, 900)
on_both_screens = pytest.mark.parametrize("page", [PHONE_SCREEN, DESK_SCREEN], indirect=True, ids=["phone", "desk"])
Chain = dict[Level, Region]


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    launched = launch(playwright, *WEBGL)
    yield launched
    launched.close()


@pytest.fixture
def regions() -> Chain:
    """Two districts side by side on one edge, with one parcel's address in the eastern half of the first."""
    chain = factories.make_chain()
    factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY], (114.0, 22.4, 114.2, 22.65))
    factories.make_appointment(chain[Level.DISTRICT], factories.make_agent("Lin"))
    ids = chain_ids(chain)
    make_point(name="Corner Shop", region_id=ids[0], region_ids=ids, capacity=10)
    return chain


@pytest.fixture
def admin() -> User:
    return factories.make_user(name="Li", is_staff=True, is_superuser=True)


@pytest.fixture
def page(
    browser: Browser, live_server: Any, regions: Chain, admin: User, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """An administrator's page whose console stays silent, but for the answers that refuse an edit."""
    width, height = getattr(request, "param", DESK_SCREEN)
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale="en-GB", base_url=live_server.url, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    enter_as(context, admin, live_server.url)
    complaints: list[str] = []
    opened = context.new_page()
    listen(opened, complaints)
    yield opened
    context.close()
    refused = re.compile(r"Failed to load resource.*status of (409|413|422)")
    assert [words for words in complaints if DRIVER_NOISE not in words and not refused.search(words)] == []


@pytest.fixture
def draft(admin: User) -> RegionDraft:
    return RegionDraft.objects.create(name="New borders", author=admin)


def opened(page: Page, draft: RegionDraft, more: str = "") -> Locator:
    page.goto(f"/regions/drafts/{draft.pk}/{more}")
    editor = page.locator("#editor")
    expect(editor).to_have_attribute("data-state", "ready")
    expect(page.locator("#map")).to_have_attribute("data-state", "idle")
    return editor


def choose(page: Page, code: str, name: str) -> None:
    page.get_by_label("Choose a region").fill(code)
    page.get_by_label("Choose a region").press("Enter")
    expect(page.locator("#chosen-name")).to_have_text(name)
    idle(page)


def idle(page: Page) -> None:
    expect(page.locator("#map")).to_have_attribute("data-state", "idle")


def tool(page: Page, name: str) -> Locator:
    page.locator(f"button[data-tool={name}]").click()
    form = page.locator(f"#form-{name}")
    expect(form).to_be_visible()
    idle(page)
    return form


def pixel(page: Page, lon: float, lat: float) -> tuple[float, float]:
    """Where a place is on the screen. The page keeps its map to itself, so it is worked out from the view."""
    west, south, east, north = json.loads(page.locator("#map").get_attribute("data-view") or "[]")
    box = page.locator("#map canvas").bounding_box()
    assert box is not None

    def mercator(degrees: float) -> float:
        return math.log(math.tan(math.pi / 4 + math.radians(degrees) / 2))

    x = (lon - west) / (east - west) * box["width"]
    y = (mercator(north) - mercator(lat)) / (mercator(north) - mercator(south)) * box["height"]
    return box["x"] + x, box["y"] + y


def click_at(page: Page, *places: tuple[float, float]) -> None:
    for place in places:
        page.mouse.move(*pixel(page, *place), steps=3)
        page.mouse.down()
        page.mouse.up()
        page.wait_for_timeout(350)  # two quick clicks would be a double click


def settled(page: Page, version: int) -> None:
    expect(page.locator("#editor")).to_have_attribute("data-version", str(version))
    expect(page.locator("#editor")).to_have_attribute("data-state", "ready")


def shapes(draft: RegionDraft) -> dict[str, DraftShape]:
    return {shape.code: shape for shape in draft.shapes.all()}


def test_a_region_is_drawn_by_hand_and_sticks_to_its_neighbour(page: Page, draft: RegionDraft) -> None:
    opened(page, draft)
    choose(page, "440305", "南山区")
    form = tool(page, "draw")
    expect(page.locator("#map")).to_have_attribute("data-magnet", re.compile(r"\d"))
    click_at(page, (113.85, 22.45), (113.90, 22.45), (113.90, 22.50), (113.85, 22.50))
    expect(page.locator("#toolbar-words")).to_contain_text("4 corners")
    click_at(page, (113.85, 22.45))
    expect(page.locator("#toolbar-words")).to_have_text("The region is drawn. Give it a name.")
    form.get_by_label("Name").fill("蛇口")
    expect(form.get_by_label("Code", exact=True)).to_have_value("440305-1")
    form.get_by_label("Code", exact=True).fill("440305-9")
    expect(form.get_by_label("Code of the parent")).to_have_value("440305")
    form.get_by_role("button", name="Add the region").click()
    settled(page, 2)
    expect(page.locator("#changes")).to_contain_text("蛇口")
    expect(page.locator("#map")).to_have_attribute("data-shapes", "1")
    drawn = shapes(draft)["440305-9"]
    assert (drawn.name, drawn.level, drawn.parent) == ("蛇口", Level.CUSTOM, "440305")
    assert drawn.geom is not None
    assert drawn.geom.extent == pytest.approx((113.85, 22.45, 113.90, 22.50), abs=0.002)


def test_a_corner_is_dragged_and_another_is_added_and_taken_away(page: Page, draft: RegionDraft) -> None:
    opened(page, draft)
    choose(page, "440306", "宝安区")
    tool(page, "reshape")
    expect(page.locator("#map")).to_have_attribute("data-handles", "4")
    drag(page, (114.2, 22.65), (114.22, 22.62))  # a corner
    drag(page, (114.1, 22.4), (114.1, 22.38))  # the middle of the southern edge
    expect(page.locator("#map")).to_have_attribute("data-handles", "5")
    page.get_by_role("button", name="Remove the corner").click()
    expect(page.locator("#map")).to_have_attribute("data-handles", "4")
    page.locator("#tool-save").click()
    settled(page, 2)
    geom = shapes(draft)["440306"].geom
    assert geom is not None
    assert geom.num_coords == 5
    assert geom.extent == pytest.approx((114.0, 22.4, 114.22, 22.65), abs=0.003)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*pixel(page, *start))
    page.mouse.down()
    page.mouse.move(*pixel(page, *end), steps=5)
    page.mouse.up()


def test_a_region_is_split_by_a_line_and_the_part_pointed_to_keeps_the_code(page: Page, draft: RegionDraft) -> None:
    opened(page, draft)
    choose(page, "440306", "宝安区")
    form = tool(page, "split")
    click_at(page, (114.15, 22.39), (114.15, 22.67))
    page.keyboard.press("Enter")
    expect(page.locator("#toolbar-words")).to_contain_text("The cut is drawn.")
    form.get_by_label("the part that I point to on the map").check()
    click_at(page, (114.18, 22.5))
    expect(form.get_by_label("A place in it")).to_have_value(re.compile(r"114\.1[78]\d*, 22\.(49|50)\d*"))
    form.get_by_label("Name of the other part").fill("西乡")
    form.get_by_role("button", name="Split").click()
    settled(page, 2)
    parts = shapes(draft)
    assert parts.keys() == {"440306", "440306-1"}
    kept, other = parts["440306"].geom, parts["440306-1"].geom
    assert kept is not None
    assert other is not None
    assert kept.extent == pytest.approx((114.15, 22.4, 114.2, 22.65), abs=0.003)
    assert other.extent == pytest.approx((114.0, 22.4, 114.15, 22.65), abs=0.003)


@on_both_screens
def test_neighbours_are_merged_from_the_list(page: Page, draft: RegionDraft) -> None:
    opened(page, draft)
    choose(page, "440305", "南山区")
    form = tool(page, "merge")
    form.get_by_label("宝安区").check()
    form.get_by_label("Which one goes on").select_option("440306")
    form.get_by_role("button", name="Merge").click()
    settled(page, 2)
    expect(page.locator("#chosen-name")).to_have_text("宝安区")
    assert shapes(draft)["440305"].retired
    merged = shapes(draft)["440306"].geom
    assert merged is not None
    assert merged.extent == pytest.approx((113.8, 22.4, 114.2, 22.65))


SQUARE_EAST = [[114.02, 22.40], [114.2, 22.40], [114.2, 22.65], [114.02, 22.65], [114.02, 22.40]]
SQUARE = [[113.80, 22.40], [114.02, 22.40], [114.02, 22.65], [113.80, 22.65], [113.80, 22.40]]


def reshape_by_text(page: Page, code: str, name: str, ring: list[list[float]]) -> None:
    choose(page, code, name)
    form = tool(page, "reshape")
    by_text(form, ring)


def by_text(form: Locator, ring: list[list[float]]) -> None:
    form.get_by_text("Without drawing").click()
    text = form.get_by_label("GeoJSON", exact=True)
    expect(text).not_to_be_empty()  # the border as it is now, written there a moment after the click
    text.fill(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    form.get_by_role("button", name="Save the border").click()


@on_both_screens
def test_everything_goes_without_a_hand_from_the_border_to_publishing(page: Page, draft: RegionDraft) -> None:
    """By name and text: reshape into the neighbour, solve the overlap, preview, publish."""
    editor = opened(page, draft)
    reshape_by_text(page, "440305", "南山区", SQUARE)
    settled(page, 2)
    expect(editor).to_have_attribute("data-problems", re.compile("[1-9]"))
    page.locator("#next-action").click()
    problem = page.locator(".problem.overlap").first
    expect(problem).to_contain_text("must be solved")
    expect(page.locator("#map")).to_have_attribute("data-problems", re.compile("[1-9]"))
    problem.get_by_role("button", name="Move the border of 宝安区").click()
    form = page.locator("#form-reshape")
    expect(form).to_be_visible()
    by_text(form, SQUARE_EAST)
    settled(page, 3)
    expect(editor).to_have_attribute("data-problems", "0")
    expect(page.locator("#next-action")).to_have_text("Preview impact")
    page.locator("#next-action").click()
    expect(editor).to_have_attribute("data-preview", "current")
    expect(page.locator("#impact")).to_contain_text("Parcels that would lie elsewhere")
    page.locator("#next-action").click()
    page.locator("#publish").click()
    expect(page.get_by_label("Reason")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Reason").fill("The street office asked for it")
    page.locator("#publish").click()
    expect(editor).to_have_attribute("data-status", "published")
    expect(page.locator("#publish-done")).to_contain_text("Published by Li")
    draft.refresh_from_db()
    assert draft.boundary_set is not None
    assert Boundary.objects.filter(boundary_set=draft.boundary_set).count() == 2
    assert draft.edits.get(op="publish").detail["reason"] == "The street office asked for it"


def test_a_gap_is_accepted_by_name_with_a_reason_and_taken_back(page: Page, draft: RegionDraft) -> None:
    editor = opened(page, draft)
    narrow = [[113.80, 22.40], [113.98, 22.40], [113.98, 22.65], [113.80, 22.65], [113.80, 22.40]]
    reshape_by_text(page, "440305", "南山区", narrow)
    settled(page, 2)
    expect(editor).to_have_attribute("data-problems", "1")
    page.locator("#next-action").click()
    problem = page.locator(".problem.gap")
    problem.get_by_text("Accept …").click()
    problem.get_by_role("button", name="Accept", exact=True).click()
    expect(page.get_by_label("Why may it stay?")).to_have_attribute("aria-invalid", "true")  # not without a reason
    problem.get_by_label("Why may it stay?").fill("Only water")
    problem.get_by_role("button", name="Accept", exact=True).click()
    expect(editor).to_have_attribute("data-problems", "0")
    expect(problem).to_contain_text("Accepted by Li")
    expect(problem).to_contain_text("Only water")
    problem.get_by_role("button", name="Take it back").click()
    expect(editor).to_have_attribute("data-problems", "1")


def test_who_edits_an_older_version_is_told_what_happened_and_loses_nothing(
    page: Page, draft: RegionDraft, browser: Browser, live_server: Any
) -> None:
    opened(page, draft)
    choose(page, "440305", "南山区")
    form = tool(page, "describe")
    form.get_by_label("Name").fill("南山新区")
    other = browser.new_context(locale="en-GB", base_url=live_server.url)
    enter_as(other, factories.make_user(name="Wang", is_staff=True, is_superuser=True), live_server.url)
    second = other.new_page()
    opened(second, draft)
    choose(second, "440306", "宝安区")
    tool(second, "describe").get_by_label("Name").fill("宝安新区")
    second.get_by_role("button", name="Save", exact=True).click()
    settled(second, 2)
    other.close()
    form.get_by_role("button", name="Save", exact=True).click()
    complaint = page.locator("#complaint")
    expect(complaint).to_contain_text("Wang")
    expect(complaint).to_contain_text("renamed")
    complaint.get_by_role("button", name="Load the newest state").click()
    settled(page, 2)
    expect(form.get_by_label("Name")).to_have_value("南山新区")
    form.get_by_role("button", name="Save", exact=True).click()
    settled(page, 3)
    assert {shape.name for shape in shapes(draft).values()} == {"南山新区", "宝安新区"}


def test_of_two_who_publish_the_second_sees_which_border_came_first(
    page: Page, draft: RegionDraft, regions: Chain
) -> None:
    editor = opened(page, draft)
    choose(page, "440306", "宝安区")
    form = tool(page, "describe")
    form.get_by_label("Name").fill("宝安新区")
    form.get_by_role("button", name="Save", exact=True).click()
    settled(page, 2)
    publish_elsewhere("440306", (114.0, 22.4, 114.19, 22.65))
    page.reload()
    expect(editor).to_have_attribute("data-state", "ready")
    expect(page.locator("#next-words")).to_contain_text("Somebody published a newer border of 宝安新区")
    page.locator("#next-action").click()
    page.get_by_role("button", name="Keep my border over the newer one").click()
    settled(page, 3)
    expect(page.locator("#chosen-stale")).to_be_hidden()


def test_who_publishes_second_is_told_by_whose_set_and_goes_on(page: Page, draft: RegionDraft) -> None:
    editor = opened(page, draft)
    choose(page, "440306", "宝安区")
    form = tool(page, "describe")
    form.get_by_label("Name").fill("宝安新区")
    form.get_by_role("button", name="Save", exact=True).click()
    settled(page, 2)
    page.locator("#next-action").click()
    expect(editor).to_have_attribute("data-preview", "current")
    publish_elsewhere("440306", (114.0, 22.4, 114.19, 22.65))
    page.locator("#next-action").click()
    page.get_by_label("Reason").fill("A new name")
    page.locator("#publish").click()
    complaint = page.locator("#complaint")
    expect(complaint).to_contain_text("“Meanwhile” was published")
    complaint.get_by_role("button", name="Keep my border").click()
    settled(page, 3)
    expect(complaint).to_be_hidden()
    draft.refresh_from_db()
    assert draft.status == RegionDraft.Status.OPEN


def publish_elsewhere(code: str, box: tuple[float, float, float, float]) -> None:
    """Somebody else publishes a border at this moment, outside of any draft."""
    region = Region.objects.select_related("parent").get(code=code)
    parent = region.parent.code if region.parent else ""
    row = boundaries.Draft(1, code, region.name, Level(region.level).name.lower(), parent, shapely.box(*box))
    assert boundaries.publish([row], name="Meanwhile", source="test", since=now()).changed == [code]


@on_both_screens
def test_a_file_is_imported_and_what_is_refused_is_named(page: Page, draft: RegionDraft) -> None:
    opened(page, draft)
    form = tool(page, "import")
    rows = [
        ("440306", "宝安区", "district", "440300", SQUARE_EAST),
        ("bad code", "x", "district", "440300", SQUARE_EAST),
    ]
    features = [
        {
            "type": "Feature",
            "properties": {"code": code, "name": name, "level": level, "parent": parent},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for code, name, level, parent, ring in rows
    ]
    body = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    form.get_by_label("File").set_input_files(
        {"name": "new.geojson", "mimeType": "application/geo+json", "buffer": body}
    )
    form.get_by_role("button", name="Import", exact=True).click()
    result = page.locator("#import-result")
    expect(result).to_contain_text("Taken over: 1.")
    expect(result).to_contain_text("Refused: 1.")
    expect(result.get_by_role("row").nth(1)).to_contain_text("bad code")
    expect(page.locator("#map")).to_have_attribute("data-shapes", "1")
    form.locator("[data-save]").click()
    expect(result).to_contain_text("Refused: 1.")


def test_a_draft_is_begun_from_the_panel_of_a_region_and_dropped_again(page: Page) -> None:
    page.goto("/regions/440305/")
    page.get_by_role("link", name="Change its border in a draft").click()
    expect(page.get_by_label("What is it about?")).to_have_value("南山区")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url(re.compile(r"/regions/drafts/\d+/\?region=440305"))
    expect(page.locator("#chosen-name")).to_have_text("南山区")
    page.get_by_text("Rename or abandon the draft").click()
    page.get_by_role("button", name="Abandon this draft").click()
    page.get_by_role("button", name="Really abandon it").click()
    page.wait_for_url("**/regions/drafts/")
    expect(page.locator("#drafts-state")).to_have_text("No draft yet.")
    page.get_by_label("Show").select_option("abandoned")
    expect(page.locator("#drafts")).to_contain_text("南山区")


def test_two_sets_are_compared_and_an_older_one_comes_back(page: Page, draft: RegionDraft) -> None:
    publish_elsewhere("440306", (114.0, 22.4, 114.15, 22.65))
    page.goto("/regions/drafts/")
    expect(page.locator("#sets > li")).to_have_count(2)
    page.get_by_role("link", name="Compare with today: test").click()
    expect(page.locator("#comparison")).to_have_attribute("data-state", "ready")
    expect(page.locator("#differences")).to_contain_text("宝安区")
    expect(page.locator("#map")).to_have_attribute("data-drawn", re.compile("[1-9]"))
    page.goto("/regions/drafts/")
    page.get_by_role("button", name="Bring back as a draft: test").click()
    page.wait_for_url(re.compile(r"/regions/drafts/\d+/$"))
    expect(page.locator("#changes")).to_contain_text("宝安区")


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("page", [PHONE_SCREEN, DESK_SCREEN], indirect=True, ids=["phone", "desk"])
def test_nothing_serious_is_found_by_axe_and_everything_fits(
    page: Page, draft: RegionDraft, locale: str, live_server: Any
) -> None:
    if locale == "zh-CN":
        page.context.add_cookies([{"name": "django_language", "value": "zh-hans", "url": live_server.url}])
    page.goto("/regions/drafts/?region=440305")
    expect(page.locator("#sets > li")).not_to_have_count(0)
    fine(page)
    page.goto("/regions/drafts/compare/")
    expect(page.locator("#comparison")).to_have_attribute("data-state", "ready")
    fine(page)
    opened(page, draft, "?region=440305")
    fine(page)
    for name in ("reshape", "split", "merge", "snap", "describe", "retire"):
        form = tool(page, name)
        fine(page)
        form.locator("[data-cancel]").click()
    tool(page, "draw")
    fine(page)
    page.locator("#tool-cancel").click()
    tool(page, "import")
    fine(page)
    for step in ("problems", "preview", "publish"):
        page.locator(f"[data-to={step}]").click()
        fine(page)


def fine(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url
    found = Axe().run(page).response["violations"]
    serious = [
        (rule["id"], [node["target"] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == [], page.url
    small = page.evaluate(
        """[..."a button input:not([type=hidden]) select summary textarea".split(" ")]
            .flatMap(name => [...document.querySelectorAll(`main ${name}`)]).filter(element => {
                const target = element.closest("label") ?? element, box = target.getBoundingClientRect();
                return box.width && (box.height < 43.9 || box.width < 43.9);
            }).map(element => element.outerHTML.slice(0, 120))"""
    )
    assert small == [], page.url
