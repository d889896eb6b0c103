"""authlib, a client that is none of ours, goes through every flow against a running gateway."""

import json
from typing import Any

import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
from jwt.algorithms import ECAlgorithm

from accounts.models.keys import Scope
from accounts.oauth.issuer import token_endpoint
from accounts.writes.oauth_clients import ClientGrant
from tests.accounts.oauth.test_devices import Person
from tests.accounts.oauth.world import (
    DEVICE,
    REDIRECT,
    Signer,
    Visit,
    new_machine,
    new_web_client,
    sent,
)
from tests.flows.processes import RunningGateway


@pytest.fixture
def base(committed: None, gateway: RunningGateway) -> str:
    return gateway.base_url.removesuffix("/v1")


def opens(session: OAuth2Session, base: str) -> bool:
    """Whether the session's token is let in at the calls."""
    return bool(session.get(f"{base}/v1/models", timeout=20).status_code == 200)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_machine_by_its_secret(base: str, method: str) -> None:
    registered = new_machine()
    session = OAuth2Session(
        registered.client.client_id, registered.secret, token_endpoint_auth_method=method
    )
    token = session.fetch_token(f"{base}/oauth/token", grant_type="client_credentials")
    assert opens(session, base)
    told = session.introspect_token(f"{base}/oauth/introspect", token=token["access_token"])
    assert told.json()["active"] is True
    session.revoke_token(f"{base}/oauth/revoke", token=token["access_token"])
    told = session.introspect_token(f"{base}/oauth/introspect", token=token["access_token"])
    assert told.json() == {"active": False}


def test_machine_by_its_own_key(base: str) -> None:
    signer = Signer()
    registered = new_machine(jwks=[signer.jwk])
    key = ECKey.import_key(json.loads(ECAlgorithm.to_jwk(signer.key)))
    method = PrivateKeyJWT(token_endpoint(), headers={"kid": signer.kid}, alg="ES256")
    session = OAuth2Session(registered.client.client_id, key, token_endpoint_auth_method=method)
    session.fetch_token(f"{base}/oauth/token", grant_type="client_credentials")
    assert opens(session, base)


@pytest.mark.parametrize("is_public", [True, False])
def test_person_in_a_browser_with_pkce_and_then_by_refreshing(base: str, is_public: bool) -> None:
    registered = new_web_client(Scope.CHAT, Scope.MANAGE, is_public=is_public)
    visit = Visit.of(registered)
    session = OAuth2Session(
        registered.client.client_id,
        registered.secret or None,
        token_endpoint_auth_method="none" if is_public else "client_secret_basic",
        redirect_uri=REDIRECT,
        scope="chat manage",
        code_challenge_method="S256",
    )
    address, state = session.create_authorization_url(
        "/oauth/authorize", code_verifier=visit.verifier
    )
    form = {"decision": "allow", "team": str(visit.team.pk)}
    reply: Any = visit.browser().post(address, form)
    token = session.fetch_token(
        f"{base}/oauth/token",
        authorization_response=reply["Location"],
        code_verifier=visit.verifier,
        state=state,
    )
    assert sent(reply)["state"] == state
    assert opens(session, base)
    me = session.get(f"{base}/api/v1/me", timeout=20).json()
    assert me["id"] == str(visit.person.pk)
    renewed = session.refresh_token(f"{base}/oauth/token", refresh_token=token["refresh_token"])
    assert renewed["access_token"] != token["access_token"]
    assert opens(session, base)


def test_device_that_waits_for_its_person(base: str) -> None:
    registered = new_web_client(Scope.CHAT, grant=ClientGrant.DEVICE_CODE, redirect_uris=[])
    someone, client_id = Person(), registered.client.client_id
    session = OAuth2Session(client_id, token_endpoint_auth_method="none")
    form = {"client_id": client_id, "scope": "chat"}
    begun = session.request(
        "POST", f"{base}/oauth/device-authorization", data=form, withhold_token=True, timeout=20
    ).json()
    someone.decide(begun["user_code"])
    session.fetch_token(
        f"{base}/oauth/token",
        grant_type=DEVICE,
        device_code=begun["device_code"],
    )
    assert opens(session, base)
