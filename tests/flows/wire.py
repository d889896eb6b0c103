"""HTTP as bytes: what is sent is what a test wrote, and what comes back is read without mercy."""

import http.client
import io
import itertools
import json
import socket
from dataclasses import dataclass
from typing import Any

_addresses = itertools.count(1)


@dataclass(frozen=True)
class Reply:
    """One answer, decoded by Python's own HTTP client."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of an error's envelope."""
        return str(self.json()["error"]["code"])

    @property
    def request_id(self) -> str:
        """The id under which the call stands in the ledger."""
        return self.headers["x-request-id"]

    def events(self) -> list[str]:
        """The data of each server-sent event."""
        assert self.body.endswith(b"\n\n"), self.body[-200:]
        blocks = self.body.decode().removesuffix("\n\n").split("\n\n")
        assert all(block.startswith("data: ") and "\n" not in block for block in blocks), blocks
        return [block.removeprefix("data: ") for block in blocks]


class _Received:
    """Bytes in the place of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def fresh_address() -> str:
    """A loopback address that nobody has called from: unknown keys are throttled per peer."""
    number = next(_addresses)
    return f"127.{1 + number // 62_500 % 250}.{1 + number // 250 % 250}.{1 + number % 250}"


def connect(port: int, *, address: str | None = None, timeout_s: float = 20.0) -> socket.socket:
    """A connection to the gateway from this loopback address."""
    return socket.create_connection(
        ("127.0.0.1", port), timeout_s, source_address=(address or fresh_address(), 0)
    )


def exchange(
    port: int, data: bytes, *, address: str | None = None, timeout_s: float = 20.0
) -> bytes:
    """Send bytes, and return everything until the other side ends the connection."""
    with connect(port, address=address, timeout_s=timeout_s) as connection:
        connection.sendall(data)
        return receive_all(connection)


def receive_all(connection: socket.socket) -> bytes:
    """Read until the other side ends the connection."""
    received = b""
    while data := connection.recv(1 << 16):
        received += data
    return received


def read_reply(data: bytes, *, method: str = "GET") -> Reply:
    """Decode one answer to a request with this method."""
    response = http.client.HTTPResponse(_Received(data), method=method)  # type: ignore[arg-type]
    response.begin()
    return Reply(response.status, response.headers, response.read())


def write_request(
    method: str,
    target: str,
    body: bytes = b"",
    *,
    headers: list[tuple[str, str]],
    host: str = "localhost",
) -> bytes:
    """A request in one piece, whose connection ends with the answer."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
