"""Orders: taken in once, located, assigned to a point, cancelled (R2, R3, walk 1 and 2)."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import numpy as np
from django.conf import settings
from django.contrib.gis.geos import Point
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from psycopg import sql

from network import assignment, geocoding, matching, memory
from network.models import Address, ServicePoint, Size
from pickup import notices, parcels, recipients
from pickup.models import Assignment, Batch, Merchant, Notice, Order, Parcel, Recipient

log = logging.getLogger(__name__)

Status = Order.Status
WRITTEN_AT_ONCE = 10_000  # orders, about a second: their points are locked meanwhile
WRITERS = 2  # connections on which parts of a batch are written side by side


class Refused(Exception):
    """An order that is not taken; `code`, `field` and `reason` go to the merchant as they are."""

    def __init__(self, code: str, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.code, self.field, self.reason = code, field, reason


class NotCancellable(Exception):
    """A parcel of the order was handed over or is on its way back."""


@dataclass(frozen=True)
class ParcelDraft:
    barcode: str = ""
    size: int = Size.SMALL
    weight_g: int | None = None


@dataclass(frozen=True)
class OrderDraft:
    """An order as its merchant sent it, its form already checked. `lat`, `lon` are degrees in `datum`."""

    reference: str
    name: str
    phone: str  # E.164
    address: str
    city: str = ""
    lat: float | None = None
    lon: float | None = None
    datum: str = "wgs84"
    parcels: tuple[ParcelDraft, ...] = (ParcelDraft(),)
    service_point: str = ""
    consent_at: datetime | None = None

    def hash(self) -> bytes:
        """Keyed, because a name and a phone could be guessed from a bare hash."""
        body = json.dumps(asdict(self), sort_keys=True, default=str, ensure_ascii=False)
        return hmac.digest(settings.SECRET_KEY.encode(), body.encode(), "sha256")


@dataclass(frozen=True)
class Placed:
    order: Order
    created: bool


def place(*, merchant: Merchant, draft: OrderDraft, now: datetime) -> Placed:
    """Take an order in; the same draft again returns the same order. Raises Refused."""
    outcome = place_many(merchant=merchant, drafts=[draft], now=now)[0]
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


def place_many(*, merchant: Merchant, drafts: Sequence[OrderDraft], now: datetime) -> list[Placed | Refused]:
    """Take many orders in, each whole or not at all; the answers are in the order of the drafts.

    Codes of refusals: reference_conflict, barcode_taken, unknown_service_point.
    """
    try:
        with transaction.atomic(durable=True):
            return _place(merchant, drafts, now)
    except IntegrityError:
        # Somebody else took a reference or a barcode between the look and the write: once more, one by one.
        return [_place_alone(merchant, draft, now) for draft in drafts]


def _place_alone(merchant: Merchant, draft: OrderDraft, now: datetime) -> Placed | Refused:
    try:
        with transaction.atomic(durable=True):
            return _place(merchant, [draft], now)[0]
    except IntegrityError:
        with transaction.atomic(durable=True):
            return _place(merchant, [draft], now)[0]


def _place(merchant: Merchant, drafts: Sequence[OrderDraft], now: datetime) -> list[Placed | Refused]:
    wanted = [parcel.barcode for draft in drafts for parcel in draft.parcels if parcel.barcode]
    taken = set(Parcel.objects.filter(barcode__in=wanted).values_list("barcode", flat=True))
    # Looked for after the barcodes: an order that commits in between is then found as the same order, not as a thief.
    known = {
        order.reference: order
        for order in Order.objects.filter(merchant=merchant, reference__in=[d.reference for d in drafts])
    }
    points = dict(
        ServicePoint.objects.filter(ref__in={d.service_point for d in drafts if d.service_point}).values_list(
            "ref", "pk"
        )
    )
    outcomes: list[Placed | Refused] = []
    fresh: list[tuple[OrderDraft, Order]] = []
    for draft in drafts:
        earlier = known.get(draft.reference)
        if earlier is not None:
            same = bytes(earlier.body_hash) == draft.hash()
            outcomes.append(Placed(earlier, created=False) if same else CONFLICT)
            continue
        refusal = _refusal(draft, taken, points)
        if refusal is not None:
            outcomes.append(refusal)
            continue
        order = _new_order(merchant, draft, points, now)
        known[draft.reference] = order
        taken.update(parcel.barcode for parcel in draft.parcels)
        fresh.append((draft, order))
        outcomes.append(Placed(order, created=True))
    _write(fresh)
    return outcomes


CONFLICT = Refused("reference_conflict", "reference", "another order was placed under this reference")


def _refusal(draft: OrderDraft, taken: set[str], points: Mapping[str, int]) -> Refused | None:
    own = [parcel.barcode for parcel in draft.parcels if parcel.barcode]
    for barcode in own:
        if barcode in taken or own.count(barcode) > 1:
            return Refused("barcode_taken", "parcels.barcode", f"barcode {barcode} is already in the network")
    if draft.service_point and draft.service_point not in points:
        return Refused(
            "unknown_service_point",
            "service_point",
            f"no service point has the reference {draft.service_point}",
        )
    return None


def _new_order(merchant: Merchant, draft: OrderDraft, points: Mapping[str, int], now: datetime) -> Order:
    return Order(
        merchant=merchant,
        reference=draft.reference,
        body_hash=draft.hash(),
        address=Address(given_lat=draft.lat, given_lon=draft.lon, given_datum=draft.datum),
        requested_point_id=points.get(draft.service_point),
        consent_at=draft.consent_at,
        consent_by=merchant.name if draft.consent_at else "",
        placed_at=now,
    )


def _write(fresh: Sequence[tuple[OrderDraft, Order]]) -> None:
    Address.objects.bulk_create([order.address for _, order in fresh])
    Order.objects.bulk_create([order for _, order in fresh])
    Recipient.objects.bulk_create(
        Recipient(
            order=order,
            sealed=recipients.seal(recipients.Contact(draft.name, draft.phone, _words(draft))),
            masked_name=recipients.mask_name(draft.name),
            phone_last4=draft.phone[-4:],
            phone_hash=recipients.hash_phone(draft.phone),
        )
        for draft, order in fresh
    )
    Parcel.objects.bulk_create(
        Parcel(
            order=order,
            barcode=parcel.barcode or new_barcode(),
            size=parcel.size,
            weight_g=parcel.weight_g,
            person=recipients.hash_phone(draft.phone),
        )
        for draft, order in fresh
        for parcel in draft.parcels
    )


def _words(draft: OrderDraft) -> str:
    """The address as one text: the city's own column, a line break, and the rest in one line."""
    return f"{draft.city}\n{' '.join(draft.address.splitlines())}"


def new_barcode() -> str:
    """PN and twelve random digits: short in Code 128, and the next one cannot be guessed from the last."""
    return f"PN{secrets.randbelow(10**12):012d}"


TRIES = 5
# So long a row that was taken is left alone: whoever took it may have been killed.
LEASE = timedelta(seconds=settings.ORDER_LEASE_S)
FAILED = "processing_failed"

BEGIN = """
    INSERT INTO pickup_batch (status, order_ids, until)
    SELECT %(status)s, array_agg(id ORDER BY id), %(until)s + make_interval(secs => count(*) / 500.0) FROM (
        SELECT id FROM pickup_order
        WHERE status = %(status)s AND tries = 0 AND (%(only)s::bigint[] IS NULL OR id = ANY (%(only)s))
              AND id <> ALL (SELECT unnest(order_ids) FROM pickup_batch)
        ORDER BY id LIMIT %(limit)s) w
    HAVING count(*) > 0 RETURNING id, order_ids
"""
# MATERIALIZED: a plan may ask a subquery again for each row, and each time it would lock `limit` others.
CLAIM = """
    WITH taken AS MATERIALIZED (
        SELECT id FROM pickup_order
        WHERE status = %(status)s AND tries > 0 AND (next_try_at IS NULL OR next_try_at <= %(now)s)
              AND (%(only)s::bigint[] IS NULL OR id = ANY (%(only)s))
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    UPDATE pickup_order o SET tries = tries + 1, next_try_at = %(until)s FROM taken WHERE o.id = taken.id
    RETURNING o.id
"""
# Who was killed left its orders behind: they are tried alone from now on.
LEFT_BEHIND = "DELETE FROM pickup_batch WHERE until <= %s OR id = %s RETURNING status, order_ids"


def locate_waiting(*, now: datetime, limit: int, only: Collection[int] | None = None) -> int:
    """Find where received orders lie; what is doubtful goes to review with its reason. Returns how many were taken.

    `only` names the orders for which somebody waits; else those that came first are taken.
    """
    return _take_up(Status.RECEIVED, _locate, now=now, limit=limit, only=only)


def assign_waiting(*, now: datetime, limit: int, only: Collection[int] | None = None) -> int:
    """Give located orders their service points. Returns how many left the queue, to a point or to review.

    `only` names the orders for which somebody waits; else those that came first are taken.
    """
    return _take_up(Status.LOCATED, _assign, now=now, limit=limit, only=only)


def _take_up(
    status: str,
    work: Callable[[list[int], datetime], int],
    *,
    now: datetime,
    limit: int,
    only: Collection[int] | None,
) -> int:
    """Work on orders that wait in a status; several sweeps at once take different ones.

    Those that nobody tried before are worked on together. If that fails, or the sweep is killed in the middle, they are
    tried one by one, each a bit later than the time before, and after TRIES times a person must look: one order that
    breaks whatever touches it does not keep the others waiting. A database that does not answer is nobody's fault.
    """
    done = 0
    batch, fresh = _begin(status, now=now, limit=limit, only=only)
    if fresh:
        try:
            done = work(fresh, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one order must not stop the others
            _tell(f"{len(fresh)} orders together", error)
            _leave_behind(batch, now=now)
        else:
            Batch.objects.filter(pk=batch).delete()
    for _ in range(limit):
        alone = _claim(status, now=now, only=only)
        if not alone:
            break
        try:
            done += work(alone, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            _tell(f"order {alone[0]}", error)
            _put_off(alone[0], status, error, now=now)
    return done


def _begin(status: str, *, now: datetime, limit: int, only: Collection[int] | None) -> tuple[int, list[int]]:
    """Note which orders are worked on together, in one row: an UPDATE of each of them costs as much as assigning it."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('order batches'))")
        _leave_behind(0, now=now)
        asked: dict[str, Any] = {"status": status, "limit": limit, "until": now + LEASE}
        cursor.execute(BEGIN, asked | {"only": None if only is None else list(only)})
        return cursor.fetchone() or (0, [])


def _leave_behind(batch: int, *, now: datetime) -> None:
    """Let the orders of a batch that failed, and of those whose time is over, be tried alone."""
    with connection.cursor() as cursor:
        cursor.execute(LEFT_BEHIND, [now, batch])
        left = cursor.fetchall()
    for status, ids in left:
        Order.objects.filter(pk__in=ids, status=status, tries=0).update(tries=1, next_try_at=now)


def _claim(status: str, *, now: datetime, only: Collection[int] | None) -> list[int]:
    """Take one order that was tried before."""
    asked: dict[str, Any] = {"status": status, "now": now, "until": now + LEASE}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, asked | {"only": None if only is None else list(only)})
        return [row[0] for row in cursor]


def _put_off(order_id: int, status: str, error: Exception, *, now: datetime) -> None:
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.status != status:
            return
        order.next_try_at = now + LEASE * 2**order.tries
        if order.tries >= TRIES:
            order.status, order.review_reason = Status.REVIEW, FAILED
            order.review_detail = {"step": status, "error": type(error).__name__}
            order.tries, order.next_try_at = 0, None
        order.save(update_fields=["status", "review_reason", "review_detail", "tries", "next_try_at"])


def _tell(what: str, error: Exception) -> None:
    """Log where it went wrong, and not the error's own words: they may quote an address."""
    lines = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s could not be processed: %s\n%s", what, type(error).__name__, lines)


def _locate(ids: list[int], now: datetime) -> int:
    """Locate orders that were claimed. The search may ask the network, so it runs outside any transaction."""
    claimed = Order.objects.filter(pk__in=ids, status=Status.RECEIVED)
    orders = list(claimed.select_related("address", "recipient", "merchant").order_by("id"))
    queries = [_query(order) for order in orders]
    asked = [query for query in queries if query]
    places = iter(geocoding.locate(asked, at=now, ask_s=settings.GEOCODER_BUDGET_S))
    found = [next(places) if query else UNREADABLE for query in queries]
    with transaction.atomic(durable=True):
        still = set(
            Order.objects.select_for_update(skip_locked=True)
            .filter(pk__in=ids, status=Status.RECEIVED)
            .values_list("pk", flat=True)
        )
        pairs = [(order, place) for order, place in zip(orders, found, strict=True) if order.pk in still]
        patience = timedelta(seconds=settings.GEOCODER_PATIENCE_S)
        waiting = [order.pk for order, place in pairs if place.waits and now < order.placed_at + patience]
        _put_aside(waiting, until=now + timedelta(seconds=settings.GEOCODER_PAUSE_S))
        pairs = [(order, place) for order, place in pairs if order.pk not in set(waiting)]
        for order, place in pairs:
            _note_place(order, place, now)
        _save_places([order.address for order, _ in pairs])
        _save_states([order for order, _ in pairs])
        used = [place.remembered for _, place in pairs if place.remembered is not None]
        memory.count_uses(used, at=now)
    _give_back(set(ids) - still, Status.RECEIVED)
    return len(pairs)


def _put_aside(order_ids: Sequence[int], *, until: datetime) -> None:
    """Let orders wait for geocoders that could not be asked: no fault of theirs, so that it counts as no try."""
    Order.objects.filter(pk__in=order_ids).update(tries=0, next_try_at=until)


def _give_back(ids: Iterable[int], status: str) -> None:
    """Orders tried alone that somebody else had locked for a moment: the next sweep takes them up at once."""
    claimed = Order.objects.filter(pk__in=ids, status=status, tries__gt=0)
    for order_id in claimed.order_by("id").values_list("id", flat=True):  # each alone: nobody waits for two of them
        Order.objects.filter(pk=order_id, status=status).update(tries=0, next_try_at=None)


def _save_places(addresses: Sequence[Address]) -> None:
    """Write where addresses lie, all in one statement: `bulk_update` takes as long as locating them ten times."""
    rows = [
        {
            "id": address.pk,
            "lat": address.location.y if address.location else None,
            "lon": address.location.x if address.location else None,
            "region_ids": address.region_ids,
            "source": address.source,
            "accuracy_m": address.accuracy_m,
            "located_at": str(address.located_at),
        }
        for address in addresses
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE network_address a
               SET location = ST_SetSRID(ST_MakePoint(u.lon, u.lat), 4326), region_id = u.region_ids[1],
                   region_ids = u.region_ids, source = u.source, accuracy_m = u.accuracy_m, located_at = u.located_at
               FROM jsonb_to_recordset(%s) AS u(id bigint, lat float8, lon float8, region_ids bigint[],
                                                source text, accuracy_m float8, located_at timestamptz)
               WHERE a.id = u.id""",
            [json.dumps(rows)],
        )


def _save_states(orders: Sequence[Order]) -> None:
    """Write what became of orders that were claimed, all in one statement."""
    rows = [
        {
            "id": order.pk,
            "status": order.status,
            "review_reason": order.review_reason,
            "review_detail": order.review_detail,
            "assigned_at": str(order.assigned_at) if order.assigned_at else None,
        }
        for order in orders
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE pickup_order o
               SET status = u.status, review_reason = u.review_reason, review_detail = u.review_detail,
                   assigned_at = u.assigned_at, tries = 0, next_try_at = NULL
               FROM jsonb_to_recordset(%s) AS u(id bigint, status text, review_reason text, review_detail jsonb,
                                                assigned_at timestamptz)
               WHERE o.id = u.id""",
            [json.dumps(rows)],
        )


UNREADABLE = geocoding.Place(review="unreadable_address")


def _query(order: Order) -> geocoding.Query | None:
    """Return what to look for, or None if the recipient's box does not open: one such order must not stop the rest."""
    try:
        return query_of(order)
    except recipients.Sealed:
        return None


def query_of(order: Order) -> geocoding.Query:
    """What to look for. It opens the recipient's box for the geocoder or for a reviewer. Raises recipients.Sealed."""
    contact = recipients.open_sealed(order.recipient)
    city, _, text = contact.address.rpartition("\n")
    address = order.address
    return geocoding.Query(
        text=text,
        city=city,
        lat=address.given_lat,
        lon=address.given_lon,
        datum=address.given_datum,
        sender=f"merchant {order.merchant_id}",
    )


def _note_place(order: Order, place: geocoding.Place, now: datetime) -> None:
    address = order.address
    if place.lat is not None and place.lon is not None:
        address.location = Point(place.lon, place.lat, srid=4326)
    address.region_id = place.region_ids[0] if place.region_ids else None
    address.region_ids = list(place.region_ids)
    address.source, address.accuracy_m, address.located_at = place.source, place.accuracy_m, now
    order.review_reason = _doubt(order, place)
    # Kept only while the order is in review: so long others with the same text are found by it.
    order.review_detail = place.detail | ({"key": place.key.hex()} if order.review_reason and place.key else {})
    order.status = Status.REVIEW if order.review_reason else Status.LOCATED


def _doubt(order: Order, place: geocoding.Place) -> str:
    if place.review:
        return place.review
    if lacks_consent(order):
        return "consent_missing"
    if order.merchant.review_first:
        return "merchant_policy"
    vague = place.accuracy_m is None or place.accuracy_m > settings.MAX_ACCURACY_M
    # A point that was asked for needs no exact place, but the agents' fees need a certain region.
    return "low_accuracy" if vague and not (order.requested_point_id and place.named) else ""


def lacks_consent(order: Order) -> bool:
    return order.merchant.consent_required and order.consent_at is None


def _assign(ids: list[int], now: datetime) -> int:
    """Assign orders that were claimed.

    The whole batch is planned without a lock, because that may take longer than a transaction may last. Then it is
    written in parts: the points are locked in the order of their ids, the room is counted again, so that sweeps side
    by side never oversell a point, and the orders are locked that are still what they were. What changed since the
    plan stays located and is taken up by the next sweep. Orders of one point are written in the same part, so that
    two parts never wait for each other.
    """
    planned = _planned(ids, now=now)
    parts = planned.parts()
    if len(parts) < 2 or WRITERS < 2:
        return sum(_settle(planned, rows, now) for rows in parts)
    with ThreadPoolExecutor(WRITERS) as pool:
        return sum(pool.map(partial(_settle_beside, planned, now=now), parts))


@dataclass(frozen=True)
class _Planned:
    """What orders asked for when they were seen, the versions of their rows then, and what was chosen for them."""

    asked: matching.Asked
    versions: matching.Ints
    plan: matching.Plan

    def parts(self) -> list[matching.Ints]:
        """Numbers of rows that are written together: those of a point in one part, unless that becomes too large."""
        parts: list[list[int]] = []
        rows = np.argsort(self.plan.point, kind="stable")
        for group in np.split(rows, np.flatnonzero(np.diff(self.plan.point[rows])) + 1):
            for start in range(0, len(group), WRITTEN_AT_ONCE):
                some = group[start : start + WRITTEN_AT_ONCE].tolist()
                if not parts or len(parts[-1]) + len(some) > WRITTEN_AT_ONCE:
                    parts.append([])
                parts[-1].extend(some)
        return [np.sort(np.array(part, np.int64)) for part in parts]  # neighbours in the tables lie on one page


# An order's version changes whenever its row is written, and its address is only written with it. Of its parcels those
# that are expected only become fewer.
ASKED = """
    SELECT ARRAY[o.id, COALESCE(ST_Y(a.location), 'NaN'), COALESCE(ST_X(a.location), 'NaN'), p.largest, p.number,
                 COALESCE(o.requested_point_id, 0), o.xmin::text::float8 {chain}]::float8[] AS cells
    FROM pickup_order o
    JOIN network_address a ON a.id = o.address_id
    CROSS JOIN LATERAL (SELECT count(*) AS number, COALESCE(max(size), 1) AS largest FROM pickup_parcel
                        WHERE order_id = o.id AND status = 'expected') p
    WHERE o.status = 'located' AND o.id = ANY ({ids})
"""


def _planned(ids: Sequence[int], *, now: datetime) -> _Planned:
    """Plan those of these orders that still wait. Raises ValueError for one that has no place."""
    statement = sql.SQL(ASKED).format(chain=matching.chain_cells("a.region_ids"), ids=sql.Literal(_array(ids)))
    columns = matching.columns(statement, 7 + matching.DEEPEST)
    if np.isnan(columns[1]).any():
        raise ValueError("an order without a place waits to be assigned")
    key, _, _, size, parcels, wanted, version, *chain = (column.astype(np.int64) for column in columns)
    asked = matching.Asked(key, columns[1], columns[2], size, parcels, np.stack(chain, axis=1), wanted)
    return _Planned(asked, version, matching.plan(asked, at=now, held_at=held_at))


def _array(values: Iterable[object]) -> str:
    """An array as text: psycopg looks at every element of a list, which takes longer than the database does."""
    return f"{{{','.join(map(str, values))}}}"


def _settle_beside(planned: _Planned, rows: matching.Ints, *, now: datetime) -> int:
    """The same in a thread of its own, which has a connection of its own."""
    try:
        return _settle(planned, rows, now)
    finally:
        connection.close()


def _settle(planned: _Planned, rows: matching.Ints, now: datetime) -> int:
    """Write what was chosen for these orders, as far as there still is room. Returns how many it was."""
    points, parcels = planned.plan.point[rows], planned.asked.parcels[rows]
    with transaction.atomic(durable=True):
        _prefer_keys()
        room = _locked_room({point for point in points.tolist() if point})
        waiting = _lock_waiting(planned, rows)
        won: list[int] = []
        for place, (point, number, waits) in enumerate(
            zip(points.tolist(), parcels.tolist(), waiting.tolist(), strict=True)
        ):
            if waits and point and room[point] >= number:
                room[point] -= number
                won.append(place)
        lost = rows[waiting & (points == 0)]
        _write_assignments(planned, rows[won], now)
        _write_lost(planned, lost)
        _announce(planned.asked.keys[rows[won]].tolist())
    return len(won) + len(lost)


def _prefer_keys() -> None:
    """Rows of a part are scattered, and found by key, unless it is so large a piece of the table that reading all is
    less work. The planner finds out by itself, but takes a page that is in memory for one on a spinning disk.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL random_page_cost = 1.1")
        cursor.execute("SET LOCAL work_mem = '32MB'")
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")


def _write_lost(planned: _Planned, rows: matching.Ints) -> None:
    if not len(rows):
        return
    wanted = planned.asked.wanted[rows].tolist()
    reasons = ["requested_point_unavailable" if point else "no_point_available" for point in wanted]
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE pickup_order o SET status = 'review', review_reason = u.reason,
                   review_detail = jsonb_build_object('candidates', u.told::jsonb), tries = 0, next_try_at = NULL
               FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS u(id, reason, told) WHERE o.id = u.id""",
            [_array(planned.asked.keys[rows].tolist()), reasons, planned.plan.told(rows)],
        )


def _announce(order_ids: Sequence[int]) -> None:
    """Tell recipients where their parcels will come, for merchants that want it: they may choose another point.

    Who was told before, and whose parcel comes to another point now, is told again.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT p.id FROM pickup_parcel p
               JOIN pickup_order o ON o.id = p.order_id JOIN pickup_merchant m ON m.id = o.merchant_id
               WHERE o.id = ANY (%s::bigint[]) AND m.announces AND p.status = 'expected'""",
            [_array(order_ids)],
        )
        coming = [parcel_id for (parcel_id,) in cursor]
    if coming:
        told = list(Parcel.objects.filter(pk__in=coming).order_by("id"))
        again = set(notices.told_already(told))
        first = [parcel for parcel in told if parcel.pk not in again]
        for parcel in first:
            parcels.issue_code(parcel)
        notices.queue(first, kind=Notice.Kind.EXPECTED)
        notices.queue_again([parcel for parcel in told if parcel.pk in again], kind=Notice.Kind.EXPECTED)


OF_ORDERS = """
    SELECT o.id, ST_Y(a.location), ST_X(a.location), p.largest, p.number, a.region_ids, o.requested_point_id
    FROM pickup_order o
    JOIN network_address a ON a.id = o.address_id
    CROSS JOIN LATERAL (SELECT count(*) AS number, COALESCE(max(size), 1) AS largest FROM pickup_parcel
                        WHERE order_id = o.id AND status = 'expected') p
    WHERE o.id = ANY (%s)
"""


def demands_of(orders: Sequence[Order]) -> list[assignment.Demand]:
    """What located orders ask of a point, in the order given: for those of their parcels that have not arrived."""
    with connection.cursor() as cursor:
        cursor.execute(OF_ORDERS, [[order.pk for order in orders]])
        found = {row[0]: assignment.Demand(*row) for row in cursor}
    return [found[order.pk] for order in orders]


def _lock_waiting(planned: _Planned, rows: matching.Ints) -> matching.Bools:
    """Lock those of the orders that still wait as they were seen, and tell which; nobody is waited for."""
    keys = planned.asked.keys[rows]
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH locked AS MATERIALIZED (
                   SELECT o.id FROM pickup_order o
                   JOIN unnest(%s::bigint[], %s::bigint[]) AS u(id, version) ON o.id = u.id
                   WHERE o.status = 'located' AND o.xmin::text::bigint = u.version FOR UPDATE OF o SKIP LOCKED)
               SELECT COALESCE(string_agg(int8send(id), ''), '') FROM locked""",
            [_array(keys.tolist()), _array(planned.versions[rows].tolist())],
        )
        [locked] = cursor.fetchone()
        return np.isin(keys, np.frombuffer(locked, ">i8"))


def held_at(point_ids: Iterable[int]) -> dict[int, int]:
    """Return how many parcels each point holds or expects: always counted, never kept in a counter."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT service_point_id, count(*) FROM pickup_parcel
               WHERE service_point_id = ANY (%s::bigint[]) AND status = ANY (%s) GROUP BY 1""",
            [_array(point_ids), list(map(str, parcels.HELD))],
        )
        return dict(cursor.fetchall())


def _locked_room(point_ids: set[int]) -> dict[int, int]:
    ids = _array(point_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, status, capacity FROM network_servicepoint WHERE id = ANY (%s::bigint[])
               ORDER BY id FOR NO KEY UPDATE""",
            [ids],
        )
        capacity = {point_id: most if status == "active" else 0 for point_id, status, most in cursor}
        # A statement of its own, which sees what was committed while this one waited for a lock.
        cursor.execute(
            """SELECT service_point_id FROM network_pause
               WHERE service_point_id = ANY (%s::bigint[]) AND period @> clock_timestamp()""",
            [ids],
        )
        capacity |= {point_id: 0 for (point_id,) in cursor}
    held = held_at(capacity)
    return {point_id: most - held.get(point_id, 0) for point_id, most in capacity.items()}


@lru_cache(maxsize=10_000)
def _chain(regions: tuple[int, ...]) -> str:
    return _array(filter(None, regions))


COPY_ASSIGNMENTS = """
    COPY pickup_assignment (order_id, service_point_id, distance_m, overflow, candidates, region_ids, assigned_at)
    FROM STDIN
"""


def _write_assignments(planned: _Planned, rows: matching.Ints, now: datetime) -> None:
    """Write where orders go whose rows and points are locked."""
    if not len(rows):
        return
    plan, keys, points = planned.plan, planned.asked.keys[rows].tolist(), planned.plan.point[rows].tolist()
    chains = list(map(_chain, map(tuple, planned.asked.chain[rows].tolist())))
    columns = (keys, points, plan.metres[rows].tolist(), plan.overflow[rows].tolist(), plan.told(rows), chains)
    lines = [
        f"{key}\t{point}\t{metres}\t{overflow}\t{told}\t{chain}\t{now}\n"
        for key, point, metres, overflow, told, chain in zip(*columns, strict=True)
    ]
    with connection.cursor() as cursor:
        with cursor.copy(COPY_ASSIGNMENTS) as copy:
            copy.write("".join(lines))
        cursor.execute(
            """UPDATE pickup_order o SET status = 'assigned', assigned_at = %s, review_reason = '',
                   review_detail = '{}', tries = 0, next_try_at = NULL
               WHERE o.id = ANY (%s::bigint[])""",
            [now, _array(keys)],
        )
        cursor.execute(
            """UPDATE pickup_parcel p SET service_point_id = u.point_id, region_ids = u.chain::bigint[]
               FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS u(order_id, point_id, chain)
               WHERE p.order_id = u.order_id AND p.status = 'expected'""",
            [_array(keys), _array(points), _array(f'"{chain}"' for chain in chains)],
        )


def lock_in_review(order_id: int) -> Order:
    """Return an order in review, locked until the transaction ends. Raises Refused: not_in_review."""
    locked = Order.objects.select_for_update(of=("self",)).select_related("address", "merchant").get(pk=order_id)
    if locked.status != Status.REVIEW:
        raise Refused("not_in_review", "status", f"the order is {locked.status}, not in review")
    return locked


def demand_of(order: Order, *, lat: float, lon: float, chain: Sequence[int]) -> assignment.Demand:
    """What the order would ask for if its address lay there."""
    return replace(demands_of([order])[0], lat=lat, lon=lon, chain=chain)


def expected_at(point_id: int) -> list[Order]:
    """The orders that have parcels on their way to a point, with their addresses; the first assigned first."""
    coming = Parcel.objects.filter(service_point_id=point_id, status=Parcel.Status.EXPECTED)
    rows = Order.objects.filter(pk__in=coming.values("order"), status=Status.ASSIGNED).select_related("address")
    return list(rows.order_by("assigned_at", "id"))


def send_elsewhere(*, point_id: int, order_ids: Iterable[int] | None = None) -> int:
    """Let orders on their way to a point be assigned anew: all of them, or those given. Returns how many.

    The caller has locked the point and made it refuse them, so that the sweep, which counts under the same lock,
    cannot choose it again. What arrived is not touched. A wish to be served at this point ends with it.
    """
    assert connection.in_atomic_block, "send_elsewhere() is a building block: the use case opens the transaction"
    coming = Parcel.objects.filter(service_point_id=point_id, status=Parcel.Status.EXPECTED)
    wanted = list(coming.values_list("order_id", flat=True) if order_ids is None else order_ids)
    # Orders before parcels, each in the order of their ids, as everybody locks them.
    orders = list(Order.objects.select_for_update().filter(pk__in=wanted, status=Status.ASSIGNED).order_by("id"))
    mine = coming.select_for_update().filter(order__in=orders).order_by("id")
    moved = set(mine.values_list("order_id", flat=True))
    ids = [order.pk for order in orders if order.pk in moved]
    Parcel.objects.filter(service_point_id=point_id, status=Parcel.Status.EXPECTED, order__in=ids).update(
        service_point=None
    )
    Order.objects.filter(pk__in=ids).update(status=Status.LOCATED, assigned_at=None)
    Order.objects.filter(pk__in=ids, requested_point_id=point_id).update(requested_point=None)
    return len(ids)


def cancel(*, order: Order) -> Order:
    """Cancel an order none of whose parcels has left the shop. Again is the same. Raises NotCancellable."""
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update().get(pk=order.pk)
        end(order)
    return order


def end(order: Order) -> None:
    """Cancel a locked order and its parcels. Raises NotCancellable."""
    assert connection.in_atomic_block, "the order is locked"
    for parcel in Parcel.objects.select_for_update().filter(order=order).order_by("id"):
        if parcel.status == Parcel.Status.CANCELLED:
            continue
        try:
            parcels.move(parcel, to=Parcel.Status.CANCELLED)
        except parcels.WrongStatus as error:
            raise NotCancellable(str(error)) from error
    order.status, order.review_reason, order.review_detail = Status.CANCELLED, "", {}
    order.save(update_fields=["status", "review_reason", "review_detail"])


@dataclass(frozen=True)
class Offer:
    """A point that would take some parcels now: its metres from the address, and how many more it has room for."""

    point: ServicePoint
    distance_m: float
    free: int


def points_near(*, lat: float, lon: float, limit: int, now: datetime) -> list[tuple[ServicePoint, float]]:
    """Return the nearest points that would take one small parcel now, with their metres."""
    demand = assignment.Demand(key=0, lat=lat, lon=lon, size=Size.SMALL, parcels=1, chain=[])
    return [(offer.point, offer.distance_m) for offer in _offers(demand, limit=limit, now=now)]


def _offers(demand: assignment.Demand, *, limit: int, now: datetime) -> list[Offer]:
    ordered = assignment.candidates([demand], at=now, look=max(limit * 4, assignment.FIRST_LOOK))[demand.key]
    free = assignment.room({demand.key: ordered}, held_at=held_at, taken={})
    served = assignment.served_by(demand.chain, assignment.rules_of(demand.chain))
    near = {
        candidate.point_id: candidate.distance_m
        for candidate in ordered
        if assignment.tier(served, candidate.region_ids) == assignment.OWN
        and not assignment.lost_by(demand, candidate, free=free, served=served)
    }
    points = ServicePoint.objects.select_related("visitor_notice").in_bulk(list(near)[:limit])
    return [Offer(points[point_id], metres, free[point_id]) for point_id, metres in near.items() if point_id in points]


MOST_ASSIGNMENTS = 10  # of one order: its history is kept for ever, and nobody needs to change more often


def other_points(parcel: Parcel, *, limit: int, now: datetime) -> list[Offer]:
    """Return the nearest other points that would take the coming parcels of this one's order, nearest first."""
    order = Order.objects.select_related("address").get(pk=parcel.order_id)
    if parcel.status != Parcel.Status.EXPECTED or order.address.location is None:
        return []
    demand = replace(demands_of([order])[0], wanted_point=None)
    offers = _offers(demand, limit=limit + 1, now=now)
    return [offer for offer in offers if offer.point.pk != parcel.service_point_id][:limit]


def choose_point(parcel: Parcel, *, point_id: int, by: str, now: datetime) -> Order:
    """Send all parcels of an order that have not arrived to another available point, as their recipient asks (R3).

    The choice is the recipient's consent to be served there, and recorded as that. Raises Refused: not_expected,
    same_point, point_unavailable, too_many_changes.
    """
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update(of=("self",)).select_related("address").get(pk=parcel.order_id)
        coming = Parcel.objects.select_for_update().filter(order=order, status=Parcel.Status.EXPECTED).order_by("id")
        points = {one.pk: one.service_point_id for one in coming}
        if order.status != Status.ASSIGNED or parcel.pk not in points or order.address.location is None:
            raise Refused("not_expected", "parcel", "the parcel arrived or was cancelled")
        if points[parcel.pk] == point_id:
            raise Refused("same_point", "service_point", "it comes to this point already")
        if Assignment.objects.filter(order=order).count() >= MOST_ASSIGNMENTS:
            raise Refused("too_many_changes", "service_point", "the point was changed too often")
        order.consent_at, order.consent_by = now, by
        order.save(update_fields=["consent_at", "consent_by"])
        send_to(order, point_id=point_id, now=now)
    return order


def send_to(order: Order, *, point_id: int, now: datetime) -> None:
    """Assign a locked and located order to the point that somebody named. Raises Refused: point_unavailable."""
    assert connection.in_atomic_block, "the order is locked"
    asked = matching.Asked.of([replace(demands_of([order])[0], wanted_point=point_id)])
    planned = _Planned(asked, np.zeros(1, np.int64), matching.plan(asked, at=now, held_at=held_at))
    # Counted again under the point's lock, the same way as every assignment: it is never oversold. No point has the
    # id 0, which is how a demand says that it asks for none.
    chosen = point_id and planned.plan.point[0] == point_id
    if not chosen or _locked_room({point_id})[point_id] < asked.parcels[0]:
        raise Refused("point_unavailable", "service_point", "the point takes no parcels of this order now")
    order.status, order.review_reason, order.review_detail = Status.ASSIGNED, "", {}
    order.requested_point_id, order.assigned_at = point_id, now
    order.save(update_fields=["requested_point"])
    _write_assignments(planned, np.zeros(1, np.int64), now)
