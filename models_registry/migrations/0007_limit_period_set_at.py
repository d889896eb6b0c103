"""Since when a limit's periods begin and end as they do; of those that stand, the ledger is asked once more."""

from django.db import migrations, models

from portal.lib.clock import utc_now


class Migration(migrations.Migration):
    dependencies = [("models_registry", "0006_prices_apart")]

    operations = [
        migrations.AddField(
            "limit",
            "period_set_at",
            models.DateTimeField(default=utc_now, editable=False),
        ),
    ]
