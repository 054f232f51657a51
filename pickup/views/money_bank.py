"""Bank accounts of payees: proposed by one person, approved by another, in use 72 hours later."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _

from network import history
from network.clock import now
from network.models import User
from pickup import bank_details, statements
from pickup.bank_details import Refusal
from pickup.models import Account, BankDetails, Decision
from pickup.views.money_doors import for_money, shown

CHANGES = "pickup.change_bankdetails"
REFUSED: dict[str, Any] = {
    Refusal.HOLDER: _("Write the holder's name as the bank knows it."),
    Refusal.NUMBER: _("This is no account number: 5 to 34 letters and digits; an IBAN must be right."),
    Refusal.BANK: _("Write the bank's name."),
    Refusal.CODE: _("A BIC, a clearing number of 12 digits, or nothing."),
    Refusal.WAITS: _("Another change of this account waits for a decision."),
    Refusal.DECIDED: _("Decided already."),
    Refusal.SAME_PERSON: _("Somebody else must decide about a change that you proposed."),
    Refusal.OWN_ACCOUNT: _("Somebody else must decide about your own account."),
    Refusal.NO_REASON: _("Say why."),
}
ROWS = 100


class DetailsForm(forms.Form):
    holder = forms.CharField(label=_("Account holder"), max_length=bank_details.NAME_LETTERS)
    number = forms.CharField(label=_("Account number or IBAN"), max_length=50)
    bank = forms.CharField(label=_("Bank"), max_length=bank_details.BANK_LETTERS)
    code = forms.CharField(label=_("BIC or clearing number"), max_length=20, required=False)


@for_money()
def bank_page(request: HttpRequest, user: User) -> HttpResponse:
    """A payee's own accounts; for an admin the changes that wait, and the newest decisions."""
    own = statements.owned_by(user).select_related("service_point", "agent")
    context: dict[str, Any] = {"own": [account_shown(account) for account in own]}
    if statements.is_admin(user) and user.has_perm("pickup.view_bankdetails"):
        rows = BankDetails.objects.select_related("account__service_point", "account__agent", "made_by", "decided_by")
        context["waiting"] = [proposal_shown(row) for row in rows.filter(decision="").order_by("id")[:ROWS]]
        context["decided"] = [proposal_shown(row) for row in rows.exclude(decision="").order_by("-id")[:ROWS]]
    return shown(request, user, "pickup/money_bank.html", context)


def account_shown(account: Account) -> dict[str, Any]:
    used = bank_details.newest(account)
    return {
        "account": account,
        "payee": statements.name_of(account),
        "used": used,
        "usable_from": bank_details.usable_from(used) if used else None,
        "proposal": BankDetails.objects.filter(account=account, decision="").first(),
    }


def proposal_shown(row: BankDetails) -> dict[str, Any]:
    return {"row": row, "payee": statements.name_of(row.account), "usable_from": bank_details.usable_from(row)}


@for_money(posts=True)
def account_page(request: HttpRequest, user: User, account_id: int) -> HttpResponse:
    """Propose other details for an account: its payee, or an admin who may."""
    account = get_object_or_404(
        Account.objects.select_related("service_point", "agent").filter(kind__in=["point", "agent"]), pk=account_id
    )
    is_own = statements.owned_by(user).filter(pk=account.pk).exists()
    if not is_own and not (statements.is_admin(user) and user.has_perm(CHANGES)):
        raise Http404
    form = DetailsForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            bank_details.propose(account=account, details=bank_details.Details(**form.cleaned_data), by=user)
        except bank_details.Refused as refused:
            field = refused.refusal.value if refused.refusal.value in form.fields else None
            form.add_error(field, REFUSED[refused.refusal])
        else:
            messages.success(request, _("Proposed. A second person looks at it; it is used 72 hours after that."))
            return redirect("money-bank")
    status = 400 if form.is_bound else 200
    return shown(request, user, "pickup/money_account.html", account_shown(account) | {"form": form}, status=status)


@for_money("pickup.view_bankdetails", admin=True, posts=True)
def proposal_page(request: HttpRequest, user: User, details_id: int) -> HttpResponse:
    """What is proposed, in full for whoever decides about it."""
    row = get_object_or_404(
        BankDetails.objects.select_related("account__service_point", "account__agent", "made_by", "decided_by"),
        pk=details_id,
    )
    if request.method == "POST":
        if not user.has_perm(CHANGES):
            raise PermissionDenied
        decision = request.POST.get("decision", "")
        if decision not in Decision.values:
            raise Http404
        history.because(request.POST.get("reason", ""))
        try:
            bank_details.decide(
                proposal=row, decision=Decision(decision), by=user, reason=request.POST.get("reason", ""), now=now()
            )
        except bank_details.Refused as refused:
            messages.error(request, REFUSED[refused.refusal])
        else:
            messages.success(request, _("Decided."))
            return redirect("money-bank")
    may_decide = user.has_perm(CHANGES) and not row.decision
    context = proposal_shown(row) | {
        "before": bank_details.newest(row.account) if not row.decision else None,
        "details": bank_details.read(row) if may_decide else None,
        "may_decide": may_decide,
    }
    return shown(request, user, "pickup/money_proposal.html", context)
