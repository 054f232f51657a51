"""Drafts of borders: made, edited against a version, given up. How one comes into force is `network.publishing`.

Every edit locks the draft, compares the version that its author saw with the one there is, and leaves a row that
tells what it did. Nothing of an edit that is refused is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import shapely
from django.contrib.gis.geos import GEOSGeometry, MultiPolygon
from django.db import transaction
from django.utils.translation import gettext as _

from network import boundaries, boundary_files, drawing, polygons, prospects
from network.models import DraftEdit, DraftShape, Level, Region, RegionDraft, User
from network.polygons import Geometry

MAX_SHAPES = 5_000
MAX_OPEN = 200  # drafts at a time
LONGEST_SNAP_M = 200.0
IMPORT = boundary_files.Bounds(size=32 * 2**20, unpacked=64 * 2**20, rows=MAX_SHAPES, vertices=1_000_000)
MAX_TANGLE = 20_000_000  # of all rows of a file together, as `polygons.MAX_TANGLE` of one: two seconds at worst
# So many vertices of all shapes together are looked at when problems are looked for.
MAX_VERTICES = 1_000_000


class NotOpen(Exception):
    """It was published or given up."""


class VersionConflict(Exception):
    """Somebody edited the draft since; `changes` are their edits."""

    def __init__(self, version: int, changes: Sequence[DraftEdit]) -> None:
        super().__init__(f"version {version}")
        self.version = version
        self.changes = changes


class EditRefused(Exception):
    """The edit makes no sense; `field` says which of its values."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


@dataclass
class Change:
    """What an edit does to the shapes: those to be written by code, and those that leave the draft."""

    written: dict[str, DraftShape] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    redraws: bool = True


@dataclass(frozen=True)
class Imported:
    taken: list[str]
    unchanged: list[str]
    refused: list[boundaries.BadRow]


def make(*, name: str, author: User, now: datetime) -> RegionDraft:
    """An empty draft. Raises EditRefused."""
    with transaction.atomic(durable=True):
        return create(name=name, author=author, now=now)


def create(*, name: str, author: User, now: datetime, detail: dict[str, Any] | None = None) -> RegionDraft:
    """As `make`, within a transaction that puts shapes into it as well."""
    name = _name_of_draft(name)
    if RegionDraft.objects.filter(status=RegionDraft.Status.OPEN).count() >= MAX_OPEN:
        raise EditRefused(_("there are %s open drafts: publish or abandon some first") % MAX_OPEN, "name")
    draft = RegionDraft.objects.create(name=name, author=author)
    DraftEdit.objects.create(draft=draft, version=1, by=author, at=now, op="make", detail=detail or {})
    return draft


def _name_of_draft(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 200 or boundaries.unfit(name):
        raise EditRefused(_("a name is 1 to 200 characters of text"), "name")
    return name


@contextmanager
def editing(draft_id: int, *, version: int, by: User, op: str, now: datetime) -> Iterator[tuple[RegionDraft, Change]]:
    """Lock a draft for one edit, which the block fills in as a Change. Raises NotOpen, VersionConflict."""
    with transaction.atomic(durable=True):
        draft = locked(draft_id, version=version)
        change = Change()
        yield draft, change
        record(draft, change, by=by, op=op, now=now)


def locked(draft_id: int, *, version: int) -> RegionDraft:
    """Return the draft, which nobody else changes until the transaction ends."""
    draft = RegionDraft.objects.select_for_update().get(pk=draft_id)
    if draft.status != RegionDraft.Status.OPEN:
        raise NotOpen(draft.status)
    if draft.version != version:
        since = draft.edits.filter(version__gt=version).select_related("by").order_by("version")
        raise VersionConflict(draft.version, list(since[:100]))
    return draft


def record(draft: RegionDraft, change: Change, *, by: User, op: str, now: datetime) -> None:
    """Write what an edit changes, and raise the version."""
    if change.dropped:
        draft.shapes.filter(code__in=change.dropped).delete()
    for shape in change.written.values():
        shape.pk = None  # the code decides whether it is a new one
    DraftShape.objects.bulk_create(
        change.written.values(),
        batch_size=500,
        update_conflicts=True,
        unique_fields=["draft", "code"],
        update_fields=["name", "level", "parent", "retired", "geom", "base"],
    )
    if change.written and draft.shapes.count() > MAX_SHAPES:
        raise EditRefused(_("more than %s regions in one draft") % MAX_SHAPES, "code")
    draft.version += 1
    if change.redraws:
        draft.drawn = draft.version
    draft.changed_at = now
    draft.save(update_fields=["version", "drawn", "changed_at", "name", "status"])
    codes = sorted({*change.written, *change.dropped})
    DraftEdit.objects.create(
        draft=draft, version=draft.version, by=by, at=now, op=op, codes=codes[:100], detail=change.detail
    )


def rename(draft_id: int, *, version: int, name: str, by: User, now: datetime) -> RegionDraft:
    name = _name_of_draft(name)
    with editing(draft_id, version=version, by=by, op="rename", now=now) as (draft, change):
        change.redraws, change.detail = False, {"from": draft.name, "to": name}
        draft.name = name
    return draft


def abandon(draft_id: int, *, version: int, by: User, now: datetime) -> RegionDraft:
    """Give a draft up. It stays to be read, and is never opened again."""
    with editing(draft_id, version=version, by=by, op="abandon", now=now) as (draft, change):
        change.redraws = False
        draft.status = RegionDraft.Status.ABANDONED
    return draft


# The operations. Each takes the draft, the moment and its own values, and says what becomes of which shapes.


def edit(
    draft_id: int, *, version: int, op: str, values: dict[str, Any], by: User, now: datetime
) -> tuple[RegionDraft, Change]:
    """Carry out one of OPERATIONS. Raises NotOpen, VersionConflict, EditRefused and TypeError for wrong values."""
    with editing(draft_id, version=version, by=by, op=op, now=now) as (draft, change):
        try:
            OPERATIONS[op](_Editor(draft, change, now), **values)
        except drawing.CannotDraw as error:
            raise EditRefused(str(error), error.field) from error
    return draft, change


class _Editor:
    """The shapes of one draft under its lock, and what else the regions are."""

    def __init__(self, draft: RegionDraft, change: Change, now: datetime) -> None:
        self.draft, self.change, self.now = draft, change, now

    def shape(self, code: str) -> DraftShape | None:
        return self.change.written.get(code) or self.draft.shapes.filter(code=code).first()

    def base(self, code: str) -> int | None:
        return prospects.latest_of([code]).get(code)

    def region(self, code: str) -> Region | None:
        return Region.objects.filter(code=code).select_related("parent").first()

    def take(self, code: str, field: str = "code") -> DraftShape:
        """The shape of a region, taken into the draft if it is not there. Raises EditRefused."""
        shape = self.shape(code)
        if shape is not None:
            return shape
        region = self.region(code)
        if region is None:
            raise EditRefused(_("no region has the code %s") % code[:40], field)
        return DraftShape(
            draft=self.draft,
            code=code,
            name=region.name,
            level=region.level,
            parent=region.parent.code if region.parent else "",
            base_id=self.base(code),
        )

    def geometry(self, code: str, field: str = "code") -> Geometry:
        """What the region would be: as drawn here, or as it is. Raises EditRefused where it has no polygon."""
        shape = self.shape(code)
        if shape is not None and shape.geom is not None:
            return shapely.from_wkb(bytes(shape.geom.wkb))
        base = shape.base_id if shape is not None else self.base(code)
        if base is None or (shape is not None and shape.retired):
            raise EditRefused(_("%s has no boundary") % code[:40], field)
        return boundary(base)

    def draw(self, shape: DraftShape, geom: Geometry, field: str = "geometry") -> None:
        if why := fault(geom):
            raise EditRefused(why, field)
        shape.geom = _stored(geom)
        shape.retired = False
        self.change.written[shape.code] = shape

    def drop(self, code: str) -> None:
        self.change.written.pop(code, None)
        self.change.dropped.append(code)

    def new(self, code: str, name: str, level: int, parent: str, field: str = "code") -> DraftShape:
        words = boundaries.Draft(1, code, name, Level(level).name.lower(), parent, None)
        if why := boundaries.fault_of_words(words):
            raise EditRefused(why, field)
        if self.shape(code) is not None or self.region(code) is not None:
            raise EditRefused(_("the code %s is taken") % code, field)
        self.check_parent(parent, level)
        return DraftShape(draft=self.draft, code=code, name=name.strip(), level=level, parent=parent)

    def check_parent(self, code: str, level: int) -> None:
        if not code:
            return
        shape, region = self.shape(code), self.region(code)
        if shape is None and region is None:
            raise EditRefused(_("unknown parent %s") % code[:40], "parent")
        found = shape.level if shape is not None else region.level if region is not None else 0
        if found >= level:
            raise EditRefused(_("its parent %s is not of a coarser level") % code, "parent")


def _stored(geom: Geometry) -> MultiPolygon:
    made = GEOSGeometry(memoryview(shapely.to_wkb(polygons.as_stored(geom))), srid=4326)
    assert isinstance(made, MultiPolygon), "whatever was a polygon is several now"
    return made


def fault(geom: Geometry) -> str:
    """Say why a drawn geometry is no boundary; beyond `polygons.fault`, what lies across the antimeridian."""
    if why := polygons.fault(geom):
        return why
    west, _south, east, _north = shapely.bounds(shapely.get_parts(geom)).T
    if ((east - west) > 180).any():
        return _("wider than half the globe: a region across the 180th meridian is drawn in two parts")
    return ""


def boundary(boundary_id: int) -> Geometry:
    return shapely.from_wkb(bytes(prospects.ask(prospects.OLD, [[boundary_id]])[0][1]))


def _draw(editor: _Editor, *, code: str, name: str, level: int, geometry: Geometry, parent: str = "") -> None:
    editor.draw(editor.new(code, name, level, parent), geometry)


def _reshape(editor: _Editor, *, code: str, geometry: Geometry) -> None:
    editor.draw(editor.take(code), geometry)


def _split(
    editor: _Editor, *, code: str, line: Geometry, new: dict[str, str], keep: tuple[float, float] | None = None
) -> None:
    shape = editor.take(code)
    kept, cut_off = drawing.split(editor.geometry(code), line, keep)
    other = editor.new(new["code"], new["name"], shape.level, shape.parent, "new")
    editor.draw(shape, kept, "line")
    editor.draw(other, cut_off, "line")


def _merge(editor: _Editor, *, codes: Sequence[str], keep: str) -> None:
    if len(set(codes)) < 2 or len(codes) > 100 or keep not in codes:
        raise EditRefused(_("two regions at least, and one of them keeps its code"), "codes")
    shapes = {code: editor.take(code, "codes") for code in codes}
    if len({shape.level for shape in shapes.values()}) > 1:
        raise EditRefused(_("regions of one level are merged"), "codes")
    merged = drawing.merge([editor.geometry(code, "codes") for code in codes], list(codes))
    editor.draw(shapes[keep], merged, "codes")
    for code in codes:
        if code != keep:
            _end(editor, shapes[code])


def _end(editor: _Editor, shape: DraftShape) -> None:
    """A region in force retires; one that only the draft knows just goes."""
    if shape.base_id is None:
        if shape.pk is not None:
            editor.drop(shape.code)
        return
    shape.geom, shape.retired = None, True
    editor.change.written[shape.code] = shape


def _retire(editor: _Editor, *, code: str, below: bool = False) -> None:
    shape = editor.take(code)
    if shape.base_id is None and shape.pk is None:
        raise EditRefused(_("%s has no boundary") % code[:40], "code")
    _end(editor, shape)
    if below:
        region = editor.region(code)
        path = f"{region.path}." if region is not None else ""
        deeper = Region.objects.filter(path__startswith=path) if path else Region.objects.none()
        codes = set(prospects.latest_of(deeper.values_list("code", flat=True)[: MAX_SHAPES + 1]))
        parents = {code, *codes}
        codes |= {row.code for row in editor.draft.shapes.all() if row.parent in parents}
        for one in sorted(codes):
            _end(editor, editor.take(one))


def _describe(
    editor: _Editor, *, code: str, name: str | None = None, new_code: str | None = None, parent: str | None = None
) -> None:
    """Rename; of a region that only the draft knows also the code and the parent change."""
    shape = editor.take(code)
    if shape.retired:
        raise EditRefused(_("%s has no boundary") % code[:40], "code")
    moves, is_recoded = parent not in (None, shape.parent), new_code not in (None, code)
    if (moves or is_recoded) and editor.region(code) is not None:
        raise EditRefused(
            _("a region keeps its code and its place in the tree"), "new_code" if is_recoded else "parent"
        )
    above = shape.parent if parent is None else parent
    if is_recoded:
        made = editor.new(new_code or "", name or shape.name, shape.level, above, "new_code")
        made.geom = shape.geom
        editor.drop(code)
        for child in editor.draft.shapes.filter(parent=code):
            child.parent = made.code
            editor.change.written[child.code] = child
        shape = made
    elif moves:
        editor.check_parent(above, shape.level)
        shape.parent = above
    if name is not None:
        words = boundaries.Draft(1, shape.code, name, Level(shape.level).name.lower(), shape.parent, None)
        if why := boundaries.fault_of_words(words):
            raise EditRefused(why, "name")
        shape.name = name.strip()
    editor.change.written[shape.code] = shape


def _snap(editor: _Editor, *, code: str, metres: float, geometry: Geometry | None = None) -> None:
    if not 0 < metres <= LONGEST_SNAP_M:
        raise EditRefused(_("between 0 and %s metres") % int(LONGEST_SNAP_M), "metres")
    shape = editor.take(code)
    geom = editor.geometry(code) if geometry is None else geometry
    if geometry is not None and (why := fault(geometry)):
        raise EditRefused(why, "geometry")
    reach = metres / 110_574.0
    west, south, east, north = shapely.bounds(geom).tolist()
    wide = reach / max(0.01, math.cos(math.radians(max(abs(south), abs(north)))))
    box = (west - wide, south - reach, east + wide, north + reach)
    prospect = prospects.Prospect.of(editor.draft, since=editor.now)
    places = prospect.staying([box], [shape.level]) + [p for p in prospect.drawn if p.level == shape.level]
    neighbours = [place.geom for place in places if place.code != code]
    editor.draw(shape, drawing.snap(polygons.as_stored(geom), neighbours, metres), "metres")


def _undo(editor: _Editor, *, code: str) -> None:
    if editor.shape(code) is None:
        raise EditRefused(_("%s is not in the draft") % code[:40], "code")
    editor.drop(code)


def _rebase(editor: _Editor, *, code: str) -> None:
    """Keep what was drawn, over the boundary that somebody else published meanwhile."""
    shape = editor.shape(code)
    if shape is None:
        raise EditRefused(_("%s is not in the draft") % code[:40], "code")
    shape.base_id = editor.base(code)
    region = editor.region(code)
    if region is not None:  # somebody else made it meanwhile
        shape.level, shape.parent = region.level, region.parent.code if region.parent else ""
    if shape.retired and shape.base_id is None:
        editor.drop(code)
    else:
        editor.change.written[code] = shape


OPERATIONS: dict[str, Callable[..., None]] = {
    "draw": _draw,
    "reshape": _reshape,
    "split": _split,
    "merge": _merge,
    "retire": _retire,
    "describe": _describe,
    "snap": _snap,
    "undo": _undo,
    "rebase": _rebase,
}


# Whole files and whole states.


def read_file(path: Path) -> list[boundaries.Draft | boundaries.BadRow]:
    """Read a file within the bounds of a draft and test each row by itself. Raises boundary_files.Unreadable."""
    tested, tangle = [], 0
    with boundary_files.opened(path, IMPORT) as rows:
        for row in rows:
            if isinstance(row, boundaries.Draft) and row.geom is not None:
                tangle += polygons.tangle(shapely.get_coordinates(row.geom))
            if tangle > MAX_TANGLE:
                raise boundary_files.Unreadable(_("too tangled to be tested: its edges lie across each other"))
            tested.append(_tested(row))
    return tested


def _tested(row: boundaries.Draft | boundaries.BadRow) -> boundaries.Draft | boundaries.BadRow:
    if isinstance(row, boundaries.BadRow):
        return row
    why = boundaries.fault_of_words(row) or fault(row.geom)
    return boundaries.BadRow(row.number, row.code, why) if why else row


def take_rows(
    draft_id: int,
    *,
    version: int,
    rows: Iterable[boundaries.Draft | boundaries.BadRow],
    source: str,
    by: User,
    now: datetime,
) -> tuple[RegionDraft, Change, Imported]:
    """Put the rows of a file into the draft; a bad row hurts only itself, one as it is in force is left out.

    Raises EditRefused when nothing could be taken.
    """
    with editing(draft_id, version=version, by=by, op="import", now=now) as (draft, change):
        imported = _take(_Editor(draft, change, now), list(rows))
        if not imported.taken:
            raise NothingTaken(imported)
        change.detail = {"source": source[:200], "taken": len(imported.taken), "refused": len(imported.refused)}
    return draft, change, imported


class NothingTaken(EditRefused):
    """No row of a file came into the draft; `imported` says why."""

    def __init__(self, imported: Imported) -> None:
        super().__init__(_("nothing of the file could be taken into the draft"), "file")
        self.imported = imported


def _take(editor: _Editor, rows: Sequence[boundaries.Draft | boundaries.BadRow]) -> Imported:
    imported = Imported([], [], [row for row in rows if isinstance(row, boundaries.BadRow)])
    good = [row for row in rows if isinstance(row, boundaries.Draft)]
    codes = {row.code for row in good}
    known = {r.code: r for r in Region.objects.filter(code__in=codes).select_related("parent")}
    held = {shape.code: shape for shape in editor.draft.shapes.filter(code__in=codes)}
    latest = prospects.latest_of(codes)
    olds = boundaries_of(latest.values())
    parents = {row.parent for row in good}
    levels = dict(Region.objects.filter(code__in=parents).values_list("code", "level"))
    levels |= dict(editor.draft.shapes.filter(code__in=parents).values_list("code", "level"))
    levels |= {row.code: int(boundaries.LEVELS[row.level]) for row in good}
    first_in: dict[str, int] = {}
    for row in good:
        level, region = int(boundaries.LEVELS[row.level]), known.get(row.code)
        why = _misfit(row, level, region, levels)
        if row.code in first_in:
            why = _("row %s has this code already") % first_in[row.code]
        first_in.setdefault(row.code, row.number)
        if why:
            imported.refused.append(boundaries.BadRow(row.number, row.code, why))
            continue
        assert row.geom is not None, "tested before"
        geom = polygons.as_stored(row.geom)
        old = olds.get(latest.get(row.code, 0))
        same = old is not None and shapely.equals_exact(geom, old, tolerance=boundaries.SAME_DEG, normalize=True)
        if same and region is not None and region.name == row.name and row.code not in held:
            imported.unchanged.append(row.code)
            continue
        shape = held.get(row.code) or DraftShape(draft=editor.draft, code=row.code, base_id=latest.get(row.code))
        shape.name, shape.level, shape.parent, shape.retired = row.name.strip(), level, row.parent, False
        shape.geom = _stored(geom)
        editor.change.written[row.code] = shape
        imported.taken.append(row.code)
    return imported


def _misfit(row: boundaries.Draft, level: int, region: Region | None, levels: dict[str, int]) -> str:
    """A known region keeps its level and its place; a new one needs a parent that is known or comes along."""
    if region is not None and region.level != level:
        return _("known as a %s already; a region keeps its level") % Level(region.level).label
    if region is not None and (region.parent.code if region.parent else "") != row.parent:
        where = region.parent.code if region.parent else _("nothing")
        return _("known to hang under %s; a region keeps its place in the tree") % where
    if row.parent and row.parent not in levels:
        return _("unknown parent %s") % row.parent
    if row.parent and levels[row.parent] >= level:
        return _("its parent %s is not of a coarser level") % row.parent
    return ""


def boundaries_of(ids: Collection[int]) -> dict[int, Geometry]:
    return {pk: shapely.from_wkb(bytes(wkb)) for pk, wkb in prospects.ask(prospects.OLD, [sorted(ids)])}


_OLDER = """
    SELECT r.code, r.name, r.level, coalesce(p.code, ''), then_.id, today.id
    FROM network_region r LEFT JOIN network_region p ON p.id = r.parent_id
    LEFT JOIN network_boundary then_ ON then_.region_id = r.id AND then_.valid @> %(at)s::timestamptz
    LEFT JOIN LATERAL (SELECT id FROM network_boundary b WHERE b.region_id = r.id AND upper_inf(b.valid)
                       ORDER BY lower(b.valid) DESC LIMIT 1) today ON true
    WHERE then_.id IS DISTINCT FROM today.id AND (%(codes)s::text[] = '{}' OR r.code = ANY (%(codes)s::text[]))
    ORDER BY r.level, r.code LIMIT %(most)s
"""


def older_shapes(draft: RegionDraft, *, at: datetime, codes: Sequence[str]) -> dict[str, DraftShape]:
    """Return the shapes that lead from today's boundaries back to those of another moment."""
    rows = prospects.ask(_OLDER, {"at": at, "codes": list(codes), "most": MAX_SHAPES + 1})
    if len(rows) > MAX_SHAPES:
        raise EditRefused(_("more than %s regions in one draft") % MAX_SHAPES, "as_of")
    olds = boundaries_of([row[4] for row in rows if row[4] is not None])
    written = {}
    for code, name, level, parent, then, today in rows:
        shape = DraftShape(draft=draft, code=code, name=name, level=level, parent=parent, base_id=today)
        if then is None:
            shape.retired = True
        else:
            shape.geom = _stored(olds[then])
        written[code] = shape
    return written
