"""Money that the network gives a payee beside the fees: with a reason, and only when a second person agrees."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from django.db import transaction

from network.models import User
from pickup import ledger
from pickup.models import Account, Adjustment, Decision, Posting
from pickup.statements import owned_by

MOST_MINOR = 10_000_000_00
REASON_LETTERS = 200


class Refusal(StrEnum):
    AMOUNT = "amount"
    NO_REASON = "no_reason"
    DECIDED = "decided"
    SAME_PERSON = "same_person"
    OWN_ACCOUNT = "own_account"


class Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def propose(*, account: Account, amount_minor: int, reason: str, by: User) -> Adjustment:
    """Leave it for a second person. It only gives: what was paid wrongly comes back as a reversal. Raises Refused."""
    if not 0 < amount_minor <= MOST_MINOR:
        raise Refused(Refusal.AMOUNT)
    if not reason.strip():
        raise Refused(Refusal.NO_REASON)
    words = " ".join(reason.split())[:REASON_LETTERS]
    return Adjustment.objects.create(account=account, amount_minor=amount_minor, reason=words, made_by=by)


def decide(*, adjustment: Adjustment, decision: Decision, by: User, now: datetime) -> Adjustment:
    """Approve or reject, once, by somebody who neither made it nor is paid by it. Raises Refused."""
    with transaction.atomic(durable=True):
        row = Adjustment.objects.select_for_update(of=("self",)).select_related("account").get(pk=adjustment.pk)
        if row.decision:
            raise Refused(Refusal.DECIDED)
        if row.made_by_id == by.pk:
            raise Refused(Refusal.SAME_PERSON)
        if owned_by(by).filter(pk=row.account_id).exists():
            raise Refused(Refusal.OWN_ACCOUNT)
        row.decision, row.decided_by, row.decided_at = decision, by, now
        row.save(update_fields=["decision", "decided_by", "decided_at"])
        if decision == Decision.APPROVED:
            _post(row, now)
    return row


def _post(row: Adjustment, now: datetime) -> None:
    network = ledger.account_of(Account.Kind.NETWORK, currency=row.account.currency)
    Posting.objects.create(
        key=f"adjustment:{row.pk}",
        kind=Posting.Kind.ADJUSTMENT,
        debit=network,
        debit_kind=network.kind,
        credit=row.account,
        credit_kind=row.account.kind,
        amount_minor=row.amount_minor,
        currency=row.account.currency,
        reason=row.reason,
        payable_at=now,
    )
