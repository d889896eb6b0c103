"""One call that a thread hands to the loop: the ASGI conversation with the fast door, carried between the two."""

import asyncio
import queue
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from django.http import HttpRequest

from proxy.api.background import BackgroundDoor
from proxy.asgi_request import AsgiRequest

PIECE_BYTES = 64 * 1024
# What the server in front decides for itself, and WSGI forbids an application to send.
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
Message = Mapping[str, Any]


class CarriedCall:
    """The request is read when the pipeline asks for its body; the answer comes piece by piece, as fast as it is taken."""

    def __init__(self, background: BackgroundDoor, request: HttpRequest) -> None:
        self._loop = background.loop
        self._request = request
        self._is_read = False
        self._gone: asyncio.Event | None = None
        self._pieces: queue.SimpleQueue[tuple[Message, asyncio.Future[None]] | None] = (
            queue.SimpleQueue()
        )
        self._task: Future[None] = asyncio.run_coroutine_threadsafe(
            self._carry(background), self._loop
        )

    def take(self) -> Message | None:
        """Wait for the next message of the answer; None where none comes any more."""
        piece = self._pieces.get()
        if piece is None:
            # Nothing is lost by asking again.
            self._pieces.put(None)
            self._task.result()
            return None
        message, taken = piece
        self._loop.call_soon_threadsafe(_resolve, taken)
        return message

    def hang_up(self) -> None:
        """Tell the call that nobody waits for it. After its end this does nothing."""
        if not self._task.done():
            self._loop.call_soon_threadsafe(self._tell_gone)

    def _tell_gone(self) -> None:
        if self._gone is not None:
            self._gone.set()
        while not self._pieces.empty():
            piece = self._pieces.get()
            if piece is not None:
                _resolve(piece[1])

    async def _carry(self, background: BackgroundDoor) -> None:
        self._gone = asyncio.Event()
        try:
            request = AsgiRequest(_scope_of(self._request), self._receive, self._send)
            await background.door.answer(request)
        finally:
            self._pieces.put(None)

    async def _receive(self) -> dict[str, Any]:
        """The next piece of the body, read in a thread, as reading waits; after its end, the caller's hanging up."""
        if not self._is_read:
            data = await asyncio.to_thread(self._request.read, PIECE_BYTES)
            self._is_read = not data
            return {"type": "http.request", "body": data, "more_body": not self._is_read}
        if self._gone is not None:
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone is not None and self._gone.is_set():
            # As servers do: what is said to nobody is dropped, and the call hears of it by its hang-up.
            return
        taken = self._loop.create_future()
        self._pieces.put((message, taken))
        await taken


class AnswerBody:
    """The answer from its first piece on; whoever closes it before its end has hung up, read or unread."""

    def __init__(self, call: CarriedCall, first: Message) -> None:
        self._call = call
        self._first: Message | None = first
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        piece, self._first = self._first or self._call.take(), None
        if piece is None:
            raise StopIteration
        self._is_over = not piece.get("more_body")
        data: bytes = piece.get("body", b"")
        return data

    def close(self) -> None:
        self._call.hang_up()


def _resolve(taken: asyncio.Future[None]) -> None:
    if not taken.done():
        taken.set_result(None)


def answer_headers(message: Message) -> list[tuple[str, str]]:
    """The headers that the door wants sent, as texts."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in message["headers"]
        if name not in _HOP_BY_HOP
    ]


def _scope_of(request: HttpRequest) -> dict[str, Any]:
    """The request as ASGI tells it. WSGI joins headers of one name, so that those that decide are refused by their form."""
    headers = [
        (name[5:].lower().replace("_", "-").encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in request.META.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    ]
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if length.isascii() and length.isdigit():
        headers.append((b"content-length", length.encode()))
    content_type = request.META.get("CONTENT_TYPE")
    if content_type:
        headers.append((b"content-type", content_type.encode("latin-1", "replace")))
    if "HTTP_HOST" not in request.META:
        headers.append((b"host", request.get_host().encode("latin-1", "replace")))
    return {
        "type": "http",
        "method": request.method,
        "path": request.path,
        "query_string": request.META.get("QUERY_STRING", "").encode("latin-1", "replace"),
        "headers": headers,
        "client": (request.META.get("REMOTE_ADDR", ""), 0),
    }
