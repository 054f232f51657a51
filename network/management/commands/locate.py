"""`locate FILE.csv`: tell in which regions addresses lie, without keeping them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, BinaryIO, Self

from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic import Field, model_validator

from network import geocoding, rows
from network.clock import now
from network.models import Level, Region

BATCH = 2_000
ASKED_S = 60.0  # for the geocoders, a batch; where they did not come to it, the names decide


class AddressRow(rows.Form):
    """A row of `locate`: `ref,address,city?,lat?,lon?`. With coordinates the address may be empty."""

    ref: Annotated[rows.Text, Field(max_length=200)]
    address: Annotated[rows.Text, Field(max_length=500)]
    city: Annotated[rows.Text, Field(max_length=100)] = ""
    lat: Annotated[rows.Latitude | None, rows.Blank] = None
    lon: Annotated[rows.Longitude | None, rows.Blank] = None

    @model_validator(mode="after")
    def has_a_place(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat: lat and lon come together")
        if self.lat is None and not self.address:
            raise ValueError("address: neither an address nor coordinates")
        return self


class Command(BaseCommand):
    help = (
        "Read addresses from a CSV file with the columns ref, address and perhaps city, lat, lon, and write one JSON "
        "object a row: ref, region_code, district, city, province, source, accuracy_m, review. Without doubt, review "
        "is null; else it is the reason why a person must look."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.csv")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        self.refused = 0
        try:
            with rows.opened(file) as stream:
                addresses = self.addresses(stream)
                while batch := list(islice(addresses, BATCH)):
                    for line in located(batch):
                        self.stdout.write(json.dumps(line, ensure_ascii=False))
        except rows.Unreadable as error:
            raise CommandError(f"{file}: {error}") from error
        if self.refused:
            raise CommandError(f"{self.refused} rows were refused; the others were located")

    def addresses(self, stream: BinaryIO) -> Iterator[AddressRow]:
        for row in rows.read_as(stream, AddressRow):
            if isinstance(row, rows.BadRow):
                self.refused += 1
                self.stderr.write(str(row))
            else:
                yield row[1]


def located(batch: Sequence[AddressRow]) -> Iterator[dict[str, Any]]:
    queries = [geocoding.Query(text=row.address, city=row.city, lat=row.lat, lon=row.lon) for row in batch]
    places = geocoding.locate(queries, at=now(), ask_s=ASKED_S)
    regions = Region.objects.in_bulk({region for place in places for region in place.region_ids})
    for row, place in zip(batch, places, strict=True):
        yield {
            "ref": row.ref,
            **named([regions[region] for region in place.region_ids]),
            "source": place.source or None,
            "accuracy_m": place.accuracy_m,
            "review": place.review or None,
        }


def named(chain: Iterable[Region]) -> dict[str, str | None]:
    """Name the regions of a chain, deepest first; a municipality such as 重庆市 is its own city."""
    chain = list(chain)
    names = {Level(region.level): region.name for region in chain}
    province = names.get(Level.PROVINCE)
    own_city = max(names, default=Level.MACRO) > Level.PROVINCE or (province or "").endswith("市")
    return {
        "region_code": chain[0].code if chain else None,
        "district": names.get(Level.DISTRICT),
        "city": names.get(Level.CITY) or (province if own_city else None),
        "province": province,
    }
