"""Who stands at a shop's counter: a member who signed in, or a phone of the shop's own. Every page of a shop asks here.

A browser is a device with a key of its own, kept in a cookie that only this shop's pages get. A person's browser
works while that person is signed in and a member; the shop's own works by its key alone. A revoked device is signed
out at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from network import access
from network.models import Device, Membership, ServicePoint, User

COOKIE = "counter_device"
COOKIE_AGE_S = 400 * 24 * 3600  # the longest that browsers keep one

# The pages of a shop in the order of its tabs: the name of the address, the words, an icon.
TABS = (
    ("counter", _("Scan"), "▣"),
    ("shelf", _("Shelf"), "☰"),
    ("stock-count", _("Count"), "✓"),
    ("earnings", _("Earnings"), "¥"),
    ("shop", _("Shop"), "⚙"),
)

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, "Worker", P], HttpResponse]


@dataclass(frozen=True)
class Worker:
    """Who works at a counter. `user` is None at the shop's own phone when nobody is signed in there."""

    point: ServicePoint
    device: Device
    user: User | None
    role: Membership.Role | None

    @property
    def is_owner(self) -> bool:
        return self.role == Membership.Role.OWNER


def shown(
    request: HttpRequest, worker: Worker, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page of a shop, with its tabs."""
    tabs = [(reverse(name, args=[worker.point.pk]), words, icon) for name, words, icon in TABS]
    return render(request, template, context | {"worker": worker, "tabs": tabs}, status=status)


class NobodyHere(Exception):
    """Neither signed in nor a device of a shop, or at a device that was revoked."""

    def __init__(self, *, revoked: bool = False) -> None:
        super().__init__()
        self.revoked = revoked


def worker_at(request: HttpRequest, point_id: int) -> tuple[Worker, str]:
    """Return who works at the point, and the key of a device that was made just now, or "".

    Raises NobodyHere for a stranger who may sign in, Http404 for somebody whom this point does not concern.
    """
    point = ServicePoint.objects.filter(pk=point_id).first()
    device = None if point is None else access.device_with(request.COOKIES.get(COOKIE, ""), point=point)
    user = request.user if isinstance(request.user, User) else None
    if device is not None and device.revoked_at is not None:
        if user is not None:
            logout(request)
        raise NobodyHere(revoked=True)
    if point is None:
        raise Http404 if user is not None else NobodyHere
    role = access.role_at(user, point)
    if device is not None and device.user is None:
        return Worker(point, device, user if role else None, role), ""
    if user is None:
        raise NobodyHere
    if role is None:
        raise Http404
    if device is not None and device.user_id == user.pk:
        return Worker(point, device, user, role), ""
    device, key = access.enrol(point=point, user=user, name=browser_name(request))
    return Worker(point, device, user, role), key


def remember(request: HttpRequest, response: HttpResponseBase, *, point_id: int, key: str) -> None:
    """Give the browser the key of its device, for this shop's pages only."""
    response.set_cookie(
        COOKIE,
        key,
        max_age=COOKIE_AGE_S,
        path=cookie_path(point_id),
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )


def cookie_path(point_id: int) -> str:
    return f"/counter/{point_id}/"


def at_counter(*, person: bool = False, owner: bool = False, data: bool = False) -> Callable[[Page[P]], Any]:
    """A page of a shop, called with the worker instead of the point's number.

    `person`: only for somebody signed in, `owner`: only for the owner; to others it does not exist. `data`: answered
    to a script, so that a stranger gets 401 as JSON and not the sign-in page.
    """

    def door(page: Page[P]) -> Callable[..., HttpResponseBase]:
        @wraps(page)
        def entered(request: HttpRequest, point_id: int, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                worker, key = worker_at(request, point_id)
            except NobodyHere as stranger:
                if data:
                    return JsonResponse({"error": {"code": "unauthorized", "message": "sign in first"}}, status=401)
                response = redirect_to_login(request.get_full_path())
                if stranger.revoked:  # without that key, whoever signs in again gets a new one
                    response.delete_cookie(COOKIE, path=cookie_path(point_id))
                return response
            if (person or owner) and worker.user is None:
                return redirect_to_login(request.get_full_path())
            if owner and not worker.is_owner:
                raise Http404
            _seen(worker.device)
            answer = page(request, worker, *args, **kwargs)
            if key:
                remember(request, answer, point_id=point_id, key=key)
            return answer

        return never_cache(entered)

    return door


def _seen(device: Device) -> None:
    """Note when a device was last here, to the minute: a write for every page would be too many."""
    at = now()
    if device.seen_at is None or (at - device.seen_at).total_seconds() > 60:
        Device.objects.filter(pk=device.pk).update(seen_at=at)


def browser_name(request: HttpRequest) -> str:
    """A word by which an owner may know the browser again in the list of devices."""
    agent = request.headers.get("User-Agent", "")
    for mark in ("Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux"):
        if mark in agent:
            return mark
    return "?"
