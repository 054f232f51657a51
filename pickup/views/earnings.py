"""What a shop earned: by period, by day and line by line, and for each line why. An agent's page has the same parts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, F, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.timezone import localdate, localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from network.views.hours_form import day_from
from pickup import ledger
from pickup.models import Posting, Scan, Statement
from pickup.views.doors import Worker, at_counter, shown
from pickup.views.shelf import part_of

LONGEST_DAYS = 366
LINES = 100
CHART_DAYS = 62  # with more, the bars would be too thin to see
PERIODS: dict[str, Any] = {
    "today": gettext_lazy("Today"),
    "yesterday": gettext_lazy("Yesterday"),
    "week": gettext_lazy("This week"),
    "month": gettext_lazy("This month"),
}
PROOFS: dict[str, Any] = {
    "qr": gettext_lazy("the recipient's QR code"),
    "code": gettext_lazy("the eight digits, typed"),
    "manual": gettext_lazy("released without a proof, approved by the network"),
}


def periods_at(today: date) -> dict[str, tuple[date, date]]:
    """The first and last day of each period; a week begins on Monday."""
    return {
        "today": (today, today),
        "yesterday": (today - timedelta(days=1), today - timedelta(days=1)),
        "week": (today - timedelta(days=today.weekday()), today),
        "month": (today.replace(day=1), today),
    }


def chosen_days(request: HttpRequest, periods: dict[str, tuple[date, date]]) -> tuple[str, date, date, str]:
    """Return the name of the period, or "", its first and last day, and what is wrong with the days that were typed."""
    if "from" in request.GET or "to" in request.GET:
        first, last = (day_from(request.GET.get(name)) for name in ("from", "to"))
        if first is None or last is None:
            return "today", *periods["today"], _("Choose the first and the last day.")
        if first > last:
            return "today", *periods["today"], _("The first day comes before the last.")
        if (last - first).days >= LONGEST_DAYS:
            return "today", *periods["today"], _("At most one year at a time.")
        return next((name for name, days in periods.items() if days == (first, last)), ""), first, last, ""
    name = request.GET.get("period", "month")
    if name not in periods:
        raise Http404
    return name, *periods[name], ""


@at_counter(person=True)
@require_safe
def earnings(request: HttpRequest, worker: Worker) -> HttpResponse:
    point_id = worker.point.pk
    context = sums_of(
        request,
        worker.point,
        day_address=lambda day: reverse("earnings-day", args=[point_id, day.isoformat()]),
        statement_address=lambda row: reverse("statement", args=[point_id, row.pk]),
        csv_address=reverse("earnings-csv", args=[point_id]),
    )
    return shown(request, worker, "pickup/earnings.html", context, status=400 if context["error"] else 200)


def sums_of(
    request: HttpRequest,
    payee: ledger.Payee,
    *,
    day_address: Callable[[date], str],
    statement_address: Callable[[Statement], str],
    csv_address: str,
) -> dict[str, Any]:
    """What the template `earnings_sums.html` shows of the period that was asked for."""
    periods = periods_at(localdate())
    name, first, last, error = chosen_days(request, periods)
    sums = ledger.earned_in(payee, periods | {"chosen": (first, last)})
    days = ledger.earned_by_day(payee, first=first, last=last)
    return {
        "tiles": [(key, words, money(sums[key])) for key, words in PERIODS.items()],
        "period": name,
        "period_name": PERIODS.get(name, ""),
        "first": first,
        "last": last,
        "error": error,
        "total": money(sums["chosen"]),
        "days": [_day_row(row, day_address) for row in days],
        "charts": charts(days, first=first, last=last),
        "statements": [
            statement_shown(row) | {"address": statement_address(row)} for row in ledger.statements_of(payee)[:24]
        ],
        "csv": in_days(csv_address, first, last),
    }


def money(rows: list[ledger.Earned]) -> list[dict[str, Any]]:
    return [
        {
            "amount": ledger.written(row.amount_minor, row.currency),
            "currency": row.currency,
            "pickups": row.pickups,
            "taken_back": row.taken_back,
        }
        for row in rows
    ]


def _day_row(row: ledger.Earned, address: Callable[[date], str]) -> dict[str, Any]:
    assert row.day is not None, "asked for by day"
    [sum_] = money([row])
    return sum_ | {"day": row.day, "address": address(row.day)}


def in_days(address: str, first: date, last: date, **more: Any) -> str:
    return address + "?" + urlencode({"from": first, "to": last} | more)


def charts(days: list[ledger.Earned], *, first: date, last: date) -> list[dict[str, Any]]:
    """A bar for each day, one picture for each currency: the same numbers as the table, for the eye only.

    Coordinates are those of a picture 100 high and ten wide for each day. A day on which more was taken back than
    earned has no bar.
    """
    count = (last - first).days + 1
    if not 2 <= count <= CHART_DAYS:
        return []
    pictures = []
    for currency in sorted({row.currency for row in days}):
        amounts = {row.day: row.amount_minor for row in days if row.currency == currency}
        most = max(amounts.values())
        if most <= 0:
            continue
        bars = [
            {"x": number * 10 + 1, "y": 100 - height, "height": height}
            for number in range(count)
            if (height := round(100 * max(0, amounts.get(first + timedelta(days=number), 0)) / most)) > 0
        ]
        pictures.append(
            {"currency": currency, "bars": bars, "width": count * 10, "most": ledger.written(most, currency)}
        )
    return pictures


def statement_shown(row: Statement) -> dict[str, Any]:
    currency = row.settlement.currency
    return {
        "row": row,
        "period": row.settlement.period,
        "currency": currency,
        "closed_at": row.settlement.closed_at,
        "lines": row.line_count,  # type: ignore[attr-defined]
        "carried": ledger.written(row.carried_minor, currency) if row.carried_minor else "",
        "earned": ledger.written(row.total_minor - row.carried_minor, currency),
        "total": ledger.written(row.total_minor, currency),
        "owed_by_shop": row.total_minor < 0,
    }


@at_counter(person=True)
@require_safe
def earnings_day(request: HttpRequest, worker: Worker, day: str) -> HttpResponse:
    chosen = day_from(day)
    if chosen is None:
        raise Http404
    sums = ledger.earned_in(worker.point, {"day": (chosen, chosen)})
    rows = ledger.with_causes(ledger.between(ledger.earned_by(worker.point), first=chosen, last=chosen))
    part = part_of(request, rows.order_by("-id"), size=LINES)
    context = {
        "day": chosen,
        "total": money(sums["day"]),
        "part": part,
        "lines": [line_of(posting, _why(worker, posting)) for posting in part.rows],
        "before": chosen - timedelta(days=1),
        "after": chosen + timedelta(days=1) if chosen < localdate() else None,
        "csv": in_days(reverse("earnings-csv", args=[worker.point.pk]), chosen, chosen),
    }
    return shown(request, worker, "pickup/earnings_day.html", context)


def _why(worker: Worker, posting: Posting) -> str:
    return reverse("fee", args=[worker.point.pk, posting.pk])


def line_of(posting: Posting, why: str) -> dict[str, Any]:
    """A posting for the template `earnings_lines.html`; `why` is the address of the page that explains it, or ""."""
    signed: int = posting.signed_minor  # type: ignore[attr-defined]
    reversal = getattr(posting, "reversal", None)
    return {
        "posting": posting,
        "why": why,
        "region": posting.region.name if posting.region else "",
        "barcode": posting.handover.parcel.barcode if posting.handover else "",
        "amount": ledger.written(signed, posting.currency),
        "currency": posting.currency,
        "kind": posting.get_kind_display(),
        "minus": signed < 0,
        "reversed": reversal is not None,
        "statement": _period_of(posting),
    }


def _period_of(posting: Posting) -> str:
    line = getattr(posting, "line", None)
    return str(line.statement.settlement.period) if line else ""


@at_counter(person=True)
@require_safe
def fee(request: HttpRequest, worker: Worker, posting_id: int) -> HttpResponse:
    """Why this fee?"""
    why = ledger.why(worker.point, posting_id)
    if why is None:
        raise Http404
    posting = why.posting
    context = {
        "why": why,
        "posting": posting,
        "amount": ledger.written(why.amount_minor, posting.currency),
        "flat": ledger.written(posting.tariff.point_fee_minor, posting.tariff.currency) if posting.tariff else "",
        "steps": _steps(why),
        "proof": PROOFS.get(why.pickup.proof, why.pickup.proof) if why.pickup else "",
        "payable": posting.payable_at <= now(),
        "disputed": why.dispute is not None and not why.dispute.outcome,
        "day": localdate(posting.recorded_at),
    }
    return shown(request, worker, "pickup/fee.html", context)


def _steps(why: ledger.Why) -> list[dict[str, Any]]:
    """The scans that made the fee, and the one that undid it: when, and who stood at the counter."""
    named = [
        (_("Scanned in"), why.arrival),
        (_("Handed over to the recipient"), why.pickup),
        (_("Hand-over undone"), why.undo),
    ]
    return [{"name": name, "scan": scan, "who": _who(scan)} for name, scan in named if scan is not None]


def _who(scan: Scan) -> str:
    clerk = scan.clerk.name if scan.clerk else ""
    return f"{clerk} · {scan.device.name}" if clerk else scan.device.name


@at_counter(person=True)
@require_safe
def statement(request: HttpRequest, worker: Worker, statement_id: int) -> HttpResponse:
    row = get_object_or_404(ledger.statements_of(worker.point), pk=statement_id)
    part = part_of(request, statement_postings(row).order_by("id"), size=LINES)
    lines = [line_of(posting, _why(worker, posting)) for posting in part.rows]
    context = {"statement": statement_shown(row), "part": part, "lines": lines}
    return shown(request, worker, "pickup/earnings_statement.html", context)


def statement_postings(row: Statement) -> Any:
    signed = Case(When(credit=row.account_id, then=F("amount_minor")), default=-F("amount_minor"))
    return ledger.with_causes(Posting.objects.filter(line__statement=row).annotate(signed_minor=signed))


@at_counter(person=True)
@require_safe
def statement_csv(request: HttpRequest, worker: Worker, statement_id: int) -> HttpResponse:
    return statement_as_csv(get_object_or_404(ledger.statements_of(worker.point), pk=statement_id))


def statement_as_csv(row: Statement) -> HttpResponse:
    name = f"statement-{row.settlement.period}-{row.settlement.currency}.csv"
    extra = []
    if row.carried_minor:
        amount = ledger.plain(row.carried_minor, row.settlement.currency)
        extra = [["", "", "", _("carried over"), amount, row.settlement.currency, "", "", row.settlement.period, ""]]
    return csv_of(statement_postings(row).order_by("id"), name=name, extra=extra)


@at_counter(person=True)
@require_safe
def earnings_csv(request: HttpRequest, worker: Worker) -> HttpResponse:
    _name, first, last, error = chosen_days(request, periods_at(localdate()))
    if error:
        return HttpResponse(error, status=400, content_type="text/plain; charset=utf-8")
    rows = ledger.with_causes(ledger.between(ledger.earned_by(worker.point), first=first, last=last))
    return csv_of(rows.order_by("id"), name=f"earnings-{first}-{last}.csv")


def csv_of(postings: Iterable[Posting], *, name: str, extra: list[list[str]] | None = None) -> HttpResponse:
    """Write postings for a spreadsheet: with a byte order mark, or Excel would not read Chinese from UTF-8."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(
        [
            _("Day"), _("Time"), _("Barcode"), _("What for"), _("Amount"), _("Currency"), _("Posting"),
            _("Payable from"), _("Statement"), _("Region"),
        ]
    )  # fmt: skip
    writer.writerows(extra or [])
    for posting in postings:
        signed: int = posting.signed_minor  # type: ignore[attr-defined]
        at = localtime(posting.recorded_at)
        writer.writerow(
            [
                f"{at:%Y-%m-%d}",
                f"{at:%H:%M:%S}",
                no_formula(posting.handover.parcel.barcode if posting.handover else ""),
                no_formula(posting.get_kind_display() + (f": {posting.reason}" if posting.reason else "")),
                ledger.plain(signed, posting.currency),
                posting.currency,
                posting.pk,
                f"{localtime(posting.payable_at):%Y-%m-%d %H:%M}",
                _period_of(posting),
                no_formula(posting.region.name if posting.region else ""),
            ]
        )
    response = HttpResponse("\ufeff" + file.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def no_formula(text: str) -> str:
    """Keep a spreadsheet from reading a text as a formula; the merchant chose the barcode."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
