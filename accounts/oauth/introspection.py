import datetime
from typing import Any

from accounts.models import OAuthAccessToken, OAuthApplication, OAuthRefreshToken
from accounts.oauth.issuer import issuer, resource_of, scopes_of
from accounts.oauth.subjects import may_act_in
from accounts.ways_in.presented import read_presented
from accounts.ways_in.prove import prove
from accounts.ways_in.proven import Door

INACTIVE: dict[str, Any] = {"active": False}


def facts_of(
    client: OAuthApplication,
    token: OAuthAccessToken | OAuthRefreshToken | None,
    *,
    now: datetime.datetime,
) -> dict[str, Any]:
    """Return what introspection says of a token (RFC 7662, 2.2): that it is not active, or what it is for."""
    if token is None or (token.user is not None and not may_act_in(token.user, token.team)):
        return INACTIVE
    holder = token.user or client.service_account
    facts = {
        "active": True,
        "scope": token.scope,
        "client_id": client.client_id,
        "sub": str(holder.pk) if holder is not None else "",
        "iss": issuer(),
        "team": str(token.team_id),
        "iat": int(token.created.timestamp()),
    }
    if isinstance(token, OAuthRefreshToken):
        return facts
    return INACTIVE if token.expires <= now else facts | _of_access(token)


def facts_of_exchanged(
    token: OAuthAccessToken, text: str, *, now: datetime.datetime
) -> dict[str, Any]:
    """Return what introspection says of a token that a workload got in exchange: what a call with it would be worth."""
    presented = read_presented(text)
    proven = None if presented is None else prove(presented, door=Door.CALLS, now=now)
    if proven is None or proven.service_account is None:
        return INACTIVE
    facts = {
        "active": True,
        "scope": " ".join(sorted(proven.scopes)),
        "client_id": str(proven.credential_id),
        "sub": str(proven.service_account.pk),
        "iss": issuer(),
        "team": str(token.team_id),
        "iat": int(token.created.timestamp()),
    }
    return facts | _of_access(token)


def _of_access(token: OAuthAccessToken) -> dict[str, Any]:
    doors = [door for door in Door if scopes_of(door) & set(token.scope.split())]
    return {
        "token_type": "Bearer",
        "exp": int(token.expires.timestamp()),
        "jti": str(token.jti),
        "aud": token.resource or [resource_of(door) for door in doors],
    }
