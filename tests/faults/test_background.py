"""Workers, their children, the broker, the database: killed in turn, and nothing that was accepted is lost (13, 14)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from kombu.connection import Connection

from network.models import Level
from pickup.config.celery import app
from pickup.config.launcher import processes
from pickup.models import JobRun, Notice, Order, Parcel
from tests import factories
from tests.factories import code_of, make_device, make_merchant, make_point, make_ready_parcel, scanner_of, token_of
from tests.faults.live import Live, children_of, stopped, until


def an_order(number: int) -> dict[str, Any]:
    return {
        "reference": f"R-{number}",
        "recipient": {"name": "王小明", "phone": "13800138000"},
        "address": {"text": "广东省深圳市南山区科苑路1号", "lat": 22.5401, "lon": 113.9401},
        "parcels": [{"barcode": f"PN-{number}"}],
    }


@pytest.fixture
def key(live: Live) -> str:
    """A merchant whose recipients are told before arrival, in a region with a shop."""
    chain = factories.make_chain()
    make_point(capacity=100_000, region=chain[Level.DISTRICT], region_ids=factories.chain_ids(chain))
    until(live.answers, say="the web server is there")
    (live.root / "notices.jsonl").write_text("")
    return make_merchant(announces=True)[1]


def canary(live: Live) -> Callable[[], bool]:
    """Tell whether a task that is sent now comes through the broker and out of a worker; asked until it does."""
    holder = str(uuid4())
    sent_at = 0.0

    def is_done() -> bool:
        nonlocal sent_at
        if JobRun.objects.filter(holder=holder, done_at__isnull=False).exists():
            return True
        if live.broker_answers() and time.monotonic() - sent_at > 2:
            sent_at = time.monotonic()
            JobRun.objects.filter(job="mend_missing").delete()  # the clock's own is let through once a period
            with Connection(live.servers.urls()["CELERY_BROKER_URL"]) as broker:  # type: ignore[no-untyped-call]
                task = {"kwargs": {"periodic": True}, "task_id": holder, "connection": broker, "retry": False}
                app.send_task("pickup.tasks.mend_missing", **task)
        return False

    return is_done


def test_every_order_is_located_assigned_and_told_whatever_is_killed(live: Live, key: str, is_long: bool) -> None:
    per_fault, rounds = (250, 5) if is_long else (60, 1)
    faults = [lambda: live.kill("worker"), live.kill_pool_child, live.kill_redis, live.kill_postmaster] * rounds
    placed = 0
    for fault in faults:
        bodies = [an_order(placed + number) for number in range(per_fault)]
        answer = json.loads(live.insist("orders/bulk", key, {"orders": bodies}))
        assert {row["status"] for row in answer["results"]} <= {200, 201}
        placed += per_fault
        fault()
        live.meet_again()
        until(live.broker_answers, say="the broker is back")
    until(lambda: not Order.objects.filter(status__in=["received", "located"]).exists(), say="all orders are assigned")
    until(lambda: not Notice.objects.filter(sent_at__isnull=True).exists(), say="all recipients are told")
    assert Counter(Order.objects.values_list("status", flat=True)) == {"assigned": placed}
    assert Parcel.objects.filter(service_point__isnull=False).count() == placed
    assert Counter(Notice.objects.values_list("kind", "gave_up")) == {("expected", False): placed}
    messages = [json.loads(line)["barcode"] for line in (live.root / "notices.jsonl").read_text().splitlines()]
    assert set(messages) == {f"PN-{number}" for number in range(placed)}
    # A sender that is killed between the gateway's yes and its note of it sends that one message once more.
    assert len(messages) - placed <= len(faults)


@contextmanager
def a_worker_without_a_clock(live: Live) -> Iterator[None]:
    """A worker that nobody rings for but a view after its commit."""
    with (live.root / "lone-worker.log").open("ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "pickup.config.celery", "worker", "--concurrency", "1"],
            env=live.environment | live.servers.urls() | {"DJANGO_SETTINGS_MODULE": "pickup.config.settings"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(20)


def test_a_lost_message_loses_its_order_to_the_bell_and_not_to_the_clock(live: Live, key: str) -> None:
    """The first half is the control: without the sweep that looks for rows, an emptied broker loses an order."""
    with stopped(live.up.pid):  # so that nobody starts them again
        for name in ("worker", "clock"):
            live.kill(name)
        live.redis().flushall()
        live.insist("orders", key, an_order(1))
        until(lambda: live.redis().llen("celery"), say="the bell has rung")
        live.redis().flushall()
        with a_worker_without_a_clock(live):
            until(canary(live), say="a worker works")
            assert Order.objects.get().status == "received"
    until(lambda: Order.objects.get().status == "assigned", say="the clock's sweep finds it")


def test_workers_take_tasks_again_after_the_broker_was_killed_or_emptied(live: Live, is_long: bool) -> None:
    for number in range(10 if is_long else 2):
        if number % 2:
            live.redis().flushall()
        else:
            live.kill_redis()
        until(canary(live), say="the worker works again")


def test_a_worker_that_is_alive_and_silent_is_started_again(live: Live) -> None:
    silent = live.child("worker")
    until(canary(live), say="the worker works")
    frozen = [silent, *children_of(silent)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    long_ago = time.time() - processes.SILENCE_S - 60
    os.utime(live.root / "alive", (long_ago, long_ago))  # what a minute without a finished task does
    until(lambda: live.child("worker") != silent, say="another worker is on record")
    assert not processes.command_line(silent)
    until(canary(live), say="the new worker works")


@pytest.mark.parametrize("broker", ["frozen", "dead"])
def test_orders_arrivals_and_pickups_go_on_without_a_broker(live: Live, key: str, broker: str) -> None:
    """Promise 31. That an answer comes while the broker is stopped shows that nobody waits for it."""
    point = make_point()
    scanner, (_, device) = scanner_of(point), make_device(point)
    parcels = [make_ready_parcel(scanner, point) for _ in range(4)]
    coming = factories.make_parcel(point)
    ask = {"kind": "pickup", "event_at": "2026-11-21T12:00:00Z"}
    calls = [
        ("orders", key, an_order(1)),
        ("scans", device, ask | {"scan_id": str(uuid4()), "kind": "arrival", "barcode": coming.barcode}),
        *(("scans", device, ask | {"scan_id": str(uuid4()), "token": token_of(parcel)}) for parcel in parcels[:2]),
        *(
            ("scans", device, ask | {"scan_id": str(uuid4()), "barcode": parcel.barcode, "code": code_of(parcel)})
            for parcel in parcels[2:]
        ),
    ]
    with stopped(live.redis_pid()) if broker == "frozen" else without_broker(live):
        answers = [live.post(*call) for call in calls]
    assert [status for status, _ in answers] == [201, *[200] * 5]
    assert [json.loads(content)["verdict"] for _, content in answers[1:]] == ["ok"] * 5
    until(lambda: Order.objects.get(reference="R-1").status == "assigned", say="the order went on later")


@contextmanager
def without_broker(live: Live) -> Iterator[None]:
    with stopped(live.up.pid):
        live.kill_redis()
        yield


def test_control_a_broker_that_hangs_is_waited_for_by_whoever_asks_it(live: Live) -> None:
    """What the bell's own thread and the socket's time-out are there for."""
    asked, answered = threading.Event(), threading.Event()

    def ask() -> None:
        asked.set()
        live.redis().ping()
        answered.set()

    with stopped(live.redis_pid()):
        threading.Thread(target=ask, daemon=True).start()
        assert asked.wait(10)
        assert not answered.wait(0.5)
    assert answered.wait(60)
