"""The recipient's page: found by its link only, and the proof shown to whoever knows the phone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import translation
from django.utils.timezone import now

from network.models import ServicePoint
from pickup import codes, parcels, recipients
from pickup.models import Parcel
from pickup.scans import Scanner
from pickup.views.recipient import readable_hours
from tests import factories
from tests.factories import code_of, make_point, make_ready_parcel

pytestmark = pytest.mark.django_db
PHONE = "+8613800135678"


@pytest.fixture
def point() -> ServicePoint:
    return make_point(
        name="Corner Shop", address="1 Road", city="Shenzhen", opening_hours="Mo-Su 00:00-24:00", phone="0755-1234"
    )


@pytest.fixture
def scanner(point: ServicePoint) -> Scanner:
    return factories.scanner_of(point)


@pytest.fixture
def parcel(scanner: Scanner, point: ServicePoint) -> Parcel:
    return make_ready_parcel(scanner, point, phone=PHONE)


def link_of(parcel: Parcel) -> str:
    return f"/t/{codes.link_of(parcel.uuid, parcel.code.issue)}"


def see(client: Client, parcel: Parcel) -> str:
    return client.get(link_of(parcel), headers={"accept-language": "en"}).content.decode()


def prove(client: Client, parcel: Parcel, last4: str) -> str:
    answer = client.post(link_of(parcel), {"last4": last4}, headers={"accept-language": "en"})
    assert answer.status_code == 200
    return answer.content.decode()


def spaced(code: str) -> str:
    return f"{code[:4]} {code[4:]}"


def test_the_link_shows_where_until_when_and_nothing_of_the_person(client: Client, parcel: Parcel) -> None:
    page = see(client, parcel)
    for known in ("Corner Shop", "1 Road", "geo:22.535", "Mo-Su", "open now", "is ready", "Kept until"):
        assert known in page
    for secret in (code_of(parcel), spaced(code_of(parcel)), "data:image", "5678", "王", "科苑路"):
        assert secret not in page


def test_the_last_four_digits_show_qr_and_code(client: Client, parcel: Parcel) -> None:
    page = prove(client, parcel, "5678")
    assert spaced(code_of(parcel)) in page
    assert "data:image/svg+xml" in page


def test_the_shown_code_opens_the_parcel(client: Client, parcel: Parcel, scanner: Scanner) -> None:
    shown = spaced(code_of(parcel))
    assert shown in prove(client, parcel, "５６７８")
    answer = factories.pick_up(scanner, parcel, token="", code=shown.replace(" ", ""))
    assert answer.verdict == "ok"


def test_ten_wrong_tries_lock_the_page_for_good(client: Client, parcel: Parcel) -> None:
    for _ in range(recipients.PAGE_TRIES):
        assert "not the last four digits" in prove(client, parcel, "0000")
    for page in (prove(client, parcel, "5678"), see(client, parcel)):
        assert "Too many wrong digits" in page
        assert "also in the message" in page
        assert spaced(code_of(parcel)) not in page


def test_a_right_try_is_not_counted(client: Client, parcel: Parcel) -> None:
    for _ in range(recipients.PAGE_TRIES + 2):
        assert spaced(code_of(parcel)) in prove(client, parcel, "5678")
    parcel.code.refresh_from_db()
    assert parcel.code.page_attempts == 0


def test_a_right_try_does_not_forgive_the_wrong_ones(client: Client, parcel: Parcel) -> None:
    prove(client, parcel, "0000")
    prove(client, parcel, "5678")
    parcel.code.refresh_from_db()
    assert parcel.code.page_attempts == 1


@pytest.mark.parametrize("typed", ["", "567", "56789", "abcd", "5６7", "\x00678", "%s"])
def test_what_is_not_four_digits_costs_no_try(client: Client, parcel: Parcel, typed: str) -> None:
    assert "Type four digits" in prove(client, parcel, typed)
    parcel.code.refresh_from_db()
    assert parcel.code.page_attempts == 0


@pytest.mark.django_db(transaction=True)
def test_many_guesses_at_once_compare_no_more_than_ten() -> None:
    point = make_point()
    parcel = make_ready_parcel(factories.scanner_of(point), point, phone=PHONE)

    def guess(number: int) -> str:
        try:
            return prove(Client(), parcel, f"{number:04d}")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        pages = list(threads.map(guess, range(40)))
    assert sum("not the last four digits" in page for page in pages) == recipients.PAGE_TRIES
    assert sum("Too many wrong digits" in page for page in pages) == 40 - recipients.PAGE_TRIES


def test_an_erased_recipient_fits_no_digits(client: Client, parcel: Parcel) -> None:
    type(parcel.order.recipient).objects.update(phone_last4="", masked_name="", sealed=b"")
    assert "Type four digits" in prove(client, parcel, "")
    assert "not the last four digits" in prove(client, parcel, "5678")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("collected", "was handed over"),
        ("returned", "went back"),
        ("cancelled", "was cancelled"),
        ("damaged", "is damaged"),
    ],
)
def test_a_closed_parcel_shows_its_status_and_no_code(client: Client, parcel: Parcel, status: str, words: str) -> None:
    with transaction.atomic():
        locked = Parcel.objects.select_for_update().get(pk=parcel.pk)
        if status == "returned":
            parcels.move(locked, to="expired")
        parcels.move(locked, to=status, **({"collected_at": now()} if status == "collected" else {}))
    for page in (see(client, parcel), prove(client, parcel, "5678")):
        assert words in page
        assert "last4" not in page
        assert spaced(code_of(parcel)) not in page


def test_an_overdue_parcel_still_has_its_code(client: Client, parcel: Parcel) -> None:
    factories.backdate(parcel, hold_until=now() - timedelta(days=1))
    with transaction.atomic():
        parcels.move(Parcel.objects.select_for_update().get(pk=parcel.pk), to="expired")
    assert "may go back any day" in see(client, parcel)
    assert spaced(code_of(parcel)) in prove(client, parcel, "5678")


def test_a_stranger_with_another_link_and_one_with_a_replaced_link_get_the_same_answer(
    client: Client, parcel: Parcel
) -> None:
    replaced = link_of(parcel)
    with transaction.atomic():
        parcels.issue_code(parcel, issue=2)
    answers = [client.get(path) for path in (replaced, "/t/" + "A" * 22)]
    for method in (client.post, client.put, client.delete):
        answers += [method(replaced, {"last4": "5678"}), method("/t/" + "A" * 22, {"last4": "5678"})]
    assert {answer.status_code for answer in answers} == {404}
    bare = {answer.content.decode().replace(replaced, "").replace("/t/" + "A" * 22, "") for answer in answers[:2]}
    assert len({strip_tokens(page) for page in bare}) == 1
    differing = {"Content-Length", "Expires"}  # the length of the path in the page, and the second of the answer
    first, second = ({k: v for k, v in answer.headers.items() if k not in differing} for answer in answers[:2])
    assert first == second


def strip_tokens(page: str) -> str:
    return "\n".join(line for line in page.splitlines() if "csrfmiddlewaretoken" not in line)


@pytest.mark.parametrize("path", ["/t/", "/t/short", "/t/" + "A" * 23, "/t/" + "é" * 22, "/t/%00" + "A" * 21])
def test_what_cannot_be_a_link_is_not_found(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_is_kept_by_no_cache_and_no_search_engine(client: Client, parcel: Parcel) -> None:
    for answer in (client.get(link_of(parcel)), client.get("/t/" + "A" * 22)):
        assert "no-store" in answer.headers["Cache-Control"]
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert answer.headers["Referrer-Policy"] == "same-origin"


def test_no_method_but_post_shows_the_code(client: Client, parcel: Parcel) -> None:
    for method in (client.get, client.put, client.patch, client.delete):
        assert spaced(code_of(parcel)) not in method(link_of(parcel), {"last4": "5678"}).content.decode()


def test_the_page_works_without_cookies(parcel: Parcel) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert spaced(code_of(parcel)) in prove(browser, parcel, "5678")


def test_the_page_speaks_both_languages(client: Client, parcel: Parcel) -> None:
    assert "您的包裹" in client.get(link_of(parcel), headers={"accept-language": "zh-CN"}).content.decode()
    assert "Your parcel" in see(client, parcel)


@pytest.mark.parametrize("hours", ["Mo-Fr 09:00-18:00; PH off", "24/7", ""])
def test_opening_hours_are_shown_as_they_are(hours: str) -> None:
    with translation.override("zh-hans"):
        assert "Mo" not in readable_hours(hours)
    with translation.override("en"):
        assert readable_hours(hours) == hours.replace("PH off", "public holidays closed")


def test_hours_nobody_can_read_break_nothing(client: Client, parcel: Parcel) -> None:
    ServicePoint.objects.update(opening_hours="whenever I feel like it")
    page = see(client, parcel)
    assert "whenever" in page
    assert "open now" not in page


def test_no_log_line_carries_a_link(client: Client, parcel: Parcel, caplog: pytest.LogCaptureFixture) -> None:
    client.get(link_of(parcel) + ".")
    assert "/t/…" in caplog.text
    assert codes.link_of(parcel.uuid, 1) not in caplog.text
