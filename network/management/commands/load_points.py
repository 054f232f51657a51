"""`load_points FILE.csv`: make or change service points by their reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, Self

from django.core.management.base import CommandError, CommandParser
from pydantic import Field, model_validator

from network import points, rows
from network.clock import now
from network.history import RememberedCommand

BATCH = 2_000


class PointRow(rows.Form):
    """A row of `load_points`: `ref,name,lat,lon,city?,address?,capacity?,phone?`."""

    ref: Annotated[rows.Text, Field(min_length=1, max_length=64)]
    name: Annotated[rows.Text, Field(min_length=1, max_length=200)]
    lat: rows.Latitude
    lon: rows.Longitude
    city: Annotated[Annotated[rows.Text, Field(max_length=100)] | None, rows.Blank] = None
    address: Annotated[Annotated[rows.Text, Field(max_length=300)] | None, rows.Blank] = None
    capacity: Annotated[Annotated[rows.Whole, Field(le=1_000_000)] | None, rows.Blank] = None
    phone: Annotated[Annotated[rows.AsciiDigits, Field(max_length=32)] | None, rows.Blank] = None

    @model_validator(mode="after")
    def somewhere(self) -> Self:
        if abs(self.lat) < 0.01 and abs(self.lon) < 0.01:
            raise ValueError("lat: 0/0 is what programs write that know no place")
        return self

    def draft(self) -> points.PointDraft:
        return points.PointDraft(**self.model_dump())


class Command(RememberedCommand):
    help = (
        "Make or change service points from a CSV file with the columns ref, name, lat, lon and perhaps city, address, "
        "capacity, phone; coordinates are WGS 84 degrees. A bad row is reported and the good ones are kept. The same "
        "file again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.csv")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        self.refused = 0
        loaded = points.Loaded()
        try:
            with rows.opened(file) as stream:
                for batch in self.batches(stream):
                    loaded.add(points.load(batch, at=now()))
        except rows.Unreadable as error:
            raise CommandError(f"{file}: {error}") from error
        self.stdout.write(
            f"service points: {loaded.created} created, {loaded.updated} changed, {loaded.unchanged} unchanged"
        )
        if loaded.outside:
            self.stderr.write(f"{loaded.outside} of them lie in no region")
        if self.refused:
            raise CommandError(f"{self.refused} rows were refused; the others are kept")

    def batches(self, stream: BinaryIO) -> Iterator[list[points.PointDraft]]:
        first_in: dict[str, int] = {}
        batch: list[points.PointDraft] = []
        for row in rows.read_as(stream, PointRow):
            if isinstance(row, rows.BadRow):
                self.refuse(row)
                continue
            number, form = row
            if form.ref in first_in:
                self.refuse(rows.BadRow(number, "ref", f"“{form.ref}” is already in row {first_in[form.ref]}"))
                continue
            first_in[form.ref] = number
            batch.append(form.draft())
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def refuse(self, row: rows.BadRow) -> None:
        self.refused += 1
        self.stderr.write(str(row))
