"""The orders of the demo: most of them plain, some told in another datum or without coordinates, some doubtful."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from network.datum import Datum, from_wgs84
from network.models import Size
from network.placenames import stem
from pickup import orders
from pickup.demo import people
from pickup.demo.people import STREETS, Shop, Town, Wish
from pickup.demo.plan import Plan
from pickup.models import Merchant, Order

BATCH = 500
ESTATES = ["阳光花园", "金色家园", "翠湖苑", "锦绣新村", "幸福里", "怡景阁", "书香门第", "丽景湾"]
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰红建国志文慧婷欣怡雨晨浩宇"

# Numbers that begin with 12 are no carrier's: a message to one reaches nobody.
PHONE = "+8612{:09d}"

MERCHANTS: dict[str, dict[str, bool]] = {
    "示例商城": {},
    "示例商城（人工审核）": {"review_first": True},
    "示例商城（须经收件人同意）": {"consent_required": True},
}
PLAIN, REVIEWING, ASKING = MERCHANTS

NEARBY_M, FAR_M = 700.0, 3_000.0
OUT_OF_REACH_M = 12_000.0


@dataclass(frozen=True)
class Home:
    """Where somebody lives, and the shop around the corner."""

    shop: Shop
    lat: float
    lon: float

    @property
    def town(self) -> Town:
        return self.shop.town


@dataclass(frozen=True)
class Told:
    """A draft and the merchant who sends it."""

    merchant: str
    draft: orders.OrderDraft


def place(plan: Plan, places: Sequence[Town], shops: Sequence[Shop], *, now: datetime) -> int:
    """Place the orders that are not there yet; return how many there are in all."""
    merchants = {
        name: Merchant.objects.get_or_create(name=name, defaults=policy)[0] for name, policy in MERCHANTS.items()
    }
    told = write(plan, places, shops, now=now)
    there = set(Order.objects.filter(merchant__in=merchants.values()).values_list("merchant__name", "reference"))
    for name, merchant in merchants.items():
        drafts = [one.draft for one in told if one.merchant == name and (name, one.draft.reference) not in there]
        for start in range(0, len(drafts), BATCH):
            for outcome in orders.place_many(merchant=merchant, drafts=drafts[start : start + BATCH], now=now):
                if isinstance(outcome, orders.Refused):
                    raise outcome
    return len(told)


def write(plan: Plan, places: Sequence[Town], shops: Sequence[Shop], *, now: datetime) -> list[Told]:
    """Write all orders: first the doubtful ones, then plain ones until there are as many as planned."""
    rng = plan.chance("orders")
    homes = settle_homes(plan, shops, now=now)
    told = list(doubtful(plan, homes, places, shops, rng=rng, now=now))[: plan.orders]
    told += [Told(PLAIN, usual(home, rng)) for home in homes[len(told) :]]
    return [Told(one.merchant, finished(plan, number, one, rng, now)) for number, one in enumerate(told, 1)]


def finished(plan: Plan, number: int, told: Told, rng: Random, now: datetime) -> orders.OrderDraft:
    """Add what every order has: its reference, its barcodes, and the recipient's consent unless it is missing."""
    return replace(
        told.draft,
        reference=f"D{plan.seed}-{number:05d}",
        parcels=tuple(replace(parcel, barcode=f"PN{rng.randrange(10**12):012d}") for parcel in told.draft.parcels),
        consent_at=None if told.merchant == ASKING else now,
    )


def settle_homes(plan: Plan, shops: Sequence[Shop], *, now: datetime) -> list[Home]:
    rng = plan.chance("homes")
    around = rng.choices(shops, [shop.people for shop in shops], k=plan.orders)
    spreads = [FAR_M if rng.random() < 0.1 else NEARBY_M for _ in around]
    wishes = [Wish(shop.town, shop.lat, shop.lon, spread_m) for shop, spread_m in zip(around, spreads, strict=True)]
    spots = people.settle(wishes, rng=rng, at=now)
    return [Home(shop, *spot) for shop, spot in zip(around, spots, strict=True)]


def usual(home: Home, rng: Random) -> orders.OrderDraft:
    """An order as most are: with coordinates, sometimes of a Chinese map service; or with a shop chosen instead."""
    draft = base(home, rng)
    kind = rng.random()
    if kind < 0.03:
        return replace(draft, service_point=home.shop.ref, lat=None, lon=None)
    if kind < 0.11:
        return told_in(draft, Datum.GCJ02)
    if kind < 0.13:
        return told_in(draft, Datum.BD09)
    return draft


def base(home: Home, rng: Random) -> orders.OrderDraft:
    return orders.OrderDraft(
        reference="",
        name=rng.choice(SURNAMES) + "".join(rng.sample(GIVEN, rng.randint(1, 2))),
        phone=PHONE.format(phone_number(home, rng)),
        address=home.town.words + street(rng),
        lat=home.lat,
        lon=home.lon,
        parcels=tuple(
            orders.ParcelDraft(
                size=rng.choices([Size.SMALL, Size.MEDIUM, Size.LARGE], [75, 20, 5])[0],
                weight_g=rng.randint(80, 6_000),
            )
            for _ in range(2 if rng.random() < 0.08 else 1)
        ),
    )


def phone_number(home: Home, rng: Random) -> int:
    """Somebody around the shop: few enough people that some have more than one parcel there."""
    return int(home.shop.ref[1:]) * 1_000 + rng.randint(1, 60)


def street(rng: Random) -> str:
    house = f"{rng.choice(STREETS)}{rng.randint(1, 399)}号"
    return f"{house}{rng.choice(ESTATES)}{rng.randint(1, 30)}栋{rng.randint(1, 28)}{rng.randint(1, 8):02d}室"


def told_in(draft: orders.OrderDraft, datum: Datum) -> orders.OrderDraft:
    assert draft.lat is not None, "a usual order has coordinates"
    assert draft.lon is not None, "a usual order has coordinates"
    lat, lon = from_wgs84(draft.lat, draft.lon, datum)
    return replace(draft, lat=round(lat, 6), lon=round(lon, 6), datum=datum)


def doubtful(
    plan: Plan, homes: Sequence[Home], places: Sequence[Town], shops: Sequence[Shop], *, rng: Random, now: datetime
) -> list[Told]:
    """Write some orders for each reason that a person must look at one, as far as the region tree has it."""
    told: list[Told] = []
    at_sea = (min(town.lat for town in places), max(town.lon for town in places) + 3)
    for home in homes[: plan.doubtful]:
        draft = base(home, rng)
        coarse = (round(home.lat, 1), round(home.lon, 1))
        told += [
            Told(PLAIN, replace(draft, lat=0.0, lon=0.0)),
            Told(PLAIN, replace(draft, lat=at_sea[0], lon=at_sea[1], address=street(rng))),
            Told(PLAIN, replace(draft, lat=None, lon=None, address=street(rng))),
            Told(PLAIN, replace(draft, lat=coarse[0], lon=coarse[1], address=street(rng))),
            Told(REVIEWING, draft),
            Told(ASKING, draft),
            *(Told(PLAIN, vague) for vague in misnamed(draft, home.town, places, rng)),
        ]
    for town, lat, lon in people.remote(places, shops, farther_than_m=OUT_OF_REACH_M, rng=rng, at=now)[: plan.doubtful]:
        draft = base(homes[0], rng)
        told.append(Told(PLAIN, replace(draft, lat=lat, lon=lon, address=town.words + street(rng))))
    for shop in paused(plan, shops):
        told.append(Told(PLAIN, replace(base(homes[0], rng), service_point=shop.ref)))
    return told


def misnamed(draft: orders.OrderDraft, town: Town, places: Sequence[Town], rng: Random) -> Iterator[orders.OrderDraft]:
    """Yield the same order with names that are not enough, or contradict each other or the coordinates."""
    nowhere = replace(draft, lat=None, lon=None)
    city_words = town.words.removesuffix(town.name)
    elsewhere = [other for other in places if other.city_code != town.city_code and other.name != other.city]
    if town.name != town.city:
        yield replace(nowhere, address=city_words + street(rng))
        yield replace(nowhere, address=stem(town.name) + street(rng))
    if elsewhere:
        yield replace(nowhere, address=city_words + rng.choice(elsewhere).name + street(rng))
        yield replace(draft, address=rng.choice(elsewhere).words + street(rng))


def paused(plan: Plan, shops: Sequence[Shop]) -> list[Shop]:
    """Return the shops that are on holiday while the demo is made."""
    return plan.chance("pauses").sample(shops, min(plan.doubtful, len(shops) // 20))
