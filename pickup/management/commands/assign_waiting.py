"""`assign_waiting`: locate and assign until no order waits."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from network.clock import now
from pickup import waiting
from pickup.models import Order


class Command(BaseCommand):
    help = "Find where received orders lie and give each its service point, or send it to review, until none waits."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcomes = waiting.assign_all(clock=now)
        except waiting.StillWaiting as error:
            raise CommandError(str(error)) from error
        reviews = {
            outcome.review_reason: count
            for outcome, count in sorted(outcomes.items())
            if outcome.status == Order.Status.REVIEW
        }
        self.stdout.write(f"assigned: {outcomes[waiting.Outcome(Order.Status.ASSIGNED, '')]}")
        self.stdout.write(f"in review: {sum(reviews.values())}")
        for reason, count in reviews.items():
            self.stdout.write(f"  {reason}: {count}")
