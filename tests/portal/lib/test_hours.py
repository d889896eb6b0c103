"""Hours of the week by the clock on the wall, over midnight and over changes of the clock."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.lib.hours import DAYS, Hours, hours_text

WORK = {
    "days": ["mon", "tue", "wed", "thu", "fri"],
    "begins": "08:00",
    "ends": "18:00",
    "zone": "Europe/Berlin",
}
NIGHT = {"days": ["fri"], "begins": "22:00", "ends": "06:00", "zone": "Europe/Berlin"}
ALL_FRIDAY = {"days": ["fri"], "begins": "00:00", "ends": "24:00", "zone": "America/New_York"}


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    ("kept", "moment", "is_open"),
    [
        (WORK, "2026-11-25T06:59:59", False),  # Wednesday in winter: one hour ahead.
        (WORK, "2026-11-25T07:00:00", True),
        (WORK, "2026-11-25T16:59:59", True),
        (WORK, "2026-11-25T17:00:00", False),
        (WORK, "2026-07-01T06:00:00", True),  # In summer two hours ahead.
        (WORK, "2026-07-01T05:59:59", False),
        (WORK, "2026-11-28T10:00:00", False),  # Saturday.
        (NIGHT, "2026-11-27T20:59:59", False),
        (NIGHT, "2026-11-27T21:00:00", True),
        (NIGHT, "2026-11-28T04:59:59", True),  # Saturday morning belongs to Friday.
        (NIGHT, "2026-11-28T05:00:00", False),
        (NIGHT, "2026-11-28T21:00:00", False),
        (NIGHT, "2026-11-27T02:00:00", False),  # Friday morning would be Thursday's.
        (ALL_FRIDAY, "2026-11-27T04:59:59", False),
        (ALL_FRIDAY, "2026-11-27T05:00:00", True),
        (ALL_FRIDAY, "2026-11-28T04:59:59", True),
        (ALL_FRIDAY, "2026-11-28T05:00:00", False),
        # 2026-10-25: clocks in Berlin go from 03:00 back to 02:00.
        (NIGHT | {"days": ["sun"], "begins": "02:30", "ends": "03:00"}, "2026-10-25T00:30:00", True),
        (NIGHT | {"days": ["sun"], "begins": "02:30", "ends": "03:00"}, "2026-10-25T01:10:00", False),
        (NIGHT | {"days": ["sun"], "begins": "02:30", "ends": "03:00"}, "2026-10-25T01:30:00", True),
    ],
)  # fmt: skip
def test_moment_lies_in_the_hours_by_the_clock_on_the_wall(
    kept: dict[str, Any], moment: str, is_open: bool
) -> None:
    assert Hours.read(kept).is_open(utc(moment)) is is_open


@pytest.mark.parametrize(
    "change",
    [
        {"days": []},
        {"days": ["monday"]},
        {"days": "mon"},
        {"days": None},
        {"begins": "8:00"},
        {"begins": "24:01"},
        {"begins": "08:60"},
        {"begins": None},
        {"ends": "08:00"},
        {"ends": "\u0660\u0669:00"},
        {"zone": "Berlin"},
        {"zone": "../../etc/passwd"},
        {"zone": ""},
        {"zone": None},
    ],
    ids=str,
)
def test_hours_that_mean_nothing_are_refused(change: dict[str, Any]) -> None:
    assert Hours.read(WORK)
    with pytest.raises(ValueError, match=r"Name|Write|hours"):
        Hours.read(WORK | change)


def test_unknown_zone_is_closed_at_any_time() -> None:
    lost = Hours(frozenset(range(1, 8)), 0, 24 * 60, "Europe/Atlantis")
    assert not lost.is_open(utc("2026-11-25T12:00:00"))


@given(
    days=st.sets(st.sampled_from(DAYS), min_size=1),
    begins=st.integers(0, 1439),
    ends=st.integers(1, 1440),
)
def test_hours_are_kept_in_one_form(days: set[str], begins: int, ends: int) -> None:
    if begins == ends:
        return
    kept: dict[str, Any] = {
        "days": sorted(days, key=DAYS.index),
        "begins": f"{begins // 60:02}:{begins % 60:02}",
        "ends": f"{ends // 60:02}:{ends % 60:02}",
        "zone": "UTC",
    }
    assert Hours.read(kept).kept() == kept
    assert kept["begins"] in hours_text(kept)
