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

-- R7, R8, R10. Posts the flat fee and the agents' differences of one hand-over; returns the flat fee.
CREATE OR REPLACE FUNCTION charge_pickup(p_handover_id bigint, p_point_id bigint, p_region_ids bigint[], p_at timestamptz)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    t pickup_tariff;
    v_network bigint;
BEGIN
    SELECT * INTO STRICT t FROM pickup_tariff WHERE valid_from <= p_at ORDER BY valid_from DESC LIMIT 1;
    v_network := account_of('network', NULL, t.currency);
    INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                                handover_id, tariff_id, region_id, level, appointment_id, reason, payable_at)
    SELECT fee.key, fee.kind, v_network, 'network',
           account_of(fee.payee, fee.owner_id, t.currency), fee.payee, fee.amount_minor, t.currency,
           p_handover_id, t.id, fee.region_id, fee.level, fee.appointment_id, '',
           p_at + make_interval(hours => t.payable_after_hours)
    FROM (
        SELECT 'point_fee:' || p_handover_id AS key, 'point_fee' AS kind, 'point' AS payee, p_point_id AS owner_id,
               t.point_fee_minor AS amount_minor, NULL::bigint AS region_id, NULL::smallint AS level,
               NULL::bigint AS appointment_id
        UNION ALL
        SELECT 'agent_fee:' || p_handover_id || ':' || part.appointment_id, 'agent_fee', 'agent', part.agent_id,
               part.amount_minor, part.region_id, part.level, part.appointment_id
        FROM fee_parts(p_region_ids, p_at, t.id) part
    ) fee
    WHERE fee.amount_minor > 0;
    RETURN t.point_fee_minor;
END $$;

-- What a point earned today, and how many more parcels this person has there: for the answer to the shop. Not in
-- language sql, which plans them again at each call; each side is read from its own index alone.
CREATE OR REPLACE FUNCTION earned_since(p_point_id bigint, p_since timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
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

CREATE OR REPLACE FUNCTION waiting_here(p_parcel_id bigint, p_point_id bigint, p_person bytea) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT COUNT(*) FROM pickup_parcel
        WHERE service_point_id = p_point_id AND status IN ('ready', 'expired') AND person = p_person
          AND id <> p_parcel_id
    );
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

-- R4–R8, R10. One scan of kind pickup, stored with its verdict whatever it is.
-- p_proof: 'qr' (signature checked by the caller) or 'code' (attempt counted and committed by the caller) with the
-- keyed hash to compare; 'manual' for a release that the caller records beside it; 'uncounted' when there was nothing
-- to try a code on; 'locked'; 'paused', answered with the moment when a code may be typed again; 'bad'.
-- The parcel is named by its barcode, its public id, or both. A repeat of (device, scan_id) gets the stored answer,
-- unless that was a refusal that time may mend: then it is decided anew.
CREATE OR REPLACE FUNCTION hand_over(
    p_device_id bigint, p_point_id bigint, p_refusal text, p_clerk_id bigint, p_scan_id uuid, p_request_hash bytea,
    p_event_at timestamptz, p_barcode text, p_parcel_uuid uuid, p_proof text, p_proof_hash bytea, p_told text,
    p_time_zone text
) RETURNS TABLE (verdict text, answer text, repeated boolean, same_request boolean)
LANGUAGE plpgsql AS $$
DECLARE
    parcel pickup_parcel;
    secret pickup_pickupcode;
    earlier pickup_scan;
    v_now timestamptz;
    v_today timestamptz;
    v_verdict text;
    v_detail json;
    v_fee bigint;
    v_answer text;
    v_scan_pk bigint;
    v_handover_id bigint;
BEGIN
    IF p_barcode <> '' THEN
        SELECT * INTO parcel FROM pickup_parcel p WHERE p.barcode = p_barcode FOR UPDATE;
    ELSE
        SELECT * INTO parcel FROM pickup_parcel p WHERE p.uuid = p_parcel_uuid FOR UPDATE;
    END IF;
    -- Looked for under the lock, so that of two copies of one scan the second finds the first.
    SELECT * INTO earlier FROM pickup_scan s WHERE s.device_id = p_device_id AND s.scan_id = p_scan_id
    ORDER BY s.id DESC LIMIT 1;
    IF earlier.request_hash <> p_request_hash
       OR earlier.verdict NOT IN ('not_found', 'not_arrived', 'unknown_parcel', 'code_locked') THEN
        RETURN QUERY SELECT earlier.verdict::text, earlier.answer, true, earlier.request_hash = p_request_hash;
        RETURN;
    END IF;
    -- Whoever changes appointments or tariffs waits for this pickup, or this one for them: the rules of its moment are paid.
    PERFORM pg_advisory_xact_lock_shared(hashtext('fee rules'));
    v_now := clock_timestamp();
    v_today := date_trunc('day', v_now, p_time_zone);

    IF p_refusal <> '' THEN
        v_verdict := p_refusal;
    ELSIF parcel.id IS NULL THEN
        v_verdict := CASE WHEN p_proof = 'bad' AND p_barcode = '' THEN 'wrong_code' ELSE 'not_found' END;
    ELSIF parcel.service_point_id IS DISTINCT FROM p_point_id THEN
        v_verdict := CASE WHEN parcel.service_point_id IS NULL THEN 'not_arrived' ELSE 'wrong_point' END;
        SELECT json_build_object('point', p.name) INTO v_detail
        FROM network_servicepoint p WHERE p.id = parcel.service_point_id;
    ELSIF parcel.status = 'collected' THEN
        v_verdict := 'already_collected';
        SELECT json_build_object('at', parcel.collected_at, 'by', COALESCE(NULLIF(u.name, ''), d.name))
        INTO v_detail
        FROM pickup_handover h JOIN pickup_scan s ON s.id = h.scan_id JOIN network_device d ON d.id = s.device_id
        LEFT JOIN network_user u ON u.id = s.clerk_id
        WHERE h.parcel_id = parcel.id AND h.undone_by_id IS NULL;
    ELSIF parcel.status NOT IN ('ready', 'expired') THEN
        v_verdict := CASE parcel.status
            WHEN 'refused' THEN 'returned' WHEN 'returned' THEN 'returned' WHEN 'cancelled' THEN 'cancelled'
            WHEN 'damaged' THEN 'damaged' ELSE 'not_arrived' END;
    ELSIF p_proof IN ('locked', 'paused') THEN
        v_verdict := 'code_locked';
        IF p_proof = 'paused' THEN
            SELECT json_build_object('until', c.paused_until) INTO v_detail
            FROM pickup_pickupcode c WHERE c.parcel_id = parcel.id AND c.paused_until > v_now;
        END IF;
    ELSIF p_proof = 'uncounted' THEN  -- it arrived just now: the code was not counted, so it is not compared
        v_verdict := 'not_arrived';
    ELSE
        SELECT * INTO secret FROM pickup_pickupcode c WHERE c.parcel_id = parcel.id;
        v_verdict := CASE
            WHEN p_parcel_uuid IS NOT NULL AND p_parcel_uuid <> parcel.uuid THEN 'wrong_code'
            WHEN p_proof = 'qr' AND p_proof_hash = secret.token_hash THEN 'ok'
            WHEN p_proof = 'code' AND p_proof_hash = secret.code_hash THEN 'ok'
            WHEN p_proof = 'manual' THEN 'ok'
            WHEN p_proof IN ('qr', 'code') AND EXISTS (
                SELECT FROM pickup_delegation d
                WHERE d.parcel_id = parcel.id AND d.revoked_at IS NULL AND v_now < d.expires_at
                  AND p_proof_hash = CASE p_proof WHEN 'qr' THEN d.token_hash ELSE d.code_hash END) THEN 'ok'
            WHEN p_proof = 'qr' THEN 'code_revoked'
            ELSE 'wrong_code' END;
        IF v_verdict = 'ok' AND (parcel.status = 'expired' OR parcel.hold_until < v_now) THEN
            v_verdict := 'expired_but_here';
        END IF;
    END IF;

    IF v_verdict = earlier.verdict THEN  -- nothing was mended
        RETURN QUERY SELECT earlier.verdict::text, earlier.answer, true, true;
        RETURN;
    END IF;

    IF v_verdict NOT IN ('ok', 'expired_but_here') THEN
        v_answer := json_build_object('verdict', v_verdict, 'parcel', CASE
            WHEN parcel.service_point_id = p_point_id AND p_refusal = '' THEN json_build_object(
                'barcode', parcel.barcode, 'status', parcel.status, 'hold_until', parcel.hold_until) END,
            'shelf', NULL, 'waiting_here', 0, 'fee_minor', NULL,
            'today_minor', CASE WHEN p_refusal = '' THEN earned_since(p_point_id, v_today) END,
            'detail', v_detail)::text;
        INSERT INTO pickup_scan (scan_id, device_id, clerk_id, service_point_id, kind, verdict, parcel_id, barcode,
                                 proof, told, shelf, reason, event_at, request_hash, answer)
        VALUES (p_scan_id, p_device_id, p_clerk_id, p_point_id, 'pickup', v_verdict, parcel.id, p_barcode,
                p_proof, p_told, '', '', p_event_at, p_request_hash, v_answer);
        RETURN QUERY SELECT v_verdict, v_answer, false, true;
        RETURN;
    END IF;

    -- The scan carries its answer and never changes, so it is written last; its foreign keys are checked at the commit.
    v_scan_pk := nextval(pg_get_serial_sequence('pickup_scan', 'id'));
    INSERT INTO pickup_handover (parcel_id, service_point_id, scan_id) VALUES (parcel.id, p_point_id, v_scan_pk)
    RETURNING id INTO v_handover_id;
    UPDATE pickup_parcel SET status = 'collected', collected_at = v_now WHERE id = parcel.id;
    -- A release without a proof earns nothing until an admin approves it (R5).
    IF p_proof <> 'manual' THEN
        v_fee := charge_pickup(v_handover_id, p_point_id, parcel.region_ids, v_now);
    END IF;
    v_answer := json_build_object('verdict', v_verdict, 'parcel', json_build_object(
            'barcode', parcel.barcode, 'status', 'collected', 'hold_until', parcel.hold_until),
        'shelf', parcel.shelf, 'waiting_here', waiting_here(parcel.id, p_point_id, parcel.person),
        'fee_minor', v_fee, 'today_minor', earned_since(p_point_id, v_today), 'detail', NULL)::text;
    INSERT INTO pickup_scan (id, scan_id, device_id, clerk_id, service_point_id, kind, verdict, parcel_id, barcode,
                             proof, told, shelf, reason, event_at, request_hash, answer)
    OVERRIDING SYSTEM VALUE
    VALUES (v_scan_pk, p_scan_id, p_device_id, p_clerk_id, p_point_id, 'pickup', v_verdict, parcel.id, p_barcode,
            p_proof, p_told, parcel.shelf, '', p_event_at, p_request_hash, v_answer);
    IF p_proof = 'code' THEN  -- the right code does not count against the shop's day
        UPDATE pickup_wrongcodeday SET wrong = wrong - 1
        WHERE service_point_id = p_point_id AND day = (v_now AT TIME ZONE p_time_zone)::date AND wrong > 0;
    END IF;
    RETURN QUERY SELECT v_verdict, v_answer, false, true;
END $$;
