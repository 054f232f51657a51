"""Proposals of service points: inside the own regions only, taken up or refused by somebody else, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, InternalError, connection, transaction
from django.utils.timezone import now

from network import proposals
from network.models import Agent, Level, PointProposal, Region, ServicePoint, User
from tests import factories
from tests.roles import as_owner

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]


@pytest.fixture
def agent(chain: Chain) -> Agent:
    agent = factories.make_agent(user=factories.make_user())
    factories.make_appointment(chain[Level.DISTRICT], agent)
    return agent


@pytest.fixture
def staff() -> User:
    return factories.make_user(is_staff=True)


def propose(agent: Agent, lat: float = 22.53, lon: float = 113.94, **fields: Any) -> PointProposal:
    assert agent.user is not None
    given: dict[str, Any] = {"name": "Tea shop", "address": "科苑路1号", "reasons": "none near", "now": now()}
    return proposals.propose(agent=agent, user=agent.user, lat=lat, lon=lon, **(given | fields))


def test_a_place_in_the_own_region_is_kept_with_the_deepest_region(agent: Agent, chain: Chain) -> None:
    made = propose(agent)
    assert (made.region, made.status, made.made_by) == (chain[Level.CUSTOM], "waiting", agent.user)


@pytest.mark.parametrize(("lat", "lon"), [(22.8, 114.3), (0, 0), (22.53, 114.000001)])
def test_a_place_outside_is_refused(agent: Agent, lat: float, lon: float) -> None:
    with pytest.raises(proposals.OutsideOwnRegions):
        propose(agent, lat, lon)


def test_an_agent_whose_appointment_is_over_proposes_nothing(agent: Agent) -> None:
    factories.rewrite_appointment(agent.appointments.get(), now() - timedelta(days=9), now() - timedelta(days=1))
    with pytest.raises(proposals.OutsideOwnRegions):
        propose(agent)


def test_so_many_wait_and_no_more(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "MOST_WAITING", 1)
    propose(agent)
    with pytest.raises(proposals.TooMany):
        propose(agent)


def test_taken_up_it_is_a_proposed_point_at_that_place(agent: Agent, staff: User, chain: Chain) -> None:
    made = propose(agent)
    point = proposals.take_up(proposal_id=made.pk, answer="Good idea", by=staff, now=now())
    made.refresh_from_db()
    assert (made.status, made.service_point, made.answer) == ("taken", point, "Good idea")
    assert point.status == ServicePoint.Status.PROPOSED
    assert (point.name, point.address, point.region) == ("Tea shop", "科苑路1号", chain[Level.CUSTOM])
    assert point.region_ids == factories.chain_ids(chain)
    assert point.location.coords == made.location.coords


def test_refused_it_has_a_reason_and_no_point(agent: Agent, staff: User) -> None:
    made = propose(agent)
    with pytest.raises(proposals.NoAnswer):
        proposals.refuse(proposal_id=made.pk, answer="", by=staff, now=now())
    proposals.refuse(proposal_id=made.pk, answer="There is one next door", by=staff, now=now())
    with pytest.raises(proposals.NotWaiting):
        proposals.take_up(proposal_id=made.pk, answer="", by=staff, now=now())
    assert not ServicePoint.objects.exists()


def test_whoever_proposed_decides_nothing(agent: Agent) -> None:
    made = propose(agent)
    assert agent.user is not None
    with pytest.raises(proposals.OwnProposal):
        proposals.take_up(proposal_id=made.pk, answer="", by=agent.user, now=now())
    with pytest.raises(IntegrityError, match="proposal_is_decided_by_another"), transaction.atomic():
        PointProposal.objects.filter(pk=made.pk).update(
            status="refused", decided_by=agent.user, decided_at=now(), answer="no"
        )


def test_withdrawing_is_for_the_own_agent_and_not_after_a_decision(agent: Agent, staff: User) -> None:
    first, second = propose(agent), propose(agent)
    with pytest.raises(PointProposal.DoesNotExist):
        proposals.withdraw(proposal_id=first.pk, agent=factories.make_agent(), now=now())
    for _ in range(2):
        proposals.withdraw(proposal_id=first.pk, agent=agent, now=now())
    proposals.take_up(proposal_id=second.pk, answer="", by=staff, now=now())
    proposals.withdraw(proposal_id=second.pk, agent=agent, now=now())
    assert list(PointProposal.objects.order_by("id").values_list("status", flat=True)) == ["withdrawn", "taken"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE network_pointproposal SET reasons = 'better'",
        "UPDATE network_pointproposal SET status = 'waiting'",
        "DELETE FROM network_pointproposal",
    ],
)
def test_a_decided_proposal_stays_as_it_was_written(agent: Agent, staff: User, statement: str) -> None:
    proposals.refuse(proposal_id=propose(agent).pk, answer="no", by=staff, now=now())
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    refused = (IntegrityError, InternalError)  # by the guards, whatever the rights are
    with as_owner(), pytest.raises(refused), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
