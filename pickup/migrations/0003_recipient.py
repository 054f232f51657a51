"""The recipient: why a dispute was resolved, messages before arrival, and how many leave on one day."""

from django.conf import settings
from django.db import migrations, models

# The reason is written together with the outcome, and like it once.
RESOLVED_WITH_A_REASON = """
    DROP TRIGGER only_resolved ON pickup_dispute;
    CREATE TRIGGER only_resolved BEFORE UPDATE OR DELETE ON pickup_dispute
        FOR EACH ROW EXECUTE FUNCTION ends_once('resolved_at resolved_by_id outcome reason');
"""


class Migration(migrations.Migration):
    dependencies = [
        ("pickup", "0002_guards"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="MessageDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(unique=True, verbose_name="day")),
                ("sent", models.IntegerField(default=0, verbose_name="messages sent")),
                ("alarmed_at", models.DateTimeField(blank=True, null=True, verbose_name="limit reached")),
            ],
            options={
                "verbose_name": "messages of a day",
                "verbose_name_plural": "messages by day",
            },
        ),
        migrations.AddField(
            model_name="dispute",
            name="reason",
            field=models.CharField(blank=True, max_length=200, verbose_name="reason of the outcome"),
        ),
        migrations.AddField(
            model_name="merchant",
            name="announces",
            field=models.BooleanField(
                default=False,
                help_text="one more message, with the link by which they may choose another service point",
                verbose_name="tells recipients before arrival",
            ),
        ),
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(
                choices=[
                    ("expected", "on its way"),
                    ("ready", "ready for pickup"),
                    ("reminder", "reminder"),
                    ("expired", "storage over"),
                ],
                max_length=10,
                verbose_name="kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome", ""), models.Q(("reason", ""), _negated=True), _connector="OR"),
                name="dispute_outcome_has_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="messageday",
            constraint=models.CheckConstraint(condition=models.Q(("sent__gte", 0)), name="message_day_not_negative"),
        ),
        migrations.RunSQL(RESOLVED_WITH_A_REASON),
    ]
