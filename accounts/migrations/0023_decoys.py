"""Decoy keys, of which gateways hear as of any key, and from where they were used, which is told to nobody."""

import django.db.models.deletion
from django.db import migrations, models

import portal.lib.clock
import portal.lib.ids

WATCH = "SELECT latchkey_watch('accounts_decoykey', 'decoy', 'id');"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0022_webhooks_of_teams")]

    operations = [
        migrations.CreateModel(
            name="DecoyKey",
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
                ("public_id", models.CharField(editable=False, max_length=16, unique=True)),
                ("pepper_id", models.CharField(editable=False, max_length=16)),
                ("digest", models.BinaryField(max_length=32)),
                ("name", models.CharField(max_length=200)),
                (
                    "created_at",
                    models.DateTimeField(default=portal.lib.clock.utc_now, editable=False),
                ),
                ("created_by", models.UUIDField(editable=False, null=True)),
                ("ended_at", models.DateTimeField(editable=False, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="DecoyUse",
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
                ("peer", models.CharField(max_length=45)),
                ("user_agent", models.CharField(blank=True, max_length=200)),
                ("door", models.CharField(max_length=10)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("times", models.PositiveIntegerField()),
                (
                    "decoy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="uses",
                        to="accounts.decoykey",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("decoy", "peer"), name="decoy_use_once_for_a_peer"
                    )
                ],
            },
        ),
        migrations.RunSQL(WATCH, migrations.RunSQL.noop),
    ]
