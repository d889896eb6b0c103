"""Usage as CSV: a line for each day, key and model. A spreadsheet reads it, and may not take any text for a formula."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date

from portal.lib.clock import utc_now
from proxy.access import Sight
from proxy.usage.names import credential_names, holder_names, model_names, team_names
from proxy.usage.span import Span
from proxy.usage.summary import Line, lines_of_day

LINES_MAX = 100_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
HEAD = (
    "day", "team", "key", "holder", "model", "calls", "failures", "refusals", "input_tokens", "cached_tokens",
    "output_tokens", "reasoning_tokens", "cost_usd", "team_id", "key_id", "model_id",
)  # fmt: skip


def safe_cell(text: str) -> str:
    """Return the text, with an apostrophe in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_parts(sight: Sight, span: Span) -> Iterator[str]:
    """Write the file, a part for each day, each in queries of its own; days to come have no part.

    It ends after LINES_MAX lines and then says so in its last one.
    """
    yield _written([HEAD])
    room = LINES_MAX
    for day in span.days:
        if day > utc_now().date():
            return
        lines = lines_of_day(sight, day, limit=room + 1)
        if lines:
            yield _written(_cells(day, lines[:room]))
        if len(lines) > room:
            yield _written([(f"Cut after {LINES_MAX} lines. Ask for fewer days.",)])
            return
        room -= len(lines)


def _cells(day: date, lines: list[Line]) -> list[tuple[object, ...]]:
    keys = credential_names(line.key_id for line in lines)
    models = model_names(line.model_id for line in lines)
    teams = team_names(line.team_id for line in lines)
    holders = holder_names({line.holder for line in lines})
    return [
        (
            day.isoformat(),
            safe_cell(teams.get(line.team_id, "")),
            safe_cell(keys.get(line.key_id, "")),
            safe_cell(holders.get(line.holder, "")),
            safe_cell(models.get(line.model_id, "") if line.model_id else ""),
            line.figures.calls,
            line.figures.failures,
            line.figures.refusals,
            line.figures.input_tokens,
            line.figures.cached_tokens,
            line.figures.output_tokens,
            line.figures.reasoning_tokens,
            _usd(line.figures.cost_micro_usd),
            line.team_id,
            line.key_id,
            line.model_id or "",
        )
        for line in lines
    ]


def _usd(micro_usd: int) -> str:
    dollars, rest = divmod(micro_usd, 1_000_000)
    return f"{dollars}.{rest:06d}"


def _written(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
