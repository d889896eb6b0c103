"""What an administrator does for the proofs of the authorization server: clients, a person who allows them, and authlib's walks."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import requests

from accounts.models.keys import Scope
from accounts.writes.oauth_clients import ClientGrant, RegisteredClient
from tests.accounts.oauth.world import REDIRECT, new_machine, new_web_client
from tests.accounts.rows import new_member, new_team
from tests.accounts.workload.issuing import KEYS, jwk_of
from tests.flows.oauth_walks import TIMEOUT_S, WALKS, Browser


def walk_authlib(*, base: str) -> list[tuple[str, str, str]]:
    """Walk authlib through every flow; return its name, each flow's, and what went wrong."""
    return [("authlib", name, _error_of(walk, base)) for name, walk in WALKS.items()]


def _error_of(walk: Callable[[str], None], base: str) -> str:
    try:
        walk(base)
    except Exception as error:  # noqa: BLE001 - whatever a foreign library raises is what is to be told.
        return f"{type(error).__name__}: {error}"[:500]
    return ""


def prepare_clients() -> dict[str, Any]:
    """Register clients of every kind, and sign a person in who allows them; return what foreign programs need."""
    team = new_team()
    person = new_member(team)
    device = new_web_client(Scope.CHAT, grant=ClientGrant.DEVICE_CODE, redirect_uris=[])
    return {
        "machine": _facts(new_machine()),
        "keys": {name: _signing_machine(name, key) for name, key in KEYS.items()},
        "open": _facts(new_web_client()),
        "web": _facts(new_web_client(is_public=False)),
        "device": _facts(device),
        "redirect": REDIRECT,
        "team": str(team.pk),
        "session": Browser.of("", person).session,
    }


def begin_family(*, base: str, prepared: dict[str, Any]) -> dict[str, str]:
    """Have the person allow the public client once more; return its name and its first tokens."""
    verifier, client_id = secrets.token_urlsafe(40), prepared["open"]["id"]
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "scope": "chat manage",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    browser = Browser(base, prepared["session"])
    led_to = browser.decide(f"/oauth/authorize?{urlencode(asked)}", team=prepared["team"])
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": parse_qs(urlsplit(led_to).query)["code"][0],
        "redirect_uri": REDIRECT,
        "code_verifier": verifier,
    }
    tokens = requests.post(f"{base}/oauth/token", form, timeout=TIMEOUT_S).json()
    return {"client_id": client_id} | {
        name: tokens[name] for name in ("access_token", "refresh_token")
    }


def _facts(registered: RegisteredClient) -> dict[str, str]:
    return {"id": registered.client.client_id, "secret": registered.secret}


def _signing_machine(algorithm: str, key: Any) -> dict[str, Any]:
    registered = new_machine(jwks=[jwk_of(key, algorithm)])
    private = jwt.get_algorithm_by_name(algorithm).to_jwk(key)
    return {
        "id": registered.client.client_id,
        "jwk": json.loads(str(private)) | {"kid": algorithm},
    }


DUTIES: dict[str, Callable[..., object]] = {
    duty.__name__: duty for duty in (walk_authlib, prepare_clients, begin_family)
}
