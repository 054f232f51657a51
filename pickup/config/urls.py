from django.contrib import admin
from django.urls import include, path

from pickup.api import api

urlpatterns = [
    path("api/v1/", api.urls),  # first, because each scan of a machine looks for its address from the top
    path("", include("network.urls")),  # its sign-in stands before the admin's own
    path("", include("pickup.urls")),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
]

handler404 = "pickup.api.errors.not_found"
handler500 = "pickup.config.away.failed"
