"""Who issues tokens here, for what they are, and how long they last."""

import datetime

from django.conf import settings

from accounts.models.keys import CALL_SCOPES, Scope
from accounts.ways_in.proven import Door

ACCESS_TOKEN_LIFE = datetime.timedelta(minutes=15)
CALLS = frozenset(scope.value for scope in CALL_SCOPES)
MANAGEMENT = frozenset({Scope.MANAGE.value, Scope.ADMINISTER.value})


def issuer() -> str:
    """The issuer's identifier, which the metadata, each token and each authorization response carry alike (RFC 8414, 9207)."""
    return str(settings.LATCHKEY_BASE_URL)


def resource_of(door: Door) -> str:
    """The resource indicator (RFC 8707) of what is behind a door."""
    return issuer() + {Door.CALLS: "/v1", Door.MANAGEMENT: "/api/v1"}[door]


def metadata_of(door: Door) -> str:
    """Where what is behind a door is described (RFC 9728, 3.1)."""
    at = issuer()
    return f"{at}/.well-known/oauth-protected-resource{resource_of(door).removeprefix(at)}"


def scopes_of(door: Door) -> frozenset[str]:
    """The scopes that mean something behind a door."""
    return CALLS if door is Door.CALLS else MANAGEMENT


def door_of(resource: str) -> Door | None:
    """Return the door that a resource indicator names exactly, or None."""
    return next((door for door in Door if resource_of(door) == resource), None)


def token_endpoint() -> str:
    return issuer() + "/oauth/token"
