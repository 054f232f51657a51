"""Every word, sign, tone and vibration of the counter's app: it says them itself, also without a network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from pickup.models import ManualRelease, Scan, Verdict

Kind = Scan.Kind

MODES = {
    Kind.PICKUP: _("Hand over"),
    Kind.ARRIVAL: _("Scan in"),
    Kind.RETURN: _("Send back"),
    Kind.DAMAGED: _("Damaged"),
    Kind.UNDO: _("Undo"),
}
ASKS = {
    Kind.PICKUP: _("Scan the recipient's QR code, or the parcel's label"),
    Kind.ARRIVAL: _("Scan the label of the parcel that came in"),
    Kind.RETURN: _("Scan the label of the parcel that goes back"),
    Kind.DAMAGED: _("Scan the label of the damaged parcel"),
    Kind.UNDO: _("Choose the hand-over that was a mistake, or scan its label"),
}


@dataclass(frozen=True)
class Sign:
    """How a verdict looks, sounds and feels. `notes` are pairs of hertz (0: a rest) and milliseconds."""

    tone: str  # ok, caution, stop or wait: the colour
    icon: str
    notes: tuple[tuple[int, int], ...]
    vibration: tuple[int, ...]  # milliseconds on, off, on, …


HIGH, MIDDLE, LOW, REST = 1047, 784, 196, (0, 60)
SIGNS = {
    Verdict.OK: Sign("ok", "check", ((MIDDLE, 90), (HIGH, 160)), (60,)),
    Verdict.OK_REPEAT: Sign("ok", "checks", ((HIGH, 70), REST, (HIGH, 70)), (40, 40, 40)),
    Verdict.EXPIRED_BUT_HERE: Sign("caution", "clock", ((MIDDLE, 90), (HIGH, 120), (MIDDLE, 180)), (60, 60, 160)),
    Verdict.OVER_CAPACITY: Sign("caution", "full", ((MIDDLE, 90), (HIGH, 90), REST, (587, 220)), (60, 60, 60)),
    Verdict.DUPLICATE: Sign("caution", "twice", ((587, 110), REST, (587, 110)), (80, 80, 80)),
    Verdict.DAMAGED: Sign("caution", "broken", ((587, 120), (440, 120), (330, 200)), (120, 60, 120)),
    Verdict.NOT_FOUND: Sign("stop", "unknown", ((LOW, 350),), (300,)),
    Verdict.ALREADY_COLLECTED: Sign("stop", "gone", ((LOW, 200), REST, (LOW, 200)), (200, 80, 200)),
    Verdict.WRONG_POINT: Sign("stop", "elsewhere", ((262, 160), (LOW, 300)), (200, 80, 80)),
    Verdict.NOT_ARRIVED: Sign("stop", "arriving", ((262, 140), REST, (LOW, 260)), (80, 80, 200)),
    Verdict.RETURNED: Sign("stop", "back", ((330, 120), (262, 120), (LOW, 260)), (120, 60, 200)),
    Verdict.CANCELLED: Sign(
        "stop", "cancelled", ((LOW, 160), REST, (LOW, 160), REST, (LOW, 160)), (160, 60, 160, 60, 160)
    ),
    Verdict.WRONG_CODE: Sign("stop", "key", ((330, 100), REST, (LOW, 300)), (80, 60, 300)),
    Verdict.CODE_LOCKED: Sign("stop", "lock", ((LOW, 120), REST, (LOW, 400)), (80, 60, 400)),
    Verdict.CODE_REVOKED: Sign("stop", "renew", ((294, 160), (LOW, 160), (294, 160)), (120, 60, 120, 60, 120)),
    Verdict.POINT_SUSPENDED: Sign("stop", "pause", ((LOW, 500),), (500,)),
    Verdict.CLERK_NOT_ALLOWED: Sign("stop", "person", ((220, 250), (LOW, 250)), (250, 60, 250)),
    Verdict.DEVICE_REVOKED: Sign("stop", "device", ((220, 150), (LOW, 450)), (450, 60, 150)),
    Verdict.UNKNOWN_PARCEL: Sign("stop", "apart", ((294, 180), REST, (294, 180)), (180, 80, 180)),
    Verdict.OFFLINE_UNKNOWN: Sign(
        "wait", "offline", ((523, 120), REST, (523, 120), REST, (523, 120)), (60, 60, 60, 60, 60)
    ),
}
assert set(SIGNS) == set(Verdict), "every verdict has its own sign"

NEXT: dict[str, Any] = {
    Verdict.OK: _("Nothing more to do."),
    Verdict.OK_REPEAT: _("Nothing more to do."),
    Verdict.NOT_FOUND: _("Look at the label again and type its number by hand."),
    Verdict.ALREADY_COLLECTED: _("Hand nothing over."),
    Verdict.WRONG_POINT: _("Send the recipient there; keep the parcel, if it is here, for the driver."),
    Verdict.NOT_ARRIVED: _("If it is here, scan it in first."),
    Verdict.EXPIRED_BUT_HERE: _("Hand the parcel over."),
    Verdict.RETURNED: _("Keep it for the driver."),
    Verdict.CANCELLED: _("Keep it for the driver."),
    Verdict.WRONG_CODE: _("Try once more with the newest message, or scan the QR code."),
    Verdict.CODE_LOCKED: _("Ask the recipient to open the link in the message and to show the QR code."),
    Verdict.CODE_REVOKED: _("Ask the recipient to open the newest message."),
    Verdict.POINT_SUSPENDED: _("Hand nothing over and ask the network."),
    Verdict.CLERK_NOT_ALLOWED: _("Ask the owner of the shop to add you again."),
    Verdict.DEVICE_REVOKED: _("Sign in again, or ask the owner to pair this device again."),
    Verdict.OFFLINE_UNKNOWN: _("Hand nothing over yet. Scan it again when the network is back."),
    Verdict.UNKNOWN_PARCEL: _("Scan the next one."),
    Verdict.DUPLICATE: _("Nothing more to do. Scan the next one."),
    Verdict.OVER_CAPACITY: _("Put it where there is room."),
    Verdict.DAMAGED: _("Keep it apart for the driver."),
}
NEXT_IN_MODE: dict[tuple[str, str], Any] = {
    (Kind.PICKUP, Verdict.OK): _("Hand the parcel over."),
    (Kind.PICKUP, Verdict.OK_REPEAT): _("It was handed over with this scan. Nothing more to do."),
    (Kind.ARRIVAL, Verdict.OK): _("Put it on the shelf. Scan the next one."),
    (Kind.ARRIVAL, Verdict.OFFLINE_UNKNOWN): _("Put it apart. It is recorded and asked for when the network is back."),
    (Kind.ARRIVAL, Verdict.WRONG_POINT): _("Keep it apart for the driver."),
    (Kind.ARRIVAL, Verdict.WRONG_CODE): _("Scan the parcel's label instead."),
    (Kind.RETURN, Verdict.OK): _("Give it to the driver."),
    (Kind.RETURN, Verdict.CLERK_NOT_ALLOWED): _("Its storage time is not over. Leave it on the shelf."),
    (Kind.RETURN, Verdict.OFFLINE_UNKNOWN): _("Keep it here. Scan it again when the network is back."),
    (Kind.DAMAGED, Verdict.OFFLINE_UNKNOWN): _("Keep it apart. It is recorded and asked for when the network is back."),
    (Kind.UNDO, Verdict.OK): _("Put it back on its shelf. The fee was taken back."),
    (Kind.UNDO, Verdict.NOT_FOUND): _("Only a parcel that was handed over here can be undone."),
    (Kind.UNDO, Verdict.ALREADY_COLLECTED): _("More than ten minutes ago: it stays so. Ask the network."),
    (Kind.UNDO, Verdict.OFFLINE_UNKNOWN): _("This phone did not hand it over. Try again when the network is back."),
}

UNDO_REASONS = (_("Wrong parcel"), _("Wrong person"), _("Recipient gave it back"), _("Scanned by mistake"))

# Short texts of the app by the name that its scripts use. `{…}` is filled in there.
TEXTS: dict[str, Any] = {
    "ask_proof": _("Now scan the recipient's QR code, or type the eight digits"),
    "ask_proof_offline": _("Now scan the recipient's QR code"),
    "code_offline": _("A typed code cannot be checked without network. Ask for the QR code."),
    "code_length": _("The code has eight digits."),
    "label_first": _("Eight digits look like a recipient's code. Scan the parcel's label first."),
    "nothing": _("Scan or type something first."),
    "not_text": _("This is no barcode: letters without accents, digits and signs, at most 64."),
    "online": _("Online"),
    "offline": _("No network"),
    "slow": _("Network slow"),
    "signed_out": _("Signed out"),
    "all_sent": _("all sent"),
    "synced": _("stock of {time}"),
    "never_synced": _("stock not loaded yet"),
    "shelf": _("Shelf {shelf}"),
    "no_shelf": _("no shelf"),
    "money": _("+{fee}, today {today}"),
    "today": _("today {today}"),
    "fee_later": _("The fee follows when the network confirms it."),
    "review": _("Released without proof. The fee follows when the network has looked at it."),
    "on_device": _("Checked on this device. It is sent when the network is back."),
    "handed_over_at": _("Handed over {at}"),
    "handed_over_by": _("Handed over {at} by {by}"),
    "codes_rest": _("Too many wrong codes: no typed code until {at}. The QR code works."),
    "here_pickup": _("Handed over on this device, not sent yet."),
    "not_recorded": _("Nothing was recorded: this device is full and there is no network."),
    "not_recorded_next": _("Write the number down, and scan it again when the network is back."),
    "late": _("The network's answer came later: {barcode}"),
    "problem": _("The network could not take this scan."),
    "problem_next": _("It is kept under “Needs a look”. Scan it once more."),
    "undo_why": _("Why is {barcode} undone?"),
    "undo_none": _("Nothing was handed over here in the last ten minutes."),
    "undo_button": _("Undo {barcode}"),
    "release_offline": _("Without network nothing can be released without proof."),
    "release_refused": _("The photo or the reason was not accepted. Try another photo."),
    "photo_needed": _("Take a photo first: the identity card's holder, or the parcel with its label."),
    "reason_needed": _("Say why in a few words."),
    "reading_photo": _("Reading the photo…"),
    "no_code_in_photo": _("No code found in the photo. Hold the camera closer and straight."),
    "camera_off": _("Camera off"),
    "camera_starting": _("Camera starts…"),
    "camera_refused": _(
        "The camera may not be used. Allow it in the browser, or use the scanner, a photo or the keyboard."
    ),
    "camera_missing": _("No camera here. Use the scanner, a photo or the keyboard."),
    "camera_https": _("The camera needs a safe address (https). Use the scanner, a photo or the keyboard."),
    "camera_on": _("Camera on: hold a code in front of it"),
    "paused": _("The shop is paused: no new parcels are sent here."),
    "suspended": _("This service point is suspended."),
    "storage": _("This device has no room left: scans work only while there is network."),
    "sign_in_to_send": _("Sign in again so that what waits here is sent."),
    "sent_before_leaving": _("Not everything could be sent."),
    "needs_network": _("That page needs the network."),
    "language_offline": _("The language can be changed when the network is back."),
    "told": _("Told here: {told}"),
    "answered": _("The network's answer: {words}"),
    "device": _("Device {device}"),
    "unfinished": _("Not known here when it was scanned. Was the parcel handed over?"),
    "malformed": _("The network could not read this scan: {words}"),
}


def counted() -> dict[str, list[str]]:
    """Texts with a number, for one and for many; `%(counter)s` is filled in by the app."""
    return {
        "more_here": [
            ngettext(
                "%(counter)s more parcel of this person is here",
                "%(counter)s more parcels of this person are here",
                number,
            )
            for number in (1, 2)
        ],
        "waiting": [ngettext("%(counter)s scan waits", "%(counter)s scans wait", number) for number in (1, 2)],
        "scanned_in": [
            ngettext("%(counter)s parcel scanned in today", "%(counter)s parcels scanned in today", number)
            for number in (1, 2)
        ],
        "in_a_row": [ngettext("%(counter)s in this row", "%(counter)s in this row", number) for number in (1, 2)],
        "looks": [
            ngettext("%(counter)s scan needs a look", "%(counter)s scans need a look", number) for number in (1, 2)
        ],
        "not_sent": [
            ngettext(
                "%(counter)s scan is not sent yet. It stays on this device until it is.",
                "%(counter)s scans are not sent yet. They stay on this device until they are.",
                number,
            )
            for number in (1, 2)
        ],
        "here": [
            ngettext("%(counter)s parcel on the shelf", "%(counter)s parcels on the shelf", number) for number in (1, 2)
        ],
        "overdue": [ngettext("%(counter)s overdue", "%(counter)s overdue", number) for number in (1, 2)],
        "expected": [ngettext("%(counter)s expected", "%(counter)s expected", number) for number in (1, 2)],
    }


def as_json() -> dict[str, Any]:
    """All of it in the current language, for `json_script`."""
    next_of = {kind: {verdict: NEXT[verdict] for verdict in Verdict.values} for kind in Kind.values}
    for (kind, verdict), words in NEXT_IN_MODE.items():
        next_of[kind][verdict] = words
    return {
        "verdicts": {verdict.value: verdict.label for verdict in Verdict},
        "next": next_of,
        "signs": {verdict.value: asdict(sign) for verdict, sign in SIGNS.items()},
        "asks": {kind.value: words for kind, words in ASKS.items()},
        "modes": {kind.value: words for kind, words in MODES.items()},
        "texts": TEXTS,
        "counted": counted(),
    }


RELEASE_REASONS = ManualRelease.Reason.choices
