"""Which database of which Valkey a URL leads to, so that two spellings of one are recognised."""

import ipaddress
from urllib.parse import parse_qs, urlsplit

DEFAULT_PORT = 6379
LOOPBACK = "localhost"
Place = tuple[str, int, str]


def store_place(url: str) -> Place:
    """Return (host or socket's path, port, database) of a redis://, rediss://, unix:// or redis+socket:// URL."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.scheme in ("unix", "redis+socket"):
        named = query.get("db") or query.get("virtual_host") or ["0"]
        return parts.path, 0, _number(named[0])
    named = query.get("db") or [parts.path.strip("/") or "0"]
    return _host(parts.hostname or LOOPBACK), parts.port or DEFAULT_PORT, _number(named[0])


def _host(name: str) -> str:
    """One spelling for an address, and one for everything that leads to this host."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.rstrip(".")
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return LOOPBACK if address.is_loopback or address.is_unspecified else str(address)


def _number(database: str) -> str:
    text = database.strip("/")
    return str(int(text)) if text.isdecimal() else text
