"""The counter of a shop: the scanner itself, which works with and without a network."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from network import access
from network.models import User
from network.views.sign_in import homes_of
from pickup.views.doors import Worker, at_counter, shown


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


@at_counter()
def counter(request: HttpRequest, worker: Worker) -> HttpResponse:
    return shown(request, worker, "pickup/shop_base.html", {})
