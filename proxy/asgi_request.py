"""A request from any ASGI server, as the fast door takes it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from proxy.errors import Code, Refusal
from proxy.exchange import Headers, RawHeaders

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

# A server takes one piece at once, however large: what a caller does not read is to stay with us and be given up.
PIECE_BYTES = 256 * 1024


class AsgiRequest:
    """Reads a request from the ASGI server, sends the answer to it, and hears when the caller hangs up."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: RawHeaders = scope["headers"]
        self.connection: str = scope["client"][0] if scope.get("client") else ""
        self.is_started = False
        self.writing_since_ns = 0
        self._receive = receive
        self._send = send
        self._watch: asyncio.Task[None] | None = None

    async def read_body(self, *, max_bytes: int, take: Callable[[int], None]) -> bytes | None:
        """Return the body, or None as soon as it is larger. Raises: Refusal client_gone, and whatever `take` raises."""
        chunks, total, is_more = [], 0, True
        while is_more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Refusal(Code.CLIENT_GONE)
            chunks.append(message.get("body", b""))
            total += len(chunks[-1])
            if total > max_bytes:
                return None
            is_more = message.get("more_body", False)
            if is_more:
                take(len(chunks[-1]))
        return b"".join(chunks)

    def on_hang_up(self, tell: Callable[[], None]) -> None:
        self._watch = asyncio.ensure_future(self._await_hang_up(tell))

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.finish(body)

    async def start(self, status: int, headers: Headers) -> None:
        self.is_started = True
        await self._send_timed(
            {"type": "http.response.start", "status": status, "headers": headers}
        )

    async def write(self, chunk: bytes) -> None:
        await self._send_timed({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self, last: bytes = b"") -> None:
        self.stop_watching()
        if len(last) > PIECE_BYTES:
            last = await self._write_but_last(last)
        await self._send_timed({"type": "http.response.body", "body": last, "more_body": False})

    def stop_watching(self) -> None:
        """Wait for no hang-up any more. Idempotent."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _send_timed(self, message: Mapping[str, Any]) -> None:
        self.writing_since_ns = time.perf_counter_ns()
        await self._send(message)
        self.writing_since_ns = 0

    async def _write_but_last(self, body: bytes) -> bytes:
        """Write a large body in pieces, and return the one that remains."""
        last_at = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES
        for start in range(0, last_at, PIECE_BYTES):
            await self.write(body[start : start + PIECE_BYTES])
        return body[last_at:]

    async def _await_hang_up(self, tell: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        tell()
