"""Reads a provider's usage export: a CSV whose columns have the names that providers give them, or names that are told.

It comes from outside and is read as such: piece by piece, with every line, field, figure and sum bounded.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import BinaryIO

LINE_BYTES_MAX = 64 * 1024
LINES_MAX = 5_000_000
GROUPS_MAX = 100_000
DAYS_MAX = 400
MODEL_CHARACTERS_MAX = 200
FIGURES = ("requests", "input_tokens", "cached_tokens", "output_tokens", "cost_micro_usd")

# What a column can be called, in small letters; the first that is there counts.
NAMES: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "day", "usage_date", "start", "start_time_iso", "start_time", "bucket_start"),
    "end": ("end", "end_time_iso", "end_time", "bucket_end"),
    "model": ("model", "model_name", "model_version", "snapshot_id", "sku"),
    "requests": ("requests", "num_model_requests", "num_requests", "request_count", "calls"),
    "input": ("input_tokens", "prompt_tokens", "n_context_tokens_total", "input"),
    "cached": ("input_cached_tokens", "cached_tokens", "cached_input_tokens", "cached"),
    "output": ("output_tokens", "completion_tokens", "n_generated_tokens_total", "output"),
    "cost": ("cost", "cost_usd", "amount_value", "amount"),
}
_FIGURE_OF = dict(zip(("requests", "input", "cached", "output", "cost"), FIGURES, strict=True))
_WHOLE = re.compile(r"\A(\d{1,15})(?:\.0{1,6})?\Z", re.ASCII)
_MONEY = re.compile(r"\A\$?(-?\d{1,12}(?:\.\d{1,18})?(?:[eE]-?\d{1,2})?)\Z", re.ASCII)
_SECONDS = re.compile(r"\A\d{9,11}\Z", re.ASCII)


class Unreadable(Exception):
    """The file cannot be compared; the message names the line and what to do."""


@dataclass
class Export:
    """What the provider counted, by day and its own name for the model.

    figures: those that the file has columns for.
    """

    figures: tuple[str, ...]
    sums: dict[tuple[date, str], dict[str, int]] = field(default_factory=dict)

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day that the file speaks of."""
        days = [day for day, _ in self.sums]
        return min(days), max(days)


def read_export(
    file: BinaryIO, columns: Mapping[str, str], *, input_excludes_cached: bool = False
) -> Export:
    """Sum the file up.

    columns: by the keys of NAMES, the names in the head where they are none of those known.
    input_excludes_cached: the provider counts cached input beside its input, not in it.
    Raises: Unreadable.
    """
    rows = csv.reader(_lines(file), strict=True)
    try:
        places = _places(next(rows, []), columns)
        export = Export(tuple(_FIGURE_OF[name] for name in _FIGURE_OF if name in places))
        for row in rows:
            if any(row):
                _add(export, _Row(row, places), is_apart=input_excludes_cached)
    except (csv.Error, ValueError) as error:
        raise Unreadable(f"Line {max(1, rows.line_num)}: {error}") from None
    if not export.sums:
        raise Unreadable("The file has no line of usage.")
    first, last = export.days
    if (last - first).days >= DAYS_MAX:
        raise Unreadable(f"The file spans {first} to {last}. Compare at most {DAYS_MAX} days.")
    return export


def _lines(file: BinaryIO) -> Iterator[str]:
    """Yield lines of text; a file without line ends is refused before it fills the memory."""
    for number in range(1, LINES_MAX + 2):
        line = file.readline(LINE_BYTES_MAX + 1)
        if not line:
            return
        if len(line) > LINE_BYTES_MAX:
            raise ValueError(f"it is longer than {LINE_BYTES_MAX} bytes.")
        if number > LINES_MAX:
            raise ValueError(f"there are more than {LINES_MAX} lines. Split the file.")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise ValueError("it is not UTF-8.") from None


def _places(head: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return where each column stands."""
    names = [name.strip().lower() for name in head]
    places = {}
    for what, known in NAMES.items():
        wanted = (columns[what].strip().lower(),) if what in columns else known
        found = next((name for name in wanted if name in names), None)
        if found is None:
            if what in columns:
                raise ValueError(f"no column is named {columns[what]!r}.")
            continue
        if names.count(found) > 1:
            raise ValueError(f"two columns are named {found!r}.")
        places[what] = names.index(found)
    for what in ("date", "model"):
        if what not in places:
            raise ValueError(f"no column is known as {what}; name it with --column {what}=NAME.")
    if not places.keys() & _FIGURE_OF.keys():
        raise ValueError("no column holds a figure; name one with --column, as in input=NAME.")
    return places


class _Row:
    """One line's cells, by what they are."""

    def __init__(self, cells: list[str], places: Mapping[str, int]) -> None:
        if len(cells) <= max(places.values()):
            raise ValueError("it has fewer cells than the head.")
        self._cells = {what: cells[place].strip() for what, place in places.items()}

    def day(self) -> date:
        start = _moment(self._cells["date"])
        end = self._cells.get("end", "")
        if end and not start <= _moment(end) <= start.replace(
            hour=0, minute=0, second=0
        ) + timedelta(days=1, seconds=1):
            raise ValueError("it spans more than one day in UTC. Export usage by the day.")
        return start.date()

    def model(self) -> str:
        name = self._cells["model"]
        if not 0 < len(name) <= MODEL_CHARACTERS_MAX:
            raise ValueError(f"a model's name has 1 to {MODEL_CHARACTERS_MAX} characters.")
        return name

    def figures(self) -> dict[str, int]:
        return {
            figure: _money(cell) if what == "cost" else _whole(cell)
            for what, figure in _FIGURE_OF.items()
            if (cell := self._cells.get(what)) is not None
        }


def _add(export: Export, row: _Row, *, is_apart: bool) -> None:
    figures = row.figures()
    if is_apart and "input_tokens" in figures:
        figures["input_tokens"] += figures.get("cached_tokens", 0)
    about = (row.day(), row.model())
    if about not in export.sums and len(export.sums) >= GROUPS_MAX:
        raise ValueError(f"there are more than {GROUPS_MAX} days and models.")
    sums = export.sums.setdefault(about, dict.fromkeys(export.figures, 0))
    for name, value in figures.items():
        sums[name] += value


def _moment(text: str) -> datetime:
    """A date, an ISO moment (UTC where it names no zone) or whole seconds since 1970."""
    try:
        if _SECONDS.match(text):
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{_shown(text)} is no date. Write it as 2026-11-24.") from None


def _whole(text: str) -> int:
    if not text:
        return 0
    found = _WHOLE.match(text)
    if found is None:
        raise ValueError(f"{_shown(text)} is no whole number of at most 15 digits.")
    return int(found[1])


def _money(text: str) -> int:
    """USD as micro-USD, rounded to the nearest."""
    if not text:
        return 0
    found = _MONEY.match(text)
    if found is None:
        raise ValueError(f"{_shown(text)} is no amount of USD.")
    return int((Decimal(found[1]) * 1_000_000).to_integral_value())


def _shown(text: str) -> str:
    return ascii(text[:40])
