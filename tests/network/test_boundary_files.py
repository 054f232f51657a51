"""Files of boundaries from outside: what is read, and what is refused without harm."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import shapely
from django.utils import translation
from pyogrio.raw import write
from shapely.geometry.base import BaseGeometry

from network import boundary_files
from network.boundaries import BadRow, Draft
from network.boundary_files import Unreadable

SQUARE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE]}


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


def rows_of(path: Path) -> list[Draft | BadRow]:
    with boundary_files.opened(path) as rows:
        return list(rows)


def drafts_of(path: Path) -> list[Draft]:
    rows = rows_of(path)
    assert [row for row in rows if isinstance(row, BadRow)] == []
    return [row for row in rows if isinstance(row, Draft)]


def reasons_in(path: Path) -> list[str]:
    return [str(row) for row in rows_of(path) if isinstance(row, BadRow)]


def feature(geometry: Any = POLYGON, **properties: Any) -> dict[str, Any]:
    known = {"code": "A", "name": "甲", "level": "city", "parent": "P"}
    return {"type": "Feature", "properties": known | properties, "geometry": geometry}


def collection(*features: Any, **members: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", **members, "features": list(features)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def written(path: Path, content: Any) -> Path:
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)).encode()
    path.write_bytes(content)
    return path


# GeoJSON.


def test_a_feature_becomes_a_draft(file: Path) -> None:
    [draft] = drafts_of(written(file, collection(feature())))
    assert (draft.number, draft.code, draft.name, draft.level, draft.parent) == (1, "A", "甲", "city", "P")
    assert draft.geom is not None
    assert shapely.equals(draft.geom, shapely.box(0, 0, 1, 1))


def test_many_polygons_and_holes_are_read(file: Path) -> None:
    hole = [[0.2, 0.2], [0.4, 0.2], [0.4, 0.4], [0.2, 0.2]]
    far = [[5, 5], [6, 5], [6, 6], [5, 5]]
    [draft] = drafts_of(
        written(file, collection(feature({"type": "MultiPolygon", "coordinates": [[SQUARE, hole], [far]]})))
    )
    assert draft.geom is not None
    assert draft.geom.area == pytest.approx(1 - 0.02 + 0.5)


@pytest.mark.parametrize("indent", [None, 2])
def test_layout_does_not_matter(file: Path, indent: int | None) -> None:
    text = json.dumps(collection(feature(name='“a{b[c"d\\'), feature(code="B")), indent=indent)
    assert [draft.name for draft in drafts_of(written(file, "\ufeff" + text))] == ['“a{b[c"d\\', "甲"]


def test_members_may_come_in_any_order(file: Path) -> None:
    members = f'"features": [{json.dumps(feature())}], "name": "x", "bbox": [0, 0, 1, 1], "type": "FeatureCollection"'
    text = f"{{{members}}}"
    assert len(drafts_of(written(file, text))) == 1


def test_a_file_larger_than_what_is_read_at_once_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary_files, "_CHUNK", 7)
    features = [feature(code=f"A{number}", name="x" * number) for number in range(20)]
    assert [draft.code for draft in drafts_of(written(file, collection(*features)))] == [f"A{n}" for n in range(20)]


def test_features_one_a_line_are_read(file: Path) -> None:
    lines = "\n".join(json.dumps(feature(code=code)) for code in "ABC")
    assert [draft.code for draft in drafts_of(written(file, lines))] == ["A", "B", "C"]


def test_a_broken_line_hurts_only_itself(file: Path) -> None:
    rows = rows_of(written(file, f"{json.dumps(feature())}\n{{broken\n{json.dumps(feature(code='C'))}\n"))
    assert [type(row).__name__ for row in rows] == ["Draft", "BadRow", "Draft"]


def test_a_broken_feature_hurts_only_itself(file: Path) -> None:
    text = json.dumps(collection({"type": "oops"}, feature())).replace('"oops"', "oops")
    rows = rows_of(written(file, text))
    assert str(rows[0]).startswith("row 1: not JSON")
    assert isinstance(rows[1], Draft)
    assert rows[1].number == 2


@pytest.mark.parametrize("what", [5, None, "x", [], {}, {"type": "Point"}])
def test_what_is_no_feature_keeps_its_number(file: Path, what: Any) -> None:
    rows = rows_of(written(file, collection(what, feature())))
    assert str(rows[0]) == "row 1: not a feature"
    assert rows[1].number == 2


def test_codes_may_be_numbers(file: Path) -> None:
    [draft] = drafts_of(written(file, collection(feature(code=440300, parent=440000.0))))
    assert (draft.code, draft.parent) == ("440300", "440000")


def test_missing_fields_are_empty(file: Path) -> None:
    [draft] = drafts_of(written(file, collection({"type": "Feature", "properties": None, "geometry": POLYGON})))
    assert (draft.code, draft.name, draft.level, draft.parent) == ("", "", "", "")


def test_no_geometry_is_told_apart_from_a_bad_one(file: Path) -> None:
    [draft] = drafts_of(written(file, collection(feature(None))))
    assert draft.geom is None


@pytest.mark.parametrize(
    ("name", "value"), [("name", 5), ("level", True), ("code", True), ("code", 1.5), ("parent", [1])]
)
def test_fields_that_are_not_text_are_refused(file: Path, name: str, value: Any) -> None:
    assert f"its {name} is not text" in reasons_in(written(file, collection(feature(**{name: value}))))[0]


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        ({"type": "Point", "coordinates": [1, 1]}, "a Point, not a polygon"),
        ({"type": "GeometryCollection", "geometries": [POLYGON]}, "a GeometryCollection, not a polygon"),
        ({"type": "Circle"}, "a Circle, not a polygon"),
        ({}, "a None, not a polygon"),
        ([], "a None, not a polygon"),
        ({"type": "Polygon"}, "not nested as a polygon's"),
        ({"type": "Polygon", "coordinates": {}}, "not nested as a polygon's"),
        ({"type": "MultiPolygon", "coordinates": [[SQUARE], None]}, "not nested as a polygon's"),
        ({"type": "Polygon", "coordinates": [[["a", 0], [1, 0], [1, 1], ["a", 0]]]}, "not a list of positions"),
        ({"type": "Polygon", "coordinates": [SQUARE, [[0, 0], [1]]]}, "not a list of positions"),
        ({"type": "Polygon", "coordinates": [[0, 1, 2, 3]]}, "not a list of positions"),
        ({"type": "Polygon", "coordinates": SQUARE}, "not a list of positions"),
        ({"type": "Polygon", "coordinates": [[[None, 0], [1, 0], [1, 1], [None, 0]]]}, "not a list of positions"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 0]]]}, "fewer than four positions"),
        ({"type": "Polygon", "coordinates": [SQUARE[:-1]]}, "a ring is not closed"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, float("nan")], [1, 1], [0, 0]]]}, "not a finite number"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, float("inf")], [1, 1], [0, 0]]]}, "not a finite number"),
    ],
)
def test_geometries_are_refused_as_they_stand(file: Path, geometry: Any, reason: str) -> None:
    [said] = reasons_in(written(file, collection(feature(geometry))))
    assert said.startswith("row 1, A: ")
    assert reason in said


def test_a_number_too_large_for_a_float_is_not_finite(file: Path) -> None:
    text = json.dumps(collection(feature())).replace("[1.0, 0.0]", "[1e400, 0.0]")
    assert "not a finite number" in reasons_in(written(file, text))[0]


@pytest.mark.parametrize("encoding", ["gbk", "latin-1"])
def test_a_row_in_another_encoding_is_refused(file: Path, encoding: str) -> None:
    name = "深圳" if encoding == "gbk" else "Zürich"
    assert (
        "not UTF-8"
        in reasons_in(written(file, json.dumps(collection(feature(name=name)), ensure_ascii=False).encode(encoding)))[0]
    )


def test_utf_16_is_refused(file: Path) -> None:
    with pytest.raises(Unreadable, match="UTF-16"):
        rows_of(written(file, json.dumps(collection(feature())).encode("utf-16")))


@pytest.mark.parametrize(
    "name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326", "EPSG:4490"]
)
def test_names_of_wgs_84_are_known(file: Path, name: str) -> None:
    crs = {"type": "name", "properties": {"name": name}}
    assert len(drafts_of(written(file, collection(feature(), crs=crs)))) == 1


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:EPSG::3857", "EPSG:4214", "", None, 4326])
def test_another_coordinate_system_is_refused_by_name(file: Path, name: Any) -> None:
    crs = {"type": "name", "properties": {"name": name}}
    with pytest.raises(Unreadable, match=f"are in {name}"):
        rows_of(written(file, collection(feature(), crs=crs)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "neither GeoJSON nor"),
        (b"hello", "neither GeoJSON nor"),
        (b"[1, 2]", "neither GeoJSON nor"),
        (b"<OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>/etc/passwd</SrcDataSource>", "not KML"),
        (b"{}", "not JSON"),
        (b'{"type": "Topology", "arcs": []}', "its type is Topology"),
        (b'{"type": "Polygon", "coordinates": []}', "its type is Polygon"),
        (b'{"geometryType": "esriGeometryPolygon", "features": [{"attributes": {}}]}', "its type is None"),
        (b'{"type": "FeatureCollection"}', "not a collection of features"),
        (b'{"type": "FeatureCollection", "features": {}}', "not a collection of features"),
        (b'{"type": "FeatureCollection", "features": [', "it ends in the middle"),
        (b'{"type": "FeatureCollection", "features": [{"a": "', "it ends in the middle"),
        (b'{"type": "FeatureCollection", "features": [{} {}]}', "not JSON"),
        (b'{"type": "FeatureCollection", "features": []} x', "something follows"),
        (b'{"x":' + b"[" * 100_000, "nested too deeply"),
        (b'{"x":' + b'{"x":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_geojson_is_refused(file: Path, content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        rows_of(written(file, content))


@pytest.mark.parametrize("part", ["geometry", "properties", "type"])
def test_a_feature_nested_too_deeply_is_refused(file: Path, part: str) -> None:
    text = '{"type": "FeatureCollection", "features": [{"%s": %s%s}, %s]}'
    deep = text % (part, "[" * 50_000, "]" * 50_000, json.dumps(feature()))
    assert reasons_in(written(file, deep)) == ["row 1: nested too deeply"]


def test_a_row_that_is_too_long_is_passed_over(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary_files, "MAX_ROW_BYTES", 2**20)
    monkeypatch.setattr(boundary_files, "_CHUNK", 2**16)
    long = feature({"type": "Polygon", "coordinates": [SQUARE * 50_000]})
    rows = rows_of(written(file, collection(feature(), long, feature(code="C"))))
    assert str(rows[1]) == "row 2: more than 1 MB"
    assert isinstance(rows[2], Draft)
    assert rows[2].code == "C"


def test_a_string_without_an_end_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary_files, "MAX_ROW_BYTES", 2**20)
    with pytest.raises(Unreadable, match="a string without an end"):
        rows_of(written(file, b'{"features": [{"a": "' + b"x" * 4 * 2**20))


def test_rows_without_end_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary_files, "MAX_ROWS", 10)
    with pytest.raises(Unreadable, match="more than 10 rows"):
        rows_of(written(file, collection(*[feature()] * 11)))


def test_vertices_without_end_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary_files, "MAX_ALL_VERTICES", 12)
    with pytest.raises(Unreadable, match="or 12 vertices"):
        rows_of(written(file, collection(*[feature()] * 3)))


# Any file.


def test_a_file_that_is_too_large_is_refused_at_once(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(boundary_files.MAX_BYTES + 1)
    with pytest.raises(Unreadable, match="513 MB, more than 512"):
        rows_of(file)


@pytest.mark.parametrize(
    "path", ["/nowhere/at-all", "/dev/zero", "/", "a\x00b", "/vsicurl/http://127.0.0.1/x", "PG:dbname=x"]
)
def test_what_is_no_file_is_refused(path: str) -> None:
    with pytest.raises(Unreadable, match=r"not a file|cannot be opened"):
        rows_of(Path(path))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable, match="not a file"):
        rows_of(tmp_path / "pipe")


# GeoPackage and Shapefile, written by GDAL.


def layer(
    path: Path, driver: str, geometries: list[BaseGeometry | None], crs: str | None = "EPSG:4326", **more: Any
) -> Path:
    count = len(geometries)
    columns = {
        "code": [f"A{number}" for number in range(count)],
        "name": ["深圳"] * count,
        "level": ["district"] * count,
        "parent": ["P"] * count,
    } | more.pop("columns", {})
    write(
        path,
        np.array([None if geom is None else shapely.to_wkb(geom) for geom in geometries], dtype=object),
        [np.array(values, dtype=object) for values in columns.values()],
        np.array(list(columns)),
        geometry_type=more.pop("geometry_type", "MultiPolygon"),
        crs=crs,
        driver=driver,
        **more,
    )
    return path


@pytest.fixture
def squares() -> list[BaseGeometry | None]:
    return [shapely.multipolygons([shapely.box(x, 0, x + 1, 1)]) for x in range(3)]


@pytest.fixture
def package(tmp_path: Path, squares: list[BaseGeometry | None]) -> Path:
    return layer(tmp_path / "regions.gpkg", "GPKG", squares)


def changed(package: Path, *statements: str) -> Path:
    with sqlite3.connect(package) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:  # they call functions that only GDAL knows
            connection.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return package


def test_a_geopackage_is_read(package: Path, squares: list[BaseGeometry | None]) -> None:
    drafts = drafts_of(package)
    assert [(draft.number, draft.code, draft.name, draft.parent) for draft in drafts] == [
        (1, "A0", "深圳", "P"),
        (2, "A1", "深圳", "P"),
        (3, "A2", "深圳", "P"),
    ]
    assert [draft.geom for draft in drafts] == squares


def test_a_geopackage_may_hold_rows_without_geometry(tmp_path: Path) -> None:
    [draft] = drafts_of(layer(tmp_path / "x.gpkg", "GPKG", [None]))
    assert draft.geom is None


def test_heights_and_empty_polygons_are_read(tmp_path: Path) -> None:
    high = shapely.from_wkt("MULTIPOLYGON Z (((0 0 5, 1 0 5, 1 1 5, 0 0 5)))")
    path = layer(tmp_path / "x.gpkg", "GPKG", [high, shapely.MultiPolygon()], geometry_type="MultiPolygon Z")
    drafts = drafts_of(path)
    assert drafts[0].geom is not None
    assert drafts[0].geom.has_z
    assert drafts[1].geom is None or drafts[1].geom.is_empty


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4214"])
def test_a_geopackage_in_another_system_is_refused_by_name(
    tmp_path: Path, squares: list[BaseGeometry | None], crs: str
) -> None:
    with pytest.raises(Unreadable, match=crs):
        rows_of(layer(tmp_path / "x.gpkg", "GPKG", squares, crs))


def test_a_geopackage_without_a_system_is_refused(tmp_path: Path, squares: list[BaseGeometry | None]) -> None:
    with pytest.raises(Unreadable, match="and WGS 84 is expected"):
        rows_of(layer(tmp_path / "x.gpkg", "GPKG", squares, None))


def test_a_geopackage_needs_its_fields(package: Path) -> None:
    with pytest.raises(Unreadable, match="it has no field level"):
        rows_of(changed(package, "ALTER TABLE regions RENAME COLUMN level TO tier"))


def test_the_parent_may_be_missing_as_a_field(package: Path) -> None:
    assert drafts_of(changed(package, "ALTER TABLE regions RENAME COLUMN parent TO above"))[0].parent == ""


def test_a_view_is_not_run(package: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    view = f"CREATE VIEW regions AS {endless} SELECT i AS fid, '' AS code, '' AS name, '' AS level, NULL AS geom FROM n"
    with pytest.raises(Unreadable, match="regions is not a table"):
        rows_of(changed(package, "ALTER TABLE regions RENAME TO old", view))


def test_a_computed_column_is_not_run(package: Path) -> None:
    bomb = "ALTER TABLE regions ADD COLUMN note BLOB GENERATED ALWAYS AS (zeroblob(1000000000)) VIRTUAL"
    with pytest.raises(Unreadable, match="computed columns"):
        rows_of(changed(package, bomb))


@pytest.mark.parametrize("table", ["gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys"])
def test_the_tables_about_tables_are_plain_too(package: Path, table: str) -> None:
    with pytest.raises(Unreadable, match="is not a table"):
        rows_of(
            changed(
                package,
                "PRAGMA legacy_alter_table = ON",
                f"ALTER TABLE {table} RENAME TO old",
                f"CREATE VIEW {table} AS SELECT * FROM old",
            )
        )


def test_two_layers_are_one_too_many(package: Path, squares: list[BaseGeometry | None]) -> None:
    layer(package, "GPKG", squares, layer="second", append=True)
    with pytest.raises(Unreadable, match="one layer"):
        rows_of(package)


def test_a_name_of_a_table_is_quoted(package: Path) -> None:
    odd = 'x" (SELECT 1); --'
    quoted = odd.replace('"', '""')
    path = changed(
        package,
        f'ALTER TABLE regions RENAME TO "{quoted}"',
        f"UPDATE gpkg_contents SET table_name = '{odd}'",
        f"UPDATE gpkg_geometry_columns SET table_name = '{odd}'",
    )
    assert len(drafts_of(path)) == 3


def header() -> bytes:
    return b"GP\x00\x01" + struct.pack("<i", 4326)


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"", "not a GeoPackage's"),
        (b"XX", "not a GeoPackage's"),
        (b"GP\x00\xff" + b"\x00" * 40, "not a GeoPackage's"),
        (header(), "its geometry is broken"),
        (header() + b"\x01" + struct.pack("<II", 3, 4_000_000_000), "its geometry is broken"),
        (header() + b"\x01" + struct.pack("<III", 3, 1, 4_000_000_000), "its geometry is broken"),
        (header() + b"\x01" + struct.pack("<II", 6, 4_000_000_000), "its geometry is broken"),
        (header() + b"\x01" + struct.pack("<I", 1) + struct.pack("<dd", 1, 1), "a geometry of type 1, not a polygon"),
        (header() + shapely.to_wkb(shapely.box(0, 0, 1, 1)) + b"\x00", "its geometry is broken"),
        (header() + shapely.to_wkb(shapely.box(0, 0, 1, 1))[:-1], "its geometry is broken"),
        (header() + (b"\x01" + struct.pack("<II", 7, 1)) * 300_000, "a geometry of type 7, not a polygon"),
        (header() + b"\x01" + struct.pack("<II", 6, 1) + (b"\x01" + struct.pack("<II", 7, 1)) * 300_000, "type 7"),
        (header() + (b"\x01" + struct.pack("<II", 6, 1)) * 300_000, "type 6"),
    ],
)
def test_a_broken_geometry_hurts_only_its_row(package: Path, blob: bytes, reason: str) -> None:
    with sqlite3.connect(changed(package)) as connection:
        connection.execute("UPDATE regions SET geom = ? WHERE code = 'A1'", [blob])
    connection.close()
    rows = rows_of(package)
    assert [type(row).__name__ for row in rows] == ["Draft", "BadRow", "Draft"]
    assert str(rows[1]).startswith("row 2, A1: ")
    assert reason in str(rows[1])


def test_a_geometry_that_is_too_long_is_not_read(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary_files, "MAX_ROW_BYTES", 2**20)
    changed(package, "UPDATE regions SET geom = zeroblob(2000000) WHERE code = 'A1'")
    assert reasons_in(package) == ["row 2, A1: more than 1 MB"]


def test_text_that_is_not_utf_8_hurts_only_its_row(package: Path) -> None:
    changed(package, "UPDATE regions SET name = CAST(x'c9eedbda' AS TEXT) WHERE code = 'A1'")
    assert reasons_in(package) == ["row 2, A1: its name is not UTF-8"]


def test_a_cut_geopackage_is_refused(package: Path) -> None:
    package.write_bytes(package.read_bytes()[:9000])
    with pytest.raises(Unreadable, match="a broken GeoPackage"):
        rows_of(package)


def test_another_sqlite_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.gpkg") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    with pytest.raises(Unreadable, match="gpkg_contents is not a table"):
        rows_of(tmp_path / "x.gpkg")


@pytest.fixture
def shapefile(tmp_path: Path, squares: list[BaseGeometry | None]) -> Path:
    (tmp_path / "shape").mkdir()
    return layer(tmp_path / "shape" / "regions.shp", "ESRI Shapefile", squares, encoding="UTF-8")


def zipped(shapefile: Path, *leave_out: str, **more: bytes) -> Path:
    path = shapefile.parent.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in sorted(shapefile.parent.iterdir()):
            if part.suffix not in leave_out:
                archive.write(part, f"data/{part.name}")
        for name, content in more.items():
            archive.writestr(name, content)
    return path


def test_a_zipped_shapefile_is_read(shapefile: Path) -> None:
    drafts = drafts_of(zipped(shapefile))
    assert [(draft.number, draft.code, draft.name, draft.parent) for draft in drafts] == [
        (1, "A0", "深圳", "P"),
        (2, "A1", "深圳", "P"),
        (3, "A2", "深圳", "P"),
    ]
    assert drafts[2].geom is not None
    assert drafts[2].geom.bounds == (2, 0, 3, 1)


def test_many_shapes_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "shape").mkdir()
    many: list[BaseGeometry | None] = [shapely.box(x / 10, 0, x / 10 + 0.1, 1) for x in range(600)]
    path = layer(tmp_path / "shape" / "r.shp", "ESRI Shapefile", many, geometry_type="Polygon")
    drafts = drafts_of(zipped(path))
    assert [draft.code for draft in drafts] == [f"A{number}" for number in range(600)]
    assert [draft.number for draft in drafts] == list(range(1, 601))


def test_the_encoding_that_the_shapefile_names_is_used(tmp_path: Path, squares: list[BaseGeometry | None]) -> None:
    (tmp_path / "shape").mkdir()
    path = layer(tmp_path / "shape" / "r.shp", "ESRI Shapefile", squares, encoding="GBK")
    path.with_suffix(".cpg").write_text("GBK")
    assert drafts_of(zipped(path))[0].name == "深圳"


def test_text_in_another_encoding_than_named_is_refused(tmp_path: Path, squares: list[BaseGeometry | None]) -> None:
    (tmp_path / "shape").mkdir()
    path = layer(tmp_path / "shape" / "r.shp", "ESRI Shapefile", squares, encoding="GBK")
    assert "its name is not UTF-8" in reasons_in(zipped(path, ".cpg"))[0]


def test_an_unknown_encoding_is_refused(shapefile: Path) -> None:
    shapefile.with_suffix(".cpg").write_text("klingon")
    with pytest.raises(Unreadable, match="unknown encoding klingon"):
        rows_of(zipped(shapefile))


def test_codes_may_be_numbers_in_a_shapefile(tmp_path: Path) -> None:
    (tmp_path / "shape").mkdir()
    path = tmp_path / "shape" / "r.shp"
    write(
        path,
        np.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))], dtype=object),
        [np.array([440300], dtype="int64"), np.array(["x"], dtype=object), np.array(["city"], dtype=object)],
        np.array(["CODE", "NAME", "LEVEL"]),
        geometry_type="Polygon",
        crs="EPSG:4326",
        driver="ESRI Shapefile",
    )
    [draft] = drafts_of(zipped(path))
    assert (draft.code, draft.name, draft.parent) == ("440300", "x", "")


def test_a_shapefile_in_another_system_is_refused_by_name(tmp_path: Path, squares: list[BaseGeometry | None]) -> None:
    (tmp_path / "shape").mkdir()
    with pytest.raises(Unreadable, match="EPSG:3857"):
        rows_of(zipped(layer(tmp_path / "shape" / "r.shp", "ESRI Shapefile", squares, "EPSG:3857")))


@pytest.mark.parametrize(
    ("missing", "reason"),
    [(".prj", "unnamed system"), (".dbf", "has no .dbf"), (".shx", "has no .shx"), (".shp", "one Shapefile")],
)
def test_a_shapefile_comes_with_its_parts(shapefile: Path, missing: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        rows_of(zipped(shapefile, missing))


def test_two_shapefiles_are_one_too_many(shapefile: Path) -> None:
    with pytest.raises(Unreadable, match="one Shapefile"):
        rows_of(zipped(shapefile, **{"other.shp": b""}))


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil"])
def test_a_zip_that_reaches_out_of_itself_is_refused(shapefile: Path, name: str) -> None:
    with pytest.raises(Unreadable, match="outside itself"):
        rows_of(zipped(shapefile, **{name: b"x"}))


def test_a_link_in_a_zip_is_refused(shapefile: Path) -> None:
    path = zipped(shapefile, ".dbf")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("data/regions.dbf")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(Unreadable, match="a link"):
        rows_of(path)


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(shapefile: Path) -> None:
    path = zipped(shapefile)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(6):
            with archive.open(f"{number}.txt", "w", force_zip64=True) as member:
                for _chunk in range(100):
                    member.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    with mock.patch.object(zipfile.ZipFile, "open") as unpack, pytest.raises(Unreadable, match="unpacks to more than"):
        rows_of(path)
    unpack.assert_not_called()


def test_a_zip_that_lies_about_its_sizes_unpacks_no_more_than_it_says(shapefile: Path) -> None:
    path = zipped(shapefile, ".dbf")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/regions.dbf", bytes(50 * 2**20))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(struct.pack("<I", 50 * 2**20), struct.pack("<I", 100)))
    with pytest.raises(Unreadable, match=r"a broken zip|a broken Shapefile|no field"):
        rows_of(path)


def test_too_many_files_in_a_zip_are_refused(shapefile: Path) -> None:
    with pytest.raises(Unreadable, match="more than 100 files"):
        rows_of(zipped(shapefile, **{f"{number}.txt": b"" for number in range(100)}))


@pytest.mark.parametrize("cut", [10, 200, 600])
def test_a_cut_zip_is_refused(shapefile: Path, cut: int) -> None:
    path = zipped(shapefile)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Unreadable, match="a broken zip"):
        rows_of(path)


def test_a_zip_damaged_inside_is_refused(shapefile: Path) -> None:
    path = zipped(shapefile)
    raw = bytearray(path.read_bytes())
    for begin in range(60, len(raw) - 800, 7):
        raw[begin] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(Unreadable, match="a broken zip"):
        rows_of(path)


def test_a_shapefile_with_an_unreadable_field_name_is_refused(shapefile: Path) -> None:
    raw = shapefile.with_suffix(".dbf").read_bytes()
    shapefile.with_suffix(".dbf").write_bytes(raw.replace(b"parent", b"\xae\xaeaent"))
    with pytest.raises(Unreadable, match="a broken Shapefile"):
        rows_of(zipped(shapefile))


@pytest.mark.parametrize("part", [".shp", ".shx", ".dbf"])
def test_rubbish_in_a_shapefile_is_refused_or_hurts_rows(shapefile: Path, part: str) -> None:
    raw = bytearray(shapefile.with_suffix(part).read_bytes())
    raw[24:] = os.urandom(len(raw) - 24)
    shapefile.with_suffix(part).write_bytes(raw)
    try:
        rows = rows_of(zipped(shapefile))
    except Unreadable:
        return
    assert len(rows) <= boundary_files.MAX_ROWS


# KML


KML = """<?xml version="1.0" encoding="UTF-8"?>{doctype}
<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Folder>{marks}</Folder></Document></kml>"""
MARK = """<Placemark><name>南山</name><ExtendedData><Data name="code"><value>440305</value></Data>
<SchemaData><SimpleData name="level">district</SimpleData></SchemaData></ExtendedData>
<MultiGeometry><Polygon><outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs>
<innerBoundaryIs><LinearRing><coordinates>0.2,0.2 0.4,0.2 0.4,0.4 0.2,0.2</coordinates></LinearRing></innerBoundaryIs>
</Polygon></MultiGeometry></Placemark>"""
RING = "0,0,5 1,0,5\n1,1,5 0,1,5 0,0,5"


def kml(marks: str = MARK.format(ring=RING), doctype: str = "") -> bytes:
    return KML.format(marks=marks, doctype=doctype).encode()


def test_a_kml_is_read_with_its_words_and_holes(file: Path) -> None:
    file.write_bytes(kml())
    (row,) = drafts_of(file)
    assert (row.code, row.name, row.level, row.parent) == ("440305", "南山", "district", "")
    assert row.geom is not None
    assert shapely.area(row.geom) == pytest.approx(0.98)


def test_a_kmz_is_read(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("doc.kml", kml())
        archive.writestr("files/picture.png", b"")
    assert [row.code for row in drafts_of(file)] == ["440305"]


BOMB = '<!DOCTYPE kml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (kml(doctype=BOMB), "DOCTYPE"),
        (kml()[:-40], "not XML"),
        (b"<html></html>", "not KML"),
        (b"<kml>" + b"<Folder>" * 100_000, "nested too deeply"),
        (b"<kml><Placemark><name>" + b"x" * (9 * 2**20), "more than 8 MB"),
        (b"<?xml version='1.0' encoding='EBCDIC-X'?><kml/>", "not XML"),
    ],
)
def test_what_is_no_kml_is_refused(file: Path, content: bytes, reason: str) -> None:
    file.write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        rows_of(file)


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        (MARK.format(ring="0,0 1,0 nan,1 0,0"), "not a finite number"),
        (MARK.format(ring="0,0 1,0 x,1 0,0"), "not a list of positions"),
        (MARK.format(ring="0,0 1,0 1,1 0,1"), "not closed"),
        (MARK.format(ring="0 1 2 3"), "not a list of positions"),
        ("<Placemark><name>P</name><Point><coordinates>1,1</coordinates></Point></Placemark>", "not a polygon"),
    ],
)
def test_a_bad_placemark_hurts_only_itself(file: Path, mark: str, reason: str) -> None:
    file.write_bytes(kml(mark + MARK.format(ring=RING)))
    bad, good = rows_of(file)
    assert isinstance(bad, BadRow)
    assert reason in bad.reason
    assert isinstance(good, Draft)
