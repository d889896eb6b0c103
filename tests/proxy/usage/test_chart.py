"""A chart stays within its frame, whatever the days came to."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.templatetags.figures import duration, short, usd, usd_short, whole
from proxy.usage.chart import BOTTOM, LEFT, TOP, columns_of, draw

DAY = date(2026, 1, 1)
values = st.integers(0, 2**63 - 1)


@given(
    st.lists(st.tuples(values, values, values), max_size=400),
    st.sampled_from([(880, 240), (340, 190)]),
)
def test_every_bar_lies_within_the_frame(
    days: list[tuple[int, int, int]], size: tuple[int, int]
) -> None:
    width, height = size
    dated = [(DAY + timedelta(days=number), sums) for number, sums in enumerate(days)]
    columns = columns_of(dated, str)
    chart = draw(columns, short, colours=(1, 3, 4), width=width, height=height)
    assert len(chart.bars) == len(columns) <= 92
    assert sum(sum(column.values) for column in columns) == sum(map(sum, days))
    for bar in chart.bars:
        assert LEFT <= bar.x <= bar.x + bar.width <= chart.right
        for piece in bar.pieces:
            assert piece.height >= 1
            # Pieces too small to be seen are drawn a little larger than they are.
            assert TOP - 3 <= piece.y <= piece.y + piece.height <= height - BOTTOM + 0.1
    assert len(chart.dates) <= width / 60
    assert all(0 <= mark.at <= width for mark in chart.dates)


def test_no_days_make_an_empty_chart() -> None:
    chart = draw([], short, colours=(1,), width=340, height=190)
    assert not chart.bars
    assert not chart.dates
    assert [level.words for level in chart.levels] == ["0", "1", "2"]


def test_the_words_of_a_bar_name_its_days_and_sum() -> None:
    days = [(DAY + timedelta(days=number), (1, 2)) for number in range(93)]
    assert columns_of(days[:1], str)[0].words == "2026-01-01: 3"
    assert columns_of(days, str)[0].words == "2026-01-01 to 2026-01-07: 21"


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (whole(1234567), "1,234,567"),
        (short(999), "999"),
        (short(1500), "1.5k"),
        (short(4_000_000), "4M"),
        (usd(0), "$0.00"),
        (usd(123), "$0.000123"),
        (usd(150_000), "$0.15"),
        (usd(75_000), "$0.075"),
        (usd(1_234_567), "$1.2346"),
        (usd(1_200_000), "$1.20"),
        (usd(1_234_567_891), "$1,234.57"),
        (usd(-41), "-$0.000041"),
        (usd_short(2_000), "$0.002"),
        (usd_short(12_000_000), "$12"),
        (usd_short(0), "$0"),
        (usd_short(1_500_000_000), "$1.5k"),
        (duration(0), "0 µs"),
        (duration(2_500), "2.5 ms"),
        (duration(230_400), "230 ms"),
        (duration(1_234_567), "1.23 s"),
        (duration(125_000_000), "2 min 5 s"),
    ],
)
def test_figures_are_read_as_people_write_them(shown: str, text: str) -> None:
    assert shown == text
