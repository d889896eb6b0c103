"""The calendar's periods in a time zone: when the one that counts now ends, and what it is called."""

import datetime
import logging
import zoneinfo
from typing import NamedTuple

from models_registry.models.limits import LimitPeriod

_log = logging.getLogger("latchkey.limits")


class CalendarPeriod(NamedTuple):
    """From `starts_at` until before `ends_at`. name: as 2026-11-24, 2026-W48 or 2026-11."""

    name: str
    starts_at: datetime.datetime
    ends_at: datetime.datetime


def calendar_period(period: LimitPeriod, zone: str, *, now: datetime.datetime) -> CalendarPeriod:
    """Return the calendar's period in which `now` lies. Days have 23 or 25 hours where clocks are set."""
    clock = _zone(zone)
    today = now.astimezone(clock).date()
    if period == LimitPeriod.CALENDAR_DAY:
        name, first, after = today.isoformat(), today, today + datetime.timedelta(days=1)
    elif period == LimitPeriod.CALENDAR_WEEK:
        year, week, weekday = today.isocalendar()
        first = today - datetime.timedelta(days=weekday - 1)
        name, after = f"{year}-W{week:02}", first + datetime.timedelta(days=7)
    else:
        first = today.replace(day=1)
        name, after = f"{first:%Y-%m}", (first + datetime.timedelta(days=31)).replace(day=1)
    return CalendarPeriod(name, _midnight(first, clock), _midnight(after, clock))


def _midnight(day: datetime.date, clock: datetime.tzinfo) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), clock).astimezone(datetime.UTC)


def _zone(name: str) -> datetime.tzinfo:
    """The zone, or UTC where this host does not know it: the limit holds, if by another clock."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        _log.error(
            "A limit's time zone is not known on this host; UTC is taken.", extra={"zone": name}
        )
        return datetime.UTC
