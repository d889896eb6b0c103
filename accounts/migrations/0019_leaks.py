"""Keys that were found where they should not be, and the public keys of whoever reports them by signature."""

import django.db.models.deletion
from django.db import migrations, models

import portal.lib.clock
import portal.lib.ids


class Migration(migrations.Migration):
    dependencies = [("accounts", "0018_keys_hold_a_previous_secret")]

    operations = [
        migrations.CreateModel(
            name="ReporterKey",
            fields=[
                ("identifier", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("public", models.TextField(max_length=2000)),
                ("fetched_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Leak",
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
                    "reporter",
                    models.CharField(
                        choices=[("github", "GitHub"), ("scanner", "Scanner")], max_length=10
                    ),
                ),
                ("reported_by", models.UUIDField(null=True)),
                ("found_in", models.CharField(blank=True, max_length=60)),
                ("place", models.CharField(blank=True, max_length=1000)),
                ("place_digest", models.BinaryField(max_length=32)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("revoked", "Revoked"),
                            ("old_secret_ended", "Old Secret Ended"),
                            ("flagged", "Flagged"),
                            ("was_over", "Was Over"),
                        ],
                        max_length=20,
                    ),
                ),
                ("reported_at", models.DateTimeField(default=portal.lib.clock.utc_now)),
                ("last_reported_at", models.DateTimeField(default=portal.lib.clock.utc_now)),
                ("times", models.PositiveIntegerField(default=1)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="leaks",
                        to="accounts.apikey",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("key", "place_digest"), name="leak_place_once")
                ],
            },
        ),
    ]
