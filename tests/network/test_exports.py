"""Lists as files: exact, free of formulas, at once or by a sweep that survives being killed, for their owner only."""

from __future__ import annotations

import csv
import io
import weakref
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from network import exports
from network.models import Export, Level, Region, ServicePoint, User
from network.tables import Cell, Column, csv_parts, no_formula, write_xlsx
from pickup import tasks
from pickup.config.roles import WEB
from pickup.models import Tariff
from tests import factories
from tests.factories import make_member, make_point, make_user
from tests.pickup.test_admin import staff_with
from tests.roles import as_worker, role

State = Export.State
MOMENT = datetime(2026, 11, 20, 4, 0, 5, tzinfo=UTC)
EVIL = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=1", "＝1", '=HYPERLINK("http://evil")']


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.EXPORTS_DIR = tmp_path / "exports"
    return tmp_path / "exports"


@pytest.fixture
def root(db: None, client: Client) -> User:
    user = User.objects.create_superuser("+8613900009999", name="Root")
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return user


def read_csv(body: bytes) -> list[list[str]]:
    text = body.decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:], newline="")))


def ask(client: Client, name: str, form: str = "csv", query: str = "") -> Any:
    return client.post("/exports/new/", {"name": name, "form": form, "query": query})


def file_of(answer: Any) -> bytes:
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    return b"".join(answer)


# The files themselves


def both(columns: list[Column], rows: list[list[Cell]]) -> tuple[list[list[str]], list[tuple[Any, ...]]]:
    file = io.BytesIO()
    write_xlsx(file, columns, rows)
    sheet = openpyxl.load_workbook(file).active
    assert sheet is not None
    return read_csv(b"".join(csv_parts(columns, rows))), list(sheet.iter_rows(values_only=True))


@pytest.mark.parametrize("evil", EVIL)
def test_no_cell_and_no_head_is_a_formula_in_either_file(evil: str) -> None:
    written, sheet = both([Column(evil)], [[evil]])
    for cell in (written[0][0], written[1][0], sheet[0][0], sheet[1][0]):
        assert cell.startswith("'")
    file = io.BytesIO()
    write_xlsx(file, [Column(evil)], [[evil]])
    with zipfile.ZipFile(file) as parts:
        assert not any(b"<f>" in parts.read(name) for name in parts.namelist())


def test_numbers_stay_numbers_amounts_exact_and_moments_local() -> None:
    columns = [Column("n"), Column("amount"), Column("at", moment=True), Column("day"), Column("text"), Column("none")]
    rows: list[list[Cell]] = [[-7, Decimal("-1234567.10"), MOMENT, date(2026, 1, 2), "007", None]]
    written, sheet = both(columns, rows)
    assert written[0][2] == sheet[0][2] == "at (Asia/Shanghai)"
    assert written[1] == ["-7", "-1234567.10", "2026-11-20 12:00:05", "2026-01-02", "007", ""]
    assert sheet[1] == (-7, -1234567.10, datetime(2026, 11, 20, 12, 0, 5), datetime(2026, 1, 2), "007", None)  # noqa: DTZ001


def test_a_number_too_long_for_a_spreadsheet_stays_a_text() -> None:
    written, sheet = both([Column("n")], [[12345678901234567890], [Decimal("12345678901234567.89")]])
    assert [row[0] for row in written[1:]] == ["12345678901234567890", "12345678901234567.89"]
    assert [row[0] for row in sheet[1:]] == ["12345678901234567890", "12345678901234567.89"]


def test_what_a_spreadsheet_cannot_hold_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("network.tables.MOST_ROWS", 2)
    file = io.BytesIO()
    write_xlsx(file, [Column("x")], [["\x01\x0b" + "长" * 40_000], ["b"], ["c"]])
    book = openpyxl.load_workbook(file)
    assert len(book.worksheets) == 2
    assert [row[0] for row in book.worksheets[1].iter_rows(values_only=True)] == ["x", "c"]


def test_an_empty_list_has_its_head() -> None:
    written, sheet = both([Column("x")], [])
    assert (written, sheet) == ([["x"]], [("x",)])


# At once


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_short_list_is_a_file_at_once(client: Client, root: User, form: str) -> None:
    make_point(name="=cmd", ref="P-1", capacity=12)
    body = file_of(ask(client, "admin:network.servicepoint", form))
    if form == "csv":
        rows = read_csv(body)
    else:
        sheet = openpyxl.load_workbook(io.BytesIO(body)).active
        assert sheet is not None
        rows = [[str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    assert [head.lower() for head in rows[0][:2]] == ["reference", "name"]
    assert rows[1][:2] == ["P-1", "'=cmd"]
    assert rows[1][-1] == "12"
    assert not Export.objects.exists()


def test_the_file_has_what_the_filter_of_the_page_shows(client: Client, root: User) -> None:
    make_point(ref="P-1")
    make_point(ref="P-2", status="closed")
    rows = read_csv(file_of(ask(client, "admin:network.servicepoint", query="status__exact=closed&p=7&o=2")))
    assert [row[0] for row in rows[1:]] == ["P-2"]
    assert ask(client, "admin:network.servicepoint", query="nonsense__x=1").status_code == 400


def test_amounts_of_the_administration_are_numbers_with_a_currency(client: Client, root: User) -> None:
    Tariff.objects.update(point_fee_minor=2005)
    rows = read_csv(file_of(ask(client, "admin:pickup.tariff")))
    assert "20.05" in rows[1]
    assert "CNY" in rows[1]


def test_the_lists_of_the_pages_are_there(client: Client, root: User, chain: dict[Level, Region]) -> None:
    assert read_csv(file_of(ask(client, "regions", query="level=3")))[1][:2] == ["440300", "深圳市"]
    assert read_csv(file_of(ask(client, "history", query="noun=network.region")))[1][2]
    assert read_csv(file_of(ask(client, "coverage")))[0]
    assert read_csv(file_of(ask(client, "review")))[0] == ["Reason", "Merchant", "Orders", "Oldest (Asia/Shanghai)"]
    agent = make_user()
    factories.make_agent(user=agent)
    client.force_login(agent)
    assert read_csv(file_of(ask(client, "agent-earnings", query="from=2026-01-01&to=2026-01-31")))


@pytest.mark.parametrize("page", ["/admin/network/servicepoint/", "/regions/list/", "/history/", "/money/tariffs/"])
def test_the_pages_have_the_buttons(client: Client, root: User, chain: dict[Level, Region], page: str) -> None:
    shown = client.get(page).content.decode()
    assert 'action="/exports/new/"' in shown
    assert 'value="xlsx"' in shown


def test_a_list_is_read_in_parts_that_neither_repeat_nor_lose(db: None) -> None:
    names = {make_point().ref for _number in range(7)}
    with CaptureQueriesContext(connection) as queries:
        read = [point.ref for point in exports.in_parts(ServicePoint.objects.all(), size=3)]
    assert (len(read), set(read)) == (7, names)
    assert len(queries) == 3
    assert [point.ref for point in exports.in_parts(ServicePoint.objects.all(), key="id", size=3)] == read[::-1]


# By the sweep


@pytest.fixture
def few(settings: Any) -> None:
    settings.EXPORT_AT_ONCE = 2


@pytest.fixture
def ordered(client: Client, root: User, few: None) -> Export:
    for _number in range(3):
        make_point()
    answer = ask(client, "admin:network.servicepoint")
    [export] = Export.objects.all()
    assert answer.headers["Location"] == f"/exports/{export.pk}/"
    return export


def test_a_long_list_waits_is_written_and_downloaded(client: Client, ordered: Export, folder: Path) -> None:
    assert "Waiting" in client.get(f"/exports/{ordered.pk}/").content.decode()
    assert client.get(f"/exports/{ordered.pk}/file/").status_code == 404
    assert sweep() == 1
    ordered.refresh_from_db()
    assert (ordered.state, ordered.rows_done, ordered.rows_all) == (State.DONE, 3, 3)
    assert client.get(f"/exports/{ordered.pk}/state/").json() == {
        "state": "done", "percent": 100, "words": "Done: 3 rows",
    }  # fmt: skip
    assert len(read_csv(file_of(client.get(f"/exports/{ordered.pk}/file/")))) == 4
    assert folder.stat().st_mode & 0o077 == 0
    assert sweep() == 0


def test_the_same_list_is_not_ordered_twice_and_nobody_fills_the_queue(client: Client, ordered: Export) -> None:
    assert ask(client, "admin:network.servicepoint").headers["Location"] == f"/exports/{ordered.pk}/"
    for number in range(exports.MOST_WAITING - 1):
        Export.objects.create(made_by=ordered.made_by, name=f"n{number}", form="csv", language="en")
    with pytest.raises(exports.TooManyWaiting):
        exports.order(name="x", user=ordered.made_by, filters={}, form="csv", language="en", count=9)


def test_how_far_it_is_is_shown_while_it_is_written(
    client: Client, ordered: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(exports, "BEAT_ROWS", 1)

    def looking(export: Export, number: int, beat: Any = exports._beat) -> None:
        beat(export, number)
        with role(WEB):
            seen.append(client.get(f"/exports/{ordered.pk}/state/").json())

    monkeypatch.setattr(exports, "_beat", looking)
    sweep()
    assert [one["percent"] for one in seen[:2]] == [33, 66]
    assert seen[0]["words"] == "1 of 3 rows are written"


def sweep() -> int:
    """Lists that take long are the worker's work."""
    with as_worker():
        done: int = tasks.write_exports()
    return done


def work(at: datetime) -> int:
    with as_worker():
        return exports.work(now=at, limit=1)


class Killed(BaseException):
    """Like a kill: no clean-up of ours runs."""


def test_a_killed_worker_is_followed_by_another_that_begins_again(
    ordered: Export, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("network.exports.write_csv", killed)
        with pytest.raises(Killed):
            work(now())
    ordered.refresh_from_db()
    assert ordered.state == State.RUNNING
    assert work(now()) == 0  # it may still be alive
    assert work(now() + exports.SILENT_FOR + timedelta(seconds=1)) == 1
    ordered.refresh_from_db()
    assert (ordered.state, ordered.tries) == (State.DONE, 2)
    assert [path.suffix for path in folder.iterdir()] == [".csv"]


def test_a_worker_that_was_taken_for_dead_stops_and_leaves_the_other_ones_file(
    ordered: Export, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_worker():
        first = exports.claim(now=now())
        assert first is not None
        second = exports.claim(now=now() + exports.SILENT_FOR + timedelta(seconds=1))
        assert second is not None
        exports.write(second)
        with pytest.raises(exports.ClaimLost):
            exports.write(first)
    ordered.refresh_from_db()
    assert ordered.state == State.DONE
    assert exports.path_of(ordered).exists()


def test_what_never_gets_done_fails_after_some_tries(client: Client, ordered: Export) -> None:
    with as_worker():
        Export.objects.update(tries=exports.MOST_TRIES, state=State.RUNNING, beat_at=now() - timedelta(hours=1))
    assert work(now()) == 0
    ordered.refresh_from_db()
    assert ordered.state == State.FAILED
    assert "could not be written" in client.get(f"/exports/{ordered.pk}/").content.decode()


def test_who_lost_the_right_meanwhile_gets_no_file(db: None, few: None, client: Client) -> None:
    clerk = staff_with("network.view_servicepoint")
    client.force_login(clerk)
    for _number in range(3):
        make_point()
    ask(client, "admin:network.servicepoint")
    clerk.user_permissions.clear()
    assert work(now()) == 0
    assert Export.objects.get().state == State.FAILED


def test_a_nearly_full_disk_stops_the_file_and_not_the_network(
    ordered: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "FREE_BYTES", 1 << 62)
    with pytest.raises(OSError, match="nearly full"):
        work(now())
    ordered.refresh_from_db()
    assert ordered.state == State.RUNNING  # tried again later


def test_old_files_are_deleted(client: Client, ordered: Export, folder: Path) -> None:
    work(now())
    later = now() + timedelta(days=django_settings.EXPORT_DAYS, minutes=1)
    with as_worker():
        assert exports.forget(now=later - timedelta(minutes=2)) == 0
        assert exports.forget(now=later) == 1
    assert list(folder.iterdir()) == []
    assert client.get(f"/exports/{ordered.pk}/file/").status_code == 404
    assert "was deleted" in client.get(f"/exports/{ordered.pk}/").content.decode()


def test_memory_does_not_grow_with_the_rows(folder: Path) -> None:
    """A generator is never held as a list: when row 50,000 is written, row 1 is long gone."""

    class Row(list[Cell]):
        pass

    alive: list[weakref.ref[Row]] = []

    def rows() -> Iterator[Row]:
        for number in range(50_000):
            row = Row([number])
            if number == 1:
                alive.append(weakref.ref(row))
            yield row
            if number == 5_000:
                assert alive[0]() is None

    file = io.BytesIO()
    write_xlsx(file, [Column("x")], rows())
    assert sum(1 for _part in csv_parts([Column("x")], rows())) == 251


# Strangers


def test_the_file_of_somebody_else_does_not_exist(client: Client, ordered: Export) -> None:
    work(now())
    for user in (make_member(make_point()), User.objects.create_superuser("+8613900008888")):
        client.force_login(user)
        for path in ("", "state/", "file/"):
            assert client.get(f"/exports/{ordered.pk}/{path}").status_code == 404
        assert str(ordered.name) not in client.get("/exports/").content.decode()


def test_who_is_not_signed_in_is_asked_to(client: Client, db: None) -> None:
    for path in ("/exports/", "/exports/1/", "/exports/1/state/", "/exports/1/file/"):
        assert client.get(path).headers["Location"].startswith("/?next=")
    assert ask(client, "regions").headers["Location"].startswith("/?next=")


@pytest.mark.parametrize(
    "name", ["regions", "history", "coverage", "review", "agent-earnings", "earnings", "statement", "nothing",
             "admin:network.servicepoint", "admin:pickup.parcel", "admin:nothing.at_all", "admin:", "x" * 70]
)  # fmt: skip
def test_a_list_that_is_not_for_this_person_does_not_exist(client: Client, db: None, name: str) -> None:
    point = make_point()
    for user in (make_user(), make_user(is_staff=True), make_user(is_superuser=True)):
        client.force_login(user)
        assert ask(client, name, query=f"point={point.pk}&from=2026-01-01&to=2026-01-02").status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"name": "regions"}, {"name": "regions", "form": "exe"}, {"name": "regions\x00", "form": "csv"},
             {"name": "regions", "form": "csv", "query": "x" * 3000}]
)  # fmt: skip
def test_what_is_no_question_is_refused(client: Client, root: User, body: dict[str, str]) -> None:
    assert client.post("/exports/new/", body).status_code == 400


def test_it_takes_a_post_to_make_one(client: Client, root: User) -> None:
    assert client.get("/exports/new/").status_code == 405


def test_no_formula_leaves_other_texts_alone() -> None:
    assert no_formula("科技园 A-1") == "科技园 A-1"
