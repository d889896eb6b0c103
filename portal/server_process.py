"""What the application needs of the server's process and the server does not offer: to hear of a stop, to leave dead callers."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
LOOKED_AFTER_S = (0.02, 0.1, 0.5, 2.0, 10.0)
# The call is ended first, which knows why.
AFTER_THE_CALL_S = 3.0


def call_on_stop_signal(begin: Callable[[], None]) -> None:
    """Call `begin` in the event loop when the process is told to stop, and let the server hear of it as before.

    A server ends the lifespan only after all connections have ended, and one stream can keep it from that.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        server_heard = signal.getsignal(number)
        if callable(server_heard):
            signal.signal(number, _chained(loop, begin, server_heard))
            signal.siginterrupt(number, False)  # noqa: FBT003 - it takes no keywords.


def _chained(
    loop: asyncio.AbstractEventLoop,
    begin: Callable[[], None],
    server_heard: Callable[[int, FrameType | None], object],
) -> Callable[[int, FrameType | None], None]:
    def hear(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(begin)
        server_heard(number, frame)

    return hear


def bound_unread_data(timeout_s: float) -> None:
    """Let the kernel end a connection whose peer has left data unread for so long, on every listening TCP socket.

    Connections inherit it. The server holds what was handed to it, and waits for such a peer without end, also at its
    own end. It listens only after its start is complete, so it is looked for more than once. Where a system does not know
    the option or shows no descriptors, nothing is changed.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        timeout_ms = max(1, int((timeout_s + AFTER_THE_CALL_S) * 1000))
        loop = asyncio.get_running_loop()
        for wait_s in LOOKED_AFTER_S:
            loop.call_later(wait_s, _set_on_listening, option, timeout_ms)


def _set_on_listening(option: int, value: int) -> None:
    for descriptor in _descriptors():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as found:
            if _listens_on_tcp(found):
                found.setsockopt(socket.IPPROTO_TCP, option, value)


def _listens_on_tcp(found: socket.socket) -> bool:
    return (
        found.family in (socket.AF_INET, socket.AF_INET6)
        and found.type == socket.SOCK_STREAM
        and bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    )


def _descriptors() -> list[int]:
    try:
        return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    except OSError:
        return []
