"""Corrections in a payee's favour: one person proposes them with a reason, another decides."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _

from network import history
from network.clock import now
from network.models import Agent, ServicePoint, User
from pickup import adjustments, ledger, statements
from pickup.adjustments import Refusal
from pickup.models import Account, Adjustment, Decision
from pickup.views.earnings import number_of
from pickup.views.money_doors import for_money, shown
from pickup.views.money_payouts import currency_now
from pickup.views.tariffs import MoneyField

ADD, CHANGE = "pickup.add_adjustment", "pickup.change_adjustment"
PER_PAGE = 50
REFUSED: dict[str, Any] = {
    Refusal.AMOUNT: _("The amount is not positive, or too large."),
    Refusal.NO_REASON: _("Say why."),
    Refusal.DECIDED: _("Decided already."),
    Refusal.SAME_PERSON: _("Somebody else must decide about a correction that you proposed."),
    Refusal.OWN_ACCOUNT: _("Somebody else must decide about your own money."),
}


class PayeeField(forms.CharField):
    """A shop or an agent by its reference."""

    def clean(self, value: Any) -> ServicePoint | Agent:
        ref = str(super().clean(value)).strip()
        payee = ServicePoint.objects.filter(ref=ref).first() or Agent.objects.filter(ref=ref).first()
        if payee is None:
            raise forms.ValidationError(_("No service point and no agent has this reference."))
        return payee


class AdjustmentForm(forms.Form):
    payee = PayeeField(label=_("Reference of the service point or agent"), max_length=64)
    reason = forms.CharField(label=_("Reason"), max_length=adjustments.REASON_LETTERS)

    def __init__(self, data: Any = None, *, currency: str, initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        self.fields["amount"] = MoneyField(label=_("Amount"), currency=currency)
        self.order_fields(["payee", "amount", "reason"])


@for_money("pickup.view_adjustment", admin=True, posts=True)
def adjustments_page(request: HttpRequest, user: User) -> HttpResponse:
    currency = currency_now()
    account = Account.objects.filter(pk=number_of(request.GET.dict(), "account"), kind__in=["point", "agent"]).first()
    initial = {"payee": statements.payee_of(account).ref} if account else None
    form = AdjustmentForm(currency=currency, initial=initial)
    if request.method == "POST" and request.POST.get("action") in Decision.values:
        decide(request, user)
        return redirect("money-adjustments")
    if request.method == "POST":
        if not user.has_perm(ADD):
            raise PermissionDenied
        form = AdjustmentForm(request.POST, currency=currency)
        if form.is_valid() and proposed(request, user, form, currency):
            return redirect("money-adjustments")
    rows = Adjustment.objects.select_related("account__service_point", "account__agent", "made_by", "decided_by")
    page = Paginator(rows.order_by("decision", "-id"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "currency": currency,
        "page": page,
        "rows": [
            (row, statements.name_of(row.account), statements.written(row.amount_minor, row.account.currency))
            for row in page
        ],
        "may_add": user.has_perm(ADD),
        "may_change": user.has_perm(CHANGE),
        "export": {"name": "admin:pickup.adjustment", "query": ""},
    }
    return shown(request, user, "pickup/money_adjustments.html", context, status=400 if form.errors else 200)


def proposed(request: HttpRequest, user: User, form: AdjustmentForm, currency: str) -> bool:
    payee = form.cleaned_data["payee"]
    kind = Account.Kind.POINT if isinstance(payee, ServicePoint) else Account.Kind.AGENT
    history.because(form.cleaned_data["reason"])
    try:
        adjustments.propose(
            account=ledger.account_of(kind, currency=currency, owner_id=payee.pk),
            amount_minor=form.cleaned_data["amount"],
            reason=form.cleaned_data["reason"],
            by=user,
        )
    except adjustments.Refused as refused:
        form.add_error("amount" if refused.refusal == Refusal.AMOUNT else "reason", REFUSED[refused.refusal])
        return False
    messages.success(request, _("Proposed. It is posted when a second person approves it."))
    return True


def decide(request: HttpRequest, user: User) -> None:
    if not user.has_perm(CHANGE):
        raise PermissionDenied
    row = get_object_or_404(Adjustment, pk=number_of(request.POST.dict(), "adjustment"))
    if request.POST["action"] not in Decision.values:
        raise Http404
    try:
        adjustments.decide(adjustment=row, decision=Decision(request.POST["action"]), by=user, now=now())
    except adjustments.Refused as refused:
        messages.error(request, REFUSED[refused.refusal])
    else:
        messages.success(request, _("Decided."))
