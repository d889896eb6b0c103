"""From where and when keys, service accounts and teams may be used."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_watch_oauth"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="hours",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="serviceaccount",
            name="hours",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="serviceaccount",
            name="networks",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=50), blank=True, default=list, size=100
            ),
        ),
        migrations.AddField(
            model_name="team",
            name="hours",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="team",
            name="networks",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=50), blank=True, default=list, size=100
            ),
        ),
    ]
