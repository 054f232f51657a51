"""Files of boundaries from outside: GeoJSON, GeoPackage, zipped Shapefile, KML and KMZ, each row by itself.

A file is never trusted. What it is shows in its first bytes, not in its name; sizes are bounded before anything is
unpacked or parsed; GeoJSON and GeoPackage are read here, row by row, because GDAL mends, skips and renumbers bad
rows without a word, and the geometry library crashes on collections nested deeply enough. Rows are counted from 1.
"""

from __future__ import annotations

import codecs
import io
import json
import math
import re
import shutil
import sqlite3
import stat
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import quote

import numpy as np
import pyogrio
import shapely
from django.utils.translation import gettext as _

from network import kml
from network.boundaries import BadRow, Draft
from network.polygons import Geometry

MAX_BYTES = 512 * 2**20  # of a file, and of what a zip unpacks to
MAX_ROW_BYTES = 8 * 2**20  # 100,000 vertices written out in full are half of it
MAX_ROWS = 100_000
MAX_DEPTH = 1_000
MAX_ALL_VERTICES = 10_000_000  # China has 7 million
MAX_ZIPPED = 100  # files in a zip

FIELDS = ("code", "name", "level", "parent")

# What GDAL and the layer above it raise on a file with bytes changed at random.
BROKEN_SHAPEFILE = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.CRSError,
    UnicodeDecodeError,
    UnboundLocalError,
)

_CHUNK = 2**20
_UNDECODED = re.compile("[\udc80-\udcff]")
# WGS 84, and China's CGCS 2000, which differs from it by centimetres.
_WGS84 = re.compile(r"(?:urn:ogc:def:crs:)?(?:OGC:[\d.]*:?CRS84|EPSG:[\d.]*:?(?:4326|4979|4490))", re.IGNORECASE)


class Unreadable(Exception):
    """The whole file is refused."""


class NoPolygon(Exception):
    """One row's geometry is refused."""


@dataclass(frozen=True)
class Bounds:
    """How much of a file is read: bytes packed and unpacked, rows, vertices of all rows together."""

    size: int
    unpacked: int
    rows: int
    vertices: int


@contextmanager
def opened(path: Path, bounds: Bounds | None = None) -> Iterator[Iterator[Draft | BadRow]]:
    """Give the rows of a file one after another. Raises Unreadable here or while they are read."""
    bounds = bounds or Bounds(MAX_BYTES, MAX_BYTES, MAX_ROWS, MAX_ALL_VERTICES)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable(_("not a file"))
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        raise Unreadable(_("it cannot be opened: %s") % (getattr(error, "strerror", "") or error)) from error
    with stream:
        if found.st_size > bounds.size:
            megabytes = {"size": math.ceil(found.st_size / 2**20), "most": bounds.size // 2**20}
            raise Unreadable(_("%(size)s MB, more than %(most)s") % megabytes)
        start = stream.read(16)
        stream.seek(0)
        if start.startswith(b"SQLite format 3\0"):
            with closing(_geopackage(path)) as connection:
                yield _bounded(_geopackage_rows(connection), bounds)
        elif start.startswith(b"PK"):
            with tempfile.TemporaryDirectory(prefix="regions-") as folder:
                unpacked = _unzipped(stream, Path(folder), bounds)
                if unpacked.suffix == ".kml":
                    with unpacked.open("rb") as plain:
                        yield _bounded(_kml_rows(plain), bounds)
                else:
                    yield _bounded(_shapefile_rows(unpacked), bounds)
        elif start.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n")[:1] == b"<":
            yield _bounded(_kml_rows(stream), bounds)
        else:
            yield _bounded(_geojson_rows(_text(stream, start)), bounds)


def _bounded(rows: Iterator[Draft | BadRow], bounds: Bounds) -> Iterator[Draft | BadRow]:
    vertices = 0
    for count, row in enumerate(rows, 1):
        if isinstance(row, Draft) and row.geom is not None:
            vertices += int(shapely.get_num_coordinates(row.geom))
        if count > bounds.rows or vertices > bounds.vertices:
            raise Unreadable(
                _("more than %(rows)s rows or %(vertices)s vertices")
                % {"rows": bounds.rows, "vertices": bounds.vertices}
            )
        yield row


def _draft(number: int, fields: dict[str, Any], geom: Geometry | None) -> Draft | BadRow:
    words: dict[str, str] = {}
    for name in FIELDS:
        value = fields.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # a column of numbers with a gap in it is read as floats
        if value is None:
            value = ""
        elif isinstance(value, int) and not isinstance(value, bool) and name in ("code", "parent"):
            value = str(value)
        if not isinstance(value, str):
            return BadRow(number, words.get("code", ""), _("its %s is not text") % name)
        if _UNDECODED.search(value):
            return BadRow(number, words.get("code", ""), _("its %s is not UTF-8") % name)
        words[name] = value.strip()
    return Draft(number, words["code"], words["name"], words["level"], words["parent"], geom)


# GeoJSON: a collection, or features one after another.


def _text(stream: BinaryIO, start: bytes) -> io.TextIOWrapper:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unreadable(_("UTF-16, and UTF-8 is expected"))
    if start.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n\x1e")[:1] != b"{":
        raise Unreadable(_("neither GeoJSON nor KML nor a GeoPackage nor a zipped Shapefile"))
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


class _Scanner:
    """Cuts JSON text into values without parsing them, and holds no more of it than one value.

    A value of more than MAX_ROW_BYTES is passed over, and None stands for it.
    """

    _SPACE = re.compile(r"[ \t\r\n\x1e]*")
    # A quote alone is a string whose end is not read yet.
    _BRACES = re.compile(r'"(?:[^"\\]++|\\.)*+"|["{}]', re.DOTALL)
    _BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
    _SCALAR_END = re.compile(r"(?=[,\]}\s])")
    _LINE_END = re.compile(r"\n")

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.stream, self.text, self.at = stream, "", 0

    def peek(self) -> str:
        """The next character that is no space; nothing at the end."""
        while True:
            space = self._SPACE.match(self.text, self.at)
            assert space is not None, "an empty run of spaces matches"
            self.at = space.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                return ""

    def expect(self, characters: str) -> str:
        found = self.peek()
        if not found or found not in characters:
            words = {"found": found or _("the end"), "expected": " ".join(characters)}
            raise Unreadable(_("not JSON: %(found)s where one of %(expected)s belongs") % words)
        self.at += 1
        return found

    def value(self) -> str | None:
        """The text of the next value, whole; what is inside may still be no JSON."""
        first = self.peek()
        if first == "{":
            return self._cut(self._BRACES, nested=True)
        if first == "[":
            return self._cut(self._BRACKETS, nested=True)
        return self._cut(self._BRACES if first == '"' else self._SCALAR_END)

    def line(self) -> str | None:
        return self._cut(self._LINE_END, to_the_end=True)

    def _cut(self, ends: re.Pattern[str], nested: bool = False, to_the_end: bool = False) -> str | None:
        """Return the text up to the end of the first match, or of the one that closes what is opened."""
        depth, passed, searched = 0, 0, self.at
        while True:
            for found in ends.finditer(self.text, searched):
                mark = found.group()
                if mark == '"':
                    break
                searched = found.end()
                depth += (mark in ("{", "[")) - (mark in ("}", "]")) if nested else 0
                if depth > MAX_DEPTH:
                    raise Unreadable(_("not JSON: nested too deeply"))
                if depth == 0:
                    text, self.at = self.text[self.at : searched], searched
                    return None if passed else text
            else:
                searched = len(self.text)
            if len(self.text) - searched > MAX_ROW_BYTES:
                raise Unreadable(_("not JSON: a string without an end"))
            if len(self.text) - self.at > MAX_ROW_BYTES:
                passed, self.at = passed + searched - self.at, searched
            if passed > 8 * MAX_ROW_BYTES:
                raise Unreadable(_("a row of more than %s MB") % (8 * MAX_ROW_BYTES // 2**20))
            searched -= self.at
            if not self._more():
                if not to_the_end:
                    raise Unreadable(_("not JSON: it ends in the middle"))
                text, self.at = self.text[self.at :], len(self.text)
                return None if passed else text

    def _more(self) -> bool:
        """Read on, and forget what lies behind."""
        chunk = self.stream.read(_CHUNK)
        self.text, self.at = self.text[self.at :] + chunk, 0
        return bool(chunk)


def _geojson_rows(stream: io.TextIOWrapper) -> Iterator[Draft | BadRow]:
    scanner = _Scanner(stream)
    members: dict[str, str] = {}
    scanner.expect("{")
    while True:
        key = scanner.value() or ""
        scanner.expect(":")
        if key == '"features"' and scanner.peek() == "[":
            yield from _elements(scanner)
            members[key] = "[]"
        else:
            members[key] = scanner.value() or "null"
        if scanner.expect(",}") == "}":
            break
    kind = _loaded(members.get('"type"', "null"))
    if kind == "Feature":
        yield _feature(1, "{" + ",".join(f"{key}:{text}" for key, text in members.items()) + "}")
        yield from _sequence(scanner)
        return
    if kind != "FeatureCollection" or members.get('"features"') != "[]":
        raise Unreadable(_("not a collection of features: its type is %s") % str(kind)[:40])
    _refuse_other_crs(_loaded(members.get('"crs"', "null")))
    if scanner.peek():
        raise Unreadable(_("not JSON: something follows the collection"))


def _elements(scanner: _Scanner) -> Iterator[Draft | BadRow]:
    """The features of a collection; what is not JSON inside its own braces hurts only itself."""
    scanner.expect("[")
    if scanner.peek() == "]":
        scanner.expect("]")
        return
    number = 0
    while not number or scanner.expect(",]") == ",":
        number += 1
        yield _feature(number, scanner.value())


def _sequence(scanner: _Scanner) -> Iterator[Draft | BadRow]:
    """Features after the first, one a line."""
    number = 1
    while scanner.peek():
        number += 1
        yield _feature(number, scanner.line())


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(_("not JSON: %s") % error) from error


def _refuse_other_crs(crs: Any) -> None:
    """GeoJSON is WGS 84; files from before 2016 may name another system in a member of their own."""
    if crs is None:
        return
    name = crs.get("properties", {}).get("name") if isinstance(crs, dict) else crs
    if not (isinstance(name, str) and _WGS84.fullmatch(name)):
        raise Unreadable(_("its coordinates are in %s, and WGS 84 is expected") % str(name)[:80])


def _feature(number: int, text: str | None) -> Draft | BadRow:
    if text is None:
        return BadRow(number, "", _("more than %s MB") % (MAX_ROW_BYTES // 2**20))
    try:
        feature = json.loads(text)
    except RecursionError:
        return BadRow(number, "", _("nested too deeply"))
    except ValueError as error:
        return BadRow(number, "", _("not JSON: %s") % error)
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        return BadRow(number, "", _("not a feature"))
    properties = feature.get("properties")
    draft = _draft(number, properties if isinstance(properties, dict) else {}, None)
    if isinstance(draft, BadRow):
        return draft
    try:
        return replace(draft, geom=polygon_of(feature.get("geometry")))
    except NoPolygon as error:
        return BadRow(number, draft.code, str(error))


def polygon_of(member: Any) -> Geometry | None:
    """Build a polygon from GeoJSON as it stands. Raises NoPolygon with what keeps it from being one."""
    if member is None:
        return None
    kind = member.get("type") if isinstance(member, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise NoPolygon(_("a %s, not a polygon") % str(kind)[:40])
    parts = member.get("coordinates")
    polygons = [_polygon(part) for part in _list([parts] if kind == "Polygon" else parts)]
    return polygons[0] if kind == "Polygon" else shapely.multipolygons(polygons)


def _polygon(part: Any) -> Geometry:
    rings = [_ring(ring) for ring in _list(part)]
    return shapely.polygons(rings[0], rings[1:] or None) if rings else shapely.Polygon()


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise NoPolygon(_("its coordinates are not nested as a polygon's are"))
    return value


def _ring(ring: Any) -> Geometry:
    try:
        degrees = np.asarray(_list(ring))
    except ValueError:
        degrees = np.empty(0)
    if degrees.ndim != 2 or degrees.shape[1] < 2 or degrees.dtype.kind not in "iuf":
        raise NoPolygon(_("a ring is not a list of positions"))
    degrees = degrees[:, :2].astype(float)
    if not np.isfinite(degrees).all():
        raise NoPolygon(_("a coordinate is not a finite number"))
    if len(degrees) < 4:
        raise NoPolygon(_("a ring of fewer than four positions"))
    if (degrees[0] != degrees[-1]).any():
        raise NoPolygon(_("a ring is not closed"))
    return shapely.linearrings(degrees)


# KML: polygons of placemarks; the words are those of its extended data.


def _kml_rows(stream: BinaryIO) -> Iterator[Draft | BadRow]:
    try:
        for number, mark in enumerate(kml.placemarks(stream), 1):
            yield _placemark(number, mark)
    except kml.BadKml as error:
        raise Unreadable(str(error)) from error


def _placemark(number: int, mark: kml.Placemark) -> Draft | BadRow:
    draft = _draft(number, dict(mark.fields), None)
    if isinstance(draft, BadRow):
        return draft
    try:
        if mark.fault or mark.others:
            raise NoPolygon(mark.fault or _("a %s, not a polygon") % _("point or line"))
        polygons = [_polygon(rings) for rings in mark.polygons]
        return replace(draft, geom=shapely.multipolygons(polygons) if polygons else None)
    except NoPolygon as error:
        return BadRow(number, draft.code, str(error))


# GeoPackage: an SQLite database, which could compute or hide anything; only plain tables are read.


def _geopackage(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return connection


def _geopackage_rows(connection: sqlite3.Connection) -> Iterator[Draft | BadRow]:
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        for table in ("gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys"):
            _refuse_computed(connection, table)
        layers = connection.execute(
            """SELECT c.table_name, g.column_name, s.organization || ':' || s.organization_coordsys_id
               FROM gpkg_contents c JOIN gpkg_geometry_columns g USING (table_name)
               LEFT JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id
               WHERE c.data_type = 'features' LIMIT 2"""
        ).fetchall()
        if len(layers) != 1:
            raise Unreadable(_("one layer of features is expected"))
        table, column, crs = (str(name) for name in layers[0])
        if not _WGS84.fullmatch(crs):
            raise Unreadable(_("its coordinates are in %s, and WGS 84 is expected") % crs[:80])
        names = _refuse_computed(connection, table)
        missing = [name for name in ("code", "name", "level") if name not in names]
        if missing or column.lower() not in names:
            raise Unreadable(_("it has no field %s") % ", ".join(missing or [column]))
        fields = [name if name in names else "NULL" for name in FIELDS]
        yield from _geopackage_features(connection, table, [*fields, column])
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise Unreadable(_("a broken GeoPackage: %s") % error) from error


def _refuse_computed(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return a plain table's columns. A view, a virtual table or a generated column runs the file's own program."""
    kind = connection.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", [table]).fetchone()
    if kind is None or kind[0] != "table" or not str(kind[1]).upper().startswith("CREATE TABLE"):
        raise Unreadable(_("a broken GeoPackage: %s is not a table") % table)
    columns = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", [table]).fetchall()
    if any(hidden for _name, hidden in columns):
        raise Unreadable(_("a broken GeoPackage: %s has computed columns") % table)
    return {str(name).lower() for name, _hidden in columns}


def _geopackage_features(connection: sqlite3.Connection, table: str, columns: list[str]) -> Iterator[Draft | BadRow]:
    *words, geom = [name if name == "NULL" else _quoted(name) for name in columns]
    # A length is told without reading what is so long.
    found = connection.execute(
        f"""SELECT {", ".join(words)}, length({geom}), CASE WHEN length({geom}) <= ? THEN {geom} END
            FROM {_quoted(table)} ORDER BY rowid""",  # noqa: S608 (names of the file, quoted)
        [MAX_ROW_BYTES],
    )
    for number, (*values, length, blob) in enumerate(found, 1):
        draft = _draft(number, dict(zip(FIELDS, values, strict=True)), None)
        if isinstance(draft, Draft) and blob is None and length is not None:
            draft = BadRow(number, draft.code, _("more than %s MB") % (MAX_ROW_BYTES // 2**20))
        yield _with_geometry(draft, blob, _wkb_of)


def _with_geometry(draft: Draft | BadRow, raw: Any, wkb_of: Callable[[Any], bytes]) -> Draft | BadRow:
    if isinstance(draft, BadRow) or raw is None:
        return draft
    try:
        return replace(draft, geom=_from_wkb(wkb_of(raw)))
    except NoPolygon as error:
        return BadRow(draft.number, draft.code, str(error))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _wkb_of(blob: Any) -> bytes:
    """Take the header off a GeoPackage's geometry (OGC 12-128, 2.1.3)."""
    envelope = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}
    if not isinstance(blob, bytes) or blob[:2] != b"GP" or len(blob) < 8 or blob[3] >> 1 & 7 not in envelope:
        raise NoPolygon(_("its geometry is not a GeoPackage's"))
    return blob[8 + envelope[blob[3] >> 1 & 7] :]


def _from_wkb(wkb: bytes) -> Geometry:
    """Read a polygon from WKB, after a walk that finds nothing else nested in it: GEOS would follow it to a crash."""
    try:
        if _walk(wkb, 0, (3, 6)) != len(wkb):
            raise NoPolygon(_("its geometry is broken"))
        return shapely.from_wkb(wkb)
    except (struct.error, shapely.GEOSException) as error:
        raise NoPolygon(_("its geometry is broken")) from error


def _walk(wkb: bytes, at: int, allowed: tuple[int, ...]) -> int:
    """Return where a polygon or multipolygon ends that begins at an offset (OGC 06-103r4, 8.2)."""
    order = "<" if wkb[at : at + 1] == b"\x01" else ">"
    kind, count = struct.unpack_from(f"{order}II", wkb, at + 1)
    flags, kind = kind >> 29, kind & 0x1FFFFFFF
    at += 9 if not flags & 1 else 13
    numbers = 2 + (flags >> 2 & 1) + (flags >> 1 & 1) if flags else {0: 2, 1: 3, 2: 3, 3: 4}.get(kind // 1000, 0)
    if kind % 1000 not in allowed or not numbers or flags & 1:
        raise NoPolygon(_("a geometry of type %s, not a polygon") % kind)
    for _part in range(count):
        if kind % 1000 == 6:
            at = _walk(wkb, at, (3,))
        else:
            (vertices,) = struct.unpack_from(f"{order}I", wkb, at)
            at += 4 + 8 * numbers * vertices
        if at > len(wkb):
            raise NoPolygon(_("its geometry is broken"))
    return at


# Shapefile: unpacked within bounds, then read by GDAL.


def _unzipped(stream: BinaryIO, folder: Path, bounds: Bounds) -> Path:
    """Unpack the one Shapefile or KML of a zip, within bounds of names and sizes, and return its path."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > MAX_ZIPPED or sum(member.file_size for member in members) > bounds.unpacked:
                raise Unreadable(
                    _("it unpacks to more than %(files)s files or %(most)s MB")
                    % {"files": MAX_ZIPPED, "most": bounds.unpacked // 2**20}
                )
            for member in members:
                _refuse_escape(member)
            shapes = [member for member in members if member.filename.lower().endswith(".shp")]
            marks = [member for member in members if member.filename.lower().endswith(".kml")]
            if not shapes and len(marks) == 1:
                with archive.open(marks[0]) as packed, (folder / "regions.kml").open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
                return folder / "regions.kml"
            if len(shapes) != 1:
                raise Unreadable(_("one Shapefile or one KML is expected in the zip"))
            stem = shapes[0].filename[:-4].lower()
            for member in members:
                kind = member.filename[len(stem) :].lower()
                if member.filename.lower() == stem + kind and kind in (".shp", ".shx", ".dbf", ".prj", ".cpg"):
                    with archive.open(member) as packed, (folder / f"regions{kind}").open("wb") as plain:
                        shutil.copyfileobj(packed, plain)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise Unreadable(_("a broken zip: %s") % error) from error
    for kind in (".shx", ".dbf"):
        if not (folder / f"regions{kind}").exists():
            raise Unreadable(_("the Shapefile has no %s") % kind)
    return folder / "regions.shp"


def _refuse_escape(member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    linked = stat.S_ISLNK(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in member.filename or linked or member.flag_bits & 1:
        raise Unreadable(_("the zip holds a name outside itself, a link or something encrypted"))
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable(_("a broken zip: %s") % _("an unusual compression"))


def _shapefile_rows(path: Path) -> Iterator[Draft | BadRow]:
    encoding = _encoding_of(path.with_suffix(".cpg"))
    try:
        info = pyogrio.read_info(path)
        if info["driver"] != "ESRI Shapefile":
            raise Unreadable(_("not a Shapefile"))
        if not (info["crs"] and _WGS84.fullmatch(info["crs"])):
            crs = str(info["crs"] or _("an unnamed system"))[:80]
            raise Unreadable(_("its coordinates are in %s, and WGS 84 is expected") % crs)
        columns = {str(name).lower(): str(name) for name in info["fields"]}
        missing = [name for name in ("code", "name", "level") if name not in columns]
        if missing:
            raise Unreadable(_("it has no field %s") % ", ".join(missing))
        number = 0
        for start in range(0, min(info["features"], MAX_ROWS + 1), 256):
            for fields, wkb in _shapes(path, [columns[name] for name in FIELDS if name in columns], start):
                number += 1
                yield _shape(number, fields, wkb, encoding)
    except BROKEN_SHAPEFILE as error:
        raise Unreadable(_("a broken Shapefile: %s") % error) from error


def _shapes(path: Path, columns: list[str], start: int) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    # Latin-1 takes every byte as it is, so that one that is not of the encoding hurts only its row.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta, _fids, geometries, values = pyogrio.raw.read(
            path, columns=columns, skip_features=start, max_features=256, encoding="ISO-8859-1", force_2d=True
        )
    names = [str(name).lower() for name in meta["fields"]]
    for row, wkb in enumerate(geometries):
        yield {name: column[row] for name, column in zip(names, values, strict=True)}, wkb


def _shape(number: int, fields: dict[str, Any], wkb: bytes | None, encoding: str) -> Draft | BadRow:
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = value.encode("latin-1").decode(encoding, "surrogateescape")
        elif isinstance(value, np.generic):
            fields[name] = value.item()
        if isinstance(fields[name], float) and math.isnan(fields[name]):
            fields[name] = None
    return _with_geometry(_draft(number, fields, None), wkb, bytes)


def _encoding_of(path: Path) -> str:
    """The encoding that the .cpg names, UTF-8 without one."""
    if not path.exists():
        return "utf-8"
    name = path.read_bytes()[:40].decode("ascii", "replace").strip()
    for spelling in (name, f"cp{name}", {"65001": "utf-8"}.get(name, name)):
        with suppress(LookupError):
            return codecs.lookup(spelling).name
    raise Unreadable(_("its text is in the unknown encoding %s") % name)
