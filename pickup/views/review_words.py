"""What the review queue says: doubts, candidates, refusals and decisions in plain words."""

from __future__ import annotations

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from network.models import Region
from pickup.models import Order, ReviewDecision
from pickup.review import Candidate, Item, Outcome

DATUMS = {"wgs84": "WGS 84", "gcj02": "GCJ-02", "bd09": "BD-09"}

EXPLAINED: dict[str, Any] = {
    "processing_failed": gettext_lazy(
        "Something in this order breaks the program that works on it. Its operators find the details in their log."
    ),
    "null_island": gettext_lazy("The merchant sent the coordinates 0/0, which are in the sea off Africa."),
    "outside_regions": gettext_lazy(
        "The coordinates lie in no region of the network. Another datum or swapped numbers?"
    ),
    "text_location_differ": gettext_lazy("The words name another district than the one in which the coordinates lie."),
    "remembered_elsewhere": gettext_lazy(
        "A reviewer confirmed this text before, and the coordinates now say another place."
    ),
    "implausible_answer": gettext_lazy("A geocoder answered with coordinates that are nowhere on earth."),
    "answer_changed": gettext_lazy("A geocoder put this text at another place than before. Which one is right?"),
    "no_region_named": gettext_lazy("The words name no region, and there are no coordinates."),
    "ambiguous_name": gettext_lazy("Several regions have the name that is written here."),
    "names_conflict": gettext_lazy("The regions that are named do not lie in each other."),
    "unsure_name": gettext_lazy("The name of a region may be part of another name here."),
    "district_not_named": gettext_lazy("The city is named, and its district is not."),
    "low_accuracy": gettext_lazy("The place is too inexact to choose a service point."),
    "unreadable_address": gettext_lazy("The address cannot be read any more: it was erased, or its key is gone."),
    "consent_missing": gettext_lazy("The recipient has not agreed to collect it at a service point."),
    "merchant_policy": gettext_lazy("The merchant wants a person to look at each order first."),
    "requested_point_unavailable": gettext_lazy("The service point that was asked for does not take it now."),
    "no_point_available": gettext_lazy("No service point near the address takes it now."),
}

REFUSED: dict[str, Any] = {
    "outside_regions": gettext_lazy("This place lies in no region."),
    "too_coarse": gettext_lazy("This is only the middle of a large region. Move the pin to where the address lies."),
    "not_located": gettext_lazy("Say first where the address lies."),
    "consent_missing": gettext_lazy("The recipient has not agreed yet."),
    "point_unavailable": gettext_lazy(
        "This service point does not take the order: it is paused, shut, full or too small."
    ),
    "not_asked": gettext_lazy("No consent is missing here."),
}


def candidate_words(one: Candidate) -> str:
    if one.kind == "given":
        return _("as the merchant sent it (%(datum)s)") % {"datum": DATUMS[one.value]}
    if one.kind == "datum":
        return _("if it was %(datum)s") % {"datum": DATUMS[one.value]}
    if one.kind == "swapped":
        return _("if latitude and longitude were swapped")
    if one.kind == "named":
        return _("in the middle of %(region)s") % {"region": one.value}
    if one.kind == "remembered":
        return _("as it was confirmed on %(day)s") % {"day": one.value}
    return _("as %(source)s found it") % {"source": one.value}


def marked(item: Item) -> str:
    """The masked text with the names of regions marked."""
    text, at, pieces = item.text or "", 0, []
    for start, end in item.marks:
        pieces += [(text[at:start], text[start:end])]
        at = end
    return format_html("{}{}", format_html_join("", "{}<mark>{}</mark>", pieces), text[at:])


def outcome_words(outcome: Outcome) -> str:
    order = outcome.order
    words = {
        Order.Status.ASSIGNED: _("%(reference)s goes to %(point)s, %(metres)s m away."),
        Order.Status.REVIEW: _("%(reference)s stays in review: %(doubt)s"),
        Order.Status.CANCELLED: _("%(reference)s went back to its merchant."),
    }.get(Order.Status(order.status), _("%(reference)s goes on; its service point is being chosen."))
    values = {
        "reference": order.reference,
        "point": outcome.point.name if outcome.point else "",
        "metres": f"{outcome.distance_m:,.0f}",
        "doubt": EXPLAINED.get(order.review_reason, order.review_reason),
    }
    said = words % values
    if outcome.others:
        others = ngettext(
            "%(count)d more order with this text goes on.",
            "%(count)d more orders with this text go on.",
            outcome.others,
        )
        said = f"{said} {others % {'count': outcome.others}}"
    return said


def decided_words(order: Order, decision: ReviewDecision | None) -> str:
    """What became of an order that is in review no longer, for somebody who came second."""
    if order.status == Order.Status.CANCELLED and (decision is None or decision.kind != "sent_back"):
        return _("The merchant cancelled it.")
    if decision is None:
        return _("It is no longer in review.")
    words = {
        "placed": _("%(who)s confirmed that it lies in %(region)s."),
        "released": _("%(who)s let it go on."),
        "point": _("%(who)s sent it to %(point)s."),
        "consent": _("%(who)s recorded the recipient's consent."),
        "sent_back": _("%(who)s sent it back to the merchant: %(why)s"),
    }[decision.kind]
    return words % {
        "who": decision.decided_by.name or decision.decided_by.pk,
        "region": decision.region.name if decision.region else "",
        "point": decision.service_point.name if decision.service_point else "",
        "why": decision.get_why_display(),
    }


def chain_words(chain: list[Region]) -> str:
    return " › ".join(region.name for region in chain)
