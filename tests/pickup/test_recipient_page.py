"""The recipient's page: found by its link only, and the proof shown to whoever knows the phone."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from django.utils import translation
from django.utils.timezone import localtime, now

from network.models import Pause, ServicePoint
from pickup import codes, delegation, holding, notices, orders, parcels, recipients, scanning
from pickup.models import Assignment, Delegation, Dispute, Notice, Parcel
from pickup.scans import Scanner
from pickup.views import recipient, recipient_words
from pickup.views.recipient import readable_hours
from tests import factories
from tests.clock import everywhere_at
from tests.factories import code_of, make_parcel, make_point, make_ready_parcel, pick_up, scan

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
        parcels.move(locked, to=status)
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


def post(client: Client, parcel: Parcel, **fields: Any) -> str:
    answer = client.post(link_of(parcel), fields, headers={"accept-language": "en"})
    assert answer.status_code == 200
    return answer.content.decode()


def grant_in(page: str) -> str:
    found = re.search(r'name="grant" value="([^"]+)"', page)
    assert found, "the page has no grant"
    return found[1]


# -- The grant ------------------------------------------------------------------------------------------------------


def test_who_gave_the_digits_may_reload_the_page(client: Client, parcel: Parcel) -> None:
    prove(client, parcel, "5678")
    assert spaced(code_of(parcel)) in see(client, parcel)


def test_the_grant_is_a_cookie_of_this_page_that_no_script_reads(client: Client, parcel: Parcel) -> None:
    prove(client, parcel, "5678")
    cookie = client.cookies[recipient.GRANT]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (link_of(parcel), True, "Lax")
    assert cookie["max-age"] == 30 * 60


def test_the_grant_in_the_forms_works_without_cookies(parcel: Parcel) -> None:
    grant = grant_in(prove(Client(), parcel, "5678"))
    assert "is kept until" in post(Client(), parcel, action="extend", grant=grant)


def test_the_grant_ends_after_half_an_hour(parcel: Parcel) -> None:
    with time_machine.travel(now() - timedelta(minutes=31), tick=False):
        grant = grant_in(prove(Client(), parcel, "5678"))
    page = post(Client(), parcel, action="extend", grant=grant)
    assert "type the four digits again" in page
    assert spaced(code_of(parcel)) not in page
    assert Parcel.objects.get().extended_at is None


def test_the_grant_of_one_parcel_opens_no_other(parcel: Parcel, scanner: Scanner, point: ServicePoint) -> None:
    other = make_ready_parcel(scanner, point, phone="+8613900001111")
    grant = grant_in(prove(Client(), parcel, "5678"))
    assert spaced(code_of(other)) not in post(Client(), other, grant=grant)


def test_the_grant_dies_with_the_code(parcel: Parcel) -> None:
    grant = grant_in(prove(Client(), parcel, "5678"))
    with transaction.atomic():
        parcels.issue_code(parcel, issue=2)
    parcel.refresh_from_db()
    assert "type the four digits again" in post(Client(), Parcel.objects.get(), grant=grant)


@pytest.mark.parametrize("forged", ["", "x", "WyJhIiwxXQ:1abcde:sig", "\x00"])
def test_a_forged_grant_is_none(parcel: Parcel, forged: str) -> None:
    assert spaced(code_of(parcel)) not in post(Client(), parcel, grant=forged)


def test_an_erased_recipients_grant_is_none(parcel: Parcel) -> None:
    grant = grant_in(prove(Client(), parcel, "5678"))
    type(parcel.order.recipient).objects.update(phone_last4="", masked_name="", sealed=b"")
    assert spaced(code_of(parcel)) not in post(Client(), parcel, grant=grant)


@pytest.mark.parametrize("action", ["extend", "delegate", "withdraw", "choose", "dispute"])
def test_a_stranger_without_the_digits_changes_nothing(
    client: Client, parcel: Parcel, scanner: Scanner, point: ServicePoint, action: str
) -> None:
    fields = {"action": action, "end": "deadline", "number": "1", "point": str(make_point().pk), "note": "x"}
    if action == "dispute":
        pick_up(scanner, parcel)
    if action == "choose":
        parcel = make_parcel(point, phone=PHONE)
        parcels.issue_code(parcel)
    before = Parcel.objects.values().get(pk=parcel.pk)
    for last4 in ({}, {"last4": "0000"}, {"last4": ""}):
        post(client, parcel, **fields, **last4)
    assert Parcel.objects.values().get(pk=parcel.pk) == before
    assert not Delegation.objects.exists()
    assert not Dispute.objects.exists()
    assert not Assignment.objects.exists()


def test_digits_and_action_may_come_together(client: Client, parcel: Parcel) -> None:
    assert "is kept until" in post(client, parcel, action="extend", last4="5678")


def test_before_the_digits_the_page_holds_no_code_link_or_other_parcel(
    client: Client, parcel: Parcel, scanner: Scanner, point: ServicePoint
) -> None:
    other = make_ready_parcel(scanner, point, phone=PHONE)
    coming = make_parcel(point, phone=PHONE)
    made = delegation.make(parcel, number=1, until=now() + timedelta(hours=1), now=now())
    page = see(client, parcel)
    for secret in (code_of(parcel), code_of(other), other.barcode, coming.barcode, delegation.proof_of(made).link):
        assert secret not in page.replace(" ", "")


# -- Until when, where and when it opens ----------------------------------------------------------------------------

NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)  # a Saturday, noon in Shanghai


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (timedelta(days=6, hours=23), "6 days left"),
        (timedelta(days=2), "2 days left"),
        (timedelta(days=2, seconds=-1), "47 hours left"),
        (timedelta(hours=1), "1 hour left"),
        (timedelta(minutes=59), "less than an hour left"),
        (timedelta(0), "the time is over"),
        (-timedelta(days=1), "the time is over"),
    ],
)
def test_the_time_that_is_left_is_told_in_words(after: timedelta, words: str) -> None:
    with translation.override("en"):
        assert recipient_words.left(NOON + after, now=NOON) == words


@pytest.mark.parametrize(
    ("hours", "open_now", "opens"),
    [
        ("Mo-Fr 09:00-18:00", False, "Mo 11-23 09:00"),
        ("Mo-Su 09:00-11:00,14:00-18:00", False, "Sa 11-21 14:00"),
        ("Mo-Su 09:00-18:00", True, ""),
        ("24/7", True, ""),
        ("Mo-Su off", False, ""),
        ("", None, ""),
        ("whenever I feel like it", None, ""),
    ],
)
def test_a_shop_that_is_closed_says_when_it_opens(hours: str, open_now: bool | None, opens: str) -> None:
    with translation.override("en"):
        told = recipient_words.hours_of(ServicePoint(opening_hours=hours), now=NOON)
    assert (told.open_now, told.opens) == (open_now, opens)


def test_the_next_opening_is_told_in_the_readers_language() -> None:
    with translation.override("zh-hans"):
        told = recipient_words.hours_of(ServicePoint(opening_hours="Mo-Fr 09:00-18:00"), now=NOON)
    assert told.opens == "周一 11-23 09:00"


@pytest.mark.parametrize(
    ("reason", "words"),
    [("vacation", "on holiday"), ("closing", "closing down"), ("technical", "trouble"), ("full", "")],
)
def test_a_paused_shop_warns_unless_it_is_only_full(
    client: Client, parcel: Parcel, point: ServicePoint, reason: str, words: str
) -> None:
    period = DateTimeTZRange(now() - timedelta(days=1), now() + timedelta(days=1))
    Pause.objects.create(service_point=point, reason=reason, period=period)
    page = see(client, parcel)
    assert ("Call before you come" in page or "call before you come" in page) is bool(words)
    assert words in page


def test_a_pause_that_is_over_is_not_told(client: Client, parcel: Parcel, point: ServicePoint) -> None:
    period = DateTimeTZRange(now() - timedelta(days=2), now() - timedelta(days=1))
    Pause.objects.create(service_point=point, reason="vacation", period=period)
    assert "on holiday" not in see(client, parcel)


def test_a_suspended_shop_warns(client: Client, parcel: Parcel) -> None:
    ServicePoint.objects.update(status="suspended")
    assert "does not work at the moment" in see(client, parcel)


def test_the_web_map_gets_its_own_coordinates_and_the_phone_gets_wgs_84(settings: Any, point: ServicePoint) -> None:
    settings.MAP_URL = "https://map.example/?at={lon},{lat}&name={name}"
    settings.MAP_DATUM = "gcj02"
    shifted = recipient_words.map_links(point)
    assert shifted["geo_url"].startswith("geo:22.535000,113.935000")
    assert "name=Corner%20Shop" in shifted["map_url"]
    assert "113.935000" not in shifted["map_url"]
    settings.MAP_DATUM = "wgs84"
    assert "at=113.935000,22.535000" in recipient_words.map_links(point)["map_url"]


# -- Keep it longer -------------------------------------------------------------------------------------------------


def test_it_is_kept_three_days_longer_once(client: Client, parcel: Parcel) -> None:
    prove(client, parcel, "5678")
    assert parcel.hold_until is not None
    until = recipient_words.moment(parcel.hold_until + timedelta(days=3))
    assert f"kept until {until}" in post(client, parcel, action="extend")
    assert "works once" in post(client, parcel, action="extend")
    assert Parcel.objects.get().hold_until == parcel.hold_until + timedelta(days=3)


def test_a_qr_that_is_shown_later_carries_the_new_end(client: Client, parcel: Parcel) -> None:
    longer = holding.extend(parcel, now=now())
    assert longer.hold_until is not None
    with mock.patch.object(codes, "token_of", wraps=codes.token_of) as made:
        prove(client, parcel, "5678")
    assert made.call_args.kwargs["expires_at"] == longer.hold_until


def test_an_overdue_parcel_is_not_offered_more_time(client: Client, parcel: Parcel) -> None:
    factories.backdate(parcel, hold_until=now() - timedelta(days=1))
    assert 'value="extend"' not in prove(client, parcel, "5678")
    assert "over already" in post(client, parcel, action="extend")


# -- Another service point ------------------------------------------------------------------------------------------


@pytest.fixture
def coming(point: ServicePoint) -> Parcel:
    factories.make_chain()
    parcel = make_parcel(point, phone=PHONE)
    parcels.issue_code(parcel)
    return parcel


def offered(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'name="point" value="([0-9]+)"', page)]


def test_other_points_are_shown_nearest_first_with_metres_hours_and_room(client: Client, coming: Parcel) -> None:
    far = make_point(lat=22.56, name="Far", opening_hours="Mo-Su 08:00-20:00", capacity=7)
    near = make_point(lat=22.541, name="Near")
    assert "Near" not in see(client, coming)
    page = prove(client, coming, "5678")
    assert offered(page) == [near.pk, far.pk]
    for words in ("Mo-Su 08:00-20:00", "room for 7 parcels", "2.3 km", "526 m"):
        assert words in page


def test_points_that_could_not_take_it_are_not_shown(client: Client, coming: Parcel) -> None:
    make_point(lat=22.541, capacity=0)
    make_point(lat=22.541, status="suspended")
    make_point(lat=23.5)
    assert "No other service point" in prove(client, coming, "5678")


def test_a_parcel_goes_where_its_recipient_wants_it_with_consent_and_history(client: Client, coming: Parcel) -> None:
    other = make_point(lat=22.541, name="Near")
    prove(client, coming, "5678")
    assert "will come to Near" in post(client, coming, action="choose", point=other.pk)
    parcel = Parcel.objects.select_related("order").get()
    assert parcel.service_point == parcel.order.requested_point == other
    assert parcel.order.consent_by.startswith("recipient")
    assert parcel.order.consent_at is not None
    assignment = Assignment.objects.get()
    assert (assignment.service_point, assignment.candidates[0][0]) == (other, other.pk)
    assert factories.arrive(factories.scanner_of(other), parcel).verdict == "ok"


def test_parcels_of_one_order_stay_together(client: Client, coming: Parcel) -> None:
    other = make_point(lat=22.541)
    Parcel.objects.create(order=coming.order, barcode="SECOND", service_point=coming.service_point)
    assert "All 2 parcels" in prove(client, coming, "5678")
    post(client, coming, action="choose", point=other.pk)
    assert set(Parcel.objects.values_list("service_point", flat=True)) == {other.pk}


@pytest.mark.parametrize("case", ["full", "paused", "unknown", "rubbish", "empty", "suspended"])
def test_a_point_that_does_not_take_it_changes_nothing(client: Client, coming: Parcel, case: str) -> None:
    other = make_point(
        lat=22.541, capacity=0 if case == "full" else 5, status="suspended" if case == "suspended" else "active"
    )
    if case == "paused":
        period = DateTimeTZRange(now() - timedelta(hours=1), now() + timedelta(days=9))
        Pause.objects.create(service_point=other, reason="vacation", period=period)
    chosen = {"unknown": "999999999", "rubbish": "1; DROP", "empty": ""}.get(case, str(other.pk))
    prove(client, coming, "5678")
    assert "takes no more parcels now" in post(client, coming, action="choose", point=chosen)
    parcel = Parcel.objects.select_related("order").get()
    assert (parcel.service_point, parcel.order.consent_at) == (coming.service_point, None)
    assert not Assignment.objects.exists()


def test_a_parcel_that_arrived_keeps_its_place(client: Client, coming: Parcel, scanner: Scanner) -> None:
    other = make_point(lat=22.541)
    prove(client, coming, "5678")
    factories.arrive(scanner, coming)
    assert "cannot be changed any more" in post(client, coming, action="choose", point=other.pk)
    assert Parcel.objects.get().service_point == coming.service_point


def test_the_place_is_changed_a_few_times_only(coming: Parcel) -> None:
    home, other = coming.service_point_id or 0, make_point(lat=22.541).pk
    for turn in range(orders.MOST_ASSIGNMENTS):
        orders.choose_point(coming, point_id=(other, home)[turn % 2], by="recipient", now=now())
    with pytest.raises(orders.Refused, match="too often"):
        orders.choose_point(coming, point_id=other, by="recipient", now=now())


def test_the_same_place_again_is_no_change(coming: Parcel) -> None:
    with pytest.raises(orders.Refused, match="already"):
        orders.choose_point(coming, point_id=coming.service_point_id or 0, by="recipient", now=now())


# -- Somebody else fetches it ---------------------------------------------------------------------------------------


def delegate(client: Client, parcel: Parcel) -> tuple[str, str]:
    """Make a delegate; return the page and the delegate's link."""
    prove(client, parcel, "5678")
    page = post(client, parcel, action="delegate", end="deadline", number=delegation.next_number(parcel))
    return page, codes.link_of(parcel.uuid, delegation.next_number(parcel) - 1, codes.DELEGATE)


def test_the_text_for_the_delegate_has_all_that_is_needed_and_nothing_of_the_recipient(
    client: Client, parcel: Parcel
) -> None:
    page, link = delegate(client, parcel)
    text = re.search(r'<textarea id="delegate_text"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    assert text
    proof = delegation.proof_of(Delegation.objects.get())
    for needed in (parcel.barcode, "Corner Shop", "1 Road", "Mo-Su", spaced(proof.code), f"/t/{link}"):
        assert needed in text[1]
    for secret in (spaced(code_of(parcel)), codes.link_of(parcel.uuid, 1), "王", PHONE[3:], "科苑路"):
        assert secret not in text[1]


def test_the_delegates_link_shows_shop_qr_and_code_without_digits(client: Client, parcel: Parcel) -> None:
    _, link = delegate(client, parcel)
    answer = Client().get(f"/t/{link}", headers={"accept-language": "en"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    for shown in ("Corner Shop", "data:image/svg+xml", spaced(delegation.proof_of(Delegation.objects.get()).code)):
        assert shown in page
    for secret in (spaced(code_of(parcel)), codes.link_of(parcel.uuid, 1), "王", "5678", 'name="action"'):
        assert secret not in page


@pytest.mark.parametrize("action", ["extend", "delegate", "withdraw", "dispute", "resend"])
def test_a_delegate_can_do_nothing_but_collect(client: Client, parcel: Parcel, action: str) -> None:
    page, link = delegate(client, parcel)
    fields = {"action": action, "last4": "5678", "grant": grant_in(page), "end": "deadline", "number": "2"}
    before = list(Notice.objects.values())
    Client().post(f"/t/{link}", fields)
    assert Parcel.objects.get().extended_at is None
    assert Delegation.objects.get().revoked_at is None
    assert list(Notice.objects.values()) == before


def test_a_withdrawn_link_shows_nothing(client: Client, parcel: Parcel) -> None:
    _, link = delegate(client, parcel)
    assert "do not work any more" in post(client, parcel, action="withdraw")
    answer = Client().get(f"/t/{link}", headers={"accept-language": "en"})
    assert answer.status_code == 410
    for secret in ("Corner Shop", parcel.barcode, "data:image/svg"):
        assert secret not in answer.content.decode()


def test_a_link_whose_time_is_over_or_whose_parcel_is_gone_shows_nothing(
    client: Client, parcel: Parcel, scanner: Scanner
) -> None:
    _, link = delegate(client, parcel)
    with everywhere_at(now() + timedelta(days=8)):
        assert Client().get(f"/t/{link}").status_code == 410
    assert Client().get(f"/t/{link}").status_code == 200
    pick_up(scanner, parcel)
    assert Client().get(f"/t/{link}").status_code == 410


def test_a_delegate_form_sent_twice_makes_one(client: Client, parcel: Parcel) -> None:
    prove(client, parcel, "5678")
    for _ in range(2):
        assert "Send the text below" in post(client, parcel, action="delegate", end="deadline", number="1")
    assert Delegation.objects.count() == 1


@pytest.mark.parametrize(
    ("end", "number", "words"),
    [
        ("never", "1", "until when"),
        ("", "1", "until when"),
        ("deadline", "7", "Somebody changed"),
        ("deadline", "x", "Somebody changed"),
        ("deadline", "", "Somebody changed"),
        ("deadline", "-1", "Somebody changed"),
        ("deadline", "999", "ten times"),
    ],
)
def test_a_delegation_nobody_could_have_asked_for_is_refused(
    client: Client, parcel: Parcel, end: str, number: str, words: str
) -> None:
    prove(client, parcel, "5678")
    assert words in post(client, parcel, action="delegate", end=end, number=number)
    assert not Delegation.objects.exists()


# -- All my codes ---------------------------------------------------------------------------------------------------


def test_all_codes_of_one_person_are_in_one_text_and_nobody_elses(
    client: Client, parcel: Parcel, scanner: Scanner, point: ServicePoint
) -> None:
    far = make_point(name="Far Shop")
    own = make_ready_parcel(factories.scanner_of(far), far, phone=PHONE)
    foreign = make_ready_parcel(scanner, point, phone="+8613900005678")
    page = prove(client, parcel, "5678")
    for shown in (spaced(code_of(parcel)), spaced(code_of(own)), own.barcode, "Far Shop", "(2 parcels wait)"):
        assert shown in page
    for secret in (foreign.barcode, spaced(code_of(foreign))):
        assert secret not in page


def test_an_overdue_parcel_is_called_that_in_the_text(client: Client, parcel: Parcel) -> None:
    factories.backdate(parcel, hold_until=now() - timedelta(days=1))
    assert f"{parcel.barcode}: code {spaced(code_of(parcel))}, overdue" in prove(client, parcel, "5678")


def test_a_parcel_whose_page_is_locked_keeps_its_code(client: Client, parcel: Parcel, scanner: Scanner) -> None:
    assert parcel.service_point is not None
    locked = make_ready_parcel(scanner, parcel.service_point, phone=PHONE)
    type(locked.code).objects.filter(parcel=locked).update(page_attempts=recipients.PAGE_TRIES)
    assert spaced(code_of(locked)) not in prove(client, parcel, "5678")


def test_parcels_on_their_way_are_named_with_their_own_page(client: Client, parcel: Parcel) -> None:
    assert parcel.service_point is not None
    other = make_parcel(parcel.service_point, phone=PHONE)
    page = prove(client, parcel, "5678")
    assert "1 more parcel is on its way" in page
    link = f"/t/{codes.link_of(other.uuid, 1)}"
    assert link in page
    assert "is on its way" in client.get(link, headers={"accept-language": "en"}).content.decode()


# -- I did not collect this -----------------------------------------------------------------------------------------


def test_a_collected_parcel_shows_its_status_and_no_code(client: Client, parcel: Parcel, scanner: Scanner) -> None:
    pick_up(scanner, parcel)
    for page in (see(client, parcel), prove(client, parcel, "5678")):
        assert "was handed over" in page
        assert spaced(code_of(parcel)) not in page
        assert "data:image/svg" not in page


def test_who_did_not_collect_it_says_so_and_reads_what_comes_next(
    client: Client, parcel: Parcel, scanner: Scanner
) -> None:
    pick_up(scanner, parcel)
    assert 'name="note"' not in see(client, parcel)
    assert "A person will look into it" in prove(client, parcel, "5678")
    assert "Thank you for telling us" in post(client, parcel, action="dispute", note=" I was\x00 abroad ")
    assert "You told us on" in post(client, parcel, action="dispute", note="again")
    assert [dispute.note for dispute in Dispute.objects.all()] == ["I was abroad"]


@pytest.mark.parametrize(("outcome", "words"), [("upheld", "You were right"), ("dismissed", "We looked into it")])
def test_the_outcome_is_told(client: Client, parcel: Parcel, scanner: Scanner, outcome: str, words: str) -> None:
    pick_up(scanner, parcel)
    prove(client, parcel, "5678")
    post(client, parcel, action="dispute")
    Dispute.objects.update(outcome=outcome, resolved_by=factories.make_user(), resolved_at=now(), reason="photo")
    assert words in see(client, parcel)


def test_an_undone_hand_over_is_not_disputed(client: Client, parcel: Parcel, scanner: Scanner) -> None:
    pick_up(scanner, parcel)
    prove(client, parcel, "5678")
    scanning.record(scanner, scan("undo", parcel))
    assert "was taken back" in post(client, parcel, action="dispute")
    assert not Dispute.objects.exists()


# -- Messages -------------------------------------------------------------------------------------------------------


@pytest.fixture
def midday() -> Any:
    """Tomorrow at noon, so that no day ends while limits of a day are counted."""
    at = localtime(now()).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    with everywhere_at(at):
        yield at


def test_the_page_tells_when_messages_were_sent(client: Client, parcel: Parcel) -> None:
    assert "None was sent yet" in see(client, parcel)
    Notice.objects.update(sent_at=datetime(2026, 11, 20, 2, 30, tzinfo=UTC))
    assert re.search(r"2026-11-20 10:30</span> ready for pickup", see(client, parcel))


def test_the_message_is_asked_for_again_without_the_digits_until_the_limit(
    client: Client, parcel: Parcel, midday: datetime
) -> None:
    for _ in range(2):
        assert "on its way to the recipient" in post(client, parcel, action="resend")
    assert "Enough messages were sent for this parcel today" in post(client, parcel, action="resend")
    assert Notice.objects.count() == 3


def test_asking_again_shows_no_code_and_costs_no_try(client: Client, parcel: Parcel, midday: datetime) -> None:
    page = post(client, parcel, action="resend", last4="0000")
    assert spaced(code_of(parcel)) not in page
    parcel.code.refresh_from_db()
    assert parcel.code.page_attempts == 0


def test_a_collected_parcel_has_no_message_to_send(client: Client, parcel: Parcel, scanner: Scanner) -> None:
    pick_up(scanner, parcel)
    assert 'value="resend"' not in see(client, parcel)
    assert "nothing to send" in post(client, parcel, action="resend")


def test_no_secret_of_any_action_reaches_the_log_or_the_broker(
    client: Client, parcel: Parcel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"), mock.patch("pickup.tasks.send_notices.apply_async") as rung:
        page, link = delegate(client, parcel)
        for action in ("extend", "resend", "withdraw", "nonsense"):
            post(client, parcel, action=action)
        client.get(f"/t/{link}.")
    told = caplog.text + repr(rung.call_args_list)
    proof = delegation.proof_of(Delegation.objects.get())
    for secret in (
        code_of(parcel),
        proof.code,
        link,
        codes.link_of(parcel.uuid, 1),
        PHONE[3:],
        grant_in(page),
        "王小明",
    ):
        assert secret not in told


@pytest.mark.parametrize("action", ["nonsense", "", "__init__", "extend\x00"])
def test_an_unknown_action_only_shows_the_page(client: Client, parcel: Parcel, action: str) -> None:
    prove(client, parcel, "5678")
    assert spaced(code_of(parcel)) in post(client, parcel, action=action)
    assert Parcel.objects.get().extended_at is None


def test_notices_words_exist_for_every_refusal() -> None:
    assert set(notices.WORDS) == set(notices.Refusal)
    assert set(recipient_words.NOT_EXTENDED) == set(holding.Refusal)
    assert set(recipient_words.NOT_DELEGATED) == set(delegation.Refusal)
