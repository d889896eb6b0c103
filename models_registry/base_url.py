"""What may stand as a provider's address: only what every parser reads alike, and nothing secret."""

import ipaddress
import re

from django.core.exceptions import ValidationError

_FORM = re.compile(
    r"https?://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9._~:@!$&'()*+,;=%/-]*)?",
    re.ASCII,
)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
# Resolvers read such a last label as part of an IPv4 number: 0x7f.1, 2130706433, 017700000001.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)


def validate_base_url(text: str) -> None:
    """Refuse what is not `http(s)://host[:port][/path]`. The URL is not repeated: it may hold a password.

    Names without a dot are fine, as those of neighbours in a cluster are.
    """
    match = _FORM.fullmatch(text)
    if match is None or not _is_host(match["host"]) or not 1 <= int(match["port"] or 80) <= 65535:
        raise ValidationError(
            "This is not of the form https://host:port/path, without a user, a password, a query or a fragment."
        )


def _is_host(host: str) -> bool:
    try:
        if host.startswith("["):
            return bool(ipaddress.IPv6Address(host[1:-1]))
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            return bool(ipaddress.IPv4Address(host))
    except ValueError:
        return False
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.split("."))
