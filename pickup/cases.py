"""A payee objects to a line of a statement: a case with a thread, which ends with “stands” or with a reversal."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from django.db import transaction

from network.models import User
from pickup import ledger
from pickup.models import CaseNote, LineCase, Posting, StatementLine
from pickup.statements import owned_by

TEXT_LETTERS = 1000
Outcome = LineCase.Outcome


class Refusal(StrEnum):
    NO_TEXT = "no_text"
    NOT_YOURS = "not_yours"
    DECIDED = "decided"
    SAME_PERSON = "same_person"
    OWN_ACCOUNT = "own_account"
    NOT_A_FEE = "not_a_fee"  # only a fee can be given back
    REVERSED = "reversed"  # it was given back already


class Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def open_case(*, line: StatementLine, text: str, by: User) -> LineCase:
    """Contest a line of an own statement; where a case is open already the words go into its thread. Raises Refused."""
    words = _words(text)
    with transaction.atomic(durable=True):
        if not owned_by(by).filter(pk=line.statement.account_id).exists():
            raise Refused(Refusal.NOT_YOURS)
        case, _created = LineCase.objects.get_or_create(line=line, defaults={"opened_by": by})
        if case.outcome:
            raise Refused(Refusal.DECIDED)
        CaseNote.objects.create(case=case, author=by, text=words)
    return case


def say(*, case: LineCase, text: str, by: User) -> CaseNote:
    """Add to the thread; whether this person may is asked at the door. Raises Refused when the case is over."""
    words = _words(text)
    with transaction.atomic(durable=True):
        row = LineCase.objects.select_for_update().get(pk=case.pk)
        if row.outcome:
            raise Refused(Refusal.DECIDED)
        return CaseNote.objects.create(case=row, author=by, text=words)


def decide(*, case: LineCase, outcome: Outcome, reason: str, by: User, now: datetime) -> LineCase:
    """End a case with a reason, which is its last note. Nobody decides on the own case or the own money.

    A reversal gives the fee back, whole; it stands in the payee's next statement. Raises Refused.
    """
    words = _words(reason)
    with transaction.atomic(durable=True):
        row = LineCase.objects.select_for_update(of=("self",)).select_related("line__statement").get(pk=case.pk)
        if row.outcome:
            raise Refused(Refusal.DECIDED)
        if row.opened_by_id == by.pk:
            raise Refused(Refusal.SAME_PERSON)
        if owned_by(by).filter(pk=row.line.statement.account_id).exists():
            raise Refused(Refusal.OWN_ACCOUNT)
        CaseNote.objects.create(case=row, author=by, text=words)
        if outcome == Outcome.REVERSED:
            row.reversal = _reverse(row.line.posting_id, words)
        row.outcome, row.decided_by, row.decided_at = outcome, by, now
        row.save(update_fields=["outcome", "decided_by", "decided_at", "reversal"])
    return row


def _reverse(posting_id: int, reason: str) -> Posting:
    posting = Posting.objects.get(pk=posting_id)
    if posting.kind not in ledger.FEES:
        raise Refused(Refusal.NOT_A_FEE)
    if Posting.objects.filter(reverses=posting).exists():
        raise Refused(Refusal.REVERSED)
    return ledger.reverse(posting, reason=reason[:200])


def _words(text: str) -> str:
    words = text.replace("\x00", "").strip()[:TEXT_LETTERS]
    if not words:
        raise Refused(Refusal.NO_TEXT)
    return words
