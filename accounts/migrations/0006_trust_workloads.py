"""Issuers whose tokens are believed, when their keys were fetched, and the rules that say what a token is worth."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import portal.lib.clock
import portal.lib.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_let_notification_kinds_grow"),
    ]

    operations = [
        migrations.CreateModel(
            name="TrustedIssuer",
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
                ("name", models.SlugField(max_length=60, unique=True)),
                ("issuer", models.CharField(max_length=500, unique=True)),
                (
                    "key_source",
                    models.CharField(
                        choices=[
                            ("discovery", "Discovery"),
                            ("jwks_url", "Jwks Url"),
                            ("pasted", "Pasted"),
                        ],
                        max_length=10,
                    ),
                ),
                ("jwks_url", models.CharField(blank=True, max_length=500)),
                ("certificate_authority", models.TextField(blank=True, max_length=20000)),
                (
                    "algorithms",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("RS256", "Rs256"),
                                ("RS384", "Rs384"),
                                ("RS512", "Rs512"),
                                ("PS256", "Ps256"),
                                ("PS384", "Ps384"),
                                ("PS512", "Ps512"),
                                ("ES256", "Es256"),
                                ("ES384", "Es384"),
                                ("ES512", "Es512"),
                                ("EdDSA", "Eddsa"),
                            ],
                            max_length=5,
                        ),
                        size=10,
                    ),
                ),
                (
                    "audiences",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=300), size=10
                    ),
                ),
                (
                    "max_token_age_s",
                    models.PositiveIntegerField(
                        default=3600,
                        validators=[
                            django.core.validators.MinValueValidator(60),
                            django.core.validators.MaxValueValidator(604800),
                        ],
                    ),
                ),
                ("is_open_to_teams", models.BooleanField(default=True)),
                ("keys", models.JSONField(blank=True, default=list, editable=False)),
                (
                    "created_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
                ("disabled_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="TrustRule",
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
                ("subject", models.CharField(max_length=500)),
                ("audience", models.CharField(blank=True, max_length=300)),
                ("claims", models.JSONField(blank=True, default=list)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[("chat", "Chat"), ("embeddings", "Embeddings")], max_length=20
                        ),
                        size=20,
                    ),
                ),
                (
                    "networks",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=50),
                        blank=True,
                        default=list,
                        size=100,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
                ("created_by", models.UUIDField(editable=False, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("disabled_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="IssuerFetch",
            fields=[
                (
                    "issuer",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="fetch",
                        serialize=False,
                        to="accounts.trustedissuer",
                    ),
                ),
                ("fetched_at", models.DateTimeField(null=True)),
                ("tried_at", models.DateTimeField(null=True)),
                ("wanted_at", models.DateTimeField(null=True)),
                ("fault", models.CharField(blank=True, max_length=300)),
            ],
        ),
        migrations.AddConstraint(
            model_name="trustedissuer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("key_source", "jwks_url"), models.Q(("jwks_url", ""), _negated=True)),
                    models.Q(models.Q(("key_source", "jwks_url"), _negated=True), ("jwks_url", "")),
                    _connector="OR",
                ),
                name="issuer_keys_at_an_address",
            ),
        ),
        migrations.AddField(
            model_name="trustrule",
            name="issuer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rules",
                to="accounts.trustedissuer",
            ),
        ),
        migrations.AddField(
            model_name="trustrule",
            name="service_account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="trust_rules",
                to="accounts.serviceaccount",
            ),
        ),
        migrations.AddField(
            model_name="trustrule",
            name="team",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="trust_rules",
                to="accounts.team",
            ),
        ),
        migrations.AddIndex(
            model_name="trustrule",
            index=models.Index(fields=["issuer", "subject"], name="trust_rule_by_subject"),
        ),
        migrations.AddConstraint(
            model_name="trustrule",
            constraint=models.UniqueConstraint(
                fields=("team", "name"), name="trust_rule_name_once"
            ),
        ),
    ]
