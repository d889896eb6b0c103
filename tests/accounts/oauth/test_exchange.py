"""A workload's own token, exchanged for one of ours: as far as its rule of trust goes, no longer than it lasts, and no further."""

import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from accounts.audit import COMMAND
from accounts.models import OAuthAccessToken, TrustedIssuer, TrustRule
from accounts.models.keys import Scope
from accounts.oauth.exchange import ACCESS_TOKEN_TYPE, JWT_TYPE, TOKEN_EXCHANGE
from accounts.oauth.issuer import issuer, resource_of
from accounts.ways_in.proven import CredentialKind, Door
from accounts.writes.teams import disable_service_account, disable_team
from accounts.writes.trust_rules import disable_trust_rule
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import (
    basic,
    claims_of,
    machine_token,
    new_machine,
    post,
    said,
)
from tests.accounts.rows import REASON
from tests.accounts.workload.issuing import OTHER_RSA_KEY, Issuing, new_issuing, signed
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def asked(token: str, headers: dict[str, str] | None = None, **form: Any) -> Any:
    return post(
        "token",
        headers,
        **(
            {
                "grant_type": TOKEN_EXCHANGE,
                "subject_token": token,
                "subject_token_type": JWT_TYPE,
            }
            | form
        ),
    )


def test_workloads_token_brings_one_of_ours_that_is_its_rules() -> None:
    issuing = new_issuing(scopes=[Scope.CHAT, Scope.EMBEDDINGS])
    found = said(asked(issuing.token()))
    assert found["issued_token_type"] == ACCESS_TOKEN_TYPE
    assert found["token_type"] == "Bearer"
    assert found["scope"] == "chat embeddings"
    assert "refresh_token" not in found
    claims = claims_of(found["access_token"])
    assert claims["iss"] == issuer()
    assert claims["aud"] == resource_of(Door.CALLS)
    assert claims["sub"] == str(issuing.account.pk)
    principal = loaded(found["access_token"])
    direct = loaded(issuing.token())
    assert principal is not None
    assert direct is not None
    assert principal.credential_id == direct.credential_id == issuing.rule.pk
    assert principal.kind is CredentialKind.WORKLOAD
    assert principal.windows == direct.windows
    assert principal.service_account_id == issuing.account.pk
    assert principal.depends_on >= {issuing.issuer.pk, issuing.rule.pk, issuing.account.pk}
    assert OAuthAccessToken.objects.get(jti=claims["jti"]).token == ""


def test_token_ends_with_the_workloads_own_and_after_fifteen_minutes_at_most() -> None:
    issuing = new_issuing()
    now = int(utc_now().timestamp())
    short = claims_of(said(asked(issuing.token(exp=now + 60)))["access_token"])
    assert short["exp"] == now + 60
    long = said(asked(issuing.token(exp=now + 3000)))
    assert 890 < long["expires_in"] <= 900
    ends_at = utc_now() + datetime.timedelta(seconds=30)
    TrustRule.objects.filter(pk=issuing.rule.pk).update(expires_at=ends_at)
    assert said(asked(issuing.token()))["expires_in"] <= 30
    principal = loaded(long["access_token"])
    assert principal is not None
    assert principal.expires_at == ends_at


def test_less_may_be_asked_for_and_nothing_more() -> None:
    issuing = new_issuing(scopes=[Scope.CHAT, Scope.EMBEDDINGS])
    less = said(asked(issuing.token(), scope="chat", resource=resource_of(Door.CALLS)))
    assert less["scope"] == "chat"
    principal = loaded(less["access_token"])
    assert principal is not None
    assert principal.scopes == {"chat"}
    for scope in ("manage", "chat administer", "everything"):
        assert said(asked(issuing.token(), scope=scope), 400)["error"] == "invalid_scope"
    for name in ("resource", "audience"):
        elsewhere: dict[str, Any] = {name: resource_of(Door.MANAGEMENT)}
        reply = asked(issuing.token(), **elsewhere)
        assert said(reply, 400)["error"] == "invalid_target"
    TrustRule.objects.filter(pk=issuing.rule.pk).update(scopes=["embeddings"])
    narrowed = loaded(less["access_token"])
    assert narrowed is not None
    assert narrowed.scopes == set()


def end(issuing: Issuing, what: str) -> None:
    match what:
        case "rule":
            disable_trust_rule(issuing.rule, actor=COMMAND, reason=REASON)
        case "rule's end":
            TrustRule.objects.filter(pk=issuing.rule.pk).update(expires_at=utc_now())
        case "issuer":
            TrustedIssuer.objects.filter(pk=issuing.issuer.pk).update(disabled_at=utc_now())
        case "account":
            disable_service_account(issuing.account, actor=COMMAND, reason=REASON)
        case "team":
            disable_team(issuing.rule.team, actor=COMMAND, reason=REASON)
        case "row":
            OAuthAccessToken.objects.filter(team=issuing.rule.team).delete()


@pytest.mark.parametrize("what", ["rule", "rule's end", "issuer", "account", "team", "row"])
def test_token_ends_with_whatever_it_stands_on(what: str) -> None:
    issuing, other = new_issuing(), new_issuing()
    token, others = (said(asked(one.token()))["access_token"] for one in (issuing, other))
    assert loaded(token) is not None
    end(issuing, what)
    assert loaded(token) is None
    assert loaded(others) is not None
    assert asked(issuing.token()).status_code == (200 if what == "row" else 400)


def test_token_that_proves_nothing_is_refused_in_the_same_words() -> None:
    issuing = new_issuing()
    assert asked(issuing.token()).status_code == 200
    now = int(utc_now().timestamp())
    bad = signed({"alg": "RS256", "kid": "rsa"}, issuing.payload(), key=OTHER_RSA_KEY)
    worthless = [
        "x",
        "lk_x",
        "a" * 9000,
        bad,
        issuing.token(iss="https://unknown.test"),
        issuing.token(aud="https://elsewhere.test"),
        issuing.token(sub="stranger:x"),
        issuing.token(exp=now - 1),
        issuing.token(header={"kid": "new"}),
        machine_token(new_machine())["access_token"],
        said(asked(issuing.token()))["access_token"],
        new_issuing(networks=["192.0.2.0/24"]).token(),
    ]
    words = [said(asked(token), 400) for token in worthless]
    assert words[0]["error"] == "invalid_request"
    assert all(one == words[0] for one in words)


@pytest.mark.parametrize(
    "form",
    [
        {"subject_token": ""},
        {"subject_token_type": ACCESS_TOKEN_TYPE},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"actor_token": "x"},
    ],
)
def test_other_exchange_than_this_one_is_not_offered(form: dict[str, Any]) -> None:
    token = new_issuing().token()
    assert said(asked(token, requested_token_type=ACCESS_TOKEN_TYPE))
    assert said(asked(token, **form), 400)["error"] == "invalid_request"


def test_client_that_is_given_has_to_stand_and_to_be_of_the_team() -> None:
    issuing = new_issuing()
    own, other = new_machine(team=issuing.rule.team), new_machine()
    assert said(asked(issuing.token(), basic(own.client, own.secret)))
    assert said(asked(issuing.token(), basic(own.client, "lkcs_x")), 401)
    assert said(asked(issuing.token(), client_id=own.client.client_id), 401)
    refused = said(asked(issuing.token(), basic(other.client, other.secret)), 400)
    assert refused["error"] == "invalid_request"


@pytest.mark.parametrize("is_named", [True, False])
def test_clients_of_the_rules_team_see_and_end_what_was_exchanged_and_no_others(
    is_named: bool,
) -> None:
    issuing = new_issuing()
    own, other = new_machine(team=issuing.rule.team), new_machine()
    mine, theirs = (basic(one.client, one.secret) for one in (own, other))
    text = said(asked(issuing.token(), mine if is_named else None))["access_token"]
    nothing = {"active": False}
    assert said(post("introspect", theirs, token=text)) == nothing
    assert post("revoke", theirs, token=text).status_code == 200
    assert loaded(text) is not None
    seen, claims = said(post("introspect", mine, token=text)), claims_of(text)
    assert seen["active"] is True
    assert seen["scope"] == "chat"
    for name in ("client_id", "sub", "iss", "exp", "jti"):
        assert seen[name] == claims[name], name
    # The row is written after the token, perhaps in the next second.
    assert 0 <= seen["iat"] - claims["iat"] <= 1
    assert seen["aud"] == [resource_of(Door.CALLS)]
    TrustRule.objects.filter(pk=issuing.rule.pk).update(expires_at=utc_now())
    assert said(post("introspect", mine, token=text)) == nothing
    TrustRule.objects.filter(pk=issuing.rule.pk).update(expires_at=None)
    assert loaded(text) is not None
    assert post("revoke", mine, token=text).status_code == 200
    assert loaded(text) is None
    assert said(post("introspect", mine, token=text)) == nothing


def test_tries_of_one_peer_are_counted_and_a_right_token_waits_with_them() -> None:
    issuing = new_issuing()
    form = {"grant_type": TOKEN_EXCHANGE, "subject_token_type": JWT_TYPE}
    peer, other = (Client(REMOTE_ADDR=f"198.51.100.{number}") for number in (78, 79))

    def ask(client: Client, text: str) -> int:
        body = urlencode(form | {"subject_token": text})
        kind = "application/x-www-form-urlencoded"
        return client.post("/oauth/token", body, kind).status_code

    statuses = [ask(peer, issuing.token(sub="stranger:x")) for _ in range(32)]
    assert (statuses[0], statuses[-1]) == (400, 429)
    assert (ask(peer, issuing.token()), ask(other, issuing.token())) == (429, 200)


def test_metadata_names_the_exchange() -> None:
    facts = Client().get("/.well-known/oauth-authorization-server").json()
    assert TOKEN_EXCHANGE in facts["grant_types_supported"]
