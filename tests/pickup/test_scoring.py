"""Invented pickups are found, and honest shops left alone (promise 30)."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.utils.timezone import localdate, now

from pickup import scoring
from pickup.models import Hold
from tests import cheats
from tests.roles import as_owner, as_worker

pytestmark = pytest.mark.django_db
SEEDS = range(1, 1 + int(os.environ.get("CHEAT_SEEDS", "1")))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kinds", [cheats.TUNED, cheats.HELD_OUT], ids=["tuned", "held-out"])
def test_most_cheats_are_found_within_a_week_and_almost_no_honest_shop_is_held(
    seed: int, kinds: tuple[str, ...], is_long: bool
) -> None:
    """Each day is scored when it is over, with what was known then. The long form is that of promise 30: 200 shops over
    60 days, a cheat of each kind; the short one has 50 over 24 days and six cheats. The second time round the cheats
    are of kinds that no weight was tried on."""
    if is_long:
        town = cheats.make_town(seed, cheats=len(kinds), kinds=kinds)
    else:
        town = cheats.make_town(seed, shops=50, days=24, cheats=6, kinds=kinds)
    first = localdate(now()) - timedelta(days=town.days + 1)
    with as_owner():
        cheats.write(town, first=first)
    first_held: dict[int, int] = {}
    for number in range(town.days + 1):
        with as_worker():
            scoring.score(first + timedelta(days=number), now=now())
        for point_id in Hold.objects.values_list("service_point_id", flat=True).distinct():
            first_held.setdefault(point_id, number)
    late = {shop.kind: first_held.get(shop.point_id, 10**6) - shop.starts for shop in town.cheats}
    honest = [shop for shop in town.shops if not shop.kind and shop.point_id in first_held]
    before = {kind for kind, days in late.items() if days < 0}
    print(f"\nseed {seed}: {len(town.rows)} pickups, {Hold.objects.count()} held")
    print("days until found:", dict(sorted(late.items(), key=lambda one: one[1])))
    for shop in honest:
        hold = Hold.objects.filter(service_point_id=shop.point_id).first()
        print("honest:", shop.number, shop.quirk, hold.evidence if hold else "")
    invented = Hold.objects.filter(handover__parcel__barcode__startswith="X").count()
    print(f"of the held pickups {invented} were invented, of {sum(row.invented for row in town.rows)}")
    wanted = 0.9 if is_long and kinds == cheats.TUNED else 0.66
    assert sum(days <= 7 for days in late.values()) >= wanted * len(late)
    assert len(honest) + len(before) <= 2
