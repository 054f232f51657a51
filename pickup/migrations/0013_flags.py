"""Holds on pickups that look invented, what recipients are asked, and one word for what settlement must leave out."""

from pathlib import Path

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.fields.json
import pghistory.utils
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

import pickup.models.parcels

SQL = Path(__file__).resolve().parent.parent / "models" / "sql"
GUARDS = """
-- A hold is born undecided and is decided once, by somebody who has no part in it.
CREATE FUNCTION hold_is_decided_by_a_stranger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.decision <> '' THEN
            RAISE EXCEPTION 'a hold is placed before it is decided' USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF EXISTS (SELECT FROM pickup_handover h JOIN pickup_scan s ON s.id = h.scan_id
                  WHERE h.id = NEW.handover_id AND s.clerk_id = NEW.decided_by_id)
       OR EXISTS (SELECT FROM network_membership m
                  WHERE m.service_point_id = NEW.service_point_id AND m.user_id = NEW.decided_by_id
                    AND m.ended_at IS NULL) THEN
        RAISE EXCEPTION 'nobody decides on a hold of the own shop' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER decided_by_a_stranger BEFORE INSERT OR UPDATE ON pickup_hold
    FOR EACH ROW EXECUTE FUNCTION hold_is_decided_by_a_stranger();
CREATE TRIGGER only_decided BEFORE UPDATE OR DELETE ON pickup_hold
    FOR EACH ROW EXECUTE FUNCTION ends_once('decided_at decided_by_id decision reason');
CREATE TRIGGER only_answered BEFORE UPDATE OR DELETE ON pickup_pickupquestion
    FOR EACH ROW EXECUTE FUNCTION ends_once('answered_at answer');
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON pickup_pageopening
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON pickup_hold
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON pickup_pickupquestion
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON pickup_pageopening
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What settlement must leave out, in one place: pickups that somebody doubts ('' while it is open), and those that
-- were found not to have happened ('upheld'): a recipient's dispute and a hold mean the same to the money.
CREATE VIEW pickup_contested AS
    SELECT handover_id, outcome FROM pickup_dispute
    UNION ALL
    SELECT handover_id, CASE decision WHEN '' THEN '' WHEN 'reversed' THEN 'upheld' ELSE 'dismissed' END
    FROM pickup_hold;

CREATE FUNCTION pickup_is_held(p_handover_id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM pickup_contested WHERE handover_id = p_handover_id AND outcome = '')
$$;

-- Two recipients in thirty days who say that they collected nothing, and who were not found to be wrong: nothing is
-- paid out to that shop meanwhile.
CREATE FUNCTION point_is_frozen(p_point_id bigint, p_at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT COUNT(*) >= 2 FROM pickup_dispute d JOIN pickup_handover h ON h.id = d.handover_id
    WHERE h.service_point_id = p_point_id AND d.outcome <> 'dismissed'
      AND d.opened_at > p_at - interval '30 days' AND d.opened_at <= p_at
$$;
"""
WITHOUT = """
    DROP FUNCTION point_is_frozen(bigint, timestamptz);
    DROP FUNCTION pickup_is_held(bigint);
    DROP VIEW pickup_contested;
    DROP TRIGGER never_emptied ON pickup_pageopening;
    DROP TRIGGER never_emptied ON pickup_pickupquestion;
    DROP TRIGGER never_emptied ON pickup_hold;
    DROP TRIGGER only_added ON pickup_pageopening;
    DROP TRIGGER only_answered ON pickup_pickupquestion;
    DROP TRIGGER only_decided ON pickup_hold;
    DROP TRIGGER decided_by_a_stranger ON pickup_hold;
    DROP FUNCTION hold_is_decided_by_a_stranger();
"""

WITHOUT_PAYABLE = """
    DROP FUNCTION payout_held_by(bigint, timestamptz);
    DROP FUNCTION payable_postings(timestamptz);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("network", "0012_overflow"),
        ("pickup", "0012_money"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("points", models.SmallIntegerField(verbose_name="points")),
                ("evidence", models.JSONField(verbose_name="evidence")),
                ("day", models.DateField(verbose_name="day that was scored")),
                (
                    "placed_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="held since"),
                ),
                (
                    "decision",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("cleared", "cleared: the fees are paid"),
                            ("reversed", "reversed: the fees are taken back"),
                        ],
                        max_length=10,
                        verbose_name="decision",
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
            ],
            options={
                "verbose_name": "held pickup",
                "verbose_name_plural": "held pickups",
            },
        ),
        migrations.CreateModel(
            name="HoldEvent",
            fields=[
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("id", models.BigIntegerField()),
                ("points", models.SmallIntegerField(verbose_name="points")),
                ("day", models.DateField(verbose_name="day that was scored")),
                (
                    "placed_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="held since"),
                ),
                (
                    "decision",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("cleared", "cleared: the fees are paid"),
                            ("reversed", "reversed: the fees are taken back"),
                        ],
                        max_length=10,
                        verbose_name="decision",
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="PageOpening",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("by_shop", models.BooleanField(verbose_name="by somebody of the shop")),
                (
                    "opened_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="opened"),
                ),
            ],
            options={
                "verbose_name": "opening of a recipient's page",
                "verbose_name_plural": "openings of recipients' pages",
            },
        ),
        migrations.CreateModel(
            name="PickupQuestion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "asked_at",
                    models.DateTimeField(db_default=pickup.models.parcels.DatabaseClock(), verbose_name="asked"),
                ),
                (
                    "answer",
                    models.CharField(
                        blank=True,
                        choices=[("yes", "yes, collected"), ("no", "no, not collected")],
                        max_length=3,
                        verbose_name="answer",
                    ),
                ),
                ("answered_at", models.DateTimeField(blank=True, null=True, verbose_name="answered")),
            ],
            options={
                "verbose_name": "question to a recipient",
                "verbose_name_plural": "questions to recipients",
            },
        ),
        migrations.CreateModel(
            name="ScoredDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(unique=True, verbose_name="day")),
                ("scored_at", models.DateTimeField(verbose_name="scored")),
                ("pickups", models.IntegerField(verbose_name="pickups")),
                ("held", models.IntegerField(verbose_name="held")),
            ],
            options={
                "verbose_name": "scored day",
                "verbose_name_plural": "scored days",
            },
        ),
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
                    ("asked", "did you collect it?"),
                ],
                max_length=10,
                verbose_name="kind",
            ),
        ),
        migrations.AddIndex(
            model_name="scan",
            index=django.contrib.postgres.indexes.BrinIndex(fields=["recorded_at"], name="scan_time"),
        ),
        migrations.AddField(
            model_name="hold",
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
            model_name="hold",
            name="handover",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="hold",
                to="pickup.handover",
                verbose_name="verified pickup",
            ),
        ),
        migrations.AddField(
            model_name="hold",
            name="service_point",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="holdevent",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="holdevent",
            name="handover",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="pickup.handover",
                verbose_name="verified pickup",
            ),
        ),
        migrations.AddField(
            model_name="holdevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pickup.hold",
            ),
        ),
        migrations.AddField(
            model_name="holdevent",
            name="service_point",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddField(
            model_name="pageopening",
            name="parcel",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="pickup.parcel",
                verbose_name="parcel",
            ),
        ),
        migrations.AddField(
            model_name="pickupquestion",
            name="handover",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="question",
                to="pickup.handover",
                verbose_name="verified pickup",
            ),
        ),
        migrations.AddIndex(
            model_name="hold",
            index=models.Index(fields=["service_point", "decision"], name="hold_of_point"),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(("decision__in", ["", "cleared", "reversed"])), name="hold_decision_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", True), ("decided_by__isnull", True), ("decision", ""), ("reason", "")
                    ),
                    models.Q(
                        models.Q(("decision", ""), _negated=True),
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("reason__regex", "\\S.{2,}"),
                    ),
                    _connector="OR",
                ),
                name="hold_decision_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(("points__gt", 0), models.Q(("evidence", []), _negated=True)),
                name="hold_has_evidence",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="hold",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."day" IS DISTINCT FROM (NEW."day") OR OLD."decided_at" IS DISTINCT FROM (NEW."decided_at") OR OLD."decided_by_id" IS DISTINCT FROM (NEW."decided_by_id") OR OLD."decision" IS DISTINCT FROM (NEW."decision") OR OLD."handover_id" IS DISTINCT FROM (NEW."handover_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."placed_at" IS DISTINCT FROM (NEW."placed_at") OR OLD."points" IS DISTINCT FROM (NEW."points") OR OLD."reason" IS DISTINCT FROM (NEW."reason") OR OLD."service_point_id" IS DISTINCT FROM (NEW."service_point_id"))',
                    func='INSERT INTO "pickup_holdevent" ("day", "decided_at", "decided_by_id", "decision", "handover_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "placed_at", "points", "reason", "service_point_id") VALUES (NEW."day", NEW."decided_at", NEW."decided_by_id", NEW."decision", NEW."handover_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, clock_timestamp(), \'changed\', NEW."id", NEW."placed_at", NEW."points", NEW."reason", NEW."service_point_id"); RETURN NULL;',
                    hash="dcef37d1d2b60786bf932fcdfebe36facb619069",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_update_e7c13",
                    table="pickup_hold",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="holdevent",
            index=models.Index(fields=["pgh_created_at"], name="kept_hold_at"),
        ),
        migrations.AddIndex(
            model_name="holdevent",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("user", "pgh_context"), name="kept_hold_by"
            ),
        ),
        migrations.AddIndex(
            model_name="holdevent",
            index=models.Index(fields=["pgh_obj", "pgh_id"], name="kept_hold_0"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="holdevent",
            trigger=pgtrigger.compiler.Trigger(
                name="only_added",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="5e6cd9ed1dee5825686121127d8b84a0ea81c41d",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_only_added_baeff",
                    table="pickup_holdevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="holdevent",
            trigger=pgtrigger.compiler.Trigger(
                name="never_emptied",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
                    hash="bc4b1fb71913c994093a92536fd6d7cad8063f57",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_never_emptied_9805a",
                    table="pickup_holdevent",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="pageopening",
            constraint=models.UniqueConstraint(fields=("parcel", "by_shop"), name="page_opening_once"),
        ),
        migrations.AddConstraint(
            model_name="pickupquestion",
            constraint=models.CheckConstraint(
                condition=models.Q(("answer__in", ["", "yes", "no"])), name="question_answer_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="pickupquestion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("answer", ""), ("answered_at__isnull", True)),
                    models.Q(models.Q(("answer", ""), _negated=True), ("answered_at__isnull", False)),
                    _connector="OR",
                ),
                name="question_answer_has_time",
            ),
        ),
        migrations.RunSQL(GUARDS, WITHOUT),
        migrations.RunSQL((SQL / "payable.sql").read_text(), WITHOUT_PAYABLE),
    ]
