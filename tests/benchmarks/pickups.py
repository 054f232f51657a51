"""Verified pickups a second over HTTP, beside one hand-written CTE under pgbench on the same tables."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from uuid import uuid4

from tests.benchmarks import scene

# What a careful person would write by hand for one pickup, without looking at what was scanned before or who waits:
# the parcel moves if it is ready, and scan, hand-over and the six postings follow.
CTE = """
WITH next AS (SELECT nextval('bench_next') AS id),
parcel AS (
    UPDATE pickup_parcel p SET status = 'collected', collected_at = clock_timestamp()
    FROM next WHERE p.id = next.id AND p.status = 'ready'
    RETURNING p.id, p.service_point_id, p.region_ids
), scan AS (
    INSERT INTO pickup_scan (scan_id, device_id, service_point_id, kind, verdict, parcel_id, barcode, proof, shelf,
                             reason, event_at, request_hash, answer)
    SELECT gen_random_uuid(), d.id, p.service_point_id, 'pickup', 'ok', p.id, '', 'qr', '', '', now(), '\\x00', '{}'
    FROM parcel p JOIN network_device d ON d.service_point_id = p.service_point_id
    RETURNING id, parcel_id, service_point_id
), handover AS (
    INSERT INTO pickup_handover (parcel_id, service_point_id, scan_id)
    SELECT parcel_id, service_point_id, id FROM scan RETURNING id, parcel_id, service_point_id
), part AS (
    SELECT h.id AS handover_id, 'point_fee' AS kind, 'point' AS payee, pa.id AS account_id, 2000 AS amount,
           NULL::bigint AS region_id, NULL::smallint AS level, NULL::bigint AS appointment_id
    FROM handover h JOIN pickup_account pa ON pa.service_point_id = h.service_point_id
    UNION ALL
    SELECT h.id, 'agent_fee', 'agent', aa.id, 200, a.region_id, 1::smallint, a.id
    FROM handover h JOIN parcel p ON p.id = h.parcel_id
    JOIN network_appointment a ON a.region_id = ANY (p.region_ids) AND a.valid @> now()
    JOIN pickup_account aa ON aa.agent_id = a.agent_id
)
INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                            handover_id, tariff_id, region_id, level, appointment_id, reason, payable_at)
SELECT kind || ':' || handover_id || ':' || COALESCE(appointment_id, 0), kind, n.id, 'network', account_id, payee,
       amount, 'CNY', handover_id, t.id, region_id, level, appointment_id, '', now()
FROM part CROSS JOIN (SELECT id FROM pickup_account WHERE kind = 'network') n
CROSS JOIN (SELECT id FROM pickup_tariff) t;
"""


def pgbench() -> str:
    found = shutil.which("pgbench") or next(iter(sorted(glob("/usr/lib/postgresql/*/bin/pgbench"))), None)
    home = os.environ.get("PICKUP_HOME", ".local")
    found = found or next(iter(glob(f"{home}/**/bin/pgbench", recursive=True)), None)
    if found is None:
        raise SystemExit("pgbench is not here; it comes with the PostgreSQL server packages")
    return found


def limit(clients: int, transactions: int) -> float:
    """Pickups a second of the bare CTE."""
    scene.run("DROP SEQUENCE IF EXISTS bench_next")
    scene.run("CREATE SEQUENCE bench_next")
    scene.run("SELECT account_of('network', NULL, 'CNY')")
    scene.run("SELECT account_of('point', id, 'CNY') FROM network_servicepoint")
    scene.run("SELECT account_of('agent', id, 'CNY') FROM network_agent")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(CTE)
        script.flush()
        command = [
            pgbench(), "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-t", str(transactions // clients),
            "-f", script.name, scene.url(),
        ]  # fmt: skip
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next(float(line.split()[2]) for line in told.splitlines() if line.startswith("tps"))


class Server:
    """The web server as `up` starts it, on a port of its own and the benchmark's database."""

    def __enter__(self) -> Server:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = os.environ | {"DATABASE_URL": scene.url(), "PICKUP_LOG_LEVEL": "ERROR"}
        self.process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "--workers", "2",
                "--blocking-threads", "4", "--host", "127.0.0.1", "--port", str(self.port), "--no-ws",
                "--log-level", "error", "pickup.config.wsgi:application",
            ],
            env=environment,
        )  # fmt: skip
        for _ in range(600):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return self
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the web server did not start")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)

    def request(self, path: str, key: str, body: object) -> bytes:
        content = json.dumps(body).encode()
        head = (
            f"POST /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    def send(self, requests: Sequence[bytes]) -> list[bytes]:
        """Send over one connection, one after the other; returns the bodies."""
        answers = []
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in requests:
                link.sendall(request)
                answers.append(receive(link))
        return answers


def receive(link: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += link.recv(65536)
    head, _, rest = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), data[:300]
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    while len(rest) < length:
        rest += link.recv(65536)
    return rest


def scan(token: str) -> dict[str, str]:
    return {"scan_id": str(uuid4()), "kind": "pickup", "token": token, "event_at": datetime.now(UTC).isoformat()}


def over_http(server: Server, jobs: Sequence[tuple[str, str]], clients: int) -> float:
    shares = [[server.request("scans", key, scan(token)) for key, token in jobs[n::clients]] for n in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        begin = time.perf_counter()
        answers = [answer for share in pool.map(server.send, shares) for answer in share]
        seconds = time.perf_counter() - begin
    assert all(json.loads(answer)["verdict"] == "ok" for answer in answers), answers[0]
    return len(answers) / seconds


def in_batches(server: Server, jobs: Sequence[tuple[str, str]], size: int, clients: int) -> float:
    by_key: dict[str, list[str]] = {}
    for key, token in jobs:
        by_key.setdefault(key, []).append(token)
    batches = [
        (key, tokens[start : start + size])
        for key, tokens in by_key.items()
        for start in range(0, len(tokens) - size + 1, size)
    ]
    shares = [
        [
            server.request("scans/batch", key, {"scans": [scan(token) for token in tokens]})
            for key, tokens in batches[n::clients]
        ]
        for n in range(clients)
    ]
    with ThreadPoolExecutor(clients) as pool:
        begin = time.perf_counter()
        answers = [answer for share in pool.map(server.send, shares) for answer in share]
        seconds = time.perf_counter() - begin
    verdicts = [row["verdict"] for answer in answers for row in json.loads(answer)["results"]]
    assert set(verdicts) == {"ok"}, set(verdicts)
    return len(verdicts) / seconds


def main() -> list[tuple[str, float, float]]:
    """Rows of (what, per second, ratio to the CTE at 8 clients).

    The shops have what a busy shop has in a day, a bit over a hundred pickups; who uploads 500 at once has been without
    a network for days.
    """
    with scene.fresh_database():
        jobs, _ = scene.make_ready_parcels(16_000, shops=120)
        cte = limit(8, 6_000)
        rest = jobs[6_000:]
        rows = [("one CTE under pgbench, 8 clients (the limit)", cte, 1.0)]
        with Server() as server:
            over_http(server, rest[:400], 8)
            rest = rest[400:]
            for clients, count in ((1, 1000), (8, 4000), (16, 4000)):
                speed = over_http(server, rest[:count], clients)
                rest = rest[count:]
                rows.append((f"POST /scans, {clients} clients", speed, speed / cte))
    with scene.fresh_database():
        jobs, _ = scene.make_ready_parcels(12_000, shops=8)
        with Server() as server:
            over_http(server, jobs[:400], 8)
            speed = in_batches(server, jobs[400:], 500, 4)
            rows.append(("POST /scans/batch of 500, 4 clients", speed, speed / cte))
    return rows
