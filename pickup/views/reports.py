"""Reports: what was earned, by region, level, payee and period, as a picture, a table and a file.

Staff who may view postings see all of it; whom the network pays, a shop's people and agents, only what is their own.
For everybody else it does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, cast
from unicodedata import east_asian_width
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from network import exports
from network.models import Level, Region, User
from network.tables import Cell, Column
from network.views.sign_in import homes_of
from pickup import ledger, reports
from pickup.models import Account
from pickup.reports import Asked, By, Line, Scope
from pickup.views.earnings import PERIODS, chosen_days, days_chosen, periods_at

PER_PAGE = 50
LABEL_WIDTH = 17  # in halves of a Chinese character
BARS = 15
BAR_H, BAR_W, LABEL_W, AMOUNT_W = 22, 150, 110, 80  # small, so that letters can be read on a phone
WAYS: dict[By, Any] = {
    By.PERIOD: _("By period"),
    By.REGION: _("By region"),
    By.LEVEL: _("By level"),
    By.PAYEE: _("By payee"),
}


class Wrong(ValueError):
    """A filter that makes no sense."""


@login_required
@never_cache
@require_safe
def reports_page(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    scope = reports.scope_of(user)
    if scope is None:
        raise Http404
    period, first, last, error = chosen_days(request, periods_at(localdate()))
    try:
        asked = asked_for(request.GET, first, last)
    except Wrong as wrong:
        raise Http404 from wrong
    page = Paginator(range(reports.count(asked, scope)), PER_PAGE).get_page(request.GET.get("page"))
    rows = reports.lines(asked, scope, limit=PER_PAGE, offset=max(0, page.start_index() - 1))
    known = reports.names(asked, rows)
    query = query_of(asked)
    context: dict[str, Any] = {
        "homes": homes_of(user),
        "scope": scope,
        "asked": asked,
        "ways": [(way, words, "?" + urlencode(query | {"by": way.value})) for way, words in WAYS.items()],
        "way": WAYS[asked.by],
        "period": period,
        "periods": PERIODS,
        "first": first,
        "last": last,
        "error": error,
        "levels": [level for level in Level if level != Level.CUSTOM] + [Level.CUSTOM],
        "query": urlencode(query),
        "page": page,
        "rows": [row_shown(row, known.get(row.key), asked) for row in rows],
        "sums": [row_shown(row, None, asked) for row in reports.sums(asked, scope)],
        "charts": charts(rows[:BARS] if asked.by != By.PERIOD else rows, known, asked),
        "export": {"name": "reports", "query": urlencode(query)},
    }
    return render(request, "pickup/reports.html", context, status=400 if error else 200)


def asked_for(values: Mapping[str, str], first: date, last: date) -> Asked:
    """Raises Wrong."""
    by, level, code = values.get("by", "period"), values.get("level", str(int(Level.CITY))), values.get("within", "")
    if by not in list(By) or level not in [str(one) for one in Level.values] or "\x00" in code:
        raise Wrong(by)
    within = Region.objects.filter(code=code[:32]).first() if code else None
    if code and within is None:
        raise Wrong(code)
    return Asked(By(by), first, last, Level(int(level)), within)


def query_of(asked: Asked) -> dict[str, str]:
    query = {"by": asked.by.value, "from": asked.first.isoformat(), "to": asked.last.isoformat()}
    if asked.by == By.REGION:
        query["level"] = str(int(asked.level))
    return query | ({"within": asked.within.code} if asked.within else {})


def name_of(key: Any, known: Any, asked: Asked) -> str:
    """A row's name for people."""
    if asked.by == By.PERIOD:
        return f"{key:%Y-%m-%d}" if reports.step(asked) == "day" else f"{key:%Y-%m}"
    if asked.by == By.LEVEL:
        return str(Level(key).label) if key else str(_("service points"))
    if asked.by == By.PAYEE:
        owner = reports.owner_of(known) if isinstance(known, Account) else None
        return str(owner.name) if owner else "–"
    return known.name if isinstance(known, Region) else str(_("elsewhere"))


def row_shown(row: Line, known: Any, asked: Asked) -> dict[str, Any]:
    deeper = None
    if asked.by == By.REGION and isinstance(known, Region) and known.level < Level.CUSTOM:
        below = replace(asked, within=known, level=Level(known.level + 1))
        deeper = "?" + urlencode(query_of(below))
    return {
        "name": name_of(row.key, known, asked) if row.key is not None or asked.by != By.PERIOD else "",
        "kind": known.get_kind_display() if isinstance(known, Account) else "",
        "deeper": deeper,
        "pickups": row.pickups,
        "currency": row.currency,
        **{
            name: ledger.written(getattr(row, f"{name}_minor"), row.currency)
            for name in ("point", "agents", "taken_back", "total")
        },
    }


def shortened(name: str) -> str:
    """As much of a name as stands beside a bar."""
    width = 0
    for place, letter in enumerate(name):
        width += 2 if east_asian_width(letter) in "WF" else 1
        if width > LABEL_WIDTH:
            return name[: place - 1] + "…"
    return name


def charts(rows: Sequence[Line], known: Mapping[Any, Any], asked: Asked) -> list[dict[str, Any]]:
    """A bar for each row, one picture for each currency: the numbers of the table for the eye."""
    pictures = []
    for currency in sorted({row.currency for row in rows}):
        own = [row for row in rows if row.currency == currency]
        most = max(row.point_minor + row.agents_minor for row in own)
        if most <= 0:
            continue
        bars = []
        for number, row in enumerate(own):
            point = round(BAR_W * row.point_minor / most)
            name = name_of(row.key, known.get(row.key), asked)
            bars.append(
                {
                    "y": number * BAR_H + 4,
                    "text_y": number * BAR_H + 15,
                    "name": shortened(name),
                    "point": point,
                    "agents_x": LABEL_W + point,
                    "agents": round(BAR_W * row.agents_minor / most),
                    "amount": ledger.written(row.point_minor + row.agents_minor, currency),
                }
            )
        pictures.append(
            {
                "currency": currency,
                "bars": bars,
                "label_w": LABEL_W,
                "width": LABEL_W + BAR_W + AMOUNT_W,
                "height": len(own) * BAR_H + 8,
                "amount_x": LABEL_W + BAR_W + AMOUNT_W - 4,
            }
        )
    return pictures


@exports.listing("reports", _("Report of earnings"))
def _report_sheet(user: User, filters: exports.Filters) -> exports.Sheet:
    scope: Scope | None = reports.scope_of(user)
    if scope is None:
        raise exports.NotYours
    first, last, error = days_chosen(filters.get("from"), filters.get("to"))
    if first is None or last is None:
        raise exports.BadFilter(error)
    try:
        asked = asked_for(filters, first, last)
    except Wrong as wrong:
        raise exports.BadFilter(str(_("There is no such file."))) from wrong
    titles = (
        WAYS[asked.by],
        _("Pickups"),
        _("Service points"),
        _("Agents"),
        _("Taken back"),
        _("Together"),
        _("Currency"),
    )
    return exports.Sheet([Column(str(title)) for title in titles], _cells(asked, scope), reports.count(asked, scope))


def _cells(asked: Asked, scope: Scope) -> Any:
    for row, known in reports.all_lines(asked, scope):
        amounts = (row.point_minor, row.agents_minor, row.taken_back_minor, row.total_minor)
        cells: list[Cell] = [name_of(row.key, known, asked), row.pickups]
        yield [*cells, *(Decimal(ledger.plain(amount, row.currency)) for amount in amounts), row.currency]
