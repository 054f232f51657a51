"""The page of tariffs: dated versions, what a draft would change about a past month, and the draft made a version."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import localdate, localtime
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from network import history
from network.clock import now
from network.models import Level, Region, User
from network.views.sign_in import homes_of
from pickup import ledger, tariffs
from pickup.models import Tariff
from pickup.models.tariffs import CEILINGS
from pickup.tariffs import POINT, Line, Preview

MONTHS = 24  # so far back a month can be chosen
ROWS = 100  # of regions, those that change most; a country has thousands of districts
AMOUNTS = ("point_fee_minor", "cap_minor", *reversed(CEILINGS))


class MoneyField(forms.DecimalField):
    """An amount as people write it, cleaned to integer minor units; it never is a float."""

    def __init__(self, *, currency: str, **options: Any) -> None:
        self.digits = ledger.minor_digits(currency)
        super().__init__(min_value=0, max_digits=12, decimal_places=self.digits, **options)
        self.widget.attrs["inputmode"] = "decimal"

    def clean(self, value: Any) -> int:
        return int(cast(Decimal, super().clean(value)).scaleb(self.digits))

    def prepare_value(self, value: Any) -> Any:
        """Minor units, which a tariff has, are shown as people write them; what was typed stays as it is."""
        return Decimal(value).scaleb(-self.digits) if isinstance(value, int) else value


class DraftForm(forms.Form):
    """The amounts of a tariff that nobody has saved, and the pickups to try it on."""

    month = forms.ChoiceField(label=_("Pickups of the month"))
    level = forms.TypedChoiceField(label=_("Regions of the level"), coerce=lambda level: Level(int(level)))

    def __init__(self, data: Any, *, base: Tariff, today: date) -> None:
        start = {name: getattr(base, name) for name in AMOUNTS} | {"month": f"{today:%Y-%m}", "level": Level.PROVINCE}
        super().__init__(data, initial=start)
        self.currency = base.currency
        for name in AMOUNTS:
            label = getattr(Tariff._meta.get_field(name), "verbose_name", name)
            self.fields[name] = MoneyField(label=label, currency=base.currency)
        self.fields["month"].choices = [(month, month) for month in months_until(today)]  # type: ignore[attr-defined]
        levels = [level for level in Level if level != Level.CUSTOM]
        self.fields["level"].choices = [(int(level), level.label) for level in levels]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        ceilings = [cleaned[name] for name in CEILINGS if name in cleaned]
        if ceilings != sorted(ceilings, reverse=True):
            raise forms.ValidationError(_("The ceiling of a larger region is not below that of a smaller one."))
        return cleaned

    def amounts(self) -> Iterable[forms.BoundField]:
        return [self[name] for name in AMOUNTS]

    def tariff(self, *, valid_from: datetime) -> Tariff:
        """The draft, with a date that no row has."""
        amounts = {name: self.cleaned_data[name] for name in AMOUNTS}
        return Tariff(currency=self.currency, valid_from=valid_from, **amounts)

    def span(self) -> tuple[datetime, datetime]:
        """The month's first moment, and the first after it."""
        year, month = map(int, self.cleaned_data["month"].split("-"))
        zone = ZoneInfo(settings.TIME_ZONE)
        return (
            datetime(year, month, 1, tzinfo=zone),
            datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone),
        )


class VersionForm(forms.Form):
    """What makes a draft a version."""

    name = forms.CharField(label=_("Name"), max_length=100)
    begins = forms.DateField(
        label=_("In force from"), widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )
    hold_days = forms.IntegerField(label=_("Storage, days"), min_value=1, max_value=60)
    payable_after_hours = forms.IntegerField(label=_("Fees payable after, hours"), min_value=0, max_value=2160)
    because = forms.CharField(
        label=_("Reason"),
        max_length=history.REASON_LETTERS,
        help_text=_("It stands in the history beside what you change."),
    )

    def __init__(self, data: Any, *, base: Tariff, today: date) -> None:
        tomorrow = today + timedelta(days=1)
        start = {name: getattr(base, name) for name in ("hold_days", "payable_after_hours")} | {"begins": tomorrow}
        super().__init__(data, initial=start)
        self.fields["begins"].widget.attrs["min"] = tomorrow.isoformat()


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tariffs_page(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    if not (user.is_staff and user.has_perms(["pickup.view_tariff", "pickup.view_posting"])):
        raise Http404
    at = now()
    versions = tariffs.versions()
    base = next((tariff for tariff in versions if tariff.valid_from <= at), None) or Tariff(valid_from=at)
    today = localdate(at)
    typed = request.POST if request.method == "POST" else request.GET
    draft = DraftForm(typed if "month" in typed else None, base=base, today=today)
    version = VersionForm(request.POST if request.method == "POST" else None, base=base, today=today)
    if request.method == "POST":
        if not user.has_perm("pickup.add_tariff"):
            raise PermissionDenied
        history.because(request.POST.get("because", ""))
        if draft.is_valid() and version.is_valid() and saved(user, draft, version):
            messages.success(request, _("Saved. It is in force from its date on."))
            return redirect("tariffs")
    context: dict[str, Any] = {
        "versions": [version_shown(tariff, base) for tariff in versions],
        "draft": draft,
        "version": version,
        "may_add": user.has_perm("pickup.add_tariff"),
        "homes": homes_of(user),
    }
    if draft.is_bound and draft.is_valid():
        first, end = draft.span()
        told = tariffs.preview(draft.tariff(valid_from=at), first=first, end=end, level=draft.cleaned_data["level"])
        context["preview"] = preview_shown(told, draft.currency)
        context["month"] = draft.cleaned_data["month"]
    context["export"] = {"name": "admin:pickup.tariff", "query": ""}
    return render(request, "pickup/tariffs.html", context)


def saved(user: User, draft: DraftForm, version: VersionForm) -> bool:
    """Make the draft a version and say who did; what is wrong is put at its field."""
    told = version.cleaned_data
    begins = datetime.combine(told["begins"], time(), ZoneInfo(settings.TIME_ZONE))
    tariff = draft.tariff(valid_from=begins)
    tariff.name = told["name"]
    tariff.hold_days, tariff.payable_after_hours = told["hold_days"], told["payable_after_hours"]
    try:
        tariffs.add(tariff, now=now())
    except tariffs.BeginsInThePast:
        version.add_error("begins", _("A new version begins tomorrow or later."))
    except IntegrityError:
        version.add_error("begins", _("Another version begins on that day."))
    else:
        LogEntry.objects.log_actions(
            user.pk, [tariff], ADDITION, change_message="made from a draft", single_object=True
        )
        return True
    return False


def months_until(today: date) -> list[str]:
    """The newest first."""
    count = today.year * 12 + today.month - 1
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in range(count, count - MONTHS, -1)]


def version_shown(tariff: Tariff, current: Tariff) -> dict[str, Any]:
    ceilings = [ledger.written(getattr(tariff, name), tariff.currency) for name in reversed(CEILINGS)]
    return {
        "tariff": tariff,
        "begins": localtime(tariff.valid_from),
        "fee": ledger.written(tariff.point_fee_minor, tariff.currency),
        "cap": ledger.written(tariff.cap_minor, tariff.currency),
        "ceilings": ceilings,
        "used": getattr(tariff, "used", False),
        "current": tariff.pk == current.pk,
        "later": tariff.valid_from > current.valid_from,
    }


def preview_shown(told: Preview, currency: str) -> dict[str, Any]:
    names = Region.objects.in_bulk({line.region_id for line in told.lines if line.region_id is not None})
    by_region: dict[int | None, list[Line]] = {}
    for line in told.lines:
        by_region.setdefault(line.region_id, []).append(line)
    changes_most = sorted(
        by_region, key=lambda region: (-abs(sum(line.difference_minor for line in by_region[region])), region or 0)
    )
    rows = [
        sums_shown(names[region].name if region in names else str(_("elsewhere")), by_region[region], currency)
        for region in changes_most[:ROWS]
    ]
    left = [line for region in changes_most[ROWS:] for line in by_region[region]]
    if left:
        rows.append(sums_shown(str(_("all other regions")), left, currency))
    kinds = [(str(_("service points")), [line for line in told.lines if line.level == POINT])]
    kinds += [
        (f"{_('agents')} · {level.label}", [line for line in told.lines if line.level == level])
        for level in sorted(Level, reverse=True)
    ]
    return {
        "pickups": told.pickups,
        "currency": currency,
        "kinds": [one(name, lines, currency) for name, lines in kinds if lines],
        "rows": rows,
        "total": sums_shown("", told.lines, currency),
        "all": one("", told.lines, currency),
    }


def one(name: str, lines: Iterable[Line], currency: str) -> dict[str, Any]:
    lines = list(lines)
    difference = sum(line.difference_minor for line in lines)
    return {
        "name": name,
        "paid": ledger.written(sum(line.paid_minor for line in lines), currency),
        "would": ledger.written(sum(line.would_minor for line in lines), currency),
        "difference": ("+" if difference > 0 else "") + ledger.written(difference, currency),
        "tone": (difference > 0) - (difference < 0),
    }


def sums_shown(name: str, lines: Iterable[Line], currency: str) -> dict[str, Any]:
    lines = list(lines)
    return {
        "name": name,
        "points": one("", [line for line in lines if line.level == POINT], currency),
        "agents": one("", [line for line in lines if line.level != POINT], currency),
        "all": one("", lines, currency),
    }
