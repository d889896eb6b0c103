"""A key holds the secret that its last rotation replaced, and what is still called with that is counted."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0017_who_disabled"),
    ]

    operations = [
        migrations.CreateModel(
            name="PreviousSecretUse",
            fields=[
                (
                    "key",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="previous_use",
                        serialize=False,
                        to="accounts.apikey",
                    ),
                ),
                ("rotated_at", models.DateTimeField()),
                ("calls", models.PositiveBigIntegerField()),
                ("last_used_at", models.DateTimeField()),
                ("last_peer", models.CharField(blank=True, max_length=45)),
            ],
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_digest",
            field=models.BinaryField(max_length=32, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_ends_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_pepper_id",
            field=models.CharField(blank=True, editable=False, max_length=16),
        ),
        migrations.AddField(
            model_name="apikey",
            name="rotated_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("previous_digest__isnull", True),
                        ("previous_ends_at__isnull", True),
                        ("previous_pepper_id", ""),
                        ("rotated_at__isnull", True),
                    ),
                    models.Q(
                        ("previous_digest__isnull", False),
                        ("previous_ends_at__isnull", False),
                        ("rotated_at__isnull", False),
                        models.Q(("previous_pepper_id", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="key_rotated_from_a_secret",
            ),
        ),
    ]
