"""Asking recipients: did you collect it? A small share of all pickups, a larger one at shops new or in question.

Whom it meets follows from a keyed hash of the hand-over: the same for every process and every try, and not to be
foreseen by a shop. A no is a dispute and holds the fees at once.
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from pickup import disputes, notices
from pickup.models import Handover, Notice, PageOpening, Parcel, PickupQuestion

AFTER = timedelta(hours=1)  # a clerk may undo a hand-over within ten minutes, and people want to get home
WITHIN = timedelta(hours=4)  # pickups that could not be asked about for so long are not asked about any more
NEW_SHOP = timedelta(days=30)
IN_QUESTION = timedelta(days=60)

Answer = PickupQuestion.Answer


class Refusal(StrEnum):
    NOT_ASKED = "not_asked"
    ANSWERED = "answered"


class Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


@cache
def _key() -> bytes:
    return hmac.digest(base64.b64decode(settings.SECRETS["code_key"]), b"question", "sha256")


def lot(handover_id: int, parcel: UUID) -> float:
    """The number from 0 to 1 that a hand-over drew: it is asked about where that is less than the shop's share."""
    drawn = hmac.digest(_key(), b"%d|%s" % (handover_id, parcel.bytes), "sha256")
    return int.from_bytes(drawn[:8]) / 2**64


# New: the first parcel came to the shop less than a month ago. In question: a pickup of it is or was held lately.
RECENT = """
    SELECT h.id, h.parcel_id, p.uuid,
           NOT EXISTS (SELECT FROM pickup_scan o WHERE o.service_point_id = h.service_point_id
                       AND o.recorded_at < %(now)s - %(new)s)
           OR EXISTS (SELECT FROM pickup_hold f WHERE f.service_point_id = h.service_point_id
                      AND f.placed_at > %(now)s - %(lately)s AND f.decision <> 'cleared')
    FROM pickup_scan s JOIN pickup_handover h ON h.scan_id = s.id AND h.undone_by_id IS NULL
    JOIN pickup_parcel p ON p.id = h.parcel_id
    WHERE s.kind = 'pickup' AND s.recorded_at > %(now)s - %(within)s AND s.recorded_at <= %(now)s - %(after)s
      AND NOT EXISTS (SELECT FROM pickup_pickupquestion q WHERE q.handover_id = h.id)
      AND NOT EXISTS (SELECT FROM pickup_dispute d WHERE d.handover_id = h.id)
"""


def ask(*, now: datetime) -> int:
    """Leave a question and a message for those whom the lot meets. Twice or at once, each is asked once."""
    with connection.cursor() as cursor:
        times: dict[str, Any] = {"now": now, "new": NEW_SHOP, "lately": IN_QUESTION, "within": WITHIN, "after": AFTER}
        cursor.execute(RECENT, times)
        recent = cursor.fetchall()
    met = [
        (handover_id, parcel_id)
        for handover_id, parcel_id, uuid, doubtful in recent
        if lot(handover_id, uuid) < (settings.ASK_SHARE_DOUBTFUL if doubtful else settings.ASK_SHARE)
    ]
    asked = 0
    for handover_id, parcel_id in met:
        with transaction.atomic(durable=True):
            parcel = Parcel.objects.select_for_update().get(pk=parcel_id)
            if not Handover.objects.filter(pk=handover_id, undone_by__isnull=True).exists():
                continue
            _row, made = PickupQuestion.objects.get_or_create(handover_id=handover_id)
            if made:
                notices.queue_again([parcel], kind=Notice.Kind.ASKED)
                asked += 1
    return asked


def question_of(parcel: Parcel) -> PickupQuestion | None:
    """The question about a parcel's hand-over that stands."""
    return PickupQuestion.objects.filter(handover__parcel=parcel, handover__undone_by__isnull=True).first()


def answer(parcel: Parcel, *, collected: bool, now: datetime) -> PickupQuestion:
    """Keep a recipient's yes or no, once; a no becomes a dispute in the same moment. Raises Refused."""
    with transaction.atomic(durable=True):
        locked = Parcel.objects.select_for_update().get(pk=parcel.pk)
        question = PickupQuestion.objects.select_for_update().filter(
            handover__parcel=locked, handover__undone_by__isnull=True
        ).first()  # fmt: skip
        if question is None:
            raise Refused(Refusal.NOT_ASKED)
        if question.answer:
            raise Refused(Refusal.ANSWERED)
        question.answer, question.answered_at = Answer.YES if collected else Answer.NO, now
        question.save(update_fields=["answer", "answered_at"])
        if not collected:
            disputes.contest(locked)
    return question


def note_opening(parcel: Parcel, *, by_shop: bool) -> None:
    """Remember that a parcel's page was opened: the first time by anybody, and by somebody of its shop."""
    PageOpening.objects.bulk_create([PageOpening(parcel=parcel, by_shop=by_shop)], ignore_conflicts=True)
