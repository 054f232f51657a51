-- The verified pickup in one round trip: lock, check, change, all or nothing. Python keeps the doors and the keys.
-- This file may be run again: a migration that changes it runs all of it.

-- R8. Up the chain, each appointed agent gets what its ceiling adds to the highest one granted below, up to the cap.
CREATE OR REPLACE FUNCTION fee_parts(p_region_ids bigint[], p_at timestamptz, p_tariff_id bigint)
RETURNS TABLE (appointment_id bigint, agent_id bigint, region_id bigint, level smallint, amount_minor bigint)
LANGUAGE sql STABLE AS $$
    SELECT id, agent_id, region_id, level,
           GREATEST(0, up_to - COALESCE(MAX(up_to) OVER (
               ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))
    FROM (
        SELECT a.id, a.agent_id, a.region_id, r.level, chain.place,
               LEAST(t.cap_minor, CASE r.level
                   WHEN 1 THEN t.macro_minor WHEN 2 THEN t.province_minor WHEN 3 THEN t.city_minor
                   WHEN 4 THEN t.district_minor WHEN 5 THEN t.custom_minor END) AS up_to
        FROM unnest(p_region_ids) WITH ORDINALITY AS chain(region_id, place)
        JOIN network_region r ON r.id = chain.region_id
        JOIN network_appointment a ON a.region_id = r.id AND a.valid @> p_at
        JOIN pickup_tariff t ON t.id = p_tariff_id
    ) appointed
$$;

-- The account of an owner, made when it is first needed.
CREATE OR REPLACE FUNCTION account_of(p_kind text, p_owner bigint, p_currency text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    IF p_kind = 'point' THEN
        SELECT id INTO found FROM pickup_account WHERE service_point_id = p_owner AND currency = p_currency;
    ELSIF p_kind = 'agent' THEN
        SELECT id INTO found FROM pickup_account WHERE agent_id = p_owner AND currency = p_currency;
    ELSE
        SELECT id INTO found FROM pickup_account
        WHERE kind = p_kind AND currency = p_currency AND service_point_id IS NULL AND agent_id IS NULL;
    END IF;
    IF found IS NULL THEN
        INSERT INTO pickup_account (kind, currency, service_point_id, agent_id)
        VALUES (p_kind, p_currency, CASE WHEN p_kind = 'point' THEN p_owner END,
                CASE WHEN p_kind = 'agent' THEN p_owner END)
        ON CONFLICT DO NOTHING RETURNING id INTO found;
        IF found IS NULL THEN  -- made by somebody else meanwhile, and visible now
            RETURN account_of(p_kind, p_owner, p_currency);
        END IF;
    END IF;
    RETURN found;
END $$;

-- R7, R8, R10. Posts the flat fee and the agents' differences of hand-overs; returns the flat fee. The differences are
-- worked out once for all parcels that came to one point with one chain.
CREATE OR REPLACE FUNCTION charge_pickups(p_handover_ids bigint[], p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    t pickup_tariff;
    alike record;
    v_network bigint;
BEGIN
    SELECT * INTO STRICT t FROM pickup_tariff WHERE valid_from <= p_at ORDER BY valid_from DESC LIMIT 1;
    v_network := account_of('network', NULL, t.currency);
    FOR alike IN
        SELECT h.service_point_id, p.region_ids, array_agg(h.id) AS handover_ids
        FROM pickup_handover h JOIN pickup_parcel p ON p.id = h.parcel_id WHERE h.id = ANY (p_handover_ids)
        GROUP BY h.service_point_id, p.region_ids
    LOOP
        WITH fee AS MATERIALIZED (
            SELECT 'point_fee' AS kind, '' AS of_whom, account_of('point', alike.service_point_id, t.currency) AS account_id,
                   'point' AS payee, t.point_fee_minor AS amount_minor, NULL::bigint AS region_id,
                   NULL::smallint AS level, NULL::bigint AS appointment_id
            WHERE t.point_fee_minor > 0
            UNION ALL
            SELECT 'agent_fee', ':' || part.appointment_id, account_of('agent', part.agent_id, t.currency), 'agent',
                   part.amount_minor, part.region_id, part.level, part.appointment_id
            FROM fee_parts(alike.region_ids, p_at, t.id) part WHERE part.amount_minor > 0
        )
        INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                                    handover_id, tariff_id, region_id, level, appointment_id, reason, payable_at)
        SELECT fee.kind || ':' || h.id || fee.of_whom, fee.kind, v_network, 'network', fee.account_id, fee.payee,
               fee.amount_minor, t.currency, h.id, t.id, fee.region_id, fee.level, fee.appointment_id, '',
               p_at + make_interval(hours => t.payable_after_hours)
        FROM unnest(alike.handover_ids) h(id) CROSS JOIN fee;
    END LOOP;
    RETURN t.point_fee_minor;
END $$;

-- What a point earned since a moment. Not in language sql, which plans it again at each call; each side is read from its
-- own index alone. A plan made while the tables were small would read them whole long after they have grown.
CREATE OR REPLACE FUNCTION earned_since(p_point_id bigint, p_since timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    earned bigint := 0;
    account record;
BEGIN
    FOR account IN SELECT id FROM pickup_account WHERE service_point_id = p_point_id LOOP
        earned := earned + (
            SELECT COALESCE(SUM(amount_minor), 0) FROM pickup_posting
            WHERE credit_id = account.id AND recorded_at >= p_since
              AND kind IN ('point_fee', 'reversal', 'adjustment')
        ) - (
            SELECT COALESCE(SUM(amount_minor), 0) FROM pickup_posting
            WHERE debit_id = account.id AND debit_kind <> 'network' AND recorded_at >= p_since
              AND kind IN ('point_fee', 'reversal', 'adjustment')
        );
    END LOOP;
    RETURN earned;
END $$;

-- R5: a typed code is counted, and the count committed by the caller, before it is compared. Returns 'counted';
-- 'locked' when the code had its 5 attempts or the shop its 20 wrong ones today; 'paused' when it had 3 and the last one
-- was less than 5 minutes ago; 'none' when there is nothing to try.
CREATE OR REPLACE FUNCTION count_code_attempt(p_point_id bigint, p_device_id bigint, p_scan_id uuid, p_barcode text, p_day date)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_parcel_id bigint;
    v_attempts smallint;
BEGIN
    SELECT id INTO v_parcel_id FROM pickup_parcel
    WHERE barcode = p_barcode AND service_point_id = p_point_id AND status IN ('ready', 'expired');
    IF v_parcel_id IS NULL
       OR EXISTS (SELECT FROM pickup_scan WHERE device_id = p_device_id AND scan_id = p_scan_id
                  AND verdict NOT IN ('not_found', 'not_arrived', 'unknown_parcel', 'code_locked')) THEN
        RETURN 'none';
    END IF;
    INSERT INTO pickup_wrongcodeday AS d (service_point_id, day, wrong) VALUES (p_point_id, p_day, 1)
    ON CONFLICT (service_point_id, day) DO UPDATE SET wrong = d.wrong + 1 WHERE d.wrong < 20;
    IF NOT FOUND THEN
        RETURN 'locked';
    END IF;
    UPDATE pickup_pickupcode
    SET attempts = attempts + 1,
        paused_until = CASE WHEN attempts + 1 >= 3 THEN clock_timestamp() + interval '5 minutes' END
    WHERE parcel_id = v_parcel_id AND attempts < 5 AND (paused_until IS NULL OR paused_until <= clock_timestamp());
    IF NOT FOUND THEN
        UPDATE pickup_wrongcodeday SET wrong = wrong - 1 WHERE service_point_id = p_point_id AND day = p_day;
        SELECT attempts INTO v_attempts FROM pickup_pickupcode WHERE parcel_id = v_parcel_id;
        RETURN CASE WHEN v_attempts < 5 THEN 'paused' ELSE 'locked' END;
    END IF;
    RETURN 'counted';
END $$;

-- The scans of a call, as `hand_over` describes them, in their order.
CREATE OR REPLACE FUNCTION scans_of(p_scans json) RETURNS TABLE (
    scan_id uuid, request_hash bytea, event_at timestamptz, barcode text, told text, parcel_uuid uuid, audience bigint,
    proof text, proof_hash bytea, place bigint
) LANGUAGE sql IMMUTABLE AS $$
    SELECT * FROM ROWS FROM (json_to_recordset(p_scans) AS (
        scan_id uuid, request_hash bytea, event_at timestamptz, barcode text, told text, parcel_uuid uuid,
        audience bigint, proof text, proof_hash bytea)) WITH ORDINALITY
$$;

-- R4–R8, R10. Scans of kind pickup, each of another parcel, each stored with its verdict whatever that is; all or nothing.
-- The device is named by its id or by the hash of its key: without such a device there is no answer.
-- p_scans is a list of objects with the keys below. The parcel is named by its barcode, its public id, or both.
-- proof: 'qr' (signature checked by the caller; `audience` is the point that the token names) or 'code' (attempt counted
-- and committed by the caller) with the keyed hash to compare; 'manual' for a release that the caller records beside it;
-- 'uncounted' when there was nothing to try a code on; 'locked'; 'paused', answered with the moment when a code may be
-- typed again; 'bad'.
-- A repeat of (device, scan_id) gets the stored answer, unless that was a refusal that time may mend: then it is decided
-- anew.
CREATE OR REPLACE FUNCTION hand_over(
    p_device_id bigint, p_key_hash bytea, p_refusal text, p_clerk_id bigint, p_time_zone text, p_scans json
) RETURNS TABLE (of_scan uuid, words text, repeated boolean, same_request boolean)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    device record;
    s record;
    parcel pickup_parcel;
    secret pickup_pickupcode;
    earlier pickup_scan;
    v_now timestamptz;
    v_earned bigint;
    v_verdict text;
    v_detail json;
    v_fee bigint;
    v_handover_id bigint;
    -- What is handed over, in the order of the scans.
    v_places bigint[] := '{}';
    v_verdicts text[] := '{}';
    v_parcels bigint[] := '{}';
    v_persons bytea[] := '{}';
    v_nths_of_person bigint[] := '{}';
    v_handovers bigint[] := '{}';
    v_scans bigint[] := '{}';
    v_charged bigint[] := '{}';
BEGIN
    SELECT d.id, d.service_point_id AS point_id,
           CASE WHEN d.revoked_at IS NOT NULL THEN 'device_revoked'
                WHEN p.status = 'suspended' THEN 'point_suspended' ELSE p_refusal END AS refusal
    INTO device FROM network_device d JOIN network_servicepoint p ON p.id = d.service_point_id
    WHERE d.id = COALESCE(p_device_id, (SELECT k.id FROM network_device k WHERE k.key_hash = p_key_hash));
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM FROM pickup_parcel p
    WHERE p.barcode = ANY (ARRAY(SELECT barcode FROM scans_of(p_scans)))
       OR p.uuid = ANY (ARRAY(SELECT parcel_uuid FROM scans_of(p_scans)))
    ORDER BY p.id FOR UPDATE;
    -- Whoever changes appointments or tariffs waits for these pickups, or these for them: the rules of their moment are paid.
    PERFORM pg_advisory_xact_lock_shared(hashtext('fee rules'));
    v_now := clock_timestamp();

    FOR s IN SELECT * FROM scans_of(p_scans) LOOP
        v_detail := NULL;
        IF s.barcode <> '' THEN
            SELECT * INTO parcel FROM pickup_parcel p WHERE p.barcode = s.barcode;
        ELSE
            SELECT * INTO parcel FROM pickup_parcel p WHERE p.uuid = s.parcel_uuid;
        END IF;
        -- Looked for under the lock, so that of two copies of one scan the second finds the first.
        SELECT * INTO earlier FROM pickup_scan e WHERE e.device_id = device.id AND e.scan_id = s.scan_id
        ORDER BY e.id DESC LIMIT 1;
        IF earlier.request_hash <> s.request_hash
           OR earlier.verdict NOT IN ('not_found', 'not_arrived', 'unknown_parcel', 'code_locked') THEN
            RETURN QUERY SELECT s.scan_id, earlier.answer, true, earlier.request_hash = s.request_hash;
            CONTINUE;
        END IF;
        v_earned := COALESCE(v_earned, earned_since(device.point_id, date_trunc('day', v_now, p_time_zone)));

        IF device.refusal <> '' THEN
            v_verdict := device.refusal;
        ELSIF parcel.id IS NULL THEN
            v_verdict := CASE WHEN s.proof = 'bad' AND s.barcode = '' THEN 'wrong_code' ELSE 'not_found' END;
        ELSIF parcel.service_point_id IS DISTINCT FROM device.point_id THEN
            v_verdict := CASE WHEN parcel.service_point_id IS NULL THEN 'not_arrived' ELSE 'wrong_point' END;
            SELECT json_build_object('point', p.name) INTO v_detail
            FROM network_servicepoint p WHERE p.id = parcel.service_point_id;
        ELSIF parcel.status = 'collected' THEN
            v_verdict := 'already_collected';
            SELECT json_build_object('at', parcel.collected_at, 'by', COALESCE(NULLIF(u.name, ''), d.name))
            INTO v_detail
            FROM pickup_handover h JOIN pickup_scan e ON e.id = h.scan_id JOIN network_device d ON d.id = e.device_id
            LEFT JOIN network_user u ON u.id = e.clerk_id
            WHERE h.parcel_id = parcel.id AND h.undone_by_id IS NULL;
        ELSIF parcel.status NOT IN ('ready', 'expired') THEN
            v_verdict := CASE parcel.status
                WHEN 'refused' THEN 'returned' WHEN 'returned' THEN 'returned' WHEN 'cancelled' THEN 'cancelled'
                WHEN 'damaged' THEN 'damaged' ELSE 'not_arrived' END;
        ELSIF s.proof IN ('locked', 'paused') THEN
            v_verdict := 'code_locked';
            IF s.proof = 'paused' THEN
                SELECT json_build_object('until', c.paused_until) INTO v_detail
                FROM pickup_pickupcode c WHERE c.parcel_id = parcel.id AND c.paused_until > v_now;
            END IF;
        ELSIF s.proof = 'uncounted' THEN  -- it arrived just now: the code was not counted, so it is not compared
            v_verdict := 'not_arrived';
        ELSE
            SELECT * INTO secret FROM pickup_pickupcode c WHERE c.parcel_id = parcel.id;
            v_verdict := CASE
                WHEN s.parcel_uuid <> parcel.uuid THEN 'wrong_code'
                WHEN s.proof = 'qr' AND s.audience IS DISTINCT FROM device.point_id THEN 'code_revoked'
                WHEN s.proof = 'qr' AND s.proof_hash = secret.token_hash THEN 'ok'
                WHEN s.proof = 'code' AND s.proof_hash = secret.code_hash THEN 'ok'
                WHEN s.proof = 'manual' THEN 'ok'
                WHEN s.proof IN ('qr', 'code') AND EXISTS (
                    SELECT FROM pickup_delegation d
                    WHERE d.parcel_id = parcel.id AND d.revoked_at IS NULL AND v_now < d.expires_at
                      AND s.proof_hash = CASE s.proof WHEN 'qr' THEN d.token_hash ELSE d.code_hash END) THEN 'ok'
                WHEN s.proof = 'qr' THEN 'code_revoked'
                ELSE 'wrong_code' END;
            IF v_verdict = 'ok' AND (parcel.status = 'expired' OR parcel.hold_until < v_now) THEN
                v_verdict := 'expired_but_here';
            END IF;
        END IF;

        IF v_verdict = earlier.verdict THEN  -- nothing was mended
            RETURN QUERY SELECT s.scan_id, earlier.answer, true, true;
        ELSIF v_verdict NOT IN ('ok', 'expired_but_here') THEN
            RETURN QUERY INSERT INTO pickup_scan AS e (
                scan_id, device_id, clerk_id, service_point_id, kind, verdict, parcel_id, barcode, proof, told, shelf,
                reason, event_at, request_hash, answer)
            VALUES (s.scan_id, device.id, p_clerk_id, device.point_id, 'pickup', v_verdict, parcel.id, s.barcode, s.proof,
                    s.told, '', '', s.event_at, s.request_hash, json_build_object('verdict', v_verdict, 'parcel', CASE
                WHEN parcel.service_point_id = device.point_id AND device.refusal = '' THEN json_build_object(
                    'barcode', parcel.barcode, 'status', parcel.status, 'hold_until', parcel.hold_until) END,
                'shelf', NULL, 'waiting_here', 0, 'fee_minor', NULL,
                'today_minor', CASE WHEN device.refusal = '' THEN v_earned END, 'detail', v_detail)::text)
            RETURNING e.scan_id, e.answer, false, true;
        ELSIF parcel.id = ANY (v_parcels) THEN
            RAISE EXCEPTION 'parcel % is in one call twice', parcel.barcode USING ERRCODE = 'serialization_failure';
        ELSE
            v_handover_id := nextval(pg_get_serial_sequence('pickup_handover', 'id'));
            v_places := v_places || s.place;
            v_verdicts := v_verdicts || v_verdict;
            v_parcels := v_parcels || parcel.id;
            v_persons := v_persons || parcel.person;
            v_nths_of_person := v_nths_of_person || cardinality(array_positions(v_persons, parcel.person));
            v_handovers := v_handovers || v_handover_id;
            v_scans := v_scans || nextval(pg_get_serial_sequence('pickup_scan', 'id'));
            IF s.proof <> 'manual' THEN  -- a release without a proof earns nothing until an admin approves it (R5)
                v_charged := v_charged || v_handover_id;
            END IF;
            IF s.proof = 'code' THEN  -- the right code does not count against the shop's day
                UPDATE pickup_wrongcodeday SET wrong = wrong - 1
                WHERE service_point_id = device.point_id AND day = (v_now AT TIME ZONE p_time_zone)::date AND wrong > 0;
            END IF;
        END IF;
    END LOOP;

    IF v_parcels = '{}' THEN
        RETURN;
    END IF;
    INSERT INTO pickup_handover (id, parcel_id, service_point_id, scan_id) OVERRIDING SYSTEM VALUE
    SELECT made.id, made.parcel_id, device.point_id, made.scan_pk
    FROM unnest(v_handovers, v_parcels, v_scans) made(id, parcel_id, scan_pk);
    UPDATE pickup_parcel SET status = 'collected', collected_at = v_now WHERE id = ANY (v_parcels);
    IF v_charged <> '{}' THEN
        v_fee := charge_pickups(v_charged, v_now);
    END IF;
    -- A scan carries its answer and never changes, so it is written last; foreign keys to it are checked at the commit.
    -- Each answer counts what came before it: the fees so far, and the parcels of this person that were still there.
    RETURN QUERY INSERT INTO pickup_scan AS e (
        id, scan_id, device_id, clerk_id, service_point_id, kind, verdict, parcel_id, barcode, proof, told, shelf, reason,
        event_at, request_hash, answer)
    OVERRIDING SYSTEM VALUE
    SELECT made.scan_pk, said.scan_id, device.id, p_clerk_id, device.point_id, 'pickup', made.verdict, p.id,
           said.barcode, said.proof, said.told, p.shelf, '', said.event_at, said.request_hash,
           json_build_object('verdict', made.verdict, 'parcel', json_build_object(
                   'barcode', p.barcode, 'status', 'collected', 'hold_until', p.hold_until),
               'shelf', p.shelf, 'waiting_here', CASE WHEN p.person IS NULL THEN 0 ELSE (
                   SELECT COUNT(*) FROM pickup_parcel w
                   WHERE w.service_point_id = device.point_id AND w.status IN ('ready', 'expired') AND w.person = p.person
               ) + cardinality(array_positions(v_persons, p.person)) - made.nth_of_person END,
               'fee_minor', v_fee, 'today_minor', v_earned + COALESCE(v_fee, 0) * made.nth, 'detail', NULL)::text
    FROM unnest(v_places, v_verdicts, v_parcels, v_nths_of_person, v_scans) WITH ORDINALITY
         AS made(place, verdict, parcel_id, nth_of_person, scan_pk, nth)
    JOIN pickup_parcel p ON p.id = made.parcel_id JOIN scans_of(p_scans) said ON said.place = made.place
    RETURNING e.scan_id, e.answer, false, true;
END $$;
