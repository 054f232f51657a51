"""The counter: what each entry means, what is recorded, what the shop is told and what it never sees."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from network.models import Device, Membership, ServicePoint, User
from pickup import ledger
from pickup.models import Parcel, Scan
from pickup.scans import Scanner
from tests import factories
from tests.factories import code_of, make_parcel, make_point, make_ready_parcel, token_of, wrong_code_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop")


@pytest.fixture
def clerk(point: ServicePoint) -> User:
    return factories.make_member(point, role="clerk", name="Li")


@pytest.fixture
def scanner(point: ServicePoint) -> Scanner:
    return factories.scanner_of(point)


@pytest.fixture
def counter(client: Client, clerk: User) -> Counter:
    client.force_login(clerk)
    return Counter(client)


class Counter:
    """A browser at the counter that sends back what the page before held."""

    def __init__(self, client: Client, query: str = "") -> None:
        self.client, self.query = client, query

    def enter(self, entry: str, mode: str = "pickup", **fields: Any) -> str:
        body = {"scan_id": uuid4(), "event_at": now().isoformat(), "entry": entry, **fields}
        response = self.client.post(f"/counter/?mode={mode}{self.query}", body, headers={"accept-language": "en"})
        self.status = response.status_code
        return response.content.decode()

    def hand_over(self, parcel: Parcel, proof: str, **fields: Any) -> str:
        return self.enter(proof, parcel=parcel.barcode, **fields)


def verdict_in(page: str) -> str | None:
    found = re.search(r'data-verdict="(\w+)"', page)
    return found[1] if found else None


def status_of(parcel: Parcel) -> str:
    return Parcel.objects.get(pk=parcel.pk).status


def test_a_scanned_label_asks_for_the_proof_and_shows_whose_parcel_it_is_masked(
    counter: Counter, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point, phone="+8613800138765")
    page = counter.enter(parcel.barcode)
    assert "eight digits" in page
    assert "王*" in page
    assert "8765" in page
    assert "王小明" not in page
    assert "13800138765" not in page
    assert not Scan.objects.filter(kind="pickup").exists()


def test_the_code_hands_over_and_tells_what_was_earned(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = counter.hand_over(parcel, code_of(parcel))
    assert verdict_in(page) == "ok"
    assert "+20.00, today 20.00" in page
    assert "Hand the parcel over." in page
    assert status_of(parcel) == "collected"
    assert ledger.earned_today_minor(point.pk) == 2000


@pytest.mark.parametrize("typed", ["{0} {1}", " {0}{1} ", "{2}"])
def test_a_code_may_be_typed_with_blanks_or_full_width_digits(
    counter: Counter, scanner: Scanner, point: ServicePoint, typed: str
) -> None:
    parcel = make_ready_parcel(scanner, point)
    code = code_of(parcel)
    wide = code.translate({ord("0") + digit: ord("０") + digit for digit in range(10)})
    assert verdict_in(counter.hand_over(parcel, typed.format(code[:4], code[4:], wide))) == "ok"


def test_the_qr_is_enough_alone(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert verdict_in(counter.enter(token_of(parcel))) == "ok"


def test_the_qr_of_another_parcel_than_the_scanned_one_hands_over_nothing(
    counter: Counter, scanner: Scanner, point: ServicePoint
) -> None:
    scanned, other = (make_ready_parcel(scanner, point) for _ in range(2))
    assert verdict_in(counter.hand_over(scanned, token_of(other))) == "wrong_code"
    assert status_of(scanned) == status_of(other) == "ready"


def test_a_wrong_code_asks_again_for_the_same_parcel(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = counter.hand_over(parcel, wrong_code_for(parcel))
    assert verdict_in(page) == "wrong_code"
    assert f'name="parcel" value="{parcel.barcode}"' in page
    assert verdict_in(counter.hand_over(parcel, code_of(parcel))) == "ok"


def test_after_five_wrong_codes_only_the_qr_works(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    for _ in range(5):
        counter.hand_over(parcel, wrong_code_for(parcel))
    assert verdict_in(counter.hand_over(parcel, code_of(parcel))) == "code_locked"
    assert verdict_in(counter.hand_over(parcel, token_of(parcel))) == "ok"


@pytest.mark.parametrize("typed", ["1234567", "123456789"])
def test_a_code_of_the_wrong_length_is_said_at_the_field_and_costs_no_attempt(
    counter: Counter, scanner: Scanner, point: ServicePoint, typed: str
) -> None:
    parcel = make_ready_parcel(scanner, point)
    page = counter.hand_over(parcel, typed)
    assert "The code has eight digits." in page
    parcel.code.refresh_from_db()
    assert parcel.code.attempts == 0
    assert f'name="parcel" value="{parcel.barcode}"' in page


def test_another_label_instead_of_the_code_changes_the_parcel(
    counter: Counter, scanner: Scanner, point: ServicePoint
) -> None:
    first, second = (make_ready_parcel(scanner, point) for _ in range(2))
    page = counter.hand_over(first, second.barcode)
    assert f'name="parcel" value="{second.barcode}"' in page
    first.code.refresh_from_db()
    assert first.code.attempts == 0


def test_a_code_typed_without_a_parcel_is_neither_looked_up_nor_kept(
    counter: Counter, scanner: Scanner, point: ServicePoint
) -> None:
    code = code_of(make_ready_parcel(scanner, point))
    for mode in Scan.Kind.values:
        page = counter.enter(code, mode=mode, reason="mistake")
        assert "Scan the parcel's label first" in page.replace("&#x27;", "'")
        assert code not in page
    assert not Scan.objects.exclude(kind="arrival").exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(s::text, ' ') FROM pickup_scan s")
        assert code not in cursor.fetchone()[0]


def test_neither_code_nor_token_comes_back_in_the_page(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    code, token = wrong_code_for(parcel), token_of(parcel)
    assert code not in counter.hand_over(parcel, code)
    for mode in ("undo", "arrival", "pickup"):
        assert token[3:40] not in counter.enter(token, mode=mode).replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [("expected", "not_arrived"), ("cancelled", "cancelled"), ("damaged", "damaged")],
)
def test_a_parcel_that_is_not_on_the_shelf_is_answered_without_asking_for_a_code(
    counter: Counter, point: ServicePoint, status: str, verdict: str
) -> None:
    parcel = make_parcel(point)
    if status != "expected":
        Parcel.objects.filter(pk=parcel.pk).update(status=status)
    assert verdict_in(counter.enter(parcel.barcode)) == verdict
    assert Scan.objects.get(kind="pickup").verdict == verdict


def test_an_unknown_label_is_told_and_kept(counter: Counter) -> None:
    assert verdict_in(counter.enter("NOBODY-KNOWS-1")) == "not_found"
    assert Scan.objects.get().verdict == "not_found"


def test_a_parcel_of_another_shop_is_told_by_the_name_of_that_shop_and_nothing_else(counter: Counter) -> None:
    other = make_point(name="Far Away Books")
    parcel = make_ready_parcel(factories.scanner_of(other), other, phone="+8613800134321")
    page = counter.enter(parcel.barcode)
    assert verdict_in(page) == "wrong_point"
    assert "Far Away Books" in page
    assert "王*" not in page
    assert "4321" not in page


def test_a_second_hand_over_tells_when_and_by_whom(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    counter.hand_over(parcel, code_of(parcel))
    page = counter.enter(parcel.barcode)
    assert verdict_in(page) == "already_collected"
    assert "Li" in page
    assert ledger.earned_today_minor(point.pk) == 2000


def test_a_form_sent_twice_repeats_and_does_not_double(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    form = {"scan_id": uuid4(), "event_at": now().isoformat()}
    first = counter.hand_over(parcel, code_of(parcel), **form)
    again = counter.hand_over(parcel, code_of(parcel), **form)
    assert (verdict_in(first), verdict_in(again)) == ("ok", "ok_repeat")
    assert Scan.objects.filter(kind="pickup").count() == 1
    assert ledger.earned_today_minor(point.pk) == 2000


def test_an_old_page_with_another_parcel_asks_for_a_new_scan(counter: Counter, point: ServicePoint) -> None:
    first, second = (make_parcel(point) for _ in range(2))
    form = {"scan_id": uuid4(), "event_at": now().isoformat()}
    counter.enter(first.barcode, mode="arrival", **form)
    page = counter.enter(second.barcode, mode="arrival", **form)
    assert "Scan once more" in page
    assert status_of(second) == "expected"


def test_an_arrival_keeps_its_shelf_and_counts(counter: Counter, point: ServicePoint) -> None:
    parcels = [make_parcel(point) for _ in range(2)]
    for parcel in parcels:
        page = counter.enter(parcel.barcode, mode="arrival", shelf="A-3-12")
        assert verdict_in(page) == "ok"
    assert 'name="shelf" value="A-3-12"' in page
    assert "2 parcels scanned in today" in page
    assert Parcel.objects.filter(shelf="A-3-12", status="ready").count() == 2


def test_an_arrival_nobody_announced_is_kept_as_an_orphan(counter: Counter) -> None:
    assert verdict_in(counter.enter("SF1234567890", mode="arrival")) == "unknown_parcel"
    assert Scan.objects.get().barcode == "SF1234567890"


def test_undo_needs_a_reason_and_gives_the_label_back_to_try_again(
    counter: Counter, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    counter.hand_over(parcel, code_of(parcel))
    page = counter.enter(parcel.barcode, mode="undo")
    assert "Say why" in page
    assert f'name="entry" value="{parcel.barcode}"' in page
    assert status_of(parcel) == "collected"
    assert verdict_in(counter.enter(parcel.barcode, mode="undo", reason="wrong person")) == "ok"
    assert status_of(parcel) == "ready"
    assert ledger.earned_today_minor(point.pk) == 0


def test_return_and_damage_move_the_parcel(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    overdue, broken = (make_ready_parcel(scanner, point) for _ in range(2))
    factories.backdate(overdue, hold_until=now() - timedelta(hours=1))
    assert verdict_in(counter.enter(overdue.barcode, mode="return")) == "ok"
    assert verdict_in(counter.enter(broken.barcode, mode="damaged", reason="wet")) == "damaged"
    assert (status_of(overdue), status_of(broken)) == ("returned", "damaged")


def test_a_return_before_its_time_says_so(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    page = counter.enter(make_ready_parcel(scanner, point).barcode, mode="return")
    assert "Leave it on the shelf" in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"entry": ""}, "Scan or type something first"),
        ({"entry": "ß" * 5}, "no barcode"),
        ({"entry": "A" * 65}, "no barcode"),
        ({"entry": "A\x00B"}, "no barcode"),
        ({"entry": "P1." + "A" * 500}, "cannot be read"),
        ({"shelf": "x" * 21}, "At most 20"),
        ({"scan_id": "nonsense"}, "Scan once more"),
        ({"event_at": ""}, "Scan once more"),
        ({"event_at": "1970-01-01T00:00:00+00:00"}, "Scan once more"),
    ],
)
def test_what_cannot_be_read_is_said_by_its_field_and_nothing_is_recorded(
    counter: Counter, fields: dict[str, str], words: str
) -> None:
    page = counter.enter(**({"entry": "LABEL-1", "mode": "arrival"} | fields))
    assert counter.status == 200
    assert words in page
    assert 'aria-invalid="true"' in page
    assert not Scan.objects.exists()


def test_a_forged_token_is_refused_in_words(counter: Counter) -> None:
    assert verdict_in(counter.enter("P1." + "A" * 159)) == "wrong_code"


def test_the_shelf_has_overdue_parcels_first_and_masked_names(
    counter: Counter, scanner: Scanner, point: ServicePoint
) -> None:
    fresh, overdue = (make_ready_parcel(scanner, point) for _ in range(2))
    factories.backdate(overdue, hold_until=now() - timedelta(days=1))
    page = counter.client.get("/counter/", headers={"accept-language": "en"}).content.decode()
    assert page.index(overdue.barcode) < page.index(fresh.barcode)
    assert "2 parcels on the shelf, 1 overdue" in page
    assert "王小明" not in page
    assert "+86" not in page
    assert "科苑路" not in page


def test_more_parcels_of_one_person_are_told(counter: Counter, scanner: Scanner, point: ServicePoint) -> None:
    first, _, _ = (make_ready_parcel(scanner, point) for _ in range(3))
    assert "2 more parcels of this person are here" in counter.hand_over(first, code_of(first))


def test_all_scans_of_a_browser_name_its_person(counter: Counter, clerk: User, point: ServicePoint) -> None:
    counter.enter("LABEL-1", mode="arrival")
    counter.enter("LABEL-2", mode="arrival")
    assert set(Scan.objects.values_list("clerk", flat=True)) == {clerk.pk}
    assert Device.objects.filter(service_point=point).count() == 1


def test_somebody_of_several_shops_chooses_first(client: Client, clerk: User, point: ServicePoint) -> None:
    second = make_point(name="Second Shop")
    Membership.objects.create(user=clerk, service_point=second, role="clerk")
    client.force_login(clerk)
    page = client.get("/counter/").content.decode()
    assert f"?point={point.pk}" in page
    assert f"?point={second.pk}" in page
    assert Counter(client).enter("LABEL-1", mode="arrival")  # without a choice it is nowhere
    assert not Scan.objects.exists()
    Counter(client, f"&point={second.pk}").enter("LABEL-1", mode="arrival")
    assert Scan.objects.get().service_point == second


def test_somebody_let_go_meanwhile_is_refused_and_the_scan_is_kept(
    counter: Counter, clerk: User, point: ServicePoint, scanner: Scanner
) -> None:
    parcel = make_ready_parcel(scanner, point)
    Membership.objects.update(ended_at=now())
    counter.query = f"&point={point.pk}"
    page = counter.hand_over(parcel, code_of(parcel))
    assert verdict_in(page) == "clerk_not_allowed"
    assert parcel.barcode not in page
    assert "Earned today" not in page
    assert status_of(parcel) == "ready"
    assert Scan.objects.get(kind="pickup").verdict == "clerk_not_allowed"
    parcel.code.refresh_from_db()
    assert parcel.code.attempts == 0
    assert counter.client.get(f"/counter/?point={point.pk}").status_code == 404


@pytest.mark.parametrize("mode", Scan.Kind.values)
def test_a_stranger_finds_nothing_and_leaves_nothing(
    client: Client, point: ServicePoint, scanner: Scanner, mode: str
) -> None:
    parcel = make_ready_parcel(scanner, point)
    client.force_login(factories.make_member(make_point()))
    stranger = Counter(client, f"&point={point.pk}")
    page = stranger.enter(parcel.barcode, mode=mode, reason="curious")
    assert stranger.status == 404
    assert parcel.barcode not in page
    assert client.get(f"/counter/?point={point.pk}").status_code == 404
    assert Scan.objects.count() == 1  # the arrival


@pytest.mark.parametrize("wanted", ["0", "-1", "x", "1e9", "9" * 30, "１"])
def test_a_point_that_does_not_exist_is_not_found(counter: Counter, wanted: str) -> None:
    assert counter.client.get(f"/counter/?point={wanted}").status_code == 404


def test_somebody_without_a_shop_and_an_unknown_mode_find_nothing(client: Client, counter: Counter) -> None:
    assert counter.client.get("/counter/?mode=steal").status_code == 404
    client.force_login(factories.make_user(is_staff=True))
    assert client.get("/counter/").status_code == 404


def test_who_is_not_signed_in_is_sent_to_the_front_door(client: Client) -> None:
    response = client.get("/counter/")
    assert (response.status_code, response.headers["Location"]) == (302, "/?next=/counter/")


def test_a_post_from_another_site_is_refused(clerk: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(clerk)
    answer = browser.post("/counter/", {"entry": "LABEL-1"}, headers={"accept-language": "en"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()
    assert not Scan.objects.exists()


def test_the_page_is_never_cached(counter: Counter) -> None:
    assert "no-store" in counter.client.get("/counter/").headers["Cache-Control"]


@pytest.mark.parametrize(
    ("amount_minor", "currency", "words"),
    [
        (2000, "CNY", "20.00"),
        (123456789, "CNY", "1,234,567.89"),
        (5, "CNY", "0.05"),
        (-2000, "EUR", "−20.00"),
        (500, "JPY", "500"),
        (1500, "KWD", "1.500"),
        (0, "", "0.00"),
    ],
)
def test_amounts_are_written_by_the_digits_of_their_currency(amount_minor: int, currency: str, words: str) -> None:
    assert ledger.written(amount_minor, currency) == words
