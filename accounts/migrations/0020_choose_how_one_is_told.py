"""People choose how they are told of each kind, and what they hear of once a day is gathered."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import accounts.models.notifications


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0019_leaks"),
    ]

    operations = [
        migrations.CreateModel(
            name="NotificationChoice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=accounts.models.notifications.notification_kinds, max_length=30
                    ),
                ),
                (
                    "delivery",
                    models.CharField(
                        choices=[("at_once", "At Once"), ("daily", "Daily"), ("portal", "Portal")],
                        max_length=10,
                    ),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="notification",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "Waiting"),
                    ("handed_over", "Handed Over"),
                    ("sent", "Sent"),
                    ("uncertain", "Uncertain"),
                    ("failed", "Failed"),
                    ("gathered", "Gathered"),
                    ("digested", "Digested"),
                    ("kept", "Kept"),
                ],
                default="waiting",
                max_length=12,
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("state", "gathered")),
                fields=["created_at"],
                name="notification_gathered",
            ),
        ),
        migrations.AddField(
            model_name="notificationchoice",
            name="person",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="notification_choices",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="notificationchoice",
            constraint=models.UniqueConstraint(
                fields=("person", "kind"), name="notification_choice_once"
            ),
        ),
    ]
