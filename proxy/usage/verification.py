"""Holds the ledger to what it promises, day by day: every check is one statement, summed up by the server.

A check is one function in CHECKS. It is given a day and answers what is wrong with it, or None. Each reads in one
snapshot, so that calls may be made and usage be counted meanwhile.
"""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from proxy.call import AdjustmentKind, CallKind, CallStatus
from proxy.journal.records import COUNT_MAX, LAST_HOUR
from proxy.models import first_id_at

SHOWN_MAX = 5
HOURS = 24
_MS_PER_DAY = 86_400_000
_LAST_DAY = LAST_HOUR // HOURS
_ID_MAX = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_FIGURES = (
    "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_micro_usd", "duration_us",
)  # fmt: skip
_SUMS = ", ".join(f"least(sum({name}), {COUNT_MAX})::bigint AS {name}" for name in _FIGURES)
_ABOUT = "coalesce(model_id::text, '') AS model, team_id, key_id, status"
_HOUR = (
    "to_timestamp(least(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 3600000, "
    f"{LAST_HOUR}) * 3600)"
)


@dataclass(frozen=True)
class Day:
    """A day in UTC, by its number since 1970. The last one holds all that comes after it, as in the roll-up."""

    number: int

    def __str__(self) -> str:
        return str(datetime.date(1970, 1, 1) + datetime.timedelta(days=self.number))

    @property
    def bounds(self) -> dict[str, Any]:
        """The day as statements take it: ids, and moments as epochs, because days far ahead are no dates to Python."""
        end = self.number + 1
        return {
            "first": first_id_at(self.number * _MS_PER_DAY),
            "last": first_id_at(end * _MS_PER_DAY) if self.number < _LAST_DAY else _ID_MAX,
            "start": self.number * 86_400,
            "end": end * 86_400,
        }


@dataclass(frozen=True)
class Wrong:
    """What one check found: how many, and a few of them in words."""

    check: str
    count: int
    examples: list[str]


Check = Callable[[Day], Wrong | None]

_TELL = f"SELECT what, count(*) OVER () FROM ({{query}}) AS wrong LIMIT {SHOWN_MAX}"  # noqa: S608
# The rows of a day as they are known now: with what came later added, which may be what the row is wrong without.
_KNOWN = """
WITH corrected AS (
    SELECT call_id, (array_agg(status ORDER BY id DESC))[1] AS status, sum(input_tokens) AS input_tokens,
        sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
        sum(reasoning_tokens) AS reasoning_tokens, sum(cost_micro_usd) AS cost_micro_usd,
        sum(duration_us) AS duration_us, sum(input_audio_tokens) AS input_audio_tokens,
        sum(output_audio_tokens) AS output_audio_tokens
    FROM proxy_adjustment WHERE call_id BETWEEN %(first)s AND %(last)s GROUP BY call_id
), known AS (
    SELECT call.id, call.team_id, call.key_id, call.model_id, call.kind, coalesce(corrected.status, call.status) AS status,
        call.input_tokens + coalesce(corrected.input_tokens, 0) AS input_tokens,
        call.cached_tokens + coalesce(corrected.cached_tokens, 0) AS cached_tokens,
        call.output_tokens + coalesce(corrected.output_tokens, 0) AS output_tokens,
        call.reasoning_tokens + coalesce(corrected.reasoning_tokens, 0) AS reasoning_tokens,
        call.cost_micro_usd + coalesce(corrected.cost_micro_usd, 0) AS cost_micro_usd,
        call.duration_us + coalesce(corrected.duration_us, 0) AS duration_us,
        call.input_audio_tokens + coalesce(corrected.input_audio_tokens, 0) AS input_audio_tokens,
        call.output_audio_tokens + coalesce(corrected.output_audio_tokens, 0) AS output_audio_tokens,
        call.price_input_micro_usd_per_million AS price_input,
        call.price_cached_micro_usd_per_million AS price_cached,
        call.price_output_micro_usd_per_million AS price_output,
        coalesce(call.price_reasoning_micro_usd_per_million, call.price_output_micro_usd_per_million) AS price_reasoning,
        coalesce(call.price_audio_input_micro_usd_per_million, call.price_input_micro_usd_per_million) AS price_heard,
        coalesce(call.price_audio_output_micro_usd_per_million, call.price_output_micro_usd_per_million) AS price_spoken
    FROM proxy_call AS call LEFT JOIN corrected ON corrected.call_id = call.id
    WHERE call.id BETWEEN %(first)s AND %(last)s
)
"""
_ODD = """
SELECT id || ': ' || concat_ws(', ',
    CASE WHEN status <> ALL(%(statuses)s) THEN 'no such status' END,
    CASE WHEN kind <> ALL(%(kinds)s) THEN 'no such kind' END,
    CASE WHEN least(input_tokens, cached_tokens, output_tokens, reasoning_tokens, input_audio_tokens,
        output_audio_tokens, cost_micro_usd, duration_us, price_input, price_cached, price_output, price_reasoning,
        price_heard, price_spoken) < 0 THEN 'a figure below 0' END,
    CASE WHEN cached_tokens + input_audio_tokens > input_tokens THEN 'more cached and audio than input' END,
    CASE WHEN reasoning_tokens + output_audio_tokens > output_tokens THEN 'more reasoning and audio than output' END
) AS what FROM known
"""
_FIGURES_WRONG = f"{_KNOWN} SELECT what FROM ({_ODD}) AS row WHERE right(what, 2) <> ': '"  # noqa: S608
# The sum of proxy/meter.py, in numerics, bounded as the journal bounds it.
_COST = f"""
least({COUNT_MAX}, ceil((
    (input_tokens - cached_tokens - input_audio_tokens)::numeric * price_input + cached_tokens::numeric * price_cached
    + input_audio_tokens::numeric * price_heard
    + (output_tokens - reasoning_tokens - output_audio_tokens)::numeric * price_output
    + reasoning_tokens::numeric * price_reasoning + output_audio_tokens::numeric * price_spoken
) / 1000000))
"""
_DEAR = f"""
SELECT id || ': costs ' || cost_micro_usd || ', its tokens make ' || {_COST} AS what
FROM known WHERE cost_micro_usd <> {_COST}
"""  # noqa: S608
_ADJUSTED = """
SELECT adjustment.id || ' of call ' || call_id || ': ' || CASE WHEN call.id IS NULL THEN 'no such call'
    WHEN adjustment.kind <> ALL(%(adjustments)s) THEN 'no such kind' WHEN call.status <> 'interrupted' THEN
    'the call was not interrupted' ELSE 'another of its kind came before' END AS what
FROM (
    SELECT *, row_number() OVER (PARTITION BY call_id, kind ORDER BY id) AS number
    FROM proxy_adjustment WHERE call_id BETWEEN %(first)s AND %(last)s
) AS adjustment LEFT JOIN proxy_call AS call
    ON call.id = call_id AND call.id BETWEEN %(first)s AND %(last)s
WHERE call.id IS NULL OR adjustment.kind <> ALL(%(adjustments)s) OR call.status <> 'interrupted' OR number > 1
"""
_DIFFERENT = f"""
SELECT concat_ws(' ', 'key', coalesce(counted.key_id, told.key_id), 'model', coalesce(counted.model, told.model), 'status',
    coalesce(counted.status, told.status), 'at', coalesce(counted.part, told.part), '(calls, {", ".join(_FIGURES)}):',
    'told', CASE WHEN told.key_id IS NULL THEN 'nothing' ELSE (told.calls, {", ".join(f"told.{name}" for name in _FIGURES)})::text END,
    'is', CASE WHEN counted.key_id IS NULL THEN 'nothing' ELSE (counted.calls, {", ".join(f"counted.{name}" for name in _FIGURES)})::text END
) AS what FROM counted FULL JOIN told USING (part, model, team_id, key_id, status)
WHERE (counted.calls, {", ".join(f"counted.{name}" for name in _FIGURES)})
    IS DISTINCT FROM (told.calls, {", ".join(f"told.{name}" for name in _FIGURES)})
"""  # noqa: S608
# Hours that wait to be counted are left out, and those whose calls were dropped: their usage stands alone.
_HOURS = f"""
{_KNOWN}, counted AS (
    SELECT {_HOUR} AS part, {_ABOUT}, count(*) AS calls, {_SUMS} FROM known GROUP BY 1, 2, 3, 4, 5
), told AS (
    SELECT hour AS part, {_ABOUT}, calls, {", ".join(_FIGURES)} FROM proxy_usagehour
    WHERE hour >= to_timestamp(%(start)s) AND hour < to_timestamp(%(end)s)
)
{_DIFFERENT}
AND part NOT IN (SELECT hour FROM proxy_stalehour)
AND NOT EXISTS (
    SELECT 1 FROM proxy_droppedmonth WHERE month = date_trunc('month', part AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
)
"""  # noqa: S608
_DAYS = f"""
WITH counted AS (
    SELECT (to_timestamp(%(start)s) AT TIME ZONE 'UTC')::date AS part, {_ABOUT}, sum(calls)::bigint AS calls, {_SUMS}
    FROM proxy_usagehour WHERE hour >= to_timestamp(%(start)s) AND hour < to_timestamp(%(end)s) GROUP BY 1, 2, 3, 4, 5
), told AS (
    SELECT day AS part, {_ABOUT}, calls, {", ".join(_FIGURES)} FROM proxy_usageday
    WHERE day = (to_timestamp(%(start)s) AT TIME ZONE 'UTC')::date
)
{_DIFFERENT}
"""  # noqa: S608
# Whoever is gone has left a trace in the audit trail.
_STRANGERS = """
SELECT concat_ws(' ', 'key', key_id, 'team', caller.team_id, CASE WHEN key.id IS NOT NULL THEN 'is not the key''s team or holder'
    ELSE 'never existed' END) AS what
FROM (
    SELECT DISTINCT key_id, team_id, service_account_id, person_id FROM proxy_call WHERE id BETWEEN %(first)s AND %(last)s
) AS caller LEFT JOIN accounts_apikey AS key ON key.id = key_id
WHERE CASE WHEN key.id IS NULL
    THEN NOT EXISTS (SELECT 1 FROM accounts_auditentry WHERE subject_id = key_id)
    ELSE (key.team_id, key.service_account_id, key.person_id)
        IS DISTINCT FROM (caller.team_id, caller.service_account_id, caller.person_id)
    END
    OR NOT EXISTS (SELECT 1 FROM accounts_team WHERE accounts_team.id = caller.team_id)
    AND NOT EXISTS (SELECT 1 FROM accounts_auditentry WHERE subject_id = caller.team_id)
"""
_NEXT = """
SELECT min(number) FROM (
    (SELECT least(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 86400000, %(most)s) AS number
        FROM proxy_call WHERE id >= %(first)s ORDER BY id LIMIT 1)
    UNION ALL (SELECT least(('x' || left(replace(call_id::text, '-', ''), 12))::bit(48)::bigint / 86400000, %(most)s)
        FROM proxy_adjustment WHERE call_id >= %(first)s ORDER BY call_id LIMIT 1)
    UNION ALL (SELECT extract(epoch FROM min(hour))::bigint / 86400 FROM proxy_usagehour WHERE hour >= to_timestamp(%(start)s))
    UNION ALL (SELECT (min(day) - date '1970-01-01')::bigint FROM proxy_usageday
        WHERE day >= (to_timestamp(%(start)s) AT TIME ZONE 'UTC')::date)
) AS next
"""
# Asked of all rows at once and not by their ids, or PostgreSQL would look for them only where they belong.
_MISPLACED = """
SELECT id || ' in ' || relname AS what FROM (
    SELECT id, tableoid, to_char(to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000)
        AT TIME ZONE 'UTC', '"proxy_call_y"YYYY"m"MM') AS home FROM proxy_call
) AS call JOIN pg_class AS part ON part.oid = call.tableoid
WHERE relname <> home AND (relname <> 'proxy_call_default' OR to_regclass(home) IS NOT NULL)
"""


def figures_are_sane(day: Day) -> Wrong | None:
    """No count is negative, no part is more than its whole, every status and kind is known."""
    return _look("figures", _FIGURES_WRONG, day)


def costs_are_those_of_the_tokens(day: Day) -> Wrong | None:
    """A call costs what its tokens make at the prices in its row, corrections included."""
    return _look("cost", f"{_KNOWN}{_DEAR}", day)


def adjustments_have_their_call(day: Day) -> Wrong | None:
    """Each adjustment is of a call that was interrupted, and the only one of its kind."""
    return _look("adjustments", _ADJUSTED, day)


def hours_are_the_sum_of_their_calls(day: Day) -> Wrong | None:
    """The roll-up by hour says what the ledger does, where nothing waits to be counted."""
    return _look("hours", _HOURS, day)


def days_are_the_sum_of_their_hours(day: Day) -> Wrong | None:
    """The roll-up by day says what that by hour does."""
    return _look("days", _DAYS, day)


def callers_existed(day: Day) -> Wrong | None:
    """Each call's key was once issued, for the team and the holder in the row."""
    return _look("callers", _STRANGERS, day)


CHECKS: tuple[Check, ...] = (
    figures_are_sane,
    costs_are_those_of_the_tokens,
    adjustments_have_their_call,
    hours_are_the_sum_of_their_calls,
    days_are_the_sum_of_their_hours,
    callers_existed,
)


def days_with_anything(first: int, last: int) -> Iterator[Day]:
    """Yield the days in these bounds that have calls, adjustments or usage, by their numbers; gaps cost nothing."""
    number = first
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_NEXT, Day(number).bounds | {"most": _LAST_DAY})
            (found,) = cursor.fetchone()
        if found is None or found > last:
            return
        yield Day(found)
        number = found + 1


def misplaced() -> Wrong | None:
    """Rows whose id is none of their partition's month, or that lie in the default one though their month has its own."""
    return _look("partitions", _MISPLACED, Day(0))


def _look(check: str, query: str, day: Day) -> Wrong | None:
    """Run a statement that tells of every wrong row in words; keep the count and the first few."""
    closed = {"statuses": list(map(str, CallStatus)), "kinds": list(map(str, CallKind))}
    closed["adjustments"] = list(map(str, AdjustmentKind))
    with transaction.atomic(), connection.cursor() as cursor:
        # Twenty million rows take their time, and nobody waits for them.
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_TELL.format(query=query), day.bounds | closed)
        rows = cursor.fetchall()
    return Wrong(check, rows[0][1], [what for what, _ in rows]) if rows else None
