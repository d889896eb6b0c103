import ipaddress
from collections.abc import Sequence

from portal.lib.client_address import Network


def lists_over(*lists: Sequence[str]) -> tuple[tuple[Network, ...], ...]:
    """Return the lists of networks that apply, in each of which a caller has to stand. An empty list is no condition."""
    return tuple(tuple(ipaddress.ip_network(text) for text in one) for one in lists if one)
