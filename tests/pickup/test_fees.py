"""Who earns what: the table of R8 through real scans, and the rule against a model of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, InternalError, transaction
from django.utils.timezone import now

from network.models import Level
from pickup import fees
from pickup.models import Posting, Tariff
from tests import factories
from tests.factories import chain_ids, make_appointment, make_point, make_ready_parcel, pick_up

pytestmark = pytest.mark.django_db

C, D, T, P, M = Level.CUSTOM, Level.DISTRICT, Level.CITY, Level.PROVINCE, Level.MACRO
TABLE_OF_R8 = [
    ([D, T, P, M], 1000, {D: 300, T: 200, P: 300, M: 200}),
    ([C, D, T, P, M], 1000, {C: 100, D: 200, T: 200, P: 300, M: 200}),
    ([T, P, M], 1000, {T: 500, P: 300, M: 200}),
    ([D, P], 1000, {D: 300, P: 500}),
    ([M], 1000, {M: 1000}),
    ([], 1000, {}),
    ([D, T, P, M], 600, {D: 300, T: 200, P: 100}),
]


@pytest.mark.parametrize(("appointed", "cap_minor", "expected"), TABLE_OF_R8)
def test_the_table_of_r8_by_real_scans(
    chain: dict[Level, Any], appointed: list[Level], cap_minor: int, expected: dict[Level, int]
) -> None:
    Tariff.objects.update(cap_minor=cap_minor)
    for level in appointed:
        make_appointment(chain[level])
    point = make_point()
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=chain_ids(chain)))
    paid = {
        Level(level or 0): amount
        for level, amount in Posting.objects.filter(kind="agent_fee").values_list("level", "amount_minor")
    }
    assert paid == expected
    assert Posting.objects.get(kind="point_fee").amount_minor == 2000


def expected_parts(ceilings: Sequence[int], cap: int) -> list[int]:
    """R8 written a second time, from the rule's words: deepest first, only appointed levels."""
    parts, granted = [], 0
    for ceiling in ceilings:
        part = max(0, min(ceiling, cap) - granted)
        granted = max(granted, min(ceiling, cap))
        parts.append(part)
    return parts


def test_every_set_of_appointments_and_cap_agrees_with_the_model(chain: dict[Level, Any]) -> None:
    ceiling = {C: 100, D: 300, T: 500, P: 800, M: 1000}
    tariff = Tariff.objects.get()
    for size in range(6):
        for appointed in itertools.combinations([C, D, T, P, M], size):
            for cap in (0, 50, 100, 299, 600, 1000, 5000):
                Tariff.objects.filter(pk=tariff.pk).update(cap_minor=cap)
                with transaction.atomic():
                    for level in appointed:
                        make_appointment(chain[level])
                    parts = fees.agent_parts(region_ids=chain_ids(chain), at=now(), tariff=tariff)
                    transaction.set_rollback(True)
                assert [part.amount_minor for part in parts] == expected_parts(
                    [ceiling[level] for level in appointed], cap
                )
                assert sum(part.amount_minor for part in parts) <= cap


def test_one_person_at_two_levels_gets_both_differences(chain: dict[Level, Any]) -> None:
    agent = factories.make_agent()
    make_appointment(chain[D], agent)
    make_appointment(chain[P], agent)
    parts = fees.agent_parts(region_ids=chain_ids(chain), at=now(), tariff=Tariff.objects.get())
    assert [(part.agent_id, part.amount_minor) for part in parts] == [(agent.pk, 300), (agent.pk, 500)]


def test_the_appointment_in_force_at_that_time_counts(chain: dict[Level, Any]) -> None:
    make_appointment(chain[D])
    tariff = Tariff.objects.get()
    before, after = now() - timedelta(days=2), now() + timedelta(days=366)
    assert fees.agent_parts(region_ids=chain_ids(chain), at=before, tariff=tariff) == []
    assert fees.agent_parts(region_ids=chain_ids(chain), at=after, tariff=tariff) == []


def test_regions_outside_the_address_earn_nothing(chain: dict[Level, Any]) -> None:
    other = factories.make_region("440306", "宝安区", Level.DISTRICT, chain[T])
    make_appointment(other)
    assert fees.agent_parts(region_ids=chain_ids(chain), at=now(), tariff=Tariff.objects.get()) == []


def test_the_address_decides_and_not_where_the_shop_is(chain: dict[Level, Any]) -> None:
    make_appointment(chain[D])
    elsewhere = factories.make_region("440306", "宝安区", Level.DISTRICT, chain[T])
    make_appointment(elsewhere)
    point = make_point(region=elsewhere, region_ids=[elsewhere.pk])
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=chain_ids(chain)))
    assert Posting.objects.get(kind="agent_fee").region == chain[D]


def test_a_fee_remembers_its_tariff_region_and_appointment(chain: dict[Level, Any]) -> None:
    appointment = make_appointment(chain[D])
    point = make_point()
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point, region_ids=chain_ids(chain)))
    fee = Posting.objects.get(kind="agent_fee")
    assert (fee.appointment, fee.region, fee.tariff) == (appointment, chain[D], Tariff.objects.get())
    assert fee.payable_at - fee.recorded_at == pytest.approx(timedelta(hours=72), abs=timedelta(seconds=5))


def test_a_tariff_that_has_paid_is_frozen(chain: dict[Level, Any]) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    pick_up(scanner, make_ready_parcel(scanner, point))
    with pytest.raises((IntegrityError, InternalError)), transaction.atomic():
        Tariff.objects.update(point_fee_minor=1)
    with pytest.raises((IntegrityError, InternalError)), transaction.atomic():
        Tariff.objects.all().delete()


def test_a_later_tariff_pays_later_pickups_only(chain: dict[Level, Any]) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    first = make_ready_parcel(scanner, point)
    pick_up(scanner, first)
    change = now()
    Tariff.objects.create(name="new", valid_from=change + timedelta(milliseconds=1), point_fee_minor=1500)
    pick_up(scanner, make_ready_parcel(scanner, point))
    amounts = list(Posting.objects.order_by("id").values_list("amount_minor", flat=True))
    assert amounts == [2000, 1500]


def test_two_tariffs_never_begin_together() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Tariff.objects.create(name="second", valid_from=Tariff.objects.get().valid_from)


def test_a_tariff_never_begins_before_pickups_that_another_one_paid(chain: dict[Level, Any]) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    before = now()
    pick_up(scanner, make_ready_parcel(scanner, point))
    with pytest.raises(DatabaseError, match="in the past"), transaction.atomic():
        Tariff.objects.create(name="backdated", valid_from=before)


def test_without_a_tariff_the_question_is_refused() -> None:
    with pytest.raises(fees.NoTariff):
        fees.tariff_at(factories.LONG_AGO - timedelta(days=1))
