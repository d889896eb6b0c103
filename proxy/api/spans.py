"""The days that a question about usage or calls is bounded by."""

from datetime import date
from typing import Any

from accounts.api.fields import Day, Taken
from accounts.api.problems import invalid
from portal.lib.clock import utc_now
from proxy.usage.span import Span, days_until

EARLIEST, LATEST = date(2000, 1, 1), date(9998, 12, 31)


class SpanQuery(Taken):
    """Whole days in UTC, both included."""

    first = Day(required=False, help_text="The first day, with `last`.")
    last = Day(required=False, help_text="The last day, with `first`.")


def span_of(asked: dict[str, Any], *, days: int, most: int) -> Span:
    """Return the days that were asked for, or so many until today. Raises: Problem."""
    first, last = asked.get("first"), asked.get("last")
    if first is None and last is None:
        return days_until(utc_now().date(), days)
    if first is None or last is None:
        raise invalid({"first" if first is None else "last": ["Name both days, or neither."]})
    if not EARLIEST <= first <= last <= LATEST:
        raise invalid({"first": ["The first day has to be before the last one."]})
    if (last - first).days >= most:
        raise invalid({"last": [f"These are more than {most} days. Choose fewer."]})
    return Span(first, last)
