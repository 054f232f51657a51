"""The pages of money in a real browser: a payee looks and objects, two people approve, a file goes to the bank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Permission
from django.utils.timezone import now
from playwright.sync_api import Browser, BrowserContext, Page, expect

from network.models import ServicePoint, User
from pickup.models import Account, BankTemplate, Payout, Statement
from tests import factories
from tests.browser.conftest import PATIENCE_MS, enter_as, fits, listen
from tests.pickup.test_settlements import close, this_month
from tests.world import AREAS

pytestmark = pytest.mark.django_db(transaction=True)
PHONE, DESK = (360, 800), (1440, 900)


@dataclass
class Books:
    point: ServicePoint
    owner: User
    maker: User
    checker: User
    template: BankTemplate
    statement: Statement


@pytest.fixture
def books() -> Books:
    """A closed and sealed month of a shop and its district's agent, with nobody's bank account yet."""
    factories.make_chain()
    point = factories.make_point(name="科苑路便利店 Corner Shop")
    scanner = factories.scanner_of(point)
    for _ in range(3):
        factories.pick_up(scanner, factories.make_ready_parcel(scanner, point))
    close(this_month())
    factories.seal(now=now())
    told = [codename.split(".")[1] for codename in AREAS["staff-money"]]
    rights = Permission.objects.filter(codename__in=[*told, "change_adjustment"], content_type__app_label="pickup")
    maker, checker = (factories.make_user(is_staff=True) for _ in range(2))
    for person in (maker, checker):
        person.user_permissions.set(rights)
    statement = Statement.objects.get(account__service_point=point)
    return Books(point, factories.make_member(point), maker, checker, factories.make_template("pain.001"), statement)


@pytest.fixture
def opened(browser: Browser, live_server: Any) -> Iterator[Any]:
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def as_(user: User, screen: tuple[int, int] = DESK, locale: str = "en-GB") -> Page:
        context = browser.new_context(
            viewport={"width": screen[0], "height": screen[1]}, locale=locale, base_url=live_server.url
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        enter_as(context, user, live_server.url)
        page = context.new_page()
        listen(page, complaints)
        return page

    yield as_
    for context in contexts:
        context.close()
    assert complaints == []


def looks_right(page: Page, shots: Path, name: str) -> None:
    """Nothing hangs over, nothing that a reader with other means would miss; and a picture to look at."""
    page.screenshot(path=shots / f"{name}.png", full_page=True)
    assert fits(page), f"{name} is wider than its window"
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_payee_reads_a_statement_and_objects_to_a_line(books: Books, opened: Any, tmp_path: Path) -> None:
    page = opened(books.owner, PHONE)
    page.goto("/money/")
    page.get_by_role("link", name="Corner Shop").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Statement")
    expect(page.locator("table.account tr.total")).to_contain_text("60.00 CNY")
    looks_right(page, tmp_path, "statement-phone-en")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as PDF").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
    page.get_by_role("link", name="Look").first.click()
    page.get_by_label("Your words").fill("This parcel was not mine.")
    page.get_by_role("button", name="Object to this line").click()
    expect(page.locator(".thread")).to_contain_text("not mine")
    looks_right(page, tmp_path, "line-phone-en")

    other = opened(books.checker, DESK, "zh-CN")
    other.goto(page.url.replace("#", ""))
    other.locator("textarea").fill("已核对，退回。")
    other.locator("button[value=reversed]").click()
    expect(other.locator(".thread")).to_contain_text("已核对")
    looks_right(other, tmp_path, "line-desk-zh")
    other.goto(f"/money/statements/{books.statement.pk}/")
    looks_right(other, tmp_path, "statement-desk-zh")
    other.goto("/money/cases/")
    looks_right(other, tmp_path, "cases-desk-zh")


def test_a_bank_account_is_changed_by_two(books: Books, opened: Any, tmp_path: Path) -> None:
    account = Account.objects.get(service_point=books.point)
    page = opened(books.owner, PHONE, "zh-CN")
    page.goto("/money/bank/")
    page.locator(f'a[href="/money/bank/{account.pk}/"]').click()
    page.locator("#id_holder").fill("李四")
    page.locator("#id_number").fill("6214 8312 3456 7890")
    page.locator("#id_bank").fill("招商银行")
    looks_right(page, tmp_path, "account-phone-zh")
    page.locator("button.main").click()
    expect(page.locator("main")).to_contain_text("····7890")
    looks_right(page, tmp_path, "bank-phone-zh")

    other = opened(books.checker)
    other.goto("/money/bank/")
    other.locator('a[href*="/proposals/"]').first.click()
    expect(other.locator("dl")).to_contain_text("6214831234567890")
    looks_right(other, tmp_path, "proposal-desk-en")
    other.get_by_role("button", name="Approve").click()
    expect(other.locator("main")).to_contain_text("····7890")
    looks_right(other, tmp_path, "bank-desk-en")
    other.goto("/money/payouts/")
    expect(other.locator("main")).to_contain_text("72 hours")
    looks_right(other, tmp_path, "payouts-held-desk-en")


def test_a_run_is_drafted_approved_sent_and_told_by_the_bank(books: Books, opened: Any, tmp_path: Path) -> None:
    factories.make_bank_details(Account.objects.get(service_point=books.point))
    page = opened(books.maker)
    page.goto("/money/payouts/")
    looks_right(page, tmp_path, "payouts-desk-en")
    page.locator("select#id_template").select_option(str(books.template.pk))
    page.get_by_role("button", name="Draft a run").click()
    expect(page.locator("main")).to_contain_text("another person approves it")
    looks_right(page, tmp_path, "run-draft-desk-en")

    other = opened(books.checker, PHONE, "zh-CN")
    other.goto(page.url)
    other.locator("button[value=approve]").click()
    other.locator("button[value=file]").click()
    expect(other.locator(".look.sending").first).to_be_visible()
    looks_right(other, tmp_path, "run-sending-phone-zh")
    payout = Payout.objects.get()

    page.goto("/money/payouts/")
    answer = f"end_to_end_id,status,reason\n{payout.end_to_end_id},RJCT,closed account\n".encode()
    page.locator("input[type=file]").set_input_files({"name": "r.csv", "mimeType": "text/csv", "buffer": answer})
    page.locator("form:has(input[type=file]) button").click()
    payout.refresh_from_db()
    assert payout.state == "failed"
    looks_right(page, tmp_path, "results-desk-en")
    other.reload()
    expect(other.locator(".look.failed").first).to_be_visible()
    looks_right(other, tmp_path, "run-failed-phone-zh")


def test_the_months_and_whether_the_books_agree(books: Books, opened: Any, tmp_path: Path) -> None:
    for screen, locale, name in ((PHONE, "zh-CN", "phone-zh"), (DESK, "en-GB", "desk-en")):
        page = opened(books.maker, screen, locale)
        page.goto("/money/")
        expect(page.locator("main")).to_contain_text("0 / 0")
        looks_right(page, tmp_path, f"money-{name}")
        page.get_by_role("link", name=this_month()).first.click()
        looks_right(page, tmp_path, f"settlement-{name}")
        page.goto("/money/adjustments/")
        looks_right(page, tmp_path, f"adjustments-{name}")
