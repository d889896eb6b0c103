"""From an answer to what is sent: pauses, wanted errors and faults, as the directive says."""

from collections.abc import Iterable, Iterator

from demo.directive import ORDINARY, Directive, Fault
from demo.envelope import Refusal
from demo.faults import BREAKERS
from demo.script import (
    EVENT_STREAM,
    LAST_CHUNK,
    Ending,
    Headers,
    Part,
    Script,
    delay_parts,
    frame_chunk,
    write_head,
    write_reply,
)

HEAD_END = b"\r\n\r\n"


def write_wanted_error(directive: Directive, received: dict[str, str]) -> bytes | None:
    """The error that a directive asks for, or None; `leak_key` names the credential received."""
    headers: Headers = (("retry-after", directive.retry_after),) if directive.retry_after else ()
    if directive.fault is Fault.LEAK_KEY:
        bearer = received.get("authorization", "Bearer none")
        leak = (("x-upstream-key", bearer), ("set-cookie", f"upstream={bearer[7:]}; Path=/"))
        refusal = Refusal(directive.status or 500, f"Failed with the credential {bearer}.")
        return write_reply(refusal.status, refusal.encode(), headers=(*headers, *leak))
    if directive.status is None:
        return None
    refusal = Refusal(directive.status, f"Status {directive.status}, as the request asked.")
    return write_reply(refusal.status, refusal.encode(), headers=headers)


def send_reply(reply: bytes, directive: Directive) -> bytes | Script:
    """A whole answer: as it is, or slowed and broken by a directive."""
    if directive is ORDINARY:
        return reply
    head, _, body = reply.partition(HEAD_END)
    return _perform([Part(head + HEAD_END), Part(body)], Ending.KEEP, directive)


def stream_events(
    events: Iterable[tuple[bytes, bool]], directive: Directive, *, chunked: bool, headers: Headers
) -> Script:
    """A streamed answer: chunked, or for an HTTP/1.0 client ended by closing."""
    parts = _write_stream(events, directive.chunk_delay_s, chunked=chunked, headers=headers)
    return _perform(parts, Ending.KEEP if chunked else Ending.CLOSE, directive)


def _write_stream(
    events: Iterable[tuple[bytes, bool]], chunk_delay_s: float, *, chunked: bool, headers: Headers
) -> Iterator[Part]:
    yield Part(write_head(200, EVENT_STREAM, None, headers, chunked=chunked))
    for event, delayed in events:
        yield Part(frame_chunk(event) if chunked else event, chunk_delay_s if delayed else 0.0)
    if chunked:
        yield Part(LAST_CHUNK)


def _perform(parts: Iterable[Part], ending: Ending, directive: Directive) -> Script:
    if directive is ORDINARY:
        return Script(parts, ending)
    delayed = delay_parts(parts, delay_s=directive.delay_s, first_byte_s=directive.first_byte_s)
    breaker = BREAKERS.get(directive.fault) if directive.fault else None
    return breaker(list(delayed), directive) if breaker else Script(delayed, ending)
