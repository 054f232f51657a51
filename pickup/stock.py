"""What a shop holds and what it expects: the shelf, a search over it, the count of it (盘点), and a loss.

A count is one statement's look at the shelf beside what was scanned. It is stored once per device and count id, so a
device that sends it again after a lost answer gets the same count. A parcel that is missing stays where it is until
an owner says that it is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models import Count, F, Prefetch, Q, QuerySet

from network import access
from network.models import Device, Membership, ServicePoint, User
from network.points import midnight
from pickup import codes, parcels
from pickup.models import Arrival, Parcel, Scan, StockCount, StockCountLine
from pickup.parcels import HELD, HERE, Status

Found = StockCountLine.Found
MOST_SCANNED = 5_000  # barcodes in one count
LEAD_DAYS = 30  # how far back arrivals tell how long the way takes
LEAD_ARRIVALS = 500  # of them the newest
LEAD_LEAST = 20  # with fewer, nothing is estimated


@dataclass(frozen=True)
class Lead:
    """How long parcels took from their assignment to their arrival here: half of them, and nine in ten."""

    arrivals: int
    half: timedelta
    most: timedelta


@dataclass(frozen=True)
class Shelf:
    """The numbers above the shelf. `today`, `tomorrow` and `late` are None where there is nothing to estimate by."""

    here: int
    overdue: int
    expected: int
    today: int | None = None
    tomorrow: int | None = None
    late: int | None = None


class TooManyScanned(Exception):
    """More barcodes than any shelf holds."""


class CountIdReused(Exception):
    """The device sent this count id before, with other barcodes."""


class NotOwner(Exception):
    """Only an owner of the shop may say that a parcel is lost."""


class NoReason(Exception):
    """A loss needs a reason in a few words."""


LEAD = """
    SELECT COUNT(*), percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) FROM (
        SELECT EXTRACT(EPOCH FROM s.recorded_at - o.assigned_at) AS seconds
        FROM pickup_scan s JOIN pickup_parcel p ON p.id = s.parcel_id JOIN pickup_order o ON o.id = p.order_id
        WHERE s.service_point_id = %s AND s.recorded_at >= %s AND s.recorded_at < %s
          AND s.kind = 'arrival' AND s.verdict IN ('ok', 'over_capacity') AND o.assigned_at <= s.recorded_at
        ORDER BY s.recorded_at DESC LIMIT %s
    ) arrivals
"""


def lead(point: ServicePoint, *, now: datetime) -> Lead | None:
    """How long the way to this shop takes, by its own newest arrivals; None with fewer than twenty in a month."""
    with connection.cursor() as cursor:
        cursor.execute(LEAD, [point.pk, now - timedelta(days=LEAD_DAYS), now, LEAD_ARRIVALS])
        arrivals, parts = cursor.fetchone()
    if arrivals < LEAD_LEAST:
        return None
    half, most = (timedelta(seconds=float(part)) for part in parts)
    return Lead(arrivals, half, most)


def shelf(point: ServicePoint, *, now: datetime, lead: Lead | None) -> Shelf:
    """Count what is here, overdue and expected, in one statement.

    No order carries a promised day, so the day of arrival is an estimate and the page says so: a parcel is expected
    on the day on which half of this shop's parcels had arrived, counted from its assignment (`Lead.half`); a day
    that is over counts as today. It is late when nine in ten had arrived before today (`Lead.most`). Without enough
    arrivals to go by there is no estimate, only how long each parcel has been announced.
    """
    expected = Q(status=Status.EXPECTED)
    wanted = {
        "here": Count("id", filter=Q(status__in=HERE)),
        "overdue": Count("id", filter=overdue(now)),
        "expected": Count("id", filter=expected),
    }
    if lead is not None:
        today = midnight(now)
        tomorrow, day_after = (today + timedelta(days=days) for days in (1, 2))
        announced = "order__assigned_at"
        wanted |= {
            "today": Count("id", filter=expected & Q(**{f"{announced}__lt": tomorrow - lead.half})),
            "tomorrow": Count(
                "id",
                filter=expected
                & Q(**{f"{announced}__gte": tomorrow - lead.half, f"{announced}__lt": day_after - lead.half}),
            ),
            "late": Count("id", filter=expected & Q(**{f"{announced}__lt": today - lead.most})),
        }
    return Shelf(**Parcel.objects.filter(service_point=point, status__in=HELD).aggregate(**wanted))


def overdue(now: datetime) -> Q:
    """On the shelf, and its storage time is over, whether the sweep has come by or not."""
    return Q(status=Status.EXPIRED) | Q(status=Status.READY, hold_until__lt=now)


def is_overdue(parcel: Parcel, *, now: datetime) -> bool:
    return parcel.status == Status.EXPIRED or (
        parcel.status == Status.READY and parcel.hold_until is not None and parcel.hold_until < now
    )


def expected(point: ServicePoint) -> QuerySet[Parcel]:
    """What is announced here, the longest announced first."""
    rows = parcels.at_point(point, statuses=[Status.EXPECTED])
    return rows.order_by(F("order__assigned_at").asc(nulls_last=True), "id")


def search(rows: QuerySet[Parcel], text: str) -> QuerySet[Parcel]:
    """Parcels by the last four digits of the phone, a part of the barcode, or the beginning of the shelf."""
    found = Q(barcode__icontains=text) | Q(shelf__istartswith=text)
    if len(text) == 4 and text.isascii() and text.isdigit():
        found |= Q(order__recipient__phone_last4=text)
    return rows.filter(found)


def take_count(*, point: ServicePoint, device: Device, count_id: UUID, scanned: Collection[str]) -> StockCount:
    """Compare what was scanned with what should be here, at this moment, and keep both.

    The same count id of a device again changes nothing and returns the count that was taken first. What cannot be a
    barcode must have been left out before. Raises TooManyScanned and CountIdReused.
    """
    if len(scanned) > MOST_SCANNED:
        raise TooManyScanned(len(scanned))
    with transaction.atomic(durable=True):
        count, created = StockCount.objects.get_or_create(
            device=device, count_id=count_id, defaults={"service_point": point}
        )
        if created:
            StockCountLine.objects.bulk_create(_lines(count, set(scanned)), batch_size=1_000)
        elif set(scanned) != set(count.lines.exclude(found=Found.MISSING).values_list("barcode", flat=True)):
            raise CountIdReused(count_id)
    return count


def _lines(count: StockCount, scanned: set[str]) -> Iterable[StockCountLine]:
    """One statement sees the whole shelf and every scanned parcel as they are at one moment."""
    here = Q(service_point=count.service_point, status__in=HERE)
    rows = Parcel.objects.filter(here | Q(barcode__in=scanned)).only(
        "id", "barcode", "service_point_id", "status", "hold_until"
    )
    known = {parcel.barcode: parcel for parcel in rows}
    for barcode in sorted(known.keys() | scanned):
        parcel = known.get(barcode)
        is_here = parcel is not None and parcel.service_point_id == count.service_point_id and parcel.status in HERE
        if barcode not in scanned:
            found = Found.MISSING
        elif not is_here or parcel is None:
            found = Found.ORPHAN
        else:
            found = Found.OVERDUE if is_overdue(parcel, now=count.counted_at) else Found.HERE
        yield StockCountLine(count=count, barcode=barcode, parcel=parcel, found=found)


def could_be_barcode(text: str) -> bool:
    """Whether a scan may be kept as a barcode. Recipients' proofs must never be: they would stand there to be read.

    Eight digits that are nobody's barcode are looked at by the caller, who knows which barcodes exist.
    """
    return 0 < len(text) <= 64 and text.isascii() and text.isprintable() and not text.startswith(codes.PREFIX)


def barcodes_among(texts: Iterable[str]) -> tuple[set[str], int]:
    """Return what of the scanned texts may be kept, and how many were left out because they look like a proof or
    are no barcode at all."""
    stripped = {text.strip() for text in texts} - {""}
    possible = {text for text in stripped if could_be_barcode(text)}
    like_codes = {text for text in possible if len(text) == codes.CODE_DIGITS and text.isdigit()}
    if like_codes:
        like_codes -= set(Parcel.objects.filter(barcode__in=like_codes).values_list("barcode", flat=True))
    return possible - like_codes, len(stripped) - len(possible) + len(like_codes)


def counts(point: ServicePoint) -> QuerySet[StockCount]:
    """The shop's counts, newest first, with how many parcels each list has."""
    numbers = {str(found): Count("lines", filter=Q(lines__found=found)) for found in Found}
    return (
        StockCount.objects.filter(service_point=point)
        .select_related("device__user")
        .annotate(**numbers)
        .order_by("-counted_at", "-id")
    )


def lines_of(count: StockCount, found: str) -> QuerySet[StockCountLine]:
    """One list of a count, with what each parcel is today: a missing one may have turned up since."""
    arrivals = Arrival.objects.filter(service_point=count.service_point_id).select_related("scan")
    return (
        StockCountLine.objects.filter(count=count, found=found)
        .select_related("parcel__order__recipient", "parcel__service_point")
        .prefetch_related(Prefetch("parcel__arrivals", queryset=arrivals, to_attr="arrivals_here"))
        .order_by(F("parcel__shelf").asc(nulls_last=True), "barcode")
    )


def report_lost(*, line: StockCountLine, by: User, reason: str) -> Parcel:
    """An owner says that a parcel which a count missed is lost: it cannot be handed over any more.

    Who and why is kept in the history that the administration shows. Raises NotOwner, NoReason, and
    parcels.WrongStatus when the parcel is not on the shelf any more: it was handed over or sent back meanwhile.
    """
    assert line.found == Found.MISSING, "a count missed this parcel"
    if not reason.strip():
        raise NoReason
    with transaction.atomic(durable=True):
        point = line.count.service_point
        if access.role_at(by, point) != Membership.Role.OWNER:
            raise NotOwner
        parcel = Parcel.objects.select_for_update().get(barcode=line.barcode)
        if parcel.service_point_id != point.pk or parcel.status not in HERE:
            raise parcels.WrongStatus(f"{parcel.barcode} is {parcel.status}")
        parcels.move(parcel, to=Status.LOST)
        LogEntry.objects.create(
            user=by,
            content_type=ContentType.objects.get_for_model(Parcel),
            object_id=str(parcel.pk),
            object_repr=str(parcel)[:200],
            action_flag=CHANGE,
            change_message=f"lost, missed by stock count {line.count_id}: {reason.strip()}",
        )
    return parcel


def last_scan(parcel: Parcel) -> Scan | None:
    """The newest scan of a parcel at the point where it is, for whoever looks for it."""
    return (
        Scan.objects.filter(parcel=parcel, service_point_id=parcel.service_point_id)
        .select_related("clerk", "device")
        .order_by("-id")
        .first()
    )
