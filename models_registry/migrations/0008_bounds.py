"""From where callers may reach a provider's models."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("models_registry", "0007_limit_period_set_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="provider",
            name="networks",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=50), blank=True, default=list, size=100
            ),
        ),
    ]
