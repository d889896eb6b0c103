"""What lapsed leases took of limits and no call explains: appended to, never changed, as the ledger is."""

from django.conf import settings
from django.db import migrations, models
from psycopg import sql

APPEND_ONLY = """
CREATE TRIGGER proxy_unattributeduse_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON proxy_unattributeduse
    FOR EACH STATEMENT EXECUTE FUNCTION latchkey_refuse_ledger_change();
"""
NOT_APPEND_ONLY = "DROP TRIGGER proxy_unattributeduse_append_only ON proxy_unattributeduse"
GRANTS = """
REVOKE ALL ON proxy_unattributeduse FROM PUBLIC, {role};
GRANT SELECT, INSERT ON proxy_unattributeduse TO {role};
"""


def grant_to_the_application(apps, schema_editor):
    """Let the application's role append and read, where it is another than the owner."""
    role = getattr(settings, "LATCHKEY_APPLICATION_ROLE", "")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (owner,) = cursor.fetchone()
        if role and role != owner:
            cursor.execute(sql.SQL(GRANTS).format(role=sql.Identifier(role)))


class Migration(migrations.Migration):
    dependencies = [("proxy", "0007_name_usage")]

    operations = [
        migrations.CreateModel(
            name="UnattributedUse",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("limit_id", models.UUIDField()),
                ("team_id", models.UUIDField(null=True)),
                ("count", models.TextField()),
                ("measure", models.TextField()),
                ("amount", models.BigIntegerField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["count"], name="unattributed_by_count"),
                    models.Index(fields=["team_id", "at"], name="unattributed_by_team"),
                ],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, NOT_APPEND_ONLY),
        migrations.RunPython(grant_to_the_application, migrations.RunPython.noop),
    ]
