"""What has not arrived whole costs its sender nothing, so it is bounded: in size, in time and together."""

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from portal.page_door import SHARE_BYTES
from tests.flows.answers import CHAT, chat_body
from tests.flows.conftest import MAX_BODY_BYTES, CallerMaker, Catalogue
from tests.flows.house import Caller
from tests.flows.ledger import find_call
from tests.flows.processes import RunningGateway
from tests.flows.wire import Reply, connect, fresh_address, read_reply, receive_all, write_request

FORM = ("Content-Type", "application/x-www-form-urlencoded")
PAGE_BYTES = 1 << 20


@contextmanager
def arriving(caller: Caller, body: bytes, *, sent: int) -> Iterator[socket.socket]:
    """A call of whose body only so much has been sent; it hangs up at the end of the block."""
    request = write_request("POST", CHAT, body, headers=caller.headers())
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(request[: len(request) - len(body) + sent])
        # The gateway reads as fast as it gets, yet not at once.
        time.sleep(0.3)
        yield connection


def reply_on(connection: socket.socket) -> Reply:
    return read_reply(receive_all(connection))


def test_one_key_holds_no_more_of_arriving_bodies_than_its_share(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller, other = new_caller_of(catalogue.chat), new_caller_of(catalogue.chat)
    body = chat_body(catalogue.chat.name, "a" * (MAX_BODY_BYTES - 2000))
    most = len(body) - 1
    with arriving(caller, body, sent=most) as first:
        with arriving(caller, body, sent=most) as second:
            refused = reply_on(second)
        assert (refused.status, refused.code) == (503, "bodies_busy")
        assert refused.headers["retry-after"] == "1"
        small = chat_body(catalogue.chat.name)
        assert caller.post(CHAT, small).status == 200
        with arriving(caller, small, sent=5) as third:
            third.sendall(small[5:])
            assert reply_on(third).status == 200
        assert other.post(CHAT, body).status == 200
        first.sendall(body[most:])
        assert reply_on(first).status == 200
    assert caller.post(CHAT, body).status == 200
    assert find_call(refused.request_id).code == "bodies_busy"


def test_a_caller_without_calls_left_need_not_send_a_large_body_to_hear_so(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, requests_per_minute=1)
    replies = [caller.post(CHAT, chat_body(catalogue.chat.name)) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 429]
    body = chat_body(catalogue.chat.name, "a" * (MAX_BODY_BYTES - 2000))
    with arriving(caller, body, sent=600_000) as connection:
        refused = reply_on(connection)
    assert (refused.status, refused.code) == (429, "limit_reached")


def post_page(gateway: RunningGateway, *lines: str) -> socket.socket:
    connection = connect(gateway.port, address=fresh_address(), timeout_s=10)
    head = "\r\n".join(["POST /sign-in/ HTTP/1.1", "Host: localhost", *lines, "", ""])
    connection.sendall(head.encode())
    return connection


def send_for_ever(connection: socket.socket) -> int:
    """Send until nobody takes it any more; return how much was taken."""
    sent, piece = 0, b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    with contextlib.suppress(ConnectionError, TimeoutError):
        while sent < 100 * PAGE_BYTES:
            connection.sendall(piece)
            sent += 0x10000
    return sent


def test_a_body_without_end_is_not_taken_in_by_a_page(gateway: RunningGateway) -> None:
    with post_page(gateway, "Transfer-Encoding: chunked", ": ".join(FORM)) as connection:
        # What the sockets between hold is taken too.
        assert send_for_ever(connection) < 20 * PAGE_BYTES


@pytest.mark.parametrize("length", [str(PAGE_BYTES + 1), "9" * 17])
def test_a_body_announced_too_large_is_refused_by_a_page_before_it_is_sent(
    gateway: RunningGateway, length: str
) -> None:
    with post_page(gateway, f"Content-Length: {length}", ": ".join(FORM)) as connection:
        reply = reply_on(connection)
    assert (reply.status, reply.headers["connection"]) == (413, "close")


def test_a_form_of_the_largest_size_reaches_its_page(gateway: RunningGateway) -> None:
    body = b"a=" + b"b" * (PAGE_BYTES - 2)
    with post_page(
        gateway, f"Content-Length: {len(body)}", ": ".join(FORM), "Connection: close"
    ) as connection:
        connection.sendall(body)
        # Without a token against forgery it is refused there.
        assert reply_on(connection).status == 403


def test_a_body_that_does_not_come_is_not_waited_for_by_a_page(gateway: RunningGateway) -> None:
    started = time.monotonic()
    with post_page(gateway, "Content-Length: 100", ": ".join(FORM)) as connection:
        connection.sendall(b"a=b")
        assert reply_on(connection).status == 408
    assert 1.5 < time.monotonic() - started < 5


def test_one_address_holds_no_more_of_pages_bodies_than_its_share(gateway: RunningGateway) -> None:
    address = fresh_address()
    head = f"POST /sign-in/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {PAGE_BYTES}\r\n\r\n"

    def open_one() -> socket.socket:
        connection = connect(gateway.port, address=address, timeout_s=10)
        connection.sendall(head.encode() + b"a" * (PAGE_BYTES - 1))
        return connection

    with ExitStack() as stack:
        opened = [stack.enter_context(open_one()) for _ in range(SHARE_BYTES // PAGE_BYTES + 3)]
        statuses = [reply_on(one).status for one in opened]
    # Those that were let in wait for their last byte, in vain. The beginning of each does not count.
    assert set(statuses) == {503, 408}
    assert statuses.count(408) <= SHARE_BYTES // (PAGE_BYTES - 64 * 1024)
    with open_one() as again:
        assert reply_on(again).status == 408
