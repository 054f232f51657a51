"""What the recipient's page says, put into words: hours, distances, times left, and texts to copy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from urllib.parse import quote

import opening_hours
from django.conf import settings
from django.utils.timezone import localtime
from django.utils.translation import get_language, gettext_lazy, ngettext, pgettext_lazy
from django.utils.translation import gettext as _

from network import datum, opening, points
from network.models import Pause, ServicePoint
from pickup import asking, codes, delegation, disputes, holding
from pickup.models import Delegation, Notice, Parcel

Status = Parcel.Status
WORDS = {
    Status.EXPECTED: gettext_lazy("Your parcel is on its way."),
    Status.READY: gettext_lazy("Your parcel is ready. Bring this page."),
    Status.COLLECTED: gettext_lazy("Your parcel was handed over."),
    Status.EXPIRED: gettext_lazy("The storage time is over. Come soon: it may go back any day."),
    Status.REFUSED: gettext_lazy("You refused the parcel. It goes back to its sender."),
    Status.RETURNED: gettext_lazy("Your parcel went back to its sender."),
    Status.CANCELLED: gettext_lazy("The order was cancelled."),
    Status.LOST: gettext_lazy("Your parcel is lost. Please ask the shop you bought from."),
    Status.DAMAGED: gettext_lazy("Your parcel is damaged. Please ask the shop you bought from."),
}
FINE = {Status.EXPECTED, Status.READY, Status.COLLECTED}
SENT = {
    Notice.Kind.EXPECTED: gettext_lazy("on its way"),
    Notice.Kind.READY: gettext_lazy("ready for pickup"),
    Notice.Kind.REMINDER: gettext_lazy("reminder"),
    Notice.Kind.CLOSING: gettext_lazy("the shop closes"),
    Notice.Kind.EXPIRED: gettext_lazy("storage over"),
    Notice.Kind.ASKED: gettext_lazy("did you collect it?"),
}
DAYS = {
    "Mo": pgettext_lazy("opening hours", "Mo"),
    "Tu": pgettext_lazy("opening hours", "Tu"),
    "We": pgettext_lazy("opening hours", "We"),
    "Th": pgettext_lazy("opening hours", "Th"),
    "Fr": pgettext_lazy("opening hours", "Fr"),
    "Sa": pgettext_lazy("opening hours", "Sa"),
    "Su": pgettext_lazy("opening hours", "Su"),
    "PH": pgettext_lazy("opening hours", "public holidays"),
    "off": pgettext_lazy("opening hours", "closed"),
    "closed": pgettext_lazy("opening hours", "closed"),
}
WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
PAUSED = {
    Pause.Reason.VACATION: gettext_lazy("The shop is on holiday until %(until)s. Call before you come."),
    Pause.Reason.CLOSING: gettext_lazy("The shop is closing down. Come soon, and call before you come."),
    Pause.Reason.TECHNICAL: gettext_lazy("The shop has technical trouble until %(until)s. Call before you come."),
}
ENDS = {
    "today": gettext_lazy("until the end of today"),
    "tomorrow": gettext_lazy("until the end of tomorrow"),
    "deadline": gettext_lazy("as long as the parcel is kept"),
}
NOT_EXTENDED = {
    holding.Refusal.NOT_READY: gettext_lazy("Only a parcel that is ready can be kept longer."),
    holding.Refusal.OVER: gettext_lazy("The storage time is over already, so it cannot be made longer. Come soon."),
    holding.Refusal.CLOSING: gettext_lazy("The shop closes, so it cannot be kept there any longer. Come soon."),
    holding.Refusal.ALREADY: gettext_lazy("It was made longer already, and that works once."),
}
NOT_DELEGATED = {
    delegation.Refusal.NOT_HERE: gettext_lazy("The parcel does not wait at the shop any more."),
    delegation.Refusal.BAD_END: gettext_lazy("Choose until when the other person may collect it."),
    delegation.Refusal.TOO_MANY: gettext_lazy("This was done ten times for this parcel, and that is the most."),
    delegation.Refusal.STALE: gettext_lazy("Somebody changed this meanwhile. Look at it and try again."),
}
NOT_CHOSEN = {
    "not_expected": gettext_lazy("The parcel has arrived or was cancelled: its place cannot be changed any more."),
    "same_point": gettext_lazy("Your parcel comes to this service point already."),
    "point_unavailable": gettext_lazy("This service point takes no more parcels now. Please choose another one."),
    "too_many_changes": gettext_lazy("The place was changed too often. It stays as it is."),
}
NOT_ANSWERED = {
    asking.Refusal.NOT_ASKED: gettext_lazy("There is nothing to answer any more."),
    asking.Refusal.ANSWERED: gettext_lazy("You answered already. If it was a mistake, tell us below."),
}
NOT_DISPUTED = {
    disputes.Refusal.NOT_COLLECTED: gettext_lazy("The hand-over was taken back: the parcel waits at the shop."),
}


@dataclass(frozen=True)
class Hours:
    """A shop's hours in the reader's language; `open_now` is None where nothing is known."""

    text: str
    open_now: bool | None
    opens: str

    @property
    def rules(self) -> list[str]:
        return [rule.strip() for rule in self.text.split(";") if rule.strip()]


def readable_hours(hours: str) -> str:
    """OpenStreetMap's opening hours with the days in the reader's language."""
    return re.sub(r"\b(Mo|Tu|We|Th|Fr|Sa|Su|PH|off|closed)\b", lambda found: str(DAYS[found[0]]), hours)


def hours_of(point: ServicePoint, *, now: datetime) -> Hours:
    text = readable_hours(point.opening_hours)
    if not point.opening_hours or not opening_hours.validate(point.opening_hours):
        return Hours(text, None, "")
    opens = opening.next_opening(point.opening_hours, after=now)
    if opens is None or opens <= now:
        return Hours(text, opens is not None, "")
    local = localtime(opens)
    return Hours(text, False, f"{DAYS[WEEKDAYS[local.weekday()]]} {local:%m-%d %H:%M}")


def pause_of(point: ServicePoint, *, now: datetime) -> str:
    """A warning if the shop is not as usual; a shop that is merely full still hands over."""
    if point.status in (ServicePoint.Status.SUSPENDED, ServicePoint.Status.CLOSED):
        return _("The shop does not work at the moment. Call before you come.")
    if point.status == ServicePoint.Status.CLOSING:
        return str(PAUSED[Pause.Reason.CLOSING])
    pause = point.pauses.filter(period__contains=now).first()
    if pause is None or pause.reason not in PAUSED:
        return ""
    end = pause.period.upper
    return PAUSED[Pause.Reason(pause.reason)] % {"until": f"{localtime(end):%m-%d %H:%M}" if end else "?"}


def notice_of(point: ServicePoint, *, now: datetime) -> str:
    """What the shop itself tells its visitors today, in the reader's language if it wrote in it."""
    told = points.notice_on(point, now=now)
    if told is None:
        return ""
    chinese = (get_language() or "").startswith("zh")
    return (told.text_zh or told.text_en) if chinese else (told.text_en or told.text_zh)


def left(until: datetime, *, now: datetime) -> str:
    """How long that is from now, rounded down: a recipient who is early has come in time."""
    seconds = int((until - now).total_seconds())
    if seconds <= 0:
        return _("the time is over")
    if seconds < 3600:
        return _("less than an hour left")
    if seconds < 48 * 3600:
        return ngettext("%(count)d hour left", "%(count)d hours left", seconds // 3600) % {"count": seconds // 3600}
    days = seconds // 86400
    return ngettext("%(count)d day left", "%(count)d days left", days) % {"count": days}


def distance(metres: float) -> str:
    return f"{metres:.0f} m" if metres < 1000 else f"{metres / 1000:.1f} km"


def moment(at: datetime) -> str:
    return f"{localtime(at):%Y-%m-%d %H:%M}"


def spaced(code: str) -> str:
    return f"{code[:4]} {code[4:]}"


def map_links(point: ServicePoint) -> dict[str, str]:
    """A link for every browser, and one that a phone opens in the map of its owner's choice (RFC 5870, WGS 84)."""
    lat, lon = point.location.y, point.location.x
    map_lat, map_lon = datum.from_wgs84(lat, lon, datum.Datum(settings.MAP_DATUM))
    web = settings.MAP_URL.format(lat=f"{map_lat:.6f}", lon=f"{map_lon:.6f}", name=quote(point.name))
    return {"map_url": web, "geo_url": f"geo:{lat:.6f},{lon:.6f}?q={lat:.6f},{lon:.6f}"}


def full_address(point: ServicePoint) -> str:
    return ", ".join(part for part in (point.address, point.city) if part)


def delegate_text(made: Delegation, proof: delegation.Proof) -> str:
    """All that somebody needs who fetches it, and nothing of the recipient."""
    point = made.parcel.service_point
    assert point is not None, "a parcel that waits is at a point"
    lines = [
        _("Please collect this parcel: {barcode}").format(barcode=made.parcel.barcode),
        _("Where: {place}").format(place=", ".join(filter(None, (point.name, full_address(point))))),
        _("Opening hours: {hours}").format(hours=readable_hours(point.opening_hours)) if point.opening_hours else "",
        _("Code: {code}").format(code=spaced(proof.code)),
        _("Works until: {until}").format(until=moment(made.expires_at)),
        _("QR code: {url}").format(url=f"{settings.BASE_URL}/t/{proof.link}"),
    ]
    return "\n".join(filter(None, lines))


def all_codes_text(waiting: Iterable[Parcel], *, now: datetime) -> str:
    """Every parcel with its code, shop by shop."""
    blocks = []
    by_point = sorted(waiting, key=lambda parcel: parcel.service_point_id or 0)
    for _point, group in groupby(by_point, key=lambda parcel: parcel.service_point_id):
        own = list(group)
        point = own[0].service_point
        assert point is not None, "a parcel that waits is at a point"
        lines = [", ".join(filter(None, (point.name, full_address(point))))]
        for parcel in own:
            assert parcel.hold_until is not None, "a constraint gives every parcel on a shelf its deadline"
            code = spaced(codes.code_of(parcel.uuid, parcel.code.issue))
            overdue = parcel.hold_until <= now
            words = _("{barcode}: code {code}, overdue") if overdue else _("{barcode}: code {code}, until {until}")
            lines.append(words.format(barcode=parcel.barcode, code=code, until=moment(parcel.hold_until)))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
