"""One inference call on its way between a caller's connection and the fast door, with nothing in between."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from proxy.errors import Code, Refusal
from proxy.exchange import Answer, Headers, RawHeaders

if TYPE_CHECKING:
    from portal.http_connection import HttpConnection

# A transport takes one piece at once, however large: what a caller does not read is to stay with us and be given up.
PIECE_BYTES = 256 * 1024
_CLOSE = (b"connection", b"close")
_LINE_END = b"\r\n"


class DirectRequest:
    """The door reads the request here and answers into it; to uvicorn's protocol it is a request-response cycle.

    An answer whose length is not announced goes out in chunks.
    """

    __slots__ = (
        "_connection", "_expects_continue", "_flow", "_held_bytes", "_is_broken", "_is_whole", "_may_hold_bytes", "_pieces",
        "_task", "_tell", "_transport", "_waiter", "disconnected", "headers", "keep_alive", "path",
        "response_complete", "response_started", "writing_since_ns",
    )  # fmt: skip

    method = "POST"
    query = b""

    def __init__(self, connection: "HttpConnection", path: str, headers: RawHeaders) -> None:
        self.path = path
        self.headers = headers
        self.writing_since_ns = 0
        self.keep_alive = True
        self.response_started = False
        self.response_complete = False
        self.disconnected = False
        self._connection = connection
        self._transport = connection.transport
        self._flow = connection.flow
        self._task: asyncio.Task[None] | None = None
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        # Before the caller is known no more than one read's worth is held.
        self._may_hold_bytes = HIGH_WATER_LIMIT
        self._is_whole = False
        self._is_broken = False
        self._expects_continue = connection.expect_100_continue
        self._waiter: asyncio.Future[None] | None = None
        self._tell: Callable[[], None] | None = None

    @property
    def connection(self) -> str:
        client = self._connection.client
        return client[0] if client is not None else ""

    @property
    def is_started(self) -> bool:
        return self.response_started

    # What the connection calls.

    def begin(self, answer: Answer) -> None:
        """Let the door answer, in a task of its own."""
        self._connection.begun = self
        self._task = self._connection.loop.create_task(self._run(answer))

    def take(self, piece: bytes) -> None:
        """Take a piece of the body; after the answer it is only passed over."""
        if self.response_complete:
            return
        self._held_bytes += len(piece)
        self._pieces.append(piece)
        if self._held_bytes > self._may_hold_bytes:
            self._flow.pause_reading()
        self._wake()

    def take_end(self) -> None:
        """The body is whole."""
        self._is_whole = True
        self._wake()

    def break_off(self) -> None:
        """What comes of the body cannot be read as anything."""
        self._is_broken = True
        self._wake()

    @property
    def message_event(self) -> "DirectRequest":
        """What uvicorn's protocol sets when the connection is lost."""
        return self

    def set(self) -> None:
        """The connection is lost, or can no longer be read."""
        if not self.disconnected:
            return
        self._wake()
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()

    # What the door calls.

    async def read_body(self, *, max_bytes: int, take: Callable[[int], None]) -> bytes | None:
        """Return the body, or None as soon as it is larger.

        Raises: Refusal client_gone, malformed_request, and whatever `take` raises.
        """
        if not self._is_whole:
            await self._rest_of_body(max_bytes, take)
        # Also where all of it was there: a connection that is not read hears of no hang-up.
        self._flow.resume_reading()
        if self.disconnected:
            raise Refusal(Code.CLIENT_GONE)
        if self._is_broken:
            raise Refusal(Code.MALFORMED_REQUEST, seen="Its body is not in whole chunks.")
        pieces = self._pieces
        self._pieces = []
        if self._held_bytes > max_bytes:
            return None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def on_hang_up(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self.set()

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        if self.disconnected:
            return
        self.response_started = True
        head = self._encode_head(status, headers, b"content-length: %d\r\n" % len(body))
        if len(body) > PIECE_BYTES:
            body = await self._write_but_last(head, body)
            head = b""
        # In one write, as each is a packet and a call into the kernel.
        self._end(head + body)

    async def start(self, status: int, headers: Headers) -> None:
        if self.disconnected:
            return
        self.response_started = True
        self._transport.write(self._encode_head(status, headers, b"transfer-encoding: chunked\r\n"))

    async def write(self, chunk: bytes) -> None:
        if chunk:
            await self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    async def finish(self, last: bytes = b"") -> None:
        await self.write(last)
        self._end(b"0\r\n\r\n")

    async def _write(self, data: bytes) -> None:
        """Write, and wait for the caller to read where much was not read yet."""
        if self.disconnected:
            return
        self._transport.write(data)
        if self._flow.write_paused:
            self.writing_since_ns = time.perf_counter_ns()
            await self._flow.drain()
            self.writing_since_ns = 0

    async def _write_but_last(self, head: bytes, body: bytes) -> bytes:
        """Write a large body in pieces, and return the one that remains."""
        await self._write(head)
        last_at = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES
        for start in range(0, last_at, PIECE_BYTES):
            await self._write(body[start : start + PIECE_BYTES])
        return body[last_at:]

    def _end(self, last: bytes) -> None:
        """Write the last bytes; the connection is free for its next request."""
        self._tell = None
        if self.disconnected:
            return
        self._transport.write(last)
        self.response_complete = True
        if not self.keep_alive:
            self._connection.end()
        self._connection.on_response_complete()

    async def _run(self, answer: Answer) -> None:
        try:
            await answer(self)
        finally:
            self._tell = None
            self._pieces = []
            if not self.response_complete:
                # The caller must not take what was sent for the whole answer.
                self._transport.abort()

    async def _rest_of_body(self, max_bytes: int, take: Callable[[int], None]) -> None:
        self._may_hold_bytes = max_bytes
        self._flow.resume_reading()
        if self._expects_continue and not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        told_bytes = 0
        while not (self._has_ended or self._held_bytes > max_bytes):
            if self._held_bytes > told_bytes:
                take(self._held_bytes - told_bytes)
                told_bytes = self._held_bytes
            self._waiter = self._connection.loop.create_future()
            await self._waiter

    @property
    def _has_ended(self) -> bool:
        """Whether nothing more will come of the body."""
        return self._is_whole or self._is_broken or self.disconnected

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _encode_head(self, status: int, headers: Headers, framing: bytes) -> bytes:
        """Return the head's bytes. Raises: ValueError where a value would end a line."""
        fields = [*self._connection.server_state.default_headers, *headers]
        if _CLOSE in headers:
            self.keep_alive = False
        elif not self._is_whole:
            # The rest of the body is not read as anything.
            self.keep_alive = False
            fields.append(_CLOSE)
        elif not self.keep_alive:
            fields.append(_CLOSE)
        lines = _LINE_END.join([*map(b": ".join, fields), b""])
        # Each field ends in two signs; what else of them there is came with a value.
        if len(lines) - len(lines.translate(None, _LINE_END)) != 2 * len(fields):
            raise ValueError("A header's value holds a line end.")
        return b"%b%b%b\r\n" % (STATUS_LINE[status], lines, framing)
