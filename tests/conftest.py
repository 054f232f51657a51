"""What every test needs: the region chain, and a way to empty tables that refuse to be emptied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.core.management.commands.flush import Command as Flush
from django.db.backends.postgresql.operations import DatabaseOperations
from django.utils import translation

from tests import factories

GUARDED = ("pickup_", "network_")
# Part of every fresh database: the default tariff, and what permissions there are.
KEPT = {"pickup_tariff", "pickup_tariffevent", "django_content_type", "auth_permission"}
_sql_flush = DatabaseOperations.sql_flush


def sql_flush(self: Any, style: Any, tables: Iterable[str], **options: Any) -> list[str]:
    """Empty the tables after a test that really committed. Only their owner may set the guards aside for it."""
    emptied = sorted(set(tables) - KEPT)
    guarded = [table for table in emptied if table.startswith(GUARDED)]
    return [
        *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in guarded),
        *_sql_flush(self, style, emptied, **options),
        "ALTER TABLE pickup_tariffevent DISABLE TRIGGER USER",
        "DELETE FROM pickup_tariff WHERE name <> 'Default tariff'",
        "DELETE FROM pickup_tariffevent WHERE pgh_label <> 'known'",
        "ALTER TABLE pickup_tariffevent ENABLE TRIGGER USER",
        *(f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in guarded),
    ]


DatabaseOperations.sql_flush = sql_flush  # type: ignore[method-assign]
_flush = Flush.handle


def flush(self: Flush, **options: Any) -> None:
    _flush(self, **options | {"inhibit_post_migrate": True})  # nothing of it was emptied


Flush.handle = flush  # type: ignore[method-assign]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long form of tests that have one (tests/faults)")


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether to run as many as the promise says, and not as many as a quick check takes."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(autouse=True)
def language_of_its_own() -> None:
    """A request leaves its language behind in the thread, where the next test would find it."""
    translation.deactivate()


@pytest.fixture
def chain(db: None) -> dict[Any, Any]:
    return factories.make_chain()
