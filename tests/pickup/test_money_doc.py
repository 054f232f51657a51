"""docs/money.md: each example is played, and its figures are those of the page, letter by letter."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation
from django.utils.timezone import now

from network.models import Level, ServicePoint
from pickup import adjustments, cases, disputes, ledger, payouts, scanning, statement_pdf, statements
from pickup.models import Account, Decision, Dispute, LineCase, Parcel, Payout, PayoutBatch, Posting, Statement
from pickup.scans import Scanner
from tests import factories
from tests.factories import make_bank_details, make_point, make_ready_parcel, make_template, make_user, pick_up, scan
from tests.pickup.test_settlements import month_after

pytestmark = pytest.mark.django_db

PAGE = (Path(__file__).parents[2] / "docs" / "money.md").read_text()
EXAMPLES = {
    title: [block.rstrip("\n") for block in re.findall(r"```\n(.*?)```", body, re.DOTALL)]
    for title, body in re.findall(r"^### Example: (.+?)\n(.*?)(?=^#|\Z)", PAGE, re.DOTALL | re.MULTILINE)
}


def row(words: str, amount_minor: int) -> str:
    return f"{words:<34}{ledger.plain(amount_minor, 'CNY'):>12}"


class Shop:
    def __init__(self) -> None:
        self.point: ServicePoint = make_point()
        self.scanner: Scanner = factories.scanner_of(self.point)

    def hands_over(self, count: int = 1, **fields: Any) -> Parcel:
        for _ in range(count):
            parcel = make_ready_parcel(self.scanner, self.point, **fields)
            pick_up(self.scanner, parcel)
        return parcel

    @property
    def account(self) -> Account:
        return Account.objects.get(service_point=self.point)

    def balance(self) -> int:
        return ledger.balance_minor(self.account)

    def closes(self, month: int) -> Statement | None:
        at = now() + timedelta(days=45 + 31 * month)
        settlement = factories.close_period(period=month_after(month), now=at, currency="CNY")
        return Statement.objects.filter(settlement=settlement, account=self.account).first()

    def stated(self, month: int) -> str:
        statement = self.closes(month)
        assert statement is not None
        with translation.override("en"):
            told = statement_pdf.account_of(statement, statements.sums(statement))
        return "\n".join(row(words, amount) for words, amount in told)

    def drafted(self) -> Payout:
        make_bank_details(self.account)
        template, channel = make_template(), PayoutBatch.Channel.FILE
        batch = payouts.draft(currency="CNY", template=template, channel=channel, by=make_user(), now=now())
        payouts.approve(batch=batch, by=make_user(), now=now())
        payouts.make_file(batch=batch, by=None, now=now())
        return batch.payouts.get()

    def paid(self, payout: Payout, to: Payout.State = Payout.State.SENT) -> None:
        payouts.settle(payout=payout, to=to, note="the bank's letter", by=make_user())


@pytest.fixture
def shop() -> Shop:
    return Shop()


def one_pickup(shop: Shop) -> list[str]:
    chain = factories.make_chain()
    held = {
        factories.make_appointment(chain[level]).pk: words
        for level, words in (
            (Level.DISTRICT, "agent of the district"),
            (Level.PROVINCE, "agent of the province"),
            (Level.MACRO, "agent of the macro-region"),
        )
    }
    shop.hands_over(region_ids=factories.chain_ids(chain))
    return [
        "\n".join(
            row(held[one.appointment_id] if one.appointment_id else "service point", one.amount_minor)
            for one in Posting.objects.order_by("id")
        )
    ]


def contested(shop: Shop) -> list[str]:
    dispute = disputes.open_dispute(shop.hands_over())
    shop.hands_over()
    told = shop.stated(0)
    upheld = Dispute.Outcome.UPHELD
    disputes.resolve(dispute, outcome=upheld, reason="abroad", by=make_user(), now=now() + timedelta(hours=1))
    assert shop.closes(1) is None
    return [told]


def three(shop: Shop) -> list[str]:
    shop.hands_over(3)
    return [shop.stated(0)]


def undone(shop: Shop) -> list[str]:
    scanning.record(shop.scanner, scan("undo", shop.hands_over(2)))
    return [shop.stated(0)]


def late(shop: Shop) -> list[str]:
    shop.hands_over()
    shop.closes(0)
    shop.hands_over()
    return [shop.stated(1)]


def debt(shop: Shop) -> list[str]:
    shop.hands_over()
    shop.closes(0)
    shop.paid(shop.drafted())
    ledger.reverse(Posting.objects.get(kind="point_fee"), reason="invented")
    second = shop.closes(1)
    assert second is not None
    assert second.total_minor == -2000
    shop.hands_over(3)
    return [shop.stated(2)]


def objection(shop: Shop) -> list[str]:
    shop.hands_over(2)
    statement = shop.closes(0)
    assert statement is not None
    owner = factories.make_member(shop.point)
    case = cases.open_case(line=statement.lines.all()[0], text="we were closed that day", by=owner)
    cases.decide(case=case, outcome=LineCase.Outcome.REVERSED, reason="the camera shows it", by=make_user(), now=now())
    return [shop.stated(1)]


def correction(shop: Shop) -> list[str]:
    shop.hands_over()
    shop.closes(0)
    told = adjustments.propose(account=shop.account, amount_minor=1500, reason="a broken scanner", by=make_user())
    adjustments.decide(adjustment=told, decision=Decision.APPROVED, by=make_user(), now=now())
    return [shop.stated(1)]


def returned(shop: Shop) -> list[str]:
    shop.hands_over()
    shop.closes(0)
    steps = [row("stated", shop.balance())]
    payout = shop.drafted()
    shop.paid(payout)
    steps.append(row("paid", shop.balance()))
    shop.paid(payout, Payout.State.FAILED)
    steps.append(row("returned", shop.balance()))
    shop.paid(shop.drafted())
    steps.append(row("paid again, to another account", shop.balance()))
    shop.hands_over()
    return ["\n".join(steps), shop.stated(1)]


PLAYED = {
    "one pickup": one_pickup,
    "a pickup that the recipient contests": contested,
    "a month with three pickups": three,
    "a hand-over that the clerk undid": undone,
    "a pickup that came late": late,
    "a debt that is carried over": debt,
    "a line that its payee disputes": objection,
    "a correction of 15.00": correction,
    "a payout that comes back": returned,
}


@pytest.mark.parametrize("title", PLAYED)
def test_an_example_is_what_happens(shop: Shop, title: str) -> None:
    assert PLAYED[title](shop) == EXAMPLES[title]
    assert ledger.faults() == []


def test_every_example_of_the_page_is_played() -> None:
    assert set(EXAMPLES) == set(PLAYED)


def test_control_other_figures_would_be_noticed(shop: Shop) -> None:
    shop.hands_over(2)
    assert [shop.stated(0)] != EXAMPLES["a month with three pickups"]
