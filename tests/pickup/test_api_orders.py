"""`/api/v1/orders` and the locator: one order per reference, errors by field, and strangers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from pickup import orders
from pickup.models import MerchantKey, Order, Parcel, Recipient
from tests import factories
from tests.factories import make_merchant, make_point, make_ready_parcel

pytestmark = pytest.mark.django_db


class Shop:
    """A merchant's system."""

    def __init__(self, key: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {key}"}

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(
            f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=self.headers
        )

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1/{path}", query, headers=self.headers)


@pytest.fixture
def shop() -> Shop:
    return Shop(make_merchant()[1])


def order(reference: str = "R-1", **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "reference": reference,
        "recipient": {"name": "王小明", "phone": "13800138000"},
        "address": {"text": "广东省深圳市南山区科苑路1号", "lat": 22.5401, "lon": 113.9401},
        "parcels": [{"size": "M", "weight_g": 1200}],
    }
    return body | changes


def settle() -> None:
    orders.locate_waiting(now=now(), limit=100)
    orders.assign_waiting(now=now(), limit=100)


def test_an_order_is_created_once_and_repeated_after_that(shop: Shop) -> None:
    first, again = shop.post("orders", order()), shop.post("orders", order())
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert Order.objects.count() == 1


def test_an_order_needs_no_coordinates_and_no_parcels(shop: Shop) -> None:
    body = order(address={"text": "广东省深圳市南山区科苑路1号"})
    del body["parcels"]
    assert shop.post("orders", body).status_code == 201
    assert Parcel.objects.count() == 1


def test_another_body_under_the_reference_is_a_conflict(shop: Shop) -> None:
    shop.post("orders", order())
    answer = shop.post("orders", order(recipient={"name": "李四", "phone": "13800138000"}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "reference_conflict")


def test_a_taken_barcode_is_a_conflict(shop: Shop) -> None:
    shop.post("orders", order("R-1", parcels=[{"barcode": "PN-1"}]))
    answer = shop.post("orders", order("R-2", parcels=[{"barcode": "PN-1"}]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "barcode_taken")
    assert Order.objects.count() == 1


def test_an_unknown_point_is_a_422(shop: Shop) -> None:
    answer = shop.post("orders", order(service_point="NOWHERE"))
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "service_point")


def address(**changes: Any) -> dict[str, Any]:
    return {"address": {"text": "x", "lat": 1.0, "lon": 1.0} | changes}


def recipient(**changes: Any) -> dict[str, Any]:
    return {"recipient": {"name": "王小明", "phone": "13800138000"} | changes}


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"reference": ""}, "reference"),
    ({"reference": "x" * 101}, "reference"),
    ({"reference": "A\u0000"}, "reference"),
    ({"reference": 7}, "reference"),
    ({"recipient": None}, "recipient"),
    (recipient(name=" "), "recipient.name"),
    (recipient(name="\ud83d"), "recipient.name"),
    (recipient(phone="12"), "recipient.phone"),
    (recipient(phone="１３８００１３８０００"), "recipient.phone"),
    (recipient(phone="+999999999999999999"), "recipient.phone"),
    (recipient(phone="tel:+86;x"), "recipient.phone"),
    (recipient(age=7), "recipient.age"),
    (address(text=""), "address.text"),
    (address(text="x" * 501), "address.text"),
    (address(lat=90.1), "address.lat"),
    (address(lat=float("nan")), "address.lat"),
    (address(lon=float("inf")), "address.lon"),
    (address(lon=None), "address"),
    (address(lat="north"), "address.lat"),
    (address(datum="mars"), "address.datum"),
    ({"parcels": []}, "parcels"),
    ({"parcels": [{}] * 21}, "parcels"),
    ({"parcels": [{"size": "XXL"}]}, "parcels.0.size"),
    ({"parcels": [{"weight_g": -1}]}, "parcels.0.weight_g"),
    ({"parcels": [{"weight_g": 10**30}]}, "parcels.0.weight_g"),
    ({"parcels": [{"barcode": "条码"}]}, "parcels.0.barcode"),
    ({"consent": {"given": True, "at": "0001-01-01T00:00:00Z"}}, "consent.at"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("change", "field"), MALFORMED)
def test_a_malformed_order_names_its_field_and_leaves_nothing(shop: Shop, change: dict[str, Any], field: str) -> None:
    answer = shop.post("orders", order(**change))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "malformed"
    assert answer.json()["error"]["field"] == field
    assert not Order.objects.exists()


@pytest.mark.parametrize("bare", [False, True])
def test_a_bulk_answers_each_row_and_keeps_the_good_ones(shop: Shop, bare: bool) -> None:
    rows: list[Any] = [order("A"), order("B", recipient=None), order("A"), order("A", service_point="X"), order("C")]
    answer = shop.post("orders/bulk", rows if bare else {"orders": rows})
    results = answer.json() if bare else answer.json()["results"]
    assert [row["status"] for row in results] == [201, 400, 200, 409, 201]
    assert results[1]["error"]["field"] == "recipient"
    assert sorted(Order.objects.values_list("reference", flat=True)) == ["A", "C"]


def test_a_bulk_of_more_than_a_thousand_is_refused_whole(shop: Shop) -> None:
    assert shop.post("orders/bulk", {"orders": [order(f"R{n}") for n in range(1001)]}).status_code == 400
    assert not Order.objects.exists()


def test_an_order_is_followed_to_its_point(shop: Shop) -> None:
    factories.make_chain()
    make_point(ref="P-1")
    shop.post("orders", order())
    settle()
    body = shop.get("orders/R-1").json()
    assert (body["status"], body["service_point"]["ref"], body["region_code"]) == ("assigned", "P-1", "440305-1")
    assert [parcel["status"] for parcel in body["parcels"]] == ["expected"]


def test_a_reference_may_have_slashes(shop: Shop) -> None:
    assert shop.post("orders", order("2026/11/001")).status_code == 201
    assert shop.get("orders/2026/11/001").json()["reference"] == "2026/11/001"
    assert shop.post("orders/2026/11/001/cancel").json()["status"] == "cancelled"


@pytest.mark.parametrize("reference", ["bulk", "..", "a/../b", "R-1/cancel"])
def test_a_reference_that_is_no_address_is_malformed(shop: Shop, reference: str) -> None:
    assert shop.post("orders", order(reference)).json()["error"]["field"] == "reference"


def test_an_order_in_review_says_why(shop: Shop) -> None:
    factories.make_chain()
    shop.post("orders", order(**address(lat=0, lon=0)))
    settle()
    assert shop.get("orders/R-1").json()["review_reason"] == "null_island"


def test_the_answers_hold_no_personal_data(shop: Shop) -> None:
    text = shop.post("orders", order()).content.decode() + shop.get("orders/R-1").content.decode()
    for personal in ("王小明", "13800138000", "科苑路"):
        assert personal not in text


def test_an_order_is_cancelled_and_again_the_same(shop: Shop) -> None:
    shop.post("orders", order())
    first, again = shop.post("orders/R-1/cancel"), shop.post("orders/R-1/cancel")
    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert first.json() == again.json()


def test_what_was_handed_over_is_not_cancelled() -> None:
    merchant, key = make_merchant()
    point = make_point()
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point, merchant=merchant)
    factories.pick_up(scanner, parcel)
    answer = Shop(key).post(f"orders/{parcel.order.reference}/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_cancellable")


def test_a_strangers_order_is_not_there(shop: Shop) -> None:
    shop.post("orders", order())
    stranger = Shop(make_merchant()[1])
    assert stranger.get("orders/R-1").status_code == 404
    assert stranger.post("orders/R-1/cancel").status_code == 404
    assert stranger.get("orders/R-1").json() == stranger.get("orders/NEVER").json()
    assert Order.objects.get().status == "received"


@pytest.mark.parametrize("reference", ["a%00b", "%FF", "x" * 500, "..%2f"])
def test_odd_references_are_not_there(shop: Shop, reference: str) -> None:
    assert shop.get(f"orders/{reference}").status_code == 404


def test_without_a_key_or_with_a_revoked_or_a_devices_one_nothing_is_taken(shop: Shop) -> None:
    _, device_key = factories.make_device(make_point())
    assert Shop(device_key).post("orders", order()).status_code == 401
    assert Client().post("/api/v1/orders", order(), content_type="application/json").status_code == 401
    MerchantKey.objects.update(revoked_at=now())
    assert shop.post("orders", order()).status_code == 401
    assert not Recipient.objects.exists()


def test_points_near_a_place_come_by_metres_and_only_available_ones(shop: Shop) -> None:
    make_point(lat=22.60, ref="FAR")
    make_point(lat=22.54, ref="NEAR")
    make_point(lat=22.541, ref="FULL", capacity=0)
    found = shop.get("service-points", lat=22.5401, lon=113.94).json()
    assert [row["ref"] for row in found] == ["NEAR", "FAR"]
    assert found[0]["distance_m"] < found[1]["distance_m"]
    assert len(shop.get("service-points", lat=22.5401, lon=113.94, limit=1).json()) == 1


def test_points_near_an_address_in_words(shop: Shop) -> None:
    factories.make_chain()
    make_point(ref="NEAR")
    assert [row["ref"] for row in shop.get("service-points", address="深圳市南山区科苑路1号").json()] == ["NEAR"]
    answer = shop.get("service-points", address="科苑路1号")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "not_located")


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"lat": 1},
        {"lat": "nan", "lon": 1},
        {"lat": 91, "lon": 1},
        {"lat": 1, "lon": 1, "limit": 0},
    ],
)
def test_a_bad_question_for_points_is_malformed(shop: Shop, query: dict[str, Any]) -> None:
    assert shop.get("service-points", **query).status_code == 400
