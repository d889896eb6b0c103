from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("models_registry", "0005_watch_limits")]

    operations = [
        migrations.AddField("aimodel", name, models.PositiveBigIntegerField(blank=True, null=True))
        for name in ("price_reasoning", "price_audio_input", "price_audio_output")
    ]
