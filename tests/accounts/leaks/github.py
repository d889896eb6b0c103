"""GitHub, as far as a partner sees it: keys of its own, and reports that are signed with one of them."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.http import HttpResponse
from django.test import Client

from accounts.audit import COMMAND
from accounts.writes.leaks import replace_reporter_keys

ADDRESS = "/leaks/github"
TYPE = "latchkey_api_key"
PLACE = "https://github.test/octocat/hello/blob/main/.env"


def match(token: str, **changed: Any) -> dict[str, Any]:
    return {"token": token, "type": TYPE, "url": PLACE, "source": "content"} | changed


@dataclass
class GitHub:
    """One key, which the portal knows, and the client that reports with it."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    identifier: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def pem(self) -> str:
        public = self.key.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def document(self) -> dict[str, Any]:
        """What its address of keys answers."""
        listed = {"key_identifier": self.identifier, "key": self.pem, "is_current": True}
        return {"public_keys": [listed]}

    def make_known(self) -> "GitHub":
        replace_reporter_keys({self.identifier: self.pem}, actor=COMMAND)
        return self

    def signature(self, body: bytes) -> str:
        return base64.b64encode(self.key.sign(body, ec.ECDSA(SHA256()))).decode()

    def report(self, *matches: dict[str, Any], **changed: Any) -> HttpResponse:
        return self.send(json.dumps(matches).encode(), **changed)

    def send(
        self, body: bytes, *, content_type: str = "application/json", **headers: str
    ) -> HttpResponse:
        """Send a signed body; a header that is named is sent as it is given."""
        sent = {
            "Github-Public-Key-Identifier": self.identifier,
            "Github-Public-Key-Signature": self.signature(body),
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        peer = f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
        reply = Client().post(ADDRESS, body, content_type, headers=sent, REMOTE_ADDR=peer)
        assert isinstance(reply, HttpResponse)
        return reply


def labels(reply: HttpResponse) -> list[str]:
    assert reply.status_code == 200, reply.content
    return [one["label"] for one in json.loads(reply.content)]
