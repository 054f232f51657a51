"""What happens in a region: its parcels, the load of its points, its fees of a month, and what waits for review.

Everything is counted when somebody looks, never kept in counters, and each question ends after the patience of
`network.tiles`: a province of a large network may have too much to count, which is said and not waited for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Count, Min

from network import tiles
from network.models import Level, Region
from pickup import fees, ledger, parcels
from pickup.models import Account, Order, Tariff

MOST_FULL = 50_000
FULL_FOR_S = 30
REVIEW_GRID = 0.01  # degrees, about a kilometre: the map must not point at somebody's door


@dataclass(frozen=True)
class Parcels:
    """Parcels whose address lay in the region when they were assigned, wherever its border runs today."""

    expected: int
    here: int
    overdue: int
    collected: int


_PARCELS = """
    SELECT count(*) FILTER (WHERE status = 'expected'),
           count(*) FILTER (WHERE status = ANY (%(here)s)),
           count(*) FILTER (WHERE status = ANY (%(here)s) AND hold_until < %(at)s),
           count(*) FILTER (WHERE status = 'collected' AND collected_at >= %(since)s)
    FROM pickup_parcel WHERE region_ids @> ARRAY[%(region)s]::bigint[]
"""


def parcels_of(region: Region, *, at: datetime, since: datetime) -> Parcels:
    """Count the parcels of a region; collected are those since the given moment. Raises tiles.TooMuch."""
    values = {"region": region.pk, "at": at, "since": since, "here": list(map(str, parcels.HERE))}
    return Parcels(*tiles.run(_PARCELS, values)[0])


_LOAD = """
    SELECT count(*) FROM network_region below
    JOIN network_servicepoint p ON p.region_id = below.id
    JOIN pickup_parcel parcel ON parcel.service_point_id = p.id AND parcel.status = ANY (%(held)s)
    WHERE below.id = %(id)s OR below.path ~>=~ (%(path)s || '.') AND below.path ~<~ (%(path)s || '/')
"""


def load_of(region: Region) -> int:
    """Return how many parcels the points in a region hold or expect. Raises tiles.TooMuch."""
    values = {"id": region.pk, "path": region.path, "held": list(map(str, parcels.HELD))}
    return int(tiles.run(_LOAD, values)[0][0])


@dataclass(frozen=True)
class Fees:
    """What the pickups of a region came to, those given back taken off. `level` is the agent's, None for points."""

    payee: str
    level: Level | None
    number: int
    amount: str
    currency: str


# A reversal runs the other way and counts against the fee that it gives back.
_FEES = """
    SELECT payee, level, sum(sign)::int, sum(sign * amount_minor)::bigint, currency FROM (
        SELECT CASE WHEN f.kind = 'reversal' THEN f.debit_kind ELSE f.credit_kind END AS payee, f.level,
               CASE WHEN f.kind = 'reversal' THEN -1 ELSE 1 END AS sign, f.amount_minor, f.currency
        FROM pickup_parcel p JOIN pickup_handover h ON h.parcel_id = p.id
        JOIN pickup_posting f ON f.handover_id = h.id
        WHERE p.region_ids @> ARRAY[%(region)s]::bigint[]
          AND f.recorded_at >= %(since)s AND f.recorded_at < %(until)s
    ) fee GROUP BY payee, level, currency ORDER BY currency, payee DESC, level DESC
"""


def fees_of(region: Region, *, since: datetime, until: datetime) -> list[Fees]:
    """Return the fees for addresses in a region by payee: points first, then agents from the deepest level up.

    Raises tiles.TooMuch.
    """
    rows = tiles.run(_FEES, {"region": region.pk, "since": since, "until": until})
    return [
        Fees(
            str(Account.Kind(payee).label),
            None if level is None else Level(level),
            number,
            ledger.written(amount_minor, currency),
            currency,
        )
        for payee, level, number, amount_minor, currency in rows
    ]


# The pickups that still earn, by the chain of their address, the tariff and what all of its agents got together.
_GRANTED = """
    SELECT p.region_ids::text, f.tariff_id, coalesce(agents.total, 0), p.id, h.held_at FROM pickup_parcel p
    JOIN LATERAL (
        SELECT h.id, CASE WHEN s.proof = 'manual' THEN s.recorded_at ELSE p.collected_at END AS held_at
        FROM pickup_handover h JOIN pickup_scan s ON s.id = h.scan_id
        WHERE h.parcel_id = p.id AND h.undone_by_id IS NULL
    ) h ON true
    JOIN pickup_posting f ON f.handover_id = h.id AND f.kind = 'point_fee'
         AND NOT EXISTS (SELECT FROM pickup_posting r WHERE r.reverses_id = f.id)
    LEFT JOIN LATERAL (
        SELECT sum(a.amount_minor) AS total FROM pickup_posting a WHERE a.handover_id = h.id AND a.kind = 'agent_fee'
    ) agents ON true
    WHERE p.region_ids && %(regions)s::bigint[] AND p.status = 'collected'
      AND p.collected_at >= %(since)s AND p.collected_at < %(until)s
"""
_BY_REGION = f"""
    SELECT region.id, g.region_ids, g.tariff_id, g.total, count(*)
    FROM ({_GRANTED}) g (region_ids, tariff_id, total, parcel_id, at)
    JOIN unnest(%(regions)s::bigint[]) AS region (id) ON region.id = ANY (g.region_ids::bigint[])
    WHERE NOT EXISTS (SELECT FROM network_appointment a WHERE a.region_id = region.id AND a.valid @> g.at)
    GROUP BY region.id, g.region_ids, g.tariff_id, g.total
"""  # noqa: S608 - put together from constants


@dataclass(frozen=True)
class Unclaimed:
    """The pickups of a time for addresses in a region that nobody held then, and what its agent would have got of them
    (minor units): what went to the next agent above instead, and what stayed with the network.
    """

    currency: str
    pickups: int
    upward_minor: int
    kept_minor: int


def unclaimed(region_ids: Iterable[int], *, since: datetime, until: datetime) -> dict[int, list[Unclaimed]]:
    """Tell of each region what its vacancy came to, by currency; regions without any such pickup are left out.

    R8 seen as a scale: the agents of a pickup got together what the highest appointed ceiling allows, so a vacant
    region's part, which lies between the ceilings below it and its own, went upward as far as that total reaches.
    Raises tiles.TooMuch.
    """
    rows = tiles.run(_BY_REGION, {"regions": list(region_ids), "since": since, "until": until})
    chains = {text: [int(part) for part in text.strip("{}").split(",")] for _, text, *_ in rows}
    known = Region.objects.in_bulk({region_id for chain in chains.values() for region_id in chain})
    tariffs = Tariff.objects.in_bulk({row[2] for row in rows})
    sums: dict[tuple[int, str], list[int]] = {}
    for region_id, text, tariff_id, total, number in rows:
        tariff = tariffs[tariff_id]
        below, own = fees.part_of(region_id, [known[one] for one in chains[text] if one in known], tariff=tariff)
        part, upward = max(0, own - below), max(0, min(own, int(total)) - below)
        sum_ = sums.setdefault((region_id, tariff.currency), [0, 0, 0])
        for place, more in enumerate((number, number * upward, number * (part - upward))):
            sum_[place] += more
    found: dict[int, list[Unclaimed]] = {}
    for (region_id, currency), (pickups, upward_minor, kept_minor) in sorted(sums.items()):
        found.setdefault(region_id, []).append(Unclaimed(currency, pickups, upward_minor, kept_minor))
    return found


_IN_REVIEW = """
    SELECT count(*), count(a.location), count(*) FILTER (WHERE a.region_ids @> ARRAY[%(region)s]::bigint[])
    FROM pickup_order o JOIN network_address a ON a.id = o.address_id WHERE o.status = 'review'
"""


@dataclass(frozen=True)
class Review:
    """How many orders wait for a person: in all, with a place that can be shown, and in the region asked for."""

    total: int
    placed: int
    inside: int


def review_of(region: Region | None) -> Review:
    """Raises tiles.TooMuch."""
    return Review(*tiles.run(_IN_REVIEW, {"region": region.pk if region else 0})[0])


_REVIEW_TILE = """
    WITH place AS (
        SELECT o.id, o.reference, ST_SnapToGrid(a.location, %(grid)s) AS place
        FROM pickup_order o JOIN network_address a ON a.id = o.address_id
        WHERE o.status = 'review' AND a.location IS NOT NULL
          AND a.location && ST_Expand(ST_Transform(ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s), 4326), %(grid)s)
    ), pixel AS (
        SELECT id, reference, (map_x(place) * 2 ^ (%(zoom)s - 30) - %(x)s) * 4096 AS px,
               (map_y(place) * 2 ^ (%(zoom)s - 30) - %(y)s) * 4096 AS py FROM place
    )
    SELECT ST_AsMVT(row, 'review', 4096, 'geom') FROM (
        SELECT count(*)::int AS count, min(id) AS "order", min(reference) AS reference,
               ST_MakePoint(floor(avg(px)), floor(avg(py))) AS geom
        FROM pixel WHERE px >= 0 AND px < 4096 AND py >= 0 AND py < 4096 GROUP BY floor(px / 256), floor(py / 256)
    ) row
"""


def review_tile(tile: tiles.Tile) -> bytes:
    """Return the layer `review`: how many orders wait near a place, which is moved to the next hundredth of a degree.

    A tile is kept by a browser and its address by logs, and neither asks why somebody looked at a home (R12).
    """
    values: dict[str, Any] = {"zoom": tile.zoom, "x": tile.x, "y": tile.y, "grid": REVIEW_GRID}
    layer = tiles.run(_REVIEW_TILE, values)[0][0]
    return bytes(layer or b"")


_FULL = """
    SELECT p.id FROM network_servicepoint p LEFT JOIN (
        SELECT service_point_id, count(*) AS number FROM pickup_parcel
        WHERE status = ANY (%(held)s) AND service_point_id IS NOT NULL GROUP BY service_point_id
    ) held ON held.service_point_id = p.id
    WHERE p.status = 'active' AND coalesce(held.number, 0) >= p.capacity LIMIT %(most)s
"""


def full_points(at: datetime) -> list[int]:
    """Return the points that have no room left, as of the last half minute. Raises tiles.TooMuch."""
    return list(_full_points(int(at.timestamp() // FULL_FOR_S)))


@lru_cache(maxsize=1)
def _full_points(half_minute: int) -> tuple[int, ...]:
    """One screen asks for a dozen tiles at once, all about the same points."""
    rows = tiles.run(_FULL, {"held": list(map(str, parcels.HELD)), "most": MOST_FULL})
    return tuple(point_id for (point_id,) in rows)


_NEAREST = """
    SELECT o.id, near.name, near.metres FROM network_pointproposal o
    CROSS JOIN LATERAL (
        SELECT close.name, ST_Distance(close.location::geography, o.location::geography) AS metres FROM (
            SELECT p.name, p.location FROM network_servicepoint p WHERE p.status = 'active'
            ORDER BY p.location <-> o.location LIMIT 16
        ) close ORDER BY metres LIMIT 1
    ) near WHERE o.id = ANY (%(proposals)s)
"""


def nearest_points(proposal_ids: Iterable[int]) -> dict[int, tuple[str, float]]:
    """Return for each proposal the nearest active service point: its name, and metres on the ellipsoid.

    A few are fetched by degrees and then compared by metres, whose order differs away from the equator.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NEAREST, {"proposals": list(proposal_ids)})
        return {proposal_id: (name, metres) for proposal_id, name, metres in cursor.fetchall()}


def review_counts() -> list[tuple[str, str, int, datetime]]:
    """Orders in review by reason and merchant: (reason, merchant, how many, the oldest), the most first."""
    waiting: Any = Order.objects.filter(status=Order.Status.REVIEW).values_list("review_reason", "merchant__name")
    return list(waiting.annotate(number=Count("id"), oldest=Min("placed_at")).order_by("-number", "review_reason"))
