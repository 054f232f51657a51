"""Drafts of borders. The database keeps closed ones as they are, and finds addresses by place for their previews."""

import django.contrib.gis.db.models.fields
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GUARDS = """
-- As with the boundaries: coordinates do not compress, and the cheap bound comes first.
ALTER TABLE network_draftshape ALTER COLUMN geom SET STORAGE EXTERNAL;
ALTER TABLE network_draftshape ADD CONSTRAINT draft_shape_of_bounded_size
    CHECK (geom IS NULL OR ST_NPoints(geom) <= 100000);

-- What was published or given up stays as it was. The lock makes a writer of shapes wait for a publication.
CREATE FUNCTION draft_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held text;
BEGIN
    SELECT status INTO held FROM network_regiondraft
    WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.draft_id ELSE NEW.draft_id END FOR SHARE;
    IF held <> 'draft' THEN
        RAISE EXCEPTION 'the draft is %, nothing of it changes', held
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'draft_is_open';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER draft_is_open BEFORE INSERT OR UPDATE OR DELETE ON network_draftshape
    FOR EACH ROW EXECUTE FUNCTION draft_is_open();
CREATE TRIGGER draft_is_open BEFORE INSERT OR UPDATE OR DELETE ON network_draftacceptance
    FOR EACH ROW EXECUTE FUNCTION draft_is_open();

CREATE FUNCTION draft_closes_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the draft is %, nothing of it changes', OLD.status
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'draft_is_open';
END $$;
CREATE TRIGGER draft_closes_once BEFORE UPDATE ON network_regiondraft
    FOR EACH ROW WHEN (OLD.status <> 'draft') EXECUTE FUNCTION draft_closes_once();

CREATE FUNCTION draft_edit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'edits of drafts are only added'
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'draft_edit_stays';
END $$;
CREATE TRIGGER draft_edit_stays BEFORE UPDATE OR DELETE ON network_draftedit
    FOR EACH ROW EXECUTE FUNCTION draft_edit_stays();
"""

BACK = """
DROP TRIGGER draft_edit_stays ON network_draftedit;
DROP TRIGGER draft_closes_once ON network_regiondraft;
DROP TRIGGER draft_is_open ON network_draftacceptance;
DROP TRIGGER draft_is_open ON network_draftshape;
DROP FUNCTION draft_edit_stays(), draft_closes_once(), draft_is_open();
"""

# Until now points were moved by loading them again; sets in force are not done a second time.
PLACED = "UPDATE network_boundaryset SET points_placed_at = now() WHERE valid_from <= now()"


class Migration(migrations.Migration):
    dependencies = [
        ("network", "0004_map"),
    ]

    operations = [
        migrations.CreateModel(
            name="DraftAcceptance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("problem", models.CharField(max_length=32, verbose_name="problem")),
                ("kind", models.CharField(max_length=10, verbose_name="kind")),
                (
                    "codes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=32), size=None, verbose_name="codes"
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="accepted")),
                ("reason", models.CharField(max_length=500, verbose_name="reason")),
            ],
            options={
                "verbose_name": "accepted problem",
                "verbose_name_plural": "accepted problems",
            },
        ),
        migrations.CreateModel(
            name="DraftEdit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.IntegerField(verbose_name="version")),
                ("at", models.DateTimeField(verbose_name="at")),
                ("op", models.CharField(max_length=12, verbose_name="what")),
                (
                    "codes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=32), default=list, size=None, verbose_name="codes"
                    ),
                ),
                ("detail", models.JSONField(default=dict, verbose_name="details")),
            ],
            options={
                "verbose_name": "edit of a draft",
                "verbose_name_plural": "edits of drafts",
            },
        ),
        migrations.CreateModel(
            name="DraftShape",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=32, verbose_name="code")),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                (
                    "level",
                    models.SmallIntegerField(
                        choices=[(1, "macro-region"), (2, "province"), (3, "city"), (4, "district"), (5, "custom")],
                        verbose_name="level",
                    ),
                ),
                ("parent", models.CharField(blank=True, max_length=32, verbose_name="code of the parent")),
                ("retired", models.BooleanField(default=False, verbose_name="retired")),
                (
                    "geom",
                    django.contrib.gis.db.models.fields.MultiPolygonField(
                        blank=True, null=True, spatial_index=False, srid=4326, verbose_name="polygon"
                    ),
                ),
            ],
            options={
                "verbose_name": "shape of a draft",
                "verbose_name_plural": "shapes of drafts",
            },
        ),
        migrations.CreateModel(
            name="RegionDraft",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("version", models.IntegerField(default=1, verbose_name="version")),
                ("drawn", models.IntegerField(default=1, verbose_name="version of its shapes")),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "draft"), ("published", "published"), ("abandoned", "abandoned")],
                        default="draft",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("changed_at", models.DateTimeField(auto_now_add=True, verbose_name="changed")),
                ("published_at", models.DateTimeField(blank=True, null=True, verbose_name="published")),
            ],
            options={
                "verbose_name": "draft of borders",
                "verbose_name_plural": "drafts of borders",
                "permissions": [("publish_regiondraft", "Can publish draft of borders")],
            },
        ),
        migrations.AddField(
            model_name="boundaryset",
            name="points_placed_at",
            field=models.DateTimeField(
                blank=True,
                help_text="to the regions in which they lie since this set",
                null=True,
                verbose_name="service points moved",
            ),
        ),
        migrations.AddIndex(
            model_name="address",
            index=django.contrib.postgres.indexes.GistIndex(fields=["location"], name="address_location"),
        ),
        migrations.AddIndex(
            model_name="boundaryset",
            index=models.Index(
                condition=models.Q(("points_placed_at", None)), fields=["valid_from"], name="boundary_set_waiting"
            ),
        ),
        migrations.AddField(
            model_name="draftacceptance",
            name="by",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="accepted by",
            ),
        ),
        migrations.AddField(
            model_name="draftedit",
            name="by",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="by",
            ),
        ),
        migrations.AddField(
            model_name="draftshape",
            name="base",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="network.boundary",
                verbose_name="drawn over",
            ),
        ),
        migrations.AddField(
            model_name="regiondraft",
            name="author",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="author",
            ),
        ),
        migrations.AddField(
            model_name="regiondraft",
            name="boundary_set",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="draft",
                to="network.boundaryset",
                verbose_name="boundary set",
            ),
        ),
        migrations.AddField(
            model_name="regiondraft",
            name="published_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="published by",
            ),
        ),
        migrations.AddField(
            model_name="draftshape",
            name="draft",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="shapes",
                to="network.regiondraft",
                verbose_name="draft",
            ),
        ),
        migrations.AddField(
            model_name="draftedit",
            name="draft",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="edits",
                to="network.regiondraft",
                verbose_name="draft",
            ),
        ),
        migrations.AddField(
            model_name="draftacceptance",
            name="draft",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="acceptances",
                to="network.regiondraft",
                verbose_name="draft",
            ),
        ),
        migrations.AddIndex(
            model_name="regiondraft",
            index=models.Index(fields=["status", "-changed_at"], name="region_draft_newest"),
        ),
        migrations.AddConstraint(
            model_name="regiondraft",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["draft", "published", "abandoned"])),
                name="region_draft_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="regiondraft",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("boundary_set__isnull", False),
                        ("published_at__isnull", False),
                        ("published_by__isnull", False),
                        ("status", "published"),
                    ),
                    models.Q(
                        models.Q(("status", "published"), _negated=True),
                        ("boundary_set__isnull", True),
                        ("published_at__isnull", True),
                        ("published_by__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="region_draft_published_has_its_set",
            ),
        ),
        migrations.AddConstraint(
            model_name="regiondraft",
            constraint=models.CheckConstraint(
                condition=models.Q(("drawn__lte", models.F("version"))), name="region_draft_drawn_before"
            ),
        ),
        migrations.AddConstraint(
            model_name="draftshape",
            constraint=models.UniqueConstraint(fields=("draft", "code"), name="draft_shape_once"),
        ),
        migrations.AddConstraint(
            model_name="draftshape",
            constraint=models.CheckConstraint(
                condition=models.Q(("level__in", [1, 2, 3, 4, 5])), name="draft_shape_level_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="draftshape",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("retired", False), models.Q(("base__isnull", False), ("geom", None)), _connector="OR"
                ),
                name="draft_shape_retired_has_a_base",
            ),
        ),
        migrations.AddConstraint(
            model_name="draftedit",
            constraint=models.UniqueConstraint(fields=("draft", "version"), name="draft_edit_once"),
        ),
        migrations.AddConstraint(
            model_name="draftacceptance",
            constraint=models.UniqueConstraint(fields=("draft", "problem"), name="draft_acceptance_once"),
        ),
        migrations.AddConstraint(
            model_name="draftacceptance",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="draft_acceptance_has_reason"
            ),
        ),
        migrations.RunSQL(GUARDS, BACK),
        migrations.RunSQL(PLACED, migrations.RunSQL.noop),
    ]
