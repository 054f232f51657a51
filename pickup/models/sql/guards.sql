-- What must stay true whoever writes: history is only added to, parcels move by the table, fees are mirrored exactly.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

DO $$
DECLARE
    only_added text;
BEGIN
    FOREACH only_added IN ARRAY ARRAY[
        'pickup_scan', 'pickup_posting', 'pickup_arrival', 'pickup_assignment',
        'pickup_settlement', 'pickup_statement', 'pickup_statementline', 'pickup_stockcount', 'pickup_stockcountline'
    ] LOOP
        EXECUTE format('CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION refuse_change()', only_added);
    END LOOP;
    FOREACH only_added IN ARRAY ARRAY[
        'pickup_scan', 'pickup_posting', 'pickup_arrival', 'pickup_assignment', 'pickup_handover',
        'pickup_settlement', 'pickup_statement', 'pickup_statementline', 'pickup_stockcount', 'pickup_stockcountline',
        'pickup_manualrelease', 'pickup_dispute', 'pickup_delegation'
    ] LOOP
        EXECUTE format('CREATE TRIGGER never_emptied BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', only_added);
    END LOOP;
END $$;

-- A hand-over changes once and in one way: it is undone.
CREATE FUNCTION handover_is_only_undone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.undone_by_id IS NULL AND NEW.undone_by_id IS NOT NULL
       AND (NEW.id, NEW.parcel_id, NEW.service_point_id, NEW.scan_id)
         = (OLD.id, OLD.parcel_id, OLD.service_point_id, OLD.scan_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a verified pickup can only be undone, and only once' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER only_undone BEFORE UPDATE OR DELETE ON pickup_handover
    FOR EACH ROW EXECUTE FUNCTION handover_is_only_undone();

-- What waits for somebody's word gets it once: a release is decided, a dispute resolved, a delegation withdrawn.
CREATE FUNCTION ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ends text[] := string_to_array(TG_ARGV[0], ' ');
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(OLD) ->> ends[1] IS NULL AND to_jsonb(OLD) - ends = to_jsonb(NEW) - ends THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a row of % ends once and is not changed otherwise', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER only_decided BEFORE UPDATE OR DELETE ON pickup_manualrelease
    FOR EACH ROW EXECUTE FUNCTION ends_once('decided_at decided_by_id decision');
CREATE TRIGGER only_resolved BEFORE UPDATE OR DELETE ON pickup_dispute
    FOR EACH ROW EXECUTE FUNCTION ends_once('resolved_at resolved_by_id outcome');
CREATE TRIGGER only_withdrawn BEFORE UPDATE OR DELETE ON pickup_delegation
    FOR EACH ROW EXECUTE FUNCTION ends_once('revoked_at');

-- R4: the steps a parcel may take. `pickup.parcels.FOLLOWS` says the same; a test compares the two.
CREATE TABLE parcel_step (before varchar(10), after varchar(10), PRIMARY KEY (before, after));
INSERT INTO parcel_step VALUES
    ('expected', 'ready'), ('expected', 'cancelled'), ('expected', 'lost'), ('expected', 'damaged'),
    ('ready', 'collected'), ('ready', 'expired'), ('ready', 'refused'),
    ('ready', 'cancelled'), ('ready', 'lost'), ('ready', 'damaged'),
    ('collected', 'ready'),
    ('expired', 'collected'), ('expired', 'returned'),
    ('expired', 'cancelled'), ('expired', 'lost'), ('expired', 'damaged'),
    ('refused', 'returned');

CREATE FUNCTION parcel_moves_by_the_table() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM parcel_step WHERE before = OLD.status AND after = NEW.status) THEN
        RAISE EXCEPTION 'a parcel does not move from % to %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER moves_by_the_table BEFORE UPDATE OF status ON pickup_parcel
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION parcel_moves_by_the_table();

-- Fees follow the point and the region chain that a parcel had when it arrived.
CREATE FUNCTION parcel_keeps_its_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a parcel that arrived keeps its service point and its regions' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER keeps_its_place BEFORE UPDATE OF service_point_id, region_ids ON pickup_parcel
    FOR EACH ROW WHEN (OLD.status <> 'expected' AND (OLD.service_point_id, OLD.region_ids)
                       IS DISTINCT FROM (NEW.service_point_id, NEW.region_ids))
    EXECUTE FUNCTION parcel_keeps_its_place();

-- Who was appointed to what stays so: only the period of an appointment may change.
CREATE FUNCTION appointment_keeps_its_holder() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an appointment keeps its agent and its region: end it and make another'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER keeps_its_holder BEFORE UPDATE OF agent_id, region_id ON network_appointment
    FOR EACH ROW WHEN ((OLD.agent_id, OLD.region_id) IS DISTINCT FROM (NEW.agent_id, NEW.region_id))
    EXECUTE FUNCTION appointment_keeps_its_holder();

-- Keys over two and three columns, which Django cannot declare.
ALTER TABLE pickup_handover ADD CONSTRAINT handover_needs_arrival
    FOREIGN KEY (parcel_id, service_point_id) REFERENCES pickup_arrival (parcel_id, service_point_id);
ALTER TABLE pickup_posting ADD CONSTRAINT posting_debit_account
    FOREIGN KEY (debit_id, debit_kind, currency) REFERENCES pickup_account (id, kind, currency);
ALTER TABLE pickup_posting ADD CONSTRAINT posting_credit_account
    FOREIGN KEY (credit_id, credit_kind, currency) REFERENCES pickup_account (id, kind, currency);

-- A reversal gives back exactly what was posted.
CREATE FUNCTION reversal_mirrors() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pickup_posting p
        WHERE p.id = NEW.reverses_id AND p.kind <> 'reversal'
          AND (p.debit_id, p.credit_id, p.amount_minor, p.currency)
            = (NEW.credit_id, NEW.debit_id, NEW.amount_minor, NEW.currency)
    ) THEN
        RAISE EXCEPTION 'a reversal swaps the accounts of its posting and keeps the amount'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER mirrors BEFORE INSERT ON pickup_posting
    FOR EACH ROW WHEN (NEW.kind = 'reversal') EXECUTE FUNCTION reversal_mirrors();

-- A tariff that has paid anybody keeps its date and its amounts, and no new one may begin in the past, where
-- it would say that pickups were paid wrongly.
CREATE FUNCTION tariff_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pickup_posting WHERE tariff_id = OLD.id) AND (
        TG_OP = 'DELETE' OR NEW.valid_from <> OLD.valid_from
        OR (NEW.currency, NEW.point_fee_minor, NEW.cap_minor, NEW.macro_minor, NEW.province_minor,
            NEW.city_minor, NEW.district_minor, NEW.custom_minor)
        <> (OLD.currency, OLD.point_fee_minor, OLD.cap_minor, OLD.macro_minor, OLD.province_minor,
            OLD.city_minor, OLD.district_minor, OLD.custom_minor)
    ) THEN
        RAISE EXCEPTION 'tariff % has paid fees: it is frozen, add a new one from a date', OLD.name
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;
CREATE FUNCTION tariff_begins_later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.valid_from = OLD.valid_from THEN
        RETURN NEW;
    END IF;
    IF NEW.valid_from < clock_timestamp() AND EXISTS (SELECT FROM pickup_posting WHERE recorded_at >= NEW.valid_from) THEN
        RAISE EXCEPTION 'a tariff cannot begin in the past: pickups were paid by another one since'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER begins_later BEFORE INSERT OR UPDATE OF valid_from ON pickup_tariff
    FOR EACH ROW EXECUTE FUNCTION tariff_begins_later();
CREATE TRIGGER frozen BEFORE UPDATE OR DELETE ON pickup_tariff
    FOR EACH ROW EXECUTE FUNCTION tariff_is_frozen();
