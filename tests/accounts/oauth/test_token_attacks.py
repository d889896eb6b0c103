"""Forged tokens are all refused alike, by both doors, and none makes anything fail."""

import base64
import datetime
import hmac
import json
import time
import uuid
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from django.conf import settings as django_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import OAuthAccessToken, SigningKey
from accounts.oauth.access_tokens import read_access_token
from accounts.oauth.issuer import ACCESS_TOKEN_LIFE, issuer, resource_of
from accounts.oauth.signing_keys import COLUMN, sign, verifying_keys
from accounts.ways_in.proven import Door
from portal.lib.clock import utc_now
from portal.lib.crypto import Sealer
from tests.accounts.oauth.world import Visit, claims_of, new_web_client
from tests.asking_api import Asker, code_of
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.fixture
def genuine() -> str:
    """A token that opens both doors."""
    visit = Visit.of(new_web_client())
    text: str = visit.tokens(scope="chat manage")["access_token"]
    assert loaded(text) is not None
    assert Asker(text=text).get("me").status_code == 200
    return text


def refuse(text: str) -> None:
    """Nobody is let in with it, and both doors say so as of any unknown credential."""
    assert loaded(text) is None
    reply = Asker(text=text).get("me")
    assert reply.status_code == 401
    assert code_of(reply) == "invalid_credential"


def head_of(text: str) -> dict[str, Any]:
    return dict(jwt.get_unverified_header(text))


def forged(text: str, head: object, *, key: Any, algorithm: str, claims: object = None) -> str:
    """The token with another head, and whatever else, signed with a key of the attacker's."""
    body = f"{part(head)}.{part(claims if claims is not None else claims_of(text))}"
    handler = jwt.get_algorithm_by_name(algorithm)
    signature = handler.sign(body.encode(), handler.prepare_key(key))
    return f"{body}.{part(signature) if signature else 'AA'}"


def public_of(text: str) -> Any:
    row = SigningKey.objects.get(pk=head_of(text)["kid"])
    return jwt.PyJWK(row.public, algorithm="ES256").key


def attacks(text: str) -> dict[str, str]:
    head, claims = head_of(text), claims_of(text)
    first, middle, last = text.split(".")
    own = ec.generate_private_key(ec.SECP256R1())
    own_jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(own.public_key()))
    public = public_of(text)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def own_signed(**more: Any) -> str:
        return forged(text, head | more, key=own, algorithm="ES256")

    def with_mac(secret: bytes, algorithm: str = "HS256") -> str:
        body = f"{part(head | {'alg': algorithm})}.{middle}"
        return f"{body}.{part(hmac.digest(secret, body.encode(), 'sha256'))}"

    doubled = json.dumps(head)[:-1].encode() + b', "kid": "a"}'
    deep = b'{"iss":"' + issuer().encode() + b'","a":' + b"[" * 3000
    found = {
        "none": f"{part(head | {'alg': 'none'})}.{middle}.AA",
        "None, in another case": f"{part(head | {'alg': 'nOnE'})}.{middle}.{last}",
        "no signature": f"{first}.{middle}.",
        "an empty algorithm": f"{part(head | {'alg': ''})}.{middle}.{last}",
        "no algorithm": f"{part({'typ': 'at+jwt', 'kid': head['kid']})}.{middle}.{last}",
        "the public key as a secret": with_mac(pem),
        "an empty secret": with_mac(b""),
        "the key's id as a secret": with_mac(head["kid"].encode()),
        "another algorithm named": f"{part(head | {'alg': 'ES384'})}.{middle}.{last}",
        "RSA named": f"{part(head | {'alg': 'RS256'})}.{middle}.{last}",
        "another's key under our id": own_signed(),
        "another's key, embedded": own_signed(jwk=own_jwk),
        "another's keys at an address": own_signed(jku="https://evil.example/jwks.json"),
        "another's certificate at an address": own_signed(x5u="https://evil.example/cert.pem"),
        "another's certificate, embedded": own_signed(x5c=["MIIB"]),
        "a critical extension": own_signed(crit=["exp"], exp=1),
        "an unencoded payload": own_signed(crit=["b64"], b64=False),
        "zeroes for a signature": f"{first}.{middle}.{part(bytes(64))}",
        "a short signature": f"{first}.{middle}.{last[:-8]}",
        "a claim changed": f"{first}.{part(claims | {'scope': 'administer'})}.{last}",
        "parts of two tokens": f"{first}.{part(claims | {'jti': str(uuid.uuid4())})}.{last}",
        "five parts": f"{text}.{middle}.{last}",
        "padding": text + "=",
        "a space": f"{first}. {middle}.{last}",
        "a null": text[:-1] + "\x00",
        "a head that is a list": f"{part([])}.{middle}.{last}",
        "a head that is no JSON": f"{part(b'{')}.{middle}.{last}",
        "a head nested deep": f"{part(b'[' * 700)}.{middle}.{last}",
        "a head that names its key twice": f"{part(doubled)}.{middle}.{last}",
        "a huge payload": f"{first}.{part({'iss': issuer(), 'a': 'a' * 100_000})}.{last}",
        "a payload nested deep": f"{first}.{part(deep)}.{last}",
    }
    for name, kid in {
        "a path": "../../../../dev/null",
        "SQL": "' OR 1=1 --",
        "a null": "\x00",
        "a command": "| /bin/true",
        "another id": str(uuid.uuid4()),
        "nothing": "",
        "much": "a" * 500,
        "a number": 7,
        "a list": [head["kid"]],
        "null": None,
    }.items():
        found[f"the key's id is {name}"] = own_signed(kid=kid)
    return found


def test_forged_tokens_are_refused_alike(genuine: str) -> None:
    found = attacks(genuine)
    assert len(set(found.values())) == len(found)
    for name, text in found.items():
        assert text != genuine, name
        assert loaded(text) is None, name
    # The other door asks the same question; a few show that it does, and that each is refused in its words.
    for name in list(found)[::8]:
        if "null" not in name and "space" not in name:
            refuse(found[name])
    assert loaded(genuine) is not None


NOW = int(time.time())
CHANGED: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "an issuer with a slash": {"iss": issuer() + "/"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "https://elsewhere.example"},
    "a longer audience": {"aud": [resource_of(Door.CALLS) + "/more"]},
    "an audience that is an object": {"aud": {resource_of(Door.CALLS): 1}},
    "no audience": {"aud": None},
    "an end now": {"exp": NOW},
    "an end that is past": {"exp": NOW - 1},
    "a long life": {"exp": NOW + 3600},
    "a life to come": {"iat": NOW + 86_400, "exp": NOW + 86_400 + 600},
    "an endless life": {"exp": 1e308},
    "a life in text": {"exp": str(NOW + 60)},
    "no end": {"exp": None},
    "no beginning": {"iat": None},
    "true for an end": {"exp": True},
    "another id": {"jti": str(uuid.uuid4())},
    "an id that is none": {"jti": "../etc/passwd"},
    "no id": {"jti": None},
    "an id that is a list": {"jti": []},
    "another client": {"client_id": str(uuid.uuid4())},
    "another subject": {"sub": str(uuid.uuid4())},
    "another team": {"team": str(uuid.uuid4())},
    "scopes in a list": {"scope": ["chat", "manage"]},
    "very many scopes": {"scope": "chat " * 100},
}


@pytest.mark.parametrize("name", CHANGED)
def test_token_signed_by_our_own_key_is_held_to_what_it_says(genuine: str, name: str) -> None:
    """What no client can make: so that a fault elsewhere, such as a service that signs what it is given, opens nothing."""
    claims = claims_of(genuine) | CHANGED[name]
    text = sign({k: value for k, value in claims.items() if value is not None}, now=utc_now())
    row = OAuthAccessToken.objects.get(jti=claims_of(genuine)["jti"])
    row._raw_token = text
    row.save()
    assert loaded(text) is None
    again = sign(claims_of(genuine), now=utc_now())
    row._raw_token = again
    row.save()
    assert loaded(again) is not None


@pytest.mark.parametrize("kind", ["JWT", "", "jwt", "at+jwtx", "secevent+jwt", "dpop+jwt"])
def test_our_signature_on_another_type_opens_nothing(genuine: str, kind: str) -> None:
    """Such as an ID token, or whatever else we may come to sign with these keys."""
    row = SigningKey.objects.latest("signs_from")
    sealer = Sealer(django_settings.LATCHKEY_SEALING_KEYS)
    pem = sealer.open(bytes(row.sealed_private), row=str(row.pk), column=COLUMN)
    private = load_pem_private_key(pem.encode(), password=None)
    head = head_of(genuine)
    token = OAuthAccessToken.objects.get(jti=claims_of(genuine)["jti"])
    for typ, is_let_in in ((kind, False), ("at+jwt", True)):
        text = forged(genuine, head | {"typ": typ}, key=private, algorithm="ES256")
        token._raw_token = text
        token.save()
        assert (loaded(text) is not None) is is_let_in
    doubled = json.dumps(claims_of(genuine))[:-1] + ', "scope": "administer"}'
    body = f"{part(head)}.{part(doubled.encode())}"
    handler = jwt.get_algorithm_by_name("ES256")
    text = f"{body}.{part(handler.sign(body.encode(), private))}"
    token._raw_token = text
    token.save()
    assert loaded(text) is None


def test_token_ends_at_its_second(genuine: str) -> None:
    keys = verifying_keys()
    ends_at = datetime.datetime.fromtimestamp(claims_of(genuine)["exp"], tz=datetime.UTC)
    assert ends_at - utc_now() <= ACCESS_TOKEN_LIFE
    instant = datetime.timedelta(microseconds=1)
    for now, is_over in ((ends_at - instant, False), (ends_at, True), (ends_at + instant, True)):
        found = read_access_token(genuine, keys, door=Door.CALLS, now=now)
        assert (found is None) is is_over


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_change_of_a_token_lets_anybody_in_or_fails(genuine: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(genuine) - 2))
    letter = data.draw(st.characters(max_codepoint=255))
    changed = genuine[:at] + letter + genuine[at + 1 :]
    assert (loaded(changed) is None) == (changed != genuine)
