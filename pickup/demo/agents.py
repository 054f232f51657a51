"""Who is appointed where in the demo: every level has somebody, and every level but the highest has vacancies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from network import agents, applications, proposals, regions
from network.models import Agent, Appointment, AppointmentApplication, PointProposal, Region, User
from pickup.demo.people import Town
from pickup.demo.plan import Plan

CITIES_HELD, DISTRICTS_HELD = 0.75, 0.55
REASON = "示例"


@dataclass(frozen=True)
class Appointed:
    """The two agents whose cases are special: one holds a city and a district of it, one owns a shop as well."""

    of_two_levels: Agent
    also_owner: Agent
    city: Region
    owners_town: Town


def appoint(plan: Plan, places: Sequence[Town], *, now: datetime) -> Appointed:
    """Appoint agents from a month ago for a year. A region that somebody holds already is left to them."""
    rng = plan.chance("agents")
    by_size = sorted(places, key=lambda town: (-town.people, town.region_id))
    cities = list(Region.objects.filter(code__in=plan.people).order_by("code"))
    largest = next(city for city in cities if city.code == by_size[0].city_code)
    for region in above(largest):
        hold(region, agent_of(region), now=now)
    for city in cities:
        if city == largest or rng.random() < CITIES_HELD:
            hold(city, agent_of(city), now=now)
    districts = Region.objects.in_bulk([town.region_id for town in places if town.name != town.city])
    in_two = by_size[0].region_id
    owners = next((town for town in by_size if town.region_id in districts and town.region_id != in_two), by_size[0])
    for town in places:
        if town.region_id not in districts:
            continue
        if town.region_id == in_two:
            hold(districts[in_two], agent_of(largest), now=now)
        elif town == owners or rng.random() < DISTRICTS_HELD:
            hold(districts[town.region_id], agent_of(districts[town.region_id]), now=now)
    owners_region = districts.get(owners.region_id, largest)
    return Appointed(agent_of(largest), agent_of(owners_region), largest, owners)


def ask(applicant: User, agent_user: User, appointed: Appointed, *, now: datetime) -> None:
    """Leave something to decide: an application for a vacant district, and an agent's proposal of a service point."""
    vacant = applications.open_regions(at=now).filter(path__startswith=f"{appointed.city.path}.").first()
    vacant = vacant or applications.open_regions(at=now).last()
    if vacant is not None and not AppointmentApplication.objects.filter(user=applicant).exists():
        reasons = "我在这里住了十年，认识大部分店主，每周可以走访所有店铺。（示例）"
        applications.submit(user=applicant, region=vacant, reasons=reasons, contact="", now=now)
    if not PointProposal.objects.filter(agent=appointed.of_two_levels).exists():
        place = regions.inside([appointed.city.pk], at=now).get(appointed.city.pk)
        if place is not None:
            proposals.propose(
                agent=appointed.of_two_levels,
                user=agent_user,
                lat=place.lat,
                lon=place.lon,
                name="地铁口便利店（示例）",
                address="",
                reasons="附近五百米内没有服务点，晚高峰人流很大。（示例）",
                now=now,
            )


def above(region: Region) -> list[Region]:
    codes = region.path.split(".")[:-1]
    return list(Region.objects.filter(code__in=codes).order_by("level"))


def agent_of(region: Region) -> Agent:
    return Agent.objects.get_or_create(ref=f"agent-{region.code}", defaults={"name": f"{region.name}代理（示例）"})[0]


def hold(region: Region, agent: Agent, *, now: datetime) -> None:
    if not Appointment.objects.filter(region=region, valid__contains=now).exists():
        agents.appoint(agent=agent, region=region, since=now - timedelta(days=30), reason=REASON)
