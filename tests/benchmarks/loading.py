"""Large files: `load_regions china` and `load_orders`, each in a process of its own, with the most memory it held."""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from network.models import Region
from pickup.models import Order
from tests.benchmarks import scene

REGIONS_MIB, ORDERS_MIB = 1_536, 600


def main(*, count: int = 100_000) -> list[tuple[str, float, float]]:
    """Rows of (what, rows a second, memory by what is allowed)."""
    with scene.fresh_database(), tempfile.TemporaryDirectory() as folder:
        regions_s, regions_mib = _run("load_regions", "china")
        regions = Region.objects.count()
        path = Path(folder) / "orders.csv"
        _write(path, count)
        orders_s, orders_mib = _run("load_orders", str(path))
        assert Order.objects.count() == count
    return [
        (
            f"load_regions china: {regions_s:.0f} s, {regions_mib:.0f} MiB",
            regions / regions_s,
            regions_mib / REGIONS_MIB,
        ),
        (f"load_orders, {count:,} rows: {orders_mib:.0f} MiB", count / orders_s, orders_mib / ORDERS_MIB),
    ]


def _write(path: Path, count: int) -> None:
    random_ = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["reference", "name", "phone", "address", "city", "lat", "lon"])
        for number in range(count):
            place = (f"{random_.uniform(22.5, 22.6):.6f}", f"{random_.uniform(113.9, 114.1):.6f}")
            rows.writerow([f"L{number}", "王小明", f"138{number:08d}", f"科苑路{number}号", "深圳市", *place])


def _run(*command: str) -> tuple[float, float]:
    """Seconds and MiB of a command on the benchmark's database."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "django", *command],
        env=os.environ | {"DATABASE_URL": scene.url()},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, f"{command[0]} failed"
    return time.perf_counter() - begin, used.ru_maxrss / 1024
