"""The front door: who gets in, where they are sent, and how often one may guess."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client, RequestFactory
from django.utils.timezone import now
from pytest_django import Settings

from network import access
from network.models import Membership, SignInAttempt, User
from network.views.sign_in import address_of
from tests import factories

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
PHONE = "+8613900001111"


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


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
    with time_machine.travel(now() + access.WRONG_COUNT_FOR + timedelta(seconds=1)):
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
    assert response.redirect_chain[-1][0] == "/counter/"


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
