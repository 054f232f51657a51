"""Handing over without a proof: a reason and a photo now, a decision by an admin later, a fee only after it (R5)."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from network.models import ServicePoint, User
from pickup import recipients, verification
from pickup.models import Dispute, Handover, ManualRelease, Parcel, Verdict
from pickup.scans import Answer, ScanIdReused, Scanner, ScanRequest, device_of

Decision = ManualRelease.Decision
PER_WEEK = 2  # releases of one shop in seven days, that stand (PROMISES, tier X)


class NotDecided(Exception):
    """The decision was not taken: `code` is decided_already, own_release, undone or contested."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def release(scanner: Scanner, request: ScanRequest, *, reason: str, note: str, photo: bytes) -> Answer:
    """Hand a parcel over without a proof and leave it for an admin to decide; the same scan again changes nothing.

    `photo` comes from `network.photos.kept`. The third one of a shop in seven days is answered `clerk_not_allowed`.
    Raises UnknownScanner and ScanIdReused.
    """
    with transaction.atomic(durable=True):
        device = device_of(scanner)
        # The shop's row makes releases of one shop wait for each other, so that two at once do not both be the second.
        ServicePoint.objects.select_for_update(no_key=True).get(pk=device.service_point_id)
        refusal = scanner.refusal
        if not refusal and _this_week(device.service_point_id) >= PER_WEEK:
            refusal = Verdict.CLERK_NOT_ALLOWED
        allowed = Scanner(scanner.key_hash, scanner.device_id, scanner.clerk_id, refusal)
        answer = verification.release(allowed, request)
        if isinstance(answer, ScanIdReused):
            raise answer
        if not answer.repeated and answer.verdict in (Verdict.OK, Verdict.EXPIRED_BUT_HERE):
            handover = Handover.objects.get(scan__device=device, scan__scan_id=request.scan_id)
            ManualRelease.objects.create(
                handover=handover,
                service_point_id=device.service_point_id,
                clerk_id=scanner.clerk_id,
                reason=reason,
                note=note,
                photo=recipients.seal_photo(photo),
            )
    return answer


def decide(release: ManualRelease, *, decision: Decision, by: User, now: datetime) -> None:
    """Approve a release, which posts its fees by the tariff and the appointments of its time, or reject it.

    Once, and never by whom it is about. Raises NotDecided.
    """
    with transaction.atomic(durable=True):
        # The parcel first, as an undo does, so that the two wait for each other.
        Parcel.objects.select_for_update().get(handovers=release.handover_id)
        row = ManualRelease.objects.select_for_update(of=("self",)).select_related("handover__scan").get(pk=release.pk)
        if row.decision:
            raise NotDecided("decided_already")
        if row.clerk_id == by.pk:
            raise NotDecided("own_release")
        if decision == Decision.APPROVED and row.handover.undone_by_id is not None:
            raise NotDecided("undone")
        contested = Dispute.objects.filter(handover=row.handover).exclude(outcome=Dispute.Outcome.DISMISSED).exists()
        if decision == Decision.APPROVED and contested:
            raise NotDecided("contested")
        row.decision, row.decided_by, row.decided_at = decision, by, now
        row.save(update_fields=["decision", "decided_by", "decided_at"])
        if decision == Decision.APPROVED:
            _charge(row.handover)


def waiting() -> int:
    """How many releases wait for a decision; those that were undone need none."""
    return ManualRelease.objects.filter(decision="", handover__undone_by__isnull=True).count()


def _this_week(point_id: int) -> int:
    """Releases of the last seven days by the database's clock; one that was undone does not count."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM pickup_manualrelease m JOIN pickup_handover h ON h.id = m.handover_id"
            " WHERE m.service_point_id = %s AND m.made_at > clock_timestamp() - interval '7 days'"
            " AND h.undone_by_id IS NULL",
            [point_id],
        )
        return int(cursor.fetchone()[0])


def _charge(handover: Handover) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT charge_pickups(ARRAY[h.id], s.recorded_at)"
            " FROM pickup_handover h JOIN pickup_scan s ON s.id = h.scan_id WHERE h.id = %s",
            [handover.pk],
        )
