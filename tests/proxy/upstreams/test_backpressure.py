import asyncio
import tracemalloc

import pytest

from tests.proxy.upstreams.conftest import Run, client_of
from tests.proxy.upstreams.raw_server import CHUNKED, OK, Peer, serve
from tests.proxy.upstreams.sending import post


def test_an_upstream_that_is_faster_than_the_reader_is_held_back(run: Run) -> None:
    async def scenario() -> None:
        sent = 0
        size = 60_000_000

        async def script(peer: Peer) -> None:
            nonlocal sent
            await peer.read_request()
            await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            for _ in range(size // 50_000):
                await peer.write(b"x" * 50_000)
                sent += 50_000
            await peer.wait_closed(within_s=10)

        async with client_of() as client, serve(script) as server:
            answer = await post(client, server.origin, max_body_bytes=size)
            await asyncio.sleep(0.3)
            # What the kernel buffers on the way, and 128 KiB of ours.
            assert sent < 20_000_000
            assert answer.framing.pieces_bytes <= 128 * 1024
            received = 0
            while (chunk := await answer.next_chunk()) is not None:
                received += len(chunk)
            assert received == size
            # The connection is still good.
            assert not server.peers[0].hung_up.is_set()

    run(scenario())


def test_a_large_upload_waits_for_an_upstream_that_reads_slowly(run: Run) -> None:
    async def scenario() -> None:
        body = b"x" * 24_000_000

        async def script(peer: Peer) -> None:
            await asyncio.sleep(0.2)
            assert (await peer.read_request()).endswith(body)
            await peer.write(OK)
            await peer.wait_closed(within_s=5)

        async with client_of() as client, serve(script) as server:
            task = asyncio.ensure_future(post(client, server.origin, body))
            tracemalloc.start()
            await asyncio.sleep(0.1)
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            # The transport holds a few slices, not a second copy of the body.
            assert held < 3_000_000
            assert await (await task).read() == b"ok"

    run(scenario())


@pytest.mark.parametrize("closes", [False, True], ids=["stays", "closes"])
def test_an_answer_before_the_bodys_end_is_read_and_ends_the_connection(
    run: Run, *, closes: bool
) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.write(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
            if closes:
                peer.writer.write_eof()
            await asyncio.sleep(0.1)
            await peer.wait_closed()

        async with client_of() as client, serve(script) as server:
            for calls in (1, 2):
                answer = await post(client, server.origin, b"x" * 30_000_000)
                assert (answer.status, await answer.read()) == (413, b"big")
                assert len(server.peers) == calls

    run(scenario())


def test_pieces_pass_as_they_arrive(run: Run) -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(CHUNKED)
            for number in range(5):
                await peer.write(b"1\r\n%d\r\n" % number)
                await go.wait()
                go.clear()
            await peer.write(b"0\r\n\r\n")

        async with client_of() as client, serve(script) as server:
            answer = await post(client, server.origin)
            for number in range(5):
                # The next one is written only when this one has been read.
                assert await answer.next_chunk() == b"%d" % number
                go.set()
            assert await answer.next_chunk() is None

    run(scenario())


def test_hundreds_of_slow_streams_run_side_by_side(run: Run) -> None:
    async def scenario() -> None:
        count, rounds = 300, 4
        tick = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(CHUNKED)
            await tick.wait()
            for _ in range(rounds):
                await peer.write(b"5\r\nhello\r\n")
                await asyncio.sleep(0.05)
            await peer.write(b"0\r\n\r\n")
            await peer.wait_closed(within_s=20)

        async with client_of() as client, serve(script) as server:
            answers = [await post(client, server.origin) for _ in range(count)]
            readers = [asyncio.ensure_future(answer.read()) for answer in answers]
            tick.set()
            assert await asyncio.gather(*readers) == [b"hello" * rounds] * count

    run(scenario())
