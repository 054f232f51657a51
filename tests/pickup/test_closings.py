"""A service point that closes: no order is left on its way to it, and what stands there is kept as it was promised."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils.timezone import localdate, now

from network import points
from network.models import Closing, ServicePoint, User
from pickup import closings, holding, notices, orders, parcels, scanning
from pickup.closings import Plan, Refused
from pickup.models import Notice, Order, Parcel, Scan
from tests import factories
from tests.factories import chain_ids, make_merchant, make_parcel, make_point, make_ready_parcel, pick_up, scan

pytestmark = pytest.mark.django_db
Chain = dict[Any, Any]


def plan(first: int = 0, last: int = 10, reason: str = "the lease ends") -> Plan:
    today = localdate()
    return Plan(today + timedelta(days=first), today + timedelta(days=last), reason)


@pytest.fixture
def ids(chain: Chain) -> list[int]:
    return chain_ids(chain)


@pytest.fixture
def point(ids: list[int]) -> ServicePoint:
    return make_point(name="Corner Shop", region_id=ids[0], region_ids=ids)


@pytest.fixture
def other(ids: list[int]) -> ServicePoint:
    return make_point(22.545, 113.945, name="Next Shop", region_id=ids[0], region_ids=ids)


@pytest.fixture
def staff(db: None) -> User:
    return factories.make_user(is_staff=True)


def close(point: ServicePoint, by: User, how: Plan | None = None, at: datetime | None = None) -> Closing:
    return closings.plan(point=point, plan=how or plan(), by=by, now=at or now())


def status_of(point: ServicePoint) -> str:
    return ServicePoint.objects.get(pk=point.pk).status


def test_what_is_on_its_way_goes_elsewhere_and_what_arrived_stays(
    point: ServicePoint, other: ServicePoint, staff: User, ids: list[int]
) -> None:
    coming = make_parcel(point, region_ids=ids)
    here = make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    close(point, staff)
    assert status_of(point) == "closing"
    coming.refresh_from_db()
    assert (coming.service_point_id, coming.order.status) == (None, "located")
    orders.assign_waiting(now=now(), limit=10)
    coming.refresh_from_db()
    here.refresh_from_db()
    assert (coming.service_point, Order.objects.get(pk=coming.order_id).status) == (other, "assigned")
    assert (here.service_point, here.status) == (point, "ready")


def test_an_order_with_one_parcel_here_and_one_coming_is_parted(
    point: ServicePoint, other: ServicePoint, staff: User, ids: list[int]
) -> None:
    here = make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    coming = Parcel.objects.create(order=here.order, barcode="PN-2", service_point=point, region_ids=ids)
    close(point, staff)
    orders.assign_waiting(now=now(), limit=10)
    coming.refresh_from_db()
    here.refresh_from_db()
    assert (here.service_point, coming.service_point) == (point, other)


def test_a_wish_for_this_point_ends_with_it(
    point: ServicePoint, other: ServicePoint, staff: User, ids: list[int]
) -> None:
    coming = make_parcel(point, region_ids=ids)
    Order.objects.filter(pk=coming.order_id).update(requested_point=point)
    close(point, staff)
    orders.assign_waiting(now=now(), limit=10)
    coming.refresh_from_db()
    assert coming.service_point == other


def test_without_another_point_the_order_goes_to_review(point: ServicePoint, staff: User, ids: list[int]) -> None:
    coming = make_parcel(point, region_ids=ids)
    close(point, staff)
    orders.assign_waiting(now=now(), limit=10)
    assert Order.objects.get(pk=coming.order_id).review_reason == "no_point_available"


def test_recipients_who_were_told_are_told_again_and_others_are_not(
    point: ServicePoint, other: ServicePoint, staff: User, ids: list[int], settings: Any, tmp_path: Any
) -> None:
    settings.NOTICES_FILE = str(tmp_path / "sms")
    announcing, _ = make_merchant(announces=True)
    told = make_parcel(point, region_ids=ids, merchant=announcing)
    silent = make_parcel(point, region_ids=ids)
    parcels.issue_code(told, issue=3)
    notices.queue([told], kind=Notice.Kind.EXPECTED)
    notices.send_waiting(now=now(), limit=10)
    close(point, staff)
    orders.assign_waiting(now=now(), limit=10)
    assert list(Notice.objects.filter(parcel=told).values_list("kind", "round").order_by("round")) == [
        ("expected", 0),
        ("expected", 1),
    ]
    assert not Notice.objects.filter(parcel=silent).exists()
    told.code.refresh_from_db()
    assert told.code.issue == 3  # the link in the first message still works
    notices.send_waiting(now=now(), limit=10)
    first, second = (tmp_path / "sms").read_text().splitlines()
    assert "Corner Shop" in first
    assert "Next Shop" in second


def test_between_two_points_a_message_waits(point: ServicePoint, staff: User, ids: list[int], settings: Any) -> None:
    settings.NOTICES_FILE = "/dev/null"
    merchant, _ = make_merchant(announces=True)
    coming = make_parcel(point, region_ids=ids, merchant=merchant)
    parcels.issue_code(coming)
    notices.queue([coming], kind=Notice.Kind.EXPECTED)
    close(point, staff)
    assert notices.send_waiting(now=now(), limit=10) == 0


def test_storage_ends_with_the_shop_and_that_is_told(point: ServicePoint, staff: User, ids: list[int]) -> None:
    scanner = factories.scanner_of(point)
    long = make_ready_parcel(scanner, point, region_ids=ids)
    short = make_ready_parcel(scanner, point, region_ids=ids)
    factories.backdate(short, hold_until=now() + timedelta(days=1))
    close(point, staff, plan(0, 4))
    long.refresh_from_db()
    before = short.hold_until
    short.refresh_from_db()
    assert long.hold_until == points.end_of(localdate() + timedelta(days=4))
    assert short.hold_until == before
    assert list(Notice.objects.filter(kind="closing").values_list("parcel", flat=True)) == [long.pk]


def test_nobodys_storage_time_ends_within_two_days(point: ServicePoint, staff: User, ids: list[int]) -> None:
    here = make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    at = now()
    close(point, staff, plan(0, 0), at)
    here.refresh_from_db()
    assert here.hold_until == at + closings.LEAST_NOTICE


def test_it_cannot_be_kept_longer_than_the_shop_stays(point: ServicePoint, staff: User, ids: list[int]) -> None:
    here = make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    close(point, staff, plan(2, 8))  # planned, not begun
    with pytest.raises(holding.NotExtended) as refused:
        holding.extend(here, now=now())
    assert refused.value.refusal == "closing"


def test_a_closing_shop_hands_over_and_is_closed_when_it_is_empty(
    point: ServicePoint, staff: User, ids: list[int]
) -> None:
    scanner = factories.scanner_of(point)
    one = make_ready_parcel(scanner, point, region_ids=ids)
    two = make_ready_parcel(scanner, point, region_ids=ids)
    close(point, staff)
    assert closings.finish_emptied(now=now(), limit=10) == 0
    one.refresh_from_db()
    assert pick_up(scanner, one).verdict == "ok"
    factories.backdate(two, hold_until=now() - timedelta(hours=1))
    assert scanning.record(scanner, scan(Scan.Kind.RETURN, two)).verdict == "ok"
    assert closings.finish_emptied(now=now(), limit=10) == 0  # the hand-over may still be undone
    assert closings.finish_emptied(now=now() + timedelta(minutes=11), limit=10) == 1
    assert status_of(point) == "closed"
    assert Closing.objects.get().state == "finished"
    assert closings.finish_emptied(now=now() + timedelta(minutes=12), limit=10) == 0


def test_a_later_closing_begins_on_its_day(point: ServicePoint, staff: User) -> None:
    close(point, staff, plan(3, 9))
    assert status_of(point) == "active"
    assert closings.begin_due(now=now() + timedelta(days=1), limit=10) == 0
    assert closings.begin_due(now=now() + timedelta(days=4), limit=10) == 1
    assert status_of(point) == "closing"


def test_a_sweep_lets_no_suspended_shop_hand_over_again(point: ServicePoint, staff: User) -> None:
    close(point, staff, plan(3, 9))
    closings.suspend(point=point, reason="fraud", elsewhere=True, by=staff, now=now())
    assert closings.begin_due(now=now() + timedelta(days=4), limit=10) == 0
    assert status_of(point) == "suspended"


def test_an_owner_asks_and_somebody_else_agrees(point: ServicePoint, staff: User) -> None:
    owner = factories.make_member(point)
    closings.ask(point=point, plan=plan(1, 9), by=owner, now=now())
    assert status_of(point) == "active"
    with pytest.raises(Refused, match="own_request"):
        close(point, owner, plan(1, 9))
    row = close(point, staff, plan(2, 12))
    assert (row.state, row.asked_by, row.planned_by) == ("planned", owner, staff)
    with pytest.raises(IntegrityError, match="closing_planned_by_another"), transaction.atomic():
        Closing.objects.filter(pk=row.pk).update(planned_by=owner)


@pytest.mark.parametrize("role", ["clerk", None])
def test_only_an_owner_asks(point: ServicePoint, role: str | None) -> None:
    user = factories.make_member(point, role) if role else factories.make_user()
    with pytest.raises(Refused, match="wrong_status"):
        closings.ask(point=point, plan=plan(1, 9), by=user, now=now())


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (plan(5, 4), "bad_days"),
        (plan(-5, -1), "bad_days"),
        (plan(181, 190), "bad_days"),
        (plan(0, 62), "bad_days"),
        (plan(reason=" "), "no_reason"),
        (Plan(date(2099, 1, 1), date(2100, 1, 1), "x"), "bad_days"),
    ],
)
def test_days_that_make_no_sense_are_refused(point: ServicePoint, staff: User, how: Plan, code: str) -> None:
    with pytest.raises(Refused, match=code):
        close(point, staff, how)
    assert not Closing.objects.exists()


def test_a_closing_is_planned_once(point: ServicePoint, staff: User) -> None:
    close(point, staff, plan(3, 9))
    with pytest.raises(Refused, match="open_already"):
        close(point, staff, plan(3, 9))


def test_a_closing_that_is_taken_back_lets_parcels_come_again(point: ServicePoint, staff: User, ids: list[int]) -> None:
    close(point, staff)
    closings.drop(point=point, by=staff, now=now())
    assert status_of(point) == "active"
    assert closings.current(point) is None
    with pytest.raises(Refused, match="not_open"):
        closings.drop(point=point, by=staff, now=now())


def test_a_suspended_shop_scans_nothing_and_its_orders_go_elsewhere(
    point: ServicePoint, other: ServicePoint, staff: User, ids: list[int]
) -> None:
    coming = make_parcel(point, region_ids=ids)
    scanner = factories.scanner_of(point)
    here = make_ready_parcel(scanner, point, region_ids=ids)
    assert closings.suspend(point=point, reason="fraud", elsewhere=True, by=staff, now=now()) == 1
    orders.assign_waiting(now=now(), limit=10)
    coming.refresh_from_db()
    assert coming.service_point == other
    assert pick_up(scanner, here).verdict == "point_suspended"
    closings.resume(point=point, by=staff)
    assert pick_up(scanner, here).verdict == "ok"


def test_what_would_happen_is_counted_first(point: ServicePoint, ids: list[int]) -> None:
    make_parcel(point, region_ids=ids)
    make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    told = closings.effect(point, plan=plan(0, 3), now=now())
    assert (told.expected, told.ready, told.shortened, told.overdue) == (1, 1, 1, 0)
    assert closings.effect(point, plan=plan(0, 30), now=now()).shortened == 0


# A pause


def pause(point: ServicePoint, hours: float, reason: str = "vacation", begins: datetime | None = None) -> None:
    begins = begins or now()
    points.pause(point_id=point.pk, reason=reason, begins=begins, ends=begins + timedelta(hours=hours), now=now())


@pytest.mark.parametrize(
    ("reason", "hours", "goes"),
    [("vacation", 30, True), ("full", 9, True), ("technical", 48, True), ("technical", 4, False)],
)
def test_what_is_on_its_way_to_a_paused_shop_goes_elsewhere_unless_it_works_again_soon(
    reason: str, hours: float, goes: bool, point: ServicePoint, other: ServicePoint, ids: list[int]
) -> None:
    coming = make_parcel(point, region_ids=ids)
    here = make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    pause(point, hours, reason)
    assert closings.give_away(now=now(), limit=10) == int(goes)
    assert closings.give_away(now=now(), limit=10) == 0
    orders.assign_waiting(now=now(), limit=10)
    coming.refresh_from_db()
    here.refresh_from_db()
    assert (coming.service_point, here.service_point) == (other if goes else point, point)


def test_a_pause_to_come_sends_nothing_away_before_it_begins(point: ServicePoint, ids: list[int]) -> None:
    make_parcel(point, region_ids=ids)
    pause(point, 48, begins=now() + timedelta(days=1))
    assert closings.give_away(now=now(), limit=10) == 0
    assert closings.give_away(now=now() + timedelta(days=1, minutes=1), limit=10) == 1


def test_other_shops_keep_what_comes_to_them(point: ServicePoint, other: ServicePoint, ids: list[int]) -> None:
    coming = make_parcel(other, region_ids=ids)
    pause(point, 48)
    assert closings.give_away(now=now(), limit=10) == 0
    coming.refresh_from_db()
    assert coming.service_point == other


def test_who_was_told_of_the_paused_shop_is_told_of_the_next(
    point: ServicePoint, other: ServicePoint, ids: list[int]
) -> None:
    coming = make_parcel(point, region_ids=ids)
    type(coming.order.merchant).objects.update(announces=True)
    parcels.issue_code(coming)
    notices.queue([coming], kind=Notice.Kind.EXPECTED)
    Notice.objects.update(sent_at=now())
    pause(point, 48)
    closings.give_away(now=now(), limit=10)
    orders.assign_waiting(now=now(), limit=10)
    assert Notice.objects.filter(parcel=coming, kind=Notice.Kind.EXPECTED).count() == 2


def test_agents_of_the_address_stay_whose_they_were_when_a_parcel_goes_elsewhere(
    point: ServicePoint, other: ServicePoint, ids: list[int]
) -> None:
    coming = make_parcel(point, region_ids=ids)
    address = coming.order.address
    type(address).objects.filter(pk=address.pk).update(region_id=ids[0], region_ids=ids)
    ServicePoint.objects.filter(pk=other.pk).update(region_ids=ids[2:], region_id=ids[2])
    pause(point, 48)
    closings.give_away(now=now(), limit=10)
    orders.assign_waiting(now=now(), limit=10)
    coming.refresh_from_db()
    assert (coming.service_point, coming.region_ids) == (other, ids)
