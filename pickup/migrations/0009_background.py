"""Background work that loses nothing: tries of waiting orders, one row for each period of a job. And pickups are paid by
the rules of their moment, whoever changes them meanwhile."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

RULES_OF_THE_MOMENT = """
-- A pickup reads the clock and then the rules, holding this lock with all other pickups. Who changes the rules holds it
-- alone until the commit: pickups before it are visible then, and those after it see the change.
CREATE FUNCTION fee_rules_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('fee rules'));
    RETURN COALESCE(NEW, OLD);
END $$;
CREATE TRIGGER a_waits_for_pickups BEFORE INSERT OR UPDATE OR DELETE ON network_appointment
    FOR EACH ROW EXECUTE FUNCTION fee_rules_change();
CREATE TRIGGER a_waits_for_pickups BEFORE INSERT OR UPDATE OR DELETE ON pickup_tariff
    FOR EACH ROW EXECUTE FUNCTION fee_rules_change();
"""
WITHOUT = """
    DROP TRIGGER a_waits_for_pickups ON network_appointment;
    DROP TRIGGER a_waits_for_pickups ON pickup_tariff;
    DROP FUNCTION fee_rules_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("pickup", "0007_history"),
    ]

    operations = [
        migrations.AddField(
            model_name="order",
            name="tries",
            field=models.SmallIntegerField(db_default=0, editable=False, verbose_name="tries"),
        ),
        migrations.AddField(
            model_name="order",
            name="next_try_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="next try"),
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="order",
            name="changed_update",
        ),
        migrations.AddField(
            model_name="orderevent",
            name="next_try_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="next try"),
        ),
        migrations.AddField(
            model_name="orderevent",
            name="tries",
            field=models.SmallIntegerField(db_default=0, editable=False, verbose_name="tries"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="order",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.\"status\" = 'review' AND NOT (NEW.\"status\" = 'review'))",
                    func='INSERT INTO "pickup_orderevent" ("id", "next_try_at", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "review_reason", "status", "tries") VALUES (NEW."id", NEW."next_try_at", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."review_reason", NEW."status", NEW."tries"); RETURN NULL;',
                    hash="da6fc4396836264ffd9f6e3be7aa082b1ac532d7",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_0b691",
                    table="pickup_order",
                    when="AFTER",
                ),
            ),
        ),
        migrations.CreateModel(
            name="JobRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("job", models.CharField(max_length=40, verbose_name="job")),
                ("period", models.DateTimeField(verbose_name="beginning of the period")),
                ("holder", models.CharField(max_length=40, verbose_name="task")),
                ("taken_at", models.DateTimeField(verbose_name="taken")),
                ("done_at", models.DateTimeField(blank=True, null=True, verbose_name="done")),
            ],
            options={
                "verbose_name": "background work",
                "verbose_name_plural": "background work",
                "constraints": [models.UniqueConstraint(fields=("job", "period"), name="job_once_per_period")],
            },
        ),
        migrations.RunSQL(RULES_OF_THE_MOMENT, WITHOUT),
    ]
