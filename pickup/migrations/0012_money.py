"""Settlements that nobody changes unseen, cases, payouts by two people, and the chain that seals all of it."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.fields.json
import pghistory.utils
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

import pickup.models.parcels
import pickup.models.settlements

SQL = Path(__file__).resolve().parents[1] / "models" / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("pickup", "0011_assignment"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Adjustment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("amount_minor", models.BigIntegerField(verbose_name="amount, minor units")),
                ("reason", models.CharField(max_length=200, verbose_name="reason")),
                (
                    "made_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="made"),
                ),
                (
                    "decision",
                    models.CharField(
                        blank=True,
                        choices=[("approved", "approved"), ("rejected", "rejected")],
                        max_length=8,
                        verbose_name="decision",
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
            ],
            options={
                "verbose_name": "adjustment",
                "verbose_name_plural": "adjustments",
            },
        ),
        migrations.CreateModel(
            name="BankDetails",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("box", models.BinaryField()),
                ("shown", models.CharField(max_length=100, verbose_name="bank account")),
                (
                    "made_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="proposed"),
                ),
                (
                    "decision",
                    models.CharField(
                        blank=True,
                        choices=[("approved", "approved"), ("rejected", "rejected")],
                        max_length=8,
                        verbose_name="decision",
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
            ],
            options={
                "verbose_name": "bank details",
                "verbose_name_plural": "bank details",
            },
        ),
        migrations.CreateModel(
            name="PayoutBatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("file", "a person takes the file to the bank"),
                            ("door", "sent to the bank's own address"),
                        ],
                        default="file",
                        max_length=4,
                        verbose_name="way",
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
                        max_length=8,
                        verbose_name="decision",
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
            ],
            options={
                "verbose_name": "payout run",
                "verbose_name_plural": "payout runs",
            },
        ),
        migrations.CreateModel(
            name="BankTemplate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                (
                    "form",
                    models.CharField(
                        choices=[("csv", "CSV"), ("xlsx", "Excel (XLSX)"), ("pain.001", "ISO 20022 pain.001.001.09")],
                        max_length=8,
                        verbose_name="format",
                    ),
                ),
                ("columns", models.TextField(blank=True, verbose_name="columns")),
                ("debtor_name", models.CharField(max_length=70, verbose_name="our name")),
                ("debtor_account", models.CharField(max_length=34, verbose_name="our account")),
                (
                    "debtor_bank",
                    models.CharField(
                        help_text="BIC, or the clearing number", max_length=14, verbose_name="our bank's code"
                    ),
                ),
                (
                    "purpose",
                    models.CharField(default="Pickup fees {period}", max_length=100, verbose_name="text for the payee"),
                ),
            ],
            options={
                "verbose_name": "bank template",
                "verbose_name_plural": "bank templates",
            },
        ),
        migrations.CreateModel(
            name="BankTemplateEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                (
                    "form",
                    models.CharField(
                        choices=[("csv", "CSV"), ("xlsx", "Excel (XLSX)"), ("pain.001", "ISO 20022 pain.001.001.09")],
                        max_length=8,
                        verbose_name="format",
                    ),
                ),
                ("columns", models.TextField(blank=True, verbose_name="columns")),
                ("debtor_name", models.CharField(max_length=70, verbose_name="our name")),
                ("debtor_account", models.CharField(max_length=34, verbose_name="our account")),
                (
                    "debtor_bank",
                    models.CharField(
                        help_text="BIC, or the clearing number", max_length=14, verbose_name="our bank's code"
                    ),
                ),
                (
                    "purpose",
                    models.CharField(default="Pickup fees {period}", max_length=100, verbose_name="text for the payee"),
                ),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="CaseNote",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "written_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="written"),
                ),
                ("text", models.CharField(max_length=1000, verbose_name="text")),
            ],
            options={
                "verbose_name": "note of a case",
                "verbose_name_plural": "notes of cases",
            },
        ),
        migrations.CreateModel(
            name="LineCase",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "opened_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="opened"),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[("stands", "the line stands"), ("reversed", "the fee is given back")],
                        max_length=8,
                        verbose_name="outcome",
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
            ],
            options={
                "verbose_name": "case",
                "verbose_name_plural": "cases",
            },
        ),
        migrations.CreateModel(
            name="Payout",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("amount_minor", models.BigIntegerField(verbose_name="amount, minor units")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("end_to_end_id", models.CharField(max_length=35, unique=True, verbose_name="end-to-end id")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("approved", "approved"),
                            ("sending", "on its way to the bank"),
                            ("sent", "paid"),
                            ("failed", "not paid"),
                            ("needs_check", "unknown: ask the bank"),
                            ("cancelled", "cancelled"),
                        ],
                        default="draft",
                        max_length=11,
                        verbose_name="state",
                    ),
                ),
            ],
            options={
                "verbose_name": "payout",
                "verbose_name_plural": "payouts",
            },
        ),
        migrations.CreateModel(
            name="PayoutStep",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("before", models.CharField(blank=True, max_length=11, verbose_name="from")),
                (
                    "after",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("approved", "approved"),
                            ("sending", "on its way to the bank"),
                            ("sent", "paid"),
                            ("failed", "not paid"),
                            ("needs_check", "unknown: ask the bank"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=11,
                        verbose_name="to",
                    ),
                ),
                ("at", models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="at")),
                ("note", models.CharField(blank=True, max_length=300, verbose_name="note")),
            ],
            options={
                "verbose_name": "step of a payout",
                "verbose_name_plural": "steps of payouts",
            },
        ),
        migrations.CreateModel(
            name="SealBlock",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False, verbose_name="number")),
                ("last_place", models.BigIntegerField(verbose_name="last place")),
                ("head", models.BinaryField(max_length=32, verbose_name="head")),
                ("marks", models.JSONField(verbose_name="marks")),
                ("sealed_at", models.DateTimeField(verbose_name="sealed")),
                ("seal", models.BinaryField(max_length=32, verbose_name="seal")),
            ],
            options={
                "verbose_name": "sealed block",
                "verbose_name_plural": "sealed blocks",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SealedRow",
            fields=[
                ("place", models.BigIntegerField(primary_key=True, serialize=False, verbose_name="place")),
                ("noun", models.CharField(max_length=10, verbose_name="what")),
                ("object_id", models.BigIntegerField(verbose_name="number")),
                ("hash", models.BinaryField(max_length=32, verbose_name="hash")),
            ],
            options={
                "verbose_name": "sealed row",
                "verbose_name_plural": "sealed rows",
                "default_permissions": ("view",),
            },
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="settlement",
            name="added_insert",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="settlement",
            name="changed_update",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="settlement",
            name="removed_delete",
        ),
        migrations.AddField(
            model_name="settlement",
            name="closed_in",
            field=models.BigIntegerField(db_default=pickup.models.settlements.ThisTransaction(), editable=False),
        ),
        migrations.AddField(
            model_name="settlementevent",
            name="closed_in",
            field=models.BigIntegerField(db_default=pickup.models.settlements.ThisTransaction(), editable=False),
        ),
        migrations.AddField(
            model_name="statement",
            name="opening_minor",
            field=models.BigIntegerField(db_default=0, default=0, verbose_name="opening balance"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="settlement",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_settlementevent" ("closed_at", "closed_in", "currency", "id", "period", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."closed_at", NEW."closed_in", NEW."currency", NEW."id", NEW."period", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id"); RETURN NULL;',
                    hash="c650eb5c72a0d2590598a7c5f87c723b9a1adca7",
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
                    func='INSERT INTO "pickup_settlementevent" ("closed_at", "closed_in", "currency", "id", "period", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."closed_at", NEW."closed_in", NEW."currency", NEW."id", NEW."period", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id"); RETURN NULL;',
                    hash="9a5d1d709e9bfb4705d0b5dc783dfbb34060a7be",
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
                    func='INSERT INTO "pickup_settlementevent" ("closed_at", "closed_in", "currency", "id", "period", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (OLD."closed_at", OLD."closed_in", OLD."currency", OLD."id", OLD."period", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id"); RETURN NULL;',
                    hash="be8600ccbac7f23e8473b03be5ec7e9aabdef41f",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_dcfde",
                    table="pickup_settlement",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="adjustment",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="adjustments",
                to="pickup.account",
                verbose_name="account",
            ),
        ),
        migrations.AddField(
            model_name="adjustment",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="adjustment",
            name="made_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="made by",
            ),
        ),
        migrations.AddField(
            model_name="bankdetails",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="bank_details",
                to="pickup.account",
                verbose_name="account",
            ),
        ),
        migrations.AddField(
            model_name="bankdetails",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="bankdetails",
            name="made_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="proposed by",
            ),
        ),
        migrations.CreateModel(
            name="BankFile",
            fields=[
                (
                    "batch",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="file",
                        serialize=False,
                        to="pickup.payoutbatch",
                        verbose_name="payout run",
                    ),
                ),
                ("name", models.CharField(max_length=60, unique=True, verbose_name="name")),
                ("box", models.BinaryField()),
                ("sha256", models.BinaryField(max_length=32, verbose_name="SHA-256")),
                (
                    "made_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="made"),
                ),
            ],
            options={
                "verbose_name": "bank file",
                "verbose_name_plural": "bank files",
            },
        ),
        migrations.AddField(
            model_name="payoutbatch",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="payoutbatch",
            name="made_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="made by",
            ),
        ),
        migrations.AddField(
            model_name="payoutbatch",
            name="template",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="pickup.banktemplate",
                verbose_name="bank template",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="banktemplate",
            trigger=pgtrigger.compiler.Trigger(
                name="added_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_banktemplateevent" ("columns", "debtor_account", "debtor_bank", "debtor_name", "form", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "purpose") VALUES (NEW."columns", NEW."debtor_account", NEW."debtor_bank", NEW."debtor_name", NEW."form", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'added\', NEW."id", NEW."purpose"); RETURN NULL;',
                    hash="5b7257b640c6691c7336fcc1cc71511d8315730c",
                    operation="INSERT",
                    pgid="pgtrigger_added_insert_8fb50",
                    table="pickup_banktemplate",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="banktemplate",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "pickup_banktemplateevent" ("columns", "debtor_account", "debtor_bank", "debtor_name", "form", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "purpose") VALUES (NEW."columns", NEW."debtor_account", NEW."debtor_bank", NEW."debtor_name", NEW."form", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."purpose"); RETURN NULL;',
                    hash="bea133105964660568585b3f3c5c7331efedad82",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_d655d",
                    table="pickup_banktemplate",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="banktemplate",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "pickup_banktemplateevent" ("columns", "debtor_account", "debtor_bank", "debtor_name", "form", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "purpose") VALUES (OLD."columns", OLD."debtor_account", OLD."debtor_bank", OLD."debtor_name", OLD."form", OLD."id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'removed\', OLD."id", OLD."purpose"); RETURN NULL;',
                    hash="8bd1126602d9b69527afc415db980a4bb9b362d5",
                    operation="DELETE",
                    pgid="pgtrigger_removed_delete_598ed",
                    table="pickup_banktemplate",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="banktemplateevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pickup.banktemplate",
            ),
        ),
        migrations.AddField(
            model_name="casenote",
            name="author",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="author",
            ),
        ),
        migrations.AddField(
            model_name="linecase",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="linecase",
            name="line",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="case",
                to="pickup.statementline",
                verbose_name="line",
            ),
        ),
        migrations.AddField(
            model_name="linecase",
            name="opened_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="opened by",
            ),
        ),
        migrations.AddField(
            model_name="linecase",
            name="reversal",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="pickup.posting",
                verbose_name="reversal",
            ),
        ),
        migrations.AddField(
            model_name="casenote",
            name="case",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="notes",
                to="pickup.linecase",
                verbose_name="case",
            ),
        ),
        migrations.AddField(
            model_name="payout",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payouts",
                to="pickup.account",
                verbose_name="account",
            ),
        ),
        migrations.AddField(
            model_name="payout",
            name="batch",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payouts",
                to="pickup.payoutbatch",
                verbose_name="payout run",
            ),
        ),
        migrations.AddField(
            model_name="payout",
            name="details",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="pickup.bankdetails",
                verbose_name="bank details",
            ),
        ),
        migrations.AddField(
            model_name="payout",
            name="posting",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payout",
                to="pickup.posting",
                verbose_name="posting",
            ),
        ),
        migrations.AddField(
            model_name="payout",
            name="statement",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payouts",
                to="pickup.statement",
                verbose_name="statement",
            ),
        ),
        migrations.AddField(
            model_name="payoutstep",
            name="by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="by",
            ),
        ),
        migrations.AddField(
            model_name="payoutstep",
            name="payout",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="steps",
                to="pickup.payout",
                verbose_name="payout",
            ),
        ),
        migrations.AddConstraint(
            model_name="sealblock",
            constraint=models.CheckConstraint(
                condition=models.Q(("last_place__gte", 0), ("number__gte", 0)), name="seal_block_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="sealedrow",
            constraint=models.UniqueConstraint(fields=("noun", "object_id"), name="sealed_once"),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_minor__gt", 0)), name="adjustment_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="adjustment_has_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by__isnull", True),
                    models.Q(("decided_by", models.F("made_by")), _negated=True),
                    _connector="OR",
                ),
                name="adjustment_two_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("decided_at__isnull", True), ("decided_by__isnull", True), ("decision", "")),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("decision__in", ["approved", "rejected"]),
                    ),
                    _connector="OR",
                ),
                name="adjustment_decision_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="bankdetails",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by__isnull", True),
                    models.Q(("decided_by", models.F("made_by")), _negated=True),
                    _connector="OR",
                ),
                name="bank_details_two_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="bankdetails",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("decided_at__isnull", True), ("decided_by__isnull", True), ("decision", "")),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("decision__in", ["approved", "rejected"]),
                    ),
                    _connector="OR",
                ),
                name="bank_details_decision_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="bankdetails",
            constraint=models.UniqueConstraint(
                condition=models.Q(("decision", "")), fields=("account",), name="bank_details_one_proposal"
            ),
        ),
        migrations.AddConstraint(
            model_name="payoutbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by__isnull", True),
                    models.Q(("decided_by", models.F("made_by")), _negated=True),
                    _connector="OR",
                ),
                name="payout_batch_two_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="payoutbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("decided_at__isnull", True), ("decided_by__isnull", True), ("decision", "")),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("decision__in", ["approved", "rejected"]),
                    ),
                    _connector="OR",
                ),
                name="payout_batch_decision_is_whole",
            ),
        ),
        migrations.AddIndex(
            model_name="banktemplateevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_banktemplate_at"),
        ),
        migrations.AddIndex(
            model_name="banktemplateevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_banktemplate_by"
            ),
        ),
        migrations.AddIndex(
            model_name="banktemplateevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_banktemplate_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="banktemplateevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="ed9771e13e390dce602af90cf88a73d8a4972af4",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_26f86",
                    table="pickup_banktemplateevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="banktemplateevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="b5ad27f272188825c441b58c6201377c9eff40a4",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_286b0",
                    table="pickup_banktemplateevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="linecase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", True),
                        ("decided_by__isnull", True),
                        ("outcome", ""),
                        ("reversal__isnull", True),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("outcome", "stands"),
                        ("reversal__isnull", True),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("outcome", "reversed"),
                        ("reversal__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="case_outcome_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="linecase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by__isnull", True),
                    models.Q(("decided_by", models.F("opened_by")), _negated=True),
                    _connector="OR",
                ),
                name="case_two_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="casenote",
            constraint=models.CheckConstraint(
                condition=models.Q(("text", ""), _negated=True), name="case_note_says_something"
            ),
        ),
        migrations.AddIndex(
            model_name="payout",
            index=models.Index(
                condition=models.Q(("state__in", ["sending", "needs_check"])), fields=["state"], name="payout_state"
            ),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_minor__gt", 0)), name="payout_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "sent"), _negated=True), ("posting__isnull", False), _connector="OR"
                ),
                name="payout_sent_has_its_posting",
            ),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["failed", "cancelled"]), _negated=True),
                fields=("statement",),
                name="payout_one_of_a_statement",
            ),
        ),
        migrations.RunSQL((SQL / "money.sql").read_text()),
        # payable.sql asks for what is held too: 0013 makes it.
    ]
