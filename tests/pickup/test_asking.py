"""Recipients are asked by lot; a yes or a no is kept once, and a no holds the fees at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils.timezone import now

from network.models import ServicePoint
from pickup import asking, codes, notices
from pickup.models import Dispute, Notice, PageOpening, Parcel, PickupQuestion, Scan
from tests import factories
from tests.factories import make_point, make_ready_parcel, pick_up
from tests.roles import as_worker

pytestmark = pytest.mark.django_db
LATER = timedelta(hours=2)


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


@pytest.fixture
def parcel(point: ServicePoint) -> Parcel:
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    parcel.refresh_from_db()
    return parcel


@pytest.fixture
def everybody(settings: Any) -> None:
    settings.ASK_SHARE = settings.ASK_SHARE_DOUBTFUL = 1.0


def ask(at: datetime) -> int:
    with as_worker():
        return asking.ask(now=at)


def tap(client: Client, parcel: Parcel, action: str) -> str:
    link = codes.link_of(parcel.uuid, parcel.code.issue)
    return client.post(f"/t/{link}", {"action": action}, headers={"accept-language": "en"}).content.decode()


def test_the_lot_is_the_same_each_time_and_as_likely_as_it_says() -> None:
    drawn = [asking.lot(number, uuid4()) for number in range(4000)]
    assert 0.4 < sum(drawn) / len(drawn) < 0.6
    assert 0.01 < sum(one < 0.02 for one in drawn) / len(drawn) < 0.03
    uuid = uuid4()
    assert asking.lot(7, uuid) == asking.lot(7, uuid)


def test_somebody_is_asked_once_and_not_at_once(parcel: Parcel, everybody: None) -> None:
    assert ask(now()) == 0
    assert ask(now() + LATER) == 1
    assert ask(now() + LATER) == 0
    notice = Notice.objects.get(kind=Notice.Kind.ASKED)
    assert "/t/" in notices.compose(notice).text


def test_nobody_is_asked_whom_the_lot_does_not_meet(parcel: Parcel, settings: Any) -> None:
    settings.ASK_SHARE = settings.ASK_SHARE_DOUBTFUL = 0.0
    assert ask(now() + LATER) == 0


def test_a_new_shop_is_asked_about_more_often_than_an_old_one(parcel: Parcel, settings: Any) -> None:
    settings.ASK_SHARE, settings.ASK_SHARE_DOUBTFUL = 0.0, 1.0
    old = Scan.objects.order_by("id")[0]
    Scan.objects.bulk_create(
        [
            Scan(
                scan_id=uuid4(),
                device=old.device,
                service_point=old.service_point,
                kind="arrival",
                verdict="unknown_parcel",
                event_at=now(),
                recorded_at=now() - timedelta(days=90),
                request_hash=b"0",
                answer="{}",
            )
        ]
    )
    assert ask(now() + LATER) == 0


def test_a_yes_is_kept_once(client: Client, parcel: Parcel, everybody: None) -> None:
    ask(now() + LATER)
    assert "Thank you" in tap(client, parcel, "did_collect")
    assert "You answered already" in tap(client, parcel, "did_not_collect")
    assert PickupQuestion.objects.get().answer == "yes"
    assert not Dispute.objects.exists()


def test_a_no_is_a_dispute_in_the_same_moment(client: Client, parcel: Parcel, everybody: None) -> None:
    ask(now() + LATER)
    tap(client, parcel, "did_not_collect")
    assert PickupQuestion.objects.get().answer == "no"
    assert Dispute.objects.get().outcome == ""


def test_who_was_not_asked_answers_nothing(client: Client, parcel: Parcel) -> None:
    assert "nothing to answer" in tap(client, parcel, "did_not_collect")
    assert not Dispute.objects.exists()


def test_it_is_remembered_that_the_shop_itself_opened_a_page(client: Client, parcel: Parcel) -> None:
    link = codes.link_of(parcel.uuid, parcel.code.issue)
    client.get(f"/t/{link}")
    client.get(f"/t/{link}")
    assert list(PageOpening.objects.values_list("by_shop", flat=True)) == [False]
    assert parcel.service_point is not None
    client.force_login(factories.make_member(parcel.service_point))
    client.get(f"/t/{link}")
    assert sorted(PageOpening.objects.values_list("by_shop", flat=True)) == [False, True]
