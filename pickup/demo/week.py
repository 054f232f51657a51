"""The week of the demo: each parcel has a story, and every step of it is a real scan by the shop's device."""

from __future__ import annotations

import multiprocessing
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from random import Random
from threading import Thread
from typing import TypeVar
from uuid import NAMESPACE_OID, uuid5
from zoneinfo import ZoneInfo

import django
from django.conf import settings
from django.db.models import F

from network.models import Device
from pickup import codes, holding, parcels, scanning
from pickup.demo.plan import Plan
from pickup.models import Notice, Parcel, Scan
from pickup.scans import Scanner, ScanRequest

T = TypeVar("T")

DEVICE = "demo scanner"
MAX_UPLOAD = 500
PART = 50  # shops that a process takes at a time
DAYS = 7

# How parcels fare, in percent. The demo leaves some of each kind for the screens.
ENDS = {"collected": 81.0, "ready": 9.0, "expected": 8.6, "expired": 0.9, "damaged": 0.5}

# Facts of the trade (Mondial Relay): 61 % are collected on the day of arrival, 99 % within three days.
DWELL_DAYS = {0: 61, 1: 25, 2: 13, 3: 0.5, 4: 0.3, 5: 0.2}
# Collect+ 2025: Mondays 18 % of the week, 27 % outside 9 to 18 o'clock, 9 % from 12 to 14.
WEEKDAYS = (18, 14, 14, 14, 14, 14, 12)
HOURS = {
    7: 2, 8: 6, 9: 9, 10: 9, 11: 8, 12: 4.5, 13: 4.5, 14: 8, 15: 9, 16: 10, 17: 11, 18: 8, 19: 6, 20: 3.5, 21: 1.5,
}  # fmt: skip
DELIVERED_FROM_H, DELIVERED_UNTIL_H = 6, 11

# What goes wrong on the way, in percent of the parcels that it can happen to.
TWISTS = {
    "typed": 12.0, "wrong_code": 1.5, "astray": 0.8, "too_early": 0.6, "duplicate": 0.8, "repeat": 4.0,
    "twice": 0.8, "undone": 0.6,
}  # fmt: skip


@dataclass(frozen=True)
class Story:
    """What happens to one parcel; the times are what the device will tell."""

    barcode: str
    ends: str
    arrived_at: datetime
    collected_at: datetime
    twists: frozenset[str] = field(default_factory=frozenset)

    @property
    def arrived(self) -> bool:
        return self.ends != "expected"

    @property
    def collected(self) -> bool:
        return self.ends == "collected"


@dataclass(frozen=True)
class Shelf:
    """What a shop is to do with its scanner, and with its neighbour's where a parcel is brought to the wrong shop."""

    scanner: Scanner
    neighbour: Scanner
    point_id: int
    stories: list[Story]


@dataclass(frozen=True)
class Week:
    """Plays the stories, shop by shop: arrivals first, then what needs the code that an arrival makes."""

    plan: Plan
    today: date

    def play(
        self, waiting: Iterable[tuple[str, int]], *, clock: Callable[[], datetime], say: Callable[[str], None]
    ) -> None:
        """Take parcels, as (barcode, id of the point they are assigned to), through the week."""
        shelves = self.shelves(waiting)
        stories = [story for shelf in shelves for story in shelf.stories]
        arrived, collected = sum(story.arrived for story in stories), sum(story.collected for story in stories)
        say(f"{arrived} parcels arrive at {len(shelves)} service points, {collected} are collected")
        self.share(shelves, say=say)
        expire([story.barcode for story in stories if story.ends == "expired"], clock=clock)
        forget_notices([story.barcode for story in stories])

    def shelves(self, waiting: Iterable[tuple[str, int]]) -> list[Shelf]:
        by_point = defaultdict(list)
        for barcode, point_id in waiting:
            by_point[point_id].append(self.story(barcode))
        point_ids = sorted(by_point)
        scanners = scanners_of(point_ids)
        next_ones = [*point_ids[1:], *point_ids[:1]]
        return [
            Shelf(scanners[point_id], scanners[next_one], point_id, by_point[point_id])
            for point_id, next_one in zip(point_ids, next_ones, strict=True)
        ]

    def share(self, shelves: Sequence[Shelf], *, say: Callable[[str], None]) -> None:
        """Share the shops, each of which stands for itself, among processes: this is most of the work."""
        if self.plan.processes == 1:
            self.work(shelves)
            return
        parts = [shelves[start : start + PART] for start in range(0, len(shelves), PART)]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.plan.processes, context, initializer=django.setup) as pool:
            for number, _ in enumerate(pool.map(self.work_in_another_process, parts), 1):
                say(f"{min(number * PART, len(shelves))} of {len(shelves)} service points have had their week")

    def work_in_another_process(self, shelves: Sequence[Shelf]) -> None:
        end_with_parent()
        self.work(shelves)

    def work(self, shelves: Sequence[Shelf]) -> None:
        for shelf in shelves:
            upload(shelf.neighbour, self.astray(shelf.stories))
            upload(shelf.scanner, self.early(shelf.stories))
            upload(shelf.scanner, self.arrivals(shelf.stories))
            known = proven([story.barcode for story in shelf.stories], shelf.point_id)
            first = list(self.pickups(shelf.stories, known))
            upload(shelf.scanner, first)
            upload(shelf.scanner, [*self.late(shelf.stories, known), *self.repeats(first)])

    def story(self, barcode: str) -> Story:
        """Draw a parcel's story: by its barcode, so that the order in which parcels come does not matter."""
        rng = self.plan.chance(barcode)
        ends = drawn(rng, ENDS)
        twists = frozenset(name for name, percent in TWISTS.items() if rng.random() * 100 < percent)
        collected_at = self.moment(rng, self.day(rng), HOURS)
        dwell = drawn(rng, DWELL_DAYS)
        if ends == "expired":
            dwell = rng.randint(8, 9)
        arrived_at = collected_at - timedelta(days=dwell)
        delivered_h = rng.uniform(DELIVERED_FROM_H, DELIVERED_UNTIL_H)
        morning = datetime.combine(arrived_at.date(), time(), arrived_at.tzinfo) + timedelta(hours=delivered_h)
        # On the day of arrival nobody comes before the parcel does.
        arrived_at = min(morning, arrived_at - timedelta(minutes=rng.randint(12, 90)))
        return Story(barcode, ends, arrived_at, collected_at, twists)

    def day(self, rng: Random) -> date:
        """One of the seven days before today, by the weight of its weekday."""
        days = [self.today - timedelta(days=back) for back in range(DAYS, 0, -1)]
        weekday = rng.choices(range(7), WEEKDAYS)[0]
        return next(day for day in days if day.weekday() == weekday)

    def moment(self, rng: Random, day: date, hours: Mapping[int, float]) -> datetime:
        at = time(drawn(rng, hours), rng.randrange(60), rng.randrange(60))
        return datetime.combine(day, at, ZoneInfo(settings.TIME_ZONE))

    def scan(self, kind: str, story: Story, step: str, at: datetime, **more: str) -> ScanRequest:
        """A scan whose id is made from its cause, so that a demo that was cut short can be played again."""
        scan_id = uuid5(NAMESPACE_OID, f"demo:{self.plan.seed}:{story.barcode}:{step}")
        barcode = more.pop("barcode", story.barcode)
        return ScanRequest(scan_id=scan_id, kind=kind, event_at=at, barcode=barcode, **more)

    def astray(self, here: Sequence[Story]) -> Iterator[ScanRequest]:
        """A parcel is brought to the neighbouring shop first, which is told where it belongs."""
        for story in here:
            if story.arrived and "astray" in story.twists:
                yield self.scan(Scan.Kind.ARRIVAL, story, "astray", story.arrived_at - timedelta(minutes=40))

    def early(self, here: Sequence[Story]) -> Iterator[ScanRequest]:
        """Somebody asks for a parcel before it came; a shop scans a label that nobody announced."""
        for story in here:
            if story.collected and "too_early" in story.twists:
                at = story.arrived_at - timedelta(hours=1)
                yield self.scan(Scan.Kind.PICKUP, story, "too early", at, code="00000000")
                yield self.scan(Scan.Kind.ARRIVAL, story, "unknown", at, barcode=f"XX{story.barcode[2:]}")

    def arrivals(self, here: Sequence[Story]) -> Iterator[ScanRequest]:
        for story in here:
            if not story.arrived:
                continue
            rng = self.plan.chance(f"shelf of {story.barcode}")
            shelf = f"{rng.choice('ABC')}-{rng.randint(1, 4)}-{rng.randint(1, 20)}"
            yield self.scan(Scan.Kind.ARRIVAL, story, "arrival", story.arrived_at, shelf=shelf)
            if "duplicate" in story.twists:
                at = story.arrived_at + timedelta(minutes=1)
                yield self.scan(Scan.Kind.ARRIVAL, story, "again", at, shelf=shelf)
            if story.ends == "damaged":
                at = story.arrived_at + timedelta(minutes=3)
                yield self.scan(Scan.Kind.DAMAGED, story, "damaged", at, reason="wet")

    def pickups(self, here: Sequence[Story], known: Mapping[str, Parcel]) -> Iterator[ScanRequest]:
        for story in here:
            parcel = known.get(story.barcode)
            if not story.collected or parcel is None:
                continue
            if "wrong_code" in story.twists:
                at = story.collected_at - timedelta(minutes=1)
                yield self.scan(Scan.Kind.PICKUP, story, "wrong code", at, code=wrong_code(parcel))
            yield self.scan(Scan.Kind.PICKUP, story, "pickup", story.collected_at, **proof(story, parcel))

    def late(self, here: Sequence[Story], known: Mapping[str, Parcel]) -> Iterator[ScanRequest]:
        """What follows a hand-over: a second try with the same code, or it is taken back and some come again."""
        for story in here:
            parcel = known.get(story.barcode)
            if not story.collected or parcel is None:
                continue
            at = story.collected_at + timedelta(minutes=2)
            if "twice" in story.twists:
                yield self.scan(Scan.Kind.PICKUP, story, "twice", at, **proof(story, parcel))
            if "undone" in story.twists:
                at += timedelta(minutes=1)
                yield self.scan(Scan.Kind.UNDO, story, "undo", at, reason="wrong parcel handed over")
                if self.plan.chance(f"again {story.barcode}").random() < 0.5:
                    at += timedelta(hours=2)
                    yield self.scan(Scan.Kind.PICKUP, story, "once more", at, **proof(story, parcel))

    def repeats(self, first: Sequence[ScanRequest]) -> list[ScanRequest]:
        """Some scans are uploaded a second time, as devices with a poor network do."""
        return [
            request
            for request in first
            if self.plan.chance(f"repeat {request.scan_id}").random() * 100 < TWISTS["repeat"]
        ]


@cache
def end_with_parent() -> None:
    """Once in a worker, which would wait for work for ever, even for that of a process that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def drawn(rng: Random, weights: Mapping[T, float]) -> T:
    return rng.choices(list(weights), list(weights.values()))[0]


def proof(story: Story, parcel: Parcel) -> dict[str, str]:
    """The code read out, or the QR; of a parcel with an eventful story the label is scanned as well."""
    if "typed" in story.twists:
        return {"code": codes.code_of(parcel.uuid, parcel.code.issue)}
    assert parcel.hold_until is not None, "it arrived"
    assert parcel.service_point_id is not None, "it arrived"
    token = codes.token_of(
        parcel=parcel.uuid,
        issue=parcel.code.issue,
        point_id=parcel.service_point_id,
        expires_at=parcel.hold_until,
    )
    return {"token": token} if story.twists else {"token": token, "barcode": ""}


def wrong_code(parcel: Parcel) -> str:
    right = codes.code_of(parcel.uuid, parcel.code.issue)
    return f"{(int(right) + 1) % 10**codes.CODE_DIGITS:0{codes.CODE_DIGITS}d}"


def scanners_of(point_ids: Sequence[int]) -> dict[int, Scanner]:
    """One device for each shop. It has no key, so nobody else can scan with it."""
    known = dict(Device.objects.filter(service_point__in=point_ids, name=DEVICE).values_list("service_point_id", "pk"))
    made = Device.objects.bulk_create(
        Device(service_point_id=point_id, name=DEVICE) for point_id in point_ids if point_id not in known
    )
    known |= {device.service_point_id: device.pk for device in made}
    return {point_id: Scanner(device_id=device_id) for point_id, device_id in known.items()}


def proven(barcodes: Sequence[str], point_id: int) -> dict[str, Parcel]:
    """Return the parcels that have a pickup code, by their barcodes."""
    found = Parcel.objects.filter(barcode__in=barcodes, service_point=point_id, code__isnull=False)
    return {parcel.barcode: parcel for parcel in found.select_related("code")}


def upload(scanner: Scanner, requests: Iterable[ScanRequest]) -> None:
    """Send scans as a device does. Whatever the verdicts are: they are in the scans."""
    queue = list(requests)
    for start in range(0, len(queue), MAX_UPLOAD):
        scanning.record_batch(scanner, queue[start : start + MAX_UPLOAD])


def expire(barcodes: Sequence[str], *, clock: Callable[[], datetime]) -> None:
    """Shorten the storage of some parcels to nothing, so that the sweep finds them overdue today and not in a week."""
    Parcel.objects.filter(barcode__in=barcodes, status=Parcel.Status.READY).update(hold_until=F("ready_at"))
    holding.expire_overdue(now=clock(), limit=len(barcodes) + MAX_UPLOAD)


def forget_notices(barcodes: Sequence[str]) -> None:
    """Nobody wants to be told today of a parcel that the story has taken home already."""
    unsent = Notice.objects.filter(sent_at__isnull=True, parcel__barcode__in=barcodes)
    unsent.exclude(parcel__status__in=parcels.HERE).delete()
