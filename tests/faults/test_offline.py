"""Two phones of one shop without a network, the same parcels on both, uploads in any order and any number of times."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import timedelta
from threading import local
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils.timezone import now

from network import access
from network.models import ServicePoint
from pickup import codes, ledger
from pickup.models import Handover, Parcel, Posting, Scan
from tests import factories
from tests.factories import make_parcel, make_point, make_ready_parcel, token_of
from tests.faults.test_races import at_once, hand_over_without_its_guards

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 3  # as often as each phone uploads all it has
CHUNK = 17  # scans in one upload: no divisor of anything, so that parcels fall into different ones
_own = local()


def told_offline(
    point: ServicePoint, here: list[Parcel], coming: list[Parcel], skew: timedelta
) -> list[dict[str, Any]]:
    """What one phone recorded: it took in what came, and handed over everything."""
    clock = now() + skew

    def scan(kind: str, parcel: Parcel, second: int, **fields: Any) -> dict[str, Any]:
        event_at = (clock + timedelta(seconds=second)).isoformat()
        return {"scan_id": str(uuid4()), "kind": kind, "barcode": parcel.barcode, "event_at": event_at, **fields}

    arrivals = [scan("arrival", parcel, n, told="ok", shelf="B-1") for n, parcel in enumerate(coming)]
    return arrivals + [
        scan("pickup", parcel, 1000 + n, told="ok", token=proof_of(parcel, point)) for n, parcel in enumerate(here)
    ]


def proof_of(parcel: Parcel, point: ServicePoint) -> str:
    """The recipient's QR; a parcel that is only coming has the one it will get."""
    if parcel.hold_until is not None:
        return token_of(parcel)
    return codes.token_of(parcel=parcel.uuid, issue=1, point_id=point.pk, expires_at=now() + timedelta(days=7))


def upload(job: tuple[str, int, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    key, point_id, scans = job
    if not hasattr(_own, "client"):
        _own.client = Client(raise_request_exception=False)
    _own.client.cookies["counter_device"] = key
    answer = _own.client.post(
        f"/counter/{point_id}/scans", json.dumps({"scans": scans}), content_type="application/json"
    )
    assert answer.status_code == 200, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def a_weekend(parcels_here: int, parcels_coming: int) -> tuple[ServicePoint, dict[str, list[dict[str, Any]]]]:
    """Two phones with clocks four days apart. Each parcel that comes was taken in by one of them, and handed over by
    both, as was everything that was here.
    """
    point = make_point(capacity=10_000)
    scanner = factories.scanner_of(point)
    here = [make_ready_parcel(scanner, point) for _ in range(parcels_here)]
    coming = [make_parcel(point) for _ in range(parcels_coming)]
    half = parcels_coming // 2
    keys = [access.enrol(point=point, user=None, name=f"phone {n}")[1] for n in range(2)]
    queues = {
        keys[0]: told_offline(point, here + coming, coming[:half], timedelta(hours=48)),
        keys[1]: told_offline(point, here + coming, coming[half:], timedelta(hours=-48)),
    }
    return point, queues


def uploads_of(point: ServicePoint, queues: dict[str, list[dict[str, Any]]], seed: int) -> list[Any]:
    dice = random.Random(seed)
    jobs = []
    for key, queue in queues.items():
        for _ in range(ROUNDS):
            shuffled = dice.sample(queue, len(queue))
            jobs += [(key, point.pk, shuffled[at : at + CHUNK]) for at in range(0, len(shuffled), CHUNK)]
    dice.shuffle(jobs)
    return jobs


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_100_parcels_on_two_phones_are_each_handed_over_and_paid_once(client: Client, seed: int) -> None:
    point, queues = a_weekend(60, 40)
    at_once(uploads_of(point, queues, seed), upload, clients=8)
    # A phone keeps uploading what was refused for a reason that time may mend, until every answer is final.
    final = [answer for key, queue in queues.items() for answer in upload((key, point.pk, queue))]
    assert {answer["final"] for answer in final} == {True}
    assert Counter(Parcel.objects.values_list("status", flat=True)) == {"collected": 100}
    assert Handover.objects.count() == 100
    assert Counter(Posting.objects.values_list("kind", flat=True)) == {"point_fee": 100}
    assert ledger.faults() == []

    told = {scan["scan_id"] for queue in queues.values() for scan in queue}
    assert {str(scan_id) for scan_id in Scan.objects.values_list("scan_id", flat=True)} >= told, "a scan was lost"

    client.cookies["counter_device"] = next(iter(queues))
    conflicts = client.get(f"/counter/{point.pk}/state").json()["conflicts"]
    assert len(conflicts) == 100
    assert len({conflict["barcode"] for conflict in conflicts}) == 100
    assert {conflict["verdict"] for conflict in conflicts} == {"already_collected"}


def test_control_without_the_lock_the_two_phones_are_paid_twice() -> None:
    point, queues = a_weekend(12, 0)
    both = zip(*([(key, point.pk, [scan]) for scan in queue] for key, queue in queues.items()), strict=True)
    jobs = [job for pair in both for job in pair]  # the two phones' scans of a parcel side by side
    with hand_over_without_its_guards():
        at_once(jobs, upload, clients=2)
        handed_over = Handover.objects.count()
    assert handed_over == 24


def test_a_parcel_that_one_phone_took_in_and_the_other_handed_over_first_is_paid(client: Client) -> None:
    point = make_point()
    parcel = make_parcel(point)
    keys = [access.enrol(point=point, user=None, name=f"phone {n}")[1] for n in range(2)]
    [arrival, _], [pickup] = (told_offline(point, [parcel], coming, timedelta()) for coming in ([parcel], []))
    assert upload((keys[1], point.pk, [pickup]))[0]["verdict"] == "not_arrived"
    assert upload((keys[0], point.pk, [arrival]))[0]["verdict"] == "ok"
    assert upload((keys[1], point.pk, [pickup]))[0]["verdict"] == "ok"
    assert Handover.objects.count() == Posting.objects.count() == 1
    client.cookies["counter_device"] = keys[0]
    assert client.get(f"/counter/{point.pk}/state").json()["conflicts"] == []
