"""Who works at a shop and with what: inviting, removing, roles, pairing and revoking."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.utils.timezone import now
from pytest_django import Settings

from network import access, members
from network.members import Role
from network.messages import NotSent
from network.models import Device, Invitation, Membership, Pairing, ServicePoint, User
from tests import factories

pytestmark = pytest.mark.django_db
PHONE = "+8613900001111"


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
def clerk(point: ServicePoint) -> User:
    return factories.make_member(point, Role.CLERK, name="Clerk")


def invite(point: ServicePoint, by: User, phone: str = PHONE, role: Role = Role.CLERK) -> Invitation:
    return members.invite(point=point, phone=phone, role=role, by=by, now=now())[0]


def remove(point: ServicePoint, user: User, by: User) -> None:
    members.remove(point=point, user=user, by=by, now=now())


def offer(point: ServicePoint, by: User) -> tuple[Pairing, str]:
    return members.offer_pairing(point=point, name="Till phone", by=by, now=now())


def history(row: Any) -> list[tuple[int, str]]:
    entries = LogEntry.objects.filter(object_id=str(row.pk), content_type__model=row._meta.model_name)
    return [(entry.user_id, entry.get_change_message()) for entry in entries]


def test_an_unknown_phone_becomes_an_account_that_no_password_opens(point: ServicePoint, owner: User) -> None:
    invitation = invite(point, owner)
    assert invitation.user.phone == PHONE
    assert not invitation.user.has_usable_password()
    assert access.role_at(invitation.user, point) is None  # not before it is accepted


def test_the_invited_person_is_told_where_to_sign_in(
    point: ServicePoint, owner: User, outbox: Path, settings: Settings
) -> None:
    settings.BASE_URL = "https://pickup.example"
    assert members.tell(invite(point, owner))
    [message] = [json.loads(line) for line in outbox.read_text().splitlines()]
    assert (message["kind"], message["phone"], message["url"]) == ("invitation", PHONE, "https://pickup.example/")
    assert "Corner Shop" in message["text"]
    assert message["url"] in message["text"]


def test_an_invitation_waits_where_no_message_can_be_sent(
    point: ServicePoint, owner: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NotSent("down")

    abroad = invite(point, owner, phone="+33612345678")
    assert not members.tell(abroad)
    invitation = invite(point, owner)
    monkeypatch.setattr("network.messages.FileGateway.send", refuse)
    assert not members.tell(invitation)
    settings.NOTICES_FILE = settings.SMS_GATEWAY = ""
    assert not members.tell(invitation)
    assert members.invitations_for(invitation.user, now=now()).get() == invitation


def test_the_same_invitation_twice_is_one(point: ServicePoint, owner: User) -> None:
    first, is_new = members.invite(point=point, phone=PHONE, role=Role.CLERK, by=owner, now=now())
    second, again = members.invite(point=point, phone=PHONE, role=Role.CLERK, by=owner, now=now())
    assert (first, is_new, again) == (second, True, False)


def test_an_invitation_as_something_else_takes_the_place_of_the_first(point: ServicePoint, owner: User) -> None:
    first, second = invite(point, owner), invite(point, owner, role=Role.OWNER)
    first.refresh_from_db()
    assert (first.end, second.end) == ("withdrawn", "")


def test_an_old_invitation_can_be_made_anew(point: ServicePoint, owner: User) -> None:
    first = invite(point, owner)
    Invitation.objects.update(expires_at=now())
    second = invite(point, owner)
    assert second != first
    assert members.invitations_of(point, now=now()).get() == second


def test_who_works_here_is_not_invited(point: ServicePoint, owner: User, clerk: User) -> None:
    with pytest.raises(members.AlreadyMember):
        invite(point, owner, phone=clerk.phone)


def test_a_shop_sends_so_many_invitations_a_day(point: ServicePoint, owner: User) -> None:
    for number in range(members.INVITATIONS_PER_DAY):
        invitation = invite(point, owner, phone=f"+86139111{number:05d}")
        members.withdraw(point=point, invitation_id=invitation.pk, by=owner, now=now())
    with pytest.raises(members.TooManyInvitations):
        invite(point, owner)


def test_accepting_makes_a_member_once(point: ServicePoint, owner: User) -> None:
    invitation = invite(point, owner)
    for _ in range(2):
        members.accept(invitation_id=invitation.pk, user=invitation.user, now=now())
    assert Membership.objects.filter(user=invitation.user).count() == 1
    assert access.role_at(invitation.user, point) == Role.CLERK


@pytest.mark.parametrize("end", ["withdrawn", "declined", "too old"])
def test_an_invitation_that_ended_cannot_be_accepted(point: ServicePoint, owner: User, end: str) -> None:
    invitation = invite(point, owner)
    if end == "withdrawn":
        members.withdraw(point=point, invitation_id=invitation.pk, by=owner, now=now())
    elif end == "declined":
        members.decline(invitation_id=invitation.pk, user=invitation.user, now=now())
    else:
        Invitation.objects.update(expires_at=now())
    with pytest.raises(members.Gone):
        members.accept(invitation_id=invitation.pk, user=invitation.user, now=now())
    assert access.role_at(invitation.user, point) is None


def test_an_accepted_invitation_lets_nobody_back_in_who_was_removed(point: ServicePoint, owner: User) -> None:
    invitation = invite(point, owner)
    members.accept(invitation_id=invitation.pk, user=invitation.user, now=now())
    remove(point, invitation.user, owner)
    with pytest.raises(members.Gone):
        members.accept(invitation_id=invitation.pk, user=invitation.user, now=now())
    assert access.role_at(invitation.user, point) is None


@pytest.mark.parametrize("verb", [members.accept, members.decline])
def test_an_invitation_is_for_one_person(point: ServicePoint, owner: User, verb: Callable[..., Any]) -> None:
    invitation = invite(point, owner)
    with pytest.raises(members.Gone):
        verb(invitation_id=invitation.pk, user=factories.make_user(), now=now())
    assert not Invitation.objects.exclude(end="").exists()


def test_who_is_removed_loses_the_role_and_every_own_device_at_once(
    point: ServicePoint, owner: User, clerk: User
) -> None:
    elsewhere = factories.make_point()
    Membership.objects.create(user=clerk, service_point=elsewhere, role=Role.CLERK)
    own, _ = access.enrol(point=point, user=clerk, name="Android")
    kept = [
        access.enrol(point=point, user=owner, name="iPhone")[0],
        access.enrol(point=point, user=None, name="Till")[0],
        access.enrol(point=elsewhere, user=clerk, name="Android")[0],
    ]
    remove(point, clerk, owner)
    assert access.role_at(clerk, point) is None
    assert access.role_at(clerk, elsewhere) == Role.CLERK
    assert list(Device.objects.filter(revoked_at__isnull=False)) == [own]
    assert Device.objects.filter(revoked_at__isnull=True).count() == len(kept)


def test_removing_twice_is_removing_once(point: ServicePoint, owner: User, clerk: User) -> None:
    remove(point, clerk, owner)
    ended = Membership.objects.get(user=clerk).ended_at
    remove(point, clerk, owner)
    assert Membership.objects.get(user=clerk).ended_at == ended


def test_somebody_who_was_removed_can_come_back_by_a_new_invitation(
    point: ServicePoint, owner: User, clerk: User
) -> None:
    remove(point, clerk, owner)
    invitation = invite(point, owner, phone=clerk.phone)
    members.accept(invitation_id=invitation.pk, user=clerk, now=now())
    assert access.role_at(clerk, point) == Role.CLERK


def test_everybody_may_leave_but_the_last_owner(point: ServicePoint, owner: User, clerk: User) -> None:
    with pytest.raises(members.LastOwner):
        remove(point, owner, owner)
    remove(point, clerk, clerk)
    assert [member.user for member in members.members_of(point)] == [owner]


def test_the_last_owner_stays_an_owner(point: ServicePoint, owner: User, clerk: User) -> None:
    with pytest.raises(members.LastOwner):
        members.change_role(point=point, user=owner, role=Role.CLERK, by=owner, now=now())
    members.change_role(point=point, user=clerk, role=Role.OWNER, by=owner, now=now())
    members.change_role(point=point, user=owner, role=Role.CLERK, by=clerk, now=now())
    assert access.role_at(owner, point) == Role.CLERK


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_remove_each_other_one_stays() -> None:
    point = factories.make_point()
    first, second = factories.make_member(point), factories.make_member(point)

    def remove_other(pair: tuple[User, User]) -> None:
        try:
            remove(point, pair[1], pair[0])
        except (members.LastOwner, members.NotOwner):
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(remove_other, [(first, second), (second, first)]))
    assert members.members_of(point).filter(role=Role.OWNER).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_leave_at_once_one_stays() -> None:
    point = factories.make_point()
    owners = [factories.make_member(point), factories.make_member(point)]

    def leave(user: User) -> bool:
        try:
            remove(point, user, user)
        except members.LastOwner:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(leave, owners)) == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_invitation_sent_at_once_is_one() -> None:
    point = factories.make_point()
    owner = factories.make_member(point)

    def ask(_: int) -> bool:
        try:
            return members.invite(point=point, phone=PHONE, role=Role.CLERK, by=owner, now=now())[1]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(ask, range(4))) == 1


ACTS: dict[str, Callable[[ServicePoint, User, User], Any]] = {
    "invite": lambda point, by, other: invite(point, by),
    "withdraw": lambda point, by, other: members.withdraw(point=point, invitation_id=1, by=by, now=now()),
    "remove": lambda point, by, other: remove(point, other, by),
    "role": lambda point, by, other: members.change_role(point=point, user=by, role=Role.OWNER, by=by, now=now()),
    "offer": lambda point, by, other: offer(point, by),
    "rename": lambda point, by, other: members.rename_device(point=point, device_id=1, name="x", by=by),
    "revoke": lambda point, by, other: members.revoke_device(point=point, device_id=1, by=by, now=now()),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("who", ["clerk", "stranger", "owner of another shop", "former owner"])
def test_only_an_owner_of_this_shop_may(point: ServicePoint, owner: User, clerk: User, act: str, who: str) -> None:
    by = {
        "clerk": clerk,
        "stranger": factories.make_user(),
        "owner of another shop": factories.make_member(factories.make_point()),
        "former owner": factories.make_member(point),
    }[who]
    if who == "former owner":
        remove(point, by, owner)
    with pytest.raises(members.NotOwner):
        ACTS[act](point, by, owner)
    assert access.role_at(owner, point) == Role.OWNER


def test_a_device_is_paired_once_and_is_the_shops_own(point: ServicePoint, owner: User) -> None:
    pairing, secret = offer(point, owner)
    assert members.pairing_with(point_id=point.pk, secret=secret) == pairing
    device, key = members.pair(pairing, now=now())
    assert (device.name, device.user, device.service_point) == ("Till phone", None, point)
    assert access.device_with(key, point=point) == device
    with pytest.raises(members.Gone):
        members.pair(pairing, now=now())
    assert Device.objects.count() == 1


def test_the_secret_of_an_offer_is_not_stored_and_fits_no_other_shop(point: ServicePoint, owner: User) -> None:
    _pairing, secret = offer(point, owner)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(p)::text FROM network_pairing p")
        assert secret.encode().hex() not in cursor.fetchone()[0]
    assert members.pairing_with(point_id=factories.make_point().pk, secret=secret) is None
    assert members.pairing_with(point_id=point.pk, secret=secret[:-1]) is None


def test_an_offer_is_too_old_after_ten_minutes(point: ServicePoint, owner: User) -> None:
    pairing, _ = offer(point, owner)
    with pytest.raises(members.Gone):
        members.pair(pairing, now=now() + members.PAIRING_LASTS + timedelta(seconds=1))
    assert not Device.objects.exists()


def test_a_new_offer_ends_the_one_before(point: ServicePoint, owner: User) -> None:
    first, _ = offer(point, owner)
    offer(point, owner)
    with pytest.raises(members.Gone):
        members.pair(first, now=now())


@pytest.mark.parametrize("end", ["removed", "made a clerk"])
def test_what_an_owner_began_ends_with_the_role(point: ServicePoint, owner: User, end: str) -> None:
    second = factories.make_member(point)
    pairing, _ = offer(point, second)
    invitation = invite(point, second)
    if end == "removed":
        remove(point, second, owner)
    else:
        members.change_role(point=point, user=second, role=Role.CLERK, by=owner, now=now())
    with pytest.raises(members.Gone):
        members.pair(pairing, now=now())
    with pytest.raises(members.Gone):
        members.accept(invitation_id=invitation.pk, user=invitation.user, now=now())


@pytest.mark.django_db(transaction=True)
def test_two_devices_that_scan_one_offer_at_once_are_one_device() -> None:
    point = factories.make_point()
    pairing, _ = offer(point, factories.make_member(point))

    def join(_: int) -> bool:
        try:
            members.pair(pairing, now=now())
        except members.Gone:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(join, range(4))) == 1
    assert Device.objects.count() == 1


def test_a_revoked_device_stays_revoked_from_the_first_time(point: ServicePoint, owner: User) -> None:
    device, _ = factories.make_device(point)
    members.revoke_device(point=point, device_id=device.pk, by=owner, now=now())
    device.refresh_from_db()
    revoked_at = device.revoked_at
    assert revoked_at is not None
    members.revoke_device(point=point, device_id=device.pk, by=owner, now=now())
    device.refresh_from_db()
    assert device.revoked_at == revoked_at
    assert not members.devices_of(point).exists()


def test_a_device_of_another_shop_is_neither_renamed_nor_revoked(point: ServicePoint, owner: User) -> None:
    foreign, _ = factories.make_device(factories.make_point())
    members.revoke_device(point=point, device_id=foreign.pk, by=owner, now=now())
    with pytest.raises(members.Gone):
        members.rename_device(point=point, device_id=foreign.pk, name="mine", by=owner)
    foreign.refresh_from_db()
    assert (foreign.revoked_at, foreign.name) == (None, foreign.name)


def test_an_invitation_of_another_shop_is_not_withdrawn(point: ServicePoint, owner: User) -> None:
    other = factories.make_point()
    foreign = invite(other, factories.make_member(other))
    members.withdraw(point=point, invitation_id=foreign.pk, by=owner, now=now())
    foreign.refresh_from_db()
    assert foreign.end == ""


def test_the_history_tells_who_did_it(point: ServicePoint, owner: User, clerk: User) -> None:
    held = Membership.objects.get(user=clerk)
    browser, _ = access.enrol(point=point, user=clerk, name="Android")
    device, _ = members.pair(offer(point, owner)[0], now=now())
    invitation = invite(point, owner)
    members.change_role(point=point, user=clerk, role=Role.OWNER, by=owner, now=now())
    members.withdraw(point=point, invitation_id=invitation.pk, by=owner, now=now())
    members.revoke_device(point=point, device_id=device.pk, by=clerk, now=now())
    remove(point, clerk, owner)
    assert history(held) == [(owner.pk, "removed"), (owner.pk, "role: owner")]
    assert history(browser) == [(owner.pk, "revoked with its person")]
    assert history(device) == [(clerk.pk, "revoked"), (owner.pk, "paired")]
    assert history(invitation) == [(owner.pk, "withdrawn")]
