from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from network.views import regions, sign_in

urlpatterns = [
    path("", sign_in.sign_in, name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("admin/login/", sign_in.admin_sign_in),
    path("regions/tiles/regions/<int:zoom>/<int:x>/<int:y>.pbf", regions.region_tile, name="region-tile"),
    path("regions/search/", regions.search, name="region-search"),
    path("regions/list/", regions.region_list, name="region-list"),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}network/icon.svg")),
]
