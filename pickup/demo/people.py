"""Where the people of the demo live: in the districts of their cities, near the middle, around service points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import asin, cos, radians, sin, sqrt
from random import Random

from network import points, regions
from network.models import Level, Region
from pickup.demo.plan import Plan, shares

METRES_PER_DEGREE = 111_320.0
EARTH_M = 6_371_000.0
TRIES = 8
URBAN = {"区": 3.0, "市": 1.5}  # people gather in urban districts (区); a county (县) counts 1

STREETS = ["人民路", "建设路", "解放路", "文明路", "和平路", "民生路", "新风路", "东风路", "团结路", "青年路"]
STREETS += ["工业大道", "迎宾大道", "环城路", "学府路"]
SHOPS = ["便利店", "文具店", "水果店", "超市", "药店", "茶叶店", "五金店", "母婴店", "书店", "快餐店"]


@dataclass(frozen=True)
class Town:
    """A district, or a city that has none. `words` are the names of its regions as an address begins with them."""

    region_id: int
    city_code: str
    words: str
    name: str
    city: str
    lat: float
    lon: float
    radius_m: float
    people: float


@dataclass(frozen=True)
class Shop:
    """A service point and how many people live around it."""

    ref: str
    name: str
    town: Town
    lat: float
    lon: float
    people: float


@dataclass(frozen=True)
class Wish:
    """A place wished for in a town: near a middle, with a spread on each axis."""

    town: Town
    lat: float
    lon: float
    spread_m: float


def towns(plan: Plan, *, at: datetime) -> list[Town]:
    """Return the towns of the planned cities that are in the region tree, in the order of their codes."""
    found: list[Town] = []
    for city in Region.objects.filter(code__in=plan.people).order_by("code"):
        districts = list(
            Region.objects.filter(path__startswith=f"{city.path}.", level=Level.DISTRICT).order_by("code")
        ) or [city]
        inside = regions.inside({district.pk for district in districts}, at=at)
        here = [district for district in districts if district.pk in inside]
        weight = sum(URBAN.get(district.name[-1], 1.0) for district in here)
        above = regions.chain_ids({district.pk for district in here})
        names = Region.objects.in_bulk({region for chain in above.values() for region in chain})
        for district in here:
            words = [names[region].name for region in reversed(above[district.pk])]
            levels = [names[region].level for region in reversed(above[district.pk])]
            middle = inside[district.pk]
            found.append(
                Town(
                    region_id=district.pk,
                    city_code=city.code,
                    words="".join(word for word, level in zip(words, levels, strict=True) if level > Level.MACRO),
                    name=district.name,
                    city=city.name,
                    lat=middle.lat,
                    lon=middle.lon,
                    radius_m=middle.radius_m,
                    people=plan.people[city.code] * URBAN.get(district.name[-1], 1.0) / weight,
                )
            )
    return found


def open_shops(plan: Plan, places: Sequence[Town], *, at: datetime) -> list[Shop]:
    """Make the service points, as many in each town as its people ask for."""
    rng = plan.chance("shops")
    wishes = [
        Wish(town, town.lat, town.lon, min(4_000.0, max(400.0, town.radius_m / 5)))
        for town, count in zip(places, shares(plan.points, [town.people for town in places]), strict=True)
        for _ in range(count)
    ]
    shops: list[Shop] = []
    drafts: list[points.PointDraft] = []
    around = {town.region_id: 0 for town in places}
    for wish in wishes:
        around[wish.town.region_id] += 1
    for number, (wish, (lat, lon)) in enumerate(zip(wishes, settle(wishes, rng=rng, at=at), strict=True), 1):
        town, street = wish.town, rng.choice(STREETS)
        name = f"{town.name}{street}{rng.choice(SHOPS)}"
        people = town.people / around[town.region_id] * rng.lognormvariate(0, 0.6)
        shops.append(Shop(f"D{number:04d}", name, town, lat, lon, people))
        drafts.append(
            points.PointDraft(
                ref=shops[-1].ref,
                name=name,
                lat=lat,
                lon=lon,
                city=town.city,
                address=f"{town.words}{street}{rng.randint(1, 300)}号",
                capacity=rng.choice([150, 200, 300]),
            )
        )
    points.load(drafts, at=at)
    return shops


def settle(wishes: Sequence[Wish], *, rng: Random, at: datetime) -> list[tuple[float, float]]:
    """Return a place (lat, lon) inside its town for each wish: drawn again, nearer, while it falls outside."""
    places = [(round(wish.lat, 6), round(wish.lon, 6)) for wish in wishes]
    open_wishes = list(range(len(wishes)))
    for attempt in range(TRIES):
        drawn = [near(wishes[number], rng, 0.7**attempt) for number in open_wishes]
        inside = _lie_in(drawn, [wishes[number].town.region_id for number in open_wishes], at=at)
        for number, place, fits in zip(open_wishes, drawn, inside, strict=True):
            if fits:
                places[number] = place
        open_wishes = [number for number, fits in zip(open_wishes, inside, strict=True) if not fits]
    return places


def near(wish: Wish, rng: Random, shrink: float = 1.0) -> tuple[float, float]:
    north_m, east_m = rng.gauss(0, wish.spread_m * shrink), rng.gauss(0, wish.spread_m * shrink)
    lat = wish.lat + north_m / METRES_PER_DEGREE
    return round(lat, 6), round(wish.lon + east_m / METRES_PER_DEGREE / cos(radians(wish.lat)), 6)


def _lie_in(places: Sequence[tuple[float, float]], region_ids: Iterable[int], *, at: datetime) -> list[bool]:
    covering = list(regions.covering(places, at=at))
    chains = regions.chain_ids({region for region in covering if region is not None})
    return [
        region is not None and wanted in chains[region] for region, wanted in zip(covering, region_ids, strict=True)
    ]


def remote(
    places: Sequence[Town], shops: Sequence[Shop], *, farther_than_m: float, rng: Random, at: datetime
) -> list[tuple[Town, float, float]]:
    """Return places in towns that are farther from every service point than that."""
    largest = sorted(places, key=lambda town: -town.radius_m)[:30]
    wishes = [Wish(town, town.lat, town.lon, town.radius_m / 3) for town in largest for _ in range(20)]
    drawn = [near(wish, rng) for wish in wishes]
    inside = _lie_in(drawn, [wish.town.region_id for wish in wishes], at=at)
    return [
        (wish.town, *place)
        for wish, place, fits in zip(wishes, drawn, inside, strict=True)
        if fits and all(metres(*place, shop.lat, shop.lon) > farther_than_m for shop in shops)
    ]


def metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """On a sphere: near enough to tell what is surely out of reach."""
    north, east = radians(other_lat - lat) / 2, radians(other_lon - lon) / 2
    chord = sin(north) ** 2 + cos(radians(lat)) * cos(radians(other_lat)) * sin(east) ** 2
    return 2 * EARTH_M * asin(sqrt(chord))
