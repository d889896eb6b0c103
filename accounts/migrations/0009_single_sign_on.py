"""Connections for single sign-on, whom they have named, and what groups mean; who keeps a password in any case."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import portal.lib.clock
import portal.lib.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_teams_ask_for_a_second_factor"),
    ]

    operations = [
        migrations.CreateModel(
            name="SignOnConnection",
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
                ("name", models.CharField(max_length=60)),
                ("slug", models.SlugField(max_length=60, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[("oidc", "OpenID Connect"), ("saml", "SAML 2.0")], max_length=10
                    ),
                ),
                ("issuer", models.CharField(max_length=500)),
                ("client_id", models.CharField(blank=True, max_length=300)),
                ("sealed_secret", models.BinaryField(null=True)),
                ("sso_url", models.URLField(blank=True, max_length=500)),
                ("certificate", models.TextField(blank=True, max_length=10000)),
                (
                    "domains",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            max_length=253,
                            validators=[
                                django.core.validators.RegexValidator(
                                    "^(?=.{4,253}$)([a-z0-9](-?[a-z0-9])*\\.)+[a-z]{2,}$",
                                    "A domain is written in lower case, such as corp.example.",
                                )
                            ],
                        ),
                        size=50,
                    ),
                ),
                ("group_claim", models.CharField(blank=True, max_length=200)),
                ("is_enforced", models.BooleanField(default=False)),
                ("is_enabled", models.BooleanField(default=True)),
                (
                    "created_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
            ],
            options={
                "verbose_name": "sign-on connection",
            },
        ),
        migrations.AddField(
            model_name="user",
            name="is_break_glass",
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name="SignOnMembership",
            fields=[
                (
                    "membership",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="sign_on",
                        serialize=False,
                        to="accounts.membership",
                    ),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="accounts.signonconnection",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SignOnIdentity",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subject", models.CharField(max_length=500)),
                (
                    "created_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="identities",
                        to="accounts.signonconnection",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sign_on_identities",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "sign-on identities",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("connection", "subject"), name="sign_on_subject_once"
                    ),
                    models.UniqueConstraint(
                        fields=("connection", "person"), name="sign_on_person_once"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SignOnMapping",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("group", models.CharField(max_length=300)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("manager", "Manager"),
                            ("member", "Member"),
                            ("auditor", "Auditor"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mappings",
                        to="accounts.signonconnection",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sign_on_mappings",
                        to="accounts.team",
                    ),
                ),
            ],
            options={
                "verbose_name": "sign-on mapping",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("connection", "group", "team"), name="sign_on_mapping_once"
                    )
                ],
            },
        ),
    ]
