"""`load_orders FILE.(csv|jsonl)`: take orders in from a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser
from pydantic import ValidationError

from network import rows
from network.clock import now
from network.history import RememberedCommand
from pickup import forms, orders
from pickup.models import Merchant

BATCH = 500
QUIET_S = 2.0
COLUMN_OF = {"address.text": "address", "address": "lat"}  # "lat and lon come together" is said of the address


class Command(RememberedCommand):
    help = (
        "Take orders in from a CSV file with the columns reference, name, phone, address and perhaps city, lat, lon, "
        "size, service_point, barcode, or from a JSONL file whose lines are bodies as the API takes them. A bad row is "
        "reported and the good ones are kept. The same file again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.(csv|jsonl)")
        parser.add_argument("--merchant", metavar="NAME", default="default", help="made if unknown; “default”")

    def handle(self, *args: Any, file: str, merchant: str, **options: Any) -> None:
        read = {".csv": csv_drafts, ".jsonl": jsonl_drafts}.get(Path(file).suffix.lower())
        if read is None:
            raise CommandError(f"{file}: the name ends in neither .csv nor .jsonl")
        self.created = self.repeated = self.refused = 0
        self.told_at = time.monotonic()
        try:
            with rows.opened(file) as stream:
                drafts = self.good(read(stream))
                sender = self.merchant(merchant)
                while batch := list(islice(drafts, BATCH)):
                    self.place(sender, batch)
        except rows.Unreadable as error:
            raise CommandError(f"{file}: {error}") from error
        self.stdout.write(f"orders: {self.created} created, {self.repeated} repeated, {self.refused} refused")
        if self.refused:
            raise CommandError(f"{self.refused} rows were refused; the others are kept")

    def merchant(self, name: str) -> Merchant:
        name = name.strip()
        if not 0 < len(name) <= 100 or not name.isprintable():
            raise CommandError("a merchant's name has 1 to 100 printable characters")
        return Merchant.objects.get_or_create(name=name)[0]

    def good(self, read: Iterator[Draft | rows.BadRow]) -> Iterator[Draft]:
        for row in read:
            if isinstance(row, rows.BadRow):
                self.refuse(row)
            else:
                yield row

    def place(self, merchant: Merchant, batch: list[Draft]) -> None:
        outcomes = orders.place_many(merchant=merchant, drafts=[draft for _, draft in batch], now=now())
        for (number, _), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, orders.Refused):
                self.refuse(rows.BadRow(number, column_of(outcome.field), outcome.reason))
            elif outcome.created:
                self.created += 1
            else:
                self.repeated += 1
        if time.monotonic() - self.told_at > QUIET_S:
            self.told_at = time.monotonic()
            self.stderr.write(f"… {self.created + self.repeated + self.refused} rows")

    def refuse(self, row: rows.BadRow) -> None:
        self.refused += 1
        self.stderr.write(str(row))


Draft = tuple[int, orders.OrderDraft]


def csv_drafts(stream: BinaryIO) -> Iterator[Draft | rows.BadRow]:
    read = rows.read_as(stream, forms.OrderRow)
    return (row if isinstance(row, rows.BadRow) else csv_draft(*row) for row in read)


def csv_draft(number: int, row: forms.OrderRow) -> Draft | rows.BadRow:
    try:
        return number, row.form().draft()
    except ValidationError as error:
        field, reason = forms.first_error(list(error.errors()))
        return rows.BadRow(number, column_of(field), reason)


def jsonl_drafts(stream: BinaryIO) -> Iterator[Draft | rows.BadRow]:
    read = rows.read_lines(stream)
    return (line if isinstance(line, rows.BadRow) else jsonl_draft(*line) for line in read)


def jsonl_draft(number: int, line: str) -> Draft | rows.BadRow:
    try:
        return number, forms.OrderForm.model_validate_json(line).draft()
    except ValidationError as error:
        field, reason = forms.first_error(list(error.errors()))
        return rows.BadRow(number, field or "row", reason)


def column_of(field: str) -> str:
    """Return the column that a field of the order's form is read from: recipient.phone → phone."""
    return COLUMN_OF.get(field) or field.rpartition(".")[2] or "row"
