"""A database that is away or too slow: every page and every script is told to come back, and nothing fails."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from pickup.api import errors
from pickup.config import urls
from tests.test_matrix import Asker, path_to, table
from tests.world import World, make_world

pytestmark = pytest.mark.django_db

ASKING = ("owner", "phone", "agent", "superuser", "device", "merchant", "recipient", "nobody")


class Stumbling:
    """Answers so many questions, then not the next one, or none from then on; counts what it is asked."""

    def __init__(self, *, answered: int = 0, for_ever: bool = False) -> None:
        self.asked, self.answered, self.for_ever = 0, answered, for_ever

    def __call__(self, execute: Any, sql: Any, *rest: Any) -> Any:
        self.asked += 1
        if self.asked == self.answered + 1 or (self.for_ever and self.asked > self.answered):
            raise OperationalError("the connection is lost")
        return execute(sql, *rest)


@pytest.fixture
def world() -> World:
    return make_world()


class Browser:
    """What one role asks for, as a browser does."""

    def __init__(self, role: str, world: World) -> None:
        asker = Asker(role, world)
        self.client = Client(raise_request_exception=False)
        self.client.cookies.load(asker.cookies)
        self.headers = {**asker.headers, "Accept": "text/html,*/*"}

    def ask(self, method: str, address: str, database: Any) -> Any:
        before = transaction.savepoint()
        with connection.execute_wrapper(database):
            answer = self.client.generic(method, address, headers=self.headers)
            if answer.streaming:
                b"".join(answer)
        transaction.set_rollback(False)
        transaction.savepoint_rollback(before)
        return answer


@pytest.mark.parametrize("role", ASKING)
def test_no_address_fails_while_the_database_is_away(world: World, role: str) -> None:
    browser, wrong, told = Browser(role, world), [], 0
    for address, target, method in table():
        database = Stumbling(for_ever=True)
        answer = browser.ask(method, path_to(address, target, world), database)
        if database.asked and (answer.status_code != 503 or "Retry-After" not in answer.headers):
            wrong.append(f"{method} {address}: {answer.status_code}")
        told += answer.status_code == 503
    assert wrong == []
    assert told


@pytest.mark.parametrize("role", ASKING)
def test_no_address_fails_when_the_database_stumbles_in_the_midst_of_it(world: World, role: str) -> None:
    browser, wrong, told = Browser(role, world), [], 0
    for address, target, method in table():
        if target not in ("-", "own"):
            continue
        asked = path_to(address, target, world)
        whole = Stumbling(answered=10**6)
        browser.ask(method, asked, whole)
        for answered in sorted({whole.asked // 2, whole.asked - 1} - {-1, 0}):
            answer = browser.ask(method, asked, Stumbling(answered=answered))
            if answer.status_code >= 500 and (answer.status_code != 503 or "Retry-After" not in answer.headers):
                wrong.append(f"{method} {address} after {answered} of {whole.asked}: {answer.status_code}")
            told += answer.status_code == 503
    assert wrong == []
    assert told


def test_control_without_the_words_for_it_pages_fail(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "AwayMiddleware" not in name]
    monkeypatch.setattr(urls, "handler500", errors.failed)
    answer = Browser("owner", world).ask("GET", f"/counter/{world.own.point.pk}/", Stumbling(for_ever=True))
    assert answer.status_code == 500


def test_a_browser_gets_a_page_and_a_script_gets_json() -> None:
    database = Stumbling(for_ever=True)
    with connection.execute_wrapper(database):
        client = Client(raise_request_exception=False)
        client.cookies.load({"sessionid": "x" * 32})
        page = client.get("/counter/", headers={"Accept": "text/html,*/*"})
        told = client.get("/counter/", headers={"Accept": "*/*"})
        sent = client.post("/counter/1/scans", "{}", content_type="application/json")
    assert "再试" in page.content.decode()
    assert "Try again" in page.content.decode()
    assert page["Cache-Control"] == "no-store"
    assert [told.status_code, told.json()["error"]["code"]] == [503, "busy"]
    assert [sent.status_code, sent.json()["error"]["code"]] == [503, "busy"]
