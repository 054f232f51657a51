from django.urls import path, re_path

from pickup.views import agent, counter, counter_data, earnings, hours, labels, people, recipient, shelf, shop, stock

urlpatterns = [
    path("counter/", counter.choose, name="counters"),
    path("counter/sw.js", counter.service_worker, name="counter-worker"),
    path("counter/<int:point_id>/", counter.counter, name="counter"),
    path("counter/<int:point_id>/manifest.webmanifest", counter.manifest, name="counter-manifest"),
    path("counter/<int:point_id>/state", counter_data.state),
    path("counter/<int:point_id>/scans", counter_data.scans),
    path("counter/<int:point_id>/releases", counter_data.release),
    path("counter/<int:point_id>/shelf/", shelf.shelf, name="shelf"),
    path("counter/<int:point_id>/labels/", labels.labels, name="labels"),
    path("counter/<int:point_id>/count/", stock.stock_count, name="stock-count"),
    path("counter/<int:point_id>/count/<int:count_pk>/", stock.stock_result, name="stock-result"),
    path("counter/<int:point_id>/count/<int:count_pk>/lost/<int:line_pk>/", stock.stock_lost, name="stock-lost"),
    path("counter/<int:point_id>/earnings/", earnings.earnings, name="earnings"),
    path("counter/<int:point_id>/earnings/csv/", earnings.earnings_csv, name="earnings-csv"),
    path("counter/<int:point_id>/earnings/day/<str:day>/", earnings.earnings_day, name="earnings-day"),
    path("counter/<int:point_id>/earnings/statements/<int:statement_id>/", earnings.statement, name="statement"),
    path(
        "counter/<int:point_id>/earnings/statements/<int:statement_id>/csv/",
        earnings.statement_csv,
        name="statement-csv",
    ),
    path("counter/<int:point_id>/earnings/<int:posting_id>/", earnings.fee, name="fee"),
    path("counter/<int:point_id>/shop/", shop.shop, name="shop"),
    path("counter/<int:point_id>/shop/hours/", hours.hours, name="hours"),
    path("counter/<int:point_id>/people/", people.people, name="people"),
    path("counter/<int:point_id>/people/invite/", people.invite, name="people-invite"),
    path("counter/<int:point_id>/people/invitations/<int:invitation_id>/", people.withdraw, name="people-withdraw"),
    path("counter/<int:point_id>/people/members/<int:user_id>/", people.member, name="people-member"),
    path("counter/<int:point_id>/people/devices/<int:device_id>/", people.device, name="people-device"),
    path("counter/<int:point_id>/people/pairings/", people.offer, name="people-offer"),
    path("counter/<int:point_id>/people/pairings/<int:pairing_id>/", people.offer_state, name="people-offer-state"),
    path("counter/<int:point_id>/pair/<str:secret>/", people.pair, name="pair"),
    path("agent/", agent.agent_page, name="agent"),
    # 128 bits in base64 are 22 characters; anything else is not a link of ours.
    re_path(r"^t/(?P<link>[A-Za-z0-9_-]{22})/?$", recipient.recipient_page, name="recipient"),
]
