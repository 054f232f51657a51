from django.urls import path, re_path

from pickup.views import agent, counter, counter_data, coverage, recipient, shop, tariffs, why

urlpatterns = [
    path("counter/", counter.choose, name="counters"),
    path("counter/<int:point_id>/", counter.counter, name="counter"),
    path("counter/<int:point_id>/state", counter_data.state),
    path("counter/<int:point_id>/scans", counter_data.scans),
    path("counter/<int:point_id>/releases", counter_data.release),
    path("counter/<int:point_id>/shelf/", shop.shelf, name="shelf"),
    path("counter/<int:point_id>/count/", shop.stock_count, name="stock-count"),
    path("counter/<int:point_id>/earnings/", shop.earnings, name="earnings"),
    path("counter/<int:point_id>/shop/", shop.shop, name="shop"),
    path("agent/", agent.agent_page, name="agent"),
    path("regions/coverage/", coverage.coverage_page, name="coverage"),
    path("money/tariffs/", tariffs.tariffs_page, name="tariffs"),
    # A barcode is printable ASCII, and some have slashes.
    path("parcels/<path:barcode>/why/", why.why_page, name="why"),
    # 128 bits in base64 are 22 characters; anything else is not a link of ours.
    re_path(r"^t/(?P<link>[A-Za-z0-9_-]{22})/?$", recipient.recipient_page, name="recipient"),
]
