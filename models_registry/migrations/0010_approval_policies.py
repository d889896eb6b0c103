"""Approval policies, their versions and steps, and what a request keeps of them; a budget and a class of data to ask for."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import portal.lib.clock
import portal.lib.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0016_saml_encryption_keys"),
        ("models_registry", "0009_decide_by_portal_role"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApprovalPolicy",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=portal.lib.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "created_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
            ],
            options={
                "verbose_name_plural": "approval policies",
            },
        ),
        migrations.AddField(
            model_name="accessrequest",
            name="budget_micro_usd",
            field=models.PositiveBigIntegerField(
                blank=True,
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1000000000000000),
                ],
            ),
        ),
        migrations.AddField(
            model_name="accessrequest",
            name="data_class",
            field=models.CharField(
                blank=True,
                choices=[
                    ("public", "Public"),
                    ("internal", "Internal"),
                    ("confidential", "Confidential"),
                    ("secret", "Secret"),
                ],
                max_length=12,
            ),
        ),
        migrations.CreateModel(
            name="PolicyVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=portal.lib.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "model_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), blank=True, default=list, size=200
                    ),
                ),
                (
                    "data_classes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("public", "Public"),
                                ("internal", "Internal"),
                                ("confidential", "Confidential"),
                                ("secret", "Secret"),
                            ],
                            max_length=12,
                        ),
                        blank=True,
                        default=list,
                        size=4,
                    ),
                ),
                (
                    "team_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), blank=True, default=list, size=200
                    ),
                ),
                (
                    "budget_over",
                    models.PositiveBigIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1000000000000000)],
                    ),
                ),
                (
                    "budget_up_to",
                    models.PositiveBigIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1000000000000000)],
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
                (
                    "made_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="models_registry.approvalpolicy",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PolicyStep",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "stage",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10),
                        ],
                    ),
                ),
                (
                    "by",
                    models.CharField(
                        choices=[
                            ("deciders", "whoever decides on requests"),
                            ("group", "a group"),
                            ("owner", "the model's owner"),
                            ("manager", "the team's manager"),
                            ("security", "security"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "needs",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10),
                        ],
                    ),
                ),
                (
                    "remind_hours",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(2160),
                        ],
                    ),
                ),
                (
                    "due_hours",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(2160),
                        ],
                    ),
                ),
                (
                    "when_late",
                    models.CharField(
                        choices=[
                            ("remind", "remind them again"),
                            ("escalate", "whoever decides on requests may agree too"),
                            ("deny", "deny the request"),
                        ],
                        default="remind",
                        max_length=10,
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.team",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="steps",
                        to="models_registry.policyversion",
                    ),
                ),
            ],
            options={
                "ordering": ("stage", "id"),
            },
        ),
        migrations.AddField(
            model_name="approvalpolicy",
            name="in_force",
            field=models.OneToOneField(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="models_registry.policyversion",
            ),
        ),
        migrations.CreateModel(
            name="RequestStep",
            fields=[
                (
                    "stage",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10),
                        ],
                    ),
                ),
                (
                    "by",
                    models.CharField(
                        choices=[
                            ("deciders", "whoever decides on requests"),
                            ("group", "a group"),
                            ("owner", "the model's owner"),
                            ("manager", "the team's manager"),
                            ("security", "security"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "needs",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10),
                        ],
                    ),
                ),
                (
                    "remind_hours",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(2160),
                        ],
                    ),
                ),
                (
                    "due_hours",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(2160),
                        ],
                    ),
                ),
                (
                    "when_late",
                    models.CharField(
                        choices=[
                            ("remind", "remind them again"),
                            ("escalate", "whoever decides on requests may agree too"),
                            ("deny", "deny the request"),
                        ],
                        default="remind",
                        max_length=10,
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=portal.lib.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("turn_at", models.DateTimeField(editable=False, null=True)),
                ("met_at", models.DateTimeField(editable=False, null=True)),
                ("reminded_at", models.DateTimeField(editable=False, null=True)),
                ("late_at", models.DateTimeField(editable=False, null=True)),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="steps",
                        to="models_registry.accessrequest",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="+",
                        to="accounts.team",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="+",
                        to="models_registry.policyversion",
                    ),
                ),
            ],
            options={
                "ordering": ("stage", "id"),
            },
        ),
        migrations.CreateModel(
            name="StepApproval",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=portal.lib.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("at", models.DateTimeField(default=portal.lib.clock.utc_now, editable=False)),
                ("reason", models.CharField(blank=True, max_length=500)),
                (
                    "model_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), size=20
                    ),
                ),
                ("ends_at", models.DateTimeField()),
                ("requests_per_minute", models.PositiveIntegerField(null=True)),
                ("tokens_per_minute", models.PositiveIntegerField(null=True)),
                ("budget_micro_usd", models.PositiveBigIntegerField(null=True)),
                (
                    "in_place_of",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "step",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="approvals",
                        to="models_registry.requeststep",
                    ),
                ),
            ],
            options={
                "ordering": ("id",),
            },
        ),
        migrations.AddConstraint(
            model_name="policyversion",
            constraint=models.UniqueConstraint(
                fields=("policy", "number"), name="policy_version_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="policyversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("budget_over__isnull", True),
                    ("budget_up_to__isnull", True),
                    ("budget_over__lt", models.F("budget_up_to")),
                    _connector="OR",
                ),
                name="policy_budgets_in_order",
            ),
        ),
        migrations.AddConstraint(
            model_name="policystep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("by", "group"), ("team__isnull", False)),
                    models.Q(models.Q(("by", "group"), _negated=True), ("team__isnull", True)),
                    _connector="OR",
                ),
                name="policy_step_of_a_group",
            ),
        ),
        migrations.AddConstraint(
            model_name="policystep",
            constraint=models.CheckConstraint(
                condition=models.Q(("needs__gte", 1), ("needs__lte", 10)), name="policy_step_needs"
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalpolicy",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("name"), name="policy_name_once"
            ),
        ),
        migrations.AddIndex(
            model_name="requeststep",
            index=models.Index(
                condition=models.Q(("met_at__isnull", True), ("turn_at__isnull", False)),
                fields=["turn_at"],
                name="request_step_waiting",
            ),
        ),
        migrations.AddConstraint(
            model_name="requeststep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("by__in", ["group", "owner", "manager"]), ("team__isnull", False)),
                    models.Q(("by__in", ["deciders", "security"]), ("team__isnull", True)),
                    _connector="OR",
                ),
                name="request_step_of_a_team",
            ),
        ),
        migrations.AddConstraint(
            model_name="requeststep",
            constraint=models.CheckConstraint(
                condition=models.Q(("needs__gte", 1), ("needs__lte", 10)), name="request_step_needs"
            ),
        ),
        migrations.AddConstraint(
            model_name="requeststep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("met_at__isnull", True), ("turn_at__isnull", False), _connector="OR"
                ),
                name="request_step_met_in_turn",
            ),
        ),
        migrations.AddConstraint(
            model_name="stepapproval",
            constraint=models.UniqueConstraint(
                fields=("step", "person"), name="step_approved_once_by_each"
            ),
        ),
        migrations.AddConstraint(
            model_name="stepapproval",
            constraint=models.UniqueConstraint(
                fields=("step", "in_place_of"), name="step_approved_once_in_place_of_each"
            ),
        ),
    ]
