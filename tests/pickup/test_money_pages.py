"""The pages under /money/: admins see all, payees what is theirs, everybody else nothing."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import openpyxl
import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.timezone import now

from network.models import ServicePoint, User
from pickup import cases, ledger, payouts, statement_pdf, statements
from pickup.models import (
    Account,
    Adjustment,
    Arrival,
    BankDetails,
    CaseNote,
    Handover,
    LineCase,
    Payout,
    PayoutBatch,
    Posting,
    Settlement,
    Statement,
    StatementLine,
    Tariff,
)
from tests import factories
from tests.factories import make_bank_details, make_member, make_point, make_template, make_user
from tests.pickup.test_settlements import a_pickup, close, month_after, this_month

pytestmark = pytest.mark.django_db

RIGHTS = (
    *("view_statement", "view_posting", "view_parcel", "view_linecase", "change_linecase", "view_bankdetails"),
    *("change_bankdetails", "view_adjustment", "add_adjustment", "change_adjustment", "view_payoutbatch"),
    *("add_payoutbatch", "change_payoutbatch", "view_tariff"),
)


def make_admin(*rights: str) -> User:
    admin = make_user(is_staff=True)
    admin.user_permissions.set(Permission.objects.filter(codename__in=rights or RIGHTS))
    return admin


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner shop")


@pytest.fixture
def owner(point: ServicePoint) -> User:
    return make_member(point, name="Owner")


@pytest.fixture
def month(point: ServicePoint, owner: User) -> Settlement:
    a_pickup(point)
    return close(this_month())


@pytest.fixture
def statement(month: Settlement, point: ServicePoint) -> Statement:
    return Statement.objects.get(account__service_point=point)


def as_user(user: User) -> Client:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(user)
    return client


def get(user: User, name: str, *args: Any) -> Any:
    return as_user(user).get(reverse(name, args=args))


def post(user: User, name: str, *args: Any, **fields: Any) -> Any:
    return as_user(user).post(reverse(name, args=args), fields, follow=True)


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def test_an_admin_sees_the_closed_months_and_that_the_books_agree(month: Settlement) -> None:
    text = text_of(get(make_admin(), "money"))
    assert this_month() in text
    assert "0 / 0" in text
    assert "30.00 CNY" in text


def test_a_pickup_that_is_undone_without_taking_its_fees_back_is_counted(month: Settlement) -> None:
    assert "0 / 0" in text_of(get(make_admin(), "money-settlement", month.pk))
    Handover.objects.update(undone_by=Arrival.objects.get().scan_id)
    assert statements.match() == statements.Match(0, 6)
    assert "0 / 6" in text_of(get(make_admin(), "money"))


def test_a_pickup_without_fee_is_counted(point: ServicePoint) -> None:
    Tariff.objects.update(point_fee_minor=0)
    a_pickup(point)
    assert statements.match().agrees
    with factories.guard_off("pickup_tariff", "frozen"):
        Tariff.objects.update(point_fee_minor=2000)
    assert statements.match() == statements.Match(1, 0)


def test_a_payee_sees_the_own_statements_only(statement: Statement, owner: User) -> None:
    text = text_of(get(owner, "money"))
    assert "Corner shop" in text
    assert "0 / 0" not in text
    assert text_of(get(owner, "money-statement", statement.pk)).count("20.00") >= 3
    other = Statement.objects.exclude(pk=statement.pk).first()
    assert other is not None
    assert get(owner, "money-statement", other.pk).status_code == 404
    assert get(owner, "money-statement-pdf", other.pk).status_code == 404
    assert get(owner, "money-settlement", statement.settlement_id).status_code == 404


@pytest.mark.parametrize("name", ["money", "money-bank", "money-payouts", "money-adjustments", "money-cases"])
def test_a_stranger_finds_nothing(month: Settlement, name: str) -> None:
    assert get(make_user(), name).status_code == 404
    assert get(make_user(is_staff=True), name).status_code == 404
    assert Client().get(reverse(name)).status_code == 302


@pytest.mark.parametrize("name", ["money-payouts", "money-adjustments", "money-cases"])
def test_pages_of_admins_do_not_exist_for_payees(month: Settlement, owner: User, name: str) -> None:
    assert get(owner, name).status_code == 404
    assert get(make_admin("view_statement"), name).status_code == 404


def test_the_summary_adds_up_to_the_total(statement: Statement, point: ServicePoint) -> None:
    ledger.reverse(Posting.objects.get(line__statement=statement), reason="invented")
    close(month_after(1), days=80)
    a_pickup(point)
    close(month_after(2), days=110)
    for row in Statement.objects.filter(account__service_point=point).order_by("id"):
        summary = statement_pdf.account_of(row, statements.sums(row))
        assert sum(amount for _, amount in summary[1:-1]) == summary[-1][1] == row.total_minor
    assert [row.total_minor for row in Statement.objects.filter(account__service_point=point).order_by("id")] == [
        *(2000, -2000, 0),
    ]


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_statement_is_a_pdf_in_both_languages(statement: Statement, owner: User, language: str) -> None:
    client = Client(headers={"Accept-Language": language})
    client.force_login(owner)
    answer = client.get(reverse("money-statement-pdf", args=[statement.pk]))
    assert answer["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert b"FontFile" in answer.content  # embedded: it reads the same everywhere
    assert len(answer.content) < 200_000


def test_our_own_font_serves_where_the_system_has_none(statement: Statement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_pdf, "font", lambda: (statement_pdf.OWN_FONT, 0))
    with translation.override("zh-hans"):
        assert statement_pdf.pdf(statement, now=now()).startswith(b"%PDF-")


def test_a_long_statement_shows_its_days(statement: Statement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_pdf, "MOST_LINES", 0)
    assert statement_pdf.pdf(statement, now=now()).startswith(b"%PDF-")


def test_a_statement_is_a_spreadsheet(statement: Statement, owner: User) -> None:
    fields = {"name": "money-statement", "form": "xlsx", "query": f"statement={statement.pk}"}
    answer: Any = as_user(owner).post(reverse("export-new"), fields)
    sheet = openpyxl.load_workbook(BytesIO(b"".join(answer))).active
    assert sheet is not None
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert [row[2] for row in rows[1:]] == [
        *("Opening balance", "Carried over from before", "handling fee", "Total of this statement"),
    ]
    assert [float(str(row[3])) for row in rows[1:]] == [0, 0, 20, 20]
    assert as_user(make_user()).post(reverse("export-new"), fields).status_code == 404


# Objections


def test_an_objection_becomes_a_case_with_a_thread_that_ends_in_a_reversal(
    statement: Statement, owner: User, point: ServicePoint
) -> None:
    admin = make_admin()
    line = StatementLine.objects.get(statement=statement)
    assert "Object to this line" in text_of(get(owner, "money-line", line.pk))
    post(owner, "money-line", line.pk, action="open", text="I was closed that day")
    post(admin, "money-line", line.pk, action="say", text="Who had the phone?")
    post(owner, "money-line", line.pk, action="say", text="Nobody")
    answer = post(admin, "money-line", line.pk, action="reversed", text="The camera shows nobody")
    assert "the fee is given back" in text_of(answer)
    case = LineCase.objects.get()
    assert (case.outcome, case.reversal) == ("reversed", Posting.objects.get(kind="reversal"))
    assert CaseNote.objects.count() == 4
    close(month_after(1), days=80)
    assert Statement.objects.filter(account__service_point=point).order_by("-id")[0].total_minor == -2000
    assert ledger.faults() == []


def test_a_line_that_stands_stands(statement: Statement, owner: User) -> None:
    line = StatementLine.objects.get(statement=statement)
    post(owner, "money-line", line.pk, action="open", text="Is that all?")
    post(make_admin(), "money-line", line.pk, action="stands", text="The tariff says 20.00")
    assert LineCase.objects.get().outcome == "stands"
    assert not Posting.objects.filter(kind="reversal").exists()
    assert "This case is over" in text_of(post(owner, "money-line", line.pk, action="open", text="but"))


def test_only_the_payee_objects_and_only_a_right_decides(
    statement: Statement, owner: User, point: ServicePoint
) -> None:
    line = StatementLine.objects.get(statement=statement)
    clerk = make_member(point, "clerk")
    assert post(clerk, "money-line", line.pk, action="open", text="x").status_code == 404
    assert post(make_user(), "money-line", line.pk, action="open", text="x").status_code == 404
    post(owner, "money-line", line.pk, action="open", text="why?")
    assert post(owner, "money-line", line.pk, action="reversed", text="x").status_code == 403
    assert post(make_admin("view_statement"), "money-line", line.pk, action="stands", text="x").status_code == 403
    assert LineCase.objects.get().outcome == ""


def test_an_admin_who_owns_the_shop_decides_nothing_there(
    statement: Statement, point: ServicePoint, owner: User
) -> None:
    line = StatementLine.objects.get(statement=statement)
    post(owner, "money-line", line.pk, action="open", text="why?")
    other_owner = make_admin()
    other_owner.memberships.create(service_point=point, role="owner")
    with pytest.raises(cases.Refused, match="own_account"):
        cases.decide(
            case=LineCase.objects.get(), outcome=LineCase.Outcome.REVERSED, reason="mine", by=other_owner, now=now()
        )


def test_a_reversal_line_is_not_reversed(statement: Statement, owner: User, point: ServicePoint) -> None:
    ledger.reverse(Posting.objects.get(line__statement=statement), reason="invented")
    close(month_after(1), days=80)
    line = StatementLine.objects.get(posting__kind="reversal")
    case = cases.open_case(line=line, text="It was real", by=owner)
    with pytest.raises(cases.Refused, match="not_a_fee"):
        cases.decide(case=case, outcome=LineCase.Outcome.REVERSED, reason="x", by=make_admin(), now=now())
    assert CaseNote.objects.count() == 1


# Bank accounts and payouts, from page to page


def test_money_goes_all_the_way_through_the_pages(statement: Statement, owner: User) -> None:
    account = statement.account
    maker, checker = make_admin(), make_admin()
    told = {"holder": "王小明", "number": "6214 8312 3456 7890", "bank": "招商银行", "code": ""}
    post(owner, "money-account", account.pk, **told)
    proposal = BankDetails.objects.get()
    assert "6214831234567890" not in text_of(get(owner, "money-bank"))
    assert get(owner, "money-proposal", proposal.pk).status_code == 404
    assert "6214831234567890" in text_of(get(checker, "money-proposal", proposal.pk))
    post(checker, "money-proposal", proposal.pk, decision="approved")
    assert "the bank account is new" in text_of(get(maker, "money-payouts"))
    BankDetails.objects.get()
    make_bank_details(account)  # 73 hours ago

    template = make_template()
    post(maker, "money-payouts", action="draft", template=template.pk, channel="file")
    batch = PayoutBatch.objects.get()
    assert "another person approves it" in text_of(get(maker, "money-payout", batch.pk))
    assert "A second person must do that" in text_of(post(maker, "money-payout", batch.pk, action="approve"))
    post(checker, "money-payout", batch.pk, action="approve")
    post(checker, "money-payout", batch.pk, action="file")
    first = get(maker, "money-payout-file", batch.pk)
    assert first.content == get(checker, "money-payout-file", batch.pk).content
    payout = Payout.objects.get()
    assert payout.end_to_end_id.encode() in first.content
    file = SimpleUploadedFile("r.csv", f"end_to_end_id,status\n{payout.end_to_end_id},ACSC\nnobody,ACSC\n".encode())
    answer = text_of(post(maker, "money-payouts", action="results", file=file))
    assert "Paid: 1" in answer
    assert "Row 3, end_to_end_id: no payout has this id" in answer
    assert ledger.balance_minor(account) == 0
    assert "paid" in text_of(get(owner, "money"))


def test_a_file_that_is_none_is_refused_in_words(month: Settlement) -> None:
    for name, content in (
        ("r.csv", b"\xff\xfe"),
        ("r.xml", b"<!DOCTYPE x><a/>"),
        ("r.xml", b"<a>"),
        ("r.csv", b"a,b\n"),
    ):
        answer = post(make_admin(), "money-payouts", action="results", file=SimpleUploadedFile(name, content))
        assert "This is no result file" in text_of(answer)


def test_a_proposal_that_no_bank_takes_says_which_field(statement: Statement, owner: User) -> None:
    answer = post(owner, "money-account", statement.account_id, holder="王", number="12", bank="x", code="")
    assert answer.status_code == 400
    assert "This is no account number" in text_of(answer)


def test_a_clerk_neither_sees_nor_changes_the_bank_account(statement: Statement, point: ServicePoint) -> None:
    clerk = make_member(point, "clerk")
    assert get(clerk, "money-account", statement.account_id).status_code == 404
    assert "Corner shop" not in text_of(get(clerk, "money-bank"))


def test_whoever_may_only_look_changes_nothing(statement: Statement) -> None:
    looks = make_admin("view_statement", "view_payoutbatch", "view_adjustment", "view_bankdetails")
    make_bank_details(statement.account)
    batch = payouts.draft(
        currency="CNY", template=make_template(), channel=PayoutBatch.Channel.FILE, by=make_user(), now=now()
    )
    assert post(looks, "money-payouts", action="draft").status_code == 403
    assert post(looks, "money-payouts", action="results").status_code == 403
    assert post(looks, "money-payout", batch.pk, action="approve").status_code == 403
    assert post(looks, "money-adjustments", action="propose").status_code == 403
    assert post(looks, "money-proposal", BankDetails.objects.get().pk, decision="approved").status_code == 403
    assert get(looks, "money-payout-file", batch.pk).status_code == 404


def test_a_correction_is_proposed_and_approved_on_its_page(statement: Statement, point: ServicePoint) -> None:
    maker, checker = make_admin(), make_admin()
    post(maker, "money-adjustments", action="propose", payee=point.ref, amount="5.00", reason="a broken scanner")
    row = Adjustment.objects.get()
    assert (row.amount_minor, row.account) == (500, Account.objects.get(service_point=point))
    assert "Somebody else must decide" in text_of(
        post(maker, "money-adjustments", action="approved", adjustment=row.pk)
    )
    post(checker, "money-adjustments", action="approved", adjustment=row.pk)
    assert Posting.objects.get(kind="adjustment").amount_minor == 500


@pytest.mark.parametrize(
    "fields", [{"payee": "nobody"}, {"amount": "-1"}, {"amount": "0"}, {"amount": "0.001"}, {"reason": " "}]
)
def test_a_bad_correction_is_refused_at_its_field(statement: Statement, point: ServicePoint, fields: Any) -> None:
    good = {"payee": point.ref, "amount": "5.00", "reason": "why"}
    answer = post(make_admin(), "money-adjustments", action="propose", **(good | fields))
    assert answer.status_code == 400
    assert not Adjustment.objects.exists()
