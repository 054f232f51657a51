"""`appoint`: an agent, a region, a period; refused in plain words."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.utils.timezone import localdate

from network.models import Agent, Appointment, Level, Region

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("chain")]

SHANGHAI = ZoneInfo("Asia/Shanghai")


def appoint(*arguments: str) -> str:
    out = StringIO()
    call_command("appoint", *arguments, stdout=out)
    return out.getvalue()


def test_an_unknown_agent_is_made_and_appointed_from_the_start_of_today() -> None:
    assert "zhang is appointed to 南山区 440305" in appoint("zhang", "440305")
    made = Appointment.objects.get()
    assert made.agent == Agent.objects.get(ref="zhang")
    assert made.region == Region.objects.get(level=Level.DISTRICT)
    today = localdate()
    assert made.valid.lower == datetime(today.year, today.month, today.day, tzinfo=SHANGHAI)
    assert (made.valid.upper - made.valid.lower).days == 365


def test_the_days_are_those_of_the_networks_time_zone() -> None:
    appoint("zhang", "440305", "--since", "2026-01-01", "--until", "2026-02-01")
    valid = Appointment.objects.get().valid
    assert valid.lower == datetime(2026, 1, 1, tzinfo=SHANGHAI)
    assert valid.upper == datetime(2026, 2, 1, tzinfo=SHANGHAI)


def test_the_next_agent_may_begin_on_the_day_the_last_one_ends() -> None:
    appoint("zhang", "440305", "--since", "2026-01-01", "--until", "2026-02-01")
    appoint("li", "440305", "--since", "2026-02-01", "--until", "2026-03-01")
    assert Appointment.objects.count() == 2


def test_the_same_appointment_again_changes_nothing() -> None:
    for _ in range(2):
        appoint("zhang", "440305", "--since", "2026-01-01", "--until", "2026-02-01")
    assert Appointment.objects.count() == 1


def test_one_agent_may_hold_two_levels() -> None:
    appoint("zhang", "440305")
    appoint("zhang", "440300")
    assert Agent.objects.get().appointments.count() == 2


def test_a_region_that_somebody_holds_is_refused_and_no_agent_is_left_behind() -> None:
    appoint("zhang", "440305", "--since", "2026-01-01", "--until", "2026-03-01")
    with pytest.raises(CommandError, match="南山区 440305 is held by zhang until 2026-0"):
        appoint("li", "440305", "--since", "2026-02-01", "--until", "2026-04-01")
    assert not Agent.objects.filter(ref="li").exists()


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(CommandError, match="no region has the code 999999"):
        appoint("zhang", "999999")
    assert not Agent.objects.exists()


@pytest.mark.parametrize(
    "day",
    [
        "2026-13-01",
        "2026-02-30",
        "01.02.2026",
        "2026-1-1",
        "２０２６-01-01",
        "20260101",
        "today",
        "0001-01-01",
        "9999-12-31",
    ],
)
def test_a_day_that_is_none_is_refused(day: str) -> None:
    with pytest.raises(CommandError, match=r"is not a day like|a year between"):
        appoint("zhang", "440305", "--since", day)
    assert not Appointment.objects.exists()


@pytest.mark.parametrize("until", ["2026-01-01", "2025-12-31"])
def test_an_end_that_is_not_after_the_beginning_is_refused(until: str) -> None:
    with pytest.raises(CommandError, match="must end after it begins"):
        appoint("zhang", "440305", "--since", "2026-01-01", "--until", until)
    assert not Agent.objects.exists()


@pytest.mark.parametrize("ref", ["", " ", "x" * 65, "a\x00b", "a\nb", "\udcff"])
def test_a_reference_that_cannot_be_one_is_refused(ref: str) -> None:
    with pytest.raises(CommandError, match="is no agent reference"):
        appoint(ref, "440305")


def test_asking_again_later_without_dates_changes_nothing() -> None:
    appoint("zhang", "440305", "--since", (localdate() - timedelta(days=3)).isoformat())
    assert "zhang is appointed to 南山区 440305" in appoint("zhang", "440305")
    assert Appointment.objects.count() == 1
