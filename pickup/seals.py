"""The chain over the books: each row about money is linked to the one before, and blocks of links are sealed.

A link's hash is SHA-256 of the hash before it and of the row as it was when it was sealed. A block's seal is made with
a key outside the database, so that whoever rewrites rows and hashes together cannot seal them again. Rows are sealed
some seconds after they are committed, by a sweep and after each closing; what commits late is sealed late.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from pickup.ledger import Fault
from pickup.models import SealBlock

ROWS_PER_BLOCK = 100_000
# No transaction lasts that long: what is not sealed after it came from a hand that went around the doors.
SETTLES_WITHIN = timedelta(hours=1)


@dataclass(frozen=True)
class Noun:
    """Rows of one table. `columns` are those that never change, `named` tells a reader which row it is."""

    table: str
    columns: tuple[str, ...]
    named: str
    key: str = "id"
    times: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """SQL for the row as text: JSON, so that no two rows read alike, and moments as whole microseconds."""
        moments = [f"(extract(epoch FROM r.{time}) * 1000000)::bigint" for time in self.times]
        return "json_build_array({})::text".format(
            ", ".join([*(name if "(" in name else f"r.{name}" for name in self.columns), *moments])
        )


NOUNS: dict[str, Noun] = {
    "account": Noun("pickup_account", ("id", "kind", "currency", "service_point_id", "agent_id"), "r.kind"),
    "posting": Noun(
        "pickup_posting",
        (
            *("id", "key", "kind", "debit_id", "debit_kind", "credit_id", "credit_kind", "amount_minor", "currency"),
            *("handover_id", "tariff_id", "region_id", "level", "appointment_id", "reverses_id", "reason"),
        ),
        "r.key",
        times=("recorded_at", "payable_at"),
    ),
    "settlement": Noun("pickup_settlement", ("id", "period", "currency"), "r.period", times=("closed_at",)),
    "statement": Noun(
        "pickup_statement",
        ("id", "settlement_id", "account_id", "opening_minor", "carried_minor", "total_minor"),
        "'account ' || r.account_id",
    ),
    "line": Noun(
        "pickup_statementline",
        ("posting_id", "statement_id", "amount_minor"),
        "'statement ' || r.statement_id",
        key="posting_id",
    ),
    "details": Noun(
        "pickup_bankdetails",
        ("id", "account_id", "encode(r.box, 'hex')", "shown", "made_by_id"),
        "r.shown",
        times=("made_at",),
    ),
    "adjustment": Noun(
        "pickup_adjustment",
        ("id", "account_id", "amount_minor", "reason", "made_by_id"),
        "r.reason",
        times=("made_at",),
    ),
    "batch": Noun("pickup_payoutbatch", ("id", "currency", "channel", "made_by_id"), "r.currency", times=("made_at",)),
    "file": Noun(
        "pickup_bankfile",
        ("batch_id", "name", "encode(r.box, 'hex')", "encode(r.sha256, 'hex')"),
        "r.name",
        key="batch_id",
        times=("made_at",),
    ),
    "payout": Noun(
        "pickup_payout",
        ("id", "batch_id", "statement_id", "account_id", "details_id", "amount_minor", "currency", "end_to_end_id"),
        "r.end_to_end_id",
    ),
    "step": Noun(
        "pickup_payoutstep", ("id", "payout_id", "before", "after", "by_id", "note"), "r.after", times=("at",)
    ),
    "note": Noun(
        "pickup_casenote", ("id", "case_id", "author_id", "text"), "'case ' || r.case_id", times=("written_at",)
    ),
}


@cache
def _key() -> bytes:
    return hmac.digest(base64.b64decode(settings.SECRETS["code_key"]), b"ledger seal", "sha256")


def _seal_of(block: SealBlock, before: bytes) -> bytes:
    told = f"{block.number}|{block.last_place}|{block.sealed_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}|".encode()
    return hmac.digest(_key(), before + told + bytes(block.head), "sha256")


def head() -> SealBlock | None:
    """The newest block: what a backup and its restore must agree on."""
    return SealBlock.objects.order_by("-number").first()


def seal(*, now: datetime) -> int:
    """Link and seal all rows that are not yet; return how many. One block a transaction, one sealer at a time."""
    sealed = 0
    while added := _seal_block(now):
        sealed += added
    return sealed


def _seal_block(now: datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('ledger seal'))")
        cursor.execute("SET LOCAL statement_timeout = 0")
        last = head() or _begin(now)
        before = SealBlock.objects.filter(sealed_at__lt=now - SETTLES_WITHIN).order_by("-number").first()
        marks = dict(last.marks)
        place, tip = last.last_place, bytes(last.head)
        for name, noun in NOUNS.items():
            room = ROWS_PER_BLOCK - (place - last.last_place)
            if room <= 0:
                break
            low = 0 if before is None else before.marks.get(name, 0)
            named = {"noun": name, "low": low, "room": room, "place": place, "tip": tip}
            cursor.execute(_link_sql(noun), named)
            count, highest, newest = cursor.fetchone()
            if count:
                place, tip = place + count, bytes(newest)
                marks[name] = max(highest, marks.get(name, 0))
        if place == last.last_place:
            return 0
        block = SealBlock(number=last.number + 1, last_place=place, head=tip, marks=marks, sealed_at=now)
        block.seal = _seal_of(block, bytes(last.seal))
        block.save(force_insert=True)
        return place - last.last_place


def _begin(now: datetime) -> SealBlock:
    """Block 0 has random bytes for a head, by which the books of one network are known from those of another."""
    block = SealBlock(number=0, last_place=0, head=secrets.token_bytes(32), marks={}, sealed_at=now)
    block.seal = _seal_of(block, b"")
    block.save(force_insert=True)
    return block


def _link_sql(noun: Noun) -> str:
    return f"""
        WITH fresh AS MATERIALIZED (
            SELECT r.{noun.key} AS object_id, {noun.content} AS content FROM {noun.table} r
            WHERE r.{noun.key} > %(low)s AND NOT EXISTS (
                SELECT FROM pickup_sealedrow s WHERE s.noun = %(noun)s AND s.object_id = r.{noun.key})
            ORDER BY r.{noun.key} LIMIT %(room)s
        ), added AS (
            INSERT INTO pickup_sealedrow (place, noun, object_id, hash)
            SELECT %(place)s + row_number() OVER by_key, %(noun)s, object_id, chained(%(tip)s, content) OVER by_key
            FROM fresh WINDOW by_key AS (ORDER BY object_id ROWS UNBOUNDED PRECEDING)
            RETURNING place, object_id, hash
        )
        SELECT COUNT(*), MAX(object_id), (array_agg(hash ORDER BY place DESC))[1] FROM added"""  # noqa: S608


# ---------------------------------------------------------------- looking


def faults(*, now: datetime, expected: str = "") -> list[Fault]:
    """Look for rows that were changed, deleted, added or moved since they were sealed, the first in the chain first.

    `expected`: the head of a block in hex, noted outside; it must be in the chain.
    """
    found = list(_blocks(expected))
    with connection.cursor() as cursor:
        cursor.execute(GAPS)
        found += [Fault("link of the chain is missing before it", f"place {place}") for (place,) in cursor.fetchall()]
        placed: list[tuple[int, Fault]] = []
        for name, noun in NOUNS.items():
            cursor.execute(_check_sql(noun), {"noun": name})
            for place, object_id, named in cursor.fetchall():
                if named is None:
                    placed.append((place, Fault(f"{name} was deleted after it was sealed", str(object_id))))
                else:
                    placed.append((place, Fault(f"{name} is not what was sealed", f"{object_id} ({named})")))
        placed.sort(key=lambda one: one[0])
        found += [fault for _, fault in placed]
        before = SealBlock.objects.filter(sealed_at__lt=now - SETTLES_WITHIN).order_by("-number").first()
        for name, noun in NOUNS.items():
            low = 0 if before is None else before.marks.get(name, 0)
            cursor.execute(_unsealed_sql(noun), {"noun": name, "low": low})
            found += [
                Fault(f"{name} was added behind the seal", f"{object_id} ({named})")
                for object_id, named in cursor.fetchall()
            ]
    return found


def _blocks(expected: str) -> Iterator[Fault]:
    """Each block follows the one before, its seal is ours, and its head is the last link that it covers."""
    seal, number, is_known = b"", -1, not expected
    last_place = 0
    for block in SealBlock.objects.order_by("number").iterator():
        if block.number != number + 1:
            yield Fault("block of the chain is missing before it", f"block {block.number}")
        elif not hmac.compare_digest(bytes(block.seal), _seal_of(block, seal)):
            yield Fault("seal is broken", f"block {block.number}")
        seal, number, last_place = bytes(block.seal), block.number, block.last_place
        is_known |= bytes(block.head).hex() == expected.lower()
    if not is_known:
        yield Fault("head is not in the chain", expected)
    with connection.cursor() as cursor:
        cursor.execute(HEADS)
        for (broken,) in cursor.fetchall():
            yield Fault("head is not its last link", f"block {broken}")
        cursor.execute("SELECT place FROM pickup_sealedrow WHERE place > %s ORDER BY place LIMIT 1", [last_place])
        for (place,) in cursor.fetchall():
            yield Fault("links belong to no block from here on", f"place {place}")


HEADS = """SELECT b.number FROM pickup_sealblock b LEFT JOIN pickup_sealedrow s ON s.place = b.last_place
           WHERE b.number > 0 AND s.hash IS DISTINCT FROM b.head ORDER BY b.number"""
GAPS = """SELECT place FROM (
              SELECT place, lag(place, 1, 0::bigint) OVER (ORDER BY place) AS before FROM pickup_sealedrow) s
          WHERE place <> before + 1 ORDER BY place"""


def _check_sql(noun: Noun) -> str:
    # Each link is checked against the hash that the one before it has now: both stand in the table.
    return f"""
        SELECT s.place, s.object_id, CASE WHEN r.{noun.key} IS NULL THEN NULL ELSE {noun.named} END
        FROM (SELECT place, noun, object_id, hash, lag(hash) OVER (ORDER BY place) AS before FROM pickup_sealedrow) s
        LEFT JOIN {noun.table} r ON r.{noun.key} = s.object_id
        WHERE s.noun = %(noun)s AND (r.{noun.key} IS NULL OR s.hash <> sha256(
            COALESCE(s.before, (SELECT head FROM pickup_sealblock WHERE number = 0))
            || convert_to({noun.content}, 'UTF8')))"""  # noqa: S608


def _unsealed_sql(noun: Noun) -> str:
    return f"""
        SELECT r.{noun.key}, {noun.named} FROM {noun.table} r
        WHERE r.{noun.key} <= %(low)s AND NOT EXISTS (
            SELECT FROM pickup_sealedrow s WHERE s.noun = %(noun)s AND s.object_id = r.{noun.key})
        ORDER BY r.{noun.key}"""  # noqa: S608


def waiting() -> dict[str, Any]:
    """How many rows of each noun are not sealed yet, where there are some."""
    with connection.cursor() as cursor:
        counts = {}
        for name, noun in NOUNS.items():
            cursor.execute(
                f"""SELECT COUNT(*) FROM {noun.table} r WHERE r.{noun.key} > COALESCE(
                        (SELECT (marks ->> %(noun)s)::bigint FROM pickup_sealblock ORDER BY number DESC LIMIT 1), 0)""",  # noqa: S608
                {"noun": name},
            )
            counts[name] = int(cursor.fetchone()[0])
    return {name: count for name, count in counts.items() if count}
