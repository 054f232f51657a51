"""Payouts: draft a run, approve it, take its file to the bank or have it sent, and read back what the bank says."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _

from network import exports
from network.clock import now
from network.models import User
from network.tables import Column
from pickup import bank_door, bank_files, fees, ledger, payouts, statements, tasks
from pickup.models import BankFile, BankTemplate, Payout, PayoutBatch, Statement, Tariff
from pickup.payouts import Refusal
from pickup.views.earnings import number_of
from pickup.views.money_doors import for_money, shown

VIEW, ADD, CHANGE = "pickup.view_payoutbatch", "pickup.add_payoutbatch", "pickup.change_payoutbatch"
PER_PAGE = 50
REFUSED: dict[str, Any] = {
    Refusal.NOTHING_TO_PAY: _("There is nothing that may be paid now."),
    Refusal.BAD_TEMPLATE: _("The bank's template does not work: %(detail)s"),
    Refusal.NO_DOOR: _("No address of a bank is set (PICKUP_BANK)."),
    Refusal.DECIDED: _("Decided already."),
    Refusal.SAME_PERSON: _("A second person must do that: you made this run."),
    Refusal.OWN_MONEY: _("Somebody else must do that: you are paid by it."),
    Refusal.NOT_APPROVED: _("A second person has to approve it first."),
    Refusal.WRONG_STATE: _("This payout has moved on meanwhile: %(detail)s"),
    Refusal.NO_NOTE: _("Say what the bank said."),
}
HELD: dict[str, Any] = {
    "no_bank_details": _("no bank account is approved"),
    "new_bank_details": _("the bank account is new: 72 hours"),
    "frozen": _("two recipients within 30 days say that they collected nothing"),
}


class DraftForm(forms.Form):
    template = forms.ModelChoiceField(
        label=_("Bank template"), queryset=BankTemplate.objects.order_by("name"), empty_label=None
    )
    channel = forms.ChoiceField(label=_("Way to the bank"), choices=PayoutBatch.Channel.choices)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        if not bank_door.is_set():
            self.fields["channel"].choices = PayoutBatch.Channel.choices[:1]  # type: ignore[attr-defined]


class ResultsForm(forms.Form):
    file = forms.FileField(label=_("Result file of the bank: CSV or pain.002"))


def currency_now() -> str:
    try:
        return fees.tariff_at(now()).currency
    except fees.NoTariff:
        return str(Tariff._meta.get_field("currency").default)


@for_money(VIEW, admin=True, posts=True)
def payouts_page(request: HttpRequest, user: User) -> HttpResponse:
    form, results, reading = DraftForm(), ResultsForm(), None
    if request.method == "POST":
        if not user.has_perm(ADD if request.POST.get("action") == "draft" else CHANGE):
            raise PermissionDenied
        if request.POST.get("action") == "draft":
            form = DraftForm(request.POST)
            batch = drafted(request, user, form) if form.is_valid() else None
            if batch is not None:
                return redirect("money-payout", batch.pk)
        else:
            results = ResultsForm(request.POST, request.FILES)
            reading = read(user, results) if results.is_valid() else None
    currency = currency_now()
    due, held = payouts.owed(currency=currency, now=now())
    names = names_of([one.statement_id for one in held])
    rows = PayoutBatch.objects.annotate(count=Count("payouts"), sum_minor=Sum("payouts__amount_minor", default=0))
    page = Paginator(rows.select_related("made_by", "decided_by").order_by("-id"), PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "form": form,
        "results": results,
        "reading": reading,
        "due": len(due),
        "due_sum": statements.written(sum(one.amount_minor for one in due), currency),
        "held": [
            (names[one.statement_id], statements.written(one.amount_minor, currency), HELD.get(one.why, one.why))
            for one in held[:PER_PAGE]
        ],
        "held_count": len(held),
        "asks": Payout.objects.filter(state=Payout.State.NEEDS_CHECK).select_related("batch").order_by("id")[:PER_PAGE],
        "page": page,
        "rows": [(batch, statements.written(sum_of(batch), batch.currency)) for batch in page],
        "may_add": user.has_perm(ADD),
        "may_change": user.has_perm(CHANGE),
    }
    return shown(request, user, "pickup/money_payouts.html", context)


def sum_of(batch: Any) -> int:
    return int(batch.sum_minor)


def names_of(statement_ids: list[int]) -> dict[int, str]:
    rows = Statement.objects.filter(pk__in=statement_ids)
    return {
        row.pk: f"{row.settlement.period} · {statements.name_of(row.account)}"
        for row in rows.select_related("settlement", "account__service_point", "account__agent")
    }


def told(request: HttpRequest, refused: payouts.Refused) -> None:
    messages.error(request, REFUSED[refused.refusal] % {"detail": refused.detail})


def drafted(request: HttpRequest, user: User, form: DraftForm) -> PayoutBatch | None:
    try:
        return payouts.draft(
            currency=currency_now(),
            template=form.cleaned_data["template"],
            channel=PayoutBatch.Channel(form.cleaned_data["channel"]),
            by=user,
            now=now(),
        )
    except payouts.Refused as refused:
        told(request, refused)
        return None


def read(user: User, form: ResultsForm) -> payouts.Reading | None:
    file = form.cleaned_data["file"]
    try:
        return payouts.read_results(file, name=file.name, by=user)
    except bank_files.Unreadable as error:
        form.add_error("file", _("This is no result file: %(why)s") % {"why": str(error)})
        return None


@for_money(VIEW, admin=True, posts=True)
def payout_page(request: HttpRequest, user: User, batch_id: int) -> HttpResponse:
    batch = get_object_or_404(PayoutBatch.objects.select_related("template", "made_by", "decided_by"), pk=batch_id)
    if request.method == "POST":
        if not user.has_perm(CHANGE):
            raise PermissionDenied
        try:
            act(request, user, batch)
        except payouts.Refused as refused:
            told(request, refused)
        else:
            messages.success(request, _("Done."))
        return redirect("money-payout", batch.pk)
    rows = batch.payouts.select_related(
        "account__service_point", "account__agent", "details", "statement__settlement"
    ).prefetch_related("steps__by")
    page = Paginator(rows.order_by("id"), PER_PAGE).get_page(request.GET.get("page"))
    states = list(
        batch.payouts.values("state").annotate(count=Count("id"), total=Sum("amount_minor")).order_by("state")
    )
    kinds = dict(Payout.State.choices)
    file = BankFile.objects.filter(batch=batch).defer("box").first()
    context = {
        "batch": batch,
        "file": file,
        "sha256": bytes(file.sha256).hex() if file else "",
        "states": [
            (kinds[row["state"]], row["state"], row["count"], statements.written(row["total"], batch.currency))
            for row in states
        ],
        "total": statements.written(sum(row["total"] for row in states if row["state"] != "cancelled"), batch.currency),
        "page": page,
        "rows": [payout_shown(payout) for payout in page],
        "may_decide": user.has_perm(CHANGE) and not batch.decision,
        "is_maker": batch.made_by_id == user.pk,
        "may_file": user.has_perm(CHANGE) and batch.decision == "approved" and batch.channel == "file",
        "may_change": user.has_perm(CHANGE),
        "export": {"name": "money-payout", "query": f"batch={batch.pk}"},
    }
    return shown(request, user, "pickup/money_payout.html", context)


def payout_shown(payout: Payout) -> dict[str, Any]:
    return {
        "row": payout,
        "payee": statements.name_of(payout.account),
        "amount": ledger.written(payout.amount_minor, payout.currency),
        "steps": sorted(payout.steps.all(), key=lambda step: step.pk),
        "asks": payout.state in ("sending", "needs_check"),
        "may_return": payout.state == "sent",
    }


def act(request: HttpRequest, user: User, batch: PayoutBatch) -> None:
    """Raises payouts.Refused."""
    action = request.POST.get("action", "")
    if action == "approve":
        payouts.approve(batch=batch, by=user, now=now())
        tasks.ring(tasks.check_payouts)
    elif action == "reject":
        payouts.reject(batch=batch, by=user, now=now())
    elif action == "file" and batch.channel == PayoutBatch.Channel.FILE:
        payouts.make_file(batch=batch, by=user, now=now())
    elif action in (Payout.State.SENT, Payout.State.FAILED):
        number = request.POST.get("payout", "")
        payout = get_object_or_404(batch.payouts, pk=int(number) if number.isascii() and number.isdigit() else 0)
        payouts.settle(payout=payout, to=Payout.State(action), note=request.POST.get("note", ""), by=user)
    else:
        raise Http404


@for_money(VIEW, CHANGE, admin=True)
def payout_file(request: HttpRequest, user: User, batch_id: int) -> HttpResponse:
    """The file for the bank, the same bytes each time; whoever takes it sees whole account numbers."""
    file = get_object_or_404(BankFile.objects.select_related("batch__template"), batch=batch_id)
    form = BankTemplate.Form(file.batch.template.form)
    response = HttpResponse(payouts.content_of(file), content_type=bank_files.CONTENT_TYPES[form])
    response["Content-Disposition"] = f'attachment; filename="{file.name}.{bank_files.ENDINGS[form]}"'
    return response


@exports.listing("money-payout", _("Payouts"))
def payout_list(user: User, filters: exports.Filters) -> exports.Sheet:
    """The payouts of a run, without whole account numbers."""
    if not (statements.is_admin(user) and user.has_perm(VIEW)):
        raise exports.NotYours
    rows = Payout.objects.filter(batch=number_of(filters, "batch")).select_related(
        "account__service_point", "account__agent", "details", "statement__settlement"
    )
    titles = (_("Payout"), _("Payee"), _("Period"), _("Amount"), _("Currency"), _("Bank account"), _("State"))
    columns = [Column(str(title)) for title in titles]
    cells = (
        [
            row.end_to_end_id,
            statements.name_of(row.account),
            row.statement.settlement.period,
            ledger.exact(row.amount_minor, row.currency),
            row.currency,
            row.details.shown,
            str(row.get_state_display()),
        ]
        for row in exports.in_parts(rows, key="id")
    )
    return exports.Sheet(columns, cells, rows.count())
