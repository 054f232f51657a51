"""The page that shows a recipient's full data once: for a reason, noted, and so often an hour."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from network.models import User
from network.views.sign_in import homes_of
from pickup import personal, recipients, why


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Why do you need it?"),
        min_length=personal.SHORTEST_REASON,
        max_length=personal.REASON_LETTERS,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables("contact", "context")
def personal_page(request: HttpRequest, barcode: str) -> HttpResponse:
    """To everybody who may not read personal data, it does not exist."""
    user = cast(User, request.user)
    parcel = why.parcel_with(barcode) if personal.may_read(user) else None
    if parcel is None:
        raise Http404
    form = ReasonForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"parcel": parcel, "form": form, "homes": homes_of(user), "contact": None, "refused": ""}
    status = 200
    if form.is_bound:
        try:
            reason = form.cleaned_data["reason"] if form.is_valid() else ""
            context["contact"] = personal.read(parcel, by=user, reason=reason)
        except personal.NoReason:
            status = 400
        except personal.TooManyReads as refused:
            minutes = max(1, int(refused.wait.total_seconds() // 60) + 1)
            told = {"most": settings.PERSONAL_READS_PER_HOUR, "minutes": minutes}
            context["refused"] = _("That were %(most)s readings in an hour. The next in %(minutes)s minutes.") % told
            status = 429
        except recipients.Sealed:
            context["refused"] = _("The data were erased, or cannot be opened any more.")
            status = 410
    context["left"] = personal.reads_left(user)
    return render(request, "pickup/personal.html", context, status=status)
