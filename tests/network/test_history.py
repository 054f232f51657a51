"""The history: who changed what, when, where and why; only added to, told in words, and free for whoever scans."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pghistory.runtime
import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from psycopg import sql

from network import history
from network.models import Agent, Appointment, Device, Level, Membership, Region, RegionAlias, ServicePoint, User
from pickup import scanning
from pickup.models import Tariff
from tests import factories
from tests.factories import make_member, make_point, make_user, scan
from tests.pickup.test_admin import page_of, staff_with
from tests.roles import as_owner

pytestmark = pytest.mark.django_db
ENGLISH = {"Accept-Language": "en"}
HOT = {"Parcel", "Scan", "Arrival", "Handover", "Posting", "PickupCode", "Notice", "Recipient", "Address", "Assignment"}


@pytest.fixture
def root(client: Client) -> User:
    """A superuser, signed in."""
    user = User.objects.create_superuser("+8613900009999", name="Root")
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return user


def told(**asked: Any) -> list[history.Entry]:
    return history.events(history.Asked(**asked), may=lambda right: True, limit=500)


def tariff_form(tariff: Tariff, **changes: Any) -> dict[str, Any]:
    fields = [f.name for f in Tariff._meta.fields if f.name not in ("id", "valid_from")]
    form = {name: getattr(tariff, name) for name in fields}
    return form | {"valid_from_0": "2020-01-01", "valid_from_1": "08:00:00", "because": "agreed in May"} | changes


# What is kept


def test_every_model_that_admins_change_is_kept_and_no_hot_one_is() -> None:
    kept = {noun.model.__name__ for noun in history.nouns().values()}
    assert kept >= {
        *("Region", "RegionAlias", "BoundarySet", "ServicePoint", "Agent", "Appointment", "Membership", "User"),
        *("GroupOfUser", "RightOfUser", "Rights", "RightOfGroup", "Device", "Pause", "Passkey"),
        *("Merchant", "MerchantKey", "Tariff", "Settlement", "Dispute", "ManualRelease", "Order"),
    }
    assert not kept & HOT


def test_no_secret_and_nothing_of_a_recipient_is_copied() -> None:
    secret = {"password", "key_hash", "secret_hash", "sealed", "phone_hash", "masked_name", "note", "photo", "data"}
    for noun in history.nouns().values():
        assert not secret & {f.name for f in noun.events._meta.fields}, noun.label


@pytest.mark.parametrize("label", sorted(history.nouns()))
@pytest.mark.parametrize("attack", ["UPDATE {} SET pgh_label = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_events_are_only_added(label: str, attack: str) -> None:
    table = history.nouns()[label].events._meta.db_table
    with as_owner(), connection.cursor() as cursor:  # a row to attack, whatever it says
        columns = {f.column: f for f in history.nouns()[label].events._meta.fields}
        cursor.execute(f"INSERT INTO {table} SELECT (json_populate_record(NULL::{table}, %s)).*", [_row(columns)])
        cursor.execute(f"SELECT count(*) FROM {table}")
        assert cursor.fetchone()[0] >= 1
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(attack.format(table))
    with as_owner(), pytest.raises(DatabaseError, match=r"only ever added|Cannot"), transaction.atomic():
        connection.cursor().execute(attack.format(table))


def _row(columns: dict[str, Any]) -> str:
    values: dict[str, Any] = {"pgh_id": 10**9, "pgh_created_at": "2026-01-01", "pgh_label": "added"}
    for column, field in columns.items():
        if column not in values and not field.null:
            kind = field.get_internal_type()
            values[column] = {
                "BooleanField": False, "DateField": "2026-01-01", "DateTimeField": "2026-01-01",
                "DateTimeRangeField": "[2026-01-01,2026-01-02)",
                "PointField": "SRID=4326;POINT(1 1)", "TextField": "x", "CharField": "x",
            }.get(kind, 1)  # fmt: skip
    return json.dumps(values)


def test_a_bulk_update_is_remembered_row_by_row() -> None:
    points = [make_point(capacity=5), make_point(capacity=6)]
    ServicePoint.objects.filter(pk__in=[point.pk for point in points]).update(capacity=9)
    for point, before in zip(points, ("5", "6"), strict=True):
        newest = told(noun="network.servicepoint", object_id=point.pk)[0]
        assert newest.changes == [("容量（件）", before, "9")] or newest.changes[0][1:] == (before, "9")


def test_what_changes_nothing_that_is_kept_makes_no_event() -> None:
    device, _key = factories.make_device(make_point())
    user = make_user()
    before = len(told())
    Device.objects.filter(pk=device.pk).update(seen_at=now())
    User.objects.filter(pk=user.pk).update(last_login=now())
    assert len(told()) == before


def test_a_password_is_remembered_as_set_and_never_as_what_it_is() -> None:
    user = make_user()
    user.set_password("long-pass-word-1")
    user.save(update_fields=["password"])
    newest = told(noun="network.user", object_id=user.pk)[0]
    assert (newest.verb, newest.changes) == ("password", [])
    assert "argon2" not in str(newest.data)


def test_rights_and_groups_of_a_person_are_remembered_on_the_persons_page() -> None:
    user, group = make_user(), Group.objects.create(name="Support")
    right = Permission.objects.get(codename="view_region")
    group.permissions.add(right)
    user.groups.add(group)
    user.user_permissions.add(right)
    user.groups.remove(group)
    page = told(noun="network.user", object_id=user.pk)
    assert [(entry.noun.label, entry.verb) for entry in page[:3]] == [
        ("network.groupofuser", "removed"),
        ("network.rightofuser", "added"),
        ("network.groupofuser", "added"),
    ]
    assert {"Support"} <= {after for entry in page for _label, _before, after in entry.changes}
    assert told(noun="network.rights", object_id=group.pk)


def test_a_points_page_tells_of_its_people_devices_and_pauses() -> None:
    point = make_point()
    make_member(point)
    factories.make_device(point)
    labels = {entry.noun.label for entry in told(noun="network.servicepoint", object_id=point.pk)}
    assert labels == {"network.servicepoint", "network.membership", "network.device"}
    assert {entry.title for entry in told(noun="network.servicepoint", object_id=point.pk)} == {str(point)}


# Who, where and why


def test_a_change_in_the_administration_has_who_what_when_where_and_why(client: Client, root: User) -> None:
    tariff = Tariff.objects.get()
    path = page_of(Tariff, "change", tariff.pk)
    assert client.post(path, tariff_form(tariff, cap_minor=900)).status_code == 302
    [newest, *_] = told(noun="pickup.tariff", object_id=tariff.pk)
    assert (newest.who, newest.path, newest.why, newest.verb) == ("Root", path, "agreed in May", "changed")
    assert [change[1:] for change in newest.changes] == [("1000", "900")]


@pytest.mark.parametrize("model", ["tariff", "point", "merchant", "region", "person"])
def test_where_money_and_territory_are_concerned_nothing_is_saved_without_a_reason(
    client: Client, root: User, chain: dict[Level, Region], model: str
) -> None:
    rows: dict[str, Callable[[], Any]] = {
        "tariff": Tariff.objects.get,
        "point": make_point,
        "merchant": lambda: factories.make_merchant()[0],
        "region": lambda: chain[Level.CITY],
        "person": make_user,
    }
    row = rows[model]()
    page = client.get(page_of(type(row), "change", row.pk))
    form = page.context["adminform"].form
    body = {name: form[name].value() or "" for name in form.fields}
    inlines = {
        f"{one.formset.prefix}-{name}": "0"
        for one in page.context["inline_admin_formsets"]
        for name in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    before = len(told())
    response = client.post(page_of(type(row), "change", row.pk), body | inlines | {"because": "  "})
    assert response.status_code == 200
    assert "because" in response.context["adminform"].form.errors
    assert len(told()) == before


def test_the_reason_of_a_new_appointment_is_its_own(client: Client, root: User, chain: dict[Level, Region]) -> None:
    agent = factories.make_agent()
    page = client.get(page_of(Appointment, "add")).content.decode()
    assert 'name="because"' not in page
    body = {"agent": agent.pk, "region": chain[Level.CITY].pk, "reason": "best plan", "valid_0": "2026-01-01T00:00:00",
            "valid_1": "2027-01-01T00:00:00"}  # fmt: skip
    assert client.post(page_of(Appointment, "add"), body).status_code == 302
    assert told(noun="network.region", object_id=chain[Level.CITY].pk)[0].why == "best plan"


def test_a_revocation_carries_who_and_the_reason_that_was_given(client: Client, root: User) -> None:
    device, _key = factories.make_device(make_point())
    body = {"action": "revoke", "_selected_action": [device.pk], "because": "phone lost"}
    client.post(page_of(Device, "changelist"), body)
    newest = told(noun="network.device", object_id=device.pk)[0]
    assert (newest.who, newest.why, newest.verb) == ("Root", "phone lost", "changed")


def test_an_owners_change_of_the_people_carries_the_owners_name(client: Client) -> None:
    point = make_point()
    owner, clerk = make_member(point, name="Boss"), make_member(point, "clerk")
    client.force_login(owner)
    client.post(f"/counter/{point.pk}/people/members/{clerk.pk}/", {"action": "remove"})
    membership = Membership.objects.get(user=clerk)
    if membership.ended_at is not None:
        assert told(noun="network.membership", object_id=membership.pk)[0].who == "Boss"


def test_a_command_leaves_its_name(chain: dict[Level, Region]) -> None:
    call_command("appoint", "A-1", "440300", stdout=open("/dev/null", "w"))  # noqa: SIM115
    appointment = Appointment.objects.get()
    assert told(noun="network.appointment", object_id=appointment.pk)[0].who == "appoint"
    assert told(noun="network.agent", object_id=Agent.objects.get().pk)[0].who == "appoint"


def test_a_change_by_hand_is_remembered_though_nobody_told_who() -> None:
    point = make_point()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE network_servicepoint SET capacity = 3 WHERE id = %s", [point.pk])
    newest = told(noun="network.servicepoint", object_id=point.pk)[0]
    assert (newest.verb, newest.who) == ("changed", "")


# The hot path


def test_a_scan_costs_no_statement_and_no_byte_more_than_without_the_history() -> None:
    point = make_point()
    scanner = factories.scanner_of(point)
    parcel = factories.make_ready_parcel(scanner, point)
    before = len(told())
    with CaptureQueriesContext(connection) as queries:
        scanning.record(scanner, scan("pickup", parcel, token=factories.token_of(parcel)))
    assert not any("pghistory" in query["sql"] for query in queries.captured_queries)
    assert len(told()) == before


def test_a_composed_statement_is_told_like_any_other() -> None:
    point = make_point()
    statement = sql.SQL("UPDATE {} SET capacity = 4 WHERE id = %s").format(sql.Identifier("network_servicepoint"))
    with history.by(command="by hand"), connection.cursor() as cursor:
        cursor.execute(statement, [point.pk])
    assert told(noun="network.servicepoint", object_id=point.pk)[0].who == "by hand"


def test_the_middleware_leaves_scans_strangers_and_readers_alone(rf: RequestFactory) -> None:
    user = make_user()
    seen: list[bool] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(hasattr(pghistory.runtime._tracker, "value"))
        return HttpResponse()

    middleware = history.HistoryMiddleware(view)
    for method, path in (("post", "/counter/1/scans"), ("post", "/api/v1/scans"), ("get", "/admin/"), ("post", "/x/")):
        request = getattr(rf, method)(path)
        request.user = user
        middleware(request)
    assert seen == [False, False, False, True]


def test_no_trigger_of_the_history_stands_on_a_hot_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND t.tgname LIKE 'pgtrigger%%' AND c.relname NOT LIKE '%%event'"
        )
        tables = {row[0] for row in cursor.fetchall()}
    assert not tables & {f"pickup_{name.lower()}" for name in HOT}


# The page


def test_the_page_tells_the_change_in_words_and_links_to_the_thing(client: Client, root: User) -> None:
    tariff = Tariff.objects.get()
    client.post(page_of(Tariff, "change", tariff.pk), tariff_form(tariff, cap_minor=900))
    page = client.get("/history/").content.decode()
    for words in ("Root", "agreed in May", "1000", "900", f"/history/pickup.tariff/{tariff.pk}/"):
        assert words in page
    assert "agreed in May" in client.get(f"/history/pickup.tariff/{tariff.pk}/").content.decode()


def test_the_administrations_own_link_leads_there(client: Client, root: User, chain: dict[Level, Region]) -> None:
    region = chain[Level.CITY]
    response = client.get(page_of(Region, "history", region.pk))
    assert response.headers["Location"] == f"/history/network.region/{region.pk}/"
    assert f"/history/network.region/{region.pk}/" in client.get(f"/regions/{region.code}/").content.decode()


def test_it_is_filtered_by_person_noun_and_day(client: Client, root: User, chain: dict[Level, Region]) -> None:
    RegionAlias.objects.create(region=chain[Level.CITY], name="nobody-did-this")
    client.post(page_of(RegionAlias, "add"), {"region": chain[Level.CITY].pk, "name": "root-did-this"})
    both = client.get("/history/?noun=network.regionalias").content.decode()
    assert "nobody-did-this" in both
    assert "root-did-this" in both
    mine = client.get(f"/history/?person={root.pk}").content.decode()
    assert "root-did-this" in mine
    assert "nobody-did-this" not in mine
    assert "root-did-this" not in client.get("/history/?to=2020-01-01").content.decode()
    assert "root-did-this" not in client.get("/history/?noun=network.agent").content.decode()


def test_pages_neither_repeat_nor_lose_an_event(root: User) -> None:
    with connection.cursor() as cursor:  # many at one moment
        for name, table in (
            ("network_agent", "network_agentevent"),
            ("network_regionalias", "network_regionaliasevent"),
        ):
            assert name
            extra = ", region_id" if "alias" in table else ", ref"
            value = ", 1" if "alias" in table else ", 'r'"
            cursor.execute(
                f"INSERT INTO {table} (pgh_created_at, pgh_label, pgh_obj_id, id, name{extra}) "
                f"SELECT '2026-01-01', 'added', n, n, 'n'{value} FROM generate_series(1, 30) n"
            )
    whole = [(entry.noun.label, entry.number) for entry in told()]
    parts = [(e.noun.label, e.number) for e in history.every(history.Asked(), may=lambda right: True, part=7)]
    assert parts == whole
    assert len(set(parts)) == len(parts)


@pytest.mark.parametrize(
    "query",
    ["?after=x", "?after=2026_a_b", "?from=99999-01-01&to=x", "?person=x&noun=y", "?object=1", "?person=" + "9" * 40],
)
def test_a_filter_that_makes_no_sense_breaks_nothing(client: Client, root: User, query: str) -> None:
    assert client.get(f"/history/{query}").status_code == 200


def test_a_thing_that_is_gone_still_has_its_page(client: Client, root: User, chain: dict[Level, Region]) -> None:
    alias = RegionAlias.objects.create(region=chain[Level.CITY], name="Sumchun")
    pk = alias.pk
    alias.delete()
    page = client.get(f"/history/network.regionalias/{pk}/").content.decode()
    assert "Sumchun" in page
    assert "It is gone" in page


def test_a_phone_is_told_by_its_end_only(client: Client, root: User) -> None:
    make_user(phone="+8613912345678")
    assert "13912345678" not in client.get("/history/?noun=network.user").content.decode()


def test_the_page_costs_a_fixed_number_of_queries(client: Client, root: User, chain: dict[Level, Region]) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/history/").status_code == 200
        return len(queries)

    for _number in range(3):
        make_member(make_point())
    few = cost()
    for _number in range(20):
        make_member(make_point())
    assert cost() <= few <= 14  # by the number of nouns on the page, not of rows


# Strangers


def test_a_stranger_is_sent_to_the_front_door(client: Client) -> None:
    assert client.get("/history/").headers["Location"].startswith("/?next=/history/")


def test_for_everybody_without_the_right_there_is_no_history(client: Client, chain: dict[Level, Region]) -> None:
    others = [
        make_member(make_point()),
        make_user(is_staff=True),
        staff_with("network.view_region"),
        make_user(is_superuser=True),  # may do everything, and is no staff
    ]
    for user in others:
        client.force_login(user)
        for path in ("/history/", f"/history/network.region/{chain[Level.CITY].pk}/"):
            assert client.get(path).status_code == 404


def test_who_may_not_see_a_noun_reads_nothing_of_it_in_the_history(client: Client, chain: dict[Level, Region]) -> None:
    point = make_point(name="Secret Shop")
    client.force_login(staff_with("network.view_history", "network.view_region"))
    page = client.get("/history/").content.decode()
    assert "深圳市" in page
    assert "Secret Shop" not in page
    assert client.get(f"/history/network.servicepoint/{point.pk}/").status_code == 404
    assert client.get(f"/history/network.region/{chain[Level.CITY].pk}/").status_code == 200


def test_the_page_only_reads(client: Client, root: User) -> None:
    for method in (client.post, client.put, client.delete):
        assert method("/history/").status_code == 405
