"""One line of a statement: what made it, and the thread where its payee objects and the network answers."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from network import history
from network.clock import now
from network.models import User
from pickup import cases, ledger, statement_pdf, statements
from pickup.cases import Refusal
from pickup.models import LineCase, StatementLine
from pickup.views.money_doors import for_money, shown

DECIDES = "pickup.change_linecase"
PER_PAGE = 50
REFUSED: dict[str, Any] = {
    Refusal.NO_TEXT: _("Write what it is about."),
    Refusal.NOT_YOURS: _("Only the payee can object to a line."),
    Refusal.DECIDED: _("This case is over."),
    Refusal.SAME_PERSON: _("Somebody else must decide about your own objection."),
    Refusal.OWN_ACCOUNT: _("Somebody else must decide about your own money."),
    Refusal.NOT_A_FEE: _("Only a fee can be given back; for anything else make a correction."),
    Refusal.REVERSED: _("This fee was given back already."),
}


class WordsForm(forms.Form):
    text = forms.CharField(
        label=_("Your words"), max_length=cases.TEXT_LETTERS, widget=forms.Textarea(attrs={"rows": 4})
    )


@for_money(posts=True)
def line_page(request: HttpRequest, user: User, posting_id: int) -> HttpResponse:
    line = get_object_or_404(
        StatementLine.objects.select_related(
            "statement__settlement",
            "posting__handover__parcel",
            "posting__region",
            "posting__tariff",
            "case__decided_by",
        ),
        pk=posting_id,
        statement__in=statements.visible_to(user),
    )
    case: LineCase | None = getattr(line, "case", None)
    is_payee = statements.owned_by(user).filter(pk=line.statement.account_id).exists()
    may_decide = statements.is_admin(user) and user.has_perm(DECIDES)
    if request.method == "POST":
        if act(request, user, line, case, may_decide=may_decide, is_payee=is_payee):
            return redirect("money-line", posting_id)
        case = LineCase.objects.filter(line=line).first()
    posting = line.posting
    currency = line.statement.settlement.currency
    context = {
        "line": line,
        "posting": posting,
        "payee": statements.name_of(line.statement.account),
        "what": statement_pdf.what_for(posting),
        "amount": ledger.written(line.amount_minor, currency),
        "currency": currency,
        "barcode": posting.handover.parcel.barcode if posting.handover else "",
        "reversal": getattr(posting, "reversal", None),
        "case": case,
        "notes": case.notes.select_related("author").order_by("id") if case else [],
        "may_open": is_payee and case is None,
        "may_say": case is not None and not case.outcome and (is_payee or may_decide),
        "may_decide": case is not None and not case.outcome and may_decide,
        "is_fee": posting.kind in ledger.FEES,
        "form": WordsForm(),
        "adjust": reverse("money-adjustments") + f"?account={line.statement.account_id}",
    }
    return shown(request, user, "pickup/money_line.html", context)


def act(
    request: HttpRequest,
    user: User,
    line: StatementLine,
    case: LineCase | None,
    *,
    may_decide: bool,
    is_payee: bool,
) -> bool:
    """Do what the button says; the refusal is told in words."""
    action, text = request.POST.get("action", ""), request.POST.get("text", "")
    try:
        if action in LineCase.Outcome.values and case is not None:
            if not may_decide:
                raise PermissionDenied
            history.because(text)
            cases.decide(case=case, outcome=LineCase.Outcome(action), reason=text, by=user, now=now())
        elif action == "open" and is_payee:
            cases.open_case(line=line, text=text, by=user)
        elif action == "say" and case is not None and (is_payee or may_decide):
            cases.say(case=case, text=text, by=user)
        else:
            raise Http404
    except cases.Refused as refused:
        messages.error(request, REFUSED[refused.refusal])
        return False
    messages.success(request, _("Written down."))
    return True


@for_money("pickup.view_linecase", admin=True)
def case_list(request: HttpRequest, user: User) -> HttpResponse:
    """The open cases first, the oldest of them on top."""
    rows = LineCase.objects.select_related(
        "line__posting__handover__parcel", "line__statement__settlement", "line__statement__account__service_point"
    ).select_related("line__statement__account__agent", "opened_by")
    page = Paginator(rows.order_by("outcome", "id"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "open": LineCase.objects.filter(outcome="").count(),
        "rows": [(case, statements.name_of(case.line.statement.account)) for case in page],
        "export": {"name": "admin:pickup.linecase", "query": ""},
    }
    return shown(request, user, "pickup/money_cases.html", context)
