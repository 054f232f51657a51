"""Agents and their appointments: given, ended early with a reason, given anew for the time after."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import IntegrityError, connection, models, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import QuerySet
from django.utils import translation
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from network import clock
from network.messages import Message, NotSent, gateway, is_allowed
from network.models import Agent, Appointment, Region, User

log = logging.getLogger(__name__)

TERM = timedelta(days=365)
LONGEST = timedelta(days=5 * 366)
SOON = timedelta(days=60)  # so long before an end the region is looked at as one that will be vacant
# An end takes this long to come, longer than any transaction may last: whatever was handed over by somebody who still
# saw the appointment was handed over before its end.
LEAD = timedelta(minutes=1)


class RegionTaken(Exception):
    """Somebody is appointed to the region during that time; `holder` is their appointment."""

    def __init__(self, holder: Appointment) -> None:
        super().__init__(f"{holder.region} is held by {holder.agent.ref} until {holder.valid.upper:%Y-%m-%d}")
        self.holder = holder


class BadPeriod(Exception):
    """The end is not after the beginning, or too far from it."""


class OwnAppointment(Exception):
    """Nobody gives a region to themselves."""


class NoReason(Exception):
    """An early end has a reason, and the agent is told."""


class Over(Exception):
    """The appointment has ended, or ends no later than asked for."""


def appoint(
    *,
    agent: Agent,
    region: Region,
    since: datetime,
    until: datetime | None = None,
    reason: str = "",
    by: User | None = None,
) -> Appointment:
    """Appoint an agent to a region, for a year where no end is given. The same appointment again, or one without
    an end for an agent who holds the region then, changes nothing. Raises BadPeriod, RegionTaken, OwnAppointment.
    """
    if until is None:
        held = Appointment.objects.filter(agent=agent, region=region, valid__contains=since).first()
        if held is not None:
            return held
    until = until or since + TERM
    if until <= since:
        raise BadPeriod(f"{since.isoformat()} – {until.isoformat()}")
    same = Appointment.objects.filter(agent=agent, region=region, valid__contains=DateTimeTZRange(since, until)).first()
    if same is not None:
        return same
    with transaction.atomic():
        return give(agent=agent, region=region, since=since, until=until, reason=reason, by=by)


def give(
    *, agent: Agent, region: Region, since: datetime, until: datetime, reason: str, by: User | None
) -> Appointment:
    """Make an appointment in the caller's transaction. Raises RegionTaken and OwnAppointment.

    The region's row is locked first: two of them at once wait for each other here, and not, each for the other, inside
    the exclusion constraint, where PostgreSQL would have to shoot one of them.
    """
    assert connection.in_atomic_block, "give() is a building block: the use case opens the transaction"
    if by is not None and agent.user_id == by.pk:
        raise OwnAppointment
    Region.objects.select_for_update(no_key=True).get(pk=region.pk)
    period = DateTimeTZRange(since, until)
    try:
        with transaction.atomic():
            return Appointment.objects.create(agent=agent, region=region, valid=period, reason=reason, appointed_by=by)
    except IntegrityError as error:
        overlapping = Appointment.objects.filter(region=region, valid__overlap=period)
        holder = overlapping.select_related("agent", "region").order_by("valid").first()
        if holder is None:
            raise
        raise RegionTaken(holder) from error


def end(*, appointment_id: int, at: datetime | None, reason: str, by: User, now: datetime) -> Appointment:
    """End an appointment early, at a moment or as soon as can be (None). What is over stays as it was.

    Ending once more, earlier still, is possible; each stands in the history of the administration.
    Raises NoReason, Over, Appointment.DoesNotExist.
    """
    if not reason.strip():
        raise NoReason
    with transaction.atomic(durable=True):
        row = (
            Appointment.objects.select_for_update(of=("self",))
            .select_related("agent__user", "region")
            .get(pk=appointment_id)
        )
        soonest = max(clock.now(), now) + LEAD
        wanted = max(at or soonest, soonest)
        # A period is never empty: one that is taken back before it began lasts a microsecond.
        ends = max(wanted, row.valid.lower + timedelta(microseconds=1))
        if ends >= row.valid.upper:
            raise Over(f"{row.valid.upper.isoformat()}")
        row.valid = DateTimeTZRange(row.valid.lower, ends)
        row.ended_by, row.ended_at, row.end_reason = by, clock.now(), reason.strip()
        row.save(update_fields=["valid", "ended_by", "ended_at", "end_reason"])
        note(by, row, f"ends {localtime(ends):%Y-%m-%d %H:%M}: {row.end_reason}")
    return row


def renew(*, appointment_id: int, until: datetime, reason: str, by: User) -> Appointment:
    """Give the same agent the region for the time after, as a new appointment that begins when this one ends.

    The same again is the one that is there. Raises BadPeriod, Over, RegionTaken, OwnAppointment,
    Appointment.DoesNotExist.
    """
    with transaction.atomic(durable=True):
        row = Appointment.objects.select_related("agent", "region").get(pk=appointment_id)
        Region.objects.select_for_update(no_key=True).get(pk=row.region_id)
        row.refresh_from_db(fields=["valid"])
        begins = row.valid.upper
        if begins <= clock.now():
            raise Over(begins.isoformat())
        if not begins < until <= begins + LONGEST:
            raise BadPeriod(f"{begins.isoformat()} – {until.isoformat()}")
        period = DateTimeTZRange(begins, until)
        same = Appointment.objects.filter(agent=row.agent, region=row.region, valid=period).first()
        if same is not None:
            return same
        made = give(agent=row.agent, region=row.region, since=begins, until=until, reason=reason, by=by)
        note(by, made, f"renewed until {localtime(until):%Y-%m-%d}")
    return made


def in_force(agent: Agent, *, at: datetime) -> QuerySet[Appointment]:
    """What the agent holds at that moment, in the order of the tree."""
    held = Appointment.objects.filter(agent=agent, valid__contains=at).select_related("region")
    return held.order_by("region__path")


def tell(appointment: Appointment, *, kind: str) -> bool:
    """Send the agent a message that the appointment was given (`appointed`), renewed or ended.

    False if none can be sent. A lost message loses nothing: the agent's pages tell the same.
    """
    user = appointment.agent.user
    if user is None:
        return False
    with translation.override(settings.LANGUAGE_CODE):
        values = {
            "region": appointment.region.name,
            "since": f"{localtime(appointment.valid.lower):%Y-%m-%d}",
            "until": f"{localtime(appointment.valid.upper):%Y-%m-%d}",
            "url": f"{settings.BASE_URL}/agent/",
        }
        words = {
            "appointed": _("You are the agent of %(region)s from %(since)s until %(until)s: %(url)s"),
            "renewed": _("You stay the agent of %(region)s until %(until)s: %(url)s"),
            "ended": _("Your appointment to %(region)s ends on %(until)s. The reason: %(url)s"),
        }
        text = words[kind] % values
    moment = appointment.ended_at if kind == "ended" else appointment.created_at
    assert moment is not None, "it has been given or ended"
    return send(user, kind=kind, text=text, values=values, key=f"{kind}-{appointment.pk}-{int(moment.timestamp())}")


def send(user: User, *, kind: str, text: str, values: dict[str, str], key: str) -> bool:
    """Send a message about an appointment or an application, once; False where none can be sent to this phone."""
    way = gateway()
    if way is None or not is_allowed(user.phone):
        return False
    try:
        way.send(
            Message(
                kind=kind,
                phone=user.phone,
                text=text,
                url=values["url"],
                language=settings.LANGUAGE_CODE,
                values=values,
                key=key,
            )
        )
    except NotSent as error:
        log.warning("message %s was not sent: %s", key, error)
        return False
    return True


def note(by: User, row: models.Model, words: str) -> None:
    """Keep who did it, in the history that the administration shows."""
    LogEntry.objects.log_actions(by.pk, [row], CHANGE, words, single_object=True)
