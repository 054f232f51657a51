"""The front door: sign in with a code by SMS, a password or a passkey, and go on to where one works."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from network import access, members
from network.access import Purpose, Role
from network.clock import now
from network.forms import CodeForm, PhoneForm, ResetForm, SignInForm, spaced
from network.messages import NotSent
from network.models import User

# The addresses are fixed by the contract; the pages behind them belong to packages that stand on this one.
HOMES = {Role.MEMBER: "/counter/", Role.STAFF: "/admin/", Role.AGENT: "/agent/"}
MAP = ("/regions/", _("Map"))
NAMES = {Role.MEMBER: _("Counter"), Role.STAFF: _("Administration"), Role.AGENT: _("My regions")}

ASKED = "sign-in"  # in the session: the phone that a code was asked for, what for, and where to go afterwards
APPLYING = {"apply", "vacancy"}  # pages for people who have no account yet
SIGNED_IN_AT = "signed-in-at"  # in the session: seconds since the epoch


@sensitive_post_parameters("password")
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """One form for code and password. `way` is the button that was pressed; "" is the Enter key, which means the
    password if one was typed. Without it the form is the older one, phone and password.
    """
    if isinstance(request.user, User):
        return _home(request, request.user)
    if request.method != "POST":
        return _sign_in_page(request, SignInForm())
    way = request.POST.get("way", "password")
    by_code = way == "code" or (way == "" and not request.POST.get("password"))
    form = SignInForm(request.POST, by_code=by_code)
    if not form.is_valid():
        return _sign_in_page(request, form)
    if by_code:
        status = _send(request, form, Purpose.OPEN if _applies(request) else Purpose.SIGN_IN)
        return redirect("sign-in-code") if status is None else _sign_in_page(request, form, status=status)
    try:
        user = access.sign_in(**form.cleaned_data, address=address_of(request), now=now())
    except access.TooManyAttempts as refused:
        minutes = _minutes(refused)
        words = ngettext(
            "Too many wrong attempts. Try again in %(minutes)s minute.",
            "Too many wrong attempts. Try again in %(minutes)s minutes.",
            minutes,
        )
        form.add_error(None, words % {"minutes": minutes})
        return _sign_in_page(request, form, status=429)
    if user is None:
        form.add_error(None, _("Phone and password do not fit together."))
        return _sign_in_page(request, form)
    return enter(request, user, to=wanted_page(request))


@never_cache
def reset(request: HttpRequest) -> HttpResponse:
    """Forgotten, or never had one: whoever holds the phone sets a password."""
    user = request.user if isinstance(request.user, User) else None
    form = PhoneForm(request.POST or None, initial={"phone": user.phone if user else ""})
    status: int | None = 200
    if request.method == "POST" and form.is_valid():
        status = _send(request, form, Purpose.RESET)
    if status is None:
        return redirect("sign-in-code")
    return render(request, "network/reset.html", {"form": form}, status=status)


@sensitive_post_parameters("code", "password")
@never_cache
def code(request: HttpRequest) -> HttpResponse:
    """Type the code that was sent, and for a reset the new password with it."""
    asked = request.session.get(ASKED)
    if not asked or (isinstance(request.user, User) and asked["purpose"] != Purpose.RESET):
        return redirect("sign-in")
    purpose = Purpose(asked["purpose"])
    form_class = ResetForm if purpose == Purpose.RESET else CodeForm
    if request.method != "POST":
        return _code_page(request, form_class(), asked)
    if "again" in request.POST:
        known = PhoneForm({"phone": asked["phone"]})
        assert known.is_valid(), "it was, when the first code was asked for"
        status = _send(request, known, purpose, to=asked["next"])
        if status is not None:
            return _code_page(request, form_class(), asked, problem=str(known.non_field_errors()[0]), status=status)
        messages.success(request, _("A new code is on its way. The one before works no more."))
        return redirect("sign-in-code")
    form = form_class(request.POST)
    if not form.is_valid():
        return _code_page(request, form, asked)
    try:
        user = access.use_code(phone=asked["phone"], purpose=purpose, code=form.cleaned_data["code"], now=now())
    except access.WrongCode as wrong:
        words = ngettext(
            "This is not the code. You may try %(left)s more time.",
            "This is not the code. You may try %(left)s more times.",
            wrong.left,
        )
        form.add_error(
            "code", words % {"left": wrong.left} if wrong.left else _("This code works no more. Ask for a new one.")
        )
        return _code_page(request, form, asked)
    except access.CodeGone:
        form.add_error("code", _("This code works no more. Ask for a new one."))
        return _code_page(request, form, asked)
    if purpose == Purpose.RESET:
        user.set_password(form.cleaned_data["password"])
        user.save(update_fields=["password"])
        messages.success(request, _("Your new password is set."))
    return enter(request, user, to=asked["next"])


@never_cache
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """The admin's own sign-in page counts no attempts, so this door stands before it."""
    return HttpResponseRedirect("/" if request.user.is_authenticated else f"/?next={HOMES[Role.STAFF]}")


def enter(request: HttpRequest, user: User, *, to: str = "") -> HttpResponse:
    """Sign this person in and go on. The session gets a new key, and nothing of the stranger's stays in it."""
    login(request, user)
    for left_over in [name for name in request.session.keys() if not name.startswith("_auth")]:  # noqa: SIM118
        del request.session[left_over]
    request.session[SIGNED_IN_AT] = int(now().timestamp())
    return redirect(to or "/")


def homes_of(user: User) -> list[tuple[str, str]]:
    """Address and name of each page that this person works on, for the navigation of those who have several."""
    homes = [(HOMES[role], str(NAMES[role])) for role in access.roles_of(user)]
    return [*homes, (MAP[0], str(MAP[1]))] if access.may_see_regions(user) else homes


def _home(request: HttpRequest, user: User) -> HttpResponse:
    if members.invitations_for(user, now=now()).exists():
        return redirect("account")
    roles = access.roles_of(user)
    if not roles:
        return render(request, "network/no_role.html")
    return redirect(HOMES[roles[0]])


def _sign_in_page(request: HttpRequest, form: Form, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "next": wanted_page(request),
        "codes": access.may_send_codes(),
        "applies": _applies(request),
    }
    return render(request, "network/sign_in.html", context, status=status)


def _code_page(
    request: HttpRequest, form: Form, asked: dict[str, Any], *, problem: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "phone": asked["phone"],
        "asked_for": asked["next"],
        "phone_spaced": spaced(asked["phone"]),
        "resets": asked["purpose"] == Purpose.RESET,
        "opens": asked["purpose"] == Purpose.OPEN,
        "problem": problem,
        "minutes": access.CODE_LASTS.seconds // 60,
    }
    return render(request, "network/code.html", context, status=status)


def _send(request: HttpRequest, form: Form, purpose: Purpose, *, to: str | None = None) -> int | None:
    """Send a code and note for whom, whether or not anybody has this phone. After a problem, put it into words in the
    form and return the status of the page that tells it.
    """
    phone = form.cleaned_data["phone"]
    try:
        access.send_code(phone=phone, purpose=purpose, address=address_of(request), now=now())
    except access.TooManyCodes as refused:
        minutes = _minutes(refused)
        words = ngettext(
            "Too many codes were asked for. Try again in %(minutes)s minute.",
            "Too many codes were asked for. Try again in %(minutes)s minutes.",
            minutes,
        )
        form.add_error(None, words % {"minutes": minutes})
        return 429
    except NotSent:
        form.add_error(None, _("The message could not be sent. Try again in a moment, or use your password."))
        return 503
    except access.CountryNotServed:
        form.add_error(None, _("No messages are sent to numbers of this country. Use your password."))
        return 200
    except access.NoGateway:
        form.add_error(None, _("No messages can be sent from here yet. Use your password, or ask the network."))
        return 503
    went = wanted_page(request) if to is None else to
    request.session[ASKED] = {"phone": phone, "purpose": purpose.value, "next": went}
    return None


def _minutes(refused: access.TooMany) -> int:
    return max(1, -(-int(refused.wait.total_seconds()) // 60))


def wanted_page(request: HttpRequest) -> str:
    """Where somebody wanted to go before the sign-in, if it is a page of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else ""


def _applies(request: HttpRequest) -> bool:
    """Whether somebody came to apply for a region or with a shop, for which a phone is enough."""
    try:
        return resolve(urlsplit(wanted_page(request)).path).url_name in APPLYING
    except (Resolver404, ValueError):
        return False


def address_of(request: HttpRequest) -> str:
    """The network address that attempts are counted for. Behind our own proxy it is the last one that proxy saw.

    Somebody with IPv6 has 2⁶⁴ addresses, so their network counts as one.
    """
    seen = request.META.get("REMOTE_ADDR", "")
    if settings.SECURE_PROXY_SSL_HEADER:
        seen = request.META.get("HTTP_X_FORWARDED_FOR", seen).rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(seen)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address.packed[:8] + bytes(8), 64)))
