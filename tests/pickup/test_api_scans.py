"""`/api/v1/scans` and its neighbours: answers, keys, rubbish, and strangers."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils.timezone import now

from network.models import Device, ServicePoint
from pickup.models import Parcel, Posting, Scan
from tests import factories
from tests.factories import code_of, make_device, make_parcel, make_point, make_ready_parcel, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


@pytest.fixture
def key(point: ServicePoint) -> str:
    return make_device(point)[1]


@pytest.fixture
def parcel(point: ServicePoint) -> Parcel:
    return make_ready_parcel(factories.scanner_of(point), point)


class Door:
    """Posts and gets with a device's key."""

    def __init__(self, key: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {key}"}

    def post(self, path: str, body: Any) -> Any:
        content = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self.client.post(f"/api/v1/{path}", content, content_type="application/json", headers=self.headers)

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/{path}", headers=self.headers)


@pytest.fixture
def door(key: str) -> Door:
    return Door(key)


def scan(kind: str, **fields: Any) -> dict[str, Any]:
    return {"scan_id": str(uuid4()), "kind": kind, "event_at": now().isoformat()} | fields


def test_a_parcel_arrives_and_is_collected(door: Door, point: ServicePoint) -> None:
    parcel = make_parcel(point)
    arrived = door.post("scans", scan("arrival", barcode=parcel.barcode, shelf="A-3-12"))
    assert (arrived.status_code, arrived.json()["verdict"]) == (200, "ok")
    parcel.refresh_from_db()
    collected = door.post("scans", scan("pickup", token=token_of(parcel)))
    assert collected.status_code == 200
    body = collected.json()
    assert (body["verdict"], body["fee_minor"], body["today_minor"], body["shelf"]) == ("ok", 2000, 2000, "A-3-12")
    assert body["message"]


def test_the_message_is_chinese_first(door: Door, parcel: Parcel) -> None:
    request = scan("pickup", barcode=parcel.barcode, code="00000001")
    chinese = door.post("scans", request).json()["message"]
    door.headers["Accept-Language"] = "en"
    english = door.post("scans", request).json()["message"]
    assert english.isascii()
    assert chinese != english


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer nonsense", "Basic abc", "Bearer \ud800".encode("utf-8", "replace").decode()]
)
@pytest.mark.parametrize("path", ["scans", "scans/batch"])
def test_a_stranger_scans_nothing(parcel: Parcel, header: str, path: str) -> None:
    one = scan("pickup", token=token_of(parcel))
    body = one if path == "scans" else {"scans": [one]}
    answer = Client().post(
        f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers={"Authorization": header}
    )
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert not Posting.objects.exists()


@pytest.mark.parametrize("path", ["shelf", "earnings", "orders/R1", "service-points?lat=1&lon=1"])
def test_a_stranger_reads_nothing(path: str) -> None:
    assert Client().get(f"/api/v1/{path}").status_code == 401


def test_a_merchants_key_is_no_devices_key(parcel: Parcel) -> None:
    _, merchant_key = factories.make_merchant()
    assert Door(merchant_key).post("scans", scan("pickup", token=token_of(parcel))).status_code == 401
    assert Door(merchant_key).get("shelf").status_code == 401


def test_a_revoked_device_is_told_and_reads_nothing(door: Door, parcel: Parcel) -> None:
    Device.objects.update(revoked_at=now())
    answer = door.post("scans", scan("pickup", token=token_of(parcel)))
    assert (answer.status_code, answer.json()["verdict"]) == (200, "device_revoked")
    assert door.get("shelf").status_code == 401


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"scan_id": "no uuid"}, "scan_id"),
    ({"scan_id": None}, "scan_id"),
    ({"kind": "theft"}, "kind"),
    ({"event_at": "yesterday"}, "event_at"),
    ({"event_at": "9999-12-31T23:59:59Z"}, "event_at"),
    ({"event_at": 1e300}, "event_at"),
    ({"barcode": "x" * 65}, "barcode"),
    ({"barcode": "A\u0000B"}, "barcode"),
    ({"barcode": "\ud800"}, "barcode"),
    ({"barcode": "１２３"}, "barcode"),
    ({"barcode": ["PN1"]}, "barcode"),
    ({"barcode": None}, "barcode"),
    ({"code": None}, "token"),
    ({"code": "9" * 33}, "code"),
    ({"token": "P1." + "A" * 400}, "token"),
    ({"shelf": "x" * 21}, "shelf"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("change", "field"), MALFORMED)
def test_a_malformed_scan_names_its_field(door: Door, parcel: Parcel, change: dict[str, Any], field: str) -> None:
    answer = door.post("scans", scan("pickup", barcode=parcel.barcode, code="12345678") | change)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "malformed"
    assert answer.json()["error"]["field"] == field
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"{" * 5000, b"NaN", '{"scan_id": NaN}']
)
@pytest.mark.parametrize("path", ["scans", "scans/batch", "orders"])
def test_rubbish_is_never_a_500(door: Door, body: bytes, path: str) -> None:
    answer = door.post(path, body)
    assert answer.status_code < 500
    if path == "scans":
        assert answer.status_code == 400


def test_a_body_of_ten_megabytes_is_refused(door: Door) -> None:
    answer = door.post("scans", b'{"barcode": "' + b"x" * 10_000_000 + b'"}')
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"


@pytest.mark.parametrize("offset", ["+23:59", "-23:59", "+15:59", "Z", ""])
def test_every_offset_of_a_clock_is_storable(door: Door, parcel: Parcel, offset: str) -> None:
    request = scan("pickup", barcode=parcel.barcode, token=token_of(parcel), event_at=f"2026-01-01T00:00:00{offset}")
    assert door.post("scans", request).json()["verdict"] == "ok"


def test_an_unknown_address_below_the_api_is_told_in_its_own_words(door: Door) -> None:
    answer = door.get("nowhere")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_the_same_scan_id_for_another_scan_is_a_422(door: Door, point: ServicePoint) -> None:
    first = scan("arrival", barcode=make_parcel(point).barcode)
    door.post("scans", first)
    answer = door.post("scans", first | {"barcode": make_parcel(point).barcode})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "scan_id_reused")


@pytest.mark.parametrize("bare", [False, True])
def test_a_batch_answers_each_row_and_keeps_the_good_ones(door: Door, point: ServicePoint, bare: bool) -> None:
    parcels = [make_parcel(point) for _ in range(3)]
    scans: list[Any] = [scan("arrival", barcode=parcel.barcode) for parcel in parcels]
    scans.insert(1, {"kind": "arrival"})
    answer = door.post("scans/batch", scans if bare else {"scans": scans})
    rows = answer.json() if bare else answer.json()["results"]
    assert answer.status_code == 200
    assert [row["status"] for row in rows] == [200, 400, 200, 200]
    assert [row["verdict"] for row in rows] == ["ok", None, "ok", "ok"]
    assert Scan.objects.count() == 3


def test_a_batch_of_more_than_500_is_refused_whole(door: Door) -> None:
    answer = door.post("scans/batch", {"scans": [scan("arrival", barcode=f"N{n}") for n in range(501)]})
    assert answer.status_code == 400
    assert not Scan.objects.exists()


def test_a_batch_of_hand_overs_pays_each_once(door: Door, point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    scans = [
        scan("pickup", token=token_of(make_ready_parcel(scanner, point, phone=f"+86139000000{n:02d}")))
        for n in range(20)
    ]
    for _ in range(2):
        rows = door.post("scans/batch", {"scans": scans}).json()["results"]
    assert {row["verdict"] for row in rows} == {"ok_repeat"}
    assert Posting.objects.filter(kind="point_fee").count() == 20


def test_the_shelf_shows_masked_names_and_no_more(door: Door, parcel: Parcel) -> None:
    rows = door.get("shelf").json()
    assert [row["barcode"] for row in rows] == [parcel.barcode]
    assert set(rows[0]) == {
        "barcode", "status", "shelf", "size", "recipient", "phone_last4", "ready_at", "hold_until",
    }  # fmt: skip
    assert (rows[0]["recipient"], rows[0]["phone_last4"]) == ("王*", "8000")


def test_the_shelf_shows_only_the_own_shop(point: ServicePoint, parcel: Parcel) -> None:
    _, key = make_device(make_point())
    assert Door(key).get("shelf").json() == []
    assert Door(key).get("shelf?status=expected").json() == []


def test_the_shelf_filters_by_status(door: Door, point: ServicePoint, parcel: Parcel) -> None:
    expected = make_parcel(point)
    assert [row["barcode"] for row in door.get("shelf?status=expected").json()] == [expected.barcode]
    assert door.get("shelf?status=nonsense").status_code == 400


def test_earnings_sum_the_postings_of_the_days_asked_for(door: Door, parcel: Parcel) -> None:
    door.post("scans", scan("pickup", barcode=parcel.barcode, code=code_of(parcel)))
    today = door.get("earnings").json()
    assert today["total_minor"] == 2000
    assert [line["barcode"] for line in today["lines"]] == [parcel.barcode]
    assert door.get("earnings?from=2020-01-01&to=2020-01-31").json() == {"total_minor": 0, "lines": []}


def test_earnings_show_a_reversal_as_money_given_back(door: Door, parcel: Parcel) -> None:
    door.post("scans", scan("pickup", barcode=parcel.barcode, code=code_of(parcel)))
    door.post("scans", scan("undo", barcode=parcel.barcode, reason="wrong parcel"))
    body = door.get("earnings").json()
    assert body["total_minor"] == 0
    assert [line["amount_minor"] for line in body["lines"]] == [2000, -2000]


@pytest.mark.parametrize(
    "query", ["from=x", "from=2026-02-30", "from=2026-02-02&to=2026-02-01", "from=0001-01-01", "to=9999-12-31"]
)
def test_bad_days_are_refused(door: Door, query: str) -> None:
    assert door.get(f"earnings?{query}").status_code == 400


def test_the_openapi_document_names_every_door() -> None:
    paths = Client().get("/api/v1/openapi.json").json()["paths"]
    assert set(paths) == {
        f"/api/v1/{path}"
        for path in (
            "orders", "orders/bulk", "orders/{reference}", "orders/{reference}/cancel", "service-points",
            "scans", "scans/batch", "shelf", "earnings",
        )
    }  # fmt: skip
