"""The pages of the review queue: for staff who may change orders, for nobody else; nothing personal on them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from network.models import ConfirmedPlace, Level, Region, ServicePoint, User
from pickup import orders, review
from pickup.models import Order, ReviewDecision
from pickup.review import REASONS
from pickup.views.review_words import EXPLAINED
from tests import factories
from tests.factories import chain_ids, make_draft, make_merchant, make_point

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
RIGHTS = ("view_region", "view_order", "change_order")
HOME = {"lat": "22.5401", "lon": "113.9401"}
ABROAD = {"lat": 48.1, "lon": 11.5}


def staff_with(*rights: str, **fields: Any) -> User:
    user = factories.make_user(is_staff=True, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def signed_in(user: User, language: str = "en") -> Client:
    client = Client(headers={"accept-language": language})
    client.force_login(user)
    return client


@pytest.fixture
def reviewer() -> Client:
    return signed_in(staff_with(*RIGHTS, name="Li"))


@pytest.fixture
def point(chain: Chain) -> ServicePoint:
    ids = chain_ids(chain)
    return make_point(name="Corner Shop", ref="P1", region_id=ids[0], region_ids=ids)


def doubtful(**fields: Any) -> Order:
    merchant = fields.pop("merchant", None) or make_merchant()[0]
    order = orders.place(merchant=merchant, draft=make_draft(**(ABROAD | fields)), now=now()).order
    orders.locate_waiting(now=now(), limit=100)
    orders.assign_waiting(now=now(), limit=100)
    order.refresh_from_db()
    return order


def page_of(order: Order) -> str:
    return reverse("review-order", args=[order.pk])


def look_of(order: Order) -> str:
    return reverse("review-look", args=[order.pk])


def decide(client: Client, order: Order, action: str, **fields: Any) -> Any:
    """Press a button as the page that shows the order now would."""
    order.refresh_from_db()
    body = {"action": action, "doubt": review.doubt_of(order), **fields}
    return client.post(page_of(order), body, follow=True)


def text_of(response: Any) -> str:
    text: str = response.content.decode()
    return text


# --- Who may -------------------------------------------------------------------------------------------------------


def strangers(point: ServicePoint) -> dict[str, User]:
    agent = factories.make_user()
    factories.make_agent(user=agent)
    return {
        "recipient": factories.make_user(),
        "owner": factories.make_member(point),
        "agent": agent,
        "staff without rights": staff_with(),
        "staff who may not change": staff_with("view_region", "view_order"),
        "staff who may not see regions": staff_with("view_order", "change_order"),
        "not staff any more": factories.make_user(is_superuser=True),
    }


def test_for_everybody_else_it_does_not_exist(point: ServicePoint) -> None:
    order = doubtful()
    for who, user in strangers(point).items():
        client = signed_in(user)
        assert client.get("/regions/review/").status_code == 404, who
        assert client.get(page_of(order)).status_code == 404, who
        assert decide(client, order, "confirm", **HOME).status_code == 404, who
        assert client.post(look_of(order), HOME, content_type="application/json").status_code == 404, who
    order.refresh_from_db()
    assert (order.status, ReviewDecision.objects.count()) == ("review", 0)


def test_who_is_not_signed_in_is_asked_to(point: ServicePoint) -> None:
    order, client = doubtful(), Client()
    assert client.get("/regions/review/").status_code == 302
    assert client.get(page_of(order)).status_code == 302
    assert client.post(page_of(order), {"action": "later"}).status_code == 302
    assert client.post(look_of(order), HOME, content_type="application/json").status_code == 401
    assert not ReviewDecision.objects.exists()


def test_a_form_of_another_site_decides_nothing(point: ServicePoint) -> None:
    order, client = doubtful(), Client(enforce_csrf_checks=True)
    client.force_login(staff_with(*RIGHTS))
    assert client.post(page_of(order), {"action": "later"}).status_code == 403
    assert client.post(look_of(order), HOME, content_type="application/json").status_code == 403


# --- What is shown -------------------------------------------------------------------------------------------------


def test_neither_name_nor_phone_nor_door_is_shown(reviewer: Client, point: ServicePoint) -> None:
    order = doubtful(address="广东省深圳市南山区科苑路1号阳光花园3栋1502室", name="王小明", phone="+8613800138000")
    for path in ("/regions/review/", page_of(order)):
        text = text_of(reviewer.get(path))
        assert "科苑路1号阳光花园＊栋＊＊＊＊室" in text
        for hidden in ("王小明", "王*", "13800138000", "8000 ", "1502", "3栋"):
            assert hidden not in text, hidden


def test_the_names_of_regions_are_marked(reviewer: Client, point: ServicePoint) -> None:
    text = text_of(reviewer.get(page_of(doubtful())))
    assert "<mark>广东省</mark><mark>深圳市</mark><mark>南山区</mark>科苑路1号" in text.replace("\n", "")


def test_what_a_merchant_writes_is_escaped(reviewer: Client, point: ServicePoint) -> None:
    order = doubtful(address="<script>alert(1)</script>科苑路1号", reference="<b>R</b>", city="<i>")
    for path in ("/regions/review/", page_of(order)):
        text = text_of(reviewer.get(path))
        assert "<script>alert" not in text
        assert "<b>R</b>" not in text


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_reason_is_explained(chain: Chain, language: str) -> None:
    client = signed_in(staff_with(*RIGHTS), language)
    order = doubtful()
    for reason in REASONS:
        order.review_reason = reason
        order.save(update_fields=["review_reason"])
        response = client.get(page_of(order))
        assert response.status_code == 200
        assert response.context["explained"], reason
    assert set(EXPLAINED) == set(REASONS)


def test_the_queue_is_filtered_and_keeps_its_filters(reviewer: Client, point: ServicePoint) -> None:
    abroad, unnamed = doubtful(), doubtful(address="人民路1号", lat=None, lon=None)
    found = reviewer.get("/regions/review/?doubt=outside_regions")
    assert [row[0] for row in found.context["rows"]] == [abroad]
    assert f"{page_of(abroad)}?doubt=outside_regions" in text_of(found)
    assert [row[0] for row in reviewer.get("/regions/review/").context["rows"]] == [abroad, unnamed]
    for nonsense in ("doubt=x", "merchant=x", "merchant=٣", "merchant=99999999999999", "region=%00", "page=x"):
        assert reviewer.get(f"/regions/review/?{nonsense}").status_code == 200


def test_an_order_that_does_not_exist_is_not_found(reviewer: Client) -> None:
    assert reviewer.get("/regions/review/999/").status_code == 404
    assert reviewer.post("/regions/review/999/", {"action": "later"}).status_code == 404
    assert reviewer.post("/regions/review/999/look/", HOME, content_type="application/json").status_code == 404


def test_who_else_has_it_open_is_told(reviewer: Client, point: ServicePoint) -> None:
    order = doubtful()
    signed_in(staff_with(*RIGHTS, name="Wang")).get(page_of(order))
    assert "Wang opened this order" in text_of(reviewer.get(page_of(order)))


# --- What is decided -----------------------------------------------------------------------------------------------


def test_a_confirmed_place_opens_the_next_order(reviewer: Client, point: ServicePoint) -> None:
    first, second = doubtful(), doubtful(address="广东省深圳市南山区科苑路2号")
    response = decide(reviewer, first, "confirm", **HOME, keep="1")
    assert response.redirect_chain == [(page_of(second), 302)]
    assert f"{first.reference} goes to Corner Shop" in text_of(response)
    first.refresh_from_db()
    assert first.status == "assigned"
    assert ConfirmedPlace.objects.exists()


def test_after_the_last_one_the_queue_says_so(reviewer: Client, point: ServicePoint) -> None:
    response = decide(reviewer, doubtful(), "confirm", **HOME)
    assert response.redirect_chain == [("/regions/review/", 302)]
    assert "Nothing waits" in text_of(response)
    assert not ConfirmedPlace.objects.exists()


def test_others_with_the_text_are_announced_and_counted(reviewer: Client, point: ServicePoint) -> None:
    first, _, _ = doubtful(), doubtful(), doubtful()
    assert "2 more orders with this text will go on" in text_of(reviewer.get(page_of(first)))
    assert "2 more orders with this text go on." in text_of(decide(reviewer, first, "confirm", **HOME, keep="1"))


def test_a_named_point_is_taken_with_the_place(reviewer: Client, point: ServicePoint) -> None:
    far = make_point(ref="FAR", lat=22.6, lon=113.95)
    order = doubtful()
    decide(reviewer, order, "confirm", **HOME, point="FAR")
    assert order.parcels.get().service_point == far


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"lat": "10", "lon": "10"}, "lies in no region"),
        ({"lat": "91", "lon": "0"}, "less than or equal"),
        ({"lat": "", "lon": ""}, "required"),
        ({"lat": "x", "lon": "nan"}, "number"),
        ({"lat": "inf", "lon": "1e999"}, "number"),
        ({**HOME, "point": "nowhere"}, "No service point has this reference"),
        ({**HOME, "point": "a\x00b"}, "Null characters"),
    ],
)
def test_a_place_that_cannot_be_is_refused_in_words(
    reviewer: Client, point: ServicePoint, fields: dict[str, str], words: str
) -> None:
    order = doubtful()
    response = decide(reviewer, order, "confirm", **fields)
    assert response.status_code == 400
    assert words in text_of(response)
    order.refresh_from_db()
    assert order.status == "review"


def test_who_comes_second_is_told_what_was_decided(reviewer: Client, point: ServicePoint) -> None:
    order = doubtful()
    doubt = review.doubt_of(order)
    decide(signed_in(staff_with(*RIGHTS, name="Wang")), order, "confirm", **HOME)
    response = reviewer.post(page_of(order), {"action": "confirm", "doubt": doubt, **HOME}, follow=True)
    text = text_of(response)
    assert "Somebody else was first." in text
    assert "Wang confirmed that it lies in 科技园." in text
    assert "It goes to Corner Shop" in text
    assert ReviewDecision.objects.count() == 1


def test_what_its_merchant_cancelled_is_said(reviewer: Client, point: ServicePoint) -> None:
    order = doubtful()
    doubt = review.doubt_of(order)
    orders.cancel(order=order)
    response = reviewer.post(page_of(order), {"action": "confirm", "doubt": doubt, **HOME}, follow=True)
    assert "The merchant cancelled it." in text_of(response)
    assert reviewer.post(look_of(order), HOME, content_type="application/json").status_code == 409


def test_an_order_goes_back_with_a_reason_that_its_merchant_reads(reviewer: Client, point: ServicePoint) -> None:
    merchant, key = make_merchant()
    order = doubtful(merchant=merchant)
    assert decide(reviewer, order, "back", why="nonsense").status_code == 400
    decide(reviewer, order, "back", why="no_such_address", note="Where is it?")
    answer = Client().get(f"/api/v1/orders/{order.reference}", headers={"authorization": f"Bearer {key}"}).json()
    assert (answer["status"], answer["sent_back"]) == (
        "cancelled",
        {"reason": "no_such_address", "note": "Where is it?"},
    )


def test_every_other_button_does_what_it_says(reviewer: Client, chain: Chain) -> None:
    later, unserved = doubtful(), doubtful(**{name: float(value) for name, value in HOME.items()})
    decide(reviewer, later, "later")
    assert list(review.queue(review.Filter())) == [unserved, later]
    assert "stays in review" in text_of(decide(reviewer, unserved, "retry"))
    make_point(ref="FAR", name="Far Shop", lat=22.85, lon=114.5, reach_m=500)
    assert "goes to Far Shop" in text_of(decide(reviewer, unserved, "point", point="FAR"))
    assert "Nothing was remembered" in text_of(decide(reviewer, later, "forget"))


def test_consent_is_recorded_with_who_and_how(reviewer: Client, point: ServicePoint) -> None:
    order = doubtful(merchant=make_merchant(consent_required=True)[0], lat=22.5401, lon=113.9401)
    assert order.review_reason == "consent_missing"
    assert decide(reviewer, order, "consent", how="").status_code == 400
    decide(reviewer, order, "consent", how="by telephone")
    order.refresh_from_db()
    assert (order.status, order.consent_by) == ("assigned", "Li: by telephone")


@pytest.mark.parametrize("body", ["", "{", "[]", '{"lat": "x"}', '{"lat": 1e400, "lon": 0}', '{"lat": [1], "lon": {}}'])
def test_a_question_about_no_place_is_refused(reviewer: Client, point: ServicePoint, body: str) -> None:
    response = reviewer.post(look_of(doubtful()), body, content_type="application/json")
    assert response.status_code == 400


@pytest.mark.parametrize("action", ["", "delete", "confirm\x00"])
def test_an_action_that_does_not_exist_is_not_found(reviewer: Client, point: ServicePoint, action: str) -> None:
    assert decide(reviewer, doubtful(), action).status_code == 404


def test_a_look_tells_chain_and_point(reviewer: Client, point: ServicePoint) -> None:
    order = doubtful()
    response = reviewer.post(look_of(order), json.dumps(HOME), content_type="application/json")
    answer = response.json()
    assert answer["chain"] == "华南 › 广东省 › 深圳市 › 南山区 › 科技园"
    assert (answer["point"], answer["near"][0]["ref"], answer["near"][0]["chosen"]) == ("Corner Shop", "P1", True)
    assert reviewer.get(look_of(order)).status_code == 405


def test_queries_do_not_grow_with_the_queue(reviewer: Client, point: ServicePoint) -> None:
    order = doubtful()
    for _ in range(3):
        reviewer.get(page_of(order))

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert reviewer.get(path).status_code == 200
        return len(captured)

    few = queries("/regions/review/"), queries(page_of(order))
    for _ in range(30):
        doubtful()
    assert (queries("/regions/review/"), queries(page_of(order))) == few
    assert few[0] <= 14
    assert few[1] <= 36
    with CaptureQueriesContext(connection) as captured:
        reviewer.post(look_of(order), json.dumps(HOME), content_type="application/json")
    assert len(captured) <= 18
