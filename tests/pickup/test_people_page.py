"""The owner's page of people and devices, and the page on which a new device joins."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now
from pytest_django import Settings

from network import access, members
from network.models import Device, Invitation, Membership, Pairing, ServicePoint, User
from pickup import scanning
from pickup.models import Scan
from pickup.scans import Scanner
from pickup.views.doors import COOKIE
from tests import factories

pytestmark = pytest.mark.django_db
PHONE = "+8613900001111"
ENGLISH = {"accept-language": "en"}


@pytest.fixture(autouse=True)
def outbox(settings: Settings, tmp_path: Path) -> Path:
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    return tmp_path / "notices.jsonl"


@pytest.fixture
def point() -> ServicePoint:
    return factories.make_point(name="Corner Shop")


@pytest.fixture
def owner(point: ServicePoint) -> User:
    return factories.make_member(point, name="Owner")


@pytest.fixture
def at_desk(owner: User) -> Client:
    return browser_of(owner)


def browser_of(user: User) -> Client:
    client = Client(headers=ENGLISH)
    client.force_login(user)
    return client


def path(point: ServicePoint, rest: str = "") -> str:
    return f"/counter/{point.pk}/people/{rest}"


def people(client: Client, point: ServicePoint) -> str:
    return client.get(path(point)).content.decode()


def offered_link(client: Client, point: ServicePoint) -> str:
    """The path of the address that the QR holds, as it is shown in words below it."""
    page = client.post(path(point, "pairings/"), {"name": "Till phone"}).content.decode()
    found = re.search(r'class="address">http://testserver(/[^<]+)<', page)
    assert found is not None
    return found[1]


def test_the_page_lists_people_invitations_and_devices(at_desk: Client, point: ServicePoint, owner: User) -> None:
    factories.make_member(point, "clerk", name="Clerk Chen", phone="+8613900007777")
    factories.make_device(point)
    at_desk.post(path(point, "invite/"), {"phone": PHONE, "role": "clerk"})
    page = people(at_desk, point)
    for words in ("Owner", "Clerk Chen", "…7777", PHONE, "device ", "this one"):
        assert words in page
    assert "+8613900007777" not in page  # a colleague's number is not for copying


def test_people_and_devices_of_another_shop_are_not_shown(at_desk: Client, point: ServicePoint) -> None:
    other = factories.make_point()
    factories.make_member(other, name="Somebody Else")
    foreign, _ = factories.make_device(other)
    page = people(at_desk, point)
    assert "Somebody Else" not in page
    assert f"device-{foreign.pk}" not in page


def test_an_invitation_is_sent_once_however_often_the_button_is_pressed(
    at_desk: Client, point: ServicePoint, outbox: Path
) -> None:
    for _ in range(2):
        response = at_desk.post(path(point, "invite/"), {"phone": "139 0000 1111", "role": "clerk"}, follow=True)
        assert f"Signing in with {PHONE} accepts it" in response.content.decode()
    assert len(outbox.read_text().splitlines()) == 1
    assert Invitation.objects.count() == 1


def test_an_owner_is_told_to_call_where_no_message_can_be_sent(
    at_desk: Client, point: ServicePoint, settings: Settings
) -> None:
    settings.NOTICES_FILE = settings.SMS_GATEWAY = ""
    response = at_desk.post(path(point, "invite/"), {"phone": PHONE, "role": "clerk"}, follow=True)
    assert "Tell the person to sign in" in response.content.decode()
    assert Invitation.objects.count() == 1


def test_inviting_a_stranger_does_not_tell_the_name(at_desk: Client, point: ServicePoint) -> None:
    factories.make_user(phone=PHONE, name="Famous Person")
    at_desk.post(path(point, "invite/"), {"phone": PHONE, "role": "clerk"})
    assert "Famous Person" not in people(at_desk, point)


@pytest.mark.parametrize(
    ("typed", "role", "field"), [("hello", "clerk", "phone"), ("", "clerk", "phone"), (PHONE, "king", "role")]
)
def test_what_is_wrong_with_an_invitation_is_said_at_its_field(
    at_desk: Client, point: ServicePoint, typed: str, role: str, field: str
) -> None:
    page = at_desk.post(path(point, "invite/"), {"phone": typed, "role": role}).content.decode()
    assert f'id="id_{field}_error"' in page
    assert not Invitation.objects.exists()


def test_who_works_here_and_one_invitation_too_many_are_refused_in_words(
    at_desk: Client, point: ServicePoint, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = at_desk.post(path(point, "invite/"), {"phone": owner.phone, "role": "clerk"}).content.decode()
    assert "works here already" in page
    monkeypatch.setattr(members, "INVITATIONS_PER_DAY", 0)
    assert at_desk.post(path(point, "invite/"), {"phone": PHONE, "role": "clerk"}).status_code == 429


def test_an_invitation_is_withdrawn(at_desk: Client, point: ServicePoint) -> None:
    at_desk.post(path(point, "invite/"), {"phone": PHONE, "role": "clerk"})
    at_desk.post(path(point, f"invitations/{Invitation.objects.get().pk}/"))
    assert PHONE not in at_desk.get(path(point)).content.decode().partition("<h2")[2]
    assert Invitation.objects.get().end == "withdrawn"


def test_a_removed_clerk_is_out_at_once_and_what_the_phone_scans_later_is_stored_as_refused(
    at_desk: Client, point: ServicePoint
) -> None:
    clerk = factories.make_member(point, "clerk", name="Clerk")
    phone = browser_of(clerk)
    assert phone.get(f"/counter/{point.pk}/").status_code == 200
    device = Device.objects.get(user=clerk)
    parcel = factories.make_parcel(point)
    at_desk.post(path(point, f"members/{clerk.pk}/"), {"remove": ""})
    refused = phone.get(f"/counter/{point.pk}/")
    assert (refused.status_code, refused.headers["Location"]) == (302, f"/?next=/counter/{point.pk}/")
    assert "_auth_user_id" not in phone.session
    answer = scanning.record(Scanner(device_id=device.pk, clerk_id=clerk.pk), factories.scan("arrival", parcel))
    assert answer.verdict == "device_revoked"
    assert Scan.objects.get().verdict == "device_revoked"
    parcel.refresh_from_db()
    assert parcel.status == "expected"


def test_removing_twice_is_removing_once(at_desk: Client, point: ServicePoint) -> None:
    clerk = factories.make_member(point, "clerk")
    for _ in range(2):
        page = at_desk.post(path(point, f"members/{clerk.pk}/"), {"remove": ""}, follow=True).content.decode()
        assert "is removed" in page
    assert Membership.objects.filter(user=clerk, ended_at=None).count() == 0


def test_somebody_who_left_gets_no_role(at_desk: Client, point: ServicePoint, owner: User) -> None:
    clerk = factories.make_member(point, "clerk")
    members.remove(point=point, user=clerk, by=owner, now=now())
    assert at_desk.post(path(point, f"members/{clerk.pk}/"), {"role": "owner"}).status_code == 404


def test_a_clerk_becomes_an_owner_and_the_first_one_may_leave(
    at_desk: Client, point: ServicePoint, owner: User
) -> None:
    clerk = factories.make_member(point, "clerk")
    at_desk.post(path(point, f"members/{clerk.pk}/"), {"role": "owner"})
    assert access.role_at(clerk, point) == "owner"
    response = at_desk.post(path(point, f"members/{owner.pk}/"), {"role": "clerk"})
    assert response.headers["Location"] == "/"
    assert at_desk.get(path(point)).status_code == 404


def test_the_last_owner_is_told_why_the_shop_cannot_be_left(at_desk: Client, point: ServicePoint, owner: User) -> None:
    for body in ({"remove": ""}, {"role": "clerk"}):
        page = at_desk.post(path(point, f"members/{owner.pk}/"), body, follow=True).content.decode()
        assert "A shop needs an owner" in page
    assert access.role_at(owner, point) == "owner"


def test_an_unknown_role_is_refused(at_desk: Client, point: ServicePoint) -> None:
    clerk = factories.make_member(point, "clerk")
    assert at_desk.post(path(point, f"members/{clerk.pk}/"), {"role": "king"}).status_code == 404
    assert access.role_at(clerk, point) == "clerk"


def test_a_new_phone_scans_the_qr_and_works_after_one_button(at_desk: Client, point: ServicePoint) -> None:
    link = offered_link(at_desk, point)
    phone = Client(headers=ENGLISH)
    asked = phone.get(link)
    assert "Use this device at Corner Shop?" in asked.content.decode()
    assert not Device.objects.filter(user=None).exists()  # looking at the link pairs nothing
    response = phone.post(link)
    assert response.headers["Location"] == f"/counter/{point.pk}/"
    assert response.cookies[COOKIE]["path"] == f"/counter/{point.pk}/"
    assert response.cookies[COOKIE]["httponly"]
    assert phone.get(f"/counter/{point.pk}/").status_code == 200
    assert Device.objects.get(user=None).name == "Till phone"


def test_a_second_press_on_the_new_phone_comes_to_the_counter(at_desk: Client, point: ServicePoint) -> None:
    link = offered_link(at_desk, point)
    phone = Client()
    phone.post(link)
    for again in (phone.post(link), phone.get(link)):
        assert again.headers["Location"] == f"/counter/{point.pk}/"
    assert Device.objects.filter(user=None).count() == 1


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_that_was_used_or_is_too_old_or_never_was_looks_the_same(
    at_desk: Client, point: ServicePoint, method: str
) -> None:
    used = offered_link(at_desk, point)
    Client().post(used)
    old = offered_link(at_desk, point)
    Pairing.objects.filter(device=None).update(expires_at=now())
    elsewhere = offered_link(at_desk, point).replace(f"/{point.pk}/", f"/{factories.make_point().pk}/")
    never = f"/counter/{point.pk}/pair/{'x' * 43}/"
    pages = [getattr(Client(headers=ENGLISH), method)(link) for link in (used, old, elsewhere, never)]
    assert {page.status_code for page in pages} == {404}
    assert all("This code works no more" in page.content.decode() for page in pages)
    assert not any("Corner Shop" in page.content.decode() for page in pages)
    assert Device.objects.filter(user=None).count() == 1


def test_the_page_of_the_qr_learns_that_the_device_has_come(at_desk: Client, point: ServicePoint) -> None:
    link = offered_link(at_desk, point)
    state = path(point, f"pairings/{Pairing.objects.get().pk}/")
    assert at_desk.get(state).json() == {"state": "open"}
    Client().post(link)
    assert at_desk.get(state).json() == {"state": "paired"}
    offered_link(at_desk, point)
    Pairing.objects.filter(device=None).update(expires_at=now())
    assert at_desk.get(path(point, f"pairings/{Pairing.objects.latest('pk').pk}/")).json() == {"state": "gone"}


def test_the_page_of_the_qr_is_kept_by_nobody(at_desk: Client, point: ServicePoint) -> None:
    response = at_desk.post(path(point, "pairings/"), {"name": "Till phone"})
    assert "no-store" in response.headers["Cache-Control"]
    assert "data:image/svg+xml" in response.content.decode()


def test_a_revoked_device_is_out_at_once(at_desk: Client, point: ServicePoint) -> None:
    phone = Client()
    phone.post(offered_link(at_desk, point))
    device = Device.objects.get(user=None)
    for _ in range(2):
        page = at_desk.post(path(point, f"devices/{device.pk}/"), {"revoke": ""}, follow=True).content.decode()
        assert "Till phone is signed off" in page
    assert phone.get(f"/counter/{point.pk}/").status_code == 302


def test_a_device_is_renamed_and_not_to_nothing(at_desk: Client, point: ServicePoint) -> None:
    device, _ = factories.make_device(point)
    at_desk.post(path(point, f"devices/{device.pk}/"), {"name": "Back room"})
    assert (
        "A device needs a name"
        in at_desk.post(path(point, f"devices/{device.pk}/"), {"name": " "}, follow=True).content.decode()
    )
    device.refresh_from_db()
    assert device.name == "Back room"


def test_a_device_without_a_name_is_not_offered(at_desk: Client, point: ServicePoint) -> None:
    page = at_desk.post(path(point, "pairings/"), {"name": ""}).content.decode()
    assert 'id="offer_name_error"' in page
    assert not Pairing.objects.exists()


ADDRESSES = ("", "invite/", "invitations/{invitation}/", "members/{owner}/", "devices/{device}/", "pairings/")


@pytest.mark.parametrize("rest", [*ADDRESSES, "pairings/{pairing}/"])
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("who", ["nobody", "clerk", "owner of another shop", "former owner", "shop's own phone"])
def test_a_stranger_is_refused_on_every_page(
    at_desk: Client, point: ServicePoint, owner: User, rest: str, method: str, who: str
) -> None:
    at_desk.post(path(point, "invite/"), {"phone": PHONE, "role": "clerk"})
    own_phone = Client()
    own_phone.post(offered_link(at_desk, point))
    offered_link(at_desk, point)
    numbers = {
        "invitation": Invitation.objects.get().pk,
        "owner": owner.pk,
        "device": Device.objects.get(user=None).pk,
        "pairing": Pairing.objects.latest("pk").pk,
    }
    former = factories.make_member(point)
    members.remove(point=point, user=former, by=owner, now=now())
    client = {
        "nobody": Client(),
        "clerk": browser_of(factories.make_member(point, "clerk")),
        "owner of another shop": browser_of(factories.make_member(factories.make_point())),
        "former owner": browser_of(former),
        "shop's own phone": own_phone,
    }[who]
    before = snapshot()
    body = {"phone": "+8613900002222", "role": "clerk", "remove": "", "revoke": "", "name": "x"}
    address = path(point, rest.format(**numbers))
    response = getattr(client, method)(address, body if method == "post" else {})
    assert response.status_code in (302, 401, 404, 405)
    assert not response.headers.get("Location", "/?next=").startswith("/counter/")
    assert PHONE not in response.content.decode()
    assert snapshot() == before


def snapshot() -> list[Any]:
    """What a page of people could change."""
    return [
        list(Invitation.objects.order_by("pk").values_list("pk", "end")),
        list(Membership.objects.order_by("pk").values_list("pk", "role", "ended_at")),
        list(Pairing.objects.order_by("pk").values_list("pk", "device")),
        list(Device.objects.filter(user=None).order_by("pk").values_list("pk", "name", "revoked_at")),
    ]


@pytest.mark.parametrize("rest", ["invitations/{invitation}/", "members/{member}/", "devices/{device}/"])
def test_rows_of_another_shop_cannot_be_changed_through_the_own_page(
    at_desk: Client, point: ServicePoint, rest: str
) -> None:
    other = factories.make_point()
    boss = factories.make_member(other)
    numbers = {
        "invitation": members.invite(point=other, phone=PHONE, role=members.Role.CLERK, by=boss, now=now())[0].pk,
        "member": factories.make_member(other, "clerk").pk,
        "device": factories.make_device(other)[0].pk,
    }
    before = snapshot()
    at_desk.post(path(point, rest.format(**numbers)), {"remove": "", "revoke": "", "role": "owner", "name": "x"})
    assert snapshot() == before


@pytest.mark.parametrize("rest", ["invite/", "invitations/1/", "members/1/", "devices/1/", "pairings/"])
def test_coming_to_a_button_by_its_address_leads_to_the_page(at_desk: Client, point: ServicePoint, rest: str) -> None:
    assert at_desk.get(path(point, rest)).headers["Location"] == path(point)


def test_every_change_needs_the_token_of_our_own_page(point: ServicePoint, owner: User) -> None:
    at_desk = Client(enforce_csrf_checks=True)
    at_desk.force_login(owner)
    for rest in ("invite/", "pairings/", f"members/{owner.pk}/"):
        assert at_desk.post(path(point, rest), {"phone": PHONE, "role": "clerk", "name": "x"}).status_code == 403
    _, secret = members.offer_pairing(point=point, name="x", by=owner, now=now())
    assert Client(enforce_csrf_checks=True).post(f"/counter/{point.pk}/pair/{secret}/").status_code == 403
    assert not Device.objects.filter(user=None).exists()
