"""The demonstration's HTTP server: connections in, one answer at a time out, in order."""

import asyncio
import socket
import struct
import sys
from collections import deque
from typing import cast

import httptools

from demo.application import Application, Reply, Request
from demo.counts import Outcome
from demo.envelope import Refusal
from demo.script import Ending, Script, write_reply

MAXIMUM_BODY_BYTES = 64 * 1024 * 1024
WAITING_REQUESTS = 16
FLUSH_S = 0.05
# l_onoff and l_linger: closing sends RST instead of FIN.
LINGER_NOT = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """One client's connection. A script that waits runs as a task, which ends with the client."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._playing: asyncio.Task[None] | None = None
        self._reply: Reply | None = None
        self._writable: asyncio.Event | None = None
        self._closing = False
        self._clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        # uvloop's transports do not inherit from asyncio's, so a check at run time would fail.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop playing: whoever asked has left."""
        self._closing = True
        if self._writable:
            self._writable.set()
        if self._playing:
            self._playing.cancel()
        if self._reply and self._reply.call:
            self._reply.call.end(Outcome.CLIENT_LEFT)

    def pause_writing(self) -> None:
        """Hold the script back while the client does not read."""
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Let the script go on."""
        if self._writable:
            self._writable.set()
        self._writable = None

    def data_received(self, data: bytes) -> None:
        """Read requests; what is not HTTP is refused and the connection closed."""
        if self._closing:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(Refusal(400, "An upgrade was asked for; this server has none."))
        except httptools.HttpParserError as error:
            self._refuse(Refusal(400, f"The request is not HTTP: {error}."))

    def on_url(self, url: bytes) -> None:
        """Part of the request's target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; a repeated one is joined to the first."""
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """Invite a body that waits to be invited."""
        if "expect" in self._headers:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Part of the body, up to a limit."""
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > MAXIMUM_BODY_BYTES:
            limit = MAXIMUM_BODY_BYTES
            self._refuse(Refusal(413, f"The body is over this server's {limit} bytes."))

    def on_message_complete(self) -> None:
        """Queue the whole request and answer it as soon as its turn comes."""
        if self._closing:
            return
        request = Request(
            self._parser.get_method().decode("latin-1"),
            self._target.decode("latin-1"),
            self._parser.get_http_version(),
            self._headers,
            b"".join(self._body),
        )
        self._waiting.append((request, self._parser.should_keep_alive()))
        self._clear()
        self._answer_waiting()

    def _clear(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0

    def _answer_waiting(self) -> None:
        while self._waiting and not self._playing and not self._closing:
            request, keep_alive = self._waiting.popleft()
            reply = self._application.answer(request)
            if isinstance(reply.wire, bytes) and self._writable is None:
                self._transport.write(reply.wire)
                self._finish(reply, keep_alive=keep_alive)
            else:
                self._reply = reply
                self._playing = asyncio.create_task(self._play(reply, keep_alive=keep_alive))
                self._playing.add_done_callback(_report_failure)
        if len(self._waiting) > WAITING_REQUESTS:
            self._refuse(Refusal(429, "Too many requests wait on this connection."))

    async def _play(self, reply: Reply, *, keep_alive: bool) -> None:
        if isinstance(reply.wire, bytes):
            await self._send(reply.wire)
            ending = Ending.KEEP
        else:
            ending = await self._play_script(reply.wire)
        if ending is Ending.RESET:
            # abort() throws away what is still buffered, so the parts before it get time to leave.
            await asyncio.sleep(FLUSH_S)
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT
            )
            self._transport.abort()
        self._playing = self._reply = None
        self._finish(reply, keep_alive=keep_alive and ending is Ending.KEEP)
        self._answer_waiting()

    async def _play_script(self, script: Script) -> Ending:
        for part in script.parts:
            if part.delay_s:
                await asyncio.sleep(part.delay_s)
            await self._send(part.data)
        if script.ending is Ending.HANG:
            await asyncio.Event().wait()
        return script.ending

    async def _send(self, data: bytes) -> None:
        while self._writable and not self._closing:
            await self._writable.wait()
        self._transport.write(data)

    def _finish(self, reply: Reply, *, keep_alive: bool) -> None:
        if reply.call:
            reply.call.end(Outcome.ANSWERED)
        if not keep_alive:
            self._closing = True
            self._transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        self._closing = True
        if not self._playing:
            self._transport.write(write_reply(refusal.status, refusal.encode()))
        self._transport.close()


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        print(f"demonstration upstream: an answer failed: {error!r}", file=sys.stderr, flush=True)
