"""A caller's connection: uvicorn's HTTP/1.1, with a way of its own for inference calls and bounds that uvicorn leaves open.

A call to one of the two paths that carry nearly all the load goes from the parser to the fast door and back without ASGI
in between, whose messages, middleware and checks of each header cost as much as all our own steps. Whatever is not
exactly such a request (another path or method, a query, HTTP/1.0, an upgrade) takes uvicorn's way to the same door.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from portal.direct_request import DirectRequest
from proxy.call import POSTED
from proxy.exchange import Answer

# Where the application tells its connections who answers, in the state of ASGI's lifespan.
DOOR = "latchkey.door"
HEAD_BYTES_MAX = 64 * 1024
HEADERS_MAX = 100
# Requests that came before the one ahead of them was answered.
WAITING_MAX = 32
HEAD_TIMEOUT_S = 10.0
LINGER_S = 5.0
LINGER_BYTES_MAX = 8 * 1024 * 1024
# Clocks of event loops are this coarse; a timer that is early by less has fired.
_CLOCK_STEP_S = 0.002
_DIRECT_PATHS = {path.encode(): path for path in POSTED}
_MALFORMED = b"400 Bad Request"
_HEAD_TOO_LARGE = b"431 Request Header Fields Too Large"


class HeadTooLarge(Exception):
    """A head has more headers than anybody needs."""


class TooManyWaiting(Exception):
    """More requests were sent ahead than are kept for one connection."""


class BadHost(Exception):
    """A request needs exactly one Host header (RFC 9112, 3.2)."""


class HttpConnection(HttpToolsProtocol):
    """One connection. uvicorn's server makes it, and tells it of its own end.

    One timer serves a connection: it is moved only when it fires, so that a steady call arms none.
    """

    # uvicorn's own cycle, or a direct request in its place.
    cycle: Any

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door: Answer | None = app_state.get(DOOR)
        self.begun: DirectRequest | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._quiet_until = 0.0
        self._is_begun = False
        self._is_in_head = True
        # Bytes since the last piece of a body, or the last whole request: of a head, a trailer or the framing of chunks.
        self._loose_bytes = 0
        # Nothing more is read; a request that has begun is the last.
        self._is_spent = False
        self._is_lingering = False
        self._passed_over_bytes = 0
        self._is_ending = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._allow_quiet(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)
        if self.begun is not None and not self.begun.response_complete:
            # uvicorn tells the last request alone, which may still wait behind this one.
            self.begun.disconnected = True
            self.begun.set()

    def data_received(self, data: bytes) -> None:
        if self._is_spent:
            self._pass_over(data)
            return
        self._loose_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing here can be upgraded to. The request is answered as any other, and what follows it is not read.
            self._be_spent()
        except httptools.HttpParserError as error:
            is_large = isinstance(error.__context__, HeadTooLarge)
            self._refuse(_HEAD_TOO_LARGE if is_large else _MALFORMED)
        else:
            if self._loose_bytes > HEAD_BYTES_MAX:
                self._refuse(_HEAD_TOO_LARGE if self._is_in_head else _MALFORMED)
            elif self._is_begun and self._is_in_head:
                self._keep_to_quiet_time()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._is_begun = True
        self._quiet_until = self.loop.time() + HEAD_TIMEOUT_S

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_head:
            # A trailer. Nothing may be decided by what comes after the body.
            return
        if len(self.headers) >= HEADERS_MAX:
            raise HeadTooLarge
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= WAITING_MAX:
            raise TooManyWaiting
        self._is_in_head = False
        path = _DIRECT_PATHS.get(self.url)
        parser = self.parser
        if (
            path is None
            or self._door is None
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or parser.should_upgrade()
        ):
            self._go_on_with_asgi()
            return
        before, request = self.cycle, DirectRequest(self, path, self.headers)
        request.keep_alive = not self._is_ending and parser.should_keep_alive()
        self.cycle = request
        if before is None or before.response_complete:
            request.begin(self._door)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((request, self.app))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        self._loose_bytes = 0
        if type(self.cycle) is DirectRequest:
            self.cycle.take(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_in_head, self._is_begun = True, False
        self._loose_bytes = 0
        if type(self.cycle) is DirectRequest:
            self.cycle.take_end()
        else:
            super().on_message_complete()

    # What a request calls.

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self._is_lingering or self.transport.is_closing():
            return
        if not self._is_in_head and not self.pipeline:
            # What comes of a request that is answered already is not waited for without end.
            self.end()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._is_spent:
            self.transport.close()
        else:
            self._allow_quiet(self.timeout_keep_alive)

    def end(self) -> None:
        """Close the connection, whose last answer is written.

        Where the request is still being sent it lingers: closed at once, it would answer what still comes with a reset,
        which takes the answer from the caller.
        """
        if self._is_in_head and not self._is_spent:
            self.transport.close()
            return
        self._is_spent = self._is_lingering = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._allow_quiet(LINGER_S)

    # What the server calls.

    def shutdown(self) -> None:
        if self._is_begun and not self._is_answering:
            self._is_ending = True
        else:
            super().shutdown()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if type(cycle) is DirectRequest and self._door is not None:
            cycle.begin(self._door)
        else:
            super()._start_asgi_task(cycle, app)

    def _unset_keepalive_if_required(self) -> None:
        """Uvicorn arms a timer for each answer; ours serves the whole connection."""

    def _go_on_with_asgi(self) -> None:
        """Let uvicorn begin the request, as if it had collected the head. Raises: BadHost."""
        if sum(name == b"host" for name, _ in self.headers) != 1:
            raise BadHost
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        self.cycle.keep_alive = self.cycle.keep_alive and not self._is_ending
        self.cycle.transport = _PoliteTransport(self)

    def _pass_over(self, data: bytes) -> None:
        self._passed_over_bytes += len(data)
        if self._passed_over_bytes > LINGER_BYTES_MAX:
            self.transport.abort()

    def _allow_quiet(self, seconds: float) -> None:
        """Give the connection up unless a request arrives whole within this time."""
        self._quiet_until = self.loop.time() + seconds
        self._keep_to_quiet_time()

    def _keep_to_quiet_time(self) -> None:
        if self._timer is None or self._timer_at > self._quiet_until:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._quiet_until
        self._timer = self.loop.call_at(self._timer_at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._is_answering:
            # Its end sets the timer again.
            return
        if self._quiet_until - self.loop.time() > _CLOCK_STEP_S:
            self._set_timer()
        else:
            self.transport.abort()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: bytes) -> None:
        """Answer what cannot be read, unless another answer is under way, and read nothing more of this connection."""
        was_in_body = not self._is_in_head
        self._be_spent()
        if self._is_answering:
            if not was_in_body:
                return
            if type(self.cycle) is DirectRequest and not self.cycle.response_started:
                # The door answers it in its turn and its own words, if the caller is known.
                self.cycle.break_off()
                return
            # The request under way is the one that cannot be read.
            is_sent = self.cycle.response_started or bool(self.pipeline)
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if is_sent:
                self.transport.abort()
                return
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status
        )
        self.end()

    def _be_spent(self) -> None:
        self._is_spent = True
        if self.cycle is not None:
            self.cycle.keep_alive = False


class _PoliteTransport:
    """A connection's transport as uvicorn's cycle uses it, except that it closes in a way that keeps the answer."""

    __slots__ = ("_connection", "is_closing", "write")

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        self._connection.end()
