"""Before and behind every door under `/api/`: calls that no door could answer, keys that flood, errors as JSON."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from math import ceil
from threading import Lock
from time import monotonic

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from pickup.api.errors import CODES, body

CHEAP = ("/api/v1/scans", "/api/v1/orders")  # what a shop or a merchant does all day; anything else costs ten of it
DEAR = 10
KEYS_REMEMBERED = 10_000
FULL_AFTER_S = 40  # so long a key that was quiet may save up
READABLE = ("/api/v1/docs", "/api/v1/openapi.json")


class Buckets:
    """How much each key may still call. In the memory of one process, so that it costs a call no round trip.

    A key is known by a hash. Who was quiet longest is forgotten first, and begins with a full bucket again.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def take(self, key: bytes, *, cost: int, per_s: int) -> int:
        """Take a call out of the key's bucket; return 0, or in how many seconds there is enough in it."""
        most = per_s * FULL_AFTER_S
        with self._lock:
            now = self._clock()
            left, since = self._left.pop(key, (float(most), now))
            left = min(most, left + (now - since) * per_s)
            wait = 0 if left >= cost else ceil((cost - left) / per_s)
            self._left[key] = (left - (0 if wait else cost), now)
            if len(self._left) > KEYS_REMEMBERED:
                self._left.popitem(last=False)
        return wait


buckets = Buckets()


def front(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """The middleware: refuse what no door needs to look at, and give every error the body of the contract."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith("/api/"):
            return get_response(request)
        refused = refusal(request)
        if refused is not None:
            return refused
        return in_our_words(get_response(request))

    return answer


def refusal(request: HttpRequest) -> HttpResponse | None:
    length = request.META.get("CONTENT_LENGTH") or ""
    if request.headers.get("Transfer-Encoding") and not length:
        return error(411, "length_required", "send the body with a Content-Length")
    if length and not (length.isascii() and length.isdigit()):
        return error(400, "malformed", "Content-Length is not a number")
    if length and int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return error(413, "too_large", f"at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes")
    if not request.path.startswith(READABLE) and not request.accepts("application/json"):
        return error(406, "not_acceptable", "answers are application/json")
    key = request.META.get("HTTP_AUTHORIZATION", "")
    if not key:
        return None
    cost = 1 if request.method == "POST" and request.path.startswith(CHEAP) else DEAR
    wait = buckets.take(hashlib.sha256(key.encode()).digest(), cost=cost, per_s=settings.API_CALLS_PER_S)
    if not wait:
        return None
    refused = error(429, "too_many", f"this key calls too often: again in {wait} s")
    refused["Retry-After"] = str(wait)
    return refused


def in_our_words(response: HttpResponseBase) -> HttpResponseBase:
    """Django and its parts answer some errors with a page or a bare line."""
    status = response.status_code
    if status < 400 or response.headers.get("Content-Type", "").startswith("application/json"):
        return response
    told = error(status, CODES.get(status, HTTPStatus(status).name.lower()), HTTPStatus(status).phrase)
    for header in ("Allow", "Retry-After"):
        if header in response.headers:
            told[header] = response.headers[header]
    return told


def error(status: int, code: str, message: str) -> HttpResponse:
    return JsonResponse(body(code, message), status=status)
