"""The HTTP/1.1 client of the inference path.

One request goes upstream, its answer passes as it arrives, and every failure is told apart. It
follows no redirect, reads no proxy from the environment, asks for no compression and undoes none.
"""

import asyncio
import ssl

from portal.lib.networks import NetworkPolicy
from portal.lib.origin import Origin
from proxy.upstreams.answer import UpstreamAnswer
from proxy.upstreams.connection import Connection
from proxy.upstreams.dialer import Dialer, Resolve
from proxy.upstreams.failures import ConnectTimeout, CutOff, TotalTimeout
from proxy.upstreams.pool import Pool
from proxy.upstreams.request_head import Headers, HeadStart
from proxy.upstreams.timeouts import Timeouts

__all__ = ["Timeouts", "UpstreamAnswer", "UpstreamClient"]

_RECEIVE_BYTES = 64 * 1024


class UpstreamClient:
    """Connections to every upstream, for one event loop.

    networks: where connections may go. ssl_context: for a private authority; must verify.
    resolve: how names become addresses; the system's resolver by default.
    """

    def __init__(
        self,
        *,
        networks: NetworkPolicy,
        max_connections_per_origin: int = 10_000,
        idle_keep_s: float = 4.0,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._dialer = Dialer(networks=networks, ssl_context=ssl_context, resolve=resolve)
        self._max_connections = max_connections_per_origin
        self._idle_keep_s = idle_keep_s
        self._pools: dict[Origin, Pool] = {}
        # An event loop reads one connection at a time, and each read is parsed before the next.
        self._receive_buffer = memoryview(bytearray(_RECEIVE_BYTES))
        self._closed = False

    async def send(
        self,
        origin: Origin,
        *,
        start: HeadStart,
        headers: Headers,
        body: bytes,
        timeouts: Timeouts,
        max_body_bytes: int,
    ) -> UpstreamAnswer:
        """Send a request and return the answer as soon as its head is there.

        start: made for this origin's host.
        Cancelled, it closes the connection at once. A kept connection that dies before the first
        byte of an answer is replaced by a new one, once; nothing else is ever sent twice.
        Raises: UpstreamFailure; ValueError for a request that would not be one, before any byte is
        sent.
        """
        if self._closed:
            raise RuntimeError("The upstream client is closed.")
        pool = self._pool(origin)
        head = start.complete(headers, body_bytes=len(body))
        now = asyncio.get_running_loop().time()
        total_at = now + timeouts.total_s
        attempts = 1
        connection = pool.take_idle(now=now)
        if connection is not None:
            answer = UpstreamAnswer(max_body_bytes=max_body_bytes, attempts=attempts)
            try:
                await connection.exchange(answer, head, body, timeouts=timeouts, total_at=total_at)
            except CutOff:
                if answer.framing.started:
                    raise
                attempts = 2
            else:
                return answer
        connection = await self._open(pool, timeouts=timeouts, total_at=total_at)
        answer = UpstreamAnswer(max_body_bytes=max_body_bytes, attempts=attempts)
        await connection.exchange(answer, head, body, timeouts=timeouts, total_at=total_at)
        return answer

    async def aclose(self) -> None:
        """Close every connection; exchanges under way end as CutOff."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()
        # Sockets are closed in the loop's next round.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(
                origin,
                dialer=self._dialer,
                max_connections=self._max_connections,
                idle_keep_s=self._idle_keep_s,
            )
        return pool

    async def _open(self, pool: Pool, *, timeouts: Timeouts, total_at: float) -> Connection:
        left_s = total_at - asyncio.get_running_loop().time()
        try:
            return await pool.open(
                connect_s=min(timeouts.connect_s, left_s), receive_buffer=self._receive_buffer
            )
        except ConnectTimeout:
            if left_s < timeouts.connect_s:
                raise TotalTimeout(
                    f"The exchange took longer than {timeouts.total_s:g} s."
                ) from None
            raise
