from django.urls import path, re_path

from pickup.views import agent, counter, counter_data, recipient, regions, shop

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
    path("regions/", regions.region_map, name="regions"),
    path("regions/tiles/points/<int:zoom>/<int:x>/<int:y>.pbf", regions.point_tile, name="point-tile"),
    path("regions/tiles/review/<int:zoom>/<int:x>/<int:y>.pbf", regions.review_tile, name="review-tile"),
    path("regions/<slug:code>/", regions.region_map, name="region"),
    # 128 bits in base64 are 22 characters; anything else is not a link of ours.
    re_path(r"^t/(?P<link>[A-Za-z0-9_-]{22})/?$", recipient.recipient_page, name="recipient"),
]
