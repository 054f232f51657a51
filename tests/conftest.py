"""What every test needs: the region chain, the role that the web server runs as, and a way to empty guarded tables.

Tables are made and emptied by their owner; every test itself, its threads and its live server run as `pickup_web`,
so that a right that is missing, or one that nobody needs, shows itself here. `as_owner()` and `as_worker()` change
the role for a few lines.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError
from django.core.management.commands.flush import Command as Flush
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from django.utils import translation

from pickup.config import roles
from tests import factories
from tests.roles import as_owner

FLUSHES = 5
# Part of every fresh database: the default tariff, and what permissions there are.
KEPT = {"pickup_tariff", "pickup_tariffevent", "django_content_type", "auth_permission"}
MANY = 1_000  # rows of a table: fewer are deleted sooner than a hundred tables get new files
EMPTY = """
DO $$
DECLARE
    one text;
    number int;
    most int := 0;
    filled text[] := '{{}}';
BEGIN
    LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE;
    FOREACH one IN ARRAY ARRAY[{names}] LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT {many}) AS few', one) INTO number;
        most := greatest(most, number);
        IF number > 0 THEN
            filled := filled || one;
        END IF;
    END LOOP;
    IF most = {many} THEN
        filled := ARRAY[{names}];
    END IF;
    FOREACH one IN ARRAY filled LOOP
        EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', one);
    END LOOP;
    IF most = {many} THEN
        TRUNCATE {tables};
    ELSIF filled <> '{{}}' THEN
        -- All in one statement: some keys are looked at when it ends.
        EXECUTE (SELECT format('WITH %s SELECT', string_agg(format('%I AS (DELETE FROM %I)', 'no_' || name, name), ','))
                 FROM unnest(filled) AS name);
        SET CONSTRAINTS ALL IMMEDIATE;
    END IF;
    FOREACH one IN ARRAY filled LOOP
        EXECUTE format('ALTER TABLE %I ENABLE TRIGGER USER', one);
    END LOOP;
END $$
"""


def sql_flush(self: Any, style: Any, tables: Iterable[str], **options: Any) -> list[str]:
    """Empty the tables after a test that really committed. Only their owner may set the guards aside for it."""
    emptied = sorted(set(tables) - KEPT)
    names = ", ".join(f"'{table}'" for table in emptied)
    return [
        EMPTY.format(tables=", ".join(emptied), names=names, many=MANY),
        "ALTER TABLE pickup_tariffevent DISABLE TRIGGER USER",
        "DELETE FROM pickup_tariff WHERE name <> 'Default tariff'",
        "DELETE FROM pickup_tariffevent WHERE pgh_label <> 'known'",
        "ALTER TABLE pickup_tariffevent ENABLE TRIGGER USER",
    ]


DatabaseOperations.sql_flush = sql_flush  # type: ignore[method-assign]
_flush = Flush.handle


def flush(self: Flush, **options: Any) -> None:
    """Empty the tables; a page that was just closed may have left a question that is in the way, for a moment."""
    for left in reversed(range(FLUSHES)):
        try:
            with as_owner():
                _flush(self, **options | {"inhibit_post_migrate": True})  # nothing of it was emptied
            return
        except CommandError:
            if not left:
                raise
            time.sleep(0.2)


Flush.handle = flush  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Whoever connects from now on takes the web server's role, and gives it back to drop the database."""
    options = connection.settings_dict["OPTIONS"]
    as_login = options["options"]
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_has_role(rolname, 'MEMBER') FROM pg_roles WHERE rolname = %s", [roles.WEB])
            assert cursor.fetchone() == (True,), f"{roles.WEB} is missing: `manage.py up --services` makes it"
        connection.close()
        options["options"] = f"{as_login} -c role={roles.WEB}"
        yield
        connection.close()
        options["options"] = as_login


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
