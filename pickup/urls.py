from django.urls import path, re_path

from pickup.views import agent, counter, recipient

urlpatterns = [
    path("counter/", counter.counter, name="counter"),
    path("agent/", agent.agent_page, name="agent"),
    # 128 bits in base64 are 22 characters; anything else is not a link of ours.
    re_path(r"^t/(?P<link>[A-Za-z0-9_-]{22})/?$", recipient.recipient_page, name="recipient"),
]
