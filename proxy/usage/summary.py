"""Sums of usage over a span, by day, model, key, holder and team, from the roll-up by day alone."""

import uuid
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import date
from typing import Any

from django.db import connection

from proxy.access import Sight
from proxy.call import CallStatus
from proxy.usage.span import Span

# What the caller did not bring about. A refusal is told of apart, and who hangs up has not failed.
FAILURES = (
    CallStatus.UPSTREAM_ERROR,
    CallStatus.UPSTREAM_TIMEOUT,
    CallStatus.CUT_OFF,
    CallStatus.INTERRUPTED,
    CallStatus.FAILED,
)

_SUMS = """
sum(calls), coalesce(sum(calls) FILTER (WHERE status = ANY(%(failures)s)), 0),
coalesce(sum(calls) FILTER (WHERE status = %(refused)s), 0), sum(input_tokens), sum(cached_tokens),
sum(output_tokens), sum(reasoning_tokens), sum(cost_micro_usd)
"""
_SEEN = """
FROM proxy_usageday
WHERE day >= %(first)s AND day <= %(last)s
AND (team_id = ANY(%(whole)s) OR (team_id = ANY(%(own)s) AND person_id = %(person)s))
"""
# Constants alone are put together here; every value is a parameter. The sum of everything is that of the days: asked for
# among these sets, it would have PostgreSQL sort all rows.
_SIDES = f"""
SELECT grouping(day, model_id, person_id, team_id), day, model_id, service_account_id, person_id, team_id, {_SUMS}
{_SEEN}
GROUP BY GROUPING SETS ((day), (model_id), (service_account_id, person_id), (team_id))
"""
_DEAREST_KEYS = f"""
SELECT key_id, count(*) OVER (), {_SUMS}
{_SEEN}
GROUP BY key_id ORDER BY sum(cost_micro_usd) DESC, sum(calls) DESC, key_id LIMIT %(keys_max)s
"""
_LINES = f"""
SELECT team_id, model_id, key_id, service_account_id, person_id, {_SUMS}
{_SEEN}
GROUP BY team_id, model_id, key_id, service_account_id, person_id
ORDER BY team_id, key_id, model_id LIMIT %(limit)s
"""
# What grouping() answers: a bit for each column that a row sums over.
_BY_DAY, _BY_MODEL, _BY_HOLDER, _BY_TEAM = (0b1111 ^ 1 << bit for bit in (3, 2, 1, 0))
KEYS_MAX = 50


@dataclass(frozen=True)
class Figures:
    """What was used. Tokens as the ledger counts them: input includes cached, output includes reasoning."""

    calls: int = 0
    failures: int = 0
    refusals: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micro_usd: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Holder:
    """Who holds a key: an application or a person."""

    service_account_id: uuid.UUID | None
    person_id: uuid.UUID | None


@dataclass(frozen=True)
class Summary:
    """The same usage, seen from each side. `by_model` has None for calls that named no model they were let at.

    by_key: the dearest of `key_count` keys, as many as were asked for.
    """

    total: Figures
    by_day: dict[date, Figures]
    by_model: dict[uuid.UUID | None, Figures]
    by_holder: dict[Holder, Figures]
    by_team: dict[uuid.UUID, Figures]
    by_key: dict[uuid.UUID, Figures]
    key_count: int


@dataclass(frozen=True)
class Line:
    """What one key used of one model."""

    team_id: uuid.UUID
    model_id: uuid.UUID | None
    key_id: uuid.UUID
    holder: Holder
    figures: Figures


def summarise(sight: Sight, span: Span, *, keys_max: int = KEYS_MAX) -> Summary:
    """Return what is seen of the span's usage. Every day of the span is in it, the empty ones too."""
    with connection.cursor() as cursor:
        cursor.execute(_SIDES, _parameters(sight, span))
        rows = cursor.fetchall()
        cursor.execute(_DEAREST_KEYS, _parameters(sight, span) | {"keys_max": keys_max})
        keys = cursor.fetchall()
    sides: dict[int, dict[Any, Figures]] = {_BY_DAY: dict.fromkeys(span.days, Figures())}
    for grouped, day, model_id, account_id, person_id, team_id, *sums in rows:
        side = {
            _BY_DAY: day,
            _BY_MODEL: model_id,
            _BY_HOLDER: Holder(account_id, person_id),
            _BY_TEAM: team_id,
        }
        sides.setdefault(grouped, {})[side[grouped]] = _figures(sums)
    days = sides[_BY_DAY]
    return Summary(
        total=_figures(map(sum, zip(*map(astuple, days.values()), strict=True))),
        by_day=days,
        by_model=sides.get(_BY_MODEL, {}),
        by_holder=sides.get(_BY_HOLDER, {}),
        by_team=sides.get(_BY_TEAM, {}),
        by_key={key: _figures(sums) for key, _, *sums in keys},
        key_count=keys[0][1] if keys else 0,
    )


def lines_of_day(sight: Sight, day: date, *, limit: int) -> list[Line]:
    """Return the day's usage, a line for each key and model, and no more than the limit."""
    with connection.cursor() as cursor:
        cursor.execute(_LINES, _parameters(sight, Span(day, day)) | {"limit": limit})
        return [
            Line(team, model, key, Holder(account, person), _figures(sums))
            for team, model, key, account, person, *sums in cursor.fetchall()
        ]


def _parameters(sight: Sight, span: Span) -> dict[str, Any]:
    return {
        "failures": [status.value for status in FAILURES],
        "refused": CallStatus.REFUSED.value,
        "first": span.first,
        "last": span.last,
        "whole": list(sight.whole_teams),
        "own": list(sight.own_teams),
        "person": sight.person_id,
    }


def _figures(sums: Iterable[Any]) -> Figures:
    return Figures(*(int(value or 0) for value in sums))
