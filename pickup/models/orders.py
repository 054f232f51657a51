"""Orders as merchants send them, and the recipients they are for."""

from __future__ import annotations

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from network.models import Address, ServicePoint
from network.models.history import CHANGED, kept


@kept()
class Merchant(models.Model):
    """A system that sends orders, with the fulfilment policy its orders follow (R13)."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    review_first = models.BooleanField(_("a person reviews each order first"), default=False)
    consent_required = models.BooleanField(_("needs the recipient's consent"), default=False)
    hold_days = models.SmallIntegerField(
        _("storage, days"), null=True, blank=True, help_text=_("empty: as the tariff says")
    )

    language = models.CharField(_("language of its notices"), max_length=10, default="zh-hans")
    announces = models.BooleanField(
        _("tells recipients before arrival"),
        default=False,
        help_text=_("one more message, with the link by which they may choose another service point"),
    )

    class Meta:
        verbose_name = _("merchant")
        verbose_name_plural = _("merchants")
        constraints = [
            models.CheckConstraint(
                name="merchant_hold_days",
                condition=Q(hold_days__isnull=True) | Q(hold_days__range=(1, 60)),
            )
        ]

    def __str__(self) -> str:
        return self.name


@kept(hidden=("key_hash",), about="merchant")
class MerchantKey(models.Model):
    """An API key; only its SHA-256 is stored. The key itself has 256 random bits, so no salt is needed."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="keys", verbose_name=_("merchant"))
    key_hash = models.BinaryField(_("hash of the key"), max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("merchant's key")
        verbose_name_plural = _("merchants' keys")

    def __str__(self) -> str:
        return f"{self.merchant_id} {self.created_at:%Y-%m-%d}"


# Orders are many and move by themselves: only that somebody let one out of the review queue is remembered.
@kept(
    pghistory.UpdateEvent(CHANGED, condition=pgtrigger.Q(old__status="review") & ~pgtrigger.Q(new__status="review")),
    hidden=(
        *("merchant", "reference", "body_hash", "review_detail", "address", "requested_point", "consent_at"),
        *("consent_by", "placed_at", "assigned_at"),
    ),
)
class Order(models.Model):
    """What a merchant asked for. `received` and `located` are waiting rows that sweeps take up.

    A sweep takes rows up together (`Batch`). One that broke it, or the process, or the database, is tried alone: its
    tries are counted, and it is taken until `next_try_at`, before that. Both are cleared when the row goes on.
    """

    class Status(models.TextChoices):
        RECEIVED = "received", _("received")
        LOCATED = "located", _("located")
        ASSIGNED = "assigned", _("assigned")
        REVIEW = "review", _("in review")
        CANCELLED = "cancelled", _("cancelled")

    # `order_reference_once` begins with the merchant: each index less makes each step of an order cheaper.
    merchant = models.ForeignKey(
        Merchant, models.PROTECT, related_name="orders", verbose_name=_("merchant"), db_index=False
    )
    reference = models.CharField(_("merchant's reference"), max_length=100)
    body_hash = models.BinaryField(_("hash of the body"), max_length=32, editable=False)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.RECEIVED)
    review_reason = models.CharField(_("reason for review"), max_length=40, blank=True)
    review_detail = models.JSONField(_("details for review"), default=dict, blank=True)
    address = models.OneToOneField(Address, models.PROTECT, related_name="+", verbose_name=_("address"))
    requested_point = models.ForeignKey(
        ServicePoint,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("service point asked for"),
        db_index=False,
    )
    consent_at = models.DateTimeField(_("consent given"), null=True, blank=True)
    consent_by = models.CharField(_("consent recorded by"), max_length=100, blank=True)
    placed_at = models.DateTimeField(_("placed"))
    assigned_at = models.DateTimeField(_("assigned"), null=True, blank=True)
    tries = models.SmallIntegerField(_("tries"), db_default=0, editable=False)
    next_try_at = models.DateTimeField(_("next try"), null=True, editable=False)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        indexes = [
            models.Index(
                name="order_waiting",
                fields=["status", "id"],
                condition=Q(status__in=["received", "located", "review"]),
            ),
            models.Index(
                name="order_asks_for_point",
                fields=["requested_point"],
                condition=Q(requested_point__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(name="order_reference_once", fields=["merchant", "reference"]),
            models.CheckConstraint(
                name="order_status_known",
                condition=Q(status__in=["received", "located", "assigned", "review", "cancelled"]),
            ),
            models.CheckConstraint(
                name="order_review_has_reason", condition=~Q(status="review") | ~Q(review_reason="")
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class Recipient(models.Model):
    """Who an order is for. The only place with personal data: one sealed box, erased without touching money.

    `sealed` is a Fernet token of JSON with name, phone and address text; the key lives outside the database.
    `phone_hash` is a keyed hash, so that equal phones can be found without reading any.
    """

    order = models.OneToOneField(
        Order, models.PROTECT, primary_key=True, related_name="recipient", verbose_name=_("order")
    )
    sealed = models.BinaryField(_("sealed name, phone, address"), editable=False)
    masked_name = models.CharField(_("masked name"), max_length=20, blank=True)
    phone_last4 = models.CharField(_("last four digits"), max_length=4, blank=True)
    phone_hash = models.BinaryField(_("keyed hash of the phone"), max_length=16, editable=False)
    erased_at = models.DateTimeField(_("erased"), null=True, blank=True)

    class Meta:
        verbose_name = _("recipient")
        verbose_name_plural = _("recipients")
        indexes = [models.Index(name="recipient_phone", fields=["phone_hash"])]

    def __str__(self) -> str:
        return f"{self.masked_name} {self.phone_last4}"


class Assignment(models.Model):
    """Why this shop: the chosen point and what each candidate lost by. Rows are only ever added.

    `candidates` is a list of `[point id, metres, reason]`, nearest first; the reason of the chosen one is "".
    """

    order = models.ForeignKey(Order, models.PROTECT, related_name="assignments", verbose_name=_("order"))
    service_point = models.ForeignKey(ServicePoint, models.PROTECT, related_name="+", verbose_name=_("service point"))
    distance_m = models.FloatField(_("distance, m"))
    overflow = models.BooleanField(
        _("a neighbour helped out"),
        db_default=False,
        help_text=_("no point of the region's own network could take it"),
    )
    candidates = models.JSONField(_("candidates"), default=list)
    region_ids = ArrayField(models.BigIntegerField(), default=list)
    assigned_at = models.DateTimeField(_("assigned"))

    class Meta:
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        constraints = [
            models.CheckConstraint(name="assignment_distance", condition=Q(distance_m__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.order_id} → {self.service_point_id}"
