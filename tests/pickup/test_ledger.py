"""The ledger: what the database refuses whoever asks, and the audit that does not trust it."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.models import CASCADE, ForeignKey
from django.utils.timezone import now

from pickup import ledger
from pickup.models import Account, Handover, Parcel, Posting, Scan
from tests import factories
from tests.factories import make_parcel, make_point, make_ready_parcel, pick_up
from tests.roles import as_owner

pytestmark = pytest.mark.django_db


@pytest.fixture
def handover() -> Handover:
    point = make_point()
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point))
    return Handover.objects.get()


def refused(statement: str, *parameters: Any) -> bool:
    """Whether the database refuses a statement at once or at the commit."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except DatabaseError:
        return True
    return False


ATTACKS = [
    "UPDATE pickup_posting SET amount_minor = 1",
    "UPDATE pickup_posting SET recorded_at = recorded_at - interval '1 month'",
    "DELETE FROM pickup_posting",
    "TRUNCATE pickup_posting CASCADE",
    "UPDATE pickup_scan SET verdict = 'ok'",
    "UPDATE pickup_scan SET event_at = now()",
    "DELETE FROM pickup_scan",
    "TRUNCATE pickup_scan CASCADE",
    "DELETE FROM pickup_handover",
    "UPDATE pickup_handover SET service_point_id = service_point_id + 1",
    "TRUNCATE pickup_handover CASCADE",
    "DELETE FROM pickup_arrival",
    "UPDATE pickup_arrival SET service_point_id = service_point_id + 1",
    "DELETE FROM pickup_account",
    "DELETE FROM pickup_parcel",
    "DELETE FROM network_servicepoint",
    "UPDATE pickup_account SET currency = 'EUR'",
    "UPDATE pickup_account SET kind = 'bank', service_point_id = NULL WHERE kind = 'point'",
    "UPDATE pickup_parcel SET status = 'expected'",
    "UPDATE pickup_parcel SET status = 'returned'",
    "UPDATE pickup_parcel SET region_ids = '{1}'",
    "UPDATE pickup_parcel SET service_point_id = NULL",
    """INSERT INTO pickup_handover (parcel_id, service_point_id, scan_id)
       SELECT parcel_id, service_point_id, scan_id FROM pickup_handover""",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_past_cannot_be_edited(handover: Handover, attack: str) -> None:
    assert refused(attack)


POSTING = """
    INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                                handover_id, tariff_id, reverses_id, reason, payable_at)
    SELECT {key}, {kind}, {debit}, {credit}, {amount}, currency, {handover}, tariff_id, {reverses}, {reason}, now()
    FROM pickup_posting LIMIT 1
"""
AS_IT_WAS = {
    "key": "'new'",
    "kind": "'point_fee'",
    "debit": "debit_id, debit_kind",
    "credit": "credit_id, credit_kind",
    "amount": "amount_minor",
    "handover": "handover_id",
    "reverses": "NULL",
    "reason": "'why'",
}
TURNED = {"debit": "credit_id, credit_kind", "credit": "debit_id, debit_kind"}
LIED = {"debit": "credit_id, 'network'", "credit": "debit_id, 'point'"}
BAD_POSTINGS: dict[str, dict[str, str]] = {
    "the same key": {"key": "key"},
    "a second fee of the hand-over under another key": {},
    "an amount of nothing": {"amount": "0"},
    "a negative amount": {"amount": "-1"},
    "a kind outside the list": {"kind": "'joining_fee'"},
    "a deposit from a point": {"kind": "'adjustment'", **TURNED},
    "a fee paid by a point": TURNED,
    "one account on both sides": {"credit": "debit_id, debit_kind"},
    "a lie about an account's kind": {"kind": "'adjustment'", **LIED},
    "a fee without its hand-over": {"handover": "NULL"},
    "an agent's fee without appointment": {"kind": "'agent_fee'"},
    "an adjustment without reason": {"kind": "'adjustment'", "reason": "''", "handover": "NULL"},
    "a reversal of nothing": {"kind": "'reversal'", **TURNED},
    "a reversal of another amount": {"kind": "'reversal'", **TURNED, "reverses": "id", "amount": "1"},
    "a fee that claims to reverse": {"reverses": "id"},
}


@pytest.mark.parametrize("change", BAD_POSTINGS.values(), ids=BAD_POSTINGS.keys())
def test_a_posting_that_must_not_be_is_refused(handover: Handover, change: dict[str, str]) -> None:
    assert refused(POSTING.format(**(AS_IT_WAS | change)))


def test_the_control_of_the_refused_postings_is_accepted(handover: Handover) -> None:
    adjustment = {"kind": "'adjustment'"}
    with factories.guard_off("pickup_posting", "has_its_paper"):
        assert not refused(POSTING.format(**(AS_IT_WAS | adjustment)))


def test_a_posting_is_reversed_at_most_once(handover: Handover) -> None:
    fee = Posting.objects.get()
    ledger.reverse(fee, reason="mistake")
    with pytest.raises(DatabaseError), transaction.atomic():
        ledger.reverse(fee, reason="again")


def test_a_reversal_is_not_reversed(handover: Handover) -> None:
    back = ledger.reverse(Posting.objects.get(), reason="mistake")
    with pytest.raises(DatabaseError), transaction.atomic():
        ledger.reverse(back, reason="once more")


def test_no_hand_over_without_arrival_at_that_point(handover: Handover) -> None:
    parcel = make_parcel(handover.service_point)
    assert refused(
        "INSERT INTO pickup_handover (parcel_id, service_point_id, scan_id) VALUES (%s, %s, %s)",
        parcel.pk, handover.service_point_id, Scan.objects.order_by("id")[0].pk,
    )  # fmt: skip


def test_the_audit_finds_nothing_in_honest_books(handover: Handover) -> None:
    assert ledger.faults() == []


def test_the_audit_finds_what_a_superuser_did_with_the_guards_off(handover: Handover) -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE pickup_posting DISABLE TRIGGER only_added")
        cursor.execute("UPDATE pickup_posting SET amount_minor = 9999")
        cursor.execute("ALTER TABLE pickup_posting ENABLE TRIGGER only_added")
    assert [fault.rule for fault in ledger.faults()] == ["hand-over without exactly one flat fee of its tariff"]


def test_the_audit_finds_a_collected_parcel_without_hand_over(handover: Handover) -> None:
    parcel = make_ready_parcel(factories.scanner_of(handover.service_point), handover.service_point)
    Parcel.objects.filter(pk=parcel.pk).update(status="collected", collected_at=now())
    assert [fault.where for fault in ledger.faults()] == [parcel.barcode]


def test_a_balance_is_a_sum(handover: Handover) -> None:
    assert ledger.balance_minor(Account.objects.get(kind="point")) == 2000
    assert ledger.balance_minor(Account.objects.get(kind="network")) == -2000


def test_territory_has_no_price_anywhere_in_the_schema() -> None:
    """R9: nobody pays to be a point or an agent. Money words stand where the network pays, and nowhere else."""
    words = (
        "price",
        "deposit",
        "fee",
        "cost",
        "charge",
        "amount",
        "minor",
        "balance",
        "paid",
        "bid",
        "purchase",
        "payment",
        "auction",
        "guarantee",
        "joining",
    )
    money = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if model._meta.app_label in ("network", "pickup") and any(word in field.name for word in words)
    }
    allowed = (
        "pickup.Tariff.",
        "pickup.TariffEvent.",
        "pickup.Posting.",
        "pickup.Statement.",
        "pickup.StatementLine.",
        "pickup.Adjustment.",
        "pickup.Payout.",
    )
    assert {name for name in money if not name.startswith(allowed)} == set()


def test_the_kinds_of_posting_are_the_closed_list_of_r9() -> None:
    assert set(Posting.Kind.values) == {"point_fee", "agent_fee", "reversal", "adjustment", "payout"}


def test_no_money_path_cascades() -> None:
    cascades = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_app_config("pickup").get_models()
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey) and field.remote_field.on_delete is CASCADE
    }
    # None of these is money: a key, a preview of a draft, and who has an order open.
    assert cascades == {
        "pickup.MerchantKey.merchant",
        "pickup.ImpactPreview.draft",
        "pickup.ReviewDesk.order",
        "pickup.ReviewDesk.looked_by",
    }
