"""The pages of applications and service points: who may, what a form refuses, and nothing saved before it was shown."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import localdate, now

from network import history, point_applications, points
from network.models import Closing, Pause, PointApplication, ServicePoint, User, VisitorNotice
from network.point_applications import Draft
from pickup import codes, parcels
from pickup.models import Parcel
from tests import factories, mvt
from tests.factories import chain_ids, make_parcel, make_point, make_ready_parcel
from tests.network.test_photos import picture, png_that_claims

pytestmark = pytest.mark.django_db
RIGHTS = {
    "view_region", "view_servicepoint", "change_servicepoint", "add_servicepoint", "view_pointapplication",
    "change_pointapplication", "view_order",
}  # fmt: skip


def staff_with(*rights: str) -> User:
    user = factories.make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def client_of(user: User | None) -> Client:
    client = Client(headers={"accept-language": "en"})
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def ids(chain: dict[Any, Any]) -> list[int]:
    return chain_ids(chain)


@pytest.fixture
def point(ids: list[int]) -> ServicePoint:
    return make_point(22.54, 113.94, name="Corner Shop", region_id=ids[0], region_ids=ids, capacity=10)


@pytest.fixture
def applicant(ids: list[int]) -> User:
    return factories.make_user(name="Wang")


@pytest.fixture
def application(applicant: User) -> PointApplication:
    return send(applicant)


def send(applicant: User, **fields: Any) -> PointApplication:
    told: dict[str, Any] = {
        "name": "New Shop <b>",
        "address": "广东省深圳市南山区科苑路1号",
        "phone": "+8613800138000",
        "lat": 22.54,
        "lon": 113.94,
        "opening_hours": "Mo-Su 09:00-21:00",
        "capacity": 150,
        "photo": picture(),
    }
    return point_applications.apply(draft=Draft(**(told | fields)), applicant=applicant, now=now())


@pytest.fixture
def admin(db: None) -> Client:
    return client_of(staff_with(*RIGHTS))


def typed(**fields: Any) -> dict[str, Any]:
    days = {f"day-{n}-from-0": "09:00" for n in range(7)} | {f"day-{n}-to-0": "21:00" for n in range(7)}
    return (
        {
            "name": "New Shop",
            "address": "广东省深圳市南山区科苑路1号",
            "phone": "13800138000",
            "lat": "22.54",
            "lon": "113.94",
            "capacity": "150",
            "photo": SimpleUploadedFile("shop.jpg", picture(), "image/jpeg"),
        }
        | days
        | fields
    )


# ---------------------------------------------------------------- who may

ROLES = ["nobody", "applicant", "owner", "clerk", "agent", "bare staff", "viewer", "admin"]


def users(point: ServicePoint, applicant: User) -> dict[str, User | None]:
    agent = factories.make_user()
    factories.make_agent("Lin", user=agent)
    return {
        "nobody": None,
        "applicant": applicant,
        "owner": factories.make_member(point),
        "clerk": factories.make_member(point, "clerk"),
        "agent": agent,
        "bare staff": staff_with(),
        "viewer": staff_with("view_region", "view_servicepoint", "view_pointapplication"),
        "admin": staff_with(*RIGHTS),
    }


@pytest.mark.parametrize("role", ROLES)
def test_who_may_open_what(role: str, point: ServicePoint, applicant: User, application: PointApplication) -> None:
    client = client_of(users(point, applicant)[role])
    staff_pages = [
        "/regions/points/",
        f"/regions/points/{point.pk}/",
        f"/regions/points/applications/{application.pk}/",
        f"/regions/points/applications/{application.pk}/photo/",
    ]
    own_pages = [f"/apply/{application.pk}/", f"/apply/{application.pk}/photo/"]
    staff_status = 302 if role == "nobody" else 200 if role in ("viewer", "admin") else 404
    own_status = 302 if role == "nobody" else 200 if role == "applicant" else 404
    for path in staff_pages:
        assert client.get(path).status_code == staff_status, path
    for path in own_pages:
        assert client.get(path).status_code == own_status, path
    for path in ("/apply/", "/apply/tiles/3/6/3.pbf"):
        assert client.get(path).status_code == (302 if role == "nobody" else 200), path


@pytest.mark.parametrize("role", ROLES)
def test_who_may_change_what(role: str, point: ServicePoint, applicant: User, application: PointApplication) -> None:
    client = client_of(users(point, applicant)[role])
    expected = {"nobody": 302, "viewer": 403, "admin": 400}.get(role, 404)
    path = f"/regions/points/{point.pk}/"
    for action in ("change", "pause", "suspend", "close", "drop"):
        told = {"action": action, "reason": "full" if action == "pause" else ""}
        assert client.post(path, told).status_code == expected, action
    path = f"/regions/points/applications/{application.pk}/"
    for action in ("approve", "refuse"):
        assert client.post(path, {"action": action}).status_code == expected, action
    withdrawn = client.post(f"/apply/{application.pk}/withdraw/").status_code
    assert withdrawn == (404 if role not in ("nobody", "applicant") else 302)
    application.refresh_from_db()
    assert application.status == ("withdrawn" if role == "applicant" else "waiting")


def test_what_does_not_exist_is_not_found(admin: Client, point: ServicePoint) -> None:
    for path in ("/regions/points/999999/", "/regions/points/applications/999999/", "/apply/999999/"):
        assert admin.get(path).status_code == 404
    assert admin.post(f"/regions/points/{point.pk}/", {"action": "burn"}).status_code == 404


def test_staff_without_the_right_see_no_applications_in_the_list(application: PointApplication) -> None:
    client = client_of(staff_with("view_region", "view_servicepoint"))
    assert "New Shop" not in client.get("/regions/points/").content.decode()
    assert client.get(f"/regions/points/applications/{application.pk}/").status_code == 404


# ---------------------------------------------------------------- applying


def test_an_application_is_sent_and_seen(applicant: User) -> None:
    client = client_of(applicant)
    assert client.post("/apply/", typed()).status_code == 302
    made = PointApplication.objects.get()
    assert (made.applicant, made.phone, made.opening_hours) == (applicant, "+8613800138000", "Mo-Su 09:00-21:00")
    page = client.get("/apply/").content.decode()
    assert "New Shop" in page
    assert "waiting" in page
    photo = client.get(f"/apply/{made.pk}/photo/")
    assert photo.headers["Content-Type"] == "image/jpeg"
    assert photo.content.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"lat": "nan"}, "Enter a number"),
        ({"lat": "1e999"}, "Enter a number"),
        ({"lat": "91"}, "less than or equal to 90"),
        ({"lon": "x"}, "Enter a number"),
        ({"lat": "0", "lon": "0"}, "no region of the network"),
        ({"phone": "12"}, "not a phone number"),
        ({"capacity": "0"}, "greater than or equal to 1"),
        ({"capacity": "99999999999999999999"}, "less than or equal to 10000"),
        ({"name": ""}, "required"),
        ({"name": "a\x00b"}, "Null characters"),
        ({"photo": ""}, "required"),
        ({"photo": SimpleUploadedFile("a.jpg", b"MZ" * 100)}, "not a photo"),
        ({"photo": SimpleUploadedFile("a.png", png_that_claims(50_000, 50_000))}, "too large"),
        ({"photo": SimpleUploadedFile("a.jpg", b"\xff\xd8" + b"0" * (11 * 1024 * 1024))}, "too large"),
        ({"photo": SimpleUploadedFile("a.jpg", b"")}, "empty"),
        ({"day-0-to-0": "08:00"}, "each span ends after it begins"),
        ({"day-0-from-0": "xx"}, "fill in from and until"),
    ],
)
def test_what_cannot_be_sent_is_said_and_leaves_nothing(applicant: User, fields: dict[str, Any], words: str) -> None:
    response = client_of(applicant).post("/apply/", typed(**fields))
    assert response.status_code in (400, 409)
    assert words in response.content.decode()
    assert not PointApplication.objects.exists()


def test_an_application_is_corrected_without_a_new_photo(applicant: User, application: PointApplication) -> None:
    client = client_of(applicant)
    assert "New Shop &lt;b&gt;" in client.get(f"/apply/{application.pk}/").content.decode()
    told = typed(name="Better Shop", photo="")
    assert client.post(f"/apply/{application.pk}/", told).status_code == 302
    application.refresh_from_db()
    assert (application.name, application.changes) == ("Better Shop", 1)


def test_the_tiles_of_applicants_tell_nothing_of_vacancies(applicant: User) -> None:
    body = client_of(applicant).get("/apply/tiles/9/418/222.pbf").content

    assert {feature["vacant"] for feature in mvt.features(body)["regions"]} == {False}


# ---------------------------------------------------------------- reviewing


def test_the_review_shows_place_and_neighbours(
    admin: Client, application: PointApplication, point: ServicePoint
) -> None:
    page = admin.get(f"/regions/points/applications/{application.pk}/").content.decode()
    assert "南山区" in page
    assert "Corner Shop" in page
    assert "0 of 10 parcels" in page
    assert "<b>" not in page.split("<main")[1]


def test_an_approval_through_the_page(
    admin: Client, application: PointApplication, settings: Any, tmp_path: Any
) -> None:
    settings.NOTICES_FILE = str(tmp_path / "sms")
    opens = localdate() + timedelta(days=3)
    told = {"action": "approve", "ref": "S-1", "reach_m": "3000", "largest_size": "2", "opens": opens.isoformat()}
    path = f"/regions/points/applications/{application.pk}/"
    assert admin.post(path, told | {"seen": "rubbish"}).status_code == 400
    assert admin.post(path, told | {"seen": application.made_at.isoformat()}).status_code == 302
    made = ServicePoint.objects.get(ref="S-1")
    assert (made.reach_m, made.largest_size) == (3000, 2)
    assert Pause.objects.get(service_point=made).period.upper == points.end_of(opens - timedelta(days=1))
    assert "/apply/" in (tmp_path / "sms").read_text()
    assert admin.post(path, told | {"seen": application.made_at.isoformat()}).status_code == 400


@pytest.mark.parametrize(
    "fields",
    [{"ref": ""}, {"ref": "a b"}, {"reach_m": "0"}, {"largest_size": "9"}, {"opens": "9999-12-31"}, {"opens": "x"}],
)
def test_a_bad_approval_is_refused(admin: Client, application: PointApplication, fields: dict[str, str]) -> None:
    told = {"action": "approve", "ref": "S-1", "reach_m": "3000", "largest_size": "2", "opens": ""}
    path, seen = f"/regions/points/applications/{application.pk}/", application.made_at.isoformat()
    assert admin.post(path, told | {"seen": seen} | fields).status_code == 400
    assert not ServicePoint.objects.exists()


def test_a_refusal_through_the_page(admin: Client, applicant: User, application: PointApplication) -> None:
    path = f"/regions/points/applications/{application.pk}/"
    assert admin.post(path, {"action": "refuse", "reason": " "}).status_code == 400
    assert admin.post(path, {"action": "refuse", "reason": "too <small>"}).status_code == 302
    assert "too &lt;small&gt;" in client_of(applicant).get("/apply/").content.decode()


# ---------------------------------------------------------------- one point


def fields_of(client: Client, point: ServicePoint, **fields: Any) -> dict[str, Any]:
    page = client.get(f"/regions/points/{point.pk}/")
    told = {name: page.context["form"].initial[name] for name in page.context["form"].fields}
    return told | {"action": "change", "version": page.context["version"]} | fields


def test_nothing_is_saved_before_it_was_shown(admin: Client, point: ServicePoint, ids: list[int]) -> None:
    make_parcel(point, region_ids=ids)
    path, told = f"/regions/points/{point.pk}/", fields_of(admin, point, capacity="0")
    shown = admin.post(path, told | {"save": "1"})
    assert shown.status_code == 200
    assert "1 order on its way would lose this point" in shown.content.decode()
    assert ServicePoint.objects.get().capacity == 10
    seal = shown.context["previewed"]
    other = admin.post(path, told | {"capacity": "1", "save": "1", "previewed": seal})  # not what was shown
    assert other.status_code == 200
    assert ServicePoint.objects.get().capacity == 10
    silent = admin.post(path, told | {"save": "1", "previewed": seal})
    assert (silent.status_code, "Say why" in silent.content.decode()) == (200, True)
    assert ServicePoint.objects.get().capacity == 10
    because = {"because": "the shelf broke"}
    assert admin.post(path, told | {"save": "1", "previewed": seal} | because).status_code == 302
    assert ServicePoint.objects.get().capacity == 0
    [newest, *_] = history.events(
        history.Asked(noun="network.servicepoint", object_id=point.pk), may=lambda right: True, limit=9
    )
    assert (newest.noun.label, newest.why, newest.path) == ("network.servicepoint", "the shelf broke", path)
    assert Parcel.objects.get().service_point is None
    stale = admin.post(path, told | {"save": "1", "previewed": seal})
    assert stale.status_code == 400
    assert "changed meanwhile" in stale.content.decode()


@pytest.mark.parametrize(
    "fields",
    [{"lat": "nan"}, {"lon": "181"}, {"capacity": "-1"}, {"reach_m": "0"}, {"largest_size": "4"}, {"name": ""}],
)
def test_what_makes_no_sense_is_not_shown(admin: Client, point: ServicePoint, fields: dict[str, str]) -> None:
    path, told = f"/regions/points/{point.pk}/", fields_of(admin, point, **fields)
    assert admin.post(path, told).status_code == 400


def test_a_place_outside_all_regions_is_refused(admin: Client, point: ServicePoint) -> None:
    response = admin.post(f"/regions/points/{point.pk}/", fields_of(admin, point, lat="0", lon="0"))
    assert response.status_code == 400
    assert "no region of the network" in response.content.decode()


def test_order_numbers_are_shown_to_those_who_may_see_orders(point: ServicePoint, ids: list[int]) -> None:
    reference = make_parcel(point, region_ids=ids).order.reference
    for rights, seen in ((RIGHTS, True), (RIGHTS - {"view_order"}, False)):
        client = client_of(staff_with(*rights))
        page = client.post(f"/regions/points/{point.pk}/", fields_of(client, point, capacity="0"))
        assert (f"<td>{reference}</td>" in page.content.decode()) is seen


def test_staff_pause_suspend_and_close(admin: Client, point: ServicePoint, ids: list[int]) -> None:
    path, today = f"/regions/points/{point.pk}/", localdate()
    last = (today + timedelta(days=9)).isoformat()
    assert admin.post(path, {"action": "pause", "reason": "vacation", "last": last}).status_code == 302
    pause = Pause.objects.get()
    assert admin.post(path, {"action": "resume-pause", "pause": str(pause.pk)}).status_code == 302
    assert admin.post(path, {"action": "suspend", "reason": "fraud", "elsewhere": "1"}).status_code == 302
    assert ServicePoint.objects.get().status == "suspended"
    assert admin.post(path, {"action": "activate"}).status_code == 400
    assert admin.post(path, {"action": "activate", "because": "looked into"}).status_code == 302
    make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    plan = {"action": "close", "first": today.isoformat(), "last": last, "reason": "the lease ends"}
    shown = admin.post(path, plan)
    assert shown.status_code == 200
    assert "1 parcel there stays until" in shown.content.decode()
    assert not Closing.objects.exists()
    assert admin.post(path, plan | {"save": "1"}).status_code == 302
    assert "1 parcel still stands there" in admin.get(path).content.decode()
    assert admin.post(path, {"action": "drop"}).status_code == 302
    assert ServicePoint.objects.get().status == "active"


@pytest.mark.parametrize("days", [{"last": ""}, {"last": "2999-01-01"}, {"first": "x"}, {"last": "0001-01-01"}])
def test_days_that_make_no_sense_are_refused(admin: Client, point: ServicePoint, days: dict[str, str]) -> None:
    plan = {"action": "close", "first": localdate().isoformat(), "last": localdate().isoformat(), "reason": "x"}
    assert admin.post(f"/regions/points/{point.pk}/", plan | {"save": "1"} | days).status_code == 400
    assert not Closing.objects.exists()


def test_the_list_finds_and_tells_what_waits(admin: Client, point: ServicePoint, application: PointApplication) -> None:
    page = admin.get("/regions/points/?q=corner").content.decode()
    assert "Corner Shop" in page
    assert "New Shop &lt;b&gt;" in page
    assert "No service point by this name" in admin.get("/regions/points/?q=%00nothing").content.decode()


# ---------------------------------------------------------------- the owner's part


def test_an_owner_asks_for_closing_and_takes_it_back(point: ServicePoint) -> None:
    owner = client_of(factories.make_member(point))
    path = f"/counter/{point.pk}/shop/"
    days = {"first": localdate().isoformat(), "last": (localdate() + timedelta(days=9)).isoformat()}
    assert owner.post(path, {"action": "ask-closing", "reason": "", **days}).status_code == 400
    assert owner.post(path, {"action": "ask-closing", "reason": "retired", **days}).status_code == 302
    assert Closing.objects.get().state == "asked"
    assert "asked for" in owner.get(path).content.decode()
    assert owner.post(path, {"action": "withdraw-closing"}).status_code == 302
    assert Closing.objects.get().state == "dropped"
    assert owner.post(path, {"action": "withdraw-closing"}).status_code == 400


def test_an_owner_does_not_take_back_what_the_network_planned(admin: Client, point: ServicePoint) -> None:
    days = {
        "first": (localdate() + timedelta(days=2)).isoformat(),
        "last": (localdate() + timedelta(days=9)).isoformat(),
    }
    admin.post(f"/regions/points/{point.pk}/", {"action": "close", "reason": "x", "save": "1", **days})
    owner = client_of(factories.make_member(point))
    assert owner.post(f"/counter/{point.pk}/shop/", {"action": "withdraw-closing"}).status_code == 400
    assert Closing.objects.get().state == "planned"


@pytest.mark.parametrize("action", ["notice", "no-notice", "ask-closing", "withdraw-closing"])
def test_a_clerk_and_a_stranger_neither_write_notices_nor_close(point: ServicePoint, action: str) -> None:
    other = make_point()
    for user in (factories.make_member(point, "clerk"), factories.make_member(other), factories.make_user()):
        answer = client_of(user).post(f"/counter/{point.pk}/shop/", {"action": action})
        assert answer.status_code == 404
    assert not VisitorNotice.objects.exists()


def notice(**fields: Any) -> dict[str, Any]:
    today = localdate().isoformat()
    return {
        "action": "notice",
        "text_zh": "春节后门在施工，请走东门 <b>",
        "text_en": "Use the east door <b>",
        "first_day": today,
        "last_day": today,
    } | fields


def test_a_notice_is_read_by_recipients_and_merchants(point: ServicePoint, ids: list[int]) -> None:
    owner = client_of(factories.make_member(point))
    assert owner.post(f"/counter/{point.pk}/shop/", notice()).status_code == 302
    parcel = make_ready_parcel(factories.scanner_of(point), point, region_ids=ids)
    page = f"/t/{codes.link_of(parcel.uuid, 1)}"
    assert "Use the east door &lt;b&gt;" in client_of(None).get(page).content.decode()
    chinese = Client(headers={"accept-language": "zh-hans"}).get(page).content.decode()
    assert "请走东门 &lt;b&gt;" in chinese
    _, key = factories.make_merchant()
    near = Client().get("/api/v1/service-points?lat=22.54&lon=113.94", headers={"authorization": f"Bearer {key}"})
    assert near.json()[0]["notice"] == {
        "zh": "春节后门在施工，请走东门 <b>",
        "en": "Use the east door <b>",
        "until": localdate().isoformat(),
    }
    assert owner.post(f"/counter/{point.pk}/shop/", {"action": "no-notice"}).status_code == 302
    assert "east door" not in client_of(None).get(page).content.decode()


def test_a_notice_is_shown_on_its_days_only(point: ServicePoint) -> None:
    today = localdate()
    points.set_notice(
        point_id=point.pk, text_zh="", text_en="later", first_day=today + timedelta(days=1),
        last_day=today + timedelta(days=2), by=factories.make_user(), now=now(),
    )  # fmt: skip
    point.refresh_from_db()
    assert points.notice_on(point, now=now()) is None
    assert points.notice_on(point, now=now() + timedelta(days=1)) is not None
    assert points.notice_on(point, now=now() + timedelta(days=3)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"text_zh": " ", "text_en": ""},
        {"text_en": "x" * 121},
        {"text_en": "pay at https://evil.example"},
        {"text_zh": "请到 evil.com 付款"},
        {"last_day": ""},
        {"last_day": "2000-01-01"},
        {"last_day": "2099-01-01"},
        {"first_day": "2099-01-01"},
    ],
)
def test_a_notice_that_makes_no_sense_is_refused(point: ServicePoint, fields: dict[str, str]) -> None:
    owner = client_of(factories.make_member(point))
    assert owner.post(f"/counter/{point.pk}/shop/", notice(**fields)).status_code == 400
    assert not VisitorNotice.objects.exists()


def test_between_two_points_the_recipient_is_told_so(point: ServicePoint, ids: list[int]) -> None:
    parcel = make_parcel(point, region_ids=ids)
    parcels.issue_code(parcel)
    Parcel.objects.filter(pk=parcel.pk).update(service_point=None)
    page = client_of(None).get(f"/t/{codes.link_of(parcel.uuid, 1)}")
    assert page.status_code == 200
    assert "Another one is being looked for" in page.content.decode()


# ---------------------------------------------------------------- how many questions


def test_the_pages_ask_as_much_whatever_waits(
    admin: Client, applicant: User, application: PointApplication, point: ServicePoint, ids: list[int]
) -> None:
    def asked(path: str, told: dict[str, Any] | None = None) -> int:
        with CaptureQueriesContext(connection) as queries:
            answer = admin.post(path, told) if told else admin.get(path)
        assert answer.status_code == 200
        return len(queries)

    review, page = f"/regions/points/applications/{application.pk}/", f"/regions/points/{point.pk}/"
    change = fields_of(admin, point, capacity="0")
    make_parcel(point, region_ids=ids)
    make_point(22.55, 113.945, region_id=ids[0], region_ids=ids)
    asked(review)
    before = [asked("/regions/points/"), asked(review), asked(page), asked(page, change)]
    for n in range(5):
        make_parcel(point, region_ids=ids)
        make_point(22.54 + n / 1000, 113.945, region_id=ids[0], region_ids=ids)
        send(factories.make_user(), lat=22.5 + n / 100)
    assert [asked("/regions/points/"), asked(review), asked(page), asked(page, change)] == before
    assert max(before) <= 36, before


def test_a_photo_page_reads_no_more_than_its_own(applicant: User) -> None:
    written = io.BytesIO(picture("JPEG", (900, 600)))
    send(applicant, photo=written.getvalue())
    with CaptureQueriesContext(connection) as queries:
        client_of(applicant).get("/apply/")
    assert not any('"photo"' in query["sql"] for query in queries)
