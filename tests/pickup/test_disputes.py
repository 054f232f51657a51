"""Disputes in the administration: decided by whoever may, with a reason, and by nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from network.models import ServicePoint, User
from pickup import disputes
from pickup.models import Dispute, Posting
from tests import factories
from tests.clock import everywhere_at
from tests.factories import code_of, make_point, make_ready_parcel, pick_up

pytestmark = pytest.mark.django_db
LIST = "admin:pickup_dispute_changelist"


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


@pytest.fixture
def dispute(point: ServicePoint) -> Dispute:
    scanner = factories.scanner_of(point)
    parcel = make_ready_parcel(scanner, point)
    pick_up(scanner, parcel)
    return disputes.open_dispute(parcel, note="I was abroad")


@pytest.fixture
def admin_client(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("+8613900009999", name="Root"))
    client.cookies["django_language"] = "en"
    return client


@pytest.fixture
def later() -> Any:
    with everywhere_at(now() + timedelta(hours=1)):
        yield


def decide(client: Client, *chosen: Dispute, **fields: Any) -> str:
    rows = {"action": "decide", "_selected_action": [one.pk for one in chosen]}
    return client.post(reverse(LIST), rows | fields, follow=True).content.decode()


def test_the_outcome_and_its_reason_are_asked_for_first(admin_client: Client, dispute: Dispute) -> None:
    page = decide(admin_client, dispute)
    assert "I was abroad" in page
    assert 'name="reason"' in page
    assert not Dispute.objects.get().outcome


def test_an_upheld_dispute_takes_the_fees_back_and_is_logged(
    admin_client: Client, dispute: Dispute, later: None
) -> None:
    assert "Decided: 1" in decide(admin_client, dispute, outcome="upheld", reason="the photo shows another person")
    decided = Dispute.objects.get()
    assert (decided.outcome, decided.reason) == ("upheld", "the photo shows another person")
    assert decided.resolved_by is not None
    assert Posting.objects.filter(kind="reversal", reason="the photo shows another person").count() == 1
    assert "upheld" in LogEntry.objects.get().change_message


@pytest.mark.parametrize(
    ("outcome", "reason"), [("upheld", ""), ("upheld", "   "), ("", "because"), ("perhaps", "because")]
)
def test_half_a_decision_changes_nothing(
    admin_client: Client, dispute: Dispute, later: None, outcome: str, reason: str
) -> None:
    assert 'name="reason"' in decide(admin_client, dispute, outcome=outcome, reason=reason)
    assert not Dispute.objects.get().outcome


def test_a_decided_dispute_is_not_decided_again(admin_client: Client, dispute: Dispute, later: None) -> None:
    decide(admin_client, dispute, outcome="dismissed", reason="the recipient's brother came")
    assert "Decided already" in decide(admin_client, dispute, outcome="upheld", reason="no, not he")
    assert Dispute.objects.get().outcome == "dismissed"


def test_who_works_at_the_shop_decides_nothing(
    admin_client: Client, dispute: Dispute, point: ServicePoint, later: None
) -> None:
    User.objects.get(phone="+8613900009999").memberships.create(service_point=point, role="clerk")
    assert "somebody else decides" in decide(admin_client, dispute, outcome="dismissed", reason="all is well")
    assert not Dispute.objects.get().outcome


def test_within_ten_minutes_the_clerk_may_still_undo(admin_client: Client, dispute: Dispute) -> None:
    assert "in ten minutes" in decide(admin_client, dispute, outcome="upheld", reason="it was not me")
    assert not Dispute.objects.get().outcome


def test_who_may_only_look_decides_nothing(client: Client, dispute: Dispute, later: None) -> None:
    person = factories.make_user(is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_dispute"))
    client.force_login(person)
    assert client.get(reverse(LIST)).status_code == 200
    decide(client, dispute, outcome="upheld", reason="because")
    assert not Dispute.objects.get().outcome


def test_a_stranger_sees_no_dispute(client: Client, dispute: Dispute) -> None:
    client.force_login(factories.make_user())
    assert dispute.handover.parcel.barcode not in decide(client, dispute)


def test_a_dispute_shows_what_is_needed_to_decide_and_no_secret(admin_client: Client, dispute: Dispute) -> None:
    parcel = dispute.handover.parcel
    page = admin_client.get(reverse("admin:pickup_dispute_change", args=[dispute.pk])).content.decode()
    for shown in (parcel.barcode, "I was abroad", "qr", "20.00 CNY"):
        assert shown in page
    for secret in (code_of(parcel), "王小明", "13800138000", 'name="outcome"'):
        assert secret not in page
