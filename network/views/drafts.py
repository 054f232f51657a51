"""Drafts of borders as JSON, for the editor's script. What it answers is told in docs/decisions/0011.

Previews and publishing, which tell of parcels and money, belong to a package that stands on this one; they use the
door and the words of this module.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import shapely
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import get_current_timezone, is_naive, localtime, make_aware
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from network import access, boundary_files, comparing, drafts, polygons, problems, prospects, publishing
from network.clock import now
from network.models import BoundarySet, DraftEdit, Level, RegionDraft, User
from network.polygons import Geometry
from network.prospects import Place, Prospect, Shape

PER_PAGE = 50
MOST_VERTICES = 200_000  # in one answer
MOST_IDS = 500

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class Refused(Exception):
    """Answered with an error of the contract."""

    def __init__(self, status: int, code: str, message: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status, self.body = status, {"code": code, "message": message, **more}


def for_editors(
    *, get: str | None = "network.view_regiondraft", post: str | None = None
) -> Callable[[Page[P]], Callable[..., HttpResponseBase]]:
    """A door to drafts: staff who may see regions and drafts, and who have the permission named for the method.

    For other staff and everybody else who is signed in it does not exist; who may see drafts and not change them is
    told so. What the domain refuses becomes an error of the contract here.
    """
    needed = {"GET": get, "HEAD": get, "POST": post}

    def door(page: Page[P]) -> Callable[..., HttpResponseBase]:
        @never_cache
        @wraps(page)
        def entered(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            user = request.user
            if not user.is_authenticated:
                return error(401, "unauthorized", _("sign in first"))
            if not access.may_see_regions(user) or not user.has_perm("network.view_regiondraft"):
                return error(404, "not_found", _("there is no such page"))
            right = needed.get(request.method or "")
            if right is None:
                return error(405, "method_not_allowed", _("not by this method"))
            if not user.has_perm(right):
                return error(403, "forbidden", _("you may not do this"))
            return answered(lambda: page(request, *args, **kwargs))

        return entered

    return door


def answered(answer: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Translate what the domain refuses."""
    try:
        return answer()
    except Refused as refused:
        return JsonResponse({"error": refused.body}, status=refused.status, encoder=DjangoJSONEncoder)
    except RegionDraft.DoesNotExist:
        return error(404, "not_found", _("there is no such draft"))
    except drafts.NotOpen:
        return error(409, "not_open", _("this draft was published or abandoned; nothing of it changes"))
    except drafts.VersionConflict as conflict:
        words = _("somebody else changed this draft meanwhile")
        changes = [edit_as_json(edit) for edit in conflict.changes]
        return error(409, "version_conflict", words, version=conflict.version, changes=changes)
    except drafts.NothingTaken as refused_all:
        rows = refused_rows(refused_all.imported)
        return error(422, "refused", str(refused_all), field="file", refused=rows)
    except drafts.EditRefused as edit_refused:
        return error(422, "refused", str(edit_refused), field=edit_refused.field)
    except OperationalError as stopped:
        sqlstate = getattr(stopped.__cause__, "sqlstate", None)
        if sqlstate == "55P03":
            return error(409, "busy", _("somebody else changes this right now: try again in a minute"))
        if sqlstate == "57014":
            return error(503, "too_much", _("there is too much of it to be looked at at once"))
        raise
    except problems.TooMuch:
        return error(503, "too_much", _("the draft is too large to be looked at at once: make several of it"))


def error(status: int, code: str, message: str, **more: Any) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": message, **more}}, status=status, encoder=DjangoJSONEncoder)


def answer(body: Mapping[str, Any], status: int = 200) -> JsonResponse:
    return JsonResponse(body, status=status, encoder=DjangoJSONEncoder, json_dumps_params={"ensure_ascii": False})


def editor_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the door lets nobody else in"
    return request.user


# What comes in. Sizes are bounded before anything is read, depth before anything is built.


def body_of(request: HttpRequest) -> dict[str, Any]:
    """Return the JSON object that was sent. Raises Refused."""
    try:
        told = json.loads(request.body, parse_constant=_no_constant)
    except RequestDataTooBig as too_big:
        raise Refused(413, "too_large", _("more than %s MB") % 5) from too_big
    except (ValueError, RecursionError) as broken:
        raise Refused(400, "malformed", _("not JSON: %s") % str(broken)[:100]) from broken
    if not isinstance(told, dict):
        raise Refused(400, "malformed", _("an object is expected"))
    return told


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def malformed(field: str, expected: str) -> Refused:
    return Refused(400, "malformed", f"{field}: {expected}", field=field)


def text(told: Mapping[str, Any], field: str) -> str:
    value = told.get(field)
    if not isinstance(value, str) or len(value) > 1000:
        raise malformed(field, _("text is expected"))
    return value


def whole_number(told: Mapping[str, Any], field: str) -> int:
    value = told.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise malformed(field, _("a whole number is expected"))
    return value


def texts(told: Mapping[str, Any], field: str, most: int = MOST_IDS) -> list[str]:
    value = told.get(field)
    if (
        not isinstance(value, list)
        or len(value) > most
        or not all(isinstance(one, str) and len(one) < 100 for one in value)
    ):
        raise malformed(field, _("a list of at most %s texts is expected") % most)
    return value


def moment(value: Any, field: str) -> datetime | None:
    """Return a moment from ISO 8601; a day is its beginning in the network's time zone. None for none."""
    if value in (None, ""):
        return None
    try:
        if not isinstance(value, str) or len(value) > 40:
            raise ValueError(field)
        found = parse_datetime(value)
        if found is None:
            day = parse_date(value)
            if day is None:
                raise ValueError(field)
            found = datetime.combine(day, time())
        if not 1970 <= found.year < 2200:
            raise ValueError(field)
        return make_aware(found, get_current_timezone()) if is_naive(found) else found
    except ValueError as no_moment:
        raise malformed(field, _("a date and time like 2026-11-21T08:00:00+08:00 is expected")) from no_moment


def _level(told: Mapping[str, Any], field: str) -> int:
    value = whole_number(told, field)
    if value not in Level.values:
        raise malformed(field, _("a level from 1 to 5 is expected"))
    return value


def _polygon(told: Mapping[str, Any], field: str) -> Geometry:
    """Raises drafts.EditRefused for what is no polygon, however it was built."""
    try:
        geom = boundary_files.polygon_of(told.get(field))
    except (boundary_files.NoPolygon, shapely.GEOSException, OverflowError) as no_polygon:
        raise drafts.EditRefused(str(no_polygon), field) from no_polygon
    if geom is None:
        raise drafts.EditRefused(_("no geometry"), field)
    return geom


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _position(value: Any, field: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) < 2 or not _number(value[0]) or not _number(value[1]):
        raise malformed(field, _("a position is longitude and latitude"))
    lon, lat = float(value[0]), float(value[1])
    if abs(lon) > 180 or abs(lat) > 90:
        raise malformed(field, _("longitude %(lon)s, latitude %(lat)s is not on the globe") % {"lon": lon, "lat": lat})
    return lon, lat


def _line(told: Mapping[str, Any], field: str) -> Geometry:
    member = told.get(field)
    places = member.get("coordinates") if isinstance(member, dict) and member.get("type") == "LineString" else None
    if not isinstance(places, list) or not 2 <= len(places) <= 10_000:
        raise malformed(field, _("a LineString is expected"))
    return shapely.linestrings([_position(place, field) for place in places])


def _metres(told: Mapping[str, Any], field: str) -> float:
    value = told.get(field)
    if not _number(value):
        raise malformed(field, _("a number is expected"))
    assert isinstance(value, int | float), "tested before"
    return float(value)


def _flag(told: Mapping[str, Any], field: str) -> bool:
    value = told.get(field)
    if not isinstance(value, bool):
        raise malformed(field, _("true or false is expected"))
    return value


def _named(told: Mapping[str, Any], field: str) -> dict[str, str]:
    value = told.get(field)
    if not isinstance(value, dict):
        raise malformed(field, _("an object is expected"))
    return {"code": text(value, "code"), "name": text(value, "name")}


def _keep_place(told: Mapping[str, Any], field: str) -> tuple[float, float]:
    return _position(told.get(field), field)


Reader = Callable[[Mapping[str, Any], str], Any]
# For each operation how its values are read; those with a question mark may be left out.
VALUES: dict[str, dict[str, Reader]] = {
    "draw": {"code": text, "name": text, "level": _level, "parent?": text, "geometry": _polygon},
    "reshape": {"code": text, "geometry": _polygon},
    "split": {"code": text, "line": _line, "new": _named, "keep?": _keep_place},
    "merge": {"codes": texts, "keep": text},
    "retire": {"code": text, "below?": _flag},
    "describe": {"code": text, "name?": text, "new_code?": text, "parent?": text},
    "snap": {"code": text, "metres": _metres, "geometry?": _polygon},
    "undo": {"code": text},
    "rebase": {"code": text},
}


def _values_of(op: str, told: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, read in VALUES[op].items():
        field = name.removesuffix("?")
        if field == name or told.get(field) is not None:
            values[field] = read(told, field)
    return values


# What goes out.


def person(user: User) -> dict[str, Any]:
    return {"id": user.pk, "name": str(user)}


def edit_as_json(edit: DraftEdit) -> dict[str, Any]:
    return {
        "version": edit.version,
        "by": person(edit.by),
        "at": edit.at,
        "op": edit.op,
        "codes": edit.codes,
        "detail": edit.detail,
    }


def draft_as_json(draft: RegionDraft, user: User) -> dict[str, Any]:
    is_open = draft.status == RegionDraft.Status.OPEN
    return {
        "id": draft.pk,
        "name": draft.name,
        "author": person(draft.author),
        "version": draft.version,
        "drawn": draft.drawn,
        "status": draft.status,
        "created_at": draft.created_at,
        "changed_at": draft.changed_at,
        "published_at": draft.published_at,
        "published_by": None if draft.published_by is None else person(draft.published_by),
        "boundary_set": draft.boundary_set_id,
        "valid_from": draft.boundary_set.valid_from if draft.boundary_set else None,
        "may": {
            "edit": is_open and user.has_perm("network.change_regiondraft"),
            "publish": is_open and user.has_perm("network.publish_regiondraft"),
        },
    }


def whole_draft(draft: RegionDraft, user: User) -> dict[str, Any]:
    prospect = Prospect.of(draft, since=now())
    shapes = [shape_as_json(shape) for shape in prospect.shapes.values()]
    shown = [shape.old if shape.geom is None else shape.geom for shape in prospect.shapes.values()]
    box = shapely.total_bounds([geom for geom in shown if geom is not None]).tolist() if any(shown) else None
    return draft_as_json(draft, user) | {"shapes": shapes, "box": box}


def shape_as_json(shape: Shape) -> dict[str, Any]:
    shown = shape.old if shape.geom is None else shape.geom
    is_closed = shape.row.draft.status != RegionDraft.Status.OPEN
    return {
        "code": shape.code,
        "name": shape.row.name,
        "level": int(shape.level),
        "level_name": str(shape.level.label),
        "parent": shape.row.parent,
        "kind": shape.kind,
        "known_name": shape.region.name if shape.region else None,
        "area_m2": None if shape.geom is None else polygons.area_m2(shape.geom),
        "base_area_m2": None if shape.old is None else polygons.area_m2(shape.old),
        "vertices": 0 if shown is None else int(shapely.get_num_coordinates(shown)),
        "box": None if shown is None else shapely.bounds(shown).tolist(),
        "stale": not is_closed and shape.is_stale,
    }


def feature(geom: Geometry | None, properties: Mapping[str, Any]) -> str:
    told = json.dumps(properties, cls=DjangoJSONEncoder, ensure_ascii=False)
    geometry = "null" if geom is None else shapely.to_geojson(geom)
    return f'{{"type":"Feature","properties":{told},"geometry":{geometry}}}'


def features(rows: Iterable[tuple[Geometry | None, Mapping[str, Any]]]) -> HttpResponse:
    """A GeoJSON collection, written without taking the coordinates apart. Raises Refused for too many of them."""
    rows = list(rows)
    refuse_too_many(geom for geom, _properties in rows)
    body = ",".join(feature(geom, properties) for geom, properties in rows)
    return HttpResponse(f'{{"type":"FeatureCollection","features":[{body}]}}', content_type="application/geo+json")


def refuse_too_many(geoms: Iterable[Geometry | None]) -> None:
    vertices = sum(int(shapely.get_num_coordinates(geom)) for geom in geoms if geom is not None)
    if vertices > MOST_VERTICES:
        words = _("%(count)s vertices, more than %(most)s: zoom in") % {"count": vertices, "most": MOST_VERTICES}
        raise Refused(413, "too_large", words, vertices=vertices)


def place_as_json(place: Place) -> dict[str, Any]:
    return {
        "code": place.code,
        "name": place.name,
        "level": int(place.level),
        "parent": place.parent,
        "drafted": place.drafted,
    }


def refused_rows(imported: drafts.Imported) -> list[dict[str, Any]]:
    rows = sorted(imported.refused, key=lambda bad: bad.number)[:500]
    return [{"row": bad.number, "code": bad.code, "reason": bad.reason} for bad in rows]


def problem_as_json(found: problems.Problems, one: problems.Problem, *, geometry: bool = True) -> dict[str, Any]:
    row = found.accepted.get(one.id)
    return {
        "id": one.id,
        "kind": str(one.kind),
        "level": int(one.level),
        "codes": one.codes,
        "names": one.names,
        "area_m2": one.area_m2,
        "box": None if one.geom is None else shapely.bounds(one.geom).tolist(),
        "text": one.text,
        "must_solve": one.must_solve,
        "listed_only": one.listed_only,
        "accepted": None if row is None else {"by": person(row.by), "at": row.at, "reason": row.reason},
        **(
            {"geometry": None if one.geom is None else json.loads(shapely.to_geojson(_drawn(one.geom)))}
            if geometry
            else {}
        ),
    }


def _drawn(geom: Geometry) -> Geometry:
    """What is shown of a problem need not have every vertex of a whole province."""
    if shapely.get_num_coordinates(geom) <= 2_000:
        return geom
    west, south, east, north = shapely.bounds(geom).tolist()
    return shapely.simplify(geom, max(east - west, north - south) / 2_000)


def problems_as_json(found: problems.Problems) -> dict[str, Any]:
    return {
        "version": found.draft.version,
        "from": found.since,
        "problems": [problem_as_json(found, one) for one in found.found[: problems.MOST_TOLD]],
        "open": len(found.open),
        "must_solve": len(found.must_solve),
        "more": max(0, len(found.found) - problems.MOST_TOLD),
    }


# The pages.


def _draft(draft_id: int) -> RegionDraft:
    return RegionDraft.objects.select_related("author", "published_by", "boundary_set").get(pk=draft_id)


@for_editors(post="network.add_regiondraft")
def drafts_data(request: HttpRequest) -> HttpResponse:
    """The list, and a new draft: empty, or with what brings an older state back."""
    user = editor_of(request)
    if request.method == "POST":
        told = body_of(request)
        if told.get("as_of") is None:
            made = drafts.make(name=text(told, "name"), author=user, now=now())
        else:
            codes = texts(told, "codes") if told.get("codes") is not None else []
            at, _label = _asked_moment(told.get("as_of"), "as_of")
            made = publishing.bring_back(name=text(told, "name"), at=at, codes=codes, author=user, now=now())
        return answer(whole_draft(_draft(made.pk), user), status=201)
    rows = RegionDraft.objects.select_related("author", "published_by", "boundary_set")
    status = request.GET.get("status", "")
    if status in RegionDraft.Status.values:
        rows = rows.filter(status=status)
    rows = rows.order_by("-changed_at", "-pk")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    counts = dict(
        RegionDraft.objects.filter(pk__in=[row.pk for row in page.object_list])
        .annotate(n=Count("shapes"))
        .values_list("pk", "n")
    )
    told_rows = [draft_as_json(row, user) | {"shape_count": counts[row.pk]} for row in page.object_list]
    return answer({"drafts": told_rows, "page": page.number, "pages": page.paginator.num_pages})


@for_editors()
def draft_data(request: HttpRequest, draft_id: int) -> HttpResponse:
    return answer(whole_draft(_draft(draft_id), editor_of(request)))


@for_editors()
def draft_shapes(request: HttpRequest, draft_id: int) -> HttpResponse:
    """The shapes of a draft with their whole geometry; those that retire with the one they had."""
    prospect = Prospect.of(_draft(draft_id), since=now())
    asked = request.GET.get("codes", "")[:20_000]
    codes = set(asked.split(",")) if asked else prospect.shapes.keys()
    return features(
        (shape.old if shape.geom is None else shape.geom, shape_as_json(shape))
        for shape in prospect.shapes.values()
        if shape.code in codes
    )


@for_editors()
def draft_neighbours(request: HttpRequest, draft_id: int) -> HttpResponse:
    """The regions of a level in a box as they would be in force, not simplified."""
    box = _asked_box(request)
    try:
        level = Level(int(request.GET.get("level", "")))
    except ValueError as no_level:
        raise malformed("level", _("a level from 1 to 5 is expected")) from no_level
    prospect = Prospect.of(_draft(draft_id), since=now())
    west, south, east, north = box
    window = shapely.box(west, south, east, north)
    places = [*prospect.staying([box], [level]), *(place for place in prospect.drawn if place.level == level)]
    shown = [place for place in places if shapely.intersects(window, place.geom)]
    return features((place.geom, place_as_json(place)) for place in shown)


def _asked_box(request: HttpRequest) -> prospects.Box:
    try:
        west, south, east, north = (float(part) for part in request.GET.get("box", "")[:200].split(","))
    except ValueError as no_box:
        raise malformed("box", _("west, south, east and north are expected")) from no_box
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise malformed("box", _("west, south, east and north are expected"))
    return west, south, east, north


@for_editors()
def draft_region(request: HttpRequest, draft_id: int) -> HttpResponse:
    """One region as it would be in force, whole."""
    code = request.GET.get("code", "")[:32].replace("\x00", "")
    place = Prospect.of(_draft(draft_id), since=now()).would_be([code]).get(code)
    if place is None:
        raise Refused(404, "not_found", _("%s has no boundary") % code)
    return HttpResponse(feature(place.geom, place_as_json(place)), content_type="application/geo+json")


@for_editors()
def draft_history(request: HttpRequest, draft_id: int) -> HttpResponse:
    edits = _draft(draft_id).edits.select_related("by").order_by("-version")[:500]
    return answer({"edits": [edit_as_json(edit) for edit in edits]})


@for_editors(get=None, post="network.change_regiondraft")
def draft_edits(request: HttpRequest, draft_id: int) -> HttpResponse:
    """One edit against the version that its author saw."""
    told, user = body_of(request), editor_of(request)
    op, version = text(told, "op"), whole_number(told, "version")
    if op not in VALUES:
        raise malformed("op", _("one of %s is expected") % ", ".join(VALUES))
    draft, change = drafts.edit(draft_id, version=version, op=op, values=_values_of(op, told), by=user, now=now())
    return _edited(draft, change, user)


def _edited(draft: RegionDraft, change: drafts.Change, user: User, **more: Any) -> HttpResponse:
    draft = _draft(draft.pk)
    prospect = Prospect.of(draft, since=now())
    changed = [prospect.shapes[code] for code in sorted(change.written) if code in prospect.shapes]
    rows = [(shape.old if shape.geom is None else shape.geom, shape_as_json(shape)) for shape in changed]
    vertices = sum(row["vertices"] for _geom, row in rows)
    told = json.dumps(whole_draft(draft, user), cls=DjangoJSONEncoder, ensure_ascii=False)
    # What is too much for one answer is fetched shape by shape.
    shown = ",".join(feature(geom, row) for geom, row in rows) if vertices <= MOST_VERTICES else ""
    extra = json.dumps(
        {"dropped": change.dropped, "features_left_out": vertices > MOST_VERTICES, **more},
        cls=DjangoJSONEncoder,
        ensure_ascii=False,
    )
    return HttpResponse(f'{{"draft":{told},"features":[{shown}],{extra[1:]}', content_type="application/json")


@for_editors(get=None, post="network.change_regiondraft")
def draft_rename(request: HttpRequest, draft_id: int) -> HttpResponse:
    told, user = body_of(request), editor_of(request)
    version, name = whole_number(told, "version"), text(told, "name")
    drafts.rename(draft_id, version=version, name=name, by=user, now=now())
    return answer(whole_draft(_draft(draft_id), user))


@for_editors(get=None, post="network.change_regiondraft")
def draft_abandon(request: HttpRequest, draft_id: int) -> HttpResponse:
    told, user = body_of(request), editor_of(request)
    drafts.abandon(draft_id, version=whole_number(told, "version"), by=user, now=now())
    return answer(whole_draft(_draft(draft_id), user))


@for_editors(get=None, post="network.change_regiondraft")
def draft_import(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Take a file into the draft: each row by itself, the bad ones told with their numbers and reasons."""
    user, uploaded = editor_of(request), request.FILES.get("file")
    if not isinstance(uploaded, UploadedFile):
        raise malformed("file", _("a file is expected"))
    if (uploaded.size or 0) > drafts.IMPORT.size:
        raise Refused(413, "too_large", _("more than %s MB") % (drafts.IMPORT.size // 2**20), field="file")
    try:
        version = int(request.POST.get("version", "")[:10])
    except ValueError as no_number:
        raise malformed("version", _("a whole number is expected")) from no_number
    with tempfile.TemporaryDirectory(prefix="draft-") as folder:
        path = Path(folder) / "file"
        with path.open("wb") as kept:
            for chunk in uploaded.chunks():
                kept.write(chunk)
        try:
            rows = drafts.read_file(path)
        except boundary_files.Unreadable as unreadable:
            raise Refused(422, "refused", str(unreadable), field="file", refused=[]) from unreadable
    name = str(uploaded.name or "")
    draft, change, imported = drafts.take_rows(draft_id, version=version, rows=rows, source=name, by=user, now=now())
    return _edited(
        draft, change, user, taken=imported.taken, unchanged=imported.unchanged, refused=refused_rows(imported)
    )


@for_editors()
def draft_problems(request: HttpRequest, draft_id: int) -> HttpResponse:
    since = moment(request.GET.get("from"), "from") or now()
    return answer(problems_as_json(problems.of(_draft(draft_id), since=since)))


@for_editors(get=None, post="network.change_regiondraft")
def draft_accept(request: HttpRequest, draft_id: int) -> HttpResponse:
    told, at = body_of(request), now()
    found = problems.accept(
        draft_id,
        version=whole_number(told, "version"),
        ids=texts(told, "ids"),
        reason=text(told, "reason"),
        since=moment(told.get("from"), "from") or at,
        by=editor_of(request),
        now=at,
    )
    return answer(problems_as_json(found))


@for_editors(get=None, post="network.change_regiondraft")
def draft_unaccept(request: HttpRequest, draft_id: int) -> HttpResponse:
    told, at = body_of(request), now()
    found = problems.reject(
        draft_id,
        version=whole_number(told, "version"),
        ids=texts(told, "ids"),
        since=moment(told.get("from"), "from") or at,
        by=editor_of(request),
        now=at,
    )
    return answer(problems_as_json(found))


# Sets and moments beside each other.


def _asked_moment(value: Any, field: str) -> tuple[datetime, str]:
    """Return the moment of a set (`set:7`), a day or a time, and the words for it."""
    if isinstance(value, str) and value.startswith("set:"):
        number = value.removeprefix("set:")
        row = (
            BoundarySet.objects.filter(pk=int(number)).first()
            if number.isascii() and number.isdigit() and len(number) < 19
            else None
        )
        if row is None:
            raise malformed(field, _("there is no such boundary set"))
        return row.valid_from, row.name
    at = moment(value, field)
    if at is None:
        return now(), _("today")
    return at, f"{localtime(at):%Y-%m-%d %H:%M}"


@for_editors()
def boundary_sets(request: HttpRequest) -> HttpResponse:
    rows = BoundarySet.objects.annotate(regions=Count("boundaries")).order_by("-valid_from", "-pk")[:500]
    return answer(
        {
            "sets": [
                {
                    "id": row.pk,
                    "name": row.name,
                    "source": row.source,
                    "valid_from": row.valid_from,
                    "created_at": row.created_at,
                    "regions": row.regions,
                }
                for row in rows
            ]
        }
    )


@for_editors()
def boundary_compare(request: HttpRequest) -> HttpResponse:
    (before, words), (after, others) = (_asked_moment(request.GET.get(side), side) for side in ("a", "b"))
    try:
        level = Level(int(request.GET["level"])) if request.GET.get("level") else None
    except ValueError as no_level:
        raise malformed("level", _("a level from 1 to 5 is expected")) from no_level
    compared = comparing.compare(before=before, after=after, level=level)
    told: dict[str, list[dict[str, Any]]] = {"added": [], "removed": [], "changed": []}
    for one in compared.differences:
        row = {
            "code": one.code,
            "name": one.name,
            "level": int(one.level),
            "level_name": str(one.level.label),
            "box": one.box,
            "area_m2": one.after_m2 if one.before_m2 is None else one.before_m2,
        }
        if one.kind == "changed":
            row |= {
                "before_m2": one.before_m2,
                "after_m2": one.after_m2,
                "gained_m2": one.gained_m2,
                "lost_m2": one.lost_m2,
            }
        told[one.kind].append(row)
    return answer(
        {"a": {"at": before, "label": words}, "b": {"at": after, "label": others}, **told, "more": compared.more}
    )


@for_editors()
def boundary_difference(request: HttpRequest, code: str) -> HttpResponse:
    (before, _words), (after, _others) = (_asked_moment(request.GET.get(side), side) for side in ("a", "b"))
    parts = comparing.parts_of(code, before=before, after=after)
    return features((geom, {"part": part, "area_m2": polygons.area_m2(geom)}) for part, geom in parts.items())


def regions_told(shapes: Sequence[Shape]) -> list[dict[str, Any]]:
    """Regions that somebody else published meanwhile, with the sets that brought them."""
    newest = publishing.latest_sets([shape.code for shape in shapes])
    told = []
    for shape in shapes:
        row = newest.get(shape.code)
        found = None if row is None else {"id": row.boundary_set_id, "name": row.boundary_set.name}
        since = None if row is None else row.boundary_set.valid_from
        told.append({"code": shape.code, "name": shape.row.name, "set": found, "since": since})
    return told
