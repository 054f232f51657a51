"""Applications for service points: sent in by the owner, corrected while they wait, decided by somebody else.

Limits are counted in rows, one person's changes wait for each other, and what comes of an application is told by a
short message. An approval makes the service point and its owner in the same transaction (R9: nothing is paid for it).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.gis.geos import Point
from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils import translation
from django.utils.translation import gettext as _

from network import geocoding, points, regions
from network.messages import Message, NotSent, gateway, is_allowed
from network.models import Level, Membership, Pause, PointApplication, Region, ServicePoint, User

log = logging.getLogger(__name__)

Status = PointApplication.Status
MOST_WAITING = 3  # of one person
PER_DAY = 5
CHANGES = 20
DAY = timedelta(days=1)
LATEST_OPENING = timedelta(days=180)


class Refused(Exception):
    """What is not done; `code` is too_many_waiting, too_many_today, too_many_changes, same_place, outside_regions,
    gone, own_application, changed, ref_taken, opening_too_late or no_reason.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Draft:
    """An application as its form was filled in. Degrees are WGS 84; `photo` is None where the one before stays."""

    name: str
    address: str
    phone: str  # E.164
    lat: float
    lon: float
    opening_hours: str
    capacity: int
    photo: bytes | None


@dataclass(frozen=True)
class Lies:
    """Where the place of an application lies, and what its address text says about that.

    `chain` is deepest first. `doubt` is empty where text and place agree, else a reason as orders in review have it;
    `named` are the regions that the text names instead, from the largest.
    """

    chain: Sequence[Region]
    doubt: str
    named: Sequence[str]


def lies(application: PointApplication, *, at: datetime) -> Lies:
    """Find the regions by the coordinates, and compare them with the address text as for an order (R2)."""
    lat, lon = application.location.y, application.location.x
    [region_id] = regions.covering([(lat, lon)], at=at)
    ids = [] if region_id is None else regions.chain_ids({region_id})[region_id]
    [place] = geocoding.locate([geocoding.Query(text=application.address, lat=lat, lon=lon)], at=at)
    named = place.detail.get("named")
    above = [] if named is None else regions.chain_ids({named}).get(named, [])
    found = Region.objects.in_bulk([*ids, *above])
    return Lies([found[one] for one in ids], place.review, [found[one].name for one in reversed(above)])


def own(user: User) -> list[PointApplication]:
    """A person's applications without their photos, the newest first."""
    rows = PointApplication.objects.filter(applicant=user).select_related("service_point").defer("photo")
    return list(rows.order_by("-made_at", "-id")[:20])


def waiting() -> list[PointApplication]:
    """What nobody has decided yet, the oldest first."""
    rows = PointApplication.objects.filter(status=Status.WAITING).select_related("applicant").defer("photo")
    return list(rows.order_by("made_at", "id")[:200])


def apply(*, draft: Draft, applicant: User, now: datetime) -> PointApplication:
    """Send an application in. Raises Refused."""
    assert draft.photo is not None, "the form asks for a photo of a new shop"
    try:
        with transaction.atomic(durable=True):
            _lock(applicant)
            _hold_back(applicant, now)
            _refuse_outside(draft, now)
            return PointApplication.objects.create(
                applicant=applicant, made_at=now, photo=draft.photo, location=_place(draft), **_words(draft)
            )
    except IntegrityError as error:
        raise _same_place(error) from error


def correct(*, application_id: int, draft: Draft, applicant: User, now: datetime) -> PointApplication:
    """Change an application that waits. Raises Refused."""
    try:
        with transaction.atomic(durable=True):
            application = _waiting_of(application_id, applicant)
            if application.changes >= CHANGES:
                raise Refused("too_many_changes")
            _refuse_outside(draft, now)
            changed = _words(draft) | {"location": _place(draft), "changed_at": now, "changes": application.changes + 1}
            if draft.photo is not None:
                changed["photo"] = draft.photo
            for name, value in changed.items():
                setattr(application, name, value)
            application.save(update_fields=list(changed))
            return application
    except IntegrityError as error:
        raise _same_place(error) from error


def withdraw(*, application_id: int, applicant: User) -> None:
    """Take an application back; one that was taken back stays so. Raises Refused for one that was decided."""
    with transaction.atomic(durable=True):
        own_row = PointApplication.objects.select_for_update().filter(pk=application_id, applicant=applicant).first()
        if own_row is not None and own_row.status == Status.WITHDRAWN:
            return
        if own_row is None or own_row.status != Status.WAITING:
            raise Refused("gone")
        own_row.status = Status.WITHDRAWN
        own_row.save(update_fields=["status"])


def approve(
    *,
    application_id: int,
    ref: str,
    reach_m: int,
    largest_size: int,
    opens_at: datetime | None,
    seen: datetime,
    by: User,
    now: datetime,
) -> ServicePoint:
    """Make the service point and its owner. Until `opens_at` it is paused, and then it opens by itself.

    `seen` is when the application was last changed for whoever decides: one that was corrected since is not approved
    unseen. Raises Refused.
    """
    if opens_at is not None and opens_at > now + LATEST_OPENING:
        raise Refused("opening_too_late")
    try:
        with transaction.atomic(durable=True):
            application = _to_decide(application_id, by=by, seen=seen)
            place = application.location
            [region_id] = regions.covering([(place.y, place.x)], at=now)
            if region_id is None:
                raise Refused("outside_regions")
            chain = list(regions.chain_ids({region_id})[region_id])
            point = ServicePoint.objects.create(
                ref=ref,
                name=application.name,
                status=ServicePoint.Status.ACTIVE,
                location=place,
                region_id=chain[0],
                region_ids=chain,
                city=Region.objects.filter(pk__in=chain, level=Level.CITY).values_list("name", flat=True).first() or "",
                address=application.address,
                phone=application.phone,
                capacity=application.capacity,
                reach_m=reach_m,
                largest_size=largest_size,
                opening_hours=application.opening_hours,
            )
            Membership.objects.create(user=application.applicant, service_point=point, role=Membership.Role.OWNER)
            if opens_at is not None and opens_at > now:
                Pause.objects.create(
                    service_point=point, reason=Pause.Reason.OPENING, period=DateTimeTZRange(now, opens_at)
                )
            _decide(application, Status.APPROVED, by=by, now=now, point=point)
            points.note(point, "made from an application", by)
            return point
    except IntegrityError as error:
        if "ref" in str(error):
            raise Refused("ref_taken") from error
        raise


def refuse(*, application_id: int, reason: str, by: User, now: datetime) -> PointApplication:
    """Refuse with a reason that the applicant reads. Raises Refused."""
    if not reason.strip():
        raise Refused("no_reason")
    with transaction.atomic(durable=True):
        application = _to_decide(application_id, by=by, seen=None)
        _decide(application, Status.REFUSED, by=by, now=now, reason=reason.strip())
        return application


def tell(application: PointApplication) -> bool:
    """Send the applicant what was decided, once, in the network's language; False if no message can be sent.

    A lost message loses no decision: the applicant's page shows it as well.
    """
    way, phone = gateway(), application.applicant.phone
    if way is None or not is_allowed(phone):
        return False
    with translation.override(settings.LANGUAGE_CODE):
        values = {"name": application.name[:20], "url": f"{settings.BASE_URL}/apply/"}
        words = {
            Status.APPROVED: _("Your application for %(name)s is approved. Sign in with this phone: %(url)s"),
            Status.REFUSED: _("Your application for %(name)s is not approved. The reason is here: %(url)s"),
        }
        text = words[Status(application.status)] % values
    kind = f"application_{application.status}"
    message = Message(
        kind=kind,
        phone=phone,
        text=text,
        url=values["url"],
        language=settings.LANGUAGE_CODE,
        values=values,
        key=f"point-application-{application.pk}",
    )
    try:
        way.send(message)
    except NotSent as error:
        log.warning("the decision on application %d was not sent: %s", application.pk, error)
        return False
    return True


def _words(draft: Draft) -> dict[str, object]:
    return {
        "name": draft.name,
        "address": draft.address,
        "phone": draft.phone,
        "opening_hours": draft.opening_hours,
        "capacity": draft.capacity,
    }


def _place(draft: Draft) -> Point:
    return Point(draft.lon, draft.lat, srid=4326)


def _refuse_outside(draft: Draft, now: datetime) -> None:
    if not (math.isfinite(draft.lat) and math.isfinite(draft.lon)):
        raise Refused("outside_regions")
    if regions.covering([(draft.lat, draft.lon)], at=now) == [None]:
        raise Refused("outside_regions")


def _hold_back(applicant: User, now: datetime) -> None:
    made = PointApplication.objects.filter(applicant=applicant)
    if made.filter(status=Status.WAITING).count() >= MOST_WAITING:
        raise Refused("too_many_waiting")
    if made.filter(made_at__gt=now - DAY).count() >= PER_DAY:
        raise Refused("too_many_today")


def _same_place(error: IntegrityError) -> Exception:
    return Refused("same_place") if "point_application_once_per_place" in str(error) else error


def _lock(applicant: User) -> None:
    """Two of one person's at once wait for each other, so that both do not count as the last one allowed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('point application'), hashtext(%s))", [str(applicant.pk)])


def _waiting_of(application_id: int, applicant: User) -> PointApplication:
    found = PointApplication.objects.select_for_update().filter(pk=application_id, applicant=applicant).first()
    if found is None or found.status != Status.WAITING:
        raise Refused("gone")
    return found


def _to_decide(application_id: int, *, by: User, seen: datetime | None) -> PointApplication:
    rows = PointApplication.objects.select_for_update(of=("self",)).select_related("applicant").defer("photo")
    found = rows.filter(pk=application_id).first()
    if found is None or found.status != Status.WAITING:
        raise Refused("gone")
    if found.applicant_id == by.pk:
        raise Refused("own_application")
    if seen is not None and (found.changed_at or found.made_at) != seen:
        raise Refused("changed")
    return found


def _decide(
    application: PointApplication,
    status: str,
    *,
    by: User,
    now: datetime,
    reason: str = "",
    point: ServicePoint | None = None,
) -> None:
    application.status, application.reason, application.service_point = status, reason, point
    application.decided_by, application.decided_at = by, now
    application.save(update_fields=["status", "reason", "service_point", "decided_by", "decided_at"])
