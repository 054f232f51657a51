from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from network.views import sign_in

urlpatterns = [
    path("", sign_in.sign_in, name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("admin/login/", sign_in.admin_sign_in),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}network/icon.svg")),
]
