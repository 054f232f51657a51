"""A province to look at: real boundaries, made-up people, and a week of parcels that went through real scans.

What is real: the region tree and its boundaries, the populations of the cities, the codes and QR tokens, every check,
verdict, hand-over and posting. They come about by the same calls that shops and merchants make; nothing is written
into a table that a device or a merchant could not have brought about, but for two things. The storage of a few parcels
is shortened, so that some are overdue today; and the unsent notices of parcels that were collected are dropped.

What is told: `event_at`, the word of the devices, lies in the seven days before today and follows what is known of
the trade. `recorded_at` is the database's clock and cannot be told anything, so all of the week was recorded just now,
as if every shop had been without a network for a week and had uploaded today. What follows from the record is
therefore of today: when a parcel became ready, how long it is kept, which appointment counts, and the fees, which are
payable in three days. A demo with money in closed months would have to forge the very column that the books rest on.

The same seed on an empty database gives the same table; only keys, codes and the time differ. A demo that was cut
short goes on where it stopped: everything in it is found again by a reference or a scan id made from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils.timezone import localdate

from network import boundaries, china
from network.models import Pause, Region, ServicePoint
from pickup import waiting
from pickup.demo import accounts, agents, intake, people, summary
from pickup.demo.accounts import NoDemo, sign_ins
from pickup.demo.intake import MERCHANTS
from pickup.demo.plan import GUANGDONG, Plan
from pickup.demo.week import Week
from pickup.models import Merchant, Order, Parcel

__all__ = [
    "GUANGDONG",
    "NoDemo",
    "NoRegions",
    "OtherSeed",
    "Plan",
    "begin",
    "is_wanted",
    "load_boundaries",
    "run",
    "sign_ins",
]

PROVINCE = "44"
HOLIDAY = timedelta(days=7)


class OtherSeed(Exception):
    """The demo in this database was made from another seed; two of them would not fit into one network."""


class NoRegions(Exception):
    """The boundaries cannot be loaded, or none of the planned cities is in the region tree."""


def is_wanted() -> bool:
    """Whether `up` should make the demo: nobody has loaded regions, or a demo was begun and never finished."""
    begun = Merchant.objects.filter(name__in=MERCHANTS).exists()
    return not accounts.is_finished() if begun else not Region.objects.exists()


def begin(plan: Plan) -> None:
    """Leave a mark before the boundaries come, by which a demo that was cut short is known. Raises OtherSeed."""
    demos = Order.objects.filter(merchant__name__in=MERCHANTS)
    if demos.exclude(reference__startswith=f"D{plan.seed}-").exists():
        raise OtherSeed
    for name, policy in MERCHANTS.items():
        Merchant.objects.get_or_create(name=name, defaults=policy)


def load_boundaries(*, clock: Callable[[], datetime]) -> None:
    """Load Guangdong as `load_regions china --within 44` does. Raises NoRegions."""
    try:
        package = china.read()
        published = boundaries.publish(
            china.drafts(china.chosen(package, PROVINCE)),
            name=package.source,
            source=package.source,
            since=clock(),
            datum="gcj02",
            whole=True,
        )
    except (china.ChinaMissing, boundaries.PublishRefused) as error:
        raise NoRegions(str(error)) from error
    if published.refused:
        raise NoRegions("; ".join(str(bad) for bad in published.refused[:5]))


def run(plan: Plan, *, clock: Callable[[], datetime], say: Callable[[str], None]) -> Iterator[str]:
    """Make the demo on the region tree that is there; return the lines of its table. Raises NoRegions."""
    now = clock()
    places = people.towns(plan, at=now)
    if not places:
        raise NoRegions("none of the cities is in the region tree")
    say(f"{plan.points} service points for {sum(town.people for town in places) / 1e6:,.0f} million people")
    shops = people.open_shops(plan, places, at=now)
    go_on_holiday(plan, shops, now=now)
    appointed = agents.appoint(plan, places, now=now)
    say(f"{plan.orders} orders")
    intake.place(plan, places, shops, now=now)
    say("Each order is located and assigned to its nearest point")
    waiting.assign_all(clock=clock)
    Week(plan, localdate(now)).play(assigned_parcels(), clock=clock, say=say)
    accounts.make(appointed, shops, now=clock())
    return summary.table()


def go_on_holiday(plan: Plan, shops: list[people.Shop], *, now: datetime) -> None:
    refs = [shop.ref for shop in intake.paused(plan, shops)]
    for point in ServicePoint.objects.filter(ref__in=refs, pauses__isnull=True):
        period = DateTimeTZRange(now, now + HOLIDAY)
        Pause.objects.create(service_point=point, reason=Pause.Reason.VACATION, period=period)


def assigned_parcels() -> list[tuple[str, int]]:
    rows = Parcel.objects.filter(order__merchant__name__in=MERCHANTS, order__status=Order.Status.ASSIGNED)
    return list(rows.exclude(service_point=None).order_by("barcode").values_list("barcode", "service_point_id"))
