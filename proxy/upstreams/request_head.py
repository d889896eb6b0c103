"""The bytes of a request's head, built so that no text can add a line, a header or a request."""

from collections.abc import Sequence
from functools import lru_cache

Headers = Sequence[tuple[bytes, bytes]]

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


class HeadStart:
    """What every head to one target has in common, put into bytes and checked once.

    Raises: ValueError for what could end a line, and for headers that the client sets itself.
    """

    __slots__ = ("_bytes",)

    def __init__(
        self, host_header: bytes, *, method: bytes, target: bytes, headers: Headers = ()
    ) -> None:
        start = b"%b\r\nhost: %b\r\n" % (_start_line(method, target), host_header)
        self._bytes = _checked(start, line_ends=2) + _encode_fields(headers)

    def complete(self, headers: Headers, *, body_bytes: int) -> bytes:
        """Return the whole head of a request with these further headers, whose body has this length.

        Raises: ValueError, as above.
        """
        fields = _encode_fields(headers)
        return b"%b%bcontent-length: %d\r\n\r\n" % (self._bytes, fields, body_bytes)


def _encode_fields(headers: Headers) -> bytes:
    lines = [_name_part(name) + value for name, value in headers]
    lines.append(b"")
    return _checked(b"\r\n".join(lines), line_ends=len(headers))


def _checked(text: bytes, *, line_ends: int) -> bytes:
    if text.count(b"\n") != line_ends or text.count(b"\r") != line_ends:
        raise ValueError("A header's value holds a line end.")
    if text.translate(None, _ALLOWED):
        raise ValueError("A header's value holds a control character.")
    return text


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
