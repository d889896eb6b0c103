"""What tells a client that was refused how to come: the scheme, where the resource is described, and what was wrong.

RFC 9110, 11.6.1; RFC 6750, 3; RFC 9728, 5.1. A challenge says no more than the status and the code beside it.
"""

from enum import StrEnum

from accounts.oauth.issuer import metadata_of
from accounts.ways_in.proven import Door

HEADER = "WWW-Authenticate"


class TokenError(StrEnum):
    """What is wrong with a credential that was presented. Without one, the challenge names no error (RFC 6750, 3.1)."""

    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a name, no token.
    INSUFFICIENT_SCOPE = "insufficient_scope"


def challenge(door: Door, error: TokenError | None = None) -> str:
    """Return the challenge of what is behind a door, as the header's value."""
    described = f'Bearer resource_metadata="{metadata_of(door)}"'
    return described if error is None else f'{described}, error="{error}"'
