"""Principals as a gateway would load them."""

from accounts.ways_in.presented import read_presented
from proxy.principal import Principal
from proxy.principals import load_principal


def loaded(text: str) -> Principal | None:
    """Return the principal of what a caller presents, or None where it is refused."""
    presented = read_presented(text)
    return None if presented is None else load_principal(presented)
