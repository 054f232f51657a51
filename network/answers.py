"""What geocoders answered, remembered under a keyed hash of the text, so that nobody is asked twice for one address.

Only answers are remembered, "I do not know it" among them: an outage is none. An answer that names another place than
before is kept with the place it left, and believed no more until a person has confirmed one (`network.memory`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.gis.geos import Point
from django.db import connection, transaction

from network import memory
from network.geocoders import Outcome, Said, Service
from network.models import GeocodedPlace

UNKNOWN_FOR = timedelta(days=7)  # maps grow
COMPARED_FOR = timedelta(days=180)  # so long after it an answer that moved is noticed


@dataclass(frozen=True)
class Remembered:
    """One row: found or unknown; whether it is fresh enough to ask nobody; whether it was elsewhere before."""

    said: Said
    is_fresh: bool
    moved: bool


def key(words: str) -> bytes:
    return memory.key(words, sender="geocoders")


def recall(keys: Sequence[bytes], *, names: Sequence[str], at: datetime) -> dict[tuple[bytes, str], Remembered]:
    """Return what these geocoders said about these texts, by text and geocoder, all in one query."""
    rows = GeocodedPlace.objects.filter(key__in=set(keys), geocoder__in=list(names), kept_until__gt=at)
    return {(bytes(row.key), row.geocoder): _remembered(row, at) for row in rows}


def _remembered(row: GeocodedPlace, at: datetime) -> Remembered:
    said = Said(Outcome.UNKNOWN)
    if row.location is not None and row.accuracy_m is not None:
        said = Said(Outcome.FOUND, row.location.y, row.location.x, row.accuracy_m)
    return Remembered(said, row.valid_until > at, row.moved_from is not None)


def keep(
    service: Service, told: Mapping[bytes, Said], *, known: Mapping[bytes, Remembered], at: datetime
) -> dict[bytes, Remembered]:
    """Keep new answers of one geocoder; what is no answer is left out. Returns them as `recall` would.

    `known` are those that were asked for once more because they were old.
    """
    answers = {key: said for key, said in told.items() if said.outcome in {Outcome.FOUND, Outcome.UNKNOWN}}
    kept = {}
    rows = []
    for text_key, said in sorted(answers.items()):
        before = known.get(text_key)
        moved = before is not None and (before.moved or _elsewhere(before.said, said))
        kept[text_key] = Remembered(said, True, moved)
        valid = timedelta(days=service.cache_days)
        if said.outcome is Outcome.UNKNOWN:
            valid = min(valid, UNKNOWN_FOR)
        if not valid:
            continue
        place = Point(said.lon, said.lat, srid=4326) if said.outcome is Outcome.FOUND else None
        left = Point(before.said.lon, before.said.lat, srid=4326) if before and moved else None
        rows.append(
            GeocodedPlace(
                geocoder=service.name,
                key=text_key,
                location=place,
                accuracy_m=said.accuracy_m if place else None,
                moved_from=left if place else None,
                answered_at=at,
                valid_until=at + valid,
                kept_until=at + valid + COMPARED_FOR,
            )
        )
    GeocodedPlace.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["key", "geocoder"],
        update_fields=["location", "accuracy_m", "moved_from", "answered_at", "valid_until", "kept_until"],
    )
    return kept


def _elsewhere(before: Said, after: Said) -> bool:
    if before.outcome is not Outcome.FOUND or after.outcome is not Outcome.FOUND:
        return False
    metres = memory.metres(before.lat, before.lon, after.lat, after.lon)
    return metres > max(memory.SAME_PLACE_M, before.accuracy_m, after.accuracy_m)


def forget_old(*, now: datetime) -> int:
    """Delete what is too old even to be compared with. Returns how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM network_geocodedplace WHERE kept_until <= %s", [now])
        forgotten: int = cursor.rowcount
    return forgotten
