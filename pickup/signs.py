"""The signs of an invented pickup: one table with what each weighs, from where it comes, and how it is said.

One odd pickup is nothing; people come ten minutes after a parcel, or at night. A sign counts at a shop where it is so
frequent that chance and the differences between honest shops do not explain it:

- *expected* is what nearly all shops stay below with as many pickups: the median share of the network's shops and
  three times the way from there to their upper quartile, which is two standard deviations where shares are spread
  normally (four times, for signs that honest shops have reasons of their own to show); or else, because a cheat begins
  some day, what the same shop showed in the weeks before, and a standard deviation. It is never less than `usual`, than
  the median and the mean of the network, and than what an administrator cleared at this shop;
- *surprise* is k·ln(k/e) − (k − e) for k found and e expected, the Chernoff bound of a Poisson count: chance brings
  so many less often than once in exp(surprise) times.

From `least` pickups, `share` of all and a surprise of `chance` on, each pickup with the sign gets `weight` points
against other shops, and twice as many from one and a half times that surprise on; against the shop's own past it gets
LIMIT, from a fifth more surprise on (three tenths, where honest shops have reasons of their own). It must show on
as many different days as it says, and of a family of signs that tell the same the heaviest counts. A pickup is held
from LIMIT points on.

Where the numbers come from: the signals and the figures in them (10 minutes, 20 seconds, 15 %, five names, 50 km, 60 %,
10 %, two in 30 days) are the network's promise 30; weights are 100 where only an inside hand explains the sign, and 60
or 80 where honest shops may have reasons of their own, so that it holds nothing alone until it is beyond doubt.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, gettext_lazy, ngettext

LIMIT = 100
WINDOWS = (3, 7, 14, 30)  # days that are looked at together: a new cheat shows in few, a careful one in many

FAST_MIN, SOON_MIN, SERIES_S, SERIES_PEOPLE = 10, 30, 20, 5
CROWD, CROWD_MIN = 6, 10  # people within minutes, at a shop to which fewer than thirty come on a day
NAMES, SHARED_NAMES, PARCELS_OF_ONE = 5, 3, 15  # of one phone in 30 days at one shop
SHOPS_OF_ONE, DOOR_PHONES = 4, 8  # shops at which one phone collects, phones that have one address
FAR_M, AT_SHOP_M, MERCHANT_SHARE, MERCHANT_PARCELS = 50_000, 30, 0.6, 10
LATE_MIN, LAST_H, ASIDE_MIN = 5, 24, 30


@dataclass(frozen=True)
class Sign:
    """`usual`: the share of an honest shop's pickups that may show it, whatever is known of other shops.

    `family`: of signs that tell the same in other words only the heaviest counts. `on_days`: on so many days it must
    show itself; a power cut, a feast or an assistant who fetches the parcels of a whole office is one day.
    """

    name: str
    weight: int
    usual: float
    least: int
    share: float
    title: Any
    source: str
    chance: float = 9.0
    relative: bool = True  # where too few shops can be compared, it is measured against all of them together
    spread: float = 3.0
    whole_shop: bool = False  # all of the shop's pickups are in doubt then, not only those that show it
    on_days: int = 2
    family: str = ""


# Honest shops may have reasons of their own: it takes more days, and is compared with a wider spread of other shops.
SOFT: dict[str, Any] = {"spread": 4.0, "on_days": 3}
ALONE: dict[str, Any] = {"relative": False, "on_days": 1}  # one day says it all
_ = gettext_lazy
TABLE = (
    Sign("untold", 100, 0.005, 3, 0.02, _("Collected with a code that no message had brought"), "signal 1"),
    Sign("unopened", 80, 0.05, 4, 0.10, _("QR code shown by somebody who never opened its page"), "signal 1", **SOFT),
    Sign("shop_opened", 100, 0.005, 3, 0.02, _("The recipient's page was opened by the shop"), "signal 2", **ALONE),
    Sign("fast", 100, 0.02, 4, 0.08, _("Collected within 10 minutes of its arrival"), "signal 3", family="time"),
    Sign(
        "soon", 60, 0.05, 6, 0.12, _("Collected within half an hour of its arrival"), "signal 3", family="time", **SOFT
    ),
    Sign("series", 100, 0.01, 6, 0.03, _("One person after the other within seconds"), "signal 3", family="crowd"),
    Sign("rush", 80, 0.02, 8, 0.06, _("Many people within minutes, at a shop with few"), "signal 3", family="crowd"),
    Sign("closed", 80, 0.02, 4, 0.08, _("Collected while the shop was closed, or at night"), "signal 3"),
    Sign("typed", 60, 0.05, 6, 0.15, _("Code typed instead of scanned"), "signal 4", **SOFT),
    Sign("guessed", 80, 0.02, 4, 0.05, _("Wrong codes were tried before"), "signal 4", relative=False),
    Sign("names", 100, 0.01, 5, 0.04, _("One phone collects for many names"), "signal 5", family="phone", **ALONE),
    Sign("shared", 60, 0.03, 8, 0.10, _("One phone collects for several names"), "signal 5", family="phone", **SOFT),
    Sign(
        "busy_phone", 60, 0.02, 8, 0.08, _("One phone collects very many parcels"), "signal 5", family="phone", **SOFT
    ),
    Sign("roaming", 80, 0.02, 5, 0.05, _("One phone collects at many shops"), "signal 5", family="phone"),
    Sign("staff", 100, 0.01, 4, 0.03, _("The recipient's phone is that of the shop"), "signal 5", **ALONE),
    Sign("far", 80, 0.01, 4, 0.05, _("The address is more than 50 km away"), "signal 6", family="place", **ALONE),
    Sign("at_shop", 60, 0.05, 8, 0.15, _("The address is that of the shop itself"), "signal 6", family="place", **SOFT),
    Sign("one_door", 60, 0.10, 8, 0.20, _("Many phones have the same address"), "signal 6", family="place", **SOFT),
    Sign("merchant", 60, 0.01, 10, 0.15, _("Its merchant sends nearly all to this shop"), "signal 6", **SOFT),
    Sign("late", 60, 0.03, 6, 0.10, _("Reported later than it is said to have happened"), "signal 7", **SOFT),
    Sign("last_day", 60, 0.05, 6, 0.15, _("Collected on the last day of its storage"), "signal 8", **SOFT),
    Sign("again", 80, 0.02, 4, 0.05, _("Handed over before, and that was undone"), "signal 8"),
    Sign(
        "denied",
        *(100, 0.0005, 2, 0.0),
        _("Recipients say that they did not collect it"),
        "signal 9, two in 30 days",
        **(ALONE | {"chance": 7.0, "whole_shop": True}),
    ),
)
SIGNS = {sign.name: sign for sign in TABLE}


@dataclass(frozen=True)
class Finding:
    """One sign at one shop, as it was when a pickup was held: `found` of `pickups` in `days`, `expected` elsewhere.

    `here`: this pickup shows it itself.
    """

    sign: str
    points: int
    found: int
    pickups: int
    days: int
    expected: float
    here: bool = True

    @property
    def title(self) -> str:
        sign = SIGNS.get(self.sign)
        return str(sign.title) if sign else self.sign

    @property
    def words(self) -> str:
        """What was found, for people: "… : 12 of 40 pickups in 7 days, where at most 2 would be usual."."""
        numbers = ngettext(
            "%(found)s of %(pickups)s pickup in %(days)s days, where up to %(expected)s would be usual",
            "%(found)s of %(pickups)s pickups in %(days)s days, where up to %(expected)s would be usual",
            self.pickups,
        ) % {
            "found": self.found,
            "pickups": self.pickups,
            "days": self.days,
            "expected": f"{self.expected:.1f}".removesuffix(".0"),
        }
        told = gettext("%(sign)s: %(numbers)s") % {"sign": self.title, "numbers": numbers}
        return told if self.here else gettext("%(told)s (others of the same shop)") % {"told": told}


def read(evidence: Any) -> Any:
    """Evidence as plain SQL gives it: the driver leaves JSON a text there."""
    return json.loads(evidence) if isinstance(evidence, str) else evidence


def findings(evidence: list[dict[str, Any]]) -> list[Finding]:
    """The findings of a hold, the heaviest first."""
    return [Finding(**one) for one in sorted(evidence, key=lambda one: (-one["points"], one["sign"]))]
