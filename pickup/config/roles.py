"""Who may do what in the database. Migrations run as the owner; web and worker as roles that own nothing.

`RIGHTS` is the whole list: what is not in it no role but the owner may touch, and a test fails until a new table has
its line. The rights are granted anew after every `migrate`, so that the list is true whatever was granted before; why
so, and what the roles cannot do, is in docs/decisions/0016-roles.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import SQL, Composable, Identifier

WEB, WORKER, AUDIT = "pickup_web", "pickup_worker", "pickup_audit"
ROLES = (WEB, WORKER, AUDIT)

# What a role may do with a table beside reading it. Columns named after a minus never change once they are written.
NOTHING, READ = "NOTHING", ""
ADD = "INSERT"
KEEP = "INSERT, UPDATE"
ALL = "INSERT, UPDATE, DELETE"


def keep_but(*columns: str) -> str:
    return f"INSERT, UPDATE -{' '.join(columns)}"


def only(*columns: str) -> str:
    return f"INSERT, UPDATE {' '.join(columns)}"


def change(*columns: str) -> str:
    """Add nothing; FOR UPDATE too asks for the right to change some column, so a lock needs one of these."""
    return f"UPDATE {' '.join(columns)}"


def both(rights: str) -> Mapping[str, str]:
    return {WEB: rights, WORKER: rights}


def web(rights: str, worker: str = READ) -> Mapping[str, str]:
    return {WEB: rights, WORKER: worker}


RIGHTS: dict[str, Mapping[str, str]] = {
    # What happened: only added to. Here the grants hold even where somebody set a trigger aside.
    "pickup_scan": both(ADD),
    "pickup_arrival": both(ADD),
    "pickup_posting": both(ADD),
    "pickup_account": both(ADD),
    "pickup_assignment": both(ADD),
    "pickup_settlement": web(READ, worker=ADD),
    "pickup_statement": web(READ, worker=ADD),
    "pickup_statementline": web(READ, worker=ADD),
    "pickup_sealedrow": web(READ, worker=ADD),
    "pickup_sealblock": web(READ, worker=ADD),
    "pickup_casenote": web(ADD),
    "pickup_bankfile": both(ADD),  # a person takes it away, or the worker sends it
    "pickup_payoutstep": both(ADD),
    "pickup_stockcount": web(ADD),
    "pickup_stockcountline": web(ADD),
    "pickup_reviewdecision": web(ADD),
    "network_draftedit": web(ADD),
    "pickup_personaldataread": web(ADD),
    "pickup_pageopening": web(ADD),
    # What ends once, in the columns that say how.
    "pickup_handover": both(only("undone_by_id")),
    "pickup_manualrelease": web(only("decision", "decided_by_id", "decided_at")),
    "pickup_dispute": web(only("outcome", "reason", "resolved_by_id", "resolved_at")),
    "pickup_hold": web(change("decision", "reason", "decided_by_id", "decided_at"), worker=ADD),
    "pickup_pickupquestion": web(change("answer", "answered_at"), worker=ADD),
    "pickup_delegation": web(only("revoked_at"), worker=only("revoked_at")),
    "pickup_linecase": web(only("outcome", "decided_by_id", "decided_at", "reversal_id")),
    "pickup_bankdetails": web(only("decision", "decided_by_id", "decided_at", "reason")),
    "pickup_adjustment": web(only("decision", "decided_by_id", "decided_at")),
    "pickup_payoutbatch": web(only("decision", "decided_by_id", "decided_at")),
    "network_appointmentapplication": web(only("status", "decided_by_id", "decided_at", "answer", "appointment_id")),
    "network_pointproposal": web(only("status", "decided_by_id", "decided_at", "answer", "service_point_id")),
    "network_pointapplication": web(keep_but("id", "applicant_id", "made_at")),
    "network_closing": web(
        keep_but("id", "service_point_id", "asked_by_id", "made_at"), worker=change("state", "begun_at", "ended_at")
    ),
    # What moves on.
    "pickup_order": both(keep_but("id", "merchant_id", "reference", "body_hash", "placed_at", "address_id")),
    "pickup_parcel": both(keep_but("id", "uuid", "order_id", "barcode", "size", "weight_g", "person")),
    "pickup_pickupcode": both(keep_but("parcel_id")),
    "pickup_recipient": both(keep_but("order_id")),
    "pickup_notice": both(keep_but("id", "parcel_id", "kind", "round", "created_at")),
    "pickup_messageday": both(keep_but("id", "day")),
    "pickup_wrongcodeday": web(keep_but("id", "service_point_id", "day")),
    "pickup_reviewdesk": web(ALL),
    "pickup_impactpreview": web(
        ALL, worker=change("status", "done", "total", "seen_at", "message", "result")
    ),  # asked for by people, worked out by either
    "network_export": web(
        ADD, worker=change("state", "claim", "beat_at", "tries", "rows_done", "rows_all", "ended_at")
    ),  # asked for by people, written by the worker
    "pickup_payout": web(only("state", "posting_id"), worker=change("state", "posting_id")),
    "pickup_jobrun": web(READ, worker=ALL),
    "pickup_batch": both("INSERT, DELETE"),  # who is being worked on
    "pickup_scoredday": web(READ, worker=keep_but("id", "day")),
    "pickup_contested": both(READ),  # a view
    "parcel_step": both(READ),
    "payout_follows": both(READ),
    # What people set.
    "pickup_tariff": web(KEEP),
    "pickup_banktemplate": web(KEEP),
    "pickup_merchant": web(KEEP),
    "pickup_merchantkey": web(only("revoked_at")),
    "network_agent": web(KEEP),
    "network_appointment": web(only("valid", "ended_by_id", "ended_at", "end_reason")),
    "network_servicepoint": web(KEEP, worker=change("status", "region_id", "region_ids")),
    "network_pause": web(ALL),
    "network_visitornotice": web(ALL),
    "network_membership": web(KEEP),
    "network_invitation": web(keep_but("id", "user_id", "service_point_id", "made_by_id", "made_at")),
    "network_device": web(keep_but("id", "service_point_id", "created_at")),
    "network_pairing": web(ALL),
    # Places. Outlines, cells and overlaps follow from the others by triggers that run as the owner.
    "network_address": both(keep_but("id", "given_lat", "given_lon", "given_datum")),
    "network_region": web(KEEP),
    "network_regionalias": web(ALL),
    "network_boundaryset": web(only("points_placed_at"), worker=change("points_placed_at")),
    "network_boundary": web(only("valid")),
    "network_boundaryoverlap": web(READ),
    "network_outline": web(READ),
    "network_pointcell": web(READ),
    "network_regiondraft": web(keep_but("id", "author_id", "created_at")),
    "network_draftshape": web(ALL),
    "network_draftacceptance": web(ALL),
    "network_confirmedplace": web(ALL, worker=f"DELETE, {change('used', 'kept_until')}"),
    # What geocoders outside said, and how they do. Who deletes an answer has it asked for again.
    "network_geocodedplace": both(f"DELETE, {keep_but('id', 'geocoder', 'key')}"),
    "network_geocoderstate": both(keep_but("name")),
    "spatial_ref_sys": both(READ),
    # Their history. Whoever changes a row adds its event, by a trigger; nobody changes an event.
    "network_agentevent": web(ADD),
    "network_appointmentapplicationevent": web(ADD),
    "network_appointmentevent": web(ADD),
    "network_boundarysetevent": both(ADD),
    "network_closingevent": both(ADD),
    "network_confirmedplaceevent": both(ADD),
    "network_deviceevent": web(ADD),
    "network_groupofuserevent": web(ADD),
    "network_membershipevent": web(ADD),
    "network_passkeyevent": web(ADD),
    "network_pauseevent": web(ADD),
    "network_pointapplicationevent": web(ADD),
    "network_pointproposalevent": web(ADD),
    "network_regionaliasevent": web(ADD),
    "network_regionevent": web(ADD),
    "network_rightofgroupevent": web(ADD),
    "network_rightofuserevent": web(ADD),
    "network_rightsevent": web(ADD),
    "network_servicepointevent": both(ADD),
    "network_userevent": web(ADD),
    "network_visitornoticeevent": web(ADD),
    "pickup_banktemplateevent": web(ADD),
    "pickup_disputeevent": web(ADD),
    "pickup_holdevent": web(ADD),
    "pickup_manualreleaseevent": web(ADD),
    "pickup_merchantevent": web(ADD),
    "pickup_merchantkeyevent": web(ADD),
    "pickup_orderevent": both(ADD),
    "pickup_settlementevent": web(READ, worker=ADD),
    "pickup_tariffevent": web(ADD),
    "pghistory_context": both(NOTHING),  # who and why stand in the events themselves
    # People and their sign-in, which background work has no business with.
    "network_user": web(KEEP),
    "network_user_groups": web(ALL),
    "network_user_user_permissions": web(ALL),
    "network_signinattempt": web(ALL, worker=NOTHING),
    "network_signincode": web(ALL, worker=NOTHING),
    "django_session": web(ALL, worker=NOTHING),
    "mfa_authenticator": web(ALL, worker=NOTHING),
    "account_emailaddress": web(READ, worker=NOTHING),
    "account_emailconfirmation": web(READ, worker=NOTHING),
    "auth_group": web(ALL),
    "auth_group_permissions": web(ALL),
    "auth_permission": web(READ),
    "django_content_type": web(READ),
    "django_admin_log": both(ADD),
    "django_migrations": both(READ),
}
AUDITED = (
    "pickup_account", "pickup_posting", "pickup_handover", "pickup_arrival", "pickup_tariff", "pickup_settlement",
    "pickup_statement", "pickup_statementline", "network_appointment", "network_region", "django_migrations",
    "pickup_linecase", "pickup_casenote", "pickup_bankdetails", "pickup_adjustment", "pickup_payoutbatch",
    "pickup_bankfile", "pickup_payout", "pickup_payoutstep", "pickup_sealedrow", "pickup_sealblock",
    "pickup_contested",
)  # fmt: skip
NUMBERED = ("pickup_handover", "pickup_scan")  # tables whose next number the roles ask for themselves
WEB_AND_WORKER = SQL(", ").join(map(Identifier, (WEB, WORKER)))

TABLES = """
    SELECT c.relname, pg_get_userbyid(c.relowner) = current_user OR r.rolsuper,
           array_agg(a.attname ORDER BY a.attnum)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_roles r ON r.rolname = current_user
    WHERE c.relkind IN ('r', 'p') OR c.relkind = 'v' AND NOT EXISTS (
        SELECT FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')  -- views of ours, not of PostGIS
    GROUP BY c.oid, r.rolsuper
"""
# Other databases of the same server are brought up to date at the same time, by parallel tests for one.
MAKE_ROLE = """
    DO $$ BEGIN
        CREATE ROLE {role} LOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$
"""


class RolesMissing(Exception):
    """The roles are not there and this login may not make them. The message says what to do."""


def after_migrate(*, using: str, stdout: Any = None, **told: Any) -> None:
    """Grant what `RIGHTS` says, after every `migrate`; emptying a database changes no rights."""
    connection = connections[using]
    if connection.vendor != "postgresql" or "plan" not in told:
        return
    try:
        grant(connection)
    except RolesMissing as error:
        print(error, file=stdout)


def grant(connection: BaseDatabaseWrapper) -> None:
    """Make the roles, if need be, and give them exactly the rights of `RIGHTS`. Raises RolesMissing."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        make_roles(cursor)
        cursor.execute(TABLES)
        tables = {name: columns for name, is_ours, columns in cursor.fetchall() if is_ours}
        for statement in [*of_database(cursor), *of_tables(tables)]:
            cursor.execute(statement)


def make_roles(cursor: Any) -> None:
    cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)])
    missing = sorted(set(ROLES) - {name for (name,) in cursor.fetchall()})
    cursor.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
    may_make = cursor.fetchone()[0]
    if missing and not may_make:
        make = " ".join(f"CREATE ROLE {name} LOGIN; GRANT {name} TO CURRENT_USER;" for name in missing)
        raise RolesMissing(
            f"The web server and the worker have no roles of their own yet ({', '.join(missing)}): they would run as "
            f"the owner of the tables. As a superuser run, with this login in place of CURRENT_USER: {make} "
            "Then run `manage.py migrate` again."
        )
    for name in missing:
        cursor.execute(SQL(MAKE_ROLE).format(role=Identifier(name)))
        cursor.execute(SQL("GRANT {} TO CURRENT_USER").format(Identifier(name)))


def of_database(cursor: Any) -> Iterable[Composable]:
    """Nobody but the owner makes tables, not even temporary ones: they could stand in for ours."""
    cursor.execute(
        "SELECT current_database(), pg_has_role(current_user, datdba, 'USAGE') FROM pg_database"
        " WHERE datname = current_database()"
    )
    name, is_ours = cursor.fetchone()
    if is_ours:
        yield SQL("REVOKE TEMPORARY, CREATE ON DATABASE {} FROM PUBLIC").format(Identifier(name))
        yield SQL("GRANT CONNECT ON DATABASE {} TO {}").format(Identifier(name), SQL(", ").join(map(Identifier, ROLES)))
        yield SQL("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        yield SQL("GRANT USAGE ON SCHEMA public TO {}").format(SQL(", ").join(map(Identifier, ROLES)))


def of_tables(tables: Mapping[str, list[str]]) -> Iterable[Composable]:
    for table, columns in sorted(tables.items()):
        name = Identifier(table)
        yield SQL("REVOKE ALL ON {} FROM PUBLIC, {}").format(name, SQL(", ").join(map(Identifier, ROLES)))
        for role, rights in RIGHTS.get(table, {}).items():
            if rights != NOTHING:
                yield SQL("GRANT {} ON {} TO {}").format(privileges(rights, columns), name, Identifier(role))
        if table in AUDITED:
            yield SQL("GRANT SELECT ON {} TO {}").format(name, Identifier(AUDIT))
        if table in NUMBERED:
            yield SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(Identifier(f"{table}_id_seq"), WEB_AND_WORKER)


def privileges(rights: str, columns: Iterable[str]) -> SQL | Composable:
    """Write the rights of one line as SQL: `INSERT, UPDATE -id` names every column but `id`."""
    verbs, _, named = rights.partition("UPDATE ")
    if not named:
        return SQL(", ").join([SQL("SELECT"), *([SQL(rights)] if rights else [])])
    chosen = named.removeprefix("-").split()
    if unknown := set(chosen) - set(columns):
        raise LookupError(f"RIGHTS names columns that do not exist: {sorted(unknown)}")
    changing = [name for name in columns if (name in chosen) != named.startswith("-")]
    return SQL("SELECT, {}UPDATE ({})").format(SQL(verbs), SQL(", ").join(map(Identifier, changing)))
