"""Payouts: two people, one file, one transfer; what nobody knows waits for a person."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils.timezone import now

from network.models import ServicePoint, User
from pickup import adjustments, bank_details, bank_door, disputes, ledger, payouts, seals, settlements
from pickup.models import (
    Account,
    Adjustment,
    BankDetails,
    BankFile,
    Decision,
    Dispute,
    Parcel,
    Payout,
    PayoutBatch,
    PayoutStep,
    Posting,
    Statement,
)
from tests import factories
from tests.factories import make_bank_details, make_point, make_template, make_user
from tests.pickup.test_settlements import a_pickup, close, month_after, this_month
from tests.roles import as_owner

pytestmark = pytest.mark.django_db


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


@pytest.fixture
def account(point: ServicePoint) -> Account:
    """A shop with a closed month of CNY 20.00 and bank details that may be used."""
    a_pickup(point)
    close(this_month())
    found = Account.objects.get(service_point=point)
    make_bank_details(found)
    return found


@pytest.fixture
def maker() -> User:
    return make_user(is_staff=True, name="maker")


@pytest.fixture
def checker() -> User:
    return make_user(is_staff=True, name="checker")


def draft(by: User, **fields: Any) -> PayoutBatch:
    told: dict[str, Any] = {"currency": "CNY", "channel": "file", "now": now()}
    template = fields.pop("template", None) or make_template()
    return payouts.draft(template=template, by=by, **(told | fields))


def approved(maker: User, checker: User, **fields: Any) -> PayoutBatch:
    return payouts.approve(batch=draft(maker, **fields), by=checker, now=now())


def sending(maker: User, checker: User, **fields: Any) -> PayoutBatch:
    batch = approved(maker, checker, **fields)
    payouts.make_file(batch=batch, by=checker, now=now())
    return batch


def states() -> list[str]:
    return list(Payout.objects.order_by("id").values_list("state", flat=True))


def refusal(call: Any, **fields: Any) -> str:
    with pytest.raises((payouts.Refused, bank_details.Refused, adjustments.Refused)) as refused:
        call(**fields)
    return str(refused.value.refusal)  # type: ignore[attr-defined]


def test_python_and_the_database_know_the_same_steps() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT before, after FROM payout_follows")
        assert set(cursor.fetchall()) == {
            (before.value, after.value) for before, afters in payouts.FOLLOWS.items() for after in afters
        }


def test_what_is_owed_and_may_be_paid_is_drafted_once(account: Account, maker: User, point: ServicePoint) -> None:
    batch = draft(maker)
    [payout] = batch.payouts.all()
    assert (payout.amount_minor, payout.account, payout.state) == (2000, account, "draft")
    assert refusal(draft, by=maker) == "nothing_to_pay"


def test_who_has_no_bank_details_waits(account: Account) -> None:
    due, held = payouts.owed(currency="CNY", now=now())
    assert [one.account_id for one in due] == [account.pk]
    assert {one.why for one in held} == {"no_bank_details"}
    assert len(held) == 5  # the agents


def test_new_bank_details_are_not_paid_to_for_72_hours(point: ServicePoint, maker: User) -> None:
    a_pickup(point)
    close(this_month())
    make_bank_details(Account.objects.get(service_point=point), hours_ago=71)
    assert refusal(draft, by=maker) == "nothing_to_pay"
    later = now() + timedelta(hours=2)
    [due], _ = payouts.owed(currency="CNY", now=later)
    assert due.amount_minor == 2000
    with pytest.raises(IntegrityError, match="nothing may be paid there now"):
        draft(maker, now=later)  # a clock that runs ahead is not the database's


def frozen(point: ServicePoint) -> list[Dispute]:
    """Two more recipients say that they collected nothing."""
    for _ in range(2):
        a_pickup(point)
    return [disputes.open_dispute(parcel) for parcel in Parcel.objects.order_by("-id")[:2]]


def test_a_frozen_shop_is_paid_nothing_until_somebody_has_looked_at_it(
    account: Account, maker: User, checker: User, point: ServicePoint
) -> None:
    [first, _second] = frozen(point)
    due, held = payouts.owed(currency="CNY", now=now())
    assert [one.why for one in held if one.account_id == account.pk] == ["frozen"]
    assert refusal(draft, by=maker) == "nothing_to_pay"
    disputes.resolve(first, outcome="dismissed", reason="signed for", by=checker, now=now() + timedelta(hours=1))
    due, _held = payouts.owed(currency="CNY", now=now())
    assert [one.account_id for one in due] == [account.pk]


def test_a_shop_that_freezes_after_the_approval_is_left_out_of_the_file(
    account: Account, maker: User, checker: User, point: ServicePoint
) -> None:
    batch = approved(maker, checker)
    frozen(point)
    assert refusal(payouts.make_file, batch=batch, by=checker, now=now()) == "nothing_to_pay"
    assert states() == ["approved"]  # a refusal leaves no trace
    assert not BankFile.objects.exists()


def test_the_second_person_is_another_one(account: Account, maker: User, checker: User) -> None:
    batch = draft(maker)
    assert refusal(payouts.approve, batch=batch, by=maker, now=now()) == "same_person"
    payouts.approve(batch=batch, by=checker, now=now())
    assert states() == ["approved"]
    assert refusal(payouts.reject, batch=batch, by=checker, now=now()) == "decided"


def test_nobody_approves_what_is_paid_to_them(account: Account, maker: User, point: ServicePoint) -> None:
    owner = factories.make_member(point, is_staff=True)
    assert refusal(payouts.approve, batch=draft(maker), by=owner, now=now()) == "own_money"


def test_a_rejected_run_is_drafted_anew(account: Account, maker: User, checker: User) -> None:
    payouts.reject(batch=draft(maker), by=checker, now=now())
    assert states() == ["cancelled"]
    assert draft(maker).payouts.count() == 1


def test_there_is_no_file_before_the_approval(account: Account, maker: User) -> None:
    assert refusal(payouts.make_file, batch=draft(maker), by=maker, now=now()) == "not_approved"


def test_the_file_is_made_once_and_is_the_same_each_time(account: Account, maker: User, checker: User) -> None:
    batch = approved(maker, checker)
    first, made = payouts.make_file(batch=batch, by=checker, now=now())
    again, made_again = payouts.make_file(batch=batch, by=maker, now=now() + timedelta(days=9))
    assert (made, made_again) == (True, False)
    assert payouts.content_of(first) == payouts.content_of(again)
    assert states() == ["sending"]
    text = payouts.content_of(first).decode("utf-8-sig")
    assert text.splitlines()[0] == "No,Id,Name,Account,Amount,For"
    assert "王小明,6214831234567890,20.00,Pickup fees" in text
    assert b"6214831234567890" not in bytes(BankFile.objects.get().box)


def test_details_that_changed_since_the_draft_take_the_payout_out(account: Account, maker: User, checker: User) -> None:
    batch = approved(maker, checker)
    make_bank_details(account, number="6214830000000000", hours_ago=1)
    assert refusal(payouts.make_file, batch=batch, by=checker, now=now()) == "nothing_to_pay"
    assert states() == ["approved"]  # nothing was made, nothing is written


def test_paid_is_posted_and_lowers_what_is_open(account: Account, maker: User, checker: User) -> None:
    batch = sending(maker, checker)
    payouts.settle(payout=batch.payouts.get(), to=Payout.State.SENT, note="booked", by=maker)
    assert ledger.balance_minor(account) == 0
    assert Posting.objects.get(kind="payout").key == f"payout:{batch.payouts.get().pk}"
    close(month_after(1), days=80)
    assert not Statement.objects.filter(settlement__period=month_after(1), account=account).exists()
    assert ledger.faults() == []


def test_what_came_back_is_owed_again_and_paid_by_another_payout(account: Account, maker: User, checker: User) -> None:
    batch = sending(maker, checker)
    payout = batch.payouts.get()
    payouts.settle(payout=payout, to=Payout.State.SENT, note="booked", by=maker)
    assert refusal(payouts.settle, payout=payout, to=Payout.State.FAILED, note="back", by=maker) == "same_person"
    payouts.settle(payout=payout, to=Payout.State.FAILED, note="account closed", by=checker)
    assert ledger.balance_minor(account) == 2000
    again = draft(maker).payouts.get()
    assert again.statement_id == payout.statement_id
    assert again.end_to_end_id != payout.end_to_end_id
    a_pickup(make_point())
    close(month_after(1), days=80)
    assert ledger.faults() == []  # a payout that came back stands in no statement


def test_the_opening_balance_is_what_is_not_paid_yet(account: Account, point: ServicePoint) -> None:
    a_pickup(point)
    close(month_after(1), days=80)
    second = Statement.objects.get(settlement__period=month_after(1), account=account)
    assert (second.opening_minor, second.carried_minor, second.total_minor) == (2000, 0, 2000)


@pytest.mark.parametrize(("note", "refused"), [("", "no_note"), (" ", "no_note")])
def test_a_person_says_what_the_bank_said(
    account: Account, maker: User, checker: User, note: str, refused: str
) -> None:
    payout = sending(maker, checker).payouts.get()
    assert refusal(payouts.settle, payout=payout, to=Payout.State.SENT, note=note, by=maker) == refused


def test_a_draft_cannot_be_called_paid(account: Account, maker: User, checker: User) -> None:
    payout = draft(maker).payouts.get()
    assert refusal(payouts.settle, payout=payout, to=Payout.State.SENT, note="x", by=checker) == "wrong_state"
    with pytest.raises(DatabaseError, match="does not move"), transaction.atomic():
        Payout.objects.update(state="sent")


# The bank's address


class Bank:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Exception | None = None) -> None:
        self.heard: list[bytes] = []
        self.answer = answer
        monkeypatch.setattr(bank_door, "is_set", lambda: True)
        monkeypatch.setattr(bank_door, "deliver", self.deliver)

    def deliver(self, *, name: str, content: bytes, content_type: str) -> None:
        self.heard.append(content)
        if self.answer is not None:
            raise self.answer


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (None, "sent"),
        (bank_door.Rejected("422 no such account"), "failed"),
        (bank_door.Unknown("TimeoutError"), "needs_check"),
        (bank_door.NoDoor("not https"), "failed"),
    ],
)
def test_a_run_is_posted_once_whatever_the_bank_answers(
    account: Account, maker: User, checker: User, monkeypatch: pytest.MonkeyPatch, answer: Exception, state: str
) -> None:
    bank = Bank(monkeypatch, answer)
    approved(maker, checker, channel="door")
    assert payouts.send_waiting(now=now()) == 1
    assert payouts.send_waiting(now=now()) == 0
    payouts.send(batch=PayoutBatch.objects.get(), now=now())
    assert len(bank.heard) == 1
    assert states() == [state]


def test_what_is_on_its_way_without_an_answer_goes_to_a_person(
    account: Account, maker: User, checker: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = Bank(monkeypatch)
    batch = approved(maker, checker, channel="door")
    payouts.make_file(batch=batch, by=None, now=now())  # and the process dies here
    assert payouts.flag_silent(now=now() + timedelta(minutes=4)) == 0
    assert payouts.flag_silent(now=now() + timedelta(minutes=6)) == 1
    assert states() == ["needs_check"]
    payouts.send_waiting(now=now())
    assert bank.heard == []


# Results


def results(batch: PayoutBatch, status: str, **fields: str) -> BytesIO:
    rows = "".join(
        f"{payout.end_to_end_id},{status},{fields.get('amount', '20.00')},{fields.get('reason', '')}\n"
        for payout in batch.payouts.all()
    )
    return BytesIO(f"end_to_end_id,status,amount,reason\n{rows}".encode())


def test_results_are_read_once(account: Account, maker: User, checker: User) -> None:
    batch = sending(maker, checker)
    assert payouts.read_results(results(batch, "ACSC"), name="r.csv", by=maker).sent == 1
    again = payouts.read_results(results(batch, "成功"), name="r.csv", by=maker)
    assert (again.sent, again.repeated, again.refused) == (0, 1, [])
    assert Posting.objects.filter(kind="payout").count() == 1
    assert states() == ["sent"]


def test_a_refusal_of_the_bank_is_kept_with_its_words(account: Account, maker: User, checker: User) -> None:
    batch = sending(maker, checker)
    assert payouts.read_results(results(batch, "RJCT", reason="AC04"), name="r.csv", by=maker).failed == 1
    assert PayoutStep.objects.order_by("-id")[0].note == "AC04"


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("nobody,ACSC,20.00,", "end_to_end_id"),
        (",ACSC,20.00,", "end_to_end_id"),
        ("{id},PERHAPS,20.00,", "status"),
        ("{id},ACSC,20.01,", "amount"),
        ("{id},ACSC,many,", "amount"),
        ("{id},ACSC,20.00,\n{id},RJCT,20.00,", "end_to_end_id"),
    ],
)
def test_a_bad_row_is_refused_with_its_field_and_moves_nothing(
    account: Account, maker: User, checker: User, row: str, field: str
) -> None:
    payout = sending(maker, checker).payouts.get()
    file = BytesIO(f"end_to_end_id,status,amount,reason\n{row.format(id=payout.end_to_end_id)}\n".encode())
    reading = payouts.read_results(file, name="r.csv", by=maker)
    assert {one.field for one in reading.refused} == {field}
    assert states() == ["sending"]


def test_a_result_for_a_draft_is_refused(account: Account, maker: User) -> None:
    reading = payouts.read_results(results(draft(maker), "ACSC"), name="r.csv", by=maker)
    assert [one.field for one in reading.refused] == ["status"]


# Bank details


def test_a_change_of_bank_details_needs_another_person(account: Account, maker: User, checker: User) -> None:
    details = bank_details.Details("李四", "DE89 3704 0044 0532 0130 00", "Commerzbank", "COBADEFFXXX")
    proposal = bank_details.propose(account=account, details=details, by=maker)
    fields: dict[str, Any] = {"proposal": proposal, "decision": Decision.APPROVED, "now": now()}
    assert refusal(bank_details.propose, account=account, details=details, by=checker) == "waits"
    assert refusal(bank_details.decide, by=maker, **fields) == "same_person"
    assert refusal(bank_details.decide, by=checker, **(fields | {"decision": Decision.REJECTED})) == "no_reason"
    bank_details.decide(by=checker, **fields)
    assert refusal(bank_details.decide, by=checker, **fields) == "decided"
    assert refusal(draft, by=maker) == "nothing_to_pay"  # neither the new account nor the old one


def test_an_owner_does_not_approve_the_own_shops_account(account: Account, point: ServicePoint) -> None:
    owner = factories.make_member(point, is_staff=True)
    proposal = bank_details.propose(
        account=account, details=bank_details.Details("李四", "12345678", "银行"), by=make_user()
    )
    assert refusal(bank_details.decide, proposal=proposal, decision=Decision.APPROVED, by=owner, now=now()) == (
        "own_account"
    )


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("holder", ""),
        ("holder", "=HYPERLINK(1)"),
        ("holder", "x" * 71),
        ("number", "１２３４５６７８"),
        ("number", "1234"),
        ("number", "DE89370400440532013001"),
        ("bank", "@bank"),
        ("code", "12345"),
    ],
)
def test_details_that_no_bank_takes_are_refused(account: Account, field: str, text: str) -> None:
    good = {"holder": "李四", "number": "6214831234567890", "bank": "银行", "code": ""}
    details = bank_details.Details(**(good | {field: text}))
    assert refusal(bank_details.propose, account=account, details=details, by=make_user()) == field


def test_account_numbers_are_sealed_and_shown_by_their_end(account: Account) -> None:
    row = BankDetails.objects.get()
    assert row.shown == "招商银行 ····7890 · 王*"
    assert b"6214831234567890" not in bytes(row.box)
    assert bank_details.read(row).number == "6214831234567890"


# Adjustments


def test_an_adjustment_is_posted_when_a_second_person_agrees(
    account: Account, maker: User, checker: User, point: ServicePoint
) -> None:
    row = adjustments.propose(account=account, amount_minor=500, reason="a broken scanner", by=maker)
    assert not Posting.objects.filter(kind="adjustment").exists()
    fields: dict[str, Any] = {"adjustment": row, "decision": Decision.APPROVED, "now": now()}
    assert refusal(adjustments.decide, by=maker, **fields) == "same_person"
    assert refusal(adjustments.decide, by=factories.make_member(point), **fields) == "own_account"
    adjustments.decide(by=checker, **fields)
    assert refusal(adjustments.decide, by=checker, **fields) == "decided"
    close(month_after(1), days=80)
    assert Statement.objects.get(settlement__period=month_after(1), account=account).total_minor == 500
    assert ledger.faults() == []


@pytest.mark.parametrize(
    ("amount", "reason", "refused"), [(0, "x", "amount"), (-5, "x", "amount"), (5, " ", "no_reason")]
)
def test_an_adjustment_gives_and_says_why(
    account: Account, maker: User, amount: int, reason: str, refused: str
) -> None:
    assert refusal(adjustments.propose, account=account, amount_minor=amount, reason=reason, by=maker) == refused


def test_a_rejected_adjustment_posts_nothing(account: Account, maker: User, checker: User) -> None:
    row = adjustments.propose(account=account, amount_minor=500, reason="why not", by=maker)
    adjustments.decide(adjustment=row, decision=Decision.REJECTED, by=checker, now=now())
    assert not Posting.objects.filter(kind="adjustment").exists()


# What the database refuses, whoever asks

ATTACKS = {
    "a batch that its maker approves": (
        "UPDATE pickup_payoutbatch SET decision = 'approved', decided_by_id = made_by_id, decided_at = now()",
        "payout_batch_two_people",
    ),
    "an adjustment that its maker approves": (
        "UPDATE pickup_adjustment SET decision = 'approved', decided_by_id = made_by_id, decided_at = now()",
        "adjustment_two_people",
    ),
    "an approval without anybody": (
        "UPDATE pickup_adjustment SET decision = 'approved'",
        "adjustment_decision_is_whole|ends once",
    ),
    "a payout that nobody approved": ("UPDATE pickup_payout SET state = 'approved'", "a second person approves first"),
    "a payout that jumps": ("UPDATE pickup_payout SET state = 'sending'", "does not move"),
    "another amount": ("UPDATE pickup_payout SET amount_minor = 1", "keeps what it is"),
    "another account": ("UPDATE pickup_payout SET end_to_end_id = 'X'", "keeps what it is"),
    "a payout that is gone": ("DELETE FROM pickup_payout", "keeps what it is"),
    "emptied payouts": ("TRUNCATE pickup_payout CASCADE", "only ever added"),
    "emptied runs": ("TRUNCATE pickup_payoutbatch CASCADE", "only ever added"),
    "another step": ("UPDATE pickup_payoutstep SET note = 'x'", "only ever added"),
    "bank details rewritten": ("UPDATE pickup_bankdetails SET shown = 'x'", "ends once"),
    "bank details approved long ago": (
        """UPDATE pickup_bankdetails SET decision = 'approved', decided_at = now() - interval '80 hours',
           decided_by_id = (SELECT max(id) FROM network_user) WHERE decision = ''""",
        "database's clock",
    ),
    "bank details that begin approved": (
        """INSERT INTO pickup_bankdetails (account_id, box, shown, made_by_id, decision, decided_by_id, decided_at,
                                           reason)
           SELECT account_id, box, shown, made_by_id, 'approved', decided_by_id, decided_at, ''
           FROM pickup_bankdetails WHERE decision = 'approved' LIMIT 1""",
        "begins unsigned",
    ),
    "a second payout of the statement": (
        """INSERT INTO pickup_payout (batch_id, statement_id, account_id, details_id, amount_minor, currency,
                                      end_to_end_id, state)
           SELECT batch_id, statement_id, account_id, details_id, amount_minor, currency, 'another', 'draft'
           FROM pickup_payout""",
        "payout_one_of_a_statement",
    ),
    "a payout of more than is owed": (
        """INSERT INTO pickup_payout (batch_id, statement_id, account_id, details_id, amount_minor, currency,
                                      end_to_end_id, state)
           SELECT batch_id, statement_id, account_id, details_id, amount_minor + 1, currency, 'another', 'draft'
           FROM pickup_payout""",
        "a draft of what its statement owes",
    ),
    "money without a paper": (
        """INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                                       reason, payable_at)
           SELECT 'adjustment:0', 'adjustment', debit_id, debit_kind, credit_id, credit_kind, 5, currency, 'x', now()
           FROM pickup_posting WHERE kind = 'point_fee'""",
        "a paper that two people signed",
    ),
    "a posting of last month": (
        """INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                                       handover_id, tariff_id, reason, payable_at, recorded_at)
           SELECT 'again', kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency, handover_id,
                  tariff_id, '', payable_at, recorded_at - interval '31 days' FROM pickup_posting
           WHERE kind = 'point_fee'""",
        "database's clock",
    ),
    "another owner of an account": ("UPDATE pickup_account SET currency = 'EUR'", "only ever added"),
}


@pytest.mark.parametrize(("statement", "words"), ATTACKS.values(), ids=ATTACKS.keys())
def test_the_database_refuses(account: Account, maker: User, statement: str, words: str) -> None:
    draft(maker)
    adjustments.propose(account=account, amount_minor=500, reason="why", by=maker)
    bank_details.propose(account=account, details=bank_details.Details("李四", "12345678", "银行"), by=maker)
    with as_owner(), connection.cursor() as cursor:  # the roles are refused before: tests/faults/test_attacks.py
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(DatabaseError, match=words), transaction.atomic():
            cursor.execute(statement)
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def test_payouts_are_sealed_with_all_their_steps(account: Account, maker: User, checker: User) -> None:
    sending(maker, checker)
    factories.seal(now=now())
    assert seals.faults(now=now()) == []
    assert set(seals.waiting()) == set()
    assert Adjustment.objects.count() == 0
    assert settlements.end_of(this_month()) > now()
