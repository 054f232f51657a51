"""While the database is away or too slow: a page, or JSON for scripts, that says when to ask again. Never a 500.

The API has words of its own for it (`pickup.api.errors`). Here is everything else: views by the middleware, and by
`failed` what is asked of the database outside of views, as a session is.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string

from pickup.again import reconnect
from pickup.api import errors

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5


class AwayMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return away(request, error) if is_away(error) else None


def failed(request: HttpRequest) -> HttpResponse:
    """What nobody caught; Django calls this while it handles the error."""
    error = sys.exception()
    return away(request, error) if error is not None and is_away(error) else errors.failed(request)


def is_away(error: BaseException) -> bool:
    """A connection that was cut or refused, a lock or a statement that took too long: another time it may work."""
    return isinstance(error, OperationalError | InterfaceError)


def away(request: HttpRequest, error: BaseException) -> HttpResponse:
    log.warning("database: %s at %s", type(error.__cause__ or error).__name__, request.path)
    reconnect()
    answer: HttpResponse
    if "text/html" in request.headers.get("Accept", ""):
        again = request.method in ("GET", "HEAD")
        answer = HttpResponse(render_to_string("503.html", {"again": again}), status=503)
    else:
        answer = JsonResponse(errors.body("busy", "try the same call again"), status=503)
    answer["Retry-After"] = str(RETRY_AFTER_S)
    answer["Cache-Control"] = "no-store"
    return answer
