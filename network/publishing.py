"""A draft comes into force: one transaction in which nobody else publishes. And what follows from a border that moves.

Old parcels, addresses, assignments and fees are never touched: they keep the chain of regions that they were given.
Service points are places of today, so they move to the regions in which they lie; those of a set that is in force
later move when it is, by a sweep (`place_waiting`), and so do those of a set that a file brought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import shapely
from django.db import transaction
from django.utils.translation import gettext as _

from network import boundaries, drafts, drawing, points, problems, prospects
from network.models import Boundary, BoundarySet, RegionDraft, ServicePoint, User
from network.polygons import Geometry
from network.prospects import Prospect, Shape


class BaseChanged(Exception):
    """Somebody else published a region of the draft meanwhile; `shapes` are those regions."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__(", ".join(shape.code for shape in shapes))
        self.shapes = shapes


class ProblemsOpen(Exception):
    """Something must be solved or accepted by name first."""

    def __init__(self, found: problems.Problems) -> None:
        super().__init__(f"{len(found.open)} open problems")
        self.found = found


class NothingDrawn(Exception):
    """The draft changes nothing."""


class InThePast(Exception):
    """A border never moves in the past: what happened there happened under the old one."""


@dataclass(frozen=True)
class Done:
    draft: RegionDraft
    published: boundaries.Published
    moved_points: int | None  # None: they move when the set comes into force


def publish(
    draft_id: int, *, version: int, since: datetime | None, by: User, now: datetime, name: str = "", reason: str = ""
) -> Done:
    """Bring a draft into force from a moment on, at once if None is given. The reason stands in its history.

    Of two that publish at once the second waits, and then sees the state that the first left. Raises
    drafts.NotOpen, drafts.VersionConflict, BaseChanged, ProblemsOpen, problems.TooMuch, NothingDrawn, InThePast and
    boundaries.PublishRefused; nothing is kept then.
    """
    if since is not None and since <= now:
        raise InThePast(since.isoformat())
    with boundaries.publishing():
        draft = drafts.locked(draft_id, version=version)
        prospect = Prospect.of(draft, since=since or now)
        _refuse(prospect)
        told = {
            "name": name.strip()[:200] or draft.name,
            "source": _("draft %(number)s: %(name)s") % {"number": draft.pk, "name": draft.name[:100]},
        }
        published = boundaries.publish(
            problems.rows_of(prospect),
            since=prospect.since,
            whole=True,
            ending=[code for code, shape in prospect.shapes.items() if shape.row.retired],
            locked=True,
            name=told["name"],
            source=told["source"],
        )
        if published.refused:
            raise boundaries.PublishRefused(str(published.refused[0]))
        if published.boundary_set is None:
            if not published.changed and not published.created:
                raise NothingDrawn
            # Only names: they are not dated, and the set has no boundary.
            published.boundary_set = BoundarySet.objects.create(**told, valid_from=prospect.since)
        moved = None if since is not None else place(published.boundary_set, now=now)
        _close(draft, published.boundary_set, by=by, now=now, reason=reason)
    return Done(draft, published, moved)


def _refuse(prospect: Prospect) -> None:
    if not prospect.shapes:
        raise NothingDrawn
    if stale := [shape for shape in prospect.shapes.values() if shape.is_stale]:
        raise BaseChanged(stale)
    found = problems.of_prospect(prospect)
    if found.open:
        raise ProblemsOpen(found)


def _close(draft: RegionDraft, boundary_set: BoundarySet, *, by: User, now: datetime, reason: str) -> None:
    draft.status = RegionDraft.Status.PUBLISHED
    draft.boundary_set, draft.published_at, draft.published_by = boundary_set, now, by
    draft.version += 1
    draft.changed_at = now
    draft.save(update_fields=["status", "boundary_set", "published_at", "published_by", "version", "changed_at"])
    detail = {"set": boundary_set.pk} | ({"reason": reason.strip()[:500]} if reason.strip() else {})
    draft.edits.create(version=draft.version, by=by, at=now, op="publish", detail=detail)


# The service points of what moved.


def place(boundary_set: BoundarySet, *, now: datetime) -> int:
    """Move the service points in the area that a set changed to the regions in which they lie at `now`.

    Returns how many moved. A building block within a transaction; twice does no harm.
    """
    moved = points.place_again(moved_by(boundary_set), at=now) if ServicePoint.objects.exists() else 0
    boundary_set.points_placed_at = now
    boundary_set.save(update_fields=["points_placed_at"])
    return moved


def moved_by(boundary_set: BoundarySet) -> list[Geometry]:
    """The area in which a set changed what is in force, in polygons: what it drew against what it ended."""
    began = dict(boundary_set.boundaries.values_list("region_id", "pk"))
    ended = dict(Boundary.objects.filter(valid__endswith=boundary_set.valid_from).values_list("region_id", "pk"))
    geoms = drafts.boundaries_of([*began.values(), *ended.values()])
    parts: list[Geometry] = []
    for region_id in began.keys() | ended.keys():
        new, old = geoms.get(began.get(region_id, 0)), geoms.get(ended.get(region_id, 0))
        if new is not None and old is not None:
            parts.extend(drawing.areas_of(shapely.symmetric_difference(new, old)))
        else:
            parts.extend(shapely.get_parts(old if new is None else new))
    return parts


def place_waiting(*, now: datetime, limit: int) -> int:
    """Move the points of sets that came into force since, oldest first; returns how many sets. A sweep."""
    waiting = BoundarySet.objects.filter(points_placed_at=None, valid_from__lte=now)
    done = 0
    for pk in list(waiting.order_by("valid_from").values_list("pk", flat=True)[:limit]):
        with transaction.atomic(durable=True):
            prospects.ask(boundaries.PATIENCE, [])
            row = waiting.select_for_update(skip_locked=True).filter(pk=pk).first()
            if row is not None:
                place(row, now=now)
                done += 1
    return done


# An older state comes back as a new draft.


def bring_back(*, name: str, at: datetime, codes: Sequence[str], author: User, now: datetime) -> RegionDraft:
    """Make a draft that leads from today's borders back to those of another moment, of these regions or of all.

    Regions that began since are retired, those that ended since are drawn again, with the code that they had. Raises
    drafts.EditRefused where nothing differs or too much does.
    """
    with transaction.atomic(durable=True):
        draft = drafts.create(name=name, author=author, now=now, detail={"as_of": at.isoformat()})
        written = drafts.older_shapes(draft, at=at, codes=codes)
        if not written:
            raise drafts.EditRefused(_("nothing differs from today"), "as_of")
        drafts.record(draft, drafts.Change(written=written), by=author, op="bring_back", now=now)
    return draft


def latest_sets(codes: Sequence[str]) -> dict[str, Boundary]:
    """Return for each region its newest boundary with the set that brought it."""
    ids = prospects.latest_of(codes)
    found = Boundary.objects.select_related("boundary_set").defer("geom").in_bulk(list(ids.values()))
    return {code: found[pk] for code, pk in ids.items()}
