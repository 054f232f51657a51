"""The chain over the books finds whatever a superuser does to them with the triggers off, and names it."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils.timezone import now

from network.models import ServicePoint
from pickup import adjustments, cases, ledger, payouts, seals, settlements
from pickup.models import Account, Decision, PayoutBatch, Posting, SealBlock, SealedRow, StatementLine
from tests import factories
from tests.factories import make_point, make_ready_parcel, pick_up
from tests.pickup.test_settlements import a_pickup, close, this_month
from tests.roles import as_owner

pytestmark = pytest.mark.django_db


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


@pytest.fixture
def books(point: ServicePoint) -> ServicePoint:
    """Twelve postings, a closed month, all of it sealed two hours ago."""
    a_pickup(point)
    for _ in range(6):
        a_pickup(point)
    close(this_month())
    factories.seal(now=now() - timedelta(hours=2))
    return point


def as_superuser(statement: str, *parameters: Any) -> None:
    """What a hand with all rights does: the triggers off, foreign keys among them. It is rolled back with the test."""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("posting", "statement", "statementline", "sealedrow", "sealblock"):
            cursor.execute(f"ALTER TABLE pickup_{table} DISABLE TRIGGER USER")
        cursor.execute(
            """SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
               WHERE contype = 'f' AND (conrelid::regclass::text = ANY (%s) OR confrelid::regclass::text = ANY (%s))
            """.replace("%s DROP CONSTRAINT %I", "%%s DROP CONSTRAINT %%I"),
            [["pickup_posting", "pickup_statementline"]] * 2,
        )
        for (drop,) in cursor.fetchall():
            cursor.execute(drop)
        cursor.execute(statement, parameters)


def named() -> list[str]:
    return [f"{fault.rule}: {fault.where}" for fault in seals.faults(now=now())]


def test_honest_books_have_no_fault(books: ServicePoint) -> None:
    assert named() == []
    assert SealedRow.objects.filter(noun="posting").count() == Posting.objects.count() == 12
    assert SealedRow.objects.filter(noun="line").count() == 12


def test_what_comes_later_is_sealed_later_and_once(books: ServicePoint) -> None:
    a_pickup(books)
    assert factories.seal(now=now()) == 1
    assert factories.seal(now=now()) == 0
    assert list(SealBlock.objects.order_by("number").values_list("number", flat=True)) == [0, 1, 2]
    assert named() == []


EDITS = {
    "an amount": ("UPDATE pickup_posting SET amount_minor = 2001 WHERE id = %s", "posting is not what was sealed"),
    "a moment": (
        "UPDATE pickup_posting SET recorded_at = recorded_at + interval '1 microsecond' WHERE id = %s",
        "posting is not what was sealed",
    ),
    "a key": ("UPDATE pickup_posting SET key = key || ' ' WHERE id = %s", "posting is not what was sealed"),
    "a reason": ("UPDATE pickup_posting SET reason = '1' WHERE id = %s", "posting is not what was sealed"),
    "when it is payable": (
        "UPDATE pickup_posting SET payable_at = payable_at - interval '1 hour' WHERE id = %s",
        "posting is not what was sealed",
    ),
    "a deleted posting": ("DELETE FROM pickup_posting WHERE id = %s", "posting was deleted after it was sealed"),
    "a line's amount": (
        "UPDATE pickup_statementline SET amount_minor = 1 WHERE posting_id = %s",
        "line is not what was sealed",
    ),
    "a deleted line": (
        "DELETE FROM pickup_statementline WHERE posting_id = %s",
        "line was deleted after it was sealed",
    ),
    "a deleted link": (
        "DELETE FROM pickup_sealedrow WHERE noun = 'posting' AND object_id = %s",
        "posting was added behind the seal",
    ),
    "another hash": (
        "UPDATE pickup_sealedrow SET hash = sha256(hash) WHERE noun = 'posting' AND object_id = %s",
        "posting is not what was sealed",
    ),
}


@pytest.mark.parametrize(("statement", "rule"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_is_found_and_named(books: ServicePoint, statement: str, rule: str) -> None:
    posting = Posting.objects.filter(kind="point_fee").order_by("id")[3]
    as_superuser(statement, posting.pk)
    told = named()
    assert any(line.startswith(f"{rule}: {posting.pk}") for line in told), told


class Hand:
    """A superuser at psql, with triggers, keys and rules off. What it does is the seed's choice, the same each time."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            tables = sorted({noun.table for noun in seals.NOUNS.values()})
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(LIFTED, [tables, tables])
            for (drop,) in cursor.fetchall():
                cursor.execute(drop)

    def edit(self) -> tuple[str, set[str]]:
        """Do one thing to a sealed row; returns what, and the words that must name it."""
        with connection.cursor() as cursor:
            noun = self.dice.choice(list(seals.NOUNS))
            told = seals.NOUNS[noun]
            cursor.execute("SELECT object_id FROM pickup_sealedrow WHERE noun = %s ORDER BY place", [noun])
            rows = [number for (number,) in cursor.fetchall()]
            deed = self.dice.choice(["change", "delete", "insert", "swap"])
            if deed == "swap" and len(rows) < 2:
                deed = "change"
            row = self.dice.choice(rows)
            changed = f"{noun} is not what was sealed"
            if deed == "change":
                column = (
                    self.dice.choice([*(told.columns[1:]), *told.times]).removeprefix("encode(r.").partition(",")[0]
                )
                cursor.execute(f"UPDATE {told.table} SET {column} = {self.other(cursor, told.table, column)} "
                               f"WHERE {told.key} = %s", [row])  # fmt: skip
                return f"{noun} {row}: {column}", {f"{changed}: {row} ("}
            if deed == "delete":
                cursor.execute(f"DELETE FROM {told.table} WHERE {told.key} = %s", [row])
                return f"{noun} {row}: gone", {f"{noun} was deleted after it was sealed: {row}"}
            if deed == "insert":
                cursor.execute(
                    f"""INSERT INTO {told.table} OVERRIDING SYSTEM VALUE
                        SELECT (jsonb_populate_record(r, %s::jsonb)).* FROM {told.table} r WHERE {told.key} = %s""",
                    [json.dumps({told.key: -row}), row],
                )
                return f"{noun} {-row}: slipped in", {f"{noun} was added behind the seal: {-row} ("}
            other = self.dice.choice([one for one in rows if one != row])
            for before, after in ((row, -1), (other, row), (-1, other)):
                cursor.execute(f"UPDATE {told.table} SET {told.key} = %s WHERE {told.key} = %s", [after, before])
            return f"{noun} {row} and {other} swapped", {f"{changed}: {row} (", f"{changed}: {other} ("}

    @staticmethod
    def other(cursor: Any, table: str, column: str) -> str:
        """SQL for another value of a column, whatever its type and whatever it is now."""
        cursor.execute(
            "SELECT data_type FROM information_schema.columns WHERE (table_name, column_name) = (%s, %s)",
            [table, column],
        )
        kind = cursor.fetchone()[0]
        return {
            "character varying": f"CASE WHEN {column} = '' THEN '1' ELSE left({column}, -1) END",
            "bytea": f"sha256({column})",
            "timestamp with time zone": f"{column} - interval '1 microsecond'",
        }.get(kind, f"COALESCE({column} + 1, 1)")


# Rules and keys of some tables and those of others that lead there, but for the primary keys.
LIFTED = """
    SELECT format('ALTER TABLE %%s DROP CONSTRAINT IF EXISTS %%I CASCADE', conrelid::regclass, conname)
    FROM pg_constraint
    WHERE contype <> 'p' AND (conrelid::regclass::text = ANY (%s) OR confrelid::regclass::text = ANY (%s))
    UNION ALL
    SELECT format('DROP INDEX IF EXISTS %%s', indexrelid::regclass) FROM pg_index i
    WHERE indisunique AND NOT indisprimary AND EXISTS (
        SELECT FROM unnest(ARRAY['pickup_posting', 'pickup_payout', 'pickup_bankdetails']) t
        WHERE t = indrelid::regclass::text)
      AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""
EDITS_TRIED = 40


def test_forty_random_edits_are_all_found_and_named(books: ServicePoint) -> None:
    """Promise 8: in every table that is sealed, in any column, one at a time, with all triggers off."""
    everything(books)
    assert {name for name in seals.NOUNS if SealedRow.objects.filter(noun=name).exists()} == set(seals.NOUNS)
    missed, deeds = [], set()
    with as_owner():
        hand = Hand(seed=7)
        for number in range(EDITS_TRIED):
            before = transaction.savepoint()
            what, words = hand.edit()
            told = named()
            missed += [(number, what, word) for word in words if not any(one.startswith(word) for one in told)]
            deeds.add(what)
            transaction.savepoint_rollback(before)
        assert named() == [], "the control: without an edit nothing is named"
    assert missed == []
    assert len(deeds) > EDITS_TRIED * 0.8


def everything(point: ServicePoint) -> None:
    """A row of each noun that has none yet, sealed two hours ago."""
    account = Account.objects.get(service_point=point)
    factories.make_bank_details(account)
    maker, checker, file = factories.make_user(), factories.make_user(), PayoutBatch.Channel.FILE
    row = adjustments.propose(account=account, amount_minor=500, reason="a broken scanner", by=maker)
    adjustments.decide(adjustment=row, decision=Decision.APPROVED, by=checker, now=now())
    line = StatementLine.objects.filter(statement__account=account).order_by("pk")[0]
    cases.open_case(line=line, text="not mine", by=factories.make_member(point))
    batch = payouts.draft(currency="CNY", template=factories.make_template(), channel=file, by=maker, now=now())
    payouts.approve(batch=batch, by=checker, now=now())
    payouts.make_file(batch=batch, by=checker, now=now())
    factories.seal(now=now() - timedelta(hours=2))


def test_two_postings_that_changed_places_are_both_named(books: ServicePoint) -> None:
    first, second = Posting.objects.filter(kind="point_fee").order_by("id")[:2]
    swap(first.pk, second.pk)
    assert {line.split(" (")[0] for line in named()} == {
        f"posting is not what was sealed: {first.pk}",
        f"posting is not what was sealed: {second.pk}",
    }


def swap(first: int, second: int) -> None:
    for before, after in ((first, -1), (second, first), (-1, second)):
        as_superuser("UPDATE pickup_posting SET id = %s WHERE id = %s", after, before)


def test_links_that_changed_places_are_found(books: ServicePoint) -> None:
    for before, after in ((2, 0), (3, 2), (0, 3)):
        as_superuser("UPDATE pickup_sealedrow SET place = %s WHERE place = %s", after, before)
    assert len(named()) >= 2


def test_a_row_that_was_slipped_in_among_old_ones_is_found(books: ServicePoint) -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('pickup_posting', 'id'))")
        number = cursor.fetchone()[0]
    a_pickup(books)
    factories.seal(now=now() - timedelta(hours=2))
    as_superuser(
        """INSERT INTO pickup_posting (id, key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor,
                                       currency, reason, recorded_at, payable_at)
           OVERRIDING SYSTEM VALUE
           SELECT %s, 'gift', 'adjustment', debit_id, debit_kind, credit_id, credit_kind, 5, currency, 'a gift',
                  recorded_at, payable_at FROM pickup_posting WHERE kind = 'point_fee' ORDER BY id LIMIT 1""",
        number,
    )
    assert named() == [f"posting was added behind the seal: {number} (gift)"]


def test_an_adjustment_without_its_paper_is_found_however_new_it_is(books: ServicePoint) -> None:
    as_superuser(
        """INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor,
                                       currency, reason, payable_at)
           SELECT 'gift', 'adjustment', debit_id, debit_kind, credit_id, credit_kind, 5, currency, 'a gift', payable_at
           FROM pickup_posting WHERE kind = 'point_fee' ORDER BY id LIMIT 1"""
    )
    assert ledger.Fault("posting without a paper that two people signed", "gift") in ledger.faults()


def test_hashes_that_were_made_again_after_an_edit_do_not_fit_the_seal(books: ServicePoint) -> None:
    """Control of the key: whoever writes all links anew has a whole chain, and no seal that fits it."""
    fee = Posting.objects.filter(kind="point_fee").order_by("id")[0]
    as_superuser("UPDATE pickup_posting SET amount_minor = 1 WHERE id = %s", fee.pk)
    as_superuser("DELETE FROM pickup_sealedrow")
    with as_owner(), connection.cursor() as cursor:
        place, tip = 0, bytes(SealBlock.objects.get(number=0).head)
        for name, noun in seals.NOUNS.items():
            cursor.execute(seals._link_sql(noun), {"noun": name, "low": 0, "room": 1000, "place": place, "tip": tip})
            count, _highest, newest = cursor.fetchone()
            place, tip = place + count, bytes(newest) if count else tip
    assert named() == ["head is not its last link: block 1"]
    as_superuser("UPDATE pickup_sealblock SET head = %s WHERE number = 1", tip)
    assert named() == ["seal is broken: block 1"]


def test_a_block_that_is_gone_is_missed(books: ServicePoint) -> None:
    a_pickup(books)
    factories.seal(now=now())
    as_superuser("DELETE FROM pickup_sealblock WHERE number = 1")
    assert "block of the chain is missing before it: block 2" in named()


def test_an_end_that_was_cut_off_is_missed_by_who_noted_the_head(books: ServicePoint) -> None:
    a_pickup(books)
    factories.seal(now=now())
    noted = seals.head()
    assert noted is not None
    expected = bytes(noted.head).hex()
    assert seals.faults(now=now(), expected=expected) == []
    as_superuser("DELETE FROM pickup_sealblock WHERE number = 2")
    as_superuser("DELETE FROM pickup_sealedrow WHERE place = (SELECT MAX(place) FROM pickup_sealedrow)")
    newest = Posting.objects.order_by("-id")[0]
    as_superuser("DELETE FROM pickup_posting WHERE id = %s", newest.pk)
    assert named() == []
    assert [fault.rule for fault in seals.faults(now=now(), expected=expected)] == ["head is not in the chain"]


@pytest.mark.parametrize("table", ["pickup_sealedrow", "pickup_sealblock"])
@pytest.mark.parametrize("attack", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_chain_is_only_added_to(books: ServicePoint, table: str, attack: str) -> None:
    change = "hash = ''" if table == "pickup_sealedrow" else "head = ''"
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(DatabaseError, match="only ever added"), transaction.atomic():
            cursor.execute(attack.format(table, change))


def test_a_large_backlog_is_sealed_in_several_blocks(point: ServicePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    scanner = factories.scanner_of(point)
    for _ in range(5):
        pick_up(scanner, make_ready_parcel(scanner, point))
    monkeypatch.setattr(seals, "ROWS_PER_BLOCK", 3)
    assert factories.seal(now=now()) == 7  # two accounts, five postings
    assert SealBlock.objects.count() == 4
    assert named() == []


def test_what_waits_for_the_seal_is_counted(books: ServicePoint) -> None:
    assert seals.waiting() == {}
    a_pickup(books)
    assert seals.waiting() == {"posting": 1}


def test_a_clock_that_went_back_does_not_reopen_a_block(books: ServicePoint) -> None:
    earlier: datetime = now() - timedelta(days=400)
    a_pickup(books)
    assert factories.seal(now=earlier) == 1
    assert named() == []


def test_settled_and_sealed_are_found_by_the_audit(books: ServicePoint) -> None:
    assert ledger.faults() == []
    assert settlements.totals(close(this_month()))
