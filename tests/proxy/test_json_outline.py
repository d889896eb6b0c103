"""What stands outside a JSON text's texts is seen alike however the text is sliced."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import Code, Refusal
from proxy.json_outline import (
    MAX_CONTAINERS,
    MAX_DEPTH,
    MAX_NAMED,
    MAX_TEXTS,
    SLICE_BYTES,
    check_outline,
)
from proxy.turns import at_once

TEXTS = st.text(alphabet='a"\\[]{}:,\né', max_size=8)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def refusal_of(body: bytes, slice_bytes: int = SLICE_BYTES) -> Code | None:
    try:
        at_once(check_outline(body, slice_bytes=slice_bytes))
    except Refusal as refusal:
        return refusal.code
    return None


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(VALUES, st.integers(0, MAX_DEPTH), st.integers(1, 12), st.booleans())
@example('\\"[', MAX_DEPTH, 1, False)
@example(["\\", "[" * 9, "\\\\"], MAX_DEPTH - 1, 3, True)
def test_depth_is_judged_alike_in_slices_of_any_size(
    value: object, around: int, slice_bytes: int, is_ascii: bool
) -> None:
    body = ("[" * around + json.dumps(value, ensure_ascii=is_ascii) + "]" * around).encode()
    expected = Code.NESTED_TOO_DEEP if around + depth_of(value) > MAX_DEPTH else None
    assert refusal_of(body, slice_bytes) is expected


def escaped_quotes() -> Iterator[bytes]:
    """A text whose escapes fall on every side of a slice's end, and then too many levels."""
    for backslashes in range(6):
        for before in range(4):
            yield b'["' + b"a" * before + b"\\\\" * backslashes + b'\\"' + b'",' + b"[" * MAX_DEPTH


@pytest.mark.parametrize("slice_bytes", range(1, 16))
def test_an_escaped_quote_ends_no_text_wherever_a_slice_ends(slice_bytes: int) -> None:
    for deep in escaped_quotes():
        assert refusal_of(deep, slice_bytes) is Code.NESTED_TOO_DEEP
        assert refusal_of(deep.replace(b'",', b","), slice_bytes) is None


@pytest.mark.parametrize(
    ("unit", "most"),
    [
        (b"[]", MAX_CONTAINERS),
        (b'"":1', MAX_NAMED),
        (b'"["', MAX_TEXTS),
    ],
)
@pytest.mark.parametrize("slice_bytes", [1000, SLICE_BYTES, 10 * SLICE_BYTES])
def test_so_many_parts_pass_and_no_more(unit: bytes, most: int, slice_bytes: int) -> None:
    assert refusal_of(b",".join([unit] * most), slice_bytes) is None
    assert refusal_of(b",".join([unit] * (most + 1)), slice_bytes) is Code.BODY_TOO_LARGE


@pytest.mark.parametrize("slice_bytes", [100, SLICE_BYTES])
def test_what_opens_and_closes_leaves_no_depth_behind(slice_bytes: int) -> None:
    tower = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert refusal_of(tower * 200, slice_bytes) is None
    assert refusal_of(tower * 200 + b"[" + tower, slice_bytes) is Code.NESTED_TOO_DEEP
