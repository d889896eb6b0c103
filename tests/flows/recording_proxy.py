"""A proxy in front of PostgreSQL that keeps what was sent to it, and tells the statements apart from the values."""

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import conninfo

# A request for encryption, which comes before a connection's first message.
_ENCRYPTION = (80877103, 80877104)
# `E'…'` is what a client writes where a text holds a backslash.
_LITERAL = re.compile(r"[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'", re.DOTALL)


class RecordingProxy:
    """Keeps what each connection sent to the server."""

    def __init__(self, url: str) -> None:
        parts = conninfo.conninfo_to_dict(url)
        self._host, self._port = str(parts["host"]), int(parts.get("port") or 5432)
        self._sent: list[bytearray] = []
        self._sockets: list[socket.socket] = []

    def statements(self) -> list[str]:
        """The text of every statement so far, whole; values that were sent beside it are no part of it."""
        return [text for sent in list(self._sent) for text in _statements(bytes(sent))]

    def sent(self) -> bytes:
        """All bytes, with the values."""
        return b"".join(map(bytes, list(self._sent)))

    def serve(self, listening: socket.socket) -> None:
        """Forward each connection until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                here = listening.accept()[0]
                there = self._connect()
                self._sockets += [here, there]
                self._sent.append(kept := bytearray())
                for source, sink, copy in ((here, there, kept), (there, here, None)):
                    threading.Thread(
                        target=_forward, args=(source, sink, copy), daemon=True
                    ).start()

    def close(self) -> None:
        """End every connection."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        there = socket.socket(socket.AF_UNIX)
        there.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return there


@contextmanager
def recording_proxy(url: str) -> Iterator[tuple[RecordingProxy, str]]:
    """Yield the proxy, and the URL that leads through it."""
    proxy = RecordingProxy(url)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=proxy.serve, args=(listening,), daemon=True)
        thread.start()
        try:
            yield proxy, _through(url, listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            proxy.close()


def without_literals(statement: str) -> str:
    """The statement with every text in it taken out: what is left is read as SQL."""
    return _LITERAL.sub("''", statement)


def _through(url: str, port: int) -> str:
    parts = conninfo.conninfo_to_dict(url)
    user, password, name = (str(parts[part]) for part in ("user", "password", "dbname"))
    return (
        f"postgresql://{user}:{password}@127.0.0.1:{port}/{name}?sslmode=disable&gssencmode=disable"
    )


def _forward(source: socket.socket, sink: socket.socket, copy: bytearray | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if copy is not None:
                copy += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def _statements(sent: bytes) -> Iterator[str]:
    """Read a client's messages: its Parse and Query hold statements. Source: PostgreSQL's manual, Message Formats."""
    at = 0
    while at + 8 <= len(sent):
        length, code = struct.unpack_from("!II", sent, at)
        at += length
        if code not in _ENCRYPTION:
            break
    while at + 5 <= len(sent):
        kind, length = sent[at : at + 1], struct.unpack_from("!I", sent, at + 1)[0]
        body = sent[at + 5 : at + 1 + length]
        if kind == b"Q":
            yield body.split(b"\0")[0].decode()
        elif kind == b"P":
            yield body.split(b"\0")[1].decode()
        at += 1 + length
