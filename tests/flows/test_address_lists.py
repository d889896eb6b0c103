"""Lists of networks and hours of service accounts, teams and providers at the door of calls: all have to hold, within a second."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from accounts.audit import COMMAND
from accounts.models import ServiceAccount
from accounts.writes.bounds import change_bounds
from models_registry.models import AiModel
from models_registry.writes.providers import add_provider, change_provider
from portal.lib.clock import utc_now
from portal.lib.hours import DAYS
from tests.flows.answers import CHAT, chat_body
from tests.flows.conftest import CallerMaker, Catalogue, wait_until_listed
from tests.flows.house import Caller, grant, new_model, unique
from tests.flows.processes import UPSTREAM_KEY
from tests.flows.test_rights import (
    CUT_WITHIN_S,
    REFUSED_WITHIN_S,
    SLACK_S,
    chat,
    open_stream,
    wait_for,
)

ELSEWHERE = ["192.0.2.0/24", "2001:db8::/32"]
HERE = ["127.0.0.0/8"]
WITHIN_S = REFUSED_WITHIN_S + SLACK_S


def another_day() -> dict[str, Any]:
    """Hours that are neither now nor soon."""
    day = DAYS[(utc_now().weekday() + 3) % 7]
    return {"days": [day], "begins": "00:00", "ends": "24:00", "zone": "UTC"}


def account_of(caller: Caller) -> ServiceAccount:
    assert isinstance(caller.holder, ServiceAccount)
    return caller.holder


Bind = Callable[[Caller, list[str], dict[str, Any] | None], None]
SUBJECTS: dict[str, Bind] = {
    "key": lambda caller, networks, hours: change_bounds(
        caller.key, networks=networks, hours=hours, actor=COMMAND
    ),
    "account": lambda caller, networks, hours: change_bounds(
        account_of(caller), networks=networks, hours=hours, actor=COMMAND
    ),
    "team": lambda caller, networks, hours: change_bounds(
        caller.team, networks=networks, hours=hours, actor=COMMAND
    ),
}


@pytest.mark.parametrize("bind", SUBJECTS.values(), ids=SUBJECTS)
def test_each_list_and_hours_are_held_to_within_a_second(
    catalogue: Catalogue, new_caller_of: CallerMaker, bind: Bind
) -> None:
    caller = new_caller_of(catalogue.chat)
    for other in SUBJECTS.values():
        other(caller, HERE, None)
    assert chat(caller, catalogue.chat).status == 200
    bind(caller, ELSEWHERE, None)
    refused = wait_for(lambda: chat(caller, catalogue.chat), 403, within_s=WITHIN_S)
    assert refused.code == "address_not_allowed"
    forged = [(name, "192.0.2.1") for name in ("X-Forwarded-For", "X-Real-IP", "True-Client-IP")]
    forged.append(("Forwarded", "for=192.0.2.1"))
    body = chat_body(catalogue.chat.name)
    reply = caller.send("POST", CHAT, body, headers=[*caller.headers(), *forged])
    assert reply.code == "address_not_allowed"
    bind(caller, HERE, another_day())
    wait_for(lambda: chat(caller, catalogue.chat), 403, within_s=WITHIN_S)
    wait_for_code(caller, catalogue.chat, "outside_hours")
    unknown = dataclasses.replace(caller, text=caller.text[:-1] + "!")
    assert chat(unknown, catalogue.chat).code == "invalid_credential"
    bind(caller, [], None)
    wait_for(lambda: chat(caller, catalogue.chat), 200, within_s=WITHIN_S)


def wait_for_code(caller: Caller, model: AiModel, code: str) -> None:
    # Two refusals share a status; the second one is the new bounds'.
    for _ in range(100):
        if chat(caller, model).code == code:
            return
    pytest.fail(f"{code} never came")


def test_stream_is_ended_when_its_hours_are_over(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    with open_stream(caller, catalogue.chat) as read_on:
        started = utc_now()
        change_bounds(caller.team, networks=[], hours=another_day(), actor=COMMAND)
        assert b"credential_ended" in read_on()
        assert (utc_now() - started).total_seconds() < CUT_WITHIN_S + SLACK_S


def test_provider_says_from_where_its_models_are_reached(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    provider = add_provider(
        unique("provider"),
        base_url=catalogue.demo.base_url,
        credential=UPSTREAM_KEY,
        networks=HERE,
        actor=COMMAND,
    )
    model = new_model(provider, catalogue.chat.deployments.get().upstream_name)
    grant(model, caller.team)
    wait_until_listed(caller.port, model)
    change_provider(provider, networks=ELSEWHERE, actor=COMMAND)
    refused = wait_for(lambda: chat(caller, model), 403, within_s=WITHIN_S)
    assert refused.code == "address_not_allowed"
    listed = caller.send("GET", "/v1/models")
    assert model.name.encode() not in listed.body
    assert catalogue.chat.name.encode() in listed.body
    assert chat(caller, catalogue.chat).status == 200
