"""The history of what admins decide about parcels and money, and the log of readings of personal data."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.fields.json
import pghistory.utils
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

import pickup.models.parcels

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
        WHERE c.table_schema = current_schema() AND c.column_name = 'pgh_obj_id' AND c.table_name LIKE 'pickup\\_%event'
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

# The log of readings is only added to, like the scans (0002).
GUARDS = """
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON pickup_personaldataread
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON pickup_personaldataread
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("network", "0009_history"),
        ("pickup", "0006_review"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DisputeEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                (
                    "opened_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="opened"),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("upheld", "upheld: the fees are taken back"),
                            ("dismissed", "dismissed: the pickup stands"),
                        ],
                        max_length=10,
                        verbose_name="outcome",
                    ),
                ),
                ("resolved_at", models.DateTimeField(blank=True, null=True, verbose_name="resolved")),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason of the outcome")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ManualReleaseEvent",
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
                            ("no_phone", "recipient has no phone here, showed an identity card"),
                            ("unreadable", "QR unreadable and code locked"),
                            ("not_received", "the message never arrived"),
                            ("other", "something else"),
                        ],
                        max_length=20,
                        verbose_name="reason",
                    ),
                ),
                (
                    "made_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="made"),
                ),
                (
                    "decision",
                    models.CharField(
                        blank=True,
                        choices=[("approved", "approved"), ("rejected", "rejected")],
                        max_length=10,
                        verbose_name="decision",
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="MerchantEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("review_first", models.BooleanField(default=False, verbose_name="a person reviews each order first")),
                ("consent_required", models.BooleanField(default=False, verbose_name="needs the recipient's consent")),
                (
                    "hold_days",
                    models.SmallIntegerField(
                        blank=True, help_text="empty: as the tariff says", null=True, verbose_name="storage, days"
                    ),
                ),
                (
                    "language",
                    models.CharField(default="zh-hans", max_length=10, verbose_name="language of its notices"),
                ),
                (
                    "announces",
                    models.BooleanField(
                        default=False,
                        help_text="one more message, with the link by which they may choose another service point",
                        verbose_name="tells recipients before arrival",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="MerchantKeyEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("revoked_at", models.DateTimeField(blank=True, null=True, verbose_name="revoked")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="OrderEvent",
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
                            ("received", "received"),
                            ("located", "located"),
                            ("assigned", "assigned"),
                            ("review", "in review"),
                            ("cancelled", "cancelled"),
                        ],
                        default="received",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("review_reason", models.CharField(blank=True, max_length=40, verbose_name="reason for review")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="PersonalDataRead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "fields",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=20), size=None, verbose_name="what was read"
                    ),
                ),
                ("reason", models.CharField(max_length=200, verbose_name="reason")),
                ("at", models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="read")),
            ],
            options={
                "verbose_name": "reading of personal data",
                "verbose_name_plural": "readings of personal data",
                "permissions": [("read_personal", "Can read a recipient's full data, with a reason")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SettlementEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("period", models.CharField(help_text="YYYY-MM", max_length=7, verbose_name="period")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("closed_at", models.DateTimeField(verbose_name="closed")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="TariffEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("currency", models.CharField(default="CNY", max_length=3, verbose_name="currency")),
                ("valid_from", models.DateTimeField(verbose_name="in force from")),
                ("point_fee_minor", models.BigIntegerField(default=2000, verbose_name="flat handling fee")),
                ("cap_minor", models.BigIntegerField(default=1000, verbose_name="cap of the agents' sum")),
                ("macro_minor", models.BigIntegerField(default=1000, verbose_name="ceiling macro-region")),
                ("province_minor", models.BigIntegerField(default=800, verbose_name="ceiling province")),
                ("city_minor", models.BigIntegerField(default=500, verbose_name="ceiling city")),
                ("district_minor", models.BigIntegerField(default=300, verbose_name="ceiling district")),
                ("custom_minor", models.BigIntegerField(default=100, verbose_name="ceiling custom")),
                ("hold_days", models.SmallIntegerField(default=7, verbose_name="storage, days")),
                ("payable_after_hours", models.SmallIntegerField(default=72, verbose_name="fees payable after, hours")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="dispute",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_disputeevent" ("handover_id", "id", "opened_at", "outcome", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "resolved_at", "resolved_by_id") VALUES (NEW."handover_id", NEW."id", NEW."opened_at", NEW."outcome", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."reason", NEW."resolved_at", NEW."resolved_by_id"); RETURN NULL;',
                    hash="eb7bf40e82e95219d05be212a97e5052edf416eb",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_69244",
                    table="pickup_dispute",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="dispute",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."handover_id" IS DISTINCT FROM (NEW."handover_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."opened_at" IS DISTINCT FROM (NEW."opened_at") OR OLD."outcome" IS DISTINCT FROM (NEW."outcome") OR OLD."reason" IS DISTINCT FROM (NEW."reason") OR OLD."resolved_at" IS DISTINCT FROM (NEW."resolved_at") OR OLD."resolved_by_id" IS DISTINCT FROM (NEW."resolved_by_id"))',
                    func='INSERT INTO "pickup_disputeevent" ("handover_id", "id", "opened_at", "outcome", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "resolved_at", "resolved_by_id") VALUES (NEW."handover_id", NEW."id", NEW."opened_at", NEW."outcome", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."reason", NEW."resolved_at", NEW."resolved_by_id"); RETURN NULL;',
                    hash="cfff62e3320a7196064a0ac2fbc0d1c2843363a1",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_e2e1b",
                    table="pickup_dispute",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="dispute",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_disputeevent" ("handover_id", "id", "opened_at", "outcome", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "resolved_at", "resolved_by_id") VALUES (OLD."handover_id", OLD."id", OLD."opened_at", OLD."outcome", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."reason", OLD."resolved_at", OLD."resolved_by_id"); RETURN NULL;',
                    hash="567d0a8bca07f808530fe83ae3034442be12a7d4",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_a5c5f",
                    table="pickup_dispute",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="manualrelease",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_manualreleaseevent" ("clerk_id", "decided_at", "decided_by_id", "decision", "handover_id", "id", "made_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id") VALUES (NEW."clerk_id", NEW."decided_at", NEW."decided_by_id", NEW."decision", NEW."handover_id", NEW."id", NEW."made_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."reason", NEW."service_point_id"); RETURN NULL;',
                    hash="095a6f1baab2f91696af9eeb77ed197f61001b9d",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_2d707",
                    table="pickup_manualrelease",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="manualrelease",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."clerk_id" IS DISTINCT FROM (NEW."clerk_id") OR OLD."decided_at" IS DISTINCT FROM (NEW."decided_at") OR OLD."decided_by_id" IS DISTINCT FROM (NEW."decided_by_id") OR OLD."decision" IS DISTINCT FROM (NEW."decision") OR OLD."handover_id" IS DISTINCT FROM (NEW."handover_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."made_at" IS DISTINCT FROM (NEW."made_at") OR OLD."reason" IS DISTINCT FROM (NEW."reason") OR OLD."service_point_id" IS DISTINCT FROM (NEW."service_point_id"))',
                    func='INSERT INTO "pickup_manualreleaseevent" ("clerk_id", "decided_at", "decided_by_id", "decision", "handover_id", "id", "made_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id") VALUES (NEW."clerk_id", NEW."decided_at", NEW."decided_by_id", NEW."decision", NEW."handover_id", NEW."id", NEW."made_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."reason", NEW."service_point_id"); RETURN NULL;',
                    hash="ce0870c1160a039821de51f75b29a0fdaa20e1d5",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_5692f",
                    table="pickup_manualrelease",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="manualrelease",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_manualreleaseevent" ("clerk_id", "decided_at", "decided_by_id", "decision", "handover_id", "id", "made_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id") VALUES (OLD."clerk_id", OLD."decided_at", OLD."decided_by_id", OLD."decision", OLD."handover_id", OLD."id", OLD."made_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."reason", OLD."service_point_id"); RETURN NULL;',
                    hash="44c7cb0093ce473c99d8fd50fdd6fbc65e1398b4",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_c478c",
                    table="pickup_manualrelease",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchant",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_merchantevent" ("announces", "consent_required", "hold_days", "id", "language", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "review_first") VALUES (NEW."announces", NEW."consent_required", NEW."hold_days", NEW."id", NEW."language", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."review_first"); RETURN NULL;',
                    hash="9e8ee4d0159c8b81ac017a007f7ac29e65674579",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_99acf",
                    table="pickup_merchant",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchant",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "pickup_merchantevent" ("announces", "consent_required", "hold_days", "id", "language", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "review_first") VALUES (NEW."announces", NEW."consent_required", NEW."hold_days", NEW."id", NEW."language", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."review_first"); RETURN NULL;',
                    hash="5bea2581771992430b83b95a4ddb0b738d582a92",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_4253f",
                    table="pickup_merchant",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchant",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_merchantevent" ("announces", "consent_required", "hold_days", "id", "language", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "review_first") VALUES (OLD."announces", OLD."consent_required", OLD."hold_days", OLD."id", OLD."language", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."review_first"); RETURN NULL;',
                    hash="84e283cf05cc288c5fa451869b6f835cccd49dfa",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_12da5",
                    table="pickup_merchant",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchantkey",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_merchantkeyevent" ("created_at", "id", "merchant_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "revoked_at") VALUES (NEW."created_at", NEW."id", NEW."merchant_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."revoked_at"); RETURN NULL;',
                    hash="be99c3eec5a17872dee412f5ddc779ee311e200e",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_80f8b",
                    table="pickup_merchantkey",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchantkey",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."merchant_id" IS DISTINCT FROM (NEW."merchant_id") OR OLD."revoked_at" IS DISTINCT FROM (NEW."revoked_at"))',
                    func='INSERT INTO "pickup_merchantkeyevent" ("created_at", "id", "merchant_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "revoked_at") VALUES (NEW."created_at", NEW."id", NEW."merchant_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."revoked_at"); RETURN NULL;',
                    hash="481676c501a3eaea2d1decf5d4700ccb5f09b6c5",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_a6637",
                    table="pickup_merchantkey",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchantkey",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_merchantkeyevent" ("created_at", "id", "merchant_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "revoked_at") VALUES (OLD."created_at", OLD."id", OLD."merchant_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."revoked_at"); RETURN NULL;',
                    hash="594e37ceca61137f13df7818a79702490ad43af1",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_27d85",
                    table="pickup_merchantkey",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="order",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.\"status\" = 'review' AND NOT (NEW.\"status\" = 'review'))",
                    func='INSERT INTO "pickup_orderevent" ("id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "review_reason", "status") VALUES (NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."review_reason", NEW."status"); RETURN NULL;',
                    hash="1c55b8fbcc22a0d48a272c227f268ab6a31eb44a",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_0b691",
                    table="pickup_order",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="settlement",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_settlementevent" ("closed_at", "currency", "id", "period", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."closed_at", NEW."currency", NEW."id", NEW."period", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id"); RETURN NULL;',
                    hash="0955f8bd6760a81b32247dd7c507f2ce86e806b6",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_5e7d2",
                    table="pickup_settlement",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="settlement",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "pickup_settlementevent" ("closed_at", "currency", "id", "period", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."closed_at", NEW."currency", NEW."id", NEW."period", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id"); RETURN NULL;',
                    hash="138b5bf5bf70b2b8abe249c271e15914f499df2a",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_de5a3",
                    table="pickup_settlement",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="settlement",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_settlementevent" ("closed_at", "currency", "id", "period", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (OLD."closed_at", OLD."currency", OLD."id", OLD."period", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id"); RETURN NULL;',
                    hash="dd0f6d740c92a1f319e5c17f8f0ea7e23d846cc6",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_dcfde",
                    table="pickup_settlement",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="tariff",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_tariffevent" ("cap_minor", "city_minor", "currency", "custom_minor", "district_minor", "hold_days", "id", "macro_minor", "name", "payable_after_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "point_fee_minor", "province_minor", "valid_from") VALUES (NEW."cap_minor", NEW."city_minor", NEW."currency", NEW."custom_minor", NEW."district_minor", NEW."hold_days", NEW."id", NEW."macro_minor", NEW."name", NEW."payable_after_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."point_fee_minor", NEW."province_minor", NEW."valid_from"); RETURN NULL;',
                    hash="dbebecaebafb970f24aa89cdecd31239dd721078",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_4d66f",
                    table="pickup_tariff",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="tariff",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "pickup_tariffevent" ("cap_minor", "city_minor", "currency", "custom_minor", "district_minor", "hold_days", "id", "macro_minor", "name", "payable_after_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "point_fee_minor", "province_minor", "valid_from") VALUES (NEW."cap_minor", NEW."city_minor", NEW."currency", NEW."custom_minor", NEW."district_minor", NEW."hold_days", NEW."id", NEW."macro_minor", NEW."name", NEW."payable_after_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."point_fee_minor", NEW."province_minor", NEW."valid_from"); RETURN NULL;',
                    hash="e871e2682d0feb296b77658e3f28c98287ef0056",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_a8714",
                    table="pickup_tariff",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="tariff",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_tariffevent" ("cap_minor", "city_minor", "currency", "custom_minor", "district_minor", "hold_days", "id", "macro_minor", "name", "payable_after_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "point_fee_minor", "province_minor", "valid_from") VALUES (OLD."cap_minor", OLD."city_minor", OLD."currency", OLD."custom_minor", OLD."district_minor", OLD."hold_days", OLD."id", OLD."macro_minor", OLD."name", OLD."payable_after_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."point_fee_minor", OLD."province_minor", OLD."valid_from"); RETURN NULL;',
                    hash="9a145d5aee9d101a98ca4ee8d9a4c33bc2663ee2",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_4ba55",
                    table="pickup_tariff",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="disputeevent",
            name="handover",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="pickup.handover",
                verbose_name="verified pickup",
            ),
        ),
        migrations.AddField(
            model_name="disputeevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pickup.dispute",
            ),
        ),
        migrations.AddField(
            model_name="disputeevent",
            name="resolved_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="resolved by",
            ),
        ),
        migrations.AddField(
            model_name="manualreleaseevent",
            name="clerk",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="clerk",
            ),
        ),
        migrations.AddField(
            model_name="manualreleaseevent",
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
            model_name="manualreleaseevent",
            name="handover",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="pickup.handover",
                verbose_name="verified pickup",
            ),
        ),
        migrations.AddField(
            model_name="manualreleaseevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pickup.manualrelease",
            ),
        ),
        migrations.AddField(
            model_name="manualreleaseevent",
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
            model_name="merchantevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pickup.merchant",
            ),
        ),
        migrations.AddField(
            model_name="merchantkeyevent",
            name="merchant",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="pickup.merchant",
                verbose_name="merchant",
            ),
        ),
        migrations.AddField(
            model_name="merchantkeyevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pickup.merchantkey",
            ),
        ),
        migrations.AddField(
            model_name="orderevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pickup.order",
            ),
        ),
        migrations.AddField(
            model_name="personaldataread",
            name="by",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="person",
            ),
        ),
        migrations.AddField(
            model_name="personaldataread",
            name="order",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="personal_reads",
                to="pickup.order",
                verbose_name="order",
            ),
        ),
        migrations.AddField(
            model_name="personaldataread",
            name="parcel",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="pickup.parcel",
                verbose_name="parcel",
            ),
        ),
        migrations.AddField(
            model_name="settlementevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pickup.settlement",
            ),
        ),
        migrations.AddField(
            model_name="tariffevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pickup.tariff",
            ),
        ),
        migrations.AddIndex(
            model_name="disputeevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_dispute_at"),
        ),
        migrations.AddIndex(
            model_name="disputeevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_dispute_by"
            ),
        ),
        migrations.AddIndex(
            model_name="disputeevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_dispute_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="disputeevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="8400d2e6ad1526ec022995abefff59cc64180e21",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_4b49d",
                    table="pickup_disputeevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="disputeevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="9ec01cae66ad2ff7ae83a44ea9ee5f8cddbb4d27",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_dd7a5",
                    table="pickup_disputeevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="manualreleaseevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_manualrelease_at"),
        ),
        migrations.AddIndex(
            model_name="manualreleaseevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_manualrelease_by"
            ),
        ),
        migrations.AddIndex(
            model_name="manualreleaseevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_manualrelease_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="manualreleaseevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="cc37c6f9dbcea7a3a5f39834afc4630e57d0fd1f",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_52408",
                    table="pickup_manualreleaseevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="manualreleaseevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="c3782bca76532fac5abbcc9564d7aa864ab5ff83",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_ea192",
                    table="pickup_manualreleaseevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="merchantevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_merchant_at"),
        ),
        migrations.AddIndex(
            model_name="merchantevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_merchant_by"
            ),
        ),
        migrations.AddIndex(
            model_name="merchantevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_merchant_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchantevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="b7ada417cecd376746d3d2bb9c08c96f15e2e6e5",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_b7a41",
                    table="pickup_merchantevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchantevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="7377d84e9a25b9f3103318757a0fd33145def69d",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_3ee6b",
                    table="pickup_merchantevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="merchantkeyevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_merchantkey_at"),
        ),
        migrations.AddIndex(
            model_name="merchantkeyevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_merchantkey_by"
            ),
        ),
        migrations.AddIndex(
            model_name="merchantkeyevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_merchantkey_0"),
        ),
        migrations.AddIndex(
            model_name="merchantkeyevent",
            index=models.Index(fields=["merchant", "pgh_id"], name="kept_merchantkey_1"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchantkeyevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="55d7867e09abbccc183a7d3e67422cb13854118f",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_79e49",
                    table="pickup_merchantkeyevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="merchantkeyevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="ad5906b1e62f675f6cf9c2952234ca295530a3f4",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_37810",
                    table="pickup_merchantkeyevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="orderevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_order_at"),
        ),
        migrations.AddIndex(
            model_name="orderevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_order_by"
            ),
        ),
        migrations.AddIndex(
            model_name="orderevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_order_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="orderevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="96c44692cba54ff0e6c0090f46c2d1044aa2b130",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_7a4f3",
                    table="pickup_orderevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="orderevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="4462cf433c71738cd0dc16ab1e97949dee68e729",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_66457",
                    table="pickup_orderevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="personaldataread",
            index=models.Index(fields=["by", "at"], name="personal_read_by"),
        ),
        migrations.AddIndex(
            model_name="personaldataread",
            index=models.Index(fields=["order"], name="personal_read_order"),
        ),
        migrations.AddConstraint(
            model_name="personaldataread",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason__regex", "\\S.{2,}")), name="personal_read_has_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="personaldataread",
            constraint=models.CheckConstraint(
                condition=models.Q(("fields__len__gt", 0)), name="personal_read_has_fields"
            ),
        ),
        migrations.AddIndex(
            model_name="settlementevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_settlement_at"),
        ),
        migrations.AddIndex(
            model_name="settlementevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_settlement_by"
            ),
        ),
        migrations.AddIndex(
            model_name="settlementevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_settlement_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="settlementevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="b3805548c2bca4b62cad2eb0f36ec59506b561e0",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_47793",
                    table="pickup_settlementevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="settlementevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="11d5b3b3c1eed07d0b5787a03a2b52d11e557b3c",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_94bb2",
                    table="pickup_settlementevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="tariffevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_tariff_at"),
        ),
        migrations.AddIndex(
            model_name="tariffevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_tariff_by"
            ),
        ),
        migrations.AddIndex(
            model_name="tariffevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_tariff_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="tariffevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="44185df949b2fdd00ba63f8c7bc6d1ea636d4525",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_c3052",
                    table="pickup_tariffevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="tariffevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="1473d76678de29300356458b7444e0583e660a38",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_7774c",
                    table="pickup_tariffevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.RunSQL(KNOWN, migrations.RunSQL.noop),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
