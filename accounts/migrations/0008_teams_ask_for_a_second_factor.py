"""A team may ask its members for a second factor. Those that stand ask for none."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_watch_trust")]

    operations = [
        migrations.AddField(
            model_name="team",
            name="requires_second_factor",
            field=models.BooleanField(default=False),
        ),
    ]
