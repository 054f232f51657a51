from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from network.views import account, apply, exports, history, passkeys, regions, sign_in, vacancies

urlpatterns = [
    path("", sign_in.sign_in, name="sign-in"),
    path("code/", sign_in.code, name="sign-in-code"),
    path("reset/", sign_in.reset, name="reset"),
    path("passkey/", passkeys.sign_in, name="passkey"),
    path("passkey/options/", passkeys.options, name="passkey-options"),
    path("account/", account.account, name="account"),
    path("account/password/", account.change_password, name="account-password"),
    path("account/password/remove/", account.remove_password, name="account-password-remove"),
    path("account/passkeys/", account.add_passkey, name="account-passkey-add"),
    path("account/passkeys/options/", account.passkey_options, name="account-passkey-options"),
    path("account/passkeys/<int:passkey_id>/", account.change_passkey, name="account-passkey"),
    path("account/invitations/<int:invitation_id>/", account.answer_invitation, name="account-invitation"),
    path("account/shops/<int:point_id>/leave/", account.leave, name="account-leave"),
    path("apply/", apply.apply, name="apply"),
    path("apply/<int:application_id>/", apply.application, name="application"),
    path("apply/<int:application_id>/withdraw/", apply.withdraw, name="application-withdraw"),
    path("apply/<int:application_id>/photo/", apply.photo, name="application-photo"),
    path("apply/tiles/<int:zoom>/<int:x>/<int:y>.pbf", apply.tile, name="apply-tile"),
    path("vacancies/", vacancies.vacancies, name="vacancies"),
    path("vacancies/mine/", vacancies.mine, name="applications-mine"),
    path("vacancies/mine/<int:application_id>/withdraw/", vacancies.withdraw, name="vacancy-withdraw"),
    path("vacancies/<slug:code>/", vacancies.apply_for, name="vacancy"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("admin/login/", sign_in.admin_sign_in),
    path("regions/tiles/regions/<int:zoom>/<int:x>/<int:y>.pbf", regions.region_tile, name="region-tile"),
    path("regions/search/", regions.search, name="region-search"),
    path("regions/list/", regions.region_list, name="region-list"),
    path("history/", history.history_page, name="history"),
    path("history/<str:noun>/<int:object_id>/", history.history_page, name="history-of"),
    path("exports/", exports.my_exports, name="exports"),
    path("exports/new/", exports.new_export, name="export-new"),
    path("exports/<int:export_id>/", exports.export, name="export"),
    path("exports/<int:export_id>/state/", exports.export_state, name="export-state"),
    path("exports/<int:export_id>/file/", exports.export_file, name="export-file"),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}network/icon.svg")),
]
