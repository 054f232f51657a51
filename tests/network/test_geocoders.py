"""Five dialects over real sockets: what an answer is worth, and what each failure is called."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import sleep
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from geopy import exc

from network import geocoders
from network.datum import Datum, from_wgs84
from network.geocoders import DOWN, Outcome, Service, ask, outcome_of
from tests.geocoder_server import GeocoderServer, Spot, serving

HOME = (22.5401, 113.9401)
KEYS = {"amap": "k", "baidu": "k", "tencent": "k"}
KINDS = ["nominatim", "photon", "baidu", "amap", "tencent"]


@pytest.fixture
def server() -> Iterator[GeocoderServer]:
    with serving() as running:
        yield running


def service(
    kind: str, server: GeocoderServer, settings: Any, *, options: str = "?rate=1000", key: str = "k"
) -> Service:
    settings.GEOCODERS = f"{kind}={server.url}/{options}"
    settings.GEOCODER_KEYS = dict.fromkeys(KEYS, key)
    return geocoders.configured()[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_comes_back_in_wgs84(kind: str, server: GeocoderServer, settings: Any) -> None:
    asked = service(kind, server, settings)
    server.answer = lambda words: Spot(*from_wgs84(*HOME, asked.datum))
    said = ask(asked, "深圳市科苑路1号")
    assert said.outcome is Outcome.FOUND
    assert [said.lat, said.lon] == pytest.approx(list(HOME), abs=1e-6)
    assert said.accuracy_m <= 100
    assert server.texts == ["深圳市科苑路1号"]
    assert server.asked[0][2]["user-agent"].startswith("pickup-network/")


def test_each_kind_has_its_own_datum(server: GeocoderServer, settings: Any) -> None:
    found = {kind: service(kind, server, settings).datum for kind in KINDS}
    assert found == {"nominatim": "wgs84", "photon": "wgs84", "baidu": "bd09", "amap": "gcj02", "tencent": "gcj02"}
    assert service("photon", server, settings, options="?datum=gcj02").datum is Datum.GCJ02


@pytest.mark.parametrize("kind", KINDS)
def test_the_middle_of_a_town_says_that_it_is_vague(kind: str, server: GeocoderServer, settings: Any) -> None:
    server.answer = lambda words: Spot(*HOME, fine=False)
    assert ask(service(kind, server, settings), "深圳市").accuracy_m > settings.MAX_ACCURACY_M


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_address_is_unknown(kind: str, server: GeocoderServer, settings: Any) -> None:
    assert ask(service(kind, server, settings), "没有的路").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "spot",
    [
        Spot(float("nan"), 113.9),
        Spot(22.5, float("inf")),
        Spot(113.94, 22.54),  # swapped
        Spot(22.5, 999.0),
        Spot("north", "east"),
        Spot("", ""),
    ],
    ids=["nan", "infinite", "swapped", "beyond", "words", "nothing"],
)
def test_what_is_no_place_is_implausible(kind: str, spot: Spot, server: GeocoderServer, settings: Any) -> None:
    server.answer = lambda words: spot
    assert ask(service(kind, server, settings), "深圳市科苑路1号").outcome is Outcome.IMPLAUSIBLE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.BAD_QUERY),
        (401, Outcome.REFUSED),
        (402, Outcome.QUOTA),
        (403, Outcome.REFUSED),
        (404, Outcome.FAILED),
        (429, Outcome.RATE_LIMITED),
        (500, Outcome.FAILED),
        (502, Outcome.FAILED),
        (503, Outcome.TIMED_OUT),
        (504, Outcome.TIMED_OUT),
        (302, Outcome.FAILED),
    ],
)
def test_each_status_has_its_outcome(
    kind: str, status: int, outcome: Outcome, server: GeocoderServer, settings: Any
) -> None:
    server.answer = lambda words: (status, {"location": "http://127.0.0.1:1/", "retry-after": "7"}, b"{}")
    said = ask(service(kind, server, settings), "深圳市")
    assert said.outcome is outcome
    if outcome is Outcome.RATE_LIMITED:
        assert said.retry_after_s == 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff\xfe", b"3", b"[[]]", b'{"x": 1}', b"null", b'"text"'])
def test_an_answer_that_cannot_be_read_is_never_an_answer(
    kind: str, body: bytes, server: GeocoderServer, settings: Any
) -> None:
    server.answer = lambda words: (200, {}, body)
    assert ask(service(kind, server, settings), "深圳市").outcome not in {Outcome.FOUND}
    if body in {b"<html>", b"", b"\xff\xfe", b"3", b"[[]]"}:
        assert ask(service(kind, server, settings), "深圳市").outcome in DOWN


@pytest.mark.parametrize(
    ("kind", "body", "outcome"),
    [
        ("amap", b'{"status":"0","infocode":"10001"}', Outcome.REFUSED),
        ("amap", b'{"status":"0","infocode":"10003"}', Outcome.QUOTA),
        ("amap", b'{"status":"0","infocode":"10021"}', Outcome.RATE_LIMITED),
        ("amap", b'{"status":"0","infocode":"10016"}', Outcome.UNAVAILABLE),
        ("amap", b'{"status":"0","infocode":"20000"}', Outcome.BAD_QUERY),
        ("amap", b'{"status":"0","infocode":"30001"}', Outcome.FAILED),
        ("tencent", b'{"status":120}', Outcome.RATE_LIMITED),
        ("tencent", b'{"status":121}', Outcome.QUOTA),
        ("tencent", b'{"status":311}', Outcome.REFUSED),
        ("tencent", b'{"status":348}', Outcome.BAD_QUERY),
        ("tencent", b'{"status":510}', Outcome.UNAVAILABLE),
        ("tencent", b'{"status":900}', Outcome.FAILED),
        ("baidu", b'{"status":1,"msg":"x"}', Outcome.FAILED),
        ("baidu", b'{"status":2}', Outcome.BAD_QUERY),
        ("baidu", b'{"status":211}', Outcome.REFUSED),
        ("baidu", b'{"status":302}', Outcome.QUOTA),
        ("baidu", b'{"status":401}', Outcome.RATE_LIMITED),
        ("nominatim", b'{"error":"x"}', Outcome.BAD_QUERY),
    ],
)
def test_the_codes_of_a_service_have_their_outcomes(
    kind: str, body: bytes, outcome: Outcome, server: GeocoderServer, settings: Any
) -> None:
    server.answer = lambda words: (200, {}, body)
    assert ask(service(kind, server, settings), "深圳市").outcome is outcome


def test_every_exception_of_geopy_has_an_outcome() -> None:
    kinds = [kind for kind in vars(exc).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 10
    for kind in kinds:
        assert outcome_of(kind("x")) is not None
    assert outcome_of(MemoryError()) is None


def test_a_door_that_is_shut_is_unavailable(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings.GEOCODERS = f"nominatim=http://127.0.0.1:{port}"
    assert ask(geocoders.configured()[0], "深圳市").outcome is Outcome.UNAVAILABLE


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_an_answer_that_never_ends_is_cut_off(drip: bytes, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def talk() -> None:
            connected, _ = server.accept()
            with connected, suppress(OSError):
                connected.sendall(drip)
                while not over.is_set():
                    if drip:
                        connected.sendall(b"x")
                    sleep(0.02)

        talking = threading.Thread(target=talk)
        talking.start()
        settings.GEOCODERS = f"photon=http://127.0.0.1:{server.getsockname()[1]}?timeout=0.3"
        assert ask(geocoders.configured()[0], "深圳市").outcome is Outcome.TIMED_OUT
        over.set()
        talking.join()


def test_an_answer_too_long_is_not_read(server: GeocoderServer, settings: Any) -> None:
    server.answer = lambda words: (200, {}, b"[" + b" " * 2 * geocoders.ANSWER_BYTES + b"]")
    assert ask(service("nominatim", server, settings), "深圳市").outcome is Outcome.UNREADABLE


def test_signed_questions_are_signed_as_the_services_want_it(server: GeocoderServer, settings: Any) -> None:
    ask(service("amap", server, settings, key="K:S"), "北京市朝阳区")
    query = server.asked[-1][1]
    expected = "address=北京市朝阳区&key=K&output=json" + "S"
    assert query["sig"] == hashlib.md5(expected.encode()).hexdigest()
    ask(service("tencent", server, settings, key="K:S"), "北京市朝阳区")
    expected = "/ws/geocoder/v1/?address=北京市朝阳区&key=K&output=jsonS"
    assert server.asked[-1][1]["sig"] == hashlib.md5(expected.encode()).hexdigest()
    ask(service("baidu", server, settings, key="K:S"), "北京市朝阳区")
    assert len(server.asked[-1][1]["sn"]) == 32


def test_baidu_says_how_sure_it_is_by_its_table(settings: Any) -> None:
    settings.GEOCODERS, settings.GEOCODER_KEYS = "baidu", KEYS
    accuracy_m = geocoders.configured()[0].geocoder.accuracy_m
    assert [accuracy_m({"confidence": told}) for told in (100, 80, 50, 20, 0)] == [20, 100, 1_000, 10_000, 20_000]


def test_nominatim_is_as_exact_as_what_it_found_is_large(settings: Any) -> None:
    settings.GEOCODERS = "nominatim"
    accuracy_m = geocoders.configured()[0].geocoder.accuracy_m
    street = {"place_rank": 26, "boundingbox": ["22.50", "22.54", "113.90", "113.94"]}
    assert accuracy_m(street) == pytest.approx(3_030, abs=20)
    assert accuracy_m({"place_rank": 30, "boundingbox": ["22.5", "22.5001", "113.9", "113.9001"]}) == 50
    assert accuracy_m({}) == geocoders.UNCERTAIN_M
    assert accuracy_m({"type": "city"}) > settings.MAX_ACCURACY_M


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("google", "google"),
        ("amap", "PICKUP_GEOCODER_KEY_AMAP"),
        ("amap.second", "PICKUP_GEOCODER_KEY_AMAP_SECOND"),
        ("nominatim nominatim", "twice"),
        ("nominatim?rate=5", "one question a second"),
        ("nominatim=https://nominatim.openstreetmap.org/?rate=2", "one question a second"),
        ("nominatim=https://geo.example.org/?rate=fast", "rate=fast"),
        ("nominatim=https://geo.example.org/?rate=0", "rate=0"),
        ("nominatim?timeout=600", "timeout=600"),
        ("photon?cache_days=-1", "cache_days=-1"),
        ("photon?datum=itrf", "datum=itrf"),
        ("photon?speed=1", "speed"),
        ("photon=ftp://geo.example.org", "no address"),
        ("photon=geo.example.org", "no address"),
        ("photon=https://user@geo.example.org", "no address"),
        ("photon=https://geo.example.org:99999", "no address"),
        ("photon=http://geo.example.org", "https only"),
        ("Photon", "'Photon'"),
        ("nominatim.", "'nominatim.'"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(text: str, words: str, settings: Any) -> None:
    settings.GEOCODERS, settings.GEOCODER_KEYS = text, {}
    with pytest.raises(ImproperlyConfigured, match="PICKUP_GEOCODERS") as told:
        geocoders.configured()
    assert words in str(told.value)


def test_settings_are_read_in_their_order(settings: Any) -> None:
    settings.GEOCODERS = "amap?rate=3&timeout=2  nominatim=https://geo.example.org/n/?rate=20&cache_days=0 photon"
    settings.GEOCODER_KEYS = {"amap": "key:secret"}
    amap, nominatim, photon = geocoders.configured()
    assert (amap.name, amap.key, amap.secret, amap.rate, amap.timeout_s) == ("amap", "key", "secret", 3, 2)
    assert (nominatim.url, nominatim.rate, nominatim.cache_days) == ("https://geo.example.org/n", 20, 0)
    assert nominatim.geocoder.api == "https://geo.example.org/n/search"
    assert (photon.url, photon.rate) == ("https://photon.komoot.io", 1)


def test_without_a_setting_nobody_is_asked(settings: Any) -> None:
    settings.GEOCODERS = ""
    assert geocoders.configured() == ()


def test_only_a_server_beside_ours_may_have_a_local_address(settings: Any) -> None:
    settings.GEOCODERS = "photon=http://geocoder:2322 nominatim=https://geo.example.org nominatim.b=https://10.0.0.7"
    assert [one.is_local for one in geocoders.configured()] == [True, False, True]
