"""A message to recipients whose parcels stand in a shop that closes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pickup", "0004_drafts"),
    ]

    operations = [
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(
                choices=[
                    ("expected", "on its way"),
                    ("ready", "ready for pickup"),
                    ("reminder", "reminder"),
                    ("closing", "the shop closes"),
                    ("expired", "storage over"),
                ],
                max_length=10,
                verbose_name="kind",
            ),
        ),
    ]
