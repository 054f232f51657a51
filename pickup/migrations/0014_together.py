"""Pickups are handed over and charged together: `hand_over` takes all of a call, `charge_pickups` many hand-overs.

A posting's key needs no index for patterns.
"""

from pathlib import Path

from django.db import migrations, models

HANDOVER = Path(__file__).resolve().parents[1] / "models" / "sql" / "handover.sql"

ONE_BY_ONE = """
DROP FUNCTION IF EXISTS hand_over(bigint, bigint, text, bigint, uuid, bytea, timestamptz, text, uuid, text, bytea, text,
                                  text);
DROP FUNCTION IF EXISTS charge_pickup(bigint, bigint, bigint[], timestamptz);
DROP FUNCTION IF EXISTS earned_today(bigint, timestamptz, bigint);
DROP FUNCTION IF EXISTS waiting_here(bigint, bigint, bytea);
"""


class Migration(migrations.Migration):
    dependencies = [("pickup", "0013_flags")]

    operations = [
        migrations.RunSQL(ONE_BY_ONE, migrations.RunSQL.noop),
        migrations.RunSQL(HANDOVER.read_text(), migrations.RunSQL.noop),
        migrations.AlterField("posting", "key", models.CharField(max_length=100, verbose_name="key")),
        migrations.AddConstraint("posting", models.UniqueConstraint(fields=("key",), name="posting_key_once")),
    ]
