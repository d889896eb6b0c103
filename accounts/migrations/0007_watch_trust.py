"""Issuers and rules of trust tell the gateways when they change, so that the end of one acts within a second.

When keys were fetched is told to nobody: it stands in a table of its own.
"""

from django.db import migrations

WATCH = """
SELECT latchkey_watch('accounts_trustedissuer', 'issuer', 'id');
SELECT latchkey_watch('accounts_trustrule', 'trust_rule', 'id');
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_trust_workloads")]

    operations = [migrations.RunSQL(WATCH, migrations.RunSQL.noop)]
