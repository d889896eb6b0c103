"""Signing keys are made ahead of their use, published before and after it, and kept sealed."""

import datetime
import json

import jwt
import pytest
from django.test import Client

from accounts.models import SigningKey
from accounts.oauth.issuer import issuer, resource_of
from accounts.oauth.signing_keys import (
    KEPT_AFTER,
    LIFE,
    PUBLISHED_AHEAD,
    rotate_signing_keys,
    sign,
)
from accounts.tasks import rotate_keys
from accounts.ways_in.proven import Door
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import machine_token, new_machine
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


def published() -> set[str]:
    keys = json.loads(Client().get("/.well-known/jwks.json").content)["keys"]
    assert all(key["alg"] == "ES256" and key["use"] == "sig" for key in keys)
    assert not any({"d", "k", "p"} & key.keys() for key in keys)
    return {key["kid"] for key in keys}


def signer_at(now: datetime.datetime) -> str:
    return str(jwt.get_unverified_header(sign({"iss": "a"}, now=now))["kid"])


def test_next_key_is_published_a_day_before_it_signs_and_the_last_until_its_tokens_ended() -> None:
    began = utc_now()
    rotate_signing_keys(now=began)
    first = signer_at(began)
    assert published() == {first}
    rotate_signing_keys(now=began + LIFE - PUBLISHED_AHEAD - DAY)
    assert published() == {first}
    rotate_signing_keys(now=began + LIFE - PUBLISHED_AHEAD)
    both = published()
    assert len(both) == 2
    assert signer_at(began + LIFE - DAY / 2) == first
    second = signer_at(began + LIFE)
    assert {second} == both - {first}
    rotate_signing_keys(now=began + LIFE + KEPT_AFTER - DAY / 1000)
    assert published() == both
    rotate_signing_keys(now=began + LIFE + KEPT_AFTER)
    assert published() == {second}


def test_task_that_paused_for_long_publishes_before_it_signs_all_the_same() -> None:
    began = utc_now()
    rotate_signing_keys(now=began)
    first, late = signer_at(began), began + 5 * LIFE
    assert signer_at(late) == first
    rotate_signing_keys(now=late)
    assert len(published()) == 2
    assert signer_at(late) == first
    assert signer_at(late + PUBLISHED_AHEAD) != first


def test_task_makes_one_key_however_often_it_runs() -> None:
    for _ in range(3):
        rotate_keys()
    assert SigningKey.objects.count() == 1


def test_tokens_of_the_last_key_are_good_until_they_end() -> None:
    registered = new_machine()
    text = machine_token(registered)["access_token"]
    rotate_signing_keys(now=utc_now() + LIFE - PUBLISHED_AHEAD)
    SigningKey.objects.filter(signs_from__gt=utc_now()).update(signs_from=utc_now())
    newer = machine_token(registered)["access_token"]
    assert jwt.get_unverified_header(text)["kid"] != jwt.get_unverified_header(newer)["kid"]
    assert loaded(text) is not None
    assert loaded(newer) is not None
    SigningKey.objects.filter(pk=jwt.get_unverified_header(text)["kid"]).delete()
    assert loaded(text) is None
    assert loaded(newer) is not None


def test_private_part_is_sealed() -> None:
    rotate_keys()
    sealed = bytes(SigningKey.objects.get().sealed_private)
    assert b"PRIVATE KEY" not in sealed
    assert len(sealed) > 200


def test_published_keys_verify_a_token_for_whoever_has_nothing_else() -> None:
    text = machine_token(new_machine())["access_token"]
    keys = jwt.PyJWKSet.from_dict(json.loads(Client().get("/.well-known/jwks.json").content))
    key = keys[jwt.get_unverified_header(text)["kid"]]
    audience = resource_of(Door.CALLS)
    claims = jwt.decode(text, key, algorithms=["ES256"], audience=audience, issuer=issuer())
    assert {"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope"} <= claims.keys()


def test_metadata_names_what_is_there_and_nothing_else() -> None:
    client = Client(headers={"host": "testserver", "x-forwarded-host": "evil.example"})
    facts = json.loads(client.get("/.well-known/oauth-authorization-server").content)
    assert facts["issuer"] == issuer()
    assert facts["response_types_supported"] == ["code"]
    assert facts["code_challenge_methods_supported"] == ["S256"]
    assert not {"password", "implicit"} & set(facts["grant_types_supported"])
    assert facts["authorization_response_iss_parameter_supported"] is True
    for name, value in facts.items():
        if name.endswith("endpoint") or name == "jwks_uri":
            assert client.get(value.removeprefix(issuer())).status_code in (200, 302, 405), name
    for door, path in ((Door.CALLS, "/v1"), (Door.MANAGEMENT, "/api/v1"), (Door.CALLS, "")):
        found = client.get(f"/.well-known/oauth-protected-resource{path}")
        resource = json.loads(found.content)
        assert resource["resource"] == resource_of(door)
        assert resource["authorization_servers"] == [issuer()]
        assert resource["bearer_methods_supported"] == ["header"]
    assert client.get("/.well-known/oauth-protected-resource/elsewhere").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/oauth/applications/",
        "/oauth/applications/register/",
        "/oauth/authorized_tokens/",
        "/oauth/register/",
        "/oauth/userinfo/",
        "/oauth/token/",
        "/o/token/",
        "/.well-known/openid-configuration",
    ],
)
def test_librarys_other_views_are_not_there(path: str) -> None:
    assert Client().get(path).status_code == 404
