"""From where and when a caller may come: the lists of networks and the hours that apply to it, all of which have to hold."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from portal.lib.client_address import Network
from portal.lib.hours import Hours


def lists_over(*lists: Sequence[str]) -> tuple[tuple[Network, ...], ...]:
    """Return the lists of networks that apply, in each of which a caller has to stand. An empty list is no condition."""
    return tuple(tuple(ipaddress.ip_network(text) for text in one) for one in lists if one)


def hours_over(*hours: Mapping[str, Any] | None) -> tuple[Hours, ...]:
    """Return the hours that apply, in each of which a call has to lie. None is no condition."""
    return tuple(Hours.read(one) for one in hours if one is not None)
