"""What must be so before anything is served: web server, worker and clock refuse to start where it is not.

`manage.py check --deploy --tag startup --database default` says the same. A public server, one whose PICKUP_BASE_URL
is https, is held to more than one that a person tries on this machine: there those are warnings.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from celery import current_app
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from kombu.exceptions import OperationalError as BrokerError
from redis import RedisError

TAG = "startup"
KEY_BYTES = 32
GUARDED = ("pickup_posting", "pickup_scan", "pickup_handover")

WHO = """
    SELECT current_user, session_user, me.rolsuper, me.rolbypassrls,
           EXISTS (
               SELECT FROM pg_class c WHERE c.relname = ANY (%s) AND pg_has_role(current_user, c.relowner, 'USAGE')),
           login.rolsuper OR login.rolbypassrls OR EXISTS (
               SELECT FROM pg_class c WHERE c.relname = ANY (%s) AND pg_has_role(session_user, c.relowner, 'MEMBER'))
    FROM pg_roles me, pg_roles login WHERE me.rolname = current_user AND login.rolname = session_user
"""


class Refused(ImproperlyConfigured):
    """The settings are not safe to serve with."""


def refuse_unsafe(part: str) -> None:
    """Raise Refused with every reason and what to do; `part` is who wants to start."""
    found = run_checks(tags=[TAG], include_deployment_checks=True, databases=["default"])
    for connection in connections.all(initialized_only=True):
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()  # a worker forks later, and sockets are not for two
    if wrong := [message for message in found if message.is_serious() and not message.is_silenced()]:
        told = "\n".join(f"- {message.id}: {message.msg} {message.hint or ''}".rstrip() for message in wrong)
        raise Refused(f"the {part} does not start:\n{told}")


def graver(public: bool) -> Any:
    return Error if public else checks.Warning


@register(TAG, deploy=True)
def settings_are_safe(**_: Any) -> Iterable[CheckMessage]:
    if settings.DEBUG:
        yield graver(settings.SECURE)(
            "PICKUP_DEBUG is on: error pages show settings and personal data.", hint="Unset it.", id="pickup.debug"
        )
    secrets = settings.SECRETS
    if len(settings.SECRET_KEY) < 50 or len(set(settings.SECRET_KEY)) < 5 or "insecure" in settings.SECRET_KEY:
        yield weak("django_secret_key")
    keys = {
        "code_key": [secrets.get("code_key")],
        "signing_keys": list(secrets.get("signing_keys", {}).values()),
        "field_keys": secrets.get("field_keys", []),
    }
    for name, values in keys.items():
        if not values or not all(is_strong(value) for value in values):
            yield weak(name)
    if any(not kid.isascii() or not kid.isdigit() or int(kid) > 255 for kid in secrets.get("signing_keys", {})):
        yield Error("A signing key has no number from 0 to 255.", hint="Number the keys.", id="pickup.signing_keys")


def weak(name: str) -> Error:
    return Error(
        f"{name} in the secrets file is missing, short or guessable.",
        hint="Take one from a fresh file: python3 manage.py makes one in an empty PICKUP_HOME.",
        id=f"pickup.{name}",
    )


def is_strong(key: Any) -> bool:
    """32 bytes of which few are equal, as those of a random key are."""
    try:
        raw = base64.b64decode(str(key).replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return False
    bits = -sum(n / len(raw) * math.log2(n / len(raw)) for n in Counter(raw).values()) if raw else 0.0
    return len(raw) >= KEY_BYTES and bits > 4


@register(TAG, deploy=True)
def database_is_safe(databases: Sequence[str] | None = None, **_: Any) -> Iterable[CheckMessage]:
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                yield from durability(cursor)
                yield from role(cursor)
        except DatabaseError as error:
            yield Error(f"The database does not answer: {error}", hint="See DATABASE_URL.", id="pickup.database")


def durability(cursor: Any) -> Iterable[CheckMessage]:
    cursor.execute("SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')")
    off = [name for name, value in cursor.fetchall() if value == "off"]
    cursor.execute("SHOW synchronous_commit")
    if cursor.fetchone()[0] == "off":
        off.append("synchronous_commit")
    for name in off:
        yield Error(
            f"{name} is off: pickups that were confirmed would be lost in a crash.",
            hint=f"ALTER SYSTEM SET {name} = on; then reload, and look for it at the role and the database too.",
            id=f"pickup.{name}",
        )
    cursor.execute(
        "SELECT name FROM pg_settings WHERE setting = '0'"
        " AND name IN ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout') ORDER BY name"
    )
    for (name,) in cursor.fetchall():
        yield Error(f"{name} has no end: one stuck call would hold up the others.", id=f"pickup.{name}")


def role(cursor: Any) -> Iterable[CheckMessage]:
    cursor.execute(WHO, [list(GUARDED), list(GUARDED)])
    name, login, superuser, bypasses, owns, may_return = cursor.fetchone()
    hint = "Run as pickup_web or pickup_worker: README, Roles."
    if superuser:
        yield Error(f"{name} is a superuser: no rule of the database binds it.", hint=hint, id="pickup.superuser")
    elif bypasses:
        yield Error(f"{name} has BYPASSRLS.", hint=hint, id="pickup.bypassrls")
    elif owns:
        yield graver(settings.SECURE)(
            f"{name} owns the tables: it could set their guards aside.", hint=hint, id="pickup.owner"
        )
    elif may_return:
        yield graver(settings.SECURE)(
            f"The login {login} took the role {name} and can leave it again.",
            hint="Give the web server and the worker logins of their own in DATABASE_URL: README, Roles.",
            id="pickup.login",
        )


@register(TAG, deploy=True)
def broker_is_safe(databases: Sequence[str] | None = None, **_: Any) -> Iterable[CheckMessage]:
    """Asked only together with the database: without `--database` nothing is connected to."""
    if not databases or "redis" not in settings.CELERY_BROKER_URL:
        return
    grave = graver(settings.SECURE)
    try:
        with current_app.connection_for_read(connect_timeout=5) as connection:
            client = connection.default_channel.client
            appends = client.info("persistence").get("aof_enabled")
            policy = client.info("memory").get("maxmemory_policy")
    except (OSError, RedisError, BrokerError) as error:
        # A broker that is away costs a minute, never an order, so it stops nobody from starting.
        yield checks.Warning(f"The broker does not answer: {type(error).__name__}.", id="pickup.broker")
        return
    if appends != 1:
        yield grave(
            "Redis keeps nothing on disk: tasks are lost when it restarts.",
            hint="Set `appendonly yes`.",
            id="pickup.redis_appendonly",
        )
    if policy != "noeviction":
        yield grave(
            f"Redis drops what it pleases when its memory is full ({policy}).",
            hint="Set `maxmemory-policy noeviction`.",
            id="pickup.redis_eviction",
        )
