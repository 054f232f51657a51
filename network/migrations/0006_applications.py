"""Applications for regions, proposals of points, and appointments whose past nobody rewrites.

A fee is explained by the appointment that was in force at its pickup. So an appointment can only end earlier, and only
from now on; what is decided is decided once.
"""

import django.contrib.gis.db.models.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GUARDS = """
-- An appointment never changes but for its end, which comes earlier and not before now. A longer one is another row.
CREATE FUNCTION appointment_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ends constant text[] := '{valid,ended_by_id,ended_at,end_reason}';
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(OLD) - ends = to_jsonb(NEW) - ends
       AND lower(NEW.valid) = lower(OLD.valid) AND upper(NEW.valid) < upper(OLD.valid)
       AND upper(NEW.valid) >= clock_timestamp()
       AND NEW.ended_at IS NOT NULL AND NEW.ended_at IS DISTINCT FROM OLD.ended_at THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an appointment is never changed, it can only end earlier, from now on: make another one'
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'appointment_only_ends';
END $$;
CREATE TRIGGER appointment_only_ends BEFORE UPDATE OR DELETE ON network_appointment
    FOR EACH ROW EXECUTE FUNCTION appointment_only_ends();

-- Nobody gives a region to themselves.
CREATE FUNCTION appointment_is_given_by_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM network_agent a WHERE a.id = NEW.agent_id AND a.user_id = NEW.appointed_by_id) THEN
        RAISE EXCEPTION 'an appointment is given by another person than the agent'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'appointment_is_given_by_another';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER appointment_is_given_by_another BEFORE INSERT ON network_appointment
    FOR EACH ROW EXECUTE FUNCTION appointment_is_given_by_another();

-- An application or a proposal stays as it was written, and is decided once.
CREATE FUNCTION request_is_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    decides text[] := string_to_array(TG_ARGV[0], ' ');
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.status = 'waiting' AND NEW.status <> 'waiting'
       AND to_jsonb(OLD) - decides = to_jsonb(NEW) - decides THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a row of % is decided once and is not changed otherwise', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'request_is_decided_once';
END $$;
CREATE TRIGGER request_is_decided_once BEFORE UPDATE OR DELETE ON network_appointmentapplication
    FOR EACH ROW EXECUTE FUNCTION request_is_decided_once('status decided_by_id decided_at answer appointment_id');
CREATE TRIGGER request_is_decided_once BEFORE UPDATE OR DELETE ON network_pointproposal
    FOR EACH ROW EXECUTE FUNCTION request_is_decided_once('status decided_by_id decided_at answer service_point_id');

CREATE FUNCTION network_history_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never emptied', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON network_appointment
    FOR EACH STATEMENT EXECUTE FUNCTION network_history_stays();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON network_appointmentapplication
    FOR EACH STATEMENT EXECUTE FUNCTION network_history_stays();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON network_pointproposal
    FOR EACH STATEMENT EXECUTE FUNCTION network_history_stays();
"""

UNGUARDED = """
DROP TRIGGER never_emptied ON network_pointproposal;
DROP TRIGGER never_emptied ON network_appointmentapplication;
DROP TRIGGER never_emptied ON network_appointment;
DROP FUNCTION network_history_stays();
DROP TRIGGER request_is_decided_once ON network_pointproposal;
DROP TRIGGER request_is_decided_once ON network_appointmentapplication;
DROP FUNCTION request_is_decided_once();
DROP TRIGGER appointment_is_given_by_another ON network_appointment;
DROP FUNCTION appointment_is_given_by_another();
DROP TRIGGER appointment_only_ends ON network_appointment;
DROP FUNCTION appointment_only_ends();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("network", "0005_drafts"),
    ]

    operations = [
        migrations.CreateModel(
            name="AppointmentApplication",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reasons", models.TextField(max_length=2000, verbose_name="reasons")),
                ("contact", models.CharField(blank=True, max_length=200, verbose_name="how to reach")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("approved", "approved"),
                            ("refused", "refused"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("made_at", models.DateTimeField(auto_now_add=True, verbose_name="made")),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
                ("answer", models.TextField(blank=True, max_length=2000, verbose_name="answer")),
            ],
            options={
                "verbose_name": "application for a region",
                "verbose_name_plural": "applications for regions",
            },
        ),
        migrations.CreateModel(
            name="PointProposal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "location",
                    django.contrib.gis.db.models.fields.PointField(
                        spatial_index=False, srid=4326, verbose_name="location, WGS 84"
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("address", models.CharField(blank=True, max_length=300, verbose_name="address")),
                ("reasons", models.TextField(max_length=2000, verbose_name="reasons")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("taken", "taken up"),
                            ("refused", "refused"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("made_at", models.DateTimeField(auto_now_add=True, verbose_name="made")),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided")),
                ("answer", models.TextField(blank=True, max_length=2000, verbose_name="answer")),
            ],
            options={
                "verbose_name": "proposal of a service point",
                "verbose_name_plural": "proposals of service points",
            },
        ),
        migrations.AddField(
            model_name="appointment",
            name="appointed_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="appointed by",
            ),
        ),
        migrations.AddField(
            model_name="appointment",
            name="end_reason",
            field=models.TextField(blank=True, verbose_name="why it ended early"),
        ),
        migrations.AddField(
            model_name="appointment",
            name="ended_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="ended early on"),
        ),
        migrations.AddField(
            model_name="appointment",
            name="ended_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="ended early by",
            ),
        ),
        migrations.AddConstraint(
            model_name="appointment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("end_reason", ""), ("ended_at__isnull", True), ("ended_by__isnull", True)),
                    models.Q(
                        ("ended_at__isnull", False),
                        ("ended_by__isnull", False),
                        models.Q(("end_reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="appointment_early_end_has_reason",
            ),
        ),
        migrations.AddField(
            model_name="appointmentapplication",
            name="appointment",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="application",
                to="network.appointment",
                verbose_name="appointment",
            ),
        ),
        migrations.AddField(
            model_name="appointmentapplication",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="appointmentapplication",
            name="region",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="applications",
                to="network.region",
                verbose_name="region",
            ),
        ),
        migrations.AddField(
            model_name="appointmentapplication",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="applications",
                to=settings.AUTH_USER_MODEL,
                verbose_name="applicant",
            ),
        ),
        migrations.AddField(
            model_name="pointproposal",
            name="agent",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposals",
                to="network.agent",
                verbose_name="agent",
            ),
        ),
        migrations.AddField(
            model_name="pointproposal",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="pointproposal",
            name="made_by",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="made by",
            ),
        ),
        migrations.AddField(
            model_name="pointproposal",
            name="region",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="network.region",
                verbose_name="region",
            ),
        ),
        migrations.AddField(
            model_name="pointproposal",
            name="service_point",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="network.servicepoint",
                verbose_name="service point",
            ),
        ),
        migrations.AddIndex(
            model_name="appointmentapplication",
            index=models.Index(
                condition=models.Q(("status", "waiting")), fields=["made_at"], name="application_waiting"
            ),
        ),
        migrations.AddConstraint(
            model_name="appointmentapplication",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "waiting")), fields=("user", "region"), name="application_waits_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="appointmentapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(("reasons", ""), _negated=True), name="application_has_reasons"
            ),
        ),
        migrations.AddConstraint(
            model_name="appointmentapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by__isnull", True),
                    models.Q(("decided_by", models.F("user")), _negated=True),
                    _connector="OR",
                ),
                name="application_is_decided_by_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="appointmentapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("answer", ""),
                        ("appointment", None),
                        ("decided_at", None),
                        ("decided_by", None),
                        ("status", "waiting"),
                    ),
                    models.Q(
                        ("answer", ""),
                        ("appointment", None),
                        ("decided_at__isnull", False),
                        ("decided_by", None),
                        ("status", "withdrawn"),
                    ),
                    models.Q(
                        ("appointment__isnull", False),
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("status", "approved"),
                    ),
                    models.Q(
                        ("appointment", None),
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("status", "refused"),
                        models.Q(("answer", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="application_decided_whole",
            ),
        ),
        migrations.AddIndex(
            model_name="pointproposal",
            index=models.Index(condition=models.Q(("status", "waiting")), fields=["made_at"], name="proposal_waiting"),
        ),
        migrations.AddConstraint(
            model_name="pointproposal",
            constraint=models.CheckConstraint(
                condition=models.Q(models.Q(("reasons", ""), _negated=True), models.Q(("name", ""), _negated=True)),
                name="proposal_has_reasons",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointproposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by__isnull", True),
                    models.Q(("decided_by", models.F("made_by")), _negated=True),
                    _connector="OR",
                ),
                name="proposal_is_decided_by_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointproposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("answer", ""),
                        ("decided_at", None),
                        ("decided_by", None),
                        ("service_point", None),
                        ("status", "waiting"),
                    ),
                    models.Q(
                        ("answer", ""),
                        ("decided_at__isnull", False),
                        ("decided_by", None),
                        ("service_point", None),
                        ("status", "withdrawn"),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("service_point__isnull", False),
                        ("status", "taken"),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("service_point", None),
                        ("status", "refused"),
                        models.Q(("answer", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="proposal_decided_whole",
            ),
        ),
        migrations.RunSQL(GUARDS, UNGUARDED),
        migrations.AlterField(
            model_name="signincode",
            name="purpose",
            field=models.CharField(
                choices=[("sign_in", "sign in"), ("reset", "set a password"), ("open", "open an account")],
                max_length=10,
                verbose_name="purpose",
            ),
        ),
    ]
