"""Access tokens at a running gateway: the same decision as an API key's, whichever header carries them, and an end within a second."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

import jwt
import pytest

from accounts.audit import COMMAND
from accounts.models import OAuthAccessToken, OAuthApplication, SigningKey
from accounts.models.keys import Scope
from accounts.writes.oauth_clients import disable_client, remove_client
from accounts.writes.people import disable_person
from accounts.writes.teams import disable_service_account
from tests.accounts.oauth.world import (
    Visit,
    basic,
    claims_of,
    machine_token,
    new_machine,
    new_web_client,
    post,
)
from tests.flows.answers import CHAT, EMBEDDINGS, chat_body, embeddings_body
from tests.flows.conftest import CallerMaker, Catalogue
from tests.flows.house import Caller, grant
from tests.flows.ledger import find_calls
from tests.flows.test_rights import REFUSED_WITHIN_S, SLACK_S, wait_for
from tests.flows.wire import Reply

JSON = ("Content-Type", "application/json")
Machine = tuple[Caller, OAuthApplication, str]


@pytest.fixture
def machine(new_caller_of: CallerMaker, catalogue: Catalogue) -> Machine:
    """A caller whose credential is a token; the key beside it is not used."""
    registered = new_machine(Scope.CHAT)
    client = registered.client
    caller = new_caller_of(team=client.team)
    grant(catalogue.chat, client.team)
    text = machine_token(registered)["access_token"]
    return replace(caller, text=text), client, registered.secret


def chat(caller: Caller, model: str) -> Reply:
    return caller.post(CHAT, chat_body(model))


def test_token_calls_by_either_header_and_stands_in_the_ledger_under_its_client(
    machine: Machine, catalogue: Catalogue
) -> None:
    caller, client, _ = machine
    body = chat_body(catalogue.chat.name)
    by_bearer = chat(caller, catalogue.chat.name)
    by_plain = caller.send("POST", CHAT, body, headers=[("x-api-key", caller.text), JSON])
    assert (by_bearer.status, by_plain.status) == (200, 200)
    for call in find_calls(client.credential_id, count=2):
        assert call.service_account_id == client.service_account_id
    in_query = caller.send("POST", f"{CHAT}?access_token={caller.text}", body, headers=[JSON])
    assert in_query.status == 400
    grant(catalogue.embeddings, client.team)
    beyond_its_scope = embeddings_body(catalogue.embeddings.name)
    wait_for(lambda: caller.post(EMBEDDINGS, beyond_its_scope), 403, within_s=2)


def revoke(client: OAuthApplication, secret: str, text: str) -> None:
    assert post("revoke", basic(client, secret), token=text).status_code == 200


def delete_the_row(client: OAuthApplication, secret: str, text: str) -> None:
    OAuthAccessToken.objects.filter(jti=uuid.UUID(claims_of(text)["jti"])).delete()


def disable(client: OAuthApplication, secret: str, text: str) -> None:
    disable_client(client, actor=COMMAND, reason="It is not used.")


def remove(client: OAuthApplication, secret: str, text: str) -> None:
    remove_client(client, actor=COMMAND)


def disable_the_account(client: OAuthApplication, secret: str, text: str) -> None:
    assert client.service_account is not None
    disable_service_account(client.service_account, actor=COMMAND, reason="It is not used.")


def drop_the_signing_key(client: OAuthApplication, secret: str, text: str) -> None:
    SigningKey.objects.filter(pk=jwt.get_unverified_header(text)["kid"]).delete()


@pytest.mark.parametrize(
    "end", [revoke, delete_the_row, disable, remove, disable_the_account, drop_the_signing_key]
)
def test_token_that_was_just_used_and_one_that_was_not_are_refused_within_a_second(
    machine: Machine,
    catalogue: Catalogue,
    end: Callable[[OAuthApplication, str, str], None],
) -> None:
    caller, client, secret = machine
    assert chat(caller, catalogue.chat.name).status == 200
    end(client, secret, caller.text)
    wait_for(
        lambda: chat(caller, catalogue.chat.name),
        401,
        within_s=REFUSED_WITHIN_S + SLACK_S,
    )


def test_unused_token_that_was_revoked_is_refused_though_its_caller_is_known(
    machine: Machine, catalogue: Catalogue
) -> None:
    caller, client, secret = machine
    assert chat(caller, catalogue.chat.name).status == 200
    reply = post("token", basic(client, secret), grant_type="client_credentials")
    fresh = replace(caller, text=reply.json()["access_token"])
    revoke(client, secret, fresh.text)
    time.sleep(REFUSED_WITHIN_S)
    assert chat(fresh, catalogue.chat.name).status == 401
    assert chat(caller, catalogue.chat.name).status == 200


def test_disabled_persons_tokens_are_refused_within_a_second_and_never_renewed(
    new_caller_of: CallerMaker, catalogue: Catalogue
) -> None:
    visits = [Visit.of(new_web_client(Scope.CHAT, Scope.MANAGE)) for _ in range(2)]
    tokens = [visit.tokens() for visit in visits]
    callers = [
        replace(new_caller_of(catalogue.chat, team=visit.team), text=token["access_token"])
        for visit, token in zip(visits, tokens, strict=True)
    ]

    def statuses(caller: Caller) -> tuple[int, int]:
        called = chat(caller, catalogue.chat.name).status
        return called, caller.send("GET", "/api/v1/me").status

    assert [statuses(caller) for caller in callers] == [(200, 200)] * 2
    disable_person(visits[0].person, actor=COMMAND, reason="A long leave.")
    wait_for(
        lambda: chat(callers[0], catalogue.chat.name),
        401,
        within_s=REFUSED_WITHIN_S + SLACK_S,
    )
    assert [statuses(caller) for caller in callers] == [(401, 401), (200, 200)]
    renewed = [
        renew(caller, visit, token["refresh_token"])
        for caller, visit, token in zip(callers, visits, tokens, strict=True)
    ]
    assert [reply.status for reply in renewed] == [400, 200]
    assert renewed[0].json()["error"] == "invalid_grant"


def renew(caller: Caller, visit: Visit, text: str) -> Reply:
    client_id = visit.registered.client.client_id
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": text}
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    return caller.send("POST", "/oauth/token", urlencode(form).encode(), headers=headers)
