"""Notices: the only place where a code exists in plain text, sent once, tried again, never lost."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import localtime, now

from network import messages
from network.models import ServicePoint
from pickup import codes, holding, notices, orders, recipients, scanning
from pickup.models import MessageDay, Notice, Parcel, Recipient
from pickup.parcels import Status
from pickup.scans import Scanner
from tests import factories
from tests.factories import make_merchant, make_parcel, make_point, make_ready_parcel, scan

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent_to(tmp_path: Path, settings: Any) -> Path:
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    return tmp_path / "notices.jsonl"


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="好邻居便利店")


@pytest.fixture
def scanner(point: ServicePoint) -> Scanner:
    return factories.scanner_of(point)


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_notice_brings_what_hands_the_parcel_over(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert notices.send_waiting(now=now(), limit=10) == 1
    (message,) = read(sent_to)
    assert set(message) == {"kind", "reference", "barcode", "phone", "text", "url", "token", "code"}
    assert (message["kind"], message["phone"], message["barcode"]) == ("ready", "+8613800138000", parcel.barcode)
    assert message["code"] in message["text"]
    assert message["url"] in message["text"]
    other = make_ready_parcel(scanner, point)
    assert scanning.record(scanner, scan("pickup", parcel, code=message["code"])).verdict == "ok"
    notices.send_waiting(now=now(), limit=10)
    token = read(sent_to)[-1]["token"]
    assert scanning.record(scanner, scan("pickup", other, barcode="", token=token)).verdict == "ok"


def test_a_notice_is_sent_once(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    make_ready_parcel(scanner, point)
    notices.send_waiting(now=now(), limit=10)
    assert notices.send_waiting(now=now(), limit=10) == 0
    assert len(read(sent_to)) == 1


def test_a_gateway_that_is_down_is_tried_again_later(settings: Any, scanner: Scanner, point: ServicePoint) -> None:
    settings.NOTICES_FILE = "/no/such/folder/notices"
    make_ready_parcel(scanner, point)
    notices.send_waiting(now=now(), limit=10)
    notice = Notice.objects.get()
    assert (notice.sent_at, notice.tries) == (None, 1)
    assert notice.error
    assert notice.next_try_at > now()


def test_what_failed_is_sent_when_its_time_comes(
    settings: Any, tmp_path: Path, scanner: Scanner, point: ServicePoint
) -> None:
    settings.NOTICES_FILE = "/no/such/folder/notices"
    make_ready_parcel(scanner, point)
    notices.send_waiting(now=now(), limit=10)
    settings.NOTICES_FILE = str(tmp_path / "notices")
    assert notices.send_waiting(now=now(), limit=10) == 0
    assert notices.send_waiting(now=now() + timedelta(hours=1), limit=10) == 1
    assert Notice.objects.get().sent_at is not None


def test_without_a_gateway_notices_wait_and_nothing_reaches_the_log(
    settings: Any, caplog: pytest.LogCaptureFixture, scanner: Scanner, point: ServicePoint
) -> None:
    settings.NOTICES_FILE = ""
    parcel = make_ready_parcel(scanner, point)
    with caplog.at_level("DEBUG"):
        assert notices.send_waiting(now=now(), limit=10) == 0
    assert Notice.objects.get().sent_at is None
    for secret in (factories.code_of(parcel), "13800138000", codes.link_of(parcel.uuid, 1)):
        assert secret not in caplog.text


def test_one_notice_that_cannot_be_written_does_not_stop_the_others(
    sent_to: Path, scanner: Scanner, point: ServicePoint
) -> None:
    broken, whole = make_ready_parcel(scanner, point), make_ready_parcel(scanner, point)
    Recipient.objects.filter(order=broken.order).update(sealed=b"")
    notices.send_waiting(now=now(), limit=10)
    assert [message["barcode"] for message in read(sent_to)] == [whole.barcode]
    assert Notice.objects.get(parcel=broken).gave_up


def test_a_parcel_that_was_collected_meanwhile_gets_no_code_any_more(
    sent_to: Path, scanner: Scanner, point: ServicePoint
) -> None:
    factories.pick_up(scanner, make_ready_parcel(scanner, point))
    notices.send_waiting(now=now(), limit=10)
    assert not sent_to.exists()
    assert Notice.objects.get().gave_up


def test_no_code_token_or_link_is_stored_anywhere(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    for _ in range(5):
        make_ready_parcel(scanner, point)
    notices.send_waiting(now=now(), limit=10)
    planted = [
        secret for message in read(sent_to) for secret in (message["code"], message["token"], message["url"][-22:])
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [name for (name,) in cursor.fetchall() if name.startswith(("pickup_", "network_"))]
        stored = ""
        for table in tables:
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")
            stored += cursor.fetchone()[0]
    assert len(planted) == 15
    assert not [secret for secret in planted if secret in stored]


def test_a_parcel_is_reminded_once_a_day_before_its_deadline(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert holding.remind(now=now(), limit=10) == 0
    assert parcel.hold_until is not None
    soon = parcel.hold_until - timedelta(hours=23)
    assert holding.remind(now=soon, limit=10) == 1
    assert holding.remind(now=soon, limit=10) == 0
    assert Notice.objects.filter(kind=Notice.Kind.REMINDER).count() == 1


def test_a_parcel_expires_after_its_deadline_and_its_recipient_is_told(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert holding.expire_overdue(now=now(), limit=10) == 0
    assert holding.expire_overdue(now=now() + timedelta(days=8), limit=10) == 1
    parcel.refresh_from_db()
    assert parcel.status == Status.EXPIRED
    assert Notice.objects.filter(parcel=parcel, kind=Notice.Kind.EXPIRED).exists()


def test_a_collected_parcel_neither_expires_nor_reminds(scanner: Scanner, point: ServicePoint) -> None:
    factories.pick_up(scanner, make_ready_parcel(scanner, point))
    later = now() + timedelta(days=8)
    assert holding.expire_overdue(now=later, limit=10) == 0
    assert holding.remind(now=later - timedelta(days=2), limit=10) == 0
    assert Parcel.objects.get().status == Status.COLLECTED


def noon() -> datetime:
    """Tomorrow at noon: later than every row that the database's clock dates, and no day ends while a test runs."""
    return localtime(now()).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)


def waiting_parcel(scanner: Scanner, point: ServicePoint, **fields: Any) -> Parcel:
    """A parcel whose first message was sent on another day, so that today's limits are untouched."""
    parcel = make_ready_parcel(scanner, point, **fields)
    Notice.objects.filter(parcel=parcel).update(sent_at=noon() - timedelta(days=2))
    return parcel


def refusal_of(parcel: Parcel, *, at: datetime | None = None) -> str:
    with pytest.raises(notices.NotResent) as refused:
        notices.resend(parcel, now=at or noon())
    assert refused.value.words
    return str(refused.value.refusal)


def test_a_message_is_sent_again_with_the_same_code(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    parcel = waiting_parcel(scanner, point)
    assert notices.resend(parcel, now=noon()).round == 1
    notices.send_waiting(now=noon(), limit=10)
    (message,) = read(sent_to)
    assert (message["kind"], message["code"]) == ("ready", factories.code_of(parcel))


def test_a_parcel_gets_three_messages_a_day(scanner: Scanner, point: ServicePoint) -> None:
    parcel = waiting_parcel(scanner, point)
    for _ in range(3):
        notices.resend(parcel, now=noon())
    assert refusal_of(parcel) == "parcel_limit"
    assert Notice.objects.filter(parcel=parcel, round__gt=0).count() == 3


def test_the_message_that_went_by_itself_counts_too(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    notices.send_waiting(now=noon(), limit=10)
    notices.resend(parcel, now=noon())
    notices.resend(parcel, now=noon())
    assert refusal_of(parcel) == "parcel_limit"
    notices.send_waiting(now=noon(), limit=10)
    assert len(read(sent_to)) == 3


def test_the_next_day_has_messages_again(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    parcel = waiting_parcel(scanner, point)
    for _ in range(3):
        notices.resend(parcel, now=noon())
    notices.send_waiting(now=noon(), limit=10)
    assert refusal_of(parcel, at=noon() + timedelta(hours=11)) == "parcel_limit"
    assert notices.resend(parcel, now=noon() + timedelta(hours=13)).round == 4


def test_messages_that_still_wait_count_on_every_day(scanner: Scanner, point: ServicePoint) -> None:
    parcel = waiting_parcel(scanner, point)
    for _ in range(3):
        notices.resend(parcel, now=noon())
    assert refusal_of(parcel, at=noon() + timedelta(days=3)) == "parcel_limit"


def test_a_number_gets_five_messages_a_day_whatever_its_parcels(scanner: Scanner, point: ServicePoint) -> None:
    own = [waiting_parcel(scanner, point) for _ in range(3)]
    for parcel in (*own, *own[:2]):
        notices.resend(parcel, now=noon())
    assert refusal_of(own[2]) == "number_limit"


def test_another_number_has_its_own_limit(scanner: Scanner, point: ServicePoint) -> None:
    own = [waiting_parcel(scanner, point) for _ in range(2)]
    for parcel in (*own, *own, own[0]):
        notices.resend(parcel, now=noon())
    assert notices.resend(waiting_parcel(scanner, point, phone="+8613900001111"), now=noon()).round == 1


def test_what_failed_for_good_does_not_count(scanner: Scanner, point: ServicePoint) -> None:
    parcel = waiting_parcel(scanner, point)
    for _ in range(3):
        notices.resend(parcel, now=noon())
    Notice.objects.filter(parcel=parcel, round__gt=0).update(gave_up=True)
    assert notices.resend(parcel, now=noon()).round == 4


@pytest.mark.parametrize("kind", ["collected", "erased", "abroad"])
def test_what_cannot_be_sent_is_refused_and_leaves_no_row(scanner: Scanner, point: ServicePoint, kind: str) -> None:
    parcel = waiting_parcel(scanner, point, phone="+12025550123" if kind == "abroad" else "+8613800138000")
    if kind == "collected":
        factories.pick_up(scanner, parcel)
    if kind == "erased":
        Recipient.objects.update(sealed=b"")
    expected = {"collected": "nothing_to_say", "erased": "no_number", "abroad": "country"}[kind]
    assert refusal_of(parcel) == expected
    assert not Notice.objects.filter(round__gt=0).exists()


def test_a_number_abroad_gets_nothing_by_itself_either(sent_to: Path, scanner: Scanner, point: ServicePoint) -> None:
    make_ready_parcel(scanner, point, phone="+12025550123")
    notices.send_waiting(now=noon(), limit=10)
    assert not sent_to.exists()
    assert Notice.objects.get().gave_up


def test_a_country_on_the_list_gets_its_messages(
    sent_to: Path, settings: Any, scanner: Scanner, point: ServicePoint
) -> None:
    settings.SMS_COUNTRIES = ["CN", "US"]
    make_ready_parcel(scanner, point, phone="+12025550123")
    notices.send_waiting(now=noon(), limit=10)
    assert len(read(sent_to)) == 1


def test_the_network_sends_no_more_than_its_days_number_and_says_so_once(
    sent_to: Path, settings: Any, scanner: Scanner, point: ServicePoint, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SMS_PER_DAY = 2
    waiting = [make_ready_parcel(scanner, point) for _ in range(4)]
    for _ in range(3):
        notices.send_waiting(now=noon(), limit=10)
    assert len(read(sent_to)) == 2
    alarms = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(alarms) == 1
    assert refusal_of(waiting[3]) == "network_limit"
    notices.send_waiting(now=noon() + timedelta(days=1), limit=10)
    assert len(read(sent_to)) == 4
    assert list(MessageDay.objects.order_by("day").values_list("sent", flat=True)) == [2, 2]


def test_a_message_that_was_not_taken_is_given_back_to_the_day(
    settings: Any, scanner: Scanner, point: ServicePoint
) -> None:
    settings.NOTICES_FILE = "/no/such/folder/notices"
    make_ready_parcel(scanner, point)
    notices.send_waiting(now=noon(), limit=10)
    assert MessageDay.objects.get().sent == 0


def test_a_message_that_the_parcel_has_overtaken_is_not_sent(
    sent_to: Path, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert parcel.hold_until is not None
    late = parcel.hold_until + timedelta(hours=1)
    holding.expire_overdue(now=late, limit=10)
    notices.send_waiting(now=late, limit=10)
    assert [message["kind"] for message in read(sent_to)] == ["expired"]


@pytest.mark.parametrize(("language", "words"), [("zh-hans", "取件码"), ("en", "Code")])
def test_a_message_speaks_its_merchants_language(
    sent_to: Path, scanner: Scanner, point: ServicePoint, language: str, words: str
) -> None:
    make_ready_parcel(scanner, point, merchant=make_merchant(language=language)[0])
    notices.send_waiting(now=now(), limit=10)
    assert words in read(sent_to)[0]["text"]


def all_texts(scanner: Scanner, point: ServicePoint, language: str) -> dict[str, str]:
    """One message of each kind, as it would be sent."""
    merchant = make_merchant(language=language)[0]
    coming = make_parcel(point, merchant=merchant)
    notices.resend(coming, now=noon())
    parcel = make_ready_parcel(scanner, point, merchant=merchant)
    for kind in (Notice.Kind.REMINDER, Notice.Kind.CLOSING, Notice.Kind.EXPIRED, Notice.Kind.ASKED):
        notices.queue([parcel], kind=kind)
    return {notice.kind: notices.compose(notice).text for notice in Notice.objects.all()}


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_no_message_carries_a_name_an_address_or_a_phone(
    settings: Any, scanner: Scanner, point: ServicePoint, language: str
) -> None:
    texts = all_texts(scanner, point, language)
    assert set(texts) == set(Notice.Kind.values)
    for text in texts.values():
        for secret in ("王小明", "王", "科苑路", "13800138000"):
            assert secret not in text


def test_a_chinese_message_is_paid_as_two_at_most(settings: Any, scanner: Scanner) -> None:
    settings.BASE_URL = "https://pickup.example.cn"
    long = make_point(name="好邻居便利店深圳市南山区科技园北区科苑路旗舰店")
    texts = all_texts(factories.scanner_of(long), long, "zh-hans")
    assert {kind: messages.parts(text) for kind, text in texts.items()} == dict.fromkeys(texts, 2)


def test_with_a_short_name_and_address_two_chinese_messages_fit_into_one(settings: Any, scanner: Scanner) -> None:
    settings.BASE_URL = "https://qu.cn"
    short = make_point(name="好邻居便利店")
    texts = all_texts(factories.scanner_of(short), short, "zh-hans")
    assert {kind for kind, text in texts.items() if messages.parts(text) == 1} == {"expected", "expired"}


def test_an_english_message_is_paid_as_one(settings: Any) -> None:
    settings.BASE_URL = "https://pickup.example.com"
    shop = make_point(name="The Corner Shop at Station Road")
    texts = all_texts(factories.scanner_of(shop), shop, "en")
    assert {messages.parts(text) for text in texts.values()} == {1}


def test_a_merchant_may_have_its_recipients_told_before_arrival(sent_to: Path, point: ServicePoint) -> None:
    merchant = make_merchant(announces=True)[0]
    region = factories.make_chain()
    assert region
    orders.place(merchant=merchant, draft=factories.make_draft(), now=now())
    orders.locate_waiting(now=now(), limit=10)
    orders.assign_waiting(now=now(), limit=10)
    notices.send_waiting(now=now(), limit=10)
    (message,) = read(sent_to)
    assert (message["kind"], message["code"], message["token"]) == ("expected", "", "")
    assert point.name in message["text"]


def test_other_merchants_recipients_are_told_when_the_parcel_is_there(point: ServicePoint) -> None:
    factories.make_chain()
    orders.place(merchant=make_merchant()[0], draft=factories.make_draft(), now=now())
    orders.locate_waiting(now=now(), limit=10)
    orders.assign_waiting(now=now(), limit=10)
    assert Parcel.objects.get().service_point == point
    assert not Notice.objects.exists()


def test_an_arrival_keeps_the_link_that_was_told_before(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_parcel(point)
    notices.resend(parcel, now=noon())
    before = bytes(Parcel.objects.get().code.link_hash)
    factories.arrive(scanner, parcel)
    assert bytes(Parcel.objects.get().code.link_hash) == before


def test_an_extended_parcel_is_kept_three_days_longer_once(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert parcel.hold_until is not None
    longer = holding.extend(parcel, now=now())
    assert longer.hold_until == parcel.hold_until + timedelta(days=3)
    with pytest.raises(holding.NotExtended, match="already"):
        holding.extend(parcel, now=now())
    assert Parcel.objects.get().hold_until == longer.hold_until


@pytest.mark.parametrize(("case", "refusal"), [("over", "over"), ("expired", "not_ready"), ("collected", "not_ready")])
def test_what_is_not_ready_cannot_be_extended(scanner: Scanner, point: ServicePoint, case: str, refusal: str) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert parcel.hold_until is not None
    if case == "expired":
        holding.expire_overdue(now=parcel.hold_until + timedelta(hours=1), limit=10)
    if case == "collected":
        factories.pick_up(scanner, parcel)
    with pytest.raises(holding.NotExtended, match=refusal):
        holding.extend(parcel, now=parcel.hold_until if case == "over" else now())
    assert Parcel.objects.get().extended_at is None


def test_an_extended_parcel_is_reminded_once_more(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert parcel.hold_until is not None
    soon = parcel.hold_until - timedelta(hours=1)
    assert holding.remind(now=soon, limit=10) == 1
    longer = holding.extend(parcel, now=soon)
    assert longer.hold_until is not None
    assert holding.remind(now=soon, limit=10) == 0
    for expected in (1, 0):
        assert holding.remind(now=longer.hold_until - timedelta(hours=1), limit=10) == expected
    assert Notice.objects.filter(kind=Notice.Kind.REMINDER).count() == 2


def test_a_page_that_is_locked_for_guessers_still_sends_to_its_recipient(scanner: Scanner, point: ServicePoint) -> None:
    parcel = waiting_parcel(scanner, point)
    for _ in range(recipients.PAGE_TRIES):
        assert not recipients.knows_phone(parcel, last4="0001")
    assert notices.resend(parcel, now=noon()).round == 1
