"""Labels: both codes say the barcode and nothing else, they fit the paper, and no full name stands on them."""

from __future__ import annotations

import base64
import itertools
import re
from typing import Any
from urllib.parse import unquote

import pytest
import segno
from barcode.charsets import code128 as tables
from django.test import Client
from hypothesis import example, given, settings
from hypothesis import strategies as st

from network.models import ServicePoint, User
from pickup.models import Parcel
from pickup.views.labels import BAR_ROOM_MM, DOT_MM, QUIET_MODULES, code128, qr
from tests import factories
from tests.factories import make_parcel, make_point, make_ready_parcel
from tests.pickup.test_shop_pages import STRANGERS, stranger

BARCODES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30).map(
    lambda text: text.strip() or "A"
)
CODE_OF = {modules: number for number, modules in enumerate(tables.CODES)}
STOP = tables.STOP + "11"
START = {103: "A", 104: "B", 105: "C"}


def read_code128(modules: str) -> str:
    """Read bars as a scanner does: symbol by symbol, with the check digit, by the tables of ISO/IEC 15417."""
    assert modules.endswith(STOP)
    body = modules.removesuffix(STOP)
    values = [CODE_OF[body[place : place + 11]] for place in range(0, len(body), 11)]
    *values, check = values
    assert check == (values[0] + sum(place * value for place, value in enumerate(values))) % 103
    charset, text = START[values[0]], ""
    for value in values[1:]:
        if charset == "C" and value < 100:
            text += f"{value:02d}"
        elif (
            value in (99, 100, 101) and not (charset == "B" and value == 100) and not (charset == "A" and value == 101)
        ):
            charset = {99: "C", 100: "B", 101: "A"}[value]
        else:
            text += chr(value + 32) if charset == "B" or value < 64 else chr(value - 64)
    return text


def painted(src: str) -> str:
    """The modules that a picture really paints, as 0 and 1."""
    picture = base64.b64decode(src.partition(",")[2]).decode()
    width = re.search(r'viewBox="0 0 (\d+) 1"', picture)
    assert width is not None
    cells = ["0"] * int(width[1])
    for start, bar in re.findall(r"M(\d+) 0h(\d+)v1h-\d+z", picture):
        cells[int(start) : int(start) + int(bar)] = ["1"] * int(bar)
    return "".join(cells)


@given(BARCODES)
@example("99")
@example("9912345678")
@settings(deadline=None)
def test_the_bars_say_the_barcode_with_quiet_zones_beside_them(barcode: str) -> None:
    bars = code128(barcode, 1_000.0)
    assert bars is not None
    cells = painted(bars["src"])
    assert cells[:QUIET_MODULES] == cells[-QUIET_MODULES:] == "0" * QUIET_MODULES
    assert read_code128(cells[QUIET_MODULES:-QUIET_MODULES]) == barcode


@given(BARCODES)
@settings(deadline=None)
def test_the_qr_is_the_barcodes_own_and_no_micro_qr(barcode: str) -> None:
    made = segno.make_qr(barcode, error="m", boost_error=False)
    assert not made.is_micro
    assert qr(barcode) == made.svg_data_uri(border=4, omitsize=True)
    assert "path" in unquote(qr(barcode))


@pytest.mark.parametrize("paper", ["100", "58"])
@pytest.mark.parametrize("length", [1, 8, 14, 20, 30, 64])
def test_bars_fit_the_paper_in_whole_dots_or_are_left_out(paper: str, length: int) -> None:
    barcode = "".join(itertools.islice(itertools.cycle("aB3-"), length))
    bars = code128(barcode, BAR_ROOM_MM[paper])
    if bars is None:
        modules = len("".join(painted(code128(barcode, 1_000.0)["src"])))  # type: ignore[index]
        assert modules * 2 * DOT_MM > BAR_ROOM_MM[paper]
    else:
        assert bars["width_mm"] <= BAR_ROOM_MM[paper]
        dots = bars["width_mm"] / DOT_MM / (len(bars["modules"]) + 2 * QUIET_MODULES)
        assert dots in (2, 3, 4)


def test_our_own_barcodes_fit_both_papers() -> None:
    assert all(code128("PN000000000012", room) for room in BAR_ROOM_MM.values())


# The page


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop")


@pytest.fixture
def clerk(client: Client, point: ServicePoint) -> User:
    person = factories.make_member(point, "clerk")
    client.force_login(person)
    return person


@pytest.fixture
def parcel(point: ServicePoint) -> Parcel:
    parcel = make_ready_parcel(factories.scanner_of(point), point, phone="+8613800135678")
    Parcel.objects.filter(pk=parcel.pk).update(shelf="A-3-12")
    return parcel


def page(client: Client, point: ServicePoint, query: str, status: int = 200) -> str:
    response = client.get(f"/counter/{point.pk}/labels/{query}", headers={"accept-language": "en"})
    assert response.status_code == status
    return response.content.decode()


@pytest.mark.django_db
@pytest.mark.usefixtures("clerk")
class TestPage:
    def test_a_label_shows_place_and_masked_recipient_and_no_proof(
        self, client: Client, point: ServicePoint, parcel: Parcel
    ) -> None:
        text = page(client, point, f"?barcode={parcel.barcode}")
        for words in (
            parcel.barcode,
            "A-3-12",
            "王*",
            "…5678",
            "Corner Shop",
            qr(parcel.barcode).partition("?")[0][:40],
        ):
            assert words in text
        for secret in ("王小明", "13800135678", "科苑路", "P1.", factories.code_of(parcel)):
            assert secret not in text

    @pytest.mark.parametrize(("query", "sheet"), [("", "labels-100.css"), ("&width=58", "labels-58.css")])
    def test_the_paper_decides_the_page(
        self, client: Client, point: ServicePoint, parcel: Parcel, query: str, sheet: str
    ) -> None:
        assert sheet in page(client, point, f"?barcode={parcel.barcode}{query}")

    def test_several_labels_are_named_in_one_address(self, client: Client, point: ServicePoint, parcel: Parcel) -> None:
        other = make_parcel(point)
        text = page(client, point, f"?barcode={parcel.barcode}&barcode={other.barcode}&barcode=GONE")
        assert text.count('<article class="label"') == 2
        assert "Neither here nor expected: GONE" in text

    @pytest.mark.parametrize(("group", "labels"), [("shelf", 1), ("expected", 2)])
    def test_all_on_the_shelf_or_all_expected(
        self, client: Client, point: ServicePoint, parcel: Parcel, group: str, labels: int
    ) -> None:
        for _ in range(2):
            make_parcel(point)
        assert page(client, point, f"?all={group}").count('<article class="label"') == labels

    def test_many_labels_come_in_parts(
        self, client: Client, point: ServicePoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pickup.views.labels.AT_ONCE", 2)
        for _ in range(3):
            make_parcel(point)
        first, second = page(client, point, "?all=expected"), page(client, point, "?all=expected&page=2")
        assert first.count('<article class="label"') == 2
        assert second.count('<article class="label"') == 1
        assert "all=expected&amp;page=2" in first

    def test_labels_lie_in_the_order_of_the_shelves(self, client: Client, point: ServicePoint) -> None:
        scanner = factories.scanner_of(point)
        for shelf in ("B-1", "A-2", "A-1"):
            Parcel.objects.filter(pk=make_ready_parcel(scanner, point).pk).update(shelf=shelf)
        assert re.findall(r'<p class="label-shelf">(.*?)</p>', page(client, point, "?all=shelf")) == [
            "A-1",
            "A-2",
            "B-1",
        ]
        assert re.findall(r"<td><strong>(.*?)</strong>", page(client, point, "?list=1")) == ["A-1", "A-2", "B-1"]

    def test_a_barcode_too_long_for_bars_has_its_qr_alone(self, client: Client, point: ServicePoint) -> None:
        make_parcel(point, barcode="x" * 64)
        text = page(client, point, f"?barcode={'x' * 64}")
        assert 'class="label-qr"' in text
        assert 'class="label-bars"' not in text

    @pytest.mark.parametrize("query", ["?barcode=NONE", "?barcode=%00", "?width=7&all=shelf", "?all=everything"])
    def test_what_does_not_exist_is_not_printed(self, client: Client, point: ServicePoint, query: str) -> None:
        page(client, point, query, status=404)

    def test_the_parcel_of_another_shop_has_no_label_here(self, client: Client, point: ServicePoint) -> None:
        page(client, point, f"?barcode={make_parcel(make_point()).barcode}", status=404)

    def test_a_parcel_that_was_collected_has_none_either(
        self, client: Client, point: ServicePoint, parcel: Parcel
    ) -> None:
        factories.pick_up(factories.scanner_of(point), parcel)
        page(client, point, f"?barcode={parcel.barcode}", status=404)

    def test_a_list_shows_masked_names_only(self, client: Client, point: ServicePoint, parcel: Parcel) -> None:
        text = page(client, point, "?list=1")
        assert parcel.barcode in text
        assert "王*" in text
        assert "王小明" not in text
        assert "13800135678" not in text

    def test_the_number_of_queries_does_not_grow_with_the_labels(
        self, client: Client, point: ServicePoint, django_assert_max_num_queries: Any
    ) -> None:
        page(client, point, "?all=expected")
        for _ in range(4):
            make_parcel(point)
        for query in ("", "?all=expected", "?list=1&all=expected"):
            with django_assert_max_num_queries(8):
                page(client, point, query)


@pytest.mark.django_db
def test_whoever_is_not_signed_in_prints_nothing(client: Client, point: ServicePoint, parcel: Parcel) -> None:
    assert client.get(f"/counter/{point.pk}/labels/?barcode={parcel.barcode}").headers["Location"].startswith("/?next=")


@pytest.mark.django_db
def test_the_shops_own_phone_prints(client: Client, point: ServicePoint, parcel: Parcel) -> None:
    client.cookies["counter_device"] = factories.make_device(point)[1]
    assert parcel.barcode in page(client, point, f"?barcode={parcel.barcode}")


@pytest.mark.django_db
@pytest.mark.parametrize("who", STRANGERS)
def test_to_strangers_the_labels_do_not_exist(client: Client, point: ServicePoint, parcel: Parcel, who: str) -> None:
    client.force_login(stranger(who, point))
    page(client, point, f"?barcode={parcel.barcode}", status=404)
