"""Which addresses this installation connects to.

They are the networks that a setting lists, the public internet if it says so, and never those that
lead to the host itself, to its neighbours on the link, or to a cloud's metadata.
An address is judged as a number, after every name has been resolved, and the connection goes to
that very address.
"""

import ipaddress

import msgspec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PUBLIC_WORD = "public"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# No setting opens these. Alibaba, Azure and Oracle serve metadata outside the link-local range.
_NEVER: dict[Network, str] = {
    ipaddress.ip_network(text): reason
    for text, reason in (
        ("0.0.0.0/8", "it means this host"),
        ("169.254.0.0/16", "it is link-local, where metadata services answer"),
        ("100.100.100.200/32", "it is a metadata service"),
        ("168.63.129.16/32", "it is a metadata service"),
        ("192.0.0.192/32", "it is a metadata service"),
        ("224.0.0.0/4", "it is multicast"),
        ("240.0.0.0/4", "it is reserved or broadcast"),
        ("::/128", "it means this host"),
        ("::ffff:0:0/96", "it is an IPv4 address in IPv6 form"),
        ("::ffff:0:0:0/96", "it is an IPv4 address in IPv6 form"),
        ("fe80::/10", "it is link-local"),
        ("fec0::/10", "it is site-local, which is no longer in use"),
        ("ff00::/8", "it is multicast"),
        ("fd00:ec2::254/128", "it is a metadata service"),
        ("fd20:ce::254/128", "it is a metadata service"),
        ("2001::/32", "it is a Teredo tunnel"),
        ("2002::/16", "it is a 6to4 tunnel"),
    )
}
# ::/96 holds ::1 as well, which a network may list.
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
_LOOPBACK_V6 = ipaddress.IPv6Address("::1")


class AddressNotAllowed(ValueError):
    """The address is outside what the policy allows; the text says why and is safe to log."""


class NetworkPolicy(msgspec.Struct, frozen=True):
    """What an installation may connect to.

    allowed: networks listed by the operator, private ranges among them.
    public: whether every globally reachable address is allowed as well.
    """

    allowed: tuple[Network, ...] = ()
    public: bool = False

    @classmethod
    def parse(cls, text: str) -> "NetworkPolicy":
        """Read the setting: CIDRs and the word `public`, parted by commas; empty allows nothing.

        Raises: ValueError that names the part which is wrong.
        """
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return cls(
            allowed=tuple(_parse_network(part) for part in parts if part != PUBLIC_WORD),
            public=PUBLIC_WORD in parts,
        )

    def check(self, address: Address) -> None:
        """Return if this address may be connected to. Raises: AddressNotAllowed."""
        never = _reason_never(address)
        if never is not None:
            raise AddressNotAllowed(f"{address} is never connected to: {never}.")
        if isinstance(address, ipaddress.IPv6Address) and address in _NAT64:
            # The translator forwards to the IPv4 address inside, so that is the one to judge.
            return self.check(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(address in network for network in self.allowed):
            return None
        if self.public and _is_public(address):
            return None
        raise AddressNotAllowed(f"{address} is in no network that the settings allow.")


def _reason_never(address: Address) -> str | None:
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "it is bound to one link"
        if address in _IPV4_COMPATIBLE and address != _LOOPBACK_V6:
            return "it is an IPv4 address in IPv6 form"
    return next((reason for network, reason in _NEVER.items() if address in network), None)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        return address.is_global and address in _GLOBAL_UNICAST
    return address.is_global


def _parse_network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is not a network ({error}). Give CIDRs such as 10.20.0.0/16 and the word "
            f"`{PUBLIC_WORD}`, parted by commas."
        ) from None
    for never, reason in _NEVER.items():
        if network[0] in never and network[-1] in never:
            raise ValueError(f"{text!r} can never be allowed: {reason}. Take it out of the list.")
    return network
