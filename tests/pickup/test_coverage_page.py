"""The page of coverage: shares, places for new shops and tomorrow's shelves; an agent's own regions, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import Permission
from django.contrib.gis.geos import Point
from django.core.cache import cache
from django.test import Client
from django.utils.timezone import now

from network.models import Address, Appointment, Level, Region, ServicePoint, User
from pickup import coverage
from pickup.models import Order, Parcel
from tests import factories
from tests.factories import chain_ids, make_parcel, make_point, make_ready_parcel, pick_up

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
PAGE = "/regions/coverage/"


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def deliver(point: ServicePoint, chain: list[int], lat: float, lon: float) -> Parcel:
    parcel = make_parcel(point, region_ids=chain)
    Address.objects.filter(pk=parcel.order.address_id).update(location=Point(lon, lat, srid=4326))
    return parcel


class Scene:
    """Two districts of one city with their agents, a shop in one of them, addresses in both."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.own = chain_ids(chain)[1:]
        self.elsewhere = factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY])
        self.other = [self.elsewhere.pk, *self.own[1:]]
        self.point = make_point(
            22.53, 113.93, name="Near Shop", opening_hours="Mo-Su 09:00-21:00", region_ids=self.own, capacity=3
        )
        self.far = make_point(22.70, 113.80, name="Bao'an Shop", region_ids=self.other)
        for lat in (22.531, 22.532, 22.60):
            deliver(self.point, self.own, lat, 113.93)
        for lat in (22.80, 22.801, 22.802, 22.803):
            deliver(self.far, self.other, lat, 113.80)
        self.staff = factories.make_user(is_staff=True, is_superuser=True)
        self.agent = factories.make_user(name="Agent")
        factories.make_appointment(chain[Level.DISTRICT], factories.make_agent(user=self.agent))


@pytest.fixture
def scene(chain: Chain) -> Scene:
    return Scene(chain)


def report(regions: list[int] | None = None, **asked: Any) -> coverage.Report:
    usual: dict[str, Any] = {"at": now(), "days": 30, "within_m": 1000.0, "level": Level.DISTRICT}
    return coverage.report(**(usual | asked), regions=regions)


def see(client: Client, person: User, status: int = 200, **asked: str) -> str:
    client.force_login(person)
    response = client.get(PAGE, asked, headers={"accept-language": "en"})
    assert response.status_code == status
    return " ".join(response.content.decode().split())


# The report.


def test_the_share_is_told_by_region(scene: Scene) -> None:
    told = report()
    assert (told.addresses, told.points, told.without_hours, told.cut) == (7, 2, 1, False)
    assert {(share.region_id, share.addresses, share.covered) for share in told.regions} == {
        (scene.chain[Level.DISTRICT].pk, 3, 2),
        (scene.elsewhere.pk, 4, 0),
    }
    assert (told.total.addresses, told.total.covered) == (7, 2)


def test_at_night_nobody_has_an_open_shop(scene: Scene) -> None:
    assert set(report().total.by_hour[:24]) == {0, 2}
    assert report().total.by_hour[:24].count(2) == 12


def test_the_level_is_chosen(scene: Scene) -> None:
    [share] = report(level=Level.CITY).regions
    assert (share.region_id, share.addresses) == (scene.chain[Level.CITY].pk, 7)
    assert [share.region_id for share in report(level=Level.CUSTOM).regions] == [None]


def test_a_wider_reach_covers_more(scene: Scene) -> None:
    assert report(within_m=10_000.0).total.covered == 3


def test_the_best_place_is_where_most_addresses_have_no_shop(scene: Scene) -> None:
    plan = report().plan
    assert [site.covers for site in plan.sites] == [4, 1]
    assert (plan.covered, plan.proven) == (5, True)
    assert report().region_of_site == [scene.elsewhere.pk, scene.chain[Level.DISTRICT].pk]
    saved = plan.sites[0].saved_m
    assert saved is not None
    assert saved / 4 == pytest.approx(11_000, abs=700)


def test_old_orders_and_those_without_a_parcel_or_a_place_do_not_count(scene: Scene) -> None:
    first, second, third, *_ = Order.objects.order_by("id")
    Order.objects.filter(pk=first.pk).update(assigned_at=now() - timedelta(days=31))
    Order.objects.filter(pk=second.pk).update(status=Order.Status.CANCELLED)
    Address.objects.filter(pk=third.address_id).update(location=None)
    assert report().addresses == 4
    assert report(days=60).addresses == 5


def test_without_orders_there_is_nothing_to_tell(chain: Chain) -> None:
    told = report()
    assert (told.addresses, told.regions, told.cells) == (0, [], [])
    assert told.total.by_hour == [0] * 168


def test_too_many_orders_are_cut_to_the_newest(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "MOST_ADDRESSES", 4)
    told = report()
    assert (told.addresses, told.cut) == (4, True)
    assert [share.region_id for share in told.regions] == [scene.elsewhere.pk]


# Tomorrow.


def test_chances_are_those_of_what_was_seen() -> None:
    """Of 40 parcels half left within their first ten hours and half after 50; one still there is not yet over."""
    chances = coverage.chance_within([(5, 20), (50, 20)], [], hours=24)
    assert chances is not None
    assert chances[0] == pytest.approx(0.5)
    assert chances[6] == pytest.approx(0.0)
    assert chances[30] == pytest.approx(1.0)
    assert np.isnan(chances[51])  # nobody stayed so long and left: nobody knows
    waiting = coverage.chance_within([(5, 20), (50, 20)], [(20, 20)], hours=24)
    assert waiting is not None
    assert waiting[0] == pytest.approx(20 / 60)
    told = chances[~np.isnan(chances)]
    assert bool(np.all((told >= 0) & (told <= 1)))


def test_too_few_parcels_are_no_statistic() -> None:
    assert coverage.chance_within([(5, 29)], [], hours=24) is None


def test_without_a_statistic_the_range_is_all_that_is_possible(scene: Scene) -> None:
    [tight, roomy] = coverage.tomorrow(at=now(), regions=None, limit=10)
    assert (tight.point, tight.here, tight.coming, tight.expected, tight.low, tight.high) == (
        *(scene.point, 0, 3, None, 0, 3),
    )
    assert (roomy.point, roomy.coming, roomy.is_tight) == (scene.far, 4, False)


def test_tomorrow_is_worked_out_from_how_long_parcels_stay(chain: Chain) -> None:
    """40 parcels were collected within the hour, so what has just arrived will be gone; what is old is not known."""
    point = make_point(capacity=5)
    scanner = factories.scanner_of(point)
    for _ in range(40):
        pick_up(scanner, make_ready_parcel(scanner, point))
    fresh = make_ready_parcel(scanner, point)
    old = make_ready_parcel(scanner, point)
    Parcel.objects.filter(pk=old.pk).update(ready_at=now() - timedelta(hours=30))
    [load] = coverage.tomorrow(at=now(), regions=None, limit=10)
    assert fresh.status == "ready"
    assert (load.here, load.coming, load.expected) == (2, 0, 1)
    assert (load.low, load.high) == (0, 2)


# The page.


def test_staff_see_all_regions(client: Client, scene: Scene) -> None:
    page = see(client, scene.staff, level=str(Level.DISTRICT.value))
    for told in (
        "28.6 %",
        "of 7 delivered addresses",
        "南山区",
        "宝安区",
        "Bao&#x27;an Shop",
        "Near Shop",
        "100.0 %",
        "Proven",
    ):
        assert told in page, told


def test_an_agent_sees_the_own_regions_only(client: Client, scene: Scene) -> None:
    page = see(client, scene.agent, level=str(Level.DISTRICT.value))
    for told in ("66.7 %", "of 3 delivered addresses", "南山区", "Near Shop"):
        assert told in page, told
    for foreign in ("宝安区", "Bao", "22.80"):
        assert foreign not in page, foreign


def test_an_agent_of_two_regions_sees_both_and_of_none_today_nothing(client: Client, scene: Scene) -> None:
    held = Appointment.objects.get(agent__user=scene.agent)
    factories.make_appointment(scene.elsewhere, held.agent)
    assert "of 7 delivered addresses" in see(client, scene.agent)
    for appointment in Appointment.objects.filter(agent=held.agent):
        factories.rewrite_appointment(appointment, now() - timedelta(days=9), now() - timedelta(days=8))
    see(client, scene.agent, 404)


def test_what_is_remembered_for_one_is_not_shown_to_another(client: Client, scene: Scene) -> None:
    level = str(Level.DISTRICT.value)
    assert "宝安区" in see(client, scene.staff, level=level)
    assert "宝安区" not in see(client, scene.agent, level=level)


def test_a_remembered_report_is_shown_again(client: Client, scene: Scene) -> None:
    see(client, scene.staff)
    deliver(scene.point, scene.own, 22.531, 113.93)
    assert "of 7 delivered addresses" in see(client, scene.staff)
    assert "of 8 delivered addresses" in see(client, scene.staff, days="90")


def test_the_hours_of_one_region_can_be_looked_at(client: Client, scene: Scene) -> None:
    region = scene.chain[Level.DISTRICT].pk
    assert "By hour of the week · 南山区" in see(
        client, scene.staff, level=str(Level.DISTRICT.value), region=str(region)
    )
    assert "· 宝安区</h2>" not in see(
        client, scene.agent, level=str(Level.DISTRICT.value), region=str(scene.elsewhere.pk)
    )


@pytest.mark.parametrize("asked", [{"days": "0"}, {"within_m": "x"}, {"level": "9"}, {"region": "x"}])
def test_what_cannot_be_asked_is_explained(client: Client, scene: Scene, asked: dict[str, str]) -> None:
    page = see(client, scene.staff, 200, **asked)
    assert "delivered addresses" not in page


def test_strangers_find_no_such_page(client: Client, scene: Scene) -> None:
    limited = factories.make_user(is_staff=True)
    limited.user_permissions.add(Permission.objects.get(codename="view_order"))
    for stranger in (factories.make_member(scene.point), factories.make_user(), limited):
        see(client, stranger, 404)
    client.logout()
    assert client.get(PAGE).headers["Location"] == f"/?next={PAGE}"


def test_the_page_only_reads(client: Client, scene: Scene) -> None:
    client.force_login(scene.staff)
    for method in (client.post, client.put, client.delete):
        assert method(PAGE).status_code == 405


@pytest.mark.parametrize(("who", "queries"), [("staff", 12), ("agent", 13)])
def test_the_page_takes_a_fixed_number_of_queries(
    client: Client, scene: Scene, django_assert_num_queries: Any, who: str, queries: int
) -> None:
    client.force_login(scene.staff if who == "staff" else scene.agent)
    with django_assert_num_queries(queries):
        assert client.get(PAGE).status_code == 200
