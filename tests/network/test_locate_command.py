"""`locate`: one JSON object for each address, in the order of the file, and nothing kept."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from network.models import Address, Level, Region
from tests import factories

pytestmark = pytest.mark.django_db

KEYS = ["ref", "region_code", "district", "city", "province", "source", "accuracy_m", "review"]


@pytest.fixture(autouse=True)
def _tree(chain: dict[Level, Region]) -> None:
    """Shenzhen, and beside it a municipality whose district lies right under it."""
    chongqing = factories.make_region("500000", "重庆市", Level.PROVINCE, None, (105, 28, 110, 32))
    factories.make_region("500103", "渝中区", Level.DISTRICT, chongqing, (106.4, 29.5, 106.6, 29.6))


def locate(path: Path, content: str) -> tuple[list[dict[str, Any]], str, str]:
    path.write_text(content, encoding="utf-8")
    out, err = StringIO(), StringIO()
    try:
        call_command("locate", str(path), stdout=out, stderr=err)
        error = ""
    except CommandError as caught:
        error = str(caught)
    return [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue(), error


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "addresses.csv"


def test_coordinates_give_the_deepest_region_and_the_names_of_its_chain(file: Path) -> None:
    lines, _, error = locate(file, "ref,address,city,lat,lon\na,南山区科苑路1号,深圳市,22.4512,113.8712\n")
    assert list(lines[0]) == KEYS
    assert lines[0] == {
        "ref": "a",
        "region_code": "440305",
        "district": "南山区",
        "city": "深圳市",
        "province": "广东省",
        "source": "given",
        "accuracy_m": lines[0]["accuracy_m"],
        "review": None,
    }
    assert lines[0]["accuracy_m"] == pytest.approx(10, abs=3)
    assert not error


def test_an_address_without_coordinates_is_read_by_its_names(file: Path) -> None:
    lines, _, _ = locate(file, "ref,address\na,广东省深圳市南山区科苑路1号\n")
    assert (lines[0]["region_code"], lines[0]["source"], lines[0]["review"]) == ("440305", "gazetteer", None)


def test_a_municipality_is_its_own_city(file: Path) -> None:
    lines, _, _ = locate(file, "ref,address\na,重庆市渝中区人民路1号\n")
    assert (lines[0]["district"], lines[0]["city"], lines[0]["province"]) == ("渝中区", "重庆市", "重庆市")


def test_a_province_alone_is_no_city(file: Path) -> None:
    lines, _, _ = locate(file, "ref,address\na,广东省人民路1号\n")
    assert (lines[0]["city"], lines[0]["province"], lines[0]["review"]) == (None, "广东省", "district_not_named")


def test_doubt_is_told_by_its_reason(file: Path) -> None:
    lines, _, error = locate(
        file,
        "ref,address,lat,lon\n"
        "a,人民路1号,,\n"
        "b,人民路1号,0,0\n"
        "c,人民路1号,50.5,50.5\n"
        "d,重庆市渝中区人民路1号,22.5412,113.9412\n",
    )
    assert [line["review"] for line in lines] == [
        "no_region_named",
        "null_island",
        "outside_regions",
        "text_location_differ",
    ]
    assert lines[0]["region_code"] is None
    assert not error


def test_chinese_is_written_as_it_is(file: Path) -> None:
    file.write_text("ref,address\n店,重庆市渝中区人民路1号\n", encoding="utf-8")
    out = StringIO()
    call_command("locate", str(file), stdout=out)
    assert '"ref": "店"' in out.getvalue()


def test_a_bad_row_is_named_and_the_others_are_located(file: Path) -> None:
    lines, err, error = locate(
        file,
        "ref,address,lat,lon\n"
        "a,南山区,22.5,\n"
        "b,南山区,nan,113.9\n"
        "c,南山区,91,113.9\n"
        "d,,,\n"
        "e,南山区,22.5\n"
        "f,南山区,22.4512,113.8712\n",
    )
    assert [line["ref"] for line in lines] == ["f"]
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        ["row 2", "lat"],
        ["row 3", "lat"],
        ["row 4", "lat"],
        ["row 5", "address"],
        ["row 6", "row"],
    ]
    assert error == "5 rows were refused; the others were located"


def test_with_coordinates_the_address_may_be_empty(file: Path) -> None:
    lines, _, _ = locate(file, "ref,address,lat,lon\na,,22.4512,113.8712\n")
    assert (lines[0]["region_code"], lines[0]["review"]) == ("440305", None)


def test_more_rows_than_a_batch_keep_their_order(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("network.management.commands.locate.BATCH", 2)
    lines, _, _ = locate(file, "ref,address\n" + "".join(f"{number},重庆市渝中区\n" for number in range(5)))
    assert [line["ref"] for line in lines] == ["0", "1", "2", "3", "4"]


def test_nothing_is_kept(file: Path) -> None:
    locate(file, "ref,address\na,重庆市渝中区人民路1号\n")
    assert not Address.objects.exists()


def test_a_file_without_the_columns_is_refused(file: Path) -> None:
    _, _, error = locate(file, "id,address\n1,x\n")
    assert "no column “ref”" in error
