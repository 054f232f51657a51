"""docs/walk.md, walked: every name in it exists, and one parcel goes all the way through real doors."""

from __future__ import annotations

import importlib
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import get_commands
from django.test import Client
from django.utils.timezone import localtime, now

from network import access
from network.models import Level
from pickup import tasks
from pickup.models import (
    Arrival,
    Assignment,
    Handover,
    Notice,
    Order,
    Parcel,
    PickupCode,
    Posting,
    Scan,
    Statement,
    StatementLine,
)
from tests import factories

WALK = (Path(__file__).parents[1] / "docs" / "walk.md").read_text()
DOTTED = sorted(set(re.findall(r"`((?:pickup|network)\.[a-z_.A-Z]+)`", WALK)))
ROWS = sorted(set(re.findall(r"`([A-Z][A-Za-z]+)`", WALK)))


@pytest.mark.parametrize("name", DOTTED)
def test_every_function_that_the_walk_names_exists(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_that_the_walk_names_is_a_model(name: str) -> None:
    assert name in {model.__name__ for model in apps.get_models()}


def test_every_file_and_command_that_the_walk_names_exists() -> None:
    for path in re.findall(r"`(pickup/[a-z_/.]+|tests/[a-z_/.]+)`", WALK):
        assert (Path(__file__).parents[1] / path).exists(), path
    assert set(re.findall(r"`manage.py ([a-z_]+)`", WALK)) <= set(get_commands())


class Api:
    def __init__(self, key: str) -> None:
        self.headers = {"Authorization": f"Bearer {key}"}

    def post(self, path: str, body: Any) -> dict[str, Any]:
        answer = Client().post(f"/api/v1/{path}", body, content_type="application/json", headers=self.headers)
        assert answer.status_code in (200, 201), answer.content
        content: dict[str, Any] = answer.json()
        return content


def scan(kind: str, **fields: Any) -> dict[str, Any]:
    return {"scan_id": str(uuid4()), "kind": kind, "event_at": now().isoformat()} | fields


@pytest.mark.django_db
def test_one_parcel_walks_all_the_way(settings: Any, tmp_path: Path) -> None:
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    chain = factories.make_chain()
    for level in (Level.DISTRICT, Level.PROVINCE):
        factories.make_appointment(chain[level])
    point = factories.make_point()
    merchant = Api(factories.make_merchant()[1])
    device, key = factories.make_device(point)
    assert bytes(device.key_hash or b"") == access.hash_key(key)
    shop = Api(key)

    # 1 intake
    merchant.post(
        "orders",
        {
            "reference": "R-1",
            "recipient": {"name": "王小明", "phone": "13800138000"},
            "address": {"text": "广东省深圳市南山区科苑路1号", "lat": 22.5401, "lon": 113.9401},
        },
    )
    order, parcel = Order.objects.get(), Parcel.objects.get()
    assert (order.status, parcel.status, parcel.service_point) == ("received", "expected", None)

    # 2 locate, 3 assign
    tasks.assign_waiting()
    order.refresh_from_db()
    parcel.refresh_from_db()
    assert (order.status, parcel.service_point) == ("assigned", point)
    assert order.address.region_ids == parcel.region_ids == factories.chain_ids(chain)
    assert Assignment.objects.get(order=order).service_point == point

    # 4 arrival
    assert shop.post("scans", scan("arrival", barcode=parcel.barcode))["verdict"] == "ok"
    parcel.refresh_from_db()
    assert parcel.status == "ready"
    assert Arrival.objects.get(parcel=parcel).service_point == point
    assert PickupCode.objects.get(parcel=parcel).attempts == 0

    # 5 notice
    tasks.send_notices()
    message = json.loads(Path(settings.NOTICES_FILE).read_text())
    assert Notice.objects.get(parcel=parcel).sent_at is not None
    assert Client().get(message["url"].removeprefix(settings.BASE_URL)).status_code == 200

    # 6 hand-over
    answer = shop.post("scans", scan("pickup", token=message["token"]))
    assert (answer["verdict"], answer["fee_minor"], answer["today_minor"]) == ("ok", 2000, 2000)
    parcel.refresh_from_db()
    assert parcel.status == "collected"
    assert Handover.objects.get(parcel=parcel).service_point == point
    assert Scan.objects.count() == 2
    fees = list(Posting.objects.order_by("id").values_list("kind", "level", "amount_minor"))
    assert fees == [("point_fee", None, 2000), ("agent_fee", Level.DISTRICT, 300), ("agent_fee", Level.PROVINCE, 500)]

    # 7 settlement
    factories.close_period(period=f"{localtime():%Y-%m}", now=now() + timedelta(days=45), currency="CNY")
    assert Statement.objects.count() == 3
    assert StatementLine.objects.count() == Posting.objects.count()
