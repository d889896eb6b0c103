"""What has the form of a credential, and which way in it belongs to."""

import base64
import json

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.credential import make_credential
from accounts.ways_in.presented import TOKEN_MAX, Presented, read_presented
from accounts.ways_in.proven import CredentialKind


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def token(claims: object, *, head: object = None, signature: str = "c2ln") -> str:
    return f"{part(head or {'alg': 'ES256', 'typ': 'at+jwt'})}.{part(claims)}.{signature}"


def test_key_is_an_api_key() -> None:
    key = make_credential()
    assert read_presented(key.text) == Presented(
        key.text, CredentialKind.API_KEY, public_id=key.public_id
    )


@pytest.mark.parametrize(
    ("issuer", "kind"),
    [
        (settings.LATCHKEY_BASE_URL, CredentialKind.OAUTH_TOKEN),
        (settings.LATCHKEY_BASE_URL + "/", CredentialKind.WORKLOAD),
        ("https://ci.corp.example", CredentialKind.WORKLOAD),
    ],
)
def test_token_belongs_to_its_issuer(issuer: str, kind: CredentialKind) -> None:
    text = token({"iss": issuer, "sub": "app"})
    assert read_presented(text) == Presented(text, kind, issuer=issuer)


def test_token_without_an_issuer_belongs_to_its_workloads_trust_domain() -> None:
    text = token({"sub": "spiffe://corp.example/reader"})
    issuer = "spiffe://corp.example"
    assert read_presented(text) == Presented(text, CredentialKind.WORKLOAD, issuer=issuer)


JUNK = {
    "nothing": "",
    "a word": "secret",
    "a key with another end": make_credential().text[:-1] + "!",
    "two parts": ".".join(token({"iss": "a"}).split(".")[:2]),
    "four parts": token({"iss": "a"}) + ".c2ln",
    "five parts of an encrypted token": token({"iss": "a"}) + ".c2ln.c2ln",
    "no signature": token({"iss": "a"}, signature=""),
    "padding": token({"iss": "a"}) + "=",
    "no issuer": token({"sub": "a"}),
    "no workload in the trust domain": token({"sub": "spiffe://corp.example"}),
    "an issuer that is no text": token({"iss": ["a"]}),
    "a list": token(["iss"]),
    "no JSON": token(b"iss"),
    "no UTF-8": token(b'{"iss": "\xff"}'),
    "nested beyond reason": token(b'{"iss":' + b"[" * 5000),
    "a long head": token({"iss": "a"}, head={"alg": "a" * 2000}),
    "too long": token({"iss": "a", "sub": "a" * TOKEN_MAX}),
    "a line's end": token({"iss": "a"}) + "\n",
    "other letters": token({"iss": "a"}, signature="é"),
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_none(name: str) -> None:
    assert read_presented(token({"iss": "a"})) is not None
    assert read_presented(JUNK[name]) is None


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,9}"))
def test_no_text_makes_reading_fail(text: str) -> None:
    read = read_presented(text)
    assert read is None or read.text == text
