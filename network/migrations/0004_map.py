"""The map's own copies, kept by the database: outlines that are simplified by zoom, and points counted by cell.

Measured on China's 3,240 boundaries (6.8 million vertices): the outlines take 2.3 s of a load of 35 s, and a tile
of all provinces 6 ms instead of 130. Of 1,000,000 points, a tile of the whole country takes 1 ms instead of 600.
`python3 manage.py bench tiles` measures it again.
"""

import django.contrib.gis.db.models.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

OUTLINES = """
-- As with the boundaries: coordinates do not compress.
ALTER TABLE network_outline ALTER COLUMN geom SET STORAGE EXTERNAL;

-- Vertices that move the line by less than half a pixel of a 512-pixel tile are left out, first for the finest zoom
-- and then from what is left. Web Mercator ends at 85.06 degrees, so what lies beyond is cut off.
CREATE FUNCTION boundary_outlines(ids bigint[]) RETURNS void LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    half_pixel constant double precision := 360.0 / 512 / 2;
BEGIN
    WITH whole AS MATERIALIZED (
        SELECT id, level, ST_Simplify(
            CASE WHEN ST_YMax(geom) <= 85.05 AND ST_YMin(geom) >= -85.05 THEN geom
                 ELSE ST_CollectionExtract(ST_Intersection(geom, ST_MakeEnvelope(-180, -85.05, 180, 85.05, 4326)), 3)
            END, half_pixel / 2 ^ 10, true) AS geom
        FROM network_boundary WHERE id = ANY (ids)
    ), ten AS (SELECT id, level, 10 AS zoom, geom FROM whole),
    eight AS MATERIALIZED (
        SELECT id, level, 8 AS zoom, ST_Simplify(geom, half_pixel / 2 ^ 8, true) AS geom FROM ten
    ), six AS MATERIALIZED (
        SELECT id, level, 6 AS zoom, ST_Simplify(geom, half_pixel / 2 ^ 6, true) AS geom FROM eight
    ), four AS (
        SELECT id, level, 4 AS zoom, ST_Simplify(geom, half_pixel / 2 ^ 4, true) AS geom FROM six
    )
    INSERT INTO network_outline (boundary_id, level, zoom, geom)
    SELECT id, level, zoom, ST_Multi(ST_Transform(geom, 3857))
    FROM (SELECT * FROM ten UNION ALL SELECT * FROM eight UNION ALL SELECT * FROM six UNION ALL SELECT * FROM four) o
    WHERE NOT ST_IsEmpty(geom);
END $$;

-- Its name comes after that of boundaries_do_not_overlap, so that only what was accepted is drawn.
CREATE FUNCTION boundary_gets_its_outlines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM boundary_outlines(array_agg(id)) FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER boundary_gets_its_outlines AFTER INSERT ON network_boundary
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION boundary_gets_its_outlines();
"""

CELLS = """
-- Where a place lies in the square world of the map, in 2^-30 of its width.
CREATE FUNCTION map_x(place geometry) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT least(1073741823, greatest(0, floor((ST_X(place) + 180) / 360 * 1073741824)))::bigint $$;
CREATE FUNCTION map_y(place geometry) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT least(1073741823, greatest(0, floor((0.5 - asinh(tan(radians(
       least(85.06, greatest(-85.06, ST_Y(place)))))) / (2 * pi())) * 1073741824)))::bigint $$;

-- Add (sign 1) or take away (sign -1) points. Counted at the finest zoom first, so that a million of them are
-- looked at once; always written in one order, so that two writers wait for each other and do not lock each other out.
CREATE FUNCTION point_cells_add(signs integer[], statuses text[], places geometry[]) RETURNS void LANGUAGE sql
    SET jit = off AS $$
    WITH point AS (
        SELECT sign, status, map_x(place) AS x, map_y(place) AS y FROM unnest(signs, statuses, places) u(sign, status, place)
    ), finest AS (
        SELECT x >> 16 AS x, y >> 16 AS y, sum(sign * x) AS x_sum, sum(sign * y) AS y_sum,
               coalesce(sum(sign) FILTER (WHERE status = 'proposed'), 0) AS proposed,
               coalesce(sum(sign) FILTER (WHERE status = 'active'), 0) AS active,
               coalesce(sum(sign) FILTER (WHERE status = 'suspended'), 0) AS suspended,
               coalesce(sum(sign) FILTER (WHERE status = 'closed'), 0) AS closed
        FROM point GROUP BY 1, 2
    )
    INSERT INTO network_pointcell AS old
        (zoom, tile_x, tile_y, cell, proposed, active, suspended, closed, x_sum, y_sum)
    SELECT zoom, x >> 14 - zoom, y >> 14 - zoom, (y >> 10 - zoom & 15) * 16 + (x >> 10 - zoom & 15),
           sum(proposed), sum(active), sum(suspended), sum(closed), sum(x_sum), sum(y_sum)
    FROM finest CROSS JOIN generate_series(0, 10) AS zoom
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (zoom, tile_x, tile_y, cell) DO UPDATE SET
        proposed = old.proposed + excluded.proposed, active = old.active + excluded.active,
        suspended = old.suspended + excluded.suspended, closed = old.closed + excluded.closed,
        x_sum = old.x_sum + excluded.x_sum, y_sum = old.y_sum + excluded.y_sum
$$;

CREATE FUNCTION point_is_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM point_cells_add(array_agg(1), array_agg(status::text), array_agg(location)) FROM added;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM point_cells_add(array_agg(-1), array_agg(status::text), array_agg(location)) FROM removed;
    ELSE
        -- Most updates change a name or a phone, and nothing here.
        PERFORM point_cells_add(array_agg(sign), array_agg(status::text), array_agg(location))
        FROM (SELECT side.* FROM added a JOIN removed r USING (id)
              CROSS JOIN LATERAL (VALUES (1, a.status, a.location), (-1, r.status, r.location))
                  AS side(sign, status, location)
              WHERE a.status <> r.status OR NOT ST_OrderingEquals(a.location, r.location)) changed
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER point_is_counted AFTER INSERT ON network_servicepoint
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION point_is_counted();
CREATE TRIGGER point_is_counted_again AFTER UPDATE ON network_servicepoint
    REFERENCING NEW TABLE AS added OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION point_is_counted();
CREATE TRIGGER point_is_counted_no_more AFTER DELETE ON network_servicepoint
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION point_is_counted();

CREATE FUNCTION points_are_all_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM network_pointcell;
    RETURN NULL;
END $$;
CREATE TRIGGER points_are_all_gone AFTER TRUNCATE ON network_servicepoint
    FOR EACH STATEMENT EXECUTE FUNCTION points_are_all_gone();
"""

# GeoDjango leaves the condition of an index over a single geometry out without a word, so that both, this one's and
# the older one's, would be whole ones. Here they become what the models say.
PARTIAL = """
DROP INDEX point_active_location, point_other_location;
CREATE INDEX point_active_location ON network_servicepoint USING gist (location) WHERE status = 'active';
CREATE INDEX point_other_location ON network_servicepoint USING gist (location) WHERE NOT status = 'active';
"""

FILL = """
SELECT set_config('statement_timeout', '15min', true);
SELECT boundary_outlines(array_agg(id)) FROM network_boundary;
SELECT point_cells_add(array_agg(1), array_agg(status::text), array_agg(location)) FROM network_servicepoint;
"""

BACK = """
DROP TRIGGER points_are_all_gone ON network_servicepoint;
DROP TRIGGER point_is_counted_no_more ON network_servicepoint;
DROP TRIGGER point_is_counted_again ON network_servicepoint;
DROP TRIGGER point_is_counted ON network_servicepoint;
DROP TRIGGER boundary_gets_its_outlines ON network_boundary;
DROP FUNCTION points_are_all_gone(), point_is_counted(), point_cells_add(integer[], text[], geometry[]),
    map_y(geometry), map_x(geometry), boundary_gets_its_outlines(), boundary_outlines(bigint[]);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("network", "0003_sign_in_codes"),
    ]

    operations = [
        migrations.CreateModel(
            name="Outline",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "level",
                    models.SmallIntegerField(
                        choices=[(1, "macro-region"), (2, "province"), (3, "city"), (4, "district"), (5, "custom")],
                        verbose_name="level",
                    ),
                ),
                ("zoom", models.SmallIntegerField(verbose_name="up to zoom")),
                (
                    "geom",
                    django.contrib.gis.db.models.fields.MultiPolygonField(
                        spatial_index=False, srid=3857, verbose_name="polygon"
                    ),
                ),
            ],
            options={
                "verbose_name": "outline on the map",
                "verbose_name_plural": "outlines on the map",
            },
        ),
        migrations.CreateModel(
            name="PointCell",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("zoom", models.SmallIntegerField(verbose_name="zoom")),
                ("tile_x", models.IntegerField(verbose_name="tile, column")),
                ("tile_y", models.IntegerField(verbose_name="tile, row")),
                ("cell", models.SmallIntegerField(verbose_name="cell in the tile")),
                ("proposed", models.IntegerField(verbose_name="proposed")),
                ("active", models.IntegerField(verbose_name="active")),
                ("suspended", models.IntegerField(verbose_name="suspended")),
                ("closed", models.IntegerField(verbose_name="closed")),
                ("x_sum", models.BigIntegerField(verbose_name="sum of places, x")),
                ("y_sum", models.BigIntegerField(verbose_name="sum of places, y")),
            ],
            options={
                "verbose_name": "cell of the map",
                "verbose_name_plural": "cells of the map",
            },
        ),
        migrations.AddIndex(
            model_name="servicepoint",
            index=django.contrib.postgres.indexes.GistIndex(
                condition=models.Q(("status", "active"), _negated=True),
                fields=["location"],
                name="point_other_location",
            ),
        ),
        migrations.AddField(
            model_name="outline",
            name="boundary",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="outlines",
                to="network.boundary",
                verbose_name="boundary",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointcell",
            constraint=models.UniqueConstraint(fields=("zoom", "tile_x", "tile_y", "cell"), name="point_cell_once"),
        ),
        migrations.AddIndex(
            model_name="outline",
            index=django.contrib.postgres.indexes.GistIndex(
                fields=["zoom", "level", "geom"], name="outline_zoom_level_geom"
            ),
        ),
        migrations.AddConstraint(
            model_name="outline",
            constraint=models.UniqueConstraint(fields=("boundary", "zoom"), name="outline_once"),
        ),
        migrations.RunSQL(PARTIAL, migrations.RunSQL.noop),
        migrations.RunSQL(OUTLINES + CELLS, BACK),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
