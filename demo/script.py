"""What is sent, as data: parts with a pause before each, and how the connection ends.

Answers and faults are built here as values, and the server only plays them. A part is bytes of the
wire, so that a fault can cut at any byte of the head or of the body.
"""

import time
from collections.abc import Iterable, Iterator
from email.utils import formatdate
from enum import Enum, auto
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

SERVER = "latchkey-demonstration-upstream"
JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"
LAST_CHUNK = b"0\r\n\r\n"

Headers = tuple[tuple[str, str], ...]


class Ending(Enum):
    """What becomes of the connection after the last part."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()
    HANG = auto()


class Part(NamedTuple):
    """Bytes of the wire, sent after a pause."""

    data: bytes
    delay_s: float = 0.0


class Script(NamedTuple):
    """One whole answer."""

    parts: Iterable[Part]
    ending: Ending = Ending.KEEP


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


@lru_cache(maxsize=64)
def _start(status: int, content_type: str) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Demonstration"
    return f"HTTP/1.1 {status} {phrase}\r\nserver: {SERVER}\r\ncontent-type: {content_type}\r\n"


def write_head(
    status: int,
    content_type: str,
    length: int | None,
    headers: Headers = (),
    *,
    chunked: bool = True,
) -> bytes:
    """The status line and headers; without a length the body is chunked, or ends by closing."""
    framing = "transfer-encoding: chunked" if chunked else "connection: close"
    if length is not None:
        framing = f"content-length: {length}"
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers)
    start = _start(status, content_type)
    return f"{start}date: {_date(int(time.time()))}\r\n{extra}{framing}\r\n\r\n".encode("latin-1")


def write_reply(status: int, body: bytes, content_type: str = JSON, headers: Headers = ()) -> bytes:
    """A whole small answer in one piece, ready for the wire."""
    return write_head(status, content_type, len(body), headers) + body


def frame_chunk(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def delay_parts(parts: Iterable[Part], *, delay_s: float, first_byte_s: float) -> Iterator[Part]:
    """Add a pause before the head (the first part) and one before the body's first byte."""
    for number, part in enumerate(parts):
        extra = (delay_s, first_byte_s)[number] if number < 2 else 0.0
        yield Part(part.data, part.delay_s + extra)


def cut_parts(parts: Iterable[Part], at_byte: int) -> Iterator[Part]:
    """The same parts, ended after this many bytes of the wire."""
    left = at_byte
    for part in parts:
        if len(part.data) >= left:
            if left:
                yield Part(part.data[:left], part.delay_s)
            return
        left -= len(part.data)
        yield part
