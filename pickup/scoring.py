"""Looking for invented pickups once a day: signs, their frequency at each shop, and holds where no chance explains it.

All is worked out anew from the rows of the last weeks, in one statement that holds no lock: a day that is scored twice,
late, or by two at once gets the same holds. What the signs are and weigh stands in `pickup.signs`.

A pickup's moment is the database's. Only where a device told of it later, because it had no network, its own word
counts, because that is when the people stood there; and that it was told later is a sign itself. A clock that is wrong
by the same time always is a wrong clock and no delay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils.timezone import localdate

from network import opening
from network.models import Membership, ServicePoint
from pickup import recipients, signs
from pickup.models import Scan, ScoredDay
from pickup.signs import SIGNS, Finding

CATCH_UP = 90  # days without a score that are made up for


@dataclass(frozen=True)
class Placed:
    """A hold that a run placed."""

    day: date
    handover_id: int
    barcode: str
    point_ref: str
    points: int
    findings: Sequence[Finding]


def unscored(*, now: datetime) -> list[date]:
    """The days that are over and were not scored, oldest first, and today, of which there is more to come."""
    today = localdate(now)
    with connection.cursor() as cursor:
        # What a device reported late happened before; how long before, a lying clock may not tell without end.
        cursor.execute(
            """SELECT MIN(LEAST(recorded_at, GREATEST(event_at, %(since)s))) FROM pickup_scan
               WHERE recorded_at >= %(since)s""",
            {"since": now - timedelta(days=CATCH_UP)},
        )
        [oldest] = cursor.fetchone()
    if oldest is None:
        return [today]
    first = max(localdate(oldest), today - timedelta(days=CATCH_UP))
    scored = set(ScoredDay.objects.filter(day__gte=first).values_list("day", flat=True))
    days = [first + timedelta(days=number) for number in range((today - first).days + 1)]
    return [day for day in days if day == today or day not in scored]


def score(day: date, *, now: datetime) -> list[Placed]:
    """Score a day and place the holds that follow from it; again, it places only what is new.

    A pickup whose fees stand in a statement already is not held any more: that money is on its way.
    """
    zone = ZoneInfo(settings.TIME_ZONE)
    end = min(datetime.combine(day + timedelta(days=1), time(), zone), now)
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '128MB'")
        cursor.execute(SCORE, _parameters(day, end))
        [[pickups, found]] = cursor.fetchall()
        # Whoever closes a period waits, and so does a second run; what they did meanwhile is seen after it.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('settlement'))")
        cursor.execute(PLACE, {"day": day, "found": found or "[]"})
        placed = [
            Placed(day, handover, barcode, ref, points, signs.findings(signs.read(evidence)))
            for handover, barcode, ref, points, evidence in cursor.fetchall()
        ]
        if day < localdate(now):
            _note(day, now=now, pickups=pickups, held=len(placed))
    return placed


def _note(day: date, *, now: datetime, pickups: int, held: int) -> None:
    row, made = ScoredDay.objects.get_or_create(day=day, defaults={"scored_at": now, "pickups": pickups, "held": held})
    if not made:
        row.scored_at, row.pickups, row.held = now, pickups, row.held + held
        row.save(update_fields=["scored_at", "pickups", "held"])


def _parameters(day: date, end: datetime) -> dict[str, Any]:
    """What the statement needs beside the tables: the rules, the hours and the phones of shops."""
    first = end - timedelta(days=max(signs.WINDOWS))
    texts, opens, closes = _open_spans(localdate(first), localdate(end))
    points, phones = _shop_phones(first)
    rules = list(SIGNS.values())
    return {
        "day": day,
        "end": end,
        "first": first,
        "zone": settings.TIME_ZONE,
        "windows": list(signs.WINDOWS),
        "hours_texts": texts,
        "hours_from": opens,
        "hours_to": closes,
        "phone_points": points,
        "phones": phones,
        "names": [rule.name for rule in rules],
        "weights": [rule.weight for rule in rules],
        "usual": [rule.usual for rule in rules],
        "least": [rule.least for rule in rules],
        "shares": [rule.share for rule in rules],
        "chances": [rule.chance for rule in rules],
        "wholes": [rule.whole_shop for rule in rules],
        "spreads": [rule.spread for rule in rules],
        "on_days": [rule.on_days for rule in rules],
        "families": [rule.family or rule.name for rule in rules],
        "relatives": [rule.relative for rule in rules],
        "limit": signs.LIMIT,
        "fast": timedelta(minutes=signs.FAST_MIN),
        "series": timedelta(seconds=signs.SERIES_S),
        "series_people": signs.SERIES_PEOPLE,
        "soon": timedelta(minutes=signs.SOON_MIN),
        "crowd": signs.CROWD,
        "crowd_half": timedelta(minutes=signs.CROWD_MIN) / 2,
        "many_names": signs.NAMES,
        "shared_names": signs.SHARED_NAMES,
        "many_shops": signs.SHOPS_OF_ONE,
        "door_phones": signs.DOOR_PHONES,
        "at_shop_m": signs.AT_SHOP_M,
        "many_parcels": signs.PARCELS_OF_ONE,
        "far_m": signs.FAR_M,
        "merchant_share": signs.MERCHANT_SHARE,
        "merchant_parcels": signs.MERCHANT_PARCELS,
        "late": timedelta(minutes=signs.LATE_MIN),
        "last": timedelta(hours=signs.LAST_H),
        "aside": timedelta(minutes=signs.ASIDE_MIN),
    }


def _open_spans(first: date, last: date) -> tuple[list[str], list[datetime], list[datetime]]:
    """When shops with these hours are open: three columns. Hours that nobody can read are left out."""
    texts: list[str] = []
    opens: list[datetime] = []
    closes: list[datetime] = []
    known = ServicePoint.objects.exclude(opening_hours="").values_list("opening_hours", flat=True)
    zone = ZoneInfo(settings.TIME_ZONE)
    for text in known.distinct().order_by("opening_hours"):
        for shown in opening.calendar(text, first=first, days=(last - first).days + 1):
            midnight = datetime.combine(shown.day, time(), zone)
            for span in shown.spans or ():
                texts.append(text)
                opens.append(midnight + timedelta(minutes=span.start_min))
                closes.append(midnight + timedelta(minutes=span.end_min))
    return texts, opens, closes


def _shop_phones(since: datetime) -> tuple[list[int], list[bytes]]:
    """The keyed hashes of the phones of each shop and of all who work or worked there: two columns.

    Only of shops that scanned something lately: all others have no pickup to compare.
    """
    found: dict[int, set[bytes]] = defaultdict(set)
    busy = Exists(Scan.objects.filter(service_point=OuterRef("service_point"), recorded_at__gte=since))
    people = Membership.objects.filter(busy).values_list("service_point_id", "user__phone")
    for point_id, phone in people.iterator(chunk_size=10_000):
        found[point_id].add(recipients.hash_phone(phone))
    busy = Exists(Scan.objects.filter(service_point=OuterRef("pk"), recorded_at__gte=since))
    points = ServicePoint.objects.exclude(phone="").filter(busy).values_list("pk", "phone")
    for point_id, phone in points.iterator(chunk_size=10_000):
        with suppress(recipients.BadPhone):
            found[point_id].add(recipients.hash_phone(recipients.read_phone(phone)))
    rows = [(point_id, phone) for point_id, phones in found.items() for phone in phones]
    return [point_id for point_id, _ in rows], [phone for _, phone in rows]


SCORE = """
WITH told AS MATERIALIZED (
    -- The pickups of the time that is looked at, and the arrivals they stand on.
    SELECT h.id AS handover_id, h.service_point_id AS point_id, h.parcel_id, s.proof, s.device_id, s.recorded_at,
           s.event_at, s.told <> '' AS offline, a.recorded_at AS came_recorded, a.event_at AS came_event,
           a.told <> '' AS came_offline, p.hold_until, p.order_id, COALESCE(p.person, n.phone_hash) AS person,
           EXISTS (SELECT FROM pickup_handover b
                   WHERE b.parcel_id = h.parcel_id AND b.undone_by_id IS NOT NULL) AS again
    FROM pickup_scan s
    JOIN pickup_handover h ON h.scan_id = s.id AND h.undone_by_id IS NULL
    JOIN pickup_parcel p ON p.id = h.parcel_id
    JOIN pickup_arrival r ON r.parcel_id = h.parcel_id AND r.service_point_id = h.service_point_id
    JOIN pickup_scan a ON a.id = r.scan_id
    LEFT JOIN pickup_recipient n ON n.order_id = p.order_id
    WHERE s.recorded_at >= %(first)s AND s.kind = 'pickup'
), clock AS MATERIALIZED (
    -- A device that is late by the same time at nearly every scan has a wrong clock.
    SELECT device_id, middle FROM (
        SELECT device_id, percentile_disc(0.5) WITHIN GROUP (ORDER BY recorded_at - event_at) AS middle,
               percentile_disc(0.9) WITHIN GROUP (ORDER BY recorded_at - event_at)
             - percentile_disc(0.1) WITHIN GROUP (ORDER BY recorded_at - event_at) AS spread
        FROM told WHERE NOT offline GROUP BY device_id HAVING COUNT(*) >= 5) d
    WHERE middle > %(late)s AND spread < interval '10 minutes'
), dated AS MATERIALIZED (
    SELECT t.*, COALESCE(c.middle, interval '0') AS wrong, o.merchant_id, o.address_id,
           (t.offline OR t.recorded_at - t.event_at - COALESCE(c.middle, interval '0') > %(late)s) AS is_late,
           (t.came_offline OR t.came_recorded - t.came_event - COALESCE(c.middle, interval '0') > %(late)s) AS came_late
    FROM told t LEFT JOIN clock c USING (device_id) JOIN pickup_order o ON o.id = t.order_id
), timed AS MATERIALIZED (
    SELECT * FROM (
        SELECT d.*,
               CASE WHEN is_late THEN LEAST(event_at + wrong, recorded_at) ELSE recorded_at END AS at,
               CASE WHEN came_late THEN LEAST(came_event + wrong, came_recorded) ELSE came_recorded END AS came_at
        FROM dated d) m
    WHERE at >= %(first)s AND at < %(end)s
), hours_known AS MATERIALIZED (
    -- A shop that changed its hours kept other ones before.
    SELECT p.id AS point_id, p.opening_hours, p.location,
           (SELECT MIN(n.pgh_created_at) FROM network_servicepointevent n
            WHERE n.pgh_obj_id = p.id AND n.pgh_created_at > (
                SELECT MAX(e.pgh_created_at) FROM network_servicepointevent e
                WHERE e.pgh_obj_id = p.id AND e.opening_hours <> p.opening_hours)) AS since
    FROM network_servicepoint p WHERE p.id IN (SELECT point_id FROM timed)
), spans AS MATERIALIZED (
    SELECT * FROM unnest(%(hours_texts)s::text[], %(hours_from)s::timestamptz[], %(hours_to)s::timestamptz[])
        AS s(opening_hours, opens, closes)
), in_hours AS MATERIALIZED (
    SELECT DISTINCT t.handover_id FROM timed t
    JOIN hours_known k USING (point_id)
    JOIN spans s ON s.opening_hours = k.opening_hours
        AND (t.at AT TIME ZONE %(zone)s)::date BETWEEN (s.opens AT TIME ZONE %(zone)s)::date - 1
                                                   AND (s.closes AT TIME ZONE %(zone)s)::date
        AND t.at >= s.opens - %(aside)s AND t.at <= s.closes + %(aside)s
), runs AS MATERIALIZED (
    -- Of each pickup: how long the row of people is in which it stands, how many came within minutes of it, and how
    -- many come there on a day.
    SELECT handover_id, COUNT(*) FILTER (WHERE step) OVER (PARTITION BY point_id, run) AS people,
           COUNT(*) FILTER (WHERE is_other) OVER (PARTITION BY point_id ORDER BY at
               RANGE BETWEEN %(crowd_half)s PRECEDING AND %(crowd_half)s FOLLOWING) AS crowd,
           COUNT(*) FILTER (WHERE is_other) OVER (PARTITION BY point_id)
               / GREATEST(1, EXTRACT(epoch FROM %(end)s - MIN(at) OVER (PARTITION BY point_id)) / 86400) AS a_day
    FROM (
        SELECT *, COUNT(*) FILTER (WHERE NOT step) OVER (PARTITION BY point_id ORDER BY at, handover_id) AS run FROM (
            SELECT handover_id, point_id, at, is_other, COALESCE(at - before < %(series)s AND is_other, false) AS step
            FROM (
                SELECT handover_id, point_id, at, LAG(at) OVER line AS before,
                       person IS NULL OR person IS DISTINCT FROM LAG(person) OVER line AS is_other
                FROM timed WINDOW line AS (PARTITION BY point_id ORDER BY at, handover_id)) ordered) gaps) numbered
), people AS MATERIALIZED (
    SELECT t.point_id, t.person, COUNT(*) AS parcels, COUNT(DISTINCT r.masked_name) AS names
    FROM timed t JOIN pickup_recipient r ON r.order_id = t.order_id
    WHERE t.person IS NOT NULL
    GROUP BY t.point_id, t.person HAVING COUNT(*) >= %(shared_names)s
), roaming AS MATERIALIZED (
    SELECT person FROM timed WHERE person IS NOT NULL GROUP BY person HAVING COUNT(DISTINCT point_id) >= %(many_shops)s
), one_door AS MATERIALIZED (
    -- One address to the metre, for many phones.
    SELECT t.point_id, ST_SnapToGrid(a.location, 0.00001) AS door
    FROM timed t JOIN network_address a ON a.id = t.address_id WHERE a.location IS NOT NULL
    GROUP BY 1, 2 HAVING COUNT(DISTINCT t.person) >= %(door_phones)s
), one_shop AS MATERIALIZED (
    SELECT merchant_id, point_id FROM (
        SELECT merchant_id, point_id, COUNT(*) AS here, SUM(COUNT(*)) OVER (PARTITION BY merchant_id) AS everywhere
        FROM timed GROUP BY merchant_id, point_id) m
    WHERE here >= %(merchant_parcels)s AND here > %(merchant_share)s * everywhere
), shop_phones AS MATERIALIZED (
    SELECT * FROM unnest(%(phone_points)s::bigint[], %(phones)s::bytea[]) AS s(point_id, phone)
), wrong AS MATERIALIZED (
    SELECT DISTINCT parcel_id, service_point_id FROM pickup_scan
    WHERE recorded_at >= %(first)s AND kind = 'pickup' AND verdict IN ('wrong_code', 'code_locked')
      AND parcel_id IS NOT NULL
), messages AS MATERIALIZED (
    SELECT t.handover_id, BOOL_OR(n.sent_at <= t.recorded_at) IS TRUE AS told
    FROM timed t JOIN pickup_notice n ON n.parcel_id = t.parcel_id AND n.kind <> 'asked' GROUP BY t.handover_id
), working AS MATERIALIZED (
    -- A network that sends no messages, or whose pages nobody opens, has nobody who was passed over.
    SELECT COUNT(*) FILTER (WHERE g.told) * 2 > COUNT(*) AS sends,
           COUNT(v.id) FILTER (WHERE t.proof = 'qr') * 2 > COUNT(*) FILTER (WHERE t.proof = 'qr') AS opened
    FROM timed t LEFT JOIN messages g USING (handover_id)
    LEFT JOIN pickup_pageopening v ON v.parcel_id = t.parcel_id AND NOT v.by_shop
), marked AS MATERIALIZED (
    SELECT t.handover_id, t.point_id, t.at, m.sign
    FROM timed t
    JOIN hours_known k USING (point_id)
    JOIN runs u USING (handover_id)
    JOIN network_address a ON a.id = t.address_id
    LEFT JOIN people q ON q.point_id = t.point_id AND q.person = t.person
    LEFT JOIN roaming z ON z.person = t.person
    LEFT JOIN one_door e ON e.point_id = t.point_id AND e.door = ST_SnapToGrid(a.location, 0.00001)
    LEFT JOIN one_shop o ON o.merchant_id = t.merchant_id AND o.point_id = t.point_id
    LEFT JOIN wrong w ON w.parcel_id = t.parcel_id AND w.service_point_id = t.point_id
    LEFT JOIN messages g ON g.handover_id = t.handover_id
    LEFT JOIN in_hours i ON i.handover_id = t.handover_id
    LEFT JOIN shop_phones f ON f.point_id = t.point_id AND f.phone = t.person
    LEFT JOIN pickup_dispute d ON d.handover_id = t.handover_id AND d.outcome <> 'dismissed' AND d.opened_at < %(end)s
    LEFT JOIN pickup_pageopening v ON v.parcel_id = t.parcel_id AND NOT v.by_shop
    LEFT JOIN pickup_pageopening y ON y.parcel_id = t.parcel_id AND y.by_shop AND y.opened_at <= t.recorded_at
    CROSS JOIN working
    CROSS JOIN LATERAL (VALUES
        ('untold', working.sends AND t.proof IN ('qr', 'code') AND g.told IS NOT TRUE),
        ('unopened', working.opened AND t.proof = 'qr' AND v.id IS NULL),
        ('shop_opened', y.id IS NOT NULL AND f.phone IS NULL),
        ('fast', t.at - t.came_at < %(fast)s),
        ('soon', t.at - t.came_at < %(soon)s),
        ('series', u.people >= %(series_people)s),
        ('rush', u.crowd >= GREATEST(%(crowd)s, u.a_day / 5)),
        ('closed', CASE WHEN k.opening_hours = '' OR t.at < k.since
                        THEN EXTRACT(hour FROM t.at AT TIME ZONE %(zone)s) < 6
                        ELSE i.handover_id IS NULL END),
        ('typed', t.proof = 'code'),
        ('guessed', w.parcel_id IS NOT NULL),
        ('names', q.names > %(many_names)s),
        ('shared', q.names >= %(shared_names)s),
        ('roaming', z.person IS NOT NULL),
        ('busy_phone', q.parcels >= %(many_parcels)s),
        ('staff', f.phone IS NOT NULL),
        ('far', ST_DistanceSphere(a.location, k.location) > %(far_m)s),
        ('at_shop', ST_DistanceSphere(a.location, k.location) < %(at_shop_m)s),
        ('one_door', e.door IS NOT NULL),
        ('again', t.again),
        ('merchant', o.merchant_id IS NOT NULL),
        ('late', t.is_late),
        -- As long as it stood there by the same clock as its deadline.
        ('last_day', t.hold_until - t.came_recorded - (t.at - t.came_at) < %(last)s),
        ('denied', d.id IS NOT NULL)
    ) AS m(sign, shown)
    WHERE m.shown
), windows AS (
    SELECT days, %(end)s - make_interval(days => days) AS since FROM unnest(%(windows)s::int[]) AS days
), rules AS MATERIALIZED (
    SELECT * FROM unnest(%(names)s::text[], %(weights)s::int[], %(usual)s::float8[], %(least)s::int[],
                         %(shares)s::float8[], %(chances)s::float8[], %(wholes)s::bool[],
                         %(relatives)s::bool[], %(spreads)s::float8[], %(on_days)s::int[], %(families)s::text[])
        AS r(sign, weight, usual, least, share, chance, whole, relative, spread, on_days, family)
), totals AS MATERIALIZED (
    SELECT point_id, days, COUNT(*) AS pickups FROM timed JOIN windows ON at >= since GROUP BY point_id, days
), counts AS MATERIALIZED (
    SELECT m.point_id, m.sign, w.days, COUNT(*) AS found, t.pickups, COUNT(*)::float8 / t.pickups AS share,
           COUNT(DISTINCT (m.at AT TIME ZONE %(zone)s)::date) AS on_days
    FROM marked m JOIN windows w ON m.at >= w.since JOIN totals t USING (point_id, days)
    GROUP BY m.point_id, m.sign, w.days, t.pickups
), shops AS (
    SELECT days, COUNT(*) FILTER (WHERE pickups >= 10) AS number, SUM(pickups) AS pickups FROM totals GROUP BY days
), ranked AS (
    SELECT sign, days, share, ROW_NUMBER() OVER (PARTITION BY sign, days ORDER BY share DESC) AS place
    FROM counts WHERE pickups >= 10
), together AS MATERIALIZED (
    SELECT c.sign, c.days, SUM(c.found) / s.pickups AS share FROM counts c JOIN shops s USING (days)
    GROUP BY c.sign, c.days, s.pickups
), elsewhere AS MATERIALIZED (
    -- Shops without the sign have no row: the places behind the last one are zeros. A rare sign's quartile is but the
    -- chance of having one at all, so that it is never more than three times what is so in all shops together.
    SELECT r.sign, r.days, COALESCE(MAX(r.share) FILTER (WHERE place = (number + 1) / 2), 0) AS middle,
           COALESCE(MAX(r.share) FILTER (WHERE place = (number + 3) / 4), 0) AS upper, 3 * t.share AS most,
           t.share AS mean
    FROM ranked r JOIN shops USING (days) JOIN together t ON (t.sign, t.days) = (r.sign, r.days)
    WHERE number >= 8 GROUP BY r.sign, r.days, t.share
  UNION ALL
    -- With too few to compare, what is so in all of them together is usual.
    SELECT t.sign, t.days, t.share, t.share, t.share, t.share
    FROM together t JOIN shops s USING (days) JOIN rules r USING (sign) WHERE s.number < 8 AND r.relative
), cleared AS MATERIALIZED (
    -- What a person looked at and found in order is usual there.
    SELECT h.service_point_id AS point_id, f.sign, MAX(f.found::float8 / f.pickups) AS share
    FROM pickup_hold h CROSS JOIN LATERAL jsonb_to_recordset(h.evidence) AS f(sign text, found int, pickups int)
    WHERE h.decision = 'cleared' AND h.decided_at > %(end)s - interval '180 days'
    GROUP BY h.service_point_id, f.sign
), before AS MATERIALIZED (
    -- What the same shop showed in the weeks before a window, with a standard deviation of a Poisson count on top.
    SELECT c.point_id, c.sign, c.days, (b.found + sqrt(b.found) + 1) / b.pickups AS share
    FROM counts c
    CROSS JOIN LATERAL (
        SELECT l.found - c.found AS found, l.pickups - c.pickups AS pickups FROM counts l
        WHERE (l.point_id, l.sign) = (c.point_id, c.sign) AND l.days = (SELECT MAX(days) FROM windows)) b
    WHERE b.pickups >= 60
), compared AS (
    SELECT c.point_id, c.sign, r.family, c.found, c.pickups, c.days, r.weight, r.chance, r.whole, v.is_change,
           c.pickups * LEAST(1, GREATEST(r.usual, e.middle, e.mean, 1.2 * k.share, v.share)) AS expected
    FROM counts c JOIN rules r USING (sign)
    LEFT JOIN elsewhere e ON (e.sign, e.days) = (c.sign, c.days)
    LEFT JOIN elsewhere l ON (l.sign, l.days) = (c.sign, (SELECT MAX(days) FROM windows))
    LEFT JOIN before b ON (b.point_id, b.sign, b.days) = (c.point_id, c.sign, c.days)
    LEFT JOIN cleared k ON (k.point_id, k.sign) = (c.point_id, c.sign)
    CROSS JOIN LATERAL (VALUES
        (false, LEAST(COALESCE(e.middle, l.middle) + r.spread * (l.upper - l.middle), l.most)), (true, b.share)
    ) AS v(is_change, share)
    WHERE c.found >= r.least AND c.on_days >= r.on_days AND c.share >= r.share
      AND (v.share IS NOT NULL OR NOT v.is_change)
), unusual AS MATERIALIZED (
    -- Of several windows that are unusual the most telling one is told, and the longest one's pickups are held.
    SELECT DISTINCT ON (point_id, sign) point_id, sign, family, whole, found, pickups, days, expected, points,
           MAX(days) OVER (PARTITION BY point_id, sign) AS longest
    FROM (SELECT *, CASE WHEN is_change THEN %(limit)s WHEN surprise >= 1.5 * chance THEN 2 * weight
                         ELSE weight END AS points
          FROM (SELECT *, found * ln(found / expected) - (found - expected) AS surprise FROM compared
                WHERE found > expected) s
          WHERE surprise >= chance * CASE WHEN NOT is_change THEN 1 WHEN weight < 80 THEN 1.3 ELSE 1.2 END) u
    ORDER BY point_id, sign, points DESC, surprise DESC, days
), counted AS (
    -- Of signs of one family, which tell the same in other words, the heaviest counts.
    SELECT handover_id, SUM(points) AS points,
           (SELECT jsonb_agg(e) FROM unnest(array_agg(evidence)) all_of CROSS JOIN jsonb_array_elements(all_of) e)
               AS evidence
    FROM (
    SELECT t.handover_id, MAX(u.points) AS points,
           jsonb_agg(jsonb_build_object('sign', u.sign, 'points', u.points, 'found', u.found, 'pickups', u.pickups,
               'days', u.days, 'expected', round(u.expected::numeric, 1), 'here', m.sign IS NOT NULL)) AS evidence
    FROM unusual u
    JOIN timed t ON t.point_id = u.point_id AND t.at >= %(end)s - make_interval(days => u.longest)
    LEFT JOIN marked m ON m.handover_id = t.handover_id AND m.sign = u.sign
    WHERE u.whole OR m.sign IS NOT NULL
    GROUP BY t.handover_id, u.family) family GROUP BY handover_id
)
SELECT (SELECT COUNT(*) FROM timed WHERE at >= %(end)s - interval '1 day'),
       (SELECT jsonb_agg(to_jsonb(c)) FROM (
           SELECT handover_id, points, evidence FROM counted n
           WHERE points >= %(limit)s AND NOT EXISTS (SELECT FROM pickup_hold h WHERE h.handover_id = n.handover_id)
       ) c)::text
"""
# Only what earned something, and of which no statement has claimed anything.
PLACE = """
WITH found AS (
    SELECT f.* FROM jsonb_to_recordset(%(found)s::jsonb) AS f(handover_id bigint, points int, evidence jsonb)
    WHERE EXISTS (SELECT FROM pickup_posting p WHERE p.handover_id = f.handover_id)
      AND NOT EXISTS (SELECT FROM pickup_posting p JOIN pickup_statementline l ON l.posting_id = p.id
                      WHERE p.handover_id = f.handover_id)
), held AS (
    INSERT INTO pickup_hold (handover_id, service_point_id, points, evidence, day, decision, reason)
    SELECT f.handover_id, h.service_point_id, f.points, f.evidence, %(day)s, '', ''
    FROM found f JOIN pickup_handover h ON h.id = f.handover_id AND h.undone_by_id IS NULL
    ORDER BY f.handover_id
    ON CONFLICT (handover_id) DO NOTHING
    RETURNING handover_id, points, evidence
)
SELECT held.handover_id, p.barcode, s.ref, held.points, held.evidence
FROM held JOIN pickup_handover h ON h.id = held.handover_id
JOIN pickup_parcel p ON p.id = h.parcel_id JOIN network_servicepoint s ON s.id = h.service_point_id
ORDER BY held.points DESC, held.handover_id
"""
