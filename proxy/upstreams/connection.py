"""One connection to an upstream, which carries one exchange at a time.

Its life: connection_made → (exchange → kept by its owner)* → connection_lost.
One timer serves all of a connection's deadlines; it is moved only when a deadline comes closer, so
a steady call arms none.
"""

import asyncio
import ssl
from typing import Protocol, cast

from proxy.upstreams.answer import BUFFERED_BYTES_MAX, UpstreamAnswer
from proxy.upstreams.failures import (
    CutOff,
    FirstByteTimeout,
    IdleTimeout,
    TotalTimeout,
    UpstreamFailure,
)
from proxy.upstreams.timeouts import Timeouts

# Bodies up to this length leave in one write with their head.
SLICE_BYTES = 64 * 1024
# Clocks of event loops are this coarse; a timer that is early by less has fired.
_CLOCK_STEP_S = 0.002


class Owner(Protocol):
    """The pool, as far as a connection needs it."""

    def keep(self, connection: "Connection", *, keep_alive_s: float | None) -> float | None:
        """Take back a connection that may be reused; return until when, None to close it."""

    def forget(self, connection: "Connection") -> None:
        """Drop a connection that is closed."""


class Connection(asyncio.BufferedProtocol):
    """An asyncio protocol that reads into a buffer shared by all connections of one event loop."""

    __slots__ = (
        "_answer",
        "_closed",
        "_deadline_at",
        "_loop",
        "_owner",
        "_receive_buffer",
        "_sending",
        "_timeouts",
        "_timer",
        "_timer_at",
        "_tls",
        "_total_at",
        "_transport",
        "_writing_paused",
        "idle_until",
    )

    def __init__(
        self, owner: Owner, *, loop: asyncio.AbstractEventLoop, receive_buffer: memoryview
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._receive_buffer = receive_buffer
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._answer: UpstreamAnswer | None = None
        self._timeouts = Timeouts()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._deadline_at = 0.0
        self._total_at = 0.0
        self._sending = False
        self._writing_paused = False
        self._closed = False
        self.idle_until = 0.0

    @property
    def closed(self) -> bool:
        """Whether this connection can carry nothing any more."""
        return self._closed or self._transport is None or self._transport.is_closing()

    async def exchange(
        self,
        answer: UpstreamAnswer,
        head: bytes,
        body: bytes,
        *,
        timeouts: Timeouts,
        total_at: float,
    ) -> None:
        """Send a request and return when the answer's head is there; cancelled, close at once.

        total_at: the loop's time at which everything ends. Raises: UpstreamFailure.
        """
        if self.closed:
            raise CutOff("The connection was closed before its use.")
        self._answer = answer
        self._timeouts = timeouts
        self._total_at = total_at
        answer.attach(self)
        self._set_deadline(timeouts.first_byte_s)
        try:
            if len(body) <= SLICE_BYTES:
                self._write(head + body)
            else:
                await self._send_large(answer, head, body)
            while not answer.framing.head_complete:
                await answer.wait()
        except BaseException:
            # Complete just before the cancellation, this connection may already carry another's.
            if self._answer is answer:
                self.abort()
            raise

    def abort(self) -> None:
        """Close at once; what is unsent or unread is lost. Idempotent."""
        self._close(CutOff("The connection was closed on our side."))

    def resume_body(self) -> None:
        """Read from the upstream again, and count its idle time from here."""
        answer, transport = self._answer, self._transport
        if answer is None or transport is None or not answer.paused:
            return
        answer.paused = False
        self._set_deadline(self._timeouts.idle_s)
        transport.resume_reading()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface without the class.
        self._transport = cast(asyncio.Transport, transport)
        self._tls = transport.get_extra_info("ssl_object")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        answer = self._answer
        if answer is None:
            # Nobody asked: whatever this is, the next answer must not begin with it.
            self.abort()
            return
        framing = answer.framing
        try:
            framing.feed(self._receive_buffer[:nbytes])
        except UpstreamFailure as failure:
            self._close(failure)
            return
        if framing.complete:
            self._finish(answer)
        elif framing.head_complete:
            self._keep_reading(answer)

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self._end()
        else:
            self._close(CutOff(f"The connection broke: {type(exc).__name__}."))
        self._transport = None

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._answer is not None:
            self._answer.wake()

    # Sending.

    async def _send_large(self, answer: UpstreamAnswer, head: bytes, body: bytes) -> None:
        self._sending = True
        view = memoryview(body)
        self._write(head + view[:SLICE_BYTES])
        for start in range(SLICE_BYTES, len(body), SLICE_BYTES):
            while self._writing_paused and not answer.framing.head_complete:
                await answer.wait()
            if answer.framing.head_complete:
                # The upstream has decided without the rest (413, 401); the connection is spent.
                return
            self._set_deadline(self._timeouts.first_byte_s)
            self._write(view[start : start + SLICE_BYTES])
        self._sending = False

    def _write(self, data: bytes | memoryview) -> None:
        if self._transport is not None:
            self._transport.write(data)

    # Receiving.

    def _keep_reading(self, answer: UpstreamAnswer) -> None:
        if answer.framing.pieces_bytes > BUFFERED_BYTES_MAX and not answer.paused:
            answer.paused = True
            if self._transport is not None:
                self._transport.pause_reading()
            # Our reader is slow, not the upstream: only the whole exchange's time counts.
            self._deadline_at = self._total_at
        elif not answer.paused:
            self._set_deadline(self._timeouts.idle_s)
        answer.wake()

    def _finish(self, answer: UpstreamAnswer) -> None:
        """Part from a complete answer; keep the connection if nothing speaks against it."""
        transport = self._transport
        self._answer = None
        answer.detach()
        answer.wake()
        if (
            not answer.framing.ended_cleanly
            or self._sending
            or transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size()
        ):
            self.abort()
            return
        if answer.paused:
            answer.paused = False
            transport.resume_reading()
        idle_until = self._owner.keep(self, keep_alive_s=answer.framing.keep_alive_s())
        if idle_until is None:
            self.abort()
        else:
            self.idle_until = idle_until
            self._move_deadline(idle_until)

    def _end(self) -> None:
        """Take the end of the upstream's bytes, which may be the end of the body as well."""
        answer = self._answer
        if answer is None:
            self.abort()
            return
        try:
            if answer.framing.until_close and not self._ended_by_tls():
                raise CutOff("TCP ended before TLS did, so the body may be cut short.")
            answer.framing.end()
        except CutOff as failure:
            self._close(failure)
        else:
            self._finish(answer)

    def _ended_by_tls(self) -> bool:
        """Say whether the end of the bytes is signed; plain HTTP has no such thing.

        Event loops report a signed close and a cut wire alike, but the TLS object still knows.
        """
        if self._tls is None:
            return True
        try:
            return self._tls.read(1) == b""
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:
            return False

    def _close(self, failure: UpstreamFailure) -> None:
        if self._closed:
            return
        self._closed = True
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._owner.forget(self)
        if answer is not None:
            answer.detach()
            answer.fail(failure)

    # Time.

    def _set_deadline(self, after_s: float) -> None:
        self._move_deadline(min(self._loop.time() + after_s, self._total_at))

    def _move_deadline(self, at: float) -> None:
        self._deadline_at = at
        if self._timer is None or self._timer_at > at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline_at - self._loop.time() > _CLOCK_STEP_S:
            self._move_deadline(self._deadline_at)
        else:
            self._close(self._name_timeout())

    def _name_timeout(self) -> UpstreamFailure:
        answer, timeouts = self._answer, self._timeouts
        if answer is None:
            return CutOff("The connection was idle for long enough.")
        if self._deadline_at >= self._total_at:
            return TotalTimeout(f"The exchange took longer than {timeouts.total_s:g} s.")
        if not answer.framing.head_complete:
            return FirstByteTimeout(f"No answer began within {timeouts.first_byte_s:g} s.")
        return IdleTimeout(f"The answer stood still for {timeouts.idle_s:g} s.")
