"""The one clock that decides: the database's. A server or a device whose own is wrong changes no period, no expiry.

Doors that decide something read it here and hand it on as `now` or `at`; pages that only show a time need not.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """The moment of this call, not of the transaction's start."""
    return read()


def read() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [at] = cursor.fetchone()
    assert isinstance(at, datetime)
    return at
