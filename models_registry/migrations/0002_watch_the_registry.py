"""Grants, narrower lists and the registry tell the gateways when they change."""

from django.db import migrations

WATCH = """
SELECT latchkey_watch('models_registry_grant', 'team', 'team_id');
SELECT latchkey_watch('models_registry_grant', 'service_account', 'service_account_id');
SELECT latchkey_watch('models_registry_keymodel', 'key', 'key_id');
SELECT latchkey_watch('models_registry_provider', 'registry', 'id');
SELECT latchkey_watch('models_registry_aimodel', 'registry', 'id');
SELECT latchkey_watch('models_registry_deployment', 'registry', 'id');
"""


class Migration(migrations.Migration):
    dependencies = [("models_registry", "0001_initial"), ("accounts", "0002_change_log")]

    operations = [migrations.RunSQL(WATCH, migrations.RunSQL.noop)]
