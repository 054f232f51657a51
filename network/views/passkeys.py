"""Passkeys: a phone's or computer's own lock instead of a password. The ceremony and its rows are allauth's.

A passkey cannot be guessed, so no attempts are counted; each ceremony has its own challenge, kept in the session and
used once. The address in the browser's bar decides which keys fit, so a false page gets none.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from network.models import User
from network.views.sign_in import enter, wanted_page

MOST = 10  # passkeys of one person: each sign-in looks through all of them
LONGEST = 16_384  # characters of an answer: a real one has one or two thousand
# What the libraries below raise for an answer that is not one; the text comes from a stranger.
RUBBISH = (
    *(ValidationError, ValueError, TypeError, KeyError, AttributeError, IndexError),
    *(RecursionError, OverflowError, struct.error),
)


class Refused(Exception):
    """The browser's answer proves nothing."""


def passkeys_of(user: User) -> QuerySet[Any]:
    rows: QuerySet[Any] = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN)
    return rows.order_by("created_at", "id")


@require_POST
@never_cache
def options(request: HttpRequest) -> HttpResponse:
    """What the browser needs to ask for a passkey; it names nobody, so it tells nothing about who has an account."""
    return JsonResponse(plain(auth.begin_authentication(None)))


@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return redirect("sign-in")
    try:
        user = _prove(request)
    except Refused:
        messages.error(request, _("This passkey does not work here. Use a code or your password."))
        return redirect("sign-in")
    return enter(request, user, to=wanted_page(request))


def registration(user: User) -> JsonResponse:
    """What the browser needs to make a passkey for this person."""
    return JsonResponse(plain(auth.begin_registration(user, True)))


def register(request: HttpRequest, user: User, *, name: str) -> None:
    """Keep the passkey that the browser made. Raises Refused."""
    try:
        if passkeys_of(user).count() >= MOST:
            raise Refused
        answer = _answer(request)
        auth.parse_registration_response(answer)
        auth.complete_registration(answer)
    except RUBBISH as error:
        raise Refused from error
    finally:
        auth.clear_state()
    auth.WebAuthn.add(user, name, answer)


def rename(passkey: Any, name: str) -> None:
    passkey.wrap().name = name
    passkey.save(update_fields=["data"])


def plain(options: dict[str, Any]) -> dict[str, Any]:
    """The options as JSON holds them; the library's own mappings are turned into dictionaries."""
    read: dict[str, Any] = json.loads(json.dumps(options, default=dict))
    return read


def _prove(request: HttpRequest) -> User:
    try:
        answer = _answer(request)
        auth.parse_authentication_response(answer)
        user = auth.extract_user_from_response(answer)
        used = auth.complete_authentication(user, answer)
    except RUBBISH as error:
        raise Refused from error
    finally:
        auth.clear_state()  # one challenge, one answer
    if not isinstance(user, User) or not user.is_active:
        raise Refused
    used.record_usage()
    return user


def _answer(request: HttpRequest) -> dict[str, Any]:
    text = request.POST.get("credential", "")
    try:
        answer = json.loads(text) if len(text) <= LONGEST else None
    except RUBBISH as error:
        raise Refused from error
    if not isinstance(answer, dict):
        raise Refused
    return answer
