"""Who may act where: keys, members of service points, agents of regions. Doors ask here, nowhere else."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.db.models import QuerySet

from network.models import Agent, Device, Membership, ServicePoint, SignInAttempt, User

WRONG_PER_PHONE = 10
WRONG_PER_ADDRESS = 50
WRONG_COUNT_FOR = timedelta(minutes=15)


class Role(StrEnum):
    """What somebody may be here; one person may be all of them."""

    MEMBER = "member"
    STAFF = "staff"
    AGENT = "agent"


class TooManyAttempts(Exception):
    """So many wrong passwords for a phone or from an address that none is compared until `wait` is over."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"again in {wait}")
        self.wait = wait


def new_key() -> tuple[str, bytes]:
    """Return a key of 256 random bits, to be shown once, and the hash to store. Random enough to need no salt."""
    key = secrets.token_urlsafe(32)
    return key, hash_key(key)


def hash_key(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def points_of(user: User | AnonymousUser) -> QuerySet[ServicePoint]:
    """The service points where this person works today."""
    if not user.is_authenticated:
        return ServicePoint.objects.none()
    return ServicePoint.objects.filter(
        pk__in=Membership.objects.filter(user=user, ended_at__isnull=True).values("service_point")
    ).order_by("name", "id")


def enrol(*, point: ServicePoint, user: User | None, name: str) -> tuple[Device, str]:
    """Make a device of the point, a person's browser or the shop's own, and return it with its key, told once."""
    key, key_hash = new_key()
    return Device.objects.create(service_point=point, user=user, name=name[:100], key_hash=key_hash), key


def device_with(key: str, *, point: ServicePoint) -> Device | None:
    """The point's device with this key, revoked or not."""
    return Device.objects.filter(key_hash=hash_key(key), service_point=point).select_related("user").first()


def role_at(user: User | AnonymousUser | None, point: ServicePoint) -> Membership.Role | None:
    """What this person is at the point today."""
    if user is None or not user.is_authenticated:
        return None
    held = Membership.objects.filter(user=user, service_point=point, ended_at__isnull=True).first()
    return None if held is None else Membership.Role(held.role)


def roles_of(user: User | AnonymousUser) -> list[Role]:
    """What this person is today, in the order in which a sign-in looks for where to go."""
    if not user.is_authenticated:
        return []
    person = user
    held = {
        Role.MEMBER: points_of(person).exists(),
        Role.STAFF: person.is_staff,
        Role.AGENT: Agent.objects.filter(user=person).exists(),
    }
    return [role for role, holds in held.items() if holds]


def may_see_regions(user: User | AnonymousUser) -> bool:
    """Whether this person may open the map of all regions: staff with that permission, and nobody else."""
    return user.is_active and user.is_staff and user.has_perm("network.view_region")


def was_member(user: User, point: ServicePoint) -> bool:
    """Whether this person ever worked at the point, today or before."""
    return Membership.objects.filter(user=user, service_point=point).exists()


def sign_in(*, phone: str, password: str, address: str, now: datetime) -> User | None:
    """Return the person with this phone (E.164) and password; None says no more than that the two do not fit.

    The attempt is counted as wrong, and that count committed, before the password is compared; a right one takes
    the phone's count away again. Raises TooManyAttempts.
    """
    phone_hash = hmac.digest(settings.SECRET_KEY.encode(), f"sign-in|{phone}".encode(), "sha256")[:16]
    _count_sign_in(phone_hash, address, now)
    user = authenticate(username=phone, password=password)
    if user is None:
        return None
    SignInAttempt.objects.filter(phone_hash=phone_hash).delete()
    return user


def _count_sign_in(phone_hash: bytes, address: str, now: datetime) -> None:
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            # Attempts sent at once wait for each other, first by address and then by phone, so that none is missed.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('sign-in address'), hashtext(%s))", [address])
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('sign-in phone'), hashtext(%s))", [phone_hash.hex()])
        SignInAttempt.objects.filter(at__lte=now - WRONG_COUNT_FOR).delete()
        for attempts, most in (
            (SignInAttempt.objects.filter(phone_hash=phone_hash), WRONG_PER_PHONE),
            (SignInAttempt.objects.filter(address=address), WRONG_PER_ADDRESS),
        ):
            newest = list(attempts.order_by("-at").values_list("at", flat=True)[:most])
            if len(newest) == most:
                raise TooManyAttempts(newest[-1] + WRONG_COUNT_FOR - now)
        SignInAttempt.objects.create(phone_hash=phone_hash, address=address, at=now)
