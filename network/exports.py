"""Lists that people take away as a file: short ones at once, long ones as a row that a sweep writes while they wait.

A list is registered under a name with `@listing`; it says who may have it, and gives its rows as they are read. Whoever
asks is asked again when the file is written, and sees no more in it than on the pages.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import get_resolver
from django.utils import translation

from network import clock
from network.models import Export, User
from network.tables import Cell, Column, csv_parts, write_csv, write_xlsx

log = logging.getLogger(__name__)

State = Export.State

BEAT_ROWS = 1_000
SILENT_FOR = timedelta(minutes=2)  # so long without a sign of life, and somebody else begins again
MOST_TRIES = 5
MOST_WAITING = 5  # of one person
FREE_BYTES = 512 * 1024 * 1024  # of disk that stay free: a file for one is not worth a network that stops


class NotYours(Exception):
    """There is no such list, or not for this person."""


class BadFilter(ValueError):
    """A filter of the list makes no sense; the message says which."""


class TooManyWaiting(Exception):
    """This person waits for as many files as one may."""


class ClaimLost(Exception):
    """Somebody else works on it, or nobody wants it any more."""


@dataclass(frozen=True)
class Sheet:
    """A list as it is asked for. `rows` are read when they are iterated; `count` says how many there will be."""

    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]
    count: int


Filters = dict[str, str]
Maker = Callable[[User, Filters], Sheet]
LISTS: dict[str, Maker] = {}
TITLES: dict[str, Any] = {}
FAMILIES: dict[str, Callable[[str, User, Filters], Sheet]] = {}  # all lists "family:rest" have one maker


def listing(name: str, title: Any) -> Callable[[Maker], Maker]:
    """Register a list under a name, with its title in words. Its maker raises NotYours and BadFilter."""

    def register(make: Maker) -> Maker:
        LISTS[name], TITLES[name] = make, title
        return make

    return register


def sheet_of(name: str, *, user: User, filters: Filters) -> Sheet:
    """Raises NotYours, BadFilter."""
    family, _colon, rest = name.partition(":")
    if not user.is_active:
        raise NotYours
    if rest and family in FAMILIES:
        return FAMILIES[family](rest, user, filters)
    if name not in LISTS:
        raise NotYours
    return LISTS[name](user, filters)


def title_of(name: str) -> str:
    """The title of a list in words; of one of the administration, what its rows are called."""
    family, _colon, label = name.partition(":")
    if family in FAMILIES and label.count(".") == 1:
        try:
            return str(apps.get_model(label)._meta.verbose_name_plural)
        except LookupError:
            return name
    return str(TITLES.get(name, name))


def at_once(sheet: Sheet, form: str) -> Iterator[bytes]:
    """A short list as a file, in parts."""
    if form == Export.Form.CSV:
        return csv_parts(sheet.columns, sheet.rows)
    file = BytesIO()
    write_xlsx(file, sheet.columns, sheet.rows)
    return iter([file.getvalue()])


def in_parts(rows: QuerySet[Any], *, key: str = "-pk", size: int = 2_000) -> Iterator[Any]:
    """Read a queryset in parts by a unique key, the newest first unless another key is given.

    Unlike a cursor it holds no snapshot for as long as the slowest reader takes, and no statement of it is long.
    """
    name, side = key.lstrip("-"), "lt" if key.startswith("-") else "gt"
    rows, last = rows.order_by(key), None
    while True:
        part = list((rows if last is None else rows.filter(**{f"{name}__{side}": last}))[:size])
        yield from part
        if len(part) < size:
            return
        last = getattr(part[-1], name)


def order(*, name: str, user: User, filters: Filters, form: str, language: str, count: int) -> Export:
    """Leave a row for the sweep; the same list that waits already is not ordered twice. Raises TooManyWaiting."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)  # clicks at once wait for each other
        waiting = Export.objects.filter(made_by=user, state__in=[State.WAITING, State.RUNNING])
        same = waiting.filter(name=name, asked=filters, form=form, language=language).first()
        if same is not None:
            return same
        if waiting.count() >= MOST_WAITING:
            raise TooManyWaiting
        return Export.objects.create(
            made_by=user, name=name, asked=filters, form=form, language=language, rows_all=count
        )


def path_of(export: Export) -> Path:
    """Where its file lies when it is done. The name carries the claim, which nobody is told."""
    return Path(settings.EXPORTS_DIR) / f"{export.pk}-{export.claim.hex}.{export.form}"


def work(*, now: datetime, limit: int) -> int:
    """Write at most so many lists that wait, and delete old files. Returns how many were written."""
    get_resolver().url_patterns  # noqa: B018 - lists are registered beside their pages
    forget(now=now)
    written = 0
    for _number in range(limit):
        export = claim(now=now)
        if export is None:
            break
        written += _finish(export)
    return written


def claim(*, now: datetime) -> Export | None:
    """Take the next row that waits, or one whose worker was not heard of for too long."""
    with transaction.atomic():
        waits = Q(state=State.WAITING) | Q(state=State.RUNNING, beat_at__lt=now - SILENT_FOR)
        export = (
            Export.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(waits)
            .select_related("made_by")
            .order_by("id")
            .first()
        )
        if export is None:
            return None
        path_of(export).with_suffix(".part").unlink(missing_ok=True)  # what a killed worker left
        export.state, export.claim, export.beat_at = State.RUNNING, uuid4(), now
        export.tries += 1
        export.rows_done = 0
        export.save(update_fields=["state", "claim", "beat_at", "tries", "rows_done"])
    if export.tries > MOST_TRIES:
        log.error("export %s was begun %d times and never finished", export.pk, MOST_TRIES)
        _end(export, State.FAILED)
        return claim(now=now)
    return export


def _finish(export: Export) -> bool:
    try:
        with translation.override(export.language):
            write(export)
    except ClaimLost:
        path_of(export).with_suffix(".part").unlink(missing_ok=True)
        return False
    except (NotYours, BadFilter) as error:
        log.warning("export %s is not written: %r", export.pk, error)
        _end(export, State.FAILED)
        return False
    return True


def write(export: Export) -> None:
    """Write the file beside its place and move it there when it is whole. Raises ClaimLost, NotYours, BadFilter."""
    sheet = sheet_of(export.name, user=export.made_by, filters=export.asked)
    folder = Path(settings.EXPORTS_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < FREE_BYTES:
        raise OSError(f"{folder}: the disk is nearly full")
    Export.objects.filter(pk=export.pk).update(rows_all=sheet.count)
    part = path_of(export).with_suffix(".part")
    part.touch(mode=0o600)
    with part.open("wb") as file:
        rows = _beating(export, sheet.rows)
        if export.form == Export.Form.CSV:
            write_csv(file, sheet.columns, rows)
        else:
            write_xlsx(file, sheet.columns, rows, folder=folder)
    _beat(export, export.rows_done)
    part.replace(path_of(export))
    _end(export, State.DONE)


def _beating(export: Export, rows: Iterable[Sequence[Cell]]) -> Iterator[Sequence[Cell]]:
    number = 0
    for number, row in enumerate(rows, start=1):
        if number % BEAT_ROWS == 0:
            _beat(export, number)
        yield row
    export.rows_done = number


def _beat(export: Export, number: int) -> None:
    mine = Export.objects.filter(pk=export.pk, claim=export.claim, state=State.RUNNING)
    if not mine.update(beat_at=clock.now(), rows_done=number):
        raise ClaimLost


def _end(export: Export, state: State) -> None:
    mine = Export.objects.filter(pk=export.pk, claim=export.claim, state=State.RUNNING)
    if mine.update(state=state, ended_at=clock.now()):
        export.state = state


def forget(*, now: datetime) -> int:
    """Delete the files that lay for EXPORT_DAYS. The rows stay and tell that there was one."""
    old = Export.objects.filter(state=State.DONE, ended_at__lt=now - timedelta(days=settings.EXPORT_DAYS))
    number = 0
    for export in old[:100]:
        path_of(export).unlink(missing_ok=True)
        number += Export.objects.filter(pk=export.pk, state=State.DONE).update(state=State.DELETED)
    return number


def queue_before(export: Export) -> int:
    """How many lists stand before this one."""
    return Export.objects.filter(state__in=[State.WAITING, State.RUNNING], pk__lt=export.pk).count()


def of(user: User) -> list[Export]:
    """A person's newest exports, the newest first."""
    return list(Export.objects.filter(made_by=user).order_by("-id")[:50])
