"""Hours of the week in which something may be used, by the clock on the wall of a time zone: decided at each call, by no job."""

import datetime
import logging
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Self

import msgspec

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_MIDNIGHT = "24:00"
_log = logging.getLogger("latchkey.hours")


class Hours(msgspec.Struct, frozen=True):
    """From one minute of the day to another, on some days of the week.

    days: 1 is Monday. begins, ends: minutes since midnight; where the end is not after the beginning it is the next day's,
        and the hours belong to the day on which they begin.
    """

    days: frozenset[int]
    begins: int
    ends: int
    zone: str

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """Read them as they are kept and sent: {"days": ["mon"], "begins": "08:00", "ends": "18:00", "zone": "Europe/Berlin"}.

        Raises: ValueError that says what is wrong.
        """
        days = kept.get("days")
        if not isinstance(days, Sequence) or not days or not set(days) <= set(DAYS):
            raise ValueError(f"Name at least one day of {', '.join(DAYS)}.")
        begins, ends = _minute(kept.get("begins")), _minute(kept.get("ends"))
        if begins == ends:
            raise ValueError("The hours end when they begin. Leave them out to allow every hour.")
        zone = kept.get("zone")
        if not isinstance(zone, str) or zone not in _zones():
            raise ValueError("Name a time zone of the IANA database, such as Europe/Berlin.")
        return cls(frozenset(DAYS.index(day) + 1 for day in days), begins, ends, zone)

    def kept(self) -> dict[str, Any]:
        """The one form in which they are kept."""
        return {
            "days": [DAYS[day - 1] for day in sorted(self.days)],
            "begins": _text(self.begins),
            "ends": _text(self.ends),
            "zone": self.zone,
        }

    def is_open(self, now: datetime.datetime) -> bool:
        """Whether the moment lies in them. Where this host does not know the zone it lies in none."""
        zone = _zone(self.zone)
        if zone is None:
            return False
        local = now.astimezone(zone)
        minute, day = local.hour * 60 + local.minute, local.isoweekday()
        if self.begins < self.ends:
            return day in self.days and self.begins <= minute < self.ends
        day_before = day - 1 or 7
        return (day in self.days and minute >= self.begins) or (
            day_before in self.days and minute < self.ends
        )


def hours_text(kept: Mapping[str, Any] | None) -> str:
    """Say them in one line; "" for every hour."""
    if not kept:
        return ""
    return f"{' '.join(kept['days'])} {kept['begins']}–{kept['ends']} {kept['zone']}"  # noqa: RUF001 - from one time to another.


def _minute(text: object) -> int:
    if text == _MIDNIGHT:
        return 24 * 60
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("Write times as HH:MM, such as 08:00.")
    return int(match[1]) * 60 + int(match[2])


def _text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


@lru_cache(maxsize=1024)
def _zone(name: str) -> zoneinfo.ZoneInfo | None:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        _log.error(
            "A time zone is not known on this host; its hours are closed.", extra={"zone": name}
        )
        return None
