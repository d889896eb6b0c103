"""Who disabled a service account, a rule of trust or an OAuth client, and whether by the right of its team.

What stands disabled does not say so, and is an administrator's to enable. Until every process is of this version, an old one
enables no row that a new one disabled for its team: the constraint refuses that.
"""

from django.db import migrations, models

TABLES = {
    "serviceaccount": "service_account_disabled_by_team",
    "trustrule": "trust_rule_disabled_by_team",
    "oauthapplication": "oauth_client_disabled_by_team",
}


def _fields(model: str, constraint: str) -> list[migrations.operations.base.Operation]:
    return [
        migrations.AlterField(
            model_name=model,
            name="disabled_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name=model,
            name="disabled_by",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name=model,
            name="disabled_by_team",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddConstraint(
            model_name=model,
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("disabled_by_team", False), ("disabled_at__isnull", False), _connector="OR"
                ),
                name=constraint,
            ),
        ),
    ]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0016_saml_encryption_keys")]

    operations = [
        operation
        for model, constraint in TABLES.items()
        for operation in _fields(model, constraint)
    ]
