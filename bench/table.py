"""Medians of interleaved runs, as a table."""

from collections.abc import Sequence
from statistics import median

from bench.load import Sample


def take_medians(samples: Sequence[Sample]) -> Sample:
    """Each column's median."""
    return Sample(*(median(column) for column in zip(*samples, strict=True)))


def draw_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns, the first to the left and the others to the right."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    rule = [f":{'-' * (widths[0] - 1)}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join(
        "| " + " | ".join(_align(line, widths)) + " |" for line in (heads, rule, *rows)
    )


def _align(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
