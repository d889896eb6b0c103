"""What a connection bears: large and slow heads, requests behind requests, and bodies in every form."""

import json
import socket
import time
from contextlib import ExitStack, suppress

import pytest

from portal.http_connection import HEAD_BYTES_MAX, HEAD_TIMEOUT_S, HEADERS_MAX
from tests.flows.answers import CHAT, STREAM_HEAD, chat_body, chunk, delta, event
from tests.flows.conftest import CallerMaker, Catalogue
from tests.flows.house import Caller
from tests.flows.ledger import find_call, find_calls
from tests.flows.processes import RunningGateway
from tests.flows.scripted_upstream import Ending, ScriptedUpstream
from tests.flows.wire import connect, exchange, read_reply, receive_all, write_request

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def caller(catalogue: Catalogue, new_caller_of: CallerMaker) -> Caller:
    return new_caller_of(catalogue.chat, catalogue.scripted_chat)


def head_of(caller: Caller, *lines: str, target: str = CHAT, version: str = "1.1") -> bytes:
    """A call's head whose connection goes on."""
    fields = [f"{name}: {value}" for name, value in caller.headers()]
    first = f"POST {target} HTTP/{version}"
    return "\r\n".join([first, "Host: localhost", *fields, *lines, "", ""]).encode()


def request_of(caller: Caller, body: bytes, *lines: str, version: str = "1.1") -> bytes:
    return head_of(caller, f"Content-Length: {len(body)}", *lines, version=version) + body


def read_one(connection: socket.socket) -> bytes:
    """Read one answer of announced length, and nothing of the next."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1)
    length = int(read_reply_head(received)["content-length"])
    while length:
        data = connection.recv(length)
        assert data
        received, length = received + data, length - len(data)
    return received


def read_reply_head(received: bytes) -> dict[str, str]:
    lines = received.decode("latin-1").split("\r\n")[1:]
    return {n.lower(): v for n, _, v in (line.partition(": ") for line in lines if line)}


def test_one_connection_carries_calls_and_pages_in_turn(
    caller: Caller, catalogue: Catalogue
) -> None:
    body = chat_body(catalogue.chat.name)
    with connect(caller.port, address=caller.address) as connection:
        for _ in range(2):
            connection.sendall(request_of(caller, body))
            answer = read_one(connection)
            assert read_reply(answer).status == 200
            assert {"date", "x-request-id"} <= read_reply_head(answer).keys()
            connection.sendall(LIVE + b"\r\n")
            assert read_reply(read_one(connection)).status == 200
    find_calls(caller.key.id, count=2)


def test_requests_that_come_at_once_are_answered_in_their_order(
    caller: Caller, catalogue: Catalogue
) -> None:
    slow = chat_body(catalogue.chat.name, "[[demo delay_s=0.3]]")
    wrong = chat_body("nothing")
    page = LIVE + b"Connection: close\r\n\r\n"
    data = request_of(caller, slow) + request_of(caller, wrong) + page
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(data)
        assert [read_reply(read_one(connection)).status for _ in range(3)] == [200, 404, 200]
        assert connection.recv(1) == b""


def test_a_caller_who_leaves_with_a_request_waiting_leaves_the_call_before_it(
    caller: Caller, catalogue: Catalogue, scripted: ScriptedUpstream
) -> None:
    words: list[bytes | float] = [0.1, chunk(delta("day "))] * 100
    script = scripted.play(STREAM_HEAD, chunk(delta("Good ")), *words, ending=Ending.HANG)
    running = chat_body(catalogue.scripted_chat.name, script.marker, stream=True)
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(request_of(caller, running))
        received = b""
        while b"Good" not in received:
            received += connection.recv(1 << 16)
        connection.sendall(request_of(caller, running))
        time.sleep(0.2)
    assert find_calls(caller.key.id, count=1)[0].status == "client_gone"
    assert len(script.requests) == 1


def test_what_is_no_request_does_not_disturb_the_answer_before_it(
    caller: Caller, catalogue: Catalogue
) -> None:
    body = chat_body(catalogue.chat.name, "[[demo delay_s=0.3]]")
    received = exchange(
        caller.port, request_of(caller, body) + b"\x00\r\n\r\n", address=caller.address
    )
    reply = read_reply(received)
    assert reply.status == 200
    assert received.endswith(reply.body)


@pytest.mark.parametrize("when", ["at once", "later", "behind another"])
@pytest.mark.parametrize(
    "chunks", [b"zz\r\n{}\r\n", b"5\r\n{}\r\n1xx", b"-1\r\n{}\r\n", b"2\n{}\r\n"]
)
def test_a_body_in_malformed_chunks_is_refused_and_ends_the_connection(
    chunks: bytes, when: str, caller: Caller, catalogue: Catalogue
) -> None:
    body = chat_body(catalogue.chat.name)
    first = b"%x\r\n%b\r\n" % (len(body), body)
    head = head_of(caller, "Transfer-Encoding: chunked")
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(head + first + b"0\r\n\r\n")
        assert read_reply(read_one(connection)).status == 200
        if when == "at once":
            connection.sendall(head + first + chunks)
        elif when == "later":
            connection.sendall(head + first)
            time.sleep(0.1)
            connection.sendall(chunks)
        else:
            connection.sendall(request_of(caller, body) + head + first + chunks)
            assert read_reply(read_one(connection)).status == 200
        answer = receive_all(connection)
    reply = read_reply(answer)
    assert (reply.status, reply.code) == (400, "malformed_request")
    assert read_reply_head(answer)["connection"] == "close"
    row = find_call(reply.request_id)
    assert (row.status, row.code) == ("refused", "malformed_request")


@pytest.mark.parametrize("form", ["chunked", "expected", "old", "split"])
def test_every_form_of_a_body_is_read(form: str, caller: Caller, catalogue: Catalogue) -> None:
    body = chat_body(catalogue.chat.name)
    with connect(caller.port, address=caller.address) as connection:
        if form == "chunked":
            pieces = b"".join(b"%x\r\n%b\r\n" % (1, body[at : at + 1]) for at in range(len(body)))
            head = head_of(caller, "Transfer-Encoding: chunked", "Connection: close")
            # A trailer that would forbid the call if it counted as a header.
            connection.sendall(head + pieces + b"0\r\nX-Api-Key: lk_wrong\r\n\r\n")
        elif form == "expected":
            length = f"Content-Length: {len(body)}"
            connection.sendall(head_of(caller, length, "Expect: 100-continue", "Connection: close"))
            assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(body)
        elif form == "old":
            connection.sendall(request_of(caller, body, version="1.0"))
        else:
            for at in range(0, len(data := request_of(caller, body, "Connection: close")), 97):
                connection.sendall(data[at : at + 97])
                time.sleep(0.002)
        reply = read_reply(receive_all(connection))
    assert reply.status == 200
    assert find_call(reply.request_id).status == "answered"


def test_a_stranger_is_not_told_to_send_a_body(gateway: RunningGateway) -> None:
    head = write_request("POST", CHAT, headers=[("Content-Type", "application/json")])
    expecting = head.replace(b"Content-Length: 0", b"Content-Length: 9\r\nExpect: 100-continue")
    assert read_reply(exchange(gateway.port, expecting)).code == "missing_credential"


@pytest.mark.parametrize("target", [b"GET /health/live", b"POST /v1/chat/completions"])
@pytest.mark.parametrize(
    "head",
    [
        b"x: y\r\n" * (HEADERS_MAX + 1),
        b"x: " + b"a" * (2 * HEAD_BYTES_MAX),
        b"x" * (2 * HEAD_BYTES_MAX),
    ],
    ids=["many", "long value", "long name"],
)
def test_a_head_that_is_too_large_is_refused_before_its_end(
    target: bytes, head: bytes, gateway: RunningGateway
) -> None:
    with connect(gateway.port) as connection:
        connection.sendall(target + b" HTTP/1.1\r\nHost: localhost\r\n" + head)
        reply = read_reply(receive_all(connection))
    assert (reply.status, reply.headers["connection"]) == (431, "close")


def test_a_head_that_does_not_come_is_not_waited_for(gateway: RunningGateway) -> None:
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(connect(gateway.port)) for _ in range(3)]
        began = time.monotonic()
        for connection, start in zip(connections, (b"", b"POST /v1/ch", LIVE), strict=True):
            connection.sendall(start)
        for connection in connections:
            with suppress(ConnectionResetError):
                assert receive_all(connection) == b""
            assert HEAD_TIMEOUT_S - 1 < time.monotonic() - began < HEAD_TIMEOUT_S + 3


def test_a_stream_is_told_to_have_begun_before_its_first_word(
    caller: Caller, catalogue: Catalogue, scripted: ScriptedUpstream
) -> None:
    script = scripted.play(
        STREAM_HEAD, 1.0, chunk(event({"choices": []})), chunk(b"data: [DONE]\n\n")
    )
    body = chat_body(catalogue.scripted_chat.name, script.marker, stream=True)
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(request_of(caller, body, "Connection: close"))
        began = time.monotonic()
        head = connection.recv(1 << 16)
        assert time.monotonic() - began < 0.8
        assert b"text/event-stream" in head
        assert json.loads(read_reply(head + receive_all(connection)).events()[0]) == {"choices": []}
