"""Clients, and the requests that they and people make of the authorization server, over HTTP as Django's client speaks it."""

import base64
import datetime
import hashlib
import json
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client

from accounts.audit import COMMAND
from accounts.models import OAuthApplication, Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.oauth.issuer import issuer
from accounts.writes.oauth_clients import ClientGrant, RegisteredClient, register_client
from tests.accounts.rows import new_account, new_member, new_team

REDIRECT = "https://app.corp.example/callback"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def new_machine(*scopes: Scope, **facts: Any) -> RegisteredClient:
    """A client that calls by itself, for a service account."""
    account = new_account(facts.pop("team", None))
    return register_client(
        account.team,
        name="Nightly job",
        grant=ClientGrant.CLIENT_CREDENTIALS,
        scopes=scopes or (Scope.CHAT,),
        service_account=account,
        actor=COMMAND,
        **facts,
    )


def new_web_client(*scopes: Scope, **facts: Any) -> RegisteredClient:
    """A client that people allow in a browser."""
    defaults: dict[str, Any] = {"redirect_uris": [REDIRECT], "is_public": True}
    return register_client(
        facts.pop("team", None) or new_team(),
        name="Notebook",
        grant=facts.pop("grant", ClientGrant.AUTHORIZATION_CODE),
        scopes=scopes or (Scope.CHAT, Scope.MANAGE),
        actor=COMMAND,
        **(defaults | facts),
    )


def basic(client: OAuthApplication, secret: str) -> dict[str, str]:
    text = base64.b64encode(f"{client.client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def post(
    endpoint: str, headers: dict[str, str] | None = None, *, address: str = "", **form: Any
) -> Any:
    """Ask an endpoint as a client does, from an address that no other test asks from, unless one is named."""
    address = (
        address or f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
    )
    return Client().post(
        f"/oauth/{endpoint}",
        urlencode(form, doseq=True),
        "application/x-www-form-urlencoded",
        headers=headers or {},
        REMOTE_ADDR=address,
    )


def said(reply: Any, status: int = 200) -> dict[str, Any]:
    assert reply.status_code == status, reply.content
    found: dict[str, Any] = json.loads(reply.content)
    return found


def machine_token(registered: RegisteredClient, **form: Any) -> dict[str, Any]:
    reply = post(
        "token",
        basic(registered.client, registered.secret),
        grant_type="client_credentials",
        **form,
    )
    return said(reply)


@dataclass
class Signer:
    """A client's own key, and what it signs with it."""

    kid: str = "one"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def jwk(self) -> dict[str, Any]:
        public: dict[str, Any] = json.loads(
            jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key())
        )
        return public | {"kid": self.kid}

    def assertion(self, client: OAuthApplication, **changed: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": client.client_id,
            "sub": client.client_id,
            "aud": issuer(),
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid.uuid4()),
        } | changed
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": self.kid})


@dataclass
class Visit:
    """A person who is asked by a client, in a browser, for one team."""

    registered: RegisteredClient
    team: Team
    person: User
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(40))

    @classmethod
    def of(cls, registered: RegisteredClient, role: Role = Role.MEMBER) -> "Visit":
        team = new_team()
        return cls(registered, team, new_member(team, role))

    def address(self, **changed: Any) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self.registered.client.client_id,
            "redirect_uri": REDIRECT,
            "state": "of the client",
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        } | changed
        query = {name: value for name, value in query.items() if value is not None}
        return "/oauth/authorize?" + urlencode(query, doseq=True)

    def browser(self) -> Client:
        client = Client()
        client.force_login(self.person)
        return client

    def decide(self, decision: str = "allow", **changed: Any) -> Any:
        form = {"decision": decision, "team": str(self.team.pk)}
        return self.browser().post(self.address(**changed), form)

    def code(self, **changed: Any) -> str:
        reply = self.decide(**changed)
        assert reply.status_code == 303, reply.content
        return sent(reply)["code"]

    def exchange(self, code: str, **changed: Any) -> Any:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.registered.client.client_id,
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": self.verifier,
        } | changed
        return post("token", **{name: value for name, value in form.items() if value is not None})

    def tokens(self, **changed: Any) -> dict[str, Any]:
        return said(self.exchange(self.code(**changed)))

    def refresh(self, token: str, **form: Any) -> Any:
        return post(
            "token",
            grant_type="refresh_token",
            client_id=self.registered.client.client_id,
            refresh_token=token,
            **form,
        )


def sent(reply: Any) -> dict[str, str]:
    """What a redirect to the client carries."""
    return {name: values[0] for name, values in parse_qs(urlsplit(reply["Location"]).query).items()}


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def minutes(number: int) -> datetime.timedelta:
    return datetime.timedelta(minutes=number)
