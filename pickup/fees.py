"""Who earns what by a verified pickup (R7, R8). The rule itself is the database function `fee_parts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import connection

from network.models import Appointment, Level, Region
from pickup import ledger
from pickup.models import Dispute, Handover, Hold, ManualRelease, Posting, Scan, Tariff


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


CEILING_OF = {
    Level.MACRO: "macro_minor",
    Level.PROVINCE: "province_minor",
    Level.CITY: "city_minor",
    Level.DISTRICT: "district_minor",
    Level.CUSTOM: "custom_minor",
}


@dataclass(frozen=True)
class Step:
    """One region of a chain, and what R8 makes of it; amounts in minor units.

    `passed` tells of a vacant region who got its part, as (region id, amount), lowest first; `kept_minor` is what
    nobody above was appointed for, so that the network keeps it. Both are empty where somebody is appointed.
    """

    region: Region
    appointment: Appointment | None
    ceiling_minor: int  # of the region's level by the tariff
    up_to_minor: int  # the ceiling, or the cap where that is less
    below_minor: int  # the highest that was granted below
    amount_minor: int  # the difference: zero where nobody is appointed
    passed: Sequence[tuple[int, int]] = ()
    kept_minor: int = 0

    @property
    def highest_minor(self) -> int:
        """The highest granted so far, this region included."""
        return max(self.below_minor, self.up_to_minor) if self.appointment else self.below_minor


@dataclass(frozen=True)
class Explanation:
    """Who earns what by a pickup at one moment, worked out from the rows it stands on. `steps` is deepest first."""

    at: datetime
    tariff: Tariff
    steps: Sequence[Step]

    @property
    def point_fee_minor(self) -> int:
        return self.tariff.point_fee_minor

    @property
    def agents_minor(self) -> int:
        return sum(step.amount_minor for step in self.steps)

    @property
    def kept_minor(self) -> int:
        return sum(step.kept_minor for step in self.steps)


class Wrong(StrEnum):
    """How the ledger differs from what the rules say of a hand-over."""

    MISSING = "missing"
    UNEXPECTED = "unexpected"
    AMOUNT = "amount"
    TARIFF = "tariff"
    PLACE = "place"  # another region or level
    PAYEE = "payee"
    NOT_REVERSED = "not_reversed"
    REVERSED = "reversed"


@dataclass(frozen=True)
class Difference:
    """`appointment_id` is None for the flat fee of the service point."""

    wrong: Wrong
    appointment_id: int | None
    expected_minor: int
    posted_minor: int


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


def explain(*, region_ids: Sequence[int], at: datetime, tariff: Tariff) -> Explanation:
    """Tell step by step what `fee_parts` answers at once, for a chain that is deepest first. Two queries.

    It is written a second time on purpose, so that the one can be held against the other.
    """
    known = Region.objects.in_bulk(list(region_ids))
    appointed = Appointment.objects.filter(region_id__in=known, valid__contains=at).select_related("agent")
    held = {appointment.region_id: appointment for appointment in appointed}
    chain = [known[region_id] for region_id in region_ids if region_id in known]
    return Explanation(at, tariff, steps(chain, held, tariff=tariff))


def steps(chain: Sequence[Region], held: Mapping[int, Appointment], *, tariff: Tariff) -> list[Step]:
    """R8 for a chain of regions, deepest first, and the appointments in force by region id.

    Seen another way, the money up to the cap is a scale from zero: each unit of it goes to the lowest appointed region
    whose ceiling is above it, and is the part of the lowest region, appointed or not, whose ceiling is above it.
    That tells where a vacant region's part went, whatever the order of the ceilings.
    """
    up_to = [min(tariff.cap_minor, _ceiling(region, tariff)) for region in chain]
    below = [
        max((up_to[lower] for lower in range(place) if chain[lower].pk in held), default=0)
        for place in range(len(chain))
    ]
    told = []
    for place, region in enumerate(chain):
        appointment = held.get(region.pk)
        passed: list[tuple[int, int]] = []
        kept = 0
        if appointment is None:
            first = max((up_to[lower] for lower in range(place)), default=0)
            own = max(0, up_to[place] - first)
            for above in range(place + 1, len(chain)):
                part = min(up_to[place], up_to[above]) - max(first, below[above])
                if chain[above].pk in held and part > 0:
                    passed.append((chain[above].pk, part))
            kept = own - sum(part for _, part in passed)
        told.append(
            Step(
                region=region,
                appointment=appointment,
                ceiling_minor=_ceiling(region, tariff),
                up_to_minor=up_to[place],
                below_minor=below[place],
                amount_minor=max(0, up_to[place] - below[place]) if appointment else 0,
                passed=passed,
                kept_minor=kept,
            )
        )
    return told


def part_of(region_id: int, chain: Sequence[Region], *, tariff: Tariff) -> tuple[int, int]:
    """The part of the scale that is a region's own, appointed or not: from the ceilings below it up to its own."""
    up_to = {region.pk: min(tariff.cap_minor, _ceiling(region, tariff)) for region in chain}
    place = [region.pk for region in chain].index(region_id)
    return max((up_to[region.pk] for region in chain[:place]), default=0), up_to[region_id]


def _ceiling(region: Region, tariff: Tariff) -> int:
    return int(getattr(tariff, CEILING_OF[Level(region.level)]))


def charged_at(handover: Handover) -> datetime:
    """The moment by which a hand-over is charged: the clock that `hand_over` read under the parcel's lock.

    The parcel keeps it while the pickup stands. Of an undone one only the scan is left, recorded in the same
    transaction some milliseconds later; a release without proof is charged by its scan.
    """
    collected_at = handover.parcel.collected_at
    if handover.undone_by_id is None and handover.scan.proof != "manual" and collected_at is not None:
        return collected_at
    return handover.scan.recorded_at


def earns(handover: Handover) -> bool:
    """Whether a hand-over has fees at all: one without a proof only after somebody approved it (R5)."""
    if handover.scan.proof != "manual":
        return True
    release: ManualRelease | None = getattr(handover, "release", None)
    return release is not None and release.decision == ManualRelease.Decision.APPROVED


def is_taken_back(handover: Handover) -> bool:
    """Whether its fees must have been reversed: a clerk undid it, a dispute was upheld, or a hold said so."""
    dispute: Dispute | None = getattr(handover, "dispute", None)
    hold: Hold | None = getattr(handover, "hold", None)
    return (
        handover.undone_by_id is not None
        or (dispute is not None and dispute.outcome == Dispute.Outcome.UPHELD)
        or (hold is not None and hold.decision == Hold.Decision.REVERSED)
    )


def differences(handover: Handover, explanation: Explanation, postings: Sequence[Posting]) -> list[Difference]:
    """Hold the postings of a hand-over against what the rules say of it; nothing wrong is an empty list."""
    posted = {posting.appointment_id: posting for posting in postings if posting.kind in ledger.FEES}
    reversed_ids = {posting.reverses_id for posting in postings if posting.kind == Posting.Kind.REVERSAL}
    expected: dict[int | None, tuple[int, Step | None]] = {}
    if earns(handover):
        expected[None] = (explanation.point_fee_minor, None)
        for step in explanation.steps:
            if step.appointment is not None:
                expected[step.appointment.pk] = (step.amount_minor, step)
    wrong: list[Difference] = []
    for key in sorted({*posted, *expected}, key=lambda key: key or 0):
        amount, seat = expected.get(key, (0, None))
        fee = posted.get(key)
        names = _wrongs(handover, explanation, amount, seat, fee, reversed_ids)
        wrong.extend(Difference(name, key, amount, fee.amount_minor if fee else 0) for name in names)
    return wrong


def _wrongs(
    handover: Handover,
    explanation: Explanation,
    amount: int,
    step: Step | None,
    fee: Posting | None,
    reversed_ids: set[int | None],
) -> list[Wrong]:
    if fee is None:
        return [Wrong.MISSING] if amount else []
    if not amount:
        return [Wrong.UNEXPECTED]
    owner = step.appointment.agent_id if step and step.appointment else handover.service_point_id
    place = (step.region.pk, step.region.level) if step else (None, None)
    checks = {
        Wrong.AMOUNT: (fee.amount_minor, fee.currency) != (amount, explanation.tariff.currency),
        Wrong.TARIFF: fee.tariff_id != explanation.tariff.pk,
        Wrong.PLACE: (fee.region_id, fee.level) != place,
        Wrong.PAYEE: (fee.credit.agent_id if step else fee.credit.service_point_id) != owner,
        Wrong.NOT_REVERSED: is_taken_back(handover) and fee.pk not in reversed_ids,
        Wrong.REVERSED: not is_taken_back(handover) and fee.pk in reversed_ids,
    }
    return [name for name, is_wrong in checks.items() if is_wrong]


def reverse_pickup(handover: Handover, *, undone_by: Scan, reason: str) -> None:
    """Take back every fee of a hand-over that a clerk undid."""
    handover.undone_by = undone_by
    handover.save(update_fields=["undone_by"])
    for posting in handover.postings.exclude(kind=Posting.Kind.REVERSAL).order_by("id"):
        ledger.reverse(posting, reason=reason)
