"""Who earns what by a verified pickup (R7, R8). The rule itself is the database function `fee_parts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from pickup import ledger
from pickup.models import Handover, Posting, Scan, Tariff


class NoTariff(Exception):
    """The first tariff begins later."""


@dataclass(frozen=True)
class Part:
    """One agent's difference. `level` is `network.models.Level`, the amount in minor units."""

    appointment_id: int
    agent_id: int
    region_id: int
    level: int
    amount_minor: int


def tariff_at(at: datetime) -> Tariff:
    tariff = Tariff.objects.filter(valid_from__lte=at).order_by("-valid_from").first()
    if tariff is None:
        raise NoTariff(at.isoformat())
    return tariff


def agent_parts(*, region_ids: Sequence[int], at: datetime, tariff: Tariff) -> list[Part]:
    """What the agents of a region chain (deepest first) would get for a pickup at `at`, zero parts included."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT appointment_id, agent_id, region_id, level, amount_minor FROM fee_parts(%s, %s, %s)",
            [list(region_ids), at, tariff.pk],
        )
        return [Part(*row) for row in cursor.fetchall()]


def reverse_pickup(handover: Handover, *, undone_by: Scan, reason: str) -> None:
    """Take back every fee of a hand-over that a clerk undid."""
    handover.undone_by = undone_by
    handover.save(update_fields=["undone_by"])
    for posting in handover.postings.exclude(kind=Posting.Kind.REVERSAL).order_by("id"):
        ledger.reverse(posting, reason=reason)
