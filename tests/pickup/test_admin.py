"""The administration: every model has its page, history cannot be edited, secrets and people stay out of sight."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.contrib.gis.geos import Point
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client
from django.urls import reverse
from django.utils.timezone import localdate, localtime, now

from network import assignment, drafts, geocoding, members, proposals
from network.gazetteer import Reason
from network.models import (
    Appointment,
    Boundary,
    BoundaryOverlap,
    Closing,
    ConfirmedPlace,
    Device,
    DraftAcceptance,
    Export,
    GeocodedPlace,
    GeocoderState,
    Level,
    Membership,
    Pause,
    PointApplication,
    RegionAlias,
    ServicePoint,
    SignInAttempt,
    SignInCode,
    User,
    VisitorNotice,
)
from pickup import adjustments, cases, codes, delegation, disputes, payouts, periods, releases, scanning
from pickup.models import (
    Account,
    Assignment,
    Batch,
    Handover,
    Hold,
    ImpactPreview,
    MerchantKey,
    MessageDay,
    Order,
    PageOpening,
    Parcel,
    PayoutBatch,
    PersonalDataRead,
    PickupQuestion,
    ReviewDecision,
    ReviewDesk,
    Scan,
    ScoredDay,
    StatementLine,
    StockCount,
    StockCountLine,
    Tariff,
    WrongCodeDay,
)
from pickup.review import REASONS
from pickup.why import LOST_BY
from tests import factories
from tests.factories import chain_ids, code_of, make_parcel, make_point, make_ready_parcel, pick_up, scan, token_of
from tests.roles import as_owner, as_worker

pytestmark = pytest.mark.django_db
OURS = [
    model
    for package in ("network", "pickup")
    for model in apps.get_app_config(package).get_models()
    # Events have the page of the history; a proxy that only stands for a table of Django's has that table's.
    if not hasattr(model, "pgh_tracked_model") and not model._meta.proxy
]
HISTORY = [
    *("scan", "posting", "settlement", "statement", "statementline", "arrival", "assignment", "handover", "notice"),
    *("parcel", "pickupcode", "recipient", "account", "wrongcodeday", "order"),
    *(
        "delegation",
        "dispute",
        "manualrelease",
        "stockcount",
        "stockcountline",
        "messageday",
        "jobrun",
        "batch",
        "impactpreview",
        "personaldataread",
    ),
    *("reviewdecision", "reviewdesk"),
]


@pytest.fixture
def admin_client(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("+8613900009999", name="Root"))
    client.cookies["django_language"] = "en"
    return client


def staff_with(*permissions: str, **fields: Any) -> User:
    person = factories.make_user(is_staff=True, **fields)
    for permission in permissions:
        app, name = permission.split(".")
        person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=name))
    return person


def page_of(model: type[Any], name: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=arguments)


def confirmed_place() -> ConfirmedPlace:
    return ConfirmedPlace.objects.create(
        key=b"0" * 32,
        location=Point(113.94, 22.54, srid=4326),
        accuracy_m=10,
        confirmed_by=factories.make_user(is_staff=True),
        confirmed_at=now(),
        kept_until=now() + timedelta(days=1),
    )


@pytest.fixture
def whole_network() -> Parcel:
    """At least one row of every model, by the doors that make them; answers a parcel that waits on a shelf."""
    chain = factories.make_chain()
    point = make_point(name="Corner Shop")
    owner = factories.make_member(point, phone="+8613900007777")
    members.offer_pairing(point=point, name="Till phone", by=owner, now=now())
    members.invite(point=point, phone="+8613900006666", role=members.Role.CLERK, by=owner, now=now())
    SignInCode.objects.create(phone_hash=b"0" * 16, purpose="sign_in", code_hash=b"0" * 32, made_at=now())
    agent = factories.make_agent(user=owner)
    factories.make_appointment(chain[Level.DISTRICT], agent)
    factories.make_application(chain[Level.CITY])
    proposals.propose(
        agent=agent, user=owner, lat=22.53, lon=113.94, name="Tea shop", address="", reasons="none near", now=now()
    )
    scanner = factories.scanner_of(point)
    gone = make_ready_parcel(scanner, point, region_ids=chain_ids(chain))
    pick_up(scanner, gone)
    waiting = make_ready_parcel(scanner, point, region_ids=chain_ids(chain), phone="+8613800135678")
    scanning.record(scanner, scan("pickup", waiting, code=factories.wrong_code_for(waiting)))
    Pause.objects.create(service_point=point, reason="full", period=DateTimeTZRange(now(), now() + timedelta(days=1)))
    Closing.objects.create(
        service_point=point, state="asked", reason="rent", begins_at=now(), last_day=now().date(), made_at=now()
    )
    VisitorNotice.objects.create(
        service_point=point, text_en="east door", first_day=now().date(), last_day=now().date(), changed_by=owner,
        changed_at=now(),
    )  # fmt: skip
    PointApplication.objects.create(
        applicant=owner, name="Second Shop", address="广东省深圳市南山区", phone="+8613900007777",
        location=point.location, capacity=10, photo=b"", made_at=now(),
    )  # fmt: skip
    RegionAlias.objects.create(region=chain[Level.CITY], name="鹏城")
    GeocoderState.objects.create(name="amap", free_at=now())
    GeocodedPlace.objects.create(
        geocoder="amap", key=b"k" * 32, location=point.location, accuracy_m=50, answered_at=now(),
        valid_until=now() + timedelta(days=90), kept_until=now() + timedelta(days=270),
    )  # fmt: skip
    drawn = drafts.make(name="One street less", author=owner, now=now())
    drafts.edit(drawn.pk, version=1, op="retire", values={"code": "440305-1"}, by=owner, now=now())
    DraftAcceptance.objects.create(
        draft=drawn, problem="0" * 32, kind="gap", codes=["440305"], by=owner, at=now(), reason="it is a lake"
    )
    ImpactPreview.objects.create(
        draft=drawn, drawn=2, version=2, since=now(), is_now=True, asked_by=owner, asked_at=now()
    )
    first, second = Boundary.objects.order_by("id")[:2]
    with as_owner():  # the database writes these by itself
        BoundaryOverlap.objects.create(first=first, second=second, area_m2=1.5)
    SignInAttempt.objects.create(phone_hash=b"0" * 16, address="203.0.113.7", at=now())
    Assignment.objects.create(
        order=waiting.order,
        service_point=point,
        distance_m=312.4,
        candidates=[[point.pk, 312.4, ""], [point.pk + 1, 900.0, "farther"]],
        region_ids=chain_ids(chain),
        assigned_at=now(),
    )
    confirmed_place()
    ReviewDecision.objects.create(order=waiting.order, doubt="x", kind="released", decided_by=owner, decided_at=now())
    ReviewDesk.objects.create(order=waiting.order, looked_by=owner, looked_at=now())
    WrongCodeDay.objects.get_or_create(service_point=point, day=now().date())
    delegation.make(waiting, number=1, until=now() + timedelta(seconds=5), now=now())
    contested = make_ready_parcel(scanner, point)
    pick_up(scanner, contested)
    disputes.open_dispute(contested, note="I was abroad")
    released = make_ready_parcel(scanner, point)
    releases.release(scanner, scan("pickup", released), reason="no_phone", note="", photo=b"a photo")
    count = StockCount.objects.create(service_point=point, device=factories.make_device(point)[0], count_id=uuid4())
    StockCountLine.objects.create(count=count, barcode=waiting.barcode, parcel=waiting, found="here")
    MessageDay.objects.get_or_create(day=now().date())
    with as_worker():
        periods.take(job="send_notices", every=timedelta(seconds=10), holder="", now=now())
    Batch.objects.create(status="received", order_ids=[1, 2], until=now())
    PersonalDataRead.objects.create(
        order=waiting.order, parcel=waiting, by=owner, fields=["name"], reason="the recipient asked"
    )
    Export.objects.create(made_by=owner, name="regions", form="csv", language="en")
    period = f"{localtime(now()):%Y-%m}"
    later = now() + timedelta(days=40)
    factories.close_period(period=period, now=later, currency="CNY")
    account, maker = Account.objects.get(service_point=point), factories.make_user()
    factories.make_bank_details(account)
    adjustments.propose(account=account, amount_minor=1, reason="why", by=maker)
    line = StatementLine.objects.filter(statement__account=account)[0]
    cases.open_case(line=line, text="not mine", by=factories.make_member(point))
    template, channel = factories.make_template(), PayoutBatch.Channel.FILE
    batch = payouts.draft(currency="CNY", template=template, channel=channel, by=maker, now=now())
    payouts.approve(batch=batch, by=factories.make_user(), now=now())
    payouts.make_file(batch=batch, by=None, now=now())
    factories.seal(now=now())
    some_that_are_doubted()
    return waiting


def some_that_are_doubted() -> None:
    handover = Handover.objects.order_by("id")[0]
    with as_worker():
        Hold.objects.create(
            handover=handover,
            service_point=handover.service_point,
            points=100,
            evidence=[{"sign": "fast"}],
            day=localdate(),
        )
        PickupQuestion.objects.create(handover=handover)
        ScoredDay.objects.create(day=localdate(), scored_at=now(), pickups=1, held=1)
    PageOpening.objects.create(parcel=handover.parcel, by_shop=False)


def test_every_model_of_both_packages_is_registered() -> None:
    assert [model for model in OURS if not admin.site.is_registered(model)] == []


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_page_opens_and_shows_no_secret(admin_client: Client, whole_network: Parcel, language: str) -> None:
    admin_client.cookies["django_language"] = language
    secrets = {
        code_of(whole_network),
        codes.link_of(whole_network.uuid, 1),
        token_of(whole_network),
        whole_network.code.code_hash.hex(),
        "13800135678",
        "王小明",
        "科苑路1号",
    }
    for model in OURS:
        rows = list(model._default_manager.all()[:3])
        assert rows, f"the test needs a row of {model.__name__}"
        paths = [page_of(model, "changelist"), *(page_of(model, "change", row.pk) for row in rows)]
        if admin.site._registry[model].has_add_permission(admin_client.get("/admin/").wsgi_request):
            paths.append(page_of(model, "add"))
        for path in paths:
            response = admin_client.get(path)
            assert response.status_code == 200, path
            page = response.content.decode()
            assert [secret for secret in secrets if secret in page] == [], path


def test_lists_name_people_of_the_network_by_the_end_of_their_phones_only(
    admin_client: Client, whole_network: Parcel
) -> None:
    for model in (User, Membership, Scan, Device):
        page = admin_client.get(page_of(model, "changelist")).content.decode()
        assert "13900007777" not in page


def test_searches_find_by_what_is_on_the_label(admin_client: Client, whole_network: Parcel) -> None:
    for model in OURS:
        if admin.site._registry[model].search_fields:
            response = admin_client.get(page_of(model, "changelist"), {"q": whole_network.barcode})
            assert response.status_code == 200, model
    found = admin_client.get(page_of(Parcel, "changelist"), {"q": whole_network.barcode}).content.decode()
    assert "1 parcel" in found


@pytest.mark.parametrize("name", HISTORY)
def test_history_cannot_be_added_changed_or_deleted(admin_client: Client, whole_network: Parcel, name: str) -> None:
    model = apps.get_model("pickup", name)
    row = model._default_manager.first()
    assert row is not None
    assert admin_client.get(page_of(model, "add")).status_code == 403
    assert admin_client.post(page_of(model, "change", row.pk), {"barcode": "X"}).status_code == 403
    assert admin_client.post(page_of(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    body = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    admin_client.post(page_of(model, "changelist"), body)
    assert model._default_manager.filter(pk=row.pk).exists()


def test_a_stranger_is_sent_away_from_every_page(client: Client, whole_network: Parcel) -> None:
    client.force_login(factories.make_member(make_point()))
    for model in OURS:
        response = client.get(page_of(model, "changelist"))
        assert (response.status_code, response.headers["Location"][:13]) == (302, "/admin/login/")


def test_staff_without_a_permission_sees_nothing_of_a_model(client: Client, whole_network: Parcel) -> None:
    client.force_login(staff_with("network.view_region"))
    assert client.get("/admin/network/region/").status_code == 200
    for model in OURS:
        if model._meta.model_name != "region":
            assert client.get(page_of(model, "changelist")).status_code == 403


def review_order(**fields: Any) -> Order:
    order = make_parcel(make_point()).order
    Order.objects.filter(pk=order.pk).update(**({"status": "review", "review_reason": "low_accuracy"} | fields))
    order.refresh_from_db()
    return order


def test_orders_in_review_are_found_by_their_reason(admin_client: Client) -> None:
    vague, other = review_order(), review_order(review_reason="null_island")
    page = admin_client.get(page_of(Order, "changelist"), {"reason": "low_accuracy"}).content.decode()
    assert vague.reference in page
    assert f">{other.reference}<" not in page


def test_an_order_in_review_links_to_its_page_there(admin_client: Client) -> None:
    order = review_order()
    shown = admin_client.get(page_of(Order, "change", order.pk)).content.decode()
    assert reverse("review-order", args=[order.pk]) in shown


def test_a_confirmed_place_is_forgotten_by_deleting_it(admin_client: Client, chain: dict[Level, Any]) -> None:
    place = confirmed_place()
    path = page_of(ConfirmedPlace, "delete", place.pk)
    assert admin_client.post(path, {"post": "yes"}).status_code == 302
    assert not ConfirmedPlace.objects.exists()


def tariff_form(tariff: Tariff, **changes: Any) -> dict[str, Any]:
    names = [
        *("name", "currency", "point_fee_minor", "cap_minor", "macro_minor", "province_minor", "city_minor"),
        *("district_minor", "custom_minor", "hold_days", "payable_after_hours"),
    ]
    form = {name: getattr(tariff, name) for name in names}
    return form | {"valid_from_0": "2020-01-01", "valid_from_1": "08:00:00", "because": "agreed"} | changes


def test_a_tariff_may_be_edited_until_it_has_paid_somebody(admin_client: Client) -> None:
    tariff = Tariff.objects.get()
    path = page_of(Tariff, "change", tariff.pk)
    assert admin_client.post(path, tariff_form(tariff, point_fee_minor=2500)).status_code == 302
    tariff.refresh_from_db()
    assert tariff.point_fee_minor == 2500


def test_a_tariff_that_has_paid_says_kindly_that_it_is_frozen(admin_client: Client, whole_network: Parcel) -> None:
    tariff = Tariff.objects.get()
    path = page_of(Tariff, "change", tariff.pk)
    page = admin_client.post(path, tariff_form(tariff, point_fee_minor=1), follow=True).content.decode()
    assert "its amounts and beginning are frozen" in page
    tariff.refresh_from_db()
    assert tariff.point_fee_minor == 2000
    assert admin_client.post(path, tariff_form(tariff, name="Old tariff")).status_code == 302


def test_a_tariff_that_would_begin_before_fees_were_paid_is_refused_in_words(
    admin_client: Client, whole_network: Parcel
) -> None:
    form = tariff_form(Tariff.objects.get(), name="Second", valid_from_0="2021-01-01")
    page = admin_client.post(page_of(Tariff, "add"), form, follow=True).content.decode()
    assert "A tariff cannot begin in the past" in page
    assert Tariff.objects.count() == 1
    form = tariff_form(Tariff.objects.get(), name="Next", valid_from_0="2099-01-01", macro_minor=1)
    assert "ceiling of a larger region" in admin_client.post(page_of(Tariff, "add"), form).content.decode()


def test_a_region_has_one_agent_at_a_time_and_the_form_says_so(admin_client: Client, chain: dict[Level, Any]) -> None:
    factories.make_appointment(chain[Level.CITY])
    form = {
        "agent": factories.make_agent().pk,
        "region": chain[Level.CITY].pk,
        "valid_0": f"{now():%Y-%m-%dT%H:%M:%S}",
        "valid_1": f"{now() + timedelta(days=30):%Y-%m-%dT%H:%M:%S}",
        "reason": "",
    }
    page = admin_client.post(page_of(Appointment, "add"), form).content.decode()
    assert "Somebody is appointed to this region during that time." in page
    page = admin_client.post(page_of(Appointment, "add"), form | {"valid_1": ""}).content.decode()
    assert "the last comes later" in page
    assert Appointment.objects.count() == 1


def test_an_appointment_is_shown_and_not_changed(admin_client: Client, chain: dict[Level, Any]) -> None:
    appointment = factories.make_appointment(chain[Level.CITY])
    path = page_of(Appointment, "change", appointment.pk)
    assert admin_client.get(path).status_code == 200
    assert admin_client.post(path, {"valid_1": "2099-01-01T00:00:00", "reason": "longer"}).status_code == 403
    assert Appointment.objects.get().valid == appointment.valid


def test_nobody_appoints_themselves_and_the_form_says_so(admin_client: Client, chain: dict[Level, Any]) -> None:
    admin_user = User.objects.get(is_superuser=True)
    form = {
        "agent": factories.make_agent(user=admin_user).pk,
        "region": chain[Level.CITY].pk,
        "valid_0": f"{now():%Y-%m-%dT%H:%M:%S}",
        "valid_1": f"{now() + timedelta(days=30):%Y-%m-%dT%H:%M:%S}",
        "reason": "the board asked",
    }
    page = admin_client.post(page_of(Appointment, "add"), form, follow=True).content.decode()
    assert "Nobody appoints themselves." in page
    assert not Appointment.objects.exists()
    admin_client.post(page_of(Appointment, "add"), form | {"agent": factories.make_agent().pk})
    assert Appointment.objects.get().appointed_by == admin_user


def test_a_point_is_made_with_the_regions_its_coordinates_lie_in(admin_client: Client, chain: dict[Level, Any]) -> None:
    form = {
        "ref": "N1",
        "because": "applied",
        "name": "New",
        "status": "active",
        "lat": "22.54",
        "lon": "113.94",
        "capacity": "10",
        "reach_m": "5000",
        "largest_size": "3",
        "opening_hours": "Mo-Fr 09:00-18:00",
        **{f"{group}-{name}": "0" for group in ("memberships", "pauses") for name in ("TOTAL_FORMS", "INITIAL_FORMS")},
    }
    assert admin_client.post(page_of(ServicePoint, "add"), form).status_code == 302
    point = ServicePoint.objects.get(ref="N1")
    assert point.location == Point(113.94, 22.54, srid=4326)
    assert point.region_ids == chain_ids(chain)
    response = admin_client.post(page_of(ServicePoint, "add"), form | {"ref": "N2", "opening_hours": "whenever"})
    assert response.status_code == 200
    response = admin_client.post(page_of(ServicePoint, "add"), form | {"ref": "N2", "capacity": "-1"})
    assert "The capacity is a number from 0." in response.content.decode()


def test_keys_are_not_issued_but_revoked_here(admin_client: Client) -> None:
    device, _ = factories.make_device(make_point())
    merchant, _ = factories.make_merchant()
    for model, row in ((Device, device), (MerchantKey, merchant.keys.get())):
        assert admin_client.get(page_of(model, "add")).status_code == 403
        body = {"action": "revoke", "_selected_action": [row.pk]}
        assert "Revoked: 1" in admin_client.post(page_of(model, "changelist"), body, follow=True).content.decode()
        row.refresh_from_db()
        assert row.revoked_at is not None


def test_who_may_only_look_cannot_revoke(client: Client) -> None:
    client.force_login(staff_with("network.view_device"))
    device, _ = factories.make_device(make_point())
    client.post(page_of(Device, "changelist"), {"action": "revoke", "_selected_action": [device.pk]})
    device.refresh_from_db()
    assert device.revoked_at is None


def person_form(person: User, **changes: Any) -> dict[str, Any]:
    management = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    return {"phone": person.phone, "name": person.name, "is_active": "on", "because": "asked", **management, **changes}


def test_staff_that_edits_people_cannot_make_itself_a_superuser(client: Client) -> None:
    helper = staff_with("network.view_user", "network.change_user")
    root = User.objects.create_superuser("+8613900009999", "secret-of-root")
    client.force_login(helper)
    body = person_form(helper, name="Helper", is_superuser="on", is_staff="on")
    assert client.post(page_of(User, "change", helper.pk), body).status_code == 302
    helper.refresh_from_db()
    assert (helper.name, helper.is_superuser) == ("Helper", False)
    assert client.post(page_of(User, "change", root.pk), person_form(root)).status_code == 403
    password = {"password1": "new-pass-word-1", "password2": "new-pass-word-1", "usable_password": "true"}
    assert client.post(f"/admin/network/user/{root.pk}/password/", password).status_code == 403


def test_a_person_is_made_with_a_phone_as_people_write_it(admin_client: Client) -> None:
    body = {
        "phone": "139 0000 8888",
        "name": "New",
        "usable_password": "true",
        "password1": "long-pass-word-1",
        "password2": "long-pass-word-1",
        "because": "joined us",
    }
    assert admin_client.post(page_of(User, "add"), body).status_code == 302
    assert User.objects.get(phone="+8613900008888").check_password("long-pass-word-1")


def test_the_password_of_a_person_is_changed_and_never_shown(admin_client: Client) -> None:
    person = factories.make_user(password="old-pass-word-1")
    body = {"password1": "new-pass-word-1", "password2": "new-pass-word-1", "usable_password": "true"}
    assert admin_client.post(f"/admin/network/user/{person.pk}/password/", body).status_code == 302
    person.refresh_from_db()
    assert person.check_password("new-pass-word-1")
    assert person.password not in admin_client.get(page_of(User, "change", person.pk)).content.decode()


def test_polygons_are_counted_and_not_written_out(admin_client: Client, chain: dict[Level, Any]) -> None:
    boundary = Boundary.objects.first()
    assert boundary is not None
    page = admin_client.get(page_of(Boundary, "change", boundary.pk)).content.decode()
    assert "POLYGON" not in page
    assert ">5<" in page


def test_every_reason_for_review_and_for_losing_has_its_words() -> None:
    assert {str(reason) for reason in (*geocoding.Review, *Reason)} <= REASONS.keys()
    assert {str(reason) for reason in assignment.Lost} <= LOST_BY.keys()


def test_the_header_is_in_both_languages(admin_client: Client) -> None:
    assert "Pickup network · administration" in admin_client.get("/admin/").content.decode()
    admin_client.cookies["django_language"] = "zh-hans"
    assert "自提网络 · 管理" in admin_client.get("/admin/").content.decode()
