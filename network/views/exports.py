"""Lists as files: asked for by a button on their page, downloaded at once or from a page that shows how far it is."""

from __future__ import annotations

from typing import cast
from urllib.parse import parse_qsl

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http.response import StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import localdate
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from network import exports
from network.models import Export, User
from network.tables import TYPES
from network.views.sign_in import homes_of

MOST_LETTERS = 2_000  # of the filters


@login_required
@never_cache
@require_POST
def new_export(request: HttpRequest) -> HttpResponseBase:
    """`name`, `form` and the page's filters as `query`. What is not for this person does not exist."""
    user = cast(User, request.user)
    name, form = request.POST.get("name", "")[:60], request.POST.get("form", "")
    query = request.POST.get("query", "")
    if form not in Export.Form.values or len(query) > MOST_LETTERS or "\x00" in name + query:
        return HttpResponse(_("There is no such file."), status=400, content_type="text/plain; charset=utf-8")
    filters = dict(parse_qsl(query))
    try:
        sheet = exports.sheet_of(name, user=user, filters=filters)
        if sheet.count <= settings.EXPORT_AT_ONCE:
            return _file(exports.at_once(sheet, form), name=name, form=form)
        ordered = exports.order(
            name=name,
            user=user,
            filters=filters,
            form=form,
            language=get_language() or settings.LANGUAGE_CODE,
            count=sheet.count,
        )
    except exports.NotYours as refused:
        raise Http404 from refused
    except exports.BadFilter as refused:
        return HttpResponse(str(refused), status=400, content_type="text/plain; charset=utf-8")
    except exports.TooManyWaiting:
        messages.error(request, _("You wait for several files already. Take one more when one is done."))
        return redirect("exports")
    return redirect("export", ordered.pk)


def _file(parts: object, *, name: str, form: str) -> HttpResponseBase:
    response = StreamingHttpResponse(parts, content_type=TYPES[form])  # type: ignore[arg-type]
    response["Content-Disposition"] = f'attachment; filename="{_name(name, form)}"'
    return response


def _name(name: str, form: str) -> str:
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
    return f"{plain}-{localdate()}.{form}"


@login_required
@never_cache
@require_safe
def my_exports(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    rows = [(row, exports.title_of(row.name)) for row in exports.of(user)]
    context = {"exports": rows, "homes": homes_of(user), "days": settings.EXPORT_DAYS}
    return render(request, "network/exports.html", context)


@login_required
@never_cache
@require_safe
def export(request: HttpRequest, export_id: int) -> HttpResponse:
    """How far it is, and the file when it is done: for the person who asked, and nobody else."""
    row = _own(request, export_id)
    context = {
        "export": row,
        "title": exports.title_of(row.name),
        "homes": homes_of(cast(User, request.user)),
        "days": settings.EXPORT_DAYS,
    }
    return render(request, "network/export_page.html", context | _progress(row))


@login_required
@never_cache
@require_safe
def export_state(request: HttpRequest, export_id: int) -> HttpResponse:
    row = _own(request, export_id)
    progress = _progress(row)
    return JsonResponse({"state": row.state, "percent": progress["percent"], "words": progress["words"]})


@login_required
@never_cache
@require_safe
def export_file(request: HttpRequest, export_id: int) -> HttpResponseBase:
    row = _own(request, export_id)
    path = exports.path_of(row)
    if row.state != Export.State.DONE or not path.is_file():
        raise Http404
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=_name(row.name, row.form), content_type=TYPES[row.form]
    )


def _own(request: HttpRequest, export_id: int) -> Export:
    return get_object_or_404(Export, pk=export_id, made_by=cast(User, request.user))


def _progress(row: Export) -> dict[str, object]:
    percent = 100 if row.state == Export.State.DONE else min(99, 100 * row.rows_done // max(1, row.rows_all))
    if row.state == Export.State.WAITING:
        words = _("Waiting; lists before this one: %(count)s") % {"count": exports.queue_before(row)}
    elif row.state == Export.State.RUNNING:
        words = _("%(done)s of %(all)s rows are written") % {"done": row.rows_done, "all": row.rows_all}
    elif row.state == Export.State.DONE:
        words = _("Done: %(done)s rows") % {"done": row.rows_done}
    elif row.state == Export.State.FAILED:
        words = _("It could not be written. Ask for it again from its page.")
    else:
        words = _("The file was deleted. Ask for it again from its page.")
    return {"percent": percent, "words": words}
