"""Scheme, host and port of a base URL, read so strictly that no two parsers could disagree."""

import ipaddress
import re
from typing import Literal

import msgspec

_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!$-;=@-\[\]_a-z~]*)?",
    re.IGNORECASE | re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# Resolvers read such a last label as part of an IPv4 number: 0x7f.1, 2130706433, 017700000001.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


class Origin(msgspec.Struct, frozen=True):
    """Where connections go. Two equal origins share a pool."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    @classmethod
    def from_url(cls, base_url: str) -> tuple["Origin", bytes]:
        """Read a base URL into its origin and its path, without a final slash.

        Raises: ValueError, whose text never repeats the URL (it may hold a password).
        """
        match = _URL.fullmatch(base_url)
        if match is None:
            raise ValueError(_describe_fault(base_url))
        scheme: Literal["http", "https"] = "https" if match["scheme"].lower() == "https" else "http"
        port = int(match["port"] or _DEFAULT_PORTS[scheme])
        if not 1 <= port <= 65535:
            raise ValueError("The base URL's port must lie between 1 and 65535.")
        path = (match["path"] or "").rstrip("/")
        return cls(scheme, _read_host(match["host"].lower()), port), path.encode("ascii")

    def __str__(self) -> str:
        """The form in which browsers name an origin."""
        return f"{self.scheme}://{self.host_header().decode()}"

    def host_header(self) -> bytes:
        """Return the Host that belongs to this origin, without a default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port != _DEFAULT_PORTS[self.scheme]:
            host = f"{host}:{self.port}"
        return host.encode("ascii")


def https_url(text: str) -> str:
    """Return the address, or "" for none. Raises: ValueError for what leads to no server over TLS."""
    if text and Origin.from_url(text)[0].scheme != "https":
        raise ValueError("it does not start with https://")
    return text


def _read_host(host: str) -> str:
    if host.startswith("["):
        return _read_address(host[1:-1], ipaddress.IPv6Address)
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _read_address(host, ipaddress.IPv4Address)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("The base URL's host is not a DNS name. Write it without a final dot.")
    return host


def _read_address(
    text: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]
) -> str:
    try:
        return str(kind(text))
    except ValueError:
        raise ValueError(
            "The base URL's host is a number but no address. Write IPv4 as four decimal parts "
            "and IPv6 in brackets."
        ) from None


def _describe_fault(url: str) -> str:
    if not url.isascii():
        return "The base URL must be ASCII. Write the host in its xn-- form."
    if any(character <= " " or character == "\x7f" for character in url):
        return "The base URL contains a space or a control character."
    if not url.lower().startswith(("http://", "https://")):
        return "The base URL must start with http:// or https://."
    if "@" in url.split("://", 1)[1].split("/", 1)[0]:
        return "The base URL must not hold a user name or password. Seal the credential instead."
    if "?" in url or "#" in url:
        return "The base URL must have neither a query nor a fragment."
    return "The base URL is not of the form https://host:port/path."
