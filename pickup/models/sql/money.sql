-- What the database keeps of settlements, payouts and seals, whoever writes.

DO $$
DECLARE
    only_added text;
BEGIN
    FOREACH only_added IN ARRAY ARRAY[
        'pickup_account', 'pickup_casenote', 'pickup_bankfile', 'pickup_payoutstep', 'pickup_sealedrow', 'pickup_sealblock'
    ] LOOP
        EXECUTE format('CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION refuse_change()', only_added);
    END LOOP;
    FOREACH only_added IN ARRAY ARRAY[
        'pickup_account', 'pickup_linecase', 'pickup_casenote', 'pickup_bankdetails', 'pickup_adjustment',
        'pickup_payoutbatch', 'pickup_bankfile', 'pickup_payout', 'pickup_payoutstep', 'pickup_sealedrow', 'pickup_sealblock'
    ] LOOP
        EXECUTE format('CREATE TRIGGER never_emptied BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', only_added);
    END LOOP;
END $$;

-- Decided once, by the word of one person, and not changed otherwise (`ends_once` in guards.sql).
CREATE TRIGGER only_decided BEFORE UPDATE OR DELETE ON pickup_bankdetails
    FOR EACH ROW EXECUTE FUNCTION ends_once('decided_at decided_by_id decision reason');
CREATE TRIGGER only_decided BEFORE UPDATE OR DELETE ON pickup_adjustment
    FOR EACH ROW EXECUTE FUNCTION ends_once('decided_at decided_by_id decision');
CREATE TRIGGER only_decided BEFORE UPDATE OR DELETE ON pickup_payoutbatch
    FOR EACH ROW EXECUTE FUNCTION ends_once('decided_at decided_by_id decision');
CREATE TRIGGER only_decided BEFORE UPDATE OR DELETE ON pickup_linecase
    FOR EACH ROW EXECUTE FUNCTION ends_once('decided_at decided_by_id outcome reversal_id');

-- Nobody backdates: what waits 72 hours would not wait, and a fee would fall into a month that is over.
CREATE FUNCTION refuse_other_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is written by the database''s clock', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER by_the_clock BEFORE INSERT ON pickup_posting
    FOR EACH ROW WHEN (NEW.recorded_at < clock_timestamp() - interval '1 minute' OR NEW.recorded_at > clock_timestamp())
    EXECUTE FUNCTION refuse_other_time();
CREATE TRIGGER by_the_clock BEFORE UPDATE OF decided_at ON pickup_bankdetails
    FOR EACH ROW WHEN (NEW.decided_at < clock_timestamp() - interval '1 minute')
    EXECUTE FUNCTION refuse_other_time();

-- And nobody writes a paper that is signed already.
CREATE FUNCTION refuse_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% begins unsigned', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER begins_unsigned BEFORE INSERT ON pickup_bankdetails
    FOR EACH ROW WHEN (NEW.decision <> '') EXECUTE FUNCTION refuse_signed();
CREATE TRIGGER begins_unsigned BEFORE INSERT ON pickup_adjustment
    FOR EACH ROW WHEN (NEW.decision <> '') EXECUTE FUNCTION refuse_signed();
CREATE TRIGGER begins_unsigned BEFORE INSERT ON pickup_payoutbatch
    FOR EACH ROW WHEN (NEW.decision <> '') EXECUTE FUNCTION refuse_signed();
CREATE TRIGGER begins_unsigned BEFORE INSERT ON pickup_linecase
    FOR EACH ROW WHEN (NEW.outcome <> '') EXECUTE FUNCTION refuse_signed();

-- Adjustments and payouts are posted on a paper that two people signed.
CREATE FUNCTION posting_has_its_paper() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'adjustment' AND EXISTS (
        SELECT FROM pickup_adjustment a
        WHERE NEW.key = 'adjustment:' || a.id AND a.decision = 'approved' AND a.account_id = NEW.credit_id
          AND a.amount_minor = NEW.amount_minor AND a.reason = NEW.reason
    ) OR NEW.kind = 'payout' AND EXISTS (
        SELECT FROM pickup_payout p
        WHERE NEW.key = 'payout:' || p.id AND p.state IN ('sending', 'needs_check') AND p.account_id = NEW.debit_id
          AND p.amount_minor = NEW.amount_minor
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% needs a paper that two people signed', NEW.kind USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER has_its_paper BEFORE INSERT ON pickup_posting
    FOR EACH ROW WHEN (NEW.kind IN ('adjustment', 'payout')) EXECUTE FUNCTION posting_has_its_paper();

-- A closed month takes nothing more: its statements and lines come in the transaction that closes it.
CREATE FUNCTION settlement_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed settlement takes no more rows' USING ERRCODE = 'restrict_violation';
END $$;
CREATE FUNCTION statements_are_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added n JOIN pickup_settlement s ON s.id = n.settlement_id
               WHERE s.closed_in <> pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION 'a closed settlement takes no more statements' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION lines_are_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pickup_settlement s JOIN pickup_statement t ON t.settlement_id = s.id
               WHERE s.closed_in <> pg_current_xact_id()::text::bigint
                 AND t.id IN (SELECT DISTINCT statement_id FROM added)) THEN
        RAISE EXCEPTION 'a closed statement takes no more lines' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER begins_now BEFORE INSERT ON pickup_settlement
    FOR EACH ROW WHEN (NEW.closed_in <> pg_current_xact_id()::text::bigint) EXECUTE FUNCTION settlement_is_closed();
CREATE TRIGGER closed AFTER INSERT ON pickup_statement REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION statements_are_closed();
CREATE TRIGGER closed AFTER INSERT ON pickup_statementline REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION lines_are_closed();

-- The steps a payout may take. `pickup.payouts.FOLLOWS` says the same; a test compares the two.
CREATE TABLE payout_follows (before varchar(11), after varchar(11), PRIMARY KEY (before, after));
INSERT INTO payout_follows VALUES
    ('draft', 'approved'), ('draft', 'cancelled'), ('approved', 'sending'), ('approved', 'cancelled'),
    ('sending', 'sent'), ('sending', 'failed'), ('sending', 'needs_check'),
    ('needs_check', 'sent'), ('needs_check', 'failed'), ('sent', 'failed');

CREATE FUNCTION payout_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'draft' OR NEW.posting_id IS NOT NULL OR NOT EXISTS (
        SELECT FROM pickup_statement s JOIN pickup_account a ON a.id = s.account_id
        JOIN pickup_payoutbatch b ON b.id = NEW.batch_id
        WHERE s.id = NEW.statement_id AND (s.account_id, s.total_minor, a.currency, b.currency, b.decision)
                                        = (NEW.account_id, NEW.amount_minor, NEW.currency, NEW.currency, '')
    ) THEN
        RAISE EXCEPTION 'a payout is a draft of what its statement owes' USING ERRCODE = 'check_violation';
    END IF;
    IF payout_held_by(NEW.account_id, clock_timestamp()) <> '' OR NEW.details_id <> (
        SELECT d.id FROM pickup_bankdetails d WHERE d.account_id = NEW.account_id AND d.decision = 'approved'
        ORDER BY d.id DESC LIMIT 1) THEN
        RAISE EXCEPTION 'nothing may be paid there now' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER begins BEFORE INSERT ON pickup_payout FOR EACH ROW EXECUTE FUNCTION payout_begins();

CREATE FUNCTION payout_moves_by_the_table() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR to_jsonb(OLD) - '{state,posting_id}'::text[] <> to_jsonb(NEW) - '{state,posting_id}'::text[] THEN
        RAISE EXCEPTION 'a payout keeps what it is' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state <> OLD.state AND NOT EXISTS (
        SELECT FROM payout_follows WHERE before = OLD.state AND after = NEW.state) THEN
        RAISE EXCEPTION 'a payout does not move from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.posting_id IS DISTINCT FROM OLD.posting_id
       AND (OLD.posting_id IS NOT NULL OR NEW.state <> 'sent' OR NOT EXISTS (
            SELECT FROM pickup_posting p WHERE p.id = NEW.posting_id AND p.key = 'payout:' || NEW.id)) THEN
        RAISE EXCEPTION 'a payout is posted once' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'approved' AND NOT EXISTS (
        SELECT FROM pickup_payoutbatch b WHERE b.id = NEW.batch_id AND b.decision = 'approved') THEN
        RAISE EXCEPTION 'a second person approves first' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'sending' AND OLD.state <> 'sending' AND (
        payout_held_by(NEW.account_id, clock_timestamp()) <> '' OR EXISTS (
            SELECT FROM pickup_bankdetails d
            WHERE d.account_id = NEW.account_id AND d.decision = 'approved' AND d.id > NEW.details_id)
        OR NOT EXISTS (SELECT FROM pickup_bankfile f WHERE f.batch_id = NEW.batch_id)) THEN
        RAISE EXCEPTION 'nothing may be paid there now' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER moves_by_the_table BEFORE UPDATE OR DELETE ON pickup_payout
    FOR EACH ROW EXECUTE FUNCTION payout_moves_by_the_table();

-- The chain: the running hash of contents, from the hash before on.
CREATE FUNCTION chain_step(state bytea, before bytea, content text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN sha256(COALESCE(state, before) || convert_to(content, 'UTF8'));
END $$;
CREATE AGGREGATE chained(before bytea, content text) (SFUNC = chain_step, STYPE = bytea);
