-- What is payable (R10, R11): the one place that says so. Settlement, pages and payouts ask here.
-- p_now is the database's clock, read by whoever asks.

-- The postings that a statement may claim.
CREATE OR REPLACE FUNCTION payable_postings(p_now timestamptz) RETURNS SETOF pickup_posting LANGUAGE sql STABLE AS $$
    SELECT p.* FROM pickup_posting p
    WHERE p.payable_at <= p_now
      -- A fee that was written with an earlier moment than its tariff says waits all the same.
      AND (p.kind NOT IN ('point_fee', 'agent_fee') OR p.recorded_at - interval '1 minute' + (
          SELECT make_interval(hours => t.payable_after_hours) FROM pickup_tariff t WHERE t.id = p.tariff_id) <= p_now)
      -- Payouts pay what statements say; they and what comes back of them stand in no statement's lines.
      AND p.kind <> 'payout' AND p.debit_kind <> 'bank'
      -- "I did not collect this", and pickups that may not have happened: while that is open nothing of the pickup is
      -- settled, and nothing ever if it is upheld; only a fee that a statement has paid already comes back, with its
      -- reversal.
      AND NOT EXISTS (
          SELECT FROM pickup_contested d
          WHERE d.handover_id = p.handover_id
            AND (d.outcome = '' OR (d.outcome = 'upheld' AND NOT EXISTS (
                SELECT FROM pickup_statementline l WHERE l.posting_id = COALESCE(p.reverses_id, p.id)))))
$$;

-- Whether nothing may be paid to an account now, and why: '' when nothing holds it. A shop is frozen while two of its
-- recipients of thirty days say that they collected nothing.
CREATE OR REPLACE FUNCTION payout_held_by(p_account_id bigint, p_now timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM pickup_account a
        WHERE a.id = p_account_id AND a.kind = 'point' AND point_is_frozen(a.service_point_id, p_now)
    ) THEN 'frozen' ELSE COALESCE((
        SELECT CASE WHEN d.decided_at + interval '72 hours' > p_now THEN 'new_bank_details' ELSE '' END
        FROM pickup_bankdetails d WHERE d.account_id = p_account_id AND d.decision = 'approved'
        ORDER BY d.id DESC LIMIT 1), 'no_bank_details') END
$$;
