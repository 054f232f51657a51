"""`load_orders`: orders from a CSV or JSONL file; a bad row hurts only itself, the same file again changes nothing."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from pickup import recipients
from pickup.models import Merchant, Order, Parcel
from tests import factories

pytestmark = pytest.mark.django_db

HEADER = "reference,name,phone,address,city,lat,lon,size,service_point,barcode\n"
GOOD = "R1,王小明,13800138000,南山区科苑路1号,深圳市,22.54,113.94,M,,PN1\n"


def body(reference: str, **fields: Any) -> dict[str, Any]:
    return {
        "reference": reference,
        "recipient": {"name": "王小明", "phone": "13800138000"},
        "address": {"text": "深圳市南山区科苑路1号"},
        **fields,
    }


def load(path: Path, content: str | bytes, *options: str) -> tuple[str, str, str]:
    """Write the file and load it; return what came on stdout, on stderr, and the error it ended with."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    out, err = StringIO(), StringIO()
    try:
        call_command("load_orders", str(path), *options, stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue(), str(error)
    return out.getvalue(), err.getvalue(), ""


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    return tmp_path / "orders.jsonl"


def test_a_row_becomes_an_order_of_the_default_merchant(csv: Path) -> None:
    out, err, error = load(csv, HEADER + GOOD)
    order = Order.objects.get()
    assert (order.merchant.name, order.reference, order.status) == ("default", "R1", "received")
    assert (order.address.given_lat, order.address.given_lon) == (22.54, 113.94)
    assert recipients.open_sealed(order.recipient) == recipients.Contact(
        "王小明", "+8613800138000", "深圳市\n南山区科苑路1号"
    )
    parcel = order.parcels.get()
    assert (parcel.barcode, parcel.get_size_display()) == ("PN1", "M")
    assert (out, err, error) == ("orders: 1 created, 0 repeated, 0 refused\n", "", "")


def test_columns_that_may_be_missing_may_be_missing(csv: Path) -> None:
    _, _, error = load(csv, "reference,name,phone,address\nR1,王,13800138000,南山区\n")
    assert not error
    assert Parcel.objects.get().barcode.startswith("PN")


def test_the_orders_belong_to_the_merchant_that_is_named(csv: Path) -> None:
    load(csv, HEADER + GOOD, "--merchant", "书店")
    assert Order.objects.get().merchant == Merchant.objects.get(name="书店")


def test_the_same_file_again_changes_nothing(csv: Path) -> None:
    load(csv, HEADER + GOOD)
    out, _, error = load(csv, HEADER + GOOD)
    assert out == "orders: 0 created, 1 repeated, 0 refused\n"
    assert not error
    assert Order.objects.count() == 1


def test_another_order_under_a_known_reference_is_refused(csv: Path) -> None:
    load(csv, HEADER + GOOD)
    _, err, error = load(csv, HEADER + GOOD.replace("王小明", "李四"))
    assert err == "row 2: reference: another order was placed under this reference\n"
    assert error == "1 rows were refused; the others are kept"


def test_a_service_point_may_be_asked_for(csv: Path) -> None:
    point = factories.make_point(ref="P1")
    load(csv, HEADER + "R1,王,13800138000,南山区,,,,,P1,\n")
    assert Order.objects.get().requested_point == point


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (",王,13800138000,南山区,,,,,,", "row 2: reference: "),
        ("R9,,13800138000,南山区,,,,,,", "row 2: name: "),
        ("R9,王,12,南山区,,,,,,", "row 2: phone: "),
        ("R9,王,１３８００１３８０００,南山区,,,,,,", "row 2: phone: only ASCII digits"),
        ("R9,王,13800138000,,,,,,,", "row 2: address: "),
        ("R9,王,13800138000,南山区,,22.5,,,,", "row 2: lat: lat and lon come together"),
        ("R9,王,13800138000,南山区,,nan,113.9,,,", "row 2: lat: "),
        ("R9,王,13800138000,南山区,,91,113.9,,,", "row 2: lat: "),
        ("R9,王,13800138000,南山区,,２２.５,113.9,,,", "row 2: lat: "),
        ("R9,王,13800138000,南山区,,22.5,181,,,", "row 2: lon: "),
        ("R9,王,13800138000,南山区,,,,XL,,", "row 2: size: "),
        ("R9,王,13800138000,南山区,,,,,nowhere,", "row 2: service_point: no service point"),
        ("R9,王,13800138000,南山区,,,,,,条码", "row 2: barcode: "),
        ("R9,王\x00,13800138000,南山区,,,,,,", "row 2: name: control characters"),
        ("R9,王,13800138000,南山区", "row 2: row: 4 fields where the header has 10"),
        ("R9,王,13800138000," + "路" * 501 + ",,,,,,", "row 2: address: "),
    ],
)
def test_a_bad_row_is_named_and_the_good_one_kept(csv: Path, row: str, complaint: str) -> None:
    out, err, error = load(csv, HEADER + row + "\n" + GOOD)
    assert err.startswith(complaint)
    assert error
    assert out == "orders: 1 created, 0 repeated, 1 refused\n"
    assert [order.reference for order in Order.objects.all()] == ["R1"]


def test_a_barcode_that_is_taken_is_refused(csv: Path) -> None:
    _, err, _ = load(csv, HEADER + GOOD + GOOD.replace("R1", "R2"))
    assert err == "row 3: barcode: barcode PN1 is already in the network\n"
    assert Order.objects.count() == 1


def test_a_complaint_holds_nothing_personal(csv: Path) -> None:
    _, err, _ = load(csv, HEADER + "R9,王小明,138001380001380013800,南山区科苑路1号,,91,113.9,,,\n")
    assert "王小明" not in err
    assert "科苑" not in err
    assert "13800138" not in err


def test_bytes_that_are_not_utf8_hurt_only_their_row(csv: Path) -> None:
    gbk = "R9,王,13800138000,南山区,,,,,,\n".encode("gbk")
    _, err, _ = load(csv, HEADER.encode() + gbk + GOOD.encode())
    assert err.startswith("row 2: name: not UTF-8")
    assert Order.objects.count() == 1


def test_a_jsonl_line_is_a_body_as_the_api_takes_it(jsonl: Path) -> None:
    line = body(
        "R1",
        parcels=[{"barcode": "PN1", "size": "L"}, {}],
        consent={"given": True, "at": "2026-01-01T00:00:00Z"},
    )
    out, _, error = load(jsonl, json.dumps(line) + "\n\n")
    assert out == "orders: 1 created, 0 repeated, 0 refused\n"
    assert not error
    order = Order.objects.get()
    assert order.parcels.count() == 2
    assert order.consent_at is not None


def test_the_same_order_as_csv_and_as_jsonl_is_one_order(csv: Path, jsonl: Path) -> None:
    load(csv, "reference,name,phone,address\nR1,王小明,13800138000,深圳市南山区科苑路1号\n")
    out, _, _ = load(jsonl, json.dumps(body("R1")))
    assert out == "orders: 0 created, 1 repeated, 0 refused\n"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "row 1: row: Invalid JSON"),
        ("[]", "row 1: row: "),
        ("null", "row 1: row: "),
        ("[" * 15_000, "row 1: row: "),
        ('{"reference": "R9"}', "row 1: recipient: "),
        (json.dumps(body("R9", recipient={"name": "王", "phone": "12"})), "row 1: recipient.phone: "),
        (json.dumps(body("R9", address={"text": "\ud800"})), "row 1: "),
        (json.dumps(body("R9", address={"text": "路", "lat": float("nan"), "lon": 1})), "row 1: address.lat: "),
        (json.dumps(body("R9", address={"text": "a\x00b"})), "row 1: address.text: "),
        (json.dumps(body("R9", parcels=[{}] * 51)), "row 1: parcels: "),
        (json.dumps(body("R9", price=1)), "row 1: price: "),
        ("x" * 20_001, "row 1: row: longer than"),
    ],
)
def test_a_bad_line_is_named_and_the_good_one_kept(jsonl: Path, line: str, complaint: str) -> None:
    out, err, error = load(jsonl, line + "\n" + json.dumps(body("R1")) + "\n")
    assert err.startswith(complaint)
    assert error
    assert out == "orders: 1 created, 0 repeated, 1 refused\n"


def test_more_rows_than_a_batch_are_all_taken(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pickup.management.commands.load_orders.BATCH", 4)
    lines = "".join(f"R{number},王,13800138000,南山区\n" for number in range(10))
    out, _, _ = load(csv, "reference,name,phone,address\n" + lines)
    assert out == "orders: 10 created, 0 repeated, 0 refused\n"


def test_a_long_load_tells_how_far_it_is(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pickup.management.commands.load_orders.QUIET_S", -1.0)
    _, err, _ = load(csv, HEADER + GOOD)
    assert err == "… 1 rows\n"


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"neither \.csv nor \.jsonl"):
        call_command("load_orders", str(tmp_path / "orders.xlsx"))


@pytest.mark.parametrize("name", ["orders.csv", "orders.jsonl"])
def test_a_file_that_is_no_text_is_refused_whole(tmp_path: Path, name: str) -> None:
    _, _, error = load(tmp_path / name, b"PK\x03\x04\x14\x00\x06\x00\x08")
    assert "it is not text in UTF-8" in error
    assert not Merchant.objects.exists()


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\x00b"])
def test_a_merchant_needs_a_name(csv: Path, name: str) -> None:
    _, _, error = load(csv, HEADER + GOOD, "--merchant", name)
    assert "a merchant's name" in error
    assert not Order.objects.exists()
