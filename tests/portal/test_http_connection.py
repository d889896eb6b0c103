"""What one connection of a stranger may hold: real sockets, and an application that only answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from portal import http_connection
from portal.http_connection import DOOR, HEAD_BYTES_MAX, WAITING_MAX, HttpConnection
from proxy.errors import Refusal
from proxy.exchange import Answer, Request

PAGE = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
CALL = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"POST %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
PATHS = pytest.mark.parametrize("path", [b"/x", b"/v1/chat/completions"], ids=["page", "call"])
KEEP_ALIVE_S = 3


async def page(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


async def door(request: Request) -> None:
    try:
        await request.read_body(max_bytes=1 << 20, take=lambda _: None)
    except Refusal as refusal:
        await request.send_whole(refusal.code.http_status, [(b"connection", b"close")], b"")
    else:
        await asyncio.sleep(0)
        await request.send_whole(200, [], b"")


@asynccontextmanager
async def connected(
    answer: Answer = door,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server that has nothing but our connections, the page and the door."""
    config = Config(page, lifespan="off", ws="none", timeout_keep_alive=KEEP_ALIVE_S)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpConnection(config, state, {DOOR: answer}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def all_answered(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection is closed or broken."""
    told = b""
    try:
        while piece := await reader.read(1 << 16):
            told += piece
    except ConnectionError:
        pass
    return told


async def sent_until(
    answer: asyncio.Task[bytes], writer: asyncio.StreamWriter, piece: bytes
) -> int:
    """How many bytes were sent before the answer came, of at most a hundred heads."""
    sent = 0
    while not answer.done() and sent < 100 * HEAD_BYTES_MAX:
        writer.write(piece)
        await writer.drain()
        sent += len(piece)
        await asyncio.sleep(0.001)
    return sent


@PATHS
@pytest.mark.parametrize("trailer", [b"0\r\nX-A: ", b"0\r\n"], ids=["one-field", "many-fields"])
async def test_a_trailer_is_bounded_like_a_head(path: bytes, trailer: bytes) -> None:
    piece = b"a" * 4096 if trailer.endswith(b": ") else b"x-a: " + b"a" * 4089 + b"\r\n"
    async with connected() as (reader, writer):
        writer.write(CHUNKED % path + trailer)
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        assert HEAD_BYTES_MAX // 2 < await sent_until(answer, writer, piece) < 50 * HEAD_BYTES_MAX
        assert (await asyncio.wait_for(answer, 10)).startswith(b"HTTP/1.1 400 ")


@PATHS
async def test_a_trailer_within_bounds_is_passed_over(path: bytes) -> None:
    async with connected() as (reader, writer):
        writer.write(CHUNKED % path + b"3\r\nabc\r\n0\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"x-a: " + b"a" * (HEAD_BYTES_MAX // 2) + b"\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@PATHS
async def test_chunks_may_come_slowly_and_many(path: bytes) -> None:
    async with connected() as (reader, writer):
        writer.write(CHUNKED % path)
        for _ in range(40):
            writer.write(b"800\r\n" + b"a" * 2048 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)
        writer.write(b"0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("request_bytes", [PAGE, CALL], ids=["page", "call"])
async def test_few_requests_wait_behind_others_and_the_connection_ends_then(
    request_bytes: bytes,
) -> None:
    async with connected() as (reader, writer):
        writer.write(request_bytes * 10_000)
        told = await asyncio.wait_for(all_answered(reader), 10)
    answers = told.count(b"HTTP/1.1 200 ")
    assert 1 <= answers <= WAITING_MAX + 1
    assert told.count(b"HTTP/1.1 ") == answers


@pytest.mark.parametrize("request_bytes", [PAGE, CALL], ids=["page", "call"])
async def test_requests_sent_ahead_are_answered_in_turn(request_bytes: bytes) -> None:
    async with connected() as (reader, writer):
        for _ in range(3):
            writer.write(request_bytes * WAITING_MAX)
            for _ in range(WAITING_MAX):
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
                assert head.startswith(b"HTTP/1.1 200 ")
                assert b"close" not in head


async def test_a_head_on_a_kept_connection_has_no_more_time_than_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_TIMEOUT_S", 0.2)
    async with connected() as (reader, writer):
        writer.write(PAGE)
        await reader.readuntil(b"\r\n\r\n")
        # The timer of the first head goes off, and the one of the kept connection is set.
        await asyncio.sleep(0.4)
        for byte in (PAGE[:1], PAGE[1:5]):
            writer.write(byte)
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(all_answered(reader), 1) == b""


@pytest.mark.parametrize("value", [b"a", b"a\r\nx: b", b"a\nx: b", b"a\rx: b", b"a\n\n", b"\r\n"])
async def test_header_whose_value_holds_a_line_end_is_not_sent(value: bytes) -> None:
    async def answering(request: Request) -> None:
        await request.read_body(max_bytes=1, take=lambda _: None)
        with suppress(ValueError):
            await request.send_whole(200, [(b"x-before", b"1"), (b"x-said", value)], b"")

    async with connected(answering) as (reader, writer):
        writer.write(CALL)
        if value == b"a":
            told = await reader.readuntil(b"\r\n\r\n")
            assert b"\r\nx-before: 1\r\nx-said: a\r\n" in told
        else:
            with pytest.raises(asyncio.IncompleteReadError) as cut:
                await reader.readexactly(1)
            assert cut.value.partial == b""
