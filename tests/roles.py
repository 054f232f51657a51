"""Other roles for a few lines of a test, which runs as the web server's role otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from django.db import InternalError, connection
from psycopg.sql import SQL, Composable, Identifier

from pickup.config import roles


@contextmanager
def role(name: str | None) -> Iterator[None]:
    """Take a role, or with None the login's own, which owns the tables; afterwards the one before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, session_user")
        before, login = cursor.fetchone()
        cursor.execute(taking(name))
    try:
        yield
    finally:
        with suppress(InternalError), connection.cursor() as cursor:  # a transaction that failed takes it back itself
            cursor.execute(taking(before if before != login else None))


def taking(name: str | None) -> Composable:
    return SQL("SET ROLE {}").format(Identifier(name)) if name else SQL("SET ROLE NONE")


def as_owner() -> AbstractContextManager[None]:
    return role(None)


def as_worker() -> AbstractContextManager[None]:
    return role(roles.WORKER)
