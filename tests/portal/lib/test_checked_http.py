"""T12 for jobs and commands: no name, form of an address or redirect leads where the networks do not."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from portal.lib.checked_http import AnswerTooLarge, get_bytes
from portal.lib.networks import AddressNotAllowed, NetworkPolicy

HERE = NetworkPolicy.parse("127.0.0.0/8,::1/128")
ELSEWHERE = NetworkPolicy.parse("10.0.0.0/8,public")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

Answer = Callable[[socket.socket], None]


class Server:
    """A server on loopback that keeps every head it was sent."""

    def __init__(self, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.heads: list[bytes] = []

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/models"


@contextmanager
def serve(answer: Answer | bytes, *, address: str = "127.0.0.1") -> Iterator[Server]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        server = Server(listener)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    server.heads.append(connection.recv(65_536))
                    try:
                        connection.sendall(answer) if isinstance(answer, bytes) else answer(
                            connection
                        )
                    except OSError:
                        continue

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(OK) as running:
        yield running


def test_listed_address_answers(server: Server) -> None:
    assert get_bytes(server.url(), networks=HERE) == b"ok"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",  # noqa: S104 - an address to refuse.
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "user:password@127.0.0.1",
        "10.0.0.1@127.0.0.1",
        "①②⑦.0.0.1",
        "127。0。0。1",
    ],
)
def test_loopback_by_any_name_is_refused_where_it_is_not_listed(server: Server, host: str) -> None:
    with pytest.raises((AddressNotAllowed, requests.RequestException, UnicodeError)):
        get_bytes(server.url(host), networks=ELSEWHERE, timeout_s=1)
    assert server.heads == []


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "0", "[::]"])
def test_forms_that_are_never_connected_to_are_refused_even_where_loopback_is_listed(
    server: Server, host: str
) -> None:
    with pytest.raises(AddressNotAllowed):
        get_bytes(server.url(host), networks=HERE, timeout_s=1)
    assert server.heads == []


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200", "192.168.0.1"]
)
def test_metadata_link_and_private_addresses_are_refused_before_connecting(host: str) -> None:
    started = time.monotonic()
    with pytest.raises(AddressNotAllowed):
        get_bytes(f"http://{host}/latest/meta-data", networks=ELSEWHERE, timeout_s=5)
    assert time.monotonic() - started < 1


def test_ipv6_loopback_is_reached_where_it_is_listed() -> None:
    with serve(OK, address="::1") as server:
        assert get_bytes(server.url("[::1]"), networks=HERE) == b"ok"
        with pytest.raises(AddressNotAllowed):
            get_bytes(server.url("[::1]"), networks=NetworkPolicy.parse("127.0.0.0/8"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(server: Server, status: int) -> None:
    redirect = f"HTTP/1.1 {status} x\r\nLocation: {server.url()}\r\nContent-Length: 0\r\n\r\n"
    with serve(redirect.encode()) as first:
        with pytest.raises(requests.TooManyRedirects):
            get_bytes(first.url(), networks=HERE, headers={"Authorization": "Bearer secret"})
        assert len(first.heads) == 1
    assert server.heads == []


def test_proxy_and_netrc_of_the_environment_are_ignored(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password netrc-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serve(OK) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert get_bytes(server.url(), networks=HERE) == b"ok"
        assert proxy.heads == []
    assert b"authorization" not in server.heads[0].lower()


def test_answer_over_the_limit_is_refused_while_it_is_read() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with serve(endless) as server, pytest.raises(AnswerTooLarge):
        get_bytes(server.url(), networks=HERE, max_bytes=100_000)


def test_compressed_answer_is_not_unpacked() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    with serve(head) as server:
        assert get_bytes(server.url(), networks=HERE) == b"\x1f\x8b\x08\x00"


BROKEN = {
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
    "chunks cut off": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "no chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "nothing": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "500": b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_broken_answer_is_an_error_of_requests(answer: bytes) -> None:
    with serve(answer) as server, pytest.raises(requests.RequestException):
        get_bytes(server.url(), networks=HERE, timeout_s=2)


def test_silent_server_is_given_up() -> None:
    with serve(lambda _: time.sleep(1)) as server, pytest.raises(requests.RequestException):
        get_bytes(server.url(), networks=HERE, timeout_s=0.2)


def test_server_that_drips_is_given_up() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(50):
            connection.sendall(b"x")
            time.sleep(0.05)

    with serve(drip) as server, pytest.raises(requests.ReadTimeout):
        get_bytes(server.url(), networks=HERE, timeout_s=1, total_s=0.3)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://h/", "//h/", ""]
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(requests.RequestException):
        get_bytes(url, networks=HERE)


def drip(before: bytes) -> Answer:
    """Send a beginning, and then a byte at a time for longer than anybody waits."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(before)
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    return answer


@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"]
)
def test_all_of_an_answer_comes_within_the_time_however_it_drips(before: bytes) -> None:
    with serve(drip(before)) as server:
        began = time.monotonic()
        with pytest.raises(requests.ReadTimeout):
            get_bytes(server.url(), networks=HERE, timeout_s=5, total_s=0.3)
        assert time.monotonic() - began < 2
    with serve(OK) as server:
        assert get_bytes(server.url(), networks=HERE, timeout_s=5, total_s=5) == b"ok"
