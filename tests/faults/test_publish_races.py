"""Drafts of borders published at once, and amid pickups, really committing.

Each guard has a control in which it is taken away and the same run goes wrong: a test that cannot fail proves nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Event
from typing import Any
from unittest import mock

import pytest
from django.contrib.gis.geos import Point
from django.db import connection, transaction
from django.utils.timezone import now
from shapely import box

from network import boundaries, drafts, publishing, regions
from network.models import (
    Address,
    Boundary,
    BoundaryOverlap,
    BoundarySet,
    Level,
    Region,
    RegionDraft,
    ServicePoint,
    User,
)
from pickup import ledger
from pickup.models import Parcel, Posting
from tests import factories
from tests.factories import make_appointment, make_point, make_ready_parcel, make_region, make_user, pick_up
from tests.roles import as_owner

pytestmark = pytest.mark.django_db(transaction=True)


def two_districts() -> tuple[Region, Region]:
    province = make_region("440000", "广东省", Level.PROVINCE, None, (109, 20, 117, 25.5))
    city = make_region("440300", "深圳市", Level.CITY, province, (113.8, 22.4, 114.2, 22.6))
    west = make_region("440305", "南山区", Level.DISTRICT, city, (113.8, 22.4, 114.0, 22.6))
    return west, make_region("440304", "福田区", Level.DISTRICT, city, (114.0, 22.4, 114.2, 22.6))


def draft_to(lon: float, user: User) -> RegionDraft:
    """A draft that moves the border between the two districts to this longitude."""
    draft = drafts.make(name=f"to {lon}", author=user, now=now())
    shapes = {"440304": box(lon, 22.4, 114.2, 22.6), "440305": box(113.8, 22.4, lon, 22.6)}
    for version, (code, geometry) in enumerate(shapes.items(), 1):
        values = {"code": code, "geometry": geometry}
        drafts.edit(draft.pk, version=version, op="reshape", values=values, by=user, now=now())
    draft.refresh_from_db()
    return draft


def all_at_once(work: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do each in a thread of its own; an exception is an answer too."""

    def run(one: Callable[[], Any]) -> Any:
        try:
            return one()
        except Exception as error:  # noqa: BLE001 (told to the test)
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(run, work))


def publishes(draft: RegionDraft, user: User) -> Callable[[], Any]:
    def publish() -> Any:
        return publishing.publish(draft.pk, version=draft.version, since=None, by=user, now=now())

    return publish


def test_of_two_that_publish_one_border_at_once_one_wins_and_the_other_is_told() -> None:
    two_districts()
    user = make_user(is_staff=True)
    mine, theirs = draft_to(114.02, user), draft_to(113.98, user)
    answers = all_at_once([publishes(mine, user), publishes(theirs, user)])
    (won,) = [one for one in answers if isinstance(one, publishing.Done)]
    (lost,) = [one for one in answers if isinstance(one, Exception)]
    assert isinstance(lost, publishing.BaseChanged), lost
    assert [shape.code for shape in lost.shapes] == ["440304", "440305"]
    assert set(RegionDraft.objects.values_list("pk", "status")) == {
        (won.draft.pk, "published"),
        (mine.pk + theirs.pk - won.draft.pk, "draft"),
    }
    assert Boundary.objects.filter(valid__upper_inf=True, level=Level.DISTRICT).count() == 2
    assert BoundarySet.objects.count() == 2, "the first one and the winner's"


def test_one_draft_published_twice_at_once_comes_into_force_once() -> None:
    two_districts()
    user = make_user(is_staff=True)
    draft = draft_to(114.02, user)
    answers = all_at_once([publishes(draft, user), publishes(draft, user)])
    assert sorted(type(one).__name__ for one in answers) == ["Done", "NotOpen"]
    assert BoundarySet.objects.count() == 2


def test_of_two_edits_at_once_one_is_refused() -> None:
    two_districts()
    user = make_user(is_staff=True)
    draft = drafts.make(name="one", author=user, now=now())

    def edits(code: str) -> Callable[[], Any]:
        return lambda: drafts.edit(draft.pk, version=1, op="retire", values={"code": code}, by=user, now=now())

    answers = all_at_once([edits("440304"), edits("440305")])
    (lost,) = [one for one in answers if isinstance(one, Exception)]
    assert isinstance(lost, drafts.VersionConflict)
    assert draft.shapes.count() == 1
    assert draft.edits.count() == 2


@contextmanager
def without_the_lock() -> Iterator[None]:
    """Both read the state before either writes: the lock of publications is gone, and they meet after their checks."""
    meeting, refuse = Barrier(2, timeout=120), publishing._refuse

    def check_and_meet(prospect: Any) -> None:
        refuse(prospect)
        meeting.wait()

    with as_owner(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE network_boundary DISABLE TRIGGER boundary_publications_queue")
        cursor.execute("ALTER TABLE network_boundary DISABLE TRIGGER boundaries_do_not_overlap")
    try:
        with (
            mock.patch.object(boundaries, "LOCK", "txid_current()"),
            mock.patch.object(publishing, "_refuse", check_and_meet),
        ):
            yield
    finally:
        with as_owner(), connection.cursor() as cursor:
            cursor.execute("ALTER TABLE network_boundary ENABLE TRIGGER boundaries_do_not_overlap")
            cursor.execute("ALTER TABLE network_boundary ENABLE TRIGGER boundary_publications_queue")


def new_street(code: str, west: float, user: User) -> RegionDraft:
    """A draft with one new region and nothing of what is there, so that only the lock keeps two of them apart."""
    draft = drafts.make(name=code, author=user, now=now())
    values = {
        "code": code,
        "name": code,
        "level": 5,
        "parent": "440305",
        "geometry": box(west, 22.5, west + 0.02, 22.52),
    }
    drafts.edit(draft.pk, version=1, op="draw", values=values, by=user, now=now())
    draft.refresh_from_db()
    return draft


def test_of_two_new_regions_that_overlap_one_is_refused() -> None:
    two_districts()
    user = make_user(is_staff=True)
    streets = [new_street("440305-1", 113.90, user), new_street("440305-2", 113.91, user)]
    answers = all_at_once([publishes(street, user) for street in streets])
    (lost,) = [one for one in answers if isinstance(one, Exception)]
    assert isinstance(lost, publishing.ProblemsOpen)
    assert [str(one.kind) for one in lost.found.open] == ["overlap"]
    assert Boundary.objects.filter(level=Level.CUSTOM).count() == 1


def test_control_without_the_lock_both_come_into_force_over_each_other() -> None:
    two_districts()
    user = make_user(is_staff=True)
    streets = [new_street("440305-1", 113.90, user), new_street("440305-2", 113.91, user)]
    with without_the_lock():
        answers = all_at_once([publishes(street, user) for street in streets])
    assert [type(one).__name__ for one in answers] == ["Done", "Done"]
    assert Boundary.objects.filter(level=Level.CUSTOM).count() == 2


def test_whoever_dies_before_the_end_leaves_nothing() -> None:
    two_districts()
    user = make_user(is_staff=True)
    draft = draft_to(114.02, user)
    with mock.patch.object(publishing, "_close", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        publishes(draft, user)()
    draft.refresh_from_db()
    assert draft.status == "draft"
    assert BoundarySet.objects.count() == 1
    assert Boundary.objects.filter(valid__upper_inf=False).count() == 0


def a_day(parcels: int) -> tuple[Any, list[Parcel], list[ServicePoint]]:
    """Parcels ready at addresses on both sides of a border, an agent on every level, and points around."""
    west, east = two_districts()
    assert east.parent is not None
    for region in (west, east, east.parent):
        make_appointment(region)
    point = make_point(22.5, 114.0, capacity=10_000)
    points = [make_point(22.41 + n * 0.01, 113.955 + n * 0.01, region=west if n < 5 else east) for n in range(10)]
    scanner, ready, chance = factories.scanner_of(point), [], random.Random(11)
    for _number in range(parcels):
        lon = chance.uniform(113.9, 114.1)
        region = west if lon < 114.0 else east
        parcel = make_ready_parcel(scanner, point, region_ids=[region.pk, east.parent.pk, east.parent.parent_id or 0])
        Address.objects.filter(pk=parcel.order.address_id).update(location=Point(lon, 22.5, srid=4326))
        ready.append(parcel)
    return scanner, ready, points


def fees_by_chain() -> Counter[tuple[str, tuple[int, ...], int]]:
    rows = Posting.objects.filter(kind="agent_fee").values_list(
        "handover__parcel__region_ids", "region_id", "amount_minor"
    )
    return Counter(("fee", tuple(chain), amount) for chain, region, amount in rows if region in chain)


def test_publishing_amid_pickups_changes_no_fee_and_no_chain() -> None:
    scanner, ready, points = a_day(60)
    user = make_user(is_staff=True)
    chains = {parcel.pk: list(parcel.region_ids) for parcel in ready}
    with transaction.atomic():
        addresses = {row.pk: list(row.region_ids) for row in Address.objects.all()}
    over = Event()

    def publish_again_and_again() -> int:
        done = 0
        while not over.is_set() or done < 4:
            publishes(draft_to(114.0 + 0.03 * ((done % 2) * 2 - 1), user), user)()
            done += 1
        return done

    def collect() -> int:
        try:
            return sum(pick_up(scanner, parcel).verdict == "ok" for parcel in ready)
        finally:
            over.set()

    published, collected = all_at_once([publish_again_and_again, collect])
    assert published >= 4, published
    assert collected == len(ready), collected
    assert {parcel.pk: list(parcel.region_ids) for parcel in Parcel.objects.all()} == chains
    assert {row.pk: list(row.region_ids) for row in Address.objects.all()} == addresses
    # Every pickup paid the agents of the chain that it was given, district 3.00 and city 2.00, whatever was published.
    assert sum(fees_by_chain().values()) == 2 * len(ready)
    assert Counter(Posting.objects.filter(kind="agent_fee").values_list("amount_minor", flat=True)) == {
        300: len(ready),
        200: len(ready),
    }
    assert ledger.faults() == []
    at = now() + timedelta(seconds=1)
    lying = regions.covering([(point.location.y, point.location.x) for point in points], at=at)
    assert [ServicePoint.objects.get(pk=point.pk).region_id for point in points] == lying
    assert BoundaryOverlap.objects.count() == 0
