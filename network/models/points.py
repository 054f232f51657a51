"""Service points: shops that hold parcels, the people in them, their devices and their pauses."""

from __future__ import annotations

import opening_hours
from django.conf import settings
from django.contrib.gis.db import models
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeOperators
from django.contrib.postgres.indexes import GistIndex
from django.core.exceptions import ValidationError
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from network.models.history import kept
from network.models.regions import Region


def validate_opening_hours(text: str) -> None:
    if not opening_hours.validate(text):
        raise ValidationError(_("not opening hours in OpenStreetMap syntax, such as Mo-Fr 09:00-21:00"))


class Size(models.IntegerChoices):
    """Size classes of parcels, in the trade's usual three (FACTS: locker classes A, B, C)."""

    SMALL = 1, "S"
    MEDIUM = 2, "M"
    LARGE = 3, "L"


@kept(hidden=("region_ids",))
class ServicePoint(models.Model):
    """A shop. It has no price, deposit or joining fee (R9); what it earns is in the ledger."""

    class Status(models.TextChoices):
        PROPOSED = "proposed", _("proposed")
        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("suspended")
        CLOSING = "closing", _("closing down")  # takes no new parcels, hands over what is there
        CLOSED = "closed", _("closed")

    ref = models.CharField(_("reference"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=200)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE)
    location = models.PointField(_("location, WGS 84"), srid=4326, spatial_index=False)
    region = models.ForeignKey(Region, models.PROTECT, null=True, blank=True, related_name="+")
    region_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    address = models.CharField(_("address"), max_length=300, blank=True)
    phone = models.CharField(_("phone"), max_length=32, blank=True)
    capacity = models.IntegerField(_("capacity, parcels"), default=200)
    reach_m = models.IntegerField(_("reach, m"), default=10_000)
    largest_size = models.SmallIntegerField(_("largest size"), choices=Size.choices, default=Size.LARGE)
    opening_hours = models.CharField(
        _("opening hours"),
        max_length=500,
        blank=True,
        help_text=_("OpenStreetMap syntax; empty: every day"),
        validators=[validate_opening_hours],
    )

    class Meta:
        verbose_name = _("service point")
        verbose_name_plural = _("service points")
        indexes = [
            # Only the points that may be chosen, so that closed ones never slow the nearest-neighbour search.
            GistIndex(name="point_active_location", fields=["location"], condition=Q(status="active")),
            # The map shows the others too. They are few, so that this index stays small.
            GistIndex(name="point_other_location", fields=["location"], condition=~Q(status="active")),
            # The farthest reach bounds every search.
            models.Index(name="point_active_reach", fields=["reach_m"], condition=Q(status="active")),
        ]
        constraints = [
            models.CheckConstraint(name="point_capacity_not_negative", condition=Q(capacity__gte=0)),
            models.CheckConstraint(name="point_reach_positive", condition=Q(reach_m__gt=0, reach_m__lte=200_000)),
            models.CheckConstraint(name="point_size_known", condition=Q(largest_size__in=Size.values)),
            models.CheckConstraint(
                name="point_status_known",
                condition=Q(status__in=["proposed", "active", "suspended", "closing", "closed"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.ref}"


@kept(about="service_point")
class Membership(models.Model):
    """Who may work at a service point, and as what."""

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        CLERK = "clerk", _("clerk")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="memberships", verbose_name=_("person")
    )
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="memberships", verbose_name=_("service point")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    since = models.DateTimeField(_("since"), auto_now_add=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("member of a service point")
        verbose_name_plural = _("members of service points")
        constraints = [
            models.UniqueConstraint(
                name="membership_once_at_a_time",
                fields=["user", "service_point"],
                condition=Q(ended_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} {self.service_point_id}"


@kept(about="service_point")
class Pause(models.Model):
    """The shop takes no new parcels for a while; it reopens by itself when the period ends."""

    class Reason(models.TextChoices):
        FULL = "full", _("full")
        VACATION = "vacation", _("vacation")
        CLOSING = "closing", _("closing")
        TECHNICAL = "technical", _("technical")
        OPENING = "opening", _("not open yet")

    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="pauses", verbose_name=_("service point")
    )
    reason = models.CharField(_("reason"), max_length=10, choices=Reason.choices)
    period = DateTimeRangeField(_("period"))

    class Meta:
        verbose_name = _("pause of a service point")
        verbose_name_plural = _("pauses of service points")
        constraints = [
            ExclusionConstraint(
                name="pause_one_at_a_time",
                expressions=[("service_point", RangeOperators.EQUAL), ("period", RangeOperators.OVERLAPS)],
            ),
            models.CheckConstraint(name="pause_not_empty", condition=Q(period__isempty=False)),
        ]

    def __str__(self) -> str:
        return f"{self.service_point_id} {self.reason}"


@kept(about="service_point")
class Closing(models.Model):
    """A shop gives up: from `begins_at` no new parcels, until the end of `last_day` it hands over what is there.

    It ends by itself when the shelf is empty. An owner asks for one and somebody else plans it; staff may plan one
    without being asked. Docs: decision 0013.
    """

    class State(models.TextChoices):
        ASKED = "asked", _("asked for")
        PLANNED = "planned", _("planned")
        BEGUN = "begun", _("begun")
        FINISHED = "finished", _("finished")
        DROPPED = "dropped", _("dropped")

    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="closings", verbose_name=_("service point")
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    reason = models.CharField(_("reason"), max_length=200)
    begins_at = models.DateTimeField(_("no new parcels from"))
    last_day = models.DateField(_("hands over until"))
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("asked by")
    )
    planned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("planned by")
    )
    made_at = models.DateTimeField(_("made"))
    begun_at = models.DateTimeField(_("begun"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("closing of a service point")
        verbose_name_plural = _("closings of service points")
        indexes = [models.Index(name="closing_open", fields=["begins_at"], condition=Q(state__in=["planned", "begun"]))]
        constraints = [
            models.UniqueConstraint(
                name="closing_one_at_a_time",
                fields=["service_point"],
                condition=Q(state__in=["asked", "planned", "begun"]),
            ),
            models.CheckConstraint(
                name="closing_state_known",
                condition=Q(state__in=["asked", "planned", "begun", "finished", "dropped"]),
            ),
            models.CheckConstraint(
                name="closing_planned_by_another",
                condition=Q(asked_by__isnull=True) | Q(planned_by__isnull=True) | ~Q(planned_by=F("asked_by")),
            ),
            models.CheckConstraint(
                name="closing_planned_by_somebody",
                condition=Q(state__in=["asked", "dropped"]) | Q(planned_by__isnull=False),
            ),
            models.CheckConstraint(name="closing_has_a_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="closing_times_fit_its_state",
                condition=Q(state__in=["asked", "planned"], begun_at__isnull=True, ended_at__isnull=True)
                | Q(state="begun", begun_at__isnull=False, ended_at__isnull=True)
                | Q(state="finished", begun_at__isnull=False, ended_at__isnull=False)
                | Q(state="dropped", ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service_point_id} {self.state}"


NOTICE_LETTERS = 120


@kept(about="service_point")
class VisitorNotice(models.Model):
    """What a shop tells its visitors, in its own words, on the days from `first_day` to `last_day`, both included."""

    service_point = models.OneToOneField(
        ServicePoint,
        models.PROTECT,
        primary_key=True,
        related_name="visitor_notice",
        verbose_name=_("service point"),
    )
    text_zh = models.CharField(_("in Chinese"), max_length=NOTICE_LETTERS, blank=True)
    text_en = models.CharField(_("in English"), max_length=NOTICE_LETTERS, blank=True)
    first_day = models.DateField(_("first day"))
    last_day = models.DateField(_("last day"))
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("changed by"), db_index=False
    )
    changed_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("notice to visitors")
        verbose_name_plural = _("notices to visitors")
        constraints = [
            models.CheckConstraint(name="visitor_notice_says_something", condition=~Q(text_zh="", text_en="")),
            models.CheckConstraint(name="visitor_notice_days_in_order", condition=Q(last_day__gte=F("first_day"))),
        ]

    def __str__(self) -> str:
        return self.text_zh or self.text_en


@kept(hidden=("key_hash", "seen_at"), about="service_point")
class Device(models.Model):
    """What scans at a service point: a scanner, a shop's own phone (no person), or a browser of one person.

    Its key is told once and only the SHA-256 of it stored; one without a key signs nobody in. A person's browser
    works as long as that person is a member.
    """

    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="devices", verbose_name=_("service point")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="devices",
        verbose_name=_("person"),
        help_text=_("whose browser it is; empty: the shop's own"),
    )
    name = models.CharField(_("name"), max_length=100)
    key_hash = models.BinaryField(_("hash of the key"), max_length=32, null=True, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    seen_at = models.DateTimeField(_("last seen"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")

    def __str__(self) -> str:
        return self.name


class Pairing(models.Model):
    """A one-time invitation of a device, shown as a QR by the owner. Only the hash of its secret is stored."""

    service_point = models.ForeignKey(
        ServicePoint, models.CASCADE, related_name="pairings", verbose_name=_("service point")
    )
    name = models.CharField(_("name of the device"), max_length=100)
    secret_hash = models.BinaryField(_("hash of the secret"), max_length=32, unique=True, editable=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("made by"), db_index=False
    )
    expires_at = models.DateTimeField(_("expires"))
    device = models.OneToOneField(
        Device, models.PROTECT, null=True, blank=True, related_name="pairing", verbose_name=_("device")
    )

    class Meta:
        verbose_name = _("pairing of a device")
        verbose_name_plural = _("pairings of devices")

    def __str__(self) -> str:
        return self.name


class Invitation(models.Model):
    """An owner asks a person to work at a service point; it ends by being accepted, declined or withdrawn."""

    class End(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        DECLINED = "declined", _("declined")
        WITHDRAWN = "withdrawn", _("withdrawn")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="invitations", verbose_name=_("person")
    )
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="invitations", verbose_name=_("service point")
    )
    role = models.CharField(_("role"), max_length=10, choices=Membership.Role.choices)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("made by"), db_index=False
    )
    made_at = models.DateTimeField(_("made"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))
    end = models.CharField(_("end"), max_length=10, choices=End.choices, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [
            models.UniqueConstraint(
                name="invitation_once_at_a_time", fields=["user", "service_point"], condition=Q(end="")
            ),
            models.CheckConstraint(
                name="invitation_end_has_time",
                condition=Q(end="", ended_at__isnull=True) | (~Q(end="") & Q(ended_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} {self.service_point_id}"
