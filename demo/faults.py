"""Misbehaviour on the wire, each fault a function from a proper answer to a broken one.

Faults of the content (usage left out, broken JSON in an event) are built where the content is, in
chat.py; what stands here breaks the HTTP under it.
"""

import gzip
from collections.abc import Callable, Iterator

from demo.directive import Directive, Fault
from demo.script import (
    EVENT_STREAM,
    JSON,
    LAST_CHUNK,
    Ending,
    Part,
    Script,
    cut_parts,
    frame_chunk,
    write_head,
    write_reply,
)

DRIBBLE_DELAY_S = 0.1
HUGE_PIECE = b'"Latchkey demonstration, huge answer", ' * 1_680
GARBAGE = b"\x00\xff\xfeThis is Latchkey's demonstration of an answer that is not HTTP.\r\n\r\n"

Answer = list[Part]
Breaker = Callable[[Answer, Directive], Script]


def _ended(ending: Ending, default: Callable[[Answer], int]) -> Breaker:
    def end_early(parts: Answer, directive: Directive) -> Script:
        at_byte = default(parts) if directive.at_byte is None else directive.at_byte
        return Script(cut_parts(parts, at_byte), ending)

    return end_early


def _half_of_body(parts: Answer) -> int:
    whole = sum(len(part.data) for part in parts)
    return len(parts[0].data) + (whole - len(parts[0].data)) // 2


def _half_of_head(parts: Answer) -> int:
    return len(parts[0].data) // 2


def _nothing(_parts: Answer) -> int:
    return 0


def _send_garbage(parts: Answer, _directive: Directive) -> Script:
    return Script([Part(GARBAGE, parts[0].delay_s)], Ending.CLOSE)


def _dribble_head(parts: Answer, directive: Directive) -> Script:
    delay_s = directive.chunk_delay_s or DRIBBLE_DELAY_S
    head = [Part(bytes([byte]), delay_s) for byte in parts[0].data]
    return Script([*head, *parts[1:]])


def _huge_pieces(size_bytes: int) -> Iterator[bytes]:
    left = size_bytes
    while left > 0:
        yield HUGE_PIECE[:left]
        left -= len(HUGE_PIECE)


def _send_huge(parts: Answer, directive: Directive) -> Script:
    streaming = EVENT_STREAM.encode() in parts[0].data

    def play() -> Iterator[Part]:
        content_type = EVENT_STREAM if streaming else JSON
        yield Part(write_head(200, content_type, None), parts[0].delay_s)
        if streaming:
            yield Part(frame_chunk(b"data: "))
        for piece in _huge_pieces(directive.size_bytes):
            yield Part(frame_chunk(piece))
        yield Part(LAST_CHUNK)

    return Script(play())


def _send_huge_declared(parts: Answer, directive: Directive) -> Script:
    def play() -> Iterator[Part]:
        yield Part(write_head(200, JSON, directive.size_bytes), parts[0].delay_s)
        yield from map(Part, _huge_pieces(directive.size_bytes))

    return Script(play())


def _redirect(parts: Answer, directive: Directive) -> Script:
    headers = (("location", directive.location),)
    return Script([Part(write_reply(307, b"", headers=headers), parts[0].delay_s)])


def _compress(parts: Answer, _directive: Directive) -> Script:
    body = gzip.compress(b'{"demonstration": "an answer that nobody asked to be compressed"}')
    reply = write_reply(200, body, headers=(("content-encoding", "gzip"),))
    return Script([Part(reply, parts[0].delay_s)])


def _send_html(parts: Answer, _directive: Directive) -> Script:
    page = b"<!doctype html><title>Demonstration</title><p>Latchkey's demonstration upstream.</p>"
    return Script([Part(write_reply(200, page, "text/html; charset=utf-8"), parts[0].delay_s)])


BREAKERS: dict[Fault, Breaker] = {
    Fault.CUT: _ended(Ending.CLOSE, _half_of_body),
    Fault.CUT_HEAD: _ended(Ending.CLOSE, _half_of_head),
    Fault.RESET: _ended(Ending.RESET, _nothing),
    Fault.HANG: _ended(Ending.HANG, _nothing),
    Fault.STALL: _ended(Ending.HANG, _half_of_body),
    Fault.GARBAGE: _send_garbage,
    Fault.SLOW_HEAD: _dribble_head,
    Fault.HUGE: _send_huge,
    Fault.HUGE_DECLARED: _send_huge_declared,
    Fault.REDIRECT: _redirect,
    Fault.GZIP: _compress,
    Fault.HTML: _send_html,
}
