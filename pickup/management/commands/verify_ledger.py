"""`verify_ledger`: look for what must not be in the books."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from network.clock import now
from pickup import ledger, seals
from pickup.models import Posting


class Command(BaseCommand):
    help = (
        "Check that hand-overs, fees, reversals, statements and payouts agree, and that nothing was changed since it "
        "was sealed; name each fault, and exit with 1 if there is one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head", metavar="HEX", default="", help="a head noted earlier, which must be in the chain"
        )

    def handle(self, *args: Any, head: str, **options: Any) -> None:
        alone = not connection.in_atomic_block
        with transaction.atomic(), connection.cursor() as cursor:
            # One picture of the books for all questions, however long they take.
            if alone:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL work_mem = '64MB'")
            faults = seals.faults(now=now(), expected=head) + ledger.faults()
            newest, waiting = seals.head(), seals.waiting()
        for fault in faults:
            self.stderr.write(f"{fault.rule}: {fault.where}")
        if faults:
            raise CommandError(f"{len(faults)} faults")
        self.stdout.write(f"no fault in {Posting.objects.count()} postings")
        if newest is not None:
            self.stdout.write(f"head: {bytes(newest.head).hex()} (block {newest.number}, {newest.last_place} rows)")
        if waiting:
            self.stdout.write("not sealed yet: " + ", ".join(f"{count} {name}" for name, count in waiting.items()))
