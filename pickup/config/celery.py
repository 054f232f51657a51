"""The Celery application: `celery -A pickup.config.celery worker` and `beat`."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import beat_init, task_postrun, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pickup.config.settings")

app = Celery("pickup")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["pickup"])


@task_postrun.connect  # type: ignore[untyped-decorator]
def show_life(**_: object) -> None:
    """Tell whoever watches this worker that a task came through the broker and out at the end.

    A worker may go on running and take nothing any more after its broker was reset. Sweeps come every ten seconds, so
    silence means that; the launcher watches the file PICKUP_ALIVE, systemd its socket (WatchdogSec).
    """
    with suppress(OSError):
        if file := os.environ.get("PICKUP_ALIVE"):
            Path(file).touch()
        if address := os.environ.get("NOTIFY_SOCKET"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as watcher:
                watcher.settimeout(1)
                watcher.sendto(b"WATCHDOG=1", address.replace("@", "\0", 1) if address[0] == "@" else address)


def refuse_unsafe(**_: Any) -> None:
    """End before the first task where the settings are not safe."""
    from pickup.config import checks

    try:
        checks.refuse_unsafe("worker")
    except checks.Refused as reason:  # Celery would log it and go on
        raise SystemExit(str(reason)) from reason


worker_init.connect(refuse_unsafe)
beat_init.connect(refuse_unsafe)
