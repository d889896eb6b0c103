"""The calendar's periods, in zones where clocks are set as well."""

import datetime
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_registry.models import LimitPeriod
from models_registry.models.limits import CALENDAR_PERIODS, zones
from models_registry.periods import calendar_period

DAY, WEEK, MONTH = CALENDAR_PERIODS
HOUR = datetime.timedelta(hours=1)


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)


CASES: dict[str, tuple[LimitPeriod, str, str, tuple[str, str, str]]] = {
    "day in UTC": (DAY, "UTC", "2026-11-24T23:59:59Z", ("2026-11-24", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z")),
    "day in Berlin": (DAY, "Europe/Berlin", "2026-11-24T23:30:00Z", ("2026-11-25", "2026-11-24T23:00:00Z", "2026-11-25T23:00:00Z")),
    "day of 23 hours": (DAY, "Europe/Berlin", "2026-03-29T10:00:00Z", ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")),
    "day of 25 hours": (DAY, "Europe/Berlin", "2026-10-25T10:00:00Z", ("2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")),
    "week over the turn of a year": (WEEK, "UTC", "2027-01-03T12:00:00Z", ("2026-W53", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z")),
    "month in Auckland": (MONTH, "Pacific/Auckland", "2026-11-30T11:00:00Z", ("2026-12", "2026-11-30T11:00:00Z", "2026-12-31T11:00:00Z")),
    "last moment of a month": (MONTH, "Pacific/Auckland", "2026-11-30T10:59:59Z", ("2026-11", "2026-10-31T11:00:00Z", "2026-11-30T11:00:00Z")),
    "leap month": (MONTH, "UTC", "2028-02-29T00:00:00Z", ("2028-02", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_period_is_the_calendars_in_its_zone(
    case: tuple[LimitPeriod, str, str, tuple[str, str, str]],
) -> None:
    period, zone, now, (name, starts_at, ends_at) = case
    found = calendar_period(period, zone, now=at(now))
    assert found == (name, at(starts_at), at(ends_at))


@given(
    st.sampled_from(CALENDAR_PERIODS),
    st.sampled_from(sorted(zones())),
    st.integers(1_577_836_800, 2_366_841_600).map(
        lambda unix_s: datetime.datetime.fromtimestamp(unix_s, datetime.UTC)
    ),
)
def test_every_moment_lies_in_one_period_and_the_next_begins_where_it_ends(
    period: LimitPeriod, zone: str, now: datetime.datetime
) -> None:
    found = calendar_period(period, zone, now=now)
    assert found.starts_at <= now < found.ends_at
    following = calendar_period(period, zone, now=found.ends_at)
    assert following.starts_at == found.ends_at
    assert following.name != found.name


def test_unknown_zone_counts_by_utc_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="latchkey.limits"):
        found = calendar_period(DAY, "Mars/Olympus", now=at("2026-11-24T12:00:00Z"))
    assert found == calendar_period(DAY, "UTC", now=at("2026-11-24T12:00:00Z"))
    assert "not known on this host" in caplog.text
