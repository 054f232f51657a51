"""Connections are cut at random, before the web server and behind it: asking again resolves it (promises 2, 4)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pickup import ledger
from pickup.config.launcher import processes
from pickup.models import Handover, Posting, Scan
from tests.benchmarks import scene
from tests.faults.live import Live, a_scan, children_of, free_port, side_by_side, stopped, until
from tests.faults.proxy import Proxy


@contextmanager
def web_server(live: Live, database_port: int, *, process: list[int] | None = None) -> Iterator[int]:
    """Another web server of the same network, that reaches its database through a port; tells its process."""
    port = free_port()
    url = live.servers.urls()["DATABASE_URL"]
    # Whatever role it is: only the way there is another one.
    url = f"{url.partition('?')[0].replace('@/', f'@127.0.0.1:{database_port}/')}"
    environment = live.environment | {
        "DATABASE_URL": url,
        "CELERY_BROKER_URL": live.servers.urls()["CELERY_BROKER_URL"],
        "DJANGO_SETTINGS_MODULE": "pickup.config.settings",
    }
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", "4"]
    with (live.root / "cut-web.log").open("ab") as log:
        web = subprocess.Popen(
            [*command, "--port", str(port), "pickup.config.wsgi:application"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if process is not None:
        process.append(web.pid)
    try:
        until(lambda: is_up(live, port), say="the web server behind the proxy is there")
        yield port
    finally:
        processes.end_group(web.pid)  # with its workers
        web.wait(20)


def is_up(live: Live, port: int) -> bool:
    try:
        return live.post("scans", "no key", {}, port=port)[0] in (400, 401)
    except OSError:
        return False


def test_every_pickup_is_resolved_by_retrying_though_connections_are_cut(live: Live, is_long: bool) -> None:
    count, cut = (8_000, 0.01) if is_long else (300, 0.03)
    jobs, _ = scene.make_ready_parcels(count, shops=4)
    scans = [(key, a_scan(token)) for key, token in jobs]
    socket = Path(live.servers.sockets) / ".s.PGSQL.5432"
    with (
        Proxy(socket, cut=cut / 3) as behind,
        web_server(live, behind.port) as web,
        Proxy(("127.0.0.1", web), cut=cut, seed=8) as before,
    ):
        first = list(side_by_side(scans, lambda job: live.insist("scans", *job, port=before.port)))
        assert before.cuts
        assert behind.cuts
        again = list(side_by_side(scans, lambda job: live.insist("scans", *job, port=before.port)))
    once_more = list(side_by_side(scans, lambda job: live.insist("scans", *job)))
    assert again == once_more, "a repeat is answered byte for byte the same, whoever answers it"
    assert [told(answer) for answer in first] == [told(answer) for answer in again]
    assert {json.loads(answer)["verdict"] for answer in first} <= {"ok", "ok_repeat"}
    assert Handover.objects.count() == Scan.objects.filter(kind="pickup").count() == count
    assert Counter(Posting.objects.values_list("kind", flat=True))["point_fee"] == count
    assert ledger.faults() == []


def told(answer: bytes) -> dict[str, Any]:
    """An answer without the words that say whether it is the first one."""
    return {name: value for name, value in json.loads(answer).items() if name not in ("verdict", "message")}


@pytest.mark.parametrize(
    ("same_scan_id", "verdict"), [(True, "ok_repeat"), (False, "already_collected")], ids=["guarded", "control"]
)
def test_the_scan_id_is_what_makes_a_retry_safe(live: Live, same_scan_id: bool, verdict: str) -> None:
    """The second case is the control: each first answer is cut, and the device asks again as if it were new."""
    jobs, _ = scene.make_ready_parcels(10, shops=1)
    until(live.answers, say="the web server is there")
    verdicts = []
    with Proxy(("127.0.0.1", live.port), cut_answers=True) as before:
        for key, token in jobs:
            scan = a_scan(token)
            with pytest.raises((OSError, EOFError)):
                live.post("scans", key, scan, port=before.port)
            retry = scan if same_scan_id else a_scan(token)
            verdicts.append(json.loads(live.insist("scans", key, retry))["verdict"])
    assert verdicts == [verdict] * 10
    assert Handover.objects.count() == 10


def test_a_web_server_that_stops_in_the_midst_and_wakes_later_hands_nothing_over_twice(live: Live) -> None:
    """What it held when it was stopped was asked again elsewhere meanwhile, by the same device and by another one."""
    jobs, _ = scene.make_ready_parcels(60, shops=1)
    scans = [(key, a_scan(token)) for key, token in jobs]
    socket, process = Path(live.servers.sockets) / ".s.PGSQL.5432", list[int]()
    with Proxy(socket) as behind, web_server(live, behind.port, process=process) as web, ThreadPoolExecutor(8) as pool:
        late = [pool.submit(live.post, "scans", *job, port=web) for job in scans]
        until(lambda: sum(one.done() for one in late) > 8, say="it has begun")
        frozen = [process[0], *children_of(process[0])]
        with stopped(*frozen):
            meanwhile = list(side_by_side(scans, lambda job: live.insist("scans", *job)))
            others = [(key, a_scan(scan["token"])) for key, scan in scans]
            seconds = list(side_by_side(others, lambda job: live.insist("scans", *job)))
            assert not all(one.done() for one in late), "it holds some of them"
        woken = [one.result() for one in late]
    assert {json.loads(answer)["verdict"] for answer in meanwhile} <= {"ok", "ok_repeat"}
    assert {json.loads(answer)["verdict"] for answer in seconds} == {"already_collected"}
    assert {status for status, _ in woken} <= {200, 503}
    for (status, answer), heard in zip(woken, meanwhile, strict=True):
        assert status == 503 or told(answer) == told(heard), "whoever wakes late says what was said already"
    assert Handover.objects.count() == 60
    assert Counter(Posting.objects.values_list("kind", flat=True))["point_fee"] == 60
    assert ledger.faults() == []
