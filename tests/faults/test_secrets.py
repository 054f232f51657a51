"""Promise 19: known codes, tokens and links are planted, the loop is walked, and everything that anybody could read is
searched for them: answers, pages, logs, messages to workers, the broker, every table, the administration, exports.

In plain text they exist in the message to the recipient and on that person's page, and those are the control: the same
search finds them there. `--long` plants 500, the short form 40.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.timezone import localdate, now

from network import exports
from network.models import User
from pickup import codes, notices, tasks
from pickup.models import Parcel
from pickup.parcels import issue_code
from tests import factories
from tests.factories import code_of, make_device, make_parcel, make_point, token_of, wrong_code_for
from tests.roles import as_owner

pytestmark = pytest.mark.django_db


class Secrets:
    """What must not be found: whole words, for hashes are full of digits, and tokens wherever they begin."""

    def __init__(self, parcels: list[Parcel]) -> None:
        self.words: set[str] = set()
        self.tokens: set[str] = set()
        for parcel in parcels:
            issue = parcel.code.issue
            secret = codes.secret_of(parcel.uuid, issue)
            self.words |= {code_of(parcel), codes.link_of(parcel.uuid, issue), secret.hex()}
            self.tokens.add(token_of(parcel))

    def found_in(self, text: str) -> set[str]:
        [length] = {len(token) for token in self.tokens}
        begun = {text[at.start() : at.start() + length] for at in re.finditer(re.escape(codes.PREFIX), text)}
        return self.words.intersection(re.findall(r"[0-9A-Za-z_-]+", text)) | (self.tokens & begun)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, as it would be written, from the lowest level up."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(before)


def every_row() -> str:
    """What a dump would hold: each table as COPY writes it."""
    text = []
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            if table != "spatial_ref_sys":
                with cursor.copy(f"COPY {table} TO STDOUT") as rows:
                    text += [bytes(row).decode() for row in rows]
    return "".join(text)


def every_message() -> str:
    """What the broker holds, every key of it."""
    with current_app.connection_for_read() as broker:
        client = broker.default_channel.client
        return "\n".join(f"{key!r} {client.dump(key)!r}" for key in client.scan_iter())


def test_no_planted_secret_is_read_anywhere_but_by_its_recipient(
    log: io.StringIO, settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, is_long: bool
) -> None:
    planted = 500 if is_long else 40
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    sent: list[str] = []
    monkeypatch.setattr(tasks, "ring", lambda task: sent.append(repr(task.apply_async(retry=False).id)))
    chain = factories.make_chain()
    point = make_point()
    owner = factories.make_member(point)
    region_ids = factories.chain_ids(chain)
    parcels = [make_parcel(point, region_ids=region_ids) for _ in range(planted)]
    _, key = make_device(point)
    _, merchant_key = factories.make_merchant()
    told: list[str] = []

    def call(path: str, body: dict[str, Any] | None = None, *, by: str = key) -> None:
        headers = {"authorization": f"Bearer {by}"}
        client = Client(raise_request_exception=False)
        if body is None:
            answer = client.get(f"/api/v1/{path}", headers=headers)
        else:
            answer = client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers)
        told.append(answer.content.decode())

    def scan(kind: str, parcel: Parcel, **proof: str) -> dict[str, Any]:
        return {
            "scan_id": str(uuid4()), "kind": kind, "barcode": parcel.barcode, "event_at": now().isoformat(), **proof
        }  # fmt: skip

    for parcel in parcels:
        call("scans", scan("arrival", parcel))
    for parcel in parcels:
        parcel.refresh_from_db()
    for parcel in parcels[::10]:
        issue_code(parcel, issue=2)
        parcel.code.refresh_from_db()
    secrets = Secrets(parcels)
    notices.send_waiting(now=now(), limit=planted * 2)
    for number, parcel in enumerate(parcels):
        call("scans", scan("pickup", parcel, code=wrong_code_for(parcel)))
        if number % 4 == 0:
            call("scans", scan("pickup", parcel, code=code_of(parcel)))
        elif number % 4 == 1:
            call("scans", scan("pickup", parcel, token=token_of(parcel)))
        elif number % 4 == 2:  # rubbish around what is right: refusals must not quote it
            call("scans", scan("pickup", parcel, code=code_of(parcel)) | {"kind": "pickup!"})
            call("scans", scan("pickup", parcel, token=token_of(parcel)) | {"event_at": token_of(parcel)})
            call("scans", scan("pickup", parcel, token=token_of(parcel)[:-1], shelf="x" * 1000))
    call("scans/batch", {"scans": [scan("pickup", parcel, token=token_of(parcel)) for parcel in parcels]})
    call("scans", {"code": code_of(parcels[3]), "token": token_of(parcels[3])})
    for path in ("shelf", "earnings", "openapi.json"):
        call(path)
    call("orders", {"reference": "R"}, by=merchant_key)

    staff = Client(raise_request_exception=False)
    staff.force_login(User.objects.create_superuser("+8613900009999", name="Root"))
    shop = Client(raise_request_exception=False)
    shop.force_login(owner)
    pages = ["counter", "shelf", "stock-count", "earnings", "shop"]
    told += [shop.get(reverse(name, args=[point.pk])).content.decode() for name in pages]

    def taken_away(client: Client, name: str, query: str = "") -> str:
        answer: Any = client.post(reverse("export-new"), {"name": name, "form": "csv", "query": query})
        return b"".join(answer).decode() if answer.streaming else answer.content.decode()

    today = localdate().isoformat()
    told.append(taken_away(shop, "earnings", f"point={point.pk}&from={today}&to={today}"))
    assert parcels[0].barcode in told[-1]
    told += [taken_away(staff, name) for name in exports.LISTS]
    told.append(staff.get(reverse("history")).content.decode())
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        told.append(staff.get(reverse(f"{name}_changelist")).content.decode())
        told.append(taken_away(staff, f"admin:{model._meta.label_lower}"))
        told += [
            staff.get(reverse(f"{name}_change", args=[row.pk])).content.decode()
            for row in model._default_manager.order_by("-pk")[:5]
        ]

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as mistake:  # the error page, and what is logged with it
        mistake.setattr("pickup.verification._run", broken)
        call("scans", scan("pickup", parcels[3], token=token_of(parcels[3])))
        call("scans", scan("pickup", parcels[3], code=code_of(parcels[3])))
    assert '"internal"' in told[-1]

    assert sent, "workers were asked for"
    assert secrets.found_in("\n".join(told)) == set()
    assert secrets.found_in(log.getvalue()) == set()
    assert secrets.found_in(every_message()) == set()
    assert secrets.found_in(every_row()) == set()
    assert len(secrets.found_in((tmp_path / "notices.jsonl").read_text())) >= planted, "the control"
