"""An upstream that speaks whatever bytes a test writes, and notices when it is hung up on."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from portal.lib.origin import Origin

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Peer:
    """One accepted connection, seen from the upstream's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def read_request(self) -> bytes:
        """Return one whole request, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head + await self.reader.readexactly(length)

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def wait_closed(self, *, within_s: float = 1.0) -> None:
        """Read until the client has closed; fail where it does not in time."""
        async with asyncio.timeout(within_s):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass
        self.hung_up.set()

    async def see_hung_up(self, *, within_s: float = 1.0) -> None:
        """Return once the script has seen the client close; fail where it does not in time."""
        async with asyncio.timeout(within_s):
            await self.hung_up.wait()


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class RawServer:
    """A listening upstream."""

    port: int
    peers: list[Peer] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    @property
    def origin(self) -> Origin:
        """Where it listens."""
        return Origin("http", "127.0.0.1", self.port)


@asynccontextmanager
async def serve(
    script: Script, *, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Run a script for every connection; its connections end with it, its faults fail the test."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = Peer(reader, writer)
        server.peers.append(peer)
        try:
            await script(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            peer.hung_up.set()
        except asyncio.CancelledError:
            pass
        except BaseException as fault:  # noqa: BLE001 - raised at the server's end.
            server.faults.append(fault)
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=ssl_context)
    server = RawServer(listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        for peer in server.peers:
            peer.writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
    for fault in server.faults:
        raise fault


def answering(*answers: bytes) -> Script:
    """Return a script that answers one request after the other with these bytes, then waits."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.read_request()
            await peer.write(answer)
        await peer.wait_closed(within_s=10)

    return script
