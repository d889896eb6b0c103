"""Rows for the proof of scale: calls by the million, of keys that are there, over the last thirty days."""

from django.db import connection

from portal.lib.clock import utc_now
from proxy.usage.rollup import MS_PER_HOUR, recount_hour

CALLERS = 1_000
SPAN_HOURS = 30 * 24
_MS_PER_SPAN = SPAN_HOURS * MS_PER_HOUR
# Ids in the order of their time, as calls bring them; a call is one of a thousand keys' and costs what its tokens make.
_CALLS = """
INSERT INTO proxy_call (
    id, admitted_at, team_id, key_id, service_account_id, model_id, kind, stream, peer, request_id, purpose,
    reserved_tokens, price_input_micro_usd_per_million, price_cached_micro_usd_per_million,
    price_output_micro_usd_per_million, status, http_status, code, input_tokens, cached_tokens, output_tokens,
    reasoning_tokens, usage_estimated, cost_micro_usd, duration_us, upstream_us, first_byte_us, attempts, answer_bytes
)
SELECT call.id, to_timestamp(ms / 1000.0), caller.team_id, caller.id, caller.service_account_id, %(model)s::uuid, 'chat', false,
    '10.0.0.1', call.id::text, '', 1000, 1000000, 500000, 2000000, 'answered', 200, '', 500, 100, 50, 0, false, 550, 1500000,
    1490000, 200000, 1, 2000
FROM (
    SELECT n, ms, (lpad(to_hex(ms), 12, '0') || '7' || substr(noise, 1, 3) || '8' || substr(noise, 4, 15))::uuid AS id
    FROM (
        SELECT n, %(start)s + n * %(span)s / %(count)s AS ms, md5(random()::text) AS noise
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    ) AS made
) AS call JOIN (
    SELECT id, team_id, service_account_id, row_number() OVER () - 1 AS number
    FROM (SELECT * FROM accounts_apikey WHERE team_id = %(team)s AND service_account_id IS NOT NULL LIMIT %(callers)s) AS key
) AS caller ON caller.number = n %% (
    SELECT least(count(*), %(callers)s) FROM accounts_apikey
    WHERE team_id = %(team)s AND service_account_id IS NOT NULL
)
"""


def _start_ms() -> int:
    # A whole hour, so that every batch of one proof means the same span; it ends a day ago, in months that are there.
    now_hour = int(utc_now().timestamp() * 1000) // MS_PER_HOUR
    return (now_hour - 24 - SPAN_HOURS) * MS_PER_HOUR


def make_calls(*, first: int, last: int, count: int) -> int:
    """Make the calls of these numbers out of `count`, for the team that has most keys; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT team_id FROM accounts_apikey GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
        )
        (team,) = cursor.fetchone()
        cursor.execute("SELECT id FROM models_registry_aimodel ORDER BY id LIMIT 1")
        (model,) = cursor.fetchone()
        cursor.execute(
            _CALLS,
            {
                "first": first,
                "last": last,
                "count": count,
                "start": _start_ms(),
                "span": _MS_PER_SPAN,
                "team": team,
                "model": model,
                "callers": CALLERS,
            },
        )
        return int(cursor.rowcount)


def count_usage(*, part: int, parts: int) -> int:
    """Count the usage of one of so many equal spans of those hours; return how many hours it has."""
    start, hours = _start_ms() // MS_PER_HOUR, SPAN_HOURS + 1
    span = range(start + hours * part // parts, start + hours * (part + 1) // parts)
    return sum(recount_hour(hour) for hour in span)


def finish_rows() -> int:
    """Let the planner know of everything; return how many keys, models and days have usage."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SELECT count(*) FROM proxy_usageday")
        (days,) = cursor.fetchone()
        return int(days)
