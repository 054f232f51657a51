"""The geocoders a network may ask: which are configured, how each is asked, and what its answer is worth.

GEOCODERS names them in their order, separated by spaces: `amap?rate=3 nominatim=https://geo.example.org/?rate=10`. A
name is a kind (`nominatim`, `photon`, `baidu`, `amap`, `tencent`), with `.label` after it where there are two of one
kind; after `=` stands the address of an own server; then options: `rate` (questions a second, of all processes
together), `timeout` (seconds for a question), `datum`, `cache_days` (0: nothing is kept). Keys stand in the secrets or
in GEOCODER_KEYS, by name; `KEY:SECRET` signs the questions. What is wrong is told by its name when a process starts.

All go through geopy. `ask` turns whatever geopy raises into one `Outcome`, so that an outage never reads as "no such
address". Nothing here knows the database: see `network.lookups` for the chain.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache, partial
from math import cos, hypot, isfinite, radians
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from geopy import exc
from geopy.adapters import AdapterHTTPError, BaseSyncAdapter
from geopy.geocoders import BaiduV3, Nominatim, Photon
from geopy.geocoders.base import Geocoder
from geopy.location import Location

from network import wire
from network.datum import Datum, to_wgs84

# At the level DEBUG geopy logs its questions, which are somebody's address, with the key.
logging.getLogger("geopy").setLevel(logging.WARNING)

ANSWER_BYTES = 256 * 1024
UNCERTAIN_M = 1_000.0  # an answer that does not tell how exact it is


class Outcome(StrEnum):
    """What became of a question. Only the first two are answers about the address."""

    FOUND = "found"
    UNKNOWN = "unknown"  # the geocoder does not know the address
    IMPLAUSIBLE = "implausible"  # it answered with what is no place: NaN, a latitude of 113
    BAD_QUERY = "bad_query"  # it does not accept this question
    TIMED_OUT = "timed_out"
    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    REFUSED = "refused"  # the key is wrong or may not ask
    UNREADABLE = "unreadable"  # the answer is not what it should look like
    FAILED = "failed"


DOWN = frozenset(Outcome) - {Outcome.FOUND, Outcome.UNKNOWN, Outcome.IMPLAUSIBLE, Outcome.BAD_QUERY}


@dataclass(frozen=True)
class Said:
    """One answer: degrees in WGS 84, and how far the place may be off; or why there is none."""

    outcome: Outcome
    lat: float = 0.0
    lon: float = 0.0
    accuracy_m: float = 0.0
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Service:
    """One configured geocoder."""

    name: str
    kind: str
    url: str
    key: str = ""
    secret: str = ""
    datum: Datum = Datum.WGS84
    rate: float = 1.0
    timeout_s: float = 5.0
    cache_days: int = 90

    @cached_property
    def geocoder(self) -> Any:
        return KINDS[self.kind].make(self)

    @property
    def is_local(self) -> bool:
        """Plain http is for a server beside ours; whoever writes it down has decided that it may be asked."""
        return self.url.startswith("http:") or _is_inside(urlsplit(self.url).hostname or "")


def ask(service: Service, words: str) -> Said:
    """Ask one geocoder for one address. Takes at most `timeout_s`; never raises what geopy raises."""
    try:
        location = service.geocoder.geocode(words, timeout=service.timeout_s)
        if location is None:
            return Said(Outcome.UNKNOWN)
        lat, lon = to_wgs84(location.latitude, location.longitude, service.datum)
        accuracy_m = service.geocoder.accuracy_m(location.raw)
        return Said(Outcome.FOUND, lat, lon, accuracy_m)
    except Exception as error:
        outcome = outcome_of(error)
        if outcome is None:
            raise
        return Said(outcome, retry_after_s=getattr(error, "retry_after", None))


def outcome_of(error: Exception) -> Outcome | None:
    """Return what an exception of geopy, or of reading an answer that looks otherwise, means; None: it is our own."""
    return next((outcome for kinds, outcome in OUTCOMES if isinstance(error, kinds)), None)


class Implausible(exc.GeocoderServiceError):  # type: ignore[misc]
    """An answer whose coordinates are none."""


# In this order: what is more special comes first.
OUTCOMES: list[tuple[type[Exception] | tuple[type[Exception], ...], Outcome]] = [
    (Implausible, Outcome.IMPLAUSIBLE),
    (exc.GeocoderTimedOut, Outcome.TIMED_OUT),
    (exc.GeocoderRateLimited, Outcome.RATE_LIMITED),
    (exc.GeocoderQuotaExceeded, Outcome.QUOTA),
    ((exc.GeocoderAuthenticationFailure, exc.GeocoderInsufficientPrivileges), Outcome.REFUSED),
    (exc.ConfigurationError, Outcome.REFUSED),
    (exc.GeocoderUnavailable, Outcome.UNAVAILABLE),
    (exc.GeocoderParseError, Outcome.UNREADABLE),
    (exc.GeocoderQueryError, Outcome.BAD_QUERY),
    (exc.GeopyError, Outcome.FAILED),
    ((LookupError, TypeError, ValueError, AttributeError), Outcome.UNREADABLE),
]


class Adapter(BaseSyncAdapter):  # type: ignore[misc]
    """geopy's way to the network, bounded in time and size; geopy's own reads on for as long as bytes drip in."""

    def __init__(self, *, proxies: Any, ssl_context: Any, allow_local: bool) -> None:
        super().__init__(proxies=proxies, ssl_context=ssl_context)
        self.allow_local = allow_local

    def get_json(self, url: str, *, timeout: float, headers: Mapping[str, str]) -> Any:
        try:
            return json.loads(self.get_text(url, timeout=timeout, headers=headers))
        except ValueError as error:
            raise exc.GeocoderParseError("no JSON") from error

    def get_text(self, url: str, *, timeout: float, headers: Mapping[str, str]) -> str:
        try:
            answer = wire.exchange(
                "GET",
                url,
                None,
                headers,
                step_s=timeout,
                total_s=timeout,
                most_bytes=ANSWER_BYTES,
                allow_local=self.allow_local,
            )
        except wire.NotAllowed as error:
            raise exc.ConfigurationError(str(error)) from error
        except TimeoutError as error:
            raise exc.GeocoderTimedOut("no answer in time") from error
        except (OSError, http.client.HTTPException) as error:
            raise exc.GeocoderUnavailable(type(error).__name__) from error
        if answer.status != 200:
            # Its words stay behind: they may repeat the address, and geopy would log them.
            raise AdapterHTTPError(str(answer.status), status_code=answer.status, headers=answer.headers, text="")
        try:
            return answer.body.decode()
        except UnicodeDecodeError as error:
            raise exc.GeocoderParseError("not UTF-8") from error


def _located(words: object, lat: object, lon: object, raw: Mapping[str, Any]) -> Location:
    """Return a Location of an answer, or raise Implausible: geopy's own words for it cannot be told from a mistake."""
    try:
        degrees = float(str(lat)), float(str(lon))
    except ValueError as error:
        raise Implausible("no coordinates") from error
    if not (isfinite(degrees[0]) and isfinite(degrees[1]) and abs(degrees[0]) <= 90 and abs(degrees[1]) <= 180):
        raise Implausible("no coordinates")
    return Location(str(words or ""), degrees, raw)


def _half_diagonal_m(south: object, north: object, west: object, east: object) -> float:
    lat, other_lat, lon, other_lon = (float(str(one)) for one in (south, north, west, east))
    metres = 111_320 * hypot(other_lat - lat, (other_lon - lon) * cos(radians(lat))) / 2
    return metres if isfinite(metres) else UNCERTAIN_M


class OwnNominatim(Nominatim):  # type: ignore[misc]
    """Nominatim says how large the thing is that it found, and on which rung of its ladder it stands."""

    RANKS = ((4, 500_000.0), (8, 200_000.0), (12, 50_000.0), (16, 10_000.0), (18, 6_000.0), (20, 2_500.0))
    STREETS = ((25, 1_000.0), (27, 200.0))
    KINDS = {
        **dict.fromkeys(["country", "state", "province", "region", "county", "city", "town", "municipality"], 10_000.0),
        **dict.fromkeys(["city_district", "district", "borough", "administrative"], 6_000.0),
        **dict.fromkeys(["suburb", "village", "postcode", "quarter"], 2_500.0),
    }

    def _parse_code(self, place: Mapping[str, Any]) -> Location:
        return _located(place.get("display_name"), place.get("lat"), place.get("lon"), place)

    def accuracy_m(self, raw: Mapping[str, Any]) -> float:
        told = [self.KINDS.get(str(raw.get("addresstype") or raw.get("type")), 0.0)]
        if "place_rank" in raw:
            rank = int(raw["place_rank"])
            told.append(next((metres for most, metres in self.RANKS + self.STREETS if rank <= most), 50.0))
        if isinstance(raw.get("boundingbox"), list):
            told.append(_half_diagonal_m(*raw["boundingbox"]))
        return max(told) or UNCERTAIN_M


class OwnPhoton(Photon):  # type: ignore[misc]
    KINDS = {
        "house": 50.0,
        "street": 300.0,
        "locality": 1_500.0,
        "district": 6_000.0,
        "city": 10_000.0,
        "county": 20_000.0,
        "state": 200_000.0,
        "country": 2_000_000.0,
    }

    def _parse_resource(self, resource: Mapping[str, Any]) -> Location:
        lon, lat = resource["geometry"]["coordinates"]
        return _located(resource["properties"].get("name"), lat, lon, resource)

    def accuracy_m(self, raw: Mapping[str, Any]) -> float:
        about = raw["properties"]
        least = self.KINDS.get(str(about.get("type")), UNCERTAIN_M)
        if isinstance(about.get("extent"), list):
            west, north, east, south = about["extent"]
            return max(least, _half_diagonal_m(south, north, west, east))
        return least


class OwnBaidu(BaiduV3):  # type: ignore[misc]
    """Baidu's v3; it answers in BD-09, and says its confidence by a table of its manual."""

    CONFIDENCE = ((100, 20.0), (90, 50.0), (80, 100.0), (75, 200.0), (70, 300.0), (60, 500.0), (50, 1_000.0))
    LOW = ((40, 2_000.0), (30, 5_000.0), (25, 8_000.0), (20, 10_000.0))

    def _parse_json(self, page: Mapping[str, Any], exactly_one: bool = True) -> Location | None:
        status, place = page["status"], page.get("result")
        if status in {401, 402}:
            raise exc.GeocoderRateLimited(f"Baidu: {status}")
        if status == 1 and not place and "无相关结果" in str(page.get("message") or page.get("msg")):
            return None
        if status != 0:
            self._check_status(status)
        if not place:
            return None
        return _located(place.get("level"), place["location"].get("lat"), place["location"].get("lng"), place)

    def accuracy_m(self, raw: Mapping[str, Any]) -> float:
        if "confidence" not in raw:
            return UNCERTAIN_M
        told = float(raw["confidence"])
        return next((metres for least, metres in self.CONFIDENCE + self.LOW if told >= least), 20_000.0)


class Signed(Geocoder):  # type: ignore[misc]
    """What AMap and Tencent have in common: one question by GET, perhaps signed, answered with a code of their own."""

    path: str
    parameter = "address"
    codes: Mapping[str, type[exc.GeocoderServiceError]]

    def __init__(self, api_key: str, *, url: str, secret: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.api_key, self.url, self.secret = api_key, url, secret

    def geocode(self, query: str, *, exactly_one: bool = True, timeout: Any = None) -> Location | None:
        asked = {self.parameter: query, "key": self.api_key, "output": "json"}
        if self.secret:
            asked["sig"] = self.signature(asked)
        located: Location | None = self._call_geocoder(
            f"{self.url}{self.path}?{urlencode(asked)}", partial(self._parse, exactly_one=exactly_one), timeout=timeout
        )
        return located

    def signature(self, asked: Mapping[str, str]) -> str:
        """MD5 over the question before it is quoted, its names in order, and the secret: so they want it."""
        written = self.signed_before + "&".join(f"{name}={asked[name]}" for name in sorted(asked)) + self.secret
        return hashlib.md5(written.encode(), usedforsecurity=False).hexdigest()

    signed_before = ""

    def _refuse(self, code: str) -> None:
        found = next((self.codes[code[:size]] for size in (5, 3, 2, 1) if code[:size] in self.codes), None)
        raise (found or exc.GeocoderServiceError)(f"{type(self).__name__}: {code[:20]}")

    def _parse(self, page: Mapping[str, Any], *, exactly_one: bool) -> Location | None:
        raise NotImplementedError


class AMap(Signed):
    """AMap (高德), web service v3; GCJ-02. The levels are those of its manual."""

    path = "/v3/geocode/geo"
    codes = {
        **dict.fromkeys(["10003", "10010", "10044", "40000", "40002"], exc.GeocoderQuotaExceeded),
        **dict.fromkeys(["10004", "10014", "10019", "10020", "10021"], exc.GeocoderRateLimited),
        **dict.fromkeys(["10015", "10016", "10017"], exc.GeocoderUnavailable),
        **dict.fromkeys(["10012", "20011"], exc.GeocoderInsufficientPrivileges),
        "10": exc.GeocoderAuthenticationFailure,
        "20": exc.GeocoderQueryError,
        "30": exc.GeocoderServiceError,
    }
    LEVELS = {
        "国家": 2_000_000.0,
        "省": 200_000.0,
        "市": 20_000.0,
        "区县": 10_000.0,
        "开发区": 6_000.0,
        "乡镇": 6_000.0,
        "村庄": 2_000.0,
        "热点商圈": 1_000.0,
        "道路": 1_500.0,
        **dict.fromkeys(["门牌号", "单元号", "兴趣点", "门址"], 50.0),
        **dict.fromkeys(["道路交叉路口", "公交站台、地铁站", "公交站台", "地铁站"], 200.0),
    }

    def _parse(self, page: Mapping[str, Any], *, exactly_one: bool) -> Location | None:
        if str(page["status"]) != "1":
            self._refuse(str(page["infocode"]))
        if not page["geocodes"]:
            return None
        place = page["geocodes"][0]
        lon, _, lat = str(place["location"]).partition(",")
        return _located(place.get("formatted_address"), lat, lon, place)

    def accuracy_m(self, raw: Mapping[str, Any]) -> float:
        return self.LEVELS.get(str(raw.get("level")), UNCERTAIN_M)


class Tencent(Signed):
    """Tencent's (腾讯) geocoder v1; GCJ-02. Below a reliability of 7 its manual calls an answer doubtful."""

    path = "/ws/geocoder/v1/"
    signed_before = "/ws/geocoder/v1/?"
    codes = {
        "120": exc.GeocoderRateLimited,
        "121": exc.GeocoderQuotaExceeded,
        **dict.fromkeys(["110", "111", "112", "113", "190", "199", "311"], exc.GeocoderAuthenticationFailure),
        **dict.fromkeys(["301", "306", "310", "348", "395"], exc.GeocoderQueryError),
        "5": exc.GeocoderUnavailable,
    }
    LEVELS = {
        0: 200_000.0,
        1: 20_000.0,
        2: 10_000.0,
        3: 6_000.0,
        4: 2_000.0,
        5: 6_000.0,
        6: 1_000.0,
        7: 1_500.0,
        8: 300.0,
        9: 50.0,
        10: 100.0,
        11: 50.0,
    }

    def _parse(self, page: Mapping[str, Any], *, exactly_one: bool) -> Location | None:
        status = str(page["status"])
        if status == "347":
            return None
        if status != "0":
            self._refuse(status)
        place = page["result"]
        return _located(place.get("title"), place["location"].get("lat"), place["location"].get("lng"), place)

    def accuracy_m(self, raw: Mapping[str, Any]) -> float:
        metres = self.LEVELS.get(raw.get("level", -1), UNCERTAIN_M)
        return max(metres, 6_000.0) if float(raw.get("reliability", 7)) < 7 else metres


# --- What is configured ---------------------------------------------------------------------------------------


def _options(service: Service) -> dict[str, Any]:
    return {
        "user_agent": settings.GEOCODER_USER_AGENT,
        "timeout": service.timeout_s,
        "proxies": {},
        "adapter_factory": partial(Adapter, allow_local=service.is_local),
    }


def _where(service: Service) -> dict[str, Any]:
    scheme, _, rest = service.url.partition("://")
    return {"scheme": scheme, "domain": rest}


def _nominatim(service: Service) -> Any:
    return OwnNominatim(**_where(service), **_options(service))


def _photon(service: Service) -> Any:
    return OwnPhoton(**_where(service), **_options(service))


def _baidu(service: Service) -> Any:
    geocoder = OwnBaidu(service.key, security_key=service.secret or None, **_options(service))
    geocoder.api = service.url + geocoder.api_path
    return geocoder


def _amap(service: Service) -> Any:
    return AMap(service.key, url=service.url, secret=service.secret, **_options(service))


def _tencent(service: Service) -> Any:
    return Tencent(service.key, url=service.url, secret=service.secret, **_options(service))


@dataclass(frozen=True)
class Kind:
    make: Any
    url: str
    datum: Datum
    rate: float
    needs_key: bool = True


KINDS = {
    # The public servers allow one question a second of a whole application, and no bulk (FACTS d8).
    "nominatim": Kind(_nominatim, "https://nominatim.openstreetmap.org", Datum.WGS84, 1.0, needs_key=False),
    "photon": Kind(_photon, "https://photon.komoot.io", Datum.WGS84, 1.0, needs_key=False),
    "baidu": Kind(_baidu, "https://api.map.baidu.com", Datum.BD09, 3.0),
    "amap": Kind(_amap, "https://restapi.amap.com", Datum.GCJ02, 3.0),
    "tencent": Kind(_tencent, "https://apis.map.qq.com", Datum.GCJ02, 3.0),
}
PUBLIC_RATE = 1.0
MOST_RATE, LEAST_TIMEOUT_S, MOST_TIMEOUT_S, MOST_CACHE_DAYS = 1_000.0, 0.1, 20.0, 365
_NAME = re.compile(r"(?P<kind>[a-z]+)(?:\.[a-z0-9]{1,15})?")


def configured() -> tuple[Service, ...]:
    """The geocoders in the order in which they are asked. Raises ImproperlyConfigured."""
    return _read(settings.GEOCODERS, tuple(sorted(settings.GEOCODER_KEYS.items())))


@lru_cache(maxsize=16)
def _read(text: str, keys: tuple[tuple[str, str], ...]) -> tuple[Service, ...]:
    services = tuple(_service(entry, dict(keys)) for entry in text.split())
    names = [service.name for service in services]
    for name in names:
        if names.count(name) > 1:
            raise _wrong(name, "is named twice; write amap.second for another one of a kind")
    return services


def _wrong(entry: str, what: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"PICKUP_GEOCODERS: {entry} {what}")


def _service(entry: str, keys: Mapping[str, str]) -> Service:
    head, _, query = entry.partition("?")
    name, _, url = head.partition("=")
    known = _NAME.fullmatch(name)
    kind = KINDS.get(known["kind"]) if known else None
    if known is None or kind is None:
        raise _wrong(repr(name), f"is none of {', '.join(KINDS)}")
    own = url.rstrip("/")
    if own:
        _check_url(name, own)
    key, _, secret = keys.get(name, "").partition(":")
    if kind.needs_key and not key:
        variable = f"PICKUP_GEOCODER_KEY_{name.upper().replace('.', '_')}"
        raise _wrong(name, f"needs a key: set {variable}, or geocoders.{name} in the secrets")
    options = dict(parse_qsl(query, keep_blank_values=True))
    rate = _number(name, options, "rate", kind.rate, 0.01, MOST_RATE)
    is_public = not kind.needs_key and urlsplit(own or kind.url).hostname == urlsplit(kind.url).hostname
    if is_public and rate > PUBLIC_RATE:
        raise _wrong(name, f"rate={rate:g}: the public server allows one question a second")
    datum = options.pop("datum", kind.datum)
    if datum not in set(Datum):
        raise _wrong(name, f"datum={datum} is none of {', '.join(Datum)}")
    service = Service(
        name=name,
        kind=known["kind"],
        url=own or kind.url,
        key=key,
        secret=secret,
        datum=Datum(datum),
        rate=rate,
        timeout_s=_number(name, options, "timeout", 5.0, LEAST_TIMEOUT_S, MOST_TIMEOUT_S),
        cache_days=int(_number(name, options, "cache_days", 90, 0, MOST_CACHE_DAYS)),
    )
    if options:
        raise _wrong(name, f"has no option {', '.join(sorted(options))}")
    return service


def _number(name: str, options: dict[str, str], option: str, default: float, least: float, most: float) -> float:
    written = options.pop(option, "")
    if not written:
        return default
    try:
        number = float(written)
    except ValueError:
        raise _wrong(name, f"{option}={written} is no number") from None
    if not least <= number <= most:
        raise _wrong(name, f"{option}={written} is not between {least:g} and {most:g}")
    return number


def _check_url(name: str, url: str) -> None:
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if parts.scheme not in {"http", "https"} or not host or parts.username:
        raise _wrong(name, f"={url} is no address of a server")
    if parts.scheme == "http" and not _is_inside(host):
        raise _wrong(name, f"={url}: addresses of people leave our own network by https only")


def _is_inside(host: str) -> bool:
    """Whether a name or an address is one of our own network: loopback, private, or a name without a dot."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host
