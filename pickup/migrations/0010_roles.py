"""Typed codes rest for a while after three wrong ones, and a counted attempt is never given back, whoever writes."""

from pathlib import Path

from django.db import migrations, models

HANDOVER = Path(__file__).resolve().parents[1] / "models" / "sql" / "handover.sql"

NEVER_BACK = """
CREATE FUNCTION attempts_are_not_given_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an attempt at a code counts for the life of the code' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER never_given_back BEFORE UPDATE OF attempts ON pickup_pickupcode
    FOR EACH ROW WHEN (NEW.attempts < OLD.attempts) EXECUTE FUNCTION attempts_are_not_given_back();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON pickup_pickupcode
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
BACK = """
DROP TRIGGER never_emptied ON pickup_pickupcode;
DROP TRIGGER never_given_back ON pickup_pickupcode;
DROP FUNCTION attempts_are_not_given_back();
"""


class Migration(migrations.Migration):
    dependencies = [("pickup", "0009_background"), ("network", "0010_roles")]

    operations = [
        migrations.AddField(
            model_name="pickupcode",
            name="paused_until",
            field=models.DateTimeField(blank=True, null=True, verbose_name="typed codes rest until"),
        ),
        migrations.RunSQL(NEVER_BACK, BACK),
        migrations.RunSQL(HANDOVER.read_text(), migrations.RunSQL.noop),
    ]
