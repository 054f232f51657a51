"""A geocoder on a real socket that speaks the five dialects and lies on demand: what tests and benchmarks ask."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Spot:
    """What is answered: degrees in the dialect's own datum; `fine` is an exact place, else the middle of a town."""

    lat: Any
    lon: Any
    fine: bool = True


Answer = Spot | None | tuple[int, dict[str, str], bytes]  # a place, an unknown address, or a raw status and body


def nominatim(spot: Spot | None) -> Any:
    if spot is None:
        return []
    rank, kind = (30, "building") if spot.fine else (12, "city")
    return [{"lat": str(spot.lat), "lon": str(spot.lon), "display_name": "x", "place_rank": rank, "addresstype": kind}]


def photon(spot: Spot | None) -> Any:
    if spot is None:
        return {"type": "FeatureCollection", "features": []}
    about = {"name": "x", "type": "house" if spot.fine else "city"}
    return {"features": [{"geometry": {"coordinates": [spot.lon, spot.lat]}, "properties": about}]}


def baidu(spot: Spot | None) -> Any:
    if spot is None:
        return {"status": 1, "msg": "Internal Service Error:无相关结果", "results": []}
    place = {"location": {"lat": spot.lat, "lng": spot.lon}, "confidence": 80 if spot.fine else 20, "level": "门址"}
    return {"status": 0, "result": place}


def amap(spot: Spot | None) -> Any:
    if spot is None:
        return {"status": "1", "infocode": "10000", "count": "0", "geocodes": []}
    place = {"formatted_address": "x", "location": f"{spot.lon},{spot.lat}", "level": "门牌号" if spot.fine else "市"}
    return {"status": "1", "infocode": "10000", "count": "1", "geocodes": [place]}


def tencent(spot: Spot | None) -> Any:
    if spot is None:
        return {"status": 347, "message": "查询无结果"}
    place = {"location": {"lat": spot.lat, "lng": spot.lon}, "reliability": 8, "level": 9 if spot.fine else 1}
    return {"status": 0, "message": "query ok", "result": place | {"title": "x"}}


# The path tells the dialect, and the name of the parameter with the address.
DIALECTS: dict[str, tuple[Callable[[Spot | None], Any], str]] = {
    "/search": (nominatim, "q"),
    "/api": (photon, "q"),
    "/geocoding/v3/": (baidu, "address"),
    "/v3/geocode/geo": (amap, "address"),
    "/ws/geocoder/v1/": (tencent, "address"),
}


@dataclass
class GeocoderServer:
    """`answer` is called with the address that was asked for; `asked` are all of them, with their parameters."""

    url: str = ""
    answer: Callable[[str], Answer] = lambda words: None
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [words for words, _, _ in self.asked]


@contextmanager
def serving(answer: Callable[[str], Answer] = lambda words: None) -> Iterator[GeocoderServer]:
    server = GeocoderServer(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            speak, parameter = DIALECTS[parts.path]
            words = query[parameter]
            server.asked.append((words, query, {name.lower(): value for name, value in self.headers.items()}))
            said = server.answer(words)
            status, headers, body = (
                said if isinstance(said, tuple) else (200, {}, json.dumps(speak(said), ensure_ascii=False).encode())
            )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
