"""Only ids and whole numbers reach the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.leases.window import MAX_AMOUNT, MAX_LENGTH_S, Window, require_amount

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
        Window(key, 1, 60)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [-1, MAX_AMOUNT + 1, 1.0, True, "1", None, float("inf")])
def test_a_limit_that_lua_could_not_hold_exactly_is_refused(limit: object) -> None:
    with pytest.raises(ValueError, match="limit is a whole number"):
        Window("a", limit, 60)  # type: ignore[arg-type]


@pytest.mark.parametrize("length_s", [0, -1, 0.5, True, MAX_LENGTH_S + 1, None])
def test_a_length_that_is_no_number_of_seconds_is_refused(length_s: object) -> None:
    with pytest.raises(ValueError, match="length_s is a whole number"):
        Window("a", 1, length_s)  # type: ignore[arg-type]


@given(st.integers(1, MAX_LENGTH_S))
def test_buckets_make_up_the_window_exactly(length_s: int) -> None:
    window = Window("a", 1, length_s)
    assert window.buckets * window.bucket_us == length_s * 1_000_000
    assert 20 <= window.buckets <= 100


def test_a_bucket_is_a_hundredth_of_every_window_from_five_seconds_on() -> None:
    assert {Window("a", 1, length_s).buckets for length_s in (5, 10, 60, 86_400)} == {100}


@given(st.text() | st.floats() | st.booleans() | st.none() | st.integers(max_value=-1))
def test_anything_but_a_whole_amount_is_refused(amount: object) -> None:
    with pytest.raises(ValueError, match="amount"):
        require_amount(amount, name="amount")
