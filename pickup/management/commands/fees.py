"""`fees BARCODE`: what a parcel's pickup earned whom, as JSON."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from network.models import Level
from pickup import ledger
from pickup.models import Parcel, Posting


class Command(BaseCommand):
    help = (
        "Print the postings that a parcel caused, oldest first: kind, payee (the reference of the service point or "
        "agent), level, amount_minor, tariff, region_code. A reversal has the positive amount that it takes back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("barcode")

    def handle(self, *args: Any, barcode: str, **options: Any) -> None:
        parcel = Parcel.objects.filter(barcode=barcode).first() if barcode.isprintable() else None
        if parcel is None:
            raise CommandError(f"no parcel has the barcode {barcode!r}")
        lines = [shown(posting) for posting in ledger.postings_of(parcel)]
        self.stdout.write(json.dumps(lines, ensure_ascii=False, indent=1))


def shown(posting: Posting) -> dict[str, Any]:
    line: dict[str, Any] = {
        "kind": str(posting.kind),
        "payee": payee(posting),
        "amount_minor": posting.amount_minor,
        "tariff": posting.tariff.name if posting.tariff else None,
    }
    if posting.level is not None:
        line["level"] = Level(posting.level).name.lower()
    if posting.region is not None:
        line["region_code"] = posting.region.code
    return line


def payee(posting: Posting) -> str:
    """The one who earned it, or who gave it back: an agent's fee and its reversal know the appointment."""
    if posting.appointment is not None:
        return posting.appointment.agent.ref
    assert posting.handover is not None, "postings_of() finds them by their hand-over"
    return posting.handover.service_point.ref
