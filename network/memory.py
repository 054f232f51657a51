"""What reviewers confirmed about address texts: remembered for the same text, and forgotten when nobody uses it.

Only `remember` writes here, and only a reviewer's decision calls it: nothing that a merchant sends is ever kept as
the truth. Texts are personal data, so that a place is found by a keyed hash of the text and never by the text.
See docs/decisions/0014.
"""

from __future__ import annotations

import hmac
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.gis.geos import MultiPoint, Point
from django.db import connection

from network.models import ConfirmedPlace, User
from network.placenames import is_han, simplified

KEPT = timedelta(days=180)  # after it was last used: so long people order again, and a hash of a home is not for ever
SAME_PLACE_M = 500.0  # two map services put one address so far apart, and a datum that was mistaken shifts it by more
MOST_OVERRULED = 10

_BETWEEN = re.compile(r"[\W_]+")
_JOINS_NOTHING = re.compile(r"(?<![0-9a-z])-|-(?![0-9a-z])")
_SAYS = re.compile(r"\w")
_POSTCODE = re.compile(r"(?<!\d)\d{6}(?!\d)")


def key(text: str, city: str = "", *, sender: str = "") -> bytes:
    """Return the hash under which a text is remembered, of one sender only where one is named.

    Width, case, traditional characters, spaces and punctuation make no difference; digits and letters that something
    separates stay separate (1-23 is not 12-3).
    """
    words = "\x1f".join((sender, _plain(city), _plain(text)))
    return hmac.digest(settings.SECRET_KEY.encode(), f"confirmed place|{words}".encode(), "sha256")


def _plain(text: str) -> str:
    text = simplified(unicodedata.normalize("NFKC", text)).casefold()
    return _JOINS_NOTHING.sub("", _BETWEEN.sub("-", text))


def is_exact(text: str, named: Iterable[tuple[int, int]]) -> bool:
    """Tell whether a text says more than regions, so that one place can stand for it; `named` are the regions' spans.

    南山区南山街道 does not: whoever writes it may live anywhere in there.
    """
    rest, at = "", 0
    for start, end in named:
        rest, at = rest + text[at:start], end
    said = _SAYS.findall(_POSTCODE.sub("", rest + text[at:]))
    if any(one.isdigit() for one in said):
        return len(said) >= 3
    return len(said) >= 8 and all(map(is_han, said))


def recall(keys: Collection[bytes], *, at: datetime) -> dict[bytes, ConfirmedPlace]:
    """Return what is remembered under these keys, all in one query."""
    known = ConfirmedPlace.objects.filter(key__in=set(keys), kept_until__gt=at)
    return {bytes(place.key): place for place in known}


def metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Metres on a sphere, half a per cent off at most: enough to tell a place from another one."""
    phi, other_phi = math.radians(lat), math.radians(other_lat)
    half = (
        math.sin((other_phi - phi) / 2) ** 2
        + math.cos(phi) * math.cos(other_phi) * math.sin(math.radians(other_lon - lon) / 2) ** 2
    )
    return 2 * 6_371_009.0 * math.asin(min(1.0, math.sqrt(half)))


def contradicts(place: ConfirmedPlace, *, lat: float, lon: float, accuracy_m: float) -> bool:
    """Tell whether coordinates (WGS 84) that come with the text speak against what was confirmed.

    Those that a reviewer saw and set aside say nothing new.
    """
    seen = [place.location.coords, *(place.overruled.coords if place.overruled else ())]
    return all(metres(lat, lon, seen_lat, seen_lon) > max(SAME_PLACE_M, accuracy_m) for seen_lon, seen_lat in seen)


def remember(
    key: bytes, *, lat: float, lon: float, accuracy_m: float, told: tuple[float, float] | None, by: User, at: datetime
) -> ConfirmedPlace:
    """Keep what a reviewer confirmed, in place of what was kept before; `told` are the coordinates that came with it.

    Two reviewers who confirm the same text at once wait for each other, and the later one's word stays.
    """
    assert connection.in_atomic_block, "it is kept together with the decision"
    place, _created = ConfirmedPlace.objects.get_or_create(
        key=key,
        defaults={
            "location": Point(lon, lat, srid=4326),
            "accuracy_m": accuracy_m,
            "confirmed_by": by,
            "confirmed_at": at,
            "kept_until": at + KEPT,
        },
    )
    place = ConfirmedPlace.objects.select_for_update().get(pk=place.pk)
    stayed = metres(lat, lon, place.location.y, place.location.x) <= SAME_PLACE_M
    overruled = [Point(*seen) for seen in place.overruled.coords] if stayed and place.overruled else []
    if told is not None:
        overruled.append(Point(told[1], told[0]))
    place.location, place.accuracy_m = Point(lon, lat, srid=4326), accuracy_m
    place.overruled = MultiPoint(overruled[-MOST_OVERRULED:], srid=4326) if overruled else None
    place.confirmed_by, place.confirmed_at, place.kept_until = by, at, at + KEPT
    place.save(update_fields=["location", "accuracy_m", "overruled", "confirmed_by", "confirmed_at", "kept_until"])
    return place


def forget(key: bytes) -> bool:
    """Forget a text; what was located by it stays where it is. Tells whether there was anything to forget."""
    return ConfirmedPlace.objects.filter(key=key).delete()[0] > 0


def count_uses(place_ids: Sequence[int], *, at: datetime) -> None:
    """Note that orders were located by these places, one id for each: what is used is kept longer."""
    if not place_ids:
        return
    with connection.cursor() as cursor:
        # Locked in the order of their ids first, so that sweeps side by side cannot wait for each other in a circle.
        cursor.execute(
            """WITH locked AS (SELECT id FROM network_confirmedplace WHERE id = ANY (%(ids)s) ORDER BY id FOR UPDATE)
               UPDATE network_confirmedplace p
               SET used = p.used + u.uses, kept_until = greatest(p.kept_until, %(until)s)
               FROM locked JOIN (SELECT id, count(*) AS uses FROM unnest(%(ids)s::bigint[]) AS id GROUP BY id) u
                 USING (id)
               WHERE p.id = locked.id""",
            {"ids": list(place_ids), "until": at + KEPT},
        )


def forget_unused(*, now: datetime) -> int:
    """Delete what nobody used for so long. Returns how many."""
    return ConfirmedPlace.objects.filter(kept_until__lte=now).delete()[0]
