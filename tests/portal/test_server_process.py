"""What the server does not do for us: say that it is told to stop, and leave those who do not read."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from portal.server_process import (
    AFTER_THE_CALL_S,
    STOP_SIGNALS,
    bound_unread_data,
    call_on_stop_signal,
)


class Server:
    """Handles signals as a server does."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def hear(self, number: int, frame: FrameType | None) -> None:
        self.heard.append(number)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    before = {number: signal.signal(number, made.hear) for number in STOP_SIGNALS}
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_both_the_gateway_and_the_server_hear_that_the_process_is_to_stop(
    server: Server, number: signal.Signals
) -> None:
    begun: list[str] = []
    call_on_stop_signal(lambda: begun.append("stop"))
    os.kill(os.getpid(), number)
    await asyncio.sleep(0.05)

    assert server.heard == [number]
    assert begun == ["stop"]


async def test_a_signal_that_nobody_handles_is_left_alone(server: Server) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    call_on_stop_signal(lambda: None)

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_server_in_another_thread_is_started_all_the_same(server: Server) -> None:
    async def start() -> None:
        call_on_stop_signal(lambda: None)

    thread = threading.Thread(target=lambda: asyncio.run(start()))
    thread.start()
    thread.join(10)

    assert signal.getsignal(signal.SIGTERM) == server.hear


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Only Linux has the option.")
async def test_connections_to_a_socket_that_listens_later_inherit_the_time_out() -> None:
    with socket.socket() as listener, socket.socket() as caller:
        listener.bind(("127.0.0.1", 0))
        bound_unread_data(2.5)
        await asyncio.sleep(0.03)
        listener.listen()
        await asyncio.sleep(0.2)
        caller.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            timeout_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert timeout_ms == 2500 + 1000 * AFTER_THE_CALL_S
        assert caller.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
