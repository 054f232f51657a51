"""A person decides about an order in doubt: it goes on at once, once, and the same text is not asked about again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, transaction
from django.utils.timezone import now

from network.models import Address, ConfirmedPlace, Level, Region, ServicePoint, User
from pickup import orders, recipients, review
from pickup.models import Merchant, Order, ReviewDecision, ReviewDesk
from pickup.orders import Refused
from pickup.review import Filter
from tests import factories
from tests.factories import chain_ids, make_draft, make_merchant, make_point
from tests.roles import as_owner

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
HOME: dict[str, Any] = {"lat": 22.5401, "lon": 113.9401}
ABROAD: dict[str, Any] = {"lat": 48.1, "lon": 11.5}


@pytest.fixture
def by() -> User:
    return factories.make_user(is_staff=True, name="Li")


@pytest.fixture
def point(chain: Chain) -> ServicePoint:
    ids = chain_ids(chain)
    return make_point(name="Corner Shop", region_id=ids[0], region_ids=ids)


def placed(merchant: Merchant | None = None, **fields: Any) -> Order:
    """An order after the sweeps came by."""
    merchant = merchant or make_merchant()[0]
    order = orders.place(merchant=merchant, draft=make_draft(**fields), now=now()).order
    orders.locate_waiting(now=now(), limit=100)
    orders.assign_waiting(now=now(), limit=100)
    order.refresh_from_db()
    return order


def doubtful(merchant: Merchant | None = None, **fields: Any) -> Order:
    order = placed(merchant, **(ABROAD | fields))
    assert order.status == "review"
    return order


def confirm(order: Order, by: User, **fields: Any) -> review.Outcome:
    order.refresh_from_db()
    given: dict[str, Any] = {"doubt": review.doubt_of(order), "keep": True, "by": by, "now": now(), **HOME}
    return review.confirm(order_id=order.pk, **(given | fields))


def test_a_confirmed_place_sends_the_order_on_in_the_same_call(chain: Chain, point: ServicePoint, by: User) -> None:
    order = doubtful()
    outcome = confirm(order, by)
    assert (outcome.order.status, outcome.point) == ("assigned", point)
    address = Order.objects.select_related("address").get().address
    assert (address.region_ids, address.source, address.accuracy_m) == (chain_ids(chain), "reviewer", 10)
    assert order.parcels.get().region_ids == chain_ids(chain)
    decision = ReviewDecision.objects.get()
    assert (decision.kind, decision.doubt, decision.decided_by) == ("placed", "outside_regions", by)


def test_the_same_text_is_not_asked_about_again(point: ServicePoint, by: User) -> None:
    confirm(doubtful(), by)
    order = placed(**ABROAD)
    assert (order.status, order.address.source) == ("assigned", "remembered")
    assert ConfirmedPlace.objects.get().used == 1


def test_another_contradiction_is_asked_about_again(point: ServicePoint, by: User) -> None:
    confirm(doubtful(), by)
    order = placed(lat=22.62, lon=113.82)
    assert order.review_reason == "remembered_elsewhere"
    assert [one.kind for one in review.item(order.pk, now=now()).candidates if one.kind == "remembered"]


def test_others_in_review_with_the_same_text_go_on_too(point: ServicePoint, by: User) -> None:
    order, *others = [doubtful() for _ in range(4)]
    other_text, other_place = doubtful(address="广东省深圳市南山区科苑路2号"), doubtful(lat=51.5, lon=-0.1)
    assert review.item(order.pk, now=now()).alike == 4
    assert confirm(order, by).others == 4
    assert {Order.objects.get(pk=one.pk).status for one in others} == {"assigned"}
    other_text.refresh_from_db()
    other_place.refresh_from_db()
    assert other_text.review_reason == "outside_regions"
    assert other_place.review_reason == "remembered_elsewhere"  # its coordinates say something that nobody saw


def test_nothing_is_remembered_if_the_reviewer_does_not_want_it(point: ServicePoint, by: User) -> None:
    order, other = doubtful(), doubtful()
    assert confirm(order, by, keep=False).others == 0
    other.refresh_from_db()
    assert (other.status, ConfirmedPlace.objects.count()) == ("review", 0)


def test_a_text_that_is_too_general_is_not_remembered(point: ServicePoint, by: User) -> None:
    confirm(doubtful(address="广东省深圳市南山区"), by)
    assert not ConfirmedPlace.objects.exists()


def test_a_merchant_cannot_teach_the_memory(chain: Chain, point: ServicePoint) -> None:
    """Whatever is sent, however often, and whatever goes on by itself: nothing is remembered without a reviewer."""
    merchant = make_merchant(review_first=True)[0]
    for fields in (HOME, ABROAD, {"lat": None, "lon": None}, {"lat": 0.0, "lon": 0.0}):
        for _ in range(3):
            order = placed(merchant, **fields)
            if order.review_reason == "merchant_policy":
                orders.release(order)
                orders.assign_waiting(now=now(), limit=10)
    assert not ConfirmedPlace.objects.exists()
    assert placed(lat=22.45, lon=113.85).address.source == "given"


def test_words_without_a_region_are_remembered_for_their_merchant_alone(point: ServicePoint, by: User) -> None:
    merchant = make_merchant()[0]
    words = {"address": "人民路1号幸福里", "lat": None, "lon": None}
    confirm(doubtful(merchant, **words), by)
    assert placed(merchant, **words).status == "assigned"
    assert placed(make_merchant()[0], **words).review_reason == "no_region_named"


def test_a_forgotten_place_is_asked_about_again(point: ServicePoint, by: User) -> None:
    order = doubtful()
    confirm(order, by)
    assert review.forget(order_id=order.pk)
    assert placed(**ABROAD).status == "review"


def test_a_place_in_no_region_is_refused_and_leaves_no_trace(point: ServicePoint, by: User) -> None:
    order = doubtful()
    with pytest.raises(Refused, match="no region"):
        confirm(order, by, **ABROAD)
    order.refresh_from_db()
    assert (order.status, ReviewDecision.objects.count(), ConfirmedPlace.objects.count()) == ("review", 0, 0)


def test_the_middle_of_a_region_is_as_exact_as_the_region_is_wide(point: ServicePoint, by: User, settings: Any) -> None:
    outcome = confirm(doubtful(), by, lat=22.54, lon=113.94)  # of the custom region
    assert Address.objects.get(pk=outcome.order.address_id).accuracy_m == 3000
    assert not ConfirmedPlace.objects.exists()
    settings.MAX_ACCURACY_M = 2000
    with pytest.raises(Refused) as refused:
        confirm(doubtful(), by, lat=22.54, lon=113.94)
    assert refused.value.code == "too_coarse"


def test_a_confirmed_place_without_a_point_near_stays_with_the_new_reason(chain: Chain, by: User) -> None:
    outcome = confirm(doubtful(), by)
    assert (outcome.order.status, outcome.order.review_reason) == ("review", "no_point_available")


def test_a_confirmed_place_does_not_make_up_for_consent(point: ServicePoint, by: User) -> None:
    merchant = make_merchant(consent_required=True)[0]
    order = doubtful(merchant, address="深圳市科苑路1号", lat=None, lon=None)
    assert confirm(order, by).order.review_reason == "consent_missing"
    doubt = review.doubt_of(Order.objects.get(pk=order.pk))
    outcome = review.record_consent(order_id=order.pk, doubt=doubt, how="by telephone", by=by, now=now())
    assert (outcome.order.status, outcome.order.consent_by) == ("assigned", "Li: by telephone")
    assert Order.objects.get(pk=order.pk).address.source == "reviewer"


def test_consent_is_not_the_only_doubt(point: ServicePoint, by: User) -> None:
    merchant = make_merchant(consent_required=True)[0]
    order = placed(merchant, lat=22.5, lon=113.9)
    doubt = review.doubt_of(order)
    outcome = review.record_consent(order_id=order.pk, doubt=doubt, how="by telephone", by=by, now=now())
    assert outcome.order.review_reason == "low_accuracy"


def test_who_comes_second_is_refused_and_nothing_changes(point: ServicePoint, by: User) -> None:
    order = doubtful()
    doubt = review.doubt_of(order)
    confirm(order, by)
    with pytest.raises(Refused) as refused:
        review.send_back(
            order_id=order.pk, doubt=doubt, why="other", note="", by=factories.make_user(is_staff=True), now=now()
        )
    assert refused.value.code == "not_in_review"
    assert Order.objects.get(pk=order.pk).status == "assigned"


def test_an_old_page_does_not_decide_about_a_new_doubt(chain: Chain, by: User) -> None:
    order = doubtful()
    doubt = review.doubt_of(order)
    assert confirm(order, by).order.status == "review"  # no point available
    with pytest.raises(Refused, match="meanwhile"):
        confirm(order, by, doubt=doubt)


def test_a_point_far_away_may_be_chosen_if_it_has_room(chain: Chain, by: User) -> None:
    far = make_point(lat=22.8, lon=114.5, reach_m=1000, capacity=1)
    order, other = placed(), placed()
    assert order.review_reason == "no_point_available"
    item = review.item(order.pk, now=now())
    assert [(point, lost) for point, _metres, lost in item.tried] == [(far, "beyond_reach")]
    outcome = review.send_to_point(order_id=order.pk, doubt=item.doubt, point_id=far.pk, by=by, now=now())
    assert (outcome.order.status, outcome.point) == ("assigned", far)
    with pytest.raises(Refused, match="takes no parcels"):
        review.send_to_point(order_id=other.pk, doubt=review.doubt_of(other), point_id=far.pk, by=by, now=now())
    other.refresh_from_db()
    assert other.status == "review"


def test_a_point_does_not_make_a_doubtful_place_certain(point: ServicePoint, by: User) -> None:
    order = doubtful()
    told: dict[str, Any] = {"order_id": order.pk, "doubt": review.doubt_of(order), "by": by, "now": now()}
    with pytest.raises(Refused, match="no certain place"):
        review.send_to_point(**told, point_id=point.pk)
    with pytest.raises(Refused, match="no certain place"):
        review.go_on(**told)


def test_it_is_tried_again_and_with_any_point(chain: Chain, by: User) -> None:
    wanted = make_point(ref="WANTED", status="suspended")
    order = placed(service_point="WANTED")
    assert order.review_reason == "requested_point_unavailable"
    again = review.go_on(order_id=order.pk, doubt=review.doubt_of(order), by=by, now=now())
    assert again.order.review_reason == "requested_point_unavailable"
    other = make_point()
    doubt = review.doubt_of(again.order)
    outcome = review.go_on(order_id=order.pk, doubt=doubt, anywhere=True, by=by, now=now())
    assert outcome.point == other != wanted


def test_what_its_merchant_wants_looked_at_goes_on(point: ServicePoint, by: User) -> None:
    order = placed(make_merchant(review_first=True)[0])
    outcome = review.go_on(order_id=order.pk, doubt=review.doubt_of(order), by=by, now=now())
    assert outcome.order.status == "assigned"


def test_an_order_goes_back_with_a_reason(point: ServicePoint, by: User) -> None:
    order = doubtful()
    outcome = review.send_back(
        order_id=order.pk, doubt=review.doubt_of(order), why="no_such_address", note="Where?", by=by, now=now()
    )
    assert outcome.order.status == "cancelled"
    assert order.parcels.get().status == "cancelled"
    decision = ReviewDecision.objects.get()
    assert (decision.why, decision.note) == ("no_such_address", "Where?")


def test_what_is_left_for_later_comes_last(chain: Chain, by: User) -> None:
    first, second = doubtful(), doubtful()
    review.put_off(order_id=first.pk, by=by, now=now())
    assert list(review.queue(Filter())) == [second, first]
    place = review.place_in(Filter(), second.pk)
    assert (place.number, place.of, place.before, place.after) == (1, 2, None, first.pk)


def test_two_reviewers_see_each_other(chain: Chain, by: User) -> None:
    order, other = doubtful(), factories.make_user(is_staff=True, name="Wang")
    assert review.look(order, by=by, now=now()) is None
    assert review.look(order, by=by, now=now()) is None
    desk = review.look(order, by=other, now=now())
    assert desk is not None
    assert desk.looked_by == by
    assert review.look(order, by=by, now=now() + review.LOOKS_FOR * 2) is None


def test_a_decision_clears_the_desk(point: ServicePoint, by: User) -> None:
    order = doubtful()
    review.look(order, by=by, now=now())
    confirm(order, by)
    assert not ReviewDesk.objects.exists()


def test_the_queue_is_counted_and_filtered(chain: Chain) -> None:
    merchant = make_merchant(name="Shop A")[0]
    abroad = doubtful(merchant)
    differ = placed(make_merchant(name="Shop B")[0], address="广东省深圳市南山区科苑路1号", lat=22.8, lon=114.5)
    assert differ.review_reason == "text_location_differ"
    counts = review.counts()
    assert (counts.total, dict(counts.doubts)) == (2, {"outside_regions": 1, "text_location_differ": 1})
    assert [(name, number) for _pk, name, number in counts.merchants] == [("Shop A", 1), ("Shop B", 1)]
    assert counts.regions == [("440300", "深圳市", 1)]
    for wanted, found in (
        (Filter(doubt="outside_regions"), [abroad]),
        (Filter(region=chain[Level.CITY]), [differ]),
        (Filter(merchant=merchant.pk), [abroad]),
        (Filter(), [abroad, differ]),
    ):
        assert list(review.queue(wanted)) == found


def test_each_reading_of_the_coordinates_is_a_candidate(chain: Chain) -> None:
    swapped = placed(lat=22.54, lon=114.9)  # in the province, in no district, and the words name one
    kinds = [(one.kind, one.value) for one in review.item(swapped.pk, now=now()).candidates]
    assert kinds == [("given", "wgs84"), ("datum", "gcj02"), ("datum", "bd09"), ("named", "南山区")]


def test_swapped_coordinates_are_found(chain: Chain) -> None:
    factories.make_region("X", "Swapland", Level.PROVINCE, None, (20, 60, 25, 80))
    order = placed(address="somewhere 1", lat=22.54, lon=62.0)
    assert order.review_reason == "outside_regions"
    kinds = [(one.kind, one.chain) for one in review.item(order.pk, now=now()).candidates]
    assert ("swapped", ("Swapland",)) in kinds


def test_the_preview_tells_chain_and_point(chain: Chain, point: ServicePoint) -> None:
    far = make_point(lat=22.9, lon=114.6, reach_m=500)
    found = review.preview(doubtful(), **HOME, now=now())
    assert [region.name for region in found.chain] == ["华南", "广东省", "深圳市", "南山区", "科技园"]
    assert found.point == point
    assert [(one, lost) for one, _metres, lost in found.near] == [(point, ""), (far, "beyond_reach")]
    assert review.preview(doubtful(), **ABROAD, now=now()).chain == []


def test_an_address_that_does_not_open_may_still_be_placed(point: ServicePoint, by: User) -> None:
    order = orders.place(merchant=make_merchant()[0], draft=make_draft(), now=now()).order
    order.recipient.sealed = b"x"
    order.recipient.save(update_fields=["sealed"])
    orders.locate_waiting(now=now(), limit=10)
    item = review.item(order.pk, now=now())
    assert (item.text, item.order.review_reason) == (None, "unreadable_address")
    assert confirm(order, by).order.status == "assigned"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("广东省深圳市南山区科苑路1号阳光花园3栋1502室", "广东省深圳市南山区科苑路1号阳光花园＊栋＊＊＊＊室"),
        ("科苑路15号科兴科学园B座2单元1201", "科苑路15号科兴科学园＊座＊单元＊＊＊＊"),
        ("阳光花园3栋二单元501", "阳光花园＊栋＊单元＊＊＊"),
        ("长安街12号院3号楼", "长安街12号院＊号楼"),
        ("南京西路1266弄8号302", "南京西路1266弄8号＊＊＊"),
        ("科苑路1-3号", "科苑路1-3号"),
        ("人民路12号 王小明收 138 0013 8000", "人民路12号 ＊＊＊收 ＊＊＊ ＊＊＊＊ ＊＊＊＊"),
        ("Room 1502, 12/F, 1 Keyuan Road, Nanshan", "Room ＊＊＊＊, ＊＊/F, 1 Keyuan Road, Nanshan"),
        ("1 Keyuan Road, Apt 4B", "1 Keyuan Road, Apt ＊＊"),
        ("", ""),
    ],
)
def test_a_reviewer_reads_the_street_and_not_the_door(address: str, shown: str) -> None:
    assert recipients.mask_unit(address) == shown


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "sent_back"},
        {"kind": "released", "why": "other"},
        {"kind": "placed"},
        {"kind": "point"},
        {"kind": "guessed"},
    ],
)
def test_a_decision_without_sense_cannot_be_written(chain: Chain, by: User, fields: dict[str, Any]) -> None:
    order = doubtful()
    with pytest.raises(IntegrityError), transaction.atomic():
        ReviewDecision.objects.create(order=order, doubt="x", decided_by=by, decided_at=now(), **fields)


@pytest.mark.parametrize(
    "change",
    [
        lambda: ReviewDecision.objects.update(note="x"),
        lambda: ReviewDecision.objects.all().delete(),
    ],
)
def test_decisions_are_only_added(point: ServicePoint, by: User, change: Callable[[], Any]) -> None:
    confirm(doubtful(), by)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        change()
    with as_owner(), pytest.raises(IntegrityError, match="only ever added"), transaction.atomic():
        change()
