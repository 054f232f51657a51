from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from network.views import account, drafts, passkeys, regions, sign_in

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
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("admin/login/", sign_in.admin_sign_in),
    path("regions/tiles/regions/<int:zoom>/<int:x>/<int:y>.pbf", regions.region_tile, name="region-tile"),
    path("regions/search/", regions.search, name="region-search"),
    path("regions/list/", regions.region_list, name="region-list"),
    path("regions/drafts/data/", drafts.drafts_data, name="drafts-data"),
    path("regions/drafts/data/sets/", drafts.boundary_sets, name="boundary-sets"),
    path("regions/drafts/data/compare/", drafts.boundary_compare, name="boundary-compare"),
    path("regions/drafts/data/compare/<slug:code>/", drafts.boundary_difference, name="boundary-difference"),
    path("regions/drafts/data/<int:draft_id>/", drafts.draft_data, name="draft-data"),
    path("regions/drafts/data/<int:draft_id>/shapes.geojson", drafts.draft_shapes, name="draft-shapes"),
    path("regions/drafts/data/<int:draft_id>/neighbours.geojson", drafts.draft_neighbours, name="draft-neighbours"),
    path("regions/drafts/data/<int:draft_id>/region.geojson", drafts.draft_region, name="draft-region"),
    path("regions/drafts/data/<int:draft_id>/history/", drafts.draft_history, name="draft-history"),
    path("regions/drafts/data/<int:draft_id>/edits/", drafts.draft_edits, name="draft-edits"),
    path("regions/drafts/data/<int:draft_id>/rename/", drafts.draft_rename, name="draft-rename"),
    path("regions/drafts/data/<int:draft_id>/abandon/", drafts.draft_abandon, name="draft-abandon"),
    path("regions/drafts/data/<int:draft_id>/import/", drafts.draft_import, name="draft-import"),
    path("regions/drafts/data/<int:draft_id>/problems/", drafts.draft_problems, name="draft-problems"),
    path("regions/drafts/data/<int:draft_id>/problems/accept/", drafts.draft_accept, name="draft-accept"),
    path("regions/drafts/data/<int:draft_id>/problems/reject/", drafts.draft_unaccept, name="draft-unaccept"),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}network/icon.svg")),
]
