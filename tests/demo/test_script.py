"""Answers are cut at exactly the byte that was asked for."""

from hypothesis import given
from hypothesis import strategies as st

from demo.script import Part, cut_parts, frame_chunk


@given(st.lists(st.binary()), st.integers(min_value=0, max_value=200))
def test_cut_parts_are_the_first_bytes_of_the_whole(pieces: list[bytes], at_byte: int) -> None:
    cut = b"".join(part.data for part in cut_parts(map(Part, pieces), at_byte))
    assert cut == b"".join(pieces)[:at_byte]


def test_chunk_is_framed_with_its_length_in_hexadecimal() -> None:
    assert frame_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
