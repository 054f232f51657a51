"""What the demo left behind, as a table, and the fees worked out a second time without the database's function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from statistics import median, quantiles

from network.models import Appointment, Level, Region
from pickup import ledger
from pickup.demo.intake import MERCHANTS
from pickup.models import Account, Assignment, Handover, Order, Parcel, Posting, Scan, Tariff

Fees = dict[tuple[str, str], int]  # kind of payee and level ("" for a point) → minor units
CEILING = {
    Level.MACRO: "macro_minor",
    Level.PROVINCE: "province_minor",
    Level.CITY: "city_minor",
    Level.DISTRICT: "district_minor",
    Level.CUSTOM: "custom_minor",
}


def table() -> Iterator[str]:
    demos = Order.objects.filter(merchant__name__in=MERCHANTS)
    yield line("orders", demos.count())
    yield line("assigned", demos.filter(status=Order.Status.ASSIGNED).count())
    reasons = Counter(demos.filter(status=Order.Status.REVIEW).values_list("review_reason", flat=True))
    yield line("in review", reasons.total())
    for reason, count in sorted(reasons.items()):
        yield line(f"  {reason}", count)
    yield from distances()
    statuses = Counter(Parcel.objects.filter(order__in=demos).values_list("status", flat=True))
    yield line("parcels", statuses.total())
    for status, count in sorted(statuses.items()):
        yield line(f"  {status}", count)
    scans = Counter(Scan.objects.values_list("kind", "verdict"))
    yield line("scans", scans.total())
    for (kind, verdict), count in sorted(scans.items()):
        yield line(f"  {kind} {verdict}", count)
    yield line("pickups that count", Handover.objects.filter(undone_by__isnull=True).count())
    yield from money()


def line(name: str, value: object) -> str:
    return f"{name:<34}{value:>16}"


def distances() -> Iterator[str]:
    """Metres from address to point, of the orders whose coordinates were given."""
    metres = sorted(
        Assignment.objects.filter(order__merchant__name__in=MERCHANTS, order__address__source="given").values_list(
            "distance_m", flat=True
        )
    )
    if len(metres) > 1:
        yield line("metres to the point, median", f"{median(metres):,.0f}")
        yield line("metres to the point, 95 %", f"{quantiles(metres, n=20)[-1]:,.0f}")


def money() -> Iterator[str]:
    posted, worked_out, faults = posted_fees(), worked_out_fees(), ledger.faults()
    yield line("fees, less reversals", yuan(sum(posted.values())))
    for (payee, level), minor in sorted(posted.items()):
        yield line(f"  {payee} {level}".rstrip(), yuan(minor))
    yield line("fees worked out again", yuan(sum(worked_out.values())))
    agree = posted == worked_out
    yield line("sum check", "ok" if agree and not faults else "FAILED")
    for fault in faults:
        yield f"  {fault.rule}: {fault.where}"


def yuan(minor: int) -> str:
    return f"{minor // 100:,}.{minor % 100:02d}"


def posted_fees() -> Fees:
    """What the ledger says: fees less their reversals."""
    fees: Fees = {}
    for posting in Posting.objects.exclude(kind__in=[Posting.Kind.PAYOUT, Posting.Kind.ADJUSTMENT]).iterator():
        back = posting.kind == Posting.Kind.REVERSAL
        payee = posting.debit_kind if back else posting.credit_kind
        level = "" if posting.level is None else Level(posting.level).name.lower()
        fees[payee, level] = fees.get((payee, level), 0) + (-1 if back else 1) * posting.amount_minor
    return {key: minor for key, minor in fees.items() if minor}


def worked_out_fees() -> Fees:
    """What R7 and R8 say of every hand-over that was not undone, from the rows they stand on."""
    levels = dict(Region.objects.values_list("id", "level"))
    held: dict[int, list[Appointment]] = {}
    for appointment in Appointment.objects.all():
        held.setdefault(appointment.region_id, []).append(appointment)
    tariffs = list(Tariff.objects.order_by("valid_from"))
    fees: Fees = {}
    rows = Handover.objects.filter(undone_by__isnull=True).values_list("scan__recorded_at", "parcel__region_ids")
    for at, chain in rows.iterator():
        tariff = [tariff for tariff in tariffs if tariff.valid_from <= at][-1]
        parts = [(Account.Kind.POINT, "", tariff.point_fee_minor)]
        appointed = [Level(levels[region]) for region in chain if is_held(held.get(region, ()), at)]
        parts += [(Account.Kind.AGENT, name, minor) for name, minor in differences(appointed, tariff)]
        for payee, level, minor in parts:
            fees[str(payee), level] = fees.get((str(payee), level), 0) + minor
    return {key: minor for key, minor in fees.items() if minor}


def is_held(appointments: Sequence[Appointment], at: datetime) -> bool:
    return any(at in appointment.valid for appointment in appointments)


def differences(appointed: Iterable[Level], tariff: Tariff) -> Iterator[tuple[str, int]]:
    """Going up from the deepest: each gets what its ceiling adds to the highest granted below, up to the cap."""
    granted = 0
    for level in appointed:
        up_to = min(tariff.cap_minor, getattr(tariff, CEILING[level]))
        yield level.name.lower(), max(0, up_to - granted)
        granted = max(granted, up_to)
