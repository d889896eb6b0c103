"""The true peer of a call: the connection's own address, or the one that a configured number of trusted proxies wrote.

Only X-Forwarded-For is read, only from the right, and only as many entries as there are trusted hops: everything left of
them was written by the caller. RFC 7239's Forwarded, X-Real-IP and the rest are never read.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LONGEST_ADDRESS = 64


def parse_address(text: str) -> Address | None:
    """Return the address, IPv4-mapped IPv6 as IPv4 and without an interface's name, or None when it is none."""
    try:
        address = ipaddress.ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))


def true_peer(connection: str, forwarded_for: Sequence[str], *, trusted_hops: int) -> str:
    """Return the peer's address as text; "" when it cannot be known, which no address list accepts.

    forwarded_for: the values of every X-Forwarded-For header, in order.
    """
    if trusted_hops == 0:
        return _normal(connection)
    entries = [part for value in forwarded_for for part in value.split(",")]
    if len(entries) < trusted_hops:
        return ""
    return _normal(entries[-trusted_hops])


def within(peer: str, networks: Sequence[Network]) -> bool:
    """Say whether the peer stands in one of the networks; an unknown peer stands in none."""
    address = parse_address(peer)
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


def _normal(text: str) -> str:
    return _normal_short(text) if len(text) <= _LONGEST_ADDRESS else ""


@lru_cache(maxsize=16_384)
def _normal_short(text: str) -> str:
    """Kept for peers that call again and again; bounded in number and length, as callers choose what is kept."""
    address = parse_address(text)
    return "" if address is None else str(address)
