"""What reviewers decide, and whose desk an order lies on."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

ONLY_ADDED = """
    CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON pickup_reviewdecision
        FOR EACH ROW EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER never_emptied BEFORE TRUNCATE ON pickup_reviewdecision
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("network", "0008_confirmed_places"),
        ("pickup", "0005_points"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ReviewDesk",
            fields=[
                (
                    "order",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="desk",
                        serialize=False,
                        to="pickup.order",
                        verbose_name="order",
                    ),
                ),
                ("looked_at", models.DateTimeField(verbose_name="opened")),
                ("put_off_at", models.DateTimeField(blank=True, null=True, verbose_name="left for later")),
                (
                    "looked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="opened by",
                    ),
                ),
            ],
            options={
                "verbose_name": "order on a desk",
                "verbose_name_plural": "orders on desks",
            },
        ),
        migrations.CreateModel(
            name="ReviewDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("doubt", models.CharField(max_length=40, verbose_name="reason for review")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("placed", "place confirmed"),
                            ("released", "went on as it was"),
                            ("point", "sent to a service point"),
                            ("consent", "consent recorded"),
                            ("sent_back", "sent back to the merchant"),
                        ],
                        max_length=10,
                        verbose_name="decision",
                    ),
                ),
                (
                    "why",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("no_such_address", "there is no such address"),
                            ("address_incomplete", "the address is not complete"),
                            ("no_service", "no service point serves the address"),
                            ("no_consent", "the recipient does not agree"),
                            ("other", "another reason"),
                        ],
                        max_length=20,
                        verbose_name="reason told to the merchant",
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=200, verbose_name="note")),
                ("decided_at", models.DateTimeField(verbose_name="decided")),
                (
                    "decided_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="decided by",
                    ),
                ),
                (
                    "order",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="pickup.order",
                        verbose_name="order",
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="network.region",
                        verbose_name="region",
                    ),
                ),
                (
                    "service_point",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="network.servicepoint",
                        verbose_name="service point",
                    ),
                ),
            ],
            options={
                "verbose_name": "decision of a review",
                "verbose_name_plural": "decisions of reviews",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["placed", "released", "point", "consent", "sent_back"])),
                        name="review_decision_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "sent_back"), _negated=True),
                            models.Q(("why", ""), _negated=True),
                            _connector="XOR",
                        ),
                        name="review_sent_back_has_a_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "placed"), _negated=True), ("region__isnull", False), _connector="OR"
                        ),
                        name="review_placed_has_a_region",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "point"), _negated=True),
                            ("service_point__isnull", False),
                            _connector="OR",
                        ),
                        name="review_point_is_named",
                    ),
                ],
            },
        ),
        migrations.RunSQL(ONLY_ADDED, migrations.RunSQL.noop),
    ]
