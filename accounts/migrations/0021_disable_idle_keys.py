"""Keys that nobody uses are noted, disabled and enabled again."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0020_choose_how_one_is_told"),
    ]

    operations = [
        migrations.CreateModel(
            name="IdleKey",
            fields=[
                (
                    "key",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="idle",
                        serialize=False,
                        to="accounts.apikey",
                    ),
                ),
                ("idle_since", models.DateTimeField()),
                ("disables_at", models.DateTimeField()),
                ("removes_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="apikey",
            name="disabled_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="enabled_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
