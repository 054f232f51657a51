"""Who works at a service point: owners invite and remove people, and pair and revoke the shop's devices.

Every change of a point's people or devices waits for the one before it, so that two owners who remove each other leave
one, and a person who is removed cannot pair a phone meanwhile. Who did it stands in the admin's history of the row.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import connection, models, transaction
from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from network import access
from network.messages import Message, NotSent, gateway, is_allowed
from network.models import Device, Invitation, Membership, Pairing, ServicePoint, User

log = logging.getLogger(__name__)

INVITATION_LASTS = timedelta(days=7)
INVITATIONS_PER_DAY = 20  # of one shop: each is a message that the network pays, to a number that the shop chose
PAIRING_LASTS = timedelta(minutes=10)

Role = Membership.Role
End = Invitation.End


class NotOwner(Exception):
    """Only an owner of the point may do this, and this person is none any more."""


class AlreadyMember(Exception):
    """The person works at the point already."""


class TooManyInvitations(Exception):
    """The shop sent as many invitations today as it may."""


class LastOwner(Exception):
    """Without this owner the shop would have none."""


class Gone(Exception):
    """The invitation or the pairing was used, withdrawn or is too old; or it never was."""


def members_of(point: ServicePoint) -> QuerySet[Membership]:
    """Those who work at the point today, owners first."""
    at_work = Membership.objects.filter(service_point=point, ended_at__isnull=True).select_related("user")
    return at_work.order_by("-role", "since", "id")


def invitations_of(point: ServicePoint, *, now: datetime) -> QuerySet[Invitation]:
    return _open(now).filter(service_point=point).select_related("user").order_by("made_at", "id")


def invitations_for(user: User, *, now: datetime) -> QuerySet[Invitation]:
    return _open(now).filter(user=user).select_related("service_point", "made_by").order_by("made_at", "id")


def devices_of(point: ServicePoint) -> QuerySet[Device]:
    """The devices that may scan at the point, the one last seen first."""
    trusted = Device.objects.filter(service_point=point, revoked_at__isnull=True).select_related("user")
    return trusted.order_by(models.F("seen_at").desc(nulls_last=True), "-id")


def invite(*, point: ServicePoint, phone: str, role: Role, by: User, now: datetime) -> tuple[Invitation, bool]:
    """Ask the person with this phone (E.164) to work at the point; an unknown phone becomes an account.

    Return the invitation and whether it is new, so that `tell` is called for it: the same invitation again is the one
    that is open already. Raises NotOwner, AlreadyMember, TooManyInvitations.
    """
    with transaction.atomic(durable=True):
        _lock(point)
        _require_owner(point, by)
        user = User.objects.filter(phone=phone).first()
        if user is not None and access.role_at(user, point) is not None:
            raise AlreadyMember
        pending = Invitation.objects.filter(service_point=point, user=user, end="").first() if user else None
        if pending is not None and pending.role == role and pending.expires_at > now:
            return pending, False
        if Invitation.objects.filter(service_point=point, made_at__gt=now - access.DAY).count() >= INVITATIONS_PER_DAY:
            raise TooManyInvitations
        if pending is not None:
            _end(pending, End.WITHDRAWN, now)
        if user is None:
            user, _made = User.objects.get_or_create(phone=phone, defaults={"password": _no_password()})
        made = Invitation.objects.create(
            user=user, service_point=point, role=role, made_by=by, expires_at=now + INVITATION_LASTS
        )
        return made, True


def tell(invitation: Invitation) -> bool:
    """Send the invited person a message, once, in the network's language; False if none can be sent.

    A lost message loses no invitation: it waits for the person, whom the owner may tell as well.
    """
    phone = invitation.user.phone
    way = gateway()
    if way is None or not is_allowed(phone):
        return False
    with translation.override(settings.LANGUAGE_CODE):
        values = {"point": invitation.service_point.name, "url": f"{settings.BASE_URL}/"}
        text = _("%(point)s asks you to work there. Sign in with this phone: %(url)s") % values
    try:
        way.send(
            Message(
                kind="invitation",
                phone=phone,
                text=text,
                url=values["url"],
                language=settings.LANGUAGE_CODE,
                values=values,
                key=f"invitation-{invitation.pk}",
            )
        )
    except NotSent as error:
        log.warning("invitation %d was not sent: %s", invitation.pk, error)
        return False
    return True


@transaction.atomic(durable=True)
def withdraw(*, point: ServicePoint, invitation_id: int, by: User, now: datetime) -> None:
    """Take an invitation back; one that has ended stays as it ended. Raises NotOwner."""
    _lock(point)
    _require_owner(point, by)
    pending = Invitation.objects.filter(pk=invitation_id, service_point=point, end="").first()
    if pending is not None:
        _end(pending, End.WITHDRAWN, now)
        _note(by, pending, "withdrawn")


def accept(*, invitation_id: int, user: User, now: datetime) -> ServicePoint:
    """Begin to work at the point and return it; accepting twice is accepting once. Raises Gone."""
    with transaction.atomic(durable=True):
        invitation = _own(invitation_id, user)
        point = invitation.service_point
        _lock(point)
        invitation.refresh_from_db()
        if invitation.end == End.ACCEPTED and access.role_at(user, point) is not None:
            return point
        if invitation.end or invitation.expires_at <= now:
            raise Gone
        _end(invitation, End.ACCEPTED, now)
        Membership.objects.get_or_create(
            user=user, service_point=point, ended_at=None, defaults={"role": invitation.role}
        )
        return point


def decline(*, invitation_id: int, user: User, now: datetime) -> None:
    """Refuse an invitation; one that has ended stays as it ended. Raises Gone for a stranger's."""
    with transaction.atomic(durable=True):
        invitation = _own(invitation_id, user)
        _lock(invitation.service_point)
        invitation.refresh_from_db()
        if not invitation.end:
            _end(invitation, End.DECLINED, now)


@transaction.atomic(durable=True)
def remove(*, point: ServicePoint, user: User, by: User, now: datetime) -> None:
    """End somebody's work at the point, and the trust in all that the person scans with, in one moment.

    An owner removes anybody, everybody removes themselves. Somebody who does not work there stays so.
    Raises NotOwner and LastOwner.
    """
    _lock(point)
    if by.pk != user.pk:
        _require_owner(point, by)
    held = Membership.objects.filter(service_point=point, user=user, ended_at__isnull=True).first()
    if held is None:
        return
    _require_another_owner(held)
    held.ended_at = now
    held.save(update_fields=["ended_at"])
    _note(by, held, "removed")
    own = Device.objects.filter(service_point=point, user=user, revoked_at__isnull=True)
    for device in own:
        _note(by, device, "revoked with its person")
    own.update(revoked_at=now)
    _end_errands(point, user, now)


@transaction.atomic(durable=True)
def change_role(*, point: ServicePoint, user: User, role: Role, by: User, now: datetime) -> None:
    """Make a clerk an owner or an owner a clerk. Raises NotOwner, LastOwner, and Gone if the person left."""
    _lock(point)
    _require_owner(point, by)
    held = Membership.objects.filter(service_point=point, user=user, ended_at__isnull=True).first()
    if held is None:
        raise Gone
    if held.role == role:
        return
    _require_another_owner(held)
    held.role = role
    held.save(update_fields=["role"])
    _note(by, held, f"role: {role}")
    if role != Role.OWNER:
        _end_errands(point, user, now)


@transaction.atomic(durable=True)
def offer_pairing(*, point: ServicePoint, name: str, by: User, now: datetime) -> tuple[Pairing, str]:
    """Return an offer to a device of the shop's own, and its secret, told once. Raises NotOwner.

    An owner has one offer open at a time.
    """
    _lock(point)
    _require_owner(point, by)
    Pairing.objects.filter(service_point=point, made_by=by, device__isnull=True).delete()
    secret, secret_hash = access.new_key()
    made = Pairing.objects.create(
        service_point=point, name=name[:100], secret_hash=secret_hash, made_by=by, expires_at=now + PAIRING_LASTS
    )
    return made, secret


def pairing_with(*, point_id: int, secret: str) -> Pairing | None:
    """The offer with this secret, open or not."""
    found = Pairing.objects.filter(secret_hash=access.hash_key(secret), service_point_id=point_id)
    return found.select_related("service_point", "device").first()


def is_open(pairing: Pairing, *, now: datetime) -> bool:
    return pairing.device is None and pairing.expires_at > now


@transaction.atomic(durable=True)
def pair(pairing: Pairing, *, now: datetime) -> tuple[Device, str]:
    """Make the device that was offered and return it with its key, told once. Raises Gone for a used or old offer."""
    point = pairing.service_point
    _lock(point)
    offered = Pairing.objects.filter(pk=pairing.pk).select_related("made_by").first()
    if offered is None or not is_open(offered, now=now):
        raise Gone
    device, key = access.enrol(point=point, user=None, name=offered.name)
    offered.device = device
    offered.save(update_fields=["device"])
    _note(offered.made_by, device, "paired")
    return device, key


@transaction.atomic(durable=True)
def rename_device(*, point: ServicePoint, device_id: int, name: str, by: User) -> None:
    """Raises NotOwner, and Gone if there is no such device any more."""
    _lock(point)
    _require_owner(point, by)
    if not devices_of(point).filter(pk=device_id).update(name=name[:100]):
        raise Gone


@transaction.atomic(durable=True)
def revoke_device(*, point: ServicePoint, device_id: int, by: User, now: datetime) -> None:
    """From now on nothing that the device scans counts. Revoking twice is revoking once. Raises NotOwner."""
    _lock(point)
    _require_owner(point, by)
    device = Device.objects.filter(pk=device_id, service_point=point, revoked_at__isnull=True).first()
    if device is not None:
        device.revoked_at = now
        device.save(update_fields=["revoked_at"])
        _note(by, device, "revoked")


def _lock(point: ServicePoint) -> None:
    """Until the transaction ends, nobody else changes who or what works here; assigning parcels does not wait."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('members'), hashtext(%s))", [str(point.pk)])


def _require_owner(point: ServicePoint, user: User) -> None:
    if access.role_at(user, point) != Role.OWNER:
        raise NotOwner


def _require_another_owner(held: Membership) -> None:
    owners = Membership.objects.filter(service_point=held.service_point, role=Role.OWNER, ended_at__isnull=True)
    if held.role == Role.OWNER and not owners.exclude(pk=held.pk).exists():
        raise LastOwner


def _end_errands(point: ServicePoint, user: User, now: datetime) -> None:
    """What somebody began as an owner does not outlive that: open invitations and offers to pair."""
    Invitation.objects.filter(service_point=point, made_by=user, end="").update(end=End.WITHDRAWN, ended_at=now)
    Pairing.objects.filter(service_point=point, made_by=user, device__isnull=True).delete()


def _open(now: datetime) -> QuerySet[Invitation]:
    return Invitation.objects.filter(end="", expires_at__gt=now)


def _own(invitation_id: int, user: User) -> Invitation:
    found = Invitation.objects.filter(pk=invitation_id, user=user).select_related("service_point").first()
    if found is None:
        raise Gone
    return found


def _end(invitation: Invitation, end: Invitation.End, now: datetime) -> None:
    invitation.end, invitation.ended_at = end, now
    invitation.save(update_fields=["end", "ended_at"])


def _no_password() -> str:
    nobody = User()
    nobody.set_unusable_password()
    return nobody.password


def _note(by: User, row: Any, words: str) -> None:
    LogEntry.objects.log_actions(by.pk, [row], CHANGE, words, single_object=True)
