"""The map of all regions, for administrators: one page, whose panel tells of the region it is opened at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from network import access, atlas, exports, tiles
from network.models import Level, Region, User
from network.tables import Cell, Column
from network.tiles import Show
from network.views.regions import allow_tiles, asked_day, asked_level, drawn, end_of, for_staff, tile_template
from network.views.sign_in import homes_of
from pickup import orders, territory
from pickup.review import REASONS

Answer = TypeVar("Answer")

SHOWS = {
    Show.ALL: gettext_lazy("all"),
    Show.ACTIVE: gettext_lazy("active"),
    Show.PAUSED: gettext_lazy("paused"),
    Show.FULL: gettext_lazy("full"),
    Show.SUSPENDED: gettext_lazy("suspended"),
    Show.PROPOSED: gettext_lazy("proposed"),
    Show.CLOSED: gettext_lazy("closed"),
}
# Everything that a point may be on the map, in the order of the legend.
STATES = {
    "free": gettext_lazy("room left"),
    "filling": gettext_lazy("70 % full or more"),
    "full": gettext_lazy("full"),
    "paused": gettext_lazy("paused"),
    "suspended": gettext_lazy("suspended"),
    "proposed": gettext_lazy("proposed"),
    "closed": gettext_lazy("closed"),
}


@for_staff("network.view_servicepoint", data=True)
def point_tile(request: HttpRequest, zoom: int, x: int, y: int) -> HttpResponse:
    def draw(tile: tiles.Tile) -> bytes:
        at, show = end_of(None), Show(request.GET.get("points") or Show.ALL)
        return tiles.points(
            tile, at=at, show=show, held_at=orders.held_at, full_points=lambda: territory.full_points(at)
        )

    return drawn(request, draw, zoom=zoom, x=x, y=y)


@for_staff("pickup.view_order", data=True)
def review_tile(request: HttpRequest, zoom: int, x: int, y: int) -> HttpResponse:
    return drawn(request, territory.review_tile, zoom=zoom, x=x, y=y)


@for_staff()
@never_cache
def region_map(request: HttpRequest, code: str = "") -> HttpResponse:
    """The map, its panel open at a region if one is named. With `panel`, that panel alone, for the script."""
    region = Region.objects.filter(code=code).first() if code else None
    if code and region is None:
        raise Http404
    asked = _asked(request)
    at = end_of(asked["day"])
    may = _may(request)
    context: dict[str, Any] = {"may": may, "asked": asked, "query": _query(asked)} | _panel(region, may=may, at=at)
    if request.GET.get("panel") == "1":
        return render(request, "pickup/region_panel.html", context)
    context |= {
        "homes": homes_of(request.user) if isinstance(request.user, User) else [],
        "levels": Level.choices,
        "shows": [(str(show), words) for show, words in SHOWS.items()],
        "states": STATES.items(),
        "config": _config(may, at=at),
    }
    response = render(request, "pickup/regions.html", context)
    allow_tiles(response)
    return response


@exports.listing("review", gettext_lazy("Review queue"))
def review_list(user: User, filters: exports.Filters) -> exports.Sheet:
    """How many orders wait for a person, by reason and merchant, and since when."""
    if not (access.may_see_regions(user) and user.has_perm("pickup.view_order")):
        raise exports.NotYours
    columns = [Column(_("Reason")), Column(_("Merchant")), Column(_("Orders")), Column(_("Oldest"), moment=True)]
    rows = territory.review_counts()
    told: list[list[Cell]] = [[str(REASONS.get(row[0], row[0])), *row[1:]] for row in rows]
    return exports.Sheet(columns, told, len(told))


def _asked(request: HttpRequest) -> dict[str, Any]:
    """The filters of the page. What makes no sense is left out, so that an old link still opens."""
    asked: dict[str, Any] = {"level": None, "day": None, "points": Show.ALL}
    for name, read in (("level", asked_level), ("day", asked_day), ("points", _asked_show)):
        try:
            asked[name] = read(request)
        except ValueError:
            continue
    asked["hidden"] = request.GET.get("points") == "none"
    return asked | {name: request.GET.get(name) == "1" for name in ("vacant", "review")}


def _asked_show(request: HttpRequest) -> Show:
    return Show(request.GET.get("points") or Show.ALL)


def _query(asked: dict[str, Any]) -> str:
    """The filters as they stand in an address, so that the links of the panel keep them."""
    points = "none" if asked["hidden"] else "" if asked["points"] == Show.ALL else str(asked["points"])
    values = {
        "level": int(asked["level"]) if asked["level"] else "",
        "vacant": "1" if asked["vacant"] else "",
        "points": points,
        "review": "1" if asked["review"] else "",
        "at": asked["day"].isoformat() if asked["day"] else "",
    }
    return urlencode({name: value for name, value in values.items() if value})


def _may(request: HttpRequest) -> dict[str, bool]:
    """Somebody may be allowed to see regions and nothing of what they earn."""
    rights = {
        "agents": "network.view_appointment",
        "points": "network.view_servicepoint",
        "boundaries": "network.view_boundary",
        "review": "pickup.view_order",
        "parcels": "pickup.view_parcel",
        "fees": "pickup.view_posting",
    }
    may = {name: request.user.has_perm(right) for name, right in rights.items()}
    return may | {"decide": may["review"] and request.user.has_perm("pickup.change_order")}


def _panel(region: Region | None, *, may: dict[str, bool], at: datetime) -> dict[str, Any]:
    review = _unless_too_much(lambda: territory.review_of(region)) if may["review"] else None
    if region is None:
        queue = {"review_queue": review, "export": {"name": "review", "query": ""}}
        return {"region": None, "vacancies": atlas.vacancies(at=at)} | queue
    month = localtime(at).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    context = atlas.facts_of(region, at=at) | {"review_queue": review, "month": month}
    if may["points"]:
        shown = list(atlas.points_in(region).order_by("id")[: atlas.MOST_SHOWN + 1])
        held = orders.held_at([point.pk for point in shown]) if may["parcels"] else {}
        context["points"] = atlas.points_of(region, at=at)
        context["shown_points"] = [(point, held.get(point.pk, 0)) for point in shown[: atlas.MOST_SHOWN]]
        context["more_points"] = len(shown) > atlas.MOST_SHOWN
    if may["parcels"]:
        context["parcels"] = _unless_too_much(lambda: territory.parcels_of(region, at=at, since=month))
        context["load"] = _unless_too_much(lambda: territory.load_of(region))
    if may["fees"]:
        context["fees"] = _unless_too_much(lambda: territory.fees_of(region, since=month, until=at))
    return context


def _unless_too_much(count: Callable[[], Answer]) -> Answer | None:
    """None is said in words on the page: there is too much to count while somebody waits."""
    try:
        return count()
    except tiles.TooMuch:
        return None


def _config(may: dict[str, bool], *, at: datetime) -> dict[str, Any]:
    """What the script needs to know; it has no words of its own."""
    return {
        "box": atlas.box_of(None, at=at),
        "tiles": {
            "regions": tile_template("region-tile"),
            "points": tile_template("point-tile") if may["points"] else "",
            "review": tile_template("review-tile") if may["review"] else "",
        },
        "map": reverse("regions"),
        "search": reverse("region-search"),
        "list": reverse("region-list"),
        "point": reverse("point-page", args=[0]) if may["points"] else "",
        "order": reverse("review-order" if may["decide"] else "admin:pickup_order_change", args=[0]),
        "orders": reverse("review") if may["decide"] else reverse("admin:pickup_order_changelist"),
        "external": settings.MAP_TILES,
        "credit": settings.MAP_CREDIT,
        "states": {name: str(words) for name, words in STATES.items()},
        "words": {
            "map": _(
                "Map of the regions. Arrow keys move it, plus and minus zoom, Enter opens the region in the middle."
            ),
            "shown": _("The map shows: %(level)s"),
            "tooMuch": _("There is too much in this part of the map to count it now. Zoom in."),
            "failed": _("The map could not be loaded. The list has the same regions."),
            "signedOut": _("You are signed out. Reload the page and sign in again."),
            "points": _("%(count)s service points"),
            "review": _("%(count)s orders in review near here"),
            "load": _("%(held)s of %(capacity)s parcels"),
            "open": _("Open"),
            "nothing": _("No region by this name or code."),
            "found": _("Suggestions: %(count)s"),
            "nowhere": _("There is no region in the middle of the map."),
            "zoomIn": _("Zoom in"),
            "zoomOut": _("Zoom out"),
            "north": _("Turn the map north"),
            "attribution": _("Where the map comes from"),
            "close": _("Close"),
        },
        "levels": {int(level): str(level.label) for level in Level},
        "shownFrom": {int(level): tiles.SHOWN_FROM[level] for level in atlas.levels()},
    }
