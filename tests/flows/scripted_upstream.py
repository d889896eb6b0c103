"""An upstream that speaks whatever bytes a test wrote, and notices when it is hung up on.

A call finds its script by a marker in its body, so one listener serves every test of a worker.
"""

import asyncio
import contextlib
import re
import secrets
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

MARKER = re.compile(rb"play-[0-9a-f]{16}")
_HANGS_AT_MOST_S = 30.0


class Ending(Enum):
    """What the upstream does after its last byte."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


@dataclass
class Script:
    """What is said, when, and what was heard. A number among the pieces is a pause in seconds, an event is waited for."""

    pieces: Sequence[bytes | float | threading.Event]
    ending: Ending
    marker: str = field(default_factory=lambda: f"play-{secrets.token_hex(8)}")
    requests: list[bytes] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)


class ScriptedUpstream:
    """Listens on a thread of its own."""

    def __init__(self) -> None:
        self.port = 0
        self._scripts: dict[str, Script] = {}
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """Where a provider is pointed."""
        return f"http://127.0.0.1:{self.port}/v1"

    def play(
        self, *pieces: bytes | float | threading.Event, ending: Ending = Ending.CLOSE
    ) -> Script:
        """Get ready for one call or more whose body holds the script's marker."""
        script = Script(pieces, ending)
        self._scripts[script.marker] = script
        return script

    @contextmanager
    def listening(self) -> Iterator["ScriptedUpstream"]:
        """Serve until the end of the block."""
        started = threading.Event()
        thread = threading.Thread(target=self._serve, args=(started,))
        thread.start()
        assert started.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        listener = self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        )
        self.port = listener.sockets[0].getsockname()[1]
        self._loop.call_soon(started.set)
        self._loop.run_forever()
        listener.close()
        for task in list(self._tasks):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, TimeoutError
        ):
            while await self._play_one(reader, writer):
                pass
        writer.transport.abort()

    async def _play_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read_request(reader)
        found = MARKER.search(request)
        script = self._scripts[found[0].decode()] if found else Script([], Ending.CLOSE)
        script.requests.append(request)
        listening = asyncio.ensure_future(self._listen(reader, script))
        try:
            for piece in script.pieces:
                await _say(piece, writer)
            if script.ending is Ending.HANG:
                await asyncio.wait([listening], timeout=_HANGS_AT_MOST_S)
        finally:
            listening.cancel()
        if script.ending is Ending.CLOSE:
            writer.close()
            await writer.wait_closed()
        elif script.ending is Ending.RESET:
            endpoint = writer.get_extra_info("socket")
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return script.ending is Ending.KEEP

    async def _listen(self, reader: asyncio.StreamReader, script: Script) -> None:
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                if not await reader.read(1):
                    break
        script.hung_up.set()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


async def _say(piece: bytes | float | threading.Event, writer: asyncio.StreamWriter) -> None:
    if isinstance(piece, bytes):
        writer.write(piece)
        await writer.drain()
    elif isinstance(piece, threading.Event):
        async with asyncio.timeout(_HANGS_AT_MOST_S):
            # An event of another thread cannot be awaited.
            while not piece.is_set():
                await asyncio.sleep(0.002)
    else:
        await asyncio.sleep(piece)
