"""How parcels move: the table, in Python and in the database."""

from __future__ import annotations

import itertools

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils.timezone import now

from pickup import parcels
from pickup.models import Parcel
from tests.factories import make_parcel, make_point

pytestmark = pytest.mark.django_db


def test_the_database_and_python_have_the_same_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT before, after FROM parcel_step")
        stored = set(cursor.fetchall())
    assert stored == {(str(a), str(b)) for a, after in parcels.FOLLOWS.items() for b in after}


def test_the_table_is_the_one_of_r4() -> None:
    read_aloud = """
        expected → ready, cancelled, lost, damaged
        ready → collected, expired, refused, cancelled, lost, damaged
        collected → ready
        expired → collected, returned, cancelled, lost, damaged
        refused → returned
    """
    written = {
        before.strip(): set(after.strip().split(", "))
        for before, _, after in (line.partition("→") for line in read_aloud.strip().splitlines())
    }
    assert {str(k): {str(s) for s in v} for k, v in parcels.FOLLOWS.items() if v} == written


@pytest.mark.parametrize(
    ("before", "after"),
    [pair for pair in itertools.permutations(Parcel.Status.values, 2) if pair[1] not in parcels.FOLLOWS[pair[0]]],
)
def test_a_step_outside_the_table_is_refused_twice(before: str, after: str) -> None:
    collected_at = now() if before == "collected" else None
    parcel = make_parcel(make_point(), status=before, hold_until=now(), collected_at=collected_at)
    with pytest.raises(parcels.WrongStatus):
        parcels.move(parcel, to=after)
    times = now() if after == "collected" else None
    with pytest.raises(DatabaseError, match="does not move"), transaction.atomic():
        Parcel.objects.filter(pk=parcel.pk).update(status=after, collected_at=times)
