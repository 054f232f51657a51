"""Role × page × object: whoever asks for what is theirs or somebody else's gets what the table says, and no more.

`matrix.txt` has a line for each address, object and method with the answer that each role gets. An address without
lines fails the test, and the failure prints the lines as the network answers them now: read each one, decide whether it
is right, and only then put it into the table. `-` is an address without an object, `own` and `foreign` are the objects
of `tests.world`, `mixed` is a part of somebody else's under our own shop.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import get_resolver

from network import exports
from tests.world import AREAS, ROLES, Side, World, make_regions, make_side, make_world

pytestmark = pytest.mark.django_db
TABLE = Path(__file__).with_name("matrix.txt")
HOLE = re.compile(r"<(?:\w+:)?(\w+)>")
RECIPIENT = r"^t/(?P<link>[A-Za-z0-9_-]{22})/?$"
API_HOLE = re.compile(r"\{(?:path:)?(\w+)\}")
MODEL = re.compile(r"^admin/(auth|network|mfa|pickup)/\w+/")  # the administration of one model, see below
METHODS = ("GET", "POST")
# The same name in an address, of other rows: the agent's statements, the applications for a new shop.
OTHER_ROWS = {
    "agent/earnings/": {"statement_id": "agent_statement"},
    "apply/": {"application_id": "point_application"},
    "regions/points/applications/": {"application_id": "point_application"},
}
# Who may see full data or codes at all, and where. The reading itself is tested with its log.
SHOWS_CODES = {RECIPIENT}


def routes() -> Iterator[str]:
    """Every address of the project, as it is declared."""

    def walk(patterns: Any, prefix: str) -> Iterator[str]:
        for pattern in patterns:
            address = prefix + str(pattern.pattern)
            if hasattr(pattern, "url_patterns"):
                yield from walk(pattern.url_patterns, address)
            else:
                yield address or "/"

    yield from dict.fromkeys(walk(get_resolver().url_patterns, ""))


@cache
def table() -> dict[tuple[str, str, str], dict[str, int]]:
    """(address, object, method) → role → status."""
    told: dict[tuple[str, str, str], dict[str, int]] = {}
    for line in TABLE.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        address, target, method, answers = (part.strip() for part in line.rsplit(" | ", 3))
        statuses: dict[str, int] = {}
        rest = 0
        for answer in answers.split(";"):
            status, roles = answer.strip().split("=")
            if roles == "*":
                rest = int(status)
            statuses |= dict.fromkeys(roles.split(), int(status)) if roles != "*" else {}
        assert not set(statuses) - set(ROLES), line
        assert (address, target, method) not in told, f"twice: {line}"
        told[address, target, method] = {role: statuses.get(role, rest) for role in ROLES}
    return told


def targets(address: str) -> list[str]:
    holes = set(HOLE.findall(address)) | set(API_HOLE.findall(address)) | ({"link"} if address == RECIPIENT else set())
    if not holes - {"zoom", "x", "y", "app_label", "url"}:
        return ["-"]
    return ["own", "foreign", *(["mixed"] if "point_id" in holes and holes - {"point_id", "day", "secret"} else [])]


def path_to(address: str, target: str, world: World) -> str:
    """The address of an object. `mixed`: our own shop, and in it what belongs to the other one."""
    side = world.foreign if target in ("foreign", "mixed") else world.own
    ids = side.ids | ({"point_id": world.own.point.pk} if target == "mixed" else {})
    for prefix, names in OTHER_ROWS.items():
        if address.startswith(prefix):
            ids = ids | {name: side.ids[row] for name, row in names.items()}
    if address == RECIPIENT:
        return f"/t/{ids['link']}"
    if address.startswith("admin/^(?P<app_label>"):
        return "/admin/network/"
    if address.startswith("admin/(?P<url>"):
        return "/admin/no/such/page"
    filled = HOLE.sub(lambda hole: str(ids.get(hole[1], 1)), address)
    return "/" * (address != "/") + API_HOLE.sub(lambda hole: str(ids.get(hole[1], 1)), filled)


@pytest.fixture
def world() -> World:
    return make_world()


class Asker:
    """One role's browser or machine. What a question changes is taken back after its answer."""

    def __init__(self, role: str, world: World) -> None:
        self.role, self.world, self.headers = role, world, {"Accept-Language": "en"}
        self.cookies: dict[str, str] = {}
        self.client = Client(raise_request_exception=False)  # one for all: a new one loads the middleware anew
        if role in world.users:
            client = Client()
            client.force_login(world.users[role])
            self.cookies = {name: morsel.value for name, morsel in client.cookies.items()}
        elif role in world.keys:
            self.headers["Authorization"] = f"Bearer {world.keys[role]}"
        elif role == "phone":
            self.cookies = {"counter_device": world.own.phone_key}

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> tuple[int, str]:
        """Answer the status and everything that was said: the body, and where it leads."""
        client = self.client
        client.cookies.clear()
        for name, value in self.cookies.items():
            client.cookies[name] = value
        before = transaction.savepoint()
        try:
            if path.startswith("/api/") and method == "POST":
                answer: Any = client.post(path, body or {}, content_type="application/json", headers=self.headers)
            else:
                answer = client.generic(method, path, headers=self.headers) if body is None else None
                answer = answer or client.post(path, body, headers=self.headers)
            content = b"".join(answer) if answer.streaming else answer.content
            return answer.status_code, content.decode("utf-8", "replace") + answer.headers.get("Location", "")
        finally:
            transaction.savepoint_rollback(before)

    def secrets(self, address: str) -> set[str]:
        """What must not stand in this role's answer."""
        own, foreign = self.world.own, self.world.foreign
        hidden = own.personal | foreign.personal
        if address not in SHOWS_CODES:
            hidden |= own.codes | foreign.codes
        return hidden | marks_hidden_from(self.role, own, foreign)


def marks_hidden_from(role: str, own: Side, foreign: Side) -> set[str]:
    if role in ("clerk", "owner", "phone", "agent", "device"):
        return foreign.marks
    if role in ("other-owner", "other-agent"):
        return own.marks
    if role == "merchant":  # the service points of the network are no secret to a merchant
        return {mark for mark in foreign.marks if mark.endswith(("PN/", "ORDER", "MERCHANT", "AGENT", "CLERK"))}
    if role == "nobody":
        return {mark for mark in own.marks | foreign.marks if not mark.endswith(("SHOP", "CITY", "PN/", "MERCHANT"))}
    if role == "recipient":
        return foreign.marks
    if role == "staff":
        return own.marks | foreign.marks
    return set()


def said(answers: dict[str, int]) -> str:
    """The answers of all roles as the table writes them, the most frequent one for the rest."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for role in ROLES:
        by_status[answers[role]].append(role)
    rest = max(by_status, key=lambda status: len(by_status[status]))
    named = [f"{status}={' '.join(roles)}" for status, roles in sorted(by_status.items()) if status != rest]
    return "; ".join([*named, f"{rest}=*"])


def test_every_address_has_its_lines(world: World) -> None:
    missing = []
    for address in routes():
        if MODEL.match(address):
            continue
        for target in targets(address):
            for method in METHODS:
                if (address, target, method) not in table():
                    path = path_to(address, target, world)
                    now = {role: Asker(role, world).ask(method, path)[0] for role in ROLES}
                    missing.append(f"{address} | {target} | {method} | {said(now)}")
    assert not missing, "judge each line, then add it to tests/matrix.txt:\n" + "\n".join(missing)


def test_the_table_has_no_line_for_what_is_gone() -> None:
    known = {(address, target, method) for address in routes() for target in targets(address) for method in METHODS}
    assert sorted(set(table()) - known) == []


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_the_table_says_and_nothing_foreign(world: World, role: str) -> None:
    asker, wrong = Asker(role, world), []
    for (address, target, method), answers in table().items():
        status, text = asker.ask(method, path_to(address, target, world))
        if status != answers[role]:
            wrong.append(f"{method} {address} ({target}): {status}, not {answers[role]}")
        hidden = asker.secrets(address)
        if address == RECIPIENT:  # whoever has the link is let in by it, and sees that parcel only
            hidden -= world.side("foreign" if target == "foreign" else "own").marks
        asked = path_to(address, target, world)
        wrong += [f"{method} {address} ({target}) shows {mark}" for mark in hidden if mark in text.replace(asked, "")]
    assert wrong == []


def test_no_address_fails(world: World) -> None:
    assert not [key for key, answers in table().items() if max(answers.values()) >= 500]


def test_what_is_foreign_does_not_exist_for_shops_agents_and_machines() -> None:
    """The table itself is held to the promise: 404, and never 403, tells of what belongs to others."""
    ours = ("clerk", "owner", "phone", "agent", "merchant", "device")
    alike = {  # whose answer is the same for what belongs to others and for what never was
        RECIPIENT,  # the link itself is the right
        "account/invitations/<int:invitation_id>/",
        "counter/<int:point_id>/people/pairings/<int:pairing_id>/",
        "vacancies/<slug:code>/",  # regions are no secret
    }
    for (address, target, method), answers in table().items():
        if target in ("foreign", "mixed") and address not in alike:
            for role in ours:
                assert answers[role] in (302, 401, 404, 405, 422), (address, target, method, role, answers[role])


# Lists as files

MAY_TAKE: dict[str, dict[str, set[str]]] = {
    "earnings": {"own": {"clerk", "owner"}, "foreign": {"other-owner"}},
    "statement": {"own": {"clerk", "owner"}, "foreign": {"other-owner"}},
    "money-statement": {
        "own": {"clerk", "owner", "staff-money", "superuser"},
        "foreign": {"other-owner", "staff-money", "superuser"},
    },
    "money-statements": {"-": {"staff-money", "superuser"}},
    "money-settlements": {"-": {"staff-money", "superuser"}},
    "money-payout": {"-": {"staff-money", "superuser"}},
    "agent-earnings": {"-": {"agent", "other-agent"}},
    "agent-statement": {"own": {"agent"}, "foreign": {"other-agent"}},
    "agent-parcels": {"-": {"agent", "other-agent"}},
    "coverage": {"-": {"agent", "other-agent", "staff-orders", "superuser"}},
    "regions": {
        "-": {"staff-regions", "staff-points", "staff-orders", "staff-history", "superuser"},
    },
    "review": {"-": {"staff-orders", "superuser"}},
    "reports": {
        "-": {"clerk", "owner", "other-owner", "agent", "other-agent", "staff-parcels", "staff-money", "superuser"}
    },
    "history": {"-": {"staff-history", "superuser"}},
    "admin:network.servicepoint": {"-": {"staff-points", "staff-orders", "staff-history", "superuser"}},
    "admin:network.appointment": {"-": {"staff-regions", "superuser"}},
    "admin:pickup.order": {"-": {"staff-orders", "superuser"}},
    "admin:pickup.parcel": {"-": {"staff-parcels", "superuser"}},
    "admin:pickup.posting": {"-": {"staff-parcels", "staff-money", "superuser"}},
    "admin:pickup.tariff": {"-": {"staff-money", "superuser"}},
    "admin:pickup.personaldataread": {"-": {"staff-personal", "superuser"}},
    "admin:network.user": {"-": {"superuser"}},
}


def test_every_list_is_in_the_table() -> None:
    assert set(exports.LISTS) == {name for name in MAY_TAKE if ":" not in name}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_takes_away_its_own_lists_only_and_nothing_foreign_in_them(world: World, role: str) -> None:
    asker, wrong = Asker(role, world), []
    signed_in = role in world.users
    for name, sides in MAY_TAKE.items():
        for side, allowed in sides.items():
            query = world.side("foreign" if side == "foreign" else "own").export_queries[name]
            for form in ("csv", "xlsx"):
                body = {"name": name, "form": form, "query": query}
                status, text = asker.ask("POST", "/exports/new/", body)
                expected = 200 if role in allowed else 404 if signed_in else 302
                if status != expected:
                    wrong.append(f"{name} ({side}): {status}, not {expected}")
                wrong += [f"{name} ({side}) shows {mark}" for mark in asker.secrets("exports/new/") if mark in text]
    assert wrong == []


# The administration, model by model


@pytest.mark.parametrize("role", ROLES)
def test_the_administration_opens_what_a_role_may_view_and_nothing_else(world: World, role: str) -> None:
    asker, wrong = Asker(role, world), []
    for model in admin.site._registry:
        app, name = model._meta.app_label, model._meta.model_name
        may = role == "superuser" or f"{app}.view_{name}" in AREAS.get(role, [])
        may = may or f"{app}.change_{name}" in AREAS.get(role, [])
        expected = 200 if may else 403 if role in AREAS else 302
        for method in METHODS:
            status, text = asker.ask(method, f"/admin/{app}/{name}/")
            if status != expected and not (may and method == "POST"):
                wrong.append(f"{method} {app}.{name}: {status}, not {expected}")
            wrong += [f"{app}.{name} shows {mark}" for mark in asker.secrets("admin/") if mark in text]
        for page in ("add/", "1/change/", "1/delete/", "1/history/"):
            status, _text = asker.ask("GET", f"/admin/{app}/{name}/{page}")
            if not may and status not in (302, 403):
                wrong.append(f"{app}.{name} {page}: {status}")
    assert wrong == []


# Nothing of others is counted


# What differs from one answer to the next: a browser becomes a new device, because each question is taken back.
NOISE = re.compile(
    r'name="csrfmiddlewaretoken" value="\w+"|nonce="[^"]*"|\d\d:\d\d(:\d\d(\.\d+)?)?|"(?:now|at)": ?"[^"]*"|\d{9,}'
    r'|"device_id": \d+|devices?[-/]\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
)
COUNTED = {
    "owner": ["/counter/{own}/", "/counter/{own}/shelf/", "/counter/{own}/earnings/", "/counter/{own}/state",
              "/counter/{own}/count/", "/counter/{own}/people/", "/counter/{own}/shop/", "/account/", "/exports/"],
    "clerk": ["/counter/{own}/", "/counter/{own}/shelf/", "/counter/{own}/earnings/"],
    "agent": ["/agent/", "/regions/coverage/"],
    "merchant": ["/api/v1/orders/OWN-ORDER-1"],
    "device": ["/api/v1/shelf", "/api/v1/earnings"],
}  # fmt: skip


def test_counts_and_lists_are_the_same_whether_or_not_others_exist() -> None:
    chains = make_regions()
    own = make_side("own", chains["own"], lat=22.535, lon=113.935, phone="+8613811112222")
    alone = World(own, own, {"owner": own.owner, "clerk": own.clerk, "agent": own.agent},
                  {"merchant": own.merchant_key, "device": own.device_key})  # fmt: skip

    def all_said() -> dict[tuple[str, str], str]:
        told = {}
        for role, paths in COUNTED.items():
            for path in paths:
                status, text = Asker(role, alone).ask("GET", path.format(own=own.point.pk))
                assert status == 200, path
                told[role, path] = NOISE.sub("", text)
        return told

    before = all_said()
    make_side("foreign", chains["foreign"], lat=23.15, lon=113.35, phone="+8613933334444")
    after = all_said()
    assert [key for key in before if before[key] != after[key]] == []
