"""Applications for regions: made with reasons, decided by somebody else once, and a past that nobody rewrites."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from unittest import mock

import pytest
from django.db import IntegrityError, InternalError, connection, transaction
from django.utils.timezone import now

from network import agents, applications
from network.applications import Status
from network.models import Agent, Appointment, AppointmentApplication, Level, Region, User
from tests import factories
from tests.factories import make_application, make_appointment, make_user
from tests.roles import as_owner

pytestmark = pytest.mark.django_db
Chain = dict[Level, Region]
YEAR = timedelta(days=365)


@pytest.fixture
def staff() -> User:
    return make_user(is_staff=True)


@pytest.fixture
def district(chain: Chain) -> Region:
    return chain[Level.DISTRICT]


def approve(row: AppointmentApplication, by: User, **fields: Any) -> AppointmentApplication:
    at = now()
    given: dict[str, Any] = {"since": at, "until": at + YEAR, "answer": "", "now": at}
    return applications.approve(application_id=row.pk, by=by, **(given | fields))


def submit(user: User, region: Region) -> AppointmentApplication:
    return applications.submit(user=user, region=region, reasons="I know every shop", contact="", now=now())


# ---------------------------------------------------------------- applying


def test_whoever_applies_waits_with_the_reasons(district: Region) -> None:
    made = submit(make_user(), district)
    assert (made.status, made.reasons, made.decided_at) == ("waiting", "I know every shop", None)


def test_a_person_waits_once_for_a_region(district: Region) -> None:
    user = make_user()
    submit(user, district)
    with pytest.raises(applications.AlreadyWaiting):
        submit(user, district)
    submit(make_user(), district)
    assert AppointmentApplication.objects.count() == 2


def test_the_database_lets_a_person_wait_once_too(district: Region) -> None:
    user = make_user()
    make_application(district, user)
    with pytest.raises(IntegrityError, match="application_waits_once"):
        make_application(district, user)


def test_who_withdrew_may_apply_again_and_withdrawing_twice_is_once(district: Region) -> None:
    user = make_user()
    made = submit(user, district)
    for _ in range(2):
        applications.withdraw(application_id=made.pk, user=user, now=now())
    made.refresh_from_db()
    assert made.status == Status.WITHDRAWN
    assert submit(user, district).status == Status.WAITING


def test_nobody_withdraws_another_persons_application(district: Region) -> None:
    made = submit(make_user(), district)
    with pytest.raises(AppointmentApplication.DoesNotExist):
        applications.withdraw(application_id=made.pk, user=make_user(), now=now())


def test_a_region_that_is_held_for_long_is_not_applied_for_and_one_that_ends_soon_is(district: Region) -> None:
    make_appointment(district)
    with pytest.raises(applications.NotVacant):
        submit(make_user(), district)
    row = Appointment.objects.get()
    agents.end(appointment_id=row.pk, at=now() + timedelta(days=30), reason="moves away", by=make_user(), now=now())
    assert submit(make_user(), district).status == Status.WAITING


def test_a_successor_who_is_appointed_already_counts_as_held(district: Region) -> None:
    make_appointment(district, until=now() + timedelta(days=5))
    make_appointment(district, since=Appointment.objects.get().valid.upper)
    with pytest.raises(applications.NotVacant):
        submit(make_user(), district)
    assert district not in applications.open_regions(at=now() + timedelta(days=1))


def test_so_many_wait_and_no_more(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications, "MOST_WAITING", 2)
    user = make_user()
    for level in (Level.CITY, Level.PROVINCE):
        submit(user, chain[level])
    with pytest.raises(applications.TooMany):
        submit(user, chain[Level.MACRO])


def test_applying_and_withdrawing_all_day_ends_too(district: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications, "MOST_PER_DAY", 2)
    user = make_user()
    for _ in range(2):
        applications.withdraw(application_id=submit(user, district).pk, user=user, now=now())
    with pytest.raises(applications.TooMany):
        submit(user, district)


def test_vacant_and_soon_vacant_regions_are_open_and_a_held_one_is_not(chain: Chain) -> None:
    make_appointment(chain[Level.CITY])
    make_appointment(chain[Level.DISTRICT], until=now() + timedelta(days=10))
    found = {region.level: region.held_until for region in applications.open_regions(at=now())}  # type: ignore[attr-defined]
    assert set(found) == {Level.MACRO, Level.PROVINCE, Level.DISTRICT, Level.CUSTOM}
    assert found[Level.MACRO] is None
    assert found[Level.DISTRICT] is not None
    assert [one.name for one in applications.open_regions(at=now(), level=Level.DISTRICT)] == ["南山区"]
    assert [one.name for one in applications.open_regions(at=now(), text="广东")] == ["广东省"]


# ---------------------------------------------------------------- deciding


def test_an_approved_applicant_becomes_an_agent_and_holds_the_region(district: Region, staff: User) -> None:
    row = make_application(district, make_user(name="Li Lei"))
    at = now()
    approve(row, staff, answer="Welcome")
    row.refresh_from_db()
    made = Appointment.objects.get()
    assert (row.status, row.decided_by, row.answer, row.appointment) == ("approved", staff, "Welcome", made)
    assert (made.agent.user, made.agent.name, made.region) == (row.user, "Li Lei", district)
    assert (made.appointed_by, made.reason) == (staff, row.reasons)
    assert made.valid.lower >= at  # nothing of the past is appointed
    assert list(agents.in_force(made.agent, at=at + timedelta(days=1))) == [made]


def test_an_agent_who_gets_another_region_stays_the_same_agent(chain: Chain, staff: User) -> None:
    agent = factories.make_agent(user=make_user())
    make_appointment(chain[Level.CITY], agent)
    assert agent.user is not None
    approve(make_application(chain[Level.DISTRICT], agent.user), staff)
    assert Agent.objects.count() == 1
    assert agent.appointments.count() == 2


def test_a_reference_that_somebody_else_has_is_not_taken(district: Region, staff: User) -> None:
    user = make_user()
    factories.make_agent(f"U{user.pk}")
    approve(make_application(district, user), staff)
    assert Agent.objects.get(user=user).ref == f"U{user.pk}-"


def test_the_past_is_not_appointed(district: Region, staff: User) -> None:
    at = now()
    approve(make_application(district), staff, since=at - timedelta(days=30), now=at)
    assert Appointment.objects.get().valid.lower > at


@pytest.mark.parametrize("days", [-1, 0, 5 * 366 + 2])
def test_a_period_that_is_none_or_has_no_end_in_sight_is_refused(district: Region, staff: User, days: int) -> None:
    row = make_application(district)
    with pytest.raises(agents.BadPeriod):
        approve(row, staff, until=now() + timedelta(days=days))
    row.refresh_from_db()
    assert row.status == Status.WAITING
    assert not Agent.objects.exists()


def test_whoever_applied_decides_nothing(district: Region, staff: User) -> None:
    row = make_application(district, staff)
    with pytest.raises(applications.OwnApplication):
        approve(row, staff)
    with pytest.raises(applications.OwnApplication):
        applications.refuse(application_id=row.pk, answer="no", by=staff, now=now())
    with pytest.raises(IntegrityError, match="application_is_decided_by_another"), transaction.atomic():
        AppointmentApplication.objects.filter(pk=row.pk).update(
            status="refused", decided_by=staff, decided_at=now(), answer="no"
        )
    assert AppointmentApplication.objects.get().status == Status.WAITING


def test_a_refusal_tells_why(district: Region, staff: User) -> None:
    row = make_application(district)
    with pytest.raises(applications.NoAnswer):
        applications.refuse(application_id=row.pk, answer=" ", by=staff, now=now())
    applications.refuse(application_id=row.pk, answer="Too far away", by=staff, now=now())
    row.refresh_from_db()
    assert (row.status, row.answer) == ("refused", "Too far away")
    assert not Appointment.objects.exists()


def test_what_is_decided_stays_decided(district: Region, staff: User) -> None:
    row = make_application(district)
    applications.refuse(application_id=row.pk, answer="Too far away", by=staff, now=now())
    with pytest.raises(applications.NotWaiting):
        approve(row, staff)
    applications.withdraw(application_id=row.pk, user=row.user, now=now())
    assert AppointmentApplication.objects.get().status == Status.REFUSED


def test_the_second_of_two_for_one_region_learns_who_holds_it_and_waits_on(district: Region, staff: User) -> None:
    first, second = make_application(district), make_application(district)
    approve(first, staff)
    with pytest.raises(agents.RegionTaken, match="is held by"):
        approve(second, staff)
    second.refresh_from_db()
    assert second.status == Status.WAITING
    assert Agent.objects.count() == 1  # none is left behind for the one who did not get it


# ---------------------------------------------------------------- ending and renewing


def test_an_early_end_has_somebody_a_moment_and_a_reason(district: Region, staff: User) -> None:
    row = make_appointment(district)
    at = now()
    agents.end(appointment_id=row.pk, at=None, reason="Never visits a shop", by=staff, now=at)
    row.refresh_from_db()
    assert (row.ended_by, row.end_reason) == (staff, "Never visits a shop")
    assert row.ended_at is not None
    assert at <= row.ended_at
    assert at + agents.LEAD <= row.valid.upper < at + timedelta(minutes=5)


def test_an_end_in_the_past_is_as_soon_as_can_be(district: Region, staff: User) -> None:
    row = make_appointment(district)
    at = now()
    agents.end(appointment_id=row.pk, at=at - timedelta(hours=3), reason="late", by=staff, now=at)
    row.refresh_from_db()
    assert row.valid.upper > at


def test_an_end_may_be_planned_and_then_come_sooner(district: Region, staff: User) -> None:
    row = make_appointment(district)
    planned = now() + timedelta(days=20)
    agents.end(appointment_id=row.pk, at=planned, reason="moves away", by=staff, now=now())
    row.refresh_from_db()
    assert row.valid.upper == planned
    agents.end(appointment_id=row.pk, at=None, reason="moved already", by=staff, now=now())
    with pytest.raises(agents.Over):
        agents.end(appointment_id=row.pk, at=planned, reason="longer again", by=staff, now=now())


def test_without_a_reason_nothing_ends(district: Region, staff: User) -> None:
    row = make_appointment(district)
    with pytest.raises(agents.NoReason):
        agents.end(appointment_id=row.pk, at=None, reason="\n ", by=staff, now=now())


def test_one_that_has_not_begun_is_taken_back(district: Region, staff: User) -> None:
    row = make_appointment(district, since=now() + timedelta(days=10))
    agents.end(appointment_id=row.pk, at=None, reason="changed their mind", by=staff, now=now())
    assert Appointment.objects.get().valid.upper - row.valid.lower == timedelta(microseconds=1)


def test_a_renewal_begins_where_the_old_one_ends_and_twice_is_once(district: Region, staff: User) -> None:
    row = make_appointment(district)
    until = row.valid.upper + YEAR
    made = [agents.renew(appointment_id=row.pk, until=until, reason="good work", by=staff) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].valid.lower == row.valid.upper
    assert Appointment.objects.count() == 2
    row.refresh_from_db()
    assert row.valid.upper == made[0].valid.lower


def test_a_renewal_into_somebody_elses_time_is_refused(district: Region, staff: User) -> None:
    row = make_appointment(district)
    make_appointment(district, since=row.valid.upper + timedelta(days=9), until=row.valid.upper + YEAR)
    with pytest.raises(agents.RegionTaken):
        agents.renew(appointment_id=row.pk, until=row.valid.upper + YEAR, reason="", by=staff)


def test_nobody_renews_their_own_appointment(district: Region, staff: User) -> None:
    row = make_appointment(district, factories.make_agent(user=staff))
    with pytest.raises(agents.OwnAppointment):
        agents.renew(appointment_id=row.pk, until=row.valid.upper + YEAR, reason="", by=staff)


def test_what_is_over_is_not_renewed(district: Region, staff: User) -> None:
    row = make_appointment(district, since=now() - timedelta(days=9), until=now() - timedelta(days=2))
    with pytest.raises(agents.Over):
        agents.renew(appointment_id=row.pk, until=now() + YEAR, reason="", by=staff)


# ---------------------------------------------------------------- nobody rewrites it

REWRITES = {
    "an end in the past": "valid = tstzrange(lower(valid), now() - interval '1 hour'), ended_at = now()",
    "a longer period": "valid = tstzrange(lower(valid), upper(valid) + interval '1 day'), ended_at = now()",
    "another beginning": "valid = tstzrange(lower(valid) - interval '1 day', upper(valid)), ended_at = now()",
    "another region": "region_id = (SELECT min(id) FROM network_region)",
    "another reason": "reason = 'a better one'",
    "an end without a reason": "valid = tstzrange(lower(valid), now() + interval '1 hour')",
    "another who appointed": "appointed_by_id = NULL, ended_at = now()",
}


@pytest.mark.parametrize("change", REWRITES.values(), ids=list(REWRITES))
def test_the_database_refuses_to_rewrite_an_appointment(district: Region, change: str) -> None:
    row = make_appointment(district)
    with (
        as_owner(),
        pytest.raises((IntegrityError, InternalError)),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE network_appointment SET {change} WHERE id = %s", [row.pk])


@pytest.mark.parametrize("table", ["network_appointment", "network_appointmentapplication"])
def test_nothing_of_it_is_deleted_or_emptied(district: Region, table: str) -> None:
    make_appointment(district)
    make_application(district)
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with (
            as_owner(),
            pytest.raises((IntegrityError, InternalError)),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {statement}")


@pytest.mark.parametrize("change", ["reasons = 'better ones'", "status = 'waiting'", "answer = 'other'"])
def test_a_decided_application_stays_as_it_was_written(district: Region, staff: User, change: str) -> None:
    row = make_application(district)
    applications.refuse(application_id=row.pk, answer="Too far away", by=staff, now=now())
    with (
        as_owner(),
        pytest.raises((IntegrityError, InternalError)),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE network_appointmentapplication SET {change} WHERE id = %s", [row.pk])


# ---------------------------------------------------------------- telling


@pytest.fixture
def outbox(settings: Any, tmp_path: Path) -> Path:
    settings.NOTICES_FILE = str(tmp_path / "notices.jsonl")
    return tmp_path / "notices.jsonl"


def sent(outbox: Path) -> list[tuple[str, str]]:
    return [(line["kind"], line["phone"]) for line in map(json.loads, outbox.read_text().splitlines())]


def test_each_decision_is_told_to_the_person(district: Region, staff: User, outbox: Path) -> None:
    first, second = make_application(district), make_application(district)
    assert applications.tell(applications.refuse(application_id=first.pk, answer="no", by=staff, now=now()))
    assert applications.tell(approve(second, staff))
    held = Appointment.objects.get()
    assert agents.tell(
        agents.renew(appointment_id=held.pk, until=held.valid.upper + YEAR, reason="", by=staff), kind="renewed"
    )
    ended = agents.end(appointment_id=held.pk, at=None, reason="why not", by=staff, now=held.valid.lower)
    assert agents.tell(ended, kind="ended")
    assert sent(outbox) == [
        ("application_refused", first.user.phone),
        ("appointed", second.user.phone),
        ("renewed", second.user.phone),
        ("ended", second.user.phone),
    ]


def test_no_message_goes_to_a_country_that_is_not_served(district: Region, staff: User, outbox: Path) -> None:
    row = make_application(district, make_user(phone="+390612345678"))
    refused = applications.refuse(application_id=row.pk, answer="no", by=staff, now=now())
    assert not applications.tell(refused)
    assert not outbox.exists()


def test_an_agent_without_an_account_is_told_nothing(district: Region, outbox: Path) -> None:
    assert not agents.tell(make_appointment(district), kind="appointed")


# ---------------------------------------------------------------- at once


def two_approvals(rows: list[AppointmentApplication], staff: User, at: datetime) -> list[str]:
    def decide(row: AppointmentApplication) -> str:
        try:
            approve(row, staff, now=at)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test tells its name
            return type(error).__name__
        finally:
            connection.close()
        return "approved"

    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(decide, rows))


@pytest.mark.django_db(transaction=True)
def test_of_two_approvals_at_once_one_wins_and_the_other_learns_why() -> None:
    """Both have locked their application and meet before either has looked at the region."""
    staff = make_user(is_staff=True)
    region = factories.make_region("440305", "南山区", Level.DISTRICT)
    rows = [make_application(region), make_application(region)]
    meeting, agent_of = Barrier(2, timeout=30), applications.agent_of

    def meet(user: User) -> Agent:
        made = agent_of(user)
        meeting.wait()
        return made

    with mock.patch.object(applications, "agent_of", meet):
        assert two_approvals(rows, staff, now()) == ["RegionTaken", "approved"]
    assert Appointment.objects.count() == Agent.objects.count() == 1
    assert sorted(AppointmentApplication.objects.values_list("status", flat=True)) == ["approved", "waiting"]


@pytest.mark.django_db(transaction=True)
def test_without_the_constraint_both_would_hold_the_region() -> None:
    """The control: the same run with the guards taken away."""
    staff = make_user(is_staff=True)
    region = factories.make_region("440305", "南山区", Level.DISTRICT)
    rows = [make_application(region), make_application(region)]
    constraint = next(one for one in Appointment._meta.constraints if one.name == "appointment_one_agent_at_a_time")
    with as_owner(), connection.schema_editor() as editor:
        editor.remove_constraint(Appointment, constraint)
    try:
        assert two_approvals(rows, staff, now()) == ["approved", "approved"]
        assert Appointment.objects.count() == 2
    finally:
        with as_owner(), connection.cursor() as cursor:
            cursor.execute("ALTER TABLE network_appointment DISABLE TRIGGER USER")
            cursor.execute("ALTER TABLE network_appointmentapplication DISABLE TRIGGER USER")
            cursor.execute("DELETE FROM network_appointmentapplication")
            cursor.execute("DELETE FROM network_appointment")
            cursor.execute("ALTER TABLE network_appointment ENABLE TRIGGER USER")
            cursor.execute("ALTER TABLE network_appointmentapplication ENABLE TRIGGER USER")
        with as_owner(), connection.schema_editor() as editor:
            editor.add_constraint(Appointment, constraint)
