"""A client proves itself by a JWT that it signed with its own key (private_key_jwt: RFC 7523, OpenID Connect Core 9)."""

import datetime
import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.db import connection

from accounts.models import OAuthApplication
from accounts.oauth.issuer import issuer, token_endpoint
from accounts.ways_in.jose import Claims, VerifyingKey, is_time, read_head, read_verified

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_MAX = 4096
# As long as common libraries sign for unasked. It is remembered until then, and used once.
LIFE_MAX = datetime.timedelta(hours=1)
# The client's clock is not ours.
_AHEAD_MAX = datetime.timedelta(seconds=30)
KEYS_MAX = 5
_JTI_MAX = 200
_RSA_BITS_MIN = 2048
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def named_client(assertion: str) -> str:
    """Return whom an assertion says that it comes from, which nothing proves yet; "" where it says nothing."""
    if len(assertion) > ASSERTION_MAX:
        return ""
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return ""
    subject = claims.get("sub")
    return subject if isinstance(subject, str) else ""


def is_proven(client: OAuthApplication, assertion: str, *, now: datetime.datetime) -> bool:
    """Whether the client signed this now, for us, and for the first time."""
    head = read_head(assertion)
    if head is None:
        return False
    keys = [
        key
        for kid, key in keys_of(client.jwks)
        if kid in ("", head.get("kid", "")) or "kid" not in head
    ]
    claims = read_verified(assertion, keys)
    if claims is None or not _is_meant(claims, client, now=now):
        return False
    return _is_first_use(client, claims)


def keys_of(jwks: Sequence[dict[str, Any]]) -> list[tuple[str, VerifyingKey]]:
    """Return the keys with their ids. Raises: ValueError saying what is wrong with one of them."""
    if len(jwks) > KEYS_MAX:
        raise ValueError(f"At most {KEYS_MAX} keys.")
    keys = [_key(one) for one in jwks]
    return [(str(one.get("kid", "")), key) for one, key in zip(jwks, keys, strict=True)]


def _key(one: dict[str, Any]) -> VerifyingKey:
    if not isinstance(one, dict) or _PRIVATE_MEMBERS & one.keys():
        raise ValueError("A public key, as a JWK (RFC 7517), and no part of the private one.")
    try:
        key = jwt.PyJWK(one, algorithm=_some_algorithm(one)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise ValueError("A key that is none: check the JWK's members.") from None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return VerifyingKey(key, ("ES256",))
    if isinstance(key, ed25519.Ed25519PublicKey):
        return VerifyingKey(key, ("EdDSA", "Ed25519"))
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS_MIN:
        return VerifyingKey(key, ("PS256", "RS256"))
    raise ValueError("Keys on P-256 or Ed25519, or RSA keys of at least 2048 bits.")


def _some_algorithm(one: dict[str, Any]) -> str:
    """The library wants one to read a key by; which ones it may be used with is decided by the key."""
    algorithms = {"EC": "ES256", "OKP": "EdDSA", "RSA": "RS256"}
    return algorithms[str(one.get("kty"))]


def _is_meant(claims: Claims, client: OAuthApplication, *, now: datetime.datetime) -> bool:
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        return False
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    # One audience alone: whoever else were named could use the assertion here.
    if audience not in (issuer(), token_endpoint()):
        return False
    if not is_time(claims.get("exp")):
        return False
    left_s = claims["exp"] - now.timestamp()
    if not 0 < left_s <= (LIFE_MAX + _AHEAD_MAX).total_seconds():
        return False
    began = [claims[name] for name in ("iat", "nbf") if name in claims]
    latest = (now + _AHEAD_MAX).timestamp()
    return all(is_time(one) and one <= latest for one in began)


def _is_first_use(client: OAuthApplication, claims: Claims) -> bool:
    """Whether nobody used this assertion's id before; of two at once, one alone is first."""
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _JTI_MAX:
        return False
    digest = hashlib.sha256(uuid.UUID(client.client_id).bytes + jti.encode("utf-8", "replace"))
    expires_at = datetime.datetime.fromtimestamp(claims["exp"], tz=datetime.UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_spentassertion (digest, expires_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [digest.digest(), expires_at],
        )
        return bool(cursor.rowcount)
