"""What reviewers confirmed about address texts."""

import django.contrib.gis.db.models.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("network", "0007_point_applications"),
    ]

    operations = [
        migrations.CreateModel(
            name="ConfirmedPlace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.BinaryField(max_length=32, unique=True, verbose_name="keyed hash of the text")),
                (
                    "location",
                    django.contrib.gis.db.models.fields.PointField(
                        spatial_index=False, srid=4326, verbose_name="location, WGS 84"
                    ),
                ),
                ("accuracy_m", models.FloatField(verbose_name="accuracy, m")),
                (
                    "overruled",
                    django.contrib.gis.db.models.fields.MultiPointField(
                        blank=True, null=True, spatial_index=False, srid=4326, verbose_name="coordinates set aside"
                    ),
                ),
                ("confirmed_at", models.DateTimeField(verbose_name="confirmed")),
                ("used", models.PositiveIntegerField(default=0, verbose_name="orders located by it")),
                ("kept_until", models.DateTimeField(db_index=True, verbose_name="kept until")),
                (
                    "confirmed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="confirmed by",
                    ),
                ),
            ],
            options={
                "verbose_name": "confirmed place",
                "verbose_name_plural": "confirmed places",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("accuracy_m__gt", 0)), name="confirmed_place_accuracy"),
                    models.CheckConstraint(
                        condition=models.Q(("kept_until__gt", models.F("confirmed_at"))), name="confirmed_place_is_kept"
                    ),
                ],
            },
        ),
    ]
