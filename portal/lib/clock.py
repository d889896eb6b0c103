"""Time as everybody here takes it: aware UTC, and passed in wherever a decision depends on it."""

import datetime
import time


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def days_ahead(days: int) -> datetime.datetime:
    """The moment so many days from now. Raises: ValueError for a number that no calendar holds."""
    try:
        return utc_now() + datetime.timedelta(days=days)
    except OverflowError:
        raise ValueError(f"{days} days from now is no date") from None


def unix_us() -> int:
    """Microseconds since 1970-01-01 UTC, for the journal."""
    return time.time_ns() // 1000
