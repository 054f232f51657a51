"""`appoint AGENT_REF REGION_CODE`: give an agent a region for a time."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils.timezone import get_default_timezone, localdate, localtime

from network import agents
from network.clock import now
from network.history import RememberedCommand
from network.models import Agent, Region

MAX_REF = 64


class Command(RememberedCommand):
    help = (
        "Appoint an agent to a region; an agent nobody knows yet is made. The appointment holds from the start of the "
        "day --since (today) until the start of the day --until (a year later), in the network's time zone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT_REF")
        parser.add_argument("region", metavar="REGION_CODE")
        parser.add_argument("--since", metavar="DATE", help="the first day, YYYY-MM-DD; today")
        parser.add_argument("--until", metavar="DATE", help="the first day after it, YYYY-MM-DD; a year later")

    def handle(self, *args: Any, agent: str, region: str, since: str | None, until: str | None, **options: Any) -> None:
        begins = day(since) if since else day(localdate(now()).isoformat())
        ends = day(until) if until else None
        found = Region.objects.filter(code=storable(region, "region code")).first()
        if found is None:
            raise CommandError(f"no region has the code {region}")
        ref = storable(agent, "agent reference")
        try:
            with transaction.atomic():  # an agent is not made for an appointment that is refused
                person, _ = Agent.objects.get_or_create(ref=ref, defaults={"name": ref})
                made = agents.appoint(agent=person, region=found, since=begins, until=ends)
        except agents.RegionTaken as error:
            raise CommandError(str(error)) from error
        except agents.BadPeriod as error:
            raise CommandError(f"it must end after it begins: {since or 'today'} – {until}") from error
        self.stdout.write(
            f"{person.ref} is appointed to {found} "
            f"from {localtime(made.valid.lower):%Y-%m-%d} until {localtime(made.valid.upper):%Y-%m-%d}"
        )


def day(text: str) -> datetime:
    """Return the start of a day in the network's time zone."""
    try:
        if len(text) != len("2026-01-31") or not text.isascii():
            raise ValueError("not of that length")
        date = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError as error:
        raise CommandError(f"{text!r} is not a day like 2026-01-31") from error
    if not 2000 <= date.year <= 2100:
        raise CommandError(f"{text}: a year between 2000 and 2100")
    return datetime.combine(date, time(), get_default_timezone())


def storable(text: str, what: str) -> str:
    """Refuse what PostgreSQL cannot store before it is asked."""
    text = text.strip()
    if not text or len(text) > MAX_REF or not text.isprintable():
        raise CommandError(f"{text[:80]!r} is no {what}: 1 to {MAX_REF} printable characters")
    return text
