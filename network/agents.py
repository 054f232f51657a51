"""Agents and their appointments."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from network.models import Agent, Appointment, Region

TERM = timedelta(days=365)


class RegionTaken(Exception):
    """Somebody is appointed to the region during that time."""


class BadPeriod(Exception):
    """The end is not after the beginning."""


def appoint(
    *, agent: Agent, region: Region, since: datetime, until: datetime | None = None, reason: str = ""
) -> Appointment:
    """Appoint an agent to a region, for a year where no end is given. The same appointment again, or one without
    an end for an agent who holds the region then, changes nothing. Raises BadPeriod and RegionTaken.
    """
    if until is None:
        held = Appointment.objects.filter(agent=agent, region=region, valid__contains=since).first()
        if held is not None:
            return held
    until = until or since + TERM
    if until <= since:
        raise BadPeriod(f"{since.isoformat()} – {until.isoformat()}")
    period = DateTimeTZRange(since, until)
    same = Appointment.objects.filter(agent=agent, region=region, valid__contains=period).first()
    if same is not None:
        return same
    try:
        with transaction.atomic():
            return Appointment.objects.create(agent=agent, region=region, valid=period, reason=reason)
    except IntegrityError as error:
        holder = Appointment.objects.filter(region=region, valid__overlap=period).select_related("agent").first()
        if holder is None:
            raise
        raise RegionTaken(f"{region} is held by {holder.agent.ref} until {holder.valid.upper:%Y-%m-%d}") from error
