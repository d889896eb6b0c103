"""A new audit tag needs no migration: the tags are asked for when they are shown. Nothing changes in the database."""

from django.db import migrations, models

import accounts.models.audit


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_change_log")]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="tag",
            field=models.CharField(choices=accounts.models.audit.audit_tags, max_length=40),
        ),
    ]
