"""What the counter's app is told and what it tells: the stock to work offline with, uploads, conflicts."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from network import access
from network.models import Device, Membership, Pause, ServicePoint, User
from pickup import codes, parcels
from pickup.models import Delegation, Handover, Parcel, Posting, Scan
from pickup.scans import Scanner
from tests import factories
from tests.factories import code_of, make_parcel, make_point, make_ready_parcel, pick_up, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def point() -> ServicePoint:
    return make_point(name="Corner Shop", capacity=50)


@pytest.fixture
def clerk(point: ServicePoint) -> User:
    return factories.make_member(point, role="clerk", name="Li")


@pytest.fixture
def scanner(point: ServicePoint) -> Scanner:
    return factories.scanner_of(point)


@pytest.fixture
def phone(client: Client, clerk: User) -> Client:
    client.force_login(clerk)
    return client


def state(phone: Client, point: ServicePoint) -> Any:
    answer = phone.get(f"/counter/{point.pk}/state")
    assert answer.status_code == 200
    return answer.json()


def upload(phone: Client, point: ServicePoint, *scans: dict[str, Any]) -> Any:
    return phone.post(f"/counter/{point.pk}/scans", json.dumps({"scans": scans}), content_type="application/json")


def row(kind: str, parcel: Parcel | str, **fields: Any) -> dict[str, Any]:
    barcode = parcel if isinstance(parcel, str) else parcel.barcode
    return {"scan_id": str(uuid4()), "kind": kind, "barcode": barcode, "event_at": now().isoformat(), **fields}


def verdicts(answer: Any) -> list[str]:
    return [result["verdict"] for result in answer.json()["results"]]


def test_the_stock_is_what_is_here_or_on_its_way(phone: Client, scanner: Scanner, point: ServicePoint) -> None:
    ready, expected = make_ready_parcel(scanner, point), make_parcel(point)
    make_parcel(make_point())
    gone = make_ready_parcel(scanner, point)
    pick_up(scanner, gone)
    told = state(phone, point)
    assert {one["barcode"]: one["status"] for one in told["stock"]} == {
        ready.barcode: "ready",
        expected.barcode: "expected",
    }
    assert [(one["barcode"], one["status"]) for one in told["gone"]] == [(gone.barcode, "collected")]
    assert (told["here"], told["overdue"], told["today_minor"]) == (1, 0, 2000)


def test_the_stock_names_nobody(phone: Client, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    body = json.dumps(state(phone, point), ensure_ascii=False)
    for secret in ("王小明", "13800138000", "科苑路", code_of(parcel), token_of(parcel)):
        assert secret not in body
    assert "王*" in body


def test_the_stock_knows_which_proofs_open_a_parcel(phone: Client, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    delegated = codes.hash_secret(codes.secret_of(parcel.uuid, 1, codes.DELEGATE))
    Delegation.objects.create(
        parcel=parcel,
        number=1,
        token_hash=delegated,
        code_hash=b"c" * 32,
        link_hash=b"l" * 32,
        expires_at=now() + timedelta(days=1),
    )
    own = codes.hash_secret(codes.secret_of(parcel.uuid, 1))
    [told] = state(phone, point)["stock"]
    assert [base64.b64decode(proof) for proof in told["proofs"]] == [own, delegated]


def test_a_replaced_or_withdrawn_proof_is_not_among_them(phone: Client, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    old = codes.hash_secret(codes.secret_of(parcel.uuid, 1))
    for number, ends in enumerate(({"revoked_at": now()}, {"expires_at": now() - timedelta(seconds=1)}), start=1):
        Delegation.objects.create(
            **{
                "parcel": parcel,
                "number": number,
                "token_hash": bytes([number]) * 32,
                "code_hash": b"c" * 32,
                "link_hash": bytes([number]) * 32,
                "expires_at": now() + timedelta(days=1),
                **ends,
            }
        )
    with transaction.atomic():
        parcels.issue_code(parcel, issue=2)
    [told] = state(phone, point)["stock"]
    [proof] = told["proofs"]
    assert base64.b64decode(proof) != old


def test_the_keys_check_a_token_without_the_server(phone: Client, scanner: Scanner, point: ServicePoint) -> None:
    import base45

    parcel = make_ready_parcel(scanner, point)
    told = state(phone, point)
    raw = base45.b45decode(token_of(parcel).removeprefix(codes.PREFIX))
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(told["keys"][str(raw[1])]))
    key.verify(raw[42:], raw[:42])
    secret = base64.b64encode(hashlib.sha256(raw[26:42]).digest()).decode()
    assert secret in told["stock"][0]["proofs"]


def test_parcels_of_one_person_are_told_together_and_not_across_shops(
    phone: Client, scanner: Scanner, point: ServicePoint, clerk: User
) -> None:
    for number in ("+8613800138000", "+8613800138000", "+8613900139000"):
        make_parcel(point, phone=number)
    other = make_point()
    Membership.objects.create(user=clerk, service_point=other, role="clerk")
    make_parcel(other, phone="+8613800138000")
    first, second, third = (one["person"] for one in state(phone, point)["stock"])
    assert first == second != third
    assert state(phone, other)["stock"][0]["person"] != first


def test_a_pause_is_told(phone: Client, point: ServicePoint) -> None:
    until = now() + timedelta(hours=2)
    Pause.objects.create(service_point=point, reason="full", period=(now() - timedelta(hours=1), until))
    told = state(phone, point)["point"]
    assert told["pause_reason"] == "full"
    assert told["paused_until"]


def test_nothing_new_is_told_in_no_words(phone: Client, scanner: Scanner, point: ServicePoint) -> None:
    make_ready_parcel(scanner, point)
    etag = phone.get(f"/counter/{point.pk}/state").headers["ETag"]
    assert phone.get(f"/counter/{point.pk}/state", headers={"if-none-match": etag}).status_code == 304
    make_parcel(point)
    assert phone.get(f"/counter/{point.pk}/state", headers={"if-none-match": etag}).status_code == 200


def test_the_state_costs_the_same_queries_however_much_is_here(
    phone: Client, scanner: Scanner, point: ServicePoint
) -> None:
    state(phone, point)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            state(phone, point)
        counts.append(len(queries))
        for _ in range(5):
            make_ready_parcel(scanner, point)
    assert counts[0] == counts[1]


def test_scans_are_recorded_by_device_and_clerk(phone: Client, clerk: User, point: ServicePoint) -> None:
    parcel = make_parcel(point)
    answer = upload(phone, point, row("arrival", parcel, shelf="A-1"))
    assert verdicts(answer) == ["ok"]
    assert answer.json()["scanned_in_today"] == 1
    scan = Scan.objects.get()
    assert (scan.clerk, scan.device.user, scan.told) == (clerk, clerk, "")


def test_the_same_browser_is_one_device(phone: Client, point: ServicePoint) -> None:
    for _ in range(3):
        state(phone, point)
        upload(phone, point, row("arrival", make_parcel(point)))
    assert Device.objects.count() == 1


def test_bad_rows_hurt_no_others(phone: Client, point: ServicePoint) -> None:
    parcel = make_parcel(point)
    answer = upload(phone, point, {"scan_id": "x"}, row("arrival", parcel), row("dance", parcel))
    results = answer.json()["results"]
    assert [one["status"] for one in results] == [400, 200, 400]
    assert results[0]["error"]["field"] == "scan_id"
    assert "code" in results[2]["error"]


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"scans": 1}', '{"scans": {}}', "\x00", '"x"', json.dumps({"scans": [{}] * 501})]
)
def test_what_is_no_upload_is_refused(phone: Client, point: ServicePoint, body: str) -> None:
    answer = phone.post(f"/counter/{point.pk}/scans", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "scans"


def test_a_refusal_that_time_may_mend_is_not_final(phone: Client, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    unknown, used = row("arrival", "NOBODY-KNOWS"), row("pickup", parcel, token=token_of(parcel))
    pick_up(scanner, parcel)
    results = upload(phone, point, unknown, used).json()["results"]
    assert [(one["verdict"], one["final"]) for one in results] == [
        ("unknown_parcel", False),
        ("already_collected", True),
    ]


def test_a_conflict_is_told_to_both_phones(client: Client, clerk: User, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    token, both = token_of(parcel), (Client(), Client())
    for phone in both:
        phone.force_login(clerk)
        phone.get(f"/counter/{point.pk}/state")
    answers = [verdicts(upload(phone, point, row("pickup", parcel, token=token, told="ok"))) for phone in both]
    assert answers == [["ok"], ["already_collected"]]
    for phone in both:
        [conflict] = state(phone, point)["conflicts"]
        assert (conflict["barcode"], conflict["told"], conflict["verdict"]) == (
            parcel.barcode,
            "ok",
            "already_collected",
        )
        assert conflict["detail"]["by"] == "Li"
    assert Handover.objects.count() == Posting.objects.count() == 1


def test_an_offline_pickup_that_stood_is_no_conflict(phone: Client, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    upload(phone, point, row("pickup", parcel, token=token_of(parcel), told="ok"))
    assert state(phone, point)["conflicts"] == []
    assert Scan.objects.get(kind="pickup").told == "ok"


def test_a_pickup_that_waited_for_its_arrival_is_no_conflict_any_more(
    phone: Client, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(factories.scanner_of(point), point)
    late = make_parcel(point)
    taken = row("pickup", late, token=token_of(parcel), told="ok")
    assert verdicts(upload(phone, point, taken)) == ["not_arrived"]
    assert len(state(phone, point)["conflicts"]) == 1
    factories.arrive(scanner, late)
    late.refresh_from_db()
    right = row("pickup", late, token=token_of(late), told="ok")
    assert verdicts(upload(phone, point, right)) == ["ok"]


def test_what_was_told_offline_does_not_make_another_scan_of_it(
    phone: Client, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    online = row("pickup", parcel, token=token_of(parcel))
    assert verdicts(upload(phone, point, online)) == ["ok"]
    assert verdicts(upload(phone, point, online | {"told": "ok"})) == ["ok_repeat"]


def test_a_device_cannot_tell_what_no_device_tells(phone: Client, point: ServicePoint) -> None:
    answer = upload(phone, point, row("arrival", make_parcel(point), told="already_collected"))
    assert answer.json()["results"][0]["error"]["field"] == "told"


def test_a_stranger_gets_nothing(client: Client, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_parcel(point)
    assert client.get(f"/counter/{point.pk}/state").status_code == 401
    assert upload(client, point, row("arrival", parcel)).status_code == 401
    assert client.get("/counter/999999/state").status_code == 401
    client.force_login(factories.make_member(make_point()))
    assert client.get(f"/counter/{point.pk}/state").status_code == 404
    assert upload(client, point, row("arrival", parcel)).status_code == 404
    assert not Scan.objects.exists()


def test_somebody_elses_key_opens_no_other_shop(phone: Client, point: ServicePoint) -> None:
    state(phone, point)
    key, other = phone.cookies["counter_device"].value, make_point()
    stranger = Client()
    stranger.cookies["counter_device"] = key
    assert stranger.get(f"/counter/{other.pk}/state").status_code == 401
    assert upload(stranger, other, row("arrival", make_parcel(other))).status_code == 401


def test_a_persons_browser_shows_nothing_without_the_person_but_delivers_its_queue(
    phone: Client, clerk: User, point: ServicePoint
) -> None:
    state(phone, point)
    phone.logout()
    phone.cookies["counter_device"] = (key := access.enrol(point=point, user=clerk, name="phone")[1])
    assert phone.get(f"/counter/{point.pk}/state").status_code == 401
    phone.cookies["counter_device"] = key
    assert verdicts(upload(phone, point, row("arrival", make_parcel(point)))) == ["ok"]
    assert Scan.objects.get().clerk == clerk


def test_signing_out_keeps_the_key_that_delivers_the_queue(phone: Client, point: ServicePoint) -> None:
    state(phone, point)
    key = phone.cookies["counter_device"].value
    phone.post("/sign-out/")
    assert phone.get(f"/counter/{point.pk}/shelf/").status_code == 302
    assert phone.cookies["counter_device"].value == key
    assert verdicts(upload(phone, point, row("arrival", make_parcel(point)))) == ["ok"]


def test_a_clerk_who_left_sees_nothing_and_the_queue_is_kept_as_refused(
    phone: Client, clerk: User, point: ServicePoint
) -> None:
    parcel = make_parcel(point)
    state(phone, point)
    Membership.objects.filter(user=clerk).update(ended_at=now())
    assert phone.get(f"/counter/{point.pk}/state").status_code == 404
    answer = upload(phone, point, row("arrival", parcel))
    assert verdicts(answer) == ["clerk_not_allowed"]
    assert "today_minor" not in answer.json()
    assert Scan.objects.get().verdict == "clerk_not_allowed"
    parcel.refresh_from_db()
    assert parcel.status == "expected"


def test_a_revoked_phone_is_signed_out_at_once_and_its_queue_refused(
    phone: Client, clerk: User, point: ServicePoint
) -> None:
    state(phone, point)
    Device.objects.update(revoked_at=now())
    assert verdicts(upload(phone, point, row("arrival", make_parcel(point)))) == ["device_revoked"]
    assert phone.get(f"/counter/{point.pk}/state").status_code == 401
    assert phone.get(f"/counter/{point.pk}/shelf/").status_code == 302
    assert "_auth_user_id" not in phone.session


def test_whoever_signs_in_again_after_a_revocation_is_a_new_device(
    phone: Client, clerk: User, point: ServicePoint
) -> None:
    state(phone, point)
    Device.objects.update(revoked_at=now())
    phone.get(f"/counter/{point.pk}/")
    phone.force_login(clerk)
    assert phone.get(f"/counter/{point.pk}/state").status_code == 200
    assert Device.objects.filter(revoked_at=None).count() == 1


def test_the_shops_own_phone_works_without_a_person(client: Client, point: ServicePoint) -> None:
    device, key = access.enrol(point=point, user=None, name="till")
    client.cookies["counter_device"] = key
    assert state(client, point)["worker"] == {"name": "till", "role": "device", "device_id": device.pk}
    assert verdicts(upload(client, point, row("arrival", make_parcel(point)))) == ["ok"]
    assert Scan.objects.get().clerk is None


def test_at_the_shops_own_phone_a_signed_in_clerk_is_noted(phone: Client, clerk: User, point: ServicePoint) -> None:
    phone.cookies["counter_device"] = access.enrol(point=point, user=None, name="till")[1]
    upload(phone, point, row("arrival", make_parcel(point)))
    assert (Scan.objects.get().clerk, Device.objects.count()) == (clerk, 1)


def test_another_persons_phone_becomes_the_one_of_who_signs_in(phone: Client, clerk: User, point: ServicePoint) -> None:
    state(phone, point)
    second = factories.make_member(point, role="clerk", name="Wang")
    phone.force_login(second)
    upload(phone, point, row("arrival", make_parcel(point)))
    assert Scan.objects.get().clerk == second
    assert set(Device.objects.values_list("user", flat=True)) == {clerk.pk, second.pk}


def test_a_foreign_page_cannot_post_scans(clerk: User, point: ServicePoint) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(clerk)
    browser.get(f"/counter/{point.pk}/state")
    assert upload(browser, point, row("arrival", make_parcel(point))).status_code == 403
    token = browser.cookies["csrftoken"].value
    answer = browser.post(
        f"/counter/{point.pk}/scans",
        json.dumps({"scans": [row("arrival", make_parcel(point))]}),
        content_type="application/json",
        headers={"x-csrftoken": token},
    )
    assert verdicts(answer) == ["ok"]
