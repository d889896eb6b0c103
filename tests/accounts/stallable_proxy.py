"""A TCP proxy in front of a server on loopback that can stop forwarding, as a network does that loses packets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class StallableProxy:
    """Forwards until it is told to hold; connections made later are forwarded again."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._flows: list[asyncio.Event] = []
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0
        self.holds_new_ones = False

    def stall(self) -> None:
        """Forward nothing more on the connections there are, and close none."""
        for flow in self._flows:
            flow.clear()

    def release(self) -> None:
        self.holds_new_ones = False
        for flow in self._flows:
            flow.set()

    def cut(self) -> None:
        """Reset the connections there are."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        flow = asyncio.Event()
        if not self.holds_new_ones:
            flow.set()
        self._flows.append(flow)
        there_reader, there_writer = await asyncio.open_unix_connection(self._target)
        self._writers += [writer, there_writer]
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(
                _forward(reader, there_writer, flow), _forward(there_reader, writer, flow)
            )
        for one in (writer, there_writer):
            one.transport.abort()


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: asyncio.Event
) -> None:
    while data := await reader.read(65_536):
        await flow.wait()
        writer.write(data)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def stallable_proxy(socket_path: str) -> AsyncIterator[tuple[StallableProxy, int]]:
    """Yield the proxy and the port it listens on."""
    proxy = StallableProxy(socket_path)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    try:
        yield proxy, server.sockets[0].getsockname()[1]
    finally:
        proxy.cut()
        server.close()
