"""Django's half of the ASGI application, behind a bound on what it reads.

Django's own handler writes a whole body to memory or disk before any view, and any limit, sees it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from portal.lib.body_room import BodyRoom, RoomTaken
from portal.lib.client_address import true_peer

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ROOM_BYTES = 64 * 1024 * 1024
# Several people may share one address.
SHARE_BYTES = 16 * 1024 * 1024
_TOO_LARGE = (413, "The request is too large.")
_TOO_SLOW = (408, "The request did not arrive in time.")
_BUSY = (503, "Too much is arriving at the moment. Try again.")
_HANG_UP = {"type": "http.disconnect"}


class PageDoor:
    """Hands requests on, each body bounded in size, in time, and together with what else is arriving."""

    def __init__(
        self, app: App, *, max_body_bytes: int, body_timeout_s: float, trusted_hops: int
    ) -> None:
        self._app = app
        self._trusted_hops = trusted_hops
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._room = BodyRoom(total_bytes=ROOM_BYTES, share_bytes=SHARE_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reading = _Reading(receive, self._max_body_bytes, self._body_timeout_s)
        if reading.is_announced_too_large(scope):
            await _answer(send, *_TOO_LARGE)
            return
        with self._room.entrance(self._peer(scope)) as entrance:
            reading.take = entrance.take
            await self._app(scope, reading.receive, send)
        if reading.refusal is not None:
            await _answer(send, *reading.refusal)

    def _peer(self, scope: Scope) -> str:
        forwarded = [
            value.decode("latin-1")
            for name, value in scope["headers"]
            if name == b"x-forwarded-for"
        ]
        connection = scope["client"][0] if scope.get("client") else ""
        return true_peer(connection, forwarded, trusted_hops=self._trusted_hops)


class _Reading:
    """One request's body on its way. A body that is refused ends for the application like one whose sender hung up."""

    def __init__(self, receive: Receive, max_bytes: int, timeout_s: float) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._deadline = asyncio.get_running_loop().time() + timeout_s
        self._received = 0
        self._is_whole = False
        self.take: Callable[[int], None] = lambda _: None
        self.refusal: tuple[int, str] | None = None

    def is_announced_too_large(self, scope: Scope) -> bool:
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        # Servers let nothing but digits through; what they do not is too large for us.
        return any(
            not one.isdigit() or len(one) > 18 or int(one) > self._max_bytes for one in lengths
        )

    async def receive(self) -> dict[str, Any]:
        if self.refusal is not None:
            return _HANG_UP
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self.refusal = _TOO_SLOW
            return _HANG_UP
        size = len(message.get("body", b""))
        self._received += size
        self._is_whole = not message.get("more_body", False)
        if self._received > self._max_bytes:
            self.refusal = _TOO_LARGE
            return _HANG_UP
        try:
            self.take(size)
        except RoomTaken:
            self.refusal = _BUSY
            return _HANG_UP
        return message


async def _answer(send: Send, status: int, text: str) -> None:
    body = text.encode() + b"\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        # What is left of the body must not be read as the next request.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
