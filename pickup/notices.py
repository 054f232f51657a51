"""Messages to recipients. The row is the queue; code, link and phone are put in only while a message is sent."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from network.messages import Gateway, Message, NotSent, gateway
from pickup import codes, parcels, recipients
from pickup.models import Notice, Parcel

log = logging.getLogger(__name__)

TRIES = 12


def queue(waiting: Iterable[Parcel], *, kind: str) -> None:
    """Leave a row for each parcel; one per parcel and kind, however often it is asked for."""
    Notice.objects.bulk_create([Notice(parcel=parcel, kind=kind) for parcel in waiting], ignore_conflicts=True)


def send_waiting(*, now: datetime, limit: int) -> int:
    """Send up to `limit` unsent notices; several senders at once take different rows. Returns how many were taken.

    A row is claimed and that is committed before the gateway is called, so no transaction waits for it. A crash in
    between sends the message once more when the claim has run out: the same code, the same link.
    """
    way = gateway()
    if way is None:
        return 0
    taken = 0
    while taken < limit and (notice := _claim(now=now)) is not None:
        _send(notice, way, now=now)
        taken += 1
    return taken


def _claim(*, now: datetime) -> Notice | None:
    with transaction.atomic(durable=True):
        notice = (
            Notice.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(sent_at__isnull=True, gave_up=False, next_try_at__lte=now)
            .select_related("parcel__code", "parcel__service_point", "parcel__order__recipient")
            .order_by("next_try_at", "id")
            .first()
        )
        if notice is not None:
            notice.tries += 1
            notice.next_try_at = now + timedelta(seconds=min(3600, 15 * 2**notice.tries))
            notice.save(update_fields=["tries", "next_try_at"])
    return notice


def _send(notice: Notice, way: Gateway, *, now: datetime) -> None:
    """Send one message and note what came of it; nothing that is wrong with one keeps the others waiting."""
    if notice.parcel.status not in parcels.HERE:
        notice.gave_up, notice.error = True, "the parcel is not waiting any more"
    else:
        try:
            way.send(compose(notice))
        except NotSent as error:
            notice.error, notice.gave_up = str(error)[:200], notice.tries >= TRIES
        except recipients.Sealed:
            notice.error, notice.gave_up = "the recipient's data cannot be opened", True
        else:
            notice.error, notice.sent_at = "", now
    if notice.gave_up:
        log.error("notice %s given up: %s", notice.pk, notice.error)
    notice.save(update_fields=["error", "gave_up", "sent_at"])


def compose(notice: Notice) -> Message:
    """Write the message of a parcel that waits at its point."""
    parcel, point = notice.parcel, notice.parcel.service_point
    assert point is not None, "a parcel with a notice is at a point"
    assert parcel.hold_until is not None, "and has a deadline"
    issue = parcel.code.issue
    until = localtime(parcel.hold_until)
    words = {
        Notice.Kind.READY: _("Your parcel {barcode} is at {point}. Code {code}, until {until}. {url}"),
        Notice.Kind.REMINDER: _("Your parcel {barcode} waits at {point} only until {until}. Code {code}. {url}"),
        Notice.Kind.EXPIRED: _("The storage time of your parcel {barcode} at {point} is over. {url}"),
    }[Notice.Kind(notice.kind)]
    code = codes.code_of(parcel.uuid, issue)
    url = f"{settings.BASE_URL}/t/{codes.link_of(parcel.uuid, issue)}"
    return Message(
        kind=notice.kind,
        reference=parcel.order.reference,
        barcode=parcel.barcode,
        phone=recipients.open_sealed(parcel.order.recipient).phone,
        text=words.format(
            barcode=parcel.barcode, point=point.name, code=code, until=f"{until:%Y-%m-%d %H:%M}", url=url
        ),
        url=url,
        token=codes.token_of(parcel=parcel.uuid, issue=issue, point_id=point.pk, expires_at=parcel.hold_until),
        code=code,
    )
