"""Thieves: guessed codes, forged and moved tokens. What a proof is, only its recipient's device knows.

`--long` runs the promised numbers (10,000 mutated tokens, 64 threads with 10,000 guesses); else a short form.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import base45
import pytest
from django.db import connection
from django.utils.timezone import now

import pickup.models
from pickup import codes, scanning, verification
from pickup.models import Handover, Parcel, PickupCode, Scan, WrongCodeDay
from pickup.parcels import issue_code
from pickup.scans import Scanner
from tests import factories
from tests.factories import code_of, make_point, make_ready_parcel, scan, token_of
from tests.roles import as_owner

HAND_OVER_SQL = (Path(pickup.models.__file__).parent / "sql" / "handover.sql").read_text()
B45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def mutations(token: str, others: list[str], chance: random.Random) -> Iterator[str]:
    """Tokens that are almost right: bits, characters, lengths, parts of other tokens, other spellings."""
    raw = base45.b45decode(token[3:])
    while True:
        other = base45.b45decode(chance.choice(others)[3:])
        one = bytearray(raw)
        kind = chance.randrange(7)
        if kind == 0:
            one[chance.randrange(len(one))] ^= 1 << chance.randrange(8)
        elif kind == 1:  # a part of another parcel's token
            begin, end = sorted(chance.sample(range(len(one) + 1), 2))
            one[begin:end] = other[begin:end]
        elif kind == 2:
            del one[chance.randrange(len(one)) :]
        elif kind == 3:
            one += chance.randbytes(chance.randrange(1, 5))
        elif kind == 4:  # signed with zeros, or with another's signature
            one[-64:] = other[-64:] if chance.random() < 0.5 else bytes(64)
        elif kind == 5:
            place = chance.randrange(3, len(token))
            yield token[:place] + chance.choice(B45.replace(token[place], "")) + token[place + 1 :]
            continue
        else:
            yield chance.choice([token.lower(), token[3:], "P2." + token[3:], token + " ", " " + token, token + token])
            continue
        if bytes(one) not in (raw, other):
            yield "P1." + base45.b45encode(bytes(one)).decode()


@pytest.mark.django_db
def test_no_mutated_token_hands_anything_over(is_long: bool) -> None:
    count = 10_000 if is_long else 1_000
    point = make_point()
    scanner = factories.scanner_of(point)
    parcels = [make_ready_parcel(scanner, point) for _ in range(5)]
    chance = random.Random(5)
    tokens = [token_of(parcel) for parcel in parcels]
    forged = mutations(tokens[0], tokens[1:], chance)
    told: Counter[str] = Counter()
    for _ in range(count // 100):
        batch = [scan("pickup", parcels[0], token=next(forged)) for _ in range(100)]
        answers = scanning.record_batch(scanner, batch)
        told.update(answer.verdict for answer in answers)  # type: ignore[union-attr]
    assert set(told) <= {"wrong_code", "code_revoked"}
    assert sum(told.values()) == count
    assert not Handover.objects.exists()
    assert scanning.record(scanner, scan("pickup", parcels[0], token=tokens[0])).verdict == "ok", "the control"


class AnySignature:
    """A key that says yes to everything."""

    def verify(self, signature: bytes, body: bytes) -> None:
        return None


@pytest.mark.django_db
@pytest.mark.parametrize(("compared", "taken"), [(True, False), (False, True)], ids=["second line", "control"])
def test_a_forged_signature_is_not_enough_while_the_secret_is_compared(
    monkeypatch: pytest.MonkeyPatch, compared: bool, taken: bool
) -> None:
    """Two guards, one behind the other: without the first nothing is lost, without both of them forged tokens work."""
    point = make_point()
    scanner = factories.scanner_of(point)
    parcels = [make_ready_parcel(scanner, point) for _ in range(3)]
    tokens = [token_of(parcel) for parcel in parcels]
    forged = mutations(tokens[0], tokens[1:], random.Random(6))
    monkeypatch.setattr(codes, "_public_key", lambda kid: AnySignature())
    if not compared:
        unguarded = HAND_OVER_SQL.replace("s.proof_hash = secret.token_hash", "TRUE")
        assert unguarded != HAND_OVER_SQL
        with as_owner(), connection.cursor() as cursor:
            cursor.execute(unguarded)
    mine = (token for token in forged if is_of(parcels[0], token) and secret_in(token) != secret_in(tokens[0]))
    answers = [scanning.record(scanner, scan("pickup", parcels[0], token=next(mine))) for _ in range(20)]
    assert ("ok" in {answer.verdict for answer in answers}) == taken
    assert Handover.objects.exists() == taken


def is_of(parcel: Parcel, token: str) -> bool:
    try:
        return codes.read_token(token).parcel == parcel.uuid
    except codes.ForgedToken:
        return False


def secret_in(token: str) -> bytes:
    return codes.read_token(token).secret


@pytest.mark.django_db
def test_a_token_of_another_shop_of_an_older_issue_or_used_up_hands_nothing_over() -> None:
    here, there = make_point(), make_point()
    scanner = factories.scanner_of(here)
    parcel = make_ready_parcel(scanner, here)
    old = token_of(parcel)
    moved = token_of(parcel, point_id=there.pk)
    assert scanning.record(scanner, scan("pickup", parcel, token=moved)).verdict == "code_revoked"
    assert scanning.record(factories.scanner_of(there), scan("pickup", parcel, token=old)).verdict == "wrong_point"
    issue_code(parcel, issue=2)
    parcel.code.refresh_from_db()
    assert scanning.record(scanner, scan("pickup", parcel, token=old)).verdict == "code_revoked"
    new = token_of(parcel)
    assert scanning.record(scanner, scan("pickup", parcel, token=new)).verdict == "ok"
    assert scanning.record(scanner, scan("pickup", parcel, token=new)).verdict == "already_collected"
    assert Handover.objects.count() == 1


def guess(scanner: Scanner, parcels: list[Parcel], guesses: int, threads: int) -> Counter[str]:
    """Type so many different codes in so many threads, each with a connection of its own."""

    def run(share: int) -> list[str]:
        chance = random.Random(share)
        try:
            told = []
            for _ in range(guesses // threads):
                parcel = chance.choice(parcels)
                code = f"{chance.randrange(10**8):08d}"
                if code != code_of(parcel):
                    told.append(scanning.record(scanner, scan("pickup", parcel, code=code)).verdict)
            return told
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return Counter(verdict for told in pool.map(run, range(threads)) for verdict in told)


def compared() -> Counter[int]:
    """How often a code was compared, by parcel: whatever was not compared was refused as locked."""
    return Counter(Scan.objects.filter(kind="pickup", proof="code").values_list("parcel_id", flat=True))


@pytest.mark.django_db(transaction=True)
def test_however_many_guess_five_are_compared_in_a_codes_life_and_twenty_in_a_shops_day(is_long: bool) -> None:
    threads, guesses = (64, 10_000) if is_long else (16, 320)
    point = make_point()
    scanner = factories.scanner_of(point)
    parcels = [make_ready_parcel(scanner, point) for _ in range(8)]
    for _ in range(3):  # the rests after three wrong codes pass in between
        guess(scanner, parcels, guesses // 3, threads)
        PickupCode.objects.update(paused_until=now() - timedelta(seconds=1))
    assert max(compared().values()) <= 5
    assert sum(compared().values()) == 20
    assert WrongCodeDay.objects.get().wrong == 20
    assert not Handover.objects.exists()


@contextmanager
def without_counting() -> Iterator[None]:
    """The same function that says "counted" and counts nothing: what a forgotten commit would come to."""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('count_code_attempt'::regproc)")
        [definition] = cursor.fetchone()
        cursor.execute(
            """CREATE OR REPLACE FUNCTION count_code_attempt(
                   p_point_id bigint, p_device_id bigint, p_scan_id uuid, p_barcode text, p_day date)
               RETURNS text LANGUAGE sql AS $$ SELECT 'counted' $$"""
        )
    try:
        yield
    finally:
        with as_owner(), connection.cursor() as cursor:
            cursor.execute(definition)


@pytest.mark.django_db(transaction=True)
def test_control_without_the_count_every_guess_is_compared() -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    with without_counting():
        guess(scanner, [parcel], 64, 4)
    assert compared()[parcel.pk] == 64


@pytest.mark.django_db(transaction=True)
def test_a_crash_after_the_count_gives_no_attempt_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 500, a kill or a cut connection between count and comparison: the attempt stays counted."""
    point = make_point()
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed here")

    monkeypatch.setattr(verification, "_run", crash)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            scanning.record(scanner, scan("pickup", parcel, code=factories.wrong_code_for(parcel)))
    connection.close()
    parcel.code.refresh_from_db()
    assert parcel.code.attempts == 2
