"""Commands of the network's operators: each parses, makes one domain call, and answers."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from network import access
from network.models import Device, Level, Region
from pickup import orders, scanning, waiting
from pickup.ledger import Fault
from pickup.models import Merchant, MerchantKey, Order, Parcel, Settlement
from tests import factories
from tests.roles import as_owner

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


# --- assign_waiting ---


def place(merchant: Merchant, count: int, **fields: Any) -> None:
    drafts = [factories.make_draft(**fields) for _ in range(count)]
    orders.place_many(merchant=merchant, drafts=drafts, now=now())


@pytest.mark.usefixtures("chain")
def test_assigning_goes_on_until_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BATCH", 3)
    factories.make_point()
    merchant, _ = factories.make_merchant()
    place(merchant, 7)
    place(merchant, 2, lat=0.0, lon=0.0)
    assert run("assign_waiting") == "assigned: 7\nin review: 2\n  null_island: 2\n"
    assert not Order.objects.filter(status__in=["received", "located"]).exists()


@pytest.mark.usefixtures("chain")
def test_only_what_this_run_did_is_counted() -> None:
    factories.make_point()
    merchant, _ = factories.make_merchant()
    place(merchant, 2)
    run("assign_waiting")
    place(merchant, 1)
    assert run("assign_waiting") == "assigned: 1\nin review: 0\n"


def test_assigning_nothing_is_no_mistake() -> None:
    assert run("assign_waiting") == "assigned: 0\nin review: 0\n"


def test_assigning_ends_when_it_gets_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    merchant, _ = factories.make_merchant()
    place(merchant, 2)
    monkeypatch.setattr(orders, "locate_waiting", lambda **_: 0)
    monkeypatch.setattr(waiting, "PAUSE_S", 0.0)
    with pytest.raises(waiting.StillWaiting, match="2 orders still wait"):
        waiting.assign_all(clock=now, patience_s=0.01)


def test_orders_that_still_wait_are_said_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(**_: Any) -> None:
        raise waiting.StillWaiting("3 orders still wait")

    monkeypatch.setattr(waiting, "assign_all", give_up)
    with pytest.raises(CommandError, match="3 orders still wait"):
        run("assign_waiting")


# --- issue_key ---


def test_a_merchants_key_is_printed_alone_and_stored_as_a_hash() -> None:
    key = run("issue_key", "merchant", "书店").removesuffix("\n")
    stored = MerchantKey.objects.get()
    assert stored.merchant.name == "书店"
    assert bytes(stored.key_hash) == access.hash_key(key)
    assert len(key) > 40
    assert "\n" not in key


def test_a_merchant_may_have_two_keys() -> None:
    assert run("issue_key", "merchant", "书店") != run("issue_key", "merchant", "书店")
    assert Merchant.objects.get().keys.count() == 2


def test_a_devices_key_belongs_to_its_service_point() -> None:
    point = factories.make_point(ref="P1")
    key = run("issue_key", "device", "P1").strip()
    device = Device.objects.get(key_hash=access.hash_key(key))
    assert device.service_point == point


def test_no_device_of_an_unknown_point_gets_a_key() -> None:
    with pytest.raises(CommandError, match="no service point has the reference P9"):
        run("issue_key", "device", "P9")
    assert not Device.objects.exists()


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\x00b"])
def test_a_name_that_cannot_be_one_gets_no_key(name: str) -> None:
    with pytest.raises(CommandError, match="printable characters"):
        run("issue_key", "merchant", name)
    assert not Merchant.objects.exists()


def test_only_merchants_and_devices_have_keys() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        run("issue_key", "admin", "x")


# --- fees ---


def picked_up(chain: dict[Level, Region]) -> Parcel:
    point = factories.make_point(ref="P1")
    scanner = factories.scanner_of(point)
    parcel = factories.make_ready_parcel(scanner, point, region_ids=factories.chain_ids(chain))
    assert factories.pick_up(scanner, parcel).verdict == "ok"
    return parcel


def test_fees_tell_who_got_what_for_a_parcel(chain: dict[Level, Region]) -> None:
    for level, name in ((Level.DISTRICT, "d"), (Level.PROVINCE, "p")):
        factories.make_appointment(chain[level], factories.make_agent(name))
    lines = json.loads(run("fees", picked_up(chain).barcode))
    tariff = "Default tariff"
    assert sorted(lines, key=lambda line: str(line["payee"])) == [
        {"kind": "point_fee", "payee": "P1", "amount_minor": 2000, "tariff": tariff},
        {
            "kind": "agent_fee",
            "payee": "d",
            "amount_minor": 300,
            "tariff": tariff,
            "level": "district",
            "region_code": "440305",
        },
        {
            "kind": "agent_fee",
            "payee": "p",
            "amount_minor": 500,
            "tariff": tariff,
            "level": "province",
            "region_code": "440000",
        },
    ]


def test_a_reversal_names_who_gives_back_a_positive_amount(chain: dict[Level, Region]) -> None:
    factories.make_appointment(chain[Level.CITY], factories.make_agent("c"))
    parcel = picked_up(chain)
    assert parcel.service_point is not None
    undo = factories.scan("undo", parcel, reason="mistake")
    scanner = factories.scanner_of(parcel.service_point)
    assert scanning.record(scanner, undo).verdict == "ok"
    back = [line for line in json.loads(run("fees", parcel.barcode)) if line["kind"] == "reversal"]
    assert sorted((line["payee"], line["amount_minor"]) for line in back) == [("P1", 2000), ("c", 500)]
    assert {line.get("level") for line in back} == {None, "city"}


def test_a_parcel_that_was_not_picked_up_has_no_fees() -> None:
    parcel = factories.make_parcel(factories.make_point())
    assert json.loads(run("fees", parcel.barcode)) == []


@pytest.mark.parametrize("barcode", ["PN404", "", "a\x00b", "\udcff"])
def test_fees_of_an_unknown_barcode_are_refused(barcode: str) -> None:
    with pytest.raises(CommandError, match="no parcel has the barcode"):
        run("fees", barcode)


# --- close_period ---


def test_a_month_that_is_over_is_closed_once() -> None:
    month = (now() - timedelta(days=40)).strftime("%Y-%m")
    with as_owner():  # as every command
        first = run("close_period", month)
        assert first.startswith(f"{month} is closed: 0 statements")
        assert run("close_period", month) == first
    assert Settlement.objects.count() == 1


@pytest.mark.parametrize("period", ["2099-01", "2026-13", "2026-1", "２０２６-01", "2026-01-01", "now", ""])
def test_a_period_that_is_no_past_month_is_refused(period: str) -> None:
    with pytest.raises(CommandError, match=r"YYYY-MM|not over yet"):
        run("close_period", period)
    assert not Settlement.objects.exists()


# --- verify_ledger ---


def test_books_in_order_have_no_fault(chain: dict[Level, Region]) -> None:
    picked_up(chain)
    assert run("verify_ledger").splitlines()[0] == "no fault in 1 postings"


def test_each_fault_is_named_and_the_exit_is_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pickup.ledger.faults", lambda: [Fault("two fees", "h1"), Fault("no arrival", "h2")])
    out = StringIO()
    with pytest.raises(CommandError, match="2 faults"):
        call_command("verify_ledger", stdout=out, stderr=out)
    assert out.getvalue() == "two fees: h1\nno arrival: h2\n"
