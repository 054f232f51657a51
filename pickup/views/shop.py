"""The pages of a shop beside the scanner."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from pickup.views.doors import Worker, at_counter, shown


@at_counter()
def shelf(request: HttpRequest, worker: Worker) -> HttpResponse:
    return shown(request, worker, "pickup/shop_base.html", {})


@at_counter()
def stock_count(request: HttpRequest, worker: Worker) -> HttpResponse:
    return shown(request, worker, "pickup/shop_base.html", {})


@at_counter(person=True)
def earnings(request: HttpRequest, worker: Worker) -> HttpResponse:
    return shown(request, worker, "pickup/shop_base.html", {})


@at_counter(person=True)
def shop(request: HttpRequest, worker: Worker) -> HttpResponse:
    return shown(request, worker, "pickup/shop_base.html", {})
