"""Access tokens: JWTs of the profile RFC 9068, made here and read here, and by whoever has our public keys."""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from accounts.models import ServiceAccount, Team, User
from accounts.oauth.issuer import ACCESS_TOKEN_LIFE, issuer, resource_of
from accounts.oauth.signing_keys import sign
from accounts.ways_in.jose import Claims, VerifyingKey, is_time, read_head, read_verified
from accounts.ways_in.proven import Door

TYPE = "at+jwt"
_SCOPE_MAX = 200
# How far the clocks of two of our hosts may be apart.
CLOCKS_APART = datetime.timedelta(minutes=1)


@dataclass(frozen=True, repr=False)
class NewToken:
    """An access token that was just made. Its text goes to the client and is stored nowhere."""

    text: str
    jti: uuid.UUID
    expires_at: datetime.datetime


@dataclass(frozen=True)
class TokenFacts:
    """What a token says that we signed: for whom, for which team, of which client, and until when.

    signed_by: the signing key's row, without which the token is nothing.
    """

    jti: uuid.UUID
    signed_by: uuid.UUID
    client_id: uuid.UUID
    subject_id: uuid.UUID
    team_id: uuid.UUID
    scopes: frozenset[str]
    expires_at: datetime.datetime

    @property
    def rows(self) -> frozenset[uuid.UUID]:
        """The rows whose change ends the token, whoever it is for: its own, and its signing key's."""
        return frozenset({self.jti, self.signed_by})


def make_access_token(
    client_id: uuid.UUID,
    *,
    subject: User | ServiceAccount,
    team: Team,
    scopes: list[str],
    audience: list[str],
    ends_at: datetime.datetime | None,
    now: datetime.datetime,
) -> NewToken:
    """Make and sign a token that lasts 15 minutes, or to an earlier end.

    client_id: of the client, or of the rule of trust that a workload's own token was exchanged under.
    """
    jti = uuid.uuid4()
    # Whole seconds, as the token's own clock has no others.
    issued_at = now.replace(microsecond=0)
    expires_at = issued_at + ACCESS_TOKEN_LIFE
    if ends_at is not None:
        expires_at = min(expires_at, ends_at.replace(microsecond=0))
    claims: Claims = {
        "iss": issuer(),
        "sub": str(subject.pk),
        "aud": audience[0] if len(audience) == 1 else audience,
        "client_id": str(client_id),
        "team": str(team.pk),
        "scope": " ".join(scopes),
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "jti": str(jti),
    }
    return NewToken(sign(claims, now=now), jti, expires_at)


def read_access_token(
    text: str, keys: Mapping[str, VerifyingKey], *, door: Door, now: datetime.datetime
) -> TokenFacts | None:
    """Return what a token says that one of the keys signed for this door and that has not ended; None for any other."""
    head = read_head(text)
    if head is None or head.get("typ", "").lower() != TYPE:
        return None
    kid = head.get("kid", "")
    key = keys.get(kid)
    claims = None if key is None else read_verified(text, [key])
    return None if claims is None else _facts(claims, signed_by=kid, door=door, now=now)


def _facts(
    claims: Claims, *, signed_by: str, door: Door, now: datetime.datetime
) -> TokenFacts | None:
    audience, scope = claims.get("aud"), claims.get("scope")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or resource_of(door) not in named:
        return None
    if claims.get("iss") != issuer() or not isinstance(scope, str) or len(scope) > _SCOPE_MAX:
        return None
    if not is_time(claims.get("exp")) or not is_time(claims.get("iat")):
        return None
    expires_at = datetime.datetime.fromtimestamp(claims["exp"], tz=datetime.UTC)
    is_longer = claims["exp"] - claims["iat"] > ACCESS_TOKEN_LIFE.total_seconds()
    # A beginning that is still to come would else make its life as long as anybody likes.
    if is_longer or not now < expires_at <= now + ACCESS_TOKEN_LIFE + CLOCKS_APART:
        return None
    try:
        return TokenFacts(
            jti=uuid.UUID(claims["jti"]),
            signed_by=uuid.UUID(signed_by),
            client_id=uuid.UUID(claims["client_id"]),
            subject_id=uuid.UUID(claims["sub"]),
            team_id=uuid.UUID(claims["team"]),
            scopes=frozenset(scope.split()),
            expires_at=expires_at,
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
