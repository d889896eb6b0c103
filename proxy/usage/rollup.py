"""Counts the usage of an hour anew from the ledger, whole, so that late, repeated and corrected rows cannot spoil it.

The ledger's writer notes in its own transaction which hours got rows. Whoever counts holds the lock of the hour's day,
takes those notes away and only then looks at the ledger: a note that is taken is of rows that are seen, and one that
comes later stands for the next count. The day is summed up from its hours in the same transaction. An hour is given by
its number, the whole hours since 1970 UTC, and holds the calls whose ids were made in it.
"""

import uuid

from django.db import connection, transaction

from proxy.journal.records import LAST_HOUR

MS_PER_HOUR = 3_600_000
# The first of the two numbers of an advisory lock; the second is the day's, since 1970.
_LOCK = 0x6C6B_7568

_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(%s, %s)"
_WAIT_FOR_LOCK = "SELECT pg_advisory_xact_lock(%s, %s)"
_STALE = """
SELECT DISTINCT extract(epoch FROM hour)::bigint / 3600 AS number
FROM proxy_stalehour ORDER BY number DESC LIMIT %s
"""
_TAKE_NOTES = "DELETE FROM proxy_stalehour WHERE hour = to_timestamp(%s)"
# While this lock is held no month can be dropped, and whether the hour's was is looked up after it.
_KEEP = "LOCK TABLE ONLY proxy_call IN ACCESS SHARE MODE"
_DROPPED = """
SELECT 1 FROM proxy_droppedmonth
WHERE month = date_trunc('month', to_timestamp(%s) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
"""
_FORGET = "DELETE FROM proxy_usagehour WHERE hour = to_timestamp(%s)"
# A key has one holder, and the ledger promises nothing: where it named two, one of them stands for the key. Sums are
# numerics until they are held to what the column takes, because no odd row may keep an hour from being counted.
_COUNT = """
WITH corrected AS (
    SELECT call_id, (array_agg(status ORDER BY id DESC))[1] AS status, sum(input_tokens) AS input_tokens,
        sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
        sum(reasoning_tokens) AS reasoning_tokens, sum(cost_micro_usd) AS cost_micro_usd,
        sum(duration_us) AS duration_us
    FROM proxy_adjustment WHERE call_id BETWEEN %(first)s AND %(last)s GROUP BY call_id
), counted AS (
    SELECT call.team_id, call.key_id, call.service_account_id, call.person_id, call.model_id,
        coalesce(corrected.status, call.status) AS status, count(*) AS calls,
        sum(call.input_tokens) + coalesce(sum(corrected.input_tokens), 0) AS input_tokens,
        sum(call.cached_tokens) + coalesce(sum(corrected.cached_tokens), 0) AS cached_tokens,
        sum(call.output_tokens) + coalesce(sum(corrected.output_tokens), 0) AS output_tokens,
        sum(call.reasoning_tokens) + coalesce(sum(corrected.reasoning_tokens), 0) AS reasoning_tokens,
        sum(call.cost_micro_usd) + coalesce(sum(corrected.cost_micro_usd), 0) AS cost_micro_usd,
        sum(call.duration_us) + coalesce(sum(corrected.duration_us), 0) AS duration_us
    FROM proxy_call AS call LEFT JOIN corrected ON corrected.call_id = call.id
    WHERE call.id BETWEEN %(first)s AND %(last)s
    GROUP BY call.team_id, call.key_id, call.service_account_id, call.person_id, call.model_id,
        coalesce(corrected.status, call.status)
)
INSERT INTO proxy_usagehour (
    hour, team_id, key_id, service_account_id, person_id, model_id, status, calls, input_tokens, cached_tokens,
    output_tokens, reasoning_tokens, cost_micro_usd, duration_us
)
SELECT to_timestamp(%(epoch)s), team_id, key_id, max(service_account_id::text)::uuid, max(person_id::text)::uuid,
    model_id, status, sum(calls), least(sum(input_tokens), %(most)s), least(sum(cached_tokens), %(most)s),
    least(sum(output_tokens), %(most)s), least(sum(reasoning_tokens), %(most)s), least(sum(cost_micro_usd), %(most)s),
    least(sum(duration_us), %(most)s)
FROM counted GROUP BY team_id, key_id, model_id, status
"""
# A day's bounds are given as epochs, because days far ahead are no dates to Python.
_FORGET_DAY = "DELETE FROM proxy_usageday WHERE day = (to_timestamp(%s) AT TIME ZONE 'UTC')::date"
_SUM_UP_DAY = """
INSERT INTO proxy_usageday (
    day, team_id, key_id, service_account_id, person_id, model_id, status, calls, input_tokens, cached_tokens,
    output_tokens, reasoning_tokens, cost_micro_usd, duration_us
)
SELECT (to_timestamp(%(start)s) AT TIME ZONE 'UTC')::date, team_id, key_id, max(service_account_id::text)::uuid,
    max(person_id::text)::uuid, model_id, status, sum(calls), least(sum(input_tokens), %(most)s),
    least(sum(cached_tokens), %(most)s), least(sum(output_tokens), %(most)s), least(sum(reasoning_tokens), %(most)s),
    least(sum(cost_micro_usd), %(most)s), least(sum(duration_us), %(most)s)
FROM proxy_usagehour WHERE hour >= to_timestamp(%(start)s) AND hour < to_timestamp(%(end)s)
GROUP BY team_id, key_id, model_id, status
"""
_COUNT_MAX = 2**63 - 1
_DAY_S = 86_400


def count_stale_hours(limit: int) -> int:
    """Count again up to `limit` of the hours that rows came for, the newest first; return how many were counted.

    An hour of a day that another process is counting is left to the next time. An hour whose calls were dropped
    keeps its figures: rows that come for it so late stand in the ledger alone.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STALE, [limit])
        hours = [int(row[0]) for row in cursor.fetchall()]
    return sum(_count(hour, _TRY_LOCK) for hour in hours)


def recount_hour(hour: int) -> bool:
    """Count one hour again, whether rows came for it or not; return False if its calls have been dropped."""
    return _count(hour, _WAIT_FOR_LOCK)


def _count(hour: int, lock: str) -> bool:
    first, last = _ids_of(hour)
    epoch = hour * 3600
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(lock, [_LOCK, hour // 24])
        if cursor.fetchone() == (False,):
            return False
        cursor.execute(_TAKE_NOTES, [epoch])
        cursor.execute(_KEEP)
        cursor.execute(_DROPPED, [epoch])
        if cursor.fetchone() is not None:
            return False
        cursor.execute(_FORGET, [epoch])
        cursor.execute(_COUNT, {"first": first, "last": last, "epoch": epoch, "most": _COUNT_MAX})
        start = epoch // _DAY_S * _DAY_S
        cursor.execute(_FORGET_DAY, [start])
        cursor.execute(_SUM_UP_DAY, {"start": start, "end": start + _DAY_S, "most": _COUNT_MAX})
    return True


def _ids_of(hour: int) -> tuple[uuid.UUID, uuid.UUID]:
    """Return the lowest and the highest id of the hour; the last one's are all that come after, too."""
    end = (hour + 1) * MS_PER_HOUR << 80 if hour < LAST_HOUR else 1 << 128
    return uuid.UUID(int=hour * MS_PER_HOUR << 80), uuid.UUID(int=end - 1)
