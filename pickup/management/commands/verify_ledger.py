"""`verify_ledger`: look for what must not be in the books."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from pickup import ledger
from pickup.models import Posting


class Command(BaseCommand):
    help = (
        "Check that hand-overs, fees, reversals and statements agree; name each fault, and exit with 1 if there is one."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")  # it reads all of the books
            faults = ledger.faults()
        for fault in faults:
            self.stderr.write(f"{fault.rule}: {fault.where}")
        if faults:
            raise CommandError(f"{len(faults)} faults")
        self.stdout.write(f"no fault in {Posting.objects.count()} postings")
