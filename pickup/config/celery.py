"""The Celery application: `celery -A pickup.config.celery worker` and `beat`."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pickup.config.settings")

app = Celery("pickup")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["pickup"])


def refuse_unsafe(**_: Any) -> None:
    """End before the first task where the settings are not safe."""
    from pickup.config import checks

    try:
        checks.refuse_unsafe("worker")
    except checks.Refused as reason:  # Celery would log it and go on
        raise SystemExit(str(reason)) from reason


worker_init.connect(refuse_unsafe)
beat_init.connect(refuse_unsafe)
