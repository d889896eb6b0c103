"""Which client asks: by a secret in a header or the body, by an assertion it signed, or, where it can keep none, by its name.

One way at a time, and the way the client was registered for. Unknown, wrong and disabled clients take the same path.
"""

import base64
import binascii
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from oauthlib.common import Request

from accounts.models import OAuthApplication
from accounts.oauth.assertions import ASSERTION_TYPE, is_proven, named_client
from accounts.oauth.secrets import is_secret
from accounts.ways_in.networks import lists_over
from portal.lib.client_address import within
from portal.lib.clock import utc_now


@dataclass(frozen=True, repr=False)
class Shown:
    """What a request shows of its client. At most one of secret and assertion is there."""

    client_id: str
    secret: str = ""
    assertion: str = ""


def authenticated_client(request: Request) -> OAuthApplication | None:
    """Return the client that proved itself, or None, whatever is wrong."""
    shown = _shown(request)
    if shown is None:
        return None
    client = find_client(shown.client_id)
    if shown.assertion:
        if client is None or not client.jwks:
            return None
        return client if is_proven(client, shown.assertion, now=utc_now()) else None
    has_secret = client is not None and not client.is_public and not client.jwks
    stored = client.client_secret if client is not None and has_secret else ""
    # A client that is not there has its secret digested too.
    is_same = is_secret(shown.secret, stored)
    return client if is_same and shown.secret else None


def shows_proof(request: Request) -> bool:
    """Whether the request says that it proves its client, rightly or not."""
    return bool(
        request.headers.get("Authorization")
        or _text(request, "client_secret")
        or _text(request, "client_assertion")
        or _text(request, "client_assertion_type")
    )


def comes_from_its_networks(client: OAuthApplication, peer: str) -> bool:
    """Whether a token of the client could be used from there: by its own list, its service account's and its team's."""
    holders = [one for one in (client, client.service_account, client.team) if one is not None]
    lists = lists_over(*(one.networks for one in holders))
    return all(within(peer, networks) for networks in lists)


def find_client(client_id: str) -> OAuthApplication | None:
    """Return the client if it may be used now. Texts that are no client's id do not reach the database."""
    try:
        credential_id = uuid.UUID(client_id)
    except ValueError:
        return None
    if str(credential_id) != client_id:
        return None
    client = (
        OAuthApplication.objects.select_related("team", "service_account")
        .filter(credential_id=credential_id, client_id=client_id)
        .first()
    )
    return client if client is not None and client.is_usable() else None


def _shown(request: Request) -> Shown | None:
    """Read the one way the client proves itself by; None where there is none, or more than one."""
    named = _text(request, "client_id")
    ways = [
        _basic(request) if request.headers.get("Authorization") else None,
        Shown(named, secret=secret) if (secret := _text(request, "client_secret")) else None,
        _assertion(request) if _text(request, "client_assertion_type") else None,
    ]
    is_shown = [
        bool(request.headers.get("Authorization")),
        bool(_text(request, "client_secret")),
        bool(_text(request, "client_assertion_type") or _text(request, "client_assertion")),
    ]
    if sum(is_shown) != 1:
        return None
    shown = next((way for way in ways if way is not None), None)
    # A name in the body beside that in the proof has to be the same.
    return shown if shown is not None and named in ("", shown.client_id) else None


def _basic(request: Request) -> Shown | None:
    scheme, _, encoded = request.headers["Authorization"].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    client_id, colon, secret = text.partition(":")
    return Shown(unquote_plus(client_id), secret=unquote_plus(secret)) if colon else None


def _assertion(request: Request) -> Shown | None:
    assertion = _text(request, "client_assertion")
    if _text(request, "client_assertion_type") != ASSERTION_TYPE or not assertion:
        return None
    return Shown(named_client(assertion), assertion=assertion)


def _text(request: Request, name: str) -> str:
    value: Any = getattr(request, name, None)
    return value if isinstance(value, str) else ""
