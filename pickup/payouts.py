"""Paying what statements owe: drafted by one person, approved by another, sent once, and told by the bank (R11).

A payout is `sending` from the moment that its file is committed, before anybody sends it. Only the process that
committed it sends it, once; if that process dies nobody does, and after SILENT_FOR a person must ask the bank. So money
may be late, never double.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import BinaryIO

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from network import rows
from network.models import User
from pickup import bank_details, bank_door, bank_files, ledger
from pickup.models import (
    Account,
    BankDetails,
    BankFile,
    BankTemplate,
    Decision,
    Payout,
    PayoutBatch,
    PayoutStep,
    Posting,
)
from pickup.statements import owned_by

log = logging.getLogger(__name__)

State = Payout.State
Channel = PayoutBatch.Channel
FOLLOWS: dict[State, set[State]] = {
    State.DRAFT: {State.APPROVED, State.CANCELLED},
    State.APPROVED: {State.SENDING, State.CANCELLED},
    State.SENDING: {State.SENT, State.FAILED, State.NEEDS_CHECK},
    State.NEEDS_CHECK: {State.SENT, State.FAILED},
    State.SENT: {State.FAILED},  # the bank returned it
    State.FAILED: set(),
    State.CANCELLED: set(),
}
# So long a payout may be on its way without an answer before a person must ask.
SILENT_FOR = {Channel.DOOR: timedelta(minutes=5), Channel.FILE: timedelta(days=3)}
NOTE_LETTERS = 300
MOST_OF_A_RUN = 5_000


class Refusal(StrEnum):
    NOTHING_TO_PAY = "nothing_to_pay"
    BAD_TEMPLATE = "bad_template"
    NO_DOOR = "no_door"
    DECIDED = "decided"
    SAME_PERSON = "same_person"
    OWN_MONEY = "own_money"
    NOT_APPROVED = "not_approved"
    WRONG_STATE = "wrong_state"
    NO_NOTE = "no_note"


class Refused(Exception):
    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(f"{refusal} {detail}".strip())
        self.refusal, self.detail = refusal, detail


@dataclass(frozen=True)
class Held:
    """A statement that is owed and cannot be paid now: `why` is no_bank_details, new_bank_details or frozen."""

    statement_id: int
    account_id: int
    amount_minor: int
    why: str


OWED = """
    SELECT s.id, s.account_id, s.total_minor, payout_held_by(s.account_id, %(now)s)
    FROM pickup_statement s JOIN pickup_account a ON a.id = s.account_id
    WHERE a.currency = %(currency)s AND s.total_minor > 0
      AND NOT EXISTS (SELECT FROM pickup_payout p WHERE p.statement_id = s.id
                      AND p.state NOT IN ('failed', 'cancelled'))
    ORDER BY s.id LIMIT %(most)s
"""


def owed(*, currency: str, now: datetime) -> tuple[list[Held], list[Held]]:
    """The statements that nobody has paid or begun to: those that may be paid now, and those that are held."""
    with connection.cursor() as cursor:
        cursor.execute(OWED, {"now": now, "currency": currency, "most": MOST_OF_A_RUN})
        found = [Held(*row) for row in cursor.fetchall()]
    return [one for one in found if not one.why], [one for one in found if one.why]


# ---------------------------------------------------------------- two people


def draft(*, currency: str, template: BankTemplate, channel: Channel, by: User, now: datetime) -> PayoutBatch:
    """Make a run of all that may be paid. Raises Refused when there is nothing, or the template is none."""
    if template.form != BankTemplate.Form.PAIN001:
        try:
            bank_files.columns(template.columns)
        except bank_files.BadTemplate as error:
            raise Refused(Refusal.BAD_TEMPLATE, str(error)) from error
    if channel == Channel.DOOR and not bank_door.is_set():
        raise Refused(Refusal.NO_DOOR)
    with transaction.atomic(durable=True):
        _alone()
        due, _held = owed(currency=currency, now=now)
        if not due:
            raise Refused(Refusal.NOTHING_TO_PAY)
        batch = PayoutBatch.objects.create(currency=currency, template=template, channel=channel, made_by=by)
        approved = BankDetails.objects.filter(account__in=[one.account_id for one in due], decision="approved")
        newest = dict(approved.values_list("account_id").annotate(Max("id")))
        made = Payout.objects.bulk_create(
            Payout(
                batch=batch,
                statement_id=one.statement_id,
                account_id=one.account_id,
                details_id=newest[one.account_id],
                amount_minor=one.amount_minor,
                currency=currency,
                # Random, because a number would come again after a restore from a backup.
                end_to_end_id=f"PN-{batch.pk}-{number}-{secrets.token_hex(5)}",
            )
            for number, one in enumerate(due, start=1)
        )
        _note(made, before="", after=State.DRAFT, by=by)
    return batch


def _alone() -> None:
    """Whoever makes or moves payouts waits for whoever else does; there are few of them and they matter."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('payouts'))")


def approve(*, batch: PayoutBatch, by: User, now: datetime) -> PayoutBatch:
    """The second person's yes. Raises Refused: to its maker, and to whoever is paid by it."""
    return _decide(batch, Decision.APPROVED, State.APPROVED, by=by, now=now)


def reject(*, batch: PayoutBatch, by: User, now: datetime) -> PayoutBatch:
    """The second person's no: nothing of it is paid, and the next draft has it again. Raises Refused."""
    return _decide(batch, Decision.REJECTED, State.CANCELLED, by=by, now=now)


def _decide(batch: PayoutBatch, decision: Decision, to: State, *, by: User, now: datetime) -> PayoutBatch:
    with transaction.atomic(durable=True):
        _alone()
        row = PayoutBatch.objects.select_for_update(of=("self",)).get(pk=batch.pk)
        if row.decision:
            raise Refused(Refusal.DECIDED)
        if row.made_by_id == by.pk:
            raise Refused(Refusal.SAME_PERSON)
        if row.payouts.filter(account__in=owned_by(by)).exists():
            raise Refused(Refusal.OWN_MONEY)
        row.decision, row.decided_by, row.decided_at = decision, by, now
        row.save(update_fields=["decision", "decided_by", "decided_at"])
        _move(row.payouts.filter(state=State.DRAFT), to=to, by=by)
    return row


# ---------------------------------------------------------------- the file, and the way to the bank


def make_file(*, batch: PayoutBatch, by: User | None, now: datetime) -> tuple[BankFile, bool]:
    """The run's file, and whether it was made just now: only who made it may send it.

    Made once, with all its payouts `sending` in the same transaction; asked again it is the same bytes. A payout whose
    bank details changed since the draft, or whose shop is frozen now, is cancelled instead, and comes into another
    draft. Raises Refused.
    """
    with transaction.atomic(durable=True):
        _alone()
        row = PayoutBatch.objects.select_related("template").get(pk=batch.pk)  # `_alone` is its lock
        made = BankFile.objects.filter(batch=row).first()
        if made is not None:
            return made, False
        if row.decision != Decision.APPROVED:
            raise Refused(Refusal.NOT_APPROVED)
        _drop_changed(row, by=by, now=now)
        ready = list(_ready(row))
        if not ready:
            raise Refused(Refusal.NOTHING_TO_PAY)
        name = f"PN-{row.pk}-{secrets.token_hex(4)}"
        try:
            content = bank_files.write(row.template, _order(name, row.template, ready, now))
        except bank_files.BadTemplate as error:
            raise Refused(Refusal.BAD_TEMPLATE, str(error)) from error
        file = BankFile.objects.create(
            batch=row, name=name, box=bank_details.shut(content), sha256=hashlib.sha256(content).digest()
        )
        _move(row.payouts.filter(state=State.APPROVED), to=State.SENDING, by=by)
    return file, True


def _ready(batch: PayoutBatch) -> QuerySet[Payout]:
    rows = batch.payouts.filter(state=State.APPROVED).select_related("details", "statement__settlement")
    return rows.order_by("id")


def _drop_changed(batch: PayoutBatch, *, by: User | None, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT p.id, h.why = 'frozen' FROM pickup_payout p
               CROSS JOIN LATERAL payout_held_by(p.account_id, %s) h(why)
               WHERE p.batch_id = %s AND p.state = 'approved' AND (h.why <> '' OR EXISTS (
                    SELECT FROM pickup_bankdetails d WHERE d.account_id = p.account_id AND d.decision = 'approved'
                    AND d.id > p.details_id))""",
            [now, batch.pk],
        )
        changed = cursor.fetchall()
    for frozen, note in ((False, "bank details changed"), (True, "recipients say that they collected nothing")):
        dropped = [number for number, is_frozen in changed if is_frozen == frozen]
        _move(Payout.objects.filter(pk__in=dropped), to=State.CANCELLED, by=by, note=note)


def _order(name: str, template: BankTemplate, ready: Sequence[Payout], now: datetime) -> bank_files.Order:
    return bank_files.Order(
        name=name,
        at=now,
        transfers=[
            bank_files.Transfer(
                number=number,
                end_to_end_id=payout.end_to_end_id,
                to=bank_details.read(payout.details),
                amount_minor=payout.amount_minor,
                currency=payout.currency,
                purpose=template.purpose.replace("{period}", payout.statement.settlement.period),
            )
            for number, payout in enumerate(ready, start=1)
        ],
    )


def content_of(file: BankFile) -> bytes:
    """Its bytes, the same each time."""
    content = bank_details.opened(file.box)
    assert hashlib.sha256(content).digest() == bytes(file.sha256), "the box is sealed"
    return content


def send(*, batch: PayoutBatch, now: datetime, by: User | None = None) -> None:
    """Make the file and post it to the bank, once in its life. Raises Refused.

    Between the commit of `sending` and the bank's answer nothing is written; whatever happens in between, nobody posts
    it again, and `flag_silent` gives it to a person.
    """
    file, made_now = make_file(batch=batch, by=by, now=now)
    if not made_now:
        return
    template = batch.template
    try:
        bank_door.deliver(
            name=file.name,
            content=content_of(file),
            content_type=bank_files.CONTENT_TYPES[BankTemplate.Form(template.form)],
        )
    except bank_door.Unknown as error:
        _answered(batch, State.NEEDS_CHECK, f"the bank's answer: {error}")
    except (bank_door.Rejected, bank_door.NoDoor) as error:
        _answered(batch, State.FAILED, f"the bank's answer: {error}")
    else:
        _answered(batch, State.SENT, "the bank took the file")


def _answered(batch: PayoutBatch, to: State, note: str) -> None:
    with transaction.atomic(durable=True):
        _alone()
        _move(batch.payouts.filter(state=State.SENDING), to=to, by=None, note=note)


def send_waiting(*, now: datetime) -> int:
    """Send the approved runs that go to the bank's own address; returns how many."""
    if not bank_door.is_set():
        return 0
    waiting = PayoutBatch.objects.filter(channel=Channel.DOOR, decision=Decision.APPROVED, file__isnull=True)
    sent = 0
    for batch in waiting.filter(payouts__state=State.APPROVED).distinct().select_related("template").order_by("id"):
        try:
            send(batch=batch, now=now)
        except Refused as refused:
            log.warning("payout run %s was not sent: %s", batch.pk, refused)
        else:
            sent += 1
    return sent


def flag_silent(*, now: datetime) -> int:
    """Give to a person what was on its way for too long: its sender may have died before or after. Returns how many."""
    flagged = 0
    for channel, patience in SILENT_FOR.items():
        with transaction.atomic(durable=True):
            _alone()
            silent = Payout.objects.filter(
                state=State.SENDING, batch__channel=channel, batch__file__made_at__lt=now - patience
            )
            flagged += _move(silent, to=State.NEEDS_CHECK, by=None, note="no answer was recorded")
    return flagged


# ---------------------------------------------------------------- what the bank says


def settle(*, payout: Payout, to: State, note: str, by: User) -> Payout:
    """A person says what the bank said: paid, or not paid (any more). Raises Refused.

    Not paid lets it be paid again, so who drafted the run cannot say it.
    """
    if not note.strip():
        raise Refused(Refusal.NO_NOTE)
    with transaction.atomic(durable=True):
        _alone()
        row = Payout.objects.select_related("batch").get(pk=payout.pk)
        if to not in (State.SENT, State.FAILED) or to not in FOLLOWS[State(row.state)]:
            raise Refused(Refusal.WRONG_STATE, row.state)
        if to == State.FAILED and row.batch.made_by_id == by.pk:
            raise Refused(Refusal.SAME_PERSON)
        if owned_by(by).filter(pk=row.account_id).exists():
            raise Refused(Refusal.OWN_MONEY)
        _move(Payout.objects.filter(pk=row.pk), to=to, by=by, note=note.strip())
    row.refresh_from_db()
    return row


@dataclass
class Reading:
    """What a result file did, and which of its rows were refused."""

    sent: int = 0
    failed: int = 0
    pending: int = 0
    repeated: int = 0
    refused: list[rows.BadRow] = field(default_factory=list)


def read_results(stream: BinaryIO, *, name: str, by: User) -> Reading:
    """Take a bank's result file, the good rows of it; the same file again changes nothing.

    Raises bank_files.Unreadable for what is no result file.
    """
    reading = Reading()
    told = list(bank_files.read_results(stream, name=name))
    seen = Counter(one.end_to_end_id for one in told if isinstance(one, bank_files.Result))
    with transaction.atomic(durable=True):
        _alone()
        known = {
            payout.end_to_end_id: payout
            for payout in Payout.objects.filter(end_to_end_id__in=seen).select_related("batch")
        }
        for one in told:
            if isinstance(one, rows.BadRow):
                reading.refused.append(one)
            elif wrong := _wrong(one, known.get(one.end_to_end_id), seen):
                reading.refused.append(wrong)
            else:
                _take(one, known[one.end_to_end_id], reading, by)
    return reading


def _wrong(one: bank_files.Result, payout: Payout | None, seen: Counter[str]) -> rows.BadRow | None:
    if payout is None:
        return rows.BadRow(one.number, "end_to_end_id", "no payout has this id")
    if seen[one.end_to_end_id] > 1:
        return rows.BadRow(one.number, "end_to_end_id", "stands more than once in this file")
    if one.amount and Decimal(one.amount) != Decimal(ledger.plain(payout.amount_minor, payout.currency)):
        return rows.BadRow(one.number, "amount", f"{one.amount} is not what was ordered")
    if (
        one.verdict != "pending"
        and one.verdict != payout.state
        and State(one.verdict) not in FOLLOWS[State(payout.state)]
    ):
        return rows.BadRow(one.number, "status", f"a payout that is {payout.state} cannot become {one.verdict}")
    return None


def _take(one: bank_files.Result, payout: Payout, reading: Reading, by: User) -> None:
    if one.verdict == "pending":
        reading.pending += 1
    elif one.verdict == payout.state:
        reading.repeated += 1
    else:
        _move(Payout.objects.filter(pk=payout.pk), to=State(one.verdict), by=by, note=one.reason or "result file")
        if one.verdict == "sent":
            reading.sent += 1
        else:
            reading.failed += 1


# ---------------------------------------------------------------- moving


def _move(wanted: QuerySet[Payout], *, to: State, by: User | None, note: str = "") -> int:
    """Move payouts by the table, with what it posts: paid, money leaves the payee's account; returned, it is back."""
    assert connection.in_atomic_block, "a building block"
    found = list(
        wanted.select_for_update(of=("self",))
        .select_related("account", "posting", "statement__settlement")
        .order_by("id")
    )
    for before in sorted({payout.state for payout in found}):
        moved = [payout for payout in found if payout.state == before]
        assert to in FOLLOWS[State(before)], f"{before} to {to}"
        if to == State.SENT:
            _pay(moved)
        else:
            if before == State.SENT:
                for payout in moved:
                    assert payout.posting is not None, "a paid payout is posted"
                    ledger.reverse(payout.posting, reason=note[:200])
            Payout.objects.filter(pk__in=[payout.pk for payout in moved]).update(state=to)
        _note(moved, before=before, after=to, by=by, note=note)
    return len(found)


def _pay(moved: Iterable[Payout]) -> None:
    for payout in moved:
        bank = ledger.account_of(Account.Kind.BANK, currency=payout.currency)
        payout.posting = Posting.objects.create(
            key=f"payout:{payout.pk}",
            kind=Posting.Kind.PAYOUT,
            debit=payout.account,
            debit_kind=payout.account.kind,
            credit=bank,
            credit_kind=bank.kind,
            amount_minor=payout.amount_minor,
            currency=payout.currency,
            reason=payout.end_to_end_id,
            payable_at=payout.statement.settlement.closed_at,
        )
        payout.state = State.SENT
        payout.save(update_fields=["posting", "state"])


def _note(moved: Iterable[Payout], *, before: str, after: State, by: User | None, note: str = "") -> None:
    PayoutStep.objects.bulk_create(
        PayoutStep(payout=payout, before=before, after=after, by=by, note=note[:NOTE_LETTERS]) for payout in moved
    )
