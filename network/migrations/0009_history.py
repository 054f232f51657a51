"""The history of places and people: a table of events beside each kept model, filled by triggers; exports."""

import uuid

import django.contrib.auth.models
import django.contrib.gis.db.models.fields
import django.contrib.postgres.fields.ranges
import django.db.models.deletion
import django.db.models.fields.json
import django.utils.timezone
import pghistory.utils
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

import network.models.points

# What was there before the history began is its first event: so that the first change has something to differ from.
KNOWN = """
DO $$
DECLARE
    events record;
    copied text;
    key name;
BEGIN
    FOR events IN
        SELECT c.table_name AS name, CASE c.table_name WHEN 'network_rightsevent' THEN 'auth_group'
                                     ELSE left(c.table_name, -5) END AS kept
        FROM information_schema.columns c
        WHERE c.table_schema = current_schema() AND c.column_name = 'pgh_obj_id' AND c.table_name LIKE 'network\\_%event'
          AND c.table_name NOT IN ('network_passkeyevent', 'pickup_orderevent')
    LOOP
        SELECT string_agg(quote_ident(e.column_name), ', ') INTO copied
        FROM information_schema.columns e
        WHERE e.table_schema = current_schema() AND e.table_name = events.name AND e.column_name NOT LIKE 'pgh\\_%';
        SELECT a.attname INTO key FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = events.kept::regclass AND i.indisprimary;
        EXECUTE format('INSERT INTO %I (pgh_created_at, pgh_label, pgh_obj_id, %s)
                        SELECT clock_timestamp(), ''known'', %I, %s FROM %I',
                       events.name, copied, key, copied, events.kept);
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("network", "0008_confirmed_places"),
    ]

    operations = [
        migrations.CreateModel(
            name="AgentEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("ref", models.CharField(max_length=64, verbose_name="reference")),
                ("name", models.CharField(max_length=100, verbose_name="name")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="AppointmentApplicationEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
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
                ("made_at", models.DateTimeField(auto_now_add=True, verbose_name="made")),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
                ("answer", models.TextField(blank=True, max_length=2000, verbose_name="answer")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="AppointmentEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("valid", django.contrib.postgres.fields.ranges.DateTimeRangeField(verbose_name="in force")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended early on")),
                ("end_reason", models.TextField(blank=True, verbose_name="why it ended early")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="BoundarySetEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "source",
                    models.CharField(
                        help_text="file or package and its version", max_length=200, verbose_name="source"
                    ),
                ),
                ("datum", models.CharField(default="wgs84", max_length=10, verbose_name="datum of the source")),
                ("valid_from", models.DateTimeField(verbose_name="in force from")),
                (
                    "points_placed_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="to the regions in which they lie since this set",
                        null=True,
                        verbose_name="service points moved",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ClosingEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
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
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ConfirmedPlaceEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("accuracy_m", models.FloatField(verbose_name="accuracy, m")),
                ("confirmed_at", models.DateTimeField(verbose_name="confirmed")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="DeviceEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("revoked_at", models.DateTimeField(blank=True, null=True, verbose_name="revoked")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Export",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60, verbose_name="list")),
                ("asked", models.JSONField(default=dict, verbose_name="filters")),
                (
                    "form",
                    models.CharField(
                        choices=[("csv", "CSV"), ("xlsx", "XLSX")], max_length=4, verbose_name="kind of file"
                    ),
                ),
                ("language", models.CharField(max_length=10, verbose_name="language")),
                ("made_at", models.DateTimeField(auto_now_add=True, verbose_name="asked for")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("running", "being written"),
                            ("done", "done"),
                            ("failed", "failed"),
                            ("deleted", "deleted"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("claim", models.UUIDField(default=uuid.uuid4, editable=False, verbose_name="who writes it")),
                ("beat_at", models.DateTimeField(blank=True, null=True, verbose_name="last sign of life")),
                ("tries", models.PositiveSmallIntegerField(default=0, verbose_name="tries")),
                ("rows_done", models.PositiveBigIntegerField(default=0, verbose_name="rows written")),
                ("rows_all", models.PositiveBigIntegerField(default=0, verbose_name="rows in all")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
            ],
            options={
                "verbose_name": "export",
                "verbose_name_plural": "exports",
            },
        ),
        migrations.CreateModel(
            name="GroupOfUserEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="MembershipEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                (
                    "role",
                    models.CharField(
                        choices=[("owner", "owner"), ("clerk", "clerk")], max_length=10, verbose_name="role"
                    ),
                ),
                ("since", models.DateTimeField(auto_now_add=True, verbose_name="since")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="PasskeyEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("recovery_codes", "Recovery codes"),
                            ("totp", "TOTP Authenticator"),
                            ("webauthn", "WebAuthn"),
                        ],
                        max_length=20,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="PauseEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                (
                    "reason",
                    models.CharField(
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
                ("period", django.contrib.postgres.fields.ranges.DateTimeRangeField(verbose_name="period")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="PointApplicationEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
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
                ("made_at", models.DateTimeField(verbose_name="made")),
                ("changed_at", models.DateTimeField(blank=True, null=True, verbose_name="corrected")),
                ("changes", models.SmallIntegerField(default=0, verbose_name="corrections")),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
                ("reason", models.CharField(blank=True, max_length=300, verbose_name="reason of the decision")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="PointProposalEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                (
                    "location",
                    django.contrib.gis.db.models.fields.PointField(
                        spatial_index=False, srid=4326, verbose_name="location, WGS 84"
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("address", models.CharField(blank=True, max_length=300, verbose_name="address")),
                ("reasons", models.TextField(max_length=2000, verbose_name="reasons")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("taken", "taken up"),
                            ("refused", "refused"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("made_at", models.DateTimeField(auto_now_add=True, verbose_name="made")),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
                ("answer", models.TextField(blank=True, max_length=2000, verbose_name="answer")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="RegionAliasEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("name", models.CharField(max_length=100, verbose_name="name")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="RegionEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                (
                    "code",
                    models.CharField(help_text="GB/T 2260 where there is one", max_length=32, verbose_name="code"),
                ),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                (
                    "level",
                    models.SmallIntegerField(
                        choices=[(1, "macro-region"), (2, "province"), (3, "city"), (4, "district"), (5, "custom")],
                        verbose_name="level",
                    ),
                ),
                (
                    "path",
                    models.CharField(
                        help_text="codes from the root, joined by dots", max_length=200, verbose_name="path"
                    ),
                ),
                (
                    "network_level",
                    models.SmallIntegerField(
                        blank=True,
                        choices=[(1, "macro-region"), (2, "province"), (3, "city"), (4, "district"), (5, "custom")],
                        help_text="addresses here are served only by points in the same region of this level; empty: by any",
                        null=True,
                        verbose_name="served within",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="RightOfGroupEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.IntegerField()),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="RightOfUserEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="RightsEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.IntegerField()),
                ("name", models.CharField(max_length=150, verbose_name="name")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ServicePointEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("ref", models.CharField(max_length=64, verbose_name="reference")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "status",
                    models.CharField(
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
                (
                    "location",
                    django.contrib.gis.db.models.fields.PointField(
                        spatial_index=False, srid=4326, verbose_name="location, WGS 84"
                    ),
                ),
                ("city", models.CharField(blank=True, max_length=100, verbose_name="city")),
                ("address", models.CharField(blank=True, max_length=300, verbose_name="address")),
                ("phone", models.CharField(blank=True, max_length=32, verbose_name="phone")),
                ("capacity", models.IntegerField(default=200, verbose_name="capacity, parcels")),
                ("reach_m", models.IntegerField(default=10000, verbose_name="reach, m")),
                (
                    "largest_size",
                    models.SmallIntegerField(
                        choices=[(1, "S"), (2, "M"), (3, "L")], default=3, verbose_name="largest size"
                    ),
                ),
                (
                    "opening_hours",
                    models.CharField(
                        blank=True,
                        help_text="OpenStreetMap syntax; empty: every day",
                        max_length=500,
                        validators=[network.models.points.validate_opening_hours],
                        verbose_name="opening hours",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="UserEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                ("phone", models.CharField(help_text="E.164, +8613800138000", max_length=16, verbose_name="phone")),
                ("name", models.CharField(blank=True, max_length=100, verbose_name="name")),
                ("is_staff", models.BooleanField(default=False, verbose_name="admin")),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("joined_at", models.DateTimeField(auto_now_add=True, verbose_name="joined")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="VisitorNoticeEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("text_zh", models.CharField(blank=True, max_length=120, verbose_name="in Chinese")),
                ("text_en", models.CharField(blank=True, max_length=120, verbose_name="in English")),
                ("first_day", models.DateField(verbose_name="first day")),
                ("last_day", models.DateField(verbose_name="last day")),
                ("changed_at", models.DateTimeField(verbose_name="changed")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Rights",
            fields=[],
            options={
                "verbose_name": "group",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("auth.group",),
            managers=[
                ("objects", django.contrib.auth.models.GroupManager()),
            ],
        ),
        migrations.CreateModel(
            name="Passkey",
            fields=[],
            options={
                "verbose_name": "passkey",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("mfa.authenticator",),
        ),
        migrations.CreateModel(
            name="GroupOfUser",
            fields=[],
            options={
                "verbose_name": "group of a person",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("network.user_groups",),
        ),
        migrations.CreateModel(
            name="RightOfGroup",
            fields=[],
            options={
                "verbose_name": "right of a group",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("auth.group_permissions",),
        ),
        migrations.CreateModel(
            name="RightOfUser",
            fields=[],
            options={
                "verbose_name": "right of a person",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("network.user_user_permissions",),
        ),
        migrations.AlterModelOptions(
            name="user",
            options={
                "permissions": [("view_history", "Can view the history of changes")],
                "verbose_name": "person",
                "verbose_name_plural": "people",
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="agent",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_agentevent" ("id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "ref", "user_id") VALUES (NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."ref", NEW."user_id"); RETURN NULL;',
                    hash="685cfc926af28b99b3bfb1b278996238e0f9b591",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_c807c",
                    table="network_agent",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="agent",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_agentevent" ("id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "ref", "user_id") VALUES (NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."ref", NEW."user_id"); RETURN NULL;',
                    hash="4de447d2cb848e36449910f69e92d1896a142cd8",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_7ae23",
                    table="network_agent",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="agent",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_agentevent" ("id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "ref", "user_id") VALUES (OLD."id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."ref", OLD."user_id"); RETURN NULL;',
                    hash="7a7b9276d924197a2c3d5e34865ea95753b610df",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_49b2b",
                    table="network_agent",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointment",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_appointmentevent" ("agent_id", "appointed_by_id", "created_at", "end_reason", "ended_at", "ended_by_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "region_id", "valid") VALUES (NEW."agent_id", NEW."appointed_by_id", NEW."created_at", NEW."end_reason", NEW."ended_at", NEW."ended_by_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."reason", NEW."region_id", NEW."valid"); RETURN NULL;',
                    hash="eca9352e90079feaa3529b90bc566be940d9f69f",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_387b3",
                    table="network_appointment",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointment",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_appointmentevent" ("agent_id", "appointed_by_id", "created_at", "end_reason", "ended_at", "ended_by_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "region_id", "valid") VALUES (NEW."agent_id", NEW."appointed_by_id", NEW."created_at", NEW."end_reason", NEW."ended_at", NEW."ended_by_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."reason", NEW."region_id", NEW."valid"); RETURN NULL;',
                    hash="ccbe9ed03ad9d5e1fa7ea0dc6f425272cc239874",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_ec585",
                    table="network_appointment",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointment",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_appointmentevent" ("agent_id", "appointed_by_id", "created_at", "end_reason", "ended_at", "ended_by_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "region_id", "valid") VALUES (OLD."agent_id", OLD."appointed_by_id", OLD."created_at", OLD."end_reason", OLD."ended_at", OLD."ended_by_id", OLD."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."reason", OLD."region_id", OLD."valid"); RETURN NULL;',
                    hash="70543a3396db14446ea5476395a65b7c5c81dada",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_9c861",
                    table="network_appointment",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointmentapplication",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_appointmentapplicationevent" ("answer", "appointment_id", "decided_at", "decided_by_id", "id", "made_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "region_id", "status", "user_id") VALUES (NEW."answer", NEW."appointment_id", NEW."decided_at", NEW."decided_by_id", NEW."id", NEW."made_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."region_id", NEW."status", NEW."user_id"); RETURN NULL;',
                    hash="47311c01396da13244056e8feaa3fab3245db5dd",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_9b4c3",
                    table="network_appointmentapplication",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointmentapplication",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."answer" IS DISTINCT FROM (NEW."answer") OR OLD."appointment_id" IS DISTINCT FROM (NEW."appointment_id") OR OLD."decided_at" IS DISTINCT FROM (NEW."decided_at") OR OLD."decided_by_id" IS DISTINCT FROM (NEW."decided_by_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."made_at" IS DISTINCT FROM (NEW."made_at") OR OLD."region_id" IS DISTINCT FROM (NEW."region_id") OR OLD."status" IS DISTINCT FROM (NEW."status") OR OLD."user_id" IS DISTINCT FROM (NEW."user_id"))',
                    func='INSERT INTO "network_appointmentapplicationevent" ("answer", "appointment_id", "decided_at", "decided_by_id", "id", "made_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "region_id", "status", "user_id") VALUES (NEW."answer", NEW."appointment_id", NEW."decided_at", NEW."decided_by_id", NEW."id", NEW."made_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."region_id", NEW."status", NEW."user_id"); RETURN NULL;',
                    hash="763dbc0f3476718ca54e6cd9a9ebba6539c7dd04",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_4b680",
                    table="network_appointmentapplication",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointmentapplication",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_appointmentapplicationevent" ("answer", "appointment_id", "decided_at", "decided_by_id", "id", "made_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "region_id", "status", "user_id") VALUES (OLD."answer", OLD."appointment_id", OLD."decided_at", OLD."decided_by_id", OLD."id", OLD."made_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."region_id", OLD."status", OLD."user_id"); RETURN NULL;',
                    hash="477898cdf6c7ef0f55a82810704ca9959188aeb9",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_1a7f5",
                    table="network_appointmentapplication",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="boundaryset",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_boundarysetevent" ("created_at", "datum", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "points_placed_at", "source", "valid_from") VALUES (NEW."created_at", NEW."datum", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."points_placed_at", NEW."source", NEW."valid_from"); RETURN NULL;',
                    hash="5ca4d431fc8a4fc17b4ff8d4eb5636ef7968d96e",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_08a04",
                    table="network_boundaryset",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="boundaryset",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_boundarysetevent" ("created_at", "datum", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "points_placed_at", "source", "valid_from") VALUES (NEW."created_at", NEW."datum", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."points_placed_at", NEW."source", NEW."valid_from"); RETURN NULL;',
                    hash="c21bca77bc4c9c0c71aa7ed1e45550aa0b8d8fa8",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_69d3d",
                    table="network_boundaryset",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="boundaryset",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_boundarysetevent" ("created_at", "datum", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "points_placed_at", "source", "valid_from") VALUES (OLD."created_at", OLD."datum", OLD."id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."points_placed_at", OLD."source", OLD."valid_from"); RETURN NULL;',
                    hash="285239ca445ed64d61be9bc1690249eea9c106df",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_5bfaf",
                    table="network_boundaryset",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="closing",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_closingevent" ("asked_by_id", "begins_at", "begun_at", "ended_at", "id", "last_day", "made_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "planned_by_id", "reason", "service_point_id", "state") VALUES (NEW."asked_by_id", NEW."begins_at", NEW."begun_at", NEW."ended_at", NEW."id", NEW."last_day", NEW."made_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."planned_by_id", NEW."reason", NEW."service_point_id", NEW."state"); RETURN NULL;',
                    hash="01653576879f488bd133c2fab0cf7347a05e6aad",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_4c3db",
                    table="network_closing",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="closing",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_closingevent" ("asked_by_id", "begins_at", "begun_at", "ended_at", "id", "last_day", "made_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "planned_by_id", "reason", "service_point_id", "state") VALUES (NEW."asked_by_id", NEW."begins_at", NEW."begun_at", NEW."ended_at", NEW."id", NEW."last_day", NEW."made_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."planned_by_id", NEW."reason", NEW."service_point_id", NEW."state"); RETURN NULL;',
                    hash="85f1bfde5e6fb7ea581e11ec07770270006509c4",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_da9af",
                    table="network_closing",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="closing",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_closingevent" ("asked_by_id", "begins_at", "begun_at", "ended_at", "id", "last_day", "made_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "planned_by_id", "reason", "service_point_id", "state") VALUES (OLD."asked_by_id", OLD."begins_at", OLD."begun_at", OLD."ended_at", OLD."id", OLD."last_day", OLD."made_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."planned_by_id", OLD."reason", OLD."service_point_id", OLD."state"); RETURN NULL;',
                    hash="240eb456748467b9a00f3315a16b9837b4a248d1",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_987fc",
                    table="network_closing",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="confirmedplace",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_confirmedplaceevent" ("accuracy_m", "confirmed_at", "confirmed_by_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."accuracy_m", NEW."confirmed_at", NEW."confirmed_by_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id"); RETURN NULL;',
                    hash="4c51af543f3da7d612931d21e6717390bc2063c1",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_6a7b5",
                    table="network_confirmedplace",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="confirmedplace",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."accuracy_m" IS DISTINCT FROM (NEW."accuracy_m") OR OLD."confirmed_at" IS DISTINCT FROM (NEW."confirmed_at") OR OLD."confirmed_by_id" IS DISTINCT FROM (NEW."confirmed_by_id") OR OLD."id" IS DISTINCT FROM (NEW."id"))',
                    func='INSERT INTO "network_confirmedplaceevent" ("accuracy_m", "confirmed_at", "confirmed_by_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."accuracy_m", NEW."confirmed_at", NEW."confirmed_by_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id"); RETURN NULL;',
                    hash="beaa776a06e5c3f40f28512f0e674330147968fe",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_e2fe3",
                    table="network_confirmedplace",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="confirmedplace",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_confirmedplaceevent" ("accuracy_m", "confirmed_at", "confirmed_by_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (OLD."accuracy_m", OLD."confirmed_at", OLD."confirmed_by_id", OLD."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id"); RETURN NULL;',
                    hash="600e589775290df691d3f240487c4e9c11cb82e0",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_241b2",
                    table="network_confirmedplace",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="device",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_deviceevent" ("created_at", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "revoked_at", "service_point_id", "user_id") VALUES (NEW."created_at", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."revoked_at", NEW."service_point_id", NEW."user_id"); RETURN NULL;',
                    hash="e1296867a4f95fa1f57ab88fe6f6dde2135f089f",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_ccaf1",
                    table="network_device",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="device",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."revoked_at" IS DISTINCT FROM (NEW."revoked_at") OR OLD."service_point_id" IS DISTINCT FROM (NEW."service_point_id") OR OLD."user_id" IS DISTINCT FROM (NEW."user_id"))',
                    func='INSERT INTO "network_deviceevent" ("created_at", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "revoked_at", "service_point_id", "user_id") VALUES (NEW."created_at", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."revoked_at", NEW."service_point_id", NEW."user_id"); RETURN NULL;',
                    hash="687a4ab43fefc9aa864d56493bb647bc1c3f608c",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_b0e2e",
                    table="network_device",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="device",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_deviceevent" ("created_at", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "revoked_at", "service_point_id", "user_id") VALUES (OLD."created_at", OLD."id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."revoked_at", OLD."service_point_id", OLD."user_id"); RETURN NULL;',
                    hash="2e9252692c00b52ef751131fbd259e30a7b0a33a",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_3ee9d",
                    table="network_device",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="membership",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_membershipevent" ("ended_at", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "role", "service_point_id", "since", "user_id") VALUES (NEW."ended_at", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."role", NEW."service_point_id", NEW."since", NEW."user_id"); RETURN NULL;',
                    hash="6b1476658cfdef0699f77a29636554332edd6667",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_b5da0",
                    table="network_membership",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="membership",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_membershipevent" ("ended_at", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "role", "service_point_id", "since", "user_id") VALUES (NEW."ended_at", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."role", NEW."service_point_id", NEW."since", NEW."user_id"); RETURN NULL;',
                    hash="627c7ae026d698c151af7cb128b181d4255cf712",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_00e3b",
                    table="network_membership",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="membership",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_membershipevent" ("ended_at", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "role", "service_point_id", "since", "user_id") VALUES (OLD."ended_at", OLD."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."role", OLD."service_point_id", OLD."since", OLD."user_id"); RETURN NULL;',
                    hash="941565a485292513e88da73a80b9e4ac02404535",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_3c6b1",
                    table="network_membership",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pause",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_pauseevent" ("id", "period", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id") VALUES (NEW."id", NEW."period", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."reason", NEW."service_point_id"); RETURN NULL;',
                    hash="c4c2d5c086b4b0f80e830607100dc5323be03a3f",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_e6553",
                    table="network_pause",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pause",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_pauseevent" ("id", "period", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id") VALUES (NEW."id", NEW."period", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."reason", NEW."service_point_id"); RETURN NULL;',
                    hash="d98b7f6d6339dc751a482d9becc47e2b39c7fd77",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_1aece",
                    table="network_pause",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pause",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_pauseevent" ("id", "period", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id") VALUES (OLD."id", OLD."period", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."reason", OLD."service_point_id"); RETURN NULL;',
                    hash="0d34b27e39fc14cde2b20b3e38e76d4dd9285e9e",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_d973a",
                    table="network_pause",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointapplication",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_pointapplicationevent" ("address", "applicant_id", "capacity", "changed_at", "changes", "decided_at", "decided_by_id", "id", "location", "made_at", "name", "opening_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id", "status") VALUES (NEW."address", NEW."applicant_id", NEW."capacity", NEW."changed_at", NEW."changes", NEW."decided_at", NEW."decided_by_id", NEW."id", NEW."location", NEW."made_at", NEW."name", NEW."opening_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."reason", NEW."service_point_id", NEW."status"); RETURN NULL;',
                    hash="c086085f4e9bdad4cb0f02d80f20b919c7b4b818",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_319e9",
                    table="network_pointapplication",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointapplication",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."address" IS DISTINCT FROM (NEW."address") OR OLD."applicant_id" IS DISTINCT FROM (NEW."applicant_id") OR OLD."capacity" IS DISTINCT FROM (NEW."capacity") OR OLD."changed_at" IS DISTINCT FROM (NEW."changed_at") OR OLD."changes" IS DISTINCT FROM (NEW."changes") OR OLD."decided_at" IS DISTINCT FROM (NEW."decided_at") OR OLD."decided_by_id" IS DISTINCT FROM (NEW."decided_by_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."location" IS DISTINCT FROM (NEW."location") OR OLD."made_at" IS DISTINCT FROM (NEW."made_at") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."opening_hours" IS DISTINCT FROM (NEW."opening_hours") OR OLD."reason" IS DISTINCT FROM (NEW."reason") OR OLD."service_point_id" IS DISTINCT FROM (NEW."service_point_id") OR OLD."status" IS DISTINCT FROM (NEW."status"))',
                    func='INSERT INTO "network_pointapplicationevent" ("address", "applicant_id", "capacity", "changed_at", "changes", "decided_at", "decided_by_id", "id", "location", "made_at", "name", "opening_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id", "status") VALUES (NEW."address", NEW."applicant_id", NEW."capacity", NEW."changed_at", NEW."changes", NEW."decided_at", NEW."decided_by_id", NEW."id", NEW."location", NEW."made_at", NEW."name", NEW."opening_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."reason", NEW."service_point_id", NEW."status"); RETURN NULL;',
                    hash="e7732fd604e75c0ca64480e3bbb878ef96aa963f",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_4adf1",
                    table="network_pointapplication",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointapplication",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_pointapplicationevent" ("address", "applicant_id", "capacity", "changed_at", "changes", "decided_at", "decided_by_id", "id", "location", "made_at", "name", "opening_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id", "status") VALUES (OLD."address", OLD."applicant_id", OLD."capacity", OLD."changed_at", OLD."changes", OLD."decided_at", OLD."decided_by_id", OLD."id", OLD."location", OLD."made_at", OLD."name", OLD."opening_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."reason", OLD."service_point_id", OLD."status"); RETURN NULL;',
                    hash="1432e705c7901a0828879970048ff038776daf1a",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_2a8d6",
                    table="network_pointapplication",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointproposal",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_pointproposalevent" ("address", "agent_id", "answer", "decided_at", "decided_by_id", "id", "location", "made_at", "made_by_id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reasons", "region_id", "service_point_id", "status") VALUES (NEW."address", NEW."agent_id", NEW."answer", NEW."decided_at", NEW."decided_by_id", NEW."id", NEW."location", NEW."made_at", NEW."made_by_id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."reasons", NEW."region_id", NEW."service_point_id", NEW."status"); RETURN NULL;',
                    hash="ea547844064b6989ebeba8b00bb2707ceff00b8c",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_f2862",
                    table="network_pointproposal",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointproposal",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_pointproposalevent" ("address", "agent_id", "answer", "decided_at", "decided_by_id", "id", "location", "made_at", "made_by_id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reasons", "region_id", "service_point_id", "status") VALUES (NEW."address", NEW."agent_id", NEW."answer", NEW."decided_at", NEW."decided_by_id", NEW."id", NEW."location", NEW."made_at", NEW."made_by_id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."reasons", NEW."region_id", NEW."service_point_id", NEW."status"); RETURN NULL;',
                    hash="87ec62d6f24b69707abc2b30d4052dd8b150142f",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_88f67",
                    table="network_pointproposal",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointproposal",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_pointproposalevent" ("address", "agent_id", "answer", "decided_at", "decided_by_id", "id", "location", "made_at", "made_by_id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reasons", "region_id", "service_point_id", "status") VALUES (OLD."address", OLD."agent_id", OLD."answer", OLD."decided_at", OLD."decided_by_id", OLD."id", OLD."location", OLD."made_at", OLD."made_by_id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."reasons", OLD."region_id", OLD."service_point_id", OLD."status"); RETURN NULL;',
                    hash="efc43dc30aef88b34eecbffa8706208eda162177",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_e6227",
                    table="network_pointproposal",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="region",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_regionevent" ("code", "id", "level", "name", "network_level", "parent_id", "path", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."code", NEW."id", NEW."level", NEW."name", NEW."network_level", NEW."parent_id", NEW."path", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id"); RETURN NULL;',
                    hash="6ff3ea903bbe5b0976bc5141f1fb3681325c61fe",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_54ca1",
                    table="network_region",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="region",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_regionevent" ("code", "id", "level", "name", "network_level", "parent_id", "path", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."code", NEW."id", NEW."level", NEW."name", NEW."network_level", NEW."parent_id", NEW."path", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id"); RETURN NULL;',
                    hash="7a0aae1330088c6bd939807cc4bdf0c48253b728",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_7bdc8",
                    table="network_region",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="region",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_regionevent" ("code", "id", "level", "name", "network_level", "parent_id", "path", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (OLD."code", OLD."id", OLD."level", OLD."name", OLD."network_level", OLD."parent_id", OLD."path", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id"); RETURN NULL;',
                    hash="50f3e23ad82ea6d7a640b2e7b4a9d351df466fec",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_bb988",
                    table="network_region",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="regionalias",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_regionaliasevent" ("id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "region_id") VALUES (NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."region_id"); RETURN NULL;',
                    hash="5bb862e412cad9c86e57d38b407e4761d1862d3a",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_92cfe",
                    table="network_regionalias",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="regionalias",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_regionaliasevent" ("id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "region_id") VALUES (NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."region_id"); RETURN NULL;',
                    hash="cf96bf4bb9206e1dd266fc187d1b79f9eebe6b38",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_91316",
                    table="network_regionalias",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="regionalias",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_regionaliasevent" ("id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "region_id") VALUES (OLD."id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."region_id"); RETURN NULL;',
                    hash="fb1975936ae307e54e4ed59a279f8c0bee57f40a",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_a9f4d",
                    table="network_regionalias",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="servicepoint",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_servicepointevent" ("address", "capacity", "city", "id", "largest_size", "location", "name", "opening_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "reach_m", "ref", "region_id", "status") VALUES (NEW."address", NEW."capacity", NEW."city", NEW."id", NEW."largest_size", NEW."location", NEW."name", NEW."opening_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."phone", NEW."reach_m", NEW."ref", NEW."region_id", NEW."status"); RETURN NULL;',
                    hash="08781b51b9702ee356275d85c4f1360659e95eb5",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_0efea",
                    table="network_servicepoint",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="servicepoint",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."address" IS DISTINCT FROM (NEW."address") OR OLD."capacity" IS DISTINCT FROM (NEW."capacity") OR OLD."city" IS DISTINCT FROM (NEW."city") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."largest_size" IS DISTINCT FROM (NEW."largest_size") OR OLD."location" IS DISTINCT FROM (NEW."location") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."opening_hours" IS DISTINCT FROM (NEW."opening_hours") OR OLD."phone" IS DISTINCT FROM (NEW."phone") OR OLD."reach_m" IS DISTINCT FROM (NEW."reach_m") OR OLD."ref" IS DISTINCT FROM (NEW."ref") OR OLD."region_id" IS DISTINCT FROM (NEW."region_id") OR OLD."status" IS DISTINCT FROM (NEW."status"))',
                    func='INSERT INTO "network_servicepointevent" ("address", "capacity", "city", "id", "largest_size", "location", "name", "opening_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "reach_m", "ref", "region_id", "status") VALUES (NEW."address", NEW."capacity", NEW."city", NEW."id", NEW."largest_size", NEW."location", NEW."name", NEW."opening_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."phone", NEW."reach_m", NEW."ref", NEW."region_id", NEW."status"); RETURN NULL;',
                    hash="e116450fb6014f529a443a3b6fef45a77879adba",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_1a75f",
                    table="network_servicepoint",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="servicepoint",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_servicepointevent" ("address", "capacity", "city", "id", "largest_size", "location", "name", "opening_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "reach_m", "ref", "region_id", "status") VALUES (OLD."address", OLD."capacity", OLD."city", OLD."id", OLD."largest_size", OLD."location", OLD."name", OLD."opening_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."phone", OLD."reach_m", OLD."ref", OLD."region_id", OLD."status"); RETURN NULL;',
                    hash="cf4902244318646620c2bb37441104510b0ee643",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_99187",
                    table="network_servicepoint",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="user",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_userevent" ("id", "is_active", "is_staff", "is_superuser", "joined_at", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone") VALUES (NEW."id", NEW."is_active", NEW."is_staff", NEW."is_superuser", NEW."joined_at", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."phone"); RETURN NULL;',
                    hash="0141f95ed47af64a5e6779c08472f3cba9ba3c81",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_34f95",
                    table="network_user",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="user",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."is_active" IS DISTINCT FROM (NEW."is_active") OR OLD."is_staff" IS DISTINCT FROM (NEW."is_staff") OR OLD."is_superuser" IS DISTINCT FROM (NEW."is_superuser") OR OLD."joined_at" IS DISTINCT FROM (NEW."joined_at") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."phone" IS DISTINCT FROM (NEW."phone"))',
                    func='INSERT INTO "network_userevent" ("id", "is_active", "is_staff", "is_superuser", "joined_at", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone") VALUES (NEW."id", NEW."is_active", NEW."is_staff", NEW."is_superuser", NEW."joined_at", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."phone"); RETURN NULL;',
                    hash="e7347e42b841a9151b05888a622f3334fc50dce3",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_36239",
                    table="network_user",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="user",
            trigger=pgtrigger.compiler.Trigger(
                name="password_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."password" IS DISTINCT FROM (NEW."password"))',
                    func='INSERT INTO "network_userevent" ("id", "is_active", "is_staff", "is_superuser", "joined_at", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone") VALUES (NEW."id", NEW."is_active", NEW."is_staff", NEW."is_superuser", NEW."joined_at", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'password\', NEW."id", NEW."phone"); RETURN NULL;',
                    hash="52eba89a9bc4fc158f34b49b1d643435bf24e9e5",
                    operation="UPDATE",
                    pgid="pgtrigger_password_update_f644a",
                    table="network_user",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="user",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_userevent" ("id", "is_active", "is_staff", "is_superuser", "joined_at", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone") VALUES (OLD."id", OLD."is_active", OLD."is_staff", OLD."is_superuser", OLD."joined_at", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."phone"); RETURN NULL;',
                    hash="33195d397ce08e80bf06960b0cfdb159b910949a",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_76887",
                    table="network_user",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="visitornotice",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_visitornoticeevent" ("changed_at", "changed_by_id", "first_day", "last_day", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "service_point_id", "text_en", "text_zh") VALUES (NEW."changed_at", NEW."changed_by_id", NEW."first_day", NEW."last_day", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."service_point_id", NEW."service_point_id", NEW."text_en", NEW."text_zh"); RETURN NULL;',
                    hash="df9addce53030e951a2b98a0bfcacc0fdeda948e",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_72c17",
                    table="network_visitornotice",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="visitornotice",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_visitornoticeevent" ("changed_at", "changed_by_id", "first_day", "last_day", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "service_point_id", "text_en", "text_zh") VALUES (NEW."changed_at", NEW."changed_by_id", NEW."first_day", NEW."last_day", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."service_point_id", NEW."service_point_id", NEW."text_en", NEW."text_zh"); RETURN NULL;',
                    hash="5bbe2bc17237ddc3f8417dcebd134d020f62dcee",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_34910",
                    table="network_visitornotice",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="visitornotice",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_visitornoticeevent" ("changed_at", "changed_by_id", "first_day", "last_day", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "service_point_id", "text_en", "text_zh") VALUES (OLD."changed_at", OLD."changed_by_id", OLD."first_day", OLD."last_day", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."service_point_id", OLD."service_point_id", OLD."text_en", OLD."text_zh"); RETURN NULL;',
                    hash="3a8f3f5fbf7f2d64c6dd9522c9fa6ba22eb4ee8a",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_492e3",
                    table="network_visitornotice",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="agentevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.agent",
            ),
        ),
        migrations.AddField(
            model_name="agentevent",
            name="user",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="person",
            ),
        ),
        migrations.AddField(
            model_name="appointmentapplicationevent",
            name="appointment",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.appointment",
                verbose_name="appointment",
            ),
        ),
        migrations.AddField(
            model_name="appointmentapplicationevent",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="appointmentapplicationevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.appointmentapplication",
            ),
        ),
        migrations.AddField(
            model_name="appointmentapplicationevent",
            name="region",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.region",
                verbose_name="region",
            ),
        ),
        migrations.AddField(
            model_name="appointmentapplicationevent",
            name="user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="applicant",
            ),
        ),
        migrations.AddField(
            model_name="appointmentevent",
            name="agent",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.agent",
                verbose_name="agent",
            ),
        ),
        migrations.AddField(
            model_name="appointmentevent",
            name="appointed_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="appointed by",
            ),
        ),
        migrations.AddField(
            model_name="appointmentevent",
            name="ended_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="ended early by",
            ),
        ),
        migrations.AddField(
            model_name="appointmentevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.appointment",
            ),
        ),
        migrations.AddField(
            model_name="appointmentevent",
            name="region",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.region",
                verbose_name="region",
            ),
        ),
        migrations.AddField(
            model_name="boundarysetevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.boundaryset",
            ),
        ),
        migrations.AddField(
            model_name="closingevent",
            name="asked_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="asked by",
            ),
        ),
        migrations.AddField(
            model_name="closingevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.closing",
            ),
        ),
        migrations.AddField(
            model_name="closingevent",
            name="planned_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="planned by",
            ),
        ),
        migrations.AddField(
            model_name="closingevent",
            name="service_point",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="confirmedplaceevent",
            name="confirmed_by",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="confirmed by",
            ),
        ),
        migrations.AddField(
            model_name="confirmedplaceevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.confirmedplace",
            ),
        ),
        migrations.AddField(
            model_name="deviceevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.device",
            ),
        ),
        migrations.AddField(
            model_name="deviceevent",
            name="service_point",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="deviceevent",
            name="user",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                help_text="whose browser it is; empty: the shop's own",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="person",
            ),
        ),
        migrations.AddField(
            model_name="export",
            name="made_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="exports",
                to=settings.AUTH_USER_MODEL,
                verbose_name="asked for by",
            ),
        ),
        migrations.AddField(
            model_name="groupofuserevent",
            name="group",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                db_tablespace="",
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="auth.group",
            ),
        ),
        migrations.AddField(
            model_name="groupofuserevent",
            name="user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                db_tablespace="",
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="membershipevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.membership",
            ),
        ),
        migrations.AddField(
            model_name="membershipevent",
            name="service_point",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="membershipevent",
            name="user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="person",
            ),
        ),
        migrations.AddField(
            model_name="passkeyevent",
            name="user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="pauseevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.pause",
            ),
        ),
        migrations.AddField(
            model_name="pauseevent",
            name="service_point",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="pointapplicationevent",
            name="applicant",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="applicant",
            ),
        ),
        migrations.AddField(
            model_name="pointapplicationevent",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="pointapplicationevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.pointapplication",
            ),
        ),
        migrations.AddField(
            model_name="pointapplicationevent",
            name="service_point",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="pointproposalevent",
            name="agent",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.agent",
                verbose_name="agent",
            ),
        ),
        migrations.AddField(
            model_name="pointproposalevent",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="pointproposalevent",
            name="made_by",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="made by",
            ),
        ),
        migrations.AddField(
            model_name="pointproposalevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.pointproposal",
            ),
        ),
        migrations.AddField(
            model_name="pointproposalevent",
            name="region",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.region",
                verbose_name="region",
            ),
        ),
        migrations.AddField(
            model_name="pointproposalevent",
            name="service_point",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="regionaliasevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.regionalias",
            ),
        ),
        migrations.AddField(
            model_name="regionaliasevent",
            name="region",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.region",
                verbose_name="region",
            ),
        ),
        migrations.AddField(
            model_name="regionevent",
            name="parent",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.region",
                verbose_name="parent",
            ),
        ),
        migrations.AddField(
            model_name="regionevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.region",
            ),
        ),
        migrations.AddField(
            model_name="rightofgroupevent",
            name="group",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                db_tablespace="",
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="auth.group",
            ),
        ),
        migrations.AddField(
            model_name="rightofgroupevent",
            name="permission",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                db_tablespace="",
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="auth.permission",
            ),
        ),
        migrations.AddField(
            model_name="rightofuserevent",
            name="permission",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                db_tablespace="",
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="auth.permission",
            ),
        ),
        migrations.AddField(
            model_name="rightofuserevent",
            name="user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                db_tablespace="",
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="servicepointevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.servicepoint",
            ),
        ),
        migrations.AddField(
            model_name="servicepointevent",
            name="region",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.region",
            ),
        ),
        migrations.AddField(
            model_name="userevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="visitornoticeevent",
            name="changed_by",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="changed by",
            ),
        ),
        migrations.AddField(
            model_name="visitornoticeevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.visitornotice",
            ),
        ),
        migrations.AddField(
            model_name="visitornoticeevent",
            name="service_point",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                serialize=False,
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="rightsevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.rights",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rights",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_rightsevent" ("id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id"); RETURN NULL;',
                    hash="d38343b9b82b53e0d6a4b086d54799d8b893630f",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_0dad9",
                    table="auth_group",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rights",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "network_rightsevent" ("id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id"); RETURN NULL;',
                    hash="9fc9fd99dff91e185bed1811829edc9a4ab21cb6",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_4940b",
                    table="auth_group",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rights",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_rightsevent" ("id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (OLD."id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id"); RETURN NULL;',
                    hash="6c67f7b60eec0c826766f8e0b73381d204917804",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_a3b75",
                    table="auth_group",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="passkeyevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="network.passkey",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="passkey",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_passkeyevent" ("created_at", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "type", "user_id") VALUES (OLD."created_at", OLD."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."type", OLD."user_id"); RETURN NULL;',
                    hash="66921c6824facd9442f389e67d1ed0d6780a85b7",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_6d788",
                    table="mfa_authenticator",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="groupofuser",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_groupofuserevent" ("group_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "user_id") VALUES (NEW."group_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."user_id"); RETURN NULL;',
                    hash="b0fbadb9f1044154b70adcee9a21e40e00a86146",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_d2cf8",
                    table="network_user_groups",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="groupofuser",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_groupofuserevent" ("group_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "user_id") VALUES (OLD."group_id", OLD."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."user_id"); RETURN NULL;',
                    hash="4343c57a00634d40983f18f7c5a5fc61b217343b",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_6f3fe",
                    table="network_user_groups",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightofgroup",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_rightofgroupevent" ("group_id", "id", "permission_id", "pgh_context", "pgh_created_at", "pgh_label") VALUES (NEW."group_id", NEW."id", NEW."permission_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\'); RETURN NULL;',
                    hash="984d566732bafc3e31606a5149e31acd7ebdf63f",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_8ce65",
                    table="auth_group_permissions",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightofgroup",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_rightofgroupevent" ("group_id", "id", "permission_id", "pgh_context", "pgh_created_at", "pgh_label") VALUES (OLD."group_id", OLD."id", OLD."permission_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\'); RETURN NULL;',
                    hash="94d146ee27e87e513d0aa71dd6fb587534a37913",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_ed43f",
                    table="auth_group_permissions",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightofuser",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_rightofuserevent" ("id", "permission_id", "pgh_context", "pgh_created_at", "pgh_label", "user_id") VALUES (NEW."id", NEW."permission_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."user_id"); RETURN NULL;',
                    hash="18f4480721b704fd38338fc19bffda5484764563",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_d1f5c",
                    table="network_user_user_permissions",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightofuser",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "network_rightofuserevent" ("id", "permission_id", "pgh_context", "pgh_created_at", "pgh_label", "user_id") VALUES (OLD."id", OLD."permission_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."user_id"); RETURN NULL;',
                    hash="ebc0d8f03d3cd05600d36de8744f1e0c4b42bc25",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_42ccb",
                    table="network_user_user_permissions",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="agentevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_agent_at"),
        ),
        migrations.AddIndex(
            model_name="agentevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_agent_by"
            ),
        ),
        migrations.AddIndex(
            model_name="agentevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_agent_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="agentevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="bcb97d4eb6e862bc913f323abed742ac0f532d47",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_4ba27",
                    table="network_agentevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="agentevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="647649461190eab42534c8e38a291d1b1dc06fd7",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_f11f6",
                    table="network_agentevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="appointmentapplicationevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_appointmentapplication_at"),
        ),
        migrations.AddIndex(
            model_name="appointmentapplicationevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"),
                name="kept_appointmentapplication_by",
            ),
        ),
        migrations.AddIndex(
            model_name="appointmentapplicationevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_appointmentapplication_0"),
        ),
        migrations.AddIndex(
            model_name="appointmentapplicationevent",
            index=models.Index(fields=["region", "pgh_id"], name="kept_appointmentapplication_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointmentapplicationevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="7ce11a3720001f9a9d4b77473e2347c508b58488",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_3b1d4",
                    table="network_appointmentapplicationevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointmentapplicationevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="3746e73c3c34d40746883fa392f6afef72f57b08",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_7baf7",
                    table="network_appointmentapplicationevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="appointmentevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_appointment_at"),
        ),
        migrations.AddIndex(
            model_name="appointmentevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_appointment_by"
            ),
        ),
        migrations.AddIndex(
            model_name="appointmentevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_appointment_0"),
        ),
        migrations.AddIndex(
            model_name="appointmentevent",
            index=models.Index(fields=["region", "pgh_id"], name="kept_appointment_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointmentevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="132c5e938cbe4a030d6c3711ad70ced2353f7207",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_4dbec",
                    table="network_appointmentevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="appointmentevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="c3c4e90adbd9b010854225eb2d1ebb1ebda0d0e4",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_95a09",
                    table="network_appointmentevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="boundarysetevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_boundaryset_at"),
        ),
        migrations.AddIndex(
            model_name="boundarysetevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_boundaryset_by"
            ),
        ),
        migrations.AddIndex(
            model_name="boundarysetevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_boundaryset_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="boundarysetevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="2d073e180c90aa019c95136b2f4a88cacb068c3a",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_72876",
                    table="network_boundarysetevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="boundarysetevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="e2216ecae7fdf4f77b8d3cfe87fe7f44255797c4",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_b7d8d",
                    table="network_boundarysetevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="closingevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_closing_at"),
        ),
        migrations.AddIndex(
            model_name="closingevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_closing_by"
            ),
        ),
        migrations.AddIndex(
            model_name="closingevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_closing_0"),
        ),
        migrations.AddIndex(
            model_name="closingevent",
            index=models.Index(fields=["service_point", "pgh_id"], name="kept_closing_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="closingevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="dfbc10fb0b0bb301c7e5002f933b641487ebee60",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_a6924",
                    table="network_closingevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="closingevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="f5aed96180de0c07ab560dd36e4a8e5cf67ff212",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_a4581",
                    table="network_closingevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="confirmedplaceevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_confirmedplace_at"),
        ),
        migrations.AddIndex(
            model_name="confirmedplaceevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_confirmedplace_by"
            ),
        ),
        migrations.AddIndex(
            model_name="confirmedplaceevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_confirmedplace_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="confirmedplaceevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="f9fd2c14486b60023ead552496adbb7e982c0410",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_669b7",
                    table="network_confirmedplaceevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="confirmedplaceevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="5a9141217f9f30441e85423371e429214b33e89d",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_c29e9",
                    table="network_confirmedplaceevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="deviceevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_device_at"),
        ),
        migrations.AddIndex(
            model_name="deviceevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_device_by"
            ),
        ),
        migrations.AddIndex(
            model_name="deviceevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_device_0"),
        ),
        migrations.AddIndex(
            model_name="deviceevent",
            index=models.Index(fields=["service_point", "pgh_id"], name="kept_device_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="deviceevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="ecb7c2eae4086bed589cfd8bb608ef5ef114a63d",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_9cde0",
                    table="network_deviceevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="deviceevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="88e8474cd6abb4b27b1da1e3260d67d4000062cc",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_ff32f",
                    table="network_deviceevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="export",
            index=models.Index(
                condition=models.Q(("state__in", ["waiting", "running"])), fields=["id"], name="export_waiting"
            ),
        ),
        migrations.AddIndex(
            model_name="export",
            index=models.Index(condition=models.Q(("state", "done")), fields=["ended_at"], name="export_done"),
        ),
        migrations.AddConstraint(
            model_name="export",
            constraint=models.CheckConstraint(
                condition=models.Q(("form__in", ["csv", "xlsx"])), name="export_form_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="export",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "running", "done", "failed", "deleted"])),
                name="export_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="export",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at__isnull", True), ("state__in", ["waiting", "running"])),
                    models.Q(("ended_at__isnull", False), ("state__in", ["done", "failed", "deleted"])),
                    _connector="OR",
                ),
                name="export_end_has_time",
            ),
        ),
        migrations.AddIndex(
            model_name="groupofuserevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_groupofuser_at"),
        ),
        migrations.AddIndex(
            model_name="groupofuserevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_groupofuser_by"
            ),
        ),
        migrations.AddIndex(
            model_name="groupofuserevent",
            index=models.Index(fields=["user", "pgh_id"], name="kept_groupofuser_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="groupofuserevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="85ade37b7a7f337febfcebec5e0cb42e682e2f8a",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_d2782",
                    table="network_groupofuserevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="groupofuserevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="2cd5d08e311f39a56ed2ab2067577cc000f85470",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_8ba37",
                    table="network_groupofuserevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="membershipevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_membership_at"),
        ),
        migrations.AddIndex(
            model_name="membershipevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_membership_by"
            ),
        ),
        migrations.AddIndex(
            model_name="membershipevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_membership_0"),
        ),
        migrations.AddIndex(
            model_name="membershipevent",
            index=models.Index(fields=["service_point", "pgh_id"], name="kept_membership_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="membershipevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="4b40a7ea2ddf1af2bce34d202e5cf53babb94aa8",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_6482d",
                    table="network_membershipevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="membershipevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="58da51b6fe4be74b386fae1f2083b4d878893824",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_09ff0",
                    table="network_membershipevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="pauseevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_pause_at"),
        ),
        migrations.AddIndex(
            model_name="pauseevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_pause_by"
            ),
        ),
        migrations.AddIndex(
            model_name="pauseevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_pause_0"),
        ),
        migrations.AddIndex(
            model_name="pauseevent",
            index=models.Index(fields=["service_point", "pgh_id"], name="kept_pause_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pauseevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="52d07c042a0182af3a82b3a9062f61040962421e",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_06db0",
                    table="network_pauseevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pauseevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="c1b520d62456e04394ea7290874c54efd6c3077b",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_da5cc",
                    table="network_pauseevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="pointapplicationevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_pointapplication_at"),
        ),
        migrations.AddIndex(
            model_name="pointapplicationevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_pointapplication_by"
            ),
        ),
        migrations.AddIndex(
            model_name="pointapplicationevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_pointapplication_0"),
        ),
        migrations.AddIndex(
            model_name="pointapplicationevent",
            index=models.Index(fields=["applicant", "pgh_id"], name="kept_pointapplication_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointapplicationevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="b977a38dcd1b1b9aef1bf59176f202641ad607f1",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_ae10d",
                    table="network_pointapplicationevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointapplicationevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="e89028f4abb4529106358d0669834b2bd6f03908",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_fcfd5",
                    table="network_pointapplicationevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="pointproposalevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_pointproposal_at"),
        ),
        migrations.AddIndex(
            model_name="pointproposalevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_pointproposal_by"
            ),
        ),
        migrations.AddIndex(
            model_name="pointproposalevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_pointproposal_0"),
        ),
        migrations.AddIndex(
            model_name="pointproposalevent",
            index=models.Index(fields=["region", "pgh_id"], name="kept_pointproposal_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointproposalevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="ea719677d5ae92670593dfec1ba5d103f0bd1be5",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_18634",
                    table="network_pointproposalevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointproposalevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="841d2e3bea95ccd538032b21f0083b709a677bb4",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_c30ac",
                    table="network_pointproposalevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="regionaliasevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_regionalias_at"),
        ),
        migrations.AddIndex(
            model_name="regionaliasevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_regionalias_by"
            ),
        ),
        migrations.AddIndex(
            model_name="regionaliasevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_regionalias_0"),
        ),
        migrations.AddIndex(
            model_name="regionaliasevent",
            index=models.Index(fields=["region", "pgh_id"], name="kept_regionalias_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="regionaliasevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="1a41a327994235a10b1b5e31623143b73dccaf4a",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_8e709",
                    table="network_regionaliasevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="regionaliasevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="f12416e7596622f9d294c61ebc985a6ac8023b40",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_dcf72",
                    table="network_regionaliasevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="regionevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_region_at"),
        ),
        migrations.AddIndex(
            model_name="regionevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_region_by"
            ),
        ),
        migrations.AddIndex(
            model_name="regionevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_region_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="regionevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="a3903a504bf07ee352ba4e4eee805e550f1ee08e",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_b89a9",
                    table="network_regionevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="regionevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="6b6ce11e86136cc776c4f15d9074f9962f117b18",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_c9733",
                    table="network_regionevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="rightofgroupevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_rightofgroup_at"),
        ),
        migrations.AddIndex(
            model_name="rightofgroupevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_rightofgroup_by"
            ),
        ),
        migrations.AddIndex(
            model_name="rightofgroupevent",
            index=models.Index(fields=["group", "pgh_id"], name="kept_rightofgroup_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightofgroupevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="bf8896ff2cfe1cbabea404f1f62a16e1fb4046d1",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_e3919",
                    table="network_rightofgroupevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightofgroupevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="6451742c39c72754bda8828604dd365e18d56008",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_48aa3",
                    table="network_rightofgroupevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="rightofuserevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_rightofuser_at"),
        ),
        migrations.AddIndex(
            model_name="rightofuserevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_rightofuser_by"
            ),
        ),
        migrations.AddIndex(
            model_name="rightofuserevent",
            index=models.Index(fields=["user", "pgh_id"], name="kept_rightofuser_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightofuserevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="250028972db9d983620ac74eb05006ae23e93194",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_f55cf",
                    table="network_rightofuserevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightofuserevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="c282156c7cb2b12795d3fc8c1e3f929d29f140b9",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_a9307",
                    table="network_rightofuserevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="servicepointevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_servicepoint_at"),
        ),
        migrations.AddIndex(
            model_name="servicepointevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_servicepoint_by"
            ),
        ),
        migrations.AddIndex(
            model_name="servicepointevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_servicepoint_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="servicepointevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="909051e91d3fc62a66158a490f0c9a23b29f00b0",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_21cec",
                    table="network_servicepointevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="servicepointevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="264421155dc9c3e7353c58c47b7e980e255acaa5",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_0c20b",
                    table="network_servicepointevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="userevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_user_at"),
        ),
        migrations.AddIndex(
            model_name="userevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_user_by"
            ),
        ),
        migrations.AddIndex(
            model_name="userevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_user_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="userevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="d103e3fa866e8bc5414f0b66b3d545c80a298f78",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_1db7f",
                    table="network_userevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="userevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="93508a6efc1b27e7aafec5df491c78d3c4307856",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_cb4e5",
                    table="network_userevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="visitornoticeevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_visitornotice_at"),
        ),
        migrations.AddIndex(
            model_name="visitornoticeevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_visitornotice_by"
            ),
        ),
        migrations.AddIndex(
            model_name="visitornoticeevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_visitornotice_0"),
        ),
        migrations.AddIndex(
            model_name="visitornoticeevent",
            index=models.Index(fields=["service_point", "pgh_id"], name="kept_visitornotice_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="visitornoticeevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="40aa68527d0fdcbcbe5b468e89fca888e12c3245",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_dd482",
                    table="network_visitornoticeevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="visitornoticeevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="b85e423f44b87e581e04bf1dfc2a68be19f18e85",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_0bc90",
                    table="network_visitornoticeevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="rightsevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_rights_at"),
        ),
        migrations.AddIndex(
            model_name="rightsevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_rights_by"
            ),
        ),
        migrations.AddIndex(
            model_name="rightsevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_rights_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightsevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="c06a96344bc969a7f7894c0b1895246bd2604d95",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_3c501",
                    table="network_rightsevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="rightsevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="3a67c4a61fe088fdbf15b86be79bdcda8f37054b",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_91517",
                    table="network_rightsevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="passkeyevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_passkey_at"),
        ),
        migrations.AddIndex(
            model_name="passkeyevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_passkey_by"
            ),
        ),
        migrations.AddIndex(
            model_name="passkeyevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_passkey_0"),
        ),
        migrations.AddIndex(
            model_name="passkeyevent",
            index=models.Index(fields=["user", "pgh_id"], name="kept_passkey_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="passkeyevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="2a3e3301b1e26f6e08f34094c06d8bd4ad4e7d54",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_f3718",
                    table="network_passkeyevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="passkeyevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="033ef1c20cf1e2cb0d7abe91d55cb85557804a7e",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_a9e7f",
                    table="network_passkeyevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.RunSQL(KNOWN, migrations.RunSQL.noop),
    ]
