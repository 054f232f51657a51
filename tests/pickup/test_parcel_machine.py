"""A parcel and its money, whatever is done to them in whatever order: hypothesis tries, the invariants hold.

I3, I4 and I6 (hand-overs, fees, arrivals) are looked for by `ledger.faults`; I5 (an answer is repeated) by sending
scans again; I14 (only legal steps) against the table; I15 (the sum is zero) with what a model of its own says.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from django.db import connection, transaction
from django.utils.timezone import now
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from network.models import Level
from pickup import disputes, holding, ledger, orders, parcels, releases, scanning
from pickup.models import Account, Dispute, ManualRelease, Parcel, Posting
from pickup.scans import ScanRequest
from tests import factories
from tests.factories import code_of, scan, token_of

Status = Parcel.Status
WHICH = st.integers(0, 1)  # two parcels of one shop: what happens to one is nothing to the other
REACHED = {
    before: after | {last for between in after for last in parcels.FOLLOWS[between]}
    for before, after in parcels.FOLLOWS.items()
}  # a return of an overdue parcel takes two steps at once


class ParcelAndItsMoney(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone._from_testcase = True  # type: ignore[attr-defined]
        self.undone.__enter__()
        chain = factories.make_chain()
        for level in (Level.DISTRICT, Level.CITY, Level.PROVINCE, Level.MACRO):
            factories.make_appointment(chain[level])
        self.point = factories.make_point()
        self.scanner = factories.scanner_of(self.point)
        self.judge = factories.make_user(is_staff=True)
        ids = factories.chain_ids(chain)
        self.parcels = [factories.make_parcel(self.point, region_ids=ids) for _ in range(2)]
        self.before: list[str] = [Status.EXPECTED] * 2
        self.earns = [False, False]  # whether the parcel's standing hand-over has fees that stand
        self.asked: list[tuple[ScanRequest, dict[str, Any]]] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    def do(self, which: int, kind: str, **fields: Any) -> str:
        request = scan(kind, self.parcels[which], **fields)
        answer = scanning.record(self.scanner, request)
        self.asked.append((request, dict(answer.content)))
        return answer.verdict

    def reread(self, which: int) -> Parcel:
        parcel = self.parcels[which]
        parcel.refresh_from_db()
        return parcel

    def is_here(self, which: int) -> bool:
        return self.reread(which).status in parcels.HERE

    # What a shop does

    @rule(which=WHICH)
    def arrive(self, which: int) -> None:
        was_expected = self.reread(which).status == Status.EXPECTED
        assert (self.do(which, "arrival") == "ok") == was_expected

    @rule(which=WHICH, typed=st.booleans())
    def hand_over(self, which: int, typed: bool) -> None:
        parcel = self.reread(which)
        if parcel.hold_until is None:
            proof = {"code": "12345678"}
        else:
            proof = {"code": code_of(parcel)} if typed else {"token": token_of(parcel)}
        could = parcel.status in parcels.HERE
        verdict = self.do(which, "pickup", **proof)
        locked = typed and verdict == "code_locked"
        assert (verdict in ("ok", "expired_but_here")) == (could and not locked)
        self.earns[which] |= could and not locked

    @rule(which=WHICH)
    def show_a_wrong_code(self, which: int) -> None:
        if self.reread(which).hold_until is not None:
            code = factories.wrong_code_for(self.parcels[which])
            assert self.do(which, "pickup", code=code) not in ("ok", "expired_but_here")

    @rule(which=WHICH)
    def undo(self, which: int) -> None:
        if self.do(which, "undo", reason="the wrong one") == "ok":
            self.earns[which] = False

    @rule(which=WHICH)
    def send_back(self, which: int) -> None:
        self.do(which, "return")

    @rule(which=WHICH)
    def find_it_damaged(self, which: int) -> None:
        self.do(which, "damaged")

    @rule(which=WHICH)
    def report_it_lost(self, which: int) -> None:
        if self.reread(which).status in parcels.HELD:
            with transaction.atomic():
                parcels.move(self.parcels[which], to=Status.LOST)

    @rule(which=WHICH, decision=st.sampled_from([*ManualRelease.Decision]))
    def release_without_proof(self, which: int, decision: ManualRelease.Decision) -> None:
        before = ManualRelease.objects.count()
        could = self.is_here(which)
        request = scan("pickup", self.parcels[which])
        releases.release(self.scanner, request, reason="no_phone", note="", photo=b"a photo")
        if ManualRelease.objects.count() > before:
            assert could
            made = ManualRelease.objects.latest("id")
            releases.decide(made, decision=decision, by=self.judge, now=now())
            self.earns[which] = decision == ManualRelease.Decision.APPROVED

    # What others do, and time

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        try:
            orders.cancel(order=self.parcels[which].order)
        except orders.NotCancellable:
            assert self.reread(which).status not in parcels.HELD

    @rule(which=WHICH)
    def extend(self, which: int) -> None:
        try:
            holding.extend(self.parcels[which], now=now())
        except holding.NotExtended:
            return

    @rule()
    def let_the_storage_time_end(self) -> None:
        holding.expire_overdue(now=now() + timedelta(days=30), limit=10)

    @precondition(lambda self: any(self.earns))
    @rule(which=WHICH, outcome=st.sampled_from([*Dispute.Outcome]))
    def contest(self, which: int, outcome: Dispute.Outcome) -> None:
        parcel = self.reread(which)
        if parcel.status != Status.COLLECTED or parcel.collected_at is None:
            return
        factories.backdate(parcel, collected_at=parcel.collected_at - parcels.UNDO_WITHIN - timedelta(seconds=1))
        dispute = disputes.open_dispute(parcel)
        try:
            disputes.resolve(dispute, outcome=outcome, reason="we asked", by=self.judge, now=now())
        except disputes.Refused:
            return
        if outcome == Dispute.Outcome.UPHELD:
            self.earns[which] = False

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def send_a_scan_again(self, data: st.DataObject) -> None:
        request, told = data.draw(st.sampled_from(self.asked))
        again = scanning.record(self.scanner, request)
        if again.repeated:
            assert again.content == told
        else:  # a refusal that time has mended
            assert told["verdict"] in ("not_arrived", "not_found", "unknown_parcel", "code_locked")
            which = [parcel.barcode for parcel in self.parcels].index(request.barcode)
            self.earns[which] |= request.kind == "pickup" and again.verdict in ("ok", "expired_but_here")
        self.asked = [(request, dict(again.content)) if one[0] == request else one for one in self.asked]

    # What holds after each of them

    @invariant()
    def only_legal_steps(self) -> None:
        for which in (0, 1):
            after = self.reread(which).status
            assert after == self.before[which] or after in REACHED[self.before[which]]
            self.before[which] = after

    @invariant()
    def the_books_are_sound(self) -> None:
        connection.check_constraints()
        assert ledger.faults() == []

    @invariant()
    def money_is_what_the_model_says(self) -> None:
        earned = {account.kind: 0 for account in Account.objects.all()}
        for account in Account.objects.all():
            earned[account.kind] += ledger.balance_minor(account)
        standing = sum(self.earns)
        assert earned.get("point", 0) == 2000 * standing
        assert earned.get("agent", 0) == 1000 * standing
        assert sum(earned.values()) == 0
        assert not Posting.objects.filter(amount_minor__lte=0).exists()


@pytest.mark.django_db
def test_a_parcel_and_its_money(is_long: bool) -> None:
    run_state_machine_as_test(
        ParcelAndItsMoney,
        settings=settings(
            max_examples=400 if is_long else 12,
            stateful_step_count=40 if is_long else 20,
            deadline=None,
            derandomize=not is_long,
            suppress_health_check=[*HealthCheck],
            database=None,
        ),
    )
