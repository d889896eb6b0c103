"""authlib, a client that is none of ours, walked through every flow over HTTP: by the tests, and by a proof on a running stack."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urljoin

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from django.test import Client
from joserfc.jwk import ECKey
from jwt.algorithms import ECAlgorithm

from accounts.models import User
from accounts.models.keys import Scope
from accounts.oauth.exchange import ACCESS_TOKEN_TYPE, JWT_TYPE, TOKEN_EXCHANGE
from accounts.oauth.issuer import token_endpoint
from accounts.writes.oauth_clients import ClientGrant
from tests.accounts.oauth.world import (
    DEVICE,
    REDIRECT,
    Signer,
    Visit,
    new_machine,
    new_web_client,
)
from tests.accounts.rows import new_member, new_team
from tests.accounts.workload.issuing import new_issuing
from tests.signed_in import leave_proof

TIMEOUT_S = 20
_FORM_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass(frozen=True)
class Browser:
    """A browser in which a person is signed in, over HTTP."""

    base: str
    session: str

    @classmethod
    def of(cls, base: str, person: User) -> "Browser":
        client = Client()
        client.force_login(person)
        leave_proof(client, person)
        return cls(base, client.cookies["sessionid"].value)

    def decide(self, address: str, **form: str) -> str:
        """Open a page and send its form; return where that led to."""
        at, cookies = urljoin(self.base, address), {"sessionid": self.session}
        page = requests.get(at, cookies=cookies, timeout=TIMEOUT_S, allow_redirects=False)
        found = _FORM_TOKEN.search(page.text)
        assert found, f"{page.status_code} {page.headers.get('Location')} {page.text[:300]}"
        cookies |= dict(page.cookies)
        fields = {"csrfmiddlewaretoken": found[1], "decision": "allow"} | form
        reply = requests.post(at, fields, cookies=cookies, timeout=TIMEOUT_S, allow_redirects=False)
        assert reply.is_redirect, f"{reply.status_code} {reply.text[:300]}"
        return str(reply.headers["Location"])


def opens(session: OAuth2Session, base: str) -> bool:
    """Whether the session's token is let in at the calls."""
    return bool(session.get(f"{base}/v1/models", timeout=TIMEOUT_S).status_code == 200)


def walk_machine_by_its_secret(base: str, *, method: str) -> None:
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


def walk_machine_by_its_own_key(base: str) -> None:
    signer = Signer()
    registered = new_machine(jwks=[signer.jwk])
    key = ECKey.import_key(json.loads(ECAlgorithm.to_jwk(signer.key)))
    method = PrivateKeyJWT(token_endpoint(), headers={"kid": signer.kid}, alg="ES256")
    session = OAuth2Session(registered.client.client_id, key, token_endpoint_auth_method=method)
    session.fetch_token(f"{base}/oauth/token", grant_type="client_credentials")
    assert opens(session, base)


def walk_workload_that_exchanges_its_token(base: str) -> None:
    """For a client of its team, as authlib asks nothing without a client."""
    issuing = new_issuing()
    registered = new_machine(team=issuing.rule.team)
    session = OAuth2Session(registered.client.client_id, registered.secret)
    token = session.fetch_token(
        f"{base}/oauth/token",
        grant_type=TOKEN_EXCHANGE,
        subject_token=issuing.token(),
        subject_token_type=JWT_TYPE,
    )
    assert token["issued_token_type"] == ACCESS_TOKEN_TYPE
    assert opens(session, base)


def walk_person_who_allows_it(base: str, *, is_public: bool) -> None:
    """With PKCE, and then by refreshing."""
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
    sent = Browser.of(base, visit.person).decide(address, team=str(visit.team.pk))
    token = session.fetch_token(
        f"{base}/oauth/token",
        authorization_response=sent,
        code_verifier=visit.verifier,
        state=state,
    )
    assert opens(session, base)
    me: Any = session.get(f"{base}/api/v1/me", timeout=TIMEOUT_S).json()
    assert me["id"] == str(visit.person.pk)
    renewed = session.refresh_token(f"{base}/oauth/token", refresh_token=token["refresh_token"])
    assert renewed["access_token"] != token["access_token"]
    assert opens(session, base)


def walk_device_that_waits(base: str) -> None:
    registered = new_web_client(Scope.CHAT, grant=ClientGrant.DEVICE_CODE, redirect_uris=[])
    team, client_id = new_team(), registered.client.client_id
    browser = Browser.of(base, new_member(team))
    session = OAuth2Session(client_id, token_endpoint_auth_method="none")
    form = {"client_id": client_id, "scope": "chat"}
    begun = session.request(
        "POST",
        f"{base}/oauth/device-authorization",
        data=form,
        withhold_token=True,
        timeout=TIMEOUT_S,
    ).json()
    code = begun["user_code"]
    browser.decide(f"/oauth/device?user_code={code}", user_code=code, team=str(team.pk))
    session.fetch_token(
        f"{base}/oauth/token",
        grant_type=DEVICE,
        device_code=begun["device_code"],
    )
    assert opens(session, base)


WALKS: dict[str, Callable[[str], None]] = {
    "machine, client_secret_basic": partial(
        walk_machine_by_its_secret, method="client_secret_basic"
    ),
    "machine, client_secret_post": partial(walk_machine_by_its_secret, method="client_secret_post"),
    "machine, private_key_jwt ES256": walk_machine_by_its_own_key,
    "workload, token exchange": walk_workload_that_exchanges_its_token,
    "person, public client": partial(walk_person_who_allows_it, is_public=True),
    "person, client with a secret": partial(walk_person_who_allows_it, is_public=False),
    "device": walk_device_that_waits,
}
