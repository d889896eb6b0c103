"""Whole months of calls can be dropped, by one function alone; which ones were is written down."""

from typing import Any

from django.conf import settings
from django.db import migrations, models
from psycopg import sql

# Partitions are taken in the order in which writers lock: the calls first, their adjustments after them.
# A partition is one that latchkey_make_partitions made and named; the default partition and any other stay.
DROP_PARTITIONS = """
CREATE FUNCTION {schema}.latchkey_drop_partitions(keep_months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $function$
DECLARE
    home CONSTANT text := {schema_text};
    name text;
    beginning timestamp;
    low uuid;
    high uuid;
    dropped integer := 0;
BEGIN
    IF keep_months IS NULL OR keep_months NOT BETWEEN 1 AND 1200 THEN
        RAISE EXCEPTION 'keep_months is %, and has to be from 1 to 1200.', keep_months;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('latchkey_make_partitions', 0));
    FOR name, beginning IN
        SELECT part.relname, to_date(right(part.relname, 7), 'YYYY"m"MM')
        FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
        WHERE inhparent = to_regclass(format('%I.proxy_call', home)) AND part.relname ~ '^proxy_call_y\\d{{4}}m\\d{{2}}$'
        ORDER BY part.relname
    LOOP
        CONTINUE WHEN beginning + interval '1 month'
            > date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => keep_months);
        low := rpad(lpad(to_hex((extract(epoch FROM beginning) * 1000)::bigint), 12, '0'), 32, '0')::uuid;
        high := rpad(lpad(to_hex((extract(epoch FROM beginning + interval '1 month') * 1000)::bigint), 12, '0'), 32, '0')::uuid;
        EXECUTE format('ALTER TABLE %1$I.proxy_call DETACH PARTITION %1$I.%2$I', home, name);
        EXECUTE format('DROP TABLE %I.%I', home, name);
        EXECUTE format('ALTER TABLE %I.proxy_adjustment DISABLE TRIGGER proxy_adjustment_append_only', home);
        EXECUTE format('DELETE FROM %I.proxy_adjustment WHERE call_id >= %L AND call_id < %L', home, low, high);
        EXECUTE format('ALTER TABLE %I.proxy_adjustment ENABLE TRIGGER proxy_adjustment_append_only', home);
        EXECUTE format('INSERT INTO %I.proxy_droppedmonth (month, dropped_at) VALUES (%L, now()) ON CONFLICT DO NOTHING',
            home, beginning AT TIME ZONE 'UTC');
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $function$;
REVOKE ALL ON FUNCTION {schema}.latchkey_drop_partitions(integer) FROM PUBLIC;
"""

GRANTS = """
REVOKE ALL ON proxy_droppedmonth FROM PUBLIC, {role};
GRANT SELECT ON proxy_droppedmonth TO {role};
GRANT EXECUTE ON FUNCTION {schema}.latchkey_drop_partitions(integer) TO {role};
"""


def make_function(apps, schema_editor):
    """Make the function, pinned to the schema the tables stand in."""
    with schema_editor.connection.cursor() as cursor:
        schema = _schema(cursor)
        cursor.execute(
            sql.SQL(DROP_PARTITIONS).format(
                schema=sql.Identifier(schema), schema_text=sql.Literal(schema)
            )
        )


def drop_function(apps, schema_editor):
    """Drop it again."""
    schema_editor.execute("DROP FUNCTION latchkey_drop_partitions(integer)", params=None)


def grant_to_the_application(apps, schema_editor):
    """Let the application's role call the function and read what was dropped, and do nothing else about it."""
    role = settings.LATCHKEY_APPLICATION_ROLE
    if role and role != schema_editor.connection.settings_dict["USER"]:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                sql.SQL(GRANTS).format(
                    role=sql.Identifier(role), schema=sql.Identifier(_schema(cursor))
                )
            )


def _schema(cursor: Any) -> str:
    cursor.execute("SELECT current_schema()")
    return str(cursor.fetchone()[0])


class Migration(migrations.Migration):
    dependencies = [("proxy", "0002_usage_by_hour")]

    operations = [
        migrations.CreateModel(
            name="DroppedMonth",
            fields=[
                ("month", models.DateTimeField(primary_key=True, serialize=False)),
                ("dropped_at", models.DateTimeField()),
            ],
        ),
        migrations.RunPython(make_function, drop_function),
        migrations.RunPython(grant_to_the_application, migrations.RunPython.noop),
    ]
