"""Payouts: where a payee's money goes, what is paid of which statement, the file for the bank. Two people each."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from network.models.history import kept
from pickup.models.ledger import Account, Posting
from pickup.models.parcels import DatabaseClock
from pickup.models.settlements import Statement


def person(name: Any, *, null: bool = False) -> Any:
    return models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=null, blank=null, related_name="+", verbose_name=name
    )


def two_people(name: str, *, maker: str = "made_by", checker: str = "decided_by") -> models.CheckConstraint:
    """Maker and checker are different people."""
    return models.CheckConstraint(name=name, condition=Q(**{f"{checker}__isnull": True}) | ~Q(**{checker: F(maker)}))


class Decision(models.TextChoices):
    APPROVED = "approved", _("approved")
    REJECTED = "rejected", _("rejected")


def decided_whole(name: str) -> models.CheckConstraint:
    nobody = {"decided_by__isnull": True, "decided_at__isnull": True}
    somebody = {"decided_by__isnull": False, "decided_at__isnull": False}
    return models.CheckConstraint(
        name=name, condition=Q(decision="", **nobody) | Q(decision__in=Decision.values, **somebody)
    )


class BankDetails(models.Model):
    """Where the money of an account goes: a proposal until a second person approved it, and in use 72 hours later.

    The newest approved one counts. `box` is sealed (`pickup.bank_details`): holder, number, bank and its code;
    `shown` is what may be seen of it.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="bank_details", verbose_name=_("account"))
    box = models.BinaryField(editable=False)
    shown = models.CharField(_("bank account"), max_length=100)
    made_by = person(_("proposed by"))
    made_at = models.DateTimeField(_("proposed"), db_default=DatabaseClock())
    decision = models.CharField(_("decision"), max_length=8, choices=Decision.choices, blank=True)
    decided_by = person(_("decided by"), null=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("bank details")
        verbose_name_plural = _("bank details")
        constraints = [
            two_people("bank_details_two_people"),
            decided_whole("bank_details_decision_is_whole"),
            models.UniqueConstraint(name="bank_details_one_proposal", fields=["account"], condition=Q(decision="")),
        ]

    def __str__(self) -> str:
        return self.shown


class Adjustment(models.Model):
    """Money that the network gives a payee for a reason, once a second person agrees. It never takes any (R9)."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="adjustments", verbose_name=_("account"))
    amount_minor = models.BigIntegerField(_("amount, minor units"))
    reason = models.CharField(_("reason"), max_length=200)
    made_by = person(_("made by"))
    made_at = models.DateTimeField(_("made"), db_default=DatabaseClock())
    decision = models.CharField(_("decision"), max_length=8, choices=Decision.choices, blank=True)
    decided_by = person(_("decided by"), null=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("adjustment")
        verbose_name_plural = _("adjustments")
        constraints = [
            models.CheckConstraint(name="adjustment_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(name="adjustment_has_reason", condition=~Q(reason="")),
            two_people("adjustment_two_people"),
            decided_whole("adjustment_decision_is_whole"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.amount_minor}"


@kept()
class BankTemplate(models.Model):
    """How a bank wants its file, and from which account of ours it pays.

    `columns` of a CSV or XLSX file: one a line, `title = source`; `pickup.bank_files.SOURCES` lists the sources, and a
    source in quotation marks is a fixed text.
    """

    class Form(models.TextChoices):
        CSV = "csv", "CSV"
        XLSX = "xlsx", "Excel (XLSX)"
        PAIN001 = "pain.001", "ISO 20022 pain.001.001.09"

    name = models.CharField(_("name"), max_length=100, unique=True)
    form = models.CharField(_("format"), max_length=8, choices=Form.choices)
    columns = models.TextField(_("columns"), blank=True)
    debtor_name = models.CharField(_("our name"), max_length=70)
    debtor_account = models.CharField(_("our account"), max_length=34)
    debtor_bank = models.CharField(_("our bank's code"), max_length=14, help_text=_("BIC, or the clearing number"))
    purpose = models.CharField(_("text for the payee"), max_length=100, default="Pickup fees {period}")

    class Meta:
        verbose_name = _("bank template")
        verbose_name_plural = _("bank templates")

    def __str__(self) -> str:
        return self.name


class PayoutBatch(models.Model):
    """Payouts that go to a bank together. Made by one person, approved or rejected by another."""

    class Channel(models.TextChoices):
        FILE = "file", _("a person takes the file to the bank")
        DOOR = "door", _("sent to the bank's own address")

    currency = models.CharField(_("currency"), max_length=3)
    template = models.ForeignKey(BankTemplate, models.PROTECT, related_name="+", verbose_name=_("bank template"))
    channel = models.CharField(_("way"), max_length=4, choices=Channel.choices, default=Channel.FILE)
    made_by = person(_("made by"))
    made_at = models.DateTimeField(_("made"), db_default=DatabaseClock())
    decision = models.CharField(_("decision"), max_length=8, choices=Decision.choices, blank=True)
    decided_by = person(_("decided by"), null=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("payout run")
        verbose_name_plural = _("payout runs")
        constraints = [two_people("payout_batch_two_people"), decided_whole("payout_batch_decision_is_whole")]

    def __str__(self) -> str:
        return f"{self.pk}"


class BankFile(models.Model):
    """The file of a run as the bank gets it, made once. `box` holds its very bytes, sealed; `sha256` is theirs."""

    batch = models.OneToOneField(
        PayoutBatch, models.PROTECT, primary_key=True, related_name="file", verbose_name=_("payout run")
    )
    name = models.CharField(_("name"), max_length=60, unique=True)
    box = models.BinaryField(editable=False)
    sha256 = models.BinaryField("SHA-256", max_length=32)
    made_at = models.DateTimeField(_("made"), db_default=DatabaseClock())

    class Meta:
        verbose_name = _("bank file")
        verbose_name_plural = _("bank files")

    def __str__(self) -> str:
        return self.name


class Payout(models.Model):
    """One transfer of what one statement owes. Which state may follow which is in `pickup.payouts.FOLLOWS`."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        APPROVED = "approved", _("approved")
        SENDING = "sending", _("on its way to the bank")
        SENT = "sent", _("paid")
        FAILED = "failed", _("not paid")
        NEEDS_CHECK = "needs_check", _("unknown: ask the bank")
        CANCELLED = "cancelled", _("cancelled")

    batch = models.ForeignKey(PayoutBatch, models.PROTECT, related_name="payouts", verbose_name=_("payout run"))
    statement = models.ForeignKey(Statement, models.PROTECT, related_name="payouts", verbose_name=_("statement"))
    account = models.ForeignKey(Account, models.PROTECT, related_name="payouts", verbose_name=_("account"))
    details = models.ForeignKey(BankDetails, models.PROTECT, related_name="+", verbose_name=_("bank details"))
    amount_minor = models.BigIntegerField(_("amount, minor units"))
    currency = models.CharField(_("currency"), max_length=3)
    end_to_end_id = models.CharField(_("end-to-end id"), max_length=35, unique=True)
    state = models.CharField(_("state"), max_length=11, choices=State.choices, default=State.DRAFT)
    posting = models.OneToOneField(
        Posting, models.PROTECT, null=True, blank=True, related_name="payout", verbose_name=_("posting")
    )

    class Meta:
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        constraints = [
            models.CheckConstraint(name="payout_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="payout_sent_has_its_posting", condition=~Q(state="sent") | Q(posting__isnull=False)
            ),
            # What failed may be paid by another payout; everything else is the only one of its statement.
            models.UniqueConstraint(
                name="payout_one_of_a_statement",
                fields=["statement"],
                condition=~Q(state__in=["failed", "cancelled"]),
            ),
        ]
        indexes = [
            models.Index(name="payout_state", fields=["state"], condition=Q(state__in=["sending", "needs_check"]))
        ]

    def __str__(self) -> str:
        return self.end_to_end_id


class PayoutStep(models.Model):
    """How a payout moved: from which state to which, by whom (nobody: the machine), and why. Only ever added."""

    payout = models.ForeignKey(Payout, models.PROTECT, related_name="steps", verbose_name=_("payout"))
    before = models.CharField(_("from"), max_length=11, blank=True)
    after = models.CharField(_("to"), max_length=11, choices=Payout.State.choices)
    by = person(_("by"), null=True)
    at = models.DateTimeField(_("at"), db_default=DatabaseClock())
    note = models.CharField(_("note"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("step of a payout")
        verbose_name_plural = _("steps of payouts")

    def __str__(self) -> str:
        return f"{self.payout_id} {self.after}"
