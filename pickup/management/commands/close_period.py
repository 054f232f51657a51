"""`close_period YYYY-MM`: close a month and write its statements."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from network.clock import now
from network.history import RememberedCommand
from pickup import fees, seals, settlements


class Command(RememberedCommand):
    help = "Close a month that is over: every payable posting goes into one statement. Again it changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("period", metavar="YYYY-MM")

    def handle(self, *args: Any, period: str, **options: Any) -> None:
        at = now()
        try:
            currency = fees.tariff_at(at).currency
            settlement = settlements.close_period(period=period, now=at, currency=currency)
        except settlements.BadPeriod as error:
            raise CommandError(str(error)) from error
        except fees.NoTariff as error:
            raise CommandError(f"no tariff is in force at {error}") from error
        seals.seal(now=now())
        totals = settlements.totals(settlement)
        owed = sum(total for _, total in totals)
        self.stdout.write(
            f"{settlement.period} is closed: {len(totals)} statements, "
            f"{owed} minor units of {settlement.currency} in all"
        )
