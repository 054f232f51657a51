"""`demo`: a province with a week of parcels, to look at and to try things on."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.timezone import now

from network.history import RememberedCommand
from pickup import demo


class Command(RememberedCommand):
    help = (
        "Make a demo: Guangdong's real boundaries, 300 service points, 5,000 orders and a week of real scans. The same "
        "seed on an empty database gives the same table; a demo that was cut short goes on where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, default=1, help="another number makes another demo; 1")
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing if there are regions, unless of an unfinished demo"
        )
        parser.add_argument(
            "--sign-ins", action="store_true", help="make nothing; tell who can sign in, and parcels to try"
        )

    def handle(self, *args: Any, seed: int, if_empty: bool, sign_ins: bool, **options: Any) -> None:
        if sign_ins:
            self.tell_sign_ins()
        elif if_empty and not demo.is_wanted():
            self.stdout.write("There are regions already: no demo is made.")
        else:
            self.make(demo.Plan(seed=seed, processes=min(2, os.cpu_count() or 1)))

    def tell_sign_ins(self) -> None:
        try:
            for line in demo.sign_ins():
                self.stdout.write(line)
        except demo.NoDemo:
            self.stdout.write("No demo accounts here. Make an administrator: python3 manage.py createsuperuser")

    def make(self, plan: demo.Plan) -> None:
        self.began = time.monotonic()
        try:
            demo.begin(plan)
            self.say("Guangdong's boundaries")
            demo.load_boundaries(clock=now)
            for line in demo.run(plan, clock=now, say=self.say):
                self.stdout.write(line)
        except demo.OtherSeed as error:
            raise CommandError("there is a demo of another seed in this database") from error
        except demo.NoRegions as error:
            raise CommandError(f"no demo without regions: {error}") from error
        self.say("Done")

    def say(self, what: str) -> None:
        self.stderr.write(f"[{time.monotonic() - self.began:5.1f} s] {what}")
        sys.stderr.flush()
