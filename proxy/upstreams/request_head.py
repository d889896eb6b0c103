"""The bytes of a request's head, built so that no text can add a line, a header or a request."""

from collections.abc import Sequence
from functools import lru_cache

_METHODS = frozenset({b"GET", b"POST", b"PUT", b"PATCH", b"DELETE"})
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TARGET = frozenset(range(0x21, 0x7F)) - {ord("#")}
# What a value may hold (RFC 9110, 5.5), and CR and LF, which are counted instead.
_ALLOWED = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x7F), *range(0x80, 0x100)])
# The client alone decides on framing, routing, compression and the connection's life.
_OURS = frozenset(
    {
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


def encode_request_head(
    host_header: bytes,
    *,
    method: bytes,
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    body_bytes: int,
) -> bytes:
    """Return the head of a request whose body has this length.

    Raises: ValueError for what could end a line, and for headers that the client sets itself.
    """
    lines = [_start_line(method, target), host_header]
    for name, value in headers:
        lines.append(_name_part(name) + value)
    lines.append(b"content-length: %d\r\n\r\n" % body_bytes)
    head = b"\r\nhost: ".join(lines[:2]) + b"\r\n" + b"\r\n".join(lines[2:])
    line_ends = len(headers) + 4
    if head.count(b"\n") != line_ends or head.count(b"\r") != line_ends:
        raise ValueError("A header's value holds a line end.")
    if head.translate(None, _ALLOWED):
        raise ValueError("A header's value holds a control character.")
    return head


@lru_cache(maxsize=1024)
def _start_line(method: bytes, target: bytes) -> bytes:
    if method not in _METHODS:
        raise ValueError("The method must be one of GET, POST, PUT, PATCH and DELETE.")
    if not target.startswith(b"/") or not _TARGET.issuperset(target):
        raise ValueError("The target must start with / and be visible ASCII without #.")
    return method + b" " + target + b" HTTP/1.1"


@lru_cache(maxsize=1024)
def _name_part(name: bytes) -> bytes:
    if not name or not _TOKEN.issuperset(name):
        raise ValueError("A header's name is not a token.")
    if name.lower() in _OURS:
        raise ValueError(f"The client sets {name.decode().lower()} itself. Leave it out.")
    return name + b": "
