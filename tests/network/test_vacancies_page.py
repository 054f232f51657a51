"""The public list of vacant regions, the form to apply, and the own applications: nobody sees another person's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import localtime, now

from network import applications
from network.models import AppointmentApplication, Level, Region, User
from tests import factories
from tests.factories import make_application, make_appointment, make_user

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
FORM = {"reasons": "I know every shop here", "contact": "evenings"}


@pytest.fixture
def person() -> User:
    return make_user(name="Li Lei")


@pytest.fixture
def own(person: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(person)
    return client


def read(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path, headers={"accept-language": "en"})
    assert response.status_code == status, path
    return " ".join(response.content.decode().split())


def test_everybody_reads_which_regions_are_vacant_and_nothing_of_who_holds_the_others(
    client: Client, chain: Chain
) -> None:
    make_appointment(chain[Level.CITY], factories.make_agent("secret-agent"))
    ends = now() + timedelta(days=9)
    make_appointment(chain[Level.DISTRICT], factories.make_agent("leaving-agent"), until=ends)
    page = read(client, "/vacancies/?level=")
    for told in ("华南", "广东省", "科技园", "南山区", "It costs nothing.", f"{localtime(ends):%Y-%m-%d}"):
        assert told in page, told
    for hidden in ("secret-agent", "leaving-agent"):
        assert hidden not in page
    assert 'href="/vacancies/440300/"' not in page


def test_it_opens_with_the_coarsest_level_that_has_a_vacancy(client: Client, chain: Chain) -> None:
    for level in (Level.MACRO, Level.PROVINCE):
        make_appointment(chain[level])
    page = read(client, "/vacancies/")
    assert 'href="/vacancies/440300/"' in page
    assert 'href="/vacancies/440305/"' not in page
    assert 'href="/vacancies/440305/"' in read(client, "/vacancies/?q=南山")


@pytest.mark.parametrize("query", ["level=99", "level=x", "q=%00", "q=" + "x" * 500, "page=9999", "page=-1"])
def test_odd_questions_are_answered(client: Client, chain: Chain, query: str) -> None:
    read(client, f"/vacancies/?{query}")


def test_the_list_asks_a_fixed_number_of_times(own: Client, chain: Chain) -> None:
    counted = set()
    for more in (0, 30):
        for number in range(more):
            factories.make_region(f"X{number}", f"某区{number}", Level.DISTRICT, chain[Level.CITY])
        with CaptureQueriesContext(connection) as queries:
            read(own, "/vacancies/?level=4")
        counted.add(len(queries))
    assert len(counted) == 1
    assert counted.pop() <= 14


@pytest.mark.parametrize("path", ["/vacancies/440305/", "/vacancies/mine/"])
def test_only_reading_the_list_needs_no_account(client: Client, chain: Chain, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/?next={path}"


def test_an_unknown_region_does_not_exist(own: Client, chain: Chain) -> None:
    read(own, "/vacancies/999999/", 404)


def test_who_applies_is_led_to_the_own_applications(own: Client, person: User, chain: Chain) -> None:
    assert own.post("/vacancies/440305/", FORM).headers["Location"] == "/vacancies/mine/"
    made = AppointmentApplication.objects.get()
    assert (made.user, made.region, made.reasons, made.contact) == (person, chain[Level.DISTRICT], *FORM.values())
    page = read(own, "/vacancies/mine/")
    for told in ("南山区", "waiting", FORM["reasons"], "Withdraw"):
        assert told in page
    assert "You have applied for this region already" in read(own, "/vacancies/440305/")
    assert own.post("/vacancies/440305/", FORM).status_code == 409
    assert AppointmentApplication.objects.count() == 1


def test_who_has_no_name_yet_gives_one(chain: Chain) -> None:
    nameless = make_user()
    client = Client()
    client.force_login(nameless)
    assert client.post("/vacancies/440305/", FORM).status_code == 400
    assert client.post("/vacancies/440305/", FORM | {"name": "Han Meimei"}).status_code == 302
    nameless.refresh_from_db()
    assert nameless.name == "Han Meimei"


@pytest.mark.parametrize(
    "wrong", [{"reasons": ""}, {"reasons": "x" * 2001}, {"reasons": "a\x00"}, {"contact": "x" * 201}]
)
def test_an_application_that_is_none_is_refused_and_the_form_keeps_what_was_typed(
    own: Client, chain: Chain, wrong: dict[str, str]
) -> None:
    response = own.post("/vacancies/440305/", FORM | wrong)
    assert response.status_code == 400
    assert not AppointmentApplication.objects.exists()


def test_there_is_nothing_to_pay_and_no_field_for_it(own: Client, chain: Chain) -> None:
    page = read(own, "/vacancies/440305/")
    names = {part.split('"')[0] for part in page.split(' name="')[1:]}
    assert names == {"viewport", "csrfmiddlewaretoken", "language", "next", "reasons", "contact"} & names
    own.post("/vacancies/440305/", FORM | {"price": "100", "deposit": "5"})
    assert {field.name for field in AppointmentApplication._meta.get_fields()} == {
        *("id", "user", "region", "reasons", "contact", "status", "made_at", "decided_by", "decided_at", "answer"),
        "appointment",
    }


def test_a_held_region_says_until_when(own: Client, chain: Chain) -> None:
    held = make_appointment(chain[Level.DISTRICT])
    assert f"until {held.valid.upper:%Y}" in read(own, "/vacancies/440305/")
    assert own.post("/vacancies/440305/", FORM).status_code == 409


def test_too_many_are_refused(own: Client, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications, "MOST_WAITING", 1)
    own.post("/vacancies/440305/", FORM)
    assert own.post("/vacancies/440300/", FORM).status_code == 429


def test_withdrawing_is_for_the_own_and_by_post_only(own: Client, chain: Chain, person: User) -> None:
    mine, foreign = make_application(chain[Level.CITY], person), make_application(chain[Level.CITY])
    assert own.get(f"/vacancies/mine/{mine.pk}/withdraw/").status_code == 405
    assert own.post(f"/vacancies/mine/{foreign.pk}/withdraw/").status_code == 404
    assert own.post(f"/vacancies/mine/{mine.pk}/withdraw/").status_code == 302
    assert "withdrawn" in read(own, "/vacancies/mine/")
    foreign.refresh_from_db()
    assert foreign.status == "waiting"


def test_the_answer_is_read_by_the_applicant_and_nobody_else(own: Client, chain: Chain, person: User) -> None:
    staff, at = make_user(is_staff=True), now()
    mine, foreign = make_application(chain[Level.CITY], person), make_application(chain[Level.CITY], reasons="foreign")
    applications.refuse(application_id=mine.pk, answer="Too far from you", by=staff, now=at)
    applications.refuse(application_id=foreign.pk, answer="Another answer", by=staff, now=at)
    page = read(own, "/vacancies/mine/")
    assert "Too far from you" in page
    for hidden in ("Another answer", "foreign"):
        assert hidden not in page


def test_a_late_withdrawal_says_that_it_was_decided(own: Client, chain: Chain, person: User) -> None:
    mine = make_application(chain[Level.CITY], person)
    applications.refuse(application_id=mine.pk, answer="no", by=make_user(is_staff=True), now=now())
    response: Any = own.post(f"/vacancies/mine/{mine.pk}/withdraw/", follow=True)
    assert "decided before" in response.content.decode()
