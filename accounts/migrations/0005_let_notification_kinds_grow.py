"""A new kind of mail needs no migration: the kinds are asked for when they are shown. Nothing changes in the database."""

from django.db import migrations, models

import accounts.models.notifications


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_invitations_outbox_and_replies")]

    operations = [
        migrations.AlterField(
            model_name="notification",
            name="kind",
            field=models.CharField(
                choices=accounts.models.notifications.notification_kinds, max_length=30
            ),
        ),
    ]
