"""Messages to recipients. The row is the queue; code, link and phone are put in only while a message is sent.

What the network writes by itself is round 0. What is asked for again has limits per parcel, number and day, counted in
rows under a lock; and whatever the reason, no more than SMS_PER_DAY leave on one day.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Max, Q
from django.utils import translation
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from psycopg.errors import LockNotAvailable

from network.messages import Gateway, Message, NotSent, gateway, is_allowed
from network.points import midnight
from pickup import codes, parcels, recipients
from pickup.models import MessageDay, Notice, Parcel, PickupCode

log = logging.getLogger(__name__)

TRIES = 12
NAME_LETTERS = 20  # of a shop's name in a message, which is paid by its length
SENT_WHILE = {
    Notice.Kind.EXPECTED: Parcel.Status.EXPECTED,
    Notice.Kind.READY: Parcel.Status.READY,
    Notice.Kind.REMINDER: Parcel.Status.READY,
    Notice.Kind.CLOSING: Parcel.Status.READY,
    Notice.Kind.EXPIRED: Parcel.Status.EXPIRED,
    Notice.Kind.ASKED: Parcel.Status.COLLECTED,
}
SAYS = {
    Parcel.Status.EXPECTED: Notice.Kind.EXPECTED,
    Parcel.Status.READY: Notice.Kind.READY,
    Parcel.Status.EXPIRED: Notice.Kind.EXPIRED,
}


class Refusal(StrEnum):
    """Why a message is not sent again."""

    NOTHING_TO_SAY = "nothing_to_say"
    NO_NUMBER = "no_number"
    COUNTRY = "country"
    PARCEL_LIMIT = "parcel_limit"
    NUMBER_LIMIT = "number_limit"
    NETWORK_LIMIT = "network_limit"
    BUSY = "busy"


WORDS = {
    Refusal.NOTHING_TO_SAY: gettext_lazy("There is nothing to send: the parcel is not waiting any more."),
    Refusal.NO_NUMBER: gettext_lazy("The recipient's number is not known any more."),
    Refusal.COUNTRY: gettext_lazy("The network sends no messages to numbers of this country."),
    Refusal.PARCEL_LIMIT: gettext_lazy("Enough messages were sent for this parcel today. Try again tomorrow."),
    Refusal.NUMBER_LIMIT: gettext_lazy("Enough messages were sent to this number today. Try again tomorrow."),
    Refusal.NETWORK_LIMIT: gettext_lazy("The network has sent all its messages of today. Try again tomorrow."),
    Refusal.BUSY: gettext_lazy("Too many ask for this number at the same moment. Try again in a minute."),
}


class NotResent(Exception):
    """A message that is not sent again; `words` tell a person why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal

    @property
    def words(self) -> str:
        return str(WORDS[self.refusal])


def queue(waiting: Iterable[Parcel], *, kind: str, turn: int = 0) -> None:
    """Leave a row for each parcel; one per parcel, kind and round, however often it is asked for."""
    rows = [Notice(parcel=parcel, kind=kind, round=turn) for parcel in waiting]
    Notice.objects.bulk_create(rows, ignore_conflicts=True)


def told_already(waiting: Sequence[Parcel]) -> list[int]:
    """The ids of those parcels whose recipients have, or will have, a message before arrival."""
    told = Notice.objects.filter(parcel__in=waiting, kind=Notice.Kind.EXPECTED)
    return list(told.values_list("parcel_id", flat=True).distinct())


def queue_again(waiting: Sequence[Parcel], *, kind: str) -> None:
    """Leave one more row for each parcel, unless one still waits: that one will tell what is so when it is sent."""
    rows = Notice.objects.filter(parcel__in=waiting, kind=kind)
    unsent = set(rows.filter(sent_at__isnull=True, gave_up=False).values_list("parcel_id", flat=True))
    last = dict(rows.values_list("parcel_id").annotate(last=Max("round")))
    Notice.objects.bulk_create(
        (
            Notice(parcel=parcel, kind=kind, round=last.get(parcel.pk, -1) + 1)
            for parcel in waiting
            if parcel.pk not in unsent
        ),
        ignore_conflicts=True,
    )


def resend(parcel: Parcel, *, now: datetime) -> Notice:
    """Queue the message about where a parcel is once more, for its recipient's own number. Raises NotResent.

    Limits are counted over all messages of the day, those that went by themselves and those still waiting included.
    Whoever calls this nudges the sweep after the commit.
    """
    with transaction.atomic(durable=True):
        fresh = Parcel.objects.select_related("order__recipient").get(pk=parcel.pk)
        kind = SAYS.get(Parcel.Status(fresh.status))
        if kind is None or fresh.service_point_id is None:
            raise NotResent(Refusal.NOTHING_TO_SAY)
        try:
            phone = recipients.open_sealed(fresh.order.recipient).phone
        except recipients.Sealed:
            raise NotResent(Refusal.NO_NUMBER) from None
        if not is_allowed(phone):
            raise NotResent(Refusal.COUNTRY)
        number = bytes(fresh.order.recipient.phone_hash)
        _lock_number(number)
        _check_limits(fresh, number, now=now)
        if not PickupCode.objects.filter(parcel=fresh).exists():
            parcels.issue_code(fresh)  # not arrived yet: the link is made for this message
        last = Notice.objects.filter(parcel=fresh, kind=kind).aggregate(last=Max("round"))["last"] or 0
        return Notice.objects.create(parcel=fresh, kind=kind, round=last + 1)


def _lock_number(number: bytes) -> None:
    """Whoever asks for this number waits here, for whichever of its parcels, until the one before has committed."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('notices'), hashtext(%s))", [number.hex()])
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise NotResent(Refusal.BUSY) from None


def _check_limits(parcel: Parcel, number: bytes, *, now: datetime) -> None:
    today_began = midnight(now)
    today = Notice.objects.filter(Q(sent_at__gte=today_began) | Q(sent_at__isnull=True, gave_up=False))
    if today.filter(parcel=parcel).count() >= settings.SMS_PER_PARCEL_AND_DAY:
        raise NotResent(Refusal.PARCEL_LIMIT)
    if today.filter(parcel__order__recipient__phone_hash=number).count() >= settings.SMS_PER_NUMBER_AND_DAY:
        raise NotResent(Refusal.NUMBER_LIMIT)
    if MessageDay.objects.filter(day=today_began.date(), sent__gte=settings.SMS_PER_DAY).exists():
        raise NotResent(Refusal.NETWORK_LIMIT)


def sent_times(parcel: Parcel) -> list[Notice]:
    """The messages about a parcel that were sent, oldest first."""
    return list(Notice.objects.filter(parcel=parcel, sent_at__isnull=False).order_by("sent_at", "id"))


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
    """Take one notice, and one of the day's messages with it: both are committed before anything is sent."""
    with transaction.atomic(durable=True):
        notice = (
            Notice.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(sent_at__isnull=True, gave_up=False, next_try_at__lte=now)
            # Between two service points there is nothing to say yet.
            .filter(parcel__service_point__isnull=False)
            .select_related("parcel__code", "parcel__service_point", "parcel__order__recipient")
            .select_related("parcel__order__merchant")
            .order_by("next_try_at", "id")
            .first()
        )
        if notice is None or not _take_one_of(localtime(now).date(), now=now):
            return None
        notice.tries += 1
        notice.next_try_at = now + timedelta(seconds=min(3600, 15 * 2**notice.tries))
        notice.save(update_fields=["tries", "next_try_at"])
    return notice


def _take_one_of(day: date, *, now: datetime) -> bool:
    """Count one message of a day before it is sent; False when the day has none left, which is told once."""
    left = MessageDay.objects.filter(day=day, sent__lt=settings.SMS_PER_DAY)
    if left.update(sent=F("sent") + 1):
        return True
    MessageDay.objects.bulk_create([MessageDay(day=day)], ignore_conflicts=True)
    if left.update(sent=F("sent") + 1):
        return True
    if MessageDay.objects.filter(day=day, alarmed_at__isnull=True).update(alarmed_at=now):
        log.error("all %s messages of %s are sent: the others wait for tomorrow", settings.SMS_PER_DAY, day)
    return False


def _give_back(day: date) -> None:
    MessageDay.objects.filter(day=day, sent__gt=0).update(sent=F("sent") - 1)


def _send(notice: Notice, way: Gateway, *, now: datetime) -> None:
    """Send one message and note what came of it; nothing that is wrong with one keeps the others waiting."""
    if notice.parcel.status != SENT_WHILE[Notice.Kind(notice.kind)]:
        notice.gave_up, notice.error = True, f"the parcel is {notice.parcel.status} by now"
        log.info("notice %s is not needed any more", notice.pk)
    else:
        try:
            message = compose(notice)
            if is_allowed(message.phone):
                way.send(message)
                notice.error, notice.sent_at = "", now
            else:
                notice.error, notice.gave_up = "a number of a country that nothing is sent to", True
        except NotSent as error:
            notice.error, notice.gave_up = str(error)[:200], notice.tries >= TRIES
        except recipients.Sealed:
            notice.error, notice.gave_up = "the recipient's data cannot be opened", True
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one message must not stop the others
            # Its own words may quote a number or a code.
            notice.error, notice.gave_up = f"cannot be written or sent: {type(error).__name__}", notice.tries >= TRIES
        if notice.gave_up:
            log.error("notice %s given up: %s", notice.pk, notice.error)
    notice.save(update_fields=["error", "gave_up", "sent_at"])
    if notice.sent_at is None:
        _give_back(localtime(now).date())


def compose(notice: Notice) -> Message:
    """Write the message in its merchant's language: no name, no address, nothing but what brings the parcel."""
    parcel, point = notice.parcel, notice.parcel.service_point
    assert point is not None, "a parcel with a notice is at a point, or on its way to one"
    issue = parcel.code.issue
    link = codes.link_of(parcel.uuid, issue)
    here = parcel.status in parcels.HERE
    assert not here or parcel.hold_until is not None, "a constraint gives every parcel on a shelf its deadline"
    values = {
        "point": point.name[:NAME_LETTERS],
        "tail": parcel.barcode[-4:],
        "code": codes.code_of(parcel.uuid, issue) if here else "",
        "until": f"{localtime(parcel.hold_until):%m-%d %H:%M}" if here else "",
        "link": link,
        "url": f"{settings.BASE_URL}/t/{link}",
    }
    with translation.override(parcel.order.merchant.language):
        words = {
            Notice.Kind.EXPECTED: _("Parcel ..{tail} is coming to {point}. Another place? {url}"),
            Notice.Kind.READY: _("Parcel ..{tail} is at {point}. Code {code}, until {until}. {url}"),
            Notice.Kind.REMINDER: _("Parcel ..{tail} is kept at {point} only until {until}. Code {code}. {url}"),
            Notice.Kind.CLOSING: _("{point} closes. Parcel ..{tail} is kept until {until}. Code {code}. {url}"),
            Notice.Kind.EXPIRED: _("The storage time of parcel ..{tail} at {point} is over, come soon. {url}"),
            Notice.Kind.ASKED: _("Parcel ..{tail} was handed over at {point}. Do you have it? Yes or no: {url}"),
        }[Notice.Kind(notice.kind)]
    return Message(
        kind=notice.kind,
        reference=parcel.order.reference,
        barcode=parcel.barcode,
        phone=recipients.open_sealed(parcel.order.recipient).phone,
        text=words.format_map(values),
        url=values["url"],
        token=_token(parcel, point.pk) if here else "",
        code=values["code"],
        language=parcel.order.merchant.language,
        values=values,
        key=f"notice-{notice.pk}",
    )


def _token(parcel: Parcel, point_id: int) -> str:
    assert parcel.hold_until is not None
    return codes.token_of(parcel=parcel.uuid, issue=parcel.code.issue, point_id=point_id, expires_at=parcel.hold_until)
