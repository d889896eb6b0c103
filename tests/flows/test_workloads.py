"""A workload calls with the token of its own platform: at the same doors, by the same rights, and refused within a second."""

import dataclasses
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from accounts.audit import COMMAND
from accounts.models.keys import Scope
from accounts.oauth.exchange import JWT_TYPE, TOKEN_EXCHANGE
from accounts.writes.issuers import disable_issuer, enable_issuer, replace_keys
from accounts.writes.teams import disable_service_account, enable_service_account
from accounts.writes.trust_rules import change_trust_rule, disable_trust_rule, enable_trust_rule
from tests.accounts.rows import REASON
from tests.accounts.workload.issuing import (
    ED_KEY,
    RSA_KEY,
    Issuing,
    jwk_of,
    new_issuer,
    new_rule,
)
from tests.flows.answers import CHAT, EMBEDDINGS, chat_body, embeddings_body
from tests.flows.conftest import CallerMaker, Catalogue
from tests.flows.house import Caller
from tests.flows.ledger import find_call
from tests.flows.test_rights import REFUSED_WITHIN_S, SLACK_S, chat, wait_for

WITHIN_S = REFUSED_WITHIN_S + SLACK_S


@pytest.fixture
def workload(new_caller_of: CallerMaker, catalogue: Catalogue) -> tuple[Caller, Issuing]:
    """A service account that may call one model, with a rule and no key of its own."""
    caller = new_caller_of(catalogue.chat, catalogue.embeddings)
    issuer = new_issuer()
    rule = new_rule(issuer, caller.holder)  # type: ignore[arg-type]
    issuing = Issuing(issuer, caller.holder, rule, rule.subject)  # type: ignore[arg-type]
    return dataclasses.replace(caller, text=issuing.token()), issuing


def test_token_calls_like_a_key_and_stands_in_the_ledger_under_its_rule(
    workload: tuple[Caller, Issuing], catalogue: Catalogue
) -> None:
    caller, issuing = workload
    reply = chat(caller, catalogue.chat)
    assert reply.status == 200, reply.body
    call = find_call(reply.headers["x-request-id"])
    assert call.key_id == issuing.rule.pk
    assert call.service_account_id == issuing.account.pk
    by_other_header = [("x-api-key", caller.text), ("Content-Type", "application/json")]
    body = chat_body(catalogue.chat.name)
    assert caller.send("POST", CHAT, body, headers=by_other_header).status == 200
    refused = caller.post(EMBEDDINGS, embeddings_body(catalogue.embeddings.name))
    assert refused.status == 403, refused.body
    assert caller.send("GET", f"/v1/models?access_token={caller.text}", headers=[]).status in {
        400,
        401,
    }


def test_token_of_an_attacker_is_refused_like_an_unknown_key(
    workload: tuple[Caller, Issuing], catalogue: Catalogue
) -> None:
    caller, issuing = workload
    assert chat(caller, catalogue.chat).status == 200
    wrong = [
        issuing.token(header={"jku": "https://evil.test"}),
        issuing.token(aud="https://other.test"),
        issuing.token(iss="https://evil.test"),
        caller.text[:-6] + "AAAAAA",
    ]
    replies = [chat(dataclasses.replace(caller, text=text), catalogue.chat) for text in wrong]
    unknown = chat(dataclasses.replace(caller, text="lk_nothing"), catalogue.chat)
    assert {reply.status for reply in replies} == {401}
    assert {reply.body for reply in replies} == {unknown.body}
    challenges = {reply.headers["www-authenticate"] for reply in (*replies, unknown)}
    assert len(challenges) == 1
    assert challenges.pop().endswith(', error="invalid_token"')


def test_token_got_in_exchange_calls_until_its_rule_is_disabled(
    workload: tuple[Caller, Issuing], catalogue: Catalogue
) -> None:
    caller, issuing = workload
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    form = {"grant_type": TOKEN_EXCHANGE, "subject_token_type": JWT_TYPE}
    body = urlencode(form | {"subject_token": caller.text}).encode()
    given = caller.send("POST", "/oauth/token", body, headers=headers)
    assert given.status == 200, given.body
    exchanged = dataclasses.replace(caller, text=given.json()["access_token"])
    reply = chat(exchanged, catalogue.chat)
    assert reply.status == 200, reply.body
    assert find_call(reply.headers["x-request-id"]).key_id == issuing.rule.pk
    disable_trust_rule(issuing.rule, actor=COMMAND, reason=REASON)
    wait_for(lambda: chat(exchanged, catalogue.chat), 401, within_s=WITHIN_S)
    again = caller.send("POST", "/oauth/token", body, headers=headers)
    assert (again.status, again.json()["error"]) == (400, "invalid_request")


Change = Callable[[Issuing], None]
ENDS: dict[str, tuple[Change, Change, int]] = {
    "rule": (
        lambda one: disable_trust_rule(one.rule, actor=COMMAND, reason=REASON),
        lambda one: enable_trust_rule(one.rule, actor=COMMAND),
        401,
    ),
    "issuer": (
        lambda one: disable_issuer(one.issuer, actor=COMMAND, reason=REASON),
        lambda one: enable_issuer(one.issuer, actor=COMMAND),
        401,
    ),
    "account": (
        lambda one: disable_service_account(one.account, actor=COMMAND, reason=REASON),
        lambda one: enable_service_account(one.account, actor=COMMAND),
        401,
    ),
    "keys": (
        lambda one: none_of(replace_keys(one.issuer, [jwk_of(ED_KEY, "ed")], actor=COMMAND)),
        lambda one: none_of(replace_keys(one.issuer, [jwk_of(RSA_KEY, "rsa")], actor=COMMAND)),
        401,
    ),
    "networks": (
        lambda one: change_trust_rule(
            one.rule, actor=COMMAND, scopes=[Scope.CHAT], networks=["192.0.2.0/24"], expires_at=None
        ),
        lambda one: change_trust_rule(
            one.rule, actor=COMMAND, scopes=[Scope.CHAT], networks=[], expires_at=None
        ),
        403,
    ),
}


def none_of(changed: bool) -> None:
    assert changed


@pytest.mark.parametrize("change", ENDS.values(), ids=ENDS)
def test_change_acts_within_a_second_both_ways(
    workload: tuple[Caller, Issuing], catalogue: Catalogue, change: tuple[Change, Change, int]
) -> None:
    caller, issuing = workload
    end, begin, status = change
    assert chat(caller, catalogue.chat).status == 200
    end(issuing)
    wait_for(lambda: chat(caller, catalogue.chat), status, within_s=WITHIN_S)
    begin(issuing)
    wait_for(lambda: chat(caller, catalogue.chat), 200, within_s=WITHIN_S)
