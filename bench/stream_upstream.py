"""An upstream that answers every call with one fixed stream, event by event with a pause between them.

It runs as `python -m bench.stream_upstream --port N`. Written on bare asyncio, because it shares a core with the load.
"""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.fixed_upstream import Upstream
from bench.processes import find_free_port, start, wait_until_answering

EVENTS = 20
PAUSE_S = 0.002
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST_CHUNK = b"\r\n0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _write_frames() -> list[bytes]:
    """The stream's chunks, the first with the head and the last with the end."""
    events: list[dict[str, Any]] = [
        {"delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        *({"delta": {"content": f" word{n}"}, "finish_reason": None} for n in range(EVENTS)),
        {"delta": {}, "finish_reason": "stop"},
    ]
    common = {
        "id": "chatcmpl-stream-fixed",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": "demo-chat",
    }
    usage = {"prompt_tokens": 120, "completion_tokens": EVENTS, "total_tokens": 120 + EVENTS}
    said = [json.dumps(common | {"choices": [{"index": 0} | event]}) for event in events]
    said += [json.dumps(common | {"choices": [], "usage": usage}), "[DONE]"]
    frames = [_frame(f"data: {text}\n\n".encode()) for text in said]
    return [HEAD + frames[0], *frames[1:-1], frames[-1] + b"0\r\n\r\n"]


def _frame(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


FRAMES = _write_frames()


class _Caller(asyncio.Protocol):
    """One connection; a request is answered once its body is there."""

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none by their class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        if head.startswith(b"GET"):
            self._received = b""
            self._transport.write(HEALTHY)
        elif self._is_whole(head, body):
            self._received = b""
            self._send(0)

    @staticmethod
    def _is_whole(head: bytes, body: bytes) -> bool:
        length = _LENGTH.search(head)
        # Portkey sends its bodies in chunks.
        return body.endswith(LAST_CHUNK) if length is None else len(body) >= int(length[1])

    def _send(self, number: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(FRAMES[number])
        if number + 1 < len(FRAMES):
            self._loop.call_later(PAUSE_S, self._send, number + 1)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Caller(loop), "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


@contextmanager
def start_stream_upstream(folder: Path, *, core: int | None) -> Iterator[Upstream]:
    """Run it on a core."""
    port = find_free_port()
    command = [sys.executable, "-m", "bench.stream_upstream", "--port", str(port)]
    tree = Path(__file__).resolve().parent.parent
    with start(command, log=folder / "stream-upstream.log", core=core, folder=tree) as process:
        wait_until_answering(process, f"http://127.0.0.1:{port}/", timeout_s=20)
        yield Upstream(port, process)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m bench.stream_upstream")
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
