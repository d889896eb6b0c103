"""An upstream's answer as the pipeline reads it: head first, then the body as it arrives."""

import asyncio
from typing import Protocol

from proxy.upstreams.failures import CutOff, UpstreamFailure
from proxy.upstreams.framing import AnswerFraming

# Above this the upstream is no longer read until the reader has taken what there is.
BUFFERED_BYTES_MAX = 64 * 1024


class Carrier(Protocol):
    """The connection, as far as an answer needs it."""

    def abort(self) -> None:
        """Close at once."""

    def resume_body(self) -> None:
        """Read from the upstream again."""


class UpstreamAnswer:
    """Status, headers (names in lower case) and a body; for one reader, on one event loop.

    An answer that is not read to its end must be closed with `aclose`, which ends the exchange
    upstream.
    attempts: 2 where a kept connection had died and the request was sent again on a new one.
    """

    __slots__ = ("_carrier", "_failure", "_waiter", "attempts", "framing", "paused")

    def __init__(self, *, max_body_bytes: int, attempts: int) -> None:
        self.framing = AnswerFraming(max_body_bytes=max_body_bytes)
        self.attempts = attempts
        self.paused = False
        self._carrier: Carrier | None = None
        self._failure: UpstreamFailure | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def status(self) -> int:
        """The final status; 1xx answers are not shown."""
        return self.framing.status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The head's fields in their order; trailers are dropped."""
        return self.framing.headers

    async def read(self) -> bytes:
        """Return what is left of the body. Raises: UpstreamFailure."""
        if self.framing.complete:
            return self.framing.take_body()
        pieces = []
        while (piece := await self.next_chunk()) is not None:
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def next_chunk(self) -> bytes | None:
        """Return what came since the last call, waiting for a byte; None at the body's end.

        What came before a failure is returned before the failure is raised.
        Raises: UpstreamFailure.
        """
        while not self.framing.pieces:
            if self.framing.complete:
                return None
            await self.wait()
        if self.paused and self._carrier is not None:
            self._carrier.resume_body()
        return self.framing.take_body()

    async def aclose(self) -> None:
        """Let go of the answer; an unfinished one's connection is closed at once. Idempotent."""
        if not self.framing.complete and self._failure is None:
            self._failure = CutOff("The answer was closed before its end.")
        self._close_carrier()

    async def wait(self) -> None:
        """Wait for the next event of the exchange; a cancelled wait closes the connection.

        Raises: UpstreamFailure once the exchange has failed.
        """
        if self._failure is not None:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        except BaseException:
            self._close_carrier()
            raise
        finally:
            self._waiter = None

    def attach(self, carrier: Carrier) -> None:
        """Name the connection that carries this answer."""
        self._carrier = carrier

    def detach(self) -> None:
        """Part from the connection: the answer is complete or has failed."""
        self._carrier = None

    def fail(self, failure: UpstreamFailure) -> None:
        """End the exchange with this failure; the first one counts."""
        if self._failure is None and not self.framing.complete:
            self._failure = failure
        self.wake()

    def wake(self) -> None:
        """Let the reader look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _close_carrier(self) -> None:
        if self._carrier is not None:
            self._carrier.abort()
