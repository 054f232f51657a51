"""Full personal data: one door, a reason, a row for each reading, so many an hour, and nowhere else."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from network import clock
from network.models import User
from pickup import personal, recipients
from pickup.config.settings import hide_links
from pickup.models import Parcel, PersonalDataRead, Recipient
from tests.clock import everywhere_at
from tests.factories import make_member, make_parcel, make_point, make_user
from tests.pickup.test_admin import page_of, staff_with
from tests.roles import as_owner

FULL = ("王小明", "13800138000", "科苑路1号")
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def parcel(db: None) -> Parcel:
    return make_parcel(make_point(), barcode="A/B 1")


@pytest.fixture
def reader(db: None) -> User:
    return staff_with("pickup.read_personal", name="Reader")


def path_to(parcel: Parcel) -> str:
    return f"/parcels/{parcel.barcode}/personal/"


# Reading leaves a trace


def test_a_reading_shows_all_and_leaves_one_row(parcel: Parcel, reader: User) -> None:
    contact = personal.read(parcel, by=reader, reason=" the recipient called ")
    assert contact == recipients.Contact("王小明", "+8613800138000", "广东省深圳市南山区科苑路1号")
    [row] = PersonalDataRead.objects.all()
    assert (row.by, row.parcel, row.order, row.reason) == (reader, parcel, parcel.order, "the recipient called")
    assert row.fields == ["name", "phone", "address"]


@pytest.mark.parametrize("reason", ["", "   ", "ab", " a  "])
def test_without_a_reason_nothing_is_read(parcel: Parcel, reader: User, reason: str) -> None:
    with pytest.raises(personal.NoReason):
        personal.read(parcel, by=reader, reason=reason)
    assert not PersonalDataRead.objects.exists()


def test_the_database_wants_a_reason_too(parcel: Parcel, reader: User) -> None:
    with pytest.raises(DatabaseError, match="personal_read_has_reason"):
        PersonalDataRead.objects.create(order=parcel.order, by=reader, fields=["name"], reason="  ")


def test_nobody_without_the_right_reads(parcel: Parcel) -> None:
    for user in (make_user(is_staff=True), make_member(make_point()), make_user(is_superuser=True)):
        with pytest.raises(personal.NotAllowed):
            personal.read(parcel, by=user, reason="I want to")
    assert not PersonalDataRead.objects.exists()


def test_when_the_row_cannot_be_written_nothing_is_read(
    parcel: Parcel, reader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Recipient] = []
    monkeypatch.setattr(recipients, "open_sealed", opened.append)
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE pickup_personaldataread ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    with pytest.raises(DatabaseError, match="full_disk"):
        personal.read(parcel, by=reader, reason="the disk is full")
    assert opened == []


def test_what_cannot_be_opened_is_not_logged_as_read(parcel: Parcel, reader: User) -> None:
    Recipient.objects.update(sealed=b"gone")
    with pytest.raises(recipients.Sealed):
        personal.read(parcel, by=reader, reason="the recipient called")
    assert not PersonalDataRead.objects.exists()


@pytest.mark.parametrize(
    "attack",
    ["UPDATE pickup_personaldataread SET reason = 'other'", "DELETE FROM pickup_personaldataread",
     "TRUNCATE pickup_personaldataread"],
)  # fmt: skip
def test_the_log_is_only_added_to(parcel: Parcel, reader: User, attack: str) -> None:
    personal.read(parcel, by=reader, reason="the recipient called")
    connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(attack)
    with as_owner(), pytest.raises(DatabaseError, match="only ever added"), transaction.atomic():
        connection.cursor().execute(attack)


# So many an hour


def test_after_sixty_in_an_hour_it_is_refused(parcel: Parcel, reader: User) -> None:
    for _number in range(60):
        personal.read(parcel, by=reader, reason="a long day")
    with pytest.raises(personal.TooManyReads) as refused:
        personal.read(parcel, by=reader, reason="a long day")
    assert 0 < refused.value.wait.total_seconds() <= 3600
    assert PersonalDataRead.objects.count() == 60
    personal.read(parcel, by=staff_with("pickup.read_personal"), reason="another person")


def test_an_hour_later_it_goes_on(parcel: Parcel, reader: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PERSONAL_READS_PER_HOUR", 1)
    personal.read(parcel, by=reader, reason="the first one")
    with everywhere_at(clock.now() + personal.HOUR):
        personal.read(parcel, by=reader, reason="the next one")


def race(parcel: Parcel, reader: User, *, readers: int) -> int:
    """Read at once, all of them after each has come as far as counting; returns how many were let through."""
    gate = Barrier(readers)

    def one(_number: int) -> bool:
        try:
            gate.wait(timeout=10)
            personal.read(parcel, by=reader, reason="all at once")
        except personal.TooManyReads:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(readers) as pool:
        return sum(pool.map(one, range(readers)))


@pytest.mark.django_db(transaction=True)
def test_of_readers_at_once_no_more_than_the_limit_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PERSONAL_READS_PER_HOUR", 2)
    parcel, reader = make_parcel(make_point()), staff_with("pickup.read_personal")
    assert race(parcel, reader, readers=6) == 2
    assert PersonalDataRead.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_more_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """All six count before any of them writes: they meet between the two, which the lock makes impossible."""
    monkeypatch.setattr(settings, "PERSONAL_READS_PER_HOUR", 2)
    parcel, reader = make_parcel(make_point()), staff_with("pickup.read_personal")
    meeting, count = Barrier(6), personal._newest

    def counted(user: User) -> Any:
        found = count(user)
        meeting.wait(timeout=10)
        return found

    class Unlocked:
        """A connection whose advisory lock is nobody's business."""

        def __getattr__(self, name: str) -> Any:
            return getattr(connection, name)

        def cursor(self) -> Any:
            cursor = connection.cursor()
            execute = cursor.execute

            def unlocked(sql: str, params: Any = None) -> Any:
                return None if "advisory" in sql else execute(sql, params)

            cursor.execute = unlocked  # type: ignore[method-assign, assignment]
            return cursor

    monkeypatch.setattr(personal, "_newest", counted)
    monkeypatch.setattr(personal, "connection", Unlocked())
    assert race(parcel, reader, readers=6) == 6


# The page


def test_the_page_asks_first_and_shows_once(client: Client, parcel: Parcel, reader: User) -> None:
    client.force_login(reader)
    page = client.get(path_to(parcel), headers=ENGLISH)
    assert page.status_code == 200
    assert not [word for word in FULL if word in page.content.decode()]
    shown = client.post(path_to(parcel), {"reason": "the recipient called"}, headers=ENGLISH)
    assert [word for word in FULL if word in shown.content.decode()] == list(FULL)
    assert "no-store" in shown.headers["Cache-Control"]
    again = client.get(path_to(parcel), headers=ENGLISH)
    assert not [word for word in FULL if word in again.content.decode()]
    assert PersonalDataRead.objects.count() == 1
    assert "59 readings are left" in again.content.decode()


def test_the_page_says_what_is_wrong(client: Client, parcel: Parcel, reader: User, settings: Any) -> None:
    client.force_login(reader)
    assert client.post(path_to(parcel), {"reason": ""}).status_code == 400
    assert client.post(path_to(parcel), {}).status_code == 400
    settings.PERSONAL_READS_PER_HOUR = 1
    client.post(path_to(parcel), {"reason": "the recipient called"})
    refused = client.post(path_to(parcel), {"reason": "the recipient called"})
    assert refused.status_code == 429
    assert not [word for word in FULL if word in refused.content.decode()]


def test_erased_data_are_said_to_be_gone(client: Client, parcel: Parcel, reader: User) -> None:
    client.force_login(reader)
    Recipient.objects.update(sealed=b"")
    assert client.post(path_to(parcel), {"reason": "the recipient called"}).status_code == 410


def test_to_everybody_else_the_page_does_not_exist(client: Client, parcel: Parcel) -> None:
    assert client.get(path_to(parcel)).headers["Location"].startswith("/?next=")
    point = parcel.service_point
    assert point is not None
    for user in (
        make_member(point), make_user(is_staff=True), staff_with("pickup.view_parcel"), make_user(is_superuser=True)
    ):  # fmt: skip
        client.force_login(user)
        for answer in (client.get(path_to(parcel)), client.post(path_to(parcel), {"reason": "let me see"})):
            assert answer.status_code == 404
    assert not PersonalDataRead.objects.exists()


def test_an_unknown_parcel_does_not_exist(client: Client, reader: User) -> None:
    client.force_login(reader)
    assert client.post("/parcels/nothing/personal/", {"reason": "let me see"}).status_code == 404


def test_a_reading_costs_a_fixed_number_of_queries(parcel: Parcel, reader: User) -> None:
    personal.read(parcel, by=reader, reason="warm")
    with CaptureQueriesContext(connection) as queries:
        personal.read(parcel, by=reader, reason="the recipient called")
    assert len(queries) <= 8


# The log, and searching


def test_the_log_is_read_and_taken_away_by_those_who_may(client: Client, parcel: Parcel, reader: User) -> None:
    personal.read(parcel, by=reader, reason="the recipient called")
    auditor = staff_with("pickup.view_personaldataread")
    client.force_login(auditor)
    client.cookies["django_language"] = "en"
    page = client.get(page_of(PersonalDataRead, "changelist")).content.decode()
    for words in ("Reader", "A/B 1", "the recipient called"):
        assert words in page
    assert not [word for word in FULL if word in page]
    body = {"name": "admin:pickup.personaldataread", "form": "csv", "query": ""}
    answer: Any = client.post("/exports/new/", body)
    assert "the recipient called" in b"".join(answer).decode()
    client.force_login(reader)
    assert client.get(page_of(PersonalDataRead, "changelist")).status_code == 403
    assert client.post("/exports/new/", body).status_code == 404


def test_a_phone_is_found_whole_and_by_its_hash_only(client: Client, parcel: Parcel) -> None:
    other = make_parcel(make_point(), phone="+8613800138001")
    client.force_login(User.objects.create_superuser("+8613900009999"))

    def found(text: str) -> set[int]:
        with CaptureQueriesContext(connection) as queries:
            page: Any = client.get(page_of(Recipient, "changelist"), {"q": text})
        assert not any("8613800138000" in query["sql"] for query in queries.captured_queries)
        return {row.pk for row in page.context["cl"].result_list}

    assert found("13800138000") == found("+86 138 0013 8000") == {parcel.order_id}
    assert found("1380013800") == found("138001380") == set()
    assert found("8001") == {other.order_id}


def test_a_log_line_keeps_no_search() -> None:
    record = logging.LogRecord(
        "x", 20, "x", 1, "%s", ("GET /admin/pickup/recipient/?q=13800138000&p=1 HTTP/1.1",), None
    )
    hide_links(record)
    assert "13800138000" not in record.getMessage()
    assert "p=1" in record.getMessage()


# Nowhere else

ROOT = Path(settings.BASE_DIR)
OPENERS = {"open_sealed", "open_photo", "decrypt", "_box"}
ALLOWED = {
    ("pickup/recipients.py", "decrypt"),  # the box itself
    ("pickup/recipients.py", "_box"),
    ("pickup/personal.py", "open_sealed"),  # a person reads, with a reason and a row
    ("pickup/personal.py", "open_photo"),
    ("pickup/notices.py", "open_sealed"),  # the message to the recipient is written
    ("pickup/bank_details.py", "decrypt"),  # a payee's bank account, and the bank's file; not a recipient's data
    ("pickup/orders.py", "open_sealed"),  # the geocoder reads the address
}


def openings(source: str, path: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(source)):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name in OPENERS:
            yield path, name
        if isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} & OPENERS:
            yield path, "import"
        if isinstance(node, ast.Constant) and node.value in OPENERS:
            yield path, "by name"


def test_sealed_data_are_opened_in_the_listed_places_only() -> None:
    found: set[tuple[str, str]] = set()
    for package in ("network", "pickup"):
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                found.update(openings(path.read_text(), str(path.relative_to(ROOT))))
    assert found == ALLOWED


def test_the_search_finds_openings_of_every_kind() -> None:
    source = "from pickup.recipients import open_sealed\nrecipients.open_photo(x)\ngetattr(r, 'open_sealed')\n_box()"
    assert {kind for _path, kind in openings(source, "x")} == {"import", "open_photo", "by name", "_box"}


def test_only_the_model_and_its_doors_name_the_sealed_columns() -> None:
    """Whoever reads `sealed` reads what the key would open: the row is made, opened and erased, and that is all."""
    found = set()
    for package in ("network", "pickup"):
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr == "sealed":
                    found.add(str(path.relative_to(ROOT)))
    assert found == {"pickup/recipients.py"}


def test_the_right_exists_and_is_nobodys_by_default(db: None) -> None:
    assert Permission.objects.filter(codename="read_personal").count() == 1
    assert not User.objects.filter(user_permissions__codename="read_personal").exists()
