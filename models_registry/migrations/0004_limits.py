"""Limits and budgets of keys, accounts, people, members, teams, models, and teams' use of models."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import portal.lib.clock
import portal.lib.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_invitations_outbox_and_replies"),
        ("models_registry", "0003_access_requests"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Limit",
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
                (
                    "measure",
                    models.CharField(
                        choices=[
                            ("requests", "Requests"),
                            ("input_tokens", "Input Tokens"),
                            ("output_tokens", "Output Tokens"),
                            ("tokens", "input and output tokens"),
                            ("micro_usd", "money"),
                            ("concurrent", "concurrent calls"),
                        ],
                        max_length=14,
                    ),
                ),
                (
                    "period",
                    models.CharField(
                        choices=[
                            ("second", "Second"),
                            ("minute", "Minute"),
                            ("hour", "Hour"),
                            ("day", "24 hours"),
                            ("calendar_day", "calendar day"),
                            ("calendar_week", "calendar week"),
                            ("calendar_month", "calendar month"),
                            ("fixed_sum", "in all"),
                            ("at_once", "at once"),
                        ],
                        max_length=16,
                    ),
                ),
                ("zone", models.CharField(blank=True, max_length=64)),
                (
                    "amount",
                    models.PositiveBigIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000000000000000),
                        ]
                    ),
                ),
                ("is_soft", models.BooleanField(default=False)),
                (
                    "alert_percents",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(500),
                            ]
                        ),
                        blank=True,
                        default=list,
                        size=10,
                    ),
                ),
                ("by_administrator", models.BooleanField(editable=False)),
                (
                    "created_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
                (
                    "changed_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
                (
                    "key",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limits",
                        to="accounts.apikey",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limits",
                        to="models_registry.aimodel",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limits",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "service_account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limits",
                        to="accounts.serviceaccount",
                    ),
                ),
                (
                    "set_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limits",
                        to="accounts.team",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("key__isnull", False),
                                ("model__isnull", True),
                                ("person__isnull", True),
                                ("service_account__isnull", True),
                                ("team__isnull", True),
                            ),
                            models.Q(
                                ("key__isnull", True),
                                ("model__isnull", True),
                                ("person__isnull", True),
                                ("service_account__isnull", False),
                                ("team__isnull", True),
                            ),
                            models.Q(
                                ("key__isnull", True),
                                ("model__isnull", True),
                                ("person__isnull", False),
                                ("service_account__isnull", True),
                                ("team__isnull", True),
                            ),
                            models.Q(
                                ("key__isnull", True),
                                ("model__isnull", True),
                                ("person__isnull", False),
                                ("service_account__isnull", True),
                                ("team__isnull", False),
                            ),
                            models.Q(
                                ("key__isnull", True),
                                ("model__isnull", True),
                                ("person__isnull", True),
                                ("service_account__isnull", True),
                                ("team__isnull", False),
                            ),
                            models.Q(
                                ("key__isnull", True),
                                ("model__isnull", False),
                                ("person__isnull", True),
                                ("service_account__isnull", True),
                                ("team__isnull", True),
                            ),
                            models.Q(
                                ("key__isnull", True),
                                ("model__isnull", False),
                                ("person__isnull", True),
                                ("service_account__isnull", True),
                                ("team__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="limit_of_one_subject",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__gte", 1), ("amount__lte", 1000000000000000)),
                        name="limit_amount",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "measure__in",
                                [
                                    "requests",
                                    "input_tokens",
                                    "output_tokens",
                                    "tokens",
                                    "micro_usd",
                                    "concurrent",
                                ],
                            ),
                            (
                                "period__in",
                                [
                                    "second",
                                    "minute",
                                    "hour",
                                    "day",
                                    "calendar_day",
                                    "calendar_week",
                                    "calendar_month",
                                    "fixed_sum",
                                    "at_once",
                                ],
                            ),
                        ),
                        name="limit_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("is_soft", False), ("measure", "concurrent"), ("period", "at_once")
                            ),
                            models.Q(
                                models.Q(("measure", "concurrent"), _negated=True),
                                models.Q(("period", "at_once"), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="limit_at_once_of_calls",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("period__in", ("calendar_day", "calendar_week", "calendar_month")),
                                ("zone__regex", "^[A-Za-z0-9_+/-]+$"),
                            ),
                            models.Q(
                                models.Q(
                                    (
                                        "period__in",
                                        ("calendar_day", "calendar_week", "calendar_month"),
                                    ),
                                    _negated=True,
                                ),
                                ("zone", ""),
                            ),
                            _connector="OR",
                        ),
                        name="limit_zone",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("key__isnull", False),
                            ("measure__in", ["requests", "tokens"]),
                            ("period", "minute"),
                            _negated=True,
                        ),
                        name="limit_not_of_a_keys_minute",
                    ),
                    models.UniqueConstraint(
                        fields=(
                            "key",
                            "service_account",
                            "person",
                            "team",
                            "model",
                            "measure",
                            "period",
                        ),
                        name="limit_once",
                        nulls_distinct=False,
                    ),
                ],
            },
        ),
    ]
