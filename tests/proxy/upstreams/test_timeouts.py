import asyncio
import time

import pytest

from portal.lib.origin import Origin
from proxy.upstreams.client import Timeouts
from proxy.upstreams.failures import (
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    TotalTimeout,
    UpstreamFailure,
)
from tests.proxy.upstreams.conftest import Run, client_of
from tests.proxy.upstreams.raw_server import CHUNKED, OK, Peer, serve
from tests.proxy.upstreams.sending import post
from tests.proxy.upstreams.test_cancellation import deaf_port

LIMIT_S = 0.2


async def silent(peer: Peer) -> None:
    await peer.read_request()
    await peer.wait_closed()


async def dripping_head(peer: Peer) -> None:
    await peer.read_request()
    for byte in b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1000:
        await peer.write(bytes([byte]))
        await asyncio.sleep(0.01)


async def stalled_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(CHUNKED + b"2\r\nhi\r\n")
    await peer.wait_closed()


async def endless_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(CHUNKED)
    while not peer.writer.is_closing():
        await peer.write(b"2\r\nhi\r\n")
        await asyncio.sleep(0.02)


async def unread_upload(peer: Peer) -> None:
    await asyncio.sleep(0.5)
    await peer.wait_closed()


@pytest.mark.parametrize(
    ("script", "timeouts", "expected"),
    [
        (silent, Timeouts(first_byte_s=LIMIT_S), FirstByteTimeout),
        (dripping_head, Timeouts(first_byte_s=LIMIT_S), FirstByteTimeout),
        (unread_upload, Timeouts(first_byte_s=LIMIT_S), FirstByteTimeout),
        (stalled_body, Timeouts(idle_s=LIMIT_S), IdleTimeout),
        (endless_body, Timeouts(total_s=LIMIT_S), TotalTimeout),
        (silent, Timeouts(total_s=LIMIT_S), TotalTimeout),
        (stalled_body, Timeouts(total_s=LIMIT_S), TotalTimeout),
    ],
    ids=["silence", "dripping head", "upload", "body", "endless", "total early", "total late"],
)
def test_each_time_out_is_told_apart_and_on_time(
    run: Run, script: object, timeouts: Timeouts, expected: type[UpstreamFailure]
) -> None:
    body = b"x" * 20_000_000 if script is unread_upload else b"{}"

    async def scenario() -> None:
        async with client_of() as client, serve(script) as server:  # type: ignore[arg-type]
            started_s = time.monotonic()
            with pytest.raises(expected):
                await (await post(client, server.origin, body, timeouts=timeouts)).read()
            took_s = time.monotonic() - started_s
            assert LIMIT_S * 0.9 <= took_s <= LIMIT_S + 0.5

    run(scenario())


def test_a_connection_that_nobody_accepts_is_a_connect_timeout(run: Run) -> None:
    async def scenario() -> None:
        with deaf_port() as port:
            async with client_of() as client:
                started_s = time.monotonic()
                with pytest.raises(ConnectTimeout):
                    await post(
                        client,
                        Origin("http", "127.0.0.1", port),
                        timeouts=Timeouts(connect_s=LIMIT_S),
                    )
                assert time.monotonic() - started_s < LIMIT_S + 0.5

    run(scenario())


def test_the_total_time_counts_while_connecting_too(run: Run) -> None:
    async def scenario() -> None:
        with deaf_port() as port:
            async with client_of() as client:
                with pytest.raises(TotalTimeout):
                    await post(
                        client,
                        Origin("http", "127.0.0.1", port),
                        timeouts=Timeouts(total_s=LIMIT_S),
                    )

    run(scenario())


def test_a_handshake_that_stands_still_is_a_connect_timeout(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.wait_closed(within_s=2)

        async with client_of() as client, serve(script) as server:
            with pytest.raises(ConnectTimeout):
                await post(
                    client,
                    Origin("https", "127.0.0.1", server.port),
                    timeouts=Timeouts(connect_s=LIMIT_S),
                )

    run(scenario())


def test_a_slow_reader_is_not_charged_to_the_upstream(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 900000\r\n\r\n" + b"x" * 900_000)
            await peer.wait_closed(within_s=5)

        async with client_of() as client, serve(script) as server:
            answer = await post(client, server.origin, timeouts=Timeouts(idle_s=0.1))
            await asyncio.sleep(0.4)
            assert len(await answer.read()) == 900_000

    run(scenario())


def test_a_steady_stream_outlives_the_idle_time(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(CHUNKED)
            for _ in range(12):
                await peer.write(b"2\r\nhi\r\n")
                await asyncio.sleep(0.05)
            await peer.write(b"0\r\n\r\n")

        async with client_of() as client, serve(script) as server:
            answer = await post(client, server.origin, timeouts=Timeouts(idle_s=0.3))
            assert await answer.read() == b"hi" * 12

    run(scenario())


def test_a_reused_connection_takes_the_time_outs_of_its_new_call(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(OK)
            await peer.read_request()
            await peer.wait_closed(within_s=5)

        async with client_of() as client, serve(script) as server:
            await (await post(client, server.origin)).read()
            started_s = time.monotonic()
            with pytest.raises(FirstByteTimeout):
                await post(client, server.origin, timeouts=Timeouts(first_byte_s=LIMIT_S))
            assert time.monotonic() - started_s < LIMIT_S + 0.5
            assert len(server.peers) == 1

    run(scenario())
