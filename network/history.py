"""Who changed what, when, where and why: told to the database while it is changed, and read back in words.

The database writes the events by itself (`network.models.history.kept`). Here is what tells it who is behind a change,
and the one query that reads the events of all kept models.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any, cast

import pghistory
from django.apps import apps
from django.conf import settings
from django.contrib.postgres.fields import ArrayField, RangeField
from django.core.management.base import BaseCommand
from django.db import connection, models
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.timezone import get_current_timezone, localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from psycopg import sql

from network.models import User

REASON_LETTERS = 500
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")

VERBS = {
    "added": gettext_lazy("added"),
    "changed": gettext_lazy("changed"),
    "removed": gettext_lazy("removed"),
    "password": gettext_lazy("password set"),
    "known": gettext_lazy("known when the history began"),
}


def because(why: str) -> None:
    """Tell why the changes are made that follow in this request or command; outside of one it tells nobody."""
    if why.strip():
        pghistory.context(why=why.strip()[:REASON_LETTERS])


@contextmanager
def by(**who: Any) -> Iterator[None]:
    """Tell the database who is behind the changes within: `user` (an id), `path`, `command`, `why`."""
    with connection.execute_wrapper(_as_text), pghistory.context(**who):
        yield


def _as_text(execute: Any, statement: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """django-pghistory puts its own in front of a statement and expects a text; ours are sometimes composed."""
    if isinstance(statement, sql.Composable):
        statement = statement.as_string(context["cursor"].connection)
    return execute(statement, params, many, context)


class HistoryMiddleware:
    """Signed-in people's changes carry their names. Reading, strangers and scans cost nothing.

    What is told travels in front of each writing statement, in the same round trip. Scans are left out by
    `HISTORY_NOT_FOR`: they are the hot path, and rows of their own say who made them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.left_out = re.compile(settings.HISTORY_NOT_FOR)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in SAFE or self.left_out.match(request.path) or not request.user.is_authenticated:
            return self.get_response(request)
        with by(user=request.user.pk, path=request.path[:200]):
            return self.get_response(request)


class RememberedCommand(BaseCommand):
    """A command whose changes carry its name."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        with by(command=type(self).__module__.rpartition(".")[2]):
            return super().execute(*args, **options)


# ---------------------------------------------------------------- reading


@dataclass(frozen=True)
class Noun:
    """A kept model. `label` is how it stands in an address, `network.region`."""

    label: str
    model: type[models.Model]
    events: Any  # the model of its events, which django-pghistory made

    @property
    def words(self) -> str:
        return str(self.model._meta.verbose_name)

    @property
    def right(self) -> str:
        """Who may see these rows may see their history."""
        options = (self.model._meta.concrete_model or self.model)._meta
        if self.events.pgh_link:  # the rights of a person are seen with the person
            options = self.about._meta
        return f"{options.app_label}.view_{options.model_name}"

    @property
    def about(self) -> type[models.Model]:
        """The model that such a row belongs to; its own where it belongs to none."""
        name = self.events.pgh_about
        return cast(Any, self.model._meta.get_field(name).related_model) if name else self.model


@dataclass(frozen=True)
class Cursor:
    """Where a page of events ended: the order is by moment, then noun, then number."""

    at: datetime
    label: str
    number: int

    def __str__(self) -> str:
        return f"{self.at.isoformat()}_{self.label}_{self.number}"

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """Return None for what is no cursor of ours."""
        moment, _one, rest = text.partition("_")
        label, _two, number = rest.rpartition("_")
        try:
            at = datetime.fromisoformat(moment)
        except ValueError:
            return None
        known = at.tzinfo is not None and label in nouns() and number.isascii() and number.isdigit()
        return cls(at, label, int(number[:18])) if known else None


@dataclass(frozen=True)
class Asked:
    """Which events: all of them, or those that fit every part that is set. `until` is the first moment after."""

    noun: str = ""
    object_id: int | None = None
    user_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: Cursor | None = None

    @classmethod
    def read(cls, params: dict[str, str]) -> Asked:
        """Read what was asked for. What makes no sense is left out, so that an old link still opens."""
        noun = params.get("noun", "")
        return cls(
            noun=noun if noun in nouns() else "",
            object_id=_number(params.get("object", "")) if noun in nouns() else None,
            user_id=_number(params.get("person", "")),
            since=_midnight(params.get("from", "")),
            until=_midnight(params.get("to", ""), days=1),
            after=Cursor.read(params.get("after", "")),
        )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _midnight(text: str, *, days: int = 0) -> datetime | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    if not 2000 <= day.year <= 2200:
        return None
    return datetime.combine(day + timedelta(days=days), time(), get_current_timezone())


@dataclass
class Entry:
    """One event in words. `changes` are (field, before, after)."""

    noun: Noun
    number: int
    at: datetime
    verb: str
    object_id: int | None
    about: tuple[str, int] | None
    context: dict[str, Any]
    data: dict[str, Any]
    before: dict[str, Any] | None
    who: str = ""
    title: str = ""
    changes: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.at, self.noun.label, self.number)

    @property
    def verb_words(self) -> str:
        return str(VERBS.get(self.verb, self.verb))

    @property
    def why(self) -> str:
        return str(self.context.get("why") or "")

    @property
    def path(self) -> str:
        return str(self.context.get("path") or "")

    @property
    def target(self) -> tuple[str, int] | None:
        """Whose own page tells of it: (label, id)."""
        if self.noun.events.pgh_link:
            return self.about
        return None if self.object_id is None else (self.noun.label, self.object_id)


@cache
def nouns() -> dict[str, Noun]:
    """Every kept model by its label."""
    found = {}
    for events in apps.get_models():
        tracked = getattr(events, "pgh_tracked_model", None)
        if tracked is not None and hasattr(events, "pgh_link"):
            found[tracked._meta.label_lower] = Noun(tracked._meta.label_lower, tracked, events)
    return dict(sorted(found.items()))


def label_of(model: type[models.Model]) -> str:
    """The label of a model that is kept, or "". A model that a proxy stands for has the proxy's."""
    concrete = model._meta.concrete_model
    kept = (noun for noun in nouns().values() if noun.model._meta.concrete_model is concrete)
    return next((noun.label for noun in kept), "")


def events(asked: Asked, *, may: Callable[[str], bool], limit: int) -> list[Entry]:
    """Return at most so many events, the newest first. `may` says whether a right is held; other nouns are left out.

    One query reads them, however many nouns there are; a few more find the names of what they name.
    """
    parts, values = [], []
    for noun in nouns().values():
        part = _select(noun, asked, limit) if may(noun.right) else None
        if part is not None:
            parts.append(part[0])
            values.extend(part[1])
    if not parts:
        return []
    query = sql.SQL("SELECT * FROM ({}) e ORDER BY at DESC, noun DESC, number DESC LIMIT %s").format(
        sql.SQL(" UNION ALL ").join(parts)
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [*values, limit])
        entries = [_entry(row) for row in cursor.fetchall()]
    _put_in_words(entries)
    return entries


def count(asked: Asked, *, may: Callable[[str], bool]) -> int:
    """How many events fit; one query."""
    parts, values = [], []
    for noun in nouns().values():
        chosen = _where(noun, asked) if may(noun.right) else None
        if chosen is not None:
            table = sql.Identifier(noun.events._meta.db_table)
            parts.append(sql.SQL("(SELECT count(*) FROM {} e {})").format(table, chosen[0]))
            values.extend(chosen[1])
    if not parts:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {}").format(sql.SQL(" + ").join(parts)), values)
        return int(cursor.fetchone()[0])


def every(asked: Asked, *, may: Callable[[str], bool], part: int = 500) -> Iterator[Entry]:
    """All events of the filter, the newest first, read in parts."""
    while True:
        found = events(asked, may=may, limit=part)
        yield from found
        if len(found) < part:
            return
        asked = Asked(asked.noun, asked.object_id, asked.user_id, asked.since, asked.until, found[-1].cursor)


def _where(noun: Noun, asked: Asked) -> tuple[sql.Composable, list[Any]] | None:
    """The condition for a noun's table of events, or None where nothing in it can fit."""
    about, link = noun.events.pgh_about, noun.events.pgh_link
    about_label = label_of(noun.about) if about else ""
    conditions: list[sql.Composable] = []
    values: list[Any] = []

    def where(text: str, *given: Any) -> None:
        conditions.append(sql.SQL(text).format(about=sql.Identifier(f"{about}_id")))
        values.extend(given)

    if asked.object_id is not None:
        own = not link and asked.noun == noun.label
        belongs = bool(about) and asked.noun == about_label
        if not own and not belongs:
            return None
        where("e.pgh_obj_id = %s" if own else "e.{about} = %s", asked.object_id)
    elif asked.noun and asked.noun not in (noun.label, about_label if link else noun.label):
        return None
    if asked.user_id is not None:
        where("(e.pgh_context ->> 'user') = %s", str(asked.user_id))
    if asked.since is not None:
        where("e.pgh_created_at >= %s", asked.since)
    if asked.until is not None:
        where("e.pgh_created_at < %s", asked.until)
    if asked.after is not None:
        if noun.label == asked.after.label:
            where("(e.pgh_created_at, e.pgh_id) < (%s, %s)", asked.after.at, asked.after.number)
        else:
            where(
                "e.pgh_created_at <= %s" if noun.label < asked.after.label else "e.pgh_created_at < %s",
                asked.after.at,
            )
    return (sql.SQL("WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("")), values


def _select(noun: Noun, asked: Asked, limit: int) -> tuple[sql.Composable, list[Any]] | None:
    chosen = _where(noun, asked)
    if chosen is None:
        return None
    before = (
        sql.SQL("NULL::jsonb")
        if noun.events.pgh_link
        else sql.SQL(
            "(SELECT to_jsonb(p) FROM {table} p WHERE p.pgh_obj_id = e.pgh_obj_id AND p.pgh_id < e.pgh_id "
            "ORDER BY p.pgh_id DESC LIMIT 1)"
        ).format(table=sql.Identifier(noun.events._meta.db_table))
    )
    query = sql.SQL(
        "(SELECT {label} AS noun, e.pgh_id AS number, e.pgh_created_at AS at, e.pgh_label AS verb, "
        "e.pgh_context AS context, to_jsonb(e) AS data, {before} AS before FROM {table} e "
        "{conditions} ORDER BY e.pgh_created_at DESC, e.pgh_id DESC LIMIT %s)"
    ).format(
        label=sql.Literal(noun.label),
        before=before,
        table=sql.Identifier(noun.events._meta.db_table),
        conditions=chosen[0],
    )
    return query, [*chosen[1], limit]


def _entry(row: tuple[Any, ...]) -> Entry:
    label, number, at, verb, context, data, before = row
    noun = nouns()[label]
    loaded = [json.loads(part) if isinstance(part, str) else part for part in (context, data, before)]
    about_id = loaded[1].get(f"{noun.events.pgh_about}_id") if noun.events.pgh_about else None
    return Entry(
        noun=noun,
        number=number,
        at=at,
        verb=verb,
        object_id=loaded[1].get("pgh_obj_id"),
        about=(label_of(noun.about), about_id) if about_id is not None else None,
        context=loaded[0] or {},
        data=loaded[1],
        before=loaded[2],
    )


# ---------------------------------------------------------------- in words


def _put_in_words(entries: list[Entry]) -> None:
    """Name people and things by one query for each model that is named, and write each change as before and after."""
    wanted: dict[type[models.Model], set[Any]] = defaultdict(set)
    for entry in entries:
        wanted[User].add(entry.context.get("user"))
        for model_field in _fields(entry):
            if model_field.is_relation:
                for data in (entry.data, entry.before or {}):
                    wanted[cast(Any, model_field.related_model)].add(data.get(model_field.attname))
        if entry.target is not None:
            wanted[_subject(entry)[0]].add(_subject(entry)[1])
    names = {
        model: {pk: str(row) for pk, row in _light(model).in_bulk([pk for pk in ids if pk is not None]).items()}
        for model, ids in wanted.items()
    }
    for entry in entries:
        entry.who = names[User].get(entry.context.get("user"), "") or str(entry.context.get("command") or "")
        if entry.target is not None:
            model, pk = _subject(entry)
            entry.title = names[model].get(pk) or str(entry.data.get("name") or f"{pk}")
        entry.changes = list(_changes(entry, names))


def _light(model: type[models.Model]) -> Any:
    rows = model._default_manager.all()
    if model._meta.label == "auth.Permission":
        return rows.select_related("content_type")
    return rows


def _subject(entry: Entry) -> tuple[type[models.Model], Any]:
    """What the title names: what the row belongs to, or the row itself."""
    if entry.about is not None:
        return entry.noun.about, entry.about[1]
    return entry.noun.model, entry.object_id


def _fields(entry: Entry) -> list[Any]:
    copied = {f.name for f in entry.noun.events._meta.fields}
    return [f for f in entry.noun.model._meta.fields if f.name in copied and not f.primary_key]


def _changes(entry: Entry, names: dict[Any, dict[Any, str]]) -> Iterator[tuple[str, str, str]]:
    if entry.verb == "password":
        return
    empty: tuple[Any, ...] = ("", None, [], False)
    for model_field in _fields(entry):
        new = entry.data.get(model_field.attname)
        old = (entry.before or {}).get(model_field.attname)
        if entry.verb == "removed":
            old, new = new, None
        elif entry.verb == "added":
            old = None
        unchanged = old == new if entry.verb == "changed" and entry.before else new in empty and old in empty
        if not unchanged:
            label = str(model_field.verbose_name)
            yield label, _words(model_field, old, names), _words(model_field, new, names)


def _words(model_field: Any, value: Any, names: dict[Any, dict[Any, str]]) -> str:
    if value is None or value == "":
        return ""
    if model_field.is_relation:
        return names.get(model_field.related_model, {}).get(value) or f"#{value}"
    if model_field.choices:
        return str(dict(model_field.flatchoices).get(value, value))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):  # a place, as GeoJSON
        lon, lat = value.get("coordinates") or ("", "")
        return f"{lat}, {lon}"
    if isinstance(model_field, models.DateTimeField):
        return moment(value)
    if isinstance(model_field, RangeField):
        return " – ".join(moment(end) if end else "…" for end in re.findall(r'"([^"]*)"|(?<=[\[(,])(?=[,)\]])', value))
    if isinstance(model_field, ArrayField):
        return ", ".join(map(str, value))
    if model_field.model._meta.concrete_model is User and model_field.name == "phone":
        return f"…{value[-4:]}"  # enough to see that it changed
    return str(value)


def moment(text: str) -> str:
    """A moment of the database's, in the network's time zone, as people here write it."""
    at = parse_datetime(text if len(text) > 22 or "+" not in text[-3:] else text + ":00") or parse_datetime(
        text + ":00"
    )
    return date_format(localtime(at), "Y-m-d H:i") if at is not None else text
