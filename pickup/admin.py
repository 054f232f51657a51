"""The administration of orders, parcels and money. History is shown and never edited; parcels move by the domain."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from network import history
from network.admin import (
    REFUSALS,
    ChangedOnlyAdmin,
    LastingAdmin,
    ReadOnlyAdmin,
    RevocableAdmin,
    may_change,
    region_names,
)
from network.clock import now
from network.models import ServicePoint, User
from network.tables import Cell, Column
from pickup import bank_files, disputes, ledger, personal, recipients, releases
from pickup.models import (
    Account,
    Adjustment,
    Arrival,
    Assignment,
    BankDetails,
    BankFile,
    BankTemplate,
    Batch,
    CaseNote,
    Delegation,
    Dispute,
    Handover,
    Hold,
    ImpactPreview,
    JobRun,
    LineCase,
    ManualRelease,
    Merchant,
    MerchantKey,
    MessageDay,
    Notice,
    Order,
    PageOpening,
    Parcel,
    Payout,
    PayoutBatch,
    PayoutStep,
    PersonalDataRead,
    PickupCode,
    PickupQuestion,
    Posting,
    Recipient,
    ReviewDecision,
    ReviewDesk,
    Scan,
    ScoredDay,
    SealBlock,
    SealedRow,
    Settlement,
    Statement,
    StatementLine,
    StockCount,
    StockCountLine,
    Tariff,
    WrongCodeDay,
)
from pickup.review import REASONS
from pickup.why import LOST_BY

REFUSALS |= {
    "has paid fees": _("This tariff has paid fees: its amounts and beginning are frozen. Add a new one from a date."),
    "begin in the past": _("A tariff cannot begin in the past: pickups were paid by another one since then."),
    "tariff_amounts_not_negative": _("Amounts are not negative."),
    "tariff_ceilings_grow_with_the_region": _("The ceiling of a larger region is not below that of a smaller one."),
    "tariff_hold_days": _("Storage is between 1 and 60 days."),
    "tariff_payable_after": _("Fees become payable after 0 to 2,160 hours."),
    "tariff_currency": _("A currency has three capital letters, like CNY."),
    "merchant_hold_days": _("Storage is between 1 and 60 days."),
}

NOT_DECIDED = {
    "decided_already": _("Decided already: %(parcel)s"),
    "own_release": _("Somebody else must decide about your own release: %(parcel)s"),
    "contested": _("The recipient says that they did not collect it: %(parcel)s"),
    "undone": _("Undone by the shop, there is nothing to pay: %(parcel)s"),
}
FIELDS = {"name": _("name"), "phone": _("phone"), "address": _("address"), "photo": _("photo")}


def candidates_shown(candidates: list[Any]) -> str:
    """Why this shop: each candidate with its metres and what it lost by."""
    names = {point.pk: str(point) for point in ServicePoint.objects.filter(pk__in=[row[0] for row in candidates])}
    rows = [(names.get(pk, "?"), f"{metres:,.0f} m", LOST_BY.get(reason, reason)) for pk, metres, reason in candidates]
    return format_html("<ol>{}</ol>", format_html_join("", "<li>{} · {} · {}</li>", rows)) if rows else "–"


def amount(field: str, title: Any, currency: Callable[[Any], str]) -> Any:
    """A column with an amount as people write it."""

    @admin.display(description=title, ordering=field)
    def column(model_admin: Any, row: Any) -> str:
        return f"{ledger.written(getattr(row, field), currency(row))} {currency(row)}"

    def cells(title: str) -> list[tuple[Column, Callable[[Any], Cell]]]:
        """In a file the amount is a number, exact, and its currency stands beside it."""
        return [
            (Column(title), lambda row: Decimal(ledger.plain(getattr(row, field), currency(row)))),
            (Column(str(_("currency"))), currency),
        ]

    column.cells = cells  # type: ignore[attr-defined]
    return column


def why_link(parcel: Parcel) -> str:
    return format_html('<a href="{}">{}</a>', reverse("why", args=[parcel.barcode]), _("Why this shop, why this fee"))


def owner(account: Account) -> str:
    payee = account.service_point or account.agent
    return f"{account.get_kind_display()} {payee}" if payee else str(account.get_kind_display())


@admin.register(Merchant)
class MerchantAdmin(LastingAdmin):
    needs_reason = True
    list_display = ["name", "review_first", "consent_required", "hold_days"]
    search_fields = ["name"]
    ordering = ["name"]


@admin.register(MerchantKey)
class MerchantKeyAdmin(RevocableAdmin):
    list_display = ["merchant", "created_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["merchant"]
    search_fields = ["merchant__name"]
    ordering = ["-id"]


class ReasonFilter(admin.SimpleListFilter):
    title = _("reason for review")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(REASONS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        return queryset.filter(review_reason=self.value()) if self.value() else queryset


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ["reference", "merchant", "status", "reason", "placed_at"]
    list_filter = ["status", ReasonFilter, "merchant"]
    list_select_related = ["merchant"]
    search_fields = ["=reference", "=parcels__barcode"]
    ordering = ["-id"]
    fields = [
        *("reference", "merchant", "status", "reason", "doubt", "place", "recipient_shown", "parcels_shown"),
        *("requested_point", "consent_at", "consent_by", "placed_at", "assigned_at"),
    ]
    readonly_fields = ["reason", "doubt", "place", "recipient_shown", "parcels_shown"]

    @admin.display(description=_("reason for review"), ordering="review_reason")
    def reason(self, order: Order) -> str:
        return str(REASONS.get(order.review_reason, order.review_reason or "–"))

    @admin.display(description=_("details for review"))
    def doubt(self, order: Order) -> str:
        detail = order.review_detail
        candidates = detail.get("candidates") or []
        if candidates and isinstance(candidates[0], list):
            return candidates_shown(candidates)
        if candidates:
            return region_names(candidates).replace(" < ", "; ")
        named, covered = detail.get("named"), detail.get("covered")
        if named and covered:
            regions_of = {"named": region_names([named]), "covered": region_names([covered])}
            return str(_("the text names %(named)s, the location lies in %(covered)s") % regions_of)
        return "–"

    @admin.display(description=_("where the address lies"))
    def place(self, order: Order) -> str:
        names = region_names(order.address.region_ids)
        if order.status != Order.Status.REVIEW:
            return names
        return format_html('{} · <a href="{}">{}</a>', names, reverse("review-order", args=[order.pk]), _("review"))

    @admin.display(description=_("recipient"))
    def recipient_shown(self, order: Order) -> str:
        return str(order.recipient)

    @admin.display(description=_("parcels"))
    def parcels_shown(self, order: Order) -> str:
        rows = [
            (reverse("admin:pickup_parcel_change", args=[parcel.pk]), parcel.barcode, parcel.get_status_display())
            for parcel in order.parcels.order_by("id")
        ]
        return format_html_join("", '<div><a href="{}">{}</a> {}</div>', rows) or "–"


@admin.register(Recipient)
class RecipientAdmin(ReadOnlyAdmin):
    """Only what is masked. Reading the full data is another door, with a reason and a trace."""

    list_display = ["order", "masked_name", "phone_last4", "erased_at"]
    list_select_related = ["order"]
    search_fields = ["=order__reference", "=order__parcels__barcode", "=phone_last4"]
    fields = ["order", "masked_name", "phone_last4", "erased_at", "in_full"]
    readonly_fields = ["in_full"]
    ordering = ["-pk"]
    search_help_text = _("reference, barcode, last four digits, or the whole phone number")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Recipient], search_term: str
    ) -> tuple[QuerySet[Recipient], bool]:
        """A whole phone number is found by its keyed hash only: no part of one finds anybody."""
        found, doubles = super().get_search_results(request, queryset, search_term)
        try:
            phone = recipients.read_phone(search_term.strip())
        except recipients.BadPhone:
            return found, doubles
        same = queryset.filter(pk__in=Recipient.objects.filter(phone_hash=recipients.hash_phone(phone)).values("pk"))
        return (found | same if not doubles else same), False

    @admin.display(description=_("in full"))
    def in_full(self, recipient: Recipient) -> str:
        rows = [
            (reverse("personal", args=[parcel.barcode]), _("Ask to see it"))
            for parcel in recipient.order.parcels.order_by("id")[:1]
        ]
        return format_html_join("", '<a href="{}">{}</a>', rows) or "–"


@admin.register(PersonalDataRead)
class PersonalDataReadAdmin(ReadOnlyAdmin):
    """The log of readings: who read whose data, when and why. Nobody changes it."""

    list_display = ["at", "by", "barcode", "read", "reason"]
    list_display_links = ["at"]
    list_filter = [("by", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["by", "parcel"]
    search_fields = ["=parcel__barcode", "=order__reference", "by__name"]
    fields = ["at", "by", "order", "parcel", "read", "reason"]
    readonly_fields = ["read"]
    ordering = ["-id"]

    @admin.display(description=_("parcel"))
    def barcode(self, row: PersonalDataRead) -> str:
        return row.parcel.barcode if row.parcel else "–"

    @admin.display(description=_("what was read"))
    def read(self, row: PersonalDataRead) -> str:
        return ", ".join(str(FIELDS.get(name, name)) for name in row.fields)


@admin.register(Assignment)
class AssignmentAdmin(ReadOnlyAdmin):
    list_display = ["order", "service_point", "metres", "assigned_at"]
    list_select_related = ["order", "service_point"]
    search_fields = ["=order__reference", "=service_point__ref", "=order__parcels__barcode"]
    fields = ["order", "service_point", "metres", "assigned_at", "chain", "why"]
    readonly_fields = ["metres", "chain", "why"]
    ordering = ["-id"]

    @admin.display(description=_("distance, m"), ordering="distance_m")
    def metres(self, assignment: Assignment) -> str:
        return f"{assignment.distance_m:,.0f}"

    @admin.display(description=_("regions, deepest first"))
    def chain(self, assignment: Assignment) -> str:
        return region_names(assignment.region_ids)

    @admin.display(description=_("why this shop"))
    def why(self, assignment: Assignment) -> str:
        return candidates_shown(assignment.candidates)


@admin.register(ReviewDecision)
class ReviewDecisionAdmin(ReadOnlyAdmin):
    list_display = ["order", "doubt_shown", "kind", "region", "service_point", "decided_by", "decided_at"]
    list_filter = ["kind"]
    list_select_related = ["order", "region", "service_point", "decided_by"]
    search_fields = ["=order__reference", "=order__parcels__barcode"]
    fields = ["order", "doubt_shown", "kind", "region", "service_point", "why", "note", "decided_by", "decided_at"]
    readonly_fields = ["doubt_shown"]
    ordering = ["-id"]

    @admin.display(description=_("reason for review"), ordering="doubt")
    def doubt_shown(self, decision: ReviewDecision) -> str:
        return str(REASONS.get(decision.doubt, decision.doubt))


@admin.register(ReviewDesk)
class ReviewDeskAdmin(ReadOnlyAdmin):
    list_display = ["order", "looked_by", "looked_at", "put_off_at"]
    list_select_related = ["order", "looked_by"]
    search_fields = ["=order__reference"]
    fields = ["order", "looked_by", "looked_at", "put_off_at"]
    ordering = ["-looked_at"]


@admin.register(Parcel)
class ParcelAdmin(ReadOnlyAdmin):
    list_display = ["barcode", "status", "service_point", "size", "shelf", "hold_until", "collected_at"]
    list_filter = ["status", "size"]
    list_select_related = ["service_point"]
    search_fields = ["=barcode", "=order__reference", "=service_point__ref"]
    fields = [
        *("barcode", "order", "recipient_shown", "status", "service_point", "shelf", "size", "weight_g", "chain"),
        *("ready_at", "hold_until", "collected_at", "why"),
    ]
    readonly_fields = ["chain", "recipient_shown", "why"]
    ordering = ["-id"]

    @admin.display(description=_("reason"))
    def why(self, parcel: Parcel) -> str:
        return why_link(parcel)

    @admin.display(description=_("regions, deepest first"))
    def chain(self, parcel: Parcel) -> str:
        return region_names(parcel.region_ids)

    @admin.display(description=_("recipient"))
    def recipient_shown(self, parcel: Parcel) -> str:
        return str(parcel.order.recipient)


@admin.register(Scan)
class ScanAdmin(ReadOnlyAdmin):
    list_display = ["recorded_at", "kind", "verdict", "barcode", "service_point", "clerk", "device"]
    list_filter = ["kind", "verdict"]
    list_select_related = ["service_point", "clerk", "device"]
    search_fields = ["=barcode", "=parcel__barcode", "=service_point__ref", "=scan_id"]
    ordering = ["-id"]


@admin.register(Arrival)
class ArrivalAdmin(ReadOnlyAdmin):
    list_display = ["parcel", "service_point", "scan"]
    list_select_related = ["parcel", "service_point", "scan"]
    search_fields = ["=parcel__barcode", "=service_point__ref"]
    ordering = ["-id"]


@admin.register(Handover)
class HandoverAdmin(ReadOnlyAdmin):
    list_display = ["parcel", "service_point", "scan", "undone_by"]
    list_filter = [("undone_by", admin.EmptyFieldListFilter)]
    list_select_related = ["parcel", "service_point", "scan", "undone_by"]
    search_fields = ["=parcel__barcode", "=service_point__ref"]
    ordering = ["-id"]


@admin.register(ManualRelease)
class ManualReleaseAdmin(ReadOnlyAdmin):
    """Hand-overs without a proof: look at the photo, then approve or reject. The fee follows the approval."""

    list_display = ["made_at", "parcel", "service_point", "clerk", "reason", "note", "state"]
    list_filter = ["decision", "reason"]
    list_select_related = ["handover__parcel", "handover", "service_point", "clerk"]
    search_fields = ["=handover__parcel__barcode", "=service_point__ref"]
    fields = [
        *("made_at", "parcel", "service_point", "clerk", "reason", "note", "photo_link"),
        *("state", "decided_by", "decided_at"),
    ]
    readonly_fields = ["parcel", "photo_link", "state"]
    ordering = ["decision", "-id"]
    actions = ["approve", "reject"]
    reasoned_actions = ("approve", "reject")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return may_change(request, self)

    @admin.action(description=_("Approve: post the fees"), permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[ManualRelease]) -> None:
        self._decide(request, queryset, ManualRelease.Decision.APPROVED)

    @admin.action(description=_("Reject: no fee"), permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[ManualRelease]) -> None:
        self._decide(request, queryset, ManualRelease.Decision.REJECTED)

    def _decide(
        self, request: HttpRequest, queryset: QuerySet[ManualRelease], decision: ManualRelease.Decision
    ) -> None:
        assert isinstance(request.user, User)
        decided = 0
        for row in queryset.select_related("handover__parcel"):
            try:
                releases.decide(row, decision=decision, by=request.user, now=now())
            except releases.NotDecided as refused:
                messages.warning(request, NOT_DECIDED[refused.code] % {"parcel": row.handover.parcel})
            else:
                self.log_change(request, row, str(decision))
                decided += 1
        if decided:
            messages.success(request, _("Decided: %(count)d") % {"count": decided})

    @admin.display(description=_("parcel"))
    def parcel(self, row: ManualRelease) -> str:
        return row.handover.parcel.barcode

    @admin.display(description=_("state"))
    def state(self, row: ManualRelease) -> str:
        if row.handover.undone_by_id is not None and not row.decision:
            return str(_("undone by the shop"))
        return str(row.get_decision_display() or _("waits for a decision"))

    @admin.display(description=_("photo"))
    def photo_link(self, row: ManualRelease) -> str:
        address = reverse("admin:pickup_manualrelease_photo", args=[row.pk])
        return format_html('<a href="{}">{}</a>', address, _("Open the photo (this is logged)"))

    def get_urls(self) -> list[URLPattern]:
        photo = self.admin_site.admin_view(self.photo_view)
        return [path("<int:release_id>/photo/", photo, name="pickup_manualrelease_photo"), *super().get_urls()]

    def photo_view(self, request: HttpRequest, release_id: int) -> HttpResponse:
        """The sealed photo, opened for whoever may decide; each look leaves a trace."""
        if not may_change(request, self):
            raise PermissionDenied
        row = get_object_or_404(ManualRelease, pk=release_id)
        try:
            jpeg = personal.photo(row, by=cast(User, request.user))
        except recipients.Sealed as error:
            raise Http404 from error
        except personal.TooManyReads as refused:
            return HttpResponse(status=429, headers={"Retry-After": str(int(refused.wait.total_seconds()) + 1)})
        return HttpResponse(jpeg, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


@admin.register(PickupCode)
class PickupCodeAdmin(ReadOnlyAdmin):
    """How often a code was tried. The hashes are never shown, and codes and links are nowhere to be shown."""

    list_display = ["parcel", "issue", "attempts", "page_attempts"]
    list_filter = ["attempts", "page_attempts"]
    list_select_related = ["parcel"]
    search_fields = ["=parcel__barcode"]
    fields = ["parcel", "issue", "attempts", "page_attempts"]
    ordering = ["-pk"]


@admin.register(WrongCodeDay)
class WrongCodeDayAdmin(ReadOnlyAdmin):
    list_display = ["day", "service_point", "wrong"]
    list_select_related = ["service_point"]
    search_fields = ["=service_point__ref", "service_point__name"]
    ordering = ["-day", "-wrong"]


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ["parcel", "kind", "round", "created_at", "sent_at", "tries", "gave_up", "error"]
    list_filter = ["kind", "gave_up", ("sent_at", admin.EmptyFieldListFilter)]
    list_select_related = ["parcel"]
    search_fields = ["=parcel__barcode"]
    ordering = ["-id"]


@admin.register(StockCount)
class StockCountAdmin(ReadOnlyAdmin):
    list_display = ["counted_at", "service_point", "device"]
    list_select_related = ["service_point", "device"]
    search_fields = ["=service_point__ref", "service_point__name"]
    ordering = ["-id"]


@admin.register(StockCountLine)
class StockCountLineAdmin(ReadOnlyAdmin):
    list_display = ["count", "found", "barcode", "parcel"]
    list_filter = ["found"]
    list_select_related = ["count", "parcel"]
    search_fields = ["=barcode", "=count__service_point__ref"]
    ordering = ["-id"]


@admin.register(MessageDay)
class MessageDayAdmin(ReadOnlyAdmin):
    list_display = ["day", "sent", "alarmed_at"]
    list_filter = [("alarmed_at", admin.EmptyFieldListFilter)]
    ordering = ["-day"]


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin):
    """Whether the sweeps come: the newest line of each job is not older than its period and a moment."""

    list_display = ["job", "period", "taken_at", "done_at"]
    list_filter = ["job", ("done_at", admin.EmptyFieldListFilter)]
    ordering = ["-period", "job"]


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Orders that a sweep works on right now; one whose time is over was left behind by a sweep that was killed."""

    list_display = ["status", "orders", "until"]
    ordering = ["-until"]

    @admin.display(description=_("orders"))
    def orders(self, batch: Batch) -> int:
        return len(batch.order_ids)


@admin.register(ImpactPreview)
class ImpactPreviewAdmin(ReadOnlyAdmin):
    """What previews of drafts are waited for. What one found is shown beside its draft."""

    list_display = ["draft", "version", "status", "done", "total", "asked_by", "asked_at", "seen_at"]
    list_filter = ["status"]
    list_select_related = ["draft", "asked_by"]
    search_fields = ["draft__name"]
    exclude = ["result"]
    ordering = ["-id"]


@admin.register(Delegation)
class DelegationAdmin(ReadOnlyAdmin):
    """Who was let collect a parcel, by number and time. The hashes are never shown."""

    list_display = ["parcel", "number", "created_at", "expires_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["parcel"]
    search_fields = ["=parcel__barcode"]
    fields = ["parcel", "number", "created_at", "expires_at", "revoked_at"]
    ordering = ["-id"]


NOT_RESOLVED = {
    disputes.Refusal.RESOLVED: _("Decided already: %(dispute)s"),
    disputes.Refusal.OWN_PICKUP: _("You work at this shop, so somebody else decides: %(dispute)s"),
    disputes.Refusal.TOO_SOON: _("The clerk may still undo the hand-over, decide in ten minutes: %(dispute)s"),
    disputes.Refusal.NO_REASON: _("A decision needs its reason: %(dispute)s"),
}


class ResolutionForm(forms.Form):
    outcome = forms.ChoiceField(label=_("outcome"), choices=Dispute.Outcome.choices, widget=forms.RadioSelect)
    reason = forms.CharField(label=_("reason"), max_length=disputes.REASON_LETTERS)


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    """What recipients say they did not collect: decided once, by a person, with a reason; till then nobody is paid."""

    list_display = ["parcel", "service_point", "opened_at", "outcome", "resolved_by", "resolved_at"]
    list_display_links = ["parcel"]
    list_filter = ["outcome"]
    list_select_related = ["handover__parcel", "handover__service_point", "resolved_by"]
    search_fields = ["=handover__parcel__barcode", "=handover__service_point__ref"]
    fields = [
        *("parcel", "service_point", "proof", "clerk", "handed_over_at", "opened_at", "note", "fees"),
        *("outcome", "reason", "resolved_by", "resolved_at"),
    ]
    readonly_fields = ["parcel", "service_point", "proof", "clerk", "handed_over_at", "fees"]
    ordering = ["outcome", "-id"]  # the open ones first
    actions = ["decide"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return may_change(request, self)

    @admin.display(description=_("parcel"))
    def parcel(self, dispute: Dispute) -> str:
        return dispute.handover.parcel.barcode

    @admin.display(description=_("service point"))
    def service_point(self, dispute: Dispute) -> str:
        return str(dispute.handover.service_point)

    @admin.display(description=_("proof"))
    def proof(self, dispute: Dispute) -> str:
        return dispute.handover.scan.proof or "–"

    @admin.display(description=_("clerk"))
    def clerk(self, dispute: Dispute) -> str:
        scan = dispute.handover.scan
        return f"{scan.clerk or '–'} · {scan.device}"

    @admin.display(description=_("handed over"))
    def handed_over_at(self, dispute: Dispute) -> Any:
        return dispute.handover.scan.recorded_at

    @admin.display(description=_("fees"))
    def fees(self, dispute: Dispute) -> str:
        rows = [
            (posting.get_kind_display(), ledger.written(posting.amount_minor, posting.currency), posting.currency)
            for posting in dispute.handover.postings.order_by("id")
        ]
        return format_html_join("", "<div>{} {} {}</div>", rows) or "–"

    @admin.action(description=_("Decide the chosen disputes"), permissions=["decide"])
    def decide(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> HttpResponse | None:
        """Ask for the outcome and its reason on a page of its own, then decide each one."""
        chosen = list(queryset.select_related("handover__parcel", "handover__service_point").order_by("id"))
        form = ResolutionForm(request.POST if "reason" in request.POST else None)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "title": _("Decide disputes"),
                "form": form,
                "disputes": chosen,
                "checkbox": ACTION_CHECKBOX_NAME,
            }
            return render(request, "pickup/admin_dispute.html", context)
        assert isinstance(request.user, User), "only people sign in to the administration"
        history.because(form.cleaned_data["reason"])
        decided = 0
        for dispute in chosen:
            try:
                disputes.resolve(dispute, **form.cleaned_data, by=request.user, now=now())
            except disputes.Refused as refused:
                barcode = {"dispute": dispute.handover.parcel.barcode}
                messages.warning(request, NOT_RESOLVED[refused.refusal] % barcode)
            else:
                self.log_change(request, dispute, f"{form.cleaned_data['outcome']}: {form.cleaned_data['reason']}")
                decided += 1
        if decided:
            messages.success(request, _("Decided: %(count)d") % {"count": decided})
        return None


@admin.register(Tariff)
class TariffAdmin(ChangedOnlyAdmin):
    """A tariff is in force until the next one begins. It may be edited until it has paid somebody."""

    needs_reason = True
    list_display = ["name", "valid_from", "currency", "fee", "cap"]
    ordering = ["-valid_from"]
    fieldsets = [
        (None, {"fields": ("name", "currency", "valid_from")}),
        (
            _("Amounts in minor units: 2000 is CNY 20.00"),
            {
                "fields": (
                    *("point_fee_minor", "cap_minor", "macro_minor", "province_minor"),
                    *("city_minor", "district_minor", "custom_minor"),
                )
            },
        ),
        (_("Times"), {"fields": ("hold_days", "payable_after_hours")}),
    ]
    fee = amount("point_fee_minor", _("flat handling fee"), lambda tariff: str(tariff.currency))
    cap = amount("cap_minor", _("cap of the agents' sum"), lambda tariff: str(tariff.currency))


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ["id", "owner", "currency"]
    list_display_links = ["id", "owner"]
    list_filter = ["kind", "currency"]
    list_select_related = ["service_point", "agent"]
    search_fields = ["=service_point__ref", "service_point__name", "=agent__ref", "agent__name"]
    fields = ["kind", "currency", "service_point", "agent", "balance"]
    readonly_fields = ["balance"]
    ordering = ["id"]

    @admin.display(description=_("owner"))
    def owner(self, account: Account) -> str:
        return owner(account)

    @admin.display(description=_("balance"))
    def balance(self, account: Account) -> str:
        return f"{ledger.written(ledger.balance_minor(account), account.currency)} {account.currency}"


@admin.register(Posting)
class PostingAdmin(ReadOnlyAdmin):
    list_display = ["recorded_at", "kind", "money", "from_account", "to_account", "parcel", "payable_at"]
    list_filter = ["kind", "currency"]
    list_select_related = [
        *("debit__service_point", "debit__agent", "credit__service_point", "credit__agent", "handover__parcel"),
    ]
    search_fields = [
        *("=key", "=handover__parcel__barcode", "=credit__service_point__ref", "=credit__agent__ref"),
    ]
    fields = [
        *("key", "kind", "money", "from_account", "to_account", "parcel", "handover", "tariff"),
        *("region", "level", "appointment", "reverses", "reason", "recorded_at", "payable_at", "why"),
    ]
    readonly_fields = ["money", "from_account", "to_account", "parcel", "why"]
    ordering = ["-id"]
    money = amount("amount_minor", _("amount"), lambda posting: str(posting.currency))

    @admin.display(description=_("debit"))
    def from_account(self, posting: Posting) -> str:
        return owner(posting.debit)

    @admin.display(description=_("credit"))
    def to_account(self, posting: Posting) -> str:
        return owner(posting.credit)

    @admin.display(description=_("parcel"))
    def parcel(self, posting: Posting) -> str:
        return posting.handover.parcel.barcode if posting.handover else "–"

    @admin.display(description=_("reason"))
    def why(self, posting: Posting) -> str:
        return why_link(posting.handover.parcel) if posting.handover else "–"


@admin.register(Settlement)
class SettlementAdmin(ReadOnlyAdmin):
    list_display = ["period", "currency", "closed_at"]
    ordering = ["-period", "currency"]


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin):
    list_display = ["settlement", "payee", "carried", "total"]
    list_filter = ["settlement"]
    list_select_related = ["settlement", "account__service_point", "account__agent"]
    search_fields = ["=account__service_point__ref", "account__service_point__name", "=account__agent__ref"]
    fields = ["settlement", "payee", "carried", "total"]
    readonly_fields = ["payee", "carried", "total"]
    ordering = ["-settlement__period", "-total_minor"]
    carried = amount("carried_minor", _("carried over"), lambda statement: str(statement.account.currency))
    total = amount("total_minor", _("total"), lambda statement: str(statement.account.currency))

    @admin.display(description=_("payee"))
    def payee(self, statement: Statement) -> str:
        return owner(statement.account)


@admin.register(StatementLine)
class StatementLineAdmin(ReadOnlyAdmin):
    list_display = ["posting", "statement", "money"]
    list_select_related = ["posting", "statement__settlement", "statement__account"]
    search_fields = ["=posting__key", "=posting__handover__parcel__barcode"]
    fields = ["posting", "statement", "money", "why"]
    readonly_fields = ["money", "why"]
    ordering = ["-pk"]
    money = amount("amount_minor", _("amount"), lambda line: str(line.posting.currency))

    @admin.display(description=_("reason"))
    def why(self, line: StatementLine) -> str:
        handover = line.posting.handover
        return why_link(handover.parcel) if handover else "–"


@admin.register(BankTemplate)
class BankTemplateAdmin(LastingAdmin):
    needs_reason = True
    list_display = ["name", "form", "debtor_name", "debtor_bank"]
    ordering = ["name"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)

        class Checked(form):  # type: ignore[valid-type, misc]
            def clean(self) -> Any:
                cleaned = super().clean() or self.cleaned_data
                if cleaned.get("form") in (BankTemplate.Form.CSV, BankTemplate.Form.XLSX):
                    try:
                        bank_files.columns(cleaned.get("columns", ""))
                    except bank_files.BadTemplate as error:
                        self.add_error("columns", str(error))
                return cleaned

        return Checked


@admin.register(BankDetails)
class BankDetailsAdmin(ReadOnlyAdmin):
    list_display = ["account", "shown", "made_by", "made_at", "decision", "decided_by", "decided_at"]
    list_filter = ["decision"]
    list_select_related = ["account", "made_by", "decided_by"]
    fields = ["account", "shown", "made_by", "made_at", "decision", "decided_by", "decided_at", "reason"]
    ordering = ["-id"]


@admin.register(Adjustment)
class AdjustmentAdmin(ReadOnlyAdmin):
    list_display = ["made_at", "account", "money", "reason", "made_by", "decision", "decided_by", "decided_at"]
    list_filter = ["decision"]
    list_select_related = ["account", "made_by", "decided_by"]
    ordering = ["-id"]
    money = amount("amount_minor", _("amount"), lambda row: str(row.account.currency))


@admin.register(LineCase)
class LineCaseAdmin(ReadOnlyAdmin):
    list_display = ["opened_at", "line", "opened_by", "outcome", "decided_by", "decided_at"]
    list_filter = ["outcome"]
    list_select_related = ["opened_by", "decided_by"]
    ordering = ["-id"]


@admin.register(PayoutBatch)
class PayoutBatchAdmin(ReadOnlyAdmin):
    list_display = ["id", "made_at", "currency", "template", "channel", "made_by", "decision", "decided_by"]
    list_filter = ["decision", "channel"]
    list_select_related = ["template", "made_by", "decided_by"]
    ordering = ["-id"]


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    list_display = ["end_to_end_id", "account", "money", "state", "statement", "details"]
    list_filter = ["state"]
    list_select_related = ["account", "statement", "details"]
    search_fields = ["=end_to_end_id"]
    ordering = ["-id"]
    money = amount("amount_minor", _("amount"), lambda row: str(row.currency))


@admin.register(SealBlock)
class SealBlockAdmin(ReadOnlyAdmin):
    list_display = ["number", "last_place", "told", "sealed_at"]
    fields = ["number", "last_place", "told", "sealed_at"]
    readonly_fields = ["told"]
    ordering = ["-number"]

    @admin.display(description=_("head"))
    def told(self, block: SealBlock) -> str:
        return bytes(block.head).hex()


@admin.register(SealedRow)
class SealedRowAdmin(ReadOnlyAdmin):
    list_display = ["place", "noun", "object_id"]
    fields = ["place", "noun", "object_id"]
    ordering = ["-place"]
    show_full_result_count = False


@admin.register(CaseNote)
class CaseNoteAdmin(ReadOnlyAdmin):
    list_display = ["written_at", "case", "author", "text"]
    fields = ["written_at", "case", "author", "text"]
    ordering = ["-id"]


@admin.register(BankFile)
class BankFileAdmin(ReadOnlyAdmin):
    list_display = ["name", "batch", "made_at"]
    fields = ["name", "batch", "made_at"]
    ordering = ["-made_at"]


@admin.register(PayoutStep)
class PayoutStepAdmin(ReadOnlyAdmin):
    list_display = ["at", "payout", "before", "after", "by"]
    fields = ["at", "payout", "before", "after", "by", "note"]
    ordering = ["-id"]


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ["placed_at", "service_point", "handover", "points", "decision", "decided_by"]
    fields = [
        *("handover", "service_point", "points", "day", "placed_at"),
        *("decision", "decided_by", "decided_at", "reason"),
    ]
    list_select_related = ["service_point", "handover", "decided_by"]
    ordering = ["-id"]


@admin.register(ScoredDay)
class ScoredDayAdmin(ReadOnlyAdmin):
    list_display = ["day", "scored_at", "pickups", "held"]
    fields = ["day", "scored_at", "pickups", "held"]
    ordering = ["-day"]


@admin.register(PickupQuestion)
class PickupQuestionAdmin(ReadOnlyAdmin):
    list_display = ["asked_at", "handover", "answer", "answered_at"]
    fields = ["asked_at", "handover", "answer", "answered_at"]
    list_select_related = ["handover"]
    ordering = ["-id"]


@admin.register(PageOpening)
class PageOpeningAdmin(ReadOnlyAdmin):
    list_display = ["opened_at", "parcel", "by_shop"]
    fields = ["opened_at", "parcel", "by_shop"]
    list_select_related = ["parcel"]
    ordering = ["-id"]
    show_full_result_count = False
