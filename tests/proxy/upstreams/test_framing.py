"""What counts as an answer, through real sockets; the divisions of its bytes by hypothesis."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstreams.failures import AnswerTooLarge, BadAnswer, CutOff, UpstreamFailure
from proxy.upstreams.framing import HEAD_BYTES_MAX, AnswerFraming
from tests.proxy.upstreams.conftest import Run, client_of
from tests.proxy.upstreams.raw_server import CHUNKED, OK, Peer, answering, serve
from tests.proxy.upstreams.sending import post, read_answer

HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH_2 = HEAD + b"content-length: 2\r\n"
WHOLE_CHUNKED = CHUNKED + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nx-trailer: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK, 200, b"ok"),
        (WHOLE_CHUNKED, 200, b"abcde"),
        (HEAD + b"content-length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, b""),
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nno",
            302,
            b"no",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (
            b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n" + OK,
            200,
            b"ok",
        ),
        (LENGTH_2 + b"content-encoding: identity\r\n\r\nok", 200, b"ok"),
        (LENGTH_2 + b"x-empty:\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
    ],
)
def test_answers_that_are_one_answer_pass(
    run: Run, answer: bytes, status: int, body: bytes
) -> None:
    async def scenario() -> None:
        async with client_of() as client, serve(answering(answer)) as server:
            reply = await post(client, server.origin)
            assert (reply.status, await reply.read()) == (status, body)
            assert await reply.next_chunk() is None
            # A redirect was not followed, nor anything sent twice.
            assert len(server.peers) == 1

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"<html>502</html>",
        b"\r\n" + OK,
        b"RTSP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/0.9 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 099 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 1000 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\nabc",
        b"HTTP/1.1 103 Early Hints\r\ncontent-length: 4\r\n\r\nHTTP" + OK,
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        LENGTH_2 + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED[:-2] + b"content-length: 2\r\n\r\n0\r\n\r\n",
        LENGTH_2 + b"content-length: 2\r\n\r\nok",
        LENGTH_2 + b"content-length: 3\r\n\r\nok!",
        HEAD + b"content-length: 2, 2\r\n\r\nok",
        HEAD + b"content-length: +2\r\n\r\nok",
        HEAD + b"content-length: -2\r\n\r\nok",
        HEAD + b"content-length: 99999999999999999999\r\n\r\nok",
        HEAD + b"transfer-encoding: gzip\r\n\r\nok",
        HEAD + b"transfer-encoding: chunked, gzip\r\n\r\nok",
        HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        CHUNKED[:-2] + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        LENGTH_2 + b"content-encoding: gzip\r\n\r\nok",
        LENGTH_2 + b"content-encoding: identity\r\ncontent-encoding: br\r\n\r\nok",
        LENGTH_2 + b"a: b\r\n c\r\n\r\nok",
        LENGTH_2 + b"a : b\r\n\r\nok",
        LENGTH_2 + b"a: b\0c\r\n\r\nok",
        CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"ffffffffffffffffff\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nok!!0\r\n\r\n",
        CHUNKED + b"2\nok\r\n0\r\n\r\n",
    ],
)
def test_anything_else_is_a_bad_answer(run: Run, answer: bytes) -> None:
    async def scenario() -> None:
        async with client_of() as client, serve(answering(answer)) as server:
            with pytest.raises(BadAnswer):
                await read_answer(client, server.origin)
            await server.peers[0].see_hung_up()

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"canary",
        b"HTTP/1.1 200 canary\r\ncanary : 1\r\n\r\n",
        LENGTH_2 + b"x-key: canary\0\r\n\r\n",
        LENGTH_2 + b"content-encoding: canary\r\n\r\n",
        HEAD + b"content-length: canary\r\n\r\n",
        CHUNKED + b"canary",
    ],
)
def test_a_failures_detail_repeats_nothing_of_the_answer(answer: bytes) -> None:
    framing = AnswerFraming(max_body_bytes=100)
    with pytest.raises(BadAnswer) as failure:
        framing.feed(memoryview(answer))
    assert "canary" not in failure.value.detail


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        HEAD + b"content-length: 10\r\n\r\nshort",
        CHUNKED,
        CHUNKED + b"5\r\nab",
        CHUNKED + b"2\r\nab\r\n",
        CHUNKED + b"2\r\nab\r\n0\r\n",
    ],
)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_an_early_end_is_a_cut_off(run: Run, answer: bytes, *, reset: bool) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(answer)
            if reset:
                await asyncio.sleep(0.02)
                peer.writer.transport.abort()

        async with client_of() as client, serve(script) as server:
            with pytest.raises(CutOff):
                await read_answer(client, server.origin)

    run(scenario())


def test_what_came_before_the_cut_is_read_first(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(CHUNKED + b"2\r\nab\r\n")

        async with client_of() as client, serve(script) as server:
            answer = await post(client, server.origin)
            assert await answer.next_chunk() == b"ab"
            for _ in range(2):
                with pytest.raises(CutOff):
                    await answer.next_chunk()

    run(scenario())


def test_a_body_that_ends_with_the_connection_is_read_whole_and_not_kept(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(HEAD + b"\r\nfirst ")
            await asyncio.sleep(0.02)
            await peer.write(b"second")

        async with client_of() as client, serve(script) as server:
            assert await read_answer(client, server.origin) == b"first second"
            assert await read_answer(client, server.origin) == b"first second"
            assert len(server.peers) == 2

    run(scenario())


def test_an_answer_split_at_every_byte_reads_the_same(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            for cut in range(1, len(WHOLE_CHUNKED)):
                await peer.read_request()
                await peer.write(WHOLE_CHUNKED[:cut])
                await asyncio.sleep(0.001)
                await peer.write(WHOLE_CHUNKED[cut:])

        async with client_of() as client, serve(script) as server:
            for _ in range(1, len(WHOLE_CHUNKED)):
                assert await read_answer(client, server.origin) == b"abcde"

    run(scenario())


def _feed(framing: AnswerFraming, answer: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(answer)]
    for start, end in itertools.pairwise(edges):
        if start < end:
            framing.feed(memoryview(answer)[start:end])


@given(cuts=st.lists(st.integers(0, len(WHOLE_CHUNKED)), max_size=20))
def test_no_division_of_the_bytes_changes_a_chunked_answer(cuts: list[int]) -> None:
    framing = AnswerFraming(max_body_bytes=100)
    _feed(framing, WHOLE_CHUNKED, cuts)
    assert (framing.complete, framing.take_body()) == (True, b"abcde")
    assert (b"x-trailer", b"1") not in framing.headers


@given(
    data=st.binary(min_size=1, max_size=400), prefix=st.sampled_from([b"", HEAD, LENGTH_2, CHUNKED])
)
def test_no_bytes_make_anything_but_an_answer_or_a_failure(data: bytes, prefix: bytes) -> None:
    framing = AnswerFraming(max_body_bytes=100)
    try:
        framing.feed(memoryview(prefix + data))
        framing.end()
    except UpstreamFailure:
        assert not framing.complete


@given(body=st.binary(max_size=60), extra=st.binary(min_size=1, max_size=20), chunked=st.booleans())
def test_bytes_after_the_end_never_leave_a_clean_connection(
    body: bytes, extra: bytes, *, chunked: bool
) -> None:
    if chunked:
        answer = CHUNKED + (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        answer = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    framing = AnswerFraming(max_body_bytes=100)
    framing.feed(memoryview(answer + extra))
    assert framing.complete
    assert framing.take_body() == body
    # A line end can hide behind a body that ends in one; it cannot begin an answer.
    if not (extra.strip(b"\r\n") == b"" and answer.endswith(extra)):
        assert not framing.ended_cleanly


def test_a_head_without_end_is_refused_in_bounded_memory(run: Run) -> None:
    async def scenario() -> None:
        for flood in (b"x: " + b"a" * 1000 + b"\r\n", b"a" * 1000, b"x:\r\n" * 200):
            sent = 0

            async def script(peer: Peer, flood: bytes = flood) -> None:
                nonlocal sent
                await peer.read_request()
                await peer.write(HEAD)
                while True:
                    await peer.write(flood)
                    sent += len(flood)
                    await asyncio.sleep(0)

            async with client_of() as client, serve(script) as server:
                with pytest.raises(BadAnswer):
                    await post(client, server.origin)
            assert sent < 10_000_000

    run(scenario())


@pytest.mark.parametrize(
    "flood",
    [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\n1;" + b"e" * 99],
    ids=["interim answers", "chunk extension"],
)
def test_bytes_that_carry_no_body_are_bounded(flood: bytes) -> None:
    framing = AnswerFraming(max_body_bytes=100)
    with pytest.raises(BadAnswer):
        _feed(framing, flood + flood[-25:] * (HEAD_BYTES_MAX // 10), [])


def test_an_endless_trailer_is_refused() -> None:
    framing = AnswerFraming(max_body_bytes=100)
    framing.feed(memoryview(CHUNKED + b"0\r\nx: "))
    with pytest.raises(BadAnswer):
        _feed(framing, b"a" * 100_000, list(range(0, 100_000, 1000)))


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_hundred_megabytes_are_refused_while_they_are_read(run: Run, *, announced: bool) -> None:
    async def scenario() -> None:
        sent = 0

        async def script(peer: Peer) -> None:
            nonlocal sent
            await peer.read_request()
            await peer.write(HEAD + b"content-length: 100000000\r\n\r\n" if announced else CHUNKED)
            block = b"x" * 50_000
            for _ in range(2000):
                await peer.write(block if announced else b"%x\r\n%b\r\n" % (len(block), block))
                sent += len(block)

        async with client_of() as client, serve(script) as server:
            with pytest.raises(AnswerTooLarge):
                await read_answer(client, server.origin, max_body_bytes=500_000)
            await server.peers[0].see_hung_up()
        assert sent < 20_000_000

    run(scenario())
