"""Other times for a few lines of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from unittest import mock

import time_machine

from network import clock


@contextmanager
def everywhere_at(moment: datetime) -> Iterator[None]:
    """As if it were that moment, for Python and for what Python asks of the database's clock."""
    with time_machine.travel(moment, tick=False), mock.patch.object(clock, "read", return_value=moment):
        yield
