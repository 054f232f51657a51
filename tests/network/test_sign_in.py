"""The front door: who gets in, where they are sent, and how often one may guess."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import STATE_SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.test import Client, RequestFactory
from django.utils.timezone import now
from pytest_django import Settings

from network import access
from network.access import Purpose
from network.messages import FileGateway, Message, NotSent
from network.models import Invitation, Level, Membership, SignInAttempt, SignInCode, User
from network.views import account
from network.views.sign_in import SIGNED_IN_AT, address_of
from tests import factories
from tests.clock import everywhere_at

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
PHONE = "+8613900001111"


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def outbox(settings: Settings, tmp_path: Path) -> Path:
    """Where the messages of a test go."""
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    return tmp_path / "notices.jsonl"


@pytest.fixture
def person() -> User:
    return factories.make_user(phone=PHONE, password=PASSWORD)


def sign_in(client: Client, *, phone: str = PHONE, password: str = PASSWORD, **more: str) -> tuple[int, str]:
    """Return the status and where one is sent, or the words on the page."""
    body = {"phone": phone, "password": password, **more}
    response = client.post("/", body, headers={"accept-language": "en"})
    return response.status_code, response.headers.get("Location") or response.content.decode()


def test_a_member_of_a_shop_goes_to_the_counter(client: Client, person: User) -> None:
    Membership.objects.create(user=person, service_point=factories.make_point(), role="clerk")
    assert sign_in(client) == (302, "/")
    assert client.get("/").headers["Location"] == "/counter/"


def test_staff_goes_to_the_admin(client: Client) -> None:
    factories.make_user(phone=PHONE, password=PASSWORD, is_staff=True)
    sign_in(client)
    assert client.get("/").headers["Location"] == "/admin/"


def test_an_agent_goes_to_the_own_page(client: Client, person: User) -> None:
    factories.make_agent(user=person)
    sign_in(client)
    assert client.get("/").headers["Location"] == "/agent/"


def test_somebody_without_a_role_is_told_so(client: Client, person: User) -> None:
    sign_in(client)
    response = client.get("/", headers={"accept-language": "en"})
    assert response.status_code == 200
    assert "you work at no service point" in response.content.decode()


def test_a_stranger_is_refused_and_gets_no_session(client: Client, person: User) -> None:
    status, page = sign_in(client, phone="+8613900002222")
    assert status == 200
    assert "do not fit together" in page
    assert "sessionid" not in client.cookies


def test_an_unknown_phone_and_a_wrong_password_look_the_same(client: Client, person: User) -> None:
    unknown = sign_in(client, phone="+8613900002222", password="wrong")
    wrong = sign_in(client, password="wrong")
    assert unknown[0] == wrong[0] == 200
    assert strip(unknown[1].replace("+8613900002222", PHONE), "csrfmiddlewaretoken") == strip(
        wrong[1], "csrfmiddlewaretoken"
    )


def strip(page: str, name: str) -> str:
    """Without the lines of one input, whose value differs from page to page."""
    return "\n".join(line for line in page.splitlines() if f'name="{name}"' not in line)


def test_somebody_who_was_let_go_is_refused_like_a_stranger(client: Client, person: User) -> None:
    person.is_active = False
    person.save(update_fields=["is_active"])
    assert "do not fit together" in sign_in(client)[1]


@pytest.mark.parametrize(
    "typed", ["13900001111", "139 0000 1111", "+86 139-0000-1111", "１３９００００１１１１", "0086 13900001111"]
)
def test_a_phone_may_be_typed_as_people_write_it(client: Client, person: User, typed: str) -> None:
    assert sign_in(client, phone=typed) == (302, "/")


@pytest.mark.parametrize("typed", ["", "hello", "139", "'; DROP TABLE", "\x00", "9" * 40])
def test_what_is_no_phone_is_said_at_its_field_and_counts_nothing(client: Client, typed: str) -> None:
    status, page = sign_in(client, phone=typed)
    assert status == 200
    assert 'id="id_phone_error"' in page
    assert not SignInAttempt.objects.exists()


def test_after_ten_wrong_passwords_even_the_right_one_waits(client: Client, person: User) -> None:
    for _ in range(access.WRONG_PER_PHONE):
        sign_in(client, password="wrong")
    status, page = sign_in(client)
    assert status == 429
    assert "Try again in 15 minutes" in page
    with everywhere_at(now() + access.WRONG_COUNT_FOR + timedelta(seconds=1)):
        assert sign_in(client) == (302, "/")


def test_waiting_is_not_made_longer_by_trying(client: Client, person: User) -> None:
    for _ in range(access.WRONG_PER_PHONE + 5):
        sign_in(client, password="wrong")
    assert SignInAttempt.objects.count() == access.WRONG_PER_PHONE


def test_a_phone_under_attack_does_not_lock_another(client: Client, person: User) -> None:
    factories.make_user(phone="+8613900003333", password=PASSWORD)
    for _ in range(access.WRONG_PER_PHONE):
        sign_in(client, password="wrong")
    assert sign_in(client, phone="+8613900003333") == (302, "/")


def test_an_address_that_tries_many_phones_is_stopped(client: Client, person: User) -> None:
    for number in range(access.WRONG_PER_ADDRESS):
        sign_in(client, phone=f"+86139111{number:05d}", password="wrong")
    assert sign_in(client)[0] == 429


def test_the_right_password_forgives_the_wrong_ones_before(client: Client, person: User) -> None:
    for _ in range(access.WRONG_PER_PHONE - 1):
        sign_in(client, password="wrong")
    assert sign_in(client) == (302, "/")
    assert not SignInAttempt.objects.exists()


def test_the_phone_is_not_kept_with_the_attempts(client: Client, person: User) -> None:
    sign_in(client, password="wrong")
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(a)::text FROM network_signinattempt a")
        assert PHONE[3:] not in cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_attempts_sent_at_once_are_all_counted() -> None:
    factories.make_user(phone=PHONE, password=PASSWORD)

    def guess(number: int) -> int:
        try:
            return sign_in(Client(), password=f"wrong {number}")[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(guess, range(24)))
    assert answers.count(200) == access.WRONG_PER_PHONE
    assert answers.count(429) == 24 - access.WRONG_PER_PHONE


def test_signing_in_leads_back_to_the_page_that_was_asked_for(client: Client, person: User) -> None:
    assert sign_in(client, next="/counter/?mode=arrival") == (302, "/counter/?mode=arrival")


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil"])
def test_signing_in_never_leads_to_another_site(client: Client, person: User, elsewhere: str) -> None:
    assert sign_in(client, next=elsewhere) == (302, "/")


def test_the_admins_own_sign_in_cannot_be_used_to_guess(client: Client, person: User) -> None:
    body = {"username": PHONE, "password": PASSWORD}
    response = client.post("/admin/login/", body)
    assert (response.status_code, response.headers["Location"]) == (302, "/?next=/admin/")
    assert client.get("/admin/").status_code == 302
    assert "_auth_user_id" not in client.session


def test_a_clerk_who_asks_for_the_admin_comes_home_and_does_not_go_in_circles(client: Client, person: User) -> None:
    Membership.objects.create(user=person, service_point=factories.make_point(), role="clerk")
    sign_in(client)
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/counter/")


def test_signing_out_ends_the_session_and_needs_a_post(client: Client, person: User) -> None:
    sign_in(client)
    assert client.get("/sign-out/").status_code == 405
    client.post("/sign-out/")
    assert "_auth_user_id" not in client.session


def test_the_language_can_be_chosen_and_stays(client: Client) -> None:
    assert 'lang="zh-Hans"' in client.get("/").content.decode()
    client.post("/i18n/setlang/", {"language": "en", "next": "/"})
    page = client.get("/").content.decode()
    assert '<html lang="en">' in page
    assert "Sign in" in page


def test_the_sign_in_page_is_never_cached(client: Client) -> None:
    assert "no-store" in client.get("/").headers["Cache-Control"]


@pytest.mark.parametrize(
    ("remote", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_network_counts_as_one_address(remote: str, counted: str) -> None:
    assert address_of(RequestFactory().get("/", REMOTE_ADDR=remote)) == counted


def test_a_forwarded_address_is_believed_only_behind_our_proxy(settings: Settings) -> None:
    request = RequestFactory().get("/", headers={"x-forwarded-for": "198.51.100.1, 203.0.113.9"})
    settings.SECURE_PROXY_SSL_HEADER = None
    assert address_of(request) == "127.0.0.1"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert address_of(request) == "203.0.113.9"


def sent(outbox: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in outbox.read_text().splitlines()] if outbox.exists() else []


def ask(client: Client, phone: str = PHONE, **more: str) -> tuple[int, str]:
    return page_or_place(client.post("/", {"phone": phone, "password": "", "way": "code", **more}, headers=ENGLISH))


def ask_reset(client: Client, phone: str = PHONE, **more: str) -> tuple[int, str]:
    return page_or_place(client.post("/reset/", {"phone": phone, **more}, headers=ENGLISH))


def type_code(client: Client, code: str, **more: str) -> tuple[int, str]:
    return page_or_place(client.post("/code/", {"code": code, **more}, headers=ENGLISH))


def page_or_place(response: Any) -> tuple[int, str]:
    return response.status_code, response.headers.get("Location") or response.content.decode()


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


ENGLISH = {"accept-language": "en"}
STRANGER = "+8613900002222"


def test_a_code_by_sms_signs_in(client: Client, person: User, outbox: Path) -> None:
    assert ask(client) == (302, "/code/")
    [message] = sent(outbox)
    assert (message["kind"], message["phone"]) == ("sign_in", PHONE)
    assert message["code"] in message["text"]
    assert type_code(client, message["code"]) == (302, "/")
    assert is_in(client)


def test_enter_without_a_password_asks_for_a_code_and_with_one_signs_in(client: Client, person: User) -> None:
    assert client.post("/", {"phone": PHONE, "password": "", "way": ""}).headers["Location"] == "/code/"
    assert not is_in(client)
    client.post("/", {"phone": PHONE, "password": PASSWORD, "way": ""})
    assert is_in(client)


@pytest.mark.parametrize("written", ["{} {}", "{}-{}", " {}{} "])
def test_a_code_may_be_typed_as_people_read_it(client: Client, person: User, outbox: Path, written: str) -> None:
    ask(client)
    code = sent(outbox)[0]["code"]
    wide = written.format(code[:3], code[3:]).translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)})
    assert type_code(client, wide) == (302, "/")


def test_a_code_leads_back_to_the_page_that_was_asked_for(client: Client, person: User, outbox: Path) -> None:
    ask(client, next="/counter/?mode=arrival")
    client.post("/code/", {"again": ""})
    assert type_code(client, sent(outbox)[1]["code"]) == (302, "/counter/?mode=arrival")


def test_a_code_never_leads_to_another_site(client: Client, person: User, outbox: Path) -> None:
    ask(client, next="https://evil.example/")
    assert type_code(client, sent(outbox)[0]["code"]) == (302, "/")


def test_a_code_signs_in_once(client: Client, person: User, outbox: Path) -> None:
    other = Client()
    ask(client)
    ask(other)
    code = sent(outbox)[1]["code"]
    assert type_code(other, code) == (302, "/")
    assert "works no more" in type_code(client, code)[1]
    assert not is_in(client)


def test_a_second_press_of_the_button_comes_home(client: Client, person: User, outbox: Path) -> None:
    ask(client)
    code = sent(outbox)[0]["code"]
    type_code(client, code)
    assert type_code(client, code) == (302, "/")
    assert is_in(client)


def test_a_new_code_ends_the_one_before(client: Client, person: User, outbox: Path) -> None:
    ask(client)
    client.post("/code/", {"again": ""})
    first, second = (message["code"] for message in sent(outbox))
    if first != second:
        assert "This is not the code" in type_code(client, first)[1]
    assert type_code(client, second) == (302, "/")


def test_a_code_is_too_old_after_ten_minutes(client: Client, person: User, outbox: Path) -> None:
    ask(client)
    with everywhere_at(now() + access.CODE_LASTS):
        assert "works no more" in type_code(client, sent(outbox)[0]["code"])[1]


def test_after_five_wrong_tries_even_the_right_code_is_refused(client: Client, person: User, outbox: Path) -> None:
    ask(client)
    code = sent(outbox)[0]["code"]
    left = [type_code(client, other_than(code))[1] for _ in range(access.CODE_TRIES)]
    assert "4 more times" in left[0]
    assert "works no more" in left[-1]
    cache.clear()  # the count is not there
    assert "works no more" in type_code(client, code)[1]
    assert not is_in(client)


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "12 34", "\x00"])
def test_what_is_no_code_costs_no_try(client: Client, person: User, typed: str) -> None:
    ask(client)
    assert 'id="id_code_error"' in type_code(client, typed)[1]
    assert SignInCode.objects.get().tries == 0


@pytest.mark.django_db(transaction=True)
def test_tries_sent_at_once_are_all_counted(outbox: Path) -> None:
    factories.make_user(phone=PHONE)
    access.send_code(phone=PHONE, purpose=Purpose.SIGN_IN, address="", now=now())
    wrong = other_than(sent(outbox)[0]["code"])

    def guess(number: int) -> str:
        try:
            access.use_code(phone=PHONE, purpose=Purpose.SIGN_IN, code=wrong, now=now())
        except (access.WrongCode, access.CodeGone) as refused:
            return type(refused).__name__
        finally:
            connection.close()
        return "in"

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(guess, range(16)))
    assert answers.count("WrongCode") == access.CODE_TRIES
    assert answers.count("CodeGone") == 16 - access.CODE_TRIES


@pytest.mark.django_db(transaction=True)
def test_the_right_code_sent_at_once_signs_in_once(outbox: Path) -> None:
    factories.make_user(phone=PHONE)
    access.send_code(phone=PHONE, purpose=Purpose.SIGN_IN, address="", now=now())
    code = sent(outbox)[0]["code"]

    def use(number: int) -> bool:
        try:
            access.use_code(phone=PHONE, purpose=Purpose.SIGN_IN, code=code, now=now())
        except access.CodeGone:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(use, range(4))) == 1


@pytest.mark.django_db(transaction=True)
def test_codes_asked_for_at_once_are_all_counted(outbox: Path) -> None:
    factories.make_user(phone=PHONE)

    def ask_once(number: int) -> bool:
        try:
            access.send_code(phone=PHONE, purpose=Purpose.SIGN_IN, address="", now=now())
        except access.TooManyCodes:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(ask_once, range(12))) == 3
    assert len(sent(outbox)) == 3


def test_a_phone_gets_three_codes_in_ten_minutes_and_a_lost_cache_gives_no_more(
    client: Client, person: User, outbox: Path
) -> None:
    for _ in range(3):
        assert ask(client)[0] == 302
    cache.clear()
    status, page = ask(Client())
    assert (status, len(sent(outbox))) == (429, 3)
    assert "Try again in 10 minutes" in page
    with everywhere_at(now() + access.CODE_LASTS + timedelta(seconds=1)):
        assert ask(client)[0] == 302


def test_a_phone_gets_eight_codes_in_a_day(client: Client, person: User, outbox: Path) -> None:
    begin = now()
    for number in range(8):
        with everywhere_at(begin + number * timedelta(minutes=11)):
            assert ask(client)[0] == 302
    with everywhere_at(begin + timedelta(hours=23)):
        assert ask(client)[0] == 429
    with everywhere_at(begin + timedelta(hours=24, minutes=5)):
        assert ask(client)[0] == 302
    assert len(sent(outbox)) == 9


def test_an_address_gets_so_many_codes_for_whatever_phones(client: Client) -> None:
    for number in range(30):
        assert ask(client, phone=f"+86139111{number:05d}")[0] == 302
    assert ask(client, phone="+8613922200000")[0] == 429


def test_the_network_sends_so_many_codes_in_a_day_and_no_more(
    client: Client, person: User, outbox: Path, settings: Settings
) -> None:
    settings.SIGN_IN_CODES_PER_DAY = 2
    factories.make_user(phone=STRANGER)
    assert [ask(client)[0], ask(client)[0], ask(client, phone=STRANGER)[0]] == [302, 302, 429]
    assert len(sent(outbox)) == 2


def test_an_unknown_phone_gets_no_message_and_the_same_answers(client: Client, person: User, outbox: Path) -> None:
    known, unknown = Client(), Client()
    assert ask(known) == ask(unknown, STRANGER) == (302, "/code/")
    assert [message["phone"] for message in sent(outbox)] == [PHONE]
    wrong = other_than(sent(outbox)[0]["code"])
    for _ in range(access.CODE_TRIES + 1):
        (status, page), (other_status, other_page) = type_code(known, wrong), type_code(unknown, wrong)
        assert status == other_status
        assert strip(page, "csrfmiddlewaretoken") == strip(
            other_page.replace("139 0000 2222", "139 0000 1111"), "csrfmiddlewaretoken"
        )
    assert [ask(known)[0] for _ in range(3)] == [ask(unknown, STRANGER)[0] for _ in range(3)] == [302, 302, 429]


def test_somebody_who_was_let_go_gets_no_code(client: Client, outbox: Path) -> None:
    factories.make_user(phone=PHONE, is_active=False)
    assert ask(client) == (302, "/code/")
    assert sent(outbox) == []


@pytest.mark.parametrize("place", ["/apply/", "/vacancies/guangdong/"])
def test_who_comes_to_apply_opens_an_account_with_the_phone(client: Client, outbox: Path, place: str) -> None:
    factories.make_region("guangdong", "广东", Level.PROVINCE)
    assert client.get(place).headers["Location"] == f"/?next={place}"
    assert ask(client, STRANGER, next=place) == (302, "/code/")
    [message] = sent(outbox)
    assert (message["kind"], message["phone"]) == ("open", STRANGER)
    assert not User.objects.filter(phone=STRANGER).exists()
    assert type_code(client, other_than(message["code"]))[0] == 200
    assert not User.objects.filter(phone=STRANGER).exists()
    assert type_code(client, message["code"]) == (302, place)
    opened = User.objects.get(phone=STRANGER)
    assert (opened.has_usable_password(), opened.is_staff, opened.name) == (False, False, "")
    assert client.get(place).status_code == 200
    assert access.roles_of(opened) == []


def test_who_has_an_account_applies_with_it(client: Client, person: User, outbox: Path) -> None:
    ask(client, next="/apply/")
    assert type_code(client, sent(outbox)[0]["code"]) == (302, "/apply/")
    assert client.session["_auth_user_id"] == str(person.pk)
    assert User.objects.count() == 1


def test_who_was_let_go_opens_no_second_account(client: Client, outbox: Path) -> None:
    factories.make_user(phone=PHONE, is_active=False)
    assert ask(client, next="/apply/") == (302, "/code/")
    assert sent(outbox) == []


def test_a_code_to_sign_in_opens_no_account(client: Client, outbox: Path) -> None:
    for place in ("/counter/", "/admin/", "/apply/1/", "//apply/", ""):
        assert ask(Client(), STRANGER, next=place)[0] in (302, 429)
    assert sent(outbox) == []


def test_an_unknown_phone_is_answered_as_the_last_known_one_was(person: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FileGateway, message: Message) -> None:
        raise NotSent("down")

    pauses: list[float] = []
    monkeypatch.setattr("network.access.time.sleep", pauses.append)
    monkeypatch.setattr(FileGateway, "send", refuse)
    known, unknown = ask(Client()), ask(Client(), STRANGER)
    assert known[0] == unknown[0] == 503
    assert "could not be sent" in unknown[1]
    SignInCode.objects.filter(failed=True).update(took_ms=1500)
    ask(Client(), "+8613900004444")
    assert pauses[-1] == 1.5


def test_without_a_gateway_a_network_under_development_writes_to_its_terminal(
    client: Client, person: User, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.NOTICES_FILE = settings.SMS_GATEWAY = ""
    settings.BASE_URL = "http://127.0.0.1:8000"
    ask(client)
    assert PHONE in capsys.readouterr().out


@pytest.mark.parametrize("configured", ["", "console"])
def test_without_a_gateway_a_real_network_says_so_and_offers_the_password(
    client: Client, person: User, settings: Settings, capsys: pytest.CaptureFixture[str], configured: str
) -> None:
    settings.NOTICES_FILE, settings.SMS_GATEWAY = "", configured
    settings.BASE_URL = "https://pickup.example"
    assert "Send a code" not in client.get("/", headers=ENGLISH).content.decode()
    status, page = ask(client)
    assert status == 503
    assert "No messages can be sent from here yet" in page
    assert ask(client, STRANGER)[0] == 503
    assert capsys.readouterr().out == ""


def test_a_gateway_that_nobody_knows_does_not_close_the_front_door(client: Client, settings: Settings) -> None:
    settings.NOTICES_FILE, settings.SMS_GATEWAY = "", "pigeon:1"
    assert client.get("/").status_code == 200


def test_numbers_of_other_countries_get_no_message(client: Client, outbox: Path) -> None:
    factories.make_user(phone="+33612345678")
    assert "this country" in ask(client, "+33612345678")[1]
    assert sent(outbox) == []


def test_codes_are_in_no_log_and_no_row(
    client: Client, person: User, outbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ask(client)
    code = sent(outbox)[0]["code"]
    type_code(client, other_than(code))
    type_code(client, code)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(c)::text FROM network_signincode c")
        [(row,)] = cursor.fetchall()
    kept = json.loads(row)
    assert kept["code_hash"] != f"\\x{code.encode().hex()}"
    assert PHONE[3:] not in row
    assert [record for record in caplog.records if code in record.getMessage()] == []


def test_codes_that_no_longer_count_are_deleted(client: Client, person: User) -> None:
    ask(client)
    with everywhere_at(now() + timedelta(days=15)):
        ask(Client())
        assert SignInCode.objects.count() == 1
        assert Session.objects.count() == 1  # the stranger's of that time is gone as well


def test_signing_in_changes_the_session_key_and_drops_what_the_stranger_had(
    client: Client, person: User, outbox: Path
) -> None:
    ask(client)
    before = client.cookies["sessionid"].value
    type_code(client, sent(outbox)[0]["code"])
    assert client.cookies["sessionid"].value != before
    assert not Session.objects.filter(session_key=before).exists()
    assert {name for name in client.session.keys() if not name.startswith("_auth")} == {SIGNED_IN_AT}  # noqa: SIM118


def test_the_code_page_without_a_phone_leads_to_the_front_door(client: Client) -> None:
    assert client.get("/code/").headers["Location"] == "/"
    assert type_code(client, "123456") == (302, "/")


def test_a_forgotten_password_is_set_anew_by_a_code(client: Client, person: User, outbox: Path) -> None:
    elsewhere = Client()
    sign_in(elsewhere)
    assert ask_reset(client) == (302, "/code/")
    [message] = sent(outbox)
    assert message["kind"] == "reset"
    assert type_code(client, message["code"], password="a new long secret") == (302, "/")
    assert is_in(client)
    assert elsewhere.get("/account/").status_code == 302  # whoever knew the old one is out
    client.post("/sign-out/")
    assert sign_in(client, password="a new long secret") == (302, "/")


def test_a_password_that_is_too_weak_costs_no_try(client: Client, person: User, outbox: Path) -> None:
    ask_reset(client)
    code = sent(outbox)[0]["code"]
    for weak in ("short", "password", ""):
        assert 'id="id_password_error"' in type_code(client, code, password=weak)[1]
    assert SignInCode.objects.get().tries == 0
    assert type_code(client, code, password="a new long secret")[0] == 302


def test_a_code_to_sign_in_sets_no_password(client: Client, person: User, outbox: Path) -> None:
    ask(client)
    code = sent(outbox)[0]["code"]
    session = client.session
    session["sign-in"] = {**session["sign-in"], "purpose": "reset"}
    session.save()
    assert "works no more" in type_code(client, code, password="a new long secret")[1]
    assert person.check_password(PASSWORD)


def test_a_reset_for_an_unknown_phone_looks_like_any_other(client: Client, outbox: Path) -> None:
    assert ask_reset(client, STRANGER) == (302, "/code/")
    assert "This is not the code" in type_code(client, "123456", password="a new long secret")[1]
    assert sent(outbox) == []
    assert not User.objects.exists()


def test_a_reset_ends_the_wait_after_wrong_passwords(client: Client, person: User, outbox: Path) -> None:
    for _ in range(access.WRONG_PER_PHONE):
        sign_in(client, password="wrong")
    ask_reset(client)
    type_code(client, sent(outbox)[0]["code"], password="a new long secret")
    client.post("/sign-out/")
    assert sign_in(client, password="a new long secret") == (302, "/")


def test_the_limits_of_passwords_survive_a_lost_cache(client: Client, person: User) -> None:
    for _ in range(access.WRONG_PER_PHONE):
        sign_in(client, password="wrong")
    cache.clear()
    assert sign_in(client)[0] == 429


def signed_in(person: User, *, soon: bool = True) -> Client:
    client = Client(headers=ENGLISH)
    client.force_login(person)
    session = client.session
    session[SIGNED_IN_AT] = int(now().timestamp()) - (0 if soon else account.SOON_S + 60)
    session.save()
    return client


@pytest.mark.parametrize(
    "path",
    ["", "password/", "password/remove/", "passkeys/", "passkeys/1/", "invitations/1/", "shops/1/leave/"],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_has_no_account_page(client: Client, path: str, method: str) -> None:
    response = getattr(client, method)(f"/account/{path}")
    assert (response.status_code, response.headers["Location"]) == (302, f"/?next=/account/{path}")


def test_a_stranger_gets_no_options_for_a_passkey(client: Client) -> None:
    assert client.post("/account/passkeys/options/").status_code == 302


def test_a_name_is_changed_and_an_empty_one_is_not(person: User) -> None:
    client = signed_in(person)
    client.post("/account/", {"name": "Li Wei"})
    assert "This field is required" in client.post("/account/", {"name": " "}).content.decode()
    person.refresh_from_db()
    assert person.name == "Li Wei"


def test_whoever_knows_the_password_changes_it_and_other_browsers_are_signed_out(person: User) -> None:
    client, elsewhere = signed_in(person), signed_in(person)
    client.post("/account/password/", {"old": PASSWORD, "new": "a new long secret"})
    person.refresh_from_db()
    assert person.check_password("a new long secret")
    assert client.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 302


def test_an_open_browser_does_not_serve_for_guessing_the_password(person: User) -> None:
    client = signed_in(person)
    for _ in range(access.WRONG_PER_PHONE):
        page = client.post("/account/password/", {"old": "wrong", "new": "a new long secret"}).content.decode()
        assert "This is not your password" in page
    page = client.post("/account/password/", {"old": PASSWORD, "new": "a new long secret"}).content.decode()
    assert "Too many wrong attempts" in page
    person.refresh_from_db()
    assert person.check_password(PASSWORD)


def test_a_password_is_removed_soon_after_signing_in_and_not_later(person: User) -> None:
    late = signed_in(person, soon=False)
    assert "Sign in once more" in late.post("/account/password/remove/", follow=True).content.decode()
    person.refresh_from_db()
    assert person.has_usable_password()
    signed_in(person).post("/account/password/remove/")
    person.refresh_from_db()
    assert not person.has_usable_password()


def test_somebody_without_a_password_sets_one_by_a_code(person: User, outbox: Path) -> None:
    person.set_unusable_password()
    person.save(update_fields=["password"])
    client = signed_in(person)
    assert "You have no password" in client.get("/account/").content.decode()
    ask_reset(client, next="/account/")
    code = sent(outbox)[0]["code"]
    assert type_code(client, code, password="a new long secret") == (302, "/account/")
    person.refresh_from_db()
    assert person.check_password("a new long secret")


def invitation_for(person: User) -> Invitation:
    point = factories.make_point(name="Corner Shop")
    owner = factories.make_member(point)
    return Invitation.objects.create(
        user=person, service_point=point, role="clerk", made_by=owner, expires_at=now() + timedelta(days=1)
    )


def test_an_invitation_is_shown_at_once_after_signing_in(client: Client, person: User) -> None:
    invitation_for(person)
    sign_in(client)
    assert client.get("/").headers["Location"] == "/account/"
    assert "Corner Shop asks you to work there" in client.get("/account/", headers=ENGLISH).content.decode()


def test_an_invitation_is_accepted_with_a_name_and_leads_to_the_counter(client: Client, person: User) -> None:
    person.name = ""
    person.save(update_fields=["name"])
    client = signed_in(person)
    invitation = invitation_for(person)
    path = f"/account/invitations/{invitation.pk}/"
    assert 'id="invited_name_error"' in client.post(path, {"accept": "", "name": ""}).content.decode()
    assert not Membership.objects.filter(user=person).exists()
    response = client.post(path, {"accept": "", "name": "Li Wei"}, follow=True)
    assert response.redirect_chain[-1][0].startswith("/counter/")
    person.refresh_from_db()
    assert person.name == "Li Wei"


def test_an_invitation_is_declined(person: User) -> None:
    invitation = invitation_for(person)
    signed_in(person).post(f"/account/invitations/{invitation.pk}/", {"decline": ""})
    invitation.refresh_from_db()
    assert invitation.end == "declined"


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_nobody_answers_an_invitation_of_somebody_else(person: User, answer: str) -> None:
    invitation = invitation_for(person)
    other = signed_in(factories.make_user(name="Other"))
    other.post(f"/account/invitations/{invitation.pk}/", {answer: ""})
    invitation.refresh_from_db()
    assert (invitation.end, Membership.objects.filter(role="clerk").exists()) == ("", False)


def test_a_clerk_leaves_a_shop_and_its_only_owner_cannot(person: User) -> None:
    point = factories.make_point()
    owner = factories.make_member(point)
    Membership.objects.create(user=person, service_point=point, role="clerk")
    signed_in(person).post(f"/account/shops/{point.pk}/leave/")
    assert not access.points_of(person).exists()
    page = signed_in(owner).post(f"/account/shops/{point.pk}/leave/", follow=True).content.decode()
    assert "only owner" in page
    assert access.points_of(owner).exists()


def test_a_shop_where_one_does_not_work_cannot_be_left(person: User) -> None:
    point = factories.make_point()
    assert signed_in(person).post(f"/account/shops/{point.pk}/leave/").status_code == 404


@pytest.mark.parametrize(
    "credential",
    [
        *("", "null", "[]", "{}", "7", '"x"', "{", '{"response": 7}', '{"response": {"userHandle": 7}}'),
        '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}',
        '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "AA",'
        ' "authenticatorData": "AA", "signature": "AA", "userHandle": "AA"}}',
        "[" * 9000,
        "9" * 20_000,
    ],
)
def test_rubbish_is_no_passkey(client: Client, person: User, credential: str) -> None:
    client.post("/passkey/options/")
    response = client.post("/passkey/", {"credential": credential})
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    assert not is_in(client)
    assert STATE_SESSION_KEY not in client.session  # the challenge is spent
    owner = signed_in(person)
    owner.post("/account/passkeys/options/")
    response = owner.post("/account/passkeys/", {"credential": credential, "name": "Mine"}, follow=True)
    assert "was not added" in response.content.decode()


def test_the_options_of_a_passkey_name_nobody(client: Client, person: User) -> None:
    told = client.post("/passkey/options/").json()["publicKey"]
    assert (told["rpId"], told["userVerification"]) == ("testserver", "required")
    assert not told.get("allowCredentials")


def test_a_passkey_is_added_only_soon_after_signing_in(person: User) -> None:
    assert signed_in(person).post("/account/passkeys/options/").status_code == 200
    late = signed_in(person, soon=False)
    assert late.post("/account/passkeys/options/").status_code == 404
    assert "Sign in once more" in late.post("/account/passkeys/", {"credential": "{}"}, follow=True).content.decode()


@pytest.mark.parametrize("path", ["/", "/reset/", "/passkey/", "/passkey/options/"])
def test_every_way_in_needs_the_token_of_our_own_page(person: User, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(path, {"phone": PHONE, "password": PASSWORD, "way": "code"}).status_code == 403
    assert not SignInCode.objects.exists()


def test_the_admin_sees_whose_passkeys_there_are_and_nothing_of_the_keys(person: User) -> None:
    data = {"name": "My phone", "credential": {"rawId": "SECRETBYTES"}}
    passkey = Authenticator.objects.create(user=person, type="webauthn", data=data)
    admin = signed_in(User.objects.create_superuser("+8613900009999", name="Root"))
    for path in ("", f"{passkey.pk}/change/", f"{passkey.pk}/delete/"):
        page = admin.get(f"/admin/mfa/authenticator/{path}")
        assert (page.status_code, "SECRETBYTES" in page.content.decode()) == (200, False)
    assert admin.get("/admin/mfa/authenticator/add/").status_code == 403
    admin.post(f"/admin/mfa/authenticator/{passkey.pk}/delete/", {"post": "yes"})
    assert not Authenticator.objects.exists()


def test_a_passkey_of_somebody_else_is_neither_renamed_nor_removed(person: User) -> None:
    other = factories.make_user()
    passkey = Authenticator.objects.create(user=other, type="webauthn", data={"name": "Theirs", "credential": {}})
    client = signed_in(person)
    assert client.post(f"/account/passkeys/{passkey.pk}/", {"name": "Mine"}).status_code == 404
    client.post(f"/account/passkeys/{passkey.pk}/", {"remove": ""})
    assert Authenticator.objects.get().data["name"] == "Theirs"
    assert "Theirs" not in client.get("/account/").content.decode()
