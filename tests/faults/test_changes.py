"""What changes amid pickups changes no past fee (promise 24), and the books balance at every instant (promise 6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.gis.geos import MultiPolygon, Polygon
from django.db import DatabaseError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils.timezone import now

from network import clock
from network.models import Appointment, Boundary, BoundarySet, Level
from pickup import fees, ledger
from pickup.models import Handover, Parcel, Posting, Tariff
from tests.factories import make_agent, make_user, token_of
from tests.faults.test_races import HAND_OVER_SQL, a_shop, at_once, post, post_scan
from tests.roles import as_owner

pytestmark = pytest.mark.django_db(transaction=True)
SOON = timedelta(milliseconds=150)


def pickups_of(parcels: list[Parcel], key: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (key, {"scan_id": str(uuid4()), "kind": "pickup", "event_at": now().isoformat(), "token": token_of(parcel)})
        for parcel in parcels
    ]


def another_tariff(number: int, at: datetime) -> None:
    Tariff.objects.create(
        name=f"change {number}", valid_from=at, point_fee_minor=1000 + number, cap_minor=300 + number, city_minor=400
    )


def another_agent(number: int, at: datetime) -> None:
    """The appointment to the district or the city ends, and somebody else's begins."""
    level = Level.DISTRICT if number % 2 else Level.CITY
    held = Appointment.objects.get(region__level=level, valid__contains=at)
    with transaction.atomic():
        end_early(held, at)
        Appointment.objects.create(
            agent=make_agent(), region_id=held.region_id, valid=DateTimeTZRange(at, at + timedelta(days=365))
        )


def end_early(appointment: Appointment, at: datetime) -> None:
    appointment.valid = DateTimeTZRange(appointment.valid.lower, at)
    appointment.ended_at, appointment.ended_by, appointment.end_reason = clock.now(), make_user(), "moved away"
    appointment.save(update_fields=["valid", "ended_at", "ended_by", "end_reason"])


def another_boundary(number: int, at: datetime) -> None:
    """The district is drawn anew from a date."""
    held = Boundary.objects.get(level=Level.DISTRICT, valid__contains=at)
    box = Polygon.from_bbox((113.8, 22.4, 114.0 - number / 10_000, 22.65))
    with transaction.atomic():
        Boundary.objects.filter(pk=held.pk).update(valid=DateTimeTZRange(held.valid.lower, at))
        Boundary.objects.create(
            region_id=held.region_id,
            boundary_set=BoundarySet.objects.create(name=f"change {number}", source="test", valid_from=at),
            level=held.level,
            valid=DateTimeTZRange(at, None),
            geom=MultiPolygon(box, srid=4326),
            inside=held.inside,
            radius_m=held.radius_m,
        )


def test_changes_amid_pickups_change_no_past_fee(is_long: bool) -> None:
    count, changes = (10_000, 250) if is_long else (96, 9)
    parcels, keys = a_shop(count)
    done: list[Any] = []
    in_force: list[datetime] = []
    jobs = list(enumerate(pickups_of(parcels, keys[0])))

    def change_things() -> None:
        try:
            for number, change in zip(range(changes), cycle([another_tariff, another_agent, another_boundary])):
                wait_until(partial(has_come_to, done, count * number // changes))
                in_force.append(made_soon(change, number))
        finally:
            connection.close()

    def hand_over(job: tuple[int, Any]) -> None:
        """Pickups run beside the change before and the one after, and none runs far ahead of the changes."""
        number, scan = job
        known = number * changes // count
        wait_until(lambda: known < 1 or (len(in_force) >= known and in_force[known - 1] < now()))
        done.append(post_scan(scan))

    with ThreadPoolExecutor(1) as changer:
        changed = changer.submit(change_things)
        at_once(jobs, hand_over, clients=4)
        changed.result()
    assert set(done) == {(200, "ok")}
    seen = set()
    for handover in Handover.objects.select_related("parcel", "scan"):
        at = fees.charged_at(handover)
        tariff = fees.tariff_at(at)
        explanation = fees.explain(region_ids=handover.parcel.region_ids, at=at, tariff=tariff)
        postings = list(handover.postings.select_related("credit"))
        assert fees.differences(handover, explanation, postings) == []
        seen |= {(posting.tariff_id, posting.appointment_id) for posting in postings}
    assert len({tariff for tariff, _ in seen}) > 1, "fees of more than one tariff were paid"
    assert len({appointment for _, appointment in seen}) > 5, "and of changing appointments"
    assert ledger.faults() == []


def made_soon(change: Callable[[int, datetime], None], number: int) -> datetime:
    """Change something from a moment on; if pickups were faster than that moment, it is refused and comes later."""
    while True:
        at = clock.now() + SOON
        try:
            change(number, at)
        except DatabaseError as refused:
            if "from now on" not in str(refused):
                raise
        else:
            return at


def has_come_to(done: list[Any], count: int) -> bool:
    return len(done) >= count


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def test_a_fee_is_worked_out_again_from_what_its_postings_name_alone() -> None:
    """Tariff, region, level and appointment stand in each posting; nothing that may change is looked at."""
    parcels, keys = a_shop(3)
    for job in pickups_of(parcels, keys[0]):
        post_scan(job)
    for handover in Handover.objects.select_related("parcel"):
        parts = list(handover.postings.filter(kind="agent_fee").select_related("tariff", "appointment", "credit"))
        assert [part.region_id for part in sorted(parts, key=lambda part: -(part.level or 0))] == [
            region for region in handover.parcel.region_ids if region in {part.region_id for part in parts}
        ]
        granted = 0
        for part in sorted(parts, key=lambda part: -(part.level or 0)):
            assert part.tariff is not None
            assert part.appointment is not None
            up_to = min(part.tariff.cap_minor, getattr(part.tariff, fees.CEILING_OF[Level(part.level or 0)]))
            assert part.amount_minor == up_to - granted
            assert (part.appointment.region_id, part.appointment.agent_id) == (part.region_id, part.credit.agent_id)
            granted = up_to


def test_an_appointment_that_was_paid_keeps_the_time_it_was_paid_for() -> None:
    parcels, keys = a_shop(1)
    before = clock.now()
    for job in pickups_of(parcels, keys[0]):
        post_scan(job)
    paid = Posting.objects.filter(kind="agent_fee").select_related("appointment").latest("id").appointment
    assert paid is not None
    with pytest.raises(DatabaseError, match="from now on"):
        end_early(paid, before)
    paid.refresh_from_db()
    end_early(paid, clock.now() + timedelta(minutes=1))


LOCK = "PERFORM pg_advisory_xact_lock_shared(hashtext('fee rules'));"


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
def test_a_pickup_beside_a_change_is_paid_by_the_rules_of_its_moment(guarded: bool) -> None:
    """The change is made, its moment comes, a pickup follows, and only then the change is committed."""
    parcels, keys = a_shop(1)
    [job] = pickups_of(parcels, keys[0])
    assert LOCK in HAND_OVER_SQL
    replace_hand_over(HAND_OVER_SQL if guarded else HAND_OVER_SQL.replace(LOCK, ""))
    try:
        with ThreadPoolExecutor(1) as shop:
            with transaction.atomic():
                at = clock.now() + SOON
                another_agent(1, at)
                wait_until(lambda: clock.now() > at)
                pickup = shop.submit(at_once, [job], post_scan, clients=1)
                wait_until(pickups_wait if guarded else pickup.done)
            assert pickup.result() == [(200, "ok")]
    finally:
        replace_hand_over(HAND_OVER_SQL)
    handover = Handover.objects.select_related("parcel", "scan").get()
    moment = fees.charged_at(handover)
    explanation = fees.explain(region_ids=handover.parcel.region_ids, at=moment, tariff=fees.tariff_at(moment))
    wrong = fees.differences(handover, explanation, list(handover.postings.select_related("credit")))
    assert (wrong == []) == guarded


def replace_hand_over(sql: str) -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(sql)


def pickups_wait() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
        return bool(cursor.fetchone()[0])


# The books, looked at while they are written


def books_at_one_instant() -> tuple[int, list[ledger.Fault]]:
    """What one snapshot shows: how many hand-overs, and everything that is wrong in it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return Handover.objects.count(), ledger.faults()


def look_during(load: Callable[[Callable[[], None]], None]) -> list[tuple[int, list[ledger.Fault]]]:
    """Look again and again while a load runs; half of its way it waits until somebody has looked."""
    seen: list[tuple[int, list[ledger.Fault]]] = []
    looked, ended = Event(), Event()
    half_way = Event()

    def look() -> None:
        try:
            while not ended.is_set():
                is_half_way = half_way.is_set()
                seen.append(books_at_one_instant())
                if is_half_way:
                    looked.set()
        finally:
            looked.set()
            connection.close()

    def wait_half_way() -> None:
        half_way.set()
        assert looked.wait(120)

    looker = Thread(target=look)
    looker.start()
    try:
        load(wait_half_way)
    finally:
        ended.set()
        looker.join()
    return seen


def handing_over_and_undoing(count: int) -> Callable[[Callable[[], None]], None]:
    parcels, keys = a_shop(count)
    jobs = pickups_of(parcels, keys[0])

    def load(wait_half_way: Callable[[], None]) -> None:
        at_once(jobs[: count // 2], lambda job: post("scans", *job), clients=4)
        wait_half_way()
        undos = [(keys[0], an_undo(parcel)) for parcel in parcels[: count // 4]]
        at_once([*jobs[count // 2 :], *undos], lambda job: post("scans", *job), clients=4)

    return load


def an_undo(parcel: Parcel) -> dict[str, Any]:
    named = {"barcode": parcel.barcode, "reason": "the wrong one"}
    return {"scan_id": str(uuid4()), "kind": "undo", "event_at": now().isoformat()} | named


def test_the_books_balance_at_every_instant(is_long: bool) -> None:
    count = 5_000 if is_long else 40
    seen = look_during(handing_over_and_undoing(count))
    assert {bool(faults) for _, faults in seen} == {False}
    assert any(0 < handovers < count for handovers, _ in seen), "somebody looked in the middle"


def test_control_fees_in_a_transaction_of_their_own_are_seen_missing() -> None:
    late = HAND_OVER_SQL.replace("IF v_charged <> '{}' THEN", "IF false THEN")
    assert late != HAND_OVER_SQL
    replace_hand_over(late)
    try:
        seen = look_during(handing_over_and_undoing(20))
    finally:
        replace_hand_over(HAND_OVER_SQL)
    assert any(faults for _, faults in seen)
