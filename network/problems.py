"""What is wrong with a draft: overlaps, gaps, children outside their parents, and what publishing would refuse.

Told of the state that would be in force. Some of it must be solved, some may be accepted by name, and slivers are
listed only, by the limits of R1 (docs/decisions/0003-boundaries-and-slivers.md).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import shapely
from django.utils.translation import gettext as _

from network import boundaries, drafts, drawing, polygons
from network.models import DraftAcceptance, Level, RegionDraft, User
from network.polygons import Geometry
from network.prospects import Place, Prospect

MOST_TOLD = 500


class Kind(StrEnum):
    OVERLAP = "overlap"
    GAP = "gap"
    OUTSIDE = "outside"
    BELOW = "below"  # what hangs under a region that ends
    STALE = "stale"
    CODE = "code"  # what publishing refuses for its words, its place in the tree or its time


class TooMuch(Exception):
    """The draft has too many vertices to be looked at while somebody waits."""


@dataclass(frozen=True)
class Problem:
    """`id` is made of what the problem looks like: another geometry is another problem."""

    id: str
    kind: Kind
    level: Level
    codes: tuple[str, ...]
    names: tuple[str, ...]
    area_m2: float
    geom: Geometry | None
    text: str
    must_solve: bool = False
    listed_only: bool = False


@dataclass(frozen=True)
class Problems:
    """The problems of a draft, the gravest first, and who accepted which of them."""

    draft: RegionDraft
    since: datetime
    found: Sequence[Problem]
    accepted: dict[str, DraftAcceptance]

    @property
    def open(self) -> list[Problem]:
        return [one for one in self.found if not one.listed_only and one.id not in self.accepted]

    @property
    def must_solve(self) -> list[Problem]:
        return [one for one in self.found if one.must_solve]


def of(draft: RegionDraft, *, since: datetime) -> Problems:
    """Look for all problems of a draft that would come into force at that moment. Raises TooMuch."""
    return of_prospect(Prospect.of(draft, since=since))


def of_prospect(prospect: Prospect) -> Problems:
    vertices = sum(int(shapely.get_num_coordinates(place.geom)) for place in prospect.drawn)
    if vertices > drafts.MAX_VERTICES:
        raise TooMuch(f"{vertices} vertices")
    shown = [*_overlaps(prospect), *_outside(prospect), *_below(prospect), *_gaps(prospect), *_stale(prospect)]
    graver = {code for one in shown if one.must_solve for code in one.codes}
    found = [*shown, *(one for one in _refused(prospect) if not graver.intersection(one.codes))]
    found.sort(key=lambda one: (one.listed_only, not one.must_solve, -one.area_m2, one.id))
    accepted = {row.problem: row for row in prospect.draft.acceptances.select_related("by")}
    return Problems(
        prospect.draft,
        prospect.since,
        found,
        {one.id: accepted[one.id] for one in found if one.id in accepted and not one.must_solve},
    )


def _problem(
    kind: Kind,
    level: Level,
    places: Iterable[tuple[str, str]],
    text: str,
    *,
    geom: Geometry | None = None,
    area_m2: float = 0.0,
    must_solve: bool = False,
    listed_only: bool = False,
) -> Problem:
    codes, names = zip(*sorted(places), strict=True)
    looks = b"" if geom is None else shapely.to_wkb(shapely.normalize(geom), byte_order=1)
    made_of = hashlib.sha256("|".join([kind, *codes, "" if geom is not None else text, ""]).encode() + looks)
    return Problem(made_of.hexdigest()[:32], kind, level, codes, names, area_m2, geom, text, must_solve, listed_only)


def _sliver_m2(*geoms: Geometry) -> float:
    return min(polygons.SLIVER_M2, *(polygons.SLIVER_SHARE * polygons.area_m2(geom) for geom in geoms))


def _overlaps(prospect: Prospect) -> Iterator[Problem]:
    """Two regions of one level that share area. More than a sliver must be solved, or an address lies in both."""
    for level in Level:
        drawn = [place for place in prospect.drawn if place.level == level]
        if not drawn:
            continue
        boxes = [tuple(box) for box in shapely.bounds([place.geom for place in drawn]).tolist()]
        places = drawn + prospect.staying(boxes, [level])
        geoms = np.array([place.geom for place in places], dtype=object)
        first, second = shapely.STRtree(geoms).query(geoms[: len(drawn)])
        pairs = [(i, j) for i, j in zip(first.tolist(), second.tolist(), strict=True) if i < j]
        for one, other in ((places[i], places[j]) for i, j in pairs):
            if one.code == other.code or not shapely.relate_pattern(one.geom, other.geom, "2********"):
                continue
            found = drawing.areas_of(shapely.intersection(one.geom, other.geom))
            shared = [part for part in found if not drawing.is_noise(part)]
            area_m2 = sum(map(polygons.area_m2, shared))
            if shared:
                is_sliver = area_m2 <= _sliver_m2(one.geom, other.geom)
                yield _problem(
                    Kind.OVERLAP,
                    level,
                    [(one.code, one.name), (other.code, other.name)],
                    _("%(one)s and %(other)s overlap") % {"one": one.name, "other": other.name},
                    geom=shapely.multipolygons(shared),
                    area_m2=area_m2,
                    must_solve=not is_sliver,
                    listed_only=is_sliver,
                )


def _outside(prospect: Prospect) -> Iterator[Problem]:
    """A region that lies partly outside its parent, drawn itself or left behind by a parent that was redrawn."""
    redrawn = {place.code: place for place in prospect.drawn}
    children = {place.code: place for place in prospect.below(set(redrawn))} | redrawn
    parents = prospect.would_be({place.parent for place in children.values() if place.parent})
    families: dict[str, list[Place]] = defaultdict(list)
    for child in children.values():
        if child.parent in parents:
            families[child.parent].append(child)
    for code, family in families.items():
        parent = parents[code]
        shapely.prepare(parent.geom)
        inside = shapely.covers(parent.geom, [child.geom for child in family])
        for child in (child for child, fits in zip(family, inside, strict=True) if not fits):
            parts = drawing.lacking(child.geom, [parent.geom])
            area_m2, own_m2 = sum(map(polygons.area_m2, parts)), polygons.area_m2(child.geom)
            if parts:
                yield _problem(
                    Kind.OUTSIDE,
                    child.level,
                    [(child.code, child.name)],
                    _("%(share).1f %% of %(child)s lies outside %(parent)s")
                    % {"share": 100 * area_m2 / own_m2, "child": child.name, "parent": parent.name},
                    geom=shapely.multipolygons(parts),
                    area_m2=area_m2,
                    must_solve=area_m2 / own_m2 > boundaries.MISPLACED_SHARE,
                    listed_only=area_m2 <= _sliver_m2(child.geom),
                )


def _below(prospect: Prospect) -> Iterator[Problem]:
    """A region keeps its place in the tree, so that nothing may be left under one that ends."""
    retired = {code: shape.row.name for code, shape in prospect.shapes.items() if shape.row.retired}
    for child in prospect.below(retired):
        yield _problem(
            Kind.BELOW,
            child.level,
            [(child.code, child.name)],
            _("%(child)s hangs under %(parent)s, which ends") % {"child": child.name, "parent": retired[child.parent]},
            geom=child.geom,
            area_m2=polygons.area_m2(child.geom),
            must_solve=True,
        )


def _gaps(prospect: Prospect) -> Iterator[Problem]:
    """Area that a region of the level covered and none would, and area that a parent gains and no child covers."""
    for level in Level:
        lost = [shape for shape in prospect.shapes.values() if shape.level == level and shape.old is not None]
        for shape in lost:
            if shape.code in prospect.replaced and shape.old is not None:
                parts = [shape.old] if shape.geom is None else drawing.lacking(shape.old, [shape.geom])
                what = _("no %(level)s covers this part of %(name)s any more")
                yield from _uncovered(prospect, shape.code, shape.row.name, level, parts, what, of=shape.old)
    divided = {
        code
        for code in prospect.replaced
        if prospect.shapes[code].geom is not None and prospect.shapes[code].level < Level.DISTRICT
    }
    for code, families in _families(prospect.below(divided)).items():
        parent = prospect.shapes[code]
        assert parent.geom is not None, "only those that are drawn are asked for"
        gained = [parent.geom] if parent.old is None else drawing.lacking(parent.geom, [parent.old])
        for level in families:
            what = _("no %(level)s covers this part that %(name)s gains")
            yield from _uncovered(prospect, code, parent.row.name, level, gained, what, of=parent.geom)


def _families(children: Iterable[Place]) -> dict[str, set[Level]]:
    """Which levels divide a parent; drawn streets are never meant to cover it."""
    found: dict[str, set[Level]] = defaultdict(set)
    for child in children:
        if child.level != Level.CUSTOM:
            found[child.parent].add(child.level)
    return found


def _uncovered(
    prospect: Prospect, code: str, name: str, level: Level, parts: Sequence[Geometry], what: str, *, of: Geometry
) -> Iterator[Problem]:
    if not parts:
        return
    boxes = [tuple(box) for box in shapely.bounds(list(parts)).tolist()]
    covering = [place.geom for place in prospect.staying(boxes, [level]) if place.at_once]
    covering += [place.geom for place in prospect.drawn if place.level == level]
    for left in (left for part in parts for left in drawing.lacking(part, covering)):
        area_m2 = polygons.area_m2(left)
        yield _problem(
            Kind.GAP,
            level,
            [(code, name)],
            what % {"level": level.label, "name": name},
            geom=left,
            area_m2=area_m2,
            listed_only=area_m2 <= _sliver_m2(of),
        )


def _stale(prospect: Prospect) -> Iterator[Problem]:
    for shape in prospect.shapes.values():
        if shape.is_stale:
            yield _problem(
                Kind.STALE,
                shape.level,
                [(shape.code, shape.row.name)],
                _("somebody else published %s since it was taken into the draft") % shape.row.name,
                must_solve=True,
            )


def _refused(prospect: Prospect) -> Iterator[Problem]:
    rows = rows_of(prospect)
    ending = [code for code, shape in prospect.shapes.items() if shape.row.retired]
    for bad in boundaries.faults(rows, since=prospect.since, ending=ending):
        shape = prospect.shapes[bad.code]
        yield _problem(Kind.CODE, shape.level, [(bad.code, shape.row.name)], bad.reason, must_solve=True)


def rows_of(prospect: Prospect) -> list[boundaries.Draft]:
    """The drawn regions as `boundaries.publish` takes them. One that is only renamed comes with its old polygon."""
    return [
        boundaries.Draft(
            number,
            shape.code,
            shape.row.name,
            shape.level.name.lower(),
            shape.row.parent,
            shape.geom if shape.geom is not None else shape.old,
        )
        for number, shape in enumerate(prospect.shapes.values(), 1)
        if not shape.row.retired
    ]


def accept(
    draft_id: int, *, version: int, ids: Sequence[str], reason: str, since: datetime, by: User, now: datetime
) -> Problems:
    """Take problems upon oneself by name. Raises drafts.EditRefused for one that is gone or must be solved."""
    reason = reason.strip()
    if not reason or len(reason) > 500 or boundaries.unfit(reason):
        raise drafts.EditRefused(_("a reason is 1 to 500 characters of text"), "reason")
    with drafts.editing(draft_id, version=version, by=by, op="accept", now=now) as (draft, change):
        known = {one.id: one for one in of(draft, since=since).found}
        for problem_id in dict.fromkeys(ids):
            problem = known.get(problem_id)
            if problem is None:
                raise drafts.EditRefused(_("this problem is gone or looks otherwise now"), "ids")
            if problem.must_solve:
                raise drafts.EditRefused(_("this problem must be solved: %s") % problem.text, "ids")
            DraftAcceptance.objects.update_or_create(
                draft=draft,
                problem=problem_id,
                defaults={"kind": problem.kind, "codes": problem.codes, "by": by, "at": now, "reason": reason},
            )
        change.redraws, change.detail = False, {"ids": list(ids)[:100], "reason": reason}
    return of(draft, since=since)


def reject(draft_id: int, *, version: int, ids: Sequence[str], since: datetime, by: User, now: datetime) -> Problems:
    """Take acceptances back."""
    with drafts.editing(draft_id, version=version, by=by, op="reject", now=now) as (draft, change):
        draft.acceptances.filter(problem__in=list(ids)).delete()
        change.redraws, change.detail = False, {"ids": list(ids)[:100]}
    return of(draft, since=since)
