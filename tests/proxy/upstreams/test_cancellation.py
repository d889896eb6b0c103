import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from portal.lib.origin import Origin
from tests.proxy.upstreams.conftest import Run, client_of
from tests.proxy.upstreams.raw_server import CHUNKED, OK, Peer, answering, serve
from tests.proxy.upstreams.sending import post


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose backlog is full: a connection attempt hangs there."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for filler in fillers:
                filler.close()


async def cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelled_before_the_head_closes_the_upstream_connection(run: Run) -> None:
    async def scenario() -> None:
        received, closed = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.read_request()
            received.set()
            await peer.wait_closed()
            closed.set()

        async with client_of() as client, serve(script) as server:
            task = asyncio.ensure_future(post(client, server.origin))
            await received.wait()
            await cancel(task)
            async with asyncio.timeout(1):
                await closed.wait()

    run(scenario())


def test_cancelled_in_mid_stream_closes_the_upstream_connection(run: Run) -> None:
    async def scenario() -> None:
        closed = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(CHUNKED + b"2\r\nhi\r\n")
            await peer.wait_closed()
            closed.set()

        async with client_of() as client, serve(script) as server:
            answer = await post(client, server.origin)
            assert await answer.next_chunk() == b"hi"
            task = asyncio.ensure_future(answer.next_chunk())
            await asyncio.sleep(0.02)
            await cancel(task)
            async with asyncio.timeout(1):
                await closed.wait()
            await answer.aclose()

    run(scenario())


def test_closing_an_unfinished_answer_closes_the_upstream_connection(run: Run) -> None:
    async def scenario() -> None:
        closed = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(CHUNKED)
            await peer.wait_closed()
            closed.set()

        async with client_of() as client, serve(script) as server:
            answer = await post(client, server.origin)
            await answer.aclose()
            await answer.aclose()
            async with asyncio.timeout(1):
                await closed.wait()

    run(scenario())


def test_cancelled_during_a_large_upload_closes_the_upstream_connection(run: Run) -> None:
    async def scenario() -> None:
        closed = asyncio.Event()
        accepted = asyncio.Event()

        async def script(peer: Peer) -> None:
            accepted.set()
            await asyncio.sleep(0.1)
            await peer.wait_closed()
            closed.set()

        async with client_of() as client, serve(script) as server:
            task = asyncio.ensure_future(post(client, server.origin, b"x" * 30_000_000))
            await accepted.wait()
            await asyncio.sleep(0.05)
            await cancel(task)
            async with asyncio.timeout(1):
                await closed.wait()

    run(scenario())


def test_cancelled_while_connecting_leaves_no_socket(run: Run) -> None:
    async def scenario() -> None:
        with deaf_port() as port:
            async with client_of() as client:
                task = asyncio.ensure_future(post(client, Origin("http", "127.0.0.1", port)))
                await asyncio.sleep(0.1)
                await cancel(task)

    # An unclosed socket is a ResourceWarning, and so a failure.
    run(scenario())


def test_cancelled_during_the_tls_handshake_closes_the_upstream_connection(run: Run) -> None:
    async def scenario() -> None:
        closed, hello = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.reader.read(1)
            hello.set()
            await peer.wait_closed()
            closed.set()

        async with client_of() as client, serve(script) as server:
            origin = Origin("https", "127.0.0.1", server.port)
            task = asyncio.ensure_future(post(client, origin))
            await hello.wait()
            await cancel(task)
            async with asyncio.timeout(1):
                await closed.wait()

    run(scenario())


def test_a_late_cancellation_leaves_the_next_call_on_the_connection_alone(run: Run) -> None:
    """Cancelled after its answer came, a call must not close what another has already taken."""

    async def scenario() -> None:
        async with client_of() as client, serve(answering(*[OK] * 40)) as server:
            for _ in range(20):
                first = asyncio.ensure_future(post(client, server.origin))
                await asyncio.sleep(0)
                while client._pools and not client._pools[server.origin]._idle:
                    await asyncio.sleep(0)
                # The answer is there, and the first call has not yet been told.
                first.cancel()
                second = await post(client, server.origin)
                assert (await second.read(), second.attempts) == (b"ok", 1)
                await asyncio.gather(first, return_exceptions=True)
            assert len(server.peers) == 1

    run(scenario())


def test_closing_the_client_ends_exchanges_under_way(run: Run) -> None:
    async def scenario() -> None:
        received = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.read_request()
            received.set()
            await peer.wait_closed()

        async with client_of() as client, serve(script) as server:
            task = asyncio.ensure_future(post(client, server.origin))
            await received.wait()
            await client.aclose()
            with pytest.raises(Exception, match="closed"):
                await task
            with pytest.raises(RuntimeError, match="closed"):
                await post(client, server.origin)

    run(scenario())
