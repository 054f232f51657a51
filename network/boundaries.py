"""Boundary sets: what is refused before a polygon counts, and how a set of them comes into force (R1).

Nothing is ever repaired: a row is taken as it is, or refused with its reason. All geometry is tested here, in this
process and within bounds, before any of it reaches the database, which keeps the same rules by itself.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import shapely
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from network import polygons
from network.models import BoundaryOverlap, BoundarySet, Level, Region, RegionAlias
from network.placenames import known_aliases

MAX_PATH = 200  # characters, as the column
MISPLACED_SHARE = 0.10  # of a region outside its parent; see docs/decisions/0003-boundaries-and-slivers.md
SAME_DEG = 1e-8  # a millimetre: by so much a conversion may differ from one machine to the next

LEVELS = {level.name.lower(): level for level in Level}
_CODE = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_BATCH = 256

Item = TypeVar("Item")


@dataclass(frozen=True)
class Draft:
    """A region as a source describes it. `level` is a word, `parent` a code or empty; `geom` is in WGS 84 degrees."""

    number: int  # of the row in its source, counted from 1
    code: str
    name: str
    level: str
    parent: str
    geom: polygons.Geometry | None


@dataclass(frozen=True)
class BadRow:
    """Why one row was not taken."""

    number: int
    code: str
    reason: str

    def __str__(self) -> str:
        where = _("row %(number)s, %(code)s") if self.code else _("row %(number)s")
        return f"{where % {'number': self.number, 'code': self.code}}: {self.reason}"


class PublishRefused(Exception):
    """The set as a whole could not come into force; nothing of it was kept."""


class Busy(PublishRefused):
    """Somebody else publishes right now, and takes longer than one waits."""


@dataclass
class Published:
    """What became of the rows. `boundary_set` is None when nothing had changed."""

    boundary_set: BoundarySet | None = None
    created: list[str] = field(default_factory=list)  # codes of regions that are new
    changed: list[str] = field(default_factory=list)  # known regions with a new boundary or name
    unchanged: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    slivers: int = 0  # overlaps that were small enough to be accepted
    refused: list[BadRow] = field(default_factory=list)


@dataclass(frozen=True)
class _Known:
    """A region of the database with its latest boundary, if it has one."""

    code: str
    id: int
    name: str
    level: int
    parent: str
    path: str
    boundary_id: int | None
    since: datetime | None
    until: datetime | None
    sha256: str | None


@dataclass
class _Row:
    """A draft that is sound by itself."""

    draft: Draft
    level: Level
    geom: Any  # MultiPolygon, or None for a macro-region
    known: _Known | None = None
    new_geom: bool = True


def publish(
    drafts: Iterable[Draft | BadRow],
    *,
    name: str,
    source: str,
    since: datetime,
    datum: str = "wgs84",
    whole: bool = False,
    ending: Collection[str] = (),
    locked: bool = False,
    progress: polygons.Progress = lambda step, done, total: None,
) -> Published:
    """Bring a set of regions and boundaries into force from a time on; what it does not name stays as it is.

    A bad row hurts only itself and what hangs under it, unless the set counts only as a `whole`: then nothing is
    kept. A region that is as it was is left alone, so the same set again changes nothing. `ending` are codes of
    regions whose boundaries end without a successor, as when two districts become one. `datum` is told of the
    source; the drafts are in WGS 84 already.

    `locked`: the caller is within `publishing()`, so that nobody else is. Otherwise only the writing happens under
    that lock: raises PublishRefused if the database refuses what was sound here, because somebody else published
    meanwhile.
    """
    published = Published()
    taken, known = _checked(drafts, since, ending, published.refused, progress)
    if whole and published.refused:
        return published
    _sort_by_outcome(taken, published)
    if published.created or published.changed or ending:
        progress(_("writing"), 0, 0)
        boundary_set = BoundarySet(name=name, source=source, datum=datum, valid_from=since)
        with nullcontext() if locked else publishing():
            _write(taken, known, published, boundary_set, ending)
    return published


def faults(drafts: Iterable[Draft], *, since: datetime, ending: Collection[str] = ()) -> list[BadRow]:
    """Return the rows that `publish` would refuse today. Raises PublishRefused as it would."""
    refused: list[BadRow] = []
    _checked(drafts, since, ending, refused, lambda step, done, total: None)
    return sorted(refused, key=lambda bad: bad.number)


@contextmanager
def publishing() -> Iterator[None]:
    """One transaction in which nobody else publishes. Raises Busy after half a minute of waiting for one who does."""
    try:
        with transaction.atomic(durable=True):
            _query(PATIENCE, [])
            _query(f"SELECT pg_advisory_xact_lock({LOCK})", [])
            yield
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) == "55P03":
            raise Busy(_("somebody else publishes right now: try again in a minute")) from error
        raise PublishRefused(_("the database refused the set: %s") % str(error).splitlines()[0]) from error


def _checked(
    drafts: Iterable[Draft | BadRow],
    since: datetime,
    ending: Collection[str],
    refused: list[BadRow],
    progress: polygons.Progress,
) -> tuple[list[_Row], dict[str, _Known]]:
    """Return the rows that may be written, and what the database knows of them and their parents."""
    rows = _sound(drafts, refused, progress)
    known = _known({row.draft.code for row in rows} | {row.draft.parent for row in rows} | set(ending))
    missing = sorted(code for code in ending if code not in known)
    if missing:
        raise PublishRefused(_("unknown regions: %s") % ", ".join(missing))
    if both := sorted({row.draft.code for row in rows} & set(ending)):
        raise PublishRefused(_("both drawn and to end: %s") % ", ".join(both))
    _compare(rows, known, progress)
    taken = _Placed(rows, known, since, set(ending), refused, progress).taken
    refused.sort(key=lambda bad: bad.number)
    return taken, known


def _sort_by_outcome(taken: Iterable[_Row], published: Published) -> None:
    for row in taken:
        if row.known is None:
            published.created.append(row.draft.code)
        elif row.new_geom or row.known.name != row.draft.name:
            published.changed.append(row.draft.code)
        else:
            published.unchanged.append(row.draft.code)


# One row by itself.


def _sound(drafts: Iterable[Draft | BadRow], refused: list[BadRow], progress: polygons.Progress) -> list[_Row]:
    rows: list[_Row] = []
    first_in: dict[str, int] = {}
    for done, draft in enumerate(drafts, 1):
        progress(_("reading"), done, 0)
        if isinstance(draft, BadRow):
            refused.append(draft)
            continue
        fault = fault_of_words(draft)
        if not fault and draft.code in first_in:
            fault = _("row %s has this code already") % first_in[draft.code]
        if not fault:
            first_in[draft.code] = draft.number
            fault = polygons.fault(draft.geom) if _needs_polygon(draft) else ""
        if fault:
            refused.append(BadRow(draft.number, draft.code, fault))
        else:
            geom = polygons.as_stored(draft.geom) if _needs_polygon(draft) else None
            rows.append(_Row(draft, LEVELS[draft.level], geom))
    return rows


def _needs_polygon(draft: Draft) -> bool:
    """A macro-region is the sum of its provinces and may come without a polygon of its own."""
    return draft.level != "macro" or (draft.geom is not None and not draft.geom.is_empty)


def unfit(text: str) -> bool:
    """Whether a text has characters in it that no name has."""
    return bool(_UNFIT.search(text))


def fault_of_words(draft: Draft) -> str:
    """Say what is wrong with the code, name, level and parent of a row; nothing if it is well."""
    if not draft.code:
        return _("no code")
    if not _CODE.fullmatch(draft.code):
        return _("a code is 1 to 32 Latin letters, digits, “-” and “_”")
    if not draft.name.strip() or len(draft.name) > 100 or unfit(draft.name):
        return _("a name is 1 to 100 characters of text")
    if not draft.level:
        return _("no level")
    if draft.level not in LEVELS:
        words = ", ".join(LEVELS)
        return _("the level is “%(level)s”, not one of %(words)s") % {
            "level": draft.level[:40],
            "words": words,
        }
    if draft.parent and not _CODE.fullmatch(draft.parent):
        return _("the parent is not a code")
    return ""


# Rows against the tree, the polygons around them and each other, from the coarse levels to the fine ones.


@dataclass(frozen=True)
class _Neighbour:
    """A boundary of the database that is in force and in the way."""

    code: str
    geom: Any


class _Placed:
    """Decides level by level which sound rows are taken, since a row falls with its parent."""

    def __init__(
        self,
        rows: Sequence[_Row],
        known: dict[str, _Known],
        since: datetime,
        ending: set[str],
        refused: list[BadRow],
        progress: polygons.Progress,
    ) -> None:
        self.known, self.since, self.ending, self.refused, self.progress = (
            known,
            since,
            ending,
            refused,
            progress,
        )
        self.by_code: dict[str, _Row] = {}  # the rows taken so far
        self.levels = {row.draft.code: row.level for row in rows}
        self.fallen = {bad.code for bad in refused} - self.levels.keys()
        self.paths = {code: region.path for code, region in known.items()}
        self.areas: dict[str, Any] = {}
        for level in Level:
            self._level([row for row in rows if row.level == level])

    @property
    def taken(self) -> list[_Row]:
        return list(self.by_code.values())

    def _level(self, rows: list[_Row]) -> None:
        rows = self._keep(rows, {row.draft.code: self._fault_in_tree(row) for row in rows})
        rows = self._keep(rows, self._misplaced([row for row in rows if row.new_geom]))
        rows = self._keep(rows, self._overlapping([row for row in rows if row.new_geom]))
        for row in rows:
            self.by_code[row.draft.code] = row
            self.paths[row.draft.code] = self._path(row)

    def _keep(self, rows: Iterable[_Row], faults: dict[str, str]) -> list[_Row]:
        kept = []
        for row in rows:
            if fault := faults.get(row.draft.code):
                self.refused.append(BadRow(row.draft.number, row.draft.code, fault))
                self.fallen.add(row.draft.code)
            else:
                kept.append(row)
        return kept

    def _path(self, row: _Row) -> str:
        above = self.paths[row.draft.parent] + "." if row.draft.parent else ""
        return above + row.draft.code

    def _fault_in_tree(self, row: _Row) -> str:
        parent, known = row.draft.parent, row.known
        if known is not None and known.level != row.level:
            return _("known as a %s already; a region keeps its level") % Level(known.level).label
        if known is not None and known.parent != parent:
            where = known.parent or _("nothing")
            return _("known to hang under %s; a region keeps its place in the tree") % where
        if known is not None and row.new_geom and (fault := self._fault_in_time(known)):
            return fault
        if not parent:
            return ""
        if parent in self.fallen and parent not in self.known:
            return _("its parent %s was refused") % parent
        if parent in self.levels:
            level = int(self.levels[parent])
        elif parent in self.known:
            level = self.known[parent].level
        else:
            return _("unknown parent %s") % parent
        if level >= row.level:
            return _("its parent %s is not of a coarser level") % parent
        if len(self._path(row)) > MAX_PATH:
            return _("the codes from the root are longer than %s characters") % MAX_PATH
        return ""

    def _fault_in_time(self, known: _Known) -> str:
        if known.since is not None and known.since >= self.since:
            return _("a boundary is in force from %s on, not earlier") % f"{localtime(known.since):%Y-%m-%d %H:%M}"
        if known.until is not None and known.until > self.since:
            return _("its boundary is to end on %s, not before") % f"{localtime(known.until):%Y-%m-%d %H:%M}"
        return ""

    def _misplaced(self, rows: Sequence[_Row]) -> dict[str, str]:
        """A region lies in its parent, give or take the width between two drawings of one border."""
        self._fetch_areas({row.draft.parent for row in rows if row.draft.parent})
        families = defaultdict(list)
        for row in rows:
            if self._area(row.draft.parent) is not None:
                families[row.draft.parent].append(row)
        shares = polygons.shares_outside(
            [(self._area(parent), [row.geom for row in children]) for parent, children in families.items()],
            self.progress,
        )
        return {
            row.draft.code: _("%(share).0f %% of it lies outside its parent %(parent)s")
            % {"share": 100 * share, "parent": parent}
            for (parent, children), outside in zip(families.items(), shares, strict=True)
            for row, share in zip(children, outside, strict=True)
            if share > MISPLACED_SHARE
        }

    def _area(self, code: str) -> Any:
        row = self.by_code.get(code)
        return row.geom if row is not None and row.new_geom else self.areas.get(code)

    def _fetch_areas(self, codes: set[str]) -> None:
        unread = sorted(
            code
            for code in codes - self.areas.keys()
            if code in self.known and not (code in self.by_code and self.by_code[code].new_geom)
        )
        for some in _batches(unread, 16):
            for code, wkb in _query(AREAS, [list(some), self.since]):
                self.areas[code] = shapely.from_wkb(bytes(wkb))

    def _overlapping(self, rows: list[_Row]) -> dict[str, str]:
        """Return the faults of the rows that share more than a sliver with an earlier row or a region in force."""
        rows = sorted(rows, key=lambda row: row.draft.number)
        neighbours = self._neighbours(rows)
        geoms = [row.geom for row in rows] + [neighbour.geom for neighbour in neighbours]
        overlaps = polygons.overlaps(geoms, len(rows), self.progress)
        taken = {row.draft.code for row in rows}
        while True:
            faults: dict[str, str] = {}
            for (
                first,
                second,
                area_m2,
            ) in overlaps:  # the second of a pair is a later row or one of the database
                mine, other = rows[first].draft.code, ""
                if second >= len(rows):
                    other = neighbours[second - len(rows)].code
                    replaced = other in taken or other in self.ending
                    faulty = mine if not replaced and mine != other else ""
                else:
                    mine, other = rows[second].draft.code, mine
                    faulty = mine if other not in faults else ""
                if faulty:
                    faults.setdefault(faulty, _overlap(other, area_m2))
            if taken == (still := {row.draft.code for row in rows} - faults.keys()):
                return faults
            taken = still

    def _neighbours(self, rows: Sequence[_Row]) -> list[_Neighbour]:
        found: dict[int, _Neighbour] = {}
        for some in _batches(rows, _BATCH):
            boxes = shapely.bounds([row.geom for row in some]).T.tolist()
            for boundary_id, code, wkb in _query(NEIGHBOURS, [*boxes, int(some[0].level), self.since, list(found)]):
                found[boundary_id] = _Neighbour(code, shapely.from_wkb(bytes(wkb)))
        return list(found.values())


def _overlap(code: str, area_m2: float) -> str:
    return _("overlaps %(code)s by %(area)s m²") % {"code": code, "area": f"{area_m2:,.1f}"}


# The database: what it knows, and what it is told.

KNOWN = """
    SELECT r.code, r.id, r.name, r.level, coalesce(p.code, ''), r.path,
           b.id, lower(b.valid), upper(b.valid), encode(sha256(ST_AsBinary(b.geom, 'NDR')), 'hex')
    FROM network_region r
    LEFT JOIN network_region p ON p.id = r.parent_id
    LEFT JOIN LATERAL (SELECT * FROM network_boundary WHERE region_id = r.id ORDER BY lower(valid) DESC LIMIT 1) b
           ON true
    WHERE r.code = ANY (%s)
"""
GEOMETRIES = "SELECT id, ST_AsBinary(geom) FROM network_boundary WHERE id = ANY (%s)"
AREAS = """
    SELECT r.code, ST_AsBinary(b.geom) FROM network_boundary b JOIN network_region r ON r.id = b.region_id
    WHERE r.code = ANY (%s) AND b.valid @> %s
"""
NEIGHBOURS = """
    SELECT DISTINCT ON (b.id) b.id, r.code, ST_AsBinary(b.geom)
    FROM unnest(%s::float8[], %s::float8[], %s::float8[], %s::float8[]) AS box(west, south, east, north)
    JOIN network_boundary b ON b.geom && ST_MakeEnvelope(box.west, box.south, box.east, box.north, 4326)
    JOIN network_region r ON r.id = b.region_id
    WHERE b.level = %s AND b.valid && tstzrange(%s, NULL) AND NOT b.id = ANY (%s::bigint[])
"""

LOCK = "'network_boundary'::regclass::oid::bigint"  # as the trigger takes it before the first row

# The database compares every pair of neighbours once more, which takes its time for a whole country.
PATIENCE = """
    SELECT set_config('statement_timeout', '15min', true), set_config('lock_timeout', '30s', true),
           set_config('idle_in_transaction_session_timeout', '15min', true)
"""


def _query(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _known(codes: set[str]) -> dict[str, _Known]:
    found = {}
    for some in _batches(sorted(codes - {""}), _BATCH):
        for row in _query(KNOWN, [list(some)]):
            found[row[0]] = _Known(*row)
    return found


def _compare(rows: Sequence[_Row], known: dict[str, _Known], progress: polygons.Progress) -> None:
    """Find out which rows bring a boundary that the database does not have already."""
    differing: dict[int, _Row] = {}
    for done, row in enumerate(rows):
        progress(_("comparing with what is there"), done, len(rows))
        row.known = known.get(row.draft.code)
        if row.geom is None:
            row.new_geom = False
        elif row.known is not None and row.known.boundary_id is not None and row.known.until is None:
            row.new_geom = row.known.sha256 != hashlib.sha256(shapely.to_wkb(row.geom, byte_order=1)).hexdigest()
            if row.new_geom:
                differing[row.known.boundary_id] = row
    for some in _batches(sorted(differing), 64):
        for boundary_id, wkb in _query(GEOMETRIES, [list(some)]):
            row, old = differing[boundary_id], shapely.from_wkb(bytes(wkb))
            row.new_geom = not shapely.equals_exact(row.geom, old, tolerance=SAME_DEG, normalize=True)


def _write(
    taken: Sequence[_Row],
    known: dict[str, _Known],
    published: Published,
    boundary_set: BoundarySet,
    ending: Collection[str],
) -> None:
    drawn = [row for row in taken if row.new_geom]
    closed = {row.known for row in drawn if row.known is not None} | {known[code] for code in ending}
    if drawn or ending:
        boundary_set.save(force_insert=True)
    ids = _write_regions(taken)
    _close({region for region in closed if region.until is None}, boundary_set.valid_from)
    _copy(drawn, ids, boundary_set)
    published.slivers = BoundaryOverlap.objects.filter(
        Q(first__boundary_set_id=boundary_set.pk) | Q(second__boundary_set_id=boundary_set.pk)
    ).count()
    published.boundary_set = boundary_set if boundary_set.pk else None
    published.ended = sorted(ending)


def _write_regions(taken: Sequence[_Row]) -> dict[str, int]:
    """Make the new regions and rename those that go by a new name; the old one stays as an alias."""
    parents = {row.draft.parent for row in taken if row.draft.parent}
    ids = dict(Region.objects.filter(code__in=parents).values_list("code", "id"))
    for level in Level:
        new = [row for row in taken if row.level == level and row.known is None]
        made = Region.objects.bulk_create(
            [
                Region(
                    code=row.draft.code,
                    name=row.draft.name,
                    level=level,
                    parent_id=ids[row.draft.parent] if row.draft.parent else None,
                    path="",  # the database fills it in
                )
                for row in new
            ],
            batch_size=1000,
        )
        ids |= {region.code: region.id for region in made}
        RegionAlias.objects.bulk_create(
            [
                RegionAlias(region=region, name=alias.name, kind=alias.kind)
                for region in made
                for alias in known_aliases().get(region.code, ())
            ]
        )
    for row in taken:
        if row.known is not None:
            ids[row.draft.code] = row.known.id
            if row.known.name != row.draft.name:
                RegionAlias.objects.get_or_create(
                    region_id=row.known.id, name=row.known.name, defaults={"kind": RegionAlias.Kind.FORMER}
                )
                Region.objects.filter(id=row.known.id).update(name=row.draft.name)
    return ids


def _close(regions: Collection[_Known], at: datetime) -> None:
    ids = sorted(region.boundary_id for region in regions if region.boundary_id is not None)
    closed = _query(
        """UPDATE network_boundary SET valid = tstzrange(lower(valid), %s)
           WHERE id = ANY (%s) AND upper_inf(valid) RETURNING id""",
        [at, ids],
    )
    if len(closed) != len(ids):
        raise PublishRefused(_("somebody else published at the same time: try again"))


def _copy(drawn: Sequence[_Row], ids: dict[str, int], boundary_set: BoundarySet) -> None:
    """One statement for all boundaries, so that the database compares them once."""
    if not drawn:
        return
    valid = f'["{boundary_set.valid_from.isoformat()}",)'
    columns = "region_id, boundary_set_id, level, valid, geom, inside, radius_m"
    statement = f"COPY network_boundary ({columns}) FROM STDIN"
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        for row in drawn:
            point, radius_m = polygons.point_inside(row.geom)
            written = shapely.to_wkb(shapely.set_srid([row.geom, point], 4326), hex=True, include_srid=True)
            copy.write_row((ids[row.draft.code], boundary_set.pk, int(row.level), valid, *written, radius_m))


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
