"""One body for every error: `{error: {code, message, field?}}`. Nothing a client sends becomes a 500."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError

from pickup.again import reconnect
from pickup.forms import first_error


class ErrorDetail(Schema):
    code: str
    message: str
    field: str | None = None


class ErrorBody(Schema):
    error: ErrorDetail


class Problem(Exception):
    """Raised by a door to answer with an error of the contract."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field = status, code, message, field


def body(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    detail = {"code": code, "message": message}
    return {"error": detail | ({"field": field} if field is not None else {})}


log = logging.getLogger(__name__)

CODES = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}


def register(api: NinjaAPI) -> None:
    @api.exception_handler(Problem)
    def problem(request: HttpRequest, error: Problem) -> HttpResponse:
        return api.create_response(request, body(error.code, error.message, error.field), status=error.status)

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        field, reason = first_error(error.errors)
        return api.create_response(request, body("malformed", reason, field), status=400)

    @api.exception_handler(AuthenticationError)
    def unauthorized(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        return api.create_response(request, body("unauthorized", "no valid key"), status=401)

    @api.exception_handler(RequestDataTooBig)
    def too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return api.create_response(request, body("too_large", f"at most {most} bytes"), status=413)

    @api.exception_handler(InterfaceError)
    @api.exception_handler(OperationalError)
    def busy(request: HttpRequest, error: Exception) -> HttpResponse:
        reconnect()
        # A lock or a statement that took too long, or a database that is coming back: the same call again is safe.
        log.warning("database: %s", error)
        answer = api.create_response(request, body("busy", "try the same call again"), status=503)
        answer["Retry-After"] = "1"
        return answer

    @api.exception_handler(HttpError)
    def refused(request: HttpRequest, error: HttpError) -> HttpResponse:
        code = CODES.get(error.status_code, HTTPStatus(error.status_code).name.lower())
        return api.create_response(request, body(code, error.message), status=error.status_code)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What no door answers to, in the API's own words below `/api/`."""
    if request.path.startswith("/api/"):
        return JsonResponse(body("not_found", "no such address"), status=404)
    return defaults.page_not_found(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse(body("internal", "our mistake; it was logged"), status=500)
    return defaults.server_error(request)
