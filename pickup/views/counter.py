"""The counter of a shop: the scanner itself, which works with and without a network.

The page is a shell without anything personal in it, so that a browser may keep it; what the shop holds comes as JSON.
A service worker keeps the shell and its files, all of one version: the hash of what they hold.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, cast

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import get_template
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from network import access
from network.models import User
from network.views.sign_in import homes_of
from pickup.views import counter_words
from pickup.views.doors import Worker, at_counter, shown

# What the app is made of, and must have to start without a network. The readers of codes and the engine behind them
# are large and often not needed: the app loads them when it knows.
STYLES = ("network/base.css", "pickup/shop.css", "pickup/counter/counter.css")
SCRIPTS = tuple(
    f"pickup/counter/{name}.js"
    for name in ("app", "camera", "db", "judge", "net", "queue", "sound", "stock", "verify", "view")
)
PICTURES = (
    "network/icon.svg",
    "pickup/counter/icons.svg",
    "pickup/counter/icon-192.png",
    "pickup/counter/icon-512.png",
)
LATER = {
    "decoder": "pickup/counter/decoder.js",
    "reader": "vendor/barcode-detector-3.2.2/ponyfill.js",
    "engine": "vendor/zxing-wasm-3.1.3/zxing_reader.wasm",
    "ed25519": "vendor/noble-ed25519-3.2.0/ed25519.js",
}
WORKER = "pickup/counter/worker.js"
PAGE = "pickup/counter.html"


@login_required
@never_cache
def choose(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    points = list(access.points_of(user))
    if not points:
        raise Http404
    if len(points) == 1:
        return redirect("counter", points[0].pk)
    return render(request, "pickup/points.html", {"points": points, "homes": homes_of(user)})


@csp_update({"script-src": ["'wasm-unsafe-eval'"]})  # for the engine that reads codes, and on this page only
@require_GET
@ensure_csrf_cookie
@at_counter()
def counter(request: HttpRequest, worker: Worker) -> HttpResponse:
    point = worker.point
    urls = {
        "base": reverse("counter", args=[point.pk]),
        "sign_in": reverse("sign-in"),
        "sign_out": reverse("sign-out"),
        "language": reverse("set_language"),
        "worker": reverse("counter-worker"),
        "icons": static("pickup/counter/icons.svg"),
        **{name: static(path) for name, path in LATER.items()},
    }
    context = {
        "point": point,
        "app": {
            "point": point.pk,
            "language": get_language(),
            "version": version(),
            "patience_ms": settings.COUNTER_PATIENCE_MS,
            "urls": urls,
        },
        "words": counter_words.as_json(),
        "modes": counter_words.MODES.items(),
        "undo_reasons": counter_words.UNDO_REASONS,
        "release_reasons": counter_words.RELEASE_REASONS,
        "styles": STYLES,
        "preloads": SCRIPTS[1:],
    }
    response = shown(request, worker, PAGE, context)
    response["X-Counter-Version"] = version()
    return response


@require_GET
@at_counter(data=True)
def manifest(request: HttpRequest, worker: Worker) -> HttpResponse:
    """What a phone needs to install the app."""
    icons = [
        {
            "src": static(f"pickup/counter/icon-{side}.png"),
            "sizes": f"{side}x{side}",
            "type": "image/png",
            "purpose": use,
        }
        for side in (192, 512)
        for use in ("any", "maskable")
    ]
    address = reverse("counter", args=[worker.point.pk])
    body = {
        "id": address,
        "name": f"{worker.point.name} · {_('Counter')}",
        "short_name": _("Counter"),
        "lang": get_language(),
        "start_url": address,
        "scope": reverse("counters"),
        "display": "standalone",
        "background_color": "#f1f4f3",
        "theme_color": "#0b5d4d",
        "icons": icons,
    }
    return JsonResponse(body, content_type="application/manifest+json", json_dumps_params={"ensure_ascii": False})


@require_GET
@never_cache
def service_worker(request: HttpRequest) -> HttpResponse:
    """The script that keeps the app on the device; the same for everybody, with the names of the files to keep."""
    kept = [static(path) for path in (*STYLES, *SCRIPTS, *PICTURES, LATER["decoder"], LATER["ed25519"])]
    later = [static(LATER[name]) for name in ("reader", "engine")]
    settled = {"version": version(), "kept": kept, "later": later}
    source = f"const SETTLED = {json.dumps(settled)};\n{_file(WORKER).read_text()}"
    response = HttpResponse(source, content_type="text/javascript")
    response["Service-Worker-Allowed"] = reverse("counters")
    return response


def version() -> str:
    """The hash of everything the app is made of; while somebody works on it, counted anew each time."""
    return _version() if settings.DEBUG else _kept_version()


@cache
def _kept_version() -> str:
    return _version()


def _version() -> str:
    digest = hashlib.sha256()
    for path in (*STYLES, *SCRIPTS, *PICTURES, *LATER.values(), WORKER):
        digest.update(path.encode() + b"\0" + _file(path).read_bytes())
    digest.update(Path(cast(Any, get_template(PAGE)).origin.name).read_bytes())
    return digest.hexdigest()[:16]


def _file(path: str) -> Path:
    found = finders.find(path)
    assert found, f"{path} is a file of ours"
    return Path(found)
