"""Clients that call by themselves: proven by a secret or a key, for their service account, and for nothing wider."""

import statistics
import time
import uuid
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from accounts.audit import COMMAND
from accounts.models import OAuthAccessToken
from accounts.models.keys import Scope
from accounts.oauth.issuer import issuer, resource_of, token_endpoint
from accounts.oauth.secrets import is_secret
from accounts.ways_in.proven import REFUSED_AFTER_S, Door
from accounts.writes.oauth_clients import (
    disable_client,
    enable_client,
    remove_client,
    replace_client_secret,
)
from accounts.writes.teams import disable_service_account, disable_team
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import (
    ASSERTION_TYPE,
    Signer,
    basic,
    claims_of,
    machine_token,
    minutes,
    new_machine,
    new_web_client,
    post,
    said,
)
from tests.accounts.rows import REASON
from tests.accounts.workload.issuing import ED_KEY, jwk_of, part
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def test_secret_by_either_carrier_brings_a_token_for_the_service_account() -> None:
    registered = new_machine(Scope.CHAT, Scope.EMBEDDINGS)
    client, secret = registered.client, registered.secret
    by_basic = machine_token(registered)
    by_body = said(
        post(
            "token",
            grant_type="client_credentials",
            client_id=client.client_id,
            client_secret=secret,
            scope="chat",
        )
    )
    assert by_basic["token_type"] == "Bearer"
    assert 0 < by_basic["expires_in"] <= 900
    assert "refresh_token" not in by_basic
    assert by_basic["scope"] == "chat embeddings"
    assert by_body["scope"] == "chat"
    claims = claims_of(by_basic["access_token"])
    assert claims["sub"] == str(client.service_account_id)
    assert claims["aud"] == resource_of(Door.CALLS)
    assert claims["iss"] == issuer()
    principal = loaded(by_basic["access_token"])
    assert principal is not None
    assert principal.credential_id == client.credential_id
    assert principal.service_account_id == client.service_account_id
    assert principal.scopes == {"chat", "embeddings"}


def test_nothing_of_a_secret_or_a_token_is_stored() -> None:
    registered = new_machine()
    text = machine_token(registered)["access_token"]
    row = OAuthAccessToken.objects.get(jti=claims_of(text)["jti"])
    assert row.token == ""
    assert registered.secret not in registered.client.client_secret
    assert is_secret(registered.secret, registered.client.client_secret)


REFUSED: dict[str, dict[str, Any]] = {
    "an unknown client": {"client_id": str(uuid.uuid4())},
    "no client": {"client_id": "nobody"},
    "a null in its name": {"client_id": "no%00body"},
    "a wrong secret": {"secret": "lkcs_wrong"},
    "no secret": {"secret": ""},
}


def refused(how: str) -> Any:
    """Ask as a client that will be refused."""
    registered = new_machine()
    client, secret = registered.client, registered.secret
    match how:
        case "disabled":
            disable_client(client, actor=COMMAND, reason=REASON)
        case "removed":
            remove_client(client, actor=COMMAND)
        case "its secret replaced":
            replace_client_secret(client, actor=COMMAND)
        case "its team disabled":
            disable_team(client.team, actor=COMMAND, reason=REASON)
        case "its account disabled":
            assert client.service_account is not None
            disable_service_account(client.service_account, actor=COMMAND, reason=REASON)
        case "over":
            type(client).objects.filter(pk=client.pk).update(expires_at=utc_now())
        case "two proofs":
            return post(
                "token",
                basic(client, secret),
                grant_type="client_credentials",
                client_id=client.client_id,
                client_secret=secret,
            )
        case "another's name beside the proof":
            return post(
                "token",
                basic(client, secret),
                grant_type="client_credentials",
                client_id=new_machine().client.client_id,
            )
        case _:
            changed = REFUSED[how]
            client.client_id = changed.get("client_id", client.client_id)
            secret = changed.get("secret", secret)
    return post("token", basic(client, secret), grant_type="client_credentials")


HOW = [
    *REFUSED,
    "disabled",
    "removed",
    "its secret replaced",
    "its team disabled",
    "its account disabled",
    "over",
    "two proofs",
    "another's name beside the proof",
]


@pytest.mark.parametrize("how", HOW)
def test_client_that_does_not_stand_hears_the_same_words_and_after_the_same_time(how: str) -> None:
    unknown = said(refused("an unknown client"), 401)
    began = time.monotonic()
    reply = refused(how)
    assert time.monotonic() - began >= REFUSED_AFTER_S
    assert said(reply, 401) == unknown
    assert reply["WWW-Authenticate"].startswith("Basic")
    assert reply["Cache-Control"] == "no-store"


def test_unknown_and_wrong_clients_take_the_same_time() -> None:
    registered = new_machine()
    times: dict[str, list[float]] = {"unknown": [], "wrong": []}
    for turn in range(10):
        for name, client_id in (
            ("unknown", str(uuid.uuid4())),
            ("wrong", registered.client.client_id),
        ):
            began = time.perf_counter()
            reply = post(
                "token",
                grant_type="client_credentials",
                client_id=client_id,
                client_secret=f"lkcs_{turn}",
            )
            times[name].append(time.perf_counter() - began)
            assert reply.status_code == 401
    apart_s = abs(statistics.median(times["unknown"]) - statistics.median(times["wrong"]))
    assert apart_s < REFUSED_AFTER_S / 4


def test_unknown_clients_are_counted_by_peer() -> None:
    from django.test import Client  # noqa: PLC0415 - one address for all of these.

    browser = Client(REMOTE_ADDR="198.51.100.77")
    form = "grant_type=client_credentials&client_id=nobody&client_secret=lkcs_x"
    kind = "application/x-www-form-urlencoded"
    statuses = [browser.post("/oauth/token", form, kind).status_code for _ in range(32)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert machine_token(new_machine())


@pytest.mark.parametrize(
    "scope", ["manage", "administer", "embeddings", "everything", "chat manage"]
)
def test_client_gets_no_scope_beyond_its_own(scope: str) -> None:
    registered = new_machine()
    assert machine_token(registered, scope="chat")["scope"] == "chat"
    reply = post(
        "token",
        basic(registered.client, registered.secret),
        grant_type="client_credentials",
        scope=scope,
    )
    assert said(reply, 400)["error"] == "invalid_scope"


def test_widened_row_gives_a_machine_no_right_to_manage() -> None:
    registered = new_machine()
    type(registered.client).objects.update(scopes=["chat", "manage", "administer"])
    reply = post(
        "token",
        basic(registered.client, registered.secret),
        grant_type="client_credentials",
        scope="chat manage",
    )
    assert said(reply, 400)["error"] == "invalid_scope"


def test_token_is_for_the_resource_that_was_named_and_no_other_is_there() -> None:
    registered = new_machine()
    named = machine_token(registered, resource=resource_of(Door.CALLS))
    assert claims_of(named["access_token"])["aud"] == resource_of(Door.CALLS)
    for other in (resource_of(Door.MANAGEMENT), "https://elsewhere.example/", "urn:x", issuer()):
        reply = post(
            "token",
            basic(registered.client, registered.secret),
            grant_type="client_credentials",
            resource=other,
        )
        assert said(reply, 400)["error"] == "invalid_target"


def test_clients_end_is_the_tokens_end() -> None:
    ends_at = utc_now() + minutes(3)
    registered = new_machine(expires_at=ends_at)
    token = machine_token(registered)
    assert token["expires_in"] <= 180
    principal = loaded(token["access_token"])
    assert principal is not None
    assert principal.expires_at <= ends_at


def test_disabled_client_has_no_tokens_and_gets_none_back_when_it_is_enabled() -> None:
    registered = new_machine()
    text = machine_token(registered)["access_token"]
    assert loaded(text) is not None
    disable_client(registered.client, actor=COMMAND, reason=REASON)
    assert loaded(text) is None
    enable_client(registered.client, actor=COMMAND)
    assert loaded(text) is None
    assert loaded(machine_token(registered)["access_token"]) is not None


@pytest.mark.parametrize(
    "grant",
    ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "", "refresh_token"],
)
def test_machine_has_one_grant_and_no_other(grant: str) -> None:
    registered = new_machine()
    reply = post(
        "token",
        basic(registered.client, registered.secret),
        grant_type=grant,
        username="a",
        password="b",
        refresh_token="lkrt_x",
    )
    assert said(reply, 400)["error"] in {"unsupported_grant_type", "invalid_grant"}


def test_client_with_a_key_proves_itself_by_what_it_signs_and_by_no_secret() -> None:
    signer = Signer()
    registered = new_machine(jwks=[signer.jwk])
    assert registered.secret == ""
    for audience in (issuer(), token_endpoint(), [issuer()]):
        found = said(by_assertion(signer.assertion(registered.client, aud=audience)))
        assert loaded(found["access_token"]) is not None
    reply = post(
        "token",
        grant_type="client_credentials",
        client_id=registered.client.client_id,
        client_secret="lkcs_anything",
    )
    assert said(reply, 401)["error"] == "invalid_client"


@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519"])
def test_key_on_curve_25519_signs_under_its_old_name_and_its_new_one(algorithm: str) -> None:
    """RFC 9864; libraries write either. A key of another kind signs under neither."""
    registered = new_machine(jwks=[jwk_of(ED_KEY, "ed")])
    claims = claims_of(Signer().assertion(registered.client))
    body = f"{part({'alg': algorithm, 'kid': 'ed'})}.{part(claims)}"
    signature = urlsafe_b64encode(ED_KEY.sign(body.encode())).rstrip(b"=").decode()
    other = new_machine(jwks=[Signer(kid="ed").jwk])
    wrong = part(claims | {"iss": other.client.client_id, "sub": other.client.client_id})
    forged = f"{body.partition('.')[0]}.{wrong}.{signature}"
    assert said(by_assertion(forged), 401)["error"] == "invalid_client"
    assert said(by_assertion(f"{body}.{signature}"))["access_token"]


def by_assertion(assertion: str, **form: Any) -> Any:
    return post(
        "token",
        **(
            {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
            }
            | form
        ),
    )


def test_assertion_is_used_once() -> None:
    signer = Signer()
    assertion = signer.assertion(new_machine(jwks=[signer.jwk]).client)
    assert said(by_assertion(assertion))
    assert said(by_assertion(assertion), 401)["error"] == "invalid_client"


NOW = int(time.time())
WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": str(uuid.uuid4())},
    "another subject": {"sub": str(uuid.uuid4())},
    "another audience": {"aud": "https://elsewhere.example"},
    "another audience too": {"aud": [issuer(), "https://elsewhere.example"]},
    "a part of the audience": {"aud": issuer()[:-1]},
    "no audience": {"aud": None},
    "no end": {"exp": None},
    "an end that is past": {"exp": NOW - 1},
    "an end far off": {"exp": NOW + 2 * 3600},
    "an end that is no number": {"exp": "soon"},
    "an endless end": {"exp": 1e308},
    "a beginning far off": {"iat": NOW + 600},
    "not yet valid": {"nbf": NOW + 600},
    "no id": {"jti": None},
    "an empty id": {"jti": ""},
    "an id that is a number": {"jti": 7},
    "a long id": {"jti": "a" * 500},
}


@pytest.mark.parametrize("name", WRONG_CLAIMS)
def test_assertion_that_says_anything_else_proves_nothing(name: str) -> None:
    signer = Signer()
    client = new_machine(jwks=[signer.jwk]).client
    assert said(by_assertion(signer.assertion(client)))
    try:
        assertion = signer.assertion(client, **WRONG_CLAIMS[name])
    except TypeError:
        pytest.fail("the library will not sign this")
    assert said(by_assertion(assertion), 401)["error"] == "invalid_client"


def test_assertion_signed_by_another_key_proves_nothing() -> None:
    signer, other = Signer(), Signer()
    client = new_machine(jwks=[signer.jwk]).client
    assert said(by_assertion(other.assertion(client)), 401)["error"] == "invalid_client"
    without_keys = new_machine().client
    assert said(by_assertion(other.assertion(without_keys)), 401)["error"] == "invalid_client"
    for text in ("", "a.b.c", "a" * 5000, "....", other.assertion(client)[:-4]):
        assert by_assertion(text).status_code == 401


def test_other_form_than_the_protocols_is_refused() -> None:
    from django.test import Client  # noqa: PLC0415 - asked in ways that `post` does not ask in.

    registered = new_machine()
    headers = basic(registered.client, registered.secret)
    form = "application/x-www-form-urlencoded"
    ask = Client(headers=headers)
    grant = "grant_type=client_credentials"
    assert ask.post("/oauth/token", grant, form).status_code == 200
    assert ask.get(f"/oauth/token?{grant}").status_code == 405
    assert ask.post(f"/oauth/token?{grant}", "", form).status_code == 400
    assert ask.post("/oauth/token", f"{grant}&{grant}", form).status_code == 400
    assert (
        ask.post(
            "/oauth/token", '{"grant_type": "client_credentials"}', "application/json"
        ).status_code
        == 400
    )
    assert ask.post("/oauth/token", f"{grant}&scope=chat%00", form).status_code == 400
    assert ask.post("/oauth/token", f"{grant}&x=" + "a" * 20_000, form).status_code == 400


def test_client_of_people_gets_nothing_by_itself() -> None:
    registered = new_web_client(is_public=False)
    reply = post(
        "token", basic(registered.client, registered.secret), grant_type="client_credentials"
    )
    assert said(reply, 400)["error"] == "unauthorized_client"


@pytest.mark.parametrize("whose", ["client", "account", "team"])
def test_token_is_given_where_it_could_be_used_and_elsewhere_a_secret_reads_like_a_wrong_one(
    whose: str,
) -> None:
    registered = new_machine()
    client = registered.client
    subject: Any = {"client": client, "account": client.service_account, "team": client.team}[whose]
    subject.networks = ["192.0.2.0/24"]
    subject.save()

    def ask(secret: str, address: str) -> Any:
        headers = basic(registered.client, secret) | {"The-Peer": "192.0.2.7"}
        return post("token", headers, address=address, grant_type="client_credentials")

    outside, inside = "198.51.100.90", "192.0.2.7"
    refused, wrong = ask(registered.secret, outside), ask("lkcs_x", outside)
    assert refused.status_code == wrong.status_code == 401
    assert refused.content == wrong.content
    assert not OAuthAccessToken.objects.filter(application=registered.client).exists()
    assert said(ask(registered.secret, inside))["access_token"]
