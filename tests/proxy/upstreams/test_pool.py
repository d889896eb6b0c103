import asyncio
import time

import pytest

from portal.lib.origin import Origin
from proxy.upstreams.failures import ConnectFailed, CutOff, PoolExhausted
from tests.proxy.upstreams.conftest import Run, client_of
from tests.proxy.upstreams.raw_server import CHUNKED, OK, Peer, answering, serve
from tests.proxy.upstreams.sending import post, read_answer

CHUNKED_OK = CHUNKED + b"2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [OK, CHUNKED_OK, b"HTTP/1.1 204 No\r\n\r\n"])
def test_a_connection_that_ended_its_answer_cleanly_is_used_again(run: Run, answer: bytes) -> None:
    async def scenario() -> None:
        async with client_of() as client, serve(answering(*[answer] * 5)) as server:
            for _ in range(5):
                await read_answer(client, server.origin)
            assert len(server.peers) == 1

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        OK + b"x",
        OK + b"\r\n",
        OK + b"\0",
        CHUNKED_OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        CHUNKED_OK + b"\r\n",
        b"HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok",
    ],
)
def test_a_connection_with_anything_after_the_answer_is_closed(run: Run, answer: bytes) -> None:
    async def scenario() -> None:
        async with client_of() as client, serve(answering(answer)) as server:
            for expected in (1, 2):
                assert await read_answer(client, server.origin) in (b"ok", b"")
                assert len(server.peers) == expected
            await server.peers[0].see_hung_up()

    run(scenario())


def test_bytes_that_come_later_close_the_idle_connection(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(OK)
            await asyncio.sleep(0.02)
            await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
            await peer.wait_closed()

        async with client_of() as client, serve(script) as server:
            assert await read_answer(client, server.origin) == b"ok"
            await asyncio.sleep(0.1)
            answer = await post(client, server.origin)
            assert (await answer.read(), answer.attempts) == (b"ok", 1)
            assert len(server.peers) == 2

    run(scenario())


def test_an_unread_but_complete_answer_gives_its_connection_back(run: Run) -> None:
    async def scenario() -> None:
        async with client_of() as client, serve(answering(OK, OK)) as server:
            first = await post(client, server.origin)
            await first.aclose()
            assert await read_answer(client, server.origin) == b"ok"
            assert await first.read() == b"ok"
            assert len(server.peers) == 1

    run(scenario())


def test_an_idle_connection_closed_by_the_upstream_vanishes(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(OK)

        async with client_of() as client, serve(script) as server:
            for _ in range(3):
                answer = await post(client, server.origin)
                assert (await answer.read(), answer.attempts) == (b"ok", 1)
                await asyncio.sleep(0.05)
            assert len(server.peers) == 3

    run(scenario())


def test_a_connection_idle_for_too_long_is_closed_unused(run: Run) -> None:
    async def scenario() -> None:
        async with client_of(idle_keep_s=0.1) as client, serve(answering(OK, OK)) as server:
            await read_answer(client, server.origin)
            await server.peers[0].see_hung_up(within_s=0.6)
            await read_answer(client, server.origin)
            assert len(server.peers) == 2

    run(scenario())


def test_the_upstreams_keep_alive_time_shortens_ours(run: Run) -> None:
    async def scenario() -> None:
        answer = OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: max=9, timeout=2\r\n\r\n", 1)
        async with client_of(idle_keep_s=30) as client, serve(answering(answer)) as server:
            await read_answer(client, server.origin)
            started_s = time.monotonic()
            await server.peers[0].see_hung_up(within_s=1.6)
            assert time.monotonic() - started_s > 0.7

    run(scenario())


def test_a_kept_connection_that_dies_before_an_answer_is_replaced_once(run: Run) -> None:
    async def scenario() -> None:
        requests = 0

        async def script(peer: Peer) -> None:
            nonlocal requests
            await peer.read_request()
            requests += 1
            await peer.write(OK)
            await peer.read_request()
            requests += 1

        async with client_of() as client, serve(script) as server:
            await read_answer(client, server.origin)
            answer = await post(client, server.origin)
            assert (await answer.read(), answer.attempts) == (b"ok", 2)
            assert (requests, len(server.peers)) == (3, 2)

    run(scenario())


def test_a_replacement_that_dies_as_well_is_not_replaced_again(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            if len(server.peers) == 1:
                await peer.write(OK)
                await peer.read_request()

        async with client_of() as client, serve(script) as server:
            await read_answer(client, server.origin)
            with pytest.raises(CutOff):
                await post(client, server.origin)
            assert len(server.peers) == 2

    run(scenario())


def test_a_kept_connection_that_dies_after_a_byte_is_a_cut_off(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(OK)
            await peer.read_request()
            await peer.write(b"H")

        async with client_of() as client, serve(script) as server:
            await read_answer(client, server.origin)
            with pytest.raises(CutOff):
                await post(client, server.origin)
            assert len(server.peers) == 1

    run(scenario())


def test_a_fresh_connection_that_dies_is_never_tried_again(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()

        async with client_of() as client, serve(script) as server:
            with pytest.raises(CutOff):
                await post(client, server.origin)
            assert len(server.peers) == 1

    run(scenario())


def test_more_connections_than_allowed_are_refused_and_the_places_come_back(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(CHUNKED)
            await peer.wait_closed(within_s=5)

        async with (
            client_of(max_connections_per_origin=2) as client,
            serve(script) as server,
        ):
            first, second = [await post(client, server.origin) for _ in range(2)]
            with pytest.raises(PoolExhausted):
                await post(client, server.origin)
            await first.aclose()
            third = await post(client, server.origin)
            await second.aclose()
            await third.aclose()

    run(scenario())


def test_failed_connections_do_not_use_up_places(run: Run) -> None:
    async def scenario() -> None:
        async with serve(answering()) as server:
            port = server.port
        async with client_of(max_connections_per_origin=1) as client:
            for _ in range(3):
                with pytest.raises(ConnectFailed):
                    await post(client, Origin("http", "127.0.0.1", port))

    run(scenario())
