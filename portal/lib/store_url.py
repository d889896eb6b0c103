"""Which database of which Valkey a URL leads to, so that two spellings of one are recognised."""

from urllib.parse import parse_qs, urlsplit

DEFAULT_PORT = 6379
Place = tuple[str, int, str]


def store_place(url: str) -> Place:
    """Return (host or socket's path, port, database) of a redis://, rediss://, unix:// or redis+socket:// URL."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.scheme in ("unix", "redis+socket"):
        named = query.get("db") or query.get("virtual_host") or ["0"]
        return parts.path, 0, named[0]
    named = query.get("db") or [parts.path.strip("/") or "0"]
    return parts.hostname or "localhost", parts.port or DEFAULT_PORT, named[0]
