"""OpenID Connect: leading somebody to the provider, and taking them back (Core 1.0, RFC 6749, 7636, 9207).

The provider's ID token is verified in full, although it comes over TLS: signature, issuer, audience, nonce and times. Keys
come from the provider's own document alone, never from the token.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, cast
from urllib.parse import quote_plus, urlencode

import jwt
import requests
from django.conf import settings
from django.core.cache import cache

from accounts.models import SignOnConnection
from accounts.single_sign_on.connections import SignOnRefused, taken_up
from accounts.writes.arrival import Named
from accounts.writes.sign_on import open_secret
from portal.lib.checked_http import get_bytes, post_form
from portal.lib.networks import AddressNotAllowed

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
SCOPES = "openid email profile"
KEPT_S = 600
LEEWAY_S = 60
# A proof that was asked for anew may take a person this long, there and back.
ANEW_S = 300
TOKEN_MAX = 32_768
GROUPS_MAX = 1_000
_FAILURES = (requests.RequestException, AddressNotAllowed, OSError, ValueError, RecursionError)


@dataclass(frozen=True)
class Begun:
    """What a sign-in that was begun is recognised by; it is kept in the session of whoever began it."""

    connection_id: str
    state: str
    nonce: str
    verifier: str
    wanted: str
    anew: bool

    @classmethod
    def from_session(cls, kept: Any) -> Self:
        """Raises: SignOnRefused."""
        return cls(**taken_up(kept, by="nonce"))

    def as_session(self) -> dict[str, str | bool]:
        return asdict(self)


def begin(
    connection: SignOnConnection, *, callback: str, wanted: str, anew: bool
) -> tuple[str, Begun]:
    """Return the address at the provider, and what to keep. Raises: SignOnRefused."""
    begun = Begun(
        connection_id=str(connection.pk),
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        wanted=wanted,
        anew=anew,
    )
    digest = hashlib.sha256(begun.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": connection.client_id,
        "redirect_uri": callback,
        "scope": SCOPES,
        "state": begun.state,
        "nonce": begun.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    if anew:
        # With max_age the provider has to say when the person has proven themself.
        asked |= {"prompt": "login", "max_age": "0"}
    address = _document(connection)["authorization_endpoint"]
    return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", begun


def finish(
    connection: SignOnConnection, begun: Begun, answer: Mapping[str, str], *, callback: str
) -> Named:
    """Take the provider's answer and return whom it names. Raises: SignOnRefused."""
    state, code = answer.get("state", ""), answer.get("code", "")
    if not hmac.compare_digest(state.encode(), begun.state.encode()):
        raise SignOnRefused("the state is not this session's")
    if begun.connection_id != str(connection.pk):
        raise SignOnRefused("it was begun at another connection")
    if answer.get("iss", connection.issuer) != connection.issuer:
        raise SignOnRefused("another issuer answered")
    if not code or len(code) > 4096:
        raise SignOnRefused(f"the provider says {answer.get('error', 'nothing')[:60]!r}")
    token, access = _exchange(connection, code, begun.verifier, callback=callback)
    claims = _verified(connection, token)
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), begun.nonce.encode()):
        raise SignOnRefused("the nonce is not this session's")
    if claims.get("azp", connection.client_id) != connection.client_id:
        raise SignOnRefused("the token is for another party")
    if begun.anew and not _is_of_now(claims.get("auth_time")):
        raise SignOnRefused("the provider has asked for no new proof")
    return _named(connection, _told_apart(connection, access, claims) | claims)


def _is_of_now(auth_time: object) -> bool:
    return isinstance(auth_time, int) and abs(time.time() - auth_time) < ANEW_S


def _told_apart(
    connection: SignOnConnection, access: str, claims: dict[str, Any]
) -> dict[str, Any]:
    """What the provider tells at its address for that, and not in the ID token. Raises: SignOnRefused."""
    wanted = {"email", connection.group_claim or "email"}
    address = _document(connection).get("userinfo_endpoint")
    if not isinstance(address, str) or wanted <= claims.keys():
        return {}
    try:
        body = get_bytes(
            address,
            networks=settings.LATCHKEY_PROVIDER_NETWORKS,
            headers={"Authorization": f"Bearer {access}"},
            max_bytes=1024 * 1024,
        )
        told = json.loads(body)
    except _FAILURES as error:
        raise SignOnRefused(f"its userinfo cannot be read ({type(error).__name__})") from None
    # OpenID Connect Core, 5.3.2: it has to be about the same subject.
    if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
        raise SignOnRefused("its userinfo is about somebody else")
    return told


def _named(connection: SignOnConnection, claims: dict[str, Any]) -> Named:
    groups = claims.get(connection.group_claim, []) if connection.group_claim else []
    listed = groups if isinstance(groups, list) else [groups]
    return Named(
        subject=str(claims["sub"]),
        email=str(claims.get("email", "")),
        # Nothing but true is true: some providers leave it out, some write a text.
        is_verified=claims.get("email_verified") is True,
        name=str(claims.get("name", "")),
        groups=frozenset(one for one in listed[:GROUPS_MAX] if isinstance(one, str)),
    )


def _document(connection: SignOnConnection) -> dict[str, Any]:
    """The provider's description of itself, which has to be of this very issuer. Raises: SignOnRefused."""
    address = f"{connection.issuer.rstrip('/')}/.well-known/openid-configuration"
    found = _fetched(connection, "document", address)
    if found.get("issuer") != connection.issuer:
        raise SignOnRefused("the provider's document is of another issuer")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if not all(isinstance(found.get(name), str) for name in names):
        raise SignOnRefused("the provider's document lacks an address")
    return found


def _fetched(
    connection: SignOnConnection, what: str, address: str, *, anew: bool = False
) -> dict[str, Any]:
    """A JSON document of the provider, kept for ten minutes."""
    key = kept_name(connection.pk, what, address)
    kept = None if anew else cache.get(key)
    if kept is None:
        try:
            kept = json.loads(get_bytes(address, networks=settings.LATCHKEY_PROVIDER_NETWORKS))
        except _FAILURES as error:
            raise SignOnRefused(f"its {what} cannot be read ({type(error).__name__})") from None
        if not isinstance(kept, dict):
            raise SignOnRefused(f"its {what} is no object")
        cache.set(key, kept, KEPT_S)
    return cast("dict[str, Any]", kept)


def kept_name(connection_id: uuid.UUID, what: str, address: str) -> str:
    """The name in the cache of what one connection's provider said at an address; what: a word of ours, without a colon."""
    return f"sign-on:{connection_id}:{what}:{hashlib.sha256(address.encode()).hexdigest()}"


def _exchange(
    connection: SignOnConnection, code: str, verifier: str, *, callback: str
) -> tuple[str, str]:
    """Give the code for an ID token and an access token. Raises: SignOnRefused."""
    document = _document(connection)
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback,
        "code_verifier": verifier,
    }
    secret = open_secret(connection)
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    auth = None
    if secret and "client_secret_basic" in methods:
        # RFC 6749, 2.3.1: both are form-encoded before they are put together.
        auth = (quote_plus(connection.client_id), quote_plus(secret))
    else:
        fields["client_id"] = connection.client_id
        fields |= {"client_secret": secret} if secret else {}
    try:
        body = post_form(
            document["token_endpoint"],
            fields,
            networks=settings.LATCHKEY_PROVIDER_NETWORKS,
            auth=auth,
        )
        answered = json.loads(body)
        token, access = answered["id_token"], str(answered.get("access_token", ""))
    except (*_FAILURES, KeyError, TypeError) as error:
        raise SignOnRefused(f"the code was not taken ({type(error).__name__})") from None
    if not isinstance(token, str) or len(token) > TOKEN_MAX:
        raise SignOnRefused("the ID token is none")
    # It goes into a header, which must not break.
    return token, access if access.isascii() and access.isprintable() else ""


def _verified(connection: SignOnConnection, token: str) -> dict[str, Any]:
    """The claims of a token that is the provider's, for us, and of now. Raises: SignOnRefused."""
    try:
        key = _key_of(connection, token)
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=connection.issuer,
            audience=connection.client_id,
            leeway=LEEWAY_S,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise SignOnRefused(f"the ID token is refused ({type(error).__name__})") from None
    return claims


def _key_of(connection: SignOnConnection, token: str) -> jwt.PyJWK:
    """The provider's key that the token names, fetched anew once where it is not among those that are known."""
    header = jwt.get_unverified_header(token)
    address = _document(connection)["jwks_uri"]
    for anew in (False, True):
        for one in _fetched(connection, "keys", address, anew=anew).get("keys", []):
            if (
                isinstance(one, dict)
                and one.get("kid") == header.get("kid")
                and one.get("use", "sig") == "sig"
                and header.get("alg") in ALGORITHMS
                and one.get("alg", header["alg"]) == header["alg"]
            ):
                return jwt.PyJWK(one, algorithm=header["alg"])
    raise jwt.InvalidKeyError("no key of this name")
