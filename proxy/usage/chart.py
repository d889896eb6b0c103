"""A bar chart as plain numbers, from which a template writes SVG: no script, no style, sharp on every screen.

It is drawn twice, for wide and for narrow screens, because text in a picture shrinks with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format

TOP, BOTTOM, LEFT, RIGHT = 8, 22, 52, 4
LABEL_WIDTH = 64
# Beyond so many days a bar stands for a week.
DAYS_MAX = 92
WEEK = 7


@dataclass(frozen=True)
class Piece:
    """A part of a bar; `series` is the number of its colour."""

    series: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Bar:
    """What one day or week came to. The words say it to whoever points at it."""

    x: float
    width: float
    words: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Mark:
    """Words at a place of an axis."""

    at: float
    words: str


@dataclass(frozen=True)
class Chart:
    width: int
    height: int
    left: int
    floor: int
    bars: tuple[Bar, ...]
    levels: tuple[Mark, ...]
    dates: tuple[Mark, ...]

    @property
    def right(self) -> int:
        return self.width - RIGHT


@dataclass(frozen=True)
class Column:
    """One bar's values, a number for each series."""

    label: str
    values: tuple[int, ...]
    words: str


def columns_of(
    days: Sequence[tuple[date, tuple[int, ...]]], words: Callable[[int], str]
) -> list[Column]:
    """Return a column for each day, or for each week where there are many days."""
    step = 1 if len(days) <= DAYS_MAX else WEEK
    columns = []
    for start in range(0, len(days), step):
        together = days[start : start + step]
        values = tuple(sum(column) for column in zip(*(each for _, each in together), strict=True))
        first, last = together[0][0], together[-1][0]
        span = f"{first:%Y-%m-%d}" if first == last else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
        columns.append(Column(date_format(first, "j M"), values, f"{span}: {words(sum(values))}"))
    return columns


def draw(
    columns: Sequence[Column],
    words: Callable[[int], str],
    *,
    colours: Sequence[int],
    width: int,
    height: int,
) -> Chart:
    """Return the chart. words: a value as it stands at the axis, short. colours: the number of each series' colour."""
    floor = height - BOTTOM
    highest = _round_up(max((sum(column.values) for column in columns), default=0))
    slot = (width - LEFT - RIGHT) / max(len(columns), 1)
    bar_width = round(max(slot - min(max(slot * 0.25, 1), 12), 1), 2)
    bars = []
    for number, column in enumerate(columns):
        x = round(LEFT + slot * number + (slot - bar_width) / 2, 2)
        pile = list(zip(colours, column.values, strict=True))
        pieces = _pile(pile, x, bar_width, floor, (floor - TOP) / highest)
        bars.append(Bar(x, bar_width, column.words, pieces))
    levels = tuple(
        Mark(round(floor - (floor - TOP) * part / 4, 2), words(highest * part // 4))
        for part in ((0, 2, 4) if highest % 4 else (0, 1, 2, 3, 4))
    )
    return Chart(width, height, LEFT, floor, tuple(bars), levels, _dates(columns, slot, width))


def _pile(
    pile: Sequence[tuple[int, int]], x: float, width: float, floor: int, per_unit: float
) -> tuple[Piece, ...]:
    pieces, y = [], float(floor)
    for series, value in pile:
        if value:
            # What is there can be seen, however small it is.
            height = max(value * per_unit, 1.0)
            y -= height
            pieces.append(Piece(series, x, round(y, 2), width, round(height, 2)))
    return tuple(pieces)


def _dates(columns: Sequence[Column], slot: float, width: int) -> tuple[Mark, ...]:
    """Return as many dates as have room, the last one among them."""
    room = max(int((width - LEFT - RIGHT) // LABEL_WIDTH), 1)
    step = -(-len(columns) // room) if columns else 1
    last = len(columns) - 1
    return tuple(
        Mark(round(LEFT + slot * (number + 0.5), 2), columns[number].label)
        for number in range(last % step if last >= 0 else 0, len(columns), step)
    )


def _round_up(value: int) -> int:
    """Return a round number at or above the value, with whole halves, and at least 2."""
    size = 1
    while True:
        for step in (2, 3, 4, 5, 6, 8, 10):
            if step * size >= value and step * size % 2 == 0:
                return step * size
        size *= 10
