"""Words for the usage by hour and by day; the tables stay as they are."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("proxy", "0006_prices_apart")]

    operations = [
        migrations.AlterModelOptions(
            name="usageday",
            options={"verbose_name": "usage of a day", "verbose_name_plural": "usage by day"},
        ),
        migrations.AlterModelOptions(
            name="usagehour",
            options={"verbose_name": "usage of an hour", "verbose_name_plural": "usage by hour"},
        ),
    ]
