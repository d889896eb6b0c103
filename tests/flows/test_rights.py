"""Who may call what, until when: decided at each call, refused within a second, cut within five."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from django.db import transaction

from accounts.audit import COMMAND
from accounts.models import ApiKey, Membership, ServiceAccount
from accounts.models.keys import Scope
from accounts.writes.keys import revoke_key
from accounts.writes.people import disable_person, enable_person
from accounts.writes.teams import (
    disable_service_account,
    disable_team,
    enable_service_account,
    enable_team,
    remove_member,
)
from models_registry.models import AiModel, Grant, ModelKind, ModelStatus
from models_registry.writes.catalogue import set_model_status
from models_registry.writes.grants import end_grant, grant_model, narrow_key
from portal.lib.clock import utc_now
from tests.flows.answers import CHAT, EMBEDDINGS, chat_body, demo, embeddings_body
from tests.flows.conftest import CallerMaker, Catalogue, OpenClient, wait_until_listed
from tests.flows.house import Caller, grant, in_s, new_account, new_member, new_model, new_team
from tests.flows.ledger import find_call
from tests.flows.processes import RunningGateway
from tests.flows.wire import Reply, connect, read_reply, receive_all, write_request

REFUSED_WITHIN_S = 1.0
CUT_WITHIN_S = 5.0
# Two busy cores may let a process wait its turn; what is promised is held against this on top.
SLACK_S = 1.0


def chat(caller: Caller, model: AiModel) -> Reply:
    return caller.post(CHAT, chat_body(model.name))


def wait_for(ask: Callable[[], Reply], status: int, *, within_s: float) -> Reply:
    """Ask again and again until the answer has this status; fail where that takes too long."""
    started = time.monotonic()
    while True:
        asked = time.monotonic()
        reply = ask()
        if reply.status == status:
            return reply
        assert asked - started < within_s, f"{reply.status} after {within_s:g} s: {reply.body!r}"
        time.sleep(0.02)


def revoke(caller: Caller) -> None:
    revoke_key(caller.key, actor=COMMAND, reason="It was found in a repository.")


def disable_the_team(caller: Caller) -> None:
    disable_team(caller.team, actor=COMMAND, reason="The project rests.")


def disable_holder(caller: Caller) -> None:
    if isinstance(caller.holder, ServiceAccount):
        disable_service_account(caller.holder, actor=COMMAND, reason="It is not used.")
    else:
        disable_person(caller.holder, actor=COMMAND, reason="A long leave.")


def end_membership(caller: Caller) -> None:
    remove_member(
        Membership.objects.get(team=caller.team, person_id=caller.holder.pk), actor=COMMAND
    )


def delete_holder(caller: Caller) -> None:
    caller.holder.delete()


def expire(caller: Caller) -> None:
    ApiKey.objects.filter(pk=caller.key.pk).update(expires_at=utc_now())


def forbid_address(caller: Caller) -> None:
    ApiKey.objects.filter(pk=caller.key.pk).update(networks=["192.0.2.0/24"])


OF_ANY_KEY = [revoke, disable_the_team, disable_holder, delete_holder, expire]


@pytest.mark.parametrize(
    ("end", "is_person"),
    # A service account is no member.
    [(end, is_person) for end in OF_ANY_KEY for is_person in (False, True)]
    + [(end_membership, True)],
)
def test_a_key_that_was_just_used_is_refused_within_a_second_of_its_end(
    catalogue: Catalogue,
    new_caller_of: CallerMaker,
    end: Callable[[Caller], None],
    is_person: bool,
) -> None:
    team = new_team()
    holder = new_member(team) if is_person else new_account(team)
    caller = new_caller_of(catalogue.chat, team=team, holder=holder)
    assert [chat(caller, catalogue.chat).status for _ in range(2)] == [200, 200]

    end(caller)
    wait_for(lambda: chat(caller, catalogue.chat), 401, within_s=REFUSED_WITHIN_S + SLACK_S)
    # The first refusal may have met a call that was already let in; from then on none is.
    refused = chat(caller, catalogue.chat)
    assert refused.code == "invalid_credential"
    unknown = caller.send(
        "POST",
        CHAT,
        chat_body(catalogue.chat.name),
        headers=[("Authorization", "Bearer lk_nothing"), ("Content-Type", "application/json")],
    )
    assert (unknown.status, unknown.json()) == (401, refused.json())


def enable_the_team(caller: Caller) -> None:
    enable_team(caller.team, actor=COMMAND)


def enable_holder(caller: Caller) -> None:
    if isinstance(caller.holder, ServiceAccount):
        enable_service_account(caller.holder, actor=COMMAND)
    else:
        enable_person(caller.holder, actor=COMMAND)


@pytest.mark.parametrize("is_person", [False, True])
@pytest.mark.parametrize(
    ("disable", "enable"), [(disable_the_team, enable_the_team), (disable_holder, enable_holder)]
)
def test_who_is_enabled_again_calls_with_the_same_key(
    catalogue: Catalogue,
    new_caller_of: CallerMaker,
    disable: Callable[[Caller], None],
    enable: Callable[[Caller], None],
    is_person: bool,
) -> None:
    team = new_team()
    holder = new_member(team) if is_person else new_account(team)
    caller = new_caller_of(catalogue.chat, team=team, holder=holder)
    assert chat(caller, catalogue.chat).status == 200
    disable(caller)
    wait_for(lambda: chat(caller, catalogue.chat), 401, within_s=REFUSED_WITHIN_S + SLACK_S)

    enable(caller)
    wait_for(lambda: chat(caller, catalogue.chat), 200, within_s=REFUSED_WITHIN_S + SLACK_S)


def test_a_revocation_that_is_rolled_back_revokes_nothing(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    with transaction.atomic():
        revoke(caller)
        transaction.set_rollback(True)
    time.sleep(0.5)

    assert chat(caller, catalogue.chat).status == 200


def end_grants(caller: Caller, model: AiModel) -> None:
    for one in Grant.objects.filter(team=caller.team, model=model):
        end_grant(one, actor=COMMAND, reason="The project is over.")


def take_scope(caller: Caller, model: AiModel) -> None:
    ApiKey.objects.filter(pk=caller.key.pk).update(scopes=["embeddings"])


def take_granted_scope(caller: Caller, model: AiModel) -> None:
    Grant.objects.filter(team=caller.team, model=model).update(scopes=["embeddings"])


def retire(caller: Caller, model: AiModel) -> None:
    set_model_status(model, status=ModelStatus.RETIRED, actor=COMMAND)


def disable_deployment(caller: Caller, model: AiModel) -> None:
    model.deployments.update(enabled=False)


@pytest.mark.parametrize(
    ("take", "status", "code"),
    [
        (end_grants, 404, "model_not_found"),
        (retire, 404, "model_not_found"),
        (disable_deployment, 404, "model_not_found"),
        (take_scope, 403, "kind_not_allowed"),
        (take_granted_scope, 403, "kind_not_allowed"),
    ],
)
def test_a_model_that_was_just_called_is_refused_within_a_second_of_its_loss(
    catalogue: Catalogue,
    gateway: RunningGateway,
    new_caller_of: CallerMaker,
    take: Callable[[Caller, AiModel], None],
    status: int,
    code: str,
) -> None:
    model = new_model(catalogue.demo, "demo-chat")
    wait_until_listed(gateway.port, model)
    caller = new_caller_of(model)
    assert chat(caller, model).status == 200

    take(caller, model)
    refused = wait_for(lambda: chat(caller, model), status, within_s=REFUSED_WITHIN_S + SLACK_S)
    assert refused.code == code
    assert caller.send("GET", "/v1/models").json()["data"] == []
    row = find_call(refused.request_id)
    assert (row.status, row.code, row.cost_micro_usd) == ("refused", code, 0)


def test_a_grant_counts_from_its_start_to_its_end(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of()
    grant(catalogue.chat, caller.team, starts_at=in_s(1.0), ends_at=in_s(2.5))
    assert chat(caller, catalogue.chat).code == "model_not_found"

    wait_for(lambda: chat(caller, catalogue.chat), 200, within_s=1.0 + SLACK_S)
    wait_for(lambda: chat(caller, catalogue.chat), 404, within_s=2.5 + SLACK_S)


def test_a_grant_to_a_service_account_is_its_own(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    team = new_team()
    granted, other = new_account(team), new_account(team)
    grant(catalogue.chat, granted)

    assert chat(new_caller_of(team=team, holder=granted), catalogue.chat).status == 200
    assert chat(new_caller_of(team=team, holder=other), catalogue.chat).status == 404


def test_a_narrower_list_leaves_only_its_own_models(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, catalogue.embeddings)
    assert chat(caller, catalogue.chat).status == 200
    narrow_key(caller.key, models=[catalogue.embeddings], actor=COMMAND)

    wait_for(lambda: chat(caller, catalogue.chat), 404, within_s=REFUSED_WITHIN_S + SLACK_S)
    body = embeddings_body(catalogue.embeddings.name)
    assert caller.post(EMBEDDINGS, body).status == 200


def test_a_narrower_list_grants_nothing(catalogue: Catalogue, new_caller_of: CallerMaker) -> None:
    caller = new_caller_of(catalogue.embeddings)
    narrow_key(caller.key, models=[catalogue.chat], actor=COMMAND)

    assert chat(caller, catalogue.chat).code == "model_not_found"


@pytest.mark.parametrize("status", [None, ModelStatus.RETIRED])
def test_a_draft_and_a_retired_model_are_refused_like_an_unknown_one(
    catalogue: Catalogue, new_caller_of: CallerMaker, status: ModelStatus | None
) -> None:
    hidden = new_model(catalogue.demo, "demo-chat", status=status)
    caller = new_caller_of(hidden, catalogue.chat)
    unknown = caller.post(CHAT, chat_body("no-such-model"))
    refused = chat(caller, hidden)

    assert (refused.status, refused.json()) == (404, unknown.json())
    assert caller.send("GET", f"/v1/models/{hidden.name}").json() == unknown.json()


def test_a_deprecated_model_says_when_it_goes_and_goes_then(
    catalogue: Catalogue, gateway: RunningGateway, new_caller_of: CallerMaker
) -> None:
    model = new_model(catalogue.demo, "demo-chat")
    other = new_model(catalogue.demo, "demo-embed", kind=ModelKind.EMBEDDINGS, max_output_tokens=0)
    wait_until_listed(gateway.port, model, other)
    caller = new_caller_of(model, other)
    assert "deprecation" not in chat(caller, model).headers
    # The one that is asked last is heard of first.
    for one in (other, model):
        set_model_status(one, status=ModelStatus.DEPRECATED, sunset_at=in_s(4), actor=COMMAND)
        one.refresh_from_db()

    deadline = time.monotonic() + REFUSED_WITHIN_S + SLACK_S
    while "deprecation" not in (reply := chat(caller, model)).headers:
        assert time.monotonic() < deadline
    _says_when_it_goes(reply, model)
    _says_when_it_goes(caller.post(CHAT, chat_body(model.name, stream=True)), model)
    _says_when_it_goes(caller.post(EMBEDDINGS, embeddings_body(other.name)), other)
    wait_for(lambda: chat(caller, model), 404, within_s=4 + SLACK_S)


def _says_when_it_goes(reply: Reply, model: AiModel) -> None:
    assert reply.status == 200
    assert model.deprecated_at is not None
    assert model.sunset_at is not None
    assert reply.headers["deprecation"] == f"@{int(model.deprecated_at.timestamp())}"
    assert reply.headers["sunset"] == model.sunset_at.strftime("%a, %d %b %Y %H:%M:%S GMT")


def test_another_address_is_refused_within_a_second(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, networks=["127.0.0.0/8"])
    assert chat(caller, catalogue.chat).status == 200
    forbid_address(caller)

    refused = wait_for(
        lambda: chat(caller, catalogue.chat), 403, within_s=REFUSED_WITHIN_S + SLACK_S
    )
    assert refused.code == "address_not_allowed"


@contextmanager
def open_stream(caller: Caller, model: AiModel) -> Iterator[Callable[[], bytes]]:
    """Start a stream that would take a minute; the function given reads it to its end."""
    body = chat_body(model.name, demo(chunk_delay_s=0.2, tokens=300), stream=True)
    request = write_request("POST", CHAT, body, headers=caller.headers())
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(request)
        first = b""
        # The first event names the role; the next ones say something.
        while first.count(b"data: ") < 3:
            first += connection.recv(1 << 16)
        assert b" 200 " in first
        yield lambda: first + receive_all(connection)


def end_the_grant(caller: Caller) -> None:
    for one in Grant.objects.filter(team=caller.team):
        end_grant(one, actor=COMMAND, reason="The project is over.")


def narrow_away(caller: Caller) -> None:
    other = AiModel.objects.filter(kind="embeddings").first()
    assert other is not None
    narrow_key(caller.key, models=[other], actor=COMMAND)


@pytest.mark.parametrize(
    "end",
    [revoke, disable_the_team, disable_holder, expire, forbid_address, end_the_grant, narrow_away],
)
def test_open_streams_are_cut_when_the_right_to_them_ends(
    catalogue: Catalogue, new_caller_of: CallerMaker, end: Callable[[Caller], None]
) -> None:
    caller = new_caller_of(catalogue.chat)
    with open_stream(caller, catalogue.chat) as read_to_end:
        ended_at = time.monotonic()
        end(caller)
        received = read_to_end()
        took_s = time.monotonic() - ended_at

    assert took_s < CUT_WITHIN_S
    reply = read_reply(received)
    assert '"code":"credential_ended"' in reply.events()[-1]
    row = find_call(reply.request_id)
    assert (row.status, row.code) == ("revoked", "credential_ended")
    assert row.usage_estimated
    assert 0 < row.output_tokens < 300


def test_open_streams_are_cut_when_their_time_is_up(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    """Nothing changes at that moment, so nobody tells."""
    by_key = new_caller_of(catalogue.chat, expires_at=in_s(1.5))
    by_grant = new_caller_of()
    grant(catalogue.chat, by_grant.team, ends_at=in_s(1.5))
    started = time.monotonic()
    with (
        open_stream(by_key, catalogue.chat) as read_first,
        open_stream(by_grant, catalogue.chat) as read_second,
    ):
        received = [read_first(), read_second()]

    assert time.monotonic() - started < 1.5 + CUT_WITHIN_S
    assert all(b"credential_ended" in one for one in received)


def test_a_stream_goes_on_when_its_grant_is_replaced_in_time(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of()
    grant(catalogue.chat, caller.team, ends_at=in_s(1.5))
    body = chat_body(catalogue.chat.name, demo(chunk_delay_s=0.2, tokens=20), stream=True)
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(caller.post(CHAT, body)))
    thread.start()
    time.sleep(0.5)
    grant(catalogue.chat, caller.team)
    thread.join()

    assert replies[0].events()[-1] == "[DONE]"


def test_a_call_whose_body_is_slow_is_decided_on_what_stands_when_it_is_whole(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    assert chat(caller, catalogue.chat).status == 200
    request = write_request("POST", CHAT, chat_body(catalogue.chat.name), headers=caller.headers())
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(request[:-5])
        time.sleep(0.2)
        end_grants(caller, catalogue.chat)
        wait_for(lambda: chat(caller, catalogue.chat), 404, within_s=REFUSED_WITHIN_S)
        connection.sendall(request[-5:])
        reply = read_reply(receive_all(connection))

    assert (reply.status, reply.code) == (404, "model_not_found")


def test_refusals_are_the_clients_own_exceptions(
    catalogue: Catalogue, new_caller_of: CallerMaker, open_client: OpenClient
) -> None:
    caller = new_caller_of(catalogue.chat, catalogue.embeddings, scopes=[Scope.CHAT])
    client = open_client(caller)
    hello: list[Any] = [{"role": "user", "content": "Hello"}]

    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="no-such-model", messages=hello)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.PermissionDeniedError) as forbidden:
        client.embeddings.create(model=catalogue.embeddings.name, input="Hello")
    assert forbidden.value.code == "kind_not_allowed"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.embeddings.create(model=catalogue.chat.name, input="Hello")
    assert wrong.value.code == "wrong_model_kind"
    with pytest.raises(openai.BadRequestError) as rejected:
        client.chat.completions.create(
            model=catalogue.chat.name, messages=hello, extra_body={"api_base": "http://x"}
        )
    assert (rejected.value.code, rejected.value.param) == ("member_not_accepted", "api_base")
    with pytest.raises(openai.AuthenticationError) as stranger:
        client.with_options(api_key="lk_wrong").models.list()
    assert stranger.value.code == "invalid_credential"
    with pytest.raises(openai.InternalServerError) as failed:
        client.chat.completions.create(
            model=catalogue.chat.name,
            messages=[{"role": "user", "content": demo(status=500)}],
        )
    assert (failed.value.status_code, failed.value.code) == (502, "upstream_error")
    assert failed.value.request_id is not None


def test_grants_to_others_change_nothing(catalogue: Catalogue, new_caller_of: CallerMaker) -> None:
    caller = new_caller_of(catalogue.chat)
    grant_model(
        catalogue.embeddings,
        to=new_team(),
        scopes=[Scope.EMBEDDINGS],
        ends_at=in_s(60),
        actor=COMMAND,
    )

    assert caller.post(EMBEDDINGS, embeddings_body(catalogue.embeddings.name)).status == 404
