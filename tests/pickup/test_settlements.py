"""Closing a month: each payable posting once, whatever runs twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Sum
from django.utils.timezone import localtime, now

from network.models import ServicePoint
from pickup import ledger, scanning, settlements
from pickup.models import Posting, Settlement, Statement, StatementLine, Tariff
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
    return settlements.close_period(period=period, now=now() + timedelta(days=days), currency="CNY")


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
    other = settlements.close_period(period=this_month(), now=now() + timedelta(days=45), currency="EUR")
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
