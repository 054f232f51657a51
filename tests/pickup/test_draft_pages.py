"""The pages on which borders are changed: who may open them, and how much they ask the database."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from network.models import Level, Region, RegionDraft, User
from tests import factories
from tests.factories import make_point

pytestmark = pytest.mark.django_db
RIGHTS = {"view_region", "view_regiondraft"}


def staff_with(*rights: str) -> User:
    user = factories.make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def signed_in(user: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def draft() -> RegionDraft:
    return RegionDraft.objects.create(name="Two of one", author=factories.make_user(name="Author"))


def pages(draft: RegionDraft) -> list[str]:
    return ["/regions/drafts/", f"/regions/drafts/{draft.pk}/", "/regions/drafts/compare/"]


def test_a_stranger_is_sent_to_the_front_door(draft: RegionDraft, client: Client) -> None:
    for path in pages(draft):
        response = client.get(path)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/?next=/regions/drafts/")


def test_shops_agents_and_staff_without_the_right_find_nothing(draft: RegionDraft) -> None:
    chain = factories.make_chain()
    agent = factories.make_user()
    factories.make_appointment(chain[Level.DISTRICT], factories.make_agent(user=agent))
    others = [
        factories.make_member(make_point()),
        agent,
        factories.make_user(is_staff=True),
        staff_with("view_region"),
        staff_with("view_regiondraft"),
        factories.make_user(is_superuser=True),  # may do everything, and is no staff
    ]
    for user in others:
        client = signed_in(user)
        assert [client.get(path).status_code for path in pages(draft)] == [404, 404, 404]


def test_who_may_look_sees_the_pages_and_no_way_to_begin_a_draft(draft: RegionDraft) -> None:
    client = signed_in(staff_with(*RIGHTS))
    assert [client.get(path).status_code for path in pages(draft)] == [200, 200, 200]
    assert 'id="new"' not in client.get("/regions/drafts/").content.decode()
    assert 'id="new"' in signed_in(staff_with(*RIGHTS, "add_regiondraft")).get("/regions/drafts/").content.decode()


def test_a_draft_that_is_not_there_is_not_found(draft: RegionDraft) -> None:
    client = signed_in(staff_with(*RIGHTS))
    for path in (f"/regions/drafts/{draft.pk + 1}/", "/regions/drafts/x/", f"/regions/drafts/{10**30}/"):
        assert client.get(path).status_code == 404


def test_nothing_is_posted_to_a_page(draft: RegionDraft) -> None:
    client = signed_in(staff_with(*RIGHTS))
    assert [client.post(path).status_code for path in pages(draft)] == [405, 405, 405]


def test_names_are_escaped_wherever_they_stand() -> None:
    draft = RegionDraft.objects.create(name="</script><b>x", author=factories.make_user(name="<i>A"))
    region = Region.objects.create(code="X1", name="<u>R", level=Level.CUSTOM, path="X1")
    client = signed_in(staff_with(*RIGHTS, "add_regiondraft"))
    told = client.get(f"/regions/drafts/{draft.pk}/").content.decode()
    told += client.get(f"/regions/drafts/?region={region.code}").content.decode()
    assert not re.search("<b>x|<i>A|<u>R", told)


def test_the_configuration_names_every_kind_of_edit_and_problem(draft: RegionDraft) -> None:
    """What the server may answer has words on the page; what is not named would be shown as a code."""
    from network.views.drafts import VALUES

    told = signed_in(staff_with(*RIGHTS)).get(f"/regions/drafts/{draft.pk}/").content.decode()
    found = re.search(r'<script id="page-config" type="application/json">(.*?)</script>', told, re.DOTALL)
    assert found is not None
    config: dict[str, Any] = json.loads(found[1])
    assert VALUES.keys() <= config["ops"].keys()
    assert set(config["kinds"]) == {"changed", "new", "returned", "renamed", "retired"}


@pytest.mark.parametrize("at", [0, 1, 2], ids=["list", "editor", "compare"])
def test_a_page_asks_little_whatever_is_stored(draft: RegionDraft, django_assert_num_queries: Any, at: int) -> None:
    factories.make_chain()
    client = signed_in(staff_with(*RIGHTS))
    path = pages(draft)[at]
    client.get(path)
    expected = [7, 8, 7][at]
    with django_assert_num_queries(expected):
        client.get(path)
    for _ in range(5):
        RegionDraft.objects.create(name="More", author=draft.author)
    with django_assert_num_queries(expected):
        client.get(path)
