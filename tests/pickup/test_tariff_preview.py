"""A draft tariff tried on past pickups: the sums against the database's rule, the page, and who may save a version."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from random import Random
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from django.utils.timezone import localdate, localtime, now

from network.models import Appointment, Level, Region, User
from pickup import fees, ledger, recipients, releases, scanning, tariffs
from pickup.models import Dispute, Handover, ManualRelease, Parcel, Posting, Tariff
from pickup.tariffs import POINT, Line
from tests import factories
from tests.factories import chain_ids, make_appointment, make_point, make_ready_parcel, pick_up, scan
from tests.roles import as_owner

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
PAGE = "/money/tariffs/"


@pytest.fixture
def point(db: None) -> Any:
    return make_point()


@pytest.fixture
def scanner(point: Any) -> Any:
    return factories.scanner_of(point)


def draft(**fields: Any) -> Tariff:
    return Tariff(name="draft", valid_from=now(), **fields)


def previewed(of: Tariff, level: Level = Level.PROVINCE) -> tariffs.Preview:
    return tariffs.preview(of, first=now() - timedelta(days=400), end=now() + timedelta(days=1), level=level)


def collect(scanner: Any, point: Any, chain: Chain | None = None) -> Parcel:
    parcel = make_ready_parcel(scanner, point, region_ids=chain_ids(chain) if chain else ())
    assert pick_up(scanner, parcel).verdict == "ok"
    parcel.refresh_from_db()
    return parcel


# The sums.


def test_a_draft_like_the_tariff_in_force_changes_nothing(chain: Chain, scanner: Any, point: Any) -> None:
    for level in (Level.DISTRICT, Level.PROVINCE):
        make_appointment(chain[level])
    collect(scanner, point, chain)
    collect(scanner, point, chain)
    told = previewed(draft())
    province = chain[Level.PROVINCE].pk
    assert told.pickups == 2
    assert told.lines == [
        Line(province, POINT, 4000, 4000),
        Line(province, Level.PROVINCE, 1000, 1000),
        Line(province, Level.DISTRICT, 600, 600),
    ]


def test_a_draft_changes_each_kind_of_payee(chain: Chain, scanner: Any, point: Any) -> None:
    for level in (Level.DISTRICT, Level.PROVINCE):
        make_appointment(chain[level])
    collect(scanner, point, chain)
    told = previewed(draft(point_fee_minor=1500, district_minor=400, cap_minor=700), Level.CITY)
    city = chain[Level.CITY].pk
    assert [(line.region_id, line.level, line.difference_minor) for line in told.lines] == [
        (city, POINT, -500),
        (city, Level.PROVINCE, -200),
        (city, Level.DISTRICT, 100),
    ]


def test_addresses_without_a_region_of_that_level_are_told_apart(chain: Chain, scanner: Any, point: Any) -> None:
    collect(scanner, point, chain)
    collect(scanner, point)
    assert [(line.region_id, line.paid_minor) for line in previewed(draft()).lines] == [
        (chain[Level.PROVINCE].pk, 2000),
        (None, 2000),
    ]


def test_what_was_undone_never_counted_and_what_was_done_again_counts_once(scanner: Any, point: Any) -> None:
    parcel = collect(scanner, point)
    scanning.record(scanner, scan("undo", parcel, reason="wrong person"))
    assert previewed(draft()).pickups == 0
    assert pick_up(scanner, parcel).verdict == "ok"
    assert previewed(draft()).lines == [Line(None, POINT, 2000, 2000)]


def test_a_release_counts_once_it_is_approved(scanner: Any, point: Any) -> None:
    parcel = make_ready_parcel(scanner, point)
    with patch.object(recipients, "seal_photo", return_value=b"sealed"):
        releases.release(scanner, scan("pickup", parcel), reason="other", note="", photo=b"jpeg")
    assert previewed(draft()) == tariffs.Preview(0, [])
    release = ManualRelease.objects.get()
    releases.decide(release, decision=ManualRelease.Decision.APPROVED, by=factories.make_user(), now=now())
    assert previewed(draft()).lines == [Line(None, POINT, 2000, 2000)]


def test_a_pickup_whose_dispute_was_upheld_is_left_out(scanner: Any, point: Any) -> None:
    parcel = collect(scanner, point)
    Dispute.objects.create(
        handover=parcel.handovers.get(),
        outcome="upheld",
        reason="nobody came",
        resolved_by=factories.make_user(),
        resolved_at=now(),
    )
    with transaction.atomic():
        ledger.reverse(Posting.objects.get(), reason="upheld")
    assert previewed(draft()) == tariffs.Preview(0, [])


def test_only_pickups_of_the_span_and_of_the_drafts_currency_count(scanner: Any, point: Any) -> None:
    parcel = collect(scanner, point)
    at = parcel.collected_at
    assert at is not None
    assert tariffs.preview(draft(), first=at, end=at + timedelta(seconds=1), level=Level.CITY).pickups == 1
    assert tariffs.preview(draft(), first=at - timedelta(days=1), end=at, level=Level.CITY).pickups == 0
    assert previewed(draft(currency="EUR")) == tariffs.Preview(0, [])


@pytest.mark.parametrize("seed", range(4))
def test_the_sums_are_those_of_the_rule_asked_for_each_pickup(chain: Chain, seed: int) -> None:
    """Pickups of 60 days while appointments and tariffs change hands, also at the very moment of a pickup."""
    random = Random(seed)
    begin = now() - timedelta(days=60)
    chains = [chain_ids(chain), chain_ids(chain)[1:], chain_ids(chain)[2:], [chain[Level.PROVINCE].pk], []]
    moments = [begin + timedelta(minutes=random.randrange(60 * 24 * 60)) for _ in range(60)]
    for region in chain.values():
        changes = sorted({*random.sample(moments, random.randrange(4)), begin - timedelta(days=1), now()})
        for since, until in itertools.pairwise(changes):
            if random.random() < 0.7:
                Appointment.objects.create(
                    agent=factories.make_agent(), region=region, valid=DateTimeTZRange(since, until)
                )
    Tariff.objects.update(valid_from=begin - timedelta(days=2))
    Tariff.objects.create(name="in the middle", valid_from=moments[0], cap_minor=400)
    of = draft(point_fee_minor=1700, custom_minor=150, district_minor=150, city_minor=620, cap_minor=900)
    ids = write_pickups([(moment, random.choice(chains)) for moment in moments])

    told = previewed(of, Level.CITY)

    expected: dict[tuple[int | None, int], int] = {}
    with transaction.atomic():
        of.valid_from = now() + timedelta(days=365)
        of.save(force_insert=True)
        for parcel in Parcel.objects.filter(pk__in=ids):
            assert parcel.collected_at is not None
            parts = fees.agent_parts(region_ids=parcel.region_ids, at=parcel.collected_at, tariff=of)
            city = chain[Level.CITY].pk if chain[Level.CITY].pk in parcel.region_ids else None
            for level, amount in [(POINT, 1700), *((part.level, part.amount_minor) for part in parts)]:
                expected[city, level] = expected.get((city, level), 0) + amount
        transaction.set_rollback(True)
    assert told.pickups == len(moments)
    assert {(line.region_id, line.level): line.would_minor for line in told.lines if line.would_minor} == {
        key: amount for key, amount in expected.items() if amount
    }
    posted = Posting.objects.filter(kind__in=["point_fee", "agent_fee"]).values_list("amount_minor", flat=True)
    assert sum(line.paid_minor for line in told.lines) == sum(posted)


def write_pickups(pickups: list[tuple[datetime, list[int]]]) -> list[int]:
    """Hand-overs that happened at a time of the past, charged by the database's own function as of then."""
    point = make_point()
    scanner = factories.scanner_of(point)
    ids = []
    for at, region_ids in pickups:
        parcel = make_ready_parcel(scanner, point, region_ids=region_ids)
        answer = pick_up(scanner, parcel)
        assert answer.verdict == "ok"
        ids.append(parcel.pk)
        Parcel.objects.filter(pk=parcel.pk).update(collected_at=at)
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE pickup_posting DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM pickup_posting")
        cursor.execute(
            """SELECT charge_pickups(ARRAY[h.id], p.collected_at)
               FROM pickup_handover h JOIN pickup_parcel p ON p.id = h.parcel_id"""
        )
    return ids


# A draft made a version.


def test_a_version_begins_later_and_never_in_the_past(scanner: Any, point: Any) -> None:
    of = draft(point_fee_minor=1)
    with pytest.raises(tariffs.BeginsInThePast):
        tariffs.add(of, now=of.valid_from)
    of.valid_from = now() + timedelta(days=1)
    tariffs.add(of, now=now())
    collect(scanner, point)
    assert Posting.objects.get().amount_minor == 2000


def test_versions_tell_which_are_frozen(scanner: Any, point: Any) -> None:
    Tariff.objects.create(name="later", valid_from=now() + timedelta(days=1))
    collect(scanner, point)
    assert [(tariff.name, tariff.used) for tariff in tariffs.versions()] == [  # type: ignore[attr-defined]
        ("later", False),
        ("Default tariff", True),
    ]


# The page.


def staff_with(*permissions: str) -> User:
    person = factories.make_user(is_staff=True)
    for name in permissions:
        person.user_permissions.add(Permission.objects.get(content_type__app_label="pickup", codename=name))
    return person


@pytest.fixture
def admin(client: Client) -> User:
    person = staff_with("view_tariff", "view_posting", "add_tariff")
    client.force_login(person)
    client.cookies["django_language"] = "en"
    return person


def typed(**fields: str) -> dict[str, str]:
    amounts = {
        "point_fee_minor": "18.00",
        "cap_minor": "9",
        "custom_minor": "1.00",
        "district_minor": "3.50",
        "city_minor": "5.00",
        "province_minor": "8.00",
        "macro_minor": "10.00",
    }
    return amounts | {"month": f"{localtime(now()):%Y-%m}", "level": str(Level.PROVINCE.value)} | fields


def saving(**fields: str) -> dict[str, str]:
    begins = (localdate(now()) + timedelta(days=3)).isoformat()
    return typed(
        **(
            {"name": "Spring", "begins": begins, "hold_days": "7", "payable_after_hours": "72", "because": "agreed"}
            | fields
        )
    )


def test_the_page_shows_versions_and_asks_for_a_draft(client: Client, admin: User, scanner: Any, point: Any) -> None:
    collect(scanner, point)
    page = client.get(PAGE).content.decode()
    for told in ("Default tariff", "20.00 CNY", "frozen: it has paid", "1.00 · 3.00 · 5.00 · 8.00 · 10.00"):
        assert told in page, told
    assert 'name="point_fee_minor" value="20.00"' in page
    assert "Save as a new version" not in page


def test_the_page_previews_and_stores_nothing(
    client: Client, admin: User, chain: Chain, scanner: Any, point: Any
) -> None:
    make_appointment(chain[Level.DISTRICT])
    collect(scanner, point, chain)
    page = client.get(PAGE, typed()).content.decode()
    for told in ("1 pickup", "广东省", "20.00", "18.00", "−2.00", "+0.50", "−1.50", "agents · district"):
        assert told in page, told
    assert "Save as a new version" in page
    assert Tariff.objects.count() == 1


def test_a_month_without_pickups_says_so(client: Client, admin: User) -> None:
    assert "No pickup of that month" in client.get(PAGE, typed()).content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"city_minor": "1.00"}, "The ceiling of a larger region"),
        ({"cap_minor": "-1"}, "greater than or equal to 0"),
        ({"cap_minor": "1.001"}, "no more than 2 decimal places"),
        ({"cap_minor": "NaN"}, "Enter a number"),
        ({"cap_minor": ""}, "This field is required"),
        ({"month": "1999-01"}, "Select a valid choice"),
        ({"month": "x"}, "Select a valid choice"),
        ({"level": "9"}, "Select a valid choice"),
    ],
)
def test_a_wrong_draft_is_explained_and_not_previewed(
    client: Client, admin: User, fields: dict[str, str], words: str
) -> None:
    response = client.get(PAGE, typed(**fields))
    assert response.status_code == 200
    assert words in response.content.decode().replace("&#x27;", "'")
    assert "preview" not in (response.context or {})


def test_a_draft_is_saved_from_its_day_on(client: Client, admin: User) -> None:
    assert client.post(PAGE, saving()).headers["Location"] == PAGE
    tariff = Tariff.objects.get(name="Spring")
    assert (tariff.point_fee_minor, tariff.cap_minor, tariff.district_minor) == (1800, 900, 350)
    begins = datetime.combine(localdate(now()) + timedelta(days=3), datetime.min.time(), ZoneInfo(settings.TIME_ZONE))
    assert tariff.valid_from == begins
    assert LogEntry.objects.get().user == admin
    assert "Saved." in client.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"begins": "2020-01-01"}, "begins tomorrow or later"),
        ({"begins": ""}, "This field is required"),
        ({"name": ""}, "This field is required"),
        ({"name": "\x00"}, "Null characters are not allowed"),
        ({"hold_days": "61"}, "less than or equal to 60"),
        ({"city_minor": "0"}, "The ceiling of a larger region"),
    ],
)
def test_a_wrong_version_is_explained_and_not_saved(
    client: Client, admin: User, fields: dict[str, str], words: str
) -> None:
    response = client.post(PAGE, saving(**fields))
    assert response.status_code == 200
    assert words in response.content.decode()
    assert Tariff.objects.count() == 1


def test_two_versions_never_begin_on_one_day(client: Client, admin: User) -> None:
    client.post(PAGE, saving())
    assert "Another version begins on that day" in client.post(PAGE, saving(name="again")).content.decode()
    assert Tariff.objects.count() == 2


def test_who_may_only_read_saves_nothing(client: Client) -> None:
    client.force_login(staff_with("view_tariff", "view_posting"))
    assert "Save as a new version" not in client.get(PAGE, typed(), headers={"accept-language": "en"}).content.decode()
    assert client.post(PAGE, saving()).status_code == 403
    assert Tariff.objects.count() == 1


def test_to_strangers_the_page_does_not_exist(client: Client, chain: Chain, point: Any) -> None:
    agent = factories.make_user()
    make_appointment(chain[Level.PROVINCE], factories.make_agent(user=agent))
    strangers = [factories.make_member(point), agent, factories.make_user(), staff_with(), staff_with("view_tariff")]
    for stranger in strangers:
        client.force_login(stranger)
        for answer in (client.get(PAGE), client.get(PAGE, typed()), client.post(PAGE, saving())):
            assert answer.status_code == 404
    client.logout()
    assert client.get(PAGE).headers["Location"] == f"/?next={PAGE}"
    assert client.put(PAGE).status_code in (302, 405)
    assert Tariff.objects.count() == 1


def test_the_preview_takes_a_fixed_number_of_queries(
    client: Client, admin: User, chain: Chain, scanner: Any, point: Any, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        collect(scanner, point, chain)
    assert Handover.objects.count() == 3
    with django_assert_num_queries(14):  # one of them asks for the time
        client.get(PAGE, typed())
