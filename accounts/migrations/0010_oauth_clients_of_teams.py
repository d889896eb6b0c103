"""Clients belong to teams, and what is issued names its team. No client can have been registered before, so no row is filled."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import portal.lib.clock
import portal.lib.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_single_sign_on"),
    ]

    operations = [
        migrations.CreateModel(
            name="EndedToken",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("public", models.JSONField()),
                ("sealed_private", models.BinaryField()),
                ("signs_from", models.DateTimeField()),
                (
                    "created_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SpentAssertion",
            fields=[
                ("digest", models.BinaryField(max_length=32, primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.AlterModelOptions(
            name="oauthapplication",
            options={"verbose_name": "OAuth client"},
        ),
        migrations.AddField(
            model_name="oauthaccesstoken",
            name="jti",
            field=models.UUIDField(default=uuid.uuid4, unique=True),
        ),
        migrations.AddField(
            model_name="oauthaccesstoken",
            name="team",
            field=models.ForeignKey(
                default=None,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.team",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="created_by",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="credential_id",
            field=models.UUIDField(default=portal.lib.ids.new_id, editable=False, unique=True),
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="disabled_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="disabled_reason",
            field=models.CharField(blank=True, editable=False, max_length=500),
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="expires_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="jwks",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="networks",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=50), blank=True, default=list, size=100
            ),
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("chat", "Chat"),
                        ("embeddings", "Embeddings"),
                        ("manage", "Manage"),
                        ("administer", "Administer"),
                    ],
                    max_length=20,
                ),
                default=None,
                size=20,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="service_account",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.serviceaccount",
            ),
        ),
        migrations.AddField(
            model_name="oauthapplication",
            name="team",
            field=models.ForeignKey(
                default=None,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.team",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="oauthdevicegrant",
            name="asked_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="oauthdevicegrant",
            name="team",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.team",
            ),
        ),
        migrations.AddField(
            model_name="oauthgrant",
            name="family",
            field=models.UUIDField(default=uuid.uuid4),
        ),
        migrations.AddField(
            model_name="oauthgrant",
            name="team",
            field=models.ForeignKey(
                default=None,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.team",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="oauthgrant",
            name="used_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="oauthrefreshtoken",
            name="scope",
            field=models.TextField(default=None),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="oauthrefreshtoken",
            name="team",
            field=models.ForeignKey(
                default=None,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.team",
            ),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name="oauthapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("authorization_grant_type", "client-credentials"),
                        ("service_account__isnull", False),
                    ),
                    models.Q(
                        models.Q(("authorization_grant_type", "client-credentials"), _negated=True),
                        ("service_account__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="oauth_client_calls_for_one_subject",
            ),
        ),
        migrations.AddConstraint(
            model_name="oauthapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("disabled_at__isnull", True), ("disabled_reason", "")),
                    models.Q(
                        ("disabled_at__isnull", False),
                        models.Q(("disabled_reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="oauth_client_disabled_with_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="oauthapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("client_secret", ""),
                    ("client_secret__startswith", "latchkey_hmac$"),
                    _connector="OR",
                ),
                name="oauth_client_secret_hashed",
            ),
        ),
    ]
