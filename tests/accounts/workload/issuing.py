"""An issuer of tokens for tests: its keys, its tokens, and whatever an attacker would make of them."""

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from accounts.audit import COMMAND
from accounts.models import ServiceAccount, TrustedIssuer, TrustRule
from accounts.models.keys import Scope
from accounts.models.workload import KeySource
from accounts.workload.jwks import read_jwks
from accounts.writes.issuers import add_issuer
from accounts.writes.trust_rules import make_trust_rule
from tests.accounts.rows import new_account, new_name

AUDIENCE = "https://models.latchkey.test"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
KEYS: dict[str, Any] = {"RS256": RSA_KEY, "PS256": RSA_KEY, "ES256": EC_KEY, "EdDSA": ED_KEY}


def jwk_of(key: Any, kid: str | None, **members: Any) -> dict[str, Any]:
    """The public half as an issuer publishes it."""
    kinds: list[tuple[type, Any]] = [
        (rsa.RSAPrivateKey, jwt.algorithms.RSAAlgorithm),
        (ec.EllipticCurvePrivateKey, jwt.algorithms.ECAlgorithm),
        (ed25519.Ed25519PrivateKey, jwt.algorithms.OKPAlgorithm),
    ]
    kind = next(made for private, made in kinds if isinstance(key, private))
    found: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    found.pop("key_ops", None)
    return found | ({} if kid is None else {"kid": kid}) | members


def jwks(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": list(keys)})


PUBLISHED = jwks(jwk_of(RSA_KEY, "rsa"), jwk_of(EC_KEY, "ec"), jwk_of(ED_KEY, "ed"))
KIDS = {"RS256": "rsa", "PS256": "rsa", "ES256": "ec", "EdDSA": "ed"}


@dataclass
class Issuing:
    """A trusted issuer with one rule, and a way to make its tokens."""

    issuer: TrustedIssuer
    account: ServiceAccount
    rule: TrustRule
    subject: str
    claims: dict[str, Any] = field(default_factory=dict)

    def payload(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        made = {
            "iss": self.issuer.issuer,
            "sub": self.subject,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 600,
        }
        wanted = made | self.claims | changes
        return {name: value for name, value in wanted.items() if value is not ...}

    def token(
        self, *, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """A token that is accepted, but for the changes; `...` leaves a claim out."""
        return jwt.encode(
            self.payload(**changes),
            KEYS[algorithm],
            algorithm=algorithm,
            headers={"kid": KIDS[algorithm]} | (header or {}),
        )


def new_issuer(**changes: Any) -> TrustedIssuer:
    facts: dict[str, Any] = {
        "issuer": f"https://{new_name('issuer')}.latchkey.test",
        "key_source": KeySource.PASTED,
        "keys": read_jwks(PUBLISHED),
        "audiences": [AUDIENCE],
        "algorithms": ["RS256", "PS256", "ES256", "EdDSA"],
        "actor": COMMAND,
    }
    return add_issuer(new_name("issuer"), **(facts | changes))


def new_rule(issuer: TrustedIssuer, account: ServiceAccount, **changes: Any) -> TrustRule:
    facts: dict[str, Any] = {
        "name": new_name("rule"),
        "subject": "system:serviceaccount:invoicing:reader",
        "scopes": [Scope.CHAT],
        "actor": COMMAND,
    }
    return make_trust_rule(
        account.team, issuer=issuer, service_account=account, **(facts | changes)
    )


def new_issuing(**rule: Any) -> Issuing:
    issuer, account = new_issuer(), new_account()
    made = new_rule(issuer, account, **rule)
    return Issuing(issuer, account, made, made.subject.replace("*", "x"))


def part(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def signed(header: Any, payload: Any, *, key: Any = RSA_KEY) -> str:
    """Sign whatever parts are given, as no library would: RS256 over texts or objects."""
    body = f"{part(header)}.{part(payload)}"
    signature = key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
