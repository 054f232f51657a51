"""A person's own page: name, password, passkeys, invitations, and where one works."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from network import access, members
from network.clock import now
from network.forms import NameForm, PasswordForm, TitleForm, spaced
from network.models import Membership, ServicePoint, User
from network.views import passkeys
from network.views.sign_in import SIGNED_IN_AT, address_of, homes_of

# What lets somebody in for good is changed only soon after signing in: a shop's computer is left open all day.
SOON_S = 30 * 60

P = ParamSpec("P")


def own_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Only for somebody signed in, who is handed to the view."""

    @wraps(view)
    def entered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        assert isinstance(request.user, User), "login_required let nobody else in"
        return view(request, request.user, *args, **kwargs)

    return never_cache(login_required(entered))


def posted(view: Callable[Concatenate[HttpRequest, User, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """For addresses that only change something: whoever comes there otherwise, after signing in again or after
    choosing another language, is led to the page with the buttons.
    """

    @wraps(view)
    def entered(request: HttpRequest, user: User, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method != "POST":
            return redirect("account")
        return view(request, user, *args, **kwargs)

    return entered


@own_page
def account(request: HttpRequest, user: User) -> HttpResponse:
    if request.method != "POST":
        return _page(request, user)
    form = NameForm(request.POST, instance=User(pk=user.pk))
    if not form.is_valid():
        return _page(request, user, name_form=form)
    user.name = form.cleaned_data["name"]
    user.save(update_fields=["name"])
    return _done(request, _("Your name is saved."))


@sensitive_post_parameters("old", "new")
@own_page
@posted
def change_password(request: HttpRequest, user: User) -> HttpResponse:
    form = PasswordForm(request.POST)
    if not form.is_valid() or not _knows(request, user, form):
        return _page(request, user, password_form=form)
    user.set_password(form.cleaned_data["new"])
    user.save(update_fields=["password"])
    update_session_auth_hash(request, user)  # this browser stays signed in, all others are out
    return _done(request, _("Your new password is set. Other browsers were signed out."))


@own_page
@posted
def remove_password(request: HttpRequest, user: User) -> HttpResponse:
    if not is_soon(request):
        return _too_late(request)
    user.set_unusable_password()
    user.save(update_fields=["password"])
    update_session_auth_hash(request, user)
    return _done(request, _("Your password is removed. You sign in by a code or a passkey now."))


@require_POST
@own_page
def passkey_options(request: HttpRequest, user: User) -> HttpResponse:
    if not is_soon(request):
        raise Http404
    return passkeys.registration(user)


@own_page
@posted
def add_passkey(request: HttpRequest, user: User) -> HttpResponse:
    if not is_soon(request):
        return _too_late(request)
    form = TitleForm(request.POST)
    name = form.cleaned_data["name"] if form.is_valid() else str(_("Passkey"))
    try:
        passkeys.register(request, user, name=name)
    except passkeys.Refused:
        messages.error(request, _("The passkey was not added. Try once more."))
        return redirect("account")
    return _done(request, _("The passkey is added. Next time it signs you in."))


@own_page
@posted
def change_passkey(request: HttpRequest, user: User, passkey_id: int) -> HttpResponse:
    """Rename a passkey, or remove it with the button of that name. One that is gone already stays gone."""
    removes = "remove" in request.POST
    passkey = passkeys.passkeys_of(user).filter(pk=passkey_id).first()
    if passkey is None:
        if removes:
            return _done(request, _("The passkey is removed."))
        raise Http404
    if removes and not is_soon(request):
        return _too_late(request)
    if removes:
        passkey.delete()
        return _done(request, _("The passkey is removed."))
    form = TitleForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("A passkey needs a name."))
        return redirect("account")
    passkeys.rename(passkey, form.cleaned_data["name"])
    return _done(request, _("The passkey is renamed."))


@own_page
@posted
def answer_invitation(request: HttpRequest, user: User, invitation_id: int) -> HttpResponse:
    try:
        if "decline" in request.POST:
            members.decline(invitation_id=invitation_id, user=user, now=now())
            return _done(request, _("The invitation is declined."))
        if not user.name:
            form = NameForm(request.POST, instance=User(pk=user.pk), auto_id="invited_%s")
            if not form.is_valid():
                return _page(request, user, invitation_form=form)
            user.name = form.cleaned_data["name"]
            user.save(update_fields=["name"])
        members.accept(invitation_id=invitation_id, user=user, now=now())
    except members.Gone:
        messages.error(request, _("This invitation is not open any more. Ask the shop for a new one."))
        return redirect("account")
    return redirect("sign-in")  # and on to where this person works now


@own_page
@posted
def leave(request: HttpRequest, user: User, point_id: int) -> HttpResponse:
    point = get_object_or_404(ServicePoint, memberships__user=user, memberships__ended_at=None, pk=point_id)
    try:
        members.remove(point=point, user=user, by=user, now=now())
    except members.LastOwner:
        messages.error(request, _("You are the only owner of this shop. Make somebody else an owner first."))
        return redirect("account")
    return _done(request, _("You do not work at this shop any more."))


def is_soon(request: HttpRequest) -> bool:
    """Whether this browser signed in a short while ago."""
    signed_in_at: int = request.session.get(SIGNED_IN_AT, 0)
    return now().timestamp() - signed_in_at < SOON_S


def _knows(request: HttpRequest, user: User, form: PasswordForm) -> bool:
    """Compare the old password under the same limits as a sign-in: an open browser must not serve for guessing."""
    try:
        known = access.sign_in(
            phone=user.phone, password=form.cleaned_data["old"], address=address_of(request), now=now()
        )
    except access.TooManyAttempts:
        form.add_error("old", _("Too many wrong attempts. Try again later, or set a new password by a code."))
        return False
    if known is None:
        form.add_error("old", _("This is not your password."))
    return known is not None


def _done(request: HttpRequest, words: Any) -> HttpResponse:
    messages.success(request, words)
    return redirect("account")


def _too_late(request: HttpRequest) -> HttpResponse:
    messages.error(request, _("Sign in once more to change this."))
    return redirect("account")


def _page(request: HttpRequest, user: User, **forms: Any) -> HttpResponse:
    at_work = Membership.objects.filter(user=user, ended_at__isnull=True).select_related("service_point")
    kept = passkeys.passkeys_of(user)
    context = {
        "homes": homes_of(user),
        "phone": spaced(user.phone),
        "name_form": NameForm(initial={"name": user.name}),
        "password_form": PasswordForm(),
        "has_password": user.has_usable_password(),
        "invitation_form": None if user.name else NameForm(auto_id="invited_%s"),
        "invitations": members.invitations_for(user, now=now()),
        "memberships": at_work.order_by("service_point__name", "id"),
        "passkeys": [{"row": one, "name": one.wrap().name} for one in kept],
        "full": len(kept) >= passkeys.MOST,
        "soon": is_soon(request),
        "codes": access.may_send_codes(),
    }
    return render(request, "network/account.html", context | forms)
