"""Service points: taken in from a file, each in the region it lies in; paused and resumed; their opening hours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import shapely
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.gis.geos import Point
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import Q

from network import opening, regions
from network.models import NOTICE_LETTERS, Closing, Pause, ServicePoint, User, VisitorNotice
from network.polygons import Geometry

TECHNICAL_FOR = timedelta(hours=4)
LONGEST_PAUSE = timedelta(days=366)


class PauseOverlaps(Exception):
    """The shop is paused during that time already; `pause` is the one that stands there."""

    def __init__(self, pause: Pause) -> None:
        super().__init__(f"paused already: {pause.period}")
        self.pause = pause


class PauseRefused(Exception):
    """It would end before it begins, be over already, or last longer than a year."""


class HoursRefused(Exception):
    """Not opening hours, or more of them than fit."""


@dataclass(frozen=True)
class PointDraft:
    """A service point as a file tells it. What is None stays as it is, or gets the model's default when new."""

    ref: str
    name: str
    lat: float  # WGS 84
    lon: float
    city: str | None = None
    address: str | None = None
    capacity: int | None = None
    phone: str | None = None


@dataclass
class Loaded:
    """How many points each outcome had; `outside` counts those that lie in no region, whatever their outcome."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    outside: int = 0

    def add(self, other: Loaded) -> None:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.outside += other.outside


TOLD = ("city", "address", "capacity", "phone")
WRITTEN = ["name", "location", "region", "region_ids", *TOLD]


def load(drafts: Sequence[PointDraft], *, at: datetime) -> Loaded:
    """Make or change one batch of points, all or none; no reference may come twice in it.

    The regions are those whose boundaries are in force at `at`, so the same file after a change of the boundaries
    moves the points to their new regions. Status, reach and opening hours are never touched.
    """
    chains = _chains(drafts, at=at)
    with transaction.atomic(durable=True):
        known = {
            point.ref: point
            for point in ServicePoint.objects.select_for_update(no_key=True)
            .filter(ref__in=[draft.ref for draft in drafts])
            .order_by("id")
        }
        merged = [_merged(draft, chain, known.get(draft.ref)) for draft, chain in zip(drafts, chains, strict=True)]
        changed = [point for point in merged if _facts(point) != _facts(known.get(point.ref))]
        ServicePoint.objects.bulk_create(
            # In one order, so that two files with the same points wait for each other and do not lock each other out.
            sorted(changed, key=lambda point: point.ref),
            update_conflicts=True,
            unique_fields=["ref"],
            update_fields=WRITTEN,
        )
    created = sum(point.ref not in known for point in changed)
    return Loaded(
        created=created,
        updated=len(changed) - created,
        unchanged=len(drafts) - len(changed),
        outside=sum(not chain for chain in chains),
    )


def _chains(drafts: Sequence[PointDraft], *, at: datetime) -> list[list[int]]:
    """Return for each point the regions it lies in, deepest first; none where it lies in no region."""
    covering = list(regions.covering([(draft.lat, draft.lon) for draft in drafts], at=at))
    chains = regions.chain_ids({region for region in covering if region is not None})
    return [[] if region is None else list(chains[region]) for region in covering]


def _merged(draft: PointDraft, chain: list[int], known: ServicePoint | None) -> ServicePoint:
    """Return the row to write. It carries no id: the reference decides whether it is a new one."""
    point = ServicePoint(
        ref=draft.ref,
        name=draft.name,
        location=Point(draft.lon, draft.lat, srid=4326),
        region_id=chain[0] if chain else None,
        region_ids=chain,
    )
    for field in TOLD:
        told = getattr(draft, field)
        if told is not None:
            setattr(point, field, told)
        elif known is not None:
            setattr(point, field, getattr(known, field))
    return point


def _facts(point: ServicePoint | None) -> object:
    if point is None:
        return None
    told = tuple(getattr(point, field) for field in TOLD)
    return point.name, point.location.coords, point.region_id, point.region_ids, told


def pause(
    *, point_id: int, reason: str, begins: datetime, ends: datetime, now: datetime, by: User | None = None
) -> Pause:
    """Take no new parcels from `begins` until `ends`, the end excluded; assignment sees it at once.

    Parcels that are here or announced are not touched. A begin in the past becomes now, so that nobody writes a
    pause into a time that is over. Raises PauseOverlaps, PauseRefused, ServicePoint.DoesNotExist.
    """
    begins = max(begins, now)
    if not begins < ends <= begins + LONGEST_PAUSE:
        raise PauseRefused(f"{begins} to {ends}")
    period = DateTimeTZRange(begins, ends)
    try:
        with transaction.atomic(durable=True):
            point = ServicePoint.objects.select_for_update(no_key=True).get(pk=point_id)
            standing = _overlapping(point_id, period)
            if standing is not None:
                raise PauseOverlaps(standing)
            made = Pause.objects.create(service_point=point, reason=reason, period=period)
            note(point, f"paused: {reason}, {_in_log(begins)} to {_in_log(ends)}", by)
    except IntegrityError as error:
        # The administration writes pauses without this lock; the exclusion constraint decided between the two.
        standing = _overlapping(point_id, period)
        if standing is None:
            raise
        raise PauseOverlaps(standing) from error
    return made


def _overlapping(point_id: int, period: DateTimeTZRange) -> Pause | None:
    return Pause.objects.filter(service_point_id=point_id, period__overlap=period).order_by("period").first()


def resume(*, point_id: int, pause_id: int, now: datetime, by: User | None = None) -> None:
    """End a pause now; one that has not begun is taken back. What is over stays as it is, so twice does no harm.

    Raises Pause.DoesNotExist for a pause of another shop.
    """
    with transaction.atomic(durable=True):
        point = ServicePoint.objects.select_for_update(no_key=True).get(pk=point_id)
        row = Pause.objects.select_for_update().get(pk=pause_id, service_point=point)
        begins, ends = row.period.lower, row.period.upper
        if ends is not None and ends <= now:
            return
        if begins is not None and begins > now:
            row.delete()
            note(point, f"pause taken back: {row.reason}, from {_in_log(begins)}", by)
            return
        # A pause is never empty: one that is resumed in the instant of its beginning lasted a microsecond.
        end = now if begins is None or begins < now else begins + timedelta(microseconds=1)
        row.period = DateTimeTZRange(begins, end)
        row.save(update_fields=["period"])
        note(point, f"resumed: {row.reason}", by)


def pauses(point: ServicePoint, *, now: datetime) -> list[Pause]:
    """The pauses that are in force or to come, the next one first."""
    not_over = Q(period__endswith__gt=now) | Q(period__upper_inf=True)
    return list(Pause.objects.filter(not_over, service_point=point).order_by("period"))


def past_pauses(point: ServicePoint, *, now: datetime, limit: int) -> list[Pause]:
    """The latest pauses that are over, newest first."""
    return list(Pause.objects.filter(service_point=point, period__endswith__lte=now).order_by("-period")[:limit])


def one_tap_end(point: ServicePoint, *, reason: str, now: datetime, planned: Sequence[Pause] = ()) -> datetime:
    """When a pause of one tap ends by itself: `technical` after four hours, `full` with tomorrow's opening.

    A shop that tells no hours opens at midnight. A pause that is planned to begin before takes over there, because
    two pauses never overlap.
    """
    if reason == Pause.Reason.TECHNICAL:
        end = now + TECHNICAL_FOR
    else:
        tomorrow = midnight(now) + timedelta(days=1)
        end = opening.next_opening(point.opening_hours, after=tomorrow) or tomorrow
    begins: list[datetime] = [row.period.lower for row in planned if row.period.lower is not None]
    return min([end, *(begin for begin in begins if now < begin)])


def midnight(at: datetime) -> datetime:
    """The beginning of a moment's day in the network's time zone."""
    zone = ZoneInfo(settings.TIME_ZONE)
    return datetime.combine(at.astimezone(zone).date(), time(), zone)


CLOSES = (Closing.State.PLANNED, Closing.State.BEGUN)  # what is certain; a closing that is asked for is not


def end_of(day: date) -> datetime:
    """The end of a day in the network's time zone."""
    zone = ZoneInfo(settings.TIME_ZONE)
    return datetime.combine(day + timedelta(days=1), time(), zone)


LONGEST_NOTICE = timedelta(days=366)


class NoticeRefused(Exception):
    """A notice to visitors that is not kept; `code` is empty, too_long, bad_days or link."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


# What leads away from the page of the network; a text beside a pickup code is where a fraud would put it.
_LINK = re.compile(r"://|www\.|\b[a-z0-9-]+\.(?:com|net|org|cn|io|top|xyz|info|cc|vip|shop|site|link)\b", re.IGNORECASE)


def set_notice(
    *, point_id: int, text_zh: str, text_en: str, first_day: date, last_day: date, by: User, now: datetime
) -> VisitorNotice:
    """What a shop tells its visitors on some days; it takes the place of the one before. Raises NoticeRefused.

    It is one line of plain text in each language, without links.
    """
    texts = [" ".join(text.replace("\x00", "").split()) for text in (text_zh, text_en)]
    if not any(texts):
        raise NoticeRefused("empty")
    if any(len(text) > NOTICE_LETTERS for text in texts):
        raise NoticeRefused("too_long")
    if any(_LINK.search(text) for text in texts):
        raise NoticeRefused("link")
    today = now.astimezone(ZoneInfo(settings.TIME_ZONE)).date()
    if not first_day <= last_day or last_day < today or last_day > today + LONGEST_NOTICE:
        raise NoticeRefused("bad_days")
    with transaction.atomic(durable=True):
        point = ServicePoint.objects.select_for_update(no_key=True).get(pk=point_id)
        kept, _made = VisitorNotice.objects.update_or_create(
            service_point=point,
            defaults={
                "text_zh": texts[0],
                "text_en": texts[1],
                "first_day": first_day,
                "last_day": last_day,
                "changed_by": by,
                "changed_at": now,
            },
        )
        note(point, f"notice to visitors, {first_day} to {last_day}: {' / '.join(filter(None, texts))}", by)
    return kept


def remove_notice(*, point_id: int, by: User) -> None:
    """Take the notice to visitors away; twice is the same."""
    with transaction.atomic(durable=True):
        point = ServicePoint.objects.select_for_update(no_key=True).get(pk=point_id)
        if VisitorNotice.objects.filter(service_point=point).delete()[0]:
            note(point, "notice to visitors taken away", by)


def notice_on(point: ServicePoint, *, now: datetime) -> VisitorNotice | None:
    """What the shop tells its visitors today."""
    kept: VisitorNotice | None = getattr(point, "visitor_notice", None)
    today = now.astimezone(ZoneInfo(settings.TIME_ZONE)).date()
    return kept if kept is not None and kept.first_day <= today <= kept.last_day else None


def check_hours(hours: str) -> None:
    """Raise HoursRefused for what no shop may have as its opening hours."""
    try:
        ServicePoint._meta.get_field("opening_hours").clean(hours, None)
    except ValidationError as error:
        raise HoursRefused(hours) from error


def set_hours(*, point_id: int, hours: str, by: User) -> None:
    """Write a shop's opening hours (OpenStreetMap syntax; empty: every day). Raises HoursRefused."""
    check_hours(hours)
    with transaction.atomic(durable=True):
        point = ServicePoint.objects.select_for_update(no_key=True).get(pk=point_id)
        before, point.opening_hours = point.opening_hours, hours
        if before == hours:
            return
        point.save(update_fields=["opening_hours"])
        note(point, f"opening hours: {before or '-'} → {hours or '-'}", by)


def note(point: ServicePoint, words: str, by: User | None) -> None:
    """Keep who did it, in the history that the administration shows; the rows themselves know no person."""
    if by is None:
        return
    LogEntry.objects.create(
        user=by,
        content_type=ContentType.objects.get_for_model(ServicePoint),
        object_id=str(point.pk),
        object_repr=str(point)[:200],
        action_flag=CHANGE,
        change_message=words,
    )


def _in_log(at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(settings.TIME_ZONE)):%Y-%m-%d %H:%M}"


# Two indexes share the points between them, so that each half is asked for by its own condition.
_INSIDE = """
    WITH piece AS MATERIALIZED (SELECT ST_GeomFromWKB(wkb, 4326) AS geom FROM unnest(%s::bytea[]) AS given(wkb))
    SELECT DISTINCT p.id FROM piece CROSS JOIN LATERAL (
        SELECT id FROM network_servicepoint
        WHERE status = 'active' AND location && piece.geom AND ST_Covers(piece.geom, location)
        UNION ALL
        SELECT id FROM network_servicepoint
        WHERE NOT status = 'active' AND location && piece.geom AND ST_Covers(piece.geom, location)
    ) p ORDER BY p.id
"""
# A point that was moved by hand since it was read has its regions from whoever moved it.
_MOVED = """
    WITH told AS MATERIALIZED (
        SELECT p.id, told.region_id, told.region_ids::bigint[] FROM network_servicepoint p
        JOIN unnest(%s::bigint[], %s::float8[], %s::float8[], %s::bigint[], %s::text[])
            AS told(id, lat, lon, region_id, region_ids) ON p.id = told.id
        WHERE ST_X(p.location) = told.lon AND ST_Y(p.location) = told.lat
        ORDER BY p.id FOR NO KEY UPDATE OF p
    )
    UPDATE network_servicepoint p SET region_id = told.region_id, region_ids = told.region_ids
    FROM told WHERE p.id = told.id
"""
_PLACES_AT_A_TIME = 5_000


def inside(pieces: Sequence[Geometry]) -> list[int]:
    """Return the points that lie in one of these polygons, in the order of their numbers."""
    found: set[int] = set()
    for start in range(0, len(pieces), 64):
        wkbs = list(shapely.to_wkb(list(pieces[start : start + 64])))
        with connection.cursor() as cursor:
            cursor.execute(_INSIDE, [wkbs])
            found.update(pk for (pk,) in cursor)
    return sorted(found)


def place_again(pieces: Sequence[Geometry], *, at: datetime) -> int:
    """Move the points in these polygons to the regions in force at that moment; returns how many moved.

    A building block: the rows that move stay locked, in the order of their numbers, until the transaction ends.
    """
    assert connection.in_atomic_block, "moved together with what moves them"
    moved = 0
    ids = inside(pieces)
    for start in range(0, len(ids), _PLACES_AT_A_TIME):
        some = ServicePoint.objects.filter(pk__in=ids[start : start + _PLACES_AT_A_TIME]).order_by("pk")
        rows = list(some.only("location", "region_id", "region_ids"))
        covering = regions.covering([(row.location.y, row.location.x) for row in rows], at=at)
        chains = regions.chain_ids({region for region in covering if region is not None})
        changed = [
            (row.pk, row.location.y, row.location.x, region, "{" + ",".join(map(str, chain)) + "}")
            for row, region in zip(rows, covering, strict=True)
            for chain in [chains[region] if region is not None else []]
            if (row.region_id, row.region_ids) != (region, chain)
        ]
        if changed:
            with connection.cursor() as cursor:
                cursor.execute(_MOVED, [list(column) for column in zip(*changed, strict=True)])
                moved += cursor.rowcount
    return moved
