"""Parcels, the scans that move them, and the proofs that hand them over."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models import F, Func, Q
from django.utils.translation import gettext_lazy as _

from network.models import Device, ServicePoint, Size
from network.models.history import kept
from pickup.models.orders import Order


class DatabaseClock(Func):
    """The moment a row is written, by the database's clock and not the transaction's start."""

    function = "clock_timestamp"
    output_field = models.DateTimeField()


class Verdict(models.TextChoices):
    """How a scan was answered (R6), with the words for the person who scanned."""

    OK = "ok", _("Done.")
    OK_REPEAT = "ok_repeat", _("Done already: this scan was recorded before.")
    NOT_FOUND = "not_found", _("No such parcel. Check the barcode.")
    ALREADY_COLLECTED = "already_collected", _("This parcel was already handed over.")
    WRONG_POINT = "wrong_point", _("This parcel belongs to another service point.")
    NOT_ARRIVED = "not_arrived", _("This parcel has not been scanned in here.")
    EXPIRED_BUT_HERE = "expired_but_here", _("Done. Its storage time was over.")
    RETURNED = "returned", _("This parcel goes back to its sender.")
    CANCELLED = "cancelled", _("This order was cancelled. Do not hand over.")
    WRONG_CODE = "wrong_code", _("Wrong code. Ask the recipient to show the newest one.")
    CODE_LOCKED = "code_locked", _("Too many wrong codes. Only the QR code works now.")
    CODE_REVOKED = "code_revoked", _("This code was replaced. Ask for the newest one.")
    POINT_SUSPENDED = "point_suspended", _("This service point is suspended.")
    CLERK_NOT_ALLOWED = "clerk_not_allowed", _("Not allowed here.")
    DEVICE_REVOKED = "device_revoked", _("This device was signed off.")
    OFFLINE_UNKNOWN = "offline_unknown", _("Not known on this device. Try again online.")
    UNKNOWN_PARCEL = "unknown_parcel", _("Not announced. Keep it apart, we look into it.")
    DUPLICATE = "duplicate", _("Already scanned in.")
    OVER_CAPACITY = "over_capacity", _("Scanned in. The shop is over its capacity.")
    DAMAGED = "damaged", _("Recorded as damaged. Do not hand over.")


# Refusals of an arrival or a pickup that time may mend: another device's arrival may be uploaded after this one's
# pickup, and a shop's day of wrong codes ends. A refused undo or return is final: it meant what was so at that time.
MENDABLE = (Verdict.NOT_FOUND, Verdict.NOT_ARRIVED, Verdict.UNKNOWN_PARCEL, Verdict.CODE_LOCKED)
STATUSES = (
    "expected", "ready", "collected", "expired", "refused", "returned", "cancelled", "lost", "damaged",
)  # fmt: skip


class Parcel(models.Model):
    """One physical thing. Its status moves only as `pickup.parcels.FOLLOWS` allows; a trigger holds that.

    An expected parcel without a service point waits for its order to be assigned. `region_ids` is the region
    chain of its delivery address, deepest first, frozen at assignment: fees and agents' views follow it.
    `person` is the recipient's keyed phone hash: it tells which other parcels the same person has here.
    """

    class Status(models.TextChoices):
        EXPECTED = "expected", _("expected")
        READY = "ready", _("ready")
        COLLECTED = "collected", _("collected")
        EXPIRED = "expired", _("expired")
        REFUSED = "refused", _("refused")
        RETURNED = "returned", _("returned")
        CANCELLED = "cancelled", _("cancelled")
        LOST = "lost", _("lost")
        DAMAGED = "damaged", _("damaged")

    uuid = models.UUIDField(_("public id"), default=uuid4, unique=True, editable=False)
    order = models.ForeignKey(Order, models.PROTECT, related_name="parcels", verbose_name=_("order"))
    barcode = models.CharField(_("barcode"), max_length=64)
    size = models.SmallIntegerField(_("size"), choices=Size.choices, default=Size.SMALL)
    weight_g = models.IntegerField(_("weight, g"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.EXPECTED)
    service_point = models.ForeignKey(
        ServicePoint,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("service point"),
        db_index=False,
    )
    region_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    person = models.BinaryField(_("keyed hash of the phone"), max_length=16, null=True, editable=False)
    shelf = models.CharField(_("shelf"), max_length=20, blank=True)
    ready_at = models.DateTimeField(_("ready"), null=True, blank=True)
    hold_until = models.DateTimeField(_("held until"), null=True, blank=True)
    extended_at = models.DateTimeField(_("extended"), null=True, blank=True, help_text=_("by the recipient, once"))
    collected_at = models.DateTimeField(_("collected"), null=True, blank=True)

    class Meta:
        verbose_name = _("parcel")
        verbose_name_plural = _("parcels")
        indexes = [
            # What a shop holds or expects: its load and its shelf.
            models.Index(name="parcel_held", fields=["service_point", "status"]),
            # How many more parcels this person has here.
            models.Index(
                name="parcel_person_here",
                fields=["service_point", "person"],
                condition=Q(status__in=["ready", "expired"]),
            ),
            models.Index(name="parcel_hold_until", fields=["hold_until"], condition=Q(status="ready")),
            GinIndex(name="parcel_regions", fields=["region_ids"]),
        ]
        constraints = [
            # Not `unique=True`, which brings a second index for patterns that nobody looks for.
            models.UniqueConstraint(name="parcel_barcode_once", fields=["barcode"]),
            models.CheckConstraint(
                name="parcel_has_a_point_once_it_moves",
                condition=Q(service_point__isnull=False) | Q(status__in=["expected", "cancelled", "lost", "damaged"]),
            ),
            models.CheckConstraint(
                name="parcel_held_has_deadline",
                condition=~Q(status__in=["ready", "expired", "collected"]) | Q(hold_until__isnull=False),
            ),
            models.CheckConstraint(
                name="parcel_collected_has_time",
                condition=Q(status="collected", collected_at__isnull=False)
                | (~Q(status="collected") & Q(collected_at__isnull=True)),
            ),
            models.CheckConstraint(name="parcel_size_known", condition=Q(size__in=Size.values)),
            models.CheckConstraint(name="parcel_weight", condition=Q(weight_g__isnull=True) | Q(weight_g__gt=0)),
            models.CheckConstraint(name="parcel_status_known", condition=Q(status__in=STATUSES)),
        ]

    def __str__(self) -> str:
        return self.barcode


class Scan(models.Model):
    """What a device told, accepted or refused. Rows are only ever added.

    `event_at` is the device's word, `recorded_at` the database's. `answer` is kept as it was first given, so
    that a repeat is answered with the same words; it holds nothing personal. Only a refusal that time may mend is
    decided anew, and gets a row of its own when the verdict has become another one. `told` is the verdict that a
    device without a network showed before the server knew; where the two differ, the shop has a conflict to look at.
    """

    class Kind(models.TextChoices):
        ARRIVAL = "arrival", _("arrival")
        PICKUP = "pickup", _("pickup")
        UNDO = "undo", _("undo")
        RETURN = "return", _("return")
        DAMAGED = "damaged", _("damaged")

    scan_id = models.UUIDField(_("scan id"))
    device = models.ForeignKey(Device, models.PROTECT, related_name="+", verbose_name=_("device"), db_index=False)
    clerk = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("clerk"),
        db_index=False,
    )
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="+", verbose_name=_("service point"), db_index=False
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    verdict = models.CharField(_("verdict"), max_length=20, choices=Verdict.choices)
    told = models.CharField(_("told offline"), max_length=20, choices=Verdict.choices, blank=True, db_default="")
    parcel = models.ForeignKey(Parcel, models.PROTECT, null=True, related_name="scans", verbose_name=_("parcel"))
    barcode = models.CharField(_("barcode as scanned"), max_length=64, blank=True)
    proof = models.CharField(_("proof"), max_length=10, blank=True)
    shelf = models.CharField(_("shelf"), max_length=20, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    event_at = models.DateTimeField(_("told by the device"))
    recorded_at = models.DateTimeField(_("recorded"), db_default=DatabaseClock())
    request_hash = models.BinaryField(_("hash of the request"), max_length=32, editable=False)
    answer = models.TextField(_("answer"), help_text=_("JSON, byte for byte"))

    class Meta:
        verbose_name = _("scan")
        verbose_name_plural = _("scans")
        indexes = [
            models.Index(name="scan_point_time", fields=["service_point", "recorded_at"]),
            models.Index(name="scan_device_id", fields=["device", "scan_id"]),
            BrinIndex(name="scan_time", fields=["recorded_at"]),  # the scans of the last weeks, for a few pages of disk
            models.Index(name="scan_offline", fields=["service_point", "recorded_at"], condition=~Q(told="")),
        ]
        constraints = [
            models.UniqueConstraint(
                name="scan_once_per_device", fields=["device", "scan_id"], condition=~Q(verdict__in=MENDABLE)
            ),
            models.CheckConstraint(
                name="scan_kind_known",
                condition=Q(kind__in=["arrival", "pickup", "undo", "return", "damaged"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.verdict} {self.barcode}"


class Arrival(models.Model):
    """A parcel came to a service point; without this row there is no hand-over there."""

    parcel = models.ForeignKey(Parcel, models.PROTECT, related_name="arrivals", verbose_name=_("parcel"))
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="+", verbose_name=_("service point"), db_index=False
    )
    scan = models.OneToOneField(Scan, models.PROTECT, related_name="+", verbose_name=_("scan"))

    class Meta:
        verbose_name = _("arrival")
        verbose_name_plural = _("arrivals")
        constraints = [models.UniqueConstraint(name="arrival_once", fields=["parcel", "service_point"])]

    def __str__(self) -> str:
        return f"{self.parcel_id} at {self.service_point_id}"


class Handover(models.Model):
    """A verified pickup. A parcel has at most one that is not undone, and it needs an arrival at the same point.

    The foreign key (parcel, service_point) → arrival is added by the migration; Django has no composite ones.
    """

    parcel = models.ForeignKey(Parcel, models.PROTECT, related_name="handovers", verbose_name=_("parcel"))
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="+", verbose_name=_("service point"), db_index=False
    )
    scan = models.OneToOneField(Scan, models.PROTECT, related_name="+", verbose_name=_("scan"))
    undone_by = models.OneToOneField(Scan, models.PROTECT, null=True, related_name="+", verbose_name=_("undone by"))

    class Meta:
        verbose_name = _("verified pickup")
        verbose_name_plural = _("verified pickups")
        constraints = [
            models.UniqueConstraint(name="handover_once", fields=["parcel"], condition=Q(undone_by__isnull=True)),
            models.CheckConstraint(
                name="handover_undone_by_another_scan",
                condition=Q(undone_by__isnull=True) | ~Q(undone_by=F("scan")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.parcel_id} at {self.service_point_id}"


class PickupCode(models.Model):
    """The current proof of a parcel: keyed hashes only, and the wrong attempts of its life.

    The code and the QR's secret are derived from a key outside the database and `issue`; a new issue kills
    the old ones. See `pickup.codes`.
    """

    parcel = models.OneToOneField(
        Parcel, models.PROTECT, primary_key=True, related_name="code", verbose_name=_("parcel")
    )
    issue = models.SmallIntegerField(_("issue"), default=1)
    token_hash = models.BinaryField(_("hash of the QR's secret"), max_length=32, editable=False)
    code_hash = models.BinaryField(_("keyed hash of the code"), max_length=32, editable=False)
    link_hash = models.BinaryField(_("hash of the link"), max_length=32, unique=True, editable=False)
    attempts = models.SmallIntegerField(_("attempts"), default=0)
    paused_until = models.DateTimeField(_("typed codes rest until"), null=True, blank=True)
    page_attempts = models.SmallIntegerField(_("attempts on the page"), default=0)

    class Meta:
        verbose_name = _("pickup code")
        verbose_name_plural = _("pickup codes")
        constraints = [
            models.CheckConstraint(name="pickup_code_attempts", condition=Q(attempts__range=(0, 5))),
            models.CheckConstraint(name="pickup_code_page_attempts", condition=Q(page_attempts__range=(0, 10))),
        ]

    def __str__(self) -> str:
        return f"code of parcel {self.parcel_id}"


class Delegation(models.Model):
    """Proofs for somebody who fetches a parcel for its recipient: an own QR, code and page, with an end.

    They are derived like the recipient's own, by `number` beside the parcel's issue, and stored as keyed hashes only.
    A typed code counts against the same five attempts as the recipient's.
    """

    parcel = models.ForeignKey(Parcel, models.PROTECT, related_name="delegations", verbose_name=_("parcel"))
    number = models.SmallIntegerField(_("number"))
    token_hash = models.BinaryField(_("hash of the QR's secret"), max_length=32, editable=False)
    code_hash = models.BinaryField(_("keyed hash of the code"), max_length=32, editable=False)
    link_hash = models.BinaryField(_("hash of the link"), max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=DatabaseClock())
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)

    class Meta:
        verbose_name = _("delegation")
        verbose_name_plural = _("delegations")
        constraints = [
            models.UniqueConstraint(name="delegation_number_once", fields=["parcel", "number"]),
            models.UniqueConstraint(
                name="delegation_one_at_a_time", fields=["parcel"], condition=Q(revoked_at__isnull=True)
            ),
            models.CheckConstraint(name="delegation_number", condition=Q(number__range=(1, 10))),
        ]

    def __str__(self) -> str:
        return f"{self.number} of parcel {self.parcel_id}"


@kept(hidden=("note", "photo"))
class ManualRelease(models.Model):
    """A hand-over without a proof, by a clerk who says why and shows a photo (R5).

    It earns nothing until an admin approves it; the photo is sealed like all personal data.
    """

    class Reason(models.TextChoices):
        NO_PHONE = "no_phone", _("recipient has no phone here, showed an identity card")
        UNREADABLE = "unreadable", _("QR unreadable and code locked")
        NOT_RECEIVED = "not_received", _("the message never arrived")
        OTHER = "other", _("something else")

    class Decision(models.TextChoices):
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")

    handover = models.OneToOneField(Handover, models.PROTECT, related_name="release", verbose_name=_("verified pickup"))
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="+", verbose_name=_("service point"), db_index=False
    )
    clerk = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("clerk"), db_index=False
    )
    reason = models.CharField(_("reason"), max_length=20, choices=Reason.choices)
    note = models.CharField(_("note"), max_length=200, blank=True)
    photo = models.BinaryField(_("photo, sealed"), editable=False)
    made_at = models.DateTimeField(_("made"), db_default=DatabaseClock())
    decision = models.CharField(_("decision"), max_length=10, choices=Decision.choices, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("release without proof")
        verbose_name_plural = _("releases without proof")
        indexes = [models.Index(name="release_of_a_week", fields=["service_point", "made_at"])]
        constraints = [
            models.CheckConstraint(
                name="release_decision_is_whole",
                condition=Q(decision="", decided_by__isnull=True, decided_at__isnull=True)
                | (~Q(decision="") & Q(decided_by__isnull=False, decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="release_decided_by_another", condition=Q(clerk__isnull=True) | ~Q(decided_by=F("clerk"))
            ),
            models.CheckConstraint(
                name="release_decision_known", condition=Q(decision__in=["", "approved", "rejected"])
            ),
        ]

    def __str__(self) -> str:
        return f"release {self.handover_id}"


@kept(hidden=("note",))
class Dispute(models.Model):
    """A recipient says "I did not collect this". Fees of that pickup are not settled before it is resolved."""

    class Outcome(models.TextChoices):
        UPHELD = "upheld", _("upheld: the fees are taken back")
        DISMISSED = "dismissed", _("dismissed: the pickup stands")

    handover = models.OneToOneField(Handover, models.PROTECT, related_name="dispute", verbose_name=_("verified pickup"))
    opened_at = models.DateTimeField(_("opened"), db_default=DatabaseClock())
    note = models.CharField(_("what the recipient says"), max_length=500, blank=True)
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("resolved by")
    )
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)
    reason = models.CharField(_("reason of the outcome"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        constraints = [
            models.CheckConstraint(name="dispute_outcome_known", condition=Q(outcome__in=["", "upheld", "dismissed"])),
            models.CheckConstraint(
                name="dispute_outcome_is_whole",
                condition=Q(outcome="", resolved_by__isnull=True, resolved_at__isnull=True)
                | (~Q(outcome="") & Q(resolved_by__isnull=False, resolved_at__isnull=False)),
            ),
            models.CheckConstraint(name="dispute_outcome_has_reason", condition=Q(outcome="") | ~Q(reason="")),
        ]

    def __str__(self) -> str:
        return f"dispute of {self.handover_id}"


class StockCount(models.Model):
    """A count of the shelf (盘点): what was scanned, beside what should have been there at that moment."""

    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="+", verbose_name=_("service point"), db_index=False
    )
    device = models.ForeignKey(Device, models.PROTECT, related_name="+", verbose_name=_("device"), db_index=False)
    count_id = models.UUIDField(_("count id"), help_text=_("told by the device"))
    counted_at = models.DateTimeField(_("counted"), db_default=DatabaseClock())

    class Meta:
        verbose_name = _("stock count")
        verbose_name_plural = _("stock counts")
        indexes = [models.Index(name="stock_count_point", fields=["service_point", "counted_at"])]
        constraints = [models.UniqueConstraint(name="stock_count_once", fields=["device", "count_id"])]

    def __str__(self) -> str:
        return f"{self.service_point_id} {self.counted_at:%Y-%m-%d %H:%M}"


class StockCountLine(models.Model):
    """One barcode of a stock count: found or missing, known or not. An overdue parcel that was found is `overdue`."""

    class Found(models.TextChoices):
        HERE = "here", _("here and expected")
        OVERDUE = "overdue", _("here and overdue")
        MISSING = "missing", _("missing")
        ORPHAN = "orphan", _("here and not expected")

    count = models.ForeignKey(StockCount, models.PROTECT, related_name="lines", verbose_name=_("stock count"))
    barcode = models.CharField(_("barcode"), max_length=64)
    parcel = models.ForeignKey(Parcel, models.PROTECT, null=True, related_name="+", verbose_name=_("parcel"))
    found = models.CharField(_("found"), max_length=10, choices=Found.choices)

    class Meta:
        verbose_name = _("line of a stock count")
        verbose_name_plural = _("lines of stock counts")
        constraints = [
            models.UniqueConstraint(name="stock_count_line_once", fields=["count", "barcode"]),
            models.CheckConstraint(
                name="stock_count_line_known", condition=Q(found__in=["here", "overdue", "missing", "orphan"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.found} {self.barcode}"


class WrongCodeDay(models.Model):
    """Typed codes tried at one shop on one day and not (yet) found right: at most 20, counted before comparing."""

    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="+", verbose_name=_("service point"), db_index=False
    )
    day = models.DateField(_("day"))
    wrong = models.SmallIntegerField(_("wrong codes"), default=0)

    class Meta:
        verbose_name = _("wrong codes of a day")
        verbose_name_plural = _("wrong codes by day")
        constraints = [
            models.UniqueConstraint(name="wrong_code_day_once", fields=["service_point", "day"]),
            models.CheckConstraint(name="wrong_code_day_limit", condition=Q(wrong__range=(0, 20))),
        ]

    def __str__(self) -> str:
        return f"{self.service_point_id} {self.day} {self.wrong}"


class Notice(models.Model):
    """A message that must reach a recipient. The row is the queue: unsent rows are swept until they are sent.

    It holds no phone, no code and no link: those are read or derived at the moment of sending.
    """

    class Kind(models.TextChoices):
        EXPECTED = "expected", _("on its way")
        READY = "ready", _("ready for pickup")
        REMINDER = "reminder", _("reminder")
        CLOSING = "closing", _("the shop closes")
        EXPIRED = "expired", _("storage over")
        ASKED = "asked", _("did you collect it?")

    parcel = models.ForeignKey(Parcel, models.PROTECT, related_name="notices", verbose_name=_("parcel"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    round = models.SmallIntegerField(_("round"), default=0, help_text=_("0: by itself, 1 and more: asked for again"))
    created_at = models.DateTimeField(_("created"), db_default=DatabaseClock())
    next_try_at = models.DateTimeField(_("next try"), db_default=DatabaseClock())
    tries = models.SmallIntegerField(_("tries"), default=0)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    gave_up = models.BooleanField(_("given up"), default=False)
    error = models.CharField(_("last error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        indexes = [
            models.Index(
                name="notice_unsent", fields=["next_try_at"], condition=Q(sent_at__isnull=True, gave_up=False)
            ),
            models.Index(name="notice_sent", fields=["sent_at"]),
        ]
        constraints = [models.UniqueConstraint(name="notice_once_per_round", fields=["parcel", "kind", "round"])]

    def __str__(self) -> str:
        return f"{self.kind} for {self.parcel_id}"


class MessageDay(models.Model):
    """How many messages to recipients left the network on one day: each is counted before it is sent."""

    day = models.DateField(_("day"), unique=True)
    sent = models.IntegerField(_("messages sent"), default=0)
    alarmed_at = models.DateTimeField(_("limit reached"), null=True, blank=True)

    class Meta:
        verbose_name = _("messages of a day")
        verbose_name_plural = _("messages by day")
        constraints = [models.CheckConstraint(name="message_day_not_negative", condition=Q(sent__gte=0))]

    def __str__(self) -> str:
        return f"{self.day} {self.sent}"
