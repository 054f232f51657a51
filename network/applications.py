"""Applications for regions: somebody applies with reasons, somebody else decides, and the one is told.

Nobody pays anything, and two of them for one region are settled by reasons and by the database: it lets one agent hold
a region at a time, and whoever comes second learns who holds it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from network import agents, atlas
from network.models import Agent, Appointment, AppointmentApplication, Level, Region, User

MOST_WAITING = 10  # of one person
MOST_PER_DAY = 20  # of one person, withdrawn ones counted

Status = AppointmentApplication.Status


class NotVacant(Exception):
    """The region is held for longer than applications look ahead; `until` is when that ends."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until.isoformat())
        self.until = until


class AlreadyWaiting(Exception):
    """This person has applied for this region, and nobody has decided yet."""


class TooMany(Exception):
    """So many of this person's applications wait, or were made today, that no more are taken."""


class NotWaiting(Exception):
    """It was decided or withdrawn meanwhile; `application` tells how."""

    def __init__(self, application: AppointmentApplication) -> None:
        super().__init__(application.status)
        self.application = application


class OwnApplication(Exception):
    """Whoever applied does not decide."""


class NoAnswer(Exception):
    """A refusal tells why."""


def held_until(region: Region, *, at: datetime) -> datetime | None:
    """Until when somebody holds the region without a gap, or None if it is vacant at that moment."""
    until = None
    for row in Appointment.objects.filter(region=region, valid__endswith__gt=at).order_by("valid"):
        if row.valid.lower > (until or at):
            break
        until = row.valid.upper
    return until


def is_soon(until: datetime, *, at: datetime) -> bool:
    """Whether a region that is held until then may be applied for now."""
    return until <= at + agents.SOON


def open_regions(*, at: datetime, level: Level | None = None, text: str = "") -> QuerySet[Region]:
    """Regions that may be applied for: vacant, or vacant soon. `held_until` is null where nobody holds them now."""
    rows = Region.objects.select_related("parent")
    if level is not None:
        rows = rows.filter(level=level)
    if text:
        rows = rows.filter(pk__in=[found.region.pk for found in atlas.search(text, at=at, most=200)])
    now_held = Appointment.objects.filter(region=OuterRef("pk"), valid__contains=at)
    for_long = Appointment.objects.filter(region=OuterRef("pk"), valid__contains=at + agents.SOON)
    until = Max("appointments__valid__endswith", filter=Q(appointments__valid__contains=at))
    return rows.filter(~Exists(now_held) | ~Exists(for_long)).annotate(held_until=until).order_by("path")


def coarsest_open(*, at: datetime) -> Level | None:
    """The coarsest level of which some region may be applied for, or None if none may."""
    level = open_regions(at=at).order_by("level").values_list("level", flat=True).first()
    return None if level is None else Level(level)


def submit(*, user: User, region: Region, reasons: str, contact: str, now: datetime) -> AppointmentApplication:
    """Apply for a region. Raises NotVacant, AlreadyWaiting, TooMany."""
    until = held_until(region, at=now)
    if until is not None and not is_soon(until, at=now):
        raise NotVacant(until)
    try:
        with transaction.atomic(durable=True):
            User.objects.select_for_update(no_key=True).get(pk=user.pk)  # one after the other, so that they are counted
            own = AppointmentApplication.objects.filter(user=user)
            if own.filter(region=region, status=Status.WAITING).exists():
                raise AlreadyWaiting
            recent = own.filter(made_at__gt=now - timedelta(days=1)).count()
            if own.filter(status=Status.WAITING).count() >= MOST_WAITING or recent >= MOST_PER_DAY:
                raise TooMany
            return AppointmentApplication.objects.create(user=user, region=region, reasons=reasons, contact=contact)
    except IntegrityError as error:
        if "application_waits_once" not in str(error):
            raise
        raise AlreadyWaiting from error


def withdraw(*, application_id: int, user: User, now: datetime) -> None:
    """Take the own application back, once; what is decided stays. Raises AppointmentApplication.DoesNotExist."""
    with transaction.atomic(durable=True):
        row = AppointmentApplication.objects.select_for_update().get(pk=application_id, user=user)
        if row.status == Status.WAITING:
            row.status, row.decided_at = Status.WITHDRAWN, now
            row.save(update_fields=["status", "decided_at"])


def approve(
    *, application_id: int, since: datetime, until: datetime, answer: str, by: User, now: datetime
) -> AppointmentApplication:
    """Appoint the applicant for that time; one that would begin in the past begins now, so that no old fee changes.

    A person who is no agent yet becomes one. Raises NotWaiting, OwnApplication, agents.BadPeriod, agents.RegionTaken,
    AppointmentApplication.DoesNotExist; after any of these the application waits as before.
    """
    with transaction.atomic(durable=True):
        row = _waiting(application_id, by)
        begins = max(since, now + agents.LEAD)
        if not begins < until <= begins + agents.LONGEST:
            raise agents.BadPeriod(f"{begins.isoformat()} – {until.isoformat()}")
        row.appointment = agents.give(
            agent=agent_of(row.user), region=row.region, since=begins, until=until, reason=row.reasons, by=by
        )
        row.status, row.decided_by, row.decided_at, row.answer = Status.APPROVED, by, now, answer
        row.save(update_fields=["status", "decided_by", "decided_at", "answer", "appointment"])
    return row


def refuse(*, application_id: int, answer: str, by: User, now: datetime) -> AppointmentApplication:
    """Raises NoAnswer, NotWaiting, OwnApplication, AppointmentApplication.DoesNotExist."""
    if not answer.strip():
        raise NoAnswer
    with transaction.atomic(durable=True):
        row = _waiting(application_id, by)
        row.status, row.decided_by, row.decided_at, row.answer = Status.REFUSED, by, now, answer.strip()
        row.save(update_fields=["status", "decided_by", "decided_at", "answer"])
    return row


def agent_of(user: User) -> Agent:
    """The agent that this person is; one is made for who is none yet."""
    ref = f"U{user.pk}"
    while Agent.objects.filter(ref=ref).exclude(user=user).exists():
        ref += "-"
    return Agent.objects.get_or_create(user=user, defaults={"ref": ref, "name": user.name or str(user)})[0]


def tell(application: AppointmentApplication) -> bool:
    """Send the applicant what was decided; False if no message can be sent. The page of applications tells it too."""
    if application.appointment is not None:
        return agents.tell(application.appointment, kind="appointed")
    with translation.override(settings.LANGUAGE_CODE):
        values = {"region": application.region.name, "url": f"{settings.BASE_URL}/vacancies/mine/"}
        text = _("Your application for %(region)s was refused. Why: %(url)s") % values
    key = f"application-{application.pk}"
    return agents.send(application.user, kind="application_refused", text=text, values=values, key=key)


def _waiting(application_id: int, by: User) -> AppointmentApplication:
    rows = AppointmentApplication.objects.select_for_update(of=("self",)).select_related("user", "region")
    row = rows.get(pk=application_id)
    if row.user_id == by.pk:
        raise OwnApplication
    if row.status != Status.WAITING:
        raise NotWaiting(row)
    return row
