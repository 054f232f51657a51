"""The database keeps the region tree and the rule that boundaries of one level do not overlap.

Whoever writes, the loader, the admin or a hand at psql: the rules are here, and Python only says earlier and in
friendlier words what they would refuse. The reasons and the measured numbers are in
docs/decisions/0003-boundaries-and-slivers.md.
"""

from django.db import migrations

TREE = """
-- path = the parent's path || '.' || code. A writer may leave it empty; a wrong one is refused.
CREATE FUNCTION region_keeps_its_path() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    above record;
    expected text := NEW.code;
BEGIN
    IF NEW.parent_id IS NOT NULL THEN
        -- The lock makes a writer of the parent wait, so that neither misses the other.
        SELECT path, level, code INTO above FROM network_region WHERE id = NEW.parent_id FOR SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'region %: its parent does not exist', NEW.code
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'region_parent_exists';
        END IF;
        IF above.level >= NEW.level THEN
            RAISE EXCEPTION 'region %: its parent % is not of a coarser level', NEW.code, above.code
                USING ERRCODE = 'check_violation', CONSTRAINT = 'region_parent_is_coarser';
        END IF;
        expected := above.path || '.' || NEW.code;
    END IF;
    IF NEW.path NOT IN ('', expected) AND (TG_OP = 'INSERT' OR NEW.path IS DISTINCT FROM OLD.path) THEN
        RAISE EXCEPTION 'region %: its path is %, not %', NEW.code, expected, NEW.path
            USING ERRCODE = 'check_violation', CONSTRAINT = 'region_path_follows_parent';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.level IS DISTINCT FROM OLD.level
       AND EXISTS (SELECT FROM network_region WHERE parent_id = NEW.id AND level <= NEW.level) THEN
        RAISE EXCEPTION 'region %: a child of it is not of a finer level', NEW.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'region_parent_is_coarser';
    END IF;
    NEW.path := expected;
    RETURN NEW;
END $$;
CREATE TRIGGER region_keeps_its_path BEFORE INSERT OR UPDATE OF code, level, parent_id, path ON network_region
    FOR EACH ROW EXECUTE FUNCTION region_keeps_its_path();

-- A region that moves takes its descendants along; each of them moves its own children in turn.
CREATE FUNCTION region_takes_its_children_along() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE network_region SET path = '' WHERE parent_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER region_takes_its_children_along AFTER UPDATE OF code, parent_id, path ON network_region
    FOR EACH ROW WHEN (OLD.path IS DISTINCT FROM NEW.path) EXECUTE FUNCTION region_takes_its_children_along();

-- boundary.level is a copy of region.level. A foreign key over both keeps it so, and locks what it must.
ALTER TABLE network_region ADD CONSTRAINT region_id_level UNIQUE (id, level);
ALTER TABLE network_boundary ADD CONSTRAINT boundary_level_is_the_regions
    FOREIGN KEY (region_id, level) REFERENCES network_region (id, level);
"""

POLYGONS = """
-- Coordinates do not compress: out of line and plain they are read about twice as fast.
ALTER TABLE network_boundary ALTER COLUMN geom SET STORAGE EXTERNAL;

-- The cheap bounds guard the dearer tests. ST_IsValid also refuses NaN and infinity.
ALTER TABLE network_boundary
    ADD CONSTRAINT boundary_geom_of_bounded_size CHECK (ST_NPoints(geom) <= 100000),
    ADD CONSTRAINT boundary_geom_on_the_globe CHECK (
        ST_XMin(geom) >= -180 AND ST_XMax(geom) <= 180 AND ST_YMin(geom) >= -90 AND ST_YMax(geom) <= 90
    ),
    ADD CONSTRAINT boundary_geom_valid_polygon CHECK (
        CASE WHEN ST_NPoints(geom) <= 100000 THEN NOT ST_IsEmpty(geom) AND ST_IsValid(geom) ELSE false END
    ),
    ADD CONSTRAINT boundary_inside_is_inside CHECK (
        CASE WHEN ST_NPoints(geom) <= 100000 THEN ST_Covers(geom, inside) ELSE false END
    );

-- History stays: a boundary is never redrawn, it only ends. So no update can make two of them overlap.
CREATE FUNCTION boundary_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.region_id, NEW.boundary_set_id, NEW.level, NEW.radius_m)
         = (OLD.id, OLD.region_id, OLD.boundary_set_id, OLD.level, OLD.radius_m)
       AND lower(NEW.valid) = lower(OLD.valid) AND NEW.valid <@ OLD.valid
       AND ST_OrderingEquals(NEW.geom, OLD.geom) AND ST_OrderingEquals(NEW.inside, OLD.inside) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a boundary is never changed, it can only end earlier: publish a new one'
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'boundary_only_ends';
END $$;
CREATE TRIGGER boundary_only_ends BEFORE UPDATE ON network_boundary
    FOR EACH ROW EXECUTE FUNCTION boundary_only_ends();
"""

OVERLAPS = """
-- The largest overlap of two neighbours that counts as a sliver, in square metres: a thousand, and of small
-- regions a hundredth. Larger ones are refused.
CREATE FUNCTION boundary_sliver_limit_m2(a geometry, b geometry) RETURNS double precision LANGUAGE sql
    IMMUTABLE PARALLEL SAFE AS
$$ SELECT least(1000.0, 0.01 * ST_Area(a::geography), 0.01 * ST_Area(b::geography)) $$;

-- One publication at a time. The lock comes before the first row, so that two of them cannot deadlock, and lasts
-- until the transaction ends. What the other one committed is seen only by a statement with a snapshot of its
-- own, which READ COMMITTED gives and REPEATABLE READ does not.
CREATE FUNCTION boundary_publications_queue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'boundaries are published under READ COMMITTED, where overlaps are seen'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    PERFORM pg_advisory_xact_lock('network_boundary'::regclass::oid::bigint);
    RETURN NULL;
END $$;
CREATE TRIGGER boundary_publications_queue BEFORE INSERT ON network_boundary
    FOR EACH STATEMENT EXECUTE FUNCTION boundary_publications_queue();

-- Boundaries of one level whose periods meet must not share area. The boxes come first, from the index; then
-- ST_Relate, which tells sharing an area from touching; only then the area, of the few that are left.
-- The planner knows nothing of rows that were just written, so it is led: OFFSET 0 keeps the order, and the
-- periods are compared in a way that no other index offers to answer. Left alone it took 200 s instead of 20.
CREATE FUNCTION boundaries_do_not_overlap() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    worst record;
BEGIN
    INSERT INTO network_boundaryoverlap (first_id, second_id, area_m2)
    SELECT least(a.id, b.id), greatest(a.id, b.id),
           ST_Area(ST_CollectionExtract(ST_Intersection(a.geom, b.geom), 3)::geography)
    FROM (SELECT x.* FROM added n JOIN network_boundary x ON x.id = n.id OFFSET 0) a
    CROSS JOIN LATERAL (
        SELECT y.id, y.geom FROM network_boundary y
        WHERE y.geom && a.geom AND y.level = a.level AND y.id <> a.id AND y.valid * a.valid <> 'empty' OFFSET 0
    ) b
    WHERE (b.id < a.id OR b.id NOT IN (SELECT id FROM added))
      AND ST_Relate(a.geom, b.geom, '2********');

    SELECT a.code AS first, b.code AS second, o.area_m2 INTO worst
    FROM network_boundaryoverlap o
    JOIN network_boundary x ON x.id = o.first_id JOIN network_region a ON a.id = x.region_id
    JOIN network_boundary y ON y.id = o.second_id JOIN network_region b ON b.id = y.region_id
    WHERE (o.first_id IN (SELECT id FROM added) OR o.second_id IN (SELECT id FROM added))
      AND o.area_m2 > boundary_sliver_limit_m2(x.geom, y.geom)
    ORDER BY o.area_m2 DESC LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the boundaries of % and % overlap by % m²', worst.first, worst.second,
                        round(worst.area_m2::numeric, 1)
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'boundary_no_overlap',
                  TABLE = 'network_boundary';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER boundaries_do_not_overlap AFTER INSERT ON network_boundary
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION boundaries_do_not_overlap();
"""

BACK = """
DROP TRIGGER boundaries_do_not_overlap ON network_boundary;
DROP TRIGGER boundary_publications_queue ON network_boundary;
DROP TRIGGER boundary_only_ends ON network_boundary;
DROP TRIGGER region_takes_its_children_along ON network_region;
DROP TRIGGER region_keeps_its_path ON network_region;
DROP FUNCTION boundaries_do_not_overlap(), boundary_publications_queue(), boundary_only_ends(),
    boundary_sliver_limit_m2(geometry, geometry), region_takes_its_children_along(), region_keeps_its_path();
ALTER TABLE network_boundary
    DROP CONSTRAINT boundary_inside_is_inside, DROP CONSTRAINT boundary_geom_valid_polygon,
    DROP CONSTRAINT boundary_geom_on_the_globe, DROP CONSTRAINT boundary_geom_of_bounded_size,
    DROP CONSTRAINT boundary_level_is_the_regions;
ALTER TABLE network_boundary ALTER COLUMN geom SET STORAGE EXTENDED;
ALTER TABLE network_region DROP CONSTRAINT region_id_level;
"""


class Migration(migrations.Migration):
    dependencies = [("network", "0001_initial")]

    operations = [migrations.RunSQL(TREE + POLYGONS + OVERLAPS, BACK)]
