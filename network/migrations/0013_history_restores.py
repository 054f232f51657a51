"""Changes of places are known by their bytes, because a restore does not find the operators of PostGIS."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("network", "0012_overflow"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="pointapplication",
            name="changed_update",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="servicepoint",
            name="changed_update",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="pointapplication",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."address" IS DISTINCT FROM (NEW."address") OR OLD."applicant_id" IS DISTINCT FROM (NEW."applicant_id") OR OLD."capacity" IS DISTINCT FROM (NEW."capacity") OR OLD."changed_at" IS DISTINCT FROM (NEW."changed_at") OR OLD."changes" IS DISTINCT FROM (NEW."changes") OR OLD."decided_at" IS DISTINCT FROM (NEW."decided_at") OR OLD."decided_by_id" IS DISTINCT FROM (NEW."decided_by_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."location"::bytea IS DISTINCT FROM (NEW."location"::bytea) OR OLD."made_at" IS DISTINCT FROM (NEW."made_at") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."opening_hours" IS DISTINCT FROM (NEW."opening_hours") OR OLD."reason" IS DISTINCT FROM (NEW."reason") OR OLD."service_point_id" IS DISTINCT FROM (NEW."service_point_id") OR OLD."status" IS DISTINCT FROM (NEW."status"))',
                    func='INSERT INTO "network_pointapplicationevent" ("address", "applicant_id", "capacity", "changed_at", "changes", "decided_at", "decided_by_id", "id", "location", "made_at", "name", "opening_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "service_point_id", "status") VALUES (NEW."address", NEW."applicant_id", NEW."capacity", NEW."changed_at", NEW."changes", NEW."decided_at", NEW."decided_by_id", NEW."id", NEW."location", NEW."made_at", NEW."name", NEW."opening_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."reason", NEW."service_point_id", NEW."status"); RETURN NULL;',
                    hash="2100cb2c5d3b68087ae731f06e9bbd5b1d5553df",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_4adf1",
                    table="network_pointapplication",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="servicepoint",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."address" IS DISTINCT FROM (NEW."address") OR OLD."capacity" IS DISTINCT FROM (NEW."capacity") OR OLD."city" IS DISTINCT FROM (NEW."city") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."largest_size" IS DISTINCT FROM (NEW."largest_size") OR OLD."location"::bytea IS DISTINCT FROM (NEW."location"::bytea) OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."opening_hours" IS DISTINCT FROM (NEW."opening_hours") OR OLD."phone" IS DISTINCT FROM (NEW."phone") OR OLD."reach_m" IS DISTINCT FROM (NEW."reach_m") OR OLD."ref" IS DISTINCT FROM (NEW."ref") OR OLD."region_id" IS DISTINCT FROM (NEW."region_id") OR OLD."status" IS DISTINCT FROM (NEW."status"))',
                    func='INSERT INTO "network_servicepointevent" ("address", "capacity", "city", "id", "largest_size", "location", "name", "opening_hours", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "reach_m", "ref", "region_id", "status") VALUES (NEW."address", NEW."capacity", NEW."city", NEW."id", NEW."largest_size", NEW."location", NEW."name", NEW."opening_hours", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."phone", NEW."reach_m", NEW."ref", NEW."region_id", NEW."status"); RETURN NULL;',
                    hash="f89f336acc04e74693cbfd93cc73ddc46ef7c207",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_1a75f",
                    table="network_servicepoint",
                    when="AFTER",
                ),
            ),
        ),
    ]
