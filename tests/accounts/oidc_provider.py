"""An OpenID provider that speaks the real protocol, and says what a test wants it to say."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

CLIENT_ID = "latchkey"
CLIENT_SECRET = "the secret of +the portal/"
KID = "k1"


@dataclass
class Provider:
    """What it knows, and what it says next.

    claims: laid over those that are right; None takes one away. token: said in place of a right one.
    """

    issuer: str
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    claims: dict[str, Any] = field(default_factory=dict)
    token: str | None = None
    told_apart: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def authorize(self, location: str) -> dict[str, str]:
        """What a browser that was sent there would bring back once the person has proven themself."""
        assert location.startswith(f"{self.issuer}/authorize?")
        self.asked = {
            name: values[0] for name, values in parse_qs(urlsplit(location).query).items()
        }
        return {"code": "a-code", "state": self.asked["state"], "iss": self.issuer}

    def id_token(self) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "subject-1",
            "iat": now,
            "exp": now + 300,
            "nonce": self.asked.get("nonce"),
            "email_verified": True,
        } | self.claims
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, self.key, algorithm="ES256", headers={"kid": KID})

    def jwks(self) -> dict[str, Any]:
        public = json.loads(ECAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [public | {"kid": KID, "use": "sig", "alg": "ES256"}]}

    def exchange(self, fields: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Answer the token endpoint; None refuses, and `faults` says why."""
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        name, _, secret = (unquote_plus(part) for part in given.partition(":"))
        digest = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        checks = {
            "client": (name, secret) == (CLIENT_ID, CLIENT_SECRET),
            "code": fields.get("code") == "a-code",
            "redirect": fields.get("redirect_uri") == self.asked.get("redirect_uri"),
            "pkce": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            == self.asked.get("code_challenge"),
        }
        self.faults += [what for what, holds in checks.items() if not holds]
        if self.faults:
            return None
        return {
            "id_token": self.token or self.id_token(),
            "access_token": "x",
            "token_type": "Bearer",
        }


@contextmanager
def run_provider() -> Iterator[Provider]:
    """Start a provider on a free port of the loopback, and end it afterwards."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/.well-known/openid-configuration":
                self.answer(200, described(provider))
            elif self.path == "/jwks":
                self.answer(200, provider.jwks())
            elif self.path == "/userinfo" and self.headers.get("Authorization") == "Bearer x":
                self.answer(200, provider.told_apart)
            else:
                self.answer(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fields = {name: values[0] for name, values in parse_qs(body).items()}
            found = provider.exchange(fields, self.headers.get("Authorization", ""))
            self.answer(400 if found is None else 200, found or {"error": "invalid_grant"})

        def answer(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's own name.
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def described(provider: Provider) -> dict[str, Any]:
    issuer = provider.issuer
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
    } | provider.document
