"""Two moments of the borders beside each other: which regions came, went and changed, and by what area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import shapely

from network import drawing, polygons, prospects
from network.drafts import boundaries_of
from network.models import BoundarySet, Level
from network.polygons import Geometry
from network.prospects import Box

MOST_MEASURED = 500


@dataclass(frozen=True)
class Difference:
    """One region at two moments; areas in m², None where it had no boundary then."""

    code: str
    name: str
    level: Level
    box: Box
    before_m2: float | None
    after_m2: float | None
    gained_m2: float = 0.0
    lost_m2: float = 0.0

    @property
    def kind(self) -> str:
        if self.before_m2 is None:
            return "added"
        return "removed" if self.after_m2 is None else "changed"


@dataclass(frozen=True)
class Compared:
    differences: Sequence[Difference]
    more: int  # regions that differ as well and were not measured


# A boundary is never redrawn, so that one row at both moments is one polygon.
_PAIRS = """
    SELECT r.code, r.name, r.level, a.id, b.id, count(*) OVER ()
    FROM (SELECT * FROM network_boundary WHERE valid @> %(before)s::timestamptz) a
    FULL JOIN (SELECT * FROM network_boundary WHERE valid @> %(after)s::timestamptz) b USING (region_id)
    JOIN network_region r ON r.id = region_id
    WHERE a.id IS DISTINCT FROM b.id AND (%(level)s::int IS NULL OR r.level = %(level)s::int)
      AND (%(code)s::text IS NULL OR r.code = %(code)s::text)
    ORDER BY r.level, r.code LIMIT %(most)s
"""


def compare(*, before: datetime, after: datetime, level: Level | None = None) -> Compared:
    """Return what differs between two moments, measured for the first MOST_MEASURED regions."""
    rows = _pairs(before, after, level=level)
    geoms = boundaries_of([pk for row in rows for pk in row[3:5] if pk is not None])
    told = [
        _difference(code, name, Level(number), geoms.get(old or 0), geoms.get(new or 0))
        for code, name, number, old, new, _count in rows
    ]
    return Compared([one for one in told if one is not None], rows[0][5] - len(rows) if rows else 0)


def _pairs(
    before: datetime, after: datetime, *, level: Level | None = None, code: str | None = None
) -> list[tuple[str, str, int, int | None, int | None, int]]:
    values = {"before": before, "after": after, "level": level, "code": code, "most": MOST_MEASURED}
    return prospects.ask(_PAIRS, values)


def _difference(code: str, name: str, level: Level, old: Geometry, new: Geometry) -> Difference | None:
    west, south, east, north = shapely.total_bounds([one for one in (old, new) if one is not None]).tolist()
    box = (west, south, east, north)
    if old is None or new is None:
        area_m2 = polygons.area_m2(new if old is None else old)
        return Difference(code, name, level, box, None if old is None else area_m2, area_m2 if old is None else None)
    gained, lost = prospects.area_m2(drawing.lacking(new, [old])), prospects.area_m2(drawing.lacking(old, [new]))
    if not gained and not lost:
        return None
    return Difference(code, name, level, box, polygons.area_m2(old), polygons.area_m2(new), gained, lost)


def parts_of(code: str, *, before: datetime, after: datetime) -> dict[str, Geometry]:
    """Return the polygons `before`, `after`, `gained` and `lost` of one region; what there is none of is left out."""
    rows = _pairs(before, after, code=code)
    if not rows:
        return {}
    geoms = boundaries_of([pk for pk in rows[0][3:5] if pk is not None])
    old, new = geoms.get(rows[0][3] or 0), geoms.get(rows[0][4] or 0)
    told = {"before": old, "after": new}
    if old is not None and new is not None:
        gained, lost = drawing.lacking(new, [old]), drawing.lacking(old, [new])
        told |= {"gained": shapely.multipolygons(gained) if gained else None}
        told |= {"lost": shapely.multipolygons(lost) if lost else None}
    else:
        told |= {"gained": new, "lost": old}
    return {part: geom for part, geom in told.items() if geom is not None}


def sets() -> list[BoundarySet]:
    """All boundary sets, the newest first."""
    return list(BoundarySet.objects.order_by("-valid_from", "-pk"))
