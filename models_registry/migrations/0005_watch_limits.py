"""Limits tell the gateways when they change, so that a new one acts within a second."""

from django.db import migrations

WATCH = """
SELECT latchkey_watch('models_registry_limit', 'key', 'key_id');
SELECT latchkey_watch('models_registry_limit', 'service_account', 'service_account_id');
SELECT latchkey_watch('models_registry_limit', 'person', 'person_id');
SELECT latchkey_watch('models_registry_limit', 'team', 'team_id');
SELECT latchkey_watch('models_registry_limit', 'registry', 'model_id');
"""


class Migration(migrations.Migration):
    dependencies = [("models_registry", "0004_limits"), ("accounts", "0002_change_log")]

    operations = [migrations.RunSQL(WATCH, migrations.RunSQL.noop)]
