"""Fees against a model with exact fractions, over generated tariffs, chains, vacancies and caps (promise 9)."""

from __future__ import annotations

import ast
import inspect
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from types import ModuleType

import pytest
from django.db import connection
from django.utils.timezone import now

import pickup.models
from network.models import Level
from pickup import fees, ledger, settlements, tariffs
from pickup.models import Tariff
from pickup.models import ledger as ledger_models
from pickup.models import settlements as settlement_models
from pickup.models import tariffs as tariff_models
from tests import factories
from tests.roles import as_owner

LEVELS = (
    Level.CUSTOM,
    Level.DISTRICT,
    Level.CITY,
    Level.PROVINCE,
    Level.MACRO,
)  # deepest first, as a parcel keeps them
SPREAD = (0, 1, 2, 99, 100, 299, 300, 500, 501, 800, 1000, 99_999, 10**9)


def shares(ceilings: Sequence[Fraction | None], cap: Fraction) -> list[Fraction]:
    """R8 seen as a scale of money from nothing to the cap, in whole units and exactly.

    `ceilings` has one for each appointed region, deepest first, and None for a vacant one. Each stretch between two
    marks of the scale goes to the lowest appointed region whose ceiling reaches over it; if there is none, to nobody.
    """
    marks = sorted({Fraction(0), cap, *(ceiling for ceiling in ceilings if ceiling is not None and ceiling < cap)})
    got = [Fraction(0)] * len(ceilings)
    for low, high in pairwise(marks):
        for place, ceiling in enumerate(ceilings):
            if ceiling is not None and ceiling >= high:
                got[place] += high - low
                break
    return got


def random_tariff(generator: random.Random, number: int) -> Tariff:
    ceilings = sorted(generator.choice([generator.choice(SPREAD), generator.randrange(2000)]) for _ in LEVELS)
    return Tariff(
        name=f"generated {number}",
        valid_from=now() + timedelta(days=1, seconds=number),
        point_fee_minor=generator.choice(SPREAD),
        cap_minor=generator.choice([generator.choice(SPREAD), generator.randrange(2000), 10**10]),
        **dict(zip(map(fees.CEILING_OF.__getitem__, LEVELS), ceilings, strict=True)),
    )


def every_vacancy() -> list[tuple[list[int], list[bool]]]:
    """For each set of appointed levels a chain of its own: its region ids, deepest first, and who is appointed."""
    chains = []
    for mask in range(2 ** len(LEVELS)):
        appointed = [bool(mask >> place & 1) for place in range(len(LEVELS))]
        parent = None
        ids: list[int] = []
        for level, is_held in reversed(list(zip(LEVELS, appointed, strict=True))):
            parent = factories.make_region(f"F{mask}-{level}", f"{level} of {mask}", level, parent)
            if is_held:
                factories.make_appointment(parent)
            ids.insert(0, parent.pk)
        chains.append((ids, appointed))
    return chains


@pytest.mark.django_db
def test_fees_equal_a_model_with_exact_fractions(is_long: bool) -> None:
    generator = random.Random(20261121)
    chains = every_vacancy()
    for count in [2_000] * (50 if is_long else 1):
        made = Tariff.objects.bulk_create([random_tariff(generator, number) for number in range(count)])
        cases = []
        for tariff in made:
            ids, appointed = generator.choice(chains)
            present = [generator.random() < 0.8 for _ in LEVELS]  # not every address lies in a region of every level
            cases.append((tariff, ids, appointed, present))
        asked = [[region for region, here in zip(ids, present, strict=True) if here] for _, ids, _, present in cases]
        paid = fee_parts([tariff.pk for tariff in made], asked)
        for (tariff, ids, appointed, present), got in zip(cases, paid, strict=True):
            ceilings = [
                Fraction(getattr(tariff, fees.CEILING_OF[level]), 100) if held and here else None
                for level, held, here in zip(LEVELS, appointed, present, strict=True)
            ]
            expected = dict(zip(ids, shares(ceilings, Fraction(tariff.cap_minor, 100)), strict=True))
            assert {region: Fraction(minor, 100) for region, minor in got.items() if minor} == {
                region: share for region, share in expected.items() if share
            }, (tariff.name, ceilings, tariff.cap_minor)
        with as_owner():
            Tariff.objects.filter(name__startswith="generated").delete()


def fee_parts(tariff_ids: Sequence[int], chains: Sequence[Sequence[int]]) -> list[dict[int, int]]:
    """What the database's rule says for each tariff and chain: minor units by region, in one question."""
    found: list[dict[int, int]] = [{} for _ in chains]
    texts = ["{" + ",".join(map(str, chain)) + "}" for chain in chains]
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.place - 1, part.region_id, part.amount_minor
               FROM unnest(%s::bigint[], %s::text[]) WITH ORDINALITY AS c(tariff_id, chain, place)
               CROSS JOIN LATERAL fee_parts(c.chain::bigint[], now(), c.tariff_id) part""",
            [list(tariff_ids), texts],
        )
        for place, region, minor in cursor.fetchall():
            assert isinstance(minor, int)
            found[place][region] = minor
    return found


def test_control_the_model_tells_a_wrong_rule_from_the_right_one() -> None:
    """The rule that somebody would write in a hurry: each level its own ceiling, cut off at the cap."""
    ceilings = [Fraction(3), None, Fraction(8)]
    hasty = [min(ceiling or Fraction(0), Fraction(10)) for ceiling in ceilings]
    assert shares(ceilings, Fraction(10)) == [3, 0, 5] != hasty


# No floats


MONEY = (fees, ledger, settlements, tariffs, ledger_models, settlement_models, tariff_models)


@pytest.mark.parametrize("module", MONEY, ids=lambda module: module.__name__)
def test_there_are_no_floats_in_the_money_path(module: ModuleType) -> None:
    assert list(floats(inspect.getsource(module))) == []


@pytest.mark.parametrize("source", ["fee = 0.5", "fee = total / 2", "fee = float(total)", "fee = models.FloatField()"])
def test_control_a_float_would_be_found(source: str) -> None:
    assert len(list(floats(source))) == 1


def floats(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=float()):
                yield f"{node.lineno}: {node.value!r}"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"{node.lineno}: true division"
            case ast.Name(id="float") | ast.Attribute(attr="FloatField"):
                yield f"{node.lineno}: float"


@pytest.mark.django_db
def test_no_column_and_no_function_of_the_money_path_has_a_float() -> None:
    tables = [
        model._meta.db_table
        for model in (
            pickup.models.Posting,
            pickup.models.Tariff,
            pickup.models.StatementLine,
            pickup.models.Statement,
            pickup.models.Settlement,
        )
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT table_name || '.' || column_name FROM information_schema.columns
               WHERE table_name = ANY (%s) AND data_type IN ('real', 'double precision', 'money')""",
            [tables],
        )
        assert cursor.fetchall() == []
        cursor.execute(
            """SELECT p.proname, pg_get_function_arguments(p.oid) || pg_get_function_result(p.oid) || p.prosrc
               FROM pg_proc p WHERE p.proname IN ('fee_parts', 'charge_pickups', 'earned_since', 'account_of')"""
        )
        functions = dict(cursor.fetchall())
    assert functions.keys() == {"fee_parts", "charge_pickups", "earned_since", "account_of"}
    for name, source in functions.items():
        assert not any(word in source for word in ("float", "double", "real", "numeric", " / ")), name
