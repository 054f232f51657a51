"""Who can sign in to the demo. Passwords are random, made once for an installation and kept beside its secrets."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db.models import Count, Q

from network.models import Agent, Membership, ServicePoint, User
from pickup import codes
from pickup.demo import agents
from pickup.demo.agents import Appointed
from pickup.demo.intake import MERCHANTS, PHONE
from pickup.demo.people import Shop
from pickup.models import Parcel


@dataclass(frozen=True)
class Account:
    """A page to begin at, and who signs in there."""

    key: str
    path: str
    phone: str
    name: str
    role: str


ADMIN = Account("admin", "/admin/", PHONE.format(1), "管理员（示例）", "admin")
OWNER = Account("owner", "/counter/", PHONE.format(2), "店主（示例）", "store owner")
AGENT = Account("agent", "/agent/", PHONE.format(3), "代理（示例）", "regional agent, at two levels")
BOTH = Account("both", "/agent/", PHONE.format(4), "代理兼店主（示例）", "regional agent who also owns a shop")
APPLICANT = Account("applicant", "/vacancies/", PHONE.format(5), "申请人（示例）", "applicant for a vacant district")
ACCOUNTS = (ADMIN, OWNER, AGENT, BOTH, APPLICANT)


class NoDemo(Exception):
    """There are no demo accounts in this database."""


def sign_ins_file() -> Path:
    path: Path = settings.PICKUP_HOME / "demo-sign-ins.json"
    return path


def passwords() -> dict[str, str]:
    """Return the password of each account; they are made when they are first asked for."""
    path = sign_ins_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = {account.key: secrets.token_urlsafe(12) for account in ACCOUNTS}
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return fresh | known_passwords()
    with os.fdopen(descriptor, "w") as file:
        json.dump(fresh, file, indent=1)
    return fresh


def known_passwords() -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads(sign_ins_file().read_text())
    except (OSError, ValueError):
        return {}
    return known


def make(appointed: Appointed, shops: Sequence[Shop], *, now: datetime) -> None:
    """Make the people who sign in; the admin last, since it is by them that a finished demo is known."""
    known = passwords()
    owner, agent, both = (person(account, known[account.key]) for account in (OWNER, AGENT, BOTH))
    own(owner, busiest_point())
    represent(agent, appointed.of_two_levels)
    represent(both, appointed.also_owner)
    local = next((shop for shop in shops if shop.town == appointed.owners_town), shops[0])
    own(both, ServicePoint.objects.get(ref=local.ref))
    agents.ask(person(APPLICANT, known[APPLICANT.key]), agent, appointed, now=now)
    person(ADMIN, known[ADMIN.key], is_staff=True, is_superuser=True)


def person(account: Account, password: str, **rights: bool) -> User:
    user, _ = User.objects.get_or_create(phone=account.phone, defaults={"name": account.name, **rights})
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    return user


def own(user: User, point: ServicePoint) -> None:
    if not Membership.objects.filter(user=user, ended_at__isnull=True).exists():
        Membership.objects.create(user=user, service_point=point, role=Membership.Role.OWNER)


def represent(user: User, agent: Agent) -> None:
    if agent.user_id is None:
        agent.user = user
        agent.save(update_fields=["user"])


def busiest_point() -> ServicePoint:
    """The shop with the most parcels on its shelf of those that expect one as well."""
    demos = Parcel.objects.filter(order__merchant__name__in=MERCHANTS, service_point__isnull=False)
    rows = demos.values("service_point").annotate(
        ready=Count("id", filter=Q(status=Parcel.Status.READY)),
        expected=Count("id", filter=Q(status=Parcel.Status.EXPECTED)),
    )
    best = max(rows, key=lambda row: (row["expected"] > 0, row["ready"], -row["service_point"]))
    return ServicePoint.objects.get(pk=best["service_point"])


def is_finished() -> bool:
    return User.objects.filter(phone=ADMIN.phone).exists()


def sign_ins() -> Iterator[str]:
    """Yield the lines that tell a visitor where to begin. Only passwords that work are told. Raises NoDemo."""
    known = known_passwords()
    users = {user.phone: user for user in User.objects.filter(phone__in=[one.phone for one in ACCOUNTS])}
    working = [
        account
        for account in ACCOUNTS
        if account.phone in users and users[account.phone].check_password(known.get(account.key, ""))
    ]
    if not working:
        raise NoDemo
    yield f"Demo accounts of this installation; sign in at {settings.BASE_URL}/"
    for account in working:
        yield f"  {account.path:<10} {account.phone}  {known[account.key]}  {account.role}"
    if OWNER in working:
        yield from to_try(users[OWNER.phone])


def to_try(owner: User) -> Iterator[str]:
    """Yield one parcel to scan in and one to hand over, at the store owner's shop."""
    point = ServicePoint.objects.filter(memberships__user=owner, memberships__ended_at__isnull=True).first()
    here = Parcel.objects.filter(service_point=point).select_related("order__recipient").order_by("id")
    expected = here.filter(status=Parcel.Status.EXPECTED).first()
    ready = here.filter(status=Parcel.Status.READY, code__isnull=False).select_related("code").first()
    if point is not None and (expected or ready):
        yield f"Parcels to try at /counter/, {point.name}:"
    if expected is not None:
        yield f"  {expected.barcode}  expected: scan it in"
    if ready is not None:
        link = f"{settings.BASE_URL}/t/{codes.link_of(ready.uuid, ready.code.issue)}"
        yield f"  {ready.barcode}  ready: hand it over with the code that its recipient sees at"
        yield f"                  {link} (last digits of the phone: {ready.order.recipient.phone_last4})"
