"""What the web server and the worker may do in the database, and that nothing else is granted."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import DatabaseError, connection, transaction
from django.urls import get_resolver
from django.utils.timezone import localdate, now

from network import drafts, exports, geocoding, memory
from network.models import BoundarySet, Closing, ConfirmedPlace, Export, Level, Region, ServicePoint
from pickup import closings, orders, payouts, seals, tasks
from pickup.config import roles
from pickup.config.roles import AUDIT, RIGHTS, ROLES, WEB, WORKER
from pickup.models import Account, ImpactPreview, JobRun, Notice, Parcel, Payout, PayoutBatch, PickupCode
from tests import factories
from tests.clock import everywhere_at
from tests.faults.bank import a_bank
from tests.roles import as_owner, as_worker, role

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]


def asked(question: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(question, parameters)
        return list(cursor.fetchall())


def test_every_table_has_its_line_and_every_line_its_table() -> None:
    tables = asked(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace AND nspname = 'public'"
        " WHERE relkind IN ('r', 'p') OR relkind = 'v' AND NOT EXISTS ("
        "     SELECT FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')"
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


class Sweeps:
    """Runs scheduled tasks as the worker, as the clock rings for them, and counts each."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.runs = dict.fromkeys(settings.SWEEPS, 0)

    def run(self, name: str) -> int:
        self.runs[name] += 1
        with as_worker():
            done: int = getattr(tasks, name)(periodic=True)
            JobRun.objects.filter(job=name).delete()  # its next period
        return done


@pytest.fixture
def sweeps(settings: Any, tmp_path: Any) -> Sweeps:
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    settings.EXPORTS_DIR = tmp_path
    settings.ASK_SHARE = settings.ASK_SHARE_DOUBTFUL = 1.0
    return Sweeps(settings)


def test_the_worker_may_do_all_that_its_sweeps_do(sweeps: Sweeps) -> None:
    """Every scheduled task with something to do."""
    chain = factories.make_chain()
    for part in (
        a_parcel_that_nobody_fetches,
        what_was_lost,
        a_remembered_text,
        shops_that_close,
        borders_that_move,
        a_long_list,
        pickups_that_did_not_happen,
        a_month_of_money,
    ):
        part(sweeps, chain)
    assert all(sweeps.runs.values()), f"a sweep without its lines here: {sweeps.runs}"


def a_parcel_that_nobody_fetches(sweeps: Sweeps, chain: Chain) -> None:
    point = factories.make_point()
    placed = orders.place(merchant=factories.make_merchant()[0], draft=factories.make_draft(), now=now())
    sweeps.run("assign_waiting")
    parcel = placed.order.parcels.get()
    assert parcel.service_point == point
    assert factories.arrive(factories.scanner_of(point), parcel).verdict == "ok"
    sweeps.run("send_notices")
    assert Notice.objects.get().sent_at is not None
    factories.backdate(parcel, hold_until=now() + timedelta(hours=1))
    sweeps.run("remind_recipients")
    factories.backdate(parcel, hold_until=now() - timedelta(hours=1))
    sweeps.run("expire_held_parcels")
    assert [notice.kind for notice in Notice.objects.order_by("id")] == ["ready", "reminder", "expired"]
    sweeps.run("send_notices")


def what_was_lost(sweeps: Sweeps, chain: Chain) -> None:
    point = factories.make_point()
    parcel = factories.make_ready_parcel(factories.scanner_of(point), point)
    factories.backdate(parcel, ready_at=now() - timedelta(hours=1))
    with as_owner():
        PickupCode.objects.filter(parcel=parcel).delete()
        Notice.objects.filter(parcel=parcel).delete()
    nowhere = factories.make_parcel(point)
    Parcel.objects.filter(pk=nowhere.pk).update(service_point=None)
    assert sweeps.run("mend_missing") == 3


def a_remembered_text(sweeps: Sweeps, chain: Chain) -> None:
    text, by = "广东省深圳市南山区科苑路7号", factories.make_user(is_staff=True)
    place = memory.remember(
        geocoding.read(geocoding.Query(text)).key, lat=22.54, lon=113.94, accuracy_m=10, told=None, by=by, at=now()
    )
    draft = factories.make_draft(address=text, lat=None, lon=None)
    orders.place(merchant=factories.make_merchant()[0], draft=draft, now=now())
    sweeps.run("assign_waiting")
    place.refresh_from_db()
    assert place.used == 1
    ago = now() - timedelta(days=1)
    ConfirmedPlace.objects.update(confirmed_at=ago - timedelta(days=1), kept_until=ago)
    assert sweeps.run("forget_places") == 1


def shops_that_close(sweeps: Sweeps, chain: Chain) -> None:
    staff, day = factories.make_user(is_staff=True), localdate() + timedelta(days=2)
    empty, full = factories.make_point(), factories.make_point()
    coming = factories.make_parcel(full, region_ids=factories.chain_ids(chain))
    here = factories.make_ready_parcel(factories.scanner_of(full), full)
    factories.backdate(here, hold_until=now() + timedelta(days=20))
    for point in (empty, full):
        closings.plan(point=point, plan=closings.Plan(day, day, "the lease ends"), by=staff, now=now())
    Closing.objects.update(begins_at=now() - timedelta(seconds=1))
    assert sweeps.run("close_points") == 3
    assert [ServicePoint.objects.get(pk=point.pk).status for point in (empty, full)] == ["closed", "closing"]
    coming.refresh_from_db()
    here.refresh_from_db()
    assert coming.service_point is None
    assert here.hold_until is not None
    assert here.hold_until < now() + timedelta(days=10)


def borders_that_move(sweeps: Sweeps, chain: Chain) -> None:
    point, staff = factories.make_point(), factories.make_user(is_staff=True)
    BoundarySet.objects.update(points_placed_at=None)
    assert sweeps.run("place_points") == 1
    point.refresh_from_db()
    assert list(point.region_ids) == factories.chain_ids(chain)
    drawn = drafts.make(name="one district less", author=staff, now=now())
    drawn, _change = drafts.edit(drawn.pk, version=1, op="retire", values={"code": "440305-1"}, by=staff, now=now())
    asked = ImpactPreview.objects.create(
        draft=drawn, drawn=drawn.drawn, version=drawn.version, since=now(), is_now=True, asked_by=staff, asked_at=now()
    )
    assert sweeps.run("preview_drafts") == 1
    asked.refresh_from_db()
    assert (asked.status, asked.message) == ("done", "")


def a_long_list(sweeps: Sweeps, chain: Chain) -> None:
    owner = factories.make_user(is_staff=True, is_superuser=True)
    asked_for = Export.objects.create(made_by=owner, name="regions", form="csv", language="en")
    assert sweeps.run("write_exports") == 1
    asked_for.refresh_from_db()
    with as_worker():
        assert asked_for.state == "done"
        Export.objects.update(ended_at=now() - timedelta(days=400))
    sweeps.run("write_exports")
    asked_for.refresh_from_db()
    assert asked_for.state == "deleted"


def pickups_that_did_not_happen(sweeps: Sweeps, chain: Chain) -> None:
    point = factories.make_point()
    owner, scanner = factories.make_member(point), factories.scanner_of(point)
    for _number in range(12):
        factories.pick_up(scanner, factories.make_ready_parcel(scanner, point, phone=owner.phone))
    with everywhere_at(now() + timedelta(hours=2)):
        assert sweeps.run("score_pickups") == 12
        assert sweeps.run("ask_recipients") == 12


def a_month_of_money(sweeps: Sweeps, chain: Chain) -> None:
    """A month that is over is closed and sealed; what is approved is sent, and waits for a person after no answer."""
    point = factories.make_point()
    scanner = factories.scanner_of(point)
    assert factories.pick_up(scanner, factories.make_ready_parcel(scanner, point)).verdict == "ok"
    with everywhere_at(now() + timedelta(days=80)):
        assert sweeps.run("close_periods") > 0
    account = Account.objects.get(service_point=point)
    factories.make_bank_details(account)
    maker, checker = (factories.make_user(is_staff=True) for _ in range(2))
    with a_bank(b"500 Oops") as bank:
        sweeps.settings.BANK_URL = bank.url
        template, channel = factories.make_template(), PayoutBatch.Channel.DOOR
        batch = payouts.draft(currency="CNY", template=template, channel=channel, by=maker, now=now())
        payouts.approve(batch=batch, by=checker, now=now())
        assert sweeps.run("check_payouts") == 1
    assert Payout.objects.get(account=account).state == "needs_check"
    assert sweeps.run("seal_books") > 0
    with role(AUDIT):
        assert seals.faults(now=now()) == []


def test_the_worker_may_read_every_list_that_is_taken_away() -> None:
    """A list that is long is written by the worker: what it may not read must not be offered as a file."""
    owner = factories.make_user(is_staff=True, is_superuser=True)
    get_resolver().url_patterns  # noqa: B018 - lists are registered beside their pages
    names = [*exports.LISTS, *(f"admin:{model._meta.label_lower}" for model in admin.site._registry)]
    read = set()
    for name in names:
        # Some lists are of one thing, which is not named here, or of somebody else's.
        with as_worker(), suppress(exports.BadFilter, exports.NotYours):
            list(exports.sheet_of(name, user=owner, filters={}).rows)
            read.add(name)
    assert {"regions", "admin:pickup.posting", "admin:network.user"} <= read
    assert not {"admin:network.signinattempt", "admin:network.signincode", "admin:mfa.authenticator"} & read


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
