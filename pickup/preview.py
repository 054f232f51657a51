"""What a draft of borders would change: parcels that would lie elsewhere, points that move, each agent's fees (R8).

Only what lies in the area that the draft moves is looked at, found by place; what lies elsewhere keeps its region.
Nothing of parcels, addresses and fees is ever written: a preview is a row with a result.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from network import clock, drafts, points, prospects, tiles
from network.models import Agent, Appointment, Region, RegionDraft, ServicePoint, User
from network.prospects import Place, Prospect
from pickup import fees
from pickup.models import ImpactPreview, Tariff

DAYS = 30
AT_ONCE = 20_000  # addresses that are looked at while somebody waits; of more, a worker tells its progress
CHUNK = 20_000
MOST_FLOWS, MOST_SAMPLED, MOST_POINTS, MOST_AGENTS = 50, 20, 200, 500
NEAR_DEG = 0.01  # how exactly a sample tells where an address lies: about a kilometre (R12)
KEPT = 10  # previews of one draft
SILENT_FOR = timedelta(minutes=2)  # whoever works on one for so long without a sign has died

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]


class TooMuch(Exception):
    """More addresses than are looked at while somebody waits."""


# Addresses in the moved area. `named` are those of which only the region's name is known: they stay with the name.
_ADDRESSES = """
    WITH piece AS MATERIALIZED (SELECT ST_GeomFromWKB(wkb, 4326) AS geom FROM unnest(%(pieces)s::bytea[]) AS u(wkb))
    SELECT a.id, ST_X(a.location), ST_Y(a.location), a.source = 'gazetteer', a.region_id
    FROM piece CROSS JOIN LATERAL (
        SELECT * FROM network_address WHERE location && piece.geom AND ST_Covers(piece.geom, location) OFFSET 0
    ) a LIMIT %(most)s
"""
# What lay there in the days that are looked at: sent then, or collected then.
_PARCELS = """
    SELECT o.address_id, p.barcode, p.region_ids[1], o.placed_at >= %(first)s,
           CASE WHEN p.status = 'collected' AND p.collected_at >= %(first)s AND p.collected_at < %(end)s
                 AND h.id IS NOT NULL AND NOT EXISTS (SELECT FROM pickup_manualrelease m
                                 WHERE m.handover_id = h.id AND m.decision <> 'approved')
                 AND NOT EXISTS (SELECT FROM pickup_dispute d WHERE d.handover_id = h.id AND d.outcome = 'upheld')
                THEN p.collected_at END,
           h.id
    FROM pickup_order o JOIN pickup_parcel p ON p.order_id = o.id
    LEFT JOIN pickup_handover h ON h.parcel_id = p.id AND h.undone_by_id IS NULL
    WHERE o.address_id = ANY (%(addresses)s)
      AND (o.placed_at >= %(first)s OR p.status = 'collected' AND p.collected_at >= %(first)s)
"""
_PAID = """
    SELECT a.agent_id, SUM(CASE f.kind WHEN 'reversal' THEN -f.amount_minor ELSE f.amount_minor END)::bigint
    FROM pickup_posting f
    JOIN pickup_account a ON a.id = CASE f.kind WHEN 'reversal' THEN f.debit_id ELSE f.credit_id END
    WHERE f.handover_id = ANY (%(handovers)s) AND f.kind IN ('agent_fee', 'reversal') AND f.currency = %(currency)s
      AND a.agent_id IS NOT NULL
    GROUP BY 1
"""
# All fees of an agent in those days, wherever they came from.
_TOTALS = """
    SELECT a.agent_id,
           (SELECT COALESCE(SUM(amount_minor), 0) FROM pickup_posting f WHERE f.credit_id = a.id
            AND f.recorded_at >= %(first)s AND f.recorded_at < %(end)s AND f.kind = 'agent_fee')::bigint
         - (SELECT COALESCE(SUM(amount_minor), 0) FROM pickup_posting f WHERE f.debit_id = a.id
            AND f.recorded_at >= %(first)s AND f.recorded_at < %(end)s AND f.kind = 'reversal'
            AND f.debit_kind <> 'network')::bigint
    FROM pickup_account a WHERE a.agent_id = ANY (%(agents)s) AND a.currency = %(currency)s
"""


def _run(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, dict(values))
        return list(cursor.fetchall())


# The rows: asked for, worked out, read.


def ask(draft: RegionDraft, *, version: int, since: datetime | None, by: User, now: datetime) -> ImpactPreview:
    """Return a preview of the draft, done where it is small; otherwise it waits for a sweep.

    Raises drafts.NotOpen and drafts.VersionConflict.
    """
    with transaction.atomic(durable=True):
        draft = drafts.locked(draft.pk, version=version)
        mine = ImpactPreview.objects.filter(draft=draft)
        row = mine.filter(
            status__in=["waiting", "running"],
            drawn=draft.drawn,
            is_now=since is None,
            **({"since": since} if since else {}),
        ).first()
        if row is not None:
            return row
        row = ImpactPreview.objects.create(
            draft=draft,
            drawn=draft.drawn,
            version=version,
            since=since or now,
            is_now=since is None,
            asked_by=by,
            asked_at=now,
        )
        old = mine.order_by("-pk").values_list("pk", flat=True)[KEPT : KEPT + 100]
        ImpactPreview.objects.filter(pk__in=list(old)).delete()
    _at_once(row, now=now)
    row.refresh_from_db()
    return row


def _at_once(row: ImpactPreview, *, now: datetime) -> None:
    """Work a small one out while somebody waits, and leave a large one to the sweep."""
    try:
        with _patience(tiles.PATIENCE_MS):
            _finish(row, work_out(row.draft, since=row.since, now=now, most=AT_ONCE))
    except (TooMuch, tiles.TooMuch):
        log.info("preview %s waits for a worker", row.pk)


@contextmanager
def _patience(milliseconds: int) -> Iterator[None]:
    """Each statement ends after this. Raises tiles.TooMuch."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {milliseconds:d}")
            cursor.execute("SET LOCAL jit = off; SET LOCAL idle_in_transaction_session_timeout = '5min'")
            yield
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) == "57014":
            raise tiles.TooMuch from error
        raise


def _finish(row: ImpactPreview, result: dict[str, Any]) -> None:
    looked_at = result["parcels"]["looked_at"]
    ImpactPreview.objects.filter(pk=row.pk).update(
        status="done", result=result, done=looked_at, total=looked_at, message=""
    )


def work_out_waiting(*, now: datetime, limit: int) -> int:
    """Work previews out that wait, oldest first, and those whose worker died; returns how many. A sweep."""
    done = 0
    while done < limit and (row := _claimed(now)) is not None:
        _work_out(row, now=now)
        done += 1
    return done


def _claimed(now: datetime) -> ImpactPreview | None:
    free = Q(status="waiting") | Q(status="running", seen_at__lt=now - SILENT_FOR)
    with transaction.atomic(durable=True):
        row = (
            ImpactPreview.objects.select_for_update(skip_locked=True, of=["self"])
            .select_related("draft")
            .filter(free)
            .order_by("pk")
            .first()
        )
        if row is not None:
            row.status, row.seen_at = ImpactPreview.Status.RUNNING, now
            row.save(update_fields=["status", "seen_at"])
    return row


def _work_out(row: ImpactPreview, *, now: datetime) -> None:
    def tell(done: int, total: int) -> None:
        ImpactPreview.objects.filter(pk=row.pk).update(done=done, total=total, seen_at=clock.now())

    mine = ImpactPreview.objects.filter(pk=row.pk)
    if row.draft.drawn != row.drawn:
        mine.update(status="failed", message=_("the draft was changed meanwhile"))
        return
    try:
        _finish(row, work_out(row.draft, since=row.since, now=row.asked_at, tell=tell, patient=True))
    except tiles.TooMuch:
        mine.update(status="failed", message=_("there is too much in the area that moves"))


# What it tells.


@dataclass
class _Tally:
    """What is counted from one chunk of addresses to the next."""

    looked_at: int = 0
    named: int = 0
    moved: int = 0
    flows: Counter[tuple[int | None, str]] = field(default_factory=Counter)
    sample: list[tuple[str, int | None, str, float, float]] = field(default_factory=list)
    before: Counter[int] = field(default_factory=Counter)
    after: Counter[int] = field(default_factory=Counter)
    pickups: int = 0


def work_out(
    draft: RegionDraft,
    *,
    since: datetime,
    now: datetime,
    most: int | None = None,
    tell: Progress = lambda done, total: None,
    patient: bool = False,
) -> dict[str, Any]:
    """Return the result of a preview as JSON: see docs/decisions/0011. Raises TooMuch beyond `most` addresses.

    `patient`: a worker's, whose statements may take a minute each, every chunk in a transaction of its own.
    """
    view = _View(Prospect.of(draft, since=since), first=now - timedelta(days=DAYS), end=now)
    with _patience(60_000) if patient else transaction.atomic():
        addresses = view.addresses(most)
    tally = _Tally()
    tell(0, len(addresses))
    for start in range(0, len(addresses), CHUNK):
        with _patience(60_000) if patient else transaction.atomic():
            view.count(addresses[start : start + CHUNK], tally)
        tell(min(start + CHUNK, len(addresses)), len(addresses))
    with _patience(60_000) if patient else transaction.atomic():
        return {
            "days": DAYS,
            "first": view.first.isoformat(),
            "end": view.end.isoformat(),
            "area_m2": prospects.area_m2(view.pieces),
            "parcels": view.parcels(tally),
            "points": view.points(),
            "fees": view.fees(tally),
            "appointments": view.appointments(),
        }


class _View:
    """One draft, the borders before and after it, and the days that are looked at."""

    def __init__(self, prospect: Prospect, *, first: datetime, end: datetime) -> None:
        self.prospect, self.first, self.end = prospect, first, end
        self.pieces = list(shapely.get_parts(shapely.union_all(prospect.moved))) if prospect.moved else []
        self.retired = {
            shape.region.pk for shape in prospect.shapes.values() if shape.row.retired and shape.region is not None
        }

    def addresses(self, most: int | None) -> list[tuple[int, float, float, bool, int | None]]:
        """Return the addresses in the moved area, each once. Raises TooMuch."""
        values = {"pieces": list(shapely.to_wkb(self.pieces)), "most": None if most is None else most + 1}
        rows = _run(_ADDRESSES, values) if self.pieces else []
        if most is not None and len(rows) > most:
            raise TooMuch
        return list({row[0]: row for row in rows}.values())

    def count(self, addresses: Sequence[tuple[int, float, float, bool, int | None]], tally: _Tally) -> None:
        """Find which of these addresses would lie elsewhere, and what their parcels tell."""
        lon, lat = (np.array([row[axis] for row in addresses], dtype=float) for axis in (1, 2))
        before = prospects.deepest(self.prospect.before, lon, lat)
        after = prospects.deepest(self.prospect.after, lon, lat)
        moved: dict[int, tuple[int, float, float]] = {}
        for number, (pk, x, y, named, region_id) in enumerate(addresses):
            if named and region_id not in self.retired:
                tally.named += 1
                continue
            old, new = self._key(self.prospect.before, before[number]), self._key(self.prospect.after, after[number])
            if old != new and new != self._code_of.get(region_id or 0, ""):
                moved[pk] = (int(after[number]), x, y)
        tally.looked_at += len(addresses)
        if moved:
            self._count_parcels(moved, tally)

    def _key(self, places: Sequence[Place], number: int) -> str:
        return places[number].code if number >= 0 else ""

    @cached_property
    def _code_of(self) -> dict[int, str]:
        return {place.region_id: place.code for place in self.prospect.before if place.region_id is not None}

    def _count_parcels(self, moved: Mapping[int, tuple[int, float, float]], tally: _Tally) -> None:
        values = {"addresses": list(moved), "first": self.first, "end": self.end}
        handovers: list[int] = []
        groups: Counter[tuple[int, int]] = Counter()
        at_of: dict[tuple[int, int], datetime] = {}
        for address_id, barcode, region_id, is_recent, collected_at, handover_id in _run(_PARCELS, values):
            number, x, y = moved[address_id]
            if is_recent:
                to = self._key(self.prospect.after, number)
                tally.moved += 1
                tally.flows[region_id, to] += 1
                if len(tally.sample) < MOST_SAMPLED:
                    tally.sample.append((barcode, region_id, to, x, y))
            if collected_at is not None:
                handovers.append(handover_id)
                group = (number, bisect_right(self._moments, collected_at))
                groups[group] += 1
                at_of[group] = min(collected_at, at_of.get(group, collected_at))
        tally.pickups += len(handovers)
        if handovers:
            tally.before.update(dict(_run(_PAID, {"handovers": handovers, "currency": self.currency})))
        for (number, _stretch), pickups in groups.items():
            for agent_id, amount_minor in self._parts(number, at_of[number, _stretch]):
                tally.after[agent_id] += pickups * amount_minor

    # R8 over the would-be chains. Within a stretch of time no appointment and no tariff changed.

    @cached_property
    def _tariffs(self) -> list[Tariff]:
        return list(Tariff.objects.filter(valid_from__lt=self.end).order_by("valid_from"))

    @cached_property
    def currency(self) -> str:
        return self._tariffs[-1].currency if self._tariffs else ""

    @cached_property
    def _chains(self) -> list[list[Region]]:
        """For each place after the draft its chain, deepest first. New regions have no number and no appointment."""
        codes = {code for place in self.prospect.after for code in place.path.split(".")}
        known = {region.code: region for region in Region.objects.filter(code__in=codes)}
        drawn = {place.code: place for place in self.prospect.drawn}
        new = {
            code: Region(code=code, name=drawn[code].name, level=drawn[code].level)
            for code in codes - known.keys()
            if code in drawn
        }
        regions = known | new
        return [
            [regions[code] for code in reversed(place.path.split(".")) if code in regions]
            for place in self.prospect.after
        ]

    @cached_property
    def _seats(self) -> dict[int, list[Appointment]]:
        ids = {region.pk for chain in self._chains for region in chain if region.pk}
        held: dict[int, list[Appointment]] = defaultdict(list)
        for row in Appointment.objects.filter(region_id__in=ids, valid__overlap=(self.first, self.end)):
            held[row.region_id].append(row)
        return held

    @cached_property
    def _moments(self) -> list[datetime]:
        bounds = {end for rows in self._seats.values() for row in rows for end in (row.valid.lower, row.valid.upper)}
        return sorted(bounds | {tariff.valid_from for tariff in self._tariffs})

    def _parts(self, number: int, at: datetime) -> Iterable[tuple[int, int]]:
        """Return (agent, minor units) of one pickup at that moment in that place; nothing outside every region."""
        earlier = [tariff for tariff in self._tariffs if tariff.valid_from <= at]
        if number < 0 or not earlier or earlier[-1].currency != self.currency:
            return
        chain = self._chains[number]
        held = {region.pk: row for region in chain for row in self._seats.get(region.pk or 0, ()) if _contains(row, at)}
        for step in fees.steps(chain, held, tariff=earlier[-1]):
            if step.appointment is not None and step.amount_minor:
                yield step.appointment.agent_id, step.amount_minor

    # The parts of the result.

    def parcels(self, tally: _Tally) -> dict[str, Any]:
        ids = {region_id for region_id, _to in tally.flows if region_id is not None}
        ids |= {row[1] for row in tally.sample if row[1] is not None}
        froms = {
            pk: {"code": code, "name": name}
            for pk, code, name in Region.objects.filter(pk__in=ids).values_list("pk", "code", "name")
        }
        tos = self._tos
        return {
            "looked_at": tally.looked_at,
            "by_name": tally.named,
            "moved": tally.moved,
            "flows": [
                {"from": froms.get(region_id or 0), "to": tos.get(to), "parcels": number}
                for (region_id, to), number in tally.flows.most_common(MOST_FLOWS)
            ],
            "sample": [
                {
                    "barcode": barcode,
                    "from": froms.get(region_id or 0),
                    "to": tos.get(to),
                    "lat": round(round(y / NEAR_DEG) * NEAR_DEG, 2),
                    "lon": round(round(x / NEAR_DEG) * NEAR_DEG, 2),
                }
                for barcode, region_id, to, x, y in tally.sample
            ],
        }

    @cached_property
    def _tos(self) -> dict[str, dict[str, Any]]:
        return {
            place.code: {"code": place.code, "name": place.name, "new": place.region_id is None}
            for place in self.prospect.after
        }

    def points(self) -> dict[str, Any]:
        """The service points that would come to lie in another region."""
        rows = list(
            ServicePoint.objects.filter(pk__in=points.inside(self.pieces)).select_related("region").order_by("pk")
        )
        lon, lat = (np.array([row.location[axis] for row in rows], dtype=float) for axis in (0, 1))
        after = prospects.deepest(self.prospect.after, lon, lat)
        told, moved = [], 0
        for row, number in zip(rows, after, strict=True):
            code = self._key(self.prospect.after, number)
            if code != (row.region.code if row.region else ""):
                moved += 1
                old = {"code": row.region.code, "name": row.region.name} if row.region else None
                place = {"lat": row.location.y, "lon": row.location.x, "from": old, "to": self._tos.get(code)}
                told.append({"id": row.pk, "ref": row.ref, "name": row.name, **place})
        return {"moved": moved, "points": told[:MOST_POINTS]}

    def fees(self, tally: _Tally) -> dict[str, Any]:
        """Each agent's fees of those days as they are and as they would be."""
        agents = {agent for agent in {*tally.before, *tally.after} if tally.before[agent] != tally.after[agent]}
        values = {"agents": sorted(agents), "first": self.first, "end": self.end, "currency": self.currency}
        totals = dict(_run(_TOTALS, values)) if agents else {}
        names = {
            pk: (ref, name) for pk, ref, name in Agent.objects.filter(pk__in=agents).values_list("pk", "ref", "name")
        }
        rows = []
        for agent in sorted(agents, key=lambda pk: (-abs(tally.after[pk] - tally.before[pk]), pk)):
            difference, paid = tally.after[agent] - tally.before[agent], totals.get(agent, 0)
            ref, name = names[agent]
            amounts = {"paid_minor": paid, "would_minor": paid + difference, "difference_minor": difference}
            rows.append({"id": agent, "ref": ref, "name": name, **amounts})
        return {
            "currency": self.currency,
            "pickups": tally.pickups,
            "agents": rows[:MOST_AGENTS],
            "network_difference_minor": sum(row["difference_minor"] for row in rows),
        }

    def appointments(self) -> list[dict[str, Any]]:
        """The appointments that lose their territory, since their region ends."""
        running = Appointment.objects.filter(region_id__in=self.retired, valid__endswith__gt=self.prospect.since)
        return [
            {
                "agent": row.agent.name,
                "region": {"code": row.region.code, "name": row.region.name},
                "until": row.valid.upper.isoformat(),
            }
            for row in running.select_related("agent", "region").order_by("region__code", "valid")
        ]


def _contains(row: Appointment, at: datetime) -> bool:
    return bool(row.valid.lower <= at < row.valid.upper)
