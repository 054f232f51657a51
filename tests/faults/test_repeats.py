"""Promise 2: whoever repeats a call gets the first answer, byte for byte, and nothing happens twice.

Of the answers 20 % are cut: the server has done its work and nobody heard. A repeat of an accepted scan says so in
`verdict` and `message` (docs/decisions/0007); the rest of it, and all of a refused one, is the same to the byte.
`--long` makes 1,000 calls, the short form 150.
"""

from __future__ import annotations

import json
import random
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils.timezone import now

from pickup import ledger
from pickup.models import Handover, Order, Parcel, Posting, Scan
from tests import factories
from tests.factories import make_device, make_merchant, make_parcel, make_point, token_of, wrong_code_for

pytestmark = pytest.mark.django_db

RETRIES = 5


@pytest.fixture
def calls(is_long: bool) -> int:
    return 1_000 if is_long else 150


class Caller:
    """Calls again until an answer was heard, and goes on a few times more; keeps every answer that the server gave."""

    def __init__(self, key: str, chance: random.Random) -> None:
        self.client, self.chance = Client(raise_request_exception=False), chance
        self.headers = {"authorization": f"Bearer {key}"}

    def send(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        answer = self.client.post(
            f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=self.headers
        )
        return answer.status_code, answer.content

    def repeat(self, path: str, body: dict[str, Any]) -> tuple[list[tuple[int, bytes]], int]:
        given, heard, cut = [], 0, 0
        while heard < RETRIES:
            given.append(self.send(path, body))
            if self.chance.random() < 0.2:
                cut += 1
            else:
                heard += 1
        return given, cut


def plain(answer: bytes) -> dict[str, Any]:
    return {name: value for name, value in json.loads(answer).items() if name not in ("verdict", "message")}


def test_scans_are_answered_as_the_first_time(calls: int) -> None:
    chance = random.Random(3)
    point = make_point(capacity=10_000)
    region_ids = factories.chain_ids(factories.make_chain())
    caller = Caller(make_device(point)[1], chance)
    cuts = 0
    for number in range(calls // 3):
        parcel = make_parcel(point, region_ids=region_ids)
        body = {"scan_id": str(uuid4()), "kind": "arrival", "barcode": parcel.barcode, "event_at": now().isoformat()}
        for step in ("arrival", "pickup", "another"):
            if step == "pickup":
                parcel.refresh_from_db()
                proof = (
                    {"code": wrong_code_for(parcel)} if number % 3 == 0 and number < 30 else {"token": token_of(parcel)}
                )
                body |= {"scan_id": str(uuid4()), "kind": "pickup", **proof}
            elif step == "another":
                body |= {"scan_id": str(uuid4()), "event_at": now().isoformat()}
            given, cut = caller.repeat("scans", body)
            cuts += cut
            assert {status for status, _ in given} == {200}
            assert len({content for _, content in given[1:]}) == 1, "every repeat is the same to the byte"
            first, again = json.loads(given[0][1]), json.loads(given[1][1])
            assert plain(given[0][1]) == plain(given[1][1])
            if first["verdict"] == "ok":
                assert again["verdict"] == "ok_repeat"
            else:
                assert given[0] == given[1], "a refusal repeats word for word"
        changed = caller.send("scans", body | {"event_at": "2026-01-01T00:00:00Z"})
        assert changed[0] == 422
    assert cuts > calls // 10
    assert Scan.objects.values("scan_id").distinct().count() == Scan.objects.count()
    assert Handover.objects.count() == Posting.objects.count() == Parcel.objects.filter(status="collected").count()
    assert ledger.faults() == []


def test_orders_are_answered_as_the_first_time(calls: int) -> None:
    chance = random.Random(4)
    factories.make_chain()
    caller = Caller(make_merchant()[1], chance)
    for number in range(calls // 10):
        body = {
            "reference": f"R{number}",
            "recipient": {"name": "王小明", "phone": "13800138000"},
            "address": {"text": "广东省深圳市南山区科苑路1号", "lat": 22.5401, "lon": 113.9401},
            "parcels": [{}],
            "consent": {"given": True, "at": "2026-11-01T00:00:00Z"},
        }
        given, _ = caller.repeat("orders", body)
        assert [status for status, _ in given] == [201] + [200] * (len(given) - 1)
        assert len({content for _, content in given}) == 1
        status, content = caller.send("orders", body | {"parcels": [{}, {}]})
        assert (status, json.loads(content)["error"]["code"]) == (409, "reference_conflict")
    assert Order.objects.count() == calls // 10
