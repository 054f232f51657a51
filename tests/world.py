"""Two of everything: what is ours, and what is somebody else's with values that must never be seen by us."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.contrib.gis.geos import Point
from django.utils.timezone import localdate, localtime, now

from network import drafts, members
from network.models import Device, Export, Level, PointApplication, PointProposal, Region, ServicePoint, User
from pickup import bank_details, codes, payouts, recipients
from pickup.models import (
    Account,
    Hold,
    ImpactPreview,
    Merchant,
    Parcel,
    PayoutBatch,
    Posting,
    Recipient,
    Statement,
    StockCount,
    StockCountLine,
)
from pickup.scans import Scanner
from tests import factories
from tests.roles import as_owner, as_worker

AREAS: dict[str, list[str]] = {
    "staff": [],
    "staff-regions": [
        *("network.view_region", "network.view_appointment", "network.view_boundary", "network.view_agent"),
        *("network.view_appointmentapplication", "network.view_pointproposal"),
        *("network.view_regiondraft", "network.add_regiondraft", "network.change_regiondraft"),
        "network.publish_regiondraft",
    ],
    "staff-points": [
        *("network.view_region", "network.view_servicepoint", "network.change_servicepoint"),
        "network.view_pointapplication",
    ],
    "staff-orders": ["network.view_region", "network.view_servicepoint", "pickup.view_order", "pickup.change_order"],
    "staff-parcels": ["pickup.view_parcel", "pickup.view_posting"],
    "staff-money": [
        *("pickup.view_tariff", "pickup.add_tariff", "pickup.view_posting", "pickup.view_statement"),
        "pickup.view_hold",
        *("pickup.view_linecase", "pickup.change_linecase", "pickup.view_adjustment", "pickup.add_adjustment"),
        *("pickup.view_bankdetails", "pickup.change_bankdetails", "pickup.view_payoutbatch"),
        *("pickup.add_payoutbatch", "pickup.change_payoutbatch"),
    ],
    "staff-history": ["network.view_history", "network.view_region", "network.view_servicepoint"],
    "staff-personal": ["pickup.read_personal", "pickup.view_personaldataread"],
}
ROLES = [
    *("nobody", "recipient", "clerk", "owner", "phone", "other-owner", "agent", "other-agent"),
    *(*AREAS, "superuser", "merchant", "device"),
]


@dataclass
class Side:
    """All that belongs to one shop, one agent, one merchant and one recipient. `ids` fill the holes of addresses."""

    name: str
    point: ServicePoint
    owner: User
    clerk: User
    agent: User
    merchant: Merchant
    merchant_key: str
    device_key: str
    phone_key: str
    parcel: Parcel
    ids: dict[str, Any]
    personal: set[str]  # what stands in the sealed box: for nobody but the logged reading
    codes: set[str]  # what only the recipient has
    marks: set[str]  # what only those may see whom it concerns
    export_queries: dict[str, str] = field(default_factory=dict)


def make_regions() -> dict[str, dict[Level, Region]]:
    """Two districts of two cities."""
    ours = factories.make_chain()
    city = factories.make_region("440100", "广州市", Level.CITY, ours[Level.PROVINCE], (112.9, 22.95, 113.6, 23.9))
    district = factories.make_region("440106", "天河区", Level.DISTRICT, city, (113.2, 23.0, 113.5, 23.3))
    custom = factories.make_region("440106-1", "石牌", Level.CUSTOM, district, (113.3, 23.1, 113.4, 23.2))
    upper = {level: ours[level] for level in (Level.MACRO, Level.PROVINCE)}
    return {"own": ours, "foreign": {**upper, Level.CITY: city, Level.DISTRICT: district, Level.CUSTOM: custom}}


def make_side(name: str, chain: dict[Level, Region], *, lat: float, lon: float, phone: str) -> Side:
    """One side, by the doors that make it; its marks begin with its name."""
    mark = name.upper()
    person = f"{'周' if name == 'own' else '郑'}全名{mark}"
    ids = factories.chain_ids(chain)
    point = factories.make_point(
        lat, lon, ref=f"{mark}-REF", name=f"{mark}-SHOP", region_id=ids[0], region_ids=ids, city=f"{mark}-CITY"
    )
    owner = factories.make_member(point, name=f"{mark}-OWNER")
    clerk = factories.make_member(point, "clerk", name=f"{mark}-CLERK")
    agent = factories.make_user(name=f"{mark}-AGENT")
    appointed = factories.make_agent(f"{mark}-AGENT-REF", user=agent)
    appointment = factories.make_appointment(chain[Level.DISTRICT], appointed)
    wanted = factories.make_application(chain[Level.CUSTOM], agent, reasons=f"{mark}-REASONS")
    proposal = PointProposal.objects.create(
        agent=appointed, made_by=agent, region=chain[Level.DISTRICT], location=Point(lon, lat), name=f"{mark}-PROPOSAL",
        reasons=f"{mark}-REASONS",
    )  # fmt: skip
    opening = PointApplication.objects.create(
        applicant=owner, name=f"{mark}-OPENING", address=f"{mark}-OPENING", phone="+8613800138000",
        location=Point(lon, lat), capacity=10, photo=b"jpeg", made_at=now(),
    )  # fmt: skip
    borders = drafts.create(name=f"{mark}-BORDERS", author=factories.make_user(is_staff=True), now=now())
    foreseen = ImpactPreview.objects.create(
        draft=borders, drawn=1, version=1, since=now(), is_now=True, asked_by=borders.author, asked_at=now()
    )
    merchant, merchant_key = factories.make_merchant(name=f"{mark}-MERCHANT")
    device, device_key = factories.make_device(point)
    _phone, phone_key = factories.make_device(point)
    Device.objects.filter(service_point=point).update(name=f"{mark}-DEVICE")
    scanner = Scanner(device_id=device.pk)
    parcels = []
    for number in (1, 2):
        parcel = factories.make_ready_parcel(
            scanner, point, region_ids=ids, merchant=merchant, phone=phone, barcode=f"{mark}-PN/{number}"
        )
        with as_owner():  # a reference never changes
            type(parcel.order).objects.filter(pk=parcel.order_id).update(reference=f"{mark}-ORDER-{number}")
        box = recipients.seal(recipients.Contact(person, phone, f"{mark}路9号之{number}"))
        Recipient.objects.filter(order=parcel.order_id).update(
            sealed=box, masked_name=recipients.mask_name(person), phone_last4=phone[-4:]
        )
        parcels.append(parcel)
    collected, waiting = parcels
    factories.pick_up(scanner, collected)
    hold_one(factories.make_ready_parcel(scanner, point, region_ids=ids, phone=phone, barcode=f"{mark}-PN/3"), scanner)
    count = StockCount.objects.create(service_point=point, device=device, count_id=uuid4())
    line = StockCountLine.objects.create(count=count, barcode=waiting.barcode, parcel=waiting, found="missing")
    guest = factories.make_user(name=f"{mark}-GUEST")
    members.invite(point=point, phone=guest.phone, role=members.Role.CLERK, by=owner, now=now())
    members.offer_pairing(point=point, name=f"{mark}-PAIRING", by=owner, now=now())
    export = Export.objects.create(made_by=owner, name=f"{mark}-EXPORT", form="csv", language="en")
    passkey = Authenticator.objects.create(user=owner, type="webauthn", data={"name": f"{mark}-PASSKEY"})
    waiting.refresh_from_db()
    return Side(
        name=name,
        point=point,
        owner=owner,
        clerk=clerk,
        agent=agent,
        merchant=merchant,
        merchant_key=merchant_key,
        device_key=device_key,
        phone_key=phone_key,
        parcel=waiting,
        ids={
            "point_id": point.pk,
            "count_pk": count.pk,
            "line_pk": line.pk,
            "day": localdate().isoformat(),
            "posting_id": Posting.objects.filter(credit__service_point=point).order_by("id")[0].pk,
            "invitation_id": guest.invitations.get().pk,
            "user_id": clerk.pk,
            "device_id": device.pk,
            "pairing_id": point.pairings.get().pk,
            "secret": "no-secret-of-anybody",
            "barcode": waiting.barcode,
            "code": chain[Level.DISTRICT].code,
            "link": codes.link_of(waiting.uuid, waiting.code.issue),
            "reference": f"{mark}-ORDER-2",
            "passkey_id": passkey.pk,
            "export_id": export.pk,
            "noun": "network.servicepoint",
            "object_id": point.pk,
            "order_id": waiting.order_id,
            "appointment_id": appointment.pk,
            "application_id": wanted.pk,
            "point_application": opening.pk,
            "proposal_id": proposal.pk,
            "draft_id": borders.pk,
            "preview_id": foreseen.pk,
            "zoom": 3,
            "x": 6,
            "y": 3,
        },
        personal={person, phone[-11:], f"{mark}路9号"},
        codes={
            factories.code_of(waiting),
            codes.link_of(waiting.uuid, waiting.code.issue),
            factories.token_of(waiting),
        },
        marks={
            *(f"{mark}-{what}" for what in ("REF", "SHOP", "CITY", "OWNER", "CLERK", "AGENT", "MERCHANT", "DEVICE")),
            *(f"{mark}-{what}" for what in ("PN/", "ORDER", "GUEST", "PAIRING", "EXPORT", "PASSKEY", "REASONS")),
            *(f"{mark}-{what}" for what in ("PROPOSAL", "OPENING", "BORDERS", "HOLDER", "BANK")),
        },
    )


def hold_one(parcel: Parcel, scanner: Scanner) -> None:
    """A pickup that waits for a decision."""
    factories.pick_up(scanner, parcel)
    handover = parcel.handovers.get()
    found = {"sign": "fast", "points": 100, "found": 9, "pickups": 12, "days": 3, "expected": 0.4, "here": True}
    with as_worker():
        Hold.objects.create(
            handover=handover, service_point_id=handover.service_point_id, points=100, evidence=[found], day=localdate()
        )


@dataclass
class World:
    own: Side
    foreign: Side
    users: dict[str, User]
    keys: dict[str, str]

    def side(self, name: str) -> Side:
        return self.own if name == "own" else self.foreign


def make_world() -> World:
    chains = make_regions()
    own = make_side("own", chains["own"], lat=22.535, lon=113.935, phone="+8613811112222")
    foreign = make_side("foreign", chains["foreign"], lat=23.15, lon=113.35, phone="+8613933334444")
    factories.close_period(period=f"{localtime(now()):%Y-%m}", now=now() + timedelta(days=40), currency="CNY")
    for side in (own, foreign):
        account = Account.objects.get(service_point=side.point)
        side.ids["account_id"] = account.pk
        side.ids["settlement_id"] = Statement.objects.get(account=account).settlement_id
        factories.make_bank_details(account)
        told = bank_details.Details(f"{side.name.upper()}-HOLDER", "6214830012345678", f"{side.name.upper()}-BANK")
        side.ids["details_id"] = bank_details.propose(account=account, details=told, by=side.owner).pk
    batch = payouts.draft(
        currency="CNY", template=factories.make_template(), channel=PayoutBatch.Channel.FILE, by=own.owner, now=now()
    )
    for side in (own, foreign):
        side.ids["batch_id"] = batch.pk
        side.ids["statement_id"] = Statement.objects.get(account__service_point=side.point).pk
        side.ids["agent_statement"] = Statement.objects.get(account__agent__user=side.agent).pk
        side.export_queries = queries_of(side)
    users = {
        "clerk": own.clerk,
        "owner": own.owner,
        "other-owner": foreign.owner,
        "agent": own.agent,
        "other-agent": foreign.agent,
        "superuser": User.objects.create_superuser("+8613900009999", name="ROOT"),
    }
    for area, rights in AREAS.items():
        users[area] = factories.make_user(is_staff=True, name=area)
        for right in rights:
            app, code = right.split(".")
            users[area].user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=code))
    return World(own, foreign, users, {"merchant": own.merchant_key, "device": own.device_key})


def queries_of(side: Side) -> dict[str, str]:
    """The lists that can be taken away, each with the filter that asks for this side's."""
    today = localdate()
    span = f"from={today - timedelta(days=30)}&to={today}"
    return {
        "earnings": f"point={side.point.pk}&{span}",
        "statement": f"point={side.point.pk}&statement={side.ids['statement_id']}",
        "agent-earnings": span,
        "agent-statement": f"statement={side.ids['agent_statement']}",
        "money-statement": f"statement={side.ids['statement_id']}",
        "money-statements": f"settlement={side.ids['settlement_id']}",
        "money-settlements": "",
        "money-payout": f"batch={side.ids['batch_id']}",
        "agent-parcels": "",
        "coverage": "",
        "regions": "level=4",
        "review": "",
        "reports": f"by=payee&{span}",
        "history": f"noun=network.servicepoint&object={side.point.pk}",
        "admin:network.servicepoint": f"q={side.point.ref}",
        "admin:network.appointment": "",
        "admin:pickup.order": f"q={side.name.upper()}-ORDER-2",
        "admin:pickup.parcel": f"q={side.parcel.barcode}",
        "admin:pickup.posting": "",
        "admin:pickup.tariff": "",
        "admin:pickup.personaldataread": "",
        "admin:network.user": "",
    }
