"""The front door: sign in with phone and password, and go on to where one works."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from network import access
from network.access import Role
from network.forms import SignInForm
from network.models import User

# The addresses are fixed by the contract; the pages behind them belong to packages that stand on this one.
HOMES = {Role.MEMBER: "/counter/", Role.STAFF: "/admin/", Role.AGENT: "/agent/"}
MAP = ("/regions/", _("Map"))
NAMES = {Role.MEMBER: _("Counter"), Role.STAFF: _("Administration"), Role.AGENT: _("My regions")}


@sensitive_post_parameters("password")
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return _home(request, request.user)
    form = SignInForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            user = access.sign_in(**form.cleaned_data, address=address_of(request), now=now())
        except access.TooManyAttempts as refused:
            minutes = max(1, -(-int(refused.wait.total_seconds()) // 60))
            words = ngettext(
                "Too many wrong attempts. Try again in %(minutes)s minute.",
                "Too many wrong attempts. Try again in %(minutes)s minutes.",
                minutes,
            )
            form.add_error(None, words % {"minutes": minutes})
            status = 429
        else:
            if user is not None:
                login(request, user)
                return redirect(_next(request) or "/")
            form.add_error(None, _("Phone and password do not fit together."))
    return render(request, "network/sign_in.html", {"form": form, "next": _next(request)}, status=status)


@never_cache
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """The admin's own sign-in page counts no attempts, so this door stands before it."""
    return HttpResponseRedirect("/" if request.user.is_authenticated else f"/?next={HOMES[Role.STAFF]}")


def homes_of(user: User) -> list[tuple[str, str]]:
    """Address and name of each page that this person works on, for the navigation of those who have several."""
    homes = [(HOMES[role], str(NAMES[role])) for role in access.roles_of(user)]
    return [*homes, (MAP[0], str(MAP[1]))] if access.may_see_regions(user) else homes


def _home(request: HttpRequest, user: User) -> HttpResponse:
    roles = access.roles_of(user)
    if not roles:
        return render(request, "network/no_role.html")
    return redirect(HOMES[roles[0]])


def _next(request: HttpRequest) -> str:
    """Where somebody wanted to go before the sign-in, if it is a page of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else ""


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
