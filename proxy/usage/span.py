"""A span of whole days in UTC, both ends included: what every question about usage and calls is bounded by."""

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from proxy.models import first_id_at


@dataclass(frozen=True)
class Span:
    first: date
    last: date

    @property
    def start(self) -> datetime:
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The moment after the span."""
        return datetime.combine(self.last, time(), UTC) + timedelta(days=1)

    @property
    def days(self) -> list[date]:
        count = (self.last - self.first).days + 1
        return [self.first + timedelta(days=number) for number in range(count)]

    @property
    def ids(self) -> tuple[uuid.UUID, uuid.UUID]:
        """The bounds of the ids of calls made in the span: at or above the first, below the second."""
        start_ms, end_ms = (int(moment.timestamp()) * 1000 for moment in (self.start, self.end))
        return first_id_at(start_ms), first_id_at(end_ms)


def days_until(last: date, count: int) -> Span:
    """Return the span of so many days that ends with this one."""
    return Span(last - timedelta(days=count - 1), last)


def month_of(day: date) -> Span:
    """Return the month that the day is in, as far as the day."""
    return Span(day.replace(day=1), day)


def month_before(day: date) -> Span:
    """Return the whole month before the one that the day is in."""
    last = day.replace(day=1) - timedelta(days=1)
    return Span(last.replace(day=1), last)
