"""Days are summed up from the hours that were counted before there were days."""

from django.db import migrations

# A worker may have summed up a day meanwhile; it then took all of its hours.
SUM_UP = """
INSERT INTO proxy_usageday (
    day, team_id, key_id, service_account_id, person_id, model_id, status, calls, input_tokens, cached_tokens,
    output_tokens, reasoning_tokens, cost_micro_usd, duration_us
)
SELECT (hour AT TIME ZONE 'UTC')::date, team_id, key_id, max(service_account_id::text)::uuid, max(person_id::text)::uuid,
    model_id, status, sum(calls), least(sum(input_tokens), 9223372036854775807),
    least(sum(cached_tokens), 9223372036854775807), least(sum(output_tokens), 9223372036854775807),
    least(sum(reasoning_tokens), 9223372036854775807), least(sum(cost_micro_usd), 9223372036854775807),
    least(sum(duration_us), 9223372036854775807)
FROM proxy_usagehour GROUP BY 1, team_id, key_id, model_id, status
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("proxy", "0004_usage_by_day")]

    operations = [migrations.RunSQL(SUM_UP, migrations.RunSQL.noop)]
