"""Orders: taken once, located, assigned, cancelled; what is doubtful waits for a person with its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from network import matching
from network.models import Level, Region
from pickup import orders
from pickup.models import Assignment, Merchant, Order, Parcel, Recipient
from tests import factories
from tests.factories import make_draft, make_merchant, make_point

pytestmark = pytest.mark.django_db


@pytest.fixture
def merchant() -> Merchant:
    return make_merchant()[0]


def place(merchant: Merchant, **fields: Any) -> Order:
    return orders.place(merchant=merchant, draft=make_draft(**fields), now=now()).order


def settle(order: Order) -> Order:
    orders.locate_waiting(now=now(), limit=100)
    orders.assign_waiting(now=now(), limit=100)
    order.refresh_from_db()
    return order


def test_an_order_comes_with_its_parcels_and_its_recipient(merchant: Merchant) -> None:
    order = place(merchant, parcels=(orders.ParcelDraft(barcode="PN-1"), orders.ParcelDraft(size=3)))
    assert order.status == "received"
    assert list(order.parcels.order_by("id").values_list("status", "size")) == [("expected", 1), ("expected", 3)]
    assert (order.recipient.masked_name, order.recipient.phone_last4) == ("王*", "8000")


def test_personal_data_is_stored_sealed_only(merchant: Merchant) -> None:
    place(merchant)
    rows = [*Order.objects.values(), *Recipient.objects.values(), *Parcel.objects.values()]
    stored = " ".join(repr(value) for row in rows for value in row.values())
    for secret in ("王小明", "13800138000", "科苑路"):
        assert secret not in stored
        assert repr(secret.encode())[2:-1] not in stored


def test_the_same_draft_again_is_the_same_order(merchant: Merchant) -> None:
    draft = make_draft(reference="R-1")
    first = orders.place(merchant=merchant, draft=draft, now=now())
    again = orders.place(merchant=merchant, draft=draft, now=now() + timedelta(days=1))
    assert (first.created, again.created, again.order.pk) == (True, False, first.order.pk)
    assert Parcel.objects.count() == 1


def test_another_draft_under_the_reference_is_a_conflict(merchant: Merchant) -> None:
    place(merchant, reference="R-1")
    with pytest.raises(orders.Refused, match="another order") as refused:
        place(merchant, reference="R-1", name="李四")
    assert refused.value.code == "reference_conflict"
    assert Order.objects.count() == 1


def test_two_merchants_may_use_one_reference(merchant: Merchant) -> None:
    place(merchant, reference="R-1")
    place(make_merchant()[0], reference="R-1")
    assert Order.objects.count() == 2


def test_a_barcode_is_unique_in_the_network(merchant: Merchant) -> None:
    place(make_merchant()[0], parcels=(orders.ParcelDraft(barcode="PN-1"),))
    with pytest.raises(orders.Refused) as refused:
        place(merchant, parcels=(orders.ParcelDraft(barcode="PN-1"),))
    assert refused.value.code == "barcode_taken"
    assert not Order.objects.filter(merchant=merchant).exists()


def test_an_order_with_one_barcode_twice_is_refused(merchant: Merchant) -> None:
    twice = (orders.ParcelDraft(barcode="PN-1"), orders.ParcelDraft(barcode="PN-1"))
    with pytest.raises(orders.Refused):
        place(merchant, parcels=twice)


def test_an_unknown_point_is_refused(merchant: Merchant) -> None:
    with pytest.raises(orders.Refused) as refused:
        place(merchant, service_point="NOWHERE")
    assert (refused.value.code, refused.value.field) == ("unknown_service_point", "service_point")


def test_one_bad_draft_of_many_hurts_only_itself(merchant: Merchant) -> None:
    drafts = [
        make_draft(reference="A", parcels=(orders.ParcelDraft(barcode="PN-1"),)),
        make_draft(reference="B", parcels=(orders.ParcelDraft(barcode="PN-1"),)),
        make_draft(reference="A", name="李四"),
        make_draft(reference="C"),
    ]
    outcomes = orders.place_many(merchant=merchant, drafts=drafts, now=now())
    codes = [outcome.code if isinstance(outcome, orders.Refused) else "ok" for outcome in outcomes]
    assert codes == ["ok", "barcode_taken", "reference_conflict", "ok"]
    assert sorted(Order.objects.values_list("reference", flat=True)) == ["A", "C"]


def test_an_order_is_located_and_assigned_with_its_region_chain(merchant: Merchant) -> None:
    chain = factories.make_chain()
    point = make_point()
    order = settle(place(merchant))
    parcel = order.parcels.get()
    assert (order.status, parcel.service_point) == ("assigned", point)
    assert parcel.region_ids == factories.chain_ids(chain) == order.address.region_ids
    assert parcel.status == "expected"


def test_the_candidates_and_why_they_lost_are_stored(merchant: Merchant) -> None:
    factories.make_chain()
    full, free = make_point(lat=22.5402, capacity=0), make_point(lat=22.55)
    order = settle(place(merchant))
    kept = Assignment.objects.get(order=order)
    assert kept.service_point == free
    assert [(point_id, reason) for point_id, _, reason in kept.candidates] == [(full.pk, "full"), (free.pk, "")]
    assert kept.distance_m == pytest.approx(kept.candidates[1][1], abs=0.1)


def test_an_address_in_words_is_found_by_its_names(merchant: Merchant) -> None:
    chain = factories.make_chain()
    make_point()
    order = settle(place(merchant, lat=None, lon=None))
    assert order.address.source == "gazetteer"
    assert order.address.region == chain[Level.DISTRICT]
    assert order.address.accuracy_m == 3000
    assert order.status == "assigned"


DOUBTS: list[tuple[dict[str, Any], str]] = [
    ({"lat": 0.0, "lon": 0.0}, "null_island"),
    ({"lat": 51.5, "lon": -0.1, "address": "科苑路1号"}, "outside_regions"),
    ({"lat": 22.54, "lon": 114.3}, "text_location_differ"),
    ({"lat": None, "lon": None, "address": "科苑路1号"}, "no_region_named"),
    ({"lat": None, "lon": None, "address": "广东省深圳市科苑路1号"}, "district_not_named"),
]


@pytest.mark.parametrize(("change", "reason"), DOUBTS, ids=[reason for _, reason in DOUBTS])
def test_a_doubtful_address_goes_to_review_with_its_reason(
    merchant: Merchant, change: dict[str, Any], reason: str
) -> None:
    factories.make_chain()
    make_point()
    order = settle(place(merchant, **change))
    assert (order.status, order.review_reason) == ("review", reason)
    assert order.parcels.get().service_point is None


def test_without_a_point_in_reach_the_order_goes_to_review(merchant: Merchant) -> None:
    factories.make_chain()
    make_point(lat=24.0, reach_m=1000)
    order = settle(place(merchant))
    assert (order.status, order.review_reason) == ("review", "no_point_available")


def test_a_point_asked_for_is_taken(merchant: Merchant) -> None:
    factories.make_chain()
    make_point()
    wanted = make_point(lat=22.6, ref="WANTED")
    order = settle(place(merchant, service_point="WANTED"))
    assert order.parcels.get().service_point == wanted


def test_a_point_asked_for_that_is_paused_goes_to_review(merchant: Merchant) -> None:
    factories.make_chain()
    make_point()
    make_point(ref="WANTED", capacity=0)
    order = settle(place(merchant, service_point="WANTED"))
    assert (order.status, order.review_reason) == ("review", "requested_point_unavailable")


def test_a_point_asked_for_does_not_make_a_vague_place_certain(merchant: Merchant) -> None:
    factories.make_chain()
    make_point(ref="WANTED")
    order = settle(place(merchant, lat=22.5, lon=113.9, address="一号楼", service_point="WANTED"))
    assert (order.status, order.review_reason) == ("review", "low_accuracy")
    named = settle(place(merchant, lat=22.5, lon=113.9, service_point="WANTED"))
    assert named.status == "assigned"


def test_one_order_that_cannot_be_read_does_not_stop_the_others(merchant: Merchant) -> None:
    factories.make_chain()
    make_point()
    broken, whole = place(merchant), place(merchant)
    Recipient.objects.filter(order=broken).update(sealed=b"")
    assert settle(whole).status == "assigned"
    broken.refresh_from_db()
    assert (broken.status, broken.review_reason) == ("review", "unreadable_address")


def test_a_merchant_that_needs_consent_waits_for_it() -> None:
    factories.make_chain()
    make_point()
    merchant = make_merchant(consent_required=True)[0]
    assert settle(place(merchant)).review_reason == "consent_missing"
    assert settle(place(merchant, consent_at=now())).status == "assigned"


def test_a_merchant_that_wants_review_first_gets_it() -> None:
    factories.make_chain()
    make_point()
    assert settle(place(make_merchant(review_first=True)[0])).review_reason == "merchant_policy"


def test_a_cancelled_order_cancels_its_parcels_and_again_is_the_same(merchant: Merchant) -> None:
    order = place(merchant)
    for _ in range(2):
        orders.cancel(order=order)
    order.refresh_from_db()
    assert (order.status, order.parcels.get().status) == ("cancelled", "cancelled")


def test_a_cancelled_order_is_not_assigned(merchant: Merchant) -> None:
    factories.make_chain()
    make_point()
    order = place(merchant)
    orders.cancel(order=order)
    assert settle(order).status == "cancelled"


def test_what_was_handed_over_is_not_cancelled(merchant: Merchant) -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    parcel = factories.make_ready_parcel(scanner, point)
    factories.pick_up(scanner, parcel)
    with pytest.raises(orders.NotCancellable):
        orders.cancel(order=parcel.order)


def test_a_plan_is_written_in_parts_and_what_changed_since_is_left_alone(
    merchant: Merchant, chain: dict[Level, Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_point(region_ids=factories.chain_ids(chain))
    placed = [place(merchant, reference=f"R-{n}", lat=22.54, lon=113.94) for n in range(5)]
    orders.locate_waiting(now=now(), limit=100)
    plan = matching.plan

    def plan_while_one_is_cancelled(*args: Any, **fields: Any) -> matching.Plan:
        planned = plan(*args, **fields)
        orders.cancel(order=placed[1])
        Order.objects.filter(pk=placed[3].pk).update(requested_point=make_point(lat=22.541))
        return planned

    monkeypatch.setattr(orders, "WRITTEN_AT_ONCE", 2)
    monkeypatch.setattr(orders, "_settle_beside", orders._settle)  # another connection would not see this test
    monkeypatch.setattr(orders, "WRITERS", 1)
    monkeypatch.setattr(matching, "plan", plan_while_one_is_cancelled)
    assert orders.assign_waiting(now=now(), limit=100) == 3
    states = list(Order.objects.order_by("id").values_list("status", flat=True))
    assert states == ["assigned", "cancelled", "assigned", "located", "assigned"]


def test_sweeps_of_nothing_do_nothing() -> None:
    assert orders.locate_waiting(now=now(), limit=10) == 0
    assert orders.assign_waiting(now=now(), limit=10) == 0
