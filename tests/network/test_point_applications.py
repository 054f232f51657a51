"""Applications for service points: the applicant's own, limited in number, decided once and by somebody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import now

from network import point_applications as applications
from network.models import Level, Membership, Pause, PointApplication, ServicePoint, User
from network.point_applications import Draft, Refused
from tests import factories
from tests.network.test_photos import picture

Status = PointApplication.Status
DRAFT = Draft(
    name="Corner Shop",
    address="广东省深圳市南山区科苑路1号",
    phone="+8613800138000",
    lat=22.54,
    lon=113.94,
    opening_hours="Mo-Su 09:00-21:00",
    capacity=150,
    photo=picture(),
)


@pytest.fixture
def applicant(chain: dict[Any, Any]) -> User:
    return factories.make_user(name="Wang")


@pytest.fixture
def staff(db: None) -> User:
    return factories.make_user(is_staff=True)


def apply(applicant: User, **fields: Any) -> PointApplication:
    return applications.apply(draft=replace(DRAFT, **fields), applicant=applicant, now=now())


def approve(application: PointApplication, by: User, **fields: Any) -> ServicePoint:
    application.refresh_from_db()
    told: dict[str, Any] = {
        "ref": f"S{application.pk}",
        "reach_m": 5000,
        "largest_size": 3,
        "opens_at": None,
        "seen": application.changed_at or application.made_at,
    }
    return applications.approve(application_id=application.pk, by=by, now=now(), **(told | fields))


def code_of(refused: pytest.ExceptionInfo[Refused]) -> str:
    return refused.value.code


def test_an_approval_makes_the_point_and_its_owner(applicant: User, staff: User, chain: dict[Any, Any]) -> None:
    application = apply(applicant)
    point = approve(application, staff)
    application.refresh_from_db()
    assert (application.status, application.service_point, application.decided_by) == ("approved", point, staff)
    assert (point.status, point.name, point.capacity, point.reach_m) == ("active", "Corner Shop", 150, 5000)
    assert point.region_ids == factories.chain_ids(chain)
    assert point.city == "深圳市"
    assert Membership.objects.get(service_point=point).user == applicant
    assert Membership.objects.get(service_point=point).role == "owner"


def test_until_its_opening_day_the_point_is_paused(applicant: User, staff: User) -> None:
    opens_at = now() + timedelta(days=5)
    point = approve(apply(applicant), staff, opens_at=opens_at)
    pause = Pause.objects.get(service_point=point)
    assert (pause.reason, pause.period.upper) == ("opening", opens_at)


def test_an_opening_day_in_the_far_future_is_refused(applicant: User, staff: User) -> None:
    with pytest.raises(Refused) as refused:
        approve(apply(applicant), staff, opens_at=now() + timedelta(days=181))
    assert code_of(refused) == "opening_too_late"
    assert not ServicePoint.objects.exists()


def test_nobody_decides_on_an_own_application(applicant: User) -> None:
    application = apply(applicant)
    with pytest.raises(Refused) as refused:
        approve(application, applicant)
    assert code_of(refused) == "own_application"
    with pytest.raises(Refused):
        applications.refuse(application_id=application.pk, reason="no", by=applicant, now=now())
    with pytest.raises(IntegrityError, match="point_application_decided_by_another"), transaction.atomic():
        PointApplication.objects.filter(pk=application.pk).update(
            status="refused", reason="no", decided_by=applicant, decided_at=now()
        )


def test_what_was_corrected_since_is_not_approved_unseen(applicant: User, staff: User) -> None:
    application = apply(applicant)
    seen = application.made_at
    applications.correct(application_id=application.pk, draft=DRAFT, applicant=applicant, now=now())
    with pytest.raises(Refused) as refused:
        approve(application, staff, seen=seen)
    assert code_of(refused) == "changed"


def test_a_reference_that_is_taken_leaves_nothing_behind(applicant: User, staff: User) -> None:
    factories.make_point(ref="TAKEN")
    application = apply(applicant)
    with pytest.raises(Refused) as refused:
        approve(application, staff, ref="TAKEN")
    assert code_of(refused) == "ref_taken"
    application.refresh_from_db()
    assert application.status == Status.WAITING
    assert not Membership.objects.exists()


def test_a_decision_stands(applicant: User, staff: User) -> None:
    application = apply(applicant)
    applications.refuse(application_id=application.pk, reason="too near to another", by=staff, now=now())
    for again in (
        lambda: approve(application, staff),
        lambda: applications.withdraw(application_id=application.pk, applicant=applicant),
        lambda: applications.correct(application_id=application.pk, draft=DRAFT, applicant=applicant, now=now()),
    ):
        with pytest.raises(Refused) as refused:
            again()
        assert code_of(refused) == "gone"
    with pytest.raises(IntegrityError, match="stays as it is"), transaction.atomic():
        PointApplication.objects.filter(pk=application.pk).update(reason="other")


def test_a_refusal_needs_a_reason(applicant: User, staff: User) -> None:
    application = apply(applicant)
    with pytest.raises(Refused) as refused:
        applications.refuse(application_id=application.pk, reason="  ", by=staff, now=now())
    assert code_of(refused) == "no_reason"


def test_the_same_place_twice_is_one_application(applicant: User) -> None:
    first = apply(applicant)
    with pytest.raises(Refused) as refused:
        apply(applicant, lat=22.5401)
    assert code_of(refused) == "same_place"
    apply(applicant, lat=22.542)  # some 200 metres away
    applications.withdraw(application_id=first.pk, applicant=applicant)
    apply(applicant)


def test_two_people_may_apply_for_one_place(applicant: User) -> None:
    apply(applicant)
    apply(factories.make_user())


@pytest.mark.parametrize(
    "place",
    [
        {"lat": 0.0, "lon": 0.0},
        {"lat": float("nan"), "lon": 113.94},
        {"lat": float("inf"), "lon": 113.94},
        {"lat": 50.0},
    ],
)
def test_a_place_outside_all_regions_is_refused(applicant: User, place: dict[str, float]) -> None:
    with pytest.raises(Refused) as refused:
        apply(applicant, **place)
    assert code_of(refused) == "outside_regions"


def test_one_person_has_three_waiting_and_sends_five_a_day(applicant: User) -> None:
    made = [apply(applicant, lat=22.53 + n / 100) for n in range(3)]
    with pytest.raises(Refused) as refused:
        apply(applicant, lat=22.59)
    assert code_of(refused) == "too_many_waiting"
    for one in made:
        applications.withdraw(application_id=one.pk, applicant=applicant)
    apply(applicant)
    apply(applicant, lat=22.56)
    with pytest.raises(Refused) as refused:
        apply(applicant, lat=22.58)
    assert code_of(refused) == "too_many_today"


def test_corrections_are_counted(applicant: User) -> None:
    application = apply(applicant)
    PointApplication.objects.filter(pk=application.pk).update(changes=applications.CHANGES)
    with pytest.raises(Refused) as refused:
        applications.correct(application_id=application.pk, draft=DRAFT, applicant=applicant, now=now())
    assert code_of(refused) == "too_many_changes"


def test_a_correction_without_a_photo_keeps_the_one_before(applicant: User) -> None:
    application = apply(applicant)
    draft = replace(DRAFT, name="Other", photo=None)
    applications.correct(application_id=application.pk, draft=draft, applicant=applicant, now=now())
    application.refresh_from_db()
    assert (application.name, bytes(application.photo)) == ("Other", DRAFT.photo)


def test_a_stranger_neither_corrects_nor_withdraws_it(applicant: User) -> None:
    application, stranger = apply(applicant), factories.make_user()
    for act in (
        lambda: applications.correct(application_id=application.pk, draft=DRAFT, applicant=stranger, now=now()),
        lambda: applications.withdraw(application_id=application.pk, applicant=stranger),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert code_of(refused) == "gone"
    application.refresh_from_db()
    assert application.status == Status.WAITING


def test_a_text_that_names_another_district_is_told(applicant: User, chain: dict[Any, Any]) -> None:
    factories.make_region("440306", "宝安区", Level.DISTRICT, chain[Level.CITY], (113.7, 22.66, 114.0, 22.85))
    told = applications.lies(apply(applicant, address="广东省深圳市宝安区新安街道1号"), at=now())
    assert told.doubt == "text_location_differ"
    assert [region.name for region in told.chain][:2] == ["科技园", "南山区"]
    assert list(told.named)[-1] == "宝安区"
    assert applications.lies(apply(factories.make_user()), at=now()).doubt == ""


def test_the_decision_is_told_by_message(applicant: User, staff: User, settings: Any, tmp_path: Any) -> None:
    settings.NOTICES_FILE = str(tmp_path / "sms")
    application = apply(applicant)
    applications.refuse(application_id=application.pk, reason="secret reason", by=staff, now=now())
    application.refresh_from_db()
    assert applications.tell(application)
    text = (tmp_path / "sms").read_text()
    assert "/apply/" in text
    assert "secret reason" not in text


@pytest.mark.django_db(transaction=True)
def test_the_last_one_allowed_is_counted_once_however_many_come_together() -> None:
    factories.make_chain()
    applicant = factories.make_user()

    def send(n: int) -> str:
        try:
            apply(applicant, lat=22.53 + n / 100)
        except Refused as refused:
            return refused.code
        finally:
            connection.close()
        return "made"

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(send, range(6)))
    assert answers == ["made"] * 3 + ["too_many_waiting"] * 3
