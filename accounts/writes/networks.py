"""Lists of networks as they are kept: on keys, service accounts, teams, providers and rules of trust."""

import ipaddress
from collections.abc import Sequence

from django.core.exceptions import ValidationError

NETWORKS_MAX = 100


def checked_networks(texts: Sequence[str]) -> list[str]:
    """Return networks in their one form, each once. Raises: ValidationError naming `networks`."""
    if len(texts) > NETWORKS_MAX:
        raise ValidationError({"networks": f"At most {NETWORKS_MAX} networks."})
    return list(dict.fromkeys(_network(text) for text in texts))


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise ValidationError(
            {"networks": f"{text!r} is no network in CIDR form: {error}."}
        ) from None
    if isinstance(network, ipaddress.IPv6Network) and (
        network[0].ipv4_mapped is not None or "%" in text
    ):
        # Peers are compared as plain IPv4 and IPv6, so this would never match.
        raise ValidationError({"networks": f"{text!r} is no plain IPv4 or IPv6 network."})
    return str(network)
