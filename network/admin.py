"""The administration of places and people. Big or grown rows are shown here and changed elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import label_for_field
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.gis.geos import Point
from django.contrib.postgres.fields import DateTimeRangeField
from django.contrib.postgres.forms import RangeWidget
from django.core.exceptions import NON_FIELD_ERRORS, SuspiciousOperation
from django.db import IntegrityError, InternalError, models
from django.db.models import F, Func, IntegerField, QuerySet
from django.forms.utils import ErrorList
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from network import access, exports, history, regions
from network.clock import now
from network.forms import PhoneField
from network.models import (
    Address,
    Agent,
    Appointment,
    AppointmentApplication,
    Boundary,
    BoundaryOverlap,
    BoundarySet,
    Closing,
    ConfirmedPlace,
    Device,
    DraftAcceptance,
    DraftEdit,
    DraftShape,
    Export,
    Invitation,
    Membership,
    Outline,
    Pairing,
    Pause,
    PointApplication,
    PointCell,
    PointProposal,
    Region,
    RegionAlias,
    RegionDraft,
    ServicePoint,
    SignInAttempt,
    SignInCode,
    User,
    VisitorNotice,
)
from network.tables import Cell, Column

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Any]
    BaseUserAdmin = DjangoUserAdmin[User]
    BaseUserCreationForm = AdminUserCreationForm[User]
    BaseUserChangeForm = UserChangeForm[User]
else:  # these cannot be subscripted at run time
    ModelAdmin, TabularInline, ModelForm = admin.ModelAdmin, admin.TabularInline, forms.ModelForm
    BaseUserAdmin = DjangoUserAdmin
    BaseUserCreationForm, BaseUserChangeForm = AdminUserCreationForm, UserChangeForm

admin.site.site_header = _("Pickup network · administration")
admin.site.site_title = _("Pickup network")
admin.site.index_title = _("Places, people, parcels and money")
admin.site.index_template = "network/admin_index.html"

# Nobody here has an e-mail address, and allauth's page of the passkeys would show their keys.
admin.site.unregister([EmailAddress, Authenticator])

# What a constraint or a guard of the database says to a person, by its name or a part of its message.
REFUSALS: dict[str, Any] = {
    "appointment_one_agent_at_a_time": _("Somebody is appointed to this region during that time."),
    "appointment_only_ends": _("An appointment is not changed: it is ended, or another one is made."),
    "appointment_is_given_by_another": _("Nobody appoints themselves."),
    "appointment_period_ends": _("An appointment has a first and a last moment, and the last comes later."),
    "pause_one_at_a_time": _("The shop is paused during that time already."),
    "pause_not_empty": _("The pause ends after it begins."),
    "point_capacity_not_negative": _("The capacity is a number from 0."),
    "point_reach_positive": _("The reach is between 1 and 200,000 metres."),
    "membership_once_at_a_time": _("This person works at this service point already."),
    "region_alias_once": _("The region has this other name already."),
}


def in_words(message: str) -> str:
    """Return a refusal in the reader's language where it is a known one, else as the database gave it."""
    return next((str(words) for name, words in REFUSALS.items() if name in message), message)


BECAUSE = "because"


class ReasonedActionForm(ActionForm):
    because = forms.CharField(label=_("Reason"), required=False, max_length=history.REASON_LETTERS)


class RememberingAdmin(ModelAdmin):
    """Asks why something is changed, tells the database, and leads to the history. A file of the list is taken away.

    `needs_reason`: nothing is saved without one. `own_reason`: a field of the model that is the reason of a new row.
    `reasoned_actions`: actions that need one. `taken_away`: whether the list may leave as a file; the worker writes
    it, so a list that background work has no business with may not.
    """

    needs_reason = False
    taken_away = True
    own_reason = ""
    reasoned_actions: tuple[str, ...] = ()
    action_form = ReasonedActionForm
    change_list_template = "network/admin_list.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        base: Any = kwargs.get("form") or (getattr(self, "add_form", self.form) if obj is None else self.form)
        if self._asks(request, obj):
            reason = forms.CharField(
                label=_("Reason"),
                help_text=_("It stands in the history beside what you change."),
                required=self.needs_reason,
                max_length=history.REASON_LETTERS,
            )
            kwargs["form"] = type(base)(f"Reasoned{base.__name__}", (base,), {BECAUSE: reason})
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        shown = [
            (title, options | {"fields": [name for name in options["fields"] if name != BECAUSE]})
            for title, options in super().get_fieldsets(request, obj)
        ]
        return [*shown, (None, {"fields": [BECAUSE]})] if self._asks(request, obj) else shown

    def _asks(self, request: HttpRequest, obj: Any) -> bool:
        if obj is None:
            return not self.own_reason and self.has_add_permission(request)
        return self.has_change_permission(request, obj)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        own = self.own_reason if object_id is None and self.own_reason else BECAUSE
        history.because(request.POST.get(own, ""))
        return super().changeform_view(request, object_id, form_url, extra_context)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any) -> HttpResponse | None:
        why = request.POST.get(BECAUSE, "").strip()
        if request.POST.get("action") in self.reasoned_actions and not why:
            messages.error(request, _("Say why: the reason stands in the history."))
            return HttpResponseRedirect(request.get_full_path())
        history.because(why)
        return super().response_action(request, queryset, *args)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        export = (
            {"name": f"admin:{self.opts.label_lower}", "query": request.GET.urlencode()} if self.taken_away else None
        )
        return super().changelist_view(request, (extra_context or {}) | {"export": export})

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        label = history.label_of(self.model)
        if label and access.may_see_history(request.user) and object_id.isdigit():
            return HttpResponseRedirect(reverse("history-of", args=[label, object_id]))
        return super().history_view(request, object_id, extra_context)


def admin_sheet(label: str, user: User, filters: exports.Filters) -> exports.Sheet:
    """Any list of the administration as it is shown there: its columns, its filters, its rights."""
    model_admin = next((one for model, one in admin.site._registry.items() if model._meta.label_lower == label), None)
    request = HttpRequest()
    request.method, request.user = "GET", user
    request.GET = QueryDict(urlencode({name: value for name, value in filters.items() if name not in ("p", "o", "e")}))
    if (
        not isinstance(model_admin, RememberingAdmin)
        or not model_admin.taken_away
        or not user.is_staff
        or not model_admin.has_view_permission(request)
    ):
        raise exports.NotYours
    try:
        rows = model_admin.get_changelist_instance(request).queryset
    except (IncorrectLookupParameters, SuspiciousOperation) as error:
        raise exports.BadFilter(str(_("The filter makes no sense."))) from error
    names = [name for name in model_admin.get_list_display(request) if name != "action_checkbox"]
    cells = [cell for name in names for cell in _cells(model_admin, str(name))]
    written = ([read(row) for _column, read in cells] for row in exports.in_parts(rows))
    columns = [column for column, _read in cells]
    return exports.Sheet(columns, written, rows.count())


def _cells(model_admin: Any, name: str) -> list[tuple[Column, Callable[[Any], Cell]]]:
    """The columns that one column of a list becomes in a file, each with what reads its cell."""
    options = model_admin.opts
    title = str(label_for_field(name, model_admin.model, model_admin))
    own = getattr(model_admin, name, None)
    if own is not None:
        special = getattr(own, "cells", None)
        return special(title) if special else [(Column(title), lambda row: _text(own(row)))]
    field = options.get_field(name) if name in {field.name for field in options.get_fields()} else None
    if isinstance(field, models.DateTimeField):
        return [(Column(title, moment=True), lambda row: getattr(row, name))]
    if isinstance(field, models.IntegerField | models.FloatField | models.DateField) and not field.choices:
        return [(Column(title), lambda row: getattr(row, name))]
    shown = f"get_{name}_display" if getattr(field, "choices", None) else name
    return [(Column(title), lambda row: _text(getattr(row, shown)))]


def _text(value: Any) -> Cell:
    value = value() if callable(value) else value
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if value is None or isinstance(value, int | float | Decimal | datetime):
        return value
    return strip_tags(str(value)) if isinstance(value, SafeString) else str(value)


exports.FAMILIES["admin"] = admin_sheet


class KindForm(ModelForm):
    """Says in plain words what a database constraint would refuse."""

    def clean(self) -> dict[str, Any] | None:
        """Give the moments of a period back their fractions of a second, which its inputs do not show."""
        cleaned = super().clean()
        for name, value in (cleaned or {}).items():
            old = getattr(self.instance, name, None) if self.instance.pk else None
            if hasattr(value, "lower") and hasattr(value, "isempty") and old:
                same = type(value)(_same(old.lower, value.lower), _same(old.upper, value.upper), old._bounds)
                assert cleaned is not None, "its items are being read"
                cleaned[name] = same
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        errors = self.errors.get(NON_FIELD_ERRORS)
        if errors is not None:
            words = [in_words(message) for error in errors.as_data() for message in error.messages]
            self.errors[NON_FIELD_ERRORS] = ErrorList(words, error_class="nonfield")


def _same(old: datetime | None, typed: datetime | None) -> datetime | None:
    unchanged = old is not None and typed is not None and old.replace(microsecond=0) == typed
    return old if unchanged else typed


class PeriodWidget(RangeWidget):
    """Two moments, each with its own name for those who do not see that they stand side by side."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        moment = forms.DateTimeInput(format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": "1"})
        super().__init__(moment, attrs)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        for part, label in zip(context["widget"]["subwidgets"], (_("from"), _("until")), strict=True):
            part["attrs"]["aria-label"] = label
        return context


class KindAdmin(RememberingAdmin):
    """What all our pages share: kind refusals instead of errors, no counting of whole tables."""

    form = KindForm
    show_full_result_count = False
    list_per_page = 50
    formfield_overrides = {DateTimeRangeField: {"widget": PeriodWidget}}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (IntegrityError, InternalError) as error:
            # A trigger said no; whatever was begun is rolled back.
            messages.error(request, in_words(str(error)))
            return HttpResponseRedirect(request.get_full_path())


class LastingAdmin(KindAdmin):
    """Rows that others refer to: they are ended or closed, never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ChangedOnlyAdmin(LastingAdmin):
    """Rows of which some columns never change: guards and rights look at each column that is written."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.save(update_fields=[name for name in form.changed_data if name != BECAUSE] if change else None)


class ReadOnlyAdmin(LastingAdmin):
    """Rows that only the domain writes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def may_change(request: HttpRequest, model_admin: ModelAdmin) -> bool:
    """The permission to change a model, also where its rows are only shown and some action may change them."""
    options = model_admin.opts
    return bool(request.user.has_perm(f"{options.app_label}.change_{options.model_name}"))


def period(valid: Any) -> str:
    lower, upper = (f"{localtime(end):%Y-%m-%d %H:%M}" if end else "…" for end in (valid.lower, valid.upper))
    return f"{lower} – {upper}"


def region_names(ids: list[int]) -> str:
    """A region chain in words, deepest first."""
    known = Region.objects.in_bulk(ids)
    return " < ".join(str(known[region_id]) for region_id in ids if region_id in known) or "–"


class RevocableAdmin(ReadOnlyAdmin):
    """Keys are issued by command only and can be revoked here, for good."""

    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return may_change(request, self)

    @admin.action(description=_("Revoke the chosen ones"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        chosen = list(queryset.filter(revoked_at__isnull=True))
        queryset.filter(revoked_at__isnull=True).update(revoked_at=now())
        self.log_actions(request, chosen, "revoked")
        messages.success(request, _("Revoked: %(count)d") % {"count": len(chosen)})

    def log_actions(self, request: HttpRequest, chosen: list[Any], words: str) -> None:
        for row in chosen:
            self.log_change(request, row, words)


class MembershipInline(TabularInline):
    model = Membership
    form = KindForm
    extra = 0
    can_delete = False
    autocomplete_fields = ["user", "service_point"]


class UserCreationForm(BaseUserCreationForm):
    phone = PhoneField(label=_("phone"), max_length=32)

    class Meta:
        model = User
        fields = ("phone", "name")


class UserForm(BaseUserChangeForm):
    phone = PhoneField(label=_("phone"), max_length=32)

    class Meta:
        model = User
        fields = "__all__"  # the admin's fieldsets choose


@admin.register(User)
class UserAdmin(RememberingAdmin, BaseUserAdmin):
    needs_reason = True
    form, add_form = UserForm, UserCreationForm
    list_display = ["name", "phone_end", "is_staff", "is_active", "joined_at"]
    list_display_links = ["name", "phone_end"]
    list_filter = ["is_staff", "is_superuser", "is_active"]
    search_fields = ["=phone", "name"]
    ordering = ["id"]
    filter_horizontal = ["groups", "user_permissions"]
    readonly_fields = ["joined_at", "last_login"]
    inlines = [MembershipInline]
    fieldsets = (
        (None, {"fields": ("phone", "name", "password")}),
        (_("Rights"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Times"), {"fields": ("joined_at", "last_login")}),
    )
    add_fieldsets = (
        (
            None,
            {"classes": ("wide",), "fields": ("phone", "name", "usable_password", "password1", "password2")},
        ),
    )

    @admin.display(description=_("phone"))
    def phone_end(self, user: User) -> str:
        return f"…{user.phone[-4:]}"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Only a superuser hands out rights; otherwise whoever may edit people could make themselves one."""
        own = list(self.readonly_fields)
        if request.user.is_superuser:
            return own
        return [*own, "is_staff", "is_superuser", "groups", "user_permissions"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # scans and payouts name them: take `active` away instead

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        return list(self.inlines) if obj is not None else []


@admin.register(SignInAttempt)
class SignInAttemptAdmin(ReadOnlyAdmin):
    taken_away = False
    list_display = ["at", "address"]
    ordering = ["-at"]


@admin.register(SignInCode)
class SignInCodeAdmin(ReadOnlyAdmin):
    taken_away = False
    list_display = ["made_at", "purpose", "address", "tries", "ended_at", "took_ms", "failed"]
    list_filter = ["purpose", "failed"]
    ordering = ["-made_at"]


@admin.register(Authenticator)
class PasskeyAdmin(LastingAdmin):
    """Whose passkeys there are, and nothing of the keys. One that was lost is taken away here."""

    taken_away = False
    list_display = ["user", "created_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["user__name", "=user__phone"]
    fields = ["user", "created_at", "last_used_at"]
    readonly_fields = ["user", "created_at", "last_used_at"]
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


class RegionAliasInline(TabularInline):
    model = RegionAlias
    form = KindForm
    extra = 0


@admin.register(Region)
class RegionAdmin(LastingAdmin):
    needs_reason = True
    list_display = ["code", "name", "level", "parent", "network_level"]
    list_display_links = ["code", "name"]
    list_filter = ["level", "network_level"]
    list_select_related = ["parent"]
    search_fields = ["=code", "name", "aliases__name"]
    ordering = ["path"]
    fields = ["code", "name", "level", "parent", "path", "network_level"]
    readonly_fields = ["code", "level", "parent", "path"]
    inlines = [RegionAliasInline]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a region comes with its place in the tree and its boundary: `load_regions`


@admin.register(RegionAlias)
class RegionAliasAdmin(KindAdmin):
    list_display = ["name", "region"]
    list_select_related = ["region"]
    search_fields = ["name", "region__name", "=region__code"]
    autocomplete_fields = ["region"]
    ordering = ["name", "id"]


@admin.register(BoundarySet)
class BoundarySetAdmin(ReadOnlyAdmin):
    list_display = ["name", "source", "datum", "valid_from", "created_at"]
    search_fields = ["name", "source"]
    ordering = ["-id"]


@admin.register(RegionDraft)
class RegionDraftAdmin(ReadOnlyAdmin):
    """What was drawn, by whom, and what became of it. Drafts are edited on the map alone."""

    list_display = ["name", "author", "status", "version", "changed_at", "published_by"]
    list_filter = ["status"]
    list_select_related = ["author", "published_by"]
    search_fields = ["name"]
    ordering = ["-id"]


@admin.register(DraftShape)
class DraftShapeAdmin(ReadOnlyAdmin):
    list_display = ["code", "name", "level", "retired", "draft"]
    list_filter = ["level", "retired"]
    list_select_related = ["draft"]
    search_fields = ["=code", "name", "draft__name"]
    exclude = ["geom"]
    ordering = ["-id"]


@admin.register(DraftAcceptance)
class DraftAcceptanceAdmin(ReadOnlyAdmin):
    list_display = ["kind", "codes", "by", "at", "reason", "draft"]
    list_filter = ["kind"]
    list_select_related = ["by", "draft"]
    search_fields = ["reason", "draft__name"]
    ordering = ["-id"]


@admin.register(DraftEdit)
class DraftEditAdmin(ReadOnlyAdmin):
    list_display = ["draft", "version", "op", "by", "at"]
    list_filter = ["op"]
    list_select_related = ["draft", "by"]
    search_fields = ["draft__name"]
    ordering = ["-id"]


@admin.register(Boundary)
class BoundaryAdmin(ReadOnlyAdmin):
    list_display = ["region", "level", "in_force", "vertices", "radius_m", "boundary_set"]
    list_filter = ["level", "boundary_set"]
    list_select_related = ["region", "boundary_set"]
    search_fields = ["=region__code", "region__name"]
    exclude = ["geom", "inside", "valid"]
    readonly_fields = ["in_force", "vertices", "inside_at"]
    ordering = ["region__path", "-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Boundary]:
        """Without the polygons themselves: one of a province has more text than a page should carry."""
        vertices = Func(F("geom"), function="ST_NPoints", output_field=IntegerField())
        return Boundary.objects.defer("geom").annotate(vertices=vertices)

    @admin.display(description=_("in force"), ordering="valid")
    def in_force(self, boundary: Boundary) -> str:
        return period(boundary.valid)

    @admin.display(description=_("vertices"), ordering="vertices")
    def vertices(self, boundary: Any) -> int:
        return int(boundary.vertices)

    @admin.display(description=_("a point inside"))
    def inside_at(self, boundary: Boundary) -> str:
        return f"{boundary.inside.y:.6f}, {boundary.inside.x:.6f}"


@admin.register(BoundaryOverlap)
class BoundaryOverlapAdmin(ReadOnlyAdmin):
    list_display = ["first_region", "second_region", "area_m2"]
    fields = ["first_region", "second_region", "area_m2"]
    readonly_fields = ["first_region", "second_region"]
    ordering = ["-area_m2"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[BoundaryOverlap]:
        rows = BoundaryOverlap.objects.select_related("first__region", "second__region")
        return rows.defer("first__geom", "second__geom")

    @admin.display(description=_("first"))
    def first_region(self, overlap: BoundaryOverlap) -> str:
        return str(overlap.first.region)

    @admin.display(description=_("second"))
    def second_region(self, overlap: BoundaryOverlap) -> str:
        return str(overlap.second.region)


@admin.register(Outline)
class OutlineAdmin(ReadOnlyAdmin):
    list_display = ["region", "level", "zoom"]
    list_filter = ["level", "zoom"]
    fields = ["region", "level", "zoom"]
    readonly_fields = ["region"]
    ordering = ["id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Outline]:
        rows = Outline.objects.select_related("boundary__region")
        return rows.defer("geom", "boundary__geom", "boundary__inside")

    @admin.display(description=_("region"))
    def region(self, outline: Outline) -> str:
        return str(outline.boundary.region)


@admin.register(PointCell)
class PointCellAdmin(ReadOnlyAdmin):
    list_display = ["zoom", "tile_x", "tile_y", "cell", "proposed", "active", "suspended", "closed"]
    list_display_links = ["zoom", "tile_x", "tile_y", "cell"]
    list_filter = ["zoom"]
    ordering = ["id"]


@admin.register(Address)
class AddressAdmin(ReadOnlyAdmin):
    """Where people live stays out of sight: the region is shown, coordinates are not."""

    list_display = ["id", "region", "source", "accuracy_m", "located_at"]
    list_filter = ["source"]
    list_select_related = ["region"]
    search_fields = ["=id"]
    fields = ["chain", "source", "accuracy_m", "located_at"]
    readonly_fields = ["chain"]
    ordering = ["-id"]

    @admin.display(description=_("regions, deepest first"))
    def chain(self, address: Address) -> str:
        return region_names(address.region_ids)


class PointForm(KindForm):
    lat = forms.FloatField(label=_("latitude, WGS 84"), min_value=-90, max_value=90)
    lon = forms.FloatField(label=_("longitude, WGS 84"), min_value=-180, max_value=180)

    class Meta:
        model = ServicePoint
        exclude = ["location", "region", "region_ids"]  # these follow from the coordinates

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial.update(lat=self.instance.location.y, lon=self.instance.location.x)

    def _post_clean(self) -> None:
        lat, lon = self.cleaned_data.get("lat"), self.cleaned_data.get("lon")
        if lat is not None and lon is not None:
            self.instance.location = Point(lon, lat, srid=4326)
        super()._post_clean()


class PauseInline(TabularInline):
    model = Pause
    form = KindForm
    extra = 0
    formfield_overrides = {DateTimeRangeField: {"widget": PeriodWidget}}


@admin.register(ConfirmedPlace)
class ConfirmedPlaceAdmin(ReadOnlyAdmin):
    """What reviewers confirmed, without the texts. To delete one is to forget it, so that it is asked again."""

    list_display = ["id", "confirmed_by", "confirmed_at", "used", "kept_until"]
    list_select_related = ["confirmed_by"]
    fields = ["confirmed_by", "confirmed_at", "used", "kept_until"]
    ordering = ["-id"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(ServicePoint)
class ServicePointAdmin(LastingAdmin):
    needs_reason = True
    form = PointForm
    list_display = ["ref", "name", "city", "region", "status", "capacity"]
    list_display_links = ["ref", "name"]
    list_filter = ["status", "largest_size"]
    list_select_related = ["region"]
    search_fields = ["=ref", "name", "city", "address"]
    ordering = ["name", "id"]
    readonly_fields = ["chain"]
    inlines = [MembershipInline, PauseInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A point is suspended and closed on its own page, where its parcels are looked after."""
        return [*self.readonly_fields, "status"] if obj else self.readonly_fields

    @admin.display(description=_("regions, deepest first"))
    def chain(self, point: ServicePoint) -> str:
        return region_names(point.region_ids)

    def save_model(self, request: HttpRequest, obj: ServicePoint, form: Any, change: bool) -> None:
        [region_id] = regions.covering([(obj.location.y, obj.location.x)], at=now())
        obj.region_id = region_id
        obj.region_ids = [] if region_id is None else list(regions.chain_ids({region_id})[region_id])
        super().save_model(request, obj, form, change)


@admin.register(PointApplication)
class PointApplicationAdmin(ReadOnlyAdmin):
    """Decided on the page of the application, where its place is seen."""

    list_display = ["name", "applicant", "status", "made_at", "decided_by", "decided_at"]
    list_filter = ["status"]
    list_select_related = ["applicant", "decided_by"]
    search_fields = ["name", "=service_point__ref"]
    exclude = ["location"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("photo")


@admin.register(Closing)
class ClosingAdmin(ReadOnlyAdmin):
    list_display = ["service_point", "state", "begins_at", "last_day", "asked_by", "planned_by"]
    list_filter = ["state"]
    list_select_related = ["service_point", "asked_by", "planned_by"]
    search_fields = ["service_point__name", "=service_point__ref"]
    ordering = ["-id"]


@admin.register(VisitorNotice)
class VisitorNoticeAdmin(ReadOnlyAdmin):
    list_display = ["service_point", "text_zh", "text_en", "first_day", "last_day", "changed_by"]
    list_select_related = ["service_point", "changed_by"]
    search_fields = ["service_point__name", "=service_point__ref"]
    ordering = ["-changed_at"]


@admin.register(Membership)
class MembershipAdmin(LastingAdmin):
    list_display = ["user", "service_point", "role", "since", "ended_at"]
    list_filter = ["role", ("ended_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user", "service_point"]
    search_fields = ["user__name", "=user__phone", "service_point__name", "=service_point__ref"]
    autocomplete_fields = ["user", "service_point"]
    ordering = ["-id"]


@admin.register(Pause)
class PauseAdmin(KindAdmin):
    list_display = ["service_point", "reason", "lasts"]
    list_filter = ["reason"]
    list_select_related = ["service_point"]
    search_fields = ["service_point__name", "=service_point__ref"]
    autocomplete_fields = ["service_point"]
    ordering = ["-id"]

    @admin.display(description=_("period"), ordering="period")
    def lasts(self, pause: Pause) -> str:
        return period(pause.period)


@admin.register(Device)
class DeviceAdmin(RevocableAdmin):
    list_display = ["name", "service_point", "user", "created_at", "seen_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["service_point", "user"]
    search_fields = ["name", "service_point__name", "=service_point__ref"]
    ordering = ["-id"]


@admin.register(Pairing)
class PairingAdmin(ReadOnlyAdmin):
    list_display = ["name", "service_point", "made_by", "expires_at", "device"]
    list_select_related = ["service_point", "made_by", "device"]
    search_fields = ["name", "service_point__name", "=service_point__ref"]
    ordering = ["-id"]


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ["user", "service_point", "role", "made_by", "made_at", "end"]
    list_filter = ["role", "end"]
    list_select_related = ["user", "service_point", "made_by"]
    search_fields = ["user__name", "=user__phone", "service_point__name", "=service_point__ref"]
    ordering = ["-id"]


class AppointmentInline(TabularInline):
    model = Appointment
    fields = ["region", "in_force", "reason"]
    readonly_fields = ["region", "in_force", "reason"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("in force"))
    def in_force(self, appointment: Appointment) -> str:
        return period(appointment.valid)


@admin.register(Agent)
class AgentAdmin(LastingAdmin):
    list_display = ["ref", "name", "user"]
    list_display_links = ["ref", "name"]
    list_select_related = ["user"]
    search_fields = ["=ref", "name"]
    autocomplete_fields = ["user"]
    ordering = ["name", "id"]
    inlines = [AppointmentInline]


@admin.register(Appointment)
class AppointmentAdmin(LastingAdmin):
    """Fees name the appointment that earned them, so that it stays as it is. Its own page ends and renews it."""

    needs_reason = True
    own_reason = "reason"
    list_display = ["region", "agent", "in_force", "ended_at"]
    list_filter = ["region__level"]
    list_select_related = ["region", "agent"]
    search_fields = ["agent__name", "=agent__ref", "region__name", "=region__code"]
    autocomplete_fields = ["agent", "region"]
    ordering = ["-id"]

    @admin.display(description=_("in force"), ordering="valid")
    def in_force(self, appointment: Appointment) -> str:
        return period(appointment.valid)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = ["agent", "region", "valid", "reason"]
        return [*given, "appointed_by", "ended_by", "ended_at", "end_reason"] if obj is not None else given

    def save_model(self, request: HttpRequest, obj: Appointment, form: Any, change: bool) -> None:
        assert isinstance(request.user, User), "the administration lets nobody else in"
        obj.appointed_by = request.user
        super().save_model(request, obj, form, change)


@admin.register(AppointmentApplication)
class AppointmentApplicationAdmin(ReadOnlyAdmin):
    list_display = ["region", "user", "status", "made_at", "decided_by"]
    list_filter = ["status", "region__level"]
    list_select_related = ["region", "user", "decided_by"]
    search_fields = ["region__name", "=region__code", "user__name", "=user__phone"]
    ordering = ["-id"]


@admin.register(PointProposal)
class PointProposalAdmin(ReadOnlyAdmin):
    list_display = ["name", "region", "agent", "status", "made_at"]
    list_filter = ["status"]
    list_select_related = ["region", "agent"]
    search_fields = ["name", "address", "region__name", "=region__code", "=agent__ref"]
    exclude = ["location"]
    ordering = ["-id"]


@admin.register(Export)
class ExportAdmin(ReadOnlyAdmin):
    """Who took which list away, and when."""

    list_display = ["made_at", "made_by", "name", "form", "state", "rows_done"]
    list_filter = ["state", "form"]
    list_select_related = ["made_by"]
    search_fields = ["=name"]
    fields = ["name", "asked", "form", "made_by", "made_at", "state", "tries", "rows_done", "rows_all", "ended_at"]
    ordering = ["-id"]
