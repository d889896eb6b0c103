import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstreams.sse import EventReader, EventTooLarge

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text(alphabet='ab:{}" é\u2028', max_size=8).map(str.encode)
LINES = st.one_of(
    TEXT.map(lambda text: b"data: " + text),
    TEXT.map(lambda text: b"data:" + text),
    TEXT.map(lambda text: b": " + text),
    TEXT.map(lambda text: b"id: " + text),
)


def read(pieces: list[bytes]) -> list[bytes]:
    reader = EventReader(max_event_bytes=1000)
    return [data for piece in pieces for data in reader.feed(piece)]


@given(st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=5), LINE_ENDS, st.data())
def test_events_are_the_same_however_their_bytes_were_split(
    events: list[list[bytes]], end: bytes, data: st.DataObject
) -> None:
    whole = b"".join(end.join(lines) + end + end for lines in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [
        whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True)
    ]
    expected = [
        b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
        for lines in events
        if any(line.startswith(b"data:") for line in lines)
    ]

    assert read(pieces) == expected
    assert read([bytes([byte]) for byte in whole]) == expected


def test_an_event_without_an_end_is_given_up() -> None:
    reader = EventReader(max_event_bytes=100)
    with pytest.raises(EventTooLarge):
        for _ in range(200):
            reader.feed(b"a")


def test_an_event_that_comes_in_tiny_pieces_is_not_read_anew_each_time() -> None:
    reader = EventReader(max_event_bytes=4_000_000)
    started = time.thread_time()
    for _ in range(20_000):
        assert reader.feed(b"x" * 100) == []
    assert time.thread_time() - started < 1.0
