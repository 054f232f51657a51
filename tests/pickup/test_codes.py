"""Tokens that only we can make, and codes that only their parcel has."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import base45
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickup import codes

LATER = datetime(2027, 1, 1, tzinfo=UTC)


def token(parcel: UUID, issue: int = 1) -> str:
    return codes.token_of(parcel=parcel, issue=issue, point_id=7, expires_at=LATER)


def test_a_token_says_what_was_put_in() -> None:
    parcel = uuid4()
    read = codes.read_token(token(parcel))
    assert (read.parcel, read.point_id, read.secret) == (parcel, 7, codes.secret_of(parcel, 1))


def test_a_token_fits_a_small_qr() -> None:
    assert len(token(uuid4())) == 3 + 159


def test_the_same_parcel_and_issue_make_the_same_proofs() -> None:
    parcel = uuid4()
    assert token(parcel) == token(parcel)
    assert codes.code_of(parcel, 1) == codes.code_of(parcel, 1)


def test_another_issue_changes_every_proof() -> None:
    parcel = uuid4()
    assert token(parcel, 1) != token(parcel, 2)
    assert codes.code_of(parcel, 1) != codes.code_of(parcel, 2)
    assert codes.link_of(parcel, 1) != codes.link_of(parcel, 2)


def test_a_code_has_eight_ascii_digits() -> None:
    for _ in range(200):
        code = codes.code_of(uuid4(), 1)
        assert len(code) == 8
        assert code.isascii()
        assert code.isdigit()


def test_codes_are_spread_over_all_values() -> None:
    firsts = [codes.code_of(uuid4(), 1)[0] for _ in range(5000)]
    assert all(350 < firsts.count(digit) < 650 for digit in "0123456789")


@pytest.mark.parametrize("place", range(0, 106, 5))
def test_a_token_with_one_bit_changed_is_forged(place: int) -> None:
    raw = bytearray(base45.b45decode(token(uuid4())[3:]))
    raw[place] ^= 1
    with pytest.raises(codes.ForgedToken):
        codes.read_token("P1." + base45.b45encode(bytes(raw)).decode())


@given(st.text(max_size=300))
def test_no_text_is_a_token(text: str) -> None:
    for candidate in (text, "P1." + text):
        with pytest.raises(codes.ForgedToken):
            codes.read_token(candidate)


@given(st.binary(min_size=106, max_size=106))
def test_no_bytes_of_the_right_length_are_a_token(raw: bytes) -> None:
    with pytest.raises(codes.ForgedToken):
        codes.read_token("P1." + base45.b45encode(raw).decode())


def test_the_same_code_hashes_differently_for_another_barcode() -> None:
    assert codes.hash_code("A", "12345678") != codes.hash_code("B", "12345678")


# Two keys at once


@pytest.fixture
def keys(settings: Any) -> Iterator[Callable[..., None]]:
    """Sets the signing keys by their numbers, as after a restart with another secrets file."""
    seeds = {number: base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3)}

    def use(*numbers: int) -> None:
        settings.SECRETS = {**settings.SECRETS, "signing_keys": {str(number): seeds[number] for number in numbers}}
        forget()

    def forget() -> None:
        codes._signing_keys.cache_clear()
        codes._public_key.cache_clear()

    yield use
    forget()


def test_a_new_key_signs_and_the_old_one_is_still_read(keys: Callable[..., None]) -> None:
    keys(1)
    parcel = uuid4()
    old = token(parcel)
    keys(1, 2)
    new = token(parcel)
    assert old != new
    assert codes.read_token(old) == codes.read_token(new)
    assert sorted(codes.public_keys()) == [1, 2], "devices without a network get both"


def test_a_key_that_was_taken_away_opens_nothing(keys: Callable[..., None]) -> None:
    keys(1)
    old = token(uuid4())
    keys(2, 3)
    with pytest.raises(codes.ForgedToken, match="key"):
        codes.read_token(old)


def test_the_number_of_a_key_is_not_taken_for_the_key(keys: Callable[..., None]) -> None:
    """A token signed with the old key that calls itself one of the new key's."""
    keys(1, 2)
    raw = bytearray(base45.b45decode(token(uuid4())[3:]))
    assert raw[1] == 2
    raw[1] = 1
    with pytest.raises(codes.ForgedToken, match="signature"):
        codes.read_token("P1." + base45.b45encode(bytes(raw)).decode())
