"""Calls that no door needs to look at, keys that flood, and the one shape of every error under /api/."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from pickup.api import front
from tests.factories import make_device, make_point

pytestmark = pytest.mark.django_db
URL = "/api/v1/scans"


def told(response: Any) -> tuple[int, str]:
    assert response.headers["Content-Type"].startswith("application/json")
    error = json.loads(response.content)["error"]
    assert error["message"]
    return response.status_code, error["code"]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(front, "buckets", front.Buckets(clock=lambda: 0.0))  # time stands still
    return {"authorization": f"Bearer {make_device(make_point())[1]}"}


def test_a_body_without_a_length_is_refused(client: Client, key: dict[str, str]) -> None:
    response = client.generic("POST", URL, b"", headers=key | {"transfer-encoding": "chunked"}, CONTENT_LENGTH="")
    assert told(response) == (411, "length_required")


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "x"])
def test_a_length_that_is_no_number_is_refused(client: Client, key: dict[str, str], length: str) -> None:
    assert told(client.generic("POST", URL, b"", headers=key, CONTENT_LENGTH=length)) == (400, "malformed")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: Client, key: dict[str, str]) -> None:
    response = client.generic("POST", URL, b"{}", headers=key, CONTENT_LENGTH=str(10**12))
    assert told(response) == (413, "too_large")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE"])
def test_another_method_is_told_which_one_is_right(client: Client, key: dict[str, str], method: str) -> None:
    response = client.generic(method, URL, headers=key)
    assert told(response) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


def test_an_address_that_does_not_exist_is_told_as_json(client: Client, key: dict[str, str]) -> None:
    assert told(client.get("/api/v1/nothing", headers=key)) == (404, "not_found")
    assert told(client.get("/api/", headers=key)) == (404, "not_found")


def test_who_wants_no_json_is_refused_and_who_takes_anything_is_not(client: Client, key: dict[str, str]) -> None:
    assert told(client.get("/api/v1/shelf", headers=key | {"accept": "text/html"})) == (406, "not_acceptable")
    assert client.get("/api/v1/shelf", headers=key | {"accept": "*/*"}).status_code == 200
    assert client.get("/api/v1/shelf", headers=key).status_code == 200
    assert client.get("/api/v1/docs", headers={"accept": "text/html"}).status_code == 200


def test_a_key_that_floods_is_told_when_to_come_back_and_others_are_not_held_up(
    client: Client, key: dict[str, str], settings: Any
) -> None:
    settings.API_CALLS_PER_S = 1
    calls = front.FULL_AFTER_S // front.DEAR
    assert [client.get("/api/v1/shelf", headers=key).status_code for _ in range(calls)] == [200] * calls
    refused = client.get("/api/v1/shelf", headers=key)
    assert told(refused) == (429, "too_many")
    assert refused.headers["Retry-After"] == str(front.DEAR)
    other = {"authorization": f"Bearer {make_device(make_point())[1]}"}
    assert client.get("/api/v1/shelf", headers=other).status_code == 200


def test_a_bucket_fills_again_with_time_and_never_above_its_brim() -> None:
    now = 0.0
    own = front.Buckets(clock=lambda: now)
    for _ in range(400):
        assert own.take(b"k", cost=1, per_s=10) == 0
    assert own.take(b"k", cost=1, per_s=10) == 1
    now = 0.5
    assert [own.take(b"k", cost=1, per_s=10) for _ in range(6)] == [0] * 5 + [1]
    now = 1e6
    assert [own.take(b"k", cost=10, per_s=10) for _ in range(41)] == [0] * 40 + [1]


def test_only_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "KEYS_REMEMBERED", 3)
    own = front.Buckets()
    for key in (b"a", b"b", b"c", b"d"):
        own.take(key, cost=1, per_s=10)
    assert list(own._left) == [b"b", b"c", b"d"]
