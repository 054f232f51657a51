"""Where an address lies: the sources in their order, checked against each other, doubt named and never guessed (R2).

What a reviewer confirmed for the same text comes first (`network.memory`): a person saw that very text, so that only
coordinates which say something new speak against it. Then come the coordinates that were given, then the configured
geocoders (`network.lookups`), and last the names in the text alone. The offline gazetteer, which needs nothing but the
region tree, reads every text before that: a geocoder is asked only for a text whose region is certain, and whatever
found the place, the names are compared with it, so that an answer which cannot be checked is never believed.
See docs/decisions/0019-geocoder-chain.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection

from network import lookups, memory, regions
from network.datum import Datum, to_wgs84
from network.gazetteer import MAX_CANDIDATES, Gazetteer, Match, Reason
from network.gazetteer import Place as NamedPlace
from network.geocoders import Outcome
from network.lookups import Lookup
from network.models import ConfirmedPlace, Level, Region, RegionAlias

LEAST_ACCURACY_M = 10.0  # of a handset outdoors; a merchant's digits may promise more than anybody measured
BORDER_M = 200.0  # official boundary sets differ by about 100 m at the median (docs/decisions/0005)
# So far from the region that the text names a geocoder's answer may lie, however exact it says it is: the text stays
# the one that tells the region, and farther off another house of that name was found.
GEOCODER_BORDER_M = 1_000.0
CENTRE_M = 100.0  # so near to the middle of a region an answer most likely stands for the whole of it


class Review(StrEnum):
    """Why a person must look."""

    NULL_ISLAND = "null_island"
    OUTSIDE_REGIONS = "outside_regions"
    TEXT_LOCATION_DIFFER = "text_location_differ"
    NO_REGION_NAMED = "no_region_named"
    AMBIGUOUS_NAME = "ambiguous_name"
    NAMES_CONFLICT = "names_conflict"
    UNSURE_NAME = "unsure_name"
    DISTRICT_NOT_NAMED = "district_not_named"
    REMEMBERED_ELSEWHERE = "remembered_elsewhere"
    IMPLAUSIBLE_ANSWER = "implausible_answer"
    ANSWER_CHANGED = "answer_changed"


@dataclass(frozen=True)
class Query:
    """An address as it was written; `lat` and `lon` as given, in `datum`.

    `sender` tells whose words they are: what a text means that names no region may depend on who says it.
    """

    text: str
    city: str = ""
    lat: float | None = None
    lon: float | None = None
    datum: str = Datum.WGS84
    sender: str = ""


@dataclass(frozen=True)
class Found:
    """What one source says: degrees in WGS 84, and how far it may be off in metres; `asked`: a geocoder says it."""

    lat: float
    lon: float
    accuracy_m: float
    source: str
    asked: bool = False


@dataclass(frozen=True)
class Place:
    """Where an address lies. `region_ids` is the chain, deepest first; `review` is empty when it is certain.

    `named` tells that the text itself names the region, however coarse the location is. `key` is what the text is
    remembered under, and `remembered` the id of the confirmed place that was used. `waits` tells that a geocoder which
    may know more could not be asked now.
    """

    lat: float | None = None
    lon: float | None = None
    region_ids: Sequence[int] = ()
    source: str = ""
    accuracy_m: float | None = None
    review: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    named: bool = False
    key: bytes = b""
    remembered: int | None = None
    waits: bool = False


@dataclass(frozen=True)
class Reading:
    """What the words of an address say, for a person who looks at it: spans count in the text as it was written."""

    match: Match
    spans: Sequence[tuple[int, int]]
    key: bytes
    exact: bool  # enough that one place can be remembered for it


def read(query: Query) -> Reading:
    """Read one address as `locate` does."""
    gazetteer, _ = _read_tree(_version())
    match = gazetteer.find(query.text, query.city)
    spans = gazetteer.written(query.text, [*match.chain, *match.candidates])
    return Reading(match, spans, _key(query, match), memory.is_exact(query.text, spans))


def _key(query: Query, match: Match) -> bytes:
    """Words that name their region for certain mean the same whoever writes them; others are their sender's own."""
    return memory.key(query.text, query.city, sender="" if match.reason is None else query.sender)


def locate(queries: Sequence[Query], *, at: datetime, ask_s: float = 0.0) -> list[Place]:
    """Locate many addresses at once: the names in Python, memory and polygons set by set in SQL.

    Geocoders are asked for at most `ask_s` seconds; with 0 only what they answered before is used. Asking must not
    happen inside a transaction.
    """
    gazetteer, divided = _read_tree(_version())
    matches = [gazetteer.find(query.text, query.city) for query in queries]
    keys = [_key(query, match) for query, match in zip(queries, matches, strict=True)]
    recalled = memory.recall(keys, at=at)
    given = [_given(query) for query in queries]
    confirmed = [recalled.get(key) for key in keys]
    doubted = [_speaks_against(place, told) for place, told in zip(confirmed, given, strict=True)]
    known = [
        told if doubt else _recalled(place) or told
        for place, told, doubt in zip(confirmed, given, doubted, strict=True)
    ]
    answers = _ask(queries, matches, known, at=at, ask_s=ask_s)
    found = [place or _answered(answer) for place, answer in zip(known, answers, strict=True)]
    covering = iter(regions.covering([(place.lat, place.lon) for place in found if place], at=at))
    covered = [next(covering) if place else None for place in found]
    ambiguous = {one for match, place in zip(matches, found, strict=True) if place for one in match.candidates}
    hinted = {match.place_id for match in matches} | ambiguous
    chains = regions.chain_ids({region for region in (*covered, *hinted) if region is not None})
    found = _centred(found, covered, chains, at)
    matches = _told_apart(matches, confirmed, found, covered, chains, at)
    # A reviewer saw the text when the place was confirmed: the two are not compared again.
    named = [
        match.place_id if match.reason is None and place is None else None
        for match, place in zip(matches, confirmed, strict=True)
    ]
    inside = regions.inside({region for region in named if region is not None}, at=at)
    agree = _agreement(found, covered, named, chains, inside, at)
    places = [
        _confirmed(confirmation, doubt, place, region, chains)
        if confirmation
        else _unbelieved(match, answer, place, chains)
        if answer.moved or (answer.said is not None and place is None)
        else _place(match, place, region, fits, chains, inside, divided)
        if region is None or (fits and not _speaks_against_hints(match, place, region, chains))
        else _differing(match, place, region, chains)
        for match, confirmation, doubt, answer, place, region, fits in zip(
            matches, confirmed, doubted, answers, found, covered, agree, strict=True
        )
    ]
    return [
        replace(place, key=key, waits=answer.waits) for place, key, answer in zip(places, keys, answers, strict=True)
    ]


def _ask(
    queries: Sequence[Query],
    matches: Sequence[Match],
    known: Sequence[Found | None],
    *,
    at: datetime,
    ask_s: float,
) -> list[Lookup]:
    """Ask the geocoders for the texts that no place is known for and whose answers the names can be held against."""
    numbers = [
        number
        for number, (match, place) in enumerate(zip(matches, known, strict=True))
        if place is None and match.reason is None and queries[number].text.strip()
    ]
    words = [lookups.words_for(queries[number].text, queries[number].city) for number in numbers]
    asked = dict(zip(numbers, lookups.look_up(words, at=at, budget_s=ask_s), strict=True))
    return [asked.get(number, lookups.NOTHING) for number in range(len(queries))]


def _answered(answer: Lookup) -> Found | None:
    said = answer.said
    if said is None or said.outcome is not Outcome.FOUND:
        return None
    return Found(said.lat, said.lon, said.accuracy_m, answer.source, asked=True)


def _centred(
    found: Sequence[Found | None],
    covered: Sequence[int | None],
    chains: Mapping[int, Sequence[int]],
    at: datetime,
) -> list[Found | None]:
    """Believe no geocoder that the middle of a region is an exact place: it is what they say when they know no more."""
    around = {
        number: chains[region]
        for number, (place, region) in enumerate(zip(found, covered, strict=True))
        if place is not None and place.asked and region is not None
    }
    centres = regions.centres({one for chain in around.values() for one in chain}, at=at) if around else {}
    believed = list(found)
    for number, chain in around.items():
        place = found[number]
        assert place is not None, "only an answer has a region around"
        wide = [
            centre.radius_m
            for one in chain
            for centre in centres.get(one, [])
            if memory.metres(place.lat, place.lon, centre.lat, centre.lon) <= CENTRE_M
        ]
        believed[number] = replace(place, accuracy_m=max([place.accuracy_m, *wide]))
    return believed


def _told_apart(
    matches: Sequence[Match],
    confirmed: Sequence[ConfirmedPlace | None],
    found: Sequence[Found | None],
    covered: Sequence[int | None],
    chains: Mapping[int, Sequence[int]],
    at: datetime,
) -> list[Match]:
    """Let coordinates tell which of several places of one name is meant; if it is none of them, the two differ."""
    told = list(matches)
    pairs: list[tuple[int, int, Found]] = []
    for number, (match, known, place, region) in enumerate(zip(matches, confirmed, found, covered, strict=True)):
        if match.reason is not Reason.AMBIGUOUS_NAME or known or place is None or region is None:
            continue
        fitting = [one for one in match.candidates if one in chains[region]]
        if fitting:
            deepest = max(fitting, key=lambda one: len(chains[one]))
            told[number] = _meant(deepest, chains)
        elif len(match.candidates) < MAX_CANDIDATES:  # else there may be more of them
            pairs += [(number, one, place) for one in match.candidates]
    asked = [(one, place.lat, place.lon, place.accuracy_m + BORDER_M) for _, one, place in pairs]
    near: dict[int, list[int]] = {number: [] for number, _, _ in pairs}
    for (number, one, _), is_near in zip(pairs, regions.within_m(asked, at=at), strict=True):
        near[number] += [one] if is_near else []
    for number, some in near.items():
        if len(some) < 2:
            told[number] = _meant(some[0] if some else matches[number].candidates[0], chains)
    return told


def _meant(region: int, chains: Mapping[int, Sequence[int]]) -> Match:
    return Match(region, tuple(reversed(chains[region])))


def _speaks_against_hints(
    match: Match, found: Found | None, region: int | None, chains: Mapping[int, Sequence[int]]
) -> bool:
    """Whether a geocoder's answer lies in none of the districts that the text hints at (深圳南山科技园, in 福田)."""
    if found is None or not found.asked or region is None or match.reason is not None or not match.beside:
        return False
    return not any(one in chains[region] for one in match.beside)


def _unbelieved(match: Match, answer: Lookup, found: Found | None, chains: Mapping[int, Sequence[int]]) -> Place:
    """An answer that is no place, or another one than before: the names tell where, and a person what to believe."""
    chain = chains[match.place_id] if match.place_id is not None else ()
    review = Review.ANSWER_CHANGED if answer.moved else Review.IMPLAUSIBLE_ANSWER
    if found is None:
        return Place(None, None, chain, answer.source, None, review)
    return Place(found.lat, found.lon, chain, found.source, found.accuracy_m, review)


def _recalled(place: ConfirmedPlace | None) -> Found | None:
    return Found(place.location.y, place.location.x, place.accuracy_m, "remembered") if place else None


def _speaks_against(place: ConfirmedPlace | None, told: Found | None) -> bool:
    return (
        place is not None
        and told is not None
        and memory.contradicts(place, lat=told.lat, lon=told.lon, accuracy_m=told.accuracy_m)
    )


def _confirmed(
    known: ConfirmedPlace, doubt: bool, found: Found | None, region: int | None, chains: Mapping[int, Sequence[int]]
) -> Place:
    assert found is not None, "it is remembered with a place"
    chain = chains[region] if region is not None else ()
    if doubt:
        detail = {"remembered": known.pk}
        return Place(found.lat, found.lon, chain, found.source, found.accuracy_m, Review.REMEMBERED_ELSEWHERE, detail)
    review = "" if chain else Review.OUTSIDE_REGIONS
    return Place(
        found.lat, found.lon, chain, found.source, found.accuracy_m, review, named=not review, remembered=known.pk
    )


def _given(query: Query) -> Found | None:
    """Coordinates as the merchant sent them; how far they may be off is told by how many digits they have."""
    if query.lat is None or query.lon is None:
        return None
    lat, lon = to_wgs84(query.lat, query.lon, Datum(query.datum))
    digits = max(_decimals(query.lat), _decimals(query.lon))
    half_a_digit_m = 0.5 * 10.0**-digits * 111_320 * 2**0.5
    return Found(lat, lon, max(LEAST_ACCURACY_M, round(half_a_digit_m, 1)), "given")


def _decimals(degrees: float) -> int:
    _, _, digits = f"{degrees:.7f}".rstrip("0").partition(".")
    return len(digits)


def _agreement(
    found: Sequence[Found | None],
    covered: Sequence[int | None],
    named: Sequence[int | None],
    chains: Mapping[int, Sequence[int]],
    inside: Mapping[int, regions.Inside],
    at: datetime,
) -> list[bool]:
    """Return for each address whether its text and its location do not speak against each other.

    They agree when the location lies in the named region, or so near to it that its accuracy does not tell (off the
    coast, too); where the named region has no boundary of its own, its parent's must do.
    """
    agree = [
        place is None
        or name is None
        or (region is not None and (name in chains[region] or (name not in inside and region in chains[name])))
        for place, region, name in zip(found, covered, named, strict=True)
    ]
    doubtful = [number for number, fits in enumerate(agree) if not fits]
    asked = []
    for number in doubtful:
        place, name = found[number], named[number]
        assert place is not None, "only a place can differ"
        assert name is not None, "from a name"
        metres = GEOCODER_BORDER_M if place.asked else place.accuracy_m + BORDER_M
        asked.append((name, place.lat, place.lon, metres))
    for number, near in zip(doubtful, regions.within_m(asked, at=at), strict=True):
        agree[number] = near
    return agree


def _place(
    match: Match,
    found: Found | None,
    region: int | None,
    fits: bool,
    chains: Mapping[int, Sequence[int]],
    inside: Mapping[int, regions.Inside],
    divided: frozenset[int],
) -> Place:
    if found is None:
        return _named_only(match, chains, inside, divided)
    if abs(found.lat) < 0.01 and abs(found.lon) < 0.01:
        return Place(source=found.source, accuracy_m=found.accuracy_m, review=Review.NULL_ISLAND)
    name = match.place_id if match.reason is None else None
    if region is None and (name is None or not fits):
        return Place(found.lat, found.lon, (), found.source, found.accuracy_m, Review.OUTSIDE_REGIONS)
    if found.asked and name is not None and found.accuracy_m > settings.MAX_ACCURACY_M:
        # It found no more than a town: the names say where, and nobody says where in there.
        review = Review.DISTRICT_NOT_NAMED if name in divided else ""
        return Place(found.lat, found.lon, chains[name], found.source, found.accuracy_m, review, named=not review)
    # Near a border the words of the address tell more than coordinates that may be off by more than the distance.
    if region is not None and (name is None or name in chains[region]):
        chain = chains[region]
    else:
        assert name is not None, "else it lies outside"
        chain = chains[name]
    review = str(match.reason) if match.reason == Reason.NAMES_CONFLICT else ""
    told = name is not None and name not in divided
    return Place(found.lat, found.lon, chain, found.source, found.accuracy_m, review, _detail(match), told)


def _named_only(
    match: Match,
    chains: Mapping[int, Sequence[int]],
    inside: Mapping[int, regions.Inside],
    divided: frozenset[int],
) -> Place:
    chain = chains[match.place_id] if match.place_id is not None else ()
    if match.reason is not None or match.place_id is None:
        # What all candidates have in common is certain; which of them it is, a person must say.
        return Place(None, None, chain, "gazetteer", None, str(match.reason), _detail(match))
    here = inside.get(match.place_id)
    if here is None:  # a macro-region has no polygon of its own
        return Place(None, None, chain, "gazetteer", None, Review.DISTRICT_NOT_NAMED)
    review = Review.DISTRICT_NOT_NAMED if match.place_id in divided else ""
    return Place(here.lat, here.lon, chain, "gazetteer", here.radius_m, review, _detail(match), not review)


def _differing(match: Match, found: Found | None, region: int | None, chains: Mapping[int, Sequence[int]]) -> Place:
    assert found is not None, "without a location nothing differs"
    assert region is not None, "nor without a region there"
    detail = {"named": match.place_id, "covered": region}
    return Place(
        found.lat,
        found.lon,
        chains[region],
        found.source,
        found.accuracy_m,
        Review.TEXT_LOCATION_DIFFER,
        detail,
    )


def _detail(match: Match) -> dict[str, Any]:
    return {"candidates": list(match.candidates)} if match.reason is not None and match.candidates else {}


def _version() -> str:
    """Changes whenever a name or a place in the tree does, so that processes that run for weeks read it again."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT concat((SELECT md5(string_agg(concat_ws('|', id, code, name, level, parent_id), ',' ORDER BY id))
                              FROM network_region),
                             (SELECT md5(string_agg(concat_ws('|', region_id, name), ',' ORDER BY id))
                              FROM network_regionalias))"""
        )
        version: str = cursor.fetchone()[0]
    return version


@lru_cache(maxsize=1)
def _read_tree(version: str) -> tuple[Gazetteer, frozenset[int]]:
    """Return the names of the tree, and the regions with districts: naming one of them is too coarse to assign by."""
    aliases: dict[int, list[str]] = {}
    for region_id, name in RegionAlias.objects.values_list("region_id", "name"):
        aliases.setdefault(region_id, []).append(name)
    rows = list(Region.objects.values_list("id", "code", "name", "level", "parent_id"))
    gazetteer = Gazetteer(NamedPlace(*row, aliases=tuple(aliases.get(row[0], ()))) for row in rows)
    divided = frozenset(parent for *_, level, parent in rows if parent and level <= Level.DISTRICT)
    return gazetteer, divided
