"""Who may enter the pages under /money/: admins by their rights, payees for what is theirs, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from network.models import User
from network.views.sign_in import homes_of
from pickup import statements

# The pages in the order of the tabs: the name of the address, the words, the right that shows it to an admin.
ADMIN_TABS = (
    ("money", _("Settlements"), ""),
    ("money-payouts", _("Payouts"), "pickup.view_payoutbatch"),
    ("money-bank", _("Bank accounts"), "pickup.view_bankdetails"),
    ("money-adjustments", _("Corrections"), "pickup.view_adjustment"),
    ("money-cases", _("Objections"), "pickup.view_linecase"),
    ("tariffs", _("Tariffs"), "pickup.view_tariff"),
    ("flags", _("Held pickups"), "pickup.view_hold"),
    ("reports", _("Reports"), "pickup.view_posting"),
)
PAYEE_TABS = (("money", _("Statements"), ""), ("money-bank", _("Bank account"), ""), ("reports", _("Reports"), ""))

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, User, P], HttpResponseBase]


def for_money(*rights: str, admin: bool = False, posts: bool = False) -> Callable[[Page[P]], Any]:
    """A page about money, called with who is signed in. `admin`: for admins with these rights; else for payees too."""
    methods = ["GET", "HEAD", "POST"] if posts else ["GET", "HEAD"]

    def door(page: Page[P]) -> Callable[..., HttpResponseBase]:
        @login_required
        @never_cache
        @require_http_methods(methods)
        @wraps(page)
        def entered(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            user = cast(User, request.user)
            is_admin = statements.is_admin(user) and user.has_perms(rights)
            if not is_admin and (admin or not statements.accounts_of(user).exists()):
                raise Http404
            return page(request, user, *args, **kwargs)

        return entered

    return door


def shown(
    request: HttpRequest, user: User, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    is_admin = statements.is_admin(user)
    tabs = ADMIN_TABS if is_admin else PAYEE_TABS
    more = {
        "is_admin": is_admin,
        "money_tabs": [(name, words) for name, words, right in tabs if not right or user.has_perm(right)],
        "homes": homes_of(user),
    }
    return render(request, template, context | more, status=status)
