"""Handing over without a proof: a reason, a photo, no fee before somebody else approved it."""

from __future__ import annotations

import io
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils.timezone import now
from PIL import Image

from network import photos
from network.models import Level, Region, ServicePoint, User
from pickup import disputes, ledger, recipients, releases, scanning
from pickup.models import Handover, ManualRelease, Parcel, PersonalDataRead, Posting, Scan
from pickup.releases import Decision
from pickup.scans import Answer, ScanIdReused, Scanner, UnknownScanner
from tests import factories
from tests.factories import make_point, make_ready_parcel, scan
from tests.roles import as_owner

pytestmark = pytest.mark.django_db


def picture(width: int = 40, height: int = 30, kind: str = "JPEG") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), "#7a9").save(written, kind)
    return written.getvalue()


@pytest.fixture
def point() -> ServicePoint:
    return make_point()


@pytest.fixture
def clerk(point: ServicePoint) -> User:
    return factories.make_member(point, role="clerk")


@pytest.fixture
def scanner(point: ServicePoint, clerk: User) -> Scanner:
    return Scanner(device_id=factories.make_device(point)[0].pk, clerk_id=clerk.pk)


@pytest.fixture
def admin() -> User:
    return factories.make_user(is_staff=True, is_superuser=True)


def release(scanner: Scanner, parcel: Parcel, **fields: object) -> Answer:
    photo = photos.kept(picture())
    return releases.release(scanner, scan("pickup", parcel, **fields), reason="no_phone", note="", photo=photo)


def release_of(parcel: Parcel) -> ManualRelease:
    return ManualRelease.objects.get(handover__parcel=parcel)


def test_a_release_hands_over_and_earns_nothing(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    answer = release(scanner, parcel)
    parcel.refresh_from_db()
    assert (answer.verdict, answer.content["fee_minor"], parcel.status) == ("ok", None, "collected")
    assert not Posting.objects.exists()
    assert Scan.objects.get(kind="pickup").proof == "manual"
    assert ledger.faults() == []


def test_an_approval_posts_the_fees_of_the_pickups_time(
    scanner: Scanner, point: ServicePoint, admin: User, chain: dict[Level, Region]
) -> None:
    factories.make_appointment(chain[Level.CITY])
    parcel = make_ready_parcel(scanner, point, region_ids=factories.chain_ids(chain))
    release(scanner, parcel)
    late = factories.make_appointment(chain[Level.DISTRICT])
    factories.rewrite_appointment(late, now(), late.valid.upper)
    releases.decide(release_of(parcel), decision=Decision.APPROVED, by=admin, now=now())
    assert sorted(Posting.objects.values_list("kind", "amount_minor")) == [("agent_fee", 500), ("point_fee", 2000)]
    assert ledger.faults() == []


def test_a_rejection_pays_nobody(scanner: Scanner, point: ServicePoint, admin: User) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    releases.decide(release_of(parcel), decision=Decision.REJECTED, by=admin, now=now())
    assert not Posting.objects.exists()
    assert ledger.faults() == []


def test_a_release_is_decided_once(scanner: Scanner, point: ServicePoint, admin: User) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    releases.decide(release_of(parcel), decision=Decision.APPROVED, by=admin, now=now())
    for decision in Decision:
        with pytest.raises(releases.NotDecided, match="decided_already"):
            releases.decide(release_of(parcel), decision=decision, by=admin, now=now())
    assert Posting.objects.count() == 1


def test_nobody_approves_the_own_release(scanner: Scanner, point: ServicePoint, clerk: User) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    with pytest.raises(releases.NotDecided, match="own_release"):
        releases.decide(release_of(parcel), decision=Decision.APPROVED, by=clerk, now=now())
    with pytest.raises(IntegrityError, match="release_decided_by_another"), transaction.atomic():
        ManualRelease.objects.update(decision="approved", decided_by=clerk, decided_at=now())
    assert not Posting.objects.exists()


def test_an_undone_release_is_not_paid(scanner: Scanner, point: ServicePoint, admin: User) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    assert scanning.record(scanner, scan("undo", parcel, reason="wrong parcel")).verdict == "ok"
    with pytest.raises(releases.NotDecided, match="undone"):
        releases.decide(release_of(parcel), decision=Decision.APPROVED, by=admin, now=now())
    assert releases.waiting() == 0
    assert ledger.faults() == []


def test_an_approved_release_that_is_undone_gives_its_fee_back(
    scanner: Scanner, point: ServicePoint, admin: User
) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    releases.decide(release_of(parcel), decision=Decision.APPROVED, by=admin, now=now())
    assert scanning.record(scanner, scan("undo", parcel, reason="wrong parcel")).verdict == "ok"
    assert sorted(Posting.objects.values_list("kind", flat=True)) == ["point_fee", "reversal"]
    assert ledger.faults() == []


@pytest.mark.parametrize("outcome", ["", "upheld"])
def test_a_release_that_the_recipient_contests_is_not_paid(
    scanner: Scanner, point: ServicePoint, admin: User, outcome: str
) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    dispute = disputes.open_dispute(parcel)
    if outcome:
        later = now() + timedelta(hours=1)
        disputes.resolve(dispute, outcome=outcome, reason="nobody came", by=admin, now=later)
    with pytest.raises(releases.NotDecided, match="contested"):
        releases.decide(release_of(parcel), decision=Decision.APPROVED, by=admin, now=now())
    assert not Posting.objects.exists()


def test_the_third_release_of_a_week_is_refused_and_kept(scanner: Scanner, point: ServicePoint) -> None:
    parcels = [make_ready_parcel(scanner, point) for _ in range(3)]
    assert [release(scanner, parcel).verdict for parcel in parcels] == ["ok", "ok", "clerk_not_allowed"]
    assert Parcel.objects.get(pk=parcels[2].pk).status == "ready"
    assert ManualRelease.objects.count() == 2
    assert Scan.objects.filter(parcel=parcels[2], verdict="clerk_not_allowed").exists()


def test_another_shops_releases_do_not_count(scanner: Scanner, point: ServicePoint) -> None:
    other = make_point()
    theirs = factories.scanner_of(other)
    for _ in range(2):
        release(theirs, make_ready_parcel(theirs, other))
    assert release(scanner, make_ready_parcel(scanner, point)).verdict == "ok"


def test_a_release_that_was_undone_does_not_count(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    for _ in range(2):
        release(scanner, parcel)
        scanning.record(scanner, scan("undo", parcel, reason="wrong parcel"))
    assert release(scanner, parcel).verdict == "ok"


def test_the_same_release_again_is_a_repeat(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    scan_id, event_at = uuid4(), now()
    verdicts = [release(scanner, parcel, scan_id=scan_id, event_at=event_at).verdict for _ in range(3)]
    assert verdicts == ["ok", "ok_repeat", "ok_repeat"]
    assert ManualRelease.objects.count() == 1


def test_a_used_scan_id_is_told_so(scanner: Scanner, point: ServicePoint) -> None:
    first, second = make_ready_parcel(scanner, point), make_ready_parcel(scanner, point)
    scan_id = uuid4()
    release(scanner, first, scan_id=scan_id)
    with pytest.raises(ScanIdReused):
        release(scanner, second, scan_id=scan_id)


@pytest.mark.parametrize("status", ["expected", "collected"])
def test_what_is_not_here_is_not_released(scanner: Scanner, point: ServicePoint, status: str) -> None:
    if status == "expected":
        parcel = factories.make_parcel(point)
    else:
        parcel = make_ready_parcel(scanner, point)
        factories.pick_up(scanner, parcel)
    assert release(scanner, parcel).verdict in ("not_arrived", "already_collected")
    assert not ManualRelease.objects.exists()


def test_another_shops_parcel_is_not_released(scanner: Scanner) -> None:
    other = make_point()
    parcel = make_ready_parcel(factories.scanner_of(other), other)
    assert release(scanner, parcel).verdict == "wrong_point"


def test_no_device_no_release(point: ServicePoint, scanner: Scanner) -> None:
    with pytest.raises(UnknownScanner):
        release(Scanner(device_id=0), make_ready_parcel(scanner, point))


def test_the_photo_is_sealed_and_small(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    sealed = bytes(release_of(parcel).photo)
    assert b"JFIF" not in sealed
    with Image.open(io.BytesIO(recipients.open_photo(sealed))) as photo:
        assert (photo.format, photo.size) == ("JPEG", (40, 30))


def test_a_photo_loses_where_it_was_taken_and_its_size() -> None:
    image = Image.new("RGB", (3000, 2000), "#7a9")
    exif = image.getexif()
    exif[0x010F] = "a camera"
    written = io.BytesIO()
    image.save(written, "JPEG", exif=exif)
    with Image.open(io.BytesIO(photos.kept(written.getvalue()))) as kept:
        assert max(kept.size) == photos.SIDE
        assert not kept.getexif()


@pytest.mark.parametrize(
    ("uploaded", "code"),
    [
        (b"", "empty"),
        (b"GIF89a not a picture", "unreadable"),
        (picture()[:200], "unreadable"),
        (b"\xff\xd8" + b"0" * photos.BYTES, "too_large"),
        (picture(6000, 5000, "PNG"), "too_large"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unreadable"),
    ],
    ids=["empty", "gif", "cut", "bytes", "pixels", "svg"],
)
def test_what_is_no_photo_is_refused(uploaded: bytes, code: str) -> None:
    with pytest.raises(photos.BadPhoto) as refused:
        photos.kept(uploaded)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE pickup_manualrelease SET reason = 'other'",
        "UPDATE pickup_manualrelease SET photo = ''",
        "DELETE FROM pickup_manualrelease",
        "TRUNCATE pickup_manualrelease",
    ],
)
def test_a_release_is_never_edited(scanner: Scanner, point: ServicePoint, attack: str) -> None:
    release(scanner, make_ready_parcel(scanner, point))
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else pending checks refuse a TRUNCATE before the guard does
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute(attack)


def test_a_decision_is_never_changed(scanner: Scanner, point: ServicePoint, admin: User) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    releases.decide(release_of(parcel), decision=Decision.REJECTED, by=admin, now=now())
    with pytest.raises(IntegrityError, match="ends once"), transaction.atomic():
        ManualRelease.objects.update(decision="approved", decided_at=now())


def test_the_audit_finds_a_fee_without_approval(scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    with connection.cursor() as cursor:
        handover = Handover.objects.get()
        cursor.execute("SELECT charge_pickups(ARRAY[%s::bigint], now())", [handover.pk])
    assert [fault.rule for fault in ledger.faults()] == ["hand-over without exactly one flat fee of its tariff"]


def post(client: Client, point: ServicePoint, parcel: Parcel, **fields: object) -> object:
    body = {
        "scan_id": uuid4(),
        "barcode": parcel.barcode,
        "event_at": now().isoformat(),
        "reason": "no_phone",
        "photo": SimpleUploadedFile("a.jpg", picture(), "image/jpeg"),
        **fields,
    }
    return client.post(f"/counter/{point.pk}/releases", {name: value for name, value in body.items() if value != ""})


def test_the_counter_releases_with_reason_and_photo(
    client: Client, clerk: User, scanner: Scanner, point: ServicePoint
) -> None:
    client.force_login(clerk)
    answer = post(client, point, make_ready_parcel(scanner, point))
    assert answer.status_code == 200  # type: ignore[attr-defined]
    assert answer.json()["verdict"] == "ok"  # type: ignore[attr-defined]
    assert answer.json()["review"] is True  # type: ignore[attr-defined]
    assert ManualRelease.objects.get().clerk == clerk


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"photo": ""}, "photo"),
        ({"reason": "because"}, "reason"),
        ({"reason": "other"}, "note"),
        ({"scan_id": "1"}, "scan_id"),
        ({"barcode": ""}, "barcode"),
        ({"note": "x" * 201}, "note"),
    ],
    ids=["no photo", "no such reason", "other without note", "bad id", "no barcode", "long note"],
)
def test_an_incomplete_release_names_its_field(
    client: Client, clerk: User, scanner: Scanner, point: ServicePoint, fields: dict[str, str], field: str
) -> None:
    client.force_login(clerk)
    answer = post(client, point, make_ready_parcel(scanner, point), **fields)
    assert answer.status_code == 400  # type: ignore[attr-defined]
    assert answer.json()["error"]["field"] == field  # type: ignore[attr-defined]
    assert not Handover.objects.exists()


def test_a_stranger_releases_nothing(client: Client, scanner: Scanner, point: ServicePoint) -> None:
    parcel = make_ready_parcel(scanner, point)
    assert post(client, point, parcel).status_code == 401  # type: ignore[attr-defined]
    client.force_login(factories.make_member(make_point()))
    assert post(client, point, parcel).status_code == 404  # type: ignore[attr-defined]
    assert not Handover.objects.exists()


def test_the_admin_sees_the_photo_decides_and_leaves_a_trace(
    client: Client, admin: User, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    row = release_of(parcel)
    client.force_login(admin)
    photo = client.get(f"/admin/pickup/manualrelease/{row.pk}/photo/")
    assert photo.headers["Content-Type"] == "image/jpeg"
    assert client.get(f"/admin/pickup/manualrelease/{row.pk}/change/").status_code == 200
    client.post(
        "/admin/pickup/manualrelease/", {"action": "approve", "because": "seen the photo", "_selected_action": [row.pk]}
    )
    row.refresh_from_db()
    assert (row.decision, row.decided_by) == ("approved", admin)
    assert Posting.objects.count() == 1
    trace = [entry["change_message"] for entry in admin.logentry_set.values("change_message")]
    assert list(trace) == ["approved"]
    [read] = PersonalDataRead.objects.filter(order=row.handover.parcel.order)
    assert (read.by, read.fields) == (admin, ["photo"])


def test_a_clerk_and_a_stranger_see_no_photo(
    client: Client, clerk: User, scanner: Scanner, point: ServicePoint
) -> None:
    parcel = make_ready_parcel(scanner, point)
    release(scanner, parcel)
    address = f"/admin/pickup/manualrelease/{release_of(parcel).pk}/photo/"
    assert client.get(address).status_code == 302
    client.force_login(clerk)
    assert client.get(address).status_code == 302
