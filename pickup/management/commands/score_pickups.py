"""`score_pickups [--day YYYY-MM-DD]`: look for invented pickups and hold their fees."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation
from django.utils.timezone import localdate

from network.clock import now
from pickup import scoring


class Command(BaseCommand):
    help = (
        "Score a day's pickups, or all days that were not scored yet, and hold those that look invented. Prints one "
        "JSON object for each new hold: day, barcode, service_point, points, signs, evidence. Again it changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--day", metavar="YYYY-MM-DD", help="default: every day since the last scored one")

    def handle(self, *args: Any, day: str | None, **options: Any) -> None:
        at = now()
        days = [_day(day)] if day else scoring.unscored(now=at)
        if days[0] > localdate(at):
            raise CommandError(f"{day} has not begun yet")
        held = 0
        for one in days:
            placed = scoring.score(one, now=at)
            held += len(placed)
            with translation.override("en"):
                for hold in placed:
                    self.stdout.write(json.dumps(_shown(hold), ensure_ascii=False))
        self.stderr.write(f"{len(days)} days scored, {held} pickups held")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not a day as YYYY-MM-DD") from error


def _shown(hold: scoring.Placed) -> dict[str, Any]:
    return {
        "day": hold.day.isoformat(),
        "barcode": hold.barcode,
        "service_point": hold.point_ref,
        "points": hold.points,
        "signs": [found.sign for found in hold.findings],
        "evidence": [found.words for found in hold.findings],
    }
