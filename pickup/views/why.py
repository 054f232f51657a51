"""The page of one parcel: why this shop, and why this fee. Shop, agent and admin each get their own part of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from network.models import Agent, Level, User
from network.views.sign_in import homes_of
from pickup import fees, ledger, reports, why
from pickup.fees import Explanation, Step, Wrong
from pickup.models import Posting, Scan
from pickup.why import Pickup, Sight, Story

PROOFS = {"qr": _("QR code"), "code": _("typed code"), "manual": _("without proof, by a release")}
SOURCES = {
    "given": _("coordinates from the merchant"),
    "gazetteer": _("names in the address"),
    "reviewer": _("set by hand in review"),
    "remembered": _("confirmed by a reviewer before"),
    "nominatim": "Nominatim",
    "photon": "Photon",
    "baidu": _("Baidu Maps"),
    "amap": _("AMap"),
    "tencent": _("Tencent Maps"),
}
DATUMS = {"wgs84": "WGS 84", "gcj02": "GCJ-02", "bd09": "BD-09"}
WRONG = {
    Wrong.MISSING: _("The rules say %(expected)s, nothing was posted."),
    Wrong.UNEXPECTED: _("%(posted)s was posted, the rules say nothing."),
    Wrong.AMOUNT: _("The rules say %(expected)s, %(posted)s was posted."),
    Wrong.TARIFF: _("It was posted by another tariff than the one in force."),
    Wrong.PLACE: _("It was posted for another region or level."),
    Wrong.PAYEE: _("It was posted to somebody else."),
    Wrong.NOT_REVERSED: _("The pickup was taken back and this fee was not."),
    Wrong.REVERSED: _("The fee was taken back and the pickup stands."),
}
UNAVAILABLE = _("not available")


@login_required
@never_cache
@require_safe
def why_page(request: HttpRequest, barcode: str) -> HttpResponse:
    """To everybody whom the parcel does not concern it does not exist."""
    user = cast(User, request.user)
    parcel = why.parcel_with(barcode)
    sight = why.sight(user, parcel) if parcel is not None else None
    if parcel is None or not sight:
        raise Http404
    told = why.story(parcel, now=now())
    context = {
        "parcel": parcel,
        "sight": sight,
        "place": place_shown(told) if sight.staff or sight.agent else None,
        "events": list(events(told, sight)),
        "candidates": list(candidates_shown(told, sight)),
        "distance_m": told.assignments[0].distance_m if told.assignments else None,
        "overflow": bool(told.assignments) and told.assignments[0].overflow,
        "earlier": len(told.assignments) - 1,
        "splits": [split_shown(one) for one in reports.splits(parcel.order)] if sight.staff else [],
        "alarms": list(alarms(told)) if sight.staff else [],
        "pickups": [pickup_shown(pickup, sight) for pickup in told.pickups],
        "now": None if told.now is None else fee_shown(told.now, sight),
        "homes": homes_of(user),
    }
    return render(request, "pickup/why.html", context)


def place_shown(told: Story) -> dict[str, Any]:
    """Where the address lies: for staff and agents, because the region decides their fees; never the coordinates."""
    address = told.parcel.order.address
    return {
        "chain": [{"region": region, "level": Level(region.level).label} for region in reversed(told.chain)],
        "source": SOURCES.get(address.source.partition(".")[0], address.source or "–"),
        "accuracy_m": address.accuracy_m,
        "datum": DATUMS.get(address.given_datum, address.given_datum) if address.given_lat is not None else "",
    }


def events(told: Story, sight: Sight) -> Iterator[dict[str, Any]]:
    """What happened to the parcel, oldest first."""
    parcel, order = told.parcel, told.parcel.order
    happened: list[tuple[Any, Any, Any]] = [(order.placed_at, _("Order placed"), "")]
    if sight.staff or sight.agent:
        happened.append((order.address.located_at, _("Address located"), ""))
    if parcel.service_point is not None:
        happened.append((told.assigned_at, _("Assigned to a shop"), parcel.service_point.name))
    if told.arrival is not None:
        happened.append((told.arrival.scan.recorded_at, _("Arrived at the shop"), scanned_by(told.arrival.scan, sight)))
    for pickup in told.pickups:
        handover = pickup.handover
        proof = PROOFS.get(handover.scan.proof, handover.scan.proof)
        happened.append(
            (handover.scan.recorded_at, _("Parcel handed over"), joined(proof, scanned_by(handover.scan, sight)))
        )
        if handover.undone_by is not None:
            reason = handover.undone_by.reason if sight.staff or sight.shop else ""
            undone = joined(reason, scanned_by(handover.undone_by, sight))
            happened.append((handover.undone_by.recorded_at, _("Hand-over undone"), undone))
    moments = [(at, what, detail) for at, what, detail in happened if at is not None]
    for at, what, detail in sorted(moments, key=lambda row: row[0]):
        yield {"at": at, "what": what, "detail": detail}


def scanned_by(scan: Scan, sight: Sight) -> str:
    """Who scanned, for the own shop and for staff."""
    if not (sight.staff or sight.shop):
        return ""
    return str(scan.clerk or scan.device)


def joined(*words: Any) -> str:
    return " · ".join(str(word) for word in words if word)


def candidates_shown(told: Story, sight: Sight) -> Iterator[dict[str, Any]]:
    """The shops that were looked at. Why another one could not take it (full, paused) is told to staff only."""
    if not (sight.staff or sight.shop):
        return
    for candidate in told.candidates:
        reason = why.LOST_BY.get(candidate.lost_by, candidate.lost_by)
        if not sight.staff and candidate.lost_by not in ("", "farther"):
            reason = UNAVAILABLE
        name = candidate.point.name if candidate.point else "?"
        ref = candidate.point.ref if candidate.point and sight.staff else ""
        metres = candidate.distance_m
        yield {"name": name, "ref": ref, "metres": metres, "chosen": not candidate.lost_by, "reason": reason}


def alarms(told: Story) -> Iterator[str]:
    """Where the ledger differs from what the rules say today of the frozen facts."""
    for pickup in told.pickups:
        if pickup.explanation is None:
            yield str(_("No tariff was in force at the time of this pickup."))
            continue
        currency = pickup.explanation.tariff.currency
        names = {step.appointment.pk: step for step in pickup.explanation.steps if step.appointment is not None}
        posted = {posting.appointment_id: posting for posting in pickup.postings}
        for difference in pickup.differences:
            if difference.appointment_id is None:
                whose = str(_("handling fee"))
            elif difference.appointment_id in names:
                step = names[difference.appointment_id]
                whose = f"{step.region.name} {Level(step.region.level).label}"
            else:
                region = posted[difference.appointment_id].region
                whose = region.name if region else "?"
            amounts = {
                "expected": f"{ledger.written(difference.expected_minor, currency)} {currency}",
                "posted": f"{ledger.written(difference.posted_minor, currency)} {currency}",
            }
            yield f"{whose} · {WRONG[difference.wrong] % amounts}"


def pickup_shown(pickup: Pickup, sight: Sight) -> dict[str, Any]:
    release = getattr(pickup.handover, "release", None)
    dispute = getattr(pickup.handover, "dispute", None)
    return {
        "at": pickup.at,
        "proof": PROOFS.get(pickup.handover.scan.proof, pickup.handover.scan.proof),
        "undone": pickup.handover.undone_by_id is not None,
        "earns": fees.earns(pickup.handover),
        "decision": release.get_decision_display() if release and release.decision else "",
        "disputed": dispute is not None and not dispute.outcome,
        "held": ledger.is_held(pickup.handover),
        "point_id": pickup.handover.service_point_id if sight.staff else None,
        "fee": None if pickup.explanation is None else fee_shown(pickup.explanation, sight),
        "postings": [
            posting_shown(posting, pickup, sight) for posting in pickup.postings if may_see(posting, pickup, sight)
        ],
    }


def may_see(posting: Posting, pickup: Pickup, sight: Sight) -> bool:
    """Staff see every posting, a shop its own fee and what took it back, an agent the own ones."""
    accounts = (posting.credit, posting.debit)
    own_point = any(account.service_point_id == pickup.handover.service_point_id for account in accounts)
    own_agent = sight.agent is not None and any(account.agent_id == sight.agent.pk for account in accounts)
    return sight.staff or (sight.shop and own_point) or own_agent


def posting_shown(posting: Posting, pickup: Pickup, sight: Sight) -> dict[str, Any]:
    line = getattr(posting, "line", None)
    taken_back = posting.kind == Posting.Kind.REVERSAL
    agent = posting.appointment.agent if posting.appointment is not None else None
    return {
        "kind": posting.get_kind_display(),
        "payee": payee_shown(agent, pickup, sight),
        "region": posting.region.name if posting.region and agent else "",
        "level": Level(posting.level).label if posting.level else "",
        "amount": ledger.written(-posting.amount_minor if taken_back else posting.amount_minor, posting.currency),
        "currency": posting.currency,
        "tariff": posting.tariff,
        "recorded_at": posting.recorded_at,
        "payable_at": posting.payable_at,
        "period": line.statement.settlement.period if line else "",
        "statement_id": line.statement_id if line and sight.staff else None,
    }


def payee_shown(agent: Agent | None, pickup: Pickup, sight: Sight) -> str:
    if agent is None:
        return pickup.handover.service_point.name
    if sight.agent is not None and sight.agent.pk == agent.pk:
        return str(_("you"))
    return f"{agent.name} {agent.ref}"


def split_shown(split: reports.Split) -> dict[str, Any]:
    """One parcel's share of its order's price, as amounts and as a bar of a hundred."""
    price = split.price_minor or 1
    point, agents = round(100 * split.point_minor / price), round(100 * split.agents_minor / price)
    amounts = {
        name: ledger.written(getattr(split, f"{name}_minor"), split.currency)
        for name in ("price", "point", "agents", "network")
    }
    bar = {"point": point, "agents": agents, "network_x": point + agents, "network": 100 - point - agents}
    return {"barcode": split.barcode, "currency": split.currency, "amounts": amounts, "bar": bar}


def fee_shown(explanation: Explanation, sight: Sight) -> dict[str, Any]:
    """The rule with this parcel's numbers: what each reader needs to work the own amount out, and no more."""
    tariff = explanation.tariff

    def money(amount_minor: int) -> str:
        return ledger.written(amount_minor, tariff.currency)

    steps = list(steps_shown(explanation, sight, money)) if sight.staff or sight.agent else []
    return {
        "tariff": tariff,
        "at": explanation.at,
        "point_fee": money(explanation.point_fee_minor) if sight.staff or sight.shop else "",
        "cap": money(tariff.cap_minor) if steps else "",
        "steps": steps,
        "seated": any(step["needed"] for step in steps),
        "agents": money(explanation.agents_minor) if sight.staff else "",
        "kept": money(explanation.kept_minor) if sight.staff and explanation.kept_minor else "",
        "total": money(explanation.point_fee_minor + explanation.agents_minor) if sight.staff else "",
    }


def steps_shown(explanation: Explanation, sight: Sight, money: Any) -> Iterator[dict[str, Any]]:
    """Deepest first. An agent's difference depends on who is appointed below, so that is told, without names or
    amounts; what is above does not matter to it and stays blank."""
    names = {step.region.pk: step.region.name for step in explanation.steps}
    own = [place for place, step in enumerate(explanation.steps) if is_own(step, sight.agent)]
    for place, step in enumerate(explanation.steps):
        needed = sight.staff or (bool(own) and place <= own[-1])
        mine = place in own
        row: dict[str, Any] = {
            "region": step.region,
            "level": Level(step.region.level).label,
            "needed": needed,
            "own": mine,
            "holder": holder_shown(step, sight) if needed else "",
            "amount": money(step.amount_minor) if step.appointment and (sight.staff or mine) else "",
        }
        if needed:
            row["ceiling"] = money(step.ceiling_minor)
            row["capped"] = step.up_to_minor < step.ceiling_minor
            row["below"] = money(step.below_minor)
            row["highest"] = money(step.highest_minor)
            row["valid"] = step.appointment.valid if step.appointment and (sight.staff or mine) else None
            row["passed"] = [
                {"region": names[region_id], "amount": money(amount)}
                for region_id, amount in step.passed
                if sight.staff or region_id in {explanation.steps[at].region.pk for at in own}
            ]
            row["kept"] = money(step.kept_minor) if step.kept_minor and sight.staff else ""
        yield row


def is_own(step: Step, agent: Agent | None) -> bool:
    return agent is not None and step.appointment is not None and step.appointment.agent_id == agent.pk


def holder_shown(step: Step, sight: Sight) -> str:
    if step.appointment is None:
        return str(_("vacant"))
    if is_own(step, sight.agent):
        return str(_("you"))
    if sight.staff:
        return f"{step.appointment.agent.name} {step.appointment.agent.ref}"
    return str(_("appointed"))
