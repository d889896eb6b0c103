"""The change log, the triggers that write it, the audit trail's guard, and what the application's role may do.

`latchkey_watch(table, topic, column)` puts statement triggers on a table, so that whoever changes it (our writes, a
library's views, a cascade, psql) tells the gateways. A statement that touches more than 500 ids says "all" instead.
"""

from django.conf import settings
from django.db import migrations
from psycopg import sql

CHANGE_LOG = """
CREATE TABLE accounts_change (
    id bigserial PRIMARY KEY,
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    topic text NOT NULL,
    ref uuid,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX accounts_change_by_transaction ON accounts_change (transaction);
CREATE INDEX accounts_change_by_time ON accounts_change (at);

CREATE FUNCTION latchkey_note_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
DECLARE
    rows_changed text := CASE TG_OP
        WHEN 'INSERT' THEN format('SELECT %1$I AS ref FROM new_rows', TG_ARGV[1])
        WHEN 'DELETE' THEN format('SELECT %1$I AS ref FROM old_rows', TG_ARGV[1])
        ELSE format('SELECT %1$I AS ref FROM old_rows UNION SELECT %1$I FROM new_rows', TG_ARGV[1])
    END;
    refs uuid[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO accounts_change (topic) VALUES ('all');
    ELSE
        EXECUTE format(
            'SELECT array_agg(ref) FROM (SELECT DISTINCT ref FROM (%s) AS changed WHERE ref IS NOT NULL LIMIT 501) AS few',
            rows_changed
        ) INTO refs;
        IF refs IS NULL THEN
            RETURN NULL;
        ELSIF cardinality(refs) > 500 THEN
            INSERT INTO accounts_change (topic) VALUES ('all');
        ELSE
            INSERT INTO accounts_change (topic, ref) SELECT TG_ARGV[0], unnest(refs);
        END IF;
    END IF;
    PERFORM pg_notify('latchkey_change', '');
    RETURN NULL;
END
$body$;

CREATE FUNCTION latchkey_watch(watched regclass, topic text, ref_column text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
DECLARE
    base text := 'latchkey_note_' || topic || '_' || ref_column;
BEGIN
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION latchkey_note_changes(%L, %L)', base || '_insert', watched, topic, ref_column);
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION latchkey_note_changes(%L, %L)', base || '_update', watched, topic, ref_column);
    EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION latchkey_note_changes(%L, %L)', base || '_delete', watched, topic, ref_column);
    EXECUTE format('CREATE TRIGGER %I AFTER TRUNCATE ON %s
        FOR EACH STATEMENT EXECUTE FUNCTION latchkey_note_changes(%L, %L)', base || '_truncate', watched, topic, ref_column);
END
$body$;

SELECT latchkey_watch('accounts_apikey', 'key', 'id');
SELECT latchkey_watch('accounts_team', 'team', 'id');
SELECT latchkey_watch('accounts_serviceaccount', 'service_account', 'id');
SELECT latchkey_watch('accounts_user', 'person', 'id');
SELECT latchkey_watch('accounts_membership', 'person', 'person_id');
"""

FORGET_CHANGE_LOG = """
DROP FUNCTION latchkey_watch(regclass, text, text);
DROP FUNCTION latchkey_note_changes() CASCADE;
DROP TABLE accounts_change;
"""

# For everyone, the owner included: rights stop the application, and this stops a mistake of whoever holds more.
GUARD = """
CREATE FUNCTION latchkey_refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION 'The audit trail is append-only: % on % is refused.',
        TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$body$;
CREATE TRIGGER accounts_auditentry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION latchkey_refuse_audit_change();
"""

NO_GUARD = """
DROP TRIGGER accounts_auditentry_append_only ON accounts_auditentry;
DROP FUNCTION latchkey_refuse_audit_change();
"""

PRIVILEGES = """
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role};
REVOKE UPDATE, DELETE, TRUNCATE ON accounts_auditentry FROM {role};
REVOKE INSERT, UPDATE, TRUNCATE ON accounts_change FROM {role};
"""


def grant_to_the_application(apps, schema_editor):
    """Give the application's role what it needs, which is not the right to rewrite the audit trail."""
    role = settings.LATCHKEY_APPLICATION_ROLE
    if role and role != schema_editor.connection.settings_dict["USER"]:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(sql.SQL(PRIVILEGES).format(role=sql.Identifier(role)))


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.RunSQL(CHANGE_LOG, FORGET_CHANGE_LOG),
        migrations.RunSQL(GUARD, NO_GUARD),
        migrations.RunPython(grant_to_the_application, migrations.RunPython.noop),
    ]
