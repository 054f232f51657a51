"""Notices: the only place where a code exists in plain text, sent once, tried again, never lost."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now

from network.models import ServicePoint
from pickup import codes, holding, notices, scanning
from pickup.models import Notice, Parcel, Recipient
from pickup.parcels import Status
from pickup.scans import Scanner
from tests import factories
from tests.factories import make_point, make_ready_parcel, scan

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent_to(tmp_path: Path, settings: Any) -> Path:
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    return tmp_path / "notices.jsonl"


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="好邻居便利店")


@pytest.fixture
def scanner(point: ServicePoint) -> Scanner:
    return factories.scanner_of(point)


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_notice_brings_what_hands_the_parcel_over(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert notices.send_waiting(now=now(), limit=10) == 1
    (message,) = read(sent_to)
    assert set(message) == {"kind", "reference", "barcode", "phone", "text", "url", "token", "code"}
    assert (message["kind"], message["phone"], message["barcode"]) == ("ready", "+8613800138000", parcel.barcode)
    assert message["code"] in message["text"]
    assert message["url"] in message["text"]
    other = make_ready_parcel(scanner, point)
    assert scanning.record(scanner, scan("pickup", parcel, code=message["code"])).verdict == "ok"
    notices.send_waiting(now=now(), limit=10)
    token = read(sent_to)[-1]["token"]
    assert scanning.record(scanner, scan("pickup", other, barcode="", token=token)).verdict == "ok"


def test_a_notice_is_sent_once(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    make_ready_parcel(scanner, point)
    notices.send_waiting(now=now(), limit=10)
    assert notices.send_waiting(now=now(), limit=10) == 0
    assert len(read(sent_to)) == 1


def test_a_gateway_that_is_down_is_tried_again_later(settings: Any, scanner: Scanner, point: ServicePoint) -> None:
    settings.NOTICES_FILE = "/no/such/folder/notices"
    make_ready_parcel(scanner, point)
    notices.send_waiting(now=now(), limit=10)
    notice = Notice.objects.get()
    assert (notice.sent_at, notice.tries) == (None, 1)
    assert notice.error
    assert notice.next_try_at > now()


def test_what_failed_is_sent_when_its_time_comes(
    settings: Any, tmp_path: Path, scanner: Scanner, point: ServicePoint
) -> None:
    settings.NOTICES_FILE = "/no/such/folder/notices"
    make_ready_parcel(scanner, point)
    notices.send_waiting(now=now(), limit=10)
    settings.NOTICES_FILE = str(tmp_path / "notices")
    assert notices.send_waiting(now=now(), limit=10) == 0
    assert notices.send_waiting(now=now() + timedelta(hours=1), limit=10) == 1
    assert Notice.objects.get().sent_at is not None


def test_without_a_gateway_notices_wait_and_nothing_reaches_the_log(
    settings: Any, caplog: pytest.LogCaptureFixture, scanner: Scanner, point: ServicePoint
) -> None:
    settings.NOTICES_FILE = ""
    parcel = make_ready_parcel(scanner, point)
    with caplog.at_level("DEBUG"):
        assert notices.send_waiting(now=now(), limit=10) == 0
    assert Notice.objects.get().sent_at is None
    for secret in (factories.code_of(parcel), "13800138000", codes.link_of(parcel.uuid, 1)):
        assert secret not in caplog.text


def test_one_notice_that_cannot_be_written_does_not_stop_the_others(
    sent_to: Path, scanner: Scanner, point: ServicePoint
) -> None:
    broken, whole = make_ready_parcel(scanner, point), make_ready_parcel(scanner, point)
    Recipient.objects.filter(order=broken.order).update(sealed=b"")
    notices.send_waiting(now=now(), limit=10)
    assert [message["barcode"] for message in read(sent_to)] == [whole.barcode]
    assert Notice.objects.get(parcel=broken).gave_up


def test_a_parcel_that_was_collected_meanwhile_gets_no_code_any_more(
    sent_to: Path, scanner: Scanner, point: ServicePoint
) -> None:
    factories.pick_up(scanner, make_ready_parcel(scanner, point))
    notices.send_waiting(now=now(), limit=10)
    assert not sent_to.exists()
    assert Notice.objects.get().gave_up


def test_no_code_token_or_link_is_stored_anywhere(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    for _ in range(5):
        make_ready_parcel(scanner, point)
    notices.send_waiting(now=now(), limit=10)
    planted = [
        secret for message in read(sent_to) for secret in (message["code"], message["token"], message["url"][-22:])
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [name for (name,) in cursor.fetchall() if name.startswith(("pickup_", "network_"))]
        stored = ""
        for table in tables:
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")
            stored += cursor.fetchone()[0]
    assert len(planted) == 15
    assert not [secret for secret in planted if secret in stored]


def test_a_parcel_is_reminded_once_a_day_before_its_deadline(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert holding.remind(now=now(), limit=10) == 0
    assert parcel.hold_until is not None
    soon = parcel.hold_until - timedelta(hours=23)
    assert holding.remind(now=soon, limit=10) == 1
    assert holding.remind(now=soon, limit=10) == 0
    assert Notice.objects.filter(kind=Notice.Kind.REMINDER).count() == 1


def test_a_parcel_expires_after_its_deadline_and_its_recipient_is_told(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert holding.expire_overdue(now=now(), limit=10) == 0
    assert holding.expire_overdue(now=now() + timedelta(days=8), limit=10) == 1
    parcel.refresh_from_db()
    assert parcel.status == Status.EXPIRED
    assert Notice.objects.filter(parcel=parcel, kind=Notice.Kind.EXPIRED).exists()


def test_a_collected_parcel_neither_expires_nor_reminds(scanner: Scanner, point: ServicePoint) -> None:
    factories.pick_up(scanner, make_ready_parcel(scanner, point))
    later = now() + timedelta(days=8)
    assert holding.expire_overdue(now=later, limit=10) == 0
    assert holding.remind(now=later - timedelta(days=2), limit=10) == 0
    assert Parcel.objects.get().status == Status.COLLECTED
