"""Regions for administrators: their tiles, the search, and the list that is there for those who need no map.

The map itself and what it tells of parcels and money belong to packages that stand on this one; they use the door
and the readers of this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from functools import wraps
from itertools import islice
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode, urlsplit

from csp.constants import SELF
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import get_current_timezone, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from network import access, atlas, exports, history, tiles
from network.models import Level, Region, User
from network.tables import Cell, Column
from network.views.sign_in import homes_of

TILE_AGE_S = 60
PER_PAGE = 50
YEARS = range(1970, 2200)

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def for_staff(
    *also: str, data: bool = False, posts: bool = False
) -> Callable[[Page[P]], Callable[..., HttpResponseBase]]:
    """A page about regions: for staff who may view regions, and what else is named by its permission.

    For everybody else who is signed in it does not exist. `data`: answered to a script, so that a stranger gets 401
    and not the sign-in page. `posts`: the page has forms of its own; else it only reads. What they give as a reason
    is the reason of all changes in the history.
    """
    methods = require_http_methods(["GET", "HEAD", "POST"]) if posts else require_safe

    def door(page: Page[P]) -> Callable[..., HttpResponseBase]:
        @methods
        @wraps(page)
        def entered(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return HttpResponse(status=401) if data else redirect_to_login(request.get_full_path())
            if not access.may_see_regions(request.user) or not request.user.has_perms(also):
                raise Http404
            if posts and request.method == "POST":
                history.because(next(filter(None, map(request.POST.get, ("because", "answer", "reason"))), ""))
            return page(request, *args, **kwargs)

        return entered

    return door


def asked_day(request: HttpRequest) -> date | None:
    """Return the day that was asked for, or None for today. Raises ValueError for what is no day."""
    text = request.GET.get("at", "")
    if not text:
        return None
    day = date.fromisoformat(text)
    if day.year not in YEARS:
        raise ValueError(text)
    return day


def end_of(day: date | None) -> datetime:
    """The moment that stands for a day: its end, so that what began on it counts. Of today, now."""
    return now() if day is None else datetime.combine(day, time.max, get_current_timezone())


def asked_level(request: HttpRequest) -> Level | None:
    """Return the level that was asked for, or None for the one that fits. Raises ValueError."""
    text = request.GET.get("level", "")
    return Level(int(text)) if text else None


def drawn(request: HttpRequest, draw: Callable[[tiles.Tile], bytes], *, zoom: int, x: int, y: int) -> HttpResponse:
    """Answer with a tile: kept by this browser only, for a minute, and not sent twice."""
    try:
        body = draw(tiles.Tile(zoom, x, y))
    except (tiles.NoSuchTile, ValueError) as error:
        raise Http404 from error
    except tiles.TooMuch:
        return HttpResponse(status=503, headers={"Retry-After": "60"})
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    response: HttpResponse
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(body, content_type="application/vnd.mapbox-vector-tile")
    response["ETag"] = tag
    response["Cache-Control"] = f"private, max-age={TILE_AGE_S}"
    return response


def allow_tiles(response: HttpResponse) -> None:
    """Widen the page's CSP by the host of the tiles that somebody set, and by nothing where nobody did."""
    if settings.MAP_TILES:
        parts = urlsplit(settings.MAP_TILES)
        origin = f"{parts.scheme}://{parts.netloc}"
        response._csp_update = {"connect-src": [SELF, origin], "img-src": [origin]}  # type: ignore[attr-defined]


def tile_template(name: str) -> str:
    """The address of tiles as a map wants it."""
    return reverse(name, args=[0, 0, 0]).replace("0/0/0.pbf", "{z}/{x}/{y}.pbf")


@for_staff(data=True)
def region_tile(request: HttpRequest, zoom: int, x: int, y: int) -> HttpResponse:
    def draw(tile: tiles.Tile) -> bytes:
        at, level = end_of(asked_day(request)), asked_level(request)
        return tiles.regions(tile, at=at, level=level, vacant_only=request.GET.get("vacant") == "1")

    return drawn(request, draw, zoom=zoom, x=x, y=y)


@for_staff(data=True)
@never_cache
def search(request: HttpRequest) -> HttpResponse:
    """Suggestions for the search box: the surest first, each with its page and the box to show."""
    at = now()
    found = atlas.search(request.GET.get("q", ""), at=at)
    return JsonResponse(
        {
            "results": [
                {
                    "code": one.region.code,
                    "name": one.region.name,
                    "level": one.region.get_level_display(),
                    "above": " › ".join(one.above),
                    "alias": one.alias,
                    "url": reverse("region", args=[one.region.code]),
                }
                for one in found
            ]
        }
    )


@for_staff()
@never_cache
def region_list(request: HttpRequest) -> HttpResponse:
    """The same regions without a map: by level, vacant ones, below one of them, or found by name."""
    try:
        chosen = asked_level(request)
    except ValueError:
        chosen = None
    parent = Region.objects.filter(code=request.GET.get("parent", "")[:32]).first()
    text, vacant = request.GET.get("q", "").replace("\x00", "").strip()[:100], request.GET.get("vacant") == "1"
    # Nobody wants to begin with thousands of them; but what is searched for is searched for at every level.
    plain = chosen is None and parent is None and not text and not vacant
    level = Level.PROVINCE if plain and Region.objects.filter(level=Level.PROVINCE).exists() else chosen
    at = now()
    rows = atlas.listed(at=at, level=level, parent=parent, vacant=vacant, text=text)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    regions = list(page.object_list)
    may_see_points = request.user.has_perm("network.view_servicepoint")
    counts = atlas.point_counts([region.pk for region in regions]) if may_see_points else {}
    asked = {"q": text, "level": chosen or "", "vacant": "1" if vacant else "", "parent": parent.code if parent else ""}
    context: dict[str, Any] = {
        "rows": [(region, *counts.get(region.pk, (0, 0))) for region in regions],
        "page": page,
        "level": chosen,
        "levels": Level.choices,
        "vacant": vacant,
        "text": text,
        "parent": parent,
        "chain": atlas.chain_of(parent) if parent else [],
        "query": urlencode({name: value for name, value in asked.items() if value}),
        "homes": homes_of(request.user) if isinstance(request.user, User) else [],
        "may_see_points": may_see_points,
        "may_see_agents": request.user.has_perm("network.view_appointment"),
    }
    context["export"] = {"name": "regions", "query": context["query"]}
    return render(request, "network/region_list.html", context)


@exports.listing("regions", gettext_lazy("Regions"))
def region_sheet(user: User, filters: exports.Filters) -> exports.Sheet:
    """The list with its filters; at every level where none is asked for."""
    if not access.may_see_regions(user):
        raise exports.NotYours
    level_text, parent_code = filters.get("level", ""), filters.get("parent", "")
    try:
        level = Level(int(level_text)) if level_text else None
    except ValueError as error:
        raise exports.BadFilter(_("There is no such level.")) from error
    parent = Region.objects.filter(code=parent_code[:32]).first() if parent_code else None
    at = now()
    found = atlas.listed(
        at=at, level=level, parent=parent, vacant=filters.get("vacant") == "1", text=filters.get("q", "").strip()[:100]
    )
    may_points, may_agents = user.has_perm("network.view_servicepoint"), user.has_perm("network.view_appointment")
    columns = [Column(_("Code")), Column(_("Region")), Column(_("Level")), Column(_("Within")), Column(_("Path"))]
    columns += [Column(_("Agent"))] * may_agents + [Column(_("Regions within"))]
    columns += [Column(_("Service points")), Column(_("Active service points"))] * may_points
    return exports.Sheet(columns, _region_rows(found, may_points, may_agents), found.count())


def _region_rows(found: QuerySet[Region], may_points: bool, may_agents: bool) -> Iterator[list[Cell]]:
    rows = exports.in_parts(found, key="path")
    while part := list(islice(rows, 500)):
        counts = atlas.point_counts([region.pk for region in part]) if may_points else {}
        for region in part:
            above = region.parent.name if region.parent else ""
            row: list[Cell] = [region.code, region.name, str(region.get_level_display()), above, region.path]
            if may_agents:
                row.append(str(region.holder) if region.held else "")
            row.append(region.below or 0)
            yield row + list(counts.get(region.pk, (0, 0)) if may_points else ())
