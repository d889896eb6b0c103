"""How deep and how crowded a JSON text is, told from what stands outside its texts, before anything is made of it.

This holds for what is well-formed; a decoder judges the rest, and stops where it ceases to be.
"""

from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from proxy.errors import Code, Refusal
from proxy.turns import Slices

# A slice takes about a millisecond, whatever is in it.
SLICE_BYTES = 256 * 1024
MAX_DEPTH = 64
# Objects and arrays of one body. Each costs far more time than its bytes, and all callers share that time.
MAX_CONTAINERS = 16_384
# Members at all depths, and texts, names of members among them. Schemas and calls of tools have some thousands.
MAX_NAMED = 65_536
MAX_TEXTS = 131_072
_OUTLINE = b"[]{}:"
_NOT_OUTLINE = bytes(set(range(256)) - set(_OUTLINE))
# As signed bytes, what a character adds to the depth: 1, 0 or -1.
_AS_STEPS = bytes.maketrans(_OUTLINE, b"\x01\xff\x01\xff\x00")


class _Piece(NamedTuple):
    """One slice without its texts: what is left as it stood, and how many quotes there were."""

    outside: bytes
    quotes: int


def is_simple(data: bytes) -> bool:
    """Whether a small body has so few brackets and colons that no bound can be passed, texts counted in or not."""
    return (
        len(data) <= SLICE_BYTES
        and data.count(b"{") + data.count(b"[") <= MAX_DEPTH
        and (len(data) <= MAX_NAMED or data.count(b":") <= MAX_NAMED)
    )


def check_outline(data: bytes, *, slice_bytes: int = SLICE_BYTES) -> Slices[None]:
    """Let pass what is not too deep and not too crowded. Raises: Refusal nested_too_deep, body_too_large."""
    depth = containers = named = quotes = 0
    for piece in _pieces(data, slice_bytes):
        signs = piece.outside.translate(_AS_STEPS, _NOT_OUTLINE)
        steps = array("b", signs.translate(None, b"\x00")[: 2 * MAX_CONTAINERS])
        heights = list(accumulate(steps, initial=depth))
        if max(heights) > MAX_DEPTH:
            raise Refusal(Code.NESTED_TOO_DEEP)
        depth = heights[-1]
        containers += signs.count(b"\x01")
        named += signs.count(b"\x00")
        quotes += piece.quotes
        if containers > MAX_CONTAINERS or named > MAX_NAMED or quotes > 2 * MAX_TEXTS:
            raise Refusal(
                Code.BODY_TOO_LARGE,
                seen=f"It may hold {MAX_CONTAINERS} objects and lists, {MAX_NAMED} members and {MAX_TEXTS} texts.",
            )
        yield


def count_shallow(
    data: bytes, *, deepest: int, most: int, slice_bytes: int = SLICE_BYTES
) -> Slices[None]:
    """Let an answer pass that has few enough members, objects and lists at most so deep, and none too deep.

    Raises: Refusal upstream_nonsense.
    """
    depth = found = 0
    for piece in _pieces(data, slice_bytes):
        steps = array("b", piece.outside.translate(_AS_STEPS, _NOT_OUTLINE))
        heights = list(accumulate(steps, initial=depth))
        found += sum(map(deepest.__ge__, heights))
        depth = heights[-1]
        if found > most or max(heights) > MAX_DEPTH:
            raise Refusal(Code.UPSTREAM_NONSENSE, detail="the answer has too many parts")
        yield


def _pieces(data: bytes, slice_bytes: int) -> Iterator[_Piece]:
    start, is_in_text = 0, False
    while start < len(data):
        slice_ = data[start : start + slice_bytes]
        start += len(slice_)
        if slice_.endswith(b"\\") and (len(slice_) - len(slice_.rstrip(b"\\"))) % 2:
            # What the last one escapes belongs to it.
            slice_ += data[start : start + 1]
            start += 1
        if b"\\" in slice_:
            slice_ = slice_.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Every second part is a text.
        parts = slice_.split(b'"')
        yield _Piece(b"".join(parts[is_in_text::2]), len(parts) - 1)
        is_in_text ^= len(parts) % 2 == 0
