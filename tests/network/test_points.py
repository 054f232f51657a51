"""`load_points`: service points from a file; a bad row hurts only itself, the same file again changes nothing."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from network import rows
from network.management.commands.load_points import PointRow
from network.models import Level, Region, ServicePoint
from tests import factories

pytestmark = pytest.mark.django_db

HEADER = "ref,name,lat,lon,city,address,capacity,phone\n"
GOOD = "P1,南山店,22.53,113.93,深圳市,科苑路1号,120,0755-26971234\n"


def load(path: Path, content: str | bytes) -> tuple[str, str, str]:
    """Write the file and load it; return what came on stdout, on stderr, and the error it ended with."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    out, err = StringIO(), StringIO()
    try:
        call_command("load_points", str(path), stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue(), str(error)
    return out.getvalue(), err.getvalue(), ""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "points.csv"


def test_a_point_is_taken_with_all_its_columns(file: Path) -> None:
    out, err, error = load(file, HEADER + GOOD)
    point = ServicePoint.objects.get(ref="P1")
    assert (point.name, point.city, point.address) == ("南山店", "深圳市", "科苑路1号")
    assert (point.capacity, point.phone) == (120, "0755-26971234")
    assert (point.location.y, point.location.x) == (22.53, 113.93)
    assert "1 created, 0 changed, 0 unchanged" in out
    assert (error, err.strip()) == ("", "1 of them lie in no region")


def test_optional_columns_may_be_missing_and_in_any_order(file: Path) -> None:
    _, _, error = load(file, "lon,LAT, name ,ref\n113.93,22.53,南山店,P1\n")
    assert not error
    assert ServicePoint.objects.get().capacity == 200


def test_the_same_file_again_changes_nothing(file: Path) -> None:
    load(file, HEADER + GOOD)
    before = ServicePoint.objects.values().get()
    out, _, error = load(file, HEADER + GOOD)
    assert "0 created, 0 changed, 1 unchanged" in out
    assert not error
    assert ServicePoint.objects.values().get() == before


def test_a_known_reference_is_changed_and_keeps_what_the_file_does_not_tell(file: Path) -> None:
    load(file, HEADER + GOOD)
    ServicePoint.objects.update(reach_m=3_000, status="suspended")
    out, _, _ = load(file, "ref,name,lat,lon,capacity\nP1,新店,22.54,113.94,\n")
    point = ServicePoint.objects.get()
    assert "1 changed" in out
    assert (point.name, point.location.y, point.capacity, point.phone) == ("新店", 22.54, 120, "0755-26971234")
    assert (point.reach_m, point.status) == (3_000, "suspended")


def test_a_point_knows_the_regions_it_lies_in(file: Path, chain: dict[Level, Region]) -> None:
    _, err, _ = load(file, HEADER + GOOD)
    point = ServicePoint.objects.get()
    custom = chain[Level.CUSTOM]
    assert point.region == custom
    assert point.region_ids == factories.chain_ids(chain)
    assert not err


def test_regions_loaded_later_are_noted_by_the_same_file(file: Path) -> None:
    load(file, HEADER + GOOD)
    chain = factories.make_chain()
    out, _, _ = load(file, HEADER + GOOD)
    assert "0 created, 1 changed" in out
    assert ServicePoint.objects.get().region_ids == factories.chain_ids(chain)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (",店,22.5,113.9,,,,", "row 2: ref: "),
        ("P9,,22.5,113.9,,,,", "row 2: name: "),
        ("P9,店,,113.9,,,,", "row 2: lat: "),
        ("P9,店,nan,113.9,,,,", "row 2: lat: “nan” is not a number"),
        ("P9,店,22.5,inf,,,,", "row 2: lon: “inf” is not a number"),
        ("P9,店,91,113.9,,,,", "row 2: lat: "),
        ("P9,店,113.9,22.5,,,,", "row 2: lat: "),
        ("P9,店,22.5,-180.1,,,,", "row 2: lon: "),
        ("P9,店,２２.５,113.9,,,,", "row 2: lat: “２２.５” is not a number"),
        ("P9,店,1_0.5,113.9,,,,", "row 2: lat: “1_0.5” is not a number"),
        ('P9,店,"22,5",113.9,,,,', "row 2: lat: “22,5” is not a number"),
        ("P9,店,0,0,,,,", "row 2: lat: 0/0 "),
        ("P9,店,22.5,113.9,,,１２０,", "row 2: capacity: "),
        ("P9,店,22.5,113.9,,,-1,", "row 2: capacity: "),
        ("P9,店,22.5,113.9,,,1.5,", "row 2: capacity: "),
        ("P9,店,22.5,113.9,,,99999999999,", "row 2: capacity: "),
        ("P9,店,22.5,113.9,,,,０７５５", "row 2: phone: "),
        ("P9,店,22.5,113.9,,,," + "1" * 33, "row 2: phone: "),
        ("P" * 65 + ",店,22.5,113.9,,,,", "row 2: ref: "),
        ("P9,店\x00,22.5,113.9,,,,", "row 2: name: control characters"),
        ("P9,店\x1b[31m,22.5,113.9,,,,", "row 2: name: control characters"),
        ("P9,店,22.5,113.9", "row 2: row: 4 fields where the header has 8"),
        ("P9,店,22.5,113.9,,,,,", "row 2: row: 9 fields where the header has 8"),
        ('P9,"店"x,22.5,113.9,,,,', "row 2: row: a quote is not closed"),
        ("P9,店," + "2" * 20_001 + ",113.9,,,,", "row 2: row: longer than"),
    ],
)
def test_a_bad_row_is_named_and_the_good_one_kept(file: Path, row: str, complaint: str) -> None:
    _, err, error = load(file, HEADER + row + "\n" + GOOD)
    assert err.startswith(complaint)
    assert error == "1 rows were refused; the others are kept"
    assert [point.ref for point in ServicePoint.objects.all()] == ["P1"]


def test_bytes_that_are_not_utf8_hurt_only_their_row(file: Path) -> None:
    gbk = "P9,店,22.5,113.9,,,,\n".encode("gbk")
    _, err, error = load(file, HEADER.encode() + gbk + GOOD.encode())
    assert err.startswith("row 2: name: not UTF-8")
    assert error
    assert [point.ref for point in ServicePoint.objects.all()] == ["P1"]


def test_a_quote_that_is_never_closed_hurts_only_its_row(file: Path) -> None:
    rows_after = "".join(f"P{number},店,22.5,113.9,,,,\n" for number in range(2, 200))
    _, err, _ = load(file, HEADER + 'P0,"店,22.5,113.9,,,,\n' + GOOD + rows_after)
    assert [line.partition(": ")[0] for line in err.splitlines()[:2]] == ["row 2", "199 of them lie in no region"]
    assert ServicePoint.objects.count() == 199


def test_a_quoted_field_may_have_a_comma_a_quote_and_a_line_break(file: Path) -> None:
    _, _, error = load(file, HEADER + 'P1,"a,""b""\nc",22.53,113.93,,,,\n')
    assert not error
    assert ServicePoint.objects.get().name == 'a,"b"\nc'


def test_a_reference_that_comes_twice_is_refused_the_second_time(file: Path) -> None:
    _, err, error = load(file, HEADER + GOOD + "P1,另一家,22.6,113.8,,,,\n")
    assert err.startswith("row 3: ref: “P1” is already in row 2")
    assert error
    assert ServicePoint.objects.get().name == "南山店"


def test_a_byte_order_mark_and_windows_line_ends_are_no_trouble(file: Path) -> None:
    _, _, error = load(file, ("\ufeff" + HEADER + GOOD).replace("\n", "\r\n"))
    assert not error
    assert ServicePoint.objects.get().phone == "0755-26971234"


def test_blank_lines_are_counted_but_are_no_rows(file: Path) -> None:
    _, err, _ = load(file, HEADER + "\n,,,,,,,\n" + "P9,店,x,113.9,,,,\n" + GOOD)
    assert err.startswith("row 4: lat: ")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it has no header"),
        (b"\n\n", "it has no header"),
        (b"ref,name,lat\nP1,x,22\n", "no column “lon”"),
        (b"ref,name,lat,lon,lat\n", "the column “lat” twice"),
        (b"ref,name,lat,lon,capcity\n", "an unknown column “capcity”"),
        (b"ref;name;lat;lon\n", "no column “ref”"),
        (b"PK\x03\x04\x14\x00\x06\x00", "it is not text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "it is not text in UTF-8"),
        (b"\x1f\x8b\x08" + b"\x00" * 100_000, "it is not text in UTF-8"),
        ("\ufeffref,name,lat,lon\n".encode("utf-16-le"), "it is UTF-16, not UTF-8"),
        (b"x" * 1_000_000, "its header cannot be read: longer than"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_whole(file: Path, content: bytes, complaint: str) -> None:
    _, _, error = load(file, content)
    assert complaint in error
    assert not ServicePoint.objects.exists()


def test_a_file_that_is_not_there_is_said_to_be_missing(file: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("load_points", str(file))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Is a directory"):
        call_command("load_points", str(tmp_path))


def test_more_rows_than_a_batch_are_all_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("network.management.commands.load_points.BATCH", 3)
    out, _, _ = load(file, "ref,name,lat,lon\n" + "".join(f"P{n},店,22.5,113.9\n" for n in range(10)))
    assert "10 created" in out
    assert ServicePoint.objects.count() == 10


def test_a_line_longer_than_any_row_is_not_kept_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as out:
        out.write(b"ref,name,lat,lon\n")
        for _ in range(50):
            out.write(b"x" * 1_000_000)
        out.write(b"\nP1,a,1.5,2.5\n")
    with path.open("rb") as stream:
        bad, good = rows.read_as(stream, PointRow)
    assert isinstance(bad, rows.BadRow)
    assert not isinstance(good, rows.BadRow)
    assert good[0] == 3
