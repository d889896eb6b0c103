"""Keys can be rotated at an age of their own, and a new secret waits to be fetched."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0023_decoys"),
    ]

    operations = [
        migrations.CreateModel(
            name="HandOver",
            fields=[
                (
                    "key",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="hand_over",
                        serialize=False,
                        to="accounts.apikey",
                    ),
                ),
                ("sealed", models.BinaryField()),
            ],
        ),
        migrations.AddField(
            model_name="apikey",
            name="rotates_after_days",
            field=models.PositiveSmallIntegerField(editable=False, null=True),
        ),
    ]
