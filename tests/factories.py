"""What tests build on. Each function sets what its test does not care about; everything else is an argument."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.contrib.gis.geos import MultiPolygon, Point, Polygon
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils.timezone import now

from network import access
from network.models import (
    Address,
    Agent,
    Appointment,
    AppointmentApplication,
    Boundary,
    BoundarySet,
    Device,
    Level,
    Membership,
    Region,
    ServicePoint,
    User,
)
from pickup import bank_details, codes, orders, recipients, scanning, seals, settlements
from pickup.models import (
    Account,
    BankDetails,
    BankTemplate,
    Decision,
    Merchant,
    MerchantKey,
    Order,
    Parcel,
    PickupCode,
    Recipient,
    Settlement,
)
from pickup.scans import Answer, Scanner, ScanRequest
from tests.roles import as_owner, as_worker

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


def number() -> int:
    return next(_numbers)


def make_region(
    code: str,
    name: str,
    level: Level,
    parent: Region | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> Region:
    """A region, with a rectangle `(west, south, east, north)` as its boundary if one is given."""
    path = f"{parent.path}.{code}" if parent else code
    region = Region.objects.create(code=code, name=name, level=level, parent=parent, path=path)
    if box is not None:
        west, south, east, north = box
        Boundary.objects.create(
            region=region,
            boundary_set=BoundarySet.objects.get_or_create(name="test", source="test", valid_from=LONG_AGO)[0],
            level=level,
            valid=DateTimeTZRange(LONG_AGO, None),
            geom=MultiPolygon(Polygon.from_bbox((west, south, east, north)), srid=4326),
            inside=Point((west + east) / 2, (south + north) / 2, srid=4326),
            radius_m=3000,
        )
    return region


def make_chain() -> dict[Level, Region]:
    """华南 > 广东 > 深圳 > 南山 > a custom street, boxes within each other around 113.93 E, 22.53 N."""
    macro = make_region("CN-S", "华南", Level.MACRO)
    province = make_region("440000", "广东省", Level.PROVINCE, macro, (109, 20, 117, 25.5))
    city = make_region("440300", "深圳市", Level.CITY, province, (113.7, 22.4, 114.6, 22.9))
    district = make_region("440305", "南山区", Level.DISTRICT, city, (113.8, 22.4, 114.0, 22.65))
    custom = make_region("440305-1", "科技园", Level.CUSTOM, district, (113.92, 22.52, 113.96, 22.56))
    return {
        Level.MACRO: macro,
        Level.PROVINCE: province,
        Level.CITY: city,
        Level.DISTRICT: district,
        Level.CUSTOM: custom,
    }


def chain_ids(chain: dict[Level, Region]) -> list[int]:
    """The chain as parcels keep it: deepest first."""
    return [chain[level].pk for level in sorted(chain, reverse=True)]


def make_agent(ref: str | None = None, **fields: Any) -> Agent:
    ref = ref or f"agent-{number()}"
    return Agent.objects.create(ref=ref, name=ref, **fields)


def make_appointment(
    region: Region, agent: Agent | None = None, *, since: datetime | None = None, until: datetime | None = None
) -> Appointment:
    return Appointment.objects.create(
        agent=agent or make_agent(),
        region=region,
        valid=DateTimeTZRange(since or now() - timedelta(days=1), until or now() + timedelta(days=365)),
    )


def rewrite_appointment(appointment: Appointment, since: datetime, until: datetime) -> None:
    """Change a period that nobody may change, as a hand with the rights of the tables' owner could."""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE network_appointment DISABLE TRIGGER appointment_only_ends")
        Appointment.objects.filter(pk=appointment.pk).update(valid=DateTimeTZRange(since, until))
        cursor.execute("ALTER TABLE network_appointment ENABLE TRIGGER appointment_only_ends")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    appointment.refresh_from_db()


def make_application(
    region: Region, user: User | None = None, reasons: str = "I live here and know every shop."
) -> AppointmentApplication:
    return AppointmentApplication.objects.create(user=user or make_user(), region=region, reasons=reasons)


def make_point(lat: float = 22.535, lon: float = 113.935, **fields: Any) -> ServicePoint:
    ref = fields.pop("ref", f"P{number():05d}")
    defaults: dict[str, Any] = {"name": f"Shop {ref}", "capacity": 1000}
    return ServicePoint.objects.create(ref=ref, location=Point(lon, lat, srid=4326), **(defaults | fields))


def make_user(**fields: Any) -> User:
    phone = fields.pop("phone", f"+86150{number():08d}")
    return User.objects.create_user(phone, fields.pop("password", None), **fields)


def make_member(point: ServicePoint, role: str = Membership.Role.OWNER, **fields: Any) -> User:
    user = make_user(**fields)
    Membership.objects.create(user=user, service_point=point, role=role)
    return user


def make_device(point: ServicePoint) -> tuple[Device, str]:
    """A device and its key."""
    key, key_hash = access.new_key()
    return Device.objects.create(service_point=point, name=f"device {number()}", key_hash=key_hash), key


def scanner_of(point: ServicePoint) -> Scanner:
    return Scanner(device_id=make_device(point)[0].pk)


def make_merchant(**fields: Any) -> tuple[Merchant, str]:
    """A merchant and its key."""
    merchant = Merchant.objects.create(name=fields.pop("name", f"merchant {number()}"), **fields)
    key, key_hash = access.new_key()
    MerchantKey.objects.create(merchant=merchant, key_hash=key_hash)
    return merchant, key


def make_draft(**fields: Any) -> orders.OrderDraft:
    defaults: dict[str, Any] = {
        "reference": f"R{number()}",
        "name": "王小明",
        "phone": "+8613800138000",
        "address": "广东省深圳市南山区科苑路1号",
        "lat": 22.5401,
        "lon": 113.9401,
    }
    return orders.OrderDraft(**(defaults | fields))


def make_parcel(
    point: ServicePoint,
    *,
    region_ids: Sequence[int] = (),
    phone: str = "+8613800138000",
    merchant: Merchant | None = None,
    **fields: Any,
) -> Parcel:
    """An expected parcel of an order that was assigned to the point."""
    merchant = merchant or make_merchant()[0]
    region_id = region_ids[0] if region_ids else None
    order = Order.objects.create(
        merchant=merchant,
        reference=f"R{number()}",
        body_hash=b"0" * 32,
        status=Order.Status.ASSIGNED,
        address=Address.objects.create(
            region_id=region_id, region_ids=list(region_ids), location=Point(113.94, 22.54, srid=4326)
        ),
        placed_at=now(),
        assigned_at=now(),
    )
    Recipient.objects.create(
        order=order,
        sealed=recipients.seal(recipients.Contact("王小明", phone, "广东省深圳市南山区科苑路1号")),
        masked_name=recipients.mask_name("王小明"),
        phone_last4=phone[-4:],
        phone_hash=recipients.hash_phone(phone),
    )
    return Parcel.objects.create(
        order=order,
        barcode=fields.pop("barcode", f"PN{number():012d}"),
        service_point=point,
        region_ids=list(region_ids),
        person=recipients.hash_phone(phone),
        **fields,
    )


def scan(kind: str, parcel: Parcel | str, **fields: Any) -> ScanRequest:
    barcode = parcel if isinstance(parcel, str) else parcel.barcode
    defaults: dict[str, Any] = {"scan_id": uuid4(), "event_at": now(), "barcode": barcode}
    return ScanRequest(kind=kind, **(defaults | fields))


def arrive(scanner: Scanner, parcel: Parcel, **fields: Any) -> Answer:
    return scanning.record(scanner, scan("arrival", parcel, **fields))


def make_ready_parcel(scanner: Scanner, point: ServicePoint, **fields: Any) -> Parcel:
    """A parcel that was scanned in and can be collected."""
    parcel = make_parcel(point, **fields)
    assert arrive(scanner, parcel).verdict in ("ok", "over_capacity")
    parcel.refresh_from_db()
    return parcel


def token_of(parcel: Parcel, *, point_id: int | None = None, issue: int | None = None) -> str:
    """The QR's text as the recipient has it."""
    assert parcel.hold_until is not None
    return codes.token_of(
        parcel=parcel.uuid,
        issue=issue or parcel.code.issue,
        point_id=point_id or parcel.service_point_id or 0,
        expires_at=parcel.hold_until,
    )


def code_of(parcel: Parcel) -> str:
    return codes.code_of(parcel.uuid, parcel.code.issue)


def let_rest_end(parcel: Parcel) -> None:
    """As if the minutes had passed in which no code may be typed after three wrong ones."""
    PickupCode.objects.filter(parcel=parcel).update(paused_until=now() - timedelta(seconds=1))


def wrong_code_for(parcel: Parcel) -> str:
    return f"{(int(code_of(parcel)) + 1) % 10**8:08d}"


def pick_up(scanner: Scanner, parcel: Parcel, **fields: Any) -> Answer:
    """Hand a parcel over by its QR."""
    return scanning.record(scanner, scan("pickup", parcel, **({"token": token_of(parcel)} | fields)))


@contextmanager
def guard_off(table: str, trigger: str) -> Iterator[None]:
    """Set one guard aside, as only the tables' owner can: for rows that must look older than they are."""
    with connection.cursor() as cursor:

        def set_trigger(word: str) -> None:
            with as_owner():
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute(f"ALTER TABLE {table} {word} TRIGGER {trigger}")
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")

        set_trigger("DISABLE")
        yield
        set_trigger("ENABLE")


def close_period(*, period: str, now: datetime, currency: str) -> Settlement:
    """Close a month as the worker does it: the web server may not."""
    with as_worker():
        return settlements.close_period(period=period, now=now, currency=currency)


def close_due(*, now: datetime) -> int:
    with as_worker():
        return settlements.close_due(now=now)


def seal(*, now: datetime) -> int:
    """Seal the books as the worker does it: the web server may not."""
    with as_worker():
        return seals.seal(now=now)


def make_bank_details(account: Account, *, hours_ago: int = 73, number: str = "6214831234567890") -> BankDetails:
    """Bank details that two people approved so long ago."""
    details = bank_details.Details("王小明", number, "招商银行", "308584000013")
    proposal = bank_details.propose(account=account, details=details, by=make_user())
    with guard_off("pickup_bankdetails", "by_the_clock"):
        return bank_details.decide(
            proposal=proposal,
            decision=Decision.APPROVED,
            by=make_user(is_staff=True),
            now=now() - timedelta(hours=hours_ago),
        )


def make_template(form: str = "csv", **fields: Any) -> BankTemplate:
    columns = "No = number\nId = end_to_end_id\nName = holder\nAccount = account\nAmount = amount\nFor = purpose"
    defaults = {
        "name": f"bank {number()}",
        "debtor_name": "取件网络",
        "debtor_account": "7559123456789",
        "columns": columns,
    }
    return BankTemplate.objects.create(form=form, debtor_bank="CMBCCNBS", **(defaults | fields))


def backdate(parcel: Parcel, **fields: datetime) -> None:
    """Move a parcel's times, as if it had been scanned earlier."""
    with transaction.atomic():
        Parcel.objects.filter(pk=parcel.pk).update(**fields)
    parcel.refresh_from_db()
