"""The people and devices of a shop, for its owner; and the page on which a new device joins."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from network import access, members
from network.clock import now
from network.forms import InviteForm, TitleForm
from network.models import Device, Membership, Pairing, User
from pickup.views.doors import COOKIE, Worker, at_counter, remember, shown
from pickup.views.recipient import qr_image

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, Worker, P], HttpResponse]


def posted(page: Page[P]) -> Callable[..., HttpResponse]:
    """For addresses that only change something: whoever comes there otherwise, after signing in again or after
    choosing another language, is led to the page with the buttons.
    """

    @wraps(page)
    def entered(request: HttpRequest, worker: Worker, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method != "POST":
            return redirect("people", worker.point.pk)
        return page(request, worker, *args, **kwargs)

    return entered


@require_GET
@at_counter(owner=True)
def people(request: HttpRequest, worker: Worker) -> HttpResponse:
    return _page(request, worker)


@at_counter(owner=True)
@posted
def invite(request: HttpRequest, worker: Worker) -> HttpResponse:
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _page(request, worker, form=form)
    phone = form.cleaned_data["phone"]
    try:
        invitation, is_new = members.invite(
            point=worker.point,
            phone=phone,
            role=Membership.Role(form.cleaned_data["role"]),
            by=_owner(worker),
            now=now(),
        )
    except members.NotOwner:
        raise Http404 from None
    except members.AlreadyMember:
        form.add_error("phone", _("This person works here already."))
        return _page(request, worker, form=form)
    except members.TooManyInvitations:
        form.add_error(None, _("The shop sent as many invitations as it may in a day. Try again tomorrow."))
        return _page(request, worker, form=form, status=429)
    if not is_new or members.tell(invitation):
        messages.success(request, _("The invitation is open. Signing in with %(phone)s accepts it.") % {"phone": phone})
    else:
        words = _("The invitation is open, but no message could be sent. Tell the person to sign in with %(phone)s.")
        messages.warning(request, words % {"phone": phone})
    return redirect("people", worker.point.pk)


@at_counter(owner=True)
@posted
def withdraw(request: HttpRequest, worker: Worker, invitation_id: int) -> HttpResponse:
    try:
        members.withdraw(point=worker.point, invitation_id=invitation_id, by=_owner(worker), now=now())
    except members.NotOwner:
        raise Http404 from None
    return _done(request, worker, _("The invitation is withdrawn."))


@at_counter(owner=True)
@posted
def member(request: HttpRequest, worker: Worker, user_id: int) -> HttpResponse:
    """Change the role of somebody who works here, or remove the person with the button of that name."""
    user = get_object_or_404(User, pk=user_id)
    if not access.was_member(user, worker.point):
        raise Http404
    by, at = _owner(worker), now()
    try:
        if "remove" in request.POST:
            members.remove(point=worker.point, user=user, by=by, now=at)
            words = _("%(name)s is removed, and signed out of this shop on every device of their own.")
        elif request.POST.get("role") in Membership.Role.values:
            role = Membership.Role(request.POST["role"])
            members.change_role(point=worker.point, user=user, role=role, by=by, now=at)
            words = _("The role of %(name)s is changed.")
        else:
            raise Http404
    except (members.NotOwner, members.Gone):
        raise Http404 from None
    except members.LastOwner:
        messages.error(request, _("A shop needs an owner. Make somebody else an owner first."))
        return redirect("people", worker.point.pk)
    messages.success(request, words % {"name": user})
    if access.role_at(by, worker.point) != Membership.Role.OWNER:
        return redirect("sign-in")  # which knows where this person still has something to do
    return redirect("people", worker.point.pk)


@at_counter(owner=True)
@posted
def offer(request: HttpRequest, worker: Worker) -> HttpResponse:
    """Show the QR that pairs a new device. It is the answer itself and no page of its own: nothing keeps its secret."""
    form = TitleForm(request.POST, auto_id="offer_%s")
    if not form.is_valid():
        return _page(request, worker, device_form=form)
    try:
        pairing, secret = members.offer_pairing(
            point=worker.point, name=form.cleaned_data["name"], by=_owner(worker), now=now()
        )
    except members.NotOwner:
        raise Http404 from None
    address = request.build_absolute_uri(reverse("pair", args=[worker.point.pk, secret]))
    context = {
        "pairing": pairing,
        "address": address,
        "qr": qr_image(address),
        "minutes": members.PAIRING_LASTS.seconds // 60,
    }
    return shown(request, worker, "pickup/people_pair.html", context)


@require_GET
@at_counter(owner=True, data=True)
def offer_state(request: HttpRequest, worker: Worker, pairing_id: int) -> HttpResponse:
    """Whether the device that was offered has come, for the page that shows the QR."""
    pairing = Pairing.objects.filter(pk=pairing_id, service_point=worker.point).select_related("device").first()
    if pairing is not None and pairing.device is not None:
        return JsonResponse({"state": "paired"})
    waits = pairing is not None and members.is_open(pairing, now=now())
    return JsonResponse({"state": "open" if waits else "gone"})


@at_counter(owner=True)
@posted
def device(request: HttpRequest, worker: Worker, device_id: int) -> HttpResponse:
    """Rename a device of this shop, or revoke it with the button of that name. A revoked one stays so."""
    found = get_object_or_404(Device, pk=device_id, service_point=worker.point)
    try:
        if "revoke" in request.POST:
            members.revoke_device(point=worker.point, device_id=found.pk, by=_owner(worker), now=now())
            words = _("%(name)s is signed off. Nothing that it scans from now on counts.") % {"name": found.name}
            return _done(request, worker, words)
        form = TitleForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("A device needs a name."))
            return redirect("people", worker.point.pk)
        name = form.cleaned_data["name"]
        members.rename_device(point=worker.point, device_id=found.pk, name=name, by=_owner(worker))
    except (members.NotOwner, members.Gone):
        raise Http404 from None
    return _done(request, worker, _("The device is renamed."))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def pair(request: HttpRequest, point_id: int, secret: str) -> HttpResponse:
    """What the QR opens on the new device. Only the button pairs it: a preview of the link in some app does not."""
    pairing = members.pairing_with(point_id=point_id, secret=secret)
    if pairing is None:
        return _no_offer(request)
    here = access.device_with(request.COOKIES.get(COOKIE, ""), point=pairing.service_point)
    if here is not None and here == pairing.device and here.revoked_at is None:
        return redirect("counter", point_id)  # the button was pressed twice
    if request.method != "POST":
        if not members.is_open(pairing, now=now()):
            return _no_offer(request)
        return render(request, "pickup/people_join.html", {"pairing": pairing})
    try:
        _device, key = members.pair(pairing, now=now())
    except members.Gone:
        return _no_offer(request)
    response = redirect("counter", point_id)
    remember(request, response, point_id=point_id, key=key)
    return response


def _no_offer(request: HttpRequest) -> HttpResponse:
    """The same for a link that was used, that is too old, and that never was."""
    return render(request, "pickup/people_join.html", {"pairing": None}, status=404)


def _owner(worker: Worker) -> User:
    assert worker.user is not None, "at_counter(owner=True) let nobody else in"
    return worker.user


def _done(request: HttpRequest, worker: Worker, words: Any) -> HttpResponse:
    messages.success(request, words)
    return redirect("people", worker.point.pk)


def _page(
    request: HttpRequest,
    worker: Worker,
    *,
    form: InviteForm | None = None,
    device_form: TitleForm | None = None,
    status: int = 200,
) -> HttpResponse:
    people_here = list(members.members_of(worker.point))
    context = {
        "members": people_here,
        "only_owner": sum(one.role == Membership.Role.OWNER for one in people_here) == 1,
        "invitations": members.invitations_of(worker.point, now=now()),
        "devices": members.devices_of(worker.point),
        "form": form or InviteForm(),
        "device_form": device_form or TitleForm(auto_id="offer_%s"),
    }
    return shown(request, worker, "pickup/people.html", context, status=status)
