"""Honest and dishonest shops over two months, made row by row by a seeded generator and written as tables hold it.

Honest shops are as different as shops are: small and large, some with old customers who type their codes, some with a
bad network, an office whose reception collects for all, a baker whose parcels all go to the shop next door, a 24-hour
shop, a shop whose owner orders a lot. Each cheat is honest until a day of its own; from then on it adds pickups that
never happened, in the way of its kind.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from network.models import Membership
from pickup import recipients
from tests import factories

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹"
HOLD_DAYS = 7


@dataclass
class Shop:
    number: int
    volume: float  # pickups a day
    typed: float
    offline: float
    quick: float  # collected within minutes
    last_day: float
    untold: float
    opened: float  # of those who show the QR code
    late_hours: bool  # open around the clock
    hours: str
    lat: float
    lon: float
    regulars: list[tuple[int, str]]  # phone, name
    quirk: str = ""
    kind: str = ""  # how it cheats; empty: it does not
    starts: int = 10**6  # the day on which it begins to
    point_id: int = 0
    device_id: int = 0
    staff_phone: int = 0


@dataclass
class Row:
    """A pickup, all moments in seconds since the first midnight."""

    shop: Shop
    came: float
    at: float
    phone: int
    name: str
    proof: str = "qr"
    delay: float = 0.0  # until the server heard of the pickup
    notice: float | None = 60.0  # seconds from the arrival to the message; None: it never left
    merchant: int = 0
    place: str = ""  # "far", or "shop"
    wrong: int = 0  # wrong codes before
    opened: bool = True  # the recipient's page, by the recipient
    shop_opened: bool = False
    denied: bool = False
    invented: bool = False


@dataclass
class Town:
    days: int
    shops: list[Shop]
    rows: list[Row] = field(default_factory=list)

    @property
    def cheats(self) -> list[Shop]:
        return [shop for shop in self.shops if shop.kind]


KINDS: dict[str, Callable[[random.Random, Shop, int, int], Iterator[Row]]] = {}


def kind(make: Callable[[random.Random, Shop, int, int], Iterator[Row]]) -> Any:
    KINDS[make.__name__] = make
    return make


def stranger(rng: random.Random) -> tuple[int, str]:
    return rng.randrange(10**8), rng.choice(SURNAMES)


def hour(rng: random.Random, shop: Shop) -> float:
    """A time of the day as people come: at noon, and most after work."""
    while True:
        at = rng.gauss(12.5, 1.8) if rng.random() < 0.35 else rng.gauss(18.5, 2.2)
        if shop.late_hours and rng.random() < 0.12:
            at = rng.uniform(0, 24)
        if 8.6 <= at <= 21.4 or (shop.late_hours and 0 <= at < 24):
            return at * 3600


@kind
def instant(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Scanned in and out at once."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(60, 520), at, *stranger(rng))


@kind
def series(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """One after the other in the evening."""
    at = day * 86400 + 20.5 * 3600 + rng.uniform(0, 1800)
    for _ in range(max(7, number)):
        at += rng.uniform(4, 17)
        yield Row(shop, at - rng.uniform(5, 50) * 3600, at, *stranger(rng))


@kind
def night(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    for _ in range(number):
        at = day * 86400 + rng.uniform(23.2, 28.5) * 3600
        yield Row(shop, at - rng.uniform(8, 40) * 3600, at, *stranger(rng))


@kind
def one_phone(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Two phones, and a new name each time."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(
            shop, at - rng.uniform(3, 40) * 3600, at, 7_000_000 + shop.number * 2 + rng.randrange(2), stranger(rng)[1]
        )


@kind
def staff(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, shop.staff_phone, "陈")


@kind
def far_merchant(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """A merchant of the owner's own, with addresses in another province."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, *stranger(rng), merchant=1000 + shop.number, place="far")


@kind
def own_merchant(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """The same with addresses around the corner."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, *stranger(rng), merchant=1000 + shop.number)


@kind
def typed(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Codes that somebody inside reads out, typed, sometimes wrongly."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(
            *(shop, at - rng.uniform(3, 40) * 3600, at, *stranger(rng)),
            proof="code" if rng.random() < 0.9 else "qr",
            wrong=int(rng.random() < 0.2),
        )


@kind
def offline(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Told by a device hours later, so that nobody can look at the counter."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, *stranger(rng), delay=rng.uniform(2, 9) * 3600)


@kind
def last_day(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """What nobody fetched is handed to nobody."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - (HOLD_DAYS * 24 - rng.uniform(0.5, 20)) * 3600, at, *stranger(rng))


@kind
def untold(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """The message never left, and the code was there all the same."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, *stranger(rng), notice=None)


@kind
def denied(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Nothing to see but recipients who say no: every sixth of them does."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, *stranger(rng), denied=rng.random() < 0.17)


TUNED = tuple(KINDS)  # the kinds that the weights were tried on; those below were written afterwards


@kind
def rush(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Within minutes, but never within seconds."""
    at = day * 86400 + rng.uniform(10, 20) * 3600
    for _ in range(max(7, number)):
        at += rng.uniform(25, 70)
        yield Row(shop, at - rng.uniform(5, 50) * 3600, at, *stranger(rng))


@kind
def pool(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Eight phones in turn, each with some names."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        phone = 8_000_000 + shop.number * 8 + rng.randrange(8)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, phone, rng.choice(SURNAMES))


@kind
def half_hour(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Soon after the arrival, but not within the ten minutes that everybody knows of."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(11, 35) * 60, at, *stranger(rng))


@kind
def own_door(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Strangers who all live in the shop."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, *stranger(rng), place="shop")


@kind
def unopened(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """The QR code taken from a list, so that nobody opened its page."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, *stranger(rng), opened=False)


@kind
def shop_reads(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """The recipient's link opened at the counter, every third time while signed in."""
    for _ in range(number):
        at = day * 86400 + hour(rng, shop)
        yield Row(shop, at - rng.uniform(3, 40) * 3600, at, *stranger(rng), shop_opened=rng.random() < 0.33)


@kind
def morning(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """Before anybody comes."""
    for _ in range(number):
        at = day * 86400 + rng.uniform(4.5, 7.5) * 3600
        yield Row(shop, at - rng.uniform(8, 40) * 3600, at, *stranger(rng))


@kind
def mixed(rng: random.Random, shop: Shop, day: int, number: int) -> Iterator[Row]:
    """A little of each."""
    for _ in range(number):
        yield from KINDS[rng.choice(["instant", "night", "typed", "one_phone", "untold"])](rng, shop, day, 1)


HELD_OUT = tuple(name for name in KINDS if name not in TUNED)


def make_town(
    seed: int,
    *,
    shops: int = 200,
    days: int = 60,
    cheats: int = 12,
    volume: float = 8.0,
    kinds: Collection[str] = TUNED,
) -> Town:
    rng = random.Random(seed)
    town = Town(days, [make_shop(rng, number, volume) for number in range(shops)])
    for number, quirk in enumerate(
        ("old people", "bad network", "office", "baker", "baker", "owner orders", "station")
    ):
        add_quirk(rng, town.shops[number], quirk)
    names = sorted(kinds)
    rng.shuffle(names)
    for number in range(cheats):
        shop = town.shops[-1 - number]
        shop.kind, shop.starts = names[number % len(names)], rng.randrange(0, max(1, days - 10))
        shop.volume = max(shop.volume, 5.0)
    for shop in town.shops:
        town.rows.extend(rows_of(rng, shop, days))
    return town


def make_shop(rng: random.Random, number: int, volume: float) -> Shop:
    around = rng.random() < 0.08
    return Shop(
        number=number,
        volume=min(4 * volume, max(1.5, rng.lognormvariate(math.log(volume), 0.5))),
        typed=rng.betavariate(3, 50),
        offline=rng.betavariate(1.2, 60),
        quick=rng.betavariate(2, 90),
        last_day=rng.betavariate(4, 60),
        untold=rng.betavariate(1, 250),
        opened=1 - rng.betavariate(2, 60),
        late_hours=around,
        hours="24/7" if around else rng.choice(["Mo-Su 08:30-21:30", "Mo-Su 08:30-21:30", ""]),
        lat=22.5 + rng.uniform(-0.2, 0.2),
        lon=114.0 + rng.uniform(-0.3, 0.3),
        regulars=[stranger(rng) for _ in range(150)],
        staff_phone=6_000_000 + number,
    )


def add_quirk(rng: random.Random, shop: Shop, quirk: str) -> None:
    shop.quirk = quirk
    if quirk == "old people":
        shop.typed = 0.16
    elif quirk == "bad network":
        shop.offline = 0.10
    elif quirk == "station":
        shop.quick = 0.08


def rows_of(rng: random.Random, shop: Shop, days: int) -> Iterator[Row]:
    for day in range(days):
        weekly = 1.25 if day % 7 >= 5 else 0.9
        for _ in range(poisson(rng, shop.volume * weekly)):
            yield from honest(rng, shop, day)
        if day >= shop.starts:
            number = max(2, poisson(rng, shop.volume * 0.35))
            for row in KINDS[shop.kind](rng, shop, day, number):
                row.invented = True
                yield row


def honest(rng: random.Random, shop: Shop, day: int) -> Iterator[Row]:
    """One visit: one parcel, or two of the same person."""
    at = day * 86400 + hour(rng, shop)
    phone, name = rng.choice(shop.regulars) if rng.random() < 0.6 else stranger(rng)
    merchant = min(14, int(rng.expovariate(0.35)))
    if shop.quirk == "office" and rng.random() < 0.05:
        phone, name = 9_000_001, rng.choice(SURNAMES[:4])
    if shop.quirk == "owner orders" and rng.random() < 0.01:
        phone = shop.staff_phone
    if shop.quirk == "baker" and rng.random() < 0.05:
        merchant = 500 + shop.number
    for number in range(2 if rng.random() < 0.12 else 1):
        stay = 30 + rng.expovariate(1 / 20.0) * 3600
        if rng.random() < shop.quick:
            stay = rng.uniform(90, 590)
        elif rng.random() < shop.last_day:
            stay = (HOLD_DAYS * 24 - rng.uniform(0, 23)) * 3600
        stay = min(stay, (HOLD_DAYS * 24 + 20) * 3600)
        is_typed = rng.random() < shop.typed
        yield Row(
            shop,
            at - stay,
            at + number * rng.uniform(6, 40),
            phone,
            name,
            proof="code" if is_typed else "qr",
            delay=rng.expovariate(1 / 2.0) * 3600 + 300 if rng.random() < shop.offline else 0.0,
            notice=None if rng.random() < shop.untold else rng.expovariate(1 / 30.0),
            merchant=merchant,
            place="far" if rng.random() < 0.004 else "",
            opened=is_typed or rng.random() < shop.opened,
            wrong=int(is_typed and rng.random() < 0.04),
            denied=rng.random() < 0.0004,
        )


def poisson(rng: random.Random, mean: float) -> int:
    limit, number, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        number, product = number + 1, product * rng.random()
    return number


# Into the tables


def write(town: Town, *, first: date) -> None:
    """Write a town whose first day is `first`, as if the network had run: all clocks are the database's."""
    midnight = datetime.combine(first, time(), ZoneInfo(settings.TIME_ZONE))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        for shop in town.shops:
            point = factories.make_point(shop.lat, shop.lon, opening_hours=shop.hours)
            owner = factories.make_user(phone=written(shop.staff_phone))
            Membership.objects.create(user=owner, service_point=point, role="owner")
            shop.point_id, shop.device_id = point.pk, factories.make_device(point)[0].pk
        merchants = {number: factories.make_merchant()[0].pk for number in {row.merchant for row in town.rows}}
        cursor.execute(
            """CREATE TEMP TABLE made (n bigint, point bigint, device bigint, merchant bigint, came timestamptz,
               at timestamptz, heard timestamptz, phone bytea, name text, proof text, notice timestamptz, place text,
               wrong int, opened bool, shop_opened bool, denied bool, invented bool) ON COMMIT DROP"""
        )
        hashes: dict[int, bytes] = {}
        with cursor.copy("COPY made FROM STDIN") as copy:
            for number, row in enumerate(sorted(town.rows, key=lambda row: row.at + row.delay), start=1):
                phone = hashes.setdefault(row.phone, recipients.hash_phone(written(row.phone)))
                came, at = (midnight + timedelta(seconds=seconds) for seconds in (row.came, row.at))
                told = None if row.notice is None else came + timedelta(seconds=row.notice)
                copy.write_row(
                    (number, row.shop.point_id, row.shop.device_id, merchants[row.merchant], came, at,
                     at + timedelta(seconds=row.delay), phone, row.name + "*", row.proof, told, row.place, row.wrong,
                     row.opened, row.shop_opened, row.denied, row.invented)
                )  # fmt: skip
        # Nobody backdates a posting, but for who owns the table and sets its guard aside.
        cursor.execute("ALTER TABLE pickup_posting DISABLE TRIGGER by_the_clock")
        for statement in FILL:
            cursor.execute(statement)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE pickup_posting ENABLE TRIGGER by_the_clock")


def written(phone: int) -> str:
    return f"+86138{phone:08d}"


FILL = (
    """INSERT INTO network_address (id, location, region_ids, source, accuracy_m, given_datum)
       SELECT 1000000 + n, ST_SetSRID(ST_MakePoint(
                  ST_X(p.location)
                  + CASE place WHEN 'far' THEN 3 WHEN 'shop' THEN 0 ELSE n % 1009 / 100000.0 + 0.001 END,
                  ST_Y(p.location)), 4326), '{}', 'given', 10, 'wgs84'
       FROM made JOIN network_servicepoint p ON p.id = made.point""",
    """INSERT INTO pickup_order (id, merchant_id, reference, body_hash, status, review_reason, review_detail,
                                 address_id, consent_by, placed_at)
       SELECT 1000000 + n, merchant, 'C' || n, '\\x00', 'assigned', '', '{}', 1000000 + n, '', came FROM made""",
    """INSERT INTO pickup_recipient (order_id, sealed, masked_name, phone_last4, phone_hash)
       SELECT 1000000 + n, '\\x00', name, '0000', phone FROM made""",
    """INSERT INTO pickup_parcel (id, uuid, order_id, barcode, size, status, region_ids, shelf, service_point_id,
                                  person, ready_at, hold_until, collected_at)
       SELECT 1000000 + n, gen_random_uuid(), 1000000 + n, CASE WHEN invented THEN 'X' ELSE 'H' END || n, 1,
              'collected', '{}', '', point, phone, came, came + interval '7 days', heard FROM made""",
    """INSERT INTO pickup_scan (id, scan_id, device_id, service_point_id, kind, verdict, parcel_id, barcode, proof,
                                shelf, reason, event_at, recorded_at, request_hash, answer, told)
       SELECT 1000000 + 3 * n + kind, gen_random_uuid(), device, point,
              CASE kind WHEN 0 THEN 'arrival' ELSE 'pickup' END,
              CASE kind WHEN 1 THEN 'wrong_code' ELSE 'ok' END, 1000000 + n, 'C' || n,
              CASE kind WHEN 0 THEN '' WHEN 1 THEN 'code' ELSE proof END, '', '',
              CASE kind WHEN 0 THEN came WHEN 1 THEN at - interval '20 s' ELSE at END,
              CASE kind WHEN 0 THEN came WHEN 1 THEN heard - interval '20 s' ELSE heard END, '\\x00', '{}',
              CASE WHEN kind = 2 AND heard > at THEN 'ok' ELSE '' END
       FROM made CROSS JOIN generate_series(0, 2) kind WHERE kind <> 1 OR wrong > 0""",
    """INSERT INTO pickup_arrival (parcel_id, service_point_id, scan_id)
       SELECT 1000000 + n, point, 1000000 + 3 * n FROM made""",
    """INSERT INTO pickup_handover (id, parcel_id, service_point_id, scan_id)
       SELECT 1000000 + n, 1000000 + n, point, 1000000 + 3 * n + 2 FROM made""",
    "SELECT account_of('point', point, 'CNY') FROM (SELECT DISTINCT point FROM made) p",
    """INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                                   handover_id, tariff_id, reason, recorded_at, payable_at)
       SELECT 'point_fee:' || 1000000 + n, 'point_fee', account_of('network', NULL, 'CNY'), 'network', a.id, 'point',
              2000, 'CNY', 1000000 + n, (SELECT MIN(t.id) FROM pickup_tariff t), '', heard, heard + interval '72 hours'
       FROM made JOIN pickup_account a ON a.service_point_id = point""",
    """INSERT INTO pickup_notice (parcel_id, kind, round, created_at, next_try_at, tries, sent_at, gave_up, error)
       SELECT 1000000 + n, 'ready', 0, came, came, 1, notice, notice IS NULL, '' FROM made""",
    """INSERT INTO pickup_dispute (handover_id, opened_at, note, outcome, reason)
       SELECT 1000000 + n, heard + interval '20 hours', '', '', '' FROM made WHERE denied""",
    """INSERT INTO pickup_pageopening (parcel_id, by_shop, opened_at)
       SELECT 1000000 + n, by_shop, at - interval '1 minute' FROM made CROSS JOIN (VALUES (true), (false)) v(by_shop)
       WHERE CASE WHEN by_shop THEN shop_opened ELSE opened END""",
    "ANALYZE pickup_scan, pickup_parcel, pickup_handover, pickup_arrival, pickup_order, pickup_recipient",
    "ANALYZE network_address, pickup_posting, pickup_notice",
)
