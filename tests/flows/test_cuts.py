"""Streams cut at every byte, by the caller and by the upstream: one row each, settled by the model's rule."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from models_registry.models import AiModel
from proxy.models import Call
from tests.flows.answers import (
    CHAT,
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    chat_body,
    chunk,
    delta,
    demo,
    stream,
    usage_event,
)
from tests.flows.conftest import CallerMaker, Catalogue
from tests.flows.house import Caller
from tests.flows.ledger import find_call, find_calls
from tests.flows.processes import RunningUpstream
from tests.flows.scripted_upstream import Ending, ScriptedUpstream
from tests.flows.wire import connect, write_request

SHORT = (delta("Good "), delta("day."), usage_event(7, 3), DONE)
AT_ONCE = 16
# In one piece, so that what a caller gets of it always has the same length.
TWO_EVENTS = STREAM_HEAD + chunk(delta("Good ")) + chunk(delta("day."))


async def open_call(
    caller: Caller, body: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a call and return its connection."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", caller.port, local_addr=(caller.address, 0)
    )
    writer.write(write_request("POST", CHAT, body, headers=caller.headers()))
    return reader, writer


async def read_whole(caller: Caller, body: bytes) -> bytes:
    """Make a call and return all of its answer."""
    reader, writer = await open_call(caller, body)
    received = await reader.read()
    writer.close()
    return received


async def cut_after(caller: Caller, body: bytes, *, length: int) -> bytes:
    """Make a call, read so many bytes of its answer, hang up, and return what was read."""
    reader, writer = await open_call(caller, body)
    received = b""
    if length:
        received = await reader.readexactly(length)
    else:
        await asyncio.sleep(0.05)
    writer.transport.abort()
    return received


def request_id_of(received: bytes) -> str:
    """The id that stands in the head of an answer."""
    return received.lower().split(b"x-request-id: ")[1].split(b"\r\n")[0].decode()


async def some_at_once(calls: list[Callable[[], Awaitable[None]]]) -> None:
    """Run them all, a few at once."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def run(call: Callable[[], Awaitable[None]]) -> None:
        async with turn:
            await call()

    await asyncio.gather(*map(run, calls))


@pytest.mark.time_limit_s(120)
def test_an_upstream_that_cuts_at_any_byte_leaves_one_row_each(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    caller = new_caller_of(catalogue.scripted_chat)
    answer = stream(*SHORT)
    done_at = answer.index(DONE) + len(DONE)
    scripts = [scripted.play(answer[:length]) for length in range(len(answer))]
    replies: dict[int, bytes] = {}

    async def call(length: int) -> None:
        body = chat_body(catalogue.scripted_chat.name, scripts[length].marker, stream=True)
        replies[length] = await read_whole(caller, body)

    asyncio.run(some_at_once([lambda at=length: call(at) for length in range(len(answer))]))  # type: ignore[misc]
    rows = {row.request_id: row for row in find_calls(caller.key.id, count=len(answer))}
    head_length = len(STREAM_HEAD)
    for length, received in replies.items():
        row = rows[request_id_of(received)]
        if length >= done_at:
            assert (row.status, row.output_tokens, row.usage_estimated) == ("answered", 3, False)
        elif length < head_length:
            assert received.startswith(b"HTTP/1.1 502"), (length, received)
            assert (row.status, row.cost_micro_usd) == ("cut_off", 0)
        else:
            assert b"upstream_cut_off" in received
            assert row.status == "cut_off"
            # Whoever was sent something pays for it, by the upstream's word if it was given.
            said_usage = length >= answer.index(SHORT[2]) + len(SHORT[2])
            assert (row.output_tokens == 3 and not row.usage_estimated) == said_usage
            assert (row.output_tokens > 0) == (b"Good" in received), (length, received)


@pytest.mark.time_limit_s(120)
def test_a_caller_that_hangs_up_at_any_byte_pays_for_what_was_sent_and_closes_the_upstream(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    caller = new_caller_of(catalogue.scripted_chat)
    visible = _visible_length(catalogue.scripted_chat, caller, scripted)
    lengths = range(visible + 1)
    scripts = {at: scripted.play(TWO_EVENTS, ending=Ending.HANG) for at in lengths}

    read: dict[int, bytes] = {}

    async def call(length: int) -> None:
        body = chat_body(catalogue.scripted_chat.name, scripts[length].marker, stream=True)
        read[length] = await cut_after(caller, body, length=length)

    asyncio.run(some_at_once([lambda at=at: call(at) for at in lengths]))  # type: ignore[misc]
    rows = find_calls(caller.key.id, count=len(scripts) + 1)[1:]
    assert all(script.hung_up.wait(1) for script in scripts.values())
    assert {(row.status, row.code, row.usage_estimated) for row in rows} == {
        ("client_gone", "client_gone", True)
    }
    assert all(row.input_tokens > 0 for row in rows)
    assert {row.output_tokens for row in rows} <= {0, 1, 2, 3}
    by_id = {row.request_id: row.output_tokens for row in rows}
    for received in read.values():
        # What was read was sent, and more may have been: nobody pays for less than was read.
        if b"day." in received:
            assert by_id[request_id_of(received)] == 3
        elif b"Good " in received:
            assert by_id[request_id_of(received)] >= 1
    assert sum(b"day." in received for received in read.values()) >= 1
    assert sum(b"Good " in received for received in read.values()) > len(chunk(delta("day.")))


def _visible_length(model: AiModel, caller: Caller, scripted: ScriptedUpstream) -> int:
    """How many bytes a caller gets of two events."""
    script = scripted.play(TWO_EVENTS, ending=Ending.HANG)
    body = chat_body(model.name, script.marker, stream=True)
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(write_request("POST", CHAT, body, headers=caller.headers()))
        received = b""
        while b"day." not in received:
            received += connection.recv(1 << 16)
    return len(received)


@pytest.mark.time_limit_s(120)
def test_a_drained_stream_is_exact_wherever_the_caller_hung_up(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    caller = new_caller_of(catalogue.scripted_drain)
    visible = _visible_length(catalogue.scripted_drain, caller, scripted)
    left = {at: threading.Event() for at in range(visible + 1)}
    scripts = {
        at: scripted.play(
            TWO_EVENTS,
            event,
            chunk(usage_event(7, 3)),
            chunk(DONE) + LAST_CHUNK,
        )
        for at, event in left.items()
    }

    async def call(length: int) -> None:
        body = chat_body(catalogue.scripted_drain.name, scripts[length].marker, stream=True)
        await cut_after(caller, body, length=length)
        await asyncio.sleep(0.02)
        left[length].set()

    asyncio.run(some_at_once([lambda at=at: call(at) for at in left]))  # type: ignore[misc]
    find_calls(caller.key.id, count=len(scripts) + 1)
    rows = Call.objects.filter(key_id=caller.key.id).order_by("id")[1:]
    assert {(row.input_tokens, row.output_tokens, row.usage_estimated) for row in rows} == {
        (7, 3, False)
    }
    assert {row.status for row in rows} <= {"client_gone", "answered"}


def test_a_drained_stream_is_exact_when_the_caller_left_before_the_first_byte(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    caller = new_caller_of(catalogue.scripted_drain)
    left = threading.Event()
    script = scripted.play(left, stream(*SHORT))
    body = chat_body(catalogue.scripted_drain.name, script.marker, stream=True)
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(write_request("POST", CHAT, body, headers=caller.headers()))
        while not script.requests:
            time.sleep(0.01)
    time.sleep(0.1)
    left.set()

    (row,) = find_calls(caller.key.id, count=1)
    assert (row.status, row.output_tokens, row.usage_estimated) == ("client_gone", 3, False)


def test_a_hang_up_closes_the_upstream_within_a_second(
    catalogue: Catalogue, new_caller_of: CallerMaker, upstream: RunningUpstream
) -> None:
    caller = new_caller_of(catalogue.chat)
    marker = f"hang-up-{caller.key.public_id}"
    body = chat_body(
        catalogue.chat.name, demo(marker=marker, chunk_delay_s=0.05, tokens=500), stream=True
    )
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(write_request("POST", CHAT, body, headers=caller.headers()))
        assert connection.recv(100)
        hung_up_at = time.monotonic()
    while upstream.calls(marker)[0]["outcome"] != "client_left":
        assert time.monotonic() - hung_up_at < 1
        time.sleep(0.02)

    (row,) = find_calls(caller.key.id, count=1)
    assert (row.status, row.usage_estimated) == ("client_gone", True)


def test_a_call_that_is_not_streamed_goes_on_to_its_end_when_the_caller_left(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    body = chat_body(catalogue.chat.name, demo(delay_s=0.5, tokens=20))
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(write_request("POST", CHAT, body, headers=caller.headers()))
        time.sleep(0.2)

    (row,) = find_calls(caller.key.id, count=1)
    assert (row.status, row.output_tokens, row.usage_estimated) == ("answered", 20, False)


def test_the_bytes_of_a_stream_are_the_same_however_the_upstream_split_them(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    caller = new_caller_of(catalogue.scripted_chat)
    answer = stream(*SHORT)
    bodies = set()
    for step in (1, 7, 1000):
        pieces: list[bytes | float] = []
        for start in range(0, len(answer), step):
            pieces += [answer[start : start + step], 0.0]
        script = scripted.play(*pieces)
        reply = caller.post(
            CHAT, chat_body(catalogue.scripted_chat.name, script.marker, stream=True)
        )
        bodies.add(reply.body)
        assert find_call(reply.request_id).output_tokens == 3

    assert len(bodies) == 1
    assert json.loads(bodies.pop().split(b"\n")[0].removeprefix(b"data: "))["id"] == "c"
