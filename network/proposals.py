"""Proposals of service points: an agent's tip for a place in the own region, taken up or refused by somebody else."""

from __future__ import annotations

from datetime import datetime

from django.contrib.gis.geos import Point
from django.db import transaction
from django.utils.crypto import get_random_string

from network import agents, regions
from network.models import Agent, PointProposal, ServicePoint, User

MOST_WAITING = 50  # of one agent

Status = PointProposal.Status


class OutsideOwnRegions(Exception):
    """The place lies in no region that the agent holds today."""


class TooMany(Exception):
    """So many of this agent's proposals wait that no more are taken."""


class NotWaiting(Exception):
    """It was decided or withdrawn meanwhile."""


class OwnProposal(Exception):
    """Whoever proposed does not decide."""


class NoAnswer(Exception):
    """A refusal tells why."""


def propose(
    *, agent: Agent, user: User, lat: float, lon: float, name: str, address: str, reasons: str, now: datetime
) -> PointProposal:
    """Keep a tip for a place (degrees, WGS 84). Raises OutsideOwnRegions and TooMany."""
    [region_id] = regions.covering([(lat, lon)], at=now)
    held = set(agents.in_force(agent, at=now).values_list("region_id", flat=True))
    if region_id is None or not held.intersection(regions.chain_ids({region_id})[region_id]):
        raise OutsideOwnRegions
    with transaction.atomic(durable=True):
        Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)  # one after the other, so that they are counted
        if PointProposal.objects.filter(agent=agent, status=Status.WAITING).count() >= MOST_WAITING:
            raise TooMany
        return PointProposal.objects.create(
            agent=agent,
            made_by=user,
            region_id=region_id,
            location=Point(lon, lat, srid=4326),
            name=name,
            address=address,
            reasons=reasons,
        )


def withdraw(*, proposal_id: int, agent: Agent, now: datetime) -> None:
    """Take the own proposal back; what is decided stays. Raises PointProposal.DoesNotExist."""
    with transaction.atomic(durable=True):
        row = PointProposal.objects.select_for_update().get(pk=proposal_id, agent=agent)
        if row.status == Status.WAITING:
            row.status, row.decided_at = Status.WITHDRAWN, now
            row.save(update_fields=["status", "decided_at"])


def take_up(*, proposal_id: int, answer: str, by: User, now: datetime) -> ServicePoint:
    """Make a service point of it, in the status `proposed`: it takes no parcels until somebody opens it.

    Its regions are those of today. Raises NotWaiting, OwnProposal, PointProposal.DoesNotExist.
    """
    with transaction.atomic(durable=True):
        row = _waiting(proposal_id, by)
        [region_id] = regions.covering([(row.location.y, row.location.x)], at=now)
        point = ServicePoint.objects.create(
            ref=f"N{row.pk}-{get_random_string(6, 'abcdefghjkmnpqrstuvwxyz23456789')}",
            name=row.name,
            address=row.address,
            location=row.location,
            region_id=region_id,
            region_ids=[] if region_id is None else list(regions.chain_ids({region_id})[region_id]),
            status=ServicePoint.Status.PROPOSED,
        )
        row.status, row.decided_by, row.decided_at, row.answer = Status.TAKEN, by, now, answer.strip()
        row.service_point = point
        row.save(update_fields=["status", "decided_by", "decided_at", "answer", "service_point"])
        agents.note(by, point, f"proposed by {row.agent.ref}: {row.reasons}"[:500])
    return point


def refuse(*, proposal_id: int, answer: str, by: User, now: datetime) -> PointProposal:
    """Raises NoAnswer, NotWaiting, OwnProposal, PointProposal.DoesNotExist."""
    if not answer.strip():
        raise NoAnswer
    with transaction.atomic(durable=True):
        row = _waiting(proposal_id, by)
        row.status, row.decided_by, row.decided_at, row.answer = Status.REFUSED, by, now, answer.strip()
        row.save(update_fields=["status", "decided_by", "decided_at", "answer"])
    return row


def _waiting(proposal_id: int, by: User) -> PointProposal:
    rows = PointProposal.objects.select_for_update(of=("self",)).select_related("agent", "region")
    row = rows.get(pk=proposal_id)
    if row.made_by_id == by.pk or row.agent.user_id == by.pk:
        raise OwnProposal
    if row.status != Status.WAITING:
        raise NotWaiting
    return row
