"""What the web server and the worker may do in the database, and that nothing else is granted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils.timezone import now

from pickup import orders, tasks
from pickup.config import roles
from pickup.config.roles import RIGHTS, ROLES, WEB, WORKER
from pickup.models import Notice
from tests import factories
from tests.roles import as_owner, as_worker

pytestmark = pytest.mark.django_db


def asked(question: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(question, parameters)
        return list(cursor.fetchall())


def test_every_table_has_its_line_and_every_line_its_table() -> None:
    tables = asked(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace AND nspname = 'public'"
        " WHERE relkind IN ('r', 'p')"
    )
    assert set(RIGHTS) == {name for (name,) in tables}, "pickup/config/roles.py says what web and worker may do"


def test_tests_run_as_the_web_servers_role() -> None:
    assert asked("SELECT current_user") == [(WEB,)]


@pytest.mark.parametrize("role", ROLES)
def test_no_role_is_anything_but_a_login(role: str) -> None:
    assert asked(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = %s",
        role,
    ) == [(False,) * 5]
    assert not asked("SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = %s", role)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_may_empty_a_table_put_a_trigger_on_it_or_own_it(role: str) -> None:
    assert not asked(
        """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace AND nspname = 'public'
           WHERE relkind IN ('r', 'p') AND (has_table_privilege(%s, c.oid, 'TRUNCATE')
               OR has_table_privilege(%s, c.oid, 'TRIGGER') OR pg_get_userbyid(relowner) = %s)""",
        role, role, role,
    )  # fmt: skip


@pytest.mark.parametrize("role", [WEB, WORKER])
def test_what_happened_is_neither_changed_nor_deleted_by_any_column(role: str) -> None:
    for table, rights in RIGHTS.items():
        if rights.get(role) == roles.ADD:
            assert asked(
                "SELECT has_any_column_privilege(%s, %s, 'UPDATE'), has_table_privilege(%s, %s, 'DELETE')",
                role, table, role, table,
            ) == [(False, False)], table  # fmt: skip


def test_background_work_has_nothing_to_do_with_how_people_sign_in() -> None:
    for table in ("django_session", "mfa_authenticator", "network_signincode", "network_signinattempt"):
        assert asked("SELECT has_any_column_privilege(%s, %s, 'SELECT')", WORKER, table) == [(False,)]


def test_the_worker_may_do_all_that_its_sweeps_do(settings: Any, tmp_path: Any) -> None:
    """From an order that waits to the parcel that nobody fetched, every scheduled task with something to do."""
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    factories.make_chain()
    point = factories.make_point()
    placed = orders.place(merchant=factories.make_merchant()[0], draft=factories.make_draft(), now=now())
    sweeps = {name.rpartition(".")[2]: 0 for name in (job["task"] for job in settings.CELERY_BEAT_SCHEDULE.values())}

    def sweep(name: str) -> None:
        sweeps[name] += 1
        with as_worker():
            getattr(tasks, name)()

    sweep("assign_waiting")
    parcel = placed.order.parcels.get()
    assert parcel.service_point == point
    assert factories.arrive(factories.scanner_of(point), parcel).verdict == "ok"
    sweep("send_notices")
    assert Notice.objects.get().sent_at is not None
    factories.backdate(parcel, hold_until=now() + timedelta(hours=1))
    sweep("remind_recipients")
    factories.backdate(parcel, hold_until=now() - timedelta(hours=1))
    sweep("expire_held_parcels")
    assert [notice.kind for notice in Notice.objects.order_by("id")] == ["ready", "reminder", "expired"]
    sweep("send_notices")
    assert all(sweeps.values()), f"a sweep without its lines here: {sweeps}"


def test_functions_that_run_as_the_owner_have_a_pinned_path_and_are_called_by_nobody() -> None:
    found = asked(
        """SELECT p.proname, p.proconfig::text, has_function_privilege(%s, p.oid, 'EXECUTE')
           FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace AND nspname = 'public'
           WHERE prosecdef AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')""",
        WEB,
    )
    assert found
    for name, config, callable_by_web in found:
        assert "search_path=pg_catalog, public, pg_temp" in config, name
        assert not callable_by_web, name


def test_granting_again_changes_nothing_and_takes_back_what_somebody_added() -> None:
    before = asked(GRANTED)
    with as_owner():
        with connection.cursor() as cursor:
            cursor.execute("GRANT UPDATE ON pickup_posting TO pickup_web; GRANT DELETE ON pickup_scan TO PUBLIC")
        assert asked(GRANTED) != before
        roles.grant(connection)
    assert asked(GRANTED) == before


GRANTED = """
    SELECT c.relname, c.relacl::text, array_agg(a.attacl::text ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    JOIN pg_namespace n ON n.oid = relnamespace AND nspname = 'public'
    WHERE c.relkind IN ('r', 'p', 'S') GROUP BY c.oid ORDER BY 1
"""


def test_without_the_right_to_make_roles_the_login_is_told_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "ROLES", ("pickup_web", "pickup_nobody_made"))
    with as_owner(), pytest.raises(roles.RolesMissing, match="CREATE ROLE pickup_nobody_made LOGIN"):
        roles.grant(connection)


def test_a_column_that_a_line_names_must_exist() -> None:
    with pytest.raises(LookupError, match="colour"):
        roles.privileges(roles.only("colour"), ["id", "name"])


def test_a_column_that_never_changes_is_refused_and_the_others_are_not() -> None:
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE pickup_parcel SET barcode = 'X'")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pickup_parcel SET shelf = 'X'")
