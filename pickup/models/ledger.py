"""The ledger: accounts, and postings between two of them. Rows are only ever added.

A posting has one debit account, one credit account and one positive amount, so it cannot be unbalanced. The kinds
are a closed list, and for each the database knows from what sort of account to what sort it goes: no kind takes
money from a point or an agent except the reversal of a fee of its own and the payout to it (R9).
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from network.models import Agent, Appointment, Level, Region, ServicePoint
from pickup.models.parcels import DatabaseClock, Handover
from pickup.models.tariffs import Tariff


class Account(models.Model):
    """`network` pays fees, `point` and `agent` earn them, `bank` pays out. One per owner and currency."""

    class Kind(models.TextChoices):
        NETWORK = "network", _("network")
        POINT = "point", _("service point")
        AGENT = "agent", _("agent")
        BANK = "bank", _("bank")

    kind = models.CharField(_("kind"), max_length=7, choices=Kind.choices)
    currency = models.CharField(_("currency"), max_length=3)
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, null=True, related_name="+", verbose_name=_("service point")
    )
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="+", verbose_name=_("agent"))

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.UniqueConstraint(
                name="account_once",
                fields=["kind", "currency", "service_point", "agent"],
                nulls_distinct=False,
            ),
            models.UniqueConstraint(name="account_kind_currency", fields=["id", "kind", "currency"]),
            models.CheckConstraint(
                name="account_owner",
                condition=Q(kind="point", service_point__isnull=False, agent__isnull=True)
                | Q(kind="agent", service_point__isnull=True, agent__isnull=False)
                | Q(kind__in=["network", "bank"], service_point__isnull=True, agent__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.service_point_id or self.agent_id or ''} {self.currency}"


class Posting(models.Model):
    """Money owed moves from the debit to the credit account. `key` is made from the cause, so it posts once.

    Every fee knows what made it: the hand-over, the tariff, and for an agent the region and appointment.
    The foreign keys of (account, kind, currency) are added by the migration.
    """

    class Kind(models.TextChoices):
        POINT_FEE = "point_fee", _("handling fee")
        AGENT_FEE = "agent_fee", _("agent's difference")
        REVERSAL = "reversal", _("reversal")
        ADJUSTMENT = "adjustment", _("adjustment")
        PAYOUT = "payout", _("payout")

    key = models.CharField(_("key"), max_length=100)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    debit = models.ForeignKey(
        Account,
        models.PROTECT,
        related_name="+",
        verbose_name=_("debit"),
        db_constraint=False,
        db_index=False,
    )
    debit_kind = models.CharField(max_length=7, editable=False)
    credit = models.ForeignKey(
        Account,
        models.PROTECT,
        related_name="+",
        verbose_name=_("credit"),
        db_constraint=False,
        db_index=False,
    )
    credit_kind = models.CharField(max_length=7, editable=False)
    amount_minor = models.BigIntegerField(_("amount, minor units"))
    currency = models.CharField(_("currency"), max_length=3)
    handover = models.ForeignKey(
        Handover, models.PROTECT, null=True, related_name="postings", verbose_name=_("verified pickup")
    )
    tariff = models.ForeignKey(
        Tariff, models.PROTECT, null=True, related_name="+", verbose_name=_("tariff"), db_index=False
    )
    region = models.ForeignKey(
        Region, models.PROTECT, null=True, related_name="+", verbose_name=_("region"), db_index=False
    )
    level = models.SmallIntegerField(_("level"), choices=Level.choices, null=True)
    appointment = models.ForeignKey(
        Appointment,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("appointment"),
        db_index=False,
    )
    reverses = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="reversal", verbose_name=_("reverses")
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    recorded_at = models.DateTimeField(_("recorded"), db_default=DatabaseClock())
    payable_at = models.DateTimeField(_("payable from"))

    class Meta:
        verbose_name = _("posting")
        verbose_name_plural = _("postings")
        indexes = [
            models.Index(
                name="posting_credit_time", fields=["credit", "recorded_at"], include=["kind", "amount_minor"]
            ),
            models.Index(
                name="posting_debit_time", fields=["debit", "recorded_at"], condition=~Q(debit_kind="network")
            ),
        ]
        constraints = [
            # Not `unique=True`, which brings a second index for patterns that nobody looks for.
            models.UniqueConstraint(name="posting_key_once", fields=["key"]),
            models.UniqueConstraint(
                name="posting_fee_once",
                fields=["handover", "kind", "appointment"],
                condition=Q(kind__in=["point_fee", "agent_fee"]),
                nulls_distinct=False,
            ),
            models.CheckConstraint(name="posting_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(name="posting_two_accounts", condition=~Q(debit=F("credit"))),
            models.CheckConstraint(
                name="posting_kind_has_its_direction",
                condition=Q(kind="point_fee", debit_kind="network", credit_kind="point")
                | Q(kind="agent_fee", debit_kind="network", credit_kind="agent")
                | Q(kind="adjustment", debit_kind="network", credit_kind__in=["point", "agent"])
                | Q(kind="payout", debit_kind__in=["point", "agent"], credit_kind="bank")
                | Q(kind="reversal", debit_kind__in=["point", "agent"], credit_kind="network")
                | Q(kind="reversal", debit_kind="bank", credit_kind__in=["point", "agent"]),
            ),
            models.CheckConstraint(
                name="posting_fee_has_its_cause",
                condition=~Q(kind__in=["point_fee", "agent_fee"]) | Q(handover__isnull=False, tariff__isnull=False),
            ),
            models.CheckConstraint(
                name="posting_agent_fee_has_appointment",
                condition=Q(kind="agent_fee", appointment__isnull=False, region__isnull=False, level__isnull=False)
                | ~Q(kind="agent_fee"),
            ),
            models.CheckConstraint(
                name="posting_reversal_reverses",
                condition=Q(kind="reversal", reverses__isnull=False) | (~Q(kind="reversal") & Q(reverses__isnull=True)),
            ),
            models.CheckConstraint(
                name="posting_adjustment_has_reason", condition=~Q(kind="adjustment") | ~Q(reason="")
            ),
        ]

    def __str__(self) -> str:
        return self.key
