"""The database is killed while parcels are handed over: what was acknowledged is there, and once (promise 3)."""

from __future__ import annotations

import json
import os
import signal
import threading
from functools import partial
from typing import Any

import pytest

from pickup import ledger
from pickup.config.launcher import processes
from pickup.models import Handover, Scan
from tests.benchmarks import scene
from tests.faults.live import Live, a_scan, children_of, side_by_side, until


def test_no_acknowledged_pickup_is_lost_and_none_is_doubled_when_the_database_is_killed(
    live: Live, is_long: bool
) -> None:
    count, kills = (20_000, 10) if is_long else (200, 1)
    jobs, _ = scene.make_ready_parcels(count, shops=4)
    scans = [(key, a_scan(token)) for key, token in jobs]
    answered: list[tuple[str, str]] = []
    begun = threading.Event()

    def hand_over(job: tuple[str, dict[str, str]]) -> None:
        begun.set()
        answer = json.loads(live.insist("scans", *job))
        answered.append((job[1]["scan_id"], answer["verdict"]))

    def kill_in_between() -> None:
        begun.wait()
        for number in range(2 * kills):
            due = count * (number + 1) // (2 * kills + 1)
            until(partial(has_come_to, answered, due), say="pickups go on")
            if number % 2:
                live.kill_backend()
            else:
                live.kill_postmaster()

    killer = threading.Thread(target=kill_in_between)
    killer.start()
    list(side_by_side(scans, hand_over))
    killer.join()
    assert {verdict for _, verdict in answered} <= {"ok", "ok_repeat"}
    live.meet_again()
    kept = {str(scan_id) for scan_id in Handover.objects.values_list("scan__scan_id", flat=True)}
    assert kept == {scan_id for scan_id, _ in answered}
    assert Handover.objects.count() == Scan.objects.filter(kind="pickup").count() == count
    assert ledger.faults() == []


@pytest.mark.parametrize(("synchronous_commit", "loses"), [("on", False), ("off", True)])
def test_what_was_acknowledged_is_on_the_disk_unless_commits_do_not_wait_for_it(
    live: Live, synchronous_commit: str, loses: bool
) -> None:
    """The second case is the control: PostgreSQL acknowledges first and writes later, and is killed in between."""
    jobs, _ = scene.make_ready_parcels(12, shops=1)
    until(live.answers, say="the web server is there")
    with live.sql() as database:
        database.execute("CHECKPOINT")
        database.execute(f"ALTER SYSTEM SET synchronous_commit = {synchronous_commit}")
        database.execute("ALTER SYSTEM SET autovacuum = off")  # its workers bring the log to the disk too
        database.execute("SELECT pg_reload_conf()")
        until(lambda: setting(database) == synchronous_commit, say="the setting is in force")
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    try:
        everything = [live.postmaster(), *children_of(live.postmaster())]
        writers = [pid for pid in everything[1:] if is_writer(pid)]
        for pid in writers:
            os.kill(pid, signal.SIGSTOP)  # so nobody but a commit itself brings the log to the disk
        scans = [a_scan(token) for _, token in jobs]
        answers = [json.loads(live.insist("scans", jobs[0][0], scan)) for scan in scans]
        assert {answer["verdict"] for answer in answers} == {"ok"}
        for pid in [live.postmaster(), *children_of(live.postmaster())]:
            os.kill(pid, signal.SIGKILL)
        live.meet_again()
        kept = {str(scan_id) for scan_id in Handover.objects.values_list("scan__scan_id", flat=True)}
        assert bool({scan["scan_id"] for scan in scans} - kept) is loses
        assert ledger.faults() == []
    finally:
        with live.sql() as database:
            database.execute("ALTER SYSTEM RESET synchronous_commit")
            database.execute("ALTER SYSTEM RESET autovacuum")
            database.execute("SELECT pg_reload_conf()")


def has_come_to(answered: list[tuple[str, str]], count: int) -> bool:
    return len(answered) >= count


def setting(database: Any) -> str:
    row = database.execute("SHOW synchronous_commit").fetchone()
    assert row is not None
    return str(row[0])


def is_writer(pid: int) -> bool:
    title = processes.command_line(pid)  # empty for one that has ended meanwhile
    return any(name in title for name in ("walwriter", "checkpointer", "background writer", "autovacuum"))
