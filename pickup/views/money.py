"""Settlements and statements: all of them for admins, the own ones for payees, with every line's why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from network import exports
from network.clock import now
from network.models import User
from network.tables import Cell, Column
from pickup import ledger, seals, statement_pdf, statements
from pickup.models import LineCase, SealBlock, Settlement, Statement
from pickup.views.earnings import LINES, line_columns, lines_of, number_of
from pickup.views.money_doors import for_money, shown
from pickup.views.shelf import part_of

PER_PAGE = 50


@for_money()
def money_page(request: HttpRequest, user: User) -> HttpResponse:
    """An admin sees the closed months and whether the books agree; a payee the own statements."""
    own = statements.visible_to(user).filter(account__in=statements.accounts_of(user))
    context: dict[str, Any] = {"own": rows_of(own.order_by("-settlement__period", "account_id")[:60])}
    if statements.is_admin(user):
        closed = Settlement.objects.order_by("-period", "currency")[:60]
        context["settlements"] = [settlement_shown(one) for one in with_sums(closed)]
        context["match"] = statements.match()
        context["newest"] = SealBlock.objects.order_by("-number").first()
        context["head"] = bytes(context["newest"].head).hex() if context["newest"] else ""
        context["unsealed"] = sum(seals.waiting().values())
        context["export"] = {"name": "money-settlements", "query": ""}
    return shown(request, user, "pickup/money.html", context)


def with_sums(rows: QuerySet[Settlement]) -> QuerySet[Settlement]:
    return rows.annotate(
        payees=Count("statements"),
        owed=Sum("statements__total_minor", filter=Q(statements__total_minor__gt=0), default=0),
        debts=Sum("statements__total_minor", filter=Q(statements__total_minor__lt=0), default=0),
    )


def settlement_shown(row: Any) -> dict[str, Any]:
    return {
        "row": row,
        "payees": row.payees,
        "owed": ledger.written(row.owed, row.currency),
        "debts": ledger.written(row.debts, row.currency) if row.debts else "",
    }


def rows_of(rows: QuerySet[Statement]) -> list[dict[str, Any]]:
    paid = {}
    listed = list(rows.prefetch_related("payouts"))
    for row in listed:
        live = [payout for payout in row.payouts.all() if payout.state != "cancelled"]
        paid[row.pk] = live[-1].get_state_display() if live else ""
    return [
        {
            "row": row,
            "payee": statements.name_of(row.account),
            "period": row.settlement.period,
            "currency": row.settlement.currency,
            "total": ledger.written(row.total_minor, row.settlement.currency),
            "minus": row.total_minor < 0,
            "payout": paid[row.pk],
        }
        for row in listed
    ]


@for_money(admin=True)
def settlement_page(request: HttpRequest, user: User, settlement_id: int) -> HttpResponse:
    row = get_object_or_404(with_sums(Settlement.objects.all()), pk=settlement_id)
    listed = statements.visible_to(user).filter(settlement=row).order_by("-total_minor", "id")
    page = Paginator(listed, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "settlement": settlement_shown(row),
        "match": statements.match(row),
        "page": page,
        "rows": rows_of(page.object_list),  # type: ignore[arg-type]
        "export": {"name": "money-statements", "query": f"settlement={row.pk}"},
    }
    return shown(request, user, "pickup/money_settlement.html", context)


@for_money()
def statement_page(request: HttpRequest, user: User, statement_id: int) -> HttpResponse:
    row = get_object_or_404(statements.visible_to(user), pk=statement_id)
    part = part_of(request, ledger.with_causes(statements.postings(row)).order_by("id"), size=LINES)
    sums = statements.sums(row)
    currency = row.settlement.currency
    cases = dict(LineCase.objects.filter(line__statement=row).values_list("line_id", "outcome"))
    context = {
        "statement": row,
        "payee": statements.name_of(row.account),
        "currency": currency,
        "summary": [
            (name, ledger.written(amount, currency), amount < 0) for name, amount in statement_pdf.account_of(row, sums)
        ],
        "notes": statement_pdf.notes(row),
        "count": sums.lines,
        "part": part,
        "lines": [line_shown(posting, cases) for posting in part.rows],
        "export": {"name": "money-statement", "query": f"statement={row.pk}"},
    }
    return shown(request, user, "pickup/money_statement.html", context)


def line_shown(posting: Any, cases: dict[int, str]) -> dict[str, Any]:
    barcode = posting.handover.parcel.barcode if posting.handover else ""
    return {
        "posting": posting,
        "barcode": barcode,
        "what": statement_pdf.what_for(posting),
        "amount": ledger.written(posting.signed_minor, posting.currency),
        "minus": posting.signed_minor < 0,
        "reversed": getattr(posting, "reversal", None) is not None,
        "why": reverse("why", args=[barcode]) if barcode else "",
        "case": None if posting.pk not in cases else cases[posting.pk] or "open",
    }


@for_money()
def statement_file(request: HttpRequest, user: User, statement_id: int) -> HttpResponse:
    """The statement as a PDF, in the language of the page."""
    row = get_object_or_404(statements.visible_to(user), pk=statement_id)
    response = HttpResponse(statement_pdf.pdf(row, now=now()), content_type="application/pdf")
    name = f"statement-{row.settlement.period}-{row.pk}.pdf"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


# ---------------------------------------------------------------- spreadsheets


@exports.listing("money-statement", gettext_lazy("Statement"))
def statement_list(user: User, filters: exports.Filters) -> exports.Sheet:
    """One statement: opening balance and carry-over, every line, the total."""
    row = statements.visible_to(user).filter(pk=number_of(filters, "statement")).first()
    if row is None:
        raise exports.NotYours
    count = row.lines.count()
    return exports.Sheet(line_columns(), _statement_rows(row), count + 3)


def _statement_rows(row: Statement) -> Iterator[list[Cell]]:
    currency, period = row.settlement.currency, row.settlement.period

    def told(words: str, amount_minor: int) -> list[Cell]:
        return [None, "", words, ledger.exact(amount_minor, currency), currency, None, None, period, ""]

    yield told(_("Opening balance"), row.opening_minor)
    yield told(_("Carried over from before"), row.carried_minor)
    yield from lines_of(statements.postings(row))
    yield told(_("Total of this statement"), row.total_minor)


@exports.listing("money-statements", gettext_lazy("Statements"))
def statements_list(user: User, filters: exports.Filters) -> exports.Sheet:
    """The statements of a settlement, for admins."""
    if not statements.is_admin(user):
        raise exports.NotYours
    rows = statements.visible_to(user).filter(settlement=number_of(filters, "settlement"))
    return exports.Sheet(statement_columns(), _statements_rows(rows), rows.count())


def statement_columns() -> list[Column]:
    titles = (
        *(_("Statement"), _("Period"), _("Payee"), _("Kind"), _("Opening balance"), _("Carried over")),
        *(_("Total"), _("Currency"), _("Payout")),
    )
    return [Column(title) for title in titles]


def _statements_rows(rows: QuerySet[Statement]) -> Iterator[list[Cell]]:
    for row in exports.in_parts(rows.prefetch_related("payouts"), key="id"):
        currency = row.settlement.currency
        live = [payout for payout in row.payouts.all() if payout.state != "cancelled"]
        yield [
            row.pk,
            row.settlement.period,
            statements.name_of(row.account),
            str(row.account.get_kind_display()),
            *(ledger.exact(amount, currency) for amount in (row.opening_minor, row.carried_minor, row.total_minor)),
            currency,
            str(live[-1].get_state_display()) if live else "",
        ]


@exports.listing("money-settlements", gettext_lazy("Settlements"))
def settlements_list(user: User, filters: exports.Filters) -> exports.Sheet:
    if not statements.is_admin(user):
        raise exports.NotYours
    rows = with_sums(Settlement.objects.all())
    titles = (_("Period"), _("Currency"), _("Closed"), _("Payees"), _("Owed"), _("Carried over"))
    columns = [Column(title, moment=title == _("Closed")) for title in titles]
    return exports.Sheet(columns, _settlement_rows(rows), rows.count())


def _settlement_rows(rows: QuerySet[Settlement]) -> Iterator[list[Cell]]:
    for row in rows.order_by("-period"):
        told: Any = row
        amounts = [ledger.exact(amount, row.currency) for amount in (told.owed, told.debts)]
        yield [row.period, row.currency, localtime(row.closed_at), told.payees, *amounts]
