"""Audio tokens, and the prices of reasoning and audio. No row is rewritten: a default stands in the catalogue alone.

The staging table's columns take a default too, so that processes of the version before go on shipping meanwhile.
"""

from django.db import migrations, models

AUDIO = ("input_audio_tokens", "output_audio_tokens")
PRICES = ("reasoning", "audio_input", "audio_output")
# A statement that waits for a long reader would have every writer wait behind it.
BE_BRIEF = "SET LOCAL lock_timeout = '5s'"
STAGING = """
ALTER TABLE proxy_call_staging
    ADD COLUMN input_audio_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN output_audio_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN price_reasoning_micro_usd_per_million bigint,
    ADD COLUMN price_audio_input_micro_usd_per_million bigint,
    ADD COLUMN price_audio_output_micro_usd_per_million bigint
"""
NO_STAGING = """
ALTER TABLE proxy_call_staging
    DROP COLUMN input_audio_tokens, DROP COLUMN output_audio_tokens,
    DROP COLUMN price_reasoning_micro_usd_per_million, DROP COLUMN price_audio_input_micro_usd_per_million,
    DROP COLUMN price_audio_output_micro_usd_per_million
"""


class Migration(migrations.Migration):
    dependencies = [("proxy", "0005_sum_up_days")]

    operations = [
        migrations.RunSQL(BE_BRIEF, BE_BRIEF),
        migrations.RunSQL(STAGING, NO_STAGING),
        *(
            migrations.AddField(model, name, models.BigIntegerField(db_default=0))
            for model in ("call", "adjustment")
            for name in AUDIO
        ),
        *(
            migrations.AddField(
                "call", f"price_{part}_micro_usd_per_million", models.BigIntegerField(null=True)
            )
            for part in PRICES
        ),
    ]
