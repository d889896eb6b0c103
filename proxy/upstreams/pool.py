"""The connections to one origin: which are idle and may be used again, and how many there are."""

import asyncio

from portal.lib.origin import Origin
from proxy.upstreams.connection import Connection
from proxy.upstreams.dialer import Dialer
from proxy.upstreams.failures import ConnectFailed, PoolExhausted

# A connection is given up this long before the upstream says it closes it.
KEEP_ALIVE_MARGIN_S = 1.0


class Pool:
    """Keeps connections that ended an answer cleanly.

    The last one in goes out first, so spare ones age and go.
    """

    def __init__(
        self, origin: Origin, *, dialer: Dialer, max_connections: int, idle_keep_s: float
    ) -> None:
        self.host_header = origin.host_header()
        self._origin = origin
        self._dialer = dialer
        self._max_connections = max_connections
        self._idle_keep_s = idle_keep_s
        self._idle: dict[Connection, None] = {}
        self._open: set[Connection] = set()
        self._dialing = 0
        self._closed = False

    def take_idle(self, *, now: float) -> Connection | None:
        """Return a connection that may be reused, closing those that are too old."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if not connection.closed and now < connection.idle_until:
                return connection
            connection.abort()
        return None

    async def open(self, *, connect_s: float, receive_buffer: memoryview) -> Connection:
        """Return a new connection. Raises: PoolExhausted at once, or as Dialer.dial."""
        if self._closed:
            raise ConnectFailed("The client is closed.")
        if len(self._open) + self._dialing >= self._max_connections:
            raise PoolExhausted(f"All {self._max_connections} connections are in use.")
        loop = asyncio.get_running_loop()
        self._dialing += 1
        try:
            connection = await self._dialer.dial(
                self._origin,
                lambda: Connection(self, loop=loop, receive_buffer=receive_buffer),
                connect_s=connect_s,
            )
        finally:
            self._dialing -= 1
        if self._closed or connection.closed:
            connection.abort()
            raise ConnectFailed("The connection was closed as soon as it stood.")
        self._open.add(connection)
        return connection

    def keep(self, connection: Connection, *, keep_alive_s: float | None) -> float | None:
        """Hold a connection; return the loop's time until when, None where it is to be closed."""
        keep_s = self._idle_keep_s
        if keep_alive_s is not None:
            keep_s = min(keep_s, keep_alive_s - KEEP_ALIVE_MARGIN_S)
        if keep_s <= 0 or self._closed:
            return None
        self._idle[connection] = None
        return asyncio.get_running_loop().time() + keep_s

    def forget(self, connection: Connection) -> None:
        """Drop a closed connection."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def close(self) -> None:
        """Close every connection; exchanges under way end as cut off."""
        self._closed = True
        for connection in list(self._open):
            connection.abort()
