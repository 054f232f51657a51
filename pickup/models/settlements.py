"""Settlements: a closed month, one statement per payee, each payable posting in exactly one line."""

from __future__ import annotations

from django.db import models
from django.db.models import Func, Q
from django.utils.translation import gettext_lazy as _

from network.models.history import kept
from pickup.models.ledger import Account, Posting


class ThisTransaction(Func):
    """The number of the transaction that writes the row."""

    template = "(pg_current_xact_id()::text::bigint)"
    output_field = models.BigIntegerField()


@kept()
class Settlement(models.Model):
    """A month that is closed. Whatever belongs to it is written in the transaction that wrote it, and never after."""

    period = models.CharField(_("period"), max_length=7, help_text="YYYY-MM")
    currency = models.CharField(_("currency"), max_length=3)
    closed_at = models.DateTimeField(_("closed"))
    closed_in = models.BigIntegerField(db_default=ThisTransaction(), editable=False)

    class Meta:
        verbose_name = _("settlement")
        verbose_name_plural = _("settlements")
        constraints = [
            models.UniqueConstraint(name="settlement_once", fields=["period", "currency"]),
            models.CheckConstraint(name="settlement_period", condition=Q(period__regex=r"^[0-9]{4}-(0[1-9]|1[0-2])$")),
        ]

    def __str__(self) -> str:
        return self.period


class Statement(models.Model):
    """What one payee is owed for one settlement.

    `opening_minor` is what was open when the month was closed: earlier totals less what was paid of them. The part of
    it that is a debt comes into this total as `carried_minor`; an earlier total that is unpaid is paid by itself.
    """

    settlement = models.ForeignKey(Settlement, models.PROTECT, related_name="statements", verbose_name=_("settlement"))
    account = models.ForeignKey(Account, models.PROTECT, related_name="statements", verbose_name=_("account"))
    opening_minor = models.BigIntegerField(_("opening balance"), default=0, db_default=0)
    carried_minor = models.BigIntegerField(_("carried over"), default=0)
    total_minor = models.BigIntegerField(_("total"))

    class Meta:
        verbose_name = _("statement")
        verbose_name_plural = _("statements")
        constraints = [
            models.UniqueConstraint(name="statement_once", fields=["settlement", "account"]),
            models.CheckConstraint(name="statement_carries_debts_only", condition=Q(carried_minor__lte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.settlement_id} {self.account_id}"


class StatementLine(models.Model):
    """One posting, claimed once for ever: the posting is the primary key. The sign is the payee's."""

    posting = models.OneToOneField(
        Posting, models.PROTECT, primary_key=True, related_name="line", verbose_name=_("posting")
    )
    statement = models.ForeignKey(Statement, models.PROTECT, related_name="lines", verbose_name=_("statement"))
    amount_minor = models.BigIntegerField(_("amount"))

    class Meta:
        verbose_name = _("line of a statement")
        verbose_name_plural = _("lines of statements")

    def __str__(self) -> str:
        return f"{self.posting_id}: {self.amount_minor}"
