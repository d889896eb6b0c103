"""SPIFFE's names of workloads. A trust domain is an issuer here under `spiffe://NAME`, whose tokens need name no issuer.

Source: the SPIFFE-ID and JWT-SVID standards (a JWT-SVID demands `sub`, `aud` and `exp` alone).
"""

import re
from typing import Any

_TRUST_DOMAIN = re.compile(r"spiffe://[a-z0-9._-]{1,255}", re.ASCII)
_ID = re.compile(r"(spiffe://[a-z0-9._-]{1,255})(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._-]+)+", re.ASCII)


def is_trust_domain(name: str) -> bool:
    """Whether an issuer's name is that of a trust domain."""
    return _TRUST_DOMAIN.fullmatch(name) is not None


def trust_domain_of(subject: Any) -> str:
    """The trust domain that a workload's SPIFFE id stands in, as `spiffe://NAME`; "" for whatever is no such id."""
    found = _ID.fullmatch(subject) if isinstance(subject, str) else None
    return found[1] if found else ""
