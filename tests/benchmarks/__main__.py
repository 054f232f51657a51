"""`python3 manage.py bench [pickups] [assignment] …` prints one table; without names, all of it.

`bench scale` and `bench scoring` are asked for by name only: they fill millions of rows first (BENCH_PARCELS: how many
parcels).
"""

from __future__ import annotations

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pickup.config.settings")
os.environ.setdefault("PICKUP_LOG_LEVEL", "ERROR")


def main() -> None:
    django.setup()
    from tests.benchmarks import (
        assignment,
        counter,
        drafts,
        loading,
        money,
        pickups,
        regions,
        scale,
        scene,
        scoring,
        tariffs,
        tiles,
    )

    benchmarks = {
        "pickups": pickups.main,
        "assignment": assignment.main,
        "regions": regions.main,
        "tariffs": tariffs.main,
        "tiles": tiles.main,
        "counter": counter.main,
        "drafts": drafts.main,
        "loading": loading.main,
        "money": money.main,
    }
    chosen = sys.argv[1:] or list(benchmarks)
    benchmarks["scale"] = scale.main
    benchmarks["scoring"] = scoring.main
    unknown = set(chosen) - set(benchmarks)
    if unknown:
        raise SystemExit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(benchmarks)}")
    print(scene.durable())
    print(f"{'what':<52} {'a second':>10} {'ratio':>7}")
    for name in chosen:
        for what, speed, ratio in benchmarks[name]():
            print(f"{what:<52} {speed:>10,.0f} {ratio:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
