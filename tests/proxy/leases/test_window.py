"""Only ids and whole numbers reach the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.leases.window import (
    MAX_AMOUNT,
    MAX_LENGTH_S,
    NEVER_ENDS_AT,
    Measure,
    Window,
    require_amount,
)

JUNK_KEYS = [
    "",
    "a" * 161,
    "with space",
    "brace}",
    "{brace",
    "new\nline",
    "trailing\n",
    "nul\0",
    "ключ",
    "٣",
    "quote'",
    "a|b",
    "*",
    None,
    7,
    b"bytes",
]


@pytest.mark.parametrize("key", JUNK_KEYS)
def test_a_key_that_is_not_made_of_ids_is_refused(key: object) -> None:
    with pytest.raises(ValueError, match="window's key"):
        Window(key, 1, 60, Measure.TOKENS)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [-1, MAX_AMOUNT + 1, 1.0, True, "1", None, float("inf")])
def test_a_limit_that_lua_could_not_hold_exactly_is_refused(limit: object) -> None:
    with pytest.raises(ValueError, match="limit is a whole number"):
        Window("a", limit, 60, Measure.TOKENS)  # type: ignore[arg-type]


@pytest.mark.parametrize("length_s", [0, -1, 0.5, True, MAX_LENGTH_S + 1, None])
def test_a_length_that_is_no_number_of_seconds_is_refused(length_s: object) -> None:
    with pytest.raises(ValueError, match="length_s is a whole number"):
        Window("a", 1, length_s, Measure.TOKENS)  # type: ignore[arg-type]


@pytest.mark.parametrize("ends_at", [-1, NEVER_ENDS_AT + 1, 1.0, True, None])
def test_an_end_that_is_no_second_is_refused(ends_at: object) -> None:
    with pytest.raises(ValueError, match="ends_at is a whole number"):
        Window("a", 1, 60, Measure.MICRO_USD, ends_at)  # type: ignore[arg-type]


@pytest.mark.parametrize("measure", ["tokens", "", None, 1])
def test_a_measure_that_is_none_of_the_known_ones_is_refused(measure: object) -> None:
    with pytest.raises(ValueError, match="measure is one of"):
        Window("a", 1, 60, measure)  # type: ignore[arg-type]


def test_a_period_needs_no_length_and_what_is_held_now_has_none() -> None:
    assert not Window("a", 1, 0, Measure.MICRO_USD, NEVER_ENDS_AT).is_sliding
    assert not Window("a", 1, 0, Measure.CONCURRENT).is_sliding
    for length_s, ends_at in ((60, 0), (0, 1_800_000_000)):
        with pytest.raises(ValueError, match="neither length_s nor ends_at"):
            Window("a", 1, length_s, Measure.CONCURRENT, ends_at)


@given(st.integers(1, MAX_LENGTH_S))
def test_buckets_make_up_the_window_exactly(length_s: int) -> None:
    window = Window("a", 1, length_s, Measure.TOKENS)
    assert window.buckets * window.bucket_us == length_s * 1_000_000
    assert 20 <= window.buckets <= 100


def test_a_bucket_is_a_hundredth_of_every_window_from_five_seconds_on() -> None:
    assert {
        Window("a", 1, length_s, Measure.TOKENS).buckets for length_s in (5, 10, 60, 86_400)
    } == {100}


@given(st.text() | st.floats() | st.booleans() | st.none() | st.integers(max_value=-1))
def test_anything_but_a_whole_amount_is_refused(amount: object) -> None:
    with pytest.raises(ValueError, match="amount"):
        require_amount(amount, name="amount")
