"""Closing a month: each payable posting once, whatever runs twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils.timezone import localtime, now

from network.models import ServicePoint
from pickup import disputes, ledger, parcels, releases, scanning, settlements
from pickup.models import Dispute, Parcel, Posting, Settlement, Statement, StatementLine, Tariff
from tests import factories
from tests.factories import make_point, make_ready_parcel, pick_up, scan

pytestmark = pytest.mark.django_db


def this_month() -> str:
    return f"{localtime():%Y-%m}"


def month_after(months: int) -> str:
    today = localtime()
    index = today.year * 12 + today.month - 1 + months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


def close(period: str, *, days: int = 45) -> Settlement:
    return factories.close_period(period=period, now=now() + timedelta(days=days), currency="CNY")


def a_pickup(point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    chain = factories.make_chain() if not Posting.objects.exists() else None
    if chain:
        for region in chain.values():
            factories.make_appointment(region)
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=factories.chain_ids(chain) if chain else ()))


def test_each_payee_gets_one_statement_with_its_postings(point: ServicePoint) -> None:
    a_pickup(point)
    settlement = close(this_month())
    assert Statement.objects.filter(settlement=settlement).count() == 6
    assert StatementLine.objects.count() == Posting.objects.count() == 6
    assert Statement.objects.get(account__service_point=point).total_minor == 2000
    assert Statement.objects.aggregate(total=Sum("total_minor"))["total"] == 3000


def test_closing_twice_changes_nothing(point: ServicePoint) -> None:
    a_pickup(point)
    first = close(this_month())
    a_pickup(point)
    assert close(this_month()) == first
    assert StatementLine.objects.count() == 6


def test_a_posting_that_came_late_falls_into_the_next_month(point: ServicePoint) -> None:
    a_pickup(point)
    close(this_month())
    a_pickup(point)
    close(month_after(1), days=80)
    assert StatementLine.objects.count() == Posting.objects.count()
    assert sorted(Statement.objects.filter(account__service_point=point).values_list("total_minor", flat=True)) == [
        2000,
        2000,
    ]


def test_what_is_not_payable_yet_waits_for_a_later_month(point: ServicePoint) -> None:
    Tariff.objects.update(payable_after_hours=24 * 60)
    a_pickup(point)
    close(this_month(), days=45)
    assert not StatementLine.objects.exists()
    close(month_after(1), days=80)
    assert StatementLine.objects.count() == 6


def test_a_fee_that_was_written_as_payable_at_once_waits_all_the_same(point: ServicePoint) -> None:
    Tariff.objects.update(payable_after_hours=24 * 60)
    scanner = factories.scanner_of(point)
    request = scan("pickup", make_ready_parcel(scanner, point))
    releases.release(scanner, request, reason="no_phone", note="", photo=b"a photo")  # earns nothing by itself
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor,
                                           currency, handover_id, tariff_id, reason, payable_at)
               SELECT 'early', 'point_fee', account_of('network', NULL, 'CNY'), 'network',
                      account_of('point', %s, 'CNY'), 'point', 2000, 'CNY', h.id, t.id, '', clock_timestamp()
               FROM pickup_handover h, pickup_tariff t""",
            [point.pk],
        )
    close(this_month(), days=45)
    assert not StatementLine.objects.exists()
    close(month_after(1), days=80)
    assert StatementLine.objects.count() == 1


def test_a_fee_and_its_reversal_settle_to_nothing(point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    scanning.record(scanner, scan("undo", parcel))
    close(this_month())
    assert Statement.objects.get().total_minor == 0
    assert StatementLine.objects.count() == 2


def test_a_fee_given_back_after_the_months_end_settles_with_it(point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point))
    ledger.reverse(Posting.objects.get(), reason="undone past midnight")
    close(this_month())
    assert Statement.objects.get().total_minor == 0


def test_each_currency_is_closed_by_itself(point: ServicePoint) -> None:
    a_pickup(point)
    other = factories.close_period(period=this_month(), now=now() + timedelta(days=45), currency="EUR")
    assert other.statements.count() == 0
    assert close(this_month()).statements.count() == 6


def test_a_debt_is_carried_over_once(point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    close(this_month())
    fee = Posting.objects.get()
    ledger.reverse(fee, reason="found to be invented")
    second = close(month_after(1), days=80)
    a_pickup(point)
    third = close(month_after(2), days=110)
    assert Statement.objects.get(settlement=second).total_minor == -2000
    last = Statement.objects.get(settlement=third, account__service_point=point)
    assert (last.carried_minor, last.total_minor) == (-2000, 0)


@pytest.mark.parametrize("period", ["2026", "2026-13", "2026-00", "26-01", "2026-1", "２０２６-01", "2026-01\n"])
def test_a_period_is_a_year_and_a_month(period: str) -> None:
    with pytest.raises(settlements.BadPeriod):
        close(period)


def test_a_month_that_is_not_over_is_not_closed() -> None:
    with pytest.raises(settlements.BadPeriod, match="not over"):
        close(this_month(), days=-40)


def test_months_end_in_the_networks_time_zone() -> None:
    assert settlements.end_of("2026-12") == datetime(2026, 12, 31, 16, tzinfo=UTC)


def test_statements_add_up_for_the_audit(point: ServicePoint) -> None:
    a_pickup(point)
    close(this_month())
    assert ledger.faults() == []


def a_disputed_pickup(point: ServicePoint, note: str = "") -> Dispute:
    a_pickup(point)
    return disputes.open_dispute(Parcel.objects.get(status="collected"), note=note)


def resolve(dispute: Dispute, outcome: str, **fields: Any) -> Dispute:
    defaults: dict[str, Any] = {"reason": "the photo shows it", "now": now() + timedelta(hours=1)}
    by = fields.pop("by", None) or factories.make_user(is_staff=True)
    return disputes.resolve(dispute, outcome=outcome, by=by, **(defaults | fields))


def refusal_of(dispute: Dispute, **fields: Any) -> str:
    with pytest.raises(disputes.Refused) as refused:
        resolve(dispute, "upheld", **fields)
    assert not Dispute.objects.get().outcome
    return str(refused.value.refusal)


def test_nothing_of_a_disputed_pickup_is_settled(point: ServicePoint) -> None:
    a_disputed_pickup(point)
    assert close(this_month()).statements.count() == 0


def test_other_pickups_are_settled_meanwhile(point: ServicePoint) -> None:
    a_disputed_pickup(point)
    a_pickup(point)
    close(this_month())
    assert Statement.objects.get().total_minor == 2000


def test_a_dismissed_dispute_lets_the_fees_be_settled(point: ServicePoint) -> None:
    dispute = a_disputed_pickup(point)
    close(this_month())
    resolve(dispute, "dismissed")
    close(month_after(1), days=80)
    assert Statement.objects.aggregate(total=Sum("total_minor"))["total"] == 3000
    assert ledger.faults() == []


def test_an_upheld_dispute_takes_every_fee_back_and_settles_none(point: ServicePoint) -> None:
    resolve(a_disputed_pickup(point), "upheld")
    assert Posting.objects.filter(kind="reversal").count() == 6
    assert close(this_month()).statements.count() == 0
    assert ledger.faults() == []


def test_fees_that_were_settled_before_the_dispute_come_back_in_the_next_statement(point: ServicePoint) -> None:
    a_pickup(point)
    close(this_month())
    dispute = disputes.open_dispute(Parcel.objects.get())
    resolve(dispute, "upheld")
    second = close(month_after(1), days=80)
    assert second.statements.aggregate(total=Sum("total_minor"))["total"] == -3000
    close(month_after(2), days=110)
    assert StatementLine.objects.count() == 12
    assert ledger.faults() == []


def test_a_hand_over_has_one_dispute_however_often_it_is_told(point: ServicePoint) -> None:
    first = a_disputed_pickup(point, note="I was abroad")
    again = disputes.open_dispute(Parcel.objects.get(), note="again")
    assert (again.pk, again.note) == (first.pk, "I was abroad")


def test_an_undone_hand_over_needs_no_dispute(point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    scanning.record(scanner, scan("undo", parcel))
    with pytest.raises(disputes.Refused, match="not_collected"):
        disputes.open_dispute(parcel)


def test_a_hand_over_after_an_undone_one_has_a_dispute_of_its_own(point: ServicePoint) -> None:
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    disputes.open_dispute(parcel)
    scanning.record(scanner, scan("undo", parcel))
    assert disputes.of(parcel) is None
    pick_up(scanner, parcel)
    disputes.open_dispute(parcel)
    assert Dispute.objects.count() == 2


def test_a_dispute_is_decided_once(point: ServicePoint) -> None:
    dispute = a_disputed_pickup(point)
    resolve(dispute, "upheld")
    with pytest.raises(disputes.Refused, match="resolved"):
        resolve(dispute, "dismissed")
    assert Dispute.objects.get().outcome == "upheld"
    assert Posting.objects.filter(kind="reversal").count() == 6


def test_a_decision_needs_a_reason(point: ServicePoint) -> None:
    assert refusal_of(a_disputed_pickup(point), reason=" ") == "no_reason"


def test_nobody_decides_on_the_own_shop(point: ServicePoint) -> None:
    dispute = a_disputed_pickup(point)
    assert refusal_of(dispute, by=factories.make_member(point, is_staff=True)) == "own_pickup"
    assert not Posting.objects.filter(kind="reversal").exists()


def test_who_worked_there_once_may_decide(point: ServicePoint) -> None:
    dispute = a_disputed_pickup(point)
    person = factories.make_member(point, is_staff=True)
    person.memberships.update(ended_at=now())
    assert resolve(dispute, "dismissed", by=person).resolved_by == person


def test_a_dispute_waits_until_the_clerk_can_undo_no_more(point: ServicePoint) -> None:
    assert timedelta(minutes=10) == parcels.UNDO_WITHIN
    assert refusal_of(a_disputed_pickup(point), now=now()) == "too_soon"


def test_the_database_keeps_a_decision_and_its_reason(point: ServicePoint) -> None:
    dispute = a_disputed_pickup(point)
    with pytest.raises(IntegrityError, match="dispute_outcome_has_reason"), transaction.atomic():
        Dispute.objects.update(outcome="upheld", resolved_by=factories.make_user(), resolved_at=now())
    resolve(dispute, "dismissed")
    with pytest.raises(IntegrityError, match="ends once"), transaction.atomic():
        Dispute.objects.update(outcome="upheld")
