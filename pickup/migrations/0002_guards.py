"""The database keeps the promises: triggers, composite keys, and the verified pickup in one function."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import migrations

SQL = Path(__file__).resolve().parents[1] / "models" / "sql"


def add_default_tariff(apps: Any, schema_editor: Any) -> None:
    """A fresh database has the tariff of R7 and R8: the fields' defaults, in force since before any pickup."""
    apps.get_model("pickup", "Tariff").objects.create(
        name="Default tariff", valid_from=datetime(2020, 1, 1, tzinfo=UTC)
    )


class Migration(migrations.Migration):
    dependencies = [("pickup", "0001_initial")]

    operations = [
        migrations.RunSQL((SQL / "guards.sql").read_text()),
        migrations.RunSQL((SQL / "handover.sql").read_text()),
        migrations.RunPython(add_default_tariff, migrations.RunPython.noop),
    ]
