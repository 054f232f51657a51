"""Who may act where: keys, members of service points, agents of regions. Doors ask here, nowhere else."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from network.messages import ConsoleGateway, Gateway, Message, NotSent, gateway, is_allowed
from network.models import Agent, Device, Membership, ServicePoint, SignInAttempt, SignInCode, User

log = logging.getLogger(__name__)

WRONG_PER_PHONE = 10
WRONG_PER_ADDRESS = 50
WRONG_COUNT_FOR = timedelta(minutes=15)

CODE_LASTS = timedelta(minutes=10)
CODE_TRIES = 5
DAY = timedelta(days=1)
# So many codes within so long. Whole towns share an address behind their mobile carrier, hence its larger figures.
CODES_PER_PHONE = ((3, CODE_LASTS), (8, DAY))
CODES_PER_ADDRESS = ((30, CODE_LASTS), (300, DAY))
LONGEST_PAUSE_S = 6.0  # a little more than a gateway may take

Purpose = SignInCode.Purpose


class Role(StrEnum):
    """What somebody may be here; one person may be all of them."""

    MEMBER = "member"
    STAFF = "staff"
    AGENT = "agent"


class TooMany(Exception):
    """A limit is reached, and nothing more is done until `wait` is over."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"again in {wait}")
        self.wait = wait


class TooManyAttempts(TooMany):
    """So many wrong passwords for a phone or from an address that none is compared until `wait` is over."""


class TooManyCodes(TooMany):
    """So many codes for a phone, from an address or in the whole network that none is sent until `wait` is over."""


class NoGateway(Exception):
    """This installation sends no short messages."""


class CountryNotServed(Exception):
    """To numbers of this country no message is sent: see SMS_COUNTRIES."""


class CodeGone(Exception):
    """No code is open for this phone: too old, used, tried too often, or a newer one took its place."""


class WrongCode(Exception):
    """The code is not the right one; `left` more tries are allowed."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} left")
        self.left = left


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


def may_see_history(user: User | AnonymousUser) -> bool:
    """Whether this person may read who changed what: staff with that permission, and nobody else."""
    return user.is_active and user.is_staff and user.has_perm("network.view_history")


def was_member(user: User, point: ServicePoint) -> bool:
    """Whether this person ever worked at the point, today or before."""
    return Membership.objects.filter(user=user, service_point=point).exists()


def sign_in(*, phone: str, password: str, address: str, now: datetime) -> User | None:
    """Return the person with this phone (E.164) and password; None says no more than that the two do not fit.

    The attempt is counted as wrong, and that count committed, before the password is compared; a right one takes
    the phone's count away again. Raises TooManyAttempts.
    """
    phone_hash = _phone_hash(phone)
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


def may_send_codes() -> bool:
    """Whether the sign-in page offers codes at all."""
    try:
        _sender()
    except NoGateway:
        return False
    return True


def send_code(*, phone: str, purpose: Purpose, address: str, now: datetime) -> None:
    """Send six digits to this phone (E.164) if it has an account; the caller cannot tell whether it has one.

    To open an account, any phone gets them that is not shut out. Otherwise a phone without an account is counted like
    any other and answered as the last phone with one was: with the same words after the same time. A new code ends the
    one before. Raises NoGateway, CountryNotServed, TooManyCodes and NotSent. It talks to the gateway, so it is called
    outside every transaction.
    """
    way = _sender()
    if not is_allowed(phone):
        raise CountryNotServed
    code = f"{secrets.randbelow(1_000_000):06}"
    known = _gets_in(User.objects.filter(phone=phone).first(), purpose)
    made = _make_code(phone=phone, purpose=purpose, code=code, address=address, goes_out=known, now=now)
    if not known:
        _answer_as_if_sent(now)
        return
    began = time.monotonic()
    try:
        way.send(_message(phone, purpose, code))
    except NotSent as error:
        made.failed = True
        log.warning("a sign-in code was not sent: %s", error)
        raise
    finally:
        made.took_ms = int((time.monotonic() - began) * 1000)
        made.save(update_fields=["took_ms", "failed"])


def use_code(*, phone: str, purpose: Purpose, code: str, now: datetime) -> User:
    """Return the person whose code this is, once. The try is counted, and that committed, before the comparison.

    A code to open an account makes one, without password or name, where the phone has none. Raises CodeGone and
    WrongCode, for a phone without an account as for any other.
    """
    open_now = SignInCode.objects.filter(phone_hash=_phone_hash(phone), purpose=purpose, ended_at__isnull=True)
    with transaction.atomic(durable=True):
        found = open_now.select_for_update().filter(made_at__gt=now - CODE_LASTS, tries__lt=CODE_TRIES).first()
        if found is None:
            raise CodeGone
        found.tries += 1
        found.save(update_fields=["tries"])
    right = hmac.compare_digest(bytes(found.code_hash), _code_hash(phone, purpose, code))
    user = User.objects.filter(phone=phone).first()
    if not right or not _gets_in(user, purpose):
        raise WrongCode(CODE_TRIES - found.tries)
    with transaction.atomic():
        if not open_now.filter(pk=found.pk).update(ended_at=now):
            raise CodeGone  # somebody was quicker with the same code
        if user is None:
            user, _made = User.objects.get_or_create(phone=phone, defaults={"password": make_password(None)})
    # Whoever holds the phone is no guesser, whatever was tried on its password before.
    SignInAttempt.objects.filter(phone_hash=_phone_hash(phone)).delete()
    return user


def _gets_in(user: User | None, purpose: Purpose) -> bool:
    """Whether a code for a phone with this account, or with none, leads anywhere."""
    return purpose == Purpose.OPEN if user is None else user.is_active


def _sender() -> Gateway:
    """The gateway for codes; a network under development has its terminal. Raises NoGateway."""
    try:
        configured = gateway()
    except ImproperlyConfigured as error:
        log.error("no sign-in codes can be sent: %s", error)
        raise NoGateway from error
    if settings.BASE_URL.startswith("https://") and (configured is None or isinstance(configured, ConsoleGateway)):
        raise NoGateway  # what a real network's terminal shows is kept in a log
    if configured is not None:
        return configured
    return ConsoleGateway()


def _message(phone: str, purpose: Purpose, code: str) -> Message:
    texts = {
        Purpose.SIGN_IN: _("%(code)s is your code to sign in. It works for %(minutes)s minutes. Tell it to nobody."),
        Purpose.RESET: _(
            "%(code)s is your code to set a password. It works for %(minutes)s minutes. Tell it to nobody."
        ),
        Purpose.OPEN: _("%(code)s is your code to apply. It works for %(minutes)s minutes. Tell it to nobody."),
    }
    values = {"code": code, "minutes": str(CODE_LASTS // timedelta(minutes=1))}
    return Message(
        kind=purpose.value,
        phone=phone,
        text=texts[purpose] % values,
        code=code,
        language=get_language() or "",
        values=values,
    )


def _make_code(*, phone: str, purpose: Purpose, code: str, address: str, goes_out: bool, now: datetime) -> SignInCode:
    phone_hash = _phone_hash(phone)
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            # One lock for all: codes are asked for seldom, and the network's own limit concerns every one of them.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('sign-in codes'))")
        SignInCode.objects.filter(made_at__lte=now - DAY).delete()
        Session.objects.filter(expire_date__lte=now).delete()  # strangers who asked for a code left one each
        sent = Q(took_ms__isnull=False)
        _hold_back(sent, ((settings.SIGN_IN_CODES_PER_DAY, DAY),), now, "the whole network")
        _hold_back(Q(address=address), CODES_PER_ADDRESS, now, "an address")
        _hold_back(Q(phone_hash=phone_hash), CODES_PER_PHONE, now, "a phone")
        SignInCode.objects.filter(phone_hash=phone_hash, ended_at__isnull=True).update(ended_at=now)
        return SignInCode.objects.create(
            phone_hash=phone_hash,
            purpose=purpose,
            code_hash=_code_hash(phone, purpose, code),
            address=address,
            made_at=now,
            took_ms=0 if goes_out else None,
        )


def _hold_back(which: Q, limits: tuple[tuple[int, timedelta], ...], now: datetime, whose: str) -> None:
    for most, within in limits:
        made = SignInCode.objects.filter(which, made_at__gt=now - within).order_by("-made_at")
        newest = list(made.values_list("made_at", flat=True)[:most])
        if len(newest) == most:
            log.warning("no sign-in code sent: %s had %d within %s", whose, most, within)
            raise TooManyCodes(newest[-1] + within - now if newest else within)


def _answer_as_if_sent(now: datetime) -> None:
    last = SignInCode.objects.filter(took_ms__isnull=False, made_at__gt=now - CODE_LASTS).order_by("-made_at").first()
    if last is None:
        return
    assert last.took_ms is not None, "the filter says so"
    time.sleep(min(last.took_ms / 1000, LONGEST_PAUSE_S))
    if last.failed:
        raise NotSent("as the last one")


def _phone_hash(phone: str) -> bytes:
    return hmac.digest(settings.SECRET_KEY.encode(), f"sign-in|{phone}".encode(), "sha256")[:16]


def _code_hash(phone: str, purpose: str, code: str) -> bytes:
    return hmac.digest(settings.SECRET_KEY.encode(), f"sign-in code|{phone}|{purpose}|{code}".encode(), "sha256")
