"""The page of coverage: who has an open shop near by, the ten best places for another one, and tomorrow's shelves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from network import exports
from network.models import Appointment, Level, Region, User
from network.tables import Cell, Column
from network.views.sign_in import homes_of
from pickup import coverage
from pickup.coverage import Load, Report, Share
from pickup.views.agent import tabs

USUAL = {"within_m": "1000", "days": "30", "level": str(Level.CITY.value)}
KEPT_S = 600  # so long a worked-out report is shown again; the page tells from when it is
ROWS = 40  # of regions, the largest; a country has thousands of districts
LOADS = 30
DAYS = [
    pgettext_lazy("opening hours", "Mo"),
    pgettext_lazy("opening hours", "Tu"),
    pgettext_lazy("opening hours", "We"),
    pgettext_lazy("opening hours", "Th"),
    pgettext_lazy("opening hours", "Fr"),
    pgettext_lazy("opening hours", "Sa"),
    pgettext_lazy("opening hours", "Su"),
]
WORKDAYS, WEEKEND = range(5), range(5, 7)
WIDTH = 600  # of the picture, in its own units


class CoverageForm(forms.Form):
    within_m = forms.TypedChoiceField(
        label=_("Near is within"),
        choices=[(metres, f"{metres:,} m") for metres in (500, 1000, 2000, 3000, 5000)],
        coerce=int,
    )
    days = forms.TypedChoiceField(
        label=_("Orders of the last days"),
        choices=[(days, str(days)) for days in (7, 30, 90)],
        coerce=int,
    )
    level = forms.TypedChoiceField(
        label=_("Regions of the level"),
        choices=[(int(level), level.label) for level in Level],
        coerce=lambda level: Level(int(level)),
    )
    region = forms.IntegerField(required=False, widget=forms.HiddenInput)


@login_required
@never_cache
@require_safe
def coverage_page(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    at = now()
    regions = regions_of(user)
    form = CoverageForm(USUAL | request.GET.dict())
    context: dict[str, Any] = {"form": form, "homes": homes_of(user), "own": regions is not None, "tabs": tabs()}
    if form.is_valid():
        asked = form.cleaned_data
        told = worked_out(
            at=at,
            days=asked["days"],
            within_m=float(asked["within_m"]),
            level=asked["level"],
            regions=regions,
        )
        names = Region.objects.in_bulk({*(share.region_id for share in told.regions), *told.region_of_site} - {None})
        chosen = next((share for share in told.regions if share.region_id == asked["region"]), None)
        whose = chosen if chosen is not None and asked["region"] is not None else told.total
        context |= {
            "told": told,
            "within_m": asked["within_m"],
            "share": percent(told.total.covered, told.total.addresses),
            "rows": [row_shown(share, names) for share in told.regions[:ROWS]],
            "more": max(0, len(told.regions) - ROWS),
            "whose": name_of(whose.region_id, names) if whose is not told.total else "",
            "days": DAYS,
            "hours": list(hours_shown(whose)),
            "sites": list(sites_shown(told, names)),
            "gain": told.total.covered + told.plan.covered,
            "after": percent(told.total.covered + told.plan.covered, told.total.addresses),
            "at_least": percent(told.plan.covered, told.plan.bound),
            "picture": picture(told),
            "export": {"name": "coverage", "query": urlencode({name: form[name].value() for name in USUAL})},
            "loads": [load_shown(load) for load in coverage.tomorrow(at=at, regions=regions, limit=LOADS)],
        }
    return render(request, "pickup/coverage.html", context)


@exports.listing("coverage", _("Coverage"))
def coverage_list(user: User, filters: exports.Filters) -> exports.Sheet:
    """The table by region, all of it: the page shows the largest."""
    try:
        regions = regions_of(user)
    except Http404 as refused:
        raise exports.NotYours from refused
    form = CoverageForm(USUAL | filters)
    if not form.is_valid():
        raise exports.BadFilter(str(_("The filter makes no sense.")))
    asked = form.cleaned_data
    within_m = float(asked["within_m"])
    told = worked_out(at=now(), days=asked["days"], within_m=within_m, level=asked["level"], regions=regions)
    names = Region.objects.in_bulk({share.region_id for share in told.regions} - {None})
    titles = [_("Code"), _("Region"), _("Addresses"), _("At any hour"), _("Workdays 9–18"), _("Workdays 18–22")]
    columns = [Column(str(title)) for title in [*titles, _("Weekend 9–22")]]
    return exports.Sheet(columns, _shares(told, names), len(told.regions))


def _shares(told: Report, names: dict[int, Region]) -> Iterator[list[Cell]]:
    """Parts of one instead of percent, so that they can be reckoned with."""
    for share in told.regions:
        times = ((WORKDAYS, range(9, 18)), (WORKDAYS, range(18, 22)), (WEEKEND, range(9, 22)))
        seen = [[share.by_hour[24 * day + hour] for day in days for hour in hours] for days, hours in times]
        means = [share.covered, *(sum(one) / len(one) for one in seen)]
        code = names[share.region_id].code if share.region_id in names else ""
        parts = [round(mean / share.addresses, 4) if share.addresses else None for mean in means]
        yield [code, name_of(share.region_id, names), share.addresses, *parts]


def regions_of(user: User) -> list[int] | None:
    """None for staff, who see everything; an agent's regions of today; to others the page does not exist."""
    if user.is_staff and user.has_perms(["pickup.view_order", "network.view_servicepoint"]):
        return None
    held = Appointment.objects.filter(agent__user=user, valid__contains=now())
    own = sorted(set(held.values_list("region_id", flat=True)))
    if not own:
        raise Http404
    return own


def worked_out(*, regions: list[int] | None, **asked: Any) -> Report:
    """A report that was worked out some minutes ago for the same question and the same sight, or a new one."""
    question = [regions, *(asked[name] for name in ("days", "within_m", "level"))]
    key = "coverage:" + hashlib.sha256(repr(question).encode()).hexdigest()
    told: Report | None = cache.get(key)
    if told is None:
        told = coverage.report(regions=regions, **asked)
        cache.set(key, told, KEPT_S)
    return told


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def name_of(region_id: int | None, names: dict[int, Region]) -> str:
    return names[region_id].name if region_id in names else str(_("elsewhere"))


def mean_share(share: Share, days: Sequence[int], hours: Sequence[int]) -> str:
    seen = [share.by_hour[24 * day + hour] for day in days for hour in hours]
    return percent(sum(seen) / len(seen), share.addresses)


def row_shown(share: Share, names: dict[int, Region]) -> dict[str, Any]:
    return {
        "id": share.region_id,
        "name": name_of(share.region_id, names),
        "addresses": share.addresses,
        "any": percent(share.covered, share.addresses),
        "day": mean_share(share, WORKDAYS, range(9, 18)),
        "evening": mean_share(share, WORKDAYS, range(18, 22)),
        "weekend": mean_share(share, WEEKEND, range(9, 22)),
    }


def hours_shown(share: Share) -> Iterator[dict[str, Any]]:
    """A row for each hour of the day with its seven days; `tone` from 0 to 10 is the colour."""
    for hour in range(24):
        cells = []
        for day in range(7):
            covered = share.by_hour[24 * day + hour]
            part = covered / share.addresses if share.addresses else 0.0
            cells.append({"percent": round(100 * part), "tone": round(10 * part)})
        yield {"hour": f"{hour:02d}:00", "cells": cells}


def sites_shown(told: Report, names: dict[int, Region]) -> Iterator[dict[str, Any]]:
    for number, (site, region) in enumerate(zip(told.plan.sites, told.region_of_site, strict=True), start=1):
        yield {
            "number": number,
            "region": name_of(region, names),
            # A thousandth of a degree is a hundred metres: it is a place to look around, not an address.
            "lat": f"{site.lat:.3f}",
            "lon": f"{site.lon:.3f}",
            "covers": site.covers,
            "share": percent(site.covers, told.total.addresses),
            "saves_m": None if site.saved_m is None else site.saved_m / site.covers,
        }


def picture(told: Report) -> dict[str, Any] | None:
    """Squares of the map with their share covered, and the sites; numbers for attributes of an SVG."""
    if not told.cells:
        return None
    west = min(cell.lon - cell.side_lon / 2 for cell in told.cells)
    east = max(cell.lon + cell.side_lon / 2 for cell in told.cells)
    south = min(cell.lat - cell.side_lat / 2 for cell in told.cells)
    north = max(cell.lat + cell.side_lat / 2 for cell in told.cells)
    across = WIDTH / (east - west)
    up = across * told.cells[0].side_lon / told.cells[0].side_lat  # as wide as high on the ground

    def at(lat: float, lon: float) -> tuple[str, str]:
        return f"{(lon - west) * across:.1f}", f"{(north - lat) * up:.1f}"

    squares = []
    for cell in told.cells:
        x, y = at(cell.lat + cell.side_lat / 2, cell.lon - cell.side_lon / 2)
        kind = "good" if cell.covered == cell.addresses else "part" if cell.covered else "none"
        squares.append({"x": x, "y": y, "kind": kind})
    sites = []
    for number, site in enumerate(told.plan.sites, start=1):
        x, y = at(site.lat, site.lon)
        sites.append({"x": x, "y": y, "number": number})
    return {
        "width": WIDTH,
        "height": f"{max(1.0, (north - south) * up):.0f}",
        "side": f"{told.cells[0].side_lon * across:.1f}",
        "squares": squares,
        "sites": sites,
    }


def load_shown(load: Load) -> dict[str, Any]:
    full = load.expected is not None and load.expected > load.point.capacity
    return {"load": load, "state": "over" if full else "tight" if load.is_tight else ""}
