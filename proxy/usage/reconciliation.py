"""Compares a provider's own count with the ledger's, by day and by the provider's name for the model."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from models_registry.models import Deployment, Provider
from proxy.usage.provider_export import Export
from proxy.usage.span import Span

# Calls that were sent. What became known later is added; only interrupted calls are ever corrected.
_SENT = """
SELECT call.deployment_id, count(*), sum(call.input_tokens + coalesce(late.input_tokens, 0)),
    sum(call.cached_tokens + coalesce(late.cached_tokens, 0)),
    sum(call.output_tokens + coalesce(late.output_tokens, 0)),
    sum(call.cost_micro_usd + coalesce(late.cost_micro_usd, 0))
FROM proxy_call AS call LEFT JOIN (
    SELECT call_id, sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens,
        sum(output_tokens) AS output_tokens, sum(cost_micro_usd) AS cost_micro_usd
    FROM proxy_adjustment WHERE call_id >= %(first)s AND call_id < %(last)s GROUP BY call_id
) AS late ON late.call_id = call.id
WHERE call.id >= %(first)s AND call.id < %(last)s AND call.provider_id = %(provider)s
    AND (call.attempts > 0 OR call.status = 'interrupted')
GROUP BY call.deployment_id
"""
_FIGURES = ("requests", "input_tokens", "cached_tokens", "output_tokens", "cost_micro_usd")

Sums = dict[tuple[date, str], dict[str, int]]


class Difference(NamedTuple):
    """One figure that the two do not agree on."""

    day: date
    model: str
    figure: str
    provider: int
    ledger: int


def reconcile(
    provider: Provider, export: Export, *, names: Mapping[str, str], tolerance_percent: float
) -> tuple[int, list[Difference]]:
    """Return how many figures were compared, and those that differ by more than the tolerance, in order.

    names: the provider's name for a model, by the name that its export uses.
    tolerance_percent: of the larger of both figures.
    """
    theirs = _renamed(export, names)
    ours = _sent(provider, *export.days)
    compared, differences = 0, []
    for about in sorted(theirs.keys() | ours.keys()):
        for figure in export.figures:
            compared += 1
            one, other = (sums.get(about, {}).get(figure, 0) for sums in (theirs, ours))
            if abs(one - other) * 100 > tolerance_percent * max(abs(one), abs(other)):
                differences.append(Difference(*about, figure, one, other))
    return compared, differences


def _renamed(export: Export, names: Mapping[str, str]) -> Sums:
    sums: Sums = {}
    for (day, model), figures in export.sums.items():
        into = sums.setdefault((day, names.get(model, model)), dict.fromkeys(figures, 0))
        for name, value in figures.items():
            into[name] += value
    return sums


def _sent(provider: Provider, first: date, last: date) -> Sums:
    """What the ledger has of calls that were sent to the provider, in a statement for each day."""
    upstream = dict(Deployment.objects.filter(provider=provider).values_list("pk", "upstream_name"))
    sums: Sums = {}
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        for deployment_id, *figures in _rows(provider.pk, day):
            name = upstream.get(deployment_id, f"deployment {deployment_id}, which is gone")
            into = sums.setdefault((day, name), dict.fromkeys(_FIGURES, 0))
            for figure, value in zip(_FIGURES, figures, strict=True):
                into[figure] += int(value)
    return sums


def _rows(provider_id: UUID, day: date) -> list[tuple[UUID, int, int, int, int, int]]:
    first, last = Span(day, day).ids
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_SENT, {"first": first, "last": last, "provider": provider_id})
        return list(cursor.fetchall())
