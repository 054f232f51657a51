"""Applications for service points, their closing, and the notice to their visitors."""

import django.contrib.gis.db.models.fields
import django.contrib.postgres.constraints
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import network.models.points

# A point that closes takes no more parcels: on the map it is counted with the closed ones.
COUNTED = """
CREATE OR REPLACE FUNCTION point_cells_add(signs integer[], statuses text[], places geometry[]) RETURNS void LANGUAGE sql
    SET jit = off AS $$
    WITH point AS (
        SELECT sign, status, map_x(place) AS x, map_y(place) AS y FROM unnest(signs, statuses, places) u(sign, status, place)
    ), finest AS (
        SELECT x >> 16 AS x, y >> 16 AS y, sum(sign * x) AS x_sum, sum(sign * y) AS y_sum,
               coalesce(sum(sign) FILTER (WHERE status = 'proposed'), 0) AS proposed,
               coalesce(sum(sign) FILTER (WHERE status = 'active'), 0) AS active,
               coalesce(sum(sign) FILTER (WHERE status = 'suspended'), 0) AS suspended,
               coalesce(sum(sign) FILTER (WHERE status IN ('closing', 'closed')), 0) AS closed
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
"""

# What was decided or ended stays as it is.
GUARDS = """
CREATE FUNCTION point_application_is_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an application that is not waiting any more stays as it is' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER only_decided_once BEFORE UPDATE OR DELETE ON network_pointapplication
    FOR EACH ROW WHEN (OLD.status <> 'waiting') EXECUTE FUNCTION point_application_is_decided_once();
CREATE FUNCTION closing_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closing that has ended stays as it is' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER only_ended_once BEFORE UPDATE OR DELETE ON network_closing
    FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) EXECUTE FUNCTION closing_ends_once();
"""
BACK = """
DROP TRIGGER only_ended_once ON network_closing;
DROP TRIGGER only_decided_once ON network_pointapplication;
DROP FUNCTION closing_ends_once(), point_application_is_decided_once();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("network", "0006_applications"),
    ]

    operations = [
        migrations.CreateModel(
            name="Closing",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("asked", "asked for"),
                            ("planned", "planned"),
                            ("begun", "begun"),
                            ("finished", "finished"),
                            ("dropped", "dropped"),
                        ],
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("reason", models.CharField(max_length=200, verbose_name="reason")),
                ("begins_at", models.DateTimeField(verbose_name="no new parcels from")),
                ("last_day", models.DateField(verbose_name="hands over until")),
                ("made_at", models.DateTimeField(verbose_name="made")),
                ("begun_at", models.DateTimeField(blank=True, null=True, verbose_name="begun")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
            ],
            options={
                "verbose_name": "closing of a service point",
                "verbose_name_plural": "closings of service points",
            },
        ),
        migrations.CreateModel(
            name="PointApplication",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("approved", "approved"),
                            ("refused", "refused"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("name", models.CharField(max_length=100, verbose_name="name of the shop")),
                ("address", models.CharField(max_length=300, verbose_name="address")),
                (
                    "phone",
                    models.CharField(
                        help_text="E.164, +8613800138000", max_length=16, verbose_name="phone of the shop"
                    ),
                ),
                (
                    "location",
                    django.contrib.gis.db.models.fields.PointField(
                        spatial_index=False, srid=4326, verbose_name="location, WGS 84"
                    ),
                ),
                (
                    "opening_hours",
                    models.CharField(
                        blank=True,
                        max_length=500,
                        validators=[network.models.points.validate_opening_hours],
                        verbose_name="opening hours",
                    ),
                ),
                ("capacity", models.IntegerField(verbose_name="capacity, parcels")),
                ("photo", models.BinaryField(verbose_name="photo of the shop")),
                ("made_at", models.DateTimeField(verbose_name="made")),
                ("changed_at", models.DateTimeField(blank=True, null=True, verbose_name="corrected")),
                ("changes", models.SmallIntegerField(default=0, verbose_name="corrections")),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
                ("reason", models.CharField(blank=True, max_length=300, verbose_name="reason of the decision")),
            ],
            options={
                "verbose_name": "application for a service point",
                "verbose_name_plural": "applications for service points",
            },
        ),
        migrations.CreateModel(
            name="VisitorNotice",
            fields=[
                (
                    "service_point",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="visitor_notice",
                        serialize=False,
                        to="network.servicepoint",
                        verbose_name="service point",
                    ),
                ),
                ("text_zh", models.CharField(blank=True, max_length=120, verbose_name="in Chinese")),
                ("text_en", models.CharField(blank=True, max_length=120, verbose_name="in English")),
                ("first_day", models.DateField(verbose_name="first day")),
                ("last_day", models.DateField(verbose_name="last day")),
                ("changed_at", models.DateTimeField(verbose_name="changed")),
            ],
            options={
                "verbose_name": "notice to visitors",
                "verbose_name_plural": "notices to visitors",
            },
        ),
        migrations.RemoveConstraint(
            model_name="servicepoint",
            name="point_status_known",
        ),
        migrations.AlterField(
            model_name="pause",
            name="reason",
            field=models.CharField(
                choices=[
                    ("full", "full"),
                    ("vacation", "vacation"),
                    ("closing", "closing"),
                    ("technical", "technical"),
                    ("opening", "not open yet"),
                ],
                max_length=10,
                verbose_name="reason",
            ),
        ),
        migrations.AlterField(
            model_name="servicepoint",
            name="status",
            field=models.CharField(
                choices=[
                    ("proposed", "proposed"),
                    ("active", "active"),
                    ("suspended", "suspended"),
                    ("closing", "closing down"),
                    ("closed", "closed"),
                ],
                default="active",
                max_length=10,
                verbose_name="status",
            ),
        ),
        migrations.AddConstraint(
            model_name="servicepoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["proposed", "active", "suspended", "closing", "closed"])),
                name="point_status_known",
            ),
        ),
        migrations.AddField(
            model_name="closing",
            name="asked_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="asked by",
            ),
        ),
        migrations.AddField(
            model_name="closing",
            name="planned_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="planned by",
            ),
        ),
        migrations.AddField(
            model_name="closing",
            name="service_point",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="closings",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="pointapplication",
            name="applicant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="point_applications",
                to=settings.AUTH_USER_MODEL,
                verbose_name="applicant",
            ),
        ),
        migrations.AddField(
            model_name="pointapplication",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="pointapplication",
            name="service_point",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="visitornotice",
            name="changed_by",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="changed by",
            ),
        ),
        migrations.AddIndex(
            model_name="closing",
            index=models.Index(
                condition=models.Q(("state__in", ["planned", "begun"])), fields=["begins_at"], name="closing_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="closing",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["asked", "planned", "begun"])),
                fields=("service_point",),
                name="closing_one_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="closing",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["asked", "planned", "begun", "finished", "dropped"])),
                name="closing_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="closing",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("asked_by__isnull", True),
                    ("planned_by__isnull", True),
                    models.Q(("planned_by", models.F("asked_by")), _negated=True),
                    _connector="OR",
                ),
                name="closing_planned_by_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="closing",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["asked", "dropped"]), ("planned_by__isnull", False), _connector="OR"),
                name="closing_planned_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="closing",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="closing_has_a_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="closing",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("begun_at__isnull", True), ("ended_at__isnull", True), ("state__in", ["asked", "planned"])
                    ),
                    models.Q(("begun_at__isnull", False), ("ended_at__isnull", True), ("state", "begun")),
                    models.Q(("begun_at__isnull", False), ("ended_at__isnull", False), ("state", "finished")),
                    models.Q(("ended_at__isnull", False), ("state", "dropped")),
                    _connector="OR",
                ),
                name="closing_times_fit_its_state",
            ),
        ),
        migrations.AddIndex(
            model_name="pointapplication",
            index=models.Index(
                condition=models.Q(("status", "waiting")), fields=["made_at", "id"], name="point_application_waiting"
            ),
        ),
        migrations.AddIndex(
            model_name="pointapplication",
            index=models.Index(fields=["applicant", "made_at"], name="point_application_made"),
        ),
        migrations.AddConstraint(
            model_name="pointapplication",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                condition=models.Q(("status", "waiting")),
                expressions=[
                    ("applicant", "="),
                    (models.Func(models.F("location"), models.Value(0.00025), function="ST_Expand"), "&&"),
                ],
                name="point_application_once_per_place",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["waiting", "approved", "refused", "withdrawn"])),
                name="point_application_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", True),
                        ("decided_by__isnull", True),
                        ("status__in", ["waiting", "withdrawn"]),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("status__in", ["approved", "refused"]),
                    ),
                    _connector="OR",
                ),
                name="point_application_decision_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by__isnull", True),
                    models.Q(("decided_by", models.F("applicant")), _negated=True),
                    _connector="OR",
                ),
                name="point_application_decided_by_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "refused"), _negated=True),
                    models.Q(("reason", ""), _negated=True),
                    _connector="OR",
                ),
                name="point_application_refused_with_a_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("service_point__isnull", False), ("status", "approved")),
                    models.Q(models.Q(("status", "approved"), _negated=True), ("service_point__isnull", True)),
                    _connector="OR",
                ),
                name="point_application_approved_has_a_point",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(("capacity__range", (1, 10000))), name="point_application_capacity"
            ),
        ),
        migrations.AddConstraint(
            model_name="visitornotice",
            constraint=models.CheckConstraint(
                condition=models.Q(("text_en", ""), ("text_zh", ""), _negated=True),
                name="visitor_notice_says_something",
            ),
        ),
        migrations.AddConstraint(
            model_name="visitornotice",
            constraint=models.CheckConstraint(
                condition=models.Q(("last_day__gte", models.F("first_day"))), name="visitor_notice_days_in_order"
            ),
        ),
        migrations.RunSQL(COUNTED, migrations.RunSQL.noop),
        migrations.RunSQL(GUARDS, BACK),
    ]
