"""What is too large is refused before anybody reads it: Django itself would first write all of it to the disk."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _

MAX_REQUEST = 40 * 2**20  # bytes; the largest that is taken is a file of borders with 32 MB

Answer = Callable[[HttpRequest], HttpResponseBase]


def refuse_huge(answer: Answer) -> Answer:
    """Middleware: 413 for a body that is told to be larger than anything that is taken here."""

    def refused(request: HttpRequest) -> HttpResponseBase:
        told = request.META.get("CONTENT_LENGTH") or "0"
        if not told.isascii() or not told.isdigit() or len(told) > 12 or int(told) > MAX_REQUEST:
            words = _("more than %s MB") % (MAX_REQUEST // 2**20)
            return JsonResponse({"error": {"code": "too_large", "message": words}}, status=413)
        return answer(request)

    return refused
