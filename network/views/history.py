"""The history of changes, for staff who may read it: of everything, or of one thing."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import site
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from network import access, exports, history
from network.models import User
from network.tables import Column
from network.views.sign_in import homes_of

PER_PAGE = 50


@never_cache
@require_safe
def history_page(request: HttpRequest, noun: str = "", object_id: int | None = None) -> HttpResponse:
    """Everything that changed, or what changed about one thing. Others than staff with that right find nothing."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    user = request.user
    if not access.may_see_history(user):
        raise Http404
    params = {name: str(value) for name, value in request.GET.items() if value}
    if noun:
        if noun not in history.nouns() or not user.has_perm(history.nouns()[noun].right):
            raise Http404
        params |= {"noun": noun, "object": str(object_id)}
    asked = history.Asked.read(params)
    found = history.events(asked, may=user.has_perm, limit=PER_PAGE + 1)
    entries = found[:PER_PAGE]
    kept: dict[str, str] = {name: params[name] for name in ("noun", "object", "person", "from", "to") if name in params}
    older = urlencode({**kept, "after": str(entries[-1].cursor)}) if len(found) > PER_PAGE else ""
    one = _one(noun, object_id, entries) if noun and object_id is not None else None
    context: dict[str, Any] = {
        "homes": homes_of(user),
        "entries": [(entry, _address(entry)) for entry in entries],
        "older": older,
        "newest": ("" if noun else urlencode(kept)) if asked.after else None,
        "filters": params,
        "nouns": [known for known in history.nouns().values() if user.has_perm(known.right)],
        "people": User.objects.filter(is_staff=True).order_by("name", "id")[:200],
        "person": User.objects.filter(pk=asked.user_id).first() if asked.user_id is not None else None,
        "one": one,
        "export": {"name": "history", "query": urlencode(kept)},
    }
    return render(request, "network/history.html", context)


def _one(noun: str, object_id: int, entries: list[history.Entry]) -> dict[str, Any]:
    """The thing whose page this is. Nothing is known of an id that never was, and that is said."""
    known = history.nouns()[noun]
    row = known.model._default_manager.filter(pk=object_id).first()
    model = known.model._meta.concrete_model or known.model
    back = ""
    if row is not None and model in site._registry:
        try:
            back = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[object_id])
        except NoReverseMatch:
            back = ""
    title = str(row) if row is not None else next((entry.title for entry in entries if entry.title), f"#{object_id}")
    return {"noun": known, "title": title, "back": back, "gone": row is None}


@exports.listing("history", gettext_lazy("History"))
def history_list(user: User, filters: exports.Filters) -> exports.Sheet:
    """The same events as on the page, with its filters."""
    if not access.may_see_history(user):
        raise exports.NotYours
    asked = history.Asked.read(filters)
    if asked.noun and not user.has_perm(history.nouns()[asked.noun].right):
        raise exports.NotYours
    columns = [
        Column(_("When"), moment=True), Column(_("Who")), Column(_("What")), Column(_("Which")), Column(_("Number")),
        Column(_("Change")), Column(_("Fields")), Column(_("Reason")), Column(_("Where")),
    ]  # fmt: skip
    rows = (
        [
            entry.at, entry.who, entry.noun.words, entry.title, entry.object_id, str(entry.verb_words),
            "; ".join(f"{label}: {before} → {after}" for label, before, after in entry.changes), entry.why, entry.path,
        ]
        for entry in history.every(asked, may=user.has_perm)
    )  # fmt: skip
    return exports.Sheet(columns, rows, history.count(asked, may=user.has_perm))


def _address(entry: history.Entry) -> str:
    return reverse("history-of", args=entry.target) if entry.target is not None else ""
